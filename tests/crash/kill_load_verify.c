/* kill_load_verify.c - after a kill: both tables against the model, in a fresh process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kill_load.h"

static sqlite3_stmt *select_all(sqlite3 *db, const char *table) {
    sqlite3_stmt *statement = NULL;
    char sql[120];
    snprintf(sql, sizeof sql, "SELECT key, value, n FROM %s WHERE key <> '#' ORDER BY key", table);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
        test_fail("%s: %s", sql, sqlite3_errmsg(db));
    }
    return statement;
}

static bool row_matches(sqlite3_stmt *statement, const struct model *model, uint32_t key) {
    char name[16];
    char value[VALUE_BYTES_MAX];
    size_t size = value_of_tag(model->entry[key].tag, value);
    snprintf(name, sizeof name, "k%05u", key);
    return strcmp((const char *)sqlite3_column_text(statement, 0), name) == 0 &&
           (size_t)sqlite3_column_bytes(statement, 1) == size &&
           (size == 0 || memcmp(sqlite3_column_text(statement, 1), value, size) == 0) &&
           sqlite3_column_int64(statement, 2) == model->entry[key].n;
}

static void compare_table(sqlite3 *db, const char *table, const struct model *model) {
    sqlite3_stmt *statement = select_all(db, table);
    int code = SQLITE_DONE;
    for (uint32_t key = 0; key < KEY_COUNT; key++) {
        if (!model->entry[key].live) {
            continue;
        }
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW) {
            test_fail("%s: code %d (%s) instead of key %u of commit %llu", table, code,
                      sqlite3_errmsg(db), key, (unsigned long long)model->number);
        }
        if (!row_matches(statement, model, key)) {
            test_fail(
                "%s: at key %u of commit %llu stands %s, n %lld (expected %lld)", table, key,
                (unsigned long long)model->number, (const char *)sqlite3_column_text(statement, 0),
                (long long)sqlite3_column_int64(statement, 2), (long long)model->entry[key].n);
        }
    }
    code = sqlite3_step(statement);
    if (code != SQLITE_DONE) {
        test_fail("%s: code %d, row %s after the last one of commit %llu", table, code,
                  code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0)
                                     : sqlite3_errmsg(db),
                  (unsigned long long)model->number);
    }
    sqlite3_finalize(statement);
}

static void compare_points(sqlite3 *db, const struct model *model) {
    struct random_state random = random_of(model->seed, model->number);
    for (int i = 0; i < 40; i++) {
        uint32_t key = random_below(&random, KEY_COUNT);
        int64_t count = db_int(db, "SELECT count(*) FROM f WHERE key = 'k%05u'", key);
        if (count != model->entry[key].live) {
            test_fail("f: a point read of key %u finds %lld rows at commit %llu", key,
                      (long long)count, (unsigned long long)model->number);
        }
    }
}

static void compare_counters(sqlite3 *db, const struct model *model) {
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        int64_t faster = db_int(db, "SELECT value FROM c WHERE key = 'counter%u'", i);
        int64_t ordinary = db_int(db, "SELECT value FROM p WHERE key = 'counter%u'", i);
        if (faster != model->counter[i] || ordinary != model->counter[i]) {
            test_fail("counter %u at commit %llu: FASTER %lld, ordinary %lld, expected %lld", i,
                      (unsigned long long)model->number, (long long)faster, (long long)ordinary,
                      (long long)model->counter[i]);
        }
    }
}

static void expect_text(sqlite3 *db, const char *sql, const char *expected) {
    char *text = db_text(db, "%s", sql);
    if (text == NULL || strcmp(text, expected) != 0) {
        test_fail("%s: %s", sql, text ? text : "NULL");
    }
    free(text);
}

uint64_t load_verify(const struct test_options *options, const struct configuration *configuration,
                     struct model *model, uint64_t acknowledged) {
    sqlite3 *db = load_open(options, configuration);
    db_must(db, "BEGIN");
    uint64_t faster = (uint64_t)db_int(db, "SELECT n FROM f WHERE key = '#'");
    uint64_t ordinary = (uint64_t)db_int(db, "SELECT n FROM o WHERE key = '#'");
    if (faster != ordinary) {
        test_fail("FASTER shows commit %llu, ordinary %llu", (unsigned long long)faster,
                  (unsigned long long)ordinary);
    }
    if (faster + configuration->undone_max < acknowledged || faster > acknowledged + 1) {
        test_fail("commit %llu is there, %llu was acknowledged", (unsigned long long)faster,
                  (unsigned long long)acknowledged);
    }
    model_advance(model, faster);
    compare_table(db, "o", model);
    compare_table(db, "f", model);
    compare_points(db, model);
    compare_counters(db, model);
    db_must(db, "COMMIT");
    if (!options->self) {
        expect_text(db, "SELECT faster_verify('f')", "ok");
        expect_text(db, "SELECT faster_verify('c')", "ok");
    }
    expect_text(db, "PRAGMA integrity_check", "ok");
    db_close(db);
    return faster;
}
