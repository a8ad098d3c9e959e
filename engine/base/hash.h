/* hash.h - the hash of a key (layer 0).
 *
 * XXH3 with a seed that each store draws at its creation, so that nobody can prepare keys
 * that collide in a store he cannot read. All 64 bits are usable: the index takes its
 * bucket from the low end and its tag from higher bits.
 *
 * Chains in the log follow the index, so a hash is part of the format.
 */
#ifndef FST_BASE_HASH_H
#define FST_BASE_HASH_H

#include "base/bytes.h"

/* XXH3 of any number of bytes. */
uint64_t fst_hash_bytes(const void *bytes, size_t count_bytes, uint64_t seed);

/* The same of 8 bytes, as XXH3 defines it for 4 to 8: most keys are so long, and a call and the way
 * through the lengths cost as much as the hash. */
static inline uint64_t fst_hash_word(const void *bytes, uint64_t seed) {
    const uint64_t secret = UINT64_C(0xc73ab174c5ecd5a2); /* its bytes 8-15 and 16-23, combined */
    const uint64_t multiplier = UINT64_C(0x9fb21c651e98df25);
    const uint64_t flip = secret - (seed ^ (uint64_t)__builtin_bswap32((uint32_t)seed) << 32);
    const uint64_t word = fst_load_le_u64(bytes);
    uint64_t hash = (word << 32 | word >> 32) ^ flip;
    hash ^= (hash << 49 | hash >> 15) ^ (hash << 24 | hash >> 40);
    hash *= multiplier;
    hash ^= (hash >> 35) + sizeof(uint64_t);
    hash *= multiplier;
    return hash ^ hash >> 28;
}

static inline uint64_t fst_hash_key(const void *key, size_t key_bytes, uint64_t hash_seed) {
    return key_bytes == sizeof(uint64_t) ? fst_hash_word(key, hash_seed)
                                         : fst_hash_bytes(key, key_bytes, hash_seed);
}

#endif
