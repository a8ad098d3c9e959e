/* env_posix.c - the POSIX environment: its table, memory, time and chance (layer 0). */
#include "base/env_posix.h"

#include <errno.h>
#include <sched.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define HUGE_BYTES ((uintptr_t)1 << 21)

_Static_assert(alignof(max_align_t) >= 16, "env.h promises 16-byte aligned memory");

enum faster_status fst_posix_status(int error_number) {
    switch (error_number) {
    case EACCES:
    case EPERM:
    case EROFS:
        return FASTER_READ_ONLY;
    case ENOENT:
    case ENOTDIR: /* a name below something that is no directory does not exist */
        return FASTER_MISSING;
    case EEXIST:
    case ENOTEMPTY:
        return FASTER_EXISTS;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
        return FASTER_FULL;
    case ENOMEM:
        return FASTER_NOMEM;
    case ELOOP:
        return FASTER_FOREIGN;
    default:
        return FASTER_IO;
    }
}

static void *posix_allocate(const struct faster_env *env, size_t bytes) {
    (void)env;
    /* malloc(0) may return NULL, which would look like lack of memory. */
    return malloc(bytes == 0 ? 1 : bytes);
}

static void posix_release(const struct faster_env *env, void *memory) {
    (void)env;
    free(memory);
}

/* NORESERVE: an index or a ring of pages is mapped at its full size but counts only what it
 * has touched. */
static void *posix_map(const struct faster_env *env, size_t bytes) {
    (void)env;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void posix_unmap(const struct faster_env *env, void *memory, size_t bytes) {
    (void)env;
    if (memory != NULL) {
        (void)munmap(memory, bytes);
    }
}

static size_t posix_advise_huge(const struct faster_env *env, void *memory, size_t bytes) {
    (void)env;
#ifdef MADV_HUGEPAGE
    const uintptr_t start = (uintptr_t)memory;
    const uintptr_t from = (start + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
    const uintptr_t to = (start + bytes) & ~(HUGE_BYTES - 1);
    if (from < to &&
        madvise((unsigned char *)memory + (from - start), to - from, MADV_HUGEPAGE) == 0) {
        return to - from;
    }
#else
    (void)memory;
    (void)bytes;
#endif
    return 0;
}

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now) != 0 || now.tv_sec < 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static uint64_t posix_monotonic_ns(const struct faster_env *env) {
    (void)env;
    return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t posix_wall_clock_ns(const struct faster_env *env) {
    (void)env;
    return clock_ns(CLOCK_REALTIME);
}

static void posix_sleep_ns(const struct faster_env *env, uint64_t duration_ns) {
    (void)env;
    struct timespec rest = {.tv_sec = (time_t)(duration_ns / NS_PER_SECOND),
                            .tv_nsec = (long)(duration_ns % NS_PER_SECOND)};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {
    }
}

static void posix_yield(const struct faster_env *env) {
    (void)env;
    (void)sched_yield();
}

static enum faster_status posix_random(const struct faster_env *env, void *bytes, size_t count) {
    (void)env;
    uint8_t *next = bytes;
    while (count > 0) {
        ssize_t drawn = getrandom(next, count, 0);
        if (drawn < 0 && errno == EINTR) {
            continue;
        }
        if (drawn <= 0) {
            return FASTER_IO;
        }
        next += drawn;
        count -= (size_t)drawn;
    }
    return FASTER_OK;
}

static uint64_t posix_process_id(const struct faster_env *env) {
    (void)env;
    return (uint64_t)getpid();
}

static const struct faster_env posix_env = {
    .self = NULL,
    .allocate = posix_allocate,
    .release = posix_release,
    .map = posix_map,
    .unmap = posix_unmap,
    .advise_huge = posix_advise_huge,
    .fence_threads = fst_posix_fence_threads,
    .monotonic_ns = posix_monotonic_ns,
    .wall_clock_ns = posix_wall_clock_ns,
    .sleep_ns = posix_sleep_ns,
    .yield = posix_yield,
    .random = posix_random,
    .process_id = posix_process_id,
    .thread_start = fst_posix_thread_start,
    .thread_join = fst_posix_thread_join,
    .mutex_create = fst_posix_mutex_create,
    .mutex_destroy = fst_posix_mutex_destroy,
    .mutex_lock = fst_posix_mutex_lock,
    .mutex_try_lock = fst_posix_mutex_try_lock,
    .mutex_unlock = fst_posix_mutex_unlock,
    .condition_create = fst_posix_condition_create,
    .condition_destroy = fst_posix_condition_destroy,
    .condition_wait = fst_posix_condition_wait,
    .condition_signal = fst_posix_condition_signal,
    .condition_broadcast = fst_posix_condition_broadcast,
    .file_open = fst_posix_file_open,
    .file_close = fst_posix_file_close,
    .file_read = fst_posix_file_read,
    .file_write = fst_posix_file_write,
    .file_sync = fst_posix_file_sync,
    .file_truncate = fst_posix_file_truncate,
    .file_size = fst_posix_file_size,
    .file_lock = fst_posix_file_lock,
    .file_own = fst_posix_file_own,
    .file_descriptor = fst_posix_file_descriptor,
    .path_info = fst_posix_path_info,
    .path_info_follow = fst_posix_path_info_follow,
    .directory_create = fst_posix_directory_create,
    .directory_own = fst_posix_directory_own,
    .directory_remove = fst_posix_directory_remove,
    .directory_sync = fst_posix_directory_sync,
    .directory_list = fst_posix_directory_list,
    .path_rename = fst_posix_path_rename,
    .path_remove = fst_posix_path_remove,
    .file_clone = fst_posix_file_clone,
    .path_link = fst_posix_path_link,
};

const struct faster_env *faster_env_posix(void) {
    return &posix_env;
}
