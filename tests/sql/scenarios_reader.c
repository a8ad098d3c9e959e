/* scenarios_reader.c - snapshots in every journal mode; temp, attached, memory databases. */
#include <stdio.h>
#include <string.h>

#include "scenarios.h"

#define SMALL_STORE ", memory='1MiB', page_size='16KiB', segment_size='64KiB'"
#define READERS 4

/* In the rollback modes a snapshot cannot get old, but an open transaction of another
 * connection must stay invisible. */
static void readers_with_snapshots(struct scenario *scenario) {
    bool wal = strcmp(scenario->mode, "wal") == 0;
    sqlite3 *db = scenario_open(scenario);
    sqlite3 *reader[READERS];
    int64_t sum[READERS];
    tables_create(scenario, db, SMALL_STORE);
    rows_put(db, 0, 200, 300, 1);
    for (int i = 0; i < READERS; i++) {
        reader[i] = scenario_open(scenario);
        db_must(reader[i], "BEGIN");
        same_rows(scenario, reader[i], 200 + (wal ? i : 0), "a new snapshot");
        sum[i] = db_int(reader[i], "SELECT sum(n) FROM f");
        db_must(db, "BEGIN");
        rows_put(db, 0, 201 + i, 1500, 2 + i);
        run_both(scenario, db, "UPDATE %s SET n = n + 100 WHERE key < 'k00020'");
        same_rows(scenario, reader[i], -1, "beside an open transaction");
        db_must(db, wal ? "COMMIT" : "ROLLBACK");
        db_must(db, "BEGIN");
        run_both(scenario, db, "DELETE FROM %s");
        for (int j = 0; j <= i; j++) {
            same_rows(scenario, reader[j], 200 + (wal ? j : 0), "an old snapshot");
            expect(scenario, db_int(reader[j], "SELECT sum(n) FROM f") == sum[j],
                   "an old snapshot has a new sum");
            expect(scenario,
                   db_int(reader[j], "SELECT count(*) FROM f WHERE key IN ('k00001', 'k00150',"
                                     " 'k00200', 'k00201')") == 2 + (wal ? (j > 0) + (j > 1) : 0),
                   "point reads in an old snapshot");
        }
        db_must(db, "ROLLBACK");
    }
    for (int i = 0; i < READERS; i++) {
        db_must(reader[i], "COMMIT");
        same_rows(scenario, reader[i], -1, "the next snapshot");
        db_close(reader[i]);
    }
    all_sound(scenario, db, "at the end");
    db_close(db);
}

/* A statement that is being stepped keeps its view while others commit. */
static void statement_across_commits(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    sqlite3 *reader = scenario_open(scenario);
    sqlite3_stmt *statement = NULL;
    tables_create(scenario, db, SMALL_STORE);
    rows_put(db, 0, 500, 200, 1);
    sqlite3_prepare_v2(reader, "SELECT key, n FROM f", -1, &statement, NULL);
    int rows = 0;
    int64_t sum = 0;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        sum += sqlite3_column_int64(statement, 1);
        if (rows++ % 50 == 0) {
            rows_put(db, 0, 500, 1200, 2 + rows);
            db_must(db, "DELETE FROM f WHERE key = 'k%05d'; DELETE FROM o WHERE key = 'k%05d'",
                    499 - rows / 50, 499 - rows / 50);
        }
    }
    expect(scenario, rows == 500 && sum == 500, "%d rows, sum %lld", rows, (long long)sum);
    expect(scenario, sqlite3_finalize(statement) == SQLITE_OK, "%s", sqlite3_errmsg(reader));
    same_rows(scenario, db, -1, "at the end");
    db_close(reader);
    db_close(db);
}

/* A connection's own cursor goes on after its own commit and writes. */
static void cursor_across_own_commit(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    sqlite3_stmt *statement = NULL;
    tables_create(scenario, db, SMALL_STORE);
    rows_put(db, 0, 300, 200, 1);
    sqlite3_prepare_v2(db, "SELECT key FROM f", -1, &statement, NULL);
    int rows = 0;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (rows++ % 60 == 0) {
            db_must(db, "BEGIN");
            run_both(scenario, db, "UPDATE %s SET n = n + 1, value = value || 'y'");
            db_must(db, "COMMIT");
        }
    }
    expect(scenario, code == SQLITE_DONE && rows == 300, "%d rows, code %d: %s", rows, code,
           sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    same_rows(scenario, db, 300, "at the end");
    db_close(db);
}

