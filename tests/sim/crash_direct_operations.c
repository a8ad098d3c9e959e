/* crash_direct_operations.c - the store of crash_direct and what is done to it.
 *
 * Keys have their purposes, so that short sequences meet what they are about: some are there from
 * the start, some are not, some hold values larger than a page. Versions of the model are the
 * commits, and the clean closes; MARK_TRY and MARK_ACK stand around each. Where checkpoints are
 * taken by themselves each operation makes one, too, which nothing acknowledges.
 */
#include "crash_direct.h"

#include <string.h>

#include "sim_run.h"
#include "sim_world.h"
#include "test_env.h"

#define NAMELESS DIRECT_SESSIONS

#define WORD_KEY 0u /* its values have one size */
#define FIRST_NEW_KEY 8u
#define CHUNKED_KEY 16u /* and the next one */
#define FILL_KEY 18u    /* and the next two */

const char *const DIRECT_OP_NAMES[DIRECT_OPS] = {
    [DIRECT_NEW] = "new",       [DIRECT_IN_PLACE] = "in-place", [DIRECT_RMW] = "rmw",
    [DIRECT_DELETE] = "delete", [DIRECT_CAS] = "cas",           [DIRECT_CHUNKED] = "chunked",
    [DIRECT_FILL] = "fill",     [DIRECT_COMMIT] = "commit",     [DIRECT_EARLY] = "early",
    [DIRECT_GROW] = "grow",     [DIRECT_REOPEN] = "reopen",     [DIRECT_KILL] = "kill",
    [DIRECT_COPY] = "copy",     [DIRECT_INDEX] = "index",       [DIRECT_LEAVE] = "leave",
};

uint32_t direct_draw(struct direct *direct, uint32_t below) {
    return (uint32_t)(sim_next(&direct->random) >> 33) % below;
}

/* ---- life ---- */

static struct faster_options options_of(const struct direct_config *config) {
    struct faster_options options = {.directory = "/" DIRECT_UUID,
                                     .writes = FASTER_WRITES_DIRECT,
                                     .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                     .page_bytes = FASTER_PAGE_BYTES_MIN,
                                     .segment_bytes = config->segment_bytes,
                                     .io = FASTER_IO_THREADS,
                                     .io_threads = config->io_threads,
                                     .index_bits = 4};
    (void)faster_uuid_parse(DIRECT_UUID, options.uuid);
    return options;
}

enum faster_status direct_create(const struct direct_config *config) {
    const struct faster_options options = options_of(config);
    return faster_store_create(&options, NULL, NULL);
}

enum faster_status direct_remove(void) {
    uint8_t uuid[FASTER_UUID_BYTES];
    (void)faster_uuid_parse(DIRECT_UUID, uuid);
    return faster_store_remove(faster_env_posix(), "/" DIRECT_UUID, uuid, NULL);
}

static enum faster_status open_store(struct direct *direct, struct faster_error *error) {
    struct faster_options options = options_of(direct->config);
    options.page_bytes = 0;
    options.segment_bytes = 0;
    options.checkpoint_bytes = direct->takes_due ? FASTER_CHECKPOINT_BYTES_MIN : UINT64_MAX;
    enum faster_status status = faster_store_open(&options, &direct->store, error);
    for (uint32_t i = 0; status == FASTER_OK && i < DIRECT_SESSIONS; i++) {
        const char name[2] = {(char)('a' + i), '\0'};
        status = faster_session_open_named(direct->store, name, NULL, &direct->sessions[i]);
        if (status == FASTER_OK) {
            status = faster_snapshot_open_newest(direct->sessions[i], &direct->views[i]);
        }
    }
    if (status == FASTER_OK) {
        status = faster_session_open(direct->store, &direct->sessions[NAMELESS]);
    }
    return status;
}

void direct_open(struct direct *direct) {
    struct faster_error error = {0};
    const enum faster_status status = open_store(direct, &error);
    CASES_CHECK(status == FASTER_OK, "P3", "open: %s: %s", faster_status_name(status),
                error.message);
}

enum faster_status direct_try_open(struct direct *direct) {
    struct faster_error error = {0};
    const enum faster_status status = open_store(direct, &error);
    if (status != FASTER_OK) {
        direct_close(direct);
    }
    return status;
}

/* That the workloads have them. */
static void count_checkpoints(const struct direct *direct) {
    struct faster_stat stats[128];
    const size_t count = direct->store == NULL ? 0 : faster_store_stats(direct->store, stats, 128);
    for (size_t i = 0; i < count && i < 128; i++) {
        if (strcmp(stats[i].name, "checkpoints_by_themselves") == 0) {
            cases_add("checkpoints due", stats[i].value);
        }
    }
}

