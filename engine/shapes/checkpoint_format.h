/* checkpoint_format.h - the files of a checkpoint, byte for byte (layer 1).
 *
 *     checkpoint.<n>  the root: what the checkpoint's point is, and which other files it needs
 *     index.<n>       a copy of the hash index: a header, blocks of entries, an end
 *
 * FORMAT.md is the reference, layout_check.c holds both together. What format.h and
 * format_codec.h say of structures, seals and checks holds here as well. A number is that of
 * the checkpoint that made the file; numbers are never used twice in a store.
 */
#ifndef FST_SHAPES_CHECKPOINT_FORMAT_H
#define FST_SHAPES_CHECKPOINT_FORMAT_H

#include "shapes/format_codec.h"

/* ---- names ---- */

enum fst_checkpoint_file {
    FST_CHECKPOINT_FILE_ROOT,  /* checkpoint.<16 hex> */
    FST_CHECKPOINT_FILE_INDEX, /* index.<16 hex> */
    FST_CHECKPOINT_FILE_DATA,  /* data.<16 hex> */
    FST_CHECKPOINT_FILE_COUNT
};

#define FST_NAME_CHECKPOINT_TEMPORARY "checkpoint.tmp"
#define FST_CHECKPOINT_NAME_BYTES 32u

void fst_checkpoint_name(enum fst_checkpoint_file file, uint64_t number,
                         char name[FST_CHECKPOINT_NAME_BYTES]);
/* True for exactly the names that the function above makes. */
bool fst_checkpoint_name_parse(const char *name, enum fst_checkpoint_file *file, uint64_t *number);

/* ---- the root ---- */

enum fst_root_kind {
    FST_ROOT_FOLD_OVER = 1, /* all up to the point is in the log */
    FST_ROOT_SNAPSHOT = 2,  /* ... or in data.<n> */
    FST_ROOT_DELTA = 3,     /* ... or in data files of several checkpoints */
    FST_ROOT_INDEX_ONLY = 4 /* as FOLD_OVER, made for its index */
};

struct fst_root {
    uint8_t magic[8]; /* "FASTERcp" */
    uint32_t format_version;
    uint32_t kind; /* enum fst_root_kind */
    uint8_t uuid[16];
    uint64_t generation;
    uint64_t number;
    uint64_t created_ns;   /* wall clock, since 1970; information only */
    uint64_t begin;        /* of the log, as in the manifest of the same checkpoint */
    uint64_t point_number; /* the commit, or the cut: it was durable before this file was made */
    uint64_t point_nonce;
    uint64_t point_start;
    uint64_t point_end;
    uint64_t point_control_address;
    uint64_t log_end;              /* log bytes below this were synced */
    uint64_t index_number;         /* index.<n> that recovery may begin with, 0: none */
    uint64_t index_nonce;          /* its nonce */
    uint64_t data_base_number;     /* of the snapshot that this one stands on, or is; 0: none */
    uint64_t data_previous_number; /* of a delta: the root before it */
    uint64_t data_start;           /* log bytes from here on are in data files */
    uint64_t changed_below;        /* of a delta: below are single records, above all */
    uint64_t data_nonce;
    uint64_t resume_at; /* beyond the point the log counts from here on only; 0: from the point */
    uint32_t session_count; /* struct fst_named_serial that follow; names ascend */
    uint32_t reserved_0;    /* zero */
    uint64_t data_number;   /* data.<n>, 0: none */
    uint64_t reserved[7];   /* zero */
    uint64_t checksum;      /* XXH3 of all bytes before it, seeded like log records, address 0; with
                               that as seed, of the sessions, if there are any */
};

#define FST_ROOT_SESSIONS_MAX 1023u

#define FST_ROOT_BYTES_MAX                                                                         \
    (sizeof(struct fst_root) + FST_ROOT_SESSIONS_MAX * sizeof(struct fst_named_serial))

/* Seals the root in place; its sessions (may be NULL if there are none) are not copied. */
void fst_root_seal(struct fst_root *root, const struct fst_named_serial *sessions,
                   const struct fst_format_owner *owner);
/* The bytes are a whole file. `number` is that of the file's name. */
enum faster_status fst_root_check(const void *bytes, size_t count_bytes,
                                  const struct fst_format_owner *owner, uint64_t number,
                                  struct fst_root *root) FASTER_MUST_CHECK;

/* ---- the index ---- */

#define FST_INDEX_FILE_HEADER_BYTES 4096u /* struct fst_index_file, then zeroes; checked */
#define FST_INDEX_BLOCK_BITS 16u
#define FST_INDEX_BLOCK_BYTES (1u << FST_INDEX_BLOCK_BITS)
#define FST_INDEX_BLOCK_BUCKETS_MAX 2048u

