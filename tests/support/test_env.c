#include "support/test_env.h"

#include <stdlib.h>

#include "base/atomic.h"

/* What precedes each allocated block; keeps the block 16-byte aligned. */
struct block_header {
    uint64_t size_bytes;
    uint64_t unused;
};

/* Calls number `first` to `last`, counted from 1, fail. No fault: first is UINT64_MAX. */
struct operation_state {
    fst_atomic_u64 calls;
    fst_atomic_u64 failed;
    fst_atomic_u64 first;
    fst_atomic_u64 last;
    fst_atomic_u64 status; /* enum faster_status as an unsigned word */
    fst_test_hook *hook;
    void *hook_context;
};

struct fst_test_env {
    struct faster_env env;
    const struct faster_env *system;
    struct operation_state operations[FST_TEST_OPERATION_COUNT];
    fst_atomic_u64 tears_writes;
    fst_atomic_u64 shows_descriptors;
    fst_atomic_u64 live_allocations;
    fst_atomic_u64 live_bytes;
    fst_atomic_u64 peak_bytes;
    fst_atomic_u64 advanced_ns;
    fst_atomic_u64 signal_count;
};

static struct fst_test_env *test_of(const struct faster_env *env) {
    return env->self;
}

/* Counts a call and returns the status with which it is to fail, or OK. */
static enum faster_status enter(const struct faster_env *env, enum fst_test_operation operation) {
    struct operation_state *state = &test_of(env)->operations[operation];
    if (state->hook != NULL) {
        state->hook(state->hook_context, operation);
    }
    uint64_t call = fst_add_relaxed_u64(&state->calls, 1) + 1;
    if (call < fst_load_acquire_u64(&state->first) || call > fst_load_relaxed_u64(&state->last)) {
        return FASTER_OK;
    }
    (void)fst_add_relaxed_u64(&state->failed, 1);
    return (enum faster_status)(int64_t)fst_load_relaxed_u64(&state->status);
}

static void count_block(struct fst_test_env *test, uint64_t size_bytes) {
    (void)fst_add_relaxed_u64(&test->live_allocations, 1);
    uint64_t live = fst_add_relaxed_u64(&test->live_bytes, size_bytes) + size_bytes;
    uint64_t peak = fst_load_relaxed_u64(&test->peak_bytes);
    while (live > peak && !fst_cas_relaxed_u64(&test->peak_bytes, &peak, live)) {
    }
}

static void uncount_block(struct fst_test_env *test, uint64_t size_bytes) {
    (void)fst_add_relaxed_u64(&test->live_allocations, UINT64_MAX);
    (void)fst_add_relaxed_u64(&test->live_bytes, UINT64_C(0) - size_bytes);
}

/* ---------------------------------------------------------------- memory */

static void *test_allocate(const struct faster_env *env, size_t bytes) {
    struct fst_test_env *test = test_of(env);
    if (enter(env, FST_TEST_ALLOCATE) != FASTER_OK ||
        bytes > SIZE_MAX - sizeof(struct block_header)) {
        return NULL;
    }
    struct block_header *header =
        test->system->allocate(test->system, sizeof(struct block_header) + bytes);
    if (header == NULL) {
        return NULL;
    }
    header->size_bytes = bytes;
    count_block(test, bytes);
    return header + 1;
}

static void test_release(const struct faster_env *env, void *memory) {
    if (memory != NULL) {
        struct fst_test_env *test = test_of(env);
        struct block_header *header = (struct block_header *)memory - 1;
        uncount_block(test, header->size_bytes);
        test->system->release(test->system, header);
    }
}

static void *test_map(const struct faster_env *env, size_t bytes) {
    struct fst_test_env *test = test_of(env);
    if (enter(env, FST_TEST_MAP) != FASTER_OK) {
        return NULL;
    }
    void *memory = test->system->map(test->system, bytes);
    if (memory != NULL) {
        count_block(test, bytes);
    }
    return memory;
}

static void test_unmap(const struct faster_env *env, void *memory, size_t bytes) {
    if (memory != NULL) {
        struct fst_test_env *test = test_of(env);
        uncount_block(test, bytes);
        test->system->unmap(test->system, memory, bytes);
    }
}

static size_t test_advise_huge(const struct faster_env *env, void *memory, size_t bytes) {
    struct fst_test_env *test = test_of(env);
    return test->system->advise_huge(test->system, memory, bytes);
}

static bool test_fence_threads(const struct faster_env *env) {
    struct fst_test_env *test = test_of(env);
    return test->system->fence_threads(test->system);
}

/* ----------------------------------------------- what can be made to fail
 *
 * The system's functions get the wrapped environment, so that the objects they make are
 * allocated, counted and failed here. */

