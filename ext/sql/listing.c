/* listing.c - see listing.h. */
#include "sql/listing.h"

#include <string.h>

#include "table/table_lookup.h"

struct listing {
    struct row_scalar *cells; /* own their bytes, but for constants */
    size_t count;
    size_t capacity;
    int code;
};

/* What SQLite keeps of a registered function. */
struct listing_module {
    struct connection *connection;
    const struct listing_kind *kind;
};

struct listing_table {
    sqlite3_vtab base;
    const struct listing_module *module;
};

struct listing_cursor {
    sqlite3_vtab_cursor base;
    struct listing listing;
    size_t index;              /* of the row */
    sqlite3_value *table_name; /* a copy of the argument, or NULL */
};

/* ------------------------------------------------------------------ cells */

static void clear(struct listing *listing) {
    for (size_t i = 0; i < listing->count; i++) {
        row_scalar_finish(&listing->cells[i]);
    }
    sqlite3_free(listing->cells);
    *listing = (struct listing){.code = SQLITE_OK};
}

/* Takes over what the scalar owns. */
static void add(struct listing *listing, struct row_scalar scalar) {
    if (listing->code == SQLITE_OK && listing->count == listing->capacity) {
        size_t capacity = 2 * listing->capacity + 60;
        void *grown = sqlite3_realloc64(listing->cells, capacity * sizeof *listing->cells);
        if (grown == NULL) {
            listing->code = SQLITE_NOMEM;
        } else {
            listing->cells = grown;
            listing->capacity = capacity;
        }
    }
    if (listing->code != SQLITE_OK) {
        row_scalar_finish(&scalar);
        return;
    }
    listing->cells[listing->count++] = scalar;
}

void listing_add_constant(struct listing *listing, const char *text) {
    add(listing, (struct row_scalar){.type = ROW_TEXT, .data = text, .size_bytes = strlen(text)});
}

void listing_add_text(struct listing *listing, const char *text) {
    listing_add_scalar(listing, text == NULL ? &(struct row_scalar){.type = ROW_NULL}
                                             : &(struct row_scalar){.type = ROW_TEXT,
                                                                    .data = text,
                                                                    .size_bytes = strlen(text)});
}

void listing_add_integer(struct listing *listing, uint64_t value) {
    add(listing, (struct row_scalar){.type = ROW_INTEGER, .integer = (int64_t)value});
}

void listing_add_scalar(struct listing *listing, const struct row_scalar *scalar) {
    struct row_scalar copy = *scalar;
    copy.owned_value = NULL;
    copy.owned_memory = NULL;
    if ((copy.type == ROW_TEXT || copy.type == ROW_BLOB) && copy.size_bytes > 0) {
        copy.owned_memory = sqlite3_malloc64(copy.size_bytes);
        if (copy.owned_memory == NULL) {
            listing->code = SQLITE_NOMEM;
            return;
        }
        memcpy(copy.owned_memory, scalar->data, copy.size_bytes);
        copy.data = copy.owned_memory;
    } else if (copy.type == ROW_TEXT || copy.type == ROW_BLOB) {
        copy.data = "";
    }
    add(listing, copy);
}

int listing_result(const struct listing *listing) {
    return listing->code;
}

/* ---------------------------------------------------------------- methods */

static int listing_connect(sqlite3 *db, void *context, int argc, const char *const *argv,
                           sqlite3_vtab **result, char **error) {
    const struct listing_module *module = context;
    (void)argc;
    (void)argv;
    (void)error;
    char *sql = sqlite3_mprintf("CREATE TABLE listing(%s, t HIDDEN)", module->kind->columns);
    int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_declare_vtab(db, sql);
    sqlite3_free(sql);
    if (rc == SQLITE_OK && module->kind->direct_only) {
        rc = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    }
    struct listing_table *table = rc == SQLITE_OK ? sqlite3_malloc64(sizeof *table) : NULL;
    if (table == NULL) {
        return rc == SQLITE_OK ? SQLITE_NOMEM : rc;
    }
    *table = (struct listing_table){.module = module};
    *result = &table->base;
    return SQLITE_OK;
}

static int listing_disconnect(sqlite3_vtab *base) {
    sqlite3_free(base);
    return SQLITE_OK;
}

