/* bench_checkpoint.c - what a checkpoint costs those who write meanwhile, and what recovery takes.
 *
 *     bench_checkpoint DIRECTORY [--keys N] [--value-bytes N] [--memory N] [--threads N]
 *                      [--seconds N] [--rounds N]
 *
 * A direct store is loaded. Then threads write values over random keys, one at a time, each call
 * timed: alone for a while, and while checkpoints are taken that copy the index, one a round. Then
 * the store is closed, and opened: from the newest copy of the index, and, without the copies, from
 * the log alone. All values are read and checked at the end.
 *
 * Prints one line of JSON per phase. What a checkpoint has written is written once more to a file,
 * and synced, in the same run: `write_ratio` is the time of the one by the time of the other.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faster.h"
#include "measure.h"
#include "workload.h"

#define THREADS_MAX 16u
#define BATCH 64u
#define CHUNK_BYTES (UINT64_C(1) << 20)

static struct {
    const char *directory;
    uint64_t key_count;
    uint64_t value_bytes;
    uint64_t memory_bytes;
    uint64_t threads;
    uint64_t seconds;
    uint64_t rounds;
    struct faster_store *store;
    atomic_bool must_stop;
} run = {.key_count = 1000000, .value_bytes = 100, .threads = 1, .seconds = 3, .rounds = 3};

static void expect(bool condition, const char *what, enum faster_status status) {
    if (!condition) {
        fprintf(stderr, "bench_checkpoint: %s: %s\n", what, faster_status_name(status));
        exit(2);
    }
}

/* ---- threads that write ---- */

struct writer {
    pthread_t thread;
    uint32_t index;
    struct faster_session *session;
    struct bench_latency latency;
};

static void *write_until_stopped(void *context) {
    struct writer *writer = context;
    struct bench_random random = {writer->index + bench_now_ns()};
    unsigned char *value = malloc(run.value_bytes);
    expect(value != NULL, "a value", FASTER_NOMEM);
    for (uint32_t version = 1; !atomic_load(&run.must_stop); version++) {
        const uint32_t id = bench_random_below(&random, (uint32_t)run.key_count);
        unsigned char key[BENCH_KEY_BYTES_MAX];
        bench_key(key, 8, id);
        bench_value(value, run.value_bytes, id, version);
        struct faster_op op = {.key = {key, 8}, .value = {value, run.value_bytes}};
        const uint64_t start_ns = bench_now_ns();
        const enum faster_status status = faster_session_upsert(writer->session, &op);
        bench_latency_add(&writer->latency, bench_now_ns() - start_ns);
        expect(status == FASTER_OK, faster_session_message(writer->session), status);
    }
    free(value);
    return NULL;
}

static struct writer writers[THREADS_MAX];

static void start_writers(void) {
    atomic_store(&run.must_stop, false);
    for (uint32_t i = 0; i < run.threads; i++) {
        writers[i].index = i;
        memset(&writers[i].latency, 0, sizeof writers[i].latency);
        const enum faster_status status = faster_session_open(run.store, &writers[i].session);
        expect(status == FASTER_OK, "a session", status);
        expect(pthread_create(&writers[i].thread, NULL, write_until_stopped, &writers[i]) == 0,
               "a thread", FASTER_NOMEM);
    }
}

static void stop_writers(struct bench_latency *all) {
    atomic_store(&run.must_stop, true);
    memset(all, 0, sizeof *all);
    for (uint32_t i = 0; i < run.threads; i++) {
        pthread_join(writers[i].thread, NULL);
        faster_session_close(writers[i].session);
        bench_latency_merge(all, &writers[i].latency);
    }
}

/* ---- reports ---- */

static void begin_line(const char *phase, uint64_t ns) {
    printf("{\"phase\":\"%s\",\"keys\":%llu,\"value_bytes\":%llu,\"memory_bytes\":%llu,"
           "\"threads\":%llu,\"seconds\":%.3f",
           phase, (unsigned long long)run.key_count, (unsigned long long)run.value_bytes,
           (unsigned long long)run.memory_bytes, (unsigned long long)run.threads, (double)ns / 1e9);
}

