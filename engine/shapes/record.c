/* record.c - writes and reads the shape of records (layer 1).
 *
 * Parsing takes bytes from disk at their word for nothing: every size is checked against
 * what is available, and against the others, before it is used.
 */
#include "shapes/record.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "faster.h"

#define GUARD_OFF 8u
#define SIZES_OFF 12u
#define LARGE_KEY_OFF 16u

#define HEADER_FLAGS_RESERVED FST_HEADER_EXPIRES

/* The large form is used exactly when the small one does not fit, so that a record has one
 * shape only. Whoever needs 24 bytes of header for its size is too big for the small form
 * with 16 bytes, too: the rule may look at either whole size. */
static bool needs_large(uint64_t key_bytes, uint64_t whole_bytes) {
    return key_bytes > FST_RECORD_SMALL_KEY_MAX ||
           whole_bytes > FST_RECORD_SMALL_UNITS_MAX * FST_RECORD_ALIGN;
}

struct fst_record_shape fst_record_shape_for(uint32_t key_bytes, uint32_t value_bytes,
                                             uint32_t value_capacity_bytes) {
    const uint64_t payload = (uint64_t)key_bytes + value_capacity_bytes;
    uint64_t whole = fst_align_up_u64(FST_RECORD_SMALL_HEADER_BYTES + payload, FST_RECORD_ALIGN);
    const bool large = needs_large(key_bytes, whole);
    const uint32_t header = large ? FST_RECORD_LARGE_HEADER_BYTES : FST_RECORD_SMALL_HEADER_BYTES;

    whole = fst_align_up_u64(header + payload, FST_RECORD_ALIGN);
    return (struct fst_record_shape){
        .whole_bytes = (uint32_t)whole,
        .key_offset_bytes = header,
        .key_bytes = key_bytes,
        .value_bytes = value_bytes,
        .value_capacity_bytes = (uint32_t)whole - header - key_bytes,
        .large = large,
    };
}

/* ---- parsing ---- */

/* What the header word must be like for its kind; see FORMAT.md, "Records". */
static bool header_is_well_formed(uint64_t header) {
    const uint64_t others = header & ~(FST_HEADER_KIND_MASK | FST_HEADER_LARGE);

    switch (fst_header_kind(header)) {
    case FST_KIND_DATA:
        return (header & HEADER_FLAGS_RESERVED) == 0;
    case FST_KIND_PAD_WORD:
        return others == 0 && (header & FST_HEADER_LARGE) == 0;
    case FST_KIND_PAD:
    case FST_KIND_CONTROL:
    case FST_KIND_ABORT_LIST:
    case FST_KIND_JUMP:
        return others == 0;
    case FST_KIND_CHUNK:
        return (others & ~FST_ADDR_MASK) == 0;
    case FST_KIND_NONE:
        return false;
    }
    return false;
}

/* Sizes as they stand in the bytes, not yet believed. */
struct raw_sizes {
    uint64_t units;
    uint64_t key_bytes;
    uint64_t value_bytes;
    uint32_t header_bytes;
    bool chunked;
};

static bool read_sizes(const unsigned char *bytes, size_t available_bytes, bool large,
                       struct raw_sizes *sizes) {
    const size_t header = large ? FST_RECORD_LARGE_HEADER_BYTES : FST_RECORD_SMALL_HEADER_BYTES;
    uint32_t word;

    if (available_bytes < header) {
        return false;
    }
    sizes->header_bytes = (uint32_t)header;
    word = fst_load_le_u32(bytes + SIZES_OFF);
    sizes->chunked = (word & FST_SIZES_CHUNKED) != 0;
    word &= ~FST_SIZES_CHUNKED;
    if (large) {
        sizes->units = word;
        sizes->key_bytes = fst_load_le_u32(bytes + LARGE_KEY_OFF);
        sizes->value_bytes = fst_load_le_u32(bytes + FST_RECORD_LARGE_VALUE_OFF);
        return true;
    }
    sizes->units = word & FST_RECORD_SMALL_UNITS_MAX;
    sizes->key_bytes = fst_record_small_key_bytes(word);
    sizes->value_bytes = fst_record_small_value_bytes(word);
    return true;
}

