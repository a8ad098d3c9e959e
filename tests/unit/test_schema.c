/* test_schema.c - what declarations become, and how bad ones are refused.
 *
 * Good declarations are also given to SQLite through a module that can do nothing else,
 * and their plans are read back with EXPLAIN QUERY PLAN.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "codec/schema.h"
#include "sql/plan.h"

#define ARGUMENTS_MAX 16

/* Splits at '^', so that an argument may contain commas. */
static int parse(const char *text, struct table_schema *schema, char **error) {
    static char copy[4096];
    const char *arguments[ARGUMENTS_MAX];
    int count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *at = strtok(copy, "^"); at != NULL; at = strtok(NULL, "^")) {
        arguments[count++] = at;
    }
    return schema_parse("t", count, arguments, schema, error);
}

static void expect_error(const char *text, const char *message) {
    struct table_schema schema;
    char *error;
    int rc = parse(text, &schema, &error);
    cr_expect_eq(rc, SQLITE_ERROR, "%s: accepted", text);
    cr_expect_str_eq(error == NULL ? "" : error, message, "%s: %s", text, error);
    cr_expect_eq(schema.column_count, 0);
    sqlite3_free(error);
    schema_finish(&schema);
}

static void expect_declaration(const char *text, enum schema_kind kind, const char *declaration) {
    struct table_schema schema;
    char *error;
    int rc = parse(text, &schema, &error);
    cr_expect_eq(rc, SQLITE_OK, "%s: %s", text, error);
    if (rc == SQLITE_OK) {
        cr_expect_eq(schema.kind, kind, "%s: kind %d", text, schema.kind);
        cr_expect_str_eq(schema.declaration, declaration, "%s: %s", text, schema.declaration);
    }
    sqlite3_free(error);
    schema_finish(&schema);
}

Test(schema, without_columns_is_a_map) {
    expect_declaration("", SCHEMA_KEY_SINGLE,
                       "CREATE TABLE x(\"key\" NOT NULL, \"value\", \"t\" TEXT HIDDEN, "
                       "PRIMARY KEY (\"key\" COLLATE BINARY)) WITHOUT ROWID");
    expect_declaration("memory='64MiB'", SCHEMA_KEY_SINGLE,
                       "CREATE TABLE x(\"key\" NOT NULL, \"value\", \"t\" TEXT HIDDEN, "
                       "PRIMARY KEY (\"key\" COLLATE BINARY)) WITHOUT ROWID");
}

Test(schema, primary_key_decides_the_kind_of_table) {
    expect_declaration("a^b TEXT", SCHEMA_ROWID_IMPLICIT,
                       "CREATE TABLE x(\"a\", \"b\" TEXT, \"t\" TEXT HIDDEN)");
    expect_declaration("id integer primary key not null default 5^b", SCHEMA_ROWID_INTEGER,
                       "CREATE TABLE x(\"id\" integer, \"b\", \"t\" TEXT HIDDEN, "
                       "PRIMARY KEY (\"id\" COLLATE BINARY))");
    expect_declaration("id INTEGER^PRIMARY KEY(id DESC)", SCHEMA_ROWID_INTEGER,
                       "CREATE TABLE x(\"id\" INTEGER, \"t\" TEXT HIDDEN, "
                       "PRIMARY KEY (\"id\" COLLATE BINARY))");
    expect_declaration("id INTEGER PRIMARY KEY DESC", SCHEMA_KEY_SINGLE,
                       "CREATE TABLE x(\"id\" INTEGER NOT NULL, \"t\" TEXT HIDDEN, "
                       "PRIMARY KEY (\"id\" COLLATE BINARY)) WITHOUT ROWID");
    expect_declaration("id INT PRIMARY KEY", SCHEMA_KEY_SINGLE,
                       "CREATE TABLE x(\"id\" INT NOT NULL, \"t\" TEXT HIDDEN, "
                       "PRIMARY KEY (\"id\" COLLATE BINARY)) WITHOUT ROWID");
    expect_declaration("k TEXT PRIMARY KEY COLLATE nocase^v", SCHEMA_KEY_SINGLE,
                       "CREATE TABLE x(\"k\" TEXT COLLATE \"nocase\" NOT NULL, \"v\", "
                       "\"t\" TEXT HIDDEN, PRIMARY KEY (\"k\" COLLATE NOCASE)) WITHOUT ROWID");
    expect_declaration("k COLLATE NOCASE^PRIMARY KEY (k COLLATE BINARY)", SCHEMA_KEY_SINGLE,
                       "CREATE TABLE x(\"k\" COLLATE \"NOCASE\" NOT NULL, \"t\" TEXT HIDDEN, "
                       "PRIMARY KEY (\"k\" COLLATE BINARY)) WITHOUT ROWID");
    expect_declaration("a^_key^CONSTRAINT pk PRIMARY KEY (_key, a COLLATE RTRIM DESC)",
                       SCHEMA_KEY_MULTIPLE,
                       "CREATE TABLE x(\"a\" NOT NULL, \"_key\" NOT NULL, \"t\" TEXT HIDDEN, "
                       "\"_key1\" BLOB HIDDEN NOT NULL PRIMARY KEY) WITHOUT ROWID");
}

