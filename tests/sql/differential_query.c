/* differential_query.c - random conditions and SELECT statements.
 *
 * Every query has one answer: no LIMIT without a total order, no value whose equal
 * neighbours look different (quote() where 1 and 1.0, or 'a' and 'A', may stand for each
 * other), no sum over reals. $T is the table under test, $U the ordinary one.
 */
#include "differential.h"

#include <stdio.h>
#include <string.h>

static const struct column *any_column(struct generator *generator) {
    return &generator->plan
                ->column[random_below(&generator->random, generator->plan->column_count)];
}

/* A key column, or v where the key is the rowid alone. */
static const struct column *key_column(struct generator *generator) {
    const struct plan *plan = generator->plan;
    return &plan->column[random_below(&generator->random, plan->key_count ? plan->key_count : 1)];
}

static const char *ordinary_column(struct generator *generator) {
    static const char *const names[] = {"a", "b", "c", "e", "x"};
    return names[random_below(&generator->random, 5)];
}

static const char *comparison(struct generator *generator) {
    static const char *const operators[] = {"=",  "=",  "=",  "<",  ">",
                                            "<=", ">=", "<>", "IS", "IS NOT"};
    return operators[random_below(&generator->random, 10)];
}

static void literal(struct generator *generator, struct text *sql, const struct column *column) {
    literal_add(sql, &generator->random, column->pool, true);
}

static void full_key_equality(struct generator *generator, struct text *sql) {
    const struct plan *plan = generator->plan;
    if (plan->key_count == 0) {
        text_add(sql, "rowid = %u", 1 + random_below(&generator->random, 60));
    }
    for (unsigned i = 0; i < plan->key_count; i++) {
        uint32_t dice = random_below(&generator->random, 100);
        text_add(sql, "%s%s ", i ? " AND " : "", plan->column[i].name);
        if (plan->key_count == 1 || dice < 70) {
            text_add(sql, "= ");
            literal(generator, sql, &plan->column[i]);
        } else if (dice < 85) {
            text_add(sql, "IN (SELECT %s FROM $U)", ordinary_column(generator));
        } else {
            text_add(sql, "IN (");
            for (uint32_t j = 0; j < 5; j++) {
                text_add(sql, j ? ", " : "");
                literal(generator, sql, &plan->column[i]);
            }
            text_add(sql, ")");
        }
    }
}

static void key_in_list(struct generator *generator, struct text *sql) {
    const struct column *column = key_column(generator);
    uint32_t count = random_below(&generator->random, 8);
    text_add(sql, "%s %sIN (", column->name, random_percent(&generator->random, 15) ? "NOT " : "");
    for (uint32_t i = 0; i < count; i++) {
        text_add(sql, i ? ", " : "");
        literal(generator, sql, column);
    }
    text_add(sql, ")");
}

static void range(struct generator *generator, struct text *sql, const struct column *column) {
    text_add(sql, "%s BETWEEN ", column->name);
    literal(generator, sql, column);
    text_add(sql, " AND ");
    literal(generator, sql, column);
}

static void odd_condition(struct generator *generator, struct text *sql) {
    const struct column *key = key_column(generator);
    const struct column *column = any_column(generator);
    switch (random_below(&generator->random, 10)) {
    case 0:
        text_add(sql, "typeof(%s) = '%s'", column->name,
                 random_percent(&generator->random, 50) ? "text" : "integer");
        break;
    case 1:
        text_add(sql, "%s LIKE 'k%u%%'", key->name, random_below(&generator->random, 5));
        break;
    case 2:
        text_add(sql, "%s GLOB 'k[0-4]*'", column->name);
        break;
    case 3:
        text_add(sql, "%s COLLATE NOCASE = ", key->name);
        literal(generator, sql, key);
        break;
    case 4:
        text_add(sql, "%s = ", key->name);
        literal(generator, sql, key);
        text_add(sql, " COLLATE %s", random_percent(&generator->random, 50) ? "NOCASE" : "RTRIM");
        break;
    case 5:
        text_add(sql, "%s IN (SELECT %s FROM $U)", key->name, ordinary_column(generator));
        break;
    case 6:
        text_add(sql, "%s = (SELECT %s FROM $U WHERE id = %u)", key->name,
                 ordinary_column(generator), random_below(&generator->random, 26));
        break;
    case 7:
        text_add(sql, "CAST(%s AS TEXT) = ", key->name);
        literal(generator, sql, key);
        break;
    case 8:
        text_add(sql, "+%s = ", key->name);
        literal(generator, sql, key);
        break;
    default:
        text_add(sql, "length(%s) %% 3 = 1", column->name);
        break;
    }
}

