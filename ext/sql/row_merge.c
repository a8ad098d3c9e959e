/* row_merge.c - see row_merge.h.
 *
 * The merge function runs inside the engine, perhaps several times and while others wait for the
 * record. So it runs no SQL: whether a new row would break a NOT NULL, which may need a DEFAULT to
 * be evaluated, is found out before. */
#include "sql/row_merge.h"

#include "sql/row_input.h"

/* What becomes of a row that does not exist yet. */
struct merge_check {
    int code;
    bool skip; /* NOT NULL ON CONFLICT IGNORE */
    struct row_scalar expected;
};

const char *row_merge_name(enum row_merge_kind kind) {
    static const char *const names[] = {[ROW_MERGE_ADD] = "add",
                                        [ROW_MERGE_APPEND] = "append",
                                        [ROW_MERGE_MIN] = "min",
                                        [ROW_MERGE_MAX] = "max",
                                        [ROW_MERGE_CAS] = "cas"};
    return names[kind];
}

static const struct schema_column *column_of(const struct row_merge *merge) {
    return &merge->row->table->schema.columns[merge->column];
}

static const struct row_scalar *operand_of(const struct row_merge *merge) {
    return &merge->row->values->columns[merge->column];
}

static int combine(const struct row_merge *merge, const struct row_scalar *old,
                   struct row_scalar *result) {
    const struct row_scalar *operand = operand_of(merge);
    switch (merge->kind) {
    case ROW_MERGE_ADD:
        return row_add(old, operand, result);
    case ROW_MERGE_APPEND:
        return row_append(old, operand, result);
    case ROW_MERGE_MIN:
        row_min(old, operand, SCHEMA_BINARY, result);
        return SQLITE_OK;
    case ROW_MERGE_MAX:
        row_max(old, operand, SCHEMA_BINARY, result);
        return SQLITE_OK;
    case ROW_MERGE_CAS:
        *result = (struct row_scalar){.type = operand->type,
                                      .integer = operand->integer,
                                      .real = operand->real,
                                      .data = operand->data,
                                      .size_bytes = operand->size_bytes};
        return SQLITE_OK;
    }
    return SQLITE_INTERNAL;
}

/* NULL is expected where there is none. */
static bool is_expected(const struct row_merge *merge, const struct row_scalar *old) {
    return merge->kind != ROW_MERGE_CAS ||
           row_compare(old, &merge->check->expected, SCHEMA_BINARY) == 0;
}

/* The row does not exist: it becomes what an INSERT would make it. */
static int merge_new(struct row_merge *merge, bool *leave) {
    const struct row_scalar nothing = {.type = ROW_NULL};
    struct row_values *values = merge->row->values;
    struct row_scalar result = {.type = ROW_NULL};
    *leave = merge->check->skip || !is_expected(merge, &nothing);
    if (*leave || merge->check->code != SQLITE_OK) {
        return *leave ? SQLITE_OK : merge->check->code;
    }
    int rc = combine(merge, &nothing, &result); /* for its errors: the result is the operand */
    row_scalar_finish(&result);
    return rc == SQLITE_OK ? row_encode(&merge->row->table->schema, values->columns, &values->value)
                           : rc;
}

static int merge_old(struct row_merge *merge, const struct faster_bytes *old, bool *leave) {
    struct row_values *values = merge->row->values;
    struct row_scalar present = {.type = ROW_NULL};
    struct row_scalar result = {.type = ROW_NULL};
    struct row_view view;
    int rc = row_view_open(&view, &merge->row->table->schema, row_buffer_bytes(&values->key), *old);
    rc = rc == SQLITE_OK ? row_view_column(&view, merge->column, &present) : rc;
    *leave = rc == SQLITE_OK && !is_expected(merge, &present);
    if (rc == SQLITE_OK && !*leave) {
        rc = combine(merge, &present, &result);
        if (rc == SQLITE_OK && result.type == ROW_NULL && column_of(merge)->not_null) {
            rc = SQLITE_CONSTRAINT_NOTNULL;
        }
        rc = rc == SQLITE_OK ? row_scalar_apply_affinity(&result, column_of(merge)->affinity) : rc;
        rc = rc == SQLITE_OK ? row_replace_column(&view, merge->column, &result, &values->value)
                             : rc;
    }
    row_scalar_finish(&result);
    row_scalar_finish(&present);
    return rc;
}