static void tell_latency(const struct bench_latency *latency) {
    printf(",\"operations\":%llu,\"failed\":0,\"p50_ns\":%llu,\"p99_ns\":%llu,\"p999_ns\":%llu",
           (unsigned long long)latency->total, (unsigned long long)bench_latency_at(latency, 0.5),
           (unsigned long long)bench_latency_at(latency, 0.99),
           (unsigned long long)bench_latency_at(latency, 0.999));
}

static void end_line(void) {
    printf("}\n");
    fflush(stdout);
}

static uint64_t stat_of(const char *name) {
    struct faster_stat stats[256];
    const size_t count = faster_store_stats(run.store, stats, 256);
    for (size_t i = 0; i < count && i < 256; i++) {
        if (strcmp(stats[i].name, name) == 0) {
            return stats[i].value;
        }
    }
    expect(false, name, FASTER_NOT_FOUND);
    return 0;
}

/* ---- phases ---- */

static struct faster_options options(void) {
    return (struct faster_options){.directory = run.directory,
                                   .writes = FASTER_WRITES_DIRECT,
                                   .memory_bytes = run.memory_bytes,
                                   .checkpoint_bytes = UINT64_MAX};
}

static uint64_t open_store(void) {
    const struct faster_options wanted = options();
    struct faster_error error = {0};
    const uint64_t start_ns = bench_now_ns();
    const enum faster_status status = faster_store_open(&wanted, &run.store, &error);
    expect(status == FASTER_OK, error.message, status);
    return bench_now_ns() - start_ns;
}

static void load(void) {
    struct faster_session *session;
    struct faster_op ops[BATCH];
    unsigned char keys[BATCH][BENCH_KEY_BYTES_MAX];
    unsigned char *values = malloc(BATCH * run.value_bytes);
    enum faster_status status = faster_session_open(run.store, &session);
    expect(status == FASTER_OK && values != NULL, "a session", status);
    const uint64_t start_ns = bench_now_ns();
    for (uint64_t at = 0; at < run.key_count;) {
        uint32_t count = 0;
        for (; count < BATCH && at < run.key_count; count++, at++) {
            unsigned char *value = values + count * run.value_bytes;
            bench_key(keys[count], 8, (uint32_t)at);
            bench_value(value, run.value_bytes, (uint32_t)at, 0);
            ops[count] = (struct faster_op){.kind = FASTER_OP_UPSERT,
                                            .key = {keys[count], 8},
                                            .value = {value, run.value_bytes}};
        }
        status = faster_session_batch(session, ops, count);
        expect(status == FASTER_OK, faster_session_message(session), status);
    }
    status = faster_session_commit(session);
    expect(status == FASTER_OK, faster_session_message(session), status);
    begin_line("load", bench_now_ns() - start_ns);
    end_line();
    faster_session_close(session);
    free(values);
}

/* Returns p99. */
static uint64_t write_alone(void) {
    struct bench_latency latency;
    const uint64_t start_ns = bench_now_ns();
    start_writers();
    sleep((unsigned)run.seconds);
    stop_writers(&latency);
    begin_line("alone", bench_now_ns() - start_ns);
    tell_latency(&latency);
    end_line();
    return bench_latency_at(&latency, 0.99);
}

/* How long so many bytes take to be written to a file in large blocks, and synced. */
static uint64_t time_of_writing(uint64_t count_bytes) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s.plain", run.directory);
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    unsigned char *chunk = malloc(CHUNK_BYTES);
    expect(file >= 0 && chunk != NULL, path, FASTER_IO);
    memset(chunk, 0x5a, CHUNK_BYTES);
    const uint64_t start_ns = bench_now_ns();
    for (uint64_t at = 0; at < count_bytes; at += CHUNK_BYTES) {
        const size_t size =
            (size_t)(count_bytes - at < CHUNK_BYTES ? count_bytes - at : CHUNK_BYTES);
        expect(write(file, chunk, size) == (ssize_t)size, path, FASTER_IO);
    }
    expect(fdatasync(file) == 0, path, FASTER_IO);
    const uint64_t ns = bench_now_ns() - start_ns;
    close(file);
    unlink(path);
    free(chunk);
    return ns;
}

