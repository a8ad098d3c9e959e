/* pins.c - which snapshots are open (layer 4).
 *
 * The orders that pair, all seq_cst (the head of pins.h says why):
 *
 *   take: CAS of a slot         <->  raise_stable: loads of the slots
 *   raise_stable: first store   <->  take: load of `stable`
 *   release: store of a slot    <->  raise_stable: loads of the slots
 *
 * The last store of raise_stable() lowers `stable` to what is pinned: a take that reads the
 * higher one meanwhile fails, which is safe.
 */
#include "store/pins.h"

enum faster_status fst_pins_take(struct fst_pins *pins, uint64_t upper, int32_t *index) {
    for (int32_t i = 0; i < FST_PIN_COUNT; i++) {
        uint64_t expected = 0;
        /* A free-looking slot is tried at once; seq_cst: see the head of pins.h. */
        if (fst_load_relaxed_u64(&pins->slots[i]) != 0 ||
            !fst_cas_seq_cst_u64(&pins->slots[i], &expected, upper)) {
            continue;
        }
        if (upper < fst_load_seq_cst_u64(&pins->stable)) {
            fst_pins_release(pins, i);
            return FASTER_SNAPSHOT_GONE;
        }
        *index = i;
        return FASTER_OK;
    }
    return FASTER_BUSY;
}

void fst_pins_release(struct fst_pins *pins, int32_t index) {
    /* seq_cst store: the reader's walks are over before a truncation sees the slot free. */
    fst_store_seq_cst_u64(&pins->slots[index], 0);
}

uint64_t fst_pins_raise_stable(struct fst_pins *pins, uint64_t wanted) {
    uint64_t before = fst_load_seq_cst_u64(&pins->stable);
    if (wanted <= before) {
        return before;
    }
    fst_store_seq_cst_u64(&pins->stable, wanted);
    uint64_t lowest = wanted;
    for (int32_t i = 0; i < FST_PIN_COUNT; i++) {
        uint64_t upper = fst_load_seq_cst_u64(&pins->slots[i]);
        if (upper != 0 && upper < lowest) {
            lowest = upper;
        }
    }
    if (lowest < before) {
        lowest = before;
    }
    fst_store_seq_cst_u64(&pins->stable, lowest);
    return lowest;
}

uint64_t fst_pins_open_count(const struct fst_pins *pins) {
    uint64_t count = 0;
    for (int32_t i = 0; i < FST_PIN_COUNT; i++) {
        count += fst_load_relaxed_u64(&pins->slots[i]) != 0;
    }
    return count;
}
