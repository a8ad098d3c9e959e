/* batch.h - attempting many operations in one stay in the epoch (layer 4). */
#ifndef FST_STORE_BATCH_H
#define FST_STORE_BATCH_H

#include "store/operations.h"

/* So many operations share one stay in the epoch; their buckets, then their records, are on
 * the way from memory together. */
#define FST_BATCH_GROUP 32u

/* One attempt of each of `count` <= FST_BATCH_GROUP operations, hash and all, whose outcomes go to
 * `attempts`. Starts the I/O they ask for. Writes are a direct store's. Outside the epoch. */
void fst_batch_try(struct faster_session *session, struct faster_op *ops, size_t count,
                   enum fst_attempt *attempts);

#endif
