/* module_cases.c - situations around the module that once went wrong, one case by name each.
 *
 * Strategy. Each case makes a fresh database and drives the extension from outside: pragmas,
 * authorizers, automatic loading, damaged shadow tables, a fork in the middle of a query. The
 * oracle is what an ordinary table would do, or an error that names what is wrong.
 *
 * Replay. Nothing is random: `module_cases --only NAME` runs one case.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/sql_support.h"

struct world {
    const struct test_options *options;
    char directory[TEST_PATH_BYTES];
    char path[TEST_PATH_BYTES];
};

static sqlite3 *open_at(const struct world *world) {
    return db_open(world->options, world->path);
}

static void want(sqlite3 *db, int64_t expected, const char *sql) {
    int64_t found = db_int(db, "%s", sql);
    if (found != expected) {
        test_fail("%s: %lld instead of %lld", sql, (long long)found, (long long)expected);
    }
}

static void refused(sqlite3 *db, int code, const char *part, const char *sql) {
    int rc = db_run(db, "%s", sql);
    if (rc != code || strstr(sqlite3_errmsg(db), part) == NULL) {
        test_fail("%s: %d, %s", sql, rc, sqlite3_errmsg(db));
    }
}

/* PRAGMA count_changes: INSERT and DELETE return a row, those of the extension too. */
static void count_changes(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster; PRAGMA count_changes = 1");
    db_must(db, "INSERT INTO t VALUES ('a', 1), ('b', 2)");
    want(db, 3, "SELECT faster_set('t', 'c', 3)");
    want(db, 5, "SELECT faster_incr('t', 'c', 2)");
    want(db, 1, "SELECT faster_delete('t', 'a')");
    db_must(db, "INSERT INTO t(t) VALUES ('checkpoint')");
    db_must(db, "DELETE FROM t WHERE key = 'b'; ALTER TABLE t RENAME TO u");
    want(db, 1, "SELECT count(*) FROM u");
    db_close(db);
}

static int init_rc;

/* What sqlite3_auto_extension() calls: loads faster.so and reports as it does. */
static const char *automatic_path;
static int load_automatically(sqlite3 *db, const char **error, const void *api) {
    (void)error;
    (void)api;
    (void)sqlite3_enable_load_extension(db, 1);
    init_rc = sqlite3_load_extension(db, automatic_path, NULL, NULL);
    return init_rc;
}

/* No error may stay behind: sqlite3_open() looks at sqlite3_errcode(). */
static void automatic_extension(struct world *world) {
    sqlite3 *db = NULL;
    automatic_path = world->options->extension;
    (void)sqlite3_auto_extension((void (*)(void))load_automatically);
    int rc = sqlite3_open(world->path, &db);
    (void)sqlite3_cancel_auto_extension((void (*)(void))load_automatically);
    if (rc != SQLITE_OK || init_rc != SQLITE_OK) {
        test_fail("open: %d, %s", rc, sqlite3_errmsg(db));
    }
    db_must(db, "CREATE VIRTUAL TABLE t USING faster; INSERT INTO t VALUES (1, 2)");
    (void)sqlite3_load_extension(db, world->options->extension, NULL, NULL);
    want(db, 2, "SELECT faster_get('t', 1)");
    db_close(db);
}

static int hide_schema(void *context, int action, const char *first, const char *second,
                       const char *schema, const char *trigger) {
    (void)context;
    (void)schema;
    (void)trigger;
    bool hide =
        action == SQLITE_READ && strncmp(first, "sqlite_", 7) == 0 && strcmp(second, "type") == 0;
    return hide ? SQLITE_IGNORE : SQLITE_OK;
}

/* An authorizer that hides the schema's rows must not make stores look like orphans. */
static void authorizer_hides_tables(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE a USING faster; INSERT INTO a VALUES (1, 2); "
                "CREATE VIRTUAL TABLE b USING faster; INSERT INTO b VALUES (1, 2); "
                "INSERT INTO a(a) VALUES ('checkpoint'); INSERT INTO b(b) VALUES ('checkpoint')");
    db_close(db);
    db = open_at(world);
    (void)sqlite3_set_authorizer(db, hide_schema, NULL);
    (void)db_run(db, "INSERT INTO a VALUES (2, 3)");
    db_close(db);
    db = open_at(world);
    want(db, 1, "SELECT count(*) FROM b");
    db_close(db);
}

