/* index_write.h - writing a copy of the hash index to a file (layer 5). */
#ifndef FST_PROCEDURES_INDEX_WRITE_H
#define FST_PROCEDURES_INDEX_WRITE_H

#include "shapes/checkpoint_format.h"
#include "store/store.h"

struct fst_index_write {
    struct faster_session *session;
    struct fst_index_file
        header;      /* in: number, replay_from, version and the point; the rest, out */
    bool leads_back; /* no entry at or above replay_from; see index_gather.c */
    faster_interrupt_fn *interrupt; /* NULL, or asked now and then */
    void *interrupt_context;
    struct fst_index_end end; /* out */
    uint64_t bytes;           /* out: of the file */
};

/* Makes index.<number> and syncs it; its name is the caller's to sync. Covers what was published
 * before the call, and hands over the aborted ranges below replay_from. Operations go on beside
 * it; nobody truncates. On failure nothing of that name is left. Blocks. OK, FULL, NOMEM, IO,
 * CORRUPT, READ_ONLY, INTERRUPTED, BUSY (see fst_index_gather_next()). */
enum faster_status fst_index_write(struct fst_index_write *work) FASTER_MUST_CHECK;

#endif
