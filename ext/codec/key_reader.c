/* key_reader.c - see key_reader.h.
 *
 * JSON is read by hand and not by SQLite's json_each(): that takes as long for a key as the
 * lookup itself, and a program may have linked SQLite without it. What is accepted is a subset
 * of json_valid(), and means the same: the tests compare.
 */
#include "codec/key_reader.h"

#include <string.h>

#include "codec/row_internal.h"

#define JSON '['
#define DIGITS_MAX 19 /* of a 64-bit integer; so many do not overflow an unsigned one */

static int fail(struct key_reader *reader, const unsigned char *at, const char *problem) {
    reader->problem = problem;
    reader->problem_at_bytes = (size_t)(at - reader->start);
    return SQLITE_ERROR;
}

/* ------------------------------------------------------------------- JSON */

static void skip_space(struct key_reader *reader) {
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' ||
                                        *reader->at == '\r' || *reader->at == '\t')) {
        reader->at++;
    }
}

static bool take(struct key_reader *reader, unsigned char c) {
    if (reader->at < reader->end && *reader->at == c) {
        reader->at++;
        return true;
    }
    return false;
}

static int hex_digit(unsigned char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind \u; -1 if they are none. */
static int32_t take_unit(struct key_reader *reader) {
    int32_t unit = 0;
    if (reader->end - reader->at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(reader->at[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit << 4 | digit;
    }
    reader->at += 4;
    return unit;
}

static bool is_high_surrogate(int32_t unit) {
    return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low_surrogate(int32_t unit) {
    return unit >= 0xdc00 && unit < 0xe000;
}

/* A code point above U+FFFF is written as two units. */
static int take_code_point(struct key_reader *reader, int32_t *code) {
    const unsigned char *escape = reader->at - 2;
    *code = take_unit(reader);
    if (*code < 0) {
        return fail(reader, escape, "\\u needs four hexadecimal digits");
    }
    if (is_high_surrogate(*code) && take(reader, '\\') && take(reader, 'u')) {
        int32_t low = take_unit(reader);
        if (is_low_surrogate(low)) {
            *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    if (is_high_surrogate(*code) || is_low_surrogate(*code)) {
        return fail(reader, escape, "half of a surrogate pair");
    }
    return SQLITE_OK;
}

static size_t write_utf8(unsigned char *at, int32_t code) {
    if (code < 0x80) {
        at[0] = (unsigned char)code;
        return 1;
    }
    if (code < 0x800) {
        at[0] = (unsigned char)(0xc0 | code >> 6);
        at[1] = (unsigned char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        at[0] = (unsigned char)(0xe0 | code >> 12);
        at[1] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
        at[2] = (unsigned char)(0x80 | (code & 0x3f));
        return 3;
    }
    at[0] = (unsigned char)(0xf0 | code >> 18);
    at[1] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
    at[2] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
    at[3] = (unsigned char)(0x80 | (code & 0x3f));
    return 4;
}

/* What stands behind a backslash. */
static int take_escape(struct key_reader *reader, int32_t *code) {
    static const char LETTERS[] = "\"\\/bfnrt";
    static const char MEANINGS[] = "\"\\/\b\f\n\r\t";
    unsigned char letter = reader->at < reader->end ? *reader->at : 0;
    const char *found = letter == 0 ? NULL : strchr(LETTERS, letter);
    if (take(reader, 'u')) {
        return take_code_point(reader, code);
    }
    if (found == NULL) {
        return fail(reader, reader->at - 1, "no such escape");
    }
    reader->at++;
    *code = (unsigned char)MEANINGS[found - LETTERS];
    return SQLITE_OK;
}

/* Stops at a quote, a backslash, the end, or what must not stand in a string. */
static void skip_plain(struct key_reader *reader) {
    const unsigned char *at = reader->at;
    while (at < reader->end && *at != '"' && *at != '\\' && *at >= ' ') {
        at++;
    }
    reader->at = at;
}

static int end_string(struct key_reader *reader, const unsigned char *quote) {
    if (take(reader, '"')) {
        return SQLITE_OK;
    }
    return reader->at == reader->end
               ? fail(reader, quote, "a string without end")
               : fail(reader, reader->at, "a control character in a string must be escaped");
}

/* A string with a backslash in it, which is copied; `plain` is what stands before that. */
static int take_escaped(struct key_reader *reader, const unsigned char *quote,
                        const unsigned char *plain) {
    row_buffer_clear(&reader->text);
    for (;;) {
        int32_t code = 0;
        int rc = row_buffer_append(&reader->text, plain, (size_t)(reader->at - plain));
        rc = rc == SQLITE_OK ? row_buffer_reserve(&reader->text, 4) : rc;
        if (rc != SQLITE_OK || !take(reader, '\\')) {
            return rc == SQLITE_OK ? end_string(reader, quote) : rc;
        }
        rc = take_escape(reader, &code);
        if (rc != SQLITE_OK) {
            return rc;
        }
        reader->text.size_bytes += write_utf8(reader->text.data + reader->text.size_bytes, code);
        plain = reader->at;
        skip_plain(reader);
    }
}

static int take_string(struct key_reader *reader, struct row_scalar *scalar) {
    const unsigned char *quote = reader->at++;
    const unsigned char *plain = reader->at;
    skip_plain(reader);
    scalar->type = ROW_TEXT;
    if (reader->at < reader->end && *reader->at == '\\') {
        int rc = take_escaped(reader, quote, plain);
        scalar->data = reader->text.data;
        scalar->size_bytes = reader->text.size_bytes;
        return rc;
    }
    scalar->data = plain;
    scalar->size_bytes = (size_t)(reader->at - plain);
    return end_string(reader, quote);
}

static bool take_digits(struct key_reader *reader) {
    const unsigned char *first = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
        reader->at++;
    }
    return reader->at > first;
}

/* The digits as an integer; false if it takes more than 64 bits. */
static bool sum_digits(const unsigned char *digit, const unsigned char *end, bool negative,
                       int64_t *integer) {
    const uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t sum = 0;
    if (end - digit > DIGITS_MAX) {
        return false;
    }
    for (; digit < end; digit++) {
        sum = sum * 10 + (unsigned)(*digit - '0');
    }
    if (sum > limit) {
        return false;
    }
    *integer = (int64_t)(negative ? 0 - sum : sum);
    return true;
}

static int take_number(struct key_reader *reader, enum key_item *item, struct row_scalar *scalar) {
    const unsigned char *first = reader->at;
    bool negative = take(reader, '-');
    const unsigned char *digits = reader->at;
    if (!take_digits(reader) || (*digits == '0' && reader->at > digits + 1)) {
        return fail(reader, first, "a number is not written as JSON wants it");
    }
    const unsigned char *digits_end = reader->at;
    bool valid = !take(reader, '.') || take_digits(reader);
    if (take(reader, 'e') || take(reader, 'E')) {
        (void)(take(reader, '+') || take(reader, '-'));
        valid = take_digits(reader) && valid;
    }
    if (!valid) {
        return fail(reader, first, "a number is not written as JSON wants it");
    }
    if (reader->at == digits_end && sum_digits(digits, digits_end, negative, &scalar->integer)) {
        scalar->type = ROW_INTEGER;
        return SQLITE_OK;
    }
    *item = KEY_ITEM_DECIMAL;
    scalar->type = ROW_TEXT;
    scalar->data = first;
    scalar->size_bytes = (size_t)(reader->at - first);
    return SQLITE_OK;
}

static bool take_word(struct key_reader *reader, const char *word) {
    size_t size = strlen(word);
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0) {
        return false;
    }
    reader->at += size;
    return true;
}

static int take_json(struct key_reader *reader, enum key_item *item, struct row_scalar *scalar) {
    unsigned char first = reader->at < reader->end ? *reader->at : 0;
    if (first == '"') {
        return take_string(reader, scalar);
    }
    if (first == '-' || (first >= '0' && first <= '9')) {
        return take_number(reader, item, scalar);
    }
    if (first == '[' || first == '{') {
        return fail(reader, reader->at, "a nested array or object is no key");
    }
    if (take_word(reader, "null")) {
        return SQLITE_OK;
    }
    scalar->type = ROW_INTEGER;
    scalar->integer = first == 't';
    return take_word(reader, "true") || take_word(reader, "false")
               ? SQLITE_OK
               : fail(reader, reader->at, "a string, a number or null is expected");
}

/* Goes to the next value. False at the array's end, or with the problem. */
static bool go_to_value(struct key_reader *reader) {
    skip_space(reader);
    bool is_first = reader->index == 0;
    if (take(reader, ']')) {
        skip_space(reader);
        if (reader->at < reader->end) {
            (void)fail(reader, reader->at, "something follows the array");
        }
        reader->packing = 0;
        return false;
    }
    if (!is_first && !take(reader, ',')) {
        (void)fail(reader, reader->at, "',' or ']' is expected");
        return false;
    }
    skip_space(reader);
    return true;
}

/* ----------------------------------------------------------------- packed */

static uint64_t take_little_endian(struct key_reader *reader, unsigned size_bytes) {
    uint64_t number = 0;
    for (unsigned i = 0; i < size_bytes; i++) {
        number |= (uint64_t)reader->at[i] << 8 * i;
    }
    reader->at += size_bytes;
    return number;
}

static void take_fixed(struct key_reader *reader, struct row_scalar *scalar) {
    uint64_t bits = take_little_endian(reader, 8);
    if (reader->packing == 'q') {
        scalar->type = ROW_INTEGER;
        scalar->integer = (int64_t)bits;
        return;
    }
    memcpy(&scalar->real, &bits, sizeof bits);
    scalar->type = scalar->real == scalar->real ? ROW_REAL : ROW_NULL;
}

static bool has_packed(const struct key_reader *reader) {
    return reader->packing != 0 && reader->at < reader->end;
}

static int take_packed(struct key_reader *reader, struct row_scalar *scalar) {
    const unsigned char *first = reader->at;
    size_t left = (size_t)(reader->end - reader->at);
    if (reader->packing == 'q' || reader->packing == 'd') {
        if (left < 8) {
            return fail(reader, first, "a number needs 8 bytes, and fewer are left");
        }
        take_fixed(reader, scalar);
        return SQLITE_OK;
    }
    if (left < 4) {
        return fail(reader, first, "a size needs 4 bytes, and fewer are left");
    }
    uint64_t size = take_little_endian(reader, 4);
    if (size > left - 4) {
        return fail(reader, first, "a size passes the end of the blob");
    }
    scalar->type = reader->packing == 's' ? ROW_TEXT : ROW_BLOB;
    scalar->data = reader->at;
    scalar->size_bytes = (size_t)size;
    reader->at += size;
    return SQLITE_OK;
}

/* -------------------------------------------------------------------- any */

int key_reader_init(struct key_reader *reader, bool is_json, const void *data, size_t size_bytes) {
    *reader = (struct key_reader){.start = data, .at = data};
    reader->end = reader->start + size_bytes;
    if (is_json) {
        skip_space(reader);
        reader->packing = JSON;
        return take(reader, '[') ? SQLITE_OK : fail(reader, reader->at, "a JSON array is expected");
    }
    reader->packing = size_bytes == 0 ? 0 : *reader->at++;
    return reader->packing != 0 && strchr("qdsb", reader->packing) != NULL
               ? SQLITE_OK
               : fail(reader, reader->start, "a packed blob begins with 'q', 'd', 's' or 'b'");
}

int key_reader_next(struct key_reader *reader, enum key_item *item, struct row_scalar *scalar) {
    *scalar = (struct row_scalar){.type = ROW_NULL};
    *item = KEY_ITEM_VALUE;
    if (reader->problem != NULL) {
        return SQLITE_ERROR;
    }
    bool is_json = reader->packing == JSON;
    bool has_value = is_json ? go_to_value(reader) : has_packed(reader);
    if (reader->problem != NULL) {
        return SQLITE_ERROR;
    }
    if (!has_value) {
        *item = KEY_ITEM_END;
        return SQLITE_OK;
    }
    int rc = is_json ? take_json(reader, item, scalar) : take_packed(reader, scalar);
    reader->index += rc == SQLITE_OK;
    return rc;
}

void key_reader_finish(struct key_reader *reader) {
    row_buffer_finish(&reader->text);
}
