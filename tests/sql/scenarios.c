/* scenarios.c - one test by name for each situation that a joint commit must survive.
 * Sources: scenarios.c scenarios_support.c scenarios_commit.c scenarios_crash.c
 * scenarios_place.c scenarios_reader.c scenarios_fault.c scenarios_input.c scenarios_direct.c
 * scenarios_sessions.c, and
 * ../support/{sql_support,sql_files,fault_vfs,hook_table}.c.
 *
 * Strategy. Each scenario runs in a fresh process and directory. Most keep a FASTER table f
 * and an ordinary table o with the same statements, so that "what SQLite itself does" is
 * the oracle: whatever commit, failure or crash happens, both must show the same rows.
 * Exact moments are reached with means from outside: second connections, a virtual table
 * whose callbacks run between SQLite's commit and the table's (hook_table), a VFS that
 * fails the n-th sync (fault_vfs), processes that kill themselves, files that are copied.
 *
 * Invariants: both tables equal (P1), also in old snapshots; faster_verify() and
 * integrity_check ok; errors name what is wrong and change nothing (P4, P5, P6, P8).
 *
 * Replay. Nothing is random: `scenarios --only NAME` runs one (a name matches by prefix).
 */
#include "scenarios.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCENARIO_SECONDS_MAX 180u

static const char *const modes[] = {"wal", "delete", "truncate", "persist"};

/* Scenarios wait for the disk most of the time, so some run beside each other. */
#define RUNNING_MAX 6

struct running {
    pid_t pid; /* 0: free */
    const struct scenario_entry *entry;
    const char *mode;
    double start;
    char directory[TEST_PATH_BYTES];
};

struct runner {
    const struct test_options *options;
    struct running running[RUNNING_MAX];
    unsigned run;
    unsigned failed;
    unsigned left_out;
};

static void report(struct runner *runner, const struct running *running, int status) {
    runner->run++;
    runner->failed += status != 0;
    if (status != 0 || runner->options->verbose) {
        printf("%s %s%s%s (%.0f ms", status ? "FAILED " : "ok     ", running->entry->name,
               running->entry->each_mode ? " " : "", running->entry->each_mode ? running->mode : "",
               (test_seconds() - running->start) * 1000);
        printf(WIFSIGNALED(status) ? ", signal %d)\n" : ")\n", WTERMSIG(status));
    }
}

/* Waits for the end of one scenario. False if none runs. */
static bool reap(struct runner *runner) {
    int status = 0;
    pid_t pid = wait(&status);
    for (int i = 0; i < RUNNING_MAX && pid > 0; i++) {
        struct running *running = &runner->running[i];
        if (running->pid == pid) {
            report(runner, running, status);
            directory_remove(running->directory);
            running->pid = 0;
        }
    }
    return pid > 0;
}

static struct running *free_place(struct runner *runner) {
    for (;;) {
        for (int i = 0; i < RUNNING_MAX; i++) {
            if (runner->running[i].pid == 0) {
                return &runner->running[i];
            }
        }
        reap(runner);
    }
}

static void start(struct runner *runner, const struct scenario_entry *entry, const char *mode) {
    struct running *running = free_place(runner);
    struct scenario scenario = {.options = runner->options, .name = entry->name, .mode = mode};
    directory_make(scenario.directory, "scenario");
    path_format(scenario.path, "%s/test.db", scenario.directory);
    *running = (struct running){.entry = entry, .mode = mode, .start = test_seconds()};
    path_format(running->directory, "%s", scenario.directory);
    fflush(NULL);
    running->pid = fork();
    if (running->pid < 0) {
        test_fail("fork: %s", strerror(errno));
    }
    if (running->pid == 0) {
        alarm(SCENARIO_SECONDS_MAX);
        entry->run(&scenario);
        fflush(NULL);
        _exit(scenario.failures ? 1 : 0);
    }
}

static void start_list(struct runner *runner, const struct scenario_entry *entry) {
    const char *only = runner->options->only;
    for (; entry->name; entry++) {
        if (only && strncmp(entry->name, only, strlen(only)) != 0) {
            continue;
        }
        if (entry->needs_store && runner->options->self) {
            runner->left_out++;
            continue;
        }
        for (unsigned i = 0; i < (entry->each_mode ? 4u : 1u); i++) {
            start(runner, entry, modes[i]);
        }
    }
}

int main(int argc, char **argv) {
    static const struct scenario_entry *const lists[] = {
        scenarios_fault, scenarios_commit, scenarios_crash, scenarios_place,   scenarios_reader,
        scenarios_input, scenarios_direct, scenarios_large, scenarios_sessions};
    struct test_options options;
    struct runner runner = {.options = &options};
    test_options_parse(&options, argc, argv);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        start_list(&runner, lists[i]);
    }
    while (reap(&runner)) {
    }
    printf("scenarios: %u run, %u failed, %u not run\n", runner.run, runner.failed,
           runner.left_out);
    return runner.failed || runner.run == 0 ? 1 : 0;
}
