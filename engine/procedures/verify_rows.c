/* verify_rows.c - checking the decider's rows (layer 5).
 *
 * A row is right if its checksum fits, if it lies behind the row before it, if its redo is a
 * sequence of intact records that the log has, too, and if the record at its control address says
 * the same as the row. The log is in memory or on disk, whichever is the newer: a cursor knows.
 * What a truncation has taken is not compared, and neither is what lies above `upper`: a commit
 * that has come since the check began.
 */
#include "procedures/verify.h"
#include "shapes/format_codec.h"
#include "store/log_cursor.h"
#include "store/txn.h"

/* Between the header and the sizes of a record stands its guard, or its checksum. */
#define AFTER_GUARD_OFF 12u

struct row_check {
    struct fst_findings *findings;
    const struct faster_store *store;
    struct fst_log_cursor cursor;
    fst_addr upper;
    uint64_t last_number; /* of the row before, 0: none */
    uint64_t last_end;
};

/* ---- the row by itself ---- */

static bool is_sane(const struct faster_commit_row *row) {
    return row->start <= row->control_address && row->control_address < row->end &&
           row->end <= FST_ADDR_MAX && row->redo_bytes <= row->end &&
           (row->redo_bytes == 0 || row->redo != NULL);
}

/* False: nothing the row says can be believed. */
static bool check_row(struct row_check *check, const struct faster_commit_row *row) {
    const fst_addr end = fst_addr_of(row->end & FST_ADDR_MASK);
    if (!is_sane(row) || row->checksum != fst_row_checksum(check->store, row)) {
        fst_find_in_row(check->findings, row->number, "it is damaged, or another store's", end);
        return false;
    }
    if (row->number <= check->last_number || row->end <= check->last_end) {
        fst_find_in_row(check->findings, row->number, "it is not behind the row before it", end);
    }
    check->last_number = row->number;
    check->last_end = row->end;
    return true;
}

/* ---- against the log ---- */

static bool is_compared(const struct row_check *check, fst_addr at) {
    return !fst_addr_below(at, fst_log_begin(check->store->log)) &&
           fst_addr_below(at, check->upper);
}

/* The log's record at an address which is a record's. OK with *found false: it has been truncated
 * away, or is damaged, which the passes over the log have named. */
static enum faster_status read_record(struct row_check *check, fst_addr at,
                                      struct fst_log_item *item, bool *found) {
    struct fst_log_cursor *cursor = &check->cursor;
    *found = false;
    cursor->at = at;
    cursor->until = check->upper;
    enum faster_status status = fst_log_cursor_next(cursor, item);
    if (status == FASTER_OK) {
        *found = fst_addr_equal(item->addr, at);
        return status;
    }
    return status == FASTER_CORRUPT || status == FASTER_FOREIGN || status == FASTER_VERSION_NEWER ||
                   status == FASTER_END
               ? FASTER_OK
               : status;
}

static bool is_same(const unsigned char *bytes, const struct fst_record_shape *shape,
                    const struct fst_log_item *item) {
    return shape->whole_bytes == item->shape.whole_bytes &&
           ((fst_raw_header(bytes) ^ item->header) & ~FST_HEADER_SEALED) == 0 &&
           memcmp(bytes + AFTER_GUARD_OFF, item->bytes + AFTER_GUARD_OFF,
                  shape->whole_bytes - AFTER_GUARD_OFF) == 0;
}

/* A pad is as good as another. */
static enum faster_status compare(struct row_check *check, const struct faster_commit_row *row,
                                  const unsigned char *bytes, const struct fst_record_shape *shape,
                                  fst_addr at) {
    const enum fst_record_kind kind = fst_header_kind(fst_raw_header(bytes));
    struct fst_log_item item;
    bool found = false;
    enum faster_status status = FASTER_OK;
    if (kind != FST_KIND_PAD && kind != FST_KIND_PAD_WORD && is_compared(check, at)) {
        status = read_record(check, at, &item, &found);
    }
    if (found && !is_same(bytes, shape, &item)) {
        fst_find_in_row(check->findings, row->number, "its redo and the log differ", at);
    }
    return status;
}

static enum faster_status check_redo(struct row_check *check, const struct faster_commit_row *row) {
    const unsigned char *bytes = row->redo;
    const uint64_t page_bytes = fst_log_page_bytes(check->store->log);
    enum faster_status status = FASTER_OK;
    for (size_t done = 0; done < row->redo_bytes && status == FASTER_OK;) {
        const fst_addr at = fst_addr_of(row->end - row->redo_bytes + done);
        const size_t left = row->redo_bytes - done;
        const size_t in_page = (size_t)(page_bytes - (at.raw & (page_bytes - 1)));
        struct fst_record_shape shape;
        if (!fst_record_is_intact(bytes + done, left < in_page ? left : in_page, at,
                                  check->store->checksum_seed, &shape)) {
            fst_find_in_row(check->findings, row->number, "its redo holds a damaged record", at);
            break;
        }
        status = compare(check, row, bytes + done, &shape, at);
        done += shape.whole_bytes;
    }
    return status;
}

static bool is_control_of(const struct fst_log_item *item, const struct faster_commit_row *row) {
    struct fst_control control;
    struct fst_range_list ranges;
    return fst_header_kind(item->header) == FST_KIND_CONTROL &&
           fst_control_decode(fst_log_item_value(item), item->shape.value_bytes, &control,
                              &ranges) &&
           control.number == row->number && control.nonce == row->nonce &&
           control.start == row->start && control.end == row->end;
}

static enum faster_status check_control(struct row_check *check,
                                        const struct faster_commit_row *row) {
    const fst_addr at = fst_addr_of(row->control_address);
    struct fst_log_item item;
    bool found = false;
    enum faster_status status = FASTER_OK;
    if (is_compared(check, at)) {
        status = read_record(check, at, &item, &found);
    }
    if (found && !is_control_of(&item, row)) {
        fst_find_in_row(check->findings, row->number, "the log has another commit at its address",
                        at);
    }
    return status;
}

/* ---- the whole ---- */

static enum faster_status check_rows(struct row_check *check, const struct fst_row_source *rows,
                                     faster_interrupt_fn *interrupt, void *interrupt_context) {
    enum faster_status status = FASTER_OK;
    while (status == FASTER_OK) {
        struct faster_commit_row row = {0};
        if (interrupt != NULL && interrupt(interrupt_context)) {
            return FASTER_INTERRUPTED;
        }
        status = rows->next(rows->context, &row);
        if (status == FASTER_OK && check_row(check, &row)) {
            status = check_redo(check, &row);
            status = status == FASTER_OK ? check_control(check, &row) : status;
        }
    }
    return status == FASTER_END ? FASTER_OK : status;
}

enum faster_status fst_verify_rows(struct fst_findings *findings, struct faster_session *session,
                                   uint64_t upper, const struct fst_row_source *rows,
                                   faster_interrupt_fn *interrupt, void *interrupt_context) {
    struct row_check check = {
        .findings = findings, .store = session->store, .upper = fst_addr_of(upper)};
    const fst_addr begin = fst_log_begin(session->store->log);
    enum faster_status status =
        fst_log_cursor_init(&check.cursor, session, begin, check.upper, false);
    if (status == FASTER_OK) {
        status = check_rows(&check, rows, interrupt, interrupt_context);
        fst_log_cursor_finish(&check.cursor);
    }
    return status;
}
