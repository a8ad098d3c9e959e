/* crash_driver.c - see crash_driver.h. */
#include "crash_driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_run.h"
#include "sim_world.h"
#include "test_env.h"

#define ROOT_ONE_IN 16u  /* states of the workload, with --deeper */
#define DEEPER_ONE_IN 8u /* states of a recovery */
#define DEPTH_MAX 3u
#define SEQUENCE_STEP 1103u /* a prime that divides no number of sequences */
#define LOG_LINES 40u
#define CALLS_MAX 40u /* a recovery makes about so many */
#define MAPS_MAX 4u

static const char *const FAILURE_NAMES[CRASH_FAILURES] = {"io", "space", "allocate", "map"};

/* One run of a program. */
static struct {
    const struct crash_kind *kind;
    const struct cases *cases;
    /* What is being checked, for a failure's report. */
    const struct sim_disk *disk;
    uint64_t position;
} driver;

static void print_log(void) {
    if (driver.disk != NULL) {
        sim_log_print(driver.disk, driver.position > LOG_LINES ? driver.position - LOG_LINES : 0,
                      driver.position);
    }
}

/* ---- failing calls ---- */

void crash_arm(enum crash_failure failure, uint64_t nth) {
    const struct sim_fault fault = {.calls = UINT32_MAX,
                                    .files = UINT32_MAX,
                                    .first = nth,
                                    .times = 1,
                                    .effect = failure == CRASH_FAIL_IO ? SIM_EIO : SIM_ENOSPC};
    if (failure == CRASH_FAIL_ALLOCATE || failure == CRASH_FAIL_MAP) {
        fst_test_env_fail(sim_world_test_env(),
                          failure == CRASH_FAIL_MAP ? FST_TEST_MAP : FST_TEST_ALLOCATE, nth, 1,
                          FASTER_NOMEM);
    } else {
        sim_fault_arm(&fault);
    }
}

bool crash_heal(enum crash_failure failure) {
    struct fst_test_env *test = sim_world_test_env();
    uint64_t fired = sim_fault_fired();
    if (failure == CRASH_FAIL_ALLOCATE || failure == CRASH_FAIL_MAP) {
        fired =
            fst_test_env_failed(test, failure == CRASH_FAIL_MAP ? FST_TEST_MAP : FST_TEST_ALLOCATE);
    }
    fst_test_env_heal_all(test);
    sim_fault_arm(NULL);
    return fired > 0;
}

/* ---- workloads ---- */

/* Adds operations by their names; false: there is none of such a name. */
static bool add_ops(struct crash_workload *workload, const char *names) {
    const struct crash_kind *kind = driver.kind;
    while (*names != '\0') {
        const size_t count = strcspn(names, ",");
        uint32_t op = 0;
        while (op < kind->op_count && (strlen(kind->op_names[op]) != count ||
                                       strncmp(kind->op_names[op], names, count) != 0)) {
            op++;
        }
        if (op == kind->op_count || workload->op_count == CRASH_OPS_MAX) {
            return false;
        }
        workload->ops[workload->op_count++] = op;
        names += count + (names[count] == ',');
    }
    return true;
}

static bool take_script(struct crash_workload *workload, const char *name) {
    for (uint32_t i = 0; i < driver.kind->script_count; i++) {
        const struct crash_script *script = &driver.kind->scripts[i];
        if (strcmp(script->name, name) != 0) {
            continue;
        }
        workload->one_in = script->one_in;
        workload->from_empty = script->from_empty;
        for (uint32_t turn = 0; turn < script->repeat; turn++) {
            if (!add_ops(workload, script->ops)) {
                return false;
            }
        }
        return true;
    }
    return false;
}

static void draw_ops(struct crash_workload *workload, uint64_t seed) {
    uint64_t random = sim_mix(seed, 1);
    const uint64_t count = 4 + sim_next(&random) % 40;
    while (workload->op_count < count) {
        workload->ops[workload->op_count++] = (uint32_t)(sim_next(&random) % driver.kind->op_count);
    }
    workload->one_in = 4;
}

