/* test_module.c - the extension's own promises, one test by name for each.
 *
 * Strategy. What ordinary tables do is the differential test's subject, and what a joint
 * commit survives that of the scenarios; here are the parts that only a FASTER table has: the
 * command column, the functions and how they find their table, the snapshot that is held
 * between statements, which locks are taken, what is left behind. Each test has a fresh
 * directory; tests that fork do so before they open a database.
 *
 * Replay. Nothing is random but the order of threads: `test_module --only NAME`.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/sql_support.h"

struct world {
    const struct test_options *options;
    char directory[TEST_PATH_BYTES];
    char path[TEST_PATH_BYTES];
};

static sqlite3 *open_at(const struct world *world) {
    return db_open(world->options, world->path);
}

/* Runs a query and compares its result, columns joined by '|' and rows by a blank. */
static void want(sqlite3 *db, const char *expected, const char *sql) {
    struct text text = {0};
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    text_add(&text, "%s", "");
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        text_add(&text, "%s", text.size_bytes > 0 ? " " : "");
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *value = (const char *)sqlite3_column_text(statement, i);
            text_add(&text, "%s%s", i > 0 ? "|" : "", value == NULL ? "null" : value);
        }
        code = SQLITE_OK;
    }
    if (code != SQLITE_OK && code != SQLITE_DONE) {
        test_fail("%s: %s", sql, sqlite3_errmsg(db));
    }
    if (strcmp(text.data, expected) != 0) {
        test_fail("%s: got '%s', expected '%s'", sql, text.data, expected);
    }
    (void)sqlite3_finalize(statement);
    text_finish(&text);
}

/* Runs a statement that must fail with this extended code and a message that contains
 * `part`. */
static void refused(sqlite3 *db, int code, const char *part, const char *sql) {
    int got = db_run(db, "%s", sql);
    if (got != code) {
        test_fail("%s: code %d, expected %d (%s)", sql, got, code, sqlite3_errmsg(db));
    }
    if (strstr(sqlite3_errmsg(db), part) == NULL) {
        test_fail("%s: '%s' does not say '%s'", sql, sqlite3_errmsg(db), part);
    }
}

/* ---------------------------------------------------------------- commands */

static void commands_change_one_column(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE c USING faster(k TEXT PRIMARY KEY, n INTEGER)");
    db_must(db, "INSERT INTO c(c, k, n) VALUES('add', 'a', 5), ('add', 'a', -2), ('max', 'b', 3)");
    db_must(db, "INSERT INTO c(c, k, n) VALUES('max', 'b', 2), ('min', 'b', 1), ('MIN', 'b', 9)");
    db_must(db, "INSERT INTO c(c, k, n) VALUES('insert', 'a', 100), ('insert', 'd', 7)");
    db_must(db, "INSERT INTO c(c, k, n) VALUES('append', 'd', '1')");
    want(db, "a|3|integer b|1|integer d|71|integer", "SELECT *, typeof(n) FROM c ORDER BY k");
    refused(db, SQLITE_ERROR, "integer overflow",
            "INSERT INTO c(c, k, n) VALUES('add', 'a', 9223372036854775807)");
    refused(db, SQLITE_MISMATCH, "numbers", "INSERT INTO c(c, k, n) VALUES('add', 'a', 'x')");
    refused(db, SQLITE_ERROR, "allowed are add", "INSERT INTO c(c, k, n) VALUES('put', 'a', 1)");
    refused(db, SQLITE_ERROR, "INSERT only", "UPDATE c SET c = 'add'");
    want(db, "a|3", "SELECT * FROM c WHERE k = 'a'");
    db_close(db);
}

static void commands_on_the_table_take_no_row(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; INSERT INTO f(f) VALUES('checkpoint')");
    refused(db, SQLITE_ERROR, "the command 'checkpoint' takes no columns",
            "INSERT INTO f(f, key, value) VALUES('checkpoint', 'a', 7)");
    refused(db, SQLITE_ERROR, "allowed are add, append",
            "INSERT INTO f(f, key, value) VALUES('none', 'a', 7)");
    want(db, "0", "SELECT count(*) FROM f");
    db_close(db);
}

static void command_grow_doubles_the_index(struct world *world) {
    const char *buckets = "SELECT value FROM faster_stats('g') WHERE name = 'index_buckets'";
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE g USING faster(k INTEGER PRIMARY KEY, v, memory='1MiB')");
    db_must(db, "INSERT INTO g VALUES(1, 'a'), (2, 'b')");
    want(db, "1024", buckets);
    db_must(db, "BEGIN; INSERT INTO g VALUES(3, 'c'); INSERT INTO g(g) VALUES('grow');"
                "INSERT INTO g VALUES(4, 'd'); COMMIT");
    want(db, "2048", buckets);
    db_must(db, "INSERT INTO g(g) VALUES('GROW')");
    refused(db, SQLITE_FULL, "largest size", "INSERT INTO g(g) VALUES('grow')");
    want(db, "4096", buckets);
    want(db, "1|a 2|b 3|c 4|d", "SELECT * FROM g ORDER BY k");
    db_close(db);
}

