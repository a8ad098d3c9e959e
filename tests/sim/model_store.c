/* model_store.c - random transactions on a store against a plain map (P1-P7).
 *
 * Strategy: a seeded run of transactions with every operation, savepoints, rollbacks,
 * commits whose row is lost or comes late, snapshots that stay open, checkpoints, faults of
 * disk and memory, and reopens after a clean close or a crash (model_store_crash.c: torn
 * sectors, a decider that lost commits or got one back, readers with old snapshots). The model
 * is one array of key -> value per commit number. After each reopen and at random points every
 * key is read and a scan is compared, each in the newest state and in every open snapshot.
 *
 * Invariants: a read gives the model's value; a scan gives each live key once; verify finds
 * nothing; a transaction that met a fault commits or leaves nothing; no memory is left over.
 * Replay: model_store SEED 1.
 *
 *     model_store [first seed] [number of seeds]
 */
#include "model_store.h"

void model_fail(const struct run *run, const char *what, int status) {
    fprintf(stderr, "model_store: seed %llu: %s: %s %s\n", (unsigned long long)run->seed, what,
            faster_status_name((enum faster_status)status),
            run->session != NULL ? faster_session_message(run->session) : "");
    exit(1);
}

/* ---- writing ---- */

static enum faster_status add_one(void *context, const struct faster_bytes *old,
                                  struct faster_buffer *new_value) {
    (void)old;
    unsigned char bytes[VALUE_BYTES_MAX + 4];
    size_t count = value_bytes_of(*(const uint32_t *)context, bytes);
    return faster_buffer_assign(new_value, bytes, count);
}

/* The pending writes have come to what the model says. */
static void settle_pending(struct run *run) {
    for (uint32_t i = 0; i < run->pending_count; i++) {
        const struct model_write *write = &run->pending[i];
        CHECK(run, write->op.status == write->expected, "a pending write", write->op.status);
    }
    run->pending_count = 0;
}

static void complete_pending(struct run *run) {
    faster_session_complete_pending(run->session, true);
    settle_pending(run);
}

static bool is_pending(const struct run *run, uint32_t index) {
    for (uint32_t i = 0; i < run->pending_count; i++) {
        if (run->pending[i].index == index) {
            return true;
        }
    }
    return false;
}

/* Fills in a random operation and calls it. */
static enum faster_status call_write(struct run *run, struct faster_txn *txn,
                                     struct model_write *write) {
    struct faster_op *op = &write->op;
    uint32_t now = run->now[write->index];
    key_of(write->index, write->key);
    write->expected = FASTER_OK;
    *op = (struct faster_op){.key = {write->key, strlen(write->key)},
                             .value = {write->bytes, value_bytes_of(write->value, write->bytes)},
                             .merge = add_one,
                             .context = &write->value};
    switch (draw(run, 6)) {
    case 0:
        write->value = 0;
        return faster_txn_delete(txn, op);
    case 1:
        write->expected = now != 0 ? FASTER_EXISTS : FASTER_OK;
        return faster_txn_insert(txn, op);
    case 2:
        return faster_txn_rmw(txn, op);
    case 3: {
        uint32_t guess = draw(run, 3) == 0 ? now + 1 : now;
        op->expected = (struct faster_bytes){write->old, value_bytes_of(guess, write->old)};
        if (now == 0) {
            write->expected = FASTER_NOT_FOUND;
        } else if (guess != now) {
            write->expected = FASTER_EXISTS;
        }
        return faster_txn_compare_and_set(txn, op);
    }
    default:
        return faster_txn_upsert(txn, op);
    }
}

/* Some operations stay pending: what comes next, a savepoint or an end, must complete them. */
static enum faster_status write_one(struct run *run, struct faster_txn *txn) {
    uint32_t index = draw(run, draw(run, 2) == 0 ? 10 : KEY_COUNT);
    if (run->pending_count == PENDING_MAX || is_pending(run, index)) {
        complete_pending(run);
    }
    struct model_write *write = &run->pending[run->pending_count];
    write->index = index;
    write->value = run->next_value++;
    enum faster_status status = call_write(run, txn, write);
    if (status == FASTER_PENDING && !run->with_faults && draw(run, 2) == 0) {
        run->left_pending++;
        run->pending_count++;
        status = write->expected;
    } else if (status == FASTER_PENDING) {
        faster_session_complete_pending(run->session, true);
        status = write->op.status;
    }
    if (status < 0 && run->with_faults) {
        return status;
    }
    CHECK(run, status == write->expected, "a write's outcome", status);
    if (status == FASTER_OK) {
        run->now[index] = write->value;
    }
    return FASTER_OK;
}

