/* hash_index.c - latch-free buckets with two-phase insert (layer 3).
 *
 * Source: FASTER (SIGMOD 2018), section 3.
 *
 * An entry's word
 *
 *   bits  0-47  address of the chain's newest record; 0: none published yet
 *   bits 48-61  tag
 *   bit     62  tentative: not an entry yet, only its inserter may change the word
 *   bit     63  used; the word is 0 if and only if the entry is free
 *
 * A final entry whose address is not 0 and lies below `begin` is *dead*: its chain is empty.
 * Begin never falls and addresses are never reused, so dead stays dead until the word
 * changes. Address 0 is not dead: its inserter is about to publish.
 *
 *   free      -> tentative   CAS [claim]        by any inserter
 *   dead T    -> tentative   CAS [claim]        by an inserter of another tag
 *   tentative -> final T, 0  store [settle]     by its inserter
 *   tentative -> free        store [settle]     by its inserter
 *   final T   -> final T     CAS [fst_hash_index_publish], dead or not
 *
 * Buckets are never unlinked, and a link never changes once it is set, so the words of a
 * chain of buckets have one order for ever: their position.
 *
 * Claim 1: no tag has two final entries in one chain of buckets. Suppose tag T had them at
 * words A and B at one time. Each became final through a claim (CAS), then a search of the
 * whole chain that met no other word of tag T, then a store. All claims, and the loads of the
 * search, are seq_cst and have one total order; let A's claim precede B's. From A's claim on,
 * A's word has carried tag T, tentative or final: were A withdrawn or reused, its present
 * entry would stem from a later claim. B's search comes after B's claim, hence after A's, so
 * it read tag T in A's word (it reached A's bucket, for A's inserter did so by a seq_cst load
 * of the link before its claim). Then B was withdrawn, or waited. A contradiction.
 *   A search counts a dead word of its own tag like any other: only other tags may reuse it.
 * So while somebody looks for T, a dead T is found and revived in its own word, and that it
 * dies or is reused meanwhile only removes entries.
 *
 * Claim 2: publish never writes to another tag's entry and never loses a record. It compares
 * the full word. Success means that at this moment the word is the final entry of this tag -
 * the one, by claim 1 - and its head is the address that the new record links to, whatever
 * happened in between. Reuse of a dead word is a compare-and-swap of the full word as well:
 * of a revival and a reuse only one succeeds, and the other begins again. What reuse drops is
 * a chain whose head lies below begin, and so does the rest, as addresses fall along it.
 *
 * Claim 3: inserters of one tag do not block each other for ever. Of those whose claims
 * stand at the same time, one that meets a claim at a lower position withdraws; one that
 * meets a claim at a higher position waits for its outcome. So nobody waits in a circle, and
 * the lowest ends. Newcomers that meet a claim do not make one. Waits last from another
 * thread's claim to the end of its search, and yield.
 *
 * Claim 4: no overflow bucket is lost. The thread that took one from the pool links it: after
 * the bucket it had found to be last, or, if another thread was faster, after that one's.
 * So each chain ends in at most one unneeded bucket per thread that raced, and uses these
 * before it takes more.
 */
#include "structures/hash_index.h"

#include <assert.h>
#include <stddef.h>

#define BUCKET_BYTES 64u
#define BUCKET_ENTRIES 7u
#define TAG_SHIFT FST_ADDR_BITS
#define TAG_MASK ((UINT64_C(1) << FST_INDEX_TAG_BITS) - 1)
#define WORD_TENTATIVE (UINT64_C(1) << 62)
#define WORD_USED (UINT64_C(1) << 63)
#define WORD_FREE UINT64_C(0)
#define NO_BUCKET UINT64_C(0) /* as a link: bucket 0 is never an overflow bucket */
/* No chain holds more buckets than it takes to have an entry for each tag. */
#define OVERFLOW_PER_BUCKET_MAX (TAG_MASK / BUCKET_ENTRIES + 1)
#define STATS_SAMPLES_MAX 4096u

_Static_assert(TAG_SHIFT + FST_INDEX_TAG_BITS == 62, "address, tag, tentative, used: 64 bits");
_Static_assert(FST_INDEX_BITS_MAX + FST_INDEX_TAG_BITS <= 64, "the hash has bits for both");

struct bucket {
    fst_atomic_u64 entries[BUCKET_ENTRIES];
    fst_atomic_u64 link; /* number of an overflow bucket; set once, by compare-and-swap */
};

_Static_assert(sizeof(struct bucket) == BUCKET_BYTES, "a bucket is one cache line");

