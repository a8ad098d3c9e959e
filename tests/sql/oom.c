/* oom.c - every allocation SQLite makes fails once, and the handle still works (P7).
 *
 * Strategy. SQLite's allocator (sqlite3_config) is wrapped: the n-th allocation of a scenario
 * fails, alone or with all that follow it, for n = 1, 2, ... until the scenario runs through
 * without having met the failure. The extension allocates through SQLite, so this covers ext/;
 * the engine's allocator is failed by the engine's own tests. Lookaside is off, so that small
 * allocations count too.
 *
 * A scenario is a list of statements; the first that fails ends it. They keep a FASTER table f
 * and an ordinary table o with the same rows, so that the oracle is what SQLite itself does:
 * most write to a view `both` whose triggers write f and o in one statement.
 *
 * Invariants, after each failure: the result code is SQLITE_NOMEM or success, or one of the
 * codes that SQLite itself makes of NOMEM; with success, a query has returned the right rows;
 * ROLLBACK (in turn COMMIT) ends the transaction; f and o hold the same rows; a new write to
 * both works. At the end of all, every byte that was allocated has been freed.
 *
 * Replay. Nothing is random: `oom --only NAME` runs one scenario. By default every second
 * allocation fails, in slow scenarios fewer; with --scale 101 each one does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql_support.h"

#define FAILURE_COUNT_MAX 100000

/* ------------------------------------------------------------- the allocator */

static sqlite3_mem_methods system_methods;
static struct {
    long countdown; /* allocations until the failure; 0: none fails */
    bool sticky;    /* all later ones fail too */
    bool failed;    /* the failure was met */
} injection;
static long outstanding_count;

static bool must_fail(void) {
    if (injection.failed && injection.sticky) {
        return true;
    }
    if (injection.countdown > 0 && --injection.countdown == 0) {
        injection.failed = true;
        return true;
    }
    return false;
}

static void *failing_malloc(int size_bytes) {
    void *memory = must_fail() ? NULL : system_methods.xMalloc(size_bytes);
    outstanding_count += memory != NULL;
    return memory;
}

static void failing_free(void *memory) {
    outstanding_count -= memory != NULL;
    system_methods.xFree(memory);
}

static void *failing_realloc(void *memory, int size_bytes) {
    return must_fail() ? NULL : system_methods.xRealloc(memory, size_bytes);
}

static void arm(long countdown, bool sticky) {
    injection.countdown = countdown;
    injection.sticky = sticky;
    injection.failed = false;
}

/* True if the failure was met. */
static bool disarm(void) {
    bool met = injection.failed;
    arm(0, false);
    return met;
}

static void allocator_install(void) {
    sqlite3_mem_methods methods;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &system_methods) != SQLITE_OK) {
        test_fail("sqlite3_config(GETMALLOC)");
    }
    methods = system_methods;
    methods.xMalloc = failing_malloc;
    methods.xFree = failing_free;
    methods.xRealloc = failing_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK) {
        test_fail("sqlite3_config(MALLOC)");
    }
}

/* ----------------------------------------------------------------- scenarios */

#define STATEMENT_COUNT_MAX 12

/* A statement that starts with '?' is a query whose rows are compared with a clean run. */
struct scenario {
    const char *name;
    bool opens;           /* each run has a connection of its own, opened under failures */
    bool in_steps;        /* f and o are written one after the other: no COMMIT in between */
    int step;             /* every step-th allocation only, for what is slow; 0: 2 */
    const char *clean_up; /* run without failures after each run; errors are ignored */
    const char *statements[STATEMENT_COUNT_MAX];
};

