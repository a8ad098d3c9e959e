/* linearizability.c - histories of threads on a direct store have one order (P9).
 *
 * Strategy: 2 to 8 threads call every operation on a few hot and many cold keys, alone, left
 * pending and in batches, while they commit now and then. The store has the least memory, so
 * that values of up to 3,000 bytes push each other to the disk. A scan counts as one read of
 * every key, at some moment of its opening. Each written value is unique. Then
 * support/linearizability.c looks for an order.
 *
 * So that the test is one, it makes mistakes of its own at the end (an update that is a read
 * and a write; a read that is answered with what it saw the time before; an insert that looks
 * first): each must be found.
 *
 *     linearizability [histories] [seed]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "faster.h"
#include "support/linearizability.h"
#include "support/stress_check.h"
#include "support/test_env.h"

#define THREADS_MAX 8u
#define OPERATIONS 10000u /* of one history */
#define KEYS 300u         /* of one history */
#define HOT_KEYS 4u
#define GROUP 24u
#define VALUE_BYTES_MAX 3000u
#define BEYOND_QUOTA (GROUP + KEYS) /* operations of one step, at most */
#define HISTORIES_PER_STORE 4u
#define PLANTED_HISTORIES_MAX 20u

/* Mistakes of the test itself. */
enum mistake { MISTAKE_NONE, MISTAKE_LOST_UPDATE, MISTAKE_OLD_READ, MISTAKE_TWO_INSERTS };

struct history {
    struct faster_store *store;
    enum mistake mistake;
    uint32_t number;
    uint32_t thread_count;
    fst_atomic_u64 clock;
};

struct call {
    struct faster_op op;
    struct faster_buffer result;
    struct lin_op what;
    uint32_t key[2]; /* history, key: new keys for each history */
    uint64_t old_id; /* compare-and-set expects its value */
    unsigned char value[VALUE_BYTES_MAX];
    unsigned char expected[VALUE_BYTES_MAX];
};

struct worker {
    struct history *history;
    struct faster_session *session;
    uint64_t random;
    uint64_t next_id;
    struct lin_op *ops;
    size_t op_count;
    size_t op_quota;
    uint64_t last_seen[KEYS];
    struct call *calls; /* GROUP of them */
};

static struct {
    uint64_t operations;
    uint64_t disk_reads;
} total;
static fst_atomic_u64 pending_count, batch_count, commit_count, scan_count;

static uint32_t draw(struct worker *worker, uint32_t below) {
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return (uint32_t)((worker->random >> 16) % below);
}

static uint64_t tick(struct history *history) {
    return fst_add_acq_rel_u64(&history->clock, 1) + 1;
}

/* ---- values ---- */

/* The id and as many bytes of it as the id says. */
static size_t make_value(uint64_t id, unsigned char *bytes) {
    uint64_t mixed = id * UINT64_C(0x9E3779B97F4A7C15);
    size_t count = 8 + (size_t)(mixed >> 40) % (mixed % 4 == 0 ? VALUE_BYTES_MAX - 8 : 40);
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)(id >> (8 * (i % 8)));
    }
    return count;
}

static uint64_t id_of(const void *bytes, size_t count) {
    unsigned char expected[VALUE_BYTES_MAX];
    uint64_t id;
    CHECK(count >= 8, "a value without an id", 0);
    memcpy(&id, bytes, 8);
    CHECK(make_value(id, expected) == count && memcmp(expected, bytes, count) == 0, "a torn value",
          0);
    return id;
}

static uint64_t fresh_id(struct worker *worker) {
    return worker->next_id += THREADS_MAX;
}

/* ---- operations ---- */

static enum faster_status merge(void *context, const struct faster_bytes *old,
                                struct faster_buffer *value) {
    struct call *call = context;
    unsigned char bytes[VALUE_BYTES_MAX];
    call->what.seen = old == NULL ? LIN_NONE : id_of(old->data, old->size_bytes);
    if (call->what.value == LIN_NONE) {
        return FASTER_REMOVE;
    }
    return faster_buffer_assign(value, bytes, make_value(call->what.value, bytes));
}

