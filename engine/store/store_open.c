/* store_open.c - making, opening and closing a store (layer 4). */
#include "store/store_open.h"

#include "base/bytes.h"
#include "base/uuid.h"
#include "store/index_growth.h"
#include "store/log_cursor.h"

static const struct faster_env *env_of(const struct faster_options *options) {
    return options->env != NULL ? options->env : faster_env_posix();
}

static enum faster_status draw_identity(const struct faster_options *options,
                                        struct fst_identity *identity, struct faster_error *error) {
    const struct faster_env *env = env_of(options);
    memset(identity, 0, sizeof *identity);
    enum faster_status status =
        fst_budget_bits(options, &identity->page_bits, &identity->segment_bits, error);
    if (status != FASTER_OK) {
        return status;
    }
    memcpy(identity->uuid, options->uuid, sizeof identity->uuid);
    if (fst_uuid_is_zero(identity->uuid)) {
        status = faster_uuid_draw(env, identity->uuid);
    }
    if (status == FASTER_OK) {
        status = env->random(env, &identity->hash_seed, sizeof identity->hash_seed);
    }
    if (status != FASTER_OK) {
        return fst_error_set(error, status, "no random numbers could be had");
    }
    identity->write_discipline =
        options->writes == FASTER_WRITES_DIRECT ? FST_WRITES_DIRECT : FST_WRITES_TRANSACTIONAL;
    identity->format_version = fst_format_version_for(identity->write_discipline);
    identity->generation = 1;
    identity->created_ns = env->wall_clock_ns(env);
    identity->tier_count = 1;
    return FASTER_OK;
}

enum faster_status fst_store_create(const struct faster_options *options,
                                    uint8_t uuid_out[FASTER_UUID_BYTES],
                                    struct faster_error *error) {
    struct fst_identity identity;
    struct fst_budget budget;
    uint64_t memory = fst_memory_bytes_of(options);
    enum faster_status status = draw_identity(options, &identity, error);
    if (status == FASTER_OK) {
        status = fst_budget_for(memory, identity.page_bits, identity.segment_bits, &budget, error);
    }
    if (status == FASTER_OK && options->directory != NULL) {
        struct fst_store_files_create_config config = {.env = env_of(options),
                                                       .directory = options->directory,
                                                       .owner_path = options->owner_path,
                                                       .identity = &identity,
                                                       .place = options->place};
        status = fst_store_files_create(&config, error);
    }
    if (status == FASTER_OK && uuid_out != NULL) {
        memcpy(uuid_out, identity.uuid, sizeof identity.uuid);
    }
    return status;
}

/* ---- open ---- */

static enum faster_status check_place(struct faster_store *store,
                                      const struct faster_options *options,
                                      struct faster_error *error) {
    bool moved = false;
    enum faster_status status =
        fst_store_files_check_place(store->files, &options->place, &moved, error);
    if (status == FASTER_OK && moved) {
        /* Recorded with the next manifest: opening writes nothing. */
        fst_manifest_set_place(&store->manifest, &options->place);
    }
    return status;
}

static enum faster_status open_files(struct faster_store *store,
                                     const struct faster_options *options,
                                     struct faster_error *error) {
    struct fst_store_files_open_config config = {.env = store->env,
                                                 .directory = options->directory,
                                                 .read_only = options->read_only,
                                                 .lock_wait_ns = options->lock_wait_ns,
                                                 .interrupt = options->interrupt,
                                                 .interrupt_context = options->interrupt_context,
                                                 .diagnostics = &store->diagnostics};
    memcpy(config.uuid, options->uuid, sizeof config.uuid);
    enum faster_status status = fst_store_files_open(&config, &store->files, error);
    if (status != FASTER_OK) {
        return status;
    }
    store->identity = *fst_store_files_identity(store->files);
    store->manifest = *fst_store_files_manifest(store->files);
    return check_place(store, options, error);
}

static enum faster_status open_identity(struct faster_store *store,
                                        const struct faster_options *options,
                                        struct faster_error *error) {
    if (options->directory != NULL) {
        return open_files(store, options, error);
    }
    store->in_memory = true;
    store->manifest.begin = FST_ADDR_FIRST_RAW;
    store->manifest.durable_end = FST_ADDR_FIRST_RAW;
    return draw_identity(options, &store->identity, error);
}

