/* test_registry.c - which stores a process has open (P9). */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sqlite_api.h"
#include "store/registry.h"

#define ROUNDS 60

struct rig {
    char parent[256];
    char directory[300];
    struct faster_options options;
    struct registry_entry *entry;
    pthread_barrier_t start;
};

static void create_and_acquire(struct rig *rig) {
    struct faster_error error = {0};
    rig->options = (struct faster_options){.directory = rig->directory, .memory_bytes = 1 << 20};
    cr_assert_eq(faster_store_create(&rig->options, rig->options.uuid, &error), FASTER_OK, "%s",
                 error.message);
    cr_assert_eq(registry_acquire(&rig->options, NULL, &rig->entry, &error), FASTER_OK, "%s",
                 error.message);
}

static void *release(void *context) {
    struct rig *rig = context;
    (void)pthread_barrier_wait(&rig->start);
    registry_release(rig->entry);
    return NULL;
}

/* The moment moves through the release, which closes the store and syncs files. */
Test(registry, drop_during_close_removes_the_files) {
    struct rig rig = {0};
    const char *temporary = getenv("TMPDIR");
    (void)snprintf(rig.parent, sizeof rig.parent, "%s/registry.XXXXXX",
                   temporary != NULL ? temporary : "/tmp");
    registry_initialise();
    cr_assert_not_null(mkdtemp(rig.parent));
    (void)snprintf(rig.directory, sizeof rig.directory, "%s/store", rig.parent);
    cr_assert_eq(pthread_barrier_init(&rig.start, NULL, 2), 0);
    for (useconds_t round = 0; round < ROUNDS; round++) {
        pthread_t thread;
        create_and_acquire(&rig);
        cr_assert_eq(pthread_create(&thread, NULL, release, &rig), 0);
        (void)pthread_barrier_wait(&rig.start);
        (void)usleep(round * 20);
        registry_drop(rig.options.uuid, NULL, rig.directory);
        (void)pthread_join(thread, NULL);
        cr_assert(access(rig.directory, F_OK) != 0, "round %u: the files stay", (unsigned)round);
    }
    (void)pthread_barrier_destroy(&rig.start);
    (void)rmdir(rig.parent);
}

/* In a child, which has no other threads: 0 if the registry works as in a new process. */
static int use_in_child(struct rig *rig) {
    struct faster_error error;
    if (registry_forked() ||
        registry_acquire(&rig->options, NULL, &rig->entry, &error) != FASTER_OK) {
        return 1;
    }
    registry_release(rig->entry);
    return 0;
}

static int code_of(pid_t child) {
    int code = -1;
    return waitpid(child, &code, 0) == child && WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

/* Only a store that was open at the fork belongs to the parent. */
Test(registry, process_forked_with_no_store_open_is_as_a_new_one) {
    struct rig rig = {.parent = "/tmp/registry.XXXXXX"};
    registry_initialise();
    cr_assert_not_null(mkdtemp(rig.parent));
    (void)snprintf(rig.directory, sizeof rig.directory, "%s/store", rig.parent);
    create_and_acquire(&rig);
    registry_release(rig.entry);
    pid_t child = fork();
    if (child == 0) {
        _exit(use_in_child(&rig));
    }
    cr_assert_eq(code_of(child), 0);
    struct faster_error error;
    cr_assert_eq(registry_acquire(&rig.options, NULL, &rig.entry, &error), FASTER_OK);
    child = fork();
    if (child == 0) {
        _exit(registry_forked() ? 0 : 1);
    }
    cr_assert_eq(code_of(child), 0);
    registry_drop(rig.options.uuid, NULL, rig.directory);
    registry_release(rig.entry);
    (void)rmdir(rig.parent);
}
