/* sim_vfs.c - see sim_vfs.h.
 *
 * Each call is one of os_unix.c of SQLite 3.40, as it is on Linux: a journal or WAL that an open
 * could create syncs its directory with its first sync, and does not look whether that worked; a
 * database file never does; a directory that cannot be opened is not synced after a removal, and
 * nobody is told; I/O errors of a read are told apart from others.
 */
#include "sim_vfs.h"

#include <string.h>

#include "sim_env.h"
#include "sim_run.h"

#define SECTOR_BYTES 4096
#define MODE 0644u
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)
/* From noon of November 24, 4714 before Christ, to 1970. */
#define JULIAN_EPOCH_MS INT64_C(210866760000000)

static uint64_t random_state;

static struct sim_file *file_of(sqlite3_file *file) {
    return (struct sim_file *)file;
}

/* ---- open files ---- */

static int vfs_close(sqlite3_file *file) {
    struct sim_file *self = file_of(file);

    sim_locks_close(self);
    sim_close(self->handle);
    sqlite3_free(self->path);
    self->head.pMethods = NULL;
    return SQLITE_OK;
}

static int vfs_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset) {
    size_t done = 0;

    sim_point();
    if (sim_read(file_of(file)->handle, (uint64_t)offset, bytes, (size_t)count, &done) != SIM_OK) {
        return SQLITE_IOERR_CORRUPTFS;
    }
    if (done < (size_t)count) {
        memset((unsigned char *)bytes + done, 0, (size_t)count - done);
        return SQLITE_IOERR_SHORT_READ;
    }
    return SQLITE_OK;
}

static int vfs_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    enum sim_result result;

    sim_point();
    result = sim_write(file_of(file)->handle, (uint64_t)offset, bytes, (size_t)count);
    if (result == SIM_NO_SPACE) {
        return SQLITE_FULL;
    }
    return result == SIM_OK ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

static int vfs_truncate(sqlite3_file *file, sqlite3_int64 size) {
    sim_point();
    return sim_truncate(file_of(file)->handle, (uint64_t)size) == SIM_OK ? SQLITE_OK
                                                                         : SQLITE_IOERR_TRUNCATE;
}

/* The directory of a path; the root's is "/". */
static enum sim_result sync_directory_of(const char *path) {
    const char *slash = strrchr(path, '/');
    char *directory =
        slash == path ? sqlite3_mprintf("/") : sqlite3_mprintf("%.*s", (int)(slash - path), path);
    enum sim_result result = SIM_NO_HANDLE; /* as an open that fails */

    if (directory != NULL) {
        result = sim_directory_sync(SIM_SQLITE, directory);
        sqlite3_free(directory);
    }
    return result;
}

static int vfs_sync(sqlite3_file *file, int flags) {
    struct sim_file *self = file_of(file);

    (void)flags;
    sim_point();
    if (sim_sync(self->handle) != SIM_OK) {
        return SQLITE_IOERR_FSYNC;
    }
    if (self->syncs_directory) {
        (void)sync_directory_of(self->path);
        self->syncs_directory = false;
    }
    return SQLITE_OK;
}

static int vfs_file_size(sqlite3_file *file, sqlite3_int64 *size) {
    uint64_t found;

    sim_point();
    if (sim_size(file_of(file)->handle, &found) != SIM_OK) {
        return SQLITE_IOERR_FSTAT;
    }
    *size = found == 1 ? 0 : (sqlite3_int64)found; /* a file of one byte counts as empty there */
    return SQLITE_OK;
}

static bool has_moved(const struct sim_file *file) {
    struct sim_info info;

    return file->path != NULL && (sim_path_info(SIM_SQLITE, file->path, &info) != SIM_OK ||
                                  info.inode != sim_handle_inode(file->handle));
}

/* Sets a switch, or tells what it is. */
static void control_switch(bool *is_on, int *argument) {
    if (*argument < 0) {
        *argument = *is_on;
    } else {
        *is_on = *argument != 0;
    }
}

static int vfs_file_control(sqlite3_file *file, int control, void *argument) {
    struct sim_file *self = file_of(file);

    switch (control) {
    case SQLITE_FCNTL_LOCKSTATE:
        *(int *)argument = self->lock;
        return SQLITE_OK;
    case SQLITE_FCNTL_PERSIST_WAL:
        control_switch(&self->keeps_wal, argument);
        return SQLITE_OK;
    case SQLITE_FCNTL_VFSNAME:
        *(char **)argument = sqlite3_mprintf("%s", SIM_VFS_NAME);
        return SQLITE_OK;
    case SQLITE_FCNTL_HAS_MOVED:
        *(int *)argument = has_moved(self);
        return SQLITE_OK;
    case SQLITE_FCNTL_SIZE_HINT:
        return SQLITE_OK;
    default:
        return SQLITE_NOTFOUND;
    }
}

static int vfs_sector_size(sqlite3_file *file) {
    (void)file;
    return SECTOR_BYTES;
}

