/* progress.h - how far a recovery has come (layer 4).
 *
 * One recovery runs at a time: open has the store alone, catch-up is the writer's. It writes the
 * words, relaxed, and figures read them so. While a direct store is opened nobody has it yet: so
 * a diagnostic tells every few seconds.
 */
#ifndef FST_STORE_PROGRESS_H
#define FST_STORE_PROGRESS_H

#include "base/atomic.h"

enum fst_work {
    FST_WORK_NONE = 0,
    FST_WORK_FIND_END,   /* of a direct store's log */
    FST_WORK_LOAD_INDEX, /* the checkpoint's copy: read once to check it, and once to load it */
    FST_WORK_READ_LOG
};

#define FST_PROGRESS_TOLD_NS UINT64_C(5000000000)

struct fst_progress {
    fst_atomic_u32 work; /* enum fst_work */
    fst_atomic_u64 done_bytes;
    fst_atomic_u64 total_bytes;
    fst_atomic_u64 recovery_ns; /* all of it since open */
    /* The worker's alone. */
    uint64_t since_ns;
    uint64_t told_ns;
};

struct faster_store;

/* A part of the work begins; what was before it is over. */
void fst_progress_begin(struct faster_store *store, enum fst_work work, uint64_t total_bytes);
/* So much of it is done: to be called between reads. */
void fst_progress_reach(struct faster_store *store, uint64_t done_bytes);
void fst_progress_end(struct faster_store *store);

#endif
