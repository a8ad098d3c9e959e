/* mget_keys.c - see mget_keys.h. */
#include "sql/mget_keys.h"

#include <stdint.h>

#include "codec/key_reader.h"

struct loader {
    struct table *table;
    struct key_list *list;
    enum schema_affinity affinity;
    struct key_reader reader;
    sqlite3_stmt *conversion; /* see convert(), or NULL */
};

/* ------------------------------------------------------------- conversion
 * What SQLite makes of text that is a number, and of a real that becomes text, depends on its
 * version. So SQLite does it, in a statement: such keys are rare. */

static int prepare_conversion(struct loader *loader) {
    if (loader->conversion != NULL) {
        return SQLITE_OK;
    }
    sqlite3 *db = loader->table->connection->db;
    return sqlite3_prepare_v2(db, "SELECT CASE WHEN ?2 THEN CAST(?1 AS REAL) ELSE ?1 END", -1,
                              &loader->conversion, NULL);
}

static int bind_scalar(sqlite3_stmt *statement, const struct row_scalar *scalar) {
    return scalar->type == ROW_REAL
               ? sqlite3_bind_double(statement, 1, scalar->real)
               : sqlite3_bind_text64(statement, 1, scalar->data, scalar->size_bytes, SQLITE_STATIC,
                                     SQLITE_UTF8);
}

/* The scalar as an SQL value: a decimal as the REAL it is. */
static int run_conversion(struct loader *loader, const struct row_scalar *scalar, bool is_decimal,
                          sqlite3_value **value) {
    sqlite3_stmt *statement = loader->conversion;
    int rc = bind_scalar(statement, scalar);
    rc = rc == SQLITE_OK ? sqlite3_bind_int(statement, 2, is_decimal) : rc;
    rc = rc == SQLITE_OK ? sqlite3_step(statement) : rc;
    if (rc == SQLITE_ROW) {
        *value = sqlite3_value_dup(sqlite3_column_value(statement, 0));
        rc = *value == NULL ? SQLITE_NOMEM : SQLITE_OK;
    }
    (void)sqlite3_reset(statement);
    return rc;
}

/* Replaces the scalar by what the column stores for it; it then owns its bytes. */
static int convert(struct loader *loader, struct row_scalar *scalar, bool is_decimal) {
    sqlite3_value *value = NULL;
    int rc = prepare_conversion(loader);
    rc = rc == SQLITE_OK ? run_conversion(loader, scalar, is_decimal, &value) : rc;
    if (rc != SQLITE_OK) {
        return connection_sqlite_error(loader->table->connection, rc);
    }
    rc = row_scalar_from_value(value, loader->affinity, scalar);
    if (rc == SQLITE_OK && scalar->owned_value == NULL) {
        scalar->owned_value = value;
    } else {
        sqlite3_value_free(value);
    }
    return rc;
}

/* Text of up to 18 digits without more: what programs that keep all keys as text send. */
static bool read_digits(struct row_scalar *scalar) {
    const unsigned char *text = scalar->data;
    int64_t integer = 0;
    if (scalar->size_bytes == 0 || scalar->size_bytes > 18) {
        return false;
    }
    for (size_t i = 0; i < scalar->size_bytes; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        integer = integer * 10 + (text[i] - '0');
    }
    *scalar = (struct row_scalar){.type = ROW_INTEGER, .integer = integer};
    return true;
}

static int apply_affinity(struct loader *loader, enum key_item item, struct row_scalar *scalar) {
    bool is_numeric = loader->affinity != SCHEMA_TEXT && loader->affinity != SCHEMA_BLOB;
    bool is_number_text = scalar->type == ROW_TEXT && is_numeric &&
                          (item == KEY_ITEM_DECIMAL || !read_digits(scalar));
    if (item == KEY_ITEM_DECIMAL || is_number_text ||
        (scalar->type == ROW_REAL && loader->affinity == SCHEMA_TEXT)) {
        return convert(loader, scalar, item == KEY_ITEM_DECIMAL);
    }
    return row_scalar_apply_affinity(scalar, loader->affinity);
}

