/* sim_disk.h - a file system in memory that remembers every change of itself.
 *
 * The engine's environment and SQLite's VFS lie on the same disk, so one log holds the writes,
 * syncs and changes of names of both, in the order in which they happened. A test runs a
 * workload once, undisturbed; what a crash at any moment of it may leave is computed from the
 * log afterwards (sim_crash.h). While it runs, calls may be made to fail (sim_fault_arm()).
 *
 * The disk behaves as a journaling file system on a disk with a volatile cache:
 *
 * - a write is durable when its file was synced after it, as is the file's size; a sync says
 *   nothing about names or other files;
 * - a name is durable when its directory was synced; a rename is atomic, but not durable before;
 * - after a sync that failed the outcome is unknown, and bytes that it lost are never tried again
 *   unless they are written again;
 * - a sector of 512 bytes is written whole or not at all; its neighbours are not harmed.
 *
 * There are no links, no owners that forbid anything, and no relative paths. Everything belongs
 * to one thread: fibres of one are fine. A lack of memory ends the program.
 *
 *     struct sim_disk *disk = sim_disk_create(NULL);
 *     sim_disk_mount(disk);
 *     ... sim_open(), sim_write(), ...; then the cursor of sim_crash.h, or sim_disk_image() ...
 *     sim_disk_mount(NULL);
 *     sim_disk_destroy(disk);
 */
#ifndef TESTS_SUPPORT_SIM_DISK_H
#define TESTS_SUPPORT_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_disk;
struct sim_image;
struct sim_handle;

#define SIM_SECTOR_BYTES 512u

enum sim_result {
    SIM_OK,
    SIM_MISSING,
    SIM_EXISTS,  /* of a directory to be removed: it is not empty */
    SIM_NO_FILE, /* a directory where a file is meant, or a file where a directory is */
    SIM_BUSY,
    SIM_NO_SPACE,
    SIM_NO_HANDLE, /* EMFILE */
    SIM_FAILED     /* EIO */
};

/* On whose behalf a call is made; the log, its hash and faults tell them apart. */
enum sim_side { SIM_ENGINE = 1, SIM_SQLITE = 2 };
#define SIM_SIDES 2

enum sim_call {
    SIM_CALL_OPEN,
    SIM_CALL_READ,
    SIM_CALL_WRITE,
    SIM_CALL_TRUNCATE,
    SIM_CALL_SYNC,
    SIM_CALL_SIZE,
    SIM_CALL_LOCK,
    SIM_CALL_INFO,
    SIM_CALL_RENAME,
    SIM_CALL_REMOVE,
    SIM_CALL_MKDIR,
    SIM_CALL_RMDIR,
    SIM_CALL_DIRSYNC,
    SIM_CALL_LIST,
    SIM_CALL_COUNT
};

/* What the log holds. Calls that change nothing, as reads, are not in it. */
enum sim_op {
    SIM_OP_WRITE,
    SIM_OP_TRUNCATE,
    SIM_OP_SYNC,      /* of a file, successful */
    SIM_OP_SYNC_LOST, /* of a file; what was not durable will never be */
    SIM_OP_NAMES,     /* a creation, removal or rename */
    SIM_OP_DIRSYNC,
    SIM_OP_OWN, /* a mode and owner: durable at once */
    SIM_OP_MARK
};

struct sim_info {
    bool is_directory;
    uint64_t size_bytes;
    uint64_t inode;
    uint32_t mode, user, group;
};

/* ---- disks ---- */

/* A disk with the content of `from`, which may be released afterwards; NULL: an empty root
 * directory. The caller destroys it when no handle of it is open any more, and after every cursor
 * on it. Destroying the mounted disk leaves none mounted. */
struct sim_disk *sim_disk_create(const struct sim_image *from);
void sim_disk_destroy(struct sim_disk *disk);

/* Paths mean the mounted disk from here on; NULL: none. Handles stay with the disk they were
 * opened on. Returns the disk that was mounted before. */
struct sim_disk *sim_disk_mount(struct sim_disk *disk);
struct sim_disk *sim_disk_mounted(void);

uint64_t sim_disk_open_handles(const struct sim_disk *disk);

/* Files may hold so many bytes in all, counted in blocks of 4096; a write beyond stores what fits
 * and returns SIM_NO_SPACE. UINT64_MAX, as at first: no limit. */
void sim_disk_set_space(struct sim_disk *disk, uint64_t bytes);
uint64_t sim_disk_used_space(const struct sim_disk *disk);

/* ---- files ---- */

/* Flags of sim_open(). SCRATCH is a temporary file without a name: path NULL, not in the log,
 * gone when it is closed. */
enum { SIM_OPEN_WRITE = 1, SIM_OPEN_CREATE = 2, SIM_OPEN_NEW = 4, SIM_OPEN_SCRATCH = 8 };

/* OK, MISSING, EXISTS (NEW), NO_FILE, or a fault's result. The handle is to be closed; a file
 * without a name lives until then. */
enum sim_result sim_open(enum sim_side side, const char *path, unsigned flags, uint32_t mode,
                         struct sim_handle **handle);
void sim_close(struct sim_handle *handle); /* NULL: nothing */

/* `*done` is less than `count` only at the end of the file, or by SIM_SHORT. */
enum sim_result sim_read(struct sim_handle *handle, uint64_t offset, void *bytes, size_t count,
                         size_t *done);
