/* shared_cache.c - see shared_cache.h. */
#include "base/shared_cache.h"

#include <string.h>

static bool is_asked_for(sqlite3 *db, const char *schema_name) {
    const char *file_name = sqlite3_db_filename(db, schema_name);
    const char *cache = file_name == NULL ? NULL : sqlite3_uri_parameter(file_name, "cache");
    return cache != NULL && strcmp(cache, "shared") == 0;
}

/* SQLITE_OPEN_SHAREDCACHE and sqlite3_enable_shared_cache() leave no trace but this: of the two
 * figures the second one counts a connection's part of a cache that it shares. */
static bool is_shared_now(sqlite3 *db) {
    int whole = 0;
    int part = 0;
    int highwater;
    return sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_USED, &whole, &highwater, 0) == SQLITE_OK &&
           sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_USED_SHARED, &part, &highwater, 0) ==
               SQLITE_OK &&
           whole != part;
}

bool shared_cache_is_used(sqlite3 *db, const char *schema_name) {
    return is_asked_for(db, schema_name) || is_shared_now(db);
}
