/* maintenance.c - a store's own thread. See maintenance.h. */
#include "procedures/maintenance.h"

#include "base/bytes.h"
#include "store/session.h"

/* ---- one checkpoint ---- */

static bool must_stop(void *context) {
    const struct faster_store *store = context;
    return fst_load_relaxed_u32(&store->triggers.must_stop) != 0;
}

/* By bytes the index is copied: a checkpoint without it leaves recovery as much to read. By time it
 * is copied if that pays. */
static enum faster_status take(struct faster_store *store, enum fst_checkpoint_cause cause,
                               const struct faster_commit_row *row, char *message) {
    const struct faster_checkpoint_request request = {
        .kind = FASTER_CHECKPOINT_FOLD_OVER,
        .index = cause == FST_CAUSE_BYTES ? FASTER_INDEX_COPY : FASTER_INDEX_AUTO,
        .durable = row,
        .interrupt = must_stop,
        .interrupt_context = store};
    struct faster_session *session;
    enum faster_status status = fst_session_open(store, &session);
    message[0] = '\0';
    if (status != FASTER_OK) {
        return status;
    }
    status = store->triggers.take(session, &request, cause);
    memcpy(message, session->message, FASTER_MESSAGE_BYTES);
    fst_session_close(session);
    return status;
}

/* With the mutex. The next may be due by now: by bytes while this one was taken because of the
 * time, or because so much was written while it was taken. */
static void settle(struct faster_store *store, enum fst_checkpoint_cause cause,
                   uint64_t replayed_from, enum faster_status status, const char *message) {
    struct fst_triggers *triggers = &store->triggers;
    const bool is_over = fst_log_health(store->log) == FASTER_FAILED;
    const bool has_helped = fst_load_relaxed_u64(&triggers->replay_from) > replayed_from;
    if (status == FASTER_INTERRUPTED && must_stop(store)) {
        return;
    }
    if (status == FASTER_OK && has_helped && fst_triggers_log_is_long(store)) {
        triggers->cause = FST_CAUSE_BYTES;
    } else if (status == FASTER_OK && triggers->cause == cause) {
        triggers->cause = FST_CAUSE_NONE;
    }
    if (is_over) {
        triggers->cause = FST_CAUSE_NONE;
    } else if (triggers->cause == FST_CAUSE_NONE && triggers->bytes < FST_ADDR_MAX &&
               fst_load_relaxed_u64(&triggers->due_at) == FST_DUE_NEVER) {
        /* Somebody has told that the log is long, and it still is: another one's checkpoint had
         * come between, and this one had nothing to do. */
        fst_triggers_postpone(store);
    } else if (!store->direct && triggers->cause != FST_CAUSE_NONE) {
        fst_store_relaxed_u32(&triggers->is_wanted, 1);
    }
    if (status == FASTER_OK) {
        triggers->failure_run = 0;
        triggers->retry_at_ns = 0;
    } else {
        fst_triggers_failed(store, status, message);
    }
}

/* With the mutex, which is given back meanwhile. */
static void take_due(struct faster_store *store) {
    const struct faster_env *env = store->env;
    struct fst_triggers *triggers = &store->triggers;
    const enum fst_checkpoint_cause cause = triggers->cause;
    const struct faster_commit_row row = triggers->row;
    const uint64_t replayed_from = fst_load_relaxed_u64(&triggers->replay_from);
    char message[FASTER_MESSAGE_BYTES];
    triggers->has_row = false;
    env->mutex_unlock(env, triggers->mutex);
    const enum faster_status status = take(store, cause, store->direct ? NULL : &row, message);
    env->mutex_lock(env, triggers->mutex);
    settle(store, cause, replayed_from, status, message);
}

/* ---- the thread ---- */

/* With the mutex. Somebody else may have taken one meanwhile. */
static bool is_due(struct faster_store *store) {
    struct fst_triggers *triggers = &store->triggers;
    const bool has_news = fst_triggers_news(store) != fst_load_relaxed_u64(&triggers->news_taken);
    const bool is_due = triggers->cause == FST_CAUSE_BYTES ? fst_triggers_log_is_long(store)
                                                           : triggers->cause == FST_CAUSE_TIME;
    if (!is_due || !has_news) {
        triggers->cause = FST_CAUSE_NONE;
        triggers->has_row = false;
        fst_store_relaxed_u32(&triggers->is_wanted, 0);
        fst_triggers_set_due(store);
        return false;
    }
    return true;
}