static const struct scenario scenarios[] = {
    {.name = "transaction",
     .statements = {"BEGIN", "INSERT INTO both VALUES ('a', 1), ('b', 'two'), ('c', x'03')",
                    "SAVEPOINT s", "UPDATE both SET v = v || 'x' WHERE k >= 'b'", "ROLLBACK TO s",
                    "DELETE FROM both WHERE k = 'a'", "COMMIT"}},
    {.name = "savepoints",
     .statements = {"SAVEPOINT a", "INSERT INTO both VALUES ('s1', 1)", "SAVEPOINT b",
                    "INSERT INTO both VALUES ('s2', 2)", "SAVEPOINT c",
                    "DELETE FROM both WHERE k LIKE 's%'", "ROLLBACK TO b", "RELEASE b",
                    "INSERT INTO both VALUES ('s3', 3)", "ROLLBACK TO a",
                    "INSERT INTO both VALUES ('s4', 4)", "RELEASE a"}},
    {.name = "trigger", .statements = {"INSERT INTO source VALUES ('t1'), ('t2'), ('t3')"}},
    {.name = "update_key",
     .statements = {"BEGIN", "DELETE FROM both WHERE k IN ('old', 'new')",
                    "INSERT INTO both VALUES ('old', 1)",
                    "UPDATE both SET k = 'new' WHERE k = 'old'",
                    "UPDATE OR IGNORE both SET k = 'd' WHERE k = 'e'", "COMMIT"}},
    {.name = "conflict",
     .statements = {"BEGIN", "INSERT OR IGNORE INTO both VALUES ('d', 1), ('zz', 2)",
                    "DELETE FROM both WHERE k = 'zz'", "COMMIT"}},
    {.name = "commands",
     .in_steps = true,
     .statements = {"BEGIN", "INSERT INTO f(f, k, v) VALUES ('add', 'n', 2)",
                    "INSERT INTO o VALUES ('n', 2) ON CONFLICT DO UPDATE SET v = v + 2",
                    "INSERT INTO f(f, k, v) VALUES ('append', 'm', 'x')",
                    "INSERT INTO o VALUES ('m', 'x') ON CONFLICT DO UPDATE SET v = v || 'x'",
                    "INSERT INTO f(f, k, v) VALUES ('max', 'n', 5), ('insert', 'n', 6)",
                    "UPDATE o SET v = max(v, 5) WHERE k = 'n'", "COMMIT"}},
    {.name = "functions",
     .in_steps = true,
     .statements = {"BEGIN", "SELECT faster_set('f', 'g', 'value')",
                    "REPLACE INTO o VALUES ('g', 'value')", "SELECT faster_incr('f', 'h', 3)",
                    "INSERT INTO o VALUES ('h', 3) ON CONFLICT DO UPDATE SET v = v + 3",
                    "SELECT faster_delete('main.f', 'g')", "DELETE FROM o WHERE k = 'g'",
                    "COMMIT"}},
    {.name = "reads",
     .statements = {"?SELECT v FROM f WHERE k = 'd'",
                    "?SELECT k, v FROM f WHERE k IN ('d', 'e', 'none', 7, NULL, 'd') ORDER BY k",
                    "?SELECT count(*) > 2 FROM f",
                    "?SELECT o.k FROM o JOIN f ON f.k = o.k WHERE o.k IN ('d', 'e') ORDER BY o.k",
                    "?SELECT faster_get('f', 'd'), faster_get('f', 'd', 'v')",
                    "?SELECT faster_exists('f', 'e'), faster_exists('f', 'none')",
                    "?SELECT name FROM faster_stats('f') WHERE name LIKE '%key%'"}},
    {.name = "verify",
     .step = 4,
     .clean_up = "INSERT INTO f(f) VALUES ('checkpoint')", /* each run adds a commit to verify */
     .statements = {"INSERT INTO f(f) VALUES ('verify')", "?SELECT faster_verify('f')",
                    "?SELECT count(*) FROM faster_verify('f')"}},
    {.name = "many_keys",
     .statements = {"REPLACE INTO r(rowid, x) VALUES (1, 'one'), (2, 'two'), (3, 'three')",
                    "?SELECT * FROM faster_mget('f', '[\"d\", \"none\", null, \"\\u0065\"]')",
                    "?SELECT * FROM faster_mget('r', '[3, 2.0, \"1e0\"]')",
                    "?SELECT key FROM faster_mget('r', x'7102000000000000000300000000000000')",
                    "?SELECT x FROM r WHERE rowid IN (1, 3, 2, 7) ORDER BY rowid"}},
    {.name = "columns",
     .statements = {"BEGIN", "REPLACE INTO w VALUES (1, 'x', 1.5, NULL), (2, 'y', 'text', x'00')",
                    "INSERT OR IGNORE INTO w(a, b) VALUES (3, 'z')",
                    "UPDATE OR REPLACE w SET a = a + 1 WHERE a = 2",
                    "?SELECT * FROM w WHERE a = 1 AND b = 'X'",
                    "?SELECT a, c FROM w WHERE a IN (1, 3) AND b = 'z' ORDER BY a", "DELETE FROM w",
                    "COMMIT"}},
    {.name = "rowid",
     .statements = {"BEGIN", "DELETE FROM r", "INSERT INTO r(x) VALUES ('one'), ('two')",
                    "INSERT INTO r(rowid, x) VALUES (-5, 'three')", "DELETE FROM r WHERE rowid = 2",
                    "INSERT INTO r(x) VALUES ('four') RETURNING rowid",
                    "?SELECT rowid, x FROM r WHERE rowid IN (1, 2, -5) ORDER BY rowid", "COMMIT"}},
    {.name = "direct",
     .clean_up = "ROLLBACK",
     .statements = {"DELETE FROM d", "BEGIN", "INSERT INTO d VALUES ('a', 1), ('b', 2), ('c', 3)",
                    "SAVEPOINT s", "UPDATE d SET k = 'bb' WHERE k = 'b'",
                    "INSERT INTO d(d, k, v) VALUES ('add', 'a', 5), ('append', 'new', 'x')",
                    "ROLLBACK TO s", "DELETE FROM d WHERE k = 'c'", "ROLLBACK",
                    "?SELECT k, v FROM d WHERE k IN ('a', 'b', 'bb', 'c', 'new') ORDER BY k",
                    "?SELECT count(*) FROM d WHERE v = 6"}},
    {.name = "direct_functions",
     .statements = {"DELETE FROM d", "?SELECT faster_set('d', 'k', 1), faster_incr('d', 'k', 2)",
                    "?SELECT faster_append('d', 'k', 'x'), faster_get('d', 'k')",
                    "?SELECT faster_cas('d', 'k', '3x', 'y'), faster_cas('d', 'k', '3x', 'z')",
                    "?SELECT faster_exists('d', 'k'), faster_delete('d', 'k')",
                    "?SELECT faster_delete('d', 'k'), faster_commit('d'), faster_verify('d')",
                    "?SELECT faster_config('d', 'writes')"}},
    {.name = "direct_rowid",
     .statements = {"DELETE FROM q", "INSERT INTO q(x) VALUES ('one'), ('two')",
                    "INSERT INTO q(rowid, x) VALUES (-5, 'three')",
                    "SELECT faster_set('q', NULL, 'four')", "?SELECT x FROM q ORDER BY x",
                    "?SELECT x FROM q WHERE rowid = -5"}},
    {.name = "config",
     .statements = {"?SELECT faster_config('f', 'memory') > 0",
                    "SELECT faster_config('f', 'inline_commit', 4096)"}},
    {.name = "checkpoint", .statements = {"INSERT INTO f(f) VALUES ('checkpoint')"}},
    {.name = "create",
     .step = 61,
     .clean_up = "ROLLBACK; DROP TABLE IF EXISTS c1; DROP TABLE IF EXISTS c2",
     .statements = {"CREATE VIRTUAL TABLE c1 USING faster(a INTEGER, b TEXT DEFAULT 'x' COLLATE "
                    "NOCASE, c NOT NULL DEFAULT (1 + 2), PRIMARY KEY(a, b), memory='2MiB')",
                    "INSERT INTO c1(a) VALUES (1)", "BEGIN",
                    "CREATE VIRTUAL TABLE c2 USING faster(memory='1MiB')",
                    "INSERT INTO c2 VALUES (1, 2)", "COMMIT", "DROP TABLE c1", "DROP TABLE c2"}},
    {.name = "create_direct",
     .step = 61,
     .clean_up = "ROLLBACK; DROP TABLE IF EXISTS c3",
     .statements = {"BEGIN", "CREATE VIRTUAL TABLE c3 USING faster(writes='direct', memory='1MiB')",
                    "INSERT INTO c3 VALUES (1, 2), (2, 3)", "COMMIT",
                    "?SELECT key FROM c3 WHERE key = 1", "DROP TABLE c3"}},
    {.name = "drop_undone",
     .step = 11,
     .in_steps = true,
     .clean_up = "ROLLBACK",
     .statements = {"BEGIN", "SAVEPOINT s", "DROP TABLE f", "ROLLBACK TO s",
                    "INSERT INTO both VALUES ('after drop', 1)", "COMMIT"}},
    {.name = "rename",
     .step = 149,
     .clean_up = "ROLLBACK; ALTER TABLE f2 RENAME TO f",
     .statements = {"BEGIN", "INSERT INTO both VALUES ('rename', 1)", "ALTER TABLE f RENAME TO f2",
                    "INSERT INTO both VALUES ('rename', 2)", "ALTER TABLE f2 RENAME TO f",
                    "COMMIT"}},
    {.name = "open",
     .step = 11,
     .opens = true,
     .statements = {"?SELECT v FROM f WHERE k = 'd'", "BEGIN",
                    "INSERT INTO both VALUES ('opened', 1)", "COMMIT"}},
};

