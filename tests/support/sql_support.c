/* sql_support.c - options, random numbers, text, rows and databases for SQL-level tests. */
#include "sql_support.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void test_fail(const char *format, ...) {
    va_list list;
    va_start(list, format);
    fprintf(stderr, "FAILED: ");
    vfprintf(stderr, format, list);
    fprintf(stderr, "\n");
    va_end(list);
    fflush(NULL);
    exit(1);
}

double test_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t parse_number(const char *what, const char *text) {
    char *end = NULL;
    unsigned long long number = text ? strtoull(text, &end, 0) : 0;
    if (text == NULL || end == text || *end != 0) {
        test_fail("%s needs a number", what);
    }
    return (uint64_t)number;
}

static void read_environment(struct test_options *options, const char **extension) {
    const char *text = getenv("FASTER_TEST_SCALE");
    if (text && *text) {
        options->scale_percent = (unsigned)parse_number("FASTER_TEST_SCALE", text);
    }
    text = getenv("FASTER_TEST_SEED");
    if (text && *text) {
        options->seed = parse_number("FASTER_TEST_SEED", text);
    }
    *extension = getenv("FASTER_EXTENSION");
}

void test_options_parse(struct test_options *options, int argc, char **argv) {
    memset(options, 0, sizeof *options);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const char *slash = strrchr(argv[0], '/');
    options->program = slash ? slash + 1 : argv[0];
    options->scale_percent = 100;
    options->seed = mix_words((uint64_t)now.tv_sec, (uint64_t)now.tv_nsec) >> 32;
    const char *extension = NULL;
    read_environment(options, &extension);
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--self") == 0) {
            options->self = true;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            options->verbose = true;
        } else if (strcmp(argv[i], "--seed") == 0) {
            options->seed = parse_number("--seed", next);
            i++;
        } else if (strcmp(argv[i], "--scale") == 0) {
            options->scale_percent = (unsigned)parse_number("--scale", next);
            i++;
        } else if (strcmp(argv[i], "--only") == 0 && next) {
            options->only = next;
            i++;
        } else if (argv[i][0] != '-') {
            extension = argv[i];
        } else {
            test_fail("unknown argument %s", argv[i]);
        }
    }
    if (!options->self) {
        if (extension == NULL || *extension == 0) {
            printf("SKIPPED: %s: FASTER_EXTENSION does not name faster.so\n", options->program);
            exit(TEST_EXIT_SKIP);
        }
        char resolved[PATH_MAX];
        if (realpath(extension, resolved) == NULL) {
            test_fail("no file %s", extension);
        }
        path_format(options->extension, "%s", resolved);
    }
    printf("%s: seed %llu, scale %u %%, SQLite %s%s\n", options->program,
           (unsigned long long)options->seed, options->scale_percent, sqlite3_libversion(),
           options->self ? ", both sides ordinary tables" : "");
    fflush(stdout);
}

uint64_t test_scaled(const struct test_options *options, uint64_t count) {
    uint64_t scaled = count * options->scale_percent / 100;
    return scaled ? scaled : 1;
}

/* ------------------------------------------------------------- random numbers */

/* splitmix64's finalizer (Steele, Lea, Flood: Fast splittable pseudorandom number
 * generators, OOPSLA 2014). */
static uint64_t finalize(uint64_t word) {
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

#define GOLDEN_GAMMA UINT64_C(0x9e3779b97f4a7c15)

uint64_t mix_words(uint64_t first, uint64_t second) {
    return finalize(finalize(first + GOLDEN_GAMMA) ^ (second * GOLDEN_GAMMA + 1));
}

struct random_state random_of(uint64_t seed, uint64_t stream) {
    struct random_state state = {mix_words(seed, stream)};
    return state;
}

uint64_t random_next(struct random_state *state) {
    state->word += GOLDEN_GAMMA;
    return finalize(state->word);
}

uint32_t random_below(struct random_state *state, uint32_t bound) {
    return bound ? (uint32_t)((random_next(state) >> 32) * bound >> 32) : 0;
}

bool random_percent(struct random_state *state, uint32_t percent) {
    return random_below(state, 100) < percent;
}

/* ----------------------------------------------------------------- text and rows */

static void text_reserve(struct text *text, size_t more_bytes) {
    size_t needed = text->size_bytes + more_bytes + 1;
    if (needed > text->capacity_bytes) {
        size_t capacity = needed * 2 + 64;
        text->data = realloc(text->data, capacity);
        if (text->data == NULL) {
            test_fail("out of memory");
        }
        text->capacity_bytes = capacity;
    }
}

void text_add_bytes(struct text *text, const void *bytes, size_t size_bytes) {
    text_reserve(text, size_bytes);
    if (size_bytes) {
        memcpy(text->data + text->size_bytes, bytes, size_bytes);
    }
    text->size_bytes += size_bytes;
    text->data[text->size_bytes] = 0;
}

void text_add_list(struct text *text, const char *format, va_list list) {
    va_list copy;
    va_copy(copy, list);
    int size = vsnprintf(NULL, 0, format, copy);
    va_end(copy);
    if (size < 0) {
        test_fail("bad format %s", format);
    }
    text_reserve(text, (size_t)size);
    vsnprintf(text->data + text->size_bytes, (size_t)size + 1, format, list);
    text->size_bytes += (size_t)size;
}

void text_add(struct text *text, const char *format, ...) {
    va_list list;
    va_start(list, format);
    text_add_list(text, format, list);
    va_end(list);
}

void text_clear(struct text *text) {
    text->size_bytes = 0;
    if (text->data) {
        text->data[0] = 0;
    }
}

void text_finish(struct text *text) {
    free(text->data);
    memset(text, 0, sizeof *text);
}

static void encode_bytes(struct text *out, const unsigned char *bytes, int size) {
    for (int i = 0; i < size; i++) {
        if (bytes[i] >= 32 && bytes[i] < 127 && bytes[i] != '\\') {
            text_add_bytes(out, &bytes[i], 1);
        } else {
            text_add(out, "\\%02x", bytes[i]);
        }
    }
}

static void encode_column(struct text *out, sqlite3_stmt *statement, int column) {
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL:
        text_add(out, "null");
        break;
    case SQLITE_INTEGER:
        text_add(out, "int:%lld", (long long)sqlite3_column_int64(statement, column));
        break;
    case SQLITE_FLOAT: {
        double value = sqlite3_column_double(statement, column);
        text_add(out, "real:%.17g", value);
        break;
    }
    case SQLITE_TEXT:
        text_add(out, "text:");
        encode_bytes(out, sqlite3_column_text(statement, column),
                     sqlite3_column_bytes(statement, column));
        break;
    default: {
        const void *blob = sqlite3_column_blob(statement, column);
        text_add(out, "blob:");
        encode_bytes(out, blob, sqlite3_column_bytes(statement, column));
        break;
    }
    }
}

