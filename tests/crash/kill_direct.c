/* kill_direct.c - SIGKILL while several connections write a direct table.
 * Sources: kill_direct.c, ../support/sql_support.c ../support/sql_files.c.
 *
 * Strategy. A child opens the database with one connection for each of its threads. Each thread
 * stores the keys t:0, t:1, ... of its own in order, through faster_set(), INSERT and the command
 * column, counts each of them in one counter that all threads share, and now and then makes what
 * there is durable, by faster_commit() or a command. After a commit it says in shared memory how
 * far it had come before. The parent kills the child at a random moment, opens the database in a
 * process of its own, which is killed at times, too, compares, and goes on with the same database.
 *
 * Invariants (P2, P3). Of each thread a prefix is found, with what it had committed at least; no
 * key comes back or goes with a later kill; the counter lies between what was committed and what
 * was begun; faster_verify() says ok.
 *
 * Replay. `--seed N` repeats sizes and delays; where the kill hits depends on the machine.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sql_support.h"

#define KILLS 25u
#define THREAD_COUNT 3
#define SECONDS_MAX 120u
/* With more keys a new table is made: the index of a small memory holds 80,000. */
#define KEYS_MAX 25000

struct shared {
    _Atomic int64_t begun[THREAD_COUNT];     /* keys that may have been stored */
    _Atomic int64_t committed[THREAD_COUNT]; /* keys that a commit covers */
    int64_t found[THREAD_COUNT];             /* by the last comparison */
};

struct load {
    const struct test_options *options;
    const char *path;
    struct shared *shared;
    uint64_t seed;
};

struct writer {
    const struct load *load;
    pthread_t thread;
    int number;
};

static sqlite3 *open_at(const struct load *load) {
    sqlite3 *db = db_open(load->options, load->path);
    sqlite3_busy_timeout(db, 60000);
    return db;
}

/* ------------------------------------------------------------------- child */

static void put(sqlite3 *db, int thread, int64_t number, uint32_t dice, uint32_t size) {
    if (dice < 80) {
        db_must(db, "SELECT faster_set('d', '%d:%lld', %lld || printf('%%.*c', %u, 'x'))", thread,
                (long long)number, (long long)number, size);
    } else if (dice < 90) {
        db_must(db, "INSERT INTO d VALUES('%d:%lld', %lld || printf('%%.*c', %u, 'x'))", thread,
                (long long)number, (long long)number, size);
    } else {
        db_must(db,
                "INSERT INTO d(d, key, value) VALUES('insert', '%d:%lld', %lld || "
                "printf('%%.*c', %u, 'x'))",
                thread, (long long)number, (long long)number, size);
    }
    db_must(db, "SELECT faster_incr('d', 'count')");
}

static void *write_for_ever(void *context) {
    const struct writer *writer = context;
    struct shared *shared = writer->load->shared;
    struct random_state random = random_of(writer->load->seed, (uint64_t)writer->number);
    sqlite3 *db = open_at(writer->load);
    for (int64_t number = atomic_load(&shared->begun[writer->number]);; number++) {
        atomic_store(&shared->begun[writer->number], number + 1);
        put(db, writer->number, number, random_below(&random, 100), random_below(&random, 400));
        uint32_t dice = random_below(&random, 1000);
        if (dice < 20) {
            db_must(db, dice < 15   ? "SELECT faster_commit('d')"
                        : dice < 18 ? "INSERT INTO d(d) VALUES('commit')"
                                    : "INSERT INTO d(d) VALUES('checkpoint')");
            atomic_store(&shared->committed[writer->number], number + 1);
        }
    }
    return NULL;
}

static void write_until_killed(const struct load *load) {
    struct writer writers[THREAD_COUNT];
    for (int i = 0; i < THREAD_COUNT; i++) {
        writers[i] = (struct writer){.load = load, .number = i};
        if (pthread_create(&writers[i].thread, NULL, write_for_ever, &writers[i]) != 0) {
            test_fail("pthread_create");
        }
    }
    (void)pthread_join(writers[0].thread, NULL);
}

/* ----------------------------------------------------------------- compare */

/* Ends this process if the thread's keys are no prefix, or too few. */
static void compare_thread(const struct load *load, sqlite3 *db, int thread) {
    struct shared *shared = load->shared;
    int64_t count = db_int(db, "SELECT count(*) FROM d WHERE key GLOB '%d:*'", thread);
    int64_t wrong =
        db_int(db,
               "SELECT count(*) FROM d WHERE key GLOB '%d:*' AND (CAST(substr(key, 3) AS "
               "INTEGER) >= %lld OR CAST(value AS INTEGER) <> CAST(substr(key, 3) AS "
               "INTEGER))",
               thread, (long long)count);
    int64_t committed = atomic_load(&shared->committed[thread]);
    int64_t begun = atomic_load(&shared->begun[thread]);
    if (wrong != 0 || count < committed || count > begun) {
        test_fail("thread %d: %lld keys, %lld of them wrong; %lld were committed, %lld begun; "
                  "database %s",
                  thread, (long long)count, (long long)wrong, (long long)committed,
                  (long long)begun, load->path);
    }
    shared->found[thread] = count;
}

