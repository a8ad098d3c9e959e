/* model_direct_operations.c - operations and commits of model_direct, each against the map. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_direct.h"

#define SMALL_VALUE_BYTES 900u

_Noreturn void run_fail(const struct run *run, const char *what, int status) {
    fprintf(stderr, "model_direct: seed %llu: %s: %s\n", (unsigned long long)run->seed, what,
            faster_status_name((enum faster_status)status));
    exit(1);
}

uint32_t run_draw(struct run *run, uint32_t below) {
    run->random ^= run->random << 13;
    run->random ^= run->random >> 7;
    run->random ^= run->random << 17;
    return (uint32_t)((run->random >> 16) % below);
}

static size_t value_bytes_of(uint32_t value, unsigned char *bytes) {
    const uint32_t mixed = value * 2654435761u >> 8;
    const uint32_t most = value % 32 == 7  ? VALUE_BYTES_MAX
                          : value % 3 == 0 ? SMALL_VALUE_BYTES
                                           : 40;
    const size_t count = 4 + mixed % most;
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)((value >> (8 * (i % 4))) + i / 4099);
    }
    return count;
}

bool is_value(uint32_t value, const void *bytes, size_t count) {
    unsigned char expected[VALUE_BYTES_MAX + 4];
    return value_bytes_of(value, expected) == count && memcmp(expected, bytes, count) == 0;
}

/* ---- operations ---- */

static enum faster_status set_value(void *context, const struct faster_bytes *old,
                                    struct faster_buffer *value) {
    const struct model_op *call = context;
    unsigned char bytes[VALUE_BYTES_MAX + 4];
    (void)old;
    return faster_buffer_assign(value, bytes, value_bytes_of(call->value, bytes));
}

static void draw_op(struct run *run, struct model_op *call) {
    static const enum faster_op_kind KINDS[] = {
        FASTER_OP_UPSERT, FASTER_OP_UPSERT,          FASTER_OP_UPSERT, FASTER_OP_DELETE,
        FASTER_OP_INSERT, FASTER_OP_COMPARE_AND_SET, FASTER_OP_RMW,    FASTER_OP_READ};
    call->index = run_draw(run, run_draw(run, 2) == 0 ? 10 : KEY_COUNT);
    call->value = run->next_value++;
    call->guess = run_draw(run, 3) == 0 ? 1 : run->now.map[call->index];
    snprintf(call->key, sizeof call->key, "key-%05u", call->index);
    call->op = (struct faster_op){.key = {call->key, strlen(call->key)},
                                  .kind = (int32_t)KINDS[run_draw(run, 8)],
                                  .merge = set_value,
                                  .context = call};
    call->reads = call->op.kind == FASTER_OP_READ;
    call->result.env = faster_env_posix();
    if (call->reads) {
        call->op.result = &call->result;
    } else if (call->op.kind != FASTER_OP_DELETE && call->op.kind != FASTER_OP_RMW) {
        size_t count = value_bytes_of(call->value, call->bytes);
        call->op.value = (struct faster_bytes){call->bytes, count};
        count = value_bytes_of(call->guess, call->expected);
        call->op.expected = (struct faster_bytes){call->expected, count};
    }
}

static enum faster_status start(struct run *run, struct model_op *call) {
    struct faster_session *session = run->sessions[call->session];
    switch ((enum faster_op_kind)call->op.kind) {
    case FASTER_OP_READ:
        return faster_snapshot_read(&run->now_seen[call->session], &call->op);
    case FASTER_OP_UPSERT:
        return faster_session_upsert(session, &call->op);
    case FASTER_OP_INSERT:
        return faster_session_insert(session, &call->op);
    case FASTER_OP_COMPARE_AND_SET:
        return faster_session_compare_and_set(session, &call->op);
    case FASTER_OP_RMW:
        return faster_session_rmw(session, &call->op);
    case FASTER_OP_DELETE:
        return faster_session_delete(session, &call->op);
    }
    return FASTER_MISUSE;
}

static enum faster_status wanted(const struct run *run, const struct model_op *call) {
    uint32_t now = run->now.map[call->index];
    if (call->reads) {
        return now == 0 ? FASTER_NOT_FOUND : FASTER_OK;
    }
    if (call->op.kind == FASTER_OP_INSERT) {
        return now == 0 ? FASTER_OK : FASTER_EXISTS;
    }
    if (call->op.kind == FASTER_OP_COMPARE_AND_SET) {
        enum faster_status differs = now == 0 ? FASTER_NOT_FOUND : FASTER_EXISTS;
        return now != 0 && now == call->guess ? FASTER_OK : differs;
    }
    return FASTER_OK;
}

/* Operations that were pending together take effect in any order: only the sum of their numbers is
 * known. A delete of what is not there may write nothing. */
static void check_serial(struct run *run, const struct model_op *call) {
    uint64_t *last = &run->now.serials[call->session];
    const bool took_effect = !call->reads && call->op.status == FASTER_OK;
    if (took_effect && (call->op.serial != 0 || call->op.kind != FASTER_OP_DELETE)) {
        run->excess[call->session] += call->op.serial - ++*last;
    } else if (!call->reads) {
        CHECK(run, call->op.serial == 0, "an operation without effect has a number",
              call->op.status);
    }
}

