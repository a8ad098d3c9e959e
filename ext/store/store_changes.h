/* store_changes.h - stores that the open transaction made or dropped.
 *
 * xCreate makes a store's directory at once, xDestroy removes nothing. What becomes of the
 * directory is settled when the transaction ends, by a look whether the schema still names the
 * store's UUID: that is right whatever savepoints were rolled back in between. Files of a
 * dropped store go when the DROP is safe from a power cut (sqlite_durable.c); those of a
 * CREATE whose commit is in doubt stay, garbage.c finds them later.
 */
#ifndef FASTER_EXT_STORE_CHANGES_H
#define FASTER_EXT_STORE_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "store/connection.h"

struct store_home;

/* Remember a change of the database at `home`. `directory` is NULL in memory. SQLITE_OK or
 * SQLITE_NOMEM. A drop that is not watched (watcher.h) is settled by the next commit that this
 * connection is told of, or by store_changes_settle_unwatched(). */
int store_changes_note_create(struct connection *connection, const char *schema_name,
                              const uint8_t uuid[FASTER_UUID_BYTES], const struct store_home *home,
                              const char *directory);
int store_changes_note_drop(struct connection *connection, const char *schema_name,
                            const uint8_t uuid[FASTER_UUID_BYTES], const struct store_home *home,
                            const char *directory, bool watched);

/* True if the open transaction made or dropped this store. */
bool store_changes_has(const struct connection *connection, const uint8_t uuid[FASTER_UUID_BYTES]);

/* True if it made it. */
bool store_changes_has_created(const struct connection *connection,
                               const uint8_t uuid[FASTER_UUID_BYTES]);

/* In xSync: looks which of them the schema still names. */
int store_changes_sync(struct connection *connection);
/* After that: true if the store is one of them and no table names it. */
bool store_changes_dropped(const struct connection *connection,
                           const uint8_t uuid[FASTER_UUID_BYTES]);

/* Told of a store that this connection will find no table of any more. */
typedef void store_changes_gone_fn(struct connection *connection,
                                   const uint8_t uuid[FASTER_UUID_BYTES]);

/* The transaction has ended: removes what has no table, and forgets all changes. `gone` is
 * called for each store that was dropped or whose CREATE was undone. */
void store_changes_settle(struct connection *connection, bool committed,
                          store_changes_gone_fn *gone);
/* Where SQL may be run: settles the unwatched drops whose transaction is over. */
void store_changes_settle_unwatched(struct connection *connection, store_changes_gone_fn *gone);
/* Forgets them and touches nothing. */
void store_changes_forget(struct connection *connection);

#endif
