/* bench_engine.c - YCSB and its kin on the engine, beside a plain hash table in memory.
 *
 * Loads a store, then runs each workload, for each distribution, number of threads and size of
 * batch that the command line names, and prints one line of JSON per phase. With --reference,
 * each phase of one thread runs on a hash table as well, right after the engine, or each phase of
 * reads as plain reads of the disk: what counts is the ratio of the two, as the machine may be
 * busy.
 *
 * Keys are drawn before a phase's time starts. One call in --sample is timed; with --batch, a
 * call is a batch. Calls that wait for the disk are waited for, so the depth of the device's
 * queue is the size of the batch times the threads.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"
#include "options.h"

/* Keys drawn for a thread; more operations go round. */
#define DRAWN_MAX (UINT64_C(1) << 24)
#define CHECKED_MASK 63u

struct phase {
    const struct bench_mix *mix;
    enum bench_distribution distribution;
    uint32_t thread_count;
    uint32_t batch;
    uint64_t operations;
    uint64_t number; /* of the run: part of the seed, and the version of upserts */
};

struct worker {
    pthread_t thread;
    struct bench_client *client;
    const struct bench_options *options;
    const struct phase *phase;
    pthread_barrier_t *start;
    uint32_t *ids;
    uint64_t id_count;
    uint64_t operations;
    struct bench_random random;
    struct bench_counts counts;
    struct bench_latency *latency;
    bool has_failed;
};

struct result {
    struct bench_usage usage;
    struct bench_latency latency;
    struct bench_counts counts;
};

/* ---- one thread ---- */

static uint32_t next_count(const struct worker *worker, uint64_t done, uint64_t at) {
    uint64_t left = worker->operations - done;
    uint64_t drawn = worker->id_count - at;
    uint64_t count = worker->phase->batch;
    count = count < left ? count : left;
    return (uint32_t)(count < drawn ? count : drawn);
}

static bool run_steps(struct worker *worker) {
    const uint32_t sample = (uint32_t)worker->options->sample;
    const bool checks_all = worker->options->checks_all || worker->phase->mix->in_order;
    struct bench_step step = {
        .mix = worker->phase->mix,
        .version = worker->phase->mix->in_order ? 0 : (uint32_t)worker->phase->number,
        .random = &worker->random,
        .counts = &worker->counts,
    };
    uint32_t to_sample = 0;
    uint64_t number = 0;
    uint64_t at = 0;
    for (uint64_t done = 0; done < worker->operations; done += step.count) {
        step.ids = worker->ids + at;
        step.count = next_count(worker, done, at);
        step.checks = checks_all || (number++ & CHECKED_MASK) == 0;
        bool is_timed = to_sample-- == 0;
        uint64_t start_ns = is_timed ? bench_now_ns() : 0;
        if (!worker->client->kind->step(worker->client, &step)) {
            return false;
        }
        if (is_timed) {
            bench_latency_add(worker->latency, bench_now_ns() - start_ns);
            to_sample = sample - 1;
        }
        at = at + step.count < worker->id_count ? at + step.count : 0;
    }
    return worker->client->kind->end_phase(worker->client);
}

static void *run_worker(void *context) {
    struct worker *worker = context;
    pthread_barrier_wait(worker->start);
    worker->has_failed = !run_steps(worker);
    return NULL;
}

/* A thread's part of the operations, and their keys. */
static bool prepare_worker(struct worker *worker, uint32_t index) {
    const struct phase *phase = worker->phase;
    const uint32_t key_count = worker->options->engine.shape.key_count;
    uint64_t first = phase->operations * index / phase->thread_count;
    worker->operations = phase->operations * (index + 1) / phase->thread_count - first;
    uint64_t seed = bench_mix(worker->options->seed) + phase->number * 1024 + index;
    worker->random.state = bench_mix(seed + 1);
    worker->id_count = worker->operations;
    if (!phase->mix->in_order && worker->id_count > DRAWN_MAX) {
        worker->id_count = DRAWN_MAX;
    }
    worker->ids = malloc((worker->id_count + 1) * sizeof *worker->ids);
    worker->latency = calloc(1, sizeof *worker->latency);
    if (worker->ids == NULL || worker->latency == NULL) {
        fputs("no memory for the keys\n", stderr);
        return false;
    }
    if (phase->mix->in_order) {
        for (uint64_t i = 0; i < worker->id_count; i++) {
            worker->ids[i] = (uint32_t)(first + i);
        }
    } else {
        bench_draw_keys(phase->distribution, key_count, seed, worker->ids, worker->id_count);
    }
    return true;
}

/* ---- a phase ---- */

static void run_workers(struct worker *workers, const struct phase *phase,
                        struct bench_usage *start) {
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, phase->thread_count + 1);
    for (uint32_t i = 0; i < phase->thread_count; i++) {
        workers[i].start = &barrier;
        if (pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) != 0) {
            fputs("a thread cannot be started\n", stderr);
            exit(1);
        }
    }
    bench_usage_now(start);
    pthread_barrier_wait(&barrier);
    for (uint32_t i = 0; i < phase->thread_count; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    pthread_barrier_destroy(&barrier);
}

