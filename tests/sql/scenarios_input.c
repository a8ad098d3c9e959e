/* scenarios_input.c - bad input: each error says what is wrong and what is allowed, and
 * nothing is changed, lost or left behind. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenarios.h"

/* A statement that must fail, and up to three words of the message. */
struct bad {
    const char *sql;
    int code;
    const char *words[3];
};

static void expect_all(struct scenario *scenario, sqlite3 *db, const struct bad *bad) {
    for (; bad->sql; bad++) {
        expect_error(scenario, db, bad->sql, bad->code, bad->words[0], bad->words[1], bad->words[2],
                     NULL);
    }
}

#define CREATE "CREATE VIRTUAL TABLE bad USING faster"

static const struct bad bad_options_list[] = {
    {CREATE "(key PRIMARY KEY, value, colour='red')", SQLITE_ERROR, {"colour", "memory", "path"}},
    {CREATE "(key PRIMARY KEY, value, memory='64MiB', memory='32MiB')", SQLITE_ERROR, {"memory"}},
    {CREATE "(key PRIMARY KEY, value, memory='12KiB')", SQLITE_ERROR, {"memory", "12KiB", "1MiB"}},
    {CREATE "(key PRIMARY KEY, value, memory='many')", SQLITE_ERROR, {"memory", "many"}},
    {CREATE "(key PRIMARY KEY, value, memory='-5MiB')", SQLITE_ERROR, {"memory", "-5MiB"}},
    {CREATE "(key PRIMARY KEY, value, memory='99999999999999999999GiB')",
     SQLITE_ERROR,
     {"memory", "99999999999999999999GiB"}},
    {CREATE "(key PRIMARY KEY, value, memory=)", SQLITE_ERROR, {"memory"}},
    {CREATE "(key PRIMARY KEY, value, page_size='20000')", SQLITE_ERROR, {"page_size", "power"}},
    {CREATE "(key PRIMARY KEY, value, page_size='1KiB')", SQLITE_ERROR, {"page_size", "16KiB"}},
    {CREATE "(key PRIMARY KEY, value, page_size='64KiB', segment_size='16KiB')",
     SQLITE_ERROR,
     {"segment_size"}},
    {CREATE "(key PRIMARY KEY, value, segment_size='3MiB')", SQLITE_ERROR, {"segment_size"}},
    {CREATE "(key PRIMARY KEY, value, inline_commit='1TiB')", SQLITE_ERROR, {"inline_commit"}},
    {CREATE "(key PRIMARY KEY, value, memory='1MiB', page_size='4MiB')", SQLITE_ERROR, {"memory"}},
    {CREATE "(key PRIMARY KEY, value, path='')", SQLITE_ERROR, {"path"}},
    {NULL, 0, {NULL}}};

static const struct bad bad_columns_list[] = {
    {CREATE "(key PRIMARY KEY, value CHECK(value > 0))", SQLITE_ERROR, {"CHECK"}},
    {CREATE "(key PRIMARY KEY, value UNIQUE)", SQLITE_ERROR, {"UNIQUE"}},
    {CREATE "(key PRIMARY KEY, value REFERENCES other(x))", SQLITE_ERROR, {"REFERENCES"}},
    {CREATE "(key PRIMARY KEY, value, FOREIGN KEY(value) REFERENCES other(x))",
     SQLITE_ERROR,
     {"FOREIGN KEY"}},
    {CREATE "(key PRIMARY KEY, value, UNIQUE(value))", SQLITE_ERROR, {"UNIQUE"}},
    {CREATE "(key PRIMARY KEY, value, CHECK(value > 0))", SQLITE_ERROR, {"CHECK"}},
    {CREATE "(key PRIMARY KEY, value GENERATED ALWAYS AS (key + 1))", SQLITE_ERROR, {"GENERATED"}},
    {CREATE "(key PRIMARY KEY, value AS (key + 1))", SQLITE_ERROR, {"value"}},
    {CREATE "(key INTEGER PRIMARY KEY AUTOINCREMENT, value)", SQLITE_ERROR, {"AUTOINCREMENT"}},
    {CREATE "(a PRIMARY KEY, b PRIMARY KEY)", SQLITE_ERROR, {"PRIMARY KEY"}},
    {CREATE "(a, b, PRIMARY KEY(a, missing))", SQLITE_ERROR, {"missing"}},
    {CREATE "(a, a)", SQLITE_ERROR, {"a"}},
    {CREATE "(key TEXT COLLATE klingon PRIMARY KEY, value)", SQLITE_ERROR, {"klingon"}},
    {NULL, 0, {NULL}}};

