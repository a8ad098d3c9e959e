/* store_rig.h - a small store with a decider, for the unit tests of layers 4 and 5.
 *
 * The store has the least memory and pages there are, so that a few hundred rows reach the
 * disk. A *crash* copies the directory as it is while the store is open, and goes on with
 * the copy. Included once per program.
 */
#ifndef TESTS_UNIT_STORE_RIG_H
#define TESTS_UNIT_STORE_RIG_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.h"
#include "support/test_env.h"

#define RIG_PAGE_BYTES (16u * 1024u)
#define RIG_NEVER_INLINE UINT64_MAX

struct rig {
    struct fst_test_env *test;
    struct faster_options options;
    char base[256];
    char directory[300];
    unsigned life;
    struct ledger ledger;
    struct faster_store *store;
    struct faster_session *session;
};

#define ASSERT_STATUS(got, expected)                                                               \
    do {                                                                                           \
        enum faster_status rig_got = (got);                                                        \
        cr_assert(rig_got == (expected), "%s instead of %s", faster_status_name(rig_got),          \
                  faster_status_name(expected));                                                   \
    } while (0)
#define ASSERT_OK(got) ASSERT_STATUS(got, FASTER_OK)

static inline enum faster_status rig_try_open(struct rig *rig) {
    struct faster_error error = {0};
    rig->options.directory = rig->directory;
    return faster_store_open(&rig->options, &rig->store, &error);
}

static inline void rig_open(struct rig *rig) {
    struct faster_error error = {0};
    rig->options.directory = rig->directory;
    const enum faster_status status = faster_store_open(&rig->options, &rig->store, &error);
    cr_assert(status == FASTER_OK, "open: %s: %s", faster_status_name(status), error.message);
    ASSERT_OK(faster_session_open(rig->store, &rig->session));
}

static inline void rig_start(struct rig *rig, uint64_t inline_commit_bytes) {
    memset(rig, 0, sizeof *rig);
    rig->test = fst_test_env_create();
    cr_assert(fst_test_directory_create(rig->base, sizeof rig->base));
    snprintf(rig->directory, sizeof rig->directory, "%s/0", rig->base);
    rig->options = (struct faster_options){.env = fst_test_env_get(rig->test),
                                           .directory = rig->directory,
                                           .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                           .page_bytes = RIG_PAGE_BYTES,
                                           .segment_bytes = 4 * RIG_PAGE_BYTES,
                                           .inline_commit_bytes = inline_commit_bytes};
    struct faster_error error = {0};
    enum faster_status status = faster_store_create(&rig->options, NULL, &error);
    cr_assert(status == FASTER_OK, "%s", error.message);
    rig_open(rig);
}

static inline void rig_close(struct rig *rig) {
    faster_session_close(rig->session);
    faster_store_close(rig->store);
    rig->session = NULL;
    rig->store = NULL;
}

static inline void rig_reopen(struct rig *rig) {
    rig_close(rig);
    rig_open(rig);
}

/* What is in the files now is what the next life finds. The old one is closed first. */
static inline void rig_crash(struct rig *rig) {
    char command[1024];
    char copy[sizeof rig->directory];
    snprintf(copy, sizeof copy, "%s/%u", rig->base, ++rig->life);
    snprintf(command, sizeof command, "cp -r --sparse=always %s %s", rig->directory, copy);
    cr_assert(system(command) == 0);
    rig_close(rig);
    memcpy(rig->directory, copy, sizeof copy);
}

/* Ends the test: nothing may be left in memory. */
static inline void rig_finish(struct rig *rig) {
    if (rig->store != NULL) {
        rig_close(rig);
    }
    ledger_finish(&rig->ledger);
    cr_assert(fst_test_env_live_allocations(rig->test) == 0);
    fst_test_directory_remove(rig->base);
    fst_test_env_destroy(rig->test);
}

/* ---- writing ---- */

static inline struct faster_txn *rig_begin(struct rig *rig) {
    struct faster_txn *txn = NULL;
    enum faster_status status = ledger_begin(&rig->ledger, rig->session, &txn);
    cr_assert(status == FASTER_OK, "begin: %s: %s", faster_status_name(status),
              faster_session_message(rig->session));
    return txn;
}

