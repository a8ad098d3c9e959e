/* system.h - what the extension asks the operating system itself, about the database's files.
 *
 * Everything about the store's files goes through the engine. Tests stand in front of these three,
 * as of the engine's environment, so that SQLite's files and the store's lie on one disk. */
#ifndef FASTER_EXT_SYSTEM_H
#define FASTER_EXT_SYSTEM_H

#include <stdbool.h>

/* Makes a file's bytes and size durable, or a directory's names. No file may be locked by this
 * process under POSIX's rules: closing it would drop the locks. A missing one is as durable as it
 * can be. Links are not followed to files. SQLITE_OK or SQLITE_IOERR_FSYNC. */
int system_sync_file(const char *path);
int system_sync_directory(const char *path);

/* Whether the file may be written; false if it is missing. */
bool system_may_write(const char *path);

#endif
