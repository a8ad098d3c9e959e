/* test_index_copy.c - reading the hash index and loading what was read, on one thread;
 * tests/sim/interleave_copy.c has the concurrent part (P4). */
#include "structures/hash_index.h"
#include "support/test_env.h"

#include <criterion/criterion.h>

#define BITS FST_INDEX_BITS_MIN
#define BUCKET_COUNT (UINT64_C(1) << BITS)
#define FIRST FST_ADDR_FIRST_RAW
#define RECORD_BYTES 64u
#define RECORDS_MAX 2048u
#define COPIED_MAX 4096u

static struct fst_test_env *test;
static struct fst_epoch *epoch;
static struct fst_epoch_slot *slot;
static struct fst_epoch_slot *other;
static struct fst_hash_index *table;
static fst_atomic_u64 begin;
static struct {
    uint64_t hash;
    uint64_t previous;
} records[RECORDS_MAX];
static uint32_t record_count;
static struct fst_index_copied copied[COPIED_MAX];
static uint32_t copied_count;

static uint64_t hash_of(uint64_t bucket, uint64_t tag) {
    return tag << FST_INDEX_BITS_MAX | bucket;
}

static uint32_t number_of(uint64_t address) {
    return (uint32_t)((address - FIRST) / RECORD_BYTES);
}

static void divide(void *context, fst_addr head, const struct fst_index_halves *halves,
                   fst_addr known, fst_addr heads[2]) {
    (void)context;
    (void)known;
    heads[0] = heads[1] = fst_addr_of(0);
    for (uint64_t at = head.raw; at != 0; at = records[number_of(at)].previous) {
        const int half = fst_index_half_of(halves, records[number_of(at)].hash);
        if (half < 2 && heads[half].raw == 0) {
            heads[half] = fst_addr_of(at);
        }
    }
}

static struct fst_hash_index *make_index(uint32_t bits, uint64_t pool) {
    const struct fst_hash_index_config config = {.env = fst_test_env_get(test),
                                                 .epoch = epoch,
                                                 .begin = &begin,
                                                 .budget_bytes = ((BUCKET_COUNT << 3) + pool) * 64,
                                                 .bits = bits,
                                                 .bits_max = BITS + 3,
                                                 .load_percent = FST_INDEX_LOAD_NEVER,
                                                 .divide = divide};
    struct fst_hash_index *made;
    cr_assert_eq(fst_hash_index_create(&config, &made), FASTER_OK);
    return made;
}

static void set_up(void) {
    test = fst_test_env_create();
    cr_assert_eq(fst_epoch_create(fst_test_env_get(test), &epoch), FASTER_OK);
    slot = fst_epoch_slot_open(epoch);
    other = fst_epoch_slot_open(epoch);
    fst_store_relaxed_u64(&begin, FIRST);
    table = make_index(BITS, 256);
}

static void tear_down(void) {
    fst_epoch_slot_close(epoch, slot);
    fst_epoch_slot_close(epoch, other);
    fst_hash_index_destroy(table);
    fst_epoch_destroy(epoch);
    cr_assert_eq(fst_test_env_live_allocations(test), 0);
    fst_test_env_destroy(test);
}

static uint64_t append_by(struct fst_epoch_slot *by, uint64_t hash) {
    const uint64_t address = FIRST + (uint64_t)record_count * RECORD_BYTES;
    struct fst_index_slot found;
    cr_assert_lt(record_count, RECORDS_MAX);
    fst_epoch_enter(epoch, by);
    cr_assert_eq(fst_hash_index_find_or_create(table, hash, &found), FASTER_OK);
    records[record_count].hash = hash;
    records[record_count++].previous = fst_index_slot_addr(&found).raw;
    cr_assert(fst_hash_index_publish(table, &found, fst_addr_of(address)));
    fst_epoch_leave(epoch, by);
    return address;
}

static uint64_t append(uint64_t hash) {
    return append_by(slot, hash);
}

static void note(void *context, const struct fst_index_copied *one) {
    (void)context;
    cr_assert_lt(copied_count, COPIED_MAX);
    cr_assert_eq(one->bucket >> one->bits, 0);
    copied[copied_count++] = *one;
}

static void read_all(uint32_t bucket_max, fst_index_copied_fn *each) {
    struct fst_index_reader reader = {.index = table};
    bool goes_on = true;
    while (goes_on) {
        fst_epoch_enter(epoch, slot);
        goes_on = fst_index_read(&reader, bucket_max, each, NULL);
        fst_epoch_leave(epoch, slot);
    }
}

static bool is_in_chain(const struct fst_hash_index *index, uint64_t hash, uint64_t address) {
    struct fst_index_slot found;
    uint64_t at;
    if (!fst_hash_index_find(index, hash, &found)) {
        return false;
    }
    at = fst_index_slot_addr(&found).raw;
    while (at > address) {
        at = records[number_of(at)].previous;
    }
    return at == address;
}

static void load_into(struct fst_hash_index *index) {
    for (uint32_t i = 0; i < copied_count; i++) {
        cr_assert_eq(fst_index_load(index, &copied[i]), FASTER_OK);
    }
}

