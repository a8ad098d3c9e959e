/* module_process.c - processes, threads, encodings, how it is loaded. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module.h"

static void fork_is_refused(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; INSERT INTO f VALUES(1, 2)");
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        bool ok = db_run(db, "INSERT INTO f VALUES(3, 4)") == SQLITE_MISUSE &&
                  strstr(sqlite3_errmsg(db), "forked") != NULL &&
                  db_run(db, "SELECT * FROM f") == SQLITE_MISUSE &&
                  db_run(db, "SELECT faster_get('f', 1)") == SQLITE_MISUSE;
        _exit(ok && sqlite3_close(db) == SQLITE_OK ? 0 : 1);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        test_fail("the child: status %d", status);
    }
    db_must(db, "INSERT INTO f VALUES(3, 4)");
    want(db, "2", "SELECT count(*) FROM f");
    db_close(db);
}

static void other_encodings_and_vacuum(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "PRAGMA encoding = 'UTF-16le'");
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(k TEXT PRIMARY KEY, v)");
    db_must(db, "INSERT INTO f VALUES('ä€😀', 'ß'), ('plain', x'00ff')");
    want(db, "ß|ß", "SELECT v, faster_get('f', 'ä€😀') FROM f WHERE k = 'ä€😀'");
    db_must(db, "VACUUM");
    want(db, "plain ä€😀", "SELECT k FROM f ORDER BY k");
    db_must(db, "INSERT INTO f VALUES('after', 1)");
    want(db, "3", "SELECT count(*) FROM f");
    db_close(db);
}

/* The test program itself is what leaves a statement open at the first close. */
static void close_with_an_open_statement(struct world *world) {
    sqlite3 *db = open_at(world);
    sqlite3_stmt *statement = NULL;
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; SELECT faster_incr('f', 1)");
    (void)sqlite3_prepare_v2(db, "SELECT faster_incr('f', 1)", -1, &statement, NULL);
    if (sqlite3_step(statement) != SQLITE_ROW || sqlite3_close(db) != SQLITE_BUSY) {
        test_fail("closing did not fail");
    }
    (void)sqlite3_finalize(statement);
    want(db, "3", "SELECT faster_incr('f', 1)");
    db_must(db, "BEGIN; INSERT INTO f VALUES(2, 2)");
    db_close(db);
    db = open_at(world);
    want(db, "1|3", "SELECT * FROM f");
    db_close(db);
}

#define THREADS 4
#define ROUNDS 150

struct worker {
    struct world *world;
    pthread_t thread;
    int index;
};

/* Adds to its own and to a common counter, and reads that all are consistent. */
static void *work(void *context) {
    struct worker *worker = context;
    sqlite3 *db = open_at(worker->world);
    (void)sqlite3_busy_timeout(db, 60000);
    for (int i = 0; i < ROUNDS; i++) {
        db_must(db,
                "BEGIN IMMEDIATE; SELECT faster_incr('f', 'all'); "
                "INSERT INTO f(f, key, value) VALUES('add', 'w%d', 1); "
                "UPDATE o SET n = n + 1; COMMIT",
                worker->index);
        if (db_int(db, "SELECT (SELECT value FROM f WHERE key = 'all') = "
                       "(SELECT sum(value) FROM f WHERE key <> 'all') AND "
                       "(SELECT n FROM o) = (SELECT value FROM f WHERE key = 'all')") != 1) {
            test_fail("a snapshot is torn");
        }
    }
    db_close(db);
    return NULL;
}

static void threads_share_a_store(struct world *world) {
    struct worker workers[THREADS];
    sqlite3 *db = open_at(world);
    db_must(db, "PRAGMA journal_mode = wal; PRAGMA synchronous = off");
    db_must(db, "CREATE VIRTUAL TABLE f USING faster; CREATE TABLE o(n); INSERT INTO o VALUES(0)");
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.world = world, .index = i};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            test_fail("no thread");
        }
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
    }
    if (db_int(db, "SELECT faster_get('f', 'all')") != THREADS * ROUNDS) {
        test_fail("lost updates");
    }
    want(db, "ok", "SELECT faster_verify('f')");
    db_close(db);
}

