/* sched.c - see sched.h.
 *
 * Exhaustive search repeats the scenario with a prefix of choices and 0 after it, first for one
 * preemption, then for two, and so on. The
 * deepest step with an untried choice is then advanced: depth first, without stored states.
 * Switching away from a fibre that could go on is a preemption; their number is bounded. A
 * fibre that yields is not preempted to before another one has made a step.
 */
#include "sched.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fibre.h"

#define STEPS_MAX 4000u
#define NO_FIBRE SCHED_FIBRES_MAX
#define UNBOUNDED UINT32_MAX

struct sched_fibre {
    struct fibre fibre;
    bool is_done;
    bool has_yielded;    /* and no other fibre has made a step since */
    uint64_t *late_word; /* of a store that only this fibre sees, or NULL */
    uint64_t late_value;
};

static struct {
    const struct sched_scenario *scenario;
    struct sched_fibre fibres[SCHED_FIBRES_MAX];
    struct fibre main;
    uint32_t current; /* NO_FIBRE: the scenario's preparation or end */
    uint32_t step_count;
    uint32_t preemption_count;
    uint32_t preemptions_max;
    bool is_random;
    bool has_late_stores;
    uint32_t switch_odds; /* of a random schedule: one in so many steps */
    uint64_t random_state;
    const char *failure;
    uint8_t choices[STEPS_MAX];
    uint8_t option_counts[STEPS_MAX];
} sched;

