/* recovery.c - making memory know the commits of the decider (layer 5).
 *
 * Everything below the newest row's end is durable in the log or in the redo of a row that
 * is still there. So catch-up reads the log on disk from the last known commit on, record
 * by record, as far as it is intact; where a row carries redo it takes the row's bytes and
 * compares them with the disk. From the first byte on that the disk lacks, redo bytes are
 * appended to the log in memory: they are written when the first transaction begins. A
 * record that is missing in both, below the newest end, is corruption.
 *
 * If a checkpoint has a copy of the index that is intact, the pass begins with its commit: the copy
 * leads to all before, and to nothing behind. That commit was safe in the decider when the
 * checkpoint was taken, so a row with its number, or a later one, must be there.
 *
 * Nothing on disk is changed, and nothing is published before the whole pass has
 * succeeded: a repeated call begins again at the last known commit.
 */
#include "procedures/recovery.h"

#include "base/bytes.h"
#include "procedures/recovery_pass.h"
#include "procedures/roots.h"
#include "store/index_growth.h"
#include "store/txn.h"

struct catch_up {
    struct faster_session *session;
    struct faster_store *store;
    struct fst_recovery_pass pass;
    struct fst_log_cursor cursor;
    fst_addr from;                 /* where it began */
    fst_addr at;                   /* records below have been passed */
    bool in_memory;                /* the disk's valid part has ended: redo only */
    struct fst_commit_point known; /* where it began: the last known commit, or the checkpoint's */
    uint64_t seen_number;          /* of the newest row there is */
    struct fst_commit_point newest;
    faster_interrupt_fn *interrupt;
    void *interrupt_context;
};

static bool interrupted(const struct catch_up *work) {
    return work->interrupt != NULL && work->interrupt(work->interrupt_context);
}

static enum faster_status corrupt(const struct catch_up *work, fst_addr at, const char *what) {
    return fst_session_fail(work->session, FASTER_CORRUPT,
                            "%s at log address %llu; if database and store come from backups, they "
                            "are not of the same moment: bring back both together",
                            what, (unsigned long long)at.raw);
}

static enum faster_status pass_item(struct catch_up *work, const struct fst_log_item *item) {
    enum faster_status status = fst_pass_record(&work->pass, item);
    if (status == FASTER_CORRUPT) {
        return corrupt(work, item->addr, "a record contradicts the log before it");
    }
    return status;
}

/* Passes the records on disk (or already in memory) below `until`, which must be a record's
 * end. */
static enum faster_status pass_until(struct catch_up *work, fst_addr until) {
    struct fst_log_cursor *cursor = &work->cursor;
    struct fst_log_item item;
    cursor->at = work->at;
    cursor->until = until;
    cursor->loaded_from = cursor->loaded_to = fst_addr_of(0);
    enum faster_status status = FASTER_OK;
    while (status == FASTER_OK) {
        if (fst_log_cursor_at_stretch_end(cursor)) {
            fst_progress_reach(work->store, cursor->at.raw - work->from.raw);
            if (interrupted(work)) {
                return FASTER_INTERRUPTED;
            }
        }
        status = fst_log_cursor_next(cursor, &item);
        if (status == FASTER_OK) {
            status = pass_item(work, &item);
        } else if (status == FASTER_CORRUPT) {
            return corrupt(work, cursor->at, "a committed record is missing or damaged");
        }
    }
    work->at = cursor->at;
    if (status == FASTER_END && !fst_addr_equal(work->at, until)) {
        return corrupt(work, until, "a commit row does not end at a record");
    }
    return status == FASTER_END ? FASTER_OK : status;
}

/* ---- redo ---- */

/* What the device holds at a redo record's place. */
enum disk_state { DISK_EQUAL, DISK_LACKS, DISK_DIFFERS, DISK_FAILED };

static enum disk_state compare_with_disk(struct catch_up *work, const struct fst_log_item *item,
                                         enum faster_status *failure) {
    struct faster_store *store = work->store;
    bool pad = fst_header_kind(item->header) == FST_KIND_PAD;
    size_t count = pad ? item->shape.key_offset_bytes : item->shape.whole_bytes;
    size_t done;
    *failure = fst_device_run(store->device, work->cursor.queue, FST_IO_READ, item->addr,
                              work->cursor.buffer, count, &done);
    if (*failure == FASTER_MISSING || (*failure == FASTER_OK && done < count)) {
        return DISK_LACKS;
    }
    if (*failure == FASTER_FOREIGN) {
        *failure = fst_session_fail_foreign(work->session, item->addr.raw);
    }
    if (*failure != FASTER_OK) {
        return DISK_FAILED;
    }
    if (memcmp(work->cursor.buffer, item->bytes, count) == 0) {
        return DISK_EQUAL;
    }
    /* A jump in its place was written when the decider did not have the row: no commit came
     * after it, or the row would not be the newest. */
    struct fst_record_shape shape;
    bool intact =
        fst_record_is_intact(work->cursor.buffer, count, item->addr, store->checksum_seed, &shape);
    return intact && fst_header_kind(fst_raw_header(work->cursor.buffer)) != FST_KIND_JUMP
               ? DISK_DIFFERS
               : DISK_LACKS;
}

