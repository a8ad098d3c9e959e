/* log_cursor.h - reading the log record by record, from memory and disk (layer 4).
 *
 * The cursor copies one stretch of a page at a time into its own buffer, so that what it
 * hands out stays valid until its next call, whatever is evicted meanwhile. Pads are
 * skipped, jumps are reported and followed. Every record from disk is checked.
 */
#ifndef FST_STORE_LOG_CURSOR_H
#define FST_STORE_LOG_CURSOR_H

#include "shapes/record.h"
#include "store/store.h"

struct fst_log_item {
    fst_addr addr;
    const unsigned char *bytes;
    struct fst_record_shape shape;
    uint64_t header;
};

static inline const unsigned char *fst_log_item_value(const struct fst_log_item *item) {
    return item->bytes + item->shape.key_offset_bytes + item->shape.key_bytes;
}

struct fst_log_cursor {
    struct faster_session *session;
    struct fst_device_queue *queue;
    fst_addr at;           /* the next record */
    fst_addr until;        /* record boundary at which the cursor ends */
    unsigned char *buffer; /* one page */
    fst_addr loaded_from;
    fst_addr loaded_to; /* bytes [loaded_from, loaded_to) are in the buffer */
    bool from_disk;     /* ... and came from the device */
    /* The page after it, being read ahead. */
    unsigned char *ahead_buffer;
    struct fst_io_request ahead;
    bool ahead_submitted;
    bool ahead_done;
};

/* `with_read_ahead` costs a second page of memory. OK, NOMEM, FULL. */
enum faster_status fst_log_cursor_init(struct fst_log_cursor *cursor,
                                       struct faster_session *session, fst_addr from,
                                       fst_addr until, bool with_read_ahead) FASTER_MUST_CHECK;
void fst_log_cursor_finish(struct fst_log_cursor *cursor);

/* Before the log is destroyed: the buffers that are kept for the next cursor go. */
void fst_log_cursor_release_spares(struct faster_store *store);

/* The next record that is no pad. OK, END at `until`, IO, FAILED, or CORRUPT: there is no
 * intact record at cursor->at. After CORRUPT the position stays. */
enum faster_status fst_log_cursor_next(struct fst_log_cursor *cursor,
                                       struct fst_log_item *item) FASTER_MUST_CHECK;

/* After CORRUPT or FOREIGN: goes on with the first record of the next block, which is a power of
 * two of bytes and not less than a page, as records do not cross pages. False: that is the end. */
bool fst_log_cursor_skip_block(struct fst_log_cursor *cursor, uint64_t block_bytes);

/* True if the next call needs another stretch of the log: what was handed out so far
 * becomes invalid with it. Skips pads. */
bool fst_log_cursor_at_stretch_end(struct fst_log_cursor *cursor);

#endif