struct fst_hash_index {
    /* Read-only once made. */
    const struct faster_env *env;
    const fst_atomic_u64 *begin; /* the log's */
    struct bucket *buckets;      /* 2^bits, then the pool of overflow buckets; mapped */
    uint64_t bucket_count;
    uint64_t bucket_limit; /* with the pool */
    uint32_t bits;
    unsigned char separation[BUCKET_BYTES];
    /* Buckets taken so far, with the 2^bits. Inserters raise it, up to bucket_limit. */
    fst_atomic_u64 bucket_taken;
};

/* What one pass over a chain of buckets found. */
struct survey {
    fst_atomic_u64 *found; /* the tag's word, final or tentative, or NULL */
    uint64_t found_value;
    bool found_first;     /* it stands before the word `own` */
    fst_atomic_u64 *room; /* a free or dead word, or NULL */
    uint64_t room_value;
    struct bucket *last;
};

/* ---- words ---- */

static uint64_t final_word(uint64_t tag, uint64_t address) {
    return WORD_USED | tag << TAG_SHIFT | address;
}

static uint64_t tag_of_hash(uint64_t hash) {
    return hash >> FST_INDEX_BITS_MAX & TAG_MASK;
}

static uint64_t tag_of_word(uint64_t word) {
    return word >> TAG_SHIFT & TAG_MASK;
}

static bool is_final(uint64_t word) {
    return (word & (WORD_USED | WORD_TENTATIVE)) == WORD_USED;
}

/* Relaxed: begin only grows, so an old value takes fewer words for dead. Read-cache
 * addresses lie above every begin. */
static bool is_dead(const struct fst_hash_index *index, uint64_t word) {
    uint64_t address = word & FST_ADDR_MASK;

    return is_final(word) && address != 0 && address < fst_load_relaxed_u64(index->begin);
}

static bool is_live(const struct fst_hash_index *index, uint64_t word) {
    return is_final(word) && !is_dead(index, word);
}

/* ---- buckets ---- */

static struct bucket *bucket_of_hash(const struct fst_hash_index *index, uint64_t hash) {
    return &index->buckets[hash & (index->bucket_count - 1)];
}

static struct bucket *bucket_of_link(const struct fst_hash_index *index, uint64_t link) {
    return link == NO_BUCKET ? NULL : &index->buckets[link];
}

static struct bucket *next_bucket(const struct fst_hash_index *index, const struct bucket *bucket) {
    /* seq_cst: pairs with the compare-and-swap in append(); claim 1 */
    return bucket_of_link(index, fst_load_seq_cst_u64(&bucket->link));
}

/* A fresh bucket from the pool, or NO_BUCKET. Its words are 0 since it was mapped. */
static uint64_t take_bucket(struct fst_hash_index *index) {
    uint64_t taken = fst_load_relaxed_u64(&index->bucket_taken);

    while (taken < index->bucket_limit) {
        if (fst_cas_relaxed_u64(&index->bucket_taken, &taken, taken + 1)) {
            return taken;
        }
    }
    return NO_BUCKET;
}

/* Links `fresh` at the end of the chain of which `last` was the end. Claim 4. */
static void append(struct fst_hash_index *index, struct bucket *last, uint64_t fresh) {
    uint64_t link = NO_BUCKET;

    /* seq_cst: pairs with the load in next_bucket() */
    while (!fst_cas_seq_cst_u64(&last->link, &link, fresh)) {
        last = bucket_of_link(index, link);
        link = NO_BUCKET;
    }
}

/* ---- find and publish ---- */

bool fst_hash_index_find(const struct fst_hash_index *index, uint64_t hash,
                         struct fst_index_slot *slot) {
    const uint64_t wanted = final_word(tag_of_hash(hash), 0);

    for (struct bucket *bucket = bucket_of_hash(index, hash); bucket != NULL;
         bucket = next_bucket(index, bucket)) {
        for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
            /* acquire: pairs with the compare-and-swap in fst_hash_index_publish() */
            uint64_t value = fst_load_acquire_u64(&bucket->entries[i]);

            if ((value & ~FST_ADDR_MASK) == wanted) {
                *slot = (struct fst_index_slot){&bucket->entries[i], value};
                return !is_dead(index, value);
            }
        }
    }
    return false;
}

bool fst_hash_index_publish(struct fst_hash_index *index, struct fst_index_slot *slot,
                            fst_addr addr) {
    const uint64_t marks = slot->value & ~FST_ADDR_MASK;

    (void)index;
    assert(is_final(slot->value) && addr.raw <= FST_ADDR_MASK);
    /* acq_rel: pairs with the loads in fst_hash_index_find() and note_word() */
    if (fst_cas_acq_rel_u64(slot->word, &slot->value, marks | addr.raw)) {
        slot->value = marks | addr.raw;
        return true;
    }
    if ((slot->value & ~FST_ADDR_MASK) != marks) {
        slot->word = NULL; /* it died and was reused */
    }
    return false;
}

