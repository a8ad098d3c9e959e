/* bench_memory.c - how much memory a store really takes, against what it was given.
 *
 *     bench_memory DIRECTORY BUDGET...
 *
 * Budgets are 32M, 4G and the like. Each one runs in a process of its own: a store is loaded until
 * its index has no room for many more keys, which makes the log several times larger than the
 * budget; the index doubles meanwhile. Then random reads from disk in batches, increments, a scan,
 * a close, and an open, which recovers the store.
 *
 * Prints one line of JSON per phase, with the process's peak of resident memory in that phase (the
 * system's own count, VmHWM, which is reset in between) and the bound: the budget, 5 % of it, and
 * 16 MiB. Exit code 1: a peak is above its bound. 77: the system does not let it be reset.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faster.h"
#include "measure.h"
#include "workload.h"

#define THREADS 2u
#define BATCH 64u
#define VALUE_BYTES 24u
#define BUCKET_BYTES 64u
#define BUCKET_PLACES 7u
#define SCAN_PARTS 10u
#define EXIT_SKIPPED 77

static struct {
    const char *directory;
    uint64_t budget_bytes;
    uint64_t key_count;
    uint64_t step_count; /* reads, and increments, of each thread */
    struct faster_store *store;
    bool has_failed;
} run;

static void expect(bool condition, const char *what, enum faster_status status) {
    if (!condition) {
        fprintf(stderr, "bench_memory: %s: %s\n", what, faster_status_name(status));
        exit(2);
    }
}

/* ---- what a phase takes ---- */

/* The peak becomes what is resident now. */
static bool reset_peak(void) {
    FILE *file = fopen("/proc/self/clear_refs", "we");
    bool done = file != NULL && fputs("5", file) >= 0;
    if (file != NULL) {
        done = fclose(file) == 0 && done;
    }
    return done;
}

static uint64_t bound_bytes(void) {
    return run.budget_bytes + run.budget_bytes / 20 + (UINT64_C(16) << 20);
}

static void report(const char *phase, uint64_t start_ns, uint64_t operations) {
    uint64_t rss;
    uint64_t peak;
    bench_memory_now(&rss, &peak);
    run.has_failed |= peak > bound_bytes();
    printf("{\"phase\":\"%s\",\"memory_bytes\":%llu,\"keys\":%llu,\"operations\":%llu,"
           "\"seconds\":%.3f,\"rss_bytes\":%llu,\"peak_rss_bytes\":%llu,\"bound_bytes\":%llu,"
           "\"is_within\":%s}\n",
           phase, (unsigned long long)run.budget_bytes, (unsigned long long)run.key_count,
           (unsigned long long)operations, (double)(bench_now_ns() - start_ns) / 1e9,
           (unsigned long long)rss, (unsigned long long)peak, (unsigned long long)bound_bytes(),
           peak <= bound_bytes() ? "true" : "false");
    fflush(stdout);
    (void)reset_peak();
}

/* ---- what threads do ---- */

struct worker {
    pthread_t thread;
    uint32_t index;
    enum faster_op_kind kind;
    struct bench_random random;
    struct faster_session *session;
    struct faster_op ops[BATCH];
    struct faster_buffer results[BATCH];
    uint64_t keys[BATCH];
    unsigned char values[BATCH][VALUE_BYTES];
};

/* A value is a count of increments, and its key. */
static enum faster_status add_one(void *context, const struct faster_bytes *old,
                                  struct faster_buffer *value) {
    unsigned char bytes[VALUE_BYTES];
    uint64_t count;
    (void)context;
    if (old == NULL || old->size_bytes != sizeof bytes) {
        return FASTER_CORRUPT;
    }
    memcpy(bytes, old->data, sizeof bytes);
    memcpy(&count, bytes, sizeof count);
    count++;
    memcpy(bytes, &count, sizeof count);
    return faster_buffer_assign(value, bytes, sizeof bytes);
}

static void prepare(struct worker *worker, uint32_t at, uint64_t key) {
    struct faster_op *op = &worker->ops[at];
    worker->keys[at] = key;
    *op = (struct faster_op){.kind = (int32_t)worker->kind,
                             .key = {&worker->keys[at], sizeof worker->keys[at]}};
    if (worker->kind == FASTER_OP_READ) {
        op->result = &worker->results[at];
    } else if (worker->kind == FASTER_OP_RMW) {
        op->merge = add_one;
    } else {
        memset(worker->values[at], 0, VALUE_BYTES);
        memcpy(worker->values[at] + 8, &key, sizeof key);
        op->value = (struct faster_bytes){worker->values[at], VALUE_BYTES};
    }
}

static void run_batch(struct worker *worker, uint32_t count) {
    enum faster_status status = faster_session_batch(worker->session, worker->ops, count);
    if (status == FASTER_PENDING) {
        status = faster_session_complete_pending(worker->session, true);
    }
    expect(status == FASTER_OK, faster_session_message(worker->session), status);
    for (uint32_t i = 0; i < count; i++) {
        const struct faster_buffer *result = &worker->results[i];
        expect(worker->ops[i].status == FASTER_OK, "an operation", worker->ops[i].status);
        expect(worker->kind != FASTER_OP_READ ||
                   (result->size_bytes == VALUE_BYTES &&
                    memcmp((const char *)result->data + 8, &worker->keys[i], 8) == 0),
               "a wrong value", FASTER_CORRUPT);
    }
}

