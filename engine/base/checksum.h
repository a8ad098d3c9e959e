/* checksum.h - checksums of everything on disk (layer 0).
 *
 * All are XXH3 (64 bits). A seed made from the store's UUID and generation goes into each,
 * and the address into those of the log, so bytes of another store, of an older generation
 * or from another place do not pass. They detect accidents, not an attacker.
 *
 * These values are part of the format: a change here is a new format version.
 */
#ifndef FST_BASE_CHECKSUM_H
#define FST_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "faster.h"

uint64_t fst_checksum64(const void *bytes, size_t count, uint64_t seed);

/* The store's checksum seed. */
uint64_t fst_checksum_seed_for(const uint8_t uuid[FASTER_UUID_BYTES], uint64_t generation);

/* The store's seed mixed with the address at which the checksummed bytes lie. Address 0 is
 * mixed in too, so files that use it differ from plain fst_checksum64(). */
uint64_t fst_checksum_seed_at(uint64_t seed, uint64_t address);

/* fst_checksum64() with fst_checksum_seed_at(). */
uint64_t fst_checksum64_at(const void *bytes, size_t count, uint64_t address, uint64_t seed);

/* Folds a 64-bit checksum to 32 bits. */
static inline uint32_t fst_checksum_fold32(uint64_t checksum) {
    return (uint32_t)(checksum ^ (checksum >> 32));
}

#endif
