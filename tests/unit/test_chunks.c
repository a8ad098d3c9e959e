/* test_chunks.c - values larger than a page (P1, P2, P4, P6).
 *
 * Pages have 16 KiB, memory holds some twenty of them. Each value is derived from a seed, so that
 * every byte of what is read can be compared.
 */
#include "large_values.h"

#include "store/chunks.h"

#define PAGE RIG_PAGE_BYTES
#define CHUNK (PAGE - 48) /* bytes of the value in a chunk that fills a page */
#define SOME_SIZE (5 * PAGE + 77)

static struct rig rig;

static void start(void) {
    rig_start(&rig, 4096);
}

static void stop(void) {
    rig_finish(&rig);
}

TestSuite(chunks, .init = start, .fini = stop, .timeout = 120);

/* Pushes what was written before out of memory. */
static void push_out(void) {
    large_commit_put(&rig, "out", 40 * PAGE, 1);
}

static const size_t SIZES[] = {
    PAGE - 27,      PAGE - 26,     PAGE - 25,      PAGE - 24,      PAGE - 1,
    PAGE,           PAGE + 1,      CHUNK - 1,      CHUNK,          CHUNK + 1,
    2 * CHUNK - 1,  2 * CHUNK,     2 * CHUNK + 1,  2 * PAGE - 1,   2 * PAGE,
    2 * PAGE + 1,   7 * CHUNK - 1, 7 * CHUNK,      7 * CHUNK + 1,  7 * PAGE + 1,
    30 * CHUNK - 1, 30 * CHUNK,    30 * CHUNK + 1, 30 * PAGE + 17, 100 * PAGE - 1,
};
#define SIZE_COUNT (sizeof SIZES / sizeof SIZES[0])

static void want_all_sizes(const char *prefix) {
    for (unsigned i = 0; i < SIZE_COUNT; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s%u", prefix, i);
        large_want(&rig, key, SIZES[i], i);
    }
}

Test(chunks, every_size_comes_back_from_memory_from_disk_and_after_a_crash) {
    for (unsigned i = 0; i < SIZE_COUNT; i++) {
        char key[32];
        snprintf(key, sizeof key, "k%u", i);
        large_commit_put(&rig, key, SIZES[i], i);
        large_want(&rig, key, SIZES[i], i);
    }
    want_all_sizes("k");
    rig_verify(&rig);
    rig_crash(&rig);
    rig_open(&rig);
    want_all_sizes("k");
    rig_verify(&rig);
    rig_reopen(&rig);
    want_all_sizes("k");
}

Test(chunks, chunks_fill_the_rest_of_a_page) {
    rig_commit_put(&rig, "small", 1, 5000);
    const uint64_t before = rig_stat(&rig, "log_tail");
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(large_put(&rig, txn, "a", 10 * PAGE, 1));
    const uint64_t after = rig_stat(&rig, "log_tail");
    cr_assert_leq(after - before, 10 * PAGE + 12 * 48 + 100);
    rig_commit(&rig, txn);
    large_want(&rig, "a", 10 * PAGE, 1);
}

/* Pages that have room for several of the largest chunks. */
Test(chunks, every_size_comes_back_from_large_pages) {
    const size_t most = FST_CHUNK_RECORD_BYTES_MAX - 48;
    const size_t sizes[] = {
        256u << 10, 4 * most - 1, 4 * most,        4 * most + 1, 5 * most,
        (1u << 20), 17 * most,    (3u << 20) - 24, 300000,       (256u << 10) - 25,
    };
    const size_t count = sizeof sizes / sizeof sizes[0];
    char key[16];
    rig_close(&rig);
    rig.options.page_bytes = 256 << 10;
    rig.options.memory_bytes = 6 << 20;
    rig.options.segment_bytes = 1 << 20;
    snprintf(rig.directory, sizeof rig.directory, "%s/large", rig.base);
    ASSERT_OK(faster_store_create(&rig.options, NULL, NULL));
    rig_open(&rig);
    for (int life = 0; life < 2; life++) {
        for (unsigned i = 0; life == 0 && i < count; i++) {
            snprintf(key, sizeof key, "k%u", i);
            large_commit_put(&rig, key, sizes[i], i);
        }
        for (unsigned i = 0; i < count; i++) {
            snprintf(key, sizeof key, "k%u", i);
            large_want(&rig, key, sizes[i], i);
        }
        rig_verify(&rig);
        rig_crash(&rig);
        rig_open(&rig);
    }
}