static void bad_declarations(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    db_must(db, "CREATE TABLE other(x)");
    expect_all(scenario, db, bad_columns_list);
    expect_all(scenario, db, bad_options_list);
    expect(scenario, db_int(db, "SELECT count(*) FROM sqlite_schema") == 1,
           "a failed CREATE leaves tables");
    expect(scenario, store_directory_count(scenario->directory) == 0,
           "a failed CREATE leaves %u stores", store_directory_count(scenario->directory));
    db_close(db);
}

static const struct bad bad_values_list[] = {
    {"INSERT INTO f VALUES(NULL, 'x', 1)", SQLITE_CONSTRAINT, {"NOT NULL", "key"}},
    {"UPDATE f SET key = NULL WHERE key = 'k00001'", SQLITE_CONSTRAINT, {"NOT NULL", "key"}},
    {"INSERT INTO f VALUES('k00001', 'x', 1)", SQLITE_CONSTRAINT, {"UNIQUE", "key"}},
    {"INSERT INTO f VALUES(hex(zeroblob(40000)), 'x', 1)", SQLITE_TOOBIG, {"key"}},
    {"INSERT INTO f VALUES('x', zeroblob(1000000001), 1)", SQLITE_TOOBIG, {NULL}},
    {"UPDATE f SET value = zeroblob(1000000001) WHERE key = 'k00001'", SQLITE_TOOBIG, {NULL}},
    {"INSERT INTO c VALUES(zeroblob(65536), 1)", SQLITE_TOOBIG, {"65537", "65536"}},
    {"INSERT INTO f(f) VALUES('nonsense')", SQLITE_ERROR, {"nonsense", "checkpoint"}},
    {"INSERT INTO f(f) VALUES(17)", SQLITE_ERROR, {"checkpoint"}},
    {"INSERT INTO c(c, key, value) VALUES('add', 'text', 1)", SQLITE_MISMATCH, {"add", "number"}},
    {"INSERT INTO c(c, key, value) VALUES('add', 'number', 'many')",
     SQLITE_MISMATCH,
     {"add", "number"}},
    {"INSERT INTO c(c, key, value) VALUES('add', NULL, 1)", SQLITE_CONSTRAINT, {"key"}},
    {"SELECT faster_get('missing', 'x')", SQLITE_ERROR, {"missing"}},
    {"SELECT faster_get('other', 'x')", SQLITE_ERROR, {"other"}},
    {"SELECT faster_incr('c', 'text')", SQLITE_MISMATCH, {"number"}},
    {"SELECT faster_set('c', NULL, 1)", SQLITE_CONSTRAINT, {"key"}},
    {"SELECT faster_get('f', 'k00001', 'nocolumn')", SQLITE_ERROR, {"nocolumn"}},
    {"SELECT faster_verify('missing')", SQLITE_ERROR, {"missing"}},
    {"SELECT * FROM faster_stats('missing')", SQLITE_ERROR, {"missing"}},
    {NULL, 0, {NULL}}};

static void bad_values(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    tables_create(scenario, db, "");
    db_must(db, "CREATE TABLE other(x); CREATE VIRTUAL TABLE c USING faster;"
                "INSERT INTO c VALUES('text', 'abc'), ('number', 5)");
    rows_put(db, 0, 50, 50, 1);
    expect_all(scenario, db, bad_values_list);
    db_must(db, "BEGIN");
    run_both(scenario, db, "UPDATE %s SET n = 2 WHERE key < 'k00010'");
    expect_all(scenario, db, bad_values_list);
    same_rows(scenario, db, 50, "inside, after the errors");
    db_must(db, "COMMIT");
    same_rows(scenario, db, 50, "after the errors");
    expect(scenario, db_int(db, "SELECT count(*) FROM c WHERE value IN ('abc', 5)") == 2,
           "the counters are as they were");
    db_must(db, "INSERT INTO c VALUES(zeroblob(65535), 1)");
    expect(scenario, db_int(db, "SELECT value FROM c WHERE key = zeroblob(65535)") == 1,
           "a key of 65,535 bytes");
    db_must(db, "INSERT INTO f VALUES(hex(zeroblob(32000)), 'x', 1)");
    db_must(db, "INSERT INTO o VALUES(hex(zeroblob(32000)), 'x', 1)");
    same_rows(scenario, db, 51, "with a key of 64,000 bytes");
    all_sound(scenario, db, "after the errors");
    db_close(db);
}

