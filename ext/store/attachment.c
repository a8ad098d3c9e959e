/* attachment.c - see attachment.h. */
#include "store/attachment.h"

#include <stdio.h>
#include <string.h>

#include "base/shared_cache.h"
#include "store/due_checkpoint.h"
#include "store/store_changes.h"
#include "store/store_home.h"

/* ------------------------------------------------------------------- life */

static void close_session(struct attachment *attachment) {
    faster_snapshot_close(&attachment->now);
    registry_close_session(attachment->entry, attachment->session);
    attachment->session = NULL;
}

void attachment_destroy(struct attachment *attachment) {
    struct attachment **link = &attachment->connection->attachments;
    while (*link != attachment) {
        link = &(*link)->next;
    }
    *link = attachment->next;
    held_release(&attachment->held);
    write_tally_finish(&attachment->tally);
    if (!registry_forked()) {
        close_session(attachment);
        registry_release(attachment->entry);
    }
    sqlite3_free(attachment->schema_name);
    sqlite3_free(attachment->table_name);
    sqlite3_free(attachment->parent);
    sqlite3_free(attachment);
}

static void destroy_if_unused(struct attachment *attachment) {
    if (attachment->ended && attachment->table_count == 0 && attachment->views == NULL &&
        attachment->txn == NULL) {
        attachment_destroy(attachment);
    }
}

void attachment_end(struct attachment *attachment) {
    attachment->ended = true;
    destroy_if_unused(attachment);
}

void attachment_end_of_store(struct connection *connection, const uint8_t uuid[FASTER_UUID_BYTES]) {
    struct attachment *next = NULL;
    for (struct attachment *attachment = connection->attachments; attachment != NULL;
         attachment = next) {
        next = attachment->next;
        if (memcmp(attachment->uuid, uuid, FASTER_UUID_BYTES) == 0) {
            attachment_end(attachment);
        }
    }
}

/* No table object will come back: the schema's name is unknown once its database was detached,
 * and another connection may have dropped the table. */
static bool is_over(const struct attachment *attachment) {
    return sqlite3_txn_state(attachment->connection->db, attachment->schema_name) < 0 ||
           (!registry_forked() && registry_is_dropped(attachment->entry));
}

/* Later, when the store is closed, the database may be closed already: this is the last moment at
 * which a commit can be made safe. */
static void take_last_checkpoint(struct attachment *attachment) {
    if (!registry_forked() && registry_is_last(attachment->entry)) {
        due_checkpoint_before_close(attachment->connection->db, attachment->schema_name,
                                    attachment->table_name, attachment->store);
    }
}

void attachment_release(struct attachment *attachment) {
    if (attachment == NULL) {
        return;
    }
    attachment->table_count--;
    if (attachment->table_count == 0 && attachment->txn == NULL && attachment->views == NULL &&
        !attachment->direct) {
        take_last_checkpoint(attachment);
    }
    if (attachment->table_count == 0 && attachment->txn == NULL && is_over(attachment)) {
        attachment->ended = true;
    }
    destroy_if_unused(attachment);
}

void attachment_set_table_name(struct attachment *attachment, const char *table_name) {
    char *copy = attachment == NULL ? NULL : sqlite3_mprintf("%s", table_name);
    if (copy != NULL) {
        sqlite3_free(attachment->table_name);
        attachment->table_name = copy;
    }
}

static enum faster_status open_session(struct attachment *attachment) {
    enum faster_status status =
        registry_open_session(attachment->entry, attachment->session_name, &attachment->session);
    if (status == FASTER_OK && attachment->direct) {
        status = faster_snapshot_open_newest(attachment->session, &attachment->now);
        if (status != FASTER_OK) {
            close_session(attachment);
        }
    }
    return status;
}

