/* codec_oracle.c - see codec_oracle.h. */
#include "codec_oracle.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED UINT64_C(20240517)

/* ----------------------------------------------------------- random values */

static uint64_t random_state;

void samples_seed(void) {
    const char *text = getenv("FASTER_TEST_SEED");
    random_state = text == NULL ? SEED : strtoull(text, NULL, 10);
}

uint64_t samples_draw(void) {
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

unsigned samples_below(unsigned limit) {
    return (unsigned)(samples_draw() % limit);
}

static struct sample sample_text(const char *text, int size) {
    struct sample sample = {.type = SQLITE_TEXT, .size = size};
    memcpy(sample.bytes, text, (size_t)size);
    return sample;
}

int64_t sample_integer(void) {
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
    switch (samples_below(4)) {
    case 0:
        return (int64_t)samples_draw();
    case 1:
        return (int64_t)(samples_draw() >> samples_below(64));
    case 2:
        return (int64_t)((uint64_t)edges[samples_below(sizeof edges / sizeof edges[0])] +
                         samples_below(3) - 1);
    default:
        return (int64_t)samples_below(6) - 2;
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
    uint64_t bits = samples_draw();
    switch (samples_below(4)) {
    case 0:
        memcpy(&real, &bits, sizeof real);
        return isnan(real) ? 1.25 : real;
    case 1:
        return edges[samples_below(sizeof edges / sizeof edges[0])];
    case 2:
        return (double)sample_integer();
    default:
        return (double)samples_below(40) / 8;
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
    if (samples_below(3) == 0) {
        char text[SAMPLE_TEXT_BYTES_MAX];
        int size = snprintf(text, sizeof text, "%lld", (long long)sample_integer());
        return sample_text(text, size);
    }
    const char *text = texts[samples_below(sizeof texts / sizeof texts[0])];
    return sample_text(text, (int)strlen(text));
}

static struct sample draw_text(void) {
    static const char letters[] = "aAbB  zZ@[`{1\0k\xc3\xa9";
    struct sample sample = {.type = SQLITE_TEXT, .size = (int)samples_below(5)};
    for (int i = 0; i < sample.size; i++) {
        sample.bytes[i] = letters[samples_below(sizeof letters - 1)];
    }
    /* SQLite need not keep broken UTF-8. */
    for (int i = 0; i < sample.size; i++) {
        if ((sample.bytes[i] & 0x80) != 0) {
            sample.bytes[i] = 'e';
        }
    }
    return sample;
}

struct sample sample_any(bool may_be_null) {
    struct sample sample = {.type = SQLITE_NULL};
    switch (samples_below(may_be_null ? 9 : 8)) {
    case 0:
    case 1:
        sample.type = SQLITE_INTEGER;
        sample.integer = sample_integer();
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
            sample.bytes[i] = (char)('a' + samples_below(26));
        } else if ((sample.bytes[i] & 0xc0) == 0x40 && samples_below(2)) {
            sample.bytes[i] ^= 0x20;
        }
        behind_zero = behind_zero || sample.bytes[i] == '\0';
    }
    return sample;
}

/* Something that is often equal to `sample` in one sense or another. */
struct sample sample_relative(struct sample sample) {
    switch (samples_below(6)) {
    case 0:
        return sample_any(false);
    case 1:
        if (sample.type == SQLITE_INTEGER) {
            return (struct sample){.type = SQLITE_FLOAT, .real = (double)sample.integer};
        }
        if (sample.type == SQLITE_FLOAT && fabs(sample.real) < 9e18) {
            return (struct sample){.type = SQLITE_INTEGER, .integer = (int64_t)sample.real};
        }
        return sample;
    case 2: {
        char text[SAMPLE_TEXT_BYTES_MAX];
        if (sample.type == SQLITE_INTEGER) {
            return sample_text(text,
                               snprintf(text, sizeof text, "%lld", (long long)sample.integer));
        }
        if (sample.type == SQLITE_TEXT && sample.size < SAMPLE_TEXT_BYTES_MAX) {
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

void sample_bind(sqlite3_stmt *statement, int index, const struct sample *sample) {
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

const char *sample_show(const struct sample *sample) {
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

/* ---------------------------------------------------------------- database */

const char *const oracle_types[5] = {"", "TEXT", "NUMERIC", "INTEGER", "REAL"};
const char *const oracle_collations[3] = {"BINARY", "NOCASE", "RTRIM"};

sqlite3 *oracle_open(void) {
    sqlite3 *db;
    cr_assert_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
    return db;
}

void oracle_run(sqlite3 *db, const char *sql) {
    char *error = NULL;
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, &error), SQLITE_OK, "%s: %s", sql, error);
}

sqlite3_stmt *oracle_prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement;
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK, "%s: %s", sql,
                 sqlite3_errmsg(db));
    return statement;
}

const char *oracle_key_definition(unsigned type, unsigned collation, const char *name) {
    static char texts[2][80];
    static unsigned next;
    char *text = texts[next++ % 2];
    snprintf(text, sizeof texts[0], "%s %s COLLATE %s", name, oracle_types[type],
             oracle_collations[collation]);
    return text;
}

/* ------------------------------------------------------------------- codec */

const struct table_schema *codec_schema;

struct table_schema oracle_schema(const char *first, const char *second, const char *third) {
    struct table_schema schema;
    char *error;
    const char *arguments[] = {first, second, third};
    int count = third != NULL ? 3 : (second != NULL ? 2 : 1);
    cr_assert_eq(schema_parse("t", count, arguments, &schema, &error), SQLITE_OK, "%s", error);
    return schema;
}

void codec_load_columns(sqlite3_value **values, struct row_scalar *columns) {
    for (int i = 0; i < codec_schema->column_count; i++) {
        cr_assert_eq(
            row_scalar_from_value(values[i], codec_schema->columns[i].affinity, &columns[i]),
            SQLITE_OK);
    }
}

void codec_finish_columns(struct row_scalar *columns) {
    for (int i = 0; i < codec_schema->column_count; i++) {
        row_scalar_finish(&columns[i]);
    }
}

void codec_encode_key(const struct row_scalar *columns, struct row_buffer *key) {
    struct row_scalar parts[4];
    for (int i = 0; i < codec_schema->key_count; i++) {
        parts[i] = columns[codec_schema->key[i].column];
    }
    cr_assert_eq(key_encode(codec_schema, parts, key), SQLITE_OK);
}

/* encode(columns...): the key. */
static void encode_function(sqlite3_context *context, int count, sqlite3_value **values) {
    struct row_scalar columns[4];
    struct row_buffer key = {0};
    (void)count;
    codec_load_columns(values, columns);
    codec_encode_key(columns, &key);
    sqlite3_result_blob(context, key.data, (int)key.size_bytes, SQLITE_TRANSIENT);
    row_buffer_finish(&key);
    codec_finish_columns(columns);
}

void codec_add_encode(sqlite3 *db) {
    (void)sqlite3_create_function(db, "encode", -1, SQLITE_UTF8, NULL, encode_function, NULL, NULL);
}
