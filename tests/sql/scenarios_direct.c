/* scenarios_direct.c - direct tables: writes that are immediate, from many connections at once. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenarios.h"

#define DIRECT ", writes='direct', memory='4MiB'"
#define THREAD_COUNT 4

static void want(struct scenario *scenario, sqlite3 *db, int64_t value, const char *sql) {
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    rc = rc == SQLITE_OK ? sqlite3_step(statement) : rc;
    int64_t found = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    expect(scenario, rc == SQLITE_ROW && found == value, "%s: %lld instead of %lld (%d %s)", sql,
           (long long)found, (long long)value, rc, sqlite3_errmsg(db));
    (void)sqlite3_finalize(statement);
}

/* The scenario's database with the direct table d(key, value). */
static sqlite3 *open_direct(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    if (db_int(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'd'") == 0) {
        db_must(db, "CREATE VIRTUAL TABLE d USING faster(key PRIMARY KEY, value" DIRECT ")");
    }
    return db;
}

/* ---------------------------------------------------------------- rollbacks */

/* What sqlite3_log() was told about writes that stay. */
static struct {
    unsigned count;
    unsigned long long writes;
    char message[300];
} report;

static void note_report(void *context, int code, const char *message) {
    (void)context;
    (void)code;
    if (strstr(message, "writes stay") != NULL) {
        report.count++;
        (void)sscanf(message, "faster: %llu", &report.writes);
        snprintf(report.message, sizeof report.message, "%s", message);
    }
}

/* Statements, and how many of their writes a rollback was to undo. */
static const struct {
    const char *sql;
    unsigned writes;
} rollbacks[] = {
    {"BEGIN; INSERT INTO d VALUES(1, 1), (2, 2); COMMIT", 0},
    {"BEGIN; INSERT INTO d VALUES(3, 1), (4, 2); ROLLBACK", 2},
    {"BEGIN; UPDATE d SET value = 5 WHERE key < 3; DELETE FROM d WHERE key = 3; ROLLBACK", 3},
    {"BEGIN; UPDATE d SET key = 30 WHERE key = 4; ROLLBACK", 2},
    {"BEGIN; REPLACE INTO d VALUES(1, 2); SAVEPOINT s; REPLACE INTO d VALUES(1, 3); "
     "ROLLBACK TO s; ROLLBACK TO s; COMMIT",
     1},
    {"BEGIN; REPLACE INTO d VALUES(1, 2); SAVEPOINT s; REPLACE INTO d VALUES(1, 3); "
     "ROLLBACK TO s; ROLLBACK",
     2},
    {"SAVEPOINT s; REPLACE INTO d VALUES(1, 2); ROLLBACK TO s; RELEASE s", 1},
    {"SAVEPOINT a; SAVEPOINT b; REPLACE INTO d VALUES(1, 2); SAVEPOINT c; "
     "REPLACE INTO d VALUES(1, 3); RELEASE c; ROLLBACK TO b; RELEASE a",
     2},
    /* A statement that fails in its middle, alone and within a transaction. */
    {"INSERT INTO d VALUES(50, 1), (51, 2), (1, 3)", 2},
    {"BEGIN; INSERT INTO d VALUES(52, 1), (1, 3); COMMIT", 1},
    {"BEGIN; INSERT OR FAIL INTO d VALUES(53, 1), (1, 3); COMMIT", 0},
    {"BEGIN; INSERT OR IGNORE INTO d VALUES(54, 1), (1, 3); ROLLBACK", 1},
    {"BEGIN; INSERT OR ROLLBACK INTO d VALUES(55, 1), (1, 3)", 1},
    {"INSERT INTO d VALUES(1, 3)", 0},
    {"BEGIN; INSERT INTO d(d, key, value) VALUES('add', 90, 1), ('insert', 90, 1); ROLLBACK", 1},
    /* Functions belong to no transaction. */
    {"BEGIN; SELECT faster_incr('d', 'n'); ROLLBACK", 0},
    /* Nothing of a store stays that the transaction made. */
    {"BEGIN; CREATE VIRTUAL TABLE e USING faster(writes=direct); INSERT INTO e VALUES(1, 1); "
     "ROLLBACK",
     0},
    {"BEGIN; CREATE VIRTUAL TABLE e USING faster(writes=direct); SAVEPOINT s; "
     "INSERT INTO e VALUES(1, 1); ROLLBACK TO s; COMMIT; DROP TABLE e",
     1},
    {"BEGIN; INSERT INTO d VALUES(70, 1); DROP TABLE d; ROLLBACK", 1},
    {"BEGIN; INSERT INTO t VALUES(1, 1); ROLLBACK", 0},
    {"BEGIN; INSERT INTO t VALUES(1, 1); INSERT INTO d VALUES(71, 1); ROLLBACK", 1},
};

static void direct_rollback_is_reported_once(struct scenario *scenario) {
    if (sqlite3_config(SQLITE_CONFIG_LOG, note_report, NULL) != SQLITE_OK) {
        test_fail("sqlite3_config");
    }
    sqlite3 *db = open_direct(scenario);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster");
    for (size_t i = 0; i < sizeof rollbacks / sizeof *rollbacks; i++) {
        memset(&report, 0, sizeof report);
        (void)sqlite3_exec(db, rollbacks[i].sql, NULL, NULL, NULL);
        if (sqlite3_get_autocommit(db) == 0) { /* sqlite3_exec() stops at an error */
            db_must(db, "COMMIT");
        }
        expect(scenario,
               report.count == (rollbacks[i].writes > 0) && report.writes == rollbacks[i].writes,
               "%s: %u reports, the last of %llu writes instead of %u: %s", rollbacks[i].sql,
               report.count, report.writes, rollbacks[i].writes, report.message);
    }
    expect(scenario, strstr(report.message, "(d)") != NULL, "the table is not named: %s",
           report.message);
    want(scenario, db, 0, "SELECT count(*) FROM t");
    want(scenario, db, 13,
         "SELECT count(*) FROM d WHERE key IN (1, 2, 30, 50, 51, 52, 53, 54, 55, "
         "90, 'n', 70, 71)");
    want(scenario, db, 13, "SELECT count(*) FROM d");
    db_close(db);
}

/* Each row is there for everybody as soon as it is written. */
static void direct_writes_are_seen_at_once(struct scenario *scenario) {
    sqlite3 *db = open_direct(scenario);
    sqlite3 *other = open_direct(scenario);
    db_must(other, "BEGIN; SELECT count(*) FROM d");
    db_must(db, "BEGIN; INSERT INTO d VALUES('a', 1), ('b', 2)");
    want(scenario, other, 2, "SELECT count(*) FROM d");
    want(scenario, other, 2, "SELECT faster_get('d', 'b')");
    want(scenario, db, 3, "SELECT sum(value) FROM faster_mget('d', '[\"a\", \"b\", \"c\"]')");
    db_must(db, "UPDATE d SET value = value + 10");
    want(scenario, other, 23, "SELECT sum(value) FROM d");
    want(scenario, other, 2, "SELECT count(*) FROM d WHERE key IN ('a', 'b', 'c')");
    db_must(db, "DELETE FROM d WHERE key = 'a'");
    want(scenario, other, 0, "SELECT faster_exists('d', 'a')");
    db_must(db, "ROLLBACK");
    want(scenario, db, 12, "SELECT sum(value) FROM d");
    db_must(other, "COMMIT");
    /* An UPDATE of a row that is gone by then does not bring it back. */
    db_must(db, "INSERT INTO d VALUES('x', 1)");
    db_must(db, "UPDATE d SET value = faster_delete('d', key) WHERE key = 'x'");
    want(scenario, db, 0, "SELECT count(*) FROM d WHERE key = 'x'");
    db_close(db);
    db_close(other);
}

/* --------------------------------------------------------------- SQLite's lock */

/* Another connection holds SQLite's write lock; with EXCLUSIVE nobody else may even read. */
static void direct_functions_need_no_lock(struct scenario *scenario) {
    sqlite3 *db = open_direct(scenario);
    sqlite3 *other = open_direct(scenario);
    want(scenario, db, 5, "SELECT faster_incr('d', 'n', 5)");
    db_must(other, "BEGIN EXCLUSIVE");
    want(scenario, db, 6, "SELECT faster_incr('main.d', 'n')");
    want(scenario, db, 6, "SELECT faster_get('d', 'n')");
    want(scenario, db, 1, "SELECT faster_set('d', 'text', 'a') = 'a'");
    want(scenario, db, 1, "SELECT faster_append('d', 'text', 'b') = 'ab'");
    want(scenario, db, 1, "SELECT faster_cas('d', 'text', 'ab', 'c')");
    want(scenario, db, 0, "SELECT faster_cas('d', 'text', 'ab', 'd')");
    want(scenario, db, 1, "SELECT faster_exists('d', 'text')");
    if (strcmp(scenario->mode, "wal") == 0) { /* it is a table: SQLite begins to read */
        want(scenario, db, 3,
             "SELECT sum(position) + count(*) FROM faster_mget('d', "
             "'[\"n\", \"text\", \"none\"]') WHERE value IN (6, 'c')");
    }
    want(scenario, db, 1, "SELECT faster_delete('d', 'text')");
    want(scenario, db, 0, "SELECT faster_delete('d', 'text')");
    want(scenario, db, 1, "SELECT faster_commit('d')");
    db_must(other, "INSERT INTO d VALUES('o', 1)");
    want(scenario, db, 1, "SELECT faster_get('d', 'o')");
    expect_error(scenario, db, "INSERT INTO d VALUES('p', 1)", SQLITE_BUSY, "locked", NULL);
    db_must(other, "COMMIT");
    /* A reading transaction that has become old writes, too. */
    if (strcmp(scenario->mode, "wal") == 0) {
        db_must(db, "BEGIN; SELECT count(*) FROM sqlite_schema");
        db_must(other, "CREATE TABLE more(x)");
        want(scenario, db, 7, "SELECT faster_incr('d', 'n')");
        db_must(db, "COMMIT");
    }
    db_close(db);
    db_close(other);
}

static void direct_writes_need_permission(struct scenario *scenario) {
    sqlite3 *db = open_direct(scenario);
    sqlite3 *reader = NULL;
    db_must(db, "INSERT INTO d VALUES('a', 1)");
    if (sqlite3_open_v2(scenario->path, &reader, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_enable_load_extension(reader, 1) != SQLITE_OK ||
        sqlite3_load_extension(reader, scenario->options->extension, NULL, NULL) != SQLITE_OK) {
        test_fail("a connection for reading: %s", sqlite3_errmsg(reader));
    }
    want(scenario, reader, 1, "SELECT faster_get('d', 'a')");
    expect_error(scenario, reader, "SELECT faster_incr('d', 'a')", SQLITE_READONLY, "readonly",
                 NULL);
    expect_error(scenario, reader, "SELECT faster_delete('d', 'a')", SQLITE_READONLY, "readonly",
                 NULL);
    db_close(reader);
    db_close(db);
}

/* ---------------------------------------------------------------------- threads */

struct worker {
    struct scenario *scenario;
    pthread_t thread;
    int number;
    int rounds;
    int64_t count; /* of what it wants to be counted */
    bool failed;
};

static sqlite3 *worker_open(struct worker *worker) {
    sqlite3 *db = db_open(worker->scenario->options, worker->scenario->path);
    sqlite3_busy_timeout(db, 60000);
    return db;
}

static int64_t step_int(struct worker *worker, sqlite3_stmt *statement) {
    int64_t value = 0;
    if (sqlite3_step(statement) == SQLITE_ROW) {
        value = sqlite3_column_int64(statement, 0);
    } else {
        worker->failed = true;
        printf("    thread %d: %s\n", worker->number, sqlite3_errmsg(sqlite3_db_handle(statement)));
    }
    (void)sqlite3_reset(statement);
    return value;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
        test_fail("%s: %s", sql, sqlite3_errmsg(db));
    }
    return statement;
}

/* Runs all threads to their end and gives the sum of their counts. */
static int64_t run_threads(struct scenario *scenario, int rounds, void *(*run)(void *context)) {
    struct worker workers[THREAD_COUNT];
    int64_t sum = 0;
    for (int i = 0; i < THREAD_COUNT; i++) {
        workers[i] = (struct worker){.scenario = scenario, .number = i, .rounds = rounds};
        if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0) {
            test_fail("pthread_create");
        }
    }
    for (int i = 0; i < THREAD_COUNT; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        expect(scenario, !workers[i].failed, "thread %d failed", i);
        sum += workers[i].count;
    }
    return sum;
}

