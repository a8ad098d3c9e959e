/* failing_calls_operations.c - operations, each checked against a plain map. */
#include "failing_calls.h"

#define VALUE_BYTES_MIN 8000u
#define VALUE_BYTES_MAX 12000u
#define CALLS_MAX KEY_COUNT

struct call {
    uint32_t index;
    uint32_t value;
    uint32_t guess; /* of compare-and-set */
    struct faster_buffer result;
    char key[16];
    unsigned char bytes[VALUE_BYTES_MAX];
    unsigned char expected[VALUE_BYTES_MAX];
};

static struct call calls[CALLS_MAX];
static struct faster_op ops[CALLS_MAX];

static size_t value_bytes_of(uint32_t value, unsigned char *bytes) {
    size_t count =
        VALUE_BYTES_MIN + (value * 2654435761u >> 8) % (VALUE_BYTES_MAX - VALUE_BYTES_MIN);
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)(value >> (8 * (i % 4)));
    }
    return count;
}

static bool is_value(uint32_t value, const void *bytes, size_t count) {
    unsigned char expected[VALUE_BYTES_MAX];
    return value_bytes_of(value, expected) == count && memcmp(expected, bytes, count) == 0;
}

void work_failed(struct work *work, const char *what, enum faster_status status) {
    CHECK(work, work->may_fail, what, status);
    CHECK(work,
          status == FASTER_IO || status == FASTER_FULL || status == FASTER_NOMEM ||
              status == FASTER_FAILED,
          what, status);
    work->failures++;
    if (status == FASTER_FAILED) {
        CHECK(work, work->may_break, "nothing happened that should stop writing", status);
        work->is_broken = true;
    }
}

/* ---- one operation ---- */

static enum faster_status set_value(void *context, const struct faster_bytes *old,
                                    struct faster_buffer *value) {
    const struct call *call = context;
    unsigned char bytes[VALUE_BYTES_MAX];
    (void)old;
    return faster_buffer_assign(value, bytes, value_bytes_of(call->value, bytes));
}

static void prepare(struct work *work, uint32_t at, enum faster_op_kind kind, uint32_t index) {
    struct call *call = &calls[at];
    struct faster_op *op = &ops[at];
    call->index = index % KEY_COUNT;
    call->value = work->next_value++;
    call->guess = draw(work, 3) == 0 ? 1 : work->now[call->index];
    call->result = (struct faster_buffer){.env = faster_env_posix()};
    snprintf(call->key, sizeof call->key, "key-%05u", call->index);
    *op = (struct faster_op){.key = {call->key, strlen(call->key)},
                             .kind = (int32_t)kind,
                             .merge = set_value,
                             .context = call};
    if (kind == FASTER_OP_READ) {
        op->result = &call->result;
    } else if (kind != FASTER_OP_DELETE && kind != FASTER_OP_RMW) {
        op->value = (struct faster_bytes){call->bytes, value_bytes_of(call->value, call->bytes)};
        op->expected =
            (struct faster_bytes){call->expected, value_bytes_of(call->guess, call->expected)};
    }
}

static enum faster_status start(struct work *work, uint32_t at) {
    struct faster_session *session = work->sessions[at % SESSIONS];
    struct faster_op *op = &ops[at];
    switch ((enum faster_op_kind)op->kind) {
    case FASTER_OP_READ:
        return faster_snapshot_read(&work->seen[at % SESSIONS], op);
    case FASTER_OP_UPSERT:
        return faster_session_upsert(session, op);
    case FASTER_OP_INSERT:
        return faster_session_insert(session, op);
    case FASTER_OP_COMPARE_AND_SET:
        return faster_session_compare_and_set(session, op);
    case FASTER_OP_RMW:
        return faster_session_rmw(session, op);
    case FASTER_OP_DELETE:
        return faster_session_delete(session, op);
    }
    return FASTER_MISUSE;
}

