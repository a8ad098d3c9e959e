/* rowids.h - the next rowid, chosen as SQLite chooses it: the largest in the table plus one.
 *
 * A hash store has no largest key, so each commit row keeps an upper bound. It is exact until
 * the row with the largest rowid is deleted or a savepoint is rolled back; then the choice
 * first looks downward from the bound and, if that takes too long, scans. A direct table has no
 * commit rows: the largest rowid is found by a scan (key_survey.h), and only ever rises as long as
 * the store is open.
 */
#ifndef FASTER_EXT_ROWIDS_H
#define FASTER_EXT_ROWIDS_H

#include "table/table.h"

/* Chooses a rowid that no row has; in a direct table somebody else may take it before it is
 * stored. The table's transaction is open. SQLITE_FULL if the
 * largest possible rowid is taken and a hundred random ones are, too. */
int rowids_choose(struct table *table, struct attachment *attachment, int64_t *rowid);

#endif
