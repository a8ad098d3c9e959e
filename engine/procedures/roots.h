/* roots.h - which checkpoint recovery begins with (layer 5). */
#ifndef FST_PROCEDURES_ROOTS_H
#define FST_PROCEDURES_ROOTS_H

#include "procedures/index_read.h"

/* Chooses the newest copy of the index that is intact and may be used, and loads it; `log` is NULL
 * for a transactional store. *found says whether there is one: *chosen then tells where the log is
 * to be read from. Damaged ones are diagnosed. All that the copy leads to counts as being on disk.
 * Outside the epoch; nobody else uses the index. OK, FULL (the index, or no descriptor), NOMEM, IO,
 * INTERRUPTED, CORRUPT (a file changed while it was read). */
enum faster_status fst_roots_load(struct faster_session *session, faster_interrupt_fn *interrupt,
                                  void *interrupt_context, struct fst_index_read *chosen,
                                  bool *found) FASTER_MUST_CHECK;

/* What the newest root has of named sessions. Before any record is read. OK, NOMEM. */
enum faster_status fst_roots_load_names(struct faster_store *store) FASTER_MUST_CHECK;

/* The newest point that a root vouches for; number 0: none. */
struct fst_commit_point fst_roots_newest_point(const struct faster_store *store);

#endif
