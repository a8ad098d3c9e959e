/* index_gather.h - entries of the hash index for a checkpoint, led back to its point (layer 5). */
#ifndef FST_PROCEDURES_INDEX_GATHER_H
#define FST_PROCEDURES_INDEX_GATHER_H

#include "store/store.h"

/* Zero but for session, reader.index and limit, at first; ends with fst_index_gather_finish(). */
struct fst_index_gather {
    struct faster_session *session;
    struct fst_index_reader reader;
    uint64_t limit; /* entries at or above are led back along their chains; UINT64_MAX: none */
    struct fst_index_copied *entries; /* of the last call: of each bucket after each other, all
                                         addresses below limit and not below begin */
    size_t count;
    size_t capacity;
    enum faster_status status;      /* private, as all that follows */
    struct fst_device_queue *queue; /* opened when a chain leads to the disk */
    struct faster_buffer record;
    uint64_t disk_read_count;
};

/* Replaces the entries by those of the next buckets; *goes_on says whether more come. Outside the
 * epoch. Blocks. OK, NOMEM, FULL (no descriptor), CORRUPT, IO, BUSY (too many chains lead through
 * records on disk: a transaction larger than memory is open). */
enum faster_status fst_index_gather_next(struct fst_index_gather *gather,
                                         bool *goes_on) FASTER_MUST_CHECK;
void fst_index_gather_finish(struct fst_index_gather *gather);

#endif
