/* module_queries.c - what reaches which rows. */
#include "module.h"

static void lookups_that_ask_for_the_rowid_only(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE r USING faster(x, id INTEGER PRIMARY KEY, y)");
    db_must(db, "INSERT INTO r VALUES('a', 3, 'b'), ('c', -4, 'd'), ('e', 5, 'f')");
    want(db, "-4|-4 3|3", "SELECT id, rowid FROM r WHERE id IN (3, -4, 9) ORDER BY id");
    want(db, "2", "SELECT count(*) FROM r WHERE rowid IN (5, 3, 8)");
    want(db, "3|b", "SELECT id, y FROM r WHERE rowid = 3");
    want(db, "1", "SELECT EXISTS (SELECT 1 FROM r WHERE id = 5)");
    db_must(db, "DELETE FROM r WHERE id = 3");
    db_must(db, "UPDATE r SET x = 'g', id = id + 1 WHERE id IN (5, 3)");
    want(db, "-4|c|d 6|g|f", "SELECT id, x, y FROM r ORDER BY id");
    db_close(db);
}

static void in_list_of_many_keys(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(k INTEGER PRIMARY KEY, v, memory='1MiB', "
                "page_size='16KiB')");
    db_must(db, "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
                "INSERT INTO f SELECT i, hex(zeroblob(250)) FROM n");
    want(db, "500|250000",
         "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
         "SELECT count(*), sum(length(v)) FROM f WHERE k IN (SELECT i * 10 FROM n)");
    db_close(db);
}

/* "c0<separator>c1<separator>...", each with what follows its name. */
static void add_columns(struct text *text, int count, const char *after, const char *separator) {
    for (int i = 0; i < count; i++) {
        text_add(text, "%sc%d%s", i > 0 ? separator : "", i, after);
    }
}

static sqlite3 *open_wide(const struct world *world, int column_count, const char *type) {
    sqlite3 *db = open_at(world);
    struct text sql = {0};
    text_add(&sql, "CREATE VIRTUAL TABLE f USING faster(");
    add_columns(&sql, column_count, type, ", ");
    text_add(&sql, ", v, PRIMARY KEY(");
    add_columns(&sql, column_count, "", ", ");
    text_add(&sql, ")); INSERT INTO f VALUES(");
    for (int i = 0; i < column_count; i++) {
        text_add(&sql, "1, ");
    }
    text_add(&sql, "9)");
    db_must(db, "%s", sql.data);
    text_finish(&sql);
    return db;
}

/* SQLite hands over whole lists only for the first constraints of a query, and a plan has bits for
 * a limited number of them. */
static void lists_on_keys_of_many_columns(struct world *world) {
    static const int counts[] = {31, 32, 33, 40, 64, 65, 100};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct text sql = {0};
        path_format(world->path, "%s/wide%d.db", world->directory, counts[i]);
        sqlite3 *db = open_wide(world, counts[i], "");
        text_add(&sql, "SELECT v FROM f WHERE c0 IN (1, 2) AND ");
        add_columns(&sql, counts[i], " = 1", " AND ");
        want(db, "9", sql.data);
        text_finish(&sql);
        sql = (struct text){0};
        text_add(&sql, "SELECT v FROM f WHERE ");
        add_columns(&sql, counts[i], " IN (1, 2)", " AND ");
        want(db, "9", sql.data);
        text_finish(&sql);
        db_close(db);
    }
}

/* Values that SQLite would offer one by one lose the affinity of where they come from. */
static void list_behind_many_constraints(struct world *world) {
    sqlite3 *db = open_at(world);
    struct text sql = {0};
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(k TEXT PRIMARY KEY, v); "
                "INSERT INTO f VALUES('1.0', 9); CREATE TABLE o(i INTEGER); "
                "INSERT INTO o VALUES(1)");
    text_add(&sql, "SELECT v FROM f WHERE ");
    for (int i = 0; i < 40; i++) {
        text_add(&sql, "v >= %d AND ", -i);
    }
    text_add(&sql, "k IN (SELECT i FROM o)");
    want(db, "9", sql.data);
    text_finish(&sql);
    db_close(db);
}

