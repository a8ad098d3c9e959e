/* statistics.c - faster_stats(t): the figures of a table's store. */
#include "sql/statistics.h"

#define STAT_COUNT_MAX 256

static int fill(struct table *table, struct listing *listing) {
    struct attachment *attachment = NULL;
    int rc = table_attach(table, &attachment);
    if (rc == SQLITE_OK && !attachment->met) {
        rc = attachment_meet(attachment, &table->rows, true);
    }
    if (rc != SQLITE_OK) {
        return rc;
    }
    struct faster_stat stats[STAT_COUNT_MAX];
    size_t count = faster_store_stats(attachment->store, stats, STAT_COUNT_MAX);
    for (size_t i = 0; i < count && i < STAT_COUNT_MAX; i++) {
        listing_add_constant(listing, stats[i].name);
        listing_add_integer(listing, stats[i].value);
        listing_add_constant(listing, stats[i].unit);
        listing_add_constant(listing, stats[i].help);
    }
    return SQLITE_OK;
}

const struct listing_kind STATISTICS_LISTING = {
    .name = "faster_stats",
    .columns = "name TEXT, value INTEGER, unit TEXT, help TEXT",
    .column_count = 4,
    .fill = fill,
};
