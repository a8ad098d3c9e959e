/* scenarios_commit.c - callbacks that come late, table objects that come and go, BUSY. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hook_table.h"
#include "scenarios.h"

/* ---------------------------------------------- code between commit and xCommit */

enum ending { ENDS_AT_ONCE, COMMITS_LATER, ROLLS_BACK_LATER };

struct late {
    struct scenario *scenario;
    sqlite3 *other;
    enum hook_event event;
    enum ending ending;
    bool armed;
    unsigned calls;
};

/* SQLite has committed (or rolled back) the first connection's transaction and given up its
 * lock, but the FASTER table does not know yet. */
static int other_connection_writes(void *context, enum hook_event event) {
    struct late *late = context;
    if (!late->armed || event != late->event || late->calls++ > 0) {
        return SQLITE_OK;
    }
    expect(late->scenario, db_run(late->other, "BEGIN IMMEDIATE") == SQLITE_OK,
           "the write lock is not free: %s", sqlite3_errmsg(late->other));
    same_rows(late->scenario, late->other, -1, "in the other connection, before its write");
    run_both(late->scenario, late->other,
             "INSERT OR REPLACE INTO %s SELECT 'late' || count(*), 'x', max(n) FROM %s");
    run_both(late->scenario, late->other, "UPDATE %s SET n = n + 1000 WHERE key < 'k00010'");
    if (late->ending == ENDS_AT_ONCE) {
        expect(late->scenario, db_run(late->other, "COMMIT") == SQLITE_OK, "COMMIT: %s",
               sqlite3_errmsg(late->other));
    }
    return SQLITE_OK;
}

static void finish_late(struct late *late) {
    expect(late->scenario, late->calls == 1, "the moment came %u times", late->calls);
    same_rows(late->scenario, late->other, -1, "in the other connection");
    if (late->ending != ENDS_AT_ONCE) {
        run_both(late->scenario, late->other, "DELETE FROM %s WHERE key > 'k00040'");
        bool commits = late->ending == COMMITS_LATER;
        expect(late->scenario, db_run(late->other, commits ? "COMMIT" : "ROLLBACK") == SQLITE_OK,
               "%s: %s", commits ? "COMMIT" : "ROLLBACK", sqlite3_errmsg(late->other));
    }
}

static int refuse(void *context) {
    (void)context;
    return 1;
}

static void late_callback(struct scenario *scenario, enum hook_event event, const char *end_sql,
                          bool refused) {
    for (int ending = ENDS_AT_ONCE; ending <= ROLLS_BACK_LATER; ending++) {
        remove(scenario->path);
        path_format(scenario->path, "%s/test%d.db", scenario->directory, ending);
        sqlite3 *db = scenario_open(scenario);
        tables_create(scenario, db, "");
        rows_put(db, 0, 60, 40, 1);
        struct late late = {scenario, scenario_open(scenario), event, (enum ending)ending, false,
                            0};
        hook_table_create(db, other_connection_writes, &late);
        late.armed = true;
        db_must(db, "BEGIN; INSERT INTO hook VALUES(1)");
        run_both(scenario, db, "UPDATE %s SET value = 'mine', n = n + 1 WHERE key < 'k00020'");
        run_both(scenario, db, "DELETE FROM %s WHERE key = 'k00030'");
        if (refused) {
            sqlite3_commit_hook(db, refuse, NULL);
        }
        int code = db_run(db, "%s", end_sql) & 0xff;
        expect(scenario, code == (refused ? SQLITE_CONSTRAINT : SQLITE_OK), "%s: %d %s", end_sql,
               code, sqlite3_errmsg(db));
        late.armed = false;
        sqlite3_commit_hook(db, NULL, NULL);
        finish_late(&late);
        same_rows(scenario, db, -1, "after both");
        run_both(scenario, db, "UPDATE %s SET n = n + 1");
        same_rows(scenario, db, -1, "after one more commit");
        db_close(db);
        same_rows(scenario, late.other, -1, "in the other connection, alone");
        all_sound(scenario, late.other, "after a late callback");
        db_close(late.other);
        db = scenario_open(scenario);
        same_rows(scenario, db, -1, "reopened");
        db_close(db);
    }
}

static void late_commit_callback(struct scenario *scenario) {
    late_callback(scenario, HOOK_COMMIT, "COMMIT", false);
}

static void late_rollback_callback(struct scenario *scenario) {
    late_callback(scenario, HOOK_ROLLBACK, "ROLLBACK", false);
}

static void late_rollback_after_prepare(struct scenario *scenario) {
    late_callback(scenario, HOOK_ROLLBACK, "COMMIT", true);
}

/* -------------------------------------------------- several objects of one store */

static void rename_there_and_back(sqlite3 *db) {
    db_must(db, "ALTER TABLE f RENAME TO g; ALTER TABLE g RENAME TO f");
}