/* The names change places, so that it goes on with the old one if it cannot have the new one. */
enum faster_status attachment_rename_session(struct attachment *attachment, const char *name) {
    char former[FASTER_SESSION_NAME_BYTES];
    if (name != NULL && (name[0] == '\0' || strlen(name) >= sizeof former)) {
        return FASTER_INVALID;
    }
    if (strcmp(name == NULL ? "" : name, attachment->session_name) == 0) {
        return FASTER_OK;
    }
    memcpy(former, attachment->session_name, sizeof former);
    close_session(attachment);
    (void)snprintf(attachment->session_name, sizeof former, "%s", name == NULL ? "" : name);
    const enum faster_status status = open_session(attachment);
    if (status != FASTER_OK) {
        memcpy(attachment->session_name, former, sizeof former);
        (void)!open_session(attachment); /* else with the next use */
    }
    return status;
}

int attachment_wake(struct attachment *attachment) {
    if (attachment->session != NULL) {
        return SQLITE_OK;
    }
    enum faster_status status = open_session(attachment);
    return status == FASTER_OK ? SQLITE_OK
                               : connection_engine_error(attachment->connection,
                                                         attachment->table_name, status, NULL);
}

void attachment_rest(struct attachment *attachment) {
    if (attachment != NULL && attachment->views == NULL && attachment->txn == NULL &&
        attachment->session_name[0] == '\0' && !registry_forked() &&
        registry_is_crowded(attachment->entry)) {
        close_session(attachment);
    }
}

/* A table of a committed schema uses the store: the CREATE that a crash cut short after its
 * commit, or the DROP before it, is settled. A mark that stays does no harm while it is used. */
static void settle_mark(const struct connection *connection, const char *directory,
                        const uint8_t uuid[FASTER_UUID_BYTES]) {
    if (!store_changes_has(connection, uuid) &&
        faster_store_is_marked(faster_env_posix(), directory) &&
        faster_store_mark(faster_env_posix(), directory, false) != FASTER_OK) {
        sqlite3_log(SQLITE_WARNING, "faster: the mark in %s stays", directory);
    }
}

/* What was declared, and what has been set since. The copy borrows the strings. */
static struct schema_options options_in_force(const struct schema_options *declared,
                                              const struct commit_rows_config *config) {
    struct schema_options options = *declared;
    for (int i = 0; i < SCHEMA_SETTING_COUNT; i++) {
        if (config->has_setting[i]) {
            schema_setting_apply((enum schema_setting)i, config->setting_bytes[i], &options);
        }
    }
    return options;
}

/* How a store is written is part of what its bytes mean. */
static int check_discipline(const struct attachment *attachment, enum faster_writes declared,
                            const char *directory) {
    enum faster_writes found = faster_store_writes(registry_store(attachment->entry));
    return found == declared
               ? SQLITE_OK
               : connection_error(attachment->connection, SQLITE_CORRUPT_VTAB,
                                  "%s: the table is declared writes='%s', but its store %s%swas "
                                  "made with writes='%s': this is not the table's store",
                                  attachment->table_name, schema_writes_name(declared),
                                  directory == NULL ? "" : directory, directory == NULL ? "" : " ",
                                  schema_writes_name(found));
}

static int open_store(struct attachment *attachment, const struct schema_options *declared,
                      const struct store_home *home, const struct commit_rows_config *config) {
    struct connection *connection = attachment->connection;
    const struct schema_options given = options_in_force(declared, config);
    int rc;
    char *directory = store_home_directory(home, config->path, attachment->uuid, &rc);
    if (rc != SQLITE_OK) {
        return rc;
    }
    struct faster_error error = {0};
    struct faster_options options = store_home_options(connection, &given, home);
    options.directory = directory;
    memcpy(options.uuid, attachment->uuid, FASTER_UUID_BYTES);
    enum faster_status status =
        registry_acquire(&options, home->memory_identity, &attachment->entry, &error);
    if (status == FASTER_READ_ONLY && !options.read_only) {
        options.read_only = true;
        status = registry_acquire(&options, home->memory_identity, &attachment->entry, &error);
    }
    rc = status == FASTER_OK
             ? check_discipline(attachment, given.writes, directory)
             : connection_engine_error(connection, attachment->table_name, status, error.message);
    if (rc == SQLITE_OK && directory != NULL && !options.read_only) {
        settle_mark(connection, directory, attachment->uuid);
    }
    sqlite3_free(directory);
    if (rc != SQLITE_OK) {
        return rc;
    }
    attachment->store = registry_store(attachment->entry);
    attachment->direct = given.writes == FASTER_WRITES_DIRECT;
    attachment->read_only = sqlite3_db_readonly(connection->db, attachment->schema_name) == 1;
    held_init(&attachment->held, connection->db, attachment->schema_name, attachment->store,
              registry_keeper(attachment->entry));
    return SQLITE_OK;
}

