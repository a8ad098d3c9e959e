/* command.c - the command column: INSERT INTO t(t, ...) VALUES ('command', ...).
 *
 *   add append min max   read-modify-write of one value column; the row is made if it is
 *                        missing
 *   insert               stores the row if its key is free, else does nothing
 *   checkpoint           makes the last commit safe in SQLite and in the log, and writes a
 *                        manifest, so that the redo rows can go; within a transaction its own
 *                        writes are not part of it
 *   grow                 doubles the index
 *   verify               reads the whole store; fails with the first finding
 */
#include "sql/command.h"

#include <string.h>

#include "base/sqlite_durable.h"
#include "sql/row_input.h"
#include "sql/row_write.h"
#include "store/held.h"
#include "table/transaction.h"

enum command {
    COMMAND_ADD,
    COMMAND_APPEND,
    COMMAND_MIN,
    COMMAND_MAX,
    COMMAND_INSERT,
    COMMAND_CHECKPOINT,
    COMMAND_GROW,
    COMMAND_VERIFY,
    COMMAND_COUNT
};

static const char *const COMMAND_NAMES[COMMAND_COUNT] = {
    [COMMAND_ADD] = "add",   [COMMAND_APPEND] = "append", [COMMAND_MIN] = "min",
    [COMMAND_MAX] = "max",   [COMMAND_INSERT] = "insert", [COMMAND_CHECKPOINT] = "checkpoint",
    [COMMAND_GROW] = "grow", [COMMAND_VERIFY] = "verify",
};

/* ------------------------------------------------------ read-modify-write */

/* What the merge works with, and what became of it. */
struct merge {
    struct row_write *row;
    enum command command;
    int column;
    int code;                 /* the merge's own failure, or SQLITE_OK */
    struct row_scalar result; /* a number, or NULL: for faster_incr() */
};

static int arithmetic_error(struct merge *merge, int code) {
    struct table *table = merge->row->table;
    const char *column = table->schema.columns[merge->column].name;
    if (code == SQLITE_MISMATCH) {
        return connection_error(table->connection, code, "%s.%s: '%s' needs numbers", table->name,
                                column, COMMAND_NAMES[merge->command]);
    }
    if (code == SQLITE_ERROR) {
        return connection_error(table->connection, code, "%s.%s: integer overflow", table->name,
                                column);
    }
    return code;
}

static int combine(struct merge *merge, const struct row_scalar *old,
                   const struct row_scalar *operand, struct row_scalar *result) {
    switch (merge->command) {
    case COMMAND_ADD:
        return arithmetic_error(merge, row_add(old, operand, result));
    case COMMAND_APPEND:
        return row_append(old, operand, result);
    case COMMAND_MIN:
        row_min(old, operand, SCHEMA_BINARY, result);
        return SQLITE_OK;
    case COMMAND_MAX:
        row_max(old, operand, SCHEMA_BINARY, result);
        return SQLITE_OK;
    case COMMAND_INSERT:
    case COMMAND_CHECKPOINT:
    case COMMAND_GROW:
    case COMMAND_VERIFY:
    case COMMAND_COUNT:
        break;
    }
    return SQLITE_INTERNAL;
}

static void note_result(struct merge *merge, const struct row_scalar *result) {
    bool is_number = result->type == ROW_INTEGER || result->type == ROW_REAL;
    merge->result = (struct row_scalar){.type = is_number ? result->type : ROW_NULL,
                                        .integer = result->integer,
                                        .real = result->real};
}

/* The row does not exist: it becomes what an INSERT would make it. */
static int merge_new(struct merge *merge, struct row_buffer *value) {
    struct row_write *row = merge->row;
    const struct row_scalar nothing = {.type = ROW_NULL};
    struct row_scalar *column = &row->values->columns[merge->column];
    struct row_scalar checked = {.type = ROW_NULL};
    bool skip = false;
    int rc = row_input_check(row->table, row->values, SQLITE_ABORT, &skip);
    rc = rc == SQLITE_OK ? combine(merge, &nothing, column, &checked) : rc;
    row_scalar_finish(&checked);
    rc = rc == SQLITE_OK ? row_encode(&row->table->schema, row->values->columns, value) : rc;
    note_result(merge, column);
    return rc;
}

