/* options.h - the command line of bench_engine. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "client.h"

#define BENCH_LIST_MAX 16u

enum bench_reference {
    BENCH_REFERENCE_OFF,
    BENCH_REFERENCE_PLAIN, /* a hash table on small pages */
    BENCH_REFERENCE_HUGE,  /* on huge pages */
    BENCH_REFERENCE_DISK   /* the disk's reads by io_uring alone */
};

struct bench_options {
    struct bench_engine_options engine;
    const struct bench_mix *mixes[BENCH_LIST_MAX];
    size_t mix_count;
    uint64_t distributions[BENCH_LIST_MAX]; /* enum bench_distribution */
    size_t distribution_count;
    uint64_t threads[BENCH_LIST_MAX];
    size_t thread_count;
    uint64_t batches[BENCH_LIST_MAX];
    size_t batch_count;
    uint64_t operations; /* of a phase, all threads */
    uint64_t repeat;
    uint64_t sample; /* one call of so many is timed */
    uint64_t seed;
    uint64_t cgroup_bytes; /* 0: none */
    enum bench_reference reference;
    bool checks_all;
    bool has_help;
};

/* False: an option is wrong, and stderr has been told what is allowed. The strings of argv are
 * kept. */
bool bench_options_parse(struct bench_options *options, int argc, char **argv);
void bench_options_help(void);

#endif
