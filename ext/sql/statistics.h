/* statistics.h - faster_stats(t): name, value, unit, help. */
#ifndef FASTER_EXT_STATISTICS_H
#define FASTER_EXT_STATISTICS_H

#include "sql/listing.h"

extern const struct listing_kind STATISTICS_LISTING;

#endif
