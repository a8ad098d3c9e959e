/* env_posix_thread.c - threads, mutexes, condition variables and fences (layer 0).
 *
 * Normal mutexes and condition variables fail only when they are misused, so results of
 * lock, unlock and signal are not looked at. Condition variables use the monotonic clock:
 * setting the wall clock neither ends nor prolongs a wait.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#ifdef __linux__
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "base/bytes.h"
#include "base/env_posix.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define THREAD_NAME "faster"

struct fst_thread {
    pthread_t handle;
    void (*run)(void *);
    void *argument;
};

struct fst_mutex {
    pthread_mutex_t handle;
};

struct fst_condition {
    pthread_cond_t handle;
};

static void *thread_main(void *argument) {
    struct fst_thread *thread = argument;
#ifdef __linux__
    (void)pthread_setname_np(pthread_self(), THREAD_NAME);
#endif
    thread->run(thread->argument);
    return NULL;
}

/* The new thread inherits a mask that blocks every signal: the application's handlers run
 * on the application's threads only, and a write beyond the file size limit on this thread
 * is an error (EFBIG) instead of the end of the process (SIGXFSZ). */
static int create_without_signals(struct fst_thread *thread) {
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    int failure = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (failure != 0) {
        return failure;
    }
    failure = pthread_create(&thread->handle, NULL, thread_main, thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

enum faster_status fst_posix_thread_start(const struct faster_env *env, void (*run)(void *),
                                          void *argument, struct fst_thread **thread) {
    struct fst_thread *started = env->allocate(env, sizeof *started);
    if (started == NULL) {
        return FASTER_NOMEM;
    }
    started->run = run;
    started->argument = argument;
    int failure = create_without_signals(started);
    if (failure != 0) {
        env->release(env, started);
        return failure == EAGAIN ? FASTER_FULL : fst_posix_status(failure);
    }
    *thread = started;
    return FASTER_OK;
}

void fst_posix_thread_join(const struct faster_env *env, struct fst_thread *thread) {
    if (thread != NULL) {
        (void)pthread_join(thread->handle, NULL);
        env->release(env, thread);
    }
}

enum faster_status fst_posix_mutex_create(const struct faster_env *env, struct fst_mutex **mutex) {
    struct fst_mutex *created = env->allocate(env, sizeof *created);
    if (created == NULL) {
        return FASTER_NOMEM;
    }
    int failure = pthread_mutex_init(&created->handle, NULL);
    if (failure != 0) {
        env->release(env, created);
        return fst_posix_status(failure);
    }
    *mutex = created;
    return FASTER_OK;
}

void fst_posix_mutex_destroy(const struct faster_env *env, struct fst_mutex *mutex) {
    if (mutex != NULL) {
        (void)pthread_mutex_destroy(&mutex->handle);
        env->release(env, mutex);
    }
}

void fst_posix_mutex_lock(const struct faster_env *env, struct fst_mutex *mutex) {
    (void)env;
    (void)pthread_mutex_lock(&mutex->handle);
}

bool fst_posix_mutex_try_lock(const struct faster_env *env, struct fst_mutex *mutex) {
    (void)env;
    return pthread_mutex_trylock(&mutex->handle) == 0;
}

void fst_posix_mutex_unlock(const struct faster_env *env, struct fst_mutex *mutex) {
    (void)env;
    (void)pthread_mutex_unlock(&mutex->handle);
}

static int init_monotonic(pthread_cond_t *handle) {
    pthread_condattr_t attributes;
    int failure = pthread_condattr_init(&attributes);
    if (failure != 0) {
        return failure;
    }
    failure = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (failure == 0) {
        failure = pthread_cond_init(handle, &attributes);
    }
    (void)pthread_condattr_destroy(&attributes);
    return failure;
}

enum faster_status fst_posix_condition_create(const struct faster_env *env,
                                              struct fst_condition **condition) {
    struct fst_condition *created = env->allocate(env, sizeof *created);
    if (created == NULL) {
        return FASTER_NOMEM;
    }
    int failure = init_monotonic(&created->handle);
    if (failure != 0) {
        env->release(env, created);
        return fst_posix_status(failure);
    }
    *condition = created;
    return FASTER_OK;
}

void fst_posix_condition_destroy(const struct faster_env *env, struct fst_condition *condition) {
    if (condition != NULL) {
        (void)pthread_cond_destroy(&condition->handle);
        env->release(env, condition);
    }
}

bool fst_posix_condition_wait(const struct faster_env *env, struct fst_condition *condition,
                              struct fst_mutex *mutex, uint64_t timeout_ns) {
    uint64_t deadline_ns;
    if (!fst_add_fits_u64(env->monotonic_ns(env), timeout_ns, &deadline_ns)) {
        return pthread_cond_wait(&condition->handle, &mutex->handle) == 0;
    }
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / NS_PER_SECOND),
                                .tv_nsec = (long)(deadline_ns % NS_PER_SECOND)};
    return pthread_cond_timedwait(&condition->handle, &mutex->handle, &deadline) != ETIMEDOUT;
}

void fst_posix_condition_signal(const struct faster_env *env, struct fst_condition *condition) {
    (void)env;
    (void)pthread_cond_signal(&condition->handle);
}

void fst_posix_condition_broadcast(const struct faster_env *env, struct fst_condition *condition) {
    (void)env;
    (void)pthread_cond_broadcast(&condition->handle);
}

/* ---- fences ---- */

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

/* A thread sanitizer does not know what the call orders. */
#if defined(__linux__) && defined(SYS_membarrier) && !HAS_THREAD_SANITIZER
static bool membarrier(int command) {
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

/* The process registers once, with the first call; more often does no harm. */
bool fst_posix_fence_threads(const struct faster_env *env) {
    (void)env;
    return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) ||
           (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
            membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
}
#else
bool fst_posix_fence_threads(const struct faster_env *env) {
    (void)env;
    return false;
}
#endif
