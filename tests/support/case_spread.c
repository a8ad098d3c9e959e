/* case_spread.c - see case_spread.h.
 *
 * Multiples of a step that has no factor in common with the length meet each number once. The
 * golden ratio's part of the length is the step whose multiples spread most evenly (Knuth, volume
 * 3, section 6.4), so the next number without a common factor is taken.
 */
#include "case_spread.h"

#define GOLDEN_RATIO UINT64_C(0x9E3779B97F4A7C15) /* of 2^64 */

static uint64_t common_factor(uint64_t one, uint64_t other) {
    while (other != 0) {
        const uint64_t rest = one % other;
        one = other;
        other = rest;
    }
    return one;
}

/* One times other, modulo length. The lists are short enough for it not to overflow. */
static uint64_t multiply(uint64_t one, uint64_t other, uint64_t length) {
    return one % length * (other % length) % length;
}

uint64_t case_spread(uint64_t i, uint64_t length) {
    /* A part of 2^32 is near enough. */
    uint64_t step = ((length & UINT32_MAX) * (GOLDEN_RATIO >> 32) >> 32) + 1;
    while (common_factor(length, step) != 1) {
        step++;
    }
    return multiply(i, step, length);
}