/* Runs the phase with one client per thread. */
static bool run_phase(const struct bench_options *options, const struct phase *phase,
                      struct bench_client **clients, struct result *result) {
    struct worker *workers = calloc(phase->thread_count, sizeof *workers);
    struct bench_usage start;
    struct bench_usage end;
    bool is_good = workers != NULL;
    *result = (struct result){0};
    for (uint32_t i = 0; is_good && i < phase->thread_count; i++) {
        workers[i].client = clients[i];
        workers[i].options = options;
        workers[i].phase = phase;
        is_good = prepare_worker(&workers[i], i);
    }
    if (is_good) {
        run_workers(workers, phase, &start);
        bench_usage_now(&end);
        result->usage = bench_usage_between(&start, &end);
    }
    for (uint32_t i = 0; workers != NULL && i < phase->thread_count; i++) {
        if (workers[i].latency != NULL) {
            bench_latency_merge(&result->latency, workers[i].latency);
        }
        result->counts.not_found += workers[i].counts.not_found;
        result->counts.wrong += workers[i].counts.wrong;
        result->counts.version_sum += workers[i].counts.version_sum;
        is_good &= !workers[i].has_failed;
        free(workers[i].latency);
        free(workers[i].ids);
    }
    free(workers);
    return is_good;
}

static double per(uint64_t amount, uint64_t count) {
    return count == 0 ? 0 : (double)amount / (double)count;
}

static double rate_of(const struct phase *phase, const struct result *result) {
    return per(phase->operations, result->usage.wall_ns) * 1e9;
}

/* The ratio is the engine's rate by this one's, on the line of the reference. */
static void print_result(const struct bench_options *options, const struct phase *phase,
                         const struct result *result, const char *system, double engine_rate) {
    const struct bench_engine_options *engine = &options->engine;
    const uint64_t logical =
        phase->operations * (engine->shape.key_bytes + engine->shape.value_bytes);
    const double rate = rate_of(phase, result);
    uint64_t rss_bytes;
    uint64_t peak_bytes;
    bench_memory_now(&rss_bytes, &peak_bytes);
    printf("{\"system\":\"%s\",\"workload\":\"%s\",\"distribution\":\"%s\",\"threads\":%u,"
           "\"batch\":%u,\"keys\":%u,\"key_bytes\":%u,\"value_bytes\":%u,\"store\":\"%s\","
           "\"regime\":\"%s\",\"memory_bytes\":%llu,\"cgroup_bytes\":%llu,",
           system, phase->mix->name,
           phase->mix->in_order                   ? "in order"
           : phase->distribution == BENCH_ZIPFIAN ? "zipfian"
                                                  : "uniform",
           phase->thread_count, phase->batch, engine->shape.key_count, engine->shape.key_bytes,
           engine->shape.value_bytes, engine->transactional ? "transactional" : "direct",
           engine->directory != NULL ? "disk" : "memory", (unsigned long long)engine->memory_bytes,
           (unsigned long long)options->cgroup_bytes);
    printf("\"operations\":%llu,\"seconds\":%.6f,\"operations_per_s\":%.0f,\"samples\":%llu,"
           "\"p50_ns\":%llu,\"p99_ns\":%llu,\"p999_ns\":%llu,\"cpu_ns_per_operation\":%.1f,",
           (unsigned long long)phase->operations, (double)result->usage.wall_ns / 1e9, rate,
           (unsigned long long)result->latency.total,
           (unsigned long long)bench_latency_at(&result->latency, 0.5),
           (unsigned long long)bench_latency_at(&result->latency, 0.99),
           (unsigned long long)bench_latency_at(&result->latency, 0.999),
           per(result->usage.cpu_ns, phase->operations));
    if (result->usage.has_io) {
        printf("\"device_read_per_byte\":%.4f,\"device_written_per_byte\":%.4f,",
               per(result->usage.device_read_bytes, logical),
               per(result->usage.device_written_bytes, logical));
    } else {
        printf("\"device_read_per_byte\":null,\"device_written_per_byte\":null,");
    }
    printf("\"not_found\":%llu,\"wrong_values\":%llu,\"version_sum\":%llu,\"rss_bytes\":%llu,"
           "\"peak_rss_bytes\":%llu,",
           (unsigned long long)result->counts.not_found, (unsigned long long)result->counts.wrong,
           (unsigned long long)result->counts.version_sum, (unsigned long long)rss_bytes,
           (unsigned long long)peak_bytes);
    if (engine_rate > 0 && rate > 0) {
        printf("\"engine_ratio\":%.3f,", engine_rate / rate);
    }
    printf("\"seed\":%llu}\n", (unsigned long long)options->seed);
    fflush(stdout);
}

/* ---- the run ---- */

struct run {
    const struct bench_options *options;
    struct bench_engine *engine;
    struct bench_table *table; /* NULL: the reference is none, or the disk */
    uint64_t phase_number;
};

