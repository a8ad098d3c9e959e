/* format.h - the fixed structures on disk, byte for byte (layer 1).
 *
 * FORMAT.md is the reference, layout_check.c holds both together. All integers are
 * little-endian; the structures have no implicit padding; reserved bytes are written as
 * zero and checked. Every structure ends with, or contains, a checksum that covers all of
 * its other bytes.
 */
#ifndef FST_SHAPES_FORMAT_H
#define FST_SHAPES_FORMAT_H

#include <stdint.h>

#include "faster.h"
#include "shapes/address.h"

#define FST_FORMAT_VERSION 1u /* of every structure but the identity */
/* Of the identity. Each refuses the store to the libraries before it. */
#define FST_FORMAT_VERSION_DIRECT 2u      /* a direct store whose values fit a page */
#define FST_FORMAT_VERSION_CHUNKS 3u      /* of either discipline, with values larger than a page */
#define FST_FORMAT_VERSION_CHECKPOINTS 4u /* ... and the files of checkpoint_format.h */
#define FST_FORMAT_VERSION_NAMES 5u       /* a direct store with those, and named sessions */
#define FST_FORMAT_VERSION_NEWEST FST_FORMAT_VERSION_NAMES

/* Names inside a store's directory. */
#define FST_NAME_IDENTITY "store"
#define FST_NAME_LOCK "lock"
#define FST_NAME_MANIFEST_0 "manifest.0"
#define FST_NAME_MANIFEST_1 "manifest.1"
#define FST_NAME_UNSETTLED "unsettled" /* see faster_store_mark() */
#define FST_NAME_TEMPORARY_SUFFIX ".tmp"
#define FST_NAME_SEGMENT_TEMPORARY "segment.tmp"
#define FST_NAME_SEGMENT_PREFIX "log." /* then 12 hexadecimal digits: the segment's index */

/* Every segment file starts with this many bytes of header; log bytes follow. */
#define FST_SEGMENT_HEADER_BYTES 4096u

enum fst_write_discipline { FST_WRITES_TRANSACTIONAL = 1, FST_WRITES_DIRECT = 2 };

/* File `store`: written once, at creation. */
struct fst_identity {
    uint8_t magic[8]; /* "FASTERst" */
    uint32_t format_version;
    uint32_t write_discipline; /* enum fst_write_discipline */
    uint8_t uuid[16];
    uint64_t generation; /* 1 at creation; part of every checksum's seed */
    uint64_t hash_seed;
    uint64_t created_ns; /* wall clock, since 1970 */
    uint32_t page_bits;
    uint32_t segment_bits;
    uint32_t tier_count;   /* 1 */
    uint32_t reserved_0;   /* zero */
    uint64_t reserved[21]; /* zero */
    uint64_t checksum;     /* XXH3 of all bytes before it, seed FST_IDENTITY_SEED */
};
#define FST_IDENTITY_SEED UINT64_C(0x4641535445523031)

/* Files `manifest.0` and `manifest.1`: the one with the higher sequence is valid. Written
 * to a temporary name, synced, renamed; then the directory is synced. */
struct fst_manifest {
    uint8_t magic[8]; /* "FASTERmf" */
    uint32_t format_version;
    uint32_t index_bits_min; /* log2 of the buckets of the largest index used so far */
    uint8_t uuid[16];
    uint64_t generation;
    uint64_t sequence;
    uint64_t begin;          /* no record below this address is needed */
    uint64_t durable_end;    /* log bytes below this were synced */
    uint64_t durable_number; /* the newest commit known to be safe in the decider */
    uint64_t durable_nonce;  /*   "sqlite_durable"; all zero: none */
    uint64_t durable_control_address;
    uint64_t durable_row_end;
    uint64_t place_device; /* the decider's file */
    uint64_t place_inode;
    uint64_t cold_index_generation; /* reserved, zero */
    uint64_t reserved[16];          /* zero */
    char place_path[1024];          /* absolute, padded with zeroes */
    uint64_t checksum; /* XXH3 of all bytes before it, seeded like log records, address 0 */
};

