/* test_test_env.c - the fault-injecting environment does what the other tests rely on. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "support/test_env.h"

static struct fst_test_env *test;
static const struct faster_env *env;
static char directory[256];
static char path[512];
static struct fst_file *file;

static void set_up(void) {
    test = fst_test_env_create();
    cr_assert_not_null(test);
    env = fst_test_env_get(test);
    cr_assert(fst_test_directory_create(directory, sizeof directory));
    cr_assert_eq(fst_path_join(path, sizeof path, directory, "f"), FASTER_OK);
    cr_assert_eq(env->file_open(env, path, FST_OPEN_WRITE | FST_OPEN_CREATE, 0600, &file),
                 FASTER_OK);
}

static void tear_down(void) {
    env->file_close(env, file);
    cr_assert_eq(fst_test_env_live_allocations(test), 0u);
    cr_assert_eq(fst_test_env_live_bytes(test), 0u);
    fst_test_directory_remove(directory);
    fst_test_env_destroy(test);
}

TestSuite(test_env, .init = set_up, .fini = tear_down);

Test(test_env, nth_call_fails_as_often_as_asked) {
    fst_test_env_fail(test, FST_TEST_FILE_SYNC, 2, 2, FASTER_FULL);
    cr_assert_eq(env->file_sync(env, file), FASTER_OK);
    cr_assert_eq(env->file_sync(env, file), FASTER_FULL);
    cr_assert_eq(env->file_sync(env, file), FASTER_FULL);
    cr_assert_eq(env->file_sync(env, file), FASTER_OK);
    cr_assert_eq(fst_test_env_calls(test, FST_TEST_FILE_SYNC), 4u);
    cr_assert_eq(fst_test_env_failed(test, FST_TEST_FILE_SYNC), 2u);
}

Test(test_env, failure_for_ever_ends_with_heal) {
    fst_test_env_fail(test, FST_TEST_FILE_WRITE, 1, FST_TEST_FOR_EVER, FASTER_IO);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(env->file_write(env, file, 0, "abcd", 4), FASTER_IO);
    }
    fst_test_env_heal(test, FST_TEST_FILE_WRITE);
    cr_assert_eq(env->file_write(env, file, 0, "abcd", 4), FASTER_OK);
    cr_assert_eq(fst_test_env_failed(test, FST_TEST_FILE_WRITE), 10u);
    fst_test_env_fail(test, FST_TEST_FILE_WRITE, 1, FST_TEST_FOR_EVER, FASTER_FULL);
    cr_assert_eq(fst_test_env_failed(test, FST_TEST_FILE_WRITE), 0u);
    cr_assert_eq(env->file_write(env, file, 0, "abcd", 4), FASTER_FULL);
    fst_test_env_heal_all(test);
    cr_assert_eq(env->file_write(env, file, 0, "abcd", 4), FASTER_OK);
}

Test(test_env, failed_write_changes_nothing_unless_torn) {
    uint64_t size_bytes;
    fst_test_env_fail(test, FST_TEST_FILE_WRITE, 1, 2, FASTER_IO);
    cr_assert_eq(env->file_write(env, file, 0, "abcd", 4), FASTER_IO);
    cr_assert_eq(env->file_size(env, file, &size_bytes), FASTER_OK);
    cr_assert_eq(size_bytes, 0u);
    fst_test_env_tear_writes(test, true);
    cr_assert_eq(env->file_write(env, file, 0, "abcd", 4), FASTER_IO);
    cr_assert_eq(env->file_size(env, file, &size_bytes), FASTER_OK);
    cr_assert_eq(size_bytes, 2u);
}

Test(test_env, failed_read_reports_no_bytes) {
    char bytes[4];
    size_t done = 99;
    cr_assert_eq(env->file_write(env, file, 0, "abcd", 4), FASTER_OK);
    fst_test_env_fail(test, FST_TEST_FILE_READ, 1, 1, FASTER_IO);
    cr_assert_eq(env->file_read(env, file, 0, bytes, 4, &done), FASTER_IO);
    cr_assert_eq(done, 0u);
    cr_assert_eq(env->file_read(env, file, 0, bytes, 4, &done), FASTER_OK);
    cr_assert_eq(done, 4u);
}

static bool ignore_name(void *context, const char *name) {
    (void)context;
    (void)name;
    return true;
}

static void run_nothing(void *argument) {
    (void)argument;
}

/* Calls `operation` once; `other` is a second name in the directory. */
static enum faster_status call(enum fst_test_operation operation, const char *other) {
    struct fst_file_info info;
    struct fst_thread *thread;
    struct fst_file *opened;
    enum faster_status status = FASTER_OK;
    uint64_t size_bytes;
    size_t done;
    uint8_t byte = 0;
    switch (operation) {
    case FST_TEST_ALLOCATE: {
        void *memory = env->allocate(env, 1);
        env->release(env, memory);
        return memory == NULL ? FASTER_NOMEM : FASTER_OK;
    }
    case FST_TEST_MAP: {
        void *memory = env->map(env, 4096);
        env->unmap(env, memory, 4096);
        return memory == NULL ? FASTER_NOMEM : FASTER_OK;
    }
    case FST_TEST_RANDOM:
        return env->random(env, &byte, 1);
    case FST_TEST_THREAD_START:
        status = env->thread_start(env, run_nothing, NULL, &thread);
        if (status == FASTER_OK) {
            env->thread_join(env, thread);
        }
        return status;
    case FST_TEST_FILE_OPEN:
        status = env->file_open(env, path, FST_OPEN_READ, 0, &opened);
        if (status == FASTER_OK) {
            env->file_close(env, opened);
        }
        return status;
    case FST_TEST_FILE_READ:
        return env->file_read(env, file, 0, &byte, 1, &done);
    case FST_TEST_FILE_WRITE:
        return env->file_write(env, file, 0, &byte, 1);
    case FST_TEST_FILE_SYNC:
        return env->file_sync(env, file);
    case FST_TEST_FILE_TRUNCATE:
        return env->file_truncate(env, file, 0);
    case FST_TEST_FILE_SIZE:
        return env->file_size(env, file, &size_bytes);
    case FST_TEST_FILE_LOCK:
        return env->file_lock(env, file);
    case FST_TEST_FILE_OWN:
        return env->file_own(env, file, 0600, (uint32_t)geteuid(), (uint32_t)getegid());
    case FST_TEST_PATH_INFO:
        return env->path_info(env, path, &info);
    case FST_TEST_PATH_RENAME:
        return env->path_rename(env, path, path);
    case FST_TEST_PATH_REMOVE:
        return symlink("nowhere", other) == 0 ? env->path_remove(env, other) : FASTER_IO;
    case FST_TEST_PATH_LINK:
        status = env->path_link(env, path, other);
        return status == FASTER_OK ? env->path_remove(env, other) : status;
    case FST_TEST_FILE_CLONE: /* which few file systems can */
        status = env->file_clone(env, file, file);
        return status == FASTER_INVALID ? FASTER_OK : status;
    case FST_TEST_DIRECTORY_CREATE:
        status = env->directory_create(env, other, 0700);
        (void)rmdir(other);
        return status;
    case FST_TEST_DIRECTORY_REMOVE:
        return mkdir(other, 0700) == 0 ? env->directory_remove(env, other) : FASTER_IO;
    case FST_TEST_DIRECTORY_SYNC:
        return env->directory_sync(env, directory);
    case FST_TEST_DIRECTORY_LIST:
        return env->directory_list(env, directory, ignore_name, NULL);
    case FST_TEST_OPERATION_COUNT:
        break;
    }
    return FASTER_MISUSE;
}