static void *count_up(void *context) {
    struct worker *worker = context;
    sqlite3 *db = worker_open(worker);
    sqlite3_stmt *increment = prepare(db, "SELECT faster_incr('d', ?1, ?2)");
    for (int i = 0; i < worker->rounds && !worker->failed; i++) {
        (void)sqlite3_bind_int(increment, 1, (i + worker->number) % 7);
        (void)sqlite3_bind_int(increment, 2, 1 + i % 3);
        (void)step_int(worker, increment);
        worker->count += 1 + i % 3;
        if (i % 500 == 0 && db_run(db, "INSERT INTO d(d, key, value) VALUES('add', 3, 100)") == 0) {
            worker->count += 100;
        }
        if (i % 1000 == 999) {
            (void)db_int(db, "SELECT faster_commit('d')");
        }
    }
    (void)sqlite3_finalize(increment);
    db_close(db);
    return NULL;
}

static void direct_counters_are_exact(struct scenario *scenario) {
    db_close(open_direct(scenario));
    int64_t sum = run_threads(scenario, 5000, count_up);
    for (int i = 0; i < 2; i++) {
        sqlite3 *db = open_direct(scenario);
        want(scenario, db, sum, "SELECT sum(value) FROM d");
        want(scenario, db, 7, "SELECT count(*) FROM d");
        want(scenario, db, 1, "SELECT faster_verify('d') = 'ok'");
        db_close(db);
    }
}

