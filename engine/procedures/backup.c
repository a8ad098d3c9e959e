/* backup.c - a copy of a store that is in use (layer 5).
 *
 * The copy ends with a point: the commit that the decider's copy ends with, or a cut that is made
 * for it. It has the log from begin to the point, the newest checkpoint that lies at or below the
 * point, and a manifest that says no more than that. To whoever opens it, it is what a crash right
 * after the point would have left.
 *
 * WHY IT IS CONSISTENT. No byte of the log below a durable unit ever changes in this life, and the
 * checkpoint role keeps begin, roots and index copies where they are: nothing that is copied is
 * written, or goes, meanwhile. Writers append above. Whoever truncates later than the point's
 * commit was read has raised `stable` past it: then what the decider's copy shows may be gone, and
 * the backup is refused.
 *
 * BEFORE THIS LIFE'S FIRST WRITE a transactional store's log cannot be synced up to a commit: what
 * the files lack the decider's rows hold, the copy's as well. The first write may come while files
 * are copied. It repeats the bytes below the point as they are, and what it writes in the point's
 * last unit lies behind the point: that is what recovery expects of a crash.
 *
 * LINKS. A segment is linked only if this life never writes to it again: it lies wholly below what
 * is durable, or, before the first write, below all that the first write may repeat. Later lives of
 * either store look for themselves (primitives/segment_unshare.c). Roots and index copies are never
 * changed once they have their name.
 */
#include "procedures/backup.h"

#include "base/bytes.h"
#include "primitives/segment_names.h"
#include "procedures/commit_point.h"
#include "procedures/cut.h"
#include "store/checkpoint_files.h"
#include "store/session.h"
#include "store/start_writing.h"
#include "store/store_files_copy.h"

enum faster_status fst_backup_begin(struct fst_backup *backup, struct faster_session *session,
                                    struct faster_backup_request *request) {
    *backup = (struct fst_backup){.session = session, .request = request};
    return fst_checkpoints_enter(session->store, request->interrupt, request->interrupt_context)
               ? FASTER_OK
               : FASTER_INTERRUPTED;
}

void fst_backup_end(struct fst_backup *backup) {
    fst_checkpoints_leave(backup->session->store);
}

/* ---- the point ---- */

static enum faster_status refuse_row(struct fst_backup *backup) {
    return fst_session_fail(backup->session, FASTER_COPY,
                            "commit %llu of the copied database is not the store's: it is no copy "
                            "of this database",
                            (unsigned long long)backup->point.number);
}

/* Who has the checkpoint role keeps what a snapshot's pin would keep. */
static enum faster_status check_not_gone(struct fst_backup *backup) {
    struct faster_snapshot snapshot;
    const uint64_t upper = backup->point.number == 0 ? FST_ADDR_FIRST_RAW : backup->point.end;
    const enum faster_status status = fst_snapshot_open_upper(backup->session, upper, &snapshot);
    if (status == FASTER_OK) {
        fst_snapshot_close(&snapshot);
    }
    return status != FASTER_SNAPSHOT_GONE
               ? status
               : fst_session_fail(backup->session, status,
                                  "a checkpoint has given back what commit %llu needs: copy the "
                                  "database again, and then back up the store",
                                  (unsigned long long)backup->point.number);
}

enum faster_status fst_backup_prepare(struct fst_backup *backup) {
    const struct faster_store *store = backup->session->store;
    const struct faster_commit_row *row = backup->request->durable;
    if (fst_load_relaxed_u64(&store->knows_rows) == 0) {
        return FASTER_BEHIND;
    }
    if (row != NULL && row->number != 0) {
        backup->point = (struct fst_commit_point){row->number, row->nonce, row->start, row->end,
                                                  row->control_address};
    }
    if (backup->point.number > store->committed.number) {
        return FASTER_BEHIND;
    }
    if (backup->point.number == store->committed.number && backup->point.number != 0 &&
        (backup->point.nonce != store->committed.nonce ||
         backup->point.end != store->committed.end)) {
        return refuse_row(backup);
    }
    backup->point_is_older =
        backup->point.number != 0 && backup->point.number < store->committed.number;
    backup->may_sync = store->writing_started;
    backup->final_below = fst_first_written(store, store->committed.end);
    backup->on_disk_below = fst_min_u64(store->committed.end, fst_log_head(store->log).raw);
    return check_not_gone(backup);
}

