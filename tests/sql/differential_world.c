/* differential_world.c - runs the steps of a differential case and compares both sides. */
#include "differential.h"

#include <stdlib.h>
#include <string.h>

static bool differs(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool differs(struct world *world, const char *format, ...) {
    va_list list;
    va_start(list, format);
    text_clear(&world->reason);
    text_add_list(&world->reason, format, list);
    va_end(list);
    return false;
}

/* ------------------------------------------------------------------ open and close */

static bool key_has_collation(const struct plan *plan) {
    for (unsigned i = 0; i < plan->key_count; i++) {
        if (strstr(plan->column[i].declaration, "COLLATE")) {
            return true;
        }
    }
    return false;
}

static sqlite3 *open_one(const struct world *world, enum side side) {
    const struct plan *plan = world->plan;
    char path[TEST_PATH_BYTES];
    bool in_file = plan->place == PLACE_FILE;
    path_format(path, "%s/main%d.db", world->directory, (int)side);
    sqlite3 *db = db_open(world->options, in_file ? path : ":memory:");
    if (key_has_collation(plan)) {
        /* SQLite 3.40 loses rows: its automatic index ignores the collation of a join. */
        db_must(db, "PRAGMA automatic_index=OFF");
    }
    if (plan->place == PLACE_ATTACHED) {
        db_must(db, "ATTACH '%s/aux%d.db' AS aux", world->directory, (int)side);
        db_must(db, "PRAGMA aux.journal_mode=%s", plan->journal_mode);
        db_must(db, "PRAGMA aux.synchronous=%s", plan->synchronous);
    } else if (in_file) {
        db_must(db, "PRAGMA journal_mode=%s", plan->journal_mode);
        db_must(db, "PRAGMA synchronous=%s", plan->synchronous);
    }
    return db;
}

static void open_databases(struct world *world) {
    world->db[SIDE_FASTER] = open_one(world, SIDE_FASTER);
    world->db[SIDE_ORDINARY] =
        world->plan->twin ? open_one(world, SIDE_ORDINARY) : world->db[SIDE_FASTER];
}

/* The column of the ordinary table u whose values suit a key or value column. */
static const char *suitable_column(enum pool pool) {
    switch (pool) {
    case POOL_TEXT:
        return "a";
    case POOL_INTEGER:
    case POOL_ROWID:
    case POOL_PLAIN_ROWID:
        return "b";
    case POOL_REAL:
        return "x";
    case POOL_BLOB:
    case POOL_ANY:
        break;
    }
    return "c";
}

static void add_key_match(struct text *sql, const struct plan *plan, const char *row) {
    if (plan->key_count == 0) {
        text_add(sql, "v IS %s.c", row);
    }
    for (unsigned i = 0; i < plan->key_count; i++) {
        text_add(sql, "%s%s = %s.%s", i ? " AND " : "", plan->column[i].name, row,
                 suitable_column(plan->column[i].pool));
    }
}

/* The body's statement for one table of a trigger on u. */
static void add_trigger_statement(struct text *sql, const struct plan *plan, const char *name,
                                  int event) {
    const char *value = plan->column[plan->key_count].name;
    if (event == 0) {
        text_add(sql, " INSERT INTO %s VALUES(", name);
        for (unsigned i = 0; i < plan->column_count; i++) {
            const struct column *column = &plan->column[i];
            const char *form = column->has_default ? "%scoalesce(NEW.%s, 0)"
                               : column->pool == POOL_ROWID
                                   ? "%siif(NEW.%s NOT BETWEEN -1e15 AND 1e9, 5, NEW.b)"
                                   : "%sNEW.%s";
            text_add(sql, form, i ? "," : "", suitable_column(column->pool));
        }
        text_add(sql, ");");
    } else if (event == 1) {
        text_add(sql, " UPDATE %s SET %s = NEW.c WHERE ", name, value);
        add_key_match(sql, plan, "OLD");
        text_add(sql, ";");
    } else {
        text_add(sql, " DELETE FROM %s WHERE ", name);
        add_key_match(sql, plan, "OLD");
        text_add(sql, ";");
    }
}

static void create_triggers(const struct world *world, sqlite3 *db, const char *const name[2],
                            int names) {
    static const char *const events[] = {"INSERT", "UPDATE OF c", "DELETE"};
    const char *prefix = plan_prefix(world->plan);
    for (int event = 0; event < 3; event++) {
        struct text sql = {0};
        text_add(&sql, "CREATE TRIGGER %safter_%d AFTER %s ON u BEGIN", prefix, event,
                 events[event]);
        for (int i = 0; i < names; i++) {
            add_trigger_statement(&sql, world->plan, name[i], event);
        }
        text_add(&sql, " END");
        db_must(db, "%s", sql.data);
        text_finish(&sql);
    }
    db_must(db,
            "CREATE TRIGGER %srefuse BEFORE INSERT ON u BEGIN"
            " SELECT CASE NEW.b WHEN 13 THEN RAISE(IGNORE) WHEN 17 THEN RAISE(ABORT, 'refused')"
            " WHEN 19 THEN RAISE(FAIL, 'stopped') END; END",
            prefix);
}

static void fill_ordinary(const struct world *world, sqlite3 *db) {
    const char *prefix = plan_prefix(world->plan);
    struct random_state random = random_of(world->plan->seed, world->plan->number * 2 + 1);
    static const enum pool pools[] = {POOL_TEXT, POOL_INTEGER, POOL_ANY, POOL_TEXT, POOL_REAL};
    db_must(db,
            "CREATE TABLE %su(id INTEGER PRIMARY KEY, a TEXT, b INTEGER, c,"
            " e TEXT COLLATE NOCASE, x REAL)",
            prefix);
    for (int i = 0; i < 24; i++) {
        struct text sql = {0};
        text_add(&sql, "INSERT INTO %su VALUES(NULL", prefix);
        for (int column = 0; column < 5; column++) {
            text_add(&sql, ", ");
            literal_add(&sql, &random, pools[column], true);
        }
        text_add(&sql, ")");
        db_must(db, "%s", sql.data);
        text_finish(&sql);
    }
}

static void create_tables(struct world *world) {
    const struct plan *plan = world->plan;
    const char *names[2] = {plan->twin ? "t" : "f", plan->twin ? "t" : "r"};
    for (int side = 0; side < 2; side++) {
        sqlite3 *db = world->db[side];
        char name[64];
        struct text sql = {0};
        sqlite3_snprintf(sizeof name, name, "%s%s", plan_prefix(plan), names[side]);
        plan_create_sql(&sql, world->options, plan, (enum side)side, name);
        db_must(db, "%s", sql.data);
        text_finish(&sql);
    }
    for (int side = 0; side < (plan->twin ? 2 : 1); side++) {
        fill_ordinary(world, world->db[side]);
        if (plan->number % 4 != 0) {
            create_triggers(world, world->db[side], names, plan->twin ? 1 : 2);
        }
    }
}

void world_open(struct world *world, const struct test_options *options, const struct plan *plan) {
    memset(world, 0, sizeof *world);
    world->options = options;
    world->plan = plan;
    directory_make(world->directory, "differential");
    open_databases(world);
    create_tables(world);
}

static void reader_close(struct reader *reader) {
    for (int side = 0; side < 2; side++) {
        rows_clear(&reader->seen[side]);
        if (reader->db[side] && (side == 0 || reader->db[1] != reader->db[0])) {
            db_run(reader->db[side], "ROLLBACK");
        }
    }
    reader->open = false;
}

static void close_databases(struct world *world) {
    for (int i = 0; i < READER_COUNT; i++) {
        struct reader *reader = &world->reader[i];
        reader_close(reader);
        if (reader->db[1] != reader->db[0]) {
            db_close(reader->db[1]);
        }
        db_close(reader->db[0]);
        reader->db[0] = reader->db[1] = NULL;
    }
    if (world->db[1] != world->db[0]) {
        db_close(world->db[1]);
    }
    db_close(world->db[0]);
    world->db[0] = world->db[1] = NULL;
}

void world_close(struct world *world) {
    close_databases(world);
    directory_remove(world->directory);
    text_finish(&world->reason);
}

int world_table_name(const struct world *world, sqlite3 *db, enum side side, char name[40]) {
    const char *base = world->plan->twin ? "t" : side == SIDE_FASTER ? "f" : "r";
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT name FROM %s WHERE type='table' AND name IN (%Q, '%s_b')",
                                plan_schema_table(world->plan), base, base);
    name[0] = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        sqlite3_snprintf(40, name, "%s", sqlite3_column_text(statement, 0));
    }
    int code = sqlite3_finalize(statement) & 0xff;
    sqlite3_free(sql);
    return code;
}

