/* affinity.c - what a column stores for a value.
 *
 * The rules are SQLite's: a TEXT column turns numbers into text; NUMERIC, INTEGER and
 * REAL columns turn text that is wholly a number into that number; NUMERIC and INTEGER
 * store a REAL with an integral value strictly inside the 64-bit range as INTEGER, and
 * REAL stores integers as REAL (and -0.0 as 0.0, since an ordinary table keeps such a
 * value as the integer 0). Conversions between text and REAL depend on SQLite's version,
 * so SQLite does them, on a duplicate: the value may be used again in its old type.
 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/row_internal.h"

/* 2^63. Every REAL in [-2^63, 2^63) without a fraction is an int64_t. */
#define INTEGER_LIMIT 9223372036854775808.0

static bool is_space(unsigned char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static size_t skip_spaces(const unsigned char *text, size_t at, size_t size) {
    while (at < size && is_space(text[at])) {
        at++;
    }
    return at;
}

static size_t skip_digits(const unsigned char *text, size_t at, size_t size) {
    while (at < size && text[at] >= '0' && text[at] <= '9') {
        at++;
    }
    return at;
}

static size_t skip_sign(const unsigned char *text, size_t at, size_t size) {
    return at < size && (text[at] == '+' || text[at] == '-') ? at + 1 : at;
}

/* Skips e10 or E-5; a lone e is left standing. */
static size_t skip_exponent(const unsigned char *text, size_t at, size_t size) {
    if (at < size && (text[at] == 'e' || text[at] == 'E')) {
        size_t digits = skip_sign(text, at + 1, size);
        size_t end = skip_digits(text, digits, size);
        return end > digits ? end : at;
    }
    return at;
}

bool row_text_is_number(const void *text_data, size_t size_bytes, bool *is_integer) {
    const unsigned char *text = text_data;
    size_t start = skip_sign(text, skip_spaces(text, 0, size_bytes), size_bytes);
    size_t at = skip_digits(text, start, size_bytes);
    size_t digit_count = at - start;
    size_t integer_end = at;
    if (at < size_bytes && text[at] == '.') {
        size_t fraction = at + 1;
        at = skip_digits(text, fraction, size_bytes);
        digit_count += at - fraction;
    }
    if (digit_count == 0) {
        return false;
    }
    at = skip_exponent(text, at, size_bytes);
    *is_integer = at == integer_end;
    return skip_spaces(text, at, size_bytes) == size_bytes;
}

bool row_real_is_integer(double real, int64_t *integer) {
    if (!(real >= -INTEGER_LIMIT && real < INTEGER_LIMIT) || trunc(real) != real) {
        return false;
    }
    *integer = (int64_t)real;
    return true;
}

static void set_integer(struct row_scalar *scalar, int64_t integer) {
    row_scalar_finish(scalar);
    scalar->type = ROW_INTEGER;
    scalar->integer = integer;
}

static void set_real(struct row_scalar *scalar, double real) {
    row_scalar_finish(scalar);
    scalar->type = ROW_REAL;
    scalar->real = real;
}

/* Text first: asking for the length first could count UTF-16. */
static int load_text(sqlite3_value *value, struct row_scalar *scalar) {
    scalar->data = sqlite3_value_text(value);
    if (scalar->data == NULL) {
        return SQLITE_NOMEM;
    }
    scalar->size_bytes = (size_t)sqlite3_value_bytes(value);
    scalar->type = ROW_TEXT;
    return SQLITE_OK;
}

static int load_blob(sqlite3_value *value, struct row_scalar *scalar) {
    scalar->data = sqlite3_value_blob(value);
    scalar->size_bytes = (size_t)sqlite3_value_bytes(value);
    if (scalar->data == NULL) {
        if (scalar->size_bytes > 0) {
            return SQLITE_NOMEM;
        }
        scalar->data = "";
    }
    scalar->type = ROW_BLOB;
    return SQLITE_OK;
}

int row_scalar_load(sqlite3_value *value, struct row_scalar *scalar) {
    *scalar = (struct row_scalar){.type = ROW_NULL};
    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
        set_integer(scalar, sqlite3_value_int64(value));
        return SQLITE_OK;
    case SQLITE_FLOAT:
        set_real(scalar, sqlite3_value_double(value));
        return SQLITE_OK;
    case SQLITE_TEXT:
        return load_text(value, scalar);
    case SQLITE_BLOB:
        return load_blob(value, scalar);
    default:
        return SQLITE_OK;
    }
}

/* For results of the arithmetic, which have no sqlite3_value. */
static int print_number(struct row_scalar *scalar) {
    char *text = scalar->type == ROW_INTEGER ? sqlite3_mprintf("%lld", scalar->integer)
                                             : sqlite3_mprintf("%!.15g", scalar->real);
    if (text == NULL) {
        return SQLITE_NOMEM;
    }
    row_scalar_finish(scalar);
    *scalar = (struct row_scalar){
        .type = ROW_TEXT, .data = text, .size_bytes = strlen(text), .owned_memory = text};
    return SQLITE_OK;
}