#define SCENARIO_COUNT (sizeof scenarios / sizeof scenarios[0])

struct run {
    const struct test_options *options;
    const struct scenario *scenario;
    char path[TEST_PATH_BYTES];
    sqlite3 *db;
    struct text expected[STATEMENT_COUNT_MAX]; /* what queries return */
    const char *statement;                     /* what ran last */
    long number;                               /* of the failing allocation */
    bool sticky;
    int step_factor;
    uint64_t failure_count;
};

static void fail(const struct run *run, const char *what) {
    test_fail("%s, allocation %ld%s, %s: %s: %s", run->scenario->name, run->number,
              run->sticky ? " and later" : "", run->statement, what,
              run->db == NULL ? "no database" : sqlite3_errmsg(run->db));
}

/* What SQLite makes of NOMEM: a failed COMMIT may have rolled back. */
static bool is_allowed(int code) {
    switch (code & 0xff) {
    case SQLITE_NOMEM:
    case SQLITE_ABORT:
        return true;
    default:
        return code == SQLITE_IOERR_NOMEM;
    }
}

static int add_row(void *context, int count, char **values, char **names) {
    struct text *text = context;
    (void)names;
    for (int i = 0; i < count; i++) {
        text_add(text, "%s|", values[i] == NULL ? "NULL" : values[i]);
    }
    text_add(text, "\n");
    return 0;
}

