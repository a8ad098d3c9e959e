/* test_misuse.c - calls without what they need: MISUSE, and nothing is done (layer 7). */
#include "direct_rig.h"

TestSuite(misuse, .timeout = 60);

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct faster_bytes NO_DATA = {NULL, 1};

/* ---- operations ---- */

/* What one of them lacks. */
struct incomplete {
    const char *what;
    struct faster_op op;
};

static const struct incomplete INCOMPLETE[] = {
    {"the key of a read", {.kind = FASTER_OP_READ, .key = {NULL, 1}}},
    {"the key of an upsert", {.kind = FASTER_OP_UPSERT, .key = {NULL, 1}, .value = {"v", 1}}},
    {"the value of an upsert", {.kind = FASTER_OP_UPSERT, .key = {"k", 1}, .value = {NULL, 1}}},
    {"the key of an insert", {.kind = FASTER_OP_INSERT, .key = {NULL, 9}, .value = {"v", 1}}},
    {"the value of an insert", {.kind = FASTER_OP_INSERT, .key = {"k", 1}, .value = {NULL, 9}}},
    {"the key of a compare-and-set", {.kind = FASTER_OP_COMPARE_AND_SET, .key = {NULL, 1}}},
    {"the value of a compare-and-set",
     {.kind = FASTER_OP_COMPARE_AND_SET, .key = {"k", 1}, .value = {NULL, 1}}},
    {"what a compare-and-set expects",
     {.kind = FASTER_OP_COMPARE_AND_SET, .key = {"k", 1}, .expected = {NULL, 1}}},
    {"the key of a read-modify-write", {.kind = FASTER_OP_RMW, .key = {NULL, 1}, .merge = add_one}},
    {"the merge function", {.kind = FASTER_OP_RMW, .key = {"k", 1}}},
    {"the key of a delete", {.kind = FASTER_OP_DELETE, .key = {NULL, 1}}},
};

static enum faster_status call_direct(struct faster_session *session, struct faster_op *op) {
    switch ((enum faster_op_kind)op->kind) {
    case FASTER_OP_READ:
        return FASTER_MISUSE; /* there is no such call */
    case FASTER_OP_UPSERT:
        return faster_session_upsert(session, op);
    case FASTER_OP_INSERT:
        return faster_session_insert(session, op);
    case FASTER_OP_COMPARE_AND_SET:
        return faster_session_compare_and_set(session, op);
    case FASTER_OP_RMW:
        return faster_session_rmw(session, op);
    case FASTER_OP_DELETE:
        return faster_session_delete(session, op);
    }
    return FASTER_OK;
}

static enum faster_status call_txn(struct faster_txn *txn, struct faster_op *op) {
    switch ((enum faster_op_kind)op->kind) {
    case FASTER_OP_READ:
        return FASTER_MISUSE;
    case FASTER_OP_UPSERT:
        return faster_txn_upsert(txn, op);
    case FASTER_OP_INSERT:
        return faster_txn_insert(txn, op);
    case FASTER_OP_COMPARE_AND_SET:
        return faster_txn_compare_and_set(txn, op);
    case FASTER_OP_RMW:
        return faster_txn_rmw(txn, op);
    case FASTER_OP_DELETE:
        return faster_txn_delete(txn, op);
    }
    return FASTER_OK;
}

static enum faster_status call_read(struct faster_session *session, struct faster_op *op) {
    struct faster_snapshot now;
    ASSERT_OK(faster_snapshot_open_newest(session, &now));
    const enum faster_status status = faster_snapshot_read(&now, op);
    faster_snapshot_close(&now);
    return status;
}

static void expect_misuse(const struct incomplete *of, const struct faster_op *op,
                          enum faster_status status) {
    cr_assert(status == FASTER_MISUSE && op->status == FASTER_MISUSE, "without %s: %s", of->what,
              faster_status_name(status));
}

Test(misuse, incomplete_operation_does_nothing_in_a_direct_store, .init = start, .fini = stop) {
    ASSERT_OK(put("k", "1"));
    const uint64_t tail = stat_of("log_tail");
    for (size_t i = 0; i < COUNT(INCOMPLETE); i++) {
        struct faster_op op = INCOMPLETE[i].op;
        const bool reads = op.kind == FASTER_OP_READ;
        const enum faster_status status =
            reads ? call_read(rig.session, &op) : call_direct(rig.session, &op);
        expect_misuse(&INCOMPLETE[i], &op, status);
    }
    cr_assert_eq(stat_of("log_tail"), tail);
    want("k", "1");
}

