/* fuzz_redo.c - commit rows, and the log bytes in them, that a decider has kept badly (P4, P8).
 *
 * The store has four commits; the log holds the first two, the rows of the others their bytes.
 * Input: flags, which row is replaced (or inserted again), six differences to its numbers, and the
 * bytes of its redo; without FLAG_REDO these are the row's own.
 * Properties: catch-up ends with a documented status; if it succeeds, scan, reads and verify
 * agree; without FLAG_SEAL a row that is not the store's is refused, and then the true rows are
 * taken as if nothing had been, with the true content; memory stays within the budget.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fuzz/fuzz_store.h"
#include "shapes/record.h"
#include "store/txn.h"

enum { FLAG_SEAL = 1, FLAG_REDO = 2, FLAG_INSERT = 4, FLAG_SEAL_REDO = 8 };

#define ROWS_MAX 8u
#define REDO_BYTES_MAX (32u << 10)
#define GUARD_OFF 8u

struct rows {
    struct faster_commit_row rows[ROWS_MAX];
    size_t count;
    size_t next;
    size_t changed; /* the index of the fuzzed one */
    unsigned char redo[REDO_BYTES_MAX];
};

static enum faster_status next_row(void *context, struct faster_commit_row *row) {
    struct rows *rows = context;
    if (rows->next == rows->count) {
        return FASTER_END;
    }
    *row = rows->rows[rows->next++];
    return FASTER_OK;
}

/* ---- the input ---- */

static void seal_redo(const struct fuzz_store *files, struct rows *rows,
                      const struct faster_commit_row *row) {
    size_t at = 0;
    struct fst_record_shape shape;
    while (at < row->redo_bytes &&
           fst_record_parse(rows->redo + at, row->redo_bytes - at, &shape) &&
           shape.whole_bytes <= row->redo_bytes - at) {
        if (shape.whole_bytes > 8) {
            const uint64_t addr = row->end - row->redo_bytes + at;
            fst_store_le_u32(rows->redo + at + GUARD_OFF,
                             fst_record_checksum(rows->redo + at, &shape, fst_addr_of(addr),
                                                 files->checksum_seed));
        }
        at += shape.whole_bytes;
    }
}

static void take_redo(struct rows *rows, struct faster_commit_row *row, struct fuzz_input *input,
                      unsigned flags) {
    if ((flags & FLAG_REDO) != 0) {
        const struct fuzz_input part = fuzz_part(input, sizeof rows->redo);
        if (part.left_bytes > 0) {
            memcpy(rows->redo, part.at, part.left_bytes);
        }
        row->redo_bytes = part.left_bytes;
    } else if (row->redo_bytes > 0) {
        memcpy(rows->redo, row->redo, row->redo_bytes);
    }
    row->redo = rows->redo;
}

static void take_rows(const struct fuzz_store *files, struct rows *rows, struct fuzz_input *input,
                      unsigned flags) {
    const struct ledger *ledger = &files->ledger;
    rows->count = 0;
    rows->next = 0;
    rows->changed = fuzz_below(input, (uint32_t)ledger->count);
    for (size_t i = 0; i < ledger->count; i++) {
        if (i == rows->changed && (flags & FLAG_INSERT) != 0) {
            rows->rows[rows->count++] = ledger->rows[i];
            rows->changed = rows->count;
            flags &= ~(unsigned)FLAG_INSERT;
        }
        rows->rows[rows->count++] = ledger->rows[i];
    }
    struct faster_commit_row *row = &rows->rows[rows->changed];
    row->number += fuzz_u64(input);
    row->start += fuzz_u64(input);
    row->end += fuzz_u64(input);
    row->nonce += fuzz_u64(input);
    row->control_address += fuzz_u64(input);
    row->checksum += fuzz_u64(input);
    take_redo(rows, row, input, flags);
    if ((flags & FLAG_SEAL_REDO) != 0) {
        seal_redo(files, rows, row);
    }
}