static void commands_on_several_columns(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE c USING faster(a, b, n INT DEFAULT 10, t TEXT NOT NULL, "
                "PRIMARY KEY(a, b))");
    refused(db, SQLITE_CONSTRAINT_NOTNULL, "c.t",
            "INSERT INTO c(c, a, b, n) VALUES('add', 1, 2, 5)");
    db_must(db, "INSERT INTO c(a, b, t) VALUES(1, 2, 'x')");
    db_must(db, "INSERT INTO c(c, a, b, n) VALUES('add', 1, 2, 5)");
    db_must(db, "INSERT INTO c(c, a, b, t) VALUES('append', 1, 2, 'yz')");
    want(db, "1|2|15|xyz", "SELECT * FROM c");
    refused(db, SQLITE_ERROR, "exactly one",
            "INSERT INTO c(c, a, b, n, t) VALUES('add', 1, 2, 5, 'q')");
    refused(db, SQLITE_CONSTRAINT_NOTNULL, "whole key",
            "INSERT INTO c(c, a, n) VALUES('add', 1, 5)");
    db_close(db);
}

static void commands_on_rowids(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE r USING faster(v)");
    db_must(db, "INSERT INTO r VALUES(1)");
    db_must(db, "INSERT INTO r(r, rowid, v) VALUES('add', 1, 4), ('add', 9, 2)");
    refused(db, SQLITE_ERROR, "needs the rowid", "INSERT INTO r(r, v) VALUES('add', 4)");
    db_must(db, "INSERT INTO r(v) VALUES('next')");
    want(db, "1|5 9|2 10|next", "SELECT rowid, v FROM r ORDER BY rowid");
    db_close(db);
}

static void lookups_that_ask_for_the_rowid_only(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE r USING faster(x, id INTEGER PRIMARY KEY, y)");
    db_must(db, "INSERT INTO r VALUES('a', 3, 'b'), ('c', -4, 'd'), ('e', 5, 'f')");
    want(db, "-4|-4 3|3", "SELECT id, rowid FROM r WHERE id IN (3, -4, 9) ORDER BY id");
    want(db, "2", "SELECT count(*) FROM r WHERE rowid IN (5, 3, 8)");
    want(db, "3|b", "SELECT id, y FROM r WHERE rowid = 3");
    want(db, "1", "SELECT EXISTS (SELECT 1 FROM r WHERE id = 5)");
    db_must(db, "DELETE FROM r WHERE id = 3");
    db_must(db, "UPDATE r SET x = 'g', id = id + 1 WHERE id IN (5, 3)");
    want(db, "-4|c|d 6|g|f", "SELECT id, x, y FROM r ORDER BY id");
    db_close(db);
}

static void checkpoint_drops_redo_rows(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster");
    for (int i = 0; i < 20; i++) {
        db_must(db, "INSERT INTO f VALUES(%d, %d)", i, i);
    }
    want(db, "20", "SELECT count(*) FROM f_log");
    db_must(db, "BEGIN");
    db_must(db, "INSERT INTO f VALUES('open', 1)");
    db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    db_must(db, "ROLLBACK");
    want(db, "20", "SELECT count(*) FROM f");
    db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    want(db, "1", "SELECT count(*) FROM f_log");
    db_close(db);
    db = open_at(world);
    want(db, "20|190", "SELECT count(*), sum(value) FROM f");
    want(db, "ok", "SELECT faster_verify('f')");
    db_close(db);
}

/* --------------------------------------------------------------- functions */

static void functions_read_and_write(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(k TEXT PRIMARY KEY, v)");
    want(db, "null|0", "SELECT faster_get('f', 'a'), faster_exists('f', 'a')");
    want(db, "x", "SELECT faster_set('f', 'a', 'x')");
    want(db, "x|1|a",
         "SELECT faster_get('f', 'a'), faster_exists('f', 'a'), faster_get('f', 'a', 'k')");
    want(db, "1 6 4",
         "SELECT faster_incr('f', 'n', d) FROM (SELECT 1 d UNION ALL SELECT 5 "
         "UNION ALL SELECT -2)");
    want(db, "5", "SELECT faster_incr('main.f', 'n')");
    want(db, "1|0", "SELECT faster_delete('f', 'a'), faster_delete('f', 'a')");
    want(db, "null", "SELECT faster_get('f', NULL)");
    refused(db, SQLITE_ERROR, "no such table", "SELECT faster_get('nothing', 1)");
    refused(db, SQLITE_ERROR, "not a FASTER table", "SELECT faster_get('sqlite_schema', 1)");
    refused(db, SQLITE_ERROR, "no such column", "SELECT faster_get('f', 1, 'zzz')");
    refused(db, SQLITE_ERROR, "is needed", "SELECT faster_get(NULL, 1)");
    refused(db, SQLITE_MISMATCH, "needs numbers",
            "SELECT faster_set('f', 'n', 'text'), faster_incr('f', 'n')");
    db_close(db); /* also: no statement of a function is left open */
}

