/* client_sql.c - a client through SQL: the table t of a database, with faster.so loaded.
 *
 * A transactional table is written by INSERT and DELETE in a transaction, beside the ordinary table
 * o, which must always show the same; a direct one by functions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

enum {
    STATEMENT_PUT,
    STATEMENT_PUT_BESIDE,
    STATEMENT_REMOVE,
    STATEMENT_REMOVE_BESIDE,
    STATEMENT_GET,
    STATEMENT_COUNT
};

struct sql_client {
    sqlite3 *db;
    sqlite3_stmt *statement[STATEMENT_COUNT];
};

static const char *const sql_of[2][STATEMENT_COUNT] = {
    {"REPLACE INTO t VALUES(?1, ?2)", "REPLACE INTO o VALUES(?1, ?2)",
     "DELETE FROM t WHERE key = ?1", "DELETE FROM o WHERE key = ?1",
     "SELECT value FROM t WHERE key = ?1"},
    {"SELECT faster_set('t', ?1, ?2)", NULL, "SELECT faster_delete('t', ?1)", NULL,
     "SELECT value FROM t WHERE key = ?1"}};

static enum client_code failed(struct client *client, int code, const char *message) {
    snprintf(client->message, sizeof client->message, "%s (%d)", message, code);
    switch (code & 0xff) {
    case SQLITE_FULL:
        return CLIENT_FULL;
    case SQLITE_NOMEM:
        return CLIENT_NOMEM;
    case SQLITE_IOERR:
        return code == SQLITE_IOERR_NOMEM ? CLIENT_NOMEM : CLIENT_IO;
    case SQLITE_CANTOPEN:
        return CLIENT_IO;
    case SQLITE_CORRUPT: /* SQLite calls EIO of a read so; FASTER's own is SQLITE_CORRUPT_VTAB */
        return code == SQLITE_CORRUPT ? CLIENT_IO : CLIENT_OTHER;
    case SQLITE_READONLY:
        return CLIENT_READ_ONLY;
    default:
        return CLIENT_OTHER;
    }
}

static enum client_code done(struct client *client, int code) {
    const struct sql_client *self = client->self;
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) {
        return CLIENT_OK;
    }
    return failed(client, sqlite3_extended_errcode(self->db), sqlite3_errmsg(self->db));
}

static void sql_rollback(struct client *client) {
    const struct sql_client *self = client->self;
    if (!sqlite3_get_autocommit(self->db)) {
        (void)sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
    }
}

static void sql_close(struct client *client) {
    struct sql_client *self = client->self;
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(self->statement[i]);
    }
    db_close(self->db);
    free(self);
}

static enum client_code make_tables(struct client *client) {
    const struct sql_client *self = client->self;
    const struct client_config *config = &client->config;
    char sql[600];
    snprintf(sql, sizeof sql,
             "BEGIN IMMEDIATE;"
             "CREATE VIRTUAL TABLE IF NOT EXISTS t USING faster(key TEXT PRIMARY KEY, value, "
             "memory=%llu, page_size=%llu, segment_size=%llu%s);"
             "CREATE TABLE IF NOT EXISTS o(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
             "COMMIT",
             (unsigned long long)config->memory_bytes, (unsigned long long)config->page_bytes,
             (unsigned long long)config->segment_bytes,
             config->is_direct ? ", writes='direct'" : "");
    enum client_code code = done(client, sqlite3_exec(self->db, sql, NULL, NULL, NULL));
    if (code != CLIENT_OK) {
        sql_rollback(client);
    }
    return code;
}

