/* module_places.c - where stores are, and when they go. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module.h"

/* Runs `child` in a new process and returns its exit code. */
static int run_child(struct world *world, void (*child)(struct world *world)) {
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        child(world);
        _exit(0);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        test_fail("fork: %s", strerror(errno));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void die_in_create(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE TABLE o(x); BEGIN; CREATE VIRTUAL TABLE lost USING faster");
    db_must(db, "INSERT INTO lost VALUES(1, 2)");
    _exit(7);
}

static void orphaned_directory_is_collected(struct world *world) {
    if (run_child(world, die_in_create) != 7 || store_directory_count(world->directory) != 1) {
        test_fail("the child left %u stores", store_directory_count(world->directory));
    }
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; INSERT INTO f VALUES(1, 2)");
    if (store_directory_count(world->directory) != 1) {
        test_fail("%u stores", store_directory_count(world->directory));
    }
    want(db, "1|2", "SELECT * FROM f");
    db_must(db, "DROP TABLE f");
    if (store_directory_count(world->directory) != 0) {
        test_fail("%u stores", store_directory_count(world->directory));
    }
    db_close(db);
}

/* The stores of a database that was moved away are not this one's garbage. */
static void stores_of_a_moved_database_stay(struct world *world) {
    char moved[TEST_PATH_BYTES];
    char parent[TEST_PATH_BYTES];
    char moved_parent[TEST_PATH_BYTES];
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; INSERT INTO f VALUES(1, 'kept')");
    db_close(db);
    path_format(moved, "%s/moved.db", world->directory);
    path_format(parent, "%s-faster", world->path);
    path_format(moved_parent, "%s-faster", moved);
    if (rename(world->path, moved) != 0) {
        test_fail("%s", strerror(errno));
    }
    db = open_at(world);
    db_must(db,
            "CREATE VIRTUAL TABLE f USING faster; INSERT INTO f VALUES(1, 'new'); DROP TABLE f");
    db_close(db);
    if (rename(parent, moved_parent) != 0) {
        test_fail("%s", strerror(errno));
    }
    db = db_open(world->options, moved);
    want(db, "1|kept", "SELECT * FROM f");
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
    want_int(db, 1, "SELECT count(*) FROM b");
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
    want_int(db, 1, "SELECT count(*) FROM b");
    db_must(db, "UPDATE a_config SET value = 'x' WHERE name = 'uuid'");
    refused(db, SQLITE_CORRUPT_VTAB, "uuid", "INSERT INTO a VALUES (3, 4)");
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
    want_int(db, 1, "SELECT count(*) FROM t");
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
    want_int(db, 2, "SELECT count(*) FROM t");
    db_close(db);
}

/* In a process of its own, started anew with this variable: makes a table and is killed. */
_Noreturn void be_killed_in_create(const struct test_options *options, const char *path) {
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
        (void)setenv(MODULE_KILLED_CHILD, world->path, 1);
        execl("/proc/self/exe", "module", world->options->extension, (char *)NULL);
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

const struct module_case module_places[] = {
    {"orphaned_directory_is_collected", orphaned_directory_is_collected},
    {"stores_of_a_moved_database_stay", stores_of_a_moved_database_stay},
    {"authorizer_hides_tables", authorizer_hides_tables},
    {"config_without_uuid", config_without_uuid},
    {"restored_database_keeps_stores", restored_database_keeps_stores},
    {"dropped_in_old_backup_keeps_store", dropped_in_old_backup_keeps_store},
    {"killed_create_leaves_no_orphan", killed_create_leaves_no_orphan},
    {NULL, NULL},
};