static void *work(void *context) {
    struct worker *worker = context;
    const uint64_t first = run.key_count * worker->index / THREADS;
    const uint64_t end = worker->kind == FASTER_OP_UPSERT
                             ? run.key_count * (worker->index + 1) / THREADS
                             : first + run.step_count;
    enum faster_status status = faster_session_open(run.store, &worker->session);
    expect(status == FASTER_OK, "a session", status);
    for (uint64_t at = first; at < end;) {
        uint32_t count = 0;
        for (; count < BATCH && at < end; count++, at++) {
            prepare(worker, count,
                    worker->kind == FASTER_OP_UPSERT
                        ? at
                        : bench_random_next(&worker->random) % run.key_count);
        }
        run_batch(worker, count);
    }
    faster_session_close(worker->session);
    return NULL;
}

static void run_threads(const char *phase, enum faster_op_kind kind) {
    static struct worker workers[THREADS];
    const uint64_t start_ns = bench_now_ns();
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i].index = i;
        workers[i].kind = kind;
        workers[i].random.state += i + 1;
        for (uint32_t j = 0; j < BATCH; j++) {
            workers[i].results[j].env = faster_env_posix();
        }
        expect(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "a thread",
               FASTER_NOMEM);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    report(phase, start_ns, kind == FASTER_OP_UPSERT ? run.key_count : run.step_count * THREADS);
}

/* ---- other phases ---- */

static void scan(void) {
    const uint64_t start_ns = bench_now_ns();
    struct faster_session *session;
    struct faster_snapshot now;
    struct faster_scan *scan;
    struct faster_bytes key;
    struct faster_bytes value;
    uint64_t count = 0;
    enum faster_status status = faster_session_open(run.store, &session);
    expect(status == FASTER_OK, "a session", status);
    status = faster_snapshot_open_newest(session, &now);
    expect(status == FASTER_OK, "a snapshot", status);
    status = faster_scan_open(&now, &scan);
    expect(status == FASTER_OK, "a scan", status);
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        count++;
    }
    expect(status == FASTER_END && count == run.key_count, "the scan's keys", status);
    faster_scan_close(scan);
    faster_snapshot_close(&now);
    faster_session_close(session);
    report("scan", start_ns, count);
}

static void open_store(const struct faster_options *options) {
    struct faster_error error = {0};
    enum faster_status status = faster_store_open(options, &run.store, &error);
    expect(status == FASTER_OK, error.message, status);
}

static int run_budget(void) {
    const struct faster_options options = {.directory = run.directory,
                                           .writes = FASTER_WRITES_DIRECT,
                                           .memory_bytes = run.budget_bytes};
    struct faster_error error = {0};
    uint8_t uuid[FASTER_UUID_BYTES];
    if (!reset_peak()) {
        fputs("the peak of memory cannot be reset here\n", stderr);
        return EXIT_SKIPPED;
    }
    /* Half of the budget is the index's. */
    run.key_count = run.budget_bytes / 2 / BUCKET_BYTES * BUCKET_PLACES * 3 / 4;
    run.step_count = run.key_count / SCAN_PARTS;
    enum faster_status status = faster_store_create(&options, uuid, &error);
    expect(status == FASTER_OK, error.message, status);
    open_store(&options);
    run_threads("load", FASTER_OP_UPSERT);
    run_threads("read", FASTER_OP_READ);
    run_threads("increment", FASTER_OP_RMW);
    scan();
    uint64_t start_ns = bench_now_ns();
    faster_store_close(run.store);
    report("close", start_ns, 0);
    start_ns = bench_now_ns();
    open_store(&options);
    report("open", start_ns, 0);
    run_threads("read", FASTER_OP_READ);
    faster_store_close(run.store);
    status = faster_store_remove(NULL, run.directory, uuid, &error);
    expect(status == FASTER_OK, error.message, status);
    return run.has_failed;
}

static bool parse_bytes(const char *text, uint64_t *bytes) {
    char *end;
    *bytes = strtoull(text, &end, 10);
    if (*end == 'M' || *end == 'G') {
        *bytes <<= *end == 'M' ? 20 : 30;
        end++;
    }
    return *end == '\0' && *bytes >= FASTER_MEMORY_BYTES_MIN;
}

int main(int argc, char **argv) {
    int worst = 0;
    if (argc < 3) {
        fputs("bench_memory DIRECTORY BUDGET...: the directory is made and removed; budgets are "
              "32M, 4G and the like\n",
              stderr);
        return 2;
    }
    run.directory = argv[1];
    for (int i = 2; i < argc && worst == 0; i++) {
        int result = 1; /* as if a signal had ended it */
        if (!parse_bytes(argv[i], &run.budget_bytes)) {
            fprintf(stderr, "bench_memory: %s is no budget\n", argv[i]);
            return 2;
        }
        pid_t child = fork();
        if (child == 0) {
            exit(run_budget());
        }
        expect(child > 0 && waitpid(child, &result, 0) == child, "a process", FASTER_NOMEM);
        worst = WIFEXITED(result) ? WEXITSTATUS(result) : 2;
    }
    return worst;
}
