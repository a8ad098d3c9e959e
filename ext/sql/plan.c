/* plan.c - which way a query reaches its rows.
 *
 * What `key = x` means depends on both sides. SQLite hands a virtual table the value of x
 * as it is, before any affinity, and does not say what affinity x has, if it has one.
 * The comparison it makes in the end is
 *
 *     key column         x               both sides are compared
 *     numeric affinity   any             as numbers, where text looks like one
 *     TEXT               no affinity     as text: a number is printed first
 *     TEXT, BLOB         numeric         as numbers, where text looks like one
 *     TEXT               TEXT, BLOB      as they are
 *     BLOB (untyped)     other           as they are
 *
 * (Literals and parameters have no affinity; columns and CASTs have one.) So, by the type
 * of the value of x:
 *
 * - NULL equals nothing.
 * - A key column of numeric affinity holds no text that looks like a number. x is
 *   converted and looked up: one lookup answers.
 * - Text and blobs otherwise equal only themselves. (An x of numeric affinity whose value
 *   is text that looks like a number would be compared as a number. Columns of ordinary
 *   tables and CASTs never have such a value; a compound subquery, or another virtual
 *   table that declares a type and does not keep to it, can, and then a key written
 *   differently, '042' for '42', is not found.)
 * - A number equals, on an untyped key column, the same number, and on a TEXT one its
 *   printed form. And, if x has numeric affinity, every text key that converts to that
 *   number: '42', '042', '4.2e1'. Not even literals are safe from that, since
 *   sqlite3_vtab_rhs_value() does not tell 42 from CAST(42 AS INTEGER). What a lookup can
 *   do therefore depends on which such texts the table's keys ever had; enum key_text
 *   says so. Usually there are none, or only plainly printed integers, which are one
 *   lookup more. Otherwise nothing but a scan finds them all.
 *
 * SQLITE_INDEX_SCAN_UNIQUE makes SQLite look at the first row only when it updates or
 * deletes. So it is promised only where one lookup is sure to answer.
 *
 * An equality under a finer collation than the key's (BINARY on a NOCASE key) is looked up
 * too: rows equal under BINARY are equal under the key's collation, and SQLite rechecks.
 */
#include "sql/plan.h"

#include <stdlib.h>
#include <string.h>

#include "codec/row_internal.h"

/* At most this many lookups instead of a scan for one set of values. */
#define LOOKUP_COUNT_MAX 8u

/* Of this many constraints of a query SQLite tells whether they are an IN, and hands it over as a
 * whole. */
#define TOLD_COUNT_MAX 32

/* Costs in SQLite's unit, about the effort of one step in a B-tree. */
#define COST_LOOKUP 4.0
#define COST_SCAN_ROW 3.0
#define BATCH_ROW_COUNT 25
#define ROW_COUNT_ASSUMED 1000000

/* ---------------------------------------------------------------- choosing */

int plan_argument_count(const struct table_schema *schema) {
    return schema_has_rowid(schema) ? 1 : schema->key_count;
}

/* The column whose equality is part `part` of the key; -1 also means the rowid. */
static bool is_key_column(const struct table_schema *schema, int column, int part) {
    if (column < 0) {
        return schema_has_rowid(schema);
    }
    return column < schema->column_count && schema->columns[column].key_index == part;
}

static bool is_collation_usable(const struct table_schema *schema, sqlite3_index_info *info,
                                int constraint, int part) {
    const char *collation = sqlite3_vtab_collation(info, constraint);
    if (schema_has_rowid(schema) || collation == NULL ||
        sqlite3_stricmp(collation, "BINARY") == 0) {
        return true;
    }
    return sqlite3_stricmp(collation, schema_collation_name(schema->key[part].collation)) == 0;
}

static bool is_numeric_part(const struct table_schema *schema, int part) {
    if (schema_has_rowid(schema)) {
        return true;
    }
    switch (schema->columns[schema->key[part].column].affinity) {
    case SCHEMA_BLOB:
    case SCHEMA_TEXT:
        return false;
    case SCHEMA_NUMERIC:
    case SCHEMA_INTEGER:
    case SCHEMA_REAL:
        return true;
    }
    return false;
}

/* An equality that may as well be an IN whose values arrive one by one. */
static bool may_hide_list(sqlite3_index_info *info, int constraint) {
    sqlite3_value *value = NULL;
    return constraint >= TOLD_COUNT_MAX &&
           (sqlite3_vtab_rhs_value(info, constraint, &value) != SQLITE_OK || value == NULL);
}