/* Everything but the store; NULL without memory. */
static struct attachment *attachment_create(const struct commit_rows *rows,
                                            const struct store_home *home,
                                            const uint8_t uuid[FASTER_UUID_BYTES]) {
    struct attachment *attachment = sqlite3_malloc64(sizeof(*attachment));
    if (attachment == NULL) {
        return NULL;
    }
    *attachment = (struct attachment){
        .connection = rows->connection,
        .schema_name = sqlite3_mprintf("%s", rows->schema_name),
        .table_name = sqlite3_mprintf("%s", rows->table_name),
        .parent = home->default_parent == NULL ? NULL : sqlite3_mprintf("%s", home->default_parent),
        .device = home->place.device,
        .inode = home->place.inode,
        .memory_identity = home->memory_identity};
    memcpy(attachment->uuid, uuid, FASTER_UUID_BYTES);
    attachment->next = rows->connection->attachments;
    rows->connection->attachments = attachment;
    if (attachment->schema_name == NULL || attachment->table_name == NULL ||
        (attachment->parent == NULL && home->default_parent != NULL)) {
        attachment_destroy(attachment);
        return NULL;
    }
    return attachment;
}

static bool same_home(const struct attachment *attachment, const struct store_home *home) {
    return attachment->device == home->place.device && attachment->inode == home->place.inode &&
           attachment->memory_identity == home->memory_identity;
}

/* The one this connection already has. One of the same name and UUID whose database is
 * another file by now is left over from before a DETACH. */
static struct attachment *find_attachment(const struct commit_rows *rows,
                                          const struct store_home *home,
                                          const uint8_t uuid[FASTER_UUID_BYTES]) {
    struct attachment *next = NULL;
    for (struct attachment *a = rows->connection->attachments; a != NULL; a = next) {
        next = a->next;
        if (a->ended || memcmp(a->uuid, uuid, FASTER_UUID_BYTES) != 0 ||
            sqlite3_stricmp(a->schema_name, rows->schema_name) != 0) {
            continue;
        }
        if (same_home(a, home)) {
            return a;
        }
        if (a->txn == NULL) {
            attachment_end(a);
        }
    }
    return NULL;
}

static int find_or_open(const struct commit_rows *rows, const struct schema_options *options,
                        const struct commit_rows_config *config, const struct store_home *home,
                        struct attachment **result) {
    struct attachment *attachment = find_attachment(rows, home, config->uuid);
    if (attachment == NULL) {
        attachment = attachment_create(rows, home, config->uuid);
        if (attachment == NULL) {
            return SQLITE_NOMEM;
        }
        int rc = open_store(attachment, options, home, config);
        if (rc != SQLITE_OK) {
            attachment_destroy(attachment);
            return rc;
        }
    }
    /* The schema has changed since the last table object looked: so may have the file. */
    attachment->newest_known = attachment->newest_known && attachment->txn != NULL;
    *result = attachment;
    return SQLITE_OK;
}

