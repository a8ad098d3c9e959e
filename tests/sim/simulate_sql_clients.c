/* simulate_sql_clients.c - what the clients of one life do; see simulate_sql.h.
 *
 * Each is a fibre with a connection of its own. Without faults every statement succeeds, but that
 * BUSY is an answer. Once a fault may have struck, statements may fail as it can make them, until
 * nothing fails any more and all connections were closed; what they return as success still has to
 * be true.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "simulate_sql.h"

#include "sim_run.h"
#include "sim_sqlite.h"
#include "sim_world.h"

#define SMALL_VALUE_BYTES 60u
#define LARGE_VALUE_BYTES 1500u
#define KEYS 24u
#define TABLES_MAX 3u    /* besides those that are always there */
#define FAULT_ONE_IN 12u /* operations */
#define COMMIT_FAULT_ONE_IN 6u
#define TABLES_FAULT_ONE_IN 2u
#define HEAL_ONE_IN 4u
#define LITTLE_SPACE (128u << 10) /* beyond what is used */

struct client {
    struct sim_sql *sim;
    uint32_t number;
    sqlite3 *db;
    uint64_t random;
    struct sim_fibre *fibre;
};

static uint32_t draw(struct client *client, uint32_t bound) {
    return (uint32_t)(sim_next(&client->random) % bound);
}

/* False: the statement failed, and may. SQLITE_CORRUPT is what SQLite makes of EIO from a read of a
 * file of its own; of the store's damage it is another code. */
static bool may_fail(const struct client *client, int rc, const char *what) {
    const int code = rc & 0xff;

    if (rc == SQLITE_OK) {
        return true;
    }
    CASES_CHECK(rc != SQLITE_CORRUPT_VTAB && code != SQLITE_NOTADB, "P4", "%s: %d: %s", what, rc,
                sqlite3_errmsg(client->db));
    CASES_CHECK(code == SQLITE_BUSY || (client->sim->codes >> code & 1) != 0, "P6", "%s: %d: %s",
                what, rc, sqlite3_errmsg(client->db));
    return false;
}

static bool run_sql(struct client *client, const char *sql) {
    return may_fail(client, sqlite3_exec(client->db, sql, NULL, NULL, NULL), sql);
}

/* The first column of the first row; false: it failed. */
static bool ask(struct client *client, const char *sql, int64_t *number) {
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(client->db, sql, -1, &statement, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(statement);
        *number = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
        rc = sqlite3_reset(statement);
    }
    (void)sqlite3_finalize(statement);
    return may_fail(client, rc, sql);
}

/* ---- faults ---- */

#define STORE_FILES                                                                                \
    (SIM_FILE_SEGMENT | SIM_FILE_MANIFEST | SIM_FILE_SMALL | SIM_FILE_DIRECTORY |                  \
     SIM_FILE_CHECKPOINT)
#define SQLITE_FILES (SIM_FILE_DATABASE | SIM_FILE_JOURNAL)
/* SQLite takes a file for missing that it cannot ask about, and does not look whether the sync of a
 * directory worked: these are not what it survives. Its locks are for faults_sql. */
#define CODE(name) (1u << SQLITE_##name)
#define STORE_ERROR CODE(IOERR)
/* CORRUPT is what SQLite makes of EIO from a read of a file of its own. */
#define SQLITE_FAILS (CODE(IOERR) | CODE(CORRUPT) | CODE(CANTOPEN))
#define NO_SPACE (CODE(FULL) | CODE(IOERR) | CODE(CANTOPEN))
#define NO_DESCRIPTOR (CODE(CANTOPEN) | CODE(FULL) | CODE(IOERR))
#define ALL_CALLS (~(1u << SIM_CALL_DIRSYNC))
#define SQLITE_CALLS (ALL_CALLS & ~(1u << SIM_CALL_INFO | 1u << SIM_CALL_LOCK))

static const struct {
    enum sim_effect effect;
    uint32_t calls;
    uint32_t files;
    uint32_t codes;
} faults[] = {
    {SIM_EIO, ALL_CALLS, STORE_FILES, STORE_ERROR},
    {SIM_EIO, SQLITE_CALLS, SQLITE_FILES, SQLITE_FAILS},
    {SIM_EIO_DONE, UINT32_MAX, STORE_FILES, STORE_ERROR},
    {SIM_EIO_DONE, SQLITE_CALLS, SQLITE_FILES, SQLITE_FAILS},
    {SIM_EIO_HALF, 1u << SIM_CALL_WRITE, UINT32_MAX, STORE_ERROR | SQLITE_FAILS},
    {SIM_ENOSPC, ALL_CALLS, STORE_FILES, NO_SPACE},
    {SIM_ENOSPC, SQLITE_CALLS, SQLITE_FILES, NO_SPACE},
    {SIM_ENOSPC_HALF, 1u << SIM_CALL_WRITE, UINT32_MAX, NO_SPACE},
    {SIM_EMFILE, 1u << SIM_CALL_OPEN, UINT32_MAX, NO_DESCRIPTOR},
    {SIM_EIO_LOST, 1u << SIM_CALL_SYNC, STORE_FILES, STORE_ERROR},
};

