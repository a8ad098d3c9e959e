/* row_values.h - the columns of one row on their way into the store. */
#ifndef FASTER_EXT_ROW_VALUES_H
#define FASTER_EXT_ROW_VALUES_H

#include "table.h"

/* What one INSERT or UPDATE works with. Kept by the table object for the next one. */
struct row_values {
    struct row_scalar *columns; /* column_count, affinity applied */
    struct row_scalar *parts;   /* key_count: borrowed copies of the key columns */
    int column_count;
    struct row_buffer key;
    struct row_buffer old_key;
    struct row_buffer value;
};

/* Gives the table's spare one, or a new one (xUpdate may run inside xUpdate). NULL: out of
 * memory. */
struct row_values *row_values_take(struct table *table);
void row_values_give_back(struct table *table, struct row_values *values);
void row_values_destroy(struct row_values *values);

/* Loads the declared columns from what SQLite passes; for an INSERT, NULL becomes the column's
 * default. */
int row_values_load(struct table *table, struct row_values *values, sqlite3_value **columns,
                    bool is_insert);

/* Checks NOT NULL. `conflict` is the statement's resolution. *skip is set if the row is to be
 * left out without an error (NOT NULL ON CONFLICT IGNORE). */
int row_values_check(struct table *table, struct row_values *values, int conflict, bool *skip);

/* Encodes the key of a KEY_* table from the loaded columns into `values->key`. */
int row_values_encode_key(struct table *table, struct row_values *values);

/* The value that the columns make, into `values->value`. */
int row_values_encode(struct table *table, struct row_values *values);

/* Encodes a key given as one SQL value (KEY_SINGLE, or a rowid): what a function is asked for.
 * *matches is false if no row can have it. */
int row_values_encode_single_key(struct table *table, sqlite3_value *value, struct row_buffer *key,
                                 bool *matches);

/* SQLITE_TOOBIG, with a message, if the key is longer than the store takes. */
int row_values_check_key(struct table *table, const struct row_buffer *key);

#endif
