/* row_arithmetic.c - what the commands add, min, max and append compute. */
#include <math.h>
#include <string.h>

#include "codec/row_internal.h"

/* Another scalar with the same content that owns nothing. */
static struct row_scalar borrow(const struct row_scalar *scalar) {
    struct row_scalar copy = *scalar;
    copy.owned_value = NULL;
    copy.owned_memory = NULL;
    return copy;
}

static bool is_addable(const struct row_scalar *scalar) {
    return scalar->type == ROW_NULL || scalar->type == ROW_INTEGER || scalar->type == ROW_REAL;
}

static double real_of(const struct row_scalar *scalar) {
    return scalar->type == ROW_INTEGER ? (double)scalar->integer : scalar->real;
}

int row_add(const struct row_scalar *old, const struct row_scalar *delta,
            struct row_scalar *result) {
    *result = (struct row_scalar){.type = ROW_NULL};
    if (!is_addable(old) || !is_addable(delta)) {
        return SQLITE_MISMATCH;
    }
    if (old->type == ROW_NULL || delta->type == ROW_NULL) {
        *result = borrow(old->type == ROW_NULL ? delta : old);
        return SQLITE_OK;
    }
    if (old->type == ROW_INTEGER && delta->type == ROW_INTEGER) {
        if (__builtin_add_overflow(old->integer, delta->integer, &result->integer)) {
            return SQLITE_ERROR;
        }
        result->type = ROW_INTEGER;
        return SQLITE_OK;
    }
    result->real = real_of(old) + real_of(delta);
    /* Infinity - infinity: SQLite has no NaN and says NULL. */
    result->type = isnan(result->real) ? ROW_NULL : ROW_REAL;
    return SQLITE_OK;
}

/* -1, 0 or 1 for a < b, a == b, a > b. */
#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

/* Exact where converting the integer to REAL would round. */
static int compare_integer_real(int64_t integer, double real) {
    if (real < -9223372036854775808.0) {
        return 1;
    }
    if (real >= 9223372036854775808.0) {
        return -1;
    }
    int64_t whole = (int64_t)real;
    int order = ORDER(integer, whole);
    return order != 0 ? order : ORDER((double)whole, real);
}

static int compare_numbers(const struct row_scalar *a, const struct row_scalar *b) {
    if (a->type == b->type) {
        return a->type == ROW_INTEGER ? ORDER(a->integer, b->integer) : ORDER(a->real, b->real);
    }
    return a->type == ROW_INTEGER ? compare_integer_real(a->integer, b->real)
                                  : -compare_integer_real(b->integer, a->real);
}

static int compare_bytes(const struct row_scalar *a, size_t a_size, const struct row_scalar *b,
                         size_t b_size) {
    size_t common = a_size < b_size ? a_size : b_size;
    int order = common == 0 ? 0 : memcmp(a->data, b->data, common);
    return order != 0 ? order : ORDER(a_size, b_size);
}

static size_t size_without_spaces(const struct row_scalar *scalar) {
    const unsigned char *text = scalar->data;
    size_t size = scalar->size_bytes;
    while (size > 0 && text[size - 1] == ' ') {
        size--;
    }
    return size;
}

/* sqlite3_strnicmp() is what NOCASE itself uses: it stops at a zero byte. */
static int compare_nocase(const struct row_scalar *a, const struct row_scalar *b) {
    size_t common = a->size_bytes < b->size_bytes ? a->size_bytes : b->size_bytes;
    int order = common == 0 ? 0 : sqlite3_strnicmp(a->data, b->data, (int)common);
    return order != 0 ? order : ORDER(a->size_bytes, b->size_bytes);
}

static int compare_text(const struct row_scalar *a, const struct row_scalar *b,
                        enum schema_collation collation) {
    switch (collation) {
    case SCHEMA_BINARY:
        break;
    case SCHEMA_NOCASE:
        return compare_nocase(a, b);
    case SCHEMA_RTRIM:
        return compare_bytes(a, size_without_spaces(a), b, size_without_spaces(b));
    }
    return compare_bytes(a, a->size_bytes, b, b->size_bytes);
}

