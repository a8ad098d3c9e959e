/* interleave_growth.c - growth of the hash index under a controlled scheduler.
 *
 * Two or three fibres insert, publish, find, delete and reuse entries of one bucket, and of the
 * two it splits into, while the table doubles: begun by one of them, helped along by all. Every
 * schedule with at most two preemptions is run, as far as the limit goes, then random ones;
 * support/sched.h tells how a failing one is replayed.
 *
 * A key is a tag and a half; the two keys of a tag share a chain until it is split. The model
 * divides chains as the store does, and for some scenarios takes the older part of the log for
 * being on disk, where chains cannot be divided.
 *
 * Invariants. During a schedule: a search meets every record of its key that was published
 * before the search began (each fibre's own, and those of finished fibres). At the end: no
 * tentative word is left; a tag has at most one entry in a bucket; after a growth has ended every
 * word has the new stamp; every published record at or above begin is in the chain of its key;
 * used words are counted right; every overflow bucket taken from the pool is linked.
 */
#define FST_ATOMIC_SHIM "../../tests/support/sched_atomic.h"
#include "../../engine/structures/hash_index.c"
#include "../../engine/structures/hash_index_grow.c"
#include "../../engine/structures/hash_index_table.c"

#include "index_world.h"

#define NEW_TAG 100u /* and above: tags no scenario prepares */
#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what fibres do ---- */

/* Follows the chain as a reader would: it must hold the record at `address`. */
static void expect_found(uint64_t hash, uint64_t address) {
    struct fst_index_slot slot;
    uint64_t at;

    if (address == 0) {
        return;
    }
    if (!fst_hash_index_find(world.index, hash, &slot)) {
        sched_expect(address < world.begin, "a published entry is not found");
        return;
    }
    at = fst_index_slot_addr(&slot).raw;
    while (at > address && at >= world.begin) {
        at = record_at(at)->previous;
    }
    sched_expect(at == address || address < world.begin, "a published record is not in its chain");
}

/* As a blind delete does: publishes if there is an entry. */
static uint64_t append_if_there(uint64_t hash) {
    struct fst_index_slot slot;
    uint64_t address = 0;

    while (address == 0 && fst_hash_index_find_for_write(world.index, hash, &slot) == FASTER_OK) {
        address = link_record(hash, &slot);
    }
    return address;
}

static void append_and_look(uint32_t fibre, uint64_t hash) {
    uint64_t address;

    enter(fibre);
    address = append_record(hash);
    expect_found(hash, address);
    leave(fibre);
}

static void grow(void) {
    (void)!fst_index_start_growth(world.index);
}

static void grow_to_the_end(uint32_t fibre) {
    (void)!fst_hash_index_grow(world.index, world.slots[fibre]);
}

/* One doubling: the table is so small that one helper's share is all of it. */
static void grow_without_a_break(uint32_t fibre) {
    enter(fibre);
    grow();
    fst_index_help(world.index, fst_load_acquire_u64(&world.index->level));
    leave(fibre);
}

static void raise_begin(uint32_t number) {
    fst_store_relaxed_u64(&world.begin, address_of(number));
}

/* ---- before and after ---- */

/* Records of `tags` tags, of both halves. */
static void append_tags(uint32_t tags) {
    for (uint32_t tag = 0; tag < tags; tag++) {
        (void)append_record(hash_of(tag, 0));
        (void)append_record(hash_of(tag, HIGH));
    }
}

static uint64_t level_now(void) {
    return world.index->level;
}

static void check_words(uint64_t number) {
    uint64_t tags[RECORDS_MAX];
    uint32_t tag_count = 0;

    for (struct fst_index_bucket *bucket = &world.index->buckets[number]; bucket != NULL;
         bucket = fst_index_next(world.index, bucket)) {
        for (uint32_t i = 0; i < FST_INDEX_BUCKET_ENTRIES; i++) {
            const uint64_t word = bucket->entries[i];

            sched_expect(word == FST_INDEX_WORD_FREE || fst_index_is_final(word),
                         "a tentative word is left");
            for (uint32_t j = 0; word != FST_INDEX_WORD_FREE && j < tag_count; j++) {
                sched_expect(tags[j] != fst_index_tag_of_word(word), "a tag has two entries");
            }
            if (word != FST_INDEX_WORD_FREE) {
                sched_expect(fst_index_level_is_growing(level_now()) ||
                                 fst_index_has_stamp(word, level_now()),
                             "a word has an old stamp");
                tags[tag_count++] = fst_index_tag_of_word(word);
            }
        }
    }
}

/* Each record is met by following the entry of its own key; addresses fall. */
static void check_records(void) {
    for (uint32_t i = 0; i < world.record_count; i++) {
        struct model_record *record = &world.records[i];

        if (record->is_published) {
            expect_found(record->hash, address_of(i));
        }
        sched_expect(record->previous < address_of(i), "a chain rises");
    }
}

