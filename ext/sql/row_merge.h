/* row_merge.h - read-modify-write of one value column: what the commands 'add', 'append', 'min'
 * and 'max', and the functions that run them, make of a row. */
#ifndef FASTER_EXT_ROW_MERGE_H
#define FASTER_EXT_ROW_MERGE_H

#include "sql/row_write.h"

enum row_merge_kind {
    ROW_MERGE_ADD,
    ROW_MERGE_APPEND,
    ROW_MERGE_MIN,
    ROW_MERGE_MAX,
    ROW_MERGE_CAS /* takes the operand if the value is the expected one; a missing row has NULL */
};

/* Filled by the caller but for the last three. */
struct row_merge {
    struct row_write *row; /* its columns are loaded, its key is encoded */
    enum row_merge_kind kind;
    int column;              /* the one that changes; its loaded value is the operand */
    sqlite3_value *expected; /* ROW_MERGE_CAS */

    bool changed;              /* the row is stored, its new value is in row->values->value */
    int code;                  /* private */
    struct merge_check *check; /* private */
};

/* Its name as a command. */
const char *row_merge_name(enum row_merge_kind kind);
/* Makes the row if there is none. SQLITE_OK, or a failure with its message in the connection. */
int row_merge_run(struct row_merge *merge);
/* The new value as the result of a function. REQUIRES: merge->changed. */
int row_merge_result(const struct row_merge *merge, sqlite3_context *context);

#endif
