/* test_roots.c - checkpoints with files of their own: what recovery begins with, what it falls back
 * to, and what is kept (P1, P2, P3, P5, P6). */
#include "direct_rig.h"

#include <dirent.h>
#include <limits.h>
#include <unistd.h>

#include "shapes/checkpoint_format.h"

static unsigned warning_count;

static void count_warnings(void *context, enum faster_diagnostic_level level, const char *module,
                           const char *message) {
    (void)context;
    (void)module;
    (void)message;
    warning_count += level == FASTER_DIAGNOSTIC_WARNING;
}

static void set_up(void) {
    warning_count = 0;
}

TestSuite(roots, .init = set_up);

/* ---- helpers ---- */

static unsigned count_files(const char *prefix) {
    DIR *directory = opendir(rig.directory);
    unsigned count = 0;
    cr_assert_not_null(directory);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    }
    closedir(directory);
    return count;
}

static void path_of(enum fst_checkpoint_file file, uint64_t number, char path[512]) {
    char name[FST_CHECKPOINT_NAME_BYTES];
    fst_checkpoint_name(file, number, name);
    snprintf(path, 512, "%s/%s", rig.directory, name);
}

static void flip(enum fst_checkpoint_file file, uint64_t number, long offset) {
    char path[512];
    path_of(file, number, path);
    FILE *stream = fopen(path, "r+b");
    cr_assert_not_null(stream, "%s", path);
    cr_assert_eq(fseek(stream, offset, offset < 0 ? SEEK_END : SEEK_SET), 0);
    const int byte = fgetc(stream);
    cr_assert_eq(fseek(stream, -1, SEEK_CUR), 0);
    fputc(byte ^ 0x40, stream);
    fclose(stream);
}

static struct faster_checkpoint take(enum faster_checkpoint_kind kind,
                                     enum faster_checkpoint_index index) {
    struct faster_checkpoint_request request = {.kind = kind, .index = index};
    struct faster_checkpoint made;
    if (rig.options.writes != FASTER_WRITES_DIRECT) {
        request.durable = ledger_newest(&rig.ledger);
    }
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, &made));
    return made;
}

static struct faster_checkpoint copy_index(void) {
    return take(FASTER_CHECKPOINT_FOLD_OVER, FASTER_INDEX_COPY);
}

static void start_direct(void) {
    start();
    rig.options.diagnostic = count_warnings;
}

static void put_number(unsigned key, unsigned value) {
    char name[32];
    char text[32];
    snprintf(name, sizeof name, "key %u", key);
    snprintf(text, sizeof text, "%u", value);
    ASSERT_OK(put(name, text));
}

static void want_numbers(unsigned count, unsigned value) {
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        char text[32];
        snprintf(name, sizeof name, "key %u", i);
        snprintf(text, sizeof text, "%u", value);
        want(name, text);
    }
}

/* Each key has one of the two values. */
static void want_numbers_of(unsigned count, unsigned value, unsigned other) {
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        char texts[2][32];
        snprintf(name, sizeof name, "key %u", i);
        snprintf(texts[0], sizeof texts[0], "%u", value);
        snprintf(texts[1], sizeof texts[1], "%u", other);
        const char *found = get(name);
        cr_assert_not_null(found, "%s", name);
        cr_assert(strcmp(found, texts[0]) == 0 || strcmp(found, texts[1]) == 0, "%s: %s", name,
                  found);
    }
}

static void put_numbers(unsigned count, unsigned value) {
    for (unsigned i = 0; i < count; i++) {
        put_number(i, value);
    }
}

/* ---- direct stores ---- */

static void want_findings(uint64_t wanted) {
    uint64_t findings = 0;
    ASSERT_OK(faster_session_verify(rig.session, NULL, NULL, NULL, NULL, &findings));
    cr_assert_eq(findings, wanted);
}

static void verify_direct(void) {
    want_findings(0);
}

