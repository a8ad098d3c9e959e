/* faults_engine.c - each call of a store to the system fails in turn (P3-P7).
 *
 * Strategy. A store's life is cut into phases (faults_phases.c), each of which begins with files
 * that were made once. A phase runs without a fault, and the calls that it makes are counted: by
 * kind of call and kind of file, by kind of request to the device, and allocations. Then it runs
 * again and again, and each time another one of these calls fails, in each way that it can: with
 * an error, carried out or not, or half; for want of space; silently short, flipped, old or from
 * elsewhere. It fails once, or as every one after it does, until the phase ends. Requests are
 * late, overtaken, cut short or cancelled. With --allocations only memory is short.
 *
 * Invariants. While it lasts: a call fails with a status that the fault can have, and does nothing;
 * what reads and scans give is right (P4); after a write or a sync of a direct store's log that has
 * failed for certain, no commit is acknowledged (P5). Afterwards the store works again, or, after
 * a failure that may have cost something, wants to be opened again, and says so each time (P5, P6,
 * P7). It is opened again on the same page cache, and is what a commit made it, not older than the
 * newest acknowledged one (P3); writes and commits; and then the power fails: what was acknowledged
 * is there, though a sync may have lost it in the life before. Nothing is left open or allocated.
 *
 * A run goes through the list of all cases with the device's threads taking turns, then through the
 * list again, and who runs next is drawn; with a lower count through a part of the list, evenly
 * spread. Replay: --replay "write-direct sync segment EIO_LOST 2 once 0".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case_spread.h"
#include "device_sim.h"
#include "faults.h"
#include "sim_world.h"
#include "test_env.h"

enum source { SOURCE_DISK, SOURCE_DEVICE, SOURCE_MEMORY };

static const char *const call_names[SIM_CALL_COUNT] = {
    [SIM_CALL_OPEN] = "open",         [SIM_CALL_READ] = "read",   [SIM_CALL_WRITE] = "write",
    [SIM_CALL_TRUNCATE] = "truncate", [SIM_CALL_SYNC] = "sync",   [SIM_CALL_SIZE] = "size",
    [SIM_CALL_LOCK] = "lock",         [SIM_CALL_INFO] = "info",   [SIM_CALL_RENAME] = "rename",
    [SIM_CALL_REMOVE] = "remove",     [SIM_CALL_MKDIR] = "mkdir", [SIM_CALL_RMDIR] = "rmdir",
    [SIM_CALL_DIRSYNC] = "dirsync",   [SIM_CALL_LIST] = "list",
};
static const char *const file_names[SIM_FILE_CLASSES] = {
    "segment", "manifest", "small", "database", "journal", "directory", "checkpoint"};
#define CHECKPOINT_CLASS 6u /* SIM_FILE_CHECKPOINT */
static const struct effect {
    const char *name;
    enum sim_effect effect;
    bool only_reads; /* silent: what is read wrongly and written again is damage, as what is written
                        wrongly: see damage.c */
} effects[] = {
    {"EIO", SIM_EIO, false},
    {"EIO_HALF", SIM_EIO_HALF, false},
    {"EIO_DONE", SIM_EIO_DONE, false},
    {"EIO_LOST", SIM_EIO_LOST, false},
    {"ENOSPC", SIM_ENOSPC, false},
    {"ENOSPC_HALF", SIM_ENOSPC_HALF, false},
    {"EMFILE", SIM_EMFILE, false},
    {"SHORT", SIM_SHORT, false},
    {"FLIP", SIM_FLIP, true},
    {"STALE", SIM_STALE, true},
    {"MISDIRECT", SIM_MISDIRECT, true},
};
#define EFFECTS (sizeof effects / sizeof effects[0])

static const char *const request_names[] = {
    [FST_IO_READ] = "read",
    [FST_IO_WRITE] = "write",
    [FST_IO_SYNC] = "sync",
    [FST_IO_WRITE_SYNC] = "write-sync",
};
static const struct device_fault {
    const char *name;
    enum device_effect effect;
} device_faults[] = {
    {"LATE", DEVICE_LATE},
    {"OVERTAKEN", DEVICE_OVERTAKEN},
    {"SHORT", DEVICE_SHORT},
    {"CANCELLED", DEVICE_CANCELLED},
    {"CANCELLED_DONE", DEVICE_CANCELLED_DONE},
};
#define DEVICE_FAULTS (sizeof device_faults / sizeof device_faults[0])

