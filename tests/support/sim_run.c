/* sim_run.c - see sim_run.h.
 *
 *   state     -> next      by
 *   (none)    -> READY     sim_start()
 *   READY     -> RUNNING   go_on()
 *   RUNNING   -> READY     sim_yield(), sim_point()
 *   RUNNING   -> WAITING   sim_wait(), sim_sleep_ns(), sim_join()
 *   WAITING   -> READY     sim_wake(), or its deadline
 *   RUNNING   -> ENDED     its run() returned
 *   ENDED     -> (none)    sim_join()
 *
 * Ready fibres stand in a queue. In order, the first goes on: so a fibre that waits for work which
 * another does is behind it, and the same calls give the same log whatever the seed is. Drawn, any
 * of them does.
 */
#include "sim_run.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "fibre.h"

#define NO_DEADLINE UINT64_MAX
#define YIELD_NS 1000u
#define POINT_ODDS 8u /* a call to the disk lets others go first one time in so many */
/* So many switches without a call to the disk are no progress. */
#define SWITCHES_MAX UINT64_C(10000000)

enum state { READY, RUNNING, WAITING, ENDED };

struct sim_fibre {
    struct fibre fibre;
    struct sim_fibre *next; /* of all fibres, oldest first */
    struct sim_fibre *next_ready;
    enum state state;
    uint32_t number;
    const void *what; /* waits for */
    uint64_t since;   /* the number of the wait: who waits longest is woken first */
    uint64_t deadline_ns;
    bool is_late; /* the deadline has ended the wait */
    void (*run)(void *);
    void *context;
};

static struct {
    struct sim_fibre zero;
    struct sim_fibre *current; /* NULL: no run */
    struct sim_fibre *ready_first;
    struct sim_fibre *ready_last;
    uint32_t ready_count;
    uint32_t started;
    uint64_t waits;
    uint64_t now_ns;
    uint64_t switches; /* since the last call to the disk */
    uint64_t random;
    enum sim_policy policy;
    void (*failure_hook)(void);
} run;

/* ---- numbers ---- */

