/* statements.h - the statements that writing functions run on a table.
 *
 * Kept per connection. A prepared statement holds on to the table objects it names, so a
 * table object cannot own it: SQLite would never disconnect the object at sqlite3_close(), and
 * refuse to close. The watcher (watcher.c) has no statements on it, is disconnected in
 * sqlite3_close() before SQLite looks for open statements, and finalises these.
 */
#ifndef FASTER_EXT_STATEMENTS_H
#define FASTER_EXT_STATEMENTS_H

#include "store/connection.h"
#include "table/table.h"

enum statements_kind {
    STATEMENTS_SET,
    STATEMENTS_DELETE,
    STATEMENTS_ADD, /* this and the next run a command */
    STATEMENTS_APPEND,
    STATEMENTS_CAS
};

/* Gives the statement for a table; `column` is the value column, or -1. The caller binds,
 * steps, and gives it back. SQLITE_OK, or a failure with its message in the connection.
 * REQUIRES: watcher_ensure_object() was called, so that somebody finalises it. */
int statements_take(struct table *table, enum statements_kind kind, int column,
                    sqlite3_stmt **statement);
/* Resets it; after a failure (`rc`) it is not kept: it may name what is gone. */
void statements_give_back(struct connection *connection, sqlite3_stmt *statement, int rc);

/* Finalises all that are not running. */
void statements_finish(struct connection *connection);

#endif
