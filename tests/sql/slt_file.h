/* slt_file.h - reads the records of a sqllogictest file. */
#ifndef TESTS_SQL_SLT_FILE_H
#define TESTS_SQL_SLT_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "sql_support.h"

enum slt_kind { SLT_END, SLT_STATEMENT, SLT_QUERY, SLT_HALT, SLT_HASH_THRESHOLD, SLT_UNKNOWN };
enum slt_sort { SLT_SORT_NONE, SLT_SORT_ROWS, SLT_SORT_VALUES };

#define SLT_WORD_BYTES 64

/* One record. `sql` and `expected` belong to the reader and live until the next record. */
struct slt_record {
    enum slt_kind kind;
    unsigned line; /* where its first line is, from 1 */
    bool for_other_engine;
    bool error_expected;        /* statement */
    char types[SLT_WORD_BYTES]; /* query: one of I, R, T per column */
    enum slt_sort sort;
    char label[SLT_WORD_BYTES]; /* "" if none */
    bool has_expected;          /* a ---- line was there */
    const char *sql;
    const char *expected; /* lines, each ended by a newline */
};

struct slt_file {
    char *content;
    size_t size_bytes;
    size_t position;
    unsigned line;
    struct text sql;
    struct text expected;
};

/* Reads the whole file; ends the test if it cannot. */
void slt_file_open(struct slt_file *file, const char *path);
/* The next record; kind SLT_END after the last one. */
void slt_file_next(struct slt_file *file, struct slt_record *record);
void slt_file_close(struct slt_file *file);

#endif
