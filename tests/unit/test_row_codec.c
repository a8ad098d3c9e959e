/* test_row_codec.c - rows against SQLite itself (codec_oracle.h).
 *
 * Invariant: a row gives back value and type exactly as the oracle stores them.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec_oracle.h"

/* stored(n, columns...): column n after a round trip through a record. */
static void stored_function(sqlite3_context *context, int count, sqlite3_value **values) {
    struct row_scalar columns[4];
    struct row_buffer key = {0};
    struct row_buffer value = {0};
    struct row_view view;
    (void)count;
    codec_load_columns(values + 1, columns);
    if (codec_schema->key_count > 0) {
        codec_encode_key(columns, &key);
    }
    cr_assert_eq(row_encode(codec_schema, columns, &value), SQLITE_OK);
    cr_assert_eq(
        row_view_open(&view, codec_schema, row_buffer_bytes(&key), row_buffer_bytes(&value)),
        SQLITE_OK);
    int column = sqlite3_value_int(values[0]);
    cr_assert_eq(row_view_result(&view, column, context, SQLITE_TRANSIENT), SQLITE_OK);
    row_buffer_finish(&key);
    row_buffer_finish(&value);
    codec_finish_columns(columns);
}

/* Type and value are the same, to the bit. */
static bool same_column(sqlite3_stmt *a, int a_column, sqlite3_stmt *b, int b_column) {
    int type = sqlite3_column_type(a, a_column);
    if (type != sqlite3_column_type(b, b_column)) {
        return false;
    }
    if (type == SQLITE_INTEGER) {
        return sqlite3_column_int64(a, a_column) == sqlite3_column_int64(b, b_column);
    }
    if (type == SQLITE_FLOAT) {
        double left = sqlite3_column_double(a, a_column);
        double right = sqlite3_column_double(b, b_column);
        return memcmp(&left, &right, sizeof left) == 0;
    }
    int size = sqlite3_column_bytes(a, a_column);
    return size == sqlite3_column_bytes(b, b_column) &&
           (size == 0 || memcmp(sqlite3_column_blob(a, a_column), sqlite3_column_blob(b, b_column),
                                (size_t)size) == 0);
}

static void check_round_trips(sqlite3 *db, int count) {
    sqlite3_stmt *insert = oracle_prepare(db, "INSERT OR REPLACE INTO o VALUES (?, ?, ?)");
    sqlite3_stmt *clear = oracle_prepare(db, "DELETE FROM o");
    sqlite3_stmt *select = oracle_prepare(db, "SELECT * FROM o");
    sqlite3_stmt *stored = oracle_prepare(
        db, "SELECT stored(2, ?1, ?2, ?3), stored(0, ?1, ?2, ?3), stored(1, ?1, ?2, ?3)");
    for (int n = 0; n < count; n++) {
        struct sample row[3];
        for (int i = 0; i < 3; i++) {
            row[i] = sample_any(i > 0);
            sample_bind(insert, i + 1, &row[i]);
            sample_bind(stored, i + 1, &row[i]);
        }
        cr_assert_eq(sqlite3_step(insert), SQLITE_DONE);
        cr_assert_eq(sqlite3_step(select), SQLITE_ROW);
        cr_assert_eq(sqlite3_step(stored), SQLITE_ROW);
        for (int i = 0; i < 3; i++) {
            cr_assert(same_column(select, i, stored, (i + 1) % 3), "column %d: %s stored as %s", i,
                      sample_show(&row[i]), (const char *)sqlite3_column_text(stored, (i + 1) % 3));
        }
        sqlite3_reset(insert);
        sqlite3_reset(select);
        sqlite3_reset(stored);
        cr_assert_eq(sqlite3_step(clear), SQLITE_DONE);
        sqlite3_reset(clear);
    }
    sqlite3_finalize(insert);
    sqlite3_finalize(clear);
    sqlite3_finalize(select);
    sqlite3_finalize(stored);
}

Test(row_codec, row_comes_back_as_an_ordinary_table_stores_it) {
    sqlite3 *db = oracle_open();
    sqlite3_create_function(db, "stored", -1, SQLITE_UTF8, NULL, stored_function, NULL, NULL);
    samples_seed();
    for (unsigned i = 0; i < 75; i++) {
        char key[128];
        char sql[256];
        const char *definition = oracle_key_definition(i % 5, i / 5 % 3, "k");
        const char *type = oracle_types[i / 15];
        snprintf(key, sizeof key, "%s PRIMARY KEY DESC", definition);
        snprintf(sql, sizeof sql,
                 "DROP TABLE IF EXISTS o; CREATE TABLE o(%s PRIMARY KEY, v %s, w) WITHOUT ROWID",
                 definition, type);
        oracle_run(db, sql);
        char column[32];
        snprintf(column, sizeof column, "v %s", type);
        struct table_schema schema = oracle_schema(key, column, "w");
        codec_schema = &schema;
        check_round_trips(db, 400);
        schema_finish(&schema);
    }
    sqlite3_close(db);
}

