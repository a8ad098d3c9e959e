/* test_records.c - the raw log, record by record (layer 7; P2, P4). */
#include "store_rig.h"

static struct rig rig;

static void start(void) {
    rig_start(&rig, RIG_NEVER_INLINE);
}

static void stop(void) {
    rig_finish(&rig);
}

TestSuite(records, .init = start, .fini = stop, .timeout = 60);

static struct faster_records *open_range(struct faster_snapshot *snapshot, uint64_t from,
                                         uint64_t until) {
    struct faster_records *records = NULL;
    ASSERT_OK(ledger_meet(&rig.ledger, rig.session));
    ASSERT_OK(faster_snapshot_open(rig.session, ledger_newest(&rig.ledger), snapshot));
    ASSERT_OK(faster_records_open(snapshot, from, until, &records));
    return records;
}

static void expect(struct faster_records *records, enum faster_record_kind kind, const char *key,
                   bool counts) {
    struct faster_record record;
    ASSERT_OK(faster_records_next(records, &record));
    cr_assert(record.kind == kind, "kind %d instead of %d", (int)record.kind, (int)kind);
    cr_assert(record.counts == counts);
    cr_assert(record.address % 8 == 0 && record.whole_bytes % 8 == 0);
    if (key != NULL) {
        cr_assert(record.key.size_bytes == strlen(key) &&
                  memcmp(record.key.data, key, strlen(key)) == 0);
    }
}

static void expect_end(struct faster_records *records) {
    struct faster_record record;
    ASSERT_STATUS(faster_records_next(records, &record), FASTER_END);
}

/* A savepoint that was undone leaves its record in the log; it does not count. */
static void write_history(void) {
    rig_commit_put(&rig, "old", 1, 8);
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(rig_put(txn, "kept", 2, 8));
    ASSERT_OK(faster_txn_savepoint(txn, 0));
    ASSERT_OK(rig_put(txn, "undone", 3, 8));
    ASSERT_OK(faster_txn_rollback_to(txn, 0));
    ASSERT_OK(rig_delete(txn, "old"));
    rig_commit(&rig, txn);
}

static void expect_history(struct faster_records *records) {
    expect(records, FASTER_RECORD_VALUE, "old", true);
    expect(records, FASTER_RECORD_COMMIT, NULL, true);
    expect(records, FASTER_RECORD_VALUE, "kept", true);
    expect(records, FASTER_RECORD_VALUE, "undone", false);
    expect(records, FASTER_RECORD_DELETE, "old", true);
    expect(records, FASTER_RECORD_COMMIT, NULL, true);
    expect_end(records);
}

Test(records, show_old_versions_deletions_and_what_was_undone) {
    struct faster_snapshot snapshot;
    write_history();
    struct faster_records *records = open_range(&snapshot, 0, UINT64_MAX);
    expect_history(records);
    faster_records_close(records);
    faster_snapshot_close(&snapshot);
}

Test(records, are_the_same_when_they_come_from_disk) {
    struct faster_snapshot snapshot;
    write_history();
    rig_reopen(&rig);
    struct faster_records *records = open_range(&snapshot, 0, UINT64_MAX);
    expect_history(records);
    faster_records_close(records);
    faster_snapshot_close(&snapshot);
}

Test(records, of_an_open_transaction_are_not_shown) {
    struct faster_snapshot snapshot;
    write_history();
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(rig_put(txn, "open", 4, 8));
    struct faster_records *records = open_range(&snapshot, 0, UINT64_MAX);
    expect_history(records);
    faster_records_close(records);
    faster_snapshot_close(&snapshot);
    faster_txn_rollback(txn);
}

/* `from` may lie anywhere: the first record at or behind it comes first. */
Test(records, of_a_range_begin_and_end_at_its_addresses) {
    struct faster_snapshot snapshot;
    struct faster_record all[6];
    write_history();
    struct faster_records *records = open_range(&snapshot, 0, UINT64_MAX);
    for (int i = 0; i < 6; i++) {
        ASSERT_OK(faster_records_next(records, &all[i]));
    }
    faster_records_close(records);
    faster_snapshot_close(&snapshot);

    records = open_range(&snapshot, all[1].address + 1, all[4].address);
    expect(records, FASTER_RECORD_VALUE, "kept", true);
    expect(records, FASTER_RECORD_VALUE, "undone", false);
    expect_end(records);
    faster_records_close(records);
    faster_snapshot_close(&snapshot);

    records = open_range(&snapshot, UINT64_MAX, UINT64_MAX);
    expect_end(records);
    faster_records_close(records);
    faster_snapshot_close(&snapshot);
}

