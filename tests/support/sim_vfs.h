/* sim_vfs.h - SQLite's files on the mounted disk (sim_disk.h).
 *
 *     sim_vfs.c        the VFS and its files
 *     sim_vfs_lock.c   the five locks of a database file
 *     sim_vfs_shm.c    the memory that connections in WAL mode share
 *
 * It does what SQLite's own VFS for POSIX does, no more: what that leaves unsynced, this does, too.
 * Locks and shared memory belong to a file of one disk, and go with it: a power cut leaves none.
 */
#ifndef FST_TESTS_SUPPORT_SIM_VFS_H
#define FST_TESTS_SUPPORT_SIM_VFS_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "sim_disk.h"

#define SIM_VFS_NAME "sim"

struct sim_locks;  /* of one inode */
struct sim_shared; /* of one inode */

/* What SQLite sees as a sqlite3_file. */
struct sim_file {
    sqlite3_file head;
    struct sim_handle *handle;
    char *path;                   /* NULL: a temporary file */
    bool syncs_directory;         /* its next sync also makes its name durable */
    bool keeps_wal;               /* SQLITE_FCNTL_PERSIST_WAL */
    int lock;                     /* SQLITE_LOCK_... */
    struct sim_locks *locks;      /* of a database file, or NULL */
    struct sim_shared *shared;    /* mapped, or NULL */
    uint16_t shared_slots;        /* of the eight, those held shared */
    uint16_t exclusive_slots;     /* ... and exclusively */
    struct sim_file *next_shared; /* the next that maps the same */
};

/* Registers the VFS as the default one. */
int sim_vfs_register(void);
/* A new process: random numbers that follow from the seed. */
void sim_vfs_life(uint64_t seed);

/* ---- sim_vfs_lock.c ---- */

/* OK or NOMEM. */
int sim_locks_open(struct sim_file *file);
void sim_locks_close(struct sim_file *file);
int sim_vfs_lock(sqlite3_file *file, int level);
int sim_vfs_unlock(sqlite3_file *file, int level);
int sim_vfs_check_reserved(sqlite3_file *file, int *is_reserved);

/* ---- sim_vfs_shm.c ---- */

int sim_vfs_shm_map(sqlite3_file *file, int region, int region_bytes, int extends,
                    void volatile **mapped);
int sim_vfs_shm_lock(sqlite3_file *file, int offset, int count, int flags);
void sim_vfs_shm_barrier(sqlite3_file *file);
int sim_vfs_shm_unmap(sqlite3_file *file, int deletes);

#endif
