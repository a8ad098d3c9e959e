/* hash_index_grow.c - doubling the table while operations run (layer 3).
 *
 * The table of 2^n buckets becomes one of 2^(n+1) in place: *low* bucket b keeps the keys whose
 * hash lacks bit n, *high* bucket b + 2^n gets the others. A growth has three steps:
 *
 *   announce  One compare-and-swap changes the level word from {n, SETTLED, g} to
 *             {n + 1, GROWING, g + 1}. Nobody waits for anything.
 *   split     Each high bucket, until it is READY, is filled from its low bucket by whoever has
 *             SPLITTING in its link; the words of the low bucket get the new stamp. Operations
 *             that change entries take chunks of buckets in turn; one that needs a certain high
 *             bucket splits that one itself.
 *   settle    Who makes the last bucket READY stores {n + 1, DRAINING, g + 1}. Once whoever was
 *             inside the epoch then has left, it becomes SETTLED, and the next growth may
 *             begin. Operations go on as if it were SETTLED.
 *
 * A word's *stamp* is the low bit of the generation of its level. A word of the old stamp g in a
 * low bucket serves both halves: its chain holds the records of either. A word of the new stamp
 * serves the half in whose bucket it stands. Splitting a word means, see split_word(): divide
 * its chain; put the high head into a word of the high bucket; then, by one compare-and-swap of
 * the full word, turn the low one to the low head with the new stamp, or free it if there is
 * none. If the compare-and-swap fails, a record was published meanwhile: once more, with what
 * is new.
 *
 * A chain is divided in memory only, and only to some depth. Where the division ends, both
 * halves get the address it has reached. Such a chain holds records of the other half too, as
 * does any chain below its half's first record; no walk takes them for its own, as walks
 * compare keys; FORMAT.md's rule, which allows
 * an index of *more* bits to find its chains inside those of fewer, is not touched: a record is
 * linked to what precedes it in a chain that has at least all of its half.
 *
 * Claim 5: inside one stay in the epoch a thread meets words of two stamps at most, and these
 * differ by one generation. Between two growths the level is SETTLED, and it becomes that when
 * everyone who was inside at the end of the first has left. A thread that loads {n + 1, ...} and
 * stays is inside at that end, or entered later; the growth after it cannot have ended
 * before the thread leaves, nor can a second begin. So a stamp of one bit tells old from new,
 * and a slot's word of the old stamp cannot come back with the same bit after a second growth.
 *
 * Claim 6: a search finds the entry if there is one at some moment of the search, and what it
 * finds has all records of the hash that were published before the search began.
 *   (a) Level not GROWING, word of the level's stamp, or GROWING and the home is low or READY:
 *   the word is at the only place where its half is published (b, d), or, of the old stamp,
 *   where both are.
 *   (b) Not GROWING, word of another stamp: it was made or turned by somebody who had read a
 *   later level, and our acquire of the word makes us read that level, too. We begin again.
 *   (c) Not GROWING, nothing found: the level is loaded again. Had a word that we passed been
 *   freed or turned by a split, or taken again since, then our acquire load of it would make us
 *   read a later level now. So the bucket was whole while we searched it.
 *   (d) GROWING, the home is high and was not READY when we looked: the low bucket is searched
 *   first. A word of the old stamp there was not split at the moment we read it; no high
 *   record of this tag was published elsewhere before that: publishing in the high bucket
 *   begins after READY (find gives no word to publish at), and READY comes after all words of
 *   the low bucket are turned. Otherwise the word is turned or freed already, and then the high
 *   word, stored before, is visible to us and is searched for next; or the tag has no word of
 *   the old stamp, and then what counts is in the high bucket, or nothing was published yet. The
 *   high word may be one that split_word() will store again because its compare-and-swap failed:
 *   then a record is published while we search, and we may miss it.
 *   In (a) to (d) each repetition stands for a change of the level, so there are few.
 *
 * Claim 7: no word of the old stamp becomes final in a low bucket unseen by the thread that
 * splits it. An inserter claims its word (seq_cst), searches the chain, loads the level again
 * (seq_cst), and withdraws if it has changed. If it has not, then in the total order: claim <
 * search < that load < announcement < the splitter's load of this word. So the splitter
 * meets the tentative word, waits for its outcome, and splits it. Nor did the inserter overlook
 * its tag because a split had freed it: its search came before the announcement.
 *
 * Claim 8: no record is lost. Publish compares the full word. If it succeeds on a word of the
 * old stamp, that word is not split yet, and the splitter's compare-and-swap, which comes later,
 * has the record in the chain it divides. If it fails because the word was turned, freed or
 * reused, the stamp or the tag differs and the caller finds again. The new record's chain is the
 * head that the successful compare-and-swap replaced. A high word is published to only when READY
 * has been read; its splitter stores to it before that only.
 *   The tag has one word in the high bucket: the low bucket had one of the old stamp (claim 1),
 * and no second one came (claim 7, and inserters of the new level who want the high half go
 * to the high bucket). A split that ended with FULL has turned some words and left the others:
 * those are taken up by the next one, and (d) holds meanwhile.
 *   A word that is freed, dead or at address 0, had no record of its half. Who holds a slot of
 * it fails to publish, and finds again.
 *
 * Claim 9: nobody waits for ever. Readers do not wait. A writer waits only when it wants to
 * create an entry in a high bucket which another thread is splitting: for at most seven
 * divisions of bounded depth for each bucket of the low chain, and for inserts whose claims stand
 * there; those inserts wait for inserts only (claim 3), since no one holds a claim while it waits
 * for a split. A compare-and-swap of split_word() fails when others have published, and then
 * only their records are divided anew.
 *
 * Claim 10: READY is counted once for each high bucket, by the one that held SPLITTING. The
 * counters of a growth are reset in settle_growth(), which runs once per growth and when no thread
 * of the last growth is inside: asked_generation only rises, except that who set it takes it back
 * if the epoch's list is full, and no later growth ends before this one is settled.
 */
