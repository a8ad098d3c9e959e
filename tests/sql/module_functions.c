/* module_functions.c - the functions, and how they find their table. */
#include "module.h"

static void functions_read_and_write(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(k TEXT PRIMARY KEY, v)");
    want(db, "null|0", "SELECT faster_get('f', 'a'), faster_exists('f', 'a')");
    want(db, "x", "SELECT faster_set('f', 'a', 'x')");
    want(db, "x|1|a",
         "SELECT faster_get('f', 'a'), faster_exists('f', 'a'), faster_get('f', 'a', 'k')");
    want(db, "1 6 4",
         "SELECT faster_incr('f', 'n', d) FROM (SELECT 1 d UNION ALL SELECT 5 "
         "UNION ALL SELECT -2)");
    want(db, "5", "SELECT faster_incr('main.f', 'n')");
    want(db, "1|0", "SELECT faster_delete('f', 'a'), faster_delete('f', 'a')");
    want(db, "null", "SELECT faster_get('f', NULL)");
    refused(db, SQLITE_ERROR, "no such table", "SELECT faster_get('nothing', 1)");
    refused(db, SQLITE_ERROR, "not a FASTER table", "SELECT faster_get('sqlite_schema', 1)");
    refused(db, SQLITE_ERROR, "no such column", "SELECT faster_get('f', 1, 'zzz')");
    refused(db, SQLITE_ERROR, "is needed", "SELECT faster_get(NULL, 1)");
    refused(db, SQLITE_MISMATCH, "needs numbers",
            "SELECT faster_set('f', 'n', 'text'), faster_incr('f', 'n')");
    db_close(db); /* also: no statement of a function is left open */
}

static void functions_belong_to_the_transaction(struct world *world) {
    sqlite3 *db = open_at(world);
    sqlite3 *other = open_at(world);
    db_must(db, "PRAGMA journal_mode = wal");
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(k, v)");
    db_must(db, "CREATE VIRTUAL TABLE g USING faster(k INTEGER PRIMARY KEY, v)");
    db_must(db,
            "BEGIN; SELECT faster_set('g', 1, 'a'); SAVEPOINT s; SELECT faster_set('g', 2, 'b')");
    want(db, "b", "SELECT faster_get('g', 2)");
    want(other, "null", "SELECT faster_get('g', 1)");
    db_must(db, "ROLLBACK TO s");
    want(db, "a|null", "SELECT faster_get('g', 1), faster_get('g', 2)");
    db_must(db, "COMMIT");
    want(other, "a|null", "SELECT faster_get('g', 1), faster_get('g', 2)");
    db_must(other, "BEGIN");
    want(other, "1|a", "SELECT * FROM g");
    db_must(db, "SELECT faster_set('g', 1, 'new')");
    want(other, "a", "SELECT faster_get('g', 1)");
    db_must(other, "COMMIT");
    want(other, "new", "SELECT faster_get('g', 1)");
    db_close(other);
    db_close(db);
}

static void functions_follow_renames_of_others(struct world *world) {
    sqlite3 *db = open_at(world);
    sqlite3 *other = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE a USING faster; INSERT INTO a VALUES(1, 'one')");
    want(other, "one", "SELECT faster_get('a', 1)");
    db_must(db, "ALTER TABLE a RENAME TO b; CREATE VIRTUAL TABLE a USING faster");
    db_must(db, "INSERT INTO a VALUES(1, 'two')");
    want(other, "two|one", "SELECT faster_get('a', 1), faster_get('b', 1)");
    db_must(db, "DROP TABLE a");
    refused(other, SQLITE_ERROR, "no such table", "SELECT faster_get('a', 1)");
    db_must(db, "BEGIN; ALTER TABLE b RENAME TO c");
    want(db, "one", "SELECT faster_get('c', 1)");
    db_must(db, "ROLLBACK");
    want(db, "one", "SELECT faster_get('b', 1)");
    refused(db, SQLITE_ERROR, "no such table", "SELECT faster_incr('c', 1)");
    want(db, "2", "SELECT faster_set('b', 1, 1) + faster_incr('b', 9)");
    db_must(db, "DROP TABLE b; CREATE VIRTUAL TABLE b USING faster(id INTEGER PRIMARY KEY, w)");
    want(db, "7", "SELECT faster_set('b', 3, 7)");
    db_close(other);
    db_close(db);
}

