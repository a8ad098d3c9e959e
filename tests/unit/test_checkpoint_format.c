/* test_checkpoint_format.c - the files of a checkpoint: names, roots and blocks of an index; every
 * flipped bit, every truncation and every impossible value is refused (P8). */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "shapes/checkpoint_format.h"

#define NUMBER 7u

static struct fst_format_owner good_owner(void) {
    return (struct fst_format_owner){.uuid = {1, 2, 3}, .generation = 1, .checksum_seed = 99};
}

static struct fst_root good_root(void) {
    return (struct fst_root){.kind = FST_ROOT_FOLD_OVER,
                             .number = NUMBER,
                             .created_ns = 5,
                             .begin = 4096,
                             .point_number = 3,
                             .point_nonce = 4,
                             .point_start = 8000,
                             .point_end = 8200,
                             .point_control_address = 8104,
                             .log_end = 8200,
                             .index_number = 6,
                             .index_nonce = 8};
}

static enum faster_status check(const void *bytes, size_t count) {
    const struct fst_format_owner owner = good_owner();
    struct fst_root root;
    void *exact = malloc(count + (count == 0));
    memcpy(exact, bytes, count);
    const enum faster_status status = fst_root_check(exact, count, &owner, NUMBER, &root);
    free(exact);
    return status;
}

static enum faster_status check_sealed(struct fst_root root) {
    const struct fst_format_owner owner = good_owner();
    fst_root_seal(&root, NULL, &owner);
    return check(&root, sizeof root);
}

static bool is_refusal(enum faster_status status) {
    return status == FASTER_CORRUPT || status == FASTER_FOREIGN || status == FASTER_VERSION_NEWER;
}

Test(checkpoint_format, names_are_made_and_read_again) {
    char name[FST_CHECKPOINT_NAME_BYTES];
    enum fst_checkpoint_file file;
    uint64_t number;
    fst_checkpoint_name(FST_CHECKPOINT_FILE_ROOT, 0x1f, name);
    cr_expect_str_eq(name, "checkpoint.000000000000001f");
    fst_checkpoint_name(FST_CHECKPOINT_FILE_INDEX, UINT64_MAX, name);
    cr_expect_str_eq(name, "index.ffffffffffffffff");
    cr_expect(fst_checkpoint_name_parse("data.0123456789abcdef", &file, &number));
    cr_expect_eq(file, FST_CHECKPOINT_FILE_DATA);
    cr_expect_eq(number, UINT64_C(0x0123456789abcdef));
    const char *const others[] = {"checkpoint.tmp",           "checkpoint.",
                                  "index.0123456789ABCDEF",   "index.0123456789abcde",
                                  "index.0123456789abcdef0",  "index.0123456789abcdeg",
                                  "indexes.0123456789abcdef", "log.000000000000",
                                  "data.0123456789abcd/f",    ""};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        cr_expect_not(fst_checkpoint_name_parse(others[i], &file, &number), "%s", others[i]);
    }
}

