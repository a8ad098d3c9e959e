/* differential.h - parts of the SQL differential test; see differential.c. */
#ifndef TESTS_SQL_DIFFERENTIAL_H
#define TESTS_SQL_DIFFERENTIAL_H

#include "sql_support.h"

#define READER_COUNT 3
#define COLUMN_COUNT_MAX 9
#define QUEUE_COUNT_MAX 24

enum side { SIDE_FASTER = 0, SIDE_ORDINARY = 1 };

/* -------------------------------------------------- one case: tables and places */

/* From which set a column's literals come. */
enum pool { POOL_TEXT, POOL_BLOB, POOL_INTEGER, POOL_REAL, POOL_ANY, POOL_ROWID, POOL_PLAIN_ROWID };

struct column {
    const char *name;
    char declaration[80];
    enum pool pool;
    bool not_null;
    bool has_default;
};

enum key_kind { KEY_WITHOUT_ROWID, KEY_COMPOSITE, KEY_INTEGER_PRIMARY, KEY_IMPLICIT_ROWID };

enum place { PLACE_FILE, PLACE_ATTACHED, PLACE_TEMP, PLACE_MEMORY };

/* What a case is made of; a function of seed and case number alone. */
struct plan {
    uint64_t seed;
    uint64_t number;
    enum key_kind kind;
    enum place place;
    bool twin; /* two databases with one table each, else one with both */
    bool no_column_list;
    unsigned key_count;
    unsigned column_count; /* key columns come first */
    struct column column[COLUMN_COUNT_MAX];
    char primary_key[80]; /* table constraint of a composite key */
    char order_by[120];   /* a total order */
    char store_options[160];
    const char *journal_mode;
    const char *synchronous;
    bool readers;
    bool direct; /* writes='direct': every statement by itself, no readers */
};

void plan_make(struct plan *plan, const struct test_options *options, uint64_t number);
/* The statement that creates `name` (with its schema prefix) for `side`. */
void plan_create_sql(struct text *sql, const struct test_options *options, const struct plan *plan,
                     enum side side, const char *name);
/* A literal for a column. `allow_null` off also avoids NULL. */
void literal_add(struct text *sql, struct random_state *random, enum pool pool, bool allow_null);
/* Schema prefix of the case's tables: "", "aux." or "temp.". */
const char *plan_prefix(const struct plan *plan);
const char *plan_schema_table(const struct plan *plan);

/* ------------------------------------------------------------------------ steps */

enum step_kind {
    STEP_EACH,         /* sql[0] on the FASTER side, sql[1] on the ordinary one */
    STEP_ONCE,         /* once per database */
    STEP_COMMAND,      /* sql[0] on the FASTER side only, must succeed or be BUSY */
    STEP_CHECK,        /* compare the whole content */
    STEP_READER_OPEN,  /* reader `reader` begins a snapshot and reads all of it */
    STEP_READER_CHECK, /* and reads the same again */
    STEP_READER_CLOSE,
    STEP_REOPEN
};

struct step {
    enum step_kind kind;
    int reader;
    bool changes_rows;   /* compare changes() and last_insert_rowid() */
    bool ordered;        /* the result has a total order */
    bool rolls_back_all; /* OR ROLLBACK: not inside a transaction that both sides share */
    char *sql[2];
};

struct script {
    struct step *step;
    size_t count;
    size_t capacity;
};

/* Takes ownership of `sql`. */
void step_replace_sql(struct step *step, enum side side, char *sql);
void script_add(struct script *script, const struct step *step);
void script_finish(struct script *script);
void step_print(const struct plan *plan, const struct step *step);
/* `kept` (may be NULL) selects steps. */
void script_print(const struct test_options *options, const struct plan *plan,
                  const struct script *script, const bool *kept);
/* Prints a short script that still fails. */
void script_shrink(const struct test_options *options, const struct plan *plan,
                   const struct script *script);

/* ------------------------------------------------------------------------ world */

struct reader {
    sqlite3 *db[2];
    bool open;
    uint64_t checkpoints; /* how many there had been when the snapshot began */
    struct rows seen[2];
};

/* The databases of a case while it runs. */
struct world {
    const struct test_options *options;
    const struct plan *plan;
    char directory[TEST_PATH_BYTES];
    sqlite3 *db[2]; /* equal unless plan->twin */
    struct reader reader[READER_COUNT];
    uint64_t statements;
    uint64_t checkpoints;
    uint64_t snapshots_gone;
    struct text reason; /* of the first difference */
};

void world_open(struct world *world, const struct test_options *options, const struct plan *plan);
void world_close(struct world *world);
/* Runs a step on both sides and compares. False: different, world->reason says how. */
bool world_step(struct world *world, const struct step *step);
/* Present name of the case's table without prefix, as `db` sees it; "" if there is none.
 * Returns a primary result code: BUSY is possible. */
int world_table_name(const struct world *world, sqlite3 *db, enum side side, char name[40]);

/* -------------------------------------------------------------------- generator */

struct generator {
    struct random_state random;
    const struct plan *plan;
    struct step
        queued[QUEUE_COUNT_MAX]; /* steps of a macro; [queued_first, queued_count) to come */
    unsigned queued_first;
    unsigned queued_count;
};

/* Makes the next step; it may look at the ordinary side's state, never at FASTER's. */
void generate_step(struct generator *generator, const struct world *world, struct step *step);
/* Parts of statements, with $T for the table, $U for the ordinary one, $V for the first
 * column that is not part of the key. `ordinary`: the statement changes $U. */
void generate_condition(struct generator *generator, struct text *sql);
void generate_dml(struct generator *generator, struct text *sql, bool *ordinary);
void generate_select(struct generator *generator, struct text *sql, bool *ordered);

#endif
