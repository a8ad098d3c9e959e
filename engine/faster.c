/* faster.c - the public calls: argument checks, the writer lock, dispatch (layer 7).
 *
 * The lock gives out the writer role of store.h. It is held for one attempt of one
 * operation and for the steps of a transaction, and never while an operation waits for a
 * record on disk or for room in the log, nor while a commit is synced. Catch-up and the
 * first begin hold it throughout. Readers do not take it.
 */
#include "faster.h"

#include <string.h>

#include "procedures/checkpoint.h"
#include "procedures/cut.h"
#include "procedures/recovery.h"
#include "procedures/recovery_direct.h"
#include "procedures/scan.h"
#include "procedures/verify.h"
#include "store/batch.h"
#include "store/operations.h"
#include "store/session.h"
#include "store/start_writing.h"
#include "store/store_open.h"
#include "store/txn.h"

static void lock_writer(struct faster_store *store) {
    store->env->mutex_lock(store->env, store->lock);
}

static void unlock_writer(struct faster_store *store) {
    store->env->mutex_unlock(store->env, store->lock);
}

static enum faster_status locked_result(struct faster_store *store, enum faster_status status) {
    unlock_writer(store);
    return status;
}

static void clear_message(struct faster_session *session) {
    session->message[0] = '\0';
}

/* ---- stores ---- */

enum faster_status faster_store_create(const struct faster_options *options,
                                       uint8_t uuid_out[FASTER_UUID_BYTES],
                                       struct faster_error *error) {
    fst_error_clear(error);
    if (options == NULL) {
        return FASTER_MISUSE;
    }
    return fst_store_create(options, uuid_out, error);
}

static enum faster_status recover_direct(struct faster_store *store,
                                         const struct faster_options *options,
                                         struct faster_error *error) {
    struct faster_session *session;
    enum faster_status status = fst_session_open(store, &session);
    if (status != FASTER_OK) {
        return fst_error_set(error, status, "out of memory");
    }
    status = fst_recover_direct(session, options->interrupt, options->interrupt_context);
    if (status == FASTER_FULL && session->index_full) {
        (void)fst_session_fail(session, status, "the index is full: raise memory (now %llu bytes)",
                               (unsigned long long)store->budget.memory_bytes);
    }
    if (status != FASTER_OK) {
        (void)fst_error_set(error, status, "%s",
                            session->message[0] != '\0' ? session->message
                                                        : faster_status_name(status));
    }
    fst_session_close(session);
    return status;
}

enum faster_status faster_store_open(const struct faster_options *options,
                                     struct faster_store **store, struct faster_error *error) {
    if (options == NULL || store == NULL) {
        return FASTER_MISUSE;
    }
    *store = NULL;
    enum faster_status status = fst_store_open(options, store, error);
    if (status == FASTER_OK && (*store)->direct) {
        status = recover_direct(*store, options, error);
        if (status != FASTER_OK) {
            (void)fst_store_release(*store, false, NULL);
            *store = NULL;
        }
    }
    return status;
}

void faster_store_close(struct faster_store *store) {
    if (store == NULL) {
        return;
    }
    enum faster_status status = fst_checkpoint_close(store);
    if (status != FASTER_OK) {
        fst_diagnose(&store->diagnostics, FASTER_DIAGNOSTIC_ERROR, "close",
                     "the log could not be written: %s; the database's commit rows hold what it "
                     "lacks",
                     faster_status_name(status));
    }
    fst_txn_forget(store);
    (void)fst_store_release(store, false, NULL);
}

enum faster_status faster_store_close_and_remove(struct faster_store *store,
                                                 struct faster_error *error) {
    fst_error_clear(error);
    if (store == NULL) {
        return FASTER_OK;
    }
    fst_txn_forget(store);
    return fst_store_release(store, true, error);
}

enum faster_status faster_store_remove(const struct faster_env *env, const char *directory,
                                       const uint8_t uuid[FASTER_UUID_BYTES],
                                       struct faster_error *error) {
    fst_error_clear(error);
    return fst_store_files_remove(env != NULL ? env : faster_env_posix(), directory, uuid, error);
}

