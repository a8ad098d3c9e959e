/* faster_locks.c - the public calls: locks on keys (layer 7). */
#include "faster.h"

#include "api.h"
#include "store/key_locks.h"

static bool are_given(const struct faster_key_lock *locks, size_t count) {
    if (locks == NULL || count == 0 || count > FASTER_KEY_LOCKS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!fst_is_given(&locks[i].key) ||
            (locks[i].kind != FASTER_LOCK_SHARED && locks[i].kind != FASTER_LOCK_EXCLUSIVE)) {
            return false;
        }
    }
    return true;
}

/* What is pending comes first: it may be a write of a key that another session has locked, and who
 * holds locks waits for none. */
enum faster_status faster_session_lock(struct faster_session *session,
                                       const struct faster_key_lock *locks, size_t count,
                                       uint64_t wait_ns) {
    if (session == NULL) {
        return FASTER_MISUSE;
    }
    fst_clear_message(session);
    if (!session->store->direct || session->held_locks.count > 0 || !are_given(locks, count)) {
        return FASTER_MISUSE;
    }
    faster_session_complete_pending(session, true);
    fst_clear_message(session);
    const enum faster_status status = fst_key_locks_take(session, locks, count, wait_ns);
    return status == FASTER_BUSY
               ? fst_session_fail(session, status, "another session has one of the keys locked")
               : status;
}

void faster_session_unlock(struct faster_session *session) {
    if (session != NULL && session->held_locks.count > 0) {
        faster_session_complete_pending(session, true);
        fst_key_locks_give(session);
    }
}
