/* verify.c - checking a store from end to end (layer 5).
 *
 * Two passes below the newest committed end. The first reads the log record by record:
 * shape, checksum, and that each record points back. The second looks up every visible
 * record through the index, as a scan does: it must find that record or a newer one of the
 * same key, and every record on the way must be intact. A value larger than a page is gathered,
 * chunk by chunk, and thrown away.
 */
#include "procedures/verify.h"

#include "base/bytes.h"
#include "procedures/scan.h"
#include "store/session.h"

struct verify {
    struct faster_store *store;
    struct faster_session *session; /* its own */
    faster_finding_fn *each;
    void *context;
    faster_interrupt_fn *interrupt;
    void *interrupt_context;
    uint64_t upper;
    uint64_t finding_count;
};

static void report(struct verify *verify, const char *what, const char *file, uint64_t address,
                   struct faster_bytes key) {
    verify->finding_count++;
    if (verify->each != NULL) {
        struct faster_finding finding = {what, file, address, key};
        verify->each(verify->context, &finding);
    }
}

static bool interrupted(const struct verify *verify) {
    return verify->interrupt != NULL && verify->interrupt(verify->interrupt_context);
}

static struct faster_bytes no_key(void) {
    return (struct faster_bytes){NULL, 0};
}

/* Something wrong at an address of the log. */
static void report_at(struct verify *verify, const char *what, fst_addr at,
                      struct faster_bytes key) {
    char name[FST_SEGMENT_NAME_BYTES];
    fst_segment_name(at.raw >> verify->store->identity.segment_bits, name);
    report(verify, what, name, at.raw, key);
}

static struct faster_bytes key_of(const struct fst_log_item *item) {
    return (struct faster_bytes){item->bytes + item->shape.key_offset_bytes, item->shape.key_bytes};
}

/* ---- first pass ---- */

static void check_item(struct verify *verify, const struct fst_log_item *item) {
    fst_addr previous = fst_header_previous(item->header);
    if (fst_header_kind(item->header) != FST_KIND_DATA ||
        (item->header & FST_HEADER_INVALID) != 0) {
        return;
    }
    if (!fst_addr_below(previous, item->addr)) {
        report_at(verify, "the previous address does not lie before the record", item->addr,
                  key_of(item));
    }
}

/* After a damaged record the next page is tried: records do not cross pages. */
static bool skip_page(const struct verify *verify, struct fst_log_cursor *cursor) {
    uint64_t page_bytes = fst_log_page_bytes(verify->store->log);
    cursor->at = fst_addr_of(fst_block_end_u64(cursor->at.raw, page_bytes));
    return fst_addr_below(cursor->at, cursor->until);
}

static enum faster_status read_log(struct verify *verify) {
    struct fst_log_cursor cursor;
    struct fst_log_item item;
    enum faster_status status =
        fst_log_cursor_init(&cursor, verify->session, fst_log_begin(verify->store->log),
                            fst_addr_of(verify->upper), true);
    while (status == FASTER_OK) {
        if (fst_log_cursor_at_stretch_end(&cursor) && interrupted(verify)) {
            status = FASTER_INTERRUPTED;
            break;
        }
        status = fst_log_cursor_next(&cursor, &item);
        if (status == FASTER_OK) {
            check_item(verify, &item);
        } else if (status == FASTER_CORRUPT) {
            report_at(verify, "a record is damaged", cursor.at, no_key());
            status = skip_page(verify, &cursor) ? FASTER_OK : FASTER_END;
        }
    }
    fst_log_cursor_finish(&cursor);
    return status == FASTER_END ? FASTER_OK : status;
}

/* ---- second pass ---- */

static enum faster_status check_value(struct verify *verify, struct fst_live_scan *scan,
                                      const struct fst_scan_entry *entry,
                                      struct faster_buffer *io) {
    struct fst_chunk_reader chunks;
    enum faster_status status = fst_live_scan_chunks(scan, entry, &chunks);
    if (status == FASTER_OK) {
        status = fst_chunk_reader_run(&chunks, io);
    }
    if (status == FASTER_CORRUPT) {
        report_at(verify, "a part of a value is missing or damaged",
                  chunks.left_count > 0 ? chunks.at : entry->item.addr, key_of(&entry->item));
        status = FASTER_OK;
    }
    return status;
}

static enum faster_status look_up_records(struct verify *verify) {
    const struct faster_env *env = verify->store->env;
    struct fst_live_scan *scan = env->allocate(env, sizeof *scan);
    if (scan == NULL) {
        return FASTER_NOMEM;
    }
    enum faster_status status =
        fst_live_scan_init(scan, verify->store, fst_log_begin(verify->store->log), verify->upper);
    if (status != FASTER_OK) {
        env->release(env, scan);
        return status;
    }
    fst_live_scan_ask(scan, verify->interrupt, verify->interrupt_context);
    struct faster_buffer io = {.env = env};
    while (status == FASTER_OK) {
        const struct fst_scan_entry *entry;
        status = fst_live_scan_next(scan, &entry);
        if (status == FASTER_OK && entry->item.shape.chunked) {
            status = check_value(verify, scan, entry, &io);
        } else if (status == FASTER_CORRUPT && entry != NULL) {
            report_at(verify, "a record cannot be reached through its chain", entry->item.addr,
                      key_of(&entry->item));
            status = FASTER_OK;
        } else if (status == FASTER_CORRUPT) {
            report_at(verify, "a record is damaged", scan->cursor.at, no_key());
            status = FASTER_END;
        }
    }
    faster_buffer_finish(&io);
    fst_live_scan_finish(scan);
    env->release(env, scan);
    return status == FASTER_END ? FASTER_OK : status;
}

/* ---- small files ---- */

static enum faster_status check_files(struct verify *verify) {
    const struct faster_store *store = verify->store;
    if (store->in_memory || store->files == NULL) {
        return FASTER_OK;
    }
    return fst_verify_files(store, verify->each, verify->context, &verify->finding_count);
}

enum faster_status fst_verify(struct faster_session *session, faster_finding_fn *each,
                              void *context, faster_interrupt_fn *interrupt,
                              void *interrupt_context, uint64_t *finding_count) {
    struct faster_store *store = session->store;
    struct verify verify = {.store = store,
                            .each = each,
                            .context = context,
                            .interrupt = interrupt,
                            .interrupt_context = interrupt_context};
    struct faster_snapshot newest;
    struct faster_snapshot snapshot;
    *finding_count = 0;
    /* The snapshot keeps truncation away from what is being read. */
    enum faster_status status = fst_snapshot_open_newest(session, &newest);
    if (status != FASTER_OK) {
        return status;
    }
    status = fst_snapshot_open_frozen(session, &newest, &snapshot);
    fst_snapshot_close(&newest);
    if (status != FASTER_OK) {
        return status;
    }
    verify.upper = snapshot.upper;
    status = fst_session_open(store, &verify.session);
    if (status == FASTER_OK) {
        status = check_files(&verify);
        if (status == FASTER_OK) {
            status = read_log(&verify);
        }
        if (status == FASTER_OK && verify.finding_count == 0) {
            status = look_up_records(&verify);
        }
        fst_session_close(verify.session);
    }
    fst_snapshot_close(&snapshot);
    *finding_count = verify.finding_count;
    return status;
}
