/* model_store_crash.c - the ends of a store's lives, and what is left of them.
 *
 * A crash copies the directory while the store is open. Of what was not synced, any sectors
 * may be missing. The decider comes back as it is, or as it was some commits ago (never before
 * the last checkpoint, which made it durable), or with a row that was in doubt. The next life
 * may begin with a reader whose snapshot of the decider is an old one.
 */
#include "model_store.h"
#include "shapes/format.h"

#define SECTOR_BYTES 512u
#define SEGMENT_HEADER_BYTES 4096u

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

/* What an earlier life made durable; the figure of this one starts at the newest commit. */
static uint64_t durable_before(const char *directory) {
    static const char *const NAMES[] = {FST_NAME_MANIFEST_0, FST_NAME_MANIFEST_1};
    uint64_t durable = 0;
    for (int i = 0; i < 2; i++) {
        struct fst_manifest manifest;
        char path[400];
        snprintf(path, sizeof path, "%s/%s", directory, NAMES[i]);
        FILE *file = fopen(path, "rb");
        if (file != NULL && fread(&manifest, sizeof manifest, 1, file) == 1 &&
            manifest.durable_end > durable) {
            durable = manifest.durable_end;
        }
        if (file != NULL) {
            fclose(file);
        }
    }
    return durable;
}

/* Loses sectors of one segment at or above `durable`. */
static void tear(struct run *run, const char *path, uint64_t first_addr, uint64_t durable) {
    static const unsigned char zeroes[SECTOR_BYTES];
    FILE *file = fopen(path, "r+b");
    if (file == NULL) {
        return;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    uint32_t one_in = 1 + draw(run, 6);
    for (long off = SEGMENT_HEADER_BYTES; off < size; off += SECTOR_BYTES) {
        uint64_t addr = first_addr + (uint64_t)off - SEGMENT_HEADER_BYTES;
        if (addr >= durable && draw(run, one_in) == 0) {
            size_t count = size - off < (long)SECTOR_BYTES ? (size_t)(size - off) : SECTOR_BYTES;
            fseek(file, off, SEEK_SET);
            CHECK(run, fwrite(zeroes, 1, count, file) == count, "tear", 0);
            run->torn++;
        }
    }
    fclose(file);
}

static void tear_all(struct run *run, const char *directory, uint64_t durable, uint64_t tail) {
    for (uint64_t index = durable / SEGMENT_BYTES; index <= tail / SEGMENT_BYTES; index++) {
        char path[400];
        snprintf(path, sizeof path, "%s/log.%012llx", directory, (unsigned long long)index);
        if (index * SEGMENT_BYTES >= durable && draw(run, 4) == 0) {
            remove(path); /* its directory entry was not synced */
        } else {
            tear(run, path, index * SEGMENT_BYTES, durable);
        }
    }
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
    uint64_t before = durable_before(run->directory);
    durable = before > durable ? before : durable;
    model_close(run);
    snprintf(command, sizeof command, "rm -rf %s", run->directory);
    CHECK(run, system(command) == 0, "remove", 0);
    if (draw(run, 3) != 0) {
        tear_all(run, copy, durable, tail);
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
