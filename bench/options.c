/* options.c - the command line of bench_engine. */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>

#define THREADS_MAX 512u
#define MIB (UINT64_C(1) << 20)

/* ---- values ---- */

/* A number with K, M or G behind it: powers of 1000, or of 1024 where `unit` says so. */
static bool parse_number(const char *text, uint64_t unit, uint64_t *number) {
    char *end;
    if (*text < '0' || *text > '9') {
        return false;
    }
    *number = strtoull(text, &end, 10);
    static const char suffixes[] = "KMG";
    const char *suffix = *end != '\0' ? strchr(suffixes, *end) : NULL;
    if (suffix != NULL) {
        for (const char *at = suffixes; at <= suffix; at++) {
            if (__builtin_mul_overflow(*number, unit, number)) {
                return false;
            }
        }
        end++;
    }
    return *end == '\0';
}

/* Calls `each` for the parts of a list with commas; the list is changed. */
static bool parse_list(char *list, bool (*each)(struct bench_options *, const char *, size_t),
                       struct bench_options *options) {
    size_t count = 0;
    for (char *part = strtok(list, ","); part != NULL; part = strtok(NULL, ",")) {
        if (count == BENCH_LIST_MAX || !each(options, part, count)) {
            return false;
        }
        count++;
    }
    return count > 0;
}

static bool add_mix(struct bench_options *options, const char *name, size_t at) {
    options->mixes[at] = bench_mix_find(name);
    options->mix_count = at + 1;
    return options->mixes[at] != NULL;
}

static bool add_distribution(struct bench_options *options, const char *name, size_t at) {
    options->distributions[at] = strcmp(name, "zipfian") == 0 ? BENCH_ZIPFIAN : BENCH_UNIFORM;
    options->distribution_count = at + 1;
    return options->distributions[at] == BENCH_ZIPFIAN || strcmp(name, "uniform") == 0;
}

static bool add_thread(struct bench_options *options, const char *text, size_t at) {
    options->thread_count = at + 1;
    return parse_number(text, 1000, &options->threads[at]) && options->threads[at] >= 1 &&
           options->threads[at] <= THREADS_MAX;
}

static bool add_batch(struct bench_options *options, const char *text, size_t at) {
    options->batch_count = at + 1;
    return parse_number(text, 1000, &options->batches[at]) && options->batches[at] >= 1 &&
           options->batches[at] <= BENCH_BATCH_MAX;
}

/* ---- options ---- */

enum option_id {
    OPTION_WORKLOADS,
    OPTION_DISTRIBUTIONS,
    OPTION_THREADS,
    OPTION_BATCH,
    OPTION_KEYS,
    OPTION_OPERATIONS,
    OPTION_KEY_BYTES,
    OPTION_VALUE_BYTES,
    OPTION_STORE,
    OPTION_TRANSACTION,
    OPTION_COMMIT_EVERY,
    OPTION_MEMORY,
    OPTION_PAGE,
    OPTION_DIRECTORY,
    OPTION_IO_DIRECT,
    OPTION_CGROUP,
    OPTION_REFERENCE,
    OPTION_REPEAT,
    OPTION_SAMPLE,
    OPTION_CHECK,
    OPTION_SEED,
    OPTION_HELP
};

struct option_text {
    const char *name;
    const char *allowed; /* NULL: takes no value */
    const char *help;
};

