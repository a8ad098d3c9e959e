/* command.h - the command column. */
#ifndef FASTER_EXT_COMMAND_H
#define FASTER_EXT_COMMAND_H

#include "base/sqlite_api.h"
#include "table/table.h"

/* An INSERT with a value in the command column; takes xUpdate's arguments. */
int command_run(struct table *table, sqlite3_value **argv);
/* Makes everything that was written to a direct table before durable, by whatever connection.
 * SQLITE_ERROR for any other table. Takes no lock of SQLite's. */
int command_commit(struct table *table);

#endif