Test(roots, direct_store_is_recovered_from_its_index_and_the_log_behind) {
    start_direct();
    put_numbers(300, 1);
    evict();
    const struct faster_checkpoint made = copy_index();
    cr_assert_eq(made.index_number, made.number);
    cr_assert_eq(count_files("index."), 1);
    put_numbers(10, 1);
    put_number(400, 7);
    commit();
    put_number(401, 8); /* lost */
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_lt(stat_of("recovered_records"), 50);
    want_numbers(300, 1);
    want("key 400", "7");
    want("key 401", NULL);
    verify_direct();
    put_numbers(300, 2);
    rig_reopen(&rig);
    want_numbers(300, 2);
    cr_assert_eq(warning_count, 0);
    stop();
}

Test(roots, direct_log_only_50_times_over_one_index) {
    start_direct();
    put_numbers(200, 0);
    evict();
    const uint64_t index = copy_index().number;
    for (unsigned i = 1; i <= 50; i++) {
        put_number(i, i);
        const struct faster_checkpoint made = take(FASTER_CHECKPOINT_FOLD_OVER, FASTER_INDEX_LEAVE);
        cr_assert_eq(made.index_number, index);
        cr_assert_eq(made.number, index + i);
    }
    cr_assert_eq(count_files("checkpoint."), 2);
    cr_assert_eq(count_files("index."), 1);
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_lt(stat_of("recovered_records"), 100);
    for (unsigned i = 1; i <= 50; i++) {
        char name[32];
        char text[32];
        snprintf(name, sizeof name, "key %u", i);
        snprintf(text, sizeof text, "%u", i);
        want(name, text);
    }
    want("key 60", "0");
    cr_assert_eq(take(FASTER_CHECKPOINT_FOLD_OVER, FASTER_INDEX_LEAVE).index_number, index);
    stop();
}

Test(roots, index_only_has_its_own_cut) {
    start_direct();
    put_numbers(100, 1);
    evict();
    commit();
    put_number(3, 2);
    const struct faster_checkpoint made = take(FASTER_CHECKPOINT_INDEX_ONLY, FASTER_INDEX_AUTO);
    cr_assert_eq(made.kind, FASTER_CHECKPOINT_INDEX_ONLY);
    put_number(4, 2); /* lost */
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_lt(stat_of("recovered_records"), 50);
    want("key 3", "2");
    want("key 4", "1");
    stop();
}

Test(roots, root_that_was_cut_to_nothing_is_found) {
    char path[512];
    start_direct();
    put_numbers(10, 1);
    path_of(FST_CHECKPOINT_FILE_ROOT, take(FASTER_CHECKPOINT_FOLD_OVER, FASTER_INDEX_LEAVE).number,
            path);
    want_findings(0);
    cr_assert_eq(truncate(path, 0), 0);
    want_findings(1);
    stop();
}

/* What an index leads to may never have reached the disk when the process ends before the cut: the
 * next life uses the addresses again. */
static bool stop_after_blocks(void *context) {
    return --*(int *)context == 0;
}

Test(roots, index_whose_cut_was_never_made_is_not_used) {
    start_direct();
    put_numbers(100, 1);
    evict();
    commit();
    put_numbers(100, 2);
    int calls = INT_MAX;
    const struct faster_checkpoint_request request = {
        .index = FASTER_INDEX_COPY, .interrupt = stop_after_blocks, .interrupt_context = &calls};
    cr_assert_eq(faster_session_take_checkpoint(rig.session, &request, NULL), FASTER_OK);
    const int asked = INT_MAX - calls;
    cr_assert_gt(asked, 2);
    const int stops[] = {1, asked / 2, asked - 1, asked};
    for (int i = 0; i < 4; i++) {
        put_numbers(100, 2);
        const unsigned files = count_files("index.");
        calls = stops[i];
        /* The first removes what is in the way of the file. */
        fst_test_env_fail(rig.test, FST_TEST_PATH_REMOVE, 2, FST_TEST_FOR_EVER, FASTER_IO);
        const enum faster_status status =
            faster_session_take_checkpoint(rig.session, &request, NULL);
        fst_test_env_heal_all(rig.test);
        cr_assert_eq(status, FASTER_INTERRUPTED, "call %d: %s", stops[i],
                     faster_status_name(status));
        cr_assert_eq(count_files("index."), files + 1);
        rig_crash(&rig);
        rig_open(&rig);
        put_number(500, 5);
        commit();
        evict();
        commit();
        rig_crash(&rig);
        rig_open(&rig);
        want("key 500", "5");
        verify_direct();
    }
    stop();
}