/* An older commit than the newest one. */
static enum faster_status check_older_point(struct fst_backup *backup) {
    if (!backup->point_is_older) {
        return FASTER_OK;
    }
    const enum faster_status status = fst_commit_point_check(backup->session, &backup->point);
    return status == FASTER_COPY ? refuse_row(backup) : status;
}

/* Makes all up to the point durable, if this life writes. */
static enum faster_status fix_point(struct fst_backup *backup) {
    struct faster_store *store = backup->session->store;
    enum faster_status status = FASTER_OK;
    if (store->direct && !store->read_only) {
        backup->may_sync = true;
        status = fst_cut_for_checkpoint(backup->session, false, &backup->point, NULL);
    } else if (store->direct) {
        backup->point = store->committed;
        backup->final_below = FST_ADDR_MAX; /* nobody writes to it */
        backup->on_disk_below = fst_min_u64(store->committed.end, fst_log_head(store->log).raw);
    } else {
        status = check_older_point(backup);
        if (status == FASTER_OK && backup->may_sync && backup->point.number != 0) {
            status = fst_log_sync(store->log, fst_addr_of(backup->point.end));
        }
    }
    backup->until = fst_max_u64(fst_align_up_u64(backup->point.end, FST_WRITE_UNIT_BYTES),
                                fst_log_begin(store->log).raw);
    if (backup->may_sync) {
        backup->final_below = fst_log_durable(store->log).raw;
    }
    return status;
}

/* ---- files ---- */

static enum faster_status copy_segment(struct fst_backup *backup, struct fst_store_copy *copy,
                                       uint64_t index, struct faster_error *error) {
    const uint32_t bits = backup->session->store->identity.segment_bits;
    const uint64_t start = index << bits;
    const uint64_t end = start + (UINT64_C(1) << bits);
    const uint64_t bytes_max =
        backup->until < end ? FST_SEGMENT_HEADER_BYTES + (backup->until - start) : UINT64_MAX;
    char name[FST_SEGMENT_NAME_BYTES];
    fst_segment_name(index, name);
    return fst_store_copy_file(copy, name, bytes_max, end <= backup->final_below, error);
}

/* A jump may have left out whole segments: those that are there count. */
static enum faster_status copy_log(struct fst_backup *backup, struct fst_store_copy *copy,
                                   struct faster_error *error) {
    const struct faster_store *store = backup->session->store;
    const struct faster_backup_request *request = backup->request;
    const char *directory = fst_store_files_directory(store->files);
    const uint32_t bits = store->identity.segment_bits;
    struct fst_segment_batch batch = {.from = fst_log_begin(store->log).raw >> bits,
                                      .limit = ((backup->until - 1) >> bits) + 1};
    enum faster_status status;
    do {
        status = fst_segment_names_next(store->env, directory, &batch);
        if (status != FASTER_OK) {
            return fst_error_set(error, status, "cannot list %s", directory);
        }
        for (unsigned i = 0; status == FASTER_OK && i < batch.count; i++) {
            status = request->interrupt != NULL && request->interrupt(request->interrupt_context)
                         ? FASTER_INTERRUPTED
                         : copy_segment(backup, copy, batch.index[i], error);
        }
    } while (status == FASTER_OK && batch.count == FST_SEGMENT_BATCH_COUNT);
    return status;
}