/* ------------------------------------------------------------------------ compare */

static bool compare_rows(struct world *world, const char *what, struct rows rows[2], bool ordered) {
    if (rows[0].code != rows[1].code) {
        return differs(world, "%s: FASTER returns %d (%s), ordinary %d (%s)", what,
                       rows[0].extended_code, rows[0].message, rows[1].extended_code,
                       rows[1].message);
    }
    if (!ordered || rows[0].code != SQLITE_OK) {
        rows_sort(&rows[0]);
        rows_sort(&rows[1]);
    }
    long index = rows[0].code == SQLITE_OK ? rows_difference(&rows[0], &rows[1]) : -1;
    if (index >= 0) {
        return differs(world, "%s: row %ld of %zu and %zu: FASTER %.400s, ordinary %.400s", what,
                       index, rows[0].count, rows[1].count, rows_at(&rows[0], index),
                       rows_at(&rows[1], index));
    }
    return true;
}

/* Reads all of a side's table; a missing table gives no rows and code OK. */
static void read_all(const struct world *world, sqlite3 *db, enum side side, struct rows *rows) {
    char name[40];
    int code = world_table_name(world, db, side, name);
    if (code != SQLITE_OK) {
        rows_clear(rows);
        rows->code = code;
        return;
    }
    struct text sql = {0};
    const char *rowid = world->plan->kind == KEY_IMPLICIT_ROWID ? "rowid, " : "";
    text_add(&sql, "SELECT %s* FROM %s%s", rowid, plan_prefix(world->plan), name);
    rows_run(rows, db, *name ? sql.data : "SELECT 'no table'");
    text_finish(&sql);
}