static void compare(const struct load *load) {
    sqlite3 *db = open_at(load);
    int64_t committed = 0;
    int64_t begun = 0;
    for (int i = 0; i < THREAD_COUNT; i++) {
        compare_thread(load, db, i);
        committed += atomic_load(&load->shared->committed[i]);
        begun += atomic_load(&load->shared->begun[i]);
    }
    int64_t count = db_int(db, "SELECT coalesce(faster_get('d', 'count'), 0)");
    if (count < committed || count > begun) {
        test_fail("the counter is %lld; %lld were committed, %lld begun", (long long)count,
                  (long long)committed, (long long)begun);
    }
    char *verdict = db_text(db, "SELECT faster_verify('d')");
    if (strcmp(verdict, "ok") != 0) {
        test_fail("%s", verdict);
    }
    free(verdict);
    db_close(db);
}

/* ------------------------------------------------------------------ parent */

/* Runs `phase` in a process of its own; kills it after `delay_ms` unless that is negative. */
static void run_process(const struct load *load, void (*phase)(const struct load *load),
                        int delay_ms) {
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        test_fail("fork: %s", strerror(errno));
    }
    if (pid == 0) {
        alarm(SECONDS_MAX);
        phase(load);
        fflush(NULL);
        _exit(0);
    }
    if (delay_ms >= 0) {
        usleep((useconds_t)delay_ms * 1000);
        kill(pid, SIGKILL);
    }
    waitpid(pid, &status, 0);
    bool killed = delay_ms >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!killed && status != 0) {
        test_fail("a process ended with 0x%x; database %s", status, load->path);
    }
}

static void create_table(sqlite3 *db) {
    db_must(db, "CREATE VIRTUAL TABLE d USING faster(key TEXT PRIMARY KEY, value, writes='direct', "
                "memory='2MiB', page_size='16KiB', segment_size='64KiB')");
}

static void create(const struct load *load) {
    sqlite3 *db = open_at(load);
    db_must(db, "PRAGMA journal_mode = wal; PRAGMA synchronous = off");
    create_table(db);
    db_close(db);
}

/* What was found is all there is: whoever goes on writes the keys behind it, and what the counter
 * has lost or gained is made good, so that its bounds hold again. */
static void resume(const struct load *load) {
    sqlite3 *db = open_at(load);
    int64_t sum = 0;
    for (int i = 0; i < THREAD_COUNT; i++) {
        sum += load->shared->found[i];
    }
    if (sum > KEYS_MAX) {
        db_must(db, "DROP TABLE d");
        create_table(db);
        memset(load->shared->found, 0, sizeof load->shared->found);
        sum = 0;
    }
    for (int i = 0; i < THREAD_COUNT; i++) {
        atomic_store(&load->shared->begun[i], load->shared->found[i]);
        atomic_store(&load->shared->committed[i], load->shared->found[i]);
    }
    db_must(db, "SELECT faster_set('d', 'count', %lld)", (long long)sum);
    db_close(db);
}

int main(int argc, char **argv) {
    struct test_options options;
    char directory[TEST_PATH_BYTES], path[TEST_PATH_BYTES];
    test_options_parse(&options, argc, argv);
    directory_make(directory, "kill_direct");
    path_format(path, "%s/kill.db", directory);
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        test_fail("mmap: %s", strerror(errno));
    }
    struct load load = {.options = &options, .path = path, .shared = shared};
    struct random_state random = random_of(options.seed, 0);
    uint64_t kills = test_scaled(&options, KILLS);
    int64_t compared = 0;
    run_process(&load, create, -1);
    for (uint64_t i = 0; i < kills; i++) {
        load.seed = mix_words(options.seed, i);
        run_process(&load, write_until_killed, (int)random_below(&random, 600));
        while (random_percent(&random, 30)) {
            run_process(&load, compare, (int)random_below(&random, 30));
        }
        run_process(&load, compare, -1);
        for (int thread = 0; thread < THREAD_COUNT; thread++) {
            compared += shared->found[thread];
        }
        run_process(&load, resume, -1);
    }
    directory_remove(directory);
    printf("kill_direct: %llu kills, %lld keys compared, 0 differences\n",
           (unsigned long long)kills, (long long)compared);
    return 0;
}
