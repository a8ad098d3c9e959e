/* test_sim_sql.c - SQLite and the extension in a simulated world.
 *
 * Strategy: in each journal mode two connections, as two fibres, write an ordinary and a FASTER
 * table in transactions and read both. The same seed writes the same log; locks exclude as SQLite's
 * own do; what was committed is there after a power cut, in a new life; what SQLite allocated is
 * given back. test_sim_world.c is the same for the engine alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_crash.h"
#include "sim_sqlite.h"
#include "sim_world.h"

#define EXPECT(condition) expect((condition), #condition, __LINE__)
#define DATABASE "/db"
#define COMMITS 6

static unsigned checked;

static void expect(bool is_true, const char *what, int line) {
    checked++;
    if (!is_true) {
        sim_fail("line %d: %s", line, what);
    }
}

static void must(sqlite3 *db, const char *sql) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        sim_fail("%s: %s", sql, sqlite3_errmsg(db));
    }
}

static int64_t number_of(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    int64_t number = -1;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        sim_fail("%s: %s", sql, sqlite3_errmsg(db));
    }
    number = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return number;
}

static void set_up(const char *journal_mode, const char *synchronous) {
    sqlite3 *db = sim_db_open(DATABASE, true);
    char *sql = sqlite3_mprintf("PRAGMA journal_mode = %s; PRAGMA synchronous = %s;", journal_mode,
                                synchronous);

    must(db, sql);
    sqlite3_free(sql);
    must(db, "CREATE TABLE o(k PRIMARY KEY, v); "
             "CREATE VIRTUAL TABLE f USING faster(k TEXT PRIMARY KEY, v)");
    sim_db_close(db);
}

struct client {
    const char *name;
    unsigned busy; /* how often COMMIT had to be repeated */
};

static void client_run(void *context) {
    struct client *client = context;
    sqlite3 *db = sim_db_open(DATABASE, true);

    must(db, "PRAGMA synchronous = EXTRA");
    for (int i = 0; i < COMMITS; i++) {
        char *sql = sqlite3_mprintf("BEGIN IMMEDIATE; INSERT INTO o VALUES ('%s%d', %d); "
                                    "INSERT INTO f VALUES ('%s%d', %d)",
                                    client->name, i, i, client->name, i, i);
        must(db, sql);
        sqlite3_free(sql);
        while (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
            EXPECT(sqlite3_errcode(db) == SQLITE_BUSY);
            client->busy++;
        }
        EXPECT(number_of(db, "SELECT (SELECT count(*) FROM o) = (SELECT count(*) FROM f)") == 1);
    }
    sim_db_close(db);
}

static void two_clients(void) {
    struct client clients[2] = {{"a", 0}, {"b", 0}};
    struct sim_fibre *fibres[2];

    for (unsigned i = 0; i < 2; i++) {
        fibres[i] = sim_start(client_run, &clients[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        sim_join(fibres[i]);
    }
}

static void expect_rows(int64_t count) {
    sqlite3 *db = sim_db_open(DATABASE, true);

    EXPECT(number_of(db, "SELECT count(*) FROM o") == count);
    EXPECT(number_of(db, "SELECT count(*) FROM f") == count);
    EXPECT(number_of(db, "SELECT count(*) FROM o JOIN f ON f.k = o.k AND f.v = o.v") == count);
    EXPECT(number_of(db, "SELECT faster_verify('f') = 'ok'") == 1);
    sim_db_close(db);
}

/* The run of one seed, and what a power cut leaves of it. */
static uint64_t run_once(const char *journal_mode, uint64_t seed, enum sim_policy policy) {
    struct sim_disk *disk;
    struct sim_cursor *cursor;
    struct sim_image *image = NULL;
    uint64_t hash;

    sim_world_begin(seed, policy);
    set_up(journal_mode, "EXTRA");
    two_clients();
    disk = sim_world_take_disk();
    hash = sim_log_hash(disk);
    cursor = sim_cursor_create(disk, 0);
    while (sim_cursor_next(cursor)) {
        sim_image_release(image);
        image = sim_cursor_image(cursor, SIM_NOTHING, 0);
    }
    sim_world_case(seed, SIM_IN_ORDER);
    sim_world_life(image);
    expect_rows((int64_t)2 * COMMITS);
    sim_world_expect_closed();
    sim_image_release(image);
    sim_cursor_destroy(cursor);
    sim_disk_destroy(disk);
    sim_world_end();
    return hash;
}

static void the_same_seed_writes_the_same_log(const char *journal_mode) {
    const uint64_t in_order = run_once(journal_mode, 1, SIM_IN_ORDER);
    const uint64_t drawn = run_once(journal_mode, 1, SIM_DRAWN);

    EXPECT(in_order == run_once(journal_mode, 1, SIM_IN_ORDER));
    EXPECT(drawn == run_once(journal_mode, 1, SIM_DRAWN));
    EXPECT(drawn != run_once(journal_mode, 2, SIM_DRAWN));
}

/* The primary result code. */
static int run(sqlite3 *db, const char *sql) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL) & 0xff;
}