/* ---- operations ---- */

static enum faster_status append_page(void *context, const struct faster_bytes *old,
                                      struct faster_buffer *new_value) {
    const size_t old_bytes = old != NULL ? old->size_bytes : 0;
    enum faster_status status = faster_buffer_reserve(new_value, old_bytes + PAGE);
    if (status == FASTER_OK) {
        if (old_bytes > 0) {
            memcpy(new_value->data, old->data, old_bytes);
        }
        memset((unsigned char *)new_value->data + old_bytes, *(const unsigned char *)context, PAGE);
        new_value->size_bytes = old_bytes + PAGE;
    }
    return status;
}

static enum faster_status shrink(void *context, const struct faster_bytes *old,
                                 struct faster_buffer *new_value) {
    (void)context;
    return old == NULL ? FASTER_NOT_FOUND : faster_buffer_assign(new_value, old->data, 10);
}

static enum faster_status run_merge(struct faster_txn *txn, const char *key, faster_merge_fn *merge,
                                    struct faster_buffer *result) {
    unsigned char fill = 'x';
    struct faster_op op = {
        .key = {key, strlen(key)}, .merge = merge, .context = &fill, .result = result};
    enum faster_status status = faster_txn_rmw(txn, &op);
    if (status == FASTER_PENDING) {
        faster_session_complete_pending(rig.session, true);
        status = op.status;
    }
    return status;
}

/* All kinds of writes on large values, which lie where the caller has brought them. */
static void write_every_way(void) {
    const struct large_expected right = {SOME_SIZE, 1};
    const struct large_expected other = {SOME_SIZE, 2};
    const struct large_expected shorter = {SOME_SIZE - 1, 1};
    struct faster_buffer result = {.env = rig.options.env};
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_STATUS(large_write(&rig, txn, faster_txn_insert, "a", SOME_SIZE, 9, NULL),
                  FASTER_EXISTS);
    ASSERT_OK(large_write(&rig, txn, faster_txn_insert, "new", SOME_SIZE, 9, NULL));
    ASSERT_STATUS(large_write(&rig, txn, faster_txn_compare_and_set, "b", SOME_SIZE, 9, &other),
                  FASTER_EXISTS);
    ASSERT_STATUS(large_write(&rig, txn, faster_txn_compare_and_set, "b", SOME_SIZE, 9, &shorter),
                  FASTER_EXISTS);
    ASSERT_STATUS(large_write(&rig, txn, faster_txn_compare_and_set, "none", 1, 9, &right),
                  FASTER_NOT_FOUND);
    ASSERT_OK(large_write(&rig, txn, faster_txn_compare_and_set, "b", 3 * PAGE, 9, &right));
    ASSERT_OK(large_write(&rig, txn, faster_txn_compare_and_set, "c", 12, 9, &right));
    ASSERT_OK(run_merge(txn, "d", append_page, &result));
    cr_assert_eq(result.size_bytes, SOME_SIZE + PAGE);
    ASSERT_OK(run_merge(txn, "e", shrink, NULL));
    ASSERT_STATUS(run_merge(txn, "none", shrink, NULL), FASTER_NOT_FOUND);
    ASSERT_OK(run_merge(txn, "grown", append_page, NULL));
    ASSERT_OK(run_merge(txn, "grown", append_page, NULL));
    ASSERT_OK(rig_delete(txn, "f"));
    ASSERT_OK(large_put(&rig, txn, "g", 2 * PAGE, 9));
    ASSERT_OK(large_put(&rig, txn, "h", 2, 9));
    rig_commit(&rig, txn);
    faster_buffer_finish(&result);
}

