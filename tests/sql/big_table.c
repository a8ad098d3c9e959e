/* big_table.c - a table thirty times larger than the store's memory.
 * Sources: big_table.c, ../support/sql_support.c ../support/sql_files.c.
 *
 * Strategy. 2 million rows of 1,000 bytes (times the scale) under memory='64MiB': load in
 * random key order, random point reads, random updates, deletes, a full scan, reopen, reads
 * again; then all rows are deleted and a checkpoint must give the disk space back. Values
 * are a function of key and version, and the version a function of the key and the phase,
 * so nothing is remembered but one bit per row of a scan. If the load is so slow that all
 * would take longer than the budget, it starts again with a tenth of the rows, and says so.
 *
 * Invariants (P4, and the memory budget). Every read and scan is right; the peak resident
 * memory is at most the budget, 5 % of it, 16 MiB, and SQLite's cache; after the deletes
 * the directory is almost empty.
 *
 * Replay. `--seed N` repeats keys, order and values.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql_support.h"

#define ROWS UINT64_C(2000000)
#define VALUE_BYTES 1000
#define BUDGET_BYTES (UINT64_C(64) << 20)
#define SQLITE_CACHE_BYTES (UINT64_C(2) << 20)
#define LOAD_SECONDS_MAX 75.0
#define ROWS_PER_TRANSACTION 5000

enum phase { LOADED, UPDATED, THINNED };

struct big {
    const struct test_options *options;
    char directory[TEST_PATH_BYTES];
    char database[TEST_PATH_BYTES];
    uint64_t rows;
    uint64_t stride; /* coprime to rows: index = i * stride % rows visits all */
    sqlite3 *db;
    sqlite3_stmt *insert;
    sqlite3_stmt *update;
    sqlite3_stmt *erase;
    sqlite3_stmt *point;
};

static bool is_updated(const struct big *big, uint64_t index) {
    return mix_words(big->options->seed, index) % 10 == 3;
}
static bool is_deleted(const struct big *big, uint64_t index) {
    return mix_words(big->options->seed, index) % 100 == 53;
}

static void make_value(const struct big *big, uint64_t index, unsigned version,
                       unsigned char value[VALUE_BYTES]) {
    struct random_state random = random_of(big->options->seed + version, index);
    for (size_t i = 0; i < VALUE_BYTES; i += 8) {
        uint64_t word = random_next(&random);
        memcpy(value + i, &word, 8);
    }
}

static void report(const char *what, uint64_t rows, double start) {
    double seconds = test_seconds() - start;
    printf("  %-28s %9llu rows %7.2f s %10.0f rows/s  peak %llu MiB\n", what,
           (unsigned long long)rows, seconds, (double)rows / seconds,
           (unsigned long long)(process_peak_bytes() >> 20));
    fflush(stdout);
}

static sqlite3_stmt *prepare(struct big *big, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(big->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
        SQLITE_OK) {
        test_fail("%s: %s", sql, sqlite3_errmsg(big->db));
    }
    return statement;
}

static void open_table(struct big *big) {
    big->db = db_open(big->options, big->database);
    db_must(big->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
    if (db_int(big->db, "SELECT count(*) FROM sqlite_schema WHERE name = 'f'") == 0) {
        db_must(big->db, big->options->self
                             ? "CREATE TABLE f(key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID"
                             : "CREATE VIRTUAL TABLE f USING faster(key TEXT PRIMARY KEY,"
                               " value BLOB, memory='64MiB')");
    }
    big->insert = prepare(big, "INSERT INTO f VALUES(printf('key%012d', ?1), ?2)");
    big->update = prepare(big, "UPDATE f SET value = ?2 WHERE key = printf('key%012d', ?1)");
    big->erase = prepare(big, "DELETE FROM f WHERE key = printf('key%012d', ?1)");
    big->point = prepare(big, "SELECT value FROM f WHERE key = printf('key%012d', ?1)");
}

static void close_table(struct big *big) {
    sqlite3_finalize(big->insert);
    sqlite3_finalize(big->update);
    sqlite3_finalize(big->erase);
    sqlite3_finalize(big->point);
    db_close(big->db);
}

static void write_row(struct big *big, sqlite3_stmt *statement, uint64_t index, unsigned version) {
    unsigned char value[VALUE_BYTES];
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)index);
    if (sqlite3_bind_parameter_count(statement) > 1) {
        make_value(big, index, version, value);
        sqlite3_bind_blob(statement, 2, value, VALUE_BYTES, SQLITE_STATIC);
    }
    if (sqlite3_step(statement) != SQLITE_DONE) {
        test_fail("row %llu: %s (%d)", (unsigned long long)index, sqlite3_errmsg(big->db),
                  sqlite3_extended_errcode(big->db));
    }
    sqlite3_reset(statement);
    if (sqlite3_changes(big->db) != 1) {
        test_fail("row %llu: changes() is %d", (unsigned long long)index, sqlite3_changes(big->db));
    }
}

