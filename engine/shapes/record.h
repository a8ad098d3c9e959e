/* record.h - the shape of a record in memory and on disk (layer 1).
 *
 *            0       6 7 8       12      16                     24
 *   small   | header    | guard | sizes | key ... value ... slack, padded to 8 bytes
 *   large   | header    | guard | units | key u32 | value u32   | key ... value ...
 *
 *   header  bits 0-47  previous address in the chain (bit 47: read-cache address)
 *           bits 48-50 kind (enum fst_record_kind)
 *           bit  51    LARGE       sizes are in the 24-byte form
 *           bit  52    TOMBSTONE   the key is deleted
 *           bit  53    INVALID     lost its race for the chain; not part of any chain
 *           bit  54    SEALED      memory only, zero on disk: a newer version is being made
 *           bit  55    EXPIRES     reserved, zero: 8 bytes of expiry time follow the sizes
 *           bits 56-63 version     the low bits of its version; zero in transactional stores
 *   guard   in memory: sequence count, even = stable; on disk: the record's checksum
 *   sizes   small: bits 0-9 whole size in 8-byte units, 10-17 key size, 18-30 value size;
 *           large: u32 whole size in 8-byte units, u32 key size, u32 value size
 *           bit 31 of the first word, in both: CHUNKED, the value is a struct fst_chunk_list
 *           that tells where the real one is
 *
 * PAD_WORD records are 8 bytes: a header alone, all other bits zero. They fill a gap that
 * no 16-byte header fits. Everything is little-endian. FORMAT.md is the reference.
 *
 * The guard becomes a checksum only in the copy that is written to the device, never in a
 * page of memory, so no reader can mistake one for the other; see hybrid_log_flush.c.
 */
#ifndef FST_SHAPES_RECORD_H
#define FST_SHAPES_RECORD_H

#include <stddef.h>
#include <string.h>

#include "base/atomic.h"
#include "shapes/address.h"

enum fst_record_kind {
    FST_KIND_NONE = 0,       /* never written: ends a parse */
    FST_KIND_DATA = 1,       /* a key and a value, or a tombstone */
    FST_KIND_PAD = 2,        /* fills to a write unit or a page end; its body is unchecked */
    FST_KIND_PAD_WORD = 3,   /* fills exactly 8 bytes */
    FST_KIND_CONTROL = 4,    /* ends a transaction; value: struct fst_control */
    FST_KIND_ABORT_LIST = 5, /* value: ranges that did not fit their control record */
    FST_KIND_JUMP = 6,       /* the log goes on at another address; value: struct fst_jump */
    FST_KIND_CHUNK = 7 /* a part of a value larger than a page; begins with struct fst_chunk */
};

#define FST_HEADER_KIND_SHIFT 48
#define FST_HEADER_KIND_MASK (UINT64_C(7) << FST_HEADER_KIND_SHIFT)
#define FST_HEADER_LARGE (UINT64_C(1) << 51)
#define FST_HEADER_TOMBSTONE (UINT64_C(1) << 52)
#define FST_HEADER_INVALID (UINT64_C(1) << 53)
#define FST_HEADER_SEALED (UINT64_C(1) << 54)
#define FST_HEADER_EXPIRES (UINT64_C(1) << 55)
#define FST_HEADER_VERSION_SHIFT 56

#define FST_SIZES_CHUNKED (UINT32_C(1) << 31)
#define FST_CHUNK_LIST_BYTES 32u

#define FST_RECORD_ALIGN 8u
#define FST_RECORD_SMALL_HEADER_BYTES 16u
#define FST_RECORD_LARGE_HEADER_BYTES 24u
#define FST_RECORD_LARGE_VALUE_OFF 20u
/* The sizes word of a small record: its units of FST_RECORD_ALIGN, then the key's bytes, the
 * value's, and FST_SIZES_CHUNKED. */
