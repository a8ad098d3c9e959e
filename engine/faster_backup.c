/* faster_backup.c - the public calls: a copy of a store, a store that moves (layer 7). */
#include "faster.h"

#include <string.h>

#include "api.h"
#include "procedures/backup.h"

/* A direct store's first write fixes the tail; of a transactional one the point is settled under
 * the lock. */
static enum faster_status prepare(struct fst_backup *backup) {
    struct faster_session *session = backup->session;
    struct faster_store *store = session->store;
    if (store->direct) {
        return store->read_only ? FASTER_OK : fst_make_writable(session);
    }
    fst_lock_writer(store);
    return fst_locked_result(store, fst_backup_prepare(backup));
}

enum faster_status faster_session_backup(struct faster_session *session,
                                         struct faster_backup_request *request) {
    struct fst_backup backup;
    if (session == NULL) {
        return FASTER_MISUSE;
    }
    fst_clear_message(session);
    if (request == NULL || request->directory == NULL ||
        (session->store->direct && request->durable != NULL)) {
        return FASTER_MISUSE;
    }
    request->shared_bytes = 0;
    request->copied_bytes = 0;
    if (session->store->in_memory) {
        return fst_session_fail(session, FASTER_INVALID,
                                "the store is in memory: it has no files to copy");
    }
    enum faster_status status = fst_backup_begin(&backup, session, request);
    if (status != FASTER_OK) {
        return status;
    }
    status = prepare(&backup);
    if (status == FASTER_OK) {
        status = fst_backup_run(&backup);
    }
    fst_backup_end(&backup);
    return status;
}

enum faster_status faster_store_adopt(const struct faster_options *options,
                                      struct faster_error *error) {
    struct fst_store_files *files;
    fst_error_clear(error);
    if (options == NULL || options->directory == NULL) {
        return FASTER_MISUSE;
    }
    const struct fst_diagnostics diagnostics = {options->diagnostic, options->diagnostic_context};
    struct fst_store_files_open_config config = {.env = options->env != NULL ? options->env
                                                                             : faster_env_posix(),
                                                 .directory = options->directory,
                                                 .lock_wait_ns = options->lock_wait_ns,
                                                 .interrupt = options->interrupt,
                                                 .interrupt_context = options->interrupt_context,
                                                 .diagnostics = &diagnostics};
    memcpy(config.uuid, options->uuid, sizeof config.uuid);
    enum faster_status status = fst_store_files_open(&config, &files, error);
    if (status != FASTER_OK) {
        return status;
    }
    struct fst_manifest next = *fst_store_files_manifest(files);
    fst_manifest_set_place(&next, &options->place);
    status = fst_store_files_write_manifest(files, &next, error);
    fst_store_files_close(files);
    return status;
}
