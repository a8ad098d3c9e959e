/* scan.h - all live records of a view, in the order of the log (layer 5).
 *
 * The log is read from begin to the view's upper address. A record is live iff it is the
 * visible version of its key: iff walking its key's chain from the head leads to this very
 * record first. Candidates are located in batches, so that the few chains whose newest
 * records lie on disk are read side by side.
 */
#ifndef FST_PROCEDURES_SCAN_H
#define FST_PROCEDURES_SCAN_H

#include "store/chunk_read.h"
#include "store/log_cursor.h"
#include "store/operations.h"

#define FST_SCAN_BATCH 64u

struct fst_scan_entry {
    struct faster_op op; /* LOCATE */
    struct fst_log_item item;
};

/* The live records. */
struct fst_live_scan {
    struct faster_session *session; /* its own */
    struct fst_log_cursor cursor;
    uint64_t upper;
    struct fst_scan_entry entries[FST_SCAN_BATCH];
    uint32_t entry_count;
    uint32_t entry_next;
    faster_interrupt_fn *interrupt; /* NULL, or asked before each stretch of the log */
    void *interrupt_context;
};

/* Reads [from, upper). The caller keeps a pin at or below `upper`'s view. OK, NOMEM, FULL. */
enum faster_status fst_live_scan_init(struct fst_live_scan *scan, struct faster_store *store,
                                      fst_addr from, uint64_t upper) FASTER_MUST_CHECK;
/* From now on `interrupt` is asked before each stretch of the log. */
void fst_live_scan_ask(struct fst_live_scan *scan, faster_interrupt_fn *interrupt, void *context);
void fst_live_scan_finish(struct fst_live_scan *scan);

/* The next live record that is no tombstone; *entry is valid until the next call. OK, END,
 * CORRUPT, IO, NOMEM, INTERRUPTED. After a failure *entry is the record whose key could not be
 * located, and the next call goes on behind it; NULL: the log itself cannot be read on. */
enum faster_status fst_live_scan_next(struct fst_live_scan *scan,
                                      const struct fst_scan_entry **entry) FASTER_MUST_CHECK;

/* What a reader of the value of an entry starts from; item.shape.chunked says that its value is
 * larger than a page. OK, or CORRUPT: the list of its chunks is damaged. */
enum faster_status fst_live_scan_chunks(struct fst_live_scan *scan,
                                        const struct fst_scan_entry *entry,
                                        struct fst_chunk_reader *reader) FASTER_MUST_CHECK;

#endif