static bool sizes_agree(const struct raw_sizes *sizes, uint64_t header, bool large) {
    const uint64_t whole = sizes->units * FST_RECORD_ALIGN;
    const enum fst_record_kind kind = fst_header_kind(header);

    if (whole > FASTER_PAGE_BYTES_MAX || sizes->key_bytes > FASTER_KEY_BYTES_MAX ||
        sizes->header_bytes + sizes->key_bytes + sizes->value_bytes > whole) {
        return false;
    }
    if (kind != FST_KIND_DATA && sizes->key_bytes != 0) {
        return false;
    }
    if (kind == FST_KIND_PAD && sizes->value_bytes != 0) {
        return false;
    }
    if (sizes->chunked && (kind != FST_KIND_DATA || (header & FST_HEADER_TOMBSTONE) != 0 ||
                           sizes->value_bytes != FST_CHUNK_LIST_BYTES)) {
        return false;
    }
    return large == needs_large(sizes->key_bytes, whole);
}

bool fst_record_parse(const void *bytes, size_t available_bytes, struct fst_record_shape *shape) {
    struct raw_sizes sizes;
    uint64_t header;
    bool large;

    if (available_bytes < sizeof header) {
        return false;
    }
    header = fst_load_le_u64(bytes);
    if (!header_is_well_formed(header)) {
        return false;
    }
    if (fst_header_kind(header) == FST_KIND_PAD_WORD) {
        *shape = (struct fst_record_shape){.whole_bytes = 8, .key_offset_bytes = 8};
        return true;
    }
    large = (header & FST_HEADER_LARGE) != 0;
    if (!read_sizes(bytes, available_bytes, large, &sizes) || !sizes_agree(&sizes, header, large)) {
        return false;
    }
    *shape = (struct fst_record_shape){
        .whole_bytes = (uint32_t)(sizes.units * FST_RECORD_ALIGN),
        .key_offset_bytes = sizes.header_bytes,
        .key_bytes = (uint32_t)sizes.key_bytes,
        .value_bytes = (uint32_t)sizes.value_bytes,
        .large = large,
        .chunked = sizes.chunked,
    };
    shape->value_capacity_bytes = shape->whole_bytes - shape->key_offset_bytes - shape->key_bytes;
    return true;
}

bool fst_record_peek_other(const struct fst_record *record, size_t available_bytes,
                           struct fst_record_shape *shape) {
    const unsigned char *bytes = (const unsigned char *)record;
    unsigned char head[FST_RECORD_LARGE_HEADER_BYTES] = {0};
    const size_t known = available_bytes < sizeof head ? available_bytes : sizeof head;

    if (known < FST_RECORD_SMALL_HEADER_BYTES) {
        return fst_record_parse(bytes, known, shape);
    }
    fst_store_le_u64(head, fst_load_relaxed_u64(&record->header));
    /* acquire, here and below: pairs with the release in set_size() of guard.c */
    fst_store_le_u32(head + SIZES_OFF, fst_load_acquire_u32(&record->sizes));
    if ((fst_load_le_u64(head) & FST_HEADER_LARGE) != 0 && known == sizeof head) {
        const fst_atomic_u32 *sizes = (const fst_atomic_u32 *)(const void *)(bytes + LARGE_KEY_OFF);
        fst_store_le_u32(head + LARGE_KEY_OFF, fst_load_relaxed_u32(&sizes[0]));
        fst_store_le_u32(head + FST_RECORD_LARGE_VALUE_OFF, fst_load_acquire_u32(&sizes[1]));
    }
    return fst_record_parse(head, known, shape);
}

/* ---- writing ---- */

/* Header word, a guard of zero, and sizes. */
static void write_head(unsigned char *bytes, const struct fst_record_shape *shape,
                       uint64_t header) {
    const uint32_t units =
        shape->whole_bytes / FST_RECORD_ALIGN | (shape->chunked ? FST_SIZES_CHUNKED : 0);

    fst_store_le_u64(bytes, shape->large ? header | FST_HEADER_LARGE : header);
    fst_store_le_u32(bytes + GUARD_OFF, 0);
    if (shape->large) {
        fst_store_le_u32(bytes + SIZES_OFF, units);
        fst_store_le_u32(bytes + LARGE_KEY_OFF, shape->key_bytes);
        fst_store_le_u32(bytes + FST_RECORD_LARGE_VALUE_OFF, shape->value_bytes);
    } else {
        fst_store_le_u32(bytes + SIZES_OFF, units | shape->key_bytes << FST_RECORD_SMALL_KEY_SHIFT |
                                                shape->value_bytes << FST_RECORD_SMALL_VALUE_SHIFT);
    }
}

