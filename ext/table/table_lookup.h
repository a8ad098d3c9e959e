/* table_lookup.h - the table object that a name means. */
#ifndef FASTER_EXT_TABLE_LOOKUP_H
#define FASTER_EXT_TABLE_LOOKUP_H

#include "store/connection.h"
#include "table/table.h"

/* The table object for "t" or "schema.t", as SQLite resolves such a name in a query; `text` may
 * be NULL. It may go at the next statement: see table_busy(). SQLITE_OK, or a failure with its
 * message in the connection. */
int table_lookup(struct connection *connection, const char *text, struct table **table);

/* The value column a function means: the one named, or, without a name (NULL), the only one.
 * SQLITE_OK, or a failure with its message in the connection. */
int table_value_column(struct table *table, const char *name, int *column);

#endif
