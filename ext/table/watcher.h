/* watcher.h - the virtual table without rows that sees how a transaction with DROP or rename ends.
 *
 * transaction.c tells why it is needed.
 */
#ifndef FASTER_EXT_WATCHER_H
#define FASTER_EXT_WATCHER_H

#include "store/connection.h"

/* Registers the watcher's module with the connection; SQLite's result code. */
int watcher_register(struct connection *connection);
/* Makes sure that the watcher has an object: its xDisconnect ends the statements of statements.h
 * before sqlite3_close() looks for open ones. */
int watcher_ensure_object(struct connection *connection);
/* Enlists the watcher in the open transaction. */
int watcher_enlist(struct connection *connection);

#endif