Test(checkpoint_format, root_with_sessions_passes_and_damage_is_noticed) {
    const struct fst_format_owner owner = good_owner();
    struct {
        struct fst_root root;
        struct fst_named_serial sessions[2];
    } file = {good_root(), {{"a", 9}, {"worker-2", 1}}};
    file.root.session_count = 2;
    fst_root_seal(&file.root, file.sessions, &owner);
    unsigned char *bytes = (unsigned char *)&file;
    cr_expect_eq(check(bytes, sizeof file), FASTER_OK);
    for (size_t bit = 0; bit < 8 * sizeof file; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        cr_expect(is_refusal(check(bytes, sizeof file)), "bit %zu", bit);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    for (size_t count = 0; count < sizeof file; count++) {
        cr_expect(is_refusal(check(bytes, count)), "cut at %zu", count);
    }
    memcpy(file.sessions[1].name, "a\0\0\0\0\0\0\0", 9);
    fst_root_seal(&file.root, file.sessions, &owner);
    cr_expect_eq(check(bytes, sizeof file), FASTER_CORRUPT, "a name that is there twice");
    memcpy(file.sessions[1].name, "b\0c", 4);
    fst_root_seal(&file.root, file.sessions, &owner);
    cr_expect_eq(check(bytes, sizeof file), FASTER_CORRUPT, "a name that goes on behind its end");
    memcpy(file.sessions[1].name, "b\0\0", 4);
    fst_root_seal(&file.root, file.sessions, &owner);
    cr_expect_eq(check(bytes, sizeof file), FASTER_OK);
    for (unsigned i = 0; i < 2; i++) {
        file.sessions[i].serial = 0;
        fst_root_seal(&file.root, file.sessions, &owner);
        cr_expect_eq(check(bytes, sizeof file), FASTER_CORRUPT, "session %u is a forgotten one", i);
        file.sessions[i].serial = 1;
    }
}

#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct fst_root root = good_root();                                                        \
        change;                                                                                    \
        cr_expect_eq(check_sealed(root), FASTER_CORRUPT, #change);                                 \
    } while (0)

Test(checkpoint_format, roots_that_make_no_sense_are_refused) {
    cr_expect_eq(check_sealed(good_root()), FASTER_OK);
    REFUSED(root.number = NUMBER + 1);
    REFUSED(root.kind = 0);
    REFUSED(root.kind = 5);
    REFUSED(root.kind = FST_ROOT_SNAPSHOT);   /* without data */
    REFUSED(root.kind = FST_ROOT_INDEX_ONLY); /* with another's index */
    REFUSED(root.data_number = 1);
    REFUSED(root.resume_at = 16384);
    REFUSED(root.begin = 0);
    REFUSED(root.begin = 8208);
    REFUSED(root.point_number = 0);
    REFUSED(root.point_nonce = 0);
    REFUSED(root.point_start = 8200);
    REFUSED(root.point_control_address = 8200);
    REFUSED(root.point_end = 8201);
    REFUSED(root.index_number = NUMBER + 1);
    REFUSED(root.index_number = 0);
    REFUSED(root.index_nonce = 0);
}

/* ---- the index ---- */

static struct fst_index_file good_header(void) {
    const struct fst_format_owner owner = good_owner();
    struct fst_index_file header = {.number = NUMBER, .nonce = 5, .replay_from = 65536};
    fst_index_file_seal(&header, &owner);
    return header;
}

static uint64_t block[FST_INDEX_BLOCK_BYTES / 8];

/* Two buckets, the second with two entries. */
static void make_entries(uint64_t first, uint64_t second) {
    const uint16_t counts[2] = {0, 2};
    const struct fst_index_block start = {.kind = FST_INDEX_BLOCK_ENTRIES,
                                          .bits = 10,
                                          .number = 4,
                                          .first_bucket = 600,
                                          .bucket_count = 2,
                                          .count = 2};
    memset(block, 0, sizeof block);
    memcpy(block, &start, sizeof start);
    memcpy((char *)block + FST_INDEX_BLOCK_HEADER_BYTES, counts, sizeof counts);
    memcpy((char *)block + fst_index_block_entries_at(2), (uint64_t[]){first, second}, 16);
}

static bool block_passes(void) {
    const struct fst_format_owner owner = good_owner();
    const struct fst_index_file header = good_header();
    struct fst_index_block checked;
    return fst_index_block_check(block, &header, 4, &owner, &checked);
}

static bool sealed_passes(void) {
    const struct fst_format_owner owner = good_owner();
    fst_index_block_seal(block, good_header().nonce, &owner);
    return block_passes();
}

Test(checkpoint_format, index_blocks_pass_and_damage_is_noticed) {
    const uint64_t one = fst_index_entry_of(10, 11, 0x3fff, fst_addr_of(4096));
    const uint64_t two = fst_index_entry_of(10, 10, 0, fst_addr_of(FST_ADDR_MAX - 7));
    cr_expect_eq(fst_index_entry_bits(10, one), 11);
    make_entries(one, two);
    cr_expect(sealed_passes());
    unsigned char *bytes = (unsigned char *)block;
    for (size_t byte = 0; byte < sizeof block; byte++) {
        bytes[byte] ^= 0x10;
        cr_expect_not(block_passes(), "byte %zu", byte);
        bytes[byte] ^= 0x10;
    }
    make_entries(one, fst_index_entry_of(10, 9, 1, fst_addr_of(4096)));
    cr_expect_not(sealed_passes(), "bucket 601 of an index of 9 bits");
    make_entries(one, two | UINT64_C(1) << 63);
    cr_expect_not(sealed_passes(), "a reserved bit");
    make_entries(one, fst_index_entry_of(10, 10, 1, fst_addr_of(4088)));
    cr_expect_not(sealed_passes(), "an address below the log's first");
    make_entries(one, two);
    block[FST_INDEX_BLOCK_BYTES / 8 - 1] = 1;
    cr_expect_not(sealed_passes(), "bytes that nothing uses");
}

Test(checkpoint_format, index_header_damage_is_noticed) {
    const struct fst_format_owner owner = good_owner();
    const struct fst_index_file header = good_header();
    struct fst_index_file checked;
    unsigned char bytes[FST_INDEX_FILE_HEADER_BYTES] = {0};
    memcpy(bytes, &header, sizeof header);
    cr_expect_eq(fst_index_file_check(bytes, sizeof bytes, &owner, NUMBER, &checked), FASTER_OK);
    for (size_t byte = 0; byte < sizeof bytes; byte++) {
        bytes[byte] ^= 0x20;
        cr_expect(is_refusal(fst_index_file_check(bytes, sizeof bytes, &owner, NUMBER, &checked)),
                  "byte %zu", byte);
        bytes[byte] ^= 0x20;
    }
    cr_expect(is_refusal(fst_index_file_check(bytes, sizeof bytes, &owner, NUMBER + 1, &checked)));
    cr_expect(is_refusal(fst_index_file_check(bytes, sizeof bytes - 1, &owner, NUMBER, &checked)));
}
