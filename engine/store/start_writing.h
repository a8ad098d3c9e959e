/* start_writing.h - fixing the tail before the first write after an open (layer 4). */
#ifndef FST_STORE_START_WRITING_H
#define FST_STORE_START_WRITING_H

#include "store/store.h"

/* [writer]; blocks. OK, FULL, IO, NOMEM, FAILED, CORRUPT; may be called again. */
enum faster_status fst_start_writing(struct faster_session *session) FASTER_MUST_CHECK;

/* [writer] Until writing starts: the lowest address that it may write, a multiple of the write
 * unit, if the log goes on at `end`. */
uint64_t fst_first_written(const struct faster_store *store, uint64_t end);

#endif
