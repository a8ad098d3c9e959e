/* test_key_codec.c - keys against SQLite itself (codec_oracle.h).
 *
 * Invariant: keys have equal bytes iff the oracle's unique index calls them equal.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "codec_oracle.h"

#define PAIR_COUNT 60000

/* True if the oracle's unique index takes both rows of `width` values. */
static bool oracle_differs(sqlite3_stmt *insert, sqlite3_stmt *clear, const struct sample *a,
                           const struct sample *b, int width) {
    const struct sample *rows[] = {a, b};
    bool stored = true;
    for (int row = 0; row < 2; row++) {
        for (int i = 0; i < width; i++) {
            sample_bind(insert, i + 1, &rows[row][i]);
        }
        int rc = sqlite3_step(insert);
        cr_assert(rc == SQLITE_DONE || (row == 1 && rc == SQLITE_CONSTRAINT));
        stored = rc == SQLITE_DONE;
        sqlite3_reset(insert);
    }
    cr_assert_eq(sqlite3_step(clear), SQLITE_DONE);
    sqlite3_reset(clear);
    return stored;
}

static bool codec_differs(sqlite3_stmt *compare, const struct sample *a, const struct sample *b,
                          int width) {
    for (int i = 0; i < width; i++) {
        sample_bind(compare, i + 1, &a[i]);
        sample_bind(compare, width + i + 1, &b[i]);
    }
    cr_assert_eq(sqlite3_step(compare), SQLITE_ROW);
    bool differs = sqlite3_column_int(compare, 0) != 0;
    sqlite3_reset(compare);
    return differs;
}

static void check_pairs(sqlite3 *db, const char *insert_sql, const char *compare_sql, int width,
                        int count) {
    sqlite3_stmt *insert = oracle_prepare(db, insert_sql);
    sqlite3_stmt *clear = oracle_prepare(db, "DELETE FROM o");
    sqlite3_stmt *compare = oracle_prepare(db, compare_sql);
    int equal_count = 0;
    for (int n = 0; n < count; n++) {
        struct sample a[2];
        struct sample b[2];
        for (int i = 0; i < width; i++) {
            a[i] = sample_any(false);
            b[i] = sample_relative(a[i]);
        }
        bool expected = oracle_differs(insert, clear, a, b, width);
        cr_assert_eq(codec_differs(compare, a, b, width), expected, "%s: %s and %s", insert_sql,
                     sample_show(a), sample_show(b));
        equal_count += !expected;
    }
    cr_assert_gt(equal_count, count / 20);
    sqlite3_finalize(insert);
    sqlite3_finalize(clear);
    sqlite3_finalize(compare);
}

Test(key_codec, keys_have_equal_bytes_iff_sqlite_says_equal) {
    sqlite3 *db = oracle_open();
    codec_add_encode(db);
    samples_seed();
    for (unsigned i = 0; i < 15; i++) {
        const char *definition = oracle_key_definition(i % 5, i / 5, "k");
        char argument[128];
        char sql[256];
        snprintf(argument, sizeof argument, "%s PRIMARY KEY DESC", definition);
        snprintf(sql, sizeof sql,
                 "DROP TABLE IF EXISTS o; CREATE TABLE o(%s PRIMARY KEY) WITHOUT ROWID",
                 definition);
        oracle_run(db, sql);
        struct table_schema schema = oracle_schema(argument, NULL, NULL);
        codec_schema = &schema;
        cr_assert_eq(schema.kind, SCHEMA_KEY_SINGLE);
        check_pairs(db, "INSERT INTO o VALUES (?)", "SELECT encode(?1) <> encode(?2)", 1,
                    PAIR_COUNT / 15);
        schema_finish(&schema);
    }
    sqlite3_close(db);
}

Test(key_codec, keys_of_two_parts_have_equal_bytes_iff_sqlite_says_equal) {
    sqlite3 *db = oracle_open();
    codec_add_encode(db);
    samples_seed();
    for (int n = 0; n < 30; n++) {
        const char *a = oracle_key_definition(samples_below(5), samples_below(3), "a");
        const char *b = oracle_key_definition(samples_below(5), samples_below(3), "b");
        char sql[256];
        snprintf(sql, sizeof sql,
                 "DROP TABLE IF EXISTS o; CREATE TABLE o(%s, %s, PRIMARY KEY (a, b)) WITHOUT ROWID",
                 a, b);
        oracle_run(db, sql);
        struct table_schema schema = oracle_schema(a, b, "PRIMARY KEY (a, b)");
        codec_schema = &schema;
        check_pairs(db, "INSERT INTO o VALUES (?, ?)", "SELECT encode(?1, ?2) <> encode(?3, ?4)", 2,
                    1000);
        schema_finish(&schema);
    }
    sqlite3_close(db);
}

Test(key_codec, rowid_comes_back_and_a_short_key_is_corrupt) {
    unsigned char key[KEY_ROWID_BYTES];
    int64_t rowid;
    samples_seed();
    for (int n = 0; n < 1000; n++) {
        int64_t expected = sample_integer();
        key_encode_rowid(expected, key);
        cr_assert_eq(key_decode_rowid((struct faster_bytes){key, sizeof key}, &rowid), SQLITE_OK);
        cr_assert_eq(rowid, expected);
    }
    cr_expect_eq(key_decode_rowid((struct faster_bytes){key, 7}, &rowid), SQLITE_CORRUPT_VTAB);
}
