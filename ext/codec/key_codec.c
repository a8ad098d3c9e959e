/* key_codec.c - the bytes of a key.
 *
 * A rowid table's key is the rowid: 8 bytes, most significant first.
 *
 * Any other key is its parts in order; each part is
 *
 *     tag 0x10 + n   an integer in n bytes (0 to 8), as row_integer_write() makes them
 *     tag 0x20       a REAL that equals no 64-bit integer: its 8 bytes
 *     tag 0x30       text, UTF-8, as far as its collation tells it from other text
 *     tag 0x40       a blob
 *
 * A key of several parts has the length of text and blobs between tag and bytes. In a
 * key of one part they reach to the end.
 *
 * Equal keys have equal bytes and different keys different ones: an integral REAL is
 * written as the integer it equals (so is -0.0); NOCASE text is folded; RTRIM text loses
 * its trailing spaces. What this forgets, row_codec.c keeps in the value.
 */
#include <string.h>

#include "codec/row_internal.h"

#define TAG_INTEGER 0x10u
#define TAG_REAL 0x20u
#define TAG_TEXT 0x30u
#define TAG_BLOB 0x40u

void key_encode_rowid(int64_t rowid, unsigned char key[KEY_ROWID_BYTES]) {
    row_integer_write(key, KEY_ROWID_BYTES, rowid);
}

int key_decode_rowid(struct faster_bytes key, int64_t *rowid) {
    if (key.size_bytes != KEY_ROWID_BYTES) {
        return SQLITE_CORRUPT_VTAB;
    }
    *rowid = row_integer_read(key.data, KEY_ROWID_BYTES);
    return SQLITE_OK;
}

static size_t trimmed_size(const unsigned char *text, size_t size_bytes) {
    while (size_bytes > 0 && text[size_bytes - 1] == ' ') {
        size_bytes--;
    }
    return size_bytes;
}

