/* index_format.c - the file of an index copy: header and blocks (layer 1). */
#include "base/checksum.h"
#include "shapes/checkpoint_format.h"
#include "shapes/format_checks.h"

static const uint8_t index_magic[FST_MAGIC_BYTES] = {'F', 'A', 'S', 'T', 'E', 'R', 'i', 'x'};

/* ---- header ---- */

static uint64_t header_checksum(const struct fst_index_file *header,
                                const struct fst_format_owner *owner) {
    return fst_checksum64_at(header, offsetof(struct fst_index_file, checksum), 0,
                             owner->checksum_seed);
}

void fst_index_file_seal(struct fst_index_file *header, const struct fst_format_owner *owner) {
    memcpy(header->magic, index_magic, FST_MAGIC_BYTES);
    header->format_version = FST_FORMAT_VERSION;
    header->block_bits = FST_INDEX_BLOCK_BITS;
    memcpy(header->uuid, owner->uuid, sizeof header->uuid);
    header->generation = owner->generation;
    memset(header->reserved, 0, sizeof header->reserved);
    header->checksum = header_checksum(header, owner);
}

static bool point_makes_sense(const struct fst_index_file *header) {
    if (header->point_number == 0) {
        return header->point_nonce == 0 && header->point_start == 0 && header->point_end == 0 &&
               header->point_control_address == 0;
    }
    return header->point_nonce != 0 && fst_is_record_addr(header->point_end) &&
           fst_is_record_addr(header->point_control_address) &&
           header->point_control_address < header->point_end &&
           fst_is_record_addr_or_zero(header->point_start) &&
           header->point_start < header->point_end && header->point_end <= header->replay_from;
}

static bool header_makes_sense(const struct fst_index_file *header, uint64_t number) {
    return header->block_bits == FST_INDEX_BLOCK_BITS && header->number == number &&
           header->nonce != 0 && fst_is_record_addr(header->replay_from) &&
           (header->version == 0 || header->version > header->point_number) &&
           point_makes_sense(header) &&
           fst_format_is_zero(header->reserved, sizeof header->reserved);
}

enum faster_status fst_index_file_check(const void *bytes, size_t count_bytes,
                                        const struct fst_format_owner *owner, uint64_t number,
                                        struct fst_index_file *header) {
    const enum faster_status status = fst_format_check_start(
        bytes, count_bytes, index_magic, FST_INDEX_FILE_HEADER_BYTES, FST_FORMAT_VERSION);

    if (status != FASTER_OK) {
        return status;
    }
    memcpy(header, bytes, sizeof *header);
    if (!fst_format_is_owners(header->uuid, header->generation, owner)) {
        return FASTER_FOREIGN;
    }
    return header->checksum == header_checksum(header, owner) &&
                   header_makes_sense(header, number) &&
                   fst_format_is_zero((const uint8_t *)bytes + sizeof *header,
                                      FST_INDEX_FILE_HEADER_BYTES - sizeof *header)
               ? FASTER_OK
               : FASTER_CORRUPT;
}

/* ---- blocks ---- */

static uint64_t block_checksum(const void *bytes, uint64_t number, uint64_t nonce,
                               const struct fst_format_owner *owner) {
    const size_t skipped = sizeof(uint64_t);

    return fst_checksum64_at((const uint8_t *)bytes + skipped, FST_INDEX_BLOCK_BYTES - skipped,
                             number, owner->checksum_seed ^ nonce);
}

void fst_index_block_seal(void *bytes, uint64_t nonce, const struct fst_format_owner *owner) {
    struct fst_index_block block;

    memcpy(&block, bytes, sizeof block);
    block.checksum = block_checksum(bytes, block.number, nonce, owner);
    memcpy(bytes, &block.checksum, sizeof block.checksum);
}

static bool is_zero_from(const void *bytes, size_t used_bytes) {
    return fst_format_is_zero((const uint8_t *)bytes + used_bytes,
                              FST_INDEX_BLOCK_BYTES - used_bytes);
}

