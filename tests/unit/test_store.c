/* test_store.c - operations, snapshots, scans and the life of a store (P2, P4, P6, P7, P8). */
#include "store_rig.h"

#include "store/operations.h"

/* Rows on disk only: the log has gone on by more than its memory. */
static void push_out(struct rig *rig) {
    struct faster_txn *txn = rig_begin(rig);
    for (unsigned i = 0; i < 200; i++) {
        char key[16];
        snprintf(key, sizeof key, "out%u", i);
        ASSERT_OK(rig_put(txn, key, i, 8000));
    }
    rig_commit(rig, txn);
}

static enum faster_status settle(struct rig *rig, struct faster_op *op, enum faster_status status) {
    if (status == FASTER_PENDING) {
        faster_session_complete_pending(rig->session, true);
    }
    return op->status;
}

/* ---- operations on keys that are on disk ---- */

static enum faster_status append_x(void *context, const struct faster_bytes *old,
                                   struct faster_buffer *new_value) {
    (void)context;
    unsigned number = 0;
    if (old != NULL) {
        memcpy(&number, old->data, sizeof number);
    }
    number++;
    return faster_buffer_assign(new_value, &number, sizeof number);
}

static enum faster_status remove_it(void *context, const struct faster_bytes *old,
                                    struct faster_buffer *new_value) {
    (void)context;
    (void)old;
    (void)new_value;
    return FASTER_REMOVE;
}

Test(store, merge_function_removes_the_key_until_it_is_rolled_back) {
    struct rig rig;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 7, 0);
    struct faster_txn *txn = rig_begin(&rig);
    struct faster_op op = {.key = {"a", 1}, .merge = remove_it};
    ASSERT_OK(faster_txn_savepoint(txn, 0));
    ASSERT_OK(settle(&rig, &op, faster_txn_rmw(txn, &op)));
    ASSERT_STATUS(settle(&rig, &op, faster_txn_rmw(txn, &op)), FASTER_NOT_FOUND);
    ASSERT_OK(faster_txn_rollback_to(txn, 0));
    ASSERT_OK(rig_put(txn, "b", 8, 0));
    rig_commit(&rig, txn);
    cr_assert_eq(rig_get(&rig, "a"), 7);
    txn = rig_begin(&rig);
    ASSERT_OK(settle(&rig, &op, faster_txn_rmw(txn, &op)));
    rig_commit(&rig, txn);
    cr_assert_eq(rig_get(&rig, "a"), 0);
    rig_finish(&rig);
}

Test(store, operations_on_keys_on_disk_see_them) {
    struct rig rig;
    rig_start(&rig, 4096);
    for (unsigned i = 0; i < 5; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        rig_commit_put(&rig, key, 7, 0);
    }
    rig_commit_delete(&rig, "k4");
    push_out(&rig);
    unsigned seven = 7, nine = 9;
    struct faster_txn *txn = rig_begin(&rig);
    struct faster_op op = {.key = {"k0", 2}, .merge = append_x};
    ASSERT_OK(settle(&rig, &op, faster_txn_rmw(txn, &op)));
    op = (struct faster_op){.key = {"k1", 2}, .value = {&nine, sizeof nine}};
    ASSERT_STATUS(settle(&rig, &op, faster_txn_insert(txn, &op)), FASTER_EXISTS);
    op = (struct faster_op){
        .key = {"k2", 2}, .value = {&nine, sizeof nine}, .expected = {&seven, sizeof seven}};
    ASSERT_OK(settle(&rig, &op, faster_txn_compare_and_set(txn, &op)));
    op = (struct faster_op){.key = {"k3", 2}};
    ASSERT_OK(settle(&rig, &op, faster_txn_delete(txn, &op)));
    op = (struct faster_op){.key = {"k4", 2}, .value = {&nine, sizeof nine}};
    ASSERT_OK(settle(&rig, &op, faster_txn_insert(txn, &op)));
    rig_commit(&rig, txn);
    for (int i = 0; i < 2; i++) {
        static const unsigned EXPECTED[] = {8, 7, 9, 0, 9};
        for (unsigned k = 0; k < 5; k++) {
            char key[16];
            snprintf(key, sizeof key, "k%u", k);
            cr_assert_eq(rig_get(&rig, key), EXPECTED[k], "%s", key);
        }
        rig_crash(&rig);
        rig_open(&rig);
    }
    rig_finish(&rig);
}