/* The constraint that gives part `part` its value, or -1. One value is better than an IN, and an
 * IN that does not arrive as a whole is none for a part that may hold text: see take_lists(). */
static int find_constraint(const struct table_schema *schema, sqlite3_index_info *info, int part) {
    int found = -1;
    for (int i = 0; i < info->nConstraint; i++) {
        if (info->aConstraint[i].usable == 0 ||
            info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ ||
            !is_key_column(schema, info->aConstraint[i].iColumn, part) ||
            !is_collation_usable(schema, info, i, part) ||
            (may_hide_list(info, i) && !is_numeric_part(schema, part))) {
            continue;
        }
        if (!sqlite3_vtab_in(info, i, -1)) {
            return i;
        }
        found = i;
    }
    return found;
}

/* Whether one lookup is sure to answer, whatever value arrives. A known text or blob is
 * safe: casts to numeric types give numbers. */
static bool is_single_lookup(const struct table_schema *schema, sqlite3_index_info *info,
                             int constraint, int part) {
    sqlite3_value *value = NULL;
    if (is_numeric_part(schema, part)) {
        return true;
    }
    if (sqlite3_vtab_rhs_value(info, constraint, &value) != SQLITE_OK || value == NULL) {
        return false;
    }
    int type = sqlite3_value_type(value);
    return type == SQLITE_TEXT || type == SQLITE_BLOB;
}

/* Whether what lookups find needs no recheck. That of an IN builds the list a second time, and a
 * correlated one for each row. A scan that takes the place of lookups needs it, and so does a
 * number for a part that may hold text: what it equals depends on the affinity of its side. */
static bool is_exact(const struct table_schema *schema, sqlite3_index_info *info, int constraint) {
    if (plan_argument_count(schema) != 1 || !is_numeric_part(schema, 0)) {
        return false;
    }
    const char *collation = sqlite3_vtab_collation(info, constraint);
    return schema_has_rowid(schema) || collation == NULL ||
           sqlite3_stricmp(collation, schema_collation_name(schema->key[0].collation)) == 0;
}

/* Passes the values on in the key's order. False if a part has none, or if the values of one list
 * would be tried with each value of another, which SQLite offers one by one. */
static bool use_key(const struct table_schema *schema, sqlite3_index_info *info, bool *is_unique) {
    int count = plan_argument_count(schema);
    bool has_list = false;
    bool may_have_hidden = false;
    *is_unique = true;
    for (int part = 0; part < count; part++) {
        int constraint = find_constraint(schema, info, part);
        if (constraint < 0) {
            return false;
        }
        has_list = has_list || sqlite3_vtab_in(info, constraint, -1);
        may_have_hidden = may_have_hidden || may_hide_list(info, constraint);
    }
    if (has_list && may_have_hidden) {
        return false;
    }
    for (int part = 0; part < count; part++) {
        int constraint = find_constraint(schema, info, part);
        info->aConstraintUsage[constraint].argvIndex = part + 1;
        info->aConstraintUsage[constraint].omit = is_exact(schema, info, constraint);
        *is_unique = *is_unique && is_single_lookup(schema, info, constraint, part);
    }
    return true;
}

/* Every IN is to arrive as a whole. SQLite would offer its values one by one, too, but then it
 * compares each with the row without the affinity of where it came from: a TEXT key '1.0' would
 * not be found by `key IN (SELECT integer_column ...)`. */
static uint64_t take_lists(const struct table_schema *schema, sqlite3_index_info *info) {
    uint64_t lists = 0;
    for (int part = 0; part < plan_argument_count(schema) && part < PLAN_LIST_COUNT_MAX; part++) {
        if (sqlite3_vtab_in(info, find_constraint(schema, info, part), 1)) {
            lists |= UINT64_C(1) << part;
        }
    }
    return lists;
}

static enum plan_kind choose_plan(const struct table_schema *schema, sqlite3_index_info *info,
                                  uint64_t *lists) {
    bool is_unique;
    *lists = 0;
    if (!use_key(schema, info, &is_unique)) {
        info->estimatedRows = ROW_COUNT_ASSUMED;
        info->estimatedCost = COST_LOOKUP + COST_SCAN_ROW * ROW_COUNT_ASSUMED;
        return PLAN_SCAN;
    }
    *lists = take_lists(schema, info);
    if (*lists != 0) {
        info->estimatedRows = BATCH_ROW_COUNT;
        info->estimatedCost = COST_LOOKUP * BATCH_ROW_COUNT;
        return PLAN_BATCH;
    }
    info->estimatedRows = 1;
    info->estimatedCost = COST_LOOKUP;
    info->idxFlags = is_unique ? SQLITE_INDEX_SCAN_UNIQUE : 0;
    return PLAN_POINT;
}

