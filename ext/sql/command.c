/* command.c - the command column: INSERT INTO t(t, ...) VALUES ('command', ...).
 *
 *   add append min max   read-modify-write of one value column; the row is made if it is
 *                        missing
 *   cas                  the same, of faster_cas() only
 *   insert               stores the row if its key is free, else does nothing
 *   commit               of a direct table: makes what was written so far durable
 *   checkpoint           makes the last commit safe in SQLite and in the log, so that the redo rows
 *                        can go, and notes where recovery may begin; within a transaction its own
 *                        writes are not part of it. Of a direct table: commits first. Words may
 *                        follow, see checkpoints.h
 *   grow                 doubles the index
 *   session <name>       of a direct table: what the connection writes from now on is numbered
 *   verify               reads the whole store; fails with the first finding
 *   salvage              of faster_salvage() only: stores the rows of a damaged store
 */
#include "sql/command.h"

#include <string.h>

#include "sql/checkpoints.h"
#include "sql/findings.h"
#include "sql/row_input.h"
#include "sql/row_merge.h"
#include "sql/row_write.h"
#include "sql/salvage.h"
#include "sql/sessions.h"
#include "table/transaction.h"

enum command {
    COMMAND_ADD,
    COMMAND_APPEND,
    COMMAND_MIN,
    COMMAND_MAX,
    COMMAND_CAS,
    COMMAND_INSERT,
    COMMAND_COMMIT,
    COMMAND_CHECKPOINT,
    COMMAND_GROW,
    COMMAND_VERIFY,
    COMMAND_SALVAGE,
    COMMAND_SESSION,
    COMMAND_COUNT
};

static const char *const COMMAND_NAMES[COMMAND_COUNT] = {
    [COMMAND_ADD] = "add",
    [COMMAND_APPEND] = "append",
    [COMMAND_MIN] = "min",
    [COMMAND_MAX] = "max",
    [COMMAND_CAS] = "cas",
    [COMMAND_INSERT] = "insert",
    [COMMAND_COMMIT] = "commit",
    [COMMAND_GROW] = "grow",
    [COMMAND_CHECKPOINT] = "checkpoint",
    [COMMAND_VERIFY] = "verify",
    [COMMAND_SALVAGE] = "salvage",
    [COMMAND_SESSION] = "session <name>",
};

/* The commands before COMMAND_INSERT. */
static const enum row_merge_kind MERGES[] = {
    [COMMAND_ADD] = ROW_MERGE_ADD, [COMMAND_APPEND] = ROW_MERGE_APPEND,
    [COMMAND_MIN] = ROW_MERGE_MIN, [COMMAND_MAX] = ROW_MERGE_MAX,
    [COMMAND_CAS] = ROW_MERGE_CAS,
};

/* ------------------------------------------------------ read-modify-write */

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
    int rc = row_input_load(row->table, row->values, argv + 2, true);
    if (rc != SQLITE_OK) {
        return rc;
    }
    return command == COMMAND_INSERT && schema_has_rowid(&row->table->schema)
               ? row_write_rowid_of_insert(row, argv[1])
               : row_write_key_of_merge(row, COMMAND_NAMES[command], argv[1]);
}

static int run_merge(struct row_write *row, enum command command, sqlite3_value **argv) {
    struct command_exchange *exchange = row->table->connection->exchange;
    struct row_merge merge = {.row = row,
                              .kind = MERGES[command],
                              .expected = exchange == NULL ? NULL : exchange->expected};
    if (merge.kind == ROW_MERGE_CAS && merge.expected == NULL) {
        return connection_error(row->table->connection, SQLITE_ERROR,
                                "%s: 'cas' needs the expected value: call faster_cas()",
                                row->table->name);
    }
    int rc = find_operand(row->table, command, argv + 2, &merge.column);
    rc = rc == SQLITE_OK ? row_merge_run(&merge) : rc;
    if (rc == SQLITE_OK && exchange != NULL) {
        exchange->changed = merge.changed;
        if (merge.changed && exchange->context != NULL) {
            rc = row_merge_result(&merge, exchange->context);
        }
    }
    return rc;
}