#define FST_RECORD_SMALL_UNITS_BITS 10u
#define FST_RECORD_SMALL_KEY_BITS 8u
#define FST_RECORD_SMALL_VALUE_BITS 13u
#define FST_RECORD_SMALL_UNITS_MAX ((1u << FST_RECORD_SMALL_UNITS_BITS) - 1)
#define FST_RECORD_SMALL_KEY_MAX ((1u << FST_RECORD_SMALL_KEY_BITS) - 1)
#define FST_RECORD_SMALL_KEY_SHIFT FST_RECORD_SMALL_UNITS_BITS
#define FST_RECORD_SMALL_VALUE_SHIFT (FST_RECORD_SMALL_UNITS_BITS + FST_RECORD_SMALL_KEY_BITS)
#define FST_RECORD_SMALL_VALUE_MAX 8191u

/* The fixed start of a record in a memory page. Shared words are atomic: `header` is
 * written by the record's creator before it is published and later only gains SEALED or
 * INVALID; `guard` and `sizes` change under the guard while the record is mutable. */
struct fst_record {
    fst_atomic_u64 header;
    fst_atomic_u32 guard;
    fst_atomic_u32 sizes;
};

/* The sizes of a record, decoded. */
struct fst_record_shape {
    uint32_t whole_bytes; /* with header, slack and padding */
    uint32_t key_offset_bytes;
    uint32_t key_bytes;
    uint32_t value_bytes;
    uint32_t value_capacity_bytes; /* value and slack */
    bool large;
    bool chunked; /* such a record never changes in place */
};

static inline size_t fst_record_value_offset(const struct fst_record_shape *shape) {
    return (size_t)shape->key_offset_bytes + shape->key_bytes;
}

/* The sizes word of a small record. */
static inline uint32_t fst_record_small_sizes(const struct fst_record_shape *shape) {
    return shape->whole_bytes / FST_RECORD_ALIGN | shape->key_bytes << 10 |
           shape->value_bytes << 18 | (shape->chunked ? FST_SIZES_CHUNKED : 0);
}

static inline uint32_t fst_record_small_key_bytes(uint32_t sizes) {
    return sizes >> FST_RECORD_SMALL_KEY_SHIFT & FST_RECORD_SMALL_KEY_MAX;
}
static inline uint32_t fst_record_small_value_bytes(uint32_t sizes) {
    return sizes >> FST_RECORD_SMALL_VALUE_SHIFT & ((1u << FST_RECORD_SMALL_VALUE_BITS) - 1);
}

/* The shape of a new record. value_capacity_bytes >= value_bytes reserves slack.
 * key_bytes <= FASTER_KEY_BYTES_MAX and the whole below 2^32: checked by the caller. */
struct fst_record_shape fst_record_shape_for(uint32_t key_bytes, uint32_t value_bytes,
                                             uint32_t value_capacity_bytes);

/* Decodes the shape of raw record bytes of which `available_bytes` can be read. False if
 * the bytes are no well-formed header (wrong kind, sizes that contradict each other,
 * reserved bits set) or if fewer bytes are available than the header needs. Does not check
 * that whole_bytes are available and never reads past `available_bytes`. */
bool fst_record_parse(const void *bytes, size_t available_bytes, struct fst_record_shape *shape);

/* What fst_record_peek() does for records that are not small data records, or CHUNKED. */
bool fst_record_peek_other(const struct fst_record *record, size_t available_bytes,
                           struct fst_record_shape *shape);

/* Writes header, sizes, guard 0, key and value of a new record at `bytes` (8-aligned,
 * shape->whole_bytes long); slack and padding are zeroed. `flags` are FST_HEADER_ bits. */
void fst_record_write(void *bytes, const struct fst_record_shape *shape, fst_addr previous,
                      enum fst_record_kind kind, uint64_t flags, const void *key,
                      const void *value);

