/* sim_env.c - see sim_env.h. */
#include "sim_env.h"

#include <string.h>

#include "sim_run.h"

/* 2026-01-01: only that it is no small number matters. */
#define EPOCH_NS UINT64_C(1767225600000000000)
#define SPURIOUS_ODDS 16u
#define NO_LIMIT UINT64_MAX

/* The product's own, which sim_world.c stands in front of. */
const struct faster_env *__real_faster_env_posix(void);

struct fst_thread {
    struct sim_fibre *fibre;
};

struct fst_mutex {
    const void *owner; /* sim_self() of the fibre that holds it, or NULL */
    uint32_t waiter_count;
};

struct fst_condition {
    uint32_t waiter_count;
};

static struct {
    uint64_t random;
    uint64_t process_id;
    bool has_fences;
} life;

static struct faster_env table;

void sim_env_life(uint64_t seed, uint64_t number) {
    life.random = sim_mix(seed, number);
    life.process_id = number;
    life.has_fences = (sim_next(&life.random) & 1) != 0;
}

uint64_t sim_env_wall_clock_ns(void) {
    return EPOCH_NS + sim_now_ns();
}

/* ---- memory ---- */

static void *sim_allocate(const struct faster_env *env, size_t bytes) {
    (void)env;
    return __real_faster_env_posix()->allocate(__real_faster_env_posix(), bytes);
}

static void sim_release(const struct faster_env *env, void *memory) {
    (void)env;
    __real_faster_env_posix()->release(__real_faster_env_posix(), memory);
}

/* One thread has no stores that it sees late. */
static bool sim_fence_threads(const struct faster_env *env) {
    (void)env;
    return life.has_fences;
}

/* ---- time and chance ---- */

static uint64_t sim_monotonic_ns(const struct faster_env *env) {
    (void)env;
    return sim_now_ns();
}

static uint64_t sim_wall_clock_ns(const struct faster_env *env) {
    (void)env;
    return sim_env_wall_clock_ns();
}

static void sim_env_sleep_ns(const struct faster_env *env, uint64_t duration_ns) {
    (void)env;
    sim_sleep_ns(duration_ns);
}

static void sim_env_yield(const struct faster_env *env) {
    (void)env;
    sim_yield();
}

static enum faster_status sim_random(const struct faster_env *env, void *bytes, size_t count) {
    unsigned char *next = bytes;

    (void)env;
    while (count > 0) {
        const uint64_t word = sim_next(&life.random);
        const size_t taken = count < sizeof word ? count : sizeof word;
        memcpy(next, &word, taken);
        next += taken;
        count -= taken;
    }
    return FASTER_OK;
}

static uint64_t sim_process_id(const struct faster_env *env) {
    (void)env;
    return life.process_id;
}

/* ---- threads and locks ---- */

static enum faster_status sim_thread_start(const struct faster_env *env, void (*run)(void *),
                                           void *argument, struct fst_thread **thread) {
    struct fst_thread *started = env->allocate(env, sizeof *started);

    if (started == NULL) {
        return FASTER_NOMEM;
    }
    started->fibre = sim_start(run, argument);
    *thread = started;
    return FASTER_OK;
}

static void sim_thread_join(const struct faster_env *env, struct fst_thread *thread) {
    if (thread != NULL) {
        sim_join(thread->fibre);
        env->release(env, thread);
    }
}

static enum faster_status sim_mutex_create(const struct faster_env *env, struct fst_mutex **mutex) {
    struct fst_mutex *created = env->allocate(env, sizeof *created);

    if (created == NULL) {
        return FASTER_NOMEM;
    }
    *created = (struct fst_mutex){0};
    *mutex = created;
    return FASTER_OK;
}

static void sim_mutex_destroy(const struct faster_env *env, struct fst_mutex *mutex) {
    if (mutex != NULL) {
        if (mutex->owner != NULL || mutex->waiter_count > 0) {
            sim_fail("a mutex is destroyed that is in use");
        }
        env->release(env, mutex);
    }
}