void direct_close(struct direct *direct) {
    count_checkpoints(direct);
    for (uint32_t i = 0; i < DIRECT_SESSIONS; i++) {
        faster_snapshot_close(&direct->views[i]);
        faster_session_close(direct->sessions[i]);
        direct->sessions[i] = NULL;
    }
    faster_session_close(direct->sessions[NAMELESS]);
    direct->sessions[NAMELESS] = NULL;
    faster_store_close(direct->store);
    direct->store = NULL;
}

void direct_read_map(struct direct *direct, model_value map[DIRECT_KEYS]) {
    crash_read_map(direct->sessions[0], &direct->views[0], DIRECT_KEYS, map);
}

static bool has_serials(const struct direct *direct, uint64_t version) {
    bool is_equal = true;
    for (uint32_t i = 0; i < DIRECT_SESSIONS; i++) {
        is_equal = is_equal && faster_session_durable_serial(direct->sessions[i]) ==
                                   model_serial(direct->model, version, i);
    }
    return is_equal;
}

/* Two versions may have one map: what the one adds, a later one deletes. */
static bool is_version(const struct direct *direct, const model_value map[DIRECT_KEYS],
                       uint64_t version) {
    return memcmp(model_version(direct->model, version), map, DIRECT_KEYS * sizeof *map) == 0 &&
           has_serials(direct, version);
}

uint64_t direct_find(const struct direct *direct, const model_value map[DIRECT_KEYS],
                     struct case_range range) {
    uint64_t version = crash_find(direct->model, map, range);
    while (version > range.low && !is_version(direct, map, version)) {
        version--;
    }
    CASES_CHECK(is_version(direct, map, version), "P2",
                "a session has another number than what it did: %llu, %llu",
                (unsigned long long)faster_session_durable_serial(direct->sessions[0]),
                (unsigned long long)faster_session_durable_serial(direct->sessions[1]));
    return version;
}

/* After a kill, what was not acknowledged may be there, but is not safe. */
static void take_up(struct direct *direct, struct case_range range, bool is_kill) {
    model_value map[DIRECT_KEYS];
    direct_read_map(direct, map);
    const uint64_t version = direct_find(direct, map, range);
    model_resume(direct->model, version);
    if (!is_kill) {
        sim_mark(MARK_ACK, version);
    }
}

void direct_begin(struct direct *direct, const struct sim_image *image, struct case_range range,
                  bool is_kill) {
    sim_world_life(image);
    sim_mark(MARK_ACK, range.low);
    sim_mark(MARK_TRY, range.high);
    sim_mark(MARK_PHASE, 1);
    direct_open(direct);
    take_up(direct, range, is_kill);
}

/* ---- writes ---- */

static enum faster_status set_value(void *context, const struct faster_bytes *old,
                                    struct faster_buffer *value) {
    static unsigned char bytes[MODEL_VALUE_BYTES_MAX];
    const model_value *wanted = context;
    (void)old;
    return faster_buffer_assign(value, bytes, model_bytes(*wanted, bytes));
}

/* A delete of what is not there may write nothing. */
static void note_serial(struct direct *direct, uint32_t session, const struct faster_op *op) {
    const bool took_effect =
        op->status == FASTER_OK && (op->serial != 0 || op->kind != FASTER_OP_DELETE);
    const uint64_t serial =
        took_effect && session != NAMELESS ? model_did(direct->model, session) : 0;
    CASES_CHECK(op->serial == serial, "P2", "an operation has the number %llu, not %llu",
                (unsigned long long)op->serial, (unsigned long long)serial);
}

/* Calls an operation and expects what the model says. */
static void call(struct direct *direct, uint32_t number, enum faster_op_kind kind, uint32_t key,
                 model_value value, model_value guess) {
    static unsigned char bytes[MODEL_VALUE_BYTES_MAX], expected[MODEL_VALUE_BYTES_MAX];
    struct faster_session *session = direct->sessions[number];
    char text[16];
    struct faster_op op = {.merge = set_value, .context = &value};
    op.key = (struct faster_bytes){text, model_key(key, text)};
    op.kind = (int32_t)kind;
    op.value = (struct faster_bytes){bytes, value != 0 ? model_bytes(value, bytes) : 0};
    op.expected = (struct faster_bytes){expected, guess != 0 ? model_bytes(guess, expected) : 0};
    if (direct->takes_due) {
        sim_mark(MARK_TRY, model_newest(direct->model) + 1);
    }
    enum faster_status status = faster_session_batch(session, &op, 1);
    status = crash_complete(session, &op, status == FASTER_OK ? op.status : status);
    const enum faster_status wanted = model_expect(direct->model, kind, key, guess);
    CASES_CHECK(status == wanted, "P4", "operation %d on key %u: %s, not %s: %s", (int)kind, key,
                faster_status_name(status), faster_status_name(wanted),
                faster_session_message(session));
    if (status == FASTER_OK) {
        model_put(direct->model, key, kind == FASTER_OP_DELETE ? 0 : value);
    }
    note_serial(direct, number, &op);
    if (direct->takes_due) {
        (void)model_commit(direct->model);
    }
}