static bool parse_workload(struct crash_workload *workload, const char *words, uint64_t seed) {
    *workload = (struct crash_workload){.one_in = 1};
    (void)snprintf(workload->words, sizeof workload->words, "%s", words);
    if (strncmp(words, "script:", 7) == 0) {
        return take_script(workload, words + 7);
    }
    if (strncmp(words, "ops:", 4) == 0) {
        workload->only_last = true;
        return add_ops(workload, words + 4);
    }
    draw_ops(workload, seed);
    return strcmp(words, "drawn") == 0;
}

/* False: there is no such workload or configuration. */
static bool record(const char *words, uint64_t seed, uint32_t config,
                   struct crash_recording *recording) {
    struct crash_workload workload;
    if (config >= driver.kind->config_count || !parse_workload(&workload, words, seed)) {
        return false;
    }
    *recording =
        (struct crash_recording){.seed = seed, .one_in = workload.one_in, .config = config};
    (void)snprintf(recording->words, sizeof recording->words, "%" PRIu64 " %u %s", seed, config,
                   words);
    driver.kind->record(&workload, recording);
    return true;
}

static void forget(struct crash_recording *recording) {
    driver.kind->forget(recording);
    sim_disk_destroy(recording->disk);
}

/* ---- states ---- */

static void name_state(const struct crash_recording *recording, const struct crash_state *state,
                       uint32_t choice, const char *more) {
    cases_name("%s %" PRIu64 " %s %" PRIu64 " %u%s", recording->words, state->position,
               crash_variant_name(state->variant), state->draw, choice, more);
}

static void check(const struct crash_recording *recording, const struct crash_state *state,
                  uint32_t choice) {
    driver.disk = recording->disk;
    driver.position = state->position;
    driver.kind->check(recording, state, choice);
    driver.disk = NULL;
}

static void record_recovery(const struct crash_recording *recording,
                            const struct crash_state *state, uint32_t choice,
                            struct crash_recording *deeper) {
    *deeper = (struct crash_recording){.seed = state->draw,
                                       .one_in = 1,
                                       .depth = recording->depth + 1,
                                       .config = recording->config};
    const int count = snprintf(
        deeper->words, sizeof deeper->words, "%s %" PRIu64 " %s %" PRIu64 " %u", recording->words,
        state->position, crash_variant_name(state->variant), state->draw, choice);
    CASES_CHECK(count > 0 && (size_t)count < sizeof deeper->words, "replay", "too many words");
    driver.kind->record_recovery(recording, state, choice, deeper);
}

static void visit_all(const struct crash_recording *recording);

static void go_deeper(const struct crash_recording *recording, const struct crash_state *state,
                      uint32_t choice) {
    struct crash_recording deeper;
    name_state(recording, state, choice, "");
    record_recovery(recording, state, choice, &deeper);
    visit_all(&deeper);
    forget(&deeper);
}

/* One call of each kind, drawn. */
static void fail_in_recovery(const struct crash_recording *recording,
                             const struct crash_state *state, uint32_t choice) {
    char more[64];
    for (enum crash_failure failure = 0; failure < CRASH_FAILURES; failure++) {
        const uint64_t nth =
            1 + sim_mix(state->draw, failure) % (failure == CRASH_FAIL_MAP ? MAPS_MAX : CALLS_MAX);
        (void)snprintf(more, sizeof more, " %s %" PRIu64, FAILURE_NAMES[failure], nth);
        name_state(recording, state, choice, more);
        const bool has_failed = driver.kind->fail_once(recording, state, choice, failure, nth);
        cases_add("failing calls", has_failed ? 1 : 0);
    }
}

static void visit_choice(const struct crash_recording *recording, const struct crash_state *state,
                         uint32_t choice) {
    const struct crash_kind *kind = driver.kind;
    const bool is_deeper = driver.cases->is_deeper && kind->has_store(recording, state);
    if (driver.cases->is_deeper && recording->depth == 0) {
        if (is_deeper && state->draw % ROOT_ONE_IN == 0) {
            go_deeper(recording, state, choice);
            fail_in_recovery(recording, state, choice);
        }
        return;
    }
    if (!cases_is_new(sim_image_hash(state->image), kind->identity(recording, state, choice),
                      recording->config)) {
        return;
    }
    name_state(recording, state, choice, "");
    check(recording, state, choice);
    if (is_deeper && recording->depth < DEPTH_MAX && state->draw % DEEPER_ONE_IN == 0) {
        go_deeper(recording, state, choice);
    }
}

