/* txn.c - the write transaction of a transactional store (layer 4).
 *
 * The invariants, in a store whose newest commit is C:
 *   1. Records below C.end are visible or aborted for ever; they never change.
 *   2. At most one transaction is unsettled: store->current. Its records lie at or above
 *      its start, which is at or above C.end.
 *   3. A transaction becomes C only by its row: the decider's word, through
 *      fst_txn_commit() or fst_txn_meet_row().
 *   4. What is neither below C.end nor in the current transaction is in the aborted list.
 */
#include "store/txn.h"

#include <assert.h>

#include "base/array.h"
#include "store/start_writing.h"

static enum fst_txn_state state_of(const struct faster_txn *txn) {
    /* acquire: pairs with change_state() */
    return (enum fst_txn_state)fst_load_acquire_u32(&txn->state);
}

static void txn_assert_state(const struct faster_txn *txn) {
    switch (state_of(txn)) {
    case FST_TXN_OPEN:
        assert(txn->store->current == txn && txn->session != NULL);
        break;
    case FST_TXN_PREPARED:
        assert(txn->store->current == txn && txn->point.nonce != 0);
        break;
    case FST_TXN_IN_DOUBT:
        assert(txn->store->current == txn && txn->session == NULL);
        break;
    case FST_TXN_COMMITTED:
    case FST_TXN_ABORTED:
        assert(txn->store->current != txn);
        break;
    }
    assert(txn->references > 0 && txn->start >= FST_ADDR_FIRST_RAW);
}

/* True if this call made the change: then it carries out the effect. */
static bool change_state(struct faster_txn *txn, enum fst_txn_state from, enum fst_txn_state to) {
    uint32_t expected = from;
    /* acq_rel: pairs with itself, and with the acquire in state_of() */
    return fst_cas_acq_rel_u32(&txn->state, &expected, to);
}

static void drop_reference(struct faster_txn *txn) {
    if (--txn->references > 0) {
        return;
    }
    const struct faster_env *env = txn->store->env;
    env->release(env, txn->savepoints);
    env->release(env, txn->aborted);
    faster_buffer_finish(&txn->redo);
    env->release(env, txn);
}

static void detach_from_store(struct faster_txn *txn) {
    txn->store->current = NULL;
    txn_assert_state(txn);
    drop_reference(txn);
}

uint64_t fst_txn_in_place_floor(const struct faster_txn *txn) {
    return txn->frozen_below > txn->cursor_floor ? txn->frozen_below : txn->cursor_floor;
}

bool fst_txn_is_live(const struct faster_txn *txn) {
    enum fst_txn_state state = state_of(txn);
    return state == FST_TXN_OPEN || state == FST_TXN_PREPARED;
}

enum faster_status fst_txn_enter_write(struct faster_txn *txn) {
    if (state_of(txn) == FST_TXN_PREPARED && change_state(txn, FST_TXN_PREPARED, FST_TXN_OPEN)) {
        txn->point = (struct fst_commit_point){0};
    }
    return state_of(txn) == FST_TXN_OPEN ? FASTER_OK : FASTER_MISUSE;
}

void fst_publish_commit(struct faster_store *store, const struct fst_commit_point *point) {
    store->committed = *point;
    /* release: a reader that acquires the number finds index, aborted list and end in place.
     * Pairs with the acquires in fst_snapshot_open_newest(), fst_snapshot_open_row() and
     * fst_txn_row_is_known(). */
    fst_store_release_u64(&store->committed_end, point->end);
    fst_store_release_u64(&store->committed_nonce, point->nonce);
    fst_store_release_u64(&store->committed_number, point->number);
    fst_store_release_u64(&store->knows_rows, 1);
}

/* ---- settling ---- */

static void settle_committed(struct faster_txn *txn) {
    struct faster_store *store = txn->store;
    fst_publish_commit(store, &txn->point);
    store->obsolete_told = store->obsolete_below;
    fst_add_relaxed_u64(&store->counters.commits, 1);
    detach_from_store(txn);
}

/* Hides all the transaction wrote. The list has room: fst_txn_begin() reserved it. */
static void settle_aborted(struct faster_txn *txn) {
    struct faster_store *store = txn->store;
    uint64_t tail = fst_log_tail(store->log).raw;
    if (tail > txn->start) {
        enum faster_status status = fst_aborted_add(&store->aborted, txn->start, tail);
        assert(status == FASTER_OK);
        (void)status;
    }
    fst_add_relaxed_u64(&store->counters.rollbacks, 1);
    detach_from_store(txn);
}

static bool row_is_point(const struct faster_commit_row *row,
                         const struct fst_commit_point *point) {
    return row->number == point->number && row->nonce == point->nonce && row->end == point->end;
}

