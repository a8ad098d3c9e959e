/* index_rig.h - one hash index, and chains of records that hold nothing, for unit tests on one
 * thread. Included once by a test program.
 */
#ifndef TESTS_UNIT_INDEX_RIG_H
#define TESTS_UNIT_INDEX_RIG_H

#include "structures/hash_index.h"
#include "support/test_env.h"

#include <criterion/criterion.h>

#define BITS FST_INDEX_BITS_MIN
#define BUCKET_COUNT (UINT64_C(1) << BITS)
#define BUCKET_BYTES UINT64_C(64)
#define FIRST FST_ADDR_FIRST_RAW
#define RECORD_BYTES 64u
#define RECORDS_MAX 4096u
#define DOUBLINGS_MAX 3u
#define POOL 256u

static struct fst_test_env *test;
static struct fst_epoch *epoch;
static struct fst_epoch_slot *slot;
static struct fst_epoch_slot *other;
static struct fst_hash_index *table;
static fst_atomic_u64 begin;
static uint64_t on_disk_below;

static struct {
    uint64_t hash;
    uint64_t previous;
} records[RECORDS_MAX];
static uint32_t record_count;

static uint64_t hash_of(uint64_t bucket, uint64_t tag) {
    return tag << FST_INDEX_BITS_MAX | bucket;
}

static uint32_t number_of(uint64_t address) {
    return (uint32_t)((address - FIRST) / RECORD_BYTES);
}

static void divide(void *context, fst_addr head, const struct fst_index_halves *halves,
                   fst_addr known, fst_addr heads[2]) {
    uint64_t at = head.raw;

    (void)context;
    cr_assert_eq(known.raw, 0, "nobody publishes meanwhile");
    heads[0] = heads[1] = fst_addr_of(0);
    while (at >= fst_load_relaxed_u64(&begin)) {
        const int half = fst_index_half_of(halves, records[number_of(at)].hash);

        for (int i = 0; at < on_disk_below && i < 2; i++) {
            heads[i] = heads[i].raw != 0 ? heads[i] : fst_addr_of(at);
        }
        if (at < on_disk_below) {
            return;
        }
        if (half < 2 && heads[half].raw == 0) {
            heads[half] = fst_addr_of(at);
        }
        at = records[number_of(at)].previous;
    }
}

/* From `bits` on, with room for so many doublings of the smallest one. */
static struct fst_hash_index *make_index(uint32_t bits, uint32_t doublings, uint64_t pool,
                                         uint32_t load_percent) {
    const struct fst_hash_index_config config = {
        .env = fst_test_env_get(test),
        .epoch = epoch,
        .begin = &begin,
        .budget_bytes = ((BUCKET_COUNT << doublings) + pool) * BUCKET_BYTES,
        .bits = bits,
        .bits_max = BITS + doublings,
        .load_percent = load_percent,
        .divide = divide};
    struct fst_hash_index *made;

    cr_assert_eq(fst_hash_index_create(&config, &made), FASTER_OK);
    return made;
}

static void set_up(void) {
    test = fst_test_env_create();
    cr_assert_not_null(test);
    cr_assert_eq(fst_epoch_create(fst_test_env_get(test), &epoch), FASTER_OK);
    slot = fst_epoch_slot_open(epoch);
    other = fst_epoch_slot_open(epoch);
    fst_store_relaxed_u64(&begin, FIRST);
    table = make_index(BITS, DOUBLINGS_MAX, POOL, FST_INDEX_LOAD_NEVER);
}

static void tear_down(void) {
    fst_epoch_slot_close(epoch, slot);
    fst_epoch_slot_close(epoch, other);
    fst_hash_index_destroy(table);
    fst_epoch_destroy(epoch);
    cr_assert_eq(fst_test_env_live_allocations(test), 0);
    fst_test_env_destroy(test);
}

/* Appends a record; its address. */
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

/* In another index of the same records, too. Inside the epoch. */
static bool is_in_chain_of(const struct fst_hash_index *index, uint64_t hash, uint64_t address) {
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

#endif
