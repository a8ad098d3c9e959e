/* faults_sql_phases.c - the parts of a database's life, and what they begin with; see
 * faults_sql.h. */
#include "faults_sql.h"

#include <stdio.h>
#include <string.h>

#include "sim_run.h"
#include "sim_sqlite.h"
#include "sim_world.h"

#define SMALL_BYTES 60u
#define LARGE_BYTES 5000u /* more than a row carries */
#define LOAD_ROWS 40u
#define LOAD_BYTES 1500u
#define IMAGE_SEED 1000000u /* no case's, whose stores need other numbers */

static const struct mode {
    const char *name;
    const char *journal_mode;
    const char *synchronous;
} modes[] = {
    {"wal", "WAL", "FULL"},
    {"delete", "DELETE", "EXTRA"},
    {"persist", "PERSIST", "FULL"},
};
#define MODES (sizeof modes / sizeof modes[0])

/* What a phase begins with. */
struct beginning {
    struct sim_image *image;
    struct faults_sql life; /* closed */
};
static struct beginning closed[MODES];
static struct beginning killed[MODES]; /* in a transaction that has written to the disk */

/* ---- bodies of transactions ---- */

static bool put_two(struct faults_sql *life) {
    return fsql_put(life, 1, SMALL_BYTES) && fsql_put(life, 2, SMALL_BYTES);
}

static bool put_large(struct faults_sql *life) {
    return fsql_put(life, 3, LARGE_BYTES);
}

static bool update_and_delete(struct faults_sql *life) {
    return fsql_put(life, 1, SMALL_BYTES) && fsql_delete(life, 2);
}

static bool load(struct faults_sql *life) {
    for (uint32_t i = 0; i < LOAD_ROWS; i++) {
        if (!fsql_put(life, i, LOAD_BYTES)) {
            return false;
        }
    }
    return true;
}

static bool put_and_undo(struct faults_sql *life) {
    (void)(fsql_put(life, 5, LOAD_BYTES) && fsql_delete(life, 1) && fsql_put(life, 6, LARGE_BYTES));
    return false;
}

/* It fails in any case, so that it is undone. */
static bool with_savepoint(struct faults_sql *life) {
    if (!fsql_put(life, 4, SMALL_BYTES)) {
        return false;
    }
    (void)fsql_in_savepoint(life, put_and_undo);
    return sqlite3_get_autocommit(life->run.db) == 0 && fsql_put(life, 7, SMALL_BYTES);
}

#define OPTIONS "memory='1MiB', page_size='16KiB'"

static bool create_table(struct faults_sql *life) {
    return fsql_run(life, life->run.is_self
                              ? "CREATE TABLE g2(k TEXT PRIMARY KEY, v) WITHOUT ROWID"
                              : "CREATE VIRTUAL TABLE g2 USING faster(k TEXT PRIMARY KEY, "
                                "v, " OPTIONS ")") &&
           fsql_run(life, "INSERT INTO g2 VALUES ('new', %u)", life->run.next_value) &&
           fsql_run(life, "INSERT INTO og VALUES (2, 'new', %u)", life->run.next_value++);
}

static bool drop_table(struct faults_sql *life) {
    return fsql_run(life, "DROP TABLE g1") && fsql_run(life, "DELETE FROM og WHERE n = 1");
}

static bool rename_table(struct faults_sql *life) {
    return fsql_run(life, "ALTER TABLE g1 RENAME TO g7") &&
           fsql_run(life, "UPDATE og SET n = 7 WHERE n = 1") &&
           fsql_run(life, "INSERT INTO g7 VALUES ('new', %u)", life->run.next_value) &&
           fsql_run(life, "INSERT INTO og VALUES (7, 'new', %u)", life->run.next_value++);
}

static bool create_whole(struct faults_sql *life) {
    return fsql_in_savepoint(life, create_table);
}

static bool drop_whole(struct faults_sql *life) {
    return fsql_in_savepoint(life, drop_table);
}

static bool rename_whole(struct faults_sql *life) {
    return fsql_in_savepoint(life, rename_table);
}

