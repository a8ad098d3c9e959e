/* faster_operations.c - the public calls: reads and writes, singly and in batches (layer 7). */
#include "faster.h"

#include "api.h"
#include "store/batch.h"
#include "store/chunks.h"
#include "store/operations.h"
#include "store/session.h"
#include "store/store_open.h"
#include "store/txn.h"

/* Before a step of an operation in its transaction, with the writer role. That may be over: another
 * session that has the decider's lock now may have settled it while the operation was pending. No
 * operation outlives its transaction's handle, see complete_writes(); should one, it must not get
 * into the next transaction. */
static enum faster_status enter_txn(struct faster_session *session, const struct faster_op *op) {
    bool has_it = session->txn != NULL && session->txn->serial == op->txn_serial;
    return has_it ? fst_txn_enter_write(session->txn) : FASTER_MISUSE;
}

static enum fst_attempt attempt_locked(struct faster_session *session, struct faster_op *op,
                                       const struct fst_pending *walk) {
    fst_lock_writer(session->store);
    enum faster_status status = enter_txn(session, op);
    enum fst_attempt attempt =
        status == FASTER_OK ? fst_op_try(session, op, walk) : fst_op_done(op, status);
    fst_unlock_writer(session->store);
    return attempt;
}

/* Readers, and everybody in a direct store, take no lock. */
static enum fst_attempt attempt_once(struct faster_session *session, struct faster_op *op,
                                     const struct fst_pending *walk) {
    const struct faster_store *store = session->store;
    if (!fst_op_writes(op)) {
        return fst_op_try(session, op, walk);
    }
    if (!store->direct) {
        return attempt_locked(session, op, walk);
    }
    return fst_log_health(store->log) == FASTER_FAILED ? fst_op_done(op, FASTER_FAILED)
                                                       : fst_op_try(session, op, walk);
}

/* What a failed operation means to a person. */
static void explain_failure(struct faster_session *session, const struct faster_op *op) {
    bool index_full = session->index_full;
    session->index_full = false;
    if (op->status == FASTER_FOREIGN) {
        fst_session_fail_foreign(session, op->at);
    }
    if (!fst_op_writes(op)) {
        return;
    }
    if (op->status == FASTER_FULL && index_full) {
        fst_session_fail_index_full(session);
    } else if (op->status == FASTER_FULL || op->status == FASTER_FAILED) {
        session->message[0] = '\0';
        (void)fst_session_explain(session, (enum faster_status)op->status);
    }
}

static inline void explain(struct faster_session *session, const struct faster_op *op) {
    if (op->status < FASTER_OK) {
        explain_failure(session, op);
    }
}

/* Back-pressure: the page that would be overwritten has not reached the disk. Every writer helps,
 * and whoever finds no turn naps; a page that gets free has room for many of them. */
static enum faster_status wait_for_room(struct faster_session *session) {
    const struct faster_env *env = session->store->env;
    uint64_t since_ns = env->monotonic_ns(env);
    enum faster_status status = fst_log_help(session->store->log);
    fst_session_count(&session->counters.log_waits, 1);
    fst_session_count(&session->counters.log_wait_ns, env->monotonic_ns(env) - since_ns);
    return status;
}

/* The next chunk of a large value. DONE: all are written, or op->status says why not. */
static enum fst_attempt append_chunk(struct faster_session *session, struct faster_op *op) {
    struct faster_store *store = session->store;
    if (store->direct) {
        return fst_log_health(store->log) == FASTER_FAILED ? fst_op_done(op, FASTER_FAILED)
                                                           : fst_chunk_append(session);
    }
    fst_lock_writer(store);
    const enum faster_status status = enter_txn(session, op);
    const enum fst_attempt attempt =
        status == FASTER_OK ? fst_chunk_append(session) : fst_op_done(op, status);
    fst_unlock_writer(store);
    return attempt;
}

/* Others write, and pages go to the disk, between one chunk and the next. */
static enum faster_status write_chunks(struct faster_session *session, struct faster_op *op) {
    enum fst_attempt attempt = FST_ATTEMPT_AGAIN;
    op->status = FASTER_OK;
    while (attempt != FST_ATTEMPT_DONE && op->status == FASTER_OK) {
        attempt = append_chunk(session, op);
        if (attempt == FST_ATTEMPT_ROOM) {
            op->status = wait_for_room(session);
        }
    }
    return op->status;
}

/* The session holds no lock itself: nobody waits for it meanwhile. */
static enum faster_status wait_for_key(struct faster_session *session, struct faster_op *op,
                                       struct fst_lock_wait *wait) {
    op->status = fst_lock_wait_pause(session->store->env, wait)
                     ? FASTER_OK
                     : fst_session_fail(session, FASTER_BUSY, "another session has the key locked");
    return op->status;
}