/* An I/O error is no answer, and is not remembered as one. */
Test(store, failed_read_is_an_error_and_can_be_repeated) {
    struct rig rig;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 5, 0);
    push_out(&rig);
    struct faster_snapshot snapshot;
    struct faster_op op = {.key = {"a", 1}};
    ASSERT_OK(faster_snapshot_open(rig.session, ledger_newest(&rig.ledger), &snapshot));
    fst_test_env_fail(rig.test, FST_TEST_FILE_READ, 1, 1, FASTER_IO);
    ASSERT_STATUS(settle(&rig, &op, faster_snapshot_read(&snapshot, &op)), FASTER_IO);
    ASSERT_OK(settle(&rig, &op, faster_snapshot_read(&snapshot, &op)));
    cr_assert_eq(rig_read(&rig, &snapshot, "a"), 5);
    faster_snapshot_close(&snapshot);
    rig_finish(&rig);
}

/* A record fills a page at most; a size that is refused leaves nothing half written, and the store
 * usable. What is refused is not looked at. */
Test(store, largest_sizes_fit_and_one_byte_more_is_refused) {
    static char key[RIG_PAGE_BYTES];
    struct rig rig;
    rig_start(&rig, 4096);
    const size_t longest = RIG_PAGE_BYTES - 24;
    cr_assert_eq(faster_value_bytes_max(rig.store, 1), FASTER_VALUE_BYTES_MAX);
    cr_assert_eq(faster_value_bytes_max(rig.store, longest - 32), FASTER_VALUE_BYTES_MAX);
    cr_assert_eq(faster_value_bytes_max(rig.store, longest - 31), 31);
    cr_assert_eq(faster_value_bytes_max(rig.store, longest + 1), 0);
    struct faster_txn *txn = rig_begin(&rig);
    for (unsigned i = 0; i < 80; i++) {
        struct faster_op big = {.key = {"a", 1}, .value = {key, FASTER_VALUE_BYTES_MAX + 1}};
        ASSERT_OK(rig_put(txn, "a", i, RIG_PAGE_BYTES - 24 - 1 - sizeof i));
        ASSERT_STATUS(faster_txn_upsert(txn, &big), FASTER_TOO_BIG);
        big = (struct faster_op){.key = {key, longest - 31}, .value = {key, 32}};
        ASSERT_STATUS(faster_txn_upsert(txn, &big), FASTER_TOO_BIG);
        big = (struct faster_op){.key = {key, longest + 1}};
        ASSERT_STATUS(faster_txn_upsert(txn, &big), FASTER_TOO_BIG);
        ASSERT_STATUS(faster_txn_delete(txn, &big), FASTER_TOO_BIG);
        ASSERT_OK(faster_txn_savepoint(txn, 0));
    }
    struct faster_op op = {.key = {"", 0}, .value = {"", 0}};
    ASSERT_OK(faster_txn_upsert(txn, &op));
    rig_commit(&rig, txn);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(rig_get(&rig, "a"), 79);
        cr_assert_eq(rig_count(&rig), 2);
        rig_crash(&rig);
        rig_open(&rig);
    }
    rig_verify(&rig);
    rig_finish(&rig);
}

/* ---- snapshots, scans, truncation ---- */

static void write_rows(struct rig *rig, unsigned count, unsigned base) {
    for (unsigned i = 0; i < count; i += 20) {
        struct faster_txn *txn = rig_begin(rig);
        for (unsigned k = i; k < i + 20; k++) {
            char key[16];
            snprintf(key, sizeof key, "k%u", k);
            ASSERT_OK(rig_put(txn, key, base + k, 2000));
        }
        rig_commit(rig, txn);
    }
}

/* Dead rows that a scan has read, or is about to read, go to the truncation meanwhile; also
 * such whose key has nothing left at all. */