/* The first FST_SEGMENT_HEADER_BYTES of each log segment hold this, the rest is zero and
 * unchecked. */
struct fst_segment_header {
    uint8_t magic[8]; /* "FASTERsg" */
    uint32_t format_version;
    uint32_t segment_bits;
    uint8_t uuid[16];
    uint64_t generation;
    uint64_t segment_index; /* first address = segment_index << segment_bits */
    uint64_t reserved;      /* zero */
    uint64_t checksum;      /* as the manifest's, address = first address */
};

struct fst_address_range {
    uint64_t start;
    uint64_t end; /* exclusive */
};

/* How many operations of a named session have taken effect. */
struct fst_named_serial {
    char name[FASTER_SESSION_NAME_BYTES]; /* not empty, zero-terminated, padded with zeroes */
    uint64_t serial;                      /* 0: the name is forgotten */
};

/* The value of a CONTROL record; its key is empty; the header's previous address is 0.
 * Bytes [start, end) belong to the transaction except the aborted ranges; end is the
 * address just past this record. */
struct fst_control {
    uint64_t number;
    uint64_t nonce;
    uint64_t start;
    uint64_t end;
    uint64_t record_count;             /* DATA records written and not undone */
    uint64_t previous_control_address; /* of the newest committed transaction, 0: none */
    uint64_t previous_number;
    uint64_t abort_list_address; /* newest ABORT_LIST record of this transaction, 0: none */
    uint32_t index_bits;
    uint32_t aborted_count; /* ranges that follow this structure in the value */
    /* struct fst_address_range aborted[aborted_count]; ascending, inside [start, end) */
};

/* The value of a CONTROL record of a direct store: it ends a version. Records of it, and of
 * versions before, lie below this record; what lies below it and is of the next version is
 * covered by the next one. */
#define FST_CONTROL_CUT UINT64_C(1)
#define FST_CUT_SESSIONS_MAX 256u /* so that the record fits the smallest page */
struct fst_cut {
    uint64_t kind;    /* FST_CONTROL_CUT; tells control records of a direct store apart */
    uint64_t version; /* from 1 */
    uint64_t nonce;
    uint64_t start;                    /* the end of the cut before */
    uint64_t end;                      /* the address just past this record */
    uint64_t previous_control_address; /* of the cut before, 0: none */
    uint64_t previous_version;
    uint64_t durable_control_address; /* the last cut known to be synced, 0: none */
    uint32_t index_bits;
    uint32_t session_count; /* entries that follow; zero before FST_FORMAT_VERSION_NAMES */
    /* struct fst_named_serial sessions[session_count]; names ascend */
};

/* The value of an ABORT_LIST record: more ranges of the transaction it stands in. */
struct fst_abort_list {
    uint64_t previous_address; /* the list before it, 0: none */
    uint64_t range_count;
    /* struct fst_address_range ranges[range_count]; ascending */
};

/* The value of a JUMP record: it stands at the recovered end; what lies between it and
 * `target` was never committed and is never read. */
struct fst_jump {
    uint64_t target; /* page-aligned; where the log goes on */
    uint64_t nonce;
    uint64_t last_control_address; /* newest committed control record, 0: none */
    uint64_t last_number;
    uint64_t index_bits;
};

/* The value of a CHUNKED record: where its real value is, which is larger than a page. */
struct fst_chunk_list {
    uint64_t value_bytes;   /* of all chunks together, 1 to FASTER_VALUE_BYTES_MAX */
    uint64_t first_address; /* the chunks lie below this record, in ascending order */
    uint64_t last_address;
    uint32_t last_record_bytes; /* whole size of the record at last_address */
    uint32_t chunk_count;
};

/* The start of a CHUNK record's value; the chunk's bytes follow. The header word's address is
 * that of the chunk before it. Addresses are never used twice: that of the first chunk names
 * the value. */
struct fst_chunk {
    uint64_t first_address;         /* of the value's first chunk; this one's own, if it is that */
    uint64_t offset_bytes;          /* in the value, of the bytes that follow */
    uint32_t previous_record_bytes; /* whole size of the chunk before it, 0: none */
    uint32_t reserved;              /* zero */
};

#endif
