/* hash_index.c - latch-free buckets with two-phase insert (layer 3).
 *
 * Source: FASTER (SIGMOD 2018), section 3.
 *
 * An entry's word
 *
 *   bit      0  stamp: the low bit of the generation of the level under which the word was made
 *   bits  3-47  address of the chain's newest record; 0: none published yet
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
 *   final T   -> final T     CAS [fst_hash_index_publish], dead or not, stamp unchanged
 *   final T   -> final T     CAS [split_word], the next stamp; by whoever splits its bucket
 *   final T   -> free        CAS [split_word], when its chain has nothing for its half
 *
 * The claims below are about the words and the chain of buckets of one home; what the last two
 * lines add, and how operations find their home while the table grows, is proven at the head of
 * hash_index_grow.c.
 *
 * Buckets are never unlinked, and a link never changes once it is set, so the words of a
 * chain of buckets have one order for ever: their position.
 *
 * Claim 1: no tag has two final entries in one chain of buckets. Suppose tag T had them at
 * words A and B at one time. Each became final through a claim (CAS), then a search of the
 * whole chain that met no other word of tag T, then a store. All claims, and the loads of the
 * search, are seq_cst and have one total order; let A's claim precede B's. From A's claim on,
 * A's word has carried tag T, tentative or final: were A withdrawn, reused or freed, its
 * present entry would stem from a later claim. B's search comes after B's claim, hence after A's,
 * so it read tag T in A's word (it reached A's bucket, for A's inserter did so by a seq_cst load of
 * the link before its claim). Then B was withdrawn, or waited. A contradiction. A search counts a
 * dead word of its own tag like any other: only other tags may reuse it. So while somebody looks
 * for T, a dead T is found and revived in its own word, and that it dies or is reused meanwhile
 * only removes entries.
 *
 * Claim 2: publish never writes to another tag's entry and never loses a record. It compares
 * the full word, stamp included. Success means that at this moment the word is the final entry of
 * this tag - the one, by claim 1 - and its head is the address that the new record links to,
 * whatever happened in between. Reuse of a dead word is a compare-and-swap of the full word as
 * well: of a revival and a reuse only one succeeds, and the other begins again. What reuse drops is
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
#include "structures/hash_index_internal.h"

/* What one pass over a chain of buckets found. */
struct survey {
    fst_atomic_u64 *found; /* the tag's word, final or tentative, or NULL */
    uint64_t found_value;
    bool found_first;     /* it stands before the word `own` */
    fst_atomic_u64 *room; /* a free or dead word, or NULL */
    uint64_t room_value;
    struct fst_index_bucket *last;
};

/* Where an operation looks. */
struct place {
    uint64_t level; /* as loaded */
    uint64_t tag;
    uint64_t home;                   /* number of the bucket */
    struct fst_index_bucket *bucket; /* the home */
    struct fst_index_bucket *low;    /* the bucket that still serves the home, or NULL */
};

/* ---- buckets ---- */

/* A fresh bucket from the pool, or 0. Its words are 0 since it was mapped. */
static uint64_t take_bucket(struct fst_hash_index *index) {
    uint64_t taken = fst_load_relaxed_u64(&index->bucket_taken);

    while (taken < index->bucket_limit) {
        if (fst_cas_relaxed_u64(&index->bucket_taken, &taken, taken + 1)) {
            return taken;
        }
    }
    return 0;
}

/* Links `fresh` at the end of the chain of which `last` was the end. Claim 4. */
static void append(struct fst_hash_index *index, struct fst_index_bucket *last, uint64_t fresh) {
    /* seq_cst, all three: pairs with the load in fst_index_next() */
    uint64_t link = fst_load_seq_cst_u64(&last->link);

    for (;;) {
        if ((link & FST_INDEX_LINK_NUMBER) != 0) {
            last = &index->buckets[link & FST_INDEX_LINK_NUMBER];
            link = fst_load_seq_cst_u64(&last->link);
        } else if (fst_cas_seq_cst_u64(&last->link, &link, link | fresh)) {
            return;
        }
    }
}

bool fst_index_extend(struct fst_hash_index *index, struct fst_index_bucket *last) {
    const uint64_t fresh = take_bucket(index);

    if (fresh != 0) {
        append(index, last, fresh);
    }
    return fresh != 0;
}

/* ---- find and publish ---- */

static struct place place_of(const struct fst_hash_index *index, uint64_t level, uint64_t hash) {
    struct place place = {
        .level = level, .tag = fst_index_tag_of_hash(hash), .home = fst_index_home(level, hash)};

