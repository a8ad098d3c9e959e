/* functions_write.c - see functions_write.h.
 *
 * On a transactional table a function runs a statement, so that it belongs to the open transaction,
 * or makes its own, as that statement would (statements.h keeps it). On a direct table it writes to
 * the store at once: no statement, no lock and no memory of SQLite's once the table's
 * buffers have their size, so that connections on different threads meet only in the store.
 */
#include "sql/functions_write.h"

#include "sql/command.h"
#include "sql/row_merge.h"
#include "table/statements.h"
#include "table/table_lookup.h"
#include "table/watcher.h"

/* ---------------------------------------------------- transactional tables */

/* Runs the statement with the key and, if given, a value. */
static int run_statement(struct table *table, enum statements_kind kind, sqlite3_value *key,
                         sqlite3_value *value) {
    struct connection *connection = table->connection;
    sqlite3_stmt *statement = NULL;
    int column = -1;
    int rc = kind == STATEMENTS_DELETE ? SQLITE_OK : table_value_column(table, NULL, &column);
    rc = rc == SQLITE_OK ? watcher_ensure_object(connection) : rc;
    rc = rc == SQLITE_OK ? statements_take(table, kind, column, &statement) : rc;
    if (rc != SQLITE_OK) {
        return rc;
    }
    rc = sqlite3_bind_value(statement, 1, key);
    if (rc == SQLITE_OK && value != NULL) {
        rc = sqlite3_bind_value(statement, 2, value);
    } else if (rc == SQLITE_OK && kind == STATEMENTS_ADD) {
        rc = sqlite3_bind_int64(statement, 2, 1);
    }
    if (rc == SQLITE_OK) {
        rc = connection_run(statement);
        rc = rc == SQLITE_DONE ? SQLITE_OK : connection_sqlite_error(connection, rc);
    }
    statements_give_back(connection, statement, rc);
    return rc;
}

static int run_command(struct table *table, enum statements_kind kind, sqlite3_value *key,
                       sqlite3_value *value, struct command_exchange *exchange) {
    struct connection *connection = table->connection;
    struct command_exchange *outer = connection->exchange;
    connection->exchange = exchange;
    int rc = run_statement(table, kind, key, value);
    connection->exchange = outer;
    return rc;
}

/* ------------------------------------------------------------ direct tables */

/* SQLite would refuse a statement that writes a database which is open for reading. */
static int attach_for_writing(struct table *table, struct attachment **attachment) {
    int rc = function_attach(table, attachment);
    if (rc == SQLITE_OK && (*attachment)->read_only) {
        rc = connection_error(table->connection, SQLITE_READONLY,
                              "attempt to write a readonly database");
    }
    return rc;
}

/* `given` is the value, or NULL for the number 1. */
static int load_value(struct table *table, struct row_values *values, int column,
                      sqlite3_value *given) {
    struct row_scalar *scalar = &values->columns[column];
    if (given != NULL) {
        return row_input_load_column(table, values, column, given, true);
    }
    *scalar = (struct row_scalar){.type = ROW_INTEGER, .integer = 1};
    return row_scalar_apply_affinity(scalar, table->schema.columns[column].affinity);
}

/* The two columns of the row: a table with one value column has at most one other. */
static int load_row(struct row_write *row, int column, sqlite3_value *key, sqlite3_value *value) {
    struct table *table = row->table;
    int rc = load_value(table, row->values, column, value);
    if (rc == SQLITE_OK && table->schema.key_count > 0) {
        rc = row_input_load_column(table, row->values, table->schema.key[0].column, key, true);
    }
    return rc;
}

typedef int direct_fn(struct row_write *row, int column, void *context);

/* Runs `write` on a row whose columns are loaded. */
static int run_directly(struct table *table, sqlite3_value *key, sqlite3_value *value,
                        direct_fn *write, void *context) {
    struct row_write row = {.table = table, .conflict = SQLITE_REPLACE};
    int column = -1;
    int rc = table_value_column(table, NULL, &column);
    rc = rc == SQLITE_OK ? attach_for_writing(table, &row.attachment) : rc;
    if (rc != SQLITE_OK) {
        return rc;
    }
    row.values = row_input_take(table);
    if (row.values == NULL) {
        return SQLITE_NOMEM;
    }
    rc = load_row(&row, column, key, value);
    rc = rc == SQLITE_OK ? write(&row, column, context) : rc;
    row_input_give_back(table, row.values);
    return rc;
}

static int set_directly(struct row_write *row, int column, void *context) {
    bool stored = false;
    (void)column;
    return row_write_insert(row, context, &stored);
}

/* What a merge is about, and where its outcome goes. */
struct direct_merge {
    enum row_merge_kind kind;
    sqlite3_value *key;
    struct command_exchange *exchange;
};

