/* pending_internal.h - what the files of pending operations share (layer 4).
 *
 * All of it on the session's own thread.
 */
#ifndef FST_STORE_PENDING_INTERNAL_H
#define FST_STORE_PENDING_INTERNAL_H

#include "store/pending.h"

/* ---- pending_pool.c: slots and buffers, taken from the budget ---- */

enum fst_lend {
    FST_LEND_OK,
    FST_LEND_LATER, /* the budget refuses, or the pool has as many slots as it may */
    FST_LEND_NOMEM
};

/* A slot that holds nothing, or buffers of earlier operations. */
enum fst_lend fst_pool_take(struct faster_session *session,
                            struct fst_pending **slot) FASTER_MUST_CHECK;
/* Makes sure that the next fst_pool_take() finds one. */
enum fst_lend fst_pool_prepare(struct faster_session *session) FASTER_MUST_CHECK;
/* Keeps it for the next operation or frees it. */
void fst_pool_give(struct fst_pending *slot);

/* Makes room in one of the slot's buffers, which is empty then. */
enum fst_lend fst_pool_lend(struct fst_pending *slot, struct faster_buffer *buffer,
                            size_t bytes) FASTER_MUST_CHECK;
void fst_pool_drop(struct fst_pending *slot, struct faster_buffer *buffer);

/* The session, which has it not, gets the turn for its first slot that is refused something. */
bool fst_pool_turn_take(struct faster_session *session, bool wait) FASTER_MUST_CHECK;
/* Gives it back if the session has it. */
void fst_pool_turn_give(struct faster_session *session);

/* Frees what is kept: all there is, as nothing is pending. */
void fst_pool_finish(struct faster_session *session);

/* ---- pending_walk.c ---- */

/* Begins for slot->op; the slot is then in flight, starved, or done. */
void fst_walk_start(struct fst_pending *slot);
/* Goes on, as what the slot lacked has been lent. */
void fst_walk_resume(struct fst_pending *slot);
/* It could not be finished. */
void fst_walk_fail(struct fst_pending *slot, enum faster_status failure);

/* ---- pending.c ---- */

/* The walk has come to its end. */
void fst_pending_end(struct fst_pending *slot);
/* It goes on when the budget lends the slot so much; `read_bytes`: see read_record(). */
void fst_pending_starve(struct fst_pending *slot, struct faster_buffer *wanted, size_t wanted_bytes,
                        uint64_t read_bytes);

#endif
