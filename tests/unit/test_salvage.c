/* test_salvage.c - what is had of a damaged store: every intact record, and nothing else (P4).
 *
 * What an intact store gives is the measure. Then bytes are flipped and files taken away: what is
 * handed out must be among that, and only those records may be missing that were hit.
 */
#include "direct_rig.h"

#include "base/checksum.h"

#define RECORDS_MAX 4096

struct found {
    uint64_t address;
    uint64_t whole_bytes;
    uint64_t sum; /* of kind, key and value */
    size_t value_bytes;
    bool counts;
    bool is_value;
    char key[16];
};

struct haul {
    struct found each[RECORDS_MAX];
    unsigned count;
    struct faster_salvage_report report;
};

static struct haul whole, part;

static enum faster_status take(void *context, const struct faster_record *record) {
    struct haul *haul = context;
    cr_assert_lt(haul->count, RECORDS_MAX);
    struct found *found = &haul->each[haul->count++];
    *found = (struct found){
        .address = record->address,
        .whole_bytes = record->whole_bytes,
        .value_bytes = record->value.size_bytes,
        .counts = record->counts,
        .is_value = record->kind == FASTER_RECORD_VALUE,
        .sum = fst_checksum64(
            record->value.data, record->value.size_bytes,
            fst_checksum64(record->key.data, record->key.size_bytes, (uint64_t)record->kind))};
    snprintf(found->key, sizeof found->key, "%.*s", (int)record->key.size_bytes,
             (const char *)record->key.data);
    return FASTER_OK;
}

static enum faster_status salvage_into(struct haul *haul) {
    struct faster_error error;
    haul->count = 0;
    return faster_store_salvage(rig.options.env, rig.directory, take, haul, NULL, NULL,
                                &haul->report, &error);
}

/* The number of records of a key that count, or not. */
static unsigned count_of(const struct haul *haul, const char *key, bool counts) {
    unsigned count = 0;
    for (unsigned i = 0; i < haul->count; i++) {
        count += haul->each[i].counts == counts && strcmp(haul->each[i].key, key) == 0;
    }
    return count;
}

/* Flips one bit of a file; the same again mends it. */
static void flip(const char *name, uint64_t offset) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", rig.directory, name);
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    cr_assert(fseek(file, (long)offset, SEEK_SET) == 0);
    const int byte = fgetc(file);
    cr_assert(byte != EOF && fseek(file, (long)offset, SEEK_SET) == 0);
    cr_assert(fputc(byte ^ 0x04, file) != EOF && fclose(file) == 0);
}

static void flip_in_log(uint64_t address) {
    char name[FST_SEGMENT_NAME_BYTES];
    fst_segment_name(address / rig.options.segment_bytes, name);
    flip(name, FST_SEGMENT_HEADER_BYTES + address % rig.options.segment_bytes);
}

/* All of `part` are of `whole`; those that are missing hold the byte at `address`. */
static void want_all_but(uint64_t address) {
    unsigned at = 0;
    unsigned lost_large = 0;
    for (unsigned i = 0; i < whole.count; i++) {
        const struct found *found = &whole.each[i];
        if (at < part.count && part.each[at].address == found->address) {
            cr_assert_eq(part.each[at].sum, found->sum);
            cr_assert(found->counts || !part.each[at].counts);
            at++;
            continue;
        }
        const bool is_hit =
            found->address <= address && address < found->address + found->whole_bytes;
        cr_assert(is_hit || found->value_bytes > RIG_PAGE_BYTES,
                  "%s at %llu is lost with the byte at %llu", found->key,
                  (unsigned long long)found->address, (unsigned long long)address);
        lost_large += !is_hit;
    }
    cr_assert_leq(lost_large, 1, "a byte lies in one chunk");
    cr_assert_eq(at, part.count, "a record is handed out that the store did not have");
}

/* ---- what counts ---- */

static void start_transactional(void) {
    rig_start(&rig, RIG_NEVER_INLINE);
}

