/* test_backup.c - copies of a store that is in use: they open with the decider's copy, and with no
 * other (P1, P2, P4, P6, P8). */
#include "large_values.h" /* before the rig: its own are parameters */

#include "backup_rig.h"

#include "store/checkpoint_files.h"

#define LARGE_BYTES 200000u

TestSuite(backup, .init = backup_set_up);

/* ---- what a copy holds ---- */

Test(backup, direct_copy_holds_what_was_written_before_and_goes_on) {
    start();
    fill_direct(1);
    unsigned char *large = large_value(LARGE_BYTES, 7);
    struct faster_op op = {.key = {"large", 5}, .value = {large, LARGE_BYTES}};
    ASSERT_OK(finish(rig.session, &op, faster_session_upsert(rig.session, &op)));
    aim("copy");
    must_back_up(NULL);
    fill_direct(2);
    commit();
    enter((struct ledger){0});
    rig_open(&rig);
    want_direct(1);
    verify_direct();
    struct faster_snapshot now;
    struct faster_buffer value;
    ASSERT_OK(faster_snapshot_open_newest(rig.session, &now));
    ASSERT_OK(large_read(&rig, &now, "large", &value));
    cr_assert(large_equals(value.data, value.size_bytes, LARGE_BYTES, 7));
    faster_buffer_finish(&value);
    faster_snapshot_close(&now);
    fill_direct(3);
    rig_reopen(&rig);
    want_direct(3);
    verify_direct();
    leave();
    want_direct(2);
    rig_reopen(&rig);
    want_direct(2);
    verify_direct();
    free(large);
    stop();
}

static void copy_while_writing(uint64_t inline_commit_bytes) {
    start_transactional(inline_commit_bytes);
    fill_rows(1, 300);
    large_commit_put(&rig, "large", LARGE_BYTES, 3);
    rig_commit_delete(&rig, "key 0");
    rig_commit_put(&rig, "key 0", 1000, 10);
    struct ledger copied = ledger_copy(&rig.ledger);
    const struct faster_commit_row row = *ledger_newest(&copied);
    fill_rows(2, 200); /* the copy of the rows is older by now */
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(rig_put(txn, "open", 1, 5000));
    aim("copy");
    must_back_up(&row);
    rig_commit(&rig, txn);
    if (inline_commit_bytes == RIG_NEVER_INLINE) { /* nothing goes along of what came later */
        const uint64_t segment_bytes = rig.options.segment_bytes;
        cr_assert_eq(bytes_of_segment(row.end / segment_bytes),
                     4096 + (row.end % segment_bytes + 4095) / 4096 * 4096);
    }
    enter(copied);
    rig_open(&rig);
    want_rows(1);
    large_want(&rig, "large", LARGE_BYTES, 3);
    cr_assert_eq(rig_get(&rig, "open"), 0);
    rig_verify(&rig);
    fill_rows(3, 100);
    rig_reopen(&rig);
    want_rows(3);
    rig_verify(&rig);
    leave();
    want_rows(2);
    cr_assert_eq(rig_get(&rig, "open"), 1);
    rig_reopen(&rig);
    want_rows(2);
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(backup, copy_of_a_store_whose_rows_carry_bytes_pairs_with_the_copied_rows) {
    copy_while_writing(0);
}

Test(backup, copy_of_a_store_that_syncs_each_commit_pairs_with_the_copied_rows) {
    copy_while_writing(RIG_NEVER_INLINE);
}

/* What the files lack, the copied rows hold. */
Test(backup, before_the_first_write_of_a_life_the_rows_complete_the_copy) {
    start_transactional(0);
    fill_rows(1, 300);
    for (unsigned i = 0; i < 20; i++) {
        rig_commit_put(&rig, key_of(i), 1000 + i, 1000);
    }
    rig_crash(&rig);
    rig_open(&rig);
    want_rows(1);
    struct ledger copied = ledger_copy(&rig.ledger);
    const uint64_t on_disk_below = fst_log_head(rig.store->log).raw;
    cr_assert_lt(on_disk_below, ledger_newest(&copied)->end);
    const uint64_t hash = hash_of_log(rig.directory);
    aim("copy");
    must_back_up(ledger_newest(&copied));
    cr_assert_eq(hash_of_log(rig.directory), hash); /* it is no write */
    fill_rows(2, 300);
    enter(copied);
    rig_open(&rig);
    cr_assert_eq(rig.store->manifest.durable_end, on_disk_below);
    want_rows(1);
    rig_verify(&rig);
    fill_rows(3, 300);
    leave();
    want_rows(2);
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(backup, checkpoint_goes_along_if_the_copied_rows_have_its_commit) {
    start_transactional(RIG_NEVER_INLINE);
    uint64_t obsolete_below;
    struct faster_checkpoint found[4];
    fill_rows(1, 300);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete_below));
    struct ledger copied = ledger_copy(&rig.ledger);
    aim("with");
    must_back_up(ledger_newest(&copied));
    fill_rows(2, 300);
    enter(copied);
    rig_open(&rig);
    cr_assert_eq(faster_store_checkpoints(rig.store, found, 4), 1);
    want_rows(1);
    rig_verify(&rig);
    leave();
    rig_finish(&rig);
}

