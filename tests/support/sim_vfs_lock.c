/* sim_vfs_lock.c - the five locks of a database file; see sim_vfs.h.
 *
 * Connections of one process exclude each other as os_unix.c's do through the inode they share:
 *
 *   SHARED     unless another holds PENDING or EXCLUSIVE
 *   RESERVED   unless another holds RESERVED or more
 *   EXCLUSIVE  as RESERVED; then PENDING is held, and EXCLUSIVE once no other has SHARED
 *
 * Locks that are taken may fail, with any fault of SIM_CALL_LOCK; giving them back never does.
 */
#include "sim_vfs.h"

#include <stdlib.h>

#include "sim_run.h"

struct sim_locks {
    struct sim_locks *next;
    const struct sim_disk *disk;
    uint64_t inode;
    uint32_t user_count;
    uint32_t shared_count;          /* files with SHARED or more */
    const struct sim_file *highest; /* the one with RESERVED or more, or NULL */
};

static struct sim_locks *all_locks;

int sim_locks_open(struct sim_file *file) {
    const struct sim_disk *disk = sim_handle_disk(file->handle);
    const uint64_t inode = sim_handle_inode(file->handle);
    struct sim_locks *locks = all_locks;

    while (locks != NULL && (locks->disk != disk || locks->inode != inode)) {
        locks = locks->next;
    }
    if (locks == NULL) {
        locks = calloc(1, sizeof *locks);
        if (locks == NULL) {
            return SQLITE_NOMEM;
        }
        locks->disk = disk;
        locks->inode = inode;
        locks->next = all_locks;
        all_locks = locks;
    }
    locks->user_count++;
    file->locks = locks;
    return SQLITE_OK;
}

void sim_locks_close(struct sim_file *file) {
    struct sim_locks *locks = file->locks;

    if (locks != NULL) {
        struct sim_locks **link = &all_locks;
        (void)sim_vfs_unlock(&file->head, SQLITE_LOCK_NONE);
        file->locks = NULL;
        if (--locks->user_count == 0) {
            while (*link != locks) {
                link = &(*link)->next;
            }
            *link = locks->next;
            free(locks);
        }
    }
}

static int take_shared(struct sim_file *file) {
    struct sim_locks *locks = file->locks;

    if (locks->highest != NULL && locks->highest->lock >= SQLITE_LOCK_PENDING) {
        return SQLITE_BUSY;
    }
    locks->shared_count++;
    file->lock = SQLITE_LOCK_SHARED;
    return SQLITE_OK;
}

int sim_vfs_lock(sqlite3_file *handle, int level) {
    struct sim_file *file = (struct sim_file *)handle;
    struct sim_locks *locks = file->locks;

    if (locks == NULL || file->lock >= level) {
        return SQLITE_OK;
    }
    sim_point();
    if (sim_lock_elsewhere(file->handle) != SIM_OK) {
        return SQLITE_IOERR_LOCK;
    }
    if (level == SQLITE_LOCK_SHARED) {
        return take_shared(file);
    }
    if (locks->highest != NULL && locks->highest != file) {
        return SQLITE_BUSY;
    }
    locks->highest = file;
    if (level == SQLITE_LOCK_RESERVED) {
        file->lock = SQLITE_LOCK_RESERVED;
        return SQLITE_OK;
    }
    file->lock = SQLITE_LOCK_PENDING;
    if (locks->shared_count > 1) {
        return SQLITE_BUSY;
    }
    file->lock = SQLITE_LOCK_EXCLUSIVE;
    return SQLITE_OK;
}

int sim_vfs_unlock(sqlite3_file *handle, int level) {
    struct sim_file *file = (struct sim_file *)handle;
    struct sim_locks *locks = file->locks;

    if (locks == NULL || file->lock <= level) {
        return SQLITE_OK;
    }
    sim_point();
    if (locks->highest == file) {
        locks->highest = NULL;
    }
    if (level == SQLITE_LOCK_NONE) {
        locks->shared_count--;
    }
    file->lock = level;
    return SQLITE_OK;
}

int sim_vfs_check_reserved(sqlite3_file *handle, int *is_reserved) {
    const struct sim_file *file = (struct sim_file *)handle;

    sim_point();
    *is_reserved = file->locks != NULL && file->locks->highest != NULL;
    return SQLITE_OK;
}
