/* crash_backup.c - a power cut or a kill at every moment of a backup (P1, P2, P3).
 *
 * A store of each kind is written, backed up while something is uncommitted, and written again,
 * once, on a disk that keeps a log. At every boundary of the log a crash leaves several things. In
 * each of them the store that was backed up is as if nothing had been: all that was acknowledged is
 * there, and it takes writes. Where the backup had returned OK, the copy opens, with the decider's
 * copy, and holds exactly what it was taken of; before, it is either no store or such a one.
 *
 * Values are turns: in turn t each key gets the number t. The simulated disk neither clones nor
 * links: all is copied.
 */
#include <stdio.h>
#include <string.h>

#include "crash_check.h"
#include "ledger.h"
#include "sim_run.h"
#include "sim_world.h"

#define KEYS 60u
#define VALUE_BYTES 900u
#define TURNS 4u
#define COPY_DIRECTORY "/backup/store"
#define STORE_DIRECTORY "/store"

enum { PHASE_WRITTEN = 1, PHASE_BACKED_UP, PHASE_WRITTEN_AGAIN };
#define COPIED_TURN 2u

static const struct faster_options OPTIONS = {.memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                              .page_bytes = FASTER_PAGE_BYTES_MIN,
                                              .segment_bytes = 2 * FASTER_PAGE_BYTES_MIN,
                                              .io = FASTER_IO_THREADS,
                                              .io_threads = 2,
                                              .index_bits = 4};

/* One recorded run. */
struct run {
    bool direct;
    uint64_t inline_commit_bytes;
    struct sim_disk *disk;
    struct ledger ledgers[TURNS + 1]; /* the decider after each turn */
};

struct client {
    const struct run *run;
    struct faster_store *store;
    struct faster_session *session;
};

static struct faster_options options_of(const struct run *run, const char *directory) {
    struct faster_options options = OPTIONS;
    options.directory = directory;
    options.inline_commit_bytes = run->inline_commit_bytes;
    options.writes = run->direct ? FASTER_WRITES_DIRECT : FASTER_WRITES_TRANSACTIONAL;
    return options;
}

/* ---- life ---- */

static enum faster_status try_open(struct client *client, const char *directory,
                                   struct faster_error *error) {
    const struct faster_options options = options_of(client->run, directory);
    const enum faster_status status = faster_store_open(&options, &client->store, error);
    if (status == FASTER_OK) {
        CASES_CHECK(faster_session_open(client->store, &client->session) == FASTER_OK, "P1",
                    "no session");
    }
    return status;
}

static void must_open(struct client *client, const char *directory) {
    struct faster_error error = {0};
    const enum faster_status status = try_open(client, directory, &error);
    CASES_CHECK(status == FASTER_OK, "P1", "%s: %s: %s", directory, faster_status_name(status),
                error.message);
}

static void close_client(struct client *client) {
    faster_session_close(client->session);
    faster_store_close(client->store);
    client->session = NULL;
    client->store = NULL;
}

static void put(struct client *client, struct faster_txn *txn, unsigned key, unsigned turn) {
    unsigned char value[VALUE_BYTES] = {(unsigned char)turn};
    struct faster_op op = {.key = {&key, sizeof key}, .value = {value, sizeof value}};
    const enum faster_status status = crash_complete(
        client->session, &op,
        txn == NULL ? faster_session_upsert(client->session, &op) : faster_txn_upsert(txn, &op));
    CASES_CHECK(status == FASTER_OK, "P1", "a write: %s", faster_status_name(status));
}

/* Not committed, in a direct store. */
static void write_turn(struct client *client, struct ledger *ledger, unsigned turn) {
    struct faster_txn *txn = NULL;
    if (!client->run->direct) {
        const enum faster_status status = ledger_begin(ledger, client->session, &txn);
        CASES_CHECK(status == FASTER_OK, "P1", "begin: %s: %s", faster_status_name(status),
                    faster_session_message(client->session));
    }
    for (unsigned key = 0; key < KEYS; key++) {
        put(client, txn, key, turn);
    }
    if (txn != NULL) {
        CASES_CHECK(ledger_commit(ledger, txn) == FASTER_OK, "P1", "commit");
    }
}