static bool verify_store(struct world *world) {
    char name[40];
    world_table_name(world, world->db[0], SIDE_FASTER, name);
    if (world->options->self || *name == 0 || !sqlite3_get_autocommit(world->db[0])) {
        return true;
    }
    struct text sql = {0};
    struct rows rows = {0};
    text_add(&sql, "SELECT faster_verify('%s%s')", plan_prefix(world->plan), name);
    rows_run(&rows, world->db[0], sql.data);
    bool fine = rows.code == SQLITE_BUSY ||
                (rows.code == SQLITE_OK && strcmp(rows_at(&rows, 0), "text:ok") == 0);
    if (!fine) {
        differs(world, "faster_verify: %d %s %s", rows.code, rows.message, rows_at(&rows, 0));
    }
    rows_clear(&rows);
    text_finish(&sql);
    return fine;
}

static bool check_content(struct world *world) {
    struct rows rows[2] = {{0}, {0}};
    for (int side = 0; side < 2; side++) {
        read_all(world, world->db[side], (enum side)side, &rows[side]);
    }
    bool same = compare_rows(world, "whole table", rows, false);
    if (same && world->plan->twin) {
        struct text sql = {0};
        text_add(&sql, "SELECT * FROM %su", plan_prefix(world->plan));
        for (int side = 0; side < 2; side++) {
            rows_run(&rows[side], world->db[side], sql.data);
        }
        same = compare_rows(world, "the ordinary table u", rows, false);
        text_finish(&sql);
    }
    rows_clear(&rows[0]);
    rows_clear(&rows[1]);
    return same && (world->statements % 4 || verify_store(world));
}

/* ------------------------------------------------------------------------ readers */

static void reader_connect(struct world *world, struct reader *reader) {
    if (reader->db[0] == NULL) {
        reader->db[0] = open_one(world, SIDE_FASTER);
        reader->db[1] = world->plan->twin ? open_one(world, SIDE_ORDINARY) : reader->db[0];
    }
}

