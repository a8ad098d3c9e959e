/* module_backup.c - copies of a database with its stores, and stores that move (P1, P4, P8). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module.h"

#define SMALL "memory='1MiB', page_size='16KiB', segment_size='64KiB'"
#define TRANSACTIONAL SMALL ", inline_commit=0"
#define DIRECT SMALL ", writes='direct'"
#define COPY "copy.db"

/* What a row holds besides its key: the turn, and bytes that make some rows larger than a page. */
static void write_turn(sqlite3 *db, int turn) {
    db_must(db,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) "
            "REPLACE INTO f SELECT i, %d, zeroblob(i %% 50 * 800) FROM n",
            turn);
}

static void want_turn(sqlite3 *db, int turn) {
    char expected[64];
    snprintf(expected, sizeof expected, "200|%d|%d", turn, turn);
    want(db, expected, "SELECT count(*), min(turn), max(turn) FROM f");
    want(db, "ok", "SELECT faster_verify('f')");
}

static sqlite3 *make(struct world *world, const char *options) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE TABLE plain(turn); INSERT INTO plain VALUES(0)");
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(k INTEGER PRIMARY KEY, turn, filler, %s)",
            options);
    return db;
}

static void path_in(const struct world *world, const char *name, char path[TEST_PATH_BYTES]) {
    path_format(path, "%s/%s", world->directory, name);
}

static sqlite3 *open_copy(const struct world *world, const char *name) {
    char path[TEST_PATH_BYTES];
    path_in(world, name, path);
    return db_open(world->options, path);
}

static void vacuum_into(sqlite3 *db, const struct world *world, const char *name) {
    db_must(db, "VACUUM INTO '%s/%s'", world->directory, name);
}

static void copy_by_backup_api(sqlite3 *db, const struct world *world, const char *name) {
    char path[TEST_PATH_BYTES];
    sqlite3 *copy = NULL;
    path_in(world, name, path);
    if (sqlite3_open(path, &copy) != SQLITE_OK) {
        test_fail("%s", path);
    }
    sqlite3_backup *backup = sqlite3_backup_init(copy, "main", db, "main");
    while (sqlite3_backup_step(backup, 3) == SQLITE_OK) {
    }
    if (sqlite3_backup_finish(backup) != SQLITE_OK) {
        test_fail("backup: %s", sqlite3_errmsg(copy));
    }
    (void)sqlite3_close(copy);
}

static const char *backup_sql(const struct world *world, const char *name, bool with_database) {
    static char sql[4 * TEST_PATH_BYTES];
    if (with_database) {
        snprintf(sql, sizeof sql, "SELECT faster_backup('f', '%s/%s-faster', '%s/%s')",
                 world->directory, name, world->directory, name);
    } else {
        snprintf(sql, sizeof sql, "SELECT faster_backup('f', '%s/%s-faster')", world->directory,
                 name);
    }
    return sql;
}

static void back_up(sqlite3 *db, const struct world *world, const char *name, bool with_database) {
    char found[TEST_PATH_BYTES];
    char parent[TEST_PATH_BYTES];
    char *path = db_text(db, "%s", backup_sql(world, name, with_database));
    path_format(parent, "%s/%s-faster", world->directory, name);
    if (!store_directory_find(parent, found) || strcmp(found, path) != 0) {
        test_fail("a copy of the store at %s, not at %s", found, path);
    }
    free(path);
}

/* The copy and the original each go their way. */
static void want_both(struct world *world, sqlite3 *db, const char *name, int copied, int newest) {
    db_close(db);
    db = open_copy(world, name);
    want_turn(db, copied);
    write_turn(db, 50);
    db_close(db);
    db = open_copy(world, name);
    want_turn(db, 50);
    db_close(db);
    db = open_at(world);
    want_turn(db, newest);
    write_turn(db, newest + 1);
    want_turn(db, newest + 1);
    db_close(db);
}

typedef void copy_database_fn(sqlite3 *db, const struct world *world, const char *name);

