/* fuzz_checkpoint.c - the files of a checkpoint: names, roots, headers and blocks of an index (P8).
 *
 * Input: a byte that says what the rest is and whether it is sealed first. A block is as long as
 * the input says and zero behind that. Properties: a name that is accepted is the one its number
 * makes; accepted bytes are those that the seal makes of what was read; with another number, cut
 * short or with a flipped bit they are refused; what a reader of a block may rely on, holds.
 */
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "fuzz/fuzz.h"
#include "shapes/checkpoint_format.h"

#define NUMBER 7u
#define BLOCK_NUMBER 4u
#define NONCE 5u

enum { KIND_NAME, KIND_ROOT, KIND_HEADER, KIND_BLOCK, KIND_COUNT };
enum { FLAG_SEAL = 4 };

static const struct fst_format_owner owner = {
    .uuid = {1, 2, 3}, .generation = 1, .checksum_seed = 99};

static void check_name(struct fuzz_input *input) {
    char name[64];
    char made[FST_CHECKPOINT_NAME_BYTES];
    enum fst_checkpoint_file file;
    uint64_t number;
    fuzz_fill(input, name, sizeof name);
    name[sizeof name - 1] = '\0';
    if (fst_checkpoint_name_parse(name, &file, &number)) {
        fst_checkpoint_name(file, number, made);
        FUZZ_CHECK(strcmp(name, made) == 0, "%s is taken for %s", name, made);
    }
}

static bool is_refusal(enum faster_status status) {
    return status == FASTER_CORRUPT || status == FASTER_FOREIGN || status == FASTER_VERSION_NEWER;
}

static void flip(unsigned char *bytes, size_t bit) {
    bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
}

/* ---- roots ---- */

static void seal_root(unsigned char *bytes, size_t count) {
    struct fst_root root;
    if (count < sizeof root) {
        return;
    }
    memcpy(&root, bytes, sizeof root);
    memcpy(root.uuid, owner.uuid, sizeof root.uuid);
    root.checksum =
        fst_checksum64_at(&root, offsetof(struct fst_root, checksum), 0, owner.checksum_seed);
    if (root.session_count > 0) {
        root.checksum = fst_checksum64(bytes + sizeof root, count - sizeof root, root.checksum);
    }
    memcpy(bytes, &root, sizeof root);
}

static void check_accepted_root(unsigned char *bytes, size_t count, const struct fst_root *read,
                                size_t bit) {
    struct fst_root again = *read;
    struct fst_root other;
    FUZZ_CHECK(count == sizeof again + read->session_count * sizeof(struct fst_named_serial),
               "size");
    fst_root_seal(&again, (const struct fst_named_serial *)(const void *)(bytes + sizeof again),
                  &owner);
    FUZZ_CHECK(memcmp(&again, bytes, sizeof again) == 0, "accepted, but never written so");
    FUZZ_CHECK(is_refusal(fst_root_check(bytes, count, &owner, NUMBER + 1, &other)), "number");
    FUZZ_CHECK(is_refusal(fst_root_check(bytes, count - 1, &owner, NUMBER, &other)), "cut short");
    flip(bytes, bit % (8 * count));
    FUZZ_CHECK(is_refusal(fst_root_check(bytes, count, &owner, NUMBER, &other)), "flipped bit");
}

static void check_root(struct fuzz_input *input, bool is_sealed, size_t bit) {
    const size_t count = input->left_bytes;
    unsigned char *bytes = fuzz_exact(input->at, count);
    struct fst_root root;
    if (is_sealed) {
        seal_root(bytes, count);
    }
    const enum faster_status status = fst_root_check(bytes, count, &owner, NUMBER, &root);
    FUZZ_CHECK(status == FASTER_OK || is_refusal(status), "%s", faster_status_name(status));
    if (status == FASTER_OK) {
        check_accepted_root(bytes, count, &root, bit);
    }
    free(bytes);
}

/* ---- headers of an index ---- */

