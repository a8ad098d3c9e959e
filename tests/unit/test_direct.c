/* test_direct.c - direct stores: writes without transactions, cuts, recovery (layers 4 to 7). */
#include <dirent.h>
#include <sys/stat.h>

#include "store_rig.h"

#include "store/store.h"

static struct rig rig;

static void start(void) {
    memset(&rig, 0, sizeof rig);
    rig.test = fst_test_env_create();
    cr_assert(fst_test_directory_create(rig.base, sizeof rig.base));
    snprintf(rig.directory, sizeof rig.directory, "%s/0", rig.base);
    rig.options = (struct faster_options){.env = fst_test_env_get(rig.test),
                                          .directory = rig.directory,
                                          .writes = FASTER_WRITES_DIRECT,
                                          .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                          .page_bytes = RIG_PAGE_BYTES,
                                          .segment_bytes = 4 * RIG_PAGE_BYTES};
    struct faster_error error = {0};
    enum faster_status status = faster_store_create(&rig.options, NULL, &error);
    cr_assert(status == FASTER_OK, "%s", error.message);
    rig_open(&rig);
}

static void stop(void) {
    rig_finish(&rig);
}

TestSuite(direct, .init = start, .fini = stop, .timeout = 60);

static enum faster_status finish(struct faster_session *session, const struct faster_op *op,
                                 enum faster_status status) {
    if (status != FASTER_PENDING) {
        return status;
    }
    faster_session_complete_pending(session, true);
    return op->status;
}

static enum faster_status put_sized(const char *key, const char *text, size_t size) {
    char *bytes = calloc(1, size + 1);
    strncpy(bytes, text, size);
    struct faster_op op = {.key = {key, strlen(key)}, .value = {bytes, size}};
    enum faster_status status = faster_session_upsert(rig.session, &op);
    free(bytes);
    return status;
}

static enum faster_status put(const char *key, const char *text) {
    return put_sized(key, text, strlen(text));
}

/* The value as text, "" for an empty one, NULL for none. Valid until the next call. */
static const char *get(const char *key) {
    static char text[4096];
    struct faster_snapshot now;
    struct faster_buffer result = {.env = rig.options.env};
    struct faster_op op = {.key = {key, strlen(key)}, .result = &result};
    ASSERT_OK(faster_snapshot_open_newest(rig.session, &now));
    enum faster_status status = finish(rig.session, &op, faster_snapshot_read(&now, &op));
    faster_snapshot_close(&now);
    if (status == FASTER_OK) {
        snprintf(text, sizeof text, "%.*s", (int)result.size_bytes, (const char *)result.data);
    } else {
        ASSERT_STATUS(status, FASTER_NOT_FOUND);
    }
    faster_buffer_finish(&result);
    return status == FASTER_OK ? text : NULL;
}

static void want(const char *key, const char *expected) {
    const char *got = get(key);
    if (expected == NULL) {
        cr_assert(got == NULL, "%s is %s, and should not exist", key, got);
    } else {
        cr_assert(got != NULL && strcmp(got, expected) == 0, "%s is %s instead of %s", key,
                  got == NULL ? "missing" : got, expected);
    }
}

static enum faster_status add_one(void *context, const struct faster_bytes *old,
                                  struct faster_buffer *value) {
    uint64_t number = 0;
    (void)context;
    if (old != NULL) {
        memcpy(&number, old->data, sizeof number);
    }
    number++;
    return faster_buffer_assign(value, &number, sizeof number);
}

static void add(const char *key) {
    struct faster_op op = {.key = {key, strlen(key)}, .merge = add_one};
    ASSERT_OK(finish(rig.session, &op, faster_session_rmw(rig.session, &op)));
}

static uint64_t number_of(const char *key) {
    const char *text = get(key);
    uint64_t number = 0;
    if (text != NULL) {
        memcpy(&number, text, sizeof number);
    }
    return number;
}

static uint64_t stat_of(const char *name) {
    struct faster_stat stats[128];
    size_t count = faster_store_stats(rig.store, stats, 128);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(stats[i].name, name) == 0) {
            return stats[i].value;
        }
    }
    cr_assert_fail("no figure %s", name);
    return 0;
}