#include "structures/hash_index_internal.h"

#define CHUNK_BUCKETS 32u
#define GROW_ATTEMPTS 64

/* Where the next word of a high bucket is stored. */
struct room {
    struct fst_index_bucket *bucket;
    uint32_t next;
};

/* A growth touches every bucket, and so does a table with one entry in 64 buckets, about one per
 * page of 4 KiB: only then huge pages take no memory that would stay untouched otherwise. */
void fst_index_advise(struct fst_hash_index *index, uint32_t bits) {
    const size_t bytes = ((size_t)1 << bits) * FST_INDEX_BUCKET_BYTES;

    if (fst_load_relaxed_u64(&index->advised_bits) == bits) {
        return;
    }
    fst_store_relaxed_u64(&index->advised_bits, bits);
    fst_store_relaxed_u64(&index->huge_bytes,
                          index->env->advise_huge(index->env, index->buckets, bytes));
}

static bool touches_all(uint64_t entry_count, uint32_t bits) {
    return entry_count >= UINT64_C(1) << bits >> 6;
}

void fst_hash_index_expect(struct fst_hash_index *index, uint64_t entry_count) {
    const uint32_t bits = fst_hash_index_bits(index);
    if (touches_all(entry_count, bits)) {
        fst_index_advise(index, bits);
    }
}

void fst_index_count(struct fst_hash_index *index, uint64_t number, int change) {
    if ((number & index->sample_mask) == 0 && change != 0) {
        (void)fst_add_relaxed_u64(&index->sampled_count, (uint64_t)(int64_t)change);
    }
}

/* ---- phases ---- */

static uint64_t grown_level(uint64_t level) {
    return fst_index_level_of(fst_index_level_bits(level) + 1,
                              (level >> FST_INDEX_GENERATION_SHIFT) + 1) |
           FST_INDEX_LEVEL_GROWING;
}

