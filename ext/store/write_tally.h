/* write_tally.h - how many rows a transaction wrote to a direct table, and how many of them a
 * rollback did not undo: none of them is undone, and the user is told so once. */
#ifndef FASTER_EXT_WRITE_TALLY_H
#define FASTER_EXT_WRITE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

/* All zero is an empty one. */
struct write_tally {
    uint64_t written; /* that no rollback was about so far */
    uint64_t kept;    /* that one was about, and did not undo */
    uint64_t *marks;  /* [mark_count] `written` as of each savepoint */
    int mark_count;
    int mark_capacity;
};

/* Marks savepoint `level` and all below it that are not marked. SQLITE_OK or SQLITE_NOMEM. */
int write_tally_savepoint(struct write_tally *tally, int level);
/* Forgets savepoint `level` and all above it. */
void write_tally_release(struct write_tally *tally, int level);
/* A negative level means the whole transaction. */
void write_tally_rollback_to(struct write_tally *tally, int level);
/* Empties it and gives the number of writes that a rollback did not undo. */
uint64_t write_tally_end(struct write_tally *tally, bool committed);
void write_tally_finish(struct write_tally *tally);

#endif