enum faster_status faster_store_mark(const struct faster_env *env, const char *directory,
                                     bool unsettled) {
    return fst_store_files_mark(env != NULL ? env : faster_env_posix(), directory, unsettled);
}

bool faster_store_is_marked(const struct faster_env *env, const char *directory) {
    return fst_store_files_is_marked(env != NULL ? env : faster_env_posix(), directory);
}

enum faster_status faster_store_list(const struct faster_env *env, const char *parent,
                                     faster_directory_fn *each, void *context) {
    return fst_store_files_list(env != NULL ? env : faster_env_posix(), parent, each, context);
}

enum faster_status faster_place_fill(const struct faster_env *env, const char *path,
                                     struct faster_place *place) {
    const struct faster_env *used = env != NULL ? env : faster_env_posix();
    struct fst_file_info info;
    memset(place, 0, sizeof *place);
    if (strlen(path) >= sizeof place->path) {
        return FASTER_INVALID;
    }
    enum faster_status status = used->path_info_follow(used, path, &info);
    if (status == FASTER_OK) {
        memcpy(place->path, path, strlen(path));
        place->device = info.device;
        place->inode = info.inode;
    }
    return status;
}

void faster_store_uuid(const struct faster_store *store, uint8_t uuid[FASTER_UUID_BYTES]) {
    memcpy(uuid, store->identity.uuid, FASTER_UUID_BYTES);
}

/* ---- sessions and snapshots ---- */

enum faster_status faster_session_open(struct faster_store *store,
                                       struct faster_session **session) {
    return fst_session_open(store, session);
}

void faster_session_close(struct faster_session *session) {
    if (session == NULL) {
        return;
    }
    faster_session_complete_pending(session, true);
    if (session->txn != NULL) {
        faster_txn_rollback(session->txn);
    }
    fst_session_close(session);
}

const char *faster_session_message(const struct faster_session *session) {
    return session == NULL ? "" : session->message;
}

enum faster_status faster_session_meet_row(struct faster_session *session,
                                           const struct faster_commit_row *newest) {
    clear_message(session);
    if (session->store->direct) {
        return FASTER_MISUSE;
    }
    if (fst_txn_row_is_known(session->store, newest)) {
        return FASTER_OK;
    }
    lock_writer(session->store);
    return locked_result(session->store, fst_txn_meet_row(session, newest));
}

enum faster_status faster_session_catch_up(struct faster_session *session,
                                           faster_row_source_fn *next, void *context,
                                           faster_interrupt_fn *interrupt,
                                           void *interrupt_context) {
    clear_message(session);
    if (session->store->direct) {
        return FASTER_MISUSE;
    }
    lock_writer(session->store);
    return locked_result(session->store,
                         fst_catch_up(session, next, context, interrupt, interrupt_context));
}

enum faster_status faster_snapshot_open(struct faster_session *session,
                                        const struct faster_commit_row *row,
                                        struct faster_snapshot *snapshot) {
    return fst_snapshot_open_row(session, row, snapshot);
}

enum faster_status faster_snapshot_open_newest(struct faster_session *session,
                                               struct faster_snapshot *snapshot) {
    return fst_snapshot_open_newest(session, snapshot);
}

enum faster_status faster_snapshot_open_txn(struct faster_session *session, struct faster_txn *txn,
                                            struct faster_snapshot *snapshot) {
    return fst_snapshot_open_txn(session, txn, snapshot);
}

void faster_snapshot_close(struct faster_snapshot *snapshot) {
    if (snapshot != NULL) {
        fst_snapshot_close(snapshot);
    }
}

/* ---- operations ---- */

