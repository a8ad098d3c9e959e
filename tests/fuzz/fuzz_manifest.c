/* fuzz_manifest.c - the small files of a store: identity and the two manifests (P4, P8).
 *
 * Input: a byte of flags, then the content of manifest.0, manifest.1 and `store`, in equal parts
 * of SLOT_BYTES; flags say which of them are there, are sealed first, or are left as they were.
 * Properties: what a check accepts is bytes that the seal would have made; of two manifests the
 * intact one with the higher sequence is used, a damaged one beside it never fails the open, a
 * newer version always does; places survive a round trip.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checksum.h"
#include "fuzz/fuzz.h"
#include "store/store_files.h"

#define SLOT_BYTES (sizeof(struct fst_manifest) + 8)
#define MEMORY_BYTES_MAX (64u << 10)

enum { FLAG_SEAL_0 = 1, FLAG_SEAL_1 = 2, FLAG_NO_0 = 4, FLAG_NO_1 = 8, FLAG_IDENTITY = 16 };

static struct {
    char directory[300];
    struct fst_identity identity;
    struct fst_format_owner owner;
} fixture;

static void make_store(void) {
    const struct fst_identity identity = {.write_discipline = FST_WRITES_TRANSACTIONAL,
                                          .uuid = {1, 2, 3},
                                          .generation = 1,
                                          .page_bits = 14,
                                          .segment_bits = 16,
                                          .tier_count = 1};
    fixture.identity = identity;
    const char *base = fuzz_directory();
    memcpy(fixture.directory, base, strlen(base) + 1);
    fst_identity_seal(&fixture.identity);
    fixture.owner = fst_format_owner_of(&fixture.identity);
    fuzz_write_file(fixture.directory, FST_NAME_IDENTITY, &fixture.identity,
                    sizeof fixture.identity);
    fuzz_write_file(fixture.directory, FST_NAME_LOCK, "", 0);
}

/* ---- one manifest ---- */

struct slot {
    unsigned char bytes[SLOT_BYTES];
    size_t count;
    enum faster_status status;
    struct fst_manifest manifest;
};

static void seal_bytes(struct slot *slot) {
    struct fst_manifest manifest;
    if (slot->count < sizeof manifest) {
        return;
    }
    memcpy(&manifest, slot->bytes, sizeof manifest);
    memcpy(manifest.uuid, fixture.owner.uuid, sizeof manifest.uuid);
    manifest.checksum = fst_checksum64_at(&manifest, offsetof(struct fst_manifest, checksum), 0,
                                          fixture.owner.checksum_seed);
    memcpy(slot->bytes, &manifest, sizeof manifest);
}

static void check_accepted(const struct slot *slot) {
    const struct fst_manifest *manifest = &slot->manifest;
    struct fst_manifest again = *manifest;
    struct faster_place place;
    FUZZ_CHECK(manifest->begin >= FST_ADDR_FIRST_RAW && manifest->begin <= manifest->durable_end,
               "begin");
    fst_manifest_seal(&again, &fixture.owner);
    FUZZ_CHECK(memcmp(&again, slot->bytes, sizeof again) == 0, "accepted, but never written so");
    fst_manifest_place(manifest, &place);
    fst_manifest_set_place(&again, &place);
    FUZZ_CHECK(memcmp(&again, manifest, sizeof again) == 0, "the place is another one");
}

