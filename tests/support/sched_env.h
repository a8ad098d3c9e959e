/* sched_env.h - an environment for code under sched.h: memory, and yielding to fibres. */
#ifndef FST_TESTS_SUPPORT_SCHED_ENV_H
#define FST_TESTS_SUPPORT_SCHED_ENV_H

#include "base/env.h"
#include "sched.h"

#include <stdlib.h>
#include <string.h>

#define SCHED_ENV_ALIGNMENT 4096u

static void *sched_env_allocate(const struct faster_env *env, size_t bytes) {
    (void)env;
    return malloc(bytes);
}

static void sched_env_release(const struct faster_env *env, void *memory) {
    (void)env;
    free(memory);
}

static void *sched_env_map(const struct faster_env *env, size_t bytes) {
    const size_t rounded = (bytes + SCHED_ENV_ALIGNMENT - 1) / SCHED_ENV_ALIGNMENT;
    void *memory = aligned_alloc(SCHED_ENV_ALIGNMENT, rounded * SCHED_ENV_ALIGNMENT);

    (void)env;
    return memory == NULL ? NULL : memset(memory, 0, bytes);
}

static void sched_env_unmap(const struct faster_env *env, void *memory, size_t bytes) {
    (void)env;
    (void)bytes;
    free(memory);
}

static size_t sched_env_advise_huge(const struct faster_env *env, void *memory, size_t bytes) {
    (void)env;
    (void)memory;
    (void)bytes;
    return 0;
}

static bool sched_env_fence_threads(const struct faster_env *env) {
    (void)env;
    return sched_fence_fibres();
}

static void sched_env_yield(const struct faster_env *env) {
    (void)env;
    sched_yield_point();
}

static const struct faster_env sched_env = {
    .allocate = sched_env_allocate,
    .release = sched_env_release,
    .map = sched_env_map,
    .unmap = sched_env_unmap,
    .advise_huge = sched_env_advise_huge,
    .fence_threads = sched_env_fence_threads,
    .yield = sched_env_yield,
};

#endif