static void locks_exclude_in_a_rollback_journal(void) {
    sqlite3 *one;
    sqlite3 *two;

    sim_world_begin(1, SIM_IN_ORDER);
    set_up("DELETE", "FULL");
    one = sim_db_open(DATABASE, true);
    two = sim_db_open(DATABASE, true);
    sqlite3_busy_timeout(one, 5);
    sqlite3_busy_timeout(two, 5);
    must(one, "BEGIN IMMEDIATE; INSERT INTO o VALUES ('x', 1)");
    EXPECT(run(two, "BEGIN IMMEDIATE") == SQLITE_BUSY);
    must(two, "BEGIN; SELECT * FROM o");
    EXPECT(run(one, "COMMIT") == SQLITE_BUSY); /* a reader is there; PENDING is held */
    must(two, "COMMIT");
    EXPECT(run(two, "SELECT * FROM o") == SQLITE_BUSY);
    must(one, "COMMIT");
    EXPECT(number_of(two, "SELECT count(*) FROM o") == 1);
    sim_db_close(one);
    sim_db_close(two);
    sim_world_end();
}

static void readers_see_their_snapshot_in_wal_mode(void) {
    sqlite3 *one;
    sqlite3 *two;

    sim_world_begin(1, SIM_IN_ORDER);
    set_up("WAL", "NORMAL");
    one = sim_db_open(DATABASE, true);
    two = sim_db_open(DATABASE, true);
    must(two, "BEGIN; SELECT count(*) FROM o");
    must(one, "INSERT INTO o VALUES ('x', 1); INSERT INTO f VALUES ('x', 1)");
    EXPECT(number_of(two, "SELECT (SELECT count(*) FROM o) + (SELECT count(*) FROM f)") == 0);
    sqlite3_busy_timeout(two, 5);
    EXPECT(run(two, "INSERT INTO o VALUES ('y', 1)") == SQLITE_BUSY); /* SNAPSHOT */
    must(two, "COMMIT");
    EXPECT(number_of(two, "SELECT (SELECT count(*) FROM o) + (SELECT count(*) FROM f)") == 2);
    sim_db_close(one);
    sim_db_close(two);
    sim_world_end();
}

static void allocations_fail_on_request(void) {
    sim_world_begin(1, SIM_IN_ORDER);
    set_up("DELETE", "OFF");
    for (uint64_t nth = 1;; nth++) {
        sqlite3 *db = sim_db_open(DATABASE, true);
        int rc;
        sim_sqlite_fail_allocation(nth, false);
        rc = run(db, "SELECT count(*) FROM f");
        EXPECT(rc == SQLITE_OK || rc == SQLITE_NOMEM);
        if (!sim_sqlite_failed()) {
            sim_db_close(db);
            break;
        }
        sim_sqlite_fail_allocation(0, false);
        EXPECT(run(db, "SELECT count(*) FROM f") == SQLITE_OK);
        sim_db_close(db);
    }
    sim_sqlite_fail_allocation(0, false);
    sim_world_end();
}

/* A COMMIT whose sync of the log fails, and loses what it was to write: what it has prepared is
 * kept by the next process, which must not build on pages that only the cache has. */
static void a_lost_sync_of_a_failed_commit_is_made_up_for(void) {
    const struct sim_fault lost = {.calls = 1u << SIM_CALL_SYNC,
                                   .files = SIM_FILE_SEGMENT,
                                   .first = 1,
                                   .times = 1,
                                   .effect = SIM_EIO_LOST};
    struct sim_disk *disk;
    struct sim_cursor *cursor;
    struct sim_image *image;
    sqlite3 *db;

    sim_world_begin(1, SIM_IN_ORDER);
    db = sim_db_open(DATABASE, true);
    must(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE o(k, v);"
             "CREATE VIRTUAL TABLE f USING faster(k TEXT PRIMARY KEY, v, inline_commit = '0');"
             "INSERT INTO f VALUES ('a', hex(zeroblob(5000)))");
    sim_fault_arm(&lost);
    EXPECT(run(db, "INSERT INTO f VALUES ('b', hex(zeroblob(5000)))") == SQLITE_IOERR);
    EXPECT(sim_fault_fired() == 1);
    sim_fault_arm(NULL);
    sim_db_close(db);
    db = sim_db_open(DATABASE, true);
    must(db, "PRAGMA synchronous = FULL; INSERT INTO f VALUES ('c', hex(zeroblob(5000)))");
    disk = sim_world_take_disk();
    cursor = sim_cursor_create(disk, sim_log_length(disk));
    image = sim_cursor_image(cursor, SIM_NOTHING, 0);
    sim_db_close(db);
    sim_world_life(image);
    db = sim_db_open(DATABASE, true);
    EXPECT(number_of(db, "SELECT count(*) FROM f WHERE k IN ('a', 'c')") == 2);
    EXPECT(number_of(db, "SELECT count(*) FROM f") == 2);
    EXPECT(number_of(db, "SELECT faster_verify('f') = 'ok'") == 1);
    sim_db_close(db);
    sim_image_release(image);
    sim_cursor_destroy(cursor);
    sim_disk_destroy(disk);
    sim_world_end();
}

int main(void) {
    static const char *const modes[] = {"WAL", "DELETE", "TRUNCATE", "PERSIST"};
    uint64_t outstanding;

    sim_sqlite_begin();
    outstanding = sim_sqlite_outstanding();
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        the_same_seed_writes_the_same_log(modes[i]);
    }
    locks_exclude_in_a_rollback_journal();
    readers_see_their_snapshot_in_wal_mode();
    allocations_fail_on_request();
    a_lost_sync_of_a_failed_commit_is_made_up_for();
    EXPECT(sim_sqlite_outstanding() == outstanding);
    printf("test_sim_sql: %u checks: ok\n", checked);
    return EXIT_SUCCESS;
}