static enum faster_status test_random(const struct faster_env *env, void *bytes, size_t count) {
    enum faster_status status = enter(env, FST_TEST_RANDOM);
    return status != FASTER_OK ? status : test_of(env)->system->random(env, bytes, count);
}

static enum faster_status test_thread_start(const struct faster_env *env, void (*run)(void *),
                                            void *argument, struct fst_thread **thread) {
    enum faster_status status = enter(env, FST_TEST_THREAD_START);
    return status != FASTER_OK ? status
                               : test_of(env)->system->thread_start(env, run, argument, thread);
}

static enum faster_status test_file_open(const struct faster_env *env, const char *path,
                                         unsigned flags, uint32_t mode, struct fst_file **file) {
    enum faster_status status = enter(env, FST_TEST_FILE_OPEN);
    return status != FASTER_OK ? status
                               : test_of(env)->system->file_open(env, path, flags, mode, file);
}

static enum faster_status test_file_read(const struct faster_env *env, struct fst_file *file,
                                         uint64_t offset, void *bytes, size_t count,
                                         size_t *count_done) {
    enum faster_status status = enter(env, FST_TEST_FILE_READ);
    if (status != FASTER_OK) {
        *count_done = 0;
        return status;
    }
    return test_of(env)->system->file_read(env, file, offset, bytes, count, count_done);
}

static enum faster_status test_file_write(const struct faster_env *env, struct fst_file *file,
                                          uint64_t offset, const void *bytes, size_t count) {
    struct fst_test_env *test = test_of(env);
    enum faster_status status = enter(env, FST_TEST_FILE_WRITE);
    if (status == FASTER_OK) {
        return test->system->file_write(env, file, offset, bytes, count);
    }
    if (fst_load_relaxed_u64(&test->tears_writes) != 0) {
        (void)test->system->file_write(env, file, offset, bytes, count / 2);
    }
    return status;
}

static enum faster_status test_file_sync(const struct faster_env *env, struct fst_file *file) {
    enum faster_status status = enter(env, FST_TEST_FILE_SYNC);
    return status != FASTER_OK ? status : test_of(env)->system->file_sync(env, file);
}

static enum faster_status test_file_truncate(const struct faster_env *env, struct fst_file *file,
                                             uint64_t size_bytes) {
    enum faster_status status = enter(env, FST_TEST_FILE_TRUNCATE);
    return status != FASTER_OK ? status
                               : test_of(env)->system->file_truncate(env, file, size_bytes);
}

static enum faster_status test_file_size(const struct faster_env *env, struct fst_file *file,
                                         uint64_t *size_bytes) {
    enum faster_status status = enter(env, FST_TEST_FILE_SIZE);
    return status != FASTER_OK ? status : test_of(env)->system->file_size(env, file, size_bytes);
}

static enum faster_status test_file_lock(const struct faster_env *env, struct fst_file *file) {
    enum faster_status status = enter(env, FST_TEST_FILE_LOCK);
    return status != FASTER_OK ? status : test_of(env)->system->file_lock(env, file);
}

static enum faster_status test_file_own(const struct faster_env *env, struct fst_file *file,
                                        uint32_t mode, uint32_t user, uint32_t group) {
    enum faster_status status = enter(env, FST_TEST_FILE_OWN);
    return status != FASTER_OK ? status
                               : test_of(env)->system->file_own(env, file, mode, user, group);
}

static int test_file_descriptor(const struct faster_env *env, const struct fst_file *file) {
    struct fst_test_env *test = test_of(env);
    return fst_load_relaxed_u64(&test->shows_descriptors) == 0
               ? -1
               : test->system->file_descriptor(env, file);
}

static enum faster_status test_path_info(const struct faster_env *env, const char *path,
                                         struct fst_file_info *info) {
    enum faster_status status = enter(env, FST_TEST_PATH_INFO);
    return status != FASTER_OK ? status : test_of(env)->system->path_info(env, path, info);
}

static enum faster_status test_path_info_follow(const struct faster_env *env, const char *path,
                                                struct fst_file_info *info) {
    enum faster_status status = enter(env, FST_TEST_PATH_INFO);
    return status != FASTER_OK ? status : test_of(env)->system->path_info_follow(env, path, info);
}

static enum faster_status test_directory_create(const struct faster_env *env, const char *path,
                                                uint32_t mode) {
    enum faster_status status = enter(env, FST_TEST_DIRECTORY_CREATE);
    return status != FASTER_OK ? status : test_of(env)->system->directory_create(env, path, mode);
}

static enum faster_status test_directory_own(const struct faster_env *env, const char *path,
                                             uint32_t mode, uint32_t user, uint32_t group) {
    enum faster_status status = enter(env, FST_TEST_FILE_OWN);
    return status != FASTER_OK ? status
                               : test_of(env)->system->directory_own(env, path, mode, user, group);
}

