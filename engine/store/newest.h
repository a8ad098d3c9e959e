/* newest.h - the common case: the chain's newest record is the key's (layer 4).
 *
 * Most chains begin with the record that an operation looks for, in memory, with a value. These
 * functions do then what the long way does (chain.c, store_read.c, apply.c), with the same loads in
 * the same order, in a fraction of the steps; in every other case they do nothing and say false.
 * All inside the epoch, with an address that was read from the key's index entry in this stay, or
 * in an earlier one of the same call (batch.c). An RMW leaves and enters again.
 */
#ifndef FST_STORE_NEWEST_H
#define FST_STORE_NEWEST_H

#include "shapes/guard.h"
#include "store/operations.h"

/* Fills in *found if the record at `addr` has the key, is visible below `upper`, and holds the
 * value itself, not the list of its chunks. */
static inline bool fst_newest_find(const struct faster_store *store, const struct faster_op *op,
                                   fst_addr addr, uint64_t upper, struct fst_found *found) {
    const uint64_t page_bytes = fst_log_page_bytes(store->log);
    /* acquire: pairs with mark_on_disk(), see fst_chain_walk() */
    if (addr.raw < fst_load_acquire_u64(&store->on_disk_below) ||
        fst_addr_below(addr, fst_log_head(store->log)) ||
        fst_addr_below(addr, fst_log_begin(store->log)) || !fst_is_visible(store, addr, upper)) {
        return false;
    }
    const uint64_t available = page_bytes - (addr.raw & (page_bytes - 1));
    found->addr = addr;
    found->record = fst_log_at(store->log, addr);
    found->bytes = (const unsigned char *)found->record;
    found->header = fst_load_relaxed_u64(&found->record->header);
    return !fst_found_is_tombstone(found) &&
           fst_record_peek(found->record, (size_t)available, &found->shape) &&
           found->shape.whole_bytes <= available && !found->shape.chunked &&
           fst_found_has_key(found, &op->key);
}

/* A value that changes no more, or not in a store of this kind. */
static inline void fst_newest_copy_final(struct fst_found *found, struct faster_buffer *out) {
    fst_found_renew_size(found);
    const struct faster_bytes value = fst_found_value(found);
    if (value.size_bytes == sizeof(uint64_t)) { /* without a call */
        memcpy(out->data, value.data, sizeof(uint64_t));
    } else if (value.size_bytes != 0) {
        memcpy(out->data, value.data, value.size_bytes);
    }
    out->size_bytes = value.size_bytes;
}

/* A READ. True: it is done, with OK. */
static inline bool fst_newest_read(const struct faster_store *store, struct faster_op *op,
                                   fst_addr addr) {
    struct fst_found found;
    struct faster_buffer *result = op->result;
    if (!fst_newest_find(store, op, addr, op->upper, &found)) {
        return false;
    }
    if (result != NULL) {
        uint32_t value_bytes;
        if (result->capacity_bytes < found.shape.value_capacity_bytes) {
            return false;
        }
        if (!store->direct || fst_addr_below(addr, fst_log_safe_read_only(store->log))) {
            fst_newest_copy_final(&found, result);
        } else if (fst_guard_copy(found.record, &found.shape, result->data, &value_bytes)) {
            result->size_bytes = value_bytes;
        } else {
            return false;
        }
    }
    op->located = addr.raw;
    op->status = FASTER_OK;
    return true;
}

/* Finds a record that this operation of a direct store may change in place, in this stay in the
 * epoch. */
static inline bool fst_newest_find_mutable(const struct faster_session *session,
                                           const struct faster_op *op, fst_addr addr,
                                           struct fst_found *found) {
    const struct faster_store *store = session->store;
    return store->direct && !fst_addr_below(addr, fst_log_read_only(store->log)) &&
           fst_key_access_of(session, op) == FST_KEY_FREE &&
           fst_newest_find(store, op, addr, FST_UPPER_ALL, found) &&
           fst_header_version(found->header) == (session->version & 0xff);
}

/* Takes the guard of such a record; its value's size is then in found->shape. */
static inline bool fst_newest_take(struct fst_found *found) {
    if (!fst_guard_try_take(found->record)) {
        return false;
    }
    if ((fst_load_relaxed_u64(&found->record->header) & FST_HEADER_SEALED) != 0) {
        fst_guard_give(found->record, false);
        return false;
    }
    fst_found_renew_size(found);
    return true;
}