Test(store, scan_beside_a_truncation_ends_with_all_rows) {
    for (unsigned steps = 0; steps < 40; steps += 3) {
        struct rig rig;
        struct faster_session *reader;
        struct faster_snapshot snapshot;
        struct faster_scan *scan;
        struct faster_bytes key, value;
        uint64_t obsolete;
        rig_start(&rig, RIG_NEVER_INLINE);
        write_rows(&rig, 200, 1);
        struct faster_txn *txn = rig_begin(&rig);
        for (unsigned i = 0; i < 190; i++) {
            char text[16];
            snprintf(text, sizeof text, "k%u", i);
            if (i % 10 != 9) {
                ASSERT_OK(rig_delete(txn, text));
            }
        }
        rig_commit(&rig, txn);
        write_rows(&rig, 40, 1000);
        ASSERT_OK(faster_session_open(rig.store, &reader));
        ASSERT_OK(ledger_meet(&rig.ledger, reader));
        ASSERT_OK(faster_snapshot_open(reader, ledger_newest(&rig.ledger), &snapshot));
        ASSERT_OK(faster_scan_open(&snapshot, &scan));
        unsigned count = 0;
        enum faster_status status = FASTER_OK;
        for (; count < steps && status == FASTER_OK; count += status == FASTER_OK) {
            status = faster_scan_next(scan, &key, &value);
        }
        uint64_t before = rig_stat(&rig, "log_begin");
        txn = rig_begin(&rig);
        ASSERT_OK(rig_checkpoint(&rig, &obsolete));
        rig_commit(&rig, txn);
        cr_assert_geq(rig_stat(&rig, "log_begin"), before);
        while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
            count++;
        }
        ASSERT_STATUS(status, FASTER_END);
        cr_assert_eq(count, 40 + (190 - 40) / 10 + 10);
        faster_scan_close(scan);
        faster_snapshot_close(&snapshot);
        faster_session_close(reader);
        rig_finish(&rig);
    }
}

Test(store, open_snapshot_holds_the_truncation_back) {
    struct rig rig;
    struct faster_snapshot snapshot;
    uint64_t obsolete;
    rig_start(&rig, RIG_NEVER_INLINE);
    write_rows(&rig, 100, 1);
    ASSERT_OK(faster_snapshot_open(rig.session, ledger_newest(&rig.ledger), &snapshot));
    write_rows(&rig, 100, 1000);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete));
    cr_assert_eq(rig_read(&rig, &snapshot, "k0"), 1);
    cr_assert_eq(rig_read(&rig, &snapshot, "k99"), 100);
    faster_snapshot_close(&snapshot);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete));
    cr_assert_gt(rig_stat(&rig, "log_begin"), UINT64_C(200000));
    cr_assert_eq(rig_get(&rig, "k0"), 1000);
    rig_reopen(&rig);
    cr_assert_eq(rig_count(&rig), 100);
    rig_verify(&rig);
    rig_finish(&rig);
}

/* What is dead leaves the disk: however often all is overwritten, files do not grow. */
Test(store, truncation_gives_back_dead_segments) {
    struct rig rig;
    uint64_t obsolete;
    uint64_t most = 0;
    rig_start(&rig, 4096);
    for (unsigned round = 0; round < 10; round++) {
        write_rows(&rig, 100, round * 1000);
        ASSERT_OK(rig_checkpoint(&rig, &obsolete));
        ledger_delete_below(&rig.ledger, obsolete);
        uint64_t stored = rig_stat(&rig, "stored_bytes");
        most = stored > most ? stored : most;
    }
    cr_assert_lt(most, UINT64_C(600000));
    cr_assert_gt(rig_stat(&rig, "log_tail"), UINT64_C(2000000));
    rig_verify(&rig);
    rig_finish(&rig);
}

/* ---- limits of memory ---- */

