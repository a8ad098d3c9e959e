/* module_findings.c - what faster_verify() says of a damaged store, as a table and as text (P4). */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module.h"

/* The place of a run of `letter` in the log: a piece of a value that is larger than a page. */
struct place {
    char name[TEST_PATH_BYTES];
    char path[TEST_PATH_BYTES];
    long offset;
};

static bool find_run(struct place *place, char letter) {
    char run[4000];
    memset(run, letter, sizeof run);
    FILE *file = fopen(place->path, "rbe");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        test_fail("cannot read %s", place->path);
    }
    size_t size = (size_t)ftell(file);
    char *bytes = malloc(size);
    rewind(file);
    if (bytes == NULL || fread(bytes, 1, size, file) != size || fclose(file) != 0) {
        test_fail("cannot read %s", place->path);
    }
    const char *at = memmem(bytes, size, run, sizeof run);
    place->offset = at == NULL ? -1 : (long)(at - bytes);
    free(bytes);
    return at != NULL;
}

static struct place find_value(const struct world *world, char letter) {
    char store[TEST_PATH_BYTES];
    struct place place = {.offset = -1};
    if (!store_directory_find(world->directory, store)) {
        test_fail("no store below %s", world->directory);
    }
    DIR *directory = opendir(store);
    const struct dirent *entry;
    while (directory != NULL && place.offset < 0 && (entry = readdir(directory)) != NULL) {
        if (strncmp(entry->d_name, "log.", 4) == 0) {
            path_format(place.name, "%s", entry->d_name);
            path_format(place.path, "%s/%s", store, entry->d_name);
            (void)find_run(&place, letter);
        }
    }
    if (directory == NULL || closedir(directory) != 0 || place.offset < 0) {
        test_fail("no value of %c in %s", letter, store);
    }
    return place;
}

static void put_letter(const struct place *place, char letter) {
    FILE *file = fopen(place->path, "r+be");
    if (file == NULL || fseek(file, place->offset + 100, SEEK_SET) != 0 ||
        fputc(letter, file) == EOF || fclose(file) != 0) {
        test_fail("cannot write %s", place->path);
    }
}

/* Makes a table whose row with the value of Qs is on disk only, damages that, and wants `findings`:
 * of each what, and the key as SQL writes it. */
static void damage(struct world *world, const char *key_columns, const char *key,
                   const char *findings) {
    sqlite3 *db = open_at(world);
    db_must(db,
            "CREATE VIRTUAL TABLE f USING faster(%s, memory='1MiB', page_size='16KiB', "
            "segment_size='64KiB')",
            key_columns);
    want(db, "0", "SELECT count(*) FROM faster_verify('f')");
    db_must(db, "INSERT INTO f VALUES(%s, printf('%%.*c', 20000, 'Q'))", key);
    db_must(db, "DELETE FROM f WHERE v = 'none'; INSERT INTO f(f) VALUES('checkpoint')");
    db_must(db, "CREATE TABLE other AS SELECT * FROM f LIMIT 0");
    db_must(db, "INSERT INTO other VALUES(%s, printf('%%.*c', 2000000, '-'))", key);
    db_must(db, "UPDATE other SET a = 'filler'; INSERT INTO f SELECT * FROM other");
    db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    struct place place = find_value(world, 'Q');
    put_letter(&place, 'R');
    want(db, findings, "SELECT what, quote(key) FROM faster_verify('f')");
    char sql[2 * TEST_PATH_BYTES];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM faster_verify('f') WHERE file = '%s' AND offset <= %ld AND "
             "offset > %ld AND (offset - address) %% 65536 = 4096 AND t = 'f'",
             place.name, place.offset, place.offset - 16384);
    want_int(db, 2, sql);
    want_int(db, 2,
             "WITH lines AS (SELECT faster_verify('f') v) SELECT 1 + length(v) - "
             "length(replace(v, char(10), '')) FROM lines");
    refused(db, SQLITE_CORRUPT_VTAB, "2 findings, the first: a record is damaged",
            "INSERT INTO f(f) VALUES('verify')");
    put_letter(&place, 'Q');
    want(db, "ok|0", "SELECT faster_verify('f'), (SELECT count(*) FROM faster_verify('f'))");
    db_close(db);
}

static void findings_name_a_key(struct world *world) {
    damage(world, "a PRIMARY KEY, v", "'it''s'",
           "a record is damaged|NULL a part of a value is missing or damaged|'it''s'");
}

static void findings_name_a_key_of_several_columns(struct world *world) {
    damage(world, "a, b, c, v, PRIMARY KEY(a, b, c)", "'x''y', 7, x'00ff'",
           "a record is damaged|NULL "
           "a part of a value is missing or damaged|'(''x''''y'', 7, x''00ff'')'");
}

/* A query that does not say of what table, in a view, of a name that is none of a FASTER table. */
static void findings_are_of_one_table(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; CREATE TABLE o(x)");
    refused(db, SQLITE_ERROR, "name of a FASTER table", "SELECT * FROM faster_verify");
    refused(db, SQLITE_ERROR, "not a FASTER table", "SELECT * FROM faster_verify('o')");
    want(db, "f|0 o|",
         "SELECT n.column1, (SELECT count(*) FROM faster_verify(n.column1)) "
         "FROM (VALUES ('f')) n UNION ALL SELECT 'o', ''");
    db_must(db, "CREATE VIEW w AS SELECT * FROM faster_verify('f')");
    refused(db, SQLITE_ERROR, "unsafe use", "SELECT * FROM w");
    db_close(db);
}

/* Somebody writes to the shadow table. */
static void findings_tell_of_commit_rows(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; INSERT INTO f VALUES(1, 'a')");
    db_must(db, "INSERT INTO f VALUES(2, 'b'); INSERT INTO f VALUES(3, 'c')");
    want(db, "0", "SELECT count(*) FROM faster_verify('f')");
    db_must(db, "CREATE TABLE kept AS SELECT number, redo FROM f_log");
    db_must(db, "UPDATE f_log SET redo = zeroblob(length(redo)) WHERE number = 2");
    want(db, "the row of commit 2: it is damaged, or another store's||0|null",
         "SELECT what, file, offset, key FROM faster_verify('f')");
    db_must(db,
            "UPDATE f_log SET redo = (SELECT redo FROM kept WHERE number = 2) WHERE number = 2");
    want(db, "ok", "SELECT faster_verify('f')");
    db_close(db);
}

const struct module_case module_findings[] = {
    {"findings_name_a_key", findings_name_a_key},
    {"findings_name_a_key_of_several_columns", findings_name_a_key_of_several_columns},
    {"findings_are_of_one_table", findings_are_of_one_table},
    {"findings_tell_of_commit_rows", findings_tell_of_commit_rows},
    {NULL, NULL},
};
