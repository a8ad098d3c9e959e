/* batch.c - attempting many operations in one stay in the epoch (layer 4).
 *
 * A lookup in a large store is two cache misses, one after the other: the bucket, then the
 * record. A group has the misses of all its operations at the same time. (The stay is interrupted
 * by each merge of an RMW.)
 */
#include "store/batch.h"

#include "store/newest.h"

static void prefetch_buckets(const struct faster_session *session, struct faster_op *ops,
                             size_t count) {
    for (size_t i = 0; i < count; i++) {
        fst_op_prepare(session, &ops[i]);
    }
}

/* Inside the epoch. Where the keys' chains begin; of those without an entry, at 0. */
static void find_heads(const struct faster_store *store, const struct faster_op *ops, size_t count,
                       fst_addr *heads) {
    const fst_addr head = fst_log_head(store->log);
    for (size_t i = 0; i < count; i++) {
        struct fst_index_slot slot;
        heads[i] = fst_hash_index_find(store->index, ops[i].hash, &slot)
                       ? fst_index_slot_addr(&slot)
                       : fst_addr_of(0);
        if (!fst_addr_below(heads[i], head)) {
            const unsigned char *record = fst_log_at(store->log, heads[i]);
            __builtin_prefetch(record);
            __builtin_prefetch(record + 64);
        }
    }
}

/* The head that was found is good enough, as the operations of a batch have no order: should it
 * have moved since, this one comes before what moved it, which was under way at the same time. That
 * holds in another stay in the epoch, too, as an RMW before it may have begun one: the record is
 * used only if it is still in memory (newest.h). An RMW that takes the long way has to leave. */
static enum fst_attempt attempt_at(struct faster_session *session, struct faster_op *op,
                                   fst_addr head) {
    if (fst_newest_try_at(session, op, fst_addr_is_valid(head), head)) {
        return FST_ATTEMPT_DONE;
    }
    return op->kind == FASTER_OP_RMW ? FST_ATTEMPT_AGAIN : fst_op_attempt(session, op, NULL);
}

void fst_batch_try(struct faster_session *session, struct faster_op *ops, size_t count,
                   enum fst_attempt *attempts) {
    struct faster_store *store = session->store;
    fst_addr heads[FST_BATCH_GROUP];
    bool needs_io = false;
    prefetch_buckets(session, ops, count);
    fst_epoch_enter(store->epoch, session->slot);
    fst_session_note_version(session);
    find_heads(store, ops, count, heads);
    for (size_t i = 0; i < count; i++) {
        attempts[i] = attempt_at(session, &ops[i], heads[i]);
        needs_io |= attempts[i] == FST_ATTEMPT_IO;
    }
    fst_epoch_leave(store->epoch, session->slot);
    for (size_t i = 0; needs_io && i < count; i++) {
        if (attempts[i] == FST_ATTEMPT_IO) {
            fst_pending_start(session, &ops[i]);
        }
    }
}