Test(store, index_that_is_full_fails_the_write_and_the_rest_goes_on) {
    struct rig rig;
    rig_start(&rig, 4096);
    struct faster_txn *txn = rig_begin(&rig);
    enum faster_status status = FASTER_OK;
    unsigned count = 0;
    while (status == FASTER_OK && count < 400000) {
        char key[16];
        snprintf(key, sizeof key, "k%u", count);
        status = rig_put(txn, key, count + 1, 0);
        count += status == FASTER_OK;
    }
    ASSERT_STATUS(status, FASTER_FULL);
    cr_assert(strstr(faster_session_message(rig.session), "index") != NULL);
    ASSERT_OK(rig_put(txn, "k0", 77, 0));
    rig_commit(&rig, txn);
    cr_assert_eq(rig_get(&rig, "k0"), 77);
    rig_crash(&rig);
    rig_open(&rig); /* what was written with this memory is read with it */
    cr_assert_eq(rig_get(&rig, "k0"), 77);
    cr_assert_eq(rig_count(&rig), count);
    rig_finish(&rig);
}

Test(store, index_larger_than_memory_is_refused_by_name) {
    struct rig rig;
    rig_start(&rig, 4096);
    rig_close(&rig);
    rig.options.memory_bytes = 4 * FASTER_MEMORY_BYTES_MIN;
    rig.options.index_bits = 36; /* as many as that allows */
    rig_open(&rig);
    rig_commit_put(&rig, "a", 1, 10);
    rig_crash(&rig);
    rig.options.memory_bytes = FASTER_MEMORY_BYTES_MIN;
    rig_open(&rig);
    ASSERT_STATUS(ledger_meet(&rig.ledger, rig.session), FASTER_FULL);
    cr_assert(strstr(faster_session_message(rig.session), "memory") != NULL);
    rig_close(&rig);
    rig.options.memory_bytes = 4 * FASTER_MEMORY_BYTES_MIN;
    rig_open(&rig);
    cr_assert_eq(rig_get(&rig, "a"), 1);
    rig_finish(&rig);
}

Test(store, redo_larger_than_memory_is_refused_by_name) {
    struct rig rig;
    rig_start(&rig, 60000);
    rig_close(&rig);
    rig.options.memory_bytes = 8 * FASTER_MEMORY_BYTES_MIN;
    rig_open(&rig);
    rig.options.inline_commit_bytes = 60000;
    for (unsigned i = 0; i < 60; i++) {
        rig_commit_put(&rig, "a", i + 1, 15000);
    }
    rig_crash(&rig);
    rig.options.memory_bytes = FASTER_MEMORY_BYTES_MIN;
    enum faster_status status = rig_try_open(&rig);
    if (status == FASTER_OK) {
        ASSERT_OK(faster_session_open(rig.store, &rig.session));
        status = ledger_meet(&rig.ledger, rig.session);
        ASSERT_STATUS(status, FASTER_FULL);
        ASSERT_STATUS(ledger_meet(&rig.ledger, rig.session), FASTER_FULL);
        rig_close(&rig);
    }
    rig.options.memory_bytes = 8 * FASTER_MEMORY_BYTES_MIN;
    rig_open(&rig);
    cr_assert_eq(rig_get(&rig, "a"), 60);
    rig_commit_put(&rig, "a", 61, 10);
    rig_verify(&rig);
    rig_finish(&rig);
}

/* With the least memory of all, the 64 reads that one scan keeps in flight take more than
 * their share. */
Test(store, memory_stays_within_the_budget) {
    const uint64_t budget = 4 * FASTER_MEMORY_BYTES_MIN;
    struct rig rig;
    uint64_t obsolete;
    rig_start(&rig, 4096);
    rig.options.memory_bytes = budget;
    rig_reopen(&rig);
    write_rows(&rig, 3000, 1);
    cr_assert_eq(rig_count(&rig), 3000);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete));
    rig_crash(&rig);
    rig_open(&rig);
    rig_verify(&rig);
    uint64_t peak = fst_test_env_peak_bytes(rig.test);
    cr_assert(peak > budget / 2 && peak <= budget, "%llu bytes", (unsigned long long)peak);
    rig_finish(&rig);
}

/* ---- out of memory, anywhere (P7) ---- */