/* Epoch action: whoever saw the growth `generation` under way has left. Claims 5 and 10. */
static void settle_growth(void *context, uint64_t generation) {
    struct fst_hash_index *index = context;
    uint64_t level = fst_load_acquire_u64(&index->level); /* pairs with finish_growth() */

    assert(level >> FST_INDEX_GENERATION_SHIFT == generation);
    assert((level & FST_INDEX_LEVEL_DRAINING) != 0);
    (void)generation;
    fst_store_relaxed_u64(&index->next_chunk, 0);
    fst_store_relaxed_u64(&index->ready_count, 0);
    level &= ~FST_INDEX_LEVEL_DRAINING;
    if (fst_load_relaxed_u64(&index->target_bits) > fst_index_level_bits(level)) {
        level = grown_level(level);
        (void)fst_add_relaxed_u64(&index->growth_count, 1);
    }
    /* seq_cst: pairs with the load in settle() of hash_index.c; releases the counters */
    fst_store_seq_cst_u64(&index->level, level);
    /* acq_rel: pairs with the load in fst_hash_index_destroy(); the last touch of the index */
    (void)fst_add_acq_rel_u64(&index->action_count, UINT64_MAX);
}

/* Has the epoch settle the growth that has ended, unless that was asked for. */
static void ask_to_settle(struct fst_hash_index *index, uint64_t level) {
    const uint64_t generation = level >> FST_INDEX_GENERATION_SHIFT;
    uint64_t asked = fst_load_relaxed_u64(&index->asked_generation);

    /* A later one was asked for: this level is not of now, and its growth is settled. */
    if (asked >= generation || !fst_cas_relaxed_u64(&index->asked_generation, &asked, generation)) {
        return;
    }
    /* Counted before it can run; pairs with the load of whoever destroys the index. */
    (void)fst_add_acq_rel_u64(&index->action_count, 1);
    if (index->epoch == NULL) {
        settle_growth(index, generation);
    } else if (!fst_epoch_bump(index->epoch, settle_growth, index, generation)) {
        /* The epoch's list is full: whoever wants the next growth asks again. */
        fst_store_relaxed_u64(&index->asked_generation, generation - 1);
        /* acq_rel: pairs as the add above */
        (void)fst_add_acq_rel_u64(&index->action_count, UINT64_MAX);
    }
}

static void finish_growth(struct fst_hash_index *index, uint64_t level) {
    level = (level & ~FST_INDEX_LEVEL_GROWING) | FST_INDEX_LEVEL_DRAINING;
    /* release: pairs with load_level() of hash_index.c: every bucket is ready */
    fst_store_release_u64(&index->level, level);
    ask_to_settle(index, level);
}

enum faster_status fst_index_start_growth(struct fst_hash_index *index) {
    uint64_t level = fst_load_acquire_u64(&index->level); /* pairs with settle_growth() */

    if ((level & FST_INDEX_LEVEL_DRAINING) != 0) {
        ask_to_settle(index, level);
        level = fst_load_acquire_u64(&index->level);
    }
    if (fst_index_level_is_growing(level)) {
        return FASTER_OK;
    }
    if ((level & FST_INDEX_LEVEL_DRAINING) != 0) {
        return FASTER_BUSY;
    }
    if (fst_index_level_bits(level) == index->bits_max) {
        return FASTER_FULL;
    }
    /* seq_cst: pairs with the load in settle() of hash_index.c; claim 7. Whoever was faster has
     * begun the same growth. */
    if (fst_cas_seq_cst_u64(&index->level, &level, grown_level(level))) {
        (void)fst_add_relaxed_u64(&index->growth_count, 1);
    }
    return FASTER_OK;
}

/* ---- splitting ---- */

/* A free word of the high bucket that nobody else writes to, or NULL: no overflow bucket is
 * left. Earlier words are taken: by this split, or by one that ended with FULL. */
