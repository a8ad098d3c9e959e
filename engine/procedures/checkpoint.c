/* checkpoint.c - taking a checkpoint (layer 5).
 *
 *     phase     -> next       when
 *     REST      -> PREPARE    fst_checkpoint_begin: the role is taken
 *     PREPARE   -> INDEX      a copy of the index is wanted
 *     PREPARE   -> CUT        none is
 *     INDEX     -> CUT        index.<n> is synced, and its name
 *     CUT       -> WRITE      the point is fixed: a commit, or a cut that has been made
 *     WRITE     -> RECORD     the log is synced past the point, its dead beginning measured
 *     RECORD    -> TRIM       checkpoint.<n> is durable, and then a manifest
 *     TRIM      -> REST       old roots, files that nobody names, and dead segments are gone
 *     all others -> REST      a failure, or nothing to do
 *
 * WHY A CRASH BETWEEN ANY TWO STEPS DOES NO HARM. The log is complete without roots and indexes:
 * they only shorten recovery. A root is made when all that it names is durable, so it is valid
 * whenever it is there; whether a rename whose sync failed has come about does not matter. The
 * manifest that moves begin follows, then old roots go, then files that no root names, then
 * segments. So nothing goes that something durable needs. A failed sync of an index concerns
 * nothing that was acknowledged: the file is removed, never synced again. (Of the log it is final,
 * as ever.)
 *
 * A TRANSACTIONAL STORE'S POINT is a commit C whose row is safe in the decider: the caller says so.
 * The index is led back to C (index_gather.c), so that recovery goes on from C as if it had read
 * all before. Nothing below C.end ever changes: writing goes on meanwhile, and the log itself holds
 * what a snapshot would.
 *
 * A DIRECT STORE'S POINT is a cut. Its index copy comes first, between two cuts (fst_cut_look()):
 * with P the last cut, w the version that it began and R the tail, what was appended below R is
 * published before the reading begins, and all at or above R is of w or later. So the copy and the
 * log from R on, read as if after P in version w, hold everything. But the copy also leads to
 * records of w that lie below P's control record, or above R, and these count only with the cut of
 * w. They may not even have reached the disk when a crash comes; then the next life uses their
 * addresses again. So a cut always follows a copy, also if nothing is new, and is the checkpoint's
 * point: everything copied was appended before it, lies below its control record, and is synced
 * with it. A copy without such a root is no checkpoint's (roots.c), and goes with the next trim.
 */
#include "procedures/checkpoint.h"

#include <assert.h>

#include "base/bytes.h"
#include "procedures/checkpoint_record.h"
#include "procedures/commit_point.h"
#include "procedures/cut.h"
#include "procedures/first_live.h"
#include "shapes/format_codec.h"
#include "store/checkpoint_files.h"
#include "store/log_cursor.h"
#include "store/session.h"
#include "store/start_writing.h"
#include "store/txn.h"

/* ---- phases ---- */

static void assert_checkpoint_phase(enum fst_checkpoint_phase from, enum fst_checkpoint_phase to) {
    static const bool allowed[FST_CHECKPOINT_PHASE_COUNT][FST_CHECKPOINT_PHASE_COUNT] = {
        [FST_CHECKPOINT_REST] = {[FST_CHECKPOINT_PREPARE] = true},
        [FST_CHECKPOINT_PREPARE] = {[FST_CHECKPOINT_INDEX] = true,
                                    [FST_CHECKPOINT_CUT] = true,
                                    [FST_CHECKPOINT_REST] = true},
        [FST_CHECKPOINT_INDEX] = {[FST_CHECKPOINT_CUT] = true, [FST_CHECKPOINT_REST] = true},
        [FST_CHECKPOINT_CUT] = {[FST_CHECKPOINT_WRITE] = true, [FST_CHECKPOINT_REST] = true},
        [FST_CHECKPOINT_WRITE] = {[FST_CHECKPOINT_RECORD] = true, [FST_CHECKPOINT_REST] = true},
        [FST_CHECKPOINT_RECORD] = {[FST_CHECKPOINT_TRIM] = true, [FST_CHECKPOINT_REST] = true},
        [FST_CHECKPOINT_TRIM] = {[FST_CHECKPOINT_REST] = true},
    };
    assert(allowed[from][to]);
    (void)allowed;
    (void)from;
    (void)to;
}

