/* store_rmw.c - read-modify-write (layer 4). */
#include "store/operations.h"

/* The merged value is kept in the session's scratch buffer until it is applied, as the old
 * value may be the very bytes that change. */
enum faster_status fst_op_merge(struct faster_session *session, struct faster_op *op,
                                const struct faster_bytes *old) {
    session->scratch.size_bytes = 0;
    enum faster_status status = op->merge(op->context, old, &session->scratch);
    if (status == FASTER_OK && op->result != NULL) {
        status =
            faster_buffer_assign(op->result, session->scratch.data, session->scratch.size_bytes);
    }
    return status;
}

/* The old value, unchanging while it is held. FOUND; or BUSY, IO, DONE. */
static enum fst_attempt take_old(struct faster_session *session, struct faster_op *op,
                                 const struct fst_pending *walk, struct fst_index_slot *slot,
                                 struct fst_found *found, struct fst_held *held,
                                 struct faster_bytes *old) {
    if (found->shape.chunked) {
        if (!fst_walk_has_value(walk, found)) {
            return fst_op_needs_value(session, op, fst_index_slot_addr(slot), found);
        }
        *old = (struct faster_bytes){walk->value.data, walk->value.size_bytes};
        return FST_ATTEMPT_FOUND;
    }
    enum fst_attempt attempt = fst_hold_version(session, found, held);
    *old = fst_found_value(found);
    return attempt;
}

static enum fst_attempt merge_and_apply(struct faster_session *session, struct faster_op *op,
                                        const struct fst_pending *walk, struct fst_index_slot *slot,
                                        struct fst_found *found) {
    const uint64_t made_from = found != NULL ? found->addr.raw : 0;
    struct fst_held held = {0};
    struct faster_bytes old = {NULL, 0};
    if (session->large.is_ready && session->large.made_from == made_from) {
        return fst_apply_value(session, op, slot, &held, &session->large.value);
    }
    session->large.is_ready = false;
    if (found != NULL) {
        enum fst_attempt attempt = take_old(session, op, walk, slot, found, &held, &old);
        if (attempt != FST_ATTEMPT_FOUND) {
            return attempt;
        }
    }
    enum faster_status status = fst_op_merge(session, op, found != NULL ? &old : NULL);
    if (status == FASTER_REMOVE && found != NULL) {
        return fst_apply_removal(session, op, slot, &held);
    }
    if (status != FASTER_OK) {
        fst_release_version(&held);
        return fst_op_done(op, status == FASTER_REMOVE ? FASTER_NOT_FOUND : status);
    }
    struct faster_bytes value = {session->scratch.data, session->scratch.size_bytes};
    enum fst_attempt attempt = fst_apply_value(session, op, slot, &held, &value);
    session->large.made_from = made_from;
    return attempt;
}

enum fst_attempt fst_rmw_attempt(struct faster_session *session, struct faster_op *op,
                                 const struct fst_pending *walk) {
    struct fst_index_slot slot;
    struct fst_found found;
    bool exists = false;
    enum fst_attempt attempt = fst_find_for_write(session, op, walk, &slot, &found, &exists);
    return attempt == FST_ATTEMPT_FOUND
               ? merge_and_apply(session, op, walk, &slot, exists ? &found : NULL)
               : attempt;
}