static void want_every_way(void) {
    static const char *const GROWN[] = {"d", "grown"};
    struct faster_snapshot snapshot;
    large_want(&rig, "a", SOME_SIZE, 1);
    large_want(&rig, "new", SOME_SIZE, 9);
    large_want(&rig, "b", 3 * PAGE, 9);
    large_want(&rig, "c", 12, 9);
    ASSERT_STATUS(large_status(&rig, "none"), FASTER_NOT_FOUND);
    ASSERT_STATUS(large_status(&rig, "f"), FASTER_NOT_FOUND);
    large_want(&rig, "g", 2 * PAGE, 9);
    large_want(&rig, "h", 2, 9);
    large_open_newest(&rig, &snapshot);
    for (int i = 0; i < 2; i++) {
        const size_t old = i == 0 ? SOME_SIZE : PAGE;
        struct faster_buffer value;
        ASSERT_OK(large_read(&rig, &snapshot, GROWN[i], &value));
        cr_assert_eq(value.size_bytes, old + PAGE);
        cr_assert_eq(((unsigned char *)value.data)[old], 'x');
        cr_assert_eq(((unsigned char *)value.data)[old + PAGE - 1], 'x');
        cr_assert(i == 1 || large_equals(value.data, old, old, 1));
        faster_buffer_finish(&value);
    }
    struct faster_buffer ten;
    ASSERT_OK(large_read(&rig, &snapshot, "e", &ten));
    cr_assert_eq(ten.size_bytes, 10);
    faster_buffer_finish(&ten);
    faster_snapshot_close(&snapshot);
}

static void check_every_way(bool on_disk) {
    for (char key[2] = "a"; key[0] <= 'h'; key[0]++) {
        large_commit_put(&rig, key, SOME_SIZE, 1);
    }
    if (on_disk) {
        push_out();
    }
    write_every_way();
    want_every_way();
    rig_verify(&rig);
    rig_crash(&rig);
    rig_open(&rig);
    want_every_way();
}

Test(chunks, every_operation_works_on_large_values_just_written) {
    check_every_way(false);
}

Test(chunks, every_operation_works_on_large_values_on_disk) {
    check_every_way(true);
}

/* The shortest way to a value, for a caller's buffer that has room, is not one to a list of chunks.
 */
Test(chunks, result_buffer_with_room_gets_the_value_and_not_its_list) {
    struct faster_snapshot snapshot;
    struct faster_buffer value = {.env = rig.options.env};
    struct faster_op op = {.key = {"a", 1}, .result = &value};
    large_commit_put(&rig, "a", 2 * PAGE, 1);
    ASSERT_OK(faster_buffer_reserve(&value, 4 * PAGE));
    large_open_newest(&rig, &snapshot);
    ASSERT_STATUS(faster_snapshot_read(&snapshot, &op), FASTER_PENDING);
    ASSERT_OK(faster_session_complete_pending(rig.session, true));
    ASSERT_OK(op.status);
    cr_assert(large_equals(value.data, value.size_bytes, 2 * PAGE, 1));
    faster_snapshot_close(&snapshot);
    faster_buffer_finish(&value);
}

/* All values of one transaction fit the memory: nothing was flushed. */
Test(chunks, every_operation_works_on_large_values_in_memory) {
    struct faster_txn *txn = rig_begin(&rig);
    const struct large_expected first = {2 * PAGE, 1};
    const uint64_t reads = rig_stat(&rig, "disk_reads");
    ASSERT_OK(large_put(&rig, txn, "a", 2 * PAGE, 1));
    ASSERT_OK(large_write(&rig, txn, faster_txn_compare_and_set, "a", 3 * PAGE, 2, &first));
    ASSERT_STATUS(large_write(&rig, txn, faster_txn_compare_and_set, "a", 3 * PAGE, 3, &first),
                  FASTER_EXISTS);
    ASSERT_OK(run_merge(txn, "a", append_page, NULL));
    cr_assert_eq(rig_stat(&rig, "disk_reads"), reads);
    rig_commit(&rig, txn);
    rig_verify(&rig);
}