static bool rows_are_true(const struct fuzz_store *files, const struct rows *rows) {
    if (rows->count != files->ledger.count) {
        return false;
    }
    const struct faster_commit_row *a = &rows->rows[rows->changed];
    const struct faster_commit_row *b = &files->ledger.rows[rows->changed];
    return a->number == b->number && a->start == b->start && a->end == b->end &&
           a->nonce == b->nonce && a->control_address == b->control_address &&
           a->checksum == b->checksum && a->redo_bytes == b->redo_bytes &&
           (a->redo_bytes == 0 || memcmp(a->redo, b->redo, a->redo_bytes) == 0);
}

/* ---- the store ---- */

static void check_newest(struct faster_session *session, struct fuzz_contents *contents) {
    struct faster_snapshot snapshot;
    FUZZ_OK(faster_snapshot_open_newest(session, &snapshot));
    fuzz_store_check(session, &snapshot, contents);
    faster_snapshot_close(&snapshot);
}

static bool holds(const struct fuzz_pair *pair, const char *key, const char *value) {
    return pair->key_bytes == strlen(key) && pair->value_bytes == strlen(value) &&
           memcmp(pair->bytes, key, pair->key_bytes) == 0 &&
           memcmp(pair->bytes + pair->key_bytes, value, pair->value_bytes) == 0;
}

static void check_truth(struct faster_session *session) {
    static struct fuzz_contents contents;
    check_newest(session, &contents);
    FUZZ_CHECK(contents.status == FASTER_END && contents.count == 3 &&
                   holds(&contents.pairs[0], "a", "third") &&
                   holds(&contents.pairs[1], "c", "kept") &&
                   holds(&contents.pairs[2], "d", "of the fourth"),
               "not what was committed");
    fuzz_contents_finish(&contents);
}

static void catch_up(const struct fuzz_store *files, struct faster_session *session,
                     struct rows *rows, bool is_sealed) {
    static struct fuzz_contents contents;
    const enum faster_status status = faster_session_catch_up(session, next_row, rows, NULL, NULL);
    FUZZ_CHECK(status == FASTER_OK || status == FASTER_CORRUPT || status == FASTER_COPY ||
                   status == FASTER_FULL,
               "catch-up: %s: %s", faster_status_name(status), faster_session_message(session));
    if (rows_are_true(files, rows)) {
        FUZZ_CHECK(status == FASTER_OK, "true rows: %s", faster_session_message(session));
        check_truth(session);
    } else if (!is_sealed) {
        FUZZ_CHECK(status != FASTER_OK, "a row of nobody's is taken");
        *rows = (struct rows){.count = files->ledger.count};
        memcpy(rows->rows, files->ledger.rows, rows->count * sizeof rows->rows[0]);
        FUZZ_OK(faster_session_catch_up(session, next_row, rows, NULL, NULL));
        check_truth(session);
    } else if (status == FASTER_OK) {
        check_newest(session, &contents);
        fuzz_contents_finish(&contents);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes) {
    static struct rows rows;
    const struct fuzz_store *files = fuzz_store_transactional();
    struct fuzz_input input = {data, size_bytes};
    struct faster_options options = files->options;
    struct faster_store *store = NULL;
    struct faster_session *session;
    const unsigned flags = fuzz_byte(&input);
    fuzz_env_begin();
    take_rows(files, &rows, &input, flags);
    options.read_only = true;
    FUZZ_OK(faster_store_open(&options, &store, NULL));
    FUZZ_OK(faster_session_open(store, &session));
    if ((flags & FLAG_SEAL) != 0) {
        struct faster_commit_row *row = &rows.rows[rows.changed];
        row->checksum = fst_row_checksum(store, row);
    }
    catch_up(files, session, &rows, (flags & FLAG_SEAL) != 0);
    faster_session_close(session);
    faster_store_close(store);
    fuzz_env_end(FUZZ_STORE_BYTES_MAX);
    return 0;
}
