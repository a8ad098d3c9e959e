/* scenarios_large.c - rows larger than a page: BLOBs of half a megabyte to forty in a store of one
 * megabyte of memory.
 *
 * The ordinary table has the same rows. Where a random BLOB is needed, it gets it first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenarios.h"

#define SMALL_STORE ", memory='1MiB', page_size='16KiB', segment_size='1MiB'"

/* Compared inside SQLite: the rows are too large to be printed. */
static void want_equal(struct scenario *scenario, sqlite3 *db, int64_t count, const char *when) {
    expect(scenario, db_int(db, "SELECT count(*) FROM o") == count, "%s: rows of o", when);
    expect(scenario,
           db_int(db,
                  "SELECT count(*) = %lld AND total(f.value IS o.value AND f.n IS o.n) = %lld "
                  "FROM f LEFT JOIN o ON o.key = +f.key",
                  (long long)count, (long long)count) == 1,
           "%s: the rows differ, scanned", when);
}

static void want_equal_by_key(struct scenario *scenario, sqlite3 *db, int64_t count,
                              const char *when) {
    expect(scenario,
           db_int(db, "SELECT count(*) FROM o CROSS JOIN f ON f.key = o.key WHERE f.value IS "
                      "o.value") == count,
           "%s: the rows differ, read by key", when);
    expect(scenario,
           db_int(db, "SELECT count(*) FROM f JOIN o ON o.key = +f.key WHERE f.value IS o.value "
                      "AND f.key IN (SELECT key FROM o)") == count,
           "%s: the rows differ, read by a list of keys", when);
}

static void copy_row(sqlite3 *db, const char *key) {
    db_must(db, "INSERT OR REPLACE INTO f SELECT * FROM o WHERE key = '%s'", key);
}

static void put_random(sqlite3 *db, const char *key, int64_t size_bytes) {
    db_must(db, "INSERT OR REPLACE INTO o VALUES('%s', randomblob(%lld), %lld)", key,
            (long long)size_bytes, (long long)size_bytes);
    copy_row(db, key);
}

static void create_large(struct scenario *scenario, sqlite3 *db, int64_t largest_bytes) {
    tables_create(scenario, db, SMALL_STORE);
    put_random(db, "small", 10);
    put_random(db, "half", 512 << 10);
    put_random(db, "three", 3 << 20);
    put_random(db, "largest", largest_bytes);
    want_equal(scenario, db, 4, "new");
    want_equal_by_key(scenario, db, 4, "new");
}

static void change_large(struct scenario *scenario, sqlite3 *db) {
    db_must(db, "BEGIN");
    put_random(db, "half", 3 << 20);
    put_random(db, "small", 1 << 20);
    run_both(scenario, db, "DELETE FROM %s WHERE key = 'three'");
    want_equal(scenario, db, 3, "in a transaction");
    db_must(db, "ROLLBACK");
    want_equal(scenario, db, 4, "rolled back");
    db_must(db, "BEGIN");
    put_random(db, "new", 700000);
    db_must(db, "SAVEPOINT s");
    put_random(db, "new", 5 << 20);
    put_random(db, "half", 17);
    run_both(scenario, db, "DELETE FROM %s WHERE key = 'largest'");
    want_equal(scenario, db, 4, "in a savepoint");
    db_must(db, "ROLLBACK TO s");
    want_equal(scenario, db, 5, "rolled back to a savepoint");
    run_both(scenario, db, "UPDATE %s SET value = substr(value, 100000) WHERE key = 'three'");
    run_both(scenario, db, "UPDATE %s SET value = hex(value) WHERE key = 'half'");
    db_must(db, "COMMIT");
    want_equal(scenario, db, 5, "committed");
    run_both(scenario, db, "UPDATE %s SET n = n + 1");
    run_both(scenario, db, "UPDATE %s SET key = 'moved' WHERE key = 'new'");
    run_both(scenario, db, "INSERT INTO %s VALUES('half', zeroblob(100000), 1)");
    run_both(scenario, db, "INSERT OR IGNORE INTO %s VALUES('half', zeroblob(100000), 1)");
    want_equal(scenario, db, 5, "changed");
}

static void write_and_die(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    sqlite3 *reader = scenario_open(scenario);
    create_large(scenario, db, 7 << 20);
    db_must(reader, "BEGIN");
    want_equal(scenario, reader, 4, "another connection");
    change_large(scenario, db);
    want_equal(scenario, reader, 4, "an older snapshot");
    db_must(reader, "COMMIT");
    want_equal(scenario, reader, 5, "a newer snapshot");
    db_must(db, "BEGIN");
    put_random(db, "largest", 9 << 20);
    put_random(db, "small", 3 << 20);
    if (scenario->failures == 0) {
        kill_self();
    }
}