static void visit_state(void *context, const struct crash_state *state) {
    const struct crash_recording *recording = context;
    const uint32_t choices = driver.kind->choices(recording, state);
    for (uint32_t choice = 0; choice < choices; choice++) {
        visit_choice(recording, state, choice);
    }
}

static void visit_all(const struct crash_recording *recording) {
    const struct crash_plan plan = {.disk = recording->disk,
                                    .from = recording->from,
                                    .to = recording->to,
                                    .seed = recording->seed,
                                    .one_in = recording->one_in,
                                    .with_kill = true,
                                    .with_sizes = driver.cases->is_long};
    crash_each_state(driver.cases, &plan, visit_state, (void *)recording);
}

/* ---- replays ---- */

/* The next word; "": there is none. */
static const char *next_word(char **at) {
    const char *word = strsep(at, " ");
    return word != NULL ? word : "";
}

/* Of a regression: the workload takes another course than it did. */
static _Noreturn void no_such_case(const char *words) {
    if (driver.cases->replay == NULL) {
        cases_fail("replay", "there is no case \"%s\" any more", words);
    }
    fprintf(stderr, "%s: there is no case \"%s\"\n", driver.kind->program, words);
    exit(2);
}

static bool parse_failure(const char *word, enum crash_failure *failure) {
    *failure = 0;
    while (*failure < CRASH_FAILURES && strcmp(FAILURE_NAMES[*failure], word) != 0) {
        (*failure)++;
    }
    return *failure < CRASH_FAILURES;
}

static bool replay_state(const struct crash_recording *recording, const char *first, char *at);

/* What comes after the words of a state: nothing, a call that fails, or a state of its recovery. */
static bool replay_after(const struct crash_recording *recording, const struct crash_state *state,
                         uint32_t choice, char *at) {
    enum crash_failure failure;
    const char *word = next_word(&at);
    if (*word == '\0') {
        check(recording, state, choice);
        return true;
    }
    if (parse_failure(word, &failure)) {
        (void)driver.kind->fail_once(recording, state, choice, failure,
                                     strtoull(next_word(&at), NULL, 10));
        return true;
    }
    struct crash_recording deeper;
    record_recovery(recording, state, choice, &deeper);
    const bool is_known = replay_state(&deeper, word, at);
    forget(&deeper);
    return is_known;
}

/* `first` is the position, the rest follows. */
static bool replay_state(const struct crash_recording *recording, const char *first, char *at) {
    struct crash_state state = {.position = strtoull(first, NULL, 10)};
    if (!crash_variant_parse(next_word(&at), &state.variant)) {
        return false;
    }
    state.draw = strtoull(next_word(&at), NULL, 10);
    const uint32_t choice = (uint32_t)strtoul(next_word(&at), NULL, 10);
    state.image = crash_one_state(recording->disk, state.position, state.variant, state.draw);
    const bool is_known = state.image != NULL && choice < driver.kind->choices(recording, &state) &&
                          replay_after(recording, &state, choice, at);
    sim_image_release(state.image);
    return is_known;
}

static void replay(const char *words) {
    struct crash_recording recording;
    char copy[512];
    char *at = copy;
    (void)snprintf(copy, sizeof copy, "%s", words);
    const uint64_t seed = strtoull(next_word(&at), NULL, 10);
    const uint32_t config = (uint32_t)strtoul(next_word(&at), NULL, 10);
    if (!record(next_word(&at), seed, config, &recording)) {
        no_such_case(words);
    }
    const char *first = next_word(&at);
    if (!replay_state(&recording, first, at)) {
        no_such_case(words);
    }
    forget(&recording);
}

/* ---- the run ---- */

