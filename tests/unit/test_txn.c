/* test_txn.c - transactions, and what disk and memory do to them (P1, P4, P5, P6, P7, P9). */
#include "store_rig.h"

#include "store/store.h"

#include "base/env.h"

/* ---- two phases ---- */

Test(txn, prepared_again_and_again_commits_once) {
    static const uint64_t INLINE[] = {1, 3000, 60000, RIG_NEVER_INLINE};
    for (size_t n = 0; n < 4; n++) {
        struct rig rig;
        struct faster_commit_row row;
        uint64_t obsolete;
        rig_start(&rig, INLINE[n]);
        rig_commit_put(&rig, "a", 1, 10);
        struct faster_txn *txn = rig_begin(&rig);
        for (unsigned i = 0; i < 6; i++) {
            ASSERT_OK(rig_put(txn, i % 2 == 0 ? "a" : "b", 10 + i, 1500));
            ASSERT_OK(faster_txn_prepare(txn, &row, &obsolete));
            if (i == 3) {
                ASSERT_OK(faster_txn_prepare(txn, &row, &obsolete));
            }
        }
        rig_commit(&rig, txn);
        cr_assert_eq(ledger_newest(&rig.ledger)->number, 2);
        for (int i = 0; i < 2; i++) {
            cr_assert_eq(rig_get(&rig, "a"), 14);
            cr_assert_eq(rig_get(&rig, "b"), 15);
            rig_crash(&rig);
            rig_open(&rig);
        }
        rig_verify(&rig);
        rig_finish(&rig);
    }
}

/* Whoever holds the writer role may be in the middle of long work. */
Test(txn, known_row_is_met_without_the_writer_role) {
    struct rig rig;
    struct faster_commit_row other;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 1, 0);
    rig_commit_put(&rig, "a", 2, 0);
    rig.store->env->mutex_lock(rig.store->env, rig.store->lock);
    ASSERT_OK(faster_session_meet_row(rig.session, ledger_newest(&rig.ledger)));
    ASSERT_OK(faster_session_meet_row(rig.session, NULL));
    rig.store->env->mutex_unlock(rig.store->env, rig.store->lock);
    other = *ledger_newest(&rig.ledger);
    other.nonce++;
    ASSERT_STATUS(faster_session_meet_row(rig.session, &other), FASTER_COPY);
    rig_finish(&rig);
}

Test(txn, without_writes_leaves_no_row) {
    struct rig rig;
    struct faster_commit_row row;
    uint64_t obsolete;
    rig_start(&rig, 4096);
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(faster_txn_savepoint(txn, 0));
    ASSERT_OK(rig_put(txn, "a", 1, 10));
    cr_assert(faster_txn_has_writes(txn));
    ASSERT_OK(faster_txn_rollback_to(txn, 0));
    cr_assert_not(faster_txn_has_writes(txn));
    ASSERT_STATUS(faster_txn_prepare(txn, &row, &obsolete), FASTER_NOT_FOUND);
    faster_txn_commit(txn);
    cr_assert_null(ledger_newest(&rig.ledger));
    cr_assert_eq(rig_get(&rig, "a"), 0);
    rig_finish(&rig);
}

Test(txn, in_doubt_is_settled_by_the_row_a_reader_brings) {
    struct rig rig;
    struct faster_commit_row row;
    struct faster_session *reader;
    uint64_t obsolete;
    rig_start(&rig, 4096);
    ASSERT_OK(faster_session_open(rig.store, &reader));
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(rig_put(txn, "a", 1, 10));
    ASSERT_OK(faster_txn_prepare(txn, &row, &obsolete));
    faster_txn_rollback(txn);
    cr_assert_eq(rig_get(&rig, "a"), 0);
    ledger_insert(&rig.ledger, &row, 0); /* copies the redo while it is there */
    ASSERT_OK(faster_session_meet_row(reader, ledger_newest(&rig.ledger)));
    cr_assert_eq(rig_get(&rig, "a"), 1);
    faster_session_close(reader);
    rig_finish(&rig);
}

