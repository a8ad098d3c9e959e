/* store_home.h - where a database's stores are, and how they are opened. */
#ifndef FASTER_EXT_STORE_HOME_H
#define FASTER_EXT_STORE_HOME_H

#include "codec/schema.h"
#include "faster.h"
#include "store/connection.h"

/* Where a database's stores are. */
struct store_home {
    struct faster_place place;   /* all zero without a file */
    const void *memory_identity; /* tells databases without a file apart; else NULL */
    char *default_parent;        /* sqlite3_malloc; NULL without a file */
};
/* SQLITE_OK, or a failure with its message in the connection. */
int store_home_of(struct connection *connection, const char *schema_name, struct store_home *home);
void store_home_finish(struct store_home *home);
/* The directory of a store: sqlite3_malloc, NULL in memory or without memory (*rc tells).
 * `path` is the option as given, "" or NULL for the default. */
char *store_home_directory(const struct store_home *home, const char *path,
                           const uint8_t uuid[FASTER_UUID_BYTES], int *rc);
/* What to open a store with, except directory and UUID; `given` are the table's options. */
struct faster_options store_home_options(struct connection *connection,
                                         const struct schema_options *given,
                                         const struct store_home *home);

#endif
