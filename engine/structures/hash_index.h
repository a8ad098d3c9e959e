/* hash_index.h - from key hash to the newest record of its chain (layer 3).
 *
 * A table of 64-byte buckets: seven entries and a link to an overflow bucket. An entry is
 * one word: address (48 bits, bit 47: read cache), tag (14 bits of the hash), a tentative
 * bit, a used bit. All keys with the same bucket and tag share one entry and one chain.
 * Entries change by compare-and-swap only; a new entry is inserted in two phases
 * (tentative, then final) so that no tag ever has two entries. The proof is at the head of
 * hash_index.c. Source: FASTER (SIGMOD 2018), section 3.
 *
 * Bucket bits come from the low end of the hash, the tag from the bits just above
 * FST_INDEX_BITS_MAX, so an index with more buckets splits chains and never joins them:
 * an index may be rebuilt with as many or more buckets than any index that linked the
 * log's records, never with fewer.
 *
 * Addresses fall along a chain: a record is above the one it links to. So a chain whose head
 * lies below begin has nothing at or above it, and its entry may be reused for another tag.
 *
 * Callers are inside the epoch while they hold a slot pointer.
 */
#ifndef FST_STRUCTURES_HASH_INDEX_H
#define FST_STRUCTURES_HASH_INDEX_H

#include "base/atomic.h"
#include "base/env.h"
#include "primitives/epoch.h"
#include "shapes/address.h"

#define FST_INDEX_BITS_MIN 4u
#define FST_INDEX_BITS_MAX 36u
#define FST_INDEX_TAG_BITS 14u

struct fst_hash_index;

/* An entry's place and the word that was read from it. */
struct fst_index_slot {
    fst_atomic_u64 *word;
    uint64_t value; /* what was seen: the CAS's expected value */
};

/* Makes an empty index of 2^bucket_bits buckets that never uses more than `budget_bytes`
 * with its overflow buckets. Memory is mapped, so untouched buckets cost nothing.
 * `begin` is the log's begin address word: entries below it count as empty and are reused.
 * OK, NOMEM, or FULL if the buckets alone exceed the budget. */
enum faster_status fst_hash_index_create(const struct faster_env *env, struct fst_epoch *epoch,
                                         uint32_t bucket_bits, uint64_t budget_bytes,
                                         const fst_atomic_u64 *begin,
                                         struct fst_hash_index **index) FASTER_MUST_CHECK;
void fst_hash_index_destroy(struct fst_hash_index *index);

/* The number of bits, at least `bits_min`, whose buckets take at most 3/4 of the budget, or
 * 0 if there is none. */
uint32_t fst_hash_index_bits_for(uint64_t budget_bytes, uint32_t bits_min);

/* Finds the entry of `hash`. False if there is none (or its address lies below begin). */
bool fst_hash_index_find(const struct fst_hash_index *index, uint64_t hash,
                         struct fst_index_slot *slot);

/* Finds or inserts it; a new entry has address 0. An entry of this tag below begin is handed
 * out as it is: its address ends the chain, as 0 does. OK or FULL (no overflow bucket left
 * in the budget). An entry stays at address 0 until somebody publishes there. */
enum faster_status fst_hash_index_find_or_create(struct fst_hash_index *index, uint64_t hash,
                                                 struct fst_index_slot *slot) FASTER_MUST_CHECK;

/* The chain head the slot held when it was read. */
static inline fst_addr fst_index_slot_addr(const struct fst_index_slot *slot) {
    return fst_addr_of(slot->value & FST_ADDR_MASK);
}

/* Publishes `addr` as the chain's head if the entry is unchanged (acquire-release: the
 * record's bytes are visible to whoever reads the entry); the slot then holds the new value.
 * On failure the slot holds the entry's present value if it is still this tag's; else false
 * with slot->word NULL: find again. */
bool fst_hash_index_publish(struct fst_hash_index *index, struct fst_index_slot *slot,
                            fst_addr addr) FASTER_MUST_CHECK;

/* Hints the processor to load the bucket of `hash`. */
void fst_hash_index_prefetch(const struct fst_hash_index *index, uint64_t hash);

struct fst_hash_index_stats {
    uint64_t bucket_count;
    uint64_t overflow_count;
    uint64_t entry_count; /* used entries; above 4,096 buckets estimated from a sample */
    uint64_t used_bytes;  /* buckets and overflow buckets */
};
void fst_hash_index_get_stats(const struct fst_hash_index *index,
                              struct fst_hash_index_stats *stats);
uint32_t fst_hash_index_bits(const struct fst_hash_index *index);

/* Calls `each` with every used entry's bucket, tag and address (0: nothing published yet;
 * never below begin) until it returns false. For audits: entries that change meanwhile may
 * be seen either way. */
typedef bool fst_index_entry_fn(void *context, uint64_t bucket, uint32_t tag, fst_addr addr);
void fst_hash_index_walk(const struct fst_hash_index *index, fst_index_entry_fn *each,
                         void *context);

#endif
