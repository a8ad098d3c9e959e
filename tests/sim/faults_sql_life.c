/* faults_sql_life.c - statements that may fail, and what they have acknowledged; see faults_sql.h.
 *
 * A commit that fails is in doubt: it is there whole, or it is not there. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "faults_sql.h"
#include "sim_sqlite.h"

#define SQL_BYTES_MAX 512u

/* ---- statements ---- */

/* CORRUPT_VTAB is damage of a store; another SQLITE_CORRUPT is what SQLite makes of EIO from a read
 * of a file of its own. */
static bool may_fail(struct faults_sql *life, int rc, const char *what) {
    const unsigned code = (unsigned)rc & 0xff;
    const bool is_nomem = rc == SQLITE_IOERR_NOMEM;
    const char *message = sqlite3_errmsg(life->run.db);

    if (rc == SQLITE_OK) {
        return true;
    }
    CASES_CHECK(life->allowed.codes != 0, "P6", "%.100s: %d: %s", what, rc, message);
    CASES_CHECK((life->allowed.codes >> (is_nomem ? SQLITE_NOMEM : code) & 1) != 0, "P4",
                "%.100s: %d: %s", what, rc, message);
    CASES_CHECK(rc != SQLITE_CORRUPT_VTAB || life->allowed.damage, "P4", "%.100s: %d: %s", what, rc,
                message);
    CASES_CHECK(message[0] != '\0', "P4", "%.100s: %d, without a message", what, rc);
    life->failures++;
    return false;
}

bool fsql_run(struct faults_sql *life, const char *format, ...) {
    char sql[SQL_BYTES_MAX];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(sql, sizeof sql, format, list);
    va_end(list);
    return may_fail(life, sqlite3_exec(life->run.db, sql, NULL, NULL, NULL), sql);
}

/* The first column of the first row; no row: 0. */
static bool ask(struct faults_sql *life, const char *sql, int64_t *number) {
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(life->run.db, sql, -1, &statement, NULL);

    if (rc == SQLITE_OK) {
        *number = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
        rc = sqlite3_reset(statement);
    }
    (void)sqlite3_finalize(statement);
    return may_fail(life, rc, sql);
}

/* ---- connections ---- */

bool fsql_open(struct faults_sql *life) {
    if (may_fail(life, sql_try_connect(&life->run, &life->run.db), "connecting")) {
        return true;
    }
    sim_db_close(life->run.db);
    life->run.db = NULL;
    return false;
}

void fsql_close(struct faults_sql *life) {
    sim_db_close(life->run.db);
    life->run.db = NULL;
}

/* ---- transactions ---- */

static bool is_in_transaction(const struct faults_sql *life) {
    return sqlite3_get_autocommit(life->run.db) == 0;
}

/* Without memory there is no statement that it could be. */
void fsql_roll_back(struct faults_sql *life) {
    if (is_in_transaction(life)) {
        const bool is_done = fsql_run(life, "ROLLBACK");
        CASES_CHECK(!is_in_transaction(life) ||
                        (!is_done && (life->allowed.codes >> SQLITE_NOMEM & 1) != 0),
                    "P6", "ROLLBACK leaves the transaction open");
    }
}

bool fsql_begin(struct faults_sql *life) {
    fsql_roll_back(life);
    return !is_in_transaction(life) && fsql_run(life, "BEGIN IMMEDIATE");
}

static bool commit(struct faults_sql *life) {
    const uint64_t version = ++life->last;

    CASES_CHECK(version < SQL_VERSIONS_MAX, "setup", "too many versions");
    if (!fsql_run(life, "UPDATE v SET version = %" PRIu64, version) ||
        !may_fail(life, sql_try_content(life->run.db, &life->run.contents[version]), "o")) {
        return false;
    }
    life->possible = version;
    if (!fsql_run(life, "COMMIT")) {
        return false;
    }
    CASES_CHECK(!is_in_transaction(life), "P3", "COMMIT succeeds, and is not over");
    life->acked = version;
    return true;
}

bool fsql_transact(struct faults_sql *life, bool (*body)(struct faults_sql *life)) {
    bool is_committed = false;

    if (!fsql_begin(life)) {
        return false;
    }
    const bool is_done = body(life);
    CASES_CHECK(!is_done || is_in_transaction(life), "P6",
                "the transaction is gone, for no reason");
    if (is_in_transaction(life) && (is_done || life->keeps_on)) {
        is_committed = commit(life);
    }
    fsql_roll_back(life);
    return is_committed;
}

