/* hook_table.c - a virtual table whose transaction callbacks call the test. */
#include "hook_table.h"

#include <stdlib.h>

#include "sql_support.h"

struct hook {
    hook_fn *function;
    void *context;
};

struct hook_table {
    sqlite3_vtab base;
    struct hook *hook;
};

static int hook_connect(sqlite3 *db, void *context, int count, const char *const *arguments,
                        sqlite3_vtab **table, char **message) {
    (void)count;
    (void)arguments;
    (void)message;
    struct hook_table *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return SQLITE_NOMEM;
    }
    made->hook = context;
    *table = &made->base;
    return sqlite3_declare_vtab(db, "CREATE TABLE x(value)");
}

static int hook_disconnect(sqlite3_vtab *table) {
    free(table);
    return SQLITE_OK;
}

static int hook_best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
    (void)table;
    (void)info;
    return SQLITE_OK;
}

static int hook_open(sqlite3_vtab *table, sqlite3_vtab_cursor **cursor) {
    (void)table;
    *cursor = calloc(1, sizeof **cursor);
    return *cursor ? SQLITE_OK : SQLITE_NOMEM;
}

static int hook_close(sqlite3_vtab_cursor *cursor) {
    free(cursor);
    return SQLITE_OK;
}

static int hook_filter(sqlite3_vtab_cursor *cursor, int number, const char *text, int count,
                       sqlite3_value **values) {
    (void)cursor;
    (void)number;
    (void)text;
    (void)count;
    (void)values;
    return SQLITE_OK;
}

static int hook_next(sqlite3_vtab_cursor *cursor) {
    (void)cursor;
    return SQLITE_OK;
}

static int hook_eof(sqlite3_vtab_cursor *cursor) {
    (void)cursor;
    return 1;
}

static int hook_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column) {
    (void)cursor;
    (void)context;
    (void)column;
    return SQLITE_OK;
}

static int hook_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    (void)cursor;
    *rowid = 0;
    return SQLITE_OK;
}

static int hook_update(sqlite3_vtab *table, int count, sqlite3_value **values,
                       sqlite3_int64 *rowid) {
    (void)table;
    (void)count;
    (void)values;
    *rowid = 1;
    return SQLITE_OK;
}

static int call(sqlite3_vtab *table, enum hook_event event) {
    struct hook *hook = ((struct hook_table *)table)->hook;
    return hook->function(hook->context, event);
}

static int hook_begin(sqlite3_vtab *table) {
    (void)table;
    return SQLITE_OK;
}

static int hook_sync(sqlite3_vtab *table) {
    return call(table, HOOK_SYNC);
}

static int hook_commit(sqlite3_vtab *table) {
    call(table, HOOK_COMMIT);
    return SQLITE_OK;
}

static int hook_rollback(sqlite3_vtab *table) {
    call(table, HOOK_ROLLBACK);
    return SQLITE_OK;
}

static const sqlite3_module hook_module = {
    .iVersion = 1,
    .xCreate = hook_connect,
    .xConnect = hook_connect,
    .xBestIndex = hook_best_index,
    .xDisconnect = hook_disconnect,
    .xDestroy = hook_disconnect,
    .xOpen = hook_open,
    .xClose = hook_close,
    .xFilter = hook_filter,
    .xNext = hook_next,
    .xEof = hook_eof,
    .xColumn = hook_column,
    .xRowid = hook_rowid,
    .xUpdate = hook_update,
    .xBegin = hook_begin,
    .xSync = hook_sync,
    .xCommit = hook_commit,
    .xRollback = hook_rollback,
};

void hook_table_create(sqlite3 *db, hook_fn *function, void *context) {
    struct hook *hook = calloc(1, sizeof *hook);
    if (hook == NULL) {
        test_fail("out of memory");
    }
    hook->function = function;
    hook->context = context;
    sqlite3_create_module_v2(db, "hook_module", &hook_module, hook, free);
    db_must(db, "CREATE VIRTUAL TABLE temp.hook USING hook_module");
}
