/* bench_device.c - what the devices make of the disk: random reads, sequential writes, syncs.
 *
 *     bench_device DIRECTORY [MIB] [SECONDS] [ROUNDS] [DEPTH]
 *
 * Makes a log of MIB mebibytes (default 1024) in DIRECTORY, then measures for SECONDS (default
 * 2) each: appends of 4096 bytes that are synced one by one; random reads of 512 and 4096 bytes
 * at depths 1, 8, 32 and 128, or DEPTH only. Reads go past the page cache where the device does
 * that, else the log is dropped from it before each. Every case is measured ROUNDS (default 3)
 * times, all kinds in turn, so that other load on the machine meets them alike; the figures are
 * medians, and raw_ratio and raw_cpu_ratio the medians of the ratios to "raw" in the same round.
 * "raw" is io_uring with O_DIRECT alone, the limit. Prints one JSON line for each case and kind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "device_bench.h"

#define ROUNDS_MAX 101u

_Noreturn void die(const char *what, int status) {
    fprintf(stderr, "bench_device: %s: %d\n", what, status);
    exit(1);
}

uint64_t draw(struct bench *bench) {
    bench->random ^= bench->random << 13;
    bench->random ^= bench->random >> 7;
    bench->random ^= bench->random << 17;
    return bench->random;
}

uint64_t next_append(struct bench *bench) {
    bench->append_at = (bench->append_at + READ_BYTES_MAX) & ((UINT64_C(1) << SEGMENT_BITS) - 1);
    return bench->log_bytes + bench->append_at;
}

void segment_path(const struct bench *bench, uint64_t index, char path[4096]) {
    char name[FST_SEGMENT_NAME_BYTES];

    fst_segment_name(index, name);
    (void)snprintf(path, 4096, "%s/%s", bench->directory, name);
}

/* ---- measuring ---- */

