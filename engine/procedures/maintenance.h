/* maintenance.h - a store's own thread, which takes the checkpoints that are due (layer 5).
 *
 * It starts when there is something to do: with the first checkpoint that is due by bytes, with the
 * first write where the clock counts. It waits on one condition, and with a deadline only for a
 * tick or a retry: a store in which nothing happens wakes nobody.
 *
 * A failure is nobody's operation's. It is told once for each run of failures, and tried again
 * after a second, two, and so on up to 64. After a failed write or sync of the log, which is final,
 * it is not.
 *
 * Threads. The thread takes the mutex of the triggers (a leaf), and outside of it the checkpoint
 * role as any caller does. It opens a session for each checkpoint.
 */
#ifndef FST_PROCEDURES_MAINTENANCE_H
#define FST_PROCEDURES_MAINTENANCE_H

#include "store/store.h"

/* The address at which a checkpoint is due was reached. Outside the epoch, without locks. */
void fst_maintenance_reach(struct faster_store *store);

/* What was claimed: a commit that is safe in the decider, or NULL: it could not be made so. */
void fst_maintenance_hand_over(struct faster_store *store, const struct faster_commit_row *row);

/* Before close: interrupts a checkpoint of the thread's, and waits for the thread. */
void fst_maintenance_stop(struct faster_store *store);

#endif