static void write_beside_checkpoint(uint64_t p99_alone_ns) {
    const struct faster_checkpoint_request request = {.index = FASTER_INDEX_COPY};
    struct faster_session *session;
    struct bench_latency latency;
    struct bench_usage before;
    struct bench_usage after;
    enum faster_status status = faster_session_open(run.store, &session);
    expect(status == FASTER_OK, "a session", status);
    start_writers();
    bench_usage_now(&before);
    status = faster_session_take_checkpoint(session, &request, NULL);
    bench_usage_now(&after);
    stop_writers(&latency);
    expect(status == FASTER_OK, faster_session_message(session), status);
    faster_session_close(session);
    const struct bench_usage used = bench_usage_between(&before, &after);
    const uint64_t plain_ns = time_of_writing(used.device_written_bytes);
    const uint64_t p99_ns = bench_latency_at(&latency, 0.99);
    begin_line("checkpoint", used.wall_ns);
    tell_latency(&latency);
    printf(",\"written_bytes\":%llu,\"write_ratio\":%.2f,\"p99_ratio\":%.2f",
           (unsigned long long)used.device_written_bytes,
           (double)used.wall_ns / (double)(plain_ns > 0 ? plain_ns : 1),
           (double)p99_ns / (double)(p99_alone_ns > 0 ? p99_alone_ns : 1));
    end_line();
}

/* Recovery is to take the log alone. */
static void remove_indexes(void) {
    char path[4096];
    DIR *directory = opendir(run.directory);
    expect(directory != NULL, run.directory, FASTER_IO);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (strncmp(entry->d_name, "index.", 6) == 0) {
            (void)snprintf(path, sizeof path, "%s/%s", run.directory, entry->d_name);
            expect(unlink(path) == 0, path, FASTER_IO);
        }
    }
    closedir(directory);
}

static void recover(const char *phase, const char *from) {
    struct bench_usage before;
    struct bench_usage after;
    bench_usage_now(&before);
    const uint64_t ns = open_store();
    bench_usage_now(&after);
    const struct bench_usage used = bench_usage_between(&before, &after);
    const uint64_t records = stat_of("recovered_records");
    begin_line(phase, ns);
    printf(",\"records\":%llu,\"records_per_second\":%.0f,\"log_bytes\":%llu,\"cpu_seconds\":%.3f",
           (unsigned long long)records, (double)records * 1e9 / (double)ns,
           (unsigned long long)(stat_of("log_tail") - stat_of(from)), (double)used.cpu_ns / 1e9);
    end_line();
}

static void check_batch(struct faster_session *session, struct faster_buffer *results,
                        uint64_t first, uint32_t count) {
    struct faster_op ops[BATCH];
    unsigned char keys[BATCH][BENCH_KEY_BYTES_MAX];
    uint32_t version;
    for (uint32_t i = 0; i < count; i++) {
        bench_key(keys[i], 8, (uint32_t)(first + i));
        ops[i] =
            (struct faster_op){.kind = FASTER_OP_READ, .key = {keys[i], 8}, .result = &results[i]};
    }
    enum faster_status status = faster_session_batch(session, ops, count);
    if (status == FASTER_PENDING) {
        (void)faster_session_complete_pending(session, true);
    }
    for (uint32_t i = 0; i < count; i++) {
        expect(ops[i].status == FASTER_OK, "a read", ops[i].status);
        expect(results[i].size_bytes == run.value_bytes &&
                   bench_value_is_right(results[i].data, run.value_bytes, (uint32_t)(first + i),
                                        &version),
               "a wrong value", FASTER_CORRUPT);
    }
}

