/* format_codec.h - seals the structures of format.h and checks them in raw bytes (layer 1).
 *
 * A seal function fills in magic, version and checksum and zeroes what is reserved. A check
 * function takes bytes of any content and any length and believes none of them: on OK the
 * copy it hands out is intact, belongs to the store it was asked for, and every value lies
 * in the range that FORMAT.md gives. Any thread; nothing here does I/O.
 *
 * The checks return FOREIGN (another magic, or another store), VERSION_NEWER or CORRUPT.
 */
#ifndef FST_SHAPES_FORMAT_CODEC_H
#define FST_SHAPES_FORMAT_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "shapes/format.h"

/* log2 of the most buckets an index may have; hash_index.h has the same limit. */
#define FST_FORMAT_INDEX_BITS_MAX 36u
#define FST_FORMAT_PAGE_BITS_MIN 14u
#define FST_FORMAT_PAGE_BITS_MAX 26u
#define FST_FORMAT_SEGMENT_BITS_MAX 36u

/* Whose bytes: goes into every check and checksum. */
struct fst_format_owner {
    uint8_t uuid[FASTER_UUID_BYTES];
    uint64_t generation;
    uint64_t checksum_seed;
};
struct fst_format_owner fst_format_owner_of(const struct fst_identity *identity);

/* Of new stores of that discipline. */
static inline uint32_t fst_format_version_for(uint32_t write_discipline) {
    return write_discipline == FST_WRITES_DIRECT ? FST_FORMAT_VERSION_NAMES
                                                 : FST_FORMAT_VERSION_CHECKPOINTS;
}

/* generation, seeds, bits and the like are the caller's. */
void fst_identity_seal(struct fst_identity *identity);
enum faster_status fst_identity_check(const void *bytes, size_t count_bytes,
                                      struct fst_identity *identity) FASTER_MUST_CHECK;

/* uuid and generation come from the owner. */
void fst_manifest_seal(struct fst_manifest *manifest, const struct fst_format_owner *owner);
enum faster_status fst_manifest_check(const void *bytes, size_t count_bytes,
                                      const struct fst_format_owner *owner,
                                      struct fst_manifest *manifest) FASTER_MUST_CHECK;

/* Fills the whole header for the segment that starts at segment_index << segment_bits. */
void fst_segment_header_seal(struct fst_segment_header *header,
                             const struct fst_format_owner *owner, uint32_t segment_bits,
                             uint64_t segment_index);
/* CORRUPT also if the header is intact but stands in another segment's file. */
enum faster_status fst_segment_header_check(const void *bytes, size_t count_bytes,
                                            const struct fst_format_owner *owner,
                                            uint32_t segment_bits,
                                            uint64_t segment_index) FASTER_MUST_CHECK;

/* Address ranges that stand in a record's value; borrowed from it. */
struct fst_range_list {
    const void *bytes;
    uint64_t count;
};
/* REQUIRES: index < list->count. */
struct fst_address_range fst_range_list_at(const struct fst_range_list *list, uint64_t index);

/* Decoders of record values. False if the size does not fit the counts, ranges do not
 * ascend or leave [start, end) of their transaction, or an address is impossible. `ranges`
 * borrows from `value`. */
bool fst_control_decode(const void *value, size_t value_bytes, struct fst_control *control,
                        struct fst_range_list *ranges) FASTER_MUST_CHECK;
bool fst_abort_list_decode(const void *value, size_t value_bytes, const struct fst_control *control,
                           struct fst_abort_list *list,
                           struct fst_range_list *ranges) FASTER_MUST_CHECK;
/* `sessions` borrows cut->session_count struct fst_named_serial, not aligned. */
bool fst_cut_decode(const void *value, size_t value_bytes, struct fst_cut *cut,
                    const void **sessions) FASTER_MUST_CHECK;
static inline struct fst_named_serial fst_named_serial_at(const void *sessions, size_t index) {
    struct fst_named_serial session;
    memcpy(&session, (const uint8_t *)sessions + index * sizeof session, sizeof session);
    return session;
}
/* The list of a record at `addr`. Also false if the last chunk does not lie whole in its page,
 * below the record. */
bool fst_chunk_list_decode(const void *value, size_t value_bytes, fst_addr addr, uint32_t page_bits,
                           struct fst_chunk_list *list) FASTER_MUST_CHECK;
/* The start of a chunk at `addr`, whose header word says that it has `previous` before it. */
bool fst_chunk_decode(const void *value, size_t value_bytes, fst_addr addr, fst_addr previous,
                      uint32_t page_bits, struct fst_chunk *chunk) FASTER_MUST_CHECK;
bool fst_jump_decode(const void *value, size_t value_bytes, uint32_t page_bits,
                     struct fst_jump *jump) FASTER_MUST_CHECK;

#endif
