/* test_recovery.c - opening a store with the rows that are there (P1, P2, P3, P4).
 *
 * Each test brings log and rows into a state that a crash, a truncation, or an old snapshot
 * of the decider can leave behind, and opens that. */
#include "store_rig.h"

/* Rows of 2 KiB, so that every eighth begins a page. */
static void fill(struct rig *rig, unsigned from, unsigned to) {
    for (unsigned i = from; i < to; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        rig_commit_put(rig, key, i + 1, 2000);
    }
}

static void empty(struct rig *rig, unsigned from, unsigned to) {
    for (unsigned i = from; i < to; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        rig_commit_delete(rig, key);
    }
}

/* ---- truncation, then open ---- */

Test(recovery, rows_left_below_begin_are_ignored) {
    struct rig rig;
    uint64_t obsolete;
    rig_start(&rig, 4096);
    fill(&rig, 0, 3);
    struct ledger undeleted = ledger_copy(&rig.ledger);
    fill(&rig, 3, 40);
    empty(&rig, 0, 39);
    struct ledger all = {0};
    for (size_t i = 0; i < undeleted.count; i++) {
        ledger_insert(&all, &undeleted.rows[i], 0);
    }
    for (size_t i = 0; i < rig.ledger.count; i++) {
        if (rig.ledger.rows[i].number > 3) {
            ledger_insert(&all, &rig.ledger.rows[i], 0);
        }
    }
    ASSERT_OK(rig_checkpoint(&rig, &obsolete));
    cr_assert_gt(rig_stat(&rig, "log_begin"), undeleted.rows[2].end);
    rig_crash(&rig); /* before the decider deletes rows */
    ledger_finish(&rig.ledger);
    ledger_finish(&undeleted);
    rig.ledger = all;
    rig_open(&rig);
    cr_assert_eq(rig_get(&rig, "k39"), 40);
    cr_assert_eq(rig_count(&rig), 1);
    fill(&rig, 0, 1);
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(recovery, redo_that_reaches_below_begin_is_applied_above_it) {
    struct rig rig;
    uint64_t obsolete;
    rig_start(&rig, 60000);
    fill(&rig, 0, 1);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete));
    /* One inline commit over two pages; only its last row lives. */
    struct faster_txn *txn = rig_begin(&rig);
    for (unsigned i = 0; i < 14; i++) {
        ASSERT_OK(faster_txn_savepoint(txn, 0)); /* nothing changes in place */
        ASSERT_OK(rig_put(txn, "k0", i, 2000));
    }
    ASSERT_OK(rig_put(txn, "last", 7, 100));
    rig_commit(&rig, txn);
    const struct faster_commit_row *row = ledger_newest(&rig.ledger);
    cr_assert_gt(row->redo_bytes, RIG_PAGE_BYTES);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete));
    uint64_t begin = rig_stat(&rig, "log_begin");
    cr_assert(begin > row->end - row->redo_bytes && begin < row->end);
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_eq(rig_get(&rig, "k0"), 13);
    cr_assert_eq(rig_get(&rig, "last"), 7);
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(recovery, abort_lists_below_begin_are_not_missed) {
    unsigned hits = 0;
    for (unsigned pad = 0; pad < 8; pad++) {
        struct rig rig;
        uint64_t obsolete;
        rig_start(&rig, RIG_NEVER_INLINE);
        struct faster_txn *txn = rig_begin(&rig);
        for (unsigned i = 0; i < 1500; i++) {
            ASSERT_OK(rig_put(txn, "kept", i, 1));
            ASSERT_OK(faster_txn_savepoint(txn, 0));
            ASSERT_OK(rig_put(txn, "undone", i, 1));
            ASSERT_OK(faster_txn_rollback_to(txn, 0));
        }
        ASSERT_OK(rig_put(txn, "kept", 1, pad * 500));
        rig_commit(&rig, txn);
        uint64_t control = ledger_newest(&rig.ledger)->control_address;
        rig_commit_put(&rig, "kept", 99, 10); /* all of the first commit is dead */
        ASSERT_OK(rig_checkpoint(&rig, &obsolete));
        uint64_t begin = rig_stat(&rig, "log_begin");
        hits += begin <= control && control - begin < 5 * 4128;
        rig_crash(&rig);
        rig_open(&rig);
        cr_assert_eq(rig_get(&rig, "kept"), 99);
        cr_assert_eq(rig_get(&rig, "undone"), 0);
        rig_verify(&rig);
        rig_finish(&rig);
    }
    cr_assert_gt(hits, 0);
}