static void sim_mutex_lock(const struct faster_env *env, struct fst_mutex *mutex) {
    (void)env;
    if (mutex->owner == sim_self()) {
        sim_fail("a mutex is locked by its owner");
    }
    while (mutex->owner != NULL) {
        mutex->waiter_count++;
        (void)sim_wait(mutex, NO_LIMIT);
        mutex->waiter_count--;
    }
    mutex->owner = sim_self();
}

static bool sim_mutex_try_lock(const struct faster_env *env, struct fst_mutex *mutex) {
    (void)env;
    if (mutex->owner != NULL) {
        return false;
    }
    mutex->owner = sim_self();
    return true;
}

static void sim_mutex_unlock(const struct faster_env *env, struct fst_mutex *mutex) {
    (void)env;
    if (mutex->owner != sim_self()) {
        sim_fail("a mutex is unlocked by a fibre that does not own it");
    }
    mutex->owner = NULL;
    if (mutex->waiter_count > 0) {
        sim_wake(mutex, false);
    }
}

static enum faster_status sim_condition_create(const struct faster_env *env,
                                               struct fst_condition **condition) {
    struct fst_condition *created = env->allocate(env, sizeof *created);

    if (created == NULL) {
        return FASTER_NOMEM;
    }
    *created = (struct fst_condition){0};
    *condition = created;
    return FASTER_OK;
}

static void sim_condition_destroy(const struct faster_env *env, struct fst_condition *condition) {
    if (condition != NULL) {
        if (condition->waiter_count > 0) {
            sim_fail("a condition variable is destroyed that somebody waits for");
        }
        env->release(env, condition);
    }
}

/* No wake is lost between the unlock and the wait: nobody else runs there. */
static bool sim_condition_wait(const struct faster_env *env, struct fst_condition *condition,
                               struct fst_mutex *mutex, uint64_t timeout_ns) {
    bool is_woken = true;

    sim_mutex_unlock(env, mutex);
    if (sim_run_policy() == SIM_DRAWN && sim_draw() % SPURIOUS_ODDS == 0) {
        sim_yield();
    } else {
        condition->waiter_count++;
        is_woken = sim_wait(condition, timeout_ns);
        condition->waiter_count--;
    }
    sim_mutex_lock(env, mutex);
    return is_woken;
}

static void sim_condition_signal(const struct faster_env *env, struct fst_condition *condition) {
    (void)env;
    if (condition->waiter_count > 0) {
        sim_wake(condition, false);
    }
}

static void sim_condition_broadcast(const struct faster_env *env, struct fst_condition *condition) {
    (void)env;
    if (condition->waiter_count > 0) {
        sim_wake(condition, true);
    }
}

/* ---- the table ---- */

const struct faster_env *sim_env(void) {
    table = (struct faster_env){
        .allocate = sim_allocate,
        .release = sim_release,
        .fence_threads = sim_fence_threads,
        .monotonic_ns = sim_monotonic_ns,
        .wall_clock_ns = sim_wall_clock_ns,
        .sleep_ns = sim_env_sleep_ns,
        .yield = sim_env_yield,
        .random = sim_random,
        .process_id = sim_process_id,
        .thread_start = sim_thread_start,
        .thread_join = sim_thread_join,
        .mutex_create = sim_mutex_create,
        .mutex_destroy = sim_mutex_destroy,
        .mutex_lock = sim_mutex_lock,
        .mutex_try_lock = sim_mutex_try_lock,
        .mutex_unlock = sim_mutex_unlock,
        .condition_create = sim_condition_create,
        .condition_destroy = sim_condition_destroy,
        .condition_wait = sim_condition_wait,
        .condition_signal = sim_condition_signal,
        .condition_broadcast = sim_condition_broadcast,
    };
    sim_env_fill_map(&table);
    sim_env_fill_files(&table);
    return &table;
}
