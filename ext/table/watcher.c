/* watcher.c - see watcher.h.
 *
 * It is eponymous, has no rows and takes none; `DELETE ... WHERE 0` makes
 * it take part in the transaction and touches nothing, should a user have a table of that
 * name. */
#include "table/watcher.h"

#include "table/statements.h"
#include "table/transaction.h"

#define WATCHER_NAME "faster watcher"

struct watcher {
    sqlite3_vtab base;
    struct connection *connection;
};

static struct connection *connection_of(sqlite3_vtab *base) {
    return ((struct watcher *)base)->connection;
}

static int watcher_result(sqlite3_vtab *base, int rc) {
    if (rc != SQLITE_OK) {
        sqlite3_free(base->zErrMsg);
        base->zErrMsg = connection_take_message(connection_of(base));
    }
    return rc;
}

static int watcher_connect(sqlite3 *db, void *context, int argc, const char *const *argv,
                           sqlite3_vtab **result, char **error) {
    (void)argc;
    (void)argv;
    (void)error;
    struct watcher *watcher = sqlite3_malloc64(sizeof(*watcher));
    if (watcher == NULL) {
        return SQLITE_NOMEM;
    }
    *watcher = (struct watcher){.connection = context};
    int rc = sqlite3_declare_vtab(db, "CREATE TABLE watcher(unused)");
    if (rc == SQLITE_OK) {
        rc = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    }
    if (rc != SQLITE_OK) {
        sqlite3_free(watcher);
        return rc;
    }
    watcher->connection->watcher_connected = true;
    *result = &watcher->base;
    return SQLITE_OK;
}

static int watcher_disconnect(sqlite3_vtab *base) {
    connection_of(base)->watcher_connected = false;
    statements_finish(connection_of(base));
    sqlite3_free(base);
    return SQLITE_OK;
}

static int watcher_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    (void)base;
    info->estimatedCost = 1.0;
    info->estimatedRows = 0;
    return SQLITE_OK;
}

static int watcher_open(sqlite3_vtab *base, sqlite3_vtab_cursor **result) {
    (void)base;
    *result = sqlite3_malloc64(sizeof(**result));
    return *result == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

static int watcher_close(sqlite3_vtab_cursor *cursor) {
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int watcher_filter(sqlite3_vtab_cursor *cursor, int index_number, const char *index_text,
                          int argc, sqlite3_value **argv) {
    (void)cursor;
    (void)index_number;
    (void)index_text;
    (void)argc;
    (void)argv;
    return SQLITE_OK;
}

static int watcher_next(sqlite3_vtab_cursor *cursor) {
    (void)cursor;
    return SQLITE_OK;
}

static int watcher_eof(sqlite3_vtab_cursor *cursor) {
    (void)cursor;
    return 1;
}

static int watcher_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column) {
    (void)cursor;
    (void)context;
    (void)column;
    return SQLITE_OK;
}

static int watcher_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    (void)cursor;
    *rowid = 0;
    return SQLITE_OK;
}

static int watcher_update(sqlite3_vtab *base, int argc, sqlite3_value **argv,
                          sqlite3_int64 *rowid) {
    (void)argc;
    (void)argv;
    (void)rowid;
    sqlite3_free(base->zErrMsg);
    base->zErrMsg = sqlite3_mprintf("\"%s\" is internal and holds no rows", WATCHER_NAME);
    return SQLITE_READONLY;
}

static int watcher_begin(sqlite3_vtab *base) {
    connection_of(base)->watched = true;
    return SQLITE_OK;
}

static int watcher_sync(sqlite3_vtab *base) {
    return watcher_result(base, transaction_sync(connection_of(base)));
}

static int watcher_commit(sqlite3_vtab *base) {
    connection_of(base)->watched = false;
    transaction_commit(connection_of(base));
    return SQLITE_OK;
}

static int watcher_rollback(sqlite3_vtab *base) {
    connection_of(base)->watched = false;
    transaction_rollback(connection_of(base));
    return SQLITE_OK;
}

static int watcher_savepoint(sqlite3_vtab *base, int level) {
    return watcher_result(base, transaction_savepoint(connection_of(base), level));
}

static int watcher_release(sqlite3_vtab *base, int level) {
    return watcher_result(base, transaction_release(connection_of(base), level));
}

static int watcher_rollback_to(sqlite3_vtab *base, int level) {
    return watcher_result(base, transaction_rollback_to(connection_of(base), level));
}

/* Without xCreate it is eponymous only: no CREATE VIRTUAL TABLE can use it. */
static const sqlite3_module WATCHER_MODULE = {.iVersion = 2,
                                              .xConnect = watcher_connect,
                                              .xBestIndex = watcher_best_index,
                                              .xDisconnect = watcher_disconnect,
                                              .xOpen = watcher_open,
                                              .xClose = watcher_close,
                                              .xFilter = watcher_filter,
                                              .xNext = watcher_next,
                                              .xEof = watcher_eof,
                                              .xColumn = watcher_column,
                                              .xRowid = watcher_rowid,
                                              .xUpdate = watcher_update,
                                              .xBegin = watcher_begin,
                                              .xSync = watcher_sync,
                                              .xCommit = watcher_commit,
                                              .xRollback = watcher_rollback,
                                              .xSavepoint = watcher_savepoint,
                                              .xRelease = watcher_release,
                                              .xRollbackTo = watcher_rollback_to};

int watcher_register(struct connection *connection) {
    connection_reference(connection);
    return sqlite3_create_module_v2(connection->db, WATCHER_NAME, &WATCHER_MODULE, connection,
                                    connection_release);
}

/* Preparing a statement makes the object. Running it would lock the main database. */
int watcher_ensure_object(struct connection *connection) {
    if (connection->watcher_connected) {
        return SQLITE_OK;
    }
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(connection->db, "SELECT 1 FROM \"" WATCHER_NAME "\"", -1,
                                &statement, NULL);
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_OK ? rc : connection_sqlite_error(connection, rc);
}

int watcher_enlist(struct connection *connection) {
    if (connection->watched) {
        return SQLITE_OK;
    }
    int rc =
        sqlite3_exec(connection->db, "DELETE FROM \"" WATCHER_NAME "\" WHERE 0", NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        return connection_sqlite_error(connection, rc);
    }
    if (!connection->watched) {
        return connection_error(connection, SQLITE_ERROR,
                                "a table named \"%s\" is in the way: rename it", WATCHER_NAME);
    }
    return SQLITE_OK;
}