/* Writes the rows that `wanted` selects (NULL: all), in random order. False: too slow. */
static bool write_rows(struct big *big, sqlite3_stmt *statement, unsigned version,
                       bool (*wanted)(const struct big *big, uint64_t index), const char *what,
                       double seconds_max) {
    double start = test_seconds();
    uint64_t written = 0;
    db_must(big->db, "BEGIN");
    for (uint64_t i = 0; i < big->rows; i++) {
        uint64_t index = i * big->stride % big->rows;
        if (wanted && !wanted(big, index)) {
            continue;
        }
        write_row(big, statement, index, version);
        if (++written % ROWS_PER_TRANSACTION == 0) {
            db_must(big->db, "COMMIT");
            db_must(big->db, "BEGIN");
            double share = (double)i / (double)big->rows;
            if (share > 0.05 && (test_seconds() - start) / share > seconds_max) {
                db_must(big->db, "COMMIT");
                report("too slow, stopped after", written, start);
                return false;
            }
        }
    }
    db_must(big->db, "COMMIT");
    report(what, written, start);
    return true;
}

/* Version of a row in a phase, or -1 if it is deleted. */
static int version_of(const struct big *big, enum phase phase, uint64_t index) {
    if (phase >= THINNED && is_deleted(big, index)) {
        return -1;
    }
    return phase >= UPDATED && is_updated(big, index);
}

static void check_value(const struct big *big, enum phase phase, uint64_t index, const void *value,
                        int size) {
    unsigned char expected[VALUE_BYTES];
    int version = version_of(big, phase, index);
    if (version < 0) {
        test_fail("row %llu is back", (unsigned long long)index);
    }
    make_value(big, index, (unsigned)version, expected);
    if (size != VALUE_BYTES || memcmp(value, expected, VALUE_BYTES) != 0) {
        test_fail("row %llu: wrong value, %d bytes", (unsigned long long)index, size);
    }
}

static void read_random(struct big *big, enum phase phase, uint64_t count) {
    double start = test_seconds();
    struct random_state random = random_of(big->options->seed, phase + 77u);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t index = random_next(&random) % big->rows;
        sqlite3_bind_int64(big->point, 1, (sqlite3_int64)index);
        int code = sqlite3_step(big->point);
        if (code == SQLITE_ROW) {
            check_value(big, phase, index, sqlite3_column_blob(big->point, 0),
                        sqlite3_column_bytes(big->point, 0));
        } else if (code != SQLITE_DONE || version_of(big, phase, index) >= 0) {
            test_fail("row %llu: code %d, %s", (unsigned long long)index, code,
                      sqlite3_errmsg(big->db));
        }
        sqlite3_reset(big->point);
    }
    report("random reads", count, start);
}

static void scan_all(struct big *big, enum phase phase) {
    double start = test_seconds();
    unsigned char *seen = calloc(big->rows / 8 + 1, 1);
    sqlite3_stmt *statement = prepare(big, "SELECT CAST(substr(key, 4) AS INTEGER), value FROM f");
    uint64_t rows = 0;
    uint64_t expected = 0;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        uint64_t index = (uint64_t)sqlite3_column_int64(statement, 0);
        if (index >= big->rows || (seen[index / 8] >> index % 8 & 1)) {
            test_fail("scan: row %llu is unknown or comes twice", (unsigned long long)index);
        }
        seen[index / 8] = (unsigned char)(seen[index / 8] | 1u << index % 8);
        check_value(big, phase, index, sqlite3_column_blob(statement, 1),
                    sqlite3_column_bytes(statement, 1));
        rows++;
    }
    for (uint64_t i = 0; i < big->rows; i++) {
        expected += version_of(big, phase, i) >= 0;
    }
    if (code != SQLITE_DONE || rows != expected) {
        test_fail("scan: %llu rows instead of %llu, code %d, %s", (unsigned long long)rows,
                  (unsigned long long)expected, code, sqlite3_errmsg(big->db));
    }
    sqlite3_finalize(statement);
    free(seen);
    report("full scan", rows, start);
}

