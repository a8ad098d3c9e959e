/* format_checks.h - what the checks of fixed structures have in common (layer 1, private to it). */
#ifndef FST_SHAPES_FORMAT_CHECKS_H
#define FST_SHAPES_FORMAT_CHECKS_H

#include <string.h>

#include "base/uuid.h"
#include "shapes/format_codec.h"
#include "shapes/record.h"

#define FST_MAGIC_BYTES 8u

/* Magic and version, which every structure starts with. */
static inline enum faster_status fst_format_check_start(const void *bytes, size_t count_bytes,
                                                        const uint8_t magic[FST_MAGIC_BYTES],
                                                        size_t whole_bytes, uint32_t version_max) {
    uint32_t version;

    if (count_bytes < FST_MAGIC_BYTES || memcmp(bytes, magic, FST_MAGIC_BYTES) != 0) {
        return FASTER_FOREIGN;
    }
    if (count_bytes < FST_MAGIC_BYTES + sizeof version) {
        return FASTER_CORRUPT;
    }
    memcpy(&version, (const uint8_t *)bytes + FST_MAGIC_BYTES, sizeof version);
    if (version > version_max) {
        return FASTER_VERSION_NEWER;
    }
    return version != 0 && count_bytes >= whole_bytes ? FASTER_OK : FASTER_CORRUPT;
}

static inline bool fst_format_is_zero(const void *bytes, size_t count_bytes) {
    const uint8_t *byte = bytes;

    for (size_t i = 0; i < count_bytes; i++) {
        if (byte[i] != 0) {
            return false;
        }
    }
    return true;
}

static inline bool fst_format_is_owners(const uint8_t *uuid, uint64_t generation,
                                        const struct fst_format_owner *owner) {
    return fst_uuid_equal(uuid, owner->uuid) && generation == owner->generation;
}

/* format.c. `bytes` holds that many struct fst_named_serial, not aligned: names are whole and
 * ascend, so none is there twice. */
bool fst_named_serials_make_sense(const uint8_t *bytes, uint32_t count) FASTER_MUST_CHECK;

static inline bool fst_is_record_addr(uint64_t addr) {
    return addr >= FST_ADDR_FIRST_RAW && addr <= FST_ADDR_MAX && addr % FST_RECORD_ALIGN == 0;
}

static inline bool fst_is_record_addr_or_zero(uint64_t addr) {
    return addr == 0 || fst_is_record_addr(addr);
}

#endif