Test(txn, in_doubt_without_row_is_hidden_by_the_next_begin) {
    struct rig rig;
    struct faster_commit_row row;
    uint64_t obsolete;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 1, 10);
    for (unsigned i = 0; i < 3; i++) {
        struct faster_txn *txn = rig_begin(&rig);
        ASSERT_OK(rig_put(txn, "a", 100 + i, 10));
        ASSERT_OK(rig_put(txn, "b", 100 + i, 10));
        ASSERT_OK(faster_txn_prepare(txn, &row, &obsolete));
        faster_txn_rollback(txn);
    }
    rig_commit_put(&rig, "c", 2, 10);
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_eq(rig_get(&rig, "a"), 1);
    cr_assert_eq(rig_get(&rig, "b"), 0);
    cr_assert_eq(rig_get(&rig, "c"), 2);
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(txn, of_a_session_that_lost_the_lock_cannot_write) {
    struct rig rig;
    struct faster_session *other;
    struct faster_txn *second;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 1, 10);
    ASSERT_OK(faster_session_open(rig.store, &other));
    struct faster_txn *first = rig_begin(&rig);
    ASSERT_OK(rig_put(first, "a", 2, 10));
    ASSERT_OK(ledger_begin(&rig.ledger, other, &second));
    ASSERT_STATUS(rig_put(first, "a", 3, 10), FASTER_MISUSE);
    ASSERT_OK(rig_put(second, "b", 4, 10));
    faster_txn_rollback(first);
    rig_commit(&rig, second);
    cr_assert_eq(rig_get(&rig, "a"), 1);
    cr_assert_eq(rig_get(&rig, "b"), 4);
    faster_session_close(other);
    rig_finish(&rig);
}

static enum faster_status merge_number(void *context, const struct faster_bytes *old,
                                       struct faster_buffer *new_value) {
    unsigned number = 0;
    if (old != NULL) {
        memcpy(&number, old->data, sizeof number);
    }
    number += *(unsigned *)context;
    return faster_buffer_assign(new_value, &number, sizeof number);
}

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

/* A store whose key "a" is 1 and on disk only, and a transaction in which an addition of 10 to it
 * waits for that. */
static struct faster_txn *start_pending(struct rig *rig, struct faster_op *op) {
    static unsigned ten = 10;
    rig_start(rig, 4096);
    rig_commit_put(rig, "a", 1, 10);
    push_out(rig);
    struct faster_txn *txn = rig_begin(rig);
    ASSERT_OK(rig_put(txn, "b", 1, 10));
    *op = (struct faster_op){.key = {"a", 1}, .merge = merge_number, .context = &ten};
    ASSERT_STATUS(faster_txn_rmw(txn, op), FASTER_PENDING);
    return txn;
}

Test(txn, pending_write_is_undone_by_a_rollback) {
    struct rig rig;
    struct faster_op op;
    faster_txn_rollback(start_pending(&rig, &op));
    ASSERT_OK(op.status);
    struct faster_txn *next = rig_begin(&rig);
    faster_session_complete_pending(rig.session, true);
    cr_assert_not(faster_txn_has_writes(next));
    ASSERT_OK(rig_put(next, "c", 1, 10));
    rig_commit(&rig, next);
    cr_assert_eq(rig_get(&rig, "a"), 1);
    rig_finish(&rig);
}

/* The next transaction of the session must not get it. */
Test(txn, pending_write_of_a_lost_transaction_is_misuse) {
    struct rig rig;
    struct faster_op op;
    struct faster_session *other;
    struct faster_txn *second;
    struct faster_txn *first = start_pending(&rig, &op);
    ASSERT_OK(faster_session_open(rig.store, &other));
    ASSERT_OK(ledger_begin(&rig.ledger, other, &second));
    faster_session_complete_pending(rig.session, true);
    ASSERT_STATUS(op.status, FASTER_MISUSE);
    faster_txn_rollback(first);
    rig_commit(&rig, second);
    cr_assert_eq(rig_get(&rig, "a"), 1);
    cr_assert_eq(rig_get(&rig, "b"), 0);
    faster_session_close(other);
    rig_finish(&rig);
}

