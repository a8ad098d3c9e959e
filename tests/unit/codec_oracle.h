/* codec_oracle.h - what the tests of the row codec share: random values, and SQLite as oracle.
 *
 * Random values go into an ordinary table with the same declaration (the oracle) and through
 * the codec, inside SQL functions, so that both get the same sqlite3_value.
 *
 * Every test starts from a fixed seed; FASTER_TEST_SEED replaces it, and a failure prints the
 * values concerned.
 */
#ifndef FASTER_TESTS_UNIT_CODEC_ORACLE_H
#define FASTER_TESTS_UNIT_CODEC_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/row_codec.h"
#include "codec/schema.h"

/* ----------------------------------------------------------- random values */

#define SAMPLE_TEXT_BYTES_MAX 24

struct sample {
    int type; /* SQLITE_INTEGER, ... */
    int64_t integer;
    double real;
    char bytes[SAMPLE_TEXT_BYTES_MAX];
    int size;
};

/* Starts the test's random numbers. */
void samples_seed(void);
uint64_t samples_draw(void);
/* 0 to limit - 1. */
unsigned samples_below(unsigned limit);

/* Small ones, edges and any others. */
int64_t sample_integer(void);
struct sample sample_any(bool may_be_null);
/* Something that is often equal to `sample` in one sense or another. */
struct sample sample_relative(struct sample sample);

void sample_bind(sqlite3_stmt *statement, int index, const struct sample *sample);
/* For a message; the last four stay valid. */
const char *sample_show(const struct sample *sample);

/* ---------------------------------------------------------------- database */

extern const char *const oracle_types[5];
extern const char *const oracle_collations[3];

sqlite3 *oracle_open(void);
void oracle_run(sqlite3 *db, const char *sql);
sqlite3_stmt *oracle_prepare(sqlite3 *db, const char *sql);

/* "k TEXT COLLATE NOCASE", and so on; PRIMARY KEY DESC behind it keeps INTEGER from being the
 * rowid. The last two stay valid. */
const char *oracle_key_definition(unsigned type, unsigned collation, const char *name);

/* ------------------------------------------------------------------- codec */

/* A declaration of up to three arguments; NULL ones are left out. */
struct table_schema oracle_schema(const char *first, const char *second, const char *third);

/* The declaration that the SQL functions of a test work with. */
extern const struct table_schema *codec_schema;

void codec_load_columns(sqlite3_value **values, struct row_scalar *columns);
void codec_finish_columns(struct row_scalar *columns);
void codec_encode_key(const struct row_scalar *columns, struct row_buffer *key);
/* Gives `db` the function encode(columns...): the key. */
void codec_add_encode(sqlite3 *db);

#endif