bool fsql_in_savepoint(struct faults_sql *life, bool (*body)(struct faults_sql *life)) {
    if (!fsql_run(life, "SAVEPOINT t")) {
        return false;
    }
    const bool is_done = body(life);
    if (is_in_transaction(life) &&
        ((!is_done && !fsql_run(life, "ROLLBACK TO t")) || !fsql_run(life, "RELEASE t"))) {
        fsql_roll_back(life);
        return false;
    }
    return is_done;
}

bool fsql_put(struct faults_sql *life, uint32_t key, uint32_t value_bytes) {
    return fsql_run(life, "INSERT INTO both VALUES ('c%02u', %u || hex(zeroblob(%u)))", key,
                    life->run.next_value++, value_bytes / 2);
}

bool fsql_delete(struct faults_sql *life, uint32_t key) {
    return fsql_run(life, "DELETE FROM both WHERE k = 'c%02u'", key);
}

/* ---- the direct table ---- */

bool fsql_direct_write(struct faults_sql *life) {
    struct direct_log *log = &life->direct;
    const int64_t number = log->next_number++;

    CASES_CHECK(log->count < FAULTS_DIRECT_WRITES_MAX, "setup", "too many direct writes");
    const bool is_done = fsql_run(life, "SELECT faster_set('d', %" PRId64 ", %" PRId64 ")",
                                  number % FAULTS_DIRECT_KEYS, number);
    log->writes[log->count++] = (struct direct_write){number, !is_done};
    return is_done;
}

bool fsql_direct_commit(struct faults_sql *life) {
    if (!fsql_run(life, "SELECT faster_commit('d')")) {
        return false;
    }
    CASES_CHECK(!life->allowed.is_final || sim_fault_fired() == 0, "P5",
                "a commit that is acknowledged after a failed write or sync");
    life->direct.acked_count = life->direct.count;
    return true;
}

/* Whether a key may have the value after the first `count` writes. */
static bool is_value(const struct direct_log *log, uint32_t count, uint32_t key, int64_t value) {
    for (uint32_t i = count; i > 0; i--) {
        const struct direct_write *write = &log->writes[i - 1];
        if (write->number % FAULTS_DIRECT_KEYS == key) {
            if (write->number == value) {
                return true;
            }
            if (!write->is_unsure) {
                return false;
            }
        }
    }
    return log->first[key] == value;
}

uint32_t fsql_direct_prefix(const struct direct_log *log, const int64_t values[FAULTS_DIRECT_KEYS],
                            uint32_t low) {
    for (uint32_t count = log->count + 1; count > low; count--) {
        bool fits = true;
        for (uint32_t key = 0; key < FAULTS_DIRECT_KEYS; key++) {
            fits = fits && is_value(log, count - 1, key, values[key]);
        }
        if (fits) {
            return count - 1;
        }
    }
    return UINT32_MAX;
}

/* ---- reads ---- */

static void read_direct(struct faults_sql *life) {
    for (uint32_t key = 0; key < FAULTS_DIRECT_KEYS; key++) {
        char sql[64];
        int64_t value;
        (void)snprintf(sql, sizeof sql, "SELECT faster_get('d', %u)", key);
        CASES_CHECK(!ask(life, sql, &value) ||
                        is_value(&life->direct, life->direct.count, key, value),
                    "P4", "key %u of the direct table is %" PRId64, key, value);
    }
}

void fsql_read_all(struct faults_sql *life) {
    uint64_t version = life->acked;
    uint64_t hash;
    int64_t number;

    if (ask(life, "SELECT count(*) FROM o LEFT JOIN f ON f.k = o.k WHERE f.v IS NOT o.v",
            &number)) {
        CASES_CHECK(number == 0, "P1", "lookups show other rows than the ordinary table has");
    }
    if (may_fail(life,
                 sql_try_hash(life->run.db,
                              "SELECT 'f', k, v FROM f UNION ALL SELECT 'g1', k, v FROM g1 "
                              "ORDER BY 1, 2",
                              &hash),
                 "a scan")) {
        while (version < life->possible && life->run.contents[version] != hash) {
            version++;
        }
        CASES_CHECK(life->run.contents[version] == hash, "P4", "a scan shows no version's rows");
    }
    if (!life->run.is_self) {
        read_direct(life);
    }
}