Test(roots, damaged_files_fall_back_and_say_so) {
    static const unsigned DAMAGED[] = {1, 1, 1, 2, 2};
    for (int which = 0; which < 5; which++) {
        start_direct();
        warning_count = 0;
        put_numbers(200, 1);
        evict();
        const uint64_t older = copy_index().number;
        put_numbers(200, 2);
        const uint64_t newer = copy_index().number;
        put_number(0, 2);
        commit();
        rig_crash(&rig);
        switch (which) {
        case 0:
            flip(FST_CHECKPOINT_FILE_ROOT, newer, 80);
            break;
        case 1:
            flip(FST_CHECKPOINT_FILE_INDEX, newer, FST_INDEX_FILE_HEADER_BYTES + 100);
            break;
        case 2:
            flip(FST_CHECKPOINT_FILE_INDEX, newer, 60);
            break;
        case 3:
            flip(FST_CHECKPOINT_FILE_INDEX, newer, -1);
            flip(FST_CHECKPOINT_FILE_INDEX, older, -1);
            break;
        default:
            flip(FST_CHECKPOINT_FILE_ROOT, newer, 1);
            flip(FST_CHECKPOINT_FILE_ROOT, older, 1);
            break;
        }
        rig_open(&rig);
        cr_assert_gt(warning_count, 0, "case %d", which);
        want_numbers(200, 2);
        want_findings(DAMAGED[which]);
        put_numbers(200, 3);
        (void)copy_index();
        warning_count = 0;
        rig_reopen(&rig);
        cr_assert_eq(warning_count, 0, "case %d", which);
        want_numbers(200, 3);
        stop();
    }
}

/* A file that is cut off, or that lacks its end, is damage as well. */
Test(roots, shortened_and_missing_indexes_fall_back) {
    start_direct();
    put_numbers(200, 1);
    evict();
    const uint64_t older = copy_index().number;
    put_numbers(200, 2);
    const uint64_t newer = copy_index().number;
    rig_crash(&rig);
    char path[512];
    path_of(FST_CHECKPOINT_FILE_INDEX, newer, path);
    cr_assert_eq(truncate(path, FST_INDEX_FILE_HEADER_BYTES + FST_INDEX_BLOCK_BYTES), 0);
    path_of(FST_CHECKPOINT_FILE_INDEX, older, path);
    cr_assert_eq(unlink(path), 0);
    rig_open(&rig);
    cr_assert_eq(warning_count, 2);
    want_numbers(200, 2);
    want_findings(2);
    stop();
}

Test(roots, retention_keeps_k) {
    start_direct();
    rig_close(&rig);
    rig.options.keep_checkpoints = 3;
    rig_open(&rig);
    for (unsigned i = 0; i < 6; i++) {
        put_numbers(20, i);
        (void)copy_index();
        const unsigned kept = i < 3 ? i + 1 : 3;
        cr_assert_geq(count_files("checkpoint."), kept > 3 ? 3 : kept);
        cr_assert_leq(count_files("checkpoint."), 3);
        cr_assert_leq(count_files("index."), 3);
    }
    struct faster_checkpoint list[8];
    cr_assert_eq(faster_store_checkpoints(rig.store, list, 8), 3);
    cr_assert_gt(list[0].number, list[1].number);
    cr_assert_gt(list[1].number, list[2].number);
    cr_assert_eq(list[0].bytes > 0 && list[0].created_ns > 0, true);
    rig_reopen(&rig);
    struct faster_checkpoint again[8];
    cr_assert_eq(faster_store_checkpoints(rig.store, again, 8), 3);
    cr_assert_eq(again[0].replay_from, list[0].replay_from);
    rig_close(&rig);
    rig.options.keep_checkpoints = 65;
    ASSERT_STATUS(rig_try_open(&rig), FASTER_INVALID);
    rig.options.keep_checkpoints = 1;
    rig_open(&rig);
    put_numbers(1, 9);
    (void)copy_index();
    cr_assert_eq(count_files("checkpoint."), 1);
    cr_assert_eq(count_files("index."), 1);
    stop();
}

