/* test_io_budget.c - the memory of pending operations is the store's, not each session's (P4).
 *
 * The results are in memory that the counted environment does not see, as they are the caller's.
 */
#include "large_values.h"

#include <pthread.h>

/* After it: the rig in there has the name of its arguments. */
#include "direct_rig.h"

#include "store/io_budget.h"
#include "store/pending.h"

#define KEYS 400u
#define VALUE_BYTES 12000u
#define SMALL_BYTES 300u
/* One record of that with its key, in whole sectors, one sector more to align it, and a slot. */
#define RECORD_BYTES_MAX (VALUE_BYTES + 2048u)
/* Threads, lists and other small things of the device. */
#define SMALL_THINGS_BYTES 65536u

TestSuite(io_budget, .init = start, .fini = stop, .timeout = 120);

/* ---- the budget by itself ---- */

static uint64_t clock_ns;

static uint64_t read_clock(const struct faster_env *env) {
    (void)env;
    return clock_ns;
}

Test(io_budget, one_account_gets_three_quarters_and_others_of_the_rest) {
    struct fst_io_budget budget = {0};
    struct fst_io_account one = {0};
    struct fst_io_account other = {0};
    ASSERT_OK(fst_io_budget_init(&budget, rig.options.env, 4000));
    ASSERT_OK(fst_io_account_init(&one, rig.options.env));
    ASSERT_OK(fst_io_account_init(&other, rig.options.env));
    cr_expect(fst_io_take(&budget, &one, 2000));
    cr_expect(fst_io_take(&budget, &one, 1000));
    cr_expect(!fst_io_take(&budget, &one, 1));
    cr_expect(fst_io_take(&budget, &other, 750));
    cr_expect(!fst_io_take(&budget, &other, 1));
    cr_expect(fst_io_is_tight(&budget));
    fst_io_overdraw(&budget, &other, 9000);
    cr_expect_eq(fst_load_relaxed_u64(&budget.peak_bytes), 12750);
    fst_io_give(&budget, &other, 9750);
    fst_io_give(&budget, &one, 1000);
    cr_expect(!fst_io_is_tight(&budget));
    fst_io_give(&budget, &one, 2000);
    cr_expect_eq(fst_load_relaxed_u64(&budget.used_bytes), 0);
    cr_expect_eq(fst_load_relaxed_u64(&budget.peak_bytes), 12750);
    fst_io_account_finish(&one, rig.options.env);
    fst_io_account_finish(&other, rig.options.env);
    fst_io_budget_finish(&budget);
}

Test(io_budget, turn_that_stands_still_is_taken_over) {
    struct faster_env env = *rig.options.env;
    struct fst_io_budget budget = {0};
    struct fst_io_account one = {0};
    struct fst_io_account other = {0};
    env.monotonic_ns = read_clock;
    ASSERT_OK(fst_io_budget_init(&budget, &env, 4000));
    ASSERT_OK(fst_io_account_init(&one, &env));
    ASSERT_OK(fst_io_account_init(&other, &env));
    cr_expect(fst_io_turn_take(&budget, &one, true));
    clock_ns += FST_IO_STALL_NS - 1;
    cr_expect(!fst_io_turn_take(&budget, &other, false));
    clock_ns++;
    cr_expect(fst_io_turn_take(&budget, &other, true));
    fst_io_turn_give(&budget, &one); /* is not its own any more */
    cr_expect(!fst_io_turn_take(&budget, &one, false));
    fst_io_turn_give(&budget, &other);
    cr_expect(fst_io_turn_take(&budget, &one, false));
    fst_io_turn_give(&budget, &one);
    fst_io_account_finish(&one, &env);
    fst_io_account_finish(&other, &env);
    fst_io_budget_finish(&budget);
}

/* What happens while the account waits, one step for each wait. */
static struct {
    struct fst_io_budget *budget;
    struct fst_io_account *before;
    struct fst_io_account *sleeper;
    struct fst_io_account *behind;
    unsigned steps;
} slept;

