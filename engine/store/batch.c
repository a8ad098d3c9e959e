/* batch.c - attempting many operations in one stay in the epoch (layer 4).
 *
 * A lookup in a large store is two cache misses, one after the other: the bucket, then the
 * record. A group has the misses of all its operations at the same time.
 */
#include "store/batch.h"

static void prefetch_buckets(const struct faster_session *session, struct faster_op *ops,
                             size_t count) {
    for (size_t i = 0; i < count; i++) {
        fst_op_prepare(session, &ops[i]);
    }
}

/* Inside the epoch. Only hints: what is found here is looked up again. */
static void prefetch_records(const struct faster_store *store, const struct faster_op *ops,
                             size_t count) {
    const fst_addr head = fst_log_head(store->log);
    for (size_t i = 0; i < count; i++) {
        struct fst_index_slot slot;
        if (fst_hash_index_find(store->index, ops[i].hash, &slot) &&
            !fst_addr_below(fst_index_slot_addr(&slot), head)) {
            const unsigned char *record = fst_log_at(store->log, fst_index_slot_addr(&slot));
            __builtin_prefetch(record);
            __builtin_prefetch(record + 64);
        }
    }
}

void fst_batch_try(struct faster_session *session, struct faster_op *ops, size_t count,
                   enum fst_attempt *attempts) {
    struct faster_store *store = session->store;
    prefetch_buckets(session, ops, count);
    fst_epoch_enter(store->epoch, session->slot);
    prefetch_records(store, ops, count);
    for (size_t i = 0; i < count; i++) {
        attempts[i] = fst_op_attempt(session, &ops[i], NULL);
    }
    fst_epoch_leave(store->epoch, session->slot);
    for (size_t i = 0; i < count; i++) {
        if (attempts[i] == FST_ATTEMPT_IO) {
            fst_pending_start(session, &ops[i]);
        }
    }
}
