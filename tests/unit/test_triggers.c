/* test_triggers.c - checkpoints that are due by themselves (P3, P5): by bytes, by time, and what
 * becomes of it if one fails.
 *
 * Time is the test environment's: it is advanced. A thread of the store's acts on it, so each test
 * waits for the figure that tells; only a store that does nothing lets that last.
 */
#include "direct_rig.h"

#include <pthread.h>
#include <unistd.h>

#define BYTES (128u << 10)
#define RECORD_BYTES_MAX 1100u
#define SECOND_NS UINT64_C(1000000000)
#define HOUR_MS 3600000u
#define HOUR_NS (HOUR_MS * UINT64_C(1000000))
#define PATIENCE_MS 60000u

static unsigned warning_count;
static unsigned written;

static void count_warnings(void *context, enum faster_diagnostic_level level, const char *module,
                           const char *message) {
    (void)context;
    (void)message;
    if (level == FASTER_DIAGNOSTIC_WARNING && strcmp(module, "checkpoint") == 0) {
        __atomic_fetch_add(&warning_count, 1, __ATOMIC_RELAXED);
    }
}

static void set_up(void) {
    warning_count = 0;
    written = 0;
}

TestSuite(triggers, .init = set_up);

/* ---- helpers ---- */

static void set_triggers(uint64_t bytes, uint32_t interval_ms) {
    rig.options.checkpoint_bytes = bytes;
    rig.options.checkpoint_interval_ms = interval_ms;
    rig.options.diagnostic = count_warnings;
}

static void start_direct(uint64_t bytes, uint32_t interval_ms) {
    start();
    set_triggers(bytes, interval_ms);
    rig_reopen(&rig);
}

static void start_transactional(uint64_t bytes, uint32_t interval_ms) {
    rig_start(&rig, 4096);
    set_triggers(bytes, interval_ms);
    rig_reopen(&rig);
    ASSERT_OK(ledger_meet(&rig.ledger, rig.session));
}

/* A record of a kilobyte, under a key that returns after 400 others. */
static void write_one(void) {
    char key[32];
    char value[1000] = {0};
    snprintf(key, sizeof key, "key %u", written % 400);
    snprintf(value, sizeof value, "%u", written++);
    ASSERT_OK(put_sized(key, value, sizeof value));
}

static void write_many(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        write_one();
    }
}

static void want_written(void) {
    for (unsigned i = written < 400 ? 0 : written - 400; i < written; i++) {
        char key[32];
        char text[32];
        snprintf(key, sizeof key, "key %u", i % 400);
        snprintf(text, sizeof text, "%u", i);
        want(key, text);
    }
}

static void wait_for(const char *name, uint64_t at_least) {
    for (unsigned i = 0; stat_of(name) < at_least; i++) {
        cr_assert(i < PATIENCE_MS, "%s stays %llu", name, (unsigned long long)stat_of(name));
        usleep(1000);
    }
}

/* And all that belongs to it. */
static void wait_for_taken(uint64_t at_least) {
    wait_for("checkpoints_by_themselves", at_least);
    for (unsigned i = 0; stat_of("checkpoint_phase") != 0; i++) {
        cr_assert(i < PATIENCE_MS, "the checkpoint does not end");
        usleep(1000);
    }
}

/* A record that begins below the bound makes none due. */
static void wait_for_short_log(void) {
    for (unsigned i = 0; stat_of("log_tail") - stat_of("replay_from") >= BYTES + RECORD_BYTES_MAX ||
                         stat_of("checkpoint_phase") != 0;
         i++) {
        cr_assert(i < PATIENCE_MS, "the log stays long");
        usleep(1000);
    }
}

static bool has_thread(void) {
    return rig.store->triggers.thread != NULL;
}

/* The thread has looked at the clock as it is. */
static void wait_for_tick(void) {
    const struct faster_env *env = rig.options.env;
    struct fst_triggers *triggers = &rig.store->triggers;
    bool has_ticked = false;
    for (unsigned i = 0; !has_ticked; i++) {
        cr_assert(i < PATIENCE_MS, "the clock stands still");
        usleep(1000);
        env->mutex_lock(env, triggers->mutex);
        has_ticked = triggers->tick_at_ns > env->monotonic_ns(env);
        env->mutex_unlock(env, triggers->mutex);
    }
}

static uint64_t list(struct faster_checkpoint *newest) {
    return faster_store_checkpoints(rig.store, newest, 1);
}

