/* fault_vfs.c - a VFS that counts and fails syncs, and the same for the process's calls. */
#include "fault_vfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static struct {
    bool armed;
    bool fired;
    enum fault_file file;
    unsigned skip;
    enum fault_manner manner;
} faults;

/* A wrapped file: SQLite sees `base`, the real file follows in the same memory. */
struct fault_handle {
    sqlite3_file base;
    enum fault_file kind;
    sqlite3_io_methods methods;
};

#define HANDLE_BYTES ((int)((sizeof(struct fault_handle) + 15u) & ~15u))

static sqlite3_file *real_of(sqlite3_file *file) {
    return (sqlite3_file *)((char *)file + HANDLE_BYTES);
}

static int fault_close(sqlite3_file *file) {
    sqlite3_file *real = real_of(file);
    return real->pMethods ? real->pMethods->xClose(real) : SQLITE_OK;
}
static int fault_read(sqlite3_file *file, void *data, int size, sqlite3_int64 offset) {
    return real_of(file)->pMethods->xRead(real_of(file), data, size, offset);
}
static int fault_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset) {
    return real_of(file)->pMethods->xWrite(real_of(file), data, size, offset);
}
static int fault_truncate(sqlite3_file *file, sqlite3_int64 size) {
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}
static int fault_sync(sqlite3_file *file, int flags) {
    struct fault_handle *handle = (struct fault_handle *)file;
    bool fail = faults.armed && faults.file == handle->kind && faults.skip-- == 0;
    if (fail) {
        faults.armed = false;
        faults.fired = true;
        if (faults.manner == FAULT_WITHOUT_SYNC) {
            return SQLITE_IOERR_FSYNC;
        }
    }
    int code = real_of(file)->pMethods->xSync(real_of(file), flags);
    return fail ? SQLITE_IOERR_FSYNC : code;
}
static int fault_size(sqlite3_file *file, sqlite3_int64 *size) {
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}
static int fault_lock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xLock(real_of(file), level);
}
static int fault_unlock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}
static int fault_reserved(sqlite3_file *file, int *out) {
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}
static int fault_control(sqlite3_file *file, int operation, void *argument) {
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}
static int fault_sector(sqlite3_file *file) {
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}
static int fault_characteristics(sqlite3_file *file) {
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}
static int fault_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out) {
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}
static int fault_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}
static void fault_shm_barrier(sqlite3_file *file) {
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}
static int fault_shm_unmap(sqlite3_file *file, int remove) {
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}
static int fault_fetch(sqlite3_file *file, sqlite3_int64 offset, int size, void **out) {
    return real_of(file)->pMethods->xFetch(real_of(file), offset, size, out);
}
static int fault_unfetch(sqlite3_file *file, sqlite3_int64 offset, void *page) {
    return real_of(file)->pMethods->xUnfetch(real_of(file), offset, page);
}

static const sqlite3_io_methods fault_methods = {
    3,
    fault_close,
    fault_read,
    fault_write,
    fault_truncate,
    fault_sync,
    fault_size,
    fault_lock,
    fault_unlock,
    fault_reserved,
    fault_control,
    fault_sector,
    fault_characteristics,
    fault_shm_map,
    fault_shm_lock,
    fault_shm_barrier,
    fault_shm_unmap,
    fault_fetch,
    fault_unfetch,
};

static enum fault_file kind_of(int flags) {
    return (flags & SQLITE_OPEN_MAIN_DB)        ? FAULT_DATABASE
           : (flags & SQLITE_OPEN_MAIN_JOURNAL) ? FAULT_JOURNAL
           : (flags & SQLITE_OPEN_WAL)          ? FAULT_WAL
                                                : FAULT_OTHER;
}

static sqlite3_vfs *wrapped;

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
    (void)vfs;
    struct fault_handle *handle = (struct fault_handle *)file;
    memset(handle, 0, sizeof *handle);
    handle->kind = kind_of(flags);
    int code = wrapped->xOpen(wrapped, name, real_of(file), flags, out);
    if (real_of(file)->pMethods) {
        /* No newer methods than the real file has. */
        handle->methods = fault_methods;
        int version = real_of(file)->pMethods->iVersion;
        handle->methods.iVersion = version < 3 ? version : 3;
        handle->base.pMethods = &handle->methods;
    }
    return code;
}

void fault_vfs_register(void) {
    static sqlite3_vfs vfs;
    if (wrapped == NULL) {
        wrapped = sqlite3_vfs_find(NULL);
        vfs = *wrapped;
        vfs.pNext = NULL;
        vfs.zName = "fault";
        vfs.szOsFile = wrapped->szOsFile + HANDLE_BYTES;
        vfs.xOpen = fault_open;
        sqlite3_vfs_register(&vfs, 0);
    }
}

void fault_vfs_fail_sync(enum fault_file file, unsigned skip, enum fault_manner manner) {
    faults.armed = true;
    faults.fired = false;
    faults.file = file;
    faults.skip = skip;
    faults.manner = manner;
}

bool fault_vfs_clear(void) {
    faults.armed = false;
    return faults.fired;
}

/* ------------------------------------------------- the calls of the whole process */

static struct {
    unsigned sync_count; /* atomic */
    const char *sync_part;
    unsigned sync_skip;
    const char *write_part;
    unsigned write_skip;
} process;

static bool path_contains(int file, const char *part) {
    char link[64];
    char path[1024];
    if (part == NULL) {
        return false;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) {
        return false;
    }
    path[size] = 0;
    return strstr(path, part) != NULL;
}

static bool sync_fails(int file) {
    __atomic_fetch_add(&process.sync_count, 1, __ATOMIC_RELAXED);
    if (!path_contains(file, process.sync_part)) {
        return false;
    }
    if (process.sync_skip > 0) {
        process.sync_skip--;
        return false;
    }
    return true;
}

int fsync(int file) {
    if (sync_fails(file)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    if (sync_fails(file)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, file);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) {
    if (path_contains(file, process.write_part)) {
        if (process.write_skip == 0) {
            errno = ENOSPC;
            return -1;
        }
        process.write_skip--;
    }
    return syscall(SYS_pwrite64, file, data, size, offset);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
    return pwrite64(file, data, size, offset);
}

/* io_uring goes past pwrite(). Without a ring the store's requests come by here. */
struct io_uring;
struct io_uring_params;
int io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                               struct io_uring_params *params);
int io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                               struct io_uring_params *params) {
    (void)entries;
    (void)ring;
    (void)params;
    return -ENOSYS;
}

unsigned fault_process_sync_count(void) {
    return __atomic_load_n(&process.sync_count, __ATOMIC_RELAXED);
}

void fault_process_fail_sync(const char *part, unsigned skip) {
    process.sync_skip = skip;
    process.sync_part = part;
}

void fault_process_fail_write(const char *part, unsigned skip) {
    process.write_skip = skip;
    process.write_part = part;
}
