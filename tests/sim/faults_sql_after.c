/* faults_sql_after.c - what must hold when nothing fails any more; see faults_sql.h. */
#include <inttypes.h>
#include <stdio.h>

#include "faults_sql.h"
#include "sim_run.h"
#include "sim_sqlite.h"
#include "sim_world.h"

#define COMMITS_AFTER 4u
#define ROWS_AFTER 5u
#define BYTES_AFTER 60u

static const struct sql_allowed nothing_fails;

/* ---- what is there ---- */

/* The direct table shows its writes, `low` of them at least, and from now on these. */
static void find_direct(struct faults_sql *life, uint32_t low) {
    struct direct_log *log = &life->direct;
    int64_t values[FAULTS_DIRECT_KEYS];

    for (uint32_t key = 0; key < FAULTS_DIRECT_KEYS; key++) {
        values[key] = sql_number(life->run.db, "SELECT v FROM d WHERE k = %u", key);
    }
    const uint32_t count = fsql_direct_prefix(log, values, low);
    CASES_CHECK(count != UINT32_MAX, low == log->acked_count ? "P3" : "P2",
                "the direct table has %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64
                ", not %" PRIu32 " to %" PRIu32 " of its writes",
                values[0], values[1], values[2], values[3], low, log->count);
    log->count = count;
}

/* Both kinds of table show one version, which is the only one from now on. */
static void find_version(struct faults_sql *life) {
    const int64_t version = sql_number(life->run.db, "SELECT version FROM v");

    CASES_CHECK(version >= (int64_t)life->acked && version <= (int64_t)life->possible, "P1",
                "version %" PRId64 " is there, not one of %" PRIu64 " to %" PRIu64, version,
                life->acked, life->possible);
    life->run.version = life->acked = life->possible = (uint64_t)version;
    sql_expect_same_tables(&life->run);
}

/* Also after a clean close, which keeps all; a direct store that is broken may lose something. */
static void find(struct faults_sql *life) {
    find_version(life);
    if (!life->run.is_self) {
        find_direct(life, life->is_direct_broken ? life->direct.acked_count : life->direct.count);
    }
}

static void expect_sound(const struct faults_sql *life) {
    sql_expect_sound(&life->run);
    if (!life->run.is_self) {
        sql_expect_text(life->run.db, "SELECT faster_verify('d')", "ok", "P4");
    }
}

void faults_sql_expect_closed(const struct faults_sql *life) {
    sim_world_expect_closed();
    CASES_CHECK(sim_sqlite_outstanding() == life->outstanding, "P7",
                "%" PRId64 " of SQLite's allocations are left",
                (int64_t)(sim_sqlite_outstanding() - life->outstanding));
}

/* ---- the connection that has met the fault ---- */

static bool put_one(struct faults_sql *life) {
    return fsql_put(life, 8, BYTES_AFTER);
}

static bool write_directly(struct faults_sql *life) {
    return life->run.is_self || (fsql_direct_write(life) && fsql_direct_commit(life));
}

/* A store that does not write once does not write until it is opened again. */
static void go_on(struct faults_sql *life, bool has_struck) {
    const bool is_final = life->allowed.is_final && has_struck;
    const bool may_break = life->allowed.breaking && has_struck;

    life->allowed = nothing_fails;
    life->allowed.codes = may_break ? 1u << SQLITE_IOERR : 0;
    const bool writes = fsql_transact(life, put_one);
    const bool writes_directly = write_directly(life);
    CASES_CHECK(!writes_directly || !is_final, "P5",
                "a commit that is acknowledged after a failed write or sync");
    if (!writes) {
        CASES_CHECK(!fsql_transact(life, put_one), "P5", "a store writes again");
        cases_add("broken", 1);
    }
    if (!writes_directly) {
        CASES_CHECK(!write_directly(life), "P5", "a direct store writes again");
        life->is_direct_broken = true;
        cases_add("broken direct", 1);
    }
    life->allowed = nothing_fails;
}

static void use_the_connection(struct faults_sql *life, bool has_struck) {
    const struct sql_allowed allowed = life->allowed;

    if (allowed.damage && has_struck && life->has_opened) {
        fsql_read_all(life); /* the store may know a part of its log only */
        fsql_close(life);
        return;
    }
    life->allowed = nothing_fails;
    fsql_roll_back(life);
    find(life);
    life->allowed = allowed;
    go_on(life, has_struck);
    find_version(life);
    fsql_close(life);
}

/* ---- the copy ---- */

/* One process has a pair or its original open, not both. */
static void check_copy(const struct faults_sql *life, uint64_t version) {
    struct sql_run copy = life->run;

    copy.db = sim_db_open("/copy", !copy.is_self);
    copy.version = version;
    sql_expect_same_tables(&copy);
    sql_expect_sound(&copy);
    sql_must(copy.db, "INSERT INTO both VALUES ('copy', 1)");
    sql_close(&copy);
    cases_add("copies", 1);
}

/* ---- the next connections ---- */

static void write_on(struct faults_sql *life) {
    life->run.version = life->last;
    for (uint32_t i = 0; i < COMMITS_AFTER; i++) {
        sql_insert_rows(&life->run, ROWS_AFTER, BYTES_AFTER);
        if (i == 0) {
            sql_expect_no_orphans(&life->run);
        }
    }
    life->acked = life->possible = life->last = life->run.version;
    (void)write_directly(life);
}

/* Closes. What was acknowledged without a fault survives, whatever a sync has lost before. */
static void reopen(struct faults_sql *life, bool cuts_power) {
    struct sim_image *image = NULL;

    if (cuts_power) {
        struct sim_cursor *cursor =
            sim_cursor_create(sim_world_disk(), sim_log_length(sim_world_disk()));
        image = sim_cursor_image(cursor, SIM_NOTHING, 0);
        sim_cursor_destroy(cursor);
    }
    fsql_close(life);
    faults_sql_expect_closed(life);
    if (cuts_power) {
        sim_world_life(image);
        sim_image_release(image);
        cases_add("power cuts", 1);
    }
    sql_open(&life->run);
    find(life);
}

void faults_sql_after(struct faults_sql *life, bool has_struck, bool cuts_power) {
    const uint64_t copied = life->acked;

    if (life->run.db != NULL) {
        use_the_connection(life, has_struck);
    } else {
        life->is_direct_broken = has_struck; /* nobody tells whether the last close failed */
    }
    life->allowed = nothing_fails;
    faults_sql_expect_closed(life);
    if (life->has_copy) {
        check_copy(life, copied);
    }
    sql_open(&life->run);
    find(life);
    life->is_direct_broken = false;
    life->direct.acked_count = life->direct.count;
    write_on(life);
    reopen(life, cuts_power);
    expect_sound(life);
    fsql_close(life);
    faults_sql_expect_closed(life);
}
