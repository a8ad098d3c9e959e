/* store_changes.c - see store_changes.h. */
#include "store/store_changes.h"

#include <string.h>

#include "base/sqlite_durable.h"
#include "store/commit_rows.h"
#include "store/registry.h"
#include "store/store_home.h"

/* A store made or dropped in the open transaction. */
struct store_change {
    struct store_change *next;
    uint8_t uuid[FASTER_UUID_BYTES];
    const void *memory_identity;
    char *schema_name;
    char *directory; /* NULL in memory */
    bool created;    /* else it is dropped */
    bool unwatched;  /* a DROP whose end nobody may be told of: it can be older than the transaction
                      */
    uint64_t device; /* of the database's file */
    uint64_t inode;
    bool synced;  /* xSync has looked: `remains` is valid, and the commit may survive */
    bool remains; /* a table of the schema names this store */
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

bool store_changes_has_created(const struct connection *connection,
                               const uint8_t uuid[FASTER_UUID_BYTES]) {
    const struct store_change *change = find_change(connection, uuid);
    return change != NULL && change->created;
}

/* For garbage.c, should this process end before the change is settled. Without the mark the
 * files would only stay. */
static void mark(const struct store_change *change, bool unsettled) {
    if (change->directory != NULL &&
        faster_store_mark(faster_env_posix(), change->directory, unsettled) != FASTER_OK) {
        sqlite3_log(SQLITE_WARNING, "faster: %s cannot be marked", change->directory);
    }
}

/* The schema's name means the same database as when the change was noted: after DETACH and
 * ATTACH it may be another one. */
static bool same_database(struct connection *connection, const struct store_change *change) {
    struct store_home home;
    if (sqlite3_txn_state(connection->db, change->schema_name) < 0) {
        return false;
    }
    bool same = store_home_of(connection, change->schema_name, &home) == SQLITE_OK &&
                home.place.device == change->device && home.place.inode == change->inode &&
                home.memory_identity == change->memory_identity;
    store_home_finish(&home);
    return same;
}

/* Sets `remains`. SQLITE_OK, or why that is not certain: then it remains. */
static int look_for_table(struct connection *connection, struct store_change *change) {
    char *table_name = NULL;
    if (change->unwatched && !same_database(connection, change)) {
        change->remains = true;
        return SQLITE_OK;
    }
    int rc = commit_rows_find_table(connection, change->schema_name, change->uuid, &table_name);
    change->remains = table_name != NULL || rc != SQLITE_OK;
    sqlite3_free(table_name);
    return rc;
}

int store_changes_sync(struct connection *connection) {
    int rc = SQLITE_OK;
    for (struct store_change *change = connection->changes; change != NULL && rc == SQLITE_OK;
         change = change->next) {
        int search_rc = look_for_table(connection, change);
        change->synced = true;
        if (!change->remains && !change->created) {
            mark(change, true);
        }
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
        } else if (!committed && change->unwatched) {
            change->synced = false; /* its own transaction may have been committed before */
            change->next = connection->changes;
            connection->changes = change;
            change = next;
            continue;
        } else if (undone) {
            gone(connection, change->uuid);
        } else if (!change->unwatched || same_database(connection, change)) {
            /* Created and committed, or a DROP that was rolled back: in doubt, files may stay. */
            mark(change, false);
        }
        free_change(change);
        change = next;
    }
}

void store_changes_settle_unwatched(struct connection *connection, store_changes_gone_fn *gone) {
    struct store_change **link = &connection->changes;
    while (*link != NULL) {
        struct store_change *change = *link;
        /* Who has the write lock may still be in the transaction with the DROP. */
        if (!change->unwatched ||
            sqlite3_txn_state(connection->db, change->schema_name) == SQLITE_TXN_WRITE ||
            look_for_table(connection, change) != SQLITE_OK) {
            link = &change->next;
            continue;
        }
        *link = change->next;
        if (!change->remains) {
            remove_store(connection, change);
            gone(connection, change->uuid);
        } else if (same_database(connection, change)) {
            mark(change, false);
        }
        free_change(change);
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
                       const uint8_t uuid[FASTER_UUID_BYTES], const struct store_home *home,
                       const char *directory, bool created) {
    if (find_change(connection, uuid) != NULL) {
        return SQLITE_OK;
    }
    struct store_change *change = sqlite3_malloc64(sizeof(*change));
    if (change == NULL) {
        return SQLITE_NOMEM;
    }
    *change = (struct store_change){.memory_identity = home->memory_identity,
                                    .device = home->place.device,
                                    .inode = home->place.inode,
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
                              const uint8_t uuid[FASTER_UUID_BYTES], const struct store_home *home,
                              const char *directory) {
    connection->schema_changed = true;
    return note_change(connection, schema_name, uuid, home, directory, true);
}

int store_changes_note_drop(struct connection *connection, const char *schema_name,
                            const uint8_t uuid[FASTER_UUID_BYTES], const struct store_home *home,
                            const char *directory, bool watched) {
    int rc = note_change(connection, schema_name, uuid, home, directory, false);
    if (watched) {
        connection->schema_changed = true;
        return rc;
    }
    registry_schema_changed();
    if (rc == SQLITE_OK) {
        struct store_change *change = find_change(connection, uuid);
        change->unwatched = !change->created;
        mark(change, true);
    }
    return rc;
}