/* Of the configurations `count` ones, evenly; a part of the boundaries if so is asked for. */
static void run_workload(const char *words, uint64_t seed, uint64_t number, uint32_t count,
                         uint32_t one_in) {
    const struct cases *cases = driver.cases;
    const uint32_t configs = driver.kind->config_count;
    for (uint32_t i = 0; i < count && cases_more(cases); i++) {
        struct crash_recording recording;
        const uint32_t config =
            (uint32_t)((number + cases->seed + i * (configs / count)) % configs);
        cases_name("%" PRIu64 " %u %s", seed, config, words);
        if (!record(words, seed, config, &recording)) {
            no_such_case(words);
        }
        recording.one_in *= one_in;
        visit_all(&recording);
        forget(&recording);
        cases_add("workloads", 1);
    }
}

/* Sequences are numbered: of one operation, then of two, then of three. */
static void sequence_words(uint64_t number, char words[64]) {
    const uint64_t ops = driver.kind->op_count;
    uint64_t count = 1;
    uint64_t all = ops;
    while (number >= all) {
        number -= all;
        all *= ops;
        count++;
    }
    (void)snprintf(words, 64, "ops:");
    for (uint64_t i = 0; i < count; i++) {
        const size_t length = strlen(words);
        all /= ops;
        (void)snprintf(words + length, 64 - length, "%s%s", i > 0 ? "," : "",
                       driver.kind->op_names[number / all % ops]);
    }
}

static uint32_t configs_each(uint32_t quick) {
    return driver.cases->is_long ? driver.kind->config_count : quick;
}

/* In an order of which each part is a sample of all. */
static void run_sequences(void) {
    const struct cases *cases = driver.cases;
    const uint64_t ops = driver.kind->op_count;
    const uint64_t all = ops + ops * ops + ops * ops * ops;
    char words[64];
    for (uint64_t i = 0; i < all && cases_more(cases); i++) {
        const uint64_t number = (i * SEQUENCE_STEP + cases->seed) % all;
        if (number % cases->parts == cases->part) {
            sequence_words(number, words);
            run_workload(words, cases->seed, number, configs_each(1), 1);
        }
    }
}

static bool is_wanted(const char *name) {
    return driver.cases->only == NULL || strcmp(driver.cases->only, name) == 0;
}

/* A smaller run takes a part of each script, not some scripts. */
static void run(void) {
    const struct cases *cases = driver.cases;
    const uint64_t whole = cases->is_deeper ? driver.kind->deeper_states : driver.kind->states;
    const uint32_t one_in = (uint32_t)(whole / (cases->count * cases->parts) + 1);
    char words[64];
    for (uint32_t i = 0; i < driver.kind->script_count; i++) {
        if (is_wanted(driver.kind->scripts[i].name) && i % cases->parts == cases->part) {
            (void)snprintf(words, sizeof words, "script:%s", driver.kind->scripts[i].name);
            run_workload(words, cases->seed, i, configs_each(2), one_in);
        }
    }
    if (is_wanted("sequences")) {
        run_sequences();
    }
    for (uint64_t i = 0; is_wanted("drawn") && cases_more(cases); i++) {
        run_workload("drawn", sim_mix(cases->seed, i * cases->parts + cases->part), i,
                     configs_each(1), 1);
    }
}

int crash_main(int argc, char **argv, const struct crash_kind *kind) {
    struct cases cases = {.program = kind->program, .count = kind->states};
    for (int i = 1; i < argc; i++) {
        cases.count = strcmp(argv[i], "--deeper") == 0 ? kind->deeper_states : cases.count;
    }
    driver.kind = kind;
    driver.cases = &cases;
    cases_begin(&cases, argc, argv);
    cases_on_failure(print_log);
    sim_world_begin(cases.seed, SIM_IN_ORDER);
    if (!cases_replay(&cases, replay)) {
        while (cases_next_slice(&cases)) {
            run();
        }
    }
    kind->finish();
    cases_add("recoveries from an index", sim_world_index_recoveries());
    cases_expect(&cases, "recoveries from an index");
    sim_world_end();
    return cases_end(&cases, kind->promises);
}
