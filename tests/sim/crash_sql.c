/* crash_sql.c - a crash at every moment of a database with FASTER tables (P1, P2, P3).
 *
 * Strategy: SQLite's files and the stores' are on one simulated disk, whose log has the writes,
 * syncs and names of both in their order. A workload runs once, undisturbed; then, at each boundary
 * of the log, what a crash may leave is made, opened and compared. Workloads are scripts, each
 * sequence of one, two and three operations (of which the last one's boundaries are new),
 * and drawn ones. Each runs in one of the combinations of journal mode and synchronous; in half of
 * them a second connection is open.
 *
 * Invariants, after each crash: both kinds of table show the same version, whole, of those that may
 * be left, by README's table "What survives"; the direct table has its last commit; lookups and
 * scans agree; faster_verify() and integrity_check find nothing; opening it again shows the same;
 * no store stays that a CREATE or DROP has left over; it takes commits and keeps them. After a
 * kill, what the next process commits survives a power cut together with what it found.
 *
 * --deeper: what comes after some of the crashes, the recovery and two operations, crashes at each
 * of its boundaries, and again, to depth three. Nothing older may be left than what had been.
 *
 * --self runs the same with ordinary tables in place of all FASTER tables: what fails there is
 * SQLite's own behaviour, and is not promised.
 *
 * Replay: crash_sql --replay "SEED CONFIG READER OPERATION,... POSITION VARIANT DRAW ..."; the last
 * three once for each depth.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash_check.h"
#include "crash_sql.h"
#include "sim_run.h"
#include "sim_sqlite.h"
#include "sim_world.h"

#define QUICK_STATES 60000u
#define DEEPER_STATES 6000u
#define CONFIGS_MAX 32u
#define DEPTH_MAX 3u
/* States whose recovery crashes in turn: of the workload, and of a recovery. */
#define ROOT_ONE_IN 64u
#define DEEPER_ONE_IN 8u
#define DEEPER_VALUES 1000u /* so that no life writes the same value as another */
#define DRAWN_OPERATIONS 8u
#define WORDS_BYTES 512u
#define SEQUENCES                                                                                  \
    (SQL_OPERATIONS + SQL_OPERATIONS * SQL_OPERATIONS +                                            \
     SQL_OPERATIONS * SQL_OPERATIONS * SQL_OPERATIONS)
#define SEQUENCE_STEP 1103u /* shares no divisor with it */

static const char *const scripts[] = {
    "insert,update,delete,savepoint,bulk,rollback,checkpoint,tidy,insert,reopen,update",
    "create,create,drop,insert,drop,drop,create,reopen,insert,create",
    "bulk,bulk,checkpoint,delete,bulk,checkpoint,tidy,bulk,reopen,update",
    "rollback,rollback,insert,rollback,reopen,rollback,insert,checkpoint,rollback,insert",
    "direct,insert,direct,direct,bulk,direct,checkpoint,direct,reopen,direct",
    "insert,copy,update,direct,leave,insert,index,bulk,copy,reopen,delete,copy,checkpoint,insert",
    "insert,checkpoint,insert,checkpoint,reopen,checkpoint,update,tidy,checkpoint",
};
#define SCRIPTS (sizeof scripts / sizeof scripts[0])

static bool is_self;
static struct cases cases = {.program = "crash_sql", .count = QUICK_STATES};

/* ---- workloads ---- */

struct workload {
    uint64_t seed;
    uint32_t config;
    bool has_reader;
    bool only_last;  /* boundaries of the last operation */
    uint32_t one_in; /* boundaries; 0: all */
    uint32_t operations[SQL_WORKLOAD_MAX];
    uint32_t count;
};

struct recording {
    struct sim_disk *disk;
    struct sql_run run; /* closed; its contents are known */
    uint64_t seed;
    uint64_t from; /* boundaries */
    uint64_t to;
    uint32_t one_in; /* boundaries */
    unsigned depth;  /* of recoveries */
    char words[WORDS_BYTES];
};

static bool parse_operations(const char *text, struct workload *workload) {
    workload->count = 0;
    while (*text != '\0' && workload->count < SQL_WORKLOAD_MAX) {
        const size_t length = strcspn(text, ",");
        uint32_t operation = 0;
        while (operation < SQL_OPERATIONS &&
               (strlen(sql_operation_name(operation)) != length ||
                strncmp(sql_operation_name(operation), text, length) != 0)) {
            operation++;
        }
        if (operation == SQL_OPERATIONS) {
            return false;
        }
        workload->operations[workload->count++] = operation;
        text += length + (text[length] == ',');
    }
    return workload->count > 0;
}

