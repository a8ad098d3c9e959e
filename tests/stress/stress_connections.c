/* stress_connections.c - many connections on many threads share one store.
 *
 * Arguments: [iterations] [seed]; the extension is linked statically, so that a thread
 * sanitizer sees all of it.
 *
 * Strategy. Each iteration makes a database in WAL mode with a FASTER table f, an ordinary
 * table o with the same rows, and lets loose at once: a writer whose transactions change both
 * (savepoints, rollbacks, checkpoints), readers that open and close their own connections, a
 * thread that changes the schema (renames, VACUUM, CREATE and DROP of FASTER tables that the
 * readers read), and one that interrupts whoever is connected. The first opens race.
 *
 * Invariants. Within every read transaction f and o hold the same rows, the sum never changes,
 * faster_get() agrees, and a second look shows the same (P1, P4). Only BUSY, LOCKED,
 * INTERRUPT, SCHEMA, and for the tables that come and go "no such table", may fail a
 * statement, or, if the reader's snapshot is older than the DROP, "there is no store". At the
 * end no connection is left and faster_session_verify() is clean.
 *
 * Replay. The seed fixes what each thread does, not how they interleave.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql_support.h"

#define READER_COUNT 3
#define THREAD_COUNT (READER_COUNT + 3)
#define KEY_COUNT 200
#define ROUND_MS 700

int sqlite3_faster_init(sqlite3 *db, char **error, const struct sqlite3_api_routines *api);

struct shared {
    char path[TEST_PATH_BYTES];
    pthread_barrier_t start;
    atomic_bool stop; /* relaxed: only ends loops */
    atomic_ullong commit_count;
    atomic_ullong read_count;
    atomic_ullong refused_count;
    pthread_mutex_t mutex; /* protects connections */
    sqlite3 *connections[THREAD_COUNT];
};

struct worker {
    struct shared *shared;
    int index;
    struct random_state random;
    sqlite3 *db;
};

static bool is_stopped(const struct worker *worker) {
    return atomic_load_explicit(&worker->shared->stop, memory_order_relaxed);
}