/* A sanitizer's own memory, freed blocks that it keeps included, is no concern of the budget. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_IS_MEASURABLE false
#else
#define MEMORY_IS_MEASURABLE true
#endif

static void check_memory(const struct big *big) {
    uint64_t peak = process_peak_bytes();
    uint64_t allowed = BUDGET_BYTES + BUDGET_BYTES / 20 + (UINT64_C(16) << 20) + SQLITE_CACHE_BYTES;
    printf("  peak resident memory %.1f MiB, allowed %.1f MiB\n", (double)peak / 1048576,
           (double)allowed / 1048576);
    if (MEMORY_IS_MEASURABLE && !big->options->self && peak > allowed) {
        test_fail("too much memory");
    }
}

static void empty_the_table(struct big *big) {
    double start = test_seconds();
    uint64_t before = tree_disk_bytes(big->directory);
    db_must(big->db, "DELETE FROM f");
    uint64_t deleted = (uint64_t)sqlite3_changes(big->db);
    report("DELETE", deleted, start);
    if (!big->options->self) {
        db_must(big->db, "INSERT INTO f(f) VALUES('checkpoint')");
    }
    db_must(big->db, "PRAGMA wal_checkpoint(TRUNCATE)");
    uint64_t after = tree_disk_bytes(big->directory);
    printf("  on disk: %.1f MiB full, %.1f MiB empty\n", (double)before / 1048576,
           (double)after / 1048576);
    if (db_int(big->db, "SELECT count(*) FROM f") != 0) {
        test_fail("rows after DELETE");
    }
    /* What may stay: the segment that is being written and SQLite's own file. */
    if (!big->options->self && after > before / 20 + (UINT64_C(80) << 20)) {
        test_fail("the disk space of deleted rows is not given back");
    }
}

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b) {
    return b == 0 ? a : greatest_common_divisor(b, a % b);
}

static bool run(struct big *big, double load_seconds_max) {
    directory_make(big->directory, "big");
    path_format(big->database, "%s/big.db", big->directory);
    big->stride = big->rows * 6 / 10 + 1;
    while (greatest_common_divisor(big->stride, big->rows) != 1) {
        big->stride++;
    }
    open_table(big);
    if (!write_rows(big, big->insert, 0, NULL, "load, random order", load_seconds_max)) {
        close_table(big);
        directory_remove(big->directory);
        return false;
    }
    uint64_t reads = big->rows / 10;
    read_random(big, LOADED, reads);
    write_rows(big, big->update, 1, is_updated, "updates", 1e9);
    read_random(big, UPDATED, reads / 2);
    write_rows(big, big->erase, 0, is_deleted, "deletes", 1e9);
    scan_all(big, THINNED);
    check_memory(big);
    double start = test_seconds();
    close_table(big);
    open_table(big);
    db_int(big->db, "SELECT count(*) FROM f WHERE key = 'key000000000001'");
    report("reopen", 1, start);
    read_random(big, THINNED, reads);
    scan_all(big, THINNED);
    check_memory(big);
    empty_the_table(big);
    check_memory(big);
    close_table(big);
    directory_remove(big->directory);
    return true;
}

int main(int argc, char **argv) {
    struct test_options options;
    test_options_parse(&options, argc, argv);
    struct big big = {.options = &options, .rows = test_scaled(&options, ROWS)};
    if (!run(&big, LOAD_SECONDS_MAX)) {
        big.rows = big.rows / 10 + 1;
        printf("REDUCED to %llu rows\n", (unsigned long long)big.rows);
        run(&big, 1e9);
    }
    printf("big_table: %llu rows of %d bytes, all right\n", (unsigned long long)big.rows,
           VALUE_BYTES);
    return 0;
}