Test(txn, pending_write_is_part_of_what_is_prepared) {
    struct rig rig;
    struct faster_op op;
    struct faster_commit_row row;
    uint64_t obsolete;
    struct faster_txn *txn = start_pending(&rig, &op);
    ASSERT_OK(faster_txn_prepare(txn, &row, &obsolete));
    ASSERT_OK(op.status);
    faster_session_complete_pending(rig.session, true);
    ledger_insert(&rig.ledger, &row, obsolete);
    faster_txn_commit(txn);
    cr_assert_eq(rig_get(&rig, "a"), 11);
    rig_commit_put(&rig, "c", 1, 10);
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(txn, pending_write_lies_before_a_later_savepoint) {
    struct rig rig;
    struct faster_op op;
    struct faster_txn *txn = start_pending(&rig, &op);
    ASSERT_OK(faster_txn_savepoint(txn, 0));
    ASSERT_OK(faster_txn_rollback_to(txn, 0));
    ASSERT_OK(op.status);
    rig_commit(&rig, txn);
    cr_assert_eq(rig_get(&rig, "a"), 11);
    rig_finish(&rig);
}

Test(txn, pending_write_is_undone_by_an_earlier_savepoint) {
    struct rig rig;
    struct faster_op op;
    struct faster_txn *txn = start_pending(&rig, &op);
    ASSERT_OK(faster_txn_savepoint(txn, 0));
    rig_commit(&rig, txn);
    push_out(&rig);
    txn = rig_begin(&rig);
    ASSERT_OK(faster_txn_savepoint(txn, 0));
    ASSERT_STATUS(faster_txn_rmw(txn, &op), FASTER_PENDING);
    ASSERT_OK(faster_txn_rollback_to(txn, 0));
    ASSERT_OK(op.status);
    faster_session_complete_pending(rig.session, true);
    cr_assert_not(faster_txn_has_writes(txn));
    ASSERT_OK(rig_put(txn, "c", 1, 10));
    rig_commit(&rig, txn);
    cr_assert_eq(rig_get(&rig, "a"), 11);
    rig_finish(&rig);
}

/* A decider that commits without a row of the last writes: they are gone, the store goes on. */
Test(txn, committed_without_prepare_leaves_nothing) {
    struct rig rig;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 1, 10);
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(rig_put(txn, "a", 2, 10));
    faster_txn_commit(txn);
    cr_assert_eq(rig_get(&rig, "a"), 1);
    rig_commit_put(&rig, "b", 3, 10);
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_eq(rig_get(&rig, "a"), 1);
    cr_assert_eq(rig_get(&rig, "b"), 3);
    rig_finish(&rig);
}

/* Far more operations on one key than a session has reads in flight: the first to arrive
 * brings the key to memory, and the others need no read any more. */
Test(txn, pending_operations_beyond_the_pool_all_complete, .timeout = 60) {
    enum { COUNT = 1000 };
    struct rig rig;
    unsigned one = 1;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 5, 0);
    push_out(&rig);
    struct faster_txn *txn = rig_begin(&rig);
    struct faster_op *ops = calloc(COUNT, sizeof *ops);
    for (int i = 0; i < COUNT; i++) {
        ops[i] = (struct faster_op){.key = {"a", 1}, .merge = merge_number, .context = &one};
        cr_assert_geq(faster_txn_rmw(txn, &ops[i]), 0);
    }
    faster_session_complete_pending(rig.session, true);
    for (int i = 0; i < COUNT; i++) {
        ASSERT_OK(ops[i].status);
    }
    free(ops);
    rig_commit(&rig, txn);
    cr_assert_eq(rig_get(&rig, "a"), 5 + COUNT);
    rig_finish(&rig);
}

/* ---- savepoints ---- */

static void check_many_ranges(unsigned count, unsigned prepares) {
    struct rig rig;
    struct faster_commit_row row;
    uint64_t obsolete;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "undone", 1, 10);
    struct faster_txn *txn = rig_begin(&rig);
    for (unsigned i = 0; i < count; i++) {
        ASSERT_OK(rig_put(txn, "kept", i, 10));
        ASSERT_OK(faster_txn_savepoint(txn, 0));
        ASSERT_OK(rig_put(txn, "undone", i, 10));
        ASSERT_OK(faster_txn_rollback_to(txn, 0));
        if (prepares > 0 && i % (count / prepares) == 0) {
            ASSERT_OK(faster_txn_prepare(txn, &row, &obsolete));
        }
    }
    rig_commit(&rig, txn);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(rig_get(&rig, "undone"), 1);
        cr_assert_eq(rig_get(&rig, "kept"), count - 1);
        rig_crash(&rig);
        rig_open(&rig);
    }
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(txn, aborted_ranges_survive_in_lists) {
    static const unsigned COUNTS[] = {15, 16, 17, 272, 273, 1000};
    for (size_t i = 0; i < sizeof COUNTS / sizeof COUNTS[0]; i++) {
        check_many_ranges(COUNTS[i], 0);
        check_many_ranges(COUNTS[i], 3);
    }
}