void fst_hash_index_prefetch(const struct fst_hash_index *index, uint64_t hash) {
    __builtin_prefetch(bucket_of_hash(index, hash));
}

/* ---- insert ---- */

/* Notes what a word other than `own` says. True if it ends the pass. */
static bool note_word(const struct fst_hash_index *index, uint64_t tag, fst_atomic_u64 *word,
                      struct survey *survey) {
    /* seq_cst: pairs with the compare-and-swap in claim(), claim 1; acquires what publish
     * released */
    uint64_t value = fst_load_seq_cst_u64(word);

    if ((value & WORD_USED) != 0 && tag_of_word(value) == tag) {
        survey->found = word;
        survey->found_value = value;
        return true;
    }
    if (survey->room == NULL && (value == WORD_FREE || is_dead(index, value))) {
        survey->room = word;
        survey->room_value = value;
    }
    return false;
}

/* Goes over the chain until it meets a word of `tag` other than `own` (may be NULL). */
static void survey_chain(const struct fst_hash_index *index, struct bucket *bucket, uint64_t tag,
                         const fst_atomic_u64 *own, struct survey *survey) {
    *survey = (struct survey){.found_first = true};
    for (; bucket != NULL; bucket = next_bucket(index, bucket)) {
        survey->last = bucket;
        for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
            if (&bucket->entries[i] == own) {
                survey->found_first = false;
            } else if (note_word(index, tag, &bucket->entries[i], survey)) {
                return;
            }
        }
    }
}

/* Ends the tentative insert at `own`: true if it is now final; else the word is free again
 * and another word of this tag was there. Claims 1 and 3. */
static bool settle(struct fst_hash_index *index, struct bucket *bucket, uint64_t tag,
                   fst_atomic_u64 *own) {
    struct survey survey;

    survey_chain(index, bucket, tag, own, &survey);
    while (survey.found != NULL && !is_final(survey.found_value) && !survey.found_first) {
        index->env->yield(index->env);
        survey_chain(index, bucket, tag, own, &survey);
    }
    /* release: pairs with the loads in fst_hash_index_find() and note_word() */
    fst_store_release_u64(own, survey.found == NULL ? final_word(tag, 0) : WORD_FREE);
    return survey.found == NULL;
}

/* Makes the free or dead word that the survey met a tentative one of `tag`. */
static bool claim(struct survey *survey, uint64_t tag) {
    /* seq_cst: pairs with the load in note_word(); claim 1 */
    return fst_cas_seq_cst_u64(survey->room, &survey->room_value,
                               WORD_TENTATIVE | final_word(tag, 0));
}

enum insert_outcome { INSERT_DONE, INSERT_AGAIN, INSERT_FULL };

static enum insert_outcome insert_once(struct fst_hash_index *index, struct bucket *bucket,
                                       uint64_t tag, struct fst_index_slot *slot) {
    struct survey survey;

    survey_chain(index, bucket, tag, NULL, &survey);
    if (survey.found != NULL) {
        *slot = (struct fst_index_slot){survey.found, survey.found_value};
        if (is_final(survey.found_value)) {
            return INSERT_DONE;
        }
        index->env->yield(index->env); /* its inserter ends soon; claim 3 */
        return INSERT_AGAIN;
    }
    if (survey.room == NULL) {
        uint64_t fresh = take_bucket(index);

        if (fresh == NO_BUCKET) {
            return INSERT_FULL;
        }
        append(index, survey.last, fresh);
        return INSERT_AGAIN;
    }
    if (!claim(&survey, tag) || !settle(index, bucket, tag, survey.room)) {
        return INSERT_AGAIN;
    }
    *slot = (struct fst_index_slot){survey.room, final_word(tag, 0)};
    return INSERT_DONE;
}

enum faster_status fst_hash_index_find_or_create(struct fst_hash_index *index, uint64_t hash,
                                                 struct fst_index_slot *slot) {
    struct bucket *bucket = bucket_of_hash(index, hash);
    enum insert_outcome outcome;

    if (fst_hash_index_find(index, hash, slot)) {
        return FASTER_OK;
    }
    do {
        outcome = insert_once(index, bucket, tag_of_hash(hash), slot);
    } while (outcome == INSERT_AGAIN);
    return outcome == INSERT_DONE ? FASTER_OK : FASTER_FULL;
}

/* ---- life ---- */

uint32_t fst_hash_index_bits_for(uint64_t budget_bytes, uint32_t bits_min) {
    const uint64_t count_max = (budget_bytes - budget_bytes / 4) / BUCKET_BYTES;
    uint32_t bits = FST_INDEX_BITS_MAX;

    while (bits > 0 && UINT64_C(1) << bits > count_max) {
        bits--;
    }
    return bits < bits_min || bits < FST_INDEX_BITS_MIN ? 0 : bits;
}