/* Pushes everything written so far out of memory. */
static void evict(void) {
    char key[32];
    for (unsigned i = 0; i < 1200; i++) {
        snprintf(key, sizeof key, "filler %u", i);
        ASSERT_OK(put_sized(key, "x", 1000));
    }
}

static void commit(void) {
    ASSERT_OK(faster_session_commit(rig.session));
}

/* ---- operations ---- */

Test(direct, write_is_seen_at_once_without_a_transaction) {
    ASSERT_OK(put("a", "1"));
    want("a", "1");
    ASSERT_OK(put("a", ""));
    want("a", "");
    want("b", NULL);
}

Test(direct, value_that_fits_is_changed_in_place) {
    ASSERT_OK(put("key", "12345678901"));
    uint64_t tail = stat_of("log_tail");
    ASSERT_OK(put("key", "abc"));
    want("key", "abc");
    ASSERT_OK(put("key", "ABCDEFGHIJK"));
    want("key", "ABCDEFGHIJK");
    cr_assert_eq(stat_of("log_tail"), tail);
    cr_assert_eq(stat_of("in_place_updates"), 2);
    ASSERT_OK(put_sized("key", "longer", 200));
    cr_assert_gt(stat_of("log_tail"), tail);
}

Test(direct, large_value_is_changed_in_place) {
    ASSERT_OK(put_sized("key", "first", 9000));
    uint64_t tail = stat_of("log_tail");
    ASSERT_OK(put_sized("key", "second", 8999));
    want("key", "second");
    cr_assert_eq(stat_of("log_tail"), tail);
}

Test(direct, word_is_read_and_changed_in_place) {
    unsigned char bytes[64];
    struct faster_snapshot now;
    struct faster_buffer result = {.data = bytes, .capacity_bytes = sizeof bytes};
    struct faster_op op = {.key = {"eight by", 8}, .result = &result};
    uint64_t number = 0;
    ASSERT_OK(faster_snapshot_open_newest(rig.session, &now));
    for (uint64_t i = 1; i <= 3; i++) {
        add("eight by");
        ASSERT_OK(faster_snapshot_read(&now, &op));
        cr_assert_eq(result.size_bytes, sizeof number);
        memcpy(&number, bytes, sizeof number);
        cr_assert_eq(number, i);
    }
    cr_assert_eq(stat_of("in_place_updates"), 2);
    ASSERT_OK(put("eight by", "short"));
    ASSERT_OK(faster_snapshot_read(&now, &op));
    cr_assert_eq(result.size_bytes, 5);
    cr_assert_eq(memcmp(bytes, "short", 5), 0);
    ASSERT_OK(put("eight by", "as long!"));
    want("eight by", "as long!");
    cr_assert_eq(stat_of("in_place_updates"), 4);
    faster_snapshot_close(&now);
}

static enum faster_status double_text(void *context, const struct faster_bytes *old,
                                      struct faster_buffer *value) {
    (void)context;
    enum faster_status status = faster_buffer_assign(value, old->data, old->size_bytes);
    if (status == FASTER_OK) {
        status = faster_buffer_reserve(value, 2 * old->size_bytes);
    }
    if (status == FASTER_OK) {
        memcpy((unsigned char *)value->data + old->size_bytes, old->data, old->size_bytes);
        value->size_bytes = 2 * old->size_bytes;
    }
    return status;
}

Test(direct, rmw_that_outgrows_its_record_happens_once) {
    struct faster_op op = {.key = {"k", 1}, .merge = double_text};
    ASSERT_OK(put("k", "12345678"));
    ASSERT_OK(faster_session_rmw(rig.session, &op));
    want("k", "1234567812345678");
    ASSERT_OK(faster_session_rmw(rig.session, &op));
    want("k", "12345678123456781234567812345678");
}

