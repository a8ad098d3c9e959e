/* held.c - see held.h.
 *
 * Locks: a connection's own mutex, then held_mutex. held_release_idle() goes the other way
 * round and therefore only tries. */
#include "held.h"

#include <pthread.h>

#include "registry.h"

static pthread_mutex_t held_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct attachment *held_attachments; /* protected by held_mutex */

static void unlink_locked(struct attachment *attachment) {
    struct attachment **link = &held_attachments;
    while (*link != attachment) {
        link = &(*link)->held_next;
    }
    *link = attachment->held_next;
    attachment->is_held = false;
    faster_snapshot_close(&attachment->held);
}

void held_release(struct attachment *attachment) {
    if (attachment->is_held && !registry_forked()) {
        (void)pthread_mutex_lock(&held_mutex);
        if (attachment->is_held) {
            unlink_locked(attachment);
        }
        (void)pthread_mutex_unlock(&held_mutex);
    }
}

void held_keep(struct attachment *attachment, const struct faster_snapshot *snapshot,
               uint64_t number) {
    held_release(attachment);
    attachment->held = *snapshot;
    attachment->held_number = number;
    attachment->is_held = true;
    (void)pthread_mutex_lock(&held_mutex);
    attachment->held_next = held_attachments;
    held_attachments = attachment;
    (void)pthread_mutex_unlock(&held_mutex);
}

void held_update(struct attachment *attachment, uint64_t number) {
    if (attachment->is_held &&
        (attachment->held_number != number || sqlite3_get_autocommit(attachment->connection->db))) {
        held_release(attachment);
    }
}

/* The owner's mutex is ours or free, so its thread is in no call and its state stands still. */
static bool reads_no_more(const struct attachment *attachment) {
    return sqlite3_txn_state(attachment->connection->db, attachment->schema_name) ==
           SQLITE_TXN_NONE;
}

void held_release_idle(struct attachment *self) {
    struct attachment *next = NULL;
    held_release(self);
    (void)pthread_mutex_lock(&held_mutex);
    for (struct attachment *attachment = held_attachments; attachment != NULL; attachment = next) {
        next = attachment->held_next;
        sqlite3_mutex *owner = sqlite3_db_mutex(attachment->connection->db);
        if (attachment->store != self->store || owner == NULL ||
            sqlite3_mutex_try(owner) != SQLITE_OK) {
            continue;
        }
        if (reads_no_more(attachment)) {
            unlink_locked(attachment);
        }
        sqlite3_mutex_leave(owner);
    }
    (void)pthread_mutex_unlock(&held_mutex);
}
