/* many_keys_cases.c - cases of reads of many keys that have a name; see many_keys.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "many_keys.h"

/* Each in a directory of its own, with an open database. */
struct many {
    const struct test_options *options;
    const char *name;
    char path[TEST_PATH_BYTES];
    sqlite3 *db;
};

static void expect_rows(struct many *many, const char *sql, const char *rows_expected) {
    struct rows rows = {0};
    struct text all = {0};
    text_add(&all, "%s", "");
    rows_run(&rows, many->db, sql);
    for (size_t i = 0; i < rows.count; i++) {
        text_add(&all, "%s%s", i == 0 ? "" : "; ", rows_at(&rows, (long)i));
    }
    if (rows.code != SQLITE_OK || strcmp(all.data, rows_expected) != 0) {
        test_fail("%s: %s: code %d (%s), rows %s", many->name, sql, rows.code, rows.message,
                  all.data);
    }
    rows_clear(&rows);
    text_finish(&all);
}

static void expect_error(struct many *many, const char *sql, int code, const char *words) {
    struct rows rows = {0};
    rows_run(&rows, many->db, sql);
    if (rows.code != code || rows.count != 0 || strstr(rows.message, words) == NULL) {
        test_fail("%s: %.200s: code %d (%s), %zu rows", many->name, sql, rows.code, rows.message,
                  rows.count);
    }
    rows_clear(&rows);
}

static void expect_int(struct many *many, const char *sql, int64_t expected) {
    int64_t value = db_int(many->db, "%s", sql);
    if (value != expected) {
        test_fail("%s: %.200s: %lld", many->name, sql, (long long)value);
    }
}

/* The table kv with keys 'k0' ... and values 0 ... */
static void fill(struct many *many, int count, const char *options) {
    db_must(many->db, "CREATE VIRTUAL TABLE kv USING faster(key TEXT PRIMARY KEY, value%s)",
            options);
    db_must(many->db,
            "WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < %d) "
            "INSERT INTO kv SELECT 'k' || i, i FROM c",
            count - 1);
}

/* ------------------------------------------------------------------ answers */

static void columns_and_order(struct many *many) {
    fill(many, 10, "");
    expect_rows(many, "SELECT * FROM faster_mget('kv', '[\"k3\",\"none\",null,\"k1\",\"k3\"]')",
                "int:0 | text:k3 | int:3; int:3 | text:k1 | int:1; "
                "int:4 | text:k3 | int:3");
    expect_rows(many,
                "SELECT value FROM faster_mget('kv', '[\"k3\",\"k1\"]') ORDER BY position DESC",
                "int:1; int:3");
    expect_rows(many, "SELECT rowid, key FROM faster_mget('main.kv', '[\"x\",\"k1\"]') LIMIT 1",
                "int:1 | text:k1");
    expect_rows(many, "SELECT count(*) FROM faster_mget('kv', NULL)", "int:0");
    expect_rows(many, "SELECT count(*) FROM faster_mget('kv', '[]')", "int:0");
    expect_rows(many,
                "SELECT value FROM faster_mget WHERE mget_table = 'kv' AND mget_keys = '[\"k7\"]'",
                "int:7");
    expect_rows(many, "SELECT key FROM faster_mget('kv', '[\"k7\"]') WHERE value = 7 OR key = 'x'",
                "text:k7");
    /* Keys that are not there, by a join with the list itself. */
    expect_rows(
        many,
        "WITH list(keys) AS (VALUES ('[\"k2\",\"none\"]')), found AS MATERIALIZED (SELECT "
        "m.* FROM list, faster_mget('kv', keys) AS m) SELECT j.value, found.value FROM list, "
        "json_each(keys) AS j LEFT JOIN found ON found.position = j.key",
        "text:k2 | int:2; text:none | null");
}

