/* model_store.c - random transactions on a store against a plain map (P1, P2, P4).
 *
 * Strategy: a seeded run of transactions with every operation, savepoints, rollbacks,
 * commits whose row is lost, snapshots that stay open, checkpoints, and reopens after a
 * clean close or a crash (the directory is copied while the store is open, and the copy is
 * opened with the decider's rows of that moment or of some commits earlier). The model is
 * one array of key -> value per commit number. After each reopen and at random points every
 * key is read and a scan is compared, each in the newest state and in every open snapshot.
 *
 * Invariants: a read gives the model's value; a scan gives each live key once; verify finds
 * nothing. Replay: model_store SEED 1.
 *
 *     model_store [first seed] [number of seeds]
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger.h"

#define KEY_COUNT 300
#define VALUE_BYTES_MAX 900
#define HISTORY_MAX 4096
#define SNAPSHOT_MAX 4
#define STEPS 400

/* A value is a number; its bytes are derived from it. 0: absent. */
typedef uint32_t model_state[KEY_COUNT];

struct run {
    uint64_t seed;
    uint64_t random;
    char directory[256];
    uint32_t generation; /* of the copies */
    struct ledger ledger;
    struct faster_store *store;
    struct faster_session *session;
    struct faster_session *reader;
    model_state *history; /* [commit number] */
    model_state now;
    uint32_t next_value;
    uint64_t inline_bytes;
    struct {
        struct faster_snapshot snapshot;
        uint64_t number;
        bool open;
    } snapshots[SNAPSHOT_MAX];
    uint64_t reads, commits, reopens, scans;
};

static _Noreturn void fail(const struct run *run, const char *what, int status) {
    fprintf(stderr, "model_store: seed %llu: %s: %s %s\n", (unsigned long long)run->seed, what,
            faster_status_name((enum faster_status)status),
            run->session != NULL ? faster_session_message(run->session) : "");
    exit(1);
}

#define CHECK(run, condition, what, status)                                                        \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail(run, what, (int)(status));                                                        \
        }                                                                                          \
    } while (0)

static uint32_t draw(struct run *run, uint32_t below) {
    run->random ^= run->random << 13;
    run->random ^= run->random >> 7;
    run->random ^= run->random << 17;
    return (uint32_t)((run->random >> 16) % below);
}

static size_t value_bytes_of(uint32_t value, unsigned char *bytes) {
    size_t count = 4 + (value * 2654435761u >> 8) % VALUE_BYTES_MAX;
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)(value >> (8 * (i % 4)));
    }
    return count;
}

static void key_of(uint32_t index, char key[16]) {
    snprintf(key, 16, "key-%05u", index);
}

static void diagnose(void *context, enum faster_diagnostic_level level, const char *module,
                     const char *message) {
    (void)context;
    if (level == FASTER_DIAGNOSTIC_ERROR) {
        fprintf(stderr, "diagnostic: %s: %s\n", module, message);
    }
}

/* ---- reading ---- */

static void check_key(struct run *run, const struct faster_snapshot *snapshot,
                      const uint32_t *state, uint32_t index) {
    char key[16];
    unsigned char expected[VALUE_BYTES_MAX + 4];
    key_of(index, key);
    struct faster_buffer value = {.env = faster_env_posix()};
    struct faster_op op = {.key = {key, strlen(key)}, .result = &value};
    enum faster_status status = faster_read(snapshot, &op);
    if (status == FASTER_PENDING) {
        faster_complete_pending(snapshot->session, true);
        status = op.status;
    }
    run->reads++;
    if (state[index] == 0) {
        CHECK(run, status == FASTER_NOT_FOUND, "a deleted key came back", status);
    } else {
        CHECK(run, status == FASTER_OK, "a key is missing", status);
        size_t count = value_bytes_of(state[index], expected);
        CHECK(run, count == value.size_bytes && memcmp(value.data, expected, count) == 0,
              "a wrong value", status);
    }
    faster_buffer_finish(&value);
}

