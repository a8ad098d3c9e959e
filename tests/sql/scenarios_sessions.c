/* scenarios_sessions.c - named sessions of direct tables (P2). */
#include "scenarios.h"

static void want(struct scenario *scenario, sqlite3 *db, int64_t value, const char *sql) {
    const int64_t found = db_int(db, "%s", sql);
    expect(scenario, found == value, "%s: %lld instead of %lld", sql, (long long)found,
           (long long)value);
}

static sqlite3 *open_table(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    if (db_int(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'd'") == 0) {
        db_must(db, "CREATE VIRTUAL TABLE d USING faster(key PRIMARY KEY, value, writes='direct', "
                    "memory='4MiB')");
    }
    return db;
}

#define DURABLE_OF(name) "SELECT durable_serial FROM faster_sessions('d') WHERE name = '" name "'"
#define SERIAL_OF(name) "SELECT serial FROM faster_sessions('d') WHERE name = '" name "'"

static void session_numbers_what_is_written(struct scenario *scenario) {
    sqlite3 *db = open_table(scenario);
    sqlite3 *other = open_table(scenario);
    want(scenario, db, 1, "SELECT faster_session('d') IS NULL");
    want(scenario, db, 0, "SELECT faster_session('d', 'worker-1')");
    db_must(db, "INSERT INTO d VALUES('a', 1), ('b', 2)");
    db_must(db, "SELECT faster_incr('d', 'a'), faster_get('d', 'b')");
    want(scenario, db, 3, "SELECT faster_session('d')");
    db_must(other, "INSERT INTO d(d) VALUES('session worker-2')");
    db_must(other, "INSERT INTO d VALUES('c', 1)");
    want(scenario, other, 1, SERIAL_OF("worker-2"));
    want(scenario, other, 0, DURABLE_OF("worker-2"));
    expect_error(scenario, other, "SELECT faster_session('d', 'worker-1')", SQLITE_BUSY, "worker-1",
                 NULL);
    want(scenario, other, 1, "SELECT faster_session('d')"); /* it has its own still */
    db_must(other, "SELECT faster_commit('d')");
    want(scenario, db, 4, "SELECT sum(durable_serial) FROM faster_sessions('d') WHERE open");
    want(scenario, db, 1, "SELECT faster_session('d', NULL) IS NULL");
    db_must(db, "SELECT faster_incr('d', 'a')");
    want(scenario, other, 3, "SELECT faster_session('d', 'worker-1')");
    want(scenario, other, 1, "SELECT count(*) FROM faster_sessions('d') WHERE NOT open");
    db_close(other);
    want(scenario, db, 2, "SELECT count(*) FROM faster_sessions('d') WHERE NOT open");
    want(scenario, db, 1, "SELECT faster_session_forget('d', 'worker-2')");
    want(scenario, db, 0, "SELECT faster_session_forget('d', 'worker-2')");
    want(scenario, db, 1, "SELECT count(*) FROM faster_sessions('d')");
    db_close(db);
}

static void session_errors_name_the_reason(struct scenario *scenario) {
    sqlite3 *db = open_table(scenario);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster(memory='4MiB')");
    expect_error(scenario, db, "SELECT faster_session('t', 'x')", SQLITE_ERROR, "direct", NULL);
    expect_error(scenario, db, "INSERT INTO t(t) VALUES('session x')", SQLITE_ERROR, "direct",
                 NULL);
    expect_error(scenario, db, "SELECT faster_session_forget('t', 'x')", SQLITE_ERROR, "direct",
                 NULL);
    want(scenario, db, 0, "SELECT count(*) FROM faster_sessions('t')");
    expect_error(scenario, db, "SELECT faster_session('d', '')", SQLITE_ERROR, "1 to 31 bytes",
                 NULL);
    expect_error(scenario, db, "SELECT faster_session('d', printf('%032d', 1))", SQLITE_ERROR,
                 "1 to 31 bytes", NULL);
    expect_error(scenario, db, "SELECT faster_session('d', CAST(x'610062' AS TEXT))", SQLITE_ERROR,
                 "1 to 31 bytes", NULL);
    expect_error(scenario, db, "INSERT INTO d(d) VALUES('session ')", SQLITE_ERROR, "1 to 31 bytes",
                 NULL);
    expect_error(scenario, db, "INSERT INTO d(d, key) VALUES('session x', 1)", SQLITE_ERROR,
                 "takes no columns", NULL);
    db_must(db, "INSERT INTO d VALUES(1, 1), (2, 2)");
    expect_error(scenario, db, "SELECT faster_session('d', 'w' || key) FROM d", SQLITE_BUSY,
                 "reading", NULL);
    want(scenario, db, 0, "SELECT faster_session('d', 'w')");
    expect_error(scenario, db, "SELECT faster_session_forget('d', 'w')", SQLITE_BUSY, "in use",
                 NULL);
    db_close(db);
}

static void work_and_die(struct scenario *scenario) {
    sqlite3 *db = open_table(scenario);
    want(scenario, db, 0, "SELECT faster_session('d', 'worker')");
    db_must(db, "SELECT faster_incr('d', 'n', 1), faster_incr('d', 'n', 1), faster_commit('d')");
    db_must(db, "SELECT faster_incr('d', 'n', 1)");
    want(scenario, db, 3, SERIAL_OF("worker"));
    want(scenario, db, 2, DURABLE_OF("worker"));
    kill_self();
}

/* The next process repeats what is not there. */
static void go_on_after_the_kill(struct scenario *scenario) {
    sqlite3 *db = open_table(scenario);
    want(scenario, db, 2, SERIAL_OF("worker"));
    want(scenario, db, 2, "SELECT faster_get('d', 'n')");
    want(scenario, db, 2, "SELECT faster_session('d', 'worker')");
    want(scenario, db, 2, DURABLE_OF("worker"));
    db_must(db, "SELECT faster_incr('d', 'n', 1)");
    want(scenario, db, 3, "SELECT faster_session('d')");
    want(scenario, db, 1, "SELECT faster_verify('d') = 'ok'");
    db_close(db);
    db = open_table(scenario);
    want(scenario, db, 3, DURABLE_OF("worker"));
    want(scenario, db, 3, "SELECT faster_get('d', 'n')");
    db_close(db);
}

static void session_comes_back_after_a_kill(struct scenario *scenario) {
    run_phase(scenario, work_and_die, true);
    run_phase(scenario, go_on_after_the_kill, false);
}

const struct scenario_entry scenarios_sessions[] = {
    {"session_numbers_what_is_written", session_numbers_what_is_written, true, false},
    {"session_errors_name_the_reason", session_errors_name_the_reason, true, false},
    {"session_comes_back_after_a_kill", session_comes_back_after_a_kill, true, true},
    {NULL, NULL, false, false}};
