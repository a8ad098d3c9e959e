/* kill_load.c - SIGKILL at random moments of a mixed load, then a full comparison.
 * Sources: kill_load.c kill_load_model.c kill_load_child.c kill_load_verify.c,
 * ../support/sql_support.c ../support/sql_files.c.
 *
 * Strategy. A child runs transactions that each change two FASTER tables and two ordinary
 * ones in the same way: inserts, updates, deletes, range updates, counters through
 * faster_incr() and the command column, savepoints that are undone, transactions of some
 * thousand rows; between them transactions that are rolled back, checkpoints, and a second
 * connection that compares the tables in snapshots (WAL). It reports each commit in a
 * pipe. The parent kills it at a random moment, also right after it opened the database,
 * kills some of the processes that recover, and goes on with the same database several
 * times. Journal modes WAL, DELETE, TRUNCATE, PERSIST x synchronous OFF, NORMAL, FULL, EXTRA, with
 * small memory so that pages are flushed and evicted, and several inline_commit values.
 *
 * Invariants (P1, P2, P3 for kills). A transaction is a function of the seed and its
 * number, so a model knows the content after commit k. After each kill both kinds of table
 * hold exactly the content of one k, the last acknowledged commit or the one after it;
 * faster_verify() and integrity_check say ok.
 *
 * Replay. `--seed N` repeats configurations, transactions and delays; where the kill hits
 * depends on the machine. The failing database is kept and its path printed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kill_load.h"

#define KILLS 100u
#define VERIFY_SECONDS_MAX 120u
#define LOAD_MS_MAX 1500

struct counts {
    uint64_t kills;
    uint64_t recovery_kills;
    uint64_t commits;
    uint64_t databases;
};

static void configuration_make(struct configuration *configuration,
                               const struct test_options *options, uint64_t index) {
    static const char *const modes[] = {"WAL", "DELETE", "TRUNCATE", "PERSIST"};
    static const char *const levels[] = {"OFF", "NORMAL", "FULL", "EXTRA"};
    static const char *const stores[] = {
        ", memory='1MiB', page_size='16KiB', segment_size='64KiB'",
        ", memory='1MiB', page_size='16KiB', segment_size='16KiB', inline_commit=0",
        ", memory='2MiB', page_size='64KiB', inline_commit='1KiB'",
        ", memory='1MiB', page_size='16KiB', segment_size='256KiB', inline_commit='1MiB'",
        "",
    };
    configuration->journal_mode = modes[index % 4];
    configuration->synchronous = levels[index / 4 % 4];
    configuration->store_options = stores[index % 5];
    configuration->seed = mix_words(options->seed, index);
}

/* When to kill: after `commits` were reported, or after `delay_ms` whatever was reported. */
struct moment {
    uint64_t commits;
    int delay_ms;
};

/* Often inside recovery or soon after, else after a number of commits: how long these take
 * depends on the disk. */
static struct moment draw_moment(struct random_state *random) {
    uint32_t dice = random_below(random, 100);
    if (dice < 40) {
        return (struct moment){UINT64_MAX, (int)random_below(random, dice < 15 ? 12 : 120)};
    }
    return (struct moment){random_below(random, 60), LOAD_MS_MAX};
}

/* Runs a load and kills it; returns the last acknowledged commit. */
static uint64_t load_and_kill(const struct test_options *options,
                              const struct configuration *configuration, uint64_t number,
                              struct random_state *random) {
    int ends[2];
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        test_fail("pipe: %s", strerror(errno));
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        load_run(options, configuration, number + 1, ends[1]);
    }
    close(ends[1]);
    struct moment moment = draw_moment(random);
    double end = test_seconds() + moment.delay_ms / 1000.0;
    uint64_t acknowledged = number;
    struct pollfd poll_end = {.fd = ends[0], .events = POLLIN};
    bool ended = false;
    for (double left; !ended && (left = end - test_seconds()) > 0;) {
        if (poll(&poll_end, 1, (int)(left * 1000) + 1) > 0) {
            ended = read(ends[0], &acknowledged, sizeof acknowledged) != sizeof acknowledged;
        }
        if (!ended && acknowledged - number >= moment.commits) {
            usleep((useconds_t)random_below(random, 3000));
            break;
        }
    }
    kill(pid, SIGKILL);
    int status = 0;
    waitpid(pid, &status, 0);
    while (read(ends[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged) {
    }
    close(ends[0]);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        test_fail("the load ended by itself (status 0x%x) after commit %llu; %s", status,
                  (unsigned long long)acknowledged, configuration->path);
    }
    return acknowledged;
}

