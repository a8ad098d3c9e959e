/* simulate.c - a direct store with everything drawn from a seed (P2-P7, P9).
 *
 * Strategy: up to four clients, each a fibre with a session of its own, read and write at the same
 * time; calls to the disk let others go first, completions come late and in another order, the
 * index grows, and in some lives the disk fails, is full, or there is no memory. A life ends with a
 * clean close, a kill, or a crash at any boundary of the disk's log, which leaves what one of seven
 * variants keeps; the next one goes on from there.
 *
 * Invariants: a client reads what it wrote last, or, while something fails, an error (P4); an
 * operation that failed did nothing; after each end every client has a prefix of what it did, at
 * least up to the last acknowledged commit (P2, P3), and reads, a scan and verify agree; when
 * nothing fails any more everything under way completes, and a commit succeeds, or the store says
 * that it has failed, and a reopen works (P5, P6, P7); nothing waits for ever; nothing is left open
 * or allocated. One seed in a hundred runs twice and must do the same.
 *
 * Half of the seeds take checkpoints, too, with and without a copy of the index.
 *
 * Replay: simulate --replay "SEED LIVES CLIENTS CHECKPOINTS"; 0 lives or clients: as drawn. Fewer
 * of them may fail, too, and are easier to follow. CHECKPOINTS: 1, they are taken; 0 or nothing:
 * not.
 */
#include "simulate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device_sim.h"
#include "sim_run.h"
#include "sim_world.h"
#include "test_env.h"

#define QUICK_SEEDS 2000u
#define TWICE_ONE_IN 100u
#define DIRECTORY "/store"
#define LATENCY_NS_MAX 2000000u
#define LOG_LINES 60u

enum ending { END_CLEAN, END_KILL, END_CRASH };

/* The present life, for a failure's report. */
static struct {
    uint32_t number;
    bool has_fault;
    struct sim_fault fault;
    struct sim_disk *disk;
    uint64_t position; /* of the crash */
    enum sim_variant variant;
} shown;

static void print_life(void) {
    fprintf(stderr, "life %u", shown.number);
    if (shown.has_fault) {
        fprintf(stderr, ", faults: calls %#x number %" PRIu64 ", %" PRIu64 " times, effect %d",
                shown.fault.calls, shown.fault.first, shown.fault.times, (int)shown.fault.effect);
    }
    if (shown.position != 0) {
        const uint64_t from = shown.position > LOG_LINES ? shown.position - LOG_LINES : 0;
        fprintf(stderr, ", crash at %" PRIu64 ", %s\n", shown.position,
                crash_variant_name(shown.variant));
        sim_log_print(shown.disk, from, shown.position);
    }
    fprintf(stderr, "\n");
}

uint32_t run_draw(struct run *run, uint32_t below) {
    return (uint32_t)(sim_next(&run->random) >> 33) % below;
}

/* ---- life ---- */

static struct faster_options options_of(const struct run *run) {
    return (struct faster_options){.directory = DIRECTORY,
                                   .writes = FASTER_WRITES_DIRECT,
                                   .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                   .io = FASTER_IO_THREADS,
                                   .io_threads = run->io_threads,
                                   .index_bits = 4};
}

static void create(struct run *run) {
    struct faster_options options = options_of(run);
    options.page_bytes = run->page_bytes;
    options.segment_bytes = run->segment_bytes;
    const enum faster_status status = faster_store_create(&options, NULL, NULL);
    CASES_CHECK(status == FASTER_OK, "P3", "create: %s", faster_status_name(status));
}

static void open_store(struct run *run) {
    const struct faster_options options = options_of(run);
    struct faster_error error = {0};
    enum faster_status status = faster_store_open(&options, &run->store, &error);
    CASES_CHECK(status == FASTER_OK, "P3", "open: %s: %s", faster_status_name(status),
                error.message);
    for (uint32_t i = 0; i < run->client_count; i++) {
        struct client *client = &run->clients[i];
        status = faster_session_open(run->store, &client->session);
        if (status == FASTER_OK) {
            status = faster_snapshot_open_newest(client->session, &client->view);
        }
        CASES_CHECK(status == FASTER_OK, "P7", "session: %s", faster_status_name(status));
    }
}