/* The only store to the word, by who has the role; statistics read it relaxed. */
static void change_phase(struct faster_store *store, enum fst_checkpoint_phase to) {
    assert_checkpoint_phase(
        (enum fst_checkpoint_phase)fst_load_relaxed_u32(&store->checkpoint.phase), to);
    fst_store_relaxed_u32(&store->checkpoint.phase, to);
}

enum faster_status fst_checkpoint_begin(struct fst_checkpoint *checkpoint,
                                        struct faster_session *session,
                                        const struct faster_checkpoint_request *request) {
    *checkpoint = (struct fst_checkpoint){.session = session, .request = *request};
    if (!fst_checkpoints_enter(session->store, request->interrupt, request->interrupt_context)) {
        return FASTER_INTERRUPTED;
    }
    change_phase(session->store, FST_CHECKPOINT_PREPARE);
    return FASTER_OK;
}

void fst_checkpoint_end(struct fst_checkpoint *checkpoint) {
    struct faster_store *store = checkpoint->session->store;
    fst_told_names_release(store->env, &checkpoint->names);
    change_phase(store, FST_CHECKPOINT_REST);
    fst_checkpoints_leave(store);
}

/* ---- the commit of a transactional store ---- */

static bool is_point(const struct faster_commit_row *row, const struct fst_commit_point *point) {
    return row->nonce == point->nonce && row->end == point->end;
}

static enum faster_status refuse_row(struct fst_checkpoint *checkpoint) {
    return fst_session_fail(checkpoint->session, FASTER_COPY,
                            "commit %llu of the database is not the store's: the database is a "
                            "copy or an old backup",
                            (unsigned long long)checkpoint->request.durable->number);
}

enum faster_status fst_checkpoint_prepare(struct fst_checkpoint *checkpoint) {
    struct faster_store *store = checkpoint->session->store;
    const struct faster_commit_row *durable = checkpoint->request.durable;
    checkpoint->point = store->committed;
    if (store->read_only) {
        return FASTER_READ_ONLY;
    }
    if (fst_log_health(store->log) == FASTER_FAILED) {
        return FASTER_FAILED;
    }
    if (durable->number > store->committed.number) {
        return FASTER_BEHIND;
    }
    if (durable->number < store->committed.number) {
        checkpoint->point_is_older = true;
        checkpoint->is_overtaken =
            !checkpoint->may_fix_tail && durable->number < store->manifest.durable_number;
        checkpoint->point =
            (struct fst_commit_point){durable->number, durable->nonce, durable->start, durable->end,
                                      durable->control_address};
    } else if (!is_point(durable, &store->committed)) {
        return refuse_row(checkpoint);
    }
    if (!checkpoint->may_fix_tail && !store->writing_started) {
        return FASTER_BEHIND;
    }
    if (checkpoint->may_fix_tail && checkpoint->point_is_older) {
        return fst_txn_check_newest(checkpoint->session, durable);
    }
    return store->writing_started ? FASTER_OK : fst_start_writing(checkpoint->session);
}

/* A row that is not the newest one must have its control record in the log. */
static enum faster_status check_older_point(struct fst_checkpoint *checkpoint) {
    const enum faster_status status =
        fst_commit_point_check(checkpoint->session, &checkpoint->point);
    return status == FASTER_COPY ? refuse_row(checkpoint) : status;
}

/* ---- the index ---- */

/* Copying it is worth while once reading the log would cost more than reading an index. */
static bool wants_index(const struct fst_checkpoint *checkpoint) {
    const struct faster_store *store = checkpoint->session->store;
    const struct fst_checkpoint_state *state = &store->checkpoint;
    if (!state->has_files) {
        return false;
    }
    if (checkpoint->request.kind == FASTER_CHECKPOINT_INDEX_ONLY ||
        checkpoint->request.index == FASTER_INDEX_COPY) {
        return true;
    }
    const uint64_t end = store->direct ? fst_log_tail(store->log).raw : checkpoint->point.end;
    const uint64_t from = fst_max_u64(fst_log_begin(store->log).raw, state->index_replay_from);
    return checkpoint->request.index == FASTER_INDEX_AUTO && end > from &&
           end - from > store->budget.index_bytes;
}

static void set_index_point(struct fst_index_file *header, const struct fst_commit_point *point) {
    if (point->number != 0) {
        header->point_number = point->number;
        header->point_nonce = point->nonce;
        header->point_start = point->start;
        header->point_end = point->end;
        header->point_control_address = point->control_address;
    }
}