/* What an attempt asks for before the next one. FASTER_OK: attempt again; else op->status is set.
 */
static enum faster_status prepare_next(struct faster_session *session, struct faster_op *op,
                                       enum fst_attempt attempt, struct fst_lock_wait *wait) {
    const struct faster_env *env = session->store->env;
    switch (attempt) {
    case FST_ATTEMPT_ROOM:
        op->status = wait_for_room(session);
        return op->status;
    case FST_ATTEMPT_CHUNKS:
        return write_chunks(session, op);
    case FST_ATTEMPT_MERGE:
        return fst_rmw_merge(session, op);
    case FST_ATTEMPT_LOCKED:
        return wait_for_key(session, op, wait);
    case FST_ATTEMPT_BUSY:
        env->yield(env);
        return FASTER_OK;
    case FST_ATTEMPT_DONE:
    case FST_ATTEMPT_IO:
    case FST_ATTEMPT_FOUND:
    case FST_ATTEMPT_AGAIN:
        break;
    }
    return FASTER_OK;
}

/* What a merge made, or was given, is not kept beyond this size for the next one: every session may
 * keep both. */
#define KEPT_SCRATCH_BYTES (16u << 10)

static void release_large(struct faster_buffer *buffer) {
    if (buffer->capacity_bytes > KEPT_SCRATCH_BYTES) {
        faster_buffer_finish(buffer);
    }
}

/* Attempts an operation until it is done or waits for a record. */
static void run(struct faster_session *session, struct faster_op *op,
                const struct fst_pending *walk) {
    struct fst_lock_wait wait = {.limit_ns = session->store->key_locks.wait_ns};
    enum faster_status status = FASTER_OK;
    enum fst_attempt attempt = FST_ATTEMPT_AGAIN;
    while (status == FASTER_OK && attempt != FST_ATTEMPT_DONE && attempt != FST_ATTEMPT_IO) {
        attempt = attempt_once(session, op, walk);
        status = prepare_next(session, op, attempt, &wait);
    }
    /* No other operation may take this one's for its own. */
    session->large.is_ready = false;
    session->merged.op = NULL;
    if (attempt != FST_ATTEMPT_IO) {
        explain(session, op);
    }
    release_large(&session->scratch);
    release_large(&session->merged.copy);
    fst_look_after(session);
}

enum faster_status faster_snapshot_read(const struct faster_snapshot *snapshot,
                                        struct faster_op *op) {
    if (!fst_snapshot_is_given(snapshot) || op == NULL) {
        return FASTER_MISUSE;
    }
    op->kind = FASTER_OP_READ;
    op->upper = snapshot->upper;
    fst_clear_message(snapshot->session);
    if (!fst_op_is_given(op, FASTER_OP_READ)) {
        op->status = FASTER_MISUSE;
        return op->status;
    }
    if (!fst_op_try_at_once(snapshot->session, op)) {
        fst_op_prepare(snapshot->session, op);
        run(snapshot->session, op, NULL);
    }
    return op->status;
}

/* The others' value is no input. */
static size_t value_bytes_of(const struct faster_op *op) {
    switch ((enum faster_op_kind)op->kind) {
    case FASTER_OP_UPSERT:
    case FASTER_OP_INSERT:
    case FASTER_OP_COMPARE_AND_SET:
        return op->value.size_bytes;
    case FASTER_OP_READ:
    case FASTER_OP_RMW:
    case FASTER_OP_DELETE:
        return 0;
    }
    return 0;
}

static enum faster_status check_sizes(struct faster_session *session, const struct faster_op *op) {
    const size_t value_bytes = value_bytes_of(op);
    if (op->key.size_bytes <= fst_key_bytes_max(session->store) &&
        value_bytes <= faster_value_bytes_max(session->store, op->key.size_bytes)) {
        return FASTER_OK;
    }
    return fst_fail_too_big(session, op->key.size_bytes, value_bytes);
}

enum faster_status fst_write(struct faster_session *session, struct faster_op *op,
                             enum faster_op_kind kind) {
    const struct faster_store *store = session->store;
    op->kind = (int32_t)kind;
    op->serial = 0;
    /* What is done at once has a record that it fits. */
    if (store->direct && fst_log_health(store->log) != FASTER_FAILED &&
        fst_op_try_at_once(session, op)) {
        explain(session, op);
        return op->status;
    }
    op->status = check_sizes(session, op);
    if (op->status != FASTER_OK) {
        return op->status;
    }
    fst_op_prepare(session, op);
    run(session, op, NULL);
    return op->status;
}