static void write_words(const struct workload *workload, char words[WORDS_BYTES]) {
    size_t length = (size_t)snprintf(words, WORDS_BYTES, "%" PRIu64 " %u %u ", workload->seed,
                                     workload->config, workload->has_reader);

    for (uint32_t i = 0; i < workload->count; i++) {
        length += (size_t)snprintf(words + length, WORDS_BYTES - length, "%s%s", i == 0 ? "" : ",",
                                   sql_operation_name(workload->operations[i]));
    }
}

/* ---- the database that a workload begins with ---- */

static struct base {
    struct sim_image *image;
    struct sql_run run;
} bases[CONFIGS_MAX];

static const struct base *base_of(uint32_t config) {
    struct base *base = &bases[config];

    if (base->image == NULL) {
        base->run =
            (struct sql_run){.config = sql_config(config), .is_self = is_self, .next_value = 1};
        sim_world_case(config, SIM_IN_ORDER);
        sim_world_life(NULL);
        sql_create(&base->run);
        base->image = sim_disk_image(sim_world_disk());
    }
    return base;
}

static void release_bases(void) {
    for (uint32_t i = 0; i < CONFIGS_MAX; i++) {
        sim_image_release(bases[i].image);
        bases[i].image = NULL;
    }
}

/* ---- recording ---- */

static void mark_begin(const struct sql_run *run) {
    sim_mark(MARK_TRY, run->version);
    sim_mark(MARK_ACK, run->version);
    sim_mark(MARK_SAFE, run->version);
    sim_mark(SQL_MARK_DIRECT_TRY, run->direct_version);
    sim_mark(SQL_MARK_DIRECT_ACK, run->direct_version);
}

static void record(const struct workload *workload, struct recording *recording) {
    const struct base *base = base_of(workload->config);
    struct sql_run *run = &recording->run;

    write_words(workload, recording->words);
    cases_name("%s", recording->words);
    *run = base->run;
    recording->depth = 0;
    recording->one_in = workload->one_in;
    recording->seed = workload->seed;
    run->has_reader = workload->has_reader;
    run->random = workload->seed;
    sim_world_case(workload->seed, SIM_IN_ORDER);
    sim_world_life(base->image);
    recording->disk = sim_world_take_disk();
    mark_begin(run);
    recording->from = sim_log_length(recording->disk);
    sql_open(run);
    for (uint32_t i = 0; i < workload->count; i++) {
        if (workload->only_last && i + 1 == workload->count) {
            recording->from = sim_log_length(recording->disk);
        }
        sql_operate(run, workload->operations[i]);
    }
    recording->to = sim_log_length(recording->disk);
    sql_close(run);
    sim_world_expect_closed();
    if (!workload->only_last) {
        recording->to = sim_log_length(recording->disk);
    }
}

static void forget(struct recording *recording) {
    sim_world_life(NULL); /* the recorded disk may be the mounted one */
    sim_disk_destroy(recording->disk);
}

/* ---- states ---- */

/* The same image may be a different state: of another configuration, or with other versions. */
static bool is_new(const struct recording *recording, const struct crash_state *state,
                   const struct sql_expected *expected) {
    const struct case_range *range = &expected->versions;
    uint64_t low = sim_mix((uint64_t)(recording->run.config - sql_config(0)),
                           (uint64_t)(state->variant == SIM_KILL));
    uint64_t high = sim_mix(expected->direct_versions.low, expected->direct_versions.high);

    for (uint64_t version = range->low; version <= range->high; version++) {
        low = sim_mix(low, recording->run.contents[version]);
    }
    return cases_is_new(sim_image_hash(state->image), low, high);
}

/* The version that a crash has left, of both. */
static void find_versions(struct sql_run *run, const struct crash_state *state) {
    sim_world_case(state->draw, SIM_IN_ORDER);
    sim_world_life(state->image);
    sql_open(run);
    run->version = (uint64_t)sql_number(run->db, "SELECT version FROM v");
    if (!run->is_self) {
        run->direct_version = (uint64_t)sql_number(run->db, "SELECT v FROM d WHERE k = 0");
    }
    sql_close(run);
}

/* What comes after a crash is a workload: the database is opened, written to and closed. What a
 * power cut has left is durable, so nothing older than that may be left of it. */
