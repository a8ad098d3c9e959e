/* test_verify.c - what is found wrong is named (P4). */
#include "store_rig.h"

#include "primitives/segment_files.h"
#include "store/store.h"

#define ROWS 100u

struct findings {
    struct faster_finding each[8];
    char keys[8][16];
    char files[8][64];
    char what[8][64];
    unsigned count;
};

static void collect(void *context, const struct faster_finding *finding) {
    struct findings *findings = context;
    cr_assert_lt(findings->count, 8);
    cr_assert_lt(finding->key.size_bytes, sizeof findings->keys[0]);
    if (finding->key.size_bytes > 0) {
        memcpy(findings->keys[findings->count], finding->key.data, finding->key.size_bytes);
    }
    snprintf(findings->files[findings->count], sizeof findings->files[0], "%s", finding->file);
    snprintf(findings->what[findings->count], sizeof findings->what[0], "%s", finding->what);
    findings->each[findings->count++] = *finding;
}

/* In its segment's file. */
static uint64_t offset_of(const struct rig *rig, uint64_t address) {
    return FST_SEGMENT_HEADER_BYTES + address % rig->options.segment_bytes;
}

/* The address of the key's newest record, which is the first of its chain. */
static uint64_t address_of(struct rig *rig, const char *key) {
    struct faster_bytes bytes = {key, strlen(key)};
    struct fst_index_slot slot;
    cr_assert(fst_hash_index_find(rig->store->index, fst_key_hash(rig->store, &bytes), &slot));
    return fst_index_slot_addr(&slot).raw;
}

/* Makes the chain of `key` end before its only record. Returns the record's address. */
static uint64_t cut_off(struct rig *rig, const char *key) {
    struct faster_bytes bytes = {key, strlen(key)};
    struct fst_index_slot slot;
    ASSERT_OK(
        fst_hash_index_find_for_write(rig->store->index, fst_key_hash(rig->store, &bytes), &slot));
    uint64_t address = fst_index_slot_addr(&slot).raw;
    cr_assert(fst_hash_index_publish(rig->store->index, &slot, fst_addr_of(0)));
    return address;
}

Test(verify, names_every_record_that_its_chain_lost) {
    static const char *const LOST[] = {"k3", "k70", "k71"};
    struct findings findings = {.count = 0};
    uint64_t addresses[3];
    uint64_t count = 0;
    struct rig rig;
    rig_start(&rig, 4096);
    for (unsigned i = 0; i < ROWS; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        rig_commit_put(&rig, key, i + 1, 2000);
    }
    rig_verify(&rig);
    for (unsigned i = 0; i < 3; i++) {
        addresses[i] = cut_off(&rig, LOST[i]);
    }
    ASSERT_OK(faster_session_verify(rig.session, collect, &findings, NULL, NULL, &count));
    cr_assert_eq(count, 3);
    cr_assert_eq(findings.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        char segment[FST_SEGMENT_NAME_BYTES];
        fst_segment_name(addresses[i] >> rig.store->identity.segment_bits, segment);
        cr_assert_str_eq(findings.keys[i], LOST[i]);
        cr_assert_eq(findings.each[i].address, addresses[i]);
        cr_assert_eq(findings.each[i].offset, offset_of(&rig, addresses[i]));
        cr_assert_str_eq(findings.files[i], segment);
    }
    rig_finish(&rig);
}

/* Of the store's file that holds it. Flips a bit there. */
static void flip(const struct rig *rig, const char *name, uint64_t offset) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", rig->directory, name);
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    cr_assert(fseek(file, (long)offset, SEEK_SET) == 0);
    const int byte = fgetc(file);
    cr_assert(byte != EOF && fseek(file, (long)offset, SEEK_SET) == 0);
    cr_assert(fputc(byte ^ 0x10, file) != EOF && fclose(file) == 0);
}

static void write_rows(struct rig *rig, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        rig_commit_put(rig, key, i + 1, 2000);
    }
}