/* What the copy begins with. */
static enum faster_status aim_index(struct fst_checkpoint *checkpoint) {
    struct fst_index_write *index = &checkpoint->index;
    struct fst_cut_look look;
    if (!checkpoint->session->store->direct) {
        index->leads_back = true;
        index->header.replay_from = checkpoint->point.end;
        set_index_point(&index->header, &checkpoint->point);
        return FASTER_OK;
    }
    enum faster_status status = fst_cut_look(checkpoint->session, &look);
    if (status == FASTER_OK) {
        index->header.version = look.version;
        index->header.replay_from = look.tail;
        set_index_point(&index->header, &look.last);
    }
    return status;
}

/* A checkpoint without the index is better than none, if it was not asked for by name: at close
 * it is what makes the last writes of a direct store durable. */
static bool may_do_without(const struct fst_checkpoint *checkpoint, enum faster_status status) {
    if (status == FASTER_OK || status == FASTER_INTERRUPTED ||
        checkpoint->request.kind == FASTER_CHECKPOINT_INDEX_ONLY) {
        return false;
    }
    return status == FASTER_BUSY || checkpoint->request.index == FASTER_INDEX_AUTO;
}

static enum faster_status copy_index(struct fst_checkpoint *checkpoint) {
    struct faster_store *store = checkpoint->session->store;
    struct fst_index_write *index = &checkpoint->index;
    change_phase(store, FST_CHECKPOINT_INDEX);
    *index = (struct fst_index_write){.session = checkpoint->session,
                                      .interrupt = checkpoint->request.interrupt,
                                      .interrupt_context = checkpoint->request.interrupt_context};
    fst_log_cursor_release_spares(store); /* the memory is the copy's for a while */
    enum faster_status status = aim_index(checkpoint);
    if (status == FASTER_OK) {
        checkpoint->number = ++store->checkpoint.last_number;
        index->header.number = checkpoint->number;
        status = fst_index_write(index);
    }
    if (status == FASTER_OK) {
        checkpoint->has_index = true;
        status = fst_checkpoint_names_sync(store->files);
    }
    if (status != FASTER_OK && checkpoint->has_index) {
        checkpoint->has_index = false;
        fst_checkpoint_file_remove(store->files, FST_CHECKPOINT_FILE_INDEX, checkpoint->number);
    }
    if (may_do_without(checkpoint, status)) {
        const bool is_busy = status == FASTER_BUSY;
        fst_diagnose(&store->diagnostics,
                     is_busy ? FASTER_DIAGNOSTIC_INFO : FASTER_DIAGNOSTIC_WARNING, "checkpoint",
                     "the index was not copied (%s%s)", faster_status_name(status),
                     is_busy ? ": too much has been written since the commit" : "");
        status = FASTER_OK;
    }
    return status;
}

/* ---- the point, and the log up to it ---- */

static enum faster_status fix_point(struct fst_checkpoint *checkpoint) {
    struct faster_store *store = checkpoint->session->store;
    change_phase(store, FST_CHECKPOINT_CUT);
    return store->direct ? fst_cut_for_checkpoint(checkpoint->session, checkpoint->has_index,
                                                  &checkpoint->point, &checkpoint->names)
                         : FASTER_OK;
}

/* A reader with a snapshot below `stable` must begin again. So a checkpoint that nobody has asked
 * for looks first whether there is anything to give back. */
static enum faster_status find_begin(struct fst_checkpoint *checkpoint) {
    struct faster_store *store = checkpoint->session->store;
    const struct faster_checkpoint_request *request = &checkpoint->request;
    const uint32_t segment_bits = store->budget.segment_bits;
    fst_addr begin;
    if (checkpoint->cause == FST_CAUSE_BYTES || checkpoint->cause == FST_CAUSE_TIME) {
        enum faster_status status = fst_find_first_live(
            store, checkpoint->point.end, request->interrupt, request->interrupt_context, &begin);
        if (status != FASTER_OK || begin.raw >> segment_bits == checkpoint->begin >> segment_bits) {
            return status;
        }
    }
    const uint64_t stable = fst_pins_raise_stable(&store->pins, checkpoint->point.end);
    enum faster_status status =
        fst_find_first_live(store, stable, request->interrupt, request->interrupt_context, &begin);
    if (status == FASTER_OK) {
        checkpoint->begin = begin.raw;
    }
    return status;
}