static void check_header(struct fuzz_input *input, bool is_sealed, size_t bit) {
    unsigned char *bytes = calloc(1, FST_INDEX_FILE_HEADER_BYTES);
    struct fst_index_file header;
    struct fst_index_file again;
    fuzz_fill(input, bytes, FST_INDEX_FILE_HEADER_BYTES);
    memcpy(&header, bytes, sizeof header);
    if (is_sealed) {
        header.checksum = fst_checksum64_at(&header, offsetof(struct fst_index_file, checksum), 0,
                                            owner.checksum_seed);
        memcpy(bytes, &header, sizeof header);
    }
    const enum faster_status status =
        fst_index_file_check(bytes, FST_INDEX_FILE_HEADER_BYTES, &owner, NUMBER, &header);
    FUZZ_CHECK(status == FASTER_OK || is_refusal(status), "%s", faster_status_name(status));
    if (status == FASTER_OK) {
        again = header;
        fst_index_file_seal(&again, &owner);
        FUZZ_CHECK(memcmp(&again, bytes, sizeof again) == 0, "accepted, but never written so");
        FUZZ_CHECK(header.point_end <= header.replay_from, "the point lies above the replay");
        flip(bytes, bit % (8u * FST_INDEX_FILE_HEADER_BYTES));
        FUZZ_CHECK(is_refusal(fst_index_file_check(bytes, FST_INDEX_FILE_HEADER_BYTES, &owner,
                                                   NUMBER, &again)),
                   "flipped bit");
    }
    free(bytes);
}

/* ---- blocks ---- */

/* Walks as a reader does; the block is in exactly its bytes. */
static void walk_entries(const unsigned char *bytes, const struct fst_index_block *block) {
    const size_t at = fst_index_block_entries_at(block->bucket_count);
    uint32_t taken = 0;
    for (uint32_t i = 0; i < block->bucket_count; i++) {
        uint16_t count;
        memcpy(&count, bytes + FST_INDEX_BLOCK_HEADER_BYTES + i * sizeof count, sizeof count);
        for (; count > 0; count--, taken++) {
            uint64_t entry;
            memcpy(&entry, bytes + at + taken * sizeof entry, sizeof entry);
            const uint32_t bits = fst_index_entry_bits(block->bits, entry);
            FUZZ_CHECK(bits >= 1 && bits <= FST_FORMAT_INDEX_BITS_MAX, "bits");
            FUZZ_CHECK((block->first_bucket + i) >> bits == 0, "no such bucket");
            FUZZ_CHECK((entry & FST_INDEX_ENTRY_ADDR_MASK) >= FST_ADDR_FIRST_RAW, "address");
        }
    }
    FUZZ_CHECK(taken == block->count, "count");
}

static void walk_ranges(const unsigned char *bytes, const struct fst_index_block *block,
                        uint64_t replay_from) {
    uint64_t before = 0;
    for (uint32_t i = 0; i < block->count; i++) {
        struct fst_address_range range;
        memcpy(&range, bytes + FST_INDEX_BLOCK_HEADER_BYTES + i * sizeof range, sizeof range);
        FUZZ_CHECK(before <= range.start && range.start < range.end && range.end <= replay_from,
                   "range");
        before = range.end;
    }
}

static void check_block(struct fuzz_input *input, bool is_sealed, size_t bit) {
    const struct fst_index_file header = {.nonce = NONCE, .replay_from = 65536};
    unsigned char *bytes = calloc(1, FST_INDEX_BLOCK_BYTES);
    struct fst_index_block block;
    fuzz_fill(input, bytes, FST_INDEX_BLOCK_BYTES);
    if (is_sealed) {
        fst_index_block_seal(bytes, NONCE, &owner);
    }
    if (fst_index_block_check(bytes, &header, BLOCK_NUMBER, &owner, &block)) {
        if (block.kind == FST_INDEX_BLOCK_ENTRIES) {
            walk_entries(bytes, &block);
        } else if (block.kind == FST_INDEX_BLOCK_RANGES) {
            walk_ranges(bytes, &block, header.replay_from);
        }
        FUZZ_CHECK(!fst_index_block_check(bytes, &header, BLOCK_NUMBER + 1, &owner, &block),
                   "number");
        flip(bytes, (bit * 64) % (8u * FST_INDEX_BLOCK_BYTES));
        FUZZ_CHECK(!fst_index_block_check(bytes, &header, BLOCK_NUMBER, &owner, &block),
                   "flipped bit");
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes) {
    struct fuzz_input input = {data, size_bytes};
    const unsigned flags = fuzz_byte(&input);
    const size_t bit = fuzz_byte(&input) * 9u;
    const bool is_sealed = (flags & FLAG_SEAL) != 0;
    switch (flags % KIND_COUNT) {
    case KIND_NAME:
        check_name(&input);
        break;
    case KIND_ROOT:
        check_root(&input, is_sealed, bit);
        break;
    case KIND_HEADER:
        check_header(&input, is_sealed, bit);
        break;
    default:
        check_block(&input, is_sealed, bit);
        break;
    }
    return 0;
}