static enum faster_status open_device(struct faster_store *store,
                                      const struct faster_options *options) {
    uint32_t segment_bits = store->identity.segment_bits;
    if (store->in_memory) {
        return fst_device_memory_open(store->env, segment_bits, &store->device);
    }
    struct fst_store_owner owner = fst_store_files_mode(store->files);
    struct fst_device_file_config config = {
        .env = store->env,
        .directory = options->directory,
        .generation = store->identity.generation,
        .checksum_seed = store->checksum_seed,
        .segment_bits = segment_bits,
        .thread_count = options->io_threads ? options->io_threads : FST_IO_THREADS_DEFAULT,
        .mode = owner.mode,
        .user = owner.user,
        .group = owner.group,
        .read_only = options->read_only};
    memcpy(config.uuid, store->identity.uuid, sizeof config.uuid);
    const bool polls = options->io_submit_poll || options->io_complete_poll;
    if (options->io == FASTER_IO_THREADS ||
        (options->io == FASTER_IO_DEFAULT && FST_IO_DEFAULT_IS_THREADS && !polls)) {
        return fst_device_file_open(&config, &store->device);
    }
    struct fst_device_uring_config uring = {
        .file = config,
        .direct = options->io_direct,
        .is_wanted = options->io == FASTER_IO_URING || polls,
        .submit_poll = options->io_submit_poll,
        .submit_poll_idle_ms = options->io_submit_poll_idle_ms ? options->io_submit_poll_idle_ms
                                                               : FST_IO_SUBMIT_POLL_IDLE_MS_DEFAULT,
        .complete_poll = options->io_complete_poll,
        .diagnostics = &store->diagnostics};
    return fst_device_uring_open(&uring, &store->device);
}

static enum faster_status open_structures(struct faster_store *store,
                                          const struct faster_options *options,
                                          struct faster_error *error) {
    enum faster_status status = fst_epoch_create(store->env, &store->epoch);
    if (status == FASTER_OK) {
        status = open_device(store, options);
    }
    if (status == FASTER_OK) {
        status = store->device->ops->queue_open(store->device, &store->queue);
    }
    if (status == FASTER_OK) {
        struct fst_hybrid_log_config config = {.env = store->env,
                                               .epoch = store->epoch,
                                               .device = store->device,
                                               .checksum_seed = store->checksum_seed,
                                               .page_bits = store->budget.page_bits,
                                               .frame_count = store->budget.frame_count,
                                               .flush_buffer_count =
                                                   store->budget.flush_buffer_count};
        status = fst_log_create(&config, &store->log);
    }
    if (status == FASTER_OK) {
        fst_addr begin = fst_addr_of(store->manifest.begin);
        fst_log_resume(store->log, begin, begin);
        /* What the last truncation took may be live in any older snapshot. seq_cst: pairs with
         * the load in fst_pins_take(). */
        fst_store_seq_cst_u64(&store->pins.stable,
                              fst_max_u64(begin.raw, store->manifest.durable_row_end));
        fst_aborted_init(&store->aborted, store->env, store->epoch);
        status = fst_store_open_index(store, options, error);
    }
    return status;
}

static enum faster_status open_locks(struct faster_store *store, uint32_t keep_checkpoints,
                                     struct faster_error *error) {
    const struct faster_env *env = store->env;
    enum faster_status status = env->mutex_create(env, &store->lock);
    if (status == FASTER_OK) {
        status = env->mutex_create(env, &store->sessions_lock);
    }
    if (status == FASTER_OK) {
        status = env->mutex_create(env, &store->cut.mutex);
    }
    if (status == FASTER_OK) {
        status = env->condition_create(env, &store->cut.ended);
    }
    if (status == FASTER_OK) {
        status = fst_io_budget_init(&store->io, env, store->budget.io_buffer_bytes);
    }
    return status == FASTER_OK ? fst_checkpoints_open(store, keep_checkpoints, error) : status;
}

static void close_locks(struct faster_store *store) {
    const struct faster_env *env = store->env;
    fst_triggers_close(store);
    fst_checkpoints_close(store);
    fst_io_budget_finish(&store->io);
    fst_names_finish(store);
    fst_key_locks_close(store);
    if (store->cut.ended != NULL) {
        env->condition_destroy(env, store->cut.ended);
    }
    struct fst_mutex *const mutexes[] = {store->cut.mutex, store->sessions_lock, store->lock};
    for (size_t i = 0; i < sizeof mutexes / sizeof mutexes[0]; i++) {
        if (mutexes[i] != NULL) {
            env->mutex_destroy(env, mutexes[i]);
        }
    }
}

