/* commit_rows.c - see commit_rows.h.
 *
 * The engine's numbers are unsigned, SQLite's integers are not: they are stored as the same
 * 64 bits. Only `number` is ever compared in SQL, and it counts from 1. */
#include "store/commit_rows.h"

#include <string.h>

/* %1$w is not known to sqlite3_mprintf(): each pattern takes schema and table twice at most. */
static const char *const STATEMENT_SQL[COMMIT_ROWS_STATEMENT_COUNT] = {
    /* A row, even if there are none. */
    [COMMIT_ROWS_LOOK] = "SELECT EXISTS (SELECT 1 FROM \"%w\".\"%w_log\")",
    [COMMIT_ROWS_NEWEST] = "SELECT number, start, end, nonce, control_address, checksum, "
                           "max_rowid, hints FROM \"%w\".\"%w_log\" ORDER BY number DESC LIMIT 1",
    [COMMIT_ROWS_ALL] = "SELECT number, start, end, nonce, control_address, checksum, "
                        "max_rowid, hints, redo FROM \"%w\".\"%w_log\" ORDER BY number",
    [COMMIT_ROWS_PUT] = "INSERT OR REPLACE INTO \"%w\".\"%w_log\"(number, start, end, nonce, "
                        "control_address, checksum, max_rowid, hints, redo) "
                        "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM \"%w\".\"%w_config\" "
                        "WHERE name = 'uuid' AND value = ?10",
    [COMMIT_ROWS_DELETE_BELOW] = "DELETE FROM \"%w\".\"%w_log\" WHERE number < ?1",
    [COMMIT_ROWS_DELETE_ONE] = "DELETE FROM \"%w\".\"%w_log\" WHERE number = ?1",
    [COMMIT_ROWS_CONFIG] = "SELECT name, value FROM \"%w\".\"%w_config\" "
                           "WHERE name IN ('uuid', 'version', 'path', 'writes', 'memory', "
                           "'inline_commit', 'checkpoint_bytes', 'checkpoint_interval')",
};

int commit_rows_init(struct commit_rows *rows, struct connection *connection,
                     const char *schema_name, const char *table_name) {
    *rows = (struct commit_rows){.connection = connection,
                                 .schema_name = sqlite3_mprintf("%s", schema_name),
                                 .table_name = sqlite3_mprintf("%s", table_name)};
    return rows->schema_name == NULL || rows->table_name == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

void commit_rows_release_statements(struct commit_rows *rows) {
    for (int i = 0; i < COMMIT_ROWS_STATEMENT_COUNT; i++) {
        (void)sqlite3_finalize(rows->statements[i]);
        rows->statements[i] = NULL;
    }
}

void commit_rows_finish(struct commit_rows *rows) {
    commit_rows_release_statements(rows);
    sqlite3_free(rows->schema_name);
    sqlite3_free(rows->table_name);
    *rows = (struct commit_rows){0};
}

int commit_rows_set_table_name(struct commit_rows *rows, const char *table_name) {
    char *copy = sqlite3_mprintf("%s", table_name);
    if (copy == NULL) {
        return SQLITE_NOMEM;
    }
    commit_rows_release_statements(rows);
    sqlite3_free(rows->table_name);
    rows->table_name = copy;
    return SQLITE_OK;
}

/* ------------------------------------------------------------- statements */

static int prepare(struct commit_rows *rows, enum commit_rows_statement which,
                   sqlite3_stmt **statement) {
    if (rows->statements[which] == NULL) {
        char *sql = sqlite3_mprintf(STATEMENT_SQL[which], rows->schema_name, rows->table_name,
                                    rows->schema_name, rows->table_name);
        if (sql == NULL) {
            return SQLITE_NOMEM;
        }
        int rc = sqlite3_prepare_v3(rows->connection->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                    &rows->statements[which], NULL);
        sqlite3_free(sql);
        if (rc != SQLITE_OK) {
            return connection_sqlite_error(rows->connection, rc);
        }
    }
    *statement = rows->statements[which];
    return SQLITE_OK;
}

/* Ends a statement's run and reports its failure, if there was one. */
static int finish_step(struct commit_rows *rows, sqlite3_stmt *statement, int rc) {
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        rc = connection_sqlite_error(rows->connection, rc);
    } else {
        rc = SQLITE_OK;
    }
    (void)sqlite3_reset(statement);
    return rc;
}

