/* interleave_snapshot.c - snapshots beside transactional writes, under a controlled scheduler (P9).
 *
 * The engine is built on the scheduler's atomics, as in interleave_direct.c. The store is a
 * transactional one in memory; what does not fit goes to its device all the same. One fibre writes
 * transactions: upserts, deletes, savepoints that it goes back to, commits, rollbacks. The others
 * read in snapshots that they open before, while and after these come to be. The decider is a row
 * that changes in one step, between the two phases of a commit.
 *
 * Invariants: a snapshot of a row sees of each key, whenever it looks, the value as of that commit,
 * whole; so does a scan, and it sees nothing else. The newest snapshot is one of a commit that has
 * a row, and no older one than those that were settled when it was asked for.
 */
#include "arena_store.h"
#include "store/store.h"

#include <stdio.h>

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEYS 3u /* 'a', 'b', 'c' */
#define COMMITS_MAX 8u
#define READERS_FIRST 1u
#define SMALL_BYTES 20u /* not whole words beside a key of one byte */
#define LARGE_BYTES 60u
#define FILLER_BYTES 4000u
#define FILLERS 400u /* more than memory has */

/* What a key holds; 0: it does not exist. */
struct model {
    uint8_t values[KEYS];
};

struct world {
    struct faster_store *store;
    struct faster_session *sessions[SCHED_FIBRES_MAX];
    struct faster_snapshot before[SCHED_FIBRES_MAX]; /* of the commit before all that is run */
    struct faster_commit_row rows[COMMITS_MAX];      /* of the decider, by number */
    struct model commits[COMMITS_MAX];               /* by number */
    uint64_t newest;                                 /* the decider's */
    uint64_t settled;                                /* of commits that have returned */
    struct model now;                                /* the open transaction's */
    uint8_t last_value;
    bool has_fillers;
};

static struct world world;
static struct world saved;

/* ---- writing ---- */

static enum faster_status complete(struct faster_session *session, const struct faster_op *op,
                                   enum faster_status status) {
    if (status == FASTER_PENDING) {
        faster_session_complete_pending(session, true);
        status = op->status;
    }
    return status;
}

static void upsert(struct faster_txn *txn, char key, size_t count) {
    unsigned char bytes[LARGE_BYTES];
    const uint8_t value = ++world.last_value;
    struct faster_op op = {.key = {&key, 1}, .value = {bytes, count}};
    memset(bytes, value, count);
    sched_expect(faster_txn_upsert(txn, &op) == FASTER_OK, "an upsert failed");
    world.now.values[key - 'a'] = value;
}

static void delete (struct faster_txn *txn, char key) {
    struct faster_op op = {.key = {&key, 1}};
    sched_expect(faster_txn_delete(txn, &op) == FASTER_OK, "a delete failed");
    world.now.values[key - 'a'] = 0;
}

static enum faster_status replace(void *context, const struct faster_bytes *old,
                                  struct faster_buffer *value) {
    const uint8_t *number = context;
    unsigned char bytes[SMALL_BYTES];
    (void)old;
    sched_point();
    memset(bytes, *number, sizeof bytes);
    return faster_buffer_assign(value, bytes, sizeof bytes);
}

static void rmw(struct faster_txn *txn, char key) {
    uint8_t value = ++world.last_value;
    struct faster_op op = {.key = {&key, 1}, .merge = replace, .context = &value};
    sched_expect(complete(world.sessions[0], &op, faster_txn_rmw(txn, &op)) == FASTER_OK,
                 "a read-modify-write failed");
    world.now.values[key - 'a'] = value;
}

/* ---- transactions ---- */

static const struct faster_commit_row *decider_row(void) {
    return world.newest == 0 ? NULL : &world.rows[world.newest];
}

static struct faster_txn *begin(void) {
    struct faster_txn *txn = NULL;
    sched_expect(faster_txn_begin(world.sessions[0], decider_row(), &txn) == FASTER_OK,
                 "a transaction could not begin");
    world.now = world.commits[world.newest];
    return txn;
}

static void prepare_row(struct faster_txn *txn, struct faster_commit_row *row) {
    uint64_t obsolete_below;
    sched_expect(faster_txn_prepare(txn, row, &obsolete_below) == FASTER_OK, "a prepare failed");
    sched_expect(row->number == world.newest + 1 && row->number < COMMITS_MAX, "a wrong number");
}

static void commit(struct faster_txn *txn) {
    struct faster_commit_row row;
    prepare_row(txn, &row);
    world.rows[row.number] = row;
    world.rows[row.number].redo = NULL; /* nobody here reads it */
    world.rows[row.number].redo_bytes = 0;
    world.commits[row.number] = world.now;
    world.newest = row.number; /* the decider's commit */
    faster_txn_commit(txn);
    world.settled = row.number;
}

/* ---- reading ---- */

static void expect_value(const struct faster_bytes *value, uint8_t number) {
    const unsigned char *bytes = value->data;
    sched_expect(value->size_bytes == SMALL_BYTES || value->size_bytes == LARGE_BYTES,
                 "a value of a wrong size");
    for (size_t i = 0; i < value->size_bytes; i++) {
        sched_expect(bytes[i] == number, "not the value of the snapshot's commit");
    }
}