Test(recovery, dead_log_reopens_and_goes_on) {
    struct rig rig;
    uint64_t obsolete;
    rig_start(&rig, 200);
    for (unsigned round = 0; round < 6; round++) {
        fill(&rig, 0, 20);
        empty(&rig, 0, 20);
        ASSERT_OK(rig_checkpoint(&rig, &obsolete));
        ledger_delete_below(&rig.ledger, obsolete);
        if (round % 2 == 0) {
            rig_crash(&rig);
            rig_open(&rig);
        } else {
            rig_reopen(&rig);
        }
        cr_assert_eq(rig_count(&rig), 0);
        rig_verify(&rig);
    }
    cr_assert_gt(rig_stat(&rig, "log_begin"), 4 * RIG_PAGE_BYTES);
    rig_finish(&rig);
}

Test(recovery, snapshot_older_than_the_last_truncation_is_gone) {
    struct rig rig;
    uint64_t obsolete;
    rig_start(&rig, RIG_NEVER_INLINE);
    fill(&rig, 0, 40);
    struct ledger old = ledger_copy(&rig.ledger);
    for (unsigned i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        rig_commit_put(&rig, key, 1000 + i, 2000);
    }
    ASSERT_OK(rig_checkpoint(&rig, &obsolete));
    cr_assert_gt(rig_stat(&rig, "log_begin"), RIG_PAGE_BYTES);
    cr_assert_lt(rig_stat(&rig, "log_begin"), ledger_newest(&old)->end);
    rig_reopen(&rig);
    cr_assert_eq(rig_get(&rig, "k0"), 1000);
    /* A reader whose snapshot of the decider is older than the checkpoint. */
    struct faster_snapshot snapshot;
    ASSERT_OK(faster_session_meet_row(rig.session, ledger_newest(&old)));
    ASSERT_STATUS(faster_snapshot_open(rig.session, ledger_newest(&old), &snapshot),
                  FASTER_SNAPSHOT_GONE);
    ledger_finish(&old);
    rig_finish(&rig);
}

/* ---- old snapshots ---- */

static void check_two_steps(uint64_t inline_bytes, bool deleted_between) {
    struct rig rig;
    rig_start(&rig, inline_bytes);
    fill(&rig, 0, 10);
    struct ledger old = ledger_copy(&rig.ledger);
    for (unsigned i = 5; i < 15; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        rig_commit_put(&rig, key, 100 + i, 1500);
    }
    if (deleted_between) {
        uint64_t obsolete;
        ASSERT_OK(rig_checkpoint(&rig, &obsolete));
        ledger_delete_below(&rig.ledger, obsolete);
    }
    rig_crash(&rig);
    rig_open(&rig);
    enum faster_status status = ledger_meet(&old, rig.session);
    if (deleted_between) {
        ASSERT_STATUS(status, FASTER_COPY);
    } else {
        struct faster_snapshot before;
        ASSERT_OK(status);
        ASSERT_OK(faster_snapshot_open(rig.session, ledger_newest(&old), &before));
        cr_assert_eq(rig_read(&rig, &before, "k9"), 10);
        cr_assert_eq(rig_get(&rig, "k9"), 109);
        cr_assert_eq(rig_read(&rig, &before, "k9"), 10);
        cr_assert_eq(rig_read(&rig, &before, "k14"), 0);
        faster_snapshot_close(&before);
    }
    cr_assert_eq(rig_get(&rig, "k4"), 5);
    cr_assert_eq(rig_get(&rig, "k14"), 114);
    cr_assert_eq(rig_count(&rig), 15);
    fill(&rig, 20, 22);
    rig_reopen(&rig);
    cr_assert_eq(rig_count(&rig), 17);
    rig_verify(&rig);
    ledger_finish(&old);
    rig_finish(&rig);
}

Test(recovery, old_snapshot_first_then_newer_rows_from_disk) {
    check_two_steps(RIG_NEVER_INLINE, false);
}