static void functions_keep_to_their_flags(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; CREATE TABLE o(x)");
    db_must(db, "CREATE TRIGGER t AFTER INSERT ON o BEGIN SELECT faster_set('f', 1, 1); END");
    refused(db, SQLITE_ERROR, "unsafe use", "INSERT INTO o VALUES(1)");
    db_must(db, "DROP TRIGGER t");
    db_must(db,
            "CREATE TRIGGER t AFTER INSERT ON o BEGIN INSERT OR REPLACE INTO f VALUES(new.x, 2); "
            "END");
    db_must(db, "INSERT INTO o VALUES(1), (2)");
    db_must(db, "PRAGMA trusted_schema = 0");
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    refused(db, SQLITE_ERROR, "unsafe use", "INSERT INTO o VALUES(1)");
    db_must(db, "UPDATE f SET value = 2; SELECT faster_incr('f', 1, 0)");
    want(db, "1|2 2|2", "SELECT * FROM f ORDER BY key");
    refused(db, SQLITE_ERROR, "may not be modified", "DELETE FROM f_log");
    db_must(db, "ALTER TABLE f RENAME TO g; INSERT INTO g(g) VALUES('checkpoint'); DROP TABLE g");
    db_close(db);
}

/* SQLite asks xBestIndex about each side of an OR without the hidden argument. */
static void stats_with_or(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster");
    want_int(db, 2,
             "SELECT count(*) FROM faster_stats('t') WHERE name = 'sessions' OR "
             "name = 'snapshots'");
    refused(db, SQLITE_ERROR, "name of a FASTER table", "SELECT * FROM faster_stats");
    db_close(db);
}

/* Hidden columns give the arguments. SQLite asks for them when one is constrained twice, and when
 * there are more terms than it lets a virtual table consume. */
static void hidden_columns_give_the_arguments(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster; INSERT INTO t VALUES(1, 'a'), (2, 'b')");
    want(db, "t|[1,2]|null|1|a t|[1,2]|null|2|b",
         "SELECT mget_table, mget_keys, mget_column, key, value FROM faster_mget('t', '[1,2]')");
    want(db, "1|a 2|b", "SELECT key, value FROM faster_mget('t', '[1,2]') WHERE mget_table = 't'");
    want(db, "", "SELECT key, value FROM faster_mget('t', '[1,2]') WHERE mget_keys = '[2]'");
    want(db, "value|2|b",
         "SELECT mget_column, key, value FROM faster_mget('t', '[2]', 'value') WHERE 1 "
         "AND position < 1 AND position < 2 AND position < 3 AND position < 4 AND position < 5 "
         "AND position < 6 AND position < 7 AND position < 8 AND position < 9 AND position < 10 "
         "AND position < 11 AND position < 12 AND position < 13 AND position < 14 "
         "AND position < 15 AND position < 16 AND position < 17 AND position < 18");
    want(db, "t|1",
         "SELECT t, value > 0 FROM faster_stats('t') WHERE t = 't' AND name = 'sessions'");
    db_close(db);
}

const struct module_case module_functions[] = {
    {"functions_read_and_write", functions_read_and_write},
    {"functions_belong_to_the_transaction", functions_belong_to_the_transaction},
    {"functions_follow_renames_of_others", functions_follow_renames_of_others},
    {"functions_keep_to_their_flags", functions_keep_to_their_flags},
    {"stats_with_or", stats_with_or},
    {"hidden_columns_give_the_arguments", hidden_columns_give_the_arguments},
    {NULL, NULL},
};