static int merge_directly(struct row_write *row, int column, void *context) {
    const struct direct_merge *what = context;
    struct command_exchange *exchange = what->exchange;
    struct row_merge merge = {
        .row = row, .kind = what->kind, .column = column, .expected = exchange->expected};
    int rc = row_write_key_of_merge(row, row_merge_name(what->kind), what->key);
    rc = rc == SQLITE_OK ? row_merge_run(&merge) : rc;
    exchange->changed = merge.changed;
    return rc == SQLITE_OK && merge.changed && exchange->context != NULL
               ? row_merge_result(&merge, exchange->context)
               : rc;
}

static enum faster_status remove_row(void *context, const struct faster_bytes *old,
                                     struct faster_buffer *new_value) {
    (void)context;
    (void)old;
    (void)new_value;
    return FASTER_REMOVE;
}

/* A look first: most keys that do not exist need no place in the index. */
static int remove_key(struct table *table, struct attachment *attachment,
                      const struct row_buffer *key, bool *existed) {
    int rc = point_read(table, &attachment->now, row_buffer_bytes(key), NULL, existed);
    if (rc != SQLITE_OK || !*existed) {
        return rc;
    }
    struct faster_op op = {.key = row_buffer_bytes(key), .merge = remove_row};
    enum faster_status status = point_write(attachment, POINT_RMW, &op);
    *existed = status == FASTER_OK;
    return status == FASTER_OK || status == FASTER_NOT_FOUND ? SQLITE_OK
                                                             : table_engine_error(table, status);
}

static int delete_directly(struct table *table, sqlite3_value *key, bool *existed) {
    struct attachment *attachment = NULL;
    bool matches = false;
    int rc = attach_for_writing(table, &attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    struct row_values *values = row_input_take(table);
    if (values == NULL) {
        return SQLITE_NOMEM;
    }
    rc = row_input_encode_single_key(table, key, &values->key, &matches);
    if (rc == SQLITE_OK && matches) {
        rc = remove_key(table, attachment, &values->key, existed);
    }
    row_input_give_back(table, values);
    return rc;
}

/* -------------------------------------------------------------- functions */

static int set(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    (void)argc;
    int rc = table_is_direct(table) ? run_directly(table, argv[1], argv[2], set_directly, argv[1])
                                    : run_statement(table, STATEMENTS_SET, argv[1], argv[2]);
    if (rc == SQLITE_OK) {
        sqlite3_result_value(context, argv[2]);
    }
    return rc;
}

void functions_set(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run_on_key(context, argc, argv, set);
}

static int delete_row(sqlite3_context *context, struct table *table, int argc,
                      sqlite3_value **argv) {
    bool existed = false;
    int rc = SQLITE_OK;
    (void)argc;
    if (table_is_direct(table)) {
        rc = delete_directly(table, argv[1], &existed);
    } else {
        rc = run_statement(table, STATEMENTS_DELETE, argv[1], NULL);
        existed = rc == SQLITE_OK && sqlite3_changes(table->connection->db) > 0;
    }
    if (rc == SQLITE_OK) {
        sqlite3_result_int(context, existed);
    }
    return rc;
}

void functions_delete(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run_on_key(context, argc, argv, delete_row);
}

/* `value` may be NULL: 1. */
static int merge(struct table *table, enum row_merge_kind kind, sqlite3_value *key,
                 sqlite3_value *value, struct command_exchange *exchange) {
    static const enum statements_kind statements[] = {[ROW_MERGE_ADD] = STATEMENTS_ADD,
                                                      [ROW_MERGE_APPEND] = STATEMENTS_APPEND,
                                                      [ROW_MERGE_CAS] = STATEMENTS_CAS};
    struct direct_merge what = {kind, key, exchange};
    return table_is_direct(table) ? run_directly(table, key, value, merge_directly, &what)
                                  : run_command(table, statements[kind], key, value, exchange);
}

static int increment(sqlite3_context *context, struct table *table, int argc,
                     sqlite3_value **argv) {
    struct command_exchange exchange = {.context = context};
    return merge(table, ROW_MERGE_ADD, argv[1], argc > 2 ? argv[2] : NULL, &exchange);
}

void functions_increment(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run_on_key(context, argc, argv, increment);
}

static int append(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    struct command_exchange exchange = {.context = context};
    (void)argc;
    return merge(table, ROW_MERGE_APPEND, argv[1], argv[2], &exchange);
}

void functions_append(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run_on_key(context, argc, argv, append);
}

static int cas(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    struct command_exchange exchange = {.expected = argv[2]};
    (void)argc;
    int rc = merge(table, ROW_MERGE_CAS, argv[1], argv[3], &exchange);
    if (rc == SQLITE_OK) {
        sqlite3_result_int(context, exchange.changed);
    }
    return rc;
}

void functions_cas(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run_on_key(context, argc, argv, cas);
}

static int commit(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    (void)argc;
    (void)argv;
    int rc = command_commit(table);
    if (rc == SQLITE_OK) {
        sqlite3_result_int(context, 1);
    }
    return rc;
}

void functions_commit(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run(context, argc, argv, commit);
}
