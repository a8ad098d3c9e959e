/* fuzz_schema.c - the arguments of CREATE VIRTUAL TABLE, and options (P8).
 *
 * Input: text, one argument a line. Properties: parsing the same again gives the same. SQLite has
 * the last word on a declaration, which may hold keywords and collations that only it knows; but
 * where it takes these arguments for an ordinary table it takes the declaration, too, and the two
 * have the same columns, types and key, and nothing else is lost on the way. Options are in their
 * ranges, and a value that is printed as a number is read as the same.
 */
#include <stdlib.h>
#include <string.h>

#include "codec/schema.h"
#include "fuzz/fuzz.h"

#define ARGUMENTS_MAX 32
#define TABLE_NAME "the table"

struct arguments {
    char *text; /* owned */
    const char *lines[ARGUMENTS_MAX];
    int count;
};

static void split(struct arguments *arguments, const uint8_t *data, size_t size) {
    arguments->text = malloc(size + 1);
    arguments->count = 0;
    if (size > 0) {
        memcpy(arguments->text, data, size);
    }
    arguments->text[size] = '\0';
    for (char *at = arguments->text; at != NULL && arguments->count < ARGUMENTS_MAX;) {
        char *end = strchr(at, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        arguments->lines[arguments->count++] = at;
        at = end;
    }
}

static int parse(const struct arguments *arguments, struct table_schema *schema) {
    char *error = NULL;
    const int rc = schema_parse(TABLE_NAME, arguments->count, arguments->lines, schema, &error);
    FUZZ_CHECK(rc == SQLITE_OK || rc == SQLITE_ERROR, "parse: %d", rc);
    FUZZ_CHECK((error != NULL) == (rc == SQLITE_ERROR), "an error without a message");
    sqlite3_free(error);
    return rc;
}

/* ---- what SQLite says ---- */

static sqlite3 *database(void) {
    static sqlite3 *db;
    if (db == NULL) {
        FUZZ_CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK, "no database");
    }
    return db;
}

static void drop(const char *sql) {
    FUZZ_CHECK(sqlite3_exec(database(), sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sql);
}

static bool create(const char *sql) {
    return sqlite3_exec(database(), sql, NULL, NULL, NULL) == SQLITE_OK;
}

static bool is_option(const char *line) {
    line += strspn(line, " \t\r\f\v");
    const size_t name =
        strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    return name > 0 && line[name + strspn(line + name, " \t\r\f\v")] == '=';
}

/* NULL if there are no columns among the arguments. */
static char *ordinary_table(const struct arguments *arguments) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    int count = 0;
    sqlite3_str_appendall(text, "CREATE TABLE o(");
    for (int i = 0; i < arguments->count; i++) {
        if (!is_option(arguments->lines[i])) {
            sqlite3_str_appendf(text, "%s%s\n", count++ == 0 ? "" : ",", arguments->lines[i]);
        }
    }
    sqlite3_str_appendall(text, ")");
    char *sql = sqlite3_str_finish(text);
    if (count == 0) {
        sqlite3_free(sql);
        return NULL;
    }
    return sql;
}

/* DEFAULT NULL is the same as none. */
static bool has_default(sqlite3_stmt *info) {
    const char *text = (const char *)sqlite3_column_text(info, 4);
    return text != NULL && sqlite3_stricmp(text, "NULL") != 0;
}

/* But for case, for quotes, which SQLite drops here, and for what is between two words. */
static bool types_equal(const char *theirs, const char *ours) {
    static const char space[] = " \t\n\f\r";
    if (strpbrk(ours, "'\"`[") != NULL || strstr(theirs, "--") != NULL) {
        return true;
    }
    for (;; theirs++, ours++) {
        theirs += strspn(theirs, space);
        ours += strspn(ours, space);
        if (sqlite3_strnicmp(theirs, ours, 1) != 0 || *ours == '\0') {
            return *theirs == '\0' && *ours == '\0';
        }
    }
}

static void compare_columns(const struct table_schema *schema) {
    sqlite3_stmt *info;
    int column = 0;
    FUZZ_CHECK(sqlite3_prepare_v2(database(), "PRAGMA table_info(o)", -1, &info, NULL) == SQLITE_OK,
               "table_info");
    for (; sqlite3_step(info) == SQLITE_ROW; column++) {
        const struct schema_column *ours = &schema->columns[column];
        FUZZ_CHECK(column < schema->column_count, "a column is missing");
        FUZZ_CHECK(strcmp((const char *)sqlite3_column_text(info, 1), ours->name) == 0, "name %s",
                   ours->name);
        FUZZ_CHECK(types_equal((const char *)sqlite3_column_text(info, 2), ours->type), "type %s",
                   ours->type);
        FUZZ_CHECK(ours->key_index >= 0 || (sqlite3_column_int(info, 3) != 0) == ours->not_null,
                   "NOT NULL of %s", ours->name);
        FUZZ_CHECK(schema->kind == SCHEMA_ROWID_INTEGER ||
                       has_default(info) == (ours->default_sql != NULL),
                   "DEFAULT of %s", ours->name);
        FUZZ_CHECK(sqlite3_column_int(info, 5) == ours->key_index + 1, "key %s", ours->name);
    }
    FUZZ_CHECK(column == schema->column_count, "a column too many");
    sqlite3_finalize(info);
}