Test(schema, quoted_names_long_types_and_comments_are_read) {
    expect_declaration("\"a \"\"b\" VARCHAR(10)^[c d] -- note\n DECIMAL (10, -2) /* x */ NOT NULL^"
                       "`e``f` long long int^'g' \"my type\"",
                       SCHEMA_ROWID_IMPLICIT,
                       "CREATE TABLE x(\"a \"\"b\" VARCHAR(10), \"c d\" DECIMAL(10,-2) NOT NULL, "
                       "\"e`f\" long long int, \"g\" \"my type\", \"t\" TEXT HIDDEN)");
}

Test(schema, each_column_gets_affinity_default_and_key_position) {
    struct table_schema schema;
    char *error;
    cr_assert_eq(parse("a INT NOT NULL ON CONFLICT IGNORE DEFAULT -5^"
                       "b NVARCHAR(4) NULL DEFAULT 'it''s' COLLATE mine^"
                       "c DOUBLE PRECISION DEFAULT CURRENT_TIMESTAMP^"
                       "d BLOB DEFAULT (lower('X') || ')')^e DATE DEFAULT TRUE^"
                       "f CHARINT DEFAULT word^h FLOAT DEFAULT (1+-2)^"
                       "PRIMARY KEY(b COLLATE NOCASE, a)",
                       &schema, &error),
                 SQLITE_OK, "%s", error);
    static const enum schema_affinity affinities[] = {
        SCHEMA_INTEGER, SCHEMA_TEXT,    SCHEMA_REAL, SCHEMA_BLOB,
        SCHEMA_NUMERIC, SCHEMA_INTEGER, SCHEMA_REAL};
    static const char *const defaults[] = {
        "-5", "'it''s'", "CURRENT_TIMESTAMP", "(lower('X') || ')')", "1", "'word'", "(1+-2)"};
    static const bool constants[] = {true, true, false, false, true, true, true};
    for (int i = 0; i < 7; i++) {
        cr_expect_eq(schema.columns[i].affinity, affinities[i], "column %d", i);
        cr_expect_str_eq(schema.columns[i].default_sql, defaults[i]);
        cr_expect_eq(schema.columns[i].default_is_constant, constants[i], "column %d", i);
    }
    cr_expect_eq(schema.columns[0].not_null_conflict, SQLITE_IGNORE);
    cr_expect_eq(schema.key[0].column, 1);
    cr_expect_eq(schema.key[0].collation, SCHEMA_NOCASE);
    cr_expect_eq(schema.columns[0].key_index, 1);
    cr_expect(schema.columns[1].not_null);
    cr_expect_eq(schema.command_column, 7);
    cr_expect_eq(schema.hidden_key_column, 8);
    cr_expect_eq(schema_column_index(&schema, "F"), 5);
    cr_expect_eq(schema_column_index(&schema, "zz"), -1);
    schema_finish(&schema);
}