static fst_atomic_u64 *find_room(struct fst_hash_index *index, struct room *room) {
    for (;;) {
        struct fst_index_bucket *next;

        for (; room->next < FST_INDEX_BUCKET_ENTRIES; room->next++) {
            fst_atomic_u64 *word = &room->bucket->entries[room->next];

            if (fst_load_relaxed_u64(word) == FST_INDEX_WORD_FREE) {
                return word;
            }
        }
        next = fst_index_next(index, room->bucket);
        if (next == NULL) {
            if (!fst_index_extend(index, room->bucket)) {
                return NULL;
            }
            next = fst_index_next(index, room->bucket);
        }
        *room = (struct room){.bucket = next};
    }
}

/* What one word's chain was divided into so far. */
struct division {
    fst_addr known; /* the head that was divided, 0: none */
    fst_addr heads[2];
};

static void divide(const struct fst_hash_index *index, const struct fst_index_halves *halves,
                   uint64_t value, struct division *division) {
    const fst_addr head = fst_addr_of(fst_index_address_of(value));

    if (!fst_addr_is_valid(head) || fst_index_is_dead(index, value)) {
        division->heads[0] = division->heads[1] = fst_addr_of(0);
    } else if (index->divide == NULL) {
        division->heads[0] = division->heads[1] = head;
    } else {
        index->divide(index->divide_context, head, halves, division->known, division->heads);
    }
    division->known = head;
}

/* What a half's word is: free if its chain is empty. */
static uint64_t half_word(uint64_t level, uint64_t tag, fst_addr head) {
    return fst_addr_is_valid(head)
               ? fst_index_final_word(tag, head.raw) | fst_index_level_stamp(level)
               : FST_INDEX_WORD_FREE;
}

/* Splits one word of low bucket number `low`; nothing to do if it has the new stamp. False: the
 * high bucket needs an overflow bucket and there is none; the word is as it was. */
static bool split_word(struct fst_hash_index *index, uint64_t level, uint64_t low,
                       fst_atomic_u64 *word, struct room *room) {
    const struct fst_index_halves halves = {.low = low, .bit = fst_index_half(level)};
    struct division division = {0};
    /* seq_cst: pairs with the compare-and-swap in claim() of hash_index.c, claim 7; acquires
     * what publish released */
    uint64_t value = fst_load_seq_cst_u64(word);

    while (value != FST_INDEX_WORD_FREE && !fst_index_has_stamp(value, level)) {
        const uint64_t tag = fst_index_tag_of_word(value);
        fst_atomic_u64 *high;
        uint64_t low_word;

        if (!fst_index_is_final(value)) {
            index->env->yield(index->env); /* its inserter ends soon; claim 9 */
            /* seq_cst: pairs with the release in settle() of hash_index.c; claim 9 */
            value = fst_load_seq_cst_u64(word);
            continue;
        }
        divide(index, &halves, value, &division);
        high = find_room(index, room);
        if (high == NULL) {
            return false;
        }
        /* release: pairs with the loads in search() of hash_index.c */
        fst_store_release_u64(high, half_word(level, tag, division.heads[1]));
        low_word = half_word(level, tag, division.heads[0]);
        /* seq_cst, as all that frees or takes words; its release hands on the high word */
        if (fst_cas_seq_cst_u64(word, &value, low_word)) {
            fst_index_count(index, low,
                            fst_addr_is_valid(division.heads[0]) +
                                fst_addr_is_valid(division.heads[1]) - 1);
            return true;
        }
        /* release: pairs as the store above; a word that died and was reused has another tag */
        fst_store_release_u64(high, FST_INDEX_WORD_FREE);
    }
    return true;
}

/* The bucket's link is changed by nobody else while SPLITTING is set. */
static void release_bucket(struct fst_index_bucket *high, bool is_ready) {
    const uint64_t link = fst_load_relaxed_u64(&high->link) & FST_INDEX_LINK_NUMBER;

    /* release: pairs with fst_index_is_ready(), and with the compare-and-swap of the next one that
     * splits it, fst_index_split_bucket() */
    fst_store_release_u64(&high->link, is_ready ? link | FST_INDEX_LINK_READY : link);
}

