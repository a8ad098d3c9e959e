/* scan.c - all live records of a view, in the order of the log (layer 5). */
#include "procedures/scan.h"

#include "store/session.h"

enum faster_status fst_live_scan_init(struct fst_live_scan *scan, struct faster_store *store,
                                      fst_addr from, uint64_t upper) {
    memset(scan, 0, sizeof *scan);
    scan->upper = upper;
    enum faster_status status = fst_session_open(store, &scan->session);
    if (status != FASTER_OK) {
        return status;
    }
    status = fst_log_cursor_init(&scan->cursor, scan->session, from, fst_addr_of(upper), true);
    if (status != FASTER_OK) {
        fst_live_scan_finish(scan);
    }
    return status;
}

void fst_live_scan_ask(struct fst_live_scan *scan, faster_interrupt_fn *interrupt, void *context) {
    scan->interrupt = interrupt;
    scan->interrupt_context = context;
}

void fst_live_scan_finish(struct fst_live_scan *scan) {
    if (scan->session != NULL) {
        fst_finish_reads(scan->session);
        fst_log_cursor_finish(&scan->cursor);
        fst_session_close(scan->session);
        scan->session = NULL;
    }
}

static bool is_candidate(const struct fst_live_scan *scan, const struct fst_log_item *item) {
    const struct faster_store *store = scan->session->store;
    if (fst_header_kind(item->header) != FST_KIND_DATA ||
        (item->header & (FST_HEADER_INVALID | FST_HEADER_TOMBSTONE)) != 0) {
        return false;
    }
    fst_epoch_enter(store->epoch, scan->session->slot);
    bool visible = fst_is_visible(store, item->addr, scan->upper);
    fst_epoch_leave(store->epoch, scan->session->slot);
    return visible;
}

/* The bucket is on its way from memory while the rest of the batch is collected. */
static void start(struct fst_live_scan *scan, struct fst_scan_entry *entry) {
    const struct fst_log_item *item = &entry->item;
    entry->op = (struct faster_op){
        .key = {item->bytes + item->shape.key_offset_bytes, item->shape.key_bytes},
        .kind = FST_OP_LOCATE,
        .located = item->addr.raw,
        .upper = scan->upper};
    fst_op_prepare(scan->session, &entry->op);
}

static bool interrupted(const struct fst_live_scan *scan) {
    return scan->interrupt != NULL && scan->interrupt(scan->interrupt_context);
}

/* Collects a batch of candidates from one stretch of the log, whose bytes stay in the
 * cursor's buffer until the batch is used up, and locates their keys. */
static enum faster_status fill(struct fst_live_scan *scan) {
    enum faster_status status = FASTER_OK;
    scan->entry_count = 0;
    scan->entry_next = 0;
    while (scan->entry_count < FST_SCAN_BATCH) {
        if (fst_log_cursor_at_stretch_end(&scan->cursor)) {
            if (scan->entry_count > 0) {
                break;
            }
            if (interrupted(scan)) {
                return FASTER_INTERRUPTED;
            }
        }
        struct fst_scan_entry *entry = &scan->entries[scan->entry_count];
        status = fst_log_cursor_next(&scan->cursor, &entry->item);
        if (status != FASTER_OK) {
            break;
        }
        if (is_candidate(scan, &entry->item)) {
            start(scan, entry);
            scan->entry_count++;
        }
    }
    for (uint32_t i = 0; i < scan->entry_count; i++) {
        (void)!fst_op_try(scan->session, &scan->entries[i].op, NULL);
    }
    fst_finish_reads(scan->session);
    return scan->entry_count > 0 ? FASTER_OK : status;
}

enum faster_status fst_live_scan_next(struct fst_live_scan *scan,
                                      const struct fst_scan_entry **out) {
    for (;;) {
        while (scan->entry_next < scan->entry_count) {
            const struct fst_scan_entry *entry = &scan->entries[scan->entry_next++];
            *out = entry;
            if (entry->op.status == FASTER_OK && entry->op.located == entry->item.addr.raw) {
                return FASTER_OK;
            }
            if (fst_addr_below(entry->item.addr, fst_log_begin(scan->session->store->log))) {
                continue; /* truncated since it was read, so it was dead in every open view */
            }
            if (entry->op.status == FASTER_NOT_FOUND ||
                (entry->op.status == FASTER_OK && entry->op.located < entry->item.addr.raw)) {
                return FASTER_CORRUPT; /* a record in the log that its chain does not reach */
            }
            if (entry->op.status != FASTER_OK) {
                return entry->op.status;
            }
        }
        *out = NULL;
        enum faster_status status = fill(scan);
        if (status != FASTER_OK) {
            return status;
        }
    }
}

enum faster_status fst_live_scan_chunks(struct fst_live_scan *scan,
                                        const struct fst_scan_entry *entry,
                                        struct fst_chunk_reader *reader) {
    const struct fst_found head = {
        .addr = entry->item.addr, .bytes = entry->item.bytes, .shape = entry->item.shape};
    return fst_chunk_reader_init(reader, scan->session, &head) ? FASTER_OK : FASTER_CORRUPT;
}
