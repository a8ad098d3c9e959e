/* pending.h - operations that wait for a record on disk (layer 4).
 *
 * An operation that meets an address below head takes a struct fst_pending from its
 * session's pool and reads the record: the sectors that hold as many bytes as the records read
 * lately had, then the rest if it is longer. Every record read is checked
 * (shape, checksum). The walk goes on from it on disk until the visible version is found
 * or the chain ends; then the operation is continued by layer 7 or fst_finish_reads().
 *
 * If the version's value is larger than a page and the operation needs it, it is gathered first
 * (chunk_read.h): into the result of a read, into the slot for a merge, or compared with what is
 * expected. That may begin with a head in memory, too, and end without any I/O. A value whose
 * chunks have been truncated meanwhile was dead: the operation begins anew.
 *
 * Slots and buffers are taken from the store's budget for them (io_budget.h) before the read is
 * submitted. What it refuses waits: an operation without a slot in the session's waiting list, a
 * slot that lacks a buffer (a longer record than was expected, the room for an old value) among the
 * starved, which hold as little as they can. They go on when the session has completed something;
 * if nothing of it is in flight, with the turn.
 *
 * All of it happens on the session's own thread, in fst_pending_poll().
 *
 *   waiting -> in flight -> (starved -> in flight)* -> done -> its operation is attempted again
 */
#ifndef FST_STORE_PENDING_H
#define FST_STORE_PENDING_H

#include "store/chunk_read.h"

struct fst_pending {
    struct fst_io_request io;
    struct faster_session *session;
    struct faster_op *op;
    fst_addr head_seen;  /* the chain's head when its walk began */
    fst_addr begin_seen; /* the log's begin at that time */
    fst_addr at;         /* the record being read */
    struct faster_buffer buffer;
    uint32_t skip_bytes; /* from the buffer's start to the record */
    /* The result of the walk. */
    enum fst_walk walk;
    enum faster_status failure; /* set: the walk could not be finished */
    struct fst_found found;
    /* The found version's value, if it is larger than a page; found.bytes are gone then. */
    struct fst_chunk_reader chunks;
    struct faster_buffer value; /* gathered for a merge */
    bool is_gathering;
    bool has_value; /* gathered, or compared: chunks.differs */
    bool is_lost;   /* the walk counts for nothing any more */
    /* Of a starved slot: what it lacks. */
    struct faster_buffer *wanted; /* one of the two above */
    size_t wanted_bytes;
    uint64_t read_bytes; /* then to be read, unless it is the value's room */
    struct fst_pending *next;
};

/* True if a finished walk brought the value of the CHUNKED version that is found now. */
static inline bool fst_walk_has_value(const struct fst_pending *walk,
                                      const struct fst_found *found) {
    return walk != NULL && walk->has_value && fst_addr_equal(walk->found.addr, found->addr);
}

/* Starts reading for `op` what its attempt asked for (op->head, op->at: a record on disk, or in
 * memory a head whose value is needed), or queues the operation until a slot is to be had.
 * op->status becomes PENDING. Never waits. Outside the epoch. */
void fst_pending_start(struct faster_session *session, struct faster_op *op);

/* Collects finished I/O, waiting at most timeout_ns for the first. Walks that
 * have come to their end wait in fst_pending_take(). If nothing is in flight for want of memory,
 * it gets the turn, and waits for that unless timeout_ns is 0. Outside the epoch; no lock is held
 * that an operation needs. */
void fst_pending_poll(struct faster_session *session, uint64_t timeout_ns);

/* A walk that has ended, in order of completion, or NULL. */
struct fst_pending *fst_pending_take(struct faster_session *session);

/* Gives the slot back, and the turn if it was the slot's. */
void fst_pending_release(struct fst_pending *pending);

/* After each release and each poll: operations that got no slot may now be started. Hands them out
 * for the caller to attempt anew, oldest first, and NULL once none waits or no slot is to be had.
 * All must be asked for: an attempt that needs no I/O frees no slot, and so would wake nobody. */
struct faster_op *fst_pending_next_waiting(struct faster_session *session);

/* True if the session has the turn. Then the call that it is in goes on until it has not: */
static inline bool fst_pending_has_turn(const struct faster_session *session) {
    return session->has_turn;
}
/* gives it back, if nothing is pending any more that could have used it. */
void fst_pending_leave(struct faster_session *session);

/* Frees the pool. Nothing is pending. */
void fst_pending_finish(struct faster_session *session);

#endif