static int init_rc;

/* What sqlite3_auto_extension() calls: loads faster.so and reports as it does. */
static const char *automatic_path;
static int load_automatically(sqlite3 *db, const char **error, const void *api) {
    (void)error;
    (void)api;
    (void)sqlite3_enable_load_extension(db, 1);
    init_rc = sqlite3_load_extension(db, automatic_path, NULL, NULL);
    return init_rc;
}

/* No error may stay behind: sqlite3_open() looks at sqlite3_errcode(). */
static void automatic_extension(struct world *world) {
    sqlite3 *db = NULL;
    automatic_path = world->options->extension;
    (void)sqlite3_auto_extension((void (*)(void))load_automatically);
    int rc = sqlite3_open(world->path, &db);
    (void)sqlite3_cancel_auto_extension((void (*)(void))load_automatically);
    if (rc != SQLITE_OK || init_rc != SQLITE_OK) {
        test_fail("open: %d, %s", rc, sqlite3_errmsg(db));
    }
    db_must(db, "CREATE VIRTUAL TABLE t USING faster; INSERT INTO t VALUES (1, 2)");
    (void)sqlite3_load_extension(db, world->options->extension, NULL, NULL);
    want_int(db, 2, "SELECT faster_get('t', 1)");
    db_close(db);
}

static void in_child(sqlite3 *db, sqlite3_stmt *scan, sqlite3_stmt *join) {
    alarm(20);
    if (sqlite3_step(scan) == SQLITE_ROW || sqlite3_finalize(scan) == SQLITE_OK) {
        _exit(1);
    }
    while (sqlite3_step(join) == SQLITE_ROW) {
    }
    if (sqlite3_finalize(join) == SQLITE_OK || db_run(db, "SELECT count(*) FROM t") == SQLITE_OK ||
        db_run(db, "INSERT INTO t VALUES (0, 0)") == SQLITE_OK) {
        _exit(2);
    }
    (void)sqlite3_close_v2(db);
    _exit(0);
}

/* A child in the middle of queries on rows that are on disk: errors, no wait for threads that
 * it has not got; the parent goes on. */
static void fork_within_queries(struct world *world) {
    static const char load[] =
        "CREATE VIRTUAL TABLE t USING faster(k INTEGER PRIMARY KEY, v, memory='1MiB'); "
        "CREATE TABLE o(k INTEGER PRIMARY KEY); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
        "SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO o SELECT i FROM n; "
        "INSERT INTO t SELECT k, zeroblob(1000) FROM o";
    sqlite3 *db = open_at(world);
    sqlite3_stmt *scan = NULL;
    sqlite3_stmt *join = NULL;
    int status = 0;
    db_must(db, load);
    (void)sqlite3_prepare_v2(db, "SELECT k FROM t", -1, &scan, NULL);
    (void)sqlite3_prepare_v2(db, "SELECT t.k FROM o CROSS JOIN t ON t.k = o.k", -1, &join, NULL);
    if (sqlite3_step(scan) != SQLITE_ROW || sqlite3_step(join) != SQLITE_ROW) {
        test_fail("step: %s", sqlite3_errmsg(db));
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        in_child(db, scan, join);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        test_fail("child: status %d", status);
    }
    int count = 1;
    while (sqlite3_step(scan) == SQLITE_ROW) {
        count++;
    }
    (void)sqlite3_finalize(scan);
    (void)sqlite3_finalize(join);
    want_int(db, count, "SELECT count(*) FROM o");
    db_must(db, "INSERT INTO t VALUES (0, 0)");
    char *verdict = db_text(db, "SELECT faster_verify('t')");
    if (strcmp(verdict, "ok") != 0) {
        test_fail("verify: %s", verdict);
    }
    free(verdict);
    db_close(db);
}

const struct module_case module_process[] = {
    {"fork_is_refused", fork_is_refused},
    {"other_encodings_and_vacuum", other_encodings_and_vacuum},
    {"close_with_an_open_statement", close_with_an_open_statement},
    {"threads_share_a_store", threads_share_a_store},
    {"automatic_extension", automatic_extension},
    {"fork_within_queries", fork_within_queries},
    {NULL, NULL},
};
