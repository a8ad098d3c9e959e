/* env_posix_file.c - open files (layer 0). */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/fs.h>
#endif

#include "base/bytes.h"
#include "base/env_posix.h"

/* Standard input, output and error: a store on one of these would be overwritten by the
 * first print of an application that has closed it. */
#define DESCRIPTOR_MIN 3

#ifdef O_DIRECT
#define DIRECT_FLAG O_DIRECT
#else
#define DIRECT_FLAG 0
#endif

struct fst_file {
    int descriptor;
};

/* Moves a descriptor out of the way of the standard streams. -1 and errno on failure. */
static int without_standard_streams(int descriptor) {
    if (descriptor < 0 || descriptor >= DESCRIPTOR_MIN) {
        return descriptor;
    }
    int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, DESCRIPTOR_MIN);
    int failure = errno;
    (void)close(descriptor);
    errno = failure;
    return moved;
}

/* Links are not followed, and with O_NONBLOCK a pipe without a partner does not block the
 * open; for regular files it means nothing afterwards. */
static int open_descriptor(const char *path, unsigned flags, uint32_t mode) {
    int how = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    if ((flags & FST_OPEN_DIRECT) != 0) {
        how |= DIRECT_FLAG;
    }
    how |= (flags & FST_OPEN_WRITE) != 0 ? O_RDWR : O_RDONLY;
    if ((flags & FST_OPEN_CREATE) != 0) {
        how |= O_CREAT | ((flags & FST_OPEN_NEW) != 0 ? O_EXCL : 0);
    }
    int descriptor;
    do {
        descriptor = open(path, how, (mode_t)(mode & 07777u));
    } while (descriptor < 0 && errno == EINTR);
    return without_standard_streams(descriptor);
}

/* Directories, sockets and devices without a driver fail in open() already. */
static enum faster_status status_of_open(int error_number) {
    if (error_number == EISDIR || error_number == ENXIO || error_number == ENODEV) {
        return FASTER_FOREIGN;
    }
    return fst_posix_status(error_number);
}

static enum faster_status require_regular(int descriptor) {
    struct stat info;
    if (fstat(descriptor, &info) != 0) {
        return fst_posix_status(errno);
    }
    return S_ISREG(info.st_mode) ? FASTER_OK : FASTER_FOREIGN;
}

enum faster_status fst_posix_file_open(const struct faster_env *env, const char *path,
                                       unsigned flags, uint32_t mode, struct fst_file **file) {
    if ((flags & FST_OPEN_DIRECT) != 0 && DIRECT_FLAG == 0) {
        return FASTER_INVALID;
    }
    struct fst_file *opened = env->allocate(env, sizeof *opened);
    if (opened == NULL) {
        return FASTER_NOMEM;
    }
    enum faster_status status;
    opened->descriptor = open_descriptor(path, flags, mode);
    if (opened->descriptor < 0) {
        status = errno == EINVAL && (flags & FST_OPEN_DIRECT) != 0 ? FASTER_INVALID
                                                                   : status_of_open(errno);
        goto failed;
    }
    status = require_regular(opened->descriptor);
    if (status != FASTER_OK) {
        goto opened_failed;
    }
    *file = opened;
    return FASTER_OK;

opened_failed:
    (void)close(opened->descriptor);
failed:
    env->release(env, opened);
    return status;
}

void fst_posix_file_close(const struct faster_env *env, struct fst_file *file) {
    if (file != NULL) {
        /* Not repeated on EINTR: the descriptor is gone and its number may be in use again. */
        (void)close(file->descriptor);
        env->release(env, file);
    }
}

/* True if [offset, offset + count) can be expressed in the system's file offsets. */
static bool is_expressible(uint64_t offset, uint64_t count) {
    uint64_t end;
    return fst_add_fits_u64(offset, count, &end) && end <= INT64_MAX;
}

/* Writing at or above the process's file size limit raises SIGXFSZ, which ends an
 * application that does not expect it. The library installs no handler, so it asks first.
 * A write that starts below the limit is cut short by the system without a signal. */
static bool is_below_size_limit(uint64_t offset) {
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
           offset < (uint64_t)limit.rlim_cur;
}

