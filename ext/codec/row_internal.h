/* row_internal.h - what the files of the row codec share. Private to them and to plan.c. */
#ifndef FASTER_EXT_ROW_INTERNAL_H
#define FASTER_EXT_ROW_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/row_codec.h"

#define ROW_VARINT_BYTES_MAX 10u

/* Makes room for `extra_bytes` more. SQLITE_OK, SQLITE_NOMEM, SQLITE_TOOBIG. */
int row_buffer_reserve(struct row_buffer *buffer, size_t extra_bytes);

/* Little-endian base 128. Returns the bytes written, at most ROW_VARINT_BYTES_MAX. */
size_t row_varint_write(unsigned char *at, uint64_t number);
size_t row_varint_size(uint64_t number);
/* Returns the bytes read, 0 if there is no whole number within `size_bytes`. */
size_t row_varint_read(const unsigned char *at, size_t size_bytes, uint64_t *number);

/* Two's complement, most significant byte first, in as few bytes as keep the sign;
 * 0 takes none. */
unsigned row_integer_size(int64_t integer);
void row_integer_write(unsigned char *at, unsigned size_bytes, int64_t integer);
int64_t row_integer_read(const unsigned char *at, unsigned size_bytes);

void row_real_write(unsigned char at[8], double real);
/* False for a NaN, which no SQL value is. */
bool row_real_read(const unsigned char at[8], double *real);

/* Whether a column of numeric affinity turns the text into a number, and whether it is
 * written as an integer. */
bool row_text_is_number(const void *text, size_t size_bytes, bool *is_integer);

/* True, with the integer, for a REAL that equals an integer of 64 bits. */
bool row_real_is_integer(double real, int64_t *integer);

/* Reads a value without any affinity; as row_scalar_from_value(). */
int row_scalar_load(sqlite3_value *value, struct row_scalar *scalar);

/* Makes a number the text SQLite prints for it. Other types stay. `value` is the scalar's
 * own value, or NULL: then reals get 15 digits. SQLITE_OK, SQLITE_NOMEM. */
int row_scalar_to_text(struct row_scalar *scalar, sqlite3_value *value);
/* Makes text that looks like a number that number. Other values stay. As above. */
int row_scalar_to_number(struct row_scalar *scalar, sqlite3_value *value);

/* Whether key_decode_part() gives back exactly what the column stores. */
bool key_keeps_part(const struct table_schema *schema, int part, const struct row_scalar *scalar);

#endif
