/* failing_calls_life.c - the scripted workload: a store's lives, from creation to removal. */
#include <unistd.h>

#include "failing_calls.h"

#define PAGE_BYTES FASTER_PAGE_BYTES_MIN
#define SEGMENT_BYTES (16u * PAGE_BYTES)

/* ---- lives of the store ---- */

static void on_diagnostic(void *context, enum faster_diagnostic_level level, const char *module,
                          const char *message) {
    struct work *work = context;
    (void)message;
    work->in_doubt |= level == FASTER_DIAGNOSTIC_ERROR && strcmp(module, "close") == 0;
}

static struct faster_options options_of(struct work *work) {
    struct faster_options options = {.env = fst_test_env_get(work->test),
                                     .directory = work->directory,
                                     .writes = FASTER_WRITES_DIRECT,
                                     .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                     .page_bytes = PAGE_BYTES,
                                     .segment_bytes = SEGMENT_BYTES,
                                     .io = work->uses_ring ? FASTER_IO_URING : FASTER_IO_THREADS,
                                     .io_threads = work->io_threads,
                                     .index_bits = 4,
                                     .diagnostic = on_diagnostic,
                                     .diagnostic_context = work};
    memcpy(options.uuid, work->uuid, sizeof options.uuid);
    return options;
}

uint64_t work_fault_count(const struct work *work) {
    return work->uses_ring ? ring_spoilt() : fst_test_env_failed(work->test, work->operation);
}

static void close_sessions(struct work *work) {
    for (uint32_t i = 0; i < SESSIONS; i++) {
        if (work->sessions[i] != NULL) {
            faster_snapshot_close(&work->seen[i]);
            faster_session_close(work->sessions[i]);
            work->sessions[i] = NULL;
        }
    }
}

static void expect_no_sessions(struct work *work) {
    struct faster_stat stats[128];
    size_t count = faster_store_stats(work->store, stats, 128);
    for (size_t i = 0; i < count && i < 128; i++) {
        bool counts_open =
            strcmp(stats[i].name, "sessions") == 0 || strcmp(stats[i].name, "snapshots") == 0;
        CHECK(work, !counts_open || stats[i].value == 0, "a session or snapshot is left over",
              FASTER_OK);
    }
}

/* A clean close keeps everything; one that fails, and one of a broken store, what was committed. */
static void close_store(struct work *work) {
    close_sessions(work);
    expect_no_sessions(work);
    CHECK(work, work->cut_count < CUTS_MAX, "too many commits that failed", FASTER_MISUSE);
    memcpy(work->cuts[work->cut_count++], work->now, sizeof work->now);
    work->in_doubt = work->is_broken;
    faster_store_close(work->store);
    work->store = NULL;
    if (!work->in_doubt) {
        memcpy(work->cuts[0], work->now, sizeof work->now);
        work->cut_count = 1;
    } else {
        CHECK(work, work->may_fail, "close", FASTER_IO);
    }
    work->is_broken = false;
    if (work->is_healed) {
        work->may_fail = false;
        work->may_break = false;
    }
}

static bool open_store(struct work *work) {
    struct faster_options options = options_of(work);
    struct faster_error error = {0};
    enum faster_status status = faster_store_open(&options, &work->store, &error);
    for (uint32_t i = 0; status == FASTER_OK && i < SESSIONS; i++) {
        status = faster_session_open(work->store, &work->sessions[i]);
        if (status == FASTER_OK) {
            status = faster_snapshot_open_newest(work->sessions[i], &work->seen[i]);
        }
    }
    if (status == FASTER_OK) {
        work->failed_at_open = work_fault_count(work);
        return true;
    }
    CHECK(work, work->store != NULL || error.message[0] != '\0', "a failure without a message",
          status);
    work_failed(work, "open", status);
    close_sessions(work);
    faster_store_close(work->store);
    work->store = NULL;
    return false;
}

/* A store that is broken stays so until it is closed. */
static void heal(struct work *work) {
    fst_test_env_heal_all(work->test);
    transfer_heal();
    ring_heal();
    work->is_healed = true;
}

