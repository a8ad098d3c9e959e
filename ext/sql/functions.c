/* functions.c - the scalar functions: one key of one table, without a query plan.
 *
 * Reading functions go to the store directly; functions_write.c has those that write. */
#include "sql/functions.h"

#include "sql/backup.h"
#include "sql/checkpoints.h"
#include "sql/configure.h"
#include "sql/findings.h"
#include "sql/functions_write.h"
#include "sql/row_input.h"
#include "sql/salvage.h"
#include "sql/sessions.h"
#include "table/point.h"
#include "table/table_lookup.h"
#include "table/view.h"

/* ---------------------------------------------------------------- reading */

static int read_in_view(struct table *table, struct row_values *values,
                        struct faster_buffer *record, bool *found) {
    struct view view = {0};
    int rc = view_open_in_function(table, &view);
    rc = rc == SQLITE_OK
             ? point_read(table, &view.snapshot, row_buffer_bytes(&values->key), record, found)
             : rc;
    view_close(&view);
    return rc;
}

static int read_now(struct table *table, struct row_values *values, struct faster_buffer *record,
                    bool *found) {
    struct attachment *attachment = NULL;
    int rc = function_attach(table, &attachment);
    return rc == SQLITE_OK
               ? point_read(table, &attachment->now, row_buffer_bytes(&values->key), record, found)
               : rc;
}

/* Reads the row of a key into `values`, without its record if only *found is asked. */
static int read_row(struct table *table, sqlite3_value *key, struct row_values *values,
                    bool with_record, bool *found) {
    struct faster_buffer *record = with_record ? &values->record : NULL;
    bool matches = false;
    *found = false;
    int rc = row_input_encode_single_key(table, key, &values->key, &matches);
    if (rc != SQLITE_OK || !matches) {
        return rc;
    }
    return table_is_direct(table) ? read_now(table, values, record, found)
                                  : read_in_view(table, values, record, found);
}

static int give_column(sqlite3_context *context, const struct table *table,
                       const struct row_values *values, int column) {
    struct row_view row;
    int rc = row_view_open(&row, &table->schema, row_buffer_bytes(&values->key),
                           (struct faster_bytes){values->record.data, values->record.size_bytes});
    return rc == SQLITE_OK ? row_view_result(&row, column, context, SQLITE_TRANSIENT) : rc;
}

static int get(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    const char *column_name = argc > 2 ? (const char *)sqlite3_value_text(argv[2]) : NULL;
    int column = 0;
    bool found = false;
    int rc = table_value_column(table, column_name, &column);
    if (rc != SQLITE_OK) {
        return rc;
    }
    struct row_values *values = row_input_take(table);
    if (values == NULL) {
        return SQLITE_NOMEM;
    }
    rc = read_row(table, argv[1], values, true, &found);
    rc = rc == SQLITE_OK && found ? give_column(context, table, values, column) : rc;
    row_input_give_back(table, values);
    return rc;
}

/* faster_get(t, key [, column]) */
static void function_get(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run_on_key(context, argc, argv, get);
}

static int exists(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    struct row_values *values = row_input_take(table);
    bool found = false;
    (void)argc;
    if (values == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = read_row(table, argv[1], values, false, &found);
    row_input_give_back(table, values);
    if (rc == SQLITE_OK) {
        sqlite3_result_int(context, found);
    }
    return rc;
}

/* faster_exists(t, key) */
static void function_exists(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run_on_key(context, argc, argv, exists);
}

static int verify(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    uint64_t count = 0;
    char *findings = NULL;
    (void)argc;
    (void)argv;
    int rc = findings_text(table, &count, &findings);
    if (rc == SQLITE_OK && count == 0) {
        sqlite3_result_text(context, "ok", -1, SQLITE_STATIC);
    } else if (rc == SQLITE_OK) {
        sqlite3_result_text(context, findings, -1, SQLITE_TRANSIENT);
    }
    sqlite3_free(findings);
    return rc;
}

/* faster_verify(t): 'ok', or what is wrong. */
static void function_verify(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run(context, argc, argv, verify);
}

static int config(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    const char *name = (const char *)sqlite3_value_text(argv[1]);
    char *text = NULL;
    int rc = argc == 2 ? configure_get(table, name, context)
                       : configure_set(table, name, argv[2], &text);
    if (rc == SQLITE_OK && argc > 2) {
        sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
    }
    sqlite3_free(text);
    return rc;
}

/* faster_config(t, name [, value]): the value in force, or when a new one will be. */
static void function_config(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run(context, argc, argv, config);
}

static void function_version(sqlite3_context *context, int argc, sqlite3_value **argv) {
    (void)argc;
    (void)argv;
    sqlite3_result_text(context, FASTER_VERSION, -1, SQLITE_STATIC);
}

/* ----------------------------------------------------------- registration */

static const struct function {
    const char *name;
    int argument_count;
    int flags;
    function_fn *run;
} FUNCTIONS[] = {
    {"faster_get", 2, SQLITE_UTF8, function_get},
    {"faster_get", 3, SQLITE_UTF8, function_get},
    {"faster_exists", 2, SQLITE_UTF8, function_exists},
    {"faster_set", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, functions_set},
    {"faster_delete", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, functions_delete},
    {"faster_incr", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, functions_increment},
    {"faster_incr", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, functions_increment},
    {"faster_append", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, functions_append},
    {"faster_cas", 4, SQLITE_UTF8 | SQLITE_DIRECTONLY, functions_cas},
    {"faster_commit", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, functions_commit},
    {"faster_checkpoint", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, checkpoint_function},
    {"faster_checkpoint", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, checkpoint_function},
    {"faster_checkpoint", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, checkpoint_function},
    {"faster_backup", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, backup_function},
    {"faster_backup", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, backup_function},
    {"faster_adopt", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, adopt_function},
    {"faster_config", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, function_config},
    {"faster_config", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, function_config},
    {"faster_salvage", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, salvage_function},
    {"faster_salvage", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, salvage_function},
    {"faster_session", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, session_function},
    {"faster_session", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, session_function},
    {"faster_session_forget", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, session_forget_function},
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
