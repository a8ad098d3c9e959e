/* mget.c - faster_mget(t, keys [, column]): the rows of many keys, as a table-valued function.
 *
 * One row for each key that the table has, in the order of `keys`, repeated ones included:
 * `position` is the key's place in the list (from 0), `key` the key as the table stores it,
 * `value` the value column. A key that is not there has no row.
 *
 * It sees what a SELECT on the table would see at this moment, by way of view.h, and reads by
 * way of batch.h. All keys are read before the first row, so that a list with a fault gives an
 * error and no rows.
 */
#include "sql/mget.h"

#include <string.h>

#include "sql/mget_keys.h"
#include "store/registry.h"
#include "table/table_lookup.h"
#include "table/view.h"

enum mget_column {
    MGET_POSITION,
    MGET_KEY,
    MGET_VALUE,
    MGET_TABLE, /* the hidden arguments */
    MGET_KEYS,
    MGET_VALUE_COLUMN
};
#define ARGUMENT_FIRST MGET_TABLE
#define ARGUMENT_COUNT 3

/* idxNum: which arguments are given, and which columns are asked for. */
#define PLAN_HAS_ARGUMENT(argument) (1 << (argument))
#define PLAN_NEEDS_KEY (1 << ARGUMENT_COUNT)
#define PLAN_NEEDS_VALUE (2 << ARGUMENT_COUNT)
#define PLAN_ARGUMENTS_NEEDED (PLAN_HAS_ARGUMENT(0) | PLAN_HAS_ARGUMENT(1))

struct mget {
    sqlite3_vtab base;
    struct connection *connection;
};

struct mget_cursor {
    sqlite3_vtab_cursor base;
    struct table *table; /* busy, or NULL before the first row is asked for */
    struct view view;
    struct batch *batch; /* NULL before there is a table */
    bool at_end;
    bool with_rows; /* `row` is read, not only looked for */
    int value_column;
    sqlite3_value *arguments[ARGUMENT_COUNT]; /* copies, or NULL */
    struct row_view row;
};

static struct connection *connection_of(const struct mget_cursor *cursor) {
    return ((struct mget *)cursor->base.pVtab)->connection;
}

static int result(struct mget_cursor *cursor, int rc) {
    if (rc != SQLITE_OK) {
        cursor->at_end = true;
        sqlite3_free(cursor->base.pVtab->zErrMsg);
        cursor->base.pVtab->zErrMsg = connection_take_message(connection_of(cursor));
    }
    return rc;
}

static int mget_connect(sqlite3 *db, void *context, int argc, const char *const *argv,
                        sqlite3_vtab **vtab, char **error) {
    (void)argc;
    (void)argv;
    (void)error;
    int rc = sqlite3_declare_vtab(db, "CREATE TABLE mget(position INTEGER, key, value, "
                                      "mget_table HIDDEN, mget_keys HIDDEN, mget_column HIDDEN)");
    struct mget *mget = rc == SQLITE_OK ? sqlite3_malloc64(sizeof *mget) : NULL;
    if (mget == NULL) {
        return rc == SQLITE_OK ? SQLITE_NOMEM : rc;
    }
    *mget = (struct mget){.connection = context};
    *vtab = &mget->base;
    return SQLITE_OK;
}

static int mget_disconnect(sqlite3_vtab *base) {
    sqlite3_free(base);
    return SQLITE_OK;
}

/* ------------------------------------------------------------------- plan */

/* Which constraint gives each argument, or -1. False if one exists that cannot be used. */
static bool find_arguments(const sqlite3_index_info *info, int found[ARGUMENT_COUNT]) {
    for (int i = 0; i < ARGUMENT_COUNT; i++) {
        found[i] = -1;
    }
    for (int i = 0; i < info->nConstraint; i++) {
        int argument = info->aConstraint[i].iColumn - ARGUMENT_FIRST;
        if (argument < 0 || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ) {
            continue;
        }
        if (!info->aConstraint[i].usable) {
            return false;
        }
        found[argument] = i;
    }
    return true;
}