/* ------------------------------------------------------------------ damaged stores */

static void create_and_close(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    tables_create(scenario, db, "");
    rows_put(db, 0, 100, 100, 1);
    db_close(db);
}

static void expect_unusable(struct scenario *scenario, const char *what) {
    sqlite3 *db = scenario_open(scenario);
    uint64_t before = tree_fingerprint(scenario->directory);
    struct rows rows = {0};
    rows_run(&rows, db, "SELECT * FROM f");
    expect(scenario, rows.code != SQLITE_OK && strlen(rows.message) > 12, "%s: code %d, '%s'", what,
           rows.code, rows.message);
    if (scenario->options->verbose) {
        printf("    %s -> %d %s\n", what, rows.extended_code, rows.message);
    }
    rows_clear(&rows);
    expect(scenario, db_run(db, "INSERT INTO f VALUES('x', 'y', 1)") != SQLITE_OK,
           "%s: a write succeeds", what);
    expect(scenario, tree_fingerprint(scenario->directory) == before, "%s: files changed", what);
    expect(scenario, db_int(db, "SELECT count(*) FROM o") == 100, "%s: the rest is usable", what);
    db_close(db);
}

static void overwrite(const char *path, off_t offset, const char *bytes, size_t size) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || pwrite(file, bytes, size, offset) != (ssize_t)size) {
        test_fail("cannot damage %s", path);
    }
    close(file);
}

static void store_missing_foreign_or_corrupt(struct scenario *scenario) {
    char store[TEST_PATH_BYTES];
    char aside[TEST_PATH_BYTES];
    char identity[TEST_PATH_BYTES];
    char other_store[TEST_PATH_BYTES];
    char own[TEST_PATH_BYTES];
    create_and_close(scenario);
    store_directory_find(scenario->directory, store);
    path_format(aside, "%s/aside", scenario->directory);
    rename(store, aside);
    expect_unusable(scenario, "a missing store");
    mkdir(store, 0755);
    expect_unusable(scenario, "an empty store directory");
    rmdir(store);
    /* The store of another database in its place. */
    path_format(own, "%s", scenario->path);
    path_format(scenario->path, "%s/other.db", scenario->directory);
    create_and_close(scenario);
    path_format(other_store, "%s/other.db-faster", scenario->directory);
    store_directory_find(other_store, other_store);
    tree_copy(other_store, store);
    path_format(scenario->path, "%s", own);
    expect_unusable(scenario, "a foreign store");
    directory_remove(store);
    tree_copy(aside, store);
    path_format(identity, "%s/store", store);
    overwrite(identity, 8, "\377\377\377\177", 4);
    expect_unusable(scenario, "a store of another version");
    truncate(identity, 20);
    expect_unusable(scenario, "a truncated identity file");
    truncate(identity, 0);
    expect_unusable(scenario, "an empty identity file");
    directory_remove(store);
    rename(aside, store);
    sqlite3 *db = scenario_open(scenario);
    same_rows(scenario, db, 100, "put back");
    all_sound(scenario, db, "put back");
    db_close(db);
}