static bool sleep_on(const struct faster_env *env, struct fst_condition *condition,
                     struct fst_mutex *mutex, uint64_t timeout_ns) {
    (void)condition;
    (void)timeout_ns;
    env->mutex_unlock(env, mutex);
    switch (slept.steps++) {
    case 0: /* it is called, but does not wake up for so long that the next one takes over */
        fst_io_turn_give(slept.budget, slept.before);
        cr_assert_eq(slept.budget->holder, slept.sleeper);
        clock_ns += FST_IO_STALL_NS;
        cr_assert(fst_io_turn_take(slept.budget, slept.behind, false));
        cr_assert(!fst_io_turn_take(slept.budget, slept.before, false));
        break;
    case 1:
        fst_io_turn_give(slept.budget, slept.behind);
        break;
    default:
        cr_assert_fail("it waits for a turn that nobody gives it");
    }
    env->mutex_lock(env, mutex);
    return true;
}

Test(io_budget, who_sleeps_over_its_turn_gets_the_next_one) {
    struct faster_env env = *rig.options.env;
    struct fst_io_budget budget = {0};
    struct fst_io_account accounts[3] = {0};
    env.monotonic_ns = read_clock;
    env.condition_wait = sleep_on;
    ASSERT_OK(fst_io_budget_init(&budget, &env, 4000));
    for (unsigned i = 0; i < 3; i++) {
        ASSERT_OK(fst_io_account_init(&accounts[i], &env));
    }
    slept.budget = &budget;
    slept.before = &accounts[0];
    slept.sleeper = &accounts[1];
    slept.behind = &accounts[2];
    cr_assert(fst_io_turn_take(&budget, slept.before, true));
    cr_assert(fst_io_turn_take(&budget, slept.sleeper, true));
    cr_assert_eq(slept.steps, 2);
    cr_assert_eq(budget.holder, slept.sleeper);
    fst_io_turn_give(&budget, slept.sleeper);
    cr_assert_null(budget.holder);
    for (unsigned i = 0; i < 3; i++) {
        fst_io_account_finish(&accounts[i], &env);
    }
    fst_io_budget_finish(&budget);
}

enum { TURN_THREADS = 8, TURNS = 500 };
static struct fst_io_budget shared_budget;
static fst_atomic_u64 at_once;
static fst_atomic_u64 turns_had;

static void *take_turns(void *env) {
    struct fst_io_account account = {0};
    ASSERT_OK(fst_io_account_init(&account, env));
    for (unsigned i = 0; i < TURNS; i++) {
        cr_assert(fst_io_turn_take(&shared_budget, &account, true));
        cr_assert_eq(fst_add_relaxed_u64(&at_once, 1), 0);
        if (i % 16 == 0) {
            rig.options.env->yield(rig.options.env);
        }
        fst_add_relaxed_u64(&at_once, UINT64_MAX);
        fst_add_relaxed_u64(&turns_had, 1);
        fst_io_turn_give(&shared_budget, &account);
    }
    fst_io_account_finish(&account, env);
    return NULL;
}

/* The clock stands: no turn is taken over, however long its thread does not run. */
Test(io_budget, turn_is_of_one_at_a_time_and_comes_to_all) {
    struct faster_env env = *rig.options.env;
    pthread_t threads[TURN_THREADS];
    env.monotonic_ns = read_clock;
    ASSERT_OK(fst_io_budget_init(&shared_budget, &env, 1));
    for (unsigned i = 0; i < TURN_THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, take_turns, &env), 0);
    }
    for (unsigned i = 0; i < TURN_THREADS; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    cr_expect_eq(fst_load_relaxed_u64(&turns_had), TURN_THREADS * TURNS);
    fst_io_budget_finish(&shared_budget);
}

/* ---- a store's ---- */

static void key_of(unsigned i, char key[16]) {
    snprintf(key, 16, "k%u", i);
}

/* Values of `value_bytes`, all on disk; each begins with its number. */
static void load(unsigned count, size_t value_bytes) {
    char *bytes = calloc(1, value_bytes);
    char key[16];
    for (unsigned i = 0; i < count; i++) {
        memcpy(bytes, &i, sizeof i);
        key_of(i, key);
        struct faster_op op = {.key = {key, strlen(key)}, .value = {bytes, value_bytes}};
        ASSERT_OK(faster_session_upsert(rig.session, &op));
    }
    free(bytes);
    evict();
}

