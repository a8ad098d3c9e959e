/* kill_load_child.c - the load that gets killed: each transaction on both tables. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kill_load.h"

sqlite3 *load_open(const struct test_options *options, const struct configuration *configuration) {
    sqlite3 *db = db_open(options, configuration->path);
    sqlite3_busy_timeout(db, 10000);
    db_must(db, "PRAGMA journal_mode=%s", configuration->journal_mode);
    db_must(db, "PRAGMA synchronous=%s", configuration->synchronous);
    return db;
}

void load_create(const struct test_options *options, const struct configuration *configuration) {
    sqlite3 *db = load_open(options, configuration);
    const char *columns = "key TEXT PRIMARY KEY, value TEXT, n INTEGER";
    db_must(db, "BEGIN");
    if (options->self) {
        db_must(db, "CREATE TABLE f(%s) WITHOUT ROWID", columns);
        db_must(db, "CREATE TABLE c(key PRIMARY KEY, value) WITHOUT ROWID");
    } else {
        db_must(db, "CREATE VIRTUAL TABLE f USING faster(%s%s)", columns,
                configuration->store_options);
        db_must(db, "CREATE VIRTUAL TABLE c USING faster(key PRIMARY KEY, value, memory='1MiB')");
    }
    db_must(db, "CREATE TABLE o(%s) WITHOUT ROWID", columns);
    db_must(db, "CREATE TABLE p(key PRIMARY KEY, value) WITHOUT ROWID");
    db_must(db, "INSERT INTO f VALUES('#', '', 0)");
    db_must(db, "INSERT INTO o VALUES('#', '', 0)");
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        db_must(db, "INSERT INTO c VALUES('counter%u', 0)", i);
        db_must(db, "INSERT INTO p VALUES('counter%u', 0)", i);
    }
    db_must(db, "COMMIT");
    db_close(db);
}

#define FAILURES_MAX 5

struct load {
    sqlite3 *db;
    sqlite3 *reader; /* NULL: none */
    char *seen;      /* by the reader, whose snapshot is open then */
    bool self;
    struct random_state random;
    sqlite3_stmt *statement[OPERATION_COUNTER + 1][2];
    sqlite3_stmt *add_command;
};

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql, const char *table) {
    char text[300];
    sqlite3_stmt *statement = NULL;
    sqlite3_snprintf(sizeof text, text, sql, table, table);
    if (sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
        SQLITE_OK) {
        test_fail("%s: %s", text, sqlite3_errmsg(db));
    }
    return statement;
}

static const char range_sql[] = "UPDATE %s SET n = n + ?3 WHERE key >= printf('k%%05d', ?1)"
                                " AND key < printf('k%%05d', ?1 + 50)";

static void prepare_all(struct load *load) {
    static const char *const sql[OPERATION_COUNTER] = {
        "INSERT OR REPLACE INTO %s(key, value, n) VALUES (printf('k%%05d', ?1), ?2, 0)",
        "INSERT OR IGNORE INTO %s(key, value, n) VALUES (printf('k%%05d', ?1), ?2, 0)",
        "UPDATE %s SET value = ?2, n = n + 1 WHERE key = printf('k%%05d', ?1)",
        "DELETE FROM %s WHERE key = printf('k%%05d', ?1)", range_sql};
    for (int i = 0; i < OPERATION_COUNTER; i++) {
        load->statement[i][0] = prepare(load->db, sql[i], "f");
        load->statement[i][1] = prepare(load->db, sql[i], "o");
    }
    const char *update = "UPDATE %s SET value = value + ?3 WHERE key = 'counter' || ?1";
    load->statement[OPERATION_COUNTER][1] = prepare(load->db, update, "p");
    load->statement[OPERATION_COUNTER][0] = prepare(
        load->db, load->self ? update : "SELECT faster_incr('c', 'counter' || ?1, ?3)", "c");
    load->add_command = prepare(
        load->db,
        load->self ? update : "INSERT INTO c(c, key, value) VALUES ('add', 'counter' || ?1, ?3)",
        "c");
}

