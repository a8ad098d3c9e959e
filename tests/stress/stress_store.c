/* stress_store.c - readers with snapshots beside one writer, for the thread sanitizer (P2, P4).
 *
 * The writer adds 1 to some of the counters in each transaction, so that all counters of one
 * commit have the sum that the commit's number demands; it rolls back, undoes savepoints,
 * deletes and restores, checkpoints (which truncates) while the readers go on. Each reader
 * opens snapshots of the newest commit, reads all counters in random order or scans, twice,
 * and checks the sum and that both times agree.
 *
 *     stress_store [transactions] [seed]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "ledger.h"
#include "support/stress_check.h"
#include "support/test_env.h"

#define COUNTERS 64u
#define ADDED 4u /* per transaction */
#define READERS 3
#define FILLER_BYTES 1500u

struct shared {
    struct faster_store *store;
    fst_atomic_u32 stop;
    fst_atomic_u64 looks;
};

struct value {
    uint64_t count;
    uint64_t number; /* of the commit that wrote it */
    unsigned char filler[FILLER_BYTES];
};

static uint32_t draw(uint64_t *random, uint32_t below) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (uint32_t)((*random >> 16) % below);
}

/* ---- readers ---- */

static uint64_t read_one(const struct faster_snapshot *snapshot, uint32_t index,
                         struct faster_buffer *buffer) {
    struct value value;
    struct faster_op op = {.key = {&index, sizeof index}, .result = buffer};
    enum faster_status status = faster_snapshot_read(snapshot, &op);
    if (status == FASTER_PENDING) {
        faster_session_complete_pending(snapshot->session, true);
        status = op.status;
    }
    if (status == FASTER_NOT_FOUND) {
        return 0;
    }
    CHECK(status == FASTER_OK && buffer->size_bytes == sizeof value, "read", status);
    memcpy(&value, buffer->data, sizeof value);
    CHECK(value.filler[0] == (unsigned char)value.number &&
              value.filler[FILLER_BYTES - 1] == (unsigned char)value.number,
          "half of two values", 0);
    return value.count;
}

static uint64_t sum_of_reads(const struct faster_snapshot *snapshot, uint32_t from,
                             struct faster_buffer *buffer) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < COUNTERS; i++) {
        sum += read_one(snapshot, (from + i) % COUNTERS, buffer);
    }
    return sum;
}

static uint64_t sum_of_scan(const struct faster_snapshot *snapshot) {
    struct faster_scan *scan;
    struct faster_bytes key, bytes;
    uint64_t sum = 0;
    enum faster_status status = faster_scan_open(snapshot, &scan);
    CHECK(status == FASTER_OK, "scan_open", status);
    while ((status = faster_scan_next(scan, &key, &bytes)) == FASTER_OK) {
        struct value value;
        CHECK(bytes.size_bytes == sizeof value, "a scan's value", 0);
        memcpy(&value, bytes.data, sizeof value);
        sum += value.count;
    }
    CHECK(status == FASTER_END, "scan_next", status);
    faster_scan_close(scan);
    return sum;
}

static void look(struct shared *shared, struct faster_session *session, uint64_t *random,
                 struct faster_buffer *buffer) {
    struct faster_snapshot snapshot;
    enum faster_status status = faster_snapshot_open_newest(session, &snapshot);
    CHECK(status == FASTER_OK, "snapshot", status);
    uint64_t first = sum_of_reads(&snapshot, draw(random, COUNTERS), buffer);
    uint64_t second = draw(random, 2) == 0
                          ? sum_of_scan(&snapshot)
                          : sum_of_reads(&snapshot, draw(random, COUNTERS), buffer);
    CHECK(first % ADDED == 0 && first == second, "a snapshot that is none", 0);
    faster_snapshot_close(&snapshot);
    fst_add_relaxed_u64(&shared->looks, 1);
}

struct reader {
    struct shared *shared;
    uint64_t seed;
};

static void *read_until_stopped(void *context) {
    struct reader *reader = context;
    struct faster_session *session;
    struct faster_buffer buffer = {.env = faster_env_posix()};
    uint64_t random = reader->seed;
    enum faster_status status = faster_session_open(reader->shared->store, &session);
    CHECK(status == FASTER_OK, "session", status);
    while (fst_load_acquire_u32(&reader->shared->stop) == 0) {
        look(reader->shared, session, &random, &buffer);
    }
    faster_buffer_finish(&buffer);
    faster_session_close(session);
    return NULL;
}

/* ---- the writer ---- */

static void put(struct faster_session *session, struct faster_txn *txn, uint32_t index,
                uint64_t count, uint64_t number) {
    struct value value = {.count = count, .number = number};
    memset(value.filler, (int)(number & 255), sizeof value.filler);
    struct faster_op op = {.key = {&index, sizeof index}, .value = {&value, sizeof value}};
    enum faster_status status =
        count == 0 ? faster_txn_delete(txn, &op) : faster_txn_upsert(txn, &op);
    CHECK(status == FASTER_OK, faster_session_message(session), status);
}