static void commit(struct client *client) {
    if (client->run->direct) {
        CASES_CHECK(faster_session_commit(client->session) == FASTER_OK, "P1", "commit");
    }
}

/* ---- the recorded run ---- */

static void decide(struct run *run, const struct ledger *ledger, unsigned turn) {
    run->ledgers[turn] = ledger_copy(ledger);
    sim_mark(MARK_ROW_DURABLE, turn);
}

static void back_up(struct client *client, const struct ledger *copied) {
    struct faster_backup_request request = {
        .directory = COPY_DIRECTORY, .durable = client->run->direct ? NULL : ledger_newest(copied)};
    const enum faster_status status = faster_session_backup(client->session, &request);
    CASES_CHECK(status == FASTER_OK, "P1", "backup: %s: %s", faster_status_name(status),
                faster_session_message(client->session));
}

static void record(struct run *run) {
    struct client client = {.run = run};
    struct ledger ledger = {0};
    const struct faster_options options = options_of(run, STORE_DIRECTORY);
    sim_world_case(1, SIM_IN_ORDER);
    sim_world_life(NULL);
    CASES_CHECK(faster_store_create(&options, NULL, NULL) == FASTER_OK, "P1", "create");
    must_open(&client, STORE_DIRECTORY);
    write_turn(&client, &ledger, 1);
    commit(&client);
    decide(run, &ledger, 1);
    sim_mark(MARK_PHASE, PHASE_WRITTEN);
    write_turn(&client, &ledger, COPIED_TURN);
    decide(run, &ledger, COPIED_TURN);
    if (!run->direct) {
        write_turn(&client, &ledger, 3);
        decide(run, &ledger, 3);
    }
    back_up(&client, &run->ledgers[COPIED_TURN]);
    sim_mark(MARK_PHASE, PHASE_BACKED_UP);
    write_turn(&client, &ledger, TURNS);
    commit(&client);
    decide(run, &ledger, TURNS);
    sim_mark(MARK_PHASE, PHASE_WRITTEN_AGAIN);
    close_client(&client);
    ledger_finish(&ledger);
    run->disk = sim_world_take_disk();
}

/* ---- what a crash has left ---- */

static unsigned read_turn(struct client *client, const struct faster_snapshot *snapshot,
                          unsigned key) {
    struct faster_buffer result = {.env = faster_env_posix()};
    struct faster_op op = {.key = {&key, sizeof key}, .result = &result};
    const enum faster_status status =
        crash_complete(client->session, &op, faster_snapshot_read(snapshot, &op));
    CASES_CHECK(status == FASTER_OK || status == FASTER_NOT_FOUND, "P4", "a read: %s",
                faster_status_name(status));
    const unsigned turn = status == FASTER_OK ? *(const unsigned char *)result.data : 0;
    faster_buffer_finish(&result);
    return turn;
}

/* All keys are of turns between these; fewer changes come after more. */
static void check_turns(struct client *client, struct ledger *ledger, unsigned low, unsigned high) {
    struct faster_snapshot snapshot;
    unsigned last = high;
    if (!client->run->direct) {
        const enum faster_status status = ledger_meet(ledger, client->session);
        CASES_CHECK(status == FASTER_OK, "P1", "meet: %s: %s", faster_status_name(status),
                    faster_session_message(client->session));
    }
    CASES_CHECK(faster_snapshot_open_newest(client->session, &snapshot) == FASTER_OK, "P1",
                "snapshot");
    for (unsigned key = 0; key < KEYS; key++) {
        const unsigned turn = read_turn(client, &snapshot, key);
        CASES_CHECK(turn >= low && turn <= last, "P2", "key %u is of turn %u, not %u to %u", key,
                    turn, low, last);
        last = turn;
    }
    faster_snapshot_close(&snapshot);
    crash_verify(client->session);
}