struct point now(const struct bench *bench) {
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (struct point){.wall_s = (double)bench->env->monotonic_ns(bench->env) / 1e9,
                          .cpu_s =
                              (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                              (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6};
}

bool is_over(const struct bench *bench, struct point start) {
    return (double)bench->env->monotonic_ns(bench->env) / 1e9 - start.wall_s >= bench->seconds;
}

struct sample sample_of(const struct bench *bench, uint64_t count, struct point start) {
    const struct point end = now(bench);

    if (count == 0) {
        return (struct sample){0};
    }
    return (struct sample){.per_second = (double)count / (end.wall_s - start.wall_s),
                           .cpu_us = (end.cpu_s - start.cpu_s) / (double)count * 1e6};
}

static int compare(const void *left, const void *right) {
    const double a = *(const double *)left;
    const double b = *(const double *)right;

    return (a > b) - (a < b);
}

static double median(double *values, unsigned count) {
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

/* ---- kinds, cases ---- */

struct kind {
    const char *name;
    unsigned variant;
    measure_reads_fn *reads;
    measure_appends_fn *appends;
    bool is_refused;
    struct sample samples[ROUNDS_MAX];
};

/* The first is what the others are compared with. */
static struct kind read_kinds[] = {
    {.name = "raw", .variant = 0, .reads = raw_reads},
    {.name = "raw-files", .variant = RAW_FILES, .reads = raw_reads},
    {.name = "raw-buffers", .variant = RAW_BUFFERS, .reads = raw_reads},
    {.name = "raw-fixed", .variant = RAW_FILES | RAW_BUFFERS, .reads = raw_reads},
    {.name = "raw-coop", .variant = RAW_COOP, .reads = raw_reads},
    {.name = "raw-sqpoll", .variant = RAW_SQPOLL, .reads = raw_reads},
    {.name = "raw-iopoll", .variant = RAW_IOPOLL, .reads = raw_reads},
    {.name = "io_uring", .variant = URING, .reads = device_reads},
    {.name = "io_uring-misaligned", .variant = URING_MISALIGNED, .reads = device_reads},
    {.name = "io_uring-sqpoll", .variant = URING_SUBMIT_POLL, .reads = device_reads},
    {.name = "io_uring-iopoll", .variant = URING_COMPLETE_POLL, .reads = device_reads},
    {.name = "io_uring-cached", .variant = URING_CACHED, .reads = device_reads},
    {.name = "threads", .variant = THREADS, .reads = device_reads},
};
static struct kind append_kinds[] = {
    {.name = "raw", .variant = 0, .appends = raw_appends},
    {.name = "raw-linked", .variant = RAW_LINKED, .appends = raw_appends},
    {.name = "calls", .variant = RAW_CALLS, .appends = raw_appends},
    {.name = "io_uring-cached", .variant = URING_CACHED, .appends = device_appends},
    {.name = "io_uring-cached-apart", .variant = URING_CACHED | APART, .appends = device_appends},
    {.name = "io_uring", .variant = URING, .appends = device_appends},
    {.name = "threads", .variant = THREADS, .appends = device_appends},
};
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static double median_of(const struct kind *kind, unsigned rounds, bool is_cpu) {
    double values[ROUNDS_MAX];

    for (unsigned i = 0; i < rounds; i++) {
        values[i] = is_cpu ? kind->samples[i].cpu_us : kind->samples[i].per_second;
    }
    return median(values, rounds);
}

static double median_ratio(const struct kind *kind, const struct kind *raw, unsigned rounds,
                           bool is_cpu) {
    double values[ROUNDS_MAX];

    for (unsigned i = 0; i < rounds; i++) {
        values[i] = is_cpu ? kind->samples[i].cpu_us / raw->samples[i].cpu_us
                           : kind->samples[i].per_second / raw->samples[i].per_second;
    }
    return median(values, rounds);
}

static void report(const struct kind *kind, const struct kind *raw, const char *work,
                   size_t operation_bytes, unsigned depth, unsigned rounds) {
    const double per_second = median_of(kind, rounds, false);

    if (kind->is_refused) {
        return;
    }
    printf("{\"bench\": \"device\", \"device\": \"%s\", \"work\": \"%s\", \"bytes\": %zu, "
           "\"depth\": %u, \"per_second\": %.0f, \"mb_per_second\": %.1f, "
           "\"cpu_us_per_operation\": %.2f",
           kind->name, work, operation_bytes, depth, per_second,
           per_second * (double)operation_bytes / 1e6, median_of(kind, rounds, true));
    if (raw != NULL && !raw->is_refused) {
        printf(", \"raw_ratio\": %.3f, \"raw_cpu_ratio\": %.3f",
               median_ratio(kind, raw, rounds, false), median_ratio(kind, raw, rounds, true));
    }
    printf("}\n");
    (void)fflush(stdout);
}

static void measure_round(struct bench *bench, struct kind *kinds, size_t kind_count,
                          size_t read_bytes, unsigned depth, unsigned round) {
    for (size_t i = 0; i < kind_count; i++) {
        /* Each round begins with another kind. */
        struct kind *kind = &kinds[(i + round) % kind_count];
        struct sample *sample = &kind->samples[round];
        const bool works = kind->reads != NULL
                               ? kind->reads(bench, kind->variant, read_bytes, depth, sample)
                               : kind->appends(bench, kind->variant, sample);
        kind->is_refused = !works;
    }
}

static void measure(struct bench *bench, struct kind *kinds, size_t kind_count, const char *work,
                    size_t operation_bytes, unsigned depth, unsigned rounds) {
    for (unsigned round = 0; round < rounds; round++) {
        measure_round(bench, kinds, kind_count, operation_bytes, depth, round);
    }
    for (size_t i = 0; i < kind_count; i++) {
        report(&kinds[i], &kinds[0], work, operation_bytes, depth, rounds);
    }
}

static void all_cases(struct bench *bench, unsigned rounds, unsigned long only_depth) {
    static const size_t read_bytes[] = {512, READ_BYTES_MAX};
    static const unsigned depths[] = {1, 8, 32, DEPTH_MAX};
    static struct kind writer[] = {{.name = "io_uring", .variant = URING},
                                   {.name = "io_uring-cached", .variant = URING_CACHED}};

    for (size_t i = 0; i < COUNT_OF(writer); i++) {
        device_write_log(bench, (enum device_variant)writer[i].variant, &writer[i].samples[0]);
        report(&writer[i], NULL, "sequential_write_and_sync", CHUNK_BYTES, 1, 1);
    }
    measure(bench, append_kinds, COUNT_OF(append_kinds), "append_and_sync", READ_BYTES_MAX, 1,
            rounds);
    for (unsigned i = 0; i < 8; i++) {
        if (only_depth == 0 || depths[i % 4] == only_depth) {
            measure(bench, read_kinds, COUNT_OF(read_kinds), "random_read", read_bytes[i / 4],
                    depths[i % 4], rounds);
        }
    }
}

int main(int argc, char **argv) {
    struct bench bench = {.env = faster_env_posix(), .random = UINT64_C(88172645463325252)};
    const uint64_t mebibytes = argc > 2 ? strtoull(argv[2], NULL, 10) : 1024;
    const unsigned long rounds = argc > 4 ? strtoul(argv[4], NULL, 10) : 3;

    if (argc < 2 || mebibytes < 64 || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr,
                "usage: bench_device DIRECTORY [MIB, at least 64] [SECONDS] [ROUNDS, at most %u] "
                "[DEPTH]\n",
                ROUNDS_MAX);
        return 2;
    }
    bench.directory = argv[1];
    bench.log_bytes = mebibytes << 20 >> SEGMENT_BITS << SEGMENT_BITS;
    bench.seconds = argc > 3 ? strtod(argv[3], NULL) : 2;
    bench.memory = bench.env->map(bench.env, DEPTH_MAX * SLOT_BYTES);
    if (bench.memory == NULL) {
        die("memory", FASTER_NOMEM);
    }
    memset(bench.memory, 0x5a, DEPTH_MAX * SLOT_BYTES);
    all_cases(&bench, (unsigned)rounds, argc > 5 ? strtoul(argv[5], NULL, 10) : 0);
    return 0;
}
