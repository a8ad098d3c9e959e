/* differential_plan.c - the tables, places and literals of a differential case. */
#include "differential.h"

#include <stdio.h>
#include <string.h>

const char *plan_prefix(const struct plan *plan) {
    return plan->place == PLACE_ATTACHED ? "aux." : plan->place == PLACE_TEMP ? "temp." : "";
}

const char *plan_schema_table(const struct plan *plan) {
    switch (plan->place) {
    case PLACE_ATTACHED:
        return "aux.sqlite_schema";
    case PLACE_TEMP:
        return "sqlite_temp_schema";
    case PLACE_FILE:
    case PLACE_MEMORY:
        break;
    }
    return "main.sqlite_schema";
}

static void add_column(struct plan *plan, const char *name, enum pool pool,
                       const char *declaration) {
    struct column *column = &plan->column[plan->column_count++];
    column->name = name;
    column->pool = pool;
    column->not_null = strstr(declaration, "NOT NULL") != NULL;
    column->has_default = strstr(declaration, "DEFAULT") != NULL;
    snprintf(column->declaration, sizeof column->declaration, "%s", declaration);
}

static const struct {
    enum pool pool;
    const char *declaration;
} single_keys[] = {
    {POOL_TEXT, "TEXT PRIMARY KEY"},
    {POOL_BLOB, "BLOB PRIMARY KEY"},
    {POOL_ANY, "PRIMARY KEY"},
    {POOL_ANY, "NUMERIC PRIMARY KEY"},
    {POOL_REAL, "REAL PRIMARY KEY"},
    {POOL_TEXT, "TEXT COLLATE NOCASE PRIMARY KEY"},
    {POOL_TEXT, "TEXT PRIMARY KEY COLLATE RTRIM"},
    {POOL_INTEGER, "INT PRIMARY KEY"},
    {POOL_TEXT, "VARCHAR(20) NOT NULL PRIMARY KEY"},
};

static const struct {
    unsigned count;
    const char *declaration[3];
    enum pool pool[3];
    const char *primary_key;
    const char *order_by;
} composite_keys[] = {
    {2, {"TEXT", "INTEGER"}, {POOL_TEXT, POOL_INTEGER}, "PRIMARY KEY(a, b)", "a, b"},
    {2, {"TEXT COLLATE NOCASE", "INTEGER"}, {POOL_TEXT, POOL_INTEGER}, "PRIMARY KEY(b, a)", "b, a"},
    {3,
     {"TEXT COLLATE RTRIM", "", "REAL"},
     {POOL_TEXT, POOL_ANY, POOL_REAL},
     "PRIMARY KEY(a, b, c)",
     "a, b, c"},
    {3, {"", "BLOB", "TEXT"}, {POOL_ANY, POOL_BLOB, POOL_TEXT}, "PRIMARY KEY(c, a, b)", "c, a, b"},
    {2, {"NUMERIC", "TEXT"}, {POOL_ANY, POOL_TEXT}, "PRIMARY KEY(a, b)", "a, b"},
};

static void make_key(struct plan *plan, struct random_state *random) {
    static const char *const names[3] = {"a", "b", "c"};
    uint32_t dice = random_below(random, 100);
    snprintf(plan->order_by, sizeof plan->order_by, "k");
    if (dice < 50) {
        plan->kind = KEY_WITHOUT_ROWID;
        size_t which = random_below(random, sizeof single_keys / sizeof *single_keys);
        add_column(plan, "k", single_keys[which].pool, single_keys[which].declaration);
        plan->key_count = 1;
    } else if (dice < 72) {
        plan->kind = KEY_COMPOSITE;
        size_t which = random_below(random, sizeof composite_keys / sizeof *composite_keys);
        for (unsigned i = 0; i < composite_keys[which].count; i++) {
            add_column(plan, names[i], composite_keys[which].pool[i],
                       composite_keys[which].declaration[i]);
        }
        plan->key_count = composite_keys[which].count;
        snprintf(plan->primary_key, sizeof plan->primary_key, "%s",
                 composite_keys[which].primary_key);
        snprintf(plan->order_by, sizeof plan->order_by, "%s", composite_keys[which].order_by);
    } else if (dice < 88) {
        plan->kind = KEY_INTEGER_PRIMARY;
        add_column(plan, "k", POOL_ROWID, "INTEGER PRIMARY KEY");
        plan->key_count = 1;
    } else {
        plan->kind = KEY_IMPLICIT_ROWID;
        snprintf(plan->order_by, sizeof plan->order_by, "rowid");
    }
}