static bool reader_open(struct world *world, struct reader *reader) {
    reader_connect(world, reader);
    for (int side = 0; side < 2; side++) {
        if (side == 0 || world->plan->twin) {
            db_must(reader->db[side], "BEGIN");
        }
        read_all(world, reader->db[side], (enum side)side, &reader->seen[side]);
    }
    if (!compare_rows(world, "opening a snapshot", reader->seen, false)) {
        return false;
    }
    reader->open = reader->seen[0].code == SQLITE_OK;
    reader->checkpoints = world->checkpoints;
    if (!reader->open) {
        reader_close(reader);
    }
    return true;
}

/* A checkpoint may reclaim what only an old snapshot shows: it then ends with an error that
 * says so, never with other rows. */
static bool snapshot_gone(struct world *world, const struct reader *reader,
                          const struct rows *rows) {
    return rows->extended_code == SQLITE_BUSY_SNAPSHOT && world->checkpoints > reader->checkpoints;
}

static bool reader_check(struct world *world, struct reader *reader) {
    bool same = true;
    for (int side = 0; side < 2 && same; side++) {
        struct rows again[2] = {{0}, {0}};
        read_all(world, reader->db[side], (enum side)side, &again[0]);
        if (side == SIDE_FASTER && snapshot_gone(world, reader, &again[0])) {
            rows_clear(&again[0]);
            reader_close(reader);
            world->snapshots_gone++;
            return true;
        }
        again[1] = reader->seen[side];
        same = compare_rows(world,
                            side == SIDE_FASTER ? "FASTER snapshot read twice (now, before)"
                                                : "ordinary snapshot read twice",
                            again, false);
        rows_clear(&again[0]);
    }
    return same;
}

/* ------------------------------------------------------------------------- steps */

static bool run_each(struct world *world, const struct step *step) {
    struct rows rows[2] = {{0}, {0}};
    int changes[2];
    sqlite3_int64 rowid[2];
    bool twin = world->plan->twin;
    bool was_open = !sqlite3_get_autocommit(world->db[0]);
    if (step->rolls_back_all && was_open && !twin) {
        return true;
    }
    sqlite3_int64 rowid_before = sqlite3_last_insert_rowid(world->db[0]);
    for (int side = 0; side < 2; side++) {
        if (!twin) {
            sqlite3_set_last_insert_rowid(world->db[side], rowid_before);
        }
        rows_run(&rows[side], world->db[side], step->sql[side]);
        changes[side] = sqlite3_changes(world->db[side]);
        rowid[side] = sqlite3_last_insert_rowid(world->db[side]);
    }
    bool same = compare_rows(world, "result", rows, step->ordered);
    int code = rows[0].code;
    rows_clear(&rows[0]);
    rows_clear(&rows[1]);
    if (same && step->changes_rows && (code == SQLITE_OK || code == SQLITE_CONSTRAINT)) {
        if (changes[0] != changes[1]) {
            same = differs(world, "changes(): FASTER %d, ordinary %d", changes[0], changes[1]);
        } else if (rowid[0] != rowid[1]) {
            same = differs(world, "last_insert_rowid(): FASTER %lld, ordinary %lld", rowid[0],
                           rowid[1]);
        }
    }
    if (same && twin &&
        sqlite3_get_autocommit(world->db[0]) != sqlite3_get_autocommit(world->db[1])) {
        same = differs(world, "one side has left its transaction");
    }
    return same;
}

static bool run_once(struct world *world, const struct step *step) {
    if (world->plan->twin) {
        return run_each(world, step);
    }
    struct rows rows = {0};
    rows_run(&rows, world->db[0], step->sql[0]);
    int code = rows.code;
    bool fine = code != SQLITE_CORRUPT && code != SQLITE_INTERNAL && code != SQLITE_MISUSE &&
                code != SQLITE_IOERR && code != SQLITE_NOMEM;
    if (!fine) {
        differs(world, "code %d: %s", rows.extended_code, rows.message);
    }
    rows_clear(&rows);
    return fine;
}