/* An entry of bucket `bucket`. */
static bool entry_makes_sense(const struct fst_index_block *block, uint64_t bucket,
                              uint64_t entry) {
    const uint32_t bits = fst_index_entry_bits(block->bits, entry);

    return (entry & ~FST_INDEX_ENTRY_MASK) == 0 && (entry & 3) != 3 &&
           (entry & FST_INDEX_ENTRY_ADDR_MASK) >= FST_ADDR_FIRST_RAW && bits != 0 &&
           bits <= FST_FORMAT_INDEX_BITS_MAX && bucket >> bits == 0;
}

static bool entries_make_sense(const uint8_t *bytes, const struct fst_index_block *block) {
    const size_t at = fst_index_block_entries_at(block->bucket_count);
    uint32_t taken = 0;

    if (block->bits == 0 || block->bits > FST_FORMAT_INDEX_BITS_MAX || block->bucket_count == 0 ||
        block->bucket_count > FST_INDEX_BLOCK_BUCKETS_MAX || block->count == 0 ||
        block->count > (FST_INDEX_BLOCK_BYTES - at) / sizeof(uint64_t)) {
        return false;
    }
    for (uint32_t i = 0; i < block->bucket_count; i++) {
        uint16_t count;

        memcpy(&count, bytes + FST_INDEX_BLOCK_HEADER_BYTES + i * sizeof count, sizeof count);
        if (count > block->count - taken) {
            return false;
        }
        for (const uint32_t end = taken + count; taken < end; taken++) {
            uint64_t entry;

            memcpy(&entry, bytes + at + taken * sizeof entry, sizeof entry);
            if (!entry_makes_sense(block, block->first_bucket + i, entry)) {
                return false;
            }
        }
    }
    return taken == block->count && is_zero_from(bytes, at + taken * sizeof(uint64_t));
}

static bool ranges_make_sense(const uint8_t *bytes, const struct fst_index_block *block,
                              uint64_t replay_from) {
    const size_t range_bytes = sizeof(struct fst_address_range);
    uint64_t before = 0;

    if (block->bits != 0 || block->first_bucket != 0 || block->bucket_count != 0 ||
        block->count == 0 ||
        block->count > (FST_INDEX_BLOCK_BYTES - FST_INDEX_BLOCK_HEADER_BYTES) / range_bytes) {
        return false;
    }
    for (uint32_t i = 0; i < block->count; i++) {
        struct fst_address_range range;

        memcpy(&range, bytes + FST_INDEX_BLOCK_HEADER_BYTES + i * range_bytes, range_bytes);
        if (range.start < before || range.start >= range.end || range.end > replay_from) {
            return false;
        }
        before = range.end;
    }
    return is_zero_from(bytes, FST_INDEX_BLOCK_HEADER_BYTES + block->count * range_bytes);
}

static bool end_makes_sense(const uint8_t *bytes, const struct fst_index_block *block) {
    struct fst_index_end end;

    memcpy(&end, bytes + FST_INDEX_BLOCK_HEADER_BYTES, sizeof end);
    return block->bits == 0 && block->first_bucket == 0 && block->bucket_count == 0 &&
           block->count == 0 && end.block_count == block->number && fst_is_record_addr(end.end) &&
           is_zero_from(bytes, FST_INDEX_BLOCK_HEADER_BYTES + sizeof end);
}

bool fst_index_block_check(const void *bytes, const struct fst_index_file *header, uint64_t number,
                           const struct fst_format_owner *owner, struct fst_index_block *block) {
    memcpy(block, bytes, sizeof *block);
    if (block->number != number ||
        block->checksum != block_checksum(bytes, number, header->nonce, owner)) {
        return false;
    }
    switch (block->kind) {
    case FST_INDEX_BLOCK_ENTRIES:
        return entries_make_sense(bytes, block);
    case FST_INDEX_BLOCK_RANGES:
        return ranges_make_sense(bytes, block, header->replay_from);
    case FST_INDEX_BLOCK_END:
        return end_makes_sense(bytes, block);
    default:
        return false;
    }
}