static void disturb(struct client *client) {
    struct sim_sql *sim = client->sim;
    const uint32_t kind = draw(client, (uint32_t)(sizeof faults / sizeof faults[0]) + 1);
    struct sim_fault fault = {.first = 1 + draw(client, 6), .times = 1 + draw(client, 3)};

    sim->has_failed = true;
    if (kind == sizeof faults / sizeof faults[0]) {
        sim->codes |= NO_SPACE;
        sim_disk_set_space(sim_world_disk(),
                           sim_disk_used_space(sim_world_disk()) + draw(client, LITTLE_SPACE));
        return;
    }
    sim->codes |= faults[kind].codes;
    fault.calls = faults[kind].calls;
    fault.files = faults[kind].files;
    fault.effect = faults[kind].effect;
    sim_fault_arm(&fault);
}

static void heal(void) {
    sim_fault_arm(NULL);
    sim_disk_set_space(sim_world_disk(), UINT64_MAX);
}

/* ---- transactions ---- */

static void roll_back(struct client *client) {
    if (sqlite3_get_autocommit(client->db) == 0) {
        (void)sqlite3_exec(client->db, "ROLLBACK", NULL, NULL, NULL);
    }
}

/* A COMMIT that meets readers may be repeated; one that fails otherwise is over, or in doubt. */
static bool commit(struct client *client) {
    int rc;

    do {
        rc = sqlite3_exec(client->db, "COMMIT", NULL, NULL, NULL);
    } while (rc == SQLITE_BUSY && sqlite3_get_autocommit(client->db) == 0);
    return may_fail(client, rc, "COMMIT");
}

static bool put(struct client *client) {
    const uint32_t bytes = draw(client, 8) == 0 ? LARGE_VALUE_BYTES : SMALL_VALUE_BYTES;
    const uint32_t value = client->sim->run.next_value++;
    const uint32_t key = draw(client, KEYS);
    char sql[300];

    if (draw(client, 5) == 0) {
        (void)snprintf(sql, sizeof sql,
                       "DELETE FROM o WHERE k = 'c%02u'; DELETE FROM f WHERE k = 'c%02u'", key,
                       key);
    } else {
        (void)snprintf(sql, sizeof sql,
                       "REPLACE INTO o VALUES ('c%02u', %u || hex(zeroblob(%u))); "
                       "REPLACE INTO f VALUES ('c%02u', %u || hex(zeroblob(%u)))",
                       key, value, bytes / 2, key, value, bytes / 2);
    }
    return run_sql(client, sql);
}

static bool put_some(struct client *client) {
    const uint32_t count = 1 + draw(client, draw(client, 6) == 0 ? 40 : 3);
    bool is_fine = true;

    for (uint32_t i = 0; i < count && is_fine; i++) {
        is_fine = put(client);
    }
    if (is_fine && draw(client, 4) == 0) {
        is_fine = run_sql(client, "SAVEPOINT s") && put(client) && put(client) &&
                  run_sql(client, draw(client, 2) == 0 ? "ROLLBACK TO s; RELEASE s" : "RELEASE s");
    }
    return is_fine;
}

/* The hash of what o holds, within the transaction; false: it could not be read. */
static bool note_content(struct client *client, uint64_t version) {
    struct sim_sql *sim = client->sim;

    if (sql_try_content(client->db, &sim->run.contents[version]) != SQLITE_OK) {
        CASES_CHECK(sim->has_failed, "P6", "reading: %s", sqlite3_errmsg(client->db));
        return false;
    }
    return true;
}

/* A transaction that makes one version; `body` changes both kinds of table alike. False: it is to
 * be rolled back. One COMMIT in so many is disturbed, where faults may be. */
