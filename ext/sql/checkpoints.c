/* checkpoints.c - checkpoints of a table's store: command, function, list. */
#include "sql/checkpoints.h"

#include <string.h>

#include "base/sqlite_durable.h"
#include "store/held.h"
#include "table/transaction.h"

#define COMMAND "checkpoint"
#define LIST_MAX 64u /* no store keeps more */

static const char *const KINDS[] = {
    [FASTER_CHECKPOINT_FOLD_OVER] = "fold-over",
    [FASTER_CHECKPOINT_SNAPSHOT] = "snapshot",
    [FASTER_CHECKPOINT_INCREMENTAL] = "incremental",
    [FASTER_CHECKPOINT_INDEX_ONLY] = "index",
};
static const char *const INDEXES[] = {
    [FASTER_INDEX_AUTO] = "auto",
    [FASTER_INDEX_COPY] = "copy",
    [FASTER_INDEX_LEAVE] = "leave",
};

/* ---------------------------------------------------------------- command */

/* The place of the word of `length` bytes among the names, or -1. */
static int find_word(const char *const *names, int count, const char *word, int length) {
    for (int i = 0; i < count; i++) {
        if ((int)strlen(names[i]) == length && sqlite3_strnicmp(names[i], word, length) == 0) {
            return i;
        }
    }
    return -1;
}

static bool take_word(const char *word, int length, struct faster_checkpoint_request *request) {
    const int kind = find_word(KINDS, sizeof KINDS / sizeof KINDS[0], word, length);
    const int index = find_word(INDEXES, sizeof INDEXES / sizeof INDEXES[0], word, length);
    if (kind >= 0) {
        request->kind = (enum faster_checkpoint_kind)kind;
    }
    if (index >= 0) {
        request->index = (enum faster_checkpoint_index)index;
    }
    return kind >= 0 || index >= 0;
}

bool checkpoint_parse(const char *command, struct faster_checkpoint_request *request) {
    const size_t name_length = sizeof COMMAND - 1;
    *request = (struct faster_checkpoint_request){.kind = FASTER_CHECKPOINT_FOLD_OVER};
    if (command == NULL || sqlite3_strnicmp(command, COMMAND, (int)name_length) != 0) {
        return false;
    }
    const char *at = command + name_length;
    while (*at == ' ') {
        const char *word = at + strspn(at, " ");
        const size_t length = strcspn(word, " ");
        if (length > 0 && !take_word(word, (int)length, request)) {
            return false;
        }
        at = word + length;
    }
    return *at == '\0';
}

static bool is_plain(const struct faster_checkpoint_request *request) {
    return request->kind == FASTER_CHECKPOINT_FOLD_OVER && request->index == FASTER_INDEX_AUTO;
}