static int mget_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    (void)base;
    int found[ARGUMENT_COUNT];
    int used = 0;
    if (!find_arguments(info, found)) {
        return SQLITE_CONSTRAINT;
    }
    info->idxNum = (info->colUsed & (1u << MGET_KEY) ? PLAN_NEEDS_KEY : 0) |
                   (info->colUsed & (1u << MGET_VALUE) ? PLAN_NEEDS_VALUE : 0);
    for (int i = 0; i < ARGUMENT_COUNT; i++) {
        if (found[i] >= 0) {
            info->aConstraintUsage[found[i]].argvIndex = ++used;
            info->aConstraintUsage[found[i]].omit = 1;
            info->idxNum |= PLAN_HAS_ARGUMENT(i);
        }
    }
    /* SQLite also asks for parts of an OR, without the arguments: that must not fail here. A
     * query really without them fails when it runs. */
    bool is_complete = (info->idxNum & PLAN_ARGUMENTS_NEEDED) == PLAN_ARGUMENTS_NEEDED;
    info->estimatedCost = is_complete ? 400.0 : 1e99;
    info->estimatedRows = 100;
    info->orderByConsumed = info->nOrderBy == 1 && info->aOrderBy[0].iColumn <= MGET_POSITION &&
                            !info->aOrderBy[0].desc;
    return SQLITE_OK;
}

/* ------------------------------------------------------------------- rows */

static int mget_open(sqlite3_vtab *base, sqlite3_vtab_cursor **opened) {
    (void)base;
    struct mget_cursor *cursor = sqlite3_malloc64(sizeof *cursor);
    if (cursor == NULL) {
        return SQLITE_NOMEM;
    }
    *cursor = (struct mget_cursor){.at_end = true};
    *opened = &cursor->base;
    return SQLITE_OK;
}

/* Lets go of the table. */
static void leave_table(struct mget_cursor *cursor) {
    struct table *table = cursor->table;
    view_close(&cursor->view);
    if (table != NULL) {
        batch_give_back(&table->spare_batch, cursor->batch);
        cursor->batch = NULL;
        cursor->table = NULL;
        table_idle(table);
    }
}

static void forget_arguments(struct mget_cursor *cursor) {
    for (int i = 0; i < ARGUMENT_COUNT; i++) {
        sqlite3_value_free(cursor->arguments[i]);
        cursor->arguments[i] = NULL;
    }
}

/* The hidden columns give the arguments: SQLite compares those with them that it has not handed
 * over, and with many terms even those that it has. */
static int keep_arguments(struct mget_cursor *cursor, int plan, sqlite3_value **argv) {
    int used = 0;
    forget_arguments(cursor);
    for (int i = 0; i < ARGUMENT_COUNT; i++) {
        if ((plan & PLAN_HAS_ARGUMENT(i)) != 0) {
            cursor->arguments[i] = sqlite3_value_dup(argv[used++]);
            if (cursor->arguments[i] == NULL) {
                return SQLITE_NOMEM;
            }
        }
    }
    return SQLITE_OK;
}