static void transact(struct client *client, bool (*body)(struct client *client),
                     uint32_t fault_one_in) {
    struct sim_sql *sim = client->sim;
    uint64_t version;
    char sql[80];

    if (!run_sql(client, "BEGIN IMMEDIATE")) {
        return;
    }
    if (!body(client) || draw(client, 8) == 0) {
        roll_back(client);
        return;
    }
    version = sim->next_version++;
    CASES_CHECK(version < SQL_VERSIONS_MAX, "P1", "too many versions");
    (void)snprintf(sql, sizeof sql, "UPDATE v SET version = %" PRIu64, version);
    if (!run_sql(client, sql) || !note_content(client, version)) {
        roll_back(client);
        return;
    }
    if (sim->with_faults && draw(client, fault_one_in) == 0) {
        disturb(client);
    }
    sim_mark(MARK_TRY, version);
    if (!commit(client)) {
        roll_back(client);
    } else if (version > sim->acked_version) {
        sim->acked_version = version;
        sim_mark(MARK_ACK, version);
    }
}

static void operate_transaction(struct client *client) {
    transact(client, put_some, COMMIT_FAULT_ONE_IN);
}

/* A table more, or, if there are enough, the newest one goes: see crash_sql.h. */
static bool change_tables(struct client *client) {
    const uint32_t value = client->sim->run.next_value++;
    int64_t newest;
    char sql[300];

    if (!ask(client, "SELECT coalesce(max(n), 0) FROM og", &newest)) {
        return false;
    }
    if (newest > 0 && draw(client, TABLES_MAX) < newest) {
        (void)snprintf(sql, sizeof sql,
                       "DROP TABLE g%" PRId64 "; DELETE FROM og WHERE n = %" PRId64, newest,
                       newest);
    } else {
        newest++;
        (void)snprintf(sql, sizeof sql,
                       "CREATE VIRTUAL TABLE g%" PRId64 " USING faster(k TEXT PRIMARY KEY, v, "
                       "memory='1MiB', page_size='16KiB'); "
                       "INSERT INTO g%" PRId64 " VALUES ('new', %u); "
                       "INSERT INTO og VALUES (%" PRId64 ", 'new', %u)",
                       newest, newest, value, newest, value);
    }
    return run_sql(client, sql);
}

static void operate_tables(struct client *client) {
    if (!client->sim->run.is_self) {
        transact(client, change_tables, TABLES_FAULT_ONE_IN);
    }
}

/* ---- the other operations ---- */

/* In one transaction both tables show the same. */
static void operate_compare(struct client *client) {
    int64_t differences = 0;

    if (run_sql(client, "BEGIN") &&
        ask(client, "SELECT count(*) FROM o LEFT JOIN f ON f.k = o.k WHERE f.v IS NOT o.v",
            &differences)) {
        CASES_CHECK(differences == 0, "P1", "a lookup in f differs from o");
        if (ask(client, "SELECT count(*) FROM (SELECT k, v FROM f EXCEPT SELECT k, v FROM o)",
                &differences)) {
            CASES_CHECK(differences == 0, "P1", "f has what o has not");
        }
    }
    roll_back(client);
}

static void operate_checkpoint(struct client *client) {
    static const char *const requests[] = {
        "INSERT INTO f(f) VALUES ('checkpoint')",
        "INSERT INTO f(f) VALUES ('checkpoint')",
        "INSERT INTO f(f) VALUES ('checkpoint copy')",
        "INSERT INTO f(f) VALUES ('checkpoint index')",
        "INSERT INTO f(f) VALUES ('checkpoint leave')",
        "SELECT faster_checkpoint('d', 'fold-over', 'copy')",
        "SELECT faster_checkpoint('d', 'fold-over', 'leave')",
    };
    const uint64_t acked = client->sim->acked_version;
    const uint32_t number = draw(client, sizeof requests / sizeof requests[0]);

    if (!client->sim->run.is_self && run_sql(client, requests[number]) && number < 5) {
        sim_mark(MARK_SAFE, acked);
    }
}

static void operate_tidy(struct client *client) {
    int64_t is_busy = 1;

    if (sql_is_wal(client->sim->run.config)) {
        (void)ask(client, "PRAGMA wal_checkpoint(TRUNCATE)", &is_busy);
    } else if (sql_may_vacuum(client->sim->run.config)) {
        (void)run_sql(client, "VACUUM");
    }
}

/* The last connection is closed, and with it every store: nothing of a failure is left. */
static void forget_failures(struct sim_sql *sim) {
    heal();
    for (uint32_t i = 0; i < SIM_SQL_CLIENTS_MAX; i++) {
        sim->is_unsure[i] = sim->is_unsure[i] || sim->has_failed;
    }
    sim->has_failed = false;
    sim->codes = 0;
}

/* Opening may fail as long as a fault is armed. */
static void open_client(struct client *client) {
    struct sim_sql *sim = client->sim;

    sim->open_count++;
    while (sql_try_connect(&sim->run, &client->db) != SQLITE_OK) {
        (void)may_fail(client, sqlite3_errcode(client->db), "opening");
        (void)sqlite3_close(client->db);
        client->db = NULL;
        heal();
    }
}

