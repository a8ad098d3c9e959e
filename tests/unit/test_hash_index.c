/* test_hash_index.c - the index's contract on one thread; tests/sim/ and tests/stress/ have
 * the concurrent part. */
#include "structures/hash_index.h"
#include "support/test_env.h"

#include <criterion/criterion.h>

#define BITS FST_INDEX_BITS_MIN
#define BUCKET_COUNT (UINT64_C(1) << BITS)
#define BUCKET_BYTES UINT64_C(64)
#define BUCKET_ENTRIES 7u
#define TAG_COUNT (UINT64_C(1) << FST_INDEX_TAG_BITS)
#define FIRST FST_ADDR_FIRST_RAW
#define ADDR_LAST (FST_ADDR_MAX & FST_INDEX_ADDR_MASK)

static struct fst_test_env *test;
static struct fst_hash_index *table;
static fst_atomic_u64 begin;

static uint64_t hash_of(uint64_t bucket, uint64_t tag) {
    return tag << FST_INDEX_BITS_MAX | bucket;
}

/* Never grows. */
static struct fst_hash_index_config config_of(uint32_t bits, uint64_t budget_bytes) {
    return (struct fst_hash_index_config){.env = fst_test_env_get(test),
                                          .begin = &begin,
                                          .budget_bytes = budget_bytes,
                                          .bits = bits,
                                          .bits_max = bits,
                                          .load_percent = FST_INDEX_LOAD_NEVER};
}

static struct fst_hash_index *make_index(uint32_t bits, uint64_t pool_count) {
    const struct fst_hash_index_config config =
        config_of(bits, ((UINT64_C(1) << bits) + pool_count) * BUCKET_BYTES);
    struct fst_hash_index *made;

    cr_assert_eq(fst_hash_index_create(&config, &made), FASTER_OK);
    return made;
}

static void set_up(void) {
    test = fst_test_env_create();
    cr_assert_not_null(test);
    fst_store_relaxed_u64(&begin, FIRST);
    table = make_index(BITS, 2);
}

static void tear_down(void) {
    fst_hash_index_destroy(table);
    cr_assert_eq(fst_test_env_live_allocations(test), 0);
    fst_test_env_destroy(test);
}

static struct fst_index_slot create(uint64_t hash) {
    struct fst_index_slot slot;

    cr_assert_eq(fst_hash_index_find_or_create(table, hash, &slot), FASTER_OK);
    return slot;
}

/* Creates the entry of a tag in bucket 0 and publishes an address there. */
static struct fst_index_slot create_at(uint64_t tag, uint64_t address) {
    struct fst_index_slot slot = create(hash_of(0, tag));

    cr_assert(fst_hash_index_publish(table, &slot, fst_addr_of(address)));
    return slot;
}

static bool is_found(uint64_t hash) {
    struct fst_index_slot slot;

    return fst_hash_index_find(table, hash, &slot);
}

static uint64_t address_at(uint64_t hash) {
    struct fst_index_slot slot;

    cr_assert(fst_hash_index_find(table, hash, &slot));
    return fst_index_slot_addr(&slot).raw;
}

static bool is_full(uint64_t hash) {
    struct fst_index_slot slot;

    return fst_hash_index_find_or_create(table, hash, &slot) == FASTER_FULL;
}

static struct fst_hash_index_stats stats(void) {
    struct fst_hash_index_stats result;

    fst_hash_index_get_stats(table, &result);
    return result;
}

TestSuite(hash_index, .init = set_up, .fini = tear_down);

/* ---- life ---- */

Test(hash_index, create_above_the_budget_is_full) {
    const struct fst_hash_index_config config = config_of(BITS, BUCKET_COUNT * BUCKET_BYTES - 1);
    struct fst_hash_index *made;

    cr_assert_eq(fst_hash_index_create(&config, &made), FASTER_FULL);
    cr_assert_null(made);
}

Test(hash_index, create_without_memory_leaks_nothing) {
    const uint64_t live = fst_test_env_live_allocations(test);
    const enum fst_test_operation operations[] = {FST_TEST_ALLOCATE, FST_TEST_MAP};
    const struct fst_hash_index_config config = config_of(BITS, 1 << 20);
    struct fst_hash_index *made;

    for (int i = 0; i < 2; i++) {
        fst_test_env_fail(test, operations[i], 1, 1, FASTER_NOMEM);
        cr_assert_eq(fst_hash_index_create(&config, &made), FASTER_NOMEM);
        cr_assert_null(made);
        cr_assert_eq(fst_test_env_live_allocations(test), live);
    }
    fst_hash_index_destroy(NULL);
}

