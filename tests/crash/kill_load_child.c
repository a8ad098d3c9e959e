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

struct load {
    sqlite3 *db;
    bool self;
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

static void run_statement(struct load *load, sqlite3_stmt *statement,
                          const struct operation *operation) {
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
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    }
    if (code != SQLITE_DONE) {
        test_fail("%s: %s (%d)", sqlite3_sql(statement), sqlite3_errmsg(load->db),
                  sqlite3_extended_errcode(load->db));
    }
    sqlite3_reset(statement);
}

static void run_operations(struct load *load, const struct operations *operations) {
    static const char *const savepoints[] = {"SAVEPOINT", "ROLLBACK TO", "RELEASE"};
    for (size_t i = 0; i < operations->count; i++) {
        const struct operation *operation = &operations->operation[i];
        if (operation->kind >= OPERATION_SAVEPOINT) {
            db_must(load->db, "%s s%d", savepoints[operation->kind - OPERATION_SAVEPOINT],
                    (int)operation->amount);
            continue;
        }
        bool command = operation->kind == OPERATION_COUNTER && operation->tag % 2;
        run_statement(load, command ? load->add_command : load->statement[operation->kind][0],
                      operation);
        run_statement(load, load->statement[operation->kind][1], operation);
    }
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

void load_run(const struct test_options *options, const struct configuration *configuration,
              uint64_t number, int pipe) {
    struct load load = {.db = load_open(options, configuration), .self = options->self};
    struct operations operations = {0};
    struct random_state random = random_of(configuration->seed, UINT64_MAX - number);
    bool wal = strcmp(configuration->journal_mode, "WAL") == 0;
    sqlite3 *reader = wal ? load_open(options, configuration) : NULL;
    char *seen = NULL;
    prepare_all(&load);
    for (;; number++) {
        if (random_percent(&random, 10)) {
            operations_make(&operations, configuration->seed, number, true);
            db_must(load.db, "BEGIN");
            run_operations(&load, &operations);
            db_must(load.db, "ROLLBACK");
        }
        if (random_percent(&random, 3) && !options->self) {
            db_must(load.db, "INSERT INTO f(f) VALUES ('checkpoint')");
        }
        if (reader && random_percent(&random, 4)) {
            watch_snapshot(reader, &seen);
        }
        operations_make(&operations, configuration->seed, number, false);
        db_must(load.db, "BEGIN");
        run_operations(&load, &operations);
        db_must(load.db, "UPDATE f SET n = %llu WHERE key = '#'", (unsigned long long)number);
        db_must(load.db, "UPDATE o SET n = %llu WHERE key = '#'", (unsigned long long)number);
        db_must(load.db, "COMMIT");
        if (write(pipe, &number, sizeof number) != sizeof number) {
            _exit(1);
        }
    }
}