static int run_query(struct run *run, int index, const char *sql) {
    struct text *expected = &run->expected[index];
    struct text rows = {0};
    text_add(&rows, "%s", "");
    int rc = sqlite3_exec(run->db, sql, add_row, &rows, NULL);
    if (rc == SQLITE_OK && run->number == 0) {
        text_clear(expected);
        text_add_bytes(expected, rows.data, rows.size_bytes);
    } else if (rc == SQLITE_OK && strcmp(expected->data, rows.data) != 0) {
        fprintf(stderr, "expected\n%sfound\n%s", expected->data, rows.data);
        fail(run, "wrong rows, and no error");
    }
    text_finish(&rows);
    return rc;
}

/* Runs the statements; false if one failed. The code must be allowed. */
static bool run_statements(struct run *run) {
    for (int i = 0; i < STATEMENT_COUNT_MAX && run->scenario->statements[i] != NULL; i++) {
        const char *sql = run->scenario->statements[i];
        run->statement = sql;
        int rc = sql[0] == '?' ? run_query(run, i, sql + 1)
                               : sqlite3_exec(run->db, sql, NULL, NULL, NULL);
        if (rc != SQLITE_OK && !is_allowed(rc)) {
            fail(run, "wrong result code");
        }
        if (rc != SQLITE_OK) {
            return false;
        }
    }
    return true;
}