/* The operation has ended: it did what the map says, or nothing. */
static void settle(struct run *run, struct model_op *call) {
    enum faster_status status = call->op.status;
    run->operations++;
    check_serial(run, call);
    if (status >= FASTER_OK || !run->with_faults) {
        CHECK(run, status == wanted(run, call), "an operation's outcome", status);
        if (call->reads) {
            CHECK(run,
                  status != FASTER_OK || is_value(run->now.map[call->index], call->result.data,
                                                  call->result.size_bytes),
                  "a wrong value", status);
        } else if (status == FASTER_OK) {
            run->now.map[call->index] = call->op.kind == FASTER_OP_DELETE ? 0 : call->value;
        }
    }
    faster_buffer_finish(&call->result);
}

/* Ends what was left pending: each of another key, so that the order does not count. */
void complete(struct run *run) {
    for (uint32_t i = 0; i < run->pending_count; i++) {
        faster_session_complete_pending(run->sessions[run->pending[i].session], true);
        settle(run, &run->pending[i]);
    }
    run->pending_count = 0;
    for (uint32_t i = 0; i < SESSIONS; i++) {
        CHECK(run, run->excess[i] == 0, "operations have other numbers", FASTER_OK);
    }
}

static bool is_pending(const struct run *run, uint32_t index) {
    for (uint32_t i = 0; i < run->pending_count; i++) {
        if (run->pending[i].index == index) {
            return true;
        }
    }
    return false;
}

void operate(struct run *run) {
    if (run->pending_count == PENDING_MAX - 1) {
        complete(run);
    }
    struct model_op *call = &run->pending[run->pending_count];
    draw_op(run, call);
    if (is_pending(run, call->index)) {
        complete(run);
        return;
    }
    call->session = (run->committer + 1 + run_draw(run, SESSIONS - 1)) % SESSIONS;
    enum faster_status status = start(run, call);
    run->has_written |= !call->reads && status >= FASTER_OK;
    CHECK(run, status == call->op.status, "a call's status is not its operation's", status);
    if (status != FASTER_PENDING) {
        settle(run, call);
        return;
    }
    run->pending_count++;
    if (run_draw(run, 2) == 0) {
        complete(run);
    } else {
        run->left_pending++;
    }
}

/* ---- commits ---- */

static void remember_cut(struct run *run) {
    CHECK(run, run->cut_count < CUTS_MAX, "too many commits that failed", 0);
    run->cuts[run->cut_count++] = run->now;
}

/* Between the end of a version and its control record, by other sessions than the committer. */
static void write_early(void *context, enum fst_test_operation operation) {
    struct run *run = context;
    (void)operation;
    fst_test_env_hook(run->test, FST_TEST_RANDOM, NULL, NULL);
    for (uint32_t count = run_draw(run, 6); count > 0; count--) {
        operate(run);
        run->early++;
    }
    complete(run);
    if (run->cut_is_open) {
        remember_cut(run);
    }
    run->has_early = true;
}

/* A cut that failed may have ended its version. Then the next one ends that one first, and what
 * is written meanwhile belongs to the second. */
static void keep_acknowledged(struct run *run, const struct model_state *before, bool was_open) {
    if (run->has_copied) {
        return; /* what was copied may be older */
    }
    const struct model_state last = run->cuts[run->cut_count - 1];
    run->cuts[0] = *before;
    run->cut_count = 1;
    if (was_open && run->has_early) {
        run->cuts[run->cut_count++] = last;
    }
}

/* With a checkpoint of any kind, if nobody writes meanwhile: its index copy draws random numbers,
 * too. */
static enum faster_status call_commit(struct run *run, bool has_hook) {
    struct faster_session *session = run->sessions[run->committer];
    if (has_hook || run_draw(run, 3) != 0) {
        return faster_session_commit(session);
    }
    const uint32_t which = run_draw(run, 4);
    const struct faster_checkpoint_request request = {
        .kind = which == 0 ? FASTER_CHECKPOINT_INDEX_ONLY : FASTER_CHECKPOINT_FOLD_OVER,
        .index = which < 2 ? FASTER_INDEX_COPY : FASTER_INDEX_LEAVE};
    run->checkpoints++;
    return faster_session_take_checkpoint(session, &request, NULL);
}

enum faster_status commit(struct run *run) {
    struct model_state before;
    bool was_open = run->cut_is_open;
    run->committer = run_draw(run, SESSIONS);
    run->has_early = false;
    const bool has_hook = run->has_written && run->copy_in == 0 && run_draw(run, 2) == 0;
    if (has_hook) {
        complete(run);
        fst_test_env_hook(run->test, FST_TEST_RANDOM, write_early, run);
    }
    before = run->now;
    remember_cut(run);
    enum faster_status status = call_commit(run, has_hook);
    fst_test_env_hook(run->test, FST_TEST_RANDOM, NULL, NULL);
    run->cut_is_open = status != FASTER_OK;
    if (status == FASTER_OK) {
        run->has_written = true;
        run->commits++;
        keep_acknowledged(run, &before, was_open);
    }
    return status;
}
