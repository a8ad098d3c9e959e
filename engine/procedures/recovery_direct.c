/* recovery_direct.c - opening a direct store again (layer 5).
 *
 * A cut counts if every byte up to its control record is intact. Only the last one can be in
 * question: a cut begins when the one before it has been synced, and says so in its record
 * (durable_control_address). So the log is followed twice:
 *
 *   1. From the newest cut that the manifest or a checkpoint's root knows to be durable to the
 * first byte that is not intact: the last control record before it is the recovered end, E.
 *   2. From begin to E: every record is indexed. Or a copy of the index is loaded (roots.c) and the
 *      log read from where it was made. Damage here is corruption.
 *
 * What lies beyond E was never acknowledged, unless the end is a lie: bytes that were synced have
 * been damaged. That is so if the manifest says more was durable, or if a cut lies beyond which
 * names one as durable that was not reached. Then the store is corrupt, and not shorter. (Of the
 * last cut of all nobody else knows: damage there looks like a cut that never became whole.)
 *
 * Versions. After the cut of version v come records of v + 1, and, before that version's control
 * record, some of v + 2 (procedures/cut.h). What stands before the control record of v and is of
 * v + 1 counts if the next control record ends v + 1. If a jump follows, or nothing, it never
 * counted: its ranges go to the aborted list, and writing goes on in version v + 2.
 *
 * Named sessions get back what the newest root has of them, and then what the cuts say that the
 * second pass meets (store/names.c).
 */
#include "procedures/recovery_direct.h"

#include "base/array.h"
#include "base/bytes.h"
#include "procedures/recovery_index.h"
#include "procedures/roots.h"
#include "shapes/format_codec.h"
#include "store/txn.h"

struct pass {
    struct faster_session *session;
    struct faster_store *store;
    struct fst_log_cursor cursor;
    bool index_records;
    struct fst_recovery_group waiting; /* to be linked */
    struct fst_commit_point last;      /* the cut before */
    uint64_t synced_end;               /* below, a later cut vouches for a sync that succeeded */
    uint64_t version;                  /* of the records that come */
    /* Records of the version after the one that was being ended: ranges, ascending. The first
     * `before_count` stand before the last control record and are of `version`; the others are
     * of version + 1 and wait for the next one. */
    struct fst_address_range *early;
    size_t before_count;
    size_t early_count; /* of both */
    size_t early_capacity;
    faster_interrupt_fn *interrupt;
    void *interrupt_context;
};

static enum faster_status corrupt(struct pass *pass, uint64_t at, const char *what) {
    return fst_session_fail(pass->session, FASTER_CORRUPT, "%s at log address %llu", what,
                            (unsigned long long)at);
}

static bool asks_to_stop(const struct pass *pass) {
    return pass->interrupt != NULL && pass->interrupt(pass->interrupt_context);
}

/* ---- records of the next version ---- */

static enum faster_status note_early(struct pass *pass, uint64_t start, uint64_t end) {
    if (pass->early_count > pass->before_count && pass->early[pass->early_count - 1].end == start) {
        pass->early[pass->early_count - 1].end = end;
        return FASTER_OK;
    }
    void *early = pass->early;
    enum faster_status status = fst_array_reserve(pass->store->env, &early, pass->early_count,
                                                  &pass->early_capacity, 1, sizeof *pass->early);
    pass->early = early;
    if (status == FASTER_OK) {
        pass->early[pass->early_count++] = (struct fst_address_range){start, end};
    }
    return status;
}

/* The version they are of has been ended. */
static void confirm_before(struct pass *pass) {
    pass->early_count -= pass->before_count;
    if (pass->early_count > 0) {
        memmove(pass->early, pass->early + pass->before_count,
                pass->early_count * sizeof *pass->early);
    }
    pass->before_count = pass->early_count;
}

/* It never was: they never counted. */
static enum faster_status hide_before(struct pass *pass) {
    enum faster_status status = FASTER_OK;
    for (size_t i = 0; pass->index_records && status == FASTER_OK && i < pass->before_count; i++) {
        status = fst_aborted_add(&pass->store->aborted, pass->early[i].start, pass->early[i].end);
    }
    pass->early_count = 0;
    pass->before_count = 0;
    return status;
}

/* ---- one record ---- */

