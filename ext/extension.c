/* extension.c - where SQLite enters: registers everything with one connection.
 *
 * Loaded as faster.so, SQLite calls sqlite3_faster_init() for each connection that loads it.
 * A program that links SQLite itself builds these files with FASTER_STATIC, declares the
 * same function and calls it with (db, NULL, NULL), or hands it to sqlite3_auto_extension().
 */
#ifdef FASTER_STATIC
#include "sqlite3.h"
#define SQLITE_EXTENSION_INIT1
typedef struct sqlite3_api_routines sqlite3_api_routines;
#else
#include "sqlite3ext.h"
#endif
SQLITE_EXTENSION_INIT1

#include <pthread.h>

#include "module.h"
#include "sql/checkpoints.h"
#include "sql/findings.h"
#include "sql/functions.h"
#include "sql/mget.h"
#include "sql/sessions.h"
#include "sql/statistics.h"
#include "store/connection.h"
#include "store/registry.h"
#include "table/transaction.h"
#include "table/watcher.h"

#define SQLITE_VERSION_MIN 3038000

__attribute__((visibility("default"))) int sqlite3_faster_init(sqlite3 *db, char **error,
                                                               const sqlite3_api_routines *api);

#ifndef FASTER_STATIC
/* Every load brings the same table of functions. It is written once, under a lock, for
 * connections on other threads may be using it. */
static void set_api(const sqlite3_api_routines *api) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    (void)pthread_mutex_lock(&mutex);
    if (sqlite3_api != api) {
        SQLITE_EXTENSION_INIT2(api)
    }
    (void)pthread_mutex_unlock(&mutex);
}
#endif

static int register_all(struct connection *connection) {
    int rc = module_register(connection);
    rc = rc == SQLITE_OK ? watcher_register(connection) : rc;
    rc = rc == SQLITE_OK ? listing_register(connection, &STATISTICS_LISTING) : rc;
    rc = rc == SQLITE_OK ? listing_register(connection, &FINDINGS_LISTING) : rc;
    rc = rc == SQLITE_OK ? listing_register(connection, &CHECKPOINTS_LISTING) : rc;
    rc = rc == SQLITE_OK ? listing_register(connection, &SESSIONS_LISTING) : rc;
    rc = rc == SQLITE_OK ? mget_register(connection) : rc;
    return rc == SQLITE_OK ? functions_register(connection) : rc;
}

int sqlite3_faster_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
#ifdef FASTER_STATIC
    (void)api;
#else
    set_api(api);
#endif
    if (sqlite3_libversion_number() < SQLITE_VERSION_MIN) {
        if (error != NULL) {
            *error = sqlite3_mprintf("faster needs SQLite 3.38 or newer, this is %s",
                                     sqlite3_libversion());
        }
        return SQLITE_ERROR;
    }
    if (connection_exists(db)) {
        return SQLITE_OK; /* loaded twice: one set of transactions is enough */
    }
    registry_initialise();
    struct connection *connection = connection_create(db, transaction_abandon);
    if (connection == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = register_all(connection);
    connection_release(connection);
    return rc;
}
