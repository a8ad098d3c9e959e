/* crash_sql_operations.c - what a workload is made of; see crash_sql.h.
 *
 * An operation that commits marks its version in the disk's log before COMMIT is called and after
 * it has returned. It must succeed: nothing fails while a workload is recorded.
 */
#include <stdio.h>

#include "crash_sql.h"
#include "sim_disk.h"
#include "sim_run.h"

#define SMALL_VALUE_BYTES 60u
#define BULK_ROWS 40u
#define BULK_VALUE_BYTES 1500u
#define DIRECT_KEYS 8u

/* ---- transactions ---- */

static void begin(struct sql_run *run) {
    sql_must(run->db, "BEGIN IMMEDIATE");
}

static void commit(struct sql_run *run) {
    const uint64_t version = run->version + 1;

    CASES_CHECK(version < SQL_VERSIONS_MAX, "P1", "a workload has too many versions");
    sql_must(run->db, "UPDATE v SET version = %llu", (unsigned long long)version);
    run->contents[version] = sql_ordinary_content(run);
    sim_mark(MARK_TRY, version);
    sql_must(run->db, "COMMIT");
    run->version = version;
    sim_mark(MARK_ACK, version);
}

/* What was committed is durable, whatever PRAGMA synchronous says. */
static void mark_safe(const struct sql_run *run) {
    sim_mark(MARK_SAFE, run->version);
}

/* Both tables of the pair; values are different each time, and as long as asked. */
static void put(struct sql_run *run, const char *key, uint32_t value_bytes) {
    const uint32_t value = run->next_value++;

    sql_must(run->db,
             "REPLACE INTO o VALUES ('%s', %u || hex(zeroblob(%u))); "
             "REPLACE INTO f VALUES ('%s', %u || hex(zeroblob(%u)))",
             key, value, value_bytes / 2, key, value, value_bytes / 2);
}

static void put_new(struct sql_run *run, uint32_t value_bytes) {
    char key[32];

    (void)snprintf(key, sizeof key, "k%06u-%u", sql_draw(run, 1000000), run->next_value);
    put(run, key, value_bytes);
}

