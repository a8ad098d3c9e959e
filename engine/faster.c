/* faster.c - the public calls: stores, sessions, snapshots (layer 7). */
#include "faster.h"

#include <string.h>

#include "api.h"
#include "procedures/checkpoint.h"
#include "procedures/recovery.h"
#include "procedures/recovery_direct.h"
#include "procedures/salvage.h"
#include "procedures/verify.h"
#include "store/session.h"
#include "store/store_open.h"
#include "store/txn.h"

/* ---- stores ---- */

enum faster_status faster_store_create(const struct faster_options *options,
                                       uint8_t uuid_out[FASTER_UUID_BYTES],
                                       struct faster_error *error) {
    fst_error_clear(error);
    if (options == NULL) {
        return FASTER_MISUSE;
    }
    return fst_store_create(options, uuid_out, error);
}

static enum faster_status recover_direct(struct faster_store *store,
                                         const struct faster_options *options,
                                         struct faster_error *error) {
    struct faster_session *session;
    enum faster_status status = fst_session_open(store, &session);
    if (status != FASTER_OK) {
        return fst_error_set(error, status, "%s", faster_status_name(status));
    }
    status = fst_recover_direct(session, options->interrupt, options->interrupt_context);
    if (status == FASTER_FULL && session->index_full) {
        (void)fst_session_fail_index_full(session);
    }
    if (status != FASTER_OK) {
        (void)fst_error_set(error, status, "%s",
                            session->message[0] != '\0' ? session->message
                                                        : faster_status_name(status));
    }
    fst_session_close(session);
    return status;
}

enum faster_status faster_store_open(const struct faster_options *options,
                                     struct faster_store **store, struct faster_error *error) {
    if (options == NULL || store == NULL) {
        return FASTER_MISUSE;
    }
    *store = NULL;
    enum faster_status status = fst_store_open(options, store, error);
    if (status == FASTER_OK) {
        (*store)->triggers.take = fst_take_due;
    }
    if (status == FASTER_OK && (*store)->direct) {
        status = recover_direct(*store, options, error);
        if (status != FASTER_OK) {
            (void)fst_store_release(*store, false, NULL);
            *store = NULL;
        }
    }
    return status;
}

void faster_store_close(struct faster_store *store) {
    if (store == NULL) {
        return;
    }
    fst_maintenance_stop(store);
    enum faster_status status = fst_checkpoint_close(store);
    if (status != FASTER_OK) {
        fst_diagnose(&store->diagnostics, FASTER_DIAGNOSTIC_ERROR, "close",
                     "the log could not be written: %s; %s", faster_status_name(status),
                     store->direct ? "what was written since the last commit may be lost"
                                   : "the database's commit rows hold what it lacks");
    }
    fst_txn_forget(store);
    (void)fst_store_release(store, false, NULL);
}

enum faster_status faster_store_close_and_remove(struct faster_store *store,
                                                 struct faster_error *error) {
    fst_error_clear(error);
    if (store == NULL) {
        return FASTER_OK;
    }
    fst_maintenance_stop(store);
    fst_txn_forget(store);
    return fst_store_release(store, true, error);
}

enum faster_status faster_store_remove(const struct faster_env *env, const char *directory,
                                       const uint8_t uuid[FASTER_UUID_BYTES],
                                       struct faster_error *error) {
    fst_error_clear(error);
    if (directory == NULL || uuid == NULL) {
        return FASTER_MISUSE;
    }
    return fst_store_files_remove(env != NULL ? env : faster_env_posix(), directory, uuid, error);
}

enum faster_status faster_store_mark(const struct faster_env *env, const char *directory,
                                     bool unsettled) {
    if (directory == NULL) {
        return FASTER_MISUSE;
    }
    return fst_store_files_mark(env != NULL ? env : faster_env_posix(), directory, unsettled);
}

bool faster_store_is_marked(const struct faster_env *env, const char *directory) {
    return directory != NULL &&
           fst_store_files_is_marked(env != NULL ? env : faster_env_posix(), directory);
}

enum faster_status faster_store_list(const struct faster_env *env, const char *parent,
                                     faster_directory_fn *each, void *context) {
    if (parent == NULL || each == NULL) {
        return FASTER_MISUSE;
    }
    return fst_store_files_list(env != NULL ? env : faster_env_posix(), parent, each, context);
}

enum faster_status faster_place_fill(const struct faster_env *env, const char *path,
                                     struct faster_place *place) {
    const struct faster_env *used = env != NULL ? env : faster_env_posix();
    struct fst_file_info info;
    if (path == NULL || place == NULL) {
        return FASTER_MISUSE;
    }
    memset(place, 0, sizeof *place);
    if (strlen(path) >= sizeof place->path) {
        return FASTER_INVALID;
    }
    enum faster_status status = used->path_info_follow(used, path, &info);
    if (status == FASTER_OK) {
        memcpy(place->path, path, strlen(path));
        place->device = info.device;
        place->inode = info.inode;
    }
    return status;
}

enum faster_writes faster_store_writes(const struct faster_store *store) {
    return store->direct ? FASTER_WRITES_DIRECT : FASTER_WRITES_TRANSACTIONAL;
}

