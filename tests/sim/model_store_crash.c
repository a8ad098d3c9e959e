/* model_store_crash.c - the ends of a store's lives, and what is left of them.
 *
 * A crash copies the directory while the store is open. Of what was not synced, any sectors
 * may be missing. The decider comes back as it is, or as it was some commits ago (never before
 * the last checkpoint, which made it durable), or with a row that was in doubt. The next life
 * may begin with a reader whose snapshot of the decider is an old one.
 */
#include "model_store.h"
#include "support/torn_log.h"

static void diagnose(void *context, enum faster_diagnostic_level level, const char *module,
                     const char *message) {
    const struct run *run = context;
    if (level == FASTER_DIAGNOSTIC_ERROR && !run->with_faults) {
        fprintf(stderr, "diagnostic: %s: %s\n", module, message);
    }
}

void model_open(struct run *run) {
    struct faster_options options = {.env = fst_test_env_get(run->test),
                                     .directory = run->directory,
                                     .memory_bytes = 1 << 20,
                                     .page_bytes = 16 << 10,
                                     .segment_bytes = SEGMENT_BYTES,
                                     .inline_commit_bytes = run->inline_bytes,
                                     .index_bits = 4,
                                     .index_load_percent = run->index_load_percent,
                                     .diagnostic = diagnose,
                                     .diagnostic_context = run};
    struct faster_error error = {0};
    enum faster_status status = faster_store_open(&options, &run->store, &error);
    if (status != FASTER_OK) {
        fprintf(stderr, "%s\n", error.message);
    }
    CHECK(run, status == FASTER_OK, "open", status);
    CHECK(run, faster_session_open(run->store, &run->session) == FASTER_OK, "session", 0);
    CHECK(run, faster_session_open(run->store, &run->reader) == FASTER_OK, "session", 0);
}

static void close_snapshots(struct run *run) {
    for (int i = 0; i < SNAPSHOT_MAX; i++) {
        if (run->snapshots[i].open) {
            faster_snapshot_close(&run->snapshots[i].snapshot);
            run->snapshots[i].open = false;
        }
    }
}

void model_close(struct run *run) {
    close_snapshots(run);
    faster_session_close(run->session);
    faster_session_close(run->reader);
    faster_store_close(run->store);
    run->session = NULL;
}

/* ---- what the decider keeps ---- */

void model_remember(struct run *run) {
    struct ledger *slot = &run->past[run->past_next++ % PAST_MAX];
    ledger_finish(slot);
    *slot = ledger_copy(&run->ledger);
    ledger_finish(&run->doubt);
}

static uint64_t number_of(const struct ledger *ledger) {
    return ledger->count == 0 ? 0 : ledger->rows[ledger->count - 1].number;
}

/* A past that is still possible, or NULL. */
static struct ledger *draw_past(struct run *run) {
    struct ledger *past = &run->past[draw(run, PAST_MAX)];
    uint64_t number = number_of(past);
    bool possible = number != 0 && number >= run->durable_number && number <= newest_number(run);
    return possible ? past : NULL;
}

static void forget_future(struct run *run) {
    for (int i = 0; i < PAST_MAX; i++) {
        if (number_of(&run->past[i]) > newest_number(run)) {
            ledger_finish(&run->past[i]);
        }
    }
}

static void draw_decider(struct run *run) {
    struct ledger *past = draw_past(run);
    if (run->doubt.count > 0 && draw(run, 2) == 0) {
        ledger_finish(&run->ledger);
        run->ledger = run->doubt;
        run->doubt = (struct ledger){0};
        memcpy(run->history[newest_number(run)], run->doubt_state, sizeof run->doubt_state);
        run->returned++;
        model_remember(run);
    } else if (past != NULL && draw(run, 2) == 0) {
        struct ledger copy = ledger_copy(past);
        ledger_finish(&run->ledger);
        run->ledger = copy;
        ledger_finish(&run->doubt);
        forget_future(run);
        run->lost++;
    }
}

/* ---- what the disk keeps ---- */

static uint64_t figure(const struct run *run, const char *name) {
    struct faster_stat stats[128];
    size_t count = faster_store_stats(run->store, stats, 128);
    for (size_t i = 0; i < count && i < 128; i++) {
        if (strcmp(stats[i].name, name) == 0) {
            return stats[i].value;
        }
    }
    return 0;
}

static void crash_store(struct run *run) {
    char copy[sizeof run->directory];
    char command[1200];
    snprintf(copy, sizeof copy, "%s", run->directory);
    char *dot = strrchr(copy, '.');
    snprintf(dot, sizeof copy - (size_t)(dot - copy), ".%u", ++run->generation);
    snprintf(command, sizeof command, "cp -r --sparse=always %s %s", run->directory, copy);
    CHECK(run, system(command) == 0, "copy", 0);
    uint64_t durable = figure(run, "log_durable");
    uint64_t tail = figure(run, "log_tail");
    /* What an earlier life made durable; the figure of this one starts at the newest commit. */
    uint64_t before = torn_log_durable(run->directory);
    durable = before > durable ? before : durable;
    model_close(run);
    snprintf(command, sizeof command, "rm -rf %s", run->directory);
    CHECK(run, system(command) == 0, "remove", 0);
    if (draw(run, 3) != 0) {
        run->torn += torn_log_lose(copy, SEGMENT_BYTES, durable, tail, &run->random);
    }
    memcpy(run->directory, copy, sizeof copy);
    draw_decider(run);
}

void model_reopen(struct run *run, bool crash) {
    if (crash) {
        crash_store(run);
    } else {
        model_close(run);
    }
    model_open(run);
    struct ledger *past = draw_past(run);
    if (past != NULL && draw(run, 2) == 0) {
        model_check_ledger(run, past, true);
    }
    run->reopens++;
    model_check_ledger(run, &run->ledger, true);
    model_verify(run);
}
