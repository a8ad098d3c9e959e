/* simulate_sql.c - databases with FASTER tables live and crash, all drawn from a seed (P1-P7, P9).
 *
 * Strategy: a seed is a database of some configuration and three to five lives. In each, one to
 * four clients, fibres with a connection of their own, run transactions over an ordinary and a
 * FASTER table, create and drop FASTER tables, write a direct table, compare, take checkpoints with
 * and without a copy of the index, and reopen their connection;
 * who goes on, and how long the device takes, is drawn. In half of the lives calls to the disk
 * fail, or it gets full. Then a crash: a moment of the life and what it leaves are drawn, and the
 * next life goes on from that.
 *
 * Invariants: without faults every statement succeeds (but for BUSY); with them, what succeeds is
 * true. A reader sees one version of both tables. After the clients have closed, and after each
 * crash, without faults: everything opens; both kinds of table hold the same version, whole, of
 * those that may be left; the direct table has, of each client, a prefix of its writes, with all
 * that a commit covered; verify and integrity_check find nothing; it takes a commit. One seed of a
 * hundred runs twice, and both runs write the same log.
 *
 * A client's nth write to the direct table puts n under its key n modulo 4: so its keys tell which
 * of its writes are there.
 *
 * --self runs the same with ordinary tables in place of FASTER ones: what fails there is SQLite's
 * own behaviour.
 *
 * Replay: simulate_sql --replay SEED.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "device_sim.h"
#include "simulate_sql.h"

#include "sim_run.h"
#include "sim_sqlite.h"
#include "sim_world.h"

#define QUICK_SEEDS 700u
#define LIVES_MIN 3u
#define LIVES_MORE 3u /* fewer than so many more */
#define OPERATIONS_MIN 20u
#define OPERATIONS_MORE 60u
#define LATENCY_NS_MAX 1000000u
#define TWICE_ONE_IN 100u

static bool is_self;
static struct cases cases = {.program = "simulate_sql", .count = QUICK_SEEDS};

/* What a crash may leave, and what is known of it when a life begins. */
struct left {
    uint64_t acked;
    uint64_t before_acked; /* the one acknowledged before that */
    uint64_t safe;
    uint64_t tried;
    uint64_t direct_acked[SIM_SQL_CLIENTS_MAX];
    uint64_t direct_tried[SIM_SQL_CLIENTS_MAX];
};

/* ---- marks ---- */

#define BEGIN_MARKS (4u + 2u * SIM_SQL_CLIENTS_MAX)

static void write_marks(const struct left *left) {
    sim_mark(MARK_TRY, left->tried);
    sim_mark(MARK_ACK, left->before_acked);
    sim_mark(MARK_ACK, left->acked);
    sim_mark(MARK_SAFE, left->safe);
    for (uint64_t i = 0; i < SIM_SQL_CLIENTS_MAX; i++) {
        sim_mark(SIM_SQL_DIRECT_TRY, i << 32 | left->direct_tried[i]);
        sim_mark(SIM_SQL_DIRECT_ACK, i << 32 | left->direct_acked[i]);
    }
}

/* Every mark before a boundary, in order: the last one of each kind counts. */
static struct left read_marks(const struct sim_disk *disk, uint64_t position) {
    struct left left = {0};

    for (uint64_t i = 1; i <= position; i++) {
        uint32_t kind;
        uint64_t number;
        if (!sim_log_mark(disk, i, &kind, &number)) {
            continue;
        }
        if (kind == MARK_TRY) {
            left.tried = number;
        } else if (kind == MARK_ACK) {
            left.before_acked = left.acked;
            left.acked = number;
        } else if (kind == MARK_SAFE) {
            left.safe = number;
        } else if (kind == SIM_SQL_DIRECT_TRY) {
            left.direct_tried[number >> 32] = number & UINT32_MAX;
        } else if (kind == SIM_SQL_DIRECT_ACK) {
            left.direct_acked[number >> 32] = number & UINT32_MAX;
        }
    }
    return left;
}

static uint64_t lowest(const struct sql_config *config, const struct left *left,
                       enum sim_variant variant) {
    if (variant == SIM_KILL || config->promise == SQL_KEEPS_ALL) {
        return left->acked;
    }
    if (config->promise == SQL_KEEPS_ALL_BUT_LAST) {
        return left->before_acked > left->safe ? left->before_acked : left->safe;
    }
    return left->safe;
}