static void make_values(struct plan *plan, struct random_state *random) {
    static const struct {
        const char *name;
        enum pool pool;
        const char *declaration;
        uint32_t percent;
    } values[] = {
        {"n", POOL_INTEGER, "INTEGER", 60},
        {"s", POOL_TEXT, "TEXT NOT NULL", 30},
        {"x", POOL_REAL, "REAL", 40},
        {"d", POOL_TEXT, "TEXT DEFAULT 'unset'", 40},
        {"e", POOL_INTEGER, "INTEGER NOT NULL DEFAULT 7", 30},
        {"m", POOL_ANY, "NUMERIC", 30},
    };
    add_column(plan, "v", random_percent(random, 80) ? POOL_ANY : POOL_TEXT, "");
    for (size_t i = 0; i < sizeof values / sizeof *values && plan->column_count < COLUMN_COUNT_MAX;
         i++) {
        if (random_percent(random, values[i].percent)) {
            add_column(plan, values[i].name, values[i].pool, values[i].declaration);
        }
    }
}

static void make_store_options(struct plan *plan, struct random_state *random) {
    static const char *const choices[] = {
        "",
        "",
        ", memory='1MiB', page_size='16KiB', segment_size='64KiB'",
        ", memory='1MiB', page_size='16KiB', segment_size='16KiB', inline_commit='512B'",
        ", memory='2MiB', inline_commit=0",
        ", memory='4MiB', page_size='64KiB', inline_commit='1MiB'",
    };
    uint32_t which = random_below(random, sizeof choices / sizeof *choices);
    snprintf(plan->store_options, sizeof plan->store_options, "%s", choices[which]);
}

/* A direct table undoes nothing, keeps no snapshot, and assigns other rowids. */
static void make_direct(struct plan *plan) {
    struct random_state random = random_of(plan->seed ^ UINT64_C(0x646972656374), plan->number);
    if ((plan->kind != KEY_WITHOUT_ROWID && plan->kind != KEY_COMPOSITE) || plan->no_column_list ||
        !random_percent(&random, 25)) {
        return;
    }
    plan->direct = true;
    plan->twin = false;
    plan->readers = false;
    snprintf(plan->store_options, sizeof plan->store_options, "%s",
             random_percent(&random, 50)
                 ? ", writes='direct', memory='1MiB', page_size='16KiB', segment_size='64KiB'"
                 : ", writes='direct'");
}

void plan_make(struct plan *plan, const struct test_options *options, uint64_t number) {
    static const char *const modes[] = {"wal",    "wal",      "wal",    "wal",
                                        "delete", "truncate", "persist"};
    struct random_state random = random_of(options->seed, number * 2);
    memset(plan, 0, sizeof *plan);
    plan->seed = options->seed;
    plan->number = number;
    plan->twin = random_percent(&random, 50);
    uint32_t dice = random_below(&random, 100);
    plan->place = dice < 82   ? PLACE_FILE
                  : dice < 90 ? PLACE_ATTACHED
                  : dice < 94 ? PLACE_TEMP
                              : PLACE_MEMORY;
    make_key(plan, &random);
    if (plan->kind == KEY_WITHOUT_ROWID && random_percent(&random, 15)) {
        plan->no_column_list = true; /* the default table: (key PRIMARY KEY, value) */
        plan->column_count = 0;
        add_column(plan, "key", POOL_ANY, "PRIMARY KEY");
        add_column(plan, "value", POOL_ANY, "");
        snprintf(plan->order_by, sizeof plan->order_by, "key");
    } else {
        make_values(plan, &random);
        make_store_options(plan, &random);
    }
    plan->journal_mode = modes[random_below(&random, sizeof modes / sizeof *modes)];
    dice = random_below(&random, 100);
    plan->synchronous = dice < 85 ? "OFF" : dice < 97 ? "NORMAL" : "FULL";
    plan->readers = plan->place == PLACE_FILE || plan->place == PLACE_ATTACHED;
    make_direct(plan);
}

void plan_create_sql(struct text *sql, const struct test_options *options, const struct plan *plan,
                     enum side side, const char *name) {
    bool virtual = side == SIDE_FASTER && !options->self;
    text_add(sql, virtual ? "CREATE VIRTUAL TABLE %s USING faster" : "CREATE TABLE %s", name);
    if (virtual && plan->no_column_list) {
        return;
    }
    text_add(sql, "(");
    for (unsigned i = 0; i < plan->column_count; i++) {
        text_add(sql, "%s%s %s", i ? ", " : "", plan->column[i].name, plan->column[i].declaration);
    }
    if (*plan->primary_key) {
        text_add(sql, ", %s", plan->primary_key);
    }
    if (virtual) {
        text_add(sql, "%s", plan->store_options);
    }
    text_add(sql, ")");
    if (!virtual && (plan->kind == KEY_WITHOUT_ROWID || plan->kind == KEY_COMPOSITE)) {
        text_add(sql, " WITHOUT ROWID");
    }
}

/* --------------------------------------------------------------------- literals */

