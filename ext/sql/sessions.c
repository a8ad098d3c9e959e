/* sessions.c - named sessions of a direct table's store: command, functions, list. */
#include "sql/sessions.h"

#include <string.h>

#include "table/transaction.h"

#define COMMAND "session "

/* The attachment of a direct table that may be written. */
static int attach(struct table *table, struct attachment **attachment) {
    if (!table_is_direct(table)) {
        return connection_error(table->connection, SQLITE_ERROR,
                                "%s: only tables with writes='direct' have named sessions: others "
                                "are committed with the database",
                                table->name);
    }
    int rc = table_attach(table, attachment);
    if (rc == SQLITE_OK && (*attachment)->read_only) {
        rc = connection_error(table->connection, SQLITE_READONLY,
                              "%s: attempt to write a readonly database", table->name);
    }
    return rc;
}

static int explain(struct table *table, enum faster_status status, const char *name) {
    struct connection *connection = table->connection;
    switch ((int)status) {
    case FASTER_OK:
        return SQLITE_OK;
    case FASTER_INVALID:
        return connection_error(connection, SQLITE_ERROR,
                                "%s: a session's name has 1 to %d bytes, none of them zero",
                                table->name, (int)FASTER_SESSION_NAME_BYTES - 1);
    case FASTER_MISUSE:
        return connection_error(connection, SQLITE_ERROR,
                                "%s: its store was created by an earlier version, which has no "
                                "named sessions",
                                table->name);
    case FASTER_BUSY:
        return connection_error(connection, SQLITE_BUSY,
                                "%s: the session '%s' is in use by another connection, or there "
                                "are too many (see faster_sessions)",
                                table->name, name);
    default:
        return table_engine_error(table, status);
    }
}

/* ---------------------------------------------------------------- command */

const char *session_parse(const char *command) {
    const size_t length = sizeof COMMAND - 1;
    if (command == NULL || sqlite3_strnicmp(command, COMMAND, (int)length) != 0) {
        return NULL;
    }
    return command + length + strspn(command + length, " ");
}

int session_take(struct table *table, const char *name) {
    struct attachment *attachment = NULL;
    int rc = attach(table, &attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    if (attachment->views != NULL) {
        return connection_error(table->connection, SQLITE_BUSY,
                                "%s: a statement of this connection is reading the table: its "
                                "session cannot get another name meanwhile",
                                table->name);
    }
    return explain(table, attachment_rename_session(attachment, name), name);
}

/* -------------------------------------------------------------- functions */

/* False: the value is text with a zero in it, which would cut it short. */
static bool take_name(sqlite3_value *value, const char **name) {
    *name = (const char *)sqlite3_value_text(value);
    return *name == NULL || strlen(*name) == (size_t)sqlite3_value_bytes(value);
}

static int run(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    struct attachment *attachment = NULL;
    const char *name = NULL;
    int rc = SQLITE_OK;
    if (argc > 1) {
        rc = take_name(argv[1], &name) ? session_take(table, name)
                                       : explain(table, FASTER_INVALID, name);
    }
    rc = rc == SQLITE_OK ? table_attach(table, &attachment) : rc;
    if (rc == SQLITE_OK && attachment->session_name[0] != '\0') {
        sqlite3_result_int64(context, (sqlite3_int64)faster_session_serial(attachment->session));
    }
    return rc;
}

void session_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run(context, argc, argv, run);
}

static int forget(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    struct attachment *attachment = NULL;
    const char *name;
    (void)argc;
    int rc = attach(table, &attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    const enum faster_status status = take_name(argv[1], &name)
                                          ? faster_session_forget(attachment->session, name)
                                          : FASTER_INVALID;
    if (status == FASTER_OK || status == FASTER_NOT_FOUND) {
        sqlite3_result_int(context, status == FASTER_OK);
        return SQLITE_OK;
    }
    return explain(table, status, name);
}

void session_forget_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run(context, argc, argv, forget);
}

/* ------------------------------------------------------------------- list */

static int fill(struct table *table, struct listing *listing) {
    struct attachment *attachment = NULL;
    int rc = table_attach(table, &attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    struct faster_session_info *infos = sqlite3_malloc64(FASTER_SESSION_NAMES_MAX * sizeof *infos);
    if (infos == NULL) {
        return SQLITE_NOMEM;
    }
    const size_t count = faster_store_sessions(attachment->store, infos, FASTER_SESSION_NAMES_MAX);
    for (size_t i = 0; i < count && i < FASTER_SESSION_NAMES_MAX; i++) {
        listing_add_text(listing, infos[i].name);
        listing_add_integer(listing, infos[i].durable_serial);
        listing_add_integer(listing, infos[i].serial);
        listing_add_integer(listing, infos[i].is_open);
    }
    sqlite3_free(infos);
    return listing_result(listing);
}

const struct listing_kind SESSIONS_LISTING = {
    .name = "faster_sessions",
    .columns = "name TEXT, durable_serial INTEGER, serial INTEGER, open INTEGER",
    .column_count = 4,
    .fill = fill,
};
