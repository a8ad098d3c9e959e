/* salvage_log.h - the log of a damaged store, as far as it can be read (layer 5).
 *
 * Works on the files alone: no store is open, nothing is written. Addresses come from the names of
 * the segments. A record's checksum is seeded by the store and the address, so what passes for a
 * record is one, wherever the bytes before it went.
 */
#ifndef FST_PROCEDURES_SALVAGE_LOG_H
#define FST_PROCEDURES_SALVAGE_LOG_H

#include "base/env.h"
#include "store/log_cursor.h"

/* What is no record, and not void either: bytes that are zero to the end of the log are. */
struct fst_salvage_damage {
    uint64_t count; /* stretches */
    uint64_t bytes;
};

struct fst_salvage_log {
    const struct faster_env *env;
    const char *directory;
    uint64_t checksum_seed;
    uint32_t segment_bits;
    uint32_t page_bits; /* of a block: no record crosses one. The page, or more if unknown */
    bool knows_page;    /* it is the page */
    enum fst_write_discipline writes; /* 0: the identity is lost */
    faster_interrupt_fn *interrupt;
    void *interrupt_context;
    unsigned char *block;  /* for the walk */
    struct fst_file *file; /* of the segment `file_index`, or NULL */
    uint64_t file_index;
    struct fst_file *part_file; /* the same for single records */
    uint64_t part_index;
};

/* Finds out whose files these are: from the identity, or, if that is damaged, from a segment's
 * header. OK, then close it; FOREIGN (nothing tells), VERSION_NEWER, NOMEM, IO, FULL. */
enum faster_status fst_salvage_log_open(struct fst_salvage_log *log, const struct faster_env *env,
                                        const char *directory,
                                        struct faster_error *error) FASTER_MUST_CHECK;
void fst_salvage_log_close(struct fst_salvage_log *log);

typedef enum faster_status fst_salvage_item_fn(void *context, const struct fst_log_item *item);

/* Hands out every intact record but pads, oldest first, and follows jumps. OK, INTERRUPTED, NOMEM,
 * IO (a directory that cannot be listed), FULL, or what `each` returns. */
enum faster_status fst_salvage_log_walk(struct fst_salvage_log *log, fst_salvage_item_fn *each,
                                        void *context,
                                        struct fst_salvage_damage *damage) FASTER_MUST_CHECK;

/* Reads the bytes of one record. OK, CORRUPT (they are not there), NOMEM, FULL. */
enum faster_status fst_salvage_log_read(struct fst_salvage_log *log, fst_addr at, void *bytes,
                                        size_t count_bytes) FASTER_MUST_CHECK;

#endif
