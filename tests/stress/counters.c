/* counters.c - many threads add to the same numbers, and none of it is lost (P2, P9).
 *
 * Strategy: four threads on a direct store under 64 MiB of memory, twice. (A part of these sizes
 * has the same part of the memory, so that most keys are on disk all the same.)
 *   hot   10 million increments each on 100 keys: in place, all threads at the same records
 *   cold  250,000 increments each on a million keys of 200 bytes, most of them on disk, in batches
 * Invariants: each number is what was added to it, and their sum what was added altogether; there
 * is no other key; all of it again after a close and an open.
 *
 *     counters [percent of these sizes [seed]]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/atomic.h"
#include "faster.h"
#include "support/test_env.h"

#define THREADS 4u
#define MEMORY_BYTES_MAX (UINT64_C(64) << 20)
#define MEMORY_BYTES_MIN (UINT64_C(2) << 20)
#define HOT_KEYS 100u
#define HOT_INCREMENTS UINT64_C(10000000) /* of each thread */
#define HOT_VALUE_BYTES 8u
#define COLD_KEYS 1000000u
#define COLD_INCREMENTS UINT64_C(250000)
#define COLD_VALUE_BYTES 200u
#define GROUP 64u

static struct {
    struct faster_store *store;
    uint64_t seed;
    uint64_t memory_bytes;
    uint32_t key_count;
    size_t value_bytes;
    uint64_t increments; /* of each thread */
    uint32_t group;      /* operations of one batch; 1: single calls */
    fst_atomic_u64 *added;
    bool loads; /* the threads insert their part of the keys */
} shared;

static void check(bool condition, const char *what, int status) {
    if (!condition) {
        fprintf(stderr, "counters: %s: %s\n", what, faster_status_name((enum faster_status)status));
        exit(1);
    }
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- values: a number, and bytes that follow from it ---- */

static void make_value(unsigned char *bytes, uint64_t number) {
    memcpy(bytes, &number, sizeof number);
    memset(bytes + sizeof number, (int)(number & 0xff), shared.value_bytes - sizeof number);
}

static uint64_t number_in(const void *value, size_t count) {
    const unsigned char *bytes = value;
    uint64_t number;
    check(count == shared.value_bytes, "a value of another size", 0);
    memcpy(&number, bytes, sizeof number);
    for (size_t i = sizeof number; i < count; i++) {
        check(bytes[i] == (unsigned char)number, "a torn value", 0);
    }
    return number;
}

static enum faster_status add_one(void *context, const struct faster_bytes *old,
                                  struct faster_buffer *value) {
    unsigned char bytes[COLD_VALUE_BYTES];
    (void)context;
    make_value(bytes, old == NULL ? 1 : number_in(old->data, old->size_bytes) + 1);
    return faster_buffer_assign(value, bytes, shared.value_bytes);
}

/* ---- what a thread does ---- */

struct worker {
    pthread_t thread;
    uint32_t index;
    uint64_t random;
    struct faster_session *session;
    struct faster_op ops[GROUP];
    uint32_t keys[GROUP];
    unsigned char value[COLD_VALUE_BYTES];
};

static uint32_t draw_key(struct worker *worker) {
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return (uint32_t)((worker->random >> 32) * shared.key_count >> 32);
}

static void run_group(struct worker *worker, uint32_t count) {
    enum faster_status status = count == 1
                                    ? faster_session_rmw(worker->session, &worker->ops[0])
                                    : faster_session_batch(worker->session, worker->ops, count);
    if (status == FASTER_PENDING) {
        status = faster_session_complete_pending(worker->session, true);
    }
    check(status == FASTER_OK, faster_session_message(worker->session), status);
    for (uint32_t i = 0; i < count; i++) {
        check(worker->ops[i].status == FASTER_OK, "an operation", worker->ops[i].status);
    }
}

static void increment(struct worker *worker) {
    for (uint64_t done = 0; done < shared.increments;) {
        uint32_t count = shared.group;
        for (uint32_t i = 0; i < count; i++) {
            worker->keys[i] = draw_key(worker);
            worker->ops[i] = (struct faster_op){.kind = FASTER_OP_RMW,
                                                .key = {&worker->keys[i], sizeof(uint32_t)},
                                                .merge = add_one};
            (void)fst_add_relaxed_u64(&shared.added[worker->keys[i]], 1);
        }
        run_group(worker, count);
        done += count;
    }
}

static void load(struct worker *worker) {
    const uint64_t first = (uint64_t)shared.key_count * worker->index / THREADS;
    const uint64_t end = (uint64_t)shared.key_count * (worker->index + 1) / THREADS;
    make_value(worker->value, 0);
    for (uint64_t key = first; key < end;) {
        uint32_t count = 0;
        for (; count < GROUP && key < end; count++, key++) {
            worker->keys[count] = (uint32_t)key;
            worker->ops[count] = (struct faster_op){.kind = FASTER_OP_INSERT,
                                                    .key = {&worker->keys[count], sizeof(uint32_t)},
                                                    .value = {worker->value, shared.value_bytes}};
        }
        enum faster_status status = faster_session_batch(worker->session, worker->ops, count);
        if (status == FASTER_PENDING) {
            status = faster_session_complete_pending(worker->session, true);
        }
        check(status == FASTER_OK && worker->ops[0].status == FASTER_OK, "load", status);
    }
}

static void *work(void *context) {
    struct worker *worker = context;
    enum faster_status status = faster_session_open(shared.store, &worker->session);
    check(status == FASTER_OK, "session", status);
    if (shared.loads) {
        load(worker);
    } else {
        increment(worker);
    }
    faster_session_close(worker->session);
    return NULL;
}

static void run_threads(bool loads) {
    static struct worker workers[THREADS];
    shared.loads = loads;
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i].index = i;
        workers[i].random = (shared.seed + i + 1) * UINT64_C(0x9E3779B97F4A7C15);
        check(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "thread", 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
}

/* ---- what must be left ---- */

static void check_sums(const char *when) {
    struct faster_session *session;
    struct faster_snapshot now;
    struct faster_scan *scan;
    struct faster_bytes key;
    struct faster_bytes value;
    uint64_t count = 0;
    uint64_t sum = 0;
    enum faster_status status = faster_session_open(shared.store, &session);
    check(status == FASTER_OK, "session", status);
    status = faster_snapshot_open_newest(session, &now);
    check(status == FASTER_OK, "snapshot", status);
    status = faster_scan_open(&now, &scan);
    check(status == FASTER_OK, "scan", status);
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        uint32_t index;
        check(key.size_bytes == sizeof index, "a strange key", 0);
        memcpy(&index, key.data, sizeof index);
        check(index < shared.key_count, "a strange key", 0);
        uint64_t number = number_in(value.data, value.size_bytes);
        check(number == fst_load_relaxed_u64(&shared.added[index]), when, 0);
        sum += number;
        count++;
    }
    check(status == FASTER_END, "scan_next", status);
    check(sum == shared.increments * THREADS, when, 0);
    check(count == shared.key_count, "keys are missing, or come twice", 0);
    faster_scan_close(scan);
    faster_snapshot_close(&now);
    faster_session_close(session);
}

