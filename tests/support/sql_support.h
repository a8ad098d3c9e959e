/* sql_support.h - what the SQL-level tests share.
 *
 * Command line of every program: [--self] [--seed N] [--scale PERCENT] [--only NAME]
 * [--verbose] [path of faster.so]. Environment: FASTER_EXTENSION, FASTER_TEST_SEED,
 * FASTER_TEST_SCALE; the command line is stronger. With --self both sides are ordinary
 * tables and no extension is loaded: it checks the harness itself. Without an extension
 * a program skips with exit code 77.
 *
 * A test that cannot go on calls test_fail(), which prints and exits.
 */
#ifndef TESTS_SQL_SUPPORT_H
#define TESTS_SQL_SUPPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#define TEST_EXIT_SKIP 77
#define TEST_PATH_BYTES 1024

struct test_options {
    const char *program;
    char extension[TEST_PATH_BYTES]; /* absolute path; empty with --self */
    const char *only;                /* run only what is named so; NULL: everything */
    uint64_t seed;
    unsigned scale_percent;
    bool self;
    bool verbose;
};

/* Reads arguments and environment and prints program, seed and scale. Exits on bad
 * arguments, and with TEST_EXIT_SKIP when no extension is named. */
void test_options_parse(struct test_options *options, int argc, char **argv);
/* `count` scaled, at least 1. */
uint64_t test_scaled(const struct test_options *options, uint64_t count);

void test_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
double test_seconds(void);

/* ------------------------------------------------------------- random numbers */

struct random_state {
    uint64_t word;
};
/* The stream `stream` of `seed`: equal arguments give equal numbers. */
struct random_state random_of(uint64_t seed, uint64_t stream);
uint64_t random_next(struct random_state *state);
/* 0 to bound - 1. */
uint32_t random_below(struct random_state *state, uint32_t bound);
bool random_percent(struct random_state *state, uint32_t percent);
/* A well mixed function of its arguments. */
uint64_t mix_words(uint64_t first, uint64_t second);

/* ----------------------------------------------------------------- text and rows */

struct text {
    char *data; /* always zero-terminated once something was added */
    size_t size_bytes;
    size_t capacity_bytes;
};
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_list(struct text *text, const char *format, va_list list)
    __attribute__((format(printf, 2, 0)));
void text_add_bytes(struct text *text, const void *bytes, size_t size_bytes);
void text_clear(struct text *text);
void text_finish(struct text *text);

/* Rows of a result, each encoded so that equal encodings mean equal types and bytes. */
struct rows {
    char **row;
    size_t count;
    size_t capacity;
    int code;          /* primary result code of the statement */
    int extended_code; /* the same, extended */
    char message[300];
};
/* Runs one statement to its end and collects what it returns. */
void rows_run(struct rows *rows, sqlite3 *db, const char *sql);
void rows_sort(struct rows *rows);
/* Index of the first row that differs, or -1. A missing row differs. */
long rows_difference(const struct rows *first, const struct rows *second);
const char *rows_at(const struct rows *rows, long index);
void rows_clear(struct rows *rows);

/* --------------------------------------------------------------------- databases */

/* Opens `path` through the VFS `vfs` (NULL: default), loads the extension. */
sqlite3 *db_open_with(const struct test_options *options, const char *path, const char *vfs);
sqlite3 *db_open(const struct test_options *options, const char *path);
/* Closes; open statements are an error of the test. */
void db_close(sqlite3 *db);
/* Runs statements; returns the extended code, the message stays in sqlite3_errmsg(). */
int db_run(sqlite3 *db, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, but any failure ends the test. */
void db_must(sqlite3 *db, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* First column of the first row. Failure, or no row, ends the test. */
int64_t db_int(sqlite3 *db, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same as text, owned by the caller; NULL for NULL. */
char *db_text(sqlite3 *db, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ------------------------------------------------------------------------- files */

void path_format(char path[TEST_PATH_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A new directory below TMPDIR, or /tmp. */
void directory_make(char path[TEST_PATH_BYTES], const char *prefix);
/* Removes a tree; a missing one is fine. */
void directory_remove(const char *path);
/* Copies a file, or a tree, like cp -a --sparse=always (new inodes). */
void tree_copy(const char *from, const char *to);
/* Bytes that a tree occupies on disk. */
uint64_t tree_disk_bytes(const char *path);
/* Calls `each` for every regular file below `path`. */
typedef void tree_file_fn(void *context, const char *path);
void tree_each_file(const char *path, tree_file_fn *each, void *context);
/* The directory of the only store below `root` (it holds a file named `store`). False if
 * there is none; more than one ends the test. */
bool store_directory_find(const char *root, char path[TEST_PATH_BYTES]);
unsigned store_directory_count(const char *root);
/* Peak resident memory of this process, in bytes. */
uint64_t process_peak_bytes(void);

#endif