static uint64_t next_random(void) {
    uint64_t mixed = sched.random_state += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

void sched_expect(bool is_true, const char *what) {
    if (!is_true && sched.failure == NULL) {
        sched.failure = what;
    }
}

static void print_failure(void) {
    fprintf(stderr, "%s: %s\n  replay: \"%s", sched.scenario->name, sched.failure,
            sched.scenario->name);
    for (uint32_t i = 0; i < sched.step_count && i < STEPS_MAX; i++) {
        if (sched.choices[i] != 0) {
            fprintf(stderr, " %u:%u", i, sched.choices[i]);
        }
    }
    fprintf(stderr, "\"\n");
}

/* Takes the step's choice, or draws it. */
static uint32_t decide(uint32_t option_count) {
    const uint32_t step = sched.step_count++;

    if (step >= STEPS_MAX) {
        sched_expect(false, "no end: fibres wait for each other");
        print_failure();
        exit(EXIT_FAILURE); /* their stacks cannot be unwound */
    }
    sched.option_counts[step] = (uint8_t)option_count;
    if (sched.is_random) {
        sched.choices[step] = 0;
        if (option_count > 1 && next_random() % sched.switch_odds == 0) {
            sched.choices[step] = (uint8_t)(next_random() % option_count);
        }
    }
    return sched.choices[step] < option_count ? sched.choices[step] : 0;
}

/* The fibres, other than the current one, that can go on, in turn after it. */
static uint32_t list_others(uint32_t *others, bool with_yielded) {
    const uint32_t fibre_count = sched.scenario->fibre_count;
    uint32_t count = 0;

    for (uint32_t i = 1; i <= fibre_count; i++) {
        const uint32_t number = (sched.current + i) % fibre_count;
        const struct sched_fibre *fibre = &sched.fibres[number];

        if (number != sched.current && !fibre->is_done && (with_yielded || !fibre->has_yielded)) {
            others[count++] = number;
        }
    }
    return count;
}

static void switch_to(uint32_t next) {
    struct sched_fibre *from = &sched.fibres[sched.current];

    sched.current = next;
    fibre_switch(&from->fibre, &sched.fibres[next].fibre);
}

void sched_point(void) {
    uint32_t others[SCHED_FIBRES_MAX];
    uint32_t other_count = 0;
    uint32_t choice;

    if (sched.current == NO_FIBRE) {
        return;
    }
    for (uint32_t i = 0; i < sched.scenario->fibre_count; i++) {
        sched.fibres[i].has_yielded = false;
    }
    if (sched.preemption_count < sched.preemptions_max) {
        other_count = list_others(others, false);
    }
    choice = decide(1 + other_count);
    if (choice > 0) {
        sched.preemption_count++;
        switch_to(others[choice - 1]);
    }
}

/* ---- late stores ---- */

static void show(struct sched_fibre *fibre) {
    if (fibre->late_word != NULL) {
        *fibre->late_word = fibre->late_value;
        fibre->late_word = NULL;
    }
}

void sched_allow_late_stores(bool is_allowed) {
    sched.has_late_stores = is_allowed;
}

void sched_show_stores(void) {
    if (sched.current != NO_FIBRE) {
        show(&sched.fibres[sched.current]);
    }
}

void sched_store_light(uint64_t *word, uint64_t value) {
    sched_show_stores();
    if (sched.current != NO_FIBRE && sched.has_late_stores && decide(2) != 0) {
        sched.fibres[sched.current].late_word = word;
        sched.fibres[sched.current].late_value = value;
    } else {
        *word = value;
    }
}

uint64_t sched_seen(const uint64_t *word) {
    const struct sched_fibre *fibre = &sched.fibres[sched.current % SCHED_FIBRES_MAX];

    return sched.current != NO_FIBRE && fibre->late_word == word ? fibre->late_value : *word;
}

bool sched_fence_fibres(void) {
    for (uint32_t i = 0; sched.current != NO_FIBRE && i < sched.scenario->fibre_count; i++) {
        show(&sched.fibres[i]);
    }
    return sched.has_late_stores;
}

/* ---- switching ---- */

/* The fibre that goes on when the current one cannot, or NO_FIBRE. */
static uint32_t choose_other(void) {
    uint32_t others[SCHED_FIBRES_MAX];
    const uint32_t other_count = list_others(others, true);

    return other_count == 0 ? NO_FIBRE : others[decide(other_count)];
}

/* Passing over the fibre whose turn it is counts as a preemption: else two fibres that wait
 * for a third could yield to each other for ever. */
static uint32_t choose_after_yield(void) {
    uint32_t others[SCHED_FIBRES_MAX];
    const uint32_t other_count = list_others(others, true);
    const bool is_bound = sched.preemption_count == sched.preemptions_max;
    uint32_t choice;

    if (other_count == 0) {
        return NO_FIBRE;
    }
    choice = decide(is_bound ? 1 : other_count);
    sched.preemption_count += choice > 0;
    return others[choice];
}

void sched_yield_point(void) {
    uint32_t next;

    if (sched.current == NO_FIBRE) {
        return;
    }
    sched_show_stores();
    sched.fibres[sched.current].has_yielded = true;
    next = choose_after_yield();
    if (next != NO_FIBRE) {
        switch_to(next);
    } else {
        (void)decide(1); /* counts, so that a fibre that waits for nobody ends the run */
    }
}

static void fibre_main(void) {
    struct sched_fibre *self = &sched.fibres[sched.current];
    uint32_t next;

    sched.scenario->run(sched.current);
    sched_show_stores();
    self->is_done = true;
    next = choose_other();
    sched.current = next;
    fibre_switch(&self->fibre, next == NO_FIBRE ? &sched.main : &sched.fibres[next].fibre);
}

static void make_fibre(uint32_t number) {
    struct sched_fibre *fibre = &sched.fibres[number];

    fibre->is_done = false;
    fibre->has_yielded = false;
    fibre->late_word = NULL;
    fibre_init(&fibre->fibre, fibre_main);
}

/* Runs one schedule; true if it passes. */
static bool run_schedule(const struct sched_scenario *scenario) {
    sched.scenario = scenario;
    sched.current = NO_FIBRE;
    sched.step_count = 0;
    sched.preemption_count = 0;
    sched.failure = NULL;
    sched.has_late_stores = false;
    scenario->prepare();
    for (uint32_t i = 0; i < scenario->fibre_count; i++) {
        make_fibre(i);
    }
    sched.current = choose_other();
    fibre_init_running(&sched.main);
    fibre_switch(&sched.main, &sched.fibres[sched.current].fibre);
    for (uint32_t i = 0; i < scenario->fibre_count; i++) {
        fibre_finish(&sched.fibres[i].fibre);
    }
    scenario->finish();
    if (sched.failure != NULL) {
        print_failure();
    }
    return sched.failure == NULL;
}

/* Sets up the next prefix; false when there is none. */
static bool advance(void) {
    uint32_t step = sched.step_count;

    while (step > 0 && sched.choices[step - 1] + 1 >= sched.option_counts[step - 1]) {
        step--;
    }
    if (step == 0) {
        return false;
    }
    sched.choices[step - 1]++;
    memset(&sched.choices[step], 0, STEPS_MAX - step);
    return true;
}

/* All schedules with at most so many preemptions, as far as the plan allows. */
static void explore_bounded(const struct sched_scenario *scenario, const struct sched_plan *plan,
                            uint32_t preemptions_max, struct sched_result *result) {
    memset(sched.choices, 0, sizeof sched.choices);
    sched.is_random = false;
    sched.preemptions_max = preemptions_max;
    result->is_complete = false;
    while (result->exhaustive_count < plan->exhaustive_max) {
        result->exhaustive_count++;
        if (!run_schedule(scenario)) {
            result->has_failed = true;
            return;
        }
        if (!advance()) {
            result->is_complete = true;
            return;
        }
    }
}

/* Few preemptions first: most that goes wrong does so with one, and there are not many. */
static void explore_all(const struct sched_scenario *scenario, const struct sched_plan *plan,
                        struct sched_result *result) {
    for (uint32_t bound = 1; bound <= plan->preemptions_max && !result->has_failed; bound++) {
        explore_bounded(scenario, plan, bound, result);
    }
}

static void explore_random(const struct sched_scenario *scenario, const struct sched_plan *plan,
                           struct sched_result *result) {
    sched.is_random = true;
    sched.preemptions_max = UNBOUNDED;
    while (!result->has_failed && result->random_count < plan->random_count) {
        sched.random_state = plan->seed + result->random_count++;
        sched.switch_odds = 2 + (uint32_t)(next_random() % 15);
        result->has_failed = !run_schedule(scenario);
    }
}

struct sched_result sched_explore(const struct sched_scenario *scenario,
                                  const struct sched_plan *plan) {
    struct sched_result result = {0};

    explore_all(scenario, plan, &result);
    if (!result.has_failed) {
        explore_random(scenario, plan, &result);
    }
    return result;
}

bool sched_replay(const struct sched_scenario *scenario, const char *choices) {
    uint32_t step;
    uint32_t choice;
    int used;

    memset(sched.choices, 0, sizeof sched.choices);
    sched.is_random = false;
    sched.preemptions_max = UNBOUNDED;
    while (sscanf(choices, " %" SCNu32 ":%" SCNu32 "%n", &step, &choice, &used) == 2) {
        if (step < STEPS_MAX) {
            sched.choices[step] = (uint8_t)choice;
        }
        choices += used;
    }
    return run_schedule(scenario);
}

/* ---- main ---- */

#if defined(__SANITIZE_THREAD__)
#define HAS_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_THREAD_SANITIZER 1
#endif
#endif
#ifndef HAS_THREAD_SANITIZER
#define HAS_THREAD_SANITIZER 0
#endif

#define EXIT_SKIPPED 77

static int replay_named(const struct sched_scenario *scenarios, uint32_t scenario_count,
                        const char *text) {
    const size_t name_length = strcspn(text, " ");

    for (uint32_t i = 0; i < scenario_count; i++) {
        if (strlen(scenarios[i].name) == name_length &&
            strncmp(scenarios[i].name, text, name_length) == 0) {
            return sched_replay(&scenarios[i], text + name_length) ? EXIT_SUCCESS : EXIT_FAILURE;
        }
    }
    fprintf(stderr, "no such scenario: %s\n", text);
    return EXIT_FAILURE;
}

/* True if it passes. */
static bool explore_and_print(const struct sched_scenario *scenario, const struct sched_plan *plan,
                              uint64_t *schedule_count) {
    struct sched_result result = sched_explore(scenario, plan);

    *schedule_count += result.exhaustive_count + result.random_count;
    printf("%-28s %7" PRIu64 " with at most %u preemptions%s, %6" PRIu64 " random: %s\n",
           scenario->name, result.exhaustive_count, plan->preemptions_max,
           result.is_complete ? " (all)" : "", result.random_count,
           result.has_failed ? "FAILED" : "ok");
    return !result.has_failed;
}

int sched_main(int argument_count, char **arguments, const struct sched_scenario *scenarios,
               uint32_t scenario_count) {
    struct sched_plan plan = {
        .preemptions_max = 2,
        .exhaustive_max = 20000,
        .random_count = argument_count > 1 ? strtoull(arguments[1], NULL, 0) : 5000,
        .seed = argument_count > 2 ? strtoull(arguments[2], NULL, 0) : 1,
    };
    const char *scale = getenv("FASTER_TEST_SCALE");
    uint64_t schedule_count = 0;
    bool has_passed = true;

    if (scale != NULL) {
        plan.exhaustive_max = plan.exhaustive_max * strtoull(scale, NULL, 10) / 100 + 1;
        plan.random_count = plan.random_count * strtoull(scale, NULL, 10) / 100 + 1;
    }
    if (HAS_THREAD_SANITIZER) {
        printf("skipped under a thread sanitizer\n");
        return EXIT_SKIPPED;
    }
    if (argument_count == 3 && strcmp(arguments[1], "--replay") == 0) {
        return replay_named(scenarios, scenario_count, arguments[2]);
    }
    for (uint32_t i = 0; i < scenario_count; i++) {
        has_passed = explore_and_print(&scenarios[i], &plan, &schedule_count) && has_passed;
    }
    printf("%" PRIu64 " schedules, seed %" PRIu64 ": %s\n", schedule_count, plan.seed,
           has_passed ? "ok" : "FAILED");
    return has_passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
