/* slt_runner.c - runs sqllogictest files on FASTER tables.
 *
 * slt_runner [--self | --direct] [--verbose] [--extension PATH] FILE...
 *
 * Strategy: the files hold statements and queries with the results that SQLite itself
 * gives. Every CREATE TABLE becomes CREATE VIRTUAL TABLE ... USING faster, so each query
 * must still give the same result; with --direct they are direct tables. The files undo nothing
 * by ROLLBACK, and no statement of theirs fails after it has written a row. Every file gets a fresh
 * database on disk. With --self nothing is rewritten and no extension is loaded: then every record
 * must pass on ordinary tables, which checks this program.
 *
 * Skipped, and counted by reason: records for other engines; statements about indexes and
 * triggers, which SQLite allows on no virtual table; statements that make a table of a
 * SELECT or with generated columns. Clauses that no FASTER table can keep are taken out of
 * CREATE TABLE and counted.
 *
 * Exit code 0: nothing failed; 1: something did; 77: no extension was named.
 */
#include <ctype.h>
#include <md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slt_file.h"
#include "slt_rewrite.h"

#define DIGEST_BYTES (MD5_DIGEST_LENGTH * 2 + 1)
#define LABELS_MAX 4096
#define MESSAGES_MAX 50

enum skip_reason {
    SKIP_OTHER_ENGINE,
    SKIP_INDEX,
    SKIP_TRIGGER,
    SKIP_AS_SELECT,
    SKIP_GENERATED,
    SKIP_COUNT
};

static const char *const skip_names[SKIP_COUNT] = {
    "for another engine", "index statement", "trigger statement", "CREATE TABLE ... AS SELECT",
    "generated column"};

struct label {
    char name[SLT_WORD_BYTES];
    char digest[DIGEST_BYTES];
};

struct runner {
    struct test_options options;
    const char *table_options;
    unsigned long statements_passed;
    unsigned long queries_passed;
    unsigned long failed;
    unsigned long skipped[SKIP_COUNT];
    unsigned long dropped[SLT_CLAUSE_COUNT];
    unsigned long rewritten;
    /* The present file. */
    const char *path;
    sqlite3 *db;
    struct label *labels;
    size_t label_count;
};

/* The values of one query's result, row by row, as the file writes them. */
struct values {
    char **item;
    size_t count;
    size_t capacity;
    size_t columns;
};

