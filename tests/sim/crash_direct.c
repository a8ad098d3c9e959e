/* crash_direct.c - a crash at every moment of a direct store's life (P1-P4).
 *
 * Strategy: a workload runs once, undisturbed, on a disk that keeps a log of all that was done to
 * it. At every boundary between two entries of the log a crash may have left several things; each
 * is made, opened and compared. The workloads are some scripts, with the creation of the store;
 * then each sequence of one, two and three of twelve operations, of which only the last one's
 * boundaries are new; then drawn ones.
 *
 * Invariants, after each crash: the store opens; what it holds is one of the versions that may be
 * left, from the last acknowledged commit on, whole (P2, P3); reads and a scan agree, verify finds
 * nothing (P4); opening it again gives the same; it takes further writes and commits, and keeps
 * them; nothing is left open or allocated. After a kill the same holds once more for a power cut
 * in the next life.
 *
 * --deeper: what comes after the crash, the recovery, a first write and a commit, is a workload
 * itself, and crashes at each of its boundaries, and again, to depth three; and calls and
 * allocations fail in it.
 *
 * Replay: crash_direct --replay "SEED CONFIG WORKLOAD POSITION VARIANT DRAW ..."; the last three
 * once for each depth.
 */
#include "crash_direct.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_run.h"
#include "sim_world.h"

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define QUICK_STATES 45000u
#define DEEPER_STATES 7000u
#define ROOT_ONE_IN 16u  /* states of the workload, with --deeper */
#define DEEPER_ONE_IN 8u /* states of a recovery */
#define DEPTH_MAX 3u
#define SEQUENCES (DIRECT_OPS + DIRECT_OPS * DIRECT_OPS + DIRECT_OPS * DIRECT_OPS * DIRECT_OPS)
#define SEQUENCE_STEP 1103u /* shares no divisor with it */

struct visit {
    const struct cases *cases;
    const struct direct_recording *recording;
};

static void visit_all(const struct cases *cases, const struct direct_recording *recording);

/* By the maps that may be left: that versions have one number does not say that they are one. */
static bool is_new(const struct direct_recording *recording, const struct crash_state *state,
                   struct case_range range) {
    uint64_t maps = (uint64_t)(recording->config->segment_bytes) + recording->config->io_threads;
    for (uint64_t version = range.low; version <= range.high; version++) {
        maps = sim_mix(maps, model_version_hash(recording->model, version));
    }
    return cases_is_new(sim_image_hash(state->image), maps, (uint64_t)(state->variant == SIM_KILL));
}

static void name_state(const struct direct_recording *recording, const struct crash_state *state,
                       const char *more) {
    cases_name("%s %" PRIu64 " %s %" PRIu64 "%s", recording->words, state->position,
               crash_variant_name(state->variant), state->draw, more);
}

static void go_deeper(const struct visit *visit, const struct crash_state *state,
                      struct case_range range) {
    if (!direct_was_created(visit->recording, state->position)) {
        return; /* perhaps there is no store */
    }
    name_state(visit->recording, state, "");
    struct direct_recording deeper = direct_record_recovery(visit->recording, state, range);
    visit_all(visit->cases, &deeper);
    direct_forget(&deeper);
}

/* Two calls of each kind, drawn among those that there are. */
static void fail_in_recovery(const struct visit *visit, const struct crash_state *state,
                             struct case_range range) {
    char more[64];
    if (!direct_was_created(visit->recording, state->position)) {
        return;
    }
    for (enum direct_failure failure = 0; failure < DIRECT_FAILURES; failure++) {
        uint64_t nth = 1 + sim_mix(state->draw, failure) % (failure == DIRECT_FAIL_MAP ? 4 : 40);
        (void)snprintf(more, sizeof more, " %s %" PRIu64, DIRECT_FAILURE_NAMES[failure], nth);
        name_state(visit->recording, state, more);
        cases_add("failing calls",
                  direct_fail_once(visit->recording, state, range, failure, nth) ? 1 : 0);
    }
}

static void visit_state(void *context, const struct crash_state *state) {
    const struct visit *visit = context;
    const struct direct_recording *recording = visit->recording;
    const struct case_range range = cases_acceptable(recording->disk, state->position);
    const bool is_root = visit->cases->is_deeper && recording->depth == 0;
    if (is_root && state->draw % ROOT_ONE_IN == 0) {
        go_deeper(visit, state, range);
        fail_in_recovery(visit, state, range);
    }
    if (is_root || !is_new(recording, state, range)) {
        return;
    }
    name_state(recording, state, "");
    direct_check_state(recording, state, range);
    if (visit->cases->is_deeper && recording->depth < DEPTH_MAX &&
        state->draw % DEEPER_ONE_IN == 0) {
        go_deeper(visit, state, range);
    }
}

static void visit_all(const struct cases *cases, const struct direct_recording *recording) {
    const struct visit visit = {cases, recording};
    const struct crash_plan plan = {.disk = recording->disk,
                                    .from = recording->from,
                                    .to = recording->to,
                                    .seed = recording->seed,
                                    .one_in = recording->one_in,
                                    .with_kill = true,
                                    .with_sizes = cases->is_long};
    crash_each_state(cases, &plan, visit_state, (void *)&visit);
}

/* ---- replays ---- */

/* The next word; "": there is none. */
static const char *next_word(char **at) {
    char *word = strsep(at, " ");
    return word != NULL ? word : "";
}

static _Noreturn void no_such_case(const char *words) {
    fprintf(stderr, "crash_direct: there is no case \"%s\"\n", words);
    exit(2);
}