static void copy_then_back_up(struct world *world, copy_database_fn *copy) {
    sqlite3 *db = make(world, TRANSACTIONAL);
    write_turn(db, 1);
    copy(db, world, COPY);
    write_turn(db, 2); /* belongs to the original only */
    back_up(db, world, COPY, true);
    write_turn(db, 3);
    want_both(world, db, COPY, 1, 3);
}

static void vacuum_into_and_backup(struct world *world) {
    copy_then_back_up(world, vacuum_into);
}

static void backup_api_and_backup(struct world *world) {
    copy_then_back_up(world, copy_by_backup_api);
}

/* In WAL mode a writer goes on between the two, from another connection. */
static void backup_in_wal_mode(struct world *world) {
    sqlite3 *db = make(world, SMALL);
    db_must(db, "PRAGMA journal_mode = WAL");
    write_turn(db, 1);
    sqlite3 *other = open_at(world);
    copy_by_backup_api(db, world, COPY);
    write_turn(other, 2);
    back_up(db, world, COPY, true);
    write_turn(other, 3);
    db_close(other);
    want_both(world, db, COPY, 1, 3);
}

/* The store first is right as long as nothing is committed in between. */
static void store_first_then_vacuum_into(struct world *world) {
    sqlite3 *db = make(world, TRANSACTIONAL);
    write_turn(db, 1);
    back_up(db, world, COPY, false);
    vacuum_into(db, world, COPY);
    write_turn(db, 2);
    want_both(world, db, COPY, 1, 2);
}

static void store_first_then_backup_api(struct world *world) {
    sqlite3 *db = make(world, TRANSACTIONAL);
    write_turn(db, 1);
    back_up(db, world, COPY, false);
    copy_by_backup_api(db, world, COPY);
    write_turn(db, 2);
    want_both(world, db, COPY, 1, 2);
}

static void pairs_that_are_none_are_refused(struct world *world) {
    sqlite3 *db = make(world, TRANSACTIONAL);
    write_turn(db, 1);
    vacuum_into(db, world, "older.db");
    back_up(db, world, "newer.db", false); /* the store of turn 1, and the database of turn 2 */
    write_turn(db, 2);
    vacuum_into(db, world, "newer.db");
    back_up(db, world, "older.db", false); /* and the other way round */
    db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    vacuum_into(db, world, COPY);
    write_turn(db, 3);
    db_must(db, "INSERT INTO f(f) VALUES('checkpoint')"); /* takes turn 2 away */
    refused(db, SQLITE_BUSY_SNAPSHOT, "copy the database again", backup_sql(world, COPY, true));
    db_close(db);
    db = open_copy(world, "newer.db");
    refused(db, SQLITE_CORRUPT_VTAB, "not of the same moment", "SELECT count(*) FROM f");
    want_int(db, 1, "SELECT count(*) FROM plain");
    db_close(db);
    db = open_copy(world, "older.db");
    refused(db, SQLITE_CANTOPEN, "old backup or a copy", "SELECT count(*) FROM f");
    db_close(db);
}

static void copies_that_are_none_are_refused(struct world *world) {
    char sql[2 * TEST_PATH_BYTES];
    sqlite3 *db = make(world, TRANSACTIONAL);
    write_turn(db, 1);
    refused(db, SQLITE_CANTOPEN, COPY, backup_sql(world, COPY, true));
    sqlite3 *other = open_copy(world, COPY);
    db_must(other, "CREATE TABLE plain(a)");
    refused(db, SQLITE_ERROR, "no such table", backup_sql(world, COPY, true));
    db_must(other, "CREATE VIRTUAL TABLE f USING faster(k INTEGER PRIMARY KEY, v)");
    refused(db, SQLITE_ERROR, "no copy of this database", backup_sql(world, COPY, true));
    db_close(other);
    snprintf(sql, sizeof sql, "SELECT faster_backup('f', '%s', NULL)", world->directory);
    refused(db, SQLITE_ERROR, "third argument", sql);
    refused(db, SQLITE_ERROR, "needs a directory", "SELECT faster_backup('f', NULL)");
    refused(db, SQLITE_ERROR, "nobody", "SELECT faster_backup('nobody', 'x')");
    db_must(db, "CREATE VIEW v AS SELECT faster_backup('f', 'x')");
    refused(db, SQLITE_ERROR, "unsafe use", "SELECT * FROM v");
    db_close(db);
    db = db_open(world->options, ":memory:");
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(k INTEGER PRIMARY KEY, v)");
    refused(db, SQLITE_ERROR, "in memory", backup_sql(world, "x", false));
    refused(db, SQLITE_ERROR, "in memory", "SELECT faster_adopt('f')");
    db_close(db);
}

