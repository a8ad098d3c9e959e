/* listing.h - table-valued functions of one argument, the table whose facts they list: name(t).
 *
 * All rows are gathered when a query begins to read, and kept until it ends: they are of one
 * moment, and a failure is one before the first row.
 */
#ifndef FASTER_EXT_LISTING_H
#define FASTER_EXT_LISTING_H

#include <stddef.h>
#include <stdint.h>

#include "store/connection.h"
#include "table/table.h"

struct listing;

/* Gathers the rows. The table is busy. SQLite's result code, with a message in the connection. */
typedef int listing_fill_fn(struct table *table, struct listing *listing);

/* A function; a constant. */
struct listing_kind {
    const char *name;
    const char *columns; /* of a CREATE TABLE, without the hidden one of the argument */
    int column_count;    /* of them */
    bool direct_only;    /* not in views and triggers: it is too much work to hide in one */
    listing_fill_fn *fill;
};

/* Registers it; SQLite's result code. */
int listing_register(struct connection *connection, const struct listing_kind *kind);

/* ---- for `fill`: the cells of one row after the other, column by column ---- */

/* Text that is there for ever. */
void listing_add_constant(struct listing *listing, const char *text);
/* A copy. NULL: so is the value. */
void listing_add_text(struct listing *listing, const char *text);
void listing_add_integer(struct listing *listing, uint64_t value);
/* A copy. */
void listing_add_scalar(struct listing *listing, const struct row_scalar *scalar);
/* SQLITE_OK, or SQLITE_NOMEM if one of the cells was not added. */
int listing_result(const struct listing *listing);

#endif
