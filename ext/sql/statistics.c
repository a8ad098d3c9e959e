/* statistics.c - faster_stats(t): the figures of a table's store, as a table-valued function. */
#include "sql/statistics.h"

#include "table/table_lookup.h"

enum statistics_column {
    STATISTICS_NAME,
    STATISTICS_VALUE,
    STATISTICS_UNIT,
    STATISTICS_HELP,
    STATISTICS_TABLE /* the hidden argument */
};

#define STAT_COUNT_MAX 256

struct statistics {
    sqlite3_vtab base;
    struct connection *connection;
};

struct statistics_cursor {
    sqlite3_vtab_cursor base;
    size_t count;
    size_t index;
    sqlite3_value *table_name; /* a copy of the argument, or NULL */
    struct faster_stat stats[STAT_COUNT_MAX];
};

static int statistics_connect(sqlite3 *db, void *context, int argc, const char *const *argv,
                              sqlite3_vtab **result, char **error) {
    (void)argc;
    (void)argv;
    (void)error;
    int rc = sqlite3_declare_vtab(db, "CREATE TABLE stats(name TEXT, value INTEGER, unit TEXT, "
                                      "help TEXT, t HIDDEN)");
    struct statistics *statistics = rc == SQLITE_OK ? sqlite3_malloc64(sizeof(*statistics)) : NULL;
    if (statistics == NULL) {
        return rc == SQLITE_OK ? SQLITE_NOMEM : rc;
    }
    *statistics = (struct statistics){.connection = context};
    *result = &statistics->base;
    return SQLITE_OK;
}

static int statistics_disconnect(sqlite3_vtab *base) {
    sqlite3_free(base);
    return SQLITE_OK;
}

static int statistics_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    (void)base;
    for (int i = 0; i < info->nConstraint; i++) {
        if (info->aConstraint[i].iColumn != STATISTICS_TABLE ||
            info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ) {
            continue;
        }
        if (!info->aConstraint[i].usable) {
            return SQLITE_CONSTRAINT;
        }
        info->aConstraintUsage[i].argvIndex = 1;
        info->aConstraintUsage[i].omit = 1;
        info->estimatedCost = 100.0;
        info->estimatedRows = 50;
        return SQLITE_OK;
    }
    /* SQLite also asks for parts of an OR, without the argument: that must not fail here.
     * A query really without it fails when it runs. */
    info->estimatedCost = 1e99;
    return SQLITE_OK;
}

static int statistics_open(sqlite3_vtab *base, sqlite3_vtab_cursor **result) {
    (void)base;
    struct statistics_cursor *cursor = sqlite3_malloc64(sizeof(*cursor));
    if (cursor == NULL) {
        return SQLITE_NOMEM;
    }
    cursor->base = (sqlite3_vtab_cursor){0};
    cursor->count = 0;
    cursor->index = 0;
    cursor->table_name = NULL;
    *result = &cursor->base;
    return SQLITE_OK;
}

static int statistics_close(sqlite3_vtab_cursor *base) {
    sqlite3_value_free(((struct statistics_cursor *)base)->table_name);
    sqlite3_free(base);
    return SQLITE_OK;
}

static int load(struct connection *connection, struct statistics_cursor *cursor,
                const char *table_name) {
    struct table *table = NULL;
    struct attachment *attachment = NULL;
    int rc = table_lookup(connection, table_name, &table);
    if (rc != SQLITE_OK) {
        return rc;
    }
    table_busy(table);
    rc = table_attach(table, &attachment);
    if (rc == SQLITE_OK && !attachment->met) {
        rc = attachment_meet(attachment, &table->rows, true);
    }
    if (rc == SQLITE_OK) {
        size_t count = faster_store_stats(attachment->store, cursor->stats, STAT_COUNT_MAX);
        cursor->count = count < STAT_COUNT_MAX ? count : STAT_COUNT_MAX;
    }
    table_idle(table);
    return rc;
}

/* The hidden column gives the argument: SQLite may compare it once more (mget.c). */
static int keep_argument(struct statistics_cursor *cursor, int argc, sqlite3_value **argv) {
    sqlite3_value_free(cursor->table_name);
    cursor->table_name = argc > 0 ? sqlite3_value_dup(argv[0]) : NULL;
    return argc > 0 && cursor->table_name == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

static int statistics_filter(sqlite3_vtab_cursor *base, int index_number, const char *index_text,
                             int argc, sqlite3_value **argv) {
    struct statistics_cursor *cursor = (struct statistics_cursor *)base;
    struct connection *connection = ((struct statistics *)base->pVtab)->connection;
    (void)index_number;
    (void)index_text;
    cursor->count = 0;
    cursor->index = 0;
    int rc = keep_argument(cursor, argc, argv);
    rc = rc == SQLITE_OK
             ? load(connection, cursor, argc > 0 ? (const char *)sqlite3_value_text(argv[0]) : NULL)
             : rc;
    if (rc != SQLITE_OK) {
        sqlite3_free(base->pVtab->zErrMsg);
        base->pVtab->zErrMsg = connection_take_message(connection);
    }
    return rc;
}

static int statistics_next(sqlite3_vtab_cursor *base) {
    ((struct statistics_cursor *)base)->index++;
    return SQLITE_OK;
}

static int statistics_eof(sqlite3_vtab_cursor *base) {
    const struct statistics_cursor *cursor = (const struct statistics_cursor *)base;
    return cursor->index >= cursor->count;
}

static int statistics_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    const struct statistics_cursor *cursor = (const struct statistics_cursor *)base;
    const struct faster_stat *stat = &cursor->stats[cursor->index];
    switch (column) {
    case STATISTICS_NAME:
        sqlite3_result_text(context, stat->name, -1, SQLITE_STATIC);
        break;
    case STATISTICS_VALUE:
        sqlite3_result_int64(context, (sqlite3_int64)stat->value);
        break;
    case STATISTICS_UNIT:
        sqlite3_result_text(context, stat->unit, -1, SQLITE_STATIC);
        break;
    case STATISTICS_HELP:
        sqlite3_result_text(context, stat->help, -1, SQLITE_STATIC);
        break;
    default:
        if (cursor->table_name != NULL) {
            sqlite3_result_value(context, cursor->table_name);
        }
        break;
    }
    return SQLITE_OK;
}

static int statistics_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
    *rowid = (sqlite3_int64)((struct statistics_cursor *)base)->index + 1;
    return SQLITE_OK;
}

/* Without xCreate it is eponymous only. */
static const sqlite3_module STATISTICS_MODULE = {.iVersion = 0,
                                                 .xConnect = statistics_connect,
                                                 .xBestIndex = statistics_best_index,
                                                 .xDisconnect = statistics_disconnect,
                                                 .xOpen = statistics_open,
                                                 .xClose = statistics_close,
                                                 .xFilter = statistics_filter,
                                                 .xNext = statistics_next,
                                                 .xEof = statistics_eof,
                                                 .xColumn = statistics_column,
                                                 .xRowid = statistics_rowid};

int statistics_register(struct connection *connection) {
    connection_reference(connection);
    return sqlite3_create_module_v2(connection->db, "faster_stats", &STATISTICS_MODULE, connection,
                                    connection_release);
}
