/* format.c - seals and checks the fixed structures on disk (layer 1).
 *
 * The order of the checks is that of the questions a person would ask: is it ours (magic),
 * can we read it (version), is it whole (checksum), does it belong to this store, and does
 * what it says make sense? A sum that fits proves no good intentions, so the last question
 * is asked even then.
 */
#include <string.h>

#include "base/checksum.h"
#include "base/uuid.h"
#include "shapes/format_checks.h"
#include "shapes/record.h"

static const uint8_t identity_magic[FST_MAGIC_BYTES] = {'F', 'A', 'S', 'T', 'E', 'R', 's', 't'};
static const uint8_t manifest_magic[FST_MAGIC_BYTES] = {'F', 'A', 'S', 'T', 'E', 'R', 'm', 'f'};
static const uint8_t segment_magic[FST_MAGIC_BYTES] = {'F', 'A', 'S', 'T', 'E', 'R', 's', 'g'};

struct fst_format_owner fst_format_owner_of(const struct fst_identity *identity) {
    struct fst_format_owner owner = {
        .generation = identity->generation,
        .checksum_seed = fst_checksum_seed_for(identity->uuid, identity->generation),
    };

    memcpy(owner.uuid, identity->uuid, sizeof owner.uuid);
    return owner;
}

/* ---- identity ---- */

/* Before values could be larger than a page, each discipline had a version of its own; names are
 * for sessions of direct stores. */
static bool version_fits_discipline(const struct fst_identity *identity) {
    switch (identity->write_discipline) {
    case FST_WRITES_TRANSACTIONAL:
        return identity->format_version == FST_FORMAT_VERSION ||
               (identity->format_version >= FST_FORMAT_VERSION_CHUNKS &&
                identity->format_version <= FST_FORMAT_VERSION_CHECKPOINTS);
    case FST_WRITES_DIRECT:
        return identity->format_version == FST_FORMAT_VERSION_DIRECT ||
               identity->format_version >= FST_FORMAT_VERSION_CHUNKS;
    default:
        return false;
    }
}

static uint64_t identity_checksum(const struct fst_identity *identity) {
    return fst_checksum64(identity, offsetof(struct fst_identity, checksum), FST_IDENTITY_SEED);
}

void fst_identity_seal(struct fst_identity *identity) {
    memcpy(identity->magic, identity_magic, FST_MAGIC_BYTES);
    identity->format_version = fst_format_version_for(identity->write_discipline);
    identity->reserved_0 = 0;
    memset(identity->reserved, 0, sizeof identity->reserved);
    identity->checksum = identity_checksum(identity);
}

static bool identity_makes_sense(const struct fst_identity *identity) {
    return version_fits_discipline(identity) && identity->generation != 0 &&
           !fst_uuid_is_zero(identity->uuid) && identity->page_bits >= FST_FORMAT_PAGE_BITS_MIN &&
           identity->page_bits <= FST_FORMAT_PAGE_BITS_MAX &&
           identity->segment_bits >= identity->page_bits &&
           identity->segment_bits <= FST_FORMAT_SEGMENT_BITS_MAX && identity->tier_count == 1 &&
           identity->reserved_0 == 0 &&
           fst_format_is_zero(identity->reserved, sizeof identity->reserved);
}

enum faster_status fst_identity_check(const void *bytes, size_t count_bytes,
                                      struct fst_identity *identity) {
    const enum faster_status status = fst_format_check_start(
        bytes, count_bytes, identity_magic, sizeof *identity, FST_FORMAT_VERSION_NEWEST);

    if (status != FASTER_OK) {
        return status;
    }
    memcpy(identity, bytes, sizeof *identity);
    if (identity->checksum != identity_checksum(identity) || !identity_makes_sense(identity)) {
        return FASTER_CORRUPT;
    }
    return FASTER_OK;
}

/* ---- manifest ---- */

static uint64_t manifest_checksum(const struct fst_manifest *manifest,
                                  const struct fst_format_owner *owner) {
    return fst_checksum64_at(manifest, offsetof(struct fst_manifest, checksum), 0,
                             owner->checksum_seed);
}