static enum faster_status take_data(struct pass *pass, const struct fst_log_item *item) {
    uint64_t version = fst_header_version(item->header);
    enum faster_status status = FASTER_OK;
    if (version == ((pass->version + 1) & 0xff)) {
        status = note_early(pass, item->addr.raw, item->addr.raw + item->shape.whole_bytes);
    } else if (version != (pass->version & 0xff)) {
        return FASTER_CORRUPT;
    }
    if (status == FASTER_OK && pass->index_records && (item->header & FST_HEADER_INVALID) == 0) {
        status = fst_recover_record(pass->session, &pass->waiting, item);
    }
    return status;
}

static enum faster_status check_index_bits(struct pass *pass, uint64_t bits) {
    if (bits > fst_hash_index_bits(pass->store->index)) {
        pass->session->index_full = true;
        return FASTER_FULL;
    }
    return FASTER_OK;
}

static enum faster_status take_cut(struct pass *pass, const struct fst_log_item *item) {
    struct fst_cut cut;
    const void *sessions;
    if (!fst_cut_decode(fst_log_item_value(item), item->shape.value_bytes, &cut, &sessions) ||
        (cut.session_count != 0 && !fst_store_has_names(pass->store)) ||
        cut.end != item->addr.raw + item->shape.whole_bytes || cut.version != pass->version ||
        cut.previous_control_address != pass->last.control_address ||
        cut.previous_version != pass->last.number) {
        return FASTER_CORRUPT;
    }
    if (cut.durable_control_address == pass->last.control_address) {
        pass->synced_end = pass->last.end;
        if (pass->index_records) {
            fst_names_synced(pass->store);
        }
    }
    pass->last =
        (struct fst_commit_point){cut.version, cut.nonce, cut.start, cut.end, item->addr.raw};
    pass->version++;
    confirm_before(pass);
    enum faster_status status = check_index_bits(pass, cut.index_bits);
    return status == FASTER_OK && pass->index_records
               ? fst_names_apply(pass->store, sessions, cut.session_count)
               : status;
}

static enum faster_status take_jump(struct pass *pass, const struct fst_log_item *item) {
    struct fst_jump jump;
    if (!fst_jump_decode(fst_log_item_value(item), item->shape.value_bytes,
                         pass->store->budget.page_bits, &jump) ||
        jump.last_control_address != pass->last.control_address ||
        jump.last_number != pass->last.number) {
        return FASTER_CORRUPT;
    }
    pass->version = pass->last.number + 2;
    enum faster_status status = hide_before(pass);
    return status == FASTER_OK ? check_index_bits(pass, jump.index_bits) : status;
}

static enum faster_status take(struct pass *pass, const struct fst_log_item *item) {
    switch (fst_header_kind(item->header)) {
    case FST_KIND_DATA:
        return take_data(pass, item);
    case FST_KIND_CONTROL:
        return take_cut(pass, item);
    case FST_KIND_JUMP:
        return take_jump(pass, item);
    case FST_KIND_PAD:
    case FST_KIND_PAD_WORD:
    case FST_KIND_CHUNK: /* of no version; counts if its head does, and is reached through it */
        return FASTER_OK;
    case FST_KIND_NONE:
    case FST_KIND_ABORT_LIST:
        break;
    }
    return FASTER_CORRUPT;
}

/* Follows the log from `from` to `until`. OK at its end; CORRUPT where it is not intact, then
 * cursor.at says where. */
static enum faster_status follow(struct pass *pass, fst_addr from, fst_addr until) {
    struct fst_log_cursor *cursor = &pass->cursor;
    struct fst_log_item item;
    enum faster_status status = fst_log_cursor_init(cursor, pass->session, from, until, true);
    fst_progress_begin(pass->store, pass->index_records ? FST_WORK_READ_LOG : FST_WORK_FIND_END,
                       until.raw > from.raw ? until.raw - from.raw : 0);
    while (status == FASTER_OK) {
        if (fst_log_cursor_at_stretch_end(cursor)) {
            fst_progress_reach(pass->store, cursor->at.raw - from.raw);
            if (asks_to_stop(pass)) {
                return FASTER_INTERRUPTED;
            }
        }
        status = fst_log_cursor_next(cursor, &item);
        if (status == FASTER_OK) {
            status = take(pass, &item);
            cursor->at = status == FASTER_CORRUPT ? item.addr : cursor->at;
        }
    }
    return status == FASTER_END ? FASTER_OK : status;
}

/* ---- the end ---- */

