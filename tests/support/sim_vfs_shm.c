/* sim_vfs_shm.c - the memory that connections in WAL mode share; see sim_vfs.h.
 *
 * It is the -shm file of os_unix.c, which nothing that must survive is in: the first connection
 * finds it empty, whatever a crash has left, and builds it again from the WAL. */
#include "sim_vfs.h"

#include <stdlib.h>
#include <string.h>

#include "sim_run.h"

#define REGIONS_MAX 64

struct sim_shared {
    struct sim_shared *next;
    const struct sim_disk *disk;
    uint64_t inode;
    struct sim_file *users; /* those that map it, and hold slots */
    void *regions[REGIONS_MAX];
};

static struct sim_shared *all_shared;

/* The shared memory of the file's inode; NULL: no memory. */
static struct sim_shared *find_or_make(const struct sim_file *file) {
    const struct sim_disk *disk = sim_handle_disk(file->handle);
    const uint64_t inode = sim_handle_inode(file->handle);
    struct sim_shared *shared = all_shared;

    while (shared != NULL && (shared->disk != disk || shared->inode != inode)) {
        shared = shared->next;
    }
    if (shared == NULL && (shared = calloc(1, sizeof *shared)) != NULL) {
        shared->disk = disk;
        shared->inode = inode;
        shared->next = all_shared;
        all_shared = shared;
    }
    return shared;
}

static int join(struct sim_file *file) {
    if (file->shared == NULL) {
        file->shared = find_or_make(file);
        if (file->shared == NULL) {
            return SQLITE_NOMEM;
        }
        file->next_shared = file->shared->users;
        file->shared->users = file;
    }
    return SQLITE_OK;
}

int sim_vfs_shm_map(sqlite3_file *handle, int region, int region_bytes, int extends,
                    void volatile **mapped) {
    struct sim_file *file = (struct sim_file *)handle;

    *mapped = NULL;
    sim_point();
    if (join(file) != SQLITE_OK || region >= REGIONS_MAX) {
        return SQLITE_NOMEM;
    }
    if (file->shared->regions[region] == NULL && extends != 0) {
        file->shared->regions[region] = calloc(1, (size_t)region_bytes);
        if (file->shared->regions[region] == NULL) {
            return SQLITE_NOMEM;
        }
    }
    *mapped = file->shared->regions[region];
    return SQLITE_OK;
}

static bool is_free(const struct sim_file *file, uint16_t slots, bool for_sharing) {
    for (const struct sim_file *other = file->shared->users; other != NULL;
         other = other->next_shared) {
        const unsigned held = for_sharing
                                  ? other->exclusive_slots
                                  : (unsigned)(other->exclusive_slots | other->shared_slots);
        if (other != file && (held & slots) != 0) {
            return false;
        }
    }
    return true;
}

int sim_vfs_shm_lock(sqlite3_file *handle, int offset, int count, int flags) {
    struct sim_file *file = (struct sim_file *)handle;
    const uint16_t slots = (uint16_t)(((1u << count) - 1u) << offset);
    const bool for_sharing = (flags & SQLITE_SHM_SHARED) != 0;

    if (file->shared == NULL) {
        return SQLITE_IOERR_SHMLOCK;
    }
    sim_point();
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        file->shared_slots &= (uint16_t)~slots;
        file->exclusive_slots &= (uint16_t)~slots;
        return SQLITE_OK;
    }
    /* os_unix.c says so of every lock that it does not get. */
    if (sim_lock_elsewhere(file->handle) != SIM_OK || !is_free(file, slots, for_sharing)) {
        return SQLITE_BUSY;
    }
    if (for_sharing) {
        file->shared_slots |= slots;
    } else {
        file->exclusive_slots |= slots;
    }
    return SQLITE_OK;
}

void sim_vfs_shm_barrier(sqlite3_file *file) {
    (void)file; /* one thread */
}

static void destroy(struct sim_shared *shared) {
    struct sim_shared **link = &all_shared;

    while (*link != shared) {
        link = &(*link)->next;
    }
    *link = shared->next;
    for (int i = 0; i < REGIONS_MAX; i++) {
        free(shared->regions[i]);
    }
    free(shared);
}

int sim_vfs_shm_unmap(sqlite3_file *handle, int deletes) {
    struct sim_file *file = (struct sim_file *)handle;
    struct sim_shared *shared = file->shared;

    (void)deletes; /* it goes with its last user in any case */
    if (shared != NULL) {
        struct sim_file **link = &shared->users;
        while (*link != file) {
            link = &(*link)->next_shared;
        }
        *link = file->next_shared;
        file->shared = NULL;
        file->shared_slots = 0;
        file->exclusive_slots = 0;
        if (shared->users == NULL) {
            destroy(shared);
        }
    }
    return SQLITE_OK;
}
