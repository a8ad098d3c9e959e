/* operations.h - the life of an operation (layer 4).
 *
 * Each attempt is: find (the chain's visible version, in memory or as a finished disk walk)
 * -> decide (a pure function of kind and outcome) -> apply (nothing, in place, or append).
 * An attempt never waits. What it lacks it returns as enum fst_attempt; the caller gets it
 * and attempts again. A merge is called between two attempts, too (store_rmw.c).
 */
#ifndef FST_STORE_OPERATIONS_H
#define FST_STORE_OPERATIONS_H

#include "shapes/guard.h"
#include "store/pending.h"
#include "store/txn.h"

/* One more kind, inside the engine: is the record at op->located the visible version of the
 * key? Sets it to the address of the visible one, 0 if there is none. */
#define FST_OP_LOCATE (-1)

/* A LOCATE asks whether the visible record at op->located, which its caller has read, is
 * the newest of its key: once the walk gets there, there is nothing to read. */
static inline bool fst_op_asks_for(const struct faster_op *op, fst_addr addr) {
    return op->kind == FST_OP_LOCATE && op->located == addr.raw;
}

static inline bool fst_op_writes(const struct faster_op *op) {
    return op->kind >= FASTER_OP_UPSERT;
}

/* A write of a direct store looks at its key's lock in each stay in the epoch in which it may take
 * effect, before it does (key_locks.c, claim 2). */
static inline enum fst_key_access fst_key_access_of(const struct faster_session *session,
                                                    const struct faster_op *op) {
    /* acquire: pairs with give_all() of key_locks.c: what the last holder has sealed is sealed.
     * Who entered too early to see a lock is waited for by who takes it. */
    return fst_load_acquire_u64(&session->store->key_locks.user_count) == 0
               ? FST_KEY_FREE
               : fst_key_locks_look(session, op->hash);
}

/* Computes what all attempts need of the key, and has the processor load its bucket. Once, before
 * the first one; inside the epoch or not. */
void fst_op_prepare(const struct faster_session *session, struct faster_op *op);

/* One attempt; `walk` is the finished disk walk of this operation or NULL. Writes are
 * [writer]. Inside the epoch. DONE: op->status is set. IO: op->head is the chain's head and
 * op->at the record that must be read; fst_pending_start() does it, outside. */
enum fst_attempt fst_op_attempt(struct faster_session *session, struct faster_op *op,
                                const struct fst_pending *walk) FASTER_MUST_CHECK;

/* The same from outside the epoch, and starts the I/O. */
enum fst_attempt fst_op_try(struct faster_session *session, struct faster_op *op,
                            const struct fst_pending *walk) FASTER_MUST_CHECK;

/* An operation from outside the epoch, hash and all, if it is the common case (newest.h): DONE.
 * False: nothing is done, and it is to be prepared and tried. A write is one of a direct store. */
bool fst_op_try_at_once(struct faster_session *session, struct faster_op *op);

/* Carries the session's pending READ and LOCATE operations to their end. For sessions that
 * run nothing else. Outside the epoch. */
void fst_finish_reads(struct faster_session *session);

/* What fst_op_attempt() dispatches to. store_read.c: READ and LOCATE; any session. */
enum fst_attempt fst_read_attempt(struct faster_session *session, struct faster_op *op,
                                  const struct fst_pending *walk) FASTER_MUST_CHECK;
/* store_upsert.c */
enum fst_attempt fst_upsert_attempt(struct faster_session *session,
                                    struct faster_op *op) FASTER_MUST_CHECK;
/* store_delete.c */
enum fst_attempt fst_delete_attempt(struct faster_session *session,
                                    struct faster_op *op) FASTER_MUST_CHECK;
/* store_insert_if.c: INSERT, COMPARE_AND_SET; store_rmw.c: RMW */
enum fst_attempt fst_insert_if_attempt(struct faster_session *session, struct faster_op *op,
                                       const struct fst_pending *walk) FASTER_MUST_CHECK;
enum fst_attempt fst_rmw_attempt(struct faster_session *session, struct faster_op *op,
                                 const struct fst_pending *walk) FASTER_MUST_CHECK;

/* So often an RMW looks at a value and calls its merge outside; store_rmw.c tells what then. */
#ifndef FST_RMW_LOOKS_MAX /* simulations set a small one */
#define FST_RMW_LOOKS_MAX 8
#endif

/* Calls the operation's merge with what session->merged says of the old value. OK: the new value
 * is in session->scratch and in op->result, or session->merged says that the key is to be removed;
 * attempt again. Else op->status, which is then final. Outside the epoch and without the writer
 * role, but for the last resort. */
enum faster_status fst_rmw_merge(struct faster_session *session,
                                 struct faster_op *op) FASTER_MUST_CHECK;

