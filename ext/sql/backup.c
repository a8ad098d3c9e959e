/* backup.c - faster_backup() and faster_adopt(): stores that are copied, and that move.
 *
 * A copied database pairs with a store that has its newest commit, and perhaps later ones. So the
 * database is copied first, by whatever copies databases, and then the store up to the newest row
 * of the copy, which a connection of its own reads. Writing goes on all the while.
 */
#include "sql/backup.h"

#include <string.h>

#include "sql/function_table.h"
#include "store/store_home.h"

/* -------------------------------------------------- the copy of the database */

struct database_copy {
    struct table *table;
    const char *path;
    sqlite3 *db;
    struct faster_commit_row newest; /* number 0: it has none */
};

static int copy_error(const struct database_copy *copy, int code) {
    return connection_error(copy->table->connection, code, "%s: the copied database %s: %s",
                            copy->table->name, copy->path,
                            copy->db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(copy->db));
}

/* Runs a query to its first row. SQLITE_ROW, SQLITE_DONE, or an error with its message. The caller
 * finalizes *statement. `format` takes the table's name. */
static int query_copy(struct database_copy *copy, const char *format, sqlite3_stmt **statement) {
    char *sql = sqlite3_mprintf(format, copy->table->name);
    *statement = NULL;
    if (sql == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = sqlite3_prepare_v2(copy->db, sql, -1, statement, NULL);
    sqlite3_free(sql);
    rc = rc == SQLITE_OK ? sqlite3_step(*statement) : rc;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? rc : copy_error(copy, rc);
}

static int check_uuid(struct database_copy *copy, const uint8_t uuid[FASTER_UUID_BYTES]) {
    uint8_t found[FASTER_UUID_BYTES];
    sqlite3_stmt *statement = NULL;
    int rc = query_copy(copy, "SELECT value FROM \"%w_config\" WHERE name = 'uuid'", &statement);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        const char *text =
            rc == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        rc = text != NULL && faster_uuid_parse(text, found) &&
                     memcmp(found, uuid, FASTER_UUID_BYTES) == 0
                 ? SQLITE_OK
                 : connection_error(copy->table->connection, SQLITE_ERROR,
                                    "%s: %s is no copy of this database: its table %s has another "
                                    "store",
                                    copy->table->name, copy->path, copy->table->name);
    }
    (void)sqlite3_finalize(statement);
    return rc;
}

static int read_newest(struct database_copy *copy) {
    sqlite3_stmt *statement = NULL;
    int rc = query_copy(copy,
                        "SELECT number, start, end, nonce, control_address FROM \"%w_log\" "
                        "ORDER BY number DESC LIMIT 1",
                        &statement);
    if (rc == SQLITE_ROW) {
        copy->newest = (struct faster_commit_row){
            .number = (uint64_t)sqlite3_column_int64(statement, 0),
            .start = (uint64_t)sqlite3_column_int64(statement, 1),
            .end = (uint64_t)sqlite3_column_int64(statement, 2),
            .nonce = (uint64_t)sqlite3_column_int64(statement, 3),
            .control_address = (uint64_t)sqlite3_column_int64(statement, 4)};
    }
    rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
    (void)sqlite3_finalize(statement);
    return rc;
}

/* What the database at copy->path ends with. */
static int read_copy(struct database_copy *copy, const uint8_t uuid[FASTER_UUID_BYTES]) {
    int rc = sqlite3_open_v2(copy->path, &copy->db, SQLITE_OPEN_READONLY, NULL);
    rc = rc == SQLITE_OK ? check_uuid(copy, uuid) : copy_error(copy, rc);
    if (rc == SQLITE_OK && !table_is_direct(copy->table)) {
        rc = read_newest(copy);
    }
    (void)sqlite3_close(copy->db);
    copy->db = NULL;
    return rc;
}

/* ------------------------------------------------------------------ backup */

/* Makes the store know the newest commit: that of any copy made before, too. */
static int meet(struct table *table, struct attachment **attachment) {
    if (table_is_direct(table)) {
        return function_attach(table, attachment);
    }
    if (sqlite3_txn_state(table->connection->db, table->schema_name) != SQLITE_TXN_NONE) {
        return table_meet(table, attachment);
    }
    int rc = commit_rows_begin_reading(&table->rows);
    if (table->disconnected) {
        rc = SQLITE_SCHEMA;
    }
    rc = rc == SQLITE_OK ? table_meet(table, attachment) : rc;
    commit_rows_end_reading(&table->rows);
    return rc;
}