/* Few keys come and go: of all who delete one, one is told that it was there; of all who want to
 * store it only where it is missing, one succeeds. */
static void *come_and_go(void *context) {
    struct worker *worker = context;
    sqlite3 *db = worker_open(worker);
    sqlite3_stmt *create = prepare(db, "SELECT faster_cas('d', ?1, NULL, ?2)");
    sqlite3_stmt *destroy = prepare(db, "SELECT faster_delete('d', ?1)");
    for (int i = 0; i < worker->rounds && !worker->failed; i++) {
        (void)sqlite3_bind_int(create, 1, i / 2 % 3);
        (void)sqlite3_bind_int(create, 2, worker->number);
        (void)sqlite3_bind_int(destroy, 1, (i + worker->number) % 3);
        worker->count += step_int(worker, create);
        worker->count -= step_int(worker, destroy);
    }
    (void)sqlite3_finalize(create);
    (void)sqlite3_finalize(destroy);
    db_close(db);
    return NULL;
}

static void direct_keys_come_and_go_once(struct scenario *scenario) {
    sqlite3 *db = open_direct(scenario);
    int64_t left = run_threads(scenario, 10000, come_and_go);
    want(scenario, db, left, "SELECT count(*) FROM d");
    db_close(db);
}

/* ----------------------------------------------------------------------- rowids */

