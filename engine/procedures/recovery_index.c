/* recovery_index.c - linking a record of the log into the index (layer 5). */
#include "procedures/recovery_index.h"

/* What is not below the tail is on disk only. The mark stays above all that a pass which
 * failed has linked. */
static void mark_on_disk(struct faster_store *store, const struct fst_log_item *item) {
    uint64_t end = item->addr.raw + item->shape.whole_bytes;
    if (item->addr.raw >= fst_log_tail(store->log).raw &&
        end > fst_load_relaxed_u64(&store->on_disk_below)) {
        /* release: pairs with the acquire in fst_chain_walk() */
        fst_store_release_u64(&store->on_disk_below, end);
    }
}

/* The chain's head is the highest address: a pass that is repeated changes nothing. */
static enum faster_status index_record(struct faster_session *session,
                                       const struct fst_log_item *item) {
    struct faster_store *store = session->store;
    struct faster_bytes key = {item->bytes + item->shape.key_offset_bytes, item->shape.key_bytes};
    uint64_t hash = fst_key_hash(store, &key);
    enum faster_status status = FASTER_OK;
    fst_epoch_enter(store->epoch, session->slot);
    for (;;) {
        struct fst_index_slot slot;
        status = fst_hash_index_find_or_create(store->index, hash, &slot);
        if (status != FASTER_OK || fst_index_slot_addr(&slot).raw >= item->addr.raw ||
            fst_hash_index_publish(store->index, &slot, item->addr)) {
            break;
        }
    }
    fst_epoch_leave(store->epoch, session->slot);
    if (status == FASTER_FULL) {
        session->index_full = true;
    }
    return status;
}

enum faster_status fst_recover_record(struct faster_session *session,
                                      const struct fst_log_item *item) {
    mark_on_disk(session->store, item);
    fst_add_relaxed_u64(&session->store->counters.recovered_records, 1);
    return index_record(session, item);
}