/* Its checkpoint, that is: the one before it serves the copy. */
Test(backup, checkpoint_of_a_later_commit_than_the_copied_rows_is_left_out) {
    start_transactional(RIG_NEVER_INLINE);
    uint64_t obsolete_below;
    struct faster_checkpoint found[4];
    struct faster_checkpoint_request later = {.kind = FASTER_CHECKPOINT_INDEX_ONLY};
    fill_rows(1, 300);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete_below));
    struct ledger copied = ledger_copy(&rig.ledger);
    fill_rows(2, 300);
    later.durable = ledger_newest(&rig.ledger);
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &later, NULL)); /* gives nothing back */
    cr_assert_eq(faster_store_checkpoints(rig.store, found, 4), 2);
    aim("copy");
    must_back_up(ledger_newest(&copied));
    enter(copied);
    rig_open(&rig);
    cr_assert_eq(faster_store_checkpoints(rig.store, found, 4), 1);
    cr_assert_eq(found[0].point_number, ledger_newest(&rig.ledger)->number);
    want_rows(1);
    rig_verify(&rig);
    leave();
    rig_finish(&rig);
}

/* Recovery reads all of the log then. */
Test(backup, checkpoint_whose_index_is_missing_is_left_out) {
    char path[500];
    char name[FST_CHECKPOINT_NAME_BYTES];
    struct faster_checkpoint found[4];
    start();
    fill_direct(1);
    const struct faster_checkpoint_request request = {.index = FASTER_INDEX_COPY};
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, found));
    fst_checkpoint_name(FST_CHECKPOINT_FILE_INDEX, found[0].index_number, name);
    snprintf(path, sizeof path, "%s/%s", rig.directory, name);
    cr_assert_eq(unlink(path), 0);
    aim("copy");
    must_back_up(NULL);
    enter((struct ledger){0});
    rig_open(&rig);
    cr_assert_eq(faster_store_checkpoints(rig.store, found, 4), 0);
    want_direct(1);
    verify_direct();
    leave();
    stop();
}

Test(backup, empty_stores_are_copied) {
    start();
    aim("direct");
    struct faster_backup_request request = {0};
    ASSERT_OK(back_up(NULL, &request));
    enter((struct ledger){0});
    rig_open(&rig);
    want("key 1", NULL);
    fill_direct(1);
    leave();
    stop();
    start_transactional(0);
    ASSERT_OK(ledger_meet(&rig.ledger, rig.session));
    aim("transactional");
    struct faster_txn *txn = rig_begin(&rig);
    for (unsigned i = 0; i < 2000; i++) { /* reaches the disk */
        ASSERT_OK(rig_put(txn, key_of(i), 5, 500));
    }
    ASSERT_OK(back_up(NULL, &request));
    cr_assert_leq(request.shared_bytes + request.copied_bytes, 2 * 4096);
    faster_txn_rollback(txn);
    fill_rows(1, 100);
    enter((struct ledger){0});
    rig_open(&rig);
    cr_assert_eq(rig_count(&rig), 0);
    fill_rows(2, 100);
    want_rows(2);
    leave();
    want_rows(1);
    rig_finish(&rig);
}

static void copy_read_only(const char *name) {
    struct faster_backup_request request = {0};
    rig.options.read_only = true;
    rig_reopen(&rig);
    const uint64_t hash = hash_of_log(rig.directory);
    aim(name);
    ASSERT_OK(back_up(NULL, &request));
    cr_assert_eq(hash_of_log(rig.directory), hash);
    rig.options.read_only = false;
}

Test(backup, store_that_is_read_only_is_copied) {
    start();
    copy_read_only("empty");
    enter((struct ledger){0});
    rig_open(&rig);
    want("key 1", NULL);
    leave();
    rig_reopen(&rig);
    fill_direct(1);
    copy_read_only("filled");
    enter((struct ledger){0});
    rig_open(&rig);
    want_direct(1);
    leave();
    stop();
}

/* ---- pairs that are none ---- */

Test(backup, older_rows_do_not_open_with_the_copy) {
    start_transactional(RIG_NEVER_INLINE);
    fill_rows(1, 100);
    struct ledger older = ledger_copy(&rig.ledger);
    fill_rows(2, 100);
    aim("copy");
    must_back_up(ledger_newest(&rig.ledger));
    enter(older);
    rig_open(&rig);
    ASSERT_STATUS(ledger_meet(&rig.ledger, rig.session), FASTER_COPY);
    leave();
    rig_finish(&rig);
}