/* Loads into an index of this size and looks for the first `count` records. */
static void expect_loaded(uint32_t bits, uint32_t count) {
    struct fst_hash_index *index = make_index(bits, 256);
    fst_epoch_enter(epoch, slot);
    load_into(index);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert(is_in_chain(index, records[i].hash, FIRST + (uint64_t)i * RECORD_BYTES),
                  "record %u is lost", i);
    }
    fst_epoch_leave(epoch, slot);
    fst_hash_index_destroy(index);
}

TestSuite(index_copy, .init = set_up, .fini = tear_down);

Test(index_copy, loads_into_as_many_or_more_bits_and_not_into_fewer) {
    for (uint64_t i = 0; i < 400; i++) {
        (void)append(hash_of(i * 37 % (BUCKET_COUNT * 8), i % 11));
    }
    cr_assert_eq(fst_hash_index_grow(table, slot), FASTER_OK);
    read_all(5, note);
    expect_loaded(BITS + 1, record_count);
    expect_loaded(BITS + 3, record_count);
    struct fst_hash_index *small = make_index(BITS, 256);
    cr_assert_eq(fst_index_load(small, &copied[0]), FASTER_FULL);
    fst_hash_index_destroy(small);
}

Test(index_copy, dead_and_empty_entries_stay_out) {
    struct fst_index_slot empty;
    (void)append(hash_of(1, 1));
    const uint64_t alive = append(hash_of(1, 2));
    cr_assert_eq(fst_hash_index_find_or_create(table, hash_of(1, 3), &empty), FASTER_OK);
    fst_store_relaxed_u64(&begin, alive);
    read_all(64, note);
    cr_assert_eq(copied_count, 1);
    cr_assert_eq(copied[0].addr.raw, alive);
    cr_assert_eq(copied[0].bucket, 1);
    cr_assert_eq(copied[0].tag, 2);
    cr_assert_eq(copied[0].bits, BITS);
}

Test(index_copy, growth_between_two_stays_loses_nothing) {
    for (uint64_t i = 0; i < 300; i++) {
        (void)append(hash_of(i * 7 % (BUCKET_COUNT * 2), i % 5));
    }
    struct fst_index_reader reader = {.index = table};
    bool goes_on = true;
    for (int stay = 0; goes_on; stay++) {
        if (stay == 1 || stay == 3) {
            cr_assert_eq(fst_hash_index_grow(table, slot), FASTER_OK);
        }
        fst_epoch_enter(epoch, slot);
        goes_on = fst_index_read(&reader, 6, note, NULL);
        fst_epoch_leave(epoch, slot);
    }
    cr_assert_eq(reader.next, BUCKET_COUNT * 4);
    expect_loaded(BITS + 2, record_count);
    expect_loaded(BITS + 3, record_count);
}

/* The table doubles while the first bucket is read; then a record of the low half of a bucket that
 * comes later is published, into a chain without those of the high half. */
static void grow_at_first(void *context, const struct fst_index_copied *one) {
    if (copied_count == 0) {
        cr_assert_eq(fst_hash_index_grow(table, other), FASTER_OK);
        (void)append_by(other, hash_of(5, 9));
    }
    note(context, one);
}

Test(index_copy, growth_in_one_stay_covers_each_half_by_its_own) {
    (void)append(hash_of(0, 1));
    (void)append(hash_of(5, 9));
    (void)append(hash_of(5 + BUCKET_COUNT, 9));
    read_all(8, grow_at_first);
    expect_loaded(BITS + 1, 3);
    expect_loaded(BITS + 2, 3);
}

/* A bucket that a growth has not split yet serves both halves. */
Test(index_copy, buckets_not_yet_split_are_read_for_both_halves) {
    (void)append(hash_of(5, 9));
    (void)append(hash_of(5 + BUCKET_COUNT, 9));
    fst_hash_index_grow_toward(table, BITS + 1);
    read_all(8, note);
    cr_assert_eq(copied_count, 1);
    cr_assert_eq(copied[0].bits, BITS);
    expect_loaded(BITS + 1, 2);
}

Test(index_copy, an_older_copy_after_a_newer_one_changes_nothing) {
    for (uint64_t i = 0; i < 100; i++) {
        (void)append(hash_of(i % BUCKET_COUNT, i % 3));
    }
    read_all(64, note);
    struct fst_hash_index *index = make_index(BITS, 256);
    fst_epoch_enter(epoch, slot);
    load_into(index);
    fst_epoch_leave(epoch, slot);
    for (uint64_t i = 0; i < 100; i++) {
        (void)append(hash_of(i % BUCKET_COUNT, i % 3));
    }
    const uint32_t older_count = copied_count;
    read_all(64, note);
    fst_epoch_enter(epoch, slot);
    for (uint32_t i = copied_count; i > 0; i--) {
        cr_assert_eq(fst_index_load(index, &copied[i - 1]), FASTER_OK);
    }
    for (uint32_t i = older_count; i < copied_count; i++) {
        struct fst_index_slot found;
        cr_assert(fst_hash_index_find(index, hash_of(copied[i].bucket, copied[i].tag), &found));
        cr_assert_eq(fst_index_slot_addr(&found).raw, copied[i].addr.raw);
    }
    fst_epoch_leave(epoch, slot);
    fst_hash_index_destroy(index);
}
