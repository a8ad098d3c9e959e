/* key_survey.c - see key_survey.h. */
#include "sql/key_survey.h"

#include "store/key_notes.h"
#include "store/registry.h"
#include "table/view.h"

/* Between two looks for an interrupt, each of which costs a statement. */
#define ROWS_PER_INTERRUPT 1024u

/* The key's text as it was stored: what a collation folds or trims may look like a number. */
static int note_parts(struct row_view *row, struct row_scalar *parts, struct key_notes *notes) {
    const struct table_schema *schema = row->schema;
    int rc = SQLITE_OK;
    int loaded = 0;
    for (; loaded < schema->key_count && rc == SQLITE_OK; loaded++) {
        parts[loaded] = (struct row_scalar){.type = ROW_NULL};
        rc = row_view_column(row, schema->key[loaded].column, &parts[loaded]);
    }
    if (rc == SQLITE_OK) {
        key_notes_see_text(notes, key_text_of(parts, schema->key_count));
    }
    for (int i = 0; i < loaded; i++) {
        row_scalar_finish(&parts[i]);
    }
    return rc;
}

static int note_row(const struct table_schema *schema, struct faster_bytes key,
                    struct faster_bytes value, struct row_scalar *parts, struct key_notes *notes) {
    struct row_view row;
    int64_t rowid = 0;
    if (schema_has_rowid(schema)) {
        int rc = key_decode_rowid(key, &rowid);
        if (rc == SQLITE_OK) {
            key_notes_see_rowid(notes, rowid);
        }
        return rc;
    }
    int rc = row_view_open(&row, schema, key, value);
    return rc == SQLITE_OK ? note_parts(&row, parts, notes) : rc;
}

static int interrupted(struct table *table) {
    return connection_engine_error(table->connection, table->name, FASTER_INTERRUPTED, NULL);
}

static int read_keys(struct table *table, const struct view *view, struct key_notes *notes) {
    const struct table_schema *schema = &table->schema;
    struct faster_scan *scan = NULL;
    struct faster_bytes key;
    struct faster_bytes value;
    struct row_scalar *parts =
        sqlite3_malloc64(((sqlite3_uint64)schema->key_count + 1) * sizeof(*parts));
    if (parts == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = SQLITE_OK;
    enum faster_status status = faster_scan_open(&view->snapshot, &scan);
    for (unsigned rows = 1; rc == SQLITE_OK && status == FASTER_OK; rows++) {
        status = faster_scan_next(scan, &key, &value);
        if (status == FASTER_OK) {
            rc = note_row(schema, key, value, parts, notes);
        }
        if (rc == SQLITE_OK && rows % ROWS_PER_INTERRUPT == 0 &&
            connection_interrupted(table->connection)) {
            rc = interrupted(table);
        }
    }
    faster_scan_close(scan);
    sqlite3_free(parts);
    return rc == SQLITE_OK && status != FASTER_END ? table_engine_error(table, status) : rc;
}

int key_survey(struct table *table, struct attachment *attachment) {
    struct key_notes *notes = registry_key_notes(attachment->entry);
    struct view view = {0};
    bool begun = false;
    if (key_notes_is_complete(notes)) {
        return SQLITE_OK;
    }
    if (key_notes_begin_survey(notes, connection_interrupted, table->connection, &begun) !=
        FASTER_OK) {
        return interrupted(table);
    }
    if (!begun) {
        return SQLITE_OK;
    }
    int rc = view_open(table, &view);
    rc = rc == SQLITE_OK ? read_keys(table, &view, notes) : rc;
    key_notes_end_survey(notes, rc == SQLITE_OK);
    view_close(&view);
    return rc;
}
