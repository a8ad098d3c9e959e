/* scenarios_place.c - databases and stores that are copied, moved, restored, shared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenarios.h"

static void create_pair(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    tables_create(scenario, db, "");
    rows_put(db, 0, 100, 50, 1);
    db_close(db);
}

static void change_pair(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    rows_put(db, 50, 120, 60, 2);
    db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    db_close(db);
}

static void pair_is_intact(struct scenario *scenario) {
    sqlite3 *db = scenario_open(scenario);
    same_rows(scenario, db, -1, "the pair");
    run_both(scenario, db, "UPDATE %s SET n = n + 1");
    same_rows(scenario, db, -1, "the pair, after a commit");
    all_sound(scenario, db, "the pair");
    db_close(db);
    db = scenario_open(scenario);
    same_rows(scenario, db, -1, "the pair, reopened");
    db_close(db);
}

/* The database at `path` must refuse its FASTER table, say why, keep the rest usable, and
 * leave the whole directory as it is. */
static void expect_refused(struct scenario *scenario, sqlite3 *db, const char *word) {
    uint64_t before = tree_fingerprint(scenario->directory);
    static const char *const uses[] = {
        "SELECT * FROM f", "SELECT value FROM f WHERE key = 'k00001'", "SELECT count(*) FROM f",
        "SELECT faster_get('f', 'k00001', 'value')"};
    static const char *const writes[] = {"INSERT INTO f VALUES('x', 'y', 1)", "DELETE FROM f",
                                         "UPDATE f SET n = 1",
                                         "INSERT OR REPLACE INTO f VALUES('k00001', 'y', 1)",
                                         "INSERT INTO f(f) VALUES('checkpoint')"};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
            struct rows rows = {0};
            rows_run(&rows, db, uses[i]);
            expect(scenario, rows.code != SQLITE_OK && strcasestr(rows.message, word),
                   "%s: code %d, %zu rows, '%s' (expected a refusal with '%s')", uses[i], rows.code,
                   rows.count, rows.message, word);
            rows_clear(&rows);
        }
        expect(scenario, tree_fingerprint(scenario->directory) == before, "reading changed files");
        for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
            expect(scenario, db_run(db, "%s", writes[i]) != SQLITE_OK, "%s succeeds", writes[i]);
        }
    }
    expect(scenario, db_int(db, "SELECT count(*) FROM o") > 0, "the ordinary table is readable");
}

static void open_refused(struct scenario *scenario, const char *path, const char *word) {
    sqlite3 *db = db_open(scenario->options, path);
    expect_refused(scenario, db, word);
    db_must(db, "CREATE TABLE IF NOT EXISTS extra(x)");
    db_close(db);
}

static void original_path(const struct scenario *scenario, const char *suffix, char *path) {
    path_format(path, "%s%s", scenario->path, suffix);
}

static void copy_file_beside(const struct scenario *scenario, char path[TEST_PATH_BYTES]) {
    path_format(path, "%s/copy.db", scenario->directory);
    tree_copy(scenario->path, path);
}

/* Copies database and store directory into a directory of their own. */
static void copy_pair(const struct scenario *scenario, char path[TEST_PATH_BYTES]) {
    char store[TEST_PATH_BYTES];
    char target[TEST_PATH_BYTES];
    path_format(path, "%s/elsewhere", scenario->directory);
    mkdir(path, 0755);
    path_format(path, "%s/elsewhere/test.db", scenario->directory);
    tree_copy(scenario->path, path);
    original_path(scenario, "-faster", store);
    path_format(target, "%s-faster", path);
    tree_copy(store, target);
}

static void open_copy_beside(struct scenario *scenario) {
    char copy[TEST_PATH_BYTES];
    copy_file_beside(scenario, copy);
    open_refused(scenario, copy, "no store");
}

static void copied_database_beside_its_original(struct scenario *scenario) {
    run_phase(scenario, create_pair, false);
    run_phase(scenario, open_copy_beside, false);
    run_phase(scenario, pair_is_intact, false);
    run_phase(scenario, open_copy_beside, false);
    run_phase(scenario, pair_is_intact, false);
}

static void open_copied_pair(struct scenario *scenario) {
    char copy[TEST_PATH_BYTES];
    copy_pair(scenario, copy);
    open_refused(scenario, copy, "cop");
}