Test(txn, rollback_to_a_level_never_set_undoes_all) {
    struct rig rig;
    rig_start(&rig, 4096);
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(rig_put(txn, "a", 1, 10));
    ASSERT_OK(faster_txn_savepoint(txn, 0));
    ASSERT_OK(rig_put(txn, "b", 2, 10));
    ASSERT_OK(faster_txn_rollback_to(txn, 3));
    cr_assert_not(faster_txn_has_writes(txn));
    ASSERT_OK(faster_txn_rollback_to(txn, 0));
    cr_assert_not(faster_txn_has_writes(txn));
    ASSERT_OK(rig_put(txn, "c", 3, 10));
    rig_commit(&rig, txn);
    cr_assert_eq(rig_count(&rig), 1);
    rig_finish(&rig);
}

Test(txn, larger_than_memory_with_rollbacks_commits) {
    struct rig rig;
    rig_start(&rig, 4096);
    struct faster_txn *txn = rig_begin(&rig);
    for (unsigned i = 0; i < 400; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        ASSERT_OK(faster_txn_savepoint(txn, 0));
        ASSERT_OK(rig_put(txn, key, i + 1, 7000));
        if (i % 3 == 0) {
            ASSERT_OK(faster_txn_rollback_to(txn, 0));
        }
    }
    ASSERT_OK(faster_txn_savepoint(txn, 0));
    for (unsigned i = 0; i < 400; i++) {
        ASSERT_OK(rig_put(txn, "k1", i, 7000));
        ASSERT_OK(faster_txn_savepoint(txn, 1));
    }
    ASSERT_OK(faster_txn_rollback_to(txn, 0));
    rig_commit(&rig, txn);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(rig_count(&rig), 266);
        cr_assert_eq(rig_get(&rig, "k1"), 2);
        cr_assert_eq(rig_get(&rig, "k3"), 0);
        rig_crash(&rig);
        rig_open(&rig);
    }
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(txn, checkpoint_inside_pads_the_middle_of_a_transaction) {
    struct rig rig;
    uint64_t obsolete;
    rig_start(&rig, 60000);
    rig_commit_put(&rig, "a", 1, 10);
    struct faster_txn *txn = rig_begin(&rig);
    for (unsigned i = 0; i < 5; i++) {
        ASSERT_OK(rig_put(txn, "a", 10 + i, 100 * i));
        ASSERT_OK(rig_checkpoint(&rig, &obsolete));
    }
    rig_commit(&rig, txn);
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_eq(rig_get(&rig, "a"), 14);
    rig_verify(&rig);
    rig_finish(&rig);
}

/* ---- full disk, failed disk, no memory ---- */

static enum faster_status fill_up(struct faster_txn *txn) {
    enum faster_status status = FASTER_OK;
    for (unsigned i = 0; status == FASTER_OK && i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "f%u", i);
        status = rig_put(txn, key, i, 8000);
    }
    return status;
}

Test(txn, full_disk_fails_it_whole_and_writing_resumes) {
    struct rig rig;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 1, 10);
    fst_test_env_fail(rig.test, FST_TEST_FILE_WRITE, 1, FST_TEST_FOR_EVER, FASTER_FULL);
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(rig_put(txn, "a", 2, 10));
    ASSERT_STATUS(fill_up(txn), FASTER_FULL);
    cr_assert_str_not_empty(faster_session_message(rig.session));
    faster_txn_rollback(txn);
    cr_assert_eq(rig_get(&rig, "a"), 1);
    fst_test_env_heal_all(rig.test);
    rig_commit_put(&rig, "a", 3, 10);
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_eq(rig_get(&rig, "a"), 3);
    cr_assert_eq(rig_count(&rig), 1);
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(txn, full_disk_at_prepare_rolls_back_and_the_next_commits) {
    struct rig rig;
    struct faster_commit_row row;
    uint64_t obsolete;
    rig_start(&rig, RIG_NEVER_INLINE);
    rig_commit_put(&rig, "a", 1, 10);
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(rig_put(txn, "a", 2, 10));
    fst_test_env_fail(rig.test, FST_TEST_FILE_WRITE, 1, FST_TEST_FOR_EVER, FASTER_FULL);
    ASSERT_STATUS(faster_txn_prepare(txn, &row, &obsolete), FASTER_FULL);
    ASSERT_STATUS(faster_txn_prepare(txn, &row, &obsolete), FASTER_FULL);
    faster_txn_rollback(txn);
    fst_test_env_heal_all(rig.test);
    cr_assert_eq(rig_get(&rig, "a"), 1);
    rig_commit_put(&rig, "b", 3, 10);
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_eq(rig_get(&rig, "a"), 1);
    cr_assert_eq(rig_get(&rig, "b"), 3);
    rig_finish(&rig);
}