static void target_with_something_in_it_is_refused(struct world *world) {
    sqlite3 *db = make(world, TRANSACTIONAL);
    write_turn(db, 1);
    back_up(db, world, COPY, false);
    refused(db, SQLITE_CANTOPEN, "not empty", backup_sql(world, COPY, false));
    vacuum_into(db, world, COPY);
    want_both(world, db, COPY, 1, 1);
}

static void backup_within_a_transaction_leaves_it_out(struct world *world) {
    sqlite3 *db = make(world, TRANSACTIONAL);
    write_turn(db, 1);
    vacuum_into(db, world, COPY);
    db_must(db, "BEGIN");
    write_turn(db, 2);
    back_up(db, world, COPY, true);
    db_must(db, "COMMIT");
    want_both(world, db, COPY, 1, 2);
}

static void backup_of_a_direct_table(struct world *world) {
    sqlite3 *db = make(world, DIRECT);
    write_turn(db, 1);
    vacuum_into(db, world, COPY);
    write_turn(db, 2);
    back_up(db, world, COPY, true); /* what the store holds now, whatever the database is */
    write_turn(db, 3);
    want_both(world, db, COPY, 2, 3);
}

/* A process that only has the copy of the store open reads the copied database; one that has the
 * original open is refused: the UUID is the same. */
static void copy_and_original_in_one_process_are_refused(struct world *world) {
    sqlite3 *db = make(world, TRANSACTIONAL);
    write_turn(db, 1);
    vacuum_into(db, world, COPY);
    back_up(db, world, COPY, true);
    sqlite3 *copy = open_copy(world, COPY);
    refused(copy, SQLITE_CANTOPEN, "open", "SELECT count(*) FROM f");
    db_close(db);
    want_turn(copy, 1);
    db_close(copy);
}

/* The database and its stores in place of what is there. */
static void restored_pair_opens(struct world *world) {
    char from[TEST_PATH_BYTES];
    char to[TEST_PATH_BYTES];
    sqlite3 *db = make(world, TRANSACTIONAL);
    write_turn(db, 1);
    vacuum_into(db, world, COPY);
    back_up(db, world, COPY, true);
    write_turn(db, 2);
    db_close(db);
    path_in(world, COPY, from);
    if (remove(world->path) != 0) {
        test_fail("%s", strerror(errno));
    }
    tree_copy(from, world->path);
    path_format(to, "%s-faster", world->path);
    directory_remove(to);
    path_format(from, "%s/%s-faster", world->directory, COPY);
    tree_copy(from, to);
    db = open_at(world);
    want_turn(db, 1);
    write_turn(db, 3);
    db_close(db);
    db = open_at(world);
    want_turn(db, 3);
    db_close(db);
}

/* ---- adopt ---- */

static void copy_pair(const struct world *world, const char *name) {
    char from[TEST_PATH_BYTES];
    char to[TEST_PATH_BYTES];
    path_in(world, name, to);
    tree_copy(world->path, to);
    path_format(from, "%s-faster", world->path);
    path_format(to, "%s/%s-faster", world->directory, name);
    tree_copy(from, to);
}