static int execute(struct connection *connection, char *sql) {
    if (sql == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = sqlite3_exec(connection->db, sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        rc = connection_sqlite_error(connection, rc);
    }
    sqlite3_free(sql);
    return rc;
}

/* -------------------------------------------------------------------- DDL */

static int create_log(struct commit_rows *rows) {
    return execute(
        rows->connection,
        sqlite3_mprintf("CREATE TABLE \"%w\".\"%w_log\"(number INTEGER PRIMARY KEY, "
                        "start INTEGER NOT NULL, end INTEGER NOT NULL, nonce INTEGER NOT NULL, "
                        "control_address INTEGER NOT NULL, checksum INTEGER NOT NULL, "
                        "max_rowid INTEGER, hints INTEGER NOT NULL, redo BLOB)",
                        rows->schema_name, rows->table_name));
}

int commit_rows_create_tables(struct commit_rows *rows, const char *uuid_text, const char *path) {
    const char *schema = rows->schema_name;
    const char *table = rows->table_name;
    int version = rows->direct ? COMMIT_ROWS_VERSION_DIRECT : COMMIT_ROWS_VERSION;
    int rc = rows->direct ? SQLITE_OK : create_log(rows);
    if (rc != SQLITE_OK) {
        return rc;
    }
    return execute(
        rows->connection,
        sqlite3_mprintf("CREATE TABLE \"%w\".\"%w_config\"(name TEXT PRIMARY KEY, value) "
                        "WITHOUT ROWID;"
                        "INSERT INTO \"%w\".\"%w_config\" VALUES "
                        "('uuid', %Q), ('version', %d), ('path', %Q)%s",
                        schema, table, schema, table, uuid_text, version, path,
                        rows->direct ? ", ('writes', 'direct')" : ""));
}

/* A table named <t>_log beside a direct table is somebody else's. */
int commit_rows_drop_tables(struct commit_rows *rows) {
    const char *schema = rows->schema_name;
    const char *table = rows->table_name;
    commit_rows_release_statements(rows);
    int rc = execute(rows->connection,
                     sqlite3_mprintf("DROP TABLE IF EXISTS \"%w\".\"%w_config\"", schema, table));
    return rc != SQLITE_OK || rows->direct
               ? rc
               : execute(rows->connection,
                         sqlite3_mprintf("DROP TABLE IF EXISTS \"%w\".\"%w_log\"", schema, table));
}

int commit_rows_rename_tables(struct commit_rows *rows, const char *new_name) {
    static const char pattern[] = "ALTER TABLE \"%w\".\"%w_%s\" RENAME TO \"%w_%s\"";
    commit_rows_release_statements(rows);
    int rc = execute(rows->connection, sqlite3_mprintf(pattern, rows->schema_name, rows->table_name,
                                                       "config", new_name, "config"));
    return rc != SQLITE_OK || rows->direct
               ? rc
               : execute(rows->connection,
                         sqlite3_mprintf(pattern, rows->schema_name, rows->table_name, "log",
                                         new_name, "log"));
}

/* ------------------------------------------------------------------- rows */

static void read_row(sqlite3_stmt *statement, struct stored_row *row) {
    *row = (struct stored_row){
        .commit = {.number = (uint64_t)sqlite3_column_int64(statement, 0),
                   .start = (uint64_t)sqlite3_column_int64(statement, 1),
                   .end = (uint64_t)sqlite3_column_int64(statement, 2),
                   .nonce = (uint64_t)sqlite3_column_int64(statement, 3),
                   .control_address = (uint64_t)sqlite3_column_int64(statement, 4),
                   .checksum = (uint64_t)sqlite3_column_int64(statement, 5)},
        .has_rowid_max = sqlite3_column_type(statement, 6) != SQLITE_NULL,
        .rowid_max = sqlite3_column_int64(statement, 6),
        .hints = (uint64_t)sqlite3_column_int64(statement, 7)};
}

int commit_rows_begin_reading(struct commit_rows *rows) {
    sqlite3_stmt *statement = NULL;
    int rc = prepare(rows, COMMIT_ROWS_LOOK, &statement);
    if (rc != SQLITE_OK) {
        return rc;
    }
    rc = sqlite3_step(statement);
    return rc == SQLITE_ROW ? SQLITE_OK : connection_sqlite_error(rows->connection, rc);
}

void commit_rows_end_reading(struct commit_rows *rows) {
    (void)sqlite3_reset(rows->statements[COMMIT_ROWS_LOOK]);
}

int commit_rows_newest(struct commit_rows *rows, struct stored_row *row, bool *found) {
    sqlite3_stmt *statement = NULL;
    int rc = prepare(rows, COMMIT_ROWS_NEWEST, &statement);
    if (rc != SQLITE_OK) {
        return rc;
    }
    rc = sqlite3_step(statement);
    *found = rc == SQLITE_ROW;
    *row = (struct stored_row){0};
    if (*found) {
        read_row(statement, row);
    }
    return finish_step(rows, statement, rc);
}

enum faster_status commit_rows_read(void *context, struct faster_commit_row *row) {
    struct commit_rows_reader *reader = context;
    int rc = SQLITE_OK;
    if (reader->statement == NULL) {
        rc = prepare(reader->rows, COMMIT_ROWS_ALL, &reader->statement);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(reader->statement);
    }
    if (rc == SQLITE_DONE) {
        return FASTER_END;
    }
    if (rc != SQLITE_ROW) {
        reader->error_code = connection_sqlite_error(reader->rows->connection, rc);
        return rc == SQLITE_INTERRUPT ? FASTER_INTERRUPTED : FASTER_IO;
    }
    struct stored_row stored;
    read_row(reader->statement, &stored);
    *row = stored.commit;
    row->redo = sqlite3_column_blob(reader->statement, 8);
    row->redo_bytes = (size_t)sqlite3_column_bytes(reader->statement, 8);
    if (row->redo == NULL && row->redo_bytes > 0) {
        reader->error_code = SQLITE_NOMEM;
        return FASTER_NOMEM;
    }
    return FASTER_OK;
}

void commit_rows_reader_finish(struct commit_rows_reader *reader) {
    if (reader->statement != NULL) {
        (void)sqlite3_reset(reader->statement);
        reader->statement = NULL;
    }
}

static int bind_row(sqlite3_stmt *statement, const struct stored_row *row) {
    const struct faster_commit_row *commit = &row->commit;
    const uint64_t numbers[] = {commit->number, commit->start,           commit->end,
                                commit->nonce,  commit->control_address, commit->checksum};
    int rc = SQLITE_OK;
    for (int i = 0; i < 6 && rc == SQLITE_OK; i++) {
        rc = sqlite3_bind_int64(statement, i + 1, (sqlite3_int64)numbers[i]);
    }
    if (rc == SQLITE_OK) {
        rc = row->has_rowid_max ? sqlite3_bind_int64(statement, 7, row->rowid_max)
                                : sqlite3_bind_null(statement, 7);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_int64(statement, 8, (sqlite3_int64)row->hints);
    }
    if (rc == SQLITE_OK) {
        rc = commit->redo_bytes == 0 ? sqlite3_bind_null(statement, 9)
                                     : sqlite3_bind_blob64(statement, 9, commit->redo,
                                                           commit->redo_bytes, SQLITE_STATIC);
    }
    return rc;
}

/* A moment ago SQLite has looked at the file's schema. Without memory: true. */
static bool has_table(const struct commit_rows *rows, const char *suffix) {
    char *name = sqlite3_mprintf("%s_%s", rows->table_name, suffix);
    int rc = name == NULL ? SQLITE_NOMEM
                          : sqlite3_table_column_metadata(rows->connection->db, rows->schema_name,
                                                          name, NULL, NULL, NULL, NULL, NULL, NULL);
    sqlite3_free(name);
    return rc != SQLITE_ERROR;
}

/* A statement that failed because a table is gone has done nothing, and that is no failure. */
static int forgive_missing_tables(const struct commit_rows *rows, int rc) {
    bool missing =
        (rc & 0xff) == SQLITE_ERROR && !(has_table(rows, "log") && has_table(rows, "config"));
    return missing ? SQLITE_OK : rc;
}

int commit_rows_put(struct commit_rows *rows, const struct stored_row *row, const char *uuid_text,
                    bool *done) {
    sqlite3 *db = rows->connection->db;
    sqlite3_stmt *statement = NULL;
    *done = false;
    int rc = prepare(rows, COMMIT_ROWS_PUT, &statement);
    if (rc != SQLITE_OK) {
        return forgive_missing_tables(rows, rc);
    }
    rc = bind_row(statement, row);
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_text(statement, 10, uuid_text, -1, SQLITE_STATIC);
    }
    if (rc != SQLITE_OK) {
        return rc;
    }
    sqlite3_int64 last_rowid = sqlite3_last_insert_rowid(db);
    rc = connection_run(statement);
    *done = rc == SQLITE_DONE && sqlite3_changes(db) > 0;
    rc = forgive_missing_tables(rows, finish_step(rows, statement, rc));
    (void)sqlite3_clear_bindings(statement);
    sqlite3_set_last_insert_rowid(db, last_rowid);
    return rc;
}