static uint64_t kind_bits(enum fst_record_kind kind) {
    return (uint64_t)kind << FST_HEADER_KIND_SHIFT;
}

/* memcpy() and memset() want a valid pointer even for no bytes. */
static void copy_bytes(unsigned char *to, const void *from, size_t count) {
    if (count > 0) {
        memcpy(to, from, count);
    }
}

void fst_record_write(void *bytes, const struct fst_record_shape *shape, fst_addr previous,
                      enum fst_record_kind kind, uint64_t flags, const void *key,
                      const void *value) {
    unsigned char *at = bytes;

    write_head(at, shape, previous.raw | kind_bits(kind) | flags);
    at += shape->key_offset_bytes;
    copy_bytes(at, key, shape->key_bytes);
    at += shape->key_bytes;
    copy_bytes(at, value, shape->value_bytes);
    at += shape->value_bytes;
    memset(at, 0, shape->value_capacity_bytes - shape->value_bytes);
}

void fst_record_write_chunk(void *at, const struct fst_record_shape *shape, fst_addr previous,
                            const void *start, uint32_t start_bytes, const void *bytes) {
    unsigned char *to = at;

    write_head(to, shape, previous.raw | kind_bits(FST_KIND_CHUNK));
    to += shape->key_offset_bytes;
    copy_bytes(to, start, start_bytes);
    copy_bytes(to + start_bytes, bytes, shape->value_bytes - start_bytes);
    to += shape->value_bytes;
    memset(to, 0, shape->value_capacity_bytes - shape->value_bytes);
}

void fst_record_write_pad(void *bytes, uint64_t gap_bytes) {
    if (gap_bytes == 8) {
        fst_store_le_u64(bytes, kind_bits(FST_KIND_PAD_WORD));
    } else {
        const struct fst_record_shape shape = {
            .whole_bytes = (uint32_t)gap_bytes,
            .large = needs_large(0, gap_bytes),
        };
        write_head(bytes, &shape, kind_bits(FST_KIND_PAD));
    }
}

/* ---- checksums ---- */

/* Two links: the fixed 16 bytes, changed as the format says, are summed with the seed of the
 * address; that sum is the seed for the rest. So nothing has to be copied or restored. */
uint32_t fst_record_checksum(const void *bytes, const struct fst_record_shape *shape, fst_addr addr,
                             uint64_t checksum_seed) {
    const unsigned char *raw = bytes;
    const uint64_t header = fst_load_le_u64(raw);
    unsigned char head[FST_RECORD_SMALL_HEADER_BYTES] = {0};
    size_t count = shape->whole_bytes;
    uint64_t sum;

    if (fst_header_kind(header) == FST_KIND_PAD_WORD) {
        return 0;
    }
    if (fst_header_kind(header) == FST_KIND_PAD) {
        count = shape->key_offset_bytes;
    }
    fst_store_le_u64(head, header & ~FST_HEADER_SEALED);
    memcpy(head + SIZES_OFF, raw + SIZES_OFF, sizeof(uint32_t));
    sum = fst_checksum64_at(head, sizeof head, addr.raw, checksum_seed);
    if (count > sizeof head) {
        sum = fst_checksum64(raw + sizeof head, count - sizeof head, sum);
    }
    return fst_checksum_fold32(sum);
}

bool fst_record_is_intact(const void *bytes, size_t available_bytes, fst_addr addr,
                          uint64_t checksum_seed, struct fst_record_shape *shape) {
    const unsigned char *raw = bytes;
    uint64_t header;

    if (!fst_record_parse(bytes, available_bytes, shape) || shape->whole_bytes > available_bytes) {
        return false;
    }
    header = fst_load_le_u64(raw);
    if ((header & (FST_HEADER_SEALED | FST_ADDR_READ_CACHE)) != 0) {
        return false;
    }
    if (fst_header_kind(header) == FST_KIND_PAD_WORD) {
        return true;
    }
    return fst_load_le_u32(raw + GUARD_OFF) ==
           fst_record_checksum(bytes, shape, addr, checksum_seed);
}