/* Commits with what they undid, a transaction that was rolled back, a deletion, large values. */
static void write_transactions(void) {
    for (unsigned i = 0; i < 8; i++) {
        char key[16];
        struct faster_txn *txn = rig_begin(&rig);
        snprintf(key, sizeof key, "k%u", i);
        ASSERT_OK(rig_put(txn, key, i, 40 * i));
        ASSERT_OK(faster_txn_savepoint(txn, 0));
        ASSERT_OK(rig_put(txn, "undone", i, 20));
        ASSERT_OK(faster_txn_rollback_to(txn, 0));
        ASSERT_OK(rig_put(txn, "last", i, 20));
        rig_commit(&rig, txn);
        txn = rig_begin(&rig);
        ASSERT_OK(rig_put(txn, "rolled back", i, 20));
        faster_txn_rollback(txn);
    }
    rig_commit_put(&rig, "large", 7, 3 * RIG_PAGE_BYTES);
    rig_commit_delete(&rig, "k3");
}

static void want_transactions(const struct haul *haul) {
    for (unsigned i = 0; i < 8; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        cr_assert_eq(count_of(haul, key, true), i == 3 ? 2 : 1);
    }
    cr_assert_eq(count_of(haul, "last", true), 8);
    cr_assert_eq(count_of(haul, "undone", true), 0);
    cr_assert_eq(count_of(haul, "undone", false), 8);
    cr_assert_eq(count_of(haul, "rolled back", true), 0);
    cr_assert_eq(count_of(haul, "large", true), 1);
    cr_assert_eq(haul->report.value_count + haul->report.delete_count, haul->count);
    cr_assert_eq(haul->report.delete_count, 1);
    cr_assert_eq(haul->report.lost_value_count, 0);
    cr_assert_eq(haul->report.damaged_count, 0);
    cr_assert_eq(haul->report.damaged_bytes, 0);
}

TestSuite(salvage, .init = start_transactional, .fini = stop, .timeout = 120);
TestSuite(salvage_direct, .init = start, .fini = stop, .timeout = 120);

Test(salvage, intact_store_gives_all_that_counts_and_says_what_does_not) {
    write_transactions();
    rig_close(&rig);
    ASSERT_OK(salvage_into(&whole));
    want_transactions(&whole);
    for (unsigned i = 1; i < whole.count; i++) {
        cr_assert_gt(whole.each[i].address, whole.each[i - 1].address);
        if (strcmp(whole.each[i].key, "large") == 0) {
            cr_assert_eq(whole.each[i].value_bytes, 3 * RIG_PAGE_BYTES + sizeof(unsigned));
        }
    }
}

/* Many savepoints: their ranges stand in records of their own. */
Test(salvage, ranges_in_lists_do_not_count) {
    struct faster_txn *txn = rig_begin(&rig);
    for (unsigned i = 0; i < 700; i++) {
        ASSERT_OK(faster_txn_savepoint(txn, 0));
        ASSERT_OK(rig_put(txn, "undone", i, 0));
        ASSERT_OK(faster_txn_rollback_to(txn, 0));
        ASSERT_OK(rig_put(txn, "kept", i, 0));
    }
    rig_commit(&rig, txn);
    rig_close(&rig);
    ASSERT_OK(salvage_into(&whole));
    cr_assert_eq(count_of(&whole, "undone", true), 0);
    cr_assert_geq(count_of(&whole, "kept", true), 1);
    cr_assert_eq(count_of(&whole, "kept", false), 0);
}

/* The store went on elsewhere; what the first life left unfinished is not handed out. */
Test(salvage, jump_is_followed) {
    write_transactions();
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(rig_put(txn, "unfinished", 1, 30000 / 4));
    rig_crash(&rig);
    rig_open(&rig);
    ASSERT_OK(ledger_meet(&rig.ledger, rig.session));
    rig_commit_put(&rig, "second", 1, 20);
    rig_close(&rig);
    ASSERT_OK(salvage_into(&whole));
    want_transactions(&whole);
    cr_assert_eq(count_of(&whole, "second", true), 1);
    cr_assert_eq(count_of(&whole, "unfinished", true), 0);
}