static const enum fst_test_operation memory_operations[] = {FST_TEST_ALLOCATE, FST_TEST_MAP,
                                                            FST_TEST_RANDOM, FST_TEST_THREAD_START};
static const char *const memory_names[] = {"allocate", "map", "random", "thread"};
#define MEMORY_KINDS (sizeof memory_names / sizeof memory_names[0])

/* All cases that differ only in which call fails, and how long. */
struct group {
    const struct faults_phase *phase;
    enum source source;
    unsigned kind;       /* of call, request or allocation */
    unsigned file_class; /* number */
    unsigned effect;     /* in its table */
    uint64_t count;      /* of calls */
    bool is_listed;      /* else for replays only */
};

static struct group *groups;
static size_t group_count;

/* ---- one case ---- */

static struct faults_allowed allowed_on_disk(const struct group *group) {
    const enum sim_effect effect = effects[group->effect].effect;
    const bool is_sync = group->kind == SIM_CALL_SYNC || group->kind == SIM_CALL_DIRSYNC;
    const bool is_write = group->kind == SIM_CALL_WRITE || group->kind == SIM_CALL_TRUNCATE;
    const bool is_error = effect == SIM_EIO || effect == SIM_EIO_HALF || effect == SIM_EIO_DONE ||
                          effect == SIM_EIO_LOST;
    const bool is_silent =
        effect == SIM_SHORT || effect == SIM_FLIP || effect == SIM_STALE || effect == SIM_MISDIRECT;
    return (struct faults_allowed){
        .failures = true,
        .damage = is_silent,
        /* Nothing that was acknowledged is in the files of checkpoints alone. */
        .breaking = (is_error || is_sync) && group->file_class != CHECKPOINT_CLASS,
        .is_final = is_error && group->phase->is_direct && group->phase->is_log_only &&
                    group->file_class == 0 &&
                    (group->kind == SIM_CALL_SYNC || (is_write && group->kind == SIM_CALL_WRITE)),
    };
}

static struct faults_allowed allowed_on_device(const struct group *group) {
    const enum device_effect effect = device_faults[group->effect].effect;
    const bool may_fail = effect != DEVICE_LATE && effect != DEVICE_OVERTAKEN;
    return (struct faults_allowed){
        .failures = may_fail,
        .damage = effect == DEVICE_SHORT,
        .breaking = may_fail && group->kind != FST_IO_READ,
    };
}

static void arm(const struct group *group, uint64_t nth, bool lasts) {
    const uint64_t times = lasts ? FST_TEST_FOR_EVER : 1;
    const struct sim_fault fault = {1u << group->kind, 1u << group->file_class, nth, times,
                                    group->source == SOURCE_DISK ? effects[group->effect].effect
                                                                 : SIM_EIO};
    switch (group->source) {
    case SOURCE_DISK:
        sim_fault_arm(&fault);
        break;
    case SOURCE_DEVICE:
        device_sim_arm((enum fst_io_kind)group->kind, nth, times,
                       device_faults[group->effect].effect);
        break;
    case SOURCE_MEMORY:
        fst_test_env_fail(sim_world_test_env(), memory_operations[group->kind], nth, times,
                          group->kind == 2 ? FASTER_IO : FASTER_NOMEM);
        break;
    }
}

/* How often the fault has struck, which strikes no more. */
static uint64_t heal(const struct group *group) {
    switch (group->source) {
    case SOURCE_DISK:
        sim_fault_arm(NULL);
        return sim_fault_fired();
    case SOURCE_DEVICE:
        device_sim_arm((enum fst_io_kind)group->kind, 1, 0, DEVICE_LATE);
        return device_sim_fired();
    case SOURCE_MEMORY:
        fst_test_env_heal_all(sim_world_test_env());
        return fst_test_env_failed(sim_world_test_env(), memory_operations[group->kind]);
    }
    return 0;
}

