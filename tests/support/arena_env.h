/* arena_env.h - an environment for a whole engine under sched.h: no system, one arena.
 *
 * All memory comes from one arena that is never reused, so that a store, once made, can be put
 * back as it was by copying the arena back. Locks and waits yield to other fibres; time and
 * random numbers are counters. There are no threads and no files. Included once per program.
 */
#ifndef FST_TESTS_SUPPORT_ARENA_ENV_H
#define FST_TESTS_SUPPORT_ARENA_ENV_H

#include "base/env.h"
#include "sched.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES (6u << 20)
#define ARENA_ALIGN 4096u

struct arena_state {
    size_t used_bytes;
    uint64_t clock;
    uint64_t random;
};

static _Alignas(ARENA_ALIGN) unsigned char arena_bytes[ARENA_BYTES];
static struct arena_state arena;

/* What was saved; the copy is as long as its used_bytes. */
static struct arena_state arena_saved;
static unsigned char *arena_copy;

static void *arena_take(size_t bytes, size_t alignment) {
    size_t start = (arena.used_bytes + alignment - 1) / alignment * alignment;
    if (start + bytes > ARENA_BYTES) {
        return NULL;
    }
    arena.used_bytes = start + bytes;
    return arena_bytes + start;
}

static void *arena_allocate(const struct faster_env *env, size_t bytes) {
    (void)env;
    return arena_take(bytes, 16);
}

static void arena_release(const struct faster_env *env, void *memory) {
    (void)env;
    (void)memory;
}

static void *arena_map(const struct faster_env *env, size_t bytes) {
    void *memory = arena_take(bytes, ARENA_ALIGN);
    (void)env;
    return memory == NULL ? NULL : memset(memory, 0, bytes);
}

static void arena_unmap(const struct faster_env *env, void *memory, size_t bytes) {
    (void)env;
    (void)memory;
    (void)bytes;
}

static size_t arena_advise_huge(const struct faster_env *env, void *memory, size_t bytes) {
    (void)env;
    (void)memory;
    (void)bytes;
    return 0;
}

/* One thread. */
static bool arena_fence_threads(const struct faster_env *env) {
    (void)env;
    return false;
}

static uint64_t arena_clock(const struct faster_env *env) {
    (void)env;
    return ++arena.clock;
}

static void arena_sleep(const struct faster_env *env, uint64_t duration_ns) {
    (void)env;
    (void)duration_ns;
    sched_yield_point();
}

static void arena_yield(const struct faster_env *env) {
    (void)env;
    sched_yield_point();
}

static enum faster_status arena_random(const struct faster_env *env, void *bytes, size_t count) {
    unsigned char *out = bytes;
    (void)env;
    for (size_t i = 0; i < count; i++) {
        arena.random = arena.random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        out[i] = (unsigned char)(arena.random >> 56);
    }
    return FASTER_OK;
}

/* ---- locks: a word each ---- */

static enum faster_status arena_mutex_create(const struct faster_env *env,
                                             struct fst_mutex **mutex) {
    bool *made = arena_allocate(env, sizeof *made);
    *mutex = (struct fst_mutex *)(void *)made;
    if (made == NULL) {
        return FASTER_NOMEM;
    }
    *made = false;
    return FASTER_OK;
}

static void arena_mutex_destroy(const struct faster_env *env, struct fst_mutex *mutex) {
    (void)env;
    (void)mutex;
}

static bool arena_mutex_try_lock(const struct faster_env *env, struct fst_mutex *mutex) {
    bool *is_locked = (bool *)(void *)mutex;
    (void)env;
    sched_point();
    if (*is_locked) {
        return false;
    }
    *is_locked = true;
    return true;
}

static void arena_mutex_lock(const struct faster_env *env, struct fst_mutex *mutex) {
    while (!arena_mutex_try_lock(env, mutex)) {
        sched_yield_point();
    }
}

static void arena_mutex_unlock(const struct faster_env *env, struct fst_mutex *mutex) {
    (void)env;
    *(bool *)(void *)mutex = false;
}

static enum faster_status arena_condition_create(const struct faster_env *env,
                                                 struct fst_condition **condition) {
    *condition = arena_allocate(env, 16);
    return *condition == NULL ? FASTER_NOMEM : FASTER_OK;
}

static void arena_condition_destroy(const struct faster_env *env, struct fst_condition *condition) {
    (void)env;
    (void)condition;
}

/* Every wait is woken for no reason. */
static bool arena_condition_wait(const struct faster_env *env, struct fst_condition *condition,
                                 struct fst_mutex *mutex, uint64_t timeout_ns) {
    (void)condition;
    (void)timeout_ns;
    arena_mutex_unlock(env, mutex);
    sched_yield_point();
    arena_mutex_lock(env, mutex);
    return true;
}

static void arena_condition_wake(const struct faster_env *env, struct fst_condition *condition) {
    (void)env;
    (void)condition;
}

static const struct faster_env arena_env = {
    .allocate = arena_allocate,
    .release = arena_release,
    .map = arena_map,
    .unmap = arena_unmap,
    .advise_huge = arena_advise_huge,
    .fence_threads = arena_fence_threads,
    .monotonic_ns = arena_clock,
    .wall_clock_ns = arena_clock,
    .sleep_ns = arena_sleep,
    .yield = arena_yield,
    .random = arena_random,
    .process_id = arena_clock,
    .mutex_create = arena_mutex_create,
    .mutex_destroy = arena_mutex_destroy,
    .mutex_lock = arena_mutex_lock,
    .mutex_try_lock = arena_mutex_try_lock,
    .mutex_unlock = arena_mutex_unlock,
    .condition_create = arena_condition_create,
    .condition_destroy = arena_condition_destroy,
    .condition_wait = arena_condition_wait,
    .condition_signal = arena_condition_wake,
    .condition_broadcast = arena_condition_wake,
};

/* ---- the arena as it was ---- */

static void arena_save(void) {
    free(arena_copy);
    arena_saved = arena;
    arena_copy = malloc(arena.used_bytes);
    if (arena_copy == NULL) {
        abort();
    }
    memcpy(arena_copy, arena_bytes, arena.used_bytes);
}

static void arena_restore(void) {
    arena = arena_saved;
    memcpy(arena_bytes, arena_copy, arena.used_bytes);
}

#endif