enum fst_index_split fst_index_split_bucket(struct fst_hash_index *index, uint64_t level,
                                            uint64_t number) {
    struct fst_index_bucket *high = &index->buckets[number];
    const uint64_t low = number - fst_index_half(level);
    struct room room = {.bucket = high};
    uint64_t link = fst_load_acquire_u64(&high->link); /* pairs with release_bucket() */
    bool has_room = true;

    do {
        if ((link & FST_INDEX_LINK_READY) != 0) {
            return FST_INDEX_SPLIT_DONE;
        }
        if ((link & FST_INDEX_LINK_SPLITTING) != 0) {
            return FST_INDEX_SPLIT_BUSY;
        }
        /* acq_rel: pairs with release_bucket() */
    } while (!fst_cas_acq_rel_u64(&high->link, &link, link | FST_INDEX_LINK_SPLITTING));
    for (struct fst_index_bucket *bucket = &index->buckets[low]; bucket != NULL && has_room;
         bucket = fst_index_next(index, bucket)) {
        for (uint32_t i = 0; i < FST_INDEX_BUCKET_ENTRIES && has_room; i++) {
            has_room = split_word(index, level, low, &bucket->entries[i], &room);
        }
    }
    release_bucket(high, has_room);
    if (!has_room) {
        return FST_INDEX_SPLIT_FULL;
    }
    /* acq_rel: pairs with itself; the last one has seen what the others did */
    if (fst_add_acq_rel_u64(&index->ready_count, 1) + 1 == fst_index_half(level)) {
        finish_growth(index, level);
    }
    return FST_INDEX_SPLIT_DONE;
}

/* ---- who does it ---- */

void fst_index_help(struct fst_hash_index *index, uint64_t level) {
    const uint64_t half = fst_index_half(level);
    uint64_t first = fst_load_relaxed_u64(&index->next_chunk) * CHUNK_BUCKETS;

    if (first >= half) {
        return;
    }
    first = fst_add_relaxed_u64(&index->next_chunk, 1) * CHUNK_BUCKETS;
    if (first == 0) {
        fst_index_advise(index, fst_index_level_bits(level));
    }
    for (uint64_t i = first; i < first + CHUNK_BUCKETS && i < half; i++) {
        (void)fst_index_split_bucket(index, level, half + i);
    }
}

void fst_index_note_insert(struct fst_hash_index *index, uint64_t level, uint64_t number) {
    int64_t count;

    if ((number & index->sample_mask) != 0) {
        return;
    }
    /* A split may have counted the word's end before its beginning is counted here. */
    count = (int64_t)fst_add_relaxed_u64(&index->sampled_count, 1) + 1;
    if (count > 0 && !fst_index_level_is_growing(level)) {
        const uint32_t bits = fst_index_level_bits(level);
        const uint64_t entries = (uint64_t)count * (index->sample_mask + 1);

        if (touches_all(entries, bits)) {
            fst_index_advise(index, bits);
        }
        if (index->load_percent != FST_INDEX_LOAD_NEVER &&
            entries * 100 >= ((uint64_t)FST_INDEX_BUCKET_ENTRIES * index->load_percent) << bits) {
            fst_hash_index_grow_toward(index, bits + 1);
        }
    }
}

void fst_index_note_overflow(struct fst_hash_index *index, uint64_t level) {
    const uint64_t overflow_count =
        fst_load_relaxed_u64(&index->bucket_taken) - (UINT64_C(1) << index->bits_max);

    if (index->load_percent != FST_INDEX_LOAD_NEVER && !fst_index_level_is_growing(level) &&
        overflow_count > UINT64_C(1) << fst_index_level_bits(level) >> 1) {
        fst_hash_index_grow_toward(index, fst_index_level_bits(level) + 1);
    }
}

void fst_hash_index_grow_toward(struct fst_hash_index *index, uint32_t bits) {
    const uint64_t wanted = bits < index->bits_max ? bits : index->bits_max;
    uint64_t target = fst_load_relaxed_u64(&index->target_bits);

    if (fst_index_level_bits(fst_load_relaxed_u64(&index->level)) >= wanted) {
        return;
    }
    while (target < wanted && !fst_cas_relaxed_u64(&index->target_bits, &target, wanted)) {
    }
    (void)!fst_index_start_growth(index); /* BUSY: settle_growth() goes on */
}

