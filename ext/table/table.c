/* table.c - see table.h. */
#include "table/table.h"

#include "codec/row_values.h"

static void link_table(struct table *table) {
    table->next = table->connection->tables;
    table->connection->tables = table;
}

static void unlink_table(struct table *table) {
    struct table **link = &table->connection->tables;
    while (*link != NULL && *link != table) {
        link = &(*link)->next;
    }
    if (*link == table) {
        *link = table->next;
    }
    if (table->connection->planned == table) {
        table->connection->planned = NULL;
    }
}

static void destroy(struct table *table) {
    row_values_destroy(table->spare_values);
    batch_destroy(table->spare_batch);
    struct attachment *attachment = table->attachment;
    table->attachment = NULL;
    attachment_release(attachment);
    commit_rows_finish(&table->rows);
    schema_finish(&table->schema);
    sqlite3_free(table->schema_name);
    sqlite3_free(table->name);
    sqlite3_free(table->base.zErrMsg);
    sqlite3_free(table);
}

static int parse(struct table *table, int argument_count, const char *const *arguments) {
    char *error = NULL;
    int rc = schema_parse(table->name, argument_count - 3, arguments + 3, &table->schema, &error);
    if (rc != SQLITE_OK && error != NULL) {
        rc = connection_error(table->connection, rc, "%s", error);
    }
    sqlite3_free(error);
    return rc;
}

static int declare(struct table *table) {
    sqlite3 *db = table->connection->db;
    int rc = sqlite3_declare_vtab(db, table->schema.declaration);
    if (rc == SQLITE_OK) {
        rc = sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
    }
    return rc == SQLITE_OK ? rc : connection_sqlite_error(table->connection, rc);
}

static int initialise(struct table *table, int argument_count, const char *const *arguments) {
    table->schema_name = sqlite3_mprintf("%s", arguments[1]);
    table->name = sqlite3_mprintf("%s", arguments[2]);
    if (table->schema_name == NULL || table->name == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = commit_rows_init(&table->rows, table->connection, arguments[1], arguments[2]);
    rc = rc == SQLITE_OK ? parse(table, argument_count, arguments) : rc;
    table->rows.direct = table_is_direct(table);
    return rc == SQLITE_OK ? declare(table) : rc;
}

int table_create(struct connection *connection, int argument_count, const char *const *arguments,
                 struct table **result) {
    struct table *table = sqlite3_malloc64(sizeof(*table));
    if (table == NULL) {
        return SQLITE_NOMEM;
    }
    *table = (struct table){.connection = connection};
    int rc = initialise(table, argument_count, arguments);
    if (rc != SQLITE_OK) {
        destroy(table);
        return rc;
    }
    link_table(table);
    *result = table;
    return SQLITE_OK;
}

void table_release(struct table *table) {
    unlink_table(table);
    table->disconnected = true;
    if (table->busy_count == 0) {
        destroy(table);
    }
}

void table_busy(struct table *table) {
    table->busy_count++;
}

void table_idle(struct table *table) {
    if (--table->busy_count > 0) {
        return;
    }
    attachment_rest(table->attachment);
    if (table->disconnected) {
        destroy(table);
    }
}

int table_attach(struct table *table, struct attachment **attachment) {
    int rc = connection_check_process(table->connection);
    if (rc == SQLITE_OK && table->attachment == NULL) {
        rc = attachment_acquire(&table->rows, &table->schema.options, &table->attachment);
    }
    rc = rc == SQLITE_OK ? attachment_wake(table->attachment) : rc;
    *attachment = table->attachment;
    return rc;
}

int table_meet(struct table *table, struct attachment **attachment) {
    int rc = table_attach(table, attachment);
    if (rc == SQLITE_OK && (*attachment)->txn == NULL) {
        rc = attachment_meet(*attachment, &table->rows, false);
    }
    return rc;
}

int table_result(struct table *table, int code) {
    if (code != SQLITE_OK) {
        sqlite3_free(table->base.zErrMsg);
        table->base.zErrMsg = connection_take_message(table->connection);
    }
    return code;
}

int table_engine_error(struct table *table, enum faster_status status) {
    const struct attachment *attachment = table->attachment;
    const char *message = attachment == NULL ? NULL : faster_session_message(attachment->session);
    return connection_engine_error(table->connection, table->name, status, message);
}
