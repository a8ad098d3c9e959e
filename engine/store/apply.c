/* apply.c - what the writing operations share: find, change in place, append (layer 4). */
#include "store/operations.h"

enum fst_attempt fst_op_done(struct faster_op *op, enum faster_status status) {
    op->status = status;
    return FST_ATTEMPT_DONE;
}

enum fst_attempt fst_op_needs(struct faster_op *op, fst_addr head, fst_addr at) {
    op->head = head.raw;
    op->at = at.raw;
    return FST_ATTEMPT_IO;
}

static enum fst_attempt found_or_done(struct faster_op *op, fst_addr head, enum fst_walk walk,
                                      const struct fst_found *found, bool *exists) {
    switch (walk) {
    case FST_WALK_FOUND:
        *exists = !fst_found_is_tombstone(found);
        return FST_ATTEMPT_FOUND;
    case FST_WALK_END:
        *exists = false;
        return FST_ATTEMPT_FOUND;
    case FST_WALK_DISK:
        return fst_op_needs(op, head, found->addr);
    case FST_WALK_CORRUPT:
        break;
    }
    return fst_op_done(op, FASTER_CORRUPT);
}

enum fst_attempt fst_find_for_write(struct faster_session *session, struct faster_op *op,
                                    const struct fst_pending *walk, struct fst_index_slot *slot,
                                    struct fst_found *found, bool *exists) {
    struct faster_store *store = session->store;
    op->upper = FST_UPPER_ALL;
    enum faster_status status = fst_hash_index_find_or_create(store->index, op->hash, slot);
    if (status != FASTER_OK) {
        session->index_full = status == FASTER_FULL;
        return fst_op_done(op, status);
    }
    fst_addr head = fst_index_slot_addr(slot);
    if (walk != NULL && fst_addr_equal(walk->head_seen, head)) {
        if (walk->failure != FASTER_OK) {
            return fst_op_done(op, walk->failure);
        }
        *found = walk->found;
        return found_or_done(op, head, walk->walk, found, exists);
    }
    return found_or_done(op, head, fst_chain_walk(store, head, FST_UPPER_ALL, 0, &op->key, found),
                         found, exists);
}

/* A record may change in place if it belongs to the open transaction, was written after the
 * last savepoint and the newest cursor, and no flush can have begun: at or above the
 * read-only address as read inside the epoch. Nobody else looks into such a record, because
 * every other view ends below it. */
static bool may_change(const struct faster_session *session, const struct fst_found *found,
                       size_t value_bytes) {
    const struct faster_store *store = session->store;
    uint64_t floor = fst_txn_in_place_floor(session->txn);
    return found->addr.raw >= floor && found->addr.raw >= fst_log_read_only(store->log).raw &&
           value_bytes <= found->shape.value_capacity_bytes && !fst_found_is_tombstone(found);
}

/* The guard is odd while the value changes. Only the owner looks into such a record. */
static void change_in_place(struct faster_session *session, const struct fst_found *found,
                            const struct faster_bytes *value) {
    struct fst_record *record = fst_log_at(session->store->log, found->addr);
    unsigned char *bytes = (unsigned char *)record;
    uint32_t guard = fst_load_relaxed_u32(&record->guard);
    fst_store_relaxed_u32(&record->guard, guard + 1);
    struct fst_record_shape shape = found->shape;
    shape.value_bytes = (uint32_t)value->size_bytes;
    if (shape.large) {
        uint32_t value_bytes = shape.value_bytes;
        memcpy(bytes + FST_RECORD_LARGE_HEADER_BYTES - sizeof value_bytes, &value_bytes,
               sizeof value_bytes);
    } else {
        fst_store_relaxed_u32(&record->sizes, fst_record_small_sizes(&shape));
    }
    unsigned char *target = bytes + found->shape.key_offset_bytes + found->shape.key_bytes;
    if (value->size_bytes > 0) {
        memcpy(target, value->data, value->size_bytes);
    }
    memset(target + value->size_bytes, 0, found->shape.value_capacity_bytes - value->size_bytes);
    fst_store_relaxed_u32(&record->guard, guard + 2);
    fst_add_relaxed_u64(&session->store->counters.in_place_updates, 1);
}

/* The record is complete before the compare-and-swap publishes it; whoever flushes its page
 * waits for the epoch, and so for this thread. */
static enum fst_attempt append(struct faster_session *session, struct faster_op *op,
                               struct fst_index_slot *slot, uint64_t flags,
                               const struct faster_bytes *value) {
    struct faster_store *store = session->store;
    struct fst_record_shape shape = fst_record_shape_for(
        (uint32_t)op->key.size_bytes, (uint32_t)value->size_bytes, (uint32_t)value->size_bytes);
    fst_addr addr;
    void *memory;
    if (fst_log_allocate(store->log, shape.whole_bytes, &addr, &memory) != FST_LOG_OK) {
        return FST_ATTEMPT_ROOM;
    }
    fst_addr previous = fst_index_slot_addr(slot);
    if (fst_addr_below(previous, fst_log_begin(store->log))) {
        previous = fst_addr_of(0);
    }
    fst_record_write(memory, &shape, previous, FST_KIND_DATA, flags, op->key.data, value->data);
    if (!fst_hash_index_publish(store->index, slot, addr)) {
        struct fst_record *record = memory;
        fst_store_relaxed_u64(&record->header,
                              fst_load_relaxed_u64(&record->header) | FST_HEADER_INVALID);
        return FST_ATTEMPT_AGAIN;
    }
    session->txn->record_count++;
    fst_add_relaxed_u64(&store->counters.appended_records, 1);
    return fst_op_done(op, FASTER_OK);
}

enum fst_attempt fst_apply_value(struct faster_session *session, struct faster_op *op,
                                 struct fst_index_slot *slot, const struct fst_found *found,
                                 const struct faster_bytes *value) {
    if (value->size_bytes > faster_value_bytes_max(session->store, op->key.size_bytes)) {
        return fst_op_done(op, FASTER_TOO_BIG);
    }
    if (found != NULL && may_change(session, found, value->size_bytes)) {
        change_in_place(session, found, value);
        return fst_op_done(op, FASTER_OK);
    }
    return append(session, op, slot, 0, value);
}

enum fst_attempt fst_apply_tombstone(struct faster_session *session, struct faster_op *op,
                                     struct fst_index_slot *slot) {
    struct faster_bytes nothing = {NULL, 0};
    return append(session, op, slot, FST_HEADER_TOMBSTONE, &nothing);
}
