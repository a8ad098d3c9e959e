/* garbage.c - see garbage.h.
 *
 * A wrong guess here destroys data, so a directory goes only if all of this holds: its name is
 * a UUID; it is marked, so a CREATE or a DROP of this store began and was cut short (a
 * store without that mark may belong to another version of the database file, before it was
 * moved away or restored); every FASTER table of the schema could be read and none names it,
 * among them the one that is in use (an authorizer may hide the schema's rows); the open
 * transaction did not create or drop it; no connection of this process has it open; nobody
 * else holds its lock (faster_store_remove() looks); and what SQLite has committed is safe
 * from a power cut, so no dropped table can come back.
 */
#include "store/garbage.h"

#include <string.h>

#include "base/sqlite_durable.h"
#include "store/commit_rows.h"
#include "store/registry.h"
#include "store/store_changes.h"

struct uuid_list {
    uint8_t (*uuids)[FASTER_UUID_BYTES];
    size_t count;
    size_t capacity;
    bool failed; /* out of memory: the list is not complete */
};

static void append(struct uuid_list *list, const uint8_t uuid[FASTER_UUID_BYTES]) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        void *grown = sqlite3_realloc64(list->uuids, capacity * FASTER_UUID_BYTES);
        if (grown == NULL) {
            list->failed = true;
            return;
        }
        list->uuids = grown;
        list->capacity = capacity;
    }
    memcpy(list->uuids[list->count++], uuid, FASTER_UUID_BYTES);
}

static bool contains(const struct uuid_list *list, const uint8_t uuid[FASTER_UUID_BYTES]) {
    for (size_t i = 0; i < list->count; i++) {
        if (memcmp(list->uuids[i], uuid, FASTER_UUID_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

static void append_directory(void *context, const uint8_t uuid[FASTER_UUID_BYTES]) {
    append(context, uuid);
}

static bool append_table(void *context, const char *table_name,
                         const uint8_t uuid[FASTER_UUID_BYTES]) {
    (void)table_name;
    append(context, uuid);
    return true;
}

static void remove_orphan(const char *parent, const uint8_t uuid[FASTER_UUID_BYTES]) {
    char text[FASTER_UUID_TEXT_BYTES];
    faster_uuid_text(uuid, text);
    char *directory = sqlite3_mprintf("%s/%s", parent, text);
    if (directory != NULL && faster_store_is_marked(faster_env_posix(), directory)) {
        struct faster_error error = {0};
        if (faster_store_remove(faster_env_posix(), directory, uuid, &error) == FASTER_OK) {
            sqlite3_log(SQLITE_NOTICE, "faster: removed %s, which no table uses", directory);
        }
    }
    sqlite3_free(directory);
}

static void remove_orphans(struct connection *connection, const char *schema_name,
                           const char *parent, const struct uuid_list *directories,
                           const struct uuid_list *tables) {
    bool durable = false;
    for (size_t i = 0; i < directories->count; i++) {
        const uint8_t *uuid = directories->uuids[i];
        if (contains(tables, uuid) || store_changes_has(connection, uuid) ||
            registry_is_open(uuid)) {
            continue;
        }
        durable = durable || sqlite_durable(connection->db, schema_name) == SQLITE_OK;
        if (!durable) {
            return;
        }
        remove_orphan(parent, uuid);
    }
}

void garbage_collect(struct connection *connection, const char *schema_name, const char *parent,
                     const uint8_t known[FASTER_UUID_BYTES]) {
    struct uuid_list directories = {0};
    struct uuid_list tables = {0};
    enum faster_status status =
        faster_store_list(faster_env_posix(), parent, append_directory, &directories);
    if (status == FASTER_OK && directories.count > 0 &&
        commit_rows_each_table(connection, schema_name, append_table, &tables) == SQLITE_OK &&
        !tables.failed && contains(&tables, known)) {
        remove_orphans(connection, schema_name, parent, &directories, &tables);
    }
    sqlite3_free(directories.uuids);
    sqlite3_free(tables.uuids);
}