static int64_t difference_count(struct run *run) {
    return db_int(run->db, "SELECT (SELECT count(*) FROM (SELECT k, v FROM f EXCEPT SELECT k, v "
                           "FROM o)) + (SELECT count(*) FROM (SELECT k, v FROM o EXCEPT SELECT k, "
                           "v FROM f)) + abs((SELECT count(*) FROM f) - (SELECT count(*) FROM o))");
}

/* The handle works, and both tables agree. */
static void check_handle(struct run *run) {
    if (!sqlite3_get_autocommit(run->db)) {
        bool commit = run->number % 2 == 0 && !run->scenario->in_steps;
        const char *end = commit ? "COMMIT" : "ROLLBACK";
        if (sqlite3_exec(run->db, end, NULL, NULL, NULL) != SQLITE_OK) {
            fail(run, "the transaction cannot be ended");
        }
    }
    if (run->scenario->clean_up != NULL) {
        const char *sql = run->scenario->clean_up;
        while (sql != NULL && *sql != '\0') {
            sqlite3_stmt *statement = NULL;
            (void)sqlite3_prepare_v2(run->db, sql, -1, &statement, &sql);
            (void)sqlite3_step(statement);
            (void)sqlite3_finalize(statement);
        }
    }
    if (difference_count(run) != 0) {
        fail(run, "the tables differ");
    }
    db_must(run->db,
            "BEGIN; REPLACE INTO f VALUES ('check', %ld); "
            "REPLACE INTO o VALUES ('check', %ld); COMMIT",
            run->number, run->number);
    if (db_int(run->db, "SELECT v FROM f WHERE k = 'check'") != run->number) {
        fail(run, "a later write is lost");
    }
}

/* A connection opened while memory fails. */
static bool open_failing(struct run *run) {
    char *message = NULL;
    run->statement = "open";
    int rc = sqlite3_open(run->path, &run->db);
    if (rc == SQLITE_OK && !run->options->self) {
        (void)sqlite3_enable_load_extension(run->db, 1);
        rc = sqlite3_load_extension(run->db, run->options->extension, NULL, &message);
        sqlite3_free(message);
    }
    return rc == SQLITE_OK;
}

/* One run with allocation `number` failing. False: it was not met. */
static bool run_once(struct run *run) {
    sqlite3 *outer = run->db;
    bool ok = true;
    arm(run->number, run->sticky);
    if (run->scenario->opens) {
        ok = open_failing(run);
    }
    ok = ok && run_statements(run);
    bool met = disarm();
    if (!ok && !met) {
        fail(run, "it fails without a failed allocation");
    }
    if (run->scenario->opens) {
        (void)sqlite3_close(run->db);
        run->db = outer;
    }
    check_handle(run);
    return met;
}

static void run_scenario(struct run *run) {
    for (int sticky = 0; sticky < 2; sticky++) {
        run->sticky = sticky != 0;
        run->number = 0;
        (void)run_once(run);
        int step = run->scenario->step == 0 ? 2 : run->scenario->step;
        step = run->options->scale_percent > 100 ? 1 : step * run->step_factor;
        for (run->number = 1 + sticky; run_once(run); run->number += step) {
            run->failure_count++;
            if (run->number > FAILURE_COUNT_MAX) {
                fail(run, "no end");
            }
        }
    }
    for (int i = 0; i < STATEMENT_COUNT_MAX; i++) {
        text_finish(&run->expected[i]);
    }
}