static bool run_command(struct world *world, const struct step *step) {
    if (world->options->self) {
        return true;
    }
    /* It deletes rows of the shadow table: beside a reader, in a rollback mode, the COMMIT that
     * follows would be BUSY on this side only. */
    if (world->plan->twin && !sqlite3_get_autocommit(world->db[0])) {
        return true;
    }
    sqlite3_int64 before = sqlite3_last_insert_rowid(world->db[0]);
    struct rows rows = {0};
    world->checkpoints++;
    rows_run(&rows, world->db[0], step->sql[0]);
    bool fine = rows.code == SQLITE_OK || rows.code == SQLITE_BUSY || rows.code == SQLITE_LOCKED ||
                (rows.code == SQLITE_ERROR && strstr(rows.message, "no such table") != NULL);
    if (!fine) {
        differs(world, "command: code %d: %s", rows.extended_code, rows.message);
    } else if (sqlite3_last_insert_rowid(world->db[0]) != before) {
        fine = differs(world, "a command changed last_insert_rowid()");
    }
    rows_clear(&rows);
    return fine;
}

/* A statement that failed in its middle: the direct table keeps what it has written, and gets what
 * the ordinary one has. */
static void equalise(struct world *world) {
    sqlite3 *db = world->db[0];
    const char *prefix = plan_prefix(world->plan);
    char names[2][40];
    for (int side = 0; side < 2; side++) {
        world_table_name(world, db, (enum side)side, names[side]);
    }
    if (names[SIDE_FASTER][0] == 0 || names[SIDE_ORDINARY][0] == 0) {
        return;
    }
    db_must(db, "DELETE FROM %s%s", prefix, names[SIDE_FASTER]);
    struct rows rows = {0};
    struct text sql = {0};
    text_add(&sql, "INSERT INTO %s%s SELECT * FROM %s%s", prefix, names[SIDE_FASTER], prefix,
             names[SIDE_ORDINARY]);
    rows_run(&rows, db, sql.data);
    /* A NULL becomes the default: then the next UPDATE makes it one again. */
    rows_clear(&rows);
    text_finish(&sql);
    for (unsigned i = 0; i < world->plan->column_count; i++) {
        const struct column *column = &world->plan->column[i];
        struct text match = {0};
        for (unsigned k = 0; k < world->plan->key_count; k++) {
            const char *key = world->plan->column[k].name;
            text_add(&match, "%s%s%s.%s IS t.%s", k ? " AND " : "", prefix, names[SIDE_FASTER], key,
                     key);
        }
        if (column->has_default && !column->not_null) {
            db_must(db, "UPDATE %s%s SET %s = NULL FROM %s%s AS t WHERE t.%s IS NULL AND %s",
                    prefix, names[SIDE_FASTER], column->name, prefix, names[SIDE_ORDINARY],
                    column->name, match.data);
        }
        text_finish(&match);
    }
}

static bool run_step(struct world *world, const struct step *step);

/* What SQLite undoes of an ordinary table stays in a direct one. */
bool world_step(struct world *world, const struct step *step) {
    bool same = run_step(world, step);
    bool writes = step->kind == STEP_EACH || step->kind == STEP_ONCE;
    if (same && writes && world->plan->direct && sqlite3_errcode(world->db[0]) != SQLITE_OK) {
        equalise(world);
    }
    return same;
}

static bool run_step(struct world *world, const struct step *step) {
    struct reader *reader = &world->reader[step->reader];
    world->statements++;
    switch (step->kind) {
    case STEP_EACH:
        return run_each(world, step);
    case STEP_ONCE:
        return run_once(world, step);
    case STEP_COMMAND:
        return run_command(world, step);
    case STEP_CHECK:
        return check_content(world);
    case STEP_READER_OPEN:
        return reader->open ? reader_check(world, reader) : reader_open(world, reader);
    case STEP_READER_CHECK:
        return !reader->open || reader_check(world, reader);
    case STEP_READER_CLOSE:
        reader_close(reader);
        return true;
    case STEP_REOPEN:
        close_databases(world);
        open_databases(world);
        return check_content(world);
    }
    return true;
}
