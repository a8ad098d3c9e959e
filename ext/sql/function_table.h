/* function_table.h - the table that a scalar function is about, and how the function ends. */
#ifndef FASTER_EXT_FUNCTION_TABLE_H
#define FASTER_EXT_FUNCTION_TABLE_H

#include "table/table.h"

typedef void function_fn(sqlite3_context *context, int argc, sqlite3_value **argv);
/* What a function does with its table. SQLITE_SCHEMA: the name means another table object by
 * now. */
typedef int function_body_fn(sqlite3_context *context, struct table *table, int argc,
                             sqlite3_value **argv);

/* Runs `body` on the table that argv[0] names; once more after SQLITE_SCHEMA. Sets the error. */
void function_run(sqlite3_context *context, int argc, sqlite3_value **argv, function_body_fn *body);
/* The same for functions that name one row by one value: other tables are refused. */
void function_run_on_key(sqlite3_context *context, int argc, sqlite3_value **argv,
                         function_body_fn *body);

/* The attachment of a direct table, without a look at SQLite but for the first time in this
 * connection. SQLITE_SCHEMA if `table` was released meanwhile. */
int function_attach(struct table *table, struct attachment **attachment);

#endif