    place.bucket = &index->buckets[place.home];
    if (fst_index_level_is_growing(level) && (hash & fst_index_half(level)) != 0 &&
        !fst_index_is_ready(place.bucket)) {
        place.low = place.bucket - fst_index_half(level);
    }
    return place;
}

/* acquire: pairs with the changes of the level in hash_index_grow.c; claim 6 */
static uint64_t load_level(const struct fst_hash_index *index) {
    return fst_load_acquire_u64(&index->level);
}

static inline uint32_t is_match(const struct fst_index_bucket *bucket, uint32_t i,
                                uint64_t wanted) {
    /* acquire: pairs with the compare-and-swaps in fst_hash_index_publish() and split_word() */
    return fst_load_acquire_u64(&bucket->entries[i]) >> FST_INDEX_TAG_SHIFT == wanted;
}

/* Bit i: entry i is a final one with these tag bits. Straight on, as where in its bucket an entry
 * stands is what a processor cannot foresee. */
static inline uint32_t matches_in(const struct fst_index_bucket *bucket, uint64_t wanted) {
    _Static_assert(FST_INDEX_BUCKET_ENTRIES == 7, "all are looked at");
    return is_match(bucket, 0, wanted) | is_match(bucket, 1, wanted) << 1 |
           is_match(bucket, 2, wanted) << 2 | is_match(bucket, 3, wanted) << 3 |
           is_match(bucket, 4, wanted) << 4 | is_match(bucket, 5, wanted) << 5 |
           is_match(bucket, 6, wanted) << 6;
}

/* Takes the first match. False if that word has just changed. */
static inline bool take_match(struct fst_index_bucket *bucket, uint32_t matches, uint64_t wanted,
                              struct fst_index_slot *slot) {
    fst_atomic_u64 *word = &bucket->entries[__builtin_ctz(matches)];
    /* acquire: pairs as in is_match() */
    const uint64_t value = fst_load_acquire_u64(word);

    *slot = (struct fst_index_slot){word, value};
    return value >> FST_INDEX_TAG_SHIFT == wanted;
}

/* Finds the final word of `tag`, dead or not. */
static bool search(const struct fst_hash_index *index, struct fst_index_bucket *bucket,
                   uint64_t tag, struct fst_index_slot *slot) {
    const uint64_t wanted = fst_index_final_word(tag, 0) >> FST_INDEX_TAG_SHIFT;

    while (bucket != NULL) {
        const uint32_t matches = matches_in(bucket, wanted);

        if (matches == 0) {
            bucket = fst_index_next(index, bucket);
        } else if (take_match(bucket, matches, wanted, slot)) {
            return true;
        }
    }
    return false;
}

/* True if a word found at its home says what counts under `level`: else the level has changed.
 * Claim 6. */
static bool is_of_level(uint64_t level, uint64_t value) {
    return fst_index_level_is_growing(level) || fst_index_has_stamp(value, level);
}

/* True if the low bucket still has the entry that serves both halves. */
static bool search_low(const struct fst_hash_index *index, const struct place *place,
                       struct fst_index_slot *slot) {
    return search(index, place->low, place->tag, slot) &&
           !fst_index_has_stamp(slot->value, place->level);
}

/* The common case of a search: no growth is under way, and the entry stands in the first bucket.
 * What it finds the whole search would find as well: a word of the level at its home. False: only
 * the whole search can tell. */
static inline bool search_settled(const struct fst_hash_index *index, uint64_t level, uint64_t hash,
                                  struct fst_index_slot *slot) {
    const uint64_t wanted =
        fst_index_final_word(fst_index_tag_of_hash(hash), 0) >> FST_INDEX_TAG_SHIFT;
    struct fst_index_bucket *bucket = &index->buckets[fst_index_home(level, hash)];
    const uint32_t matches = matches_in(bucket, wanted);

    return !fst_index_level_is_growing(level) && matches != 0 &&
           take_match(bucket, matches, wanted, slot) && fst_index_has_stamp(slot->value, level);
}

__attribute__((noinline)) static bool find_anywhere(const struct fst_hash_index *index,
                                                    uint64_t level, uint64_t hash,
                                                    struct fst_index_slot *slot) {
    for (;;) {
        const struct place place = place_of(index, level, hash);
        const bool is_shared = place.low != NULL && search_low(index, &place, slot);
        const bool is_found = is_shared || search(index, place.bucket, place.tag, slot);
        uint64_t now = level;

        if (!is_found || !is_of_level(level, slot->value)) {
            now = load_level(index);
        }
        if (now == level) {
            slot->word = NULL;
            return is_found && !fst_index_is_dead(index, slot->value);
        }
        level = now;
    }
}