static void *insert_rows(void *context) {
    struct worker *worker = context;
    sqlite3 *db = worker_open(worker);
    sqlite3_stmt *insert = prepare(db, "INSERT INTO r(x) VALUES(?1)");
    sqlite3_stmt *set = prepare(db, "SELECT faster_set('r', NULL, ?1), "
                                    "faster_cas('r', (SELECT max(rowid) FROM r) + 2, NULL, -1)");
    for (int i = 0; i < worker->rounds && !worker->failed; i++) {
        int rc = SQLITE_DONE;
        (void)sqlite3_bind_int(insert, 1, worker->number * 100000 + i);
        (void)sqlite3_bind_int(set, 1, worker->number * 100000 + 50000 + i);
        if (i % 10 == 0) {
            rc = sqlite3_step(insert);
            (void)sqlite3_reset(insert);
        } else if (i % 50 == 1) {
            (void)step_int(worker, set);
        }
        worker->failed = worker->failed || rc != SQLITE_DONE;
        worker->count += i % 10 == 0 || i % 50 == 1;
    }
    (void)sqlite3_finalize(insert);
    (void)sqlite3_finalize(set);
    db_close(db);
    return NULL;
}

static void insert_and_die(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    db_must(db, "INSERT INTO r(x) VALUES('lost 1'), ('lost 2'), ('lost 3')");
    db_must(db, "INSERT INTO r(rowid, x) VALUES(1000000, 'kept')");
    db_must(db, "SELECT faster_commit('r')");
    db_must(db, "INSERT INTO r(x) VALUES('after the commit')");
    kill_self();
}

