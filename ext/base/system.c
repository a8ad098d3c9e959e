/* system.c - see system.h. */
#include "base/system.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/sqlite_api.h"

static int sync_path(const char *path, int flags) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (descriptor < 0) {
        return errno == ENOENT ? SQLITE_OK : SQLITE_IOERR_FSYNC;
    }
    int rc = fsync(descriptor) == 0 ? SQLITE_OK : SQLITE_IOERR_FSYNC;
    (void)close(descriptor);
    return rc;
}

int system_sync_file(const char *path) {
    return sync_path(path, O_NOFOLLOW);
}

int system_sync_directory(const char *path) {
    return sync_path(path, O_DIRECTORY);
}

bool system_may_write(const char *path) {
    return access(path, W_OK) == 0;
}
