/* bytes.h - integers in byte strings, and arithmetic that must not wrap (layer 0).
 *
 * Everything on disk is little-endian. The shifts below compile to plain moves on
 * little-endian machines and need no alignment.
 */
#ifndef FST_BASE_BYTES_H
#define FST_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t fst_load_le_u32(const void *bytes) {
    const uint8_t *b = bytes;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t fst_load_le_u64(const void *bytes) {
    const uint8_t *b = bytes;
    return (uint64_t)fst_load_le_u32(b) | (uint64_t)fst_load_le_u32(b + 4) << 32;
}
static inline void fst_store_le_u32(void *bytes, uint32_t value) {
    uint8_t *b = bytes;
    b[0] = (uint8_t)value;
    b[1] = (uint8_t)(value >> 8);
    b[2] = (uint8_t)(value >> 16);
    b[3] = (uint8_t)(value >> 24);
}
static inline void fst_store_le_u64(void *bytes, uint64_t value) {
    uint8_t *b = bytes;
    fst_store_le_u32(b, (uint32_t)value);
    fst_store_le_u32(b + 4, (uint32_t)(value >> 32));
}

/* Checked sums: false, and the result is unspecified, if it does not fit. */
static inline bool fst_add_fits_u64(uint64_t a, uint64_t b, uint64_t *sum) {
    return !__builtin_add_overflow(a, b, sum);
}
static inline bool fst_add_fits_size(size_t a, size_t b, size_t *sum) {
    return !__builtin_add_overflow(a, b, sum);
}

/* True for 1, 2, 4, ...; false for 0. */
static inline bool fst_is_power_of_two_u64(uint64_t value) {
    return value != 0 && (value & (value - 1)) == 0;
}
/* The position of the highest set bit; REQUIRES: value is not 0. */
static inline uint32_t fst_log2_floor_u64(uint64_t value) {
    return 63u - (uint32_t)__builtin_clzll(value);
}

/* `unit` is a power of two. Rounding up wraps to 0 within a unit of UINT64_MAX. */
static inline uint64_t fst_align_up_u64(uint64_t value, uint64_t unit) {
    return (value + unit - 1) & ~(unit - 1);
}
static inline uint64_t fst_align_down_u64(uint64_t value, uint64_t unit) {
    return value & ~(unit - 1);
}

/* The end of the aligned block of `unit` bytes, a power of two, that holds the byte at `value`. */
static inline uint64_t fst_block_end_u64(uint64_t value, uint64_t unit) {
    return (value | (unit - 1)) + 1;
}
static inline uint64_t fst_min_u64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}
static inline uint64_t fst_max_u64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}
static inline size_t fst_min_size(size_t a, size_t b) {
    return a < b ? a : b;
}
static inline size_t fst_max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Keys are compared with each operation, and most have 8 bytes: without a call then. No bytes
 * are equal, whatever the pointers. */
static inline bool fst_bytes_are_equal(const void *a, const void *b, size_t count_bytes) {
    if (count_bytes == sizeof(uint64_t)) {
        uint64_t a_word;
        uint64_t b_word;
        memcpy(&a_word, a, sizeof a_word);
        memcpy(&b_word, b, sizeof b_word);
        return a_word == b_word;
    }
    return count_bytes == 0 || memcmp(a, b, count_bytes) == 0;
}

#endif