static void verify_nothing_wrong(void) {
    uint64_t findings = 0;
    ASSERT_OK(faster_session_verify(rig.session, NULL, NULL, NULL, NULL, &findings));
    cr_assert_eq(findings, 0);
}

/* ---- direct stores ---- */

Test(triggers, bytes_bound_what_recovery_reads) {
    start_direct(BYTES, 0);
    struct faster_checkpoint newest;
    for (unsigned i = 0; i < 20; i++) {
        write_many(100);
        wait_for_short_log();
    }
    cr_assert_geq(stat_of("checkpoints_by_themselves"), 10);
    cr_assert_eq(stat_of("checkpoint_cause"), 2);
    cr_assert_gt(stat_of("checkpoint_begun_ns"), 0);
    cr_assert_geq(list(&newest), 1);
    cr_assert_eq(newest.index_number, newest.number);
    commit();
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_lt(stat_of("recovered_records"), 2 * BYTES / 1000);
    want_written();
    cr_assert_eq(warning_count, 0);
    stop();
}

static fst_atomic_u32 is_held;
static fst_atomic_u32 may_go_on;
static pthread_t writer;

/* Stops the store's thread where it begins to write its copy of the index. */
static void hold_thread(void *context, enum fst_test_operation operation) {
    (void)context;
    (void)operation;
    while (!pthread_equal(pthread_self(), writer) && fst_load_relaxed_u32(&may_go_on) == 0) {
        fst_store_relaxed_u32(&is_held, 1);
        usleep(1000);
    }
}

/* What is written while the index is copied makes the log long: the next checkpoint follows. */
Test(triggers, log_that_grew_long_beside_the_copy_is_shortened) {
    start_direct(BYTES, 0);
    writer = pthread_self();
    fst_test_env_hook(rig.test, FST_TEST_FILE_WRITE, hold_thread, NULL);
    write_many(BYTES / 1000 + 10);
    for (unsigned i = 0; fst_load_relaxed_u32(&is_held) == 0; i++) {
        cr_assert(i < PATIENCE_MS, "no checkpoint begins");
        usleep(1000);
    }
    write_many(BYTES / 1000 + 10);
    fst_store_relaxed_u32(&may_go_on, 1);
    wait_for_short_log();
    cr_assert_geq(stat_of("checkpoints_by_themselves"), 2);
    rig_reopen(&rig);
    want_written();
    stop();
}

/* The clock starts with the first write; each tick takes one if there is news, however it was
 * written. */
Test(triggers, time_takes_one_for_each_tick_with_news) {
    start_direct(UINT64_MAX, HOUR_MS);
    fst_test_env_advance(rig.test, 10 * HOUR_NS);
    want("key 0", NULL);
    cr_assert(!has_thread());
    for (unsigned i = 1; i <= 3; i++) {
        ASSERT_OK(put("counter", "1"));
        const uint64_t in_place = stat_of("in_place_updates");
        ASSERT_OK(put("counter", "2"));
        cr_assert_eq(stat_of("in_place_updates"), in_place + 1);
        fst_test_env_advance(rig.test, HOUR_NS);
        wait_for_taken(i);
        cr_assert_eq(stat_of("checkpoint_cause"), 3);
        fst_test_env_advance(rig.test, 5 * HOUR_NS);
        wait_for_tick();
        cr_assert_eq(stat_of("checkpoints_by_themselves"), i);
    }
    cr_assert(has_thread());
    rig_crash(&rig);
    rig_open(&rig);
    want("counter", "2");
    stop();
}

Test(triggers, short_log_has_no_thread) {
    start_direct(BYTES, 0);
    write_many(50);
    commit();
    cr_assert(!has_thread());
    rig_reopen(&rig);
    want_written();
    cr_assert_eq(stat_of("checkpoints"), 0);
    stop();
}

Test(triggers, call_postpones_the_next) {
    start_direct(BYTES, 0);
    const struct faster_checkpoint_request request = {.index = FASTER_INDEX_COPY};
    for (unsigned i = 0; i < 20; i++) {
        write_many(60);
        ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, NULL));
        cr_assert_eq(stat_of("checkpoint_cause"), 1);
    }
    cr_assert_eq(stat_of("checkpoints"), 20);
    cr_assert_eq(stat_of("checkpoints_by_themselves"), 0);
    stop();
}

Test(triggers, off_means_none) {
    for (unsigned i = 0; i < 2; i++) {
        start();
        set_triggers(i == 0 ? UINT64_MAX : BYTES, i == 0 ? 0 : HOUR_MS);
        rig.options.no_background = i == 1;
        rig_reopen(&rig);
        write_many(400);
        fst_test_env_advance(rig.test, 2 * HOUR_NS);
        write_many(10);
        cr_assert(!has_thread());
        cr_assert_eq(stat_of("checkpoints"), 0);
        cr_assert_eq(stat_of("checkpoint_bytes_max"), 0);
        stop();
        set_up();
    }
}