uint64_t sim_next(uint64_t *state) {
    uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

uint64_t sim_mix(uint64_t first, uint64_t second) {
    uint64_t state = first ^ second * UINT64_C(0xd6e8feb86659fd93);

    (void)sim_next(&state);
    return sim_next(&state);
}

uint64_t sim_draw(void) {
    return sim_next(&run.random);
}

/* ---- failures ---- */

static void print_fibre(const struct sim_fibre *fibre) {
    static const char *const names[] = {"ready", "running", "waiting", "ended"};

    fprintf(stderr, "  fibre %u: %s", fibre->number, names[fibre->state]);
    if (fibre->state == WAITING) {
        fprintf(stderr, " for %p", fibre->what);
        if (fibre->deadline_ns != NO_DEADLINE) {
            fprintf(stderr, " until %" PRIu64 " ns", fibre->deadline_ns);
        }
    }
    fprintf(stderr, "\n");
}

void sim_fail(const char *format, ...) {
    va_list list;

    fprintf(stderr, "simulation: ");
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\n");
    for (const struct sim_fibre *fibre = run.current == NULL ? NULL : &run.zero; fibre != NULL;
         fibre = fibre->next) {
        print_fibre(fibre);
    }
    if (run.failure_hook != NULL) {
        run.failure_hook();
    }
    exit(EXIT_FAILURE); /* the other stacks cannot be unwound */
}

void sim_on_failure(void (*hook)(void)) {
    run.failure_hook = hook;
}

/* ---- who goes on ---- */

static void make_ready(struct sim_fibre *fibre) {
    fibre->state = READY;
    fibre->next_ready = NULL;
    if (run.ready_first == NULL) {
        run.ready_first = fibre;
    } else {
        run.ready_last->next_ready = fibre;
    }
    run.ready_last = fibre;
    run.ready_count++;
}

/* The one behind `place` others. */
static struct sim_fibre *take_ready(uint32_t place) {
    struct sim_fibre *before = NULL;
    struct sim_fibre *taken = run.ready_first;

    for (uint32_t i = 0; i < place; i++) {
        before = taken;
        taken = taken->next_ready;
    }
    if (before == NULL) {
        run.ready_first = taken->next_ready;
    } else {
        before->next_ready = taken->next_ready;
    }
    if (run.ready_last == taken) {
        run.ready_last = before;
    }
    run.ready_count--;
    return taken;
}

static uint64_t nearest_deadline(void) {
    uint64_t nearest = NO_DEADLINE;

    for (const struct sim_fibre *fibre = &run.zero; fibre != NULL; fibre = fibre->next) {
        if (fibre->state == WAITING && fibre->deadline_ns < nearest) {
            nearest = fibre->deadline_ns;
        }
    }
    return nearest;
}

/* Ends the waits whose time is over; oldest fibre first. */
static void end_late_waits(void) {
    for (struct sim_fibre *fibre = &run.zero; fibre != NULL; fibre = fibre->next) {
        if (fibre->state == WAITING && fibre->deadline_ns <= run.now_ns) {
            fibre->is_late = true;
            make_ready(fibre);
        }
    }
}

static struct sim_fibre *choose_next(void) {
    end_late_waits();
    if (run.ready_count == 0) {
        const uint64_t nearest = nearest_deadline();
        if (nearest == NO_DEADLINE) {
            sim_fail("all wait for ever");
        }
        run.now_ns = nearest;
        end_late_waits();
    }
    if (run.policy == SIM_DRAWN && run.ready_count > 1) {
        return take_ready((uint32_t)(sim_draw() % run.ready_count));
    }
    return take_ready(0);
}

/* The running fibre is READY, WAITING or ENDED; another one goes on, or the same. */
static void go_on(void) {
    struct sim_fibre *from = run.current;
    struct sim_fibre *to;

    if (++run.switches > SWITCHES_MAX) {
        sim_fail("livelock: no call to the disk for a long time");
    }
    to = choose_next();
    to->state = RUNNING;
    run.current = to;
    if (to != from) {
        fibre_switch(&from->fibre, &to->fibre);
    }
}

/* ---- a run ---- */

void sim_run_reseed(uint64_t seed, enum sim_policy policy) {
    run.random = sim_mix(seed, 0);
    run.policy = policy;
    run.switches = 0;
    run.started = 0;
    run.waits = 0;
    run.now_ns = 0;
}

void sim_run_begin(uint64_t seed, enum sim_policy policy) {
    run.zero = (struct sim_fibre){.state = RUNNING, .deadline_ns = NO_DEADLINE};
    run.current = &run.zero;
    run.ready_first = run.ready_last = NULL;
    run.ready_count = 0;
    fibre_init_running(&run.zero.fibre);
    sim_run_reseed(seed, policy);
}

void sim_run_end(void) {
    if (run.current != &run.zero || run.zero.next != NULL) {
        sim_fail("a fibre was not joined");
    }
    run.current = NULL;
}

enum sim_policy sim_run_policy(void) {
    return run.policy;
}

static void fibre_main(void) {
    struct sim_fibre *self = run.current;

    self->run(self->context);
    self->state = ENDED;
    sim_wake(self, true);
    go_on();
}

struct sim_fibre *sim_start(void (*start)(void *), void *context) {
    struct sim_fibre *fibre = calloc(1, sizeof *fibre);
    struct sim_fibre *last = &run.zero;

    if (fibre == NULL || run.current == NULL) {
        sim_fail("no fibre can be started");
    }
    fibre->number = ++run.started;
    fibre->deadline_ns = NO_DEADLINE;
    fibre->run = start;
    fibre->context = context;
    fibre_init(&fibre->fibre, fibre_main);
    while (last->next != NULL) {
        last = last->next;
    }
    last->next = fibre;
    make_ready(fibre);
    return fibre;
}

void sim_join(struct sim_fibre *fibre) {
    struct sim_fibre *before = &run.zero;

    while (fibre->state != ENDED) {
        (void)sim_wait(fibre, NO_DEADLINE);
    }
    while (before->next != fibre) {
        before = before->next;
    }
    before->next = fibre->next;
    fibre_finish(&fibre->fibre);
    free(fibre);
}

/* ---- what a fibre does ---- */

void sim_yield(void) {
    run.now_ns += YIELD_NS;
    if (run.ready_count == 0) {
        /* Nobody else can go on, so time has to pass. */
        const uint64_t nearest = nearest_deadline();
        if (nearest != NO_DEADLINE && nearest > run.now_ns) {
            run.now_ns = nearest;
        }
        end_late_waits();
    }
    make_ready(run.current);
    go_on();
}

void sim_point(void) {
    run.switches = 0;
    if (run.current != NULL && run.policy == SIM_DRAWN && sim_draw() % POINT_ODDS == 0) {
        sim_yield();
    }
}

uint64_t sim_now_ns(void) {
    return ++run.now_ns;
}

bool sim_wait(const void *what, uint64_t timeout_ns) {
    struct sim_fibre *self = run.current;

    self->what = what;
    self->since = ++run.waits;
    self->deadline_ns =
        timeout_ns < NO_DEADLINE - run.now_ns ? run.now_ns + timeout_ns : NO_DEADLINE;
    self->is_late = false;
    self->state = WAITING;
    go_on();
    self->what = NULL;
    self->deadline_ns = NO_DEADLINE;
    return !self->is_late;
}

/* Nobody wakes NULL. */
void sim_sleep_ns(uint64_t duration_ns) {
    (void)sim_wait(NULL, duration_ns);
}

void sim_wake(const void *what, bool all) {
    for (;;) {
        struct sim_fibre *longest = NULL;
        for (struct sim_fibre *fibre = &run.zero; fibre != NULL; fibre = fibre->next) {
            if (fibre->state == WAITING && fibre->what == what &&
                (longest == NULL || fibre->since < longest->since)) {
                longest = fibre;
            }
        }
        if (longest == NULL) {
            return;
        }
        make_ready(longest);
        if (!all) {
            return;
        }
    }
}

bool sim_is_fibre(void) {
    return run.current != NULL;
}

const void *sim_self(void) {
    return run.current;
}

uint32_t sim_fibre_number(void) {
    return run.current == NULL ? 0 : run.current->number;
}