/* ------------------------------------------------------------------ kinds of database */

static void exercise(struct scenario *scenario, sqlite3 *db, const char *schema) {
    bool self = scenario->options->self;
    char create[200];
    snprintf(create, sizeof create, "CREATE %sTABLE %s.f%s(key TEXT PRIMARY KEY, value, n INTEGER)",
             self ? "" : "VIRTUAL ", schema, self ? "" : " USING faster");
    db_must(db, "%s", create);
    db_must(db, "CREATE TABLE %s.o(key TEXT PRIMARY KEY, value, n INTEGER) WITHOUT ROWID", schema);
    rows_put(db, 0, 100, 100, 1);
    same_rows(scenario, db, 100, schema);
    db_must(db, "BEGIN");
    rows_put(db, 50, 150, 50, 2);
    db_must(db, "SAVEPOINT s");
    run_both(scenario, db, "DELETE FROM %s WHERE key < 'k00070'");
    same_rows(scenario, db, 80, schema);
    db_must(db, "ROLLBACK TO s");
    same_rows(scenario, db, 150, schema);
    db_must(db, "COMMIT");
    same_rows(scenario, db, 150, schema);
    db_must(db, "BEGIN");
    rows_put(db, 0, 150, 50, 3);
    db_must(db, "ROLLBACK");
    same_rows(scenario, db, 150, schema);
    expect(scenario, db_int(db, "SELECT sum(n) FROM f") == 250, "the sum in %s", schema);
    db_must(db, "DROP TABLE %s.f; DROP TABLE %s.o", schema, schema);
}

static void temp_memory_and_attached(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    char sql[TEST_PATH_BYTES + 100];
    exercise(scenario, db, "main");
    exercise(scenario, db, "temp");
    snprintf(sql, sizeof sql, "ATTACH '%s/second.db' AS second", scenario->directory);
    db_must(db, "%s", sql);
    exercise(scenario, db, "second");
    db_must(db, "ATTACH ':memory:' AS volatile; ATTACH ':memory:' AS another");
    exercise(scenario, db, "volatile");
    exercise(scenario, db, "another");
    db_must(db, "DETACH volatile; DETACH another; DETACH second");
    db_close(db);
    db = db_open(scenario->options, ":memory:");
    exercise(scenario, db, "main");
    sqlite3 *other = db_open(scenario->options, ":memory:");
    exercise(scenario, other, "main");
    db_close(other);
    db_close(db);
    db = db_open(scenario->options, ""); /* a temporary file */
    exercise(scenario, db, "main");
    db_close(db);
    expect(scenario, store_directory_count(scenario->directory) == 0, "a store stays behind");
}

/* A function that is the first to read in a transaction fixes what the transaction sees, as a
 * SELECT does. */
static void function_reads_first(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    sqlite3 *reader = scenario_open(scenario);
    bool wal = strcmp(scenario->mode, "wal") == 0;
    tables_create(scenario, db, "");
    rows_put(db, 0, 10, 50, 1);
    expect(scenario, db_int(reader, "SELECT faster_get('f', 'k00003', 'n')") == 1, "the value");
    db_must(reader, "BEGIN");
    expect(scenario, db_int(reader, "SELECT faster_get('f', 'k00003', 'n')") == 1, "the value");
    int code = db_run(db, "BEGIN; UPDATE f SET n = 2; UPDATE o SET n = 2; COMMIT");
    expect(scenario, code == (wal ? SQLITE_OK : SQLITE_BUSY), "the writer gets %d", code);
    expect(scenario, db_int(reader, "SELECT n FROM o WHERE key = 'k00003'") == 1, "ordinary");
    expect(scenario, db_int(reader, "SELECT faster_get('f', 'k00003', 'n')") == 1, "again");
    same_rows(scenario, reader, 10, "in the transaction");
    db_must(reader, "COMMIT");
    if (!wal) {
        db_must(db, "COMMIT");
    }
    expect(scenario, db_int(reader, "SELECT faster_get('f', 'k00003', 'n')") == 2, "afterwards");
    db_close(reader);
    db_close(db);
}

/* Connections that have read and do nothing leave room for those that work, however many there
 * are. In a database of the memdb VFS, for they need no file descriptors. */
