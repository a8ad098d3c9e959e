/* pending.c - operations that wait for a record on disk, and their lists (layer 4). */
#include "store/pending.h"

#include "store/operations.h"
#include "store/pending_internal.h"

void fst_pending_end(struct fst_pending *slot) {
    struct faster_session *session = slot->session;
    slot->next = NULL;
    if (session->done_last == NULL) {
        session->done_first = slot;
    } else {
        session->done_last->next = slot;
    }
    session->done_last = slot;
}

void fst_pending_starve(struct fst_pending *slot, struct faster_buffer *wanted, size_t wanted_bytes,
                        uint64_t read_bytes) {
    struct faster_session *session = slot->session;
    slot->wanted = wanted;
    slot->wanted_bytes = wanted_bytes;
    slot->read_bytes = read_bytes;
    slot->next = NULL;
    if (session->starved_last == NULL) {
        session->starved_first = slot;
    } else {
        session->starved_last->next = slot;
    }
    session->starved_last = slot;
}

static void wait_for_slot(struct faster_session *session, struct faster_op *op) {
    if (session->waiting_last == NULL) {
        session->waiting_first = op;
    } else {
        session->waiting_last->next = op;
    }
    session->waiting_last = op;
}

/* While slots are starved, more of them would only take from what these need. */
void fst_pending_start(struct faster_session *session, struct faster_op *op) {
    struct fst_pending *slot = NULL;
    const enum fst_lend lend =
        session->starved_first == NULL ? fst_pool_take(session, &slot) : FST_LEND_LATER;
    op->status = FASTER_PENDING;
    op->next = NULL;
    if (lend == FST_LEND_NOMEM && session->pool_count == 0) {
        op->status = FASTER_NOMEM;
        return;
    }
    session->pending_count++;
    if (lend == FST_LEND_OK) {
        slot->op = op;
        fst_walk_start(slot);
    } else {
        wait_for_slot(session, op);
    }
}

/* ---- going on ---- */

static void resume_starved(struct faster_session *session) {
    struct fst_pending *slot;
    while ((slot = session->starved_first) != NULL) {
        const enum fst_lend lend = fst_pool_lend(slot, slot->wanted, slot->wanted_bytes);
        if (lend == FST_LEND_LATER) {
            return;
        }
        session->starved_first = slot->next;
        if (session->starved_first == NULL) {
            session->starved_last = NULL;
        }
        if (lend == FST_LEND_NOMEM) {
            fst_walk_fail(slot, FASTER_NOMEM);
        } else {
            fst_walk_resume(slot);
        }
    }
}

static bool has_work(const struct faster_session *session) {
    return session->in_flight_count > 0 || session->done_first != NULL;
}

/* If nothing but want of memory keeps operations back, no completion of the session's own will
 * bring it any: it needs the turn. With the turn something is started here, or the caller starts
 * the first operation of the waiting list. */
static void get_turn(struct faster_session *session, bool wait) {
    const bool is_refused = session->starved_first != NULL || session->waiting_first != NULL;
    if (is_refused && !has_work(session) && !session->has_turn &&
        fst_pool_turn_take(session, wait)) {
        resume_starved(session);
    }
}

void fst_pending_poll(struct faster_session *session, uint64_t timeout_ns) {
    struct fst_device *device = session->store->device;
    resume_starved(session);
    get_turn(session, timeout_ns > 0);
    if (has_work(session)) {
        fst_pending_leave(session); /* there was enough without it */
    }
    if (session->done_first == NULL && session->in_flight_count > 0) {
        device->ops->poll(device, session->queue, timeout_ns);
    }
}

void fst_pending_leave(struct faster_session *session) {
    if (session->turn_slot == NULL) {
        fst_pool_turn_give(session);
    }
}

struct fst_pending *fst_pending_take(struct faster_session *session) {
    struct fst_pending *slot = session->done_first;
    if (slot != NULL) {
        session->done_first = slot->next;
        if (session->done_first == NULL) {
            session->done_last = NULL;
        }
    }
    return slot;
}

void fst_pending_release(struct fst_pending *slot) {
    struct faster_session *session = slot->session;
    const bool has_turn = session->turn_slot == slot;
    slot->op = NULL;
    session->pending_count--;
    fst_pool_give(slot);
    if (has_turn) {
        fst_pool_turn_give(session);
    }
    resume_starved(session);
}

/* An operation that cannot even get a first slot, for want of memory, is handed out to fail. */
struct faster_op *fst_pending_next_waiting(struct faster_session *session) {
    struct faster_op *op = session->waiting_first;
    if (op == NULL || session->starved_first != NULL) {
        return NULL;
    }
    const enum fst_lend lend = fst_pool_prepare(session);
    if (lend != FST_LEND_OK && (lend == FST_LEND_LATER || session->pool_count > 0)) {
        return NULL;
    }
    session->waiting_first = op->next;
    if (session->waiting_first == NULL) {
        session->waiting_last = NULL;
    }
    session->pending_count--;
    return op;
}

void fst_pending_finish(struct faster_session *session) {
    fst_pool_finish(session);
}