static int vfs_characteristics(sqlite3_file *file) {
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = vfs_close,
    .xRead = vfs_read,
    .xWrite = vfs_write,
    .xTruncate = vfs_truncate,
    .xSync = vfs_sync,
    .xFileSize = vfs_file_size,
    .xLock = sim_vfs_lock,
    .xUnlock = sim_vfs_unlock,
    .xCheckReservedLock = sim_vfs_check_reserved,
    .xFileControl = vfs_file_control,
    .xSectorSize = vfs_sector_size,
    .xDeviceCharacteristics = vfs_characteristics,
    .xShmMap = sim_vfs_shm_map,
    .xShmLock = sim_vfs_shm_lock,
    .xShmBarrier = sim_vfs_shm_barrier,
    .xShmUnmap = sim_vfs_shm_unmap,
};

/* ---- names ---- */

static bool is_journal(int flags) {
    return (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL)) != 0;
}

static unsigned how_to_open(int flags) {
    unsigned how = (flags & SQLITE_OPEN_READWRITE) != 0 ? SIM_OPEN_WRITE : 0u;

    how |= (flags & SQLITE_OPEN_CREATE) != 0 ? SIM_OPEN_CREATE : 0u;
    how |= (flags & SQLITE_OPEN_EXCLUSIVE) != 0 ? SIM_OPEN_NEW : 0u;
    return how;
}

/* Whatever is deleted on close is as good as nameless. */
static int open_handle(struct sim_file *file, const char *path, int flags) {
    const bool is_temporary = path == NULL || (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;

    sim_point();
    if (is_temporary) {
        return sim_open(SIM_SQLITE, NULL, SIM_OPEN_WRITE | SIM_OPEN_CREATE | SIM_OPEN_SCRATCH, MODE,
                        &file->handle) == SIM_OK
                   ? SQLITE_OK
                   : SQLITE_CANTOPEN;
    }
    file->path = sqlite3_mprintf("%s", path);
    if (file->path == NULL) {
        return SQLITE_NOMEM;
    }
    return sim_open(SIM_SQLITE, path, how_to_open(flags), MODE, &file->handle) == SIM_OK
               ? SQLITE_OK
               : SQLITE_CANTOPEN;
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *opened, int flags,
                    int *flags_out) {
    struct sim_file *file = file_of(opened);
    int rc;

    (void)vfs;
    memset(file, 0, sizeof *file);
    rc = open_handle(file, path, flags);
    if (rc == SQLITE_OK && (flags & SQLITE_OPEN_MAIN_DB) != 0) {
        rc = sim_locks_open(file);
    }
    if (rc != SQLITE_OK) {
        sim_close(file->handle);
        sqlite3_free(file->path);
        return rc;
    }
    file->syncs_directory =
        file->path != NULL && (flags & SQLITE_OPEN_CREATE) != 0 && is_journal(flags);
    file->head.pMethods = &methods;
    if (flags_out != NULL) {
        *flags_out = flags;
    }
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int syncs_directory) {
    enum sim_result result;

    (void)vfs;
    sim_point();
    result = sim_path_remove(SIM_SQLITE, path);
    if (result == SIM_MISSING) {
        return SQLITE_IOERR_DELETE_NOENT;
    }
    if (result != SIM_OK) {
        return SQLITE_IOERR_DELETE;
    }
    if ((syncs_directory & 1) != 0) {
        result = sync_directory_of(path);
        return result == SIM_OK || result == SIM_NO_HANDLE ? SQLITE_OK : SQLITE_IOERR_DIR_FSYNC;
    }
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *result) {
    struct sim_info info;

    (void)vfs;
    sim_point();
    *result = sim_path_info(SIM_SQLITE, path, &info) == SIM_OK &&
              (flags != SQLITE_ACCESS_EXISTS || info.is_directory || info.size_bytes > 0);
    return SQLITE_OK;
}

/* Names are absolute on this disk; tests give no others. */
static int vfs_full_pathname(sqlite3_vfs *vfs, const char *path, int room, char *full) {
    (void)vfs;
    sqlite3_snprintf(room, full, "%s%s", path[0] == '/' ? "" : "/", path);
    return SQLITE_OK;
}

/* ---- the rest of a system ---- */

static int vfs_randomness(sqlite3_vfs *vfs, int count, char *bytes) {
    (void)vfs;
    for (int i = 0; i < count; i++) {
        bytes[i] = (char)sim_next(&random_state);
    }
    return count;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds) {
    (void)vfs;
    sim_sleep_ns((uint64_t)microseconds * NS_PER_US);
    return microseconds;
}

static int vfs_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *milliseconds) {
    (void)vfs;
    *milliseconds = JULIAN_EPOCH_MS + (sqlite3_int64)(sim_env_wall_clock_ns() / NS_PER_MS);
    return SQLITE_OK;
}

static int vfs_time(sqlite3_vfs *vfs, double *days) {
    sqlite3_int64 milliseconds;

    (void)vfs_time_ms(vfs, &milliseconds);
    *days = (double)milliseconds / 86400000.0;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int room, char *message) {
    (void)vfs;
    (void)room;
    (void)message;
    return 0;
}

int sim_vfs_register(void) {
    static sqlite3_vfs vfs = {
        .iVersion = 2,
        .szOsFile = (int)sizeof(struct sim_file),
        .mxPathname = 512,
        .zName = SIM_VFS_NAME,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_pathname,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_time_ms,
    };

    return sqlite3_vfs_register(&vfs, 1);
}

/* SQLite's generator takes its seed again from xRandomness. */
void sim_vfs_life(uint64_t seed) {
    random_state = seed;
    sqlite3_randomness(0, NULL);
}
