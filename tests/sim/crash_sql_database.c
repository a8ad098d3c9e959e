/* crash_sql_database.c - configurations, connections, content; see crash_sql.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "crash_sql.h"
#include "sim_run.h"
#include "sim_sqlite.h"

#define ROWS_AT_FIRST 12u
#define VALUE_BYTES_AT_FIRST 40u

/* With NORMAL in a rollback journal SQLite syncs the journal's content and the number that makes it
 * count at once: a power cut may keep the number only, and damage the database. `crash_sql --self`
 * shows it with ordinary tables, when this table promises more. */
static const struct sql_config configs[] = {
    {"WAL", "FULL", SQL_KEEPS_ALL},
    {"DELETE", "EXTRA", SQL_KEEPS_ALL},
    {"WAL", "NORMAL", SQL_KEEPS_CHECKPOINTED},
    {"TRUNCATE", "FULL", SQL_KEEPS_ALL},
    {"DELETE", "FULL", SQL_KEEPS_ALL_BUT_LAST},
    {"PERSIST", "FULL", SQL_KEEPS_ALL},
    {"WAL", "EXTRA", SQL_KEEPS_ALL},
    {"TRUNCATE", "EXTRA", SQL_KEEPS_ALL},
    {"PERSIST", "EXTRA", SQL_KEEPS_ALL},
    {"DELETE", "NORMAL", SQL_KEEPS_AFTER_KILL},
    {"TRUNCATE", "NORMAL", SQL_KEEPS_AFTER_KILL},
    {"PERSIST", "NORMAL", SQL_KEEPS_AFTER_KILL},
    {"WAL", "OFF", SQL_KEEPS_AFTER_KILL},
    {"DELETE", "OFF", SQL_KEEPS_AFTER_KILL},
};

uint32_t sql_config_count(void) {
    return (uint32_t)(sizeof configs / sizeof configs[0]);
}

const struct sql_config *sql_config(uint32_t number) {
    return &configs[number];
}

bool sql_is_wal(const struct sql_config *config) {
    return strcmp(config->journal_mode, "WAL") == 0;
}

bool sql_may_vacuum(const struct sql_config *config) {
    return config->promise != SQL_KEEPS_ALL_BUT_LAST;
}

uint32_t sql_draw(struct sql_run *run, uint32_t bound) {
    return (uint32_t)(sim_next(&run->random) % bound);
}

bool sql_take_self(int *argc, char **argv) {
    int kept = 1;
    bool is_given = false;

    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--self") == 0) {
            is_given = true;
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    argv[kept] = NULL;
    return is_given;
}

/* ---- statements ---- */

static int run_list(sqlite3 *db, const char *format, va_list list, char **sql) {
    *sql = sqlite3_vmprintf(format, list);
    return *sql == NULL ? SQLITE_NOMEM : sqlite3_exec(db, *sql, NULL, NULL, NULL);
}

int sql_try(sqlite3 *db, const char *format, ...) {
    va_list list;
    char *sql;
    int rc;

    va_start(list, format);
    rc = run_list(db, format, list, &sql);
    va_end(list);
    sqlite3_free(sql);
    return rc;
}

void sql_must(sqlite3 *db, const char *format, ...) {
    va_list list;
    char *sql;
    int rc;

    va_start(list, format);
    rc = run_list(db, format, list, &sql);
    va_end(list);
    CASES_CHECK(rc == SQLITE_OK, "P1", "%.200s: %d: %s", sql, rc, sqlite3_errmsg(db));
    sqlite3_free(sql);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    const int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    CASES_CHECK(rc == SQLITE_OK, "P1", "%.200s: %d: %s", sql, rc, sqlite3_errmsg(db));
    return statement;
}

static bool step(sqlite3 *db, sqlite3_stmt *statement) {
    const int rc = sqlite3_step(statement);

    CASES_CHECK(rc == SQLITE_ROW || rc == SQLITE_DONE, "P1", "%.200s: %d: %s",
                sqlite3_sql(statement), rc, sqlite3_errmsg(db));
    return rc == SQLITE_ROW;
}

int64_t sql_number(sqlite3 *db, const char *format, ...) {
    va_list list;
    char *sql;
    sqlite3_stmt *statement;
    int64_t number;

    va_start(list, format);
    sql = sqlite3_vmprintf(format, list);
    va_end(list);
    statement = prepare(db, sql);
    number = step(db, statement) ? sqlite3_column_int64(statement, 0) : -1;
    (void)sqlite3_finalize(statement);
    sqlite3_free(sql);
    return number;
}

void sql_expect_text(sqlite3 *db, const char *sql, const char *expected, const char *promise) {
    sqlite3_stmt *statement = prepare(db, sql);
    const char *text = step(db, statement) ? (const char *)sqlite3_column_text(statement, 0) : NULL;

    CASES_CHECK(text != NULL && strcmp(text, expected) == 0, promise, "%s: %.300s", sql,
                text == NULL ? "nothing" : text);
    (void)sqlite3_finalize(statement);
}

int sql_try_hash(sqlite3 *db, const char *sql, uint64_t *hash) {
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    *hash = 1;
    while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const void *bytes = sqlite3_column_blob(statement, i);
            const int count = sqlite3_column_bytes(statement, i);
            *hash = sim_mix(*hash, (uint64_t)sqlite3_column_type(statement, i));
            *hash = sim_mix(*hash, XXH3_64bits(bytes, (size_t)count));
        }
        rc = SQLITE_OK;
    }
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