bool fst_hash_index_find(const struct fst_hash_index *index, uint64_t hash,
                         struct fst_index_slot *slot) {
    const uint64_t level = load_level(index);

    if (search_settled(index, level, hash, slot)) {
        slot->word = NULL;
        return !fst_index_is_dead(index, slot->value);
    }
    return find_anywhere(index, level, hash, slot);
}

bool fst_hash_index_publish(struct fst_hash_index *index, struct fst_index_slot *slot,
                            fst_addr addr) {
    const uint64_t marks = slot->value & ~FST_INDEX_ADDR_MASK;

    (void)index;
    assert(slot->word != NULL && fst_index_is_final(slot->value));
    assert((addr.raw & ~FST_INDEX_ADDR_MASK) == 0);
    /* acq_rel: pairs with the loads in search(), note_word() and split_word() */
    if (fst_cas_acq_rel_u64(slot->word, &slot->value, marks | addr.raw)) {
        slot->value = marks | addr.raw;
        return true;
    }
    if ((slot->value & ~FST_INDEX_ADDR_MASK) != marks) {
        slot->word = NULL; /* it died and was reused, or it was split */
    }
    return false;
}

void fst_hash_index_prefetch(const struct fst_hash_index *index, uint64_t hash) {
    __builtin_prefetch(&index->buckets[fst_index_home(load_level(index), hash)]);
}

/* ---- insert ---- */

/* Notes what a word other than `own` says. True if it ends the pass. */
static bool note_word(const struct fst_hash_index *index, uint64_t tag, fst_atomic_u64 *word,
                      struct survey *survey) {
    /* seq_cst: pairs with the compare-and-swap in claim(), claim 1; acquires what publish
     * released */
    uint64_t value = fst_load_seq_cst_u64(word);

    if ((value & FST_INDEX_WORD_USED) != 0 && fst_index_tag_of_word(value) == tag) {
        survey->found = word;
        survey->found_value = value;
        return true;
    }
    if (survey->room == NULL && (value == FST_INDEX_WORD_FREE || fst_index_is_dead(index, value))) {
        survey->room = word;
        survey->room_value = value;
    }
    return false;
}

/* Goes over the chain until it meets a word of the tag other than `own` (may be NULL). */
static void survey_chain(const struct fst_hash_index *index, const struct place *place,
                         const fst_atomic_u64 *own, struct survey *survey) {
    *survey = (struct survey){.found_first = true};
    for (struct fst_index_bucket *bucket = place->bucket; bucket != NULL;
         bucket = fst_index_next(index, bucket)) {
        survey->last = bucket;
        for (uint32_t i = 0; i < FST_INDEX_BUCKET_ENTRIES; i++) {
            if (&bucket->entries[i] == own) {
                survey->found_first = false;
            } else if (note_word(index, place->tag, &bucket->entries[i], survey)) {
                return;
            }
        }
    }
}

/* What a new entry holds before its first publish. */
static uint64_t fresh_word(const struct place *place) {
    return fst_index_final_word(place->tag, 0) | fst_index_level_stamp(place->level);
}

/* Ends the tentative insert at `own`: true if it is now final; else the word is free again:
 * another word of this tag was there, or the level has changed since it was loaded. Claims 1,
 * 3 and 7. */
static bool settle(struct fst_hash_index *index, const struct place *place, fst_atomic_u64 *own) {
    struct survey survey;
    bool is_good;

    survey_chain(index, place, own, &survey);
    while (survey.found != NULL && !fst_index_is_final(survey.found_value) && !survey.found_first) {
        index->env->yield(index->env);
        survey_chain(index, place, own, &survey);
    }
    /* seq_cst, after the claim and the search: pairs with the compare-and-swap in
     * fst_index_start_growth(); claim 7 */
    is_good = survey.found == NULL && fst_load_seq_cst_u64(&index->level) == place->level;
    /* release: pairs with the loads in search(), note_word() and split_word() */
    fst_store_release_u64(own, is_good ? fresh_word(place) : FST_INDEX_WORD_FREE);
    return is_good;
}