/* -------------------------------------------------------------------- list */

static int append_rowid(const struct row_scalar *scalar, struct row_buffer *bytes) {
    unsigned char key[KEY_ROWID_BYTES];
    int64_t rowid;
    if (scalar->type == ROW_NULL || row_scalar_rowid(scalar, &rowid) != SQLITE_OK) {
        return SQLITE_OK;
    }
    key_encode_rowid(rowid, key);
    return row_buffer_append(bytes, key, sizeof key);
}

/* NULL equals no key, and no row has a longer one than the store takes. */
static int append_key(const struct table_schema *schema, const struct row_scalar *scalar,
                      struct row_buffer *bytes) {
    size_t offset = bytes->size_bytes;
    if (scalar->type == ROW_NULL) {
        return SQLITE_OK;
    }
    int rc = key_encode(schema, scalar, bytes);
    if (rc == SQLITE_OK && bytes->size_bytes - offset > FASTER_KEY_BYTES_MAX) {
        bytes->size_bytes = offset;
    }
    return rc;
}

static int add_key(struct loader *loader, const struct row_scalar *scalar) {
    const struct table_schema *schema = &loader->table->schema;
    struct key_list *list = loader->list;
    size_t offset;
    int rc = key_list_begin(list, &offset);
    if (rc == SQLITE_OK) {
        rc = schema_has_rowid(schema) ? append_rowid(scalar, &list->bytes)
                                      : append_key(schema, scalar, &list->bytes);
    }
    if (rc == SQLITE_OK) {
        key_list_end(list, offset);
    }
    return rc;
}

static int fail(struct loader *loader) {
    const struct key_reader *reader = &loader->reader;
    return connection_error(loader->table->connection, SQLITE_ERROR,
                            "faster_mget: key %llu, at byte %llu of keys: %s",
                            (unsigned long long)reader->index,
                            (unsigned long long)reader->problem_at_bytes, reader->problem);
}

static int load_all(struct loader *loader) {
    for (;;) {
        struct row_scalar scalar;
        enum key_item item;
        int rc = key_reader_next(&loader->reader, &item, &scalar);
        if (rc == SQLITE_OK && item == KEY_ITEM_END) {
            return SQLITE_OK;
        }
        if (rc == SQLITE_ERROR) {
            return fail(loader);
        }
        rc = rc == SQLITE_OK ? apply_affinity(loader, item, &scalar) : rc;
        rc = rc == SQLITE_OK ? add_key(loader, &scalar) : rc;
        row_scalar_finish(&scalar);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
}

static int start(struct loader *loader, sqlite3_value *value) {
    int type = sqlite3_value_type(value);
    bool is_json = type == SQLITE_TEXT;
    if (!is_json && type != SQLITE_BLOB) {
        return connection_error(loader->table->connection, SQLITE_MISMATCH,
                                "faster_mget: keys must be a JSON array or a packed blob");
    }
    const void *data =
        is_json ? (const void *)sqlite3_value_text(value) : sqlite3_value_blob(value);
    size_t size_bytes = (size_t)sqlite3_value_bytes(value);
    if (data == NULL && size_bytes > 0) {
        return SQLITE_NOMEM;
    }
    int rc = key_reader_init(&loader->reader, is_json, data == NULL ? "" : data, size_bytes);
    return rc == SQLITE_OK ? rc : fail(loader);
}

int mget_keys_load(struct table *table, sqlite3_value *value, struct key_list *list) {
    const struct table_schema *schema = &table->schema;
    struct loader loader = {.table = table, .list = list, .affinity = SCHEMA_INTEGER};
    if (!schema_has_rowid(schema)) {
        loader.affinity = schema->columns[schema->key[0].column].affinity;
    }
    key_list_clear(list, SIZE_MAX);
    if (sqlite3_value_type(value) == SQLITE_NULL) {
        return SQLITE_OK;
    }
    int rc = start(&loader, value);
    rc = rc == SQLITE_OK ? load_all(&loader) : rc;
    key_reader_finish(&loader.reader);
    (void)sqlite3_finalize(loader.conversion);
    return rc;
}
