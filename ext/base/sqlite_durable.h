/* sqlite_durable.h - makes what SQLite has committed safe from a power cut. */
#ifndef FASTER_EXT_SQLITE_DURABLE_H
#define FASTER_EXT_SQLITE_DURABLE_H

#include "base/sqlite_api.h"

/* Syncs the files that hold the last commits of a schema, whatever its journal mode and
 * PRAGMA synchronous are. Returns at once for a database without a file. To be called from
 * within a callback of the connection. SQLITE_OK or SQLITE_IOERR_*. */
int sqlite_durable(sqlite3 *db, const char *schema_name);

#endif
