/* row_write.c - see row_write.h. */
#include "sql/row_write.h"

#include "sql/rowids.h"
#include "store/rowid_bound.h"

/* ------------------------------------------------------------------ rowid */

int row_write_mismatch(struct table *table) {
    return connection_error(table->connection, SQLITE_MISMATCH, "datatype mismatch");
}

static int rowid_of_scalar(struct table *table, const struct row_scalar *scalar, int64_t *rowid) {
    if (scalar->type == ROW_NULL || row_scalar_rowid(scalar, rowid) != SQLITE_OK) {
        return row_write_mismatch(table);
    }
    return SQLITE_OK;
}

static const struct row_scalar *rowid_scalar(const struct row_write *row) {
    const struct table_schema *schema = &row->table->schema;
    return schema->kind == SCHEMA_ROWID_INTEGER ? &row->values->columns[schema->key[0].column]
                                                : NULL;
}

static int set_rowid_key(struct row_write *row) {
    unsigned char bytes[KEY_ROWID_BYTES];
    key_encode_rowid(row->rowid, bytes);
    row_buffer_clear(&row->values->key);
    return row_buffer_append(&row->values->key, bytes, sizeof(bytes));
}

/* The rowid of a new row: the INTEGER PRIMARY KEY's value, else what was given for `rowid`,
 * else the next one. */
int row_write_rowid_of_insert(struct row_write *row, sqlite3_value *given) {
    const struct row_scalar *scalar = rowid_scalar(row);
    int rc = SQLITE_OK;
    if (scalar != NULL && scalar->type != ROW_NULL) {
        rc = rowid_of_scalar(row->table, scalar, &row->rowid);
    } else if (sqlite3_value_type(given) != SQLITE_NULL) {
        row->rowid = sqlite3_value_int64(given);
    } else {
        row->rowid_is_free = true;
        rc = rowids_choose(row->table, row->attachment, &row->rowid);
    }
    return rc == SQLITE_OK ? set_rowid_key(row) : rc;
}

/* The rowid after an UPDATE; SET rowid = ... shows in `given`, SET id = ... in the column. */
int row_write_rowid_of_update(struct row_write *row, int64_t old, sqlite3_value *given) {
    const struct row_scalar *scalar = rowid_scalar(row);
    if (sqlite3_value_type(given) == SQLITE_NULL) {
        return row_write_mismatch(row->table); /* SET rowid = NULL */
    }
    row->rowid = sqlite3_value_int64(given);
    if (scalar != NULL && (scalar->type != ROW_INTEGER || scalar->integer != old)) {
        int rc = rowid_of_scalar(row->table, scalar, &row->rowid);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    return set_rowid_key(row);
}

/* ----------------------------------------------------------------- errors */

/* "t.a, t.b" as SQLite names the key in its messages. */
static char *key_names(const struct table *table) {
    const struct table_schema *schema = &table->schema;
    if (schema->key_count == 0) {
        return sqlite3_mprintf("%s.rowid", table->name);
    }
    char *names = NULL;
    for (int i = 0; i < schema->key_count; i++) {
        const char *column = schema->columns[schema->key[i].column].name;
        char *longer = sqlite3_mprintf("%s%s%s.%s", names == NULL ? "" : names, i == 0 ? "" : ", ",
                                       table->name, column);
        sqlite3_free(names);
        names = longer;
    }
    return names;
}

int row_write_key_exists(const struct row_write *row) {
    struct table *table = row->table;
    int code = SQLITE_CONSTRAINT;
    if (row->conflict == SQLITE_ABORT) {
        code = table->schema.kind == SCHEMA_ROWID_IMPLICIT ? SQLITE_CONSTRAINT_ROWID
                                                           : SQLITE_CONSTRAINT_PRIMARYKEY;
    }
    char *names = key_names(table);
    int rc = connection_error(table->connection, code, "UNIQUE constraint failed: %s",
                              names == NULL ? table->name : names);
    sqlite3_free(names);
    return rc;
}

/* ------------------------------------------------------------------ store */

/* After a row was stored: what the next commit row has to say about the keys. */
void row_write_note_key(const struct row_write *row) {
    struct attachment *attachment = row->attachment;
    const struct table_schema *schema = &row->table->schema;
    if (schema_has_rowid(schema)) {
        rowid_bound_stored(&attachment->rowids, row->rowid);
        return;
    }
    enum key_text text = key_text_of(row->values->parts, schema->key_count);
    if (text > attachment->key_text) {
        attachment->key_text = text;
    }
}

int row_write_put(const struct row_write *row, point_write_fn *write) {
    struct faster_op op = {.key = row_buffer_bytes(&row->values->key),
                           .value = row_buffer_bytes(&row->values->value)};
    enum faster_status status = point_write(row->attachment, write, &op);
    if (status == FASTER_EXISTS && row->rowid_is_free) {
        return connection_error(row->table->connection, SQLITE_CORRUPT_VTAB,
                                "%s: the largest rowid noted in its shadow table is too small",
                                row->table->name);
    }
    if (status == FASTER_EXISTS) {
        return row_write_key_exists(row);
    }
    if (status != FASTER_OK) {
        return table_engine_error(row->table, status);
    }
    row_write_note_key(row);
    return SQLITE_OK;
}

int row_write_remove(struct table *table, struct attachment *attachment,
                     const struct row_buffer *key) {
    struct faster_op op = {.key = row_buffer_bytes(key)};
    enum faster_status status = point_write(attachment, faster_txn_delete, &op);
    int64_t rowid;
    if (status != FASTER_OK && status != FASTER_NOT_FOUND) {
        return table_engine_error(table, status);
    }
    if (schema_has_rowid(&table->schema) && key_decode_rowid(op.key, &rowid) == SQLITE_OK) {
        rowid_bound_deleted(&attachment->rowids, rowid);
    }
    return SQLITE_OK;
}

point_write_fn *row_write_function(const struct row_write *row) {
    /* A chosen rowid is free if the bound in the commit row is right: that is not trusted. */
    return row->conflict == SQLITE_REPLACE && !row->rowid_is_free ? faster_txn_upsert
                                                                  : faster_txn_insert;
}

/* An UPDATE that changes the key. */
int row_write_move(const struct row_write *row) {
    struct faster_txn *txn = row->attachment->txn;
    int level = row->table->connection->open_level + 1;
    enum faster_status status = faster_txn_savepoint(txn, level);
    if (status != FASTER_OK) {
        return table_engine_error(row->table, status);
    }
    int rc = row_write_put(row, row_write_function(row));
    if (rc == SQLITE_OK) {
        rc = row_write_remove(row->table, row->attachment, &row->values->old_key);
    }
    if (rc != SQLITE_OK) {
        status = faster_txn_rollback_to(txn, level);
        rowid_bound_undone(&row->attachment->rowids);
        row->attachment->broken = row->attachment->broken || status != FASTER_OK;
        rc = status == FASTER_OK ? rc : table_engine_error(row->table, status);
    }
    faster_txn_release(txn, level);
    return rc;
}