/* The newest cut that the manifest or a root vouches for; the end of nothing is begin. */
static struct fst_commit_point durable_cut(const struct faster_store *store) {
    const struct fst_manifest *manifest = &store->manifest;
    const struct fst_commit_point of_root = fst_roots_newest_point(store);
    if (of_root.number > manifest->durable_number) {
        return of_root;
    }
    return manifest->durable_number == 0
               ? (struct fst_commit_point){.end = fst_log_begin(store->log).raw}
               : (struct fst_commit_point){manifest->durable_number, manifest->durable_nonce, 0,
                                           manifest->durable_row_end,
                                           manifest->durable_control_address};
}

/* True if the bytes at `addr` are a cut that names one beyond `last` as durable, or that follows
 * `last` and was synced, as the manifest knows. Checksums are seeded by the address: no other bytes
 * pass for one. */
static bool knows_more(const struct pass *pass, const unsigned char *bytes, size_t available,
                       uint64_t addr) {
    struct fst_record_shape shape;
    struct fst_cut cut;
    const void *sessions;
    return available >= FST_RECORD_SMALL_HEADER_BYTES &&
           fst_header_kind(fst_raw_header(bytes)) == FST_KIND_CONTROL &&
           fst_record_is_intact(bytes, available, fst_addr_of(addr), pass->store->checksum_seed,
                                &shape) &&
           fst_cut_decode(bytes + shape.key_offset_bytes, shape.value_bytes, &cut, &sessions) &&
           (cut.durable_control_address > pass->last.control_address ||
            (cut.previous_control_address == pass->last.control_address &&
             cut.previous_version == pass->last.number &&
             cut.end <= pass->store->manifest.durable_end));
}

/* Looks for such a cut at every place of [from, the end of its page): beyond a damaged record
 * nobody knows where the next one begins. */
static enum faster_status search_page(struct pass *pass, uint64_t from, bool *found) {
    const uint64_t page_end = (from | (fst_log_page_bytes(pass->store->log) - 1)) + 1;
    const size_t count = (size_t)(page_end - from);
    unsigned char *buffer = pass->cursor.buffer;
    size_t done;
    enum faster_status status = fst_device_run(pass->store->device, pass->store->queue, FST_IO_READ,
                                               fst_addr_of(from), buffer, count, &done);
    if (status == FASTER_MISSING) {
        return FASTER_OK;
    }
    for (size_t i = 0; status == FASTER_OK && !*found && i < done; i += FST_RECORD_ALIGN) {
        *found = knows_more(pass, buffer + i, done - i, from + i);
    }
    return status;
}

/* The first pass stopped at `stop`. Is what it found the end, or was there more? */
static enum faster_status check_end(struct pass *pass, fst_addr stop, fst_addr existing_end) {
    struct faster_store *store = pass->store;
    const uint64_t page_bytes = fst_log_page_bytes(store->log);
    /* In the last cut's unit, or where it ends, a jump may have been written over what was synced
     * behind the cut, and torn: of what followed nothing was acknowledged, or a cut is found below
     * that says so. */
    const bool may_be_jump = stop.raw <= fst_align_up_u64(pass->last.end, FST_WRITE_UNIT_BYTES);
    if (pass->last.end < durable_cut(store).end ||
        (!may_be_jump && stop.raw < fst_min_u64(store->manifest.durable_end, existing_end.raw))) {
        return corrupt(pass, stop.raw, "synced bytes are missing or damaged");
    }
    enum faster_status status = FASTER_OK;
    bool found = false;
    uint64_t from = stop.raw;
    while (status == FASTER_OK && !found && from < existing_end.raw) {
        status = search_page(pass, from, &found);
        from = fst_block_end_u64(from, page_bytes);
    }
    return found ? corrupt(pass, stop.raw, "a commit was lost: damaged bytes") : status;
}

static void init_pass(struct pass *pass, struct faster_session *session, bool index_records,
                      const struct fst_commit_point *last) {
    *pass = (struct pass){.session = session,
                          .store = session->store,
                          .index_records = index_records,
                          .last = *last,
                          .version = last->number + 1};
}

static void finish_pass(struct pass *pass) {
    fst_log_cursor_finish(&pass->cursor);
    pass->store->env->release(pass->store->env, pass->early);
}

/* First pass: the last cut that is whole. */
static enum faster_status find_end(struct pass *pass, struct fst_commit_point *end) {
    struct faster_store *store = pass->store;
    fst_addr first;
    fst_addr existing_end;
    enum faster_status status = store->device->ops->extent(store->device, &first, &existing_end);
    if (status != FASTER_OK) {
        return fst_session_fail(pass->session, status, "the log's files cannot be read");
    }
    fst_addr from = fst_addr_max(fst_log_begin(store->log), fst_addr_of(pass->last.end));
    status = follow(pass, from, existing_end);
    if (status == FASTER_OK || status == FASTER_CORRUPT) {
        status = check_end(pass, pass->cursor.at, existing_end);
    }
    *end = pass->last;
    return status;
}

