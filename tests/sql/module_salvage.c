/* module_salvage.c - faster_salvage(): what is left of a damaged store, into a table (P4). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module.h"

#define SMALL "memory='1MiB', page_size='16KiB', segment_size='64KiB'"

/* Makes a store in a database that is closed again; *store is its directory. */
static void make_store(struct world *world, const char *declaration, const char *rows,
                       char store[TEST_PATH_BYTES]) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(%s)", declaration);
    db_must(db, "%s", rows);
    db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    db_close(db);
    if (!store_directory_find(world->directory, store)) {
        test_fail("no store below %s", world->directory);
    }
}

/* Another database, with an empty table that is declared as the lost one was. */
static sqlite3 *open_other(const struct world *world, const char *declaration) {
    char path[TEST_PATH_BYTES];
    path_format(path, "%s/other.db", world->directory);
    sqlite3 *db = db_open(world->options, path);
    db_must(db, "CREATE VIRTUAL TABLE g USING faster(%s)", declaration);
    return db;
}

static void salvage(sqlite3 *db, const char *store, const char *expected) {
    char sql[2 * TEST_PATH_BYTES];
    snprintf(sql, sizeof sql,
             "SELECT json_extract(r, '$.rows'), json_extract(r, '$.deletes'), "
             "json_extract(r, '$.doubtful'), json_extract(r, '$.unreadable'), "
             "json_extract(r, '$.lost'), json_extract(r, '$.damaged') "
             "FROM (SELECT faster_salvage('%s', 'g') r LIMIT 1)",
             store);
    want(db, expected, sql);
}

static void refused_for(sqlite3 *db, const char *store, int code, const char *part) {
    char sql[2 * TEST_PATH_BYTES];
    snprintf(sql, sizeof sql, "SELECT faster_salvage('%s', 'g')", store);
    refused(db, code, part, sql);
}

/* The keys as they were written, NULL where there is a DEFAULT, a value larger than a page, what
 * was deleted, undone and rolled back. */
static const char ROWS[] =
    "INSERT INTO f VALUES('One', 1, 'x'), ('two', 2, NULL), ('three', 3, printf('%.*c', 40000, "
    "'Q'));"
    "UPDATE f SET b = NULL WHERE a = 'two'; DELETE FROM f WHERE a = 'three';"
    "REPLACE INTO f VALUES('four', 4, printf('%.*c', 40000, 'R'));"
    "BEGIN; INSERT INTO f VALUES('kept', 5, ''); SAVEPOINT s; INSERT INTO f VALUES('undone', 6, "
    "'');"
    "ROLLBACK TO s; COMMIT; BEGIN; INSERT INTO f VALUES('never', 7, ''); ROLLBACK;"
    "REPLACE INTO f VALUES('ONE', 1.5, x'00')";

static const char LEFT[] = "four|4|text|40000 kept|5|text|0 ONE|1.5|blob|1 two|null|null|null";
static const char LOOK[] = "SELECT a, b, typeof(c), length(c) FROM g ORDER BY a";

static void salvage_restores_a_table(struct world *world) {
    const char *declaration =
        "a TEXT COLLATE NOCASE PRIMARY KEY, b DEFAULT 17, c NOT NULL DEFAULT 'none', " SMALL;
    char store[TEST_PATH_BYTES];
    make_store(world, declaration, ROWS, store);
    sqlite3 *db = open_other(world, declaration);
    salvage(db, store, "7|1|2|0|0|0");
    /* c of 'two' was NULL in the statement: the DEFAULT. */
    want(db, "four|4|text|40000 kept|5|text|0 ONE|1.5|blob|1 two|null|text|4", LOOK);
    want(db, "ok", "SELECT faster_verify('g')");
    salvage(db, store, "7|1|2|0|0|0"); /* the same again changes nothing */
    want(db, "4", "SELECT count(*) FROM g");
    char sql[2 * TEST_PATH_BYTES];
    snprintf(sql, sizeof sql, "SELECT faster_salvage('%s', 'g', 1) IS NOT NULL", store);
    want(db, "1", sql);
    want(db, "6", "SELECT b FROM g WHERE a = 'undone'");
    db_close(db);
}

static void salvage_belongs_to_the_transaction(struct world *world) {
    const char *declaration = "a TEXT COLLATE NOCASE PRIMARY KEY, b, c, " SMALL;
    char store[TEST_PATH_BYTES];
    make_store(world, declaration, ROWS, store);
    sqlite3 *db = open_other(world, declaration);
    db_must(db, "BEGIN; INSERT INTO g VALUES('mine', 0, 0)");
    salvage(db, store, "7|1|2|0|0|0");
    want(db, "5", "SELECT count(*) FROM g");
    db_must(db, "ROLLBACK");
    want(db, "0", "SELECT count(*) FROM g");
    db_must(db, "BEGIN; INSERT INTO g VALUES('mine', 0, 0)");
    int limit = sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 30000);
    refused_for(db, store, SQLITE_TOOBIG, "are allowed");
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, limit);
    want(db, "mine", "SELECT a FROM g"); /* all of it was undone, and no more */
    salvage(db, store, "7|1|2|0|0|0");
    db_must(db, "DELETE FROM g WHERE a = 'mine'; COMMIT");
    want(db, LEFT, LOOK);
    db_close(db);
}

