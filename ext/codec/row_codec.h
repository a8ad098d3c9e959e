/* row_codec.h - SQL values <-> the bytes of one record.
 *
 * A row is one record of the store: the key columns, encoded so that equal keys have
 * equal bytes, are its key; everything else is its value. key_codec.c and row_codec.c
 * tell the two layouts, affinity.c how a value becomes what a column stores.
 *
 * All functions are pure: any thread, no I/O. Memory is sqlite3_malloc's. Result codes
 * are SQLite's.
 */
#ifndef FASTER_EXT_ROW_CODEC_H
#define FASTER_EXT_ROW_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sqlite_api.h"
#include "codec/schema.h"
#include "faster.h"

#define KEY_ROWID_BYTES 8u

/* Growable bytes. All zeroes is a valid empty buffer. */
struct row_buffer {
    unsigned char *data;
    size_t size_bytes;
    size_t capacity_bytes;
};

/* Appends a copy. SQLITE_OK, SQLITE_NOMEM or SQLITE_TOOBIG (above 2^31 - 1 bytes). */
int row_buffer_append(struct row_buffer *buffer, const void *data, size_t size_bytes);
/* Forgets the content and keeps the memory. */
void row_buffer_clear(struct row_buffer *buffer);
/* Releases the memory; the buffer is then empty and usable. */
void row_buffer_finish(struct row_buffer *buffer);
struct faster_bytes row_buffer_bytes(const struct row_buffer *buffer);

/* The order of the members is SQLite's order across types. */
enum row_type { ROW_NULL, ROW_INTEGER, ROW_REAL, ROW_TEXT, ROW_BLOB };

/* One SQL value. All zeroes is NULL. `data` is borrowed, from the sqlite3_value or the
 * record it was taken from, unless `owned_value` or `owned_memory` is set. Text is UTF-8
 * and not zero-terminated. REAL is never a NaN. */
struct row_scalar {
    enum row_type type;
    int64_t integer;
    double real;
    const void *data;
    size_t size_bytes;
    sqlite3_value *owned_value;
    void *owned_memory;
};

/* What a column of that affinity stores for `value`, exactly as an ordinary table would.
 * Borrows the value's bytes: it must stay unchanged until the scalar is finished or
 * encoded. `value` must be protected; its type does not change, its text may be
 * converted to UTF-8. On SQLITE_OK the caller calls row_scalar_finish().
 * SQLITE_OK, SQLITE_NOMEM. */
int row_scalar_from_value(sqlite3_value *value, enum schema_affinity affinity,
                          struct row_scalar *scalar);

/* The same for a scalar: what the result of row_add() and others becomes when it is stored.
 * May replace and finish the old content. SQLITE_OK, SQLITE_NOMEM. */
int row_scalar_apply_affinity(struct row_scalar *scalar, enum schema_affinity affinity);

/* Releases what the scalar owns and makes it NULL. Accepts a zeroed or finished one. */
void row_scalar_finish(struct row_scalar *scalar);

/* The value as the rowid of an INTEGER PRIMARY KEY. SQLITE_OK, or SQLITE_MISMATCH if an
 * ordinary table would say "datatype mismatch". NULL is the caller's to handle:
 * REQUIRES: scalar->type != ROW_NULL. The scalar has INTEGER affinity applied. */
int row_scalar_rowid(const struct row_scalar *scalar, int64_t *rowid);

/* Sets a function's or column's result. `destructor` is SQLITE_STATIC if the scalar's bytes
 * stay in place until SQLite has used them (row pinned), else SQLITE_TRANSIENT. */
void row_scalar_result(sqlite3_context *context, const struct row_scalar *scalar,
                       sqlite3_destructor_type destructor);

/* ------------------------------------------------------------------- keys */

/* Appends the key of a KEY_* table: `parts` are the key columns in the key's order, with
 * their columns' affinity applied (`part_count` == schema->key_count). Two keys have equal
 * bytes if and only if SQLite says they are equal. SQLITE_OK, SQLITE_NOMEM, SQLITE_TOOBIG,
 * SQLITE_CONSTRAINT_NOTNULL (a part is NULL). The caller checks FASTER_KEY_BYTES_MAX. */
int key_encode(const struct table_schema *schema, const struct row_scalar *parts,
               struct row_buffer *key);

/* The key of a rowid table: the rowid as 8 bytes, most significant first. */
void key_encode_rowid(int64_t rowid, unsigned char key[KEY_ROWID_BYTES]);
/* SQLITE_OK, or SQLITE_CORRUPT_VTAB if the key is not 8 bytes. */
int key_decode_rowid(struct faster_bytes key, int64_t *rowid);

