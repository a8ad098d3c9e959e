/* faults_phases.c - the parts of a store's life, and what they begin with. */
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "sim_world.h"

/* What a phase begins with: files, rows and the model of them. */
struct beginning {
    struct sim_image *image;
    struct ledger ledger;
    struct model *model;
    uint32_t next_value;
};

static struct beginning nothing;    /* an empty parent directory */
static struct beginning closed[2];  /* by whether it is direct */
static struct beginning killed[2];  /* in a commit: a jump is needed */
static struct beginning indexed[2]; /* closed; recovery begins with a copy of the index */

/* ---- beginnings ---- */

static void keep(struct beginning *beginning, const struct faults_life *life) {
    beginning->image = sim_disk_image(sim_world_disk());
    beginning->ledger = ledger_copy(&life->ledger);
    beginning->model = model_copy(life->model, life->acked);
    beginning->next_value = life->next_value;
}

static void forget(struct beginning *beginning) {
    sim_image_release(beginning->image);
    ledger_finish(&beginning->ledger);
    model_destroy(beginning->model);
    *beginning = (struct beginning){0};
}

static void take(struct faults_life *life, const struct beginning *beginning) {
    sim_world_life(beginning->image);
    life->ledger = ledger_copy(&beginning->ledger);
    life->model = model_copy(beginning->model, model_newest(beginning->model));
    life->acked = model_newest(life->model);
    life->next_value = beginning->next_value;
}

static void make_nothing(void) {
    struct faults_life life = {.model = model_create(FAULTS_KEYS), .next_value = 1};
    sim_world_life(NULL);
    CASES_CHECK(sim_directory_create(SIM_ENGINE, FAULTS_PARENT, 0750) == SIM_OK, "setup", "mkdir");
    CASES_CHECK(sim_directory_sync(SIM_ENGINE, "/") == SIM_OK, "setup", "sync");
    keep(&nothing, &life);
    model_destroy(life.model);
}

static void must_create(struct faults_life *life) {
    const struct faster_options options = faults_options(life);
    struct faster_error error = {0};
    const enum faster_status status = faster_store_create(&options, NULL, &error);
    CASES_CHECK(status == FASTER_OK, "P6", "create: %s: %s", faster_status_name(status),
                error.message);
}

static void must_open(struct faults_life *life) {
    const struct faults_allowed allowed = life->allowed;
    life->allowed = (struct faults_allowed){false, false, false, false};
    CASES_CHECK(faults_open(life), "P6", "open");
    life->allowed = allowed;
}

/* Values of every size; most of the first ones are dead when the later ones are there. */
static void fill(struct faults_life *life) {
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t key = 0; key < 12; key++) {
            faults_put(life, key, key % 4 == 3 ? MODEL_PAGE : key % 2 ? MODEL_MEDIUM : MODEL_SMALL);
        }
        faults_commit(life);
    }
    faults_put(life, 12, MODEL_CHUNKED);
    faults_write(life, 1, 0);
    faults_merge(life, 2);
    faults_commit(life);
}

/* A commit of which half arrives; the process ends there. */
static void kill_in_commit(struct faults_life *life) {
    const struct sim_fault fault = {1u << SIM_CALL_WRITE, SIM_FILE_SEGMENT, 1,
                                    UINT64_MAX,           SIM_EIO_HALF,     0};
    faults_put(life, 13, MODEL_MEDIUM);
    faults_put(life, 14, MODEL_PAGE);
    sim_fault_arm(&fault);
    life->allowed = (struct faults_allowed){.failures = true, .breaking = true};
    faults_commit(life);
    sim_fault_arm(NULL);
    CASES_CHECK(life->failures > 0, "setup", "the commit has not failed");
}

static void make_store(bool is_direct) {
    struct faults_life life = {.is_direct = is_direct};
    take(&life, &nothing);
    must_create(&life);
    must_open(&life);
    fill(&life);
    faults_close(&life);
    keep(&closed[is_direct], &life);
    must_open(&life);
    kill_in_commit(&life);
    keep(&killed[is_direct], &life);
    faults_close(&life);
    faults_end(&life);
}

static void make_indexed(bool is_direct) {
    struct faults_life life = {.is_direct = is_direct};
    take(&life, &closed[is_direct]);
    must_open(&life);
    faults_put(&life, 0, MODEL_MEDIUM);
    faults_commit(&life);
    CASES_CHECK(faults_take_checkpoint(&life, FASTER_INDEX_COPY), "setup", "no checkpoint");
    faults_put(&life, 3, MODEL_SMALL);
    faults_put(&life, 15, MODEL_MEDIUM);
    faults_commit(&life);
    faults_close(&life);
    keep(&indexed[is_direct], &life);
    faults_end(&life);
}

