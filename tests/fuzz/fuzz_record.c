/* fuzz_record.c - bytes that claim to be a record, and the values of those that are no data (P8).
 *
 * Input: a byte of flags, then the record. Properties: both parsers say the same and never reach
 * past the bytes; a record that is written with the shape that was read is read so again; a sealed
 * one is intact at its address, and not at another, nor with a flipped bit; what a decoder accepts
 * is as its header says. A checksum of 32 bits lets a flip through once in 2^32.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fuzz/fuzz.h"
#include "shapes/format_codec.h"
#include "shapes/record.h"

#define ADDR UINT64_C(0x12345678)
#define SEED UINT64_C(99)
#define GUARD_OFF 8u

static bool shapes_equal(const struct fst_record_shape *a, const struct fst_record_shape *b) {
    return a->whole_bytes == b->whole_bytes && a->key_offset_bytes == b->key_offset_bytes &&
           a->key_bytes == b->key_bytes && a->value_bytes == b->value_bytes &&
           a->value_capacity_bytes == b->value_capacity_bytes && a->large == b->large &&
           a->chunked == b->chunked;
}

static void check_shape(const struct fst_record_shape *shape) {
    FUZZ_CHECK(shape->whole_bytes >= 8 && shape->whole_bytes % FST_RECORD_ALIGN == 0, "size");
    FUZZ_CHECK(shape->whole_bytes <= FASTER_PAGE_BYTES_MAX, "larger than a page");
    FUZZ_CHECK(shape->key_bytes <= FASTER_KEY_BYTES_MAX, "key");
    FUZZ_CHECK((uint64_t)shape->key_offset_bytes + shape->key_bytes + shape->value_capacity_bytes ==
                       shape->whole_bytes &&
                   shape->value_bytes <= shape->value_capacity_bytes,
               "parts do not add up");
}

/* ---- values ---- */

static void check_ranges(const struct fst_range_list *ranges, uint64_t start, uint64_t end) {
    uint64_t before = start;
    for (uint64_t i = 0; i < ranges->count; i++) {
        const struct fst_address_range range = fst_range_list_at(ranges, i);
        FUZZ_CHECK(before <= range.start && range.start < range.end && range.end <= end, "range");
        before = range.end;
    }
}

static void decode_values(const void *value, size_t count, uint64_t previous) {
    const fst_addr addr = fst_addr_of(ADDR);
    struct fst_control control;
    struct fst_range_list ranges;
    struct fst_abort_list list;
    struct fst_cut cut;
    const void *sessions;
    struct fst_jump jump;
    struct fst_chunk_list chunks;
    struct fst_chunk chunk;
    if (fst_control_decode(value, count, &control, &ranges)) {
        check_ranges(&ranges, control.start, control.end);
    }
    control = (struct fst_control){.start = 4096, .end = ADDR};
    if (fst_abort_list_decode(value, count, &control, &list, &ranges)) {
        check_ranges(&ranges, control.start, control.end);
    }
    if (fst_cut_decode(value, count, &cut, &sessions)) {
        FUZZ_CHECK(cut.kind == FST_CONTROL_CUT && cut.start < cut.end, "cut");
        for (uint32_t i = 0; i < cut.session_count; i++) {
            const struct fst_named_serial session = fst_named_serial_at(sessions, i);
            FUZZ_CHECK(strnlen(session.name, sizeof session.name) < sizeof session.name, "name");
        }
    }
    if (fst_jump_decode(value, count, 14, &jump)) {
        FUZZ_CHECK(jump.target % (1u << 14) == 0, "jump");
    }
    if (fst_chunk_list_decode(value, count, addr, 14, &chunks)) {
        FUZZ_CHECK(chunks.value_bytes > 0 && chunks.value_bytes <= FASTER_VALUE_BYTES_MAX &&
                       chunks.last_address + chunks.last_record_bytes <= ADDR &&
                       chunks.first_address <= chunks.last_address,
                   "chunk list");
    }
    if (fst_chunk_decode(value, count, addr, fst_addr_of(previous), 14, &chunk)) {
        FUZZ_CHECK(chunk.first_address <= ADDR && chunk.offset_bytes < FASTER_VALUE_BYTES_MAX,
                   "chunk");
    }
}

