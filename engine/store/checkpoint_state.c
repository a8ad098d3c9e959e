/* checkpoint_state.c - what a store knows of its checkpoints (layer 4). */
#include "store/checkpoint_state.h"

#include "base/bytes.h"
#include "store/checkpoint_files.h"
#include "store/store.h"

/* ---- open ---- */

/* Whoever cannot be read for want of memory or descriptors may be read later; all else is as good
 * as damage, since an older one, or none, serves as well. */
static bool is_passing(enum faster_status status) {
    return status == FASTER_NOMEM || status == FASTER_FULL;
}

/* Of the entry's index: where the log is to be read from. */
static enum faster_status read_index_header(struct faster_store *store,
                                            struct fst_checkpoint_entry *entry) {
    const struct faster_env *env = store->env;
    unsigned char bytes[FST_INDEX_FILE_HEADER_BYTES];
    const uint64_t number = entry->root.index_number;
    struct fst_index_file header;
    struct fst_file *file;
    size_t count;
    enum faster_status status =
        fst_checkpoint_file_open(store->files, FST_CHECKPOINT_FILE_INDEX, number, &file);
    if (status != FASTER_OK) {
        return status;
    }
    status = env->file_read(env, file, 0, bytes, sizeof bytes, &count);
    env->file_close(env, file);
    if (status == FASTER_OK) {
        status = fst_index_file_check(bytes, count, fst_store_files_owner(store->files), number,
                                      &header);
    }
    if (status == FASTER_OK && header.nonce == entry->root.index_nonce) {
        entry->replay_from = header.replay_from;
    }
    return status;
}

static enum faster_status read_entry(struct faster_store *store, uint64_t number,
                                     struct fst_checkpoint_entry *entry) {
    struct fst_checkpoint_state *state = &store->checkpoint;
    *entry = (struct fst_checkpoint_entry){0};
    enum faster_status status = fst_checkpoint_root_read(
        store->files, number, &entry->root, state->entry_count == 0 ? &state->sessions : NULL);
    if (status != FASTER_OK) {
        return status;
    }
    if (entry->root.data_number != 0 ||
        (entry->root.session_count != 0 && !fst_store_has_names(store))) {
        return FASTER_VERSION_NEWER;
    }
    entry->bytes = fst_checkpoint_file_bytes(store->files, FST_CHECKPOINT_FILE_ROOT, number);
    if (entry->root.index_number == 0) {
        return FASTER_OK;
    }
    if (entry->root.index_number == number) {
        entry->bytes += fst_checkpoint_file_bytes(store->files, FST_CHECKPOINT_FILE_INDEX, number);
    }
    status = read_index_header(store, entry);
    return is_passing(status) ? status : FASTER_OK;
}

static enum faster_status refuse(enum faster_status status, uint64_t number,
                                 struct faster_error *error) {
    return status == FASTER_VERSION_NEWER
               ? fst_error_set(error, status,
                               "checkpoint %llu was made by a newer version: what it holds cannot "
                               "be read by this one",
                               (unsigned long long)number)
               : fst_error_set(error, status, "checkpoint %llu cannot be read: %s",
                               (unsigned long long)number, faster_status_name(status));
}

static enum faster_status read_entries(struct faster_store *store, struct faster_error *error) {
    struct fst_checkpoint_state *state = &store->checkpoint;
    struct fst_checkpoint_names names;
    enum faster_status status = fst_checkpoint_names_list(store->files, &names);
    if (status != FASTER_OK) {
        return fst_error_set(error, status, "the checkpoints of the store cannot be listed");
    }
    state->last_number = names.highest;
    for (size_t i = 0; i < names.root_count && state->entry_count < state->kept_max; i++) {
        const uint64_t number = names.roots[i];
        status = read_entry(store, number, &state->entries[state->entry_count]);
        if (status == FASTER_OK) {
            state->entry_count++;
        } else if (is_passing(status) || status == FASTER_VERSION_NEWER) {
            return refuse(status, number, error);
        } else {
            fst_diagnose(&store->diagnostics, FASTER_DIAGNOSTIC_WARNING, "checkpoint",
                         "checkpoint %llu is damaged (%s): an older one, or all of the log, is "
                         "used",
                         (unsigned long long)number, faster_status_name(status));
        }
    }
    return FASTER_OK;
}

