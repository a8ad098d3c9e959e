/* damage_padding.c - see damage_padding.h. The numbers are those of FORMAT.md, and deliberately not
 * the engine's own constants. */
#include "damage_padding.h"

#include <stdio.h>
#include <string.h>

#define SEGMENT_HEADER_BYTES 4096u
#define SEGMENT_CHECKED_BYTES 64u
#define MANIFEST_SEQUENCE 40u
#define MANIFEST_BEGIN 48u
#define SIZES_OFFSET 12u
#define UNITS_SMALL UINT64_C(1023)
#define UNITS_LARGE UINT64_C(0x7fffffff)
#define LARGE 8u /* in byte 6 of a header */
#define KIND_PAD 2u
#define KIND_PAD_WORD 3u
#define KIND_JUMP 6u

static uint64_t word_at(const unsigned char *bytes, unsigned count) {
    uint64_t word = 0;
    while (count > 0) {
        word = word << 8 | bytes[--count];
    }
    return word;
}

/* False if there are not `count` bytes of the log at the address. */
static bool read_log(const struct padding_store *store, uint64_t address, unsigned char *bytes,
                     size_t count) {
    char name[32];
    const uint64_t in_segment = address & ((UINT64_C(1) << store->segment_bits) - 1);
    (void)snprintf(name, sizeof name, "log.%012llx",
                   (unsigned long long)(address >> store->segment_bits));
    return store->read(store->context, name, SEGMENT_HEADER_BYTES + in_segment, bytes, count) ==
           count;
}

/* `begin` of the newest manifest. */
static uint64_t find_begin(const struct padding_store *store) {
    static const char *const names[] = {"manifest.0", "manifest.1"};
    uint64_t newest = 0;
    uint64_t begin = 0;
    for (int i = 0; i < 2; i++) {
        unsigned char bytes[MANIFEST_BEGIN + 8];
        if (store->read(store->context, names[i], 0, bytes, sizeof bytes) == sizeof bytes &&
            word_at(bytes + MANIFEST_SEQUENCE, 8) > newest) {
            newest = word_at(bytes + MANIFEST_SEQUENCE, 8);
            begin = word_at(bytes + MANIFEST_BEGIN, 8);
        }
    }
    return begin;
}

/* Walks the records from the log's begin to the one that `address` lies in. */
static bool is_unchecked_in_log(const struct padding_store *store, uint64_t address) {
    uint64_t at = find_begin(store);
    if (address < at || address >= store->log_end) {
        return true;
    }
    for (;;) {
        unsigned char record[32];
        if (!read_log(store, at, record, 8)) {
            return false;
        }
        const unsigned kind = record[6] & 7u;
        const unsigned head = (record[6] & LARGE) != 0 ? 24 : 16;
        uint64_t whole = 8;
        if (kind == 0) {
            return false;
        }
        if (kind != KIND_PAD_WORD) {
            if (!read_log(store, at, record, 16)) {
                return false;
            }
            whole = 8 * (word_at(record + SIZES_OFFSET, 4) &
                         ((record[6] & LARGE) != 0 ? UNITS_LARGE : UNITS_SMALL));
        }
        if (address < at + whole) {
            return kind == KIND_PAD && address >= at + head;
        }
        if (kind == KIND_JUMP) {
            unsigned char target[8];
            if (!read_log(store, at + head, target, 8)) {
                return false;
            }
            at = word_at(target, 8);
            if (address < at) {
                return true;
            }
        } else {
            at += whole;
        }
    }
}

static bool is(const char *name, const char *other) {
    return strcmp(name, other) == 0;
}

bool padding_is_unchecked(const struct padding_store *store, const char *name, uint64_t size_bytes,
                          uint64_t offset) {
    unsigned long long segment;
    if (is(name, "store") || is(name, "manifest.0") || is(name, "manifest.1")) {
        return false;
    }
    if (strncmp(name, "checkpoint.0", 12) == 0 || strncmp(name, "index.0", 7) == 0) {
        return false; /* each store's roots name all its copies */
    }
    if (sscanf(name, "log.%12llx", &segment) != 1) {
        return true; /* lock, temporary files, and what is not ours */
    }
    if (size_bytes <= SEGMENT_HEADER_BYTES) {
        return true;
    }
    if (offset < SEGMENT_HEADER_BYTES) {
        return offset >= SEGMENT_CHECKED_BYTES;
    }
    return is_unchecked_in_log(store, ((uint64_t)segment << store->segment_bits) + offset -
                                          SEGMENT_HEADER_BYTES);
}
