/* findings.c - see findings.h. */
#include "sql/findings.h"

static int verify(struct table *table, faster_finding_fn *each, void *context, uint64_t *count) {
    struct attachment *attachment = NULL;
    int rc = table_meet(table, &attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    struct commit_rows_reader reader = {.rows = &table->rows};
    enum faster_status status = faster_session_verify_all(
        attachment->session, table_is_direct(table) ? NULL : commit_rows_read, &reader, each,
        context, connection_interrupted, table->connection, count);
    commit_rows_reader_finish(&reader);
    if (reader.error_code != SQLITE_OK) {
        return reader.error_code;
    }
    return status == FASTER_OK ? SQLITE_OK : table_engine_error(table, status);
}

/* ------------------------------------------------------------------- text */

/* A damaged store may have millions; these tell enough. */
#define TEXT_COUNT_MAX 20

struct text {
    sqlite3_str *lines;
    int count;
};

static void add_line(void *context, const struct faster_finding *finding) {
    struct text *text = context;
    if (text->count++ < TEXT_COUNT_MAX) {
        const char *file = finding->file;
        sqlite3_str_appendf(text->lines, "%s%s (%s%sat %llu)", text->count == 1 ? "" : "\n",
                            finding->what, file, file[0] == '\0' ? "" : " ",
                            (unsigned long long)finding->address);
    }
}

int findings_text(struct table *table, uint64_t *count, char **text) {
    struct text lines = {.lines = sqlite3_str_new(table->connection->db)};
    *count = 0;
    int rc = verify(table, add_line, &lines, count);
    *text = sqlite3_str_finish(lines.lines);
    return rc;
}

/* ------------------------------------------------------------------- rows */

struct rows {
    const struct table_schema *schema;
    struct listing *listing;
};

/* The value as SQL writes it. */
static void append_literal(sqlite3_str *text, const struct row_scalar *scalar) {
    const unsigned char *bytes = scalar->data;
    switch (scalar->type) {
    case ROW_NULL:
        sqlite3_str_appendall(text, "NULL");
        break;
    case ROW_INTEGER:
        sqlite3_str_appendf(text, "%lld", (long long)scalar->integer);
        break;
    case ROW_REAL:
        sqlite3_str_appendf(text, "%!.17g", scalar->real);
        break;
    case ROW_TEXT:
        sqlite3_str_appendf(text, "'%.*q'", (int)scalar->size_bytes, (const char *)scalar->data);
        break;
    case ROW_BLOB:
        sqlite3_str_appendall(text, "x'");
        for (size_t i = 0; i < scalar->size_bytes; i++) {
            sqlite3_str_appendf(text, "%02x", bytes[i]);
        }
        sqlite3_str_appendall(text, "'");
        break;
    }
}

static int decode_single(const struct table_schema *schema, struct faster_bytes key,
                         struct row_scalar *scalar) {
    if (schema_has_rowid(schema)) {
        *scalar = (struct row_scalar){.type = ROW_INTEGER};
        return key_decode_rowid(key, &scalar->integer);
    }
    return key_decode_part(schema, key, 0, scalar);
}

/* (1, 'two'): a key of several columns. */
static int add_tuple(const struct rows *rows, struct faster_bytes key) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    int rc = SQLITE_OK;
    for (int i = 0; i < rows->schema->key_count && rc == SQLITE_OK; i++) {
        struct row_scalar part;
        rc = key_decode_part(rows->schema, key, i, &part);
        sqlite3_str_appendall(text, i == 0 ? "(" : ", ");
        if (rc == SQLITE_OK) {
            append_literal(text, &part);
        }
    }
    sqlite3_str_appendall(text, ")");
    char *tuple = sqlite3_str_finish(text);
    if (rc == SQLITE_OK) {
        listing_add_text(rows->listing, tuple);
    }
    sqlite3_free(tuple);
    return rc;
}

/* As the key knows it. Bytes that are no key of the table stay what they are. */
static void add_key(const struct rows *rows, struct faster_bytes key) {
    struct row_scalar scalar = {.type = ROW_NULL};
    int rc = SQLITE_OK;
    if (key.size_bytes == 0) {
        listing_add_scalar(rows->listing, &scalar);
        return;
    }
    if (rows->schema->kind == SCHEMA_KEY_MULTIPLE) {
        rc = add_tuple(rows, key);
    } else {
        rc = decode_single(rows->schema, key, &scalar);
        if (rc == SQLITE_OK) {
            listing_add_scalar(rows->listing, &scalar);
        }
    }
    if (rc != SQLITE_OK) {
        scalar =
            (struct row_scalar){.type = ROW_BLOB, .data = key.data, .size_bytes = key.size_bytes};
        listing_add_scalar(rows->listing, &scalar);
    }
}

static void add_row(void *context, const struct faster_finding *finding) {
    const struct rows *rows = context;
    listing_add_text(rows->listing, finding->what);
    listing_add_text(rows->listing, finding->file);
    listing_add_integer(rows->listing, finding->offset);
    listing_add_integer(rows->listing, finding->address);
    add_key(rows, finding->key);
}

static int fill(struct table *table, struct listing *listing) {
    struct rows rows = {&table->schema, listing};
    uint64_t count = 0;
    return verify(table, add_row, &rows, &count);
}

const struct listing_kind FINDINGS_LISTING = {
    .name = "faster_verify",
    .columns = "what TEXT, file TEXT, offset INTEGER, address INTEGER, key",
    .column_count = 5,
    .direct_only = true,
    .fill = fill,
};
