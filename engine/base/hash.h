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

#include <stddef.h>
#include <stdint.h>

uint64_t fst_hash_key(const void *key, size_t key_bytes, uint64_t hash_seed);

#endif
