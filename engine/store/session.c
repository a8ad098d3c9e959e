/* session.c - sessions and snapshots (layer 4). */
#include "store/session.h"

#include <stdarg.h>
#include <stdio.h>

#include "store/chain.h"
#include "store/pending.h"
#include "store/txn.h"

_Static_assert(FASTER_SESSIONS_MAX == FST_EPOCH_SLOTS - 1, "the store's own slot is one");

enum faster_status fst_session_fail(struct faster_session *session, enum faster_status status,
                                    const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(session->message, sizeof session->message, format, arguments);
    va_end(arguments);
    return status;
}

enum faster_status fst_session_explain(struct faster_session *session, enum faster_status status) {
    if (session->message[0] != '\0') {
        return status;
    }
    if (status == FASTER_FULL) {
        return fst_session_fail(session, status,
                                "the disk is full, a file is as large as the process may make it, "
                                "or no file descriptor is left");
    }
    if (status == FASTER_FAILED) {
        return fst_session_fail(session, status,
                                "an earlier write or sync failed: close the store and open it "
                                "again");
    }
    return status;
}

enum faster_status fst_session_fail_foreign(struct faster_session *session, uint64_t address) {
    char name[FST_SEGMENT_NAME_BYTES];
    fst_segment_name(address >> session->store->budget.segment_bits, name);
    return fst_session_fail(session, FASTER_FOREIGN,
                            "the log's file %s is a link or no regular file, or is another store's",
                            name);
}

enum faster_status fst_session_fail_index_full(struct faster_session *session) {
    return fst_session_fail(session, FASTER_FULL,
                            "the index is full: raise memory (now %llu bytes)",
                            (unsigned long long)session->store->budget.memory_bytes);
}

static void join_list(struct faster_session *session) {
    struct faster_store *store = session->store;
    store->env->mutex_lock(store->env, store->sessions_lock);
    session->older = store->sessions;
    if (session->older != NULL) {
        session->older->newer = session;
    }
    store->sessions = session;
    store->env->mutex_unlock(store->env, store->sessions_lock);
    fst_add_relaxed_u64(&store->session_count, 1);
}

static void add_counters(struct fst_session_counters *sum,
                         const struct fst_session_counters *more) {
    fst_session_count(&sum->disk_reads, fst_load_relaxed_u64(&more->disk_reads));
    fst_session_count(&sum->disk_read_bytes, fst_load_relaxed_u64(&more->disk_read_bytes));
    fst_session_count(&sum->in_place_updates, fst_load_relaxed_u64(&more->in_place_updates));
    fst_session_count(&sum->appended_records, fst_load_relaxed_u64(&more->appended_records));
    fst_session_count(&sum->log_waits, fst_load_relaxed_u64(&more->log_waits));
    fst_session_count(&sum->log_wait_ns, fst_load_relaxed_u64(&more->log_wait_ns));
}

static void leave_list(struct faster_session *session) {
    struct faster_store *store = session->store;
    store->env->mutex_lock(store->env, store->sessions_lock);
    add_counters(&store->closed_sessions, &session->counters);
    if (session->newer != NULL) {
        session->newer->older = session->older;
    } else {
        store->sessions = session->older;
    }
    if (session->older != NULL) {
        session->older->newer = session->newer;
    }
    store->env->mutex_unlock(store->env, store->sessions_lock);
    fst_add_relaxed_u64(&store->session_count, UINT64_MAX);
}

void fst_sessions_sum(const struct faster_store *store, struct fst_session_counters *sum) {
    memset(sum, 0, sizeof *sum);
    store->env->mutex_lock(store->env, store->sessions_lock);
    add_counters(sum, &store->closed_sessions);
    for (const struct faster_session *at = store->sessions; at != NULL; at = at->older) {
        add_counters(sum, &at->counters);
    }
    store->env->mutex_unlock(store->env, store->sessions_lock);
}

enum faster_status fst_session_open(struct faster_store *store, struct faster_session **out) {
    const struct faster_env *env = store->env;
    struct faster_session *session = env->allocate(env, sizeof *session);
    if (session == NULL) {
        return FASTER_NOMEM;
    }
    memset(session, 0, sizeof *session);
    session->store = store;
    session->read_first_bytes = FST_READ_FIRST_START;
    session->scratch.env = env;
    session->merged.copy.env = env;
    enum faster_status status = FASTER_BUSY;
    session->slot = fst_epoch_slot_open(store->epoch);
    if (session->slot == NULL) {
        goto fail_slot;
    }
    status = fst_io_account_init(&session->io, env);
    if (status != FASTER_OK) {
        goto fail_account;
    }
    status = store->device->ops->queue_open(store->device, &session->queue);
    if (status != FASTER_OK) {
        goto fail_queue;
    }
    join_list(session);
    *out = session;
    return FASTER_OK;

fail_queue:
    fst_io_account_finish(&session->io, env);
fail_account:
    fst_epoch_slot_close(store->epoch, session->slot);
fail_slot:
    env->release(env, session);
    return status;
}

