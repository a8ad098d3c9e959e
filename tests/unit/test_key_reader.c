/* test_key_reader.c - lists of keys: JSON against SQLite's own, packed blobs, damaged input.
 *
 * Invariant: text that is accepted is valid JSON for SQLite and gives the same values; text that
 * SQLite takes as an array of scalars is accepted. Input lies in memory of exactly its size, so
 * that the address sanitizer sees a byte too many.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/key_reader.h"
#include "codec_oracle.h"

#define TEXT_COUNT 60000
#define BLOB_COUNT 100000
#define INPUT_BYTES_MAX 400

/* One value as a line of text, so that lists can be compared. */
static void describe(char *line, size_t size, enum key_item item, const struct row_scalar *scalar) {
    static const char *const names[] = {"null", "integer", "real", "text", "blob"};
    int used =
        snprintf(line, size, "%s", item == KEY_ITEM_DECIMAL ? "decimal" : names[scalar->type]);
    if (scalar->type == ROW_INTEGER) {
        snprintf(line + used, size - (size_t)used, " %lld", (long long)scalar->integer);
    } else if (scalar->type == ROW_REAL) {
        snprintf(line + used, size - (size_t)used, " %a", scalar->real);
    } else if (item != KEY_ITEM_DECIMAL && scalar->type != ROW_NULL) {
        const unsigned char *bytes = scalar->data;
        for (size_t i = 0; i < scalar->size_bytes && (size_t)used + 3 < size; i++) {
            used += snprintf(line + used, size - (size_t)used, i == 0 ? " %02x" : "%02x", bytes[i]);
        }
    }
}

struct answer {
    int rc;
    size_t count;
    char lines[64][200];
    char problem[100];
    size_t at_bytes;
};

static void read_all(bool is_json, const void *data, size_t size, struct answer *answer) {
    struct key_reader reader;
    struct row_scalar scalar;
    enum key_item item = KEY_ITEM_VALUE;
    void *exact = malloc(size == 0 ? 1 : size);
    memcpy(exact, data, size);
    *answer = (struct answer){.rc = key_reader_init(&reader, is_json, exact, size)};
    while (answer->rc == SQLITE_OK && item != KEY_ITEM_END) {
        answer->rc = key_reader_next(&reader, &item, &scalar);
        if (answer->rc == SQLITE_OK && item != KEY_ITEM_END) {
            cr_assert_eq(reader.index, answer->count + 1);
            describe(answer->lines[answer->count % 64], sizeof answer->lines[0], item, &scalar);
            answer->count++;
        }
    }
    cr_assert((answer->rc == SQLITE_ERROR) == (reader.problem != NULL));
    cr_assert_leq(reader.problem_at_bytes, size);
    if (reader.problem != NULL) {
        snprintf(answer->problem, sizeof answer->problem, "%s", reader.problem);
        answer->at_bytes = reader.problem_at_bytes;
    } else {
        cr_assert_eq(key_reader_next(&reader, &item, &scalar), SQLITE_OK);
        cr_assert_eq(item, KEY_ITEM_END);
    }
    key_reader_finish(&reader);
    free(exact);
}

static void expect_json(const char *text, size_t count, ...) {
    struct answer answer;
    read_all(true, text, strlen(text), &answer);
    cr_assert_eq(answer.rc, SQLITE_OK, "%s: %s", text, answer.problem);
    cr_assert_eq(answer.count, count, "%s: %zu keys", text, answer.count);
    va_list lines;
    va_start(lines, count);
    for (size_t i = 0; i < count; i++) {
        cr_assert_str_eq(answer.lines[i], va_arg(lines, const char *), "%s", text);
    }
    va_end(lines);
}

Test(key_reader, json_values_are_what_they_say) {
    expect_json("[]", 0);
    expect_json(" [ ] ", 0);
    expect_json("\t[1,\n-2 ,\r0,-0]", 4, "integer 1", "integer -2", "integer 0", "integer 0");
    expect_json("[9223372036854775807,-9223372036854775808]", 2, "integer 9223372036854775807",
                "integer -9223372036854775808");
    expect_json("[9223372036854775808,-9223372036854775809,1e2,1.0,-0.5E-3]", 5, "decimal",
                "decimal", "decimal", "decimal", "decimal");
    expect_json("[true,false,null,\"\"]", 4, "integer 1", "integer 0", "null", "text");
    expect_json("[\"ab\",\"a\\\"b\\\\\\/\\b\\f\\n\\r\\t\"]", 2, "text 6162",
                "text 6122625c2f080c0a0d09");
    expect_json("[\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\\u0000z\"]", 1,
                "text 41c3a9e282acf09f9880007a");
    expect_json("[\"x\xc3\xa9\"]", 1, "text 78c3a9");
}