Test(recovery, old_snapshot_first_then_newer_rows_from_redo) {
    check_two_steps(60000, false);
}

Test(recovery, old_snapshot_before_the_checkpoint_is_refused_and_harmless) {
    check_two_steps(60000, true);
    check_two_steps(RIG_NEVER_INLINE, true);
}

static bool stop_at_third(void *context) {
    return ++*(int *)context == 3;
}

Test(recovery, interrupted_catch_up_leaves_the_old_snapshot_right) {
    struct rig rig;
    rig_start(&rig, RIG_NEVER_INLINE);
    fill(&rig, 0, 10);
    struct ledger old = ledger_copy(&rig.ledger);
    for (unsigned i = 0; i < 60; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i % 10);
        rig_commit_put(&rig, key, 100 + i, 2000);
    }
    rig_crash(&rig);
    rig_open(&rig);
    ASSERT_OK(ledger_meet(&old, rig.session));
    int asked = 0;
    ledger_rewind(&rig.ledger);
    ASSERT_STATUS(
        faster_session_catch_up(rig.session, ledger_next, &rig.ledger, stop_at_third, &asked),
        FASTER_INTERRUPTED);
    struct faster_snapshot before;
    ASSERT_OK(faster_snapshot_open(rig.session, ledger_newest(&old), &before));
    for (unsigned i = 0; i < 10; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        cr_assert_eq(rig_read(&rig, &before, key), i + 1, "%s", key);
    }
    faster_snapshot_close(&before);
    cr_assert_eq(rig_get(&rig, "k0"), 150);
    cr_assert_eq(rig_count(&rig), 10);
    rig_verify(&rig);
    ledger_finish(&old);
    rig_finish(&rig);
}

Test(recovery, catch_up_beside_a_writer_finds_nothing_new) {
    struct rig rig;
    struct faster_session *other;
    rig_start(&rig, 4096);
    fill(&rig, 0, 3);
    rig_reopen(&rig);
    ASSERT_OK(faster_session_open(rig.store, &other));
    ASSERT_STATUS(faster_session_meet_row(other, ledger_newest(&rig.ledger)), FASTER_BEHIND);
    struct faster_txn *txn = rig_begin(&rig);
    ledger_rewind(&rig.ledger);
    ASSERT_OK(faster_session_catch_up(other, ledger_next, &rig.ledger, NULL, NULL));
    faster_txn_rollback(txn);
    faster_session_close(other);
    rig_finish(&rig);
}

/* ---- crashes ---- */

Test(recovery, second_crash_after_the_jump_loses_nothing) {
    static const uint64_t INLINE[] = {1, 60000, RIG_NEVER_INLINE};
    for (size_t n = 0; n < 3; n++) {
        struct rig rig;
        rig_start(&rig, INLINE[n]);
        fill(&rig, 0, 12);
        struct faster_txn *lost = rig_begin(&rig);
        ASSERT_OK(rig_put(lost, "k3", 999, 3000));
        for (unsigned life = 0; life < 4; life++) {
            rig_crash(&rig);
            rig_open(&rig);
            struct faster_txn *txn = rig_begin(&rig); /* jumps, and then dies */
            ASSERT_OK(rig_put(txn, "k3", 1000 + life, 15000 / (life + 1)));
        }
        rig_crash(&rig);
        rig_open(&rig);
        cr_assert_eq(rig_get(&rig, "k3"), 4);
        cr_assert_eq(rig_count(&rig), 12);
        fill(&rig, 12, 20);
        rig_crash(&rig);
        rig_open(&rig);
        cr_assert_eq(rig_count(&rig), 20);
        rig_verify(&rig);
        rig_finish(&rig);
    }
}

/* synchronous = NORMAL at a power cut: the newest commits are gone from the decider, and
 * the rows they had deleted are back. */