/* Reads of keys first, first + 1, ... by one session. */
struct reads {
    struct faster_session *session;
    struct faster_snapshot now;
    unsigned first;
    unsigned count;
    struct faster_op *ops;
    struct faster_buffer *results;
    char (*keys)[16];
};

static void reads_start(struct reads *reads, struct faster_session *session, unsigned first,
                        unsigned count) {
    *reads = (struct reads){.session = session,
                            .first = first,
                            .count = count,
                            .ops = calloc(count, sizeof *reads->ops),
                            .results = calloc(count, sizeof *reads->results),
                            .keys = calloc(count, sizeof *reads->keys)};
    for (unsigned i = 0; i < count; i++) {
        key_of(first + i, reads->keys[i]);
        reads->results[i].env = faster_env_posix();
        reads->ops[i] = (struct faster_op){.key = {reads->keys[i], strlen(reads->keys[i])},
                                           .kind = FASTER_OP_READ,
                                           .result = &reads->results[i]};
    }
    ASSERT_OK(faster_snapshot_open_newest(session, &reads->now));
    ASSERT_STATUS(faster_snapshot_batch(&reads->now, reads->ops, count), FASTER_PENDING);
}

static void reads_free(struct reads *reads) {
    for (unsigned i = 0; i < reads->count; i++) {
        faster_buffer_finish(&reads->results[i]);
    }
    faster_snapshot_close(&reads->now);
    free(reads->ops);
    free(reads->results);
    free(reads->keys);
}

static void reads_check(struct reads *reads, size_t value_bytes) {
    for (unsigned i = 0; i < reads->count; i++) {
        unsigned number;
        ASSERT_OK(reads->ops[i].status);
        cr_assert_eq(reads->results[i].size_bytes, value_bytes);
        memcpy(&number, reads->results[i].data, sizeof number);
        cr_assert_eq(number, reads->first + i);
    }
    reads_free(reads);
}

static void reads_end(struct reads *reads, size_t value_bytes) {
    ASSERT_OK(faster_session_complete_pending(reads->session, true));
    reads_check(reads, value_bytes);
}

/* The device's buffers are mapped with the first read of each session. */
static uint64_t counted_bytes(uint64_t bytes) {
    return bytes - stat_of("io_device_bytes");
}

static uint64_t measure(void) {
    fst_test_env_restart_peak(rig.test);
    return counted_bytes(fst_test_env_live_bytes(rig.test));
}

static void want_peak_within(uint64_t before_bytes, uint64_t one_more_bytes) {
    const uint64_t max_bytes = stat_of("io_buffer_bytes_max") + one_more_bytes;
    const uint64_t peak_bytes = counted_bytes(fst_test_env_peak_bytes(rig.test)) - before_bytes;
    cr_assert_leq(stat_of("io_buffer_bytes_peak"), max_bytes);
    cr_assert_leq(peak_bytes, max_bytes + SMALL_THINGS_BYTES, "%llu bytes",
                  (unsigned long long)peak_bytes);
}

Test(io_budget, batch_of_large_values_takes_no_more_than_its_share) {
    struct reads reads;
    load(KEYS, VALUE_BYTES);
    const uint64_t before_bytes = measure();
    reads_start(&reads, rig.session, 0, KEYS);
    reads_end(&reads, VALUE_BYTES);
    want_peak_within(before_bytes, RECORD_BYTES_MAX);
    cr_assert_gt(stat_of("io_buffer_bytes_peak"), VALUE_BYTES);
}

