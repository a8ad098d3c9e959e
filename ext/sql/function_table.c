/* function_table.c - see function_table.h. */
#include "sql/function_table.h"

#include "table/table_lookup.h"

static void set_error(sqlite3_context *context, struct connection *connection, int rc) {
    char *message = connection_take_message(connection);
    if (message != NULL) {
        sqlite3_result_error(context, message, -1);
        sqlite3_free(message);
    }
    sqlite3_result_error_code(context, rc);
}

static int check_single_key(const struct table *table) {
    return table->schema.kind != SCHEMA_KEY_MULTIPLE
               ? SQLITE_OK
               : connection_error(table->connection, SQLITE_ERROR,
                                  "%s has several key columns: use SELECT, INSERT, DELETE",
                                  table->name);
}

/* One try. The table is busy while `body` works with it. */
static int try_once(sqlite3_context *context, int argc, sqlite3_value **argv, bool needs_key,
                    function_body_fn *body) {
    struct connection *connection = sqlite3_user_data(context);
    struct table *table = NULL;
    int rc = table_lookup(connection, (const char *)sqlite3_value_text(argv[0]), &table);
    if (rc != SQLITE_OK) {
        return rc;
    }
    table_busy(table);
    rc = needs_key ? check_single_key(table) : SQLITE_OK;
    rc = rc == SQLITE_OK ? body(context, table, argc, argv) : rc;
    table_idle(table);
    return rc;
}

static void run(sqlite3_context *context, int argc, sqlite3_value **argv, bool needs_key,
                function_body_fn *body) {
    int rc = try_once(context, argc, argv, needs_key, body);
    if (rc == SQLITE_SCHEMA) {
        rc = try_once(context, argc, argv, needs_key, body);
    }
    if (rc != SQLITE_OK) {
        set_error(context, sqlite3_user_data(context), rc);
    }
}

void function_run(sqlite3_context *context, int argc, sqlite3_value **argv,
                  function_body_fn *body) {
    run(context, argc, argv, false, body);
}

void function_run_on_key(sqlite3_context *context, int argc, sqlite3_value **argv,
                         function_body_fn *body) {
    run(context, argc, argv, true, body);
}

int function_attach(struct table *table, struct attachment **attachment) {
    int rc = table_attach(table, attachment);
    return rc == SQLITE_OK && table->disconnected ? SQLITE_SCHEMA : rc;
}