static bool try_commit(struct faster_txn *txn) {
    return change_state(txn, FST_TXN_PREPARED, FST_TXN_COMMITTED) ||
           change_state(txn, FST_TXN_IN_DOUBT, FST_TXN_COMMITTED);
}

static enum faster_status meet_no_row(const struct faster_store *store) {
    /* acquire: pairs with the release in fst_publish_commit() */
    if (fst_load_acquire_u64(&store->knows_rows) == 0) {
        return FASTER_BEHIND;
    }
    return FASTER_OK;
}

/* End and nonce are published before their number, and belong to it or to a later commit: if
 * both are the row's, so is the commit. An older row than the newest commit is one of its
 * predecessors, as far as anybody can tell. */
bool fst_txn_row_is_known(const struct faster_store *store,
                          const struct faster_commit_row *newest) {
    /* acquire, all: pairs with the releases in fst_publish_commit() */
    if (fst_load_acquire_u64(&store->knows_rows) == 0) {
        return false;
    }
    const uint64_t number = fst_load_acquire_u64(&store->committed_number);
    if (newest == NULL || newest->number < number) {
        return true;
    }
    /* acquire, both: pairs as above */
    const uint64_t end = fst_load_acquire_u64(&store->committed_end);
    const uint64_t nonce = fst_load_acquire_u64(&store->committed_nonce);
    return newest->number == number && newest->end == end && newest->nonce == nonce;
}

enum faster_status fst_txn_meet_row(struct faster_session *session,
                                    const struct faster_commit_row *newest) {
    struct faster_store *store = session->store;
    if (newest == NULL) {
        return meet_no_row(store);
    }
    struct faster_txn *current = store->current;
    if (current != NULL && current->point.nonce != 0 && row_is_point(newest, &current->point) &&
        try_commit(current)) {
        settle_committed(current);
    }
    /* acquire: pairs with the release in fst_publish_commit() */
    if (fst_load_acquire_u64(&store->knows_rows) == 0 || newest->number > store->committed.number) {
        return store->writing_started
                   ? fst_session_fail(session, FASTER_COPY,
                                      "the database has commit %llu, the store knows only %llu: "
                                      "they are not a pair",
                                      (unsigned long long)newest->number,
                                      (unsigned long long)store->committed.number)
                   : FASTER_BEHIND;
    }
    if (newest->number == store->committed.number && !row_is_point(newest, &store->committed)) {
        return fst_session_fail(session, FASTER_COPY,
                                "commit %llu of the database is not the store's: the database "
                                "is a copy or an old backup",
                                (unsigned long long)newest->number);
    }
    return FASTER_OK;
}

/* Under the decider's write lock any other transaction is over: its row is there, or it
 * has lost. */
static void settle_current(struct faster_store *store) {
    struct faster_txn *current = store->current;
    if (current != NULL && (change_state(current, FST_TXN_OPEN, FST_TXN_ABORTED) ||
                            change_state(current, FST_TXN_PREPARED, FST_TXN_ABORTED) ||
                            change_state(current, FST_TXN_IN_DOUBT, FST_TXN_ABORTED))) {
        settle_aborted(current);
    }
}

/* ---- begin, savepoints ---- */

enum faster_status fst_txn_check_newest(struct faster_session *session,
                                        const struct faster_commit_row *newest) {
    struct faster_store *store = session->store;
    uint64_t number = newest == NULL ? 0 : newest->number;
    if (number != store->committed.number) {
        return fst_session_fail(session, FASTER_COPY,
                                "the database's newest commit is %llu, the store's %llu: the "
                                "database went back, it is an old backup",
                                (unsigned long long)number,
                                (unsigned long long)store->committed.number);
    }
    return FASTER_OK;
}

static struct faster_txn *create(struct faster_session *session) {
    struct faster_store *store = session->store;
    struct faster_txn *txn = store->env->allocate(store->env, sizeof *txn);
    if (txn == NULL) {
        return NULL;
    }
    memset(txn, 0, sizeof *txn);
    txn->store = store;
    txn->session = session;
    txn->references = 2;
    txn->serial = ++session->txn_serial;
    txn->redo.env = store->env;
    fst_store_relaxed_u32(&txn->state, FST_TXN_OPEN);
    return txn;
}