static void expect_none(const char *query, const char *what) {
    sqlite3_stmt *rows;
    FUZZ_CHECK(sqlite3_prepare_v2(database(), query, -1, &rows, NULL) == SQLITE_OK, "%s", query);
    FUZZ_CHECK(sqlite3_step(rows) == SQLITE_DONE, "%s is taken and not kept", what);
    sqlite3_finalize(rows);
}

/* What the ordinary table would keep and this one cannot is to be refused. */
static void check_nothing_is_ignored(void) {
    expect_none("SELECT 1 FROM pragma_index_list('o') WHERE origin = 'u'", "UNIQUE");
    expect_none("SELECT 1 FROM pragma_foreign_key_list('o')", "a foreign key");
    expect_none("SELECT 1 FROM pragma_table_xinfo('o') WHERE hidden <> 0", "a generated column");
}

/* A comment may go on beyond its argument's end, so it means something else in a whole. */
static void compare_with_ordinary(const struct arguments *arguments,
                                  const struct table_schema *schema, bool is_declared) {
    for (int i = 0; i < arguments->count; i++) {
        if (strstr(arguments->lines[i], "/*") != NULL) {
            return;
        }
    }
    char *sql = ordinary_table(arguments);
    if (sql != NULL) {
        const bool is_ordinary = create(sql);
        FUZZ_CHECK(is_declared || !is_ordinary, "SQLite takes %s, but not %s", sql,
                   schema->declaration);
        if (is_ordinary && is_declared) {
            compare_columns(schema);
            check_nothing_is_ignored();
        }
        if (is_ordinary) {
            drop("DROP TABLE o");
        }
    }
    sqlite3_free(sql);
}

/* ---- options ---- */

static void check_size(const char *name, uint64_t size, uint64_t min, uint64_t max) {
    char argument[64];
    const char *lines[] = {argument};
    struct table_schema schema;
    char *error = NULL;
    if (size == 0) {
        return;
    }
    FUZZ_CHECK(size >= min && size <= max, "%s = %llu", name, (unsigned long long)size);
    sqlite3_snprintf(sizeof argument, argument, "%s=%llu", name, size);
    FUZZ_CHECK(schema_parse(TABLE_NAME, 1, lines, &schema, &error) == SQLITE_OK, "%s", error);
    FUZZ_CHECK(schema.options.memory_bytes == size || schema.options.page_bytes == size ||
                   schema.options.segment_bytes == size ||
                   schema.options.inline_commit_bytes == size,
               "%s is read as another size", argument);
    schema_finish(&schema);
}

static void check_options(const struct schema_options *options) {
    const uint64_t kib = 1024;
    check_size("memory", options->memory_bytes, kib * kib, 16384 * kib * kib * kib);
    check_size("page_size", options->page_bytes, 16 * kib, 64 * kib * kib);
    check_size("segment_size", options->segment_bytes, 16 * kib, 64 * kib * kib * kib);
    if (options->inline_commit_bytes != UINT64_MAX) {
        check_size("inline_commit", options->inline_commit_bytes, 1, 64 * kib * kib);
    }
    FUZZ_CHECK(options->writes == FASTER_WRITES_TRANSACTIONAL ||
                   options->writes == FASTER_WRITES_DIRECT,
               "writes");
    FUZZ_CHECK(options->path == NULL || options->path[0] != '\0', "an empty path");
}

static void check_defaults(const struct table_schema *schema) {
    for (int i = 0; i < schema->column_count; i++) {
        sqlite3_value *value = NULL;
        if (schema->columns[i].default_sql != NULL &&
            schema_default_value(database(), &schema->columns[i], &value) == SQLITE_OK) {
            sqlite3_value_free(value);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes) {
    struct arguments arguments;
    struct table_schema schema;
    struct table_schema again;
    split(&arguments, data, size_bytes);
    if (parse(&arguments, &schema) == SQLITE_OK) {
        FUZZ_CHECK(parse(&arguments, &again) == SQLITE_OK &&
                       strcmp(schema.declaration, again.declaration) == 0,
                   "the same arguments, another table");
        schema_finish(&again);
        const bool is_declared = create(schema.declaration);
        if (is_declared) {
            drop("DROP TABLE x");
        }
        compare_with_ordinary(&arguments, &schema, is_declared);
        check_options(&schema.options);
        check_defaults(&schema);
    }
    schema_finish(&schema);
    free(arguments.text);
    return 0;
}
