/* plan.h - which way a query reaches its rows.
 *
 * plan_best_index() is xBestIndex. The plan it chooses is only an offer: the right side
 * of `key = x` arrives without the key's affinity, and the comparison may convert the
 * key's side, so plan_probe() decides at xFilter, when the value is known, whether a
 * point lookup answers the question. SQLite rechecks every constraint but those on a numeric
 * key of one column, so that elsewhere a lookup may find too much but never too little. plan.c
 * explains the cases.
 */
#ifndef FASTER_EXT_PLAN_H
#define FASTER_EXT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sqlite_api.h"
#include "codec/key_list.h"
#include "codec/row_codec.h"
#include "codec/schema.h"

enum plan_kind {
    PLAN_SCAN = 0,  /* all rows; no arguments */
    PLAN_POINT = 1, /* key = x; arguments: one value per key part, in the key's order */
    PLAN_BATCH = 2  /* the same with at least one IN (...): see plan.lists */
};

/* What xFilter gets through idxNum and idxStr. */
struct plan {
    enum plan_kind kind;
    uint64_t columns_used; /* sqlite3_index_info.colUsed: bit 63 stands for all above 62 */
    uint64_t lists;        /* PLAN_BATCH: bit i is set if argument i is a whole IN, to be read with
                              sqlite3_vtab_in_first() and sqlite3_vtab_in_next() */
};

/* Bits of plan.lists: an IN on a later part is left to SQLite. */
#define PLAN_LIST_COUNT_MAX 64

static inline bool plan_has_list(const struct plan *plan, int part) {
    return part < PLAN_LIST_COUNT_MAX && (plan->lists >> part & 1) != 0;
}

/* xBestIndex. Fills `info`, idxStr included.
 * An unusable constraint is simply not used: a scan never needs one, so no combination
 * is refused with SQLITE_CONSTRAINT. SQLITE_OK, SQLITE_NOMEM. */
int plan_best_index(const struct table_schema *schema, sqlite3_index_info *info);

/* The plan behind idxNum and idxStr, as plan_best_index() wrote them. */
struct plan plan_decode(int index_number, const char *index_text);

/* The number of arguments of PLAN_POINT: key_count, and 1 for rowid tables. */
int plan_argument_count(const struct table_schema *schema);

enum plan_answer {
    PLAN_EXACT, /* every match is among the keys that were appended */
    PLAN_NONE,  /* nothing can match; no key was appended */
    PLAN_ALL    /* no lookup can answer this: scan; no key was appended. For PLAN_BATCH one
                   such value turns the whole batch into a scan. */
};

/* Appends the keys that can equal `values` (plan_argument_count() of them; for PLAN_BATCH
 * one choice from its lists). `text` is what the table knows of its keys, see key_text_of();
 * it must cover everything the cursor can see. The values must be protected and do not
 * change. Two values of an IN may find the same row, which SQLite would return twice: after the
 * last call, and before the lookups, call key_list_unique(). SQLITE_OK with *answer, SQLITE_NOMEM,
 * SQLITE_TOOBIG. */
int plan_probe(const struct table_schema *schema, sqlite3_value *const *values, enum key_text text,
               struct key_list *keys, enum plan_answer *answer);

#endif
