/* module_commands.c - the command column, settings, what is counted. */
#include "module.h"

#include <stdio.h>

static void commands_change_one_column(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE c USING faster(k TEXT PRIMARY KEY, n INTEGER)");
    db_must(db, "INSERT INTO c(c, k, n) VALUES('add', 'a', 5), ('add', 'a', -2), ('max', 'b', 3)");
    db_must(db, "INSERT INTO c(c, k, n) VALUES('max', 'b', 2), ('min', 'b', 1), ('MIN', 'b', 9)");
    db_must(db, "INSERT INTO c(c, k, n) VALUES('insert', 'a', 100), ('insert', 'd', 7)");
    db_must(db, "INSERT INTO c(c, k, n) VALUES('append', 'd', '1')");
    want(db, "a|3|integer b|1|integer d|71|integer", "SELECT *, typeof(n) FROM c ORDER BY k");
    refused(db, SQLITE_ERROR, "integer overflow",
            "INSERT INTO c(c, k, n) VALUES('add', 'a', 9223372036854775807)");
    refused(db, SQLITE_MISMATCH, "numbers", "INSERT INTO c(c, k, n) VALUES('add', 'a', 'x')");
    refused(db, SQLITE_ERROR, "allowed are add", "INSERT INTO c(c, k, n) VALUES('put', 'a', 1)");
    refused(db, SQLITE_ERROR, "INSERT only", "UPDATE c SET c = 'add'");
    want(db, "a|3", "SELECT * FROM c WHERE k = 'a'");
    db_close(db);
}

static void commands_on_the_table_take_no_row(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; INSERT INTO f(f) VALUES('checkpoint')");
    refused(db, SQLITE_ERROR, "the command 'checkpoint' takes no columns",
            "INSERT INTO f(f, key, value) VALUES('checkpoint', 'a', 7)");
    refused(db, SQLITE_ERROR,
            "allowed are add, append, min, max, insert, commit, checkpoint, grow, verify",
            "INSERT INTO f(f, key, value) VALUES('none', 'a', 7)");
    want(db, "0", "SELECT count(*) FROM f");
    db_close(db);
}

static void checkpoints_are_taken_and_listed(struct world *world) {
    const char *list = "SELECT number, kind, index_number FROM faster_checkpoints('%s')";
    char sql[128];
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster; CREATE VIRTUAL TABLE d USING "
                "faster(key PRIMARY KEY, value, writes='direct')");
    for (int direct = 0; direct < 2; direct++) {
        const char *name = direct ? "d" : "t";
        snprintf(sql, sizeof sql, list, name);
        want(db, "", sql);
        db_must(db, direct ? "INSERT INTO d VALUES('a', 1)" : "INSERT INTO t VALUES('a', 1)");
        want(db, "1", direct ? "SELECT faster_checkpoint('d')" : "SELECT faster_checkpoint('t')");
        want(db, "1|fold-over|0", sql);
        want(db, "2",
             direct ? "SELECT faster_checkpoint('d', 'INDEX')"
                    : "SELECT faster_checkpoint('t', 'INDEX')");
        want(db, "2|index|2 1|fold-over|0", sql);
        db_must(db, direct ? "INSERT INTO d VALUES('b', 2)" : "INSERT INTO t VALUES('b', 2)");
        db_must(db, direct ? "INSERT INTO d(d) VALUES('checkpoint leave')"
                           : "INSERT INTO t(t) VALUES('Checkpoint incremental leave')");
        want(db, "3|fold-over|2 2|index|2", sql);
    }
    refused(db, SQLITE_ERROR, "kinds of a checkpoint", "SELECT faster_checkpoint('d', 'all')");
    refused(db, SQLITE_ERROR, "unknown command", "INSERT INTO d(d) VALUES('checkpoint all')");
    refused(db, SQLITE_ERROR, "unknown command", "INSERT INTO d(d) VALUES('checkpoints')");
    db_close(db);
    db = open_at(world);
    want(db, "a|1 b|2", "SELECT * FROM t ORDER BY key");
    want(db, "a|1 b|2", "SELECT * FROM d ORDER BY key");
    want(db, "ok|ok", "SELECT faster_verify('t'), faster_verify('d')");
    db_close(db);
}

static void command_grow_doubles_the_index(struct world *world) {
    const char *buckets = "SELECT value FROM faster_stats('g') WHERE name = 'index_buckets'";
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE g USING faster(k INTEGER PRIMARY KEY, v, memory='1MiB')");
    db_must(db, "INSERT INTO g VALUES(1, 'a'), (2, 'b')");
    want(db, "1024", buckets);
    db_must(db, "BEGIN; INSERT INTO g VALUES(3, 'c'); INSERT INTO g(g) VALUES('grow');"
                "INSERT INTO g VALUES(4, 'd'); COMMIT");
    want(db, "2048", buckets);
    db_must(db, "INSERT INTO g(g) VALUES('GROW')");
    refused(db, SQLITE_FULL, "largest size", "INSERT INTO g(g) VALUES('grow')");
    want(db, "4096", buckets);
    want(db, "1|a 2|b 3|c 4|d", "SELECT * FROM g ORDER BY k");
    db_close(db);
}