/* The same when the row that names the store is gone: what it named stays. */
static void config_without_uuid(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE a USING faster; INSERT INTO a VALUES (1, 2); "
                "CREATE VIRTUAL TABLE b USING faster; INSERT INTO b VALUES (1, 2); "
                "CREATE TABLE kept AS SELECT * FROM b_config");
    db_close(db);
    db = open_at(world);
    db_must(db, "DELETE FROM b_config; INSERT INTO a VALUES (2, 3)");
    refused(db, SQLITE_CORRUPT_VTAB, "b_config", "SELECT * FROM b");
    db_must(db, "INSERT INTO b_config SELECT * FROM kept");
    want(db, 1, "SELECT count(*) FROM b");
    db_must(db, "UPDATE a_config SET value = 'x' WHERE name = 'uuid'");
    refused(db, SQLITE_CORRUPT_VTAB, "uuid", "INSERT INTO a VALUES (3, 4)");
    db_close(db);
}

static void in_child(sqlite3 *db, sqlite3_stmt *scan, sqlite3_stmt *join) {
    alarm(20);
    if (sqlite3_step(scan) == SQLITE_ROW || sqlite3_finalize(scan) == SQLITE_OK) {
        _exit(1);
    }
    while (sqlite3_step(join) == SQLITE_ROW) {
    }
    if (sqlite3_finalize(join) == SQLITE_OK || db_run(db, "SELECT count(*) FROM t") == SQLITE_OK ||
        db_run(db, "INSERT INTO t VALUES (0, 0)") == SQLITE_OK) {
        _exit(2);
    }
    (void)sqlite3_close_v2(db);
    _exit(0);
}

/* A child in the middle of queries on rows that are on disk: errors, no wait for threads that
 * it has not got; the parent goes on. */
static void fork_within_queries(struct world *world) {
    static const char load[] =
        "CREATE VIRTUAL TABLE t USING faster(k INTEGER PRIMARY KEY, v, memory='1MiB'); "
        "CREATE TABLE o(k INTEGER PRIMARY KEY); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
        "SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO o SELECT i FROM n; "
        "INSERT INTO t SELECT k, zeroblob(1000) FROM o";
    sqlite3 *db = open_at(world);
    sqlite3_stmt *scan = NULL;
    sqlite3_stmt *join = NULL;
    int status = 0;
    db_must(db, load);
    (void)sqlite3_prepare_v2(db, "SELECT k FROM t", -1, &scan, NULL);
    (void)sqlite3_prepare_v2(db, "SELECT t.k FROM o CROSS JOIN t ON t.k = o.k", -1, &join, NULL);
    if (sqlite3_step(scan) != SQLITE_ROW || sqlite3_step(join) != SQLITE_ROW) {
        test_fail("step: %s", sqlite3_errmsg(db));
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        in_child(db, scan, join);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        test_fail("child: status %d", status);
    }
    int count = 1;
    while (sqlite3_step(scan) == SQLITE_ROW) {
        count++;
    }
    (void)sqlite3_finalize(scan);
    (void)sqlite3_finalize(join);
    want(db, count, "SELECT count(*) FROM o");
    db_must(db, "INSERT INTO t VALUES (0, 0)");
    char *verdict = db_text(db, "SELECT faster_verify('t')");
    if (strcmp(verdict, "ok") != 0) {
        test_fail("verify: %s", verdict);
    }
    free(verdict);
    db_close(db);
}

static void copy_database(const char *from, const char *to) {
    char command[3 * TEST_PATH_BYTES];
    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    if (system(command) != 0) {
        test_fail("%s", command);
    }
}

