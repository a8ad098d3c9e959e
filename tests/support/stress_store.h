/* stress_store.h - the life of a store that many threads use at once, for the stress tests. */
#ifndef TESTS_SUPPORT_STRESS_STORE_H
#define TESTS_SUPPORT_STRESS_STORE_H

#include "faster.h"

struct stress_store {
    const char *program; /* for messages */
    uint32_t thread_count;
    void *(*work)(void *number);         /* of one thread; numbers count from 1 */
    void (*check_all)(const char *what); /* when the threads have ended, and after a reopen */
    uint64_t steps;                      /* of each thread */
    uint64_t seed;
    struct faster_store *store; /* as long as it is open */
};

/* Takes [steps] [seed] from the command line and FASTER_TEST_SCALE percent of the steps. */
void stress_store_arguments(struct stress_store *stress, int argc, char **argv, uint64_t steps);

/* Creates the store in a directory of its own, runs the threads, checks, closes and opens the
 * store, checks once more, and removes all. Ends the program with 1 if a call fails. */
void stress_store_run(struct stress_store *stress, struct faster_options *options);

#endif