int plan_best_index(const struct table_schema *schema, sqlite3_index_info *info) {
    uint64_t lists;
    info->idxNum = (int)choose_plan(schema, info, &lists);
    info->idxStr =
        sqlite3_mprintf("%llx %llx", (sqlite3_uint64)info->colUsed, (sqlite3_uint64)lists);
    info->needToFreeIdxStr = 1;
    return info->idxStr == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

struct plan plan_decode(int index_number, const char *index_text) {
    struct plan plan = {.kind = PLAN_SCAN, .columns_used = UINT64_MAX};
    if (index_number == PLAN_POINT || index_number == PLAN_BATCH) {
        plan.kind = (enum plan_kind)index_number;
    }
    if (index_text != NULL) {
        char *rest = NULL;
        plan.columns_used = strtoull(index_text, &rest, 16);
        plan.lists = strtoull(rest, NULL, 16);
    }
    return plan;
}

/* ----------------------------------------------------------------- probing */

/* What one key part can be: nothing, one value, or a few. */
struct candidates {
    struct row_scalar values[2];
    unsigned count;
    bool is_unbounded; /* no list of values covers all matches */
};

static void candidates_finish(struct candidates *candidates) {
    row_scalar_finish(&candidates->values[0]);
    row_scalar_finish(&candidates->values[1]);
}

/* The integer text keys a number equals when it is compared as a number. */
static int add_integer_text(struct candidates *candidates, const struct row_scalar *number) {
    int64_t integer = number->integer;
    if (number->type == ROW_REAL && !row_real_is_integer(number->real, &integer)) {
        return SQLITE_OK;
    }
    struct row_scalar *text = &candidates->values[candidates->count++];
    *text = (struct row_scalar){.type = ROW_INTEGER, .integer = integer};
    return row_scalar_to_text(text, NULL);
}

/* A number for a key part that may hold text. */
static int find_number(enum schema_affinity affinity, sqlite3_value *value, enum key_text text,
                       struct candidates *candidates) {
    int rc = SQLITE_OK;
    if (text == KEY_TEXT_ANY) {
        candidates->is_unbounded = true;
        return SQLITE_OK;
    }
    struct row_scalar number = candidates->values[0];
    if (affinity == SCHEMA_TEXT) {
        rc = row_scalar_to_text(&candidates->values[0], value);
    }
    if (rc == SQLITE_OK && text == KEY_TEXT_CANONICAL) {
        rc = add_integer_text(candidates, &number);
    }
    return rc;
}

static int find_candidates(const struct table_schema *schema, int part, sqlite3_value *value,
                           enum key_text text, struct candidates *candidates) {
    *candidates = (struct candidates){.count = 1};
    struct row_scalar *first = &candidates->values[0];
    int rc = row_scalar_load(value, first);
    if (rc != SQLITE_OK) {
        return rc;
    }
    switch (first->type) {
    case ROW_NULL:
        candidates->count = 0;
        return SQLITE_OK;
    case ROW_TEXT:
        return is_numeric_part(schema, part) ? row_scalar_to_number(first, value) : SQLITE_OK;
    case ROW_BLOB:
        return SQLITE_OK;
    case ROW_INTEGER:
    case ROW_REAL:
        break;
    }
    if (is_numeric_part(schema, part)) {
        return SQLITE_OK;
    }
    return find_number(schema->columns[schema->key[part].column].affinity, value, text, candidates);
}

static int add_key(const struct table_schema *schema, const struct row_scalar *parts,
                   struct key_list *keys) {
    size_t offset;
    int rc = key_list_begin(keys, &offset);
    if (rc == SQLITE_OK) {
        rc = key_encode(schema, parts, &keys->bytes);
    }
    if (rc != SQLITE_OK) {
        return rc;
    }
    if (keys->bytes.size_bytes - offset > FASTER_KEY_BYTES_MAX) {
        /* No row has such a key, and the store would refuse to look for it. */
        keys->bytes.size_bytes = offset;
        return SQLITE_OK;
    }
    key_list_end(keys, offset);
    return SQLITE_OK;
}

/* Adds a key for every way to choose one candidate per part; `choice` counts them. */
static int add_combinations(const struct table_schema *schema, const struct candidates *candidates,
                            size_t combination_count, struct key_list *keys) {
    struct row_scalar *parts = sqlite3_malloc64((size_t)schema->key_count * sizeof *parts);
    int rc = parts == NULL ? SQLITE_NOMEM : SQLITE_OK;
    for (size_t choice = 0; choice < combination_count && rc == SQLITE_OK; choice++) {
        size_t rest = choice;
        for (int i = 0; i < schema->key_count; i++) {
            parts[i] = candidates[i].values[rest % candidates[i].count];
            rest /= candidates[i].count;
        }
        rc = add_key(schema, parts, keys);
    }
    sqlite3_free(parts);
    return rc;
}

/* Decides from all parts. A NULL anywhere means that nothing matches. */
static enum plan_answer answer_of(const struct candidates *candidates, int count,
                                  size_t *combination_count) {
    bool is_unbounded = false;
    *combination_count = 1;
    for (int i = 0; i < count; i++) {
        if (candidates[i].count == 0) {
            return PLAN_NONE;
        }
        *combination_count *= candidates[i].count;
        is_unbounded =
            is_unbounded || candidates[i].is_unbounded || *combination_count > LOOKUP_COUNT_MAX;
        if (is_unbounded) {
            *combination_count = 1;
        }
    }
    return is_unbounded ? PLAN_ALL : PLAN_EXACT;
}

/* Fills `candidates` (zeroed, one per part), answers, and adds the keys. */
static int probe_parts(const struct table_schema *schema, sqlite3_value *const *values,
                       enum key_text text, struct candidates *candidates, struct key_list *keys,
                       enum plan_answer *answer) {
    int rc = SQLITE_OK;
    size_t combination_count;
    for (int i = 0; i < schema->key_count && rc == SQLITE_OK; i++) {
        rc = find_candidates(schema, i, values[i], text, &candidates[i]);
    }
    if (rc != SQLITE_OK) {
        return rc;
    }
    *answer = answer_of(candidates, schema->key_count, &combination_count);
    if (*answer != PLAN_EXACT) {
        return SQLITE_OK;
    }
    size_t count_before = keys->count;
    if (schema->key_count > 1) {
        rc = add_combinations(schema, candidates, combination_count, keys);
    }
    for (unsigned i = 0; schema->key_count == 1 && i < candidates->count && rc == SQLITE_OK; i++) {
        rc = add_key(schema, &candidates->values[i], keys);
    }
    if (keys->count == count_before) {
        *answer = PLAN_NONE;
    }
    return rc;
}

static int probe_key(const struct table_schema *schema, sqlite3_value *const *values,
                     enum key_text text, struct key_list *keys, enum plan_answer *answer) {
    /* A key of one part, the usual one, is looked up without memory of its own. */
    struct candidates single = {.count = 0};
    struct candidates *candidates = &single;
    size_t count = (size_t)schema->key_count;
    if (count > 1) {
        candidates = sqlite3_malloc64(count * sizeof *candidates);
        if (candidates == NULL) {
            return SQLITE_NOMEM;
        }
        memset(candidates, 0, count * sizeof *candidates);
    }
    int rc = probe_parts(schema, values, text, candidates, keys, answer);
    for (size_t i = 0; i < count; i++) {
        candidates_finish(&candidates[i]);
    }
    if (candidates != &single) {
        sqlite3_free(candidates);
    }
    return rc;
}

static int probe_rowid(sqlite3_value *value, struct key_list *keys, enum plan_answer *answer) {
    struct row_scalar scalar;
    unsigned char key[KEY_ROWID_BYTES];
    int rc = row_scalar_load(value, &scalar);
    if (rc == SQLITE_OK) {
        rc = row_scalar_to_number(&scalar, value);
    }
    int64_t rowid = scalar.integer;
    *answer = PLAN_NONE;
    if (rc == SQLITE_OK &&
        (scalar.type == ROW_INTEGER ||
         (scalar.type == ROW_REAL && row_real_is_integer(scalar.real, &rowid)))) {
        size_t offset;
        key_encode_rowid(rowid, key);
        rc = key_list_begin(keys, &offset);
        if (rc == SQLITE_OK) {
            rc = row_buffer_append(&keys->bytes, key, sizeof key);
        }
        if (rc == SQLITE_OK) {
            key_list_end(keys, offset);
            *answer = PLAN_EXACT;
        }
    }
    row_scalar_finish(&scalar);
    return rc;
}

int plan_probe(const struct table_schema *schema, sqlite3_value *const *values, enum key_text text,
               struct key_list *keys, enum plan_answer *answer) {
    *answer = PLAN_ALL;
    return schema_has_rowid(schema) ? probe_rowid(values[0], keys, answer)
                                    : probe_key(schema, values, text, keys, answer);
}