/* More than the log has room for in memory. */
static void crash_with_lost_records_on_disk(void) {
    char key[16];
    struct faster_txn *txn = rig_begin(&rig);
    for (int i = 0; i < 120; i++) {
        snprintf(key, sizeof key, "lost%d", i);
        ASSERT_OK(rig_put(txn, key, 1, 9000));
    }
    faster_txn_rollback(txn);
    rig_crash(&rig);
    rig_open(&rig);
}

/* Each version of each key, once, in the order of writing, over many pages of a log whose
 * beginning is only on disk; behind a crash, over the jump. */
Test(records, follow_the_log_over_pages_and_jumps) {
    char key[16];
    struct faster_snapshot snapshot;
    for (unsigned i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "k%u", i);
        rig_commit_put(&rig, key, i + 1, 900);
        if (i == 150) {
            crash_with_lost_records_on_disk();
        }
    }
    struct faster_records *records = open_range(&snapshot, 0, UINT64_MAX);
    struct faster_record record;
    enum faster_status status;
    unsigned values = 0;
    unsigned commits = 0;
    unsigned jumps = 0;
    uint64_t last = 0;
    while ((status = faster_records_next(records, &record)) == FASTER_OK) {
        cr_assert(record.address > last);
        last = record.address;
        jumps += record.kind == FASTER_RECORD_JUMP;
        commits += record.kind == FASTER_RECORD_COMMIT;
        if (record.kind == FASTER_RECORD_VALUE && record.counts) {
            unsigned number;
            memcpy(&number, record.value.data, sizeof number);
            cr_assert(number == ++values);
        }
    }
    ASSERT_STATUS(status, FASTER_END);
    cr_assert(values == 300, "%u values", values);
    cr_assert(commits == 300, "%u commits", commits);
    cr_assert(jumps == 1, "%u jumps", jumps);
    faster_records_close(records);
    faster_snapshot_close(&snapshot);
}

/* A value larger than a page is there in pieces, behind each other, before the key that has it. */
Test(records, show_chunks_and_the_key_behind_them) {
    struct faster_snapshot snapshot;
    struct faster_record record;
    uint64_t previous = 0;
    uint64_t chunk_bytes = 0;
    rig_commit_put(&rig, "large", 1, 3 * RIG_PAGE_BYTES);
    struct faster_records *records = open_range(&snapshot, 0, UINT64_MAX);
    ASSERT_OK(faster_records_next(records, &record));
    while (record.kind == FASTER_RECORD_CHUNK) {
        cr_assert(record.counts && record.key.size_bytes == 0 && record.previous == previous);
        previous = record.address;
        chunk_bytes += record.value.size_bytes - 24;
        ASSERT_OK(faster_records_next(records, &record));
    }
    cr_assert(chunk_bytes == 3 * RIG_PAGE_BYTES + sizeof(unsigned));
    cr_assert(record.kind == FASTER_RECORD_CHUNKED && record.counts);
    cr_assert(record.key.size_bytes == 5 && record.value.size_bytes == 32);
    expect(records, FASTER_RECORD_COMMIT, NULL, true);
    expect_end(records);
    faster_records_close(records);
    faster_snapshot_close(&snapshot);
}

/* Whichever allocation fails: the call says so, and keeps nothing. */
Test(records, without_memory_are_not_opened) {
    struct faster_snapshot snapshot;
    struct faster_records *records;
    enum faster_status status = FASTER_NOMEM;
    unsigned failures = 0;
    write_history();
    ASSERT_OK(ledger_meet(&rig.ledger, rig.session));
    ASSERT_OK(faster_snapshot_open(rig.session, ledger_newest(&rig.ledger), &snapshot));
    for (uint64_t nth = 1; status != FASTER_OK; nth++) {
        fst_test_env_fail(rig.test, FST_TEST_ALLOCATE, nth, 1, FASTER_NOMEM);
        status = faster_records_open(&snapshot, 0, UINT64_MAX, &records);
        cr_assert(status == FASTER_OK || status == FASTER_NOMEM);
        failures += status == FASTER_NOMEM;
    }
    cr_assert_geq(failures, 2);
    fst_test_env_heal_all(rig.test);
    expect_history(records);
    faster_records_close(records);
    faster_snapshot_close(&snapshot);
}