/* The first of them copies the record, which is sealed then for those that found it before. */
Test(direct, batch_on_one_key_loses_no_update) {
    struct faster_op ops[8];
    add("k");
    ASSERT_OK(faster_session_commit(rig.session));
    for (size_t i = 0; i < 8; i++) {
        ops[i] = (struct faster_op){.key = {"k", 1}, .merge = add_one, .kind = FASTER_OP_RMW};
    }
    ASSERT_OK(faster_session_batch(rig.session, ops, 8));
    cr_assert_eq(number_of("k"), 9);
}

Test(direct, deleted_key_is_gone_and_can_come_back) {
    struct faster_op op = {.key = {"a", 1}};
    ASSERT_OK(put("a", "1"));
    ASSERT_OK(faster_session_delete(rig.session, &op));
    want("a", NULL);
    ASSERT_OK(put("a", "2"));
    want("a", "2");
    ASSERT_OK(faster_session_delete(rig.session, &op));
    add("a");
    cr_assert_eq(number_of("a"), 1);
}

Test(direct, insert_and_compare_and_set_decide_by_the_present_value) {
    struct faster_op op = {.key = {"a", 1}, .value = {"one", 3}};
    ASSERT_OK(faster_session_insert(rig.session, &op));
    ASSERT_STATUS(faster_session_insert(rig.session, &op), FASTER_EXISTS);
    op.value = (struct faster_bytes){"two", 3};
    op.expected = (struct faster_bytes){"on", 2};
    ASSERT_STATUS(faster_session_compare_and_set(rig.session, &op), FASTER_EXISTS);
    op.expected = (struct faster_bytes){"one", 3};
    ASSERT_OK(faster_session_compare_and_set(rig.session, &op));
    want("a", "two");
    op.key = (struct faster_bytes){"b", 1};
    ASSERT_STATUS(faster_session_compare_and_set(rig.session, &op), FASTER_NOT_FOUND);
}

/* The first address is no valid one, so that "no previous record" and "the first record" differ;
 * a chain that ends there has ended. */
Test(direct, first_record_of_all_is_found_in_memory_on_disk_and_after_a_reopen) {
    struct faster_op op = {.key = {"first", 5}, .value = {"x", 1}};
    cr_assert_eq(stat_of("log_tail"), FST_ADDR_FIRST_RAW);
    cr_assert_gt(FST_ADDR_FIRST_RAW, 0);
    ASSERT_OK(put("first", "1"));
    want("first", "1");
    want("never", NULL);
    evict();
    want("first", "1");
    want("never", NULL);
    ASSERT_STATUS(finish(rig.session, &op, faster_session_insert(rig.session, &op)), FASTER_EXISTS);
    rig_reopen(&rig);
    want("first", "1");
    want("never", NULL);
}

static enum faster_status remove_it(void *context, const struct faster_bytes *old,
                                    struct faster_buffer *value) {
    bool *existed = context;
    (void)value;
    *existed = old != NULL;
    return FASTER_REMOVE;
}

Test(direct, merge_function_removes_the_key_and_tells_whether_it_was_there) {
    bool existed = false;
    struct faster_op op = {.key = {"a", 1}, .merge = remove_it, .context = &existed};
    ASSERT_STATUS(faster_session_rmw(rig.session, &op), FASTER_NOT_FOUND);
    ASSERT_OK(put("a", "1"));
    ASSERT_OK(faster_session_rmw(rig.session, &op));
    cr_assert(existed);
    want("a", NULL);
    ASSERT_STATUS(faster_session_rmw(rig.session, &op), FASTER_NOT_FOUND);
    ASSERT_OK(put("a", "2"));
    evict();
    ASSERT_OK(finish(rig.session, &op, faster_session_rmw(rig.session, &op)));
    want("a", NULL);
    ASSERT_OK(put("a", "3"));
    want("a", "3");
}

