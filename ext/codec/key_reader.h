/* key_reader.h - many keys in one SQL value.
 *
 * Text is a JSON array (RFC 8259) of strings, numbers, true, false (1 and 0, as in SQL) and
 * null. A blob is packed: a byte that tells the type, then the keys.
 *
 *     'q'   integers: 8 bytes each, two's complement, least significant byte first
 *     'd'   reals: 8 bytes each, IEEE 754, least significant byte first; a NaN is NULL
 *     's'   text: each a size of 4 bytes, least significant first, and so many bytes of UTF-8
 *     'b'   blobs: the same
 *
 * The letters are those of Python's struct module. Pure: any thread, no I/O.
 */
#ifndef FASTER_EXT_KEY_READER_H
#define FASTER_EXT_KEY_READER_H

#include "codec/row_codec.h"

enum key_item {
    KEY_ITEM_VALUE,
    KEY_ITEM_DECIMAL, /* text that is a number, no 64-bit integer: SQLite is to convert it */
    KEY_ITEM_END
};

struct key_reader {
    /* Set by a failed call: what is wrong, at which byte, and in which key (0-based). */
    const char *problem;
    size_t problem_at_bytes;
    size_t index; /* how many keys were given out */
    /* Private. */
    const unsigned char *start;
    const unsigned char *at;
    const unsigned char *end;
    unsigned char packing; /* '[' for JSON, else the blob's letter */
    struct row_buffer text;
};

/* Begins with text (JSON) or a blob, borrowed until key_reader_finish(). SQLITE_OK, or
 * SQLITE_ERROR with the problem. */
int key_reader_init(struct key_reader *reader, bool is_json, const void *data, size_t size_bytes);
/* Gives the next key; the scalar owns nothing and is valid until the next call. SQLITE_OK,
 * SQLITE_ERROR with the problem (further calls give it again), SQLITE_NOMEM. */
int key_reader_next(struct key_reader *reader, enum key_item *item, struct row_scalar *scalar);
void key_reader_finish(struct key_reader *reader);

#endif
