/* crash_check.c - see crash_check.h. */
#include "crash_check.h"

#include <stdio.h>
#include <string.h>

#include "sim_run.h"

static const char *const VARIANT_NAMES[] = {
    [SIM_NOTHING] = "nothing", [SIM_EVERYTHING] = "everything",
    [SIM_SECTORS] = "sectors", [SIM_REORDERED] = "reordered",
    [SIM_TORN] = "torn",       [SIM_KILL] = "kill",
    [SIM_SIZES] = "sizes"};
#define VARIANT_COUNT (sizeof VARIANT_NAMES / sizeof VARIANT_NAMES[0])

/* ---- stores ---- */

enum faster_status crash_complete(struct faster_session *session, const struct faster_op *op,
                                  enum faster_status status) {
    if (status == FASTER_PENDING) {
        (void)faster_session_complete_pending(session, true);
        status = op->status;
    }
    return status;
}

model_value crash_read(struct faster_session *session, const struct faster_snapshot *snapshot,
                       uint32_t key) {
    char text[16];
    struct faster_buffer result = {.env = faster_env_posix()};
    struct faster_op op = {.result = &result};
    op.key = (struct faster_bytes){text, model_key(key, text)};
    const enum faster_status status =
        crash_complete(session, &op, faster_snapshot_read(snapshot, &op));
    model_value value = 0;
    CASES_CHECK(status == FASTER_OK || status == FASTER_NOT_FOUND, "P4", "a read of %s: %s %s",
                text, faster_status_name(status), faster_session_message(session));
    if (status == FASTER_OK) {
        value = model_value_parse(result.data, result.size_bytes);
        CASES_CHECK(value != 0, "P4", "%s has a value of %zu bytes that nobody wrote", text,
                    result.size_bytes);
    }
    faster_buffer_finish(&result);
    return value;
}

static void check_scan(const struct faster_snapshot *snapshot, uint32_t key_count,
                       const model_value *map) {
    struct faster_scan *scan;
    struct faster_bytes key, value;
    bool seen[CRASH_KEYS_MAX] = {false};
    enum faster_status status = faster_scan_open(snapshot, &scan);
    CASES_CHECK(status == FASTER_OK, "P4", "scan_open: %s", faster_status_name(status));
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        uint32_t number = UINT32_MAX;
        CASES_CHECK(model_key_parse(key.data, key.size_bytes, &number) && number < key_count, "P4",
                    "a scan shows a key that nobody wrote");
        CASES_CHECK(!seen[number], "P4", "a scan shows key %u twice", number);
        seen[number] = true;
        CASES_CHECK(map[number] != 0 && model_is_bytes(map[number], value.data, value.size_bytes),
                    "P4", "a scan shows another value of key %u than a read", number);
    }
    CASES_CHECK(status == FASTER_END, "P4", "scan_next: %s", faster_status_name(status));
    faster_scan_close(scan);
    for (uint32_t i = 0; i < key_count; i++) {
        CASES_CHECK(seen[i] == (map[i] != 0), "P4", "a scan misses key %u", i);
    }
}

void crash_read_map(struct faster_session *session, const struct faster_snapshot *snapshot,
                    uint32_t key_count, model_value *map) {
    for (uint32_t i = 0; i < key_count; i++) {
        map[i] = crash_read(session, snapshot, i);
    }
    check_scan(snapshot, key_count, map);
}

static void print_finding(void *context, const struct faster_finding *finding) {
    (void)context;
    fprintf(stderr, "verify: %s: %s at %llu\n", finding->what, finding->file,
            (unsigned long long)finding->address);
}

void crash_verify(struct faster_session *session) {
    uint64_t findings = 0;
    const enum faster_status status =
        faster_session_verify(session, print_finding, NULL, NULL, NULL, &findings);
    CASES_CHECK(status == FASTER_OK && findings == 0, "P4", "verify: %s, %llu findings",
                faster_status_name(status), (unsigned long long)findings);
}

uint64_t crash_find(const struct model *model, const model_value *map, struct case_range range) {
    char why[MODEL_WHY_BYTES];
    const uint64_t version = model_find(model, map, range.low, range.high, why);
    CASES_CHECK(version != UINT64_MAX, "P3", "what was recovered was never committed: %s", why);
    return version;
}

/* ---- states ---- */

const char *crash_variant_name(enum sim_variant variant) {
    return VARIANT_NAMES[variant];
}

bool crash_variant_parse(const char *name, enum sim_variant *variant) {
    for (size_t i = 0; i < VARIANT_COUNT; i++) {
        if (strcmp(name, VARIANT_NAMES[i]) == 0) {
            *variant = (enum sim_variant)i;
            return true;
        }
    }
    return false;
}

static void one_variant(const struct crash_plan *plan, struct sim_cursor *cursor,
                        enum sim_variant variant, crash_state_fn *each, void *context) {
    struct crash_state state = {.position = sim_cursor_position(cursor), .variant = variant};
    state.draw = sim_mix(plan->seed, sim_mix(state.position, (uint64_t)variant));
    state.image = sim_cursor_image(cursor, variant, state.draw);
    each(context, &state);
    sim_image_release(state.image);
}

static bool is_drawn(const struct crash_plan *plan, uint64_t position) {
    return plan->one_in <= 1 || position == plan->to ||
           sim_mix(plan->seed, position) % plan->one_in == 0;
}

void crash_each_state(const struct cases *cases, const struct crash_plan *plan,
                      crash_state_fn *each, void *context) {
    struct sim_cursor *cursor = sim_cursor_create(plan->disk, 0);
    while (sim_cursor_next(cursor) && sim_cursor_position(cursor) <= plan->to &&
           cases_more(cases)) {
        if (sim_cursor_position(cursor) < plan->from ||
            !is_drawn(plan, sim_cursor_position(cursor))) {
            continue;
        }
        for (enum sim_variant variant = 0; variant < SIM_VARIANTS; variant++) {
            one_variant(plan, cursor, variant, each, context);
        }
        if (plan->with_kill && sim_cursor_synced(cursor)) {
            one_variant(plan, cursor, SIM_KILL, each, context);
        }
        if (plan->with_sizes) {
            one_variant(plan, cursor, SIM_SIZES, each, context);
        }
    }
    sim_cursor_destroy(cursor);
}

struct sim_image *crash_one_state(const struct sim_disk *disk, uint64_t position,
                                  enum sim_variant variant, uint64_t draw) {
    struct sim_image *image = NULL;
    struct sim_cursor *cursor = sim_cursor_create(disk, 0);
    while (image == NULL && sim_cursor_next(cursor)) {
        if (sim_cursor_position(cursor) == position) {
            image = sim_cursor_image(cursor, variant, draw);
        }
    }
    sim_cursor_destroy(cursor);
    return image;
}