Test(chunks, batch_reads_large_and_small_values_side_by_side) {
    enum { COUNT = 100 };
    static struct faster_op ops[COUNT];
    static struct faster_buffer results[COUNT];
    static char keys[COUNT][16];
    struct faster_snapshot snapshot;
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(keys[i], sizeof keys[i], "k%u", i);
        large_commit_put(&rig, keys[i], i % 3 == 0 ? 2 * PAGE + i : i, i);
        results[i] = (struct faster_buffer){.env = rig.options.env};
        ops[i] = (struct faster_op){
            .key = {keys[i], strlen(keys[i])}, .kind = FASTER_OP_READ, .result = &results[i]};
    }
    large_open_newest(&rig, &snapshot);
    for (int round = 0; round < 2; round++) { /* the second finds room in its buffers */
        ASSERT_STATUS(faster_snapshot_batch(&snapshot, ops, COUNT), FASTER_PENDING);
        ASSERT_OK(faster_session_complete_pending(rig.session, true));
        for (unsigned i = 0; i < COUNT; i++) {
            ASSERT_OK(ops[i].status);
            cr_assert(large_equals(results[i].data, results[i].size_bytes,
                                   i % 3 == 0 ? 2 * PAGE + i : i, i));
        }
    }
    for (unsigned i = 0; i < COUNT; i++) {
        faster_buffer_finish(&results[i]);
    }
    faster_snapshot_close(&snapshot);
}

Test(chunks, scan_hands_out_whole_values) {
    for (unsigned i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", i);
        large_commit_put(&rig, key, i % 2 == 0 ? 3 * PAGE + i : 100 + i, i);
    }
    large_commit_put(&rig, "4", 9 * PAGE, 4);
    struct faster_snapshot snapshot;
    struct faster_scan *scan;
    struct faster_bytes key, value;
    unsigned count = 0;
    large_open_newest(&rig, &snapshot);
    ASSERT_OK(faster_scan_open(&snapshot, &scan));
    enum faster_status status;
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        char text[16] = {0};
        memcpy(text, key.data, key.size_bytes);
        const unsigned i = (unsigned)atoi(text);
        const size_t size = i == 4 ? 9 * PAGE : i % 2 == 0 ? 3 * PAGE + i : 100 + i;
        cr_assert(large_equals(value.data, value.size_bytes, size, i), "%u", i);
        count++;
    }
    ASSERT_STATUS(status, FASTER_END);
    cr_assert_eq(count, 20);
    faster_scan_close(scan);
    faster_snapshot_close(&snapshot);
}

/* ---- transactions ---- */

Test(chunks, what_is_rolled_back_leaves_the_old_value) {
    large_commit_put(&rig, "a", SOME_SIZE, 1);
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(large_put(&rig, txn, "a", 30 * PAGE, 2));
    faster_txn_rollback(txn);
    large_want(&rig, "a", SOME_SIZE, 1);
    txn = rig_begin(&rig);
    ASSERT_OK(large_put(&rig, txn, "b", 3 * PAGE, 3));
    ASSERT_OK(faster_txn_savepoint(txn, 0));
    ASSERT_OK(large_put(&rig, txn, "a", 30 * PAGE, 4));
    ASSERT_OK(large_put(&rig, txn, "b", 30 * PAGE, 5));
    ASSERT_OK(faster_txn_rollback_to(txn, 0));
    ASSERT_OK(large_put(&rig, txn, "c", 4 * PAGE, 6));
    rig_commit(&rig, txn);
    for (int i = 0; i < 2; i++) {
        large_want(&rig, "a", SOME_SIZE, 1);
        large_want(&rig, "b", 3 * PAGE, 3);
        large_want(&rig, "c", 4 * PAGE, 6);
        rig_verify(&rig);
        rig_crash(&rig);
        rig_open(&rig);
    }
}