Test(key_reader, bad_json_is_named_with_its_place) {
    static const struct {
        const char *text;
        size_t at_bytes;
        const char *words;
    } bad[] = {
        {"", 0, "array"},
        {"  ", 2, "array"},
        {"{}", 0, "array"},
        {"1", 0, "array"},
        {"[", 1, "expected"},
        {"[1", 2, "','"},
        {"[1,]", 3, "expected"},
        {"[,1]", 1, "expected"},
        {"[1 2]", 3, "','"},
        {"[1] x", 4, "follows"},
        {"[[1]]", 1, "nested"},
        {"[1,{\"a\":1}]", 3, "nested"},
        {"[01]", 1, "number"},
        {"[1.]", 1, "number"},
        {"[.5]", 1, "expected"},
        {"[-]", 1, "number"},
        {"[1e]", 1, "number"},
        {"[+1]", 1, "expected"},
        {"[tru]", 1, "expected"},
        {"[NaN]", 1, "expected"},
        {"['a']", 1, "expected"},
        {"[\"a]", 1, "end"},
        {"[\"a\\\"]", 1, "end"},
        {"[\"a\n\"]", 3, "control"},
        {"[\"\\x\"]", 2, "escape"},
        {"[\"\\", 2, "escape"},
        {"[\"\\u12g4\"]", 2, "hexadecimal"},
        {"[\"\\u12", 2, "hexadecimal"},
        {"[\"\\ud800\"]", 2, "surrogate"},
        {"[\"\\udc00\"]", 2, "surrogate"},
        {"[\"\\ud800\\u0041\"]", 2, "surrogate"},
        {"[\"\\ud800\\n\"]", 2, "surrogate"},
        {"[1,\"a\",", 7, "expected"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct answer answer;
        read_all(true, bad[i].text, strlen(bad[i].text), &answer);
        cr_expect_eq(answer.rc, SQLITE_ERROR, "%s", bad[i].text);
        cr_expect(strstr(answer.problem, bad[i].words) != NULL, "%s: %s", bad[i].text,
                  answer.problem);
        cr_expect_eq(answer.at_bytes, bad[i].at_bytes, "%s: at %zu", bad[i].text, answer.at_bytes);
    }
}

Test(key_reader, packed_blobs_hold_their_types) {
    struct answer answer;
    read_all(false, "q\x02\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 17, &answer);
    cr_assert_eq(answer.count, 2u);
    cr_assert_str_eq(answer.lines[0], "integer 2");
    cr_assert_str_eq(answer.lines[1], "integer -1");
    read_all(false, "d\0\0\0\0\0\0\xf8\x3f\0\0\0\0\0\0\xf8\x7f", 17, &answer);
    cr_assert_eq(answer.count, 2u);
    cr_assert_str_eq(answer.lines[0], "real 0x1.8p+0");
    cr_assert_str_eq(answer.lines[1], "null");
    read_all(false, "s\x02\0\0\0ab\0\0\0\0", 11, &answer);
    cr_assert_eq(answer.count, 2u);
    cr_assert_str_eq(answer.lines[0], "text 6162");
    cr_assert_str_eq(answer.lines[1], "text");
    read_all(false, "b\x01\0\0\0\xfe", 6, &answer);
    cr_assert_eq(answer.count, 1u);
    cr_assert_str_eq(answer.lines[0], "blob fe");
    read_all(false, "q", 1, &answer);
    cr_assert(answer.rc == SQLITE_OK && answer.count == 0);
}

Test(key_reader, bad_lengths_of_a_blob_are_refused) {
    static const struct {
        const char *bytes;
        size_t size;
        size_t at_bytes;
    } bad[] = {{"", 0, 0},
               {"x", 1, 0},
               {"\0", 1, 0},
               {"q1234567", 8, 1},
               {"d123456789", 10, 9},
               {"s\1\0\0", 4, 1},
               {"s\2\0\0\0a", 6, 1},
               {"b\0\0\0\0\xff\xff\xff\xff", 9, 5}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct answer answer;
        read_all(false, bad[i].bytes, bad[i].size, &answer);
        cr_expect_eq(answer.rc, SQLITE_ERROR, "blob %zu", i);
        cr_expect_eq(answer.at_bytes, bad[i].at_bytes, "blob %zu: at %zu", i, answer.at_bytes);
    }
}

/* ------------------------------------------------------------ random input */

/* An array of scalars, often damaged in a byte or two. */
static size_t draw_json(char text[INPUT_BYTES_MAX]) {
    static const char *const pieces[] = {
        "1",
        "-7",
        "0",
        "12345678901234567890",
        "1.5",
        "2e3",
        "\"a\"",
        "\"\"",
        "\"\\n\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "null",
        "true",
        "false",
        "\"k 1\"",
        "-0.0",
        "\"\\\\\"",
        "9223372036854775807",
        " 3 ",
        "\"\xc3\xa9\"",
        "\n4",
    };
    static const char noise[] = "[]{},:\"\\u0 19eE.+-tfna\x01\x7f\xff";
    size_t size = (size_t)snprintf(text, INPUT_BYTES_MAX, "[");
    for (unsigned i = samples_below(6); i > 0; i--) {
        const char *piece = pieces[samples_below(sizeof pieces / sizeof pieces[0])];
        size +=
            (size_t)snprintf(text + size, INPUT_BYTES_MAX - size, "%s%s", piece, i > 1 ? "," : "");
    }
    text[size++] = ']';
    for (unsigned i = samples_below(3); i > 0; i--) {
        unsigned at = samples_below((unsigned)size);
        switch (samples_below(3)) {
        case 0:
            text[at] = noise[samples_below(sizeof noise - 1)];
            break;
        case 1:
            memmove(text + at, text + at + 1, --size - at);
            break;
        default:
            memmove(text + at + 1, text + at, size++ - at);
            text[at] = noise[samples_below(sizeof noise - 1)];
            break;
        }
    }
    return size;
}

/* What SQLite makes of it; false if it is no array of scalars. */
static bool oracle_values(sqlite3_stmt *valid, sqlite3_stmt *each, const char *text, size_t size,
                          struct answer *answer) {
    *answer = (struct answer){.rc = SQLITE_OK};
    sqlite3_bind_text(valid, 1, text, (int)size, SQLITE_STATIC);
    cr_assert_eq(sqlite3_step(valid), SQLITE_ROW);
    bool is_array = sqlite3_column_int(valid, 0) != 0;
    sqlite3_reset(valid);
    sqlite3_bind_text(each, 1, text, (int)size, SQLITE_STATIC);
    while (is_array && sqlite3_step(each) == SQLITE_ROW) {
        struct row_scalar scalar = {.type = ROW_NULL};
        const char *type = (const char *)sqlite3_column_text(each, 0);
        enum key_item item = strcmp(type, "real") == 0 ? KEY_ITEM_DECIMAL : KEY_ITEM_VALUE;
        if (strcmp(type, "object") == 0 || strcmp(type, "array") == 0) {
            is_array = false;
        } else if (strcmp(type, "text") == 0) {
            scalar.type = ROW_TEXT;
            scalar.data = sqlite3_column_text(each, 1);
            scalar.size_bytes = (size_t)sqlite3_column_bytes(each, 1);
        } else if (strcmp(type, "null") != 0) {
            scalar.type = ROW_INTEGER;
            scalar.integer = sqlite3_column_int64(each, 1);
            if (sqlite3_column_type(each, 1) == SQLITE_FLOAT) {
                item = KEY_ITEM_DECIMAL; /* an integer beyond 64 bits */
            }
            scalar.type = item == KEY_ITEM_DECIMAL ? ROW_TEXT : ROW_INTEGER;
        }
        describe(answer->lines[answer->count++ % 64], sizeof answer->lines[0], item, &scalar);
    }
    sqlite3_reset(each);
    return is_array;
}

/* Where the reader is stricter, or SQLite stops at a zero. */
static bool is_own_rule(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < ' ' && text[i] != '\n') {
            return true;
        }
        if (text[i] == '\\' && i + 1 < size && text[i + 1] == 'u') {
            return true;
        }
    }
    return false;
}

