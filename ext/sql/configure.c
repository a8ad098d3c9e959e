/* configure.c - see configure.h.
 *
 * Settings are rows of <t>_config; the store gets them when this process opens it. */
#include "sql/configure.h"

#include <string.h>

/* How the store is written: to be asked for only. */
#define WRITES "writes"

static int find_setting(struct table *table, const char *name, enum schema_setting *setting) {
    if (schema_setting_find(name, setting)) {
        return SQLITE_OK;
    }
    if (name != NULL && sqlite3_stricmp(name, WRITES) == 0) {
        return connection_error(table->connection, SQLITE_ERROR,
                                "%s: writes='%s' is for ever: create another table", table->name,
                                schema_writes_name(table->schema.options.writes));
    }
    return connection_error(table->connection, SQLITE_ERROR,
                            "%s: unknown setting '%.40s'; allowed are memory, inline_commit, "
                            "checkpoint_bytes, checkpoint_interval, writes (which cannot be set)",
                            table->name, name == NULL ? "" : name);
}

static uint64_t figure(const struct faster_store *store, const char *name) {
    enum { COUNT_MAX = 256 };
    struct faster_stat stats[COUNT_MAX];
    size_t count = faster_store_stats(store, stats, COUNT_MAX);
    for (size_t i = 0; i < count && i < COUNT_MAX; i++) {
        if (strcmp(stats[i].name, name) == 0) {
            return stats[i].value;
        }
    }
    return 0;
}

int configure_get(struct table *table, const char *name, sqlite3_context *context) {
    static const struct {
        const char *name;
        uint64_t unit;
    } figures[SCHEMA_SETTING_COUNT] = {
        [SCHEMA_SETTING_MEMORY] = {"memory_bytes_max", 1},
        [SCHEMA_SETTING_INLINE_COMMIT] = {"inline_commit_bytes_max", 1},
        [SCHEMA_SETTING_CHECKPOINT_BYTES] = {"checkpoint_bytes_max", 1},
        [SCHEMA_SETTING_CHECKPOINT_INTERVAL] = {"checkpoint_interval_ms", 1000}};
    struct attachment *attachment = NULL;
    enum schema_setting setting = SCHEMA_SETTING_MEMORY;
    bool is_writes = name != NULL && sqlite3_stricmp(name, WRITES) == 0;
    int rc = is_writes ? SQLITE_OK : find_setting(table, name, &setting);
    rc = rc == SQLITE_OK ? table_attach(table, &attachment) : rc;
    if (rc == SQLITE_OK && is_writes) {
        sqlite3_result_text(context, schema_writes_name(faster_store_writes(attachment->store)), -1,
                            SQLITE_STATIC);
    } else if (rc == SQLITE_OK) {
        sqlite3_result_int64(context,
                             (sqlite3_int64)(figure(attachment->store, figures[setting].name) /
                                             figures[setting].unit));
    }
    return rc;
}

/* A page may take a twentieth of memory, and its size is fixed. A store that cannot be opened is
 * no obstacle: perhaps it is memory that it lacks. */
static uint64_t memory_bytes_min(const struct table *table) {
    const struct attachment *attachment = table->attachment;
    uint64_t page_bytes = attachment == NULL ? table->schema.options.page_bytes
                                             : figure(attachment->store, "log_page_bytes");
    return page_bytes * 20 > FASTER_MEMORY_BYTES_MIN ? page_bytes * 20 : FASTER_MEMORY_BYTES_MIN;
}

static int check(struct table *table, enum schema_setting setting, const char *value,
                 uint64_t *size_bytes) {
    if (!schema_setting_parse(setting, value, size_bytes)) {
        return connection_error(table->connection, SQLITE_ERROR, "%s: %s is '%.40s'; allowed is %s",
                                table->name, schema_setting_name(setting),
                                value == NULL ? "" : value, schema_setting_range(setting));
    }
    if (setting == SCHEMA_SETTING_INLINE_COMMIT && table_is_direct(table)) {
        return connection_error(table->connection, SQLITE_ERROR,
                                "%s: inline_commit is for writes='transactional'", table->name);
    }
    struct attachment *attachment = NULL;
    int rc = setting == SCHEMA_SETTING_MEMORY ? table_attach(table, &attachment) : SQLITE_OK;
    if (rc == SQLITE_NOMEM) {
        return rc;
    }
    uint64_t min_bytes = setting == SCHEMA_SETTING_MEMORY ? memory_bytes_min(table) : 0;
    if (*size_bytes < min_bytes) {
        return connection_error(table->connection, SQLITE_ERROR,
                                "%s: %s is '%.40s'; allowed are at least %llu bytes, twenty pages "
                                "of the store",
                                table->name, schema_setting_name(setting), value,
                                (unsigned long long)min_bytes);
    }
    return SQLITE_OK;
}

int configure_set(struct table *table, const char *name, sqlite3_value *value, char **text) {
    const char *given = (const char *)sqlite3_value_text(value);
    enum schema_setting setting = SCHEMA_SETTING_MEMORY;
    uint64_t size_bytes = 0;
    int rc = find_setting(table, name, &setting);
    if (rc == SQLITE_OK && sqlite3_value_type(value) == SQLITE_NULL) {
        rc = commit_rows_unset(&table->rows, setting);
        given = "as declared";
    } else if (rc == SQLITE_OK) {
        rc = check(table, setting, given, &size_bytes);
        rc = rc == SQLITE_OK ? commit_rows_set(&table->rows, setting, size_bytes) : rc;
    }
    if (rc != SQLITE_OK) {
        return rc;
    }
    *text = sqlite3_mprintf("%s: %s, when the store is next opened: once all connections of this "
                            "process that use it are closed",
                            schema_setting_name(setting), given);
    return *text == NULL ? SQLITE_NOMEM : SQLITE_OK;
}
