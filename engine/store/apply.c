/* apply.c - what the writing operations share: find the version, hold it, change or append
 * (layer 4).
 *
 * IN PLACE OR COPY. A record may change in place if no flush can have begun (it lies at or above
 * the read-only address as read in this stay in the epoch) and if
 *   - in a transactional store, it belongs to the open transaction and was written after its last
 *     savepoint and its newest cursor: nobody else looks into it;
 *   - in a direct store, it is of the operation's own version (procedures/cut.h).
 * Otherwise a new record is appended, and the compare-and-swap of the chain's head decides.
 *
 * WHY NO UPDATE IS LOST. A new value that was computed from an old one (RMW, compare-and-set) is
 * either written under the old record's guard, where the old one is looked at (again: a merge was
 * given a copy, see store_rmw.c), or the old record is *sealed* under its guard
 * then: from then on nobody changes it in place, and whoever wants to change the key
 * must win the head. If the head moves first, the append fails and all begins again. Below the
 * safe read-only address nobody can write any more, so nothing needs a seal there. A blind
 * upsert that appends needs none either: an update in place that it overtakes took effect
 * before it, since both were under way when the head moved. So it may have read the head any time
 * before, as an operation of a batch has, or an RMW whose merge ran meanwhile: what overtakes it,
 * even an operation of its own batch, is blind or meets the guard. Only that the record may still
 * be changed must be known of the present stay in the epoch. A blind write under a key lock is an
 * exception: it seals what it overtakes (key_locks.c, claim 2).
 *
 * A VALUE LARGER THAN A PAGE is written in chunks (chunks.h) between two attempts. The first one
 * ends with the old version sealed, or final anyhow; the second one finds the same version, and
 * appends, or another value, and then a merge begins anew. What no old value is needed for, a blind
 * upsert, or is compared again, needs no such look.
 */
#include "shapes/format_codec.h"
#include "shapes/guard.h"
#include "store/chunks.h"
#include "store/index_growth.h"
#include "store/store_open.h"

enum faster_status fst_fail_too_big(struct faster_session *session, size_t key_bytes,
                                    size_t value_bytes) {
    const struct faster_store *store = session->store;
    const size_t key_bytes_max = fst_key_bytes_max(store);
    if (key_bytes > key_bytes_max) {
        return fst_session_fail(session, FASTER_TOO_BIG,
                                "a key of %zu bytes: this store allows %zu", key_bytes,
                                key_bytes_max);
    }
    return fst_session_fail(
        session, FASTER_TOO_BIG,
        "a value of %zu bytes beside a key of %zu: this store allows %zu%s", value_bytes, key_bytes,
        faster_value_bytes_max(store, key_bytes),
        store->has_chunks ? "" : "; it was created by an earlier version, whose values fit a page");
}

enum fst_attempt fst_op_needs(struct faster_op *op, fst_addr head, fst_addr at) {
    op->head = head.raw;
    op->at = at.raw;
    return FST_ATTEMPT_IO;
}

enum fst_attempt fst_op_needs_value(struct faster_session *session, struct faster_op *op,
                                    fst_addr head, const struct fst_found *found) {
    const struct faster_store *store = session->store;
    const struct faster_bytes value = fst_found_value(found);
    struct fst_chunk_list list;
    if (!fst_chunk_list_decode(value.data, value.size_bytes, found->addr, store->budget.page_bits,
                               &list) ||
        list.first_address < fst_log_begin(store->log).raw) {
        return fst_op_done(op, FASTER_CORRUPT);
    }
    return fst_op_needs(op, head, found->addr);
}

enum fst_attempt fst_find_slot(struct faster_session *session, struct faster_op *op,
                               struct fst_index_slot *slot) {
    enum faster_status status =
        fst_hash_index_find_or_create(session->store->index, op->hash, slot);
    if (status != FASTER_OK) {
        session->index_full = status == FASTER_FULL;
        return fst_op_done(op, status);
    }
    return FST_ATTEMPT_FOUND;
}

/* True if the record was written by an operation of a later version than this one's: the floor
 * is read after the record was reached, and so is that version's or a later one's. */
static bool is_of_later_version(const struct faster_session *session,
                                const struct fst_found *found) {
    const struct faster_store *store = session->store;
    /* acquire: pairs with the release in raise_version() of cut.c */
    return store->direct && found->record != NULL &&
           fst_header_version(found->header) == ((session->version + 1) & 0xff) &&
           found->addr.raw >= fst_load_acquire_u64(&store->version_floor);
}

