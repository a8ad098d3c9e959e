/* crash_direct_states.c - what is checked of one state, and what its recovery is recorded for. */
#include "crash_direct.h"
#include "sim_run.h"
#include "sim_world.h"

#define WRITES 20u
#define WRITES_PER_COMMIT 5u

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

bool direct_has_store(const struct crash_recording *recording, const struct crash_state *state) {
    return cases_newest_mark(recording->disk, state->position, MARK_PHASE) != 0;
}

/* Opened once, compared, and again. The model goes on from what was found. */
static void check_recovery(struct direct *direct, struct case_range range) {
    model_value map[DIRECT_KEYS];
    direct_read_map(direct, map);
    const uint64_t version = direct_find(direct, map, range);
    crash_verify(direct->sessions[1]);
    model_resume(direct->model, version);
    direct_close(direct);
    direct_open(direct);
    expect_map(direct, map, "the second recovery:");
}

struct case_range direct_acceptable(const struct crash_recording *recording,
                                    const struct crash_state *state) {
    struct case_range range = cases_acceptable(recording->disk, state->position);
    const uint64_t newest = model_newest(recording->content);
    range.high = range.high < newest ? range.high : newest;
    return range;
}

void direct_check_state(const struct crash_recording *recording, const struct crash_state *state,
                        uint32_t choice) {
    const struct case_range range = direct_acceptable(recording, state);
    (void)choice;
    struct direct direct = {.config = &DIRECT_CONFIGS[recording->config],
                            .random = state->draw,
                            .next_value = 2000,
                            .model = model_copy(recording->content, range.high)};
    sim_world_case(state->draw, SIM_IN_ORDER);
    sim_world_life(state->image);
    bool is_there = true;
    if (direct_has_store(recording, state)) {
        direct_open(&direct);
    } else {
        is_there = check_creation(&direct);
    }
    if (is_there) {
        check_recovery(&direct, range);
        write_on(&direct);
        direct_close(&direct);
        if (state->variant == SIM_KILL && direct_has_store(recording, state)) {
            model_destroy(direct.model);
            direct.model = model_copy(recording->content, range.high);
            cut_power_after_kill(&direct, state, range);
        }
    }
    sim_world_expect_closed();
    model_destroy(direct.model);
}

/* ---- deeper ---- */

void direct_record_recovery(const struct crash_recording *recording,
                            const struct crash_state *state, uint32_t choice,
                            struct crash_recording *deeper) {
    const struct case_range range = direct_acceptable(recording, state);
    struct direct direct = {.config = &DIRECT_CONFIGS[recording->config],
                            .random = sim_mix(state->draw, 3),
                            .next_value = 3000 + 100 * recording->depth,
                            .model = model_copy(recording->content, range.high)};
    (void)choice;
    sim_world_case(sim_mix(state->draw, 4), SIM_IN_ORDER);
    direct_begin(&direct, state->image, range, state->variant == SIM_KILL);
    direct_operate(&direct, DIRECT_NEW);
    direct_operate(&direct, DIRECT_DELETE);
    direct_operate(&direct, DIRECT_COMMIT);
    deeper->from = DIRECT_MARKS;
    direct_end_recording(&direct, deeper);
}

/* ---- failing recoveries ---- */

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

bool direct_fail_once(const struct crash_recording *recording, const struct crash_state *state,
                      uint32_t choice, enum crash_failure failure, uint64_t nth) {
    const struct case_range range = direct_acceptable(recording, state);
    struct direct direct = {.config = &DIRECT_CONFIGS[recording->config],
                            .random = state->draw,
                            .next_value = 4000,
                            .model = model_copy(recording->content, range.high)};
    sim_world_case(state->draw, SIM_IN_ORDER);
    sim_world_life(state->image);
    direct_open(&direct);
    model_value map[DIRECT_KEYS];
    direct_read_map(&direct, map);
    const uint64_t version = direct_find(&direct, map, range);
    direct_close(&direct);
    sim_world_life(state->image);
    (void)choice;
    crash_arm(failure, nth);
    const struct case_range left = try_to_write(&direct, version);
    const bool has_fired = crash_heal(failure);
    direct_open(&direct);
    check_recovery(&direct, left);
    write_on(&direct);
    direct_close(&direct);
    sim_world_expect_closed();
    model_destroy(direct.model);
    return has_fired;
}