static void close_store(struct run *run) {
    for (uint32_t i = 0; i < run->client_count; i++) {
        faster_snapshot_close(&run->clients[i].view);
        faster_session_close(run->clients[i].session);
    }
    faster_store_close(run->store);
}

/* What the marks of a life begin with. */
static void mark_begin(struct run *run) {
    for (uint32_t i = 0; i < run->client_count; i++) {
        sim_mark(MARK_ISSUED + i, run->clients[i].step_count);
    }
    sim_mark(MARK_ACK, 0);
    run->begin = sim_log_length(sim_world_disk());
}

/* ---- faults ---- */

static void arm_fault(struct run *run) {
    static const struct {
        struct sim_fault fault;
        enum faster_status failure;
        bool may_break;
    } FAULTS[] = {
        {{1u << SIM_CALL_READ, SIM_FILE_SEGMENT, 0, 1, SIM_EIO, 0}, FASTER_IO, false},
        {{1u << SIM_CALL_READ, SIM_FILE_SEGMENT, 0, 20, SIM_EIO, 0}, FASTER_IO, false},
        {{1u << SIM_CALL_READ, SIM_FILE_SEGMENT, 0, 1, SIM_SHORT, 0}, FASTER_CORRUPT, false},
        {{1u << SIM_CALL_WRITE, UINT32_MAX, 0, 1, SIM_EIO_HALF, 0}, FASTER_IO, true},
        {{1u << SIM_CALL_WRITE, UINT32_MAX, 0, 30, SIM_ENOSPC_HALF, 0}, FASTER_FULL, false},
        {{1u << SIM_CALL_WRITE | 1u << SIM_CALL_OPEN, UINT32_MAX, 0, 5, SIM_ENOSPC, 0},
         FASTER_FULL,
         false},
        {{1u << SIM_CALL_SYNC, UINT32_MAX, 0, 1, SIM_EIO, 0}, FASTER_IO, true},
        {{1u << SIM_CALL_SYNC, UINT32_MAX, 0, 1, SIM_EIO_DONE, 0}, FASTER_IO, true},
        {{1u << SIM_CALL_SYNC, UINT32_MAX, 0, 1, SIM_EIO_LOST, 0}, FASTER_IO, true},
        {{1u << SIM_CALL_DIRSYNC, UINT32_MAX, 0, 1, SIM_EIO, 0}, FASTER_IO, true},
    };
    const uint32_t count = sizeof FAULTS / sizeof FAULTS[0];
    const uint32_t drawn = run_draw(run, count + 2);
    if (drawn < count) {
        struct sim_fault fault = FAULTS[drawn].fault;
        run->failure = FAULTS[drawn].failure;
        run->may_break = FAULTS[drawn].may_break;
        fault.first = 1 + run_draw(run, 30);
        sim_fault_arm(&fault);
        shown.has_fault = true;
        shown.fault = fault;
    } else if (drawn == count) {
        const struct sim_disk *disk = sim_world_disk();
        run->failure = FASTER_FULL;
        sim_disk_set_space(sim_world_disk(),
                           sim_disk_used_space(disk) + 4096 * (uint64_t)run_draw(run, 40));
    } else {
        run->failure = FASTER_NOMEM;
        fst_test_env_fail(sim_world_test_env(), FST_TEST_ALLOCATE, 1 + run_draw(run, 200),
                          1 + run_draw(run, 3), FASTER_NOMEM);
    }
}

static void heal(struct run *run) {
    sim_fault_arm(NULL);
    sim_disk_set_space(sim_world_disk(), UINT64_MAX);
    fst_test_env_heal_all(sim_world_test_env());
    run->failure = FASTER_OK;
}

/* ---- one life ---- */

static void run_clients(struct run *run) {
    struct sim_fibre *fibres[CLIENTS_MAX];
    for (uint32_t i = 0; i < run->client_count; i++) {
        run->clients[i].ops = (100 + run_draw(run, 200)) / run->client_count;
        fibres[i] = sim_start(client_live, &run->clients[i]);
    }
    for (uint32_t i = 0; i < run->client_count; i++) {
        sim_join(fibres[i]);
    }
}

