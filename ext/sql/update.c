/* update.c - xUpdate: INSERT, UPDATE, DELETE and what becomes of conflicts.
 *
 *   resolution              key exists             NULL in a NOT NULL column
 *   ABORT FAIL IGNORE       CONSTRAINT, and        CONSTRAINT, and
 *   ROLLBACK                SQLite does the rest   SQLite does the rest
 *   REPLACE                 blind upsert           the default, else an error
 *
 * One call is all or nothing: SQLite opens no savepoint around a single row. Only an UPDATE
 * that changes the key writes twice, and it has a savepoint of its own. In a direct table these are
 * two writes, each of which takes effect at once, while the two keys are locked.
 */
#include "sql/update.h"

#include <string.h>

#include "sql/command.h"
#include "sql/row_input.h"
#include "sql/row_write.h"
#include "table/transaction.h"

/* --------------------------------------------------------- three statements */

/* The key of the row that an UPDATE or DELETE names. */
static int old_key_of(struct table *table, sqlite3_value *value, struct row_buffer *key) {
    row_buffer_clear(key);
    if (table->schema.kind == SCHEMA_KEY_MULTIPLE) {
        const void *bytes = sqlite3_value_blob(value);
        return row_buffer_append(key, bytes, (size_t)sqlite3_value_bytes(value));
    }
    bool matches = false;
    int rc = row_input_encode_single_key(table, value, key, &matches);
    return rc == SQLITE_OK && !matches ? row_write_mismatch(table) : rc;
}

static int insert_row(struct row_write *row, sqlite3_value **argv, sqlite3_int64 *rowid) {
    bool stored = false;
    int rc = row_input_load(row->table, row->values, argv + 2, true);
    rc = rc == SQLITE_OK ? row_write_insert(row, argv[1], &stored) : rc;
    if (stored && schema_has_rowid(&row->table->schema)) {
        *rowid = row->rowid;
    }
    return rc;
}

static int update_row(struct row_write *row, sqlite3_value **argv) {
    struct table *table = row->table;
    struct row_values *values = row->values;
    bool has_rowid = schema_has_rowid(&table->schema);
    bool skip = false;
    int rc = row_input_load(table, values, argv + 2, false);
    rc = rc == SQLITE_OK ? old_key_of(table, argv[0], &values->old_key) : rc;
    if (rc == SQLITE_OK && has_rowid) {
        rc = row_write_rowid_of_update(row, sqlite3_value_int64(argv[0]), argv[1]);
    }
    rc = rc == SQLITE_OK ? row_input_check(table, values, row->conflict, &skip) : rc;
    if (rc != SQLITE_OK || skip) {
        return rc;
    }
    rc = has_rowid ? SQLITE_OK : row_input_encode_key(table, values);
    rc = rc == SQLITE_OK ? row_input_encode(table, values) : rc;
    if (rc != SQLITE_OK) {
        return rc;
    }
    bool same_key = values->key.size_bytes == values->old_key.size_bytes &&
                    memcmp(values->key.data, values->old_key.data, values->key.size_bytes) == 0;
    return same_key ? row_write_replace(row) : row_write_move(row);
}

static int delete_row(struct row_write *row, sqlite3_value *key) {
    int rc = old_key_of(row->table, key, &row->values->old_key);
    return rc == SQLITE_OK ? row_write_remove(row) : rc;
}

static int write_row(struct row_write *row, int argc, sqlite3_value **argv, sqlite3_int64 *rowid) {
    if (argc == 1) {
        return delete_row(row, argv[0]);
    }
    return sqlite3_value_type(argv[0]) == SQLITE_NULL ? insert_row(row, argv, rowid)
                                                      : update_row(row, argv);
}

/* ----------------------------------------------------------------- method */

static int run_command(struct table *table, sqlite3_value **argv) {
    if (sqlite3_value_type(argv[0]) != SQLITE_NULL) {
        return connection_error(table->connection, SQLITE_ERROR,
                                "%s: the column named like the table takes commands, in INSERT "
                                "only",
                                table->name);
    }
    return command_run(table, argv);
}

static int update(struct table *table, int argc, sqlite3_value **argv, sqlite3_int64 *rowid) {
    if (argc > 1 && sqlite3_value_type(argv[2 + table->schema.command_column]) != SQLITE_NULL) {
        return run_command(table, argv);
    }
    struct row_write row = {.table = table};
    int rc = transaction_write(table, &row.attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    row.values = row_input_take(table);
    if (row.values == NULL) {
        return SQLITE_NOMEM;
    }
    row.conflict = sqlite3_vtab_on_conflict(table->connection->db);
    rc = write_row(&row, argc, argv, rowid);
    row_input_give_back(table, row.values);
    row_write_count(&row);
    return rc;
}

int update_method(sqlite3_vtab *base, int argc, sqlite3_value **argv, sqlite3_int64 *rowid) {
    struct table *table = (struct table *)base;
    /* SQLite makes this the last_insert_rowid() of every INSERT. */
    sqlite3_int64 result = sqlite3_last_insert_rowid(table->connection->db);
    /* Busy, so that a function in a DEFAULT leaves the session alone. */
    table_busy(table);
    int rc = table_result(table, update(table, argc, argv, &result));
    table_idle(table);
    if (rowid != NULL) {
        *rowid = result;
    }
    return rc;
}
