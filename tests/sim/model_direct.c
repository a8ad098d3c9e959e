/* model_direct.c - random operations on a direct store against a plain map (P1-P6).
 *
 * Strategy: several sessions on one thread run every operation; some stay pending for a while.
 * Commits, checkpoints, faults of disk and memory, scans, verifies; ends of life that are clean, or
 * a crash at any moment: the directory is copied between two operations, or in the middle of one
 * when it writes or syncs, and then loses sectors that were not synced. During a commit, between
 * the end of a version and its control record, another session goes on writing.
 *
 * As one thread runs everything, all operations have one order, and a cut of the store is a
 * prefix of it. So the model remembers its map at each beginning of a commit since the last one
 * that was acknowledged.
 *
 * The sessions have names, and number what they do.
 *
 * Invariants: each operation comes out as the map says, and has the next number if it took effect;
 * after an end the store holds exactly one of the remembered maps, the last one after a clean close
 * (so each session keeps a prefix, no deleted key comes back, nothing is torn), and of each name
 * the number that it had then; an operation that met a fault did nothing; a full disk is over when
 * there is room; no memory is left over; nothing hangs (alarm). Replay: model_direct SEED 1.
 *
 *     model_direct [first seed] [number of seeds]
 */
#include "model_direct.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/torn_log.h"

#define STEPS 150u
#define WATCHDOG_SECONDS 120u

/* ---- reading all ---- */

/* Reads the store into a map. */
static void read_map(struct run *run, model_map map) {
    struct model_op call = {.session = 0, .reads = true};
    for (uint32_t i = 0; i < KEY_COUNT; i++) {
        snprintf(call.key, sizeof call.key, "key-%05u", i);
        call.result.env = faster_env_posix();
        call.op = (struct faster_op){.key = {call.key, strlen(call.key)}, .result = &call.result};
        if (faster_snapshot_read(&run->now_seen[0], &call.op) == FASTER_PENDING) {
            faster_session_complete_pending(run->sessions[0], true);
        }
        map[i] = 0;
        CHECK(run, call.op.status == FASTER_OK || call.op.status == FASTER_NOT_FOUND, "a read",
              call.op.status);
        if (call.op.status == FASTER_OK) {
            CHECK(run, call.result.size_bytes >= 4, "a short value", 0);
            memcpy(&map[i], call.result.data, 4);
            CHECK(run, is_value(map[i], call.result.data, call.result.size_bytes), "a torn value",
                  0);
        }
        faster_buffer_finish(&call.result);
    }
}

static void check_scan(struct run *run, const model_map map) {
    struct faster_scan *scan;
    struct faster_bytes key, value;
    uint32_t live = 0;
    enum faster_status status = faster_scan_open(&run->now_seen[1], &scan);
    CHECK(run, status == FASTER_OK, "scan_open", status);
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        char text[16] = {0};
        memcpy(text, key.data, key.size_bytes);
        uint32_t index = (uint32_t)strtoul(text + 4, NULL, 10);
        CHECK(run, index < KEY_COUNT && map[index] != 0, "a scan shows a deleted key", index);
        CHECK(run, is_value(map[index], value.data, value.size_bytes), "a scan's value", index);
        live++;
    }
    CHECK(run, status == FASTER_END, "scan_next", status);
    faster_scan_close(scan);
    for (uint32_t i = 0; i < KEY_COUNT; i++) {
        live -= map[i] != 0;
    }
    CHECK(run, live == 0, "a scan misses keys, or repeats them", 0);
}

static void verify(struct run *run) {
    uint64_t findings = 0;
    enum faster_status status =
        faster_session_verify(run->sessions[0], NULL, NULL, NULL, NULL, &findings);
    CHECK(run, status == FASTER_OK && findings == 0, "verify", status);
}

static void check_now(struct run *run) {
    model_map map;
    complete(run);
    read_map(run, map);
    CHECK(run, memcmp(map, run->now.map, sizeof map) == 0, "the store is not what the model is", 0);
    check_scan(run, map);
}

/* ---- lives ---- */

static void open_store(struct run *run, bool read_only) {
    struct faster_options options = {.env = fst_test_env_get(run->test),
                                     .directory = run->directory,
                                     .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                     .page_bytes = FASTER_PAGE_BYTES_MIN,
                                     .segment_bytes = SEGMENT_BYTES,
                                     .io_threads = 1, /* one at a time is in a hook */
                                     .read_only = read_only};
    struct faster_error error = {0};
    enum faster_status status = faster_store_open(&options, &run->store, &error);
    CHECK(run, status == FASTER_OK, error.message, status);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        char name[16];
        snprintf(name, sizeof name, "session %u", i);
        status = read_only ? faster_session_open(run->store, &run->sessions[i])
                           : faster_session_open_named(run->store, name, NULL, &run->sessions[i]);
        CHECK(run, status == FASTER_OK, "session", status);
        status = faster_snapshot_open_newest(run->sessions[i], &run->now_seen[i]);
        CHECK(run, status == FASTER_OK, "snapshot", status);
    }
    run->has_written = false;
    run->cut_is_open = false;
}

