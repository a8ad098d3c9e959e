/* faults_sql.h - the parts of faults_sql; see faults_sql.c.
 *
 *     faults_sql.c         which faults, what each may do, the program
 *     faults_sql_phases.c  the parts of a database's life that fail in one place
 *     faults_sql_life.c    statements that may fail, and what they have acknowledged
 *     faults_sql_after.c   what must hold when nothing fails any more
 *
 * The database is that of crash_sql.h, with a view `both`: what is inserted into it and deleted
 * from it, o and f get, in one statement.
 */
#ifndef TESTS_SIM_FAULTS_SQL_H
#define TESTS_SIM_FAULTS_SQL_H

#include "crash_sql.h"

#define FAULTS_DIRECT_KEYS 4u
#define FAULTS_DIRECT_WRITES_MAX 64u

/* What a case may do, by the fault that is armed. */
struct sql_allowed {
    uint32_t codes; /* bits 1 << primary result code; 0: nothing fails */
    bool damage;    /* with CORRUPT_VTAB, too: a store's bytes were not what was written */
    bool breaking;  /* a store may refuse to write until it is opened again */
    bool is_final;  /* the direct one must, if the fault has struck */
};

/* A write to the direct table: `number` under the key number % FAULTS_DIRECT_KEYS. */
struct direct_write {
    int64_t number;
    bool is_unsure; /* the statement failed */
};

/* What the direct table may hold: a prefix of its writes. */
struct direct_log {
    int64_t first[FAULTS_DIRECT_KEYS]; /* values before all writes */
    struct direct_write writes[FAULTS_DIRECT_WRITES_MAX];
    uint32_t count;
    uint32_t acked_count;
    int64_t next_number;
};

struct faults_sql {
    struct sql_run run;
    struct sql_allowed allowed;
    uint64_t acked;    /* versions: what is there is not older, */
    uint64_t possible; /* ... and not newer */
    uint64_t last;     /* the last number that was given to a version */
    struct direct_log direct;
    bool has_opened; /* the database, while calls may fail */
    bool keeps_on;   /* after a statement that failed, what the transaction has is committed */
    bool is_direct_broken; /* its store has refused to commit: a close may, too */
    bool has_copy;         /* the backup has succeeded, of version `acked` */
    uint64_t failures;
    uint64_t outstanding; /* SQLite's allocations before the database was opened */
};

/* ---- faults_sql_life.c: false is a failure that is allowed; one that is not ends the program ----
 */

bool fsql_open(struct faults_sql *life);
void fsql_close(struct faults_sql *life);
bool fsql_run(struct faults_sql *life, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A transaction that makes one version. `body` changes both kinds of table alike, and is to be
 * undone if it fails, unless each of its statements does so. True: it is committed. */
bool fsql_transact(struct faults_sql *life, bool (*body)(struct faults_sql *life));
/* The same within a transaction; a failure undoes all of it. */
bool fsql_in_savepoint(struct faults_sql *life, bool (*body)(struct faults_sql *life));
bool fsql_begin(struct faults_sql *life);
void fsql_roll_back(struct faults_sql *life);
/* Of both tables; values are different each time. */
bool fsql_put(struct faults_sql *life, uint32_t key, uint32_t value_bytes);
bool fsql_delete(struct faults_sql *life, uint32_t key);

bool fsql_direct_write(struct faults_sql *life);
bool fsql_direct_commit(struct faults_sql *life);
/* How many of the direct writes these values are, `low` at least; else UINT32_MAX. */
uint32_t fsql_direct_prefix(const struct direct_log *log, const int64_t values[FAULTS_DIRECT_KEYS],
                            uint32_t low);
/* Both kinds of table hold what they ought to, unless they cannot be read. */
void fsql_read_all(struct faults_sql *life);

/* ---- faults_sql_phases.c ---- */

struct faults_sql_phase {
    const char *name;
    bool begins_closed; /* the phase opens the database */
    bool begins_killed; /* ... that a process has left in the middle of a transaction */
    bool only_reads;
    bool is_direct; /* of the stores only the direct one is written */
    void (*run)(struct faults_sql *life);
};

unsigned faults_sql_phase_count(void);
/* "commit-wal", ... */
const char *faults_sql_phase_name(unsigned number);
const struct faults_sql_phase *faults_sql_phase(unsigned number);

/* Makes what the phases begin with; in a world that has begun. */
void faults_sql_make_images(bool is_self);
void faults_sql_forget_images(void);
void faults_sql_begin(struct faults_sql *life, unsigned phase);

/* ---- faults_sql_after.c ---- */

/* Nothing fails any more: what is there, whether it goes on, and whether it stays. Closes. */
void faults_sql_after(struct faults_sql *life, bool has_struck, bool cuts_power);
/* Closed, and nothing is left open or allocated. */
void faults_sql_expect_closed(const struct faults_sql *life);

#endif