static void write_some(struct run *run, struct faster_txn *txn, uint32_t count, int level) {
    for (uint32_t i = 0; i < count; i++) {
        (void)!write_one(run, txn);
        if (level < 4 && draw(run, 8) == 0) {
            model_state before;
            memcpy(before, run->now, sizeof before);
            CHECK(run, faster_txn_savepoint(txn, level) == FASTER_OK, "savepoint", 0);
            settle_pending(run);
            write_some(run, txn, 1 + draw(run, 5), level + 1);
            if (draw(run, 2) == 0) {
                CHECK(run, faster_txn_rollback_to(txn, level) == FASTER_OK, "rollback_to", 0);
                settle_pending(run);
                memcpy(run->now, before, sizeof before);
            }
            if (draw(run, 2) == 0) {
                faster_txn_release(txn, level);
            }
        }
        if (draw(run, 20) == 0) {
            struct faster_snapshot own;
            complete_pending(run); /* the view ends before what is not done yet */
            CHECK(run, faster_snapshot_open_txn(run->session, txn, &own) == FASTER_OK, "own", 0);
            model_check_state(run, &own, run->now, draw(run, 10) == 0);
            faster_snapshot_close(&own);
        }
    }
}

static void record_commit(struct run *run) {
    run->commits++;
    CHECK(run, newest_number(run) < HISTORY_MAX, "history", 0);
    memcpy(run->history[newest_number(run)], run->now, sizeof run->now);
    model_remember(run);
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
        settle_pending(run);
        return;
    case 1: /* in doubt, and the row never turns up */
        status = faster_txn_prepare(txn, &row, &obsolete);
        settle_pending(run);
        CHECK(run, status == FASTER_OK || status == FASTER_NOT_FOUND, "prepare", status);
        ledger_finish(&run->doubt);
        if (status == FASTER_OK) {
            run->doubt = ledger_copy(&run->ledger);
            ledger_insert(&run->doubt, &row, obsolete);
            memcpy(run->doubt_state, run->now, sizeof run->now);
        }
        faster_txn_rollback(txn);
        return;
    case 2: /* in doubt, and the row is there */
        status = faster_txn_prepare(txn, &row, &obsolete);
        settle_pending(run);
        CHECK(run, status == FASTER_OK || status == FASTER_NOT_FOUND, "prepare", status);
        if (status == FASTER_OK) {
            ledger_insert(&run->ledger, &row, obsolete);
        }
        faster_txn_rollback(txn);
        break;
    case 3: /* BUSY, more writes, again */
        status = faster_txn_prepare(txn, &row, &obsolete);
        settle_pending(run);
        CHECK(run, status == FASTER_OK || status == FASTER_NOT_FOUND, "prepare", status);
        write_some(run, txn, 1 + draw(run, 5), 0);
        /* fall through */
    default:
        status = ledger_commit(&run->ledger, txn);
        settle_pending(run);
        CHECK(run, status == FASTER_OK, "commit", status);
        break;
    }
    record_commit(run);
}

/* A transaction while something fails: it commits, or nothing of it is seen. A log that
 * failed is opened again. */
static void transact_with_fault(struct run *run) {
    static const struct {
        enum fst_test_operation operation;
        enum faster_status status;
        uint64_t times;
    } FAULTS[] = {{FST_TEST_FILE_WRITE, FASTER_FULL, FST_TEST_FOR_EVER},
                  {FST_TEST_FILE_WRITE, FASTER_FULL, 1},
                  {FST_TEST_FILE_WRITE, FASTER_IO, 1},
                  {FST_TEST_FILE_SYNC, FASTER_IO, 1},
                  {FST_TEST_FILE_READ, FASTER_IO, 1},
                  {FST_TEST_ALLOCATE, FASTER_NOMEM, 1},
                  {FST_TEST_ALLOCATE, FASTER_NOMEM, FST_TEST_FOR_EVER}};
    uint32_t fault = draw(run, sizeof FAULTS / sizeof FAULTS[0]);
    struct faster_txn *txn;
    run->with_faults = true;
    run->faults++;
    fst_test_env_tear_writes(run->test, draw(run, 2) == 0);
    fst_test_env_fail(run->test, FAULTS[fault].operation, 1 + draw(run, 8), FAULTS[fault].times,
                      FAULTS[fault].status);
    enum faster_status status = ledger_begin(&run->ledger, run->session, &txn);
    if (status == FASTER_OK) {
        memcpy(run->now, run->history[newest_number(run)], sizeof run->now);
        uint32_t count = 1 + draw(run, draw(run, 3) == 0 ? 300 : 12);
        for (uint32_t i = 0; status == FASTER_OK && i < count; i++) {
            status = write_one(run, txn);
        }
        if (status == FASTER_OK) {
            status = ledger_commit(&run->ledger, txn);
        } else {
            faster_txn_rollback(txn);
        }
    }
    if (status == FASTER_OK) {
        record_commit(run);
    }
    fst_test_env_heal_all(run->test);
    CHECK(run, status <= FASTER_OK, "a commit's outcome", status);
    status = ledger_begin(&run->ledger, run->session, &txn);
    if (status == FASTER_OK) {
        faster_txn_rollback(txn);
    } else {
        CHECK(run, status == FASTER_FAILED || status == FASTER_IO, "after a fault", status);
        model_reopen(run, draw(run, 2) == 0);
    }
    run->with_faults = false;
}

