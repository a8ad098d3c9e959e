/* rowids.h - the next rowid, chosen as SQLite chooses it: the largest in the table plus one.
 *
 * A hash store has no largest key, so each commit row keeps an upper bound. It is exact until
 * the row with the largest rowid is deleted or a savepoint is rolled back; then the choice
 * first looks downward from the bound and, if that takes too long, scans.
 */
#ifndef FASTER_EXT_ROWIDS_H
#define FASTER_EXT_ROWIDS_H

#include "table/table.h"

/* Chooses a rowid that no row has. The table's transaction is open. SQLITE_FULL if the
 * largest possible rowid is taken and a hundred random ones are, too. */
int rowids_choose(struct table *table, struct attachment *attachment, int64_t *rowid);

#endif
