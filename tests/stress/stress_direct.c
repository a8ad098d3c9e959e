/* stress_direct.c - many threads on one direct store, for the thread sanitizer (P2, P4, P9).
 *
 * The store has so little memory that most keys are on disk. Each thread opens and closes
 * sessions and calls every operation: alone, several left pending, and in batches; in between
 * scans, verifies and commits. The store takes checkpoints by itself all the time. Kinds of keys,
 * by the first byte:
 *
 *   n  numbers, raised by read-modify-write: the sum of what was added is exact
 *   c  numbers, raised by compare-and-set: each success took the number one up
 *   i  inserted by whoever comes first: one thread wins
 *   v  values of any size, set, replaced and deleted: each holds its key and a checksum
 *
 * Each thread works under a name every other time. Its numbers follow each other, whoever commits.
 *
 * All of it is checked at the end, and once more after a close and an open.
 *
 *     stress_direct [operations per thread] [seed]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "faster.h"
#include "support/stress_check.h"
#include "support/stress_store.h"

#define THREADS 4u
#define HOT_KEYS 16u
#define NUMBER_KEYS 2000u
#define CAS_KEYS 200u
#define INSERT_KEYS 20000u
#define VALUE_KEYS 3000u
#define VALUE_BYTES_MAX 2500u
#define KEY_BYTES 5u
#define NUMBER_BYTES 200u /* a number and what fills it up */
#define GROUP 40u         /* operations of one batch, or left pending together */

static struct {
    fst_atomic_u64 added[NUMBER_KEYS];
    fst_atomic_u64 swapped[CAS_KEYS];
    fst_atomic_u64 tried[INSERT_KEYS];
    fst_atomic_u64 won[INSERT_KEYS];
    fst_atomic_u64 commits;
    fst_atomic_u64 scans;
    fst_atomic_u64 sessions;
    fst_atomic_u64 operations;
} shared;

static struct stress_store stress;

struct worker {
    struct faster_session *session;
    uint64_t random;
    uint64_t step;
    char name[16];   /* "": it never has one */
    uint64_t serial; /* of the last operation under the name */
    bool is_named;   /* the present session is */
};

/* One operation with all that it needs. */
struct call {
    struct faster_op op;
    struct faster_buffer result;
    unsigned char key[KEY_BYTES];
    uint32_t index;
    unsigned char value[VALUE_BYTES_MAX];
    unsigned char expected[NUMBER_BYTES];
};

static uint32_t draw(struct worker *worker, uint32_t below) {
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return (uint32_t)((worker->random >> 16) % below);
}

/* ---- values ---- */

static uint64_t sum_of(const unsigned char *bytes, size_t count) {
    uint64_t sum = UINT64_C(14695981039346656037) + count;
    for (size_t i = 0; i < count; i++) {
        sum = (sum ^ bytes[i]) * UINT64_C(1099511628211);
    }
    return sum;
}

/* A checksum over key and content, then the content. */
static void seal_value(unsigned char *value, size_t count, const unsigned char *key) {
    uint64_t sum = sum_of(value + 8, count - 8) ^ sum_of(key, KEY_BYTES);
    memcpy(value, &sum, 8);
}

static bool value_is_whole(const void *bytes, size_t count, const void *key) {
    uint64_t sum;
    if (count < 16) {
        return false;
    }
    memcpy(&sum, bytes, 8);
    return sum == (sum_of((const unsigned char *)bytes + 8, count - 8) ^ sum_of(key, KEY_BYTES));
}

static void make_number(unsigned char value[NUMBER_BYTES], uint64_t number,
                        const unsigned char *key) {
    memset(value, (int)(number & 0xff), NUMBER_BYTES);
    memcpy(value + 8, &number, 8);
    seal_value(value, NUMBER_BYTES, key);
}

static uint64_t number_in(const void *bytes, size_t count, const void *key) {
    uint64_t number;
    CHECK(count == NUMBER_BYTES && value_is_whole(bytes, count, key), "a torn number", 0);
    memcpy(&number, (const unsigned char *)bytes + 8, 8);
    return number;
}

/* ---- single operations ---- */

static void set_key(struct call *call, char kind, uint32_t index) {
    call->op = (struct faster_op){.context = call};
    call->index = index;
    call->key[0] = (unsigned char)kind;
    memcpy(call->key + 1, &index, 4);
    call->op.key = (struct faster_bytes){call->key, KEY_BYTES};
    call->op.result = &call->result;
    call->result.env = faster_env_posix();
}

static enum faster_status add_one(void *context, const struct faster_bytes *old,
                                  struct faster_buffer *value) {
    const struct call *call = context;
    unsigned char bytes[NUMBER_BYTES];
    uint64_t number = old == NULL ? 0 : number_in(old->data, old->size_bytes, call->key);
    make_number(bytes, number + 1, call->key);
    return faster_buffer_assign(value, bytes, NUMBER_BYTES);
}