void faster_store_uuid(const struct faster_store *store, uint8_t uuid[FASTER_UUID_BYTES]) {
    memcpy(uuid, store->identity.uuid, FASTER_UUID_BYTES);
}

/* ---- sessions ---- */

enum faster_status faster_session_open(struct faster_store *store,
                                       struct faster_session **session) {
    return store == NULL || session == NULL ? FASTER_MISUSE : fst_session_open(store, session);
}

void faster_session_close(struct faster_session *session) {
    if (session == NULL) {
        return;
    }
    faster_session_complete_pending(session, true);
    if (session->txn != NULL) {
        faster_txn_rollback(session->txn);
    }
    fst_session_close(session);
}

const char *faster_session_message(const struct faster_session *session) {
    return session == NULL ? "" : session->message;
}

enum faster_status faster_session_meet_row(struct faster_session *session,
                                           const struct faster_commit_row *newest) {
    if (session == NULL) {
        return FASTER_MISUSE;
    }
    fst_clear_message(session);
    if (session->store->direct) {
        return FASTER_MISUSE;
    }
    if (fst_txn_row_is_known(session->store, newest)) {
        return FASTER_OK;
    }
    fst_lock_writer(session->store);
    return fst_locked_result(session->store, fst_txn_meet_row(session, newest));
}

enum faster_status faster_session_catch_up(struct faster_session *session,
                                           faster_row_source_fn *next, void *context,
                                           faster_interrupt_fn *interrupt,
                                           void *interrupt_context) {
    if (session == NULL || next == NULL) {
        return FASTER_MISUSE;
    }
    fst_clear_message(session);
    if (session->store->direct) {
        return FASTER_MISUSE;
    }
    fst_lock_writer(session->store);
    return fst_locked_result(session->store,
                             fst_catch_up(session, next, context, interrupt, interrupt_context));
}

enum faster_status faster_snapshot_open(struct faster_session *session,
                                        const struct faster_commit_row *row,
                                        struct faster_snapshot *snapshot) {
    return session == NULL || snapshot == NULL ? FASTER_MISUSE
                                               : fst_snapshot_open_row(session, row, snapshot);
}

enum faster_status faster_snapshot_open_newest(struct faster_session *session,
                                               struct faster_snapshot *snapshot) {
    return session == NULL || snapshot == NULL ? FASTER_MISUSE
                                               : fst_snapshot_open_newest(session, snapshot);
}

enum faster_status faster_snapshot_open_txn(struct faster_session *session, struct faster_txn *txn,
                                            struct faster_snapshot *snapshot) {
    if (session == NULL || txn == NULL || snapshot == NULL) {
        return FASTER_MISUSE;
    }
    return fst_snapshot_open_txn(session, txn, snapshot);
}

void faster_snapshot_close(struct faster_snapshot *snapshot) {
    if (snapshot != NULL) {
        fst_snapshot_close(snapshot);
    }
}

enum faster_status faster_session_grow(struct faster_session *session) {
    if (session == NULL) {
        return FASTER_MISUSE;
    }
    struct faster_store *store = session->store;
    fst_clear_message(session);
    enum faster_status status = fst_hash_index_grow(store->index, session->slot);
    if (status == FASTER_FULL) {
        return fst_session_fail(session, status,
                                "the index has the largest size that memory = %llu bytes allow",
                                (unsigned long long)store->budget.memory_bytes);
    }
    return status;
}

enum faster_status faster_session_verify_all(struct faster_session *session,
                                             faster_row_source_fn *next, void *rows_context,
                                             faster_finding_fn *each, void *context,
                                             faster_interrupt_fn *interrupt,
                                             void *interrupt_context, uint64_t *finding_count) {
    const struct fst_row_source rows = {next, rows_context};
    if (session == NULL || finding_count == NULL) {
        return FASTER_MISUSE;
    }
    fst_clear_message(session);
    return fst_verify(session, &rows, each, context, interrupt, interrupt_context, finding_count);
}

enum faster_status faster_session_verify(struct faster_session *session, faster_finding_fn *each,
                                         void *context, faster_interrupt_fn *interrupt,
                                         void *interrupt_context, uint64_t *finding_count) {
    return faster_session_verify_all(session, NULL, NULL, each, context, interrupt,
                                     interrupt_context, finding_count);
}

enum faster_status faster_store_salvage(const struct faster_env *env, const char *directory,
                                        faster_salvage_fn *each, void *context,
                                        faster_interrupt_fn *interrupt, void *interrupt_context,
                                        struct faster_salvage_report *report,
                                        struct faster_error *error) {
    const struct fst_salvage_request request = {.env = env == NULL ? faster_env_posix() : env,
                                                .directory = directory,
                                                .each = each,
                                                .context = context,
                                                .interrupt = interrupt,
                                                .interrupt_context = interrupt_context};
    fst_error_clear(error);
    if (directory == NULL || each == NULL || report == NULL) {
        return FASTER_MISUSE;
    }
    return fst_salvage(&request, report, error);
}