/* The newest root that says nothing the copy's decider may lack. */
static const struct fst_root *choose_root(const struct fst_backup *backup) {
    const struct fst_checkpoint_state *state = &backup->session->store->checkpoint;
    for (uint32_t i = 0; i < state->entry_count; i++) {
        const struct fst_root *root = &state->entries[i].root;
        if (root->point_number <= backup->point.number && root->point_end <= backup->point.end) {
            return root;
        }
    }
    return NULL;
}

/* Without it recovery reads all of the log: a file that is not there is no failure. */
static enum faster_status copy_checkpoint(struct fst_backup *backup, struct fst_store_copy *copy,
                                          struct faster_error *error) {
    const struct faster_store *store = backup->session->store;
    const struct fst_root *root = choose_root(backup);
    char name[FST_CHECKPOINT_NAME_BYTES];
    enum faster_status status = FASTER_OK;
    if (root == NULL) {
        return FASTER_OK;
    }
    if (root->index_number != 0) {
        fst_checkpoint_name(FST_CHECKPOINT_FILE_INDEX, root->index_number, name);
        status = fst_store_copy_file(copy, name, UINT64_MAX, true, error);
    }
    if (status == FASTER_OK) {
        fst_checkpoint_name(FST_CHECKPOINT_FILE_ROOT, root->number, name);
        status = fst_store_copy_file(copy, name, UINT64_MAX, true, error);
    }
    if (status == FASTER_MISSING || status == FASTER_FOREIGN) {
        fst_diagnose(&store->diagnostics, FASTER_DIAGNOSTIC_WARNING, "backup",
                     "checkpoint %llu is not in the backup: %s", (unsigned long long)root->number,
                     error->message);
        fst_error_clear(error);
        status = FASTER_OK;
    }
    return status;
}

static struct fst_manifest manifest_of(const struct fst_backup *backup) {
    const struct faster_store *store = backup->session->store;
    const struct fst_commit_point *point = &backup->point;
    const uint64_t begin = fst_log_begin(store->log).raw;
    /* What the log lacked when this life began may be in the rows only. */
    const uint64_t whole_below =
        backup->may_sync ? backup->until : fst_min_u64(backup->until, backup->on_disk_below);
    struct fst_manifest manifest = {.begin = begin,
                                    .durable_end = fst_max_u64(begin, whole_below),
                                    .index_bits_min = fst_hash_index_bits(store->index)};
    if (point->number != 0) {
        manifest.durable_number = point->number;
        manifest.durable_nonce = point->nonce;
        manifest.durable_control_address = point->control_address;
        manifest.durable_row_end = point->end;
    }
    return manifest;
}

static enum faster_status copy_all(struct fst_backup *backup, struct fst_store_copy *copy,
                                   struct faster_error *error) {
    enum faster_status status = copy_log(backup, copy, error);
    if (status == FASTER_OK) {
        status = copy_checkpoint(backup, copy, error);
    }
    if (status == FASTER_OK) {
        const struct fst_manifest manifest = manifest_of(backup);
        status = fst_store_copy_finish(copy, &manifest, error);
    }
    return status;
}

enum faster_status fst_backup_run(struct fst_backup *backup) {
    struct faster_backup_request *request = backup->request;
    const struct fst_store_copy_config config = {.from = backup->session->store->files,
                                                 .directory = request->directory,
                                                 .interrupt = request->interrupt,
                                                 .interrupt_context = request->interrupt_context};
    struct faster_error error = {0};
    struct fst_store_copy *copy;
    enum faster_status status = fst_store_copy_begin(&config, &copy, &error);
    if (status == FASTER_OK) {
        status = fix_point(backup);
        if (status == FASTER_OK) {
            status = copy_all(backup, copy, &error);
        }
        request->shared_bytes = fst_store_copy_shared_bytes(copy);
        request->copied_bytes = fst_store_copy_copied_bytes(copy);
        fst_store_copy_end(copy);
    }
    return status == FASTER_OK || error.message[0] == '\0'
               ? status
               : fst_session_fail(backup->session, status, "%s", error.message);
}
