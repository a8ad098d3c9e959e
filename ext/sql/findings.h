/* findings.h - what is wrong with a table's store. */
#ifndef FASTER_EXT_FINDINGS_H
#define FASTER_EXT_FINDINGS_H

#include "sql/listing.h"

/* faster_verify(t) as a table: what, file, offset, address, key. All findings. */
extern const struct listing_kind FINDINGS_LISTING;

/* The same as text: *count gets their number, *text the first ones, one a line (sqlite3_malloc,
 * NULL if there is none). SQLite's result code, with a message in the connection. */
int findings_text(struct table *table, uint64_t *count, char **text);

#endif
