/* module_schema.c - what DROP and ALTER TABLE leave behind in this connection and in others. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "module.h"

/* A table that took part in a transaction goes with it, however little it did: the next
 * transaction's savepoints are its own. */
static void dropped_table_leaves_no_savepoint(struct world *world) {
    static const struct {
        const char *options;
        const char *use;
    } uses[] = {
        {", writes='direct'", "INSERT INTO d VALUES(1, 1)"},
        {", writes='direct'", "SAVEPOINT a; DELETE FROM d WHERE key = 9; SAVEPOINT b"},
        {"", "DELETE FROM d WHERE key = 9"},
        {"", "INSERT INTO d VALUES(1, 1)"},
        {"", "SELECT count(*) FROM d"},
    };
    static const char *const schemas[] = {"main", "temp", "x"};
    sqlite3 *db = open_at(world);
    db_must(db, "ATTACH '%s/x.db' AS x; CREATE VIRTUAL TABLE t USING faster", world->directory);
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        for (size_t j = 0; j < sizeof schemas / sizeof schemas[0]; j++) {
            db_must(db, "CREATE VIRTUAL TABLE %s.d USING faster(key PRIMARY KEY, value%s)",
                    schemas[j], uses[i].options);
            db_must(db, "INSERT INTO d VALUES(0, 0); BEGIN; %s; DROP TABLE d; COMMIT", uses[i].use);
            db_must(db, "BEGIN; INSERT INTO t VALUES(1, 'a'); SAVEPOINT s");
            db_must(db, "INSERT INTO t VALUES(2, 'b'); ROLLBACK TO s; COMMIT");
            want(db, "1|a", "SELECT * FROM t");
            db_must(db, "DELETE FROM t");
        }
    }
    db_close(db);
}

/* One thread counts through a function in the database that is another connection's attached
 * one, until its table is gone. */
struct counter {
    sqlite3 *db;
    atomic_bool is_dropped; /* set after the DROP's end, read before a call: seq_cst */
    int64_t acknowledged_late;
};

static void *count_until_refused(void *context) {
    struct counter *counter = context;
    int code = SQLITE_OK;
    while (code == SQLITE_OK && counter->acknowledged_late == 0) {
        bool late = atomic_load(&counter->is_dropped);
        code = db_run(counter->db, "SELECT faster_incr('d', 1)");
        counter->acknowledged_late += late && code == SQLITE_OK;
    }
    return NULL;
}

/* Once an attached direct table is dropped, no function of another connection succeeds on it, even
 * one that looked the name up between the DROP and its commit. */
static void attached_drop_reaches_functions(struct world *world) {
    struct counter counter = {0};
    char path[TEST_PATH_BYTES];
    path_format(path, "%s/x.db", world->directory);
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE TABLE o(x); ATTACH '%s' AS x; PRAGMA x.journal_mode = wal", path);
    db_must(db, "CREATE VIRTUAL TABLE x.d USING faster(key PRIMARY KEY, value, writes='direct')");
    counter.db = db_open(world->options, path);
    want(counter.db, "1", "SELECT faster_incr('d', 1)");
    db_must(db, "BEGIN; DROP TABLE x.d");
    want(counter.db, "2", "SELECT faster_incr('d', 1)");
    db_must(db, "COMMIT");
    refused(counter.db, SQLITE_ERROR, "no such table", "SELECT faster_incr('d', 1)");

    db_must(db, "CREATE VIRTUAL TABLE x.d USING faster(key PRIMARY KEY, value, writes='direct')");
    pthread_t thread;
    if (pthread_create(&thread, NULL, count_until_refused, &counter) != 0) {
        test_fail("no thread");
    }
    db_must(db, "DROP TABLE x.d");
    atomic_store(&counter.is_dropped, true);
    (void)pthread_join(thread, NULL);
    if (counter.acknowledged_late != 0) {
        test_fail("a write to a dropped table was acknowledged");
    }
    db_close(counter.db);
    db_close(db);
}

/* After a rename, functions need no lock of SQLite's again, and other connections do not go on
 * with the old name, even if they looked it up before the commit. */
