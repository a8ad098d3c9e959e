/* cases.c - arguments, counts and reports of programs that run many cases; see cases.h. */
#include "cases.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sim_run.h"

#define NAME_BYTES 512u
#define FIGURES_MAX 24u
#define WATCHDOG_SECONDS 120u
#define SEEN_BITS_MIN 12u
#define SIGNAL_STACK_BYTES 65536u

struct figure {
    const char *name;
    uint64_t number;
};

static struct {
    const char *program;
    char name[NAME_BYTES]; /* of the present case */
    void (*print)(void);
    uint64_t generated, states, cases;
    uint64_t in_slice; /* states or cases */
    uint64_t slices;
    struct figure figures[FIGURES_MAX];
    size_t figure_count;
    /* What was checked, as hashes that are not 0: open addressing, half empty at least. */
    uint64_t *seen;
    uint32_t seen_bits;
    uint64_t seen_count;
} run;

/* ---- reports ---- */

static void print_replay(void) {
    fprintf(stderr, "replay: %s --replay \"%s\"\n", run.program, run.name);
    if (run.print != NULL) {
        run.print();
    }
}

void cases_name(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(run.name, sizeof run.name, format, arguments);
    va_end(arguments);
    alarm(WATCHDOG_SECONDS);
}

void cases_on_failure(void (*print)(void)) {
    run.print = print;
}

/* Without what exit() does: a store that is still open would be reported, too. */
void cases_fail(const char *promise, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: %s: ", run.program, promise);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    print_replay();
    fflush(NULL);
    _exit(1);
}

static void write_text(const char *text) {
    if (write(STDERR_FILENO, text, strlen(text)) < 0) {
        _exit(2);
    }
}

/* Only what a handler may call. */
static void on_signal(int number) {
    write_text(run.program);
    write_text(number == SIGALRM ? ": hangs" : ": a signal");
    write_text("\nreplay: ");
    write_text(run.program);
    write_text(" --replay \"");
    write_text(run.name);
    write_text("\"\n");
    if (number == SIGALRM) {
        _exit(1);
    }
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* A sanitizer that has taken a signal prints more than we do. */
static void catch_signal(int number) {
    struct sigaction before;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_DFL) {
        (void)sigaction(number, &action, NULL);
    }
}

/* Fibres that overflow their stacks have none for a handler. */
static void catch_signals(void) {
    static unsigned char stack[SIGNAL_STACK_BYTES];
    const stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    (void)sigaltstack(&own, NULL);
    catch_signal(SIGALRM);
    catch_signal(SIGABRT);
    catch_signal(SIGSEGV);
    catch_signal(SIGBUS);
}

/* ---- arguments ---- */

static uint64_t now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static _Noreturn void refuse(const char *argument) {
    fprintf(stderr, "%s: %s: what arguments there are stands in tests/support/cases.h\n",
            run.program, argument);
    exit(2);
}

static uint64_t number_of(const char *text) {
    char *end;
    const uint64_t number = strtoull(text, &end, 10);
    if (end == text || *end != '\0') {
        refuse(text);
    }
    return number;
}

static void take_part(struct cases *cases, const char *text) {
    unsigned part, parts;
    char more;
    if (sscanf(text, "%u/%u%c", &part, &parts, &more) != 2 || part == 0 || part > parts) {
        refuse(text);
    }
    cases->part = part - 1;
    cases->parts = parts;
}

/* One argument with a value; false: there is none of this name. */
static bool take_value(struct cases *cases, const char *name, const char *value, bool *has_count) {
    if (strcmp(name, "--seed") == 0) {
        cases->seed = number_of(value);
    } else if (strcmp(name, "--count") == 0) {
        cases->count = number_of(value);
        *has_count = true;
    } else if (strcmp(name, "--part") == 0) {
        take_part(cases, value);
    } else if (strcmp(name, "--seconds") == 0) {
        cases->seconds = number_of(value);
    } else if (strcmp(name, "--from") == 0) {
        cases->from = number_of(value);
    } else if (strcmp(name, "--only") == 0) {
        cases->only = value;
    } else if (strcmp(name, "--replay") == 0) {
        cases->replay = value;
    } else if (strcmp(name, "--regressions") == 0) {
        cases->regressions = value;
    } else {
        return false;
    }
    return true;
}

static void take_arguments(struct cases *cases, int argc, char **argv, bool *has_count) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--long") == 0) {
            cases->is_long = true;
        } else if (strcmp(argv[i], "--deeper") == 0) {
            cases->is_deeper = true;
        } else if (strcmp(argv[i], "--allocations") == 0) {
            cases->only_allocations = true;
        } else if (i + 1 == argc || !take_value(cases, argv[i], argv[i + 1], has_count)) {
            refuse(argv[i]);
        } else {
            i++;
        }
    }
}

void cases_begin(struct cases *cases, int argc, char **argv) {
    const char *seed = getenv("FASTER_TEST_SEED");
    const char *scale = getenv("FASTER_TEST_SCALE");
    bool has_count = false;
    run.program = cases->program;
    cases->parts = 1;
    cases->seed = seed != NULL && *seed != '\0' ? number_of(seed) : 1;
    take_arguments(cases, argc, argv, &has_count);
    if (!has_count) {
        const uint64_t percent = scale != NULL && *scale != '\0' ? number_of(scale) : 100;
        cases->count = cases->count * percent / (100 * cases->parts) + 1;
        cases->is_whole =
            percent >= 5 && cases->seconds == 0 && cases->only == NULL && cases->replay == NULL;
    }
    cases->begin_ns = now_ns();
    catch_signals();
    sim_on_failure(print_replay);
    cases_name("--seed %" PRIu64, cases->seed);
}

