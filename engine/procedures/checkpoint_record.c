/* checkpoint_record.c - roots, manifests, and what goes with a new one (layer 5). */
#include "procedures/checkpoint_record.h"

#include "store/checkpoint_files.h"

/* ---- roots and manifests ---- */

enum faster_status fst_checkpoint_write_manifest(struct faster_store *store,
                                                 const struct fst_commit_point *durable,
                                                 uint64_t begin) {
    struct fst_manifest next = store->manifest;
    next.begin = begin;
    next.durable_end = fst_log_durable(store->log).raw;
    next.index_bits_min = fst_hash_index_bits(store->index);
    if (durable != NULL && durable->number >= next.durable_number && durable->number != 0) {
        next.durable_number = durable->number;
        next.durable_nonce = durable->nonce;
        next.durable_control_address = durable->control_address;
        next.durable_row_end = durable->end;
    }
    if (!store->in_memory) {
        struct faster_error error = {0};
        enum faster_status status = fst_store_files_write_manifest(store->files, &next, &error);
        if (status != FASTER_OK) {
            fst_diagnose(&store->diagnostics, FASTER_DIAGNOSTIC_ERROR, "checkpoint", "%s",
                         error.message);
            return status;
        }
    }
    store->manifest = next;
    return FASTER_OK;
}

static struct fst_root root_of(const struct fst_checkpoint *checkpoint) {
    const struct faster_store *store = checkpoint->session->store;
    const struct fst_checkpoint_state *state = &store->checkpoint;
    const struct fst_commit_point *point = &checkpoint->point;
    struct fst_root root = {.kind = checkpoint->request.kind == FASTER_CHECKPOINT_INDEX_ONLY
                                        ? FST_ROOT_INDEX_ONLY
                                        : FST_ROOT_FOLD_OVER,
                            .created_ns = store->env->wall_clock_ns(store->env),
                            .begin = checkpoint->begin,
                            .log_end = fst_log_durable(store->log).raw,
                            .session_count = checkpoint->names.count};
    if (point->number != 0) {
        root.point_number = point->number;
        root.point_nonce = point->nonce;
        root.point_start = point->start;
        root.point_end = point->end;
        root.point_control_address = point->control_address;
    }
    if (checkpoint->has_index) {
        root.index_number = checkpoint->index.header.number;
        root.index_nonce = checkpoint->index.header.nonce;
    } else if (state->index_replay_from >= checkpoint->begin) {
        root.index_number = state->index_number;
        root.index_nonce = state->index_nonce;
    }
    return root;
}

/* Nothing has happened since the newest one. */
static bool is_repeated(const struct fst_checkpoint_state *state, const struct fst_root *root) {
    const struct fst_root *newest = &state->entries[0].root;
    return state->entry_count > 0 && newest->kind == root->kind && newest->begin == root->begin &&
           newest->point_number == root->point_number && newest->point_nonce == root->point_nonce &&
           newest->index_number == root->index_number;
}

static void note_root(struct fst_checkpoint *checkpoint, const struct fst_root *root) {
    struct faster_store *store = checkpoint->session->store;
    struct fst_checkpoint_state *state = &store->checkpoint;
    struct fst_checkpoint_entry entry = {
        .root = *root,
        .bytes = sizeof *root + root->session_count * sizeof(struct fst_named_serial)};
    if (checkpoint->has_index) {
        state->index_number = root->index_number;
        state->index_nonce = root->index_nonce;
        state->index_replay_from = checkpoint->index.header.replay_from;
        entry.bytes += checkpoint->index.bytes;
    }
    entry.replay_from = root->index_number != 0 ? state->index_replay_from : 0;
    fst_checkpoints_add(store, &entry, checkpoint->begin);
}

void fst_checkpoint_drop_index(struct fst_checkpoint *checkpoint) {
    const struct fst_store_files *files = checkpoint->session->store->files;
    if (checkpoint->has_index && !checkpoint->is_named) {
        fst_checkpoint_file_remove(files, FST_CHECKPOINT_FILE_INDEX, checkpoint->number);
    }
    checkpoint->has_index = false;
}

static enum faster_status write_root(struct fst_checkpoint *checkpoint) {
    struct faster_store *store = checkpoint->session->store;
    struct fst_checkpoint_state *state = &store->checkpoint;
    struct fst_root root = root_of(checkpoint);
    if (!state->has_files || is_repeated(state, &root)) {
        return FASTER_OK;
    }
    if (!checkpoint->has_index) {
        checkpoint->number = ++state->last_number;
    }
    root.number = checkpoint->number;
    checkpoint->is_named = true;
    enum faster_status status =
        fst_checkpoint_root_write(store->files, &root, checkpoint->names.sessions);
    if (status == FASTER_OK) {
        note_root(checkpoint, &root);
    }
    return status;
}

enum faster_status fst_checkpoint_record(struct fst_checkpoint *checkpoint) {
    struct faster_store *store = checkpoint->session->store;
    enum faster_status status = write_root(checkpoint);
    if (status != FASTER_OK) {
        return status;
    }
    return fst_checkpoint_write_manifest(store, &checkpoint->point, checkpoint->begin);
}

/* ---- what goes ---- */

static enum faster_status trim_files(struct faster_store *store) {
    const struct fst_checkpoint_state *state = &store->checkpoint;
    struct fst_checkpoint_kept kept[FST_CHECKPOINTS_KEPT_MAX];
    for (uint32_t i = 0; i < state->entry_count; i++) {
        const struct fst_root *root = &state->entries[i].root;
        kept[i] = (struct fst_checkpoint_kept){root->number, root->index_number, 0, 0};
    }
    return fst_checkpoint_files_trim(store->env, fst_store_files_directory(store->files), kept,
                                     state->entry_count);
}

enum faster_status fst_checkpoint_trim(struct fst_checkpoint *checkpoint) {
    struct faster_store *store = checkpoint->session->store;
    const fst_addr begin = fst_addr_of(checkpoint->begin);
    enum faster_status status = FASTER_OK;
    if (store->checkpoint.has_files) {
        status = trim_files(store); /* also what a former one that failed has left */
    }
    if (status == FASTER_OK && fst_addr_below(fst_log_begin(store->log), begin)) {
        fst_add_relaxed_u64(&store->counters.truncated_bytes,
                            begin.raw - fst_log_begin(store->log).raw);
        status = fst_log_truncate(store->log, begin);
    }
    return status;
}
