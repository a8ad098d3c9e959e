/* test_backup_files.c - the files of copies: what nobody writes again is shared, and a copy that
 * fails leaves nothing (P4, P6, P7). */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "backup_rig.h"

TestSuite(backup_files, .init = backup_set_up);

/* ---- sharing ---- */

Test(backup_files, what_is_final_is_linked_and_neither_store_writes_to_it_again) {
    start();
    for (unsigned turn = 1; turn < 4; turn++) {
        fill_direct(turn);
        commit();
    }
    aim("copy");
    struct faster_backup_request request = {0};
    ASSERT_OK(back_up(NULL, &request));
    cr_assert(request.shared_bytes > request.copied_bytes, "%llu shared, %llu copied",
              (unsigned long long)request.shared_bytes, (unsigned long long)request.copied_bytes);
    cr_assert(count_linked(target) > 2);
    const uint64_t hash = hash_of_log(target);
    /* A life that ends without a word, and one that goes on behind it. */
    fill_direct(4);
    rig_crash(&rig);
    rig_open(&rig);
    fill_direct(5);
    rig_close(&rig);
    cr_assert_eq(hash_of_log(target), hash);
    rig_open(&rig);
    const uint64_t hash_of_original = hash_of_log(rig.directory);
    enter((struct ledger){0});
    rig_open(&rig);
    want_direct(3);
    fill_direct(6);
    rig_close(&rig);
    rig_open(&rig);
    want_direct(6);
    leave();
    cr_assert_eq(hash_of_log(rig.directory), hash_of_original);
    want_direct(5);
    verify_direct();
    stop();
}

/* Commits that their rows carry, up to the next segment; returns the one in which they begin. */
static uint64_t commit_over_a_segments_end(void) {
    const uint64_t segment_bytes = rig.options.segment_bytes;
    const uint64_t segment = ledger_newest(&rig.ledger)->end / segment_bytes;
    const uint64_t before = rig_stat(&rig, "inline_commits");
    uint64_t count = 0;
    for (; ledger_newest(&rig.ledger)->end / segment_bytes == segment; count++) {
        rig_commit_put(&rig, key_of((unsigned)count % KEYS), 1000 + (unsigned)count % KEYS, 3000);
    }
    cr_assert_eq(rig_stat(&rig, "inline_commits"), before + count);
    return segment;
}

/* What rows hold is written, or written again, before anything new is: while files are copied,
 * perhaps. Such segments are not linked, though all their bytes are of commits. */
Test(backup_files, segments_that_the_first_write_may_repeat_are_copied) {
    for (unsigned is_on_disk = 0; is_on_disk < 2; is_on_disk++) {
        start_transactional(0);
        fill_rows(1, 300);
        const uint64_t repeated_from = commit_over_a_segments_end();
        const uint64_t segment_count =
            ledger_newest(&rig.ledger)->end / rig.options.segment_bytes + 1;
        struct faster_txn *txn = rig_begin(&rig);
        for (unsigned i = 0; is_on_disk && i < 2000; i++) { /* pushes them out of memory */
            ASSERT_OK(rig_put(txn, key_of(i), 5, 500));
        }
        rig_crash(&rig);
        rig_open(&rig);
        want_rows(1);
        aim("copy");
        must_back_up(ledger_newest(&rig.ledger));
        cr_assert_gt(repeated_from, 0);
        for (uint64_t i = 0; i < segment_count; i++) {
            char path[500];
            struct stat info;
            snprintf(path, sizeof path, "%s/log.%012llx", target, (unsigned long long)i);
            if (stat(path, &info) == 0) {
                cr_assert_eq(info.st_nlink, i < repeated_from ? 2 : 1, "%s has %lu names", path,
                             (unsigned long)info.st_nlink);
            } else {
                cr_assert(i > repeated_from && !is_on_disk, "%s is missing", path);
            }
        }
        rig_finish(&rig);
    }
}

/* Every file has a second name, and the next life has to write again what the last one left:
 * a cut whose sync the manifest does not know, a jump in place of what was never committed. */
static void open_among_links(void (*write)(unsigned)) {
    char command[1300];
    char linked[400];
    snprintf(linked, sizeof linked, "%s/linked", rig.base);
    snprintf(command, sizeof command, "cp -al %s %s", rig.directory, linked);
    cr_assert_eq(system(command), 0);
    const unsigned before = count_linked(linked);
    const uint64_t hash = hash_of_log(linked);
    rig_open(&rig);
    cr_assert_eq(count_linked(linked), before); /* reading changes nothing */
    write(9);
    rig_close(&rig);
    cr_assert_eq(hash_of_log(linked), hash);
    cr_assert(count_linked(linked) < before);
}