static void write_rowids(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    db_must(db, "CREATE VIRTUAL TABLE r USING faster(x" DIRECT ")");
    db_must(db, "INSERT INTO r(x) VALUES('one'), ('two'), ('three')");
    want(scenario, db, 3, "SELECT last_insert_rowid()");
    int64_t written = 3 + run_threads(scenario, 400, insert_rows);
    want(scenario, db, written, "SELECT count(*) FROM r WHERE x <> -1");
    want(scenario, db, written - 3,
         "SELECT count(DISTINCT x) FROM r WHERE typeof(x) = 'integer' "
         "AND x <> -1");
    db_must(db, "DELETE FROM r WHERE rowid > 3");
    db_close(db);
}

static void read_rowids(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    db_must(db, "INSERT INTO r(x) VALUES('new')");
    want(scenario, db, 1, "SELECT last_insert_rowid() > 1000000");
    want(scenario, db, 1, "SELECT x = 'kept' FROM r WHERE rowid = 1000000");
    want(scenario, db, 1, "SELECT x = 'two' FROM r WHERE rowid = 2");
    db_must(db, "INSERT INTO r(rowid, x) VALUES(9223372036854775807, 'last')");
    db_must(db, "INSERT INTO r(x) VALUES('at random')");
    want(scenario, db, 1, "SELECT x = 'at random' FROM r WHERE rowid = last_insert_rowid()");
    expect_error(scenario, db, "INSERT INTO r(rowid, x) VALUES(2, 'again')", SQLITE_CONSTRAINT,
                 "r.rowid", NULL);
    want(scenario, db, 1, "SELECT faster_verify('r') = 'ok'");
    db_close(db);
}

/* No two rows get the same rowid, and none is overwritten after a crash. */
static void direct_rowids_are_not_taken_twice(struct scenario *scenario) {
    run_phase(scenario, write_rowids, false);
    run_phase(scenario, insert_and_die, true);
    run_phase(scenario, read_rowids, false);
}

/* ------------------------------------------------------------------- durability */

static void commit_and_die(struct scenario *scenario) {
    sqlite3 *db = open_direct(scenario);
    db_must(db, "INSERT INTO d VALUES('a', 1), ('b', 2)");
    db_must(db, "SELECT faster_incr('d', 'n', 10)");
    db_must(db, "SELECT faster_commit('d')");
    db_must(db, "BEGIN; INSERT INTO d VALUES('c', 3); INSERT INTO d(d) VALUES('commit'); ROLLBACK");
    db_must(db, "SELECT faster_incr('d', 'n', 10)");
    db_must(db, "INSERT INTO d(d) VALUES('checkpoint')");
    db_must(db, "SELECT faster_incr('d', 'n', 100), faster_delete('d', 'a')");
    kill_self();
}

static void read_committed(struct scenario *scenario) {
    sqlite3 *db = open_direct(scenario);
    want(scenario, db, 1, "SELECT faster_get('d', 'a')");
    want(scenario, db, 3, "SELECT value FROM d WHERE key = 'c'");
    want(scenario, db, 20, "SELECT faster_get('d', 'n')");
    want(scenario, db, 1, "SELECT faster_verify('d') = 'ok'");
    db_must(db, "UPDATE d SET value = value + 1");
    db_close(db);
    db = open_direct(scenario);
    want(scenario, db, 2 + 3 + 4 + 21, "SELECT sum(value) FROM d");
    db_close(db);
}

static void direct_commit_survives_a_kill(struct scenario *scenario) {
    run_phase(scenario, commit_and_die, true);
    run_phase(scenario, read_committed, false);
}

/* --------------------------------------------------------- declaration and store */

