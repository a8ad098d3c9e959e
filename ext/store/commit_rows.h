/* commit_rows.h - the shadow tables of one FASTER table, in SQL.
 *
 *   <t>_log     one row per commit of the store: the rows that decide (transaction.c); a direct
 *               table has none
 *   <t>_config  name -> value: the store's UUID, the format, where its directory is, how it is
 *               written, settings
 *
 * A struct commit_rows belongs to one table object, or lives on a caller's stack. Its
 * statements are prepared at first use and kept, so it must be finished before SQLite
 * closes the connection. All functions leave a message in the connection when they fail.
 */
#ifndef FASTER_EXT_COMMIT_ROWS_H
#define FASTER_EXT_COMMIT_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sqlite_api.h"
#include "codec/schema.h"
#include "faster.h"
#include "store/connection.h"

/* The format of the shadow tables, in <t>_config: of a direct table, and of any other. */
#define COMMIT_ROWS_VERSION_DIRECT 2
#define COMMIT_ROWS_VERSION 1

/* A row without its redo bytes. The last two columns are the table's own notes: an upper
 * bound of the rowids, and COMMIT_HINT_*. */
struct stored_row {
    struct faster_commit_row commit;
    bool has_rowid_max;
    int64_t rowid_max;
    uint64_t hints;
};

#define COMMIT_HINT_KEY_TEXT_MASK UINT64_C(3)     /* enum key_text */
#define COMMIT_HINT_ROWID_MAX_INEXACT UINT64_C(4) /* rowid_max may be larger than any rowid */

enum commit_rows_statement {
    COMMIT_ROWS_LOOK,
    COMMIT_ROWS_NEWEST,
    COMMIT_ROWS_ALL,
    COMMIT_ROWS_PUT,
    COMMIT_ROWS_DELETE_BELOW,
    COMMIT_ROWS_DELETE_ONE,
    COMMIT_ROWS_CONFIG,
    COMMIT_ROWS_STATEMENT_COUNT
};

struct commit_rows {
    struct connection *connection;
    char *schema_name;
    char *table_name;
    bool direct; /* the table is declared so: it has no <t>_log. Set by the owner */
    sqlite3_stmt *statements[COMMIT_ROWS_STATEMENT_COUNT];
};

/* Copies the names. SQLITE_OK or SQLITE_NOMEM; finish it in both cases. */
int commit_rows_init(struct commit_rows *rows, struct connection *connection,
                     const char *schema_name, const char *table_name);
void commit_rows_finish(struct commit_rows *rows);
/* Releases the statements only; they come back at the next use. */
void commit_rows_release_statements(struct commit_rows *rows);
/* SQLITE_OK or SQLITE_NOMEM (nothing changed). */
int commit_rows_set_table_name(struct commit_rows *rows, const char *table_name);

/* DDL of CREATE, DROP and ALTER TABLE RENAME. */
int commit_rows_create_tables(struct commit_rows *rows, const char *uuid_text, const char *path);
int commit_rows_drop_tables(struct commit_rows *rows);
int commit_rows_rename_tables(struct commit_rows *rows, const char *new_name);

/* Gives the connection a read transaction of the database at least until
 * commit_rows_end_reading(), which is called whatever this returns. SQLite compares the schema
 * with the file's and may release the table object that owns `rows`. */
int commit_rows_begin_reading(struct commit_rows *rows);
void commit_rows_end_reading(struct commit_rows *rows);

/* The newest row in the connection's present view of the database. */
int commit_rows_newest(struct commit_rows *rows, struct stored_row *row, bool *found);

/* A faster_row_source_fn over all rows, oldest first; zero-initialise with `rows` set, and
 * call commit_rows_reader_finish() after use. */
struct commit_rows_reader {
    struct commit_rows *rows;
    sqlite3_stmt *statement;
    int error_code; /* why the source failed, or SQLITE_OK */
};
enum faster_status commit_rows_read(void *context, struct faster_commit_row *row);
void commit_rows_reader_finish(struct commit_rows_reader *reader);

/* Inserts or replaces a row if the table still belongs to the store `uuid_text`; *done is
 * false if it does not, or is gone. Leaves last_insert_rowid() alone. */
int commit_rows_put(struct commit_rows *rows, const struct stored_row *row, const char *uuid_text,
                    bool *done);
int commit_rows_delete_below(struct commit_rows *rows, uint64_t number);
int commit_rows_delete_one(struct commit_rows *rows, uint64_t number);

/* What <t>_config says of the store. */
struct commit_rows_config {
    uint8_t uuid[FASTER_UUID_BYTES];
    char *path; /* sqlite3_malloc; "" for the default place */
    enum faster_writes writes;
    bool has_setting[SCHEMA_SETTING_COUNT]; /* else it is as declared */
    uint64_t setting_bytes[SCHEMA_SETTING_COUNT];
};
/* On SQLITE_OK the caller frees config->path. SQLITE_CORRUPT_VTAB if the rows are missing or
 * damaged, SQLITE_ERROR if they were written by a newer version. */
int commit_rows_config(struct commit_rows *rows, struct commit_rows_config *config);

/* Stores a setting, or takes it out, so that the declaration counts again. */
int commit_rows_set(struct commit_rows *rows, enum schema_setting setting, uint64_t size_bytes);
int commit_rows_unset(struct commit_rows *rows, enum schema_setting setting);

/* Calls `each` for every FASTER table in the connection's present view of the schema.
 * `each` returns false to stop. A table that cannot be read does not hide the others, but the
 * result is then its error: the caller has not seen all. */
typedef bool commit_rows_table_fn(void *context, const char *table_name,
                                  const uint8_t uuid[FASTER_UUID_BYTES]);
int commit_rows_each_table(struct connection *connection, const char *schema_name,
                           commit_rows_table_fn *each, void *context);

/* The name of the table that owns a store: sqlite3_malloc. NULL if there is none (SQLITE_OK)
 * or if that is not certain (another code). */
int commit_rows_find_table(struct connection *connection, const char *schema_name,
                           const uint8_t uuid[FASTER_UUID_BYTES], char **table_name);

#endif