enum faster_status fst_txn_begin(struct faster_session *session,
                                 const struct faster_commit_row *newest, struct faster_txn **out) {
    struct faster_store *store = session->store;
    if (session->txn != NULL) {
        return FASTER_MISUSE;
    }
    if (store->read_only) {
        return FASTER_READ_ONLY;
    }
    enum faster_status status = fst_txn_meet_row(session, newest);
    if (status != FASTER_OK) {
        return status;
    }
    settle_current(store);
    status = fst_txn_check_newest(session, newest);
    if (status == FASTER_OK && !store->writing_started) {
        status = fst_start_writing(session);
    }
    if (status == FASTER_OK && fst_log_health(store->log) == FASTER_FAILED) {
        status = FASTER_FAILED;
    }
    if (status == FASTER_OK) {
        status = fst_aborted_reserve(&store->aborted, 2);
    }
    if (status != FASTER_OK) {
        return status;
    }
    struct faster_txn *txn = create(session);
    if (txn == NULL) {
        return FASTER_NOMEM;
    }
    txn->start = fst_log_tail(store->log).raw;
    txn->frozen_below = txn->start;
    store->current = txn;
    session->txn = txn;
    txn_assert_state(txn);
    *out = txn;
    return FASTER_OK;
}

static enum faster_status reserve_savepoints(struct faster_txn *txn, size_t count) {
    size_t more = count > txn->savepoint_count ? count - txn->savepoint_count : 0;
    void *array = txn->savepoints;
    enum faster_status status =
        fst_array_reserve(txn->store->env, &array, txn->savepoint_count, &txn->savepoint_capacity,
                          more, sizeof *txn->savepoints);
    txn->savepoints = array;
    return status;
}

enum faster_status fst_txn_savepoint(struct faster_txn *txn, int level) {
    if (level < 0 || level >= FASTER_SAVEPOINTS_MAX) {
        return FASTER_MISUSE;
    }
    size_t wanted = (size_t)level + 1;
    enum faster_status status = reserve_savepoints(txn, wanted);
    if (status != FASTER_OK) {
        return status;
    }
    struct fst_savepoint here = {fst_log_tail(txn->store->log).raw, txn->record_count};
    if (txn->savepoint_count > (size_t)level) {
        txn->savepoint_count = (size_t)level;
    }
    while (txn->savepoint_count < wanted) {
        txn->savepoints[txn->savepoint_count++] = here;
    }
    txn->frozen_below = here.position;
    return FASTER_OK;
}

/* Between the highest savepoint left and the tail, records may change in place again -
 * except those below a control record that was already handed out. */
static void thaw(struct faster_txn *txn) {
    uint64_t floor = txn->start;
    if (txn->savepoint_count > 0) {
        floor = txn->savepoints[txn->savepoint_count - 1].position;
    }
    txn->frozen_below = floor > txn->handed_out_end ? floor : txn->handed_out_end;
}

void fst_txn_release(struct faster_txn *txn, int level) {
    if (level >= 0 && (size_t)level < txn->savepoint_count) {
        txn->savepoint_count = (size_t)level;
        thaw(txn);
    }
}

/* Remembers the range for the control record; neighbours and what it swallows go. */
static enum faster_status remember_aborted(struct faster_txn *txn, uint64_t start, uint64_t end) {
    while (txn->aborted_count > 0 && txn->aborted[txn->aborted_count - 1].end >= start) {
        uint64_t last = txn->aborted[txn->aborted_count - 1].start;
        start = last < start ? last : start;
        txn->aborted_count--;
    }
    void *array = txn->aborted;
    enum faster_status status = fst_array_reserve(txn->store->env, &array, txn->aborted_count,
                                                  &txn->aborted_capacity, 1, sizeof *txn->aborted);
    txn->aborted = array;
    if (status == FASTER_OK) {
        txn->aborted[txn->aborted_count++] = (struct fst_address_range){start, end};
    }
    return status;
}

enum faster_status fst_txn_rollback_to(struct faster_txn *txn, int level) {
    struct faster_store *store = txn->store;
    struct fst_savepoint target = {txn->start, 0};
    if (level >= 0 && (size_t)level < txn->savepoint_count) {
        target = txn->savepoints[level];
    }
    enum faster_status status = fst_txn_enter_write(txn);
    if (status != FASTER_OK) {
        return status;
    }
    uint64_t tail = fst_log_tail(store->log).raw;
    if (tail > target.position) {
        status = fst_aborted_reserve(&store->aborted, 3);
        if (status == FASTER_OK) {
            status = remember_aborted(txn, target.position, tail);
        }
        if (status == FASTER_OK) {
            status = fst_aborted_add(&store->aborted, target.position, tail);
        }
        if (status != FASTER_OK) {
            return status;
        }
    }
    txn->record_count = target.record_count;
    bool was_set = level >= 0 && (size_t)level < txn->savepoint_count;
    txn->savepoint_count = was_set ? (size_t)level + 1 : 0; /* lower ones went with the rest */
    txn->frozen_below = tail;
    return FASTER_OK;
}

