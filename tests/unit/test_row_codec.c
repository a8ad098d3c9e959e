/* test_row_codec.c - rows, keys and plans against SQLite itself.
 *
 * Strategy: random values go into an ordinary table with the same declaration (the
 * oracle) and through the codec, inside SQL functions, so that both get the same
 * sqlite3_value. Invariants: keys have equal bytes iff the oracle's unique index calls
 * them equal; a row gives back value and type exactly as the oracle stores them; a plan's
 * lookups never miss a row the oracle finds.
 *
 * Every test starts from SEED; FASTER_TEST_SEED replaces it, and a failure prints the
 * values concerned.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "row_codec.h"
#include "schema.h"

#define SEED UINT64_C(20240517)
#define PAIR_COUNT 60000
#define PROBE_COUNT 40000
#define TEXT_BYTES_MAX 24

/* ------------------------------------------------------------ random values */

static uint64_t random_state;

static void seed_random(void) {
    const char *text = getenv("FASTER_TEST_SEED");
    random_state = text == NULL ? SEED : strtoull(text, NULL, 10);
}

static uint64_t draw(void) {
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static unsigned below(unsigned limit) {
    return (unsigned)(draw() % limit);
}

struct sample {
    int type; /* SQLITE_INTEGER, ... */
    int64_t integer;
    double real;
    char bytes[TEXT_BYTES_MAX];
    int size;
};

static struct sample sample_text(const char *text, int size) {
    struct sample sample = {.type = SQLITE_TEXT, .size = size};
    memcpy(sample.bytes, text, (size_t)size);
    return sample;
}

static int64_t draw_integer(void) {
    static const int64_t edges[] = {0,
                                    1,
                                    -1,
                                    127,
                                    128,
                                    -128,
                                    -129,
                                    32767,
                                    32768,
                                    1 << 23,
                                    INT64_C(1) << 31,
                                    INT64_C(140737488355327),
                                    INT64_C(140737488355328),
                                    INT64_C(1) << 53,
                                    INT64_C(1000000000000000000),
                                    INT64_MAX,
                                    INT64_MIN};
    switch (below(4)) {
    case 0:
        return (int64_t)draw();
    case 1:
        return (int64_t)(draw() >> below(64));
    case 2:
        return (int64_t)((uint64_t)edges[below(sizeof edges / sizeof edges[0])] + below(3) - 1);
    default:
        return (int64_t)below(6) - 2;
    }
}

static double draw_real(void) {
    static const double edges[] = {0.0,
                                   -0.0,
                                   0.5,
                                   1.5,
                                   1e10,
                                   1e18,
                                   9007199254740993.0,
                                   1e300,
                                   9223372036854775808.0,
                                   -9223372036854775808.0,
                                   9223372036854774784.0,
                                   1e-320,
                                   INFINITY,
                                   -INFINITY,
                                   42.0};
    double real;
    uint64_t bits = draw();
    switch (below(4)) {
    case 0:
        memcpy(&real, &bits, sizeof real);
        return isnan(real) ? 1.25 : real;
    case 1:
        return edges[below(sizeof edges / sizeof edges[0])];
    case 2:
        return (double)draw_integer();
    default:
        return (double)below(40) / 8;
    }
}

static struct sample draw_number_text(void) {
    static const char *const texts[] = {"1",
                                        "01",
                                        "1.0",
                                        " 1",
                                        "1 ",
                                        "+1",
                                        "1e0",
                                        "-0",
                                        "0",
                                        "0.0",
                                        ".5",
                                        "5.",
                                        "1e",
                                        "0x1",
                                        "1_0",
                                        "inf",
                                        "Inf",
                                        "1.5",
                                        "42",
                                        "4.2e1",
                                        "9223372036854775807",
                                        "9223372036854775808",
                                        "-9223372036854775808",
                                        "9007199254740993",
                                        "1e18",
                                        "nan",
                                        "-",
                                        "\t2\n",
                                        "2\v",
                                        "1 2",
                                        "1e400",
                                        "Inf "};
    if (below(3) == 0) {
        char text[TEXT_BYTES_MAX];
        int size = snprintf(text, sizeof text, "%lld", (long long)draw_integer());
        return sample_text(text, size);
    }
    const char *text = texts[below(sizeof texts / sizeof texts[0])];
    return sample_text(text, (int)strlen(text));
}

static struct sample draw_text(void) {
    static const char letters[] = "aAbB  zZ@[`{1\0k\xc3\xa9";
    struct sample sample = {.type = SQLITE_TEXT, .size = (int)below(5)};
    for (int i = 0; i < sample.size; i++) {
        sample.bytes[i] = letters[below(sizeof letters - 1)];
    }
    /* SQLite need not keep broken UTF-8. */
    for (int i = 0; i < sample.size; i++) {
        if ((sample.bytes[i] & 0x80) != 0) {
            sample.bytes[i] = 'e';
        }
    }
    return sample;
}

static struct sample draw_sample(bool may_be_null) {
    struct sample sample = {.type = SQLITE_NULL};
    switch (below(may_be_null ? 9 : 8)) {
    case 0:
    case 1:
        sample.type = SQLITE_INTEGER;
        sample.integer = draw_integer();
        return sample;
    case 2:
    case 3:
        sample.type = SQLITE_FLOAT;
        sample.real = draw_real();
        return sample;
    case 4:
        sample = draw_text();
        sample.type = SQLITE_BLOB;
        return sample;
    case 5:
        return draw_number_text();
    case 6:
    case 7:
        return draw_text();
    default:
        return sample;
    }
}

/* Flips the bit that is a letter's case, also in what is no letter, and changes what
 * stands behind a zero byte, which NOCASE does not look at. */
static struct sample draw_similar_text(struct sample sample) {
    bool behind_zero = false;
    for (int i = 0; i < sample.size && sample.type == SQLITE_TEXT; i++) {
        if (behind_zero) {
            sample.bytes[i] = (char)('a' + below(26));
        } else if ((sample.bytes[i] & 0xc0) == 0x40 && below(2)) {
            sample.bytes[i] ^= 0x20;
        }
        behind_zero = behind_zero || sample.bytes[i] == '\0';
    }
    return sample;
}

/* Something that is often equal to `sample` in one sense or another. */
static struct sample draw_relative(struct sample sample) {
    switch (below(6)) {
    case 0:
        return draw_sample(false);
    case 1:
        if (sample.type == SQLITE_INTEGER) {
            return (struct sample){.type = SQLITE_FLOAT, .real = (double)sample.integer};
        }
        if (sample.type == SQLITE_FLOAT && fabs(sample.real) < 9e18) {
            return (struct sample){.type = SQLITE_INTEGER, .integer = (int64_t)sample.real};
        }
        return sample;
    case 2: {
        char text[TEXT_BYTES_MAX];
        if (sample.type == SQLITE_INTEGER) {
            return sample_text(text,
                               snprintf(text, sizeof text, "%lld", (long long)sample.integer));
        }
        if (sample.type == SQLITE_TEXT && sample.size < TEXT_BYTES_MAX) {
            sample.bytes[sample.size++] = ' ';
        }
        return sample;
    }
    case 3:
        return draw_similar_text(sample);
    case 4:
        if (sample.type == SQLITE_TEXT || sample.type == SQLITE_BLOB) {
            sample.type = SQLITE_TEXT + SQLITE_BLOB - sample.type;
        }
        return sample;
    default:
        return sample;
    }
}

static void bind_sample(sqlite3_stmt *statement, int index, const struct sample *sample) {
    int rc = SQLITE_ERROR;
    switch (sample->type) {
    case SQLITE_INTEGER:
        rc = sqlite3_bind_int64(statement, index, sample->integer);
        break;
    case SQLITE_FLOAT:
        rc = sqlite3_bind_double(statement, index, sample->real);
        break;
    case SQLITE_TEXT:
        rc = sqlite3_bind_text(statement, index, sample->bytes, sample->size, SQLITE_TRANSIENT);
        break;
    case SQLITE_BLOB:
        rc = sample->size == 0 ? sqlite3_bind_zeroblob(statement, index, 0)
                               : sqlite3_bind_blob(statement, index, sample->bytes, sample->size,
                                                   SQLITE_TRANSIENT);
        break;
    default:
        rc = sqlite3_bind_null(statement, index);
        break;
    }
    cr_assert_eq(rc, SQLITE_OK);
}

static const char *show(const struct sample *sample) {
    static char texts[4][128];
    static unsigned next;
    char *text = texts[next++ % 4];
    if (sample->type == SQLITE_INTEGER) {
        snprintf(text, sizeof texts[0], "%lld", (long long)sample->integer);
    } else if (sample->type == SQLITE_FLOAT) {
        snprintf(text, sizeof texts[0], "real %.17g", sample->real);
    } else {
        snprintf(text, sizeof texts[0], "type %d, %d bytes: %.*s", sample->type, sample->size,
                 sample->size, sample->bytes);
    }
    return text;
}

/* ----------------------------------------------------------------- database */

static sqlite3 *open_database(void) {
    sqlite3 *db;
    cr_assert_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
    return db;
}

static void run(sqlite3 *db, const char *sql) {
    char *error = NULL;
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, &error), SQLITE_OK, "%s: %s", sql, error);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement;
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK, "%s: %s", sql,
                 sqlite3_errmsg(db));
    return statement;
}

