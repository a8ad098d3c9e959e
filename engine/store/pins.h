/* pins.h - which snapshots are open (layer 4).
 *
 * A reader publishes the upper address of its snapshot in a slot before it uses it and then
 * checks that it is not below `stable`; whoever wants to truncate publishes the new stable
 * first and then looks at the slots. Both accesses of each side are sequentially
 * consistent, so at least one of the two sees the other: either the reader finds its
 * snapshot gone, or the truncation finds the pin.
 */
#ifndef FST_STORE_PINS_H
#define FST_STORE_PINS_H

#include "base/atomic.h"
#include "faster.h"

#define FST_PIN_COUNT 2048

struct fst_pins {
    fst_atomic_u64 stable;               /* writer: truncation; readers: any */
    fst_atomic_u64 slots[FST_PIN_COUNT]; /* 0: free; else the snapshot's upper address */
};

/* OK with *index set, SNAPSHOT_GONE, or BUSY (all slots are taken). */
enum faster_status fst_pins_take(struct fst_pins *pins, uint64_t upper,
                                 int32_t *index) FASTER_MUST_CHECK;
void fst_pins_release(struct fst_pins *pins, int32_t index);

/* Announces `wanted` as the new stable address and returns what may really be used: the
 * lowest of wanted and all pins, but never less than stable was before. */
uint64_t fst_pins_raise_stable(struct fst_pins *pins, uint64_t wanted);

uint64_t fst_pins_open_count(const struct fst_pins *pins);

#endif