static enum faster_status merge_row(void *context, const struct faster_bytes *old,
                                    struct faster_buffer *new_value) {
    struct row_merge *merge = context;
    struct row_buffer *value = &merge->row->values->value;
    bool leave = false;
    row_buffer_clear(value);
    merge->code = old == NULL ? merge_new(merge, &leave) : merge_old(merge, old, &leave);
    if (merge->code == SQLITE_OK && !leave) {
        merge->code = row_input_check_length(merge->row->table, value->size_bytes);
    }
    if (merge->code != SQLITE_OK) {
        return FASTER_INVALID;
    }
    return leave ? FASTER_NOT_FOUND
                 : faster_buffer_assign(new_value, value->data, value->size_bytes);
}

/* ------------------------------------------------------------------- run */

static int merge_error(const struct row_merge *merge) {
    struct table *table = merge->row->table;
    const char *column = column_of(merge)->name;
    if (merge->code == SQLITE_MISMATCH) {
        return connection_error(table->connection, merge->code, "%s.%s: '%s' needs numbers",
                                table->name, column, row_merge_name(merge->kind));
    }
    if (merge->code == SQLITE_ERROR) {
        return connection_error(table->connection, merge->code, "%s.%s: integer overflow",
                                table->name, column);
    }
    if (merge->code == SQLITE_CONSTRAINT_NOTNULL && merge->check->code == SQLITE_OK) {
        return connection_error(table->connection, merge->code, "NOT NULL constraint failed: %s.%s",
                                table->name, column);
    }
    return merge->code;
}

/* What SQL is needed for. A failure counts only if the row turns out to be new: its message
 * waits in the connection until then. */
static int prepare(const struct row_merge *merge) {
    struct row_write *row = merge->row;
    merge->check->code =
        row_input_check(row->table, row->values, SQLITE_ABORT, &merge->check->skip);
    if (merge->check->code == SQLITE_NOMEM || merge->kind != ROW_MERGE_CAS) {
        return merge->check->code == SQLITE_NOMEM ? SQLITE_NOMEM : SQLITE_OK;
    }
    return row_scalar_from_value(merge->expected, column_of(merge)->affinity,
                                 &merge->check->expected);
}

static int run(struct row_merge *merge) {
    struct row_write *row = merge->row;
    struct faster_op op = {
        .key = row_buffer_bytes(&row->values->key), .merge = merge_row, .context = merge};
    row_write_note_new_key(row);
    enum faster_status status = point_write(row->attachment, POINT_RMW, &op);
    if (merge->code != SQLITE_OK) {
        return merge_error(merge);
    }
    if (status != FASTER_OK && status != FASTER_NOT_FOUND) {
        return table_engine_error(row->table, status);
    }
    merge->changed = status == FASTER_OK;
    if (merge->changed) {
        row_write_note_stored(row);
    }
    return SQLITE_OK;
}

int row_merge_run(struct row_merge *merge) {
    struct merge_check check = {.code = SQLITE_OK};
    struct connection *connection = merge->row->table->connection;
    merge->check = &check;
    merge->code = SQLITE_OK;
    merge->changed = false;
    int rc = prepare(merge);
    rc = rc == SQLITE_OK ? run(merge) : rc;
    if (rc == SQLITE_OK && check.code != SQLITE_OK) {
        sqlite3_free(connection_take_message(connection));
    }
    row_scalar_finish(&check.expected);
    merge->check = NULL;
    return rc;
}

int row_merge_result(const struct row_merge *merge, sqlite3_context *context) {
    const struct row_values *values = merge->row->values;
    struct row_view view;
    int rc = row_view_open(&view, &merge->row->table->schema, row_buffer_bytes(&values->key),
                           row_buffer_bytes(&values->value));
    return rc == SQLITE_OK ? row_view_result(&view, merge->column, context, SQLITE_TRANSIENT) : rc;
}