Test(direct, every_operation_finds_what_is_on_disk) {
    struct faster_op op = {.key = {"insert", 6}, .value = {"x", 1}, .expected = {"old", 3}};
    add("count");
    ASSERT_OK(put("insert", "old"));
    ASSERT_OK(put("cas", "old"));
    ASSERT_OK(put("delete", "old"));
    evict();
    add("count");
    cr_assert_eq(number_of("count"), 2);
    ASSERT_STATUS(finish(rig.session, &op, faster_session_insert(rig.session, &op)), FASTER_EXISTS);
    op.key = (struct faster_bytes){"cas", 3};
    ASSERT_OK(finish(rig.session, &op, faster_session_compare_and_set(rig.session, &op)));
    want("cas", "x");
    op.key = (struct faster_bytes){"delete", 6};
    ASSERT_OK(faster_session_delete(rig.session, &op));
    want("delete", NULL);
}

Test(direct, pending_rmw_goes_on_from_what_was_written_meanwhile) {
    struct faster_op op = {.key = {"count", 5}, .merge = add_one};
    struct faster_op other = {.key = {"count", 5}, .merge = add_one};
    add("count");
    evict();
    ASSERT_STATUS(faster_session_rmw(rig.session, &op), FASTER_PENDING);
    ASSERT_STATUS(faster_session_rmw(rig.session, &other), FASTER_PENDING);
    faster_session_complete_pending(rig.session, true);
    cr_assert_eq(number_of("count"), 3);
}

Test(direct, batch_runs_every_kind) {
    struct faster_buffer result = {.env = rig.options.env};
    struct faster_op ops[100] = {0};
    static char keys[100][16];
    for (unsigned i = 0; i < 100; i++) {
        snprintf(keys[i], sizeof keys[i], "%u", i);
        ops[i].kind = FASTER_OP_UPSERT;
        ops[i].key = (struct faster_bytes){keys[i], strlen(keys[i])};
        ops[i].value = ops[i].key;
    }
    ASSERT_OK(faster_session_batch(rig.session, ops, 100));
    ops[0].kind = FASTER_OP_DELETE;
    ops[1].kind = FASTER_OP_READ;
    ops[1].result = &result;
    ops[2].kind = FASTER_OP_INSERT;
    ASSERT_OK(faster_session_batch(rig.session, ops, 3));
    ASSERT_STATUS(ops[2].status, FASTER_EXISTS);
    cr_assert(result.size_bytes == 1 && memcmp(result.data, "1", 1) == 0);
    want("0", NULL);
    want("99", "99");
    ops[5].kind = 0;
    ASSERT_STATUS(faster_session_batch(rig.session, ops, 100), FASTER_MISUSE);
    faster_buffer_finish(&result);
}

Test(direct, batch_reads_from_disk_together) {
    struct faster_snapshot now;
    struct faster_op ops[200] = {0};
    static char keys[200][16];
    static struct faster_buffer results[200];
    for (unsigned i = 0; i < 200; i++) {
        snprintf(keys[i], sizeof keys[i], "%u", i);
        ASSERT_OK(put(keys[i], keys[i]));
        results[i].env = rig.options.env;
        ops[i] = (struct faster_op){
            .kind = FASTER_OP_READ, .key = {keys[i], strlen(keys[i])}, .result = &results[i]};
    }
    evict();
    ASSERT_OK(faster_snapshot_open_newest(rig.session, &now));
    ASSERT_STATUS(faster_snapshot_batch(&now, ops, 200), FASTER_PENDING);
    faster_session_complete_pending(rig.session, true);
    for (unsigned i = 0; i < 200; i++) {
        ASSERT_OK(ops[i].status);
        cr_assert(results[i].size_bytes == strlen(keys[i]) &&
                  memcmp(results[i].data, keys[i], results[i].size_bytes) == 0);
        faster_buffer_finish(&results[i]);
    }
    faster_snapshot_close(&now);
}

Test(direct, scan_shows_what_there_was_when_it_was_opened) {
    struct faster_snapshot now;
    struct faster_scan *scan;
    struct faster_bytes key;
    struct faster_bytes value;
    unsigned count = 0;
    char name[16];
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "%u", i);
        ASSERT_OK(put(name, "old"));
    }
    ASSERT_OK(faster_snapshot_open_newest(rig.session, &now));
    ASSERT_OK(faster_scan_open(&now, &scan));
    for (unsigned i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "%u", i);
        ASSERT_OK(put(name, "new"));
    }
    enum faster_status status;
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        cr_assert(value.size_bytes == 3 && memcmp(value.data, "old", 3) == 0);
        count++;
    }
    ASSERT_STATUS(status, FASTER_END);
    cr_assert_eq(count, 300);
    faster_scan_close(scan);
    faster_snapshot_close(&now);
}

