/* test_record.c - the shape of records: what is written parses back, and bytes of any content
 * and length are refused without reading past them.
 *
 * Hostile bytes are parsed in heap copies of their exact size, so that an address sanitizer
 * sees the first byte too far. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "faster.h"
#include "shapes/record.h"

#define SEED UINT64_C(0x1122334455667788)
#define ADDR 8192u

struct sizes {
    uint32_t key, value, capacity;
};

static const struct sizes interesting[] = {
    {0, 0, 0},      {1, 0, 0},      {1, 1, 1},         {7, 1, 8},       {8, 8, 8},
    {255, 10, 10},  {256, 10, 10},  {5, 8163, 8163},   {0, 8168, 8168}, {0, 8169, 8169},
    {5, 100, 8000}, {5, 100, 9000}, {3, 70000, 70000}, {65536, 0, 0},   {65536, 5, 100000},
};
#define INTERESTING_COUNT (sizeof interesting / sizeof interesting[0])

static unsigned char *patterned(size_t count, unsigned start) {
    unsigned char *bytes = malloc(count + 1);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)(start + i * 7);
    }
    return bytes;
}

/* A record as it stands on disk. The caller frees it. */
static unsigned char *make(const struct sizes *sizes, enum fst_record_kind kind, uint64_t flags,
                           struct fst_record_shape *shape) {
    unsigned char *key = patterned(sizes->key, 3);
    unsigned char *value = patterned(sizes->value, 90);

    *shape = fst_record_shape_for(sizes->key, sizes->value, sizes->capacity);
    unsigned char *bytes = malloc(shape->whole_bytes);
    cr_assert_not_null(bytes);
    memset(bytes, 0xee, shape->whole_bytes);
    fst_record_write(bytes, shape, fst_addr_of(kind == FST_KIND_DATA ? 4096 : 0), kind, flags, key,
                     value);
    const uint32_t sum = fst_record_checksum(bytes, shape, fst_addr_of(ADDR), SEED);
    memcpy(bytes + offsetof(struct fst_record, guard), &sum, sizeof sum);
    free(key);
    free(value);
    return bytes;
}

static bool shapes_equal(const struct fst_record_shape *a, const struct fst_record_shape *b) {
    return a->whole_bytes == b->whole_bytes && a->key_offset_bytes == b->key_offset_bytes &&
           a->key_bytes == b->key_bytes && a->value_bytes == b->value_bytes &&
           a->value_capacity_bytes == b->value_capacity_bytes && a->large == b->large;
}

static bool parses(const void *bytes, size_t available) {
    struct fst_record_shape shape;
    unsigned char *exact = malloc(available + (available == 0));
    cr_assert_not_null(exact);
    memcpy(exact, bytes, available);
    const bool intact = fst_record_is_intact(exact, available, fst_addr_of(ADDR), SEED, &shape);
    free(exact);
    return intact;
}

Test(record, round_trip_keeps_shape_key_and_value) {
    for (size_t i = 0; i < INTERESTING_COUNT; i++) {
        const struct sizes *sizes = &interesting[i];
        struct fst_record_shape shape;
        struct fst_record_shape parsed;
        unsigned char *bytes = make(sizes, FST_KIND_DATA, 0, &shape);
        unsigned char *key = patterned(sizes->key, 3);
        unsigned char *value = patterned(sizes->value, 90);

        cr_assert(fst_record_parse(bytes, shape.whole_bytes, &parsed));
        cr_expect(shapes_equal(&parsed, &shape));
        cr_expect_eq(shape.whole_bytes % FST_RECORD_ALIGN, 0);
        cr_expect_geq(shape.value_capacity_bytes, sizes->capacity);
        cr_expect(memcmp(bytes + shape.key_offset_bytes, key, sizes->key) == 0);
        cr_expect(memcmp(bytes + shape.key_offset_bytes + sizes->key, value, sizes->value) == 0);
        for (uint32_t at = shape.key_offset_bytes + sizes->key + sizes->value;
             at < shape.whole_bytes; at++) {
            cr_expect_eq(bytes[at], 0, "slack is zero");
        }
        cr_expect_eq(fst_header_kind(fst_raw_header(bytes)), FST_KIND_DATA);
        cr_expect_eq(fst_header_previous(fst_raw_header(bytes)).raw, 4096);
        cr_expect(parses(bytes, shape.whole_bytes));
        free(bytes);
        free(key);
        free(value);
    }
}