void fst_manifest_seal(struct fst_manifest *manifest, const struct fst_format_owner *owner) {
    memcpy(manifest->magic, manifest_magic, FST_MAGIC_BYTES);
    manifest->format_version = FST_FORMAT_VERSION;
    memcpy(manifest->uuid, owner->uuid, sizeof manifest->uuid);
    manifest->generation = owner->generation;
    manifest->cold_index_generation = 0;
    memset(manifest->reserved, 0, sizeof manifest->reserved);
    manifest->checksum = manifest_checksum(manifest, owner);
}

/* The remembered commit: all zero, or a control record and what it ends. */
static bool durable_commit_makes_sense(const struct fst_manifest *manifest) {
    if (manifest->durable_number == 0) {
        return manifest->durable_nonce == 0 && manifest->durable_control_address == 0 &&
               manifest->durable_row_end == 0;
    }
    return fst_is_record_addr(manifest->durable_control_address) &&
           fst_is_record_addr(manifest->durable_row_end) &&
           manifest->durable_control_address < manifest->durable_row_end;
}

static bool place_path_makes_sense(const char path[1024]) {
    const char *end = memchr(path, '\0', 1024);

    return end != NULL && fst_format_is_zero(end, (size_t)(path + 1024 - end));
}

static bool manifest_makes_sense(const struct fst_manifest *manifest) {
    return manifest->index_bits_min <= FST_FORMAT_INDEX_BITS_MAX &&
           fst_is_record_addr(manifest->begin) && fst_is_record_addr(manifest->durable_end) &&
           manifest->begin <= manifest->durable_end && durable_commit_makes_sense(manifest) &&
           place_path_makes_sense(manifest->place_path) && manifest->cold_index_generation == 0 &&
           fst_format_is_zero(manifest->reserved, sizeof manifest->reserved);
}

enum faster_status fst_manifest_check(const void *bytes, size_t count_bytes,
                                      const struct fst_format_owner *owner,
                                      struct fst_manifest *manifest) {
    const enum faster_status status = fst_format_check_start(bytes, count_bytes, manifest_magic,
                                                             sizeof *manifest, FST_FORMAT_VERSION);

    if (status != FASTER_OK) {
        return status;
    }
    memcpy(manifest, bytes, sizeof *manifest);
    if (!fst_format_is_owners(manifest->uuid, manifest->generation, owner)) {
        return FASTER_FOREIGN;
    }
    if (manifest->checksum != manifest_checksum(manifest, owner) ||
        !manifest_makes_sense(manifest)) {
        return FASTER_CORRUPT;
    }
    return FASTER_OK;
}

/* ---- segment header ---- */

static uint64_t segment_checksum(const struct fst_segment_header *header,
                                 const struct fst_format_owner *owner, uint64_t first_addr) {
    return fst_checksum64_at(header, offsetof(struct fst_segment_header, checksum), first_addr,
                             owner->checksum_seed);
}

void fst_segment_header_seal(struct fst_segment_header *header,
                             const struct fst_format_owner *owner, uint32_t segment_bits,
                             uint64_t segment_index) {
    *header = (struct fst_segment_header){
        .format_version = FST_FORMAT_VERSION,
        .segment_bits = segment_bits,
        .generation = owner->generation,
        .segment_index = segment_index,
    };
    memcpy(header->magic, segment_magic, FST_MAGIC_BYTES);
    memcpy(header->uuid, owner->uuid, sizeof header->uuid);
    header->checksum = segment_checksum(header, owner, segment_index << segment_bits);
}

enum faster_status fst_segment_header_check(const void *bytes, size_t count_bytes,
                                            const struct fst_format_owner *owner,
                                            uint32_t segment_bits, uint64_t segment_index) {
    struct fst_segment_header header;
    const enum faster_status status = fst_format_check_start(bytes, count_bytes, segment_magic,
                                                             sizeof header, FST_FORMAT_VERSION);

    if (status != FASTER_OK) {
        return status;
    }
    memcpy(&header, bytes, sizeof header);
    if (!fst_format_is_owners(header.uuid, header.generation, owner)) {
        return FASTER_FOREIGN;
    }
    if (header.segment_bits != segment_bits || header.segment_index != segment_index ||
        header.reserved != 0 ||
        header.checksum != segment_checksum(&header, owner, segment_index << segment_bits)) {
        return FASTER_CORRUPT;
    }
    return FASTER_OK;
}

