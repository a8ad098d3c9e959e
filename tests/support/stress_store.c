/* stress_store.c - see stress_store.h. */
#include "stress_store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "test_env.h"

#define THREADS_MAX 16u

void stress_store_arguments(struct stress_store *stress, int argc, char **argv, uint64_t steps) {
    const char *scale = getenv("FASTER_TEST_SCALE");
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    stress->steps = argc > 1 ? strtoull(argv[1], NULL, 10) : steps;
    stress->seed = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    if (scale != NULL) {
        stress->steps = stress->steps * strtoull(scale, NULL, 10) / 100 + 1;
    }
}

static void need(const struct stress_store *stress, bool condition, const char *what,
                 enum faster_status status) {
    if (!condition) {
        fprintf(stderr, "%s: %s: %s\n", stress->program, what, faster_status_name(status));
        exit(1);
    }
}

static void open_store(struct stress_store *stress, const struct faster_options *options) {
    struct faster_error error = {0};
    enum faster_status status = faster_store_open(options, &stress->store, &error);
    need(stress, status == FASTER_OK, error.message, status);
}

static void close_store(struct stress_store *stress) {
    faster_store_close(stress->store);
    stress->store = NULL;
}

static void run_threads(const struct stress_store *stress) {
    pthread_t threads[THREADS_MAX];
    need(stress, stress->thread_count <= THREADS_MAX, "too many threads", FASTER_MISUSE);
    for (uintptr_t i = 0; i < stress->thread_count; i++) {
        need(stress, pthread_create(&threads[i], NULL, stress->work, (void *)(i + 1)) == 0,
             "pthread_create", FASTER_NOMEM);
    }
    for (uint32_t i = 0; i < stress->thread_count; i++) {
        pthread_join(threads[i], NULL);
    }
}

void stress_store_run(struct stress_store *stress, struct faster_options *options) {
    char base[256];
    char directory[300];
    need(stress, fst_test_directory_create(base, sizeof base), "a directory", FASTER_IO);
    snprintf(directory, sizeof directory, "%s/store", base);
    options->directory = directory;
    enum faster_status status = faster_store_create(options, NULL, NULL);
    need(stress, status == FASTER_OK, "create", status);
    open_store(stress, options);
    run_threads(stress);
    stress->check_all("a lost or doubled update");
    close_store(stress);
    open_store(stress, options);
    stress->check_all("a lost or doubled update after a close");
    close_store(stress);
    fst_test_directory_remove(base);
}
