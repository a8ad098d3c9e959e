/* test_env_posix.c - error numbers, memory, time, chance and threads of the POSIX
 * environment. test_env_posix_file.c has its files. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/env_posix.h"

#define MS UINT64_C(1000000)

static const struct faster_env *env;

static void set_up(void) {
    env = faster_env_posix();
}

TestSuite(env_posix, .init = set_up);

/* ---------------------------------------------------------------- errors */

Test(env_posix, every_error_number_has_one_meaning) {
    static const struct {
        int number;
        enum faster_status status;
    } meanings[] = {
        {EACCES, FASTER_READ_ONLY}, {EPERM, FASTER_READ_ONLY}, {EROFS, FASTER_READ_ONLY},
        {ENOENT, FASTER_MISSING},   {ENOTDIR, FASTER_MISSING}, {EEXIST, FASTER_EXISTS},
        {ENOTEMPTY, FASTER_EXISTS}, {ENOSPC, FASTER_FULL},     {EDQUOT, FASTER_FULL},
        {EFBIG, FASTER_FULL},       {EMFILE, FASTER_FULL},     {ENFILE, FASTER_FULL},
        {ENOMEM, FASTER_NOMEM},     {ELOOP, FASTER_FOREIGN},   {EIO, FASTER_IO},
        {EINVAL, FASTER_IO},        {EBADF, FASTER_IO},        {0, FASTER_IO}};
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        cr_assert_eq(fst_posix_status(meanings[i].number), meanings[i].status, "errno %d",
                     meanings[i].number);
    }
}

/* ---------------------------------------------------------------- memory */

Test(env_posix, memory_is_aligned_and_mapped_memory_is_zero) {
    for (size_t bytes = 0; bytes < 100; bytes++) {
        void *memory = env->allocate(env, bytes);
        cr_assert_not_null(memory);
        cr_assert_eq((uintptr_t)memory % 16, 0u);
        memset(memory, 1, bytes);
        env->release(env, memory);
    }
    env->release(env, NULL);
    const size_t bytes = 1024 * 1024 + 1;
    uint8_t *mapped = env->map(env, bytes);
    cr_assert_not_null(mapped);
    cr_assert_eq((uintptr_t)mapped % 4096, 0u);
    cr_assert_eq(mapped[0] | mapped[bytes - 1], 0);
    mapped[bytes - 1] = 1;
    env->unmap(env, mapped, bytes);
    env->unmap(env, NULL, bytes);
    cr_assert_null(env->map(env, 0));
    cr_assert_null(env->map(env, SIZE_MAX / 2));
}

Test(env_posix, mapped_memory_costs_nothing_until_touched) {
    const size_t bytes = (size_t)1 << 33;
    struct rusage usage;
    uint8_t *mapped = env->map(env, bytes);
    cr_assert_not_null(mapped);
    mapped[bytes / 2] = 1;
    cr_assert_eq(getrusage(RUSAGE_SELF, &usage), 0);
    cr_assert_lt((size_t)usage.ru_maxrss * 1024, bytes / 2);
    env->unmap(env, mapped, bytes);
}

/* ------------------------------------------------------- time and chance */

Test(env_posix, clocks_move_forward_and_sleep_lasts) {
    uint64_t start_ns = env->monotonic_ns(env);
    env->sleep_ns(env, 20 * MS);
    env->yield(env);
    cr_assert_geq(env->monotonic_ns(env) - start_ns, 20 * MS);
    cr_assert_gt(env->wall_clock_ns(env), UINT64_C(1600000000) * 1000 * MS);
    cr_assert_eq(env->process_id(env), (uint64_t)getpid());
}

static volatile sig_atomic_t alarm_count;

static void on_alarm(int signal_number) {
    (void)signal_number;
    alarm_count++;
}

Test(env_posix, sleep_goes_on_after_a_signal) {
    const struct sigaction action = {.sa_handler = on_alarm};
    const struct itimerval soon = {.it_value = {.tv_usec = 5000}};
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    uint64_t start_ns = env->monotonic_ns(env);
    cr_assert_eq(setitimer(ITIMER_REAL, &soon, NULL), 0);
    env->sleep_ns(env, 30 * MS);
    cr_assert_geq(env->monotonic_ns(env) - start_ns, 30 * MS);
    cr_assert_eq(alarm_count, 1);
}