static void record_recovery(const struct recording *recording, const struct crash_state *state,
                            struct recording *deeper) {
    struct sql_run *run = &deeper->run;
    size_t length;

    *deeper = *recording;
    deeper->depth++;
    deeper->one_in = 1;
    deeper->seed = state->draw;
    length = strlen(deeper->words);
    (void)snprintf(deeper->words + length, sizeof deeper->words - length,
                   " %" PRIu64 " %s %" PRIu64, state->position, crash_variant_name(state->variant),
                   state->draw);
    run->next_value += DEEPER_VALUES;
    run->random = state->draw;
    find_versions(run, state);
    sim_world_case(sim_mix(state->draw, 1), SIM_IN_ORDER);
    sim_world_life(state->image);
    deeper->disk = sim_world_take_disk();
    mark_begin(run);
    deeper->from = sim_log_length(deeper->disk);
    sql_open(run);
    sql_insert_rows(run, 1, 60);
    sql_operate(run, (uint32_t)(state->draw >> 32) % SQL_OPERATIONS);
    sql_close(run);
    deeper->to = sim_log_length(deeper->disk);
    sim_world_expect_closed();
}

static void visit_all(struct recording *recording);

static void go_deeper(const struct recording *recording, const struct crash_state *state) {
    static struct recording stack[DEPTH_MAX + 1];
    struct recording *deeper = &stack[recording->depth + 1];

    cases_name("%s %" PRIu64 " %s %" PRIu64, recording->words, state->position,
               crash_variant_name(state->variant), state->draw);
    record_recovery(recording, state, deeper);
    visit_all(deeper);
    forget(deeper);
    cases_add("recoveries", 1);
}

/* After a kill some of what is there is not durable: that is checked by sql_check_state(). */
static bool is_to_crash_again(const struct recording *recording, const struct crash_state *state) {
    const uint64_t one_in = recording->depth == 0 ? ROOT_ONE_IN : DEEPER_ONE_IN;

    return cases.is_deeper && recording->depth < DEPTH_MAX && state->variant != SIM_KILL &&
           sim_mix(state->draw, 2) % one_in == 0;
}

static void visit_state(void *context, const struct crash_state *state) {
    const struct recording *recording = context;
    const struct sql_expected expected =
        sql_expected_at(&recording->run, recording->disk, state->position, state->variant);

    if (state->variant != SIM_KILL && recording->run.config->promise == SQL_KEEPS_AFTER_KILL) {
        return;
    }
    if (is_to_crash_again(recording, state)) {
        go_deeper(recording, state);
    }
    if (cases.is_deeper && recording->depth == 0) {
        return; /* checked without --deeper */
    }
    if (is_new(recording, state, &expected)) {
        cases_name("%s %" PRIu64 " %s %" PRIu64, recording->words, state->position,
                   crash_variant_name(state->variant), state->draw);
        sql_check_state(&recording->run, state->image, state->variant, state->draw, &expected);
    }
}

static void visit_all(struct recording *recording) {
    const struct crash_plan plan = {
        .disk = recording->disk,
        .from = recording->from,
        .to = recording->to,
        .seed = recording->seed,
        .one_in = recording->one_in,
        .with_kill = true,
        .with_sizes = cases.is_long,
    };

    crash_each_state(&cases, &plan, visit_state, recording);
}

static void run_workload(const struct workload *workload) {
    struct recording recording;

    record(workload, &recording);
    visit_all(&recording);
    forget(&recording);
    cases_add("workloads", 1);
}

/* ---- the run ---- */

/* Each in one configuration, which the seed moves on; with --long in all of them. */
static void run_in_configs(struct workload *workload, uint64_t number) {
    const uint32_t configs = sql_config_count();

    for (uint32_t i = 0; i < (cases.is_long ? configs : 1) && cases_more(&cases); i++) {
        workload->config = (uint32_t)((number + cases.seed + i) % configs);
        workload->has_reader = ((number + cases.seed) / configs + i) % 2 != 0;
        workload->seed = sim_mix(cases.seed, number) >> 16;
        run_workload(workload);
    }
}

/* Sequences are numbered: one operation, then two, then three. */
static void set_sequence(uint64_t number, struct workload *workload) {
    uint64_t all = SQL_OPERATIONS;

    workload->count = 1;
    while (number >= all) {
        number -= all;
        all *= SQL_OPERATIONS;
        workload->count++;
    }
    for (uint32_t i = workload->count; i > 0; i--) {
        workload->operations[i - 1] = (uint32_t)(number % SQL_OPERATIONS);
        number /= SQL_OPERATIONS;
    }
}