Test(chunks, old_snapshot_keeps_the_old_value) {
    struct faster_snapshot old;
    struct faster_buffer value;
    large_commit_put(&rig, "a", SOME_SIZE, 1);
    large_open_newest(&rig, &old);
    uint64_t obsolete;
    large_commit_put(&rig, "a", 50 * PAGE, 2);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete));
    ASSERT_OK(large_read(&rig, &old, "a", &value));
    cr_assert(large_equals(value.data, value.size_bytes, SOME_SIZE, 1));
    faster_buffer_finish(&value);
    faster_snapshot_close(&old);
    large_want(&rig, "a", 50 * PAGE, 2);
}

/* The row carries the chunks: nothing of the commit is in the files. */
Test(chunks, redo_of_a_row_carries_chunks) {
    rig_close(&rig);
    rig.options.inline_commit_bytes = 10 * PAGE;
    rig_open(&rig);
    rig_commit_put(&rig, "small", 1, 0);
    const uint64_t syncs = rig_stat(&rig, "log_syncs");
    large_commit_put(&rig, "a", 3 * PAGE, 1);
    large_commit_put(&rig, "a", 2 * PAGE + 5, 2);
    large_commit_put(&rig, "b", PAGE, 3);
    cr_assert_eq(rig_stat(&rig, "log_syncs"), syncs);
    for (int i = 0; i < 3; i++) {
        rig_crash(&rig);
        rig_open(&rig);
        large_want(&rig, "a", 2 * PAGE + 5, 2);
        large_want(&rig, "b", PAGE, 3);
        rig_verify(&rig);
        rig_commit_put(&rig, "small", 2, 0);
    }
}

/* A crash at any moment of a transaction that writes a large value: only what was committed. */
static void crash_now(void *context, enum fst_test_operation operation) {
    (void)operation;
    unsigned *left = context;
    if (*left > 0 && --*left == 0) {
        char command[1024];
        snprintf(command, sizeof command, "cp -r --sparse=always %s %s/%u", rig.directory, rig.base,
                 rig.life + 1);
        cr_assert(system(command) == 0);
    }
}

Test(chunks, crash_in_the_middle_of_a_large_value_leaves_the_old_one) {
    large_commit_put(&rig, "a", SOME_SIZE, 0);
    for (unsigned at = 1; at <= 20; at += 3) {
        unsigned left = at;
        struct faster_txn *txn = rig_begin(&rig);
        fst_test_env_hook(rig.test, FST_TEST_FILE_WRITE, crash_now, &left);
        ASSERT_OK(large_put(&rig, txn, "a", 60 * PAGE, at));
        fst_test_env_hook(rig.test, FST_TEST_FILE_WRITE, NULL, NULL);
        cr_assert_eq(left, 0);
        faster_txn_rollback(txn);
        rig_close(&rig);
        snprintf(rig.directory, sizeof rig.directory, "%s/%u", rig.base, ++rig.life);
        rig_open(&rig);
        large_want(&rig, "a", SOME_SIZE + at - 1, at - 1);
        large_commit_put(&rig, "a", SOME_SIZE + at + 2, at + 2);
        large_want(&rig, "a", SOME_SIZE + at + 2, at + 2);
        rig_verify(&rig);
    }
}

Test(chunks, value_that_fails_half_way_leaves_the_transaction_usable) {
    large_commit_put(&rig, "a", SOME_SIZE, 1);
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(large_put(&rig, txn, "b", 2 * PAGE, 2));
    fst_test_env_fail(rig.test, FST_TEST_FILE_WRITE, 6, FST_TEST_FOR_EVER, FASTER_FULL);
    ASSERT_STATUS(large_put(&rig, txn, "a", 100 * PAGE, 3), FASTER_FULL);
    cr_assert(strstr(faster_session_message(rig.session), "disk is full") != NULL);
    fst_test_env_heal_all(rig.test);
    ASSERT_OK(large_put(&rig, txn, "c", 100 * PAGE, 4));
    rig_commit(&rig, txn);
    for (int i = 0; i < 2; i++) {
        large_want(&rig, "a", SOME_SIZE, 1);
        large_want(&rig, "b", 2 * PAGE, 2);
        large_want(&rig, "c", 100 * PAGE, 4);
        rig_verify(&rig);
        rig_crash(&rig);
        rig_open(&rig);
    }
}