/* The extended code; the message stays in sqlite3_errmsg(). */
static int run_statement(sqlite3_stmt *statement, const struct operation *operation) {
    char value[VALUE_BYTES_MAX];
    int parameters = sqlite3_bind_parameter_count(statement);
    sqlite3_bind_int64(statement, 1, operation->key);
    if (operation->kind == OPERATION_UPSERT || operation->kind == OPERATION_INSERT ||
        operation->kind == OPERATION_UPDATE) {
        size_t size = value_of_tag(operation->tag, value);
        sqlite3_bind_text(statement, 2, value, (int)size, SQLITE_STATIC);
    }
    if (parameters > 2) {
        sqlite3_bind_int64(statement, 3, operation->amount);
    }
    while (sqlite3_step(statement) == SQLITE_ROW) {
    }
    return sqlite3_reset(statement);
}

static int run_operations(struct load *load, const struct operations *operations) {
    static const char *const savepoints[] = {"SAVEPOINT", "ROLLBACK TO", "RELEASE"};
    int code = SQLITE_OK;
    for (size_t i = 0; i < operations->count && code == SQLITE_OK; i++) {
        const struct operation *operation = &operations->operation[i];
        if (operation->kind >= OPERATION_SAVEPOINT) {
            code = db_run(load->db, "%s s%d", savepoints[operation->kind - OPERATION_SAVEPOINT],
                          (int)operation->amount);
            continue;
        }
        bool command = operation->kind == OPERATION_COUNTER && operation->tag % 2;
        code = run_statement(command ? load->add_command : load->statement[operation->kind][0],
                             operation);
        code = code ? code : run_statement(load->statement[operation->kind][1], operation);
    }
    return code;
}

static const char *const snapshot_sql =
    "SELECT (SELECT n FROM %s WHERE key = '#') || ' ' || count(*) || ' ' || sum(n) || ' ' ||"
    " sum(length(value)) FROM %s";

/* A second connection looks at both tables in one snapshot. The first call opens it, the
 * second looks again, after other commits, and ends it. */
static void watch_snapshot(sqlite3 *reader, char **seen) {
    if (*seen == NULL) {
        db_must(reader, "BEGIN");
    }
    char *faster = db_text(reader, snapshot_sql, "f", "f");
    char *ordinary = db_text(reader, snapshot_sql, "o", "o");
    if (strcmp(faster, ordinary) != 0) {
        test_fail("a snapshot shows FASTER %s, ordinary %s", faster, ordinary);
    }
    free(ordinary);
    if (*seen == NULL) {
        *seen = faster;
        return;
    }
    if (strcmp(*seen, faster) != 0) {
        test_fail("a snapshot changed from %s to %s", *seen, faster);
    }
    db_must(reader, "COMMIT");
    free(faster);
    free(*seen);
    *seen = NULL;
}

/* What comes between transactions: one that is undone, a checkpoint, a look at a snapshot. */
static int run_between(struct load *load, struct operations *operations, uint64_t seed,
                       uint64_t number) {
    int code = SQLITE_OK;
    if (random_percent(&load->random, 10)) {
        operations_make(operations, seed, number, true);
        code = db_run(load->db, "BEGIN");
        code = code ? code : run_operations(load, operations);
        code = code ? code : db_run(load->db, "ROLLBACK");
    }
    if (code == SQLITE_OK && random_percent(&load->random, 3) && !load->self) {
        code = db_run(load->db, "INSERT INTO f(f) VALUES ('checkpoint')");
    }
    if (load->reader && random_percent(&load->random, 4)) {
        watch_snapshot(load->reader, &load->seen);
    }
    return code;
}

