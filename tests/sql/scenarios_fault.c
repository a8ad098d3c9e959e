/* scenarios_fault.c - syncs that fail, disks that are full, and how often a commit syncs. */
#include <stdio.h>
#include <string.h>

#include "fault_vfs.h"
#include "scenarios.h"

static sqlite3 *open_faulty(const struct scenario *scenario) {
    fault_vfs_register();
    sqlite3 *db = db_open_with(scenario->options, scenario->path, "fault");
    db_must(db, "PRAGMA journal_mode=%s; PRAGMA synchronous=FULL", scenario->mode);
    return db;
}

/* -------------------------------------------------- SQLite's own sync fails in COMMIT */

enum aftermath { DIES_AT_ONCE, COMMITS_AND_DIES, CLOSES, AFTERMATH_COUNT };

/* What the next phase shall do; phases run in processes of their own. */
static struct {
    enum fault_file file;
    unsigned skip;
    enum fault_manner manner;
    enum aftermath aftermath;
    const char *store_options;
} failing;

static void commit_with_failing_sync(struct scenario *scenario) {
    sqlite3 *db = open_faulty(scenario);
    sqlite3 *other = open_faulty(scenario);
    tables_create(scenario, db, failing.store_options);
    rows_put(db, 0, 50, 100, 1);
    db_must(db, "CREATE TABLE outcome(fired, code)");
    db_must(db, "BEGIN");
    run_both(scenario, db, "UPDATE %s SET n = 2 WHERE key < 'k00020'");
    run_both(scenario, db, "DELETE FROM %s WHERE key = 'k00030'");
    run_both(scenario, db, "INSERT INTO %s VALUES('new', 'x', 2)");
    fault_vfs_fail_sync(failing.file, failing.skip, failing.manner);
    int code = db_run(db, "COMMIT");
    bool fired = fault_vfs_clear();
    expect(scenario, fired, "COMMIT made no sync number %u of file %d", failing.skip,
           (int)failing.file);
    expect(scenario, code != SQLITE_OK, "COMMIT succeeds though its sync failed");
    if (!sqlite3_get_autocommit(db)) {
        same_rows(scenario, db, -1, "still inside");
        db_must(db, "ROLLBACK");
    }
    same_rows(scenario, db, -1, "after the failed sync");
    same_rows(scenario, other, -1, "another connection after the failed sync");
    if (failing.aftermath == COMMITS_AND_DIES) {
        db_must(other, "BEGIN");
        run_both(scenario, other, "UPDATE %s SET n = n + 10 WHERE key < 'k00010'");
        db_must(other, "COMMIT");
        run_both(scenario, db, "UPDATE %s SET n = n + 10 WHERE key < 'k00010'");
        same_rows(scenario, db, -1, "after more commits");
        same_rows(scenario, other, -1, "another connection after more commits");
        all_sound(scenario, db, "after more commits");
    }
    if (failing.aftermath == CLOSES) {
        db_close(other);
        db_close(db);
    } else if (scenario->failures == 0) {
        kill_self();
    }
}

static bool row_came_back;

static void read_after_failed_sync(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    same_rows(scenario, db, -1, "in the next process");
    all_sound(scenario, db, "in the next process");
    if (row_came_back) {
        expect(scenario, db_int(db, "SELECT count(*) FROM f WHERE n = 2") == 21,
               "the transaction is not back after the kill");
    }
    run_both(scenario, db, "UPDATE %s SET n = n + 1");
    same_rows(scenario, db, -1, "in the next process, after a commit");
    db_close(db);
}

/* The syncs that a COMMIT makes; `skip` good ones of the file come before. */
struct commit_sync {
    enum fault_file file;
    unsigned skip;
};