int row_scalar_to_text(struct row_scalar *scalar, sqlite3_value *value) {
    if (scalar->type != ROW_INTEGER && scalar->type != ROW_REAL) {
        return SQLITE_OK;
    }
    if (value == NULL) {
        return print_number(scalar);
    }
    sqlite3_value *duplicate = sqlite3_value_dup(value);
    if (duplicate == NULL) {
        return SQLITE_NOMEM;
    }
    row_scalar_finish(scalar);
    scalar->owned_value = duplicate;
    int rc = load_text(duplicate, scalar);
    if (rc != SQLITE_OK) {
        row_scalar_finish(scalar);
    }
    return rc;
}

/* For results of the arithmetic. REQUIRES: the text is a number. */
static int scan_number(struct row_scalar *scalar, bool is_integer) {
    char *text = sqlite3_mprintf("%.*s", (int)scalar->size_bytes, (const char *)scalar->data);
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (text == NULL || c_locale == (locale_t)0) {
        sqlite3_free(text);
        return SQLITE_NOMEM;
    }
    char *end = text;
    errno = 0;
    long long integer = is_integer ? strtoll(text, &end, 10) : 0;
    if (is_integer && errno == 0) {
        set_integer(scalar, integer);
    } else {
        set_real(scalar, strtod_l(text, &end, c_locale));
    }
    freelocale(c_locale);
    sqlite3_free(text);
    return SQLITE_OK;
}

int row_scalar_to_number(struct row_scalar *scalar, sqlite3_value *value) {
    bool is_integer;
    if (scalar->type != ROW_TEXT ||
        !row_text_is_number(scalar->data, scalar->size_bytes, &is_integer)) {
        return SQLITE_OK;
    }
    if (value == NULL) {
        return scan_number(scalar, is_integer);
    }
    sqlite3_value *duplicate = sqlite3_value_dup(value);
    if (duplicate == NULL) {
        return SQLITE_NOMEM;
    }
    int type = sqlite3_value_numeric_type(duplicate);
    if (type == SQLITE_INTEGER) {
        set_integer(scalar, sqlite3_value_int64(duplicate));
    } else if (type == SQLITE_FLOAT) {
        set_real(scalar, sqlite3_value_double(duplicate));
    }
    sqlite3_value_free(duplicate);
    return SQLITE_OK;
}

static void prefer_integer(struct row_scalar *scalar) {
    int64_t integer;
    if (scalar->type == ROW_REAL && row_real_is_integer(scalar->real, &integer) &&
        integer != INT64_MIN) {
        set_integer(scalar, integer);
    }
}

static void prefer_real(struct row_scalar *scalar) {
    if (scalar->type == ROW_INTEGER) {
        set_real(scalar, (double)scalar->integer);
    } else if (scalar->type == ROW_REAL && scalar->real == 0) {
        scalar->real = 0;
    }
}

static int apply_affinity(struct row_scalar *scalar, enum schema_affinity affinity,
                          sqlite3_value *value) {
    int rc = SQLITE_OK;
    switch (affinity) {
    case SCHEMA_BLOB:
        break;
    case SCHEMA_TEXT:
        rc = row_scalar_to_text(scalar, value);
        break;
    case SCHEMA_NUMERIC:
    case SCHEMA_INTEGER:
        rc = row_scalar_to_number(scalar, value);
        prefer_integer(scalar);
        break;
    case SCHEMA_REAL:
        rc = row_scalar_to_number(scalar, value);
        prefer_real(scalar);
        break;
    }
    return rc;
}

int row_scalar_from_value(sqlite3_value *value, enum schema_affinity affinity,
                          struct row_scalar *scalar) {
    int rc = row_scalar_load(value, scalar);
    if (rc == SQLITE_OK) {
        rc = apply_affinity(scalar, affinity, value);
    }
    if (rc != SQLITE_OK) {
        row_scalar_finish(scalar);
    }
    return rc;
}

int row_scalar_apply_affinity(struct row_scalar *scalar, enum schema_affinity affinity) {
    return apply_affinity(scalar, affinity, NULL);
}

void row_scalar_finish(struct row_scalar *scalar) {
    sqlite3_value_free(scalar->owned_value);
    sqlite3_free(scalar->owned_memory);
    *scalar = (struct row_scalar){.type = ROW_NULL};
}

int row_scalar_rowid(const struct row_scalar *scalar, int64_t *rowid) {
    if (scalar->type != ROW_INTEGER) {
        return SQLITE_MISMATCH;
    }
    *rowid = scalar->integer;
    return SQLITE_OK;
}

void row_scalar_result(sqlite3_context *context, const struct row_scalar *scalar,
                       sqlite3_destructor_type destructor) {
    switch (scalar->type) {
    case ROW_NULL:
        sqlite3_result_null(context);
        break;
    case ROW_INTEGER:
        sqlite3_result_int64(context, scalar->integer);
        break;
    case ROW_REAL:
        sqlite3_result_double(context, scalar->real);
        break;
    case ROW_TEXT:
        sqlite3_result_text64(context, scalar->data, scalar->size_bytes, destructor, SQLITE_UTF8);
        break;
    case ROW_BLOB:
        sqlite3_result_blob64(context, scalar->data, scalar->size_bytes, destructor);
        break;
    }
}
