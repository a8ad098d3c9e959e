/* store_read.c - reading a key, and locating its visible version (layer 4). */
#include "store/operations.h"

static enum fst_attempt finish(struct faster_op *op, enum fst_walk walk,
                               const struct fst_found *found) {
    switch (walk) {
    case FST_WALK_END:
        op->located = 0;
        return fst_op_done(op, FASTER_NOT_FOUND);
    case FST_WALK_CORRUPT:
    case FST_WALK_DISK:
        return fst_op_done(op, FASTER_CORRUPT);
    case FST_WALK_FOUND:
        break;
    }
    op->located = found->addr.raw;
    if (op->kind == FST_OP_LOCATE) {
        return fst_op_done(op, FASTER_OK);
    }
    if (fst_found_is_tombstone(found)) {
        return fst_op_done(op, FASTER_NOT_FOUND);
    }
    if (op->result == NULL) {
        return fst_op_done(op, FASTER_OK);
    }
    struct faster_bytes value = fst_found_value(found);
    return fst_op_done(op, faster_buffer_assign(op->result, value.data, value.size_bytes));
}

enum fst_attempt fst_read_attempt(struct faster_session *session, struct faster_op *op,
                                  const struct fst_pending *walk) {
    struct faster_store *store = session->store;
    if (walk != NULL) {
        return walk->failure != FASTER_OK ? fst_op_done(op, walk->failure)
                                          : finish(op, walk->walk, &walk->found);
    }
    struct fst_index_slot slot;
    struct fst_found found;
    if (!fst_hash_index_find(store->index, op->hash, &slot)) {
        op->located = 0;
        return fst_op_done(op, FASTER_NOT_FOUND);
    }
    fst_addr head = fst_index_slot_addr(&slot);
    enum fst_walk result = fst_chain_walk(store, head, op->upper, 0, &op->key, &found);
    if (result != FST_WALK_DISK) {
        return finish(op, result, &found);
    }
    return fst_op_asks_for(op, found.addr) ? fst_op_done(op, FASTER_OK)
                                           : fst_op_needs(op, head, found.addr);
}