static void fail_one_sync(struct scenario *scenario, struct commit_sync sync) {
    static const char *const stores[] = {"", ", inline_commit=0"};
    for (unsigned i = 0; i < 2u * 2 * AFTERMATH_COUNT; i++) {
        failing.file = sync.file;
        failing.skip = sync.skip;
        failing.manner = i % 2 ? FAULT_AFTER_SYNC : FAULT_WITHOUT_SYNC;
        failing.store_options = stores[i / 2 % 2];
        failing.aftermath = (enum aftermath)(i / 4);
        path_format(scenario->path, "%s/fault%d-%u-%u.db", scenario->directory, (int)sync.file,
                    sync.skip, i);
        run_phase(scenario, commit_with_failing_sync, failing.aftermath != CLOSES);
        /* The frames are in the file, so whoever recovers the WAL finds the commit. */
        row_came_back = sync.file == FAULT_WAL && failing.aftermath == DIES_AT_ONCE;
        run_phase(scenario, read_after_failed_sync, false);
    }
}

static void commit_with_failing_fsync(struct scenario *scenario) {
    static const struct commit_sync rollback[] = {
        {FAULT_JOURNAL, 0}, {FAULT_JOURNAL, 1}, {FAULT_DATABASE, 0}};
    if (strcmp(scenario->mode, "wal") == 0) {
        fail_one_sync(scenario, (struct commit_sync){FAULT_WAL, 0});
        return;
    }
    for (size_t i = 0; i < sizeof rollback / sizeof rollback[0]; i++) {
        fail_one_sync(scenario, rollback[i]);
    }
}

/* ----------------------------------------------------------- the store's own I/O fails */

static void store_sync_fails(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    tables_create(scenario, db, ", inline_commit=0");
    rows_put(db, 0, 100, 100, 1);
    db_must(db, "BEGIN");
    run_both(scenario, db, "UPDATE %s SET n = 2");
    fault_process_fail_sync("-faster/", 0);
    int code = db_run(db, "COMMIT");
    expect(scenario, code != SQLITE_OK, "COMMIT succeeds though the store could not sync");
    if (!sqlite3_get_autocommit(db)) {
        db_must(db, "ROLLBACK");
    }
    same_rows(scenario, db, 100, "after the failed sync");
    fault_process_fail_sync(NULL, 0);
    expect(scenario, db_int(db, "SELECT sum(n) FROM f") == 100, "reads go on with old rows");
    expect(scenario, db_run(db, "INSERT INTO f VALUES('x', 'y', 1)") != SQLITE_OK,
           "a write succeeds before the store is reopened");
    expect(scenario, *sqlite3_errmsg(db) != 0, "no message");
    db_must(db, "UPDATE o SET n = n");
    same_rows(scenario, db, 100, "after the refused write");
    db_close(db);
    db = scenario_open(scenario);
    same_rows(scenario, db, 100, "reopened");
    run_both(scenario, db, "UPDATE %s SET n = 3");
    same_rows(scenario, db, 100, "written after reopening");
    all_sound(scenario, db, "reopened");
    db_close(db);
}

/* In a transaction with both tables; `skip` good writes come before the disk is full. */
static void fill_disk(struct scenario *scenario, sqlite3 *db, unsigned skip) {
    db_must(db, "BEGIN");
    run_both(scenario, db, "UPDATE %s SET n = 2");
    fault_process_fail_write("-faster/", skip);
    int code = SQLITE_OK;
    for (int i = 0; i < 10 && code == SQLITE_OK; i++) {
        code = db_run(db,
                      "INSERT OR REPLACE INTO f SELECT key || '%d', hex(zeroblob(2000)), 2"
                      " FROM f WHERE length(key) = 6",
                      i) &
               0xff;
    }
    if (code == SQLITE_OK) {
        code = db_run(db, "COMMIT") & 0xff;
    }
    expect(scenario, code == SQLITE_FULL && strstr(sqlite3_errmsg(db), "disk is full") != NULL,
           "a full disk gives %d: %s", code, sqlite3_errmsg(db));
    if (!sqlite3_get_autocommit(db)) {
        db_must(db, "ROLLBACK");
    }
    same_rows(scenario, db, 100, "after the disk was full");
    fault_process_fail_write(NULL, 0);
    expect(scenario, db_int(db, "SELECT max(n) FROM f") == 1, "an undone value shows");
}