/* Closing without a change makes no new files; the numbers go on. */
Test(roots, nothing_new_makes_no_new_root) {
    start_direct();
    put_numbers(20, 1);
    const uint64_t number = take(FASTER_CHECKPOINT_FOLD_OVER, FASTER_INDEX_LEAVE).number;
    cr_assert_eq(take(FASTER_CHECKPOINT_FOLD_OVER, FASTER_INDEX_LEAVE).number, number);
    rig_reopen(&rig);
    rig_reopen(&rig);
    cr_assert_eq(count_files("checkpoint."), 1);
    put_numbers(20, 2);
    cr_assert_eq(take(FASTER_CHECKPOINT_FOLD_OVER, FASTER_INDEX_LEAVE).number, number + 1);
    stop();
}

/* Each call of each kind fails once: either the former checkpoint stays or the new one is there,
 * and nothing is lost. */
static void fail_each(enum fst_test_operation operation, enum faster_status status) {
    bool failed = true;
    for (unsigned nth = 1; failed; nth++) {
        start_direct();
        put_numbers(50, 1);
        (void)copy_index();
        put_numbers(50, 2);
        fst_test_env_fail(rig.test, operation, nth, 1, status);
        const struct faster_checkpoint_request request = {.index = FASTER_INDEX_COPY};
        const enum faster_status got = faster_session_take_checkpoint(rig.session, &request, NULL);
        failed = fst_test_env_failed(rig.test, operation) > 0;
        cr_assert(failed || got == FASTER_OK);
        fst_test_env_heal_all(rig.test);
        if (got == FASTER_OK || status == FASTER_FULL) {
            ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, NULL));
        }
        const bool is_safe = faster_session_commit(rig.session) == FASTER_OK;
        rig_crash(&rig);
        rig_open(&rig);
        want_numbers_of(50, 2, is_safe ? 2 : 1);
        want("key 60", NULL);
        verify_direct();
        stop();
    }
}

Test(roots, full_disk_at_each_write_leaves_the_former_one) {
    fail_each(FST_TEST_FILE_WRITE, FASTER_FULL);
}

Test(roots, each_failing_sync_and_rename_leaves_a_sound_store) {
    fail_each(FST_TEST_FILE_SYNC, FASTER_IO);
    fail_each(FST_TEST_DIRECTORY_SYNC, FASTER_IO);
    fail_each(FST_TEST_PATH_RENAME, FASTER_IO);
    fail_each(FST_TEST_PATH_REMOVE, FASTER_IO);
    fail_each(FST_TEST_ALLOCATE, FASTER_NOMEM);
}

/* The copy of the index is left out then, not the cut. */
Test(roots, closing_without_room_for_the_index_loses_nothing) {
    start_direct();
    rig_reopen(&rig);
    evict();
    put_numbers(60, 7); /* into a segment that is open */
    fst_test_env_fail(rig.test, FST_TEST_FILE_OPEN, 1, 1, FASTER_FULL);
    rig_close(&rig);
    cr_assert_eq(fst_test_env_failed(rig.test, FST_TEST_FILE_OPEN), 1);
    fst_test_env_heal_all(rig.test);
    cr_assert_eq(warning_count, 1);
    cr_assert_eq(count_files("index."), 0);
    rig_open(&rig);
    want_numbers(60, 7);
    verify_direct();
    stop();
}

static bool stop_at_second(void *context) {
    return ++*(int *)context == 2;
}

Test(roots, waiting_for_another_checkpoint_can_be_interrupted) {
    int asked = 0;
    const struct faster_checkpoint_request request = {.interrupt = stop_at_second,
                                                      .interrupt_context = &asked};
    start_direct();
    put_number(1, 1);
    cr_assert(fst_checkpoints_enter(rig.store, NULL, NULL));
    ASSERT_STATUS(faster_session_take_checkpoint(rig.session, &request, NULL), FASTER_INTERRUPTED);
    cr_assert_eq(asked, 2);
    fst_checkpoints_leave(rig.store);
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, NULL));
    stop();
}