void faults_make_images(void) {
    make_nothing();
    for (int is_direct = 0; is_direct < 2; is_direct++) {
        make_store(is_direct);
        make_indexed(is_direct);
    }
}

void faults_forget_images(void) {
    forget(&nothing);
    for (int i = 0; i < 2; i++) {
        forget(&closed[i]);
        forget(&killed[i]);
        forget(&indexed[i]);
    }
}

void faults_end(struct faults_life *life) {
    ledger_finish(&life->ledger);
    model_destroy(life->model);
    sim_world_expect_closed();
}

/* ---- after a phase: nothing fails any more ---- */

/* The lasting part of a failure: the store writes no more, and a second attempt is no better. */
static void expect_broken(struct faults_life *life) {
    life->is_broken = true;
    life->allowed = (struct faults_allowed){.failures = true, .breaking = true};
    faults_put(life, 20, MODEL_SMALL);
    faults_commit(life);
    faults_read_all(life);
}

/* Writing goes on, or the store says that it must be opened again. */
static void go_on(struct faults_life *life) {
    const uint64_t failures = life->failures;
    life->allowed.failures = life->allowed.breaking;
    if (!life->is_broken) {
        faults_put(life, 15, MODEL_SMALL);
        faults_commit(life);
    }
    if (life->is_broken || life->failures > failures) {
        CASES_CHECK(life->allowed.breaking, "P6", "writing does not go on");
        expect_broken(life);
    } else {
        CASES_CHECK(!life->allowed.is_final || sim_fault_fired() == 0, "P5",
                    "writing goes on after a failure that is final");
        faults_read_all(life);
        faults_scan(life);
    }
}

/* The process's next life: the page cache is the same. What it acknowledges survives a power cut,
 * whatever a sync has lost before. */
static void live_again(struct faults_life *life) {
    must_open(life);
    life->allowed = (struct faults_allowed){false, false, false, false};
    faults_find(life);
    faults_verify(life);
    faults_put(life, 16, MODEL_SMALL);
    faults_put(life, 17, MODEL_MEDIUM);
    faults_commit(life);
    struct sim_cursor *cursor =
        sim_cursor_create(sim_world_disk(), sim_log_length(sim_world_disk()));
    struct sim_image *image = sim_cursor_image(cursor, SIM_NOTHING, 0);
    sim_cursor_destroy(cursor);
    faults_close(life);
    sim_world_life(image);
    sim_image_release(image);
    must_open(life);
    faults_find(life);
    faults_scan(life);
    faults_verify(life);
    faults_close(life);
}

static void after_open_store(struct faults_life *life) {
    go_on(life);
    faults_close(life);
    live_again(life);
}

static void after_close(struct faults_life *life) {
    live_again(life);
}

static bool is_there(const char *path) {
    struct sim_info info;
    return sim_path_info(SIM_ENGINE, path, &info) == SIM_OK;
}

/* Removes what is there; that is nothing, if a creation has failed or a removal has not. */
static void must_remove(struct faults_life *life) {
    const struct faster_options options = faults_options(life);
    struct faster_error error = {0};
    const enum faster_status status =
        faster_store_remove(options.env, options.directory, options.uuid, &error);
    CASES_CHECK(status == FASTER_OK || status == FASTER_MISSING, "P6", "remove: %s: %s",
                faster_status_name(status), error.message);
    CASES_CHECK(!is_there(FAULTS_PATH), "P6", "removed, and still there");
}

static void after_create(struct faults_life *life) {
    if (life->failures > 0) {
        must_remove(life);
        must_create(life);
    }
    live_again(life);
}

static void after_open(struct faults_life *life) {
    life->allowed.failures = false;
    if (life->store == NULL) {
        must_open(life);
    }
    faults_read_all(life);
    after_open_store(life);
}

static void after_remove(struct faults_life *life) {
    must_remove(life);
    must_create(life);
    model_destroy(life->model);
    life->model = model_create(FAULTS_KEYS);
    life->acked = 0;
    ledger_finish(&life->ledger);
    live_again(life);
}

/* ---- phases ---- */

static void run_create(struct faults_life *life) {
    const struct faster_options options = faults_options(life);
    struct faster_error error = {0};
    const enum faster_status status = faster_store_create(&options, NULL, &error);
    if (status != FASTER_OK) {
        CASES_CHECK(error.message[0] != '\0', "P4", "%s without a message",
                    faster_status_name(status));
        faults_failed(life, status, "create");
    }
}

static void run_open(struct faults_life *life) {
    if (faults_open(life)) {
        faults_read_all(life);
    }
}

