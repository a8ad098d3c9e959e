/* functions.c - the scalar functions: one key of one table, without a query plan.
 *
 * Reading functions go to the store directly. Writing functions run a statement on the table,
 * so that they belong to the open transaction, or make their own, as that statement would.
 * statements.h keeps the statement.
 */
#include "sql/functions.h"

#include "sql/command.h"
#include "sql/configure.h"
#include "sql/row_input.h"
#include "table/point.h"
#include "table/statements.h"
#include "table/table_lookup.h"
#include "table/watcher.h"

/* ---------------------------------------------------------------- helpers */

static void set_error(sqlite3_context *context, struct connection *connection, int rc) {
    char *message = connection_take_message(connection);
    if (message != NULL) {
        sqlite3_result_error(context, message, -1);
        sqlite3_free(message);
    }
    sqlite3_result_error_code(context, rc);
}

/* The table of the first argument, busy until finish(). A function names one key by one
 * value. */
static int table_argument(sqlite3_context *context, sqlite3_value **argv, struct table **table) {
    struct connection *connection = sqlite3_user_data(context);
    int rc = table_lookup(connection, (const char *)sqlite3_value_text(argv[0]), table);
    if (rc != SQLITE_OK) {
        *table = NULL;
        return rc;
    }
    table_busy(*table);
    if ((*table)->schema.kind == SCHEMA_KEY_MULTIPLE) {
        rc = connection_error(connection, SQLITE_ERROR,
                              "%s has several key columns: use SELECT, INSERT, DELETE",
                              (*table)->name);
    }
    return rc;
}

/* Ends a function that called table_argument(). */
static void finish(sqlite3_context *context, struct table *table, int rc) {
    if (rc != SQLITE_OK) {
        set_error(context, sqlite3_user_data(context), rc);
    }
    if (table != NULL) {
        table_idle(table);
    }
}

/* ---------------------------------------------------------------- reading */

/* Reads the row of a key; *found is false if there is none. */
static int read_row(struct table *table, sqlite3_value *key_value, struct row_buffer *key,
                    struct faster_buffer *value, bool *found) {
    struct view view = {0};
    bool matches = false;
    *found = false;
    int rc = row_input_encode_single_key(table, key_value, key, &matches);
    if (rc != SQLITE_OK || !matches) {
        return rc;
    }
    rc = view_open_in_function(table, &view);
    rc = rc == SQLITE_OK ? point_read(table, &view, row_buffer_bytes(key), value, found) : rc;
    view_close(&view);
    return rc;
}

static int get_column(sqlite3_context *context, struct table *table, sqlite3_value *key_value,
                      int column) {
    struct row_buffer key = {0};
    struct faster_buffer value = {.env = faster_env_posix()};
    bool found = false;
    int rc = read_row(table, key_value, &key, &value, &found);
    if (rc == SQLITE_OK && found) {
        struct row_view row;
        rc = row_view_open(&row, &table->schema, row_buffer_bytes(&key),
                           (struct faster_bytes){value.data, value.size_bytes});
        rc = rc == SQLITE_OK ? row_view_result(&row, column, context, SQLITE_TRANSIENT) : rc;
    }
    faster_buffer_finish(&value);
    row_buffer_finish(&key);
    return rc;
}

typedef int reading_fn(sqlite3_context *context, struct table *table, int argc,
                       sqlite3_value **argv);

/* Runs a reading function; once more if the name means another table object by now. */
static void run_reading(sqlite3_context *context, int argc, sqlite3_value **argv,
                        reading_fn *reading) {
    struct table *table = NULL;
    int rc = table_argument(context, argv, &table);
    rc = rc == SQLITE_OK ? reading(context, table, argc, argv) : rc;
    if (rc == SQLITE_SCHEMA && table != NULL) {
        table_idle(table);
        rc = table_argument(context, argv, &table);
        rc = rc == SQLITE_OK ? reading(context, table, argc, argv) : rc;
    }
    finish(context, table, rc);
}

static int get(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    const char *column_name = argc > 2 ? (const char *)sqlite3_value_text(argv[2]) : NULL;
    int column = 0;
    int rc = table_value_column(table, column_name, &column);
    return rc == SQLITE_OK ? get_column(context, table, argv[1], column) : rc;
}

/* faster_get(t, key [, column]) */
static void function_get(sqlite3_context *context, int argc, sqlite3_value **argv) {
    run_reading(context, argc, argv, get);
}

static int exists(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    struct row_buffer key = {0};
    bool found = false;
    (void)argc;
    int rc = read_row(table, argv[1], &key, NULL, &found);
    row_buffer_finish(&key);
    if (rc == SQLITE_OK) {
        sqlite3_result_int(context, found);
    }
    return rc;
}

/* faster_exists(t, key) */
static void function_exists(sqlite3_context *context, int argc, sqlite3_value **argv) {
    run_reading(context, argc, argv, exists);
}

/* faster_verify(t): 'ok', or what is wrong. */
static void function_verify(sqlite3_context *context, int argc, sqlite3_value **argv) {
    struct connection *connection = sqlite3_user_data(context);
    struct table *table = NULL;
    uint64_t count = 0;
    char *findings = NULL;
    (void)argc;
    int rc = table_lookup(connection, (const char *)sqlite3_value_text(argv[0]), &table);
    if (rc == SQLITE_OK) {
        table_busy(table);
        rc = command_verify(table, &count, &findings);
    } else {
        table = NULL;
    }
    if (rc == SQLITE_OK && count == 0) {
        sqlite3_result_text(context, "ok", -1, SQLITE_STATIC);
    } else if (rc == SQLITE_OK) {
        sqlite3_result_text(context, findings, -1, SQLITE_TRANSIENT);
    }
    sqlite3_free(findings);
    finish(context, table, rc);
}

