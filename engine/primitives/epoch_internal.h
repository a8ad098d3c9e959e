/* epoch_internal.h - the epoch's words, and the way in and out (layer 2).
 *
 * epoch.h includes it for the functions that are inline; nobody else does, nor touches a field.
 * The proof is at the head of epoch.c.
 */
#ifndef FST_PRIMITIVES_EPOCH_INTERNAL_H
#define FST_PRIMITIVES_EPOCH_INTERNAL_H

#include <assert.h>

#include "primitives/epoch.h"

#define FST_EPOCH_SEPARATION_BYTES 128 /* two cache lines: processors fetch them in pairs */

struct fst_epoch_slot {
    _Alignas(FST_EPOCH_SEPARATION_BYTES) fst_atomic_u64 entered;
    fst_atomic_u64 is_open;
};

struct fst_epoch_action_entry {
    fst_atomic_u64 state;
    fst_epoch_action *action; /* the plain fields belong to whoever made `state` BUSY */
    void *context;
    uint64_t argument;
};

struct fst_epoch {
    const struct faster_env *env; /* read-only */
    _Alignas(FST_EPOCH_SEPARATION_BYTES) fst_atomic_u64 current;
    fst_atomic_u64 waiting_count; /* beside `current`: both change on bumps only */
    fst_atomic_u64 slot_limit;
    bool is_light; /* read-only: who drains fences all threads, so that they need no fence */
    struct fst_epoch_slot slots[FST_EPOCH_SLOTS];
    struct fst_epoch_action_entry actions[FST_EPOCH_ACTIONS_MAX];
};

static inline bool fst_epoch_is_inside(const struct fst_epoch_slot *slot) {
    return fst_load_relaxed_u64(&slot->entered) != 0;
}

static inline void fst_epoch_enter(struct fst_epoch *epoch, struct fst_epoch_slot *slot) {
    const uint64_t current = fst_load_relaxed_u64(&epoch->current);

    assert(!fst_epoch_is_inside(slot));
    if (epoch->is_light) {
        fst_store_light_u64(&slot->entered, current);
    } else {
        /* seq_cst: pairs with the load in safe_epoch(); claim 1 */
        (void)fst_exchange_seq_cst_u64(&slot->entered, current);
    }
    /* seq_cst: pairs with the compare-and-swap in start_epoch(); claim 1 (d) */
    (void)fst_load_seq_cst_u64(&epoch->current);
}

static inline void fst_epoch_leave(struct fst_epoch *epoch, struct fst_epoch_slot *slot) {
    const uint64_t entered = fst_load_relaxed_u64(&slot->entered);

    assert(entered != 0);
    /* Either way a release, which hands all we did to the load in safe_epoch(). */
    if (epoch->is_light) {
        fst_store_light_u64(&slot->entered, 0);
    } else {
        /* seq_cst: pairs with the load in safe_epoch(); claim 4 */
        (void)fst_exchange_seq_cst_u64(&slot->entered, 0);
    }
    /* seq_cst: pairs with the compare-and-swap in start_epoch(); claim 4 */
    if (fst_load_seq_cst_u64(&epoch->current) != entered) {
        fst_epoch_drain(epoch);
    }
}

#endif