static void text_literal(struct text *sql, struct random_state *random) {
    static const char *const odd[] = {
        "''",
        "' '",
        "'k1 '",
        "'K1'",
        "'k01'",
        "'1'",
        "'01'",
        "'1.0'",
        "' 1'",
        "'1e0'",
        "'-0'",
        "'+1'",
        "'2  '",
        "'NULL'",
        "'it''s'",
        "'\xc3\xa4'",
        "'\xc3\x84'",
        "'x' || char(0) || 'y'",
        "'9223372036854775808'",
        "'K2  '",
        "'\xf0\x9f\x98\x80'",
        "'0x10'",
        "'1abc'",
        "'inf'",
    };
    uint32_t dice = random_below(random, 100);
    if (dice < 70) {
        text_add(sql, "'%c%u'", random_percent(random, 85) ? 'k' : 'K', random_below(random, 50));
    } else if (dice < 90) {
        text_add(sql, "%s", odd[random_below(random, sizeof odd / sizeof *odd)]);
    } else if (dice < 97) {
        text_add(sql, "'%*s'", 1 + (int)random_below(random, 300), "long");
    } else {
        text_add(sql, "printf('%%.%uc', 'z')", 300 + random_below(random, 3000));
    }
}

static void integer_literal(struct text *sql, struct random_state *random) {
    static const char *const odd[] = {
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "4294967296",
        "2147483647",
        "-128",
        "1.0",
        "1.5",
        "'3'",
        "'3.0'",
        "'4.5'",
        "'abc'",
        "x'31'",
        "9007199254740993",
        "1e3",
        "' 12'",
        "1e19",
        "'12 '",
        "-0.0",
    };
    if (random_percent(random, 85)) {
        text_add(sql, "%u", random_below(random, 60));
    } else {
        text_add(sql, "%s", odd[random_below(random, sizeof odd / sizeof *odd)]);
    }
}

static void real_literal(struct text *sql, struct random_state *random) {
    static const char *const odd[] = {
        "0.0",
        "-0.0",
        "1e300",
        "-1e-300",
        "9007199254740993",
        "9223372036854775807",
        "'2.5'",
        "'2'",
        "'x'",
        "1e999",
        "-1e999",
        "0.1",
        "x'00'",
        "1.5e15",
        "3",
        "-7",
        "1e19",
        "123456789012345678",
    };
    if (random_percent(random, 70)) {
        text_add(sql, "%u.%u", random_below(random, 20), random_below(random, 4) * 25);
    } else {
        text_add(sql, "%s", odd[random_below(random, sizeof odd / sizeof *odd)]);
    }
}

static void blob_literal(struct text *sql, struct random_state *random) {
    uint32_t dice = random_below(random, 100);
    if (dice < 80) {
        text_add(sql, "x'6b%02x'", random_below(random, 40));
    } else if (dice < 90) {
        text_add(sql, "x''");
    } else {
        text_add(sql, "zeroblob(%u)", random_below(random, 700));
    }
}

/* Rowids stay far from the largest, where SQLite picks free ones at random, and from the
 * smallest, which ordinary tables do not find by an equal real number. With
 * `allow_odd` off the literal is an integer or NULL. */
static void rowid_literal(struct text *sql, struct random_state *random, bool allow_odd) {
    static const char *const odd[] = {
        "0",     "-1",  "-9007199254740993", "4294967296", "'12'", "13.0", "'14.0'", "2.5", "'abc'",
        "x'31'", "1e19"};
    if (!allow_odd || random_percent(random, 92)) {
        text_add(sql, "%u", 1 + random_below(random, 80));
    } else {
        text_add(sql, "%s", odd[random_below(random, sizeof odd / sizeof *odd)]);
    }
}

void literal_add(struct text *sql, struct random_state *random, enum pool pool, bool allow_null) {
    uint32_t dice = random_below(random, 100);
    if (dice < 3 && allow_null) {
        text_add(sql, "NULL");
        return;
    }
    bool rowid = pool == POOL_ROWID || pool == POOL_PLAIN_ROWID;
    if (!rowid && (pool == POOL_ANY || dice >= 88)) {
        static const enum pool others[] = {POOL_TEXT, POOL_TEXT, POOL_INTEGER, POOL_REAL,
                                           POOL_BLOB};
        pool = others[random_below(random, 5)];
    }
    switch (pool) {
    case POOL_ANY:
    case POOL_TEXT:
        text_literal(sql, random);
        break;
    case POOL_BLOB:
        blob_literal(sql, random);
        break;
    case POOL_INTEGER:
        integer_literal(sql, random);
        break;
    case POOL_REAL:
        real_literal(sql, random);
        break;
    case POOL_ROWID:
    case POOL_PLAIN_ROWID:
        rowid_literal(sql, random, pool == POOL_ROWID);
        break;
    }
}