static void check_scan(struct run *run, const struct faster_snapshot *snapshot,
                       const uint32_t *state) {
    struct faster_scan *scan;
    struct faster_bytes key, value;
    unsigned char expected[VALUE_BYTES_MAX + 4];
    uint32_t live = 0, seen = 0;
    bool found[KEY_COUNT] = {false};
    enum faster_status status = faster_scan_open(snapshot, &scan);
    CHECK(run, status == FASTER_OK, "scan_open", status);
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        char text[16] = {0};
        CHECK(run, key.size_bytes < sizeof text, "a scan shows a strange key", key.size_bytes);
        memcpy(text, key.data, key.size_bytes);
        uint32_t index = (uint32_t)strtoul(text + 4, NULL, 10);
        CHECK(run, index < KEY_COUNT && !found[index], "a scan repeats a key", index);
        found[index] = true;
        CHECK(run, state[index] != 0, "a scan shows a deleted key", index);
        size_t count = value_bytes_of(state[index], expected);
        CHECK(run, count == value.size_bytes && memcmp(value.data, expected, count) == 0,
              "a scan shows a wrong value", index);
        seen++;
    }
    CHECK(run, status == FASTER_END, "scan_next", status);
    faster_scan_close(scan);
    for (uint32_t i = 0; i < KEY_COUNT; i++) {
        live += state[i] != 0;
    }
    CHECK(run, live == seen, "a scan misses keys", seen);
    run->scans++;
}

static void check_state(struct run *run, const struct faster_snapshot *snapshot,
                        const uint32_t *state, bool all) {
    if (all) {
        for (uint32_t i = 0; i < KEY_COUNT; i++) {
            check_key(run, snapshot, state, i);
        }
        check_scan(run, snapshot, state);
    } else {
        for (int i = 0; i < 5; i++) {
            check_key(run, snapshot, state, draw(run, KEY_COUNT));
        }
    }
}

static uint64_t newest_number(const struct run *run) {
    const struct faster_commit_row *newest = ledger_newest(&run->ledger);
    return newest == NULL ? 0 : newest->number;
}

static void check_newest(struct run *run, bool all) {
    struct faster_snapshot snapshot;
    enum faster_status status = ledger_meet(&run->ledger, run->reader);
    CHECK(run, status == FASTER_OK, "meet", status);
    status = faster_snapshot_open(run->reader, ledger_newest(&run->ledger), &snapshot);
    CHECK(run, status == FASTER_OK, "snapshot_open", status);
    check_state(run, &snapshot, run->history[newest_number(run)], all);
    faster_snapshot_close(&snapshot);
}

/* ---- open, close, crash ---- */

static void open_store(struct run *run) {
    struct faster_options options = {.directory = run->directory,
                                     .memory_bytes = 1 << 20,
                                     .page_bytes = 16 << 10,
                                     .segment_bytes = 64 << 10,
                                     .inline_commit_bytes = run->inline_bytes,
                                     .diagnostic = diagnose};
    struct faster_error error = {0};
    enum faster_status status = faster_store_open(&options, &run->store, &error);
    if (status != FASTER_OK) {
        fprintf(stderr, "%s\n", error.message);
    }
    CHECK(run, status == FASTER_OK, "open", status);
    CHECK(run, faster_session_open(run->store, &run->session) == FASTER_OK, "session", 0);
    CHECK(run, faster_session_open(run->store, &run->reader) == FASTER_OK, "session", 0);
}

static void close_snapshots(struct run *run) {
    for (int i = 0; i < SNAPSHOT_MAX; i++) {
        if (run->snapshots[i].open) {
            faster_snapshot_close(&run->snapshots[i].snapshot);
            run->snapshots[i].open = false;
        }
    }
}

static void close_store(struct run *run) {
    close_snapshots(run);
    faster_session_close(run->session);
    faster_session_close(run->reader);
    faster_store_close(run->store);
    run->session = NULL;
}

static void verify(struct run *run) {
    uint64_t findings = 0;
    enum faster_status status = faster_verify(run->session, NULL, NULL, NULL, NULL, &findings);
    CHECK(run, status == FASTER_OK && findings == 0, "verify", status);
}

/* A crash: what is on disk now, with the rows of now or of some commits ago. */
static void crash(struct run *run) {
    char copy[sizeof run->directory];
    char command[1200];
    snprintf(copy, sizeof copy, "%s", run->directory);
    char *dot = strrchr(copy, '.');
    snprintf(dot, sizeof copy - (size_t)(dot - copy), ".%u", ++run->generation);
    snprintf(command, sizeof command, "cp -r --sparse=always %s %s", run->directory, copy);
    CHECK(run, system(command) == 0, "copy", 0);
    close_store(run);
    snprintf(command, sizeof command, "rm -rf %s", run->directory);
    CHECK(run, system(command) == 0, "remove", 0);
    memcpy(run->directory, copy, sizeof copy);
    open_store(run);
}

static void reopen(struct run *run) {
    if (draw(run, 2) == 0) {
        crash(run);
    } else {
        close_store(run);
        open_store(run);
    }
    run->reopens++;
    check_newest(run, true);
    verify(run);
}

