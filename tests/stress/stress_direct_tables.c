/* stress_direct_tables.c - many connections on many threads write direct tables.
 *
 * Arguments: [iterations] [seed]; the extension is linked statically, so that a thread
 * sanitizer sees all of it.
 *
 * Strategy. Each iteration makes a database with the direct tables c(key, n), r(x) and s(key, v) in
 * little memory, so that rows are flushed and read again, and lets loose at once threads that each
 * take a random share of: counting with faster_incr() and the command column, storing and deleting
 * keys with faster_cas() and faster_delete(), assigning rowids with and without SQLite's write
 * lock, storing text that looks like a number and asking for numbers, scans, commits, and closing
 * and opening their connection. One thread renames a further table, so that names are looked up
 * again.
 *
 * Invariants (P4, P9). The counters' sum is what was added. Of all who delete a key one is told so,
 * and of all who store it where it is missing one is: the difference is what is left. Every rowid
 * that was assigned has the row it was assigned for. A text that was stored is found by the number
 * it equals. A scan shows each of the keys that are never deleted exactly once. Only DML may be
 * refused, with BUSY. faster_verify() is clean, and all holds again after the store was closed.
 *
 * Replay. The seed fixes what each thread does, not how they interleave.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql_support.h"

#define THREAD_COUNT 4
#define STEP_COUNT 1500
#define COUNTER_COUNT 50
#define FIXED_COUNT 300

int sqlite3_faster_init(sqlite3 *db, char **error, const struct sqlite3_api_routines *api);

struct totals {
    int64_t added;
    int64_t stored;  /* by faster_cas(), less what faster_delete() removed */
    int64_t rowids;  /* assigned */
    int64_t texts;   /* stored */
    int64_t refused; /* DML that was BUSY */
};

struct worker {
    const char *path;
    pthread_t thread;
    int index;
    struct random_state random;
    sqlite3 *db;
    struct totals totals;
};

static sqlite3 *connect(const char *path) {
    sqlite3 *db = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK) {
        test_fail("open: %s", sqlite3_errmsg(db));
    }
    (void)sqlite3_busy_timeout(db, 200);
    return db;
}

static void disconnect(sqlite3 *db) {
    if (sqlite3_close(db) != SQLITE_OK) {
        test_fail("close: %s", sqlite3_errmsg(db));
    }
}