enum fst_attempt fst_found_version(struct faster_session *session, struct faster_op *op,
                                   fst_addr head, enum fst_walk walk, const struct fst_found *found,
                                   bool *exists) {
    *exists = false;
    switch (walk) {
    case FST_WALK_FOUND:
        if (is_of_later_version(session, found)) {
            return FST_ATTEMPT_AGAIN; /* the next stay in the epoch is of that version, too */
        }
        *exists = !fst_found_is_tombstone(found);
        return FST_ATTEMPT_FOUND;
    case FST_WALK_END:
        return FST_ATTEMPT_FOUND;
    case FST_WALK_DISK:
        return fst_op_needs(op, head, found->addr);
    case FST_WALK_CORRUPT:
        break;
    }
    return fst_op_done(op, FASTER_CORRUPT);
}

/* A finished disk walk speaks of the chain from its head of then down. What has been added
 * since is walked now. If all that it saw has been truncated meanwhile, that was dead. */
static enum fst_walk take_up(struct faster_session *session, struct faster_op *op, fst_addr head,
                             const struct fst_pending *walk, struct fst_found *found) {
    const struct faster_store *store = session->store;
    enum fst_walk newer =
        fst_chain_walk(store, head, FST_UPPER_ALL, walk->head_seen.raw + 1, &op->key, found);
    if (newer != FST_WALK_END || fst_addr_below(walk->head_seen, fst_log_begin(store->log))) {
        return newer;
    }
    *found = walk->found;
    return walk->walk;
}

enum fst_attempt fst_find_for_write(struct faster_session *session, struct faster_op *op,
                                    const struct fst_pending *walk, struct fst_index_slot *slot,
                                    struct fst_found *found, bool *exists) {
    op->upper = FST_UPPER_ALL;
    enum fst_attempt attempt = fst_find_slot(session, op, slot);
    if (attempt != FST_ATTEMPT_FOUND) {
        return attempt;
    }
    if (walk != NULL && walk->failure != FASTER_OK) {
        return fst_op_done(op, walk->failure);
    }
    if (walk != NULL && walk->is_lost) {
        walk = NULL;
    }
    fst_addr head = fst_index_slot_addr(slot);
    enum fst_walk result =
        walk != NULL ? take_up(session, op, head, walk, found)
                     : fst_chain_walk(session->store, head, FST_UPPER_ALL, 0, &op->key, found);
    return fst_found_version(session, op, head, result, found, exists);
}

/* ---- copying and holding a version ---- */

/* In a direct store; in a transactional one nobody but the caller changes what he may look into. */
static bool is_changing(const struct faster_store *store, const struct fst_found *found) {
    return store->direct && found->record != NULL &&
           !fst_addr_below(found->addr, fst_log_safe_read_only(store->log));
}

enum fst_attempt fst_copy_version(const struct faster_store *store, struct faster_op *op,
                                  const struct fst_found *found, struct faster_buffer *out) {
    uint32_t value_bytes;
    enum faster_status status = FASTER_OK;
    if (is_changing(store, found)) {
        status = faster_buffer_reserve(out, found->shape.value_capacity_bytes);
        if (status == FASTER_OK) {
            if (!fst_guard_copy(found->record, &found->shape, out->data, &value_bytes)) {
                return FST_ATTEMPT_BUSY;
            }
            out->size_bytes = value_bytes;
        }
    } else {
        struct fst_found final = *found;
        fst_found_renew_size(&final);
        const struct faster_bytes value = fst_found_value(&final);
        status = faster_buffer_assign(out, value.data, value.size_bytes);
    }
    return status == FASTER_OK ? FST_ATTEMPT_FOUND : fst_op_done(op, status);
}

bool fst_found_may_change(const struct faster_session *session, const struct fst_found *found) {
    const struct faster_store *store = session->store;
    if (found->record == NULL || found->shape.chunked ||
        fst_addr_below(found->addr, fst_log_read_only(store->log))) {
        return false;
    }
    return store->direct ? fst_header_version(found->header) == (session->version & 0xff)
                         : found->addr.raw >= fst_txn_in_place_floor(session->txn);
}

enum fst_attempt fst_hold_version(struct faster_session *session, struct fst_found *found,
                                  struct fst_held *held) {
    const struct faster_store *store = session->store;
    *held = (struct fst_held){.found = found};
    bool is_final = found->record == NULL ||
                    (store->direct ? fst_addr_below(found->addr, fst_log_safe_read_only(store->log))
                                   : !fst_found_may_change(session, found));
    if (!is_final) {
        if (!fst_guard_try_take(found->record)) {
            return FST_ATTEMPT_BUSY;
        }
        if ((fst_load_relaxed_u64(&found->record->header) & FST_HEADER_SEALED) != 0) {
            fst_guard_give(found->record, false); /* final, too: the guard's acquire orders it */
        } else {
            held->has_guard = true;
            held->may_change = fst_found_may_change(session, found);
        }
    }
    fst_found_renew_size(found);
    return FST_ATTEMPT_FOUND;
}