static void draw_value(struct worker *worker, struct call *call) {
    size_t count = 16 + draw(worker, draw(worker, 4) == 0 ? VALUE_BYTES_MAX - 16 : 200);
    uint32_t mark = draw(worker, 1u << 30);
    for (size_t i = 8; i < count; i++) {
        call->value[i] = (unsigned char)(mark >> (i % 4 * 8));
    }
    seal_value(call->value, count, call->key);
    call->op.value = (struct faster_bytes){call->value, count};
}

static uint32_t draw_index(struct worker *worker, uint32_t count) {
    return draw(worker, draw(worker, 3) == 0 ? HOT_KEYS : count);
}

/* Any operation but compare-and-set, which needs a read before it. */
static void draw_call(struct worker *worker, struct call *call) {
    uint32_t dice = draw(worker, 16);
    if (dice < 6) {
        set_key(call, 'n', draw_index(worker, NUMBER_KEYS));
        call->op.kind = FASTER_OP_RMW;
        call->op.merge = add_one;
    } else if (dice < 8) {
        /* All threads are near the same place. */
        uint64_t place = worker->step * INSERT_KEYS / (stress.steps + 1) + draw(worker, 3);
        set_key(call, 'i', (uint32_t)(place % INSERT_KEYS));
        call->op.kind = FASTER_OP_INSERT;
        draw_value(worker, call);
    } else {
        set_key(call, 'v', draw_index(worker, VALUE_KEYS));
        if (dice < 12) {
            call->op.kind = FASTER_OP_UPSERT;
            draw_value(worker, call);
        } else {
            call->op.kind = dice == 12 ? FASTER_OP_DELETE : FASTER_OP_READ;
        }
    }
}

static void call_one(struct worker *worker, const struct faster_snapshot *now, struct call *call) {
    enum faster_status status = FASTER_MISUSE;
    switch ((enum faster_op_kind)call->op.kind) {
    case FASTER_OP_READ:
        status = faster_snapshot_read(now, &call->op);
        break;
    case FASTER_OP_UPSERT:
        status = faster_session_upsert(worker->session, &call->op);
        break;
    case FASTER_OP_INSERT:
        status = faster_session_insert(worker->session, &call->op);
        break;
    case FASTER_OP_COMPARE_AND_SET:
        status = faster_session_compare_and_set(worker->session, &call->op);
        break;
    case FASTER_OP_RMW:
        status = faster_session_rmw(worker->session, &call->op);
        break;
    case FASTER_OP_DELETE:
        status = faster_session_delete(worker->session, &call->op);
        break;
    }
    CHECK(status == call->op.status, "a call's status is not its operation's", status);
}

static void check_call(struct call *call) {
    enum faster_status status = call->op.status;
    switch (call->key[0]) {
    case 'n':
        CHECK(status == FASTER_OK, "rmw", status);
        fst_add_relaxed_u64(&shared.added[call->index], 1);
        break;
    case 'c':
        CHECK(status == FASTER_OK || status == FASTER_EXISTS, "compare-and-set", status);
        fst_add_relaxed_u64(&shared.swapped[call->index], status == FASTER_OK);
        break;
    case 'i':
        CHECK(status == FASTER_OK || status == FASTER_EXISTS, "insert", status);
        fst_add_relaxed_u64(&shared.won[call->index], status == FASTER_OK);
        fst_store_relaxed_u64(&shared.tried[call->index], 1);
        break;
    default:
        CHECK(status == FASTER_OK ||
                  (call->op.kind == FASTER_OP_READ && status == FASTER_NOT_FOUND),
              "a value's operation", status);
        CHECK(call->op.kind != FASTER_OP_READ || status != FASTER_OK ||
                  value_is_whole(call->result.data, call->result.size_bytes, call->key),
              "a torn value", 0);
    }
    fst_add_relaxed_u64(&shared.operations, 1);
}

/* ---- what a thread does ---- */

static void open_session(struct worker *worker) {
    uint64_t serial = 0;
    worker->is_named = worker->name[0] != '\0' && draw(worker, 2) == 0;
    enum faster_status status =
        worker->is_named
            ? faster_session_open_named(stress.store, worker->name, &serial, &worker->session)
            : faster_session_open(stress.store, &worker->session);
    CHECK(status == FASTER_OK, "session", status);
    CHECK(!worker->is_named || serial == worker->serial, "a name has another number", 0);
    fst_add_relaxed_u64(&shared.sessions, 1);
}

static void close_session(struct worker *worker) {
    if (worker->is_named) {
        const uint64_t durable = faster_session_durable_serial(worker->session);
        CHECK(durable <= worker->serial, "more is durable than was done", 0);
        CHECK(faster_session_serial(worker->session) == worker->serial, "operations not counted",
              0);
    }
    faster_session_close(worker->session);
}

