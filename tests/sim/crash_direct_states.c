/* crash_direct_states.c - what is checked of one state, and what its recovery is recorded for. */
#include <inttypes.h>
#include <stdio.h>

#include "crash_direct.h"
#include "sim_run.h"
#include "sim_world.h"
#include "test_env.h"

#define WRITES 20u
#define WRITES_PER_COMMIT 5u
#define LOG_LINES 40u

/* ---- one state ---- */

static void expect_map(struct direct *direct, const model_value *expected, const char *when) {
    model_value map[DIRECT_KEYS];
    direct_read_map(direct, map);
    for (uint32_t key = 0; key < DIRECT_KEYS; key++) {
        CASES_CHECK(map[key] == expected[key], "P2", "%s key %u is %#x, not %#x", when, key,
                    map[key], expected[key]);
    }
}

/* Life goes on: writes and commits, a clean close, and all of it is there. */
static void write_on(struct direct *direct) {
    for (uint32_t i = 1; i <= WRITES; i++) {
        const uint32_t key = direct_draw(direct, DIRECT_KEYS);
        const bool removes = direct_draw(direct, 4) == 0;
        direct_write(direct, i % DIRECT_SESSIONS, key,
                     removes ? 0 : model_value_make(direct->next_value++, MODEL_SMALL));
        if (i % WRITES_PER_COMMIT == 0) {
            direct_operate(direct, DIRECT_COMMIT);
        }
    }
    direct_operate(direct, DIRECT_REOPEN);
    expect_map(direct, model_version(direct->model, model_newest(direct->model)), "written after:");
}

/* A process was killed, the next one commits, and then the power goes. */
static void cut_power_after_kill(struct direct *direct, const struct crash_state *state,
                                 struct case_range range) {
    direct_begin(direct, state->image, range, true);
    direct_operate(direct, DIRECT_NEW);
    direct_operate(direct, DIRECT_COMMIT);
    struct sim_disk *disk = sim_world_take_disk();
    const uint64_t position = sim_log_length(disk);
    direct_close(direct);
    for (enum sim_variant variant = SIM_NOTHING; variant < SIM_VARIANTS; variant++) {
        struct sim_image *image = crash_one_state(disk, position, variant, state->draw);
        sim_world_life(image);
        direct_open(direct);
        expect_map(direct, model_version(direct->model, model_newest(direct->model)),
                   "after a kill and a power cut:");
        direct_close(direct);
        sim_image_release(image);
    }
    sim_disk_destroy(disk);
}

/* The creation was not over: if there is no store, what there is can be removed, and one made. */
static bool check_creation(struct direct *direct) {
    if (direct_try_open(direct) == FASTER_OK) {
        return true;
    }
    enum faster_status status = direct_remove();
    if (status == FASTER_FOREIGN || status == FASTER_CORRUPT) {
        cases_add("half identities", 1); /* neither opened nor removed: see engine/FORMAT.md */
        return false;
    }
    CASES_CHECK(status == FASTER_OK || status == FASTER_MISSING, "P2", "removing what is left: %s",
                faster_status_name(status));
    status = direct_create(direct->config);
    CASES_CHECK(status == FASTER_OK, "P2", "creating it again: %s", faster_status_name(status));
    return false;
}

bool direct_was_created(const struct direct_recording *recording, uint64_t position) {
    return cases_newest_mark(recording->disk, position, MARK_PHASE) != 0;
}

/* Opened once, compared, and again. The model goes on from what was found. */
static void check_recovery(struct direct *direct, struct case_range range) {
    model_value map[DIRECT_KEYS];
    direct_read_map(direct, map);
    const uint64_t version = crash_find(direct->model, map, range);
    crash_verify(direct->sessions[1]);
    model_resume(direct->model, version);
    direct_close(direct);
    direct_open(direct);
    expect_map(direct, map, "the second recovery:");
}

/* For a failure's report: what came before the crash. */
static struct {
    const struct sim_disk *disk;
    uint64_t position;
} shown;

void direct_print_log(void) {
    if (shown.disk != NULL) {
        const uint64_t from = shown.position > LOG_LINES ? shown.position - LOG_LINES : 0;
        sim_log_print(shown.disk, from, shown.position);
    }
}

void direct_check_state(const struct direct_recording *recording, const struct crash_state *state,
                        struct case_range range) {
    shown.disk = recording->disk;
    shown.position = state->position;
    struct direct direct = {.config = recording->config,
                            .random = state->draw,
                            .next_value = 2000,
                            .model = model_copy(recording->model, range.high)};
    sim_world_case(state->draw, SIM_IN_ORDER);
    sim_world_life(state->image);
    bool is_there = true;
    if (direct_was_created(recording, state->position)) {
        direct_open(&direct);
    } else {
        is_there = check_creation(&direct);
    }
    if (is_there) {
        check_recovery(&direct, range);
        write_on(&direct);
        direct_close(&direct);
        if (state->variant == SIM_KILL && direct_was_created(recording, state->position)) {
            model_destroy(direct.model);
            direct.model = model_copy(recording->model, range.high);
            cut_power_after_kill(&direct, state, range);
        }
    }
    sim_world_expect_closed();
    model_destroy(direct.model);
    shown.disk = NULL;
}