/* ---- writing ---- */

static enum faster_status add_one(void *context, const struct faster_bytes *old,
                                  struct faster_buffer *new_value) {
    (void)old;
    unsigned char bytes[VALUE_BYTES_MAX + 4];
    size_t count = value_bytes_of(*(const uint32_t *)context, bytes);
    return faster_buffer_assign(new_value, bytes, count);
}

static void write_one(struct run *run, struct faster_txn *txn) {
    char key[16];
    unsigned char bytes[VALUE_BYTES_MAX + 4];
    unsigned char old[VALUE_BYTES_MAX + 4];
    uint32_t index = draw(run, draw(run, 2) == 0 ? 10 : KEY_COUNT);
    uint32_t value = run->next_value++;
    key_of(index, key);
    struct faster_op op = {.key = {key, strlen(key)},
                           .value = {bytes, value_bytes_of(value, bytes)},
                           .merge = add_one,
                           .context = &value};
    enum faster_status status, expected = FASTER_OK;
    bool present = run->now[index] != 0;
    switch (draw(run, 6)) {
    case 0:
        status = faster_delete(txn, &op);
        value = 0;
        break;
    case 1:
        status = faster_insert(txn, &op);
        expected = present ? FASTER_EXISTS : FASTER_OK;
        break;
    case 2:
        status = faster_rmw(txn, &op);
        break;
    case 3: {
        uint32_t guess = draw(run, 3) == 0 ? run->now[index] + 1 : run->now[index];
        op.expected = (struct faster_bytes){old, value_bytes_of(guess, old)};
        expected =
            !present ? FASTER_NOT_FOUND : (guess == run->now[index] ? FASTER_OK : FASTER_EXISTS);
        status = faster_compare_and_set(txn, &op);
        break;
    }
    default:
        status = faster_upsert(txn, &op);
        break;
    }
    if (status == FASTER_PENDING) {
        faster_complete_pending(run->session, true);
        status = op.status;
    }
    CHECK(run, status == expected, "a write's outcome", status);
    if (status == FASTER_OK) {
        run->now[index] = value;
    }
}

static void write_some(struct run *run, struct faster_txn *txn, uint32_t count, int level) {
    for (uint32_t i = 0; i < count; i++) {
        write_one(run, txn);
        if (level < 4 && draw(run, 8) == 0) {
            model_state before;
            memcpy(before, run->now, sizeof before);
            CHECK(run, faster_txn_savepoint(txn, level) == FASTER_OK, "savepoint", 0);
            write_some(run, txn, 1 + draw(run, 5), level + 1);
            if (draw(run, 2) == 0) {
                CHECK(run, faster_txn_rollback_to(txn, level) == FASTER_OK, "rollback_to", 0);
                memcpy(run->now, before, sizeof before);
            }
            if (draw(run, 2) == 0) {
                faster_txn_release(txn, level);
            }
        }
        if (draw(run, 20) == 0) {
            struct faster_snapshot own;
            CHECK(run, faster_snapshot_open_txn(run->session, txn, &own) == FASTER_OK, "own", 0);
            check_state(run, &own, run->now, draw(run, 10) == 0);
            faster_snapshot_close(&own);
        }
    }
}

/* One transaction with a random end. */
static void transact(struct run *run) {
    struct faster_txn *txn;
    enum faster_status status = ledger_begin(&run->ledger, run->session, &txn);
    CHECK(run, status == FASTER_OK, "begin", status);
    uint64_t number = newest_number(run);
    memcpy(run->now, run->history[number], sizeof run->now);
    write_some(run, txn, 1 + draw(run, draw(run, 10) == 0 ? 300 : 12), 0);
    struct faster_commit_row row;
    uint64_t obsolete;
    switch (draw(run, 8)) {
    case 0:
        faster_txn_rollback(txn);
        return;
    case 1: /* in doubt, and the row never turns up */
        status = faster_txn_prepare(txn, &row, &obsolete);
        CHECK(run, status == FASTER_OK || status == FASTER_NOT_FOUND, "prepare", status);
        faster_txn_rollback(txn);
        return;
    case 2: /* in doubt, and the row is there */
        status = faster_txn_prepare(txn, &row, &obsolete);
        CHECK(run, status == FASTER_OK || status == FASTER_NOT_FOUND, "prepare", status);
        if (status == FASTER_OK) {
            ledger_insert(&run->ledger, &row, obsolete);
        }
        faster_txn_rollback(txn);
        break;
    case 3: /* BUSY, more writes, again */
        status = faster_txn_prepare(txn, &row, &obsolete);
        CHECK(run, status == FASTER_OK || status == FASTER_NOT_FOUND, "prepare", status);
        write_some(run, txn, 1 + draw(run, 5), 0);
        /* fall through */
    default:
        status = ledger_commit(&run->ledger, txn);
        CHECK(run, status == FASTER_OK, "commit", status);
        break;
    }
    run->commits++;
    CHECK(run, newest_number(run) < HISTORY_MAX, "history", 0);
    memcpy(run->history[newest_number(run)], run->now, sizeof run->now);
}