/* Of what was pending together or in a batch: numbers in any order. */
static void count_serials(struct worker *worker, const struct faster_op *ops, size_t step_bytes,
                          uint32_t count) {
    uint64_t sum = 0;
    uint64_t wanted = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct faster_op *op =
            (const struct faster_op *)(const void *)((const char *)ops + i * step_bytes);
        if (op->kind != FASTER_OP_READ && op->serial != 0) {
            CHECK(op->status == FASTER_OK, "a number without effect", op->status);
            sum += op->serial;
            wanted += ++worker->serial;
        }
    }
    CHECK(sum == wanted, "other numbers", 0);
}

static void read_now(struct worker *worker, struct call *call) {
    struct faster_snapshot now;
    enum faster_status status = faster_snapshot_open_newest(worker->session, &now);
    CHECK(status == FASTER_OK, "snapshot", status);
    if (faster_snapshot_read(&now, &call->op) == FASTER_PENDING) {
        faster_session_complete_pending(worker->session, true);
    }
    faster_snapshot_close(&now);
}

static void swap(struct worker *worker, struct call *call) {
    uint64_t number = 0;
    set_key(call, 'c', draw_index(worker, CAS_KEYS));
    read_now(worker, call);
    if (call->op.status == FASTER_OK) {
        number = number_in(call->result.data, call->result.size_bytes, call->key);
    }
    bool exists = call->op.status == FASTER_OK;
    set_key(call, 'c', call->index);
    make_number(call->expected, number, call->key);
    make_number(call->value, number + 1, call->key);
    call->op.expected = (struct faster_bytes){call->expected, NUMBER_BYTES};
    call->op.value = (struct faster_bytes){call->value, NUMBER_BYTES};
    call->op.kind = exists ? FASTER_OP_COMPARE_AND_SET : FASTER_OP_INSERT;
    call_one(worker, NULL, call);
    faster_session_complete_pending(worker->session, true);
    count_serials(worker, &call->op, sizeof *call, 1);
    check_call(call);
}

/* Several at once, as a batch or one after the other; what is pending ends together. */
static void run_group(struct worker *worker, struct call *calls) {
    struct faster_op ops[GROUP];
    struct faster_snapshot now;
    uint32_t count = 1 + draw(worker, GROUP);
    bool is_batch = draw(worker, 2) == 0;
    enum faster_status status = faster_snapshot_open_newest(worker->session, &now);
    CHECK(status == FASTER_OK, "snapshot", status);
    for (uint32_t i = 0; i < count; i++) {
        draw_call(worker, &calls[i]);
        ops[i] = calls[i].op;
        if (!is_batch) {
            call_one(worker, &now, &calls[i]);
        }
    }
    if (is_batch) {
        status = faster_session_batch(worker->session, ops, count);
        CHECK(status == FASTER_OK || status == FASTER_PENDING, "batch", status);
    }
    while (faster_session_complete_pending(worker->session, draw(worker, 2) == 0) ==
           FASTER_PENDING) {
    }
    for (uint32_t i = 0; i < count; i++) {
        if (is_batch) {
            calls[i].op.status = ops[i].status;
        }
        check_call(&calls[i]);
    }
    count_serials(worker, is_batch ? ops : &calls[0].op, is_batch ? sizeof *ops : sizeof *calls,
                  count);
    faster_snapshot_close(&now);
}

static void scan(struct worker *worker) {
    static const uint32_t COUNTS[] = {NUMBER_KEYS, CAS_KEYS, INSERT_KEYS, VALUE_KEYS};
    unsigned char *seen = calloc(4, INSERT_KEYS);
    struct faster_snapshot now;
    struct faster_scan *scan;
    struct faster_bytes key, value;
    enum faster_status status = faster_snapshot_open_newest(worker->session, &now);
    CHECK(status == FASTER_OK && seen != NULL, "snapshot", status);
    status = faster_scan_open(&now, &scan);
    CHECK(status == FASTER_OK, "scan_open", status);
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        const char *kind = memchr("nciv", *(const char *)key.data, 4);
        uint32_t index;
        CHECK(kind != NULL && key.size_bytes == KEY_BYTES, "a strange key", 0);
        memcpy(&index, (const char *)key.data + 1, 4);
        uint32_t number = (uint32_t)strcspn("nciv", (const char[]){*kind, 0});
        CHECK(index < COUNTS[number] && !seen[number * INSERT_KEYS + index], "a key twice", 0);
        seen[number * INSERT_KEYS + index] = 1;
        CHECK(value_is_whole(value.data, value.size_bytes, key.data), "a torn value in a scan", 0);
    }
    CHECK(status == FASTER_END, "scan_next", status);
    faster_scan_close(scan);
    faster_snapshot_close(&now);
    free(seen);
    fst_add_relaxed_u64(&shared.scans, 1);
}

