/* cut.c - the cut of a direct store, and its sharing among committers (layer 5).
 *
 * A cut that begins after a caller has come covers all that the caller did. So a caller who
 * finds one running waits for the next; the first of those who wait makes it, for all. (The status
 * and the point are those of the last cut that has ended, which is the wanted one or a later.)
 */
#include "procedures/cut.h"

#include "base/bytes.h"
#include "store/session.h"
#include "store/txn.h"

/* How often sessions have changed anything. Whoever has completed an operation has counted it. */
static uint64_t count_changes(struct faster_store *store) {
    struct fst_session_counters sum;
    fst_sessions_sum(store, &sum);
    return fst_load_relaxed_u64(&sum.in_place_updates) +
           fst_load_relaxed_u64(&sum.appended_records);
}

/* The tail does not tell: records of the next version may lie before the last control record, or
 * behind it where else its unit were padded. */
static bool has_nothing_new(struct faster_store *store) {
    return store->committed.number != 0 && count_changes(store) == store->covered_changes &&
           !fst_names_have_news(store);
}

static void raise_version(struct faster_store *store) {
    uint64_t version = fst_load_relaxed_u64(&store->version);
    /* release, both, floor first: pairs with the acquire in fst_session_note_version() and
     * is_of_later_version(): whoever has met a record of a version sees its floor */
    fst_store_release_u64(&store->version_floor, fst_log_tail(store->log).raw);
    fst_store_release_u64(&store->version, version + 1);
}

/* Ends the version before the present one with a control record, and freezes what it covers. */
static enum faster_status append_control(struct faster_session *session) {
    struct faster_store *store = session->store;
    const uint64_t version = store->uncut_version;
    struct fst_cut plain;
    struct fst_cut *value = fst_names_fill(store, &plain);
    *value = (struct fst_cut){.kind = FST_CONTROL_CUT,
                              .version = version,
                              .start = store->last_cut.end,
                              .previous_control_address = store->last_cut.control_address,
                              .previous_version = store->last_cut.number,
                              .durable_control_address = store->committed.control_address,
                              .session_count = value->session_count};
    const size_t value_bytes =
        sizeof *value + value->session_count * sizeof(struct fst_named_serial);
    /* Records of the next version may lie below this one, linked by an index that has grown
     * meanwhile: its bits are read when the place is taken. */
    const struct fst_late_fields late = {&value->end, &value->index_bits};
    fst_addr addr;
    enum faster_status status = fst_draw_nonce(store->env, &value->nonce);
    if (status == FASTER_OK) {
        status = fst_append_unchained(session, FST_KIND_CONTROL, value, (uint32_t)value_bytes,
                                      &late, &addr);
    }
    if (status == FASTER_OK) {
        store->last_cut =
            (struct fst_commit_point){version, value->nonce, value->start, value->end, addr.raw};
        store->uncut_version = 0;
        fst_names_appended(store);
        fst_log_freeze(store->log, fst_addr_of(value->end));
    }
    return status;
}

/* Ends the present version. A version whose control record found no room (a full disk) is
 * ended first: no version goes without. */
static enum faster_status end_version(struct faster_session *session) {
    struct faster_store *store = session->store;
    enum faster_status status = FASTER_OK;
    if (store->uncut_version != 0) {
        status = append_control(session);
    }
    if (status != FASTER_OK) {
        return status;
    }
    store->uncut_version = fst_load_relaxed_u64(&store->version);
    raise_version(store);
    fst_epoch_await(store->epoch);
    fst_names_collect(store, store->uncut_version);
    return append_control(session);
}

/* One at a time. The record of a cut whose sync found no space stays in the log: the next one
 * names it, and makes it durable with itself. */
static enum faster_status make_cut(struct faster_session *session, bool must_cut) {
    struct faster_store *store = session->store;
    if (fst_log_health(store->log) == FASTER_FAILED) {
        return FASTER_FAILED;
    }
    if (!must_cut && has_nothing_new(store)) {
        return FASTER_OK;
    }
    const uint64_t changes = count_changes(store); /* these at least are covered */
    enum faster_status status = end_version(session);
    if (status == FASTER_OK) {
        status = fst_log_sync(store->log, fst_addr_of(store->last_cut.end));
    }
    if (status == FASTER_OK) {
        fst_add_relaxed_u64(&store->counters.commits, 1);
        fst_add_relaxed_u64(&store->counters.log_syncs, 1);
        store->covered_changes = changes;
        fst_publish_commit(store, &store->last_cut);
    }
    return status;
}

/* With the gate's mutex, which is given back meanwhile. */
static void lead(struct faster_session *session) {
    struct faster_store *store = session->store;
    const struct faster_env *env = store->env;
    struct fst_cut_gate *gate = &store->cut;
    gate->is_running = true;
    uint64_t number = ++gate->started;
    const bool must_cut = gate->must_cut;
    gate->must_cut = false;
    env->mutex_unlock(env, gate->mutex);
    enum faster_status status = make_cut(session, must_cut);
    env->mutex_lock(env, gate->mutex);
    gate->is_running = false;
    gate->done = number;
    gate->status = status;
    gate->point = store->committed;
    if (status == FASTER_OK) {
        fst_names_synced(store); /* as of the point, for whoever has the mutex */
    }
    env->condition_broadcast(env, gate->ended);
}

enum faster_status fst_cut_for_checkpoint(struct faster_session *session, bool must_cut,
                                          struct fst_commit_point *point,
                                          struct fst_told_names *names) {
    struct faster_store *store = session->store;
    const struct faster_env *env = store->env;
    struct fst_cut_gate *gate = &store->cut;
    env->mutex_lock(env, gate->mutex);
    const uint64_t wanted = gate->started + 1;
    gate->must_cut = gate->must_cut || must_cut;
    while (gate->done < wanted) {
        if (gate->is_running) {
            (void)env->condition_wait(env, gate->ended, gate->mutex, UINT64_MAX);
        } else {
            lead(session);
        }
    }
    /* A later cut than the wanted one covers no less. */
    enum faster_status status = gate->status;
    *point = gate->point;
    if (status == FASTER_OK && names != NULL) {
        status = fst_names_copy(store, names);
    }
    env->mutex_unlock(env, gate->mutex);
    return status;
}

enum faster_status fst_cut(struct faster_session *session) {
    struct fst_commit_point point;
    return fst_cut_for_checkpoint(session, false, &point, NULL);
}

/* Nobody raises the version meanwhile, so whoever is inside works in the present one: the last cut
 * has waited for those before. Whoever has taken a place below the tail is inside, or has left. */
enum faster_status fst_cut_look(struct faster_session *session, struct fst_cut_look *look) {
    struct faster_store *store = session->store;
    const struct faster_env *env = store->env;
    struct fst_cut_gate *gate = &store->cut;
    enum faster_status status = FASTER_OK;
    env->mutex_lock(env, gate->mutex);
    while (gate->is_running) {
        (void)env->condition_wait(env, gate->ended, gate->mutex, UINT64_MAX);
    }
    gate->is_running = true;
    env->mutex_unlock(env, gate->mutex);
    if (store->uncut_version != 0) {
        status = append_control(session);
    }
    *look = (struct fst_cut_look){.version = fst_load_relaxed_u64(&store->version),
                                  .last = store->last_cut,
                                  .tail = fst_log_tail(store->log).raw};
    env->mutex_lock(env, gate->mutex);
    gate->is_running = false;
    env->condition_broadcast(env, gate->ended);
    env->mutex_unlock(env, gate->mutex);
    fst_epoch_await(store->epoch);
    return status;
}