static void checkpoint(struct run *run) {
    const struct faster_commit_row *newest = ledger_newest(&run->ledger);
    uint64_t obsolete = 0;
    struct faster_txn *txn; /* the decider's write lock; settles what is in doubt */
    enum faster_status status = ledger_begin(&run->ledger, run->session, &txn);
    CHECK(run, status == FASTER_OK, "begin", status);
    status = faster_checkpoint(run->session, newest, &obsolete, NULL, NULL);
    CHECK(run, status == FASTER_OK, "checkpoint", status);
    faster_txn_rollback(txn);
    ledger_delete_below(&run->ledger, obsolete);
}

static void toggle_snapshot(struct run *run) {
    uint32_t index = draw(run, SNAPSHOT_MAX);
    if (run->snapshots[index].open) {
        check_state(run, &run->snapshots[index].snapshot,
                    run->history[run->snapshots[index].number], true);
        faster_snapshot_close(&run->snapshots[index].snapshot);
        run->snapshots[index].open = false;
        return;
    }
    enum faster_status status = ledger_meet(&run->ledger, run->reader);
    CHECK(run, status == FASTER_OK, "meet", status);
    status = faster_snapshot_open(run->reader, ledger_newest(&run->ledger),
                                  &run->snapshots[index].snapshot);
    CHECK(run, status == FASTER_OK, "snapshot", status);
    run->snapshots[index].number = newest_number(run);
    run->snapshots[index].open = true;
}

static void step(struct run *run) {
    switch (draw(run, 24)) {
    case 0:
        checkpoint(run);
        break;
    case 1:
        reopen(run);
        break;
    case 2:
    case 3:
        toggle_snapshot(run);
        break;
    case 4:
        check_newest(run, draw(run, 4) == 0);
        break;
    default:
        transact(run);
        break;
    }
}

static void run_seed(struct run *run, uint64_t seed, const char *base) {
    static const uint64_t INLINE[] = {1, 200, 4096, 32768, UINT64_MAX};
    memset(run, 0, sizeof *run);
    run->seed = seed;
    run->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    run->next_value = 1;
    run->history = calloc(HISTORY_MAX, sizeof *run->history);
    run->inline_bytes = INLINE[draw(run, 5)];
    snprintf(run->directory, sizeof run->directory, "%s/s%llu.0", base, (unsigned long long)seed);
    struct faster_options options = {.directory = run->directory,
                                     .memory_bytes = 1 << 20,
                                     .page_bytes = 16 << 10,
                                     .segment_bytes = 64 << 10};
    struct faster_error error = {0};
    enum faster_status status = faster_store_create(&options, NULL, &error);
    CHECK(run, status == FASTER_OK, error.message, status);
    open_store(run);
    for (int i = 0; i < STEPS; i++) {
        step(run);
    }
    check_newest(run, true);
    verify(run);
    close_store(run);
    ledger_finish(&run->ledger);
    free(run->history);
}

static int remove_entry(const char *path, const struct stat *info, int flag, struct FTW *ftw) {
    (void)info;
    (void)flag;
    (void)ftw;
    return remove(path);
}

int main(int argc, char **argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 40;
    const char *scale = getenv("FASTER_TEST_SCALE");
    if (scale != NULL && argc < 3) {
        count = count * strtoull(scale, NULL, 10) / 100 + 1;
    }
    char base[] = "/tmp/faster-model-XXXXXX";
    if (mkdtemp(base) == NULL) {
        return 1;
    }
    struct run *run = calloc(1, sizeof *run);
    uint64_t reads = 0, commits = 0, reopens = 0, scans = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        run_seed(run, seed, base);
        reads += run->reads;
        commits += run->commits;
        reopens += run->reopens;
        scans += run->scans;
    }
    free(run);
    nftw(base, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    printf("model_store: %llu seeds, %llu commits, %llu reopens, %llu reads, %llu scans: "
           "0 differences\n",
           (unsigned long long)count, (unsigned long long)commits, (unsigned long long)reopens,
           (unsigned long long)reads, (unsigned long long)scans);
    return 0;
}
