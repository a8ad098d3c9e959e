/* store_delete.c - deleting a key (layer 4). */
#include "store/operations.h"

/* A key whose chain is empty needs no tombstone; for any other one is appended, blindly. */
enum fst_attempt fst_delete_attempt(struct faster_session *session, struct faster_op *op) {
    struct faster_store *store = session->store;
    struct fst_index_slot slot;
    enum fst_attempt attempt;
    fst_epoch_enter(store->epoch, session->slot);
    if (!fst_hash_index_find(store->index, fst_key_hash(store, &op->key), &slot)) {
        attempt = fst_op_done(op, FASTER_OK);
    } else {
        attempt = fst_apply_tombstone(session, op, &slot);
    }
    fst_epoch_leave(store->epoch, session->slot);
    return attempt;
}
