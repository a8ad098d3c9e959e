/* interleave_names.c - named sessions and cuts under a controlled scheduler (P2).
 *
 * Built and run as interleave_direct: a fibre may lose the processor at each access to a shared
 * word. One or two fibres work in sessions with names, alone or in batches, and hand their names
 * on; another one commits.
 *
 * Invariants: what the control record of a cut says of a name, or the one before it that names it,
 * is the number of the name's operations in versions up to the cut's; numbers follow each other;
 * what a fibre did before its own commit is durable after it.
 */
#include "arena_store.h"
#include "shapes/format_codec.h"
#include "store/log_cursor.h"

#include <stdio.h>

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WORKERS 2u
#define COMMITTER 3u
#define OPS_MAX 16u

static const char *const NAMES[WORKERS] = {"one", "two"};
static const char *const MERGED_KEYS[] = {"a", "c"};

static struct {
    struct faster_store *store;
    struct faster_session *sessions[SCHED_FIBRES_MAX];
    uint64_t serials[WORKERS]; /* of the name's last operation; forgotten names begin anew */
    uint64_t versions[WORKERS][OPS_MAX]; /* of each, by number - 1 */
    uint64_t merged[2];                  /* the numbers of worker 0's merges, by key; 0: none */
    bool is_forgotten[WORKERS];
    bool has_saved;
} world;

/* ---- workers ---- */

static void open_worker(uint32_t fibre) {
    uint64_t serial;
    const enum faster_status status =
        faster_session_open_named(world.store, NAMES[fibre], &serial, &world.sessions[fibre]);
    sched_expect(status == FASTER_OK, "a name cannot be taken");
    sched_expect(serial == world.serials[fibre], "a name was handed on with another number");
}

static void close_worker(uint32_t fibre) {
    faster_session_close(world.sessions[fibre]);
    world.sessions[fibre] = NULL;
}

/* It took effect in the version of the session's last stay. */
static void note(uint32_t fibre, const struct faster_op *op) {
    sched_expect(op->status == FASTER_OK, "an operation failed");
    sched_expect(op->serial == world.serials[fibre] + 1, "numbers do not follow each other");
    world.versions[fibre][world.serials[fibre]++] = world.sessions[fibre]->version;
}

static void set(uint32_t fibre, const char *key, const char *value) {
    struct faster_op op = {.key = {key, 1}, .value = {value, strlen(value)}};
    sched_expect(faster_session_upsert(world.sessions[fibre], &op) == op.status, "a status");
    note(fibre, &op);
}

static enum faster_status merge(void *context, const struct faster_bytes *old,
                                struct faster_buffer *value) {
    (void)context;
    (void)old;
    return faster_buffer_assign(value, "m", 1);
}

/* Two merges of one group. Either may be of a later version than the one before, and than the
 * session's was in the merge: the records tell it at the end. */
static void batch(uint32_t fibre) {
    struct faster_op ops[2];
    for (uint32_t i = 0; i < 2; i++) {
        ops[i] =
            (struct faster_op){.kind = FASTER_OP_RMW, .key = {MERGED_KEYS[i], 1}, .merge = merge};
    }
    const uint64_t before = world.serials[fibre];
    sched_expect(faster_session_batch(world.sessions[fibre], ops, 2) == FASTER_OK &&
                     ops[0].status == FASTER_OK && ops[1].status == FASTER_OK,
                 "a batch failed");
    /* One that lost a race came after the other. */
    sched_expect(ops[0].serial + ops[1].serial == 2 * before + 3, "numbers of a batch");
    world.serials[fibre] = before + 2;
    world.merged[0] = ops[0].serial;
    world.merged[1] = ops[1].serial;
}

static void commit(uint32_t fibre) {
    const uint64_t before = fibre < WORKERS ? world.serials[fibre] : 0;
    sched_expect(faster_session_commit(world.sessions[fibre]) == FASTER_OK, "a commit failed");
    if (fibre < WORKERS) {
        sched_expect(faster_session_durable_serial(world.sessions[fibre]) >= before,
                     "a commit left out what was done before it");
    }
}

/* ---- before and after ---- */

static void make_store(void) {
    memset(&world, 0, sizeof world);
    world.store = arena_open_store(FASTER_WRITES_DIRECT);
    if (faster_session_open(world.store, &world.sessions[2]) != FASTER_OK ||
        faster_session_open(world.store, &world.sessions[COMMITTER]) != FASTER_OK) {
        abort();
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        open_worker(i);
        set(i, i == 0 ? "a" : "b", "first");
    }
    world.has_saved = true;
    arena_save();
}

static void prepare(void) {
    static uint64_t version;
    static struct faster_session *saved[SCHED_FIBRES_MAX];
    if (!world.has_saved) {
        make_store();
        version = world.versions[0][0];
        memcpy(saved, world.sessions, sizeof saved);
    }
    arena_restore();
    memcpy(world.sessions, saved, sizeof saved);
    for (uint32_t i = 0; i < WORKERS; i++) {
        world.serials[i] = 1;
        world.versions[i][0] = version;
        world.is_forgotten[i] = false;
    }
    memset(world.merged, 0, sizeof world.merged);
}

/* Of the name's operations in versions up to that. */
static uint64_t count_up_to(uint32_t worker, uint64_t version) {
    uint64_t count = 0;
    while (count < world.serials[worker] && world.versions[worker][count] <= version) {
        count++;
    }
    return count;
}