static enum fst_attempt attempt_locked(struct faster_session *session, struct faster_op *op,
                                       const struct fst_pending *walk) {
    lock_writer(session->store);
    /* The transaction may be over: another session that has the decider's lock now may have
     * settled it while the operation was pending. No operation outlives its transaction's
     * handle, see complete_writes(); should one, it must not get into the next transaction. */
    bool has_it = session->txn != NULL && session->txn->serial == op->txn_serial;
    enum faster_status status = has_it ? fst_txn_enter_write(session->txn) : FASTER_MISUSE;
    enum fst_attempt attempt =
        status == FASTER_OK ? fst_op_try(session, op, walk) : fst_op_done(op, status);
    unlock_writer(session->store);
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
static void explain(struct faster_session *session, const struct faster_op *op) {
    bool index_full = session->index_full;
    session->index_full = false;
    if (op->status == FASTER_FOREIGN) {
        fst_session_fail_foreign(session, op->at);
    }
    if (!fst_op_writes(op)) {
        return;
    }
    if (op->status == FASTER_FULL && index_full) {
        fst_session_fail(session, FASTER_FULL, "the index is full: raise memory (now %llu bytes)",
                         (unsigned long long)session->store->budget.memory_bytes);
    } else if (op->status == FASTER_FULL) {
        fst_session_fail(session, FASTER_FULL, "the disk is full, or no file descriptor is left");
    } else if (op->status == FASTER_FAILED) {
        fst_session_fail(session, FASTER_FAILED,
                         "an earlier write or sync failed: close the store and open it again");
    }
}

/* Attempts an operation until it is done or waits for a record. */
static void run(struct faster_session *session, struct faster_op *op,
                const struct fst_pending *walk) {
    for (;;) {
        switch (attempt_once(session, op, walk)) {
        case FST_ATTEMPT_DONE:
            explain(session, op);
            return;
        case FST_ATTEMPT_IO:
            return;
        case FST_ATTEMPT_ROOM: {
            enum faster_status status = fst_log_help(session->store->log);
            if (status != FASTER_OK) {
                op->status = status;
                explain(session, op);
                return;
            }
            break;
        }
        case FST_ATTEMPT_BUSY:
            session->store->env->yield(session->store->env);
            break;
        case FST_ATTEMPT_FOUND:
        case FST_ATTEMPT_AGAIN:
            break;
        }
    }
}

enum faster_status faster_snapshot_read(const struct faster_snapshot *snapshot,
                                        struct faster_op *op) {
    op->kind = FASTER_OP_READ;
    op->upper = snapshot->upper;
    fst_op_prepare(snapshot->session, op);
    clear_message(snapshot->session);
    run(snapshot->session, op, NULL);
    return op->status;
}

static enum faster_status check_sizes(struct faster_session *session, const struct faster_op *op) {
    if (op->key.size_bytes <= FASTER_KEY_BYTES_MAX &&
        op->value.size_bytes <= faster_value_bytes_max(session->store, op->key.size_bytes)) {
        return FASTER_OK;
    }
    return fst_fail_too_big(session, op->key.size_bytes, op->value.size_bytes);
}

static enum faster_status write_in_session(struct faster_session *session, struct faster_op *op,
                                           enum faster_op_kind kind) {
    op->status = check_sizes(session, op);
    if (op->status != FASTER_OK) {
        return op->status;
    }
    op->kind = (int32_t)kind;
    fst_op_prepare(session, op);
    run(session, op, NULL);
    return op->status;
}

static enum faster_status write_in_txn(struct faster_txn *txn, struct faster_op *op,
                                       enum faster_op_kind kind) {
    clear_message(txn->session);
    op->txn_serial = txn->serial;
    return write_in_session(txn->session, op, kind);
}

enum faster_status faster_txn_upsert(struct faster_txn *txn, struct faster_op *op) {
    return write_in_txn(txn, op, FASTER_OP_UPSERT);
}

enum faster_status faster_txn_insert(struct faster_txn *txn, struct faster_op *op) {
    return write_in_txn(txn, op, FASTER_OP_INSERT);
}

enum faster_status faster_txn_compare_and_set(struct faster_txn *txn, struct faster_op *op) {
    return write_in_txn(txn, op, FASTER_OP_COMPARE_AND_SET);
}

enum faster_status faster_txn_rmw(struct faster_txn *txn, struct faster_op *op) {
    return write_in_txn(txn, op, FASTER_OP_RMW);
}

enum faster_status faster_txn_delete(struct faster_txn *txn, struct faster_op *op) {
    op->value = (struct faster_bytes){NULL, 0};
    return write_in_txn(txn, op, FASTER_OP_DELETE);
}

/* ---- direct stores ---- */

/* The first write of all fixes the tail, under the lock; later ones only look. */
static enum faster_status make_writable(struct faster_session *session) {
    struct faster_store *store = session->store;
    enum faster_status status = FASTER_OK;
    /* acquire: pairs with the release below */
    if (fst_load_acquire_u32(&store->is_writable) != 0) {
        return FASTER_OK;
    }
    if (!store->direct) {
        return FASTER_MISUSE;
    }
    if (store->read_only) {
        return fst_session_fail(session, FASTER_READ_ONLY, "the store was opened read-only");
    }
    lock_writer(store);
    if (!store->writing_started) {
        status = fst_start_writing(session);
    }
    if (status == FASTER_OK) {
        /* release, after the tail and the version: pairs with the acquire above */
        fst_store_release_u32(&store->is_writable, 1);
    }
    return locked_result(store, status);
}

static enum faster_status write_directly(struct faster_session *session, struct faster_op *op,
                                         enum faster_op_kind kind) {
    clear_message(session);
    op->status = make_writable(session);
    return op->status == FASTER_OK ? write_in_session(session, op, kind) : op->status;
}

enum faster_status faster_session_upsert(struct faster_session *session, struct faster_op *op) {
    return write_directly(session, op, FASTER_OP_UPSERT);
}

enum faster_status faster_session_insert(struct faster_session *session, struct faster_op *op) {
    return write_directly(session, op, FASTER_OP_INSERT);
}

enum faster_status faster_session_compare_and_set(struct faster_session *session,
                                                  struct faster_op *op) {
    return write_directly(session, op, FASTER_OP_COMPARE_AND_SET);
}

enum faster_status faster_session_rmw(struct faster_session *session, struct faster_op *op) {
    return write_directly(session, op, FASTER_OP_RMW);
}

enum faster_status faster_session_delete(struct faster_session *session, struct faster_op *op) {
    op->value = (struct faster_bytes){NULL, 0};
    return write_directly(session, op, FASTER_OP_DELETE);
}

enum faster_status faster_session_commit(struct faster_session *session) {
    clear_message(session);
    enum faster_status status = make_writable(session);
    return status == FASTER_OK ? fst_cut(session) : status;
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

static enum faster_status run_batch(struct faster_session *session, struct faster_op *ops,
                                    size_t count) {
    bool is_pending = false;
    for (size_t done = 0; done < count;) {
        size_t group = count - done < FST_BATCH_GROUP ? count - done : FST_BATCH_GROUP;
        is_pending |= run_group(session, ops + done, group);
        done += group;
    }
    return is_pending ? FASTER_PENDING : FASTER_OK;
}

enum faster_status faster_snapshot_batch(const struct faster_snapshot *snapshot,
                                         struct faster_op *ops, size_t count) {
    clear_message(snapshot->session);
    for (size_t i = 0; i < count; i++) {
        if (!is_batch_kind(&ops[i], true)) {
            return FASTER_MISUSE;
        }
        ops[i].upper = snapshot->upper;
    }
    return run_batch(snapshot->session, ops, count);
}

/* Checks all before it does any: sizes that cannot be are the operation's own failure. */
enum faster_status faster_session_batch(struct faster_session *session, struct faster_op *ops,
                                        size_t count) {
    clear_message(session);
    for (size_t i = 0; i < count; i++) {
        if (!is_batch_kind(&ops[i], false)) {
            return FASTER_MISUSE;
        }
        ops[i].upper = FST_UPPER_ALL;
        if (ops[i].kind == FASTER_OP_DELETE || ops[i].kind == FASTER_OP_READ) {
            ops[i].value = (struct faster_bytes){NULL, 0};
        }
        enum faster_status status = check_sizes(session, &ops[i]);
        if (status != FASTER_OK) {
            return status;
        }
    }
    enum faster_status status = make_writable(session);
    if (status == FASTER_OK && fst_log_health(session->store->log) == FASTER_FAILED) {
        status = FASTER_FAILED;
    }
    return status == FASTER_OK ? run_batch(session, ops, count) : status;
}

/* ---- completion ---- */

static void continue_one(struct faster_session *session, struct fst_pending *slot) {
    run(session, slot->op, slot);
    fst_pending_release(slot);
    struct faster_op *waiting;
    while ((waiting = fst_pending_next_waiting(session)) != NULL) {
        run(session, waiting, NULL);
    }
}

enum faster_status faster_session_complete_pending(struct faster_session *session, bool wait) {
    bool polled = false;
    while (session->pending_count > 0) {
        struct fst_pending *slot = fst_pending_take(session);
        if (slot != NULL) {
            continue_one(session, slot);
        } else if (wait || !polled) {
            fst_pending_poll(session, wait ? FST_POLL_NS : 0);
            polled = true;
        } else {
            return FASTER_PENDING;
        }
    }
    return FASTER_OK;
}

/* ---- transactions ---- */

enum faster_status faster_txn_begin(struct faster_session *session,
                                    const struct faster_commit_row *newest,
                                    struct faster_txn **txn) {
    clear_message(session);
    *txn = NULL;
    if (session->store->direct) {
        return FASTER_MISUSE;
    }
    lock_writer(session->store);
    return locked_result(session->store, fst_txn_begin(session, newest, txn));
}

/* What was called inside the transaction so far counts to it: no operation may be carried out
 * behind a savepoint, a control record or an end that was set after it. */
static void complete_writes(struct faster_txn *txn) {
    faster_session_complete_pending(txn->session, true);
}

enum faster_status faster_txn_savepoint(struct faster_txn *txn, int level) {
    complete_writes(txn);
    lock_writer(txn->store);
    return locked_result(txn->store, fst_txn_savepoint(txn, level));
}

void faster_txn_release(struct faster_txn *txn, int level) {
    lock_writer(txn->store);
    fst_txn_release(txn, level);
    unlock_writer(txn->store);
}

enum faster_status faster_txn_rollback_to(struct faster_txn *txn, int level) {
    complete_writes(txn);
    lock_writer(txn->store);
    return locked_result(txn->store, fst_txn_rollback_to(txn, level));
}

bool faster_txn_has_writes(const struct faster_txn *txn) {
    return txn->record_count > 0;
}

enum faster_status faster_txn_prepare(struct faster_txn *txn, struct faster_commit_row *row,
                                      uint64_t *obsolete_below) {
    struct faster_store *store = txn->store;
    bool needs_sync;
    complete_writes(txn);
    clear_message(txn->session);
    *obsolete_below = 0;
    lock_writer(store);
    enum faster_status status = locked_result(store, fst_txn_prepare(txn, row, &needs_sync));
    if (status != FASTER_OK) {
        return status;
    }
    if (needs_sync) {
        status = fst_txn_sync(txn);
    }
    lock_writer(store);
    if (status == FASTER_OK) {
        status = fst_txn_prepared(txn, row, needs_sync, obsolete_below);
    } else {
        fst_txn_not_prepared(txn);
    }
    return locked_result(store, status);
}

/* The store outlives its transactions: sessions, and so handles, end before it. */
void faster_txn_commit(struct faster_txn *txn) {
    if (txn != NULL) {
        struct faster_store *store = txn->store;
        complete_writes(txn);
        lock_writer(store);
        fst_txn_commit(txn);
        unlock_writer(store);
    }
}

void faster_txn_rollback(struct faster_txn *txn) {
    if (txn != NULL) {
        struct faster_store *store = txn->store;
        complete_writes(txn);
        lock_writer(store);
        fst_txn_rollback(txn);
        unlock_writer(store);
    }
}

enum faster_status faster_session_checkpoint(struct faster_session *session,
                                             const struct faster_commit_row *durable,
                                             uint64_t *obsolete_below,
                                             faster_interrupt_fn *interrupt,
                                             void *interrupt_context) {
    struct faster_store *store = session->store;
    clear_message(session);
    *obsolete_below = 0;
    if (store->direct) {
        return FASTER_MISUSE;
    }
    if (durable == NULL || durable->number == 0) {
        return FASTER_OK;
    }
    lock_writer(store);
    enum faster_status status = locked_result(store, fst_checkpoint_prepare(session, durable));
    if (status == FASTER_OK) {
        status = fst_checkpoint_run(session, durable, interrupt, interrupt_context);
    }
    if (status == FASTER_OK) {
        lock_writer(store);
        fst_aborted_trim(&store->aborted, fst_log_begin(store->log).raw);
        unlock_writer(store);
        *obsolete_below = durable->number;
    }
    return status;
}

enum faster_status faster_session_grow(struct faster_session *session) {
    struct faster_store *store = session->store;
    clear_message(session);
    enum faster_status status = fst_hash_index_grow(store->index, session->slot);
    if (status == FASTER_FULL) {
        return fst_session_fail(session, status,
                                "the index has the largest size that memory = %llu bytes allow",
                                (unsigned long long)store->budget.memory_bytes);
    }
    return status;
}

/* ---- scan, verify ---- */

struct faster_scan {
    const struct faster_env *env;
    struct faster_snapshot view;
    struct fst_live_scan live;
    struct faster_session *owner; /* of the snapshot: gets the messages */
};

enum faster_status faster_scan_open(const struct faster_snapshot *snapshot,
                                    struct faster_scan **out) {
    struct faster_store *store = snapshot->session->store;
    clear_message(snapshot->session);
    struct faster_scan *scan = store->env->allocate(store->env, sizeof *scan);
    if (scan == NULL) {
        return FASTER_NOMEM;
    }
    scan->env = store->env;
    scan->owner = snapshot->session;
    enum faster_status status = fst_snapshot_open_frozen(snapshot->session, snapshot, &scan->view);
    if (status == FASTER_OK) {
        status =
            fst_live_scan_init(&scan->live, store, fst_log_begin(store->log), scan->view.upper);
        if (status != FASTER_OK) {
            fst_snapshot_close(&scan->view);
        }
    }
    if (status != FASTER_OK) {
        store->env->release(store->env, scan);
        return status;
    }
    *out = scan;
    return FASTER_OK;
}

enum faster_status faster_scan_next(struct faster_scan *scan, struct faster_bytes *key,
                                    struct faster_bytes *value) {
    const struct fst_scan_entry *entry;
    enum faster_status status = fst_live_scan_next(&scan->live, &entry);
    if (status == FASTER_OK) {
        struct fst_found found = {
            .addr = entry->item.addr, .bytes = entry->item.bytes, .shape = entry->item.shape};
        *key = (struct faster_bytes){found.bytes + found.shape.key_offset_bytes,
                                     found.shape.key_bytes};
        *value = fst_found_value(&found);
    } else if (status < FASTER_OK) {
        memcpy(scan->owner->message, scan->live.session->message, sizeof scan->owner->message);
    }
    return status;
}

void faster_scan_close(struct faster_scan *scan) {
    if (scan != NULL) {
        fst_live_scan_finish(&scan->live);
        fst_snapshot_close(&scan->view);
        scan->env->release(scan->env, scan);
    }
}

enum faster_status faster_session_verify(struct faster_session *session, faster_finding_fn *each,
                                         void *context, faster_interrupt_fn *interrupt,
                                         void *interrupt_context, uint64_t *finding_count) {
    clear_message(session);
    return fst_verify(session, each, context, interrupt, interrupt_context, finding_count);
}