static enum faster_status wanted(const struct work *work, uint32_t at) {
    uint32_t now = work->now[calls[at].index];
    enum faster_status differs = now == 0 ? FASTER_NOT_FOUND : FASTER_EXISTS;
    switch ((enum faster_op_kind)ops[at].kind) {
    case FASTER_OP_READ:
        return now == 0 ? FASTER_NOT_FOUND : FASTER_OK;
    case FASTER_OP_INSERT:
        return now == 0 ? FASTER_OK : FASTER_EXISTS;
    case FASTER_OP_COMPARE_AND_SET:
        return now != 0 && now == calls[at].guess ? FASTER_OK : differs;
    case FASTER_OP_UPSERT:
    case FASTER_OP_RMW:
    case FASTER_OP_DELETE:
        break;
    }
    return FASTER_OK;
}

/* The operation has ended: it did what the map says, or it failed and did nothing. */
static void settle(struct work *work, uint32_t at, bool was_broken) {
    struct call *call = &calls[at];
    const struct faster_op *op = &ops[at];
    if (op->status < FASTER_OK) {
        work_failed(work, "an operation", op->status);
    } else {
        CHECK(work, op->status == wanted(work, at), "an operation's outcome", op->status);
        work->operations++;
        if (op->kind == FASTER_OP_READ) {
            CHECK(work,
                  op->status != FASTER_OK ||
                      is_value(work->now[call->index], call->result.data, call->result.size_bytes),
                  "a wrong value", op->status);
        } else if (op->status == FASTER_OK) {
            CHECK(work, !was_broken, "a write after one that failed for ever", op->status);
            work->now[call->index] = op->kind == FASTER_OP_DELETE ? 0 : call->value;
        }
    }
    faster_buffer_finish(&call->result);
}

/* What was begun together has no order: only before all of them the store may have been broken. */
static void complete(struct work *work, uint32_t count) {
    const bool was_broken = work->is_broken;
    for (uint32_t i = 0; i < SESSIONS; i++) {
        enum faster_status status = faster_session_complete_pending(work->sessions[i], true);
        CHECK(work, status == FASTER_OK, "complete_pending", status);
    }
    for (uint32_t i = 0; i < count; i++) {
        CHECK(work, ops[i].status != FASTER_PENDING, "still pending", ops[i].status);
        settle(work, i, was_broken);
    }
}

static enum faster_op_kind draw_kind(struct work *work) {
    static const enum faster_op_kind KINDS[] = {
        FASTER_OP_READ, FASTER_OP_UPSERT, FASTER_OP_INSERT, FASTER_OP_COMPARE_AND_SET,
        FASTER_OP_RMW,  FASTER_OP_DELETE, FASTER_OP_RMW,    FASTER_OP_READ};
    return KINDS[draw(work, sizeof KINDS / sizeof KINDS[0])];
}

void work_operate(struct work *work, enum faster_op_kind kind, uint32_t first, uint32_t count) {
    for (uint32_t done = 0; done < count;) {
        uint32_t some = count - done < CALLS_MAX ? count - done : CALLS_MAX;
        for (uint32_t i = 0; i < some; i++) {
            prepare(work, i, kind != 0 ? kind : draw_kind(work), first + done + i);
            enum faster_status status = start(work, i);
            CHECK(work, status == ops[i].status, "a call's status is not its operation's", status);
        }
        complete(work, some);
        done += some;
    }
}

void work_batch(struct work *work, uint32_t first, uint32_t count) {
    CHECK(work, count <= CALLS_MAX, "a batch too large for this test", FASTER_MISUSE);
    for (uint32_t i = 0; i < count; i++) {
        prepare(work, i, draw_kind(work), first + i);
        ops[i].status = FASTER_MISUSE; /* if the batch does not set it */
    }
    enum faster_status status = faster_session_batch(work->sessions[0], ops, count);
    if (status < FASTER_OK) {
        work_failed(work, "a batch", status);
        return;
    }
    complete(work, count);
}

/* ---- commits ---- */

