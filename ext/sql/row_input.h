/* row_input.h - one row as SQLite hands it over: its columns, their defaults, its key. */
#ifndef FASTER_EXT_ROW_INPUT_H
#define FASTER_EXT_ROW_INPUT_H

#include "codec/row_values.h"
#include "table/table.h"

/* Gives the table's spare one, or a new one (xUpdate may run inside xUpdate). NULL: out of
 * memory. */
struct row_values *row_input_take(struct table *table);
void row_input_give_back(struct table *table, struct row_values *values);

/* Loads the declared columns from what SQLite passes; for an INSERT, NULL becomes the column's
 * default. */
int row_input_load(struct table *table, struct row_values *values, sqlite3_value **columns,
                   bool is_insert);

/* One of them. */
int row_input_load_column(struct table *table, struct row_values *values, int index,
                          sqlite3_value *given, bool is_insert);

/* Checks NOT NULL. `conflict` is the statement's resolution. *skip is set if the row is to be
 * left out without an error (NOT NULL ON CONFLICT IGNORE). */
int row_input_check(struct table *table, struct row_values *values, int conflict, bool *skip);

/* Encodes the key of a KEY_* table from the loaded columns into `values->key`. */
int row_input_encode_key(struct table *table, struct row_values *values);

/* SQLITE_TOOBIG, with a message, if a row's value is longer than SQLITE_LIMIT_LENGTH allows, as for
 * an ordinary table. */
int row_input_check_length(struct table *table, size_t size_bytes);

/* The value that the columns make, into `values->value`. */
int row_input_encode(struct table *table, struct row_values *values);

/* Encodes a key given as one SQL value (KEY_SINGLE, or a rowid): what a function is asked for.
 * *matches is false if no row can have it. */
int row_input_encode_single_key(struct table *table, sqlite3_value *value, struct row_buffer *key,
                                bool *matches);

#endif