void direct_write(struct direct *direct, uint32_t session, uint32_t key, model_value value) {
    const enum faster_op_kind kind = value != 0 ? FASTER_OP_UPSERT : FASTER_OP_DELETE;
    call(direct, session, kind, key, value, 0);
}

enum faster_status direct_try_write(struct direct *direct, uint32_t key, model_value value) {
    static unsigned char bytes[MODEL_VALUE_BYTES_MAX];
    char text[16];
    struct faster_op op = {.value = {bytes, model_bytes(value, bytes)}};
    op.key = (struct faster_bytes){text, model_key(key, text)};
    struct faster_session *session = direct->sessions[0];
    const enum faster_status status =
        crash_complete(session, &op, faster_session_upsert(session, &op));
    if (status == FASTER_OK) {
        model_put(direct->model, key, value);
    }
    note_serial(direct, 0, &op);
    return status;
}

static model_value new_value(struct direct *direct, enum model_size size) {
    return model_value_make(direct->next_value++, size);
}

static void upsert(struct direct *direct, uint32_t session, uint32_t key, enum model_size size) {
    direct_write(direct, session, key, new_value(direct, size));
}

/* A key below CHUNKED_KEY that is there or not, as wanted; any if there is none. */
static uint32_t find_key(struct direct *direct, uint32_t from, bool is_there) {
    for (uint32_t i = 0; i < CHUNKED_KEY; i++) {
        const uint32_t key = (from + i) % CHUNKED_KEY;
        if ((model_get(direct->model, key) != 0) == is_there) {
            return key;
        }
    }
    return from;
}

static void compare_and_set(struct direct *direct) {
    const uint32_t key = find_key(direct, 1 + direct_draw(direct, 6), true);
    const model_value now = model_get(direct->model, key);
    const model_value wrong = model_value_make(MODEL_NUMBER_MAX, MODEL_WORD);
    call(direct, 0, FASTER_OP_COMPARE_AND_SET, key, new_value(direct, MODEL_SMALL),
         now != 0 ? now : wrong);
    call(direct, 0, FASTER_OP_COMPARE_AND_SET, key, new_value(direct, MODEL_SMALL), wrong);
}

/* Nothing in place: a value takes none of a deletion's. */
static void fill(struct direct *direct) {
    for (uint32_t i = 0; i < 3; i++) {
        direct_write(direct, 0, FILL_KEY + i, 0);
        upsert(direct, 0, FILL_KEY + i, MODEL_PAGE);
    }
}

/* ---- commits ---- */

static void commit(struct direct *direct, uint32_t session) {
    const uint64_t version = model_commit(direct->model);
    sim_mark(MARK_TRY, version);
    const enum faster_status status = faster_session_commit(direct->sessions[session]);
    CASES_CHECK(status == FASTER_OK, "P3", "commit: %s %s", faster_status_name(status),
                faster_session_message(direct->sessions[session]));
    sim_mark(MARK_ACK, version);
}

/* Between the end of the version and its control record. What a session without a name does
 * changes no number that a commit would have to tell. */
static void write_early(void *context, enum fst_test_operation operation) {
    struct direct *direct = context;
    const uint32_t session = direct->early++ % 2 == 0 ? NAMELESS : 0;
    fst_test_env_hook(sim_world_test_env(), operation, NULL, NULL);
    upsert(direct, session, 1, MODEL_SMALL);
    upsert(direct, session, FIRST_NEW_KEY, MODEL_MEDIUM);
    direct_write(direct, session, 2, 0);
}

static void commit_with_early_writes(struct direct *direct) {
    upsert(direct, 1, 3, MODEL_SMALL);
    if (direct->takes_due) { /* the hook could be met by the store's thread */
        commit(direct, 1);
        return;
    }
    fst_test_env_hook(sim_world_test_env(), FST_TEST_RANDOM, write_early, direct);
    commit(direct, 1);
    fst_test_env_hook(sim_world_test_env(), FST_TEST_RANDOM, NULL, NULL);
}

/* ---- checkpoints ---- */

/* The version ends only here: what was written beside the copy is of it. */
static void end_version(void *context, enum fst_test_operation operation) {
    struct direct *direct = context;
    direct->tried = model_commit(direct->model);
    sim_mark(MARK_TRY, direct->tried);
    write_early(direct, operation);
}