/* As with an ordinary table; it moved the row to rowid 0 once. */
static void rowid_cannot_become_null(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE f USING faster(a); INSERT INTO f VALUES(1), (2), (3); "
                "CREATE VIRTUAL TABLE g USING faster(id INTEGER PRIMARY KEY, a); "
                "INSERT INTO g(a) VALUES(1), (2), (3)");
    refused(db, SQLITE_MISMATCH, "datatype mismatch", "UPDATE OR REPLACE f SET rowid = NULL");
    refused(db, SQLITE_MISMATCH, "datatype mismatch", "UPDATE f SET rowid = NULL WHERE a = 2");
    refused(db, SQLITE_MISMATCH, "datatype mismatch", "UPDATE g SET rowid = NULL WHERE a = 3");
    refused(db, SQLITE_MISMATCH, "datatype mismatch", "UPDATE g SET id = NULL WHERE a = 3");
    want(db, "1|1 2|2 3|3", "SELECT rowid, a FROM f ORDER BY 1");
    want(db, "1|1 2|2 3|3", "SELECT id, a FROM g ORDER BY 1");
    db_close(db);
}

/* A lowered bound in the commit row must not make a chosen rowid overwrite a row. */
static void lowered_rowid_bound_overwrites_nothing(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster(id INTEGER PRIMARY KEY, v);"
                "INSERT INTO t(v) VALUES ('a'), ('b'), ('c')");
    db_must(db, "UPDATE t_log SET max_rowid = 1");
    db_close(db);
    db = open_at(world);
    refused(db, SQLITE_CORRUPT_VTAB, "rowid", "INSERT OR REPLACE INTO t(v) VALUES ('d')");
    want_int(db, 1, "SELECT v = 'b' FROM t WHERE id = 2");
    db_close(db);
}

/* The limit that README tells: SQLite itself answers RETURNING, before the module sees the row. */
static void returning_gives_what_was_supplied(struct world *world) {
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE t USING faster(id INTEGER PRIMARY KEY, v DEFAULT 'd', w)");
    want_int(db, 1, "INSERT INTO t(w) VALUES (3) RETURNING id IS NULL AND v IS NULL AND w = 3");
    want_int(db, 1, "SELECT id = last_insert_rowid() AND v = 'd' AND w = 3 FROM t");
    db_close(db);
}

/* Gives its argument back, interrupted. */
static void interrupting(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    sqlite3_interrupt(sqlite3_context_db_handle(context));
    sqlite3_result_value(context, values[0]);
}

/* The scan that tells what a direct table's keys are like can be interrupted, and is made again. */
static void survey_can_be_interrupted(struct world *world) {
    static const char *const rows = "WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT "
                                    "3000) INSERT INTO %s SELECT i, i FROM c";
    sqlite3 *db = open_at(world);
    db_must(db, "CREATE VIRTUAL TABLE n USING faster(k INTEGER PRIMARY KEY, v, writes='direct'); "
                "CREATE VIRTUAL TABLE d USING faster(k PRIMARY KEY, v, writes='direct')");
    db_must(db, rows, "n");
    db_must(db, rows, "d");
    db_close(db);
    db = open_at(world);
    (void)sqlite3_create_function(db, "interrupting", 1, SQLITE_UTF8, NULL, interrupting, NULL,
                                  NULL);
    want(db, "1|1", "SELECT faster_get('n', 1), faster_get('d', 1)"); /* opens the stores */
    refused(db, SQLITE_INTERRUPT, "interrupted", "INSERT INTO n(v) VALUES(interrupting('x'))");
    refused(db, SQLITE_INTERRUPT, "interrupted", "SELECT v FROM d WHERE k = interrupting(7)");
    db_must(db, "INSERT INTO n(v) VALUES('x')");
    want(db, "3001|x", "SELECT * FROM n WHERE k > 3000");
    want(db, "7", "SELECT v FROM d WHERE k = 7");
    db_close(db);
}

const struct module_case module_queries[] = {
    {"lookups_that_ask_for_the_rowid_only", lookups_that_ask_for_the_rowid_only},
    {"in_list_of_many_keys", in_list_of_many_keys},
    {"lists_on_keys_of_many_columns", lists_on_keys_of_many_columns},
    {"list_behind_many_constraints", list_behind_many_constraints},
    {"rowid_cannot_become_null", rowid_cannot_become_null},
    {"lowered_rowid_bound_overwrites_nothing", lowered_rowid_bound_overwrites_nothing},
    {"returning_gives_what_was_supplied", returning_gives_what_was_supplied},
    {"survey_can_be_interrupted", survey_can_be_interrupted},
    {NULL, NULL},
};