/* ---- damage ---- */

/* In each record, at places all over the log, which are of control records and chunks, too, and in
 * the small files. */
Test(salvage, one_flipped_byte_loses_no_other_record) {
    write_transactions();
    const uint64_t end = rig_stat(&rig, "log_tail");
    rig_close(&rig);
    ASSERT_OK(salvage_into(&whole));
    for (unsigned i = 0; i < whole.count; i++) {
        for (uint64_t offset = 0; offset < whole.each[i].whole_bytes; offset += 7) {
            flip_in_log(whole.each[i].address + offset);
            ASSERT_OK(salvage_into(&part));
            want_all_but(whole.each[i].address + offset);
            cr_assert_eq(part.count, whole.count - 1);
            cr_assert_eq(part.report.damaged_count, 1);
            flip_in_log(whole.each[i].address + offset);
        }
    }
    for (uint64_t address = FST_ADDR_FIRST_RAW; address < end; address += 331) {
        flip_in_log(address);
        ASSERT_OK(salvage_into(&part));
        want_all_but(address);
        flip_in_log(address);
    }
    for (uint64_t offset = 0; offset < sizeof(struct fst_identity); offset++) {
        flip(FST_NAME_IDENTITY, offset);
        enum faster_status status = salvage_into(&part);
        if (status == FASTER_VERSION_NEWER) {
            cr_assert_geq(offset, offsetof(struct fst_identity, format_version));
            cr_assert_lt(offset, offsetof(struct fst_identity, format_version) + 4);
        } else {
            ASSERT_OK(status);
            want_transactions(&part);
        }
        flip(FST_NAME_IDENTITY, offset);
    }
    flip(FST_NAME_MANIFEST_0, 30);
    ASSERT_OK(salvage_into(&part));
    want_transactions(&part);
}

Test(salvage, damage_is_counted_and_so_is_what_it_took) {
    write_transactions();
    rig_close(&rig);
    ASSERT_OK(salvage_into(&whole));
    uint64_t large = 0;
    for (unsigned i = 0; i < whole.count; i++) {
        large = strcmp(whole.each[i].key, "large") == 0 ? whole.each[i].address : large;
    }
    flip_in_log(whole.each[0].address + 9);
    flip_in_log(large - RIG_PAGE_BYTES); /* in a chunk */
    ASSERT_OK(salvage_into(&part));
    cr_assert_eq(part.report.lost_value_count, 1);
    cr_assert_eq(part.report.damaged_count, 2);
    cr_assert_gt(part.report.damaged_bytes, RIG_PAGE_BYTES / 2);
    cr_assert_eq(part.count, whole.count - 2);
    cr_assert_eq(count_of(&part, "large", true), 0);
}

/* The commit's range is not known then: its records are there, and doubtful. */
Test(salvage, records_of_a_lost_commit_are_doubtful) {
    rig_commit_put(&rig, "a", 1, 10);
    rig_commit_put(&rig, "b", 1, 10);
    const uint64_t control = ledger_newest(&rig.ledger)->control_address;
    rig_commit_put(&rig, "c", 1, 10);
    rig_close(&rig);
    flip_in_log(control + 20);
    ASSERT_OK(salvage_into(&part));
    cr_assert_eq(part.count, 3);
    cr_assert_eq(count_of(&part, "a", true), 1); /* its successor's successor vouches for it */
    cr_assert_eq(count_of(&part, "b", false), 1);
    cr_assert_eq(count_of(&part, "c", true), 1);
    cr_assert_eq(part.report.doubtful_count, 1);
}