/* From here on the disk lacks the log's bytes: memory takes over at this address. */
static void enter_memory(struct catch_up *work, fst_addr at) {
    fst_log_resume(work->store->log, fst_log_begin(work->store->log), at);
    work->in_memory = true;
}

/* That the bytes can be read does not mean that they are safe: if an earlier sync failed, the
 * page cache may hold them as clean. The first transaction writes them again. */
static void note_redo_on_disk(struct faster_store *store, const struct fst_log_item *item) {
    struct fst_address_range *range = &store->redo_on_disk;
    if (range->end == 0) {
        range->start = item->addr.raw;
    }
    range->end = item->addr.raw + item->shape.whole_bytes;
}

static enum faster_status place_redo_record(struct catch_up *work,
                                            const struct fst_log_item *item) {
    if (!work->in_memory) {
        enum faster_status failure;
        switch (compare_with_disk(work, item, &failure)) {
        case DISK_EQUAL:
            note_redo_on_disk(work->store, item);
            return FASTER_OK;
        case DISK_DIFFERS:
            return corrupt(work, item->addr, "the log and a commit row differ");
        case DISK_FAILED:
            return failure;
        case DISK_LACKS:
            if (fst_addr_below(item->addr, fst_log_tail(work->store->log))) {
                return corrupt(work, item->addr, "the log has lost bytes since it was read");
            }
            enter_memory(work, item->addr);
            break;
        }
    }
    /* A call that is repeated finds what it appended before. */
    if (fst_addr_below(item->addr, fst_log_tail(work->store->log))) {
        return FASTER_OK;
    }
    enum faster_status status =
        fst_log_append_redo(work->store->log, item->bytes, item->shape.whole_bytes);
    if (status == FASTER_FULL) {
        return fst_session_fail(work->session, status,
                                "the commits that wait in the database do not fit `memory` = %llu "
                                "bytes: raise it",
                                (unsigned long long)work->store->budget.memory_bytes);
    }
    return status;
}

/* Passes the redo's records but for the first `done` bytes. */
static enum faster_status pass_redo(struct catch_up *work, const struct faster_commit_row *row,
                                    size_t done) {
    const unsigned char *bytes = row->redo;
    uint64_t page_bytes = fst_log_page_bytes(work->store->log);
    enum faster_status status = FASTER_OK;
    while (status == FASTER_OK && done < row->redo_bytes) {
        struct fst_log_item item = {.addr = work->at, .bytes = bytes + done};
        size_t left = row->redo_bytes - done;
        size_t in_page = (size_t)(page_bytes - (work->at.raw & (page_bytes - 1)));
        if (!fst_record_is_intact(item.bytes, left < in_page ? left : in_page, item.addr,
                                  work->store->checksum_seed, &item.shape)) {
            return corrupt(work, work->at, "the redo of a commit row is damaged");
        }
        item.header = fst_raw_header(item.bytes);
        status = place_redo_record(work, &item);
        if (status == FASTER_OK) {
            status = pass_item(work, &item);
        }
        done += item.shape.whole_bytes;
        work->at = fst_addr_plus(work->at, item.shape.whole_bytes);
    }
    return status;
}

/* ---- rows ---- */

static enum faster_status check_row(const struct catch_up *work,
                                    const struct faster_commit_row *row) {
    /* The first rows may end below begin: they were not deleted after a truncation. */
    bool in_order = row->number > work->newest.number &&
                    (work->newest.number == 0 || row->end > work->newest.end);
    bool sane = row->start <= row->control_address && row->control_address < row->end &&
                row->end <= FST_ADDR_MAX && row->redo_bytes <= row->end &&
                (row->redo_bytes == 0 || row->redo != NULL);
    if (!in_order || !sane || row->checksum != fst_row_checksum(work->store, row)) {
        return fst_session_fail(work->session, FASTER_CORRUPT,
                                "commit row %llu is damaged or not of this store",
                                (unsigned long long)row->number);
    }
    return FASTER_OK;
}

