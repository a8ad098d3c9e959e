/* salvage.c - see salvage.h.
 *
 * Records come in the order of the log and are stored one after the other, so that the newest that
 * is left of each key wins. Each is taken apart and put together again as a row of the table: what
 * the table cannot read is counted and left out. Columns that a row has no value for are NULL, as
 * they are when it is read; no DEFAULT and no NOT NULL is asked, since the row was stored once.
 */
#include "sql/salvage.h"

#include "sql/row_write.h"
#include "store/rowid_bound.h"
#include "table/transaction.h"

struct salvage {
    struct row_write row;
    bool with_doubtful;
    uint64_t stored_count;
    uint64_t deleted_count; /* whether the table had them or not */
    uint64_t unreadable_count;
    int code; /* why a record was not stored, if it failed */
};

/* ------------------------------------------------------------------- rows */

/* The columns of a record. SQLITE_CORRUPT_VTAB: it is no row of the table. */
static int decode(struct row_write *row, const struct faster_record *record) {
    const struct table_schema *schema = &row->table->schema;
    struct row_view view;
    int64_t rowid = 0;
    int rc = schema_has_rowid(schema) ? key_decode_rowid(record->key, &rowid) : SQLITE_OK;
    rc = rc == SQLITE_OK ? row_view_open(&view, schema, record->key, record->value) : rc;
    for (int i = 0; rc == SQLITE_OK && i < schema->column_count; i++) {
        rc = row_view_column(&view, i, &row->values->columns[i]);
    }
    if (rc != SQLITE_OK) {
        return rc;
    }
    return schema_has_rowid(schema) ? row_write_set_rowid(row, rowid)
                                    : row_input_encode_key(row->table, row->values);
}

static bool is_unreadable(int rc) {
    return rc == SQLITE_CORRUPT_VTAB || rc == SQLITE_CONSTRAINT_NOTNULL;
}

static int store(struct salvage *salvage, const struct faster_record *record) {
    struct row_write *row = &salvage->row;
    int rc = decode(row, record);
    if (is_unreadable(rc)) {
        salvage->unreadable_count++;
        return SQLITE_OK;
    }
    rc = rc == SQLITE_OK ? row_input_encode(row->table, row->values) : rc;
    rc = rc == SQLITE_OK ? row_write_put(row, POINT_UPSERT) : rc;
    salvage->stored_count += rc == SQLITE_OK;
    return rc;
}

static int remove_key(struct salvage *salvage, const struct faster_record *record) {
    struct row_write *row = &salvage->row;
    int rc = row_buffer_append(&row->values->old_key, record->key.data, record->key.size_bytes);
    rc = rc == SQLITE_OK ? row_write_remove(row) : rc;
    salvage->deleted_count += rc == SQLITE_OK;
    return rc;
}

/* A faster_salvage_fn. */
static enum faster_status take(void *context, const struct faster_record *record) {
    struct salvage *salvage = context;
    if (!record->counts && !salvage->with_doubtful) {
        return FASTER_OK;
    }
    salvage->code =
        record->kind == FASTER_RECORD_VALUE ? store(salvage, record) : remove_key(salvage, record);
    row_values_clear(salvage->row.values); /* its columns borrow from the record */
    return salvage->code == SQLITE_OK ? FASTER_OK : FASTER_FAILED;
}

/* ---------------------------------------------------------------- command */

static void report(sqlite3_context *context, const struct salvage *salvage,
                   const struct faster_salvage_report *found) {
    char *json = sqlite3_mprintf(
        "{\"rows\":%llu,\"deletes\":%llu,\"doubtful\":%llu,\"unreadable\":%llu,\"lost\":%llu,"
        "\"damaged\":%llu,\"damaged_bytes\":%llu}",
        salvage->stored_count, salvage->deleted_count, found->doubtful_count,
        salvage->unreadable_count, found->lost_value_count, found->damaged_count,
        found->damaged_bytes);
    if (json == NULL) {
        sqlite3_result_error_nomem(context);
    } else {
        sqlite3_result_text(context, json, -1, sqlite3_free);
    }
}

