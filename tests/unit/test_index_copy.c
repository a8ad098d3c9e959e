/* test_index_copy.c - reading the hash index and loading what was read, on one thread;
 * tests/sim/interleave_copy.c has the concurrent part (P4). */
#include "index_rig.h"

#define COPIED_MAX 4096u

static struct fst_index_copied copied[COPIED_MAX];
static uint32_t copied_count;

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

static void load_into(struct fst_hash_index *index) {
    for (uint32_t i = 0; i < copied_count; i++) {
        cr_assert_eq(fst_index_load(index, &copied[i]), FASTER_OK);
    }
}

/* Loads into an index of this size and looks for the first `count` records. */
static void expect_loaded(uint32_t bits, uint32_t count) {
    struct fst_hash_index *index = make_index(bits, DOUBLINGS_MAX, POOL, FST_INDEX_LOAD_NEVER);
    fst_epoch_enter(epoch, slot);
    load_into(index);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert(is_in_chain_of(index, records[i].hash, FIRST + (uint64_t)i * RECORD_BYTES),
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
    struct fst_hash_index *small = make_index(BITS, DOUBLINGS_MAX, POOL, FST_INDEX_LOAD_NEVER);
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
    struct fst_hash_index *index = make_index(BITS, DOUBLINGS_MAX, POOL, FST_INDEX_LOAD_NEVER);
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
