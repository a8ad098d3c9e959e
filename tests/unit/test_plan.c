/* test_plan.c - plans against SQLite itself (codec_oracle.h).
 *
 * Invariant: a plan's lookups never miss a row the oracle finds, and on numeric keys find no other.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "codec_oracle.h"
#include "sql/plan.h"

#define PROBE_COUNT 40000

/* Set by probe(). */
static enum key_text probe_text;
static enum plan_answer probe_answer;
static struct key_list probe_keys;

/* probe(key values...): 0; the answer is in the variables. */
static void probe_function(sqlite3_context *context, int count, sqlite3_value **values) {
    int before[4];
    key_list_clear(&probe_keys, SIZE_MAX);
    for (int i = 0; i < count; i++) {
        before[i] = sqlite3_value_type(values[i]);
    }
    cr_assert_eq(plan_probe(codec_schema, values, probe_text, &probe_keys, &probe_answer),
                 SQLITE_OK);
    for (int i = 0; i < count; i++) {
        cr_assert_eq(sqlite3_value_type(values[i]), before[i]);
    }
    key_list_unique(&probe_keys);
    sqlite3_result_int(context, 0);
}

static void add_functions(sqlite3 *db) {
    codec_add_encode(db);
    sqlite3_create_function(db, "probe", -1, SQLITE_UTF8, NULL, probe_function, NULL, NULL);
}

static bool probe_contains(const void *key, size_t size) {
    for (size_t i = 0; i < probe_keys.count; i++) {
        struct faster_bytes bytes = key_list_at(&probe_keys, i);
        if (bytes.size_bytes == size && memcmp(bytes.data, key, size) == 0) {
            return true;
        }
    }
    return false;
}

static enum key_text text_of_key(const struct sample *key, enum schema_affinity affinity) {
    sqlite3 *db = oracle_open();
    sqlite3_stmt *statement = oracle_prepare(db, "SELECT ?");
    sample_bind(statement, 1, key);
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    sqlite3_value *value = sqlite3_value_dup(sqlite3_column_value(statement, 0));
    struct row_scalar scalar;
    cr_assert_eq(row_scalar_from_value(value, affinity, &scalar), SQLITE_OK);
    enum key_text text = key_text_of(&scalar, 1);
    row_scalar_finish(&scalar);
    sqlite3_value_free(value);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return text;
}

/* The oracle's answer to `k = x`, where x is a column or a parameter. */
static bool oracle_matches(sqlite3_stmt *match, const struct sample *right, bool is_parameter) {
    if (is_parameter) {
        sample_bind(match, 1, right);
    }
    cr_assert_eq(sqlite3_step(match), SQLITE_ROW);
    bool matches = sqlite3_column_int(match, 0) != 0;
    sqlite3_reset(match);
    return matches;
}

static void bind_and_run(sqlite3 *db, const char *sql, const struct sample *sample) {
    sqlite3_stmt *statement = oracle_prepare(db, sql);
    sample_bind(statement, 1, sample);
    int rc = sqlite3_step(statement);
    cr_assert(rc == SQLITE_DONE || rc == SQLITE_ROW);
    sqlite3_finalize(statement);
}

struct probe_counts {
    int match, exact, all;
};

/* What is looked up in such a key column is not compared again. */
static bool is_numeric(enum schema_affinity affinity) {
    return affinity != SCHEMA_TEXT && affinity != SCHEMA_BLOB;
}

static void check_probe(sqlite3 *db, bool is_parameter, struct probe_counts *counts) {
    struct sample key = sample_any(false);
    struct sample right = sample_relative(key);
    if (samples_below(20) == 0) {
        right.type = SQLITE_NULL;
    }
    oracle_run(db, "DELETE FROM o; DELETE FROM r");
    bind_and_run(db, "INSERT INTO o VALUES (?)", &key);
    bind_and_run(db, "INSERT INTO r VALUES (?)", &right);
    sqlite3_stmt *match =
        oracle_prepare(db, is_parameter ? "SELECT count(*) FROM o WHERE k = ?"
                                        : "SELECT count(*) FROM o, r WHERE k = x");
    bool matches = oracle_matches(match, &right, is_parameter);
    sqlite3_finalize(match);

    probe_text = text_of_key(&key, codec_schema->columns[0].affinity);
    bind_and_run(db,
                 is_parameter ? "SELECT probe(?)" : "SELECT probe(x) FROM r WHERE ? IS NOT 7.25",
                 &right);
    sqlite3_stmt *encode = oracle_prepare(db, "SELECT encode(k) FROM o");
    cr_assert_eq(sqlite3_step(encode), SQLITE_ROW);
    bool found =
        probe_contains(sqlite3_column_blob(encode, 0), (size_t)sqlite3_column_bytes(encode, 0));
    sqlite3_finalize(encode);
    cr_assert(!matches || probe_answer == PLAN_ALL || (probe_answer == PLAN_EXACT && found),
              "key %s of affinity %d, right side %s, parameter %d: answer %d", sample_show(&key),
              codec_schema->columns[0].affinity, sample_show(&right), is_parameter, probe_answer);
    cr_assert(!found || matches || !is_numeric(codec_schema->columns[0].affinity),
              "key %s of affinity %d is found for %s, parameter %d", sample_show(&key),
              codec_schema->columns[0].affinity, sample_show(&right), is_parameter);
    cr_assert(probe_answer == PLAN_EXACT ? probe_keys.count > 0 : probe_keys.count == 0);
    counts->match += matches;
    counts->exact += probe_answer == PLAN_EXACT;
    counts->all += probe_answer == PLAN_ALL;
}

