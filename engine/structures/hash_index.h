/* hash_index.h - from key hash to the newest record of its chain (layer 3).
 *
 * A table of 64-byte buckets: seven entries and a link to an overflow bucket. An entry is
 * one word: address (48 bits, bit 47: read cache; a multiple of 8), tag (14 bits of the hash),
 * a tentative bit, a used bit. All keys with the same bucket and tag share one entry and one
 * chain. Entries change by compare-and-swap only; a new entry is inserted in two phases
 * (tentative, then final) so that no tag ever has two entries. The proof is at the head of
 * hash_index.c. Source: FASTER (SIGMOD 2018), section 3.
 *
 * Bucket bits come from the low end of the hash, the tag from the bits just above
 * FST_INDEX_BITS_MAX, so an index with more buckets splits chains and never joins them:
 * an index may be rebuilt with as many or more buckets than any index that linked the
 * log's records, never with fewer.
 *
 * The table doubles while operations run, in place: bucket b splits into b and b + 2^bits,
 * each by itself, under the hands of the operations that change entries. No operation waits
 * for a growth as a whole, none ever for the epoch; readers wait for nothing. How, and why
 * that loses nothing, is at the head of hash_index_grow.c. An entry whose chain cannot be
 * divided in memory goes to both halves: each then has a chain that holds more than it needs.
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
#define FST_INDEX_BUCKET_ENTRIES 7u
#define FST_INDEX_TAG_BITS 14u

/* The low bits of a word's address field are the index's own. */
#define FST_INDEX_ADDR_MASK (FST_ADDR_MASK & ~UINT64_C(7))

struct fst_hash_index;

/* An entry's place and the word that was read from it. */
struct fst_index_slot {
    fst_atomic_u64 *word; /* NULL: for reading only */
    uint64_t value;       /* what was seen: the CAS's expected value */
};

/* Which half of a bucket a growth puts a hash into. */
struct fst_index_halves {
    uint64_t low; /* the bucket's number */
    uint64_t bit; /* of the hash: the high half has it. The number of low buckets */
};

/* 0 or 1, or 2: neither. Chains hold such records too, below those of the bucket, since an
 * earlier growth. */
static inline int fst_index_half_of(const struct fst_index_halves *halves, uint64_t hash) {
    return (hash & (halves->bit - 1)) != halves->low ? 2 : (hash & halves->bit) != 0;
}

/* Divides a chain for a growth: heads[0] becomes the first record of the low half, heads[1] of
 * the high one; 0 if the chain holds none. A head may also be any record above the first one of
 * its half, as where the chain is not in memory. `known` (0: nothing is) is where an earlier
 * call began whose answer is in `heads`: only the records above it are new. Called inside the
 * epoch, after `head` was read inside it. */
typedef void fst_index_divide_fn(void *context, fst_addr head,
                                 const struct fst_index_halves *halves, fst_addr known,
                                 fst_addr heads[2]);

/* A load above which no index ever gets: growth on command only. */
#define FST_INDEX_LOAD_NEVER UINT32_MAX

struct fst_hash_index_config {
    const struct faster_env *env;
    struct fst_epoch *epoch;     /* NULL: one thread only */
    const fst_atomic_u64 *begin; /* the log's: entries below count as empty and are reused */
    uint64_t budget_bytes;       /* never exceeded, with the overflow buckets */
    uint32_t bits;               /* 2^bits buckets at first */
    uint32_t bits_max;           /* and at most so many, at least `bits` */
    /* Used entries per 100 places of the table at which it grows by itself; it also does when
     * there is an overflow bucket for every other bucket. */
    uint32_t load_percent;
    fst_index_divide_fn *divide; /* NULL: halves always share the whole chain */
    void *divide_context;
};

/* Makes an empty index. Memory for the largest size is mapped, so untouched buckets cost
 * nothing. OK, NOMEM, or FULL if 2^bits_max buckets alone exceed the budget. */
enum faster_status fst_hash_index_create(const struct fst_hash_index_config *config,
                                         struct fst_hash_index **index) FASTER_MUST_CHECK;
/* Nobody is inside the epoch. */
void fst_hash_index_destroy(struct fst_hash_index *index);

/* The number of bits, at least `bits_min`, whose buckets take at most 3/4 of the budget, or
 * 0 if there is none. */
uint32_t fst_hash_index_bits_for(uint64_t budget_bytes, uint32_t bits_min);

/* Finds the entry of `hash`, to read its chain: the slot has no word to publish at. False if
 * there is none (or its address lies below begin). */
bool fst_hash_index_find(const struct fst_hash_index *index, uint64_t hash,
                         struct fst_index_slot *slot);

/* Finds it to publish there. OK, NOT_FOUND (or its address lies below begin), or FULL (its
 * bucket is to be split, and no overflow bucket is left in the budget). */
enum faster_status fst_hash_index_find_for_write(struct fst_hash_index *index, uint64_t hash,
                                                 struct fst_index_slot *slot) FASTER_MUST_CHECK;

