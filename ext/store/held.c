/* held.c - see held.h.
 *
 * Locks: a connection's own mutex, then held_mutex. held_release_idle() goes the other way
 * round and therefore only tries. */
#include "store/held.h"

#include <pthread.h>

#include "store/registry.h"

static pthread_mutex_t held_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct held_snapshot *held_snapshots; /* of all connections; under held_mutex */

void held_init(struct held_snapshot *held, sqlite3 *db, const char *schema_name,
               const struct faster_store *store, struct faster_session *keeper) {
    *held = (struct held_snapshot){
        .db = db, .schema_name = schema_name, .store = store, .keeper = keeper};
}

static void unlink_locked(struct held_snapshot *held) {
    struct held_snapshot **link = &held_snapshots;
    while (*link != held) {
        link = &(*link)->next;
    }
    *link = held->next;
    held->is_held = false;
    faster_snapshot_close(&held->snapshot);
}

void held_release(struct held_snapshot *held) {
    if (held->is_held && !registry_forked()) {
        (void)pthread_mutex_lock(&held_mutex);
        if (held->is_held) {
            unlink_locked(held);
        }
        (void)pthread_mutex_unlock(&held_mutex);
    }
}

void held_keep(struct held_snapshot *held, const struct faster_snapshot *snapshot,
               uint64_t number) {
    held_release(held);
    held->snapshot = *snapshot;
    held->snapshot.session = held->keeper;
    held->number = number;
    held->is_held = true;
    (void)pthread_mutex_lock(&held_mutex);
    held->next = held_snapshots;
    held_snapshots = held;
    (void)pthread_mutex_unlock(&held_mutex);
}

void held_update(struct held_snapshot *held, uint64_t number) {
    if (held->is_held && (held->number != number || sqlite3_get_autocommit(held->db))) {
        held_release(held);
    }
}

/* The owner's mutex is ours or free, so its thread is in no call and its state stands still. */
static bool reads_no_more(const struct held_snapshot *held) {
    return sqlite3_txn_state(held->db, held->schema_name) == SQLITE_TXN_NONE;
}

void held_release_idle(struct held_snapshot *self) {
    struct held_snapshot *next = NULL;
    held_release(self);
    (void)pthread_mutex_lock(&held_mutex);
    for (struct held_snapshot *held = held_snapshots; held != NULL; held = next) {
        next = held->next;
        sqlite3_mutex *owner = sqlite3_db_mutex(held->db);
        if (held->store != self->store || owner == NULL || sqlite3_mutex_try(owner) != SQLITE_OK) {
            continue;
        }
        if (reads_no_more(held)) {
            unlink_locked(held);
        }
        sqlite3_mutex_leave(owner);
    }
    (void)pthread_mutex_unlock(&held_mutex);
}