static void copied_pair_is_adopted(struct world *world, const char *options) {
    char expected[TEST_PATH_BYTES];
    char parent[TEST_PATH_BYTES];
    sqlite3 *db = make(world, options);
    write_turn(db, 1);
    db_close(db);
    db = open_at(world);
    write_turn(db, 2); /* a manifest tells whose the store is */
    db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    db_close(db);
    copy_pair(world, COPY);
    db = open_copy(world, COPY);
    refused(db, SQLITE_CANTOPEN, "faster_adopt", "SELECT count(*) FROM f");
    char *path = db_text(db, "SELECT faster_adopt('f')");
    path_format(parent, "%s/%s-faster", world->directory, COPY);
    if (!store_directory_find(parent, expected) || strcmp(expected, path) != 0) {
        test_fail("adopted %s, not %s", path, expected);
    }
    free(path);
    want_turn(db, 2);
    write_turn(db, 3);
    free(db_text(db, "SELECT faster_adopt('f')")); /* it is open, and is ours */
    db_close(db);
    db = open_copy(world, COPY);
    want_turn(db, 3);
    db_close(db);
    db = open_at(world); /* the original has a store of its own, as ever */
    want_turn(db, 2);
    db_close(db);
}

static void copied_pair_of_a_transactional_table_is_adopted(struct world *world) {
    copied_pair_is_adopted(world, TRANSACTIONAL);
}

static void copied_pair_of_a_direct_table_is_adopted(struct world *world) {
    copied_pair_is_adopted(world, DIRECT);
}

/* Only one of two databases has a store, and either can take it. */
static void store_at_a_path_of_its_own_is_adopted(struct world *world) {
    char path[TEST_PATH_BYTES];
    char options[2 * TEST_PATH_BYTES];
    snprintf(options, sizeof options, TRANSACTIONAL ", path='%s/stores'", world->directory);
    sqlite3 *db = make(world, options);
    write_turn(db, 1);
    db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    vacuum_into(db, world, COPY);
    db_close(db);
    sqlite3 *copy = open_copy(world, COPY);
    refused(copy, SQLITE_CANTOPEN, "faster_adopt", "SELECT count(*) FROM f");
    free(db_text(copy, "SELECT faster_adopt('f')"));
    want_turn(copy, 1);
    db = open_at(world);
    refused(db, SQLITE_CANTOPEN, "open", "SELECT faster_adopt('f')");
    db_close(copy);
    refused(db, SQLITE_CANTOPEN, "faster_adopt", "SELECT count(*) FROM f");
    free(db_text(db, "SELECT faster_adopt('f')"));
    want_turn(db, 1);
    db_close(db);
    path_format(path, "%s/stores", world->directory);
    directory_remove(path);
    db = open_at(world);
    refused(db, SQLITE_CANTOPEN, "no store", "SELECT faster_adopt('f')");
    db_close(db);
}

const struct module_case module_backup[] = {
    {"vacuum_into_and_backup", vacuum_into_and_backup},
    {"backup_api_and_backup", backup_api_and_backup},
    {"backup_in_wal_mode", backup_in_wal_mode},
    {"store_first_then_vacuum_into", store_first_then_vacuum_into},
    {"store_first_then_backup_api", store_first_then_backup_api},
    {"pairs_that_are_none_are_refused", pairs_that_are_none_are_refused},
    {"copies_that_are_none_are_refused", copies_that_are_none_are_refused},
    {"target_with_something_in_it_is_refused", target_with_something_in_it_is_refused},
    {"backup_within_a_transaction_leaves_it_out", backup_within_a_transaction_leaves_it_out},
    {"backup_of_a_direct_table", backup_of_a_direct_table},
    {"copy_and_original_in_one_process_are_refused", copy_and_original_in_one_process_are_refused},
    {"restored_pair_opens", restored_pair_opens},
    {"copied_pair_of_a_transactional_table_is_adopted",
     copied_pair_of_a_transactional_table_is_adopted},
    {"copied_pair_of_a_direct_table_is_adopted", copied_pair_of_a_direct_table_is_adopted},
    {"store_at_a_path_of_its_own_is_adopted", store_at_a_path_of_its_own_is_adopted},
    {NULL, NULL},
};