static int delete_rows(struct commit_rows *rows, enum commit_rows_statement which,
                       uint64_t number) {
    sqlite3_stmt *statement = NULL;
    int rc = prepare(rows, which, &statement);
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_int64(statement, 1, (sqlite3_int64)number);
    }
    return rc == SQLITE_OK ? finish_step(rows, statement, connection_run(statement)) : rc;
}

int commit_rows_delete_below(struct commit_rows *rows, uint64_t number) {
    return delete_rows(rows, COMMIT_ROWS_DELETE_BELOW, number);
}

int commit_rows_delete_one(struct commit_rows *rows, uint64_t number) {
    return delete_rows(rows, COMMIT_ROWS_DELETE_ONE, number);
}

/* ----------------------------------------------------------------- config */

/* What has been seen of the rows. */
struct config_rows {
    bool has_uuid;
    bool has_version;
    bool has_bad_writes;
    bool has_bad_setting;
    enum schema_setting bad_setting;
    sqlite3_int64 version;
};

static int take_config_row(sqlite3_stmt *statement, struct commit_rows_config *config,
                           struct config_rows *seen) {
    const char *name = (const char *)sqlite3_column_text(statement, 0);
    const char *value = (const char *)sqlite3_column_text(statement, 1);
    enum schema_setting setting;
    if (name == NULL || value == NULL) {
        return SQLITE_OK; /* the row counts as missing */
    }
    if (schema_setting_find(name, &setting)) {
        config->has_setting[setting] =
            schema_setting_parse(setting, value, &config->setting_bytes[setting]);
        if (!config->has_setting[setting]) {
            seen->has_bad_setting = true;
            seen->bad_setting = setting;
        }
        return SQLITE_OK;
    }
    if (strcmp(name, "uuid") == 0) {
        seen->has_uuid = faster_uuid_parse(value, config->uuid);
    } else if (strcmp(name, "version") == 0) {
        seen->has_version = true;
        seen->version = sqlite3_column_int64(statement, 1);
    } else if (strcmp(name, "writes") == 0) {
        seen->has_bad_writes = !schema_writes_parse(value, &config->writes);
    } else if (config->path == NULL) {
        config->path = sqlite3_mprintf("%s", value);
        return config->path == NULL ? SQLITE_NOMEM : SQLITE_OK;
    }
    return SQLITE_OK;
}