Test(schema, unsupported_constraint_is_refused_by_name) {
    expect_error("a CHECK (a > 0)", "column \"a\": CHECK constraints are not supported (CHECK)");
    expect_error("a INT UNIQUE", "column \"a\": UNIQUE constraints are not supported (UNIQUE)");
    expect_error("a REFERENCES o(x)",
                 "column \"a\": REFERENCES constraints are not supported (REFERENCES)");
    expect_error("a INT GENERATED ALWAYS AS (1)",
                 "column \"a\": generated columns are not supported (GENERATED)");
    expect_error("a AS (1)", "column \"a\": generated columns are not supported (AS)");
    expect_error("a INTEGER PRIMARY KEY AUTOINCREMENT",
                 "column \"a\": AUTOINCREMENT keys are not supported (AUTOINCREMENT)");
    expect_error("a^UNIQUE (a)", "UNIQUE constraints are not supported (UNIQUE)");
    expect_error("a^CONSTRAINT c CHECK (a)", "CHECK constraints are not supported (CHECK)");
    expect_error("a^FOREIGN KEY (a) REFERENCES o",
                 "FOREIGN KEY constraints are not supported (FOREIGN)");
    expect_error("a^STRICT", "STRICT is not supported");
    expect_error("a^WITHOUT ROWID", "WITHOUT ROWID is not supported: a table with a primary key "
                                    "other than INTEGER PRIMARY KEY has no rowid");
    expect_error("a PRIMARY KEY ON CONFLICT REPLACE",
                 "column \"a\": PRIMARY KEY supports only ON CONFLICT ABORT; say it in the "
                 "statement, as in INSERT OR REPLACE");
    expect_error("a NOT NULL ON CONFLICT FAIL",
                 "column \"a\": NOT NULL supports only ON CONFLICT ABORT, IGNORE and REPLACE; say "
                 "it in the statement, as in INSERT OR FAIL");
    expect_error("a COLLATE mine PRIMARY KEY",
                 "column \"a\": collation \"mine\" cannot order a primary key; allowed are BINARY, "
                 "NOCASE, RTRIM");
    expect_error("a TEXT HIDDEN", "column \"a\": a type must not contain HIDDEN");
}

Test(schema, mistake_is_refused_and_explained) {
    expect_error("a^A", "duplicate column name: \"A\"");
    expect_error("a^T", "column \"T\" has the name of the table, which the command column has");
    expect_error("a PRIMARY KEY^b PRIMARY KEY",
                 "column \"b\": the table has more than one primary key");
    expect_error("a PRIMARY KEY^PRIMARY KEY (a)", "the table has more than one primary key");
    expect_error("a^PRIMARY KEY (b)", "no such column in PRIMARY KEY: \"b\"");
    expect_error("a^b^PRIMARY KEY (a, A)", "column \"a\" is in the primary key twice");
    expect_error("PRIMARY KEY (a)", "no such column in PRIMARY KEY: \"a\"");
    expect_error("a^PRIMARY KEY (a)^b", "columns must be declared before table constraints");
    expect_error("a^PRIMARY KEY (a", "syntax error: the definition is incomplete");
    expect_error("a NOT", "column \"a\": syntax error: the definition is incomplete");
    expect_error("a TEXT(1,2,3)", "column \"a\": syntax error near \",\"");
    expect_error("a TEXT ; DROP", "column \"a\": syntax error near \";\"");
    expect_error("\"a", "syntax error near \"\"a\"");
    expect_error("a NOT NULL ON CONFLICT MAYBE", "column \"a\": syntax error near \"MAYBE\"");
    expect_error(" ", "syntax error: the definition is incomplete");
}

Test(schema, defaults_read_and_write_nothing) {
    expect_error(
        "a DEFAULT (readfile('x'))",
        "column \"a\": DEFAULT may not use readfile: only literals, operators and built-in "
        "functions that read and write nothing are allowed");
    expect_error("a DEFAULT (text(1))",
                 "column \"a\": DEFAULT may not use text: only literals, operators and built-in "
                 "functions that read and write nothing are allowed");
    expect_error("a DEFAULT (SELECT 1)",
                 "column \"a\": DEFAULT may not use SELECT: only literals, operators and built-in "
                 "functions that read and write nothing are allowed");
    expect_error("a DEFAULT (\"load_extension\"('x'))",
                 "column \"a\": syntax error near \"\"load_extension\"\"");
    expect_error("a DEFAULT (1; 2)", "column \"a\": syntax error near \";\"");
    expect_error("a DEFAULT (1", "column \"a\": syntax error: the definition is incomplete");
    expect_error("a DEFAULT ?", "column \"a\": syntax error near \"?\"");
    expect_error("a DEFAULT x'0'", "column \"a\": syntax error near \"x'0\"");
}

