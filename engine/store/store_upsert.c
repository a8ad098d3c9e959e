/* store_upsert.c - setting a value without reading the old one (layer 4). */
#include "store/operations.h"

/* A version that may not change, or has no room for the value, needs no guard: it is
 * overwritten blindly, unless the session holds key locks (fst_hold_overtaken()). */
static enum fst_attempt set_value(struct faster_session *session, struct faster_op *op,
                                  struct fst_index_slot *slot, struct fst_found *found) {
    struct fst_held held = {0};
    const bool has_room = found != NULL && fst_found_may_change(session, found) &&
                          op->value.size_bytes <= found->shape.value_capacity_bytes;
    const enum fst_attempt attempt = has_room ? fst_hold_version(session, found, &held)
                                              : fst_hold_overtaken(session, found, &held);
    if (attempt != FST_ATTEMPT_FOUND) {
        return attempt;
    }
    return fst_apply_value(session, op, slot, &held, &op->value);
}

/* Looks only at what is in memory: a blind write does no I/O. */
enum fst_attempt fst_upsert_attempt(struct faster_session *session, struct faster_op *op) {
    struct faster_store *store = session->store;
    struct fst_index_slot slot;
    struct fst_found found;
    bool exists = false;
    enum fst_attempt attempt = fst_find_slot(session, op, &slot);
    if (attempt != FST_ATTEMPT_FOUND) {
        return attempt;
    }
    uint64_t floor = store->direct ? 0 : fst_txn_in_place_floor(session->txn);
    fst_addr newest = fst_index_slot_addr(&slot);
    fst_addr head = fst_log_head(store->log);
    enum fst_walk walk = fst_chain_walk(store, newest, FST_UPPER_ALL,
                                        floor > head.raw ? floor : head.raw, &op->key, &found);
    if (walk == FST_WALK_DISK) {
        walk = FST_WALK_END; /* head has moved */
    }
    attempt = fst_found_version(session, op, newest, walk, &found, &exists);
    return attempt == FST_ATTEMPT_FOUND ? set_value(session, op, &slot, exists ? &found : NULL)
                                        : attempt;
}
