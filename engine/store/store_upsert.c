/* store_upsert.c - setting a value without reading the old one (layer 4). */
#include "store/operations.h"

/* Looks only at what may be changed in place: a blind write does no I/O. */
enum fst_attempt fst_upsert_attempt(struct faster_session *session, struct faster_op *op) {
    struct faster_store *store = session->store;
    struct fst_index_slot slot;
    enum faster_status status = fst_hash_index_find_or_create(store->index, op->hash, &slot);
    if (status != FASTER_OK) {
        session->index_full = status == FASTER_FULL;
        return fst_op_done(op, status);
    }
    uint64_t floor = fst_txn_in_place_floor(session->txn);
    fst_addr head = fst_log_head(store->log);
    struct fst_found found;
    enum fst_walk walk = fst_chain_walk(store, fst_index_slot_addr(&slot), FST_UPPER_ALL,
                                        floor > head.raw ? floor : head.raw, &op->key, &found);
    return walk == FST_WALK_CORRUPT
               ? fst_op_done(op, FASTER_CORRUPT)
               : fst_apply_value(session, op, &slot, walk == FST_WALK_FOUND ? &found : NULL,
                                 &op->value);
}