static enum faster_status check_io(const struct faster_options *options,
                                   struct faster_error *error) {
    if (options->io_threads > FST_IO_THREADS_MAX) {
        return fst_error_set(error, FASTER_INVALID, "io_threads = %u: allowed are 1 to %u",
                             options->io_threads, FST_IO_THREADS_MAX);
    }
    if (options->io > FASTER_IO_URING) {
        return fst_error_set(error, FASTER_INVALID, "io = %u: allowed are 0 to %u",
                             (unsigned)options->io, (unsigned)FASTER_IO_URING);
    }
    if (options->io == FASTER_IO_THREADS &&
        (options->io_submit_poll || options->io_complete_poll)) {
        return fst_error_set(
            error, FASTER_INVALID,
            "%s with io = FASTER_IO_THREADS: allowed with FASTER_IO_DEFAULT and FASTER_IO_URING",
            options->io_submit_poll ? "io_submit_poll" : "io_complete_poll");
    }
    if (options->io_complete_poll && !options->io_direct) {
        return fst_error_set(error, FASTER_INVALID,
                             "io_complete_poll without io_direct: allowed with io_direct");
    }
    if (options->io_submit_poll_idle_ms > 0 && !options->io_submit_poll) {
        return fst_error_set(
            error, FASTER_INVALID,
            "io_submit_poll_idle_ms without io_submit_poll: allowed with io_submit_poll");
    }
    if (options->io_submit_poll_idle_ms > FST_IO_SUBMIT_POLL_IDLE_MS_MAX) {
        return fst_error_set(error, FASTER_INVALID,
                             "io_submit_poll_idle_ms = %u: allowed are 1 to %u",
                             options->io_submit_poll_idle_ms, FST_IO_SUBMIT_POLL_IDLE_MS_MAX);
    }
    return FASTER_OK;
}

static enum faster_status open_all(struct faster_store *store, const struct faster_options *options,
                                   struct faster_error *error) {
    uint64_t memory = fst_memory_bytes_of(options);
    enum faster_status status = check_io(options, error);
    if (status == FASTER_OK && options->keep_checkpoints > FST_CHECKPOINTS_KEPT_MAX) {
        status = fst_error_set(error, FASTER_INVALID, "keep_checkpoints = %u: allowed are 1 to %u",
                               options->keep_checkpoints, FST_CHECKPOINTS_KEPT_MAX);
    }
    if (status == FASTER_OK) {
        status = open_identity(store, options, error);
    }
    if (status == FASTER_OK) {
        status = fst_budget_for(memory, store->identity.page_bits, store->identity.segment_bits,
                                &store->budget, error);
    }
    if (status != FASTER_OK) {
        return status;
    }
    store->has_chunks = store->identity.format_version >= FST_FORMAT_VERSION_CHUNKS;
    store->direct = store->identity.write_discipline == FST_WRITES_DIRECT;
    store->checksum_seed = fst_checksum_seed_for(store->identity.uuid, store->identity.generation);
    store->inline_commit_bytes = options->inline_commit_bytes ? options->inline_commit_bytes
                                                              : FST_INLINE_COMMIT_BYTES_DEFAULT;
    fst_key_locks_open(store, options);
    /* Redo must fit the ring when it is read again, with room for the page it starts in. */
    store->redo_bytes_max =
        (uint64_t)(store->budget.frame_count - 2) << store->budget.page_bits >> 1;
    status = open_structures(store, options, error);
    if (status == FASTER_OK) {
        status = open_locks(store, options->keep_checkpoints, error);
    }
    return status == FASTER_OK ? fst_triggers_open(store, options, error) : status;
}

enum faster_status fst_store_open(const struct faster_options *options, struct faster_store **out,
                                  struct faster_error *error) {
    const struct faster_env *env = env_of(options);
    struct faster_error unused;
    if (error == NULL) {
        error = &unused;
    }
    fst_error_clear(error);
    struct faster_store *store = env->allocate(env, sizeof *store);
    if (store == NULL) {
        return fst_error_set(error, FASTER_NOMEM, "out of memory");
    }
    memset(store, 0, sizeof *store);
    store->env = env;
    store->read_only = options->read_only;
    store->diagnostics = (struct fst_diagnostics){options->diagnostic, options->diagnostic_context};
    enum faster_status status = open_all(store, options, error);
    if (status != FASTER_OK) {
        if (error->message[0] == '\0') {
            fst_error_set(error, status, "%s", faster_status_name(status));
        }
        (void)fst_store_release(store, false, NULL);
        return status;
    }
    *out = store;
    return FASTER_OK;
}

/* In reverse order of open_all(); every part may be missing. No session is open, so every
 * action that waits for the epoch can run while its targets still exist. */
enum faster_status fst_store_release(struct faster_store *store, bool remove,
                                     struct faster_error *error) {
    const struct faster_env *env = store->env;
    enum faster_status status = FASTER_OK;
    if (store->epoch != NULL) {
        fst_epoch_drain(store->epoch);
    }
    close_locks(store);
    if (store->log != NULL) {
        fst_log_cursor_release_spares(store);
    }
    fst_hash_index_destroy(store->index);
    fst_log_destroy(store->log);
    if (store->queue != NULL) {
        store->device->ops->queue_close(store->device, store->queue);
    }
    if (store->device != NULL) {
        store->device->ops->close(store->device);
    }
    fst_epoch_destroy(store->epoch);
    fst_aborted_finish(&store->aborted);
    if (remove && store->files != NULL) {
        status = fst_store_files_close_and_remove(store->files, error);
    } else {
        fst_store_files_close(store->files);
    }
    env->release(env, store);
    return status;
}
