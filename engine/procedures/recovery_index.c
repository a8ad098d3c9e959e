/* recovery_index.c - linking records of the log into the index (layer 5). */
#include "procedures/recovery_index.h"

/* Records that are larger than this leave more of the index untouched than is thought. */
#define RECORD_BYTES_EXPECTED 1024u

void fst_recover_expect(struct faster_store *store, uint64_t log_bytes) {
    fst_hash_index_expect(store->index, log_bytes / RECORD_BYTES_EXPECTED);
}

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
static enum faster_status link_record(struct fst_hash_index *index, uint64_t hash, fst_addr addr) {
    for (;;) {
        struct fst_index_slot slot;
        enum faster_status status = fst_hash_index_find_or_create(index, hash, &slot);
        if (status != FASTER_OK || fst_index_slot_addr(&slot).raw >= addr.raw ||
            fst_hash_index_publish(index, &slot, addr)) {
            return status;
        }
    }
}

enum faster_status fst_recover_waiting(struct faster_session *session,
                                       struct fst_recovery_group *group) {
    struct faster_store *store = session->store;
    enum faster_status status = FASTER_OK;
    fst_epoch_enter(store->epoch, session->slot);
    for (uint32_t i = 0; status == FASTER_OK && i < group->count; i++) {
        status = link_record(store->index, group->hashes[i], group->addrs[i]);
    }
    fst_epoch_leave(store->epoch, session->slot);
    group->count = 0;
    if (status == FASTER_FULL) {
        session->index_full = true;
    }
    return status;
}

enum faster_status fst_recover_record(struct faster_session *session,
                                      struct fst_recovery_group *group,
                                      const struct fst_log_item *item) {
    struct faster_store *store = session->store;
    const struct faster_bytes key = {item->bytes + item->shape.key_offset_bytes,
                                     item->shape.key_bytes};
    const uint64_t hash = fst_key_hash(store, &key);
    mark_on_disk(store, item);
    fst_add_relaxed_u64(&store->counters.recovered_records, 1);
    fst_hash_index_prefetch(store->index, hash);
    group->hashes[group->count] = hash;
    group->addrs[group->count] = item->addr;
    group->count++;
    return group->count == FST_RECOVERY_GROUP_MAX ? fst_recover_waiting(session, group) : FASTER_OK;
}