static void read_and_go_on(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    want_equal(scenario, db, 5, "after the crash");
    want_equal_by_key(scenario, db, 5, "after the crash");
    all_sound(scenario, db, "after the crash");
    put_random(db, "half", 2 << 20);
    run_both(scenario, db, "DELETE FROM %s WHERE key = 'largest'");
    want_equal(scenario, db, 4, "after more commits");
    if (!scenario->options->self) {
        db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    }
    want_equal(scenario, db, 4, "after a checkpoint");
    all_sound(scenario, db, "after a checkpoint");
    db_close(db);
    db = scenario_open(scenario);
    want_equal(scenario, db, 4, "reopened");
    db_close(db);
}

static void large_rows_survive_a_crash(struct scenario *scenario) {
    run_phase(scenario, write_and_die, true);
    run_phase(scenario, read_and_go_on, false);
}

static void write_forty_and_die(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    tables_create(scenario, db, SMALL_STORE);
    db_must(db, "BEGIN");
    put_random(db, "a", 40 << 20);
    db_must(db, "ROLLBACK");
    want_equal(scenario, db, 0, "rolled back");
    put_random(db, "a", 40 << 20);
    db_must(db, "BEGIN");
    run_both(scenario, db, "DELETE FROM %s");
    if (scenario->failures == 0) {
        kill_self();
    }
}

static void read_forty(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    want_equal(scenario, db, 1, "after the crash");
    all_sound(scenario, db, "after the crash");
    db_close(db);
}

static void forty_megabytes_survive_a_crash(struct scenario *scenario) {
    run_phase(scenario, write_forty_and_die, true);
    run_phase(scenario, read_forty, false);
}

static void large_rows_in_memory(struct scenario *scenario) {
    sqlite3 *db = db_open(scenario->options, ":memory:");
    create_large(scenario, db, 8 << 20);
    change_large(scenario, db);
    all_sound(scenario, db, "in memory");
    db_close(db);
}

/* The space of large rows comes back. */
static void dead_large_rows_are_given_back(struct scenario *scenario) {
    char store[TEST_PATH_BYTES];
    sqlite3 *db = scenario_open(scenario);
    tables_create(scenario, db, SMALL_STORE);
    expect(scenario, store_directory_find(scenario->directory, store), "no store");
    for (int i = 0; i < 10; i++) {
        put_random(db, "a", (3 << 20) + i);
    }
    expect(scenario, tree_disk_bytes(store) > UINT64_C(30) << 20, "space is used");
    db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    expect(scenario, tree_disk_bytes(store) < UINT64_C(6) << 20, "%llu bytes remain",
           (unsigned long long)tree_disk_bytes(store));
    want_equal(scenario, db, 1, "after a checkpoint");
    all_sound(scenario, db, "after a checkpoint");
    db_close(db);
}

/* As for an ordinary table, the row as a whole counts. */
static void length_limit_is_kept(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    tables_create(scenario, db, SMALL_STORE);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 100000);
    run_both(scenario, db, "INSERT INTO %s VALUES('fits', zeroblob(99000), 1)");
    run_both(scenario, db, "INSERT INTO %s VALUES('not', zeroblob(100000), 1)");
    run_both(scenario, db, "UPDATE %s SET value = zeroblob(100000)");
    want_equal(scenario, db, 1, "with a limit");
    db_must(db, "CREATE VIRTUAL TABLE c USING faster");
    db_must(db, "INSERT INTO c VALUES('a', printf('%%.*c', 60000, 'x'))");
    expect_error(scenario, db,
                 "INSERT INTO c(c, key, value) VALUES('append', 'a', printf('%.*c', 60000, 'x'))",
                 SQLITE_TOOBIG, "100000", NULL);
    db_must(db, "INSERT INTO c(c, key, value) VALUES('append', 'a', printf('%%.*c', 30000, 'x'))");
    expect(scenario, db_int(db, "SELECT length(value) FROM c") == 90000, "appended");
    db_close(db);
}

const struct scenario_entry scenarios_large[] = {
    {"large_rows_survive_a_crash", large_rows_survive_a_crash, false, false},
    {"forty_megabytes_survive_a_crash", forty_megabytes_survive_a_crash, false, false},
    {"large_rows_in_memory", large_rows_in_memory, false, false},
    {"dead_large_rows_are_given_back", dead_large_rows_are_given_back, true, false},
    {"length_limit_is_kept", length_limit_is_kept, true, false},
    {NULL, NULL, false, false}};
