/* fuzz_codec.c - keys and values of rows, and lists of keys, in bytes that nobody encoded (P8).
 *
 * Input: what it is, which table, then (a) a key and a value as bytes, (b) columns to encode, or
 * (c) a list of keys. Properties: (a) every column is read or is damage, and a row that can be read
 * is encoded to one that is read the same; (b) what was encoded is read back, and equal columns
 * make equal keys; (c) a list ends or names a place within it, and one of JSON that is accepted is
 * an array of as many values for SQLite, too.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/key_reader.h"
#include "codec/row_codec.h"
#include "fuzz/fuzz.h"

#define COLUMNS_MAX 5

enum { KIND_BYTES, KIND_COLUMNS, KIND_JSON, KIND_PACKED, KIND_COUNT };

static const char *const tables[][COLUMNS_MAX + 1] = {
    {"id INTEGER PRIMARY KEY", "a", "b TEXT", NULL},
    {"a", "b REAL", "c INTEGER", NULL},
    {"k TEXT PRIMARY KEY COLLATE NOCASE", "v", NULL},
    {"k REAL PRIMARY KEY", "v NUMERIC", NULL},
    {"k PRIMARY KEY", "v BLOB", NULL},
    {"a TEXT COLLATE RTRIM", "b REAL", "c", "d NUMERIC", "PRIMARY KEY (c, a, b)", NULL},
};
#define TABLE_COUNT (sizeof tables / sizeof tables[0])

static const struct table_schema *schema_of(unsigned table) {
    static struct table_schema schemas[TABLE_COUNT];
    struct table_schema *schema = &schemas[table];
    int count = 0;
    char *error;
    while (tables[table][count] != NULL) {
        count++;
    }
    if (schema->column_count == 0) {
        FUZZ_CHECK(schema_parse("t", count, tables[table], schema, &error) == SQLITE_OK, "%s",
                   error);
    }
    return schema;
}

static bool scalars_equal(const struct row_scalar *a, const struct row_scalar *b) {
    if (a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case ROW_NULL:
        return true;
    case ROW_INTEGER:
        return a->integer == b->integer;
    case ROW_REAL:
        return a->real == b->real; /* -0.0 in a key becomes 0.0 */
    case ROW_TEXT:
    case ROW_BLOB:
        return a->size_bytes == b->size_bytes &&
               (a->size_bytes == 0 || memcmp(a->data, b->data, a->size_bytes) == 0);
    }
    return false;
}

/* ---- whole rows ---- */

struct row {
    const struct table_schema *schema;
    struct row_scalar columns[COLUMNS_MAX];
    int64_t rowid;
};

/* False: damage. The columns borrow from key and value. */
static bool read_row(struct row *row, struct faster_bytes key, struct faster_bytes value) {
    struct row_view view;
    bool is_whole =
        !schema_has_rowid(row->schema) || key_decode_rowid(key, &row->rowid) == SQLITE_OK;
    const int rc = row_view_open(&view, row->schema, key, value);
    FUZZ_CHECK(rc == SQLITE_OK || rc == SQLITE_CORRUPT_VTAB, "row_view_open: %d", rc);
    is_whole = is_whole && rc == SQLITE_OK;
    for (int i = 0; rc == SQLITE_OK && i < row->schema->column_count; i++) {
        struct row_scalar first;
        const int read = row_view_column(&view, i, &row->columns[i]);
        FUZZ_CHECK(read == SQLITE_OK || read == SQLITE_CORRUPT_VTAB, "column: %d", read);
        is_whole = is_whole && read == SQLITE_OK;
        if (read == SQLITE_OK && i > 0) {
            /* Backwards, and forward again. */
            FUZZ_CHECK(row_view_column(&view, 0, &first) != SQLITE_OK ||
                           scalars_equal(&first, &row->columns[0]),
                       "column 0 has changed");
            FUZZ_CHECK(row_view_column(&view, i, &first) == SQLITE_OK &&
                           scalars_equal(&first, &row->columns[i]),
                       "column %d has changed", i);
        }
    }
    return is_whole;
}