/* Makes the free or dead word that the survey met a tentative one. */
static bool claim(struct survey *survey, const struct place *place) {
    /* seq_cst: pairs with the loads in note_word() and split_word(); claims 1 and 7 */
    return fst_cas_seq_cst_u64(survey->room, &survey->room_value,
                               FST_INDEX_WORD_TENTATIVE | fresh_word(place));
}

enum outcome { OUTCOME_DONE, OUTCOME_AGAIN, OUTCOME_MISSING, OUTCOME_FULL };

static enum outcome insert_once(struct fst_hash_index *index, const struct place *place,
                                struct fst_index_slot *slot) {
    struct survey survey;

    survey_chain(index, place, NULL, &survey);
    if (survey.found != NULL) {
        *slot = (struct fst_index_slot){survey.found, survey.found_value};
        if (!fst_index_is_final(survey.found_value)) {
            index->env->yield(index->env); /* its inserter ends soon; claim 3 */
            return OUTCOME_AGAIN;
        }
        return is_of_level(place->level, survey.found_value) ? OUTCOME_DONE : OUTCOME_AGAIN;
    }
    if (survey.room == NULL) {
        if (!fst_index_extend(index, survey.last)) {
            return OUTCOME_FULL;
        }
        fst_index_note_overflow(index, place->level);
        return OUTCOME_AGAIN;
    }
    if (!claim(&survey, place)) {
        return OUTCOME_AGAIN;
    }
    if (!settle(index, place, survey.room)) {
        if (survey.room_value != FST_INDEX_WORD_FREE) {
            fst_index_count(index, place->home, -1); /* a dead word became a free one */
        }
        return OUTCOME_AGAIN;
    }
    *slot = (struct fst_index_slot){survey.room, fresh_word(place)};
    if (survey.room_value == FST_INDEX_WORD_FREE) {
        fst_index_note_insert(index, place->level, place->home);
    }
    return OUTCOME_DONE;
}

/* The entry's home is not ready: uses the low bucket's entry as long as it serves both halves,
 * else splits the bucket. */
static enum outcome write_unready(struct fst_hash_index *index, const struct place *place,
                                  struct fst_index_slot *slot) {
    if (search_low(index, place, slot)) {
        return OUTCOME_DONE;
    }
    switch (fst_index_split_bucket(index, place->level, place->home)) {
    case FST_INDEX_SPLIT_DONE:
        break;
    case FST_INDEX_SPLIT_BUSY:
        index->env->yield(index->env); /* claim 9 */
        break;
    case FST_INDEX_SPLIT_FULL:
        return OUTCOME_FULL;
    }
    return OUTCOME_AGAIN;
}

static enum outcome write_once(struct fst_hash_index *index, uint64_t level, uint64_t hash,
                               bool create, struct fst_index_slot *slot) {
    const struct place place = place_of(index, level, hash);

    if (place.low != NULL) {
        return write_unready(index, &place, slot);
    }
    if (search(index, place.bucket, place.tag, slot)) {
        return is_of_level(level, slot->value) ? OUTCOME_DONE : OUTCOME_AGAIN;
    }
    if (!create) {
        return load_level(index) == level ? OUTCOME_MISSING : OUTCOME_AGAIN;
    }
    return insert_once(index, &place, slot);
}

static enum faster_status find_to_publish(struct fst_hash_index *index, uint64_t hash, bool create,
                                          struct fst_index_slot *slot) {
    uint64_t level = load_level(index);
    enum outcome outcome;

    if (search_settled(index, level, hash, slot)) {
        return FASTER_OK;
    }
    if (fst_index_level_is_growing(level)) {
        fst_index_help(index, level);
    }
    do {
        level = load_level(index);
        outcome = write_once(index, level, hash, create, slot);
    } while (outcome == OUTCOME_AGAIN);
    if (outcome == OUTCOME_DONE) {
        return FASTER_OK;
    }
    return outcome == OUTCOME_MISSING ? FASTER_NOT_FOUND : FASTER_FULL;
}

enum faster_status fst_hash_index_find_for_write(struct fst_hash_index *index, uint64_t hash,
                                                 struct fst_index_slot *slot) {
    const enum faster_status status = find_to_publish(index, hash, false, slot);

    return status == FASTER_OK && fst_index_is_dead(index, slot->value) ? FASTER_NOT_FOUND : status;
}

enum faster_status fst_hash_index_find_or_create(struct fst_hash_index *index, uint64_t hash,
                                                 struct fst_index_slot *slot) {
    return find_to_publish(index, hash, true, slot);
}