static void check_all(void) {
    struct faster_session *session;
    struct faster_buffer results[BATCH];
    const enum faster_status status = faster_session_open(run.store, &session);
    expect(status == FASTER_OK, "a session", status);
    for (uint32_t i = 0; i < BATCH; i++) {
        results[i] = (struct faster_buffer){.env = faster_env_posix()};
    }
    const uint64_t start_ns = bench_now_ns();
    for (uint64_t first = 0; first < run.key_count; first += BATCH) {
        const uint64_t left = run.key_count - first;
        check_batch(session, results, first, (uint32_t)(left < BATCH ? left : BATCH));
    }
    begin_line("check", bench_now_ns() - start_ns);
    end_line();
    for (uint32_t i = 0; i < BATCH; i++) {
        faster_buffer_finish(&results[i]);
    }
    faster_session_close(session);
}

static void measure(void) {
    struct faster_options wanted = options();
    uint8_t uuid[FASTER_UUID_BYTES];
    struct faster_error error = {0};
    enum faster_status status = faster_store_create(&wanted, uuid, &error);
    expect(status == FASTER_OK, error.message, status);
    (void)open_store();
    load();
    for (uint64_t i = 0; i < run.rounds; i++) {
        const uint64_t p99_ns = write_alone();
        write_beside_checkpoint(p99_ns);
    }
    faster_store_close(run.store);
    recover("recover with index", "replay_from");
    faster_store_close(run.store);
    remove_indexes();
    recover("recover from log", "log_begin");
    check_all();
    faster_store_close(run.store);
    status = faster_store_remove(NULL, run.directory, uuid, &error);
    expect(status == FASTER_OK, error.message, status);
}

/* ---- the command line ---- */

static bool parse_number(const char *text, uint64_t *number) {
    char *end;
    *number = strtoull(text, &end, 10);
    switch (*end) {
    case 'K':
        *number *= 1000;
        break;
    case 'M':
        *number *= 1000000;
        break;
    case 'G':
        *number *= 1000000000;
        break;
    default:
        return *end == '\0' && end != text;
    }
    return end[1] == '\0';
}

static const struct {
    const char *name;
    uint64_t *number;
    uint64_t min;
    uint64_t max;
} numbers[] = {
    {"keys", &run.key_count, 1, UINT32_MAX - 1},
    {"value-bytes", &run.value_bytes, BENCH_VALUE_BYTES_MIN, 1u << 20},
    {"memory", &run.memory_bytes, FASTER_MEMORY_BYTES_MIN, UINT64_C(1) << 40},
    {"threads", &run.threads, 1, THREADS_MAX},
    {"seconds", &run.seconds, 1, 3600},
    {"rounds", &run.rounds, 1, 1000},
};
#define NUMBERS (sizeof numbers / sizeof numbers[0])

static bool parse(int argc, char **argv) {
    if (argc < 2 || argv[1][0] == '-') {
        fputs("bench_checkpoint DIRECTORY [--keys N] [--value-bytes N] [--memory N] [--threads N] "
              "[--seconds N] [--rounds N]: the directory is made and removed; 10M is ten "
              "million\n",
              stderr);
        return false;
    }
    run.directory = argv[1];
    for (int i = 2; i < argc; i += 2) {
        size_t at = 0;
        while (at < NUMBERS &&
               (strncmp(argv[i], "--", 2) != 0 || strcmp(argv[i] + 2, numbers[at].name) != 0)) {
            at++;
        }
        if (at == NUMBERS || i + 1 == argc || !parse_number(argv[i + 1], numbers[at].number) ||
            *numbers[at].number < numbers[at].min || *numbers[at].number > numbers[at].max) {
            fprintf(stderr, "bench_checkpoint: %s %s is no option\n", argv[i],
                    i + 1 < argc ? argv[i + 1] : "");
            return false;
        }
    }
    if (run.memory_bytes == 0) { /* twice the records and the index: all of it is in memory */
        run.memory_bytes = (UINT64_C(64) << 20) + run.key_count * (run.value_bytes + 64) * 2;
    }
    return true;
}

int main(int argc, char **argv) {
    if (!parse(argc, argv)) {
        return 2;
    }
    measure();
    return 0;
}