static void bad_paths(struct scenario *scenario) {
    char sql[TEST_PATH_BYTES * 2];
    char path[TEST_PATH_BYTES];
    sqlite3 *db = scenario_open(scenario);
    db_must(db, "CREATE TABLE other(x)");
    path_format(path, "%s/plain", scenario->directory);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    snprintf(sql, sizeof sql, CREATE "(key PRIMARY KEY, value, path='%s')", path);
    expect_error(scenario, db, sql, SQLITE_CANTOPEN, "plain is a file", "must be a directory",
                 NULL);
    unlink(path);
    expect(scenario, symlink("/nowhere/at/all", path) == 0, "symlink");
    expect_error(scenario, db, sql, SQLITE_CANTOPEN, "plain is a link", "leads nowhere", NULL);
    unlink(path);
    expect(scenario, symlink("/proc", path) == 0, "symlink");
    expect_error(scenario, db, sql, -1, "plain", NULL);
    snprintf(sql, sizeof sql, CREATE "(key PRIMARY KEY, value, path='/proc/nothing/here')");
    expect_error(scenario, db, sql, SQLITE_ERROR, "/proc/nothing", "must exist", NULL);
    expect(scenario, db_int(db, "SELECT count(*) FROM sqlite_schema") == 1,
           "a failed CREATE leaves tables");
    snprintf(sql, sizeof sql,
             "CREATE VIRTUAL TABLE good USING faster(key PRIMARY KEY, value,"
             " path='%s/stores')",
             scenario->directory);
    db_must(db, "%s; INSERT INTO good VALUES(1, 2)", sql);
    db_must(db, "CREATE VIRTUAL TABLE near USING faster(key PRIMARY KEY, value, path='close by');"
                "INSERT INTO near VALUES(1, 2)");
    db_close(db);
    path_format(path, "%s/stores", scenario->directory);
    expect(scenario, store_directory_count(path) == 1, "no store at the given path");
    path_format(path, "%s/close by", scenario->directory);
    expect(scenario, store_directory_count(path) == 1, "no store at the relative path");
    db = scenario_open(scenario);
    expect(scenario, db_int(db, "SELECT value FROM good JOIN near USING(key, value)") == 2,
           "the tables at given paths");
    db_close(db);
}

/* A segment of the log that is no regular file is not followed, read or written. */
static void log_file_is_no_file(struct scenario *scenario) {
    char store[TEST_PATH_BYTES];
    char log[TEST_PATH_BYTES];
    char aside[TEST_PATH_BYTES];
    create_and_close(scenario);
    expect(scenario, store_directory_find(scenario->directory, store), "no store");
    path_format(log, "%s/log.000000000000", store);
    path_format(aside, "%s/aside", scenario->directory);
    expect(scenario, rename(log, aside) == 0, "rename");
    for (int i = 0; i < 2; i++) {
        expect(scenario, (i == 0 ? symlink(aside, log) : mkfifo(log, 0600)) == 0, "no file %d", i);
        sqlite3 *db = scenario_open(scenario);
        expect_error(scenario, db, "SELECT * FROM f", SQLITE_CANTOPEN, "log.000000000000",
                     "no regular file", NULL);
        expect_error(scenario, db, "SELECT faster_get('f', 'k00001', 'n')", SQLITE_CANTOPEN,
                     "log.000000000000", NULL);
        db_close(db);
        unlink(log);
    }
    expect(scenario, rename(aside, log) == 0, "rename");
    sqlite3 *db = scenario_open(scenario);
    same_rows(scenario, db, 100, "put back");
    db_close(db);
}

static void read_only_database(struct scenario *scenario) {
    create_and_close(scenario);
    uint64_t before = tree_fingerprint(scenario->directory);
    char uri[TEST_PATH_BYTES];
    path_format(uri, "file:%s?mode=ro", scenario->path);
    sqlite3 *db = db_open(scenario->options, uri);
    same_rows(scenario, db, 100, "read only");
    expect_error(scenario, db, "INSERT INTO f VALUES('x', 'y', 1)", SQLITE_READONLY, NULL);
    expect_error(scenario, db, "DELETE FROM f", SQLITE_READONLY, NULL);
    expect_error(scenario, db, "SELECT faster_delete('f', 'k00001')", SQLITE_READONLY, NULL);
    db_close(db);
    db = scenario_open(scenario);
    db_must(db, "PRAGMA query_only=1");
    expect(scenario, db_run(db, "INSERT INTO f VALUES('x', 'y', 1)") != SQLITE_OK, "query_only");
    same_rows(scenario, db, 100, "query only");
    db_close(db);
    expect(scenario, tree_fingerprint(scenario->directory) == before, "reading changed files");
}

const struct scenario_entry scenarios_input[] = {
    {"bad_declarations", bad_declarations, true, false},
    {"bad_values", bad_values, true, false},
    {"store_missing_foreign_or_corrupt", store_missing_foreign_or_corrupt, true, false},
    {"bad_paths", bad_paths, true, false},
    {"log_file_is_no_file", log_file_is_no_file, true, false},
    {"read_only_database", read_only_database, true, true},
    {NULL, NULL, false, false}};