/* ---- values of records ---- */

struct fst_address_range fst_range_list_at(const struct fst_range_list *list, uint64_t index) {
    struct fst_address_range range;

    memcpy(&range, (const uint8_t *)list->bytes + index * sizeof range, sizeof range);
    return range;
}

/* Takes `count` ranges that fill the rest of a value, the first of which is at `bytes`. The
 * division cannot wrap, however large a count is. */
static bool take_ranges(const void *bytes, size_t rest_bytes, uint64_t count,
                        const struct fst_control *control, struct fst_range_list *ranges) {
    uint64_t previous_end = control->start;

    if (rest_bytes % sizeof(struct fst_address_range) != 0 ||
        count != rest_bytes / sizeof(struct fst_address_range)) {
        return false;
    }
    *ranges = (struct fst_range_list){.bytes = bytes, .count = count};
    for (uint64_t i = 0; i < count; i++) {
        const struct fst_address_range range = fst_range_list_at(ranges, i);
        if (range.start < previous_end || range.start >= range.end || range.end > control->end) {
            return false;
        }
        previous_end = range.end;
    }
    return true;
}

static bool control_makes_sense(const struct fst_control *control) {
    const bool has_previous = control->previous_control_address != 0;
    const bool has_list = control->abort_list_address != 0;

    return control->number != 0 && fst_is_record_addr(control->start) &&
           fst_is_record_addr(control->end) && control->start < control->end &&
           control->previous_number < control->number &&
           has_previous == (control->previous_number != 0) &&
           fst_is_record_addr_or_zero(control->previous_control_address) &&
           control->previous_control_address < control->start &&
           fst_is_record_addr_or_zero(control->abort_list_address) &&
           (!has_list || (control->abort_list_address >= control->start &&
                          control->abort_list_address < control->end)) &&
           control->index_bits <= FST_FORMAT_INDEX_BITS_MAX;
}

bool fst_control_decode(const void *value, size_t value_bytes, struct fst_control *control,
                        struct fst_range_list *ranges) {
    if (value_bytes < sizeof *control) {
        return false;
    }
    memcpy(control, value, sizeof *control);
    return control_makes_sense(control) &&
           take_ranges((const uint8_t *)value + sizeof *control, value_bytes - sizeof *control,
                       control->aborted_count, control, ranges);
}

bool fst_abort_list_decode(const void *value, size_t value_bytes, const struct fst_control *control,
                           struct fst_abort_list *list, struct fst_range_list *ranges) {
    if (value_bytes < sizeof *list) {
        return false;
    }
    memcpy(list, value, sizeof *list);
    if (list->previous_address != 0 &&
        (!fst_is_record_addr(list->previous_address) || list->previous_address < control->start ||
         list->previous_address >= control->end)) {
        return false;
    }
    return take_ranges((const uint8_t *)value + sizeof *list, value_bytes - sizeof *list,
                       list->range_count, control, ranges);
}

static bool name_makes_sense(const char name[FASTER_SESSION_NAME_BYTES]) {
    const char *end = memchr(name, '\0', FASTER_SESSION_NAME_BYTES);

    return end != NULL && end != name &&
           fst_format_is_zero(end, (size_t)(name + FASTER_SESSION_NAME_BYTES - end));
}

bool fst_named_serials_make_sense(const uint8_t *bytes, uint32_t count) {
    struct fst_named_serial before = {{0}, 0};

    for (uint32_t i = 0; i < count; i++) {
        const struct fst_named_serial session = fst_named_serial_at(bytes, i);

        if (!name_makes_sense(session.name) ||
            memcmp(before.name, session.name, sizeof session.name) >= 0) {
            return false;
        }
        before = session;
    }
    return true;
}

static bool cut_makes_sense(const struct fst_cut *cut) {
    return cut->kind == FST_CONTROL_CUT && cut->version != 0 && cut->nonce != 0 &&
           cut->previous_version < cut->version &&
           (cut->start == 0 || fst_is_record_addr(cut->start)) && fst_is_record_addr(cut->end) &&
           cut->start < cut->end && fst_is_record_addr_or_zero(cut->previous_control_address) &&
           (cut->previous_control_address != 0) == (cut->previous_version != 0) &&
           cut->previous_control_address < cut->end &&
           fst_is_record_addr_or_zero(cut->durable_control_address) &&
           cut->durable_control_address <= cut->previous_control_address &&
           cut->index_bits <= FST_FORMAT_INDEX_BITS_MAX;
}