/* A direct store's cut has synced the log, and it never gives anything back. */
static enum faster_status write_log(struct fst_checkpoint *checkpoint) {
    struct faster_store *store = checkpoint->session->store;
    change_phase(store, FST_CHECKPOINT_WRITE);
    if (store->direct) {
        return FASTER_OK;
    }
    enum faster_status status = fst_log_sync(store->log, fst_addr_of(checkpoint->point.end));
    if (status != FASTER_OK || checkpoint->request.kind == FASTER_CHECKPOINT_INDEX_ONLY) {
        return status;
    }
    return find_begin(checkpoint);
}

/* ---- the whole ---- */

static void describe(const struct fst_checkpoint *checkpoint, struct faster_checkpoint *made) {
    struct faster_store *store = checkpoint->session->store;
    if (made != NULL && fst_checkpoints_list(store, made, 1) == 0) {
        *made = (struct faster_checkpoint){.point_number = checkpoint->point.number,
                                           .point_end = checkpoint->point.end,
                                           .begin = checkpoint->begin,
                                           .replay_from = checkpoint->begin};
    }
}

enum faster_status fst_checkpoint_run(struct fst_checkpoint *checkpoint,
                                      struct faster_checkpoint *made) {
    struct faster_store *store = checkpoint->session->store;
    /* What a cut covers at least. */
    const uint64_t news = store->direct ? fst_triggers_news(store) : checkpoint->point.number;
    checkpoint->begin = fst_log_begin(store->log).raw;
    if (checkpoint->is_overtaken) {
        describe(checkpoint, made);
        return FASTER_OK;
    }
    fst_triggers_begun(store, checkpoint->cause);
    enum faster_status status =
        checkpoint->point_is_older ? check_older_point(checkpoint) : FASTER_OK;
    if (status == FASTER_OK && wants_index(checkpoint)) {
        status = copy_index(checkpoint);
    }
    if (status == FASTER_OK) {
        status = fix_point(checkpoint);
    }
    if (status == FASTER_OK) {
        status = write_log(checkpoint);
    }
    if (status == FASTER_OK) {
        change_phase(store, FST_CHECKPOINT_RECORD);
        status = fst_checkpoint_record(checkpoint);
    }
    if (status != FASTER_OK) {
        fst_checkpoint_drop_index(checkpoint);
    } else {
        fst_triggers_taken(store, checkpoint->cause, news);
        change_phase(store, FST_CHECKPOINT_TRIM);
        status = fst_checkpoint_trim(checkpoint);
        describe(checkpoint, made);
    }
    return status;
}

void fst_checkpoint_settle(struct fst_checkpoint *checkpoint) {
    struct faster_store *store = checkpoint->session->store;
    fst_aborted_trim(&store->aborted, fst_log_begin(store->log).raw);
    store->obsolete_below = fst_max_u64(store->obsolete_below, checkpoint->point.number);
}

/* ---- close ---- */

/* A direct store decides by itself: what its last cut covers is durable. */
static enum faster_status close_direct(struct faster_store *store) {
    const struct faster_checkpoint_request request = {.kind = FASTER_CHECKPOINT_FOLD_OVER};
    struct fst_checkpoint checkpoint;
    struct faster_session *session;
    enum faster_status status = fst_session_open(store, &session);
    if (status != FASTER_OK) {
        return status;
    }
    status = fst_checkpoint_begin(&checkpoint, session, &request);
    if (status == FASTER_OK) {
        checkpoint.cause = FST_CAUSE_CLOSE;
        status = fst_checkpoint_run(&checkpoint, NULL);
        fst_checkpoint_end(&checkpoint);
    }
    fst_session_close(session);
    return status;
}

enum faster_status fst_checkpoint_close(struct faster_store *store) {
    fst_addr sealed;
    if (!store->writing_started || store->read_only ||
        fst_log_health(store->log) == FASTER_FAILED) {
        return FASTER_OK;
    }
    if (store->direct) {
        return close_direct(store);
    }
    enum faster_status status = fst_log_seal_tail(store->log, &sealed);
    if (status == FASTER_OK) {
        status = fst_log_sync(store->log, sealed);
    }
    return status == FASTER_OK ? fst_checkpoint_write_manifest(store, NULL, store->manifest.begin)
                               : status;
}
