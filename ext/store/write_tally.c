/* write_tally.c - see write_tally.h. */
#include "store/write_tally.h"

#include <stddef.h>

#include "base/sqlite_api.h"

#define MARK_COUNT_MIN 8

static int reserve(struct write_tally *tally, int count) {
    if (count <= tally->mark_capacity) {
        return SQLITE_OK;
    }
    int capacity = count < MARK_COUNT_MIN ? MARK_COUNT_MIN : 2 * count;
    uint64_t *marks =
        sqlite3_realloc64(tally->marks, (sqlite3_uint64)capacity * sizeof(*tally->marks));
    if (marks == NULL) {
        return SQLITE_NOMEM;
    }
    tally->marks = marks;
    tally->mark_capacity = capacity;
    return SQLITE_OK;
}

int write_tally_savepoint(struct write_tally *tally, int level) {
    int rc = reserve(tally, level + 1);
    while (rc == SQLITE_OK && tally->mark_count <= level) {
        tally->marks[tally->mark_count++] = tally->written;
    }
    return rc;
}

void write_tally_release(struct write_tally *tally, int level) {
    if (tally->mark_count > level) {
        tally->mark_count = level < 0 ? 0 : level;
    }
}

/* What was written since counts as written no more: a second rollback is not about it. */
void write_tally_rollback_to(struct write_tally *tally, int level) {
    uint64_t before = level >= 0 && level < tally->mark_count ? tally->marks[level] : 0;
    tally->kept += tally->written - before;
    tally->written = before;
    write_tally_release(tally, level + 1);
}

uint64_t write_tally_end(struct write_tally *tally, bool committed) {
    uint64_t kept = tally->kept + (committed ? 0 : tally->written);
    tally->written = 0;
    tally->kept = 0;
    tally->mark_count = 0;
    return kept;
}

void write_tally_finish(struct write_tally *tally) {
    sqlite3_free(tally->marks);
    *tally = (struct write_tally){0};
}
