/* test_hash_index_grow.c - doubling the index, on one thread; tests/sim/ and tests/stress/ have
 * the concurrent part. */
#include "index_rig.h"

/* The head of the chain, or 0. */
static uint64_t head_of(uint64_t hash) {
    struct fst_index_slot found;
    bool is_found;

    fst_epoch_enter(epoch, slot);
    is_found = fst_hash_index_find(table, hash, &found);
    fst_epoch_leave(epoch, slot);
    return is_found ? fst_index_slot_addr(&found).raw : 0;
}

static bool is_in_chain(uint64_t hash, uint64_t address) {
    bool is_in;

    fst_epoch_enter(epoch, slot);
    is_in = is_in_chain_of(table, hash, address);
    fst_epoch_leave(epoch, slot);
    return is_in;
}

static void expect_all_found(void) {
    for (uint32_t i = 0; i < record_count; i++) {
        const uint64_t address = FIRST + (uint64_t)i * RECORD_BYTES;

        cr_assert(address < fst_load_relaxed_u64(&begin) || is_in_chain(records[i].hash, address),
                  "record %u is lost", i);
    }
}

static enum faster_status grow(void) {
    return fst_hash_index_grow(table, slot);
}

static struct fst_hash_index_stats stats(void) {
    struct fst_hash_index_stats result;

    fst_hash_index_get_stats(table, &result);
    return result;
}

TestSuite(hash_index_grow, .init = set_up, .fini = tear_down);

Test(hash_index_grow, grow_in_memory_splits_chains_exactly) {
    const uint64_t low = append(hash_of(3, 7));
    const uint64_t high = append(hash_of(3 + BUCKET_COUNT, 7));
    const uint64_t alone = append(hash_of(5 + BUCKET_COUNT, 1));

    cr_assert_eq(head_of(hash_of(3, 7)), high);
    cr_assert_eq(grow(), FASTER_OK);
    cr_assert_eq(fst_hash_index_bits(table), BITS + 1);
    cr_assert_eq(head_of(hash_of(3, 7)), low);
    cr_assert_eq(head_of(hash_of(3 + BUCKET_COUNT, 7)), high);
    cr_assert_eq(head_of(hash_of(5, 1)), 0);
    cr_assert_eq(head_of(hash_of(5 + BUCKET_COUNT, 1)), alone);
    cr_assert_eq(stats().entry_count, 3);
    cr_assert_eq(stats().growth_count, 1);
    cr_assert_eq(stats().phase, FST_INDEX_SETTLED);
    expect_all_found();
}

Test(hash_index_grow, grow_to_the_largest_size_then_full_and_nothing_changes) {
    for (uint64_t i = 0; i < 500; i++) {
        (void)append(hash_of(i * 37 % (BUCKET_COUNT * 16), i % 11));
    }
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(grow(), FASTER_OK);
        expect_all_found();
    }
    cr_assert_eq(grow(), FASTER_FULL);
    cr_assert_eq(fst_hash_index_bits(table), BITS + 3);
    cr_assert_eq(stats().growth_count, 3);
    expect_all_found();
}

Test(hash_index_grow, chains_on_disk_go_to_both_halves) {
    const uint64_t low = append(hash_of(3, 7));
    const uint64_t high = append(hash_of(3 + BUCKET_COUNT, 7));
    uint64_t newer;

    on_disk_below = high + RECORD_BYTES;
    newer = append(hash_of(3, 7));
    cr_assert_eq(grow(), FASTER_OK);
    cr_assert_eq(head_of(hash_of(3, 7)), newer);
    cr_assert_eq(head_of(hash_of(3 + BUCKET_COUNT, 7)), high);
    cr_assert(is_in_chain(hash_of(3, 7), low));
    (void)append(hash_of(3 + BUCKET_COUNT, 7));
    cr_assert_eq(grow(), FASTER_OK);
    expect_all_found();
}

Test(hash_index_grow, dead_entries_and_empty_ones_are_freed) {
    struct fst_index_slot empty;

    (void)append(hash_of(0, 1));
    (void)append(hash_of(0, 2));
    cr_assert_eq(fst_hash_index_find_or_create(table, hash_of(0, 3), &empty), FASTER_OK);
    fst_store_relaxed_u64(&begin, FIRST + RECORD_BYTES);
    cr_assert_eq(grow(), FASTER_OK);
    cr_assert_eq(stats().entry_count, 1);
    cr_assert(!fst_hash_index_publish(table, &empty, fst_addr_of(FIRST + 9 * RECORD_BYTES)));
    cr_assert_null(empty.word);
    for (uint64_t tag = 10; tag < 16; tag++) {
        (void)append(hash_of(0, tag));
    }
    cr_assert_eq(stats().overflow_count, 0);
    expect_all_found();
}

Test(hash_index_grow, slot_of_before_the_growth_is_refused) {
    struct fst_index_slot stale;

    (void)append(hash_of(BUCKET_COUNT, 7));
    (void)append(hash_of(0, 7));
    fst_epoch_enter(epoch, other);
    cr_assert_eq(fst_hash_index_find_or_create(table, hash_of(BUCKET_COUNT, 7), &stale), FASTER_OK);
    cr_assert_eq(grow(), FASTER_OK);
    cr_assert(!fst_hash_index_publish(table, &stale, fst_addr_of(FIRST + 9 * RECORD_BYTES)));
    cr_assert_null(stale.word);
    fst_epoch_leave(epoch, other);
}