static void copied_database_and_directory(struct scenario *scenario) {
    run_phase(scenario, create_pair, false);
    run_phase(scenario, open_copied_pair, false);
    run_phase(scenario, pair_is_intact, false);
    run_phase(scenario, change_pair, false);
    run_phase(scenario, pair_is_intact, false);
}

static void moved_database(struct scenario *scenario) {
    char copy[TEST_PATH_BYTES];
    char from[TEST_PATH_BYTES];
    char to[TEST_PATH_BYTES];
    run_phase(scenario, create_pair, false);
    for (int i = 0; i < 3; i++) {
        path_format(copy, "%s/place%d", scenario->directory, i);
        mkdir(copy, 0755);
        path_format(copy, "%s/place%d/moved%d.db", scenario->directory, i, i);
        original_path(scenario, "-faster", from);
        path_format(to, "%s-faster", copy);
        expect(scenario, rename(scenario->path, copy) == 0 && rename(from, to) == 0, "rename");
        path_format(scenario->path, "%s", copy);
        run_phase(scenario, pair_is_intact, false);
    }
    /* Copied to another file system and removed there: new inodes, no original. */
    original_path(scenario, "-faster", from);
    path_format(copy, "%s/last.db", scenario->directory);
    path_format(to, "%s/last.db-faster", scenario->directory);
    tree_copy(scenario->path, copy);
    tree_copy(from, to);
    unlink(scenario->path);
    directory_remove(from);
    path_format(scenario->path, "%s", copy);
    run_phase(scenario, pair_is_intact, false);
}

static void open_restored(struct scenario *scenario) {
    open_refused(scenario, scenario->path, "old backup");
}

/* A backup of the database alone, put back after the store has gone on. */
static void restored_database(struct scenario *scenario) {
    char backup[TEST_PATH_BYTES];
    char newest[TEST_PATH_BYTES];
    path_format(backup, "%s/backup", scenario->directory);
    path_format(newest, "%s/newest", scenario->directory);
    run_phase(scenario, create_pair, false);
    tree_copy(scenario->path, backup);
    run_phase(scenario, change_pair, false);
    tree_copy(scenario->path, newest);
    tree_copy(backup, scenario->path); /* the same inode */
    run_phase(scenario, open_restored, false);
    unlink(scenario->path);
    tree_copy(backup, scenario->path); /* another one */
    run_phase(scenario, open_restored, false);
    tree_copy(newest, scenario->path);
    run_phase(scenario, pair_is_intact, false);
}

static void copy_and_original_in_one_process(struct scenario *scenario) {
    char copy[TEST_PATH_BYTES];
    char beside[TEST_PATH_BYTES];
    char alias[TEST_PATH_BYTES];
    create_pair(scenario);
    copy_pair(scenario, copy);
    copy_file_beside(scenario, beside);
    sqlite3 *first = db_open(scenario->options, copy);
    expect_refused(scenario, first, "cop");
    sqlite3 *db = scenario_open(scenario);
    same_rows(scenario, db, 100, "the original");
    sqlite3 *second = db_open(scenario->options, copy);
    sqlite3 *third = db_open(scenario->options, beside);
    run_both(scenario, db, "UPDATE %s SET n = n + 1");
    expect(scenario, db_run(second, "SELECT * FROM f") != SQLITE_OK, "the copied pair opens");
    expect(scenario, db_run(second, "DELETE FROM f") != SQLITE_OK, "the copied pair is written");
    expect(scenario, db_run(third, "SELECT * FROM f") != SQLITE_OK, "the copied file opens");
    expect(scenario, db_run(third, "DELETE FROM f") != SQLITE_OK, "the copied file is written");
    expect(scenario, db_run(first, "SELECT * FROM f") != SQLITE_OK, "the first copy opens");
    same_rows(scenario, db, 100, "the original, beside its copies");
    path_format(alias, "%s/alias.db", scenario->directory);
    expect(scenario, symlink(scenario->path, alias) == 0, "symlink");
    sqlite3 *other = db_open(scenario->options, alias);
    same_rows(scenario, other, 100, "the original by another name");
    run_both(scenario, other, "UPDATE %s SET n = n + 1");
    same_rows(scenario, db, 100, "the original after a write by another name");
    all_sound(scenario, db, "the original");
    db_close(other);
    db_close(first);
    db_close(second);
    db_close(third);
    db_close(db);
    pair_is_intact(scenario);
}

