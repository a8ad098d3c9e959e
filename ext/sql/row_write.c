/* row_write.c - see row_write.h. */
#include "sql/row_write.h"

#include "sql/rowids.h"
#include "store/key_notes.h"
#include "store/registry.h"
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

/* A statement's has been checked by SQLite, a function's has not. */
static int rowid_of_value(struct table *table, sqlite3_value *value, int64_t *rowid) {
    struct row_scalar scalar = {.type = ROW_NULL};
    int rc = row_scalar_from_value(value, SCHEMA_INTEGER, &scalar);
    rc = rc == SQLITE_OK ? rowid_of_scalar(table, &scalar, rowid) : rc;
    row_scalar_finish(&scalar);
    return rc;
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

int row_write_set_rowid(struct row_write *row, int64_t rowid) {
    row->rowid = rowid;
    return set_rowid_key(row);
}

/* The rowid of a new row: the INTEGER PRIMARY KEY's value, else what was given for `rowid`,
 * else the next one. */
int row_write_rowid_of_insert(struct row_write *row, sqlite3_value *given) {
    const struct row_scalar *scalar = rowid_scalar(row);
    int rc = SQLITE_OK;
    if (scalar != NULL && scalar->type != ROW_NULL) {
        rc = rowid_of_scalar(row->table, scalar, &row->rowid);
    } else if (sqlite3_value_type(given) != SQLITE_NULL) {
        rc = rowid_of_value(row->table, given, &row->rowid);
    } else {
        row->rowid_is_free = true;
        rc = rowids_choose(row->table, row->attachment, &row->rowid);
    }
    return rc == SQLITE_OK ? set_rowid_key(row) : rc;
}

int row_write_key_of_merge(struct row_write *row, const char *verb, sqlite3_value *given) {
    struct table *table = row->table;
    const struct row_scalar *scalar = rowid_scalar(row);
    if (!schema_has_rowid(&table->schema)) {
        int rc = row_input_encode_key(table, row->values);
        return rc != SQLITE_CONSTRAINT_NOTNULL
                   ? rc
                   : connection_error(table->connection, rc, "%s: '%s' needs the whole key",
                                      table->name, verb);
    }
    if ((scalar == NULL || scalar->type == ROW_NULL) && sqlite3_value_type(given) == SQLITE_NULL) {
        return connection_error(table->connection, SQLITE_ERROR, "%s: '%s' needs the rowid",
                                table->name, verb);
    }
    return row_write_rowid_of_insert(row, given);
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

static int key_exists(const struct row_write *row) {
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

static struct key_notes *notes_of(const struct row_write *row) {
    return registry_key_notes(row->attachment->entry);
}

static enum key_text key_text(const struct row_write *row) {
    return key_text_of(row->values->parts, row->table->schema.key_count);
}

/* key_notes.c tells why this comes first. */
void row_write_note_new_key(const struct row_write *row) {
    if (!row->attachment->direct) {
        return;
    }
    if (schema_has_rowid(&row->table->schema)) {
        key_notes_see_rowid(notes_of(row), row->rowid);
    } else {
        key_notes_see_text(notes_of(row), key_text(row));
    }
}

/* What the next commit row has to say about the keys. */
void row_write_note_stored(struct row_write *row) {
    struct attachment *attachment = row->attachment;
    row->write_count++;
    if (attachment->direct) {
        return;
    }
    if (schema_has_rowid(&row->table->schema)) {
        rowid_bound_stored(&attachment->rowids, row->rowid);
        return;
    }
    enum key_text text = key_text(row);
    if (text > attachment->key_text) {
        attachment->key_text = text;
    }
}

static int rowid_taken(struct row_write *row) {
    return connection_error(row->table->connection, SQLITE_CORRUPT_VTAB,
                            "%s: the largest rowid noted in its shadow table is too small",
                            row->table->name);
}

static int put_once(struct row_write *row, enum point_kind kind, enum faster_status *status) {
    struct faster_op op = {.key = row_buffer_bytes(&row->values->key),
                           .value = row_buffer_bytes(&row->values->value)};
    row_write_note_new_key(row);
    *status = point_write(row->attachment, kind, &op);
    if (*status == FASTER_OK) {
        row_write_note_stored(row);
        return SQLITE_OK;
    }
    return *status == FASTER_EXISTS ? SQLITE_OK : table_engine_error(row->table, *status);
}

/* In a direct table somebody may have named the rowid that was chosen: then another one is. */
int row_write_put(struct row_write *row, enum point_kind kind) {
    enum faster_status status = FASTER_EXISTS;
    int rc = put_once(row, kind, &status);
    while (rc == SQLITE_OK && status == FASTER_EXISTS && row->rowid_is_free) {
        if (!row->attachment->direct) {
            return rowid_taken(row);
        }
        rc = rowids_choose(row->table, row->attachment, &row->rowid);
        rc = rc == SQLITE_OK ? set_rowid_key(row) : rc;
        rc = rc == SQLITE_OK ? put_once(row, kind, &status) : rc;
    }
    return rc == SQLITE_OK && status == FASTER_EXISTS ? key_exists(row) : rc;
}

/* How a new row is stored: blindly if nothing need be in its way. A chosen rowid is free if what
 * is known of the largest one is right: that is not trusted. */
static enum point_kind kind_of_insert(const struct row_write *row) {
    return row->conflict == SQLITE_REPLACE && !row->rowid_is_free ? POINT_UPSERT : POINT_INSERT;
}

int row_write_insert(struct row_write *row, sqlite3_value *given, bool *stored) {
    struct table *table = row->table;
    struct row_values *values = row->values;
    bool has_rowid = schema_has_rowid(&table->schema);
    bool skip = false;
    *stored = false;
    /* A rowid that is none is found before a NULL, as in an ordinary table. */
    int rc = has_rowid ? row_write_rowid_of_insert(row, given) : SQLITE_OK;
    rc = rc == SQLITE_OK ? row_input_check(table, values, row->conflict, &skip) : rc;
    if (rc != SQLITE_OK || skip) {
        return rc;
    }
    rc = has_rowid ? SQLITE_OK : row_input_encode_key(table, values);
    rc = rc == SQLITE_OK ? row_input_encode(table, values) : rc;
    rc = rc == SQLITE_OK ? row_write_put(row, kind_of_insert(row)) : rc;
    *stored = rc == SQLITE_OK;
    return rc;
}

static enum faster_status replace_if_there(void *context, const struct faster_bytes *old,
                                           struct faster_buffer *new_value) {
    const struct row_buffer *value = context;
    return old == NULL ? FASTER_NOT_FOUND
                       : faster_buffer_assign(new_value, value->data, value->size_bytes);
}

/* Nobody else writes a transactional table between the statement's read and this. */
int row_write_replace(struct row_write *row) {
    if (!row->attachment->direct) {
        return row_write_put(row, POINT_UPSERT);
    }
    struct faster_op op = {.key = row_buffer_bytes(&row->values->key),
                           .merge = replace_if_there,
                           .context = &row->values->value};
    enum faster_status status = point_write(row->attachment, POINT_RMW, &op);
    if (status != FASTER_OK && status != FASTER_NOT_FOUND) {
        return table_engine_error(row->table, status);
    }
    row->write_count += status == FASTER_OK;
    return SQLITE_OK;
}

int row_write_remove(struct row_write *row) {
    struct faster_op op = {.key = row_buffer_bytes(&row->values->old_key)};
    enum faster_status status = point_write(row->attachment, POINT_DELETE, &op);
    int64_t rowid;
    if (status != FASTER_OK && status != FASTER_NOT_FOUND) {
        return table_engine_error(row->table, status);
    }
    row->write_count++;
    if (schema_has_rowid(&row->table->schema) && key_decode_rowid(op.key, &rowid) == SQLITE_OK) {
        rowid_bound_deleted(&row->attachment->rowids, rowid);
    }
    return SQLITE_OK;
}

static int put_and_remove(struct row_write *row) {
    int rc = row_write_put(row, kind_of_insert(row));
    return rc == SQLITE_OK ? row_write_remove(row) : rc;
}

/* Only statements lock keys, one at a time under SQLite's write lock: nobody is waited for long. */
#define MOVE_WAIT_NS UINT64_C(1000000000)

/* Nobody writes the two keys between the look and the last write: functions that would wait. So a
 * row that one of them has removed since the statement read it stays removed, and what it stores
 * under the old key is stored before the look, or stays. */
static int move_directly(struct row_write *row) {
    struct attachment *attachment = row->attachment;
    const struct faster_key_lock both[] = {
        {row_buffer_bytes(&row->values->old_key), FASTER_LOCK_EXCLUSIVE},
        {row_buffer_bytes(&row->values->key), FASTER_LOCK_EXCLUSIVE}};
    bool is_there = false;
    enum faster_status status = faster_session_lock(attachment->session, both, 2, MOVE_WAIT_NS);
    if (status != FASTER_OK) {
        return table_engine_error(row->table, status);
    }
    int rc = point_read(row->table, &attachment->now, both[0].key, NULL, &is_there);
    if (rc == SQLITE_OK && is_there) {
        rc = put_and_remove(row);
    }
    faster_session_unlock(attachment->session);
    return rc;
}

/* An UPDATE that changes the key. The new row first: whatever happens in between, no row is lost.
 */
int row_write_move(struct row_write *row) {
    struct faster_txn *txn = row->attachment->txn;
    if (row->attachment->direct) {
        return move_directly(row);
    }
    int level = row->table->connection->open_level + 1;
    enum faster_status status = faster_txn_savepoint(txn, level);
    if (status != FASTER_OK) {
        return table_engine_error(row->table, status);
    }
    int rc = put_and_remove(row);
    if (rc != SQLITE_OK) {
        status = faster_txn_rollback_to(txn, level);
        rowid_bound_undone(&row->attachment->rowids);
        row->attachment->broken = row->attachment->broken || status != FASTER_OK;
        rc = status == FASTER_OK ? rc : table_engine_error(row->table, status);
    }
    faster_txn_release(txn, level);
    return rc;
}

void row_write_count(const struct row_write *row) {
    if (row->attachment->direct) {
        row->attachment->tally.written += row->write_count;
    }
}
