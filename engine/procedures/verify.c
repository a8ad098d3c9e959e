/* verify.c - checking a store from end to end (layer 5).
 *
 * Two passes below the newest committed end. The first reads the log record by record:
 * shape, checksum, and that each record points back. The second looks up every visible
 * record through the index, as a scan does: it must find that record or a newer one of the
 * same key, and every record on the way must be intact. A value larger than a page is gathered,
 * chunk by chunk, and thrown away. Then come the decider's rows, if the caller has them.
 *
 * Damage ends neither pass: each goes on behind it. What the first has named the second passes
 * over; but a key that is lost with it, since its chain led there, is a finding of its own.
 */
#include "procedures/verify.h"

#include <stdio.h>

#include "base/array.h"
#include "base/bytes.h"
#include "procedures/scan.h"
#include "store/session.h"

struct verify {
    struct faster_store *store;
    struct faster_session *session; /* its own */
    const struct fst_row_source *rows;
    faster_interrupt_fn *interrupt;
    void *interrupt_context;
    uint64_t upper;
    struct fst_findings findings;
    /* Where the first pass met damage, in ascending order. */
    uint64_t *damaged;
    size_t damaged_count;
    size_t damaged_capacity;
    size_t damaged_next; /* of the second pass: those before lie behind it */
};

/* ---- findings ---- */

static void tell(struct fst_findings *findings, const struct faster_finding *finding) {
    findings->count++;
    if (findings->each != NULL) {
        findings->each(findings->context, finding);
    }
}

void fst_find_in_file(struct fst_findings *findings, const char *what, const char *file) {
    tell(findings, &(struct faster_finding){.what = what, .file = file});
}

void fst_find_in_log(struct fst_findings *findings, const char *what, fst_addr at,
                     struct faster_bytes key) {
    const uint32_t segment_bits = findings->store->identity.segment_bits;
    char name[FST_SEGMENT_NAME_BYTES] = "";
    struct faster_finding finding = {.what = what, .file = name, .address = at.raw, .key = key};
    if (!findings->store->in_memory) {
        fst_segment_name(at.raw >> segment_bits, name);
        finding.offset = FST_SEGMENT_HEADER_BYTES + (at.raw & ((UINT64_C(1) << segment_bits) - 1));
    }
    tell(findings, &finding);
}

void fst_find_in_row(struct fst_findings *findings, uint64_t number, const char *what,
                     fst_addr at) {
    char text[160];
    snprintf(text, sizeof text, "the row of commit %llu: %s", (unsigned long long)number, what);
    tell(findings, &(struct faster_finding){.what = text, .file = "", .address = at.raw});
}

static bool interrupted(const struct verify *verify) {
    return verify->interrupt != NULL && verify->interrupt(verify->interrupt_context);
}

/* True if the bytes are not what was written, or another's: then the log behind them is read on. */
static bool is_damage(enum faster_status status) {
    return status == FASTER_CORRUPT || status == FASTER_FOREIGN || status == FASTER_VERSION_NEWER;
}

/* Of what kind, at the cursor: a record, or the whole file. */
static const char *name_damage(enum faster_status status) {
    return status == FASTER_CORRUPT ? "a record is damaged"
                                    : "the segment is none of the store's, or damaged as a whole";
}

/* Goes behind the damage: to the next page, or, if nothing of the file can be read, to the next
 * file. END: there is none. */
static enum faster_status go_on(const struct verify *verify, struct fst_log_cursor *cursor,
                                enum faster_status damage) {
    uint64_t block_bytes = damage == FASTER_CORRUPT
                               ? fst_log_page_bytes(verify->store->log)
                               : UINT64_C(1) << verify->store->identity.segment_bits;
    return fst_log_cursor_skip_block(cursor, block_bytes) ? FASTER_OK : FASTER_END;
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
        fst_find_in_log(&verify->findings, "the previous address does not lie before the record",
                        item->addr, key_of(item));
    }
}

static enum faster_status note_damage(struct verify *verify, fst_addr at,
                                      enum faster_status damage) {
    void *array = verify->damaged;
    enum faster_status status =
        fst_array_reserve(verify->store->env, &array, verify->damaged_count,
                          &verify->damaged_capacity, 1, sizeof *verify->damaged);
    verify->damaged = array;
    if (status == FASTER_OK) {
        verify->damaged[verify->damaged_count++] = at.raw;
        fst_find_in_log(&verify->findings, name_damage(damage), at, (struct faster_bytes){NULL, 0});
    }
    return status;
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
        } else if (is_damage(status)) {
            enum faster_status damage = status;
            status = note_damage(verify, cursor.at, damage);
            status = status == FASTER_OK ? go_on(verify, &cursor, damage) : status;
        }
    }
    fst_log_cursor_finish(&cursor);
    return status == FASTER_END ? FASTER_OK : status;
}