static void commands_on_several_columns(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE c USING faster(a, b, n INT DEFAULT 10, t TEXT NOT NULL, "
                "PRIMARY KEY(a, b))");
    refused(db, SQLITE_CONSTRAINT_NOTNULL, "c.t",
            "INSERT INTO c(c, a, b, n) VALUES('add', 1, 2, 5)");
    db_must(db, "INSERT INTO c(a, b, t) VALUES(1, 2, 'x')");
    db_must(db, "INSERT INTO c(c, a, b, n) VALUES('add', 1, 2, 5)");
    db_must(db, "INSERT INTO c(c, a, b, t) VALUES('append', 1, 2, 'yz')");
    want(db, "1|2|15|xyz", "SELECT * FROM c");
    refused(db, SQLITE_ERROR, "exactly one",
            "INSERT INTO c(c, a, b, n, t) VALUES('add', 1, 2, 5, 'q')");
    refused(db, SQLITE_CONSTRAINT_NOTNULL, "whole key",
            "INSERT INTO c(c, a, n) VALUES('add', 1, 5)");
    db_close(db);
}

static void commands_on_rowids(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE r USING faster(v)");
    db_must(db, "INSERT INTO r VALUES(1)");
    db_must(db, "INSERT INTO r(r, rowid, v) VALUES('add', 1, 4), ('add', 9, 2)");
    refused(db, SQLITE_ERROR, "needs the rowid", "INSERT INTO r(r, v) VALUES('add', 4)");
    db_must(db, "INSERT INTO r(v) VALUES('next')");
    want(db, "1|5 9|2 10|next", "SELECT rowid, v FROM r ORDER BY rowid");
    db_close(db);
}

static void checkpoint_drops_redo_rows(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster");
    for (int i = 0; i < 20; i++) {
        db_must(db, "INSERT INTO f VALUES(%d, %d)", i, i);
    }
    want(db, "20", "SELECT count(*) FROM f_log");
    db_must(db, "BEGIN");
    db_must(db, "INSERT INTO f VALUES('open', 1)");
    db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    db_must(db, "ROLLBACK");
    want(db, "20", "SELECT count(*) FROM f");
    db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    want(db, "1", "SELECT count(*) FROM f_log");
    db_close(db);
    db = open_at(world);
    want(db, "20|190", "SELECT count(*), sum(value) FROM f");
    want(db, "ok", "SELECT faster_verify('f')");
    db_close(db);
}

/* PRAGMA count_changes: INSERT and DELETE return a row, those of the extension too. */
static void count_changes(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster; PRAGMA count_changes = 1");
    db_must(db, "INSERT INTO t VALUES ('a', 1), ('b', 2)");
    want_int(db, 3, "SELECT faster_set('t', 'c', 3)");
    want_int(db, 5, "SELECT faster_incr('t', 'c', 2)");
    want_int(db, 1, "SELECT faster_delete('t', 'a')");
    db_must(db, "INSERT INTO t(t) VALUES ('checkpoint')");
    db_must(db, "DELETE FROM t WHERE key = 'b'; ALTER TABLE t RENAME TO u");
    want_int(db, 1, "SELECT count(*) FROM u");
    db_close(db);
}

static void config_changes_memory_at_the_next_open(struct world *world) {
    sqlite3 *db = open_at(world);
    sqlite3 *other = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster(k INTEGER PRIMARY KEY, v, memory='1MiB',"
                " page_size='16KiB', inline_commit=0)");
    want_int(db, 1 << 20, "SELECT faster_config('t', 'memory')");
    want_int(other, 0, "SELECT faster_config('t', 'inline_commit')");
    refused(db, SQLITE_FULL, "faster_config",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) "
            "INSERT INTO t SELECT i, i FROM n");
    db_must(db, "BEGIN; SELECT faster_config('t', 'memory', '2MiB'); ROLLBACK");
    want_int(db, 0, "SELECT count(*) FROM t_config WHERE name = 'memory'");
    want_int(db, 1, "SELECT faster_config('t', 'memory', '64 MiB') LIKE '%next opened%'");
    want_int(db, 1, "SELECT faster_config('t', 'Inline_Commit', 4096) LIKE '%next opened%'");
    want_int(db, 1 << 20, "SELECT faster_config('t', 'memory')");
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
    want_int(db, 64 << 20, "SELECT faster_config('main.t', 'memory')");
    want_int(db, 4096, "SELECT faster_config('t', 'inline_commit')");
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
    want_int(db, 200000, "SELECT count(*) FROM t");
    want_int(db, 0, "SELECT faster_config('t', 'inline_commit')");
    db_close(db);
}

const struct module_case module_commands[] = {
    {"commands_change_one_column", commands_change_one_column},
    {"commands_on_the_table_take_no_row", commands_on_the_table_take_no_row},
    {"command_grow_doubles_the_index", command_grow_doubles_the_index},
    {"checkpoints_are_taken_and_listed", checkpoints_are_taken_and_listed},
    {"commands_on_several_columns", commands_on_several_columns},
    {"commands_on_rowids", commands_on_rowids},
    {"checkpoint_drops_redo_rows", checkpoint_drops_redo_rows},
    {"count_changes", count_changes},
    {"config_changes_memory_at_the_next_open", config_changes_memory_at_the_next_open},
    {NULL, NULL},
};
