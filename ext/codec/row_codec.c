/* row_codec.c - the bytes of a record's value.
 *
 *     version     1 byte: 1
 *     head size   varint: the bytes of the codes
 *     codes       one varint per declared column, in order; NULLs at the end are left out
 *     bodies      in the same order
 *
 * Codes:
 *
 *     0           NULL                            no body
 *     1 .. 8      an integer in so many bytes, as row_integer_write() makes them
 *     9, 10       the integers 0 and 1            no body
 *     11          a REAL: 8 bytes
 *     12          as the key has it               no body
 *     13 .. 15    reserved
 *     16 + 2n     text of n bytes, UTF-8
 *     17 + 2n     a blob of n bytes
 *
 * The head alone tells where a column's body is, so one column is read without the
 * others. A key column has code 12 unless its stored form differs from what the key
 * knows, for instance in the case of a NOCASE text.
 */
#include "codec/row_codec.h"

#include <string.h>

#include "codec/row_internal.h"

#define VERSION 1u

enum code {
    CODE_NULL = 0,
    CODE_INTEGER_MIN = 1,
    CODE_INTEGER_MAX = 8,
    CODE_ZERO = 9,
    CODE_ONE = 10,
    CODE_REAL = 11,
    CODE_KEY = 12,
    CODE_TEXT = 16,
    CODE_BLOB = 17
};

static uint64_t code_of_scalar(const struct row_scalar *scalar) {
    switch (scalar->type) {
    case ROW_NULL:
        return CODE_NULL;
    case ROW_INTEGER:
        if (scalar->integer == 0 || scalar->integer == 1) {
            return scalar->integer == 0 ? CODE_ZERO : CODE_ONE;
        }
        return row_integer_size(scalar->integer);
    case ROW_REAL:
        return CODE_REAL;
    case ROW_TEXT:
        return CODE_TEXT + 2 * (uint64_t)scalar->size_bytes;
    case ROW_BLOB:
        return CODE_BLOB + 2 * (uint64_t)scalar->size_bytes;
    }
    return CODE_NULL;
}

static uint64_t code_of_column(const struct table_schema *schema, int column,
                               const struct row_scalar *scalar) {
    int part = schema->columns[column].key_index;
    if (part >= 0 &&
        (schema->kind == SCHEMA_ROWID_INTEGER || key_keeps_part(schema, part, scalar))) {
        return CODE_KEY;
    }
    return code_of_scalar(scalar);
}

/* The body's size, or false for a reserved code. */
static bool body_size(uint64_t code, uint64_t *size_bytes) {
    if (code >= CODE_TEXT) {
        *size_bytes = (code - CODE_TEXT) / 2;
        return true;
    }
    if (code >= CODE_INTEGER_MIN && code <= CODE_INTEGER_MAX) {
        *size_bytes = code;
        return true;
    }
    *size_bytes = code == CODE_REAL ? 8 : 0;
    return code <= CODE_KEY;
}

static size_t write_body(unsigned char *at, uint64_t code, const struct row_scalar *scalar) {
    if (code >= CODE_TEXT) {
        if (scalar->size_bytes > 0) {
            memcpy(at, scalar->data, scalar->size_bytes);
        }
        return scalar->size_bytes;
    }
    if (code >= CODE_INTEGER_MIN && code <= CODE_INTEGER_MAX) {
        row_integer_write(at, (unsigned)code, scalar->integer);
        return (size_t)code;
    }
    if (code == CODE_REAL) {
        row_real_write(at, scalar->real);
        return 8;
    }
    return 0;
}

/* What a row needs, found before a byte is written. */
struct measure {
    int column_count; /* without NULLs at the end */
    size_t head_bytes;
    size_t body_bytes;
};

static struct measure measure_row(const struct table_schema *schema,
                                  const struct row_scalar *columns) {
    struct measure measure = {0};
    size_t head_bytes = 0;
    for (int i = 0; i < schema->column_count; i++) {
        uint64_t code = code_of_column(schema, i, &columns[i]);
        uint64_t size = 0;
        (void)body_size(code, &size);
        head_bytes += row_varint_size(code);
        measure.body_bytes += (size_t)size;
        if (code != CODE_NULL) {
            measure.column_count = i + 1;
            measure.head_bytes = head_bytes;
        }
    }
    return measure;
}

int row_encode(const struct table_schema *schema, const struct row_scalar *columns,
               struct row_buffer *value) {
    struct measure measure = measure_row(schema, columns);
    int rc = row_buffer_reserve(value,
                                1 + ROW_VARINT_BYTES_MAX + measure.head_bytes + measure.body_bytes);
    if (rc != SQLITE_OK) {
        return rc;
    }
    unsigned char *head = value->data + value->size_bytes;
    *head++ = VERSION;
    head += row_varint_write(head, measure.head_bytes);
    unsigned char *body = head + measure.head_bytes;
    for (int i = 0; i < measure.column_count; i++) {
        uint64_t code = code_of_column(schema, i, &columns[i]);
        head += row_varint_write(head, code);
        body += write_body(body, code, &columns[i]);
    }
    value->size_bytes = (size_t)(body - value->data);
    return SQLITE_OK;
}