/* The stamp has one bit: a second growth waits until whoever saw the first has left. */
Test(hash_index_grow, second_growth_waits_for_those_inside) {
    struct fst_index_slot stale;

    (void)append(hash_of(BUCKET_COUNT, 7));
    (void)append(hash_of(0, 7));
    fst_epoch_enter(epoch, other);
    cr_assert_eq(fst_hash_index_find_or_create(table, hash_of(BUCKET_COUNT, 7), &stale), FASTER_OK);
    cr_assert_eq(grow(), FASTER_OK);
    cr_assert_eq(stats().phase, FST_INDEX_DRAINING);
    cr_assert_eq(grow(), FASTER_BUSY);
    cr_assert(!fst_hash_index_publish(table, &stale, fst_addr_of(FIRST + 9 * RECORD_BYTES)));
    fst_epoch_leave(epoch, other);
    cr_assert_eq(stats().phase, FST_INDEX_SETTLED);
    cr_assert_eq(grow(), FASTER_OK);
    expect_all_found();
}

Test(hash_index_grow, load_makes_it_grow_and_inserts_carry_it_out) {
    fst_hash_index_destroy(table);
    table = make_index(BITS, 3, 64, 90);
    for (uint64_t i = 0; i < BUCKET_COUNT * 8 * 7; i++) {
        (void)append(hash_of(i, i / 128));
    }
    cr_assert_eq(fst_hash_index_bits(table), BITS + 3);
    cr_assert_eq(stats().phase, FST_INDEX_SETTLED);
    expect_all_found();
}

Test(hash_index_grow, grow_toward_goes_on_through_several_doublings) {
    (void)append(hash_of(0, 1));
    fst_hash_index_grow_toward(table, FST_INDEX_BITS_MAX);
    for (int i = 0; i < 20; i++) {
        (void)append(hash_of(0, 1));
    }
    cr_assert_eq(fst_hash_index_bits(table), BITS + 3);
    expect_all_found();
}

Test(hash_index_grow, no_overflow_bucket_left_is_full_and_loses_nothing) {
    fst_hash_index_destroy(table);
    table = make_index(BITS, 1, 1, FST_INDEX_LOAD_NEVER);
    for (uint64_t tag = 0; tag < 8; tag++) {
        (void)append(hash_of(0, tag));
        (void)append(hash_of(BUCKET_COUNT, tag));
    }
    cr_assert_eq(grow(), FASTER_FULL);
    cr_assert_eq(stats().phase, FST_INDEX_GROWING);
    expect_all_found();
    (void)append(hash_of(BUCKET_COUNT + 1, 1));
    fst_store_relaxed_u64(&begin, FIRST + 2 * RECORD_BYTES); /* tag 0 is dead */
    (void)append(hash_of(0, 3));
    cr_assert(grow() == FASTER_OK || stats().phase == FST_INDEX_GROWING);
    expect_all_found();
}

Test(hash_index_grow, presize_takes_the_largest_size_at_once) {
    fst_hash_index_presize(table, slot);
    cr_assert_eq(fst_hash_index_bits(table), BITS + 3);
    fst_hash_index_presize(table, slot);
    for (uint64_t i = 0; i < 100; i++) {
        (void)append(hash_of(i, 5));
    }
    cr_assert_eq(grow(), FASTER_FULL);
    expect_all_found();
}

Test(hash_index_grow, presize_beside_a_growth_ends_it_first) {
    fst_hash_index_grow_toward(table, BITS + 1);
    fst_hash_index_presize(table, slot);
    cr_assert_eq(fst_hash_index_bits(table), BITS + 3);
    cr_assert_eq(stats().phase, FST_INDEX_SETTLED);
}

static size_t advise_all(const struct faster_env *env, void *memory, size_t bytes) {
    (void)env;
    (void)memory;
    return bytes;
}

/* One entry for each 64 buckets is about one for each small page. */
Test(hash_index_grow, huge_pages_are_asked_for_if_entries_will_touch_all_small_ones) {
    const uint32_t bits = BITS + 3;
    const uint64_t table_bytes = BUCKET_BYTES << bits;
    struct faster_env env = *fst_test_env_get(test);
    const struct fst_hash_index_config config = {.env = &env,
                                                 .epoch = epoch,
                                                 .begin = &begin,
                                                 .budget_bytes = table_bytes * 2,
                                                 .bits = bits,
                                                 .bits_max = bits,
                                                 .divide = divide};
    struct fst_hash_index *made;
    struct fst_hash_index_stats found;

    env.advise_huge = advise_all;
    cr_assert_eq(fst_hash_index_create(&config, &made), FASTER_OK);
    fst_hash_index_expect(made, (UINT64_C(1) << bits) / 64 - 1);
    fst_hash_index_get_stats(made, &found);
    cr_assert_eq(found.huge_bytes, 0);
    fst_hash_index_expect(made, (UINT64_C(1) << bits) / 64);
    fst_hash_index_get_stats(made, &found);
    cr_assert_eq(found.huge_bytes, table_bytes);
    fst_hash_index_destroy(made);
}
