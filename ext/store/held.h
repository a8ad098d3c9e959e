/* held.h - a reader's snapshot between its statements.
 *
 * Within BEGIN ... COMMIT a reader must find the same rows again, however much other
 * connections commit and reclaim between two of its SELECTs. So the view of its last cursor is
 * kept when the cursor closes outside of autocommit. SQLite does not tell when a transaction
 * that only read has ended: the view goes when the connection next uses the store, or when
 * somebody else wants to reclaim space and finds, with the owner's mutex in hand, that the
 * owner reads no more. Without such a mutex (SQLITE_OPEN_NOMUTEX) only the former.
 */
#ifndef FASTER_EXT_HELD_H
#define FASTER_EXT_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sqlite_api.h"
#include "faster.h"

/* One for each use of a store by a connection, its owner. All zero keeps nothing. In the list
 * while is_held, so that other connections find it. */
struct held_snapshot {
    struct held_snapshot *next; /* any thread, under held_mutex (held.c) */
    /* Written and read with the owner's connection mutex in hand: by the owner, and by
     * another's held_release_idle(), which has got hold of it by trying. What takes it out of
     * the list holds held_mutex, too. */
    bool is_held;
    struct faster_snapshot snapshot;
    uint64_t number; /* of the commit it shows */
    /* Borrowed from the owner. Written by held_init(), before it is first in the list, then
     * the same to its end: read by any thread that holds held_mutex. */
    sqlite3 *db;
    const char *schema_name;
    const struct faster_store *store;
    struct faster_session *keeper; /* closes the snapshot, whatever became of the owner's */
};

/* All functions belong to the owner, in a method of its connection. */

void held_init(struct held_snapshot *held, sqlite3 *db, const char *schema_name,
               const struct faster_store *store, struct faster_session *keeper);
/* Takes over an open snapshot of commit `number`. */
void held_keep(struct held_snapshot *held, const struct faster_snapshot *snapshot, uint64_t number);
/* Drops what is kept unless the transaction still reads commit `number`. */
void held_update(struct held_snapshot *held, uint64_t number);
void held_release(struct held_snapshot *held);

/* Drops what connections keep that read no more, for a store that `self` wants to trim. */
void held_release_idle(struct held_snapshot *self);

#endif