static enum faster_status take_row(struct catch_up *work, const struct faster_commit_row *row) {
    enum faster_status status = check_row(work, row);
    if (status != FASTER_OK) {
        return status;
    }
    work->newest = (struct fst_commit_point){row->number, row->nonce, row->start, row->end,
                                             row->control_address};
    if (row->end <= work->at.raw) {
        return FASTER_OK; /* known before */
    }
    fst_addr from = fst_addr_of(row->end - row->redo_bytes);
    if (fst_addr_below(work->at, from)) {
        if (work->in_memory && !fst_addr_below(work->at, fst_log_tail(work->store->log))) {
            return corrupt(work, work->at, "no commit row holds the bytes");
        }
        status = pass_until(work, from);
    }
    if (status != FASTER_OK) {
        return status;
    }
    /* Truncation may have taken the redo's beginning; begin is a page's start, and records do
     * not cross pages. */
    size_t dead = (size_t)(work->at.raw - from.raw);
    if (dead > 0 && !fst_addr_equal(work->at, fst_log_begin(work->store->log))) {
        return corrupt(work, from, "commit rows overlap");
    }
    return pass_redo(work, row, dead);
}

/* The rows up to where catch-up began tell nothing new; but the checkpoint's must be the same. */
static enum faster_status pass_known_row(const struct catch_up *work,
                                         const struct faster_commit_row *row) {
    if (row->number == work->known.number &&
        (row->nonce != work->known.nonce || row->end != work->known.end)) {
        return fst_session_fail(work->session, FASTER_COPY,
                                "commit %llu of the database is not the one of the store's "
                                "checkpoint: the database is a copy or an old backup",
                                (unsigned long long)row->number);
    }
    return FASTER_OK;
}

static enum faster_status take_rows(struct catch_up *work, faster_row_source_fn *next,
                                    void *context) {
    struct faster_commit_row row;
    for (;;) {
        memset(&row, 0, sizeof row);
        enum faster_status status = next(context, &row);
        if (status == FASTER_OK) {
            work->seen_number = row.number;
            fst_store_index_before_rows(work->session);
            status =
                row.number > work->known.number ? take_row(work, &row) : pass_known_row(work, &row);
        }
        if (status != FASTER_OK) {
            return status == FASTER_END ? FASTER_OK : status;
        }
        if (interrupted(work)) {
            return FASTER_INTERRUPTED;
        }
    }
}

/* ---- the whole ---- */

/* A database that lost commits which were safe in it is not this store's partner. */
static enum faster_status check_pair(const struct catch_up *work) {
    const struct fst_manifest *manifest = &work->store->manifest;
    const struct fst_commit_point of_root = fst_roots_newest_point(work->store);
    const bool is_of_root = of_root.number > manifest->durable_number;
    const uint64_t number = is_of_root ? of_root.number : manifest->durable_number;
    const uint64_t nonce = is_of_root ? of_root.nonce : manifest->durable_nonce;
    const uint64_t newest = fst_max_u64(work->seen_number, work->store->committed.number);
    if (newest < number ||
        (work->newest.number == number && number != 0 && work->newest.nonce != nonce)) {
        return fst_session_fail(
            work->session, FASTER_COPY,
            "the database ends with commit %llu, but commit %llu was made durable with this "
            "store: the database is an old backup or a copy; bring back the database and the "
            "store's directory of the same moment",
            (unsigned long long)newest, (unsigned long long)number);
    }
    return FASTER_OK;
}

/* Everything up to a commit that truncation reached has no control record left to find. */
static bool ends_at_begin(const struct catch_up *work) {
    const struct fst_manifest *manifest = &work->store->manifest;
    return work->newest.number != 0 && work->newest.number == manifest->durable_number &&
           work->newest.end == manifest->durable_row_end && !work->pass.has_candidate &&
           work->newest.end == work->at.raw &&
           work->newest.control_address < fst_log_begin(work->store->log).raw;
}

/* Without any row the store reads as empty. That is right for a snapshot from before the first
 * commit, and for one that a crash undid; it is also what is left when somebody deletes the rows.
 */
static void warn_of_missing_rows(const struct catch_up *work) {
    const struct faster_store *store = work->store;
    fst_addr first;
    fst_addr end;
    if (work->newest.number != 0 ||
        store->device->ops->extent(store->device, &first, &end) != FASTER_OK ||
        !fst_addr_below(fst_addr_of(FST_ADDR_FIRST_RAW), end)) {
        return;
    }
    fst_diagnose(
        &store->diagnostics, FASTER_DIAGNOSTIC_WARNING, "recovery",
        "the log of the store for %s has records up to %llu, but the database has no commit "
        "row: the store reads as empty",
        store->manifest.place_path, (unsigned long long)end.raw);
}