static const char *kind_name(const struct group *group) {
    return group->source == SOURCE_DISK     ? call_names[group->kind]
           : group->source == SOURCE_DEVICE ? request_names[group->kind]
                                            : memory_names[group->kind];
}

static const char *place_name(const struct group *group) {
    return group->source == SOURCE_DISK     ? file_names[group->file_class]
           : group->source == SOURCE_DEVICE ? "device"
                                            : "memory";
}

static const char *effect_name(const struct group *group) {
    return group->source == SOURCE_DISK     ? effects[group->effect].name
           : group->source == SOURCE_DEVICE ? device_faults[group->effect].name
                                            : "none";
}

/* Seed 0: fibres run in order; else who runs next is drawn. False: the fault has not struck, since
 * another order needs fewer calls. */
static bool run_case(const struct group *group, uint64_t nth, bool lasts, uint64_t seed) {
    struct faults_life life;
    cases_name("%s %s %s %s %" PRIu64 " %s %" PRIu64, group->phase->name, kind_name(group),
               place_name(group), effect_name(group), nth, lasts ? "lasting" : "once", seed);
    sim_world_case(seed, seed == 0 ? SIM_IN_ORDER : SIM_DRAWN);
    faults_begin(&life, group->phase);
    life.allowed = group->source == SOURCE_DISK     ? allowed_on_disk(group)
                   : group->source == SOURCE_DEVICE ? allowed_on_device(group)
                                                    : (struct faults_allowed){.failures = true};
    arm(group, nth, lasts);
    group->phase->run(&life);
    const bool has_struck = heal(group) > 0;
    const uint64_t failures = life.failures;
    life.allowed.damage = false;
    group->phase->after(&life);
    faults_end(&life);
    cases_did();
    cases_add("struck", has_struck);
    cases_add("calls that failed", failures);
    CASES_CHECK(has_struck || seed != 0, "setup", "the fault was never reached");
    return has_struck;
}

/* ---- the list of all cases ---- */

struct counts {
    uint64_t disk[SIM_CALL_COUNT][SIM_FILE_CLASSES];
    uint64_t device[FST_IO_WRITE_SYNC + 1];
    uint64_t memory[MEMORY_KINDS];
};

static void count_calls(struct counts *counts) {
    for (unsigned call = 0; call < SIM_CALL_COUNT; call++) {
        for (unsigned i = 0; i < SIM_FILE_CLASSES; i++) {
            counts->disk[call][i] = sim_calls(1u << call, 1u << i);
        }
    }
    for (unsigned kind = FST_IO_READ; kind <= FST_IO_WRITE_SYNC; kind++) {
        counts->device[kind] = device_sim_calls((enum fst_io_kind)kind);
    }
    for (unsigned i = 0; i < MEMORY_KINDS; i++) {
        counts->memory[i] = fst_test_env_calls(sim_world_test_env(), memory_operations[i]);
    }
}

static void add_group(struct group group) {
    if (group.count > 0) {
        groups = realloc(groups, (group_count + 1) * sizeof *groups);
        CASES_CHECK(groups != NULL, "memory", "no memory");
        groups[group_count++] = group;
    }
}

static void add_disk(const struct faults_phase *phase, const struct counts *before,
                     const struct counts *after, bool is_listed) {
    for (unsigned call = 0; call < SIM_CALL_COUNT; call++) {
        for (unsigned i = 0; i < SIM_FILE_CLASSES; i++) {
            for (unsigned effect = 0; effect < EFFECTS; effect++) {
                if (sim_fault_applies((enum sim_call)call, effects[effect].effect) &&
                    (!effects[effect].only_reads || (call == SIM_CALL_READ && phase->only_reads))) {
                    add_group((struct group){phase, SOURCE_DISK, call, i, effect,
                                             after->disk[call][i] - before->disk[call][i],
                                             is_listed});
                }
            }
        }
    }
}