/* ---- the two phases ---- */

/* The bytes no earlier row and no synced log holds, as this row's redo. False if they do
 * not fit: then the log itself is synced. */
static bool inline_redo(struct faster_txn *txn, struct faster_commit_row *row) {
    struct faster_store *store = txn->store;
    uint64_t durable = fst_log_durable(store->log).raw;
    uint64_t from = store->committed.end > durable ? store->committed.end : durable;
    uint64_t bytes = row->end - from;
    if (store->inline_commit_bytes == UINT64_MAX || bytes > store->inline_commit_bytes ||
        row->end - durable > store->redo_bytes_max) {
        return false;
    }
    if (faster_buffer_reserve(&txn->redo, (size_t)bytes) != FASTER_OK ||
        !fst_log_image(store->log, fst_addr_of(from), fst_addr_of(row->end), txn->redo.data)) {
        return false;
    }
    txn->redo.size_bytes = (size_t)bytes;
    row->redo = txn->redo.data;
    row->redo_bytes = (size_t)bytes;
    fst_add_relaxed_u64(&store->counters.inline_commits, 1);
    return true;
}

enum faster_status fst_txn_prepare(struct faster_txn *txn, struct faster_commit_row *row,
                                   bool *needs_sync) {
    struct faster_store *store = txn->store;
    enum faster_status status = fst_txn_enter_write(txn);
    *needs_sync = false;
    if (status != FASTER_OK) {
        return status;
    }
    if (txn->record_count == 0) {
        return FASTER_NOT_FOUND;
    }
    if (fst_log_health(store->log) == FASTER_FAILED) {
        return FASTER_FAILED; /* a row with redo would be sound, but writes are refused */
    }
    status = fst_txn_write_control(txn);
    if (status != FASTER_OK) {
        return status;
    }
    const struct fst_commit_point *point = &txn->point;
    *row = (struct faster_commit_row){.number = point->number,
                                      .start = point->start,
                                      .end = point->end,
                                      .nonce = point->nonce,
                                      .control_address = point->control_address};
    txn->handed_out_end = point->end;
    txn->frozen_below = point->end;
    *needs_sync = !inline_redo(txn, row);
    return FASTER_OK;
}

enum faster_status fst_txn_sync(struct faster_txn *txn) {
    struct faster_store *store = txn->store;
    fst_addr sealed;
    enum faster_status status = fst_log_seal_tail(store->log, &sealed);
    if (status == FASTER_OK) {
        status = fst_log_sync(store->log, sealed);
    }
    if (status == FASTER_OK) {
        fst_add_relaxed_u64(&store->counters.log_syncs, 1);
    }
    return status;
}

enum faster_status fst_txn_prepared(struct faster_txn *txn, struct faster_commit_row *row,
                                    bool synced, uint64_t *obsolete_below) {
    struct faster_store *store = txn->store;
    if (synced) {
        store->obsolete_below = txn->point.number;
    }
    row->checksum = fst_row_checksum(store, row);
    if (store->obsolete_below > store->obsolete_told) {
        *obsolete_below = store->obsolete_below;
    }
    bool prepared = change_state(txn, FST_TXN_OPEN, FST_TXN_PREPARED);
    txn_assert_state(txn);
    return prepared ? FASTER_OK : FASTER_MISUSE;
}

void fst_txn_not_prepared(struct faster_txn *txn) {
    txn->point = (struct fst_commit_point){0};
}

static void consume_handle(struct faster_txn *txn) {
    if (txn->session != NULL && txn->session->txn == txn) {
        txn->session->txn = NULL;
    }
    txn->session = NULL;
}

void fst_txn_commit(struct faster_txn *txn) {
    consume_handle(txn);
    if (change_state(txn, FST_TXN_OPEN, FST_TXN_ABORTED)) {
        settle_aborted(txn); /* no row says anything about what it wrote */
    } else if (change_state(txn, FST_TXN_PREPARED, FST_TXN_COMMITTED)) {
        settle_committed(txn);
    }
    drop_reference(txn);
}

void fst_txn_rollback(struct faster_txn *txn) {
    consume_handle(txn);
    if (change_state(txn, FST_TXN_OPEN, FST_TXN_ABORTED)) {
        settle_aborted(txn);
    } else if (change_state(txn, FST_TXN_PREPARED, FST_TXN_IN_DOUBT)) {
        txn_assert_state(txn);
    }
    drop_reference(txn);
}

void fst_txn_forget(struct faster_store *store) {
    if (store->current != NULL) {
        struct faster_txn *txn = store->current;
        store->current = NULL;
        drop_reference(txn);
    }
}