static void direct_and_transactional_are_not_mixed_up(struct scenario *scenario) {
    sqlite3 *db = open_direct(scenario);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster(memory='4MiB')");
    db_must(db, "INSERT INTO d VALUES(1, 1); INSERT INTO t VALUES(1, 1)");
    expect_error(scenario, db, "CREATE VIRTUAL TABLE e USING faster(writes='sometimes')",
                 SQLITE_ERROR, "sometimes", "transactional", "direct", NULL);
    expect_error(scenario, db,
                 "CREATE VIRTUAL TABLE e USING faster(writes=direct, inline_commit=0)",
                 SQLITE_ERROR, "inline_commit", "transactional", NULL);
    expect_error(scenario, db, "SELECT faster_commit('t')", SQLITE_ERROR, "COMMIT", "direct", NULL);
    expect_error(scenario, db, "INSERT INTO t(t) VALUES('commit')", SQLITE_ERROR, "COMMIT", NULL);
    expect_error(scenario, db, "SELECT faster_config('d', 'writes', 'transactional')", SQLITE_ERROR,
                 "direct", NULL);
    want(scenario, db, 1,
         "SELECT faster_config('d', 'writes') = 'direct' AND "
         "faster_config('t', 'writes') = 'transactional'");
    want(scenario, db, 1, "SELECT value FROM faster_stats('d') WHERE name = 'writes_directly'");
    want(scenario, db, 0, "SELECT count(*) FROM sqlite_schema WHERE name = 'd_log'");
    db_must(db, "UPDATE d_config SET value = (SELECT value FROM t_config WHERE name = 'uuid') "
                "WHERE name = 'uuid'");
    db_close(db);
    db = scenario_open(scenario);
    expect_error(scenario, db, "SELECT * FROM d", SQLITE_CORRUPT, "declared", "direct", "store",
                 "transactional", NULL);
    expect_error(scenario, db, "SELECT faster_incr('d', 1)", SQLITE_CORRUPT, "store", NULL);
    want(scenario, db, 1, "SELECT count(*) FROM t");
    db_must(db, "DELETE FROM d_config WHERE name = 'writes'; "
                "UPDATE d_config SET value = 1 WHERE name = 'version'");
    db_close(db);
    db = scenario_open(scenario);
    expect_error(scenario, db, "SELECT * FROM d", SQLITE_CORRUPT, "declared", "created", NULL);
    db_must(db, "UPDATE d_config SET value = 7 WHERE name = 'version'");
    expect_error(scenario, db, "SELECT * FROM d", SQLITE_ERROR, "newer", NULL);
    db_must(db, "DROP TABLE d");
    want(scenario, db, 1, "SELECT count(*) FROM t");
    db_close(db);
}

/* CREATE and DROP belong to the transaction; a table that only looks like a shadow stays. */
static void direct_ddl_is_transactional(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    db_must(db, "CREATE TABLE d_log(x); INSERT INTO d_log VALUES(1)");
    db_must(db, "BEGIN; CREATE VIRTUAL TABLE d USING faster(key PRIMARY KEY, value" DIRECT ")");
    db_must(db, "INSERT INTO d VALUES(1, 1); ROLLBACK");
    expect(scenario, store_directory_count(scenario->directory) == 0, "files of a CREATE stay");
    db_close(open_direct(scenario));
    db_must(db, "INSERT INTO d VALUES(1, 1); BEGIN; DROP TABLE d; ROLLBACK");
    want(scenario, db, 1, "SELECT faster_incr('d', 1) - 1");
    db_must(db, "ALTER TABLE d RENAME TO g; INSERT INTO g VALUES(2, 2)");
    want(scenario, db, 2, "SELECT count(*) FROM g");
    expect_error(scenario, db, "SELECT faster_get('d', 1)", SQLITE_ERROR, "d", NULL);
    db_must(db, "ALTER TABLE g RENAME TO d");
    sqlite3 *other = scenario_open(scenario);
    want(scenario, other, 2, "SELECT faster_get('d', 1)");
    db_must(db, "BEGIN; DROP TABLE d");
    want(scenario, other, 3, "SELECT faster_incr('d', 1)");
    db_must(db, "COMMIT");
    expect_error(scenario, other, "SELECT faster_incr('d', 1)", SQLITE_ERROR, "no such table",
                 NULL);
    want(scenario, db, 1, "SELECT count(*) FROM d_log");
    db_close(other);
    db_close(db);
    expect(scenario, store_directory_count(scenario->directory) == 0, "files of a DROP stay");
}

/* ---------------------------------------------------------------------- queries */

/* Compared with an INTEGER, text that looks like one is a number: '7' and '07' are one key to such
 * a query, whether they were stored before the store was opened, or after its keys were surveyed.
 */