/* Not even the first write's fixing of the tail. */
Test(misuse, incomplete_operation_of_a_new_session_leaves_the_log_as_it_is, .init = start,
     .fini = stop) {
    struct faster_op op = {.key = {"k", 1}};
    ASSERT_STATUS(faster_session_rmw(rig.session, &op), FASTER_MISUSE);
    cr_assert_eq(fst_load_acquire_u32(&rig.store->is_writable), 0);
}

Test(misuse, incomplete_operations_of_a_batch_end_by_themselves, .init = start, .fini = stop) {
    struct faster_op ops[2 * COUNT(INCOMPLETE) + 1];
    char keys[COUNT(INCOMPLETE) + 1];
    ops[0] = (struct faster_op){.kind = FASTER_OP_UPSERT, .key = {keys, 1}, .value = {"v", 1}};
    keys[0] = 'A';
    for (size_t i = 0; i < COUNT(INCOMPLETE); i++) {
        keys[i + 1] = (char)('B' + i);
        ops[2 * i + 1] = INCOMPLETE[i].op;
        ops[2 * i + 2] = (struct faster_op){
            .kind = FASTER_OP_UPSERT, .key = {&keys[i + 1], 1}, .value = {"v", 1}};
    }
    ASSERT_OK(faster_session_batch(rig.session, ops, COUNT(ops)));
    for (size_t i = 0; i < COUNT(ops); i++) {
        if (i % 2 == 1) {
            expect_misuse(&INCOMPLETE[i / 2], &ops[i], ops[i].status);
        } else {
            const char key[2] = {keys[i / 2], '\0'};
            ASSERT_OK(ops[i].status);
            want(key, "v");
        }
    }
    want("k", NULL);
}

Test(misuse, incomplete_operation_leaves_the_transaction_usable) {
    struct rig mine;
    rig_start(&mine, 4096);
    struct faster_txn *txn = rig_begin(&mine);
    for (size_t i = 0; i < COUNT(INCOMPLETE); i++) {
        struct faster_op op = INCOMPLETE[i].op;
        if (op.kind != FASTER_OP_READ) {
            expect_misuse(&INCOMPLETE[i], &op, call_txn(txn, &op));
        }
    }
    cr_assert(!faster_txn_has_writes(txn));
    ASSERT_OK(rig_put(txn, "k", 7, 0));
    rig_commit(&mine, txn);
    cr_assert_eq(rig_get(&mine, "k"), 7);
    rig_finish(&mine);
}

/* A result that must grow and cannot. */
Test(misuse, result_without_memory_or_environment_is_refused, .init = start, .fini = stop) {
    unsigned char bytes[2];
    struct faster_buffer result = {.data = bytes, .capacity_bytes = sizeof bytes};
    struct faster_op op = {.key = {"k", 1}, .result = &result};
    ASSERT_OK(put("k", "longer than two"));
    ASSERT_STATUS(call_read(rig.session, &op), FASTER_MISUSE);
    commit();
    ASSERT_STATUS(call_read(rig.session, &op), FASTER_MISUSE);
    op.result = NULL; /* whether it exists */
    ASSERT_OK(call_read(rig.session, &op));
}

/* ---- handles, and where results go ---- */

static enum faster_status no_row(void *context, struct faster_commit_row *row) {
    (void)context;
    (void)row;
    return FASTER_END;
}

static enum faster_status no_record(void *context, const struct faster_record *record) {
    (void)context;
    (void)record;
    return FASTER_OK;
}

static void no_name(void *context, const uint8_t uuid[FASTER_UUID_BYTES]) {
    (void)context;
    (void)uuid;
}

