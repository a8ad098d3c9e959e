/* faster_checkpoint.c - the public calls: checkpoints (layer 7). */
#include "faster.h"

#include "api.h"
#include "procedures/checkpoint.h"
#include "procedures/maintenance.h"

/* The steps of a transactional store's, of which some need the writer's role. */
static enum faster_status take_transactional(struct fst_checkpoint *checkpoint,
                                             struct faster_checkpoint *made) {
    struct faster_store *store = checkpoint->session->store;
    fst_lock_writer(store);
    enum faster_status status = fst_locked_result(store, fst_checkpoint_prepare(checkpoint));
    if (status == FASTER_OK) {
        status = fst_checkpoint_run(checkpoint, made);
    }
    if (status == FASTER_OK) {
        fst_lock_writer(store);
        fst_checkpoint_settle(checkpoint);
        fst_unlock_writer(store);
    }
    return status;
}

static enum faster_status take(struct faster_session *session,
                               const struct faster_checkpoint_request *request,
                               enum fst_checkpoint_cause cause, struct faster_checkpoint *made) {
    struct fst_checkpoint checkpoint;
    enum faster_status status = fst_checkpoint_begin(&checkpoint, session, request);
    if (status != FASTER_OK) {
        return status;
    }
    checkpoint.cause = cause;
    status = session->store->direct ? fst_checkpoint_run(&checkpoint, made)
                                    : take_transactional(&checkpoint, made);
    fst_checkpoint_end(&checkpoint);
    return status;
}

enum faster_status fst_take_due(struct faster_session *session,
                                const struct faster_checkpoint_request *request,
                                enum fst_checkpoint_cause cause) {
    return take(session, request, cause, NULL);
}

enum faster_status faster_session_take_checkpoint(struct faster_session *session,
                                                  const struct faster_checkpoint_request *request,
                                                  struct faster_checkpoint *made) {
    if (session == NULL) {
        return FASTER_MISUSE;
    }
    fst_clear_message(session);
    if (made != NULL) {
        *made = (struct faster_checkpoint){0};
    }
    if (request == NULL || request->kind > FASTER_CHECKPOINT_INDEX_ONLY ||
        request->index > FASTER_INDEX_LEAVE ||
        (request->kind == FASTER_CHECKPOINT_INDEX_ONLY && request->index == FASTER_INDEX_LEAVE) ||
        session->store->direct != (request->durable == NULL) ||
        (request->durable != NULL && request->durable->number == 0)) {
        return FASTER_MISUSE;
    }
    enum faster_status status = session->store->direct ? fst_make_writable(session) : FASTER_OK;
    status = status == FASTER_OK ? take(session, request, FST_CAUSE_CALL, made) : status;
    return fst_session_explain(session, status);
}

enum faster_status faster_session_checkpoint(struct faster_session *session,
                                             const struct faster_commit_row *durable,
                                             uint64_t *obsolete_below,
                                             faster_interrupt_fn *interrupt,
                                             void *interrupt_context) {
    const struct faster_checkpoint_request request = {.kind = FASTER_CHECKPOINT_FOLD_OVER,
                                                      .durable = durable,
                                                      .interrupt = interrupt,
                                                      .interrupt_context = interrupt_context};
    struct fst_checkpoint checkpoint;
    if (session == NULL || obsolete_below == NULL) {
        return FASTER_MISUSE;
    }
    fst_clear_message(session);
    *obsolete_below = 0;
    if (session->store->direct) {
        return FASTER_MISUSE;
    }
    if (durable == NULL || durable->number == 0) {
        return FASTER_OK;
    }
    enum faster_status status = fst_checkpoint_begin(&checkpoint, session, &request);
    if (status != FASTER_OK) {
        return status;
    }
    checkpoint.may_fix_tail = true;
    status = take_transactional(&checkpoint, NULL);
    fst_checkpoint_end(&checkpoint);
    if (status == FASTER_OK) {
        *obsolete_below = durable->number;
    }
    return fst_session_explain(session, status);
}

size_t faster_store_checkpoints(struct faster_store *store, struct faster_checkpoint *checkpoints,
                                size_t count_max) {
    return store == NULL ? 0 : fst_checkpoints_list(store, checkpoints, count_max);
}

bool faster_store_committed(struct faster_store *store, struct faster_commit_row *row) {
    if (store == NULL || row == NULL) {
        return false;
    }
    fst_lock_writer(store);
    const struct fst_commit_point committed = store->committed;
    fst_unlock_writer(store);
    *row = (struct faster_commit_row){.number = committed.number,
                                      .start = committed.start,
                                      .end = committed.end,
                                      .nonce = committed.nonce,
                                      .control_address = committed.control_address};
    return committed.number != 0;
}

bool faster_store_checkpoint_claim(struct faster_store *store) {
    return store != NULL && fst_triggers_claim(store);
}

void faster_store_checkpoint_hand_over(struct faster_store *store,
                                       const struct faster_commit_row *durable) {
    if (store != NULL) {
        fst_maintenance_hand_over(store, durable);
    }
}

bool faster_store_checkpoint_pays(const struct faster_store *store) {
    if (store == NULL) {
        return false;
    }
    const uint64_t from = fst_load_relaxed_u64(&store->triggers.replay_from);
    const uint64_t end = fst_load_relaxed_u64(&store->committed_end);
    return !store->direct && store->checkpoint.has_files && from != 0 && end > from &&
           end - from > store->budget.index_bytes;
}
