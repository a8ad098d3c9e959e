/* crash_direct.c - a crash at every moment of a direct store's life (P1-P4).
 *
 * Strategy and replay: crash_driver.h. Invariants, after each crash: the store opens; what it
 * holds is one of the versions that may be left, from the last acknowledged commit on, whole (P2,
 * P3), and each named session has the number of operations that it did up to there; reads and a
 * scan agree, verify finds nothing (P4); opening it again gives the same; it takes further writes
 * and commits, and keeps them; nothing is left open or allocated. Half of what is recorded takes
 * checkpoints by itself: their cuts may come between any two operations, so each operation makes a
 * version that may be left. After a kill the same holds once more for a power cut in the next life.
 */
#include "crash_direct.h"

#include "sim_run.h"
#include "sim_world.h"

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct direct_config DIRECT_CONFIGS[] = {
    {16u << 10, 1, false}, {16u << 10, 4, true}, {64u << 10, 1, true}, {64u << 10, 4, false}};
#define CONFIG_COUNT ARRAY_COUNT(DIRECT_CONFIGS)

/* "wide" writes more segments between two commits than are kept open. */
static const struct crash_script SCRIPTS[] = {
    {"create", "new,commit,in-place,reopen,new,commit", 1, 1, true},
    {"life",
     "new,in-place,rmw,delete,cas,chunked,fill,commit,early,new,commit,grow,delete,reopen,new,"
     "commit,kill,new,commit",
     1, 1, false},
    {"kills", "new,commit,early,kill,early,kill,new,commit,kill,delete,early,reopen,cas", 1, 1,
     false},
    {"large", "chunked,commit,chunked,fill,early,chunked,commit,reopen,chunked,kill,rmw,commit", 1,
     1, false},
    {"early", "early,early,delete,commit,early,kill,early,in-place,reopen,early", 1, 1, false},
    {"early-commits", "early,commit,fill,early,commit,chunked,kill,early,commit,fill,fill", 1, 1,
     false},
    {"indexes",
     "new,copy,delete,commit,leave,early,copy,rmw,index,fill,leave,copy,reopen,copy,chunked,kill,"
     "leave,delete,grow,index,new,grow,leave,rmw,copy",
     1, 1, false},
    {"evict", "fill,fill,fill,chunked,rmw,delete,commit", 4, 4, false},
    {"wide",
     "fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,"
     "fill,fill,fill,fill,fill,fill,fill,fill,commit,new,commit",
     1, 4, false},
};

/* ---- the store that most workloads begin with ---- */

static struct {
    struct sim_image *image;
    struct model *model;
} bases[CONFIG_COUNT];

static void make_base(size_t number) {
    static const enum model_size SIZES[] = {MODEL_WORD,   MODEL_SMALL,  MODEL_SMALL, MODEL_SMALL,
                                            MODEL_MEDIUM, MODEL_SECTOR, MODEL_SMALL, MODEL_SMALL};
    struct direct direct = {
        .config = &DIRECT_CONFIGS[number], .next_value = 1, .model = model_create(DIRECT_KEYS)};
    sim_world_case(number, SIM_IN_ORDER);
    sim_world_life(NULL);
    CASES_CHECK(direct_create(direct.config) == FASTER_OK, "P3", "create");
    direct_open(&direct);
    for (uint32_t key = 0; key < ARRAY_COUNT(SIZES); key++) {
        direct_write(&direct, 0, key, model_value_make(direct.next_value++, SIZES[key]));
    }
    direct_operate(&direct, DIRECT_CHUNKED);
    direct_operate(&direct, DIRECT_COMMIT);
    direct_end(&direct);
    bases[number].image = sim_disk_image(sim_world_disk());
    bases[number].model = direct.model;
}

/* ---- workloads ---- */

static void begin_workload(struct direct *direct, const struct crash_workload *workload,
                           size_t number) {
    if (workload->from_empty) {
        direct->model = model_create(DIRECT_KEYS);
        sim_world_life(NULL);
        CASES_CHECK(direct_create(direct->config) == FASTER_OK, "P3", "create");
        sim_mark(MARK_PHASE, 1);
        direct_open(direct);
        return;
    }
    const uint64_t version = model_newest(bases[number].model);
    direct->model = model_copy(bases[number].model, version);
    direct_begin(direct, bases[number].image, (struct case_range){version, version}, false);
}

static void record(const struct crash_workload *workload, struct crash_recording *recording) {
    const uint32_t number = recording->config;
    struct direct direct = {.config = &DIRECT_CONFIGS[number],
                            .random = sim_mix(recording->seed, 2),
                            .next_value = 1000,
                            .takes_due = DIRECT_CONFIGS[number].takes_due};
    if (bases[number].image == NULL) {
        make_base(number);
    }
    sim_world_case(recording->seed, SIM_IN_ORDER);
    begin_workload(&direct, workload, number);
    for (uint32_t i = 0; i < workload->op_count; i++) {
        const struct sim_disk *disk = sim_world_disk();
        const uint64_t before = sim_log_length(disk);
        direct_operate(&direct, (enum direct_op)workload->ops[i]);
        /* A killed process has a new disk, of which everything is new. */
        recording->from = disk == sim_world_disk() ? before : DIRECT_MARKS;
    }
    if (!workload->only_last) {
        recording->from = workload->from_empty ? 0 : DIRECT_MARKS;
    }
    direct_end_recording(&direct, recording);
}

static void forget(struct crash_recording *recording) {
    model_destroy(recording->content);
}

static uint32_t one_choice(const struct crash_recording *recording,
                           const struct crash_state *state) {
    (void)recording;
    (void)state;
    return 1;
}

/* By the maps that may be left: that versions have one number does not say that they are one. */
static uint64_t identity(const struct crash_recording *recording, const struct crash_state *state,
                         uint32_t choice) {
    const struct case_range range = direct_acceptable(recording, state);
    uint64_t maps = (uint64_t)(state->variant == SIM_KILL) + choice;
    for (uint64_t version = range.low; version <= range.high; version++) {
        maps = sim_mix(maps, model_version_hash(recording->content, version));
    }
    return maps;
}

static void finish(void) {
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        sim_image_release(bases[i].image);
        model_destroy(bases[i].model);
    }
}

int main(int argc, char **argv) {
    const struct crash_kind kind = {.program = "crash_direct",
                                    .promises = "P1 P2 P3 P4",
                                    .states = 45000,
                                    .deeper_states = 2500,
                                    .op_names = DIRECT_OP_NAMES,
                                    .op_count = DIRECT_OPS,
                                    .config_count = CONFIG_COUNT,
                                    .scripts = SCRIPTS,
                                    .script_count = ARRAY_COUNT(SCRIPTS),
                                    .record = record,
                                    .forget = forget,
                                    .choices = one_choice,
                                    .identity = identity,
                                    .check = direct_check_state,
                                    .has_store = direct_has_store,
                                    .record_recovery = direct_record_recovery,
                                    .fail_once = direct_fail_once,
                                    .finish = finish};
    return crash_main(argc, argv, &kind);
}