/* Moves counts between counters (one may become 0 and be deleted) and adds ADDED in all. */
static void transact(struct faster_session *session, struct ledger *ledger, uint64_t *counts,
                     uint64_t *random) {
    uint64_t now[COUNTERS];
    struct faster_txn *txn;
    enum faster_status status = ledger_begin(ledger, session, &txn);
    CHECK(status == FASTER_OK, faster_session_message(session), status);
    memcpy(now, counts, sizeof now);
    uint64_t number = ledger->count == 0 ? 1 : ledger_newest(ledger)->number + 1;
    uint32_t from = draw(random, COUNTERS), to = draw(random, COUNTERS);
    uint64_t moved = now[from];
    now[from] = 0;
    put(session, txn, from, 0, number);
    status = faster_txn_savepoint(txn, 0);
    CHECK(status == FASTER_OK, "savepoint", status);
    put(session, txn, draw(random, COUNTERS), 12345, number);
    status = faster_txn_rollback_to(txn, 0);
    CHECK(status == FASTER_OK, "rollback_to", status);
    for (uint32_t i = 0; i <= ADDED; i++) {
        now[to] += i < ADDED ? 1 : moved;
        put(session, txn, to, now[to], number);
    }
    if (draw(random, 5) == 0) {
        faster_txn_rollback(txn);
        return;
    }
    status = ledger_commit(ledger, txn);
    CHECK(status == FASTER_OK, faster_session_message(session), status);
    memcpy(counts, now, sizeof now);
}

static void checkpoint(struct faster_session *session, struct ledger *ledger) {
    uint64_t obsolete_below;
    enum faster_status status =
        faster_session_checkpoint(session, ledger_newest(ledger), &obsolete_below, NULL, NULL);
    CHECK(status == FASTER_OK, "checkpoint", status);
    ledger_delete_below(ledger, obsolete_below);
}

/* The ledger loses nothing: its rows are always safe. */
static void hand_over_if_due(struct faster_store *store) {
    struct faster_commit_row row;
    if (faster_store_checkpoint_claim(store)) {
        const bool found = faster_store_committed(store, &row);
        faster_store_checkpoint_hand_over(store, found ? &row : NULL);
    }
}

static void write_all(struct shared *shared, uint64_t transactions, uint64_t seed) {
    uint64_t counts[COUNTERS] = {0};
    uint64_t random = seed;
    struct ledger ledger = {0};
    struct faster_session *session;
    pthread_t threads[READERS];
    struct reader readers[READERS];
    enum faster_status status = faster_session_open(shared->store, &session);
    CHECK(status == FASTER_OK && ledger_meet(&ledger, session) == FASTER_OK, "session", status);
    for (uint64_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){shared, seed + (i + 1) * 7919};
        CHECK(pthread_create(&threads[i], NULL, read_until_stopped, &readers[i]) == 0, "thread", 0);
    }
    for (uint64_t i = 0; i < transactions; i++) {
        transact(session, &ledger, counts, &random);
        hand_over_if_due(shared->store);
        if (i % 64 == 63) {
            checkpoint(session, &ledger);
        }
    }
    fst_store_release_u32(&shared->stop, 1);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    faster_session_close(session);
    ledger_finish(&ledger);
}

int main(int argc, char **argv) {
    uint64_t transactions = argc > 1 ? strtoull(argv[1], NULL, 10) : 3000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    char base[256];
    char directory[300];
    struct shared shared = {0};
    struct faster_options options = {.directory = directory,
                                     .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                     .page_bytes = 16 << 10,
                                     .segment_bytes = 64 << 10,
                                     .inline_commit_bytes = 16 << 10,
                                     .checkpoint_bytes = FASTER_CHECKPOINT_BYTES_MIN,
                                     .checkpoint_interval_ms = 50};
    if (!fst_test_directory_create(base, sizeof base)) {
        return 1;
    }
    snprintf(directory, sizeof directory, "%s/store", base);
    enum faster_status status = faster_store_create(&options, NULL, NULL);
    CHECK(status == FASTER_OK, "create", status);
    status = faster_store_open(&options, &shared.store, NULL);
    CHECK(status == FASTER_OK, "open", status);
    write_all(&shared, transactions, seed * UINT64_C(0x9E3779B97F4A7C15) + 1);
    faster_store_close(shared.store);
    fst_test_directory_remove(base);
    printf("stress_store: %llu transactions, %llu snapshots: 0 differences\n",
           (unsigned long long)transactions,
           (unsigned long long)fst_load_relaxed_u64(&shared.looks));
    return 0;
}