bool fst_cut_decode(const void *value, size_t value_bytes, struct fst_cut *cut,
                    const void **sessions) {
    if (value_bytes < sizeof *cut) {
        return false;
    }
    memcpy(cut, value, sizeof *cut);
    *sessions = (const uint8_t *)value + sizeof *cut;
    return cut->session_count <= FST_CUT_SESSIONS_MAX &&
           value_bytes == sizeof *cut + cut->session_count * sizeof(struct fst_named_serial) &&
           cut_makes_sense(cut) && fst_named_serials_make_sense(*sessions, cut->session_count);
}

/* True if a record of `record_bytes` at `addr` lies whole in its page, below `end`. */
static bool record_fits(uint64_t addr, uint64_t record_bytes, uint64_t end, uint32_t page_bits) {
    const uint64_t page_bytes = UINT64_C(1) << page_bits;

    return fst_is_record_addr(addr) && record_bytes % FST_RECORD_ALIGN == 0 &&
           record_bytes >= FST_RECORD_SMALL_HEADER_BYTES + sizeof(struct fst_chunk) &&
           record_bytes <= page_bytes - (addr & (page_bytes - 1)) && addr + record_bytes <= end;
}

/* The chunks are records between these addresses, so a value cannot be larger than the log: whoever
 * makes room for it relies on that. */
static bool chunks_fit(const struct fst_chunk_list *list) {
    const uint64_t head_bytes = FST_RECORD_SMALL_HEADER_BYTES + sizeof(struct fst_chunk);

    return list->value_bytes + list->chunk_count * head_bytes <=
           list->last_address - list->first_address + list->last_record_bytes;
}

bool fst_chunk_list_decode(const void *value, size_t value_bytes, fst_addr addr, uint32_t page_bits,
                           struct fst_chunk_list *list) {
    if (value_bytes != sizeof *list) {
        return false;
    }
    memcpy(list, value, sizeof *list);
    return list->value_bytes >= list->chunk_count && list->value_bytes <= FASTER_VALUE_BYTES_MAX &&
           list->chunk_count != 0 && list->value_bytes < (uint64_t)list->chunk_count << page_bits &&
           fst_is_record_addr(list->first_address) && list->first_address <= list->last_address &&
           (list->first_address == list->last_address) == (list->chunk_count == 1) &&
           record_fits(list->last_address, list->last_record_bytes, addr.raw, page_bits) &&
           chunks_fit(list);
}

bool fst_chunk_decode(const void *value, size_t value_bytes, fst_addr addr, fst_addr previous,
                      uint32_t page_bits, struct fst_chunk *chunk) {
    if (value_bytes <= sizeof *chunk) {
        return false;
    }
    memcpy(chunk, value, sizeof *chunk);
    if (chunk->reserved != 0 || chunk->offset_bytes > FASTER_VALUE_BYTES_MAX) {
        return false;
    }
    if (chunk->first_address == addr.raw) {
        return chunk->offset_bytes == 0 && previous.raw == 0 && chunk->previous_record_bytes == 0;
    }
    return chunk->offset_bytes != 0 && chunk->first_address <= previous.raw &&
           fst_is_record_addr(chunk->first_address) &&
           record_fits(previous.raw, chunk->previous_record_bytes, addr.raw, page_bits);
}

bool fst_jump_decode(const void *value, size_t value_bytes, uint32_t page_bits,
                     struct fst_jump *jump) {
    if (value_bytes != sizeof *jump) {
        return false;
    }
    memcpy(jump, value, sizeof *jump);
    return fst_is_record_addr(jump->target) &&
           (jump->target & ((UINT64_C(1) << page_bits) - 1)) == 0 &&
           fst_is_record_addr_or_zero(jump->last_control_address) &&
           jump->last_control_address < jump->target &&
           (jump->last_control_address != 0) == (jump->last_number != 0) &&
           jump->index_bits <= FST_FORMAT_INDEX_BITS_MAX;
}