static enum client_code load(struct client *client) {
    const struct sql_client *self = client->self;
    char *message = NULL;
    enum client_code code = CLIENT_OK;
    (void)sqlite3_db_config(self->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    if (sqlite3_load_extension(self->db, client->config.options->extension, NULL, &message) !=
        SQLITE_OK) {
        code = failed(client, SQLITE_CANTOPEN, message ? message : "cannot load");
    }
    sqlite3_free(message);
    return code;
}

static enum client_code prepare(struct client *client) {
    struct sql_client *self = client->self;
    enum client_code code = CLIENT_OK;
    for (int i = 0; i < STATEMENT_COUNT && code == CLIENT_OK; i++) {
        const char *sql = sql_of[client->config.is_direct][i];
        if (sql != NULL) {
            code = done(client, sqlite3_prepare_v3(self->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                                   &self->statement[i], NULL));
        }
    }
    return code;
}

/* What makes an acknowledged commit safe from a power cut: see the README. */
static enum client_code set_up(struct client *client) {
    const struct sql_client *self = client->self;
    enum client_code code =
        done(client, sqlite3_exec(self->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
                                  NULL, NULL, NULL));
    code = code ? code : make_tables(client);
    code = code ? code : prepare(client);
    if (code == CLIENT_OK && client->config.session != NULL) {
        char sql[100];
        snprintf(sql, sizeof sql, "SELECT faster_session('t', '%s')", client->config.session);
        sqlite3_stmt *statement = NULL;
        code = done(client, sqlite3_prepare_v2(self->db, sql, -1, &statement, NULL));
        code = code ? code : done(client, sqlite3_step(statement));
        client->serial = (uint64_t)sqlite3_column_int64(statement, 0);
        sqlite3_finalize(statement);
    }
    return code;
}

static enum client_code sql_open(struct client *client, const struct client *other) {
    (void)other; /* connections of one process share their stores */
    char path[TEST_PATH_BYTES];
    struct sql_client *self = calloc(1, sizeof *self);
    client->self = self;
    path_format(path, "%s/limits.db", client->config.directory);
    enum client_code code = done(
        client, sqlite3_open_v2(path, &self->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL));
    if (code == CLIENT_OK) {
        sqlite3_busy_timeout(self->db, 10000);
        code = load(client);
    }
    code = code ? code : set_up(client);
    if (code != CLIENT_OK) {
        client_close(client);
    }
    return code;
}

/* ------------------------------------------------------------------- rows */

static enum client_code run(struct client *client, int number, const char *key, const void *value,
                            size_t value_bytes) {
    const struct sql_client *self = client->self;
    sqlite3_stmt *statement = self->statement[number];
    if (statement == NULL) {
        return CLIENT_OK;
    }
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    if (value != NULL) {
        sqlite3_bind_blob64(statement, 2, value, value_bytes, SQLITE_STATIC);
    }
    while (sqlite3_step(statement) == SQLITE_ROW) {
    }
    return done(client, sqlite3_reset(statement));
}

static enum client_code begin(struct client *client) {
    const struct sql_client *self = client->self;
    if (client->config.is_direct || !sqlite3_get_autocommit(self->db)) {
        return CLIENT_OK;
    }
    return done(client, sqlite3_exec(self->db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
}

static enum client_code sql_put(struct client *client, const char *key, const void *value,
                                size_t value_bytes) {
    enum client_code code = begin(client);
    code = code ? code : run(client, STATEMENT_PUT, key, value, value_bytes);
    return code ? code : run(client, STATEMENT_PUT_BESIDE, key, value, value_bytes);
}

static enum client_code sql_remove(struct client *client, const char *key) {
    enum client_code code = begin(client);
    code = code ? code : run(client, STATEMENT_REMOVE, key, NULL, 0);
    return code ? code : run(client, STATEMENT_REMOVE_BESIDE, key, NULL, 0);
}

static enum client_code execute(struct client *client, const char *sql) {
    const struct sql_client *self = client->self;
    return done(client, sqlite3_exec(self->db, sql, NULL, NULL, NULL));
}

static enum client_code sql_commit(struct client *client) {
    const struct sql_client *self = client->self;
    if (client->config.is_direct) {
        return execute(client, "SELECT faster_commit('t')");
    }
    return sqlite3_get_autocommit(self->db) ? CLIENT_OK : execute(client, "COMMIT");
}

static enum client_code sql_get(struct client *client, const char *key, struct text *value) {
    const struct sql_client *self = client->self;
    sqlite3_stmt *statement = self->statement[STATEMENT_GET];
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW) {
        const void *bytes = sqlite3_column_blob(statement, 0);
        text_add_bytes(value, bytes, (size_t)sqlite3_column_bytes(statement, 0));
    }
    enum client_code code = done(client, sqlite3_reset(statement));
    return code == CLIENT_OK && step == SQLITE_DONE ? CLIENT_NOT_FOUND : code;
}

/* ---------------------------------------------------------------- the whole */

/* The first column of the first row as text. */
static enum client_code ask(struct client *client, const char *sql, char *text, size_t text_bytes) {
    const struct sql_client *self = client->self;
    sqlite3_stmt *statement = NULL;
    enum client_code code = done(client, sqlite3_prepare_v2(self->db, sql, -1, &statement, NULL));
    code = code ? code : done(client, sqlite3_step(statement));
    if (code == CLIENT_OK) {
        const char *found = (const char *)sqlite3_column_text(statement, 0);
        snprintf(text, text_bytes, "%s", found ? found : "");
    }
    sqlite3_finalize(statement);
    return code;
}

static enum client_code sql_count(struct client *client, uint64_t *count) {
    char text[400] = "";
    enum client_code code = ask(client, "SELECT count(*) FROM t", text, sizeof text);
    *count = strtoull(text, NULL, 10);
    return code;
}

static enum client_code expect(struct client *client, const char *sql, const char *expected) {
    char text[400] = "";
    enum client_code code = ask(client, sql, text, sizeof text);
    if (code == CLIENT_OK && strcmp(text, expected) != 0) {
        snprintf(client->message, sizeof client->message, "%s: %s", sql, text);
        return CLIENT_OTHER;
    }
    return code;
}

static enum client_code sql_verify(struct client *client) {
    enum client_code code = expect(client, "SELECT faster_verify('t')", "ok");
    code = code ? code : expect(client, "PRAGMA integrity_check", "ok");
    if (code == CLIENT_OK && !client->config.is_direct) {
        code = expect(client,
                      "SELECT count(*) FROM (SELECT * FROM t EXCEPT SELECT * FROM o) UNION ALL "
                      "SELECT count(*) FROM (SELECT * FROM o EXCEPT SELECT * FROM t) "
                      "ORDER BY 1 DESC LIMIT 1",
                      "0");
    }
    return code;
}

static enum client_code sql_checkpoint(struct client *client) {
    return execute(client, "SELECT faster_checkpoint('t', 'fold-over', 'copy')");
}

static enum client_code sql_grow(struct client *client) {
    return execute(client, "INSERT INTO t(t) VALUES('grow')");
}

const struct client_calls client_sql_calls = {sql_open,   sql_close,      sql_put, sql_remove,
                                              sql_commit, sql_rollback,   sql_get, sql_count,
                                              sql_verify, sql_checkpoint, sql_grow};