/* A failed sync says nothing about what is on disk. */
static void check_failed_log(enum fst_test_operation operation) {
    struct rig rig;
    struct faster_commit_row row;
    struct faster_txn *txn;
    uint64_t obsolete;
    rig_start(&rig, RIG_NEVER_INLINE);
    rig_commit_put(&rig, "a", 1, 10);
    txn = rig_begin(&rig);
    ASSERT_OK(rig_put(txn, "a", 2, 10));
    fst_test_env_fail(rig.test, operation, 1, 1, FASTER_IO);
    ASSERT_STATUS(faster_txn_prepare(txn, &row, &obsolete), FASTER_IO);
    ASSERT_STATUS(faster_txn_prepare(txn, &row, &obsolete), FASTER_FAILED);
    faster_txn_rollback(txn);
    cr_assert_eq(rig_get(&rig, "a"), 1);
    ASSERT_STATUS(ledger_begin(&rig.ledger, rig.session, &txn), FASTER_FAILED);
    ASSERT_STATUS(rig_checkpoint(&rig, &obsolete), FASTER_FAILED);
    cr_assert_eq(rig_get(&rig, "a"), 1);
    rig_reopen(&rig);
    cr_assert_eq(rig_get(&rig, "a"), 1);
    rig_commit_put(&rig, "a", 3, 10);
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_eq(rig_get(&rig, "a"), 3);
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(txn, failed_sync_refuses_writes_until_reopen) {
    check_failed_log(FST_TEST_FILE_SYNC);
}

Test(txn, failed_write_refuses_writes_until_reopen) {
    check_failed_log(FST_TEST_FILE_WRITE);
}

/* Small commits need no sync of the log; after one failed they are refused all the same. */
Test(txn, open_at_a_failure_cannot_commit_inline) {
    struct rig rig;
    struct faster_commit_row row;
    uint64_t obsolete;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 1, 10);
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(rig_put(txn, "a", 2, 10));
    fst_test_env_fail(rig.test, FST_TEST_FILE_SYNC, 1, 1, FASTER_IO);
    ASSERT_STATUS(rig_checkpoint(&rig, &obsolete), FASTER_IO);
    ASSERT_STATUS(faster_txn_prepare(txn, &row, &obsolete), FASTER_FAILED);
    faster_txn_rollback(txn);
    rig_reopen(&rig);
    cr_assert_eq(rig_get(&rig, "a"), 1);
    rig_commit_put(&rig, "a", 3, 10);
    cr_assert_eq(rig_get(&rig, "a"), 3);
    rig_finish(&rig);
}

/* The first begin after a crash writes; what fails there is repeated or final. */
static void check_first_begin(enum fst_test_operation operation, enum faster_status failure,
                              enum faster_status then) {
    for (uint64_t nth = 1; nth < 20; nth++) {
        struct rig rig;
        struct faster_txn *txn;
        rig_start(&rig, 60000);
        for (unsigned i = 0; i < 6; i++) {
            rig_commit_put(&rig, "a", i, 3000);
        }
        rig_crash(&rig);
        rig_open(&rig);
        cr_assert_eq(rig_get(&rig, "a"), 5);
        fst_test_env_fail(rig.test, operation, nth, 1, failure);
        enum faster_status status = ledger_begin(&rig.ledger, rig.session, &txn);
        bool failed = fst_test_env_failed(rig.test, operation) > 0;
        if (status != FASTER_OK) {
            cr_assert(failed);
            status = ledger_begin(&rig.ledger, rig.session, &txn);
            ASSERT_STATUS(status, then);
        }
        if (status == FASTER_OK) {
            ASSERT_OK(rig_put(txn, "a", 77, 10));
            rig_commit(&rig, txn);
        }
        fst_test_env_heal_all(rig.test);
        rig_crash(&rig);
        rig_open(&rig);
        cr_assert_eq(rig_get(&rig, "a"), status == FASTER_OK ? 77 : 5);
        rig_commit_put(&rig, "a", 78, 10);
        rig_verify(&rig);
        rig_finish(&rig);
        if (!failed) {
            return;
        }
    }
}

Test(txn, first_begin_that_met_a_full_disk_is_repeated) {
    check_first_begin(FST_TEST_FILE_WRITE, FASTER_FULL, FASTER_OK);
}

Test(txn, first_begin_without_memory_is_repeated) {
    check_first_begin(FST_TEST_ALLOCATE, FASTER_NOMEM, FASTER_OK);
    check_first_begin(FST_TEST_MAP, FASTER_NOMEM, FASTER_OK);
}