static void idle_connections_leave_room(struct scenario *scenario) {
    enum { COUNT = 1100 };
    static sqlite3 *idle[COUNT];
    const char *path = "file:/crowd?vfs=memdb";
    sqlite3 *db = db_open(scenario->options, path);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(key INTEGER PRIMARY KEY, value)");
    db_must(db, "INSERT INTO f VALUES(1, 'a'), (2, 'b')");
    for (int i = 0; i < COUNT; i++) {
        static const char *const uses[] = {"SELECT * FROM f; SELECT faster_get('f', 2)",
                                           "BEGIN; SELECT value FROM f WHERE key = 1; COMMIT",
                                           "UPDATE f SET value = value || 'x' WHERE key = 1"};
        idle[i] = db_open(scenario->options, path);
        db_must(idle[i], "%s", uses[i % 3]);
    }
    expect(scenario, db_int(db, "SELECT count(*) FROM f") == 2, "the rows");
    db_must(db, "UPDATE f SET value = 'c'; INSERT INTO f(f) VALUES('checkpoint')");
    expect(scenario, db_int(db, "SELECT faster_verify('f') = 'ok'"), "verify");
    for (int i = 0; i < COUNT; i++) {
        expect(scenario, db_int(idle[i], "SELECT count(*) FROM f WHERE value = 'c'") == 2,
               "connection %d", i);
    }
    for (int i = 0; i < COUNT; i++) {
        db_close(idle[i]);
    }
    db_close(db);
}

/* Too many scans at once are refused by name of the limit, and do no harm. */
static void too_many_scans_are_busy(struct scenario *scenario) {
    enum { COUNT = 1100 };
    static sqlite3_stmt *scans[COUNT];
    sqlite3 *db = scenario_open(scenario);
    int code = SQLITE_ROW;
    int count = 0;
    tables_create(scenario, db, ", memory='1MiB', page_size='16KiB', segment_size='64KiB'");
    rows_put(db, 0, 10, 50, 1);
    while (code == SQLITE_ROW && count < COUNT) {
        (void)sqlite3_prepare_v2(db, "SELECT * FROM f", -1, &scans[count], NULL);
        code = sqlite3_step(scans[count++]);
    }
    expect(scenario, code == SQLITE_BUSY && strstr(sqlite3_errmsg(db), "1023") != NULL,
           "%d scans: code %d, %s", count, code, sqlite3_errmsg(db));
    expect_error(scenario, db, "INSERT INTO f(f) VALUES('verify')", SQLITE_BUSY, "1023", NULL);
    while (count > 0) {
        (void)sqlite3_finalize(scans[--count]);
    }
    same_rows(scenario, db, 10, "afterwards");
    all_sound(scenario, db, "afterwards");
    db_close(db);
}

static void attach_second(const struct scenario *scenario, sqlite3 *db, const char *file) {
    char sql[TEST_PATH_BYTES + 100];
    snprintf(sql, sizeof sql, "ATTACH '%s/%s' AS second", scenario->directory, file);
    db_must(db, "%s", sql);
}

/* DROP of a temporary or attached table works while another connection has the lock of main, takes
 * no lock of main, and can be undone like any. */
static void drop_locks_its_own_database(struct scenario *scenario) {
    static const char *const schemas[] = {"temp", "second"};
    sqlite3 *db = scenario_open(scenario);
    sqlite3 *other = scenario_open(scenario);
    char path[TEST_PATH_BYTES];
    db_must(db, "CREATE TABLE o(x)");
    attach_second(scenario, db, "second.db");
    path_format(path, "%s/second.db-faster", scenario->directory);
    for (int i = 0; i < 2; i++) {
        const char *schema = schemas[i];
        db_must(db, "CREATE VIRTUAL TABLE %s.f USING faster; INSERT INTO %s.f VALUES(1, 2)", schema,
                schema);
        db_must(other, "BEGIN IMMEDIATE");
        db_must(db, "BEGIN; DROP TABLE %s.f; ROLLBACK", schema);
        expect(scenario, db_int(db, "SELECT value FROM %s.f", schema) == 2, "%s, undone", schema);
        db_must(db, "BEGIN; DROP TABLE %s.f", schema);
        db_must(other, "INSERT INTO o VALUES(1); COMMIT; BEGIN IMMEDIATE");
        db_must(db, "ROLLBACK; INSERT INTO %s.f VALUES(2, 3)", schema);
        expect(scenario, db_int(db, "SELECT sum(value) FROM %s.f", schema) == 5, "%s, undone again",
               schema);
        db_must(db, "DROP TABLE %s.f", schema);
        db_must(other, "COMMIT");
        expect(scenario, db_run(db, "SELECT * FROM f") == SQLITE_ERROR, "%s.f is there", schema);
        db_must(db, "CREATE VIRTUAL TABLE second.next USING faster; INSERT INTO next VALUES(1, 1)");
        expect(scenario, store_directory_count(path) == 1, "files of the dropped store stay");
        db_must(db, "DROP TABLE next");
    }
    db_close(other);
    db_close(db);
}