/* Rows that carry their bytes are enough; of others the copy lacks the bytes, and says so. */
Test(backup, newer_rows_open_with_the_copy_if_they_carry_what_it_lacks) {
    for (unsigned never = 0; never < 2; never++) {
        start_transactional(never ? RIG_NEVER_INLINE : 0);
        fill_rows(1, 20);
        aim("copy");
        must_back_up(ledger_newest(&rig.ledger));
        rig_commit_put(&rig, "key 0", 77, 20);
        struct ledger newer = ledger_copy(&rig.ledger);
        enter(newer);
        rig_open(&rig);
        if (never) {
            ASSERT_STATUS(ledger_meet(&rig.ledger, rig.session), FASTER_CORRUPT);
            cr_assert_not_null(strstr(faster_session_message(rig.session), "backups"));
        } else {
            cr_assert_eq(rig_get(&rig, "key 0"), 77);
            rig_verify(&rig);
        }
        leave();
        rig_finish(&rig);
    }
}

Test(backup, checkpoint_after_the_rows_were_copied_refuses_the_pair) {
    start_transactional(RIG_NEVER_INLINE);
    uint64_t obsolete_below;
    fill_rows(1, 300);
    struct ledger copied = ledger_copy(&rig.ledger);
    fill_rows(2, 300);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete_below));
    aim("copy");
    struct faster_backup_request request = {0};
    ASSERT_STATUS(back_up(ledger_newest(&copied), &request), FASTER_SNAPSHOT_GONE);
    cr_assert_not_null(strstr(faster_session_message(rig.session), "copy the database again"));
    want_nothing();
    must_back_up(ledger_newest(&rig.ledger));
    ledger_finish(&copied);
    rig_finish(&rig);
}

Test(backup, row_of_another_database_is_refused) {
    start_transactional(RIG_NEVER_INLINE);
    fill_rows(1, 100);
    struct faster_commit_row older = *ledger_newest(&rig.ledger);
    fill_rows(2, 100);
    struct faster_commit_row newest = *ledger_newest(&rig.ledger);
    struct faster_commit_row newer = newest;
    struct faster_backup_request request = {0};
    aim("copy");
    older.nonce++;
    ASSERT_STATUS(back_up(&older, &request), FASTER_COPY);
    newest.nonce++;
    ASSERT_STATUS(back_up(&newest, &request), FASTER_COPY);
    newer.number++;
    ASSERT_STATUS(back_up(&newer, &request), FASTER_BEHIND);
    want_nothing();
    rig_finish(&rig);
}

/* To it the store is empty, and a copy of that would be. */
Test(backup, store_that_has_not_met_its_rows_is_not_copied) {
    struct faster_backup_request request = {0};
    start_transactional(RIG_NEVER_INLINE);
    fill_rows(1, 100);
    rig_reopen(&rig);
    aim("copy");
    ASSERT_STATUS(back_up(NULL, &request), FASTER_BEHIND);
    want_nothing();
    want_rows(1);
    must_back_up(ledger_newest(&rig.ledger));
    rig_finish(&rig);
}

/* ---- targets ---- */

Test(backup, target_that_is_in_the_way_is_left_alone) {
    char path[500];
    struct faster_backup_request request = {0};
    start();
    fill_direct(1);
    aim("copy");
    must_back_up(NULL);
    const uint64_t hash = hash_of_log(target);
    ASSERT_STATUS(back_up(NULL, &request), FASTER_EXISTS); /* it holds a store */
    cr_assert_eq(hash_of_log(target), hash);
    snprintf(target, sizeof target, "%s", rig.directory);
    ASSERT_STATUS(back_up(NULL, &request), FASTER_EXISTS); /* it is the store itself */
    snprintf(target, sizeof target, "%s/lock", rig.directory);
    ASSERT_STATUS(back_up(NULL, &request), FASTER_FOREIGN);
    snprintf(target, sizeof target, "%s/a/b/c", rig.base);
    ASSERT_STATUS(back_up(NULL, &request), FASTER_INVALID); /* two levels are missing */
    snprintf(target, sizeof target, "%s", "");
    ASSERT_STATUS(back_up(NULL, &request), FASTER_INVALID);
    snprintf(target, sizeof target, "%s/empty", rig.base);
    cr_assert_eq(mkdir(target, 0700), 0);
    must_back_up(NULL); /* an empty directory is used */
    snprintf(path, sizeof path, "%s/store", target);
    cr_assert(exists(path));
    request.directory = NULL;
    ASSERT_STATUS(faster_session_backup(rig.session, &request), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_backup(rig.session, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_backup(NULL, &request), FASTER_MISUSE);
    stop();
}

Test(backup, store_in_memory_has_no_files) {
    struct faster_store *store;
    struct faster_session *session;
    const struct faster_options options = {.writes = FASTER_WRITES_DIRECT,
                                           .memory_bytes = FASTER_MEMORY_BYTES_MIN};
    struct faster_backup_request request = {.directory = "/nowhere"};
    ASSERT_OK(faster_store_open(&options, &store, NULL));
    ASSERT_OK(faster_session_open(store, &session));
    ASSERT_STATUS(faster_session_backup(session, &request), FASTER_INVALID);
    faster_session_close(session);
    faster_store_close(store);
}
