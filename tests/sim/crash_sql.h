/* crash_sql.h - the parts of crash_sql and simulate_sql: see crash_sql.c.
 *
 *     crash_sql.c             sequences of operations, what a crash leaves of each, replays
 *     crash_sql_database.c    configurations, connections, content
 *     crash_sql_operations.c  the operations, and what a workload has acknowledged
 *     crash_sql_check.c       what must hold after a crash
 *
 * The database has pairs of tables that each transaction changes alike: o and the FASTER table f;
 * and for each FASTER table g<n>, which operations create and drop, the rows of og with this n.
 * v holds the number of the version that the transaction makes. d is a direct table, whose versions
 * are its own: each operation on it ends with faster_commit(). With --self, all are ordinary
 * tables.
 */
#ifndef TESTS_SIM_CRASH_SQL_H
#define TESTS_SIM_CRASH_SQL_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "cases.h"
#include "sim_crash.h"

#define SQL_DATABASE "/db"
#define SQL_VERSIONS_MAX 1024u
#define SQL_OPERATIONS 15u
#define SQL_WORKLOAD_MAX 40u /* operations */

/* Marks of the direct table's versions. */
#define SQL_MARK_DIRECT_TRY MARK_ROW
#define SQL_MARK_DIRECT_ACK MARK_ROW_DURABLE

/* What a power cut may undo of what was acknowledged, by README's table "What survives". */
enum sql_promise {
    SQL_KEEPS_ALL,
    SQL_KEEPS_ALL_BUT_LAST,
    SQL_KEEPS_CHECKPOINTED, /* what a checkpoint or a sync of WAL has covered */
    SQL_KEEPS_AFTER_KILL    /* nothing is promised after a power cut */
};

struct sql_config {
    const char *journal_mode;
    const char *synchronous;
    enum sql_promise promise;
};

/* One database in one life, and what it ought to hold. */
struct sql_run {
    const struct sql_config *config;
    bool is_self;
    bool has_reader; /* a second connection; in WAL mode with an open snapshot */
    sqlite3 *db;
    sqlite3 *reader;
    uint64_t random;
    uint32_t next_value;
    uint64_t version;                    /* the last one that was committed */
    uint64_t direct_version;             /* of d */
    uint64_t contents[SQL_VERSIONS_MAX]; /* hashes, by version */
    uint64_t direct_contents[SQL_VERSIONS_MAX];
};

/* ---- crash_sql_database.c ---- */

uint32_t sql_config_count(void);
const struct sql_config *sql_config(uint32_t number);
bool sql_is_wal(const struct sql_config *config);
/* SQLite cuts the database file after VACUUM has removed its journal. If the removal is not
 * durable, as with DELETE and FULL, a disk may still keep both, the journal and the cut: then rows
 * are lost, of ordinary tables. */
bool sql_may_vacuum(const struct sql_config *config);

/* Takes --self out of the arguments, which cases_begin() does not know: whether it was there. */
bool sql_take_self(int *argc, char **argv);

/* Runs statements; a failure ends the program. */
void sql_must(sqlite3 *db, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, but returns the result code. */
int sql_try(sqlite3 *db, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first column of the first row; no row: -1. */
int64_t sql_number(sqlite3 *db, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same as text, equal to `expected`; else the promise is broken. */
void sql_expect_text(sqlite3 *db, const char *sql, const char *expected, const char *promise);
/* A hash of all rows that a query returns, in its order. */
uint64_t sql_hash(sqlite3 *db, const char *sql);
int sql_try_hash(sqlite3 *db, const char *sql, uint64_t *hash); /* the result code */

/* A connection as the configuration wants it. The second returns the result code; *db is to be
 * closed in any case. */
sqlite3 *sql_connect(const struct sql_run *run);
int sql_try_connect(const struct sql_run *run, sqlite3 **db);
/* The database with its tables, and some rows in each; closed. The disk is empty. */
void sql_create(struct sql_run *run);
void sql_open(struct sql_run *run); /* and the reader, if there is one */
void sql_close(struct sql_run *run);

/* What the FASTER tables hold; of the ordinary ones, the same gives the same hash. */
uint64_t sql_faster_content(const struct sql_run *run);
uint64_t sql_ordinary_content(const struct sql_run *run);
uint64_t sql_direct_content(const struct sql_run *run);
/* sql_ordinary_content() through a connection of one's own; the result code. */
int sql_try_content(sqlite3 *db, uint64_t *content);

uint32_t sql_draw(struct sql_run *run, uint32_t bound);

/* ---- crash_sql_operations.c ---- */

/* "insert", ...; NULL: there is none. */
const char *sql_operation_name(uint32_t operation);
/* Carries it out, with marks in the disk's log. */
void sql_operate(struct sql_run *run, uint32_t operation);
/* A transaction that inserts so many rows into o and f. */
void sql_insert_rows(struct sql_run *run, uint32_t count, uint32_t value_bytes);

/* ---- crash_sql_check.c ---- */

struct sql_expected {
    struct case_range versions;
    struct case_range direct_versions;
};

/* What a crash at a boundary may leave. */
struct sql_expected sql_expected_at(const struct sql_run *recorded, const struct sim_disk *disk,
                                    uint64_t position, enum sim_variant variant);
/* Both kinds of table hold what run->version held, by scans and lookups. */
void sql_expect_same_tables(const struct sql_run *run);
/* integrity_check and faster_verify() find nothing. */
void sql_expect_sound(const struct sql_run *run);
/* After a connection's first write: no store is there that a CREATE or DROP has left over. */
void sql_expect_no_orphans(const struct sql_run *run);
/* Opens what a crash has left, compares, opens it again, and goes on. */
void sql_check_state(const struct sql_run *recorded, const struct sim_image *image,
                     enum sim_variant variant, uint64_t draw, const struct sql_expected *expected);

#endif
