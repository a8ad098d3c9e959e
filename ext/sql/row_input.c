/* row_input.c - see row_input.h. */
#include "sql/row_input.h"

/* ------------------------------------------------------------------ spare */

struct row_values *row_input_take(struct table *table) {
    struct row_values *values = table->spare_values;
    table->spare_values = NULL;
    return values != NULL ? values : row_values_create(&table->schema);
}

void row_input_give_back(struct table *table, struct row_values *values) {
    if (values == NULL) {
        return;
    }
    row_values_clear(values);
    if (table->spare_values == NULL) {
        table->spare_values = values;
    } else {
        row_values_destroy(values);
    }
}

/* ------------------------------------------------------------------- load */

/* What a column stores by default; the scalar owns what it needs. */
static int load_default(struct table *table, const struct schema_column *column,
                        struct row_scalar *scalar) {
    sqlite3_value *value = NULL;
    int rc = schema_default_value(table->connection->db, column, &value);
    if (rc != SQLITE_OK) {
        return connection_sqlite_error(table->connection, rc);
    }
    rc = row_scalar_from_value(value, column->affinity, scalar);
    if (rc == SQLITE_OK && scalar->owned_value == NULL) {
        scalar->owned_value = value;
    } else {
        sqlite3_value_free(value);
    }
    return rc;
}

/* An ordinary constraint error: where another resolution than ABORT applies, SQLite wants
 * the primary code and does the rest. */
static int constraint_code(int conflict, int extended_code) {
    return conflict == SQLITE_ABORT || conflict == SQLITE_REPLACE ? extended_code
                                                                  : SQLITE_CONSTRAINT;
}

static int refuse_null(struct table *table, const struct schema_column *column,
                       struct row_scalar *scalar, int conflict, bool *skip) {
    if (conflict == SQLITE_ABORT) {
        conflict = column->not_null_conflict;
        if (conflict == SQLITE_IGNORE) {
            *skip = true;
            return SQLITE_OK;
        }
    }
    if (conflict == SQLITE_REPLACE && column->default_sql != NULL) {
        int rc = load_default(table, column, scalar);
        if (rc != SQLITE_OK || scalar->type != ROW_NULL) {
            return rc;
        }
    }
    return connection_error(table->connection, constraint_code(conflict, SQLITE_CONSTRAINT_NOTNULL),
                            "NOT NULL constraint failed: %s.%s", table->name, column->name);
}

static bool is_rowid_column(const struct table_schema *schema, int column) {
    return schema->kind == SCHEMA_ROWID_INTEGER && schema->key[0].column == column;
}

int row_input_load_column(struct table *table, struct row_values *values, int index,
                          sqlite3_value *given, bool is_insert) {
    const struct schema_column *column = &table->schema.columns[index];
    struct row_scalar *scalar = &values->columns[index];
    int rc = row_scalar_from_value(given, column->affinity, scalar);
    if (rc == SQLITE_OK && is_insert && scalar->type == ROW_NULL && column->default_sql != NULL &&
        !is_rowid_column(&table->schema, index)) {
        rc = load_default(table, column, scalar);
    }
    return rc;
}

int row_input_load(struct table *table, struct row_values *values, sqlite3_value **columns,
                   bool is_insert) {
    int rc = SQLITE_OK;
    for (int i = 0; i < table->schema.column_count && rc == SQLITE_OK; i++) {
        rc = row_input_load_column(table, values, i, columns[i], is_insert);
    }
    return rc;
}

int row_input_check(struct table *table, struct row_values *values, int conflict, bool *skip) {
    const struct table_schema *schema = &table->schema;
    int rc = SQLITE_OK;
    *skip = false;
    for (int i = 0; i < schema->column_count && rc == SQLITE_OK && !*skip; i++) {
        const struct schema_column *column = &schema->columns[i];
        if (column->not_null && values->columns[i].type == ROW_NULL &&
            !is_rowid_column(schema, i)) {
            rc = refuse_null(table, column, &values->columns[i], conflict, skip);
        }
    }
    return rc;
}

/* ------------------------------------------------------------------- keys */

/* SQLITE_TOOBIG, with a message, if the key is longer than the store takes. */
static int check_key(struct table *table, const struct row_buffer *key) {
    if (key->size_bytes <= FASTER_KEY_BYTES_MAX) {
        return SQLITE_OK;
    }
    return connection_error(
        table->connection, SQLITE_TOOBIG,
        "%s: the key takes %llu bytes, one or more of them for its type, at most "
        "%u are allowed",
        table->name, (unsigned long long)key->size_bytes, FASTER_KEY_BYTES_MAX);
}

int row_input_encode_key(struct table *table, struct row_values *values) {
    const struct table_schema *schema = &table->schema;
    for (int i = 0; i < schema->key_count; i++) {
        values->parts[i] = values->columns[schema->key[i].column];
    }
    row_buffer_clear(&values->key);
    int rc = key_encode(schema, values->parts, &values->key);
    return rc == SQLITE_OK ? check_key(table, &values->key) : rc;
}

int row_input_check_length(struct table *table, size_t size_bytes) {
    const int limit_bytes = sqlite3_limit(table->connection->db, SQLITE_LIMIT_LENGTH, -1);
    if (size_bytes <= (size_t)limit_bytes) {
        return SQLITE_OK;
    }
    return connection_error(table->connection, SQLITE_TOOBIG,
                            "%s: the row takes %llu bytes, at most %d are allowed", table->name,
                            (unsigned long long)size_bytes, limit_bytes);
}

int row_input_encode(struct table *table, struct row_values *values) {
    row_buffer_clear(&values->value);
    int rc = row_encode(&table->schema, values->columns, &values->value);
    return rc == SQLITE_OK ? row_input_check_length(table, values->value.size_bytes) : rc;
}

static int encode_rowid(sqlite3_value *value, struct row_buffer *key, bool *matches) {
    struct row_scalar scalar = {0};
    int64_t rowid = 0;
    int rc = row_scalar_from_value(value, SCHEMA_INTEGER, &scalar);
    if (rc != SQLITE_OK) {
        return rc;
    }
    *matches = scalar.type != ROW_NULL && row_scalar_rowid(&scalar, &rowid) == SQLITE_OK;
    row_scalar_finish(&scalar);
    if (*matches) {
        unsigned char bytes[KEY_ROWID_BYTES];
        key_encode_rowid(rowid, bytes);
        rc = row_buffer_append(key, bytes, sizeof(bytes));
    }
    return rc;
}

int row_input_encode_single_key(struct table *table, sqlite3_value *value, struct row_buffer *key,
                                bool *matches) {
    const struct table_schema *schema = &table->schema;
    row_buffer_clear(key);
    if (schema_has_rowid(schema)) {
        return encode_rowid(value, key, matches);
    }
    struct row_scalar scalar = {0};
    const struct schema_column *column = &schema->columns[schema->key[0].column];
    int rc = row_scalar_from_value(value, column->affinity, &scalar);
    *matches = scalar.type != ROW_NULL;
    if (rc == SQLITE_OK && *matches) {
        rc = key_encode(schema, &scalar, key);
    }
    row_scalar_finish(&scalar);
    if (rc == SQLITE_OK && key->size_bytes > FASTER_KEY_BYTES_MAX) {
        *matches = false;
    }
    return rc;
}