static int merge_old(struct merge *merge, const struct faster_bytes *old,
                     struct row_buffer *value) {
    struct row_write *row = merge->row;
    const struct table_schema *schema = &row->table->schema;
    struct row_scalar present = {.type = ROW_NULL};
    struct row_scalar result = {.type = ROW_NULL};
    struct row_view view;
    int rc = row_view_open(&view, schema, row_buffer_bytes(&row->values->key), *old);
    rc = rc == SQLITE_OK ? row_view_column(&view, merge->column, &present) : rc;
    if (rc == SQLITE_OK) {
        rc = combine(merge, &present, &row->values->columns[merge->column], &result);
    }
    if (rc == SQLITE_OK) {
        rc = row_scalar_apply_affinity(&result, schema->columns[merge->column].affinity);
    }
    rc = rc == SQLITE_OK ? row_replace_column(&view, merge->column, &result, value) : rc;
    note_result(merge, &result);
    row_scalar_finish(&result);
    row_scalar_finish(&present);
    return rc;
}

static enum faster_status merge_row(void *context, const struct faster_bytes *old,
                                    struct faster_buffer *new_value) {
    struct merge *merge = context;
    struct row_buffer value = {0};
    enum faster_status status = FASTER_INVALID;
    merge->code = old == NULL ? merge_new(merge, &value) : merge_old(merge, old, &value);
    if (merge->code == SQLITE_OK) {
        status = faster_buffer_assign(new_value, value.data, value.size_bytes);
    }
    row_buffer_finish(&value);
    return status;
}

/* The value column that the command is about: the only one, or the only one given. */
static int find_operand(struct table *table, enum command command, sqlite3_value **columns,
                        int *operand) {
    const struct table_schema *schema = &table->schema;
    int value_count = 0;
    int given_count = 0;
    int given = -1;
    int last = -1;
    for (int i = 0; i < schema->column_count; i++) {
        if (schema->columns[i].key_index >= 0) {
            continue;
        }
        value_count++;
        last = i;
        if (sqlite3_value_type(columns[i]) != SQLITE_NULL) {
            given_count++;
            given = i;
        }
    }
    *operand = value_count == 1 ? last : given;
    if (value_count == 1 || given_count == 1) {
        return SQLITE_OK;
    }
    return connection_error(table->connection, SQLITE_ERROR,
                            "%s: '%s' changes one value column: give exactly one that is not NULL",
                            table->name, COMMAND_NAMES[command]);
}

/* Loads the row and makes its key. */
static int load_row(struct row_write *row, enum command command, sqlite3_value **argv) {
    struct table *table = row->table;
    int rc = row_input_load(table, row->values, argv + 2, true);
    if (rc != SQLITE_OK) {
        return rc;
    }
    if (!schema_has_rowid(&table->schema)) {
        rc = row_input_encode_key(table, row->values);
        if (rc == SQLITE_CONSTRAINT_NOTNULL) {
            rc = connection_error(table->connection, rc, "%s: '%s' needs the whole key",
                                  table->name, COMMAND_NAMES[command]);
        }
        return rc;
    }
    rc = row_write_rowid_of_insert(row, argv[1]);
    if (rc == SQLITE_OK && row->rowid_is_free && command != COMMAND_INSERT) {
        rc = connection_error(table->connection, SQLITE_ERROR, "%s: '%s' needs the rowid",
                              table->name, COMMAND_NAMES[command]);
    }
    return rc;
}

static int run_merge(struct row_write *row, enum command command, sqlite3_value **argv) {
    struct merge merge = {.row = row, .command = command};
    int rc = find_operand(row->table, command, argv + 2, &merge.column);
    if (rc != SQLITE_OK) {
        return rc;
    }
    struct faster_op op = {
        .key = row_buffer_bytes(&row->values->key), .merge = merge_row, .context = &merge};
    enum faster_status status = point_write(row->attachment, faster_txn_rmw, &op);
    if (merge.code != SQLITE_OK) {
        return merge.code;
    }
    if (status != FASTER_OK) {
        return table_engine_error(row->table, status);
    }
    row_write_note_key(row);
    if (row->table->connection->command_result != NULL) {
        *row->table->connection->command_result = merge.result;
    }
    return SQLITE_OK;
}

static int run_insert(struct row_write *row) {
    bool skip = false;
    int rc = row_input_check(row->table, row->values, SQLITE_ABORT, &skip);
    if (rc != SQLITE_OK || skip) {
        return rc;
    }
    rc = row_input_encode(row->table, row->values);
    row->conflict = SQLITE_IGNORE;
    rc = rc == SQLITE_OK ? row_write_put(row, faster_txn_insert) : rc;
    return rc == SQLITE_CONSTRAINT ? SQLITE_OK : rc;
}

