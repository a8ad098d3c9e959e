/* test_sim_world.c - the simulated world itself: fibres, time, the device, and a store in it.
 *
 * Strategy: what the crash, fault and simulation programs rely on is checked here once: time jumps
 * to what is due, waits end as they should, the same seed writes the same log and another seed
 * another one, a held back or failed completion reaches the engine as such, and a store that is
 * closed leaves nothing. test_sim_sql.c is the same for SQLite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device_sim.h"
#include "faster.h"
#include "sim_crash.h"
#include "sim_world.h"
#include "test_env.h"

#define EXPECT(condition) expect((condition), #condition, __LINE__)
#define KEYS 60u
#define VALUE_BYTES 1500u

static unsigned checked;

static void expect(bool is_true, const char *what, int line) {
    checked++;
    if (!is_true) {
        sim_fail("line %d: %s", line, what);
    }
}

/* ---- fibres and time ---- */

static char order[16];

static void note(char letter) {
    const size_t length = strlen(order);

    order[length] = letter;
    order[length + 1] = '\0';
}

static void sleeper(void *context) {
    const uint64_t *nights = context;

    sim_sleep_ns(*nights * 1000000);
    note((char)('0' + *nights));
}

static void time_jumps_to_the_nearest_deadline(void) {
    uint64_t nights[3] = {3, 1, 2};
    struct sim_fibre *fibres[3];
    const uint64_t begin_ns = sim_now_ns();

    order[0] = '\0';
    for (unsigned i = 0; i < 3; i++) {
        fibres[i] = sim_start(sleeper, &nights[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        sim_join(fibres[i]);
    }
    EXPECT(strcmp(order, "123") == 0);
    EXPECT(sim_now_ns() - begin_ns >= 3000000 && sim_now_ns() - begin_ns < 4000000);
}

static void waiter(void *context) {
    note(sim_wait(context, UINT64_MAX) ? 'w' : 't');
}

static void a_wake_ends_the_longest_wait_first(void) {
    int key = 0;
    struct sim_fibre *fibres[3];

    order[0] = '\0';
    for (unsigned i = 0; i < 3; i++) {
        fibres[i] = sim_start(waiter, &key);
    }
    sim_yield();
    note('-');
    sim_wake(&key, false);
    sim_yield();
    note('-');
    sim_wake(&key, true);
    for (unsigned i = 0; i < 3; i++) {
        sim_join(fibres[i]);
    }
    EXPECT(strcmp(order, "-w-ww") == 0);
    EXPECT(!sim_wait(&key, 500)); /* nobody wakes it */
}

static void spinner(void *context) {
    bool *is_set = context;

    while (!*is_set) {
        sim_yield();
    }
}

static void setter(void *context) {
    sim_sleep_ns(50000000);
    *(bool *)context = true;
}

/* Fibres that spin let time pass for the one that sleeps. */
static void yields_cost_time(void) {
    bool is_set = false;
    struct sim_fibre *first = sim_start(spinner, &is_set);
    struct sim_fibre *second = sim_start(spinner, &is_set);
    struct sim_fibre *third = sim_start(setter, &is_set);

    sim_join(first);
    sim_join(second);
    sim_join(third);
    EXPECT(is_set);
}

static void lock_and_sleep(void *context) {
    const struct faster_env *env = sim_world_env();

    env->mutex_lock(env, context);
    sim_sleep_ns(1000);
    note('s');
    env->mutex_unlock(env, context);
}

static void locks_exclude(void) {
    const struct faster_env *env = sim_world_env();
    struct fst_mutex *mutex;
    struct fst_condition *condition;
    struct sim_fibre *fibre;

    order[0] = '\0';
    EXPECT(env->mutex_create(env, &mutex) == FASTER_OK);
    EXPECT(env->condition_create(env, &condition) == FASTER_OK);
    fibre = sim_start(lock_and_sleep, mutex);
    sim_yield();
    EXPECT(!env->mutex_try_lock(env, mutex));
    env->mutex_lock(env, mutex);
    note('m');
    EXPECT(!env->condition_wait(env, condition, mutex, 1000));
    env->mutex_unlock(env, mutex);
    sim_join(fibre);
    EXPECT(strcmp(order, "sm") == 0);
    env->condition_destroy(env, condition);
    env->mutex_destroy(env, mutex);
}

/* ---- a store ---- */

static struct faster_options options_of(void) {
    return (struct faster_options){
        .directory = "/store",
        .writes = FASTER_WRITES_DIRECT,
        .memory_bytes = FASTER_MEMORY_BYTES_MIN,
        .page_bytes = 16384,
        .segment_bytes = 16384,
    };
}

static struct faster_store *store_open(void) {
    const struct faster_options options = options_of();
    struct faster_store *store = NULL;
    struct faster_error error = {0};
    const enum faster_status status = faster_store_open(&options, &store, &error);

    if (status != FASTER_OK) {
        sim_fail("open: %s", error.message);
    }
    return store;
}

static void store_create(void) {
    const struct faster_options options = options_of();
    struct faster_error error = {0};

    if (faster_store_create(&options, NULL, &error) != FASTER_OK) {
        sim_fail("create: %s", error.message);
    }
}

static void fill(unsigned char *bytes, uint32_t key, uint32_t round) {
    memset(bytes, (int)(key + 1), VALUE_BYTES);
    memcpy(bytes, &round, sizeof round);
}

static enum faster_status finish(struct faster_session *session, const struct faster_op *op,
                                 enum faster_status status) {
    if (status != FASTER_PENDING) {
        return status;
    }
    (void)faster_session_complete_pending(session, true);
    return op->status;
}

static enum faster_status put(struct faster_session *session, uint32_t key, uint32_t round) {
    unsigned char bytes[VALUE_BYTES];
    struct faster_op op = {.key = {&key, sizeof key}, .value = {bytes, sizeof bytes}};

    fill(bytes, key, round);
    return finish(session, &op, faster_session_upsert(session, &op));
}

/* OK: the value is the round's. */
static enum faster_status get(struct faster_session *session, uint32_t key, uint32_t round) {
    unsigned char bytes[VALUE_BYTES];
    struct faster_snapshot now;
    struct faster_buffer result = {.env = sim_world_env()};
    struct faster_op op = {.key = {&key, sizeof key}, .result = &result};
    enum faster_status status;

    EXPECT(faster_snapshot_open_newest(session, &now) == FASTER_OK);
    status = finish(session, &op, faster_snapshot_read(&now, &op));
    faster_snapshot_close(&now);
    fill(bytes, key, round);
    if (status == FASTER_OK) {
        EXPECT(result.size_bytes == sizeof bytes && memcmp(result.data, bytes, sizeof bytes) == 0);
    }
    faster_buffer_finish(&result);
    return status;
}

struct client {
    struct faster_store *store;
    uint32_t first_key;
    uint32_t round;
};

static void client_run(void *context) {
    const struct client *client = context;
    struct faster_session *session;

    EXPECT(faster_session_open(client->store, &session) == FASTER_OK);
    for (uint32_t key = client->first_key; key < KEYS; key += 2) {
        EXPECT(put(session, key, client->round) == FASTER_OK);
    }
    EXPECT(faster_session_commit(session) == FASTER_OK);
    for (uint32_t key = client->first_key; key < KEYS; key += 2) {
        EXPECT(get(session, key, client->round) == FASTER_OK);
    }
    faster_session_close(session);
}

/* Two clients write all keys. */
static void two_clients(struct faster_store *store, uint32_t round) {
    struct client clients[2] = {{store, 0, round}, {store, 1, round}};
    struct sim_fibre *fibres[2];

    for (unsigned i = 0; i < 2; i++) {
        fibres[i] = sim_start(client_run, &clients[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        sim_join(fibres[i]);
    }
}

static void expect_all(uint32_t round) {
    struct faster_store *store = store_open();
    struct faster_session *session;

    EXPECT(faster_session_open(store, &session) == FASTER_OK);
    for (uint32_t key = 0; key < KEYS; key++) {
        EXPECT(get(session, key, round) == FASTER_OK);
    }
    faster_session_close(session);
    faster_store_close(store);
}

/* A whole run; the log's hash. */
static uint64_t run_once(uint64_t seed, enum sim_policy policy, uint64_t latency_ns) {
    struct faster_store *store;
    uint64_t hash;

    sim_world_begin(seed, policy);
    device_sim_latency(seed, latency_ns);
    store_create();
    store = store_open();
    for (uint32_t round = 1; round <= 3; round++) {
        two_clients(store, round);
    }
    faster_store_close(store);
    expect_all(3);
    hash = sim_log_hash(sim_world_disk());
    sim_world_end();
    return hash;
}

static void the_same_seed_writes_the_same_log(void) {
    const uint64_t in_order = run_once(1, SIM_IN_ORDER, 0);
    const uint64_t drawn = run_once(1, SIM_DRAWN, 100000);

    EXPECT(in_order == run_once(1, SIM_IN_ORDER, 0));
    EXPECT(drawn == run_once(1, SIM_DRAWN, 100000));
    EXPECT(drawn != run_once(2, SIM_DRAWN, 100000));
    EXPECT(drawn != in_order);
}

/* What was committed is there after a power cut at the end, what is not durable is not. */
static void a_life_goes_on_from_an_image(void) {
    struct faster_store *store;
    struct sim_disk *disk;
    struct sim_cursor *cursor;
    struct sim_image *image = NULL;

    sim_world_begin(7, SIM_IN_ORDER);
    store_create();
    store = store_open();
    two_clients(store, 5);
    disk = sim_world_take_disk();
    faster_store_close(store);
    cursor = sim_cursor_create(disk, 0);
    while (sim_cursor_next(cursor)) {
        sim_image_release(image);
        image = sim_cursor_image(cursor, SIM_NOTHING, 0);
    }
    sim_world_case(7, SIM_IN_ORDER);
    sim_world_life(image);
    EXPECT(sim_world_life_number() == 2);
    expect_all(5);
    sim_world_expect_closed();
    sim_image_release(image);
    sim_cursor_destroy(cursor);
    sim_disk_destroy(disk);
    sim_world_end();
}

/* ---- the device's effects ---- */

static void completions_may_be_late_and_overtaken(void) {
    static const enum device_effect effects[] = {DEVICE_LATE, DEVICE_OVERTAKEN};

    for (unsigned i = 0; i < 2; i++) {
        struct faster_store *store;
        uint64_t fired = 0;
        sim_world_begin(i, SIM_IN_ORDER);
        store_create();
        store = store_open();
        for (enum fst_io_kind kind = FST_IO_READ; kind <= FST_IO_WRITE_SYNC; kind++) {
            device_sim_arm(kind, 1, UINT64_MAX, effects[i]);
            two_clients(store, (uint32_t)kind);
            fired += device_sim_fired();
        }
        device_sim_arm(FST_IO_READ, 1, 0, effects[i]);
        EXPECT(fired > 3);
        faster_store_close(store);
        expect_all(FST_IO_WRITE_SYNC);
        sim_world_end();
    }
}

static void a_cancelled_write_fails_the_store(void) {
    struct faster_store *store;
    struct faster_session *session;

    sim_world_begin(3, SIM_IN_ORDER);
    store_create();
    store = store_open();
    EXPECT(faster_session_open(store, &session) == FASTER_OK);
    EXPECT(put(session, 1, 1) == FASTER_OK);
    EXPECT(faster_session_commit(session) == FASTER_OK);
    EXPECT(put(session, 1, 2) == FASTER_OK);
    device_sim_arm(FST_IO_WRITE_SYNC, 1, 1, DEVICE_CANCELLED);
    EXPECT(faster_session_commit(session) != FASTER_OK);
    EXPECT(device_sim_fired() == 1);
    EXPECT(faster_session_commit(session) != FASTER_OK); /* not before it is opened again */
    faster_session_close(session);
    faster_store_close(store);
    store = store_open();
    EXPECT(faster_session_open(store, &session) == FASTER_OK);
    EXPECT(get(session, 1, 1) == FASTER_OK);
    faster_session_close(session);
    faster_store_close(store);
    sim_world_end();
}

static void allocations_fail_on_request(void) {
    const struct faster_options options = options_of();
    struct faster_store *store = NULL;
    struct faster_error error;

    sim_world_begin(4, SIM_IN_ORDER);
    store_create();
    for (uint64_t nth = 1;; nth++) {
        fst_test_env_fail(sim_world_test_env(), FST_TEST_ALLOCATE, nth, 1, FASTER_NOMEM);
        if (faster_store_open(&options, &store, &error) == FASTER_OK) {
            break;
        }
        EXPECT(fst_test_env_failed(sim_world_test_env(), FST_TEST_ALLOCATE) == 1);
        sim_world_expect_closed();
    }
    fst_test_env_heal_all(sim_world_test_env());
    faster_store_close(store);
    sim_world_end();
}

int main(void) {
    static void (*const in_world[])(void) = {
        time_jumps_to_the_nearest_deadline,
        a_wake_ends_the_longest_wait_first,
        yields_cost_time,
        locks_exclude,
    };

    for (unsigned i = 0; i < sizeof in_world / sizeof in_world[0]; i++) {
        sim_world_begin(i, SIM_IN_ORDER);
        in_world[i]();
        sim_world_end();
    }
    the_same_seed_writes_the_same_log();
    a_life_goes_on_from_an_image();
    completions_may_be_late_and_overtaken();
    a_cancelled_write_fails_the_store();
    allocations_fail_on_request();
    printf("test_sim_world: %u checks: ok\n", checked);
    return EXIT_SUCCESS;
}