static struct table_schema parse(const char *first, const char *second, const char *third) {
    struct table_schema schema;
    char *error;
    const char *arguments[] = {first, second, third};
    int count = third != NULL ? 3 : (second != NULL ? 2 : 1);
    cr_assert_eq(schema_parse("t", count, arguments, &schema, &error), SQLITE_OK, "%s", error);
    return schema;
}

static const char *const types[] = {"", "TEXT", "NUMERIC", "INTEGER", "REAL"};
static const char *const collations[] = {"BINARY", "NOCASE", "RTRIM"};

/* "k TEXT COLLATE NOCASE", and so on; DESC keeps INTEGER from being the rowid. */
static const char *key_definition(unsigned type, unsigned collation, const char *name) {
    static char texts[2][80];
    static unsigned next;
    char *text = texts[next++ % 2];
    snprintf(text, sizeof texts[0], "%s %s COLLATE %s", name, types[type], collations[collation]);
    return text;
}

/* --------------------------------------------------------------- functions */

static struct table_schema *current;

static void load_columns(sqlite3_value **values, struct row_scalar *columns) {
    for (int i = 0; i < current->column_count; i++) {
        cr_assert_eq(row_scalar_from_value(values[i], current->columns[i].affinity, &columns[i]),
                     SQLITE_OK);
    }
}