static int run_on_row(struct table *table, enum command command, sqlite3_value **argv) {
    struct row_write row = {.table = table, .conflict = SQLITE_ABORT};
    int rc = transaction_write(table, &row.attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    row.values = row_input_take(table);
    if (row.values == NULL) {
        return SQLITE_NOMEM;
    }
    rc = load_row(&row, command, argv);
    if (rc == SQLITE_OK) {
        rc = command == COMMAND_INSERT ? run_insert(&row) : run_merge(&row, command, argv);
    }
    row_input_give_back(table, row.values);
    return rc;
}

/* -------------------------------------------------------------- the store */

/* Makes the store know the newest commit; within a transaction it does. */
static int meet(struct table *table, struct attachment **attachment) {
    int rc = table_attach(table, attachment);
    if (rc == SQLITE_OK && (*attachment)->txn == NULL) {
        rc = attachment_meet(*attachment, &table->rows, false);
    }
    return rc;
}

static int run_checkpoint(struct table *table) {
    struct attachment *attachment = NULL;
    int rc = meet(table, &attachment);
    if (rc != SQLITE_OK || !attachment->newest_found) {
        return rc;
    }
    struct faster_commit_row row = attachment->newest.commit;
    rc = sqlite_durable(table->connection->db, table->schema_name);
    if (rc != SQLITE_OK) {
        return connection_error(table->connection, rc,
                                "%s: the database could not be synced: no checkpoint", table->name);
    }
    uint64_t obsolete_below = 0;
    held_release_idle(&attachment->held);
    enum faster_status status = faster_session_checkpoint(
        attachment->session, &row, &obsolete_below, connection_interrupted, table->connection);
    if (status != FASTER_OK) {
        return table_engine_error(table, status);
    }
    return commit_rows_delete_below(&table->rows,
                                    obsolete_below < row.number ? obsolete_below : row.number);
}

static int run_grow(struct table *table) {
    struct attachment *attachment = NULL;
    int rc = meet(table, &attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    enum faster_status status = faster_session_grow(attachment->session);
    return status == FASTER_OK ? SQLITE_OK : table_engine_error(table, status);
}

/* A damaged store may have millions; these tell enough. */
#define FINDING_COUNT_MAX 20

struct findings {
    sqlite3_str *text;
    int count;
};

static void note_finding(void *context, const struct faster_finding *finding) {
    struct findings *findings = context;
    if (findings->count++ < FINDING_COUNT_MAX) {
        const char *file = finding->file == NULL ? "" : finding->file;
        sqlite3_str_appendf(findings->text, "%s%s (%s%sat %llu)", findings->count == 1 ? "" : "\n",
                            finding->what, file, file[0] == '\0' ? "" : " ",
                            (unsigned long long)finding->address);
    }
}

int command_verify(struct table *table, uint64_t *finding_count, char **text) {
    struct attachment *attachment = NULL;
    *text = NULL;
    *finding_count = 0;
    int rc = meet(table, &attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    struct findings findings = {.text = sqlite3_str_new(table->connection->db)};
    enum faster_status status =
        faster_session_verify(attachment->session, note_finding, &findings, connection_interrupted,
                              table->connection, finding_count);
    *text = sqlite3_str_finish(findings.text);
    return status == FASTER_OK ? SQLITE_OK : table_engine_error(table, status);
}

static int run_verify(struct table *table) {
    uint64_t count = 0;
    char *text = NULL;
    int rc = command_verify(table, &count, &text);
    if (rc == SQLITE_OK && count > 0) {
        const char *all = text == NULL ? "" : text;
        rc = connection_error(table->connection, SQLITE_CORRUPT_VTAB,
                              "%s: %llu findings, the first: %.*s", table->name,
                              (unsigned long long)count, (int)strcspn(all, "\n"), all);
    }
    sqlite3_free(text);
    return rc;
}

/* --------------------------------------------------------------- dispatch */

static int unknown_command(struct table *table, const char *name) {
    return connection_error(table->connection, SQLITE_ERROR,
                            "%s: unknown command '%.40s'; allowed are add, append, min, max, "
                            "insert, checkpoint, grow, verify",
                            table->name, name == NULL ? "" : name);
}

int command_run(struct table *table, sqlite3_value **argv) {
    sqlite3_value *value = argv[2 + table->schema.command_column];
    const char *name = (const char *)sqlite3_value_text(value);
    int command = 0;
    while (command < COMMAND_COUNT &&
           (name == NULL || sqlite3_stricmp(name, COMMAND_NAMES[command]) != 0)) {
        command++;
    }
    if (command == COMMAND_COUNT) {
        return unknown_command(table, name);
    }
    if (command == COMMAND_CHECKPOINT) {
        return run_checkpoint(table);
    }
    if (command == COMMAND_GROW) {
        return run_grow(table);
    }
    if (command == COMMAND_VERIFY) {
        return run_verify(table);
    }
    return run_on_row(table, (enum command)command, argv);
}