static void functions_belong_to_the_transaction(struct world *world) {
    sqlite3 *db = open_at(world);
    sqlite3 *other = open_at(world);
    db_must(db, "PRAGMA journal_mode = wal");
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(k, v)");
    db_must(db, "CREATE VIRTUAL TABLE g USING faster(k INTEGER PRIMARY KEY, v)");
    db_must(db,
            "BEGIN; SELECT faster_set('g', 1, 'a'); SAVEPOINT s; SELECT faster_set('g', 2, 'b')");
    want(db, "b", "SELECT faster_get('g', 2)");
    want(other, "null", "SELECT faster_get('g', 1)");
    db_must(db, "ROLLBACK TO s");
    want(db, "a|null", "SELECT faster_get('g', 1), faster_get('g', 2)");
    db_must(db, "COMMIT");
    want(other, "a|null", "SELECT faster_get('g', 1), faster_get('g', 2)");
    db_must(other, "BEGIN");
    want(other, "1|a", "SELECT * FROM g");
    db_must(db, "SELECT faster_set('g', 1, 'new')");
    want(other, "a", "SELECT faster_get('g', 1)");
    db_must(other, "COMMIT");
    want(other, "new", "SELECT faster_get('g', 1)");
    db_close(other);
    db_close(db);
}

static void functions_follow_renames_of_others(struct world *world) {
    sqlite3 *db = open_at(world);
    sqlite3 *other = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE a USING faster; INSERT INTO a VALUES(1, 'one')");
    want(other, "one", "SELECT faster_get('a', 1)");
    db_must(db, "ALTER TABLE a RENAME TO b; CREATE VIRTUAL TABLE a USING faster");
    db_must(db, "INSERT INTO a VALUES(1, 'two')");
    want(other, "two|one", "SELECT faster_get('a', 1), faster_get('b', 1)");
    db_must(db, "DROP TABLE a");
    refused(other, SQLITE_ERROR, "no such table", "SELECT faster_get('a', 1)");
    db_must(db, "BEGIN; ALTER TABLE b RENAME TO c");
    want(db, "one", "SELECT faster_get('c', 1)");
    db_must(db, "ROLLBACK");
    want(db, "one", "SELECT faster_get('b', 1)");
    refused(db, SQLITE_ERROR, "no such table", "SELECT faster_incr('c', 1)");
    want(db, "2", "SELECT faster_set('b', 1, 1) + faster_incr('b', 9)");
    db_must(db, "DROP TABLE b; CREATE VIRTUAL TABLE b USING faster(id INTEGER PRIMARY KEY, w)");
    want(db, "7", "SELECT faster_set('b', 3, 7)");
    db_close(other);
    db_close(db);
}

static void functions_keep_to_their_flags(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; CREATE TABLE o(x)");
    db_must(db, "CREATE TRIGGER t AFTER INSERT ON o BEGIN SELECT faster_set('f', 1, 1); END");
    refused(db, SQLITE_ERROR, "unsafe use", "INSERT INTO o VALUES(1)");
    db_must(db, "DROP TRIGGER t");
    db_must(db,
            "CREATE TRIGGER t AFTER INSERT ON o BEGIN INSERT OR REPLACE INTO f VALUES(new.x, 2); "
            "END");
    db_must(db, "INSERT INTO o VALUES(1), (2)");
    db_must(db, "PRAGMA trusted_schema = 0");
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    refused(db, SQLITE_ERROR, "unsafe use", "INSERT INTO o VALUES(1)");
    db_must(db, "UPDATE f SET value = 2; SELECT faster_incr('f', 1, 0)");
    want(db, "1|2 2|2", "SELECT * FROM f ORDER BY key");
    refused(db, SQLITE_ERROR, "may not be modified", "DELETE FROM f_log");
    db_must(db, "ALTER TABLE f RENAME TO g; INSERT INTO g(g) VALUES('checkpoint'); DROP TABLE g");
    db_close(db);
}

/* ------------------------------------------------------------ transactions */

