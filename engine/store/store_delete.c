/* store_delete.c - deleting a key (layer 4). */
#include "store/operations.h"

/* A key whose chain is empty needs no tombstone; for any other one is appended, blindly. */
enum fst_attempt fst_delete_attempt(struct faster_session *session, struct faster_op *op) {
    struct faster_store *store = session->store;
    struct fst_index_slot slot;
    return fst_hash_index_find(store->index, op->hash, &slot)
               ? fst_apply_tombstone(session, op, &slot)
               : fst_op_done(op, FASTER_OK);
}