static void check_cut(const struct fst_cut *cut, const void *sessions, uint64_t told[WORKERS]) {
    for (uint32_t i = 0; i < cut->session_count; i++) {
        const struct fst_named_serial session = fst_named_serial_at(sessions, i);
        told[strcmp(session.name, NAMES[1]) == 0] = session.serial;
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        sched_expect(world.is_forgotten[i] || told[i] == count_up_to(i, cut->version),
                     "a cut says another number than it covers");
    }
}

typedef void each_record_fn(const struct fst_log_item *item, uint64_t told[WORKERS]);

static void read_log(each_record_fn *each, uint64_t told[WORKERS]) {
    struct faster_store *store = world.store;
    struct fst_log_cursor cursor;
    struct fst_log_item item;
    enum faster_status status = fst_log_cursor_init(
        &cursor, world.sessions[2], fst_log_begin(store->log), fst_log_tail(store->log), false);
    while (status == FASTER_OK && (status = fst_log_cursor_next(&cursor, &item)) == FASTER_OK) {
        each(&item, told);
    }
    sched_expect(status == FASTER_END, "the log cannot be read");
    fst_log_cursor_finish(&cursor);
}

/* A record is of the version that changed it last; of a key's, the last one in the log counts. */
static void note_merged(const struct fst_log_item *item, uint64_t told[WORKERS]) {
    (void)told;
    for (uint32_t i = 0; i < 2 && fst_header_kind(item->header) == FST_KIND_DATA; i++) {
        if (item->bytes[item->shape.key_offset_bytes] == (unsigned char)*MERGED_KEYS[i]) {
            world.versions[0][world.merged[i] - 1] = fst_header_version(item->header);
        }
    }
}

static void check_control(const struct fst_log_item *item, uint64_t told[WORKERS]) {
    struct fst_cut cut;
    const void *sessions;
    if (fst_header_kind(item->header) == FST_KIND_CONTROL) {
        sched_expect(
            fst_cut_decode(fst_log_item_value(item), item->shape.value_bytes, &cut, &sessions),
            "a control record is no cut");
        check_cut(&cut, sessions, told);
    }
}

/* A last cut tells of everything. */
static void finish(void) {
    uint64_t told[WORKERS] = {0};
    sched_expect(faster_session_commit(world.sessions[2]) == FASTER_OK, "the last commit failed");
    if (world.merged[0] != 0) {
        read_log(note_merged, told);
    }
    read_log(check_control, told);
    for (uint32_t i = 0; i < WORKERS; i++) {
        sched_expect(told[i] == world.serials[i], "the last cut left something out");
    }
}

/* ---- scenarios: the last fibre commits ---- */

static void run_cut(uint32_t fibre) {
    if (fibre == 0) {
        set(0, "a", "2");
        set(0, "a", "3");
        set(0, "c", "4");
    } else {
        commit(COMMITTER);
    }
}

static void run_two_cuts(uint32_t fibre) {
    if (fibre == 0) {
        set(0, "a", "2");
        set(0, "a", "3");
    } else {
        commit(COMMITTER);
        commit(COMMITTER);
    }
}

static void run_batch(uint32_t fibre) {
    if (fibre == 0) {
        batch(0);
        set(0, "b", "5");
    } else {
        commit(COMMITTER);
    }
}

static void run_own_commits(uint32_t fibre) {
    set(fibre, fibre == 0 ? "a" : "b", "2");
    commit(fibre);
    set(fibre, "c", "3");
}

static void run_handed_on(uint32_t fibre) {
    if (fibre == 0) {
        set(0, "a", "2");
        close_worker(0);
        open_worker(0);
        set(0, "a", "3");
    } else {
        commit(COMMITTER);
    }
}

static void run_closed(uint32_t fibre) {
    if (fibre == 0) {
        set(0, "a", "2");
        close_worker(0);
    } else {
        commit(COMMITTER);
        commit(COMMITTER);
    }
}

/* A cut may tell of the name before or after, but the last one tells of what is there. */
static void run_forgotten(uint32_t fibre) {
    if (fibre == 0) {
        world.is_forgotten[0] = true;
        close_worker(0);
        sched_expect(faster_session_forget(world.sessions[2], NAMES[0]) == FASTER_OK, "forget");
        world.serials[0] = 0;
        open_worker(0);
        set(0, "a", "2");
    } else {
        commit(COMMITTER);
    }
}

static void run_two_workers(uint32_t fibre) {
    if (fibre < WORKERS) {
        set(fibre, "a", "2");
        set(fibre, "b", "3");
    } else {
        commit(COMMITTER);
    }
}

static const struct sched_scenario scenarios[] = {
    {"cut", 2, prepare, run_cut, finish},
    {"two_cuts", 2, prepare, run_two_cuts, finish},
    {"batch", 2, prepare, run_batch, finish},
    {"own_commits", 2, prepare, run_own_commits, finish},
    {"handed_on", 2, prepare, run_handed_on, finish},
    {"closed", 2, prepare, run_closed, finish},
    {"forgotten", 2, prepare, run_forgotten, finish},
    {"two_workers", 3, prepare, run_two_workers, finish},
};

int main(int argument_count, char **arguments) {
    return sched_main(argument_count, arguments, scenarios, ARRAY_COUNT(scenarios));
}