/* A write to one database must not lock another. */
static void attached_write_leaves_main_unlocked(struct world *world) {
    sqlite3 *db = open_at(world);
    sqlite3 *other = open_at(world);
    db_must(db, "CREATE TABLE o(x); ATTACH '%s/second.db' AS second", world->directory);
    db_must(db,
            "CREATE VIRTUAL TABLE second.f USING faster; CREATE VIRTUAL TABLE temp.t USING faster");
    db_must(db, "BEGIN; INSERT INTO f VALUES(1, 2); INSERT INTO t VALUES(3, 4); SELECT "
                "faster_incr('f', 9)");
    db_must(other, "INSERT INTO o VALUES(1)");
    db_must(db, "COMMIT");
    want(db, "1|2 9|1 3|4", "SELECT * FROM f UNION ALL SELECT * FROM t");
    db_close(other);
    db_close(db);
}

static void temp_table_beside_a_read_only_database(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE TABLE o(x)");
    db_close(db);
    char uri[TEST_PATH_BYTES + 20];
    (void)snprintf(uri, sizeof(uri), "file:%s?mode=ro", world->path);
    db = db_open(world->options, uri);
    db_must(db, "CREATE VIRTUAL TABLE temp.t USING faster; INSERT INTO t VALUES(1, 2)");
    want(db, "1|2", "SELECT * FROM t");
    refused(db, SQLITE_READONLY, "readonly", "CREATE VIRTUAL TABLE main.f USING faster");
    db_must(db, "DROP TABLE t; CREATE VIRTUAL TABLE temp.t USING faster");
    want(db, "", "SELECT * FROM t");
    db_close(db);
}

/* The last connection that had the table in use takes its files along. */
static void drop_reaches_other_connections(struct world *world) {
    sqlite3 *db = open_at(world);
    sqlite3 *other = open_at(world);
    db_must(db, "PRAGMA journal_mode = wal; CREATE TABLE o(x)");
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; INSERT INTO f VALUES(1, 2)");
    db_must(other, "BEGIN");
    want(other, "1|2", "SELECT * FROM f");
    db_must(db, "DROP TABLE f");
    want(other, "1|2", "SELECT * FROM f");
    db_must(other, "COMMIT; INSERT INTO o VALUES(1)");
    if (store_directory_count(world->directory) != 0) {
        test_fail("the store is still there");
    }
    refused(other, SQLITE_ERROR, "no such table", "SELECT * FROM f");
    db_close(other);
    db_close(db);
}

static void watcher_holds_nothing(struct world *world) {
    sqlite3 *db = open_at(world);
    want(db, "", "SELECT * FROM \"faster watcher\"");
    refused(db, SQLITE_READONLY, "internal", "INSERT INTO \"faster watcher\" VALUES(1)");
    db_must(db, "CREATE TABLE \"faster watcher\"(x); INSERT INTO \"faster watcher\" VALUES(1)");
    db_must(db, "CREATE VIRTUAL TABLE f USING faster");
    refused(db, SQLITE_ERROR, "", "DROP TABLE f"); /* the reason is in sqlite3_log() only */
    want(db, "1", "SELECT * FROM \"faster watcher\"");
    db_must(db, "DROP TABLE \"faster watcher\"; DROP TABLE f");
    db_close(db);
}

static void savepoints_over_several_stores(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE a USING faster; CREATE VIRTUAL TABLE b USING faster");
    db_must(db, "BEGIN; SAVEPOINT x; INSERT INTO a VALUES(1, 1); SAVEPOINT y");
    db_must(db, "INSERT INTO a VALUES(2, 2); INSERT INTO b VALUES(1, 1); SAVEPOINT z");
    db_must(db, "INSERT INTO b VALUES(2, 2), (3, 3); DELETE FROM a WHERE key = 1; RELEASE z");
    want(db, "2|1 2 3",
         "SELECT (SELECT group_concat(key, ' ') FROM a), "
         "(SELECT group_concat(key, ' ') FROM b)");
    db_must(db, "ROLLBACK TO y");
    want(db, "1|null",
         "SELECT (SELECT group_concat(key) FROM a), (SELECT group_concat(key) FROM b)");
    db_must(db, "INSERT INTO b VALUES(4, 4); ROLLBACK TO x; INSERT INTO b VALUES(5, 5); COMMIT");
    want(db, "null|5",
         "SELECT (SELECT group_concat(key) FROM a), (SELECT group_concat(key) FROM b)");
    db_close(db);
}