Test(hash_index, bits_for_takes_three_quarters_at_most) {
    cr_assert_eq(fst_hash_index_bits_for(0, 0), 0);
    cr_assert_eq(fst_hash_index_bits_for(1365, 0), 4); /* 16 buckets are 1,024 bytes */
    cr_assert_eq(fst_hash_index_bits_for(1364, 0), 0);
    cr_assert_eq(fst_hash_index_bits_for(1 << 20, 4), 13);
    cr_assert_eq(fst_hash_index_bits_for(1 << 20, 13), 13);
    cr_assert_eq(fst_hash_index_bits_for(1 << 20, 14), 0);
    cr_assert_eq(fst_hash_index_bits_for(UINT64_MAX, 4), FST_INDEX_BITS_MAX);
}

/* ---- find and create ---- */

Test(hash_index, find_in_an_empty_index_fails) {
    cr_assert(!is_found(hash_of(0, 0)));
    cr_assert(!is_found(hash_of(3, TAG_COUNT - 1)));
    cr_assert_eq(fst_hash_index_bits(table), BITS);
}

Test(hash_index, new_entry_has_address_zero) {
    struct fst_index_slot slot = create(hash_of(1, 0));

    cr_assert_eq(fst_index_slot_addr(&slot).raw, 0);
    cr_assert_eq(address_at(hash_of(1, 0)), 0);
    cr_assert_eq(create(hash_of(1, 0)).word, slot.word);
    cr_assert(!is_found(hash_of(1, 1)));
    cr_assert(!is_found(hash_of(2, 0)));
}

Test(hash_index, tag_collision_shares_the_entry) {
    const uint64_t hash = hash_of(5, 77);
    const uint64_t above_tag = UINT64_C(1) << (FST_INDEX_BITS_MAX + FST_INDEX_TAG_BITS);
    const uint64_t above_bucket = UINT64_C(1) << BITS;
    struct fst_index_slot slot = create(hash);

    cr_assert_eq(create(hash | above_tag).word, slot.word);
    cr_assert_eq(create(hash | above_bucket).word, slot.word);
    cr_assert_eq(stats().entry_count, 1);
}

Test(hash_index, full_bucket_links_overflow) {
    for (uint64_t tag = 0; tag < BUCKET_ENTRIES; tag++) {
        (void)create_at(tag, FIRST + tag * 8);
    }
    cr_assert_eq(stats().overflow_count, 0);
    (void)create_at(BUCKET_ENTRIES, FIRST + BUCKET_ENTRIES * 8);
    cr_assert_eq(stats().overflow_count, 1);
    for (uint64_t tag = 0; tag <= BUCKET_ENTRIES; tag++) {
        cr_assert_eq(address_at(hash_of(0, tag)), FIRST + tag * 8);
    }
    cr_assert_eq(stats().entry_count, BUCKET_ENTRIES + 1);
}

Test(hash_index, budget_is_full_exactly_at_its_limit) {
    const uint64_t tag_count = BUCKET_ENTRIES * 3;

    for (uint64_t tag = 0; tag < tag_count; tag++) {
        (void)create_at(tag, FIRST + tag * 8);
    }
    for (int i = 0; i < 3; i++) {
        cr_assert(is_full(hash_of(0, tag_count)));
    }
    cr_assert_eq(stats().overflow_count, 2);
    cr_assert_eq(stats().used_bytes, (BUCKET_COUNT + 2) * BUCKET_BYTES);
    for (uint64_t tag = 0; tag < tag_count; tag++) {
        (void)create_at(tag, FIRST + 4096 + tag * 8);
        cr_assert_eq(address_at(hash_of(0, tag)), FIRST + 4096 + tag * 8);
    }
    for (uint64_t tag = 0; tag < BUCKET_ENTRIES; tag++) {
        (void)create(hash_of(1, tag));
    }
    cr_assert(is_full(hash_of(1, BUCKET_ENTRIES)));
}

Test(hash_index, one_bucket_can_hold_every_tag) {
    fst_hash_index_destroy(table);
    table = make_index(BITS, TAG_COUNT / BUCKET_ENTRIES);
    for (uint64_t tag = 0; tag < TAG_COUNT; tag++) {
        (void)create_at(tag, FIRST + tag * 8);
    }
    for (uint64_t tag = 0; tag < TAG_COUNT; tag++) {
        cr_assert_eq(address_at(hash_of(0, tag)), FIRST + tag * 8);
    }
    cr_assert_eq(stats().entry_count, TAG_COUNT);
}

