/* test_chunks_damage.c - large values when reads fail, bytes flip, space runs out, and the store is
 * an old one (P2, P4, P6, P7, P8, P10).
 *
 * Pages have 16 KiB, memory holds some twenty of them.
 */
#include "large_values.h"

#include "base/checksum.h"
#include "shapes/format_codec.h"
#include "store/chunks.h"

#define PAGE RIG_PAGE_BYTES

static struct rig rig;

static void start(void) {
    rig_start(&rig, 4096);
}

static void stop(void) {
    rig_finish(&rig);
}

TestSuite(chunks_damage, .init = start, .fini = stop, .timeout = 120);

/* Pushes what was written before out of memory. */
static void push_out(void) {
    large_commit_put(&rig, "out", 40 * PAGE, 1);
}

/* ---- failures and damage ---- */

Test(chunks_damage, failure_of_any_read_is_an_error_and_no_value) {
    large_commit_put(&rig, "a", 8 * PAGE, 1);
    push_out();
    struct faster_snapshot snapshot;
    struct faster_buffer value;
    large_open_newest(&rig, &snapshot);
    unsigned failures = 0;
    enum faster_status status = FASTER_IO;
    for (unsigned nth = 1; status != FASTER_OK; nth++) {
        fst_test_env_fail(rig.test, FST_TEST_FILE_READ, nth, 1, FASTER_IO);
        status = large_read(&rig, &snapshot, "a", &value);
        cr_assert(status == FASTER_IO || status == FASTER_OK);
        failures += status == FASTER_IO;
        cr_assert(status != FASTER_OK || large_equals(value.data, value.size_bytes, 8 * PAGE, 1));
        faster_buffer_finish(&value);
    }
    cr_assert_geq(failures, 9); /* the head and each of its chunks */
    fst_test_env_heal_all(rig.test);
    for (unsigned nth = 1; nth < 3; nth++) {
        fst_test_env_fail(rig.test, FST_TEST_ALLOCATE, nth, 1, FASTER_NOMEM);
        status = large_read(&rig, &snapshot, "a", &value);
        cr_assert(status == FASTER_NOMEM || status == FASTER_OK);
        faster_buffer_finish(&value);
    }
    fst_test_env_heal_all(rig.test);
    faster_snapshot_close(&snapshot);
    large_want(&rig, "a", 8 * PAGE, 1);
}

static void flip_byte(uint64_t addr) {
    char name[FST_SEGMENT_NAME_BYTES], path[400];
    const uint32_t segment_bits = rig.store->identity.segment_bits;
    fst_segment_name(addr >> segment_bits, name);
    snprintf(path, sizeof path, "%s/%s", rig.directory, name);
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    const long offset =
        (long)(FST_SEGMENT_HEADER_BYTES + (addr & ((UINT64_C(1) << segment_bits) - 1)));
    cr_assert(fseek(file, offset, SEEK_SET) == 0);
    const int byte = fgetc(file);
    cr_assert(byte != EOF && fseek(file, offset, SEEK_SET) == 0);
    cr_assert(fputc(byte ^ 0x10, file) != EOF && fclose(file) == 0);
}

static uint64_t find_findings(void) {
    uint64_t findings = 0;
    ASSERT_OK(faster_session_verify(rig.session, NULL, NULL, NULL, NULL, &findings));
    return findings;
}

/* The address of the key's record, which is the only one of its chain. */
static uint64_t address_of(const char *key) {
    struct faster_bytes bytes = {key, strlen(key)};
    struct fst_index_slot slot;
    cr_assert(fst_hash_index_find(rig.store->index, fst_key_hash(rig.store, &bytes), &slot));
    return fst_index_slot_addr(&slot).raw;
}

