/* hash_index_internal.h - what the index's files share (layer 3); nobody else includes it.
 *
 * The proofs are at the heads of hash_index.c (entries) and hash_index_grow.c (growth).
 */
#ifndef FST_STRUCTURES_HASH_INDEX_INTERNAL_H
#define FST_STRUCTURES_HASH_INDEX_INTERNAL_H

#include <assert.h>
#include <stddef.h>

#include "structures/hash_index.h"

#define FST_INDEX_BUCKET_BYTES 64u

/* ---- words of entries; see hash_index.c ---- */

#define FST_INDEX_TAG_SHIFT FST_ADDR_BITS
#define FST_INDEX_TAG_MASK ((UINT64_C(1) << FST_INDEX_TAG_BITS) - 1)
#define FST_INDEX_WORD_FREE UINT64_C(0)
#define FST_INDEX_WORD_STAMP UINT64_C(1)
#define FST_INDEX_WORD_TENTATIVE (UINT64_C(1) << 62)
#define FST_INDEX_WORD_USED (UINT64_C(1) << 63)

/* ---- links of buckets ---- */

#define FST_INDEX_LINK_NUMBER ((UINT64_C(1) << 48) - 1) /* of the next bucket; 0: none */
#define FST_INDEX_LINK_SPLITTING (UINT64_C(1) << 62)    /* somebody fills this high bucket */
#define FST_INDEX_LINK_READY (UINT64_C(1) << 63)        /* this high bucket has its entries */

/* ---- the level word: how many buckets there are, and the growth's phase ----
 *
 *   SETTLED  -> GROWING   [fst_index_start_growth] one bit more, the next generation
 *   GROWING  -> DRAINING  [finish_growth] every high bucket is ready
 *   DRAINING -> SETTLED   [settle_growth] whoever saw GROWING has left the epoch
 *   SETTLED  -> SETTLED   [fst_hash_index_presize] the largest size, before the first entry */
#define FST_INDEX_LEVEL_BITS UINT64_C(0xff)
#define FST_INDEX_LEVEL_GROWING (UINT64_C(1) << 8)
#define FST_INDEX_LEVEL_DRAINING (UINT64_C(1) << 9)
#define FST_INDEX_GENERATION_SHIFT 16

_Static_assert(FST_INDEX_TAG_SHIFT + FST_INDEX_TAG_BITS == 62,
               "address, tag, tentative, used: 64 bits");
_Static_assert(FST_INDEX_BITS_MAX + FST_INDEX_TAG_BITS <= 64, "the hash has bits for both");

struct fst_index_bucket {
    fst_atomic_u64 entries[FST_INDEX_BUCKET_ENTRIES];
    /* The next bucket's number, set once, by compare-and-swap; in the first bucket of a chain
     * also READY and SPLITTING. */
    fst_atomic_u64 link;
};

_Static_assert(sizeof(struct fst_index_bucket) == FST_INDEX_BUCKET_BYTES,
               "a bucket is one cache line");

struct fst_hash_index {
    /* Read-only once made. */
    const struct faster_env *env;
    struct fst_epoch *epoch;          /* or NULL: one thread only */
    const fst_atomic_u64 *begin;      /* the log's */
    struct fst_index_bucket *buckets; /* 2^bits_max, then the overflow buckets; mapped */
    uint64_t bucket_limit;            /* with the overflow buckets */
    uint32_t bits_max;
    uint32_t load_percent;
    uint64_t sample_mask; /* entries are counted in buckets whose number has none of these bits */
    fst_index_divide_fn *divide;
    void *divide_context;
    /* Changed by growth only, read by every operation. */
    fst_atomic_u64 level;
    unsigned char separation[FST_INDEX_BUCKET_BYTES];
    /* Overflow buckets end here. Inserters raise it, up to bucket_limit. */
    fst_atomic_u64 bucket_taken;
    fst_atomic_u64 sampled_count; /* used words in sampled chains; who claims or frees one */
    fst_atomic_u64 target_bits;   /* growth goes on up to here; raised by anyone */
    /* One growth's state: reset by settle_growth(). */
    fst_atomic_u64 next_chunk;       /* helpers take chunks of high buckets in turn */
    fst_atomic_u64 ready_count;      /* high buckets that are ready */
    fst_atomic_u64 asked_generation; /* the epoch has got settle_growth() for it */
    fst_atomic_u64 action_count;     /* epoch actions not yet run */
    fst_atomic_u64 growth_count;
    fst_atomic_u64 advised_bits; /* huge pages were asked for so many buckets */
    fst_atomic_u64 huge_bytes;   /* for which the system took the advice */
};

/* ---- words ---- */

