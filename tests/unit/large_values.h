/* large_values.h - values of any size that are derived from a seed, for the tests of chunks.
 *
 * Included once per program, after store_rig.h.
 */
#ifndef TESTS_UNIT_LARGE_VALUES_H
#define TESTS_UNIT_LARGE_VALUES_H

#include "store_rig.h"

/* Bytes that repeat with no size of a chunk. */
static inline void large_fill(unsigned char *bytes, size_t size, uint64_t seed) {
    uint64_t state = seed * UINT64_C(0x9E3779B97F4A7C15) + size + 1;
    for (size_t i = 0; i < size; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes[i] = (unsigned char)(state >> 24);
    }
}

static inline unsigned char *large_value(size_t size, uint64_t seed) {
    unsigned char *bytes = malloc(size + 1);
    large_fill(bytes, size, seed);
    return bytes;
}

static inline bool large_equals(const void *data, size_t size_bytes, size_t size, uint64_t seed) {
    unsigned char *expected = large_value(size, seed);
    bool equal = size_bytes == size && memcmp(data, expected, size) == 0;
    free(expected);
    return equal;
}

typedef enum faster_status large_write_fn(struct faster_txn *, struct faster_op *);

/* Writes the value of `seed` with any of the transaction's calls, and waits for it. `expected` is
 * the seed and size that a compare-and-set wants to find. */
struct large_expected {
    size_t size;
    uint64_t seed;
};
static inline enum faster_status large_write(struct rig *rig, struct faster_txn *txn,
                                             large_write_fn *write, const char *key, size_t size,
                                             uint64_t seed, const struct large_expected *expected) {
    unsigned char *bytes = large_value(size, seed);
    unsigned char *old = expected != NULL ? large_value(expected->size, expected->seed) : NULL;
    struct faster_op op = {.key = {key, strlen(key)}, .value = {bytes, size}};
    if (expected != NULL) {
        op.expected = (struct faster_bytes){old, expected->size};
    }
    enum faster_status status = write(txn, &op);
    if (status == FASTER_PENDING) {
        faster_session_complete_pending(rig->session, true);
        status = op.status;
    }
    free(old);
    free(bytes);
    return status;
}

static inline enum faster_status large_put(struct rig *rig, struct faster_txn *txn, const char *key,
                                           size_t size, uint64_t seed) {
    return large_write(rig, txn, faster_txn_upsert, key, size, seed, NULL);
}

static inline void large_commit_put(struct rig *rig, const char *key, size_t size, uint64_t seed) {
    struct faster_txn *txn = rig_begin(rig);
    ASSERT_OK(large_put(rig, txn, key, size, seed));
    rig_commit(rig, txn);
}

/* The outcome of a read; the value stays in *value. */
static inline enum faster_status large_read(const struct rig *rig,
                                            const struct faster_snapshot *snapshot, const char *key,
                                            struct faster_buffer *value) {
    *value = (struct faster_buffer){.env = fst_test_env_get(rig->test)};
    struct faster_op op = {.key = {key, strlen(key)}, .result = value};
    enum faster_status status = faster_snapshot_read(snapshot, &op);
    if (status == FASTER_PENDING) {
        faster_session_complete_pending(snapshot->session, true);
        status = op.status;
    }
    return status;
}

static inline void large_open_newest(struct rig *rig, struct faster_snapshot *snapshot) {
    ASSERT_OK(ledger_meet(&rig->ledger, rig->session));
    ASSERT_OK(faster_snapshot_open(rig->session, ledger_newest(&rig->ledger), snapshot));
}

/* The key has this value in the newest commit. */
static inline void large_want(struct rig *rig, const char *key, size_t size, uint64_t seed) {
    struct faster_snapshot snapshot;
    struct faster_buffer value;
    large_open_newest(rig, &snapshot);
    ASSERT_OK(large_read(rig, &snapshot, key, &value));
    cr_assert(large_equals(value.data, value.size_bytes, size, seed), "%s: %zu bytes, wanted %zu",
              key, value.size_bytes, size);
    faster_buffer_finish(&value);
    faster_snapshot_close(&snapshot);
}

static inline enum faster_status large_status(struct rig *rig, const char *key) {
    struct faster_snapshot snapshot;
    struct faster_buffer value;
    large_open_newest(rig, &snapshot);
    enum faster_status status = large_read(rig, &snapshot, key, &value);
    faster_buffer_finish(&value);
    faster_snapshot_close(&snapshot);
    return status;
}

#endif