/* A statement that takes SQLite's lock. False if it was refused. */
static bool run(struct worker *worker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool run(struct worker *worker, const char *format, ...) {
    va_list list;
    va_start(list, format);
    char *sql = sqlite3_vmprintf(format, list);
    va_end(list);
    int rc = sqlite3_exec(worker->db, sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY && rc != SQLITE_LOCKED) {
        test_fail("thread %d: %s: %s (%d)", worker->index, sql, sqlite3_errmsg(worker->db), rc);
    }
    worker->totals.refused += rc != SQLITE_OK;
    sqlite3_free(sql);
    return rc == SQLITE_OK;
}

/* ------------------------------------------------------------------- steps */

static void count(struct worker *worker) {
    uint32_t key = random_below(&worker->random, COUNTER_COUNT);
    int64_t delta = 1 + random_below(&worker->random, 9);
    if (random_percent(&worker->random, 90)) {
        (void)db_int(worker->db, "SELECT faster_incr('c', %u, %lld)", key, (long long)delta);
        worker->totals.added += delta;
    } else if (run(worker, "INSERT INTO c(c, key, n) VALUES('add', %u, %lld)", key,
                   (long long)delta)) {
        worker->totals.added += delta;
    }
}

static void store_and_delete(struct worker *worker) {
    uint32_t key = random_below(&worker->random, 5);
    if (random_percent(&worker->random, 50)) {
        worker->totals.stored +=
            db_int(worker->db, "SELECT faster_cas('s', 'key%u', NULL, printf('%%.*c', %u, 'v'))",
                   key, random_below(&worker->random, 200));
    } else {
        worker->totals.stored -= db_int(worker->db, "SELECT faster_delete('s', 'key%u')", key);
    }
}

/* The row says which thread has stored it, and as the how many-th. */
static void assign_rowid(struct worker *worker) {
    long long mark = worker->index * INT64_C(1000000) + worker->totals.rowids;
    if (random_percent(&worker->random, 70)) {
        db_must(worker->db, "SELECT faster_set('r', NULL, %lld)", mark);
        worker->totals.rowids++;
    } else if (run(worker, "INSERT INTO r(x) VALUES(%lld)", mark)) {
        worker->totals.rowids++;
        int64_t found = db_int(worker->db, "SELECT faster_get('r', last_insert_rowid())");
        if (found != mark) {
            test_fail("the rowid of %lld has %lld", mark, (long long)found);
        }
    }
}

static void look_for_number(struct worker *worker) {
    long long number = worker->index * INT64_C(1000000) + worker->totals.texts++;
    db_must(worker->db, "SELECT faster_set('s', '%lld', 'text')", number);
    if (db_int(worker->db, "SELECT count(*) FROM s WHERE key = CAST(%lld AS INTEGER)", number) !=
        1) {
        test_fail("%lld does not find its text", number);
    }
    if (db_int(worker->db, "SELECT count(*) FROM s WHERE key IN (%lld, -1)", number) != 1) {
        test_fail("%lld does not find its text in a list", number);
    }
}

static void scan(struct worker *worker) {
    int64_t found = db_int(worker->db, "SELECT count(*) * 1000 + count(DISTINCT key) FROM c WHERE "
                                       "key GLOB 'fixed*'");
    if (found != FIXED_COUNT * 1001) {
        test_fail("a scan gives %lld times a fixed key, %lld different ones",
                  (long long)found / 1000, (long long)found % 1000);
    }
}

static void rewrite_fixed(struct worker *worker) {
    db_must(worker->db, "SELECT faster_set('c', 'fixed%u', printf('%%.*c', %u, 'w'))",
            random_below(&worker->random, FIXED_COUNT), 1 + random_below(&worker->random, 600));
}

static void step(struct worker *worker) {
    uint32_t dice = random_below(&worker->random, 1000);
    if (dice < 400) {
        count(worker);
    } else if (dice < 600) {
        store_and_delete(worker);
    } else if (dice < 700) {
        assign_rowid(worker);
    } else if (dice < 760) {
        look_for_number(worker);
    } else if (dice < 950) {
        rewrite_fixed(worker);
    } else if (dice < 960) {
        scan(worker);
    } else if (dice < 980) {
        (void)db_int(worker->db, "SELECT faster_commit('%c')", "crs"[dice % 3]);
    } else if (dice < 985) {
        disconnect(worker->db);
        worker->db = connect(worker->path);
    } else if (worker->index == 0) {
        (void)(run(worker, "ALTER TABLE a RENAME TO b") &&
               run(worker, "ALTER TABLE b RENAME TO a"));
    }
}

static void *work(void *context) {
    struct worker *worker = context;
    worker->db = connect(worker->path);
    for (int i = 0; i < STEP_COUNT; i++) {
        step(worker);
    }
    disconnect(worker->db);
    return NULL;
}

/* --------------------------------------------------------------- iteration */

static void create(const char *path) {
    sqlite3 *db = connect(path);
    static const char options[] =
        "writes='direct', memory='1MiB', page_size='16KiB', segment_size='64KiB'";
    db_must(db, "PRAGMA journal_mode = wal; PRAGMA synchronous = off");
    db_must(db, "CREATE VIRTUAL TABLE c USING faster(key PRIMARY KEY, n, %s)", options);
    db_must(db, "CREATE VIRTUAL TABLE r USING faster(x, %s)", options);
    db_must(db, "CREATE VIRTUAL TABLE s USING faster(key TEXT PRIMARY KEY, v, %s)", options);
    db_must(db, "CREATE VIRTUAL TABLE a USING faster(%s)", options);
    db_must(db,
            "WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < %d) "
            "INSERT INTO c SELECT 'fixed' || n, 0 FROM i",
            FIXED_COUNT - 1);
    disconnect(db);
}

static void want(sqlite3 *db, int64_t expected, const char *sql) {
    int64_t found = db_int(db, "%s", sql);
    if (found != expected) {
        test_fail("%s: %lld instead of %lld", sql, (long long)found, (long long)expected);
    }
}

static void check(const char *path, const struct totals *sum) {
    sqlite3 *db = connect(path);
    want(db, sum->added, "SELECT coalesce(sum(n), 0) FROM c WHERE typeof(key) = 'integer'");
    want(db, sum->stored, "SELECT count(*) FROM s WHERE key GLOB 'key*'");
    want(db, sum->texts, "SELECT count(*) FROM s WHERE v = 'text'");
    want(db, sum->rowids, "SELECT count(*) FROM r");
    want(db, sum->rowids, "SELECT count(DISTINCT x) FROM r");
    want(db, FIXED_COUNT, "SELECT count(*) FROM c WHERE key GLOB 'fixed*'");
    want(db, 1,
         "SELECT faster_verify('c') = 'ok' AND faster_verify('r') = 'ok' AND "
         "faster_verify('s') = 'ok'");
    disconnect(db);
}

static void iterate(uint64_t seed, uint64_t number, struct totals *all) {
    char directory[TEST_PATH_BYTES], path[TEST_PATH_BYTES];
    struct worker workers[THREAD_COUNT];
    struct totals sum = {0};
    directory_make(directory, "stress_direct");
    path_format(path, "%s/test.db", directory);
    create(path);
    for (int i = 0; i < THREAD_COUNT; i++) {
        workers[i] =
            (struct worker){.path = path,
                            .index = i,
                            .random = random_of(seed, number * THREAD_COUNT + (uint64_t)i)};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            test_fail("pthread_create");
        }
    }
    for (int i = 0; i < THREAD_COUNT; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        sum.added += workers[i].totals.added;
        sum.stored += workers[i].totals.stored;
        sum.rowids += workers[i].totals.rowids;
        sum.texts += workers[i].totals.texts;
        all->refused += workers[i].totals.refused;
    }
    check(path, &sum);
    check(path, &sum);
    all->added += sum.added;
    all->rowids += sum.rowids;
    directory_remove(directory);
}

int main(int argc, char **argv) {
    uint64_t iterations = argc > 1 ? strtoull(argv[1], NULL, 10) : 3;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct totals all = {0};
    if (sqlite3_auto_extension((void (*)(void))sqlite3_faster_init) != SQLITE_OK) {
        test_fail("sqlite3_auto_extension");
    }
    for (uint64_t i = 0; i < iterations; i++) {
        iterate(seed, i, &all);
    }
    printf("stress_direct_tables: seed %llu, %llu iterations, %lld counted, %lld rowids, %lld "
           "refused, 0 differences\n",
           (unsigned long long)seed, (unsigned long long)iterations, (long long)all.added,
           (long long)all.rowids, (long long)all.refused);
    return 0;
}