Test(schema, options_are_read_and_wrong_values_refused) {
    struct table_schema schema;
    char *error;
    cr_assert_eq(parse("path = '/tmp/it''s'^MEMORY=\"64 MB\"^page_size=65536^segment_size='1MiB'^"
                       "inline_commit=0^checkpoint_bytes=0^checkpoint_interval=90^a",
                       &schema, &error),
                 SQLITE_OK, "%s", error);
    cr_expect_str_eq(schema.options.path, "/tmp/it's");
    cr_expect_eq(schema.options.memory_bytes, 64000000);
    cr_expect_eq(schema.options.page_bytes, 65536);
    cr_expect_eq(schema.options.segment_bytes, 1048576);
    cr_expect_eq(schema.options.inline_commit_bytes, UINT64_MAX);
    cr_expect_eq(schema.options.checkpoint_bytes, UINT64_MAX);
    cr_expect_eq(schema.options.checkpoint_interval_seconds, 90);
    cr_expect_eq(schema.options.writes, FASTER_WRITES_TRANSACTIONAL);
    cr_expect_eq(schema.column_count, 1);
    schema_finish(&schema);

    expect_error("cache=5", "unknown option \"cache\"; allowed are path, memory, page_size, "
                            "segment_size, inline_commit, checkpoint_bytes, "
                            "checkpoint_interval, writes");
    expect_error("path=a^path=b", "option \"path\" is given twice; allowed once are path, memory, "
                                  "page_size, segment_size, inline_commit, checkpoint_bytes, "
                                  "checkpoint_interval, writes");
    expect_error("path=''", "option \"path\" is ''; allowed is a directory's name");
    expect_error("path=/tmp/x",
                 "option \"path\": the value must be one word, number or quoted string");
    expect_error("memory=",
                 "option \"memory\": the value must be one word, number or quoted string");
    expect_error("memory='1KiB'", "option \"memory\" is '1KiB'; allowed is 1MiB to 16384GiB");
    expect_error("memory='99999999999999999999'",
                 "option \"memory\" is '99999999999999999999'; allowed is 1MiB to 16384GiB");
    expect_error("memory='20000000000GiB'",
                 "option \"memory\" is '20000000000GiB'; allowed is 1MiB to 16384GiB");
    expect_error("memory='many'", "option \"memory\" is 'many'; allowed is 1MiB to 16384GiB");
    expect_error("page_size=20000",
                 "option \"page_size\" is '20000'; allowed is a power of two from 16KiB to 64MiB");
    expect_error("segment_size='16KiB'^page_size='32KiB'",
                 "option \"segment_size\" is '16384'; allowed is a power of two from 16KiB to "
                 "64GiB, not below page_size");
    expect_error("writes=both", "option \"writes\" is 'both'; allowed is 'transactional' or "
                                "'direct'");
    expect_error("writes='direct'^inline_commit=0",
                 "option \"inline_commit\" is for writes='transactional': a direct table has no "
                 "commits in SQLite's journal");
    expect_error("inline_commit='65MiB'",
                 "option \"inline_commit\" is '65MiB'; allowed is 0 (never) to 64MiB");
    expect_error("checkpoint_bytes='63KiB'",
                 "option \"checkpoint_bytes\" is '63KiB'; allowed is 0 (never), and 64KiB to "
                 "16384GiB");
    expect_error("checkpoint_interval='1KiB'",
                 "option \"checkpoint_interval\" is '1KiB'; allowed is 0 (never) to 86400 seconds");
    expect_error("checkpoint_interval=86401",
                 "option \"checkpoint_interval\" is '86401'; allowed is 0 (never) to 86400 "
                 "seconds");
}

Test(schema, column_count_is_limited) {
    static char names[SCHEMA_COLUMN_COUNT_MAX + 1][16];
    static const char *arguments[SCHEMA_COLUMN_COUNT_MAX + 1];
    struct table_schema schema;
    char *error;
    for (int i = 0; i <= SCHEMA_COLUMN_COUNT_MAX; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i);
        arguments[i] = names[i];
    }
    cr_expect_eq(schema_parse("t", SCHEMA_COLUMN_COUNT_MAX, arguments, &schema, &error), SQLITE_OK);
    schema_finish(&schema);
    cr_expect_eq(schema_parse("t", SCHEMA_COLUMN_COUNT_MAX + 1, arguments, &schema, &error),
                 SQLITE_ERROR);
    cr_expect_str_eq(error, "too many columns: at most 1998 are allowed");
    sqlite3_free(error);
}