static void direct_numbers_find_text(struct scenario *scenario) {
    sqlite3 *db = open_direct(scenario);
    db_must(db, "CREATE VIRTUAL TABLE s USING faster(key TEXT PRIMARY KEY, value" DIRECT ")");
    db_must(db, "CREATE TABLE numbers(n INTEGER); INSERT INTO numbers VALUES(7)");
    db_must(db, "INSERT INTO s VALUES('x', 2); INSERT INTO d VALUES(7, 1), ('x', 2)");
    for (int i = 0; i < 4; i++) {
        want(scenario, db, i, "SELECT count(*) FROM s WHERE key = CAST(7 AS INTEGER)");
        want(scenario, db, i, "SELECT count(*) FROM numbers CROSS JOIN s ON s.key = n");
        want(scenario, db, i, "SELECT count(*) FROM s WHERE key + 0 = 7");
        want(scenario, db, i > 0, "SELECT count(*) FROM s WHERE key = 7");
        want(scenario, db, 1, "SELECT count(*) FROM d WHERE key = 7");
        want(scenario, db, 1, "SELECT count(*) FROM d WHERE key IN (7, 8)");
        db_must(db, "INSERT INTO s VALUES(printf('%%0%dd', 7), 1)", i + 1);
        if (i == 1) {
            db_close(db);
            db = open_direct(scenario);
        }
    }
    db_must(db, "SELECT faster_set('d', '07', 1)");
    want(scenario, db, 2, "SELECT count(*) FROM d WHERE key = CAST(7 AS INTEGER)");
    db_close(db);
}

/* A statement that writes what it reads ends, and changes each row once. */
static void direct_statements_end(struct scenario *scenario) {
    sqlite3 *db = open_direct(scenario);
    db_must(db, "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000) "
                "INSERT INTO d SELECT i, 1 FROM c");
    db_must(db, "UPDATE d SET value = value + 1");
    want(scenario, db, 6000, "SELECT sum(value) FROM d");
    db_must(db, "UPDATE d SET key = key + 10000");
    want(scenario, db, 3000, "SELECT count(*) FROM d WHERE key BETWEEN 10001 AND 13000");
    db_must(db, "INSERT INTO d SELECT key + 10000, value FROM d");
    want(scenario, db, 6000, "SELECT count(*) FROM d");
    want(scenario, db, 6000, "SELECT count(faster_set('d', key, 3)) FROM d");
    want(scenario, db, 18000, "SELECT sum(value) FROM d");
    db_must(db, "DELETE FROM d WHERE value = 3");
    want(scenario, db, 0, "SELECT count(*) FROM d");
    db_close(db);
}

/* An expression of the statement takes the row away after it was read. */
static void direct_moved_row_that_is_gone_stays_gone(struct scenario *scenario) {
    sqlite3 *db = open_direct(scenario);
    db_must(db, "INSERT INTO d VALUES(4, 1), (5, 1)");
    db_must(db, "UPDATE d SET key = 30 + faster_delete('d', 4) WHERE key = 4");
    want(scenario, db, 0, "SELECT count(*) FROM d WHERE key IN (4, 30, 31)");
    db_must(db, "UPDATE d SET key = 30 WHERE key = 5");
    want(scenario, db, 30, "SELECT sum(key) FROM d");
    /* The locks are given back, also after a conflict. */
    db_must(db, "INSERT INTO d VALUES(5, 1)");
    (void)db_run(db, "UPDATE d SET key = 30 WHERE key = 5");
    want(scenario, db, 35, "SELECT sum(key) FROM d");
    db_must(db, "SELECT faster_set('d', 5, 2), faster_set('d', 30, 2), faster_set('d', 31, 2)");
    want(scenario, db, 6, "SELECT sum(value) FROM d");
    db_close(db);
}

const struct scenario_entry scenarios_direct[] = {
    {"direct_rollback_is_reported_once", direct_rollback_is_reported_once, true, false},
    {"direct_writes_are_seen_at_once", direct_writes_are_seen_at_once, true, false},
    {"direct_functions_need_no_lock", direct_functions_need_no_lock, true, true},
    {"direct_writes_need_permission", direct_writes_need_permission, true, false},
    {"direct_counters_are_exact", direct_counters_are_exact, true, true},
    {"direct_keys_come_and_go_once", direct_keys_come_and_go_once, true, false},
    {"direct_rowids_are_not_taken_twice", direct_rowids_are_not_taken_twice, true, false},
    {"direct_commit_survives_a_kill", direct_commit_survives_a_kill, true, true},
    {"direct_and_transactional_are_not_mixed_up", direct_and_transactional_are_not_mixed_up, true,
     false},
    {"direct_ddl_is_transactional", direct_ddl_is_transactional, true, true},
    {"direct_numbers_find_text", direct_numbers_find_text, true, false},
    {"direct_statements_end", direct_statements_end, true, false},
    {"direct_moved_row_that_is_gone_stays_gone", direct_moved_row_that_is_gone_stays_gone, true,
     false},
    {NULL, NULL, false, false}};