static void two_table_objects_in_one_transaction(struct scenario *scenario) {
    static const char *const endings[] = {"COMMIT", "ROLLBACK", "ROLLBACK TO a; COMMIT",
                                          "RELEASE a; COMMIT"};
    sqlite3 *db = scenario_open(scenario);
    sqlite3 *other = scenario_open(scenario);
    tables_create(scenario, db, "");
    rows_put(db, 0, 60, 40, 1);
    for (int i = 0; i < 8; i++) {
        db_must(db, "BEGIN");
        run_both(scenario, db, "UPDATE %s SET n = n + 1 WHERE key < 'k00030'");
        if (i % 2) {
            rename_there_and_back(db);
        } else {
            db_must(db, "SAVEPOINT s; CREATE TABLE passing(x); ROLLBACK TO s; RELEASE s");
        }
        run_both(scenario, db, "UPDATE %s SET value = value || '.' WHERE key < 'k00040'");
        db_must(db, "SAVEPOINT a");
        run_both(scenario, db, "DELETE FROM %s WHERE key LIKE '%%5'");
        if (i % 2) {
            rename_there_and_back(db);
        }
        run_both(scenario, db, "INSERT OR REPLACE INTO %s VALUES('k00005', 'again', 5)");
        same_rows(scenario, db, -1, "inside");
        same_rows(scenario, other, -1, "beside");
        db_must(db, "%s", endings[i / 2]);
        same_rows(scenario, db, -1, endings[i / 2]);
        same_rows(scenario, other, -1, "beside, after the end");
    }
    all_sound(scenario, db, "after renames");
    db_close(db);
    db_close(other);
    db = scenario_open(scenario);
    same_rows(scenario, db, -1, "reopened");
    db_close(db);
}

static void drop_in_savepoint_rolled_back(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    tables_create(scenario, db, "");
    rows_put(db, 0, 100, 100, 1);
    for (int i = 0; i < 4; i++) {
        db_must(db, "BEGIN");
        run_both(scenario, db, "UPDATE %s SET n = n + 1 WHERE key < 'k00050'");
        db_must(db, "SAVEPOINT s");
        run_both(scenario, db, "DROP TABLE %s");
        expect_error(scenario, db, "SELECT * FROM f", SQLITE_ERROR, "no such table", NULL);
        if (i % 2) {
            tables_create(scenario, db, "");
            rows_put(db, 500, 510, 10, 7);
            same_rows(scenario, db, 10, "the new tables");
        }
        db_must(db, "ROLLBACK TO s");
        same_rows(scenario, db, 100, "the DROP is rolled back");
        run_both(scenario, db, "UPDATE %s SET n = n + 1 WHERE key > 'k00050'");
        db_must(db, i < 2 ? "COMMIT" : "ROLLBACK");
        same_rows(scenario, db, 100, "the transaction is over");
    }
    db_must(db, "BEGIN");
    run_both(scenario, db, "DROP TABLE %s");
    db_must(db, "ROLLBACK");
    same_rows(scenario, db, 100, "a DROP without savepoint is rolled back");
    db_close(db);
    db = scenario_open(scenario);
    same_rows(scenario, db, 100, "reopened");
    run_both(scenario, db, "UPDATE %s SET n = 0");
    all_sound(scenario, db, "after dropped and returned");
    db_close(db);
    unsigned stores = store_directory_count(scenario->directory);
    expect(scenario, stores == !scenario->options->self, "%u store directories at the end", stores);
}

static void drop_committed_removes_the_files(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    tables_create(scenario, db, "");
    rows_put(db, 0, 100, 100, 1);
    expect(scenario, store_directory_count(scenario->directory) == 1, "CREATE makes one store");
    db_must(db, "BEGIN; DROP TABLE f; DROP TABLE o");
    expect(scenario, store_directory_count(scenario->directory) == 1, "DROP alone removes nothing");
    db_must(db, "COMMIT");
    tables_create(scenario, db, "");
    rows_put(db, 0, 10, 100, 2);
    same_rows(scenario, db, 10, "created again");
    db_close(db);
    expect(scenario, store_directory_count(scenario->directory) == 1,
           "%u store directories after DROP and CREATE",
           store_directory_count(scenario->directory));
    db = scenario_open(scenario);
    same_rows(scenario, db, 10, "reopened");
    db_must(db, "DROP TABLE f");
    db_close(db);
    expect(scenario, store_directory_count(scenario->directory) == 0,
           "%u store directories after DROP", store_directory_count(scenario->directory));
}

static void create_rolled_back_leaves_nothing(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    db_must(db, "CREATE TABLE other(x)");
    db_must(db, "BEGIN");
    tables_create(scenario, db, "");
    rows_put(db, 0, 100, 100, 1);
    same_rows(scenario, db, 100, "inside");
    db_must(db, "ROLLBACK");
    expect_error(scenario, db, "SELECT * FROM f", SQLITE_ERROR, "no such table", NULL);
    tables_create(scenario, db, "");
    rows_put(db, 0, 5, 100, 1);
    same_rows(scenario, db, 5, "created again");
    db_must(db, "DROP TABLE f");
    db_close(db);
    expect(scenario, store_directory_count(scenario->directory) == 0, "%u store directories",
           store_directory_count(scenario->directory));
}