/* One life: everything in it may be refused for want of memory, nothing may be wrong. */
static void life_without_memory(struct rig *rig, unsigned *committed, unsigned attempt) {
    if (rig_try_open(rig) != FASTER_OK) {
        return;
    }
    enum faster_status status = faster_session_open(rig->store, &rig->session);
    struct faster_txn *txn = NULL;
    if (status == FASTER_OK) {
        status = ledger_begin(&rig->ledger, rig->session, &txn);
    }
    if (status == FASTER_OK) {
        bool undone = faster_txn_savepoint(txn, 0) == FASTER_OK &&
                      rig_put(txn, "b", 1, 100) == FASTER_OK &&
                      faster_txn_rollback_to(txn, 0) == FASTER_OK;
        status = undone ? rig_put(txn, "a", attempt, 3000) : FASTER_NOMEM;
        if (status == FASTER_OK) {
            status = ledger_commit(&rig->ledger, txn);
            *committed = status == FASTER_OK ? attempt : *committed;
        } else {
            faster_txn_rollback(txn);
        }
    }
    uint64_t obsolete;
    if (status == FASTER_OK) {
        (void)!rig_checkpoint(rig, &obsolete);
    }
    faster_session_close(rig->session);
    faster_store_close(rig->store);
    rig->session = NULL;
    rig->store = NULL;
}

static void check_without_memory(enum fst_test_operation operation, uint64_t times) {
    struct rig rig;
    unsigned committed = 1;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 1, 10);
    rig_close(&rig);
    uint64_t idle = fst_test_env_live_allocations(rig.test);
    for (unsigned nth = 1; nth < 2000; nth++) {
        fst_test_env_fail(rig.test, operation, nth, times, FASTER_NOMEM);
        life_without_memory(&rig, &committed, nth + 1);
        bool failed = fst_test_env_failed(rig.test, operation) > 0;
        fst_test_env_heal_all(rig.test);
        cr_assert_eq(fst_test_env_live_allocations(rig.test), idle, "leak at call %u", nth);
        rig_open(&rig);
        cr_assert_eq(rig_get(&rig, "a"), committed, "call %u", nth);
        cr_assert_eq(rig_get(&rig, "b"), 0);
        rig_close(&rig);
        if (!failed) {
            rig_finish(&rig);
            return;
        }
    }
    cr_assert(false, "it never ends");
}

Test(store, without_memory_once_nothing_leaks_and_nothing_is_wrong, .timeout = 100) {
    check_without_memory(FST_TEST_ALLOCATE, 1);
    check_without_memory(FST_TEST_MAP, 1);
}

Test(store, without_memory_for_good_nothing_leaks_and_nothing_is_wrong, .timeout = 100) {
    check_without_memory(FST_TEST_ALLOCATE, FST_TEST_FOR_EVER);
    check_without_memory(FST_TEST_MAP, FST_TEST_FOR_EVER);
}

/* ---- a lost race ---- */

struct race {
    struct faster_session *session;
    unsigned calls;
};

/* While the first merge runs, another write of the same key gets to the chain's head. With the
 * writer lock nobody can; so this goes below it. */
static enum faster_status add_one_late(void *context, const struct faster_bytes *old,
                                       struct faster_buffer *new_value) {
    struct race *race = context;
    unsigned number;
    cr_assert_eq(old->size_bytes, sizeof number);
    memcpy(&number, old->data, sizeof number);
    if (race->calls++ == 0) {
        unsigned other = 50;
        struct faster_op op = {
            .key = {"a", 1}, .value = {&other, sizeof other}, .kind = FASTER_OP_UPSERT};
        fst_op_prepare(race->session, &op);
        cr_assert_eq(fst_op_attempt(race->session, &op, NULL), FST_ATTEMPT_DONE);
        ASSERT_OK(op.status);
    }
    number++;
    return faster_buffer_assign(new_value, &number, sizeof number);
}