static bool ended_well(const struct result *result) {
    if (result->counts.wrong != 0) {
        fprintf(stderr, "%llu values are wrong\n", (unsigned long long)result->counts.wrong);
    }
    return result->counts.wrong == 0;
}

typedef struct bench_client *open_client(const struct run *run);

static struct bench_client *open_engine_client(const struct run *run) {
    return bench_engine_client(run->engine);
}

static struct bench_client *open_reference_client(const struct run *run) {
    return run->table != NULL ? bench_table_client(run->table)
                              : bench_disk_client(run->options->engine.directory);
}

/* Runs the phase with a client for each thread. */
static bool run_on(const struct run *run, const struct phase *phase, open_client *open,
                   struct result *result) {
    struct bench_client **clients = calloc(phase->thread_count, sizeof(struct bench_client *));
    uint32_t opened = 0;
    while (clients != NULL && opened < phase->thread_count &&
           (clients[opened] = open(run)) != NULL) {
        opened++;
    }
    bool is_good = opened == phase->thread_count && run_phase(run->options, phase, clients, result);
    for (uint32_t i = 0; i < opened; i++) {
        clients[i]->kind->close(clients[i]);
    }
    free(clients);
    return is_good;
}

/* The reference of this phase, or NULL. The disk's has reads only. */
static const char *reference_name(const struct run *run, const struct phase *phase) {
    switch (run->options->reference) {
    case BENCH_REFERENCE_OFF:
        return NULL;
    case BENCH_REFERENCE_PLAIN:
        return "table";
    case BENCH_REFERENCE_HUGE:
        return "table, huge pages";
    case BENCH_REFERENCE_DISK:
        return phase->mix->read_percent == 100 ? "disk" : NULL;
    }
    return NULL;
}

/* On the engine, then on the reference. */
static bool run_both(struct run *run, struct phase phase) {
    struct result *result = malloc(sizeof *result);
    const char *reference = reference_name(run, &phase);
    phase.number = run->phase_number++;
    bool is_good = result != NULL && run_on(run, &phase, open_engine_client, result);
    if (is_good) {
        print_result(run->options, &phase, result, "engine", 0);
        is_good = ended_well(result);
    }
    if (is_good && reference != NULL) {
        double engine_rate = rate_of(&phase, result);
        if (run->table != NULL && phase.thread_count > 1) { /* to have the same keys */
            phase.thread_count = 1;
            engine_rate = 0;
        }
        is_good = run_on(run, &phase, open_reference_client, result);
        if (is_good) {
            print_result(run->options, &phase, result, reference, engine_rate);
            is_good = ended_well(result);
        }
    }
    free(result);
    return is_good;
}

static struct phase phase_of(const struct bench_options *options, const struct bench_mix *mix,
                             size_t distribution, size_t threads, size_t batch) {
    return (struct phase){
        .mix = mix,
        .distribution = (enum bench_distribution)options->distributions[distribution],
        .thread_count = (uint32_t)options->threads[threads],
        .batch = (uint32_t)options->batches[batch],
        .operations = mix->in_order ? options->engine.shape.key_count : options->operations,
    };
}

static bool run_all(struct run *run) {
    const struct bench_options *o = run->options;
    const size_t shape_count = o->distribution_count * o->thread_count * o->batch_count;
    bool is_good = run_both(run, phase_of(o, bench_mix_find("load"), 0, 0, 0));
    for (uint64_t round = 0; round < o->repeat; round++) {
        for (size_t shape = 0; shape < shape_count; shape++) {
            size_t batch = shape % o->batch_count;
            size_t threads = shape / o->batch_count % o->thread_count;
            size_t distribution = shape / o->batch_count / o->thread_count;
            for (size_t i = 0; i < o->mix_count && is_good; i++) {
                is_good = run_both(run, phase_of(o, o->mixes[i], distribution, threads, batch));
            }
        }
    }
    return is_good;
}

int main(int argc, char **argv) {
    struct bench_options options;
    struct bench_cgroup group = {0};
    char reason[640];
    if (!bench_options_parse(&options, argc, argv)) {
        return 2;
    }
    if (options.has_help) {
        bench_options_help();
        return 0;
    }
    if (options.cgroup_bytes != 0 &&
        !bench_cgroup_enter(&group, options.cgroup_bytes, reason, sizeof reason)) {
        fprintf(stderr, "no memory cgroup: %s\n", reason);
        options.cgroup_bytes = 0;
    }
    struct run run = {.options = &options, .engine = bench_engine_open(&options.engine)};
    bool is_good = run.engine != NULL;
    if (is_good &&
        (options.reference == BENCH_REFERENCE_PLAIN || options.reference == BENCH_REFERENCE_HUGE)) {
        run.table =
            bench_table_open(&options.engine.shape, options.reference == BENCH_REFERENCE_HUGE);
        is_good = run.table != NULL;
    }
    is_good = is_good && run_all(&run);
    bench_table_close(run.table);
    bench_engine_close(run.engine);
    bench_cgroup_leave(&group);
    return is_good ? 0 : 1;
}
