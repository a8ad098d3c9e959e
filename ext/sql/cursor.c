/* cursor.c - how a query reads rows: by key, by many keys at once, or by a scan.
 *
 * Keys are looked up in groups (batch.h), so that those on disk wait for the disk together.
 * Everything a cursor gives out lies in buffers of its own: commits of the connection do not
 * disturb it, and rollbacks only if they undo what it shows.
 */
#include "sql/cursor.h"

#include "sql/key_survey.h"
#include "sql/plan.h"
#include "store/key_notes.h"
#include "store/registry.h"
#include "table/view.h"

/* More combinations of several INs than this are found by a scan. */
#define CHOICE_COUNT_MAX 100000u

struct cursor {
    sqlite3_vtab_cursor base;
    struct view view;
    bool is_scan;
    bool at_end;
    bool key_only;           /* a lookup of which only the rowid is asked: no value is copied */
    struct faster_bytes key; /* of the present row; the value is in row */
    struct row_view row;

    struct faster_scan *scan;
    struct batch *batch; /* NULL before the first lookup */
};

static struct table *table_of(const struct cursor *cursor) {
    return (struct table *)cursor->base.pVtab;
}

int cursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **result) {
    (void)base;
    struct cursor *cursor = sqlite3_malloc64(sizeof(*cursor));
    if (cursor == NULL) {
        return SQLITE_NOMEM;
    }
    *cursor = (struct cursor){.at_end = true};
    *result = &cursor->base;
    return SQLITE_OK;
}

/* A forked process has no threads that would finish the scan's reads. */
static void end_scan(struct cursor *cursor) {
    if (!registry_forked()) {
        faster_scan_close(cursor->scan);
    }
    cursor->scan = NULL;
}

