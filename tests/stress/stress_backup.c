/* stress_backup.c - backups of a direct store while threads write to it, for the thread sanitizer
 * (P2, P3, P9).
 *
 * Each thread has its own keys and writes rising numbers to them, one key after the other; now and
 * then a value larger than a page. The store has so little memory that most of it is on disk. One
 * thread makes a backup after the other, opens it, and looks: of each thread a prefix of its writes
 * is there, no shorter than what it had done when the backup began, and verify finds nothing. A
 * checkpoint with an index comes in between, so that some backups have one.
 *
 *     stress_backup [least writes per thread] [seed]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "faster.h"
#include "support/stress_check.h"
#include "support/stress_store.h"
#include "support/test_env.h"

#define THREADS 4u
#define WRITERS (THREADS - 1)
#define KEYS 60u
#define SMALL_BYTES 400u
#define LARGE_BYTES 40000u
#define LARGE_ONE_IN 97u
#define BACKUPS 6u
#define PACE 8u /* writes at a time, once there are enough: the log is to stay small */
#define PACE_US 20000u

static struct stress_store stress;
static fst_atomic_u64 done[WRITERS + 1]; /* writes that have ended, by thread */
static fst_atomic_u64 backups;

struct key {
    uint32_t thread;
    uint32_t number;
};

static size_t size_of(uint64_t number) {
    return number % LARGE_ONE_IN == 0 ? LARGE_BYTES : SMALL_BYTES;
}

static enum faster_status complete(struct faster_session *session, const struct faster_op *op,
                                   enum faster_status status) {
    if (status == FASTER_PENDING) {
        (void)faster_session_complete_pending(session, true);
        status = op->status;
    }
    return status;
}

/* ---- writers ---- */

static void write_numbers(uint32_t thread) {
    struct faster_session *session;
    unsigned char *value = calloc(1, LARGE_BYTES);
    CHECK(faster_session_open(stress.store, &session) == FASTER_OK, "a writer's session", 0);
    for (uint64_t number = 1; number <= stress.steps || fst_load_relaxed_u64(&backups) < BACKUPS;
         number++) {
        if (number > stress.steps && number % PACE == 0) {
            (void)usleep(PACE_US);
        }
        const struct key key = {thread, (uint32_t)(number % KEYS)};
        struct faster_op op = {.key = {&key, sizeof key}, .value = {value, size_of(number)}};
        memcpy(value, &number, sizeof number);
        const enum faster_status status =
            complete(session, &op, faster_session_upsert(session, &op));
        CHECK(status == FASTER_OK, "a write", status);
        fst_store_relaxed_u64(&done[thread], number);
    }
    faster_session_close(session);
    free(value);
}

/* ---- one backup ---- */

static uint64_t read_number(struct faster_session *session, const struct faster_snapshot *snapshot,
                            uint32_t thread, uint32_t index) {
    const struct key key = {thread, index};
    struct faster_buffer result = {.env = faster_env_posix()};
    struct faster_op op = {.key = {&key, sizeof key}, .result = &result};
    const enum faster_status status = complete(session, &op, faster_snapshot_read(snapshot, &op));
    uint64_t number = 0;
    CHECK(status == FASTER_OK || status == FASTER_NOT_FOUND, "a read", status);
    if (status == FASTER_OK) {
        memcpy(&number, result.data, sizeof number);
        CHECK(result.size_bytes == size_of(number), "a value of another size", 0);
    }
    faster_buffer_finish(&result);
    return number;
}

/* Key number i has the last number up to the newest of all that leaves i. */
static void check_prefix(struct faster_session *session, const struct faster_snapshot *snapshot,
                         uint32_t thread, uint64_t at_least) {
    uint64_t found[KEYS];
    uint64_t newest = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        found[i] = read_number(session, snapshot, thread, i);
        newest = found[i] > newest ? found[i] : newest;
    }
    CHECK(newest >= at_least, "writes from before the backup are missing", 0);
    for (uint32_t i = 0; i < KEYS; i++) {
        const uint64_t back = (newest % KEYS + KEYS - i) % KEYS;
        CHECK(found[i] == (newest > back ? newest - back : 0), "no prefix of the writes", 0);
    }
}