/* Every chunk in turn, its header, its start and its last byte; then the head's list. */
Test(chunks_damage, damage_in_any_chunk_is_found_by_reads_scans_and_verify) {
    const uint64_t from = rig_stat(&rig, "log_tail");
    large_commit_put(&rig, "a", 8 * PAGE, 1);
    const uint64_t head = address_of("a");
    push_out();
    const uint64_t places[] = {2, 9, 13, 20, 30, 40, 47, 50, 2000};
    unsigned damaged = 0;
    for (uint64_t page = from / PAGE; page <= head / PAGE; page++) {
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            const uint64_t addr = (page == from / PAGE ? from : page * PAGE) + places[i];
            flip_byte(addr);
            ASSERT_STATUS(large_status(&rig, "a"), FASTER_CORRUPT);
            cr_assert_geq(find_findings(), 1);
            flip_byte(addr);
            damaged++;
            large_want(&rig, "a", 8 * PAGE, 1);
        }
    }
    cr_assert_geq(damaged, 9 * 8);
    flip_byte(head + 24);
    ASSERT_STATUS(large_status(&rig, "a"), FASTER_CORRUPT);
    cr_assert_geq(find_findings(), 1);
    flip_byte(head + 24);
    cr_assert_eq(find_findings(), 0);
}

/* Under good checksums, and in memory without any: the chunks of another value are none of ours. */
Test(chunks_damage, chunks_of_another_value_are_corruption) {
    large_commit_put(&rig, "a", 3 * PAGE, 1);
    large_commit_put(&rig, "b", 3 * PAGE, 2);
    unsigned char *a = fst_log_at(rig.store->log, fst_addr_of(address_of("a")));
    unsigned char *b = fst_log_at(rig.store->log, fst_addr_of(address_of("b")));
    struct fst_chunk_list list_of_a, list_of_b, forged;
    memcpy(&list_of_a, a + 17, sizeof list_of_a);
    memcpy(&list_of_b, b + 17, sizeof list_of_b);
    cr_assert_eq(list_of_a.value_bytes, 3 * PAGE);
    forged = list_of_b;
    forged.last_address = list_of_a.last_address;
    forged.last_record_bytes = list_of_a.last_record_bytes;
    forged.first_address = list_of_a.first_address;
    memcpy(b + 17, &forged, sizeof forged);
    large_want(&rig, "b", 3 * PAGE, 1); /* the forgery is perfect: it is the other's list */
    forged.first_address = list_of_a.first_address + 8;
    memcpy(b + 17, &forged, sizeof forged);
    ASSERT_STATUS(large_status(&rig, "b"), FASTER_CORRUPT);
    forged = list_of_b;
    forged.value_bytes--;
    memcpy(b + 17, &forged, sizeof forged);
    ASSERT_STATUS(large_status(&rig, "b"), FASTER_CORRUPT);
    cr_assert_eq(find_findings(), 1);
    forged = list_of_b;
    forged.chunk_count++;
    memcpy(b + 17, &forged, sizeof forged);
    ASSERT_STATUS(large_status(&rig, "b"), FASTER_CORRUPT);
    forged = list_of_b;
    forged.chunk_count--;
    memcpy(b + 17, &forged, sizeof forged);
    ASSERT_STATUS(large_status(&rig, "b"), FASTER_CORRUPT);
    memcpy(b + 17, &list_of_b, sizeof list_of_b);
    large_want(&rig, "b", 3 * PAGE, 2);
    rig_verify(&rig);
}

/* ---- space and memory ---- */

Test(chunks_damage, truncation_keeps_chunks_of_live_heads_and_frees_dead_ones) {
    uint64_t obsolete;
    large_commit_put(&rig, "dead", 30 * PAGE, 1);
    const uint64_t live_from = rig_stat(&rig, "log_tail");
    large_commit_put(&rig, "live", 20 * PAGE, 2);
    large_commit_put(&rig, "dead", 30 * PAGE, 3);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete));
    cr_assert_leq(rig_stat(&rig, "log_begin"), live_from);
    cr_assert_gt(rig_stat(&rig, "log_begin"), live_from - PAGE);
    large_want(&rig, "live", 20 * PAGE, 2);
    rig_verify(&rig);
    rig_crash(&rig);
    rig_open(&rig);
    large_want(&rig, "live", 20 * PAGE, 2);
    large_want(&rig, "dead", 30 * PAGE, 3);
    rig_commit_delete(&rig, "live");
    rig_commit_delete(&rig, "dead");
    push_out();
    rig_commit_delete(&rig, "out");
    ASSERT_OK(rig_checkpoint(&rig, &obsolete));
    cr_assert_gt(rig_stat(&rig, "log_begin"), live_from + 90 * PAGE);
    cr_assert_eq(rig_count(&rig), 0);
    rig_verify(&rig);
}