static enum faster_status test_directory_remove(const struct faster_env *env, const char *path) {
    enum faster_status status = enter(env, FST_TEST_DIRECTORY_REMOVE);
    return status != FASTER_OK ? status : test_of(env)->system->directory_remove(env, path);
}

static enum faster_status test_directory_sync(const struct faster_env *env, const char *path) {
    enum faster_status status = enter(env, FST_TEST_DIRECTORY_SYNC);
    return status != FASTER_OK ? status : test_of(env)->system->directory_sync(env, path);
}

static enum faster_status test_directory_list(const struct faster_env *env, const char *path,
                                              fst_name_fn *each, void *context) {
    enum faster_status status = enter(env, FST_TEST_DIRECTORY_LIST);
    return status != FASTER_OK ? status
                               : test_of(env)->system->directory_list(env, path, each, context);
}

static enum faster_status test_path_rename(const struct faster_env *env, const char *from,
                                           const char *to) {
    enum faster_status status = enter(env, FST_TEST_PATH_RENAME);
    return status != FASTER_OK ? status : test_of(env)->system->path_rename(env, from, to);
}

static enum faster_status test_path_remove(const struct faster_env *env, const char *path) {
    enum faster_status status = enter(env, FST_TEST_PATH_REMOVE);
    return status != FASTER_OK ? status : test_of(env)->system->path_remove(env, path);
}

static enum faster_status test_path_link(const struct faster_env *env, const char *from,
                                         const char *to) {
    enum faster_status status = enter(env, FST_TEST_PATH_LINK);
    return status != FASTER_OK ? status : test_of(env)->system->path_link(env, from, to);
}

static enum faster_status test_file_clone(const struct faster_env *env, struct fst_file *from,
                                          struct fst_file *to) {
    enum faster_status status = enter(env, FST_TEST_FILE_CLONE);
    return status != FASTER_OK ? status : test_of(env)->system->file_clone(env, from, to);
}

/* ------------------------------------------------------------------ time */

static uint64_t test_monotonic_ns(const struct faster_env *env) {
    struct fst_test_env *test = test_of(env);
    return test->system->monotonic_ns(test->system) + fst_load_relaxed_u64(&test->advanced_ns);
}

#define WAIT_SLICE_NS UINT64_C(2000000)

/* In slices, between which the clock may have been advanced. A signal may come when a slice is over
 * and its thread waits for the mutex: that is a wake, too, as is one of another condition. */
static bool test_condition_wait(const struct faster_env *env, struct fst_condition *condition,
                                struct fst_mutex *mutex, uint64_t timeout_ns) {
    const struct faster_env *system = test_of(env)->system;
    if (timeout_ns == UINT64_MAX) {
        return system->condition_wait(system, condition, mutex, timeout_ns);
    }
    const uint64_t start_ns = test_monotonic_ns(env);
    const uint64_t signal_count = fst_load_relaxed_u64(&test_of(env)->signal_count);
    bool is_woken = false;
    uint64_t waited_ns = 0;
    while (!is_woken && waited_ns < timeout_ns) {
        const uint64_t left_ns = timeout_ns - waited_ns;
        is_woken = system->condition_wait(system, condition, mutex,
                                          left_ns < WAIT_SLICE_NS ? left_ns : WAIT_SLICE_NS) ||
                   fst_load_relaxed_u64(&test_of(env)->signal_count) != signal_count;
        waited_ns = test_monotonic_ns(env) - start_ns;
    }
    return is_woken;
}

static void test_condition_signal(const struct faster_env *env, struct fst_condition *condition) {
    struct fst_test_env *test = test_of(env);
    fst_add_relaxed_u64(&test->signal_count, 1);
    test->system->condition_signal(test->system, condition);
}

static void test_condition_broadcast(const struct faster_env *env,
                                     struct fst_condition *condition) {
    struct fst_test_env *test = test_of(env);
    fst_add_relaxed_u64(&test->signal_count, 1);
    test->system->condition_broadcast(test->system, condition);
}

/* ------------------------------------------------------------ its control */