/* What a life has left, and what of it must be there. */
struct remains {
    struct sim_image *image;
    struct cover low, high;
    bool is_durable; /* no later crash can take any of it */
};

static struct cover issued(const struct run *run, const struct sim_disk *disk, uint64_t position) {
    struct cover cover = {{0}};
    for (uint32_t i = 0; i < run->client_count; i++) {
        cover.steps[i] = cases_newest_mark(disk, position, MARK_ISSUED + i);
    }
    return cover;
}

/* The first boundary at or behind a drawn one. */
static uint64_t draw_boundary(struct run *run, const struct sim_disk *disk) {
    const uint64_t length = sim_log_length(disk);
    uint64_t wanted = run->begin + run_draw(run, (uint32_t)(length - run->begin + 1));
    if (run_draw(run, 2) == 0) {
        wanted = length - run_draw(run, (uint32_t)((length - run->begin) / 8 + 1));
    }
    struct sim_cursor *cursor = sim_cursor_create(disk, 0);
    while (sim_cursor_next(cursor) && sim_cursor_position(cursor) < wanted) {
    }
    const uint64_t position = sim_cursor_position(cursor);
    sim_cursor_destroy(cursor);
    return position;
}

/* Takes what a crash at this boundary leaves. */
static struct remains leave(struct run *run, uint64_t position, enum sim_variant variant) {
    const struct sim_disk *disk = sim_world_disk();
    shown.position = position;
    shown.variant = variant;
    const uint64_t acknowledged = cases_newest_mark(disk, position, MARK_ACK);
    struct remains remains = {.low = run->covers[acknowledged],
                              .high = issued(run, disk, position),
                              .is_durable = variant != SIM_KILL};
    remains.image = crash_one_state(disk, position, variant, sim_next(&run->random));
    CASES_CHECK(remains.image != NULL, "replay", "no boundary at %llu",
                (unsigned long long)position);
    return remains;
}

/* Ends the life. `has_failed`: the store refuses to write, and closes as it is. */
static struct remains end_life(struct run *run, enum ending ending, bool has_failed) {
    struct remains remains;
    if (ending == END_CRASH) {
        const uint64_t position = draw_boundary(run, sim_world_disk());
        remains = leave(run, position, (enum sim_variant)run_draw(run, SIM_SIZES + 1));
        close_store(run);
        return remains;
    }
    if (ending == END_CLEAN) {
        close_store(run);
    }
    sim_mark(MARK_PHASE, 1); /* a boundary */
    remains = leave(run, sim_log_length(sim_world_disk()), SIM_KILL);
    if (ending == END_KILL) {
        close_store(run);
    } else if (!has_failed) {
        remains.low = remains.high;
        remains.is_durable = true;
    }
    return remains;
}

/* Opens what was left and finds out what it is. */
static void take_up(struct run *run, const struct remains *remains) {
    model_value map[SIMULATE_KEYS];
    sim_world_life(remains->image);
    device_sim_latency(sim_next(&run->random), run_draw(run, 2) * LATENCY_NS_MAX);
    open_store(run);
    crash_read_map(run->clients[0].session, &run->clients[0].view, run->client_count * OWN_KEYS,
                   map);
    run->covers[0] = remains->low;
    run->cover_count = 1;
    for (uint32_t i = 0; i < run->client_count; i++) {
        (void)client_find(&run->clients[i], map + (size_t)i * OWN_KEYS, remains->low.steps[i],
                          remains->high.steps[i]);
        if (remains->is_durable) {
            client_settle(&run->clients[i]);
            run->covers[0].steps[i] = 0;
        }
    }
    crash_verify(run->clients[0].session);
    mark_begin(run);
}

/* Runs a life and ends it; the next one is open then. */
static void live(struct run *run) {
    static const enum ending ENDINGS[] = {END_CLEAN, END_KILL, END_CRASH, END_CRASH};
    run->may_break = false;
    if (run_draw(run, 5) < 2) {
        arm_fault(run);
    }
    run_clients(run);
    heal(run);
    const bool has_failed = !client_drain(&run->clients[0]);
    struct remains remains = end_life(run, ENDINGS[run_draw(run, 4)], has_failed);
    take_up(run, &remains);
    sim_image_release(remains.image);
}