Test(verify, goes_on_behind_every_damaged_record) {
    static const char *const HIT[] = {"k3", "k40", "k41", "k90"};
    struct findings findings = {.count = 0};
    uint64_t addresses[4];
    uint64_t count = 0;
    struct rig rig;
    rig_start(&rig, RIG_NEVER_INLINE);
    write_rows(&rig, 100);
    for (unsigned i = 0; i < 4; i++) {
        addresses[i] = address_of(&rig, HIT[i]);
    }
    write_rows(&rig, 600); /* k0 to k99 anew: their old records are on disk */
    for (unsigned i = 0; i < 4; i++) {
        char segment[FST_SEGMENT_NAME_BYTES];
        cr_assert_lt(addresses[i], fst_log_head(rig.store->log).raw);
        fst_segment_name(addresses[i] >> rig.store->identity.segment_bits, segment);
        flip(&rig, segment, offset_of(&rig, addresses[i]) + 40);
    }
    ASSERT_OK(faster_session_verify(rig.session, collect, &findings, NULL, NULL, &count));
    /* k40 and k41 lie in one page, if the second is not the first of the next. */
    const bool same_page = addresses[1] / RIG_PAGE_BYTES == addresses[2] / RIG_PAGE_BYTES;
    cr_assert_eq(count, same_page ? 3 : 4, "%llu", (unsigned long long)count);
    for (unsigned i = 0, found = 0; i < 4; i++) {
        if (i == 2 && same_page) {
            continue;
        }
        cr_assert_str_eq(findings.what[found], "a record is damaged");
        cr_assert_eq(findings.each[found].address, addresses[i]);
        cr_assert_eq(findings.each[found].offset, offset_of(&rig, addresses[i]));
        found++;
    }
    rig_finish(&rig);
}

/* The damage is not in the way of reading the log on; the keys behind it in its chain are named. */
Test(verify, names_the_keys_that_are_lost_with_a_damaged_record) {
    struct findings findings = {.count = 0};
    uint64_t count = 0;
    struct rig rig;
    rig_start(&rig, RIG_NEVER_INLINE);
    rig_commit_put(&rig, "a", 1, 2000);
    const uint64_t below = address_of(&rig, "a");
    rig_commit_put(&rig, "b", 1, 2000);
    const uint64_t damaged = address_of(&rig, "b");
    write_rows(&rig, 600);
    /* The record of b stands in for one of the same chain as a. */
    struct faster_bytes key = {"a", 1};
    struct fst_index_slot slot;
    ASSERT_OK(
        fst_hash_index_find_for_write(rig.store->index, fst_key_hash(rig.store, &key), &slot));
    cr_assert(fst_hash_index_publish(rig.store->index, &slot, fst_addr_of(damaged)));
    char segment[FST_SEGMENT_NAME_BYTES];
    fst_segment_name(damaged >> rig.store->identity.segment_bits, segment);
    flip(&rig, segment, offset_of(&rig, damaged) + 40);
    ASSERT_OK(faster_session_verify(rig.session, collect, &findings, NULL, NULL, &count));
    cr_assert_eq(count, 2, "%llu", (unsigned long long)count);
    cr_assert_str_eq(findings.what[0], "a record is damaged");
    cr_assert_eq(findings.each[0].address, damaged);
    cr_assert_str_eq(findings.what[1], "a record cannot be reached through its chain");
    cr_assert_eq(findings.each[1].address, below);
    cr_assert_str_eq(findings.keys[1], "a");
    rig_finish(&rig);
}

/* Of a segment that is opened again, as of one that a later life opens. */
Test(verify, goes_on_behind_a_segment_that_is_anothers) {
    struct findings findings = {.count = 0};
    char segment[FST_SEGMENT_NAME_BYTES];
    uint64_t count = 0;
    struct rig rig;
    rig_start(&rig, RIG_NEVER_INLINE);
    write_rows(&rig, 3000);
    cr_assert_gt(fst_log_head(rig.store->log).raw,
                 (FST_SEGMENT_FILES_MAX + 8) * rig.options.segment_bytes);
    fst_segment_name(2, segment);
    flip(&rig, segment, 20);
    ASSERT_OK(faster_session_verify(rig.session, collect, &findings, NULL, NULL, &count));
    cr_assert_eq(count, 2, "%llu", (unsigned long long)count);
    cr_assert_str_eq(findings.what[0], "the segment's header is damaged");
    cr_assert_eq(findings.each[0].offset, 0);
    cr_assert_str_eq(findings.what[1], "the segment is none of the store's, or damaged as a whole");
    cr_assert_eq(findings.each[1].address, 2 * rig.options.segment_bytes);
    cr_assert_str_eq(findings.files[0], segment);
    cr_assert_str_eq(findings.files[1], segment);
    rig_finish(&rig);
}

Test(verify, file_that_cannot_be_opened_is_a_failure_and_no_finding) {
    struct rig rig;
    uint64_t count = 1;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 1, 0);
    fst_test_env_fail(rig.test, FST_TEST_FILE_OPEN, 1, 1, FASTER_FULL);
    ASSERT_STATUS(faster_session_verify(rig.session, NULL, NULL, NULL, NULL, &count), FASTER_FULL);
    cr_assert_eq(count, 0);
    rig_verify(&rig);
    rig_finish(&rig);
}