void fst_session_close(struct faster_session *session) {
    struct faster_store *store = session->store;
    fst_pending_finish(session);
    fst_io_account_finish(&session->io, store->env);
    fst_key_locks_give(session);
    fst_names_close(session);
    faster_buffer_finish(&session->scratch);
    faster_buffer_finish(&session->merged.copy);
    leave_list(session);
    store->device->ops->queue_close(store->device, session->queue);
    fst_epoch_slot_close(store->epoch, session->slot);
    store->env->release(store->env, session);
}

enum faster_status fst_snapshot_open_upper(struct faster_session *session, uint64_t upper,
                                           struct faster_snapshot *snapshot) {
    *snapshot = (struct faster_snapshot){.session = session, .upper = upper, .pin_index = -1};
    enum faster_status status = fst_pins_take(&session->store->pins, upper, &snapshot->pin_index);
    if (status == FASTER_BUSY) {
        return fst_session_fail(session, status, "more than %d snapshots are open", FST_PIN_COUNT);
    }
    return status;
}

/* A commit and a truncation may come before the pin: then there is a newer commit to try. */
enum faster_status fst_snapshot_open_newest(struct faster_session *session,
                                            struct faster_snapshot *snapshot) {
    struct faster_store *store = session->store;
    /* acquire: pairs with the release in fst_publish_commit() */
    if (fst_load_acquire_u64(&store->knows_rows) == 0) {
        return FASTER_BEHIND;
    }
    if (store->direct) {
        return fst_snapshot_open_upper(session, FST_UPPER_ALL, snapshot);
    }
    /* acquire: pairs with the release in fst_publish_commit(), here and below */
    uint64_t end = fst_load_acquire_u64(&store->committed_end);
    for (;;) {
        uint64_t tried = end;
        enum faster_status status = fst_snapshot_open_upper(session, tried, snapshot);
        end = fst_load_acquire_u64(&store->committed_end);
        if (status != FASTER_SNAPSHOT_GONE || end == tried) {
            return status;
        }
    }
}

enum faster_status fst_snapshot_open_row(struct faster_session *session,
                                         const struct faster_commit_row *row,
                                         struct faster_snapshot *snapshot) {
    struct faster_store *store = session->store;
    /* acquire: pairs with the release in fst_publish_commit() */
    if (fst_load_acquire_u64(&store->knows_rows) == 0) {
        return FASTER_BEHIND;
    }
    if (row == NULL || row->number == 0) {
        return fst_snapshot_open_upper(session, FST_ADDR_FIRST_RAW, snapshot);
    }
    /* acquire: pairs with the release in fst_publish_commit() */
    if (row->number > fst_load_acquire_u64(&store->committed_number)) {
        return FASTER_BEHIND;
    }
    return fst_snapshot_open_upper(session, row->end, snapshot);
}

/* The owner's own writes up to now, and no later ones; what it sees must not change under
 * it, so nothing below may be updated in place while the snapshot is open. */
enum faster_status fst_snapshot_open_txn(struct faster_session *session, struct faster_txn *txn,
                                         struct faster_snapshot *snapshot) {
    if (session->txn != txn || !fst_txn_is_live(txn)) {
        return FASTER_MISUSE;
    }
    uint64_t tail = fst_log_tail(session->store->log).raw;
    enum faster_status status = fst_snapshot_open_upper(session, tail, snapshot);
    if (status == FASTER_OK) {
        snapshot->txn = txn;
        txn->cursor_floor = tail;
        txn->cursor_count++;
    }
    return status;
}

/* Once frozen, records below the tail of now are complete and change no more, and operations
 * that overtake the view append above it. */
enum faster_status fst_snapshot_open_frozen(struct faster_session *session,
                                            const struct faster_snapshot *like,
                                            struct faster_snapshot *snapshot) {
    struct fst_hybrid_log *log = session->store->log;
    uint64_t upper = like->upper;
    if (session->store->direct) {
        fst_addr tail = fst_log_tail(log);
        fst_log_freeze(log, tail);
        upper = tail.raw;
    }
    return fst_snapshot_open_upper(session, upper, snapshot);
}

void fst_snapshot_close(struct faster_snapshot *snapshot) {
    struct faster_session *session = snapshot->session;
    if (session == NULL || snapshot->pin_index < 0) {
        return;
    }
    fst_pins_release(&session->store->pins, snapshot->pin_index);
    /* The transaction may be over: then the session has another one, or none. */
    if (snapshot->txn != NULL && snapshot->txn == session->txn && snapshot->txn->cursor_count > 0) {
        if (--snapshot->txn->cursor_count == 0) {
            snapshot->txn->cursor_floor = 0;
        }
    }
    *snapshot = (struct faster_snapshot){.pin_index = -1};
}