enum sim_result sim_write(struct sim_handle *handle, uint64_t offset, const void *bytes,
                          size_t count);
enum sim_result sim_truncate(struct sim_handle *handle, uint64_t size_bytes);
enum sim_result sim_size(struct sim_handle *handle, uint64_t *size_bytes);
enum sim_result sim_sync(struct sim_handle *handle);
/* An exclusive lock on the file until this handle is closed, as flock(): OK or BUSY. */
enum sim_result sim_flock(struct sim_handle *handle);
/* A lock on a part of the file, of which the caller keeps account itself: OK, or a fault's
 * result. */
enum sim_result sim_lock_elsewhere(struct sim_handle *handle);

uint64_t sim_handle_inode(const struct sim_handle *handle);
const struct sim_disk *sim_handle_disk(const struct sim_handle *handle);
/* Durable at once. */
void sim_handle_own(struct sim_handle *handle, uint32_t mode, uint32_t user, uint32_t group);

/* ---- names ---- */

enum sim_result sim_path_info(enum sim_side side, const char *path, struct sim_info *info);
/* Within a directory. An existing file at `to` is replaced. */
enum sim_result sim_path_rename(enum sim_side side, const char *from, const char *to);
enum sim_result sim_path_remove(enum sim_side side, const char *path);
enum sim_result sim_path_own(enum sim_side side, const char *path, uint32_t mode, uint32_t user,
                             uint32_t group);
enum sim_result sim_directory_create(enum sim_side side, const char *path, uint32_t mode);
enum sim_result sim_directory_remove(enum sim_side side, const char *path);
enum sim_result sim_directory_sync(enum sim_side side, const char *path);
/* Each name, ascending; false from `each` ends the list. `each` may change the directory. */
enum sim_result sim_directory_list(enum sim_side side, const char *path,
                                   bool (*each)(void *, const char *), void *context);

/* ---- the log ---- */

uint64_t sim_log_length(const struct sim_disk *disk);
/* Puts an entry of the test's own into the mounted disk's log, such as "commit 7 was
 * acknowledged". */
void sim_mark(uint32_t kind, uint64_t number);
/* Whether the entry before boundary `position` is a mark. */
bool sim_log_mark(const struct sim_disk *disk, uint64_t position, uint32_t *kind, uint64_t *number);
/* Two runs with the same hash did the same: of every field of every entry. */
uint64_t sim_log_hash(const struct sim_disk *disk);
/* Prints entries `from` to `to` (exclusive), one a line, for the report of a failure. */
void sim_log_print(const struct sim_disk *disk, uint64_t from, uint64_t to);
/* What entries say about who made the call: a number, 0 until this is set. */
void sim_log_identify(uint32_t (*fibre)(void));

/* ---- faults, of the mounted disk ---- */

enum sim_effect {
    SIM_EIO,         /* nothing is carried out */
    SIM_EIO_HALF,    /* write: the first half is */
    SIM_EIO_DONE,    /* all is: write, truncate, sync, changes of names */
    SIM_EIO_LOST,    /* sync of a file: see SIM_OP_SYNC_LOST */
    SIM_ENOSPC,      /* open that creates, write, truncate, sync, changes of names */
    SIM_ENOSPC_HALF, /* write */
    SIM_EMFILE,      /* whatever opens: also the sync and the list of a directory */
    SIM_SHORT,       /* read: half, and no error */
    /* Read and write, and no error: */
    SIM_FLIP,     /* one bit of the middle byte */
    SIM_STALE,    /* a write is not carried out; a read gives what was there at sim_fault_arm() */
    SIM_MISDIRECT /* writes land, reads come from, one sector on */
};

enum {
    SIM_FILE_SEGMENT = 1,  /* log.<12 hexadecimal digits> */
    SIM_FILE_MANIFEST = 2, /* and temporary ones */
    SIM_FILE_SMALL = 4,    /* store, lock, unsettled */
    SIM_FILE_DATABASE = 8, /* any file that is of none of these classes */
    SIM_FILE_JOURNAL = 16, /* -journal, -wal, and SCRATCH */
    SIM_FILE_DIRECTORY = 32,
    SIM_FILE_CHECKPOINT = 64, /* roots, copies of the index, and temporary ones */
    SIM_FILE_CLASSES = 7
};

/* Calls of these kinds on these files, to which the effect applies, are numbered from 1; `times` of
 * them fail, from `first` on. A rename counts as a call on the file of the new name. */
struct sim_fault {
    uint32_t calls; /* bits 1 << enum sim_call */
    uint32_t files; /* SIM_FILE_... */
    uint64_t first, times;
    enum sim_effect effect;
    uint32_t sides; /* enum sim_side, or both of them; 0: whichever makes the call */
};

/* One at a time; NULL heals. */
void sim_fault_arm(const struct sim_fault *fault);
/* How often the armed fault, or the one that was healed last, has struck. */
uint64_t sim_fault_fired(void);
/* Whether the effect is one of the call's. */
bool sim_fault_applies(enum sim_call call, enum sim_effect effect);
/* Calls of these kinds on these files since the disk was made: where an enumeration ends. */
uint64_t sim_calls(uint32_t calls, uint32_t files);
uint64_t sim_calls_of(uint32_t sides, uint32_t calls, uint32_t files); /* as in sim_fault */

#endif