static void check_counts(void) {
    const uint64_t base = BUCKET_COUNT << (world.index->bits_max - BITS);
    uint64_t linked = 0;
    uint64_t used = 0;

    for (uint64_t number = 0; number < base; number++) {
        struct fst_index_bucket *bucket = &world.index->buckets[number];

        sched_expect((bucket->link & FST_INDEX_LINK_SPLITTING) == 0, "a bucket is being split");
        for (; bucket != NULL; bucket = fst_index_next(world.index, bucket)) {
            linked += bucket >= &world.index->buckets[base];
            for (uint32_t i = 0; i < FST_INDEX_BUCKET_ENTRIES; i++) {
                used += bucket->entries[i] != FST_INDEX_WORD_FREE;
            }
        }
        check_words(number);
    }
    sched_expect(world.index->bucket_taken == base + linked, "an overflow bucket leaked");
    sched_expect(world.index->sampled_count == used, "used words are miscounted");
}

static void finish_as_it_is(void) {
    check_records();
    check_counts();
    close_world();
}

/* Lets growth end first, and checks what is left of it. */
static void finish(void) {
    const bool has_grown = world.index->growth_count > 0;

    check_records();
    if (fst_index_level_is_growing(level_now())) {
        sched_expect(fst_hash_index_grow(world.index, world.slots[0]) == FASTER_OK,
                     "growth does not end");
    }
    fst_epoch_drain(world.epoch);
    sched_expect(!has_grown ||
                     world.index->asked_generation == level_now() >> FST_INDEX_GENERATION_SHIFT,
                 "a growth that was settled is asked for again");
    sched_expect(!has_grown ||
                     (level_now() & (FST_INDEX_LEVEL_GROWING | FST_INDEX_LEVEL_DRAINING)) == 0,
                 "growth is not settled");
    finish_as_it_is();
}

static void finish_none_full(void) {
    sched_expect(world.full_count == 0, "FULL, although there was room");
    finish();
}

/* ---- scenarios ---- */

static void prepare_one_tag(void) {
    prepare_world(1, 2);
    append_tags(1);
}

/* Growth against the publishing of both halves of one chain. */
static void run_publish(uint32_t fibre) {
    if (fibre == 0) {
        grow_to_the_end(0);
    } else {
        append_and_look(fibre, hash_of(0, fibre == 1 ? HIGH : 0));
        append_and_look(fibre, hash_of(0, HIGH));
    }
}

static void prepare_empty(void) {
    prepare_world(1, 2);
}

/* Growth against the insert of one new tag by two, in the same half or in both. */
static void run_insert(uint32_t fibre) {
    if (fibre == 0) {
        grow();
        append_and_look(0, hash_of(NEW_TAG, HIGH));
    } else {
        append_and_look(fibre, hash_of(NEW_TAG, fibre == 1 ? HIGH : 0));
    }
}

/* A slot that was found before the announcement and is published after. */
static void run_stale_slot(uint32_t fibre) {
    if (fibre == 0) {
        enter(0);
        (void)append_record(hash_of(0, HIGH));
        (void)append_record(hash_of(NEW_TAG, HIGH));
        leave(0);
    } else {
        grow();
        append_and_look(1, hash_of(NEW_TAG, HIGH));
    }
}

static void prepare_low_only(void) {
    prepare_world(1, 2);
    (void)append_record(hash_of(0, 0));
    (void)append_record(hash_of(1, HIGH));
}

/* Entries of which only one half has records: words are freed, and taken by others. */
static void run_one_half(uint32_t fibre) {
    if (fibre == 0) {
        grow_to_the_end(0);
    } else if (fibre == 1) {
        append_and_look(1, hash_of(0, HIGH));
        append_and_look(1, hash_of(1, 0));
    } else {
        append_and_look(2, hash_of(NEW_TAG, 0));
        append_and_look(2, hash_of(1, HIGH));
    }
}

static void prepare_on_disk(void) {
    prepare_world(1, 2);
    append_tags(2);
    world.on_disk_below = address_of(3);
}

/* Chains that lead to the disk. */
static void run_on_disk(uint32_t fibre) {
    if (fibre == 0) {
        grow_to_the_end(0);
        expect_found(hash_of(0, HIGH), address_of(1));
    } else {
        append_and_look(fibre, hash_of(0, fibre == 1 ? HIGH : 0));
        enter(fibre);
        expect_found(hash_of(1, 0), address_of(2));
        leave(fibre);
    }
}

/* Readers of both halves, found at any time. */
static void run_find(uint32_t fibre) {
    if (fibre == 0) {
        grow_to_the_end(0);
        return;
    }
    for (uint32_t i = 0; i < 2; i++) {
        enter(fibre);
        expect_found(hash_of(0, fibre == 1 ? HIGH : 0), address_of(fibre == 1));
        leave(fibre);
    }
}

