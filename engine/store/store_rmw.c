/* store_rmw.c - read-modify-write (layer 4).
 *
 * A merge may take any time, so it runs where nobody waits for it: outside the epoch, without the
 * record's guard, in a transactional store also without the writer role. Three steps:
 *
 *   look    inside the epoch: find the version, copy its value (fst_copy_version())
 *   merge   outside: call the function with the copy; its result is in session->scratch
 *   apply   inside the epoch: find the version again and hold it (fst_hold_version()); if its value
 *           is still the one that was copied, set the new one, else look again
 *
 * newest.h does the same for the most frequent case.
 *
 * NO UPDATE IS LOST. The result is stored only if the present value equals, byte by byte, the one
 * it was made from, or if both are none. From this comparison on the value cannot change before the
 * new one is there:
 *   - in place: whoever changes it needs the guard, which is held through the comparison and the
 *     store;
 *   - by a new record: the old one is sealed before the guard is given back, so nobody changes it
 *     in place any more, and the head's compare-and-swap fails if it has been replaced since this
 *     stay read it. Then all begins again. A version that was final, or sealed by somebody else,
 *     needs no guard for that;
 *   - none: the compare-and-swap alone.
 * So each update takes effect on the very value that its merge was given, and the updates of a key
 * have one order.
 *
 * WHY VALUES ARE COMPARED, AND NO COUNTS. A guard's count comes round after 2^31 changes, which a
 * merge that waits for something may well outlast. A value that has been another one in between and
 * is the same again does no harm: what a merge makes depends on its arguments alone (faster.h), so
 * calling it now would give what it has given. The same holds for a key that was deleted and
 * written again, and for another record with the same value. Only values in chunks are known by
 * their head's address: these never change, and addresses are never used twice.
 *
 * NO MERGE SEES HALF A VALUE. The copy is one that no change has met (guard.h), or of bytes that
 * change no more: below the safe read-only address, or read from disk, or of a transaction that
 * is this session's own.
 *
 * VERSIONS, EVICTION, DELETION. Nothing of the first stay counts in the second one but the copy:
 * version, boundaries, entry and record are read anew. Meanwhile
 *   - a cut may have begun: the record is of the version before then and is copied
 *     (fst_found_may_change()). The update belongs to the version of its last stay, in which all of
 *     its effect lies; the cut that ends this version waits for that stay, and no cut for a merge;
 *   - the record may have become read-only or been sealed: it is copied; a copy somebody else has
 *     made of it is found in its place, and compared;
 *   - it may have been evicted: the walk ends on disk, the operation goes pending and, once the
 *     record is read, looks again;
 *   - the key may have been deleted, or written for the first time: that is another value.
 *
 * BOUNDED. A merge that is slower than the others' updates of its key would never fit. After
 * FST_RMW_LOOKS_MAX looks the next one is called as the last step of an attempt, inside the epoch
 * and with the version held: then no update in place can come before it. Who replaces the record
 * still can, but has got on with an operation of his own: there is no livelock. Nobody who holds a
 * guard waits for anything but that merge.
 */
#include "store/operations.h"

/* What was looked at is gone, or nothing was yet. */
static void begin_look(struct faster_session *session, const struct faster_op *op) {
    struct fst_merged *merged = &session->merged;
    merged->looks = merged->op == op ? merged->looks + 1 : 1;
    merged->op = op;
    merged->is_made = false;
    merged->has_old = false;
    merged->head = 0;
    session->large.is_ready = false; /* chunks of what was made before */
}

/* The value in chunks that `walk` has gathered. FOUND; or IO, DONE. */
static enum fst_attempt take_gathered(struct faster_session *session, struct faster_op *op,
                                      const struct fst_pending *walk,
                                      const struct fst_index_slot *slot,
                                      const struct fst_found *found) {
    struct fst_merged *merged = &session->merged;
    if (!fst_walk_has_value(walk, found)) {
        return fst_op_needs_value(session, op, fst_index_slot_addr(slot), found);
    }
    merged->old = (struct faster_bytes){walk->value.data, walk->value.size_bytes};
    merged->head = found->addr.raw;
    return FST_ATTEMPT_FOUND;
}

/* What was read from disk stays where it is while the operation runs. FOUND, BUSY, or DONE. */
static enum fst_attempt take_copy(struct faster_session *session, struct faster_op *op,
                                  const struct fst_found *found) {
    struct fst_merged *merged = &session->merged;
    if (found->record == NULL) {
        merged->old = fst_found_value(found);
        return FST_ATTEMPT_FOUND;
    }
    const enum fst_attempt attempt = fst_copy_version(session->store, op, found, &merged->copy);
    merged->old = (struct faster_bytes){merged->copy.data, merged->copy.size_bytes};
    return attempt;
}

