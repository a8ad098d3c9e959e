/* interleave_index.c - the hash index under a controlled scheduler.
 *
 * Two or three fibres insert, publish, revive and reuse entries of one bucket. Every
 * schedule with at most two preemptions is run, then random ones; support/sched.h tells how
 * a failing one is replayed.
 *
 * Invariants at the end of each schedule: no tentative word is left; a tag has at most one
 * entry; each record at or above begin whose append succeeded is in its tag's chain, once,
 * and nothing else is; every overflow bucket taken from the pool is linked. During it: an
 * entry whose head stays above begin is always found.
 */
#define FST_ATOMIC_SHIM "../../tests/support/sched_atomic.h"
#include "../../engine/structures/hash_index.c"
#include "../../engine/structures/hash_index_grow.c"
#include "../../engine/structures/hash_index_table.c"

#include "support/sched.h"
#include "support/sched_env.h"

#define BITS FST_INDEX_BITS_MIN
#define BUCKET_COUNT (UINT64_C(1) << BITS)
#define RECORDS_MAX 64u
#define RECORD_BYTES 64u
#define NEW_TAG 100u /* and above: tags no scenario prepares */
#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct model_record {
    uint64_t tag;
    uint64_t previous;
    bool is_published;
    bool was_met;
};

static struct {
    struct fst_hash_index *index;
    fst_atomic_u64 begin;
    struct model_record records[RECORDS_MAX];
    uint32_t record_count;
} world;

static uint64_t address_of(uint32_t number) {
    return FST_ADDR_FIRST_RAW + (uint64_t)number * RECORD_BYTES;
}

/* All in bucket 0. */
static uint64_t hash_of(uint64_t tag) {
    return tag << FST_INDEX_BITS_MAX;
}

/* ---- what fibres do ---- */

/* Links record `number` into the chain of the slot; false: find again. */
static bool link_record(uint32_t number, struct fst_index_slot *slot) {
    while (slot->word != NULL) {
        world.records[number].previous = fst_index_slot_addr(slot).raw;
        if (fst_hash_index_publish(world.index, slot, fst_addr_of(address_of(number)))) {
            return true;
        }
    }
    return false;
}

static void append_record(uint64_t tag) {
    const uint32_t number = world.record_count++;
    struct fst_index_slot slot;

    world.records[number] = (struct model_record){.tag = tag};
    do {
        if (fst_hash_index_find_or_create(world.index, hash_of(tag), &slot) != FASTER_OK) {
            return;
        }
    } while (!link_record(number, &slot));
    world.records[number].is_published = true;
}

static void expect_found(uint64_t tag) {
    struct fst_index_slot slot;
    bool is_found = fst_hash_index_find(world.index, hash_of(tag), &slot);

    sched_expect(is_found, "a live entry is not found");
}

static void raise_begin(uint32_t number) {
    fst_store_relaxed_u64(&world.begin, address_of(number));
}

/* ---- before and after ---- */

/* An index with `live` entries (tags 0, 1, ...) and room for `pool` overflow buckets. */
static void prepare(uint32_t live, uint32_t pool) {
    const uint64_t budget_bytes = (BUCKET_COUNT + pool) * FST_INDEX_BUCKET_BYTES;

    memset(&world, 0, sizeof world);
    world.begin = FST_ADDR_FIRST_RAW;
    const struct fst_hash_index_config config = {.env = &sched_env,
                                                 .begin = &world.begin,
                                                 .budget_bytes = budget_bytes,
                                                 .bits = BITS,
                                                 .bits_max = BITS,
                                                 .load_percent = FST_INDEX_LOAD_NEVER};

    if (fst_hash_index_create(&config, &world.index) != FASTER_OK) {
        exit(EXIT_FAILURE);
    }
    for (uint32_t tag = 0; tag < live; tag++) {
        append_record(tag);
    }
}

static void check_chain(uint64_t word) {
    uint64_t address = fst_index_address_of(word);

    while (address != 0 && address >= world.begin) {
        const uint64_t number = (address - FST_ADDR_FIRST_RAW) / RECORD_BYTES;
        struct model_record *record = &world.records[number];

        sched_expect(record->is_published && !record->was_met, "a record is linked twice");
        sched_expect(record->tag == fst_index_tag_of_word(word),
                     "a record is in another tag's chain");
        record->was_met = true;
        address = record->previous;
    }
}