static void several_columns(struct many *many) {
    db_must(many->db, "CREATE VIRTUAL TABLE w USING faster(id INTEGER PRIMARY KEY, a, b); "
                      "INSERT INTO w VALUES (1, 'x', 'y'), (2, 'z', NULL)");
    expect_rows(many, "SELECT * FROM faster_mget('w', '[2,1]', 'b')",
                "int:0 | int:2 | null; int:1 | int:1 | text:y");
    expect_rows(many, "SELECT key FROM faster_mget('w', '[2,9,1]')", "int:2; int:1");
    expect_error(many, "SELECT value FROM faster_mget('w', '[2]')", SQLITE_ERROR,
                 "w has 2 value columns");
    expect_error(many, "SELECT key FROM faster_mget('w', '[2]', 'c')", SQLITE_ERROR,
                 "no such column: w.c");
    db_must(many->db, "CREATE VIRTUAL TABLE p USING faster(a, b, c, PRIMARY KEY (a, b)); "
                      "INSERT INTO p VALUES (1, 1, 'x'), (1, 2, 'y'), (2, 1, 'z')");
    expect_error(many, "SELECT * FROM faster_mget('p', '[1]')", SQLITE_ERROR,
                 "p has several key columns");
    expect_rows(many, "SELECT c FROM p WHERE a IN (1, 2, 3) AND b IN (1, 7) ORDER BY c",
                "text:x; text:z");
}

static void bad_arguments(struct many *many) {
    fill(many, 3, "");
    db_must(many->db, "CREATE TABLE ordinary(x)");
    expect_error(many, "SELECT * FROM faster_mget('kv')", SQLITE_ERROR, "needs a table and keys");
    expect_error(many, "SELECT * FROM faster_mget", SQLITE_ERROR, "needs a table and keys");
    expect_error(many, "SELECT * FROM faster_mget('none', '[]')", SQLITE_ERROR, "no such table");
    expect_error(many, "SELECT * FROM faster_mget('ordinary', '[]')", SQLITE_ERROR,
                 "not a FASTER table");
    expect_error(many, "SELECT * FROM faster_mget(NULL, '[]')", SQLITE_ERROR, "name");
    expect_error(many, "SELECT * FROM faster_mget('kv', 1)", SQLITE_MISMATCH, "JSON array");
    expect_error(many, "SELECT * FROM faster_mget('kv', '[\"k1\",{}]')", SQLITE_ERROR,
                 "key 1, at byte 6 of keys: a nested");
    expect_error(many, "SELECT * FROM faster_mget('kv', '[\"k1\"')", SQLITE_ERROR, "at byte 5");
    expect_error(many, "SELECT * FROM faster_mget('kv', x'')", SQLITE_ERROR, "'q', 'd', 's'");
    expect_error(many, "SELECT * FROM faster_mget('kv', x'7100')", SQLITE_ERROR, "8 bytes");
    expect_error(many, "SELECT * FROM faster_mget('kv', x'73020000006b')", SQLITE_ERROR, "passes");
    expect_error(many, "INSERT INTO faster_mget VALUES (1, 2, 3)", SQLITE_ERROR, "may not be");
    expect_rows(many, "SELECT value FROM faster_mget('kv', '[\"k1\"]')", "int:1");
}

static void hundred_thousand_keys(struct many *many) {
    fill(many, 100000, ", memory='4MiB'");
    db_must(many->db,
            "CREATE TABLE list AS SELECT json_group_array('k' || (value * 7919 %% 110000))"
            " AS keys FROM (WITH RECURSIVE c(value) AS (SELECT 0 UNION ALL SELECT value + "
            "1 FROM c WHERE value < 99999) SELECT value FROM c)");
    expect_int(many,
               "SELECT count(*) = (SELECT count(*) FROM list, json_each(list.keys) WHERE "
               "CAST(substr(value, 2) AS INTEGER) < 100000) AND min('k' || m.value = m.key "
               "AND 'k' || (m.position * 7919 % 110000) = m.key) FROM list, "
               "faster_mget('kv', list.keys) AS m",
               1);
    expect_int(many,
               "SELECT count(*) = (SELECT count(DISTINCT value) FROM list, json_each(list."
               "keys) WHERE CAST(substr(value, 2) AS INTEGER) < 100000) FROM kv WHERE key IN "
               "(SELECT value FROM list, json_each(list.keys))",
               1);
}

