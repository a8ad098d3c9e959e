/* fault_vfs.h - counts and fails the syncs of SQLite and of the store from outside.
 *
 * A VFS named "fault" wraps the default one: it counts xSync by the kind of file and fails
 * the n-th one. Beside it fsync(), fdatasync() and pwrite() of the test program stand in
 * front of libc's, so that every sync of the process is counted, whoever makes it, and
 * those of files below a given directory can be failed; and liburing finds no io_uring. Not for
 * several threads at once, except the counters.
 */
#ifndef TESTS_FAULT_VFS_H
#define TESTS_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

enum fault_file { FAULT_DATABASE, FAULT_JOURNAL, FAULT_WAL, FAULT_OTHER };

/* What a failing sync does before it returns SQLITE_IOERR_FSYNC. */
enum fault_manner {
    FAULT_WITHOUT_SYNC, /* nothing */
    FAULT_AFTER_SYNC    /* it really syncs */
};

/* Registers the VFS "fault". */
void fault_vfs_register(void);
/* The sync of this kind of file that comes after `skip` others fails, once. */
void fault_vfs_fail_sync(enum fault_file file, unsigned skip, enum fault_manner manner);
/* Takes back a fault that has not come yet. True if it has come. */
bool fault_vfs_clear(void);

/* All fsync() and fdatasync() calls of this process so far. */
unsigned fault_process_sync_count(void);
/* From now on fsync() and fdatasync() of files whose path contains `part` fail with EIO
 * after `skip` good ones. NULL: none. `part` must live on. */
void fault_process_fail_sync(const char *part, unsigned skip);
/* From now on pwrite() to such files fails with ENOSPC after `skip` good ones. */
void fault_process_fail_write(const char *part, unsigned skip);

#endif