/* The file as it was before the table, then again as it was with it, in place: what the
 * older version does not know is no orphan. */
static void restored_database_keeps_stores(struct world *world) {
    char old[TEST_PATH_BYTES + 8];
    char new[TEST_PATH_BYTES + 8];
    snprintf(old, sizeof old, "%s.old", world->path);
    snprintf(new, sizeof new, "%s.new", world->path);
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE TABLE n(a)");
    db_close(db);
    copy_database(world->path, old);
    db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster; INSERT INTO t VALUES (1, 1)");
    db_close(db);
    copy_database(world->path, new);
    copy_database(old, world->path);
    db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE q USING faster; INSERT INTO q VALUES (1, 1)");
    db_close(db);
    copy_database(new, world->path);
    db = open_at(world);
    want(db, 1, "SELECT count(*) FROM t");
    db_close(db);
}

/* A store that is refused as newer than its database outlives a DROP in that database. */
static void dropped_in_old_backup_keeps_store(struct world *world) {
    char old[TEST_PATH_BYTES + 8];
    char new[TEST_PATH_BYTES + 8];
    snprintf(old, sizeof old, "%s.old", world->path);
    snprintf(new, sizeof new, "%s.new", world->path);
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster; INSERT INTO t VALUES (1, 1)");
    db_close(db);
    copy_database(world->path, old);
    db = open_at(world);
    db_must(db, "INSERT INTO t VALUES (2, 2); INSERT INTO t(t) VALUES ('checkpoint')");
    db_close(db);
    copy_database(world->path, new);
    copy_database(old, world->path);
    db = open_at(world);
    refused(db, SQLITE_CANTOPEN, "old backup", "SELECT * FROM t");
    db_must(db, "DROP TABLE t");
    db_close(db);
    copy_database(new, world->path);
    db = open_at(world);
    want(db, 2, "SELECT count(*) FROM t");
    db_close(db);
}

/* In a process of its own, started anew with this variable: makes a table and is killed. */
#define KILLED_CHILD "MODULE_CASES_KILLED_CHILD"

static _Noreturn void be_killed_in_create(const struct test_options *options, const char *path) {
    sqlite3 *db = db_open(options, path);
    db_must(db, "BEGIN; CREATE VIRTUAL TABLE t USING faster; INSERT INTO t VALUES (1, 1)");
    (void)kill(getpid(), SIGKILL);
    _exit(1);
}

/* A CREATE that a kill cut short leaves a marked store, and the next first write removes it. */
static void killed_create_leaves_no_orphan(struct world *world) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)setenv(KILLED_CHILD, world->path, 1);
        execl("/proc/self/exe", "module_cases", world->options->extension, (char *)NULL);
        _exit(1);
    }
    (void)waitpid(child, NULL, 0);
    if (store_directory_count(world->directory) != 1) {
        test_fail("the killed CREATE made no store");
    }
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE u USING faster; INSERT INTO u VALUES (1, 1)");
    if (store_directory_count(world->directory) != 1) {
        test_fail("the orphan is still there");
    }
    db_close(db);
}

/* SQLite asks xBestIndex about each side of an OR without the hidden argument. */
static void stats_with_or(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster");
    want(db, 2,
         "SELECT count(*) FROM faster_stats('t') WHERE name = 'sessions' OR "
         "name = 'snapshots'");
    refused(db, SQLITE_ERROR, "name of a FASTER table", "SELECT * FROM faster_stats");
    db_close(db);
}

/* A lowered bound in the commit row must not make a chosen rowid overwrite a row. */
static void lowered_rowid_bound_overwrites_nothing(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster(id INTEGER PRIMARY KEY, v);"
                "INSERT INTO t(v) VALUES ('a'), ('b'), ('c')");
    db_must(db, "UPDATE t_log SET max_rowid = 1");
    db_close(db);
    db = open_at(world);
    refused(db, SQLITE_CORRUPT_VTAB, "rowid", "INSERT OR REPLACE INTO t(v) VALUES ('d')");
    want(db, 1, "SELECT v = 'b' FROM t WHERE id = 2");
    db_close(db);
}