static void salvage_of_rowids_and_columns(struct world *world) {
    char store[TEST_PATH_BYTES];
    make_store(world, "v, " SMALL,
               "INSERT INTO f VALUES('a'), ('b'); INSERT INTO f(rowid, v) VALUES(-7, 'c')", store);
    sqlite3 *db = open_other(world, "v, " SMALL);
    salvage(db, store, "3|0|0|0|0|0");
    want(db, "-7|c 1|a 2|b", "SELECT rowid, v FROM g ORDER BY rowid");
    db_must(db, "INSERT INTO g VALUES('next')");
    want(db, "3", "SELECT rowid FROM g WHERE v = 'next'");
    /* Of a table with other columns nothing can be read. */
    db_must(db, "DROP TABLE g; CREATE VIRTUAL TABLE g USING faster(a, b, c, PRIMARY KEY(a, b))");
    salvage(db, store, "0|0|0|3|0|0");
    want(db, "0", "SELECT count(*) FROM g");
    db_close(db);
}

static void salvage_into_a_direct_table(struct world *world) {
    const char *declaration = "a INTEGER PRIMARY KEY, n, writes='direct', " SMALL;
    char store[TEST_PATH_BYTES];
    make_store(world, declaration,
               "INSERT INTO f VALUES(1, 1), (2, 2), (3, 3); SELECT faster_incr('f', 2, 40);"
               "SELECT faster_delete('f', 3)",
               store);
    sqlite3 *db = open_other(world, declaration);
    char sql[2 * TEST_PATH_BYTES];
    snprintf(sql, sizeof sql, "SELECT faster_salvage('%s', 'g') IS NOT NULL", store);
    want(db, "1", sql);
    want(db, "1|1 2|42", "SELECT * FROM g ORDER BY a");
    db_must(db, "INSERT INTO g(n) VALUES('next')");
    want(db, "1", "SELECT a > 2 FROM g WHERE n = 'next'");
    db_close(db);
}

/* The damage is where one row is: the others come. */
static void salvage_leaves_out_what_is_damaged(struct world *world) {
    const char *declaration = "a PRIMARY KEY, v, " SMALL;
    char store[TEST_PATH_BYTES], command[3 * TEST_PATH_BYTES];
    make_store(world, declaration,
               "BEGIN; INSERT INTO f VALUES(1, 'MARKED'), (2, 'b'), (3, 'c'); COMMIT;"
               "INSERT INTO f VALUES(4, 'd')",
               store);
    snprintf(command, sizeof command, "sed -i 's/MARKED/HARMED/' '%s'/log.*; : > '%s'/store", store,
             store);
    if (system(command) != 0) {
        test_fail("%s", command);
    }
    sqlite3 *db = open_other(world, declaration);
    salvage(db, store, "3|0|0|0|0|1");
    want(db, "2|b 3|c 4|d", "SELECT * FROM g ORDER BY a");
    db_close(db);
}

static void salvage_says_why_it_cannot(struct world *world) {
    char store[TEST_PATH_BYTES];
    make_store(world, "a PRIMARY KEY, v", "INSERT INTO f VALUES(1, 2)", store);
    sqlite3 *db = open_other(world, "a PRIMARY KEY, v");
    refused_for(db, "/nowhere/at/all", SQLITE_CANTOPEN, "no store at /nowhere");
    refused_for(db, world->directory, SQLITE_CANTOPEN, "whose files");
    refused(db, SQLITE_ERROR, "call faster_salvage()", "SELECT faster_salvage(NULL, 'g')");
    refused(db, SQLITE_ERROR, "call faster_salvage()", "INSERT INTO g(g) VALUES('salvage')");
    refused(db, SQLITE_ERROR, "no such table", "SELECT faster_salvage('x', 'nothing')");
    sqlite3 *user = open_at(world);
    want(user, "1|2", "SELECT * FROM f");
    refused_for(db, store, SQLITE_BUSY, "in use");
    db_close(user);
    salvage(db, store, "1|0|0|0|0|0");
    db_close(db);
}

const struct module_case module_salvage[] = {
    {"salvage_restores_a_table", salvage_restores_a_table},
    {"salvage_belongs_to_the_transaction", salvage_belongs_to_the_transaction},
    {"salvage_of_rowids_and_columns", salvage_of_rowids_and_columns},
    {"salvage_into_a_direct_table", salvage_into_a_direct_table},
    {"salvage_leaves_out_what_is_damaged", salvage_leaves_out_what_is_damaged},
    {"salvage_says_why_it_cannot", salvage_says_why_it_cannot},
    {NULL, NULL},
};