Test(triggers, default_is_twice_memory_and_256_mib_at_least) {
    start();
    cr_assert_eq(stat_of("checkpoint_bytes_max"), 256u << 20);
    rig.options.memory_bytes = 200u << 20;
    rig_reopen(&rig);
    cr_assert_eq(stat_of("checkpoint_bytes_max"), 400u << 20);
    rig.options.memory_bytes = FASTER_MEMORY_BYTES_MIN;
    rig.options.checkpoint_bytes = FASTER_CHECKPOINT_BYTES_MIN - 1;
    rig_close(&rig);
    ASSERT_STATUS(rig_try_open(&rig), FASTER_INVALID);
    stop();
}

Test(triggers, read_only_and_memory_take_none) {
    start_direct(BYTES, HOUR_MS);
    write_many(300);
    wait_for_short_log();
    rig_close(&rig);
    rig.options.read_only = true;
    rig_open(&rig);
    want_written();
    fst_test_env_advance(rig.test, 2 * HOUR_NS);
    cr_assert(!has_thread());
    cr_assert_eq(stat_of("checkpoints"), 0);
    rig_close(&rig);
    struct faster_options options = rig.options;
    options.read_only = false;
    options.directory = NULL;
    ASSERT_OK(faster_store_open(&options, &rig.store, NULL));
    ASSERT_OK(faster_session_open(rig.store, &rig.session));
    write_many(300);
    cr_assert(!has_thread());
    stop();
}

/* ---- failures ---- */

Test(triggers, failure_is_told_once_and_tried_again) {
    start_direct(BYTES, 0);
    fst_test_env_fail(rig.test, FST_TEST_PATH_RENAME, 1, FST_TEST_FOR_EVER, FASTER_IO);
    write_many(200);
    wait_for("checkpoint_failures", 1);
    for (unsigned i = 2; i <= 9; i++) {
        write_many(40);
        commit();
        fst_test_env_advance(rig.test, 64 * SECOND_NS);
        wait_for("checkpoint_failures", i);
    }
    cr_assert_eq(warning_count, 1);
    cr_assert_eq(stat_of("checkpoints_by_themselves"), 0);
    fst_test_env_heal_all(rig.test);
    fst_test_env_advance(rig.test, 64 * SECOND_NS);
    wait_for_taken(1);
    wait_for_short_log();
    want_written();
    /* A second run of failures is told again. */
    fst_test_env_fail(rig.test, FST_TEST_PATH_RENAME, 1, FST_TEST_FOR_EVER, FASTER_IO);
    write_many(200);
    wait_for("checkpoint_failures", 10);
    cr_assert_eq(warning_count, 2);
    fst_test_env_heal_all(rig.test);
    rig_reopen(&rig); /* does not wait for the next try */
    want_written();
    verify_nothing_wrong();
    stop();
}

Test(triggers, full_disk_is_waited_for) {
    start_direct(BYTES, 0);
    write_many(100);
    /* A root, a manifest and an index have files of their own; the log's are open. */
    fst_test_env_fail(rig.test, FST_TEST_FILE_OPEN, 1, FST_TEST_FOR_EVER, FASTER_FULL);
    write_many(40); /* they stay in memory */
    wait_for("checkpoint_failures", 1);
    fst_test_env_heal_all(rig.test);
    fst_test_env_advance(rig.test, 64 * SECOND_NS);
    write_many(200);
    wait_for_taken(1);
    want_written();
    stop();
}

/* After that nothing can be written: one that was due is tried once more, neither bytes nor time
 * make another one due, nobody waits. */
Test(triggers, failed_log_ends_it) {
    start_direct(BYTES, HOUR_MS);
    fst_test_env_fail(rig.test, FST_TEST_PATH_RENAME, 1, FST_TEST_FOR_EVER, FASTER_IO);
    write_many(200);
    wait_for("checkpoint_failures", 1);
    fst_test_env_fail(rig.test, FST_TEST_FILE_SYNC, 1, FST_TEST_FOR_EVER, FASTER_IO);
    ASSERT_OK(put("a", "b"));
    ASSERT_STATUS(faster_session_commit(rig.session), FASTER_IO);
    fst_test_env_heal_all(rig.test);
    ASSERT_STATUS(put("a", "c"), FASTER_FAILED);
    fst_test_env_advance(rig.test, SECOND_NS);
    wait_for("checkpoint_failures", 2);
    for (unsigned i = 0; i < 3; i++) { /* what one of them begins is over with the next */
        fst_test_env_advance(rig.test, HOUR_NS);
        wait_for_tick();
    }
    cr_assert_eq(stat_of("checkpoint_failures"), 2);
    cr_assert_eq(stat_of("checkpoints"), 0);
    stop();
}