static void set_call(struct worker *worker, struct call *call, uint32_t key,
                     enum faster_op_kind kind) {
    static const enum lin_kind KINDS[] = {
        [FASTER_OP_READ] = LIN_READ,     [FASTER_OP_UPSERT] = LIN_UPSERT,
        [FASTER_OP_INSERT] = LIN_INSERT, [FASTER_OP_COMPARE_AND_SET] = LIN_CAS,
        [FASTER_OP_RMW] = LIN_RMW,       [FASTER_OP_DELETE] = LIN_DELETE};
    uint64_t id = fresh_id(worker);
    call->key[0] = worker->history->number;
    call->key[1] = key;
    call->result.env = faster_env_posix();
    call->what = (struct lin_op){.key = key, .kind = KINDS[kind], .value = id};
    call->op = (struct faster_op){.key = {call->key, sizeof call->key},
                                  .kind = (int32_t)kind,
                                  .merge = merge,
                                  .context = call,
                                  .result = kind == FASTER_OP_READ ? &call->result : NULL};
    if (kind != FASTER_OP_READ && kind != FASTER_OP_DELETE && kind != FASTER_OP_RMW) {
        call->op.value = (struct faster_bytes){call->value, make_value(id, call->value)};
    }
    if (kind == FASTER_OP_RMW && draw(worker, 4) == 0) {
        call->what.value = LIN_NONE; /* it removes what it sees */
    }
    if (kind == FASTER_OP_COMPARE_AND_SET) {
        uint64_t seen = worker->last_seen[key];
        call->what.expected = seen;
        call->op.expected = (struct faster_bytes){
            call->expected, seen == LIN_NONE ? 0 : make_value(seen, call->expected)};
    }
}

static void draw_call(struct worker *worker, struct call *call) {
    static const enum faster_op_kind KINDS[] = {FASTER_OP_READ,   FASTER_OP_READ,
                                                FASTER_OP_READ,   FASTER_OP_UPSERT,
                                                FASTER_OP_UPSERT, FASTER_OP_COMPARE_AND_SET,
                                                FASTER_OP_RMW,    FASTER_OP_RMW,
                                                FASTER_OP_INSERT, FASTER_OP_DELETE};
    uint32_t key = draw(worker, draw(worker, 3) == 0 ? HOT_KEYS : KEYS);
    set_call(worker, call, key, KINDS[draw(worker, 10)]);
}

static enum faster_status start(struct worker *worker, const struct faster_snapshot *now,
                                struct faster_op *op) {
    switch ((enum faster_op_kind)op->kind) {
    case FASTER_OP_READ:
        return faster_snapshot_read(now, op);
    case FASTER_OP_UPSERT:
        return faster_session_upsert(worker->session, op);
    case FASTER_OP_INSERT:
        return faster_session_insert(worker->session, op);
    case FASTER_OP_COMPARE_AND_SET:
        return faster_session_compare_and_set(worker->session, op);
    case FASTER_OP_RMW:
        return faster_session_rmw(worker->session, op);
    case FASTER_OP_DELETE:
        return faster_session_delete(worker->session, op);
    }
    return FASTER_MISUSE;
}

/* What others may see must be recorded, so the last step goes beyond the quota. */
static void record(struct worker *worker, const struct lin_op *what) {
    CHECK(worker->op_count < worker->op_quota + BEYOND_QUOTA, "no room", 0);
    worker->ops[worker->op_count++] = *what;
}

/* The operation has ended: what it was, and what came of it. */
static void end(struct worker *worker, struct call *call) {
    struct lin_op *what = &call->what;
    enum faster_status status = call->op.status;
    what->end = tick(worker->history);
    CHECK(status == FASTER_OK || status == FASTER_EXISTS || status == FASTER_NOT_FOUND,
          faster_session_message(worker->session), status);
    what->outcome = status == FASTER_OK       ? LIN_OK
                    : status == FASTER_EXISTS ? LIN_EXISTS
                                              : LIN_NOT_FOUND;
    if (what->kind == LIN_READ) {
        what->seen =
            status == FASTER_OK ? id_of(call->result.data, call->result.size_bytes) : LIN_NONE;
    }
    uint64_t *last = &worker->last_seen[what->key];
    if (what->kind == LIN_READ && worker->history->mistake == MISTAKE_OLD_READ &&
        draw(worker, 50) == 0) {
        what->seen = *last;
    }
    if (what->kind == LIN_READ) {
        *last = what->seen;
    }
    record(worker, what);
}

/* ---- what a thread does ---- */

