/* row_write.h - one row on its way into the open transaction: its rowid, its conflicts. */
#ifndef FASTER_EXT_ROW_WRITE_H
#define FASTER_EXT_ROW_WRITE_H

#include "sql/row_input.h"
#include "table/point.h"
#include "table/table.h"

struct row_write {
    struct table *table;
    struct attachment *attachment; /* its transaction is open */
    struct row_values *values;
    int conflict; /* sqlite3_vtab_on_conflict() */
    int64_t rowid;
    bool rowid_is_free; /* just chosen: no row can have it */
};

/* "datatype mismatch". */
int row_write_mismatch(struct table *table);

/* The rowid of a new row, and its key: the INTEGER PRIMARY KEY's value, else what was given
 * for `rowid`, else the next one. */
int row_write_rowid_of_insert(struct row_write *row, sqlite3_value *given);
/* The rowid after an UPDATE, and its key; SET rowid = ... shows in `given`, SET id = ... in
 * the column. */
int row_write_rowid_of_update(struct row_write *row, int64_t old, sqlite3_value *given);

/* The constraint error of a key that is taken. */
int row_write_key_exists(const struct row_write *row);

/* How a new row is stored: blindly if nothing can be, or nothing need be, in its way. */
point_write_fn *row_write_function(const struct row_write *row);
/* Stores values->value under values->key with `write`. */
int row_write_put(const struct row_write *row, point_write_fn *write);
/* Stores it under a new key and removes values->old_key: both or neither. */
int row_write_move(const struct row_write *row);
int row_write_remove(struct table *table, struct attachment *attachment,
                     const struct row_buffer *key);

/* After a row was stored: what the next commit row has to say about the keys. */
void row_write_note_key(const struct row_write *row);

#endif