static void count_one(atomic_ullong *counter) {
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void publish(struct worker *worker, sqlite3 *db) {
    (void)pthread_mutex_lock(&worker->shared->mutex);
    worker->shared->connections[worker->index] = db;
    (void)pthread_mutex_unlock(&worker->shared->mutex);
}

static void connect_worker(struct worker *worker) {
    if (sqlite3_open(worker->shared->path, &worker->db) != SQLITE_OK) {
        test_fail("open: %s", sqlite3_errmsg(worker->db));
    }
    (void)sqlite3_busy_timeout(worker->db, 200);
    publish(worker, worker->db);
}

static void disconnect_worker(struct worker *worker) {
    publish(worker, NULL);
    if (sqlite3_close(worker->db) != SQLITE_OK) {
        test_fail("close: %s", sqlite3_errmsg(worker->db));
    }
    worker->db = NULL;
}

/* An interrupt within ALTER TABLE or the parsing of the schema is an SQLITE_ERROR. */
static bool is_refusal(const struct worker *worker, int code) {
    int primary = code & 0xff;
    return strstr(sqlite3_errmsg(worker->db), "interrupted") != NULL || primary == SQLITE_BUSY ||
           primary == SQLITE_LOCKED || primary == SQLITE_INTERRUPT || primary == SQLITE_SCHEMA ||
           primary == SQLITE_ABORT;
}

/* Runs SQL; false if it was refused for a moment. Anything else ends the test. */
static bool run(struct worker *worker, const char *sql) {
    int rc = sqlite3_exec(worker->db, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        return true;
    }
    if (!is_refusal(worker, rc)) {
        test_fail("thread %d: %s: %s (%d)", worker->index, sql, sqlite3_errmsg(worker->db), rc);
    }
    count_one(&worker->shared->refused_count);
    return false;
}

/* One number; false if refused, or if `may_miss` and the table is not there. */
static bool query(struct worker *worker, const char *sql, bool may_miss, sqlite3_int64 *number) {
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(worker->db, sql, -1, &statement, NULL);
    rc = rc == SQLITE_OK ? sqlite3_step(statement) : rc;
    if (rc == SQLITE_ROW) {
        *number = sqlite3_column_int64(statement, 0);
        rc = sqlite3_step(statement);
    }
    const char *message = sqlite3_errmsg(worker->db);
    bool missing = may_miss && (strstr(message, "no such table") != NULL ||
                                strstr(message, "there is no store") != NULL);
    if (rc != SQLITE_DONE && !missing && !is_refusal(worker, rc)) {
        test_fail("thread %d: %s: %s (%d)", worker->index, sql, sqlite3_errmsg(worker->db), rc);
    }
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_DONE;
}

static void end_transaction(struct worker *worker) {
    while (!sqlite3_get_autocommit(worker->db)) { /* an interrupt may hit this, too */
        (void)sqlite3_exec(worker->db, "ROLLBACK", NULL, NULL, NULL);
    }
}

/* ------------------------------------------------------------------- threads */

/* Moves an amount between two keys in both tables. */
static bool move(struct worker *worker) {
    char sql[600];
    unsigned from = random_below(&worker->random, KEY_COUNT);
    unsigned to = (from + 1 + random_below(&worker->random, KEY_COUNT - 1)) % KEY_COUNT;
    unsigned amount = random_below(&worker->random, 100);
    for (int i = 0; i < 2; i++) {
        const char *table = i == 0 ? "f" : "o";
        (void)snprintf(sql, sizeof sql,
                       "UPDATE %s SET v = v - %u WHERE k = 'key%u';"
                       "UPDATE %s SET v = v + %u WHERE k = 'key%u'",
                       table, amount, from, table, amount, to);
        if (!run(worker, sql)) {
            return false;
        }
    }
    return true;
}

static void write_once(struct worker *worker) {
    if (!run(worker, "BEGIN IMMEDIATE")) {
        return;
    }
    bool ok = move(worker);
    if (ok && random_percent(&worker->random, 30)) {
        ok = run(worker, "SAVEPOINT s; DELETE FROM f; DELETE FROM o") &&
             run(worker, "ROLLBACK TO s; RELEASE s") && move(worker);
    }
    if (ok && random_percent(&worker->random, 80)) {
        ok = run(worker, "COMMIT");
        if (ok) {
            count_one(&worker->shared->commit_count);
        }
    }
    end_transaction(worker);
    if (random_percent(&worker->random, 5)) {
        (void)run(worker, "INSERT INTO f(f) VALUES ('checkpoint')");
    }
}

static void check(struct worker *worker, bool ok, sqlite3_int64 found, sqlite3_int64 expected,
                  const char *what) {
    if (ok && found != expected) {
        test_fail("thread %d: %s: %lld instead of %lld", worker->index, what, (long long)found,
                  (long long)expected);
    }
}

static void read_once(struct worker *worker) {
    static const char sum_f[] = "SELECT sum(v) FROM f";
    sqlite3_int64 number = 0;
    char sql[300];
    if (!run(worker, "BEGIN")) {
        return;
    }
    bool ok = query(worker, sum_f, false, &number);
    check(worker, ok, number, KEY_COUNT * 1000, sum_f);
    ok = query(worker, "SELECT count(*) FROM o LEFT JOIN f ON f.k = o.k WHERE f.v IS NOT o.v",
               false, &number);
    check(worker, ok, number, 0, "rows of o that differ in f");
    (void)snprintf(sql, sizeof sql,
                   "SELECT faster_get('f', 'key%u') IS (SELECT v FROM o WHERE k = 'key%u')",
                   worker->index, worker->index);
    ok = query(worker, sql, false, &number);
    check(worker, ok, number, 1, sql);
    (void)query(worker, "SELECT count(*) FROM passing", true, &number);
    ok = query(worker, sum_f, false, &number);
    check(worker, ok, number, KEY_COUNT * 1000, "a second look");
    ok = query(worker, "SELECT count(*) FROM (SELECT * FROM f EXCEPT SELECT * FROM o)", false,
               &number);
    check(worker, ok, number, 0, "rows of f that differ in o");
    end_transaction(worker);
    count_one(&worker->shared->read_count);
}

static void change_once(struct worker *worker) {
    static const char *const changes[] = {
        "CREATE VIRTUAL TABLE IF NOT EXISTS passing USING faster(memory='1MiB')",
        "INSERT OR REPLACE INTO passing VALUES (1, 2), (2, 3)",
        "DROP TABLE IF EXISTS passing",
        "ALTER TABLE f RENAME TO f2; ALTER TABLE f2 RENAME TO f",
        "CREATE TABLE IF NOT EXISTS other(x); DROP TABLE other",
        "ALTER TABLE o RENAME TO o2; ALTER TABLE o2 RENAME TO o",
        "VACUUM",
    };
    unsigned which = random_below(&worker->random, sizeof changes / sizeof changes[0]);
    bool renames = which == 3 || which == 5;
    if (renames && !run(worker, "BEGIN IMMEDIATE")) {
        return;
    }
    sqlite3_int64 exists = 0;
    bool wanted = which != 1 || (query(worker,
                                       "SELECT count(*) FROM sqlite_schema WHERE name = "
                                       "'passing'",
                                       false, &exists) &&
                                 exists > 0);
    bool ok = wanted && run(worker, changes[which]);
    if (ok && !sqlite3_get_autocommit(worker->db)) {
        (void)run(worker, random_percent(&worker->random, 50) ? "COMMIT" : "ROLLBACK");
    }
    end_transaction(worker);
}

static void interrupt_once(struct worker *worker) {
    struct shared *shared = worker->shared;
    (void)sqlite3_sleep(1 + (int)random_below(&worker->random, 20));
    (void)pthread_mutex_lock(&shared->mutex);
    sqlite3 *db = shared->connections[random_below(&worker->random, THREAD_COUNT)];
    if (db != NULL) {
        sqlite3_interrupt(db);
    }
    (void)pthread_mutex_unlock(&shared->mutex);
}

static void work(struct worker *worker) {
    if (worker->index == 0) {
        write_once(worker);
    } else if (worker->index == 1) {
        change_once(worker);
    } else {
        read_once(worker);
    }
}

static void *thread_main(void *context) {
    struct worker *worker = context;
    (void)pthread_barrier_wait(&worker->shared->start);
    while (!is_stopped(worker)) {
        if (worker->index == THREAD_COUNT - 1) {
            interrupt_once(worker);
            continue;
        }
        connect_worker(worker);
        int count = 1 + (int)random_below(&worker->random, 30);
        for (int i = 0; i < count && !is_stopped(worker); i++) {
            work(worker);
        }
        disconnect_worker(worker);
    }
    return NULL;
}

/* --------------------------------------------------------------------- rounds */

static void prepare(const char *path) {
    sqlite3 *db = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK) {
        test_fail("open: %s", sqlite3_errmsg(db));
    }
    db_must(db, "PRAGMA journal_mode = wal; PRAGMA synchronous = off; "
                "CREATE VIRTUAL TABLE f USING faster(k TEXT PRIMARY KEY, v, memory='2MiB'); "
                "CREATE TABLE o(k TEXT PRIMARY KEY, v) WITHOUT ROWID");
    db_must(db,
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
            "INSERT INTO o SELECT 'key' || i, 1000 FROM n; INSERT INTO f SELECT * FROM o",
            KEY_COUNT - 1);
    db_close(db);
}