/* ------------------------------------------------------------------ other programs */

static void use_without_extension(struct scenario *scenario) {
    struct test_options plain = *scenario->options;
    plain.self = true;
    sqlite3 *db = db_open(&plain, scenario->path);
    expect(scenario, db_int(db, "SELECT count(*) FROM o") == 100, "rows of the ordinary table");
    db_must(db, "UPDATE o SET n = n; CREATE TABLE mine(x); INSERT INTO mine VALUES(1); VACUUM");
    expect_error(scenario, db, "SELECT * FROM f", SQLITE_ERROR, "no such module", "faster", NULL);
    db_close(db);
}

static void program_without_the_extension(struct scenario *scenario) {
    run_phase(scenario, create_pair, false);
    run_phase(scenario, use_without_extension, false);
    run_phase(scenario, pair_is_intact, false);
}

static void hold_the_store(struct scenario *scenario, int from_test, int to_test) {
    sqlite3 *db = scenario_open(scenario);
    same_rows(scenario, db, 100, "the owner");
    partner_tell(to_test);
    partner_wait(from_test);
    run_both(scenario, db, "UPDATE %s SET n = n + 1");
    db_close(db);
}

static void second_process_is_busy(struct scenario *scenario) {
    struct partner owner;
    char pid[32];
    run_phase(scenario, create_pair, false);
    partner_start(scenario, &owner, hold_the_store);
    partner_wait(owner.from_partner);
    snprintf(pid, sizeof pid, "%d", (int)owner.pid);
    sqlite3 *db = scenario_open(scenario);
    expect_error(scenario, db, "SELECT * FROM f", SQLITE_BUSY, pid, NULL);
    expect_error(scenario, db, "INSERT INTO f VALUES('x', 'y', 1)", SQLITE_BUSY, pid, NULL);
    sqlite3_busy_timeout(db, 300);
    double start = test_seconds();
    expect_error(scenario, db, "SELECT value FROM f WHERE key = 'k1'", SQLITE_BUSY, pid, NULL);
    double waited = test_seconds() - start;
    expect(scenario, waited > 0.25 && waited < 3, "waited %.2f s of a timeout of 0.3 s", waited);
    db_must(db, "UPDATE o SET value = value; CREATE TABLE mine(x)");
    expect(scenario, db_int(db, "SELECT count(*) FROM o") == 100, "the rest is usable");
    partner_tell(owner.to_partner);
    partner_end(scenario, &owner);
    same_rows(scenario, db, 100, "after the owner has left");
    run_both(scenario, db, "UPDATE %s SET n = n + 1");
    same_rows(scenario, db, 100, "written by the second");
    db_close(db);
}

static void mode_of_file(void *context, const char *path) {
    struct scenario *scenario = context;
    struct stat file;
    struct stat database;
    bool own = strncmp(path, scenario->path, strlen(scenario->path)) == 0;
    if (own && strstr(path, "-faster/") && stat(path, &file) == 0 &&
        stat(scenario->path, &database) == 0) {
        expect(scenario, (file.st_mode & 0777) == (database.st_mode & 0777),
               "%s has mode %o, the database %o", path, file.st_mode & 0777,
               database.st_mode & 0777);
        expect(scenario, file.st_uid == database.st_uid && file.st_gid == database.st_gid,
               "%s belongs to %u:%u, the database to %u:%u", path, file.st_uid, file.st_gid,
               database.st_uid, database.st_gid);
    }
}

static void mode_and_owner_inherited(struct scenario *scenario) {
    static const mode_t file_modes[] = {0600, 0640, 0664};
    for (int i = 0; i < 3; i++) {
        path_format(scenario->path, "%s/mode%d.db", scenario->directory, i);
        sqlite3 *db = scenario_open(scenario);
        db_must(db, "CREATE TABLE first(x)");
        chmod(scenario->path, file_modes[i]);
        if (geteuid() == 0 && i > 0) {
            expect(scenario, chown(scenario->path, 1234, 1235) == 0, "chown");
        }
        /* The mark of a creation that is not committed yet is there only now. */
        db_must(db, "BEGIN");
        tables_create(scenario, db, ", memory='1MiB', page_size='16KiB', segment_size='16KiB'");
        tree_each_file(scenario->directory, mode_of_file, scenario);
        db_must(db, "COMMIT");
        rows_put(db, 0, 300, 400, 1);
        db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
        same_rows(scenario, db, 300, "before close");
        tree_each_file(scenario->directory, mode_of_file, scenario);
        db_close(db);
        tree_each_file(scenario->directory, mode_of_file, scenario);
    }
}

