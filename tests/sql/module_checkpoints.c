/* module_checkpoints.c - checkpoints that tables are due by themselves (P1, P3). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "module.h"

#define SMALL "memory='1MiB', page_size='16KiB', segment_size='64KiB'"
#define PATIENCE_MS 60000u

static int64_t figure(sqlite3 *db, const char *table, const char *name) {
    return db_int(db, "SELECT value FROM faster_stats('%s') WHERE name = '%s'", table, name);
}

/* 100 rows of about a kilobyte. A direct table's go in place, so the log does not grow with what
 * was there: it gets new ones. */
static void write_rows(sqlite3 *db, const char *table, unsigned turn) {
    const unsigned first = strcmp(table, "d") == 0 ? turn * 100 : 0;
    db_must(db,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
            "INSERT OR REPLACE INTO %s SELECT %u + i, %u, zeroblob(1000) FROM n",
            table, first, turn);
}

/* A thread takes them; whoever commits meanwhile helps. */
static unsigned write_until_taken(sqlite3 *db, const char *table) {
    unsigned turn = 0;
    while (figure(db, table, "checkpoints_by_themselves") < 2) {
        if (++turn > PATIENCE_MS) {
            test_fail("%s: no checkpoint", table);
        }
        write_rows(db, table, turn);
        (void)usleep(1000);
    }
    return turn;
}

static void due_by_bytes(struct world *world, const char *journal_mode) {
    sqlite3 *db = open_at(world);
    db_must(db, "PRAGMA journal_mode = %s", journal_mode);
    db_must(db,
            "CREATE VIRTUAL TABLE t USING faster(k PRIMARY KEY, n, v, " SMALL
            ", checkpoint_bytes='128KiB'); CREATE VIRTUAL TABLE d USING faster(k PRIMARY KEY, n, "
            "v, " SMALL ", checkpoint_bytes='128KiB', writes='direct')");
    const unsigned t_turns = write_until_taken(db, "t");
    const unsigned d_turns = write_until_taken(db, "d");
    want_int(db, 2, "SELECT value FROM faster_stats('t') WHERE name = 'checkpoint_cause'");
    want_int(db, 1, "SELECT count(*) > 0 FROM faster_checkpoints('t') WHERE index_number > 0");
    want_int(db, 1, "SELECT count(*) > 0 FROM faster_checkpoints('d') WHERE index_number > 0");
    want(db, "ok|ok", "SELECT faster_verify('t'), faster_verify('d')");
    /* What the thread has made superfluous goes with the next commit. */
    write_rows(db, "t", t_turns);
    want_int(db, 1, "SELECT min(number) > 1 FROM t_log");
    db_close(db);
    db = open_at(world);
    if (db_int(db, "SELECT count(*) FROM t WHERE n = %u", t_turns) != 100 ||
        db_int(db, "SELECT count(*) FROM d WHERE n = %u", d_turns) != 100) {
        test_fail("rows of the last turn are missing");
    }
    db_close(db);
}

static void checkpoints_are_due_by_bytes(struct world *world) {
    due_by_bytes(world, "WAL");
}

static void checkpoints_are_due_by_bytes_with_a_rollback_journal(struct world *world) {
    due_by_bytes(world, "DELETE");
}

/* The tables of one connection may all be closed while another one's are still open. */
static void last_close_takes_a_checkpoint_if_it_pays(struct world *world) {
    for (int pays = 0; pays < 2; pays++) {
        sqlite3 *db = open_at(world);
        sqlite3 *other = open_at(world);
        db_must(db, "CREATE VIRTUAL TABLE t USING faster(k PRIMARY KEY, n, v, " SMALL
                    ", checkpoint_bytes=0)");
        for (unsigned turn = 1; turn <= (pays ? 10u : 2u); turn++) {
            write_rows(db, "t", turn);
        }
        want_int(other, 100, "SELECT count(*) FROM t");
        db_close(db);
        want_int(other, 0, "SELECT count(*) FROM faster_checkpoints('t')");
        db_close(other);
        db = open_at(world);
        want_int(db, pays, "SELECT count(*) FROM faster_checkpoints('t')");
        want_int(db, 100, "SELECT count(*) FROM t");
        want_int(db, pays,
                 "SELECT value < 150 FROM faster_stats('t') WHERE name = 'recovered_records'");
        db_must(db, "BEGIN; SELECT count(*) FROM t; DROP TABLE t; COMMIT");
        db_close(db);
    }
}

static void triggers_can_be_set(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster(k PRIMARY KEY, n, v, checkpoint_interval=60)");
    want_int(db, 512 << 20, "SELECT faster_config('t', 'checkpoint_bytes')");
    want_int(db, 60, "SELECT faster_config('t', 'checkpoint_interval')");
    refused(db, SQLITE_ERROR, "64KiB to", "SELECT faster_config('t', 'checkpoint_bytes', 1)");
    refused(db, SQLITE_ERROR, "seconds", "SELECT faster_config('t', 'checkpoint_interval', '1KB')");
    db_must(db, "SELECT faster_config('t', 'checkpoint_bytes', '1MiB')");
    db_must(db, "SELECT faster_config('t', 'checkpoint_interval', 0)");
    db_close(db);
    db = open_at(world);
    want_int(db, 1 << 20, "SELECT faster_config('t', 'checkpoint_bytes')");
    want_int(db, 0, "SELECT faster_config('t', 'checkpoint_interval')");
    db_must(db, "SELECT faster_config('t', 'checkpoint_bytes', 0)");
    db_close(db);
    db = open_at(world);
    want_int(db, 0, "SELECT faster_config('t', 'checkpoint_bytes')");
    db_close(db);
}

const struct module_case module_checkpoints[] = {
    {"checkpoints_are_due_by_bytes", checkpoints_are_due_by_bytes},
    {"checkpoints_are_due_by_bytes_with_a_rollback_journal",
     checkpoints_are_due_by_bytes_with_a_rollback_journal},
    {"last_close_takes_a_checkpoint_if_it_pays", last_close_takes_a_checkpoint_if_it_pays},
    {"triggers_can_be_set", triggers_can_be_set},
    {NULL, NULL},
};