/* ---- the two disciplines do not mix ---- */

Test(direct, calls_of_transactional_stores_are_refused) {
    struct faster_txn *txn;
    ASSERT_STATUS(faster_session_meet_row(rig.session, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_txn_begin(rig.session, NULL, &txn), FASTER_MISUSE);
    cr_assert_eq(faster_store_writes(rig.store), FASTER_WRITES_DIRECT);
}

Test(direct, transactional_store_refuses_direct_writes) {
    struct faster_options options = {.env = rig.options.env};
    struct faster_store *store;
    struct faster_session *session;
    struct faster_op op = {.key = {"a", 1}};
    ASSERT_OK(faster_store_open(&options, &store, NULL));
    ASSERT_OK(faster_session_open(store, &session));
    ASSERT_STATUS(faster_session_upsert(session, &op), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_commit(session), FASTER_MISUSE);
    cr_assert_eq(faster_store_writes(store), FASTER_WRITES_TRANSACTIONAL);
    faster_session_close(session);
    faster_store_close(store);
}

/* ---- durability ---- */

Test(direct, clean_close_keeps_everything) {
    ASSERT_OK(put("a", "1"));
    evict();
    ASSERT_OK(put("b", "2"));
    rig_reopen(&rig);
    want("a", "1");
    want("b", "2");
    ASSERT_OK(put("a", "3"));
    rig_reopen(&rig);
    want("a", "3");
}

/* Of all log files; *count gets how many there are. */
static uint64_t log_file_bytes(unsigned *count) {
    uint64_t bytes = 0;
    DIR *directory = opendir(rig.directory);
    const struct dirent *entry;
    cr_assert_not_null(directory);
    *count = 0;
    while ((entry = readdir(directory)) != NULL) {
        struct stat info;
        if (strncmp(entry->d_name, "log.", 4) == 0) {
            cr_assert_eq(fstatat(dirfd(directory), entry->d_name, &info, 0), 0);
            bytes += (uint64_t)info.st_size;
            (*count)++;
        }
    }
    closedir(directory);
    return bytes;
}

Test(direct, files_are_as_large_as_the_log) {
    unsigned count;
    evict();
    commit();
    const uint64_t log_bytes = stat_of("log_tail");
    const uint64_t file_bytes = log_file_bytes(&count);
    cr_assert_geq(file_bytes, stat_of("log_durable"));
    cr_assert_leq(file_bytes, log_bytes + RIG_PAGE_BYTES + count * UINT64_C(4096));
    cr_assert_eq(count, log_bytes / rig.options.segment_bytes + 1);
}

Test(direct, commit_survives_a_crash_and_what_follows_does_not) {
    ASSERT_OK(put("a", "1"));
    commit();
    ASSERT_OK(put("a", "2"));
    ASSERT_OK(put("b", "2"));
    rig_crash(&rig);
    rig_open(&rig);
    want("a", "1");
    want("b", NULL);
}

Test(direct, update_in_place_after_a_commit_does_not_touch_what_was_committed) {
    ASSERT_OK(put("a", "1"));
    commit();
    ASSERT_OK(put("a", "2"));
    evict();
    rig_crash(&rig);
    rig_open(&rig);
    want("a", "1");
}

Test(direct, what_was_lost_in_one_crash_stays_lost_after_the_next) {
    ASSERT_OK(put("a", "1"));
    commit();
    ASSERT_OK(put("lost", "x"));
    evict();
    rig_crash(&rig);
    rig_open(&rig);
    want("lost", NULL);
    ASSERT_OK(put("b", "2"));
    commit();
    ASSERT_OK(put("lost", "y"));
    evict();
    rig_crash(&rig);
    rig_open(&rig);
    want("a", "1");
    want("b", "2");
    want("lost", NULL);
    rig_crash(&rig);
    rig_open(&rig);
    want("lost", NULL);
    want("b", "2");
}

Test(direct, commit_without_a_descriptor_for_the_directory_is_repeated) {
    ASSERT_OK(put("a", "1"));
    fst_test_env_fail(rig.test, FST_TEST_DIRECTORY_SYNC, 1, FST_TEST_FOR_EVER, FASTER_FULL);
    ASSERT_STATUS(faster_session_commit(rig.session), FASTER_FULL);
    ASSERT_STATUS(faster_session_commit(rig.session), FASTER_FULL);
    want("a", "1");
    ASSERT_OK(put("b", "2"));
    fst_test_env_heal_all(rig.test);
    commit();
    rig_crash(&rig);
    rig_open(&rig);
    want("a", "1");
    want("b", "2");
}

Test(direct, commit_of_nothing_writes_nothing) {
    commit();
    ASSERT_OK(put("a", "1"));
    commit();
    uint64_t tail = stat_of("log_tail");
    commit();
    cr_assert_eq(stat_of("log_tail"), tail);
}

Test(direct, more_commits_than_a_short_version_counts) {
    char key[16];
    for (unsigned i = 0; i < 600; i++) {
        snprintf(key, sizeof key, "%u", i % 7);
        ASSERT_OK(put(key, i % 2 == 0 ? "even" : "odd"));
        commit();
    }
    ASSERT_OK(put("0", "lost"));
    rig_crash(&rig);
    rig_open(&rig);
    want("0", "odd");
    want("6", "even");
    want("5", "odd");
}

static void damage_at(uint64_t address) {
    char path[400];
    uint64_t segment = 4 * RIG_PAGE_BYTES;
    snprintf(path, sizeof path, "%s/log.%012llx", rig.directory,
             (unsigned long long)(address / segment));
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    fseek(file, (long)(4096 + address % segment), SEEK_SET);
    int byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 0x40, file);
    fclose(file);
}

