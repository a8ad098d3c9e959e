/* transaction.h - the joint commit: one SQLite transaction, any number of stores.
 *
 * transaction.c tells the protocol. All functions belong to one connection and act on all
 * its stores at once; they are what the transaction methods of every table object, and of
 * the watcher, call. Calling them again for the same event does nothing.
 */
#ifndef FASTER_EXT_TRANSACTION_H
#define FASTER_EXT_TRANSACTION_H

#include "store/attachment.h"
#include "store/connection.h"
#include "table/table.h"

/* Makes sure that the table's store has an open transaction of this connection. To be called
 * before every write by a statement; SQLite holds the database's write lock. On SQLITE_OK
 * (*attachment)->txn is set. A direct table has none: what is written is to be added to
 * (*attachment)->tally. */
int transaction_write(struct table *table, struct attachment **attachment);

/* xSync, xCommit, xRollback. */
int transaction_sync(struct connection *connection);
void transaction_commit(struct connection *connection);
void transaction_rollback(struct connection *connection);

/* xSavepoint, xRelease, xRollbackTo. */
int transaction_savepoint(struct connection *connection, int level);
int transaction_release(struct connection *connection, int level);
int transaction_rollback_to(struct connection *connection, int level);

/* A connection_end_fn: rolls back what is still open and gives the stores back. */
void transaction_abandon(struct connection *connection);

#endif