Test(schema, every_prefix_of_a_declaration_is_safe) {
    static const char text[] = "\"a\"\"b\" DECIMAL(10,-2) CONSTRAINT c NOT NULL ON CONFLICT ABORT "
                               "DEFAULT (x'00' || abs(-1.5e3) /* c */) COLLATE [RTRIM] PRIMARY KEY";
    char prefix[sizeof text];
    for (size_t i = 0; i < sizeof text; i++) {
        struct table_schema schema;
        char *error;
        snprintf(prefix, i + 1, "%s", text);
        const char *arguments[] = {prefix};
        int rc = schema_parse("t", 1, arguments, &schema, &error);
        cr_expect(rc == SQLITE_OK || (rc == SQLITE_ERROR && error != NULL));
        sqlite3_free(error);
        schema_finish(&schema);
    }
}

/* ----------------------------------------- a module that only declares and plans */

struct planned_table {
    sqlite3_vtab base;
    struct table_schema schema;
};

static int planned_connect(sqlite3 *db, void *context, int count, const char *const *arguments,
                           sqlite3_vtab **result, char **error) {
    struct planned_table *table = sqlite3_malloc(sizeof *table);
    (void)context;
    memset(table, 0, sizeof *table);
    int rc = schema_parse(arguments[2], count - 3, arguments + 3, &table->schema, error);
    if (rc == SQLITE_OK) {
        rc = sqlite3_declare_vtab(db, table->schema.declaration);
    }
    if (rc != SQLITE_OK) {
        schema_finish(&table->schema);
        sqlite3_free(table);
        return rc;
    }
    *result = &table->base;
    return SQLITE_OK;
}

static int planned_disconnect(sqlite3_vtab *base) {
    struct planned_table *table = (struct planned_table *)base;
    schema_finish(&table->schema);
    sqlite3_free(table);
    return SQLITE_OK;
}

/* The flag that decides about one-pass updates becomes visible in the plan's text. */
static int planned_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    struct planned_table *table = (struct planned_table *)base;
    int rc = plan_best_index(&table->schema, info);
    info->idxNum += info->idxFlags == SQLITE_INDEX_SCAN_UNIQUE ? 10 : 0;
    return rc;
}

static int planned_open(sqlite3_vtab *base, sqlite3_vtab_cursor **cursor) {
    (void)base;
    (void)cursor;
    return SQLITE_ERROR;
}

static int planned_update(sqlite3_vtab *base, int count, sqlite3_value **values,
                          sqlite3_int64 *rowid) {
    (void)base;
    (void)count;
    (void)values;
    (void)rowid;
    return SQLITE_READONLY;
}

static const sqlite3_module planned_module = {
    .iVersion = 2,
    .xCreate = planned_connect,
    .xConnect = planned_connect,
    .xBestIndex = planned_best_index,
    .xDisconnect = planned_disconnect,
    .xDestroy = planned_disconnect,
    .xOpen = planned_open,
    .xUpdate = planned_update,
};

static sqlite3 *open_planned(void) {
    sqlite3 *db;
    cr_assert_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
    cr_assert_eq(sqlite3_create_module(db, "planned", &planned_module, NULL), SQLITE_OK);
    return db;
}

static void run(sqlite3 *db, const char *sql) {
    char *error = NULL;
    cr_expect_eq(sqlite3_exec(db, sql, NULL, NULL, &error), SQLITE_OK, "%s: %s", sql, error);
    sqlite3_free(error);
}

static void expect_plan(sqlite3 *db, const char *sql, const char *plan) {
    sqlite3_stmt *statement;
    char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql);
    cr_assert_eq(sqlite3_prepare_v2(db, explain, -1, &statement, NULL), SQLITE_OK, "%s: %s", sql,
                 sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    const char *detail = (const char *)sqlite3_column_text(statement, 3);
    cr_expect(strstr(detail, plan) != NULL, "%s: %s", sql, detail);
    sqlite3_finalize(statement);
    sqlite3_free(explain);
}

