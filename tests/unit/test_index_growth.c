/* test_index_growth.c - a store whose index grows: chains on disk, transactions, recovery. */
#include "store_rig.h"

#define KEYS 600u
#define VALUE_BYTES 900u /* so that the first keys' records reach the disk */

static void start(struct rig *rig, uint32_t load_percent) {
    rig_start(rig, 4096);
    rig_close(rig);
    rig->options.index_bits = 4;
    rig->options.index_load_percent = load_percent;
    rig_open(rig);
}

static const char *key_of(unsigned number) {
    static char key[16];
    snprintf(key, sizeof key, "key%u", number);
    return key;
}

static void put(struct rig *rig, struct faster_txn *txn, unsigned first, unsigned count,
                size_t bytes) {
    (void)rig;
    for (unsigned i = first; i < first + count; i++) {
        ASSERT_OK(rig_put(txn, key_of(i), i + 1, bytes));
    }
}

static void commit_keys(struct rig *rig, unsigned first, unsigned count, size_t bytes) {
    struct faster_txn *txn = rig_begin(rig);
    put(rig, txn, first, count, bytes);
    rig_commit(rig, txn);
}

static void expect_keys(struct rig *rig, unsigned count) {
    struct faster_snapshot snapshot;
    ASSERT_OK(ledger_meet(&rig->ledger, rig->session));
    ASSERT_OK(faster_snapshot_open(rig->session, ledger_newest(&rig->ledger), &snapshot));
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(rig_read(rig, &snapshot, key_of(i)), i + 1, "key %u", i);
    }
    cr_assert_eq(rig_read(rig, &snapshot, "no such key"), 0);
    faster_snapshot_close(&snapshot);
}

/* How often the index could double. */
static unsigned grow_all(struct rig *rig) {
    unsigned count = 0;
    enum faster_status status;
    while ((status = faster_session_grow(rig->session)) == FASTER_OK) {
        count++;
    }
    ASSERT_STATUS(status, FASTER_FULL);
    cr_assert_not_null(strstr(faster_session_message(rig->session), "memory"));
    return count;
}

Test(index_growth, in_memory_keeps_every_key) {
    struct rig rig;
    start(&rig, FASTER_INDEX_LOAD_NEVER);
    commit_keys(&rig, 0, 300, 10);
    cr_assert_eq(rig_stat(&rig, "index_buckets"), 16);
    ASSERT_OK(faster_session_grow(rig.session));
    cr_assert_eq(rig_stat(&rig, "index_buckets"), 32);
    cr_assert_eq(rig_stat(&rig, "index_growths"), 1);
    cr_assert_eq(rig_stat(&rig, "index_phase"), 0);
    expect_keys(&rig, 300);
    cr_assert_gt(grow_all(&rig), 1);
    expect_keys(&rig, 300);
    cr_assert_eq(rig_stat(&rig, "disk_reads"), 0);
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(index_growth, keys_on_disk_are_found_after_growth_and_reopen) {
    struct rig rig;
    start(&rig, FASTER_INDEX_LOAD_NEVER);
    commit_keys(&rig, 0, KEYS, VALUE_BYTES);
    cr_assert_gt(rig_stat(&rig, "log_head"), 100 * VALUE_BYTES, "nothing was evicted");
    cr_assert_eq(rig_stat(&rig, "index_buckets"), 16);
    for (unsigned i = 0; i < 3; i++) {
        ASSERT_OK(faster_session_grow(rig.session));
        expect_keys(&rig, KEYS);
    }
    commit_keys(&rig, KEYS, 50, 10);
    rig_commit_put(&rig, key_of(3), 4, 10);
    (void)grow_all(&rig);
    expect_keys(&rig, KEYS + 50);
    rig_commit_delete(&rig, key_of(7));
    cr_assert_eq(rig_get(&rig, key_of(7)), 0);
    rig_commit_put(&rig, key_of(7), 8, 10);
    rig_reopen(&rig);
    expect_keys(&rig, KEYS + 50);
    cr_assert_eq(rig_count(&rig), KEYS + 50);
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(index_growth, load_makes_it_grow_before_pages_are_evicted) {
    struct rig rig;
    start(&rig, 0);
    commit_keys(&rig, 0, KEYS, VALUE_BYTES);
    cr_assert_eq(rig_stat(&rig, "index_phase"), 0);
    ASSERT_STATUS(faster_session_grow(rig.session), FASTER_FULL);
    expect_keys(&rig, KEYS);
    rig_finish(&rig);
}

Test(index_growth, within_a_transaction_then_a_crash_recovers_all) {
    struct rig rig;
    start(&rig, FASTER_INDEX_LOAD_NEVER);
    rig_commit_put(&rig, key_of(0), 1, 10);
    struct faster_txn *txn = rig_begin(&rig);
    put(&rig, txn, 0, 40, 10);
    ASSERT_OK(faster_session_grow(rig.session));
    put(&rig, txn, 20, 40, 10);
    ASSERT_OK(faster_session_grow(rig.session));
    put(&rig, txn, 50, 100, 10);
    rig_commit(&rig, txn);
    ASSERT_OK(faster_session_grow(rig.session)); /* after the control record */
    rig_commit_put(&rig, key_of(150), 151, 10);
    expect_keys(&rig, 151);
    rig_crash(&rig);
    rig_open(&rig);
    expect_keys(&rig, 151);
    cr_assert_eq(rig_count(&rig), 151);
    rig_finish(&rig);
}

/* All commits are in rows, the files are empty: the index must have room before the first row
 * says how much is needed. */
Test(index_growth, commits_in_rows_only_are_linked_with_enough_bits) {
    struct rig rig;
    start(&rig, FASTER_INDEX_LOAD_NEVER);
    for (unsigned i = 0; i < 100; i++) {
        rig_commit_put(&rig, key_of(i), i + 1, 10);
        if (i % 30 == 29) {
            ASSERT_OK(faster_session_grow(rig.session));
        }
    }
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_eq(rig_stat(&rig, "index_buckets"), 16);
    ASSERT_OK(faster_session_grow(rig.session)); /* even then */
    expect_keys(&rig, 100);
    ASSERT_STATUS(faster_session_grow(rig.session), FASTER_FULL);
    rig_commit_put(&rig, key_of(100), 101, 10);
    expect_keys(&rig, 101);
    rig_finish(&rig);
}

Test(index_growth, rolled_back_writes_of_a_larger_index_stay_hidden) {
    struct rig rig;
    start(&rig, FASTER_INDEX_LOAD_NEVER);
    commit_keys(&rig, 0, 60, 10);
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(faster_session_grow(rig.session));
    for (unsigned i = 0; i < 60; i++) {
        ASSERT_OK(rig_put(txn, key_of(i), 9999, 10));
    }
    faster_txn_rollback(txn);
    ASSERT_OK(faster_session_grow(rig.session));
    expect_keys(&rig, 60);
    rig_crash(&rig);
    rig_open(&rig);
    expect_keys(&rig, 60);
    rig_finish(&rig);
}

Test(index_growth, options_out_of_range_are_invalid) {
    struct rig rig;
    rig_start(&rig, 4096);
    rig_close(&rig);
    rig.options.index_bits = 3;
    ASSERT_STATUS(rig_try_open(&rig), FASTER_INVALID);
    rig.options.index_bits = 37;
    ASSERT_STATUS(rig_try_open(&rig), FASTER_INVALID);
    rig.options.index_bits = 0;
    rig_open(&rig);
    rig_finish(&rig);
}