Test(triggers, without_a_thread_it_is_tried_again_later) {
    start_direct(BYTES, 0);
    fst_test_env_fail(rig.test, FST_TEST_THREAD_START, 1, 1, FASTER_FULL);
    while (fst_test_env_failed(rig.test, FST_TEST_THREAD_START) == 0) {
        write_one();
    }
    cr_assert_eq(stat_of("checkpoint_failures"), 1);
    cr_assert_eq(warning_count, 1);
    cr_assert_eq(stat_of("checkpoints"), 0);
    fst_test_env_advance(rig.test, SECOND_NS);
    write_many(BYTES / 4 / 1000 + 20);
    wait_for_taken(1);
    want_written();
    stop();
}

/* ---- transactional stores ---- */

static void commit_many(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        char key[32];
        snprintf(key, sizeof key, "key %u", i % 400);
        rig_commit_put(&rig, key, i + 1, 1000);
    }
}

static bool claim(void) {
    return faster_store_checkpoint_claim(rig.store);
}

static void hand_over(void) {
    struct faster_commit_row row;
    cr_assert(faster_store_committed(rig.store, &row));
    faster_store_checkpoint_hand_over(rig.store, &row);
}

Test(triggers, commit_that_is_claimed_becomes_a_checkpoint) {
    start_transactional(BYTES, 0);
    struct faster_checkpoint newest;
    commit_many(50);
    cr_assert(!claim());
    for (unsigned i = 1; i <= 3; i++) {
        commit_many(300);
        cr_assert_eq(has_thread(), i > 1);
        cr_assert(claim());
        cr_assert(!claim());
        hand_over();
        wait_for_taken(i);
        cr_assert_eq(list(&newest), 1 + (i > 1));
        cr_assert_eq(newest.index_number, newest.number);
        cr_assert_eq(newest.point_number, stat_of("committed_number"));
        cr_assert(!claim());
    }
    uint64_t obsolete = 0;
    struct faster_txn *txn = rig_begin(&rig);
    struct faster_commit_row row;
    ASSERT_OK(rig_put(txn, "last", 7, 100));
    ASSERT_OK(faster_txn_prepare(txn, &row, &obsolete));
    cr_assert_eq(obsolete, newest.point_number);
    faster_txn_rollback(txn);
    rig_crash(&rig);
    rig_open(&rig);
    ASSERT_OK(ledger_meet(&rig.ledger, rig.session));
    cr_assert_lt(rig_stat(&rig, "recovered_records"), 20);
    cr_assert_eq(rig_get(&rig, "key 299"), 300);
    rig_verify(&rig);
    stop();
}

Test(triggers, decider_that_cannot_be_synced_is_asked_again_later) {
    start_transactional(BYTES, 0);
    commit_many(300);
    cr_assert(claim());
    faster_store_checkpoint_hand_over(rig.store, NULL);
    cr_assert_eq(stat_of("checkpoint_failures"), 1);
    cr_assert_eq(warning_count, 1);
    cr_assert(!claim());
    fst_test_env_advance(rig.test, SECOND_NS);
    cr_assert(claim());
    faster_store_checkpoint_hand_over(rig.store, NULL);
    fst_test_env_advance(rig.test, SECOND_NS);
    cr_assert(!claim());
    fst_test_env_advance(rig.test, SECOND_NS);
    cr_assert(claim());
    hand_over();
    wait_for_taken(1);
    cr_assert_eq(warning_count, 1);
    stop();
}

Test(triggers, failure_of_a_transactional_one_wants_another_commit) {
    start_transactional(BYTES, 0);
    commit_many(300);
    cr_assert(claim());
    fst_test_env_fail(rig.test, FST_TEST_PATH_RENAME, 1, FST_TEST_FOR_EVER, FASTER_IO);
    hand_over();
    wait_for("checkpoint_failures", 1);
    cr_assert(!claim());
    fst_test_env_heal_all(rig.test);
    commit_many(3);
    fst_test_env_advance(rig.test, SECOND_NS);
    cr_assert(claim());
    hand_over();
    wait_for_taken(1);
    stop();
}

