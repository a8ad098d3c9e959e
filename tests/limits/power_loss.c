/* power_loss.c - the power of a real ext4 file system is cut under load, then a full comparison.
 * Sources: power_loss.c power_loss_direct.c, client*.c loop_disk.c, ../crash/kill_load_*.c,
 * ../support/sql_support.c ../support/sql_files.c.
 *
 * Strategy. A process writes to a file system of its own (loop_disk.h) and reports what is
 * acknowledged in a pipe. After some reports the file system is shut down by ext4's ioctl: what
 * only the page cache knows is lost, every later write and sync fails. The process goes on for a
 * moment, is killed, and the file system is mounted again. Of three databases one is the load of
 * the kill test, on FASTER and ordinary tables in the same transactions, in each journal mode and
 * setting of synchronous that promises something; one is a direct table with functions and
 * faster_commit(), one a direct store through the C interface, both written by several threads.
 * Sometimes the power is cut again while another process recovers. ext4 writes data before, after
 * or within its journal, as the mount options say.
 *
 * Invariants (P1, P2, P3, P5). Every acknowledged commit is there, and nothing of one by halves, in
 * both kinds of table; after the disk has failed no commit is acknowledged that is not there, and
 * nothing else than an error of the disk is returned; faster_verify() and integrity_check say ok;
 * 20 more writes and a reopen find all of it.
 *
 * Not shown: what a disk loses that ignores a flush, and torn sectors. The simulated disk has them.
 *
 * Replay. `--seed N` repeats configurations and operations; where a cut hits depends on the
 * machine. The failing database is copied, and its path printed.
 */
#include "power_loss.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop_disk.h"

#define CUTS 30u
#define DISK_BYTES (UINT64_C(256) << 20)
#define SECONDS_MAX 300u
#define REPORT_SECONDS_MAX 60

struct counts {
    uint64_t cuts;
    uint64_t recovery_cuts;
    uint64_t compared; /* commits and operations */
};

/* The kill test's load, as a phase of an outage. */
static struct {
    struct configuration configuration;
    struct model model;
} load;

/* ------------------------------------------------------------------ processes */

static void quiet(void) {
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)dup2(nowhere, STDOUT_FILENO);
    (void)dup2(nowhere, STDERR_FILENO);
}

static pid_t start(struct outage *outage, phase_fn *phase, int ends[2], bool is_quiet) {
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        test_fail("pipe: %s", strerror(errno));
    }
    pid_t pid = fork();
    if (pid < 0) {
        test_fail("fork: %s", strerror(errno));
    }
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(SECONDS_MAX);
        if (is_quiet) {
            quiet();
        }
        phase(outage, ends[1]);
        fflush(NULL);
        _exit(0);
    }
    close(ends[1]);
    return pid;
}

/* Copies what there is, for a look at it, and ends the test. */
static void fail_outage(const struct outage *outage, const char *what, int status) {
    char kept[TEST_PATH_BYTES];
    if (atomic_load(&outage->shared->power) != LOAD_POWER_ON) {
        loop_disk_restart(outage->mount_options);
    }
    directory_make(kept, "power_loss-failed");
    tree_copy(outage->path, kept);
    test_fail("%s ended with 0x%x; mounted with '%s', journal mode %s, synchronous %s; "
              "acknowledged %llu %llu %llu; a copy is in %s",
              what, status, outage->mount_options, load.configuration.journal_mode,
              load.configuration.synchronous, (unsigned long long)outage->acknowledged[0],
              (unsigned long long)outage->acknowledged[1],
              (unsigned long long)outage->acknowledged[2], kept);
}

static void run_to_end(struct outage *outage, phase_fn *phase, const char *what) {
    int ends[2], status = 0;
    pid_t pid = start(outage, phase, ends, false);
    waitpid(pid, &status, 0);
    close(ends[0]);
    if (status != 0) {
        fail_outage(outage, what, status);
    }
}

/* False at the end of the pipe. */
static bool take_report(struct outage *outage, int end) {
    uint64_t report = 0;
    if (read(end, &report, sizeof report) != sizeof report) {
        return false;
    }
    uint64_t number = report & (REPORT(1, 0) - 1);
    uint64_t writer = (report & ~LOAD_REPORT_UNSURE) >> 56;
    outage->claimed[writer] = number;
    if ((report & LOAD_REPORT_UNSURE) == 0) {
        outage->acknowledged[writer] = number;
    }
    return true;
}