/* ---- second pass ---- */

static bool is_named(struct verify *verify, fst_addr at) {
    while (verify->damaged_next < verify->damaged_count &&
           verify->damaged[verify->damaged_next] < at.raw) {
        verify->damaged_next++;
    }
    return verify->damaged_next < verify->damaged_count &&
           verify->damaged[verify->damaged_next] == at.raw;
}

static enum faster_status check_value(struct verify *verify, struct fst_live_scan *scan,
                                      const struct fst_scan_entry *entry,
                                      struct faster_buffer *io) {
    struct fst_chunk_reader chunks;
    enum faster_status status = fst_live_scan_chunks(scan, entry, &chunks);
    if (status == FASTER_OK) {
        status = fst_chunk_reader_run(&chunks, io);
    }
    if (is_damage(status)) {
        fst_find_in_log(&verify->findings, "a part of a value is missing or damaged",
                        chunks.left_count > 0 ? chunks.at : entry->item.addr, key_of(&entry->item));
        status = FASTER_OK;
    }
    return status;
}

/* `entry` is the record whose key could not be located, or NULL: the cursor is at the damage. */
static enum faster_status take_damage(struct verify *verify, struct fst_live_scan *scan,
                                      const struct fst_scan_entry *entry,
                                      enum faster_status damage) {
    if (entry != NULL) {
        fst_find_in_log(&verify->findings, "a record cannot be reached through its chain",
                        entry->item.addr, key_of(&entry->item));
        return FASTER_OK;
    }
    if (!is_named(verify, scan->cursor.at)) {
        fst_find_in_log(&verify->findings, name_damage(damage), scan->cursor.at,
                        (struct faster_bytes){NULL, 0});
    }
    return go_on(verify, &scan->cursor, damage);
}

static enum faster_status look_up(struct verify *verify, struct fst_live_scan *scan) {
    struct faster_buffer io = {.env = verify->store->env};
    enum faster_status status = FASTER_OK;
    while (status == FASTER_OK) {
        const struct fst_scan_entry *entry;
        status = fst_live_scan_next(scan, &entry);
        if (status == FASTER_OK && entry->item.shape.chunked) {
            status = check_value(verify, scan, entry, &io);
        } else if (is_damage(status)) {
            status = take_damage(verify, scan, entry, status);
        }
    }
    faster_buffer_finish(&io);
    return status == FASTER_END ? FASTER_OK : status;
}

static enum faster_status look_up_records(struct verify *verify) {
    const struct faster_env *env = verify->store->env;
    struct fst_live_scan *scan = env->allocate(env, sizeof *scan);
    if (scan == NULL) {
        return FASTER_NOMEM;
    }
    enum faster_status status =
        fst_live_scan_init(scan, verify->store, fst_log_begin(verify->store->log), verify->upper);
    if (status == FASTER_OK) {
        fst_live_scan_ask(scan, verify->interrupt, verify->interrupt_context);
        status = look_up(verify, scan);
        fst_live_scan_finish(scan);
    }
    env->release(env, scan);
    return status;
}

/* ---- the whole ---- */

static enum faster_status run(struct verify *verify) {
    const struct faster_store *store = verify->store;
    const bool has_files = !store->in_memory && store->files != NULL;
    enum faster_status status = has_files ? fst_verify_files(&verify->findings) : FASTER_OK;
    if (status == FASTER_OK && has_files) {
        status = fst_verify_checkpoints(&verify->findings, verify->session, verify->interrupt,
                                        verify->interrupt_context);
    }
    if (status == FASTER_OK) {
        status = read_log(verify);
    }
    if (status == FASTER_OK) {
        status = look_up_records(verify);
    }
    if (status == FASTER_OK && verify->rows->next != NULL) {
        status = fst_verify_rows(&verify->findings, verify->session, verify->upper, verify->rows,
                                 verify->interrupt, verify->interrupt_context);
    }
    store->env->release(store->env, verify->damaged);
    return status;
}

enum faster_status fst_verify(struct faster_session *session, const struct fst_row_source *rows,
                              faster_finding_fn *each, void *context,
                              faster_interrupt_fn *interrupt, void *interrupt_context,
                              uint64_t *finding_count) {
    struct faster_store *store = session->store;
    struct verify verify = {.store = store,
                            .rows = rows,
                            .findings = {.store = store, .each = each, .context = context},
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
        status = run(&verify);
        fst_session_close(verify.session);
    }
    fst_snapshot_close(&snapshot);
    *finding_count = verify.findings.count;
    return status;
}