static void encode_key(const struct row_scalar *columns, struct row_buffer *key) {
    struct row_scalar parts[4];
    for (int i = 0; i < current->key_count; i++) {
        parts[i] = columns[current->key[i].column];
    }
    cr_assert_eq(key_encode(current, parts, key), SQLITE_OK);
}

/* encode(columns...): the key. */
static void encode_function(sqlite3_context *context, int count, sqlite3_value **values) {
    struct row_scalar columns[4];
    struct row_buffer key = {0};
    (void)count;
    load_columns(values, columns);
    encode_key(columns, &key);
    sqlite3_result_blob(context, key.data, (int)key.size_bytes, SQLITE_TRANSIENT);
    row_buffer_finish(&key);
    for (int i = 0; i < current->column_count; i++) {
        row_scalar_finish(&columns[i]);
    }
}

/* stored(n, columns...): column n after a round trip through a record. */
static void stored_function(sqlite3_context *context, int count, sqlite3_value **values) {
    struct row_scalar columns[4];
    struct row_buffer key = {0};
    struct row_buffer value = {0};
    struct row_view view;
    (void)count;
    load_columns(values + 1, columns);
    if (current->key_count > 0) {
        encode_key(columns, &key);
    }
    cr_assert_eq(row_encode(current, columns, &value), SQLITE_OK);
    cr_assert_eq(row_view_open(&view, current, row_buffer_bytes(&key), row_buffer_bytes(&value)),
                 SQLITE_OK);
    int column = sqlite3_value_int(values[0]);
    cr_assert_eq(row_view_result(&view, column, context, SQLITE_TRANSIENT), SQLITE_OK);
    row_buffer_finish(&key);
    row_buffer_finish(&value);
    for (int i = 0; i < current->column_count; i++) {
        row_scalar_finish(&columns[i]);
    }
}