Test(schema, declaration_of_each_kind_is_accepted_by_sqlite) {
    sqlite3 *db = open_planned();
    run(db, "CREATE VIRTUAL TABLE m USING planned");
    run(db, "CREATE VIRTUAL TABLE r USING planned(a, b TEXT NOT NULL DEFAULT 'x')");
    run(db, "CREATE VIRTUAL TABLE i USING planned(id INTEGER PRIMARY KEY, v)");
    run(db, "CREATE VIRTUAL TABLE d USING planned(id INTEGER PRIMARY KEY DESC, v)");
    run(db, "CREATE VIRTUAL TABLE \"q \"\"t\" USING planned(\"a \"\"b\" TEXT COLLATE NOCASE, c, "
            "PRIMARY KEY (\"a \"\"b\" COLLATE BINARY, c))");
    run(db, "CREATE VIRTUAL TABLE rowids USING planned(rowid, oid, v)");
    run(db, "SELECT 1 FROM pragma_table_xinfo('q \"t') WHERE hidden = 0");
    sqlite3_close(db);
}

Test(plan, equality_on_the_whole_key_is_a_point) {
    sqlite3 *db = open_planned();
    run(db, "CREATE VIRTUAL TABLE m USING planned");
    run(db, "CREATE VIRTUAL TABLE i USING planned(id INTEGER PRIMARY KEY, v)");
    run(db, "CREATE VIRTUAL TABLE n USING planned(k INT PRIMARY KEY, v)");
    run(db, "CREATE VIRTUAL TABLE c USING planned(a INT, b INT, v, PRIMARY KEY (b, a))");
    expect_plan(db, "SELECT value FROM m WHERE key = ?", "INDEX 1:3");
    expect_plan(db, "SELECT value FROM m WHERE key = 'x'", "INDEX 11:3");
    expect_plan(db, "SELECT value FROM m WHERE 'x' = key AND value = 1", "INDEX 11:3");
    expect_plan(db, "SELECT value FROM m WHERE key = 1", "INDEX 1:3");
    expect_plan(db, "SELECT * FROM i WHERE id = ?", "INDEX 11:3");
    expect_plan(db, "SELECT v FROM i WHERE rowid = ?", "INDEX 11:2");
    expect_plan(db, "SELECT v FROM n WHERE k = ?", "INDEX 11:3");
    expect_plan(db, "SELECT v FROM c WHERE a = ? AND b = ?", "INDEX 11:7");
    expect_plan(db, "SELECT v FROM c WHERE a = ?", "INDEX 0:");
    expect_plan(db, "SELECT value FROM m WHERE key > 1 LIMIT 1", "INDEX 0:");
    sqlite3_close(db);
}

Test(plan, in_on_a_key_column_is_a_batch) {
    sqlite3 *db = open_planned();
    run(db, "CREATE VIRTUAL TABLE m USING planned");
    run(db, "CREATE VIRTUAL TABLE i USING planned(id INTEGER PRIMARY KEY, v)");
    run(db, "CREATE VIRTUAL TABLE c USING planned(a INT, b INT, v, PRIMARY KEY (b, a))");
    expect_plan(db, "SELECT value FROM m WHERE key IN (1, 2, 3)", "INDEX 2:");
    expect_plan(db, "SELECT v FROM c WHERE a = ? AND b IN (1, 2)", "INDEX 2:7 1");
    expect_plan(db, "SELECT v FROM c WHERE a IN (3, 4) AND b IN (1, 2)", "INDEX 2:7 3");
    expect_plan(db, "SELECT v FROM i WHERE rowid IN (SELECT value FROM json_each(?))", "INDEX 2:");
    expect_plan(db, "SELECT value FROM m WHERE key IN (1, 2, 3) AND key = ?", "INDEX 1:");
    sqlite3_close(db);
}

Test(plan, collation_that_does_not_fit_the_key_is_a_scan) {
    sqlite3 *db = open_planned();
    run(db, "CREATE VIRTUAL TABLE b USING planned(k TEXT PRIMARY KEY, v)");
    run(db, "CREATE VIRTUAL TABLE n USING planned(k TEXT COLLATE NOCASE PRIMARY KEY, v)");
    expect_plan(db, "SELECT v FROM b WHERE k = 'x' COLLATE NOCASE", "INDEX 0:");
    expect_plan(db, "SELECT v FROM n WHERE k = 'x'", "INDEX 11:");
    expect_plan(db, "SELECT v FROM n WHERE k = 'x' COLLATE BINARY", "INDEX 1:");
    expect_plan(db, "SELECT v FROM n WHERE k = 'x' COLLATE RTRIM", "INDEX 0:");
    sqlite3_close(db);
}

