/* sim_env.h - struct faster_env on fibres and the simulated disk; see sim_world.h.
 *
 *     sim_env.c        memory, time, chance, threads, locks
 *     sim_env_map.c    mapped memory
 *     sim_env_file.c   files and names
 *
 * Memory is the system's. Whether threads can be fenced is drawn from the seed, so that both ways
 * of the epochs are taken. */
#ifndef FST_TESTS_SUPPORT_SIM_ENV_H
#define FST_TESTS_SUPPORT_SIM_ENV_H

#include "base/env.h"

const struct faster_env *sim_env(void);

/* A new process: random numbers of its own, and this process id. */
void sim_env_life(uint64_t seed, uint64_t number);

/* Since 1970, virtual. */
uint64_t sim_env_wall_clock_ns(void);

/* ---- sim_env_map.c ---- */

void sim_env_fill_map(struct faster_env *env);

/* ---- sim_env_file.c ---- */

void sim_env_fill_files(struct faster_env *env);

#endif