static void rows_append(struct rows *rows, sqlite3_stmt *statement) {
    struct text text = {0};
    int columns = sqlite3_column_count(statement);
    for (int i = 0; i < columns; i++) {
        text_add(&text, "%s", i ? " | " : "");
        encode_column(&text, statement, i);
    }
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity * 2 + 16;
        rows->row = realloc(rows->row, rows->capacity * sizeof *rows->row);
        if (rows->row == NULL) {
            test_fail("out of memory");
        }
    }
    text_add_bytes(&text, "", 0);
    rows->row[rows->count++] = text.data;
}

void rows_run(struct rows *rows, sqlite3 *db, const char *sql) {
    rows_clear(rows);
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
            rows_append(rows, statement);
        }
        code = code == SQLITE_DONE ? SQLITE_OK : code;
    }
    rows->code = code & 0xff;
    rows->extended_code = code == SQLITE_OK ? code : sqlite3_extended_errcode(db);
    snprintf(rows->message, sizeof rows->message, "%s", code ? sqlite3_errmsg(db) : "");
    sqlite3_finalize(statement);
}

static int compare_rows(const void *first, const void *second) {
    return strcmp(*(char *const *)first, *(char *const *)second);
}

void rows_sort(struct rows *rows) {
    if (rows->count > 1) {
        qsort(rows->row, rows->count, sizeof *rows->row, compare_rows);
    }
}

long rows_difference(const struct rows *first, const struct rows *second) {
    size_t count = first->count > second->count ? first->count : second->count;
    for (size_t i = 0; i < count; i++) {
        if (i >= first->count || i >= second->count || strcmp(first->row[i], second->row[i]) != 0) {
            return (long)i;
        }
    }
    return -1;
}

const char *rows_at(const struct rows *rows, long index) {
    return index >= 0 && (size_t)index < rows->count ? rows->row[index] : "(no row)";
}

void rows_clear(struct rows *rows) {
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->row[i]);
    }
    free(rows->row);
    memset(rows, 0, sizeof *rows);
}

/* --------------------------------------------------------------------- databases */

sqlite3 *db_open_with(const struct test_options *options, const char *path, const char *vfs) {
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
    if (sqlite3_open_v2(path, &db, flags, vfs) != SQLITE_OK) {
        test_fail("cannot open %s: %s", path, sqlite3_errmsg(db));
    }
    sqlite3_extended_result_codes(db, 1);
    if (!options->self) {
        char *message = NULL;
        sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
        if (sqlite3_load_extension(db, options->extension, NULL, &message) != SQLITE_OK) {
            test_fail("cannot load %s: %s", options->extension, message ? message : "?");
        }
    }
    return db;
}

sqlite3 *db_open(const struct test_options *options, const char *path) {
    return db_open_with(options, path, NULL);
}

void db_close(sqlite3 *db) {
    if (db && sqlite3_close(db) != SQLITE_OK) {
        test_fail("close: %s", sqlite3_errmsg(db));
    }
}

static char *format_sql(const char *format, va_list list) {
    struct text text = {0};
    text_add_list(&text, format, list);
    return text.data;
}

int db_run(sqlite3 *db, const char *format, ...) {
    va_list list;
    va_start(list, format);
    char *sql = format_sql(format, list);
    va_end(list);
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    free(sql);
    return code;
}

void db_must(sqlite3 *db, const char *format, ...) {
    va_list list;
    va_start(list, format);
    char *sql = format_sql(format, list);
    va_end(list);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        test_fail("%.200s: %s (%d)", sql, sqlite3_errmsg(db), sqlite3_extended_errcode(db));
    }
    free(sql);
}

static sqlite3_stmt *first_row(sqlite3 *db, const char *format, va_list list) {
    char *sql = format_sql(format, list);
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        test_fail("%.200s: no row, %s (%d)", sql, sqlite3_errmsg(db), sqlite3_extended_errcode(db));
    }
    free(sql);
    return statement;
}

int64_t db_int(sqlite3 *db, const char *format, ...) {
    va_list list;
    va_start(list, format);
    sqlite3_stmt *statement = first_row(db, format, list);
    va_end(list);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

char *db_text(sqlite3 *db, const char *format, ...) {
    va_list list;
    va_start(list, format);
    sqlite3_stmt *statement = first_row(db, format, list);
    va_end(list);
    const char *value = (const char *)sqlite3_column_text(statement, 0);
    char *copy = value ? strdup(value) : NULL;
    sqlite3_finalize(statement);
    return copy;
}
