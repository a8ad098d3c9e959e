/* module.c - the virtual table module "faster": CREATE, DROP, rename, transactions.
 *
 * A table object is made when a connection parses its schema and knows nothing of the store:
 * that is opened by the first statement that needs it (table_attach()). Only CREATE touches
 * the store's directory itself.
 */
#include "module.h"

#include <string.h>

#include "sql/command.h"
#include "sql/cursor.h"
#include "sql/findings.h"
#include "sql/plan.h"
#include "sql/update.h"
#include "store/garbage.h"
#include "store/registry.h"
#include "store/store_changes.h"
#include "store/store_home.h"
#include "table/transaction.h"
#include "table/watcher.h"

static struct table *table_of(sqlite3_vtab *base) {
    return (struct table *)base;
}

/* Ends xCreate and xConnect: the message goes to *error. */
static int connect_result(struct connection *connection, int rc, char **error) {
    if (rc != SQLITE_OK) {
        sqlite3_free(*error);
        *error = connection_take_message(connection);
    }
    return rc;
}

/* ----------------------------------------------------------------- create */

static int create_store(struct table *table, const struct store_home *home, const char *directory,
                        const uint8_t uuid[FASTER_UUID_BYTES]) {
    struct connection *connection = table->connection;
    struct faster_error error = {0};
    struct faster_options options = store_home_options(connection, &table->schema.options, home);
    options.directory = directory;
    memcpy(options.uuid, uuid, FASTER_UUID_BYTES);
    enum faster_status status = faster_store_create(&options, NULL, &error);
    if (status == FASTER_EXISTS) {
        return connection_error(connection, SQLITE_CANTOPEN, "%s: %s", table->name,
                                error.message[0] != '\0' ? error.message
                                                         : "the store's directory is not empty");
    }
    if (status != FASTER_OK) {
        return connection_engine_error(connection, table->name, status, error.message);
    }
    int rc = store_changes_note_create(connection, table->schema_name, uuid, home, directory);
    if (rc == SQLITE_OK && directory != NULL) {
        status = faster_store_mark(faster_env_posix(), directory, true);
        rc = status == FASTER_OK ? SQLITE_OK
                                 : connection_engine_error(connection, table->name, status, NULL);
    } else if (rc != SQLITE_OK) {
        registry_drop(uuid, home->memory_identity, directory);
    }
    return rc;
}

/* The shadow tables first: SQLite undoes them if the store cannot be made. */
static int create_at_home(struct table *table, const struct store_home *home) {
    uint8_t uuid[FASTER_UUID_BYTES];
    char uuid_text[FASTER_UUID_TEXT_BYTES];
    const char *path = table->schema.options.path == NULL ? "" : table->schema.options.path;
    int rc;
    enum faster_status status = faster_uuid_draw(faster_env_posix(), uuid);
    if (status != FASTER_OK) {
        return connection_engine_error(table->connection, table->name, status, NULL);
    }
    faster_uuid_text(uuid, uuid_text);
    char *directory = store_home_directory(home, path, uuid, &rc);
    rc = rc == SQLITE_OK ? commit_rows_create_tables(&table->rows, uuid_text, path) : rc;
    if (rc == SQLITE_OK && home->default_parent != NULL) {
        garbage_collect(table->connection, table->schema_name, home->default_parent, uuid);
        rc = connection_check_writing(table->connection, table->schema_name, SQLITE_NOMEM);
    }
    rc = rc == SQLITE_OK ? create_store(table, home, directory, uuid) : rc;
    sqlite3_free(directory);
    return rc;
}

static int create(struct connection *connection, int argc, const char *const *argv,
                  struct table **table) {
    int rc = connection_check_process(connection);
    rc = rc == SQLITE_OK ? table_create(connection, argc, argv, table) : rc;
    if (rc != SQLITE_OK) {
        return rc;
    }
    struct store_home home;
    rc = store_home_of(connection, (*table)->schema_name, &home);
    rc = rc == SQLITE_OK ? create_at_home(*table, &home) : rc;
    store_home_finish(&home);
    if (rc != SQLITE_OK) {
        table_release(*table);
    }
    return rc;
}

static int module_create(sqlite3 *db, void *context, int argc, const char *const *argv,
                         sqlite3_vtab **result, char **error) {
    (void)db;
    struct table *table = NULL;
    int rc = create(context, argc, argv, &table);
    if (rc == SQLITE_OK) {
        table->enlisted = true; /* without xBegin */
        *result = &table->base;
    }
    return connect_result(context, rc, error);
}

static int module_connect(sqlite3 *db, void *context, int argc, const char *const *argv,
                          sqlite3_vtab **result, char **error) {
    (void)db;
    struct table *table = NULL;
    int rc = table_create(context, argc, argv, &table);
    if (rc == SQLITE_OK) {
        *result = &table->base;
    }
    return connect_result(context, rc, error);
}