/* ---- publish ---- */

Test(hash_index, publish_updates_entry_and_slot) {
    struct fst_index_slot slot = create(hash_of(0, 3));

    cr_assert(fst_hash_index_publish(table, &slot, fst_addr_of(FIRST)));
    cr_assert_eq(fst_index_slot_addr(&slot).raw, FIRST);
    cr_assert(fst_hash_index_publish(table, &slot, fst_addr_of(ADDR_LAST)));
    cr_assert_eq(address_at(hash_of(0, 3)), ADDR_LAST);
    cr_assert(fst_hash_index_publish(table, &slot, fst_addr_of(FIRST)));
    cr_assert_eq(address_at(hash_of(0, 3)), FIRST);
}

Test(hash_index, publish_after_another_fails_and_shows_the_present) {
    struct fst_index_slot slot = create(hash_of(0, 3));
    struct fst_index_slot stale = slot;

    cr_assert(fst_hash_index_publish(table, &slot, fst_addr_of(FIRST)));
    cr_assert(!fst_hash_index_publish(table, &stale, fst_addr_of(FIRST + 64)));
    cr_assert_not_null(stale.word);
    cr_assert_eq(fst_index_slot_addr(&stale).raw, FIRST);
    cr_assert(fst_hash_index_publish(table, &stale, fst_addr_of(FIRST + 64)));
    cr_assert_eq(address_at(hash_of(0, 3)), FIRST + 64);
}

Test(hash_index, publish_to_a_reused_entry_fails_without_a_word) {
    struct fst_index_slot stale = create_at(0, FIRST);

    for (uint64_t tag = 1; tag < BUCKET_ENTRIES; tag++) {
        (void)create_at(tag, FIRST + 64);
    }
    fst_store_relaxed_u64(&begin, FIRST + 64);
    cr_assert_eq(create(hash_of(0, 100)).word, stale.word);
    cr_assert(!fst_hash_index_publish(table, &stale, fst_addr_of(FIRST + 128)));
    cr_assert_null(stale.word);
    cr_assert_eq(address_at(hash_of(0, 100)), 0);
    cr_assert(!is_found(hash_of(0, 0)));
}

/* ---- dead entries ---- */

Test(hash_index, entry_below_begin_is_not_found) {
    (void)create_at(0, FIRST);
    (void)create_at(1, FIRST + 64);
    fst_store_relaxed_u64(&begin, FIRST + 64);
    cr_assert(!is_found(hash_of(0, 0)));
    cr_assert(is_found(hash_of(0, 1)));
    cr_assert_eq(stats().entry_count, 1);
}

Test(hash_index, dead_entry_is_revived_by_its_own_tag) {
    struct fst_index_slot old = create_at(0, FIRST);
    struct fst_index_slot slot;

    fst_store_relaxed_u64(&begin, FIRST + 64);
    slot = create(hash_of(0, 0));
    cr_assert_eq(slot.word, old.word);
    cr_assert_eq(fst_index_slot_addr(&slot).raw, FIRST); /* below begin: the chain's end */
    cr_assert(fst_hash_index_publish(table, &slot, fst_addr_of(FIRST + 64)));
    cr_assert_eq(address_at(hash_of(0, 0)), FIRST + 64);
}

Test(hash_index, dead_entries_are_reused_before_overflow_and_when_full) {
    for (uint64_t tag = 0; tag < BUCKET_ENTRIES * 3; tag++) {
        (void)create_at(tag, FIRST + tag * 8);
    }
    cr_assert(is_full(hash_of(0, 500)));
    fst_store_relaxed_u64(&begin, FIRST + 3 * 8);
    for (uint64_t tag = 500; tag < 503; tag++) {
        (void)create_at(tag, FIRST + 4096);
    }
    cr_assert(is_full(hash_of(0, 503)));
    for (uint64_t tag = 0; tag < BUCKET_ENTRIES * 3; tag++) {
        cr_assert_eq(is_found(hash_of(0, tag)), tag >= 3);
    }
    cr_assert_eq(stats().entry_count, BUCKET_ENTRIES * 3);
}

Test(hash_index, entry_at_address_zero_is_not_dead) {
    for (uint64_t tag = 0; tag < BUCKET_ENTRIES * 3; tag++) {
        (void)create(hash_of(0, tag));
    }
    fst_store_relaxed_u64(&begin, FST_ADDR_MAX);
    cr_assert(is_full(hash_of(0, 500)));
    cr_assert(is_found(hash_of(0, 0)));
}