Test(recovery, decider_that_lost_its_newest_rows_goes_on) {
    for (unsigned lost = 1; lost < 6; lost++) {
        struct rig rig;
        rig_start(&rig, 5000);
        fill(&rig, 0, 9);
        struct ledger survivor = {0};
        for (unsigned i = 0; i < lost; i++) {
            if (i == 0) {
                survivor = ledger_copy(&rig.ledger);
            }
            rig_commit_put(&rig, "k0", 500 + i, 3000 * i);
        }
        rig_crash(&rig);
        ledger_finish(&rig.ledger);
        rig.ledger = survivor;
        rig_open(&rig);
        cr_assert_eq(rig_get(&rig, "k0"), 1);
        rig_commit_put(&rig, "k0", 77, 10);
        rig_crash(&rig);
        rig_open(&rig);
        cr_assert_eq(rig_get(&rig, "k0"), 77);
        cr_assert_eq(rig_count(&rig), 9);
        rig_verify(&rig);
        rig_finish(&rig);
    }
}

/* The failed sync of a commit had written everything: after the store was closed, opened and
 * written to once more, a kill brings the commit back. */
static void check_comeback(uint64_t inline_bytes, bool jump, bool close_fails) {
    struct rig rig;
    struct faster_commit_row row;
    uint64_t obsolete;
    rig_start(&rig, inline_bytes);
    fill(&rig, 0, 5);
    struct ledger returned = ledger_copy(&rig.ledger);
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(rig_put(txn, "k0", 500, 3000));
    ASSERT_OK(faster_txn_prepare(txn, &row, &obsolete));
    ledger_insert(&returned, &row, 0);
    faster_txn_rollback(txn);
    if (close_fails) {
        fst_test_env_fail(rig.test, FST_TEST_FILE_WRITE, 1, FST_TEST_FOR_EVER, FASTER_IO);
    }
    rig_reopen(&rig);
    fst_test_env_heal_all(rig.test);
    cr_assert_eq(rig_get(&rig, "k0"), 1);
    if (jump) {
        txn = rig_begin(&rig);
        ASSERT_OK(rig_put(txn, "k0", 600, 3000));
        faster_txn_rollback(txn);
    }
    rig_crash(&rig);
    rig_open(&rig);
    ledger_finish(&rig.ledger);
    rig.ledger = returned;
    cr_assert_eq(rig_get(&rig, "k0"), 500);
    cr_assert_eq(rig_count(&rig), 5);
    fill(&rig, 5, 7);
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_eq(rig_get(&rig, "k0"), 500);
    cr_assert_eq(rig_count(&rig), 7);
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(recovery, commit_in_doubt_that_comes_back_after_reopen_counts) {
    check_comeback(60000, false, false);
    check_comeback(RIG_NEVER_INLINE, false, false);
}

Test(recovery, commit_in_doubt_that_comes_back_after_the_jump_counts) {
    check_comeback(60000, true, false);
    check_comeback(60000, true, true);
    check_comeback(RIG_NEVER_INLINE, true, false);
}

/* ---- what a failed sync may have left in the page cache ---- */

/* The log goes on behind a prepared transaction, so its bytes have to be safe, whether its row
 * comes back or not: a sync that failed may have left them clean. */
Test(recovery, prepared_transaction_without_row_is_written_again) {
    struct rig rig;
    struct faster_commit_row row;
    uint64_t obsolete;
    rig_start(&rig, RIG_NEVER_INLINE);
    rig_commit_put(&rig, "a", 1, 0);
    struct faster_txn *txn = rig_begin(&rig);
    for (unsigned i = 0; i < 6; i++) {
        char key[16];
        snprintf(key, sizeof key, "lost%u", i);
        ASSERT_OK(rig_put(txn, key, i, 10000));
    }
    ASSERT_OK(faster_txn_prepare(txn, &row, &obsolete));
    faster_txn_rollback(txn);
    rig_crash(&rig);
    rig_open(&rig);
    const uint64_t writes = fst_test_env_calls(rig.test, FST_TEST_FILE_WRITE);
    txn = rig_begin(&rig);
    cr_assert_geq(fst_test_env_calls(rig.test, FST_TEST_FILE_WRITE) - writes, 6, "one for a page");
    faster_txn_rollback(txn);
    rig_commit_put(&rig, "b", 2, 0);
    rig_reopen(&rig);
    cr_assert_eq(rig_get(&rig, "b"), 2);
    cr_assert_eq(rig_count(&rig), 2);
    rig_verify(&rig);
    rig_finish(&rig);
}
