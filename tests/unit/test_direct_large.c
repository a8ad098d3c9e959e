/* test_direct_large.c - values larger than a page in direct stores (P2, P4, P9). */
#include "large_values.h"

/* After it: the rig in there has the name of its arguments. */
#include "direct_rig.h"

#define LARGE (3 * RIG_PAGE_BYTES + 5)
#define OPS_MAX 80u

TestSuite(direct_large, .init = start, .fini = stop, .timeout = 60);

/* The operations of one batch, with what belongs to them. */
static struct {
    struct faster_op ops[OPS_MAX];
    char keys[OPS_MAX][16];
    unsigned char *values[OPS_MAX];
    size_t count;
} batch;

static void batch_add(enum faster_op_kind kind, const char *prefix, size_t size) {
    size_t i = batch.count++;
    snprintf(batch.keys[i], sizeof batch.keys[i], "%s%zu", prefix, i);
    batch.values[i] = large_value(size, i);
    batch.ops[i] = (struct faster_op){.kind = (int32_t)kind,
                                      .key = {batch.keys[i], strlen(batch.keys[i])},
                                      .value = {batch.values[i], size},
                                      .merge = kind == FASTER_OP_RMW ? add_one : NULL};
}

static void batch_run(void) {
    enum faster_status status = faster_session_batch(rig.session, batch.ops, batch.count);
    if (status == FASTER_PENDING) {
        status = faster_session_complete_pending(rig.session, true);
    }
    ASSERT_OK(status);
    for (size_t i = 0; i < batch.count; i++) {
        ASSERT_OK(batch.ops[i].status);
    }
}

static void batch_end(void) {
    for (size_t i = 0; i < batch.count; i++) {
        free(batch.values[i]);
    }
    batch.count = 0;
}

static void want_large(const char *key, size_t size, uint64_t seed) {
    struct faster_snapshot now;
    struct faster_buffer result = {.env = rig.options.env};
    struct faster_op op = {.key = {key, strlen(key)}, .result = &result};
    ASSERT_OK(faster_snapshot_open_newest(rig.session, &now));
    ASSERT_OK(finish(rig.session, &op, faster_snapshot_read(&now, &op)));
    cr_assert(large_equals(result.data, result.size_bytes, size, seed), "%s is another value", key);
    faster_buffer_finish(&result);
    faster_snapshot_close(&now);
}

static void put_large(const char *key, uint64_t seed) {
    unsigned char *value = large_value(LARGE, seed);
    struct faster_op op = {.key = {key, strlen(key)}, .value = {value, LARGE}};
    ASSERT_OK(finish(rig.session, &op, faster_session_upsert(rig.session, &op)));
    free(value);
}

static void want_batch(void) {
    for (size_t i = 0; i < batch.count; i++) {
        want_large(batch.keys[i], batch.ops[i].value.size_bytes, i);
    }
}

/* The chunks of the value before lie ready in the session when the batch begins. */
Test(direct_large, batch_writes_each_key_its_own_value) {
    const enum faster_op_kind kinds[] = {FASTER_OP_UPSERT, FASTER_OP_INSERT};
    put_large("before", 1000);
    for (size_t kind = 0; kind < 2; kind++) {
        for (unsigned i = 0; i < 70; i++) {
            batch_add(kinds[kind], kind == 0 ? "u" : "i", i % 3 == 0 ? 50 : LARGE + i);
        }
        batch_run();
        want_batch();
        commit();
        rig_reopen(&rig);
        want_batch();
        batch_end();
    }
    want_large("before", LARGE, 1000);
}

Test(direct_large, merge_in_a_batch_does_not_take_the_value_before_for_its_own) {
    put_large("before", 1);
    batch_add(FASTER_OP_RMW, "n", 0);
    batch_run();
    cr_assert_eq(number_of("n0"), 1);
    batch_end();
    want_large("before", LARGE, 1);
}

Test(direct_large, small_write_after_a_large_one_is_small) {
    put_large("before", 1);
    ASSERT_OK(put("k", "small"));
    want("k", "small");
    add("n");
    cr_assert_eq(number_of("n"), 1);
    put_large("k", 2);
    want_large("k", LARGE, 2);
    ASSERT_OK(put("k", "small again"));
    want("k", "small again");
    commit();
    rig_reopen(&rig);
    want("k", "small again");
    want_large("before", LARGE, 1);
}
