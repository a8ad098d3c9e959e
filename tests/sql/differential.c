/* differential.c - random SQL on a FASTER table and on an equal ordinary one.
 * Sources: differential.c differential_plan.c differential_world.c differential_query.c
 * differential_dml.c differential_generate.c differential_shrink.c, ../support/sql_*.c.
 *
 * Strategy. A case draws a kind of table (WITHOUT ROWID with one key of any affinity and
 * collation, several key columns, INTEGER PRIMARY KEY, implicit rowid; more columns with
 * NOT NULL, DEFAULT, affinities), a place (file, attached, temp, memory), a journal mode,
 * store options down to the smallest memory, and one of two settings:
 *   shared  both tables live in one database; every statement runs on one, then on the
 *           other; transactions, triggers and snapshots span both;
 *   twin    two databases run the same SQL text, so that what ends a whole transaction
 *           (OR ROLLBACK, BUSY) is comparable too.
 * Then some hundred random steps follow: DML with all conflict clauses, queries, joins,
 * savepoints, transactions, triggers, DDL inside transactions, renames, checkpoints,
 * readers with old snapshots, close and reopen.
 *
 * Invariants, after each statement: equal primary result code, rows, changes() and
 * last_insert_rowid(); at checks: equal content, column types included; a snapshot shows
 * equal content in both tables and the same content for as long as it is open;
 * faster_verify() says ok. Serves P1 (both tables show one commit), P2 and P4.
 *
 * Replay. `differential --seed N --only CASE` runs one case again, `--verbose` prints each
 * step before it runs. A failing case is shrunk and printed as SQL.
 */
#include "differential.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATEMENTS 200000u
#define STEPS_PER_CASE 400u
#define WORKERS 2u
#define CASE_SECONDS_MAX 120u
#define FAILURES_MAX 10u

/* Shared by the parent and the processes that run the cases. */
struct progress {
    uint64_t statements;     /* atomic */
    uint64_t snapshots_gone; /* atomic */
    uint64_t step[WORKERS];
};

void script_add(struct script *script, const struct step *step) {
    if (script->count == script->capacity) {
        script->capacity = script->capacity * 2 + 64;
        script->step = realloc(script->step, script->capacity * sizeof *script->step);
        if (script->step == NULL) {
            test_fail("out of memory");
        }
    }
    script->step[script->count++] = *step;
}

void script_finish(struct script *script) {
    for (size_t i = 0; i < script->count; i++) {
        free(script->step[i].sql[0]);
        free(script->step[i].sql[1]);
    }
    free(script->step);
    memset(script, 0, sizeof *script);
}

void step_replace_sql(struct step *step, enum side side, char *sql) {
    free(step->sql[side]);
    step->sql[side] = sql;
}

/* Runs one case in this process. Returns false after printing a difference. */
static bool run_case(const struct test_options *options, uint64_t number, struct progress *progress,
                     unsigned worker) {
    struct plan plan;
    struct world world;
    struct script script = {0};
    plan_make(&plan, options, number);
    struct generator generator = {.random = random_of(options->seed, number * 2 + 1),
                                  .plan = &plan};
    world_open(&world, options, &plan);
    if (options->verbose) {
        script_print(options, &plan, &script, NULL);
    }
    bool same = true;
    for (unsigned i = 0; i < STEPS_PER_CASE && same; i++) {
        struct step step;
        generate_step(&generator, &world, &step);
        script_add(&script, &step);
        __atomic_store_n(&progress->step[worker], i, __ATOMIC_RELAXED);
        if (options->verbose) {
            step_print(&plan, &step);
            fflush(stdout);
        }
        same = world_step(&world, &step);
        if (same && i % 50 == 49) {
            struct step check = {.kind = STEP_CHECK};
            script_add(&script, &check);
            same = world_step(&world, &check);
        }
    }
    __atomic_fetch_add(&progress->statements, world.statements, __ATOMIC_RELAXED);
    __atomic_fetch_add(&progress->snapshots_gone, world.snapshots_gone, __ATOMIC_RELAXED);
    if (!same) {
        printf("\nDIFFERENT: seed %llu, case %llu, step %zu: %s\n",
               (unsigned long long)options->seed, (unsigned long long)number, script.count,
               world.reason.data);
    }
    world_close(&world);
    if (!same) {
        script_shrink(options, &plan, &script);
    }
    while (generator.queued_first < generator.queued_count) {
        script_add(&script, &generator.queued[generator.queued_first++]);
    }
    script_finish(&script);
    fflush(stdout);
    return same;
}

static pid_t start_case(const struct test_options *options, uint64_t number,
                        struct progress *progress, unsigned worker) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        test_fail("fork: %s", strerror(errno));
    }
    if (pid == 0) {
        alarm(CASE_SECONDS_MAX);
        bool same = run_case(options, number, progress, worker);
        fflush(NULL);
        _exit(same ? 0 : 1);
    }
    return pid;
}

static unsigned run_all(const struct test_options *options, struct progress *progress) {
    uint64_t statements_wanted = test_scaled(options, STATEMENTS);
    pid_t pid[WORKERS] = {0};
    uint64_t running[WORKERS] = {0};
    uint64_t next = 0;
    unsigned active = 0;
    unsigned failures = 0;
    for (;;) {
        for (unsigned i = 0; i < WORKERS; i++) {
            uint64_t done = __atomic_load_n(&progress->statements, __ATOMIC_RELAXED);
            if (pid[i] == 0 && done + active * STEPS_PER_CASE < statements_wanted &&
                failures < FAILURES_MAX) {
                running[i] = next++;
                pid[i] = start_case(options, running[i], progress, i);
                active++;
            }
        }
        if (active == 0) {
            break;
        }
        int status = 0;
        pid_t ended = wait(&status);
        for (unsigned i = 0; i < WORKERS; i++) {
            if (pid[i] == ended) {
                pid[i] = 0;
                active--;
                if (WIFSIGNALED(status)) {
                    printf("CRASHED: seed %llu, case %llu, step %llu: signal %d\n",
                           (unsigned long long)options->seed, (unsigned long long)running[i],
                           (unsigned long long)progress->step[i], WTERMSIG(status));
                }
                failures += status != 0;
            }
        }
    }
    printf("differential: %llu cases, %llu statements, %llu snapshots ended by a checkpoint,"
           " %u failures\n",
           (unsigned long long)next, (unsigned long long)progress->statements,
           (unsigned long long)progress->snapshots_gone, failures);
    return failures;
}

int main(int argc, char **argv) {
    struct test_options options;
    test_options_parse(&options, argc, argv);
    struct progress *progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED) {
        test_fail("mmap: %s", strerror(errno));
    }
    if (options.only) {
        uint64_t number = strtoull(options.only, NULL, 10);
        return run_case(&options, number, progress, 0) ? 0 : 1;
    }
    return run_all(&options, progress) ? 1 : 0;
}
