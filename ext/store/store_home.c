/* store_home.c - see store_home.h. */
#include "store/store_home.h"

#include <string.h>

#include "base/system.h"

/* A database without a file is told apart by its SQLite file object, which connections that
 * share a cache also share. */
static const void *memory_identity_of(struct connection *connection, const char *schema_name) {
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(connection->db, schema_name, SQLITE_FCNTL_FILE_POINTER, &file);
    return rc == SQLITE_OK && file != NULL ? (const void *)file : (const void *)connection;
}

/* A name that is no file: the memdb VFS shares databases by name within the process. */
static void place_of_name(const char *name, struct faster_place *place) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (const char *c = name; *c != '\0'; c++) {
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    }
    *place = (struct faster_place){.device = UINT64_MAX, .inode = hash};
}

int store_home_of(struct connection *connection, const char *schema_name, struct store_home *home) {
    *home = (struct store_home){0};
    const char *file_name = sqlite3_db_filename(connection->db, schema_name);
    if (file_name == NULL || file_name[0] == '\0') {
        home->memory_identity = memory_identity_of(connection, schema_name);
        return SQLITE_OK;
    }
    enum faster_status status = faster_place_fill(faster_env_posix(), file_name, &home->place);
    if (status == FASTER_MISSING) {
        place_of_name(file_name, &home->place);
        return SQLITE_OK;
    }
    if (status != FASTER_OK) {
        return connection_engine_error(connection, file_name, status, NULL);
    }
    home->default_parent = sqlite3_mprintf("%s-faster", home->place.path);
    return home->default_parent == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

void store_home_finish(struct store_home *home) {
    sqlite3_free(home->default_parent);
    *home = (struct store_home){0};
}

char *store_home_directory(const struct store_home *home, const char *path,
                           const uint8_t uuid[FASTER_UUID_BYTES], int *rc) {
    char text[FASTER_UUID_TEXT_BYTES];
    *rc = SQLITE_OK;
    if (home->default_parent == NULL) {
        return NULL;
    }
    faster_uuid_text(uuid, text);
    char *directory = NULL;
    if (path == NULL || path[0] == '\0') {
        directory = sqlite3_mprintf("%s/%s", home->default_parent, text);
    } else if (path[0] == '/') {
        directory = sqlite3_mprintf("%s/%s", path, text);
    } else {
        const char *slash = strrchr(home->place.path, '/');
        int parent_bytes = slash == NULL ? 0 : (int)(slash - home->place.path);
        directory = sqlite3_mprintf("%.*s/%s/%s", parent_bytes, home->place.path, path, text);
    }
    if (directory == NULL) {
        *rc = SQLITE_NOMEM;
    }
    return directory;
}

struct faster_options store_home_options(struct connection *connection,
                                         const struct schema_options *given,
                                         const struct store_home *home) {
    bool has_file = home->default_parent != NULL;
    return (struct faster_options){.writes = given->writes,
                                   .memory_bytes = given->memory_bytes,
                                   .page_bytes = given->page_bytes,
                                   .segment_bytes = given->segment_bytes,
                                   .inline_commit_bytes = given->inline_commit_bytes,
                                   .checkpoint_bytes = given->checkpoint_bytes,
                                   .checkpoint_interval_ms =
                                       given->checkpoint_interval_seconds * 1000u,
                                   /* A connection that only reads shares the store with others that
                                    * write, so the file decides and not the connection. */
                                   .read_only = has_file && !system_may_write(home->place.path),
                                   .owner_path = has_file ? home->place.path : NULL,
                                   .place = home->place,
                                   .lock_wait_ns = connection_busy_timeout_ns(connection),
                                   .interrupt = connection_interrupted,
                                   .interrupt_context = connection,
                                   .diagnostic = connection_diagnostic};
}
