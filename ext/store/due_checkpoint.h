/* due_checkpoint.h - checkpoints that a transactional store is due, at the moments when the
 * connection can say that a commit is safe.
 *
 * The store's own thread takes them (faster_store_checkpoint_claim()), all but the one before the
 * last close. What fails here fails nobody's statement: SQLite's error log tells, and the store
 * asks again.
 */
#ifndef FASTER_EXT_DUE_CHECKPOINT_H
#define FASTER_EXT_DUE_CHECKPOINT_H

#include "base/sqlite_api.h"
#include "faster.h"

/* After a commit, when SQLite's locks are gone, and within a callback of the connection. */
void due_checkpoint_after_commit(sqlite3 *db, const char *schema_name, struct faster_store *store);

/* Before a store is closed that nobody else uses: takes one if it pays, so that the next open has
 * less to read. Does nothing within a transaction. Blocks. */
void due_checkpoint_before_close(sqlite3 *db, const char *schema_name, const char *table_name,
                                 struct faster_store *store);

#endif
