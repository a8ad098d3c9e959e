/* golden.c - stores of every released format open and hold their rows (P10).
 *
 *     golden <directory with v1, v2, ...> <path of faster.so>
 *
 * Each version is copied, since opening may write; then every FASTER table is compared with
 * its expected_ table, verified, changed, checkpointed, and opened once more.
 * tests/golden/make.sql and make_direct.sql tell what the stores hold.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sql_support.h"

#define VERSION_MAX 100

static const char *const TABLES[] = {"kv", "pairs", "notes"};
#define TABLE_COUNT (sizeof TABLES / sizeof TABLES[0])

static int64_t differences(sqlite3 *db, const char *table) {
    return db_int(db,
                  "SELECT count(*) FROM (SELECT * FROM (SELECT * FROM %s EXCEPT SELECT * FROM "
                  "expected_%s) UNION ALL SELECT * FROM (SELECT * FROM expected_%s EXCEPT "
                  "SELECT * FROM %s))",
                  table, table, table, table);
}

static void check_tables(sqlite3 *db) {
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (differences(db, TABLES[i]) != 0 ||
            db_int(db, "SELECT count(*) FROM %s", TABLES[i]) == 0) {
            test_fail("table %s differs from what was stored", TABLES[i]);
        }
        char *verdict = db_text(db, "SELECT faster_verify('%s')", TABLES[i]);
        if (verdict == NULL || strcmp(verdict, "ok") != 0) {
            test_fail("table %s: %s", TABLES[i], verdict == NULL ? "NULL" : verdict);
        }
        free(verdict);
    }
}

static void change_tables(sqlite3 *db) {
    static const char *const PREFIXES[] = {"", "expected_"};
    for (size_t i = 0; i < 2; i++) {
        db_must(db, "INSERT INTO %skv VALUES ('new', 1)", PREFIXES[i]);
        db_must(db, "DELETE FROM %spairs WHERE a = 'Name1'", PREFIXES[i]);
        db_must(db, "UPDATE %snotes SET note = note || '!'", PREFIXES[i]);
    }
    db_must(db, "INSERT INTO kv(kv) VALUES ('checkpoint')");
}

static void check_version(const struct test_options *options, const char *golden, int version) {
    char directory[TEST_PATH_BYTES], copy[TEST_PATH_BYTES], path[TEST_PATH_BYTES];
    directory_make(directory, "faster-golden");
    path_format(copy, "%s/copy", directory);
    tree_copy(golden, copy);
    path_format(path, "%s/golden.db", copy);
    sqlite3 *db = db_open(options, path);
    check_tables(db);
    db_must(db, "UPDATE expected_pairs SET a = a"); /* writable at all */
    db_must(db, "BEGIN");
    change_tables(db);
    db_must(db, "COMMIT");
    db_close(db);
    db = db_open(options, path);
    check_tables(db);
    db_close(db);
    directory_remove(directory);
    printf("golden: format %d opens, is equal, can be changed\n", version);
}

int main(int argc, char **argv) {
    struct test_options options;
    char golden[TEST_PATH_BYTES];
    struct stat info;
    int checked = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: golden <directory> <path of faster.so>\n");
        return 2;
    }
    test_options_parse(&options, argc - 1, argv + 1);
    for (int version = 1; version < VERSION_MAX; version++) {
        path_format(golden, "%s/v%d", argv[1], version);
        if (stat(golden, &info) == 0) {
            check_version(&options, golden, version);
            checked++;
        }
    }
    if (checked == 0) {
        test_fail("no golden store below %s", argv[1]);
    }
    printf("%d passed, 0 failed\n", checked);
    return 0;
}