/* The same for a CHUNK record, whose value is `start_bytes` of `start` and then `bytes`. */
void fst_record_write_chunk(void *at, const struct fst_record_shape *shape, fst_addr previous,
                            const void *start, uint32_t start_bytes, const void *bytes);

/* Writes a PAD (gap >= 16) or PAD_WORD (gap == 8) over `gap_bytes`, a multiple of 8. Only
 * the header is written and, for PAD, the body is left as it is. */
void fst_record_write_pad(void *bytes, uint64_t gap_bytes);

/* Checksum of the record at `bytes` as it stands on disk at `addr`: XXH3 of all its bytes
 * with the guard taken as zero and SEALED cleared (of a PAD: the header only), seeded with
 * the store's checksum seed (UUID and generation) and the address, in two links: the sum of
 * the first 16 bytes seeds that of the rest. 0 for a PAD_WORD, which has no guard. */
uint32_t fst_record_checksum(const void *bytes, const struct fst_record_shape *shape, fst_addr addr,
                             uint64_t checksum_seed);

/* Parse and checksum of disk bytes: true if a whole, intact record lies at `bytes`. */
bool fst_record_is_intact(const void *bytes, size_t available_bytes, fst_addr addr,
                          uint64_t checksum_seed, struct fst_record_shape *shape);

/* The shape of a record in a page of memory, whose sizes may be changing: the size of the
 * value is one that it had or has. Inside the epoch. Each step of each chain comes here, so the
 * common form is inline. It checks that the sizes agree, as
 * fst_record_parse() does: that a record with these sizes is small needs no check, as the fields
 * hold no larger ones. */
static inline bool fst_record_peek(const struct fst_record *record, size_t available_bytes,
                                   struct fst_record_shape *shape) {
    const uint64_t form = FST_HEADER_KIND_MASK | FST_HEADER_LARGE | FST_HEADER_EXPIRES;
    if (available_bytes < FST_RECORD_SMALL_HEADER_BYTES ||
        (fst_load_relaxed_u64(&record->header) & form) != (uint64_t)FST_KIND_DATA
                                                              << FST_HEADER_KIND_SHIFT) {
        return fst_record_peek_other(record, available_bytes, shape);
    }
    /* acquire: pairs with the release in set_size() of guard.c */
    const uint32_t sizes = fst_load_acquire_u32(&record->sizes);
    if ((sizes & FST_SIZES_CHUNKED) != 0) {
        return fst_record_peek_other(record, available_bytes, shape);
    }
    const uint32_t whole_bytes = (sizes & FST_RECORD_SMALL_UNITS_MAX) * FST_RECORD_ALIGN;
    const uint32_t key_bytes = fst_record_small_key_bytes(sizes);
    const uint32_t value_bytes = fst_record_small_value_bytes(sizes);
    *shape = (struct fst_record_shape){
        .whole_bytes = whole_bytes,
        .key_offset_bytes = FST_RECORD_SMALL_HEADER_BYTES,
        .key_bytes = key_bytes,
        .value_bytes = value_bytes,
        .value_capacity_bytes = whole_bytes - FST_RECORD_SMALL_HEADER_BYTES - key_bytes,
    };
    return FST_RECORD_SMALL_HEADER_BYTES + key_bytes + value_bytes <= whole_bytes;
}

static inline enum fst_record_kind fst_header_kind(uint64_t header) {
    return (enum fst_record_kind)((header & FST_HEADER_KIND_MASK) >> FST_HEADER_KIND_SHIFT);
}
static inline uint64_t fst_header_version(uint64_t header) {
    return header >> FST_HEADER_VERSION_SHIFT;
}
static inline fst_addr fst_header_previous(uint64_t header) {
    return fst_addr_of(header & FST_ADDR_MASK);
}
/* The header word of raw, unshared record bytes. */
static inline uint64_t fst_raw_header(const void *bytes) {
    uint64_t header;
    memcpy(&header, bytes, sizeof header);
    return header;
}

#endif