/* Ends a process, which may have met a disk that failed: SQLite maps the index of its WAL, and a
 * page of a file that cannot be read ends a process with SIGBUS. `may_fail`: it may also have said
 * what is wrong. */
static void end_process(struct outage *outage, pid_t pid, const char *what, bool may_fail) {
    int status = 0;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    bool is_fine = WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGBUS
                                       : may_fail || WEXITSTATUS(status) == 0;
    if (!is_fine) {
        fail_outage(outage, what, status);
    }
}

static void cut_power(struct outage *outage, struct random_state *random) {
    atomic_store(&outage->shared->power, LOAD_POWER_GOES);
    loop_disk_cut(random_percent(random, 20));
    atomic_store(&outage->shared->power, LOAD_POWER_CUT);
}

static void restore_power(struct outage *outage) {
    loop_disk_restart(outage->mount_options);
    atomic_store(&outage->shared->power, LOAD_POWER_ON);
}

static void cut_under_load(struct outage *outage, phase_fn *phase, struct random_state *random) {
    int ends[2];
    pid_t pid = start(outage, phase, ends, false);
    struct pollfd report = {.fd = ends[0], .events = POLLIN};
    for (uint32_t left = 1 + random_below(random, 40); left > 0; left--) {
        if (poll(&report, 1, REPORT_SECONDS_MAX * 1000) != 1 || !take_report(outage, ends[0])) {
            end_process(outage, pid, "a load whose power was on", false);
            fail_outage(outage, "a load that reports nothing", 0);
        }
    }
    usleep(random_below(random, 3000));
    cut_power(outage, random);
    usleep(random_below(random, 15000));
    end_process(outage, pid, "a load whose power was cut", false);
    while (take_report(outage, ends[0])) {
    }
    close(ends[0]);
    restore_power(outage);
}

static void cut_under_recovery(struct outage *outage, phase_fn *phase,
                               struct random_state *random) {
    int ends[2];
    pid_t pid = start(outage, phase, ends, true);
    usleep(random_below(random, 25000));
    cut_power(outage, random);
    usleep(random_below(random, 5000));
    end_process(outage, pid, "a recovery whose power was cut", true);
    close(ends[0]);
    restore_power(outage);
}

/* ------------------------------------------------- FASTER and ordinary tables */

static void load_phase_create(struct outage *outage, int pipe) {
    struct configuration configuration = load.configuration;
    (void)pipe;
    /* With FULL the last commit may be undone, and this one is to stay. */
    configuration.synchronous = "EXTRA";
    load_create(outage->options, &configuration);
}

static void load_phase_run(struct outage *outage, int pipe) {
    load_run(outage->options, &load.configuration, load.model.number + 1, pipe);
}

static void load_phase_compare(struct outage *outage, int pipe) {
    struct configuration configuration = load.configuration;
    (void)pipe;
    configuration.undone_max += outage->claimed[0] - outage->acknowledged[0];
    outage->shared->found[0] =
        load_verify(outage->options, &configuration, &load.model, outage->claimed[0]);
}

static void load_phase_go_on(struct outage *outage, int pipe) {
    (void)pipe;
    load_write(outage->options, &load.configuration, load.model.number + 1, MORE_WRITES);
    outage->shared->found[0] = load.model.number + MORE_WRITES;
}

static void configure_load(const struct outage *outage, uint64_t index) {
    static const struct {
        const char *journal_mode;
        const char *synchronous;
        uint64_t undone_max; /* the README's table */
    } settings[] = {{"WAL", "FULL", 0},         {"DELETE", "EXTRA", 0},   {"DELETE", "FULL", 1},
                    {"WAL", "NORMAL", 1000000}, {"TRUNCATE", "FULL", 0},  {"PERSIST", "EXTRA", 0},
                    {"WAL", "EXTRA", 0},        {"TRUNCATE", "EXTRA", 0}, {"PERSIST", "FULL", 0}};
    static const char *const stores[] = {
        ", memory='1MiB', page_size='16KiB', segment_size='64KiB'",
        ", memory='1MiB', page_size='16KiB', segment_size='16KiB', inline_commit=0",
        ", memory='2MiB', page_size='64KiB', inline_commit='1KiB'",
        ", memory='1MiB', page_size='16KiB', checkpoint_bytes='64KiB'",
        "",
    };
    uint64_t setting = index % (sizeof settings / sizeof *settings);
    load.configuration = (struct configuration){
        .journal_mode = settings[setting].journal_mode,
        .synchronous = settings[setting].synchronous,
        .store_options = stores[mix_words(outage->seed, 1) % 5],
        .seed = outage->seed,
        .power = &outage->shared->power,
        .undone_max = settings[setting].undone_max,
    };
    path_format(load.configuration.path, "%s/load.db", outage->path);
    model_start(&load.model, outage->seed);
}

