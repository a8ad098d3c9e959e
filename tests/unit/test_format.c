/* test_format.c - the fixed structures on disk: sealed ones pass, and every flipped bit, every
 * truncation and every impossible value is refused. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "shapes/format_codec.h"

#define SEGMENT_BITS 20u

static struct fst_identity good_identity(void) {
    struct fst_identity identity = {
        .write_discipline = FST_WRITES_TRANSACTIONAL,
        .uuid = {1, 2, 3},
        .generation = 1,
        .hash_seed = 77,
        .created_ns = 5,
        .page_bits = 14,
        .segment_bits = SEGMENT_BITS,
        .tier_count = 1,
    };
    fst_identity_seal(&identity);
    return identity;
}

static struct fst_format_owner good_owner(void) {
    const struct fst_identity identity = good_identity();
    return fst_format_owner_of(&identity);
}

static struct fst_manifest good_manifest(void) {
    const struct fst_format_owner owner = good_owner();
    struct fst_manifest manifest = {
        .index_bits_min = 8,
        .sequence = 3,
        .begin = 4096,
        .durable_end = 8192,
        .durable_number = 2,
        .durable_nonce = 9,
        .durable_control_address = 8000,
        .durable_row_end = 8104,
        .place_path = "/a/b.db",
        .place_device = 1,
        .place_inode = 2,
    };
    fst_manifest_seal(&manifest, &owner);
    return manifest;
}

/* ---- one check per structure, so that the loops below can share code ---- */

typedef enum faster_status check_fn(const void *bytes, size_t count);

static enum faster_status check_identity(const void *bytes, size_t count) {
    struct fst_identity identity;
    return fst_identity_check(bytes, count, &identity);
}

static enum faster_status check_manifest(const void *bytes, size_t count) {
    const struct fst_format_owner owner = good_owner();
    struct fst_manifest manifest;
    return fst_manifest_check(bytes, count, &owner, &manifest);
}

static enum faster_status check_segment(const void *bytes, size_t count) {
    const struct fst_format_owner owner = good_owner();
    return fst_segment_header_check(bytes, count, &owner, SEGMENT_BITS, 5);
}

static enum faster_status check_exact(check_fn *check, const void *bytes, size_t count) {
    void *exact = malloc(count + (count == 0));
    cr_assert_not_null(exact);
    memcpy(exact, bytes, count);
    const enum faster_status status = check(exact, count);
    free(exact);
    return status;
}

