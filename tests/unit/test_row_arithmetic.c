/* test_row_arithmetic.c - the order of values and what the commands make of them, against
 * SQLite itself (codec_oracle.h).
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "codec_oracle.h"

/* compared(a, b): the sign of row_compare(). */
static void compared_function(sqlite3_context *context, int count, sqlite3_value **values) {
    struct row_scalar a;
    struct row_scalar b;
    (void)count;
    cr_assert_eq(row_scalar_from_value(values[0], SCHEMA_BLOB, &a), SQLITE_OK);
    cr_assert_eq(row_scalar_from_value(values[1], SCHEMA_BLOB, &b), SQLITE_OK);
    enum schema_collation collation = (enum schema_collation)sqlite3_value_int(values[2]);
    int order = row_compare(&a, &b, collation);
    sqlite3_result_int(context, (order > 0) - (order < 0));
}

Test(row_arithmetic, random_values_are_ordered_as_sqlite_orders_them) {
    sqlite3 *db = oracle_open();
    sqlite3_create_function(db, "compared", 3, SQLITE_UTF8, NULL, compared_function, NULL, NULL);
    samples_seed();
    for (int collation = 0; collation < 3; collation++) {
        char sql[256];
        snprintf(sql, sizeof sql,
                 "SELECT compared(?1, ?2, %d), (?1 > ?2 COLLATE %s) - (?1 < ?2 COLLATE %s)",
                 collation, oracle_collations[collation], oracle_collations[collation]);
        sqlite3_stmt *compare = oracle_prepare(db, sql);
        for (int n = 0; n < 20000; n++) {
            struct sample a = sample_any(false);
            struct sample b = sample_relative(a);
            sample_bind(compare, 1, &a);
            sample_bind(compare, 2, &b);
            cr_assert_eq(sqlite3_step(compare), SQLITE_ROW);
            cr_assert_eq(sqlite3_column_int(compare, 0), sqlite3_column_int(compare, 1),
                         "%s and %s", sample_show(&a), sample_show(&b));
            sqlite3_reset(compare);
        }
        sqlite3_finalize(compare);
    }
    sqlite3_close(db);
}

static struct row_scalar integer_scalar(int64_t integer) {
    return (struct row_scalar){.type = ROW_INTEGER, .integer = integer};
}

static struct row_scalar text_scalar(const char *text) {
    return (struct row_scalar){.type = ROW_TEXT, .data = text, .size_bytes = strlen(text)};
}

Test(row_arithmetic, add_refuses_overflow_and_text) {
    struct row_scalar null = {.type = ROW_NULL};
    struct row_scalar one = integer_scalar(1);
    struct row_scalar most = integer_scalar(INT64_MAX);
    struct row_scalar half = {.type = ROW_REAL, .real = 0.5};
    struct row_scalar text = text_scalar("5");
    struct row_scalar result;
    cr_assert_eq(row_add(&one, &one, &result), SQLITE_OK);
    cr_expect(result.type == ROW_INTEGER && result.integer == 2);
    cr_assert_eq(row_add(&null, &one, &result), SQLITE_OK);
    cr_expect(result.type == ROW_INTEGER && result.integer == 1);
    cr_assert_eq(row_add(&one, &null, &result), SQLITE_OK);
    cr_expect(result.type == ROW_INTEGER && result.integer == 1);
    cr_assert_eq(row_add(&one, &half, &result), SQLITE_OK);
    cr_expect(result.type == ROW_REAL && result.real == 1.5);
    cr_expect_eq(row_add(&most, &one, &result), SQLITE_ERROR);
    cr_expect_eq(row_add(&text, &one, &result), SQLITE_MISMATCH);
}

Test(row_arithmetic, min_and_max_ignore_null) {
    struct row_scalar null = {.type = ROW_NULL};
    struct row_scalar one = integer_scalar(1);
    struct row_scalar text = text_scalar("");
    struct row_scalar result;
    row_min(&null, &one, SCHEMA_BINARY, &result);
    cr_expect_eq(result.type, ROW_INTEGER);
    row_min(&one, &null, SCHEMA_BINARY, &result);
    cr_expect_eq(result.type, ROW_INTEGER);
    row_max(&one, &text, SCHEMA_BINARY, &result);
    cr_expect_eq(result.type, ROW_TEXT);
    row_min(&one, &text, SCHEMA_BINARY, &result);
    cr_expect_eq(result.type, ROW_INTEGER);
}

Test(row_arithmetic, append_of_two_blobs_is_a_blob_else_text) {
    struct row_scalar null = {.type = ROW_NULL};
    struct row_scalar one = integer_scalar(12);
    struct row_scalar text = text_scalar("ab");
    struct row_scalar blob = {.type = ROW_BLOB, .data = "x", .size_bytes = 1};
    struct row_scalar result;
    cr_assert_eq(row_append(&text, &one, &result), SQLITE_OK);
    cr_expect(result.type == ROW_TEXT && result.size_bytes == 4 &&
              memcmp(result.data, "ab12", 4) == 0);
    row_scalar_finish(&result);
    cr_assert_eq(row_append(&blob, &blob, &result), SQLITE_OK);
    cr_expect(result.type == ROW_BLOB && result.size_bytes == 2);
    row_scalar_finish(&result);
    cr_assert_eq(row_append(&null, &blob, &result), SQLITE_OK);
    cr_expect(result.type == ROW_BLOB && result.size_bytes == 1);
    row_scalar_finish(&result);
    cr_assert_eq(row_append(&one, &one, &result), SQLITE_OK);
    cr_assert_eq(row_scalar_apply_affinity(&result, SCHEMA_INTEGER), SQLITE_OK);
    cr_expect(result.type == ROW_INTEGER && result.integer == 1212);
    row_scalar_finish(&result);
    result = text_scalar(" 9223372036854775808");
    cr_assert_eq(row_scalar_apply_affinity(&result, SCHEMA_NUMERIC), SQLITE_OK);
    cr_expect(result.type == ROW_REAL && result.real == 9223372036854775808.0);
}