/* ---- one seed ---- */

static void draw_options(struct run *run, uint64_t seed, uint32_t clients) {
    run->seed = seed;
    run->random = sim_mix(seed, 1);
    run->next_value = 1;
    run->cover_count = 1;
    run->client_count = 1 + run_draw(run, CLIENTS_MAX);
    run->client_count = clients != 0 ? clients : run->client_count;
    run->page_bytes = FASTER_PAGE_BYTES_MIN << run_draw(run, 2);
    run->segment_bytes = run->page_bytes << run_draw(run, 3);
    run->io_threads = 1 + run_draw(run, 8);
    for (uint32_t i = 0; i < run->client_count; i++) {
        run->clients[i].run = run;
        run->clients[i].number = i;
        run->clients[i].random = sim_mix(seed, 10 + i);
    }
}

/* Returns the hash of all that was done to the disks. */
static uint64_t run_seed(uint64_t seed, uint32_t lives, uint32_t clients, bool with_checkpoints) {
    uint64_t hash = seed;
    struct run *run = calloc(1, sizeof *run);
    CASES_CHECK(run != NULL, "memory", "no memory for a run");
    draw_options(run, seed, clients);
    run->with_checkpoints = with_checkpoints;
    const uint32_t drawn = 3 + run_draw(run, 4);
    sim_world_case(seed, SIM_DRAWN);
    sim_world_life(NULL);
    create(run);
    open_store(run);
    mark_begin(run);
    for (uint32_t i = 0; i < (lives != 0 ? lives : drawn); i++) {
        struct sim_disk *disk = sim_world_take_disk();
        shown.number = i + 1;
        shown.has_fault = false;
        shown.position = 0;
        shown.disk = disk;
        live(run);
        hash = sim_mix(hash, sim_log_hash(disk));
        sim_disk_destroy(disk);
        cases_add("lives", 1);
    }
    close_store(run);
    sim_world_expect_closed();
    cases_add("operations", run->operations);
    cases_add("commits", run->commits);
    cases_add("checkpoints", run->checkpoints);
    cases_add("failures", run->failures);
    for (uint32_t i = 0; i < run->client_count; i++) {
        free(run->clients[i].steps);
    }
    free(run);
    return hash;
}

static void replay(const char *words) {
    uint64_t seed;
    uint32_t lives = 0, clients = 0, checkpoints = 0;
    if (sscanf(words, "%" SCNu64 " %" SCNu32 " %" SCNu32 " %" SCNu32, &seed, &lives, &clients,
               &checkpoints) < 1 ||
        clients > CLIENTS_MAX) {
        fprintf(stderr, "simulate: there is no case \"%s\"\n", words);
        exit(2);
    }
    (void)run_seed(seed, lives, clients, checkpoints != 0);
}

static void run_all(const struct cases *cases) {
    for (uint64_t i = 0; cases_more(cases); i++) {
        const uint64_t seed = sim_mix(cases->seed, i * cases->parts + cases->part) >> 16;
        const bool with_checkpoints = seed % 2 != 0;
        cases_name("%" PRIu64 " 0 0 %d", seed, with_checkpoints);
        const uint64_t hash = run_seed(seed, 0, 0, with_checkpoints);
        if (i % TWICE_ONE_IN == 0) {
            CASES_CHECK(run_seed(seed, 0, 0, with_checkpoints) == hash, "replay",
                        "two runs of a seed differ");
            cases_add("seeds run twice", 1);
        }
        cases_did();
    }
}

int main(int argc, char **argv) {
    struct cases cases = {.program = "simulate", .count = QUICK_SEEDS};
    cases_begin(&cases, argc, argv);
    cases_on_failure(print_life);
    sim_world_begin(cases.seed, SIM_DRAWN);
    if (!cases_replay(&cases, replay)) {
        while (cases_next_slice(&cases)) {
            run_all(&cases);
        }
    }
    cases_add("recoveries from an index", sim_world_index_recoveries());
    cases_expect(&cases, "recoveries from an index");
    sim_world_end();
    return cases_end(&cases, "P2 P3 P4 P5 P6 P7 P9");
}