static int check_config(const struct commit_rows *rows, const struct commit_rows_config *config,
                        const struct config_rows *seen) {
    if (seen->has_version && seen->version > COMMIT_ROWS_VERSION_DIRECT) {
        return connection_error(rows->connection, SQLITE_ERROR,
                                "%s: the table was written by a newer version of this extension "
                                "(format %lld, this one knows %d)",
                                rows->table_name, seen->version, COMMIT_ROWS_VERSION_DIRECT);
    }
    sqlite3_int64 version =
        config->writes == FASTER_WRITES_DIRECT ? COMMIT_ROWS_VERSION_DIRECT : COMMIT_ROWS_VERSION;
    if (!seen->has_uuid || !seen->has_version || seen->version != version || seen->has_bad_writes ||
        config->path == NULL) {
        return connection_error(rows->connection, SQLITE_CORRUPT_VTAB,
                                "%s: the shadow table %s_config lacks uuid, version or path, or "
                                "holds no valid ones",
                                rows->table_name, rows->table_name);
    }
    if (seen->has_bad_setting) {
        const char *name = schema_setting_name(seen->bad_setting);
        return connection_error(rows->connection, SQLITE_CORRUPT_VTAB,
                                "%s: the shadow table %s_config holds a bad value of %s: set it "
                                "with faster_config('%s', '%s', ...); allowed is %s",
                                rows->table_name, rows->table_name, name, rows->table_name, name,
                                schema_setting_range(seen->bad_setting));
    }
    return SQLITE_OK;
}