static int check_declaration(const struct commit_rows *rows, const struct schema_options *declared,
                             const struct commit_rows_config *config) {
    return config->writes == declared->writes
               ? SQLITE_OK
               : connection_error(rows->connection, SQLITE_CORRUPT_VTAB,
                                  "%s: the table is declared writes='%s', but was created with "
                                  "writes='%s', which cannot be changed",
                                  rows->table_name, schema_writes_name(declared->writes),
                                  schema_writes_name(config->writes));
}

int attachment_acquire(struct commit_rows *rows, const struct schema_options *options,
                       struct attachment **result) {
    struct commit_rows_config config;
    store_changes_settle_unwatched(rows->connection, attachment_end_of_store);
    int rc = commit_rows_config(rows, &config);
    if (rc != SQLITE_OK) {
        return rc;
    }
    struct store_home home = {0};
    rc = check_declaration(rows, options, &config);
    rc = rc == SQLITE_OK ? store_home_of(rows->connection, rows->schema_name, &home) : rc;
    if (rc == SQLITE_OK) {
        rc = find_or_open(rows, options, &config, &home, result);
    }
    if (rc == SQLITE_OK) {
        (*result)->table_count++;
    }
    store_home_finish(&home);
    sqlite3_free(config.path);
    return rc;
}

/* ------------------------------------------------------------------- rows */

static int engine_error(const struct attachment *attachment, const struct commit_rows *rows,
                        enum faster_status status) {
    return connection_engine_error(attachment->connection, rows->table_name, status,
                                   faster_session_message(attachment->session));
}

static int catch_up(struct attachment *attachment, struct commit_rows *rows) {
    struct commit_rows_reader reader = {.rows = rows};
    enum faster_status status = faster_session_catch_up(
        attachment->session, commit_rows_read, &reader, connection_interrupted, rows->connection);
    commit_rows_reader_finish(&reader);
    if (status == FASTER_OK) {
        return SQLITE_OK;
    }
    if (reader.error_code != SQLITE_OK) {
        return reader.error_code;
    }
    return engine_error(attachment, rows, status);
}

static int tell_store(struct attachment *attachment, struct commit_rows *rows,
                      const struct stored_row *row, bool found) {
    enum faster_status status =
        faster_session_meet_row(attachment->session, found ? &row->commit : NULL);
    if (status == FASTER_BEHIND) {
        return catch_up(attachment, rows);
    }
    return status == FASTER_OK ? SQLITE_OK : engine_error(attachment, rows, status);
}

/* The database's data version, which moves with every commit, this connection's own ones
 * included. Only meaningful inside a read transaction. */
static bool read_data_version(const struct attachment *attachment, unsigned *version) {
    return sqlite3_file_control(attachment->connection->db, attachment->schema_name,
                                SQLITE_FCNTL_DATA_VERSION, version) == SQLITE_OK;
}

bool attachment_shares_cache(struct attachment *attachment) {
    unsigned user_total = registry_user_total(attachment->entry);
    if (!attachment->shares_cache && user_total != attachment->user_total_seen) {
        attachment->user_total_seen = user_total;
        attachment->shares_cache =
            shared_cache_is_used(attachment->connection->db, attachment->schema_name);
    }
    return attachment->shares_cache;
}

static bool nothing_has_changed(struct attachment *attachment) {
    unsigned version = 0;
    return attachment->newest_known && read_data_version(attachment, &version) &&
           version == attachment->data_version && !attachment_shares_cache(attachment);
}

int attachment_meet(struct attachment *attachment, struct commit_rows *rows, bool always) {
    if (attachment->direct || (!always && nothing_has_changed(attachment))) {
        return SQLITE_OK;
    }
    attachment->newest_known = false;
    struct stored_row row;
    bool found = false;
    int rc = commit_rows_newest(rows, &row, &found);
    if (rc == SQLITE_OK) {
        rc = tell_store(attachment, rows, &row, found);
    }
    if (rc == SQLITE_OK) {
        attachment->newest = row;
        attachment->newest_found = found;
        attachment->met = true;
        attachment->newest_known = read_data_version(attachment, &attachment->data_version);
    }
    return rc;
}
