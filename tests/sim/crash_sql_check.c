/* crash_sql_check.c - what must hold after a crash; see crash_sql.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crash_sql.h"
#include "sim_disk.h"
#include "sim_run.h"
#include "sim_world.h"

/* A state costs most in opening the database, so that only each so-maniest state, and each after a
 * kill, is opened a second time, and a third one after it was written to. */
#define GOES_ON_ONE_IN 4u
#define WRITE_COMMITS 4u
#define WRITE_ROWS 5u
#define WRITE_VALUE_BYTES 60u
#define STORES_DIRECTORY SQL_DATABASE "-faster"

/* ---- what may be left ---- */

static struct case_range direct_range(const struct sim_disk *disk, uint64_t position) {
    struct case_range range = {cases_newest_mark(disk, position, SQL_MARK_DIRECT_ACK),
                               cases_newest_mark(disk, position, SQL_MARK_DIRECT_TRY)};

    range.high = range.high > range.low ? range.high : range.low;
    return range;
}

struct sql_expected sql_expected_at(const struct sql_run *recorded, const struct sim_disk *disk,
                                    uint64_t position, enum sim_variant variant) {
    struct sql_expected expected = {cases_acceptable(disk, position), direct_range(disk, position)};
    const uint64_t safe = cases_newest_mark(disk, position, MARK_SAFE);
    const enum sql_promise promise = recorded->config->promise;
    uint64_t *low = &expected.versions.low;

    if (variant == SIM_KILL || promise == SQL_KEEPS_ALL) {
        return expected;
    }
    if (promise == SQL_KEEPS_ALL_BUT_LAST) {
        *low = *low > safe ? *low - 1 : *low;
    } else {
        *low = safe;
    }
    return expected;
}

/* ---- content ---- */

static int print_row(void *context, int count, char **values, char **names) {
    (void)names;
    fprintf(stderr, "  %s", (const char *)context);
    for (int i = 0; i < count; i++) {
        fprintf(stderr, " %.24s", values[i] == NULL ? "NULL" : values[i]);
    }
    fprintf(stderr, "\n");
    return 0;
}

/* For the report of a failure. */
static void print_difference(const struct sql_run *run) {
    static char only_f[] = "only in f:";
    static char only_o[] = "only in o:";
    static char rows[] = "rows of f:";

    (void)sqlite3_exec(run->db, "SELECT k, v FROM f EXCEPT SELECT k, v FROM o", print_row, only_f,
                       NULL);
    (void)sqlite3_exec(run->db, "SELECT k, v FROM o EXCEPT SELECT k, v FROM f", print_row, only_o,
                       NULL);
    (void)sqlite3_exec(run->db, "SELECT *, length(redo) FROM f_log", print_row, rows, NULL);
}

void sql_expect_same_tables(const struct sql_run *run) {
    const bool is_same = sql_faster_content(run) == run->contents[run->version];

    if (!is_same) {
        print_difference(run);
    }

    CASES_CHECK(sql_ordinary_content(run) == run->contents[run->version], "P1",
                "the ordinary tables are not what version %" PRIu64 " was", run->version);
    CASES_CHECK(is_same, "P1", "a FASTER table differs from its twin, version %" PRIu64,
                run->version);
    CASES_CHECK(sql_number(run->db, "SELECT count(*) FROM o LEFT JOIN f ON f.k = o.k "
                                    "WHERE f.v IS NOT o.v") == 0,
                "P1", "a lookup shows something else than a scan, version %" PRIu64, run->version);
}

void sql_expect_sound(const struct sql_run *run) {
    sql_expect_text(run->db, "PRAGMA integrity_check", "ok", "P1");
    if (!run->is_self) {
        sql_expect_text(run->db, "SELECT faster_verify('f')", "ok", "P4");
    }
}

static void check_direct(struct sql_run *run, struct case_range range) {
    if (!run->is_self) {
        const int64_t version = sql_number(run->db, "SELECT v FROM d WHERE k = 0");
        CASES_CHECK(version >= (int64_t)range.low && version <= (int64_t)range.high, "P3",
                    "the direct table has version %" PRId64 ", not one of %" PRIu64 " to %" PRIu64,
                    version, range.low, range.high);
        run->direct_version = (uint64_t)version;
        CASES_CHECK(sql_direct_content(run) == run->direct_contents[version], "P2",
                    "the direct table is not what its version %" PRId64 " was", version);
    }
}

