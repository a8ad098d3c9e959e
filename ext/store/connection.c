/* connection.c - see connection.h. */
#include "store/connection.h"

#include <pthread.h>
#include <stdarg.h>
#include <string.h>

#include "base/errors.h"
#include "store/registry.h"

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct connection *list; /* of this process; protected by list_mutex */

struct connection *connection_create(sqlite3 *db, connection_end_fn *end) {
    struct connection *connection = sqlite3_malloc64(sizeof(*connection));
    if (connection != NULL) {
        *connection =
            (struct connection){.db = db, .end = end, .reference_count = 1, .open_level = -1};
        (void)pthread_mutex_lock(&list_mutex);
        connection->next = list;
        list = connection;
        (void)pthread_mutex_unlock(&list_mutex);
    }
    return connection;
}

bool connection_exists(const sqlite3 *db) {
    (void)pthread_mutex_lock(&list_mutex);
    const struct connection *connection = list;
    while (connection != NULL && connection->db != db) {
        connection = connection->next;
    }
    (void)pthread_mutex_unlock(&list_mutex);
    return connection != NULL;
}

static void unlink_connection(struct connection *connection) {
    (void)pthread_mutex_lock(&list_mutex);
    struct connection **link = &list;
    while (*link != connection) {
        link = &(*link)->next;
    }
    *link = connection->next;
    (void)pthread_mutex_unlock(&list_mutex);
}

void connection_reference(struct connection *connection) {
    connection->reference_count++;
}

void connection_release(void *context) {
    struct connection *connection = context;
    if (connection == NULL || --connection->reference_count > 0) {
        return;
    }
    connection->end(connection);
    unlink_connection(connection);
    sqlite3_free(connection->message);
    sqlite3_free(connection);
}

static void set_message(struct connection *connection, char *message) {
    sqlite3_free(connection->message);
    connection->message = message;
}

int connection_error(struct connection *connection, int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    set_message(connection, sqlite3_vmprintf(format, arguments));
    va_end(arguments);
    return code;
}

int connection_sqlite_error(struct connection *connection, int code) {
    int extended = sqlite3_extended_errcode(connection->db);
    set_message(connection, sqlite3_mprintf("%s", sqlite3_errmsg(connection->db)));
    return (extended & 0xff) == (code & 0xff) ? extended : code;
}

/* The engine says that memory must be raised; how is for the extension to say. */
static const char *how_to_raise(enum faster_status status, const char *text) {
    return status == FASTER_FULL && strstr(text, "memory") != NULL
               ? " (faster_config(t, 'memory', '...'), then close all connections)"
               : "";
}

int connection_engine_error(struct connection *connection, const char *table_name,
                            enum faster_status status, const char *message) {
    const char *text = message != NULL && message[0] != '\0' ? message : errors_text(status);
    set_message(connection,
                sqlite3_mprintf("%s: %s%s", table_name, text, how_to_raise(status, text)));
    return errors_code(status);
}

char *connection_take_message(struct connection *connection) {
    char *message = connection->message;
    connection->message = NULL;
    return message;
}

int connection_check_process(struct connection *connection) {
    if (!registry_forked()) {
        return SQLITE_OK;
    }
    return connection_error(connection, SQLITE_MISUSE,
                            "a FASTER table cannot be used in a forked process through a "
                            "connection of its parent: open the database anew");
}

int connection_check_writing(struct connection *connection, const char *schema_name, int code) {
    if (sqlite3_txn_state(connection->db, schema_name) == SQLITE_TXN_WRITE) {
        return SQLITE_OK;
    }
    return connection_error(connection, code, "the transaction was rolled back");
}

int connection_run(sqlite3_stmt *statement) {
    int rc = SQLITE_ROW;
    while (rc == SQLITE_ROW) {
        rc = sqlite3_step(statement);
    }
    return rc;
}

/* SQLite tells about an interrupt only from 3.41 on. Before, and with the older header this
 * is built against, a statement of our own meets it: it starts with the check, and while the
 * user's statement runs the mark is not cleared. */
bool connection_interrupted(void *context) {
    struct connection *connection = context;
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(connection->db, "SELECT 1", -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_INTERRUPT;
}

void connection_diagnostic(void *context, enum faster_diagnostic_level level, const char *module,
                           const char *message) {
    (void)context;
    int code = level == FASTER_DIAGNOSTIC_ERROR     ? SQLITE_ERROR
               : level == FASTER_DIAGNOSTIC_WARNING ? SQLITE_WARNING
                                                    : SQLITE_NOTICE;
    sqlite3_log(code, "faster: %s: %s", module, message);
}

uint64_t connection_busy_timeout_ns(struct connection *connection) {
    uint64_t timeout_ms = 0;
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(connection->db, "PRAGMA busy_timeout", -1, &statement, NULL);
    if (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        sqlite3_int64 value = sqlite3_column_int64(statement, 0);
        timeout_ms = value > 0 ? (uint64_t)value : 0;
    }
    (void)sqlite3_finalize(statement);
    return timeout_ms * UINT64_C(1000000);
}
