/* chunk_read.h - gathering a value that is larger than a page (layer 4).
 *
 * A reader goes from the last chunk to the first, since each says where the one before it is, and
 * puts every piece where it belongs: into the caller's buffer, which has room for the whole, or
 * into a comparison. Chunks that are in memory are copied in one stay in the epoch each; those on
 * disk come one at a time through a buffer of the reader's owner.
 *
 * WHY NO PIECE IS ANOTHER VALUE'S. The head is an intact record of its key. It names an address and
 * a size; an address is used once, the checksum covers it, and the record there says which value
 * it belongs to (the address of the first chunk) and where in it. Its bytes must end where those
 * already gathered begin, and only the first chunk, of all the last to be read, begins at 0. So
 * what is gathered is the value byte for byte, or CORRUPT.
 *
 * IN MEMORY no checksum is looked at, as for any record. A chunk there was complete before the head
 * was published, and whoever has come from the head has acquired that.
 */
#ifndef FST_STORE_CHUNK_READ_H
#define FST_STORE_CHUNK_READ_H

#include "store/chain.h"

struct fst_chunk_reader {
    struct faster_session *session; /* NULL: of files that no store has open */
    uint64_t checksum_seed;
    uint32_t page_bits;
    struct fst_chunk_list list;
    /* The chunk that comes next; nothing is left once left_count is 0. */
    fst_addr at;
    uint32_t record_bytes;
    uint32_t left_count;
    uint64_t gathered_from;        /* the value's bytes from here on have been read */
    unsigned char *out;            /* NULL, or room for the whole value */
    const unsigned char *expected; /* NULL, or as many bytes to compare it with */
    bool differs;
};

/* Takes the list from a CHUNKED record; its bytes are not needed any more. False: damaged. */
bool fst_chunk_reader_init(struct fst_chunk_reader *reader, struct faster_session *session,
                           const struct fst_found *head) FASTER_MUST_CHECK;

/* The same without a store, for the take() below alone: pages have at most 2^page_bits bytes. */
bool fst_chunk_reader_init_files(struct fst_chunk_reader *reader, uint64_t checksum_seed,
                                 uint32_t page_bits,
                                 const struct fst_found *head) FASTER_MUST_CHECK;

enum fst_chunk_step {
    FST_CHUNK_TAKEN,
    FST_CHUNK_ON_DISK, /* read [at, at + record_bytes), then fst_chunk_reader_take() */
    FST_CHUNK_CORRUPT
};

/* Takes the next chunk if it is in memory. Outside the epoch. REQUIRES left_count > 0. */
enum fst_chunk_step fst_chunk_reader_step(struct fst_chunk_reader *reader) FASTER_MUST_CHECK;

/* Takes the next chunk from `bytes`, record_bytes of them, as they were read from disk. False: it
 * is not the one that belongs there. */
bool fst_chunk_reader_take(struct fst_chunk_reader *reader, const void *bytes) FASTER_MUST_CHECK;

/* All of it, waiting for the disk. `io` is grown as needed. For sessions with nothing pending. OK,
 * CORRUPT, IO, NOMEM, FULL (descriptors), FOREIGN, VERSION_NEWER. */
enum faster_status fst_chunk_reader_run(struct fst_chunk_reader *reader,
                                        struct faster_buffer *io) FASTER_MUST_CHECK;

#endif