static int read_store(struct salvage *salvage, const struct command_exchange *request) {
    struct table *table = salvage->row.table;
    struct faster_salvage_report found;
    struct faster_error error = {0};
    enum faster_status status =
        faster_store_salvage(faster_env_posix(), request->directory, take, salvage,
                             connection_interrupted, table->connection, &found, &error);
    if (salvage->code != SQLITE_OK) {
        return salvage->code;
    }
    if (status != FASTER_OK) {
        return connection_engine_error(table->connection, table->name, status, error.message);
    }
    report(request->context, salvage, &found);
    return SQLITE_OK;
}

/* All of it or, after a failure, nothing; a direct table keeps what it got. */
static int read_or_undo(struct salvage *salvage, const struct command_exchange *request) {
    struct attachment *attachment = salvage->row.attachment;
    struct faster_txn *txn = attachment->txn;
    if (attachment->direct) {
        return read_store(salvage, request);
    }
    const int level = salvage->row.table->connection->open_level + 1;
    enum faster_status status = faster_txn_savepoint(txn, level);
    if (status != FASTER_OK) {
        return table_engine_error(salvage->row.table, status);
    }
    int rc = read_store(salvage, request);
    if (rc != SQLITE_OK) {
        status = faster_txn_rollback_to(txn, level);
        rowid_bound_undone(&attachment->rowids);
        attachment->broken = attachment->broken || status != FASTER_OK;
        rc = status == FASTER_OK ? rc : table_engine_error(salvage->row.table, status);
    }
    faster_txn_release(txn, level);
    return rc;
}

int salvage_run(struct table *table, const struct command_exchange *request) {
    struct salvage salvage = {.row = {.table = table, .conflict = SQLITE_REPLACE}};
    if (request == NULL || request->directory == NULL) {
        return connection_error(table->connection, SQLITE_ERROR,
                                "%s: 'salvage' needs the damaged store's directory: call "
                                "faster_salvage()",
                                table->name);
    }
    salvage.with_doubtful = request->with_doubtful;
    int rc = transaction_write(table, &salvage.row.attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    salvage.row.values = row_input_take(table);
    if (salvage.row.values == NULL) {
        return SQLITE_NOMEM;
    }
    rc = read_or_undo(&salvage, request);
    row_input_give_back(table, salvage.row.values);
    row_write_count(&salvage.row);
    return rc;
}

/* --------------------------------------------------------------- function */

static int run_command(struct table *table, struct command_exchange *request) {
    struct connection *connection = table->connection;
    struct command_exchange *outer = connection->exchange;
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("INSERT INTO \"%w\".\"%w\"(\"%w\") VALUES ('salvage')",
                                table->schema_name, table->name, table->name);
    if (sql == NULL) {
        return SQLITE_NOMEM;
    }
    connection->exchange = request;
    int rc = sqlite3_prepare_v2(connection->db, sql, -1, &statement, NULL);
    sqlite3_free(sql);
    if (rc == SQLITE_OK) {
        rc = connection_run(statement);
        rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
    }
    rc = rc == SQLITE_OK ? rc : connection_sqlite_error(connection, rc);
    (void)sqlite3_finalize(statement);
    connection->exchange = outer;
    return rc;
}

/* The path stands before the table's name. */
static int salvage(sqlite3_context *context, struct table *table, int argc, sqlite3_value **argv) {
    struct command_exchange request = {.context = context,
                                       .directory = (const char *)sqlite3_value_text(argv[-1]),
                                       .with_doubtful =
                                           argc > 1 && sqlite3_value_int(argv[1]) != 0};
    return run_command(table, &request);
}

void salvage_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run(context, argc - 1, argv + 1, salvage);
}