/* What a full small index holds must not fill a larger one: memory was raised to have room. */
Test(roots, full_index_is_not_spread_over_a_larger_one) {
    char name[32];
    unsigned count = 0;
    start_direct();
    enum faster_status status = FASTER_OK;
    for (; status == FASTER_OK; count++) {
        snprintf(name, sizeof name, "key %u", count);
        status = put(name, "1");
    }
    ASSERT_STATUS(status, FASTER_FULL);
    count--;
    (void)copy_index();
    rig_close(&rig);
    rig.options.memory_bytes *= 4;
    rig_open(&rig);
    cr_assert_geq(stat_of("recovered_records"), count);
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "other %u", i);
        ASSERT_OK(put(name, "2"));
    }
    want_numbers(100, 1);
    verify_direct();
    stop();
}

/* ---- transactional stores ---- */

static void start_transactional(uint64_t inline_commit_bytes) {
    rig_start(&rig, inline_commit_bytes);
    rig.options.diagnostic = count_warnings;
}

static void commit_numbers(unsigned count, unsigned value, size_t size) {
    struct faster_txn *txn = rig_begin(&rig);
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "key %u", i);
        ASSERT_OK(rig_put(txn, name, value, size));
    }
    rig_commit(&rig, txn);
}

static void expect_numbers(unsigned count, unsigned value) {
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "key %u", i);
        cr_assert_eq(rig_get(&rig, name), value, "%s is %u", name, rig_get(&rig, name));
    }
}

/* The decider forgets what it did since. */
static void bring_back(struct ledger ledger) {
    ledger_finish(&rig.ledger);
    rig.ledger = ledger;
}

Test(roots, transactional_store_goes_on_from_its_index) {
    start_transactional(4096);
    for (unsigned i = 1; i <= 4; i++) {
        commit_numbers(200, i, 1000);
    }
    rig_commit_put(&rig, "kept", 77, 10);
    const struct faster_checkpoint made = copy_index();
    cr_assert_eq(made.index_number, made.number);
    cr_assert_eq(made.replay_from, ledger_newest(&rig.ledger)->end);
    commit_numbers(20, 5, 100);
    rig_crash(&rig);
    rig_open(&rig);
    expect_numbers(20, 5);
    cr_assert_eq(rig_get(&rig, "key 20"), 4);
    cr_assert_eq(rig_get(&rig, "kept"), 77);
    cr_assert_lt(rig_stat(&rig, "recovered_records"), 50);
    cr_assert_eq(rig_count(&rig), 201);
    rig_verify(&rig);
    commit_numbers(10, 6, 100);
    rig_reopen(&rig);
    expect_numbers(10, 6);
    cr_assert_eq(rig_count(&rig), 201);
    cr_assert_eq(warning_count, 0);
    rig_finish(&rig);
}

/* Also through records that are on disk only, and around ranges that were undone. */
Test(roots, open_transaction_is_led_back_to_the_commit) {
    start_transactional(4096);
    commit_numbers(150, 1, 500);
    struct faster_txn *undone = rig_begin(&rig);
    ASSERT_OK(rig_put(undone, "key 1", 99, 500));
    faster_txn_rollback(undone);
    commit_numbers(1, 2, 500);
    struct faster_txn *open = rig_begin(&rig);
    for (unsigned i = 0; i < 1200; i++) {
        char name[32];
        snprintf(name, sizeof name, "key %u", i % 300);
        ASSERT_OK(faster_txn_savepoint(open, 0));
        ASSERT_OK(rig_put(open, name, 1000 + i, 1000));
    }
    (void)copy_index();
    faster_txn_rollback(open);
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_eq(rig_get(&rig, "key 0"), 2);
    cr_assert_eq(rig_get(&rig, "key 1"), 1);
    cr_assert_eq(rig_get(&rig, "key 149"), 1);
    cr_assert_eq(rig_get(&rig, "key 200"), 0);
    cr_assert_eq(rig_count(&rig), 150);
    cr_assert_lt(rig_stat(&rig, "recovered_records"), 1300);
    rig_verify(&rig);
    rig_finish(&rig);
}