static void write_rows(unsigned turn) {
    fill_rows(turn, 100);
    want_rows(turn);
}

static void write_direct(unsigned turn) {
    fill_direct(turn);
    want_direct(turn);
}

static void crash_and_close(void) {
    rig_crash(&rig);
}

Test(backup_files, files_with_a_second_name_are_replaced_before_the_first_write) {
    start();
    fill_direct(1);
    commit();
    fill_direct(2);
    commit();
    crash_and_close();
    open_among_links(write_direct);
    rig_open(&rig);
    want_direct(9);
    verify_direct();
    stop();
    start_transactional(0);
    fill_rows(1, 500);
    rig_commit_put(&rig, "key 1", 1001, 100);
    struct faster_txn *txn = rig_begin(&rig);
    for (unsigned i = 0; i < 2000; i++) { /* reaches the disk, and never counts */
        ASSERT_OK(rig_put(txn, key_of(i), 5, 500));
    }
    crash_and_close();
    open_among_links(write_rows);
    rig_open(&rig);
    want_rows(9);
    rig_verify(&rig);
    rig_finish(&rig);
}

/* One read of a worker's, in the middle of which it waits. */
static struct {
    pthread_t caller;
    atomic_bool is_taken;
    sem_t has_begun;
    sem_t may_go_on;
} held;

static void hold_read(void *context, enum fst_test_operation operation) {
    (void)context;
    (void)operation;
    if (!pthread_equal(pthread_self(), held.caller) && !atomic_exchange(&held.is_taken, true)) {
        sem_post(&held.has_begun);
        sem_wait(&held.may_go_on);
    }
}

/* A reader whose read is under way has the old file open: it is not waited for, and reads on. */
Test(backup_files, pending_reads_go_on_while_files_are_replaced, .timeout = 60) {
    enum { READS = 32 };
    struct faster_op ops[READS];
    struct faster_buffer values[READS];
    struct faster_snapshot now;
    char keys[READS][32];
    char command[1300];
    start();
    fill_direct(1);
    commit();
    crash_and_close();
    snprintf(command, sizeof command, "cp -al %s %s/linked", rig.directory, rig.base);
    cr_assert_eq(system(command), 0);
    rig.options.io = FASTER_IO_THREADS;
    rig.options.io_threads = 4;
    rig_open(&rig);
    held.caller = pthread_self();
    cr_assert(sem_init(&held.has_begun, 0, 0) == 0 && sem_init(&held.may_go_on, 0, 0) == 0);
    fst_test_env_hook(rig.test, FST_TEST_FILE_READ, hold_read, NULL);
    ASSERT_OK(faster_snapshot_open_newest(rig.session, &now));
    for (unsigned i = 0; i < READS; i++) {
        snprintf(keys[i], sizeof keys[i], "%s", key_of(i * 10));
        values[i] = (struct faster_buffer){.env = rig.options.env};
        ops[i] = (struct faster_op){.key = {keys[i], strlen(keys[i])}, .result = &values[i]};
        const enum faster_status status = faster_snapshot_read(&now, &ops[i]);
        cr_assert(status == FASTER_OK || status == FASTER_PENDING);
    }
    cr_assert_eq(sem_wait(&held.has_begun), 0);
    ASSERT_OK(put("another", "value")); /* the first write */
    sem_post(&held.may_go_on);
    faster_session_complete_pending(rig.session, true);
    for (unsigned i = 0; i < READS; i++) {
        ASSERT_OK(ops[i].status);
        faster_buffer_finish(&values[i]);
    }
    faster_snapshot_close(&now);
    want_direct(1);
    stop();
}

Test(backup_files, bytes_are_copied_where_links_are_refused) {
    start();
    fill_direct(1);
    aim("copy");
    fst_test_env_fail(rig.test, FST_TEST_PATH_LINK, 1, FST_TEST_FOR_EVER, FASTER_INVALID);
    struct faster_backup_request request = {0};
    ASSERT_OK(back_up(NULL, &request));
    cr_assert_eq(request.shared_bytes, 0);
    cr_assert(request.copied_bytes > 0);
    cr_assert_eq(count_linked(target), 0);
    enter((struct ledger){0});
    rig_open(&rig);
    want_direct(1);
    leave();
    stop();
}

/* A file system that can clone. */
static unsigned clone_count;