/* A cut covers what has come before it; one that failed may have become whole all the same. */
enum faster_status work_commit(struct work *work) {
    CHECK(work, work->cut_count < CUTS_MAX, "too many commits that failed", FASTER_MISUSE);
    memcpy(work->cuts[work->cut_count++], work->now, sizeof work->now);
    enum faster_status status = faster_session_commit(work->sessions[1]);
    if (status == FASTER_OK) {
        CHECK(work,
              !work->is_broken &&
                  (!work->is_final || work_fault_count(work) == work->failed_at_open),
              "a commit after a failure that is final", status);
        memcpy(work->cuts[0], work->now, sizeof work->now);
        work->cut_count = 1;
    } else {
        work_failed(work, "a commit", status);
    }
    return status;
}

/* ---- reading all ---- */

void work_scan(struct work *work) {
    struct faster_scan *scan;
    struct faster_bytes key;
    struct faster_bytes value;
    uint32_t live = 0;
    enum faster_status status = faster_scan_open(&work->seen[1], &scan);
    if (status != FASTER_OK) {
        work_failed(work, "scan_open", status);
        return;
    }
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        char text[16] = {0};
        memcpy(text, key.data, key.size_bytes < 15 ? key.size_bytes : 15);
        uint32_t index = (uint32_t)strtoul(text + 4, NULL, 10);
        CHECK(work, index < KEY_COUNT && work->now[index] != 0, "a scan shows a deleted key",
              status);
        CHECK(work, is_value(work->now[index], value.data, value.size_bytes), "a scan's value",
              status);
        live++;
    }
    faster_scan_close(scan);
    if (status != FASTER_END) {
        work_failed(work, "scan_next", status);
        return;
    }
    for (uint32_t i = 0; i < KEY_COUNT; i++) {
        live -= work->now[i] != 0;
    }
    CHECK(work, live == 0, "a scan misses keys, or repeats them", status);
}

void work_verify(struct work *work) {
    uint64_t findings = 0;
    enum faster_status status =
        faster_session_verify(work->sessions[0], NULL, NULL, NULL, NULL, &findings);
    CHECK(work, findings == 0, "verify finds damage where there is none", status);
    if (status != FASTER_OK) {
        work_failed(work, "verify", status);
    }
}

/* Reads key `index` as operation `index`. */
static void read_key(struct work *work, uint32_t index) {
    prepare(work, index, FASTER_OP_READ, index);
    (void)!start(work, index);
}

/* Reads the store into a map. A read that failed once must do the next time. */
static void read_map(struct work *work, model_map map) {
    for (uint32_t i = 0; i < KEY_COUNT; i++) {
        read_key(work, i);
    }
    for (uint32_t i = 0; i < SESSIONS; i++) {
        (void)faster_session_complete_pending(work->sessions[i], true);
    }
    for (uint32_t i = 0; i < KEY_COUNT; i++) {
        const struct faster_buffer *result = &calls[i].result;
        if (ops[i].status < FASTER_OK) {
            work_failed(work, "a read", ops[i].status);
            faster_buffer_finish(&calls[i].result);
            read_key(work, i);
            (void)faster_session_complete_pending(work->sessions[i % SESSIONS], true);
        }
        map[i] = 0;
        if (ops[i].status == FASTER_OK) {
            memcpy(&map[i], result->data, sizeof map[i]);
            CHECK(work, is_value(map[i], result->data, result->size_bytes), "a torn value",
                  ops[i].status);
        } else {
            CHECK(work, ops[i].status == FASTER_NOT_FOUND, "a read", ops[i].status);
        }
        faster_buffer_finish(&calls[i].result);
    }
}

void work_check_now(struct work *work) {
    model_map map;
    read_map(work, map);
    CHECK(work, memcmp(map, work->now, sizeof map) == 0, "the store is not what the model is",
          FASTER_OK);
}

void work_find_cut(struct work *work) {
    model_map map;
    uint32_t at = work->cut_count;
    read_map(work, map);
    while (at > 0 && memcmp(work->cuts[at - 1], map, sizeof map) != 0) {
        at--;
    }
    CHECK(work, at > 0, "what was recovered is no commit", FASTER_OK);
    memcpy(work->now, map, sizeof map);
    memcpy(work->cuts[0], map, sizeof map);
    work->cut_count = 1;
}