/* A reader's snapshot outlives its cursors, but not its transaction. */
static void held_snapshot_survives_a_checkpoint(struct world *world) {
    sqlite3 *db = open_at(world);
    sqlite3 *reader = open_at(world);
    db_must(db, "PRAGMA journal_mode = wal");
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(key, value, memory='1MiB', page_size='16KiB', "
                "segment_size='16KiB')");
    db_must(db, "INSERT INTO f SELECT value, hex(zeroblob(200)) FROM json_each(json_array(1,2,3))");
    db_must(reader, "BEGIN");
    want(reader, "3", "SELECT count(*) FROM f");
    for (int i = 0; i < 30; i++) {
        db_must(db, "DELETE FROM f; INSERT INTO f VALUES(%d, hex(zeroblob(2000)))", i);
    }
    db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    want(reader, "3|1200", "SELECT count(*), sum(length(value)) FROM f");
    db_must(reader, "COMMIT");
    int64_t begin = db_int(db, "SELECT value FROM faster_stats('f') WHERE name = 'log_begin'");
    db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    if (db_int(db, "SELECT value FROM faster_stats('f') WHERE name = 'log_begin'") <= begin) {
        test_fail("a reader that has ended still holds the log");
    }
    want(reader, "1", "SELECT count(*) FROM f");
    db_close(reader);
    db_close(db);
}

/* Starts a query on f within a transaction and steps to its first row. */
static sqlite3_stmt *start_query(sqlite3 *db) {
    sqlite3_stmt *statement = NULL;
    (void)sqlite3_prepare_v2(db, "SELECT value FROM f", -1, &statement, NULL);
    if (sqlite3_step(statement) != SQLITE_ROW) {
        test_fail("%s", sqlite3_errmsg(db));
    }
    return statement;
}

/* Steps to the end and returns the extended code. */
static int end_query(sqlite3 *db, sqlite3_stmt *statement, int *rows) {
    *rows = 1;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        (*rows)++;
    }
    int code = sqlite3_extended_errcode(db);
    (void)sqlite3_finalize(statement);
    return code;
}

/* A query goes on after a commit, and after a rollback of what it does not show. */
static void query_across_the_end_of_its_transaction(struct world *world) {
    sqlite3 *db = open_at(world);
    int rows = 0;
    db_must(db, "CREATE VIRTUAL TABLE f USING faster");
    db_must(db, "INSERT INTO f SELECT value, 'old' FROM json_each('[1,2,3,4,5,6]')");
    db_must(db, "BEGIN; UPDATE f SET value = 'new'; INSERT INTO f VALUES(7, 'new')");
    sqlite3_stmt *statement = start_query(db);
    db_must(db, "SAVEPOINT s; DELETE FROM f; ROLLBACK TO s");
    (void)db_run(db, "INSERT INTO f VALUES(8, 1), (7, 'twice')");
    db_must(db, "COMMIT");
    int code = end_query(db, statement, &rows);
    if (code != SQLITE_DONE || rows != 7) {
        test_fail("%d rows, code %d", rows, code);
    }
    db_must(db, "BEGIN; DELETE FROM f WHERE key > 2");
    statement = start_query(db);
    db_must(db, "ROLLBACK");
    code = end_query(db, statement, &rows);
    if (code != SQLITE_ABORT_ROLLBACK) {
        test_fail("%d rows, code %d", rows, code);
    }
    want(db, "7", "SELECT count(*) FROM f");
    db_close(db);
}

/* ------------------------------------------------------------- environment */

/* Runs `child` in a new process and returns its exit code. */
static int run_child(struct world *world, void (*child)(struct world *world)) {
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        child(world);
        _exit(0);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        test_fail("fork: %s", strerror(errno));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void die_in_create(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE TABLE o(x); BEGIN; CREATE VIRTUAL TABLE lost USING faster");
    db_must(db, "INSERT INTO lost VALUES(1, 2)");
    _exit(7);
}

static void orphaned_directory_is_collected(struct world *world) {
    if (run_child(world, die_in_create) != 7 || store_directory_count(world->directory) != 1) {
        test_fail("the child left %u stores", store_directory_count(world->directory));
    }
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; INSERT INTO f VALUES(1, 2)");
    if (store_directory_count(world->directory) != 1) {
        test_fail("%u stores", store_directory_count(world->directory));
    }
    want(db, "1|2", "SELECT * FROM f");
    db_must(db, "DROP TABLE f");
    if (store_directory_count(world->directory) != 0) {
        test_fail("%u stores", store_directory_count(world->directory));
    }
    db_close(db);
}

/* The stores of a database that was moved away are not this one's garbage. */
static void stores_of_a_moved_database_stay(struct world *world) {
    char moved[TEST_PATH_BYTES];
    char parent[TEST_PATH_BYTES];
    char moved_parent[TEST_PATH_BYTES];
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; INSERT INTO f VALUES(1, 'kept')");
    db_close(db);
    path_format(moved, "%s/moved.db", world->directory);
    path_format(parent, "%s-faster", world->path);
    path_format(moved_parent, "%s-faster", moved);
    if (rename(world->path, moved) != 0) {
        test_fail("%s", strerror(errno));
    }
    db = open_at(world);
    db_must(db,
            "CREATE VIRTUAL TABLE f USING faster; INSERT INTO f VALUES(1, 'new'); DROP TABLE f");
    db_close(db);
    if (rename(parent, moved_parent) != 0) {
        test_fail("%s", strerror(errno));
    }
    db = db_open(world->options, moved);
    want(db, "1|kept", "SELECT * FROM f");
    db_close(db);
}

static void fork_is_refused(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; INSERT INTO f VALUES(1, 2)");
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        bool ok = db_run(db, "INSERT INTO f VALUES(3, 4)") == SQLITE_MISUSE &&
                  strstr(sqlite3_errmsg(db), "forked") != NULL &&
                  db_run(db, "SELECT * FROM f") == SQLITE_MISUSE &&
                  db_run(db, "SELECT faster_get('f', 1)") == SQLITE_MISUSE;
        _exit(ok && sqlite3_close(db) == SQLITE_OK ? 0 : 1);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        test_fail("the child: status %d", status);
    }
    db_must(db, "INSERT INTO f VALUES(3, 4)");
    want(db, "2", "SELECT count(*) FROM f");
    db_close(db);
}

