/* module_transactions.c - locks, snapshots, savepoints, commits. */
#include <stdio.h>
#include <string.h>

#include "module.h"

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

/* A commit row that cannot be stored fails the commit, with SQLite's reason. */
static void failed_commit_row_keeps_its_cause(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db,
            "CREATE VIRTUAL TABLE t USING faster;"
            "CREATE TRIGGER bad AFTER INSERT ON t_log BEGIN INSERT INTO nowhere VALUES (1); END");
    refused(db, SQLITE_ERROR, "nowhere", "INSERT INTO t VALUES (1, 1)");
    db_must(db, "DROP TRIGGER bad; INSERT INTO t VALUES (1, 2);"
                "ALTER TABLE t_log RENAME COLUMN hints TO notes");
    refused(db, SQLITE_ERROR, "hints", "INSERT INTO t VALUES (2, 1)");
    db_must(db, "ALTER TABLE t_log RENAME COLUMN notes TO hints; INSERT INTO t VALUES (2, 2);"
                "BEGIN; INSERT INTO t VALUES (3, 3); DROP TABLE t_log");
    refused(db, SQLITE_CORRUPT_VTAB, "shadow tables are missing", "COMMIT");
    want_int(db, 4, "SELECT sum(value) FROM t");
    db_close(db);
}

/* The last line that the extension wrote to SQLite's log. */
static char last_log[1000];

void note_log(void *context, int code, const char *message) {
    (void)context;
    (void)code;
    if (strncmp(message, "faster:", 7) == 0) {
        (void)snprintf(last_log, sizeof last_log, "%s", message);
    }
}

/* A store without rows reads as empty, as it must in a snapshot from before the first commit. That
 * its log has records then is worth a line. */
static void missing_rows_are_logged(struct world *world) {
    for (int i = 0; i < 2; i++) {
        sqlite3 *db = open_at(world);
        db_must(db, "CREATE VIRTUAL TABLE t%d USING faster", i);
        if (i == 0) {
            db_must(db, "INSERT INTO t0 VALUES (1, 1)");
        }
        db_close(db);
        db = open_at(world);
        db_must(db, "DELETE FROM t%d_log", i);
        db_close(db);
        last_log[0] = '\0';
        db = open_at(world);
        want_int(db, 0, i == 0 ? "SELECT count(*) FROM t0" : "SELECT count(*) FROM t1");
        if ((strstr(last_log, "no commit row") != NULL) != (i == 0)) {
            test_fail("table t%d: the log has '%s'", i, last_log);
        }
        db_close(db);
    }
}

const struct module_case module_transactions[] = {
    {"attached_write_leaves_main_unlocked", attached_write_leaves_main_unlocked},
    {"temp_table_beside_a_read_only_database", temp_table_beside_a_read_only_database},
    {"drop_reaches_other_connections", drop_reaches_other_connections},
    {"watcher_holds_nothing", watcher_holds_nothing},
    {"savepoints_over_several_stores", savepoints_over_several_stores},
    {"held_snapshot_survives_a_checkpoint", held_snapshot_survives_a_checkpoint},
    {"query_across_the_end_of_its_transaction", query_across_the_end_of_its_transaction},
    {"shared_cache_in_memory", shared_cache_in_memory},
    {"shared_cache_keeps_transactions_apart", shared_cache_keeps_transactions_apart},
    {"failed_commit_row_keeps_its_cause", failed_commit_row_keeps_its_cause},
    {"missing_rows_are_logged", missing_rows_are_logged},
    {NULL, NULL},
};