static void check_source(const struct run *run, const struct crash_state *state) {
    struct client client = {.run = run};
    const uint64_t phase = cases_newest_mark(run->disk, state->position, MARK_PHASE);
    const unsigned decided =
        (unsigned)cases_newest_mark(run->disk, state->position, MARK_ROW_DURABLE);
    const unsigned safe = phase == PHASE_WRITTEN_AGAIN ? TURNS
                          : phase == PHASE_BACKED_UP   ? COPIED_TURN
                                                       : (unsigned)phase;
    struct ledger ledger = ledger_copy(&run->ledgers[decided]);
    must_open(&client, STORE_DIRECTORY);
    check_turns(&client, &ledger, run->direct ? safe : decided, run->direct ? TURNS : decided);
    write_turn(&client, &ledger, TURNS + 1);
    commit(&client);
    check_turns(&client, &ledger, TURNS + 1, TURNS + 1);
    close_client(&client);
    ledger_finish(&ledger);
}

static void check_copy(const struct run *run, const struct crash_state *state) {
    struct client client = {.run = run};
    struct faster_error error = {0};
    struct ledger ledger = ledger_copy(&run->ledgers[COPIED_TURN]);
    const bool is_promised =
        cases_newest_mark(run->disk, state->position, MARK_PHASE) >= PHASE_BACKED_UP;
    const enum faster_status status = try_open(&client, COPY_DIRECTORY, &error);
    /* The file `store` may have been cut short, too: as in a creation, see engine/FORMAT.md. */
    const bool is_none = status == FASTER_MISSING || status == FASTER_FOREIGN ||
                         (status == FASTER_CORRUPT && strstr(error.message, "identified") != NULL);
    CASES_CHECK(status == FASTER_OK || (!is_promised && is_none), "P3", "the backup: %s: %s",
                faster_status_name(status), error.message);
    if (status == FASTER_OK) {
        check_turns(&client, &ledger, COPIED_TURN, COPIED_TURN);
        write_turn(&client, &ledger, TURNS + 1);
        commit(&client);
        check_turns(&client, &ledger, TURNS + 1, TURNS + 1);
        close_client(&client);
        cases_add("copies", 1);
    }
    ledger_finish(&ledger);
}

static void check_state(void *context, const struct crash_state *state) {
    const struct run *run = context;
    cases_name("kind %s position %llu variant %s draw %llu",
               run->direct                     ? "direct"
               : run->inline_commit_bytes == 0 ? "inline"
                                               : "synced",
               (unsigned long long)state->position, crash_variant_name(state->variant),
               (unsigned long long)state->draw);
    if (cases_newest_mark(run->disk, state->position, MARK_PHASE) == 0 ||
        !cases_is_new(sim_image_hash(state->image),
                      cases_newest_mark(run->disk, state->position, MARK_PHASE),
                      cases_newest_mark(run->disk, state->position, MARK_ROW_DURABLE))) {
        return;
    }
    sim_world_case(state->draw, SIM_IN_ORDER);
    sim_world_life(state->image);
    check_copy(run, state);
    sim_world_expect_closed();
    sim_world_life(state->image);
    check_source(run, state);
    sim_world_expect_closed();
}

static void go_through(const struct cases *cases, struct run *run) {
    record(run);
    const struct crash_plan plan = {.disk = run->disk,
                                    .to = sim_log_length(run->disk),
                                    .seed = cases->seed,
                                    .one_in = 1,
                                    .with_kill = true};
    crash_each_state(cases, &plan, check_state, run);
    sim_disk_destroy(run->disk);
    for (unsigned i = 0; i <= TURNS; i++) {
        ledger_finish(&run->ledgers[i]);
    }
}

int main(int argc, char **argv) {
    struct cases cases = {.program = "crash_backup", .count = 6000};
    cases_begin(&cases, argc, argv);
    while (cases_next_slice(&cases)) {
        struct run runs[] = {
            {.direct = true}, {.inline_commit_bytes = 0}, {.inline_commit_bytes = UINT64_MAX}};
        sim_world_begin(cases.seed, SIM_IN_ORDER);
        for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
            go_through(&cases, &runs[i]);
        }
        sim_world_end();
    }
    return cases_end(&cases, "P1 P2 P3");
}