Test(hash_index, read_cache_address_is_never_dead) {
    (void)create_at(0, FST_ADDR_READ_CACHE);
    (void)create_at(1, FST_ADDR_READ_CACHE | FIRST);
    fst_store_relaxed_u64(&begin, FST_ADDR_MAX);
    cr_assert_eq(address_at(hash_of(0, 0)), FST_ADDR_READ_CACHE);
    cr_assert_eq(address_at(hash_of(0, 1)), FST_ADDR_READ_CACHE | FIRST);
}

/* ---- the hash ---- */

/* Hashes that share an entry of a larger table share one of each smaller table. */
Test(hash_index, larger_index_splits_chains_only) {
    enum { HASHES = 600 };
    static uint64_t hashes[HASHES];
    static fst_atomic_u64 *words[2][HASHES];
    struct fst_hash_index *indexes[2] = {make_index(5, 5000), make_index(8, 5000)};
    uint64_t state = 1;
    uint32_t shared_count = 0;

    for (int i = 0; i < HASHES; i++) {
        struct fst_index_slot slot;

        state = state * UINT64_C(6364136223846793005) + 1;
        hashes[i] = hash_of(state >> 33 & 0x3ff, state >> 45 & 1) | (state & 1) << 60;
        for (int j = 0; j < 2; j++) {
            cr_assert_eq(fst_hash_index_find_or_create(indexes[j], hashes[i], &slot), FASTER_OK);
            words[j][i] = slot.word;
        }
    }
    for (int i = 0; i < HASHES; i++) {
        for (int j = 0; j < i; j++) {
            shared_count += words[1][i] == words[1][j];
            cr_assert(words[1][i] != words[1][j] || words[0][i] == words[0][j]);
        }
    }
    cr_assert_gt(shared_count, 100);
    fst_hash_index_destroy(indexes[0]);
    fst_hash_index_destroy(indexes[1]);
}

Test(hash_index, prefetch_of_any_hash_creates_nothing) {
    struct fst_hash_index_stats stats;
    fst_hash_index_prefetch(table, 0);
    fst_hash_index_prefetch(table, UINT64_MAX);
    fst_hash_index_get_stats(table, &stats);
    cr_assert_eq(stats.entry_count, 0);
}

/* ---- walk and stats ---- */

struct visits {
    uint32_t counts[BUCKET_COUNT][32];
    uint32_t total;
    uint32_t stop_after;
};

static bool visit(void *context, uint64_t bucket, uint32_t tag, fst_addr addr) {
    struct visits *visits = context;

    cr_assert_eq(addr.raw, FIRST + 64 + tag * 8);
    visits->counts[bucket][tag]++;
    return ++visits->total != visits->stop_after;
}

Test(hash_index, walk_visits_each_live_entry_once) {
    struct visits visits = {0};

    for (uint64_t tag = 0; tag < 20; tag++) {
        struct fst_index_slot slot = create(hash_of(tag % 2, tag));

        cr_assert(fst_hash_index_publish(table, &slot, fst_addr_of(FIRST + 64 + tag * 8)));
    }
    (void)create_at(30, FIRST);
    fst_store_relaxed_u64(&begin, FIRST + 64);
    fst_hash_index_walk(table, visit, &visits);
    cr_assert_eq(visits.total, 20);
    for (uint64_t tag = 0; tag < 20; tag++) {
        cr_assert_eq(visits.counts[tag % 2][tag], 1);
    }
    visits = (struct visits){.stop_after = 5};
    fst_hash_index_walk(table, visit, &visits);
    cr_assert_eq(visits.total, 5);
}

Test(hash_index, stats_of_a_large_index_are_estimated) {
    const uint64_t bucket_count = UINT64_C(1) << 14;

    fst_hash_index_destroy(table);
    table = make_index(14, 0);
    for (uint64_t bucket = 0; bucket < bucket_count; bucket++) {
        (void)create(hash_of(bucket, 1));
        (void)create(hash_of(bucket, 2));
    }
    cr_assert_eq(stats().entry_count, 2 * bucket_count);
    cr_assert_eq(stats().bucket_count, bucket_count);
    cr_assert_eq(stats().overflow_count, 0);
    cr_assert_eq(stats().used_bytes, bucket_count * BUCKET_BYTES);
}