static int run_direct(struct table *table, struct faster_checkpoint_request request) {
    struct attachment *attachment = NULL;
    int rc = table_attach(table, &attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    request.interrupt = connection_interrupted;
    request.interrupt_context = table->connection;
    enum faster_status status = faster_session_take_checkpoint(attachment->session, &request, NULL);
    return status == FASTER_OK ? SQLITE_OK : table_engine_error(table, status);
}

/* The engine's part. Only the plain one may be the first to write since the store was opened; the
 * others have a transaction begun before. */
static enum faster_status take(struct table *table, struct attachment *attachment,
                               struct faster_checkpoint_request request,
                               const struct faster_commit_row *row) {
    uint64_t obsolete_below = 0;
    if (is_plain(&request)) {
        return faster_session_checkpoint(attachment->session, row, &obsolete_below,
                                         connection_interrupted, table->connection);
    }
    request.durable = row;
    request.interrupt = connection_interrupted;
    request.interrupt_context = table->connection;
    return faster_session_take_checkpoint(attachment->session, &request, NULL);
}

static int run_transactional(struct table *table, const struct faster_checkpoint_request *request) {
    struct attachment *attachment = NULL;
    int rc =
        is_plain(request) ? table_meet(table, &attachment) : transaction_write(table, &attachment);
    if (rc != SQLITE_OK || !attachment->newest_found) {
        return rc;
    }
    const struct faster_commit_row row = attachment->newest.commit;
    rc = sqlite_durable(table->connection->db, table->schema_name);
    if (rc != SQLITE_OK) {
        return connection_error(table->connection, rc,
                                "%s: the database could not be synced: no checkpoint", table->name);
    }
    held_release_idle(&attachment->held);
    enum faster_status status = take(table, attachment, *request, &row);
    return status == FASTER_OK ? commit_rows_delete_below(&table->rows, row.number)
                               : table_engine_error(table, status);
}

int checkpoint_run(struct table *table, const struct faster_checkpoint_request *request) {
    return table_is_direct(table) ? run_direct(table, *request) : run_transactional(table, request);
}

/* --------------------------------------------------------------- function */

/* Of a transactional table: SQLite's write lock is needed, so it is an INSERT. */
static int run_as_command(struct table *table, const char *command) {
    struct connection *connection = table->connection;
    char *message = NULL;
    char *sql = sqlite3_mprintf("INSERT INTO \"%w\".\"%w\"(\"%w\") VALUES(%Q)", table->schema_name,
                                table->name, table->name, command);
    if (sql == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = sqlite3_exec(connection->db, sql, NULL, NULL, &message);
    sqlite3_free(sql);
    if (rc != SQLITE_OK) {
        rc = connection_error(connection, rc, "%s", message == NULL ? "" : message);
    }
    sqlite3_free(message);
    return rc;
}

static int give_number(sqlite3_context *context, struct table *table) {
    struct attachment *attachment = NULL;
    struct faster_checkpoint newest;
    int rc = table_attach(table, &attachment);
    if (rc == SQLITE_OK && faster_store_checkpoints(attachment->store, &newest, 1) > 0) {
        sqlite3_result_int64(context, (sqlite3_int64)newest.number);
    }
    return rc;
}

static int run_function(sqlite3_context *context, struct table *table, int argc,
                        sqlite3_value **argv) {
    const char *kind = argc > 1 ? (const char *)sqlite3_value_text(argv[1]) : "";
    const char *index = argc > 2 ? (const char *)sqlite3_value_text(argv[2]) : "";
    struct faster_checkpoint_request request;
    char *command =
        sqlite3_mprintf(COMMAND " %s %s", kind == NULL ? "" : kind, index == NULL ? "" : index);
    if (command == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = SQLITE_OK;
    if (!checkpoint_parse(command, &request)) {
        rc = connection_error(table->connection, SQLITE_ERROR,
                              "%s: kinds of a checkpoint are fold-over, snapshot, incremental and "
                              "index; with its index: auto, copy, leave",
                              table->name);
    } else if (table_is_direct(table)) {
        rc = checkpoint_run(table, &request);
    } else {
        rc = run_as_command(table, command);
    }
    sqlite3_free(command);
    return rc == SQLITE_OK ? give_number(context, table) : rc;
}

void checkpoint_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
    function_run(context, argc, argv, run_function);
}

/* ------------------------------------------------------------------- list */

static int fill(struct table *table, struct listing *listing) {
    struct faster_checkpoint checkpoints[LIST_MAX];
    struct attachment *attachment = NULL;
    int rc = table_attach(table, &attachment);
    if (rc != SQLITE_OK) {
        return rc;
    }
    const size_t count = faster_store_checkpoints(attachment->store, checkpoints, LIST_MAX);
    for (size_t i = 0; i < count && i < LIST_MAX; i++) {
        const struct faster_checkpoint *one = &checkpoints[i];
        listing_add_integer(listing, one->number);
        listing_add_constant(listing, KINDS[one->kind]);
        listing_add_integer(listing, one->created_ns / 1000000000u);
        listing_add_integer(listing, one->point_number);
        listing_add_integer(listing, one->begin);
        listing_add_integer(listing, one->replay_from);
        listing_add_integer(listing, one->index_number);
        listing_add_integer(listing, one->bytes);
    }
    return listing_result(listing);
}

const struct listing_kind CHECKPOINTS_LISTING = {
    .name = "faster_checkpoints",
    .columns = "number INTEGER, kind TEXT, created INTEGER, point INTEGER, log_begin INTEGER, "
               "replay_from INTEGER, index_number INTEGER, bytes INTEGER",
    .column_count = 8,
    .fill = fill,
};