static void check_damage(check_fn *check, void *structure, size_t count) {
    unsigned char *bytes = structure;

    cr_expect_eq(check_exact(check, bytes, count), FASTER_OK);
    for (size_t bit = 0; bit < 8 * count; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        const enum faster_status status = check_exact(check, bytes, count);
        cr_expect(status == FASTER_CORRUPT || status == FASTER_FOREIGN ||
                      status == FASTER_VERSION_NEWER,
                  "bit %zu", bit);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    for (size_t byte = 0; byte < count; byte++) {
        bytes[byte] ^= 0xff;
        cr_expect_neq(check_exact(check, bytes, count), FASTER_OK, "byte %zu", byte);
        bytes[byte] ^= 0xff;
        cr_expect_neq(check_exact(check, bytes, byte), FASTER_OK, "cut at %zu", byte);
    }
}

Test(format, identity_damage_is_noticed) {
    struct fst_identity identity = good_identity();
    check_damage(check_identity, &identity, sizeof identity);
}

Test(format, manifest_damage_is_noticed) {
    struct fst_manifest manifest = good_manifest();
    check_damage(check_manifest, &manifest, sizeof manifest);
}

Test(format, segment_header_damage_is_noticed) {
    const struct fst_format_owner owner = good_owner();
    struct fst_segment_header header;
    fst_segment_header_seal(&header, &owner, SEGMENT_BITS, 5);
    check_damage(check_segment, &header, sizeof header);
}

Test(format, wrong_magic_is_foreign_and_newer_version_is_named) {
    struct fst_identity identity = good_identity();
    identity.format_version = FST_FORMAT_VERSION_NEWEST + 1;
    cr_expect_eq(check_identity(&identity, sizeof identity), FASTER_VERSION_NEWER);
    identity.magic[0] = 'f';
    cr_expect_eq(check_identity(&identity, sizeof identity), FASTER_FOREIGN);
    cr_expect_eq(check_identity("", 0), FASTER_FOREIGN);
}

/* What check_identity() says of an identity of this version and discipline. */
static enum faster_status check_version(uint32_t version, uint32_t discipline) {
    struct fst_identity identity = good_identity();
    identity.format_version = version;
    identity.write_discipline = discipline;
    identity.checksum =
        fst_checksum64(&identity, offsetof(struct fst_identity, checksum), FST_IDENTITY_SEED);
    return check_identity(&identity, sizeof identity);
}

Test(format, old_versions_of_an_identity_go_with_one_discipline_each) {
    struct fst_identity identity = good_identity();
    fst_identity_seal(&identity);
    cr_expect_eq(identity.format_version, 4);
    identity.write_discipline = FST_WRITES_DIRECT;
    fst_identity_seal(&identity);
    cr_expect_eq(identity.format_version, 5);
    cr_expect_eq(check_version(1, FST_WRITES_TRANSACTIONAL), FASTER_OK);
    cr_expect_eq(check_version(1, FST_WRITES_DIRECT), FASTER_CORRUPT);
    cr_expect_eq(check_version(2, FST_WRITES_TRANSACTIONAL), FASTER_CORRUPT);
    cr_expect_eq(check_version(2, FST_WRITES_DIRECT), FASTER_OK);
    cr_expect_eq(check_version(3, FST_WRITES_TRANSACTIONAL), FASTER_OK);
    cr_expect_eq(check_version(3, FST_WRITES_DIRECT), FASTER_OK);
    cr_expect_eq(check_version(4, FST_WRITES_TRANSACTIONAL), FASTER_OK);
    cr_expect_eq(check_version(4, FST_WRITES_DIRECT), FASTER_OK);
    cr_expect_eq(check_version(5, FST_WRITES_TRANSACTIONAL), FASTER_CORRUPT);
    cr_expect_eq(check_version(5, FST_WRITES_DIRECT), FASTER_OK);
    cr_expect_eq(check_version(6, FST_WRITES_DIRECT), FASTER_VERSION_NEWER);
}

static const struct fst_chunk_list good_list = {.value_bytes = 32000,
                                                .first_address = 8192,
                                                .last_address = 32768,
                                                .last_record_bytes = 8192,
                                                .chunk_count = 3};
#define LIST_ADDR 49152u
#define CHUNK_PAGE_BITS 14u

static bool list_is_sound(const struct fst_chunk_list *list) {
    struct fst_chunk_list decoded;
    return fst_chunk_list_decode(list, sizeof *list, fst_addr_of(LIST_ADDR), CHUNK_PAGE_BITS,
                                 &decoded);
}

#define REFUSED_LIST(change)                                                                       \
    do {                                                                                           \
        struct fst_chunk_list list = good_list;                                                    \
        change;                                                                                    \
        cr_expect_not(list_is_sound(&list), #change);                                              \
    } while (0)

Test(format, chunk_lists_that_make_no_sense_are_refused) {
    struct fst_chunk_list decoded;
    cr_expect(list_is_sound(&good_list));
    cr_expect_not(fst_chunk_list_decode(&good_list, sizeof good_list - 1, fst_addr_of(LIST_ADDR),
                                        CHUNK_PAGE_BITS, &decoded));
    REFUSED_LIST(list.value_bytes = 2);
    REFUSED_LIST(list.value_bytes = UINT64_C(3) << CHUNK_PAGE_BITS);
    REFUSED_LIST(list.value_bytes = 32768 - 3 * 40 + 1); /* more than lies between the chunks */
    REFUSED_LIST(list.first_address = list.last_address - 16384);
    REFUSED_LIST(list.value_bytes = FASTER_VALUE_BYTES_MAX + UINT64_C(1));
    REFUSED_LIST(list.chunk_count = 0);
    REFUSED_LIST(list.chunk_count = 1);
    REFUSED_LIST(list.first_address = list.last_address);
    REFUSED_LIST(list.first_address = list.last_address + 8);
    REFUSED_LIST(list.first_address = 0);
    REFUSED_LIST(list.first_address = 8193);
    REFUSED_LIST(list.last_address = LIST_ADDR);
    REFUSED_LIST(list.last_address = UINT64_MAX - 7);
    REFUSED_LIST(list.last_record_bytes = 0);
    REFUSED_LIST(list.last_record_bytes = 8190);
    REFUSED_LIST(list.last_record_bytes = 16384 + 8);
    REFUSED_LIST(list.last_address = LIST_ADDR - 8);
}

static bool chunk_is_sound(const struct fst_chunk *chunk, uint64_t previous) {
    unsigned char value[sizeof *chunk + 1] = {0};
    struct fst_chunk decoded;
    memcpy(value, chunk, sizeof *chunk);
    return fst_chunk_decode(value, sizeof value, fst_addr_of(LIST_ADDR), fst_addr_of(previous),
                            CHUNK_PAGE_BITS, &decoded);
}

Test(format, chunks_that_make_no_sense_are_refused) {
    const struct fst_chunk first = {.first_address = LIST_ADDR};
    const struct fst_chunk later = {
        .first_address = 8192, .offset_bytes = 9000, .previous_record_bytes = 8192};
    struct fst_chunk decoded;
    cr_expect(chunk_is_sound(&first, 0));
    cr_expect(chunk_is_sound(&later, 32768));
    cr_expect_not(chunk_is_sound(&first, 32768));
    cr_expect_not(chunk_is_sound(&later, 0));
    cr_expect_not(chunk_is_sound(&later, LIST_ADDR));
    cr_expect_not(chunk_is_sound(&later, LIST_ADDR + 16384));
    cr_expect_not(chunk_is_sound(&later, 4096));
    struct fst_chunk bad = later;
    bad.reserved = 1;
    cr_expect_not(chunk_is_sound(&bad, 32768));
    bad = later;
    bad.offset_bytes = 0;
    cr_expect_not(chunk_is_sound(&bad, 32768));
    bad.offset_bytes = UINT64_MAX;
    cr_expect_not(chunk_is_sound(&bad, 32768));
    bad = later;
    bad.previous_record_bytes = 16384 + 8;
    cr_expect_not(chunk_is_sound(&bad, 32768));
    cr_expect_not(fst_chunk_decode(&first, sizeof first, fst_addr_of(LIST_ADDR), fst_addr_of(0),
                                   CHUNK_PAGE_BITS, &decoded),
                  "a chunk without a byte");
}

Test(format, another_store_is_foreign) {
    struct fst_identity other = good_identity();
    struct fst_manifest manifest = good_manifest();
    struct fst_segment_header header;

    other.generation = 2;
    struct fst_format_owner owner = fst_format_owner_of(&other);
    fst_manifest_seal(&manifest, &owner);
    cr_expect_eq(check_manifest(&manifest, sizeof manifest), FASTER_FOREIGN);
    other = good_identity();
    other.uuid[15] = 1;
    owner = fst_format_owner_of(&other);
    fst_manifest_seal(&manifest, &owner);
    cr_expect_eq(check_manifest(&manifest, sizeof manifest), FASTER_FOREIGN);
    fst_segment_header_seal(&header, &owner, SEGMENT_BITS, 5);
    cr_expect_eq(check_segment(&header, sizeof header), FASTER_FOREIGN);
}

Test(format, segment_header_of_another_segment_is_corrupt) {
    const struct fst_format_owner owner = good_owner();
    struct fst_segment_header header;

    fst_segment_header_seal(&header, &owner, SEGMENT_BITS, 6);
    cr_expect_eq(check_segment(&header, sizeof header), FASTER_CORRUPT);
    fst_segment_header_seal(&header, &owner, SEGMENT_BITS + 1, 5);
    cr_expect_eq(check_segment(&header, sizeof header), FASTER_CORRUPT);
}

/* ---- values out of range under a good checksum ---- */

#define REFUSED_IDENTITY(change)                                                                   \
    do {                                                                                           \
        struct fst_identity identity = good_identity();                                            \
        change;                                                                                    \
        fst_identity_seal(&identity);                                                              \
        cr_expect_eq(check_identity(&identity, sizeof identity), FASTER_CORRUPT, #change);         \
    } while (0)

Test(format, identity_values_out_of_range_are_refused) {
    const struct fst_identity good = good_identity();

    cr_expect_eq(check_identity(&good, sizeof good), FASTER_OK);
    REFUSED_IDENTITY(identity.write_discipline = 0);
    REFUSED_IDENTITY(identity.write_discipline = 3);
    REFUSED_IDENTITY(identity.generation = 0);
    REFUSED_IDENTITY(identity.page_bits = 13);
    REFUSED_IDENTITY(identity.page_bits = 27; identity.segment_bits = 30);
    REFUSED_IDENTITY(identity.segment_bits = 13);
    REFUSED_IDENTITY(identity.segment_bits = 37);
    REFUSED_IDENTITY(identity.segment_bits = UINT32_MAX);
    REFUSED_IDENTITY(identity.tier_count = 0);
    REFUSED_IDENTITY(identity.tier_count = 2);
    REFUSED_IDENTITY(memset(identity.uuid, 0, sizeof identity.uuid));
}

#define REFUSED_MANIFEST(change)                                                                   \
    do {                                                                                           \
        const struct fst_format_owner owner = good_owner();                                        \
        struct fst_manifest manifest = good_manifest();                                            \
        change;                                                                                    \
        fst_manifest_seal(&manifest, &owner);                                                      \
        cr_expect_eq(check_manifest(&manifest, sizeof manifest), FASTER_CORRUPT, #change);         \
    } while (0)

Test(format, manifest_values_out_of_range_are_refused) {
    const struct fst_manifest good = good_manifest();

    cr_expect_eq(check_manifest(&good, sizeof good), FASTER_OK);
    REFUSED_MANIFEST(manifest.index_bits_min = 37);
    REFUSED_MANIFEST(manifest.begin = 0);
    REFUSED_MANIFEST(manifest.begin = 4097);
    REFUSED_MANIFEST(manifest.begin = manifest.durable_end + 8);
    REFUSED_MANIFEST(manifest.durable_end = FST_ADDR_MAX + 1);
    REFUSED_MANIFEST(manifest.durable_number = 0);
    REFUSED_MANIFEST(manifest.durable_control_address = manifest.durable_row_end);
    REFUSED_MANIFEST(manifest.durable_row_end = UINT64_MAX);
    REFUSED_MANIFEST(memset(manifest.place_path, 'x', sizeof manifest.place_path));
    REFUSED_MANIFEST(manifest.place_path[900] = 'x');
}

Test(format, manifest_without_commit_or_place_passes) {
    const struct fst_format_owner owner = good_owner();
    struct fst_manifest manifest = {.begin = 4096, .durable_end = 4096};
    fst_manifest_seal(&manifest, &owner);
    cr_expect_eq(check_manifest(&manifest, sizeof manifest), FASTER_OK);
}

/* ---- values of records ---- */

struct control_value {
    struct fst_control control;
    struct fst_address_range ranges[3];
};

static struct control_value good_control(void) {
    return (struct control_value){
        .control = {.number = 4,
                    .nonce = 1,
                    .start = 8192,
                    .end = 12288,
                    .record_count = 2,
                    .previous_control_address = 8096,
                    .previous_number = 3,
                    .abort_list_address = 9000,
                    .index_bits = 10,
                    .aborted_count = 3},
        .ranges = {{8192, 8200}, {8200, 8400}, {9000, 12288}},
    };
}

static bool decode_control(const struct control_value *value, size_t count) {
    struct fst_control control;
    struct fst_range_list ranges;
    void *exact = malloc(count + (count == 0));
    cr_assert_not_null(exact);
    memcpy(exact, value, count);
    bool ok = fst_control_decode(exact, count, &control, &ranges);
    for (uint64_t i = 0; ok && i < ranges.count; i++) {
        const struct fst_address_range range = fst_range_list_at(&ranges, i);
        ok = range.start == value->ranges[i].start && range.end == value->ranges[i].end;
    }
    free(exact);
    return ok;
}

#define REFUSED_CONTROL(change)                                                                    \
    do {                                                                                           \
        struct control_value value = good_control();                                               \
        change;                                                                                    \
        cr_expect_not(decode_control(&value, sizeof value), #change);                              \
    } while (0)

Test(format, control_decodes_and_refuses_nonsense) {
    const struct control_value good = good_control();

    cr_expect(decode_control(&good, sizeof good));
    for (size_t count = 0; count < sizeof good; count++) {
        cr_expect_not(decode_control(&good, count));
    }
    REFUSED_CONTROL(value.control.aborted_count = 2);
    REFUSED_CONTROL(value.control.aborted_count = UINT32_MAX);
    REFUSED_CONTROL(value.control.number = 0);
    REFUSED_CONTROL(value.control.start = 12288);
    REFUSED_CONTROL(value.control.start = 0);
    REFUSED_CONTROL(value.control.end = 12000);
    REFUSED_CONTROL(value.control.end = UINT64_MAX);
    REFUSED_CONTROL(value.control.previous_number = 4);
    REFUSED_CONTROL(value.control.previous_number = 0);
    REFUSED_CONTROL(value.control.previous_control_address = 0);
    REFUSED_CONTROL(value.control.previous_control_address = 8192);
    REFUSED_CONTROL(value.control.previous_control_address = 8097);
    REFUSED_CONTROL(value.control.abort_list_address = 4096);
    REFUSED_CONTROL(value.control.index_bits = 64);
    REFUSED_CONTROL(value.ranges[0].start = 8184);
    REFUSED_CONTROL(value.ranges[1].start = 8196);
    REFUSED_CONTROL(value.ranges[1].end = 8200);
    REFUSED_CONTROL(value.ranges[2].end = 12296);
    REFUSED_CONTROL(value.ranges[2].start = UINT64_MAX);
}

Test(format, abort_list_decodes_and_refuses_nonsense) {
    struct {
        struct fst_abort_list list;
        struct fst_address_range ranges[2];
    } value = {{8192, 2}, {{8192, 8200}, {8208, 8216}}};
    const struct fst_control control = good_control().control;
    struct fst_abort_list list;
    struct fst_range_list ranges;

    cr_expect(fst_abort_list_decode(&value, sizeof value, &control, &list, &ranges));
    cr_expect_eq(ranges.count, 2);
    cr_expect_not(fst_abort_list_decode(&value, 8, &control, &list, &ranges));
    value.list.range_count = UINT64_MAX;
    cr_expect_not(fst_abort_list_decode(&value, sizeof value, &control, &list, &ranges));
    value.list.range_count = (UINT64_C(1) << 60) + 2; /* times 16 wraps to the right size */
    cr_expect_not(fst_abort_list_decode(&value, sizeof value, &control, &list, &ranges));
    value.list.range_count = 2;
    value.list.previous_address = 4096;
    cr_expect_not(fst_abort_list_decode(&value, sizeof value, &control, &list, &ranges));
    value.list.previous_address = 0;
    value.ranges[1].start = 8199;
    cr_expect_not(fst_abort_list_decode(&value, sizeof value, &control, &list, &ranges));
}

Test(format, jump_decodes_and_refuses_nonsense) {
    struct fst_jump jump;
    struct fst_jump value = {.target = 1u << 20, .nonce = 1, .index_bits = 4};

    cr_expect(fst_jump_decode(&value, sizeof value, 20, &jump));
    cr_expect_not(fst_jump_decode(&value, sizeof value - 1, 20, &jump));
    cr_expect_not(fst_jump_decode(&value, sizeof value, 21, &jump), "not at a page");
    value.last_number = 1;
    cr_expect_not(fst_jump_decode(&value, sizeof value, 20, &jump), "a commit without address");
    value.last_control_address = 1u << 20;
    cr_expect_not(fst_jump_decode(&value, sizeof value, 20, &jump), "a jump ahead of itself");
    value.last_control_address = 4096;
    cr_expect(fst_jump_decode(&value, sizeof value, 20, &jump));
    value.target = 0;
    cr_expect_not(fst_jump_decode(&value, sizeof value, 20, &jump));
}
