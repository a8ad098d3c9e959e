/* scenarios.c - one test by name for each situation that a joint commit must survive.
 * Sources: scenarios.c scenarios_support.c scenarios_commit.c scenarios_crash.c
 * scenarios_place.c scenarios_reader.c scenarios_fault.c scenarios_input.c, and
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

#define SCENARIO_SECONDS_MAX 120u

static const char *const modes[] = {"wal", "delete", "truncate", "persist"};

struct totals {
    unsigned run;
    unsigned failed;
    unsigned left_out;
};

static void run_one(const struct test_options *options, const struct scenario_entry *entry,
                    const char *mode, struct totals *totals) {
    struct scenario scenario = {.options = options, .name = entry->name, .mode = mode};
    double start = test_seconds();
    directory_make(scenario.directory, "scenario");
    path_format(scenario.path, "%s/test.db", scenario.directory);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(SCENARIO_SECONDS_MAX);
        entry->run(&scenario);
        fflush(NULL);
        _exit(scenario.failures ? 1 : 0);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        test_fail("fork: %s", strerror(errno));
    }
    totals->run++;
    totals->failed += status != 0;
    if (status != 0 || options->verbose) {
        printf("%s %s%s%s (%.0f ms", status ? "FAILED " : "ok     ", entry->name,
               entry->each_mode ? " " : "", entry->each_mode ? mode : "",
               (test_seconds() - start) * 1000);
        printf(WIFSIGNALED(status) ? ", signal %d)\n" : ")\n", WTERMSIG(status));
    }
    directory_remove(scenario.directory);
}

static void run_list(const struct test_options *options, const struct scenario_entry *entry,
                     struct totals *totals) {
    for (; entry->name; entry++) {
        if (options->only && strncmp(entry->name, options->only, strlen(options->only)) != 0) {
            continue;
        }
        if (entry->needs_store && options->self) {
            totals->left_out++;
            continue;
        }
        for (unsigned i = 0; i < (entry->each_mode ? 4u : 1u); i++) {
            run_one(options, entry, modes[i], totals);
        }
    }
}

int main(int argc, char **argv) {
    struct test_options options;
    struct totals totals = {0};
    test_options_parse(&options, argc, argv);
    run_list(&options, scenarios_commit, &totals);
    run_list(&options, scenarios_crash, &totals);
    run_list(&options, scenarios_place, &totals);
    run_list(&options, scenarios_reader, &totals);
    run_list(&options, scenarios_fault, &totals);
    run_list(&options, scenarios_input, &totals);
    printf("scenarios: %u run, %u failed, %u not run\n", totals.run, totals.failed,
           totals.left_out);
    return totals.failed || totals.run == 0 ? 1 : 0;
}