/* No call fails any more: the store is as good as new, or wants to be opened again. */
static void expect_healed(struct work *work) {
    heal(work);
    enum faster_status status = work_commit(work);
    CHECK(work, status == FASTER_OK || work->may_break, "writing does not go on", status);
    if (status != FASTER_OK) {
        work->is_broken = true;
        CHECK(work, work_commit(work) != FASTER_OK, "a second commit acknowledges", status);
        return;
    }
    work->may_fail = false;
    work->may_break = false;
    work_check_now(work);
}

/* ---- the workload ---- */

/* Commits to a file that exists; on io_uring those of a small record are a write with its sync. */
static void commit_often(struct work *work) {
    for (uint32_t i = 0; i < 6; i++) {
        work_operate(work, i % 3 == 0 ? FASTER_OP_UPSERT : FASTER_OP_DELETE, 3 * i, 1);
        (void)work_commit(work);
    }
}

static void write_and_read(struct work *work) {
    work_operate(work, FASTER_OP_UPSERT, 0, 25);
    (void)work_commit(work);
    commit_often(work);
    work_operate(work, FASTER_OP_INSERT, 22, 6);
    enum faster_status grown = faster_session_grow(work->sessions[0]);
    CHECK(work, grown == FASTER_OK || grown == FASTER_FULL, "grow", grown);
    work_operate(work, FASTER_OP_UPSERT, 28, 22); /* evicts */
    work_operate(work, FASTER_OP_READ, 0, 6);
    work_operate(work, FASTER_OP_RMW, 4, 3);
    work_operate(work, FASTER_OP_COMPARE_AND_SET, 7, 3);
    work_operate(work, FASTER_OP_INSERT, 10, 2);
    work_operate(work, FASTER_OP_DELETE, 12, 3);
    work_batch(work, 15, 15);
    (void)work_commit(work);
    work_scan(work);
    work_verify(work);
    work_operate(work, 0, 0, 20);
    work_batch(work, 10, 10);
}

static void write_again(struct work *work) {
    work_operate(work, 0, 25, 15);
    (void)work_commit(work);
    commit_often(work);
    work_operate(work, 0, 10, 5);
}

/* Makes the store. False: it failed, was made after all, and the case is over. */
static bool create_store(struct work *work) {
    struct faster_options options = options_of(work);
    struct faster_error error = {0};
    enum faster_status status = faster_store_create(&options, NULL, &error);
    if (status == FASTER_OK) {
        return true;
    }
    CHECK(work, error.message[0] != '\0', "a failure without a message", status);
    work_failed(work, "create", status);
    heal(work);
    if (access(work->directory, F_OK) == 0) {
        /* What it could not take away. */
        status = faster_store_remove(options.env, work->directory, work->uuid, &error);
        CHECK(work, status == FASTER_OK, "removing an unfinished creation", status);
    }
    status = faster_store_create(&options, NULL, &error);
    CHECK(work, status == FASTER_OK, "create again", status);
    return false;
}

void work_remove(struct work *work) {
    const struct faster_env *env = fst_test_env_get(work->test);
    enum faster_status status = faster_store_remove(env, work->directory, work->uuid, NULL);
    if (status != FASTER_OK) {
        work_failed(work, "remove", status);
        heal(work);
        status = faster_store_remove(env, work->directory, work->uuid, NULL);
    }
    CHECK(work, status == FASTER_OK || status == FASTER_MISSING, "remove again", status);
    CHECK(work, access(work->directory, F_OK) != 0, "removed, and still there", status);
}

static void open_again(struct work *work) {
    if (!open_store(work)) {
        heal(work);
        CHECK(work, open_store(work), "open", FASTER_IO);
    }
}

/* From create to removal. */
void work_live(struct work *work, enum span span) {
    if (create_store(work)) {
        open_again(work);
        write_and_read(work);
        if (span == UNTIL_CLOSE) {
            expect_healed(work);
        }
        close_store(work);
        open_again(work);
        if (span == UNTIL_OPEN) {
            heal(work);
        }
        work_find_cut(work);
        write_again(work);
        expect_healed(work);
        close_store(work);
        open_again(work);
        work_find_cut(work);
        close_store(work);
    }
    work_remove(work);
}

void work_prepare_removal(struct work *work) {
    CHECK(work, create_store(work), "create", FASTER_IO);
    open_again(work);
    work_operate(work, FASTER_OP_UPSERT, 0, 2);
    close_store(work);
}
