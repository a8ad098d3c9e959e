/* rowid_bound.h - what a transaction knows of its table's largest rowid; see rowids.h. */
#ifndef FASTER_EXT_ROWID_BOUND_H
#define FASTER_EXT_ROWID_BOUND_H

#include <stdbool.h>
#include <stdint.h>

/* What the next implicit rowid is chosen from. */
struct rowid_bound {
    bool any;   /* false: the table has no rows */
    bool exact; /* `max` is the largest rowid, not only a bound */
    int64_t max;
    bool top_any; /* a bound for everything a savepoint could bring back: never lowered */
    int64_t top;
};

/* The row was stored, or deleted. */
void rowid_bound_stored(struct rowid_bound *bound, int64_t rowid);
void rowid_bound_deleted(struct rowid_bound *bound, int64_t rowid);
/* Stored rows may have been undone. */
void rowid_bound_undone(struct rowid_bound *bound);

#endif
