/* index_read.h - the file of an index copy: checking it, and loading it (layer 5). */
#ifndef FST_PROCEDURES_INDEX_READ_H
#define FST_PROCEDURES_INDEX_READ_H

#include "shapes/checkpoint_format.h"
#include "store/store.h"

struct fst_index_read {
    struct faster_session *session;
    uint64_t number;
    uint64_t nonce;                 /* as the root says */
    bool is_recovery;               /* its progress is told */
    faster_interrupt_fn *interrupt; /* NULL, or asked for each block */
    void *interrupt_context;
    struct fst_index_file header; /* out, as what follows */
    struct fst_index_end end;
    /* How many entries are of so many bits. */
    uint64_t bits_counts[FST_FORMAT_INDEX_BITS_MAX + 1];
    uint64_t block_count; /* read so far; after CORRUPT, the damaged one's number */
};

/* Reads all of the file and believes nothing of it. Changes nothing. Blocks. OK, MISSING, CORRUPT,
 * FOREIGN, VERSION_NEWER, READ_ONLY, FULL (no descriptor), NOMEM, IO, INTERRUPTED. */
enum faster_status fst_index_read_check(struct fst_index_read *work) FASTER_MUST_CHECK;

/* After the check: raises the heads of the store's index to the entries, and adds the aborted
 * ranges. Outside the epoch; nobody else uses the index. A failure leaves heads that may be raised
 * again, and ranges that another call repeats. As above; FULL also if the index is. */
enum faster_status fst_index_read_load(struct fst_index_read *work) FASTER_MUST_CHECK;

#endif