static void open_store(const struct faster_options *options) {
    struct faster_error error = {0};
    enum faster_status status = faster_store_open(options, &shared.store, &error);
    check(status == FASTER_OK, error.message, status);
}

static uint64_t figure(const char *name) {
    struct faster_stat stats[128];
    size_t count = faster_store_stats(shared.store, stats, 128);
    for (size_t i = 0; i < count && i < 128; i++) {
        if (strcmp(stats[i].name, name) == 0) {
            return stats[i].value;
        }
    }
    return 0;
}

static void run(const char *name, const char *directory) {
    struct faster_options options = {.directory = directory,
                                     .writes = FASTER_WRITES_DIRECT,
                                     .memory_bytes = shared.memory_bytes};
    enum faster_status status = faster_store_create(&options, NULL, NULL);
    check(status == FASTER_OK, "create", status);
    shared.added = calloc(shared.key_count, sizeof *shared.added);
    check(shared.added != NULL, "memory", FASTER_NOMEM);
    open_store(&options);
    double start_s = now_s();
    run_threads(true);
    double loaded_s = now_s();
    run_threads(false);
    double added_s = now_s();
    const uint64_t disk_reads = figure("disk_reads");
    check_sums("a lost or doubled increment");
    faster_store_close(shared.store);
    open_store(&options);
    check_sums("a lost or doubled increment after a close");
    faster_store_close(shared.store);
    free(shared.added);
    printf("counters: %s: %llu increments on %u keys of %zu bytes, %llu reads from disk, load "
           "%.1f s, increments %.1f s, two checks and a reopen %.1f s: exact\n",
           name, (unsigned long long)(shared.increments * THREADS), shared.key_count,
           shared.value_bytes, (unsigned long long)disk_reads, loaded_s - start_s,
           added_s - loaded_s, now_s() - added_s);
}

/* A part of `whole`, in whole groups. */
static uint64_t part_of(uint64_t whole, uint64_t percent) {
    return (whole * percent / 100 / GROUP + 1) * GROUP;
}

int main(int argc, char **argv) {
    uint64_t percent = argc > 1 ? strtoull(argv[1], NULL, 10) : 100;
    const char *scale = getenv("FASTER_TEST_SCALE");
    char base[256];
    char directory[300];
    shared.seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    if (scale != NULL) {
        percent = percent * strtoull(scale, NULL, 10) / 100;
    }
    shared.memory_bytes = MEMORY_BYTES_MAX * (percent < 100 ? percent : 100) / 100;
    if (shared.memory_bytes < MEMORY_BYTES_MIN) {
        shared.memory_bytes = MEMORY_BYTES_MIN;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!fst_test_directory_create(base, sizeof base)) {
        return 1;
    }
    snprintf(directory, sizeof directory, "%s/hot", base);
    shared.key_count = HOT_KEYS;
    shared.value_bytes = HOT_VALUE_BYTES;
    shared.increments = part_of(HOT_INCREMENTS, percent);
    shared.group = 1;
    run("hot", directory);
    snprintf(directory, sizeof directory, "%s/cold", base);
    shared.key_count = (uint32_t)part_of(COLD_KEYS, percent > 100 ? 100 : percent);
    shared.value_bytes = COLD_VALUE_BYTES;
    shared.increments = part_of(COLD_INCREMENTS, percent);
    shared.group = GROUP;
    run("cold", directory);
    fst_test_directory_remove(base);
    return 0;
}