/* A key of o, drawn; false: it is empty. */
static bool draw_key(struct sql_run *run, char key[32]) {
    const int64_t count = sql_number(run->db, "SELECT count(*) FROM o");
    const uint32_t place = count > 0 ? sql_draw(run, (uint32_t)count) : 0;
    sqlite3_stmt *statement = NULL;
    bool is_found;

    (void)sqlite3_prepare_v2(run->db, "SELECT k FROM o ORDER BY k LIMIT 1 OFFSET ?1", -1,
                             &statement, NULL);
    (void)sqlite3_bind_int(statement, 1, (int)place);
    is_found = sqlite3_step(statement) == SQLITE_ROW;
    if (is_found) {
        (void)snprintf(key, 32, "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    (void)sqlite3_finalize(statement);
    return is_found;
}

void sql_insert_rows(struct sql_run *run, uint32_t count, uint32_t value_bytes) {
    begin(run);
    for (uint32_t i = 0; i < count; i++) {
        put_new(run, value_bytes);
    }
    commit(run);
}

/* ---- the operations ---- */

static void operate_insert(struct sql_run *run) {
    sql_insert_rows(run, 2, SMALL_VALUE_BYTES);
}

static void operate_update(struct sql_run *run) {
    char key[32];

    begin(run);
    if (draw_key(run, key)) {
        put(run, key, SMALL_VALUE_BYTES);
    }
    commit(run);
}

static void operate_delete(struct sql_run *run) {
    char key[32];

    begin(run);
    if (draw_key(run, key)) {
        sql_must(run->db, "DELETE FROM o WHERE k = '%s'; DELETE FROM f WHERE k = '%s'", key, key);
    }
    commit(run);
}

/* More than a row carries: the log is synced by COMMIT. */
static void operate_bulk(struct sql_run *run) {
    sql_insert_rows(run, BULK_ROWS, BULK_VALUE_BYTES);
}

static void operate_savepoint(struct sql_run *run) {
    char key[32];

    begin(run);
    put_new(run, SMALL_VALUE_BYTES);
    sql_must(run->db, "SAVEPOINT s");
    put_new(run, BULK_VALUE_BYTES);
    if (draw_key(run, key)) {
        sql_must(run->db, "DELETE FROM o WHERE k = '%s'; DELETE FROM f WHERE k = '%s'", key, key);
    }
    sql_must(run->db, "ROLLBACK TO s; RELEASE s");
    put_new(run, SMALL_VALUE_BYTES);
    commit(run);
}

/* More than a page, so that some of it is on its way to the disk. */
static void operate_rollback(struct sql_run *run) {
    begin(run);
    for (uint32_t i = 0; i < BULK_ROWS; i++) {
        put_new(run, BULK_VALUE_BYTES);
    }
    sql_must(run->db, "ROLLBACK");
}

static void operate_checkpoint(struct sql_run *run) {
    if (!run->is_self) {
        sql_must(run->db, "INSERT INTO f(f) VALUES ('checkpoint')");
        mark_safe(run);
    }
}

/* Of both kinds of FASTER table; each version of the direct one was committed before. */
static void take_checkpoints(struct sql_run *run, const char *kind, const char *index) {
    if (!run->is_self) {
        sql_must(run->db, "SELECT faster_checkpoint('f', '%s', '%s')", kind, index);
        mark_safe(run);
        sql_must(run->db, "SELECT faster_checkpoint('d', '%s', '%s')", kind, index);
    }
}

static void operate_copy(struct sql_run *run) {
    take_checkpoints(run, "fold-over", "copy");
}

static void operate_index(struct sql_run *run) {
    take_checkpoints(run, "index", "copy");
}

static void operate_leave(struct sql_run *run) {
    take_checkpoints(run, "fold-over", "leave");
}

/* SQLite's own tidying up. */
static void operate_tidy(struct sql_run *run) {
    if (!sql_is_wal(run->config)) {
        sql_must(run->db, sql_may_vacuum(run->config) ? "VACUUM" : "ANALYZE");
    } else if (sql_number(run->db, "PRAGMA wal_checkpoint(TRUNCATE)") == 0 &&
               run->config->promise != SQL_KEEPS_AFTER_KILL) {
        mark_safe(run);
    }
}

static int64_t newest_table(const struct sql_run *run) {
    return sql_number(run->db, "SELECT coalesce(max(n), 0) FROM og");
}

static void operate_create(struct sql_run *run) {
    const int64_t number = newest_table(run) + 1;

    begin(run);
    if (run->is_self) {
        sql_must(run->db, "CREATE TABLE g%lld(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
                 (long long)number);
    } else {
        sql_must(run->db,
                 "CREATE VIRTUAL TABLE g%lld USING faster(k TEXT PRIMARY KEY, v, "
                 "memory='1MiB', page_size='16KiB')",
                 (long long)number);
    }
    sql_must(run->db,
             "INSERT INTO g%lld VALUES ('new', %u); INSERT INTO og VALUES (%lld, 'new', %u)",
             (long long)number, run->next_value, (long long)number, run->next_value);
    run->next_value++;
    commit(run);
}

static void operate_drop(struct sql_run *run) {
    const int64_t number = newest_table(run);

    if (number == 0) {
        operate_create(run);
        return;
    }
    begin(run);
    sql_must(run->db, "DROP TABLE g%lld; DELETE FROM og WHERE n = %lld", (long long)number,
             (long long)number);
    commit(run);
}

/* The store is closed only if there is no other connection. */
static void operate_reopen(struct sql_run *run) {
    sqlite3 *reader = run->reader;

    run->reader = NULL;
    sql_close(run);
    run->db = sql_connect(run);
    run->reader = reader;
    (void)sql_number(run->db, "SELECT count(*) FROM f");
}

static void operate_direct(struct sql_run *run) {
    const uint64_t version = run->direct_version + 1;
    const uint32_t key = 1 + sql_draw(run, DIRECT_KEYS);
    const uint32_t value = run->next_value++;

    if (run->is_self) {
        operate_insert(run);
        return;
    }
    sim_mark(SQL_MARK_DIRECT_TRY, version);
    sql_must(run->db, "SELECT faster_set('d', %u, %u), faster_set('d', 0, %llu)", key, value,
             (unsigned long long)version);
    run->direct_contents[version] = sql_direct_content(run);
    sql_must(run->db, "SELECT faster_commit('d')");
    run->direct_version = version;
    sim_mark(SQL_MARK_DIRECT_ACK, version);
}

static const struct {
    const char *name;
    void (*operate)(struct sql_run *run);
} operations[SQL_OPERATIONS] = {
    {"insert", operate_insert},
    {"update", operate_update},
    {"delete", operate_delete},
    {"bulk", operate_bulk},
    {"savepoint", operate_savepoint},
    {"rollback", operate_rollback},
    {"checkpoint", operate_checkpoint},
    {"tidy", operate_tidy},
    {"create", operate_create},
    {"drop", operate_drop},
    {"reopen", operate_reopen},
    {"direct", operate_direct},
    {"copy", operate_copy},
    {"index", operate_index},
    {"leave", operate_leave},
};

const char *sql_operation_name(uint32_t operation) {
    return operation < SQL_OPERATIONS ? operations[operation].name : NULL;
}

void sql_operate(struct sql_run *run, uint32_t operation) {
    operations[operation].operate(run);
}