static int mget_close(sqlite3_vtab_cursor *base) {
    struct mget_cursor *cursor = (struct mget_cursor *)base;
    leave_table(cursor);
    forget_arguments(cursor);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

/* The table stays busy as long as the cursor may read from it. */
static int enter_table(struct mget_cursor *cursor, sqlite3_value *name) {
    struct connection *connection = connection_of(cursor);
    struct table *table = NULL;
    int rc = table_lookup(connection, (const char *)sqlite3_value_text(name), &table);
    if (rc != SQLITE_OK) {
        return rc;
    }
    if (table != cursor->table) {
        leave_table(cursor);
        table_busy(table);
        cursor->table = table;
    }
    if (table->schema.kind == SCHEMA_KEY_MULTIPLE) {
        return connection_error(connection, SQLITE_ERROR,
                                "%s has several key columns: faster_mget reads by one, use SELECT",
                                table->name);
    }
    rc = view_open_in_function(table, &cursor->view);
    if (rc == SQLITE_OK && cursor->batch == NULL) {
        cursor->batch = batch_take(&table->spare_batch, cursor->view.attachment->store);
        rc = cursor->batch == NULL ? SQLITE_NOMEM : SQLITE_OK;
    }
    return rc;
}

/* The value column that is named, or the only one. Not asked for, it need not be clear. */
static int choose_value(struct mget_cursor *cursor, int plan, sqlite3_value *name) {
    const char *text = name == NULL ? NULL : (const char *)sqlite3_value_text(name);
    cursor->value_column = -1;
    if (text == NULL && (plan & PLAN_NEEDS_VALUE) == 0) {
        return SQLITE_OK;
    }
    return table_value_column(cursor->table, text, &cursor->value_column);
}

static int next_row(struct mget_cursor *cursor) {
    struct table *table = cursor->table;
    enum faster_status status =
        batch_next(cursor->batch, &cursor->view.snapshot, connection_of(cursor));
    if (status == FASTER_END) {
        cursor->at_end = true;
        return SQLITE_OK;
    }
    if (status != FASTER_OK) {
        return table_engine_error(table, status);
    }
    return cursor->with_rows ? row_view_open(&cursor->row, &table->schema, batch_key(cursor->batch),
                                             batch_value(cursor->batch))
                             : SQLITE_OK;
}

static int filter(struct mget_cursor *cursor, int plan, sqlite3_value **argv) {
    if ((plan & PLAN_ARGUMENTS_NEEDED) != PLAN_ARGUMENTS_NEEDED) {
        return connection_error(connection_of(cursor), SQLITE_ERROR,
                                "faster_mget needs a table and keys: faster_mget(t, keys)");
    }
    int rc = keep_arguments(cursor, plan, argv);
    rc = rc == SQLITE_OK ? enter_table(cursor, argv[0]) : rc;
    if (rc == SQLITE_SCHEMA) { /* the name means another table object by now */
        rc = enter_table(cursor, argv[0]);
    }
    rc = rc == SQLITE_OK
             ? choose_value(cursor, plan, (plan & PLAN_HAS_ARGUMENT(2)) != 0 ? argv[2] : NULL)
             : rc;
    rc = rc == SQLITE_OK ? mget_keys_load(cursor->table, argv[1], &cursor->batch->keys) : rc;
    if (rc != SQLITE_OK) {
        return rc;
    }
    bool needs_key_from_row =
        (plan & PLAN_NEEDS_KEY) != 0 && !schema_has_rowid(&cursor->table->schema);
    cursor->with_rows = needs_key_from_row || (plan & PLAN_NEEDS_VALUE) != 0;
    cursor->at_end = false;
    rc = batch_start(cursor->batch, cursor->with_rows);
    return rc == SQLITE_OK ? next_row(cursor) : rc;
}

static int mget_filter(sqlite3_vtab_cursor *base, int index_number, const char *index_text,
                       int argc, sqlite3_value **argv) {
    struct mget_cursor *cursor = (struct mget_cursor *)base;
    (void)index_text;
    (void)argc;
    cursor->at_end = true;
    return result(cursor, filter(cursor, index_number, argv));
}

static int mget_next(sqlite3_vtab_cursor *base) {
    struct mget_cursor *cursor = (struct mget_cursor *)base;
    struct connection *connection = connection_of(cursor);
    int rc = connection_check_process(connection);
    if (rc == SQLITE_OK && cursor->view.undone) {
        rc = connection_error(connection, SQLITE_ABORT_ROLLBACK, "abort due to ROLLBACK");
    }
    return result(cursor, rc == SQLITE_OK ? next_row(cursor) : rc);
}

static int mget_eof(sqlite3_vtab_cursor *base) {
    return ((const struct mget_cursor *)base)->at_end;
}

static int show_key(struct mget_cursor *cursor, sqlite3_context *context) {
    const struct table_schema *schema = &cursor->table->schema;
    int64_t rowid = 0;
    if (!schema_has_rowid(schema)) {
        return row_view_result(&cursor->row, schema->key[0].column, context, SQLITE_TRANSIENT);
    }
    int rc = key_decode_rowid(batch_key(cursor->batch), &rowid);
    sqlite3_result_int64(context, rowid);
    return rc;
}

static int mget_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    struct mget_cursor *cursor = (struct mget_cursor *)base;
    int rc = SQLITE_OK;
    switch (column) {
    case MGET_POSITION:
        sqlite3_result_int64(context, (sqlite3_int64)batch_key_index(cursor->batch));
        break;
    case MGET_KEY:
        rc = show_key(cursor, context);
        break;
    case MGET_VALUE:
        rc = row_view_result(&cursor->row, cursor->value_column, context, SQLITE_TRANSIENT);
        break;
    default:
        if (cursor->arguments[column - ARGUMENT_FIRST] != NULL) {
            sqlite3_result_value(context, cursor->arguments[column - ARGUMENT_FIRST]);
        }
        break;
    }
    return result(cursor, rc);
}

static int mget_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
    *rowid = (sqlite3_int64)batch_key_index(((struct mget_cursor *)base)->batch);
    return SQLITE_OK;
}

/* Without xCreate it is eponymous only. */
static const sqlite3_module MGET_MODULE = {.iVersion = 0,
                                           .xConnect = mget_connect,
                                           .xBestIndex = mget_best_index,
                                           .xDisconnect = mget_disconnect,
                                           .xOpen = mget_open,
                                           .xClose = mget_close,
                                           .xFilter = mget_filter,
                                           .xNext = mget_next,
                                           .xEof = mget_eof,
                                           .xColumn = mget_column,
                                           .xRowid = mget_rowid};

int mget_register(struct connection *connection) {
    connection_reference(connection);
    return sqlite3_create_module_v2(connection->db, "faster_mget", &MGET_MODULE, connection,
                                    connection_release);
}
