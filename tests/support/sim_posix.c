/* sim_posix.c - what the extension asks the system, in a simulated world: its mutexes wait as
 * fibres do, and the database's files are on the mounted disk. Outside of a world the system
 * answers. See sim_sqlite.h.
 *
 * The C library's mutex is what is locked, so nothing is needed for a try or an unlock. Nobody is
 * told of an unlock: who waits asks again, which costs virtual time only.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include <sqlite3.h>

#include "sim_disk.h"
#include "sim_run.h"

#define TIMED_WAIT_NS UINT64_C(10000000)

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __real_system_sync_file(const char *path);
int __real_system_sync_directory(const char *path);
bool __real_system_may_write(const char *path);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_system_sync_file(const char *path);
int __wrap_system_sync_directory(const char *path);
bool __wrap_system_may_write(const char *path);

/* ---- locks ---- */

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
    int result;

    if (!sim_is_fibre()) {
        return __real_pthread_mutex_lock(mutex);
    }
    while ((result = pthread_mutex_trylock(mutex)) == EBUSY) {
        sim_yield();
    }
    return result;
}

/* `until` is real time, of which a simulation knows nothing: the wait is so long, virtually. */
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until) {
    uint64_t deadline_ns;
    int result;

    if (!sim_is_fibre()) {
        return __real_pthread_mutex_timedlock(mutex, until);
    }
    deadline_ns = sim_now_ns() + TIMED_WAIT_NS;
    while ((result = pthread_mutex_trylock(mutex)) == EBUSY) {
        if (sim_now_ns() >= deadline_ns) {
            return ETIMEDOUT;
        }
        sim_yield();
    }
    return result;
}

/* A wake that nobody sent is allowed. */
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex) {
    if (!sim_is_fibre()) {
        return __real_pthread_cond_wait(condition, mutex);
    }
    (void)pthread_mutex_unlock(mutex);
    sim_yield();
    return __wrap_pthread_mutex_lock(mutex);
}

/* ---- the database's files ---- */

int __wrap_system_sync_file(const char *path) {
    struct sim_handle *handle;
    enum sim_result result;

    if (!sim_is_fibre()) {
        return __real_system_sync_file(path);
    }
    sim_point();
    result = sim_open(SIM_SQLITE, path, 0, 0, &handle);
    if (result != SIM_OK) {
        return result == SIM_MISSING ? SQLITE_OK : SQLITE_IOERR_FSYNC;
    }
    result = sim_sync(handle);
    sim_close(handle);
    return result == SIM_OK ? SQLITE_OK : SQLITE_IOERR_FSYNC;
}

int __wrap_system_sync_directory(const char *path) {
    enum sim_result result;

    if (!sim_is_fibre()) {
        return __real_system_sync_directory(path);
    }
    sim_point();
    result = sim_directory_sync(SIM_SQLITE, path);
    return result == SIM_OK || result == SIM_MISSING ? SQLITE_OK : SQLITE_IOERR_FSYNC;
}

bool __wrap_system_may_write(const char *path) {
    struct sim_info info;

    if (!sim_is_fibre()) {
        return __real_system_may_write(path);
    }
    sim_point();
    return sim_path_info(SIM_SQLITE, path, &info) == SIM_OK;
}