Test(key_reader, random_json_is_read_as_sqlite_reads_it, .timeout = 120) {
    samples_seed();
    sqlite3 *db = oracle_open();
    sqlite3_stmt *valid = oracle_prepare(
        db, "SELECT CASE WHEN json_valid(?1) THEN json_type(?1) = 'array' ELSE 0 END");
    sqlite3_stmt *each = oracle_prepare(db, "SELECT type, value FROM json_each(?1)");
    int accepted = 0;
    int refused = 0;
    for (int i = 0; i < TEXT_COUNT; i++) {
        char text[INPUT_BYTES_MAX];
        struct answer own;
        struct answer oracle;
        size_t size = draw_json(text);
        read_all(true, text, size, &own);
        bool is_list = oracle_values(valid, each, text, size, &oracle);
        if (own.rc != SQLITE_OK) {
            refused++;
            cr_assert(!is_list || is_own_rule(text, size), "refused: %.*s: %s at %zu", (int)size,
                      text, own.problem, own.at_bytes);
            continue;
        }
        accepted++;
        cr_assert(is_list, "accepted: %.*s", (int)size, text);
        cr_assert_eq(own.count, oracle.count, "%.*s", (int)size, text);
        for (size_t line = 0; line < own.count; line++) {
            cr_assert(strcmp(own.lines[line], oracle.lines[line]) == 0 || is_own_rule(text, size),
                      "%.*s: %s, SQLite %s", (int)size, text, own.lines[line], oracle.lines[line]);
        }
    }
    cr_assert(accepted > TEXT_COUNT / 5 && refused > TEXT_COUNT / 5, "%d, %d", accepted, refused);
    sqlite3_finalize(valid);
    sqlite3_finalize(each);
    sqlite3_close(db);
}

Test(key_reader, random_blobs_stay_inside, .timeout = 120) {
    samples_seed();
    for (int i = 0; i < BLOB_COUNT; i++) {
        unsigned char bytes[60];
        struct answer answer;
        size_t size = samples_below(sizeof bytes);
        for (size_t at = 0; at < size; at++) {
            bytes[at] = (unsigned char)(samples_below(3) == 0 ? samples_draw() : samples_below(9));
        }
        bytes[0] = (unsigned char)"qdsbx"[samples_below(5)];
        read_all(false, bytes, size, &answer);
        cr_assert(answer.rc == SQLITE_OK || answer.rc == SQLITE_ERROR);
    }
}