static void take_slot(struct fuzz_input *input, unsigned flags, unsigned number,
                      struct slot *slot) {
    const struct fuzz_input part = fuzz_part(input, SLOT_BYTES);
    const char *name = number == 0 ? FST_NAME_MANIFEST_0 : FST_NAME_MANIFEST_1;
    char path[400];
    slot->count = part.left_bytes;
    if (slot->count > 0) {
        memcpy(slot->bytes, part.at, slot->count);
    }
    /* An input may end within its last manifest, and is one byte of eight too long otherwise. */
    slot->count -= slot->count == SLOT_BYTES ? 8 - (slot->bytes[SLOT_BYTES - 1] & 1u) : 0;
    if ((flags & ((unsigned)FLAG_SEAL_0 << number)) != 0) {
        seal_bytes(slot);
    }
    if ((flags & ((unsigned)FLAG_NO_0 << number)) != 0) {
        snprintf(path, sizeof path, "%s/%s", fixture.directory, name);
        (void)unlink(path);
        slot->status = FASTER_MISSING;
        return;
    }
    fuzz_write_file(fixture.directory, name, slot->bytes, slot->count);
    void *exact = fuzz_exact(slot->bytes, slot->count);
    slot->status = fst_manifest_check(exact, slot->count, &fixture.owner, &slot->manifest);
    free(exact);
    if (slot->status == FASTER_OK) {
        check_accepted(slot);
    }
    if (slot->status == FASTER_OK && slot->count != sizeof slot->manifest) {
        slot->status = FASTER_CORRUPT;
    }
}

/* ---- both ---- */

static enum faster_status expected_status(const struct slot slots[2]) {
    if (slots[0].status == FASTER_VERSION_NEWER || slots[1].status == FASTER_VERSION_NEWER) {
        return FASTER_VERSION_NEWER;
    }
    if (slots[0].status == FASTER_OK || slots[1].status == FASTER_OK) {
        return FASTER_OK;
    }
    return slots[0].status == FASTER_MISSING && slots[1].status == FASTER_MISSING ? FASTER_MISSING
                                                                                  : FASTER_CORRUPT;
}

static void open_both(const struct slot slots[2]) {
    const enum faster_status expected = expected_status(slots);
    const struct fst_store_files_open_config config = {
        .env = fuzz_env(), .directory = fixture.directory, .read_only = true};
    struct fst_store_files *files = NULL;
    struct faster_error error = {0};
    const enum faster_status status = fst_store_files_open(&config, &files, &error);
    FUZZ_CHECK(status == expected, "%s instead of %s: %s", faster_status_name(status),
               faster_status_name(expected), error.message);
    if (status != FASTER_OK) {
        return;
    }
    const struct fst_manifest *newest = fst_store_files_manifest(files);
    for (unsigned i = 0; i < 2; i++) {
        FUZZ_CHECK(slots[i].status != FASTER_OK || slots[i].manifest.sequence <= newest->sequence,
                   "an older manifest is used");
    }
    fst_store_files_close(files);
}

/* ---- identity ---- */

static void check_identity(struct fuzz_input *input) {
    struct fst_identity raw;
    struct fst_identity identity;
    const size_t count = input->left_bytes;
    fuzz_fill(input, &raw, sizeof raw);
    raw.checksum = fst_checksum64(&raw, offsetof(struct fst_identity, checksum), FST_IDENTITY_SEED);
    void *exact = fuzz_exact(&raw, count < sizeof raw ? count : sizeof raw);
    if (fst_identity_check(exact, count < sizeof raw ? count : sizeof raw, &identity) ==
        FASTER_OK) {
        struct fst_identity again = identity;
        fst_identity_seal(&again);
        again.format_version = identity.format_version; /* older ones are accepted, too */
        again.checksum = identity.checksum;
        FUZZ_CHECK(count >= sizeof raw && memcmp(&again, &raw, sizeof again) == 0,
                   "accepted, but never written so");
    }
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes) {
    struct fuzz_input input = {data, size_bytes};
    struct slot slots[2] = {0};
    fuzz_env_begin();
    if (fixture.directory[0] == '\0') {
        make_store();
    }
    const unsigned flags = fuzz_byte(&input);
    if ((flags & FLAG_IDENTITY) != 0) {
        check_identity(&input);
        return 0;
    }
    take_slot(&input, flags, 0, &slots[0]);
    take_slot(&input, flags, 1, &slots[1]);
    open_both(slots);
    fuzz_env_end(MEMORY_BYTES_MAX);
    return 0;
}
