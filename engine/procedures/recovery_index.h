/* recovery_index.h - linking a record of the log into the index (layer 5). */
#ifndef FST_PROCEDURES_RECOVERY_INDEX_H
#define FST_PROCEDURES_RECOVERY_INDEX_H

#include "store/log_cursor.h"

/* Makes the record the head of its chain unless the head is a later one. It may lie above what
 * the log's positions cover yet. OK, FULL (the index). [writer], outside the epoch. */
enum faster_status fst_recover_record(struct faster_session *session,
                                      const struct fst_log_item *item) FASTER_MUST_CHECK;

#endif