static void report(struct runner *runner, const struct slt_record *record, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void report(struct runner *runner, const struct slt_record *record, const char *format,
                   ...) {
    runner->failed++;
    if (runner->failed > MESSAGES_MAX && !runner->options.verbose) {
        return;
    }
    va_list list;
    va_start(list, format);
    printf("%s:%u: ", runner->path, record->line);
    vprintf(format, list);
    printf("\n    %s\n", record->sql);
    va_end(list);
}

/* ---------------------------------------------------------------- values */

static void values_add(struct values *values, const char *text) {
    if (values->count == values->capacity) {
        values->capacity = values->capacity * 2 + 64;
        values->item = realloc(values->item, values->capacity * sizeof *values->item);
        if (values->item == NULL) {
            test_fail("out of memory");
        }
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        test_fail("out of memory");
    }
    values->item[values->count++] = copy;
}

static void values_finish(struct values *values) {
    for (size_t i = 0; i < values->count; i++) {
        free(values->item[i]);
    }
    free(values->item);
    memset(values, 0, sizeof *values);
}

static void add_text_column(struct values *values, const unsigned char *bytes) {
    if (bytes == NULL || *bytes == 0) {
        values_add(values, "(empty)");
        return;
    }
    struct text text = {0};
    for (; *bytes; bytes++) {
        char shown = isprint(*bytes) && *bytes < 0x80 ? (char)*bytes : '@';
        text_add_bytes(&text, &shown, 1);
    }
    values_add(values, text.data);
    text_finish(&text);
}

static void add_column(struct values *values, sqlite3_stmt *statement, int column, char type) {
    char number[64];
    if (sqlite3_column_type(statement, column) == SQLITE_NULL) {
        values_add(values, "NULL");
    } else if (type == 'I') {
        snprintf(number, sizeof number, "%lld", (long long)sqlite3_column_int64(statement, column));
        values_add(values, number);
    } else if (type == 'R') {
        snprintf(number, sizeof number, "%.3f", sqlite3_column_double(statement, column));
        values_add(values, number);
    } else {
        add_text_column(values, sqlite3_column_text(statement, column));
    }
}

/* qsort has no context, and the program has one thread. */
static size_t sort_columns;

static int compare_rows(const void *first, const void *second) {
    char *const *left = first;
    char *const *right = second;
    for (size_t i = 0; i < sort_columns; i++) {
        int order = strcmp(left[i], right[i]);
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

static void values_sort(struct values *values, enum slt_sort sort) {
    if (values->count == 0 || sort == SLT_SORT_NONE) {
        return;
    }
    sort_columns = sort == SLT_SORT_ROWS ? values->columns : 1;
    qsort(values->item, values->count / sort_columns, sort_columns * sizeof *values->item,
          compare_rows);
}

static void values_digest(const struct values *values, char digest[DIGEST_BYTES]) {
    MD5_CTX context;
    MD5Init(&context);
    for (size_t i = 0; i < values->count; i++) {
        MD5Update(&context, (const uint8_t *)values->item[i], strlen(values->item[i]));
        MD5Update(&context, (const uint8_t *)"\n", 1);
    }
    MD5End(&context, digest);
}

/* --------------------------------------------------------------- records */

/* Decides whether the record runs; `sql` is then what to run. */
static bool applies(struct runner *runner, const struct slt_record *record, struct text *sql) {
    if (record->for_other_engine) {
        runner->skipped[SKIP_OTHER_ENGINE]++;
        return false;
    }
    if (runner->options.self) {
        text_clear(sql);
        text_add(sql, "%s", record->sql);
        return true;
    }
    switch (slt_rewrite(record->sql, runner->table_options, sql, runner->dropped)) {
    case SLT_RUN:
        runner->rewritten += strcmp(sql->data, record->sql) != 0;
        return true;
    case SLT_SKIP_INDEX:
        runner->skipped[SKIP_INDEX]++;
        break;
    case SLT_SKIP_TRIGGER:
        runner->skipped[SKIP_TRIGGER]++;
        break;
    case SLT_SKIP_AS_SELECT:
        runner->skipped[SKIP_AS_SELECT]++;
        break;
    case SLT_SKIP_GENERATED:
        runner->skipped[SKIP_GENERATED]++;
        break;
    }
    return false;
}

static void run_statement(struct runner *runner, const struct slt_record *record, const char *sql) {
    int code = sqlite3_exec(runner->db, sql, NULL, NULL, NULL);
    if ((code != SQLITE_OK) == record->error_expected) {
        runner->statements_passed++;
    } else if (record->error_expected) {
        report(runner, record, "an error was expected");
    } else {
        report(runner, record, "error %d: %s", code, sqlite3_errmsg(runner->db));
    }
}

/* Runs the query. False if it failed, which has been reported. */
static bool collect(struct runner *runner, const struct slt_record *record, const char *sql,
                    struct values *values) {
    sqlite3_stmt *statement = NULL;
    values->columns = strlen(record->types);
    if (sqlite3_prepare_v2(runner->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        report(runner, record, "prepare: %s", sqlite3_errmsg(runner->db));
        return false;
    }
    if ((size_t)sqlite3_column_count(statement) != values->columns) {
        report(runner, record, "%d columns, the file says %zu", sqlite3_column_count(statement),
               values->columns);
        sqlite3_finalize(statement);
        return false;
    }
    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (size_t i = 0; i < values->columns; i++) {
            add_column(values, statement, (int)i, record->types[i]);
        }
    }
    if (sqlite3_finalize(statement) != SQLITE_OK) {
        report(runner, record, "step: %s", sqlite3_errmsg(runner->db));
        return false;
    }
    return true;
}

/* Compares with the listed values, or with "N values hashing to D". */
static bool same_as_expected(const struct slt_record *record, const struct values *values,
                             const char *digest) {
    unsigned long count = 0;
    char expected_digest[DIGEST_BYTES];
    if (sscanf(record->expected, "%lu values hashing to %32[0-9a-f]", &count, expected_digest) ==
        2) {
        return count == values->count && strcmp(digest, expected_digest) == 0;
    }
    const char *at = record->expected;
    for (size_t i = 0; i < values->count; i++) {
        size_t length = strcspn(at, "\n");
        if (*at == 0 || strlen(values->item[i]) != length ||
            memcmp(values->item[i], at, length) != 0) {
            return false;
        }
        at += length + 1;
    }
    return *at == 0;
}

/* All results under one label must be equal within a file. */
static bool same_as_label(struct runner *runner, const char *name, const char *digest) {
    if (*name == 0) {
        return true;
    }
    for (size_t i = 0; i < runner->label_count; i++) {
        if (strcmp(runner->labels[i].name, name) == 0) {
            return strcmp(runner->labels[i].digest, digest) == 0;
        }
    }
    if (runner->label_count == LABELS_MAX) {
        test_fail("%s: more than %d labels", runner->path, LABELS_MAX);
    }
    struct label *label = &runner->labels[runner->label_count++];
    snprintf(label->name, sizeof label->name, "%s", name);
    snprintf(label->digest, sizeof label->digest, "%s", digest);
    return true;
}

static void run_query(struct runner *runner, const struct slt_record *record, const char *sql) {
    struct values values = {0};
    if (collect(runner, record, sql, &values)) {
        char digest[DIGEST_BYTES];
        values_sort(&values, record->sort);
        values_digest(&values, digest);
        if (record->has_expected && !same_as_expected(record, &values, digest)) {
            report(runner, record, "another result: %zu values, the first is %s", values.count,
                   values.count ? values.item[0] : "(none)");
        } else if (!same_as_label(runner, record->label, digest)) {
            report(runner, record, "another result than the label %s had before", record->label);
        } else {
            runner->queries_passed++;
        }
    }
    values_finish(&values);
}

/* False ends the file. */
static bool run_record(struct runner *runner, const struct slt_record *record, struct text *sql) {
    switch (record->kind) {
    case SLT_STATEMENT:
        if (applies(runner, record, sql)) {
            run_statement(runner, record, sql->data);
        }
        return true;
    case SLT_QUERY:
        if (applies(runner, record, sql)) {
            run_query(runner, record, sql->data);
        }
        return true;
    case SLT_HALT:
        return record->for_other_engine;
    case SLT_HASH_THRESHOLD: /* says only how the file was written */
        return true;
    case SLT_UNKNOWN:
        report(runner, record, "unknown kind of record");
        return true;
    case SLT_END:
        break;
    }
    return false;
}

static void run_file(struct runner *runner, const char *path, const char *directory) {
    char database[TEST_PATH_BYTES];
    struct slt_file file;
    struct slt_record record;
    struct text sql = {0};
    double start = test_seconds();
    unsigned long failed = runner->failed;
    path_format(database, "%s/slt.db", directory);
    runner->path = path;
    runner->label_count = 0;
    runner->db = db_open(&runner->options, database);
    /* The files test answers; what survives a power cut is another test's question. */
    db_must(runner->db, "PRAGMA synchronous=OFF");
    slt_file_open(&file, path);
    do {
        slt_file_next(&file, &record);
    } while (run_record(runner, &record, &sql));
    slt_file_close(&file);
    text_finish(&sql);
    db_close(runner->db);
    printf("%-60s %6.1f s, %lu failed\n", path, test_seconds() - start, runner->failed - failed);
    fflush(stdout);
}

static void print_summary(const struct runner *runner, int file_count) {
    printf("\n%d files; %lu statements and %lu queries passed\n", file_count,
           runner->statements_passed, runner->queries_passed);
    if (!runner->options.self) {
        printf("CREATE TABLE turned into CREATE VIRTUAL TABLE: %lu\n", runner->rewritten);
    }
    for (size_t i = 0; i < SKIP_COUNT; i++) {
        printf("skipped, %s: %lu\n", skip_names[i], runner->skipped[i]);
    }
    for (size_t i = 0; i < SLT_CLAUSE_COUNT && !runner->options.self; i++) {
        printf("clause taken out, %s: %lu\n", slt_clause_names[i], runner->dropped[i]);
    }
    printf("%lu passed, %lu failed\n", runner->statements_passed + runner->queries_passed,
           runner->failed);
}

static int parse_arguments(struct runner *runner, int argc, char **argv) {
    const char *extension = getenv("FASTER_EXTENSION");
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--self") == 0) {
            runner->options.self = true;
        } else if (strcmp(argv[i], "--direct") == 0) {
            runner->table_options = ", writes='direct'";
        } else if (strcmp(argv[i], "--verbose") == 0) {
            runner->options.verbose = true;
        } else if (strcmp(argv[i], "--extension") == 0 && i + 1 < argc) {
            extension = argv[++i];
        } else {
            test_fail("unknown argument %s", argv[i]);
        }
    }
    if (!runner->options.self && (extension == NULL || *extension == 0)) {
        printf("skipped: no extension is named\n");
        exit(TEST_EXIT_SKIP);
    }
    snprintf(runner->options.extension, sizeof runner->options.extension, "%s",
             extension ? extension : "");
    return i;
}

int main(int argc, char **argv) {
    struct runner runner = {.table_options = ""};
    runner.options.program = "slt_runner";
    int first = parse_arguments(&runner, argc, argv);
    runner.labels = calloc(LABELS_MAX, sizeof *runner.labels);
    if (runner.labels == NULL) {
        test_fail("out of memory");
    }
    for (int i = first; i < argc; i++) {
        char directory[TEST_PATH_BYTES];
        directory_make(directory, "slt");
        run_file(&runner, argv[i], directory);
        directory_remove(directory);
    }
    free(runner.labels);
    print_summary(&runner, argc - first);
    return runner.failed == 0 && argc > first ? 0 : 1;
}