static void run_alone(struct worker *worker, const struct faster_snapshot *now, struct call *call) {
    call->what.call = tick(worker->history);
    if (start(worker, now, &call->op) == FASTER_PENDING) {
        fst_add_relaxed_u64(&pending_count, 1);
        faster_session_complete_pending(worker->session, true);
    }
    end(worker, call);
}

static void run_several(struct worker *worker, const struct faster_snapshot *now, bool as_batch) {
    struct faster_op ops[GROUP];
    uint32_t count = 1 + draw(worker, GROUP);
    uint64_t before = tick(worker->history);
    for (uint32_t i = 0; i < count; i++) {
        struct call *call = &worker->calls[i];
        draw_call(worker, call);
        call->what.call = as_batch ? before : tick(worker->history);
        ops[i] = call->op;
        if (!as_batch && start(worker, now, &ops[i]) == FASTER_PENDING) {
            fst_add_relaxed_u64(&pending_count, 1);
        }
    }
    if (as_batch) {
        enum faster_status status = faster_session_batch(worker->session, ops, count);
        CHECK(status == FASTER_OK || status == FASTER_PENDING, "batch", status);
        fst_add_relaxed_u64(&batch_count, 1);
    }
    faster_session_complete_pending(worker->session, true);
    for (uint32_t i = 0; i < count; i++) {
        worker->calls[i].op.status = ops[i].status;
        end(worker, &worker->calls[i]);
    }
}

static void scan(struct worker *worker, const struct faster_snapshot *now) {
    uint64_t seen[KEYS] = {LIN_NONE};
    struct faster_scan *scan;
    struct faster_bytes key, value;
    struct lin_op what = {.kind = LIN_READ, .call = tick(worker->history)};
    enum faster_status status = faster_scan_open(now, &scan);
    CHECK(status == FASTER_OK, "scan_open", status);
    uint64_t opened = tick(worker->history);
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        uint32_t name[2];
        memcpy(name, key.data, sizeof name);
        if (name[0] == worker->history->number) {
            CHECK(seen[name[1]] == LIN_NONE, "a scan shows a key twice", 0);
            seen[name[1]] = id_of(value.data, value.size_bytes);
        }
    }
    CHECK(status == FASTER_END, "scan_next", status);
    faster_scan_close(scan);
    for (uint32_t i = 0; i < KEYS; i++) {
        what.key = i;
        what.seen = seen[i];
        what.end = opened;
        record(worker, &what);
    }
    fst_add_relaxed_u64(&scan_count, 1);
}

/* An update that is none: others may write between its read and its write. */
static void lose_update(struct worker *worker, const struct faster_snapshot *now) {
    struct call *call = &worker->calls[0];
    struct call *write = &worker->calls[1];
    uint32_t key = draw(worker, HOT_KEYS);
    set_call(worker, call, key, FASTER_OP_READ);
    set_call(worker, write, key, FASTER_OP_UPSERT);
    call->what.call = tick(worker->history);
    if (start(worker, now, &call->op) == FASTER_PENDING) {
        faster_session_complete_pending(worker->session, true);
    }
    sched_yield();
    CHECK(start(worker, now, &write->op) == FASTER_OK, "upsert", write->op.status);
    call->what.kind = LIN_RMW;
    call->what.value = write->what.value;
    call->what.seen =
        call->op.status == FASTER_OK ? id_of(call->result.data, call->result.size_bytes) : LIN_NONE;
    end(worker, call);
}

/* Looks whether the key is there, and sets it if not. */
static void insert_twice(struct worker *worker, const struct faster_snapshot *now) {
    struct call *call = &worker->calls[0];
    struct call *write = &worker->calls[1];
    uint32_t key = draw(worker, HOT_KEYS);
    set_call(worker, call, key, FASTER_OP_READ);
    set_call(worker, write, key, FASTER_OP_UPSERT);
    call->what.call = tick(worker->history);
    if (start(worker, now, &call->op) == FASTER_PENDING) {
        faster_session_complete_pending(worker->session, true);
    }
    sched_yield();
    call->what.kind = LIN_INSERT;
    call->what.value = write->what.value;
    if (call->op.status == FASTER_NOT_FOUND) {
        CHECK(start(worker, now, &write->op) == FASTER_OK, "upsert", write->op.status);
        call->op.status = FASTER_OK;
    } else {
        call->op.status = FASTER_EXISTS;
    }
    end(worker, call);
}

