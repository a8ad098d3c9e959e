/* store_rmw.c - read-modify-write (layer 4). */
#include "store/operations.h"

/* The merged value is kept in the session's scratch buffer until it is applied, as the old
 * value may be the very bytes that change. */
static enum fst_attempt merge_and_apply(struct faster_session *session, struct faster_op *op,
                                        struct fst_index_slot *slot,
                                        const struct fst_found *found) {
    struct faster_bytes old = {NULL, 0};
    if (found != NULL) {
        old = fst_found_value(found);
    }
    session->scratch.size_bytes = 0;
    enum faster_status status =
        op->merge(op->context, found != NULL ? &old : NULL, &session->scratch);
    if (status == FASTER_OK && op->result != NULL) {
        status =
            faster_buffer_assign(op->result, session->scratch.data, session->scratch.size_bytes);
    }
    if (status != FASTER_OK) {
        return fst_op_done(op, status);
    }
    struct faster_bytes value = {session->scratch.data, session->scratch.size_bytes};
    return fst_apply_value(session, op, slot, found, &value);
}

enum fst_attempt fst_rmw_attempt(struct faster_session *session, struct faster_op *op,
                                 const struct fst_pending *walk) {
    struct fst_index_slot slot;
    struct fst_found found;
    bool exists = false;
    enum fst_attempt attempt = fst_find_for_write(session, op, walk, &slot, &found, &exists);
    if (attempt == FST_ATTEMPT_FOUND) {
        attempt = merge_and_apply(session, op, &slot, exists ? &found : NULL);
    }
    return attempt;
}