static void read_all(const struct faster_snapshot *view, uint64_t number) {
    for (uint32_t i = 0; i < KEYS; i++) {
        _Alignas(8) unsigned char room[2 * LARGE_BYTES];
        const char key = (char)('a' + i);
        const uint8_t expected = world.commits[number].values[i];
        struct faster_buffer result = {
            .env = &arena_env, .data = room, .capacity_bytes = sizeof room};
        struct faster_op op = {.key = {&key, 1}, .result = &result};
        const enum faster_status status =
            complete(view->session, &op, faster_snapshot_read(view, &op));
        sched_expect(status == (expected == 0 ? FASTER_NOT_FOUND : FASTER_OK),
                     "a key is there that should not be, or the reverse");
        if (status == FASTER_OK) {
            expect_value(&(struct faster_bytes){result.data, result.size_bytes}, expected);
        }
    }
}

static void scan_all(const struct faster_snapshot *view, uint64_t number) {
    struct faster_scan *scan;
    struct faster_bytes key;
    struct faster_bytes value;
    uint32_t seen = 0;
    enum faster_status status = faster_scan_open(view, &scan);
    sched_expect(status == FASTER_OK, "a scan could not begin");
    while (status == FASTER_OK && (status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        const uint32_t i = (uint32_t)(*(const char *)key.data - 'a');
        sched_expect(key.size_bytes == 1 && i < KEYS && (seen & 1u << i) == 0,
                     "a scan met a key that is none, or twice");
        seen |= 1u << i;
        expect_value(&value, world.commits[number].values[i]);
    }
    sched_expect(status == FASTER_END, "a scan failed");
    for (uint32_t i = 0; i < KEYS; i++) {
        sched_expect(((seen >> i & 1) != 0) == (world.commits[number].values[i] != 0),
                     "a scan left a key out");
    }
    faster_scan_close(scan);
}

/* The view of the decider as it is now. Its row may not be settled yet. */
static void read_row(uint32_t fibre) {
    struct faster_session *session = world.sessions[fibre];
    const uint64_t number = world.newest;
    const struct faster_commit_row row = world.rows[number];
    struct faster_snapshot view;
    sched_expect(faster_session_meet_row(session, &row) == FASTER_OK, "a row was not met");
    sched_expect(faster_snapshot_open(session, &row, &view) == FASTER_OK, "no snapshot of a row");
    read_all(&view, number);
    read_all(&view, number);
    faster_snapshot_close(&view);
}

/* The view of the newest commit that the store knows. */
static void read_newest(uint32_t fibre) {
    const uint64_t settled = world.settled;
    struct faster_snapshot view;
    uint64_t number = 0;
    sched_expect(faster_snapshot_open_newest(world.sessions[fibre], &view) == FASTER_OK,
                 "no newest snapshot");
    for (uint64_t i = 1; i <= world.newest; i++) {
        number = world.rows[i].end == view.upper ? i : number;
    }
    sched_expect(number != 0, "a snapshot of what has no row");
    sched_expect(number >= settled, "a snapshot of an older commit");
    read_all(&view, number);
    faster_snapshot_close(&view);
}

/* ---- before and after ---- */

static enum faster_status no_row(void *context, struct faster_commit_row *row) {
    (void)context;
    (void)row;
    return FASTER_END;
}

static void must(bool is_true) {
    if (!is_true) {
        abort();
    }
}

/* They push the first commit's records out of memory; then they are deleted, so that no scan meets
 * them. */
static void write_fillers(void) {
    static const unsigned char filler[FILLER_BYTES];
    char key[2] = {'f', 0};
    struct faster_txn *txn = begin();
    for (uint32_t i = 0; i < FILLERS; i++) {
        key[1] = (char)(i & 0x7f);
        struct faster_op op = {.key = {key, 2}, .value = {filler, sizeof filler}};
        must(faster_txn_upsert(txn, &op) == FASTER_OK);
    }
    for (uint32_t i = 0; i < 128; i++) {
        key[1] = (char)i;
        struct faster_op op = {.key = {key, 2}};
        must(faster_txn_delete(txn, &op) == FASTER_OK);
    }
    commit(txn);
}

static void make_store(bool has_fillers) {
    memset(&world, 0, sizeof world);
    world.store = arena_open_store(FASTER_WRITES_TRANSACTIONAL);
    for (uint32_t i = 0; i < SCHED_FIBRES_MAX; i++) {
        must(faster_session_open(world.store, &world.sessions[i]) == FASTER_OK);
    }
    must(faster_session_catch_up(world.sessions[0], no_row, NULL, NULL, NULL) == FASTER_OK);
    struct faster_txn *txn = begin();
    upsert(txn, 'a', SMALL_BYTES);
    upsert(txn, 'b', LARGE_BYTES);
    commit(txn);
    if (has_fillers) {
        write_fillers();
        must(fst_log_head(world.store->log).raw >= world.rows[1].end);
    }
    for (uint32_t i = READERS_FIRST; i < SCHED_FIBRES_MAX; i++) {
        must(faster_snapshot_open(world.sessions[i], decider_row(), &world.before[i]) == FASTER_OK);
    }
    world.has_fillers = has_fillers;
    saved = world;
    arena_save();
}

static void prepare(bool has_fillers) {
    if (saved.store == NULL || saved.has_fillers != has_fillers) {
        make_store(has_fillers);
    }
    arena_restore();
    world = saved;
}

static void prepare_small(void) {
    prepare(false);
}
static void prepare_on_disk(void) {
    prepare(true);
}

/* What was there before is seen to the end, and the last commit now. */
static void finish(void) {
    read_all(&world.before[1], saved.newest);
    for (uint32_t i = READERS_FIRST; i < SCHED_FIBRES_MAX; i++) {
        faster_snapshot_close(&world.before[i]);
    }
    sched_expect(world.settled == world.newest, "a commit is not settled");
    read_row(0);
    read_newest(0);
}

/* ---- what the writer does ---- */

static void write_once(void) {
    struct faster_txn *txn = begin();
    upsert(txn, 'a', SMALL_BYTES);
    upsert(txn, 'a', SMALL_BYTES); /* in place */
    delete (txn, 'b');
    commit(txn);
}

/* What is undone lies below what is committed then. */
static void write_around_savepoint(void) {
    struct faster_txn *txn = begin();
    upsert(txn, 'a', SMALL_BYTES);
    const struct model at_savepoint = world.now;
    sched_expect(faster_txn_savepoint(txn, 0) == FASTER_OK, "no savepoint");
    upsert(txn, 'a', SMALL_BYTES);
    delete (txn, 'b');
    upsert(txn, 'c', SMALL_BYTES);
    sched_expect(faster_txn_rollback_to(txn, 0) == FASTER_OK, "no way back");
    world.now = at_savepoint;
    rmw(txn, 'b');
    commit(txn);
}

static void write_in_vain(void) {
    struct faster_txn *txn = begin();
    upsert(txn, 'a', SMALL_BYTES);
    delete (txn, 'b');
    faster_txn_rollback(txn);
}

/* Prepared, and then the decider goes back: the next begin finds no row. */
static void write_in_doubt(void) {
    struct faster_commit_row row;
    struct faster_txn *txn = begin();
    upsert(txn, 'a', SMALL_BYTES);
    upsert(txn, 'c', LARGE_BYTES);
    prepare_row(txn, &row);
    faster_txn_rollback(txn);
}

/* ---- scenarios ---- */

static void read_as(uint32_t fibre) {
    read_all(&world.before[fibre], saved.newest);
    if (fibre == 1) {
        read_row(fibre);
    } else {
        read_newest(fibre);
    }
    read_all(&world.before[fibre], saved.newest);
}

static void run_commit(uint32_t fibre) {
    if (fibre == 0) {
        write_once();
    } else {
        read_as(fibre);
    }
}

static void run_savepoint(uint32_t fibre) {
    if (fibre == 0) {
        write_around_savepoint();
    } else {
        read_as(fibre);
    }
}

static void run_rollback(uint32_t fibre) {
    if (fibre == 0) {
        write_in_vain();
        write_once();
    } else {
        read_as(fibre);
    }
}

static void run_in_doubt(uint32_t fibre) {
    if (fibre == 0) {
        write_in_doubt();
        write_once();
    } else {
        read_as(fibre);
    }
}

static void run_two_commits(uint32_t fibre) {
    if (fibre == 0) {
        write_once();
        write_around_savepoint();
    } else {
        read_row(fibre);
        read_newest(fibre);
    }
}

static void run_scan(uint32_t fibre) {
    if (fibre == 0) {
        write_around_savepoint();
    } else {
        const uint64_t number = world.newest;
        const struct faster_commit_row row = world.rows[number];
        struct faster_snapshot view;
        sched_expect(faster_session_meet_row(world.sessions[fibre], &row) == FASTER_OK &&
                         faster_snapshot_open(world.sessions[fibre], &row, &view) == FASTER_OK,
                     "no snapshot of a row");
        scan_all(&view, number);
        faster_snapshot_close(&view);
    }
}

static const struct sched_scenario scenarios[] = {
    {"commit", 2, prepare_small, run_commit, finish},
    {"savepoint", 2, prepare_small, run_savepoint, finish},
    {"rollback", 2, prepare_small, run_rollback, finish},
    {"in_doubt", 2, prepare_small, run_in_doubt, finish},
    {"two_commits", 2, prepare_small, run_two_commits, finish},
    {"two_readers", 3, prepare_small, run_savepoint, finish},
    {"old_versions_on_disk", 2, prepare_on_disk, run_savepoint, finish},
    {"scan", 2, prepare_small, run_scan, finish},
};

int main(int argument_count, char **arguments) {
    return sched_main(argument_count, arguments, scenarios, ARRAY_COUNT(scenarios));
}