/* ---- phases ---- */

/* The second attempt comes after a fault that strikes once. */
static void run_open(struct faults_sql *life) {
    for (int i = 0; i < 2; i++) {
        if (fsql_open(life)) {
            fsql_read_all(life);
            (void)fsql_transact(life, put_two);
            if (i == 0) {
                fsql_close(life);
            }
        }
    }
}

static void run_read(struct faults_sql *life) {
    for (int i = 0; i < 2; i++) {
        if (fsql_open(life)) {
            fsql_read_all(life);
            if (i == 0) {
                fsql_close(life);
            }
        }
    }
}

static void run_commit(struct faults_sql *life) {
    (void)fsql_transact(life, put_two);
    (void)fsql_transact(life, put_large);
    (void)fsql_transact(life, update_and_delete);
    fsql_read_all(life);
}

static void run_load(struct faults_sql *life) {
    (void)fsql_transact(life, load);
    fsql_read_all(life);
}

static void run_savepoint(struct faults_sql *life) {
    (void)fsql_transact(life, with_savepoint);
    (void)fsql_transact(life, put_two);
}

static void run_rollback(struct faults_sql *life) {
    if (fsql_begin(life)) {
        (void)load(life);
        fsql_roll_back(life);
    }
    (void)fsql_transact(life, put_large);
}

static void run_checkpoint(struct faults_sql *life) {
    (void)fsql_transact(life, put_large);
    if (!life->run.is_self) {
        (void)fsql_run(life, "INSERT INTO f(f) VALUES ('checkpoint')");
        (void)fsql_transact(life, put_two);
        (void)fsql_run(life, "SELECT faster_checkpoint('f', 'fold-over', 'copy')");
        (void)fsql_run(life, "SELECT faster_checkpoint('d', 'fold-over', 'copy')");
    }
    if (sql_is_wal(life->run.config)) {
        (void)fsql_run(life, "PRAGMA wal_checkpoint(TRUNCATE)");
    }
    (void)fsql_transact(life, put_two);
}

static void run_close(struct faults_sql *life) {
    (void)fsql_transact(life, put_two);
    if (!life->run.is_self) {
        (void)fsql_direct_write(life);
    }
    fsql_close(life);
}

static void run_create(struct faults_sql *life) {
    (void)fsql_transact(life, create_whole);
    (void)fsql_transact(life, put_two);
}

static void run_drop(struct faults_sql *life) {
    (void)fsql_transact(life, drop_whole);
    (void)fsql_transact(life, put_two);
}

static void run_rename(struct faults_sql *life) {
    (void)fsql_transact(life, rename_whole);
    (void)fsql_transact(life, put_two);
}

static void run_direct(struct faults_sql *life) {
    for (int i = 0; !life->run.is_self && i < 3; i++) {
        (void)fsql_direct_write(life);
        (void)fsql_direct_write(life);
        (void)fsql_direct_commit(life);
    }
}

static void run_backup(struct faults_sql *life) {
    life->has_copy = fsql_run(life, "VACUUM INTO '/copy'") &&
                     (life->run.is_self ||
                      (fsql_run(life, "SELECT faster_backup('f', '/copy-faster', '/copy')") &&
                       fsql_run(life, "SELECT faster_backup('g1', '/copy-faster', '/copy')") &&
                       fsql_run(life, "SELECT faster_backup('d', '/copy-faster', '/copy')")));
}

static const struct faults_sql_phase phases[] = {
    {.name = "commit", .run = run_commit},
    {.name = "load", .run = run_load},
    {.name = "savepoint", .run = run_savepoint},
    {.name = "rollback", .run = run_rollback},
    {.name = "checkpoint", .run = run_checkpoint},
    {.name = "create", .run = run_create},
    {.name = "drop", .run = run_drop},
    {.name = "rename", .run = run_rename},
    {.name = "direct", .is_direct = true, .run = run_direct},
    {.name = "backup", .run = run_backup},
    {.name = "close", .run = run_close},
    {.name = "read", .begins_closed = true, .only_reads = true, .run = run_read},
    {.name = "open", .begins_closed = true, .begins_killed = true, .run = run_open},
};
#define PHASES (sizeof phases / sizeof phases[0])

