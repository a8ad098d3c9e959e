/* api.h - what the files of the public calls share (layer 7).
 *
 * The lock gives out the writer role of store.h. It is held for one attempt of one
 * operation and for the steps of a transaction, and never while an operation waits for a
 * record on disk or for room in the log, nor while a commit is synced. Catch-up, the first
 * begin, and the control record of a prepare hold it throughout. Readers do not take it.
 */
#ifndef FST_API_H
#define FST_API_H

#include "faster.h"
#include "procedures/maintenance.h"
#include "store/store.h"

static inline void fst_lock_writer(struct faster_store *store) {
    store->env->mutex_lock(store->env, store->lock);
}

static inline void fst_unlock_writer(struct faster_store *store) {
    store->env->mutex_unlock(store->env, store->lock);
}

static inline enum faster_status fst_locked_result(struct faster_store *store,
                                                   enum faster_status status) {
    fst_unlock_writer(store);
    return status;
}

/* After operations, without locks: one of them may have made a checkpoint due. */
static inline void fst_look_after(struct faster_session *session) {
    if (session->reached_due) {
        session->reached_due = false;
        fst_maintenance_reach(session->store);
    }
}

/* A checkpoint for the store's own thread: a fst_triggers_take_fn. */
enum faster_status fst_take_due(struct faster_session *session,
                                const struct faster_checkpoint_request *request,
                                enum fst_checkpoint_cause cause);

static inline void fst_clear_message(struct faster_session *session) {
    session->message[0] = '\0';
}

/* ---- what a caller must give: without it a call returns MISUSE and does nothing ---- */

static inline bool fst_is_given(const struct faster_bytes *bytes) {
    return bytes->data != NULL || bytes->size_bytes == 0;
}

/* A closed snapshot has no session. */
static inline bool fst_snapshot_is_given(const struct faster_snapshot *snapshot) {
    return snapshot != NULL && snapshot->session != NULL;
}

/* False also for a kind that there is not. */
static inline bool fst_op_is_given(const struct faster_op *op, enum faster_op_kind kind) {
    if (!fst_is_given(&op->key)) {
        return false;
    }
    switch (kind) {
    case FASTER_OP_READ:
    case FASTER_OP_DELETE:
        return true;
    case FASTER_OP_UPSERT:
    case FASTER_OP_INSERT:
        return fst_is_given(&op->value);
    case FASTER_OP_COMPARE_AND_SET:
        return fst_is_given(&op->value) && fst_is_given(&op->expected);
    case FASTER_OP_RMW:
        return op->merge != NULL;
    }
    return false;
}

/* One operation of the session from its sizes on; op->txn_serial is set in a transactional
 * store. The operation's status. */
enum faster_status fst_write(struct faster_session *session, struct faster_op *op,
                             enum faster_op_kind kind) FASTER_MUST_CHECK;

/* OK if the session's store is direct and can be written: its first write fixes the tail.
 * READ_ONLY, MISUSE (it is transactional), and what the start of writing gives. */
enum faster_status fst_make_writable(struct faster_session *session) FASTER_MUST_CHECK;

#endif
