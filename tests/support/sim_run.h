/* sim_run.h - threads as fibres, time and chance from one seed.
 *
 * Between sim_run_begin() and sim_run_end() the calling thread is fibre 0; sim_start() adds
 * others. A fibre runs until it waits, yields, sleeps or ends, so nothing here needs a lock of
 * its own. Who goes on next, and every number drawn, follows from the seed: the same program with
 * the same seed does the same steps.
 *
 * Time is virtual. A reading costs 1 ns, a yield 1 us; when nobody can go on, it jumps to the
 * nearest deadline. Where there is none all wait for ever, which is a failure: so is a long time
 * without any call of sim_point(). Both print what each fibre waits for, and end the program.
 *
 * sched.h is the other scheduler: a few steps in every order. This one runs whole systems.
 */
#ifndef FST_TESTS_SUPPORT_SIM_RUN_H
#define FST_TESTS_SUPPORT_SIM_RUN_H

#include <stdbool.h>
#include <stdint.h>

enum sim_policy {
    SIM_IN_ORDER, /* who can go on first runs first; sim_point() never switches: enumerations */
    SIM_DRAWN     /* the next is drawn; sim_point() may switch */
};

struct sim_fibre;

void sim_run_begin(uint64_t seed, enum sim_policy policy);
/* Fibre 0 is the only one left; else the program ends with a report. */
void sim_run_end(void);
/* A new case, while fibre 0 is the only one: from here on nothing depends on what was before. */
void sim_run_reseed(uint64_t seed, enum sim_policy policy);
enum sim_policy sim_run_policy(void);

/* Without memory the program ends. Each fibre is joined once. */
struct sim_fibre *sim_start(void (*run)(void *), void *context);
void sim_join(struct sim_fibre *fibre);

/* A place where a thread could be interrupted: a call to the disk. */
void sim_point(void);
void sim_yield(void); /* others go on first, if any can */
void sim_sleep_ns(uint64_t duration_ns);
uint64_t sim_now_ns(void);
uint64_t sim_draw(void);

/* Waits for a sim_wake() of the same address. False: the time is over; UINT64_MAX: no limit. */
bool sim_wait(const void *what, uint64_t timeout_ns);
void sim_wake(const void *what, bool all); /* the one that waits longest, or all */

bool sim_is_fibre(void);         /* whether a run is on; then the caller is one of its fibres */
const void *sim_self(void);      /* an address of the running fibre's own, or NULL */
uint32_t sim_fibre_number(void); /* in the order of their starts; 0 also where no run is on */

/* Prints what is wrong and what each fibre waits for, calls the hook, and ends the program. */
_Noreturn void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* For the words that replay a case. NULL: none. */
void sim_on_failure(void (*hook)(void));

/* The generator behind sim_draw(), for streams of one's own: a number for each state. */
uint64_t sim_mix(uint64_t first, uint64_t second);
uint64_t sim_next(uint64_t *state);

#endif