int cursor_close(sqlite3_vtab_cursor *base) {
    struct cursor *cursor = (struct cursor *)base;
    end_scan(cursor);
    view_close(&cursor->view);
    attachment_rest(table_of(cursor)->attachment);
    batch_give_back(&table_of(cursor)->spare_batch, cursor->batch);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int show_row(struct cursor *cursor, struct faster_bytes key, struct faster_bytes value) {
    cursor->key = key;
    if (cursor->key_only) {
        return SQLITE_OK;
    }
    return row_view_open(&cursor->row, &table_of(cursor)->schema, key, value);
}

/* ----------------------------------------------------------------- lookup */

/* Goes to the next key that has a row. */
static int next_read(struct cursor *cursor) {
    struct table *table = table_of(cursor);
    enum faster_status status =
        batch_next(cursor->batch, &cursor->view.snapshot, table->connection);
    if (status == FASTER_OK) {
        struct faster_bytes value = {NULL, 0};
        if (!cursor->key_only) {
            value = batch_value(cursor->batch);
        }
        return show_row(cursor, batch_key(cursor->batch), value);
    }
    cursor->at_end = true;
    return status == FASTER_END ? SQLITE_OK : table_engine_error(table, status);
}

/* The rowid is the key. SQLite asks for an INTEGER PRIMARY KEY as for any column; UPDATE
 * counts as using them all. */
static bool asks_rowid_only(const struct table_schema *schema, uint64_t columns_used) {
    uint64_t own = 0;
    if (schema->kind == SCHEMA_ROWID_INTEGER && schema->key[0].column < 63) {
        own = UINT64_C(1) << schema->key[0].column;
    }
    return schema_has_rowid(schema) && (columns_used & ~own) == 0;
}

static int start_lookup(struct cursor *cursor, uint64_t columns_used) {
    cursor->key_only = asks_rowid_only(&table_of(cursor)->schema, columns_used);
    key_list_unique(&cursor->batch->keys);
    int rc = batch_start(cursor->batch, !cursor->key_only);
    return rc == SQLITE_OK ? next_read(cursor) : rc;
}

/* ------------------------------------------------------------------- scan */

static int next_scanned(struct cursor *cursor) {
    struct faster_bytes key;
    struct faster_bytes value;
    enum faster_status status = faster_scan_next(cursor->scan, &key, &value);
    if (status == FASTER_OK) {
        return show_row(cursor, key, value);
    }
    if (status == FASTER_END) {
        cursor->at_end = true;
        end_scan(cursor);
        return SQLITE_OK;
    }
    return table_engine_error(table_of(cursor), status);
}

static int start_scan(struct cursor *cursor) {
    cursor->is_scan = true;
    enum faster_status status = faster_scan_open(&cursor->view.snapshot, &cursor->scan);
    if (status != FASTER_OK) {
        cursor->scan = NULL;
        return table_engine_error(table_of(cursor), status);
    }
    return next_scanned(cursor);
}

/* ----------------------------------------------------------------- filter */

/* Probes every choice of one value from each list, the cross product of the INs. `values` has
 * the parts before `part`. Stops at PLAN_ALL. */
static int probe_choices(struct cursor *cursor, const struct plan *plan, sqlite3_value **argv,
                         sqlite3_value **values, int part, enum plan_answer *answer) {
    const struct table_schema *schema = &table_of(cursor)->schema;
    int count = plan_argument_count(schema);
    if (part == count) {
        enum plan_answer one = PLAN_NONE;
        int rc = plan_probe(schema, values, cursor->view.key_text, &cursor->batch->keys, &one);
        bool too_many = count > 1 && cursor->batch->keys.count > CHOICE_COUNT_MAX;
        *answer = one == PLAN_ALL || too_many ? PLAN_ALL : one == PLAN_EXACT ? one : *answer;
        return rc;
    }
    if (!plan_has_list(plan, part)) {
        values[part] = argv[part];
        return probe_choices(cursor, plan, argv, values, part + 1, answer);
    }
    int rc = sqlite3_vtab_in_first(argv[part], &values[part]);
    while (rc == SQLITE_OK && values[part] != NULL) {
        rc = probe_choices(cursor, plan, argv, values, part + 1, answer);
        if (rc != SQLITE_OK || *answer == PLAN_ALL) {
            return rc;
        }
        rc = sqlite3_vtab_in_next(argv[part], &values[part]);
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int probe_batch(struct cursor *cursor, const struct plan *plan, sqlite3_value **argv,
                       enum plan_answer *answer) {
    int count = plan_argument_count(&table_of(cursor)->schema);
    sqlite3_value **values = sqlite3_malloc64((sqlite3_uint64)count * sizeof(*values));
    if (values == NULL) {
        return SQLITE_NOMEM;
    }
    *answer = PLAN_NONE;
    int rc = probe_choices(cursor, plan, argv, values, 0, answer);
    sqlite3_free(values);
    return rc;
}

static int probe(struct cursor *cursor, const struct plan *plan, sqlite3_value **argv,
                 enum plan_answer *answer) {
    *answer = PLAN_ALL;
    if (plan->kind == PLAN_SCAN) {
        return SQLITE_OK;
    }
    struct table *table = table_of(cursor);
    if (cursor->batch == NULL) {
        cursor->batch = batch_take(&table->spare_batch, cursor->view.attachment->store);
        if (cursor->batch == NULL) {
            return SQLITE_NOMEM;
        }
    }
    key_list_clear(&cursor->batch->keys, SIZE_MAX);
    return plan->kind == PLAN_POINT ? plan_probe(&table->schema, argv, cursor->view.key_text,
                                                 &cursor->batch->keys, answer)
                                    : probe_batch(cursor, plan, argv, answer);
}

/* A direct table may not know yet that its keys can be looked up: the scan that this query needs
 * otherwise tells, once. */
static int probe_again(struct cursor *cursor, const struct plan *plan, sqlite3_value **argv,
                       enum plan_answer *answer) {
    struct attachment *attachment = cursor->view.attachment;
    if (!attachment->direct || key_notes_is_complete(registry_key_notes(attachment->entry))) {
        return SQLITE_OK;
    }
    int rc = key_survey(table_of(cursor), attachment);
    cursor->view.key_text = key_notes_text(registry_key_notes(attachment->entry));
    return rc == SQLITE_OK ? probe(cursor, plan, argv, answer) : rc;
}

static int filter(struct cursor *cursor, const struct plan *plan, sqlite3_value **argv) {
    enum plan_answer answer = PLAN_NONE;
    end_scan(cursor);
    cursor->at_end = false;
    cursor->is_scan = false;
    cursor->key_only = false;
    int rc = connection_check_process(table_of(cursor)->connection);
    rc = rc == SQLITE_OK ? view_refresh(table_of(cursor), &cursor->view) : rc;
    rc = rc == SQLITE_OK ? probe(cursor, plan, argv, &answer) : rc;
    if (rc == SQLITE_OK && answer == PLAN_ALL && plan->kind != PLAN_SCAN) {
        rc = probe_again(cursor, plan, argv, &answer);
    }
    if (rc != SQLITE_OK) {
        return rc;
    }
    switch (answer) {
    case PLAN_EXACT:
        return start_lookup(cursor, plan->columns_used);
    case PLAN_ALL:
        return start_scan(cursor);
    case PLAN_NONE:
        break;
    }
    cursor->at_end = true;
    return SQLITE_OK;
}

int cursor_filter(sqlite3_vtab_cursor *base, int index_number, const char *index_text, int argc,
                  sqlite3_value **argv) {
    struct cursor *cursor = (struct cursor *)base;
    (void)argc;
    const struct plan plan = plan_decode(index_number, index_text);
    int rc = filter(cursor, &plan, argv);
    if (rc != SQLITE_OK) {
        cursor->at_end = true;
    }
    return table_result(table_of(cursor), rc);
}

int cursor_next(sqlite3_vtab_cursor *base) {
    struct cursor *cursor = (struct cursor *)base;
    struct connection *connection = table_of(cursor)->connection;
    int rc = connection_check_process(connection);
    if (rc == SQLITE_OK && cursor->view.undone) {
        rc = connection_error(connection, SQLITE_ABORT_ROLLBACK, "abort due to ROLLBACK");
    }
    if (rc == SQLITE_OK) {
        rc = cursor->is_scan ? next_scanned(cursor) : next_read(cursor);
    }
    return table_result(table_of(cursor), rc);
}

int cursor_eof(sqlite3_vtab_cursor *base) {
    return ((struct cursor *)base)->at_end;
}

/* ---------------------------------------------------------------- columns */

/* The values are copied: SQLite keeps a STATIC one beyond the row (max() does). */
int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    struct cursor *cursor = (struct cursor *)base;
    struct table *table = table_of(cursor);
    const struct table_schema *schema = &table->schema;
    int rc = SQLITE_OK;
    if (cursor->key_only) {
        int64_t rowid = 0;
        rc = schema->kind == SCHEMA_ROWID_INTEGER && column == schema->key[0].column
                 ? key_decode_rowid(cursor->key, &rowid)
                 : SQLITE_INTERNAL; /* a column that SQLite did not announce */
        sqlite3_result_int64(context, rowid);
    } else if (column < schema->column_count) {
        rc = row_view_result(&cursor->row, column, context, SQLITE_TRANSIENT);
    } else if (column == schema->hidden_key_column) {
        sqlite3_result_blob64(context, cursor->key.data, cursor->key.size_bytes, SQLITE_TRANSIENT);
    }
    return table_result(table, rc);
}

int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
    struct cursor *cursor = (struct cursor *)base;
    int64_t value = 0;
    int rc = key_decode_rowid(cursor->key, &value);
    *rowid = value;
    return table_result(table_of(cursor), rc);
}