Test(row_codec, hostile_bytes_are_refused_or_read_within_bounds) {
    struct table_schema schema = oracle_schema("a TEXT", "b", "PRIMARY KEY (b, a)");
    struct row_scalar scalar;
    samples_seed();
    for (int n = 0; n < 200000; n++) {
        /* Exactly as long as claimed, so that the sanitizer sees every step beyond. */
        size_t key_size = samples_below(12);
        size_t value_size = samples_below(20);
        unsigned char *key = malloc(key_size);
        unsigned char *value = malloc(value_size);
        for (size_t i = 0; i < key_size; i++) {
            key[i] = (unsigned char)(samples_below(2) ? 0x10 * samples_below(5) : samples_draw());
        }
        for (size_t i = 0; i < value_size; i++) {
            value[i] =
                (unsigned char)(i == 0 ? 1
                                       : (samples_below(2) ? samples_below(24) : samples_draw()));
        }
        struct row_view view;
        int rc = row_view_open(&view, &schema, (struct faster_bytes){key, key_size},
                               (struct faster_bytes){value, value_size});
        for (int i = 0; i < 4 && rc == SQLITE_OK; i++) {
            rc = row_view_column(&view, (int)samples_below(2), &scalar);
            for (size_t at = 0; rc == SQLITE_OK && at < scalar.size_bytes; at++) {
                cr_assert_geq(((const unsigned char *)scalar.data)[at], 0);
            }
        }
        cr_assert(rc == SQLITE_OK || rc == SQLITE_CORRUPT_VTAB);
        free(key);
        free(value);
    }
    schema_finish(&schema);
}

Test(row_codec, value_of_a_newer_version_is_corrupt) {
    struct table_schema schema = oracle_schema("a", "b", NULL);
    struct row_view view;
    cr_expect_eq(row_view_open(&view, &schema, (struct faster_bytes){"", 0},
                               (struct faster_bytes){"\2\0", 2}),
                 SQLITE_CORRUPT_VTAB);
    schema_finish(&schema);
}

Test(row_codec, null_costs_a_byte_at_most) {
    struct table_schema schema = oracle_schema("a", "b", "c");
    struct row_scalar columns[3] = {{.type = ROW_NULL}};
    struct row_buffer value = {0};
    cr_assert_eq(row_encode(&schema, columns, &value), SQLITE_OK);
    cr_expect_eq(value.size_bytes, 2);
    row_buffer_clear(&value);
    columns[1] = (struct row_scalar){.type = ROW_INTEGER, .integer = 1};
    cr_assert_eq(row_encode(&schema, columns, &value), SQLITE_OK);
    cr_expect_eq(value.size_bytes, 4);
    row_buffer_finish(&value);
    schema_finish(&schema);
}

Test(row_codec, replaced_column_leaves_the_others_as_they_were) {
    struct table_schema schema = oracle_schema("k TEXT COLLATE NOCASE PRIMARY KEY", "b", "c");
    struct row_scalar columns[3] = {{.type = ROW_TEXT, .data = "Key", .size_bytes = 3},
                                    {.type = ROW_INTEGER, .integer = 7},
                                    {.type = ROW_BLOB, .data = "xyz", .size_bytes = 3}};
    struct row_buffer key = {0};
    struct row_buffer value = {0};
    struct row_buffer changed = {0};
    struct row_view view;
    cr_assert_eq(key_encode(&schema, columns, &key), SQLITE_OK);
    cr_assert_eq(row_encode(&schema, columns, &value), SQLITE_OK);
    cr_assert_eq(row_view_open(&view, &schema, row_buffer_bytes(&key), row_buffer_bytes(&value)),
                 SQLITE_OK);
    struct row_scalar eight = {.type = ROW_INTEGER, .integer = 8000};
    cr_assert_eq(row_replace_column(&view, 1, &eight, &changed), SQLITE_OK);
    cr_assert_eq(row_view_open(&view, &schema, row_buffer_bytes(&key), row_buffer_bytes(&changed)),
                 SQLITE_OK);
    struct row_scalar scalar;
    cr_assert_eq(row_view_column(&view, 2, &scalar), SQLITE_OK);
    cr_expect_eq(row_compare(&scalar, &columns[2], SCHEMA_BINARY), 0);
    cr_assert_eq(row_view_column(&view, 0, &scalar), SQLITE_OK);
    cr_expect_eq(row_compare(&scalar, &columns[0], SCHEMA_BINARY), 0);
    cr_assert_eq(row_view_column(&view, 1, &scalar), SQLITE_OK);
    cr_expect_eq(scalar.integer, 8000);
    row_buffer_finish(&key);
    row_buffer_finish(&value);
    row_buffer_finish(&changed);
    schema_finish(&schema);
}