/* ---- which cases ---- */

static char *trim(char *text) {
    while (*text == ' ') {
        text++;
    }
    char *end = text + strlen(text);
    while (end > text && (end[-1] == ' ' || end[-1] == '\n')) {
        *--end = '\0';
    }
    return text;
}

/* Lines of "program | words | promise | what it was". */
static void replay_regressions(const struct cases *cases, void (*replay)(const char *words)) {
    char line[2 * NAME_BYTES];
    FILE *file = fopen(cases->regressions, "r");
    if (file == NULL) {
        refuse(cases->regressions);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        char *at = line;
        char *program = trim(strsep(&at, "|"));
        if (at == NULL || strcmp(program, cases->program) != 0) {
            continue;
        }
        const char *words = trim(strsep(&at, "|"));
        cases_name("%s", words);
        replay(words);
        cases_add("regressions", 1);
    }
    (void)fclose(file);
}

bool cases_replay(const struct cases *cases, void (*replay)(const char *words)) {
    if (cases->replay != NULL) {
        cases_name("%s", cases->replay);
        replay(cases->replay);
        return true;
    }
    if (cases->regressions != NULL) {
        replay_regressions(cases, replay);
    }
    return false;
}

static bool has_time(const struct cases *cases) {
    return cases->seconds == 0 ||
           now_ns() - cases->begin_ns < cases->seconds * UINT64_C(1000000000);
}

static void forget_seen(void) {
    free(run.seen);
    run.seen = NULL;
    run.seen_bits = 0;
    run.seen_count = 0;
}

bool cases_next_slice(struct cases *cases) {
    if (cases->slices > 0 && (!cases->is_long || !has_time(cases))) {
        return false;
    }
    if (cases->is_long) {
        cases->seed = cases->from + cases->slices;
    }
    cases->slices++;
    run.in_slice = 0;
    forget_seen();
    return true;
}

bool cases_more(const struct cases *cases) {
    return run.in_slice < cases->count && has_time(cases);
}

/* ---- counts ---- */

void cases_add(const char *name, uint64_t number) {
    for (size_t i = 0; i < run.figure_count; i++) {
        if (strcmp(run.figures[i].name, name) == 0) {
            run.figures[i].number += number;
            return;
        }
    }
    if (run.figure_count < FIGURES_MAX) {
        run.figures[run.figure_count++] = (struct figure){name, number};
    }
}

void cases_expect(const struct cases *cases, const char *name) {
    for (size_t i = 0; i < run.figure_count; i++) {
        if (strcmp(run.figures[i].name, name) == 0 && run.figures[i].number > 0) {
            return;
        }
    }
    if (cases->is_whole && !cases->is_deeper) {
        cases_name("--seed %" PRIu64, cases->seed);
        cases_fail("setup", "no %s in the whole run", name);
    }
}

void cases_did(void) {
    run.cases++;
    run.in_slice++;
}

/* Where a hash is, or is to be put. */
static uint64_t *find_seen(uint64_t hash) {
    const uint64_t mask = (UINT64_C(1) << run.seen_bits) - 1;
    uint64_t at = hash & mask;
    while (run.seen[at] != 0 && run.seen[at] != hash) {
        at = (at + 1) & mask;
    }
    return &run.seen[at];
}

static void make_room(void) {
    uint64_t *before = run.seen;
    const uint64_t count = before == NULL ? 0 : UINT64_C(1) << run.seen_bits;
    if (run.seen_count * 2 < count) {
        return;
    }
    run.seen_bits = before == NULL ? SEEN_BITS_MIN : run.seen_bits + 1;
    run.seen = calloc(UINT64_C(1) << run.seen_bits, sizeof *run.seen);
    if (run.seen == NULL) {
        cases_fail("memory", "no memory for what was seen");
    }
    for (uint64_t i = 0; i < count; i++) {
        if (before[i] != 0) {
            *find_seen(before[i]) = before[i];
        }
    }
    free(before);
}

bool cases_is_new(uint64_t image_hash, uint64_t low, uint64_t high) {
    const uint64_t hash = sim_mix(image_hash, sim_mix(low, high)) | 1;
    run.generated++;
    make_room();
    uint64_t *place = find_seen(hash);
    if (*place == hash) {
        return false;
    }
    *place = hash;
    run.seen_count++;
    run.states++;
    run.in_slice++;
    return true;
}

int cases_end(const struct cases *cases, const char *promises) {
    alarm(0);
    if (cases->replay == NULL && run.cases + run.states == 0) {
        cases_fail("setup", "not one case was run");
    }
    printf("%s: %s: ", cases->program, promises);
    if (run.generated > 0) {
        printf("%" PRIu64 " states, %" PRIu64 " generated", run.states, run.generated);
    } else {
        printf("%" PRIu64 " cases", run.cases);
    }
    for (size_t i = 0; i < run.figure_count; i++) {
        printf(", %" PRIu64 " %s", run.figures[i].number, run.figures[i].name);
    }
    if (cases->is_long) {
        printf(", slices %" PRIu64 " to %" PRIu64, cases->from, cases->from + cases->slices - 1);
    } else {
        printf(", seed %" PRIu64, cases->seed);
    }
    printf(": 0 differences\n");
    forget_seen();
    return 0;
}
