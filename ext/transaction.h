/* transaction.h - the joint commit: one SQLite transaction, any number of stores.
 *
 * transaction.c tells the protocol. All functions belong to one connection and act on all
 * its stores at once; they are what the transaction methods of every table object, and of
 * the watcher, call. Calling them again for the same event does nothing.
 */
#ifndef FASTER_EXT_TRANSACTION_H
#define FASTER_EXT_TRANSACTION_H

#include "attachment.h"
#include "connection.h"
#include "table.h"

/* Makes sure that the table's store has an open transaction of this connection. To be called
 * before every write; SQLite holds the database's write lock. On SQLITE_OK
 * (*attachment)->txn is set. */
int transaction_write(struct table *table, struct attachment **attachment);

/* A statement of ours that meets NOMEM, IOERR or FULL makes SQLite roll back the whole
 * transaction at once. Whoever goes on in spite of such a failure asks here first, while SQLite
 * should hold the write lock: SQLITE_OK if it does, else `code` with a message. */
int transaction_check(struct connection *connection, const char *schema_name, int code);

/* xSync, xCommit, xRollback. */
int transaction_sync(struct connection *connection);
void transaction_commit(struct connection *connection);
void transaction_rollback(struct connection *connection);

/* xSavepoint, xRelease, xRollbackTo. */
int transaction_savepoint(struct connection *connection, int level);
int transaction_release(struct connection *connection, int level);
int transaction_rollback_to(struct connection *connection, int level);

/* Enlists the watcher in the open transaction. */
int transaction_watch(struct connection *connection);
/* Makes sure that the watcher has an object: its xDisconnect ends what must end before
 * sqlite3_close() looks for open statements. */
int transaction_connect_watcher(struct connection *connection);
/* Registers the watcher's module with the connection; SQLite's result code. */
int transaction_register_watcher(struct connection *connection);

/* The connection is closing: what is still open is rolled back. */
void transaction_abandon(struct connection *connection);

#endif
