/* test_env.h - an environment that counts what it does and fails on request.
 *
 * It wraps faster_env_posix(). Every call of one of the operations below is counted; a
 * fault lets the n-th call from now, and as many after it as asked, fail with a chosen
 * status without touching the system. Any thread may call everything except create and
 * destroy. Counting uses relaxed atomics, so that it orders nothing and hides no data race
 * from a thread sanitizer.
 *
 *     struct fst_test_env *test = fst_test_env_create();
 *     fst_test_env_fail(test, FST_TEST_FILE_SYNC, 3, 1, FASTER_IO);
 *     ... use fst_test_env_get(test) ...
 *     cr_assert_eq(fst_test_env_live_allocations(test), 0);
 *     fst_test_env_destroy(test);
 *
 * An out-of-memory test repeats its work with FST_TEST_ALLOCATE failing at call 1, 2, 3, ...
 * until fst_test_env_failed() says that no call failed any more.
 */
#ifndef FST_TESTS_SUPPORT_TEST_ENV_H
#define FST_TESTS_SUPPORT_TEST_ENV_H

#include "base/env.h"

enum fst_test_operation {
    FST_TEST_ALLOCATE = 0, /* allocate(), and what mutex_create(), condition_create(),
                              thread_start() and file_open() need: NULL or NOMEM */
    FST_TEST_MAP,          /* NULL */
    FST_TEST_RANDOM,
    FST_TEST_THREAD_START,
    FST_TEST_FILE_OPEN,
    FST_TEST_FILE_READ,
    FST_TEST_FILE_WRITE,
    FST_TEST_FILE_SYNC,
    FST_TEST_FILE_TRUNCATE,
    FST_TEST_FILE_SIZE,
    FST_TEST_FILE_LOCK,
    FST_TEST_FILE_OWN,  /* and directory_own() */
    FST_TEST_PATH_INFO, /* and path_info_follow() */
    FST_TEST_PATH_RENAME,
    FST_TEST_PATH_REMOVE,
    FST_TEST_PATH_LINK,
    FST_TEST_FILE_CLONE,
    FST_TEST_DIRECTORY_CREATE,
    FST_TEST_DIRECTORY_REMOVE,
    FST_TEST_DIRECTORY_SYNC,
    FST_TEST_DIRECTORY_LIST,
    FST_TEST_OPERATION_COUNT
};

#define FST_TEST_FOR_EVER UINT64_MAX

struct fst_test_env;

/* NULL if there is no memory. Destroy does not check for leaks: the test asserts them. */
struct fst_test_env *fst_test_env_create(void);
void fst_test_env_destroy(struct fst_test_env *test);

/* The environment to give to the code under test. Lives as long as `test`. */
const struct faster_env *fst_test_env_get(struct fst_test_env *test);

/* Lets the `nth` call of `operation` from now on (1: the next) and the following
 * `times - 1` fail with `status` (ignored for ALLOCATE and MAP). Replaces the operation's
 * earlier fault and resets its failed count. */
void fst_test_env_fail(struct fst_test_env *test, enum fst_test_operation operation, uint64_t nth,
                       uint64_t times, enum faster_status status);

/* Removes one operation's fault, or all of them. The failed counts stay. */
void fst_test_env_heal(struct fst_test_env *test, enum fst_test_operation operation);
void fst_test_env_heal_all(struct fst_test_env *test);

/* With true, a write that is made to fail still stores the first half of its bytes. */
void fst_test_env_tear_writes(struct fst_test_env *test, bool tear);

/* With true, file_descriptor() gives the system's descriptors; before that it gives -1, so that
 * no device goes around the calls that are counted and failed here. */
void fst_test_env_show_descriptors(struct fst_test_env *test, bool show);

/* Calls `hook` on the calling thread before each call of `operation`, for example to let
 * another thread run first. Set it while nobody calls the operation; NULL removes it. */
typedef void fst_test_hook(void *context, enum fst_test_operation operation);
void fst_test_env_hook(struct fst_test_env *test, enum fst_test_operation operation,
                       fst_test_hook *hook, void *context);

/* The monotonic clock jumps ahead, and waits end whose time is over. */
void fst_test_env_advance(struct fst_test_env *test, uint64_t duration_ns);

/* How often the operation was called, failed calls included. */
uint64_t fst_test_env_calls(const struct fst_test_env *test, enum fst_test_operation operation);
/* How many calls the operation's present fault, or the last one, has failed. */
uint64_t fst_test_env_failed(const struct fst_test_env *test, enum fst_test_operation operation);

/* Blocks of allocate() and map() that were not given back. Open files, unjoined threads,
 * mutexes and condition variables are allocated too, so 0 means that nothing leaked. */
uint64_t fst_test_env_live_allocations(const struct fst_test_env *test);
/* Their bytes now, and the most there ever were: for tests of memory budgets. */
uint64_t fst_test_env_live_bytes(const struct fst_test_env *test);
uint64_t fst_test_env_peak_bytes(const struct fst_test_env *test);
/* The most there are from now on. Nobody allocates meanwhile. */
void fst_test_env_restart_peak(struct fst_test_env *test);

/* Makes a new empty directory below $TMPDIR or /tmp and writes its path. False if it
 * cannot. Remove deletes it with everything in it and follows no links. */
bool fst_test_directory_create(char *path, size_t path_bytes);
void fst_test_directory_remove(const char *path);

#endif
