/* checkpoint.h - making a commit independent of the decider's redo (layer 5). */
#ifndef FST_PROCEDURES_CHECKPOINT_H
#define FST_PROCEDURES_CHECKPOINT_H

#include "store/store.h"

/* First part of faster_session_checkpoint(): the commit is one the store knows, the tail is fixed.
 * [writer] */
enum faster_status
fst_checkpoint_prepare(struct faster_session *session,
                       const struct faster_commit_row *durable) FASTER_MUST_CHECK;

/* Second part, takes no lock: one caller at a time, as it runs inside the decider's write
 * transaction. */
enum faster_status fst_checkpoint_run(struct faster_session *session,
                                      const struct faster_commit_row *durable,
                                      faster_interrupt_fn *interrupt,
                                      void *interrupt_context) FASTER_MUST_CHECK;

/* The log is written to its end and the manifest says so. Before close; [writer]. */
enum faster_status fst_checkpoint_close(struct faster_store *store) FASTER_MUST_CHECK;

#endif