static enum faster_status clone_by_copying(const struct faster_env *env, struct fst_file *from,
                                           struct fst_file *to) {
    static char bytes[1u << 20];
    uint64_t at = 0;
    size_t count = 1;
    clone_count++;
    while (count > 0) {
        ASSERT_OK(env->file_read(env, from, at, bytes, sizeof bytes, &count));
        ASSERT_OK(env->file_write(env, to, at, bytes, count));
        at += count;
    }
    return FASTER_OK;
}

Test(backup_files, files_are_cloned_where_the_file_system_can) {
    static struct faster_env cloning;
    start();
    rig_close(&rig);
    cloning = *rig.options.env;
    cloning.file_clone = clone_by_copying;
    rig.options.env = &cloning;
    rig_open(&rig);
    fill_direct(1);
    aim("copy");
    clone_count = 0;
    struct faster_backup_request request = {0};
    ASSERT_OK(back_up(NULL, &request));
    cr_assert(clone_count > 2);
    cr_assert_eq(request.copied_bytes, 0);
    cr_assert_eq(count_linked(target), 0);
    fill_direct(2);
    commit();
    enter((struct ledger){0});
    rig_open(&rig);
    want_direct(1);
    verify_direct();
    leave();
    stop();
}

/* The clone has all of the file first. */
Test(backup_files, clone_ends_with_the_copied_commit) {
    static struct faster_env cloning;
    struct faster_backup_request request = {0};
    start_transactional(RIG_NEVER_INLINE);
    rig_close(&rig);
    cloning = *rig.options.env;
    cloning.file_clone = clone_by_copying;
    rig.options.env = &cloning;
    rig_open(&rig);
    rig_commit_put(&rig, "key 1", 1001, 100);
    const struct faster_commit_row row = *ledger_newest(&rig.ledger);
    fill_rows(2, 30);
    aim("copy");
    clone_count = 0;
    ASSERT_OK(back_up(&row, &request));
    cr_assert_eq(clone_count, 1);
    cr_assert_eq(bytes_of_segment(0), 4096 + (row.end + 4095) / 4096 * 4096);
    cr_assert_eq(request.shared_bytes, bytes_of_segment(0));
    rig_finish(&rig);
}

/* ---- failures ---- */

static bool stop_at_zero(void *context) {
    unsigned *left = context;
    return *left == 0 || --*left == 0;
}

/* Between two files, and within one. */
Test(backup_files, interrupted_at_any_time_leaves_nothing) {
    start();
    fill_direct(1);
    commit();
    const unsigned file_count = (unsigned)(rig.store->last_cut.end / rig.options.segment_bytes) + 1;
    fst_test_env_fail(rig.test, FST_TEST_PATH_LINK, 1, FST_TEST_FOR_EVER, FASTER_INVALID);
    aim("copy");
    enum faster_status status = FASTER_INTERRUPTED;
    unsigned count = 0;
    while (status != FASTER_OK) {
        unsigned left = ++count;
        struct faster_backup_request request = {.interrupt = stop_at_zero,
                                                .interrupt_context = &left};
        status = back_up(NULL, &request);
        if (status != FASTER_OK) {
            ASSERT_STATUS(status, FASTER_INTERRUPTED);
            want_nothing();
        }
    }
    cr_assert(count > 2 * file_count, "asked %u times for %u files", count, file_count);
    stop();
}

/* Everything is durable already: the calls are those of the backup alone. Some are not needed. */
static void fail_each(enum fst_test_operation operation, enum faster_status injected,
                      bool is_needed) {
    for (uint64_t nth = 1;; nth++) {
        struct faster_backup_request request = {0};
        fst_test_env_fail(rig.test, operation, nth, 1, injected);
        const enum faster_status status = back_up(NULL, &request);
        const bool has_failed = fst_test_env_failed(rig.test, operation) > 0;
        fst_test_env_heal_all(rig.test);
        if (status != FASTER_OK) {
            cr_assert(has_failed, "%s without a fault", faster_status_name(status));
            cr_assert(is_needed, "operation %d, call %llu: %s", operation, (unsigned long long)nth,
                      faster_status_name(status));
            want_nothing();
        } else {
            cr_assert(!has_failed || !is_needed, "operation %d, call %llu", operation,
                      (unsigned long long)nth);
            char command[600];
            enter((struct ledger){0});
            rig_open(&rig);
            want_direct(2);
            leave();
            snprintf(command, sizeof command, "rm -r %s/copy", rig.base);
            cr_assert_eq(system(command), 0);
            if (!has_failed) {
                cr_assert_gt(nth, 1, "operation %d is not called", operation);
                return;
            }
        }
    }
}

