/* store_insert_if.c - conditional insert: insert-if-absent and compare-and-set (layer 4). */
#include "store/operations.h"

/* What a conditional insert does, given the present value (NULL: none). OK: write. */
static enum faster_status decide(const struct faster_op *op, const struct faster_bytes *present) {
    if (op->kind == FASTER_OP_INSERT) {
        return present == NULL ? FASTER_OK : FASTER_EXISTS;
    }
    if (present == NULL) {
        return FASTER_NOT_FOUND;
    }
    bool equal = present->size_bytes == op->expected.size_bytes &&
                 (present->size_bytes == 0 ||
                  memcmp(present->data, op->expected.data, present->size_bytes) == 0);
    return equal ? FASTER_OK : FASTER_EXISTS;
}

/* A value larger than a page is compared on its way from the log (pending.h). */
static enum fst_attempt compare_large(struct faster_session *session, struct faster_op *op,
                                      const struct fst_pending *walk, struct fst_index_slot *slot,
                                      const struct fst_found *found) {
    if (!fst_walk_has_value(walk, found)) {
        return fst_op_needs_value(session, op, fst_index_slot_addr(slot), found);
    }
    if (walk->chunks.differs) {
        return fst_op_done(op, FASTER_EXISTS);
    }
    struct fst_held none = {0};
    return fst_apply_value(session, op, slot, &none, &op->value);
}

static enum fst_attempt decide_and_apply(struct faster_session *session, struct faster_op *op,
                                         const struct fst_pending *walk,
                                         struct fst_index_slot *slot, struct fst_found *found) {
    struct fst_held held = {0};
    struct faster_bytes present = {NULL, 0};
    if (found != NULL && op->kind == FASTER_OP_COMPARE_AND_SET) {
        if (found->shape.chunked) {
            return compare_large(session, op, walk, slot, found);
        }
        enum fst_attempt attempt = fst_hold_version(session, found, &held);
        if (attempt != FST_ATTEMPT_FOUND) {
            return attempt;
        }
        present = fst_found_value(found);
    }
    enum faster_status status = decide(op, found != NULL ? &present : NULL);
    if (status != FASTER_OK) {
        fst_release_version(&held);
        return fst_op_done(op, status);
    }
    return fst_apply_value(session, op, slot, &held, &op->value);
}

enum fst_attempt fst_insert_if_attempt(struct faster_session *session, struct faster_op *op,
                                       const struct fst_pending *walk) {
    struct fst_index_slot slot;
    struct fst_found found;
    bool exists = false;
    enum fst_attempt attempt = fst_find_for_write(session, op, walk, &slot, &found, &exists);
    return attempt == FST_ATTEMPT_FOUND
               ? decide_and_apply(session, op, walk, &slot, exists ? &found : NULL)
               : attempt;
}