Test(direct, damage_below_an_acknowledged_commit_is_never_a_shorter_log) {
    ASSERT_OK(put("a", "1"));
    commit();
    uint64_t place = stat_of("log_tail");
    ASSERT_OK(put("b", "2"));
    commit();
    evict(); /* so that the next cut lies in another page */
    commit();
    ASSERT_OK(put("c", "3"));
    commit();
    rig_crash(&rig);
    damage_at(place + 20);
    ASSERT_STATUS(rig_try_open(&rig), FASTER_CORRUPT);
    rig.store = NULL;
}

/* The cuts that tell of it may stand in the page where the intact log ends. */
Test(direct, damage_before_a_later_commit_of_the_same_page_is_noticed) {
    ASSERT_OK(put("a", "1"));
    commit();
    uint64_t place = stat_of("log_tail");
    ASSERT_OK(put("b", "2"));
    commit();
    ASSERT_OK(put("c", "3"));
    commit();
    cr_assert_eq(place / RIG_PAGE_BYTES, (stat_of("log_tail") - 1) / RIG_PAGE_BYTES);
    rig_crash(&rig);
    damage_at(place + 20);
    ASSERT_STATUS(rig_try_open(&rig), FASTER_CORRUPT);
    rig.store = NULL;
}

/* Its sync may have failed: the first write repeats it. */
Test(direct, last_commit_found_after_a_crash_is_to_be_written_again) {
    ASSERT_OK(put("a", "1"));
    commit();
    uint64_t synced = rig.store->committed.end;
    ASSERT_OK(put("b", "2"));
    commit();
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_eq(rig.store->redo_on_disk.start, synced);
    cr_assert_eq(rig.store->redo_on_disk.end, rig.store->committed.end);
    rig_reopen(&rig);
    ASSERT_OK(put("c", "3"));
    rig_reopen(&rig);
    cr_assert_eq(rig.store->redo_on_disk.end, 0);
}

Test(direct, damage_after_a_clean_close_is_reported) {
    ASSERT_OK(put("a", "1"));
    rig_close(&rig);
    damage_at(4096 + 20);
    ASSERT_STATUS(rig_try_open(&rig), FASTER_CORRUPT);
    rig.store = NULL;
}