static enum faster_status finish(struct catch_up *work) {
    struct faster_store *store = work->store;
    enum faster_status status = check_pair(work);
    if (status != FASTER_OK) {
        return status;
    }
    warn_of_missing_rows(work);
    if (work->newest.number > work->known.number && !ends_at_begin(work)) {
        status = fst_pass_accept(&work->pass, &work->newest);
        if (status != FASTER_OK) {
            return fst_session_fail(work->session, status,
                                    "the newest commit row (%llu) and the log do not belong "
                                    "together",
                                    (unsigned long long)work->newest.number);
        }
    }
    /* A first transaction that could not begin may have found more than was committed then. */
    if (!work->in_memory && fst_addr_below(fst_log_tail(store->log), work->at)) {
        fst_log_resume(store->log, fst_log_begin(store->log), work->at);
    }
    work->newest.end = work->at.raw;
    fst_publish_commit(store, &work->newest);
    return FASTER_OK;
}

/* Another session has caught up meanwhile, and even begun to write: nothing can be newer than
 * what memory knows. */
static enum faster_status confirm_rows(struct faster_session *session, faster_row_source_fn *next,
                                       void *context) {
    struct faster_commit_row row;
    struct faster_commit_row newest = {0};
    enum faster_status status;
    memset(&row, 0, sizeof row);
    while ((status = next(context, &row)) == FASTER_OK) {
        newest = row;
        memset(&row, 0, sizeof row);
    }
    newest.redo = NULL;
    return status == FASTER_END ? fst_txn_meet_row(session, newest.number != 0 ? &newest : NULL)
                                : status;
}

/* The first time, a checkpoint's copy of the index may stand for the log up to its commit. A call
 * that is repeated finds it loaded. */
static enum faster_status begin_with_checkpoint(struct catch_up *work) {
    struct faster_store *store = work->store;
    struct fst_index_read index;
    bool found;
    if (store->base_is_known || store->committed.number != 0) {
        return FASTER_OK;
    }
    enum faster_status status =
        fst_roots_load(work->session, work->interrupt, work->interrupt_context, &index, &found);
    if (status == FASTER_OK && found) {
        const struct fst_index_file *header = &index.header;
        store->base = (struct fst_commit_point){header->point_number, header->point_nonce,
                                                header->point_start, header->point_end,
                                                header->point_control_address};
        fst_log_resume(store->log, fst_log_begin(store->log), fst_addr_of(header->replay_from));
    }
    store->base_is_known = status == FASTER_OK;
    return status;
}

/* What is on disk: the rows may tell of more, or of less. */
static void note_length(const struct catch_up *work) {
    struct fst_device *device = work->store->device;
    fst_addr first;
    fst_addr end;
    const bool is_known =
        device->ops->extent(device, &first, &end) == FASTER_OK && fst_addr_below(work->from, end);
    const uint64_t log_bytes = is_known ? end.raw - work->from.raw : 0;
    fst_recover_expect(work->store, log_bytes);
    fst_progress_begin(work->store, FST_WORK_READ_LOG, log_bytes);
}

static enum faster_status run(struct catch_up *work, faster_row_source_fn *next, void *context) {
    struct faster_store *store = work->store;
    enum faster_status status = begin_with_checkpoint(work);
    if (status != FASTER_OK) {
        return status;
    }
    work->known = store->committed.number < store->base.number ? store->base : store->committed;
    work->newest = work->known;
    work->at =
        fst_addr_of(work->known.number == 0 ? fst_log_begin(store->log).raw : work->known.end);
    work->from = work->at;
    work->in_memory = fst_addr_below(fst_log_head(store->log), fst_log_tail(store->log));
    note_length(work);
    fst_aborted_forget_from(&store->aborted, work->at.raw);
    fst_pass_init(&work->pass, work->session, &work->known);
    status = fst_log_cursor_init(&work->cursor, work->session, work->at, work->at, true);
    if (status == FASTER_OK) {
        status = take_rows(work, next, context);
    }
    if (status == FASTER_OK) {
        status = fst_pass_link(&work->pass);
    }
    return status == FASTER_OK ? finish(work) : status;
}

enum faster_status fst_catch_up(struct faster_session *session, faster_row_source_fn *next,
                                void *context, faster_interrupt_fn *interrupt,
                                void *interrupt_context) {
    struct faster_store *store = session->store;
    if (store->writing_started) {
        return confirm_rows(session, next, context);
    }
    session->index_full = false;
    struct catch_up work = {.session = session,
                            .store = store,
                            .interrupt = interrupt,
                            .interrupt_context = interrupt_context};
    enum faster_status status = run(&work, next, context);
    fst_progress_end(store);
    if (status == FASTER_FULL && session->index_full) {
        status = fst_session_fail(session, FASTER_FULL,
                                  "the index of the store's keys does not fit `memory` = %llu "
                                  "bytes: raise it",
                                  (unsigned long long)store->budget.memory_bytes);
    }
    fst_log_cursor_finish(&work.cursor);
    fst_pass_finish(&work.pass);
    return status;
}