/* With the mutex. */
static void tick(struct faster_store *store) {
    struct fst_triggers *triggers = &store->triggers;
    if (triggers->cause != FST_CAUSE_NONE || fst_log_health(store->log) == FASTER_FAILED) {
        return;
    }
    triggers->cause = FST_CAUSE_TIME;
    if (is_due(store) && !store->direct) {
        fst_store_relaxed_u32(&triggers->is_wanted, 1);
    }
}

static void set_tick(struct fst_triggers *triggers, uint64_t now_ns) {
    triggers->tick_at_ns = triggers->interval_ns != 0 ? now_ns + triggers->interval_ns : UINT64_MAX;
}

/* A transactional store's waits for a row as long as it takes. */
static void run(void *context) {
    struct faster_store *store = context;
    const struct faster_env *env = store->env;
    struct fst_triggers *triggers = &store->triggers;
    env->mutex_lock(env, triggers->mutex);
    while (!must_stop(store)) {
        const uint64_t now_ns = env->monotonic_ns(env);
        const bool can_take = store->direct ? triggers->cause != FST_CAUSE_NONE : triggers->has_row;
        if (now_ns >= triggers->tick_at_ns) {
            set_tick(triggers, now_ns);
            tick(store);
        } else if (can_take && now_ns >= triggers->retry_at_ns) {
            if (is_due(store)) {
                take_due(store);
            }
        } else {
            const uint64_t until_ns = can_take
                                          ? fst_min_u64(triggers->tick_at_ns, triggers->retry_at_ns)
                                          : triggers->tick_at_ns;
            (void)env->condition_wait(env, triggers->changed, triggers->mutex,
                                      until_ns == UINT64_MAX ? UINT64_MAX : until_ns - now_ns);
        }
    }
    env->mutex_unlock(env, triggers->mutex);
}

/* With the mutex. */
static enum faster_status start_or_wake(struct faster_store *store) {
    const struct faster_env *env = store->env;
    struct fst_triggers *triggers = &store->triggers;
    if (triggers->thread != NULL) {
        env->condition_signal(env, triggers->changed);
        return FASTER_OK;
    }
    set_tick(triggers, env->monotonic_ns(env));
    return env->thread_start(env, run, store, &triggers->thread);
}

#define NO_THREAD "no thread can be started for it"

/* Without a thread, whoever appends so much more tries to start it. */
void fst_maintenance_reach(struct faster_store *store) {
    const struct faster_env *env = store->env;
    struct fst_triggers *triggers = &store->triggers;
    env->mutex_lock(env, triggers->mutex);
    const bool is_long = fst_triggers_log_is_long(store);
    enum faster_status status = FASTER_OK;
    if (is_long) {
        triggers->cause = FST_CAUSE_BYTES;
        fst_store_relaxed_u32(&triggers->is_wanted, !store->direct && !triggers->has_row);
    } else {
        fst_triggers_set_due(store);
    }
    if ((is_long && store->direct) || triggers->interval_ns != 0) {
        status = start_or_wake(store);
    }
    if (status != FASTER_OK) {
        fst_triggers_postpone(store);
        fst_triggers_failed(store, status, NO_THREAD);
    }
    env->mutex_unlock(env, triggers->mutex);
}

void fst_maintenance_hand_over(struct faster_store *store, const struct faster_commit_row *row) {
    const struct faster_env *env = store->env;
    struct fst_triggers *triggers = &store->triggers;
    enum faster_status status = FASTER_IO;
    env->mutex_lock(env, triggers->mutex);
    if (row != NULL) {
        triggers->row = *row;
        triggers->row.redo = NULL;
        triggers->row.redo_bytes = 0;
        triggers->has_row = true;
        status = start_or_wake(store);
    }
    if (status != FASTER_OK) {
        triggers->has_row = false;
        fst_store_relaxed_u32(&triggers->is_wanted, 1);
        fst_triggers_failed(store, status, row != NULL ? NO_THREAD : "the database was not synced");
    }
    env->mutex_unlock(env, triggers->mutex);
}

void fst_maintenance_stop(struct faster_store *store) {
    const struct faster_env *env = store->env;
    struct fst_triggers *triggers = &store->triggers;
    env->mutex_lock(env, triggers->mutex);
    fst_store_relaxed_u32(&triggers->must_stop, 1);
    env->condition_broadcast(env, triggers->changed);
    env->mutex_unlock(env, triggers->mutex);
    env->thread_join(env, triggers->thread);
    triggers->thread = NULL;
}