/* That the last cut's bytes can be read does not mean that they are safe: if its sync failed, the
 * page cache may hold them as clean. The first write repeats them. */
static void note_unsynced(const struct pass *pass, const struct fst_commit_point *end) {
    struct faster_store *store = pass->store;
    const uint64_t synced = fst_max_u64(pass->synced_end, durable_cut(store).end);
    if (synced < end->end) {
        store->redo_on_disk = (struct fst_address_range){
            fst_max_u64(synced, fst_log_begin(store->log).raw), end->end};
    } else {
        fst_names_synced(store);
    }
}

/* Second pass: all that the cut covers, from `from` on. */
static enum faster_status take_all(struct pass *pass, uint64_t from,
                                   const struct fst_commit_point *end) {
    struct faster_store *store = pass->store;
    fst_recover_expect(store, end->end > from ? end->end - from : 0);
    enum faster_status status = follow(pass, fst_addr_of(from), fst_addr_of(end->end));
    if (status == FASTER_OK) {
        status = fst_recover_waiting(pass->session, &pass->waiting);
    }
    if (status == FASTER_CORRUPT) {
        return corrupt(pass, pass->cursor.at.raw, "a committed record is missing or damaged");
    }
    store->has_void_records = pass->before_count > 0;
    if (status == FASTER_OK) {
        status = hide_before(pass);
    }
    if (status == FASTER_OK) {
        fst_log_resume(store->log, fst_log_begin(store->log), fst_addr_of(end->end));
        note_unsynced(pass, end);
    }
    return status;
}

struct run {
    struct faster_session *session;
    faster_interrupt_fn *interrupt;
    void *interrupt_context;
};

static enum faster_status run_first_pass(const struct run *run, struct fst_commit_point *end) {
    const struct fst_commit_point durable = durable_cut(run->session->store);
    struct pass pass;
    init_pass(&pass, run->session, false, &durable);
    pass.interrupt = run->interrupt;
    pass.interrupt_context = run->interrupt_context;
    enum faster_status status = find_end(&pass, end);
    finish_pass(&pass);
    return status;
}

/* The log is read from the begin on, or from where a copy of the index was made: there as after the
 * cut that came before, in the version of then. */
static enum faster_status run_second_pass(const struct run *run, const struct fst_commit_point *end,
                                          const struct fst_index_file *index) {
    const uint64_t begin = fst_log_begin(run->session->store->log).raw;
    const struct fst_commit_point nothing = {.end = begin};
    struct pass pass;
    init_pass(&pass, run->session, true, &nothing);
    if (index != NULL) {
        pass.last =
            (struct fst_commit_point){index->point_number, index->point_nonce, index->point_start,
                                      index->point_end, index->point_control_address};
        pass.version = index->version;
    }
    pass.interrupt = run->interrupt;
    pass.interrupt_context = run->interrupt_context;
    enum faster_status status = take_all(&pass, index != NULL ? index->replay_from : begin, end);
    finish_pass(&pass);
    return status;
}

enum faster_status fst_recover_direct(struct faster_session *session,
                                      faster_interrupt_fn *interrupt, void *interrupt_context) {
    struct faster_store *store = session->store;
    const struct run run = {session, interrupt, interrupt_context};
    struct fst_commit_point end = {0};
    struct fst_index_read index;
    bool has_index = false;
    enum faster_status status = run_first_pass(&run, &end);
    if (status == FASTER_OK && end.number != 0) {
        status = fst_roots_load(session, interrupt, interrupt_context, &index, &has_index);
        if (status == FASTER_OK) {
            status = fst_roots_load_names(store);
        }
        if (status == FASTER_OK) {
            status = run_second_pass(&run, &end, has_index ? &index.header : NULL);
        }
    }
    fst_progress_end(store);
    if (status == FASTER_OK && store->names.count > FASTER_SESSION_NAMES_MAX) {
        status = fst_session_fail(session, FASTER_CORRUPT, "more than %u sessions have names",
                                  FASTER_SESSION_NAMES_MAX);
    }
    if (status == FASTER_OK) {
        store->last_cut = end;
        fst_publish_commit(store, &end);
    }
    return status;
}
