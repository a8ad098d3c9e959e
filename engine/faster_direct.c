/* faster_direct.c - the public calls: writes of a direct store (layer 7). */
#include "faster.h"

#include "api.h"
#include "procedures/cut.h"
#include "store/session.h"
#include "store/start_writing.h"

/* The first write of all fixes the tail, under the lock; later ones only look. */
enum faster_status fst_make_writable(struct faster_session *session) {
    struct faster_store *store = session->store;
    enum faster_status status = FASTER_OK;
    /* acquire: pairs with the release below */
    if (fst_load_acquire_u32(&store->is_writable) != 0) {
        return FASTER_OK;
    }
    if (!store->direct) {
        return FASTER_MISUSE;
    }
    if (store->read_only) {
        return fst_session_fail(session, FASTER_READ_ONLY, "the store was opened read-only");
    }
    fst_lock_writer(store);
    if (!store->writing_started) {
        status = fst_start_writing(session);
    }
    if (status == FASTER_OK) {
        /* release, after the tail and the version: pairs with the acquire above */
        fst_store_release_u32(&store->is_writable, 1);
    }
    return fst_locked_result(store, status);
}

static enum faster_status write_directly(struct faster_session *session, struct faster_op *op,
                                         enum faster_op_kind kind) {
    if (session == NULL || op == NULL) {
        return FASTER_MISUSE;
    }
    fst_clear_message(session);
    op->status = fst_op_is_given(op, kind) ? fst_make_writable(session) : FASTER_MISUSE;
    return op->status == FASTER_OK ? fst_write(session, op, kind) : op->status;
}

enum faster_status faster_session_upsert(struct faster_session *session, struct faster_op *op) {
    return write_directly(session, op, FASTER_OP_UPSERT);
}

enum faster_status faster_session_insert(struct faster_session *session, struct faster_op *op) {
    return write_directly(session, op, FASTER_OP_INSERT);
}

enum faster_status faster_session_compare_and_set(struct faster_session *session,
                                                  struct faster_op *op) {
    return write_directly(session, op, FASTER_OP_COMPARE_AND_SET);
}

enum faster_status faster_session_rmw(struct faster_session *session, struct faster_op *op) {
    return write_directly(session, op, FASTER_OP_RMW);
}

enum faster_status faster_session_delete(struct faster_session *session, struct faster_op *op) {
    return write_directly(session, op, FASTER_OP_DELETE);
}

enum faster_status faster_session_commit(struct faster_session *session) {
    if (session == NULL) {
        return FASTER_MISUSE;
    }
    fst_clear_message(session);
    enum faster_status status = fst_make_writable(session);
    return fst_session_explain(session, status == FASTER_OK ? fst_cut(session) : status);
}