/* The checkpoint's commit is safe, later rows are not: the next life jumps over what it lost. */
Test(roots, lost_newest_commit_after_a_checkpoint_goes_on) {
    start_transactional(RIG_NEVER_INLINE);
    commit_numbers(100, 1, 500);
    const struct faster_commit_row durable = *ledger_newest(&rig.ledger);
    struct ledger before = ledger_copy(&rig.ledger);
    commit_numbers(50, 2, 500);
    const struct faster_checkpoint_request request = {.index = FASTER_INDEX_COPY,
                                                      .durable = &durable};
    struct faster_checkpoint made;
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, &made));
    cr_assert_eq(made.point_number, durable.number);
    bring_back(before);
    rig_crash(&rig);
    rig_open(&rig);
    expect_numbers(100, 1);
    commit_numbers(10, 3, 100);
    rig_reopen(&rig);
    expect_numbers(10, 3);
    cr_assert_eq(rig_get(&rig, "key 20"), 1);
    rig_verify(&rig);
    rig_finish(&rig);
}

/* Who was slower to ask than another is served by the other's. */
Test(roots, older_commit_than_the_last_checkpoints_changes_nothing) {
    start_transactional(RIG_NEVER_INLINE);
    commit_numbers(10, 1, 100);
    const struct faster_commit_row older = *ledger_newest(&rig.ledger);
    commit_numbers(10, 2, 100);
    const struct faster_checkpoint newer = copy_index();
    const struct faster_checkpoint_request request = {.durable = &older};
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, NULL));
    struct faster_checkpoint list[4];
    cr_assert_eq(faster_store_checkpoints(rig.store, list, 4), 1);
    cr_assert_eq(list[0].number, newer.number);
    cr_assert_eq(rig.store->manifest.durable_number, newer.point_number);
    rig_crash(&rig);
    rig_open(&rig);
    expect_numbers(10, 2);
    rig_verify(&rig);
    rig_finish(&rig);
}

/* The database went back behind the checkpoint: whatever the manifest says. */
Test(roots, decider_without_the_checkpoints_commit_is_refused) {
    start_transactional(RIG_NEVER_INLINE);
    commit_numbers(10, 1, 100);
    struct ledger before = ledger_copy(&rig.ledger);
    commit_numbers(10, 2, 100);
    (void)copy_index();
    bring_back(before);
    rig_crash(&rig);
    rig_open(&rig);
    ASSERT_STATUS(ledger_meet(&rig.ledger, rig.session), FASTER_COPY);
    rig_finish(&rig);
}

Test(roots, requests_that_make_no_sense_are_refused) {
    struct faster_checkpoint_request request = {.kind = FASTER_CHECKPOINT_FOLD_OVER};
    start_transactional(4096);
    commit_numbers(3, 1, 100);
    ASSERT_STATUS(faster_session_take_checkpoint(rig.session, &request, NULL), FASTER_MISUSE);
    struct faster_commit_row row = *ledger_newest(&rig.ledger);
    request.durable = &row;
    request.kind = FASTER_CHECKPOINT_INDEX_ONLY;
    request.index = FASTER_INDEX_LEAVE;
    ASSERT_STATUS(faster_session_take_checkpoint(rig.session, &request, NULL), FASTER_MISUSE);
    request.kind = FASTER_CHECKPOINT_FOLD_OVER;
    request.index = FASTER_INDEX_AUTO;
    row.number++;
    ASSERT_STATUS(faster_session_take_checkpoint(rig.session, &request, NULL), FASTER_BEHIND);
    row.number--;
    row.nonce++;
    ASSERT_STATUS(faster_session_take_checkpoint(rig.session, &request, NULL), FASTER_COPY);
    row.nonce--;
    commit_numbers(3, 2, 100);
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, NULL));
    row.nonce++;
    ASSERT_STATUS(faster_session_take_checkpoint(rig.session, &request, NULL), FASTER_COPY);
    rig_reopen(&rig);
    row = *ledger_newest(&rig.ledger);
    ASSERT_OK(ledger_meet(&rig.ledger, rig.session));
    ASSERT_STATUS(faster_session_take_checkpoint(rig.session, &request, NULL), FASTER_BEHIND);
    rig_finish(&rig);
}