static const struct option_text texts[] = {
    [OPTION_WORKLOADS] = {"--workloads", "a list of load, A, B, C, F, upsert, rmw, delete, check",
                          "run after the first load, in this order [C]"},
    [OPTION_DISTRIBUTIONS] = {"--distributions", "a list of uniform, zipfian", "[uniform]"},
    [OPTION_THREADS] = {"--threads", "a list of numbers from 1 to 512", "[1]"},
    [OPTION_BATCH] = {"--batch", "a list of numbers from 1 to 1024",
                      "operations of a call; 1: calls for single operations [1]"},
    [OPTION_KEYS] = {"--keys", "a number from 1 to 4000M", "[1M]"},
    [OPTION_OPERATIONS] = {"--operations", "a number from 1", "of a phase, all threads [1M]"},
    [OPTION_KEY_BYTES] = {"--key-bytes", "8 or 24", "[8]"},
    [OPTION_VALUE_BYTES] = {"--value-bytes", "a number from 8 to 1M", "[8]"},
    [OPTION_STORE] = {"--store", "direct or transactional", "[direct]"},
    [OPTION_TRANSACTION] = {"--transaction", "a number from 1 to 1000M",
                            "writes of a transaction [1000]"},
    [OPTION_COMMIT_EVERY] = {"--commit-every", "a number",
                             "direct: writes of a thread between its commits; 0: none [0]"},
    [OPTION_MEMORY] = {"--memory", "a size from 1M (powers of 1024)", "the store's budget [1G]"},
    [OPTION_PAGE] = {"--page", "a power of two from 16K to 64M", "[the engine's default]"},
    [OPTION_DIRECTORY] = {"--directory", "a path that does not exist",
                          "the store's place, removed in the end [none: in memory]"},
    [OPTION_IO_DIRECT] = {"--io-direct", NULL,
                          "read and write past the system's page cache, where that is possible"},
    [OPTION_CGROUP] = {"--cgroup", "a size from 16M", "memory cgroup to run in [none]"},
    [OPTION_REFERENCE] = {"--reference", "off, plain, huge or disk",
                          "run each phase of one thread on a hash table, too, on small or huge "
                          "pages, or each phase of reads as reads of the disk alone [off]"},
    [OPTION_REPEAT] = {"--repeat", "a number from 1 to 1000", "phases after the load [1]"},
    [OPTION_SAMPLE] = {"--sample", "a number from 1", "one call of so many is timed [64]"},
    [OPTION_CHECK] = {"--check", NULL, "compare all bytes of each value read, not of one in 64"},
    [OPTION_SEED] = {"--seed", "a number", "[1]"},
    [OPTION_HELP] = {"--help", NULL, "this"},
};
#define OPTION_COUNT (sizeof texts / sizeof texts[0])

void bench_options_help(void) {
    puts("bench_engine - measures the engine; one line of JSON per phase.");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        printf("  %-16s %s\n%*s%s\n", texts[i].name, texts[i].help, texts[i].allowed ? 19 : 0, "",
               texts[i].allowed ? texts[i].allowed : "");
    }
}

static bool in_range(uint64_t value, uint64_t min, uint64_t max) {
    return value >= min && value <= max;
}

static bool is_power(uint64_t value) {
    return (value & (value - 1)) == 0;
}

static bool set_count(const char *text, uint64_t min, uint64_t max, uint64_t *value) {
    return parse_number(text, 1000, value) && in_range(*value, min, max);
}

static bool set_size(const char *text, uint64_t min, uint64_t max, uint64_t *value) {
    return parse_number(text, 1024, value) && in_range(*value, min, max);
}

static bool set_word(const char *text, const char *const *words, uint64_t *index) {
    for (*index = 0; words[*index] != NULL; ++*index) {
        if (strcmp(words[*index], text) == 0) {
            return true;
        }
    }
    return false;
}

static bool set_small(const char *text, uint64_t min, uint64_t max, uint32_t *value) {
    uint64_t number;
    if (!set_count(text, min, max, &number)) {
        return false;
    }
    *value = (uint32_t)number;
    return true;
}