/* -------------------------------------------------------------------- outages */

enum kind { KIND_LOAD, KIND_DIRECT_SQL, KIND_DIRECT_C, KIND_COUNT };
static const char *const kind_names[] = {"load", "direct table", "direct store"};
static phase_fn *const phases[KIND_COUNT][3] = {
    {load_phase_run, load_phase_compare, load_phase_go_on},
    {direct_write, direct_compare, direct_go_on},
    {direct_write, direct_compare, direct_go_on},
};

/* What was found is what is acknowledged from now on: it must not get less. */
static void accept_found(struct outage *outage) {
    for (int i = 0; i < WRITER_COUNT; i++) {
        outage->acknowledged[i] = outage->claimed[i] = outage->shared->found[i];
        atomic_store(&outage->shared->begun[i], outage->shared->found[i]);
    }
    model_advance(&load.model, outage->shared->found[0]);
}

static void run_cut(struct outage *outage, enum kind kind, struct random_state *random,
                    struct counts *counts) {
    uint64_t before[WRITER_COUNT];
    memcpy(before, outage->acknowledged, sizeof before);
    cut_under_load(outage, phases[kind][0], random);
    counts->cuts++;
    while (random_percent(random, 30)) {
        cut_under_recovery(outage, phases[kind][1], random);
        counts->recovery_cuts++;
    }
    run_to_end(outage, phases[kind][1], "the comparison");
    accept_found(outage);
    run_to_end(outage, phases[kind][2], "what follows");
    accept_found(outage);
    run_to_end(outage, phases[kind][1], "the second comparison");
    for (int i = 0; i < WRITER_COUNT; i++) {
        counts->compared += outage->shared->found[i] - before[i];
    }
}

static void run_database(struct outage *outage, uint64_t index, uint64_t cuts,
                         struct counts *counts) {
    static const char *const mounts[] = {"data=ordered", "data=writeback", "data=journal",
                                         "data=ordered,nodelalloc,commit=1"};
    struct random_state random = random_of(outage->seed, 0);
    enum kind kind = (enum kind)(index % KIND_COUNT);
    outage->mount_options = mounts[random_below(&random, 4)];
    outage->is_sql = kind != KIND_DIRECT_C;
    memset(outage->acknowledged, 0, sizeof outage->acknowledged);
    memset(outage->claimed, 0, sizeof outage->claimed);
    memset(outage->shared, 0, sizeof *outage->shared);
    loop_disk_make(DISK_BYTES, outage->mount_options, outage->path);
    configure_load(outage, index / KIND_COUNT);
    if (kind == KIND_LOAD) {
        run_to_end(outage, load_phase_create, "the creation");
    }
    for (uint64_t i = 0; i < cuts; i++) {
        double begin = test_seconds();
        run_cut(outage, kind, &random, counts);
        if (outage->options->verbose) {
            printf("%s, %s, %s %s, '%s': %llu, %.2f s\n", kind_names[kind], outage->mount_options,
                   load.configuration.journal_mode, load.configuration.synchronous,
                   load.configuration.store_options, (unsigned long long)outage->acknowledged[0],
                   test_seconds() - begin);
        }
    }
    loop_disk_remove();
}

int main(int argc, char **argv) {
    struct test_options options;
    struct counts counts = {0};
    test_options_parse(&options, argc, argv);
    loop_disk_require();
    struct outage outage = {.options = &options};
    outage.shared = mmap(NULL, sizeof *outage.shared, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (outage.shared == MAP_FAILED) {
        test_fail("mmap: %s", strerror(errno));
    }
    struct random_state random = random_of(options.seed, 0);
    uint64_t cuts = test_scaled(&options, CUTS);
    for (uint64_t index = random_below(&random, 27); counts.cuts < cuts; index++) {
        uint64_t more = 1 + random_below(&random, 3);
        more = more < cuts - counts.cuts ? more : cuts - counts.cuts;
        outage.seed = mix_words(options.seed, index);
        run_database(&outage, index, more, &counts);
    }
    printf("power_loss: %llu power cuts, %llu more during recovery, %llu commits and operations "
           "compared, 0 differences\n",
           (unsigned long long)counts.cuts, (unsigned long long)counts.recovery_cuts,
           (unsigned long long)counts.compared);
    return 0;
}