Test(plan, probe_of_random_values_misses_no_match, .timeout = 300) {
    sqlite3 *db = oracle_open();
    add_functions(db);
    samples_seed();
    struct probe_counts counts = {0};
    for (unsigned i = 0; i < 75; i++) {
        const char *definition = oracle_key_definition(i % 5, i / 5 % 3, "k");
        char key[128];
        char sql[256];
        snprintf(key, sizeof key, "%s PRIMARY KEY DESC", definition);
        struct table_schema schema = oracle_schema(key, NULL, NULL);
        codec_schema = &schema;
        snprintf(sql, sizeof sql,
                 "DROP TABLE IF EXISTS o; DROP TABLE IF EXISTS r; CREATE TABLE r(x %s);"
                 "CREATE TABLE o(%s PRIMARY KEY) WITHOUT ROWID",
                 oracle_types[i / 15], definition);
        oracle_run(db, sql);
        for (int n = 0; n < PROBE_COUNT / 75; n++) {
            check_probe(db, n % 2 == 0, &counts);
        }
        schema_finish(&schema);
    }
    key_list_finish(&probe_keys);
    cr_expect_gt(counts.match, PROBE_COUNT / 10);
    cr_expect_gt(counts.exact, PROBE_COUNT / 2);
    cr_expect_lt(counts.all, PROBE_COUNT / 5);
    sqlite3_close(db);
}

static void probe_one(sqlite3 *db, const char *sql, enum key_text text) {
    probe_text = text;
    oracle_run(db, sql);
}

Test(plan, probe_answers_by_value_and_by_text_among_the_keys) {
    sqlite3 *db = oracle_open();
    add_functions(db);
    struct table_schema schema = oracle_schema("k PRIMARY KEY", NULL, NULL);
    codec_schema = &schema;
    probe_one(db, "SELECT probe(42)", KEY_TEXT_PLAIN);
    cr_expect(probe_answer == PLAN_EXACT && probe_keys.count == 1);
    probe_one(db, "SELECT probe(42)", KEY_TEXT_CANONICAL);
    cr_expect(probe_answer == PLAN_EXACT && probe_keys.count == 2);
    probe_one(db, "SELECT probe(42)", KEY_TEXT_ANY);
    cr_expect_eq(probe_answer, PLAN_ALL);
    probe_one(db, "SELECT probe('042')", KEY_TEXT_ANY);
    cr_expect(probe_answer == PLAN_EXACT && probe_keys.count == 1);
    probe_one(db, "SELECT probe(NULL)", KEY_TEXT_ANY);
    cr_expect_eq(probe_answer, PLAN_NONE);
    probe_one(db, "SELECT probe(zeroblob(70000))", KEY_TEXT_ANY);
    cr_expect_eq(probe_answer, PLAN_NONE);
    schema_finish(&schema);

    schema = oracle_schema("id INTEGER PRIMARY KEY", NULL, NULL);
    probe_one(db, "SELECT probe('7')", KEY_TEXT_ANY);
    cr_expect(probe_answer == PLAN_EXACT && probe_keys.count == 1);
    probe_one(db, "SELECT probe(7.5)", KEY_TEXT_ANY);
    cr_expect_eq(probe_answer, PLAN_NONE);
    probe_one(db, "SELECT probe('x')", KEY_TEXT_ANY);
    cr_expect_eq(probe_answer, PLAN_NONE);
    schema_finish(&schema);

    schema = oracle_schema("a", "b TEXT", "PRIMARY KEY (a, b)");
    probe_one(db, "SELECT probe(1, 2.0)", KEY_TEXT_CANONICAL);
    cr_expect(probe_answer == PLAN_EXACT && probe_keys.count == 4);
    probe_one(db, "SELECT probe(1, NULL)", KEY_TEXT_ANY);
    cr_expect_eq(probe_answer, PLAN_NONE);
    schema_finish(&schema);
    key_list_finish(&probe_keys);
    sqlite3_close(db);
}