static void step(struct worker *worker, struct call *calls) {
    uint32_t dice = draw(worker, 1000);
    enum faster_status status = FASTER_OK;
    if (dice < 10) {
        status = faster_session_commit(worker->session);
        CHECK(!worker->is_named || faster_session_durable_serial(worker->session) == worker->serial,
              "a commit left something out", 0);
        fst_add_relaxed_u64(&shared.commits, 1);
    } else if (dice < 12) {
        scan(worker);
    } else if (dice < 13) {
        uint64_t findings;
        status = faster_session_verify(worker->session, NULL, NULL, NULL, NULL, &findings);
        CHECK(findings == 0, "verify has findings", 0);
    } else if (dice < 30) {
        close_session(worker);
        open_session(worker);
    } else if (dice < 300) {
        swap(worker, calls);
    } else {
        run_group(worker, calls);
    }
    CHECK(status == FASTER_OK, faster_session_message(worker->session), status);
}

static void *work(void *context) {
    struct worker worker = {.random = stress.seed + (uint64_t)(uintptr_t)context * 7919};
    struct call *calls = calloc(GROUP, sizeof *calls);
    CHECK(calls != NULL, "memory", 0);
    snprintf(worker.name, sizeof worker.name, "%llx",
             (unsigned long long)((uintptr_t)context & UINT32_MAX));
    open_session(&worker);
    for (worker.step = 0; worker.step < stress.steps; worker.step++) {
        step(&worker, calls);
    }
    for (uint32_t i = 0; i < GROUP; i++) {
        faster_buffer_finish(&calls[i].result);
    }
    free(calls);
    close_session(&worker);
    return NULL;
}

/* ---- what must be left ---- */

static uint64_t number_now(struct worker *worker, struct call *call, char kind, uint32_t index) {
    set_key(call, kind, index);
    read_now(worker, call);
    CHECK(call->op.status == FASTER_OK || call->op.status == FASTER_NOT_FOUND, "read",
          call->op.status);
    return call->op.status == FASTER_OK
               ? number_in(call->result.data, call->result.size_bytes, call->key)
               : 0;
}

/* The first success inserts the number 1: it counts like the others. */
static void check_all(const char *when) {
    struct worker worker = {.random = 1};
    struct call *call = calloc(1, sizeof *call);
    uint64_t findings = 1;
    CHECK(call != NULL, "memory", 0);
    open_session(&worker);
    for (uint32_t i = 0; i < NUMBER_KEYS; i++) {
        uint64_t number = number_now(&worker, call, 'n', i);
        CHECK(number == fst_load_relaxed_u64(&shared.added[i]), when, 0);
    }
    for (uint32_t i = 0; i < CAS_KEYS; i++) {
        uint64_t number = number_now(&worker, call, 'c', i);
        CHECK(number == fst_load_relaxed_u64(&shared.swapped[i]), when, 0);
    }
    for (uint32_t i = 0; i < INSERT_KEYS; i++) {
        uint64_t tried = fst_load_relaxed_u64(&shared.tried[i]);
        CHECK(fst_load_relaxed_u64(&shared.won[i]) == tried, "an insert was not won by one", 0);
        set_key(call, 'i', i);
        read_now(&worker, call);
        CHECK(call->op.status == (tried != 0 ? FASTER_OK : FASTER_NOT_FOUND), when,
              call->op.status);
    }
    scan(&worker);
    enum faster_status status =
        faster_session_verify(worker.session, NULL, NULL, NULL, NULL, &findings);
    CHECK(status == FASTER_OK && findings == 0, "verify", status);
    faster_buffer_finish(&call->result);
    free(call);
    faster_session_close(worker.session);
}

int main(int argc, char **argv) {
    stress = (struct stress_store){
        .program = "stress_direct", .thread_count = THREADS, .work = work, .check_all = check_all};
    stress_store_arguments(&stress, argc, argv, 4000);
    struct faster_options options = {.writes = FASTER_WRITES_DIRECT,
                                     .memory_bytes = (1 + stress.seed % 4) << 20,
                                     .page_bytes = 16 << 10,
                                     .segment_bytes = 256 << 10,
                                     .checkpoint_bytes = 512 << 10,
                                     .checkpoint_interval_ms = 50};
    stress_store_run(&stress, &options);
    printf("stress_direct: %llu operations in %llu sessions, %llu commits, %llu scans: "
           "0 differences\n",
           (unsigned long long)fst_load_relaxed_u64(&shared.operations),
           (unsigned long long)fst_load_relaxed_u64(&shared.sessions),
           (unsigned long long)fst_load_relaxed_u64(&shared.commits),
           (unsigned long long)fst_load_relaxed_u64(&shared.scans));
    return 0;
}
