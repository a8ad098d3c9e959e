/* faster_txn.c - the public calls: transactions of a transactional store (layer 7). */
#include "faster.h"

#include "api.h"
#include "store/session.h"
#include "store/txn.h"

/* ---- writes ---- */

static enum faster_status write_in_txn(struct faster_txn *txn, struct faster_op *op,
                                       enum faster_op_kind kind) {
    if (txn == NULL || op == NULL) {
        return FASTER_MISUSE;
    }
    fst_clear_message(txn->session);
    if (!fst_op_is_given(op, kind)) {
        op->status = FASTER_MISUSE;
        return op->status;
    }
    op->txn_serial = txn->serial;
    return fst_write(txn->session, op, kind);
}

enum faster_status faster_txn_upsert(struct faster_txn *txn, struct faster_op *op) {
    return write_in_txn(txn, op, FASTER_OP_UPSERT);
}

enum faster_status faster_txn_insert(struct faster_txn *txn, struct faster_op *op) {
    return write_in_txn(txn, op, FASTER_OP_INSERT);
}

enum faster_status faster_txn_compare_and_set(struct faster_txn *txn, struct faster_op *op) {
    return write_in_txn(txn, op, FASTER_OP_COMPARE_AND_SET);
}

enum faster_status faster_txn_rmw(struct faster_txn *txn, struct faster_op *op) {
    return write_in_txn(txn, op, FASTER_OP_RMW);
}

enum faster_status faster_txn_delete(struct faster_txn *txn, struct faster_op *op) {
    return write_in_txn(txn, op, FASTER_OP_DELETE);
}

/* ---- begin, savepoints, commit ---- */

enum faster_status faster_txn_begin(struct faster_session *session,
                                    const struct faster_commit_row *newest,
                                    struct faster_txn **txn) {
    if (session == NULL || txn == NULL) {
        return FASTER_MISUSE;
    }
    fst_clear_message(session);
    *txn = NULL;
    if (session->store->direct) {
        return FASTER_MISUSE;
    }
    fst_lock_writer(session->store);
    return fst_session_explain(
        session, fst_locked_result(session->store, fst_txn_begin(session, newest, txn)));
}

/* What was called inside the transaction so far counts to it: no operation may be carried out
 * behind a savepoint, a control record or an end that was set after it. */
static void complete_writes(struct faster_txn *txn) {
    faster_session_complete_pending(txn->session, true);
}

enum faster_status faster_txn_savepoint(struct faster_txn *txn, int level) {
    if (txn == NULL) {
        return FASTER_MISUSE;
    }
    complete_writes(txn);
    fst_lock_writer(txn->store);
    return fst_locked_result(txn->store, fst_txn_savepoint(txn, level));
}

void faster_txn_release(struct faster_txn *txn, int level) {
    if (txn != NULL) {
        fst_lock_writer(txn->store);
        fst_txn_release(txn, level);
        fst_unlock_writer(txn->store);
    }
}

enum faster_status faster_txn_rollback_to(struct faster_txn *txn, int level) {
    if (txn == NULL) {
        return FASTER_MISUSE;
    }
    complete_writes(txn);
    fst_lock_writer(txn->store);
    return fst_locked_result(txn->store, fst_txn_rollback_to(txn, level));
}

bool faster_txn_has_writes(const struct faster_txn *txn) {
    return txn != NULL && txn->record_count > 0;
}

enum faster_status faster_txn_prepare(struct faster_txn *txn, struct faster_commit_row *row,
                                      uint64_t *obsolete_below) {
    if (txn == NULL || row == NULL || obsolete_below == NULL) {
        return FASTER_MISUSE;
    }
    struct faster_store *store = txn->store;
    bool needs_sync;
    complete_writes(txn);
    fst_clear_message(txn->session);
    *obsolete_below = 0;
    fst_lock_writer(store);
    enum faster_status status = fst_locked_result(store, fst_txn_prepare(txn, row, &needs_sync));
    if (status != FASTER_OK) {
        return fst_session_explain(txn->session, status);
    }
    if (needs_sync) {
        status = fst_txn_sync(txn);
    }
    fst_lock_writer(store);
    if (status == FASTER_OK) {
        status = fst_txn_prepared(txn, row, needs_sync, obsolete_below);
    } else {
        fst_txn_not_prepared(txn);
    }
    return fst_session_explain(txn->session, fst_locked_result(store, status));
}

/* The store outlives its transactions: sessions, and so handles, end before it. */
void faster_txn_commit(struct faster_txn *txn) {
    if (txn != NULL) {
        struct faster_store *store = txn->store;
        complete_writes(txn);
        fst_lock_writer(store);
        fst_txn_commit(txn);
        fst_unlock_writer(store);
    }
}

void faster_txn_rollback(struct faster_txn *txn) {
    if (txn != NULL) {
        struct faster_store *store = txn->store;
        complete_writes(txn);
        fst_lock_writer(store);
        fst_txn_rollback(txn);
        fst_unlock_writer(store);
    }
}