static bool is_number(enum row_type type) {
    return type == ROW_INTEGER || type == ROW_REAL;
}

int row_compare(const struct row_scalar *a, const struct row_scalar *b,
                enum schema_collation collation) {
    if (is_number(a->type) && is_number(b->type)) {
        return compare_numbers(a, b);
    }
    if (a->type != b->type) {
        return ORDER((int)a->type, (int)b->type);
    }
    if (a->type == ROW_TEXT) {
        return compare_text(a, b, collation);
    }
    return a->type == ROW_BLOB ? compare_bytes(a, a->size_bytes, b, b->size_bytes) : 0;
}

/* Equal values keep the old form, so that nothing changes. */
static void choose(const struct row_scalar *old, const struct row_scalar *candidate, int sign,
                   enum schema_collation collation, struct row_scalar *result) {
    bool candidate_wins = old->type == ROW_NULL;
    if (!candidate_wins && candidate->type != ROW_NULL) {
        int order = row_compare(candidate, old, collation);
        candidate_wins = sign < 0 ? order < 0 : order > 0;
    }
    *result = borrow(candidate_wins ? candidate : old);
}

void row_min(const struct row_scalar *old, const struct row_scalar *candidate,
             enum schema_collation collation, struct row_scalar *result) {
    choose(old, candidate, -1, collation, result);
}

void row_max(const struct row_scalar *old, const struct row_scalar *candidate,
             enum schema_collation collation, struct row_scalar *result) {
    choose(old, candidate, 1, collation, result);
}

/* Appends the value's bytes, numbers as text. */
static int append_scalar(const struct row_scalar *scalar, struct row_buffer *bytes) {
    struct row_scalar text = borrow(scalar);
    int rc = row_scalar_to_text(&text, NULL);
    if (rc == SQLITE_OK) {
        rc = row_buffer_append(bytes, text.data, text.size_bytes);
    }
    row_scalar_finish(&text);
    return rc;
}

/* Bytes become the result's own; numbers have none. */
static int copy_scalar(const struct row_scalar *scalar, struct row_scalar *copy) {
    struct row_buffer bytes = {0};
    *copy = borrow(scalar);
    if (scalar->type != ROW_TEXT && scalar->type != ROW_BLOB) {
        return SQLITE_OK;
    }
    int rc = row_buffer_reserve(&bytes, scalar->size_bytes + 1);
    if (rc == SQLITE_OK) {
        rc = row_buffer_append(&bytes, scalar->data, scalar->size_bytes);
    }
    copy->data = bytes.data;
    copy->owned_memory = bytes.data;
    if (rc != SQLITE_OK) {
        row_scalar_finish(copy);
    }
    return rc;
}

int row_append(const struct row_scalar *old, const struct row_scalar *suffix,
               struct row_scalar *result) {
    if (old->type == ROW_NULL || suffix->type == ROW_NULL) {
        return copy_scalar(old->type == ROW_NULL ? suffix : old, result);
    }
    struct row_buffer bytes = {0};
    *result = (struct row_scalar){.type = ROW_NULL};
    int rc = row_buffer_reserve(&bytes, old->size_bytes + suffix->size_bytes + 1);
    if (rc == SQLITE_OK) {
        rc = append_scalar(old, &bytes);
    }
    if (rc == SQLITE_OK) {
        rc = append_scalar(suffix, &bytes);
    }
    if (rc != SQLITE_OK) {
        row_buffer_finish(&bytes);
        return rc;
    }
    *result = (struct row_scalar){
        .type = old->type == ROW_BLOB && suffix->type == ROW_BLOB ? ROW_BLOB : ROW_TEXT,
        .data = bytes.data,
        .size_bytes = bytes.size_bytes,
        .owned_memory = bytes.data};
    return SQLITE_OK;
}