static void checkpoint(struct run *run) {
    const struct faster_commit_row *newest = ledger_newest(&run->ledger);
    uint64_t obsolete = 0;
    struct faster_txn *txn; /* the decider's write lock; settles what is in doubt */
    enum faster_status status = ledger_begin(&run->ledger, run->session, &txn);
    CHECK(run, status == FASTER_OK, "begin", status);
    status = faster_session_checkpoint(run->session, newest, &obsolete, NULL, NULL);
    CHECK(run, status == FASTER_OK, "checkpoint", status);
    faster_txn_rollback(txn);
    run->durable_number = newest_number(run);
    if (draw(run, 3) != 0) { /* else the decider does not get to it */
        ledger_delete_below(&run->ledger, obsolete);
    }
}

static void toggle_snapshot(struct run *run) {
    uint32_t index = draw(run, SNAPSHOT_MAX);
    if (run->snapshots[index].open) {
        model_check_state(run, &run->snapshots[index].snapshot,
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

/* The index doubles, perhaps while older records lie on disk. */
static void grow(struct run *run) {
    enum faster_status status = faster_session_grow(run->session);
    CHECK(run, status == FASTER_OK || status == FASTER_FULL, "grow", status);
    run->growths += status == FASTER_OK;
}

static void step(struct run *run) {
    switch (draw(run, 24)) {
    case 0:
        checkpoint(run);
        break;
    case 1:
        model_reopen(run, draw(run, 2) == 0);
        break;
    case 2:
    case 3:
        toggle_snapshot(run);
        break;
    case 4:
        model_check_ledger(run, &run->ledger, draw(run, 4) == 0);
        break;
    case 5:
        transact_with_fault(run);
        break;
    case 6:
        grow(run);
        break;
    default:
        if (run->reopens == 0 && draw(run, 3) == 0) {
            grow(run); /* later the index has its largest size */
        }
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
    run->test = fst_test_env_create();
    run->history = calloc(HISTORY_MAX, sizeof *run->history);
    run->inline_bytes = INLINE[draw(run, 5)];
    run->index_load_percent = draw(run, 2) == 0 ? 90 : FASTER_INDEX_LOAD_NEVER;
    snprintf(run->directory, sizeof run->directory, "%s/s%llu.0", base, (unsigned long long)seed);
    struct faster_options options = {.env = fst_test_env_get(run->test),
                                     .directory = run->directory,
                                     .memory_bytes = 1 << 20,
                                     .page_bytes = 16 << 10,
                                     .segment_bytes = SEGMENT_BYTES};
    struct faster_error error = {0};
    enum faster_status status = faster_store_create(&options, NULL, &error);
    CHECK(run, status == FASTER_OK, error.message, status);
    model_open(run);
    for (int i = 0; i < STEPS; i++) {
        step(run);
    }
    model_check_ledger(run, &run->ledger, true);
    model_verify(run);
    model_close(run);
    ledger_finish(&run->ledger);
    ledger_finish(&run->doubt);
    for (int i = 0; i < PAST_MAX; i++) {
        ledger_finish(&run->past[i]);
    }
    CHECK(run, fst_test_env_live_allocations(run->test) == 0, "a leak", 0);
    fst_test_env_destroy(run->test);
    free(run->history);
}

int main(int argc, char **argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 7;
    const char *scale = getenv("FASTER_TEST_SCALE");
    if (scale != NULL && argc < 3) {
        count = count * strtoull(scale, NULL, 10) / 100 + 1;
    }
    char base[256];
    if (!fst_test_directory_create(base, sizeof base)) {
        return 1;
    }
    struct run *run = calloc(1, sizeof *run);
    uint64_t reads = 0, commits = 0, reopens = 0, scans = 0;
    uint64_t torn = 0, lost = 0, returned = 0, faults = 0, left_pending = 0, growths = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        run_seed(run, seed, base);
        reads += run->reads;
        commits += run->commits;
        reopens += run->reopens;
        scans += run->scans;
        torn += run->torn;
        lost += run->lost;
        returned += run->returned;
        faults += run->faults;
        left_pending += run->left_pending;
        growths += run->growths;
    }
    free(run);
    fst_test_directory_remove(base);
    printf("model_store: %llu seeds, %llu commits, %llu reopens, %llu reads, %llu scans, "
           "%llu torn sectors, %llu lost and %llu returned ends, %llu faults, %llu writes left "
           "pending, %llu growths on command: 0 differences\n",
           (unsigned long long)count, (unsigned long long)commits, (unsigned long long)reopens,
           (unsigned long long)reads, (unsigned long long)scans, (unsigned long long)torn,
           (unsigned long long)lost, (unsigned long long)returned, (unsigned long long)faults,
           (unsigned long long)left_pending, (unsigned long long)growths);
    return 0;
}
