/* address.h - positions in the log (layer 1).
 *
 * An address is a byte position in the endless log: 48 bits, of which bit 47 marks a
 * read-cache address, so a log holds at most 2^47 bytes. 0 is invalid and ends a chain;
 * the log's first record is at FST_ADDR_FIRST. Addresses are never reused. The type is
 * a struct, so that mixing addresses with offsets and sizes does not compile.
 */
#ifndef FST_SHAPES_ADDRESS_H
#define FST_SHAPES_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t raw;
} fst_addr;

#define FST_ADDR_BITS 48
#define FST_ADDR_MASK ((UINT64_C(1) << FST_ADDR_BITS) - 1)
#define FST_ADDR_READ_CACHE (UINT64_C(1) << 47)
#define FST_ADDR_MAX (FST_ADDR_READ_CACHE - 1)
/* The unit in which the log is written and synced: no unit ever changes, except the one in
 * which a recovered log ends. */
#define FST_WRITE_UNIT_BYTES 4096u
#define FST_ADDR_FIRST_RAW ((uint64_t)FST_WRITE_UNIT_BYTES)

static inline fst_addr fst_addr_of(uint64_t raw) {
    return (fst_addr){raw};
}
static inline bool fst_addr_is_valid(fst_addr addr) {
    return addr.raw != 0;
}
static inline bool fst_addr_equal(fst_addr a, fst_addr b) {
    return a.raw == b.raw;
}
static inline bool fst_addr_below(fst_addr a, fst_addr b) {
    return a.raw < b.raw;
}
static inline fst_addr fst_addr_plus(fst_addr addr, uint64_t bytes) {
    return (fst_addr){addr.raw + bytes};
}
/* `unit` is a power of two. */
static inline fst_addr fst_addr_align_up(fst_addr addr, uint64_t unit) {
    return (fst_addr){(addr.raw + unit - 1) & ~(unit - 1)};
}
static inline fst_addr fst_addr_align_down(fst_addr addr, uint64_t unit) {
    return (fst_addr){addr.raw & ~(unit - 1)};
}
static inline fst_addr fst_addr_min(fst_addr a, fst_addr b) {
    return a.raw < b.raw ? a : b;
}
static inline fst_addr fst_addr_max(fst_addr a, fst_addr b) {
    return a.raw > b.raw ? a : b;
}

#endif