/* Each has reads that nobody collects, until it is its turn. */
static void many_sessions(size_t value_bytes) {
    enum { SESSIONS = 200, READS = 8 };
    static struct faster_session *sessions[SESSIONS];
    static struct reads reads[SESSIONS];
    load(KEYS, value_bytes);
    for (unsigned i = 0; i < SESSIONS; i++) {
        ASSERT_OK(faster_session_open(rig.store, &sessions[i]));
    }
    const uint64_t before_bytes = measure();
    for (unsigned i = 0; i < SESSIONS; i++) {
        reads_start(&reads[i], sessions[i], i, READS);
    }
    for (unsigned i = SESSIONS; i-- > 0;) {
        reads_end(&reads[i], value_bytes);
    }
    want_peak_within(before_bytes, RECORD_BYTES_MAX);
    cr_expect_leq(stat_of("io_buffer_bytes"), stat_of("io_buffer_bytes_max") / 2);
    for (unsigned i = 0; i < SESSIONS; i++) {
        faster_session_close(sessions[i]);
    }
    faster_session_close(rig.session);
    cr_expect_eq(stat_of("io_buffer_bytes"), 0);
    ASSERT_OK(faster_session_open(rig.store, &rig.session));
}

Test(io_budget, many_sessions_take_together_what_one_may) {
    many_sessions(SMALL_BYTES);
}

Test(io_budget, many_sessions_take_together_what_one_may_of_large_values) {
    many_sessions(VALUE_BYTES);
}

Test(io_budget, results_of_a_batch_get_less_the_more_sessions_there_are) {
    struct faster_session *sessions[4];
    rig_close(&rig);
    rig.options.memory_bytes = 16u << 20;
    rig_open(&rig);
    cr_assert_eq(faster_result_bytes_max(rig.store), (512u - 64u) << 10);
    for (unsigned i = 0; i < 4; i++) {
        ASSERT_OK(faster_session_open(rig.store, &sessions[i]));
        const size_t bytes_max = faster_result_bytes_max(rig.store);
        cr_assert_eq(bytes_max, (i == 0 ? 224u : i == 3 ? 64u : 112u) << 10, "%zu", bytes_max);
    }
    for (unsigned i = 0; i < 4; i++) {
        faster_session_close(sessions[i]);
    }
    rig_close(&rig);
    rig.options.memory_bytes = FASTER_MEMORY_BYTES_MIN;
    rig_open(&rig);
    cr_assert_eq(faster_result_bytes_max(rig.store), FASTER_MEMORY_BYTES_MIN / 32 - 4096);
}

/* ---- waiting for it ---- */

enum { WORKERS = 12 };

static void *read_batches(void *argument) {
    struct faster_session *session = argument;
    for (unsigned round = 0; round < 6; round++) {
        struct reads reads;
        reads_start(&reads, session, round * 40, 60);
        reads_end(&reads, VALUE_BYTES);
    }
    return NULL;
}