uint64_t sql_hash(sqlite3 *db, const char *sql) {
    uint64_t hash;
    const int rc = sql_try_hash(db, sql, &hash);

    CASES_CHECK(rc == SQLITE_OK, "P1", "%.200s: %d: %s", sql, rc, sqlite3_errmsg(db));
    return hash;
}

/* ---- connections ---- */

int sql_try_connect(const struct sql_run *run, sqlite3 **db) {
    int rc = sim_db_try_open(SQL_DATABASE, !run->is_self, db);

    if (rc == SQLITE_OK) {
        rc = sql_try(*db, "PRAGMA synchronous = %s", run->config->synchronous);
    }
    if (rc == SQLITE_OK && !sql_is_wal(run->config)) { /* WAL is the file's, these are not */
        rc = sql_try(*db, "PRAGMA journal_mode = %s", run->config->journal_mode);
    }
    return rc;
}

sqlite3 *sql_connect(const struct sql_run *run) {
    sqlite3 *db = NULL;
    const int rc = sql_try_connect(run, &db);

    CASES_CHECK(rc == SQLITE_OK, "P1", "connecting: %d: %s", rc, sqlite3_errmsg(db));
    return db;
}

/* A reader in another mode than WAL would keep every writer from its commit. */
static void start_reading(struct sql_run *run) {
    if (sql_is_wal(run->config)) {
        sql_must(run->reader, "BEGIN");
    }
    sql_must(run->reader, "SELECT (SELECT count(*) FROM f), (SELECT count(*) FROM o)");
}

void sql_open(struct sql_run *run) {
    run->db = sql_connect(run);
    if (run->has_reader) {
        run->reader = sql_connect(run);
        start_reading(run);
    }
}

void sql_close(struct sql_run *run) {
    if (run->reader != NULL) {
        sim_db_close(run->reader);
        run->reader = NULL;
    }
    sim_db_close(run->db);
    run->db = NULL;
}

#define SIZES "memory='1MiB', page_size='16KiB', segment_size='64KiB'"

void sql_create(struct sql_run *run) {
    run->db = sim_db_open(SQL_DATABASE, !run->is_self);
    sql_must(run->db, "PRAGMA journal_mode = %s", run->config->journal_mode);
    sql_must(run->db,
             "CREATE TABLE v(id INTEGER PRIMARY KEY, version); INSERT INTO v VALUES (1, 0);"
             "CREATE TABLE o(k TEXT PRIMARY KEY, v) WITHOUT ROWID;"
             "CREATE TABLE og(n, k TEXT, v, PRIMARY KEY(n, k)) WITHOUT ROWID");
    if (run->is_self) {
        sql_must(run->db, "CREATE TABLE f(k TEXT PRIMARY KEY, v) WITHOUT ROWID;"
                          "CREATE TABLE g1(k TEXT PRIMARY KEY, v) WITHOUT ROWID;"
                          "CREATE TABLE d(k INTEGER PRIMARY KEY, v)");
    } else {
        sql_must(run->db, "CREATE VIRTUAL TABLE f USING faster(k TEXT PRIMARY KEY, v, " SIZES
                          ", inline_commit='4KiB');"
                          "CREATE VIRTUAL TABLE g1 USING faster(k TEXT PRIMARY KEY, v, " SIZES ");"
                          "CREATE VIRTUAL TABLE d USING faster(k INTEGER PRIMARY KEY, v, " SIZES
                          ", writes='direct')");
    }
    sql_must(run->db, "INSERT INTO g1 VALUES ('a', 1); INSERT INTO og VALUES (1, 'a', 1);"
                      "INSERT INTO d VALUES (0, 0), (1, 1), (2, 2), (3, 3)");
    sql_insert_rows(run, ROWS_AT_FIRST, VALUE_BYTES_AT_FIRST);
    run->direct_contents[0] = sql_direct_content(run);
    sql_close(run);
}

/* ---- content ---- */

#define ORDINARY_CONTENT                                                                           \
    "SELECT 'f', k, v FROM o UNION ALL SELECT 'g' || n, k, v FROM og ORDER BY 1, 2"

uint64_t sql_ordinary_content(const struct sql_run *run) {
    return sql_hash(run->db, ORDINARY_CONTENT);
}

int sql_try_content(sqlite3 *db, uint64_t *content) {
    return sql_try_hash(db, ORDINARY_CONTENT, content);
}

/* Of all tables f and g<n> that the schema has. */
uint64_t sql_faster_content(const struct sql_run *run) {
    char *sql = sqlite3_mprintf("SELECT 'f', k, v FROM f");
    sqlite3_stmt *names = prepare(run->db, "SELECT name FROM sqlite_master WHERE type = 'table' "
                                           "AND name GLOB 'g[0-9]*' AND name NOT GLOB '*_*'");
    uint64_t hash;

    while (step(run->db, names)) {
        const char *name = (const char *)sqlite3_column_text(names, 0);
        sql = sqlite3_mprintf("%z UNION ALL SELECT '%s', k, v FROM %s", sql, name, name);
    }
    (void)sqlite3_finalize(names);
    sql = sqlite3_mprintf("%z ORDER BY 1, 2", sql);
    hash = sql_hash(run->db, sql);
    sqlite3_free(sql);
    return hash;
}

uint64_t sql_direct_content(const struct sql_run *run) {
    return sql_hash(run->db, "SELECT k, v FROM d ORDER BY 1");
}