static inline uint64_t fst_index_final_word(uint64_t tag, uint64_t address) {
    return FST_INDEX_WORD_USED | tag << FST_INDEX_TAG_SHIFT | address;
}
static inline uint64_t fst_index_tag_of_hash(uint64_t hash) {
    return hash >> FST_INDEX_BITS_MAX & FST_INDEX_TAG_MASK;
}
static inline uint64_t fst_index_tag_of_word(uint64_t word) {
    return word >> FST_INDEX_TAG_SHIFT & FST_INDEX_TAG_MASK;
}
static inline uint64_t fst_index_address_of(uint64_t word) {
    return word & FST_INDEX_ADDR_MASK;
}
static inline bool fst_index_is_final(uint64_t word) {
    return (word & (FST_INDEX_WORD_USED | FST_INDEX_WORD_TENTATIVE)) == FST_INDEX_WORD_USED;
}
/* Relaxed: begin only grows, so an old value takes fewer words for dead. Read-cache
 * addresses lie above every begin. */
static inline bool fst_index_is_dead(const struct fst_hash_index *index, uint64_t word) {
    const uint64_t address = fst_index_address_of(word);

    return fst_index_is_final(word) && address != 0 && address < fst_load_relaxed_u64(index->begin);
}

/* ---- levels ---- */

static inline uint32_t fst_index_level_bits(uint64_t level) {
    return (uint32_t)(level & FST_INDEX_LEVEL_BITS);
}
static inline bool fst_index_level_is_growing(uint64_t level) {
    return (level & FST_INDEX_LEVEL_GROWING) != 0;
}
static inline uint64_t fst_index_level_of(uint32_t bits, uint64_t generation) {
    return bits | generation << FST_INDEX_GENERATION_SHIFT;
}
/* What words of this level carry in their stamp bit. */
static inline uint64_t fst_index_level_stamp(uint64_t level) {
    return level >> FST_INDEX_GENERATION_SHIFT & FST_INDEX_WORD_STAMP;
}
static inline bool fst_index_has_stamp(uint64_t word, uint64_t level) {
    return (word & FST_INDEX_WORD_STAMP) == fst_index_level_stamp(level);
}
/* The number of the bucket where `hash` belongs. */
static inline uint64_t fst_index_home(uint64_t level, uint64_t hash) {
    return hash & ((UINT64_C(1) << fst_index_level_bits(level)) - 1);
}
/* The bit of the hash that tells the halves of the growth under way, and the number of low
 * buckets. */
static inline uint64_t fst_index_half(uint64_t level) {
    return UINT64_C(1) << (fst_index_level_bits(level) - 1);
}

/* ---- buckets ---- */

static inline struct fst_index_bucket *fst_index_next(const struct fst_hash_index *index,
                                                      const struct fst_index_bucket *bucket) {
    /* seq_cst: pairs with the compare-and-swap in append(); claim 1 */
    const uint64_t number = fst_load_seq_cst_u64(&bucket->link) & FST_INDEX_LINK_NUMBER;

    return number == 0 ? NULL : &index->buckets[number];
}
static inline bool fst_index_is_ready(const struct fst_index_bucket *bucket) {
    /* acquire: pairs with the release in release_bucket() */
    return (fst_load_acquire_u64(&bucket->link) & FST_INDEX_LINK_READY) != 0;
}

/* ---- hash_index.c ---- */

/* Links an overflow bucket after `last`, the last one that was seen. False: none is left. */
bool fst_index_extend(struct fst_hash_index *index, struct fst_index_bucket *last);

/* ---- hash_index_grow.c; inside the epoch ---- */

enum fst_index_split {
    FST_INDEX_SPLIT_DONE, /* the bucket is ready */
    FST_INDEX_SPLIT_BUSY, /* somebody else is at it */
    FST_INDEX_SPLIT_FULL  /* no overflow bucket is left */
};

/* Fills the high bucket `number` of the growth that `level` tells of. */
enum fst_index_split fst_index_split_bucket(struct fst_hash_index *index, uint64_t level,
                                            uint64_t number);

/* Splits the next chunk of buckets, if any is left to be taken. */
void fst_index_help(struct fst_hash_index *index, uint64_t level);

/* An overflow bucket was linked: has growth begin when there are too many. */
void fst_index_note_overflow(struct fst_hash_index *index, uint64_t level);

/* The number of used words in the chain of bucket `number` has changed. */
void fst_index_count(struct fst_hash_index *index, uint64_t number, int change);

/* A word became used in the chain of bucket `number`: counts it, and has growth begin when the
 * load is reached. */
void fst_index_note_insert(struct fst_hash_index *index, uint64_t level, uint64_t number);

/* Asks for huge pages for a table of 2^bits buckets. */
void fst_index_advise(struct fst_hash_index *index, uint32_t bits);

/* Begins a growth if none is under way: OK (one is under way now), FULL (the index has its
 * largest size), BUSY (the last one's drain is not over). */
enum faster_status fst_index_start_growth(struct fst_hash_index *index);

#endif