/* Gives part `part` back as the key knows it; borrows from `key`. Where the key does not
 * keep the stored form (folded text, an integral REAL), the value holds it: use
 * row_view_column() instead to read a row. SQLITE_OK, SQLITE_CORRUPT_VTAB. */
int key_decode_part(const struct table_schema *schema, struct faster_bytes key, int part,
                    struct row_scalar *scalar);

/* Whether a key part is text that a comparison of numeric affinity turns into a number,
 * and then equals other keys' numbers ('01' = 1). The table keeps the greatest answer over
 * all keys it ever stored; plan_probe() uses it. An unknown past is KEY_TEXT_ANY. */
enum key_text {
    KEY_TEXT_PLAIN,     /* no part is text that looks like a number */
    KEY_TEXT_CANONICAL, /* such text is an integer as SQLite prints it ('42', not '042') */
    KEY_TEXT_ANY
};
enum key_text key_text_of(const struct row_scalar *parts, int part_count);

/* ------------------------------------------------------------------- rows */

/* Appends the value of a row: `columns` are all declared columns with their affinity
 * applied (`column_count` == schema->column_count); an INTEGER PRIMARY KEY's own column
 * is not looked at. SQLITE_OK, SQLITE_NOMEM, SQLITE_TOOBIG. */
int row_encode(const struct table_schema *schema, const struct row_scalar *columns,
               struct row_buffer *value);

/* A record being read. Borrows key and value for its whole life; zeroed is invalid.
 * Not shared between threads: it remembers how far it has read. Columns are cheapest in
 * ascending order. */
struct row_view {
    const struct table_schema *schema;
    struct faster_bytes key;
    struct faster_bytes value;
    size_t head_end; /* private */
    size_t head_at;
    size_t body_at;
    int column;
};

/* SQLITE_OK, or SQLITE_CORRUPT_VTAB if the value's head is damaged or from a newer
 * version. Damage further on is found by row_view_column(). */
int row_view_open(struct row_view *view, const struct table_schema *schema, struct faster_bytes key,
                  struct faster_bytes value);

/* Reads declared column `column`; the scalar borrows from key and value. Never touches the
 * other columns' bodies. REQUIRES: 0 <= column < column_count. A column the record does
 * not have is NULL. SQLITE_OK, SQLITE_CORRUPT_VTAB. */
int row_view_column(struct row_view *view, int column, struct row_scalar *scalar);

/* row_view_column() and row_scalar_result() in one: the body of xColumn for a declared
 * column. The error, if any, is returned and not set as the result. */
int row_view_result(struct row_view *view, int column, sqlite3_context *context,
                    sqlite3_destructor_type destructor);

/* Appends the row in `view` with column `column`, which is no key column, replaced by
 * `scalar` (affinity applied): what a read-modify-write stores. SQLITE_OK, SQLITE_NOMEM,
 * SQLITE_TOOBIG, SQLITE_CORRUPT_VTAB. */
int row_replace_column(struct row_view *view, int column, const struct row_scalar *scalar,
                       struct row_buffer *value);

/* -------------------------------------------------------------- arithmetic
 * What the commands add, min, max and append make of a column. `old` is NULL-typed if the
 * row or the value does not exist; then the result is the operand. The result borrows
 * from both unless it says otherwise; the caller finishes it and applies the affinity. */

/* SQL's `+`, except that an integer overflow is an error and never becomes a REAL, and that
 * text and blobs are refused instead of counting as 0. A NULL operand leaves `old`.
 * SQLITE_OK; SQLITE_ERROR (integer overflow); SQLITE_MISMATCH (not a number). */
int row_add(const struct row_scalar *old, const struct row_scalar *delta,
            struct row_scalar *result);

/* The smaller or greater in SQLite's order. As in the aggregates, NULL never wins. */
void row_min(const struct row_scalar *old, const struct row_scalar *candidate,
             enum schema_collation collation, struct row_scalar *result);
void row_max(const struct row_scalar *old, const struct row_scalar *candidate,
             enum schema_collation collation, struct row_scalar *result);

/* `old || suffix`: a blob if both are blobs, else text. A NULL suffix leaves `old`. The
 * result owns its bytes. SQLITE_OK, SQLITE_NOMEM, SQLITE_TOOBIG. */
int row_append(const struct row_scalar *old, const struct row_scalar *suffix,
               struct row_scalar *result);

/* < 0, 0 or > 0 as SQLite orders a and b; integers and reals are compared exactly. */
int row_compare(const struct row_scalar *a, const struct row_scalar *b,
                enum schema_collation collation);

#endif
