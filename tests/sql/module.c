/* module.c - the extension's own promises, one case by name for each.
 *
 * Strategy. What ordinary tables do is the differential test's subject, and what a joint
 * commit survives that of the scenarios; here are the parts that only a FASTER table has: the
 * command column, the functions and how they find their table, the snapshot that is held
 * between statements, which locks are taken, what is left behind. The oracle is what an ordinary
 * table would do, or an error that names what is wrong. Cases that fork do so before they open a
 * database.
 *
 * Replay. Nothing is random but the order of threads: `module --only NAME`.
 */
#include "module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sqlite3 *open_at(const struct world *world) {
    return db_open(world->options, world->path);
}

void want(sqlite3 *db, const char *expected, const char *sql) {
    struct text text = {0};
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    text_add(&text, "%s", "");
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        text_add(&text, "%s", text.size_bytes > 0 ? " " : "");
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *value = (const char *)sqlite3_column_text(statement, i);
            text_add(&text, "%s%s", i > 0 ? "|" : "", value == NULL ? "null" : value);
        }
        code = SQLITE_OK;
    }
    if (code != SQLITE_OK && code != SQLITE_DONE) {
        test_fail("%s: %s", sql, sqlite3_errmsg(db));
    }
    if (strcmp(text.data, expected) != 0) {
        test_fail("%s: got '%s', expected '%s'", sql, text.data, expected);
    }
    (void)sqlite3_finalize(statement);
    text_finish(&text);
}

void want_int(sqlite3 *db, int64_t expected, const char *sql) {
    int64_t found = db_int(db, "%s", sql);
    if (found != expected) {
        test_fail("%s: %lld instead of %lld", sql, (long long)found, (long long)expected);
    }
}

void refused(sqlite3 *db, int code, const char *part, const char *sql) {
    int got = db_run(db, "%s", sql);
    if (got != code) {
        test_fail("%s: code %d, expected %d (%s)", sql, got, code, sqlite3_errmsg(db));
    }
    if (strstr(sqlite3_errmsg(db), part) == NULL) {
        test_fail("%s: '%s' does not say '%s'", sql, sqlite3_errmsg(db), part);
    }
}

static unsigned run_cases(const struct test_options *options, const struct module_case *cases) {
    unsigned count = 0;
    for (const struct module_case *each = cases; each->name != NULL; each++) {
        if (options->only != NULL && strcmp(options->only, each->name) != 0) {
            continue;
        }
        struct world world = {.options = options};
        directory_make(world.directory, "module");
        path_format(world.path, "%s/test.db", world.directory);
        printf("%s\n", each->name);
        (void)fflush(stdout);
        each->run(&world);
        directory_remove(world.directory);
        count++;
    }
    return count;
}

int main(int argc, char **argv) {
    static const struct module_case *const files[] = {
        module_places,   module_backup,   module_process,      module_checkpoints,
        module_commands, module_findings, module_functions,    module_queries,
        module_salvage,  module_schema,   module_transactions,
    };
    struct test_options options;
    unsigned count = 0;
    (void)sqlite3_config(SQLITE_CONFIG_URI, 1);
    (void)sqlite3_config(SQLITE_CONFIG_LOG, note_log, NULL);
    test_options_parse(&options, argc, argv);
    if (getenv(MODULE_KILLED_CHILD) != NULL) {
        be_killed_in_create(&options, getenv(MODULE_KILLED_CHILD));
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        count += run_cases(&options, files[i]);
    }
    printf("module: %u cases passed\n", count);
    return count == 0;
}