Test(schema, defaults_are_evaluated) {
    sqlite3 *db = open_planned();
    struct table_schema schema;
    char *error;
    sqlite3_value *value;
    cr_assert_eq(parse("a DEFAULT (upper('x') || 1)^b DEFAULT CURRENT_DATE^c DEFAULT (abs())",
                       &schema, &error),
                 SQLITE_OK);
    cr_assert_eq(schema_default_value(db, &schema.columns[0], &value), SQLITE_OK);
    cr_expect_str_eq((const char *)sqlite3_value_text(value), "X1");
    sqlite3_value_free(value);
    cr_assert_eq(schema_default_value(db, &schema.columns[1], &value), SQLITE_OK);
    cr_expect_eq(sqlite3_value_bytes(value), 10);
    sqlite3_value_free(value);
    cr_expect_eq(schema_default_value(db, &schema.columns[2], &value), SQLITE_ERROR);
    cr_expect_null(value);
    schema_finish(&schema);
    sqlite3_close(db);
}

/* ------------------------------------------------------------ out of memory */

static sqlite3_mem_methods real_memory;
static int calls_left; /* negative: never fail */

static bool may_allocate(void) {
    return calls_left < 0 || calls_left-- > 0;
}

static void *failing_malloc(int size) {
    return may_allocate() ? real_memory.xMalloc(size) : NULL;
}

static void *failing_realloc(void *memory, int size) {
    return may_allocate() ? real_memory.xRealloc(memory, size) : NULL;
}

static void install_failing_memory(void) {
    calls_left = -1;
    sqlite3_shutdown();
    cr_assert_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory), SQLITE_OK);
    sqlite3_mem_methods failing = real_memory;
    failing.xMalloc = failing_malloc;
    failing.xRealloc = failing_realloc;
    cr_assert_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing), SQLITE_OK);
    cr_assert_eq(sqlite3_initialize(), SQLITE_OK);
}

Test(schema, out_of_memory_leaks_nothing) {
    static const char *const texts[] = {
        "a CHAR(10) NOT NULL DEFAULT x COLLATE NOCASE^b DEFAULT (1)^path=x^PRIMARY KEY (a, b)",
        "memory='64MiB'", "a DEFAULT -5^b CHECK (1)"};
    install_failing_memory();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int rc = SQLITE_NOMEM;
        for (int allowed = 0; rc == SQLITE_NOMEM; allowed++) {
            struct table_schema schema;
            char *error;
            calls_left = allowed;
            rc = parse(texts[i], &schema, &error);
            calls_left = -1;
            cr_assert_lt(allowed, 200);
            cr_expect(rc != SQLITE_NOMEM || error == NULL);
            sqlite3_free(error);
            schema_finish(&schema);
        }
        cr_expect_eq(rc, i == 2 ? SQLITE_ERROR : SQLITE_OK);
    }
    cr_expect_eq(sqlite3_memory_used(), 0);
}

Test(plan, out_of_memory_leaks_nothing) {
    install_failing_memory();
    sqlite3 *db = open_planned();
    struct table_schema schema;
    char *error;
    cr_assert_eq(parse("a^b TEXT^c INT^PRIMARY KEY (a, b, c)", &schema, &error), SQLITE_OK);
    sqlite3_stmt *statement;
    sqlite3_value *values[3];
    cr_assert_eq(sqlite3_prepare_v2(db, "SELECT 5, 6.0, '7'", -1, &statement, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    for (int i = 0; i < 3; i++) {
        values[i] = sqlite3_value_dup(sqlite3_column_value(statement, i));
    }
    sqlite3_finalize(statement);
    sqlite3_int64 used = sqlite3_memory_used();
    int rc = SQLITE_NOMEM;
    for (int allowed = 0; rc == SQLITE_NOMEM; allowed++) {
        struct key_list keys = {.count = 0};
        enum plan_answer answer;
        calls_left = allowed;
        rc = plan_probe(&schema, values, KEY_TEXT_CANONICAL, &keys, &answer);
        calls_left = -1;
        cr_expect(rc != SQLITE_OK || (answer == PLAN_EXACT && keys.count == 4));
        key_list_finish(&keys);
        cr_assert_eq(sqlite3_memory_used(), used);
    }
    cr_expect_eq(rc, SQLITE_OK);
    for (int i = 0; i < 3; i++) {
        sqlite3_value_free(values[i]);
    }
    schema_finish(&schema);
    sqlite3_close(db);
}