/* What is there becomes the run's version. */
static void check_content(struct sql_run *run, const struct sql_expected *expected) {
    const struct case_range range = expected->versions;
    const int64_t version = sql_number(run->db, "SELECT version FROM v");

    CASES_CHECK(version >= (int64_t)range.low && version <= (int64_t)range.high, "P1",
                "version %" PRId64 " was recovered, not one of %" PRIu64 " to %" PRIu64, version,
                range.low, range.high);
    run->version = (uint64_t)version;
    sql_expect_same_tables(run);
    check_direct(run, expected->direct_versions);
}

/* ---- stores that no table has ---- */

struct orphans {
    const struct sql_run *run;
    unsigned checked;
};

static bool has_table(const struct sql_run *run, const char *uuid) {
    sqlite3_stmt *names = NULL;
    bool is_found = false;

    (void)sqlite3_prepare_v2(run->db, "SELECT name FROM sqlite_master WHERE name GLOB '*_config'",
                             -1, &names, NULL);
    while (!is_found && sqlite3_step(names) == SQLITE_ROW) {
        is_found =
            sql_number(run->db, "SELECT count(*) FROM %s WHERE name = 'uuid' AND value = '%s'",
                       (const char *)sqlite3_column_text(names, 0), uuid) > 0;
    }
    (void)sqlite3_finalize(names);
    return is_found;
}

static bool check_orphan(void *context, const char *name) {
    struct orphans *orphans = context;
    struct sim_info info;
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s/unsettled", STORES_DIRECTORY, name);
    CASES_CHECK(sim_path_info(SIM_SQLITE, path, &info) != SIM_OK || has_table(orphans->run, name),
                "P1", "store %s is marked, has no table, and stays", name);
    orphans->checked++;
    return true;
}

/* The first write has removed the stores of tables that a crash has undone. */
void sql_expect_no_orphans(const struct sql_run *run) {
    struct orphans orphans = {.run = run};

    (void)sim_directory_list(SIM_SQLITE, STORES_DIRECTORY, check_orphan, &orphans);
    CASES_CHECK(run->is_self || orphans.checked > 0, "P1", "there is no store at all");
}

/* ---- a state ---- */

static void reopen(struct sql_run *run) {
    sql_close(run);
    sql_open(run);
}

static struct sql_expected exactly(const struct sql_run *run) {
    return (struct sql_expected){{run->version, run->version},
                                 {run->direct_version, run->direct_version}};
}

static void write_on(struct sql_run *run) {
    for (uint32_t i = 0; i < WRITE_COMMITS; i++) {
        sql_insert_rows(run, WRITE_ROWS, WRITE_VALUE_BYTES);
        if (i == 0) {
            sql_expect_no_orphans(run);
        }
    }
    sql_operate(run, 11); /* the direct table */
}

/* The process that came after a kill loses its power: what it has acknowledged covers what it found
 * in the system's cache, too. Closes. */
static void cut_power_after_kill(struct sql_run *run, uint64_t draw) {
    struct sim_disk *disk = sim_world_take_disk();
    const uint64_t position = sim_log_length(disk);
    struct sql_expected expected = exactly(run);
    struct sim_cursor *cursor;
    struct sim_image *image;

    sql_close(run);
    if (run->config->promise == SQL_KEEPS_ALL) {
        cursor = sim_cursor_create(disk, position);
        image = sim_cursor_image(cursor, (enum sim_variant)(draw % SIM_VARIANTS), draw);
        sim_world_life(image);
        sql_open(run);
        check_content(run, &expected);
        sql_expect_sound(run);
        sql_close(run);
        sim_image_release(image);
        sim_cursor_destroy(cursor);
        sim_world_life(NULL); /* the disk below is not mounted any more */
    }
    sim_disk_destroy(disk);
}

/* Opened again, it shows the same, and takes more. Closes. */
static void go_on(struct sql_run *run, enum sim_variant variant, uint64_t draw) {
    struct sql_expected found = exactly(run);

    reopen(run);
    check_content(run, &found);
    write_on(run);
    if (variant == SIM_KILL) {
        cut_power_after_kill(run, draw);
        return;
    }
    found = exactly(run);
    reopen(run);
    check_content(run, &found);
    sql_close(run);
}

void sql_check_state(const struct sql_run *recorded, const struct sim_image *image,
                     enum sim_variant variant, uint64_t draw, const struct sql_expected *expected) {
    struct sql_run run = *recorded;

    run.db = run.reader = NULL;
    run.random = draw;
    run.next_value = recorded->next_value + 10000;
    sim_world_case(draw, SIM_IN_ORDER);
    sim_world_life(image);
    sql_open(&run);
    check_content(&run, expected);
    sql_expect_sound(&run);
    if (variant == SIM_KILL || draw % GOES_ON_ONE_IN == 0) {
        go_on(&run, variant, draw);
        cases_add("written on", 1);
    } else {
        sql_close(&run);
    }
    sim_world_expect_closed();
}