static void check_end(const char *path) {
    sqlite3 *db = NULL;
    (void)sqlite3_open(path, &db);
    char *verdict = db_text(db, "SELECT faster_verify('f')");
    if (verdict == NULL || strcmp(verdict, "ok") != 0) {
        test_fail("verify: %s", verdict == NULL ? "NULL" : verdict);
    }
    free(verdict);
    db_close(db);
}

static void run_round(struct shared *shared, uint64_t seed) {
    pthread_t threads[THREAD_COUNT];
    struct worker workers[THREAD_COUNT];
    prepare(shared->path);
    atomic_store_explicit(&shared->stop, false, memory_order_relaxed);
    (void)pthread_barrier_init(&shared->start, NULL, THREAD_COUNT);
    for (int i = 0; i < THREAD_COUNT; i++) {
        workers[i] =
            (struct worker){.shared = shared, .index = i, .random = random_of(seed, (uint64_t)i)};
        if (pthread_create(&threads[i], NULL, thread_main, &workers[i]) != 0) {
            test_fail("pthread_create");
        }
    }
    (void)sqlite3_sleep(ROUND_MS);
    atomic_store_explicit(&shared->stop, true, memory_order_relaxed);
    for (int i = 0; i < THREAD_COUNT; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)pthread_barrier_destroy(&shared->start);
    check_end(shared->path);
}

int main(int argc, char **argv) {
    static struct shared shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    unsigned long iterations = argc > 1 ? strtoul(argv[1], NULL, 10) : 10;
    unsigned long long seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    if (sqlite3_auto_extension((void (*)(void))sqlite3_faster_init) != SQLITE_OK) {
        test_fail("sqlite3_auto_extension");
    }
    for (unsigned long i = 0; i < iterations; i++) {
        char directory[TEST_PATH_BYTES];
        directory_make(directory, "connections");
        path_format(shared.path, "%s/test.db", directory);
        run_round(&shared, seed + i);
        directory_remove(directory);
    }
    printf("stress_connections: %lu iterations from seed %llu: %llu commits, %llu reads, "
           "%llu refused\n",
           iterations, seed, atomic_load(&shared.commit_count), atomic_load(&shared.read_count),
           atomic_load(&shared.refused_count));
    return 0;
}