static enum fst_attempt look(struct faster_session *session, struct faster_op *op,
                             const struct fst_pending *walk, const struct fst_index_slot *slot,
                             const struct fst_found *found) {
    struct fst_merged *merged = &session->merged;
    begin_look(session, op);
    if (found == NULL) {
        return FST_ATTEMPT_MERGE;
    }
    const enum fst_attempt attempt = found->shape.chunked
                                         ? take_gathered(session, op, walk, slot, found)
                                         : take_copy(session, op, found);
    merged->has_old = attempt == FST_ATTEMPT_FOUND;
    return merged->has_old ? FST_ATTEMPT_MERGE : attempt;
}

enum faster_status fst_rmw_merge(struct faster_session *session, struct faster_op *op) {
    struct fst_merged *merged = &session->merged;
    session->scratch.size_bytes = 0;
    enum faster_status status =
        op->merge(op->context, merged->has_old ? &merged->old : NULL, &session->scratch);
    if (status == FASTER_OK && op->result != NULL) {
        status =
            faster_buffer_assign(op->result, session->scratch.data, session->scratch.size_bytes);
    }
    merged->is_made = true;
    merged->removes = status == FASTER_REMOVE;
    if (status == FASTER_REMOVE) {
        status = merged->has_old ? FASTER_OK : FASTER_NOT_FOUND;
    }
    op->status = status;
    return status;
}

/* The last resort: the version is held, if there is one. FOUND; or IO, DONE. */
static enum fst_attempt merge_held(struct faster_session *session, struct faster_op *op,
                                   const struct fst_pending *walk,
                                   const struct fst_index_slot *slot,
                                   const struct fst_found *found) {
    struct fst_merged *merged = &session->merged;
    begin_look(session, op);
    if (found != NULL && found->shape.chunked) {
        const enum fst_attempt attempt = take_gathered(session, op, walk, slot, found);
        if (attempt != FST_ATTEMPT_FOUND) {
            return attempt;
        }
    } else if (found != NULL) {
        merged->old = fst_found_value(found);
    }
    merged->has_old = found != NULL;
    if (fst_rmw_merge(session, op) != FASTER_OK) {
        return FST_ATTEMPT_DONE;
    }
    /* The record may be another one when a new attempt compares. */
    if (found != NULL && found->record != NULL && !found->shape.chunked) {
        const enum faster_status status =
            faster_buffer_assign(&merged->copy, merged->old.data, merged->old.size_bytes);
        merged->old = (struct faster_bytes){merged->copy.data, merged->copy.size_bytes};
        return status == FASTER_OK ? FST_ATTEMPT_FOUND : fst_op_done(op, status);
    }
    return FST_ATTEMPT_FOUND;
}

/* True if the result at hand is what the merge would make of the held version. */
static bool is_made_of(const struct fst_merged *merged, const struct fst_found *found) {
    if (!merged->is_made || merged->has_old != (found != NULL)) {
        return false;
    }
    if (found == NULL) {
        return true;
    }
    if (found->shape.chunked || merged->head != 0) {
        return found->shape.chunked && merged->head == found->addr.raw;
    }
    const struct faster_bytes now = fst_found_value(found);
    return now.data == merged->old.data || fst_rmw_is_same_value(&merged->old, &now);
}

static enum fst_attempt apply(struct faster_session *session, struct faster_op *op,
                              const struct fst_pending *walk, struct fst_index_slot *slot,
                              struct fst_found *found) {
    struct fst_merged *merged = &session->merged;
    struct fst_held held = {0};
    if (found != NULL && !found->shape.chunked) {
        const enum fst_attempt attempt = fst_hold_version(session, found, &held);
        if (attempt != FST_ATTEMPT_FOUND) {
            return attempt;
        }
    }
    if (!is_made_of(merged, found)) {
        const bool is_last = merged->looks >= FST_RMW_LOOKS_MAX;
        if (!is_last) {
            fst_release_version(&held);
        }
        const enum fst_attempt attempt = is_last ? merge_held(session, op, walk, slot, found)
                                                 : look(session, op, walk, slot, found);
        if (attempt != FST_ATTEMPT_FOUND) {
            fst_release_version(&held);
            return attempt;
        }
    }
    if (merged->removes) {
        return fst_apply_removal(session, op, slot, &held);
    }
    const struct faster_bytes value = {session->scratch.data, session->scratch.size_bytes};
    return fst_apply_value(session, op, slot, &held, &value);
}

enum fst_attempt fst_rmw_attempt(struct faster_session *session, struct faster_op *op,
                                 const struct fst_pending *walk) {
    const struct fst_merged *merged = &session->merged;
    struct fst_index_slot slot;
    struct fst_found found;
    bool exists = false;
    const enum fst_attempt attempt = fst_find_for_write(session, op, walk, &slot, &found, &exists);
    if (attempt != FST_ATTEMPT_FOUND) {
        return attempt;
    }
    struct fst_found *present = exists ? &found : NULL;
    const bool may_apply =
        merged->op == op && (merged->is_made || merged->looks >= FST_RMW_LOOKS_MAX);
    return may_apply ? apply(session, op, walk, &slot, present)
                     : look(session, op, walk, &slot, present);
}
