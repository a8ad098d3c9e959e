/* shared_cache.h - does this connection share SQLite's page cache with others? */
#ifndef FASTER_EXT_SHARED_CACHE_H
#define FASTER_EXT_SHARED_CACHE_H

#include <stdbool.h>

#include "base/sqlite_api.h"

/* True if the connection shares a cache with another one now, or was asked to by the URI of
 * `schema_name`. In a shared cache there are no snapshots: what keeps a reader's transaction apart
 * from a writer's is that it has read, and so locked, the same tables. */
bool shared_cache_is_used(sqlite3 *db, const char *schema_name);

#endif
