/* operations.c - one attempt of any operation (layer 4). */
#include "store/operations.h"

#include "store/newest.h"

/* The bucket is then on its way while the epoch is entered. */
void fst_op_prepare(const struct faster_session *session, struct faster_op *op) {
    op->hash = fst_key_hash(session->store, &op->key);
    fst_hash_index_prefetch(session->store->index, op->hash);
}

static enum fst_attempt refuse_locked(struct faster_session *session, struct faster_op *op,
                                      enum fst_key_access access) {
    return access == FST_KEY_LOCKED
               ? FST_ATTEMPT_LOCKED
               : fst_op_done(op, fst_session_fail(session, FASTER_MISUSE,
                                                  "the session holds key locks, and has not "
                                                  "locked this key exclusively"));
}

enum fst_attempt fst_op_attempt(struct faster_session *session, struct faster_op *op,
                                const struct fst_pending *walk) {
    fst_session_note_version(session);
    if (op->kind == FST_OP_LOCATE) {
        return fst_read_attempt(session, op, walk);
    }
    const enum fst_key_access access =
        fst_op_writes(op) ? fst_key_access_of(session, op) : FST_KEY_FREE;
    if (access != FST_KEY_FREE) {
        return refuse_locked(session, op, access);
    }
    switch ((enum faster_op_kind)op->kind) {
    case FASTER_OP_READ:
        return fst_read_attempt(session, op, walk);
    case FASTER_OP_UPSERT:
        return fst_upsert_attempt(session, op);
    case FASTER_OP_INSERT:
    case FASTER_OP_COMPARE_AND_SET:
        return fst_insert_if_attempt(session, op, walk);
    case FASTER_OP_RMW:
        return fst_rmw_attempt(session, op, walk);
    case FASTER_OP_DELETE:
        return fst_delete_attempt(session, op);
    }
    return fst_op_done(op, FASTER_MISUSE);
}

enum fst_attempt fst_op_try(struct faster_session *session, struct faster_op *op,
                            const struct fst_pending *walk) {
    struct fst_epoch *epoch = session->store->epoch;
    fst_epoch_enter(epoch, session->slot);
    enum fst_attempt attempt = fst_op_attempt(session, op, walk);
    fst_epoch_leave(epoch, session->slot);
    if (attempt == FST_ATTEMPT_IO) {
        fst_pending_start(session, op);
    }
    return attempt;
}

bool fst_op_try_at_once(struct faster_session *session, struct faster_op *op) {
    const struct faster_store *store = session->store;
    struct fst_index_slot slot = {0};
    op->hash = fst_key_hash(store, &op->key);
    fst_epoch_enter(store->epoch, session->slot);
    fst_session_note_version(session);
    const bool has_entry = fst_hash_index_find(store->index, op->hash, &slot);
    const bool is_done = fst_newest_try_at(session, op, has_entry, fst_index_slot_addr(&slot));
    fst_epoch_leave(store->epoch, session->slot);
    return is_done;
}

/* A read is DONE or goes pending; it never needs room and loses no race. */
void fst_finish_reads(struct faster_session *session) {
    while (session->pending_count > 0) {
        struct fst_pending *slot = fst_pending_take(session);
        if (slot != NULL) {
            (void)!fst_op_try(session, slot->op, slot);
            fst_pending_release(slot);
        } else {
            fst_pending_poll(session, FST_POLL_NS);
        }
        struct faster_op *waiting;
        while ((waiting = fst_pending_next_waiting(session)) != NULL) {
            (void)!fst_op_try(session, waiting, NULL);
        }
    }
    fst_pending_leave(session);
}