/* SQLITE_OK, or SQLITE_CONSTRAINT_NOTNULL. */
static int encode_row(const struct row *row, struct row_buffer *key, struct row_buffer *value) {
    struct row_scalar parts[COLUMNS_MAX];
    unsigned char rowid[KEY_ROWID_BYTES];
    int rc;
    if (schema_has_rowid(row->schema)) {
        key_encode_rowid(row->rowid, rowid);
        rc = row_buffer_append(key, rowid, sizeof rowid);
    } else {
        for (int i = 0; i < row->schema->key_count; i++) {
            parts[i] = row->columns[row->schema->key[i].column];
        }
        rc = key_encode(row->schema, parts, key);
    }
    FUZZ_CHECK(rc == SQLITE_OK || rc == SQLITE_CONSTRAINT_NOTNULL, "key: %d", rc);
    if (rc == SQLITE_OK) {
        FUZZ_CHECK(row_encode(row->schema, row->columns, value) == SQLITE_OK, "value");
    }
    return rc;
}

/* The row is read from what it is encoded to, and encoded so again. */
static void check_round_trip(const struct row *row) {
    struct row_buffer keys[2] = {{0}};
    struct row_buffer values[2] = {{0}};
    struct row again = {.schema = row->schema};
    if (encode_row(row, &keys[0], &values[0]) == SQLITE_OK) {
        FUZZ_CHECK(read_row(&again, row_buffer_bytes(&keys[0]), row_buffer_bytes(&values[0])),
                   "what was encoded counts as damaged");
        FUZZ_CHECK(again.rowid == row->rowid, "rowid");
        for (int i = 0; i < row->schema->column_count; i++) {
            const bool is_rowid =
                row->schema->kind == SCHEMA_ROWID_INTEGER && row->schema->columns[i].key_index >= 0;
            FUZZ_CHECK(is_rowid || scalars_equal(&row->columns[i], &again.columns[i]),
                       "column %d is read otherwise than it was written", i);
        }
        FUZZ_CHECK(encode_row(&again, &keys[1], &values[1]) == SQLITE_OK &&
                       keys[0].size_bytes == keys[1].size_bytes &&
                       memcmp(keys[0].data, keys[1].data, keys[0].size_bytes) == 0,
                   "equal columns make different keys");
    }
    for (int i = 0; i < 2; i++) {
        row_buffer_finish(&keys[i]);
        row_buffer_finish(&values[i]);
    }
}

static void check_bytes(struct fuzz_input *input) {
    struct row row = {.schema = schema_of(fuzz_below(input, TABLE_COUNT))};
    const struct fuzz_input key = fuzz_part(input, fuzz_byte(input));
    void *key_bytes = fuzz_exact(key.at, key.left_bytes);
    const size_t count = input->left_bytes;
    void *value_bytes = fuzz_exact(input->at, count);
    for (int i = 0; !schema_has_rowid(row.schema) && i < row.schema->key_count; i++) {
        struct row_scalar part;
        const int rc =
            key_decode_part(row.schema, (struct faster_bytes){key_bytes, key.left_bytes}, i, &part);
        FUZZ_CHECK(rc == SQLITE_OK || rc == SQLITE_CORRUPT_VTAB, "key part: %d", rc);
    }
    if (read_row(&row, (struct faster_bytes){key_bytes, key.left_bytes},
                 (struct faster_bytes){value_bytes, count})) {
        for (int i = 0; i < row.schema->column_count; i++) {
            FUZZ_CHECK(row_scalar_apply_affinity(&row.columns[i],
                                                 row.schema->columns[i].affinity) == SQLITE_OK,
                       "affinity");
        }
        check_round_trip(&row);
        for (int i = 0; i < row.schema->column_count; i++) {
            row_scalar_finish(&row.columns[i]);
        }
    }
    free(key_bytes);
    free(value_bytes);
}