enum faster_status fst_posix_file_read(const struct faster_env *env, struct fst_file *file,
                                       uint64_t offset, void *bytes, size_t count,
                                       size_t *count_done) {
    (void)env;
    size_t done = 0;
    enum faster_status status = is_expressible(offset, count) ? FASTER_OK : FASTER_IO;
    while (status == FASTER_OK && done < count) {
        ssize_t got =
            pread(file->descriptor, (uint8_t *)bytes + done, count - done, (off_t)(offset + done));
        if (got == 0) {
            break;
        }
        if (got > 0) {
            done += (size_t)got;
        } else if (errno != EINTR) {
            status = fst_posix_status(errno);
        }
    }
    *count_done = done;
    return status;
}

enum faster_status fst_posix_file_write(const struct faster_env *env, struct fst_file *file,
                                        uint64_t offset, const void *bytes, size_t count) {
    (void)env;
    if (!is_expressible(offset, count)) {
        return FASTER_FULL;
    }
    size_t done = 0;
    while (done < count) {
        if (!is_below_size_limit(offset + done)) {
            return FASTER_FULL;
        }
        ssize_t put = pwrite(file->descriptor, (const uint8_t *)bytes + done, count - done,
                             (off_t)(offset + done));
        if (put > 0) {
            done += (size_t)put;
        } else if (put == 0) {
            return FASTER_IO; /* no progress and no reason: do not try for ever */
        } else if (errno != EINTR) {
            return fst_posix_status(errno);
        }
    }
    return FASTER_OK;
}

/* Never repeated, not even on EINTR: after a failed sync the system may have dropped the
 * unwritten pages, and a second call would report a success that is none. */
enum faster_status fst_posix_file_sync(const struct faster_env *env, struct fst_file *file) {
    (void)env;
    return fdatasync(file->descriptor) == 0 ? FASTER_OK : fst_posix_status(errno);
}

enum faster_status fst_posix_file_truncate(const struct faster_env *env, struct fst_file *file,
                                           uint64_t size_bytes) {
    (void)env;
    if (!is_expressible(size_bytes, 0) ||
        (size_bytes > 0 && !is_below_size_limit(size_bytes - 1))) {
        return FASTER_FULL;
    }
    int result;
    do {
        result = ftruncate(file->descriptor, (off_t)size_bytes);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? FASTER_OK : fst_posix_status(errno);
}

enum faster_status fst_posix_file_size(const struct faster_env *env, struct fst_file *file,
                                       uint64_t *size_bytes) {
    (void)env;
    struct stat info;
    if (fstat(file->descriptor, &info) != 0) {
        return fst_posix_status(errno);
    }
    *size_bytes = (uint64_t)info.st_size;
    return FASTER_OK;
}

/* flock() belongs to the open file and not to the process, so it also keeps two stores of
 * one process apart, and closing another descriptor of the same file does not drop it. */
enum faster_status fst_posix_file_lock(const struct faster_env *env, struct fst_file *file) {
    (void)env;
    int result;
    do {
        result = flock(file->descriptor, LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        return errno == EWOULDBLOCK ? FASTER_BUSY : fst_posix_status(errno);
    }
    return FASTER_OK;
}

/* Mode first: after the owner has changed, the mode may no longer be ours to change. An
 * ordinary user may not give files away, and need not: EPERM from fchown() is no failure. */
enum faster_status fst_posix_own(int descriptor, uint32_t mode, uint32_t user, uint32_t group) {
    if (fchmod(descriptor, (mode_t)(mode & 07777u)) != 0) {
        return FASTER_IO;
    }
    if (fchown(descriptor, (uid_t)user, (gid_t)group) != 0 && errno != EPERM) {
        return FASTER_IO;
    }
    return FASTER_OK;
}

enum faster_status fst_posix_file_own(const struct faster_env *env, struct fst_file *file,
                                      uint32_t mode, uint32_t user, uint32_t group) {
    (void)env;
    return fst_posix_own(file->descriptor, mode, user, group);
}

/* Few file systems can, and those that cannot say so in many ways. What is wrong with the disk
 * shows when the bytes are copied. */
enum faster_status fst_posix_file_clone(const struct faster_env *env, struct fst_file *from,
                                        struct fst_file *to) {
    (void)env;
#ifdef FICLONE
    return ioctl(to->descriptor, FICLONE, from->descriptor) == 0 ? FASTER_OK : FASTER_INVALID;
#else
    (void)from;
    (void)to;
    return FASTER_INVALID;
#endif
}

int fst_posix_file_descriptor(const struct faster_env *env, const struct fst_file *file) {
    (void)env;
    return file->descriptor;
}