/* Values that a group cannot hold together come all the same, in order. */
static void values_beyond_the_limit(struct many *many) {
    db_must(many->db, "CREATE VIRTUAL TABLE v USING faster(id INTEGER PRIMARY KEY, value, "
                      "memory='1MiB'); WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 "
                      "FROM c WHERE i < 499) INSERT INTO v SELECT i, printf('%%.*c', "
                      "CASE WHEN i %% 7 = 0 THEN 15000 ELSE i END, 'v') FROM c");
    for (int i = 0; i < 2; i++) { /* the second time with what the first has left */
        expect_int(many,
                   "SELECT count(*) = 500 AND min(position = key AND length(value) = CASE "
                   "WHEN key % 7 = 0 THEN 15000 ELSE max(key, 1) END) FROM (SELECT "
                   "json_group_array(value) AS keys FROM (WITH RECURSIVE c(value) AS (SELECT "
                   "0 UNION ALL SELECT value + 1 FROM c WHERE value < 499) SELECT value FROM "
                   "c)), faster_mget('v', keys) ORDER BY position",
                   1);
        expect_int(many,
                   "SELECT sum(length(value)) = (SELECT sum(length(value)) FROM v WHERE id >= "
                   "100) FROM v WHERE id IN (SELECT id FROM v WHERE id >= 100)",
                   1);
    }
}

/* ---------------------------------------------------- transactions, schemas */

static void snapshots(struct many *many) {
    sqlite3 *other = db_open(many->options, many->path);
    const char *query =
        "SELECT group_concat(value) FROM faster_mget('kv', '[\"k0\",\"k1\",\"n\"]')";
    fill(many, 3, "");
    db_must(many->db, "BEGIN");
    expect_rows(many, query, "text:0,1");
    db_must(other, "UPDATE kv SET value = 'new' WHERE key = 'k0'");
    expect_rows(many, query, "text:0,1"); /* as a SELECT inside BEGIN */
    db_must(many->db, "COMMIT");
    expect_rows(many, query, "text:new,1");
    db_must(other, "BEGIN IMMEDIATE; REPLACE INTO kv VALUES ('n', 'unseen')");
    expect_rows(many, query, "text:new,1"); /* beside a writer, without its lock */
    db_must(other, "ROLLBACK");
    db_must(many->db, "BEGIN; REPLACE INTO kv VALUES ('n', 'own'); SAVEPOINT s; "
                      "DELETE FROM kv WHERE key = 'k1'");
    expect_rows(many, query, "text:new,own");
    db_must(many->db, "ROLLBACK TO s");
    expect_rows(many, query, "text:new,1,own");
    db_must(many->db, "ROLLBACK");
    expect_rows(many, query, "text:new,1");
    db_close(other);
}

static int step(struct many *many, sqlite3_stmt *statement) {
    int rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        rc = sqlite3_extended_errcode(many->db);
    }
    return rc;
}

static sqlite3_stmt *prepare(struct many *many, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(many->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        test_fail("%s: %s: %s", many->name, sql, sqlite3_errmsg(many->db));
    }
    return statement;
}

static void must(struct many *many, bool condition, const char *what) {
    if (!condition) {
        test_fail("%s: %s: %s", many->name, what, sqlite3_errmsg(many->db));
    }
}