/* Before the first entry is read, and behind the place from which recovery reads the log. */
static void write_beside_copy(void *context, enum fst_test_operation operation) {
    struct direct *direct = context;
    fst_test_env_hook(sim_world_test_env(), operation, NULL, NULL);
    upsert(direct, 0, 4, MODEL_SMALL);
    upsert(direct, 0, FIRST_NEW_KEY + 1, MODEL_MEDIUM);
    direct_write(direct, 0, 5, 0);
    fst_test_env_hook(sim_world_test_env(), operation, end_version, direct);
}

static void take_checkpoint(struct direct *direct, enum faster_checkpoint_kind kind,
                            enum faster_checkpoint_index index) {
    const struct faster_checkpoint_request request = {.kind = kind, .index = index};
    const bool copies = index == FASTER_INDEX_COPY;
    upsert(direct, 1, 3, MODEL_SMALL);
    direct->tried = 0;
    if (direct->takes_due) { /* a hook could be met by the store's thread */
        direct->tried = model_commit(direct->model);
        sim_mark(MARK_TRY, direct->tried);
    } else {
        fst_test_env_hook(sim_world_test_env(), FST_TEST_RANDOM,
                          copies ? write_beside_copy : end_version, direct);
    }
    const enum faster_status status =
        faster_session_take_checkpoint(direct->sessions[1], &request, NULL);
    fst_test_env_hook(sim_world_test_env(), FST_TEST_RANDOM, NULL, NULL);
    CASES_CHECK(status == FASTER_OK && direct->tried != 0, "P3", "checkpoint: %s %s",
                faster_status_name(status), faster_session_message(direct->sessions[1]));
    sim_mark(MARK_ACK, direct->tried);
}

void direct_end(struct direct *direct) {
    const uint64_t version = model_commit(direct->model);
    sim_mark(MARK_TRY, version);
    direct_close(direct);
    sim_mark(MARK_ACK, version);
}

static void reopen(struct direct *direct) {
    direct_end(direct);
    direct_open(direct);
}

/* The mark makes a boundary here. What the old process does to its own disk later, nobody sees. */
static void kill_process(struct direct *direct) {
    sim_mark(MARK_PHASE, 2);
    const struct sim_disk *disk = sim_world_disk();
    const uint64_t position = sim_log_length(disk);
    const struct case_range range = cases_acceptable(disk, position);
    struct sim_image *image = crash_one_state(disk, position, SIM_KILL, 0);
    direct_close(direct);
    direct_begin(direct, image, range, true);
    sim_image_release(image);
}

void direct_end_recording(struct direct *direct, struct crash_recording *recording) {
    recording->disk = sim_world_take_disk();
    recording->to = sim_log_length(recording->disk);
    recording->content = direct->model;
    direct_close(direct);
}

void direct_operate(struct direct *direct, enum direct_op op) {
    switch (op) {
    case DIRECT_NEW:
        upsert(direct, 0, find_key(direct, FIRST_NEW_KEY, false), MODEL_SMALL);
        break;
    case DIRECT_IN_PLACE:
        upsert(direct, 0, WORD_KEY, MODEL_WORD);
        upsert(direct, 1, WORD_KEY, MODEL_WORD);
        break;
    case DIRECT_RMW:
        call(direct, 1, FASTER_OP_RMW, direct_draw(direct, CHUNKED_KEY),
             new_value(direct, MODEL_MEDIUM), 0);
        break;
    case DIRECT_DELETE:
        call(direct, 0, FASTER_OP_DELETE, find_key(direct, 1 + direct_draw(direct, 6), true), 0, 0);
        break;
    case DIRECT_CAS:
        compare_and_set(direct);
        break;
    case DIRECT_CHUNKED:
        upsert(direct, 0, CHUNKED_KEY + direct_draw(direct, 2), MODEL_CHUNKED);
        break;
    case DIRECT_FILL:
        fill(direct);
        break;
    case DIRECT_COMMIT:
        commit(direct, 0);
        break;
    case DIRECT_EARLY:
        commit_with_early_writes(direct);
        break;
    case DIRECT_GROW:
        (void)!faster_session_grow(direct->sessions[0]);
        break;
    case DIRECT_REOPEN:
        reopen(direct);
        break;
    case DIRECT_KILL:
        kill_process(direct);
        break;
    case DIRECT_COPY:
        take_checkpoint(direct, FASTER_CHECKPOINT_FOLD_OVER, FASTER_INDEX_COPY);
        break;
    case DIRECT_INDEX:
        take_checkpoint(direct, FASTER_CHECKPOINT_INDEX_ONLY, FASTER_INDEX_COPY);
        break;
    case DIRECT_LEAVE:
        take_checkpoint(direct, FASTER_CHECKPOINT_FOLD_OVER, FASTER_INDEX_LEAVE);
        break;
    case DIRECT_OPS:
        break;
    }
}
