/* scenarios_crash.c - processes that die, and what the next one finds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenarios.h"

#define SMALL_STORE ", memory='1MiB', page_size='16KiB', segment_size='64KiB'"

/* -------------------------------------------------------------- two crashes in a row */

/* Leaves committed rows, and uncommitted ones that have been written to the log's files. */
static void write_and_die(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    if (db_int(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'f'") == 0) {
        tables_create(scenario, db, SMALL_STORE);
        rows_put(db, 0, 300, 200, 1);
    }
    same_rows(scenario, db, 300, "opened after a crash");
    db_must(db, "BEGIN");
    run_both(scenario, db, "UPDATE %s SET n = n + 1 WHERE key < 'k00100'");
    db_must(db, "COMMIT");
    db_must(db, "BEGIN");
    for (int i = 0; i < 10; i++) {
        rows_put(db, 0, 300, 2000, 100 + i);
    }
    run_both(scenario, db, "DELETE FROM %s WHERE key > 'k00200'");
    if (scenario->failures == 0) {
        kill_self();
    }
}

/* The first write after a crash ends in another crash before any commit. */
static void begin_and_die(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    db_must(db, "BEGIN");
    run_both(scenario, db, "UPDATE %s SET n = n + 7 WHERE key = 'k00001'");
    if (scenario->failures == 0) {
        kill_self();
    }
}

static void read_all_rows(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    same_rows(scenario, db, 300, "after the crashes");
    expect(scenario, db_int(db, "SELECT n FROM f WHERE key = 'k00001'") == 5, "4 commits count");
    all_sound(scenario, db, "after the crashes");
    run_both(scenario, db, "INSERT OR REPLACE INTO %s VALUES('k00299', 'z', 1)");
    same_rows(scenario, db, 300, "after one more commit");
    db_close(db);
}

static void two_crashes_in_a_row(struct scenario *scenario) {
    run_phase(scenario, write_and_die, true);
    run_phase(scenario, write_and_die, true);
    run_phase(scenario, begin_and_die, true);
    run_phase(scenario, begin_and_die, true);
    run_phase(scenario, write_and_die, true);
    run_phase(scenario, begin_and_die, true);
    run_phase(scenario, write_and_die, true);
    run_phase(scenario, read_all_rows, false);
    run_phase(scenario, read_all_rows, false);
}

/* ------------------------------------------------------------------- aborted data */

static void abort_large_transactions(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    sqlite3 *reader = scenario_open(scenario);
    tables_create(scenario, db, SMALL_STORE);
    rows_put(db, 0, 400, 300, 1);
    for (int i = 0; i < 6; i++) {
        /* Some megabytes through one megabyte of memory, then undone. */
        db_must(db, "BEGIN");
        rows_put(db, 0, 600, 3000, 50 + i);
        run_both(scenario, db, "DELETE FROM %s WHERE key < 'k00100'");
        same_rows(scenario, db, 500, "inside the transaction");
        same_rows(scenario, reader, 400, "beside the transaction");
        db_must(db, "ROLLBACK");
        same_rows(scenario, db, 400, "after ROLLBACK");
        /* The same inside a transaction that commits. */
        db_must(db, "BEGIN");
        run_both(scenario, db, "UPDATE %s SET n = n + 1 WHERE key < 'k00050'");
        db_must(db, "SAVEPOINT s");
        rows_put(db, 0, 600, 3000, 90 + i);
        run_both(scenario, db, "DELETE FROM %s WHERE key > 'k00100'");
        db_must(db, "ROLLBACK TO s");
        run_both(scenario, db, "UPDATE %s SET n = n + 1 WHERE key > 'k00350'");
        db_must(db, "COMMIT");
        same_rows(scenario, db, 400, "after the savepoint");
        same_rows(scenario, reader, 400, "beside");
    }
    if (!scenario->options->self) {
        db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    }
    same_rows(scenario, db, 400, "after a checkpoint");
    db_must(db, "BEGIN");
    rows_put(db, 0, 600, 3000, 99);
    if (scenario->failures == 0) {
        kill_self();
    }
}

static void read_four_hundred(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    same_rows(scenario, db, 400, "after the crash");
    all_sound(scenario, db, "after the crash");
    run_both(scenario, db, "UPDATE %s SET n = n + 1");
    rows_put(db, 0, 400, 2000, 3);
    same_rows(scenario, db, 400, "after more commits");
    all_sound(scenario, db, "after more commits");
    db_close(db);
    db = scenario_open(scenario);
    same_rows(scenario, db, 400, "reopened");
    db_close(db);
}

static void aborted_data_after_flush_eviction_crash_and_reopen(struct scenario *scenario) {
    run_phase(scenario, abort_large_transactions, true);
    run_phase(scenario, read_four_hundred, false);
}

/* ------------------------------------------------------ the first opener is behind */

static void create_and_leave(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    tables_create(scenario, db, SMALL_STORE);
    rows_put(db, 0, 50, 100, 1);
    db_close(db);
}

static void write_newer_rows_and_die(struct scenario *scenario, int from_test, int to_test) {
    partner_wait(from_test);
    sqlite3 *db = scenario_open(scenario);
    for (int i = 0; i < 20; i++) {
        db_must(db, "BEGIN");
        rows_put(db, i, 60, 100, 2 + i);
        run_both(scenario, db, "DELETE FROM %s WHERE key = 'k00049'");
        db_must(db, "COMMIT");
        if (i == 10 && !scenario->options->self && strstr(scenario->name, "checkpoint")) {
            db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
        }
    }
    partner_tell(to_test);
    if (scenario->failures == 0) {
        kill_self();
    }
}

/* A reader keeps an old snapshot and has not touched the store. Another process commits
 * and dies. The reader is then the first to open the store, with the old rows before it. */
static void first_opener_with_old_snapshot(struct scenario *scenario) {
    struct partner writer;
    run_phase(scenario, create_and_leave, false);
    partner_start(scenario, &writer, write_newer_rows_and_die);
    sqlite3 *reader = scenario_open(scenario);
    db_must(reader, "BEGIN");
    int64_t sum = db_int(reader, "SELECT sum(n) FROM o");
    partner_tell(writer.to_partner);
    partner_wait(writer.from_partner);
    partner_end(scenario, &writer);
    if (strstr(scenario->name, "checkpoint") && db_run(reader, "SELECT * FROM f") != SQLITE_OK) {
        /* An older row than a durable one may be a backup's: an error is allowed here. */
        db_must(reader, "COMMIT; BEGIN");
    } else {
        same_rows(scenario, reader, 50, "in the old snapshot");
        expect(scenario, db_int(reader, "SELECT sum(n) FROM f") == sum, "the snapshot is not old");
    }
    int64_t rows = db_int(reader, "SELECT count(*) FROM o");
    sqlite3 *other = scenario_open(scenario);
    same_rows(scenario, other, 59, "in a new snapshot beside");
    same_rows(scenario, reader, rows, "in the old snapshot, again");
    run_both(scenario, other, "UPDATE %s SET n = n + 1");
    same_rows(scenario, reader, rows, "in the old snapshot, after a commit");
    db_must(reader, "COMMIT");
    same_rows(scenario, reader, 59, "in the next snapshot");
    all_sound(scenario, reader, "at the end");
    db_close(reader);
    db_close(other);
}

/* ------------------------------------------------------------- DDL and crashes */

static void drop_and_die(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    tables_create(scenario, db, "");
    rows_put(db, 0, 100, 50, 1);
    db_must(db, "BEGIN");
    run_both(scenario, db, "DROP TABLE %s");
    kill_self();
}

static void create_and_die(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    same_rows(scenario, db, 100, "a DROP died before its commit");
    db_must(db, "BEGIN");
    db_must(db, "CREATE VIRTUAL TABLE g USING faster; INSERT INTO g VALUES(1, 2)");
    if (scenario->failures == 0) {
        kill_self();
    }
}

static void drop_commit_and_die(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    db_must(db, "CREATE VIRTUAL TABLE g USING faster; INSERT INTO g VALUES(1, 2)");
    same_rows(scenario, db, 100, "beside a table whose CREATE died");
    db_must(db, "DROP TABLE g");
    kill_self();
}

static void clean_up(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    same_rows(scenario, db, 100, "after three crashes");
    db_must(db, "DROP TABLE f; CREATE VIRTUAL TABLE f USING faster; DROP TABLE f");
    db_close(db);
}

/* Directories of stores that no table names any more go in the end. */
static void ddl_and_crashes(struct scenario *scenario) {
    run_phase(scenario, drop_and_die, true);
    run_phase(scenario, create_and_die, true);
    run_phase(scenario, drop_commit_and_die, true);
    run_phase(scenario, clean_up, false);
    expect(scenario, store_directory_count(scenario->directory) == 0, "%u store directories stay",
           store_directory_count(scenario->directory));
}

const struct scenario_entry scenarios_crash[] = {
    {"two_crashes_in_a_row", two_crashes_in_a_row, false, true},
    {"aborted_data_after_flush_eviction_crash_and_reopen",
     aborted_data_after_flush_eviction_crash_and_reopen, false, true},
    {"first_opener_with_old_snapshot", first_opener_with_old_snapshot, false, false},
    {"first_opener_with_old_snapshot_after_checkpoint", first_opener_with_old_snapshot, true,
     false},
    {"ddl_and_crashes", ddl_and_crashes, true, true},
    {NULL, NULL, false, false}};