/* The limit that README tells: SQLite itself answers RETURNING, before the module sees the row. */
static void returning_gives_what_was_supplied(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster(id INTEGER PRIMARY KEY, v DEFAULT 'd', w)");
    want(db, 1, "INSERT INTO t(w) VALUES (3) RETURNING id IS NULL AND v IS NULL AND w = 3");
    want(db, 1, "SELECT id = last_insert_rowid() AND v = 'd' AND w = 3 FROM t");
    db_close(db);
}

/* A commit row that cannot be stored fails the commit, with SQLite's reason. */
static void failed_commit_row_keeps_its_cause(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db,
            "CREATE VIRTUAL TABLE t USING faster;"
            "CREATE TRIGGER bad AFTER INSERT ON t_log BEGIN INSERT INTO nowhere VALUES (1); END");
    refused(db, SQLITE_ERROR, "nowhere", "INSERT INTO t VALUES (1, 1)");
    db_must(db, "DROP TRIGGER bad; INSERT INTO t VALUES (1, 2);"
                "ALTER TABLE t_log RENAME COLUMN hints TO notes");
    refused(db, SQLITE_ERROR, "hints", "INSERT INTO t VALUES (2, 1)");
    db_must(db, "ALTER TABLE t_log RENAME COLUMN notes TO hints; INSERT INTO t VALUES (2, 2);"
                "BEGIN; INSERT INTO t VALUES (3, 3); DROP TABLE t_log");
    refused(db, SQLITE_CORRUPT_VTAB, "shadow tables are missing", "COMMIT");
    want(db, 4, "SELECT sum(value) FROM t");
    db_close(db);
}

/* The last line that the extension wrote to SQLite's log. */
static char last_log[1000];

static void note_log(void *context, int code, const char *message) {
    (void)context;
    (void)code;
    if (strncmp(message, "faster:", 7) == 0) {
        (void)snprintf(last_log, sizeof last_log, "%s", message);
    }
}

/* A store without rows reads as empty, as it must in a snapshot from before the first commit. That
 * its log has records then is worth a line. */
static void missing_rows_are_logged(struct world *world) {
    for (int i = 0; i < 2; i++) {
        sqlite3 *db = open_at(world);
        db_must(db, "CREATE VIRTUAL TABLE t%d USING faster", i);
        if (i == 0) {
            db_must(db, "INSERT INTO t0 VALUES (1, 1)");
        }
        db_close(db);
        db = open_at(world);
        db_must(db, "DELETE FROM t%d_log", i);
        db_close(db);
        last_log[0] = '\0';
        db = open_at(world);
        want(db, 0, i == 0 ? "SELECT count(*) FROM t0" : "SELECT count(*) FROM t1");
        if ((strstr(last_log, "no commit row") != NULL) != (i == 0)) {
            test_fail("table t%d: the log has '%s'", i, last_log);
        }
        db_close(db);
    }
}