/* Stands the view in front of column 0. REQUIRES: the head was checked. */
static void rewind_view(struct row_view *view, size_t head_at) {
    view->head_at = head_at;
    view->body_at = view->head_end;
    view->column = 0;
}

static size_t head_start(const struct row_view *view, uint64_t *head_bytes) {
    const unsigned char *bytes = view->value.data;
    size_t size = row_varint_read(bytes + 1, view->value.size_bytes - 1, head_bytes);
    return size == 0 ? 0 : 1 + size;
}

int row_view_open(struct row_view *view, const struct table_schema *schema, struct faster_bytes key,
                  struct faster_bytes value) {
    *view = (struct row_view){.schema = schema, .key = key, .value = value};
    const unsigned char *bytes = value.data;
    if (value.size_bytes < 2 || bytes[0] != VERSION) {
        return SQLITE_CORRUPT_VTAB;
    }
    uint64_t head_bytes = 0;
    size_t start = head_start(view, &head_bytes);
    if (start == 0 || head_bytes > value.size_bytes - start) {
        return SQLITE_CORRUPT_VTAB;
    }
    view->head_end = start + (size_t)head_bytes;
    rewind_view(view, start);
    return SQLITE_OK;
}

/* Reads the next column's code and checks that its body is there. False: damaged. */
static bool next_code(struct row_view *view, uint64_t *code, uint64_t *size_bytes) {
    const unsigned char *bytes = view->value.data;
    *code = CODE_NULL;
    *size_bytes = 0;
    if (view->head_at == view->head_end) {
        return true;
    }
    size_t code_size = row_varint_read(bytes + view->head_at, view->head_end - view->head_at, code);
    if (code_size == 0 || !body_size(*code, size_bytes) ||
        *size_bytes > view->value.size_bytes - view->body_at) {
        return false;
    }
    view->head_at += code_size;
    return true;
}

static int read_from_key(const struct row_view *view, int column, struct row_scalar *scalar) {
    int part = view->schema->columns[column].key_index;
    if (part < 0) {
        return SQLITE_CORRUPT_VTAB;
    }
    if (view->schema->kind == SCHEMA_ROWID_INTEGER) {
        scalar->type = ROW_INTEGER;
        return key_decode_rowid(view->key, &scalar->integer);
    }
    return key_decode_part(view->schema, view->key, part, scalar);
}

static int read_body(const struct row_view *view, int column, uint64_t code,
                     struct row_scalar *scalar) {
    const unsigned char *body = (const unsigned char *)view->value.data + view->body_at;
    if (code >= CODE_TEXT) {
        scalar->type = code % 2 == 0 ? ROW_TEXT : ROW_BLOB;
        scalar->data = body;
        scalar->size_bytes = (size_t)((code - CODE_TEXT) / 2);
    } else if (code == CODE_KEY) {
        return read_from_key(view, column, scalar);
    } else if (code == CODE_REAL) {
        scalar->type = ROW_REAL;
        return row_real_read(body, &scalar->real) ? SQLITE_OK : SQLITE_CORRUPT_VTAB;
    } else if (code != CODE_NULL) {
        scalar->type = ROW_INTEGER;
        scalar->integer = code <= CODE_INTEGER_MAX ? row_integer_read(body, (unsigned)code)
                                                   : (int64_t)code - CODE_ZERO;
    }
    return SQLITE_OK;
}

int row_view_column(struct row_view *view, int column, struct row_scalar *scalar) {
    uint64_t head_bytes;
    *scalar = (struct row_scalar){.type = ROW_NULL};
    if (column < view->column) {
        rewind_view(view, head_start(view, &head_bytes));
    }
    for (;;) {
        uint64_t code;
        uint64_t size;
        size_t head_at = view->head_at;
        if (!next_code(view, &code, &size)) {
            return SQLITE_CORRUPT_VTAB;
        }
        if (view->column == column) {
            /* Stay in front of it: the same column may be asked for again. */
            view->head_at = head_at;
            return read_body(view, column, code, scalar);
        }
        view->body_at += (size_t)size;
        view->column++;
    }
}

int row_view_result(struct row_view *view, int column, sqlite3_context *context,
                    sqlite3_destructor_type destructor) {
    struct row_scalar scalar;
    int rc = row_view_column(view, column, &scalar);
    if (rc == SQLITE_OK) {
        row_scalar_result(context, &scalar, destructor);
    }
    return rc;
}

/* A row of so many columns is changed without memory of its own: SQLite's has a lock. */
#define COLUMN_COUNT_FEW 16

int row_replace_column(struct row_view *view, int column, const struct row_scalar *scalar,
                       struct row_buffer *value) {
    int count = view->schema->column_count;
    struct row_scalar few[COLUMN_COUNT_FEW];
    struct row_scalar *columns =
        count <= COLUMN_COUNT_FEW ? few : sqlite3_malloc64((size_t)count * sizeof *columns);
    if (columns == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = SQLITE_OK;
    for (int i = 0; i < count && rc == SQLITE_OK; i++) {
        rc = row_view_column(view, i, &columns[i]);
    }
    if (rc == SQLITE_OK) {
        columns[column] = *scalar;
        rc = row_encode(view->schema, columns, value);
    }
    if (columns != few) {
        sqlite3_free(columns);
    }
    return rc;
}