/* What failed or was rolled back is dead, too. */
Test(chunks_damage, truncation_frees_chunks_without_a_head) {
    uint64_t obsolete;
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(large_put(&rig, txn, "a", 50 * PAGE, 1));
    faster_txn_rollback(txn);
    txn = rig_begin(&rig);
    fst_test_env_fail(rig.test, FST_TEST_FILE_WRITE, 10, FST_TEST_FOR_EVER, FASTER_FULL);
    ASSERT_STATUS(large_put(&rig, txn, "a", 100 * PAGE, 3), FASTER_FULL);
    fst_test_env_heal_all(rig.test);
    ASSERT_OK(large_put(&rig, txn, "b", 2 * PAGE, 4));
    rig_commit(&rig, txn);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete));
    cr_assert_gt(rig_stat(&rig, "log_begin"), 52 * PAGE);
    large_want(&rig, "b", 2 * PAGE, 4);
    rig_verify(&rig);
}

/* Beside the value itself, in the caller's hands, the store keeps to its budget. */
Test(chunks_damage, value_of_64_mib_needs_no_more_memory_than_the_budget) {
    const size_t size = (size_t)64 << 20;
    struct faster_snapshot snapshot;
    struct faster_scan *scan;
    struct faster_bytes key, value;
    large_commit_put(&rig, "a", size, 1);
    cr_assert_leq(fst_test_env_peak_bytes(rig.test), FASTER_MEMORY_BYTES_MIN * 5 / 4);
    large_want(&rig, "a", size, 1);
    large_open_newest(&rig, &snapshot);
    ASSERT_OK(faster_scan_open(&snapshot, &scan));
    ASSERT_OK(faster_scan_next(scan, &key, &value));
    cr_assert(large_equals(value.data, value.size_bytes, size, 1));
    ASSERT_STATUS(faster_scan_next(scan, &key, &value), FASTER_END);
    faster_scan_close(scan);
    faster_snapshot_close(&snapshot);
    const struct large_expected same = {size, 1};
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(large_write(&rig, txn, faster_txn_compare_and_set, "a", 1, 2, &same));
    rig_commit(&rig, txn);
    cr_assert_leq(fst_test_env_peak_bytes(rig.test), size + FASTER_MEMORY_BYTES_MIN * 5 / 4);
    rig_verify(&rig);
}

/* ---- older stores ---- */

/* Gives the store's identity the version that a library before chunks wrote. */
static void make_version_1(void) {
    char path[400];
    struct fst_identity identity;
    snprintf(path, sizeof path, "%s/" FST_NAME_IDENTITY, rig.directory);
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    cr_assert(fread(&identity, sizeof identity, 1, file) == 1);
    identity.format_version = FST_FORMAT_VERSION;
    identity.checksum =
        fst_checksum64(&identity, offsetof(struct fst_identity, checksum), FST_IDENTITY_SEED);
    cr_assert(fseek(file, 0, SEEK_SET) == 0);
    cr_assert(fwrite(&identity, sizeof identity, 1, file) == 1 && fclose(file) == 0);
}

static enum faster_status make_a_page(void *context, const struct faster_bytes *old,
                                      struct faster_buffer *new_value) {
    (void)context;
    (void)old;
    enum faster_status status = faster_buffer_reserve(new_value, PAGE);
    if (status == FASTER_OK) {
        memset(new_value->data, 0, PAGE);
        new_value->size_bytes = PAGE;
    }
    return status;
}

Test(chunks_damage, store_of_an_older_format_keeps_its_limit) {
    rig_close(&rig);
    make_version_1();
    rig_open(&rig);
    cr_assert_eq(faster_value_bytes_max(rig.store, 1), PAGE - 25);
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(large_put(&rig, txn, "a", PAGE - 25, 1));
    ASSERT_STATUS(large_put(&rig, txn, "a", PAGE - 24, 2), FASTER_TOO_BIG);
    cr_assert(strstr(faster_session_message(rig.session), "earlier version") != NULL);
    struct faster_op op = {.key = {"a", 1}, .merge = make_a_page};
    ASSERT_STATUS(faster_txn_rmw(txn, &op), FASTER_TOO_BIG);
    rig_commit(&rig, txn);
    large_want(&rig, "a", PAGE - 25, 1);
    rig_reopen(&rig);
    large_want(&rig, "a", PAGE - 25, 1);
}