Test(test_env, every_operation_is_counted_and_can_fail) {
    for (unsigned i = 0; i < FST_TEST_OPERATION_COUNT; i++) {
        enum fst_test_operation operation = (enum fst_test_operation)i;
        char other[512];
        char name[16];
        (void)snprintf(name, sizeof name, "other%u", i);
        cr_assert_eq(fst_path_join(other, sizeof other, directory, name), FASTER_OK);
        uint64_t calls = fst_test_env_calls(test, operation);
        cr_assert_eq(call(operation, other), FASTER_OK, "operation %u", i);
        cr_assert_eq(fst_test_env_calls(test, operation), calls + 1);
        fst_test_env_fail(test, operation, 1, 1, FASTER_NOMEM);
        cr_assert_neq(call(operation, other), FASTER_OK, "operation %u", i);
        cr_assert_eq(fst_test_env_failed(test, operation), 1u, "operation %u", i);
        (void)unlink(other);
        (void)rmdir(other);
        cr_assert_eq(call(operation, other), FASTER_OK, "operation %u", i);
    }
}

Test(test_env, variants_share_their_operation) {
    struct fst_file_info info;
    fst_test_env_fail(test, FST_TEST_PATH_INFO, 1, 1, FASTER_MISSING);
    cr_assert_eq(env->path_info_follow(env, path, &info), FASTER_MISSING);
    cr_assert_eq(env->path_info_follow(env, path, &info), FASTER_OK);
    fst_test_env_fail(test, FST_TEST_FILE_OWN, 1, 1, FASTER_IO);
    cr_assert_eq(env->directory_own(env, directory, 0700, 0, 0), FASTER_IO);
    cr_assert_eq(env->directory_own(env, directory, 0700, (uint32_t)geteuid(), (uint32_t)getegid()),
                 FASTER_OK);
}