/* POSITION VARIANT DRAW. */
static bool parse_state(const struct direct_recording *recording, char **at,
                        struct crash_state *state) {
    *state = (struct crash_state){.position = strtoull(next_word(at), NULL, 10)};
    if (!crash_variant_parse(next_word(at), &state->variant)) {
        return false;
    }
    state->draw = strtoull(next_word(at), NULL, 10);
    state->image = crash_one_state(recording->disk, state->position, state->variant, state->draw);
    return state->image != NULL;
}

/* By the first word. */
static bool parse_failure(const char *name, enum direct_failure *failure) {
    *failure = 0;
    const size_t count = strcspn(name, " ");
    while (*failure < DIRECT_FAILURES &&
           (strlen(DIRECT_FAILURE_NAMES[*failure]) != count ||
            strncmp(DIRECT_FAILURE_NAMES[*failure], name, count) != 0)) {
        (*failure)++;
    }
    return *failure < DIRECT_FAILURES;
}

/* The state itself, a failing call after it, or a state of its recovery. */
static bool replay_state(const struct direct_recording *recording, char *at) {
    struct crash_state state;
    enum direct_failure failure;
    if (!parse_state(recording, &at, &state)) {
        return false;
    }
    const struct case_range range = cases_acceptable(recording->disk, state.position);
    bool is_known = true;
    if (at == NULL) {
        direct_check_state(recording, &state, range);
    } else if (parse_failure(at, &failure)) {
        (void)next_word(&at);
        (void)direct_fail_once(recording, &state, range, failure,
                               strtoull(next_word(&at), NULL, 10));
    } else {
        struct direct_recording deeper = direct_record_recovery(recording, &state, range);
        is_known = replay_state(&deeper, at);
        direct_forget(&deeper);
    }
    sim_image_release(state.image);
    return is_known;
}

static void replay(const char *words) {
    struct direct_recording recording;
    char copy[512];
    char *at = copy;
    (void)snprintf(copy, sizeof copy, "%s", words);
    const uint64_t seed = strtoull(next_word(&at), NULL, 10);
    const uint32_t config = (uint32_t)strtoul(next_word(&at), NULL, 10);
    if (!direct_record(next_word(&at), seed, config, &recording) || !replay_state(&recording, at)) {
        no_such_case(words);
    }
    direct_forget(&recording);
}

/* ---- the run ---- */

static void run_workload(const struct cases *cases, const char *words, uint64_t seed,
                         uint64_t number) {
    struct direct_recording recording;
    const uint32_t configs = direct_config_count();
    for (uint32_t i = 0; i < (cases->is_long ? configs : 1) && cases_more(cases); i++) {
        const uint32_t config = (uint32_t)((number + cases->seed + i) % configs);
        cases_name("%" PRIu64 " %u %s", seed, config, words);
        if (!direct_record(words, seed, config, &recording)) {
            no_such_case(words);
        }
        visit_all(cases, &recording);
        direct_forget(&recording);
        cases_add("workloads", 1);
    }
}

/* Sequences are numbered: one operation, then two, then three. */
static void sequence_words(uint64_t number, char words[64]) {
    uint64_t count = 1;
    uint64_t first = 0;
    uint64_t all = DIRECT_OPS;
    while (number - first >= all) {
        first += all;
        all *= DIRECT_OPS;
        count++;
    }
    number -= first;
    (void)snprintf(words, 64, "ops:");
    for (uint64_t i = 0; i < count; i++) {
        const size_t length = strlen(words);
        all /= DIRECT_OPS;
        (void)snprintf(words + length, 64 - length, "%s%s", i > 0 ? "," : "",
                       DIRECT_OP_NAMES[number / all % DIRECT_OPS]);
    }
}

/* In an order that a part of it is of every kind. */
static void run_sequences(const struct cases *cases) {
    char words[64];
    for (uint64_t i = 0; i < SEQUENCES && cases_more(cases); i++) {
        const uint64_t number = (i * SEQUENCE_STEP + cases->seed) % SEQUENCES;
        if (number % cases->parts == cases->part) {
            sequence_words(number, words);
            run_workload(cases, words, cases->seed, number);
        }
    }
}

static bool is_wanted(const struct cases *cases, const char *name) {
    return cases->only == NULL || strcmp(cases->only, name) == 0;
}

static void run(const struct cases *cases) {
    char words[64];
    for (uint32_t i = 0; i < direct_script_count(); i++) {
        if (is_wanted(cases, direct_script_name(i)) && i % cases->parts == cases->part) {
            (void)snprintf(words, sizeof words, "script:%s", direct_script_name(i));
            run_workload(cases, words, cases->seed, i);
        }
    }
    if (is_wanted(cases, "sequences")) {
        run_sequences(cases);
    }
    for (uint64_t i = 0; is_wanted(cases, "drawn") && cases_more(cases); i++) {
        run_workload(cases, "drawn", sim_mix(cases->seed, i * cases->parts + cases->part), i);
    }
}

int main(int argc, char **argv) {
    struct cases cases = {.program = "crash_direct", .count = QUICK_STATES};
    for (int i = 1; i < argc; i++) {
        cases.count = strcmp(argv[i], "--deeper") == 0 ? DEEPER_STATES : cases.count;
    }
    cases_begin(&cases, argc, argv);
    cases_on_failure(direct_print_log);
    sim_world_begin(cases.seed, SIM_IN_ORDER);
    if (!cases_replay(&cases, replay)) {
        while (cases_next_slice(&cases)) {
            run(&cases);
        }
    }
    direct_finish();
    sim_world_end();
    return cases_end(&cases, "P1 P2 P3 P4");
}
