#include "base/checksum.h"

#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"

#define STORE_SEED UINT64_C(0x4641535445526373)
/* Odd, so that multiplying by it maps different addresses to different words. */
#define ADDRESS_MULTIPLIER UINT64_C(0x9E3779B97F4A7C15)

uint64_t fst_checksum64(const void *bytes, size_t count, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, count, seed);
}

uint64_t fst_checksum_seed_for(const uint8_t uuid[FASTER_UUID_BYTES], uint64_t generation) {
    uint8_t identity[FASTER_UUID_BYTES + 8];
    memcpy(identity, uuid, FASTER_UUID_BYTES);
    fst_store_le_u64(identity + FASTER_UUID_BYTES, generation);
    return fst_checksum64(identity, sizeof identity, STORE_SEED);
}

/* XXH3 uses the seed's bits unevenly for short inputs, so an address is spread over all of
 * them first. One to one for a given seed. */
uint64_t fst_checksum_seed_at(uint64_t seed, uint64_t address) {
    uint64_t mixed = (address + 1) * ADDRESS_MULTIPLIER;
    return seed ^ mixed ^ (mixed >> 32);
}

uint64_t fst_checksum64_at(const void *bytes, size_t count, uint64_t address, uint64_t seed) {
    return fst_checksum64(bytes, count, fst_checksum_seed_at(seed, address));
}