static void simple_condition(struct generator *generator, struct text *sql) {
    const struct column *column = any_column(generator);
    switch (random_below(&generator->random, 12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        full_key_equality(generator, sql);
        break;
    case 4:
    case 5:
        key_in_list(generator, sql);
        break;
    case 6:
        range(generator, sql, key_column(generator));
        break;
    case 7:
        text_add(sql, "%s %s ", column->name, comparison(generator));
        literal(generator, sql, column);
        break;
    case 8:
        text_add(sql, "%s IS %sNULL", column->name,
                 random_percent(&generator->random, 50) ? "NOT " : "");
        break;
    case 9:
        column = key_column(generator);
        text_add(sql, "%s %s ", column->name, comparison(generator));
        literal(generator, sql, column);
        break;
    default:
        odd_condition(generator, sql);
        break;
    }
}

/* Without COLLATE: SQLite 3.40 makes one IN of `k COLLATE NOCASE = x OR k = y` and forgets the
 * collation, on ordinary tables. */
static void plain_condition(struct generator *generator, struct text *sql) {
    size_t start_bytes = sql->size_bytes;
    simple_condition(generator, sql);
    while (strstr(sql->data + start_bytes, "COLLATE")) {
        sql->size_bytes = start_bytes;
        simple_condition(generator, sql);
    }
}

void generate_condition(struct generator *generator, struct text *sql) {
    uint32_t dice = random_below(&generator->random, 100);
    if (dice < 70) {
        simple_condition(generator, sql);
    } else if (dice < 85) {
        text_add(sql, "(");
        simple_condition(generator, sql);
        text_add(sql, ") AND (");
        simple_condition(generator, sql);
        text_add(sql, ")");
    } else if (dice < 95) {
        text_add(sql, "(");
        plain_condition(generator, sql);
        text_add(sql, ") OR (");
        plain_condition(generator, sql);
        text_add(sql, ")");
    } else {
        text_add(sql, "NOT (");
        simple_condition(generator, sql);
        text_add(sql, ")");
    }
}

static void select_ordered(struct generator *generator, struct text *sql) {
    struct random_state *random = &generator->random;
    if (random_percent(random, 30)) {
        text_add(sql, "SELECT *, row_number() OVER (ORDER BY %s) FROM $T WHERE ",
                 generator->plan->order_by);
    } else {
        text_add(sql, "SELECT * FROM $T WHERE ");
    }
    generate_condition(generator, sql);
    if (random_percent(random, 20)) {
        text_add(sql, " ORDER BY quote(%s), %s", any_column(generator)->name,
                 generator->plan->order_by);
    } else {
        text_add(sql, " ORDER BY %s", generator->plan->order_by);
    }
    if (random_percent(random, 30) && strchr(generator->plan->order_by, ',') == NULL) {
        text_add(sql, " DESC");
    }
    if (random_percent(random, 60)) {
        text_add(sql, " LIMIT %u", random_below(random, 9));
        if (random_percent(random, 50)) {
            text_add(sql, " OFFSET %u", random_below(random, 9));
        }
    }
}

static void select_aggregate(struct generator *generator, struct text *sql) {
    const struct column *key = key_column(generator);
    const struct column *column = any_column(generator);
    switch (random_below(&generator->random, 5)) {
    case 0:
        text_add(sql, "SELECT count(*) FROM $T");
        return;
    case 1:
        text_add(sql, "SELECT quote(max(quote(%s))), min(quote(%s)) FROM $T WHERE ", key->name,
                 column->name);
        break;
    case 2:
        text_add(sql,
                 "SELECT count(%s), count(DISTINCT quote(%s)), sum(length(%s)),"
                 " sum(CASE WHEN typeof(%s)='integer' THEN %s & 65535 ELSE 1 END) FROM $T WHERE ",
                 column->name, column->name, key->name, column->name, column->name);
        break;
    case 3:
        text_add(sql, "SELECT typeof(%s), substr(quote(%s), 1, 3), count(*) FROM $T", column->name,
                 key->name);
        text_add(sql, " GROUP BY 1, 2 HAVING count(*) > %u", random_below(&generator->random, 2));
        return;
    default:
        text_add(sql, "SELECT DISTINCT quote(%s) FROM $T WHERE ", column->name);
        break;
    }
    generate_condition(generator, sql);
}

static void select_join(struct generator *generator, struct text *sql) {
    static const char *const forms[] = {
        "SELECT t.*, u.* FROM $T AS t JOIN $U AS u ON t.%s = u.%s",
        "SELECT t.*, u.* FROM $U AS u CROSS JOIN $T AS t ON t.%s = u.%s",
        "SELECT t.*, u.id FROM $U AS u LEFT JOIN $T AS t ON t.%s = u.%s",
        "SELECT t.*, u.id FROM $T AS t LEFT JOIN $U AS u ON t.%s = u.%s",
        "SELECT t.*, u.id FROM $T AS t CROSS JOIN $U AS u WHERE t.%s = u.%s COLLATE NOCASE",
        "SELECT t.*, u.id FROM $U AS u CROSS JOIN $T AS t WHERE t.%s IS u.%s",
        "SELECT u.id, t.* FROM $U AS u CROSS JOIN $T AS t WHERE u.e = t.%s AND t.%s > ''",
        "SELECT count(*) FROM $T AS t JOIN $T AS u ON t.%s = u.%s",
    };
    uint32_t which = random_below(&generator->random, sizeof forms / sizeof *forms);
    const char *key = key_column(generator)->name;
    const char *other = which < 6 ? ordinary_column(generator) : key_column(generator)->name;
    char buffer[300];
    snprintf(buffer, sizeof buffer, forms[which], key, other);
    text_add(sql, "%s", buffer);
    if (which < 4 && random_percent(&generator->random, 30)) {
        text_add(sql, which == 2 ? " WHERE u.id %% 3 = 1" : " AND u.id > 5");
    }
}

static void select_nested(struct generator *generator, struct text *sql) {
    const char *key = key_column(generator)->name;
    const char *other = ordinary_column(generator);
    switch (random_below(&generator->random, 7)) {
    case 0:
        text_add(sql, "SELECT id, (SELECT count(*) FROM $T WHERE %s = u.%s) FROM $U AS u", key,
                 other);
        break;
    case 1:
        text_add(sql, "SELECT id FROM $U AS u WHERE %sEXISTS (SELECT 1 FROM $T WHERE %s = u.%s)",
                 random_percent(&generator->random, 50) ? "NOT " : "", key, other);
        break;
    case 2:
        text_add(sql, "SELECT id FROM $U WHERE %s IN (SELECT %s FROM $T)", other, key);
        break;
    case 3:
        text_add(sql, "SELECT quote(%s) FROM $T %s SELECT quote(%s) FROM $U", key,
                 random_percent(&generator->random, 50) ? "INTERSECT" : "EXCEPT", other);
        break;
    case 4:
        text_add(sql,
                 "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 12)"
                 " SELECT i, (SELECT count(*) FROM $T WHERE %s = i),"
                 " (SELECT count(*) FROM $T WHERE %s = 'k' || i) FROM c",
                 key, key);
        break;
    case 5:
        text_add(sql, "SELECT (SELECT max(quote(%s)) FROM $T AS y WHERE y.%s <= x.%s) FROM $T AS x",
                 key, key, key);
        break;
    default:
        text_add(sql, "SELECT * FROM (SELECT * FROM $T WHERE ");
        generate_condition(generator, sql);
        text_add(sql, ") WHERE ");
        generate_condition(generator, sql);
        break;
    }
}

/* Several key columns at once, as row values. */
static void select_row_value(struct generator *generator, struct text *sql) {
    const struct plan *plan = generator->plan;
    struct text columns = {0};
    for (unsigned i = 0; i < plan->key_count; i++) {
        text_add(&columns, "%s%s", i ? ", " : "", plan->column[i].name);
    }
    text_add(sql, "SELECT * FROM $T WHERE (%s) %s", columns.data,
             random_percent(&generator->random, 50) ? "= (" : "IN (VALUES (");
    bool list = strstr(sql->data, "VALUES") != NULL;
    for (unsigned i = 0; i < plan->key_count; i++) {
        text_add(sql, i ? ", " : "");
        literal(generator, sql, &plan->column[i]);
    }
    text_add(sql, list ? "))" : ")");
    text_finish(&columns);
}

void generate_select(struct generator *generator, struct text *sql, bool *ordered) {
    uint32_t dice = random_below(&generator->random, 100);
    *ordered = false;
    if (dice < 30) {
        text_add(sql, "SELECT * FROM $T WHERE ");
        generate_condition(generator, sql);
    } else if (dice < 50) {
        select_ordered(generator, sql);
        *ordered = true;
    } else if (dice < 65) {
        select_aggregate(generator, sql);
    } else if (dice < 80) {
        select_join(generator, sql);
    } else if (dice < 92) {
        select_nested(generator, sql);
    } else if (dice < 97 && generator->plan->key_count > 1) {
        select_row_value(generator, sql);
    } else if (dice < 98) {
        text_add(sql, "SELECT rowid, * FROM $T");
    } else {
        text_add(sql, "SELECT %s FROM $T", any_column(generator)->name);
    }
}
