/* differential_generate.c - random steps: statements, transactions, DDL, readers, reopening. */
#include "differential.h"

#include <stdio.h>
#include <string.h>

static const char other_names[2] = {'f', 'r'};

/* Replaces $T (the table), $U (the ordinary table), $O (a second table of the same kind)
 * and $V (its first column beside the key); the result belongs to the caller. */
static char *expand(const struct plan *plan, enum side side, const char *table,
                    const char *pattern) {
    struct text out = {0};
    const char *prefix = plan_prefix(plan);
    text_add(&out, "%s", "");
    for (const char *at = pattern; *at; at++) {
        if (at[0] == '$' && at[1] == 'T') {
            text_add(&out, "%s%s", prefix, table);
            at++;
        } else if (at[0] == '$' && at[1] == 'U') {
            text_add(&out, "%su", prefix);
            at++;
        } else if (at[0] == '$' && at[1] == 'O') {
            text_add(&out, "%sother_%c", prefix, plan->twin ? 't' : other_names[side]);
            at++;
        } else if (at[0] == '$' && at[1] == 'V') {
            text_add(&out, "%s", plan->column[plan->key_count].name);
            at++;
        } else {
            text_add_bytes(&out, at, 1);
        }
    }
    return out.data;
}

static void step_from(struct step *step, const struct world *world, enum step_kind kind,
                      const char *pattern) {
    char name[40];
    memset(step, 0, sizeof *step);
    step->kind = kind;
    step->rolls_back_all = strstr(pattern, "OR ROLLBACK") != NULL;
    world_table_name(world, world->db[1], SIDE_ORDINARY, name);
    for (int side = 0; side < 2; side++) {
        if (!world->plan->twin && *name) {
            name[0] = other_names[side];
        }
        step->sql[side] = expand(world->plan, (enum side)side, *name ? name : "missing", pattern);
    }
}

static struct step *queue(struct generator *generator, const struct world *world,
                          enum step_kind kind, const char *pattern) {
    if (generator->queued_count == QUEUE_COUNT_MAX) {
        test_fail("a macro has too many steps");
    }
    struct step *step = &generator->queued[generator->queued_count++];
    step_from(step, world, kind, pattern);
    return step;
}

/* Fills a second table of the same kind from the first; columns with a DEFAULT must not
 * get an explicit NULL. */
static void queue_copy(struct generator *generator, const struct world *world) {
    const struct plan *plan = world->plan;
    struct text sql = {0};
    text_add(&sql, "INSERT INTO $O SELECT ");
    for (unsigned i = 0; i < plan->column_count; i++) {
        text_add(&sql, plan->column[i].has_default ? "%scoalesce(%s, 0)" : "%s%s", i ? ", " : "",
                 plan->column[i].name);
    }
    text_add(&sql, " FROM $T ORDER BY %s", plan->order_by);
    queue(generator, world, STEP_EACH, sql.data)->changes_rows = true;
    text_finish(&sql);
}

static void queue_create(struct generator *generator, const struct world *world) {
    struct step *step = queue(generator, world, STEP_EACH, "$O");
    for (int side = 0; side < 2; side++) {
        struct text sql = {0};
        plan_create_sql(&sql, world->options, world->plan, (enum side)side, step->sql[side]);
        step_replace_sql(step, (enum side)side, sql.data);
    }
}

/* DDL in a savepoint or transaction that is rolled back, or stays. */
static void generate_macro(struct generator *generator, const struct world *world) {
    struct random_state *random = &generator->random;
    bool own = random_percent(random, 60);
    generator->queued_first = generator->queued_count = 0;
    queue(generator, world, STEP_ONCE, own ? "SAVEPOINT macro" : "BEGIN");
    queue_create(generator, world);
    queue_copy(generator, world);
    if (random_percent(random, 40)) {
        queue(generator, world, STEP_EACH, "DROP TABLE $T");
        queue(generator, world, STEP_EACH, "SELECT * FROM $T");
    } else {
        queue(generator, world, STEP_EACH, "DELETE FROM $T WHERE length($V) > 2")->changes_rows =
            true;
    }
    queue(generator, world, STEP_EACH, "SELECT * FROM $O");
    if (random_percent(random, 30)) {
        queue(generator, world, STEP_EACH, "DROP TABLE $O");
    }
    queue(generator, world, STEP_CHECK, "");
    if (random_percent(random, 85) || strstr(generator->queued[3].sql[0], "DROP")) {
        queue(generator, world, STEP_ONCE, own ? "ROLLBACK TO macro" : "ROLLBACK");
    }
    queue(generator, world, STEP_ONCE, own ? "RELEASE macro" : "COMMIT");
    queue(generator, world, STEP_EACH, "DROP TABLE $O");
    queue(generator, world, STEP_CHECK, "");
}