Test(misuse, store_calls_need_their_pointers, .init = start, .fini = stop) {
    uint8_t uuid[FASTER_UUID_BYTES] = {0};
    struct faster_store *store;
    struct faster_session *session;
    struct faster_place place;
    struct faster_salvage_report report;
    struct faster_commit_row row;
    ASSERT_STATUS(faster_store_create(NULL, uuid, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_store_open(NULL, &store, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_store_open(&rig.options, NULL, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_store_remove(NULL, NULL, uuid, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_store_remove(NULL, rig.directory, NULL, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_store_mark(NULL, NULL, true), FASTER_MISUSE);
    cr_assert(!faster_store_is_marked(NULL, NULL));
    ASSERT_STATUS(faster_store_list(NULL, NULL, no_name, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_store_list(NULL, rig.base, NULL, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_place_fill(NULL, NULL, &place), FASTER_MISUSE);
    ASSERT_STATUS(faster_place_fill(NULL, rig.base, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_uuid_draw(NULL, uuid), FASTER_MISUSE);
    ASSERT_STATUS(faster_uuid_draw(rig.options.env, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_store_salvage(NULL, NULL, no_record, NULL, NULL, NULL, &report, NULL),
                  FASTER_MISUSE);
    ASSERT_STATUS(faster_store_salvage(NULL, rig.directory, NULL, NULL, NULL, NULL, &report, NULL),
                  FASTER_MISUSE);
    ASSERT_STATUS(
        faster_store_salvage(NULL, rig.directory, no_record, NULL, NULL, NULL, NULL, NULL),
        FASTER_MISUSE);
    ASSERT_STATUS(faster_store_adopt(NULL, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_open(NULL, &session), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_open(rig.store, NULL), FASTER_MISUSE);
    cr_assert_eq(faster_store_checkpoints(NULL, NULL, 0), 0);
    cr_assert(!faster_store_committed(NULL, &row));
    cr_assert(!faster_store_committed(rig.store, NULL));
    cr_assert(!faster_store_checkpoint_claim(NULL));
    cr_assert(!faster_store_checkpoint_pays(NULL));
    faster_store_checkpoint_hand_over(NULL, NULL);
    want("k", NULL);
}

Test(misuse, sessions_and_their_operations_need_their_pointers, .init = start, .fini = stop) {
    struct faster_op op = {.key = {"k", 1}, .value = {"v", 1}, .merge = add_one};
    struct faster_session *session = rig.session;
    struct faster_session *of[2] = {NULL, session};
    for (int i = 0; i < 2; i++) {
        struct faster_op *its = i == 0 ? &op : NULL;
        ASSERT_STATUS(faster_session_upsert(of[i], its), FASTER_MISUSE);
        ASSERT_STATUS(faster_session_insert(of[i], its), FASTER_MISUSE);
        ASSERT_STATUS(faster_session_compare_and_set(of[i], its), FASTER_MISUSE);
        ASSERT_STATUS(faster_session_rmw(of[i], its), FASTER_MISUSE);
        ASSERT_STATUS(faster_session_delete(of[i], its), FASTER_MISUSE);
        ASSERT_STATUS(faster_session_batch(of[i], its, 1), FASTER_MISUSE);
    }
    ASSERT_OK(faster_session_batch(session, NULL, 0));
    ASSERT_STATUS(faster_session_commit(NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_complete_pending(NULL, true), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_grow(NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_take_checkpoint(NULL, NULL, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_take_checkpoint(session, NULL, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_backup(NULL, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_backup(session, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_checkpoint(session, NULL, NULL, NULL, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_verify(session, NULL, NULL, NULL, NULL, NULL), FASTER_MISUSE);
    uint64_t count;
    ASSERT_STATUS(faster_session_verify(NULL, NULL, NULL, NULL, NULL, &count), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_verify_all(session, no_row, NULL, NULL, NULL, NULL, NULL, NULL),
                  FASTER_MISUSE);
    ASSERT_STATUS(faster_session_checkpoint(NULL, NULL, &count, NULL, NULL), FASTER_MISUSE);
    want("k", NULL);
}

Test(misuse, snapshots_and_scans_need_their_pointers, .init = start, .fini = stop) {
    struct faster_snapshot now;
    struct faster_snapshot closed = {0};
    struct faster_scan *scan;
    struct faster_records *records;
    struct faster_record record;
    struct faster_bytes bytes;
    struct faster_op op = {.kind = FASTER_OP_READ, .key = {"k", 1}};
    ASSERT_STATUS(faster_snapshot_open(NULL, NULL, &now), FASTER_MISUSE);
    ASSERT_STATUS(faster_snapshot_open(rig.session, NULL, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_snapshot_open_newest(NULL, &now), FASTER_MISUSE);
    ASSERT_STATUS(faster_snapshot_open_newest(rig.session, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_snapshot_open_txn(rig.session, NULL, &now), FASTER_MISUSE);
    ASSERT_OK(faster_snapshot_open_newest(rig.session, &now));
    const struct faster_snapshot *without[2] = {NULL, &closed};
    for (int i = 0; i < 2; i++) {
        ASSERT_STATUS(faster_snapshot_read(without[i], &op), FASTER_MISUSE);
        ASSERT_STATUS(faster_snapshot_batch(without[i], &op, 1), FASTER_MISUSE);
        ASSERT_STATUS(faster_scan_open(without[i], &scan), FASTER_MISUSE);
        ASSERT_STATUS(faster_records_open(without[i], 0, UINT64_MAX, &records), FASTER_MISUSE);
    }
    ASSERT_STATUS(faster_snapshot_read(&now, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_snapshot_batch(&now, NULL, 1), FASTER_MISUSE);
    ASSERT_OK(faster_snapshot_batch(&now, NULL, 0));
    op.key = NO_DATA;
    ASSERT_OK(faster_snapshot_batch(&now, &op, 1));
    ASSERT_STATUS(op.status, FASTER_MISUSE);
    ASSERT_STATUS(faster_scan_open(&now, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_records_open(&now, 0, UINT64_MAX, NULL), FASTER_MISUSE);
    ASSERT_OK(faster_scan_open(&now, &scan));
    ASSERT_STATUS(faster_scan_next(NULL, &bytes, &bytes), FASTER_MISUSE);
    ASSERT_STATUS(faster_scan_next(scan, NULL, &bytes), FASTER_MISUSE);
    ASSERT_STATUS(faster_scan_next(scan, &bytes, NULL), FASTER_MISUSE);
    faster_scan_close(scan);
    ASSERT_OK(faster_records_open(&now, 0, UINT64_MAX, &records));
    ASSERT_STATUS(faster_records_next(NULL, &record), FASTER_MISUSE);
    ASSERT_STATUS(faster_records_next(records, NULL), FASTER_MISUSE);
    faster_records_close(records);
    faster_snapshot_close(&now);
}

Test(misuse, transactions_need_their_pointers) {
    struct rig mine;
    struct faster_op op = {.key = {"k", 1}, .value = {"v", 1}, .merge = add_one};
    struct faster_commit_row row;
    uint64_t obsolete;
    struct faster_txn *txn;
    rig_start(&mine, 4096);
    ASSERT_STATUS(faster_session_meet_row(NULL, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_catch_up(NULL, no_row, NULL, NULL, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_catch_up(mine.session, NULL, NULL, NULL, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_txn_begin(NULL, NULL, &txn), FASTER_MISUSE);
    ASSERT_STATUS(faster_txn_begin(mine.session, NULL, NULL), FASTER_MISUSE);
    txn = rig_begin(&mine);
    struct faster_txn *of[2] = {NULL, txn};
    for (int i = 0; i < 2; i++) {
        struct faster_op *its = i == 0 ? &op : NULL;
        ASSERT_STATUS(faster_txn_upsert(of[i], its), FASTER_MISUSE);
        ASSERT_STATUS(faster_txn_insert(of[i], its), FASTER_MISUSE);
        ASSERT_STATUS(faster_txn_compare_and_set(of[i], its), FASTER_MISUSE);
        ASSERT_STATUS(faster_txn_rmw(of[i], its), FASTER_MISUSE);
        ASSERT_STATUS(faster_txn_delete(of[i], its), FASTER_MISUSE);
    }
    ASSERT_STATUS(faster_txn_savepoint(NULL, 0), FASTER_MISUSE);
    ASSERT_STATUS(faster_txn_rollback_to(NULL, 0), FASTER_MISUSE);
    ASSERT_STATUS(faster_txn_prepare(NULL, &row, &obsolete), FASTER_MISUSE);
    ASSERT_STATUS(faster_txn_prepare(txn, NULL, &obsolete), FASTER_MISUSE);
    ASSERT_STATUS(faster_txn_prepare(txn, &row, NULL), FASTER_MISUSE);
    faster_txn_release(NULL, 0);
    cr_assert(!faster_txn_has_writes(NULL));
    cr_assert(!faster_txn_has_writes(txn));
    faster_txn_rollback(txn);
    rig_finish(&mine);
}

Test(misuse, buffers_need_themselves_and_bytes) {
    struct faster_buffer buffer = {.env = faster_env_posix()};
    ASSERT_STATUS(faster_buffer_reserve(NULL, 1), FASTER_MISUSE);
    ASSERT_STATUS(faster_buffer_assign(NULL, "x", 1), FASTER_MISUSE);
    ASSERT_STATUS(faster_buffer_assign(&buffer, NULL, 1), FASTER_MISUSE);
    ASSERT_OK(faster_buffer_assign(&buffer, NULL, 0));
    cr_assert_eq(buffer.size_bytes, 0);
    faster_buffer_finish(&buffer);
}
