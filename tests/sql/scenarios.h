/* scenarios.h - parts of the scenario test; see scenarios.c. */
#ifndef TESTS_SQL_SCENARIOS_H
#define TESTS_SQL_SCENARIOS_H

#include <sys/types.h>

#include "sql_support.h"

/* One scenario runs in a process of its own, in an empty directory of its own. */
struct scenario {
    const struct test_options *options;
    const char *name;
    char directory[TEST_PATH_BYTES];
    char path[TEST_PATH_BYTES]; /* of the database that most scenarios use */
    const char *mode;           /* journal mode, for scenarios that run in each */
    unsigned failures;
    unsigned checks;
};

typedef void scenario_fn(struct scenario *scenario);

struct scenario_entry {
    const char *name;
    scenario_fn *run;
    bool needs_store; /* says nothing about ordinary tables: not run with --self */
    bool each_mode;   /* once per journal mode */
};

/* The entries of each file, ended by a NULL name. */
extern const struct scenario_entry scenarios_commit[];
extern const struct scenario_entry scenarios_crash[];
extern const struct scenario_entry scenarios_direct[];
extern const struct scenario_entry scenarios_place[];
extern const struct scenario_entry scenarios_reader[];
extern const struct scenario_entry scenarios_fault[];
extern const struct scenario_entry scenarios_input[];
extern const struct scenario_entry scenarios_large[];
extern const struct scenario_entry scenarios_sessions[];

/* Notes a failure and goes on. */
bool expect(struct scenario *scenario, bool condition, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Opens the scenario's database in its journal mode (WAL by default), synchronous NORMAL. */
sqlite3 *scenario_open(const struct scenario *scenario);
/* The tables f (FASTER) and o (ordinary): key TEXT PRIMARY KEY, value, n INTEGER.
 * `store_options` is "" or ", memory='1MiB'" and the like. */
void tables_create(const struct scenario *scenario, sqlite3 *db, const char *store_options);
/* Rows `first` to `last` - 1 of both tables: keys k00000.., values of `size` bytes that
 * depend on `version`, n = version. Existing rows are replaced. */
void rows_put(sqlite3 *db, int first, int last, int size, int version);
/* Runs a statement on both tables; %s in it is the table. The codes must be equal. */
int run_both(struct scenario *scenario, sqlite3 *db, const char *pattern);
/* Both tables show the same rows; `count` rows unless it is negative. */
bool same_rows(struct scenario *scenario, sqlite3 *db, int64_t count, const char *when);
/* faster_verify() and integrity_check. */
bool all_sound(struct scenario *scenario, sqlite3 *db, const char *when);
/* Prepares, runs to the end, compares the primary code (-1: any error); every word (NULL-ended
 * list) must stand in the message, in any case of letters. */
bool expect_error(struct scenario *scenario, sqlite3 *db, const char *sql, int code, ...);

/* Runs `phase` in a process of its own, which must end by exit, or by SIGKILL if `killed`.
 * REQUIRES: this process has not loaded the extension. */
void run_phase(struct scenario *scenario, scenario_fn *phase, bool killed);
void kill_self(void) __attribute__((noreturn));
/* A process that runs beside this one: it starts when told, and tells when it is done. */
struct partner {
    pid_t pid;
    int to_partner;
    int from_partner;
};
/* `phase` gets the scenario; it must call partner_wait() first. */
void partner_start(struct scenario *scenario, struct partner *partner,
                   void (*phase)(struct scenario *scenario, int from_test, int to_test));
void partner_tell(int pipe);
void partner_wait(int pipe);
/* Waits for the end of the partner; it must have succeeded, or been killed. */
void partner_end(struct scenario *scenario, struct partner *partner);

/* Names, sizes and bytes of all files below a directory, without lock files, so that "nothing
 * changed" can be checked. */
uint64_t tree_fingerprint(const char *path);

#endif