Test(record, small_records_have_16_bytes_of_header) {
    const struct fst_record_shape small = fst_record_shape_for(8, 8, 8);
    const struct fst_record_shape large = fst_record_shape_for(256, 8, 8);

    cr_expect_not(small.large);
    cr_expect_eq(small.whole_bytes, 32);
    cr_expect(large.large);
    cr_expect_eq(large.whole_bytes, 24 + 264);
    cr_expect_eq(fst_record_shape_for(0, 8168, 8168).whole_bytes, 8184);
    cr_expect_not(fst_record_shape_for(0, 8168, 8168).large);
    cr_expect(fst_record_shape_for(0, 8169, 8169).large);
}

Test(record, every_truncation_is_refused) {
    for (size_t i = 0; i < INTERESTING_COUNT; i++) {
        struct fst_record_shape shape;
        unsigned char *bytes = make(&interesting[i], FST_KIND_DATA, 0, &shape);
        const uint32_t step = shape.whole_bytes > 4096 ? 997 : 1;

        for (uint32_t count = 0; count < shape.whole_bytes; count += step) {
            cr_expect_not(parses(bytes, count));
        }
        cr_expect_not(parses(bytes, shape.whole_bytes - 1));
        free(bytes);
    }
}

Test(record, every_flipped_bit_is_noticed) {
    const struct sizes cases[] = {{5, 11, 24}, {300, 9, 9}, {0, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fst_record_shape shape;
        unsigned char *bytes = make(&cases[i], FST_KIND_DATA, 0, &shape);

        for (uint32_t bit = 0; bit < 8 * shape.whole_bytes; bit++) {
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
            cr_expect_not(parses(bytes, shape.whole_bytes), "bit %u", bit);
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        cr_expect(parses(bytes, shape.whole_bytes));
        free(bytes);
    }
}

Test(record, checksum_depends_on_place_and_store) {
    struct fst_record_shape shape;
    unsigned char *bytes = make(&interesting[4], FST_KIND_DATA, 0, &shape);
    const uint32_t sum = fst_record_checksum(bytes, &shape, fst_addr_of(ADDR), SEED);

    cr_expect_neq(sum, fst_record_checksum(bytes, &shape, fst_addr_of(ADDR + 8), SEED));
    cr_expect_neq(sum, fst_record_checksum(bytes, &shape, fst_addr_of(ADDR), SEED + 1));
    free(bytes);
}

Test(record, checksum_ignores_guard_and_seal) {
    struct fst_record_shape shape;
    unsigned char *bytes = make(&interesting[4], FST_KIND_DATA, 0, &shape);
    const uint32_t sum = fst_record_checksum(bytes, &shape, fst_addr_of(ADDR), SEED);
    const uint64_t sealed = fst_raw_header(bytes) | FST_HEADER_SEALED;

    memset(bytes + offsetof(struct fst_record, guard), 0x55, 4);
    memcpy(bytes, &sealed, sizeof sealed);
    cr_expect_eq(sum, fst_record_checksum(bytes, &shape, fst_addr_of(ADDR), SEED));
    free(bytes);
}

static void check_header_refused(uint64_t extra, bool parse_too) {
    struct fst_record_shape shape;
    unsigned char *bytes = make(&interesting[4], FST_KIND_DATA, 0, &shape);
    const uint64_t header = fst_raw_header(bytes) | extra;

    memcpy(bytes, &header, sizeof header);
    const uint32_t sum = fst_record_checksum(bytes, &shape, fst_addr_of(ADDR), SEED);
    memcpy(bytes + offsetof(struct fst_record, guard), &sum, sizeof sum);
    cr_expect_not(parses(bytes, shape.whole_bytes));
    cr_expect_eq(fst_record_parse(bytes, shape.whole_bytes, &shape), !parse_too);
    free(bytes);
}

Test(record, reserved_bits_are_refused_even_under_a_good_checksum) {
    check_header_refused(FST_HEADER_EXPIRES, true);
    check_header_refused(FST_HEADER_LARGE, true);
    check_header_refused(UINT64_C(6) << FST_HEADER_KIND_SHIFT, true); /* CHUNK with a key */
    check_header_refused(FST_HEADER_SEALED, false);
    check_header_refused(FST_ADDR_READ_CACHE, false);
}

/* Any bytes, of which the flags and sizes are often those of a small data record. */
Test(record, peek_and_parse_agree) {
    uint64_t state = 88172645463325252u;
    uint64_t well_formed = 0;
    for (int round = 0; round < 200000; round++) {
        uint64_t words[3];
        for (size_t i = 0; i < 3; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            words[i] = state;
        }
        if (round % 4 != 0) {
            words[0] = (words[0] & ~(FST_HEADER_KIND_MASK | FST_HEADER_LARGE)) |
                       (uint64_t)FST_KIND_DATA << FST_HEADER_KIND_SHIFT;
            words[1] &= round % 4 == 1 ? UINT64_MAX : UINT64_C(0x007f0fff00000000);
        }
        if (round % 8 < 6) {
            words[0] &= ~FST_HEADER_EXPIRES;
        }
        size_t available = round % 16 == 0 ? (size_t)(words[2] % 4) * 8 : sizeof words;
        struct fst_record_shape parsed = {0};
        struct fst_record_shape peeked = {0};
        bool is_parsed = fst_record_parse(words, available, &parsed);
        bool is_peeked =
            fst_record_peek((const struct fst_record *)(const void *)words, available, &peeked);
        cr_assert_eq(is_parsed, is_peeked, "round %d", round);
        if (is_parsed) {
            well_formed++;
            cr_assert(shapes_equal(&parsed, &peeked), "round %d", round);
        }
    }
    cr_expect_gt(well_formed, 10000u);
}

Test(record, tombstone_and_invalid_flags_parse) {
    struct fst_record_shape shape;
    unsigned char *bytes =
        make(&interesting[1], FST_KIND_DATA,
             FST_HEADER_TOMBSTONE | FST_HEADER_INVALID | UINT64_C(0xa5) << FST_HEADER_VERSION_SHIFT,
             &shape);
    cr_expect(parses(bytes, shape.whole_bytes));
    cr_expect_eq(fst_header_version(fst_raw_header(bytes)), 0xa5);
    free(bytes);
}

Test(record, other_kinds_have_no_key_no_flags_and_no_previous) {
    const enum fst_record_kind kinds[] = {FST_KIND_CONTROL, FST_KIND_ABORT_LIST, FST_KIND_JUMP};
    const struct sizes without_key = {0, 40, 40};
    const struct sizes with_key = {1, 40, 40};

    for (size_t i = 0; i < 3; i++) {
        struct fst_record_shape shape;
        unsigned char *good = make(&without_key, kinds[i], 0, &shape);
        cr_expect(parses(good, shape.whole_bytes));
        free(good);
        unsigned char *keyed = make(&with_key, kinds[i], 0, &shape);
        cr_expect_not(parses(keyed, shape.whole_bytes));
        free(keyed);
        unsigned char *flagged = make(&without_key, kinds[i], FST_HEADER_TOMBSTONE, &shape);
        cr_expect_not(parses(flagged, shape.whole_bytes));
        free(flagged);
    }
}

/* A record whose value is a list of chunks, with these sizes and flags. */
static bool chunked_parses(uint32_t key_bytes, uint32_t value_bytes, enum fst_record_kind kind,
                           uint64_t flags) {
    static _Alignas(8) unsigned char bytes[16384];
    static const unsigned char content[300];
    struct fst_record_shape parsed;
    struct fst_record_shape peeked;
    struct fst_record_shape shape = fst_record_shape_for(key_bytes, value_bytes, value_bytes);
    shape.chunked = true;
    fst_record_write(bytes, &shape, fst_addr_of(64), kind, flags, content, content);
    const uint32_t sum = fst_record_checksum(bytes, &shape, fst_addr_of(ADDR), SEED);
    memcpy(bytes + offsetof(struct fst_record, guard), &sum, sizeof sum);
    const bool is_good = parses(bytes, shape.whole_bytes);
    const bool is_peeked =
        fst_record_peek((const struct fst_record *)(const void *)bytes, shape.whole_bytes, &peeked);
    cr_expect_eq(is_good, is_peeked);
    if (is_good) {
        cr_expect(fst_record_parse(bytes, shape.whole_bytes, &parsed));
        cr_expect(parsed.chunked && peeked.chunked);
        cr_expect(shapes_equal(&parsed, &shape) && shapes_equal(&peeked, &shape));
    }
    return is_good;
}

Test(record, chunk_list_stands_in_for_the_value_of_data_only) {
    cr_expect(chunked_parses(5, FST_CHUNK_LIST_BYTES, FST_KIND_DATA, 0));
    cr_expect(chunked_parses(300, FST_CHUNK_LIST_BYTES, FST_KIND_DATA, 0));
    cr_expect(chunked_parses(5, FST_CHUNK_LIST_BYTES, FST_KIND_DATA, FST_HEADER_INVALID));
    cr_expect_not(chunked_parses(5, FST_CHUNK_LIST_BYTES, FST_KIND_DATA, FST_HEADER_TOMBSTONE));
    cr_expect_not(chunked_parses(5, FST_CHUNK_LIST_BYTES - 1, FST_KIND_DATA, 0));
    cr_expect_not(chunked_parses(300, FST_CHUNK_LIST_BYTES + 1, FST_KIND_DATA, 0));
    cr_expect_not(chunked_parses(0, FST_CHUNK_LIST_BYTES, FST_KIND_CONTROL, 0));
    cr_expect_not(chunked_parses(0, FST_CHUNK_LIST_BYTES, FST_KIND_CHUNK, 0));
}

Test(record, chunk_has_a_previous_address_and_no_flags) {
    static const unsigned char text[] = "some bytes of a value";
    const struct sizes sizes = {0, sizeof text, sizeof text};
    struct fst_record_shape shape;
    unsigned char *bytes = make(&sizes, FST_KIND_CHUNK, FST_HEADER_TOMBSTONE, &shape);
    cr_expect_not(parses(bytes, shape.whole_bytes));
    fst_record_write_chunk(bytes, &shape, fst_addr_of(4096), text, 4, text + 4);
    const uint32_t sum = fst_record_checksum(bytes, &shape, fst_addr_of(ADDR), SEED);
    memcpy(bytes + offsetof(struct fst_record, guard), &sum, sizeof sum);
    cr_expect(parses(bytes, shape.whole_bytes));
    cr_expect_eq(fst_header_previous(fst_raw_header(bytes)).raw, 4096);
    cr_expect(memcmp(bytes + shape.key_offset_bytes, text, sizeof text) == 0);
    free(bytes);
}

static void check_pad(uint32_t gap) {
    struct fst_record_shape shape;
    unsigned char *bytes = malloc(gap);

    cr_assert_not_null(bytes);
    memset(bytes, 0xee, gap);
    fst_record_write_pad(bytes, gap);
    cr_assert(fst_record_parse(bytes, gap, &shape));
    cr_expect_eq(shape.whole_bytes, gap);
    cr_expect_eq(shape.key_bytes, 0);
    if (gap > 8) {
        const uint32_t sum = fst_record_checksum(bytes, &shape, fst_addr_of(ADDR), SEED);
        memcpy(bytes + offsetof(struct fst_record, guard), &sum, sizeof sum);
    }
    cr_expect(parses(bytes, gap));
    if (gap > 24) {
        bytes[gap - 1] ^= 0xff;
        cr_expect(parses(bytes, gap), "the body of a pad is unchecked");
        cr_expect_eq(bytes[30], 0xee, "and left as it was");
    }
    free(bytes);
}

Test(record, pads_fill_their_gap) {
    const uint32_t gaps[] = {8, 16, 24, 32, 4096, 8184, 8192, 8200, 1u << 20, 1u << 26};
    for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++) {
        check_pad(gaps[i]);
    }
}

Test(record, zeroes_do_not_parse) {
    const unsigned char zeroes[64] = {0};
    for (size_t count = 0; count <= sizeof zeroes; count++) {
        cr_expect_not(parses(zeroes, count));
    }
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Random headers and sizes: whatever parses must lie within its own bounds. Seed: constant. */
Test(record, random_bytes_never_parse_out_of_bounds) {
    uint64_t state = 42;
    for (int i = 0; i < 200000; i++) {
        uint64_t words[4];
        struct fst_record_shape shape;
        for (int w = 0; w < 4; w++) {
            words[w] = next_random(&state);
        }
        words[0] &= UINT64_C(0x003fffffffffffff);
        const size_t available = next_random(&state) % (sizeof words + 1);
        unsigned char *exact = malloc(available + (available == 0));
        cr_assert_not_null(exact);
        memcpy(exact, words, available);
        if (fst_record_parse(exact, available, &shape)) {
            cr_expect_leq(shape.whole_bytes, FASTER_PAGE_BYTES_MAX);
            cr_expect_leq(shape.key_bytes, FASTER_KEY_BYTES_MAX);
            cr_expect_leq((uint64_t)shape.key_offset_bytes + shape.key_bytes + shape.value_bytes,
                          shape.whole_bytes);
        }
        free(exact);
    }
}