/* faster_config(t, name [, value]): the value in force, or when a new one will be. */
static void function_config(sqlite3_context *context, int argc, sqlite3_value **argv) {
    struct connection *connection = sqlite3_user_data(context);
    const char *name = (const char *)sqlite3_value_text(argv[1]);
    struct table *table = NULL;
    uint64_t size_bytes = 0;
    char *text = NULL;
    int rc = table_lookup(connection, (const char *)sqlite3_value_text(argv[0]), &table);
    if (rc != SQLITE_OK) {
        finish(context, NULL, rc);
        return;
    }
    table_busy(table);
    rc = argc == 2 ? configure_get(table, name, &size_bytes)
                   : configure_set(table, name, argv[2], &text);
    if (rc == SQLITE_OK && argc == 2) {
        sqlite3_result_int64(context, (sqlite3_int64)size_bytes);
    } else if (rc == SQLITE_OK) {
        sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
    }
    sqlite3_free(text);
    finish(context, table, rc);
}

static void function_version(sqlite3_context *context, int argc, sqlite3_value **argv) {
    (void)argc;
    (void)argv;
    sqlite3_result_text(context, FASTER_VERSION, -1, SQLITE_STATIC);
}

/* ---------------------------------------------------------------- writing */

/* Runs a writing function's statement with the key and, if given, a value. */
static int run(struct table *table, enum statements_kind kind, sqlite3_value *key,
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
    } else if (rc == SQLITE_OK && kind == STATEMENTS_INCREMENT) {
        rc = sqlite3_bind_int64(statement, 2, 1);
    }
    if (rc == SQLITE_OK) {
        rc = connection_run(statement);
        rc = rc == SQLITE_DONE ? SQLITE_OK : connection_sqlite_error(connection, rc);
    }
    statements_give_back(connection, statement, rc);
    return rc;
}

/* faster_set(t, key, value): the value. */
static void function_set(sqlite3_context *context, int argc, sqlite3_value **argv) {
    struct table *table = NULL;
    (void)argc;
    int rc = table_argument(context, argv, &table);
    rc = rc == SQLITE_OK ? run(table, STATEMENTS_SET, argv[1], argv[2]) : rc;
    if (rc == SQLITE_OK) {
        sqlite3_result_value(context, argv[2]);
    }
    finish(context, table, rc);
}

/* faster_delete(t, key): 1 if there was such a row, else 0. */
static void function_delete(sqlite3_context *context, int argc, sqlite3_value **argv) {
    struct connection *connection = sqlite3_user_data(context);
    struct table *table = NULL;
    (void)argc;
    int rc = table_argument(context, argv, &table);
    rc = rc == SQLITE_OK ? run(table, STATEMENTS_DELETE, argv[1], NULL) : rc;
    if (rc == SQLITE_OK) {
        sqlite3_result_int(context, sqlite3_changes(connection->db) > 0);
    }
    finish(context, table, rc);
}

/* faster_incr(t, key [, delta]): the new value of the counter. */
static void function_increment(sqlite3_context *context, int argc, sqlite3_value **argv) {
    struct connection *connection = sqlite3_user_data(context);
    struct row_scalar result = {.type = ROW_NULL};
    struct row_scalar *outer = connection->command_result;
    struct table *table = NULL;
    int rc = table_argument(context, argv, &table);
    connection->command_result = &result;
    if (rc == SQLITE_OK) {
        rc = run(table, STATEMENTS_INCREMENT, argv[1], argc > 2 ? argv[2] : NULL);
    }
    connection->command_result = outer;
    if (rc == SQLITE_OK) {
        row_scalar_result(context, &result, SQLITE_TRANSIENT);
    }
    finish(context, table, rc);
}

/* ----------------------------------------------------------- registration */

typedef void function_fn(sqlite3_context *context, int argc, sqlite3_value **argv);

static const struct function {
    const char *name;
    int argument_count;
    int flags;
    function_fn *run;
} FUNCTIONS[] = {
    {"faster_get", 2, SQLITE_UTF8, function_get},
    {"faster_get", 3, SQLITE_UTF8, function_get},
    {"faster_exists", 2, SQLITE_UTF8, function_exists},
    {"faster_set", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, function_set},
    {"faster_delete", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, function_delete},
    {"faster_incr", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, function_increment},
    {"faster_incr", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, function_increment},
    {"faster_config", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, function_config},
    {"faster_config", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, function_config},
    {"faster_verify", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, function_verify},
    {"faster_version", 0, SQLITE_UTF8 | SQLITE_INNOCUOUS | SQLITE_DETERMINISTIC, function_version},
};

int functions_register(struct connection *connection) {
    int rc = SQLITE_OK;
    for (size_t i = 0; i < sizeof(FUNCTIONS) / sizeof(FUNCTIONS[0]) && rc == SQLITE_OK; i++) {
        const struct function *function = &FUNCTIONS[i];
        connection_reference(connection);
        rc = sqlite3_create_function_v2(connection->db, function->name, function->argument_count,
                                        function->flags, connection, function->run, NULL, NULL,
                                        connection_release);
    }
    return rc;
}
