/* sched.h - runs a few fibres on one thread in every order, or in random ones.
 *
 * Code built with sched_atomic.h as FST_ATOMIC_SHIM calls sched_point() before each access
 * to a shared word; there the scheduler may let another fibre go on. A schedule is the list
 * of its decisions, so it can be replayed.
 *
 * A decision is numbered by its step (each point, yield and end of a fibre is one); choice 0
 * is "go on", or the first other fibre where that is impossible. Only other choices are
 * listed: "17:1 42:2" means choice 1 at step 17 and 2 at step 42.
 *
 * Memory is sequentially consistent here but for light stores, see below: what weaker orders
 * allow is for thread sanitizers and for the proofs.
 */
#ifndef FST_TESTS_SUPPORT_SCHED_H
#define FST_TESTS_SUPPORT_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#define SCHED_FIBRES_MAX 4u

struct sched_scenario {
    const char *name;
    uint32_t fibre_count;
    void (*prepare)(void);
    void (*run)(uint32_t fibre);
    void (*finish)(void); /* checks with sched_expect(), then releases */
};

struct sched_plan {
    uint32_t preemptions_max; /* of the exhaustive part */
    uint64_t exhaustive_max;  /* schedules */
    uint64_t random_count;
    uint64_t seed;
};

struct sched_result {
    uint64_t exhaustive_count;
    bool is_complete; /* every schedule with so few preemptions was run */
    uint64_t random_count;
    bool has_failed; /* then the reason and the choices were printed */
};

/* Explores until all is done or a schedule fails. */
struct sched_result sched_explore(const struct sched_scenario *scenario,
                                  const struct sched_plan *plan);

/* Runs one schedule from its list of choices; true if it passes. */
bool sched_replay(const struct sched_scenario *scenario, const char *choices);

/* The main() of a simulation. Arguments: [random schedules per scenario [seed]], or
 * --replay "<scenario> <choices>". The value to exit with: 77 (skipped) where a thread
 * sanitizer would not understand fibres. */
int sched_main(int argument_count, char **arguments, const struct sched_scenario *scenarios,
               uint32_t scenario_count);

/* Outside fibres these do nothing. */
void sched_point(void);
void sched_yield_point(void); /* others go on first, if there are any */

/* ---- stores that others see late ----
 *
 * A processor keeps a store to itself for a while. So may a fibre a light store (base/atomic.h),
 * where fibres can be fenced: whether it does is one more decision of the schedule. It is seen by
 * others when the fibre stores again, by any other call that a processor does not delay, when it
 * yields or ends, or when somebody fences all. */

/* Whether the next schedules have light stores that are late, and sched_fence_fibres(). Set by a
 * scenario's prepare(). */
void sched_allow_late_stores(bool is_allowed);

void sched_store_light(uint64_t *word, uint64_t value);
/* Shows what the fibre has kept back. */
void sched_show_stores(void);
/* What the fibre sees of a word in memory. */
uint64_t sched_seen(const uint64_t *word);
/* All fibres show what they have kept back; false: late stores are not allowed. */
bool sched_fence_fibres(void);

/* Notes that the schedule fails, unless `is_true`. The first note counts. */
void sched_expect(bool is_true, const char *what);

#endif
