/* store_delete.c - deleting a key (layer 4). */
#include "store/operations.h"

/* Overtakes the version that was found in memory; NULL: none. */
static enum fst_attempt remove_found(struct faster_session *session, struct faster_op *op,
                                     struct fst_index_slot *slot, struct fst_found *found) {
    struct fst_held held = {0};
    const enum fst_attempt attempt = fst_hold_overtaken(session, found, &held);
    return attempt == FST_ATTEMPT_FOUND ? fst_apply_removal(session, op, slot, &held) : attempt;
}

/* A key whose chain is empty needs no tombstone; for any other one is appended, blindly. In a
 * direct store the versions in memory are looked at: the newest may be of a later version than
 * this operation. */
enum fst_attempt fst_delete_attempt(struct faster_session *session, struct faster_op *op) {
    struct faster_store *store = session->store;
    struct fst_index_slot slot;
    struct fst_found found;
    bool exists;
    enum faster_status status = fst_hash_index_find_for_write(store->index, op->hash, &slot);
    if (status != FASTER_OK) {
        session->index_full = status == FASTER_FULL;
        return fst_op_done(op, status == FASTER_NOT_FOUND ? FASTER_OK : status);
    }
    fst_addr newest = fst_index_slot_addr(&slot);
    enum fst_walk walk = FST_WALK_END;
    if (store->direct) {
        walk = fst_chain_walk(store, newest, FST_UPPER_ALL, fst_log_head(store->log).raw, &op->key,
                              &found);
    }
    if (walk == FST_WALK_DISK) {
        walk = FST_WALK_END;
    }
    enum fst_attempt attempt = fst_found_version(session, op, newest, walk, &found, &exists);
    return attempt == FST_ATTEMPT_FOUND ? remove_found(session, op, &slot, exists ? &found : NULL)
                                        : attempt;
}