/* Set by probe(). */
static enum key_text probe_text;
static enum plan_answer probe_answer;
static struct plan_keys probe_keys;

/* probe(key values...): 0; the answer is in the variables. */
static void probe_function(sqlite3_context *context, int count, sqlite3_value **values) {
    int before[4];
    plan_keys_clear(&probe_keys);
    for (int i = 0; i < count; i++) {
        before[i] = sqlite3_value_type(values[i]);
    }
    cr_assert_eq(plan_probe(current, values, probe_text, &probe_keys, &probe_answer), SQLITE_OK);
    for (int i = 0; i < count; i++) {
        cr_assert_eq(sqlite3_value_type(values[i]), before[i]);
    }
    plan_keys_unique(&probe_keys);
    sqlite3_result_int(context, 0);
}

static void add_functions(sqlite3 *db) {
    sqlite3_create_function(db, "encode", -1, SQLITE_UTF8, NULL, encode_function, NULL, NULL);
    sqlite3_create_function(db, "stored", -1, SQLITE_UTF8, NULL, stored_function, NULL, NULL);
    sqlite3_create_function(db, "probe", -1, SQLITE_UTF8, NULL, probe_function, NULL, NULL);
}

/* ------------------------------------------------------------------- keys */

/* True if the oracle's unique index takes both rows of `width` values. */
static bool oracle_differs(sqlite3_stmt *insert, sqlite3_stmt *clear, const struct sample *a,
                           const struct sample *b, int width) {
    const struct sample *rows[] = {a, b};
    bool stored = true;
    for (int row = 0; row < 2; row++) {
        for (int i = 0; i < width; i++) {
            bind_sample(insert, i + 1, &rows[row][i]);
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
        bind_sample(compare, i + 1, &a[i]);
        bind_sample(compare, width + i + 1, &b[i]);
    }
    cr_assert_eq(sqlite3_step(compare), SQLITE_ROW);
    bool differs = sqlite3_column_int(compare, 0) != 0;
    sqlite3_reset(compare);
    return differs;
}

static void check_pairs(sqlite3 *db, const char *insert_sql, const char *compare_sql, int width,
                        int count) {
    sqlite3_stmt *insert = prepare(db, insert_sql);
    sqlite3_stmt *clear = prepare(db, "DELETE FROM o");
    sqlite3_stmt *compare = prepare(db, compare_sql);
    int equal_count = 0;
    for (int n = 0; n < count; n++) {
        struct sample a[2];
        struct sample b[2];
        for (int i = 0; i < width; i++) {
            a[i] = draw_sample(false);
            b[i] = draw_relative(a[i]);
        }
        bool expected = oracle_differs(insert, clear, a, b, width);
        cr_assert_eq(codec_differs(compare, a, b, width), expected, "%s: %s and %s", insert_sql,
                     show(a), show(b));
        equal_count += !expected;
    }
    cr_assert_gt(equal_count, count / 20);
    sqlite3_finalize(insert);
    sqlite3_finalize(clear);
    sqlite3_finalize(compare);
}

Test(key_codec, bytes_are_equal_iff_sqlite_says_so) {
    sqlite3 *db = open_database();
    add_functions(db);
    seed_random();
    for (unsigned i = 0; i < 15; i++) {
        const char *definition = key_definition(i % 5, i / 5, "k");
        char argument[128];
        char sql[256];
        snprintf(argument, sizeof argument, "%s PRIMARY KEY DESC", definition);
        snprintf(sql, sizeof sql,
                 "DROP TABLE IF EXISTS o; CREATE TABLE o(%s PRIMARY KEY) WITHOUT ROWID",
                 definition);
        run(db, sql);
        struct table_schema schema = parse(argument, NULL, NULL);
        current = &schema;
        cr_assert_eq(schema.kind, SCHEMA_KEY_SINGLE);
        check_pairs(db, "INSERT INTO o VALUES (?)", "SELECT encode(?1) <> encode(?2)", 1,
                    PAIR_COUNT / 15);
        schema_finish(&schema);
    }
    sqlite3_close(db);
}

Test(key_codec, several_parts_are_equal_iff_sqlite_says_so) {
    sqlite3 *db = open_database();
    add_functions(db);
    seed_random();
    for (int n = 0; n < 30; n++) {
        const char *a = key_definition(below(5), below(3), "a");
        const char *b = key_definition(below(5), below(3), "b");
        char sql[256];
        snprintf(sql, sizeof sql,
                 "DROP TABLE IF EXISTS o; CREATE TABLE o(%s, %s, PRIMARY KEY (a, b)) WITHOUT ROWID",
                 a, b);
        run(db, sql);
        struct table_schema schema = parse(a, b, "PRIMARY KEY (a, b)");
        current = &schema;
        check_pairs(db, "INSERT INTO o VALUES (?, ?)", "SELECT encode(?1, ?2) <> encode(?3, ?4)", 2,
                    1000);
        schema_finish(&schema);
    }
    sqlite3_close(db);
}

Test(key_codec, rowids_round_trip_and_damage_is_found) {
    unsigned char key[KEY_ROWID_BYTES];
    int64_t rowid;
    seed_random();
    for (int n = 0; n < 1000; n++) {
        int64_t expected = draw_integer();
        key_encode_rowid(expected, key);
        cr_assert_eq(key_decode_rowid((struct faster_bytes){key, sizeof key}, &rowid), SQLITE_OK);
        cr_assert_eq(rowid, expected);
    }
    cr_expect_eq(key_decode_rowid((struct faster_bytes){key, 7}, &rowid), SQLITE_CORRUPT_VTAB);
}

/* -------------------------------------------------------------------- rows */

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
    sqlite3_stmt *insert = prepare(db, "INSERT OR REPLACE INTO o VALUES (?, ?, ?)");
    sqlite3_stmt *clear = prepare(db, "DELETE FROM o");
    sqlite3_stmt *select = prepare(db, "SELECT * FROM o");
    sqlite3_stmt *stored =
        prepare(db, "SELECT stored(2, ?1, ?2, ?3), stored(0, ?1, ?2, ?3), stored(1, ?1, ?2, ?3)");
    for (int n = 0; n < count; n++) {
        struct sample row[3];
        for (int i = 0; i < 3; i++) {
            row[i] = draw_sample(i > 0);
            bind_sample(insert, i + 1, &row[i]);
            bind_sample(stored, i + 1, &row[i]);
        }
        cr_assert_eq(sqlite3_step(insert), SQLITE_DONE);
        cr_assert_eq(sqlite3_step(select), SQLITE_ROW);
        cr_assert_eq(sqlite3_step(stored), SQLITE_ROW);
        for (int i = 0; i < 3; i++) {
            cr_assert(same_column(select, i, stored, (i + 1) % 3), "column %d: %s stored as %s", i,
                      show(&row[i]), (const char *)sqlite3_column_text(stored, (i + 1) % 3));
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

Test(row_codec, rows_come_back_as_an_ordinary_table_stores_them) {
    sqlite3 *db = open_database();
    add_functions(db);
    seed_random();
    for (unsigned i = 0; i < 75; i++) {
        char key[128];
        char sql[256];
        const char *definition = key_definition(i % 5, i / 5 % 3, "k");
        const char *type = types[i / 15];
        snprintf(key, sizeof key, "%s PRIMARY KEY DESC", definition);
        snprintf(sql, sizeof sql,
                 "DROP TABLE IF EXISTS o; CREATE TABLE o(%s PRIMARY KEY, v %s, w) WITHOUT ROWID",
                 definition, type);
        run(db, sql);
        char column[32];
        snprintf(column, sizeof column, "v %s", type);
        struct table_schema schema = parse(key, column, "w");
        current = &schema;
        check_round_trips(db, 400);
        schema_finish(&schema);
    }
    sqlite3_close(db);
}

Test(row_codec, hostile_bytes_are_refused_or_read_within_bounds) {
    struct table_schema schema = parse("a TEXT", "b", "PRIMARY KEY (b, a)");
    struct row_scalar scalar;
    seed_random();
    for (int n = 0; n < 200000; n++) {
        /* Exactly as long as claimed, so that the sanitizer sees every step beyond. */
        size_t key_size = below(12);
        size_t value_size = below(20);
        unsigned char *key = malloc(key_size);
        unsigned char *value = malloc(value_size);
        for (size_t i = 0; i < key_size; i++) {
            key[i] = (unsigned char)(below(2) ? 0x10 * below(5) : draw());
        }
        for (size_t i = 0; i < value_size; i++) {
            value[i] = (unsigned char)(i == 0 ? 1 : (below(2) ? below(24) : draw()));
        }
        struct row_view view;
        int rc = row_view_open(&view, &schema, (struct faster_bytes){key, key_size},
                               (struct faster_bytes){value, value_size});
        for (int i = 0; i < 4 && rc == SQLITE_OK; i++) {
            rc = row_view_column(&view, (int)below(2), &scalar);
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

Test(row_codec, a_value_from_a_newer_version_is_refused) {
    struct table_schema schema = parse("a", "b", NULL);
    struct row_view view;
    cr_expect_eq(row_view_open(&view, &schema, (struct faster_bytes){"", 0},
                               (struct faster_bytes){"\2\0", 2}),
                 SQLITE_CORRUPT_VTAB);
    schema_finish(&schema);
}

Test(row_codec, nulls_cost_a_byte_at_most) {
    struct table_schema schema = parse("a", "b", "c");
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

Test(row_codec, one_column_is_replaced) {
    struct table_schema schema = parse("k TEXT COLLATE NOCASE PRIMARY KEY", "b", "c");
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

/* -------------------------------------------------------------- arithmetic */

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

Test(row_codec, values_are_ordered_as_sqlite_orders_them) {
    sqlite3 *db = open_database();
    sqlite3_create_function(db, "compared", 3, SQLITE_UTF8, NULL, compared_function, NULL, NULL);
    seed_random();
    for (int collation = 0; collation < 3; collation++) {
        char sql[256];
        snprintf(sql, sizeof sql,
                 "SELECT compared(?1, ?2, %d), (?1 > ?2 COLLATE %s) - (?1 < ?2 COLLATE %s)",
                 collation, collations[collation], collations[collation]);
        sqlite3_stmt *compare = prepare(db, sql);
        for (int n = 0; n < 20000; n++) {
            struct sample a = draw_sample(false);
            struct sample b = draw_relative(a);
            bind_sample(compare, 1, &a);
            bind_sample(compare, 2, &b);
            cr_assert_eq(sqlite3_step(compare), SQLITE_ROW);
            cr_assert_eq(sqlite3_column_int(compare, 0), sqlite3_column_int(compare, 1),
                         "%s and %s", show(&a), show(&b));
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

Test(row_codec, add_never_overflows_silently) {
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

Test(row_codec, min_and_max_ignore_null) {
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

Test(row_codec, append_joins_and_keeps_blobs) {
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

/* ------------------------------------------------------------------- plans */

static bool probe_contains(const void *key, size_t size) {
    for (size_t i = 0; i < probe_keys.count; i++) {
        struct faster_bytes bytes = plan_keys_at(&probe_keys, i);
        if (bytes.size_bytes == size && memcmp(bytes.data, key, size) == 0) {
            return true;
        }
    }
    return false;
}

static enum key_text text_of_key(const struct sample *key, enum schema_affinity affinity) {
    sqlite3 *db = open_database();
    sqlite3_stmt *statement = prepare(db, "SELECT ?");
    bind_sample(statement, 1, key);
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    sqlite3_value *value = sqlite3_value_dup(sqlite3_column_value(statement, 0));
    struct row_scalar scalar;
    cr_assert_eq(row_scalar_from_value(value, affinity, &scalar), SQLITE_OK);
    enum key_text text = key_text_of(&scalar, 1);
    row_scalar_finish(&scalar);
    sqlite3_value_free(value);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return text;
}

/* The oracle's answer to `k = x`, where x is a column or a parameter. */
static bool oracle_matches(sqlite3_stmt *match, const struct sample *right, bool is_parameter) {
    if (is_parameter) {
        bind_sample(match, 1, right);
    }
    cr_assert_eq(sqlite3_step(match), SQLITE_ROW);
    bool matches = sqlite3_column_int(match, 0) != 0;
    sqlite3_reset(match);
    return matches;
}

static void bind_and_run(sqlite3 *db, const char *sql, const struct sample *sample) {
    sqlite3_stmt *statement = prepare(db, sql);
    bind_sample(statement, 1, sample);
    int rc = sqlite3_step(statement);
    cr_assert(rc == SQLITE_DONE || rc == SQLITE_ROW);
    sqlite3_finalize(statement);
}

struct probe_counts {
    int match, exact, all;
};

static void check_probe(sqlite3 *db, bool is_parameter, struct probe_counts *counts) {
    struct sample key = draw_sample(false);
    struct sample right = draw_relative(key);
    if (below(20) == 0) {
        right.type = SQLITE_NULL;
    }
    run(db, "DELETE FROM o; DELETE FROM r");
    bind_and_run(db, "INSERT INTO o VALUES (?)", &key);
    bind_and_run(db, "INSERT INTO r VALUES (?)", &right);
    sqlite3_stmt *match = prepare(db, is_parameter ? "SELECT count(*) FROM o WHERE k = ?"
                                                   : "SELECT count(*) FROM o, r WHERE k = x");
    bool matches = oracle_matches(match, &right, is_parameter);
    sqlite3_finalize(match);

    probe_text = text_of_key(&key, current->columns[0].affinity);
    bind_and_run(db,
                 is_parameter ? "SELECT probe(?)" : "SELECT probe(x) FROM r WHERE ? IS NOT 7.25",
                 &right);
    sqlite3_stmt *encode = prepare(db, "SELECT encode(k) FROM o");
    cr_assert_eq(sqlite3_step(encode), SQLITE_ROW);
    bool found =
        probe_contains(sqlite3_column_blob(encode, 0), (size_t)sqlite3_column_bytes(encode, 0));
    sqlite3_finalize(encode);
    cr_assert(!matches || probe_answer == PLAN_ALL || (probe_answer == PLAN_EXACT && found),
              "key %s of affinity %d, right side %s, parameter %d: answer %d", show(&key),
              current->columns[0].affinity, show(&right), is_parameter, probe_answer);
    cr_assert(probe_answer == PLAN_EXACT ? probe_keys.count > 0 : probe_keys.count == 0);
    counts->match += matches;
    counts->exact += probe_answer == PLAN_EXACT;
    counts->all += probe_answer == PLAN_ALL;
}

Test(plan, probes_never_miss_a_match, .timeout = 300) {
    sqlite3 *db = open_database();
    add_functions(db);
    seed_random();
    struct probe_counts counts = {0};
    for (unsigned i = 0; i < 75; i++) {
        const char *definition = key_definition(i % 5, i / 5 % 3, "k");
        char key[128];
        char sql[256];
        snprintf(key, sizeof key, "%s PRIMARY KEY DESC", definition);
        struct table_schema schema = parse(key, NULL, NULL);
        current = &schema;
        snprintf(sql, sizeof sql,
                 "DROP TABLE IF EXISTS o; DROP TABLE IF EXISTS r; CREATE TABLE r(x %s);"
                 "CREATE TABLE o(%s PRIMARY KEY) WITHOUT ROWID",
                 types[i / 15], definition);
        run(db, sql);
        for (int n = 0; n < PROBE_COUNT / 75; n++) {
            check_probe(db, n % 2 == 0, &counts);
        }
        schema_finish(&schema);
    }
    plan_keys_finish(&probe_keys);
    cr_expect_gt(counts.match, PROBE_COUNT / 10);
    cr_expect_gt(counts.exact, PROBE_COUNT / 2);
    cr_expect_lt(counts.all, PROBE_COUNT / 5);
    sqlite3_close(db);
}

static void probe_one(sqlite3 *db, const char *sql, enum key_text text) {
    probe_text = text;
    run(db, sql);
}

Test(plan, answers_in_detail) {
    sqlite3 *db = open_database();
    add_functions(db);
    struct table_schema schema = parse("k PRIMARY KEY", NULL, NULL);
    current = &schema;
    probe_one(db, "SELECT probe(42)", KEY_TEXT_PLAIN);
    cr_expect(probe_answer == PLAN_EXACT && probe_keys.count == 1);
    probe_one(db, "SELECT probe(42)", KEY_TEXT_CANONICAL);
    cr_expect(probe_answer == PLAN_EXACT && probe_keys.count == 2);
    probe_one(db, "SELECT probe(42)", KEY_TEXT_ANY);
    cr_expect_eq(probe_answer, PLAN_ALL);
    probe_one(db, "SELECT probe('042')", KEY_TEXT_ANY);
    cr_expect(probe_answer == PLAN_EXACT && probe_keys.count == 1);
    probe_one(db, "SELECT probe(NULL)", KEY_TEXT_ANY);
    cr_expect_eq(probe_answer, PLAN_NONE);
    probe_one(db, "SELECT probe(zeroblob(70000))", KEY_TEXT_ANY);
    cr_expect_eq(probe_answer, PLAN_NONE);
    schema_finish(&schema);

    schema = parse("id INTEGER PRIMARY KEY", NULL, NULL);
    probe_one(db, "SELECT probe('7')", KEY_TEXT_ANY);
    cr_expect(probe_answer == PLAN_EXACT && probe_keys.count == 1);
    probe_one(db, "SELECT probe(7.5)", KEY_TEXT_ANY);
    cr_expect_eq(probe_answer, PLAN_NONE);
    probe_one(db, "SELECT probe('x')", KEY_TEXT_ANY);
    cr_expect_eq(probe_answer, PLAN_NONE);
    schema_finish(&schema);

    schema = parse("a", "b TEXT", "PRIMARY KEY (a, b)");
    probe_one(db, "SELECT probe(1, 2.0)", KEY_TEXT_CANONICAL);
    cr_expect(probe_answer == PLAN_EXACT && probe_keys.count == 4);
    probe_one(db, "SELECT probe(1, NULL)", KEY_TEXT_ANY);
    cr_expect_eq(probe_answer, PLAN_NONE);
    schema_finish(&schema);
    plan_keys_finish(&probe_keys);
    sqlite3_close(db);
}
