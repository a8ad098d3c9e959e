/* test_direct.c - direct stores: writes without transactions (layers 4 to 7; P4, P9). */
#include <unistd.h>

#include "direct_rig.h"

TestSuite(direct, .init = start, .fini = stop, .timeout = 60);

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
/* As a disk that is slower than any processor. */
static void write_slowly(void *context, enum fst_test_operation operation) {
    (void)context;
    (void)operation;
    usleep(5000);
}

Test(direct, waits_for_the_disk_are_counted) {
    char key[16];
    fst_test_env_hook(rig.test, FST_TEST_FILE_WRITE, write_slowly, NULL);
    cr_assert(rig_stat(&rig, "log_waits") == 0);
    for (unsigned i = 0; i < 2000 && rig_stat(&rig, "log_waits") == 0; i++) {
        snprintf(key, sizeof key, "k%u", i % 1000);
        ASSERT_OK(put_sized(key, "value", 4000));
    }
    cr_assert(rig_stat(&rig, "log_waits") > 0);
    cr_assert(rig_stat(&rig, "log_wait_ns") > 0);
    fst_test_env_hook(rig.test, FST_TEST_FILE_WRITE, NULL, NULL);
}