/* ---- batches ---- */

static bool is_batch_kind(const struct faster_op *op, bool reads_only) {
    return op->kind >= FASTER_OP_READ &&
           op->kind <= (reads_only ? FASTER_OP_READ : FASTER_OP_DELETE);
}

/* Whatever the group's attempt left open goes on by itself. True if one is PENDING. */
static bool run_group(struct faster_session *session, struct faster_op *ops, size_t count) {
    enum fst_attempt attempts[FST_BATCH_GROUP];
    bool is_pending = false;
    fst_batch_try(session, ops, count, attempts);
    for (size_t i = 0; i < count; i++) {
        if (attempts[i] == FST_ATTEMPT_DONE) {
            explain(session, &ops[i]);
        } else if (attempts[i] != FST_ATTEMPT_IO) {
            run(session, &ops[i], NULL);
        }
        is_pending |= ops[i].status == FASTER_PENDING;
    }
    return is_pending;
}

/* How many of the next operations make up a group: up to the first that lacks something. */
static size_t group_count(const struct faster_op *ops, size_t count) {
    size_t i = 0;
    while (i < count && i < FST_BATCH_GROUP &&
           fst_op_is_given(&ops[i], (enum faster_op_kind)ops[i].kind)) {
        i++;
    }
    return i;
}

static enum faster_status run_batch(struct faster_session *session, struct faster_op *ops,
                                    size_t count) {
    bool is_pending = false;
    for (size_t done = 0; done < count;) {
        const size_t group = group_count(ops + done, count - done);
        if (group == 0) {
            ops[done++].status = FASTER_MISUSE;
            continue;
        }
        is_pending |= run_group(session, ops + done, group);
        done += group;
    }
    fst_look_after(session);
    return is_pending ? FASTER_PENDING : FASTER_OK;
}

enum faster_status faster_snapshot_batch(const struct faster_snapshot *snapshot,
                                         struct faster_op *ops, size_t count) {
    if (!fst_snapshot_is_given(snapshot) || (ops == NULL && count > 0)) {
        return FASTER_MISUSE;
    }
    fst_clear_message(snapshot->session);
    for (size_t i = 0; i < count; i++) {
        if (!is_batch_kind(&ops[i], true)) {
            return FASTER_MISUSE;
        }
        ops[i].upper = snapshot->upper;
    }
    return run_batch(snapshot->session, ops, count);
}

/* Checks all before it does any: one size that cannot be refuses the batch. */
enum faster_status faster_session_batch(struct faster_session *session, struct faster_op *ops,
                                        size_t count) {
    if (session == NULL || (ops == NULL && count > 0)) {
        return FASTER_MISUSE;
    }
    fst_clear_message(session);
    for (size_t i = 0; i < count; i++) {
        if (!is_batch_kind(&ops[i], false)) {
            return FASTER_MISUSE;
        }
        ops[i].upper = FST_UPPER_ALL;
        ops[i].serial = 0;
        enum faster_status status = check_sizes(session, &ops[i]);
        if (status != FASTER_OK) {
            return status;
        }
    }
    enum faster_status status = fst_make_writable(session);
    if (status == FASTER_OK && fst_log_health(session->store->log) == FASTER_FAILED) {
        status = FASTER_FAILED;
    }
    return status == FASTER_OK ? run_batch(session, ops, count) : status;
}

/* ---- completion ---- */

static void continue_one(struct faster_session *session, struct fst_pending *slot) {
    run(session, slot->op, slot);
    fst_pending_release(slot);
}

static void start_waiting(struct faster_session *session) {
    struct faster_op *waiting;
    while ((waiting = fst_pending_next_waiting(session)) != NULL) {
        run(session, waiting, NULL);
    }
}

/* Who has the turn at the store's I/O buffers does not return with it. */
enum faster_status faster_session_complete_pending(struct faster_session *session, bool wait) {
    bool polled = false;
    if (session == NULL) {
        return FASTER_MISUSE;
    }
    while (session->pending_count > 0) {
        const bool must_wait = wait || fst_pending_has_turn(session);
        struct fst_pending *slot = fst_pending_take(session);
        if (slot != NULL) {
            continue_one(session, slot);
        } else if (must_wait || !polled) {
            fst_pending_poll(session, must_wait ? FST_POLL_NS : 0);
            polled = true;
        } else {
            return FASTER_PENDING;
        }
        start_waiting(session);
    }
    fst_pending_leave(session);
    return FASTER_OK;
}