Test(salvage, missing_segment_and_zeroed_bytes_are_damage) {
    char path[400], name[FST_SEGMENT_NAME_BYTES];
    for (unsigned i = 0; i < 120; i++) {
        rig_commit_put(&rig, "k", i, 2000);
    }
    rig_close(&rig);
    ASSERT_OK(salvage_into(&whole));
    cr_assert_eq(whole.count, 120);
    const struct found *hit = &whole.each[3];
    fst_segment_name(0, name);
    snprintf(path, sizeof path, "%s/%s", rig.directory, name);
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    cr_assert(fseek(file, (long)(FST_SEGMENT_HEADER_BYTES + hit->address), SEEK_SET) == 0);
    for (unsigned i = 0; i < hit->whole_bytes; i++) {
        cr_assert(fputc(0, file) != EOF);
    }
    cr_assert(fclose(file) == 0);
    fst_segment_name(1, name);
    snprintf(path, sizeof path, "%s/%s", rig.directory, name);
    cr_assert(remove(path) == 0);
    ASSERT_OK(salvage_into(&part));
    cr_assert_eq(part.report.damaged_count, 2);
    cr_assert_eq(part.report.damaged_bytes, hit->whole_bytes + rig.options.segment_bytes);
    unsigned in_segment = 0;
    for (unsigned i = 0; i < whole.count; i++) {
        in_segment += whole.each[i].address / rig.options.segment_bytes == 1;
    }
    cr_assert_gt(in_segment, 10);
    cr_assert_eq(part.count, 119 - in_segment);
}

/* A disk that cannot read a block can read most of it. */
Test(salvage, unreadable_sectors_cost_what_lies_in_them) {
    write_transactions();
    rig_close(&rig);
    ASSERT_OK(salvage_into(&whole));
    fst_test_env_fail(rig.test, FST_TEST_FILE_READ, 2, 1, FASTER_IO); /* 1: the identity */
    ASSERT_OK(salvage_into(&part));
    fst_test_env_heal_all(rig.test);
    want_transactions(&part);
    fst_test_env_fail(rig.test, FST_TEST_FILE_READ, 2, 2, FASTER_IO);
    ASSERT_OK(salvage_into(&part));
    fst_test_env_heal_all(rig.test);
    cr_assert_leq(part.count, whole.count);
    cr_assert_gt(part.count, 0);
}

/* ---- whose files ---- */

Test(salvage, without_identity_the_headers_tell) {
    write_transactions();
    rig_close(&rig);
    flip(FST_NAME_IDENTITY, 200);
    ASSERT_OK(salvage_into(&part));
    want_transactions(&part);
    for (unsigned i = 0;; i++) {
        char name[FST_SEGMENT_NAME_BYTES], path[400];
        fst_segment_name(i, name);
        snprintf(path, sizeof path, "%s/%s", rig.directory, name);
        FILE *file = fopen(path, "rb");
        if (file == NULL) {
            break;
        }
        cr_assert(fclose(file) == 0);
        flip(name, 40);
    }
    struct faster_salvage_report report;
    struct faster_error error = {0};
    ASSERT_STATUS(faster_store_salvage(rig.options.env, rig.directory, take, &part, NULL, NULL,
                                       &report, &error),
                  FASTER_FOREIGN);
    cr_assert_not_null(strstr(error.message, "whose files"));
}

Test(salvage, open_store_is_busy_and_none_is_missing) {
    rig_commit_put(&rig, "a", 1, 10);
    ASSERT_STATUS(salvage_into(&part), FASTER_BUSY);
    rig_close(&rig);
    ASSERT_OK(salvage_into(&part));
    cr_assert_eq(part.count, 1);
    char lock[400];
    snprintf(lock, sizeof lock, "%s/%s", rig.directory, FST_NAME_LOCK);
    cr_assert(remove(lock) == 0);
    ASSERT_OK(salvage_into(&part));
    cr_assert_eq(part.count, 1);
    cr_assert(fopen(lock, "rb") == NULL); /* nothing is made */
    struct faster_salvage_report report;
    ASSERT_STATUS(faster_store_salvage(rig.options.env, "/nonexistent/store", take, &part, NULL,
                                       NULL, &report, NULL),
                  FASTER_MISSING);
}