static int module_disconnect(sqlite3_vtab *base) {
    table_release(table_of(base));
    return SQLITE_OK;
}

/* ------------------------------------------------------------ drop, rename */

/* A store that another process owns is left alone: that process has the table in use. Any
 * other trouble with the store must not keep its table from being dropped or renamed; *ours
 * is then false, for it may be the store of another database. */
static int check_owner(struct table *table, bool *ours) {
    struct attachment *attachment = NULL;
    int rc = table_attach(table, &attachment);
    if (rc == SQLITE_OK && attachment->txn == NULL) {
        rc = attachment_meet(attachment, &table->rows, false); /* are database and store a pair? */
    }
    *ours = rc == SQLITE_OK;
    if (rc == SQLITE_BUSY || rc == SQLITE_MISUSE || rc == SQLITE_NOMEM) {
        return rc;
    }
    return connection_check_writing(table->connection, table->schema_name, rc);
}

static bool is_in_main(const struct table *table) {
    return sqlite3_stricmp(table->schema_name, "main") == 0;
}

/* Functions of other connections write to a direct table and ask nobody: they must be told once
 * its DROP or new name is committed. Nobody else sees a temporary one. */
static bool others_must_be_told(const struct table *table) {
    return table_is_direct(table) && sqlite3_stricmp(table->schema_name, "temp") != 0;
}

/* Enlists the watcher. It needs the main database's write lock; a table of another database
 * does without if its object takes no part in the transaction, nothing of its store is unsettled,
 * and nobody waits for the news: what becomes of it is found out later. */
static int watch_drop(struct table *table, bool *watched) {
    const struct attachment *attachment = table->attachment;
    *watched = is_in_main(table) || table->enlisted || attachment == NULL ||
               attachment->txn != NULL || others_must_be_told(table) ||
               store_changes_has(table->connection, attachment->uuid);
    return *watched ? watcher_enlist(table->connection) : SQLITE_OK;
}

static int note_drop(struct table *table, bool watched) {
    struct commit_rows_config config;
    struct store_home home = {0};
    int rc = commit_rows_config(&table->rows, &config);
    if (rc != SQLITE_OK) { /* nobody knows which store it was */
        return connection_check_writing(table->connection, table->schema_name, rc);
    }
    rc = store_home_of(table->connection, table->schema_name, &home);
    if (rc == SQLITE_OK) {
        char *directory = store_home_directory(&home, config.path, config.uuid, &rc);
        if (rc == SQLITE_OK) {
            rc = store_changes_note_drop(table->connection, table->schema_name, config.uuid, &home,
                                         directory, watched);
        }
        sqlite3_free(directory);
    }
    store_home_finish(&home);
    sqlite3_free(config.path);
    return rc;
}

static int drop(struct table *table) {
    bool watched = false;
    bool ours = false;
    int rc = check_owner(table, &ours);
    rc = rc == SQLITE_OK ? watch_drop(table, &watched) : rc;
    if (rc == SQLITE_OK && ours) {
        rc = note_drop(table, watched);
    }
    return rc == SQLITE_OK ? commit_rows_drop_tables(&table->rows) : rc;
}

static int module_destroy(sqlite3_vtab *base) {
    struct table *table = table_of(base);
    int rc = drop(table);
    if (rc == SQLITE_OK) {
        table_release(table);
        return rc;
    }
    /* SQLite does not show the message of a DROP that fails. */
    char *message = connection_take_message(table->connection);
    sqlite3_log(rc, "faster: DROP TABLE %s: %s", table->name, message == NULL ? "" : message);
    sqlite3_free(message);
    return rc;
}

/* SQLite does not enlist an object that it renames. With the watcher, whoever looked the old name
 * up before the commit is told after it. The name of a table that has none is
 * settled by this connection's next lookup. */
static int watch_rename(const struct table *table) {
    return is_in_main(table) || others_must_be_told(table) ? watcher_enlist(table->connection)
                                                           : SQLITE_OK;
}

static int rename_table(struct table *table, const char *new_name) {
    struct connection *connection = table->connection;
    if (schema_column_index(&table->schema, new_name) >= 0) {
        return connection_error(connection, SQLITE_ERROR,
                                "%s: a FASTER table cannot have the name of one of its columns: %s",
                                table->name, new_name);
    }
    bool ours = false;
    int rc = check_owner(table, &ours);
    rc = rc == SQLITE_OK ? watch_rename(table) : rc;
    rc = rc == SQLITE_OK ? commit_rows_rename_tables(&table->rows, new_name) : rc;
    rc = rc == SQLITE_OK ? commit_rows_set_table_name(&table->rows, new_name) : rc;
    char *name = rc == SQLITE_OK ? sqlite3_mprintf("%s", new_name) : NULL;
    if (rc == SQLITE_OK && name == NULL) {
        rc = SQLITE_NOMEM;
    }
    if (rc == SQLITE_OK) {
        sqlite3_free(table->name);
        table->name = name;
        connection->schema_changed = true;
        registry_schema_changed();
        attachment_set_table_name(table->attachment, new_name);
    }
    return rc;
}