static bool set_option(struct bench_options *options, enum option_id id, char *text) {
    static const char *const stores[] = {"direct", "transactional", NULL};
    static const char *const references[] = {"off", "plain", "huge", "disk", NULL};
    struct bench_engine_options *engine = &options->engine;
    uint64_t index = 0;
    switch (id) {
    case OPTION_WORKLOADS:
        return parse_list(text, add_mix, options);
    case OPTION_DISTRIBUTIONS:
        return parse_list(text, add_distribution, options);
    case OPTION_THREADS:
        return parse_list(text, add_thread, options);
    case OPTION_BATCH:
        return parse_list(text, add_batch, options);
    case OPTION_KEYS:
        return set_small(text, 1, UINT64_C(4000000000), &engine->shape.key_count);
    case OPTION_OPERATIONS:
        return set_count(text, 1, UINT64_MAX, &options->operations);
    case OPTION_KEY_BYTES:
        return set_small(text, 8, 24, &engine->shape.key_bytes) &&
               (engine->shape.key_bytes == 8 || engine->shape.key_bytes == 24);
    case OPTION_VALUE_BYTES:
        return set_small(text, BENCH_VALUE_BYTES_MIN, 1000000, &engine->shape.value_bytes);
    case OPTION_STORE:
        if (!set_word(text, stores, &index)) {
            return false;
        }
        engine->transactional = index == 1;
        return true;
    case OPTION_TRANSACTION:
        return set_small(text, 1, 1000000000, &engine->transaction_size);
    case OPTION_COMMIT_EVERY:
        return set_count(text, 0, UINT64_MAX, &engine->commit_every);
    case OPTION_MEMORY:
        return set_size(text, MIB, UINT64_MAX, &engine->memory_bytes);
    case OPTION_PAGE:
        return set_size(text, 16384, 64 * MIB, &engine->page_bytes) && is_power(engine->page_bytes);
    case OPTION_DIRECTORY:
        engine->directory = text;
        return *text != '\0';
    case OPTION_CGROUP:
        return set_size(text, 16 * MIB, UINT64_MAX, &options->cgroup_bytes);
    case OPTION_REFERENCE:
        if (!set_word(text, references, &index)) {
            return false;
        }
        options->reference = (enum bench_reference)index;
        return true;
    case OPTION_REPEAT:
        return set_count(text, 1, 1000, &options->repeat);
    case OPTION_SAMPLE:
        return set_count(text, 1, UINT32_MAX, &options->sample);
    case OPTION_SEED:
        return set_count(text, 0, UINT64_MAX, &options->seed);
    case OPTION_IO_DIRECT:
        engine->io_direct = true;
        return true;
    case OPTION_CHECK:
        options->checks_all = true;
        return true;
    case OPTION_HELP:
        options->has_help = true;
        return true;
    }
    return false;
}

static bool complain(const char *what, const char *name, const char *allowed) {
    fprintf(stderr, "bench_engine: %s %s: allowed is %s\n", name, what, allowed);
    return false;
}

/* What no option says alone. */
static bool check_together(const struct bench_options *options) {
    for (size_t i = 0; i < options->thread_count; i++) {
        if (options->engine.transactional && options->threads[i] > 1) {
            return complain("above 1", "--threads",
                            "1 with --store transactional, which has one writer");
        }
    }
    if (options->reference == BENCH_REFERENCE_DISK && options->engine.directory == NULL) {
        return complain("= disk", "--reference", "with --directory");
    }
    return true;
}

bool bench_options_parse(struct bench_options *options, int argc, char **argv) {
    *options = (struct bench_options){
        .engine = {.shape = {1000000, 8, 8}, .memory_bytes = 1024 * MIB, .transaction_size = 1000},
        .mixes = {bench_mix_find("C")},
        .mix_count = 1,
        .distributions = {BENCH_UNIFORM},
        .distribution_count = 1,
        .threads = {1},
        .thread_count = 1,
        .batches = {1},
        .batch_count = 1,
        .operations = 1000000,
        .repeat = 1,
        .sample = 64,
        .seed = 1,
    };
    for (int i = 1; i < argc; i++) {
        size_t id = 0;
        while (id < OPTION_COUNT && strcmp(texts[id].name, argv[i]) != 0) {
            id++;
        }
        if (id == OPTION_COUNT) {
            return complain("is unknown", argv[i], "what --help tells");
        }
        if (texts[id].allowed != NULL && i + 1 == argc) {
            return complain("has no value", argv[i], texts[id].allowed);
        }
        char *value = texts[id].allowed != NULL ? argv[++i] : argv[i];
        char text[64];
        snprintf(text, sizeof text, "= %.56s", value); /* lists are cut up */
        if (!set_option(options, (enum option_id)id, value)) {
            return complain(text, texts[id].name, texts[id].allowed);
        }
    }
    return check_together(options);
}