Test(io_budget, threads_that_want_more_than_there_is_all_get_on) {
    pthread_t threads[WORKERS];
    struct faster_session *sessions[WORKERS];
    load(KEYS, VALUE_BYTES);
    for (unsigned i = 0; i < WORKERS; i++) {
        ASSERT_OK(faster_session_open(rig.store, &sessions[i]));
    }
    const uint64_t before_bytes = measure();
    for (unsigned i = 0; i < WORKERS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, read_batches, sessions[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    want_peak_within(before_bytes, RECORD_BYTES_MAX);
    for (unsigned i = 0; i < WORKERS; i++) {
        faster_session_close(sessions[i]);
    }
}

/* Takes the budget until there is no more, as sessions do whose results nobody collects. */
static struct fst_io_account hoarder;

static void hoard(void) {
    struct fst_io_budget *budget = &rig.store->io;
    ASSERT_OK(fst_io_account_init(&hoarder, rig.options.env));
    fst_io_overdraw(budget, &hoarder, budget->limit_bytes);
}

static void hoard_end(void) {
    fst_io_give(&rig.store->io, &hoarder, hoarder.held_bytes);
    fst_io_account_finish(&hoarder, rig.options.env);
    memset(&hoarder, 0, sizeof hoarder);
}

Test(io_budget, idle_session_with_undelivered_results_blocks_nobody) {
    struct faster_session *idle;
    struct reads held;
    struct reads reads;
    load(KEYS, VALUE_BYTES);
    ASSERT_OK(faster_session_open(rig.store, &idle));
    reads_start(&held, idle, 0, 100);
    hoard();
    reads_start(&reads, rig.session, 100, 100);
    reads_end(&reads, VALUE_BYTES);
    reads_start(&reads, rig.session, 200, 20);
    while (faster_session_complete_pending(rig.session, false) == FASTER_PENDING) {
    }
    reads_check(&reads, VALUE_BYTES);
    hoard_end();
    reads_end(&held, VALUE_BYTES);
    faster_session_close(idle);
}

Test(io_budget, what_is_freed_is_used_again) {
    struct reads reads;
    load(KEYS, SMALL_BYTES);
    hoard();
    reads_start(&reads, rig.session, 0, 50);
    cr_assert_eq(rig.session->in_flight_count, 0);
    hoard_end();
    ASSERT_STATUS(faster_session_complete_pending(rig.session, false), FASTER_PENDING);
    cr_assert(!rig.session->has_turn);
    reads_end(&reads, SMALL_BYTES);
    reads_start(&reads, rig.session, 0, 10);
    cr_assert_eq(rig.session->in_flight_count, 10);
    reads_end(&reads, SMALL_BYTES);
}

/* ---- a turn that stands still ---- */

static struct {
    struct faster_session *session;
    fst_atomic_u32 is_merging;
    fst_atomic_u32 may_end;
} stalled;

/* How long the old value was. */
static enum faster_status wait_in_merge(void *context, const struct faster_bytes *old,
                                        struct faster_buffer *value) {
    const uint64_t made = old->size_bytes;
    (void)context;
    fst_store_relaxed_u32(&stalled.is_merging, 1);
    while (fst_load_relaxed_u32(&stalled.may_end) == 0) {
        rig.options.env->sleep_ns(rig.options.env, 1000000);
    }
    return faster_buffer_assign(value, &made, sizeof made);
}

static void *run_stalled(void *argument) {
    struct faster_op *op = argument;
    ASSERT_STATUS(faster_session_rmw(stalled.session, op), FASTER_PENDING);
    ASSERT_OK(faster_session_complete_pending(stalled.session, true));
    return NULL;
}

Test(io_budget, others_get_on_beside_a_merge_that_stands_still_with_the_turn) {
    struct faster_op op = {.key = {"k0", 2}, .merge = wait_in_merge};
    const struct faster_env *env = rig.options.env;
    struct reads reads;
    pthread_t thread;
    load(KEYS, VALUE_BYTES);
    ASSERT_OK(faster_session_open(rig.store, &stalled.session));
    hoard();
    const uint64_t before_bytes = fst_load_relaxed_u64(&rig.store->io.used_bytes);
    cr_assert_eq(pthread_create(&thread, NULL, run_stalled, &op), 0);
    while (fst_load_relaxed_u32(&stalled.is_merging) == 0) {
        env->sleep_ns(env, 1000000);
    }
    cr_assert_eq(rig.store->io.holder, &stalled.session->io);
    const uint64_t since_ns = env->monotonic_ns(env);
    reads_start(&reads, rig.session, 1, 20);
    reads_end(&reads, VALUE_BYTES);
    cr_assert_geq(env->monotonic_ns(env) - since_ns, FST_IO_STALL_NS / 2);
    cr_assert(op.status == FASTER_PENDING && stalled.session->has_turn);
    /* Each stall may add one operation. */
    cr_assert_leq(stat_of("io_buffer_bytes_peak"), before_bytes + 2 * RECORD_BYTES_MAX);
    fst_store_relaxed_u32(&stalled.may_end, 1);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    ASSERT_OK(op.status);
    cr_assert_eq(number_of("k0"), VALUE_BYTES);
    cr_assert_null(rig.store->io.holder);
    hoard_end();
    faster_session_close(stalled.session);
    cr_assert_eq(stat_of("io_buffer_bytes"), 0);
}

/* Operations that waited may need no read any more. The turn that was got for them is given back.
 */
Test(io_budget, turn_goes_back_if_nothing_needs_it) {
    struct faster_op op = {.key = {"k1", 2}, .merge = add_one};
    struct faster_session *other;
    load(KEYS, SMALL_BYTES);
    ASSERT_OK(faster_session_open(rig.store, &other));
    hoard();
    ASSERT_STATUS(faster_session_rmw(other, &op), FASTER_PENDING);
    ASSERT_OK(put_sized("k1", "abc", 8));
    ASSERT_OK(faster_session_complete_pending(other, true));
    ASSERT_OK(op.status);
    cr_assert_null(rig.store->io.holder);
    cr_assert_eq(other->pool_count, 0);
    hoard_end();
    faster_session_close(other);
}

/* Until the session waits for the turn; then there is enough without it. */
static void *give_bytes_and_turn(void *unused) {
    struct fst_io_budget *budget = &rig.store->io;
    const struct faster_env *env = rig.options.env;
    bool is_waiting = false;
    while (!is_waiting) {
        env->sleep_ns(env, 1000000);
        env->mutex_lock(env, budget->mutex);
        is_waiting = budget->first == &rig.session->io;
        env->mutex_unlock(env, budget->mutex);
    }
    fst_io_give(budget, &hoarder, hoarder.held_bytes);
    fst_io_turn_give(budget, &hoarder);
    return unused;
}

static fst_atomic_u32 nobody_has_it;

/* The read goes on when it is seen that nobody has the turn; or in the end. */
static void look_for_no_holder(void *context, enum fst_test_operation operation) {
    struct fst_io_budget *budget = &rig.store->io;
    const struct faster_env *env = rig.options.env;
    (void)context;
    (void)operation;
    for (unsigned i = 0; i < 10000 && fst_load_relaxed_u32(&nobody_has_it) == 0; i++) {
        env->mutex_lock(env, budget->mutex);
        fst_store_relaxed_u32(&nobody_has_it, budget->holder == NULL);
        env->mutex_unlock(env, budget->mutex);
        env->sleep_ns(env, 1000000);
    }
}

Test(io_budget, turn_goes_back_before_the_read_if_there_is_enough_without_it) {
    struct fst_io_budget *budget = &rig.store->io;
    struct reads reads;
    pthread_t giver;
    load(KEYS, VALUE_BYTES);
    hoard();
    fst_io_give(budget, &hoarder, 2 * sizeof(struct fst_pending));
    cr_assert(fst_io_turn_take(budget, &hoarder, false));
    reads_start(&reads, rig.session, 0, 1);
    cr_assert_not_null(rig.session->starved_first); /* it has a slot, and no buffer */
    fst_test_env_hook(rig.test, FST_TEST_FILE_READ, look_for_no_holder, NULL);
    cr_assert_eq(pthread_create(&giver, NULL, give_bytes_and_turn, NULL), 0);
    reads_end(&reads, VALUE_BYTES);
    fst_test_env_hook(rig.test, FST_TEST_FILE_READ, NULL, NULL);
    cr_assert_eq(pthread_join(giver, NULL), 0);
    cr_assert_eq(fst_load_relaxed_u32(&nobody_has_it), 1);
    hoard_end();
}

/* ---- old values ---- */

/* The old value's number, and how long that was. */
static enum faster_status note_size(void *context, const struct faster_bytes *old,
                                    struct faster_buffer *value) {
    (void)context;
    uint32_t made[2] = {0, (uint32_t)old->size_bytes};
    memcpy(made, old->data, sizeof made[0]);
    return faster_buffer_assign(value, made, sizeof made);
}

/* Of values larger than a page, even than the whole share, one is held at a time. */
Test(io_budget, batch_of_merges_holds_old_values_in_portions) {
    enum { COUNT = 40, OLD_BYTES = 6 * RIG_PAGE_BYTES };
    static struct faster_op ops[COUNT];
    static char keys[COUNT][16];
    static struct faster_buffer results[COUNT];
    load(COUNT, OLD_BYTES);
    const uint64_t before_bytes = measure();
    for (unsigned i = 0; i < COUNT; i++) {
        key_of(i, keys[i]);
        ops[i] = (struct faster_op){
            .key = {keys[i], strlen(keys[i])}, .kind = FASTER_OP_RMW, .merge = note_size};
        results[i].env = faster_env_posix();
        ops[i].result = &results[i];
    }
    ASSERT_STATUS(faster_session_batch(rig.session, ops, COUNT), FASTER_PENDING);
    ASSERT_OK(faster_session_complete_pending(rig.session, true));
    for (unsigned i = 0; i < COUNT; i++) {
        uint32_t made[2];
        ASSERT_OK(ops[i].status);
        cr_assert_eq(results[i].size_bytes, sizeof made);
        memcpy(made, results[i].data, sizeof made);
        cr_assert(made[0] == i && made[1] == OLD_BYTES);
        faster_buffer_finish(&results[i]);
    }
    want_peak_within(before_bytes, OLD_BYTES + RIG_PAGE_BYTES + 2048);
}

/* ---- failures ---- */

/* Reads and merges, with whatever outcome; all that they took is given back. */
static bool run_with_failures(void) {
    enum { COUNT = 30 };
    static struct faster_op ops[COUNT];
    static char keys[COUNT][16];
    struct faster_session *session;
    bool all_done = faster_session_open(rig.store, &session) == FASTER_OK;
    if (!all_done) {
        return false;
    }
    for (unsigned i = 0; i < COUNT; i++) {
        key_of(i, keys[i]);
        ops[i] = (struct faster_op){.key = {keys[i], strlen(keys[i])},
                                    .kind = FASTER_OP_COMPARE_AND_SET,
                                    .expected = {"x", 1},
                                    .value = {"y", 1}};
        if (i % 2 == 0) {
            ops[i].kind = FASTER_OP_RMW;
            ops[i].merge = note_size;
        }
    }
    (void)!faster_session_batch(session, ops, COUNT);
    (void)faster_session_complete_pending(session, true);
    for (unsigned i = 0; i < COUNT; i++) {
        cr_assert(ops[i].status != FASTER_PENDING);
        all_done = all_done && ops[i].status >= FASTER_OK;
    }
    faster_session_close(session);
    cr_assert_eq(stat_of("io_buffer_bytes"), 0);
    cr_assert_null(rig.store->io.holder);
    return all_done;
}

static void fail_each(enum fst_test_operation operation, uint64_t times,
                      enum faster_status status) {
    faster_session_close(rig.session);
    for (uint64_t nth = 1;; nth++) {
        fst_test_env_fail(rig.test, operation, nth, times, status);
        const bool all_done = run_with_failures();
        const bool has_failed = fst_test_env_failed(rig.test, operation) > 0;
        fst_test_env_heal_all(rig.test);
        if (!has_failed) {
            cr_assert(all_done);
            break;
        }
    }
    ASSERT_OK(faster_session_open(rig.store, &rig.session));
}

Test(io_budget, failed_allocations_give_everything_back) {
    load(30, 3 * RIG_PAGE_BYTES);
    fail_each(FST_TEST_ALLOCATE, 3, FASTER_NOMEM);
    load(30, VALUE_BYTES);
    fail_each(FST_TEST_ALLOCATE, 1, FASTER_NOMEM);
}

Test(io_budget, no_memory_at_all_ends_operations_that_wait) {
    load(30, VALUE_BYTES);
    hoard();
    struct faster_op op = {.key = {"k1", 2}, .merge = note_size};
    ASSERT_STATUS(faster_session_rmw(rig.session, &op), FASTER_PENDING);
    fst_test_env_fail(rig.test, FST_TEST_ALLOCATE, 1, FST_TEST_FOR_EVER, FASTER_NOMEM);
    ASSERT_OK(faster_session_complete_pending(rig.session, true));
    fst_test_env_heal_all(rig.test);
    ASSERT_STATUS(op.status, FASTER_NOMEM);
    hoard_end();
}

Test(io_budget, failed_reads_give_everything_back) {
    load(30, 3 * RIG_PAGE_BYTES);
    fail_each(FST_TEST_FILE_READ, 2, FASTER_IO);
    load(30, VALUE_BYTES);
    fail_each(FST_TEST_FILE_READ, 1, FASTER_IO);
}
