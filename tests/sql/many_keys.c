/* many_keys.c - faster_mget() and key IN (...) against single reads and an ordinary table.
 * Sources: many_keys.c, many_keys_cases.c, ../support/sql_support.c ../support/sql_files.c.
 *
 * Strategy. Tables of several key types, with a store so small (memory='1MiB') that most rows
 * are on disk, and an ordinary table with the same rows beside each. Random writes, in
 * transactions and savepoints that are rolled back in part, go to both; between them, also while
 * the transaction is open, random lists of keys are read: repeated, missing, deleted, never
 * possible ones, NULL, numbers as text and the other way round. many_keys_cases.c has the cases
 * with a name.
 *
 * Invariants (P4). faster_mget() gives what joining json_each(keys) with the ordinary table
 * gives (+value: as a parameter, without the column's affinity), position by position; so do IN,
 * and faster_get() for each key; a list packed in a blob gives what the same list gives in JSON.
 * Positions ascend.
 *
 * Replay. `--seed N` repeats everything, `--only NAME` runs one table or one case.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "many_keys.h"

#define ROUNDS 60
#define KEY_COUNT 600 /* keys are drawn from so many */

struct kind {
    const char *name;
    const char *key; /* its declaration */
    bool is_integer; /* keys may be packed as 'q' */
    bool is_text;    /* keys may be packed as 's' */
};

static const struct kind kinds[] = {
    {"rowid", "key INTEGER PRIMARY KEY", true, false},
    {"integer", "key INT PRIMARY KEY", true, false},
    {"text", "key TEXT PRIMARY KEY", false, true},
    {"nocase", "key TEXT COLLATE NOCASE PRIMARY KEY", false, true},
    {"untyped", "key PRIMARY KEY", false, false},
    {"real", "key REAL PRIMARY KEY", false, false},
};

struct world {
    const struct test_options *options;
    const struct kind *kind;
    struct random_state random;
    sqlite3 *db;
    bool in_transaction;
};

/* One of KEY_COUNT keys as an SQL literal, in any form that may mean it. */
static void draw_key(struct world *world, char literal[64]) {
    int number = (int)random_below(&world->random, KEY_COUNT) - KEY_COUNT / 10;
    static const char *const forms[] = {"%d", "'%d'", "'k%d'", "'K%d'", "%d.0", "%d.25", "'0%d'"};
    unsigned form = random_below(&world->random, 20);
    form = form >= sizeof forms / sizeof forms[0] ? (world->kind->is_text ? 2 : 0) : form;
    snprintf(literal, 64, forms[form], number);
}

/* A key that every kind of table can hold. */
static void draw_stored_key(struct world *world, char literal[64]) {
    int number = (int)random_below(&world->random, KEY_COUNT) - KEY_COUNT / 10;
    if (world->kind->is_integer) {
        snprintf(literal, 64, "%d", number);
    } else {
        draw_key(world, literal);
    }
}

static void write_some(struct world *world) {
    static const char *const tables[] = {"f", "o"};
    for (unsigned i = random_below(&world->random, 40); i > 0; i--) {
        char key[64];
        bool erases = random_percent(&world->random, 30);
        unsigned size = random_percent(&world->random, 20) ? random_below(&world->random, 9000)
                                                           : random_below(&world->random, 300);
        draw_stored_key(world, key);
        for (int table = 0; table < 2; table++) {
            if (erases) {
                db_must(world->db, "DELETE FROM %s WHERE key = %s", tables[table], key);
            } else {
                db_must(world->db,
                        "REPLACE INTO %s VALUES (%s, printf('%%.*c', %u, 'v') || %u, %u)",
                        tables[table], key, size, i, i);
            }
        }
    }
}

/* The rows of two queries are the same, in the same order. */
static void same(struct world *world, const char *first, const char *second, const char *keys) {
    struct rows rows[2] = {{0}, {0}};
    rows_run(&rows[0], world->db, first);
    rows_run(&rows[1], world->db, second);
    long index = rows_difference(&rows[0], &rows[1]);
    if (rows[0].code != SQLITE_OK || rows[1].code != SQLITE_OK || index >= 0) {
        test_fail("%s: codes %d %d (%s%s), rows %zu %zu, row %ld: %.200s, %.200s\n%.300s\n%.2000s",
                  world->kind->name, rows[0].code, rows[1].code, rows[0].message, rows[1].message,
                  rows[0].count, rows[1].count, index, rows_at(&rows[0], index),
                  rows_at(&rows[1], index), first, keys);
    }
    rows_clear(&rows[0]);
    rows_clear(&rows[1]);
}

/* The list in temp.list, both ways. */
static void draw_list(struct world *world) {
    unsigned count = random_percent(&world->random, 10) ? 700 : random_below(&world->random, 140);
    db_must(world->db, "DELETE FROM list; DELETE FROM one");
    for (unsigned i = 0; i < count; i++) {
        char key[64] = "NULL";
        if (!random_percent(&world->random, 2)) {
            draw_key(world, key);
        }
        db_must(world->db, "INSERT INTO one VALUES (%u, %s)", i, key);
    }
    db_must(world->db, "INSERT INTO list SELECT json_group_array(k) FROM (SELECT k FROM one "
                       "ORDER BY i)");
}