static enum faster_status refuse(void *context, const struct faster_record *record) {
    unsigned *left = context;
    (void)record;
    return (*left)-- > 0 ? FASTER_OK : FASTER_TOO_BIG;
}

static bool stop_at_once(void *context) {
    (void)context;
    return true;
}

Test(salvage, ends_when_asked_to_and_without_memory) {
    write_transactions();
    rig_close(&rig);
    struct faster_salvage_report report;
    unsigned left = 3;
    ASSERT_STATUS(faster_store_salvage(rig.options.env, rig.directory, refuse, &left, NULL, NULL,
                                       &report, NULL),
                  FASTER_TOO_BIG);
    cr_assert_eq(report.value_count, 4);
    part.count = 0;
    ASSERT_STATUS(faster_store_salvage(rig.options.env, rig.directory, take, &part, stop_at_once,
                                       NULL, &report, NULL),
                  FASTER_INTERRUPTED);
    enum faster_status status = FASTER_NOMEM;
    unsigned failures = 0;
    for (unsigned nth = 1; status != FASTER_OK; nth++, failures++) {
        fst_test_env_fail(rig.test, FST_TEST_ALLOCATE, nth, 1, FASTER_NOMEM);
        status = salvage_into(&part);
        cr_assert(status == FASTER_NOMEM || status == FASTER_OK);
        fst_test_env_heal_all(rig.test);
    }
    cr_assert_gt(failures, 4);
    want_transactions(&part);
}

/* ---- direct stores ---- */

Test(salvage_direct, what_a_commit_covers_counts) {
    for (unsigned version = 0; version < 300; version++) { /* the eight bits wrap */
        ASSERT_OK(put("k", "value"));
        commit();
    }
    rig_close(&rig);
    ASSERT_OK(salvage_into(&whole));
    cr_assert_eq(count_of(&whole, "k", true), 300);
    cr_assert_eq(whole.report.doubtful_count, 0);
    flip(FST_NAME_IDENTITY, 200);
    ASSERT_OK(salvage_into(&part));
    cr_assert_eq(count_of(&part, "k", true), 300);
    cr_assert_eq(part.report.doubtful_count, 0);
}

Test(salvage_direct, what_no_commit_follows_is_doubtful) {
    ASSERT_OK(put("a", "1"));
    commit();
    evict(); /* writes pages that no control record ends */
    rig_crash(&rig);
    ASSERT_OK(salvage_into(&part));
    cr_assert_eq(count_of(&part, "a", true), 1);
    cr_assert_gt(part.report.doubtful_count, 100);
    cr_assert_eq(part.report.value_count, part.report.doubtful_count + 1);
    rig_open(&rig);
    ASSERT_OK(put("b", "1"));
    rig_close(&rig);
    ASSERT_OK(salvage_into(&part));
    cr_assert_eq(part.count, 2); /* a jump passes over the others */
    cr_assert_eq(part.report.doubtful_count, 0);
}

Test(salvage_direct, lost_control_record_makes_nothing_doubtful) {
    uint64_t controls[3];
    for (unsigned i = 0; i < 3; i++) {
        char key[2] = {(char)('a' + i), 0};
        ASSERT_OK(put(key, "1"));
        commit();
        controls[i] = rig.store->last_cut.control_address;
    }
    rig_close(&rig);
    flip_in_log(controls[1] + 20);
    ASSERT_OK(salvage_into(&part));
    cr_assert_eq(part.count, 3);
    cr_assert_eq(part.report.doubtful_count, 0);
    flip_in_log(controls[0] + 20);
    flip_in_log(controls[2] + 20);
    ASSERT_OK(salvage_into(&part));
    cr_assert_eq(part.count, 3);
    cr_assert_eq(part.report.doubtful_count, 3);
}