static void while_rows_are_read(struct many *many) {
    fill(many, 1000, "");
    sqlite3_stmt *statement =
        prepare(many, "SELECT m.value FROM (SELECT json_group_array(key) AS keys FROM kv), "
                      "faster_mget('kv', keys) AS m");
    must(many, step(many, statement) == SQLITE_ROW, "the first row");
    must(many, db_run(many->db, "DROP TABLE kv") == SQLITE_LOCKED, "DROP beside a reader");
    db_must(many->db, "UPDATE kv SET value = -1"); /* not seen: the view is of the beginning */
    db_must(many->db, "CREATE TABLE another(x)");
    int64_t sum = sqlite3_column_int64(statement, 0);
    while (step(many, statement) == SQLITE_ROW) {
        sum += sqlite3_column_int64(statement, 0);
    }
    must(many, sum == 499500, "the rows of the view");
    sqlite3_finalize(statement);
    db_must(many->db, "BEGIN; UPDATE kv SET value = 5");
    statement = prepare(many, "SELECT * FROM faster_mget('kv', '[\"k1\",\"k2\"]')");
    must(many, step(many, statement) == SQLITE_ROW, "own writes");
    db_must(many->db, "ROLLBACK");
    must(many, (step(many, statement) & 0xff) == SQLITE_ABORT, "its rows are undone");
    sqlite3_finalize(statement);
    db_must(many->db, "DROP TABLE kv");
    expect_error(many, "SELECT * FROM faster_mget('kv', '[]')", SQLITE_ERROR, "no such table");
}

static void closed_as_a_zombie(struct many *many) {
    fill(many, 10, "");
    sqlite3_stmt *statement = prepare(many, "SELECT * FROM faster_mget('kv', '[\"k1\",\"k2\"]')");
    must(many, step(many, statement) == SQLITE_ROW, "the first row");
    must(many, sqlite3_close(many->db) == SQLITE_BUSY, "close with a statement");
    must(many, sqlite3_close_v2(many->db) == SQLITE_OK, "close_v2");
    must(many, sqlite3_step(statement) == SQLITE_ROW, "the second row");
    sqlite3_finalize(statement);
    many->db = db_open(many->options, many->path);
    expect_int(many, "SELECT count(*) FROM kv", 10);
}

static void other_schemas(struct many *many) {
    fill(many, 2, "");
    db_must(many->db,
            "ATTACH '%s.second' AS aux2; CREATE VIRTUAL TABLE aux2.kv USING faster(key "
            "TEXT PRIMARY KEY, value); INSERT INTO aux2.kv VALUES ('k0', 'second'); "
            "CREATE VIRTUAL TABLE temp.tkv USING faster(key TEXT PRIMARY KEY, value); "
            "INSERT INTO tkv VALUES ('k0', 'temp')",
            many->path);
    for (int i = 0; i < 2; i++) {
        expect_rows(many,
                    "SELECT m.value FROM (VALUES ('kv'), ('aux2.kv'), ('tkv'), ('main.kv')) AS v, "
                    "faster_mget(v.column1, '[\"k0\",\"k1\"]') AS m",
                    "int:0; int:1; text:second; text:temp; int:0; int:1");
        db_must(many->db, i == 0 ? "BEGIN" : "COMMIT");
    }
    db_must(many->db, "DETACH aux2");
    expect_error(many, "SELECT * FROM faster_mget('aux2.kv', '[]')", SQLITE_ERROR, "aux2");
    db_must(many->db, "ALTER TABLE kv RENAME TO renamed");
    expect_rows(many, "SELECT value FROM faster_mget('renamed', '[\"k1\"]')", "int:1");
}

static void untrusted_schema(struct many *many) {
    fill(many, 2, "");
    db_must(many->db, "CREATE VIEW w AS SELECT * FROM faster_mget('kv', '[\"k1\"]')");
    expect_rows(many, "SELECT value FROM w", "int:1");
    int on = 0;
    sqlite3_db_config(many->db, SQLITE_DBCONFIG_DEFENSIVE, 1, &on);
    sqlite3_db_config(many->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, &on);
    expect_rows(many, "SELECT value FROM faster_mget('kv', '[\"k1\"]')", "int:1");
    expect_error(many, "SELECT value FROM w", SQLITE_ERROR, "unsafe use");
}

/* ------------------------------------------------------- interrupt, damage */

/* Gives its argument back, interrupted. */
static void interrupting(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    sqlite3_interrupt(sqlite3_context_db_handle(context));
    sqlite3_result_value(context, values[0]);
}