/* ---- deeper ---- */

/* Recovery, a first write, a commit. */
struct direct_recording direct_record_recovery(const struct direct_recording *recording,
                                               const struct crash_state *state,
                                               struct case_range range) {
    struct direct_recording deeper = *recording;
    struct direct direct = {.config = recording->config,
                            .random = sim_mix(state->draw, 3),
                            .next_value = 3000 + 100 * recording->depth,
                            .model = model_copy(recording->model, range.high)};
    sim_world_case(sim_mix(state->draw, 4), SIM_IN_ORDER);
    direct_begin(&direct, state->image, range, state->variant == SIM_KILL);
    direct_operate(&direct, DIRECT_NEW);
    direct_operate(&direct, DIRECT_DELETE);
    direct_operate(&direct, DIRECT_COMMIT);
    deeper.disk = sim_world_take_disk();
    deeper.from = DIRECT_MARKS;
    deeper.to = sim_log_length(deeper.disk);
    deeper.model = direct.model;
    deeper.seed = state->draw;
    deeper.one_in = 1;
    deeper.depth++;
    direct_close(&direct);
    const int count =
        snprintf(deeper.words, sizeof deeper.words, "%s %" PRIu64 " %s %" PRIu64, recording->words,
                 state->position, crash_variant_name(state->variant), state->draw);
    CASES_CHECK(count > 0 && (size_t)count < sizeof deeper.words, "P2", "too many words");
    return deeper;
}

/* ---- failing recoveries ---- */

const char *const DIRECT_FAILURE_NAMES[DIRECT_FAILURES] = {"io", "space", "allocate", "map"};

static void arm(enum direct_failure failure, uint64_t nth) {
    const struct sim_fault fault = {.calls = UINT32_MAX,
                                    .files = UINT32_MAX,
                                    .first = nth,
                                    .times = 1,
                                    .effect = failure == DIRECT_FAIL_IO ? SIM_EIO : SIM_ENOSPC};
    if (failure == DIRECT_FAIL_ALLOCATE || failure == DIRECT_FAIL_MAP) {
        fst_test_env_fail(sim_world_test_env(),
                          failure == DIRECT_FAIL_MAP ? FST_TEST_MAP : FST_TEST_ALLOCATE, nth, 1,
                          FASTER_NOMEM);
    } else {
        sim_fault_arm(&fault);
    }
}

static bool heal(enum direct_failure failure) {
    const struct fst_test_env *test = sim_world_test_env();
    const bool has_fired =
        failure == DIRECT_FAIL_ALLOCATE ? fst_test_env_failed(test, FST_TEST_ALLOCATE) > 0
        : failure == DIRECT_FAIL_MAP    ? fst_test_env_failed(test, FST_TEST_MAP) > 0
                                        : sim_fault_fired() > 0;
    fst_test_env_heal_all(sim_world_test_env());
    sim_fault_arm(NULL);
    return has_fired;
}

/* Opens, writes once and commits, if it can. What a reopen may then find: the version that was
 * found before, or also the next one, or only that. */
static struct case_range try_to_write(struct direct *direct, uint64_t version) {
    struct case_range range = {version, version};
    enum faster_status status = direct_try_open(direct);
    if (status != FASTER_OK) {
        return range;
    }
    model_resume(direct->model, version);
    status = direct_try_write(direct, 5, model_value_make(direct->next_value++, MODEL_SMALL));
    if (status == FASTER_OK) {
        range.high = model_commit(direct->model);
        status = faster_session_commit(direct->sessions[0]);
        range.low = status == FASTER_OK ? range.high : version;
    }
    direct_close(direct);
    return range;
}

/* One call fails in what comes after the crash; then everything works again. False: it was not
 * reached. */
bool direct_fail_once(const struct direct_recording *recording, const struct crash_state *state,
                      struct case_range range, enum direct_failure failure, uint64_t nth) {
    struct direct direct = {.config = recording->config,
                            .random = state->draw,
                            .next_value = 4000,
                            .model = model_copy(recording->model, range.high)};
    sim_world_case(state->draw, SIM_IN_ORDER);
    sim_world_life(state->image);
    direct_open(&direct);
    model_value map[DIRECT_KEYS];
    direct_read_map(&direct, map);
    const uint64_t version = crash_find(direct.model, map, range);
    direct_close(&direct);
    sim_world_life(state->image);
    arm(failure, nth);
    const struct case_range left = try_to_write(&direct, version);
    const bool has_fired = heal(failure);
    direct_open(&direct);
    check_recovery(&direct, left);
    write_on(&direct);
    direct_close(&direct);
    sim_world_expect_closed();
    model_destroy(direct.model);
    return has_fired;
}