static int run_insert(struct row_write *row) {
    bool skip = false;
    int rc = row_input_check(row->table, row->values, SQLITE_ABORT, &skip);
    if (rc != SQLITE_OK || skip) {
        return rc;
    }
    rc = row_input_encode(row->table, row->values);
    row->conflict = SQLITE_IGNORE;
    rc = rc == SQLITE_OK ? row_write_put(row, POINT_INSERT) : rc;
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
    row_write_count(&row);
    return rc;
}

/* -------------------------------------------------------------- the store */

int command_commit(struct table *table) {
    struct attachment *attachment = NULL;
    if (!table_is_direct(table)) {
        return connection_error(table->connection, SQLITE_ERROR,
                                "%s: a table with writes='transactional' is committed by SQLite's "
                                "COMMIT; this is for writes='direct'",
                                table->name);
    }
    int rc = table_attach(table, &attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    enum faster_status status = faster_session_commit(attachment->session);
    return status == FASTER_OK ? SQLITE_OK : table_engine_error(table, status);
}

static int run_grow(struct table *table) {
    struct attachment *attachment = NULL;
    int rc = table_meet(table, &attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    enum faster_status status = faster_session_grow(attachment->session);
    return status == FASTER_OK ? SQLITE_OK : table_engine_error(table, status);
}

static int run_verify(struct table *table) {
    uint64_t count = 0;
    char *text = NULL;
    int rc = findings_text(table, &count, &text);
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
    sqlite3_str *allowed = sqlite3_str_new(table->connection->db);
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (i != COMMAND_CAS && i != COMMAND_SALVAGE) { /* they need what no INSERT has */
            sqlite3_str_appendf(allowed, "%s%s", i == 0 ? "" : ", ", COMMAND_NAMES[i]);
        }
    }
    char *names = sqlite3_str_finish(allowed);
    int rc = connection_error(table->connection, SQLITE_ERROR,
                              "%s: unknown command '%.40s'; allowed are %s", table->name,
                              name == NULL ? "" : name, names == NULL ? "" : names);
    sqlite3_free(names);
    return rc;
}

/* A command about the whole table has no row beside it. */
static int check_alone(struct table *table, const char *name, sqlite3_value **argv) {
    bool is_alone = sqlite3_value_type(argv[1]) == SQLITE_NULL;
    for (int i = 0; i < table->schema.column_count; i++) {
        is_alone = is_alone && sqlite3_value_type(argv[2 + i]) == SQLITE_NULL;
    }
    return is_alone ? SQLITE_OK
                    : connection_error(table->connection, SQLITE_ERROR,
                                       "%s: the command '%s' takes no columns", table->name, name);
}

int command_run(struct table *table, sqlite3_value **argv) {
    sqlite3_value *value = argv[2 + table->schema.command_column];
    const char *name = (const char *)sqlite3_value_text(value);
    struct faster_checkpoint_request checkpoint;
    int command = 0;
    while (command < COMMAND_COUNT &&
           (name == NULL || sqlite3_stricmp(name, COMMAND_NAMES[command]) != 0)) {
        command++;
    }
    if (checkpoint_parse(name, &checkpoint)) {
        command = COMMAND_CHECKPOINT;
    }
    const char *session_name = session_parse(name);
    if (session_name != NULL) {
        command = COMMAND_SESSION;
    }
    int rc = command > COMMAND_INSERT && command < COMMAND_COUNT ? check_alone(table, name, argv)
                                                                 : SQLITE_OK;
    if (rc != SQLITE_OK) {
        return rc;
    }
    switch ((enum command)command) {
    case COMMAND_ADD:
    case COMMAND_APPEND:
    case COMMAND_MIN:
    case COMMAND_MAX:
    case COMMAND_CAS:
    case COMMAND_INSERT:
        return run_on_row(table, (enum command)command, argv);
    case COMMAND_COMMIT:
        return command_commit(table);
    case COMMAND_CHECKPOINT:
        return checkpoint_run(table, &checkpoint);
    case COMMAND_GROW:
        return run_grow(table);
    case COMMAND_VERIFY:
        return run_verify(table);
    case COMMAND_SALVAGE:
        return salvage_run(table, table->connection->exchange);
    case COMMAND_SESSION:
        return session_take(table, session_name);
    case COMMAND_COUNT:
        break;
    }
    return unknown_command(table, name);
}