/* Nothing is found, so that all groups are one step of SQLite's, which does not look there. */
static void interrupted(struct many *many) {
    db_must(many->db,
            "CREATE VIRTUAL TABLE kv USING faster(key TEXT PRIMARY KEY, value); CREATE "
            "TABLE list AS SELECT json_group_array('n' || value) AS keys FROM (WITH "
            "RECURSIVE c(value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM c WHERE value"
            " < 99999) SELECT value FROM c)");
    sqlite3_create_function(many->db, "interrupting", 1, SQLITE_UTF8, NULL, interrupting, NULL,
                            NULL);
    sqlite3_stmt *statement =
        prepare(many, "SELECT value FROM list, faster_mget('kv', interrupting(list.keys))");
    must(many, step(many, statement) == SQLITE_INTERRUPT, "an interrupt while it reads");
    sqlite3_finalize(statement);
    expect_int(many, "SELECT count(*) FROM list, faster_mget('kv', list.keys)", 0);
}

/* Changes a byte of every such value in the log. */
static void damage_values(void *context, const char *path) {
    unsigned *count = context;
    FILE *file = fopen(path, "r+be");
    static char bytes[1 << 20];
    size_t size = file == NULL ? 0 : fread(bytes, 1, sizeof bytes, file);
    for (size_t at = 0; at + 7 < size; at++) {
        if (memcmp(bytes + at, "damaged", 7) == 0) {
            (void)fseek(file, (long)at, SEEK_SET);
            (void)fputc('D', file);
            ++*count;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* What has left memory is read from the files, and checked. */
static void damaged_records(struct many *many) {
    char directory[TEST_PATH_BYTES];
    unsigned count = 0;
    db_must(many->db,
            "CREATE VIRTUAL TABLE d USING faster(id INTEGER PRIMARY KEY, value, "
            "memory='1MiB', inline_commit=0); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL "
            "SELECT i + 1 FROM c WHERE i < 3000) INSERT INTO d SELECT i, CASE WHEN i = 50 "
            "THEN 'damaged' ELSE 'fine' END || hex(zeroblob(300)) FROM c; "
            "INSERT INTO d(d) VALUES ('checkpoint')");
    path_format(directory, "%s-faster", many->path);
    tree_each_file(directory, damage_values, &count);
    must(many, count == 1, "one record is damaged");
    expect_int(many, "SELECT count(*) FROM faster_mget('d', '[1,2,51]')", 3);
    expect_error(many, "SELECT * FROM faster_mget('d', '[50,1,2]')", SQLITE_CORRUPT, "damaged");
    expect_error(many, "SELECT * FROM d WHERE id IN (1, 50, 2)", SQLITE_CORRUPT, "damaged");
    expect_int(many, "SELECT count(*) FROM d WHERE id IN (1, 2, 51)", 3);
}

static const struct {
    const char *name;
    void (*run)(struct many *many);
} cases[] = {
    {"columns_and_order", columns_and_order},
    {"several_columns", several_columns},
    {"bad_arguments", bad_arguments},
    {"hundred_thousand_keys", hundred_thousand_keys},
    {"values_beyond_the_limit", values_beyond_the_limit},
    {"snapshots", snapshots},
    {"while_rows_are_read", while_rows_are_read},
    {"closed_as_a_zombie", closed_as_a_zombie},
    {"other_schemas", other_schemas},
    {"untrusted_schema", untrusted_schema},
    {"interrupted", interrupted},
    {"damaged_records", damaged_records},
};

void many_keys_cases_run(const struct test_options *options) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (options->only != NULL && strcmp(options->only, cases[i].name) != 0) {
            continue;
        }
        struct many many = {.options = options, .name = cases[i].name};
        char directory[TEST_PATH_BYTES];
        directory_make(directory, "many_keys");
        path_format(many.path, "%s/test.db", directory);
        many.db = db_open(options, many.path);
        db_must(many.db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
        cases[i].run(&many);
        db_close(many.db);
        directory_remove(directory);
        printf("  %s\n", cases[i].name);
    }
}