static void check_entries(void) {
    uint64_t tags[RECORDS_MAX];
    uint32_t tag_count = 0;

    for (struct fst_index_bucket *bucket = world.index->buckets; bucket != NULL;
         bucket = fst_index_next(world.index, bucket)) {
        for (uint32_t i = 0; i < FST_INDEX_BUCKET_ENTRIES; i++) {
            const uint64_t word = bucket->entries[i];

            sched_expect(word == FST_INDEX_WORD_FREE || fst_index_is_final(word),
                         "a tentative word is left");
            for (uint32_t j = 0; word != FST_INDEX_WORD_FREE && j < tag_count; j++) {
                sched_expect(tags[j] != fst_index_tag_of_word(word), "a tag has two entries");
            }
            if (word != FST_INDEX_WORD_FREE) {
                tags[tag_count++] = fst_index_tag_of_word(word);
                check_chain(word);
            }
        }
    }
}

static void check_pool(void) {
    uint64_t linked = 0;

    for (struct fst_index_bucket *bucket = fst_index_next(world.index, world.index->buckets);
         bucket != NULL; bucket = fst_index_next(world.index, bucket)) {
        linked++;
    }
    sched_expect(world.index->bucket_taken == BUCKET_COUNT + linked, "an overflow bucket leaked");
    sched_expect(world.index->bucket_taken <= world.index->bucket_limit, "above the budget");
}

static void finish(void) {
    check_entries();
    for (uint32_t i = 0; i < world.record_count; i++) {
        sched_expect(world.records[i].was_met || !world.records[i].is_published ||
                         address_of(i) < world.begin,
                     "a published record is lost");
    }
    check_pool();
    fst_hash_index_destroy(world.index);
}

static void finish_all_published(void) {
    for (uint32_t i = 0; i < world.record_count; i++) {
        sched_expect(world.records[i].is_published, "FULL, although there was room");
    }
    finish();
}

/* ---- scenarios ---- */

static void prepare_empty(void) {
    prepare(0, 0);
}

static void run_same_tag(uint32_t fibre) {
    append_record(NEW_TAG);
    if (fibre == 0) {
        append_record(NEW_TAG);
    }
}

/* The words freed by begin lie on both sides of a free one, so that claims of one tag meet
 * at lower and higher positions. */
static void prepare_holes(void) {
    prepare(6, 3);
    append_record(1);
    append_record(2);
    append_record(3);
    append_record(5);
    raise_begin(6); /* 0 and 4 are dead */
}

static void run_holes(uint32_t fibre) {
    append_record(fibre == 2 ? 4 : NEW_TAG);
    append_record(fibre == 1 ? 0 : NEW_TAG + 1);
}

static void prepare_one_dead(void) {
    prepare(7, 0);
    raise_begin(1);
}

static void prepare_one_dead_and_pool(void) {
    prepare(7, 2);
    raise_begin(1);
}

/* Two revive the dead tag 0 while others want its word. */
static void run_revive_or_reuse(uint32_t fibre) {
    append_record(fibre == 2 ? NEW_TAG : 0);
    expect_found(6);
}

static void run_reuse_chain(uint32_t fibre) {
    append_record(NEW_TAG + fibre);
    append_record(0);
}

static void prepare_full_bucket(void) {
    prepare(7, 3);
}

static void prepare_last_overflow(void) {
    prepare(7, 1);
}

static void run_overflow(uint32_t fibre) {
    append_record(fibre == 2 ? NEW_TAG : NEW_TAG + fibre);
    expect_found(fibre);
}

static void run_begin_moves(uint32_t fibre) {
    if (fibre == 0) {
        raise_begin(2);
        raise_begin(4);
    } else {
        append_record(fibre == 1 ? 3 : NEW_TAG);
        append_record(fibre == 1 ? NEW_TAG : 0);
    }
    expect_found(6);
}

static void prepare_one_entry(void) {
    prepare(1, 0);
}

static void run_publish(uint32_t fibre) {
    (void)fibre;
    append_record(0);
    append_record(0);
}

static const struct sched_scenario scenarios[] = {
    {"same_tag_two", 2, prepare_empty, run_same_tag, finish_all_published},
    {"same_tag_three", 3, prepare_empty, run_same_tag, finish_all_published},
    {"holes", 3, prepare_holes, run_holes, finish_all_published},
    {"revive_or_reuse", 3, prepare_one_dead, run_revive_or_reuse, finish},
    {"revive_or_reuse_overflow", 3, prepare_one_dead_and_pool, run_revive_or_reuse,
     finish_all_published},
    {"reuse_chain", 2, prepare_one_dead, run_reuse_chain, finish},
    {"overflow_link", 3, prepare_full_bucket, run_overflow, finish_all_published},
    {"overflow_last", 3, prepare_last_overflow, run_overflow, finish},
    {"begin_moves", 3, prepare_last_overflow, run_begin_moves, finish},
    {"publish", 3, prepare_one_entry, run_publish, finish_all_published},
};

int main(int argument_count, char **arguments) {
    return sched_main(argument_count, arguments, scenarios, ARRAY_COUNT(scenarios));
}