Test(store, record_that_lost_its_race_counts_for_nothing) {
    struct rig rig;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 1, 0);
    rig_commit_put(&rig, "b", 2, 0);
    struct race race = {.session = rig.session};
    struct faster_op op = {.key = {"a", 1}, .merge = add_one_late, .context = &race};
    struct faster_txn *txn = rig_begin(&rig);
    uint64_t appended = rig_stat(&rig, "appended_records");
    ASSERT_OK(settle(&rig, &op, faster_txn_rmw(txn, &op)));
    cr_assert_eq(race.calls, 2);
    cr_assert_leq(rig_stat(&rig, "appended_records"), appended + 2);
    rig_commit(&rig, txn);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(rig_get(&rig, "a"), 51);
        cr_assert_eq(rig_get(&rig, "b"), 2);
        cr_assert_eq(rig_count(&rig), 2);
        rig_verify(&rig);
        if (i == 0) {
            rig_crash(&rig); /* the record comes back from the row's redo */
            rig_open(&rig);
        } else {
            rig_reopen(&rig); /* ... and from the log */
        }
    }
    rig_finish(&rig);
}

/* ---- sessions and figures ---- */

Test(store, serves_512_sessions_at_once) {
    enum { COUNT = 512 };
    static struct faster_session *sessions[COUNT];
    static struct faster_snapshot snapshots[COUNT];
    struct rig rig;
    rig_start(&rig, 4096);
    write_rows(&rig, 520, 1); /* in commits of 20 */
    for (unsigned i = 0; i < COUNT; i++) {
        ASSERT_OK(faster_session_open(rig.store, &sessions[i]));
        ASSERT_OK(faster_snapshot_open_newest(sessions[i], &snapshots[i]));
    }
    for (unsigned i = 0; i < COUNT; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        cr_assert_eq(rig_read(&rig, &snapshots[i], key), 1 + i);
    }
    cr_assert_eq(rig_count(&rig), 520); /* a scan beside them */
    for (unsigned i = 0; i < COUNT; i++) {
        faster_snapshot_close(&snapshots[i]);
        faster_session_close(sessions[i]);
    }
    rig_finish(&rig);
}

/* Opens as many sessions as there can be and returns how many. */
static unsigned open_all_sessions(struct faster_store *store, struct faster_session **sessions,
                                  unsigned count_max) {
    unsigned count = 0;
    while (count < count_max && faster_session_open(store, &sessions[count]) == FASTER_OK) {
        count++;
    }
    cr_assert_lt(count, count_max);
    return count;
}

static void close_all_sessions(struct faster_session **sessions, unsigned count) {
    while (count > 0) {
        faster_session_close(sessions[--count]);
    }
}

Test(store, figures_need_no_session) {
    static struct faster_session *sessions[2048];
    struct rig rig;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 1, 10);
    const unsigned before = open_all_sessions(rig.store, sessions, 2048);
    cr_assert_gt(before, 0);
    cr_assert_eq(rig_stat(&rig, "index_entries"), 1);
    close_all_sessions(sessions, before);
    for (int i = 0; i < 3000; i++) {
        cr_assert_eq(rig_stat(&rig, "index_entries"), 1);
    }
    const unsigned after = open_all_sessions(rig.store, sessions, 2048);
    cr_assert_eq(after, before, "figures keep sessions");
    close_all_sessions(sessions, after);
    rig_finish(&rig);
}

/* ---- in memory only ---- */

Test(store, in_memory_answers_as_on_files) {
    struct rig rig;
    uint64_t obsolete;
    rig_start(&rig, 4096);
    rig_close(&rig);
    rig.options.directory = NULL;
    ASSERT_OK(faster_store_open(&rig.options, &rig.store, NULL));
    ASSERT_OK(faster_session_open(rig.store, &rig.session));
    for (unsigned round = 0; round < 4; round++) {
        write_rows(&rig, 200, 1 + round * 1000);
        struct faster_txn *txn = rig_begin(&rig);
        ASSERT_OK(rig_put(txn, "k0", 99, 10));
        faster_txn_rollback(txn);
        cr_assert_eq(rig_count(&rig), 200);
        cr_assert_eq(rig_get(&rig, "k0"), 1 + round * 1000);
        ASSERT_OK(rig_checkpoint(&rig, &obsolete));
        ledger_delete_below(&rig.ledger, obsolete);
    }
    cr_assert_gt(rig_stat(&rig, "log_begin"), UINT64_C(500000));
    rig_verify(&rig);
    rig_finish(&rig);
}
