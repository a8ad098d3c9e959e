/* triggers.c - when a store is to take a checkpoint by itself (layer 4). See triggers.h. */
#include "store/triggers.h"

#include "base/bytes.h"
#include "store/session.h"
#include "store/store_open.h"

/* ---- open ---- */

/* Twice the memory: the hot records that a direct store appends once more after a checkpoint are
 * less than that, so no checkpoint is the cause of the next, and a copy of the index is at most a
 * quarter of it. */
static uint64_t bytes_of(const struct faster_options *options, const struct faster_store *store) {
    if (options->checkpoint_bytes != 0) {
        return options->checkpoint_bytes;
    }
    return fst_max_u64(2 * store->budget.memory_bytes, FST_CHECKPOINT_BYTES_DEFAULT_MIN);
}

enum faster_status fst_triggers_open(struct faster_store *store,
                                     const struct faster_options *options,
                                     struct faster_error *error) {
    struct fst_triggers *triggers = &store->triggers;
    const struct faster_env *env = store->env;
    const bool may_be_on =
        store->checkpoint.has_files && !store->read_only && !options->no_background;
    if (options->checkpoint_bytes != 0 && options->checkpoint_bytes < FASTER_CHECKPOINT_BYTES_MIN) {
        return fst_error_set(
            error, FASTER_INVALID, "checkpoint_bytes = %llu: allowed are %u and more",
            (unsigned long long)options->checkpoint_bytes, FASTER_CHECKPOINT_BYTES_MIN);
    }
    triggers->bytes = may_be_on ? bytes_of(options, store) : FST_DUE_NEVER;
    triggers->interval_ns =
        may_be_on ? (uint64_t)options->checkpoint_interval_ms * UINT64_C(1000000) : 0;
    fst_store_relaxed_u64(&triggers->due_at, FST_DUE_NEVER);
    enum faster_status status = env->mutex_create(env, &triggers->mutex);
    return status == FASTER_OK ? env->condition_create(env, &triggers->changed) : status;
}

void fst_triggers_close(struct faster_store *store) {
    const struct faster_env *env = store->env;
    struct fst_triggers *triggers = &store->triggers;
    if (triggers->changed != NULL) {
        env->condition_destroy(env, triggers->changed);
    }
    if (triggers->mutex != NULL) {
        env->mutex_destroy(env, triggers->mutex);
    }
}

/* ---- when ---- */

static uint64_t find_replay_from(const struct faster_store *store) {
    return fst_max_u64(fst_log_begin(store->log).raw, store->checkpoint.index_replay_from);
}

void fst_triggers_postpone(struct faster_store *store) {
    struct fst_triggers *triggers = &store->triggers;
    const uint64_t bytes = fst_min_u64(triggers->bytes, FST_CHECKPOINT_BYTES_DEFAULT_MIN);
    fst_store_relaxed_u64(&triggers->due_at, fst_log_tail(store->log).raw + bytes / 4);
}

void fst_triggers_set_due(struct faster_store *store) {
    struct fst_triggers *triggers = &store->triggers;
    if (triggers->bytes >= FST_ADDR_MAX) {
        fst_store_relaxed_u64(&triggers->due_at, FST_DUE_NEVER);
    } else {
        fst_store_relaxed_u64(&triggers->due_at,
                              fst_load_relaxed_u64(&triggers->replay_from) + triggers->bytes);
    }
}

void fst_triggers_start_writing(struct faster_store *store) {
    struct fst_triggers *triggers = &store->triggers;
    const struct fst_checkpoint_state *state = &store->checkpoint;
    fst_store_relaxed_u64(&triggers->replay_from, find_replay_from(store));
    if (!store->direct && state->entry_count > 0) {
        fst_store_relaxed_u64(&triggers->news_taken, state->entries[0].root.point_number);
    }
    if (fst_triggers_are_on(triggers)) {
        /* Whatever comes first: the clock starts with it, and the log may be long already. */
        fst_store_relaxed_u64(&triggers->due_at, 0);
    }
}