static int listing_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    const int argument = ((const struct listing_table *)base)->module->kind->column_count;
    for (int i = 0; i < info->nConstraint; i++) {
        if (info->aConstraint[i].iColumn != argument ||
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

static int listing_open(sqlite3_vtab *base, sqlite3_vtab_cursor **result) {
    (void)base;
    struct listing_cursor *cursor = sqlite3_malloc64(sizeof *cursor);
    if (cursor == NULL) {
        return SQLITE_NOMEM;
    }
    *cursor = (struct listing_cursor){.index = 0};
    *result = &cursor->base;
    return SQLITE_OK;
}

static int listing_close(sqlite3_vtab_cursor *base) {
    struct listing_cursor *cursor = (struct listing_cursor *)base;
    clear(&cursor->listing);
    sqlite3_value_free(cursor->table_name);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int fill(const struct listing_module *module, struct listing *listing,
                const char *table_name) {
    struct table *table = NULL;
    int rc = table_lookup(module->connection, table_name, &table);
    if (rc != SQLITE_OK) {
        return rc;
    }
    table_busy(table);
    rc = module->kind->fill(table, listing);
    table_idle(table);
    return rc == SQLITE_OK ? listing_result(listing) : rc;
}

/* The hidden column gives the argument: SQLite may compare it once more (mget.c). */
static int keep_argument(struct listing_cursor *cursor, int argc, sqlite3_value **argv) {
    sqlite3_value_free(cursor->table_name);
    cursor->table_name = argc > 0 ? sqlite3_value_dup(argv[0]) : NULL;
    return argc > 0 && cursor->table_name == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

static int listing_filter(sqlite3_vtab_cursor *base, int index_number, const char *index_text,
                          int argc, sqlite3_value **argv) {
    struct listing_cursor *cursor = (struct listing_cursor *)base;
    const struct listing_module *module = ((const struct listing_table *)base->pVtab)->module;
    (void)index_number;
    (void)index_text;
    clear(&cursor->listing);
    cursor->index = 0;
    int rc = keep_argument(cursor, argc, argv);
    rc = rc == SQLITE_OK ? fill(module, &cursor->listing,
                                argc > 0 ? (const char *)sqlite3_value_text(argv[0]) : NULL)
                         : rc;
    if (rc != SQLITE_OK) {
        clear(&cursor->listing);
        sqlite3_free(base->pVtab->zErrMsg);
        base->pVtab->zErrMsg = connection_take_message(module->connection);
    }
    return rc;
}

static int listing_next(sqlite3_vtab_cursor *base) {
    ((struct listing_cursor *)base)->index++;
    return SQLITE_OK;
}

static size_t column_count_of(const struct listing_cursor *cursor) {
    const struct listing_table *table = (const struct listing_table *)cursor->base.pVtab;
    return (size_t)table->module->kind->column_count;
}

static int listing_eof(sqlite3_vtab_cursor *base) {
    const struct listing_cursor *cursor = (const struct listing_cursor *)base;
    return cursor->index * column_count_of(cursor) >= cursor->listing.count;
}

static int listing_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    const struct listing_cursor *cursor = (const struct listing_cursor *)base;
    const size_t column_count = column_count_of(cursor);
    if ((size_t)column < column_count) {
        row_scalar_result(context,
                          &cursor->listing.cells[cursor->index * column_count + (size_t)column],
                          SQLITE_TRANSIENT);
    } else if (cursor->table_name != NULL) {
        sqlite3_result_value(context, cursor->table_name);
    }
    return SQLITE_OK;
}

static int listing_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
    *rowid = (sqlite3_int64)((struct listing_cursor *)base)->index + 1;
    return SQLITE_OK;
}

/* Without xCreate it is eponymous only. */
static const sqlite3_module LISTING_MODULE = {.iVersion = 0,
                                              .xConnect = listing_connect,
                                              .xBestIndex = listing_best_index,
                                              .xDisconnect = listing_disconnect,
                                              .xOpen = listing_open,
                                              .xClose = listing_close,
                                              .xFilter = listing_filter,
                                              .xNext = listing_next,
                                              .xEof = listing_eof,
                                              .xColumn = listing_column,
                                              .xRowid = listing_rowid};

static void release_module(void *context) {
    struct listing_module *module = context;
    connection_release(module->connection);
    sqlite3_free(module);
}

int listing_register(struct connection *connection, const struct listing_kind *kind) {
    struct listing_module *module = sqlite3_malloc64(sizeof *module);
    if (module == NULL) {
        return SQLITE_NOMEM;
    }
    connection_reference(connection);
    *module = (struct listing_module){connection, kind};
    return sqlite3_create_module_v2(connection->db, kind->name, &LISTING_MODULE, module,
                                    release_module);
}