/* A value of `size` bytes that begins with the number. */
static inline enum faster_status rig_put(struct faster_txn *txn, const char *key, unsigned number,
                                         size_t size) {
    unsigned char *bytes = calloc(1, size + sizeof number);
    memcpy(bytes, &number, sizeof number);
    struct faster_op op = {.key = {key, strlen(key)}, .value = {bytes, size + sizeof number}};
    enum faster_status status = faster_txn_upsert(txn, &op);
    free(bytes);
    return status;
}

static inline enum faster_status rig_delete(struct faster_txn *txn, const char *key) {
    struct faster_op op = {.key = {key, strlen(key)}};
    return faster_txn_delete(txn, &op);
}

static inline void rig_commit(struct rig *rig, struct faster_txn *txn) {
    ASSERT_OK(ledger_commit(&rig->ledger, txn));
}

static inline void rig_commit_put(struct rig *rig, const char *key, unsigned number, size_t size) {
    struct faster_txn *txn = rig_begin(rig);
    ASSERT_OK(rig_put(txn, key, number, size));
    rig_commit(rig, txn);
}

static inline void rig_commit_delete(struct rig *rig, const char *key) {
    struct faster_txn *txn = rig_begin(rig);
    ASSERT_OK(rig_delete(txn, key));
    rig_commit(rig, txn);
}

static inline enum faster_status rig_checkpoint(struct rig *rig, uint64_t *obsolete_below) {
    *obsolete_below = 0;
    return faster_session_checkpoint(rig->session, ledger_newest(&rig->ledger), obsolete_below,
                                     NULL, NULL);
}

/* ---- reading ---- */

/* 0: there is no such key. */
static inline unsigned rig_read(const struct rig *rig, const struct faster_snapshot *snapshot,
                                const char *key) {
    struct faster_buffer value = {.env = fst_test_env_get(rig->test)};
    struct faster_op op = {.key = {key, strlen(key)}, .result = &value};
    unsigned number = 0;
    enum faster_status status = faster_snapshot_read(snapshot, &op);
    if (status == FASTER_PENDING) {
        faster_session_complete_pending(snapshot->session, true);
        status = op.status;
    }
    if (status != FASTER_NOT_FOUND) {
        ASSERT_OK(status);
        memcpy(&number, value.data, sizeof number);
    }
    faster_buffer_finish(&value);
    return number;
}

/* In the ledger's newest commit. */
static inline unsigned rig_get(struct rig *rig, const char *key) {
    struct faster_snapshot snapshot;
    ASSERT_OK(ledger_meet(&rig->ledger, rig->session));
    ASSERT_OK(faster_snapshot_open(rig->session, ledger_newest(&rig->ledger), &snapshot));
    unsigned number = rig_read(rig, &snapshot, key);
    faster_snapshot_close(&snapshot);
    return number;
}

static inline unsigned rig_count(struct rig *rig) {
    struct faster_snapshot snapshot;
    struct faster_scan *scan;
    struct faster_bytes key, value;
    unsigned count = 0;
    enum faster_status status;
    ASSERT_OK(ledger_meet(&rig->ledger, rig->session));
    ASSERT_OK(faster_snapshot_open(rig->session, ledger_newest(&rig->ledger), &snapshot));
    ASSERT_OK(faster_scan_open(&snapshot, &scan));
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        count++;
    }
    ASSERT_STATUS(status, FASTER_END);
    faster_scan_close(scan);
    faster_snapshot_close(&snapshot);
    return count;
}

static inline void rig_verify(struct rig *rig) {
    uint64_t findings = 0;
    ASSERT_OK(ledger_meet(&rig->ledger, rig->session));
    ASSERT_OK(faster_session_verify(rig->session, NULL, NULL, NULL, NULL, &findings));
    cr_assert(findings == 0, "%llu findings", (unsigned long long)findings);
}

static inline uint64_t rig_stat(const struct rig *rig, const char *name) {
    struct faster_stat stats[128];
    size_t count = faster_store_stats(rig->store, stats, 128);
    for (size_t i = 0; i < count && i < 128; i++) {
        if (strcmp(stats[i].name, name) == 0) {
            return stats[i].value;
        }
    }
    cr_assert(false, "no figure %s", name);
    return 0;
}

#endif