/* What sqlite3's .backup and .restore do. */
static void backup(sqlite3 *target, sqlite3 *source) {
    sqlite3_backup *work = sqlite3_backup_init(target, "main", source, "main");
    if (work == NULL || sqlite3_backup_step(work, -1) != SQLITE_DONE ||
        sqlite3_backup_finish(work) != SQLITE_OK) {
        test_fail("backup: %s", sqlite3_errmsg(target));
    }
}

/* The functions see what SELECT sees: the same rows, or the same refusal. */
static void functions_agree(struct scenario *scenario, sqlite3 *db, const char *when) {
    static const char *const queries[] = {
        "SELECT faster_get('f', 'k00001', 'n')", "SELECT n FROM f WHERE key = 'k00001'",
        "SELECT nullif(faster_exists('f', 'k00009'), 0)", "SELECT 1 FROM f WHERE key = 'k00009'"};
    int64_t answers[4];
    int codes[4];
    for (int i = 0; i < 4; i++) {
        sqlite3_stmt *statement = NULL;
        (void)sqlite3_prepare_v2(db, queries[i], -1, &statement, NULL);
        (void)sqlite3_step(statement);
        answers[i] = sqlite3_column_int64(statement, 0);
        codes[i] = sqlite3_finalize(statement);
    }
    for (int i = 0; i < 4; i += 2) {
        expect(scenario, codes[i] == codes[i + 1] && answers[i] == answers[i + 1],
               "%s: %s gives %lld (%d), %s gives %lld (%d)", when, queries[i],
               (long long)answers[i], codes[i], queries[i + 1], (long long)answers[i + 1],
               codes[i + 1]);
    }
}

/* An old backup is restored while connections are open, through one of them. */
static void restored_under_open_connections(struct scenario *scenario) {
    for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
        sqlite3 *old = db_open(scenario->options, ":memory:");
        path_format(scenario->path, "%s/restored%d.db", scenario->directory, checkpoint);
        sqlite3 *db = scenario_open(scenario);
        sqlite3 *other = scenario_open(scenario);
        tables_create(scenario, db, "");
        rows_put(db, 0, 5, 50, 1);
        backup(old, db);
        rows_put(db, 0, 10, 50, 2);
        if (checkpoint) {
            db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
        }
        functions_agree(scenario, db, "before");
        functions_agree(scenario, other, "before, other connection");
        backup(db, old);
        functions_agree(scenario, db, "restored");
        functions_agree(scenario, other, "restored by another connection");
        expect(scenario, db_run(db, "INSERT INTO f VALUES('x', 'y', 1)") != SQLITE_OK,
               "a restored database writes to its newer store");
        expect(scenario, db_run(db, "INSERT INTO f(f) VALUES('checkpoint')") != SQLITE_OK,
               "a restored database moves what its newer store remembers");
        db_close(other);
        db_close(db);
        if (checkpoint) { /* the store knows of a commit that the database lacks */
            db = scenario_open(scenario);
            expect(scenario, db_run(db, "SELECT count(*) FROM f") == SQLITE_CANTOPEN,
                   "an old database opens a newer store");
            db_close(db);
        }
        db_close(old);
    }
}

const struct scenario_entry scenarios_place[] = {
    {"copied_database_beside_its_original", copied_database_beside_its_original, true, false},
    {"copied_database_and_directory", copied_database_and_directory, true, false},
    {"moved_database", moved_database, true, false},
    {"restored_database", restored_database, true, false},
    {"copy_and_original_in_one_process", copy_and_original_in_one_process, true, false},
    {"program_without_the_extension", program_without_the_extension, true, false},
    {"second_process_is_busy", second_process_is_busy, true, false},
    {"mode_and_owner_inherited", mode_and_owner_inherited, true, false},
    {"restored_under_open_connections", restored_under_open_connections, true, true},
    {NULL, NULL, false, false}};