/* ---- checks ---- */

static uint64_t direct_value(const struct sql_run *run, uint32_t key) {
    const int64_t value = sql_number(run->db, "SELECT v FROM d WHERE k = %u", key);

    return value < 0 ? 0 : (uint64_t)value;
}

/* The client's writes that are there, a prefix of all. */
static uint64_t check_direct(const struct sql_run *run, uint32_t client, uint64_t low,
                             uint64_t high) {
    const uint32_t first = client * SIM_SQL_DIRECT_KEYS;
    uint64_t newest = 0;

    for (uint32_t i = 0; i < SIM_SQL_DIRECT_KEYS; i++) {
        const uint64_t value = direct_value(run, first + i);
        newest = value > newest ? value : newest;
    }
    CASES_CHECK(newest >= low && newest <= high, "P3",
                "client %u has %" PRIu64 " writes in the direct table, not %" PRIu64 " to %" PRIu64,
                client, newest, low, high);
    for (uint64_t back = 0; back < SIM_SQL_DIRECT_KEYS && back < newest; back++) {
        const uint64_t number = newest - back;
        const uint32_t key = first + (uint32_t)(number % SIM_SQL_DIRECT_KEYS);
        CASES_CHECK(direct_value(run, key) == number, "P2",
                    "client %u: write %" PRIu64 " is there, and %" PRIu64 " is not", client, newest,
                    number);
    }
    return newest;
}

/* Opens, compares, commits something. What was found becomes the run's. Closes. */
static void check_database(struct sim_sql *sim, const struct left *left, uint64_t low) {
    struct sql_run *run = &sim->run;
    int64_t version;

    sql_open(run);
    version = sql_number(run->db, "SELECT version FROM v");
    CASES_CHECK(version >= (int64_t)low && version <= (int64_t)left->tried, "P1",
                "version %" PRId64 " is there, not one of %" PRIu64 " to %" PRIu64, version, low,
                left->tried);
    run->version = (uint64_t)version;
    sql_expect_same_tables(run);
    for (uint32_t i = 0; i < SIM_SQL_CLIENTS_MAX; i++) {
        sim->direct_did[i] = check_direct(run, i, left->direct_acked[i], left->direct_tried[i]);
    }
    sql_expect_sound(run);
    run->version = sim->next_version - 1; /* the next one's number */
    sql_insert_rows(run, 1, 40);
    sim->next_version = run->version + 1;
    sim->acked_version = run->version;
    sql_close(run);
    sim_world_expect_closed();
}

/* ---- lives ---- */

/* The database, and nothing in its direct table. */
static struct sim_image *create_database(struct sim_sql *sim) {
    sim_world_case(sim->seed, SIM_IN_ORDER);
    sim_world_life(NULL);
    sql_create(&sim->run);
    sql_open(&sim->run);
    sql_must(sim->run.db, "DELETE FROM d");
    sql_close(&sim->run);
    sim->next_version = sim->run.version + 1;
    sim->acked_version = sim->run.version;
    return sim_disk_image(sim_world_disk());
}

/* The image of a drawn moment of the life, one time in five of its end. */
static struct sim_image *crash(const struct sim_sql *sim, const struct sim_disk *disk,
                               enum sim_variant *variant, uint64_t *position) {
    const bool is_kill = sim->run.config->promise == SQL_KEEPS_AFTER_KILL;
    const uint64_t length = sim_log_length(disk) - BEGIN_MARKS;
    const uint64_t to = BEGIN_MARKS + sim_draw() % (length + length / 4);
    struct sim_cursor *cursor = sim_cursor_create(disk, 0);
    struct sim_image *image;

    while (sim_cursor_next(cursor) && sim_cursor_position(cursor) < to) {
    }
    *variant = is_kill ? SIM_KILL : (enum sim_variant)(sim_draw() % (SIM_SIZES + 1));
    *position = sim_cursor_position(cursor);
    image = sim_cursor_image(cursor, *variant, sim_draw());
    sim_cursor_destroy(cursor);
    return image;
}