int commit_rows_set(struct commit_rows *rows, enum schema_setting setting, uint64_t size_bytes) {
    return execute(rows->connection,
                   sqlite3_mprintf("INSERT OR REPLACE INTO \"%w\".\"%w_config\" VALUES (%Q, %llu)",
                                   rows->schema_name, rows->table_name,
                                   schema_setting_name(setting), size_bytes));
}

int commit_rows_unset(struct commit_rows *rows, enum schema_setting setting) {
    return execute(rows->connection,
                   sqlite3_mprintf("DELETE FROM \"%w\".\"%w_config\" WHERE name = %Q",
                                   rows->schema_name, rows->table_name,
                                   schema_setting_name(setting)));
}

int commit_rows_config(struct commit_rows *rows, struct commit_rows_config *config) {
    struct config_rows seen = {0};
    *config = (struct commit_rows_config){.writes = FASTER_WRITES_TRANSACTIONAL};
    sqlite3_stmt *statement = NULL;
    int rc = prepare(rows, COMMIT_ROWS_CONFIG, &statement);
    if (rc != SQLITE_OK) {
        return rc;
    }
    int step = SQLITE_ROW;
    while (rc == SQLITE_OK && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        rc = take_config_row(statement, config, &seen);
    }
    int reset = finish_step(rows, statement, step);
    rc = rc != SQLITE_OK ? rc : reset;
    rc = rc != SQLITE_OK ? rc : check_config(rows, config, &seen);
    if (rc != SQLITE_OK) {
        sqlite3_free(config->path);
        config->path = NULL;
    }
    return rc;
}

/* ----------------------------------------------------------------- tables */

/* Looks for the UUID in one candidate's config. SQLITE_OK with *found; SQLITE_CORRUPT_VTAB if
 * it is one of ours and its UUID cannot be read. A table of another kind that happens to have
 * such a name is not found. */