Test(test_env, objects_fail_with_their_allocation) {
    struct fst_mutex *mutex;
    struct fst_condition *condition;
    struct fst_thread *thread;
    struct fst_file *opened;
    fst_test_env_fail(test, FST_TEST_ALLOCATE, 1, 4, FASTER_NOMEM);
    cr_assert_eq(env->mutex_create(env, &mutex), FASTER_NOMEM);
    cr_assert_eq(env->condition_create(env, &condition), FASTER_NOMEM);
    cr_assert_eq(env->thread_start(env, run_nothing, NULL, &thread), FASTER_NOMEM);
    cr_assert_eq(env->file_open(env, path, FST_OPEN_READ, 0, &opened), FASTER_NOMEM);
    cr_assert_eq(env->mutex_create(env, &mutex), FASTER_OK);
    cr_assert_eq(fst_test_env_live_allocations(test), 2u);
    env->mutex_destroy(env, mutex);
}

Test(test_env, live_and_peak_memory_are_known) {
    uint64_t live = fst_test_env_live_allocations(test);
    uint64_t live_bytes = fst_test_env_live_bytes(test);
    void *allocated = env->allocate(env, 100);
    void *mapped = env->map(env, 8192);
    cr_assert_eq((uintptr_t)allocated % 16, 0u);
    cr_assert_eq(fst_test_env_live_allocations(test), live + 2);
    cr_assert_eq(fst_test_env_live_bytes(test), live_bytes + 8292);
    env->unmap(env, mapped, 8192);
    env->release(env, allocated);
    env->release(env, NULL);
    env->unmap(env, NULL, 8192);
    cr_assert_eq(fst_test_env_live_allocations(test), live);
    cr_assert_eq(fst_test_env_live_bytes(test), live_bytes);
    cr_assert_eq(fst_test_env_peak_bytes(test), live_bytes + 8292);
    cr_assert_null(env->allocate(env, SIZE_MAX));
}

static void count_hook(void *context, enum fst_test_operation operation) {
    cr_assert_eq(operation, FST_TEST_FILE_SYNC);
    ++*(int *)context;
}

Test(test_env, hook_runs_before_each_call) {
    int count = 0;
    fst_test_env_hook(test, FST_TEST_FILE_SYNC, count_hook, &count);
    cr_assert_eq(env->file_sync(env, file), FASTER_OK);
    cr_assert_eq(env->file_sync(env, file), FASTER_OK);
    fst_test_env_hook(test, FST_TEST_FILE_SYNC, NULL, NULL);
    cr_assert_eq(env->file_sync(env, file), FASTER_OK);
    cr_assert_eq(count, 2);
}

static void work(void *argument) {
    (void)argument;
    for (int i = 0; i < 1000; i++) {
        void *memory = env->allocate(env, 64);
        (void)env->file_sync(env, file);
        env->release(env, memory);
    }
}

Test(test_env, threads_share_one_count) {
    struct fst_thread *threads[4];
    fst_test_env_fail(test, FST_TEST_FILE_SYNC, 2000, 500, FASTER_IO);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(env->thread_start(env, work, NULL, &threads[i]), FASTER_OK);
    }
    for (int i = 0; i < 4; i++) {
        env->thread_join(env, threads[i]);
    }
    cr_assert_eq(fst_test_env_calls(test, FST_TEST_FILE_SYNC), 4000u);
    cr_assert_eq(fst_test_env_failed(test, FST_TEST_FILE_SYNC), 500u);
}

Test(test_env, directory_remove_follows_no_links) {
    char kept[256];
    char inside[512];
    char link[512];
    cr_assert(fst_test_directory_create(kept, sizeof kept));
    cr_assert_eq(fst_path_join(inside, sizeof inside, kept, "inside"), FASTER_OK);
    cr_assert_eq(mkdir(inside, 0700), 0);
    cr_assert_eq(fst_path_join(link, sizeof link, directory, "link"), FASTER_OK);
    cr_assert_eq(symlink(kept, link), 0);
    fst_test_directory_remove(directory);
    cr_assert_neq(access(directory, F_OK), 0);
    cr_assert_eq(access(inside, F_OK), 0);
    fst_test_directory_remove(kept);
    cr_assert_neq(access(kept, F_OK), 0);
}
