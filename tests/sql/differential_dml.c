/* differential_dml.c - random INSERT, UPDATE and DELETE statements.
 *
 * Every statement has one outcome whatever order a table is scanned in: statements that
 * stop in the middle (OR FAIL) change one row or take their rows in a stated order, and
 * updates of several keys map them to a range that no updated row comes from. Columns
 * with a DEFAULT never get an explicit NULL by INSERT, a documented difference. A statement
 * that inserts several rows gives no rowid that is no integer: SQLite's ordinary tables keep
 * the rows before it under OR IGNORE and OR ROLLBACK, though SQLITE_MISMATCH undoes a
 * statement everywhere else.
 */
#include "differential.h"

#include <string.h>

static const char *conflict_clause(struct generator *generator) {
    static const char *const clauses[] = {" OR ABORT",   " OR FAIL",    " OR IGNORE",  " OR IGNORE",
                                          " OR REPLACE", " OR REPLACE", " OR ROLLBACK"};
    return random_percent(&generator->random, 45)
               ? ""
               : clauses[random_below(&generator->random, sizeof clauses / sizeof *clauses)];
}

static void value_for(struct generator *generator, struct text *sql, const struct column *column,
                      bool inserted) {
    bool allow_null = !(inserted && column->has_default) &&
                      (!column->not_null || random_percent(&generator->random, 50));
    literal_add(sql, &generator->random, column->pool, allow_null);
}

/* Chooses which columns an INSERT names: the key nearly always, others mostly. */
static void choose_columns(struct generator *generator, bool chosen[COLUMN_COUNT_MAX]) {
    const struct plan *plan = generator->plan;
    unsigned count = 0;
    for (unsigned i = 0; i < plan->column_count; i++) {
        bool key = i < plan->key_count;
        uint32_t percent = plan->kind == KEY_INTEGER_PRIMARY && key ? 75 : key ? 99 : 85;
        chosen[i] = random_percent(&generator->random, percent);
        count += chosen[i];
    }
    chosen[0] = chosen[0] || count == 0;
}

static void add_column_list(const struct plan *plan, struct text *sql,
                            const bool chosen[COLUMN_COUNT_MAX], const char *first) {
    bool any = *first != 0;
    text_add(sql, "(%s", first);
    for (unsigned i = 0; i < plan->column_count; i++) {
        if (chosen[i]) {
            text_add(sql, "%s%s", any ? ", " : "", plan->column[i].name);
            any = true;
        }
    }
    text_add(sql, ")");
}

static void insert_values(struct generator *generator, struct text *sql) {
    const struct plan *plan = generator->plan;
    struct random_state *random = &generator->random;
    bool chosen[COLUMN_COUNT_MAX] = {false};
    bool rowid = plan->kind == KEY_IMPLICIT_ROWID && random_percent(random, 30);
    choose_columns(generator, chosen);
    if (random_percent(random, 10)) {
        text_add(sql, "REPLACE INTO $T");
    } else {
        text_add(sql, "INSERT%s INTO $T", conflict_clause(generator));
    }
    add_column_list(plan, sql, chosen, rowid ? "rowid" : "");
    uint32_t rows = random_percent(random, 60) ? 1 : 1 + random_below(random, 6);
    for (uint32_t row = 0; row < rows; row++) {
        bool any = rowid;
        text_add(sql, row ? ", (" : " VALUES (");
        if (rowid) {
            literal_add(sql, random, rows > 1 ? POOL_PLAIN_ROWID : POOL_ROWID, true);
        }
        for (unsigned i = 0; i < plan->column_count; i++) {
            if (chosen[i]) {
                text_add(sql, any ? ", " : "");
                struct column column = plan->column[i];
                if (column.pool == POOL_ROWID && rows > 1) {
                    column.pool = POOL_PLAIN_ROWID;
                }
                value_for(generator, sql, &column, true);
                any = true;
            }
        }
        text_add(sql, ")");
    }
}

/* An expression over u's row that suits a column. */
static void expression_from_ordinary(struct text *sql, const struct column *column) {
    const char *name = "c";
    switch (column->pool) {
    case POOL_TEXT:
        name = "a";
        break;
    case POOL_INTEGER:
        name = "b";
        break;
    case POOL_ROWID:
    case POOL_PLAIN_ROWID:
        text_add(sql, "CAST(b AS INTEGER) %% 100000");
        return;
    case POOL_REAL:
        name = "x";
        break;
    case POOL_ANY:
    case POOL_BLOB:
        break;
    }
    text_add(sql, column->has_default ? "coalesce(%s, 1)" : "%s", name);
}

