/* fault_cases.h - the list of all calls that can fail, for faults_engine and faults_sql.
 *
 * A phase runs once without a fault, and the calls that it makes are counted: by kind of call, kind
 * of file and who makes it, by kind of request to the device, and allocations. Each of them, in
 * each way that it can fail, once or as every one after it, is a case, in an order that follows
 * from the phases. Replay words: PHASE KIND PLACE EFFECT NTH once|lasting SEED.
 */
#ifndef TESTS_SIM_FAULT_CASES_H
#define TESTS_SIM_FAULT_CASES_H

#include <stdbool.h>
#include <stdint.h>

#include "cases.h"

enum fault_source { FAULT_DISK, FAULT_DEVICE, FAULT_MEMORY, FAULT_OTHER };

/* All cases that differ only in which call fails, and how long. */
struct fault_group {
    unsigned phase;
    enum fault_source source;
    uint32_t side;       /* of the disk's calls: enum sim_side; 0: both */
    unsigned kind;       /* of call, request or allocation */
    unsigned file_class; /* number */
    unsigned effect;     /* in its table */
    uint64_t count;      /* of calls */
    bool is_listed;      /* else for replays only */
};

/* Seed 0: fibres run in order; else who runs next is drawn. */
struct fault_case {
    const struct fault_group *group;
    uint64_t nth;
    bool lasts;
    uint64_t seed;
};

/* Calls that are neither the disk's, the device's nor the environment's. */
struct fault_other {
    const char *kind;
    const char *place;
    uint64_t (*count)(void);
    void (*arm)(uint64_t nth, bool lasts);
    uint64_t (*heal)(void); /* how often it has struck, or 1 for often */
};

struct fault_program {
    unsigned phase_count;
    const char *(*phase_name)(unsigned phase);
    /* Runs the phase without a fault; fault_count_from_here() and fault_count_to_here() are called
     * around what is to fail. */
    void (*measure)(unsigned phase);
    /* Whether the fault has struck: another order of the fibres may need fewer calls. */
    bool (*run)(const struct fault_case *one);
    /* Which groups of the disk's and the device's calls are in the list, of those that the effect
     * is for. */
    bool (*is_case)(const struct fault_group *group);
    bool tells_sides;                /* the engine's calls and SQLite's are different groups */
    const struct fault_other *other; /* or NULL */
};

/* Makes the list; then the case of --replay, or the regressions and the slices. */
void fault_cases_run(struct cases *cases, const struct fault_program *program);

void fault_count_from_here(void);
void fault_count_to_here(void);

/* ---- for program->run ---- */

/* A case of the world begins, with its name. */
void fault_case_begin(const struct fault_case *one);
void fault_case_arm(const struct fault_case *one);
/* How often the fault has struck, which strikes no more. */
uint64_t fault_case_heal(const struct fault_case *one);

/* Of FAULT_DISK. */
enum sim_effect fault_disk_effect(const struct fault_group *group);
/* An error of the disk, whatever has become of the call. */
bool fault_effect_is_eio(enum sim_effect effect);
/* No error, but other bytes. */
bool fault_effect_is_silent(enum sim_effect effect);
/* Of FAULT_DEVICE; what is not carried out whole, or is late only. */
bool fault_device_may_fail(const struct fault_group *group);
bool fault_device_is_short(const struct fault_group *group);
/* Of FAULT_MEMORY: random numbers, which fail as a disk does. */
bool fault_is_random(const struct fault_group *group);

#endif
