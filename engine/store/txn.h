/* txn.h - the write transaction of a transactional store (layer 4).
 *
 *   state      -> next        by
 *   OPEN       -> PREPARED    fst_txn_prepared: control record written, row handed out
 *   OPEN       -> ABORTED     fst_txn_rollback, fst_txn_commit (no row was made for it), or
 *                             another's begin (it lost its lock)
 *   PREPARED   -> OPEN        a write after a commit that came back BUSY
 *   PREPARED   -> COMMITTED   fst_txn_commit, or anyone who reads its row
 *   PREPARED   -> IN_DOUBT    fst_txn_rollback: the row may still turn up
 *   PREPARED   -> ABORTED     another's begin that does not see its row
 *   IN_DOUBT   -> COMMITTED   anyone who reads its row
 *   IN_DOUBT   -> ABORTED     another's begin that does not see its row
 *   COMMITTED, ABORTED        final
 *
 * The callbacks of the decider come late and from any connection, so every change is a
 * compare-and-swap on the transaction's own state word, whoever loses does nothing, and
 * only the winner carries out the effect. txn_assert_state() mirrors the table.
 *
 * The object is shared by the session that began it (until commit or rollback) and by the
 * store (until it is settled); the last of the two frees it.
 */
#ifndef FST_STORE_TXN_H
#define FST_STORE_TXN_H

#include "shapes/record.h"
#include "store/store.h"

enum fst_txn_state {
    FST_TXN_OPEN = 1,
    FST_TXN_PREPARED = 2,
    FST_TXN_COMMITTED = 3,
    FST_TXN_IN_DOUBT = 4,
    FST_TXN_ABORTED = 5
};

struct fst_savepoint {
    uint64_t position; /* the tail when it was set */
    uint64_t record_count;
};

struct faster_txn {
    struct faster_store *store;
    struct faster_session *session; /* NULL once the handle is consumed */
    fst_atomic_u32 state;           /* enum fst_txn_state */
    uint32_t references;            /* [writer] handle and store */
    uint64_t serial;                /* of the session's transactions, see faster_op.txn_serial */
    uint64_t start;
    uint64_t record_count;         /* DATA records not undone */
    struct fst_commit_point point; /* since prepare: what the row says */

    struct fst_savepoint *savepoints; /* [savepoint_count], index = level */
    size_t savepoint_count;
    size_t savepoint_capacity;
    struct fst_address_range *aborted; /* undone inside; ascending, coalesced */
    size_t aborted_count;
    size_t aborted_capacity;

    uint64_t handed_out_end; /* of the last control record a row was made for */
    uint64_t frozen_below;   /* no in-place update below: savepoint, prepare */
    uint64_t cursor_floor;   /* nor below the newest snapshot of the owner */
    uint32_t cursor_count;   /* open snapshots of the owner */
    struct faster_buffer redo;
};

/* The address from which records of this transaction may be changed in place. */
uint64_t fst_txn_in_place_floor(const struct faster_txn *txn);

/* OPEN or PREPARED: not yet settled. */
bool fst_txn_is_live(const struct faster_txn *txn);

/* Before a write: OPEN stays, PREPARED reopens; else MISUSE. */
enum faster_status fst_txn_enter_write(struct faster_txn *txn) FASTER_MUST_CHECK;

/* True if the store knows the commit of the row, so that there is nothing to settle. Any
 * thread, without the writer role. */
bool fst_txn_row_is_known(const struct faster_store *store, const struct faster_commit_row *newest);

/* All of [writer]. */
enum faster_status fst_txn_meet_row(struct faster_session *session,
                                    const struct faster_commit_row *newest) FASTER_MUST_CHECK;
/* The newest row under the decider's write lock is the newest commit the store knows, or the
 * decider went back: COPY. */
enum faster_status fst_txn_check_newest(struct faster_session *session,
                                        const struct faster_commit_row *newest) FASTER_MUST_CHECK;
enum faster_status fst_txn_begin(struct faster_session *session,
                                 const struct faster_commit_row *newest,
                                 struct faster_txn **txn) FASTER_MUST_CHECK;
enum faster_status fst_txn_savepoint(struct faster_txn *txn, int level) FASTER_MUST_CHECK;
void fst_txn_release(struct faster_txn *txn, int level);
enum faster_status fst_txn_rollback_to(struct faster_txn *txn, int level) FASTER_MUST_CHECK;
/* faster_txn_prepare() in steps, so that nobody waits for the sync: the control record and
 * the row [writer]; with *needs_sync the log's sync (not [writer]: it takes no lock and blocks);
 * then the change of state, or the retreat if the sync failed [writer]. */
enum faster_status fst_txn_prepare(struct faster_txn *txn, struct faster_commit_row *row,
                                   bool *needs_sync) FASTER_MUST_CHECK;
enum faster_status fst_txn_sync(struct faster_txn *txn) FASTER_MUST_CHECK;
enum faster_status fst_txn_prepared(struct faster_txn *txn, struct faster_commit_row *row,
                                    bool synced, uint64_t *obsolete_below) FASTER_MUST_CHECK;
void fst_txn_not_prepared(struct faster_txn *txn);
void fst_txn_commit(struct faster_txn *txn);
void fst_txn_rollback(struct faster_txn *txn);
/* The store closes: a transaction that is still in doubt is settled by the next open. */
void fst_txn_forget(struct faster_store *store);

/* txn_control.c: appends the control record (and the lists it needs) of a transaction.
 * Sets txn->point. [writer], outside the epoch. */
enum faster_status fst_txn_write_control(struct faster_txn *txn) FASTER_MUST_CHECK;

/* A random number that is not 0. OK or IO. */
enum faster_status fst_draw_nonce(const struct faster_env *env, uint64_t *nonce) FASTER_MUST_CHECK;

/* What a control record can say only once its place is known: where it ends, and the index's
 * bits of now, which are those of every record below it. */
struct fst_late_fields {
    uint64_t *end; /* both inside the value */
    uint32_t *index_bits;
};

/* Appends a record that is in no chain. `late` (may be NULL) is filled in before it is written.
 * Waits for room. [writer], or the leader of a cut; outside the epoch. */
enum faster_status fst_append_unchained(struct faster_session *session, enum fst_record_kind kind,
                                        const void *value, uint32_t value_bytes,
                                        const struct fst_late_fields *late,
                                        fst_addr *addr) FASTER_MUST_CHECK;

/* The checksum of a decider's row; see FORMAT.md. */
uint64_t fst_row_checksum(const struct faster_store *store, const struct faster_commit_row *row);

/* Publishes `point` as the newest commit memory knows. [writer], or the leader of a cut. */
void fst_publish_commit(struct faster_store *store, const struct fst_commit_point *point);

#endif