/* How many buckets, with the pool, the budget allows for. */
static uint64_t bucket_limit_for(uint64_t bucket_count, uint64_t budget_bytes) {
    const uint64_t by_budget = budget_bytes / BUCKET_BYTES;
    const uint64_t by_tags = bucket_count * (1 + OVERFLOW_PER_BUCKET_MAX);

    return by_budget < by_tags ? by_budget : by_tags;
}

static enum faster_status map_buckets(struct fst_hash_index *index) {
    if (index->bucket_limit < index->bucket_count) {
        return FASTER_FULL;
    }
    if (index->bucket_limit > SIZE_MAX / BUCKET_BYTES) {
        return FASTER_NOMEM;
    }
    index->buckets = index->env->map(index->env, (size_t)index->bucket_limit * BUCKET_BYTES);
    return index->buckets == NULL ? FASTER_NOMEM : FASTER_OK;
}

enum faster_status fst_hash_index_create(const struct faster_env *env, struct fst_epoch *epoch,
                                         uint32_t bucket_bits, uint64_t budget_bytes,
                                         const fst_atomic_u64 *begin,
                                         struct fst_hash_index **index) {
    struct fst_hash_index *made = env->allocate(env, sizeof *made);
    const uint64_t bucket_count = UINT64_C(1) << bucket_bits;
    enum faster_status status;

    (void)epoch; /* nothing is taken away from under those inside: no bucket is ever freed */
    assert(bucket_bits >= FST_INDEX_BITS_MIN && bucket_bits <= FST_INDEX_BITS_MAX);
    *index = NULL;
    if (made == NULL) {
        return FASTER_NOMEM;
    }
    *made = (struct fst_hash_index){
        .env = env,
        .begin = begin,
        .bucket_count = bucket_count,
        .bucket_limit = bucket_limit_for(bucket_count, budget_bytes),
        .bits = bucket_bits,
    };
    fst_store_relaxed_u64(&made->bucket_taken, bucket_count);
    status = map_buckets(made);
    if (status != FASTER_OK) {
        env->release(env, made);
        return status;
    }
    *index = made;
    return FASTER_OK;
}

void fst_hash_index_destroy(struct fst_hash_index *index) {
    if (index == NULL) {
        return;
    }
    index->env->unmap(index->env, index->buckets, (size_t)index->bucket_limit * BUCKET_BYTES);
    index->env->release(index->env, index);
}

/* ---- what there is ---- */

uint32_t fst_hash_index_bits(const struct fst_hash_index *index) {
    return index->bits;
}

/* Calls `each` with the live entries of one chain of buckets; false if it ended the walk. */
static bool walk_chain(const struct fst_hash_index *index, uint64_t number,
                       fst_index_entry_fn *each, void *context) {
    for (struct bucket *bucket = &index->buckets[number]; bucket != NULL;
         bucket = next_bucket(index, bucket)) {
        for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
            /* acquire: pairs with the compare-and-swap in fst_hash_index_publish() */
            uint64_t value = fst_load_acquire_u64(&bucket->entries[i]);

            if (is_live(index, value) && !each(context, number, (uint32_t)tag_of_word(value),
                                               fst_addr_of(value & FST_ADDR_MASK))) {
                return false;
            }
        }
    }
    return true;
}

void fst_hash_index_walk(const struct fst_hash_index *index, fst_index_entry_fn *each,
                         void *context) {
    uint64_t number = 0;

    while (number < index->bucket_count && walk_chain(index, number, each, context)) {
        number++;
    }
}

static bool count_entry(void *context, uint64_t bucket, uint32_t tag, fst_addr addr) {
    (void)bucket;
    (void)tag;
    (void)addr;
    ++*(uint64_t *)context;
    return true;
}

void fst_hash_index_get_stats(const struct fst_hash_index *index,
                              struct fst_hash_index_stats *stats) {
    const uint64_t taken = fst_load_relaxed_u64(&index->bucket_taken);
    const uint64_t sample_count =
        index->bucket_count < STATS_SAMPLES_MAX ? index->bucket_count : STATS_SAMPLES_MAX;
    const uint64_t stride = index->bucket_count / sample_count;
    uint64_t entry_count = 0;

    for (uint64_t i = 0; i < sample_count; i++) {
        (void)walk_chain(index, i * stride, count_entry, &entry_count);
    }
    *stats = (struct fst_hash_index_stats){
        .bucket_count = index->bucket_count,
        .overflow_count = taken - index->bucket_count,
        .entry_count = entry_count * stride,
        .used_bytes = taken * BUCKET_BYTES,
    };
}