/* Starts a process that opens and reads everything; kills it after `delay_ms`, or lets it
 * end when that is negative and returns the commit it found. */
static uint64_t verify_in_process(const struct test_options *options,
                                  const struct configuration *configuration, struct model *model,
                                  uint64_t acknowledged, int delay_ms) {
    int ends[2];
    uint64_t found = 0;
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        test_fail("pipe: %s", strerror(errno));
    }
    pid_t pid = fork();
    if (pid == 0) {
        alarm(VERIFY_SECONDS_MAX);
        found = load_verify(options, configuration, model, acknowledged);
        ssize_t sent = write(ends[1], &found, sizeof found);
        fflush(NULL);
        _exit(sent == sizeof found ? 0 : 1);
    }
    close(ends[1]);
    if (delay_ms >= 0) {
        usleep((useconds_t)delay_ms * 1000);
        kill(pid, SIGKILL);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    bool told = read(ends[0], &found, sizeof found) == sizeof found;
    close(ends[0]);
    bool killed = delay_ms >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!killed && (status != 0 || !told)) {
        test_fail("verification failed (status 0x%x): journal mode %s, synchronous %s,"
                  " options '%s', acknowledged %llu, database %s",
                  status, configuration->journal_mode, configuration->synchronous,
                  configuration->store_options, (unsigned long long)acknowledged,
                  configuration->path);
    }
    return found;
}

static void run_database(const struct test_options *options, uint64_t index, uint64_t kills,
                         struct counts *counts) {
    struct configuration configuration;
    char directory[TEST_PATH_BYTES];
    static struct model model;
    configuration_make(&configuration, options, index);
    directory_make(directory, "kill");
    path_format(configuration.path, "%s/kill.db", directory);
    struct random_state random = random_of(configuration.seed, 0);
    model_start(&model, configuration.seed);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        load_create(options, &configuration);
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (status != 0) {
        test_fail("the tables could not be created");
    }
    for (uint64_t i = 0; i < kills; i++) {
        uint64_t acknowledged = load_and_kill(options, &configuration, model.number, &random);
        counts->kills++;
        while (random_percent(&random, 30)) {
            verify_in_process(options, &configuration, &model, acknowledged,
                              (int)random_below(&random, 25));
            counts->recovery_kills++;
        }
        uint64_t found = verify_in_process(options, &configuration, &model, acknowledged, -1);
        if (options->verbose) {
            printf("%s %s '%s': %llu commits\n", configuration.journal_mode,
                   configuration.synchronous, configuration.store_options,
                   (unsigned long long)found);
        }
        counts->commits += found - model.number;
        model_advance(&model, found);
    }
    counts->databases++;
    directory_remove(directory);
}

int main(int argc, char **argv) {
    struct test_options options;
    test_options_parse(&options, argc, argv);
    struct random_state random = random_of(options.seed, 0);
    struct counts counts = {0};
    uint64_t kills = test_scaled(&options, KILLS);
    for (uint64_t index = 0; counts.kills < kills; index++) {
        uint64_t more = 2 + random_below(&random, 6);
        more = more < kills - counts.kills ? more : kills - counts.kills;
        run_database(&options, index, more, &counts);
    }
    printf("kill_load: %llu kills, %llu more during recovery, %llu databases, %llu commits,"
           " 0 differences\n",
           (unsigned long long)counts.kills, (unsigned long long)counts.recovery_kills,
           (unsigned long long)counts.databases, (unsigned long long)counts.commits);
    return 0;
}