static void close_store(struct run *run) {
    complete(run);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        faster_snapshot_close(&run->now_seen[i]);
        faster_session_close(run->sessions[i]);
    }
    faster_store_close(run->store);
    run->store = NULL;
}

static uint64_t figure(const struct run *run, const char *name) {
    struct faster_stat stats[128];
    size_t count = faster_store_stats(run->store, stats, 128);
    for (size_t i = 0; i < count && i < 128; i++) {
        if (strcmp(stats[i].name, name) == 0) {
            return stats[i].value;
        }
    }
    return 0;
}

static void copy_directory(struct run *run) {
    char command[1024];
    char *dot;
    memcpy(run->copy, run->directory, sizeof run->copy);
    dot = strrchr(run->copy, '.');
    snprintf(dot, sizeof run->copy - (size_t)(dot - run->copy), ".%u", ++run->generation);
    run->copied_durable = figure(run, "log_durable");
    snprintf(command, sizeof command, "cp -r --sparse=always %s %s", run->directory, run->copy);
    CHECK(run, system(command) == 0, "copy", 0);
    run->copied_tail = figure(run, "log_tail");
    run->has_copied = true;
}

/* A crash in the middle of something. */
static void copy_in_the_middle(void *context, enum fst_test_operation operation) {
    struct run *run = context;
    (void)operation;
    if (run->copy_in != 0 && --run->copy_in == 0) {
        copy_directory(run);
    }
}

static void read_serials(const struct run *run, uint64_t serials[SESSIONS]) {
    struct faster_session_info infos[SESSIONS];
    const size_t count = faster_store_sessions(run->store, infos, SESSIONS);
    CHECK(run, count <= SESSIONS, "there are other names", FASTER_OK);
    memset(serials, 0, SESSIONS * sizeof *serials);
    for (size_t i = 0; i < count; i++) {
        serials[strtoul(infos[i].name + strlen("session "), NULL, 10) % SESSIONS] = infos[i].serial;
    }
}

/* The store must be what it was at one of the cuts. */
static void find_cut(struct run *run) {
    struct model_state state = {{0}, {0}};
    uint32_t at = run->cut_count;
    read_map(run, state.map);
    read_serials(run, state.serials);
    while (at > 0 && memcmp(&run->cuts[at - 1], &state, sizeof state) != 0) {
        at--;
    }
    CHECK(run, at > 0, "what was recovered is no cut", 0);
    check_scan(run, state.map);
    run->now = state;
    run->cuts[0] = state;
    run->cut_count = 1;
}

static void start_life(struct run *run) {
    if (run_draw(run, 4) == 0) {
        open_store(run, true);
        find_cut(run);
        close_store(run);
    }
    open_store(run, false);
    find_cut(run);
    verify(run);
}

/* Goes on with the copy. */
static void crash(struct run *run) {
    char command[400];
    uint64_t durable = torn_log_durable(run->copy);
    close_store(run);
    snprintf(command, sizeof command, "rm -rf %s", run->directory);
    CHECK(run, system(command) == 0, "remove", 0);
    memcpy(run->directory, run->copy, sizeof run->directory);
    durable = durable > run->copied_durable ? durable : run->copied_durable;
    if (run_draw(run, 4) != 0) {
        run->torn +=
            torn_log_lose(run->directory, SEGMENT_BYTES, durable, run->copied_tail, &run->random);
    }
    run->has_copied = false;
    run->crashes++;
    start_life(run);
}

/* A log that failed is not written. */
static void end_life(struct run *run) {
    complete(run);
    if (!run->cut_is_open) {
        run->cuts[0] = run->now;
        run->cut_count = 1;
    }
    close_store(run);
    run->closes++;
    start_life(run);
}

/* ---- steps ---- */

/* A crash while a commit writes or syncs: it waits for both. */
static void arm_crash(struct run *run, enum fst_test_operation *operation) {
    *operation = run_draw(run, 3) == 0 ? FST_TEST_FILE_WRITE : FST_TEST_FILE_SYNC;
    run->copy_in = 1 + run_draw(run, *operation == FST_TEST_FILE_WRITE ? 6 : 3);
    fst_test_env_hook(run->test, *operation, copy_in_the_middle, run);
}

static void crash_in_the_middle(struct run *run) {
    enum fst_test_operation operation;
    for (uint32_t i = run_draw(run, 3) == 0 ? 0 : run_draw(run, 200); i > 0; i--) {
        operate(run);
    }
    arm_crash(run, &operation);
    enum faster_status status = commit(run);
    CHECK(run, status == FASTER_OK, "commit", status);
    fst_test_env_hook(run->test, operation, NULL, NULL);
    run->copy_in = 0;
    run->middle += run->has_copied;
    if (!run->has_copied) {
        copy_directory(run);
    }
    crash(run);
}