unsigned faults_sql_phase_count(void) {
    return PHASES * MODES;
}

const struct faults_sql_phase *faults_sql_phase(unsigned number) {
    return &phases[number / MODES];
}

const char *faults_sql_phase_name(unsigned number) {
    static char name[32];

    (void)snprintf(name, sizeof name, "%s-%s", phases[number / MODES].name,
                   modes[number % MODES].name);
    return name;
}

/* ---- beginnings ---- */

static void keep(struct beginning *beginning, const struct faults_sql *life) {
    beginning->image = sim_disk_image(sim_world_disk());
    beginning->life = *life;
    beginning->life.run.db = NULL;
}

static const struct sql_config *config_of(const struct mode *mode) {
    uint32_t number = 0;

    while (strcmp(sql_config(number)->journal_mode, mode->journal_mode) != 0 ||
           strcmp(sql_config(number)->synchronous, mode->synchronous) != 0) {
        number++;
    }
    return sql_config(number);
}

static void make_closed(unsigned mode, bool is_self) {
    struct faults_sql life = {
        .run = {.config = config_of(&modes[mode]), .is_self = is_self, .next_value = 1},
        .direct = {.first = {0, 1, 2, 3}, .next_number = FAULTS_DIRECT_KEYS},
    };

    sim_world_life(NULL);
    sql_create(&life.run);
    sql_open(&life.run);
    sql_must(life.run.db,
             "CREATE VIEW both AS SELECT k, v FROM o;"
             "CREATE TRIGGER both_insert INSTEAD OF INSERT ON both BEGIN"
             "  REPLACE INTO o VALUES (new.k, new.v); REPLACE INTO f VALUES (new.k, new.v); END;"
             "CREATE TRIGGER both_delete INSTEAD OF DELETE ON both BEGIN"
             "  DELETE FROM o WHERE k = old.k; DELETE FROM f WHERE k = old.k; END");
    life.acked = life.possible = life.last = life.run.version;
    (void)fsql_transact(&life, put_two);
    fsql_close(&life);
    keep(&closed[mode], &life);
}

/* With a copy of the index, commits after it, and pages of a transaction in the files. */
static void make_killed(unsigned mode) {
    struct faults_sql life = closed[mode].life;

    sim_world_life(closed[mode].image);
    (void)fsql_open(&life);
    (void)fsql_transact(&life, load);
    run_checkpoint(&life);
    (void)fsql_transact(&life, put_large);
    run_direct(&life);
    sql_must(life.run.db, "PRAGMA cache_size = 2; BEGIN IMMEDIATE");
    (void)load(&life);
    keep(&killed[mode], &life);
    sql_must(life.run.db, "ROLLBACK");
    fsql_close(&life);
}

void faults_sql_make_images(bool is_self) {
    for (unsigned mode = 0; mode < MODES; mode++) {
        sim_world_case(IMAGE_SEED + mode, SIM_IN_ORDER);
        make_closed(mode, is_self);
        make_killed(mode);
    }
}

void faults_sql_forget_images(void) {
    for (unsigned mode = 0; mode < MODES; mode++) {
        sim_image_release(closed[mode].image);
        sim_image_release(killed[mode].image);
    }
}

/* An open connection has met all tables, so that what fails is what the phase is about. */
void faults_sql_begin(struct faults_sql *life, unsigned number) {
    const struct faults_sql_phase *phase = faults_sql_phase(number);
    const struct beginning *beginning =
        phase->begins_killed ? &killed[number % MODES] : &closed[number % MODES];

    *life = beginning->life;
    life->has_opened = phase->begins_closed;
    life->outstanding = sim_sqlite_outstanding();
    sim_world_life(beginning->image);
    if (!phase->begins_closed) {
        (void)fsql_open(life);
        fsql_read_all(life);
    }
}