/* Finds or inserts it; a new entry has address 0. An entry of this tag below begin is handed
 * out as it is: its address ends the chain, as 0 does. OK or FULL (no overflow bucket left
 * in the budget). An entry stays at address 0 until somebody publishes there, or a growth
 * takes it back. */
enum faster_status fst_hash_index_find_or_create(struct fst_hash_index *index, uint64_t hash,
                                                 struct fst_index_slot *slot) FASTER_MUST_CHECK;

/* The chain head the slot held when it was read. */
static inline fst_addr fst_index_slot_addr(const struct fst_index_slot *slot) {
    return fst_addr_of(slot->value & FST_INDEX_ADDR_MASK);
}

/* Publishes `addr`, a multiple of 8, as the chain's head if the entry is unchanged
 * (acquire-release: the record's bytes are visible to whoever reads the entry); the slot then
 * holds the new value. On failure the slot holds the entry's present value if it still is the
 * hash's; else (another tag has it, or it was split) false with slot->word NULL: find again.
 * The slot is of this stay inside the epoch. */
bool fst_hash_index_publish(struct fst_hash_index *index, struct fst_index_slot *slot,
                            fst_addr addr) FASTER_MUST_CHECK;

/* Hints the processor to load the bucket of `hash`. */
void fst_hash_index_prefetch(const struct fst_hash_index *index, uint64_t hash);

/* About so many entries are to come: huge pages are asked for before small ones have been touched,
 * if that many entries will touch them all. Any thread. */
void fst_hash_index_expect(struct fst_hash_index *index, uint64_t entry_count);

/* ---- growth ---- */

/* Doubles the table, or carries a growth under way to its end. Outside the epoch; `slot` is the
 * caller's (NULL where the index has no epoch). Any thread. OK, FULL (the largest size is
 * reached, or no overflow bucket is left), BUSY (another thread stands in the middle of one
 * bucket, or inside the epoch since the last growth: growth ends without the caller). */
enum faster_status fst_hash_index_grow(struct fst_hash_index *index,
                                       struct fst_epoch_slot *slot) FASTER_MUST_CHECK;

/* Has the table grow to 2^bits buckets or as far as it may, step by step, by the operations
 * that follow. Any thread, inside or outside the epoch; never waits. */
void fst_hash_index_grow_toward(struct fst_hash_index *index, uint32_t bits);

/* Gives an index that never had an entry its largest size at once. Outside the epoch; `slot` as
 * above. No thread creates entries meanwhile; others may search. */
void fst_hash_index_presize(struct fst_hash_index *index, struct fst_epoch_slot *slot);

enum fst_index_phase { FST_INDEX_SETTLED = 0, FST_INDEX_GROWING, FST_INDEX_DRAINING };

struct fst_hash_index_stats {
    uint64_t bucket_count; /* of the table; while it grows, of the larger one */
    uint64_t overflow_count;
    uint64_t entry_count;  /* used entries; above 4,096 buckets estimated from a sample */
    uint64_t used_bytes;   /* buckets and overflow buckets */
    uint64_t growth_count; /* doublings begun */
    enum fst_index_phase phase;
    uint64_t
        huge_bytes; /* of the mapping, for which the system took the advice to use huge pages */
};
void fst_hash_index_get_stats(const struct fst_hash_index *index,
                              struct fst_hash_index_stats *stats);
/* At least as many as any entry was published under, by this thread or before a moment that it
 * synchronized with. */
uint32_t fst_hash_index_bits(const struct fst_hash_index *index);

/* Calls `each` with every used entry's bucket, tag and address (0: nothing published yet;
 * never below begin) until it returns false. For the audits of tests: entries that change meanwhile
 * may be seen either way, and of a bucket that a growth has yet to split only the low half has
 * entries, which are those of both. */
typedef bool fst_index_entry_fn(void *context, uint64_t bucket, uint32_t tag, fst_addr addr);
void fst_hash_index_walk(const struct fst_hash_index *index, fst_index_entry_fn *each,
                         void *context);

/* ---- copying (hash_index_copy.c) ---- */

/* One entry: the chain at `addr` holds all records, and maybe more, of the hashes with this tag
 * whose low `bits` bits are `bucket`. */
struct fst_index_copied {
    uint64_t bucket;
    uint32_t bits;
    uint32_t tag;
    fst_addr addr;
};
typedef void fst_index_copied_fn(void *context, const struct fst_index_copied *copied);

/* Zero but for the index, at first. */
struct fst_index_reader {
    const struct fst_hash_index *index;
    uint64_t next; /* bucket */
};

/* Reads up to `bucket_max` buckets, those of one bucket after each other, numbers ascending;
 * inside the epoch. Everything is covered that was published before the first call. False: that
 * were the last ones. */
bool fst_index_read(struct fst_index_reader *reader, uint32_t bucket_max, fst_index_copied_fn *each,
                    void *context);

/* Makes the heads that the entry covers at least its address. Inside the epoch; nobody else uses
 * the index. OK, or FULL: it has fewer bits than the entry, or no overflow bucket is left. */
enum faster_status fst_index_load(struct fst_hash_index *index,
                                  const struct fst_index_copied *copied) FASTER_MUST_CHECK;

#endif