/* Splits up to a chunk of buckets from `first` on. OK, FULL, BUSY (some are not ready yet). */
static enum faster_status split_run(struct fst_hash_index *index, uint64_t level, uint64_t first) {
    const uint64_t half = fst_index_half(level);
    enum faster_status status = FASTER_OK;

    for (uint64_t i = first; i < first + CHUNK_BUCKETS && i < half; i++) {
        switch (fst_index_split_bucket(index, level, half + i)) {
        case FST_INDEX_SPLIT_DONE:
            break;
        case FST_INDEX_SPLIT_BUSY:
            status = FASTER_BUSY;
            break;
        case FST_INDEX_SPLIT_FULL:
            return FASTER_FULL;
        }
    }
    return status;
}

/* One pass over the growth of `generation`, in short stays inside the epoch. */
static enum faster_status split_all(struct fst_hash_index *index, struct fst_epoch_slot *slot,
                                    uint64_t generation) {
    enum faster_status result = FASTER_OK;
    bool is_over = false;

    for (uint64_t first = 0; !is_over && result != FASTER_FULL; first += CHUNK_BUCKETS) {
        enum faster_status status = FASTER_OK;
        uint64_t level;

        if (slot != NULL) {
            fst_epoch_enter(index->epoch, slot);
        }
        level = fst_load_acquire_u64(&index->level); /* pairs with fst_index_start_growth() */
        is_over =
            !fst_index_level_is_growing(level) || level >> FST_INDEX_GENERATION_SHIFT != generation;
        if (is_over) {
            result = FASTER_OK;
        } else {
            status = split_run(index, level, first);
            is_over = first + CHUNK_BUCKETS >= fst_index_half(level);
        }
        if (slot != NULL) {
            fst_epoch_leave(index->epoch, slot);
        }
        result = status != FASTER_OK ? status : result;
    }
    return result;
}

static void let_others_go_on(struct fst_hash_index *index) {
    if (index->epoch != NULL) {
        fst_epoch_drain(index->epoch);
    }
    index->env->yield(index->env);
}

enum faster_status fst_hash_index_grow(struct fst_hash_index *index, struct fst_epoch_slot *slot) {
    enum faster_status status = fst_index_start_growth(index);
    uint64_t level;

    for (int i = 0; status == FASTER_BUSY && i < GROW_ATTEMPTS; i++) {
        let_others_go_on(index);
        status = fst_index_start_growth(index);
    }
    if (status != FASTER_OK) {
        return status;
    }
    level = fst_load_acquire_u64(&index->level); /* pairs with fst_index_start_growth() */
    fst_index_advise(index, fst_index_level_bits(level));
    status = FASTER_BUSY;
    for (int i = 0; status == FASTER_BUSY && i < GROW_ATTEMPTS; i++) {
        status = split_all(index, slot, level >> FST_INDEX_GENERATION_SHIFT);
        let_others_go_on(index);
    }
    return status;
}

void fst_hash_index_presize(struct fst_hash_index *index, struct fst_epoch_slot *slot) {
    uint64_t level = fst_load_acquire_u64(&index->level); /* pairs with all that change it */

    while (fst_index_level_bits(level) < index->bits_max) {
        if ((level & (FST_INDEX_LEVEL_GROWING | FST_INDEX_LEVEL_DRAINING)) != 0) {
            (void)!fst_hash_index_grow(index, slot); /* somebody asked for it: carried to its end */
            level = fst_load_acquire_u64(&index->level);
        } else if (fst_cas_seq_cst_u64(
                       &index->level, &level,
                       fst_index_level_of(index->bits_max,
                                          (level >> FST_INDEX_GENERATION_SHIFT) + 1))) {
            /* seq_cst, as in fst_index_start_growth(). Who searches by the old level finds
             * nothing and loads it again, or meets the next stamp: claim 6 (b, c). No growth
             * can follow: claim 5. */
            return;
        }
    }
}