static void create_tables(struct run *run) {
    const char *using_f = run->options->self ? "TABLE f(k PRIMARY KEY, v) WITHOUT ROWID"
                                             : "VIRTUAL TABLE f USING faster(k PRIMARY KEY, v)";
    const char *using_w = "VIRTUAL TABLE w USING faster(a INTEGER, b TEXT COLLATE NOCASE, c REAL "
                          "DEFAULT 2, d, PRIMARY KEY(a, b))";
    db_must(run->db,
            "PRAGMA journal_mode = wal; PRAGMA synchronous = off; CREATE %s; "
            "CREATE TABLE o(k PRIMARY KEY, v) WITHOUT ROWID; CREATE TABLE source(x); "
            "CREATE TRIGGER copy AFTER INSERT ON source BEGIN "
            "REPLACE INTO f VALUES (new.x, new.rowid); "
            "REPLACE INTO o VALUES (new.x, new.rowid); END",
            using_f);
    db_must(run->db, "CREATE VIEW both AS SELECT k, v FROM o; "
                     "CREATE TRIGGER both_insert INSTEAD OF INSERT ON both BEGIN "
                     "REPLACE INTO f VALUES (new.k, new.v); "
                     "REPLACE INTO o VALUES (new.k, new.v); END; "
                     "CREATE TRIGGER both_update INSTEAD OF UPDATE ON both BEGIN "
                     "UPDATE f SET k = new.k, v = new.v WHERE k = old.k; "
                     "UPDATE o SET k = new.k, v = new.v WHERE k = old.k; END; "
                     "CREATE TRIGGER both_delete INSTEAD OF DELETE ON both BEGIN "
                     "DELETE FROM f WHERE k = old.k; DELETE FROM o WHERE k = old.k; END");
    db_must(run->db, "CREATE %s; CREATE %s", using_w, "VIRTUAL TABLE r USING faster(x)");
    db_must(run->db, "CREATE VIRTUAL TABLE d USING faster(k PRIMARY KEY, v, writes='direct'); "
                     "CREATE VIRTUAL TABLE q USING faster(x, writes='direct')");
    db_must(run->db, "INSERT INTO f VALUES ('d', 'four'), ('e', 5), ('é', zeroblob(300)); "
                     "INSERT INTO o SELECT * FROM f");
}

static void run_encoding(const struct test_options *options, const char *encoding,
                         int step_factor) {
    char directory[TEST_PATH_BYTES];
    struct run run = {.options = options, .step_factor = step_factor};
    directory_make(directory, "oom");
    path_format(run.path, "%s/test.db", directory);
    run.db = db_open(options, run.path);
    db_must(run.db, "PRAGMA encoding = '%s'", encoding);
    create_tables(&run);
    for (size_t i = 0; i < SCENARIO_COUNT; i++) {
        if (options->only != NULL && strcmp(options->only, scenarios[i].name) != 0) {
            continue;
        }
        uint64_t before = run.failure_count;
        run.scenario = &scenarios[i];
        run_scenario(&run);
        printf("%s %s: %llu failures\n", encoding, run.scenario->name,
               (unsigned long long)(run.failure_count - before));
        fflush(stdout);
    }
    db_close(run.db);
    directory_remove(directory);
}

int main(int argc, char **argv) {
    struct test_options options;
    allocator_install();
    test_options_parse(&options, argc, argv);
    if (options.self) {
        printf("SKIPPED: oom tests the extension\n");
        return TEST_EXIT_SKIP;
    }
    run_encoding(&options, "UTF-8", 1);
    run_encoding(&options, "UTF-16le", 5);
    if (sqlite3_shutdown() != SQLITE_OK || outstanding_count != 0) {
        test_fail("%ld allocations were not freed", outstanding_count);
    }
    return 0;
}
