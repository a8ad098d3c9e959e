/* statistics.h - faster_stats(), a table-valued function. */
#ifndef FASTER_EXT_STATISTICS_H
#define FASTER_EXT_STATISTICS_H

#include "store/connection.h"

/* Registers it; SQLite's result code. */
int statistics_register(struct connection *connection);

#endif