uint64_t fst_triggers_news(struct faster_store *store) {
    struct fst_session_counters sum;
    if (!store->direct) {
        return fst_load_relaxed_u64(&store->committed_number);
    }
    fst_sessions_sum(store, &sum);
    return fst_load_relaxed_u64(&sum.in_place_updates) +
           fst_load_relaxed_u64(&sum.appended_records);
}

bool fst_triggers_log_is_long(struct faster_store *store) {
    const struct fst_triggers *triggers = &store->triggers;
    return triggers->bytes < FST_ADDR_MAX &&
           fst_log_tail(store->log).raw >=
               fst_load_relaxed_u64(&triggers->replay_from) + triggers->bytes;
}

/* ---- what became of it ---- */

void fst_triggers_begun(struct faster_store *store, enum fst_checkpoint_cause cause) {
    const struct faster_env *env = store->env;
    struct fst_triggers *triggers = &store->triggers;
    fst_store_relaxed_u32(&triggers->last_cause,
                          (uint32_t)(cause == FST_CAUSE_NONE ? FST_CAUSE_CALL : cause));
    fst_store_relaxed_u64(&triggers->last_begun_ns, env->wall_clock_ns(env));
}

void fst_triggers_taken(struct faster_store *store, enum fst_checkpoint_cause cause,
                        uint64_t news) {
    struct fst_triggers *triggers = &store->triggers;
    fst_store_relaxed_u64(&triggers->news_taken, news);
    const uint64_t before = fst_load_relaxed_u64(&triggers->replay_from);
    const uint64_t from = find_replay_from(store);
    fst_store_relaxed_u64(&triggers->replay_from, from);
    fst_add_relaxed_u64(&triggers->taken, 1);
    if (cause == FST_CAUSE_BYTES || cause == FST_CAUSE_TIME) {
        fst_add_relaxed_u64(&triggers->taken_alone, 1);
    }
    /* One without an index leaves the log as long as it is, and so would the next. */
    if (from == before && fst_triggers_log_is_long(store)) {
        fst_triggers_postpone(store);
    } else {
        fst_triggers_set_due(store);
    }
}

void fst_triggers_failed(struct faster_store *store, enum faster_status status, const char *what) {
    const struct faster_env *env = store->env;
    struct fst_triggers *triggers = &store->triggers;
    const uint32_t doublings = triggers->failure_run < 6 ? triggers->failure_run : 6;
    triggers->retry_at_ns =
        env->monotonic_ns(env) + fst_min_u64(FST_RETRY_NS_MIN << doublings, FST_RETRY_NS_MAX);
    fst_add_relaxed_u64(&triggers->failures, 1);
    if (triggers->failure_run++ == 0) {
        env->mutex_unlock(env, triggers->mutex);
        fst_diagnose(&store->diagnostics, FASTER_DIAGNOSTIC_WARNING, "checkpoint",
                     "a checkpoint that is due was not taken (%s): %s; it is tried again from time "
                     "to time",
                     faster_status_name(status), what);
        env->mutex_lock(env, triggers->mutex);
    }
}

bool fst_triggers_claim(struct faster_store *store) {
    const struct faster_env *env = store->env;
    struct fst_triggers *triggers = &store->triggers;
    if (fst_load_relaxed_u32(&triggers->is_wanted) == 0) {
        return false;
    }
    env->mutex_lock(env, triggers->mutex);
    const bool is_mine = fst_load_relaxed_u32(&triggers->is_wanted) != 0 &&
                         env->monotonic_ns(env) >= triggers->retry_at_ns;
    if (is_mine) {
        fst_store_relaxed_u32(&triggers->is_wanted, 0);
    }
    env->mutex_unlock(env, triggers->mutex);
    return is_mine;
}