/* The thread's last one is over, and what it has left behind is settled. */
static void wait_for_rest(void) {
    const struct faster_env *env = rig.options.env;
    struct fst_triggers *triggers = &rig.store->triggers;
    bool rests = false;
    for (unsigned i = 0; !rests; i++) {
        cr_assert(i < PATIENCE_MS, "the thread does not rest");
        usleep(1000);
        env->mutex_lock(env, triggers->mutex);
        rests = !triggers->has_row && triggers->cause == FST_CAUSE_NONE;
        env->mutex_unlock(env, triggers->mutex);
    }
}

/* A call's checkpoint without an index, of a later commit, leaves the log as long as it is and the
 * due one with nothing to do. */
Test(triggers, due_one_that_was_overtaken_is_due_again_a_quarter_later) {
    start_transactional(BYTES, 0);
    struct faster_commit_row old;
    struct faster_commit_row newer;
    commit_many(300);
    cr_assert(claim());
    cr_assert(faster_store_committed(rig.store, &old));
    commit_many(1);
    cr_assert(faster_store_committed(rig.store, &newer));
    const struct faster_checkpoint_request request = {.index = FASTER_INDEX_LEAVE,
                                                      .durable = &newer};
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, NULL));
    commit_many(BYTES / 4 / 1000 + 20);
    cr_assert(claim());
    faster_store_checkpoint_hand_over(rig.store, &old);
    wait_for_rest();
    cr_assert_eq(stat_of("checkpoints"), 1);
    cr_assert_eq(stat_of("checkpoint_failures"), 0);
    commit_many(BYTES / 4 / 1000 / 2);
    cr_assert(!claim());
    commit_many(BYTES / 4 / 1000);
    cr_assert(claim());
    hand_over();
    wait_for_taken(1);
    rig_verify(&rig);
    stop();
}

Test(triggers, time_wants_a_commit_if_there_is_news) {
    start_transactional(UINT64_MAX, HOUR_MS);
    for (unsigned i = 1; i <= 2; i++) {
        commit_many(3);
        cr_assert(!claim());
        fst_test_env_advance(rig.test, HOUR_NS);
        for (unsigned turn = 0; !claim(); turn++) {
            cr_assert_lt(turn, PATIENCE_MS);
            usleep(1000);
        }
        hand_over();
        wait_for_taken(i);
        cr_assert_eq(stat_of("checkpoint_cause"), 3);
        fst_test_env_advance(rig.test, 3 * HOUR_NS);
        wait_for_tick();
        cr_assert(!claim());
    }
    stop();
}

/* Only if there is space to give back. */
Test(triggers, old_snapshot_stays_unless_space_comes_back) {
    start_transactional(BYTES, 0);
    struct faster_snapshot snapshot;
    struct faster_commit_row old;
    rig_commit_put(&rig, "first", 1, 100);
    cr_assert(faster_store_committed(rig.store, &old));
    for (unsigned i = 0; i < 200; i++) {
        char key[32];
        snprintf(key, sizeof key, "new %u", i);
        rig_commit_put(&rig, key, i + 1, 1000);
    }
    cr_assert(claim());
    hand_over();
    wait_for_taken(1);
    ASSERT_OK(faster_snapshot_open(rig.session, &old, &snapshot));
    faster_snapshot_close(&snapshot);
    const uint64_t begin = stat_of("log_begin");
    rig_commit_put(&rig, "first", 2, 100);
    for (unsigned i = 0; i < 200; i++) {
        char key[32];
        snprintf(key, sizeof key, "new %u", i);
        rig_commit_put(&rig, key, i + 2, 1000);
    }
    cr_assert(claim());
    hand_over();
    wait_for_taken(2);
    cr_assert_gt(stat_of("log_begin"), begin);
    ASSERT_STATUS(faster_snapshot_open(rig.session, &old, &snapshot), FASTER_SNAPSHOT_GONE);
    rig_verify(&rig);
    stop();
}

Test(triggers, one_before_close_pays_once_the_log_is_longer_than_an_index) {
    start_transactional(UINT64_MAX, 0);
    commit_many(100);
    cr_assert(!faster_store_checkpoint_pays(rig.store));
    commit_many(600);
    cr_assert(faster_store_checkpoint_pays(rig.store));
    struct faster_commit_row row;
    cr_assert(faster_store_committed(rig.store, &row));
    const struct faster_checkpoint_request request = {.durable = &row};
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, NULL));
    cr_assert(!faster_store_checkpoint_pays(rig.store));
    stop();
}
