/* cases.h - what the programs on the simulated disk share: arguments, counts, the report.
 *
 *     --seed N            [FASTER_TEST_SEED, or 1]
 *     --count N           how many states or cases [the program's, by FASTER_TEST_SCALE]
 *     --part I/N          the I-th of N parts, from 1 [1/1]
 *     --seconds S         ends after so long, wherever it is
 *     --only NAME         the workloads, phases or kinds that are named so
 *     --replay "WORDS"    the one case that a failure has printed
 *     --regressions FILE  first the cases that have failed once: tests/sim/regressions.txt
 *     --deeper            crashes and faults in what a crash is recovered by
 *     --allocations       failing allocations
 *     --long              slice after slice, each a whole run with its number as the seed
 *     --from SLICE        with --long: the first one
 *
 * A program runs case after case on one thread. Before each it says by cases_name() how that one is
 * replayed. Whatever ends the program, a failed check, a signal or a watchdog, prints these words.
 *
 *     int main(int argc, char **argv) {
 *         struct cases cases = {.program = "crash_direct", .count = 45000};
 *         cases_begin(&cases, argc, argv);
 *         if (!cases_replay(&cases, replay)) {
 *             while (cases_next_slice(&cases)) {
 *                 run(&cases);
 *             }
 *         }
 *         return cases_end(&cases, "P1 P2 P3");
 *     }
 */
#ifndef TESTS_SUPPORT_CASES_H
#define TESTS_SUPPORT_CASES_H

#include <stdbool.h>
#include <stdint.h>

#include "sim_disk.h"

/* What marks in a disk's log mean. A recording begins with MARK_ACK of the version that the disk
 * held. */
enum {
    MARK_TRY = 1,     /* a crash may leave this version from here on */
    MARK_ACK,         /* it was acknowledged: nothing older may be left */
    MARK_SAFE,        /* the same, also where acknowledgements do not promise durability */
    MARK_ROW,         /* the decider has inserted this row, */
    MARK_ROW_DURABLE, /* and cannot lose it any more */
    MARK_PHASE        /* for a program's own use */
};

struct cases {
    const char *program;
    uint64_t seed;
    uint64_t count;   /* of the quick run; cases_begin() scales it */
    uint64_t seconds; /* 0: no limit */
    uint64_t from;
    uint32_t part; /* from 0 */
    uint32_t parts;
    bool is_long;
    bool is_deeper;
    bool only_allocations;
    bool is_whole;      /* no argument leaves anything out, and the scale is 5 at least */
    const char *only;   /* or NULL */
    const char *replay; /* or NULL */
    /* Private. */
    const char *regressions;
    uint64_t slices;
    uint64_t begin_ns;
};

/* The caller sets `program` and `count`. Ends the program if an argument is wrong. */
void cases_begin(struct cases *cases, int argc, char **argv);

/* Runs the case of --replay, or those of the program in the file of --regressions. True: --replay
 * was given, so this was all. `run` ends the program if `words` name no case. */
bool cases_replay(const struct cases *cases, void (*run)(const char *words));

/* Whether there is one more slice; cases->seed is then its seed. Without --long there is one. */
bool cases_next_slice(struct cases *cases);

/* Whether the slice is to go on: its count is not reached, and time is left. */
bool cases_more(const struct cases *cases);

/* Prints the counts. The value to exit with. `promises`: "P1 P2 P3". A run without a case fails. */
int cases_end(const struct cases *cases, const char *promises);

/* What follows --replay for the case that begins now; it restarts the watchdog. */
void cases_name(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Something is wrong: prints it with how to replay it, and ends the program. */
_Noreturn void cases_fail(const char *promise, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What cases_fail() calls for more to print: the log of a disk, say. NULL: nothing. */
void cases_on_failure(void (*print)(void));

#define CASES_CHECK(condition, promise, ...)                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            cases_fail(promise, __VA_ARGS__);                                                      \
        }                                                                                          \
    } while (0)

/* Counts a state that was made, and, if it is a new one, one that is checked. A state is an image
 * and what it may hold; `low` and `high` stand for that, the same for the same. */
bool cases_is_new(uint64_t image_hash, uint64_t low, uint64_t high);

/* Counts a case of a program that has no states. */
void cases_did(void);

/* One more figure of the last line; the name is a constant. */
void cases_add(const char *name, uint64_t number);

/* A whole run without any of these has not tested what it is for: it fails, unless it goes deeper
 * into few cases. */
void cases_expect(const struct cases *cases, const char *name);

/* ---- case_ranges.c: what a crash may leave ---- */

struct case_range {
    uint64_t low;
    uint64_t high;
};

/* The versions that a crash at boundary `position` of the log may leave: from the newest that was
 * acknowledged to the newest that was tried since. */
struct case_range cases_acceptable(const struct sim_disk *disk, uint64_t position);

/* The number of the newest mark of a kind before boundary `position`; 0 if there is none. */
uint64_t cases_newest_mark(const struct sim_disk *disk, uint64_t position, uint32_t kind);

#endif
