/* statements.c - see statements.h. */
#include "table/statements.h"

#include <string.h>

#define STATEMENT_COUNT_MAX 16

/* Newest first; `running` ones are in use and may be in use again further down the stack. */
struct kept_statement {
    struct kept_statement *next;
    sqlite3_stmt *statement;
    bool running;
    char sql[]; /* what it was prepared from: names table, key and column */
};

static const char *key_column_name(const struct table *table) {
    const struct table_schema *schema = &table->schema;
    return schema->key_count == 0 ? "rowid" : schema->columns[schema->key[0].column].name;
}

static char *command_sql(const struct table *table, const char *command, const char *key,
                         const char *value) {
    return sqlite3_mprintf("INSERT INTO \"%w\".\"%w\"(\"%w\", \"%w\", \"%w\") "
                           "VALUES (%Q, ?1, ?2)",
                           table->schema_name, table->name, table->name, key, value, command);
}

static char *sql_of(const struct table *table, enum statements_kind kind, int column) {
    const char *schema = table->schema_name;
    const char *key = key_column_name(table);
    const char *value = column < 0 ? "" : table->schema.columns[column].name;
    switch (kind) {
    case STATEMENTS_SET:
        return sqlite3_mprintf("INSERT OR REPLACE INTO \"%w\".\"%w\"(\"%w\", \"%w\") "
                               "VALUES (?1, ?2)",
                               schema, table->name, key, value);
    case STATEMENTS_DELETE:
        return sqlite3_mprintf("DELETE FROM \"%w\".\"%w\" WHERE \"%w\" = ?1", schema, table->name,
                               key);
    case STATEMENTS_ADD:
        return command_sql(table, "add", key, value);
    case STATEMENTS_APPEND:
        return command_sql(table, "append", key, value);
    case STATEMENTS_CAS:
        return command_sql(table, "cas", key, value);
    }
    return NULL;
}

static void unlink_kept(struct connection *connection, struct kept_statement *kept) {
    struct kept_statement **link = &connection->statements;
    while (*link != kept) {
        link = &(*link)->next;
    }
    *link = kept->next;
}

static void destroy(struct connection *connection, struct kept_statement *kept) {
    unlink_kept(connection, kept);
    (void)sqlite3_finalize(kept->statement);
    sqlite3_free(kept);
}

static struct kept_statement *find_idle(struct connection *connection, const char *sql) {
    struct kept_statement *kept = connection->statements;
    while (kept != NULL && (kept->running || strcmp(kept->sql, sql) != 0)) {
        kept = kept->next;
    }
    return kept;
}

static int prepare(struct connection *connection, const char *sql, struct kept_statement **result) {
    size_t sql_bytes = strlen(sql) + 1;
    struct kept_statement *kept = sqlite3_malloc64(sizeof(*kept) + sql_bytes);
    if (kept == NULL) {
        return SQLITE_NOMEM;
    }
    *kept = (struct kept_statement){0};
    memcpy(kept->sql, sql, sql_bytes);
    int rc = sqlite3_prepare_v3(connection->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                &kept->statement, NULL);
    if (rc != SQLITE_OK) {
        sqlite3_free(kept);
        return connection_sqlite_error(connection, rc);
    }
    kept->next = connection->statements;
    connection->statements = kept;
    *result = kept;
    return SQLITE_OK;
}

int statements_take(struct table *table, enum statements_kind kind, int column,
                    sqlite3_stmt **statement) {
    struct connection *connection = table->connection;
    char *sql = sql_of(table, kind, column);
    if (sql == NULL) {
        return SQLITE_NOMEM;
    }
    struct kept_statement *kept = find_idle(connection, sql);
    int rc = SQLITE_OK;
    if (kept == NULL) {
        rc = prepare(connection, sql, &kept);
    }
    sqlite3_free(sql);
    if (rc == SQLITE_OK) {
        kept->running = true;
        *statement = kept->statement;
    }
    return rc;
}

/* Drops the statements beyond the limit: those prepared first. */
static void trim(struct connection *connection) {
    int count = 0;
    struct kept_statement *next = NULL;
    for (struct kept_statement *kept = connection->statements; kept != NULL; kept = next) {
        next = kept->next;
        if (++count > STATEMENT_COUNT_MAX && !kept->running) {
            destroy(connection, kept);
        }
    }
}

void statements_give_back(struct connection *connection, sqlite3_stmt *statement, int rc) {
    struct kept_statement *kept = connection->statements;
    while (kept->statement != statement) {
        kept = kept->next;
    }
    kept->running = false;
    if (rc != SQLITE_OK) {
        destroy(connection, kept);
        return;
    }
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    trim(connection);
}

void statements_finish(struct connection *connection) {
    struct kept_statement *next = NULL;
    for (struct kept_statement *kept = connection->statements; kept != NULL; kept = next) {
        next = kept->next;
        if (!kept->running) {
            destroy(connection, kept);
        }
    }
}
