/* store_changes.c - see store_changes.h. */
#include "store/store_changes.h"

#include <string.h>

#include "base/sqlite_durable.h"
#include "store/commit_rows.h"
#include "store/registry.h"

/* A store made or dropped in the open transaction. */
struct store_change {
    struct store_change *next;
    uint8_t uuid[FASTER_UUID_BYTES];
    const void *memory_identity;
    char *schema_name;
    char *directory; /* NULL in memory */
    bool created;    /* else it is dropped */
    bool synced;     /* xSync has looked: `remains` is valid, and the commit may survive */
    bool remains;    /* a table of the schema names this store */
};

static struct store_change *find_change(const struct connection *connection,
                                        const uint8_t uuid[FASTER_UUID_BYTES]) {
    struct store_change *change = connection->changes;
    while (change != NULL && memcmp(change->uuid, uuid, FASTER_UUID_BYTES) != 0) {
        change = change->next;
    }
    return change;
}

bool store_changes_has(const struct connection *connection, const uint8_t uuid[FASTER_UUID_BYTES]) {
    return find_change(connection, uuid) != NULL;
}

/* For garbage.c, should this process end before the change is settled. Without the mark the
 * files would only stay. */
static void mark(const struct store_change *change, bool unsettled) {
    if (change->directory != NULL &&
        faster_store_mark(faster_env_posix(), change->directory, unsettled) != FASTER_OK) {
        sqlite3_log(SQLITE_WARNING, "faster: %s cannot be marked", change->directory);
    }
}

int store_changes_sync(struct connection *connection) {
    int rc = SQLITE_OK;
    for (struct store_change *change = connection->changes; change != NULL && rc == SQLITE_OK;
         change = change->next) {
        char *table_name = NULL;
        int search_rc =
            commit_rows_find_table(connection, change->schema_name, change->uuid, &table_name);
        change->remains = table_name != NULL || search_rc != SQLITE_OK;
        change->synced = true;
        if (!change->remains && !change->created) {
            mark(change, true);
        }
        sqlite3_free(table_name);
        if (search_rc != SQLITE_OK) {
            rc = connection_check_writing(connection, change->schema_name, search_rc);
        }
    }
    return rc;
}

bool store_changes_dropped(const struct connection *connection,
                           const uint8_t uuid[FASTER_UUID_BYTES]) {
    const struct store_change *change = find_change(connection, uuid);
    return change != NULL && change->synced && !change->remains;
}

static void free_change(struct store_change *change) {
    sqlite3_free(change->schema_name);
    sqlite3_free(change->directory);
    sqlite3_free(change);
}

/* The store has no table in what was committed, or rolled back: its files go, unless a power
 * cut could bring the table back. */
static void remove_store(const struct connection *connection, const struct store_change *change) {
    bool removable = true;
    if (!change->created && change->directory != NULL) {
        removable = sqlite_durable(connection->db, change->schema_name) == SQLITE_OK;
    }
    if (removable) {
        registry_drop(change->uuid, change->memory_identity, change->directory);
    }
}

void store_changes_settle(struct connection *connection, bool committed,
                          store_changes_gone_fn *gone) {
    struct store_change *change = connection->changes;
    connection->changes = NULL;
    while (change != NULL) {
        struct store_change *next = change->next;
        bool undone = !committed && change->created;
        if ((committed && change->synced && !change->remains) || (undone && !change->synced)) {
            remove_store(connection, change);
            gone(connection, change->uuid);
        } else if (undone) {
            gone(connection, change->uuid);
        } else {
            /* Created and committed, or a DROP that was rolled back: in doubt, files may stay. */
            mark(change, false);
        }
        free_change(change);
        change = next;
    }
}

void store_changes_forget(struct connection *connection) {
    while (connection->changes != NULL) {
        struct store_change *change = connection->changes;
        connection->changes = change->next;
        free_change(change);
    }
}

static int note_change(struct connection *connection, const char *schema_name,
                       const uint8_t uuid[FASTER_UUID_BYTES], const void *memory_identity,
                       const char *directory, bool created) {
    connection->schema_changed = true;
    if (find_change(connection, uuid) != NULL) {
        return SQLITE_OK;
    }
    struct store_change *change = sqlite3_malloc64(sizeof(*change));
    if (change == NULL) {
        return SQLITE_NOMEM;
    }
    *change = (struct store_change){.memory_identity = memory_identity,
                                    .schema_name = sqlite3_mprintf("%s", schema_name),
                                    .directory =
                                        directory == NULL ? NULL : sqlite3_mprintf("%s", directory),
                                    .created = created};
    memcpy(change->uuid, uuid, FASTER_UUID_BYTES);
    if (change->schema_name == NULL || (change->directory == NULL && directory != NULL)) {
        free_change(change);
        return SQLITE_NOMEM;
    }
    change->next = connection->changes;
    connection->changes = change;
    return SQLITE_OK;
}

int store_changes_note_create(struct connection *connection, const char *schema_name,
                              const uint8_t uuid[FASTER_UUID_BYTES], const void *memory_identity,
                              const char *directory) {
    return note_change(connection, schema_name, uuid, memory_identity, directory, true);
}

int store_changes_note_drop(struct connection *connection, const char *schema_name,
                            const uint8_t uuid[FASTER_UUID_BYTES], const void *memory_identity,
                            const char *directory) {
    return note_change(connection, schema_name, uuid, memory_identity, directory, false);
}
