/* ledger.h - a decider for engine tests: keeps commit rows as SQLite would.
 *
 * Rows live in memory with copies of their redo. A "crash of the decider" forgets the
 * newest rows; ledger_copy() is a backup.
 */
#ifndef TESTS_SUPPORT_LEDGER_H
#define TESTS_SUPPORT_LEDGER_H

#include "faster.h"

struct ledger {
    struct faster_commit_row *rows; /* ascending; redo owned */
    size_t count;
    size_t capacity;
    size_t next; /* position of ledger_next() */
};

void ledger_finish(struct ledger *ledger);
/* The newest row, or NULL. */
const struct faster_commit_row *ledger_newest(const struct ledger *ledger);
/* INSERT OR REPLACE, then DELETE below obsolete_below. */
void ledger_insert(struct ledger *ledger, const struct faster_commit_row *row,
                   uint64_t obsolete_below);
void ledger_delete_below(struct ledger *ledger, uint64_t number);
/* Forgets rows with number > `number`. */
void ledger_forget_above(struct ledger *ledger, uint64_t number);
struct ledger ledger_copy(const struct ledger *ledger);

/* A faster_row_source_fn; context: the ledger, rewound by ledger_rewind(). */
void ledger_rewind(struct ledger *ledger);
enum faster_status ledger_next(void *ledger, struct faster_commit_row *row);

/* meet_row, and catch_up if the store is behind. */
enum faster_status ledger_meet(struct ledger *ledger, struct faster_session *session);
/* Begins a transaction under the ledger's newest row. */
enum faster_status ledger_begin(struct ledger *ledger, struct faster_session *session,
                                struct faster_txn **txn);
/* prepare, insert, commit; a transaction without writes commits without a row. */
enum faster_status ledger_commit(struct ledger *ledger, struct faster_txn *txn);

#endif
