/* fault_cases.c - see fault_cases.h. */
#include "fault_cases.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case_spread.h"
#include "device_sim.h"
#include "sim_world.h"
#include "test_env.h"

static const char *const call_names[SIM_CALL_COUNT] = {
    [SIM_CALL_OPEN] = "open",         [SIM_CALL_READ] = "read",   [SIM_CALL_WRITE] = "write",
    [SIM_CALL_TRUNCATE] = "truncate", [SIM_CALL_SYNC] = "sync",   [SIM_CALL_SIZE] = "size",
    [SIM_CALL_LOCK] = "lock",         [SIM_CALL_INFO] = "info",   [SIM_CALL_RENAME] = "rename",
    [SIM_CALL_REMOVE] = "remove",     [SIM_CALL_MKDIR] = "mkdir", [SIM_CALL_RMDIR] = "rmdir",
    [SIM_CALL_DIRSYNC] = "dirsync",   [SIM_CALL_LIST] = "list",
};
/* By class, and by whether the calls are SQLite's alone. */
static const char *const file_names[2][SIM_FILE_CLASSES] = {
    {"segment", "manifest", "small", "database", "journal", "directory", "checkpoint"},
    {"sqlite-segment", "sqlite-manifest", "sqlite-small", "sqlite-database", "sqlite-journal",
     "sqlite-directory", "sqlite-checkpoint"},
};
static const struct {
    const char *name;
    enum sim_effect effect;
} effects[] = {
    {"EIO", SIM_EIO},           {"EIO_HALF", SIM_EIO_HALF},   {"EIO_DONE", SIM_EIO_DONE},
    {"EIO_LOST", SIM_EIO_LOST}, {"ENOSPC", SIM_ENOSPC},       {"ENOSPC_HALF", SIM_ENOSPC_HALF},
    {"EMFILE", SIM_EMFILE},     {"SHORT", SIM_SHORT},         {"FLIP", SIM_FLIP},
    {"STALE", SIM_STALE},       {"MISDIRECT", SIM_MISDIRECT},
};
#define EFFECTS (sizeof effects / sizeof effects[0])