/* Locks are the system's own. */
static void wrap(struct fst_test_env *test) {
    test->env = *test->system;
    test->env.self = test;
    test->env.allocate = test_allocate;
    test->env.release = test_release;
    test->env.map = test_map;
    test->env.unmap = test_unmap;
    test->env.advise_huge = test_advise_huge;
    test->env.fence_threads = test_fence_threads;
    test->env.random = test_random;
    test->env.monotonic_ns = test_monotonic_ns;
    test->env.condition_wait = test_condition_wait;
    test->env.condition_signal = test_condition_signal;
    test->env.condition_broadcast = test_condition_broadcast;
    test->env.thread_start = test_thread_start;
    test->env.file_open = test_file_open;
    test->env.file_read = test_file_read;
    test->env.file_write = test_file_write;
    test->env.file_sync = test_file_sync;
    test->env.file_truncate = test_file_truncate;
    test->env.file_size = test_file_size;
    test->env.file_lock = test_file_lock;
    test->env.file_own = test_file_own;
    test->env.file_descriptor = test_file_descriptor;
    test->env.path_info = test_path_info;
    test->env.path_info_follow = test_path_info_follow;
    test->env.directory_create = test_directory_create;
    test->env.directory_own = test_directory_own;
    test->env.directory_remove = test_directory_remove;
    test->env.directory_sync = test_directory_sync;
    test->env.directory_list = test_directory_list;
    test->env.path_rename = test_path_rename;
    test->env.path_remove = test_path_remove;
    test->env.path_link = test->system->path_link == NULL ? NULL : test_path_link;
    test->env.file_clone = test->system->file_clone == NULL ? NULL : test_file_clone;
}

struct fst_test_env *fst_test_env_create(void) {
    struct fst_test_env *test = calloc(1, sizeof *test);
    if (test != NULL) {
        test->system = faster_env_posix();
        wrap(test);
        fst_test_env_heal_all(test);
    }
    return test;
}

void fst_test_env_destroy(struct fst_test_env *test) {
    free(test);
}

const struct faster_env *fst_test_env_get(struct fst_test_env *test) {
    return &test->env;
}

void fst_test_env_fail(struct fst_test_env *test, enum fst_test_operation operation, uint64_t nth,
                       uint64_t times, enum faster_status status) {
    struct operation_state *state = &test->operations[operation];
    fst_store_relaxed_u64(&state->first, UINT64_MAX);
    uint64_t first = fst_load_relaxed_u64(&state->calls) + nth;
    uint64_t last = times > UINT64_MAX - first ? UINT64_MAX : first + times - 1;
    bool has_status = operation != FST_TEST_ALLOCATE && operation != FST_TEST_MAP;
    fst_store_relaxed_u64(&state->failed, 0);
    fst_store_relaxed_u64(&state->last, last);
    fst_store_relaxed_u64(&state->status, (uint64_t)(int64_t)(has_status ? status : FASTER_NOMEM));
    /* release: pairs with the acquire in enter(); whoever sees the fault sees all of it */
    fst_store_release_u64(&state->first, first);
}

void fst_test_env_heal(struct fst_test_env *test, enum fst_test_operation operation) {
    fst_store_relaxed_u64(&test->operations[operation].first, UINT64_MAX);
}

void fst_test_env_heal_all(struct fst_test_env *test) {
    for (unsigned i = 0; i < FST_TEST_OPERATION_COUNT; i++) {
        fst_test_env_heal(test, (enum fst_test_operation)i);
    }
}

void fst_test_env_tear_writes(struct fst_test_env *test, bool tear) {
    fst_store_relaxed_u64(&test->tears_writes, tear ? 1 : 0);
}

void fst_test_env_show_descriptors(struct fst_test_env *test, bool show) {
    fst_store_relaxed_u64(&test->shows_descriptors, show ? 1 : 0);
}

void fst_test_env_hook(struct fst_test_env *test, enum fst_test_operation operation,
                       fst_test_hook *hook, void *context) {
    test->operations[operation].hook = hook;
    test->operations[operation].hook_context = context;
}

void fst_test_env_advance(struct fst_test_env *test, uint64_t duration_ns) {
    (void)fst_add_relaxed_u64(&test->advanced_ns, duration_ns);
}

uint64_t fst_test_env_calls(const struct fst_test_env *test, enum fst_test_operation operation) {
    return fst_load_relaxed_u64(&test->operations[operation].calls);
}

uint64_t fst_test_env_failed(const struct fst_test_env *test, enum fst_test_operation operation) {
    return fst_load_relaxed_u64(&test->operations[operation].failed);
}

uint64_t fst_test_env_live_allocations(const struct fst_test_env *test) {
    return fst_load_relaxed_u64(&test->live_allocations);
}

uint64_t fst_test_env_live_bytes(const struct fst_test_env *test) {
    return fst_load_relaxed_u64(&test->live_bytes);
}

uint64_t fst_test_env_peak_bytes(const struct fst_test_env *test) {
    return fst_load_relaxed_u64(&test->peak_bytes);
}

void fst_test_env_restart_peak(struct fst_test_env *test) {
    fst_store_relaxed_u64(&test->peak_bytes, fst_test_env_live_bytes(test));
}