/* Those of the keys that are integers, or text, packed; positions are theirs in that list. */
static void compare_packed(struct world *world, char letter, const char *type) {
    sqlite3_stmt *statement;
    struct text blob = {0};
    struct text packed = {0};
    text_add(&blob, "%c", letter);
    if (sqlite3_prepare_v2(world->db, "SELECT k FROM one WHERE typeof(k) = ?1 ORDER BY i", -1,
                           &statement, NULL) != SQLITE_OK) {
        test_fail("%s", sqlite3_errmsg(world->db));
    }
    sqlite3_bind_text(statement, 1, type, -1, SQLITE_STATIC);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        int64_t integer = sqlite3_column_int64(statement, 0);
        uint32_t size = (uint32_t)sqlite3_column_bytes(statement, 0);
        if (letter == 'q') {
            text_add_bytes(&blob, &integer, sizeof integer); /* of this machine: little-endian */
        } else {
            text_add_bytes(&blob, &size, sizeof size);
            text_add_bytes(&blob, sqlite3_column_text(statement, 0), size);
        }
    }
    sqlite3_finalize(statement);
    text_add(&packed, "SELECT * FROM faster_mget('f', x'");
    for (size_t i = 0; i < blob.size_bytes; i++) {
        text_add(&packed, "%02x", (unsigned char)blob.data[i]);
    }
    text_add(&packed, "', 'v')");
    char *json = sqlite3_mprintf("SELECT m.* FROM (SELECT json_group_array(k) AS keys FROM (SELECT "
                                 "k FROM one WHERE typeof(k) = '%s' ORDER BY i)), "
                                 "faster_mget('f', keys, 'v') AS m",
                                 type);
    same(world, packed.data, json, type);
    sqlite3_free(json);
    text_finish(&blob);
    text_finish(&packed);
}

static void compare(struct world *world) {
    draw_list(world);
    char *keys = db_text(world->db, "SELECT keys FROM list");
    same(world, "SELECT m.* FROM list, faster_mget('f', keys, 'v') AS m",
         "SELECT j.key, o.key, o.v FROM list, json_each(list.keys) AS j CROSS JOIN o "
         "ON o.key = +j.value ORDER BY j.key",
         keys);
    same(world, "SELECT m.position, m.value FROM list, faster_mget('main.f', keys, 'n') AS m",
         "SELECT j.key, faster_get('f', j.value, 'n') FROM list, json_each(list.keys) AS j "
         "WHERE faster_exists('f', j.value) ORDER BY j.key",
         keys);
    same(world, "SELECT f.* FROM f WHERE key IN (SELECT k FROM one) ORDER BY key, v",
         "SELECT o.* FROM o WHERE key IN (SELECT k FROM one) ORDER BY key, v", keys);
    same(
        world,
        "SELECT (SELECT count(*) FROM f WHERE key IN (SELECT k FROM one AS b WHERE b.i % 5 = a.i)) "
        "FROM one AS a WHERE a.i IN (0, 3)",
        "SELECT (SELECT count(*) FROM o WHERE key IN (SELECT k FROM one AS b WHERE b.i % 5 = a.i)) "
        "FROM one AS a WHERE a.i IN (0, 3)",
        keys);
    same(world, "SELECT count(*), count(DISTINCT position) FROM list, faster_mget('f', keys)",
         "SELECT count(*), count(DISTINCT j.key) FROM list, json_each(list.keys) AS j CROSS JOIN o "
         "ON o.key = +j.value",
         keys);
    if (world->kind->is_integer) {
        compare_packed(world, 'q', "integer");
    }
    if (world->kind->is_text) {
        compare_packed(world, 's', "text");
    }
    free(keys);
}

/* Begins, ends, or undoes a part. */
static void move_on(struct world *world) {
    static const char *const inside[] = {"COMMIT",        "ROLLBACK",  "SAVEPOINT s",
                                         "ROLLBACK TO s", "RELEASE s", "SAVEPOINT s",
                                         "ROLLBACK TO s", "SELECT 1"};
    if (!world->in_transaction) {
        world->in_transaction = random_percent(&world->random, 50);
        if (world->in_transaction) {
            db_must(world->db, "BEGIN");
        }
        return;
    }
    /* ROLLBACK TO and RELEASE fail where there is no savepoint. */
    (void)db_run(world->db, "%s", inside[random_below(&world->random, 8)]);
    world->in_transaction = !sqlite3_get_autocommit(world->db);
}

static void run_kind(const struct test_options *options, const struct kind *kind) {
    struct world world = {.options = options, .kind = kind};
    char directory[TEST_PATH_BYTES];
    char path[TEST_PATH_BYTES];
    directory_make(directory, "many_keys");
    path_format(path, "%s/test.db", directory);
    world.random = random_of(options->seed, (uint64_t)(kind - kinds));
    world.db = db_open(options, path);
    db_must(world.db,
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; "
            "CREATE VIRTUAL TABLE f USING faster(%s, v, n, memory='1MiB'); "
            "CREATE TABLE o(%s, v, n); CREATE TEMP TABLE one(i, k); CREATE TEMP TABLE list(keys)",
            kind->key, kind->key);
    uint64_t rounds = test_scaled(options, ROUNDS);
    for (uint64_t round = 0; round < rounds; round++) {
        write_some(&world);
        compare(&world);
        move_on(&world);
    }
    if (world.in_transaction) {
        db_must(world.db, "COMMIT");
    }
    int64_t on_disk = db_int(world.db, "SELECT value FROM faster_stats('f') WHERE name = "
                                       "'disk_reads'");
    printf("  %-8s %llu rounds, %lld reads from disk\n", kind->name, (unsigned long long)rounds,
           (long long)on_disk);
    if (options->scale_percent >= 100 && on_disk == 0) {
        test_fail("%s: nothing was read from disk", kind->name);
    }
    db_close(world.db);
    directory_remove(directory);
}

int main(int argc, char **argv) {
    struct test_options options;
    test_options_parse(&options, argc, argv);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (options.only == NULL || strcmp(options.only, kinds[i].name) == 0) {
            run_kind(&options, &kinds[i]);
        }
    }
    many_keys_cases_run(&options);
    printf("passed\n");
    return 0;
}