Test(backup_files, any_call_that_fails_leaves_nothing_or_a_whole_copy) {
    static const struct {
        enum fst_test_operation operation;
        enum faster_status status;
        bool is_needed;
    } faults[] = {
        {FST_TEST_ALLOCATE, FASTER_NOMEM, true},    {FST_TEST_FILE_OPEN, FASTER_FULL, true},
        {FST_TEST_FILE_READ, FASTER_IO, true},      {FST_TEST_FILE_WRITE, FASTER_FULL, true},
        {FST_TEST_FILE_WRITE, FASTER_IO, true},     {FST_TEST_FILE_SYNC, FASTER_IO, true},
        {FST_TEST_FILE_SIZE, FASTER_IO, true},      {FST_TEST_FILE_OWN, FASTER_IO, false},
        {FST_TEST_PATH_LINK, FASTER_IO, false},     {FST_TEST_DIRECTORY_CREATE, FASTER_FULL, true},
        {FST_TEST_DIRECTORY_SYNC, FASTER_IO, true}, {FST_TEST_DIRECTORY_LIST, FASTER_IO, true},
    };
    start();
    fill_direct(1);
    commit();
    fill_direct(2);
    commit();
    struct faster_checkpoint_request request = {.index = FASTER_INDEX_COPY};
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, NULL));
    aim("copy");
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        fail_each(faults[i].operation, faults[i].status, faults[i].is_needed);
    }
    want_direct(2);
    fill_direct(3);
    commit();
    stop();
}

/* What cannot be removed is not taken for a store: the identity goes first. */
Test(backup_files, failure_that_cannot_be_undone_leaves_no_store) {
    struct faster_backup_request request = {0};
    char path[500];
    start();
    fill_direct(1);
    commit();
    aim("copy");
    must_back_up(NULL);
    const uint64_t syncs = fst_test_env_calls(rig.test, FST_TEST_DIRECTORY_SYNC);
    aim("again");
    must_back_up(NULL);
    const uint64_t count = fst_test_env_calls(rig.test, FST_TEST_DIRECTORY_SYNC) - syncs;
    aim("failed");
    fst_test_env_fail(rig.test, FST_TEST_DIRECTORY_SYNC, count, 1, FASTER_IO);
    fst_test_env_fail(rig.test, FST_TEST_PATH_REMOVE, 2, FST_TEST_FOR_EVER, FASTER_IO);
    ASSERT_STATUS(back_up(NULL, &request), FASTER_IO);
    cr_assert_gt(fst_test_env_failed(rig.test, FST_TEST_PATH_REMOVE), 0);
    fst_test_env_heal_all(rig.test);
    cr_assert(exists(target));
    snprintf(path, sizeof path, "%s/%s", target, FST_NAME_IDENTITY);
    cr_assert(!exists(path));
    stop();
}

/* The replacement of files with a second name may fail, too: the first write may be repeated. */
Test(backup_files, first_write_may_be_repeated_if_a_file_could_not_be_replaced) {
    static const enum fst_test_operation operations[] = {
        FST_TEST_ALLOCATE,    FST_TEST_FILE_OPEN,   FST_TEST_FILE_WRITE,     FST_TEST_FILE_READ,
        FST_TEST_PATH_RENAME, FST_TEST_PATH_REMOVE, FST_TEST_DIRECTORY_LIST, FST_TEST_PATH_INFO};
    char command[1300];
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        start();
        fill_direct(1);
        commit();
        crash_and_close();
        snprintf(command, sizeof command, "cp -al %s %s/linked", rig.directory, rig.base);
        cr_assert_eq(system(command), 0);
        snprintf(target, sizeof target, "%s/linked", rig.base);
        const uint64_t hash = hash_of_log(target);
        rig_open(&rig);
        unsigned failures = 0;
        for (uint64_t nth = 1; nth < 12; nth++) {
            fst_test_env_fail(rig.test, operations[i], nth, 1, FASTER_FULL);
            const enum faster_status status = put("first", "write");
            const bool has_failed = fst_test_env_failed(rig.test, operations[i]) > 0;
            fst_test_env_heal_all(rig.test);
            if (status == FASTER_OK) {
                break;
            }
            cr_assert(has_failed, "%s without a fault", faster_status_name(status));
            failures++;
        }
        cr_assert_gt(failures, 0, "operation %d", operations[i]);
        ASSERT_OK(put("first", "write"));
        want_direct(1);
        rig_reopen(&rig);
        want("first", "write");
        cr_assert_eq(hash_of_log(target), hash);
        stop();
    }
}