static void generate_rename(const struct world *world, struct step *step) {
    char name[40];
    world_table_name(world, world->db[1], SIDE_ORDINARY, name);
    step_from(step, world, STEP_EACH, "ALTER TABLE $T RENAME TO ");
    bool renamed = strstr(name, "_b") != NULL;
    for (int side = 0; side < 2; side++) {
        struct text sql = {0};
        char base = world->plan->twin ? 't' : other_names[side];
        text_add(&sql, "%s%c%s", step->sql[side], base, renamed ? "" : "_b");
        step_replace_sql(step, (enum side)side, sql.data);
    }
}

static void generate_command(const struct world *world, struct step *step) {
    char name[40];
    world_table_name(world, world->db[1], SIDE_ORDINARY, name);
    if (!world->plan->twin && *name) {
        name[0] = other_names[SIDE_FASTER];
    }
    struct text sql = {0};
    text_add(&sql, "INSERT INTO $T(%s) VALUES ('checkpoint')", *name ? name : "missing");
    step_from(step, world, STEP_COMMAND, sql.data);
    text_finish(&sql);
}

/* BEGIN and what ends it, savepoints. */
static void generate_transaction(struct generator *generator, const struct world *world,
                                 struct step *step) {
    static const char *const begins[] = {"BEGIN", "BEGIN IMMEDIATE", "BEGIN", "SAVEPOINT s0"};
    static const char *const inner[] = {"COMMIT",         "COMMIT",         "ROLLBACK",
                                        "SAVEPOINT s0",   "SAVEPOINT s1",   "SAVEPOINT s2",
                                        "ROLLBACK TO s0", "ROLLBACK TO s1", "ROLLBACK TO s2",
                                        "RELEASE s0",     "RELEASE s1",     "RELEASE s2"};
    bool open = !sqlite3_get_autocommit(world->db[1]);
    step_from(step, world, STEP_ONCE,
              open ? inner[random_below(&generator->random, 12)]
                   : begins[random_below(&generator->random, 4)]);
}

static void generate_reader(struct generator *generator, const struct world *world,
                            struct step *step) {
    static const enum step_kind kinds[] = {STEP_READER_OPEN, STEP_READER_CHECK, STEP_READER_CHECK,
                                           STEP_READER_CLOSE};
    bool wal = strcmp(world->plan->journal_mode, "wal") == 0;
    uint32_t which = random_below(&generator->random, 4);
    step_from(step, world, kinds[which], "");
    step->reader = (int)random_below(&generator->random, wal ? READER_COUNT : 1);
    /* A reader blocks every commit in the rollback modes: it leaves soon. */
    if (!wal && world->reader[step->reader].open) {
        step->kind = which ? STEP_READER_CLOSE : STEP_READER_CHECK;
    }
}

static void generate_statement(struct generator *generator, const struct world *world,
                               struct step *step) {
    struct text sql = {0};
    bool ordered = false;
    bool ordinary = false;
    bool query = random_percent(&generator->random, 40);
    if (query) {
        generate_select(generator, &sql, &ordered);
    } else {
        generate_dml(generator, &sql, &ordinary);
    }
    step_from(step, world, ordinary ? STEP_ONCE : STEP_EACH, sql.data);
    step->ordered = ordered;
    step->changes_rows = !query;
    text_finish(&sql);
}

static void generate_direct_step(struct generator *generator, const struct world *world,
                                 struct step *step) {
    bool in_file = world->plan->place == PLACE_FILE || world->plan->place == PLACE_ATTACHED;
    uint32_t dice = random_below(&generator->random, 1000);
    if (dice < 20) {
        step_from(step, world, STEP_CHECK, "");
    } else if (dice < 26 && in_file) {
        step_from(step, world, STEP_REOPEN, "");
    } else if (dice < 32) {
        generate_command(world, step);
    } else if (dice < 38) {
        generate_rename(world, step);
    } else {
        generate_statement(generator, world, step);
    }
}

void generate_step(struct generator *generator, const struct world *world, struct step *step) {
    struct random_state *random = &generator->random;
    const struct plan *plan = world->plan;
    if (generator->queued_first < generator->queued_count) {
        *step = generator->queued[generator->queued_first++];
        return;
    }
    if (plan->direct) {
        generate_direct_step(generator, world, step);
        return;
    }
    bool rollback_mode = strcmp(plan->journal_mode, "wal") != 0;
    if (rollback_mode && plan->readers && world->reader[0].open && random_percent(random, 30)) {
        generate_reader(generator, world, step);
        return;
    }
    uint32_t dice = random_below(random, 1000);
    if (dice < 20) {
        step_from(step, world, STEP_CHECK, "");
    } else if (dice < 40 && plan->readers) {
        generate_reader(generator, world, step);
    } else if (dice < 44 && plan->readers) {
        step_from(step, world, STEP_REOPEN, "");
    } else if (dice < 50) {
        generate_command(world, step);
    } else if (dice < 54) {
        generate_macro(generator, world);
        *step = generator->queued[generator->queued_first++];
    } else if (dice < 60) {
        generate_rename(world, step);
    } else if (dice < (sqlite3_get_autocommit(world->db[1]) ? 150u : 210u)) {
        generate_transaction(generator, world, step);
    } else {
        generate_statement(generator, world, step);
    }
}