static void add_device(const struct faults_phase *phase, const struct counts *before,
                       const struct counts *after, bool is_listed) {
    for (unsigned kind = FST_IO_READ; kind <= FST_IO_WRITE_SYNC; kind++) {
        for (unsigned effect = 0; effect < DEVICE_FAULTS; effect++) {
            if (kind == FST_IO_SYNC && device_faults[effect].effect == DEVICE_SHORT) {
                continue; /* it has no bytes */
            }
            add_group((struct group){phase, SOURCE_DEVICE, kind, 0, effect,
                                     after->device[kind] - before->device[kind], is_listed});
        }
    }
}

/* Runs the phase without a fault. */
static void add_phase(const struct faults_phase *phase, bool only_allocations) {
    struct faults_life life;
    struct counts before;
    struct counts after;
    cases_name("%s without a fault", phase->name);
    sim_world_case(0, SIM_IN_ORDER);
    faults_begin(&life, phase);
    count_calls(&before);
    phase->run(&life);
    count_calls(&after);
    phase->after(&life);
    faults_end(&life);
    add_disk(phase, &before, &after, !only_allocations);
    add_device(phase, &before, &after, !only_allocations);
    for (unsigned i = 0; i < MEMORY_KINDS; i++) {
        add_group((struct group){phase, SOURCE_MEMORY, i, 0, 0, after.memory[i] - before.memory[i],
                                 only_allocations});
    }
}

static void make_list(const struct cases *cases) {
    group_count = 0;
    for (size_t i = 0; i < faults_phase_count; i++) {
        if (cases->only == NULL || strcmp(cases->only, faults_phases[i].name) == 0) {
            add_phase(&faults_phases[i], cases->only_allocations);
        }
    }
}

/* Once and lastingly. */
static uint64_t list_length(void) {
    uint64_t length = 0;
    for (size_t i = 0; i < group_count; i++) {
        length += groups[i].is_listed ? 2 * groups[i].count : 0;
    }
    return length;
}

static void run_number(uint64_t number, uint64_t seed) {
    const struct group *group = groups;
    while (!group->is_listed || number >= 2 * group->count) {
        number -= group->is_listed ? 2 * group->count : 0;
        group++;
    }
    (void)run_case(group, number / 2 + 1, number % 2 != 0, seed);
}

/* The whole list with fibres in order, then again and again with other orders. */
static void run_slice(const struct cases *cases) {
    const uint64_t length = list_length();
    const uint64_t begin = cases->seed * cases->count % length;
    for (uint64_t i = cases->part; cases_more(cases); i += cases->parts) {
        const uint64_t pass = i / length;
        if (pass > 0 && cases->only_allocations) {
            break;
        }
        run_number(case_spread(begin + i, length),
                   pass == 0 && !cases->is_long ? 0 : sim_mix(cases->seed, pass) | 1);
    }
}

static void replay(const char *words) {
    char name[6][32];
    uint64_t seed;
    CASES_CHECK(sscanf(words, "%31s %31s %31s %31s %31s %31s %" SCNu64, name[0], name[1], name[2],
                       name[3], name[4], name[5], &seed) == 7,
                "setup", "not a case");
    for (size_t i = 0; i < group_count; i++) {
        const struct group *group = &groups[i];
        if (strcmp(name[0], group->phase->name) == 0 && strcmp(name[1], kind_name(group)) == 0 &&
            strcmp(name[2], place_name(group)) == 0 && strcmp(name[3], effect_name(group)) == 0) {
            CASES_CHECK(
                run_case(group, strtoull(name[4], NULL, 10), strcmp(name[5], "lasting") == 0, seed),
                "setup", "the fault was never reached");
            return;
        }
    }
    cases_fail("setup", "there is no such case");
}

int main(int argc, char **argv) {
    struct cases cases = {.program = "faults_engine", .count = 30000};
    cases_begin(&cases, argc, argv);
    sim_world_begin(1, SIM_IN_ORDER);
    faults_make_images();
    make_list(&cases);
    if (!cases_replay(&cases, replay)) {
        while (cases_next_slice(&cases)) {
            run_slice(&cases);
        }
    }
    faults_forget_images();
    free(groups);
    cases_add("recoveries from an index", sim_world_index_recoveries());
    cases_expect(&cases, "recoveries from an index");
    sim_world_end();
    return cases_end(&cases, "P3 P4 P5 P6 P7");
}