static void check_copy(const char *directory, const uint64_t at_least[WRITERS + 1]) {
    const struct faster_options options = {.directory = directory,
                                           .memory_bytes = FASTER_MEMORY_BYTES_MIN};
    struct faster_store *store;
    struct faster_session *session;
    struct faster_snapshot snapshot;
    struct faster_error error;
    uint64_t findings = 1;
    enum faster_status status = faster_store_open(&options, &store, &error);
    CHECK(status == FASTER_OK, error.message, status);
    CHECK(faster_session_open(store, &session) == FASTER_OK, "the copy's session", 0);
    CHECK(faster_snapshot_open_newest(session, &snapshot) == FASTER_OK, "the copy's snapshot", 0);
    for (uint32_t thread = 1; thread <= WRITERS; thread++) {
        check_prefix(session, &snapshot, thread, at_least[thread]);
    }
    status = faster_session_verify(session, NULL, NULL, NULL, NULL, &findings);
    CHECK(status == FASTER_OK && findings == 0, "verify", status);
    struct faster_op op = {.key = {"more", 4}, .value = {"value", 5}};
    status = complete(session, &op, faster_session_upsert(session, &op));
    CHECK(status == FASTER_OK, "a write to the copy", status);
    faster_snapshot_close(&snapshot);
    faster_session_close(session);
    faster_store_close(store);
}

static void back_up(struct faster_session *session, const char *base, unsigned number) {
    char directory[300];
    uint64_t at_least[WRITERS + 1];
    struct faster_backup_request request = {.directory = directory};
    snprintf(directory, sizeof directory, "%s/%u", base, number);
    for (uint32_t thread = 1; thread <= WRITERS; thread++) {
        at_least[thread] = fst_load_relaxed_u64(&done[thread]);
    }
    const enum faster_status status = faster_session_backup(session, &request);
    CHECK(status == FASTER_OK, faster_session_message(session), status);
    check_copy(directory, at_least);
    (void)fst_add_relaxed_u64(&backups, 1);
}

static void back_up_often(void) {
    char base[256];
    struct faster_session *session;
    CHECK(faster_session_open(stress.store, &session) == FASTER_OK, "the backup's session", 0);
    CHECK(fst_test_directory_create(base, sizeof base), "a directory", 0);
    for (unsigned i = 0; i < BACKUPS; i++) {
        const struct faster_checkpoint_request request = {.index = FASTER_INDEX_COPY};
        if (i % 3 == 1) {
            const enum faster_status status =
                faster_session_take_checkpoint(session, &request, NULL);
            CHECK(status == FASTER_OK, "a checkpoint", status);
        }
        back_up(session, base, i);
    }
    fst_test_directory_remove(base);
    faster_session_close(session);
}

/* ---- the whole ---- */

static void *work(void *number) {
    const uint32_t thread = (uint32_t)(uintptr_t)number;
    if (thread == THREADS) {
        back_up_often();
    } else {
        write_numbers(thread);
    }
    return NULL;
}

static void check_all(const char *what) {
    struct faster_session *session;
    struct faster_snapshot snapshot;
    (void)what;
    CHECK(faster_session_open(stress.store, &session) == FASTER_OK, "the last session", 0);
    CHECK(faster_snapshot_open_newest(session, &snapshot) == FASTER_OK, "the last snapshot", 0);
    for (uint32_t thread = 1; thread <= WRITERS; thread++) {
        check_prefix(session, &snapshot, thread, fst_load_relaxed_u64(&done[thread]));
    }
    faster_snapshot_close(&snapshot);
    faster_session_close(session);
}

int main(int argc, char **argv) {
    struct faster_options options = {.writes = FASTER_WRITES_DIRECT,
                                     .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                     .page_bytes = FASTER_PAGE_BYTES_MIN,
                                     .segment_bytes = 4 * FASTER_PAGE_BYTES_MIN};
    stress = (struct stress_store){
        .program = "stress_backup", .thread_count = THREADS, .work = work, .check_all = check_all};
    stress_store_arguments(&stress, argc, argv, 4000);
    stress_store_run(&stress, &options);
    printf("stress_backup: %llu writes of one of %u threads, %llu backups\n",
           (unsigned long long)fst_load_relaxed_u64(&done[1]), WRITERS,
           (unsigned long long)fst_load_relaxed_u64(&backups));
    return 0;
}