static struct row_scalar take_scalar(struct fuzz_input *input) {
    struct row_scalar scalar = {.type = (enum row_type)fuzz_below(input, 5)};
    uint64_t word;
    if (scalar.type == ROW_TEXT || scalar.type == ROW_BLOB) {
        const struct fuzz_input part = fuzz_part(input, fuzz_byte(input));
        scalar.data = part.at;
        scalar.size_bytes = part.left_bytes;
    } else if (scalar.type == ROW_INTEGER) {
        scalar.integer = (int64_t)fuzz_u64(input);
    } else if (scalar.type == ROW_REAL) {
        word = fuzz_u64(input);
        memcpy(&scalar.real, &word, sizeof word);
        scalar.type = isnan(scalar.real) ? ROW_NULL : ROW_REAL;
    }
    return scalar;
}

static void check_columns(struct fuzz_input *input) {
    struct row row = {.schema = schema_of(fuzz_below(input, TABLE_COUNT))};
    row.rowid = schema_has_rowid(row.schema) ? (int64_t)fuzz_u64(input) : 0;
    for (int i = 0; i < row.schema->column_count; i++) {
        row.columns[i] = take_scalar(input);
        FUZZ_CHECK(row_scalar_apply_affinity(&row.columns[i], row.schema->columns[i].affinity) ==
                       SQLITE_OK,
                   "affinity");
    }
    check_round_trip(&row);
    for (int i = 0; i < row.schema->column_count; i++) {
        row_scalar_finish(&row.columns[i]);
    }
}

/* ---- lists of keys ---- */

/* How many values SQLite finds in the array; -1: it is none. */
static int64_t count_json(const void *text, size_t size) {
    static sqlite3 *db;
    static sqlite3_stmt *count;
    if (db == NULL) {
        FUZZ_CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK &&
                       sqlite3_prepare_v2(db,
                                          "SELECT CASE WHEN json_valid(?1) AND json_type(?1) = "
                                          "'array' THEN json_array_length(?1) ELSE -1 END",
                                          -1, &count, NULL) == SQLITE_OK,
                   "no database");
    }
    sqlite3_bind_text(count, 1, text, (int)size, SQLITE_STATIC);
    FUZZ_CHECK(sqlite3_step(count) == SQLITE_ROW, "%s", sqlite3_errmsg(db));
    const int64_t found = sqlite3_column_int64(count, 0);
    sqlite3_reset(count);
    sqlite3_clear_bindings(count);
    return found;
}

static void check_list(struct fuzz_input *input, bool is_json) {
    const size_t size = input->left_bytes;
    void *bytes = fuzz_exact(input->at, size);
    struct key_reader reader;
    struct row_scalar scalar = {0};
    enum key_item item = KEY_ITEM_VALUE;
    size_t count = 0;
    int rc = key_reader_init(&reader, is_json, bytes, size);
    while (rc == SQLITE_OK && item != KEY_ITEM_END) {
        rc = key_reader_next(&reader, &item, &scalar);
        count += rc == SQLITE_OK && item != KEY_ITEM_END;
        FUZZ_CHECK(count <= size, "more keys than bytes");
    }
    FUZZ_CHECK(rc == SQLITE_OK || rc == SQLITE_ERROR, "list: %d", rc);
    FUZZ_CHECK(rc == SQLITE_OK || (reader.problem != NULL && reader.problem_at_bytes <= size),
               "a problem without its place");
    if (rc == SQLITE_OK && is_json) {
        const int64_t found =
            memchr(bytes, 0, size) == NULL ? count_json(bytes, size) : (int64_t)count;
        FUZZ_CHECK(found == (int64_t)count, "SQLite finds %lld values, and not %zu",
                   (long long)found, count);
    }
    key_reader_finish(&reader);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes) {
    struct fuzz_input input = {data, size_bytes};
    switch (fuzz_below(&input, KIND_COUNT)) {
    case KIND_BYTES:
        check_bytes(&input);
        break;
    case KIND_COLUMNS:
        check_columns(&input);
        break;
    case KIND_JSON:
        check_list(&input, true);
        break;
    default:
        check_list(&input, false);
        break;
    }
    return 0;
}