static void insert_select(struct generator *generator, struct text *sql) {
    const struct plan *plan = generator->plan;
    struct random_state *random = &generator->random;
    bool from_itself = random_percent(random, 40);
    bool chosen[COLUMN_COUNT_MAX] = {false};
    for (unsigned i = 0; i < COLUMN_COUNT_MAX; i++) {
        chosen[i] = true;
    }
    text_add(sql, "INSERT%s INTO $T", conflict_clause(generator));
    add_column_list(plan, sql, chosen, "");
    text_add(sql, " SELECT ");
    for (unsigned i = 0; i < plan->column_count; i++) {
        const struct column *column = &plan->column[i];
        text_add(sql, i ? ", " : "");
        if (!from_itself) {
            expression_from_ordinary(sql, column);
        } else if (i < plan->key_count && column->pool == POOL_ROWID) {
            text_add(sql, "%s + %u", column->name, random_below(random, 40));
        } else if (i < plan->key_count) {
            text_add(sql, "substr(%s || 'x', 1, 8)", column->name);
        } else {
            text_add(sql, column->has_default ? "coalesce(%s, 2)" : "%s", column->name);
        }
    }
    if (from_itself) {
        text_add(sql, " FROM $T WHERE ");
        generate_condition(generator, sql);
        text_add(sql, " ORDER BY %s LIMIT %u", plan->order_by, random_below(random, 8));
    } else {
        text_add(sql, " FROM $U WHERE id %% %u = 0 ORDER BY id", 1 + random_below(random, 6));
    }
}

static void assign(struct generator *generator, struct text *sql, const struct column *column) {
    struct random_state *random = &generator->random;
    switch (random_below(random, 6)) {
    case 0:
        text_add(sql, "%s = substr(%s || 'u', 1, 40)", column->name, column->name);
        break;
    case 1:
        text_add(sql, "%s = coalesce(%s, 0) + 1", column->name, column->name);
        break;
    case 2:
        text_add(sql, "%s = (SELECT a FROM $U WHERE id = %u)", column->name,
                 random_below(random, 26));
        break;
    case 3:
        text_add(sql, "%s = CASE WHEN length(%s) %% 5 = 0 THEN NULL ELSE %s END", column->name,
                 generator->plan->column[0].name, column->name);
        break;
    default:
        text_add(sql, "%s = ", column->name);
        value_for(generator, sql, column, false);
        break;
    }
}

/* Equality on the whole key: at most one row. */
static void one_row_condition(struct generator *generator, struct text *sql) {
    const struct plan *plan = generator->plan;
    if (plan->key_count == 0) {
        text_add(sql, "rowid = %u", 1 + random_below(&generator->random, 60));
    }
    for (unsigned i = 0; i < plan->key_count; i++) {
        text_add(sql, "%s%s = ", i ? " AND " : "", plan->column[i].name);
        literal_add(sql, &generator->random, plan->column[i].pool, false);
    }
}

static void update_values(struct generator *generator, struct text *sql) {
    const struct plan *plan = generator->plan;
    const char *clause = conflict_clause(generator);
    bool any = false;
    text_add(sql, "UPDATE%s $T SET ", clause);
    for (unsigned i = plan->key_count; i < plan->column_count; i++) {
        if (random_percent(&generator->random, 40) || (!any && i + 1 == plan->column_count)) {
            text_add(sql, any ? ", " : "");
            assign(generator, sql, &plan->column[i]);
            any = true;
        }
    }
    text_add(sql, " WHERE ");
    if (strstr(clause, "FAIL") || random_percent(&generator->random, 40)) {
        one_row_condition(generator, sql);
    } else {
        generate_condition(generator, sql);
    }
}

static void update_one_key(struct generator *generator, struct text *sql) {
    const struct plan *plan = generator->plan;
    text_add(sql, "UPDATE%s $T SET ", conflict_clause(generator));
    if (plan->key_count == 0 && random_percent(&generator->random, 5)) {
        text_add(sql, "rowid = NULL");
    } else if (plan->key_count == 0) {
        text_add(sql, "rowid = %u", 1 + random_below(&generator->random, 60));
    } else {
        const struct column *column =
            &plan->column[random_below(&generator->random, plan->key_count)];
        text_add(sql, "%s = ", column->name);
        literal_add(sql, &generator->random, column->pool, true);
    }
    if (random_percent(&generator->random, 50)) {
        text_add(sql, ", ");
        assign(generator, sql, &plan->column[plan->key_count]);
    }
    text_add(sql, " WHERE ");
    one_row_condition(generator, sql);
}