static void other_encodings_and_vacuum(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "PRAGMA encoding = 'UTF-16le'");
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(k TEXT PRIMARY KEY, v)");
    db_must(db, "INSERT INTO f VALUES('ä€😀', 'ß'), ('plain', x'00ff')");
    want(db, "ß|ß", "SELECT v, faster_get('f', 'ä€😀') FROM f WHERE k = 'ä€😀'");
    db_must(db, "VACUUM");
    want(db, "plain ä€😀", "SELECT k FROM f ORDER BY k");
    db_must(db, "INSERT INTO f VALUES('after', 1)");
    want(db, "3", "SELECT count(*) FROM f");
    db_close(db);
}

static void in_list_of_many_keys(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(k INTEGER PRIMARY KEY, v, memory='1MiB', "
                "page_size='16KiB')");
    db_must(db, "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
                "INSERT INTO f SELECT i, hex(zeroblob(250)) FROM n");
    want(db, "500|250000",
         "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
         "SELECT count(*), sum(length(v)) FROM f WHERE k IN (SELECT i * 10 FROM n)");
    db_close(db);
}

/* "c0<separator>c1<separator>...", each with what follows its name. */
static void add_columns(struct text *text, int count, const char *after, const char *separator) {
    for (int i = 0; i < count; i++) {
        text_add(text, "%sc%d%s", i > 0 ? separator : "", i, after);
    }
}

static sqlite3 *open_wide(const struct world *world, int column_count, const char *type) {
    sqlite3 *db = open_at(world);
    struct text sql = {0};
    text_add(&sql, "CREATE VIRTUAL TABLE f USING faster(");
    add_columns(&sql, column_count, type, ", ");
    text_add(&sql, ", v, PRIMARY KEY(");
    add_columns(&sql, column_count, "", ", ");
    text_add(&sql, ")); INSERT INTO f VALUES(");
    for (int i = 0; i < column_count; i++) {
        text_add(&sql, "1, ");
    }
    text_add(&sql, "9)");
    db_must(db, "%s", sql.data);
    text_finish(&sql);
    return db;
}

/* SQLite hands over whole lists only for the first constraints of a query, and a plan has bits for
 * a limited number of them. */
static void lists_on_keys_of_many_columns(struct world *world) {
    static const int counts[] = {31, 32, 33, 40, 64, 65, 100};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct text sql = {0};
        path_format(world->path, "%s/wide%d.db", world->directory, counts[i]);
        sqlite3 *db = open_wide(world, counts[i], "");
        text_add(&sql, "SELECT v FROM f WHERE c0 IN (1, 2) AND ");
        add_columns(&sql, counts[i], " = 1", " AND ");
        want(db, "9", sql.data);
        text_finish(&sql);
        sql = (struct text){0};
        text_add(&sql, "SELECT v FROM f WHERE ");
        add_columns(&sql, counts[i], " IN (1, 2)", " AND ");
        want(db, "9", sql.data);
        text_finish(&sql);
        db_close(db);
    }
}

/* Values that SQLite would offer one by one lose the affinity of where they come from. */
static void list_behind_many_constraints(struct world *world) {
    sqlite3 *db = open_at(world);
    struct text sql = {0};
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(k TEXT PRIMARY KEY, v); "
                "INSERT INTO f VALUES('1.0', 9); CREATE TABLE o(i INTEGER); "
                "INSERT INTO o VALUES(1)");
    text_add(&sql, "SELECT v FROM f WHERE ");
    for (int i = 0; i < 40; i++) {
        text_add(&sql, "v >= %d AND ", -i);
    }
    text_add(&sql, "k IN (SELECT i FROM o)");
    want(db, "9", sql.data);
    text_finish(&sql);
    db_close(db);
}