enum fst_attempt fst_hold_overtaken(struct faster_session *session, struct fst_found *found,
                                    struct fst_held *held) {
    const bool must_seal = session->held_locks.count > 0 && found != NULL && !found->shape.chunked;
    return must_seal ? fst_hold_version(session, found, held) : FST_ATTEMPT_FOUND;
}

void fst_release_version(struct fst_held *held) {
    if (held->has_guard) {
        fst_guard_give(held->found->record, false);
        held->has_guard = false;
    }
}

/* A record is about to follow that was made from the held version, or under a lock on its key:
 * nobody may change that one any more. */
static void release_overtaken(const struct faster_session *session, struct fst_held *held) {
    if (held->has_guard && session->store->direct) {
        fst_guard_seal(held->found->record);
    }
    fst_release_version(held);
}

static void change_in_place(struct faster_session *session, struct faster_op *op,
                            struct fst_held *held, const struct faster_bytes *value) {
    struct fst_found *found = held->found;
    fst_guard_write(found->record, &found->shape, value->data, (uint32_t)value->size_bytes);
    fst_guard_give(found->record, true);
    held->has_guard = false;
    fst_op_took_effect(session, op, &session->counters.in_place_updates);
}

/* ---- appending ---- */

/* The record is complete before the compare-and-swap publishes it; whoever flushes its page
 * waits for the epoch, and so for this thread. */
static enum fst_attempt append(struct faster_session *session, struct faster_op *op,
                               struct fst_index_slot *slot, uint64_t flags,
                               const struct faster_bytes *value, bool chunked) {
    struct faster_store *store = session->store;
    struct fst_record_shape shape = fst_record_shape_for(
        (uint32_t)op->key.size_bytes, (uint32_t)value->size_bytes, (uint32_t)value->size_bytes);
    shape.chunked = chunked;
    fst_addr addr;
    void *memory;
    if (fst_log_allocate(store->log, shape.whole_bytes, &addr, &memory) != FST_LOG_OK) {
        return FST_ATTEMPT_ROOM;
    }
    fst_addr previous = fst_index_slot_addr(slot);
    if (fst_addr_below(previous, fst_log_begin(store->log))) {
        previous = fst_addr_of(0);
    }
    if (store->direct) {
        flags |= session->version << FST_HEADER_VERSION_SHIFT;
    }
    fst_record_write(memory, &shape, previous, FST_KIND_DATA, flags, op->key.data, value->data);
    if (!fst_hash_index_publish(store->index, slot, addr)) {
        struct fst_record *record = memory;
        fst_store_relaxed_u64(&record->header,
                              fst_load_relaxed_u64(&record->header) | FST_HEADER_INVALID);
        return FST_ATTEMPT_AGAIN;
    }
    fst_store_note_append(session, addr);
    if (session->txn != NULL) {
        session->txn->record_count++;
    }
    fst_op_took_effect(session, op, &session->counters.appended_records);
    return fst_op_done(op, FASTER_OK);
}

enum fst_attempt fst_apply_value(struct faster_session *session, struct faster_op *op,
                                 struct fst_index_slot *slot, struct fst_held *held,
                                 const struct faster_bytes *value) {
    if (held->may_change && held->has_guard &&
        value->size_bytes <= held->found->shape.value_capacity_bytes) {
        change_in_place(session, op, held, value);
        return fst_op_done(op, FASTER_OK);
    }
    if (value->size_bytes > faster_value_bytes_max(session->store, op->key.size_bytes)) {
        fst_release_version(held);
        return fst_op_done(op, fst_fail_too_big(session, op->key.size_bytes, value->size_bytes));
    }
    release_overtaken(session, held);
    if (!fst_value_is_large(session->store, op->key.size_bytes, value->size_bytes)) {
        return append(session, op, slot, 0, value, false);
    }
    if (!session->large.is_ready) {
        return fst_large_wanted(session, value);
    }
    const struct faster_bytes list = fst_large_list(session);
    return append(session, op, slot, 0, &list, true);
}

enum fst_attempt fst_apply_removal(struct faster_session *session, struct faster_op *op,
                                   struct fst_index_slot *slot, struct fst_held *held) {
    struct faster_bytes nothing = {NULL, 0};
    release_overtaken(session, held);
    return append(session, op, slot, FST_HEADER_TOMBSTONE, &nothing, false);
}