/* ---- whole records ---- */

static void check_written_again(const uint8_t *bytes, const struct fst_record_shape *shape) {
    const uint64_t header = fst_raw_header(bytes);
    const enum fst_record_kind kind = fst_header_kind(header);
    struct fst_record_shape again;
    if (kind != FST_KIND_DATA) {
        return;
    }
    const uint64_t flags = header & ~(FST_HEADER_KIND_MASK | FST_HEADER_LARGE | FST_ADDR_MASK);
    void *copy = fuzz_exact(bytes, shape->whole_bytes);
    fst_record_write(copy, shape, fst_header_previous(header), kind, flags,
                     bytes + shape->key_offset_bytes, bytes + fst_record_value_offset(shape));
    FUZZ_CHECK(fst_record_parse(copy, shape->whole_bytes, &again) && shapes_equal(shape, &again),
               "a record is read otherwise than it was written");
    FUZZ_CHECK(fst_raw_header(copy) == header, "header");
    FUZZ_CHECK(memcmp((uint8_t *)copy + 12, bytes + 12,
                      fst_record_value_offset(shape) + shape->value_bytes - 12) == 0,
               "content");
    free(copy);
}

static void check_sealed(uint8_t *bytes, size_t count, const struct fst_record_shape *shape,
                         uint32_t flip) {
    const uint64_t header = fst_raw_header(bytes);
    const enum fst_record_kind kind = fst_header_kind(header);
    const size_t covered = kind == FST_KIND_PAD ? shape->key_offset_bytes : shape->whole_bytes;
    struct fst_record_shape again;
    if (kind == FST_KIND_PAD_WORD) {
        return;
    }
    fst_store_le_u32(bytes + GUARD_OFF, fst_record_checksum(bytes, shape, fst_addr_of(ADDR), SEED));
    const bool intact = fst_record_is_intact(bytes, count, fst_addr_of(ADDR), SEED, &again);
    FUZZ_CHECK(intact == ((header & (FST_HEADER_SEALED | FST_ADDR_READ_CACHE)) == 0),
               "a sealed record counts as damaged");
    FUZZ_CHECK(!fst_record_is_intact(bytes, count, fst_addr_of(ADDR + 8), SEED, &again),
               "a record passes at another address");
    const size_t bit = flip % (8 * covered);
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    /* One bit may make a PAD_WORD, which has no checksum: what follows it is no record then. */
    if (intact && fst_header_kind(fst_raw_header(bytes)) != FST_KIND_PAD_WORD) {
        FUZZ_CHECK(!fst_record_is_intact(bytes, count, fst_addr_of(ADDR), SEED, &again),
                   "bit %zu may be flipped", bit);
    }
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes) {
    struct fuzz_input input = {data, size_bytes};
    const uint32_t flip = fuzz_byte(&input) * 257u;
    const size_t count = input.left_bytes;
    uint8_t *bytes = fuzz_exact(input.at, count);
    struct fst_record_shape shape;
    struct fst_record_shape peeked;
    decode_values(bytes, count, flip * UINT64_C(8));
    const bool parsed = fst_record_parse(bytes, count, &shape);
    const bool is_peeked =
        fst_record_peek((const struct fst_record *)(const void *)bytes, count, &peeked);
    FUZZ_CHECK(parsed == is_peeked, "one parser accepts what the other refuses");
    if (parsed) {
        check_shape(&shape);
        FUZZ_CHECK(shapes_equal(&shape, &peeked), "the parsers read different sizes");
        if (shape.whole_bytes <= count) {
            check_written_again(bytes, &shape);
            check_sealed(bytes, count, &shape, flip);
            decode_values(bytes + fst_record_value_offset(&shape), shape.value_bytes,
                          fst_header_previous(fst_raw_header(bytes)).raw);
        } else {
            FUZZ_CHECK(!fst_record_is_intact(bytes, count, fst_addr_of(ADDR), SEED, &peeked),
                       "a record that is not all there");
        }
    }
    free(bytes);
    return 0;
}