static void disk_full(struct scenario *scenario) {
    for (unsigned i = 0; i < 6; i++) {
        path_format(scenario->path, "%s/full%u.db", scenario->directory, i);
        sqlite3 *db = scenario_open(scenario);
        tables_create(scenario, db,
                      i % 2 ? ", inline_commit=0, memory='1MiB', page_size='16KiB'"
                            : ", memory='1MiB', page_size='16KiB'");
        rows_put(db, 0, 100, 100, 1);
        fill_disk(scenario, db, i / 2 * 7);
        run_both(scenario, db, "INSERT INTO %s VALUES('after', 'the disk has room', 1)");
        same_rows(scenario, db, 101, "with room again");
        all_sound(scenario, db, "with room again");
        db_close(db);
        db = scenario_open(scenario);
        same_rows(scenario, db, 101, "reopened");
        db_close(db);
    }
}

/* --------------------------------------------------------------- syncs per commit */

#define COMMITS 40

/* Syncs of the process for small commits into the tables `first` and `second`. */
static unsigned count_syncs(struct scenario *scenario, sqlite3 *db, const char *first,
                            const char *second) {
    unsigned before = 0;
    for (int i = -5; i < COMMITS; i++) {
        if (i == 0) {
            before = fault_process_sync_count();
        }
        db_must(db, "BEGIN");
        db_must(db, "INSERT OR REPLACE INTO %s VALUES(%d, 'small')", first, i);
        db_must(db, "INSERT OR REPLACE INTO %s VALUES(%d, 'small')", second, i);
        db_must(db, "COMMIT");
    }
    unsigned syncs = fault_process_sync_count() - before;
    if (scenario->options->verbose) {
        printf("    %s, %s + %s: %u syncs in %d commits\n", scenario->mode, first, second, syncs,
               COMMITS);
    }
    return syncs;
}

static void syncs_per_small_commit(struct scenario *scenario) {
    static const char *const levels[] = {"OFF", "NORMAL", "FULL", "EXTRA"};
    for (int i = 0; i < 4; i++) {
        path_format(scenario->path, "%s/sync%d.db", scenario->directory, i);
        sqlite3 *db = scenario_open(scenario);
        db_must(db, "PRAGMA synchronous=%s", levels[i]);
        db_must(db, "CREATE TABLE p(key PRIMARY KEY, value) WITHOUT ROWID");
        db_must(db, "CREATE TABLE q(key PRIMARY KEY, value) WITHOUT ROWID");
        unsigned ordinary = count_syncs(scenario, db, "p", "q");
        db_must(db, scenario->options->self ? "CREATE TABLE f(key PRIMARY KEY, value) WITHOUT ROWID"
                                            : "CREATE VIRTUAL TABLE f USING faster");
        unsigned both = count_syncs(scenario, db, "p", "f");
        unsigned alone = count_syncs(scenario, db, "f", "f");
        expect(scenario, both <= ordinary, "synchronous %s: %u syncs with FASTER, %u without",
               levels[i], both, ordinary);
        expect(scenario, alone <= ordinary, "synchronous %s: %u syncs for FASTER alone, %u without",
               levels[i], alone, ordinary);
        /* In WAL mode NORMAL leaves the syncs to the checkpoints. */
        bool may_sync_nothing = i == 0 || (i == 1 && strcmp(scenario->mode, "wal") == 0);
        expect(scenario, may_sync_nothing || ordinary > 0, "synchronous %s: no syncs were counted",
               levels[i]);
        db_close(db);
    }
}

const struct scenario_entry scenarios_fault[] = {
    {"commit_with_failing_fsync", commit_with_failing_fsync, false, true},
    {"store_sync_fails", store_sync_fails, true, true},
    {"disk_full", disk_full, true, true},
    {"syncs_per_small_commit", syncs_per_small_commit, false, true},
    {NULL, NULL, false, false}};