static void step(struct worker *worker, const struct faster_snapshot *now) {
    uint32_t dice = draw(worker, 1000);
    if (dice < 4) {
        enum faster_status status = faster_session_commit(worker->session);
        CHECK(status == FASTER_OK, "commit", status);
        fst_add_relaxed_u64(&commit_count, 1);
    } else if (dice < 5) {
        scan(worker, now);
    } else if (dice < 100 && worker->history->mistake == MISTAKE_LOST_UPDATE) {
        lose_update(worker, now);
    } else if (dice < 100 && worker->history->mistake == MISTAKE_TWO_INSERTS) {
        insert_twice(worker, now);
    } else if (dice < 200) {
        run_several(worker, now, dice < 150);
    } else {
        draw_call(worker, &worker->calls[0]);
        run_alone(worker, now, &worker->calls[0]);
    }
}

static void *work(void *context) {
    struct worker *worker = context;
    struct faster_snapshot now;
    enum faster_status status = faster_session_open(worker->history->store, &worker->session);
    CHECK(status == FASTER_OK, "session", status);
    status = faster_snapshot_open_newest(worker->session, &now);
    CHECK(status == FASTER_OK, "snapshot", status);
    while (worker->op_count < worker->op_quota) {
        step(worker, &now);
    }
    faster_snapshot_close(&now);
    faster_session_close(worker->session);
    return NULL;
}

/* ---- one history ---- */

static void start_workers(struct history *history, struct worker *workers, pthread_t *threads,
                          uint64_t seed) {
    for (uint32_t i = 0; i < history->thread_count; i++) {
        struct worker *worker = &workers[i];
        worker->history = history;
        worker->random = (seed + history->number * 64 + i + 1) * UINT64_C(0x9E3779B97F4A7C15) | 1;
        worker->next_id = i;
        worker->op_quota = OPERATIONS / history->thread_count + 1;
        worker->ops = calloc(worker->op_quota + BEYOND_QUOTA, sizeof *worker->ops);
        worker->calls = calloc(GROUP, sizeof *worker->calls);
        CHECK(worker->ops != NULL && worker->calls != NULL, "memory", 0);
        CHECK(pthread_create(&threads[i], NULL, work, worker) == 0, "thread", 0);
    }
}

static void print_key(const struct lin_op *ops, size_t count, uint64_t key) {
    for (size_t i = 0; i < count; i++) {
        if (ops[i].key == key) {
            printf("%llu-%llu kind %d outcome %d value %llx expected %llx seen %llx\n",
                   (unsigned long long)ops[i].call, (unsigned long long)ops[i].end,
                   (int)ops[i].kind, (int)ops[i].outcome, (unsigned long long)ops[i].value,
                   (unsigned long long)ops[i].expected, (unsigned long long)ops[i].seen);
        }
    }
}

/* Gives all operations of the history to the checker. */
static enum lin_verdict collect_and_check(struct history *history, struct worker *workers,
                                          uint64_t *bad_key) {
    struct lin_op *ops = calloc(OPERATIONS + THREADS_MAX * (BEYOND_QUOTA + 1), sizeof *ops);
    size_t count = 0;
    CHECK(ops != NULL, "memory", 0);
    for (uint32_t i = 0; i < history->thread_count; i++) {
        memcpy(ops + count, workers[i].ops, workers[i].op_count * sizeof *ops);
        count += workers[i].op_count;
        free(workers[i].ops);
        for (uint32_t j = 0; j < GROUP; j++) {
            faster_buffer_finish(&workers[i].calls[j].result);
        }
        free(workers[i].calls);
    }
    enum lin_verdict verdict = lin_check(ops, count, bad_key);
    if (verdict != LIN_EXPLAINED && history->mistake == MISTAKE_NONE) {
        print_key(ops, count, *bad_key);
    }
    free(ops);
    total.operations += count;
    return verdict;
}

static enum lin_verdict run_history(struct faster_store *store, uint32_t number,
                                    enum mistake mistake, uint64_t seed, uint64_t *bad_key) {
    struct history history = {.store = store,
                              .mistake = mistake,
                              .number = number,
                              .thread_count = 2 + number % (THREADS_MAX - 1)};
    struct worker *workers = calloc(THREADS_MAX, sizeof *workers);
    pthread_t threads[THREADS_MAX];
    CHECK(workers != NULL, "memory", 0);
    start_workers(&history, workers, threads, seed);
    for (uint32_t i = 0; i < history.thread_count; i++) {
        pthread_join(threads[i], NULL);
    }
    enum lin_verdict verdict = collect_and_check(&history, workers, bad_key);
    free(workers);
    return verdict;
}