static unsigned char fold(unsigned char c) {
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

/* SQLite's NOCASE stops at a zero byte; behind it only the length counts. */
static void fold_text(unsigned char *text, size_t size_bytes) {
    size_t at = 0;
    for (; at < size_bytes && text[at] != 0; at++) {
        text[at] = fold(text[at]);
    }
    memset(text + at, 0, size_bytes - at);
}

static bool is_folded(const unsigned char *text, size_t size_bytes) {
    size_t at = 0;
    while (at < size_bytes && text[at] != 0 && fold(text[at]) == text[at]) {
        at++;
    }
    while (at < size_bytes && text[at] == 0) {
        at++;
    }
    return at == size_bytes;
}

/* Appends tag, length if there are several parts, and bytes. */
static int append_part(const struct table_schema *schema, unsigned tag, const void *data,
                       size_t size_bytes, struct row_buffer *key) {
    int rc = row_buffer_reserve(key, 1 + ROW_VARINT_BYTES_MAX + size_bytes);
    if (rc != SQLITE_OK) {
        return rc;
    }
    unsigned char *at = key->data + key->size_bytes;
    *at++ = (unsigned char)tag;
    if (schema->key_count > 1 && (tag == TAG_TEXT || tag == TAG_BLOB)) {
        at += row_varint_write(at, size_bytes);
    }
    if (size_bytes > 0) {
        memcpy(at, data, size_bytes);
    }
    key->size_bytes = (size_t)(at - key->data) + size_bytes;
    return SQLITE_OK;
}

static int append_integer(const struct table_schema *schema, int64_t integer,
                          struct row_buffer *key) {
    unsigned char bytes[8];
    unsigned size = row_integer_size(integer);
    row_integer_write(bytes, size, integer);
    return append_part(schema, TAG_INTEGER + size, bytes, size, key);
}

static int append_real(const struct table_schema *schema, double real, struct row_buffer *key) {
    unsigned char bytes[8];
    int64_t integer;
    if (row_real_is_integer(real, &integer)) {
        return append_integer(schema, integer, key);
    }
    row_real_write(bytes, real);
    return append_part(schema, TAG_REAL, bytes, sizeof bytes, key);
}

static int append_text(const struct table_schema *schema, const struct row_scalar *part,
                       enum schema_collation collation, struct row_buffer *key) {
    size_t size = part->size_bytes;
    if (collation == SCHEMA_RTRIM) {
        size = trimmed_size(part->data, size);
    }
    int rc = append_part(schema, TAG_TEXT, part->data, size, key);
    if (rc == SQLITE_OK && collation == SCHEMA_NOCASE) {
        fold_text(key->data + key->size_bytes - size, size);
    }
    return rc;
}

int key_encode(const struct table_schema *schema, const struct row_scalar *parts,
               struct row_buffer *key) {
    int rc = SQLITE_OK;
    for (int i = 0; i < schema->key_count && rc == SQLITE_OK; i++) {
        switch (parts[i].type) {
        case ROW_NULL:
            rc = SQLITE_CONSTRAINT_NOTNULL;
            break;
        case ROW_INTEGER:
            rc = append_integer(schema, parts[i].integer, key);
            break;
        case ROW_REAL:
            rc = append_real(schema, parts[i].real, key);
            break;
        case ROW_TEXT:
            rc = append_text(schema, &parts[i], schema->key[i].collation, key);
            break;
        case ROW_BLOB:
            rc = append_part(schema, TAG_BLOB, parts[i].data, parts[i].size_bytes, key);
            break;
        }
    }
    return rc;
}

static enum schema_affinity part_affinity(const struct table_schema *schema, int part) {
    return schema->columns[schema->key[part].column].affinity;
}

static bool keeps_text(enum schema_collation collation, const struct row_scalar *scalar) {
    switch (collation) {
    case SCHEMA_BINARY:
        return true;
    case SCHEMA_NOCASE:
        return is_folded(scalar->data, scalar->size_bytes);
    case SCHEMA_RTRIM:
        return trimmed_size(scalar->data, scalar->size_bytes) == scalar->size_bytes;
    }
    return false;
}

bool key_keeps_part(const struct table_schema *schema, int part, const struct row_scalar *scalar) {
    int64_t integer;
    switch (scalar->type) {
    case ROW_NULL:
        return false;
    case ROW_INTEGER:
        /* A REAL column would give it back as REAL; no such column stores one. */
        return part_affinity(schema, part) != SCHEMA_REAL;
    case ROW_REAL:
        return part_affinity(schema, part) == SCHEMA_REAL ||
               !row_real_is_integer(scalar->real, &integer);
    case ROW_TEXT:
        return keeps_text(schema->key[part].collation, scalar);
    case ROW_BLOB:
        return true;
    }
    return false;
}

/* What is left of a key while it is read. */
struct cursor {
    const unsigned char *at;
    size_t size_bytes;
};

static bool take(struct cursor *cursor, size_t size_bytes, const unsigned char **bytes) {
    if (size_bytes > cursor->size_bytes) {
        return false;
    }
    *bytes = cursor->at;
    cursor->at += size_bytes;
    cursor->size_bytes -= size_bytes;
    return true;
}

static bool take_number(struct cursor *cursor, unsigned tag, struct row_scalar *scalar) {
    const unsigned char *bytes;
    if (tag == TAG_REAL) {
        scalar->type = ROW_REAL;
        return take(cursor, 8, &bytes) && row_real_read(bytes, &scalar->real);
    }
    unsigned size = tag - TAG_INTEGER;
    if (tag < TAG_INTEGER || size > 8 || !take(cursor, size, &bytes)) {
        return false;
    }
    scalar->type = ROW_INTEGER;
    scalar->integer = row_integer_read(bytes, size);
    return true;
}

static bool take_bytes(struct cursor *cursor, unsigned tag, bool has_length,
                       struct row_scalar *scalar) {
    const unsigned char *bytes;
    uint64_t size = cursor->size_bytes;
    if (has_length) {
        size_t length_size = row_varint_read(cursor->at, cursor->size_bytes, &size);
        if (length_size == 0 || !take(cursor, length_size, &bytes)) {
            return false;
        }
    }
    if (size > cursor->size_bytes || !take(cursor, (size_t)size, &bytes)) {
        return false;
    }
    scalar->type = tag == TAG_TEXT ? ROW_TEXT : ROW_BLOB;
    scalar->data = bytes;
    scalar->size_bytes = (size_t)size;
    return true;
}

static bool take_part(struct cursor *cursor, bool has_length, struct row_scalar *scalar) {
    const unsigned char *tag;
    *scalar = (struct row_scalar){.type = ROW_NULL};
    if (!take(cursor, 1, &tag)) {
        return false;
    }
    if (*tag == TAG_TEXT || *tag == TAG_BLOB) {
        return take_bytes(cursor, *tag, has_length, scalar);
    }
    return take_number(cursor, *tag, scalar);
}

int key_decode_part(const struct table_schema *schema, struct faster_bytes key, int part,
                    struct row_scalar *scalar) {
    struct cursor cursor = {.at = key.data, .size_bytes = key.size_bytes};
    for (int i = 0; i <= part; i++) {
        if (!take_part(&cursor, schema->key_count > 1, scalar)) {
            *scalar = (struct row_scalar){.type = ROW_NULL};
            return SQLITE_CORRUPT_VTAB;
        }
    }
    if (part_affinity(schema, part) == SCHEMA_REAL && scalar->type == ROW_INTEGER) {
        scalar->type = ROW_REAL;
        scalar->real = (double)scalar->integer;
    }
    return SQLITE_OK;
}

/* True for text that is a 64-bit integer as SQLite prints it. */
static bool is_printed_integer(const char *text, size_t size_bytes) {
    bool negative = size_bytes > 0 && text[0] == '-';
    size_t at = negative ? 1 : 0;
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t magnitude = 0;
    if (at == size_bytes || (text[at] == '0' && size_bytes > 1)) {
        return false;
    }
    for (; at < size_bytes; at++) {
        if (text[at] < '0' || text[at] > '9') {
            return false;
        }
        unsigned digit = (unsigned)(text[at] - '0');
        if (magnitude > (limit - digit) / 10) {
            return false;
        }
        magnitude = magnitude * 10 + digit;
    }
    return true;
}

enum key_text key_text_of(const struct row_scalar *parts, int part_count) {
    enum key_text text = KEY_TEXT_PLAIN;
    for (int i = 0; i < part_count; i++) {
        bool is_integer;
        if (parts[i].type != ROW_TEXT ||
            !row_text_is_number(parts[i].data, parts[i].size_bytes, &is_integer)) {
            continue;
        }
        if (!is_printed_integer(parts[i].data, parts[i].size_bytes)) {
            return KEY_TEXT_ANY;
        }
        text = KEY_TEXT_CANONICAL;
    }
    return text;
}