/* Ends it. True if the value has room there and was set; else nothing has changed. */
static inline bool fst_newest_give(struct faster_session *session, struct faster_op *op,
                                   const struct fst_found *found,
                                   const struct faster_bytes *value) {
    const bool has_room = value->size_bytes <= found->shape.value_capacity_bytes;
    if (has_room) {
        fst_guard_write(found->record, &found->shape, value->data, (uint32_t)value->size_bytes);
        fst_op_took_effect(session, op, &session->counters.in_place_updates);
    }
    fst_guard_give(found->record, has_room);
    return has_room;
}

/* An UPSERT. True: it is done, with OK. */
static inline bool fst_newest_upsert(struct faster_session *session, struct faster_op *op,
                                     fst_addr addr) {
    struct fst_found found;
    if (!fst_newest_find_mutable(session, op, addr, &found) || !fst_newest_take(&found) ||
        !fst_newest_give(session, op, &found, &op->value)) {
        return false;
    }
    op->status = FASTER_OK;
    return true;
}

/* Of an RMW: copies the old value. */
static inline bool fst_newest_look(struct faster_session *session, const struct faster_op *op,
                                   fst_addr addr, struct fst_found *found) {
    struct fst_merged *merged = &session->merged;
    uint32_t old_bytes;
    if (!fst_newest_find_mutable(session, op, addr, found) ||
        merged->copy.capacity_bytes < found->shape.value_capacity_bytes ||
        !fst_guard_copy(found->record, &found->shape, merged->copy.data, &old_bytes)) {
        return false;
    }
    merged->op = op;
    merged->old = (struct faster_bytes){merged->copy.data, old_bytes};
    merged->head = 0;
    merged->looks = 1;
    merged->has_old = true;
    return true;
}

/* In a later stay: sets what was made of the copy, if the value is still the same, there is room,
 * nobody has locked the key, and the record may still be changed in place. If so it is still in
 * memory, and where it was. */
static inline bool fst_newest_set_made(struct faster_session *session, struct faster_op *op,
                                       struct fst_found *found) {
    const struct fst_merged *merged = &session->merged;
    if (merged->removes || /* which needs a record of its own */
        fst_key_access_of(session, op) != FST_KEY_FREE ||
        fst_addr_below(found->addr, fst_log_read_only(session->store->log)) ||
        fst_header_version(found->header) != (session->version & 0xff) || !fst_newest_take(found)) {
        return false;
    }
    const struct faster_bytes now = fst_found_value(found);
    const struct faster_bytes value = {session->scratch.data, session->scratch.size_bytes};
    if (!fst_rmw_is_same_value(&merged->old, &now)) {
        fst_guard_give(found->record, false);
        return false;
    }
    return fst_newest_give(session, op, found, &value);
}

/* An RMW. True: it is done, with OK or what merge says. Else what merge has made is kept for the
 * long way, which comes next or finds it gone. */
static inline bool fst_newest_rmw(struct faster_session *session, struct faster_op *op,
                                  fst_addr addr) {
    struct fst_epoch *epoch = session->store->epoch;
    struct fst_found found;
    if (!fst_newest_look(session, op, addr, &found)) {
        return false;
    }
    fst_epoch_leave(epoch, session->slot);
    const enum faster_status status = fst_rmw_merge(session, op);
    fst_epoch_enter(epoch, session->slot);
    fst_session_note_version(session);
    if (status == FASTER_OK && !fst_newest_set_made(session, op, &found)) {
        return false;
    }
    session->merged.op = NULL;
    return true;
}

/* Whatever operation it is. */
static inline bool fst_newest_try(struct faster_session *session, struct faster_op *op,
                                  fst_addr addr) {
    switch (op->kind) {
    case FASTER_OP_READ:
        return fst_newest_read(session->store, op, addr);
    case FASTER_OP_UPSERT:
        return fst_newest_upsert(session, op, addr);
    case FASTER_OP_RMW:
        return fst_newest_rmw(session, op, addr);
    default:
        return false;
    }
}

/* The same once the index has been asked: a key without an entry does not exist. */
static inline bool fst_newest_try_at(struct faster_session *session, struct faster_op *op,
                                     bool has_entry, fst_addr addr) {
    if (has_entry) {
        return fst_newest_try(session, op, addr);
    }
    if (op->kind != FASTER_OP_READ) {
        return false;
    }
    op->located = 0;
    op->status = FASTER_NOT_FOUND;
    return true;
}

#endif