Test(env_posix, random_fills_all_bytes) {
    uint8_t bytes[1000] = {0};
    cr_assert_eq(env->random(env, bytes, sizeof bytes), FASTER_OK);
    for (size_t i = 0; i + 20 <= sizeof bytes; i++) {
        static const uint8_t zero[20];
        cr_assert_neq(memcmp(bytes + i, zero, sizeof zero), 0, "untouched at %zu", i);
    }
    cr_assert_eq(env->random(env, bytes, 0), FASTER_OK);
}

/* --------------------------------------------------------------- threads */

struct shared {
    struct fst_mutex *mutex;
    struct fst_condition *condition;
    int count;
    bool all_signals_blocked;
};

static void shared_create(struct shared *shared) {
    *shared = (struct shared){0};
    cr_assert_eq(env->mutex_create(env, &shared->mutex), FASTER_OK);
    cr_assert_eq(env->condition_create(env, &shared->condition), FASTER_OK);
}

static void shared_destroy(struct shared *shared) {
    env->condition_destroy(env, shared->condition);
    env->mutex_destroy(env, shared->mutex);
}

static void count_once(void *argument) {
    struct shared *shared = argument;
    env->mutex_lock(env, shared->mutex);
    shared->count++;
    env->condition_broadcast(env, shared->condition);
    env->mutex_unlock(env, shared->mutex);
}

Test(env_posix, threads_run_and_a_broadcast_wakes) {
    struct shared shared;
    struct fst_thread *threads[8];
    shared_create(&shared);
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(env->thread_start(env, count_once, &shared, &threads[i]), FASTER_OK);
    }
    env->mutex_lock(env, shared.mutex);
    while (shared.count < 8) {
        (void)env->condition_wait(env, shared.condition, shared.mutex, UINT64_MAX);
    }
    env->mutex_unlock(env, shared.mutex);
    for (int i = 0; i < 8; i++) {
        env->thread_join(env, threads[i]);
    }
    env->thread_join(env, NULL);
    shared_destroy(&shared);
    env->mutex_destroy(env, NULL);
    env->condition_destroy(env, NULL);
}

Test(env_posix, wait_times_out_and_holds_the_lock_again) {
    struct shared shared;
    shared_create(&shared);
    env->mutex_lock(env, shared.mutex);
    uint64_t start_ns = env->monotonic_ns(env);
    while (env->condition_wait(env, shared.condition, shared.mutex, 20 * MS)) {
    }
    cr_assert_geq(env->monotonic_ns(env) - start_ns, 20 * MS);
    cr_assert_not(env->condition_wait(env, shared.condition, shared.mutex, 0));
    cr_assert_not(env->mutex_try_lock(env, shared.mutex));
    env->mutex_unlock(env, shared.mutex);
    cr_assert(env->mutex_try_lock(env, shared.mutex));
    env->mutex_unlock(env, shared.mutex);
    env->condition_signal(env, shared.condition);
    shared_destroy(&shared);
}

static void look_at_signals(void *argument) {
    struct shared *shared = argument;
    sigset_t blocked;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    shared->all_signals_blocked = sigismember(&blocked, SIGINT) == 1 &&
                                  sigismember(&blocked, SIGXFSZ) == 1 &&
                                  sigismember(&blocked, SIGALRM) == 1;
}

Test(env_posix, started_threads_take_no_signals) {
    struct shared shared = {0};
    struct fst_thread *thread;
    sigset_t before;
    sigset_t after;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    cr_assert_eq(env->thread_start(env, look_at_signals, &shared, &thread), FASTER_OK);
    env->thread_join(env, thread);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &after);
    cr_assert(shared.all_signals_blocked);
    cr_assert_eq(sigismember(&before, SIGINT), sigismember(&after, SIGINT));
    cr_assert_eq(sigismember(&before, SIGALRM), sigismember(&after, SIGALRM));
}
