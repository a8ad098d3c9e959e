/* test_verify.c - what is found wrong is named (P4). */
#include "store_rig.h"

#include "primitives/segment_files.h"
#include "store/txn.h"

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

/* ---- the decider's rows ---- */

static void verify_rows(struct rig *rig, struct findings *findings) {
    uint64_t count = 0;
    findings->count = 0;
    ledger_rewind(&rig->ledger);
    ASSERT_OK(faster_session_verify_all(rig->session, ledger_next, &rig->ledger, collect, findings,
                                        NULL, NULL, &count));
    cr_assert_eq(count, findings->count);
}

static void want_no_findings(struct rig *rig) {
    struct findings findings;
    verify_rows(rig, &findings);
    cr_assert_eq(findings.count, 0, "%s", findings.what[0]);
}

/* In memory, after a crash, written by a later life, and with all of it synced. */
Test(verify, rows_of_an_intact_store_are_right) {
    uint64_t obsolete_below;
    struct rig rig;
    rig_start(&rig, 4096);
    for (unsigned life = 0; life < 3; life++) {
        for (unsigned i = 0; i < 40; i++) {
            char key[16];
            snprintf(key, sizeof key, "k%u", i);
            rig_commit_put(&rig, key, i + 1, 20 * i);
            struct faster_txn *txn = rig_begin(&rig);
            ASSERT_OK(faster_txn_savepoint(txn, 0));
            ASSERT_OK(rig_put(txn, "undone", i, 50));
            ASSERT_OK(faster_txn_rollback_to(txn, 0));
            ASSERT_OK(rig_put(txn, "other", i, 10));
            rig_commit(&rig, txn);
        }
        want_no_findings(&rig);
        rig_crash(&rig);
        rig_open(&rig);
        ASSERT_OK(ledger_meet(&rig.ledger, rig.session));
        want_no_findings(&rig);
        rig_commit_put(&rig, "later", life + 1, 10);
        want_no_findings(&rig);
    }
    ASSERT_OK(rig_checkpoint(&rig, &obsolete_below));
    want_no_findings(&rig);
    rig_finish(&rig);
}

static void seal_row(const struct rig *rig, struct faster_commit_row *row) {
    row->checksum = fst_row_checksum(rig->store, row);
}

static void want_in_row(struct rig *rig, const struct faster_commit_row *row, const char *what,
                        uint64_t address) {
    char expected[64];
    struct findings findings;
    verify_rows(rig, &findings);
    snprintf(expected, sizeof expected, "the row of commit %llu: %s",
             (unsigned long long)row->number, what);
    cr_assert_eq(findings.count, 1);
    cr_assert_str_eq(findings.what[0], expected);
    cr_assert_str_eq(findings.files[0], "");
    cr_assert_eq(findings.each[0].address, address);
}

Test(verify, what_is_wrong_with_a_row_is_named) {
    struct rig rig;
    rig_start(&rig, 4096);
    for (unsigned i = 0; i < 5; i++) {
        rig_commit_put(&rig, "k", i, 100);
    }
    want_no_findings(&rig);
    struct faster_commit_row *row = &rig.ledger.rows[2];
    const struct faster_commit_row before = *row;
    const uint64_t from = row->end - row->redo_bytes;
    unsigned char *redo = (unsigned char *)(uintptr_t)row->redo;
    cr_assert_gt(row->redo_bytes, 100);

    redo[60] ^= 1;
    want_in_row(&rig, row, "it is damaged, or another store's", row->end);
    seal_row(&rig, row);
    want_in_row(&rig, row, "its redo holds a damaged record", from);
    struct fst_record_shape shape;
    cr_assert(fst_record_parse(redo, row->redo_bytes, &shape));
    const uint32_t sum =
        fst_record_checksum(redo, &shape, fst_addr_of(from), rig.store->checksum_seed);
    uint32_t right_sum;
    memcpy(&right_sum, redo + 8, sizeof right_sum);
    memcpy(redo + 8, &sum, sizeof sum);
    seal_row(&rig, row);
    want_in_row(&rig, row, "its redo and the log differ", from);
    memcpy(redo + 8, &right_sum, sizeof right_sum);
    redo[60] ^= 1;
    *row = before;
    want_no_findings(&rig);

    row->nonce++;
    seal_row(&rig, row);
    want_in_row(&rig, row, "the log has another commit at its address", row->control_address);
    *row = before;
    row->number = rig.ledger.rows[1].number;
    seal_row(&rig, row);
    struct findings findings;
    verify_rows(&rig, &findings);
    cr_assert_eq(findings.count, 2); /* and the log's control record has another number */
    cr_assert_str_eq(findings.what[0], "the row of commit 2: it is not behind the row before it");
    *row = before;
    want_no_findings(&rig);
    rig_finish(&rig);
}

static enum faster_status fail_to_read(void *context, struct faster_commit_row *row) {
    (void)context;
    (void)row;
    return FASTER_IO;
}

Test(verify, rows_that_cannot_be_read_are_a_failure) {
    uint64_t count = 1;
    struct rig rig;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 1, 0);
    ASSERT_STATUS(
        faster_session_verify_all(rig.session, fail_to_read, NULL, NULL, NULL, NULL, NULL, &count),
        FASTER_IO);
    cr_assert_eq(count, 0);
    rig_finish(&rig);
}