/* An undone DROP in a database that is detached, while another takes its name, removes nothing. */
static void undone_drop_of_a_detached_database(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    attach_second(scenario, db, "second.db");
    db_must(db, "CREATE VIRTUAL TABLE second.f USING faster; INSERT INTO second.f VALUES(1, 2);"
                "BEGIN; DROP TABLE second.f; ROLLBACK; DETACH second");
    attach_second(scenario, db, "third.db");
    db_must(db, "CREATE VIRTUAL TABLE second.g USING faster; INSERT INTO second.g VALUES(1, 2);"
                "CREATE VIRTUAL TABLE temp.t USING faster; BEGIN; INSERT INTO t VALUES(1, 2);"
                "ROLLBACK; INSERT INTO t VALUES(1, 2); DROP TABLE second.g; DETACH second");
    attach_second(scenario, db, "second.db");
    expect(scenario, db_int(db, "SELECT value FROM second.f") == 2, "the rows");
    db_must(db, "INSERT INTO second.f VALUES(3, 4)");
    db_close(db);
    db = scenario_open(scenario);
    attach_second(scenario, db, "second.db");
    expect(scenario, db_int(db, "SELECT sum(value) FROM second.f") == 6, "the rows, reopened");
    db_close(db);
}

/* One transaction over a store in each of two databases. */
static void two_databases_one_transaction(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    const char *kind = scenario->options->self ? "CREATE TABLE %s.%s(key PRIMARY KEY, value)"
                                               : "CREATE VIRTUAL TABLE %s.%s USING faster";
    char sql[TEST_PATH_BYTES + 100];
    snprintf(sql, sizeof sql, "ATTACH '%s/second.db' AS second", scenario->directory);
    db_must(db, "%s", sql);
    db_must(db, "PRAGMA second.journal_mode=%s", scenario->mode);
    snprintf(sql, sizeof sql, kind, "main", "a");
    db_must(db, "%s", sql);
    snprintf(sql, sizeof sql, kind, "second", "b");
    db_must(db, "%s", sql);
    for (int i = 0; i < 20; i++) {
        db_must(db,
                "BEGIN; INSERT INTO a VALUES(%d, 'a'); INSERT INTO b VALUES(%d, 'b');"
                "SAVEPOINT s; DELETE FROM a; DELETE FROM b; ROLLBACK TO s; %s",
                i, i, i % 3 ? "COMMIT" : "ROLLBACK");
    }
    expect(scenario, db_int(db, "SELECT count(*) FROM a JOIN b USING (key)") == 13, "rows in both");
    expect(scenario, db_int(db, "SELECT count(*) FROM a") == 13, "rows in main");
    expect(scenario, db_int(db, "SELECT count(*) FROM second.b") == 13, "rows in the second");
    db_must(db, "DETACH second");
    db_must(db, "INSERT INTO a VALUES('x', 'y')");
    snprintf(sql, sizeof sql, "ATTACH '%s/second.db' AS again", scenario->directory);
    db_must(db, "%s", sql);
    expect(scenario, db_int(db, "SELECT count(*) FROM again.b") == 13, "attached again");
    db_close(db);
}

const struct scenario_entry scenarios_reader[] = {
    {"readers_with_snapshots", readers_with_snapshots, false, true},
    {"statement_across_commits", statement_across_commits, false, false},
    {"cursor_across_own_commit", cursor_across_own_commit, true, true},
    {"temp_memory_and_attached", temp_memory_and_attached, false, true},
    {"two_databases_one_transaction", two_databases_one_transaction, false, true},
    {"function_reads_first", function_reads_first, true, true},
    {"idle_connections_leave_room", idle_connections_leave_room, true, false},
    {"too_many_scans_are_busy", too_many_scans_are_busy, true, false},
    {"drop_locks_its_own_database", drop_locks_its_own_database, true, true},
    {"undone_drop_of_a_detached_database", undone_drop_of_a_detached_database, true, false},
    {NULL, NULL, false, false}};