/* --------------------------------------------------------------------------- BUSY */

/* In the rollback modes a reader makes COMMIT return BUSY after xSync: the transaction
 * stays open, more is written, and xSync comes again. */
static void commit_busy_is_retried(struct scenario *scenario) {
    static const char *const between[] = {"UPDATE %s SET value = 'between' WHERE n = 7",
                                          "DELETE FROM %s WHERE key > 'k00050'",
                                          "INSERT OR IGNORE INTO %s VALUES('k00001', 'no', 0)"};
    if (strcmp(scenario->mode, "wal") == 0) {
        return; /* readers block no commit */
    }
    sqlite3 *db = scenario_open(scenario);
    sqlite3 *reader = scenario_open(scenario);
    tables_create(scenario, db, "");
    rows_put(db, 0, 80, 50, 1);
    for (int i = 0; i < 3; i++) {
        db_must(reader, "BEGIN");
        same_rows(scenario, reader, -1, "the reader");
        db_must(db, "BEGIN");
        run_both(scenario, db, "UPDATE %s SET n = 7 WHERE key < 'k00040'");
        for (int j = 0; j <= i; j++) {
            expect(scenario, db_run(db, "COMMIT") == SQLITE_BUSY, "COMMIT is not BUSY: %s",
                   sqlite3_errmsg(db));
            run_both(scenario, db, between[j]);
            same_rows(scenario, db, -1, "after BUSY");
            db_must(db, "SAVEPOINT s");
            run_both(scenario, db, "UPDATE %s SET n = n * 2");
            db_must(db, j ? "ROLLBACK TO s; RELEASE s" : "RELEASE s");
        }
        same_rows(scenario, reader, -1, "the reader, again");
        db_must(reader, "COMMIT");
        expect(scenario, db_run(db, "COMMIT") == SQLITE_OK, "COMMIT: %s", sqlite3_errmsg(db));
        same_rows(scenario, db, -1, "after COMMIT");
        same_rows(scenario, reader, -1, "another connection, after COMMIT");
    }
    all_sound(scenario, db, "after BUSY");
    db_close(reader);
    db_close(db);
    db = scenario_open(scenario);
    same_rows(scenario, db, -1, "reopened");
    db_close(db);
}

static void commit_busy_then_rolled_back(struct scenario *scenario) {
    if (strcmp(scenario->mode, "wal") == 0) {
        return;
    }
    sqlite3 *db = scenario_open(scenario);
    sqlite3 *reader = scenario_open(scenario);
    tables_create(scenario, db, ", inline_commit=0");
    rows_put(db, 0, 80, 50, 1);
    for (int i = 0; i < 3; i++) {
        db_must(reader, "BEGIN");
        same_rows(scenario, reader, 80, "the reader");
        if (i == 2) {
            /* In autocommit BUSY undoes the statement by itself. */
            int code = run_both(scenario, db, "UPDATE %s SET n = n + 5");
            expect(scenario, code == SQLITE_BUSY, "UPDATE beside a reader gives %d", code);
        } else {
            db_must(db, "BEGIN");
            run_both(scenario, db, "UPDATE %s SET n = 7 WHERE key < 'k00040'");
            expect(scenario, db_run(db, "COMMIT") == SQLITE_BUSY, "COMMIT is not BUSY");
            run_both(scenario, db, "DELETE FROM %s WHERE n = 1");
            db_must(db, "ROLLBACK");
        }
        db_must(reader, "COMMIT");
        same_rows(scenario, reader, 80, "rolled back, beside");
        same_rows(scenario, db, 80, "rolled back");
        expect(scenario, db_int(db, "SELECT sum(n) FROM f") == 80 + i, "an undone value shows");
        run_both(scenario, db, "UPDATE %s SET n = n + 1 WHERE key = 'k00003'");
    }
    all_sound(scenario, db, "after BUSY");
    db_close(reader);
    db_close(db);
    db = scenario_open(scenario);
    same_rows(scenario, db, 80, "reopened");
    db_close(db);
}

const struct scenario_entry scenarios_commit[] = {
    {"late_commit_callback", late_commit_callback, false, true},
    {"late_rollback_callback", late_rollback_callback, false, true},
    {"late_rollback_after_prepare", late_rollback_after_prepare, false, true},
    {"two_table_objects_in_one_transaction", two_table_objects_in_one_transaction, false, true},
    {"drop_in_savepoint_rolled_back", drop_in_savepoint_rolled_back, false, true},
    {"drop_committed_removes_the_files", drop_committed_removes_the_files, true, false},
    {"create_rolled_back_leaves_nothing", create_rolled_back_leaves_nothing, true, false},
    {"commit_busy_is_retried", commit_busy_is_retried, false, true},
    {"commit_busy_then_rolled_back", commit_busy_then_rolled_back, false, true},
    {NULL, NULL, false, false}};