static uint64_t figure(struct faster_store *store, const char *name) {
    struct faster_stat stats[128];
    size_t count = faster_store_stats(store, stats, 128);
    for (size_t i = 0; i < count && i < 128; i++) {
        if (strcmp(stats[i].name, name) == 0) {
            return stats[i].value;
        }
    }
    CHECK(false, name, 0);
    return 0;
}

/* ---- stores ---- */

/* A new one for every few histories: a scan reads its whole log. */
static struct faster_store *open_new_store(const char *directory) {
    struct faster_store *store;
    struct faster_options options = {.directory = directory,
                                     .writes = FASTER_WRITES_DIRECT,
                                     .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                     .page_bytes = FASTER_PAGE_BYTES_MIN,
                                     .segment_bytes = 1 << 20};
    enum faster_status status = faster_store_create(&options, NULL, NULL);
    CHECK(status == FASTER_OK, "create", status);
    status = faster_store_open(&options, &store, NULL);
    CHECK(status == FASTER_OK, "open", status);
    return store;
}

static void remove_store(struct faster_store *store) {
    total.disk_reads += figure(store, "disk_reads");
    enum faster_status status = faster_store_close_and_remove(store, NULL);
    CHECK(status == FASTER_OK, "remove", status);
}

static void expect_explained(enum lin_verdict verdict, uint32_t number, uint64_t seed,
                             uint64_t bad_key) {
    if (verdict != LIN_EXPLAINED) {
        fprintf(stderr, "linearizability: history %u of seed %llu, key %llu: %s\n", number,
                (unsigned long long)seed, (unsigned long long)bad_key,
                verdict == LIN_IMPOSSIBLE ? "has no order" : "gave up");
        exit(1);
    }
}

static void run_histories(const char *directory, uint32_t histories, uint64_t seed) {
    struct faster_store *store = NULL;
    for (uint32_t i = 0; i < histories; i++) {
        uint64_t bad_key = 0;
        if (i % HISTORIES_PER_STORE == 0) {
            if (store != NULL) {
                remove_store(store);
            }
            store = open_new_store(directory);
        }
        expect_explained(run_history(store, i, MISTAKE_NONE, seed, &bad_key), i, seed, bad_key);
    }
    remove_store(store);
}

static void expect_found(const char *directory, enum mistake mistake, uint64_t seed) {
    struct faster_store *store = open_new_store(directory);
    enum lin_verdict verdict = LIN_EXPLAINED;
    for (uint32_t i = 0; verdict == LIN_EXPLAINED && i < PLANTED_HISTORIES_MAX; i++) {
        uint64_t bad_key;
        verdict = run_history(store, i, mistake, seed, &bad_key);
    }
    CHECK(verdict == LIN_IMPOSSIBLE, "a planted mistake is not found", mistake);
    remove_store(store);
}

int main(int argc, char **argv) {
    uint32_t histories = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 60;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    const char *scale = getenv("FASTER_TEST_SCALE");
    char base[256];
    char directory[300];
    if (scale != NULL) {
        histories = histories * (uint32_t)strtoul(scale, NULL, 10) / 100;
        histories = histories == 0 ? 1 : histories;
    }
    if (!fst_test_directory_create(base, sizeof base)) {
        return 1;
    }
    snprintf(directory, sizeof directory, "%s/store", base);
    run_histories(directory, histories, seed);
    printf("linearizability: %u histories, %llu operations (%llu pending, %llu batches), %llu "
           "commits, %llu scans, %llu disk reads: 0 violations",
           histories, (unsigned long long)total.operations,
           (unsigned long long)fst_load_relaxed_u64(&pending_count),
           (unsigned long long)fst_load_relaxed_u64(&batch_count),
           (unsigned long long)fst_load_relaxed_u64(&commit_count),
           (unsigned long long)fst_load_relaxed_u64(&scan_count),
           (unsigned long long)total.disk_reads);
    expect_found(directory, MISTAKE_LOST_UPDATE, seed);
    expect_found(directory, MISTAKE_OLD_READ, seed);
    expect_found(directory, MISTAKE_TWO_INSERTS, seed);
    printf(", 3 planted ones found\n");
    fst_test_directory_remove(base);
    return 0;
}