/* The start of index.<n>. */
struct fst_index_file {
    uint8_t magic[8]; /* "FASTERix" */
    uint32_t format_version;
    uint32_t block_bits; /* FST_INDEX_BLOCK_BITS */
    uint8_t uuid[16];
    uint64_t generation;
    uint64_t number;
    uint64_t nonce;
    uint64_t replay_from; /* log bytes from here on are to be indexed besides */
    uint64_t version;     /* of the records there, in a direct store; else 0 */
    /* The newest commit, or cut, below replay_from; all zero: none. */
    uint64_t point_number;
    uint64_t point_nonce;
    uint64_t point_start;
    uint64_t point_end;
    uint64_t point_control_address;
    uint64_t created_ns;
    uint64_t reserved[16]; /* zero */
    uint64_t checksum;     /* as the root's */
};

enum fst_index_block_kind {
    FST_INDEX_BLOCK_ENTRIES = 1, /* u16 count of entries of each bucket, padded to 8 bytes; u64
                                    entries */
    FST_INDEX_BLOCK_RANGES = 2,  /* struct fst_address_range of the aborted list, ascending */
    FST_INDEX_BLOCK_END = 3      /* struct fst_index_end; exactly one, the last */
};

/* The start of each block; what is not used of it is zero. */
struct fst_index_block {
    uint64_t checksum; /* XXH3 of all other bytes of the block, seeded with the store's seed xor the
                          file's nonce, and the block's number as address */
    uint32_t kind;     /* enum fst_index_block_kind */
    uint32_t bits;     /* entries: log2 of the buckets, about; see fst_index_entry_bits() */
    uint64_t number;   /* from 0 */
    uint64_t first_bucket;
    uint32_t bucket_count; /* at most FST_INDEX_BLOCK_BUCKETS_MAX */
    uint32_t count;        /* of entries or ranges */
};

struct fst_index_end {
    uint64_t block_count; /* before this one */
    uint64_t entry_count;
    uint64_t range_count;
    uint64_t end; /* the highest address of an entry + 8, or FST_ADDR_FIRST_RAW */
};

/* An entry of a block. Bits 0-1: 0: it serves a bucket of an index of `bits` bits, 1: of
 * bits - 1, 2: of bits + 1; 3-46: address; 48-61: tag; the others are zero. */
#define FST_INDEX_ENTRY_MASK UINT64_C(0x3fff7ffffffffffb)
#define FST_INDEX_ENTRY_ADDR_MASK UINT64_C(0x00007ffffffffff8)
#define FST_INDEX_ENTRY_TAG_SHIFT 48
#define FST_INDEX_ENTRY_TAG_MASK UINT64_C(0x3fff)

/* REQUIRES: entry_bits is bits, bits - 1 or bits + 1. */
static inline uint64_t fst_index_entry_of(uint32_t bits, uint32_t entry_bits, uint32_t tag,
                                          fst_addr addr) {
    return (entry_bits == bits  ? 0u
            : entry_bits < bits ? 1u
                                : 2u) |
           addr.raw | (uint64_t)tag << FST_INDEX_ENTRY_TAG_SHIFT;
}
static inline uint32_t fst_index_entry_bits(uint32_t bits, uint64_t entry) {
    const uint32_t coverage = (uint32_t)(entry & 3);
    return coverage == 0 ? bits : coverage == 1 ? bits - 1 : bits + 1;
}

void fst_index_file_seal(struct fst_index_file *header, const struct fst_format_owner *owner);
/* The bytes are the file's first FST_INDEX_FILE_HEADER_BYTES. */
enum faster_status fst_index_file_check(const void *bytes, size_t count_bytes,
                                        const struct fst_format_owner *owner, uint64_t number,
                                        struct fst_index_file *header) FASTER_MUST_CHECK;

/* A block with its content is in `bytes`, FST_INDEX_BLOCK_BYTES of them; fills in the checksum. */
void fst_index_block_seal(void *bytes, uint64_t nonce, const struct fst_format_owner *owner);
/* Where the content begins. Of a block of entries the entries come behind the counts. */
#define FST_INDEX_BLOCK_HEADER_BYTES (sizeof(struct fst_index_block))
static inline size_t fst_index_block_entries_at(uint32_t bucket_count) {
    return FST_INDEX_BLOCK_HEADER_BYTES + ((size_t)bucket_count * sizeof(uint16_t) + 7) / 8 * 8;
}
/* False if it is not block `number` of that file, or what it says makes no sense: counts that do
 * not fit, impossible addresses, buckets beyond an entry's bits, ranges that do not ascend. What
 * the blocks say of each other is their reader's to check. */
bool fst_index_block_check(const void *bytes, const struct fst_index_file *header, uint64_t number,
                           const struct fst_format_owner *owner,
                           struct fst_index_block *block) FASTER_MUST_CHECK;

#endif
