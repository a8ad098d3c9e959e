#include "base/hash.h"

/* Inlined: keys are short, and a call through the library's table costs as much as the
 * hash of eight bytes. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t fst_hash_bytes(const void *bytes, size_t count_bytes, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, count_bytes, seed);
}