/* As with an ordinary table; it moved the row to rowid 0 once. */
static void rowid_cannot_become_null(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(a); INSERT INTO f VALUES(1), (2), (3); "
                "CREATE VIRTUAL TABLE g USING faster(id INTEGER PRIMARY KEY, a); "
                "INSERT INTO g(a) VALUES(1), (2), (3)");
    refused(db, SQLITE_MISMATCH, "datatype mismatch", "UPDATE OR REPLACE f SET rowid = NULL");
    refused(db, SQLITE_MISMATCH, "datatype mismatch", "UPDATE f SET rowid = NULL WHERE a = 2");
    refused(db, SQLITE_MISMATCH, "datatype mismatch", "UPDATE g SET rowid = NULL WHERE a = 3");
    refused(db, SQLITE_MISMATCH, "datatype mismatch", "UPDATE g SET id = NULL WHERE a = 3");
    want(db, "1|1 2|2 3|3", "SELECT rowid, a FROM f ORDER BY 1");
    want(db, "1|1 2|2 3|3", "SELECT id, a FROM g ORDER BY 1");
    db_close(db);
}

/* The test program itself is what leaves a statement open at the first close. */
static void close_with_an_open_statement(struct world *world) {
    sqlite3 *db = open_at(world);
    sqlite3_stmt *statement = NULL;
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; SELECT faster_incr('f', 1)");
    (void)sqlite3_prepare_v2(db, "SELECT faster_incr('f', 1)", -1, &statement, NULL);
    if (sqlite3_step(statement) != SQLITE_ROW || sqlite3_close(db) != SQLITE_BUSY) {
        test_fail("closing did not fail");
    }
    (void)sqlite3_finalize(statement);
    want(db, "3", "SELECT faster_incr('f', 1)");
    db_must(db, "BEGIN; INSERT INTO f VALUES(2, 2)");
    db_close(db);
    db = open_at(world);
    want(db, "1|3", "SELECT * FROM f");
    db_close(db);
}

static void shared_cache_in_memory(struct world *world) {
    static const char *const uri = "file:shared?mode=memory&cache=shared";
    sqlite3 *db = db_open(world->options, uri);
    sqlite3 *other = db_open(world->options, uri);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; INSERT INTO f VALUES(1, 'a')");
    want(other, "1|a", "SELECT * FROM f");
    db_must(other, "INSERT INTO f VALUES(2, 'b')");
    want(db, "2", "SELECT count(*) FROM f");
    db_close(db);
    want(other, "2", "SELECT count(*) FROM f");
    db_close(other);
}

/* In a shared cache the locks of tables keep transactions apart: a reader must hold one. */
static void shared_cache_keeps_transactions_apart(struct world *world) {
    static const char *const forms[] = {"file:%s/cache%d.db?cache=shared",
                                        "file:%s-cache%d?mode=memory&cache=shared"};
    for (int i = 0; i < 2; i++) {
        char uri[TEST_PATH_BYTES];
        path_format(uri, forms[i], world->directory, i);
        sqlite3 *writer = db_open(world->options, uri);
        sqlite3 *reader = db_open(world->options, uri);
        db_must(writer, "CREATE VIRTUAL TABLE f USING faster(k INTEGER PRIMARY KEY, v); "
                        "CREATE TABLE o(k INTEGER PRIMARY KEY, v)");
        want(reader, "0", "SELECT count(*) FROM f");
        want(reader, "0", "SELECT count(*) FROM f");
        db_must(reader, "BEGIN");
        want(reader, "0", "SELECT count(*) FROM f");
        db_must(writer, "BEGIN IMMEDIATE; INSERT INTO o VALUES(1, 1)");
        refused(writer, SQLITE_LOCKED_SHAREDCACHE, "locked", "INSERT INTO f VALUES(7, 1)");
        want(reader, "0", "SELECT count(*) FROM f");
        want(reader, "0", "SELECT faster_exists('f', 7)");
        db_must(reader, "COMMIT");
        db_must(writer, "INSERT INTO f VALUES(7, 1); COMMIT");
        want(reader, "1|1", "SELECT (SELECT count(*) FROM f), (SELECT count(*) FROM o)");
        db_close(reader);
        db_close(writer);
    }
}

/* ----------------------------------------------------------------- threads */

#define THREADS 4
#define ROUNDS 150

struct worker {
    struct world *world;
    pthread_t thread;
    int index;
};

