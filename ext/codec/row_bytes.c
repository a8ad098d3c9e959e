/* row_bytes.c - buffers, and how single numbers become bytes. */
#include <string.h>

#include "codec/row_internal.h"

/* What SQLite allocates at most. */
#define BUFFER_BYTES_MAX 0x7fffff00u
/* Larger buffers grow by a quarter, and are not kept for the next row. */
#define MODEST_BYTES (1u << 20)

int row_buffer_reserve(struct row_buffer *buffer, size_t extra_bytes) {
    if (extra_bytes > BUFFER_BYTES_MAX - buffer->size_bytes) {
        return SQLITE_TOOBIG;
    }
    size_t needed = buffer->size_bytes + extra_bytes;
    if (needed <= buffer->capacity_bytes) {
        return SQLITE_OK;
    }
    size_t capacity = needed < 32 ? 64 : 2 * needed;
    if (needed > MODEST_BYTES) {
        capacity = needed + needed / 4;
    }
    if (capacity > BUFFER_BYTES_MAX) {
        capacity = BUFFER_BYTES_MAX;
    }
    unsigned char *data = sqlite3_realloc64(buffer->data, capacity);
    if (data == NULL) {
        return SQLITE_NOMEM;
    }
    buffer->data = data;
    buffer->capacity_bytes = capacity;
    return SQLITE_OK;
}

int row_buffer_append(struct row_buffer *buffer, const void *data, size_t size_bytes) {
    int rc = row_buffer_reserve(buffer, size_bytes);
    if (rc == SQLITE_OK && size_bytes > 0) {
        memcpy(buffer->data + buffer->size_bytes, data, size_bytes);
        buffer->size_bytes += size_bytes;
    }
    return rc;
}

void row_buffer_clear(struct row_buffer *buffer) {
    buffer->size_bytes = 0;
    if (buffer->capacity_bytes > MODEST_BYTES) {
        row_buffer_finish(buffer);
    }
}

void row_buffer_finish(struct row_buffer *buffer) {
    sqlite3_free(buffer->data);
    *buffer = (struct row_buffer){0};
}

struct faster_bytes row_buffer_bytes(const struct row_buffer *buffer) {
    return (struct faster_bytes){.data = buffer->data, .size_bytes = buffer->size_bytes};
}

size_t row_varint_size(uint64_t number) {
    size_t size = 1;
    while (number >= 0x80) {
        number >>= 7;
        size++;
    }
    return size;
}

size_t row_varint_write(unsigned char *at, uint64_t number) {
    size_t size = 0;
    while (number >= 0x80) {
        at[size++] = (unsigned char)(number | 0x80);
        number >>= 7;
    }
    at[size++] = (unsigned char)number;
    return size;
}

size_t row_varint_read(const unsigned char *at, size_t size_bytes, uint64_t *number) {
    *number = 0;
    for (size_t i = 0; i < size_bytes && i < ROW_VARINT_BYTES_MAX; i++) {
        *number |= (uint64_t)(at[i] & 0x7f) << (7 * i);
        if ((at[i] & 0x80) == 0) {
            /* The tenth byte has room for one bit only. */
            return i == 9 && at[i] > 1 ? 0 : i + 1;
        }
    }
    return 0;
}

unsigned row_integer_size(int64_t integer) {
    uint64_t magnitude = integer < 0 ? ~(uint64_t)integer : (uint64_t)integer;
    unsigned size = 0;
    if (integer == 0) {
        return 0;
    }
    /* One bit more than the magnitude, for the sign. */
    do {
        size++;
    } while (size < 8 && magnitude >> (8 * size - 1) != 0);
    return size;
}

void row_integer_write(unsigned char *at, unsigned size_bytes, int64_t integer) {
    for (unsigned i = 0; i < size_bytes; i++) {
        at[i] = (unsigned char)((uint64_t)integer >> (8 * (size_bytes - 1 - i)));
    }
}

int64_t row_integer_read(const unsigned char *at, unsigned size_bytes) {
    uint64_t bits = size_bytes > 0 && (at[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (unsigned i = 0; i < size_bytes; i++) {
        bits = (bits << 8) | at[i];
    }
    return (int64_t)bits;
}

void row_real_write(unsigned char at[8], double real) {
    int64_t bits;
    memcpy(&bits, &real, sizeof bits);
    row_integer_write(at, 8, bits);
}

bool row_real_read(const unsigned char at[8], double *real) {
    int64_t bits = row_integer_read(at, 8);
    memcpy(real, &bits, sizeof bits);
    return *real == *real;
}
