/* row_write.h - one row on its way into the open transaction, or at once into a direct table: its
 * rowid, its conflicts. */
#ifndef FASTER_EXT_ROW_WRITE_H
#define FASTER_EXT_ROW_WRITE_H

#include "sql/row_input.h"
#include "table/point.h"
#include "table/table.h"

struct row_write {
    struct table *table;
    struct attachment *attachment; /* its transaction is open, unless it is direct */
    struct row_values *values;
    int conflict; /* sqlite3_vtab_on_conflict() */
    int64_t rowid;
    bool rowid_is_free;   /* just chosen: no row can have it */
    unsigned write_count; /* out: what was stored and removed */
};

/* "datatype mismatch". */
int row_write_mismatch(struct table *table);

/* The rowid of a new row, and its key: the INTEGER PRIMARY KEY's value, else what was given
 * for `rowid`, else the next one. */
int row_write_rowid_of_insert(struct row_write *row, sqlite3_value *given);
/* The key of a row that is to be changed: it must be given, `given` is what is for `rowid`. `verb`
 * is for the message. */
int row_write_key_of_merge(struct row_write *row, const char *verb, sqlite3_value *given);
/* A row that has been stored once: its rowid, and its key. */
int row_write_set_rowid(struct row_write *row, int64_t rowid);
/* The rowid after an UPDATE, and its key; SET rowid = ... shows in `given`, SET id = ... in
 * the column. */
int row_write_rowid_of_update(struct row_write *row, int64_t old, sqlite3_value *given);

/* Stores a new row of the columns that are loaded. `given` is what is given for `rowid`. *stored
 * is false if it is left out without an error. */
int row_write_insert(struct row_write *row, sqlite3_value *given, bool *stored);
/* Stores values->value under values->key. */
int row_write_put(struct row_write *row, enum point_kind kind);
/* The same for an UPDATE that leaves the key: a row of a direct table that is gone by now stays
 * so. */
int row_write_replace(struct row_write *row);
/* Stores it under a new key and removes values->old_key: both or neither. In a direct table one
 * after the other, with both keys locked, if the row is still there. */
int row_write_move(struct row_write *row);
/* Removes values->old_key. */
int row_write_remove(struct row_write *row);

/* Around what stores a row by itself: before, for a direct table, and after it was stored. */
void row_write_note_new_key(const struct row_write *row);
void row_write_note_stored(struct row_write *row);

/* After a statement's row: what it wrote to a direct table is the transaction's, though no rollback
 * undoes it. */
void row_write_count(const struct row_write *row);

#endif