static int run_transaction(struct load *load, struct operations *operations, uint64_t seed,
                           uint64_t number) {
    operations_make(operations, seed, number, false);
    int code = db_run(load->db, "BEGIN");
    code = code ? code : run_operations(load, operations);
    for (int i = 0; i < 2 && code == SQLITE_OK; i++) {
        code = db_run(load->db, "UPDATE %s SET n = %llu WHERE key = '#'", i ? "o" : "f",
                      (unsigned long long)number);
    }
    return code ? code : db_run(load->db, "COMMIT");
}

static void load_stop(struct load *load) {
    for (int i = 0; i <= OPERATION_COUNTER; i++) {
        sqlite3_finalize(load->statement[i][0]);
        sqlite3_finalize(load->statement[i][1]);
    }
    sqlite3_finalize(load->add_command);
    free(load->seen);
    db_close(load->reader);
    db_close(load->db);
}

static void load_start(struct load *load, const struct test_options *options,
                       const struct configuration *configuration, uint64_t number) {
    bool has_reader =
        strcmp(configuration->journal_mode, "WAL") == 0 && configuration->power == NULL;
    *load = (struct load){.db = load_open(options, configuration),
                          .reader = has_reader ? load_open(options, configuration) : NULL,
                          .self = options->self,
                          .random = random_of(configuration->seed, UINT64_MAX - number)};
    prepare_all(load);
}

static int load_power(const struct configuration *configuration) {
    return configuration->power ? atomic_load(configuration->power) : LOAD_POWER_ON;
}

/* SQLite calls EIO of a read SQLITE_CORRUPT; FASTER's own is SQLITE_CORRUPT_VTAB. */
static bool is_of_dead_disk(int extended_code) {
    int code = extended_code & 0xff;
    return code == SQLITE_IOERR || code == SQLITE_FULL || code == SQLITE_READONLY ||
           code == SQLITE_CANTOPEN || extended_code == SQLITE_CORRUPT;
}

/* Ends the test unless the power has been cut, and the code is one of a disk that fails. Else what
 * is open is rolled back, if it can be. */
static void expect_dead_disk(struct load *load, const struct configuration *configuration,
                             uint64_t number) {
    int code = sqlite3_extended_errcode(load->db);
    bool is_cut = load_power(configuration) != LOAD_POWER_ON;
    if (!is_cut || !is_of_dead_disk(code)) {
        test_fail("transaction %llu: %s (%d)%s", (unsigned long long)number,
                  sqlite3_errmsg(load->db), code, is_cut ? " after the power cut" : "");
    }
    if (!sqlite3_get_autocommit(load->db)) {
        (void)db_run(load->db, "ROLLBACK");
    }
}

void load_run(const struct test_options *options, const struct configuration *configuration,
              uint64_t number, int pipe) {
    struct load load;
    struct operations operations = {0};
    load_start(&load, options, configuration, number);
    for (unsigned failures = 0; failures < FAILURES_MAX;) {
        int before = load_power(configuration);
        if (run_between(&load, &operations, configuration->seed, number) != SQLITE_OK ||
            run_transaction(&load, &operations, configuration->seed, number) != SQLITE_OK) {
            expect_dead_disk(&load, configuration, number);
            failures++;
            continue;
        }
        uint64_t report = number++;
        if (load_is_unsure(before, load_power(configuration))) {
            report |= LOAD_REPORT_UNSURE;
        }
        if (write(pipe, &report, sizeof report) != sizeof report) {
            _exit(1);
        }
    }
    _exit(0);
}

void load_write(const struct test_options *options, const struct configuration *configuration,
                uint64_t number, uint64_t count) {
    struct load load;
    struct operations operations = {0};
    load_start(&load, options, configuration, number);
    for (uint64_t i = 0; i < count; i++) {
        if (run_transaction(&load, &operations, configuration->seed, number + i) != SQLITE_OK) {
            expect_dead_disk(&load, configuration, number + i);
        }
    }
    operations_finish(&operations);
    load_stop(&load);
}