static void functions_after_a_rename(struct world *world) {
    static const char *const schemas[] = {"main", "x", "temp"};
    sqlite3 *db = open_at(world);
    sqlite3 *other = open_at(world);
    char path[TEST_PATH_BYTES];
    path_format(path, "%s/x.db", world->directory);
    db_must(db, "CREATE TABLE o(x); ATTACH '%s' AS x; CREATE TABLE x.o(x)", path);
    db_must(other, "ATTACH '%s' AS x", path);
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        bool shared = strcmp(schemas[i], "temp") != 0;
        db_must(db, "CREATE VIRTUAL TABLE %s.a USING faster(k PRIMARY KEY, v, writes='direct')",
                schemas[i]);
        want(db, "1", "SELECT faster_incr('a', 1)");
        db_must(db, "BEGIN; ALTER TABLE a RENAME TO b");
        want(db, "2", "SELECT faster_incr('b', 1)");
        if (shared) {
            want(other, "3", "SELECT faster_incr('a', 1)");
        }
        db_must(db, "COMMIT");
        if (shared) {
            refused(other, SQLITE_ERROR, "no such table", "SELECT faster_incr('a', 1)");
        }
        db_must(db, "SELECT faster_incr('b', 2)");
        db_must(other, "BEGIN EXCLUSIVE");
        want(db, "2", "SELECT faster_incr('b', 2)");
        db_must(other, "COMMIT");
        db_must(db, "DROP TABLE b");
    }
    db_close(other);
    db_close(db);
}

/* A name that the rollback of a DROP gives back to a temporary table means that one again. */
static void rolled_back_drop_of_a_temporary_table(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE main.d USING faster(k PRIMARY KEY, v, writes='direct'); "
                "CREATE VIRTUAL TABLE temp.d USING faster(k PRIMARY KEY, v, writes='direct'); "
                "INSERT INTO main.d VALUES(1, 'main'); INSERT INTO temp.d VALUES(1, 'temp')");
    want(db, "temp", "SELECT faster_get('d', 1)");
    db_must(db, "BEGIN; DROP TABLE temp.d");
    want(db, "main", "SELECT faster_get('d', 1)");
    db_must(db, "ROLLBACK");
    want(db, "temp|main", "SELECT faster_get('d', 1), faster_get('main.d', 1)");
    db_close(db);
}

/* A dot divides a name only if what is before it is a schema. */
static void names_with_a_dot(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE \"x.d\" USING faster(k PRIMARY KEY, v, writes='direct'); "
                "CREATE VIRTUAL TABLE d USING faster(k PRIMARY KEY, v, writes='direct')");
    for (int i = 0; i < 2; i++) {
        db_must(db, "SELECT faster_set('x.d', 1, 'dotted'), faster_set('MAIN.D', 1, 'd')");
    }
    want(db, "dotted|d|d",
         "SELECT faster_get('x.d', 1), faster_get('d', 1), faster_get('main.d', 1)");
    refused(db, SQLITE_ERROR, "no such table", "SELECT faster_get('mai.d', 1)");
    refused(db, SQLITE_ERROR, "no such table", "SELECT faster_get('main2.d', 1)");
    db_must(db, "ATTACH '%s/x.db' AS x; CREATE VIRTUAL TABLE x.d USING faster", world->directory);
    db_must(db, "INSERT INTO x.d VALUES(1, 'attached')");
    want(db, "attached|d", "SELECT faster_get('x.d', 1), faster_get('main.d', 1)");
    db_must(db, "DETACH x");
    want(db, "dotted|d", "SELECT faster_get('x.d', 1), faster_get('main.d', 1)");
    db_close(db);
}

const struct module_case module_schema[] = {
    {"dropped_table_leaves_no_savepoint", dropped_table_leaves_no_savepoint},
    {"attached_drop_reaches_functions", attached_drop_reaches_functions},
    {"functions_after_a_rename", functions_after_a_rename},
    {"rolled_back_drop_of_a_temporary_table", rolled_back_drop_of_a_temporary_table},
    {"names_with_a_dot", names_with_a_dot},
    {NULL, NULL},
};
