#include "base/hash.h"

/* Inlined: keys are short, and a call through the library's table costs as much as the
 * hash of eight bytes. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t fst_hash_key(const void *key, size_t key_bytes, uint64_t hash_seed) {
    return XXH3_64bits_withSeed(key, key_bytes, hash_seed);
}