static inline bool fst_rmw_is_same_value(const struct faster_bytes *old,
                                         const struct faster_bytes *now) {
    return old->size_bytes == now->size_bytes &&
           fst_bytes_are_equal(old->data, now->data, now->size_bytes);
}

/* ---- apply.c: shared by the writing operations; inside the epoch ---- */

/* Ends an attempt: sets the status and returns DONE. */
static inline enum fst_attempt fst_op_done(struct faster_op *op, enum faster_status status) {
    op->status = status;
    return FST_ATTEMPT_DONE;
}

/* An operation has taken effect, in this stay in the epoch; `counter` is one of the session's. */
static inline void fst_op_took_effect(struct faster_session *session, struct faster_op *op,
                                      fst_atomic_u64 *counter) {
    fst_session_count(counter, 1);
    if (session->name != NULL) {
        op->serial = fst_name_number(session->name);
    }
}

/* TOO_BIG, with the sizes and the limits in the session's message. */
enum faster_status fst_fail_too_big(struct faster_session *session, size_t key_bytes,
                                    size_t value_bytes);

/* Ends an attempt that needs the record at `at`, in the chain that began at `head`. */
enum fst_attempt fst_op_needs(struct faster_op *op, fst_addr head, fst_addr at);

/* Ends an attempt that needs the value of a CHUNKED version in the chain that began at `head`: IO.
 * DONE: CORRUPT, it has lost chunks to a truncation that went too far. */
enum fst_attempt fst_op_needs_value(struct faster_session *session, struct faster_op *op,
                                    fst_addr head, const struct fst_found *found);

/* Finds or creates the key's entry. FOUND, or DONE with FULL. */
enum fst_attempt fst_find_slot(struct faster_session *session, struct faster_op *op,
                               struct fst_index_slot *slot);

/* What the outcome of a walk means to a writer: FOUND (with *exists, a tombstone counts as
 * absent), AGAIN (the key was written by a later version), IO, or DONE. */
enum fst_attempt fst_found_version(struct faster_session *session, struct faster_op *op,
                                   fst_addr head, enum fst_walk walk, const struct fst_found *found,
                                   bool *exists);

/* Both, with the walk between them: the version that a writer sees is looked for in memory and,
 * with `walk`, in what was read from disk. */
enum fst_attempt fst_find_for_write(struct faster_session *session, struct faster_op *op,
                                    const struct fst_pending *walk, struct fst_index_slot *slot,
                                    struct fst_found *found, bool *exists);

/* Copies the found value to `out` as it is at one moment. FOUND; BUSY, it is changing; or DONE,
 * with what the buffer says. (One that may change needs room for all that it may become.) */
enum fst_attempt fst_copy_version(const struct faster_store *store, struct faster_op *op,
                                  const struct fst_found *found,
                                  struct faster_buffer *out) FASTER_MUST_CHECK;

/* True if this operation may change the record in place (unless it turns out to be sealed). */
bool fst_found_may_change(const struct faster_session *session, const struct fst_found *found);

/* A version whose value stays as it is while it is held; all zero: there is none. Not kept
 * across the end of the attempt. */
struct fst_held {
    struct fst_found *found;
    bool has_guard;  /* else its bytes are final */
    bool may_change; /* in place */
};

/* The walk saw a size before it was known that the value changes no more: takes the last one. */
static inline void fst_found_renew_size(struct fst_found *found) {
    if (found->record != NULL) {
        found->shape.value_bytes = fst_guard_value_bytes(found->record, found->shape.large);
    }
}

/* Makes the found value stable, whose size is then in found->shape. FOUND, or BUSY. */
enum fst_attempt fst_hold_version(struct faster_session *session, struct fst_found *found,
                                  struct fst_held *held);
/* The same before a blind write appends, for which the version need not be held: a session that
 * holds key locks seals what it overtakes (key_locks.c, claim 2). FOUND, with nothing held for any
 * other session, without a version, and of one that never changes; or BUSY. */
enum fst_attempt fst_hold_overtaken(struct faster_session *session, struct fst_found *found,
                                    struct fst_held *held);
/* Unchanged. Does nothing if it is not held. */
void fst_release_version(struct fst_held *held);

/* Sets the value, in place if the held version allows it, else by a new record that becomes
 * the chain's head, and releases the version. DONE with OK or TOO_BIG, ROOM, AGAIN, or CHUNKS: the
 * value must be written in chunks first, and session->large says which. Once that is ready, the
 * next attempt's value is taken to be the one that was written. */
enum fst_attempt fst_apply_value(struct faster_session *session, struct faster_op *op,
                                 struct fst_index_slot *slot, struct fst_held *held,
                                 const struct faster_bytes *value);

/* Removes the key, whose version is held or may be overtaken blindly; releases it. DONE with OK,
 * ROOM, AGAIN. */
enum fst_attempt fst_apply_removal(struct faster_session *session, struct faster_op *op,
                                   struct fst_index_slot *slot, struct fst_held *held);

#endif