static void update_many_keys(struct generator *generator, struct text *sql) {
    const struct plan *plan = generator->plan;
    const char *clause = conflict_clause(generator);
    const char *key = plan->key_count ? plan->column[0].name : "rowid";
    if (strstr(clause, "FAIL")) {
        clause = "";
    }
    text_add(sql, "UPDATE%s $T SET ", clause);
    enum pool pool = plan->key_count ? plan->column[0].pool : POOL_ROWID;
    if (pool == POOL_ROWID || pool == POOL_INTEGER) {
        text_add(sql, "%s = %s + 1000 WHERE typeof(%s) = 'integer' AND %s BETWEEN 0 AND 999", key,
                 key, key, key);
        text_add(sql, " AND %s %% 5 = %u", key, random_below(&generator->random, 5));
    } else {
        text_add(sql, "%s = %s || '~' WHERE typeof(%s) = 'text' AND length(%s) BETWEEN 1 AND 20",
                 key, key, key, key);
        text_add(sql, " AND instr(%s, '~') = 0 AND instr(%s, ' ') = 0 AND %s LIKE '%%%u'", key, key,
                 key, random_below(&generator->random, 10));
    }
}

static void update_from(struct generator *generator, struct text *sql) {
    const struct plan *plan = generator->plan;
    const struct column *column = &plan->column[plan->key_count];
    text_add(sql, "UPDATE $T SET %s = ", column->name);
    expression_from_ordinary(sql, column);
    text_add(sql, " FROM (SELECT a, b, c AS c, x FROM $U WHERE id = %u) WHERE ",
             random_below(&generator->random, 26));
    one_row_condition(generator, sql);
}

static void delete_rows(struct generator *generator, struct text *sql) {
    text_add(sql, "DELETE FROM $T");
    if (random_percent(&generator->random, 4)) {
        return;
    }
    text_add(sql, " WHERE ");
    if (random_percent(&generator->random, 70)) {
        one_row_condition(generator, sql);
    } else {
        generate_condition(generator, sql);
        text_add(sql, " AND length(%s) %% 3 = %u", generator->plan->column[0].name,
                 random_below(&generator->random, 3));
    }
}

/* Changes of the ordinary table, whose triggers write the tables under test. */
static void change_ordinary(struct generator *generator, struct text *sql) {
    struct random_state *random = &generator->random;
    static const enum pool pools[] = {POOL_TEXT, POOL_INTEGER, POOL_ANY, POOL_TEXT, POOL_REAL};
    switch (random_below(random, 4)) {
    case 0:
        text_add(sql, "UPDATE%s $U SET c = ", conflict_clause(generator));
        literal_add(sql, random, POOL_ANY, true);
        text_add(sql, " WHERE id BETWEEN %u AND %u", random_below(random, 20),
                 random_below(random, 26));
        break;
    case 1:
        text_add(sql, "DELETE FROM $U WHERE id = %u", 1 + random_below(random, 30));
        break;
    default:
        text_add(sql, "INSERT%s INTO $U VALUES (%u", conflict_clause(generator),
                 1 + random_below(random, 30));
        for (int i = 0; i < 5; i++) {
            text_add(sql, ", ");
            literal_add(sql, random, pools[i], true);
        }
        text_add(sql, ")");
        break;
    }
}

void generate_dml(struct generator *generator, struct text *sql, bool *ordinary) {
    uint32_t dice = random_below(&generator->random, 100);
    *ordinary = false;
    if (dice < 45) {
        insert_values(generator, sql);
    } else if (dice < 52) {
        insert_select(generator, sql);
    } else if (dice < 70) {
        update_values(generator, sql);
    } else if (dice < 77) {
        update_one_key(generator, sql);
    } else if (dice < 80) {
        update_many_keys(generator, sql);
    } else if (dice < 82) {
        update_from(generator, sql);
    } else if (dice < 92) {
        delete_rows(generator, sql);
    } else {
        change_ordinary(generator, sql);
        *ordinary = true;
    }
}