/* Something fails for a while. Operations fail or not; a log that failed is opened again. */
static void meet_faults(struct run *run) {
    static const struct {
        enum fst_test_operation operation;
        enum faster_status status;
        uint64_t times;
    } FAULTS[] = {{FST_TEST_FILE_WRITE, FASTER_FULL, FST_TEST_FOR_EVER},
                  {FST_TEST_FILE_WRITE, FASTER_FULL, 1},
                  {FST_TEST_FILE_OPEN, FASTER_FULL, FST_TEST_FOR_EVER},
                  {FST_TEST_FILE_WRITE, FASTER_IO, 1},
                  {FST_TEST_FILE_SYNC, FASTER_IO, 1},
                  {FST_TEST_FILE_READ, FASTER_IO, 1},
                  {FST_TEST_FILE_READ, FASTER_IO, FST_TEST_FOR_EVER},
                  {FST_TEST_ALLOCATE, FASTER_NOMEM, 1},
                  {FST_TEST_ALLOCATE, FASTER_NOMEM, FST_TEST_FOR_EVER}};
    uint32_t fault = run_draw(run, sizeof FAULTS / sizeof FAULTS[0]);
    complete(run);
    run->with_faults = true;
    run->faults++;
    fst_test_env_tear_writes(run->test, run_draw(run, 2) == 0);
    fst_test_env_fail(run->test, FAULTS[fault].operation, 1 + run_draw(run, 8), FAULTS[fault].times,
                      FAULTS[fault].status);
    for (uint32_t i = run_draw(run, run_draw(run, 3) == 0 ? 600 : 40); i > 0; i--) {
        if (run_draw(run, 20) == 0) {
            (void)!commit(run);
        } else {
            operate(run);
        }
    }
    complete(run);
    fst_test_env_heal_all(run->test);
    fst_test_env_tear_writes(run->test, false);
    enum faster_status status = commit(run);
    run->with_faults = false;
    if (status != FASTER_OK) {
        CHECK(run, status == FASTER_FAILED || status == FASTER_IO, "a commit after a fault",
              status);
        end_life(run);
    } else {
        check_now(run);
    }
}

static void step(struct run *run) {
    switch (run_draw(run, 24)) {
    case 0:
        end_life(run);
        break;
    case 1:
        copy_directory(run);
        crash(run);
        break;
    case 2:
        crash_in_the_middle(run);
        break;
    case 3:
        meet_faults(run);
        break;
    case 4:
        check_now(run);
        break;
    case 5:
    case 6:
    case 7: {
        enum faster_status status = commit(run);
        CHECK(run, status == FASTER_OK, "commit", status);
        break;
    }
    default:
        for (uint32_t i = run_draw(run, run_draw(run, 8) == 0 ? 500 : 20); i > 0; i--) {
            operate(run);
        }
        break;
    }
}

static void run_seed(struct run *run, uint64_t seed, const char *base) {
    run->seed = seed;
    run->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    run->next_value = 1;
    run->test = fst_test_env_create();
    run->cuts = calloc(CUTS_MAX, sizeof *run->cuts);
    run->cut_count = 1;
    memset(&run->now, 0, sizeof run->now);
    snprintf(run->directory, sizeof run->directory, "%s/s%llu.0", base, (unsigned long long)seed);
    struct faster_options options = {.env = fst_test_env_get(run->test),
                                     .directory = run->directory,
                                     .writes = FASTER_WRITES_DIRECT,
                                     .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                     .page_bytes = FASTER_PAGE_BYTES_MIN,
                                     .segment_bytes = SEGMENT_BYTES};
    enum faster_status status = faster_store_create(&options, NULL, NULL);
    CHECK(run, status == FASTER_OK, "create", status);
    start_life(run);
    for (uint32_t i = 0; i < STEPS; i++) {
        step(run);
    }
    end_life(run);
    close_store(run);
    CHECK(run, fst_test_env_live_allocations(run->test) == 0, "a leak", 0);
    fst_test_env_destroy(run->test);
    free(run->cuts);
}

int main(int argc, char **argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 8;
    const char *scale = getenv("FASTER_TEST_SCALE");
    char base[256];
    struct run *run = calloc(1, sizeof *run);
    if (scale != NULL && argc < 3) {
        count = count * strtoull(scale, NULL, 10) / 100 + 1;
    }
    if (run == NULL || !fst_test_directory_create(base, sizeof base)) {
        return 1;
    }
    for (uint64_t seed = first; seed < first + count; seed++) {
        alarm(WATCHDOG_SECONDS);
        run_seed(run, seed, base);
    }
    fst_test_directory_remove(base);
    printf("model_direct: %llu seeds, %llu operations (%llu left pending, %llu during a cut), "
           "%llu commits (%llu checkpoints asked for), %llu crashes (%llu in the middle), %llu "
           "torn sectors, %llu closes, %llu "
           "faults: 0 differences\n",
           (unsigned long long)count, (unsigned long long)run->operations,
           (unsigned long long)run->left_pending, (unsigned long long)run->early,
           (unsigned long long)run->commits, (unsigned long long)run->checkpoints,
           (unsigned long long)run->crashes, (unsigned long long)run->middle,
           (unsigned long long)run->torn, (unsigned long long)run->closes,
           (unsigned long long)run->faults);
    free(run);
    return 0;
}