/* A smaller run takes a part of each. */
static void run_scripts(void) {
    const uint64_t whole = cases.is_deeper ? DEEPER_STATES : QUICK_STATES;

    for (uint64_t i = 0; i < SCRIPTS && cases_more(&cases); i++) {
        if (i % cases.parts == cases.part) {
            struct workload workload = {.one_in =
                                            (uint32_t)(whole / (cases.count * cases.parts) + 1)};
            (void)parse_operations(scripts[i], &workload);
            run_in_configs(&workload, i);
        }
    }
}

/* All, in an order that begins elsewhere for each seed. */
static void run_sequences(void) {
    for (uint64_t i = 0; i < SEQUENCES && cases_more(&cases); i++) {
        const uint64_t number = (cases.seed + i * SEQUENCE_STEP) % SEQUENCES;
        if (i % cases.parts == cases.part) {
            struct workload workload = {.only_last = true};
            set_sequence(number, &workload);
            run_in_configs(&workload, number);
        }
    }
}

static void run_drawn(void) {
    for (uint64_t i = 0; cases_more(&cases); i++) {
        struct workload workload = {.count = DRAWN_OPERATIONS};
        uint64_t random = sim_mix(sim_mix(cases.seed, cases.part), i);
        for (uint32_t k = 0; k < workload.count; k++) {
            workload.operations[k] = (uint32_t)(sim_next(&random) % SQL_OPERATIONS);
        }
        run_in_configs(&workload, SEQUENCES + i * cases.parts + cases.part);
    }
}

/* ---- replays ---- */

/* SEED CONFIG READER OPERATION,... */
static bool parse_workload(char **at, struct workload *workload) {
    const char *words[4];

    for (unsigned i = 0; i < 4; i++) {
        words[i] = strsep(at, " ");
        if (words[i] == NULL) {
            return false;
        }
    }
    workload->seed = strtoull(words[0], NULL, 10);
    workload->config = (uint32_t)strtoul(words[1], NULL, 10);
    workload->has_reader = strcmp(words[2], "0") != 0;
    return workload->config < sql_config_count() && parse_operations(words[3], workload);
}

/* POSITION VARIANT DRAW */
static bool parse_state(char **at, const struct recording *recording, struct crash_state *state) {
    const char *position = strsep(at, " ");
    const char *variant = strsep(at, " ");
    const char *draw = strsep(at, " ");

    if (draw == NULL || !crash_variant_parse(variant, &state->variant)) {
        return false;
    }
    state->position = strtoull(position, NULL, 10);
    state->draw = strtoull(draw, NULL, 10);
    state->image = crash_one_state(recording->disk, state->position, state->variant, state->draw);
    return state->image != NULL;
}

/* One state; or of its recovery, if more words follow. */
static bool replay_state(const struct recording *recording, char *at) {
    struct crash_state state = {0};
    bool is_known = parse_state(&at, recording, &state);

    if (is_known && at == NULL) {
        visit_state((void *)(uintptr_t)recording, &state);
    } else if (is_known) {
        struct recording deeper;
        record_recovery(recording, &state, &deeper);
        is_known = replay_state(&deeper, at);
        forget(&deeper);
    }
    sim_image_release(state.image);
    return is_known;
}

/* Without words about a state, all of the workload. */
static bool replay_words(char *words) {
    struct workload workload = {0};
    struct recording recording;
    char *at = words;
    bool is_known = true;

    if (!parse_workload(&at, &workload)) {
        return false;
    }
    record(&workload, &recording);
    if (at == NULL) {
        visit_all(&recording);
    } else {
        is_known = replay_state(&recording, at);
    }
    forget(&recording);
    return is_known;
}

static void replay(const char *words) {
    char copy[WORDS_BYTES];

    (void)snprintf(copy, sizeof copy, "%s", words);
    if (!replay_words(copy)) {
        fprintf(stderr, "crash_sql: there is no case \"%s\"\n", words);
        exit(2);
    }
}

int main(int argc, char **argv) {
    is_self = sql_take_self(&argc, argv);
    for (int i = 1; i < argc; i++) {
        cases.count = strcmp(argv[i], "--deeper") == 0 ? DEEPER_STATES : cases.count;
    }
    cases_begin(&cases, argc, argv);
    sim_sqlite_begin();
    sim_world_begin(cases.seed, SIM_IN_ORDER);
    if (!cases_replay(&cases, replay)) {
        while (cases_next_slice(&cases)) {
            run_scripts();
            run_sequences();
            run_drawn();
        }
    }
    release_bases();
    if (!is_self) {
        cases_add("recoveries from an index", sim_world_index_recoveries());
        cases_expect(&cases, "recoveries from an index");
    }
    sim_world_end();
    return cases_end(&cases, "P1 P2 P3");
}