/* ---- limits ---- */

Test(direct, full_index_names_memory_and_keeps_working_for_old_keys) {
    char key[32];
    enum faster_status status = FASTER_OK;
    unsigned count = 0;
    while (status == FASTER_OK) {
        snprintf(key, sizeof key, "key %u", count++);
        status = put(key, "old");
    }
    ASSERT_STATUS(status, FASTER_FULL);
    cr_assert_not_null(strstr(faster_session_message(rig.session), "memory"));
    want(key, NULL);
    ASSERT_OK(put("key 1", "new"));
    struct faster_op op = {.key = {"key 2", 5}};
    ASSERT_OK(faster_session_delete(rig.session, &op));
    commit();
    rig_reopen(&rig);
    want("key 0", "old");
    want("key 1", "new");
    want("key 2", NULL);
    ASSERT_OK(put("key 3", "new"));
}

/* The message of an open that is refused. */
static enum faster_status open_again(uint64_t memory_bytes, struct faster_error *error) {
    rig.options.memory_bytes = memory_bytes;
    rig.options.directory = rig.directory;
    enum faster_status status = faster_store_open(&rig.options, &rig.store, error);
    if (status == FASTER_OK) {
        ASSERT_OK(faster_session_open(rig.store, &rig.session));
    }
    return status;
}

static void expect_refused_for_its_index(uint64_t memory_bytes) {
    struct faster_error error = {0};
    ASSERT_STATUS(open_again(memory_bytes, &error), FASTER_FULL);
    cr_assert_not_null(strstr(error.message, "index"), "%s", error.message);
    cr_assert_not_null(strstr(error.message, "memory"), "%s", error.message);
}

Test(direct, index_larger_than_memory_is_refused_by_name_at_open) {
    struct faster_error error = {0};
    rig_close(&rig);
    rig.options.index_bits = 36; /* as many as memory allows */
    ASSERT_OK(open_again(8 * FASTER_MEMORY_BYTES_MIN, &error));
    ASSERT_OK(put("a", "1"));
    rig_close(&rig);
    expect_refused_for_its_index(FASTER_MEMORY_BYTES_MIN);
    ASSERT_OK(open_again(8 * FASTER_MEMORY_BYTES_MIN, &error));
    want("a", "1");
}

/* ---- writes while a cut runs ---- */

struct during_cut {
    struct faster_session *session;
    const char *key;
    const char *text;
};

/* Between the end of a version and its control record. */
static void write_during_cut(void *context, enum fst_test_operation operation) {
    const struct during_cut *write = context;
    struct faster_op op = {.key = {write->key, strlen(write->key)},
                           .value = {write->text, strlen(write->text)}};
    (void)operation;
    ASSERT_OK(faster_session_upsert(write->session, &op));
}

static void commit_and_meanwhile_put(const char *key, const char *text) {
    struct during_cut write = {.key = key, .text = text};
    ASSERT_OK(faster_session_open(rig.store, &write.session));
    fst_test_env_hook(rig.test, FST_TEST_RANDOM, write_during_cut, &write);
    commit();
    fst_test_env_hook(rig.test, FST_TEST_RANDOM, NULL, NULL);
    faster_session_close(write.session);
}

/* As write_during_cut(), by an index that has doubled as often as it can before. */
static void grow_and_write_during_cut(void *context, enum fst_test_operation operation) {
    const struct during_cut *write = context;
    enum faster_status status = FASTER_OK;
    while (status == FASTER_OK || status == FASTER_BUSY) {
        status = faster_session_grow(write->session);
    }
    ASSERT_STATUS(status, FASTER_FULL);
    write_during_cut(context, operation);
}

/* What is written during a cut lies below its control record, linked by the index of then. No
 * smaller index may ever link those records again, so the control record says its bits, not those
 * with which the cut began. */