static void prepare_dead(void) {
    prepare_world(1, 1);
    append_tags(3);
    raise_begin(2); /* tag 0 is dead, of tag 1 both records live */
}

/* Dead entries are revived, reused and dropped while their bucket is split. */
static void run_dead(uint32_t fibre) {
    if (fibre == 0) {
        grow_to_the_end(0);
    } else if (fibre == 1) {
        append_and_look(1, hash_of(0, HIGH));
        raise_begin(3);
        append_and_look(1, hash_of(1, HIGH));
    } else {
        append_and_look(2, hash_of(NEW_TAG, 0));
        append_and_look(2, hash_of(0, 0));
    }
}

static void prepare_overflow(void) {
    prepare_world(1, 6);
    append_tags(8); /* one in an overflow bucket */
}

static void run_overflow(uint32_t fibre) {
    if (fibre == 0) {
        grow();
        append_and_look(0, hash_of(7, HIGH));
    } else {
        append_and_look(fibre, hash_of(NEW_TAG + fibre, fibre == 1 ? HIGH : 0));
    }
}

static void prepare_no_room(void) {
    prepare_world(1, 1);
    append_tags(8); /* the high bucket would need an overflow bucket, too */
}

/* A split that ends with FULL leaves everything found. */
static void run_no_room(uint32_t fibre) {
    if (fibre == 0) {
        grow_to_the_end(0);
        expect_found(hash_of(7, HIGH), address_of(15));
    } else {
        append_and_look(1, hash_of(0, HIGH));
        append_and_look(1, hash_of(NEW_TAG, HIGH));
        append_and_look(1, hash_of(7, 0));
    }
}

static void prepare_two_doublings(void) {
    prepare_world(2, 2);
    for (uint64_t quarter = 4; quarter > 0; quarter--) {
        (void)append_record(hash_of(0, (quarter - 1) * HIGH));
    }
}

/* The stamp's bit comes round: an operation that was inside at the first growth's end holds the
 * second one back. */
static void run_two_doublings(uint32_t fibre) {
    if (fibre == 0) {
        grow_to_the_end(0);
        grow_to_the_end(0);
    } else {
        append_and_look(fibre, hash_of(0, fibre == 1 ? 3 * HIGH : 2 * HIGH));
        append_and_look(fibre, hash_of(0, 0));
    }
}

static void run_delete(uint32_t fibre) {
    if (fibre == 0) {
        grow_to_the_end(0);
    } else {
        const uint64_t hash = hash_of(0, fibre == 1 ? HIGH : 0);

        enter(fibre);
        expect_found(hash, append_if_there(hash));
        leave(fibre);
        append_and_look(fibre, hash);
    }
}

/* Two that carry one growth to its end, beside an insert. */
static void run_two_growers(uint32_t fibre) {
    if (fibre < 2) {
        grow_to_the_end(fibre);
    } else {
        append_and_look(2, hash_of(NEW_TAG, HIGH));
    }
}

/* One that has seen the end of the first growth asks for it to be settled when the second has
 * ended, too: it must not settle that one. Whoever grows does not yield in between, so that it
 * can come so late with two preemptions. */
static void run_stale_asker(uint32_t fibre) {
    if (fibre == 0) {
        grow_without_a_break(0);
        grow_without_a_break(0);
    } else {
        grow();
    }
}

static const struct sched_scenario scenarios[] = {
    {"publish_two", 2, prepare_one_tag, run_publish, finish_none_full},
    {"publish_three", 3, prepare_one_tag, run_publish, finish_none_full},
    {"insert_two", 2, prepare_empty, run_insert, finish_none_full},
    {"insert_three", 3, prepare_empty, run_insert, finish_none_full},
    {"stale_slot", 2, prepare_one_tag, run_stale_slot, finish_none_full},
    {"one_half", 3, prepare_low_only, run_one_half, finish_none_full},
    {"on_disk", 3, prepare_on_disk, run_on_disk, finish_none_full},
    {"find", 3, prepare_one_tag, run_find, finish_none_full},
    {"dead", 3, prepare_dead, run_dead, finish_none_full},
    {"overflow", 3, prepare_overflow, run_overflow, finish_none_full},
    {"no_room", 2, prepare_no_room, run_no_room, finish_as_it_is},
    {"two_doublings", 3, prepare_two_doublings, run_two_doublings, finish_none_full},
    {"stale_asker", 2, prepare_two_doublings, run_stale_asker, finish_none_full},
    {"delete", 3, prepare_one_tag, run_delete, finish},
    {"two_growers", 3, prepare_one_tag, run_two_growers, finish_none_full},
};

int main(int argument_count, char **arguments) {
    return sched_main(argument_count, arguments, scenarios, ARRAY_COUNT(scenarios));
}
