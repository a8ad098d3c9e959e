/* loop_disk.h - a small ext4 file system that can be filled, and whose power can be cut.
 *
 * It lies in memory, behind a loop device, and is mounted in a mount namespace of this process and
 * its children: when the last of them ends, however it does, the system unmounts it and frees the
 * device. Only an empty directory below TMPDIR is left behind by SIGKILL, and not by SIGTERM.
 * One at a time.
 */
#ifndef TESTS_LIMITS_LOOP_DISK_H
#define TESTS_LIMITS_LOOP_DISK_H

#include "sql_support.h"

/* Ends the program with TEST_EXIT_SKIP and a line that says what is missing, unless this process
 * may make such a disk. Call it before any thread is started. */
void loop_disk_require(void);

/* Makes the file system and mounts it; *path is where. It has no room kept for root. */
void loop_disk_make(uint64_t size_bytes, const char *mount_options, char path[TEST_PATH_BYTES]);
const char *loop_disk_path(void);
/* Unmounts, and frees the device and the memory. Nothing may be open there. */
void loop_disk_remove(void);

/* As if the power were cut: what only the page cache knows never gets to the disk, and whoever
 * writes from now on gets EIO. With `journal_written` ext4's journal gets there before. */
void loop_disk_cut(bool journal_written);
/* The power is back: mounts what got to the disk. Nothing may be open there. */
void loop_disk_restart(const char *mount_options);

#endif
