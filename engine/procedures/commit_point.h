/* commit_point.h - is a commit that the decider names the store's? (layer 5) */
#ifndef FST_PROCEDURES_COMMIT_POINT_H
#define FST_PROCEDURES_COMMIT_POINT_H

#include "store/store.h"

/* Reads the control record where the point says that it is, unless the manifest names the commit.
 * In the checkpoint role. OK, COPY (it is not there, or it is
 * another commit's), and what reading the log gives. */
enum faster_status fst_commit_point_check(struct faster_session *session,
                                          const struct fst_commit_point *point) FASTER_MUST_CHECK;

#endif