static int module_rename(sqlite3_vtab *base, const char *new_name) {
    return table_result(table_of(base), rename_table(table_of(base), new_name));
}

static int module_shadow_name(const char *suffix) {
    return sqlite3_stricmp(suffix, "log") == 0 || sqlite3_stricmp(suffix, "config") == 0;
}

/* ----------------------------------------------------------- transactions */

static int module_begin(sqlite3_vtab *base) {
    table_of(base)->enlisted = true;
    return SQLITE_OK;
}

static int module_sync(sqlite3_vtab *base) {
    return table_result(table_of(base), transaction_sync(table_of(base)->connection));
}

static int module_commit(sqlite3_vtab *base) {
    table_of(base)->enlisted = false;
    transaction_commit(table_of(base)->connection);
    return SQLITE_OK;
}

static int module_rollback(sqlite3_vtab *base) {
    table_of(base)->enlisted = false;
    transaction_rollback(table_of(base)->connection);
    return SQLITE_OK;
}

static int module_savepoint(sqlite3_vtab *base, int level) {
    return table_result(table_of(base), transaction_savepoint(table_of(base)->connection, level));
}

static int module_release(sqlite3_vtab *base, int level) {
    return table_result(table_of(base), transaction_release(table_of(base)->connection, level));
}

static int module_rollback_to(sqlite3_vtab *base, int level) {
    return table_result(table_of(base), transaction_rollback_to(table_of(base)->connection, level));
}

/* ------------------------------------------------------------------ query */

static int module_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    struct table *table = table_of(base);
    table->connection->planned = table;
    return table_result(table, plan_best_index(&table->schema, info));
}

/* PRAGMA integrity_check, from SQLite 3.44 on. A finding is a message and no failure. */
static int module_integrity(sqlite3_vtab *base, const char *schema_name, const char *table_name,
                            int flags, char **error) {
    struct table *table = table_of(base);
    uint64_t count = 0;
    char *findings = NULL;
    (void)schema_name;
    if ((flags & 1) != 0) {
        return SQLITE_OK; /* quick_check: no full read */
    }
    int rc = findings_text(table, &count, &findings);
    if (rc == SQLITE_OK && count > 0) {
        *error = sqlite3_mprintf("%s: %llu findings: %s", table_name, (unsigned long long)count,
                                 findings);
    } else if (rc != SQLITE_OK && rc != SQLITE_NOMEM) {
        *error = connection_take_message(table->connection);
        rc = *error == NULL ? rc : SQLITE_OK;
    }
    sqlite3_free(findings);
    return rc;
}

/* Version 4 of sqlite3_module, which the oldest supported header does not have. */
#define MODULE_VERSION_4_SINCE 3044000
#if SQLITE_VERSION_NUMBER >= MODULE_VERSION_4_SINCE
struct module_v4 {
    sqlite3_module v3;
};
#define MODULE_INTEGRITY .v3.xIntegrity
#else
struct module_v4 {
    sqlite3_module v3;
    int (*xIntegrity)(sqlite3_vtab *base, const char *schema_name, const char *table_name,
                      int flags, char **error);
};
#define MODULE_INTEGRITY .xIntegrity
#endif

#define MODULE_METHODS(version)                                                                    \
    {                                                                                              \
        .iVersion = (version), .xCreate = module_create, .xConnect = module_connect,               \
        .xBestIndex = module_best_index, .xDisconnect = module_disconnect,                         \
        .xDestroy = module_destroy, .xOpen = cursor_open, .xClose = cursor_close,                  \
        .xFilter = cursor_filter, .xNext = cursor_next, .xEof = cursor_eof,                        \
        .xColumn = cursor_column, .xRowid = cursor_rowid, .xUpdate = update_method,                \
        .xBegin = module_begin, .xSync = module_sync, .xCommit = module_commit,                    \
        .xRollback = module_rollback, .xRename = module_rename, .xSavepoint = module_savepoint,    \
        .xRelease = module_release, .xRollbackTo = module_rollback_to,                             \
        .xShadowName = module_shadow_name                                                          \
    }

static const sqlite3_module MODULE_V3 = MODULE_METHODS(3);
static const struct module_v4 MODULE_V4 = {.v3 = MODULE_METHODS(4),
                                           MODULE_INTEGRITY = module_integrity};

int module_register(struct connection *connection) {
    bool has_v4 = sqlite3_libversion_number() >= MODULE_VERSION_4_SINCE;
    connection_reference(connection);
    return sqlite3_create_module_v2(connection->db, "faster", has_v4 ? &MODULE_V4.v3 : &MODULE_V3,
                                    connection, connection_release);
}