static const char *const request_names[] = {
    [FST_IO_READ] = "read",
    [FST_IO_WRITE] = "write",
    [FST_IO_SYNC] = "sync",
    [FST_IO_WRITE_SYNC] = "write-sync",
};
static const struct {
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

static const struct {
    const char *name;
    enum fst_test_operation operation;
} memory_calls[] = {
    {"allocate", FST_TEST_ALLOCATE},
    {"map", FST_TEST_MAP},
    {"random", FST_TEST_RANDOM},
    {"thread", FST_TEST_THREAD_START},
};
#define MEMORY_KINDS (sizeof memory_calls / sizeof memory_calls[0])

static const struct fault_program *program;
static struct fault_group *groups;
static size_t group_count;

/* ---- what a fault is ---- */

enum sim_effect fault_disk_effect(const struct fault_group *group) {
    return effects[group->effect].effect;
}

bool fault_device_may_fail(const struct fault_group *group) {
    const enum device_effect effect = device_faults[group->effect].effect;
    return effect != DEVICE_LATE && effect != DEVICE_OVERTAKEN;
}

bool fault_device_is_short(const struct fault_group *group) {
    return device_faults[group->effect].effect == DEVICE_SHORT;
}

bool fault_effect_is_eio(enum sim_effect effect) {
    return effect == SIM_EIO || effect == SIM_EIO_HALF || effect == SIM_EIO_DONE ||
           effect == SIM_EIO_LOST;
}

bool fault_effect_is_silent(enum sim_effect effect) {
    return effect == SIM_SHORT || effect == SIM_FLIP || effect == SIM_STALE ||
           effect == SIM_MISDIRECT;
}

bool fault_is_random(const struct fault_group *group) {
    return memory_calls[group->kind].operation == FST_TEST_RANDOM;
}

static const char *kind_name(const struct fault_group *group) {
    return group->source == FAULT_DISK     ? call_names[group->kind]
           : group->source == FAULT_DEVICE ? request_names[group->kind]
           : group->source == FAULT_MEMORY ? memory_calls[group->kind].name
                                           : program->other->kind;
}

static const char *place_name(const struct fault_group *group) {
    return group->source == FAULT_DISK ? file_names[group->side == SIM_SQLITE][group->file_class]
           : group->source == FAULT_DEVICE ? "device"
           : group->source == FAULT_MEMORY ? "memory"
                                           : program->other->place;
}

static const char *effect_name(const struct fault_group *group) {
    return group->source == FAULT_DISK     ? effects[group->effect].name
           : group->source == FAULT_DEVICE ? device_faults[group->effect].name
                                           : "none";
}

/* ---- one case ---- */

void fault_case_begin(const struct fault_case *one) {
    const struct fault_group *group = one->group;
    cases_name("%s %s %s %s %" PRIu64 " %s %" PRIu64, program->phase_name(group->phase),
               kind_name(group), place_name(group), effect_name(group), one->nth,
               one->lasts ? "lasting" : "once", one->seed);
    sim_world_case(one->seed, one->seed == 0 ? SIM_IN_ORDER : SIM_DRAWN);
}

void fault_case_arm(const struct fault_case *one) {
    const struct fault_group *group = one->group;
    const uint64_t times = one->lasts ? FST_TEST_FOR_EVER : 1;
    const struct sim_fault fault = {
        .calls = 1u << group->kind,
        .files = 1u << group->file_class,
        .sides = group->side,
        .first = one->nth,
        .times = times,
        .effect = group->source == FAULT_DISK ? effects[group->effect].effect : SIM_EIO,
    };
    switch (group->source) {
    case FAULT_DISK:
        sim_fault_arm(&fault);
        break;
    case FAULT_DEVICE:
        device_sim_arm((enum fst_io_kind)group->kind, one->nth, times,
                       device_faults[group->effect].effect);
        break;
    case FAULT_MEMORY:
        fst_test_env_fail(sim_world_test_env(), memory_calls[group->kind].operation, one->nth,
                          times, fault_is_random(group) ? FASTER_IO : FASTER_NOMEM);
        break;
    case FAULT_OTHER:
        program->other->arm(one->nth, one->lasts);
        break;
    }
}

uint64_t fault_case_heal(const struct fault_case *one) {
    const struct fault_group *group = one->group;
    switch (group->source) {
    case FAULT_DISK:
        sim_fault_arm(NULL);
        return sim_fault_fired();
    case FAULT_DEVICE:
        device_sim_arm((enum fst_io_kind)group->kind, 1, 0, DEVICE_LATE);
        return device_sim_fired();
    case FAULT_MEMORY:
        fst_test_env_heal_all(sim_world_test_env());
        return fst_test_env_failed(sim_world_test_env(), memory_calls[group->kind].operation);
    case FAULT_OTHER:
        return program->other->heal();
    }
    return 0;
}

static void run_case(const struct fault_case *one) {
    const bool has_struck = program->run(one);
    cases_did();
    cases_add("struck", has_struck);
    CASES_CHECK(has_struck || one->seed != 0, "setup", "the fault was never reached");
}

/* ---- the list of all cases ---- */

static struct counts {
    uint64_t disk[SIM_SIDES + 1][SIM_CALL_COUNT][SIM_FILE_CLASSES]; /* by side; 0: both */
    uint64_t device[FST_IO_WRITE_SYNC + 1];
    uint64_t memory[MEMORY_KINDS];
    uint64_t other;
} before, after;

static void count_calls(struct counts *counts) {
    for (uint32_t side = 0; side <= SIM_SIDES; side++) {
        for (unsigned call = 0; call < SIM_CALL_COUNT; call++) {
            for (unsigned i = 0; i < SIM_FILE_CLASSES; i++) {
                counts->disk[side][call][i] = sim_calls_of(side, 1u << call, 1u << i);
            }
        }
    }
    for (unsigned kind = FST_IO_READ; kind <= FST_IO_WRITE_SYNC; kind++) {
        counts->device[kind] = device_sim_calls((enum fst_io_kind)kind);
    }
    for (unsigned i = 0; i < MEMORY_KINDS; i++) {
        counts->memory[i] = fst_test_env_calls(sim_world_test_env(), memory_calls[i].operation);
    }
    counts->other = program->other == NULL ? 0 : program->other->count();
}

void fault_count_from_here(void) {
    count_calls(&before);
}

void fault_count_to_here(void) {
    count_calls(&after);
}

static void add_group(struct fault_group group) {
    if (group.count > 0) {
        groups = realloc(groups, (group_count + 1) * sizeof *groups);
        CASES_CHECK(groups != NULL, "memory", "no memory");
        groups[group_count++] = group;
    }
}

static void add_disk(unsigned phase, uint32_t side, bool is_listed) {
    for (unsigned call = 0; call < SIM_CALL_COUNT; call++) {
        for (unsigned i = 0; i < SIM_FILE_CLASSES; i++) {
            for (unsigned effect = 0; effect < EFFECTS; effect++) {
                const struct fault_group group = {
                    .phase = phase,
                    .source = FAULT_DISK,
                    .side = side,
                    .kind = call,
                    .file_class = i,
                    .effect = effect,
                    .count = after.disk[side][call][i] - before.disk[side][call][i],
                    .is_listed = is_listed,
                };
                if (sim_fault_applies((enum sim_call)call, effects[effect].effect) &&
                    program->is_case(&group)) {
                    add_group(group);
                }
            }
        }
    }
}

static void add_device(unsigned phase, bool is_listed) {
    for (unsigned kind = FST_IO_READ; kind <= FST_IO_WRITE_SYNC; kind++) {
        for (unsigned effect = 0; effect < DEVICE_FAULTS; effect++) {
            const struct fault_group group = {
                .phase = phase,
                .source = FAULT_DEVICE,
                .kind = kind,
                .effect = effect,
                .count = after.device[kind] - before.device[kind],
                .is_listed = is_listed,
            };
            /* A sync has no bytes. */
            if ((kind != FST_IO_SYNC || !fault_device_is_short(&group)) &&
                program->is_case(&group)) {
                add_group(group);
            }
        }
    }
}

static void add_memory(unsigned phase, bool is_listed) {
    for (unsigned i = 0; i < MEMORY_KINDS; i++) {
        add_group((struct fault_group){.phase = phase,
                                       .source = FAULT_MEMORY,
                                       .kind = i,
                                       .count = after.memory[i] - before.memory[i],
                                       .is_listed = is_listed});
    }
    add_group((struct fault_group){.phase = phase,
                                   .source = FAULT_OTHER,
                                   .count = after.other - before.other,
                                   .is_listed = is_listed});
}

static void add_phase(unsigned phase, bool only_allocations) {
    cases_name("%s without a fault", program->phase_name(phase));
    sim_world_case(0, SIM_IN_ORDER);
    program->measure(phase);
    if (program->tells_sides) {
        add_disk(phase, SIM_ENGINE, !only_allocations);
        add_disk(phase, SIM_SQLITE, !only_allocations);
    } else {
        add_disk(phase, 0, !only_allocations);
    }
    add_device(phase, !only_allocations);
    add_memory(phase, only_allocations);
}

static void make_list(const struct cases *cases) {
    group_count = 0;
    for (unsigned i = 0; i < program->phase_count; i++) {
        if (cases->only == NULL || strcmp(cases->only, program->phase_name(i)) == 0) {
            add_phase(i, cases->only_allocations);
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
    const struct fault_group *group = groups;
    while (!group->is_listed || number >= 2 * group->count) {
        number -= group->is_listed ? 2 * group->count : 0;
        group++;
    }
    run_case(&(struct fault_case){group, number / 2 + 1, number % 2 != 0, seed});
}

/* The whole list with fibres in order, then again and again with other orders. */
static void run_slice(const struct cases *cases) {
    const uint64_t length = list_length();
    const uint64_t begin = length == 0 ? 0 : cases->seed * cases->count % length;
    for (uint64_t i = cases->part; length > 0 && cases_more(cases); i += cases->parts) {
        const uint64_t pass = i / length;
        if (pass > 0 && cases->only_allocations) {
            break;
        }
        run_number(case_spread(begin + i, length),
                   pass == 0 && !cases->is_long ? 0 : sim_mix(cases->seed, pass) | 1);
    }
}

static bool is_named(const struct fault_group *group, char name[6][32]) {
    return strcmp(name[0], program->phase_name(group->phase)) == 0 &&
           strcmp(name[1], kind_name(group)) == 0 && strcmp(name[2], place_name(group)) == 0 &&
           strcmp(name[3], effect_name(group)) == 0;
}

static void replay(const char *words) {
    char name[6][32];
    uint64_t seed;
    CASES_CHECK(sscanf(words, "%31s %31s %31s %31s %31s %31s %" SCNu64, name[0], name[1], name[2],
                       name[3], name[4], name[5], &seed) == 7,
                "setup", "not a case");
    for (size_t i = 0; i < group_count; i++) {
        if (is_named(&groups[i], name)) {
            run_case(&(struct fault_case){&groups[i], strtoull(name[4], NULL, 10),
                                          strcmp(name[5], "lasting") == 0, seed});
            return;
        }
    }
    cases_fail("setup", "there is no such case");
}

void fault_cases_run(struct cases *cases, const struct fault_program *the_program) {
    program = the_program;
    make_list(cases);
    if (!cases_replay(cases, replay)) {
        while (cases_next_slice(cases)) {
            run_slice(cases);
        }
    }
    free(groups);
    groups = NULL;
}