static void run_open_index(struct faults_life *life) {
    run_open(life);
}

static void run_write(struct faults_life *life) {
    faults_put(life, 0, MODEL_SMALL);
    faults_put(life, 20, MODEL_SMALL);
    faults_commit(life);
    faults_merge(life, 3);
    faults_write(life, 5, 0);
    faults_commit(life);
    faults_put(life, 21, MODEL_CHUNKED);
    faults_put(life, 22, MODEL_PAGE);
    faults_commit(life);
    faults_read_all(life);
}

/* Values that push each other out of memory, and are read back. */
static void run_evict(struct faults_life *life) {
    for (uint32_t key = 24; key < FAULTS_KEYS; key++) {
        faults_put(life, key, MODEL_PAGE);
    }
    faults_merge(life, 24);
    faults_commit(life);
    faults_read_all(life);
}

static void run_checkpoint(struct faults_life *life) {
    for (uint32_t key = 0; key < 13; key++) {
        faults_put(life, key, MODEL_MEDIUM);
    }
    faults_commit(life);
    if (faults_checkpoint(life)) {
        faults_put(life, 23, MODEL_SMALL);
        faults_commit(life);
    }
}

/* Of a transactional store the second one comes beside a transaction that has written. */
static void run_index(struct faults_life *life) {
    for (uint32_t key = 0; key < 6; key++) {
        faults_put(life, key, MODEL_MEDIUM);
    }
    faults_commit(life);
    (void)faults_take_checkpoint(life, FASTER_INDEX_COPY);
    faults_put(life, 23, MODEL_SMALL);
    (void)faults_take_checkpoint(life, FASTER_INDEX_LEAVE);
    faults_commit(life);
}

static void run_read(struct faults_life *life) {
    const enum faster_status status = faster_session_grow(life->session);
    if (status < FASTER_OK && status != FASTER_FULL) {
        faults_failed(life, status, "grow");
    }
    faults_scan(life);
    faults_records(life);
    faults_verify(life);
}

static void run_close(struct faults_life *life) {
    faults_put(life, 20, MODEL_PAGE);
    faults_commit(life);
    faults_put(life, 21, MODEL_MEDIUM);
    faults_close(life);
}

static void run_remove(struct faults_life *life) {
    const struct faster_options options = faults_options(life);
    const enum faster_status status =
        faster_store_remove(options.env, options.directory, options.uuid, NULL);
    if (status != FASTER_OK) {
        faults_failed(life, status, "remove");
    } else {
        CASES_CHECK(!is_there(FAULTS_PATH), "P6", "removed, and still there");
    }
}

const struct faults_phase faults_phases[] = {
    {"create", .is_direct = true, .run = run_create, .after = after_create},
    {"open-direct", .is_direct = true, .only_reads = true, .run = run_open, .after = after_open},
    {"open", .only_reads = true, .run = run_open, .after = after_open},
    {"write-direct", true, true, false, true, run_write, after_open_store},
    {"write", false, true, false, true, run_write, after_open_store},
    {"evict-direct", true, true, false, true, run_evict, after_open_store},
    {"evict", false, true, false, true, run_evict, after_open_store},
    {"checkpoint", false, true, false, false, run_checkpoint, after_open_store},
    {"read-direct", true, true, true, true, run_read, after_open_store},
    {"read", false, true, true, true, run_read, after_open_store},
    {"close-direct", true, true, false, false, run_close, after_close},
    {"close", false, true, false, false, run_close, after_close},
    {"open-index-direct", .is_direct = true, .only_reads = true, .run = run_open_index,
     .after = after_open},
    {"open-index", .only_reads = true, .run = run_open_index, .after = after_open},
    {"index-direct", true, true, false, false, run_index, after_open_store},
    {"index", false, true, false, false, run_index, after_open_store},
    {"remove", .is_direct = true, .run = run_remove, .after = after_remove},
};
const size_t faults_phase_count = sizeof faults_phases / sizeof faults_phases[0];

/* Opening and the first write meet what a crash left; the rest begins with a clean store. */
static const struct beginning *beginning_of(const struct faults_phase *phase) {
    if (phase->run == run_create) {
        return &nothing;
    }
    if (phase->run == run_open_index || phase->run == run_index) {
        return &indexed[phase->is_direct];
    }
    return phase->run == run_open || phase->run == run_write ? &killed[phase->is_direct]
                                                             : &closed[phase->is_direct];
}

void faults_begin(struct faults_life *life, const struct faults_phase *phase) {
    *life = (struct faults_life){.is_direct = phase->is_direct};
    take(life, beginning_of(phase));
    if (phase->opens) {
        must_open(life);
    }
}
