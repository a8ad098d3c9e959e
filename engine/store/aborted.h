/* aborted.h - the ranges of the log that no reader may see (layer 4).
 *
 * Records of a transaction that was rolled back stay in the log and in their chains; what
 * hides them is this list of address ranges, in ascending order and coalesced. It is
 * derived, never stored: recovery finds it again in the control records.
 *
 * One thread at a time changes the list (the holder of the store's writer role); any thread
 * inside the epoch reads it. A range that lies below the newest committed end never
 * changes. A range above it may grow, or swallow its neighbours: no reader asks about those
 * addresses, except the transaction's owner, who is the one that changes them.
 */
#ifndef FST_STORE_ABORTED_H
#define FST_STORE_ABORTED_H

#include "base/atomic.h"
#include "base/env.h"
#include "primitives/epoch.h"
#include "shapes/address.h"
#include "shapes/format.h"

struct fst_aborted_array;

struct fst_aborted {
    const struct faster_env *env;
    struct fst_epoch *epoch;
    fst_atomic_ptr array; /* struct fst_aborted_array: writer release, readers acquire */
};

void fst_aborted_init(struct fst_aborted *aborted, const struct faster_env *env,
                      struct fst_epoch *epoch);
void fst_aborted_finish(struct fst_aborted *aborted);

/* True if `addr` lies in a range. Inside the epoch; the chain head through which addr was
 * reached was loaded before. */
bool fst_aborted_array_contains(const struct fst_aborted_array *array, fst_addr addr);
static inline bool fst_aborted_contains(const struct fst_aborted *aborted, fst_addr addr) {
    /* acquire: pairs with the release in publish() of aborted.c */
    const struct fst_aborted_array *array = fst_load_acquire_ptr(&aborted->array);
    return array != NULL && fst_aborted_array_contains(array, addr);
}

/* Adds [start, end); start is not below the end of the last range, or the range swallows
 * every range that starts at or above `start`. Outside the epoch. OK or NOMEM. */
enum faster_status fst_aborted_add(struct fst_aborted *aborted, uint64_t start,
                                   uint64_t end) FASTER_MUST_CHECK;

/* Makes sure that the next `count` calls of fst_aborted_add() cannot fail. */
enum faster_status fst_aborted_reserve(struct fst_aborted *aborted,
                                       uint64_t count) FASTER_MUST_CHECK;

/* Makes everything at or above `start` visible again: a transaction in doubt turned out
 * committed. The caller adds the ranges it aborted inside again. */
void fst_aborted_forget_from(struct fst_aborted *aborted, uint64_t start);

/* Removes the ranges wholly below `begin`. Best effort: without memory they stay. */
void fst_aborted_trim(struct fst_aborted *aborted, uint64_t begin);

/* Copies to `ranges`, as bytes of struct fst_address_range, at most `count_max` of those that end
 * above `from` and start below `until`, from their beginning on, cut off at `until`, which is not
 * above the newest committed end: these never change. Inside the epoch. Returns how many. */
size_t fst_aborted_copy(const struct fst_aborted *aborted, uint64_t from, uint64_t until,
                        void *ranges, size_t count_max);

uint64_t fst_aborted_count(const struct fst_aborted *aborted);

#endif