/* What the next life may find. After a power cut all that is there is durable, and so this is
 * known; after a kill some of it may go yet. */
static struct left after_crash(const struct sim_sql *sim, const struct left *left,
                               enum sim_variant variant) {
    struct left next = *left;

    next.acked = lowest(sim->run.config, left, variant);
    if (variant != SIM_KILL) {
        next.before_acked = next.safe = next.acked;
    }
    return next;
}

/* One life, from its image to that of the next one. */
static struct sim_image *live(struct sim_sql *sim, struct sim_image *image, struct left *left,
                              uint64_t *hash) {
    enum sim_variant variant;
    uint64_t position;
    struct sim_disk *disk;
    struct sim_image *next;
    struct left end;

    sim_world_life(image);
    sim_image_release(image);
    disk = sim_world_take_disk();
    write_marks(left);
    check_database(sim, left, left->acked);
    if (sim_draw() % 2 == 0) {
        device_sim_latency(sim_draw(), 1 + sim_draw() % LATENCY_NS_MAX);
    }
    sim->client_count = 1 + (uint32_t)(sim_draw() % SIM_SQL_CLIENTS_MAX);
    sim->operations = OPERATIONS_MIN + (uint32_t)(sim_draw() % OPERATIONS_MORE);
    sim->with_faults = sim_draw() % 2 == 0;
    sim_sql_run_clients(sim);
    sim_world_expect_closed();
    end = read_marks(disk, sim_log_length(disk));
    for (uint32_t i = 0; i < SIM_SQL_CLIENTS_MAX; i++) {
        if (!sim->has_failed && !sim->is_unsure[i]) {
            end.direct_acked[i] = sim->direct_did[i]; /* the last one has closed the store */
        }
    }
    check_database(sim, &end, end.acked);
    *hash = sim_mix(*hash, sim_log_hash(disk));
    next = crash(sim, disk, &variant, &position);
    end = read_marks(disk, position);
    *left = after_crash(sim, &end, variant);
    sim_disk_destroy(disk);
    return next;
}

static uint64_t run_seed(uint64_t seed) {
    struct sim_sql sim = {.seed = seed,
                          .run = {.is_self = is_self, .next_value = 1, .random = seed}};
    struct left left = {0};
    struct sim_image *image;
    uint64_t hash = seed;
    uint64_t lives;

    sim.run.config = sql_config((uint32_t)(sim_mix(seed, 1) % sql_config_count()));
    image = create_database(&sim);
    left.acked = left.before_acked = left.safe = left.tried = sim.run.version;
    lives = LIVES_MIN + sim_mix(seed, 2) % LIVES_MORE;
    for (uint64_t i = 0; i < lives; i++) {
        sim_world_case(sim_mix(seed, i), SIM_DRAWN);
        image = live(&sim, image, &left, &hash);
        cases_add("lives", 1);
    }
    sim_world_life(image);
    sim_image_release(image);
    write_marks(&left);
    check_database(&sim, &left, left.acked);
    sim_world_life(NULL);
    return hash;
}

static void run_case(uint64_t seed) {
    uint64_t hash;

    cases_name("%" PRIu64, seed);
    hash = run_seed(seed);
    cases_did();
    if (seed % TWICE_ONE_IN == 0) {
        CASES_CHECK(run_seed(seed) == hash, "replay", "the same seed did something else");
        cases_add("twice", 1);
    }
}

static void replay(const char *words) {
    run_case(strtoull(words, NULL, 10));
}

int main(int argc, char **argv) {
    is_self = sql_take_self(&argc, argv);
    cases_begin(&cases, argc, argv);
    sim_sqlite_begin();
    sim_world_begin(cases.seed, SIM_IN_ORDER);
    if (!cases_replay(&cases, replay)) {
        while (cases_next_slice(&cases)) {
            for (uint64_t i = cases.part; cases_more(&cases); i += cases.parts) {
                run_case((sim_mix(cases.seed, 5) >> 32) + i);
            }
        }
    }
    if (!is_self) {
        cases_add("recoveries from an index", sim_world_index_recoveries());
        cases_expect(&cases, "recoveries from an index");
    }
    sim_world_end();
    return cases_end(&cases, "P1 P2 P3 P4 P5 P6 P7 P9");
}