static void close_client(struct client *client) {
    sim_db_close(client->db);
    client->db = NULL;
    client->sim->open_count--;
}

static void operate_reopen(struct client *client) {
    close_client(client);
    if (client->sim->open_count == 0) {
        forget_failures(client->sim);
    }
    open_client(client);
}

/* The newest number of the client that the direct table has; false: it could not be read. */
static bool newest_number(struct client *client, uint64_t *number) {
    char sql[100];
    int64_t newest = 0;

    (void)snprintf(sql, sizeof sql, "SELECT coalesce(max(v), 0) FROM d WHERE k BETWEEN %u AND %u",
                   client->number * SIM_SQL_DIRECT_KEYS,
                   client->number * SIM_SQL_DIRECT_KEYS + SIM_SQL_DIRECT_KEYS - 1);
    if (!ask(client, sql, &newest)) {
        return false;
    }
    *number = (uint64_t)newest;
    return true;
}

/* Makes durable what was written. While this connection is open, so is the store: what it has
 * written itself is still there. Of the others' that is certain only where no store has failed, and
 * was opened again without what was not committed. */
static void commit_direct(struct client *client) {
    struct sim_sql *sim = client->sim;
    uint64_t did[SIM_SQL_CLIENTS_MAX];

    for (uint32_t i = 0; i < SIM_SQL_CLIENTS_MAX; i++) {
        did[i] = sim->direct_did[i];
    }
    if (!run_sql(client, "SELECT faster_commit('d')")) {
        return;
    }
    for (uint32_t i = 0; i < SIM_SQL_CLIENTS_MAX; i++) {
        if (i == client->number || (!sim->has_failed && !sim->is_unsure[i])) {
            sim_mark(SIM_SQL_DIRECT_ACK, (uint64_t)i << 32 | did[i]);
        }
    }
}

/* The client's next number goes under its next key, see simulate_sql.c; perhaps made durable. */
static void operate_direct(struct client *client) {
    struct sim_sql *sim = client->sim;
    uint64_t *did = &sim->direct_did[client->number];
    uint64_t number;
    char sql[100];

    if (sim->run.is_self || !newest_number(client, &number)) {
        return;
    }
    CASES_CHECK(
        number == *did || ((sim->has_failed || sim->is_unsure[client->number]) && number < *did),
        "P3", "client %u reads %" PRIu64 " after write %" PRIu64, client->number, number, *did);
    sim->is_unsure[client->number] = false;
    number++;
    (void)snprintf(sql, sizeof sql, "SELECT faster_set('d', %u, %" PRIu64 ")",
                   client->number * SIM_SQL_DIRECT_KEYS + (uint32_t)(number % SIM_SQL_DIRECT_KEYS),
                   number);
    sim_mark(SIM_SQL_DIRECT_TRY, (uint64_t)client->number << 32 | number);
    *did = number - 1;
    if (run_sql(client, sql)) {
        *did = number;
        if (draw(client, 3) == 0) {
            commit_direct(client);
        }
    }
}

/* ---- a life ---- */

static void operate(struct client *client) {
    static void (*const mix[])(struct client *) = {
        operate_transaction, operate_transaction, operate_transaction, operate_transaction,
        operate_direct,      operate_direct,      operate_direct,      operate_compare,
        operate_compare,     operate_checkpoint,  operate_tidy,        operate_reopen,
        operate_tables,
    };
    const uint32_t count = (uint32_t)(sizeof mix / sizeof mix[0]);

    if (client->sim->with_faults && draw(client, FAULT_ONE_IN) == 0) {
        disturb(client);
    } else if (draw(client, HEAL_ONE_IN) == 0) {
        heal();
    }
    mix[draw(client, count)](client);
}

static void client_run(void *context) {
    struct client *client = context;
    struct sim_sql *sim = client->sim;

    open_client(client);
    while (sim->operations > 0) {
        sim->operations--;
        operate(client);
    }
    close_client(client);
}

void sim_sql_run_clients(struct sim_sql *sim) {
    struct client clients[SIM_SQL_CLIENTS_MAX];

    sim->has_failed = false;
    sim->codes = 0;
    memset(sim->is_unsure, 0, sizeof sim->is_unsure);
    for (uint32_t i = 0; i < sim->client_count; i++) {
        clients[i] =
            (struct client){.sim = sim, .number = i, .random = sim_mix(sim->seed, sim_draw())};
        clients[i].fibre = sim_start(client_run, &clients[i]);
    }
    for (uint32_t i = 0; i < sim->client_count; i++) {
        sim_join(clients[i].fibre);
    }
    heal();
}