static int run_backup(struct table *table, struct attachment *attachment, const char *directory,
                      const struct faster_commit_row *newest) {
    struct faster_backup_request request = {.directory = directory,
                                            .durable = table_is_direct(table) ? NULL : newest,
                                            .interrupt = connection_interrupted,
                                            .interrupt_context = table->connection};
    enum faster_status status = faster_session_backup(attachment->session, &request);
    if (status == FASTER_EXISTS) { /* not an outcome here */
        status = FASTER_FOREIGN;
    }
    if (status == FASTER_BEHIND) {
        return connection_error(table->connection, SQLITE_ERROR,
                                "%s: the copied database has commit %llu, which this one does not "
                                "have: it is no copy of it",
                                table->name, (unsigned long long)newest->number);
    }
    return status == FASTER_OK ? SQLITE_OK : table_engine_error(table, status);
}

static int backup(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    struct attachment *attachment = NULL;
    struct database_copy copy = {
        .table = table, .path = argc > 2 ? (const char *)sqlite3_value_text(argv[2]) : NULL};
    const char *parent = (const char *)sqlite3_value_text(argv[1]);
    char uuid[FASTER_UUID_TEXT_BYTES];
    if (parent == NULL || parent[0] == '\0' || (argc > 2 && copy.path == NULL)) {
        return connection_error(table->connection, SQLITE_ERROR,
                                "%s: faster_backup() needs a directory, and the path of the copied "
                                "database or no third argument",
                                table->name);
    }
    int rc = meet(table, &attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    if (copy.path != NULL) {
        rc = read_copy(&copy, attachment->uuid);
    } else if (attachment->newest_found) {
        copy.newest = attachment->newest.commit;
    }
    if (rc != SQLITE_OK) {
        return rc;
    }
    faster_uuid_text(attachment->uuid, uuid);
    char *directory = sqlite3_mprintf("%s/%s", parent, uuid);
    if (directory == NULL) {
        return SQLITE_NOMEM;
    }
    rc = run_backup(table, attachment, directory, &copy.newest);
    if (rc == SQLITE_OK) {
        sqlite3_result_text(context, directory, -1, SQLITE_TRANSIENT);
    }
    sqlite3_free(directory);
    return rc;
}

void backup_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run(context, argc, argv, backup);
}

/* ------------------------------------------------------------------- adopt */

static int adopt_at(struct table *table, const struct store_home *home, const char *directory,
                    const uint8_t uuid[FASTER_UUID_BYTES]) {
    struct attachment *attachment = NULL;
    struct faster_error error = {0};
    if (registry_is_open(uuid)) {
        return table_attach(table, &attachment); /* for this database: then all is well */
    }
    struct faster_options options =
        store_home_options(table->connection, &table->schema.options, home);
    options.directory = directory;
    memcpy(options.uuid, uuid, FASTER_UUID_BYTES);
    enum faster_status status = faster_store_adopt(&options, &error);
    return status == FASTER_OK
               ? SQLITE_OK
               : connection_engine_error(table->connection, table->name, status, error.message);
}

static int adopt(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    struct commit_rows_config config = {0};
    struct store_home home = {0};
    char *directory = NULL;
    (void)argc;
    (void)argv;
    int rc = connection_check_process(table->connection);
    rc = rc == SQLITE_OK ? commit_rows_config(&table->rows, &config) : rc;
    if (rc != SQLITE_OK) {
        return rc;
    }
    rc = store_home_of(table->connection, table->schema_name, &home);
    if (rc == SQLITE_OK) {
        directory = store_home_directory(&home, config.path, config.uuid, &rc);
    }
    if (rc == SQLITE_OK && directory == NULL) {
        rc = connection_error(table->connection, SQLITE_ERROR, "%s: its store is in memory",
                              table->name);
    }
    rc = rc == SQLITE_OK ? adopt_at(table, &home, directory, config.uuid) : rc;
    if (rc == SQLITE_OK) {
        sqlite3_result_text(context, directory, -1, SQLITE_TRANSIENT);
    }
    sqlite3_free(directory);
    sqlite3_free(config.path);
    store_home_finish(&home);
    return rc;
}

void adopt_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run(context, argc, argv, adopt);
}