/* Adds to its own and to a common counter, and reads that all are consistent. */
static void *work(void *context) {
    struct worker *worker = context;
    sqlite3 *db = open_at(worker->world);
    (void)sqlite3_busy_timeout(db, 60000);
    for (int i = 0; i < ROUNDS; i++) {
        db_must(db,
                "BEGIN IMMEDIATE; SELECT faster_incr('f', 'all'); "
                "INSERT INTO f(f, key, value) VALUES('add', 'w%d', 1); "
                "UPDATE o SET n = n + 1; COMMIT",
                worker->index);
        if (db_int(db, "SELECT (SELECT value FROM f WHERE key = 'all') = "
                       "(SELECT sum(value) FROM f WHERE key <> 'all') AND "
                       "(SELECT n FROM o) = (SELECT value FROM f WHERE key = 'all')") != 1) {
            test_fail("a snapshot is torn");
        }
    }
    db_close(db);
    return NULL;
}

static void threads_share_a_store(struct world *world) {
    struct worker workers[THREADS];
    sqlite3 *db = open_at(world);
    db_must(db, "PRAGMA journal_mode = wal; PRAGMA synchronous = off");
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; CREATE TABLE o(n); INSERT INTO o VALUES(0)");
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.world = world, .index = i};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            test_fail("no thread");
        }
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
    }
    if (db_int(db, "SELECT faster_get('f', 'all')") != THREADS * ROUNDS) {
        test_fail("lost updates");
    }
    want(db, "ok", "SELECT faster_verify('f')");
    db_close(db);
}

/* -------------------------------------------------------------------- main */

static const struct {
    const char *name;
    void (*run)(struct world *world);
} TESTS[] = {
    {"orphaned_directory_is_collected", orphaned_directory_is_collected},
    {"commands_change_one_column", commands_change_one_column},
    {"commands_on_the_table_take_no_row", commands_on_the_table_take_no_row},
    {"command_grow_doubles_the_index", command_grow_doubles_the_index},
    {"commands_on_several_columns", commands_on_several_columns},
    {"commands_on_rowids", commands_on_rowids},
    {"lookups_that_ask_for_the_rowid_only", lookups_that_ask_for_the_rowid_only},
    {"checkpoint_drops_redo_rows", checkpoint_drops_redo_rows},
    {"functions_read_and_write", functions_read_and_write},
    {"functions_belong_to_the_transaction", functions_belong_to_the_transaction},
    {"functions_follow_renames_of_others", functions_follow_renames_of_others},
    {"functions_keep_to_their_flags", functions_keep_to_their_flags},
    {"attached_write_leaves_main_unlocked", attached_write_leaves_main_unlocked},
    {"temp_table_beside_a_read_only_database", temp_table_beside_a_read_only_database},
    {"drop_reaches_other_connections", drop_reaches_other_connections},
    {"watcher_holds_nothing", watcher_holds_nothing},
    {"savepoints_over_several_stores", savepoints_over_several_stores},
    {"held_snapshot_survives_a_checkpoint", held_snapshot_survives_a_checkpoint},
    {"query_across_the_end_of_its_transaction", query_across_the_end_of_its_transaction},
    {"stores_of_a_moved_database_stay", stores_of_a_moved_database_stay},
    {"fork_is_refused", fork_is_refused},
    {"other_encodings_and_vacuum", other_encodings_and_vacuum},
    {"in_list_of_many_keys", in_list_of_many_keys},
    {"lists_on_keys_of_many_columns", lists_on_keys_of_many_columns},
    {"list_behind_many_constraints", list_behind_many_constraints},
    {"rowid_cannot_become_null", rowid_cannot_become_null},
    {"close_with_an_open_statement", close_with_an_open_statement},
    {"shared_cache_in_memory", shared_cache_in_memory},
    {"shared_cache_keeps_transactions_apart", shared_cache_keeps_transactions_apart},
    {"threads_share_a_store", threads_share_a_store},
};

int main(int argc, char **argv) {
    struct test_options options;
    unsigned count = 0;
    (void)sqlite3_config(SQLITE_CONFIG_URI, 1);
    test_options_parse(&options, argc, argv);
    for (size_t i = 0; i < sizeof(TESTS) / sizeof(TESTS[0]) && !options.self; i++) {
        if (options.only != NULL && strcmp(options.only, TESTS[i].name) != 0) {
            continue;
        }
        struct world world = {.options = &options};
        directory_make(world.directory, "module");
        path_format(world.path, "%s/test.db", world.directory);
        if (options.verbose) {
            printf("%s\n", TESTS[i].name);
            (void)fflush(stdout);
        }
        TESTS[i].run(&world);
        directory_remove(world.directory);
        count++;
    }
    printf("test_module: %u tests passed\n", count);
    return 0;
}
