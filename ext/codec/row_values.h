/* row_values.h - the columns of one row and the bytes they become. */
#ifndef FASTER_EXT_ROW_VALUES_H
#define FASTER_EXT_ROW_VALUES_H

#include "codec/row_codec.h"
#include "codec/schema.h"

/* What one INSERT or UPDATE works with. Kept by the table object for the next one. */
struct row_values {
    struct row_scalar *columns; /* column_count, affinity applied */
    struct row_scalar *parts;   /* key_count: borrowed copies of the key columns */
    int column_count;
    struct row_buffer key;
    struct row_buffer old_key;
    struct row_buffer value;
    struct faster_buffer record; /* a value that was read */
};

/* All columns NULL. NULL: out of memory. */
struct row_values *row_values_create(const struct table_schema *schema);
/* Forgets the row and keeps the memory. */
void row_values_clear(struct row_values *values);
void row_values_destroy(struct row_values *values);

#endif
