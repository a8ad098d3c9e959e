/* crash_driver.h - goes through the states that crashes leave, for crash_direct and
 * crash_transactional.
 *
 * A workload runs once, undisturbed, on a disk that keeps a log of all that was done to it. At
 * every boundary between two entries of the log a crash may have left several things; each is made
 * and checked. Workloads are some scripts; then each sequence of one, two and three operations, of
 * which only the last one's boundaries are new; then drawn ones, until there are enough states.
 *
 * --deeper: what comes after the crash, the recovery, a first write and a commit, is a workload
 * itself, and crashes at each of its boundaries, and again, to depth three; and calls and
 * allocations fail in it.
 *
 * Replay: --replay "SEED CONFIG WORKLOAD POSITION VARIANT DRAW CHOICE ..."; the last four once for
 * each depth, and perhaps what failed, and which time.
 */
#ifndef TESTS_SIM_CRASH_DRIVER_H
#define TESTS_SIM_CRASH_DRIVER_H

#include "crash_check.h"

#define CRASH_OPS_MAX 64u

struct crash_workload {
    char words[64]; /* for a replay: "script:NAME", "ops:NAME,NAME" or "drawn" */
    uint32_t ops[CRASH_OPS_MAX];
    uint32_t op_count;
    bool from_empty; /* the store's creation is a part of it */
    bool only_last;  /* boundaries */
    uint32_t one_in; /* boundaries */
};

struct crash_script {
    const char *name;
    const char *ops; /* names, with commas between */
    uint32_t repeat;
    uint32_t one_in;
    bool from_empty;
};

/* What was recorded, and how its states are named. */
struct crash_recording {
    struct sim_disk *disk;
    uint64_t from, to; /* boundaries */
    uint64_t seed;
    uint32_t one_in; /* boundaries */
    uint32_t depth;
    uint32_t config;
    char words[256];
    void *content; /* what the store may hold */
};

/* What fails once in a recovery. */
enum crash_failure {
    CRASH_FAIL_IO,
    CRASH_FAIL_SPACE,
    CRASH_FAIL_ALLOCATE,
    CRASH_FAIL_MAP,
    CRASH_FAILURES
};
void crash_arm(enum crash_failure failure, uint64_t nth);
/* Whether it has failed. */
bool crash_heal(enum crash_failure failure);

/* A kind of store. A state is checked once for each of its choices: the decider is not on the
 * disk, and may have kept more or less. */
struct crash_kind {
    const char *program;
    const char *promises;
    uint64_t states, deeper_states; /* of the quick run */
    const char *const *op_names;
    uint32_t op_count;
    uint32_t config_count;
    const struct crash_script *scripts;
    uint32_t script_count;
    /* Fills in all but words, seed, one_in, config and depth. */
    void (*record)(const struct crash_workload *workload, struct crash_recording *recording);
    void (*forget)(struct crash_recording *recording);
    uint32_t (*choices)(const struct crash_recording *recording, const struct crash_state *state);
    /* The same number for what may be left alike. */
    uint64_t (*identity)(const struct crash_recording *recording, const struct crash_state *state,
                         uint32_t choice);
    void (*check)(const struct crash_recording *recording, const struct crash_state *state,
                  uint32_t choice);
    /* Whether the store was there for certain: what comes now needs one. */
    bool (*has_store)(const struct crash_recording *recording, const struct crash_state *state);
    /* Recovery, a first write and a commit: as record(). */
    void (*record_recovery)(const struct crash_recording *recording,
                            const struct crash_state *state, uint32_t choice,
                            struct crash_recording *deeper);
    /* The nth call fails in them, then everything works. False: there was no such call. */
    bool (*fail_once)(const struct crash_recording *recording, const struct crash_state *state,
                      uint32_t choice, enum crash_failure failure, uint64_t nth);
    void (*finish)(void); /* at the end of the program */
};

/* The whole program. */
int crash_main(int argc, char **argv, const struct crash_kind *kind);

#endif
