/* crash_direct_workloads.c - scripts, sequences and drawn workloads, run and recorded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash_direct.h"
#include "sim_run.h"
#include "sim_world.h"

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OPS_MAX 64u
#define WORDS_BYTES 64u

static const struct direct_config CONFIGS[] = {
    {16u << 10, 1}, {16u << 10, 4}, {64u << 10, 1}, {64u << 10, 4}};
#define CONFIG_COUNT ARRAY_COUNT(CONFIGS)

struct workload {
    char words[WORDS_BYTES]; /* for a replay */
    enum direct_op ops[OPS_MAX];
    uint32_t op_count;
    bool from_empty; /* the store's creation is a part of it */
    bool only_last;  /* boundaries */
    uint32_t one_in; /* boundaries */
};

struct script {
    const char *name;
    const char *ops;
    uint32_t repeat;
    uint32_t one_in;
    bool from_empty;
};

/* "wide" writes more segments between two commits than are kept open. */
static const struct script SCRIPTS[] = {
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
    {"evict", "fill,fill,fill,chunked,rmw,delete,commit", 4, 4, false},
    {"wide",
     "fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,fill,"
     "fill,fill,fill,fill,fill,fill,fill,fill,commit,new,commit",
     1, 16, false},
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
        .config = &CONFIGS[number], .next_value = 1, .model = model_create(DIRECT_KEYS)};
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

/* Adds operations, by their names with commas between; false: there is none of such a name. */
static bool add_ops(struct workload *workload, const char *names) {
    while (*names != '\0') {
        const size_t count = strcspn(names, ",");
        uint32_t op = 0;
        while (op < DIRECT_OPS && (strlen(DIRECT_OP_NAMES[op]) != count ||
                                   strncmp(DIRECT_OP_NAMES[op], names, count) != 0)) {
            op++;
        }
        if (op == DIRECT_OPS || workload->op_count == OPS_MAX) {
            return false;
        }
        workload->ops[workload->op_count++] = (enum direct_op)op;
        names += count + (names[count] == ',');
    }
    return true;
}

static bool take_script(struct workload *workload, const char *name) {
    for (size_t i = 0; i < ARRAY_COUNT(SCRIPTS); i++) {
        if (strcmp(SCRIPTS[i].name, name) != 0) {
            continue;
        }
        workload->one_in = SCRIPTS[i].one_in;
        workload->from_empty = SCRIPTS[i].from_empty;
        for (uint32_t turn = 0; turn < SCRIPTS[i].repeat; turn++) {
            if (!add_ops(workload, SCRIPTS[i].ops)) {
                return false;
            }
        }
        return true;
    }
    return false;
}

static void draw_ops(struct workload *workload, uint64_t seed) {
    uint64_t random = sim_mix(seed, 1);
    const uint64_t count = 4 + sim_next(&random) % 40;
    while (workload->op_count < count) {
        workload->ops[workload->op_count++] = (enum direct_op)(sim_next(&random) % DIRECT_OPS);
    }
    workload->one_in = 4;
}

/* "script:NAME", "ops:NAME,NAME" or "drawn". */
static bool parse_workload(struct workload *workload, const char *words, uint64_t seed) {
    *workload = (struct workload){.one_in = 1};
    (void)snprintf(workload->words, sizeof workload->words, "%s", words);
    if (strncmp(words, "script:", 7) == 0) {
        return take_script(workload, words + 7);
    }
    if (strncmp(words, "ops:", 4) == 0) {
        workload->only_last = true;
        return add_ops(workload, words + 4);
    }
    draw_ops(workload, seed);
    return strcmp(words, "drawn") == 0;
}

static void begin_workload(struct direct *direct, const struct workload *workload, size_t number) {
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

static void record(const struct workload *workload, uint64_t seed, size_t number,
                   struct direct_recording *recording) {
    struct direct direct = {
        .config = &CONFIGS[number], .random = sim_mix(seed, 2), .next_value = 1000};
    *recording = (struct direct_recording){
        .config = direct.config, .seed = seed, .one_in = workload->one_in};
    if (bases[number].image == NULL) {
        make_base(number);
    }
    sim_world_case(seed, SIM_IN_ORDER);
    begin_workload(&direct, workload, number);
    for (uint32_t i = 0; i < workload->op_count; i++) {
        const struct sim_disk *disk = sim_world_disk();
        const uint64_t before = sim_log_length(disk);
        direct_operate(&direct, workload->ops[i]);
        /* A killed process has a new disk, of which everything is new. */
        recording->from = disk == sim_world_disk() ? before : DIRECT_MARKS;
    }
    if (!workload->only_last) {
        recording->from = workload->from_empty ? 0 : DIRECT_MARKS;
    }
    recording->disk = sim_world_take_disk();
    recording->to = sim_log_length(recording->disk);
    recording->model = direct.model;
    direct_close(&direct);
    (void)snprintf(recording->words, sizeof recording->words, "%" PRIu64 " %zu %s", seed, number,
                   workload->words);
}

bool direct_record(const char *words, uint64_t seed, uint32_t config,
                   struct direct_recording *recording) {
    struct workload workload;
    if (config >= CONFIG_COUNT || !parse_workload(&workload, words, seed)) {
        return false;
    }
    record(&workload, seed, config, recording);
    return true;
}

void direct_forget(struct direct_recording *recording) {
    sim_disk_destroy(recording->disk);
    model_destroy(recording->model);
}

void direct_finish(void) {
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        sim_image_release(bases[i].image);
        model_destroy(bases[i].model);
    }
}

uint32_t direct_config_count(void) {
    return CONFIG_COUNT;
}

uint32_t direct_script_count(void) {
    return ARRAY_COUNT(SCRIPTS);
}

const char *direct_script_name(uint32_t number) {
    return SCRIPTS[number].name;
}
