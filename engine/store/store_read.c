/* store_read.c - reading a key, and locating its visible version (layer 4). */
#include "shapes/guard.h"
#include "store/operations.h"

/* `has_value`: it is in the result already. */
static enum fst_attempt finish(const struct faster_store *store, struct faster_op *op,
                               enum fst_walk walk, const struct fst_found *found, bool has_value) {
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
    if (op->result == NULL || has_value) {
        return fst_op_done(op, FASTER_OK);
    }
    const enum fst_attempt attempt = fst_copy_version(store, op, found, op->result);
    return attempt == FST_ATTEMPT_FOUND ? fst_op_done(op, FASTER_OK) : attempt;
}

/* A walk ends where the log begins. If begin has moved meanwhile, and nothing but the epoch
 * kept it, what ended the walk may have been a newer version's doing. */
static bool has_lost_its_chain(const struct faster_store *store, const struct fst_pending *walk) {
    return walk->is_lost || (store->direct && walk->walk == FST_WALK_END &&
                             fst_addr_below(walk->begin_seen, fst_log_begin(store->log)));
}

enum fst_attempt fst_read_attempt(struct faster_session *session, struct faster_op *op,
                                  const struct fst_pending *walk) {
    struct faster_store *store = session->store;
    if (walk != NULL && walk->failure != FASTER_OK) {
        return fst_op_done(op, walk->failure);
    }
    if (walk != NULL && !has_lost_its_chain(store, walk)) {
        return finish(store, op, walk->walk, &walk->found, walk->has_value);
    }
    struct fst_index_slot slot;
    struct fst_found found;
    if (!fst_hash_index_find(store->index, op->hash, &slot)) {
        op->located = 0;
        return fst_op_done(op, FASTER_NOT_FOUND);
    }
    fst_addr head = fst_index_slot_addr(&slot);
    enum fst_walk result = fst_chain_walk(store, head, op->upper, 0, &op->key, &found);
    if (result == FST_WALK_FOUND && found.shape.chunked && op->kind == FASTER_OP_READ &&
        op->result != NULL) {
        return fst_op_needs_value(session, op, head, &found);
    }
    if (result != FST_WALK_DISK) {
        return finish(store, op, result, &found, false);
    }
    return fst_op_asks_for(op, found.addr) ? fst_op_done(op, FASTER_OK)
                                           : fst_op_needs(op, head, found.addr);
}