static void config_changes_memory_at_the_next_open(struct world *world) {
    sqlite3 *db = open_at(world);
    sqlite3 *other = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster(k INTEGER PRIMARY KEY, v, memory='1MiB',"
                " page_size='16KiB', inline_commit=0)");
    want(db, 1 << 20, "SELECT faster_config('t', 'memory')");
    want(other, 0, "SELECT faster_config('t', 'inline_commit')");
    refused(db, SQLITE_FULL, "faster_config",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) "
            "INSERT INTO t SELECT i, i FROM n");
    db_must(db, "BEGIN; SELECT faster_config('t', 'memory', '2MiB'); ROLLBACK");
    want(db, 0, "SELECT count(*) FROM t_config WHERE name = 'memory'");
    want(db, 1, "SELECT faster_config('t', 'memory', '64 MiB') LIKE '%next opened%'");
    want(db, 1, "SELECT faster_config('t', 'Inline_Commit', 4096) LIKE '%next opened%'");
    want(db, 1 << 20, "SELECT faster_config('t', 'memory')");
    refused(db, SQLITE_ERROR, "allowed are memory, inline_commit",
            "SELECT faster_config('t', 'page_size', 65536)");
    refused(db, SQLITE_ERROR, "allowed are memory", "SELECT faster_config('t', NULL)");
    refused(db, SQLITE_ERROR, "1MiB to", "SELECT faster_config('t', 'memory', 1000)");
    refused(db, SQLITE_ERROR, "64MiB", "SELECT faster_config('t', 'inline_commit', '1GiB')");
    refused(db, SQLITE_ERROR, "allowed", "SELECT faster_config('t', 'memory', 'much')");
    db_must(db, "CREATE VIRTUAL TABLE u USING faster(k PRIMARY KEY, v, page_size='1MiB')");
    refused(db, SQLITE_ERROR, "20971520", "SELECT faster_config('u', 'memory', '16MiB')");
    db_must(db, "CREATE VIRTUAL TABLE d USING faster");
    refused(other, SQLITE_ERROR, "20971520", "SELECT faster_config('d', 'memory', '16MiB')");
    db_close(db);
    db_close(other);
    db = open_at(world);
    want(db, 64 << 20, "SELECT faster_config('main.t', 'memory')");
    want(db, 4096, "SELECT faster_config('t', 'inline_commit')");
    db_must(db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) "
                "INSERT INTO t SELECT i, i FROM n");
    db_must(db, "SELECT faster_config('t', 'memory', NULL)");
    db_must(db, "UPDATE t_config SET value = 'none' WHERE name = 'inline_commit'");
    db_close(db);
    db = open_at(world);
    refused(db, SQLITE_CORRUPT_VTAB, "inline_commit", "SELECT count(*) FROM t");
    db_must(db, "SELECT faster_config('t', 'inline_commit', 0)");
    refused(db, SQLITE_FULL, "faster_config", "SELECT count(*) FROM t");
    db_must(db, "SELECT faster_config('t', 'memory', '64MiB')");
    want(db, 200000, "SELECT count(*) FROM t");
    want(db, 0, "SELECT faster_config('t', 'inline_commit')");
    db_close(db);
}

static const struct {
    const char *name;
    void (*run)(struct world *world);
} cases[] = {
    {"count_changes", count_changes},
    {"automatic_extension", automatic_extension},
    {"authorizer_hides_tables", authorizer_hides_tables},
    {"config_without_uuid", config_without_uuid},
    {"fork_within_queries", fork_within_queries},
    {"restored_database_keeps_stores", restored_database_keeps_stores},
    {"dropped_in_old_backup_keeps_store", dropped_in_old_backup_keeps_store},
    {"killed_create_leaves_no_orphan", killed_create_leaves_no_orphan},
    {"stats_with_or", stats_with_or},
    {"lowered_rowid_bound_overwrites_nothing", lowered_rowid_bound_overwrites_nothing},
    {"returning_gives_what_was_supplied", returning_gives_what_was_supplied},
    {"failed_commit_row_keeps_its_cause", failed_commit_row_keeps_its_cause},
    {"missing_rows_are_logged", missing_rows_are_logged},
    {"config_changes_memory_at_the_next_open", config_changes_memory_at_the_next_open},
};

int main(int argc, char **argv) {
    struct test_options options;
    (void)sqlite3_config(SQLITE_CONFIG_LOG, note_log, NULL);
    unsigned run_count = 0;
    test_options_parse(&options, argc, argv);
    if (getenv(KILLED_CHILD) != NULL) {
        be_killed_in_create(&options, getenv(KILLED_CHILD));
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world world = {.options = &options};
        if (options.only != NULL && strcmp(options.only, cases[i].name) != 0) {
            continue;
        }
        directory_make(world.directory, "cases");
        path_format(world.path, "%s/test.db", world.directory);
        cases[i].run(&world);
        directory_remove(world.directory);
        printf("ok %s\n", cases[i].name);
        run_count++;
    }
    printf("module_cases: %u run\n", run_count);
    return run_count == 0;
}
