/* pending_pool.c - slots and buffers of pending operations (layer 4).
 *
 * Allocated when they are needed and the budget has them. A slot that is given back is kept with a
 * small buffer for the session's next operation, so that a batch allocates nothing and touches no
 * shared word, unless memory is tight: then all goes back at once.
 */
#include "store/pending_internal.h"

#include <assert.h>

/* Larger buffers are not kept. */
#define KEPT_BUFFER_BYTES 16384u

static void free_slot(struct fst_pending *slot) {
    struct faster_session *session = slot->session;
    const struct faster_env *env = session->store->env;
    fst_pool_drop(slot, &slot->buffer);
    fst_pool_drop(slot, &slot->value);
    env->release(env, slot);
    fst_io_give(&session->store->io, &session->io, sizeof *slot);
    session->pool_count--;
}

static void free_kept(struct faster_session *session) {
    while (session->free_pending != NULL) {
        struct fst_pending *slot = session->free_pending;
        session->free_pending = slot->next;
        free_slot(slot);
    }
}

/* If it does not fit, what the session keeps goes, which may be enough. */
static bool take_bytes(struct faster_session *session, uint64_t bytes) {
    struct fst_io_budget *budget = &session->store->io;
    if (fst_io_take(budget, &session->io, bytes)) {
        return true;
    }
    if (session->free_pending == NULL) {
        return false;
    }
    free_kept(session);
    return fst_io_take(budget, &session->io, bytes);
}

/* `slot` NULL: one that is not there yet. */
static bool may_overdraw(const struct faster_session *session, const struct fst_pending *slot) {
    return session->has_turn && (session->turn_slot == NULL || session->turn_slot == slot);
}

/* ---- slots ---- */

/* One more in the list of free ones. */
static enum fst_lend add_slot(struct faster_session *session) {
    struct faster_store *store = session->store;
    struct fst_pending *slot;
    if (session->pool_count == store->budget.session_io_max) {
        return FST_LEND_LATER;
    }
    if (!take_bytes(session, sizeof *slot)) {
        if (!may_overdraw(session, NULL)) {
            return FST_LEND_LATER;
        }
        fst_io_overdraw(&store->io, &session->io, sizeof *slot);
    }
    slot = store->env->allocate(store->env, sizeof *slot);
    if (slot == NULL) {
        fst_io_give(&store->io, &session->io, sizeof *slot);
        return FST_LEND_NOMEM;
    }
    *slot = (struct fst_pending){
        .session = session, .buffer = {.env = store->env}, .value = {.env = store->env}};
    session->pool_count++;
    session->free_pending = slot;
    return FST_LEND_OK;
}

enum fst_lend fst_pool_prepare(struct faster_session *session) {
    return session->free_pending != NULL ? FST_LEND_OK : add_slot(session);
}

/* The turn goes to the first slot, as that may exist for the turn's sake only. */
enum fst_lend fst_pool_take(struct faster_session *session, struct fst_pending **slot) {
    enum fst_lend lend = fst_pool_prepare(session);
    if (lend == FST_LEND_OK) {
        *slot = session->free_pending;
        session->free_pending = (*slot)->next;
        (*slot)->next = NULL;
        if (session->has_turn && session->turn_slot == NULL) {
            session->turn_slot = *slot;
        }
    }
    return lend;
}

void fst_pool_give(struct fst_pending *slot) {
    struct faster_session *session = slot->session;
    fst_pool_drop(slot, &slot->value);
    if (fst_io_is_tight(&session->store->io)) {
        free_slot(slot);
        return;
    }
    if (slot->buffer.capacity_bytes > KEPT_BUFFER_BYTES) {
        fst_pool_drop(slot, &slot->buffer);
    }
    slot->next = session->free_pending;
    session->free_pending = slot;
}

/* ---- buffers ---- */

void fst_pool_drop(struct fst_pending *slot, struct faster_buffer *buffer) {
    const size_t bytes = buffer->capacity_bytes;
    if (bytes > 0) {
        faster_buffer_finish(buffer);
        fst_io_give(&slot->session->store->io, &slot->session->io, bytes);
    }
}

enum fst_lend fst_pool_lend(struct fst_pending *slot, struct faster_buffer *buffer, size_t bytes) {
    struct faster_session *session = slot->session;
    struct fst_io_budget *budget = &session->store->io;
    buffer->size_bytes = 0;
    if (bytes <= buffer->capacity_bytes) {
        return FST_LEND_OK;
    }
    fst_pool_drop(slot, buffer);
    if (!take_bytes(session, bytes)) {
        if (!may_overdraw(session, slot)) {
            return FST_LEND_LATER;
        }
        session->turn_slot = slot;
        fst_io_overdraw(budget, &session->io, bytes);
    }
    if (faster_buffer_reserve(buffer, bytes) != FASTER_OK) {
        fst_io_give(budget, &session->io, bytes);
        return FST_LEND_NOMEM;
    }
    assert(buffer->capacity_bytes == bytes);
    return FST_LEND_OK;
}

/* ---- the turn ---- */

bool fst_pool_turn_take(struct faster_session *session, bool wait) {
    session->has_turn = fst_io_turn_take(&session->store->io, &session->io, wait);
    return session->has_turn;
}

void fst_pool_turn_give(struct faster_session *session) {
    if (session->has_turn) {
        if (session->turn_slot == NULL) {
            free_kept(session); /* one may be there by the turn only */
        }
        session->has_turn = false;
        session->turn_slot = NULL;
        fst_io_turn_give(&session->store->io, &session->io);
    }
}

void fst_pool_finish(struct faster_session *session) {
    free_kept(session);
}