enum faster_status fst_checkpoints_open(struct faster_store *store, uint32_t kept_max,
                                        struct faster_error *error) {
    const struct faster_env *env = store->env;
    struct fst_checkpoint_state *state = &store->checkpoint;
    state->kept_max = kept_max != 0 ? kept_max : FST_CHECKPOINTS_KEPT_DEFAULT;
    state->has_files =
        !store->in_memory && store->identity.format_version >= FST_FORMAT_VERSION_CHECKPOINTS;
    enum faster_status status = env->mutex_create(env, &state->mutex);
    if (status == FASTER_OK) {
        status = env->condition_create(env, &state->ended);
    }
    if (status != FASTER_OK || !state->has_files) {
        return status;
    }
    state->entries = env->allocate(env, (state->kept_max + 1) * sizeof *state->entries);
    return state->entries != NULL ? read_entries(store, error) : FASTER_NOMEM;
}

void fst_checkpoints_close(struct faster_store *store) {
    const struct faster_env *env = store->env;
    struct fst_checkpoint_state *state = &store->checkpoint;
    if (state->ended != NULL) {
        env->condition_destroy(env, state->ended);
    }
    if (state->mutex != NULL) {
        env->mutex_destroy(env, state->mutex);
    }
    env->release(env, state->entries);
    env->release(env, state->sessions);
}

/* ---- the role ---- */

bool fst_checkpoints_enter(struct faster_store *store, faster_interrupt_fn *interrupt,
                           void *interrupt_context) {
    const struct faster_env *env = store->env;
    struct fst_checkpoint_state *state = &store->checkpoint;
    env->mutex_lock(env, state->mutex);
    while (state->is_running && (interrupt == NULL || !interrupt(interrupt_context))) {
        (void)env->condition_wait(env, state->ended, state->mutex, FST_POLL_NS);
    }
    const bool is_mine = !state->is_running;
    state->is_running = true;
    env->mutex_unlock(env, state->mutex);
    return is_mine;
}

void fst_checkpoints_leave(struct faster_store *store) {
    const struct faster_env *env = store->env;
    struct fst_checkpoint_state *state = &store->checkpoint;
    env->mutex_lock(env, state->mutex);
    state->is_running = false;
    env->condition_broadcast(env, state->ended);
    env->mutex_unlock(env, state->mutex);
}

/* ---- the list ---- */

/* Of what its index does not cover, nothing below begin is needed: it would be read in vain. */
static bool is_overtaken(const struct fst_checkpoint_entry *entry, uint64_t begin) {
    return entry->root.index_number != 0 && entry->replay_from < begin;
}

void fst_checkpoints_add(struct faster_store *store, const struct fst_checkpoint_entry *entry,
                         uint64_t begin) {
    const struct faster_env *env = store->env;
    struct fst_checkpoint_state *state = &store->checkpoint;
    env->mutex_lock(env, state->mutex);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < state->entry_count && kept + 1 < state->kept_max; i++) {
        if (!is_overtaken(&state->entries[i], begin)) {
            state->entries[kept++] = state->entries[i];
        }
    }
    memmove(state->entries + 1, state->entries, kept * sizeof *state->entries);
    state->entries[0] = *entry;
    state->entry_count = kept + 1;
    env->mutex_unlock(env, state->mutex);
}

static enum faster_checkpoint_kind kind_of(const struct fst_root *root) {
    switch ((enum fst_root_kind)root->kind) {
    case FST_ROOT_SNAPSHOT:
        return FASTER_CHECKPOINT_SNAPSHOT;
    case FST_ROOT_DELTA:
        return FASTER_CHECKPOINT_INCREMENTAL;
    case FST_ROOT_INDEX_ONLY:
        return FASTER_CHECKPOINT_INDEX_ONLY;
    case FST_ROOT_FOLD_OVER:
        break;
    }
    return FASTER_CHECKPOINT_FOLD_OVER;
}

static struct faster_checkpoint describe(const struct fst_checkpoint_entry *entry) {
    const struct fst_root *root = &entry->root;
    return (struct faster_checkpoint){.number = root->number,
                                      .kind = kind_of(root),
                                      .created_ns = root->created_ns,
                                      .point_number = root->point_number,
                                      .point_end = root->point_end,
                                      .begin = root->begin,
                                      .replay_from = fst_max_u64(entry->replay_from, root->begin),
                                      .index_number = root->index_number,
                                      .base_number =
                                          root->kind == FST_ROOT_DELTA ? root->data_base_number : 0,
                                      .bytes = entry->bytes,
                                      .session_count = root->session_count};
}

size_t fst_checkpoints_list(struct faster_store *store, struct faster_checkpoint *checkpoints,
                            size_t count_max) {
    const struct faster_env *env = store->env;
    struct fst_checkpoint_state *state = &store->checkpoint;
    env->mutex_lock(env, state->mutex);
    const size_t count = state->entry_count;
    for (size_t i = 0; i < count && i < count_max; i++) {
        checkpoints[i] = describe(&state->entries[i]);
    }
    env->mutex_unlock(env, state->mutex);
    return count;
}