Test(direct, growth_during_a_cut_is_known_to_its_control_record) {
    struct during_cut write = {.key = "b", .text = "2"};
    struct faster_error error = {0};
    rig_close(&rig);
    rig.options.index_bits = 4;
    ASSERT_OK(open_again(8 * FASTER_MEMORY_BYTES_MIN, &error));
    ASSERT_OK(put("a", "1"));
    ASSERT_OK(faster_session_open(rig.store, &write.session));
    fst_test_env_hook(rig.test, FST_TEST_RANDOM, grow_and_write_during_cut, &write);
    commit();
    fst_test_env_hook(rig.test, FST_TEST_RANDOM, NULL, NULL);
    faster_session_close(write.session);
    rig_crash(&rig); /* nobody else has written down the bits */
    expect_refused_for_its_index(FASTER_MEMORY_BYTES_MIN);
    ASSERT_OK(open_again(8 * FASTER_MEMORY_BYTES_MIN, &error));
    want("a", "1");
    want("b", NULL);
}

Test(direct, write_during_a_cut_is_not_part_of_it) {
    ASSERT_OK(put("a", "1"));
    commit_and_meanwhile_put("a", "2");
    want("a", "2");
    rig_crash(&rig);
    rig_open(&rig);
    want("a", "1");
    ASSERT_OK(put("b", "3"));
    rig_reopen(&rig);
    want("a", "1");
    want("b", "3");
}

Test(direct, commit_covers_what_was_written_during_the_one_before) {
    ASSERT_OK(put("a", "1"));
    commit_and_meanwhile_put("a", "2");
    commit();
    rig_crash(&rig);
    rig_open(&rig);
    want("a", "2");
}

Test(direct, close_covers_what_was_written_during_the_last_commit) {
    ASSERT_OK(put("a", "1"));
    commit_and_meanwhile_put("a", "2");
    rig_reopen(&rig);
    want("a", "2");
}

Test(direct, read_only_store_shows_the_last_commit) {
    ASSERT_OK(put("a", "1"));
    rig_close(&rig);
    rig.options.read_only = true;
    rig_open(&rig);
    want("a", "1");
    ASSERT_STATUS(put("a", "2"), FASTER_READ_ONLY);
    ASSERT_STATUS(faster_session_commit(rig.session), FASTER_READ_ONLY);
}

Test(direct, verify_finds_nothing_wrong) {
    uint64_t findings = 1;
    ASSERT_OK(put("a", "1"));
    evict();
    add("count");
    commit();
    ASSERT_OK(faster_session_verify(rig.session, NULL, NULL, NULL, NULL, &findings));
    cr_assert_eq(findings, 0);
}

/* Records that may still change in place are shown as of the opening. */
Test(direct, raw_records_do_not_change_under_the_iteration) {
    struct faster_snapshot now;
    struct faster_records *records;
    struct faster_record record;
    ASSERT_OK(put("k", "before"));
    ASSERT_OK(faster_snapshot_open_newest(rig.session, &now));
    ASSERT_OK(faster_records_open(&now, 0, UINT64_MAX, &records));
    ASSERT_OK(put("k", "behind"));
    ASSERT_OK(faster_records_next(records, &record));
    cr_assert(record.kind == FASTER_RECORD_VALUE && record.counts);
    cr_assert(record.value.size_bytes == 6 && memcmp(record.value.data, "before", 6) == 0);
    ASSERT_STATUS(faster_records_next(records, &record), FASTER_END);
    faster_records_close(records);
    faster_snapshot_close(&now);
    cr_assert_str_eq(get("k"), "behind");
}

/* A writer that is faster than the disk has to wait, and the figures tell for how long. */
Test(direct, waits_for_the_disk_are_counted) {
    char key[16];
    cr_assert(rig_stat(&rig, "log_waits") == 0);
    for (unsigned i = 0; i < 60000 && rig_stat(&rig, "log_waits") == 0; i++) {
        snprintf(key, sizeof key, "k%u", i % 1000);
        ASSERT_OK(put_sized(key, "value", 4000));
    }
    cr_assert(rig_stat(&rig, "log_waits") > 0);
    cr_assert(rig_stat(&rig, "log_wait_ns") > 0);
}