static int table_uuid(struct connection *connection, const char *schema_name,
                      const char *table_name, bool is_virtual, uint8_t uuid[FASTER_UUID_BYTES],
                      bool *found) {
    sqlite3_stmt *statement = NULL;
    *found = false;
    char *sql = sqlite3_mprintf("SELECT value FROM \"%w\".\"%w_config\" WHERE name = 'uuid'",
                                schema_name, table_name);
    if (sql == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = sqlite3_prepare_v2(connection->db, sql, -1, &statement, NULL);
    sqlite3_free(sql);
    if (rc == SQLITE_ERROR) {
        return SQLITE_OK; /* it has other columns */
    }
    rc = rc == SQLITE_OK ? sqlite3_step(statement) : rc;
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        *found = text != NULL && faster_uuid_parse(text, uuid);
        rc = *found ? SQLITE_OK : SQLITE_CORRUPT_VTAB;
    } else if (rc == SQLITE_DONE && is_virtual) {
        rc = SQLITE_CORRUPT_VTAB;
    }
    if (rc == SQLITE_CORRUPT_VTAB) {
        (void)connection_error(connection, rc, "the shadow table %s_config holds no valid uuid",
                               table_name);
    } else if (rc != SQLITE_DONE && rc != SQLITE_OK) {
        rc = connection_sqlite_error(connection, rc);
    }
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int visit_tables(struct connection *connection, const char *schema_name, sqlite3_stmt *names,
                        commit_rows_table_fn *each, void *context) {
    int failure = SQLITE_OK;
    bool more = true;
    while (more && sqlite3_step(names) == SQLITE_ROW) {
        uint8_t uuid[FASTER_UUID_BYTES];
        bool found = false;
        const char *name = (const char *)sqlite3_column_text(names, 0);
        bool is_virtual = sqlite3_column_int(names, 1) != 0;
        int rc = name == NULL ? SQLITE_NOMEM
                              : table_uuid(connection, schema_name, name, is_virtual, uuid, &found);
        failure = rc != SQLITE_OK ? rc : failure;
        more = !found || each(context, name, uuid);
    }
    int rc = sqlite3_reset(names);
    return rc != SQLITE_OK ? connection_sqlite_error(connection, rc) : failure;
}

int commit_rows_each_table(struct connection *connection, const char *schema_name,
                           commit_rows_table_fn *each, void *context) {
    sqlite3_stmt *names = NULL;
    char *sql = sqlite3_mprintf("SELECT substr(c.name, 1, length(c.name) - 7), "
                                "EXISTS (SELECT 1 FROM \"%w\".sqlite_schema AS v WHERE v.name = "
                                "substr(c.name, 1, length(c.name) - 7) AND v.rootpage = 0) "
                                "FROM \"%w\".sqlite_schema AS c WHERE c.type = 'table' "
                                "AND lower(substr(c.name, -7)) = '_config'",
                                schema_name, schema_name);
    if (sql == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = sqlite3_prepare_v2(connection->db, sql, -1, &names, NULL);
    sqlite3_free(sql);
    rc = rc == SQLITE_OK ? visit_tables(connection, schema_name, names, each, context)
                         : connection_sqlite_error(connection, rc);
    (void)sqlite3_finalize(names);
    return rc;
}

struct uuid_search {
    const uint8_t *uuid;
    bool found;
    char *table_name; /* sqlite3_malloc */
};

static bool match_uuid(void *context, const char *table_name,
                       const uint8_t uuid[FASTER_UUID_BYTES]) {
    struct uuid_search *search = context;
    if (memcmp(uuid, search->uuid, FASTER_UUID_BYTES) != 0) {
        return true;
    }
    search->found = true;
    search->table_name = sqlite3_mprintf("%s", table_name);
    return false;
}

int commit_rows_find_table(struct connection *connection, const char *schema_name,
                           const uint8_t uuid[FASTER_UUID_BYTES], char **table_name) {
    struct uuid_search search = {.uuid = uuid};
    int rc = commit_rows_each_table(connection, schema_name, match_uuid, &search);
    *table_name = search.table_name;
    if (search.found) {
        return search.table_name != NULL ? SQLITE_OK : SQLITE_NOMEM;
    }
    return rc;
}
