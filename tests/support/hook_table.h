/* hook_table.h - a virtual table whose transaction callbacks call the test.
 *
 * `INSERT INTO hook VALUES(1)` enlists it. SQLite calls the callbacks of all enlisted
 * tables in the order in which they were enlisted, so a hook enlisted before a FASTER
 * table runs code between SQLite's own commit (or rollback) and that table's xCommit (or
 * xRollback): the moment in which another connection may already be writing.
 */
#ifndef TESTS_HOOK_TABLE_H
#define TESTS_HOOK_TABLE_H

#include <sqlite3.h>

enum hook_event { HOOK_SYNC, HOOK_COMMIT, HOOK_ROLLBACK };

/* Called on the connection's thread. The result counts for HOOK_SYNC only. */
typedef int hook_fn(void *context, enum hook_event event);

/* Creates the temporary table `hook` in `db`. One per connection. */
void hook_table_create(sqlite3 *db, hook_fn *hook, void *context);

#endif
