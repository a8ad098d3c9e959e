/* power_loss.h - parts of the power cut test; see power_loss.c. */
#ifndef TESTS_LIMITS_POWER_LOSS_H
#define TESTS_LIMITS_POWER_LOSS_H

#include <stdatomic.h>

#include "crash/kill_load.h"

#define WRITER_COUNT 3
#define MORE_WRITES 20

/* Of the test's processes together. */
struct shared {
    atomic_int power;                     /* enum load_power; the parent sets it */
    _Atomic uint64_t begun[WRITER_COUNT]; /* operations that may have been carried out */
    uint64_t found[WRITER_COUNT];         /* by the last comparison */
};

/* One database or store, its processes, and what they have acknowledged. */
struct outage {
    const struct test_options *options;
    struct shared *shared;
    const char *mount_options;
    uint64_t seed;
    char path[TEST_PATH_BYTES];          /* where the disk is mounted */
    uint64_t acknowledged[WRITER_COUNT]; /* these are there */
    uint64_t claimed[WRITER_COUNT];      /* those beyond may be */
    bool is_sql;                         /* of a direct store */
};

/* A phase runs in a process of its own; it writes what it acknowledges to the pipe as
 * REPORT(writer, number), with LOAD_REPORT_UNSURE if that was while the power went. */
typedef void phase_fn(struct outage *outage, int pipe);
#define REPORT(writer, number) ((uint64_t)(writer) << 56 | (number))

/* ---- power_loss_direct.c ---- */

/* Several threads write a direct store, until the disk fails. */
void direct_write(struct outage *outage, int pipe);
/* Compares with what was acknowledged, and tells what was found in shared->found. */
void direct_compare(struct outage *outage, int pipe);
/* Writes MORE_WRITES operations behind what was found, and closes. */
void direct_go_on(struct outage *outage, int pipe);

#endif
