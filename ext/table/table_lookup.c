/* table_lookup.c - see table_lookup.h. */
#include "table/table_lookup.h"

#include <string.h>

#include "store/registry.h"

/* "schema.t" or "t"; the schema counts only if it is attached. Points into the caller's text. */
struct table_name {
    const char *schema_name; /* [schema_bytes], or NULL */
    int schema_bytes;
    const char *name;
};

static struct table_name split_name(const char *text) {
    const char *dot = strchr(text, '.');
    return dot == NULL ? (struct table_name){.name = text}
                       : (struct table_name){.schema_name = text,
                                             .schema_bytes = (int)(dot - text),
                                             .name = dot + 1};
}

static int check_attached(struct connection *connection, const struct table_name *name,
                          bool *attached) {
    char *schema = sqlite3_mprintf("%.*s", name->schema_bytes, name->schema_name);
    if (schema == NULL) {
        return SQLITE_NOMEM;
    }
    *attached = sqlite3_txn_state(connection->db, schema) >= 0;
    sqlite3_free(schema);
    return SQLITE_OK;
}

static bool is_in_schema(const struct table *table, const struct table_name *name) {
    return sqlite3_strnicmp(table->schema_name, name->schema_name, name->schema_bytes) == 0 &&
           strlen(table->schema_name) == (size_t)name->schema_bytes;
}

static bool is_named(const struct table *table, const struct table_name *name) {
    return sqlite3_stricmp(table->name, name->name) == 0 &&
           (name->schema_name == NULL || is_in_schema(table, name));
}

/* A change of the schema whose end nobody told us of is over when no transaction that writes is
 * open: from now on names mean the same until the next one. */
static void settle_schema_change(struct connection *connection) {
    if (connection->schema_changed && sqlite3_txn_state(connection->db, NULL) != SQLITE_TXN_WRITE) {
        connection->schema_changed = false;
        registry_schema_changed();
    }
}

/* A table object that the name meant when it was last looked up, if nothing has changed. */
static struct table *find_known(struct connection *connection, const struct table_name *name) {
    settle_schema_change(connection);
    uint64_t generation = registry_schema_generation();
    struct table *table = connection->schema_changed ? NULL : connection->tables;
    for (; table != NULL; table = table->next) {
        uint64_t known =
            name->schema_name == NULL ? table->plain_generation : table->resolved_generation;
        if (known == generation && is_named(table, name)) {
            break;
        }
    }
    return table;
}

/* Lets SQLite look the name up: planning a query on the table tells which object it is. */
static int look_up(struct connection *connection, const struct table_name *name) {
    sqlite3_stmt *statement = NULL;
    char *sql = name->schema_name == NULL
                    ? sqlite3_mprintf("SELECT 1 FROM \"%w\" WHERE 0", name->name)
                    : sqlite3_mprintf("SELECT 1 FROM \"%.*w\".\"%w\" WHERE 0", name->schema_bytes,
                                      name->schema_name, name->name);
    if (sql == NULL) {
        return SQLITE_NOMEM;
    }
    connection->planned = NULL;
    int rc = sqlite3_prepare_v2(connection->db, sql, -1, &statement, NULL);
    rc = rc == SQLITE_OK ? sqlite3_step(statement) : rc;
    rc = rc == SQLITE_DONE ? SQLITE_OK : connection_sqlite_error(connection, rc);
    (void)sqlite3_finalize(statement);
    sqlite3_free(sql);
    return rc;
}

static int resolve(struct connection *connection, const struct table_name *name,
                   struct table **table) {
    uint64_t generation = registry_schema_generation();
    int rc = look_up(connection, name);
    if (rc != SQLITE_OK) {
        return rc;
    }
    *table = connection->planned;
    if (*table == NULL || !is_named(*table, name)) {
        return connection_error(connection, SQLITE_ERROR, "not a FASTER table: %s", name->name);
    }
    (*table)->resolved_generation = generation;
    if (name->schema_name == NULL) {
        (*table)->plain_generation = generation;
    }
    return SQLITE_OK;
}

int table_lookup(struct connection *connection, const char *text, struct table **table) {
    int rc = connection_check_process(connection);
    if (rc == SQLITE_OK && text == NULL) {
        rc = connection_error(connection, SQLITE_ERROR, "the name of a FASTER table is needed");
    }
    if (rc != SQLITE_OK) {
        return rc;
    }
    struct table_name name = split_name(text);
    bool attached = false;
    *table = find_known(connection, &name);
    if (*table == NULL && name.schema_name != NULL) {
        rc = check_attached(connection, &name, &attached);
        if (rc == SQLITE_OK && !attached) { /* the dot is part of a table's name */
            name = (struct table_name){.name = text};
            *table = find_known(connection, &name);
        }
    }
    return rc != SQLITE_OK || *table != NULL ? rc : resolve(connection, &name, table);
}

int table_value_column(struct table *table, const char *name, int *column) {
    const struct table_schema *schema = &table->schema;
    int count = 0;
    if (name != NULL) {
        *column = schema_column_index(schema, name);
        return *column >= 0 ? SQLITE_OK
                            : connection_error(table->connection, SQLITE_ERROR,
                                               "no such column: %s.%s", table->name, name);
    }
    for (int i = 0; i < schema->column_count; i++) {
        if (schema->columns[i].key_index < 0) {
            *column = i;
            count++;
        }
    }
    return count == 1 ? SQLITE_OK
                      : connection_error(table->connection, SQLITE_ERROR,
                                         "%s has %d value columns, this function needs one",
                                         table->name, count);
}
