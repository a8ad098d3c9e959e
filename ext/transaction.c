/* transaction.c - the joint commit of SQLite and its stores.
 *
 * A store's commit counts if and only if its row is in the shadow table <t>_log: SQLite's own
 * atomic commit decides for both. So all that is to be done is to put the row there before
 * SQLite commits (xSync), and to tell the store afterwards what became of it.
 *
 *   state       -> next        when
 *   (none)      -> OPEN        first write of a transaction [transaction_write]: SQLite holds
 *                              the database's write lock, the newest row is read under it
 *   OPEN        -> PREPARED    xSync: the row is in <t>_log [sync_attachment]
 *   PREPARED    -> OPEN        COMMIT came back BUSY and more was written, or undone
 *   PREPARED    -> COMMITTED   xCommit [end_transaction]
 *   OPEN        -> ABORTED     xRollback
 *   PREPARED    -> IN DOUBT    xRollback after xSync: SQLite may report a failed sync for a
 *                              commit that survives; whoever reads the row next settles it
 *
 * In this file a state is: OPEN: txn set and not `prepared`; PREPARED: both. The later ones
 * belong to the engine, which settles them by what rows its callers read.
 *
 * Who calls. SQLite calls the transaction methods of each table object that wrote. Several
 * objects may write in one transaction, for one store (after a rename) or for several, and
 * each call is passed on to the whole connection: the first does the work for all stores,
 * the others find it done. Two things need care.
 *
 * - DROP takes the object away and with it its callbacks. So xDestroy enlists the *watcher*,
 *   a virtual table without rows that exists for this alone, in the transaction. It is not
 *   used for ordinary writes because it belongs to the main database: writing it takes main's
 *   write lock, which a write to a temporary or attached table must not do.
 * - A table that joins a transaction late is told the number of savepoints open by then, as
 *   if the last one were new. It is not new for the others: so `open_level` remembers the
 *   highest one known, and only what lies above it is a new savepoint. SQLite numbers them
 *   without gaps, hence a level at or below `open_level` is always a repetition.
 *
 * Statements that xSync itself runs may open savepoints of their own; they write no FASTER
 * table, and `syncing` keeps them away from the stores.
 *
 * CREATE and DROP are settled at the end by a look whether the schema still knows the UUID:
 * that is right whatever savepoints were rolled back in between. Files of a dropped store go
 * when the DROP is safe from a power cut (sqlite_durable.c); those of a CREATE whose commit
 * is in doubt stay, garbage.c finds them later.
 */
#include "transaction.h"

#include <string.h>

#include "garbage.h"
#include "held.h"
#include "registry.h"
#include "rowids.h"
#include "sqlite_durable.h"

/* A store made or dropped in the open transaction. */
struct store_change {
    struct store_change *next;
    uint8_t uuid[FASTER_UUID_BYTES];
    const void *memory_identity;
    char *schema_name;
    char *directory; /* NULL in memory */
    bool created;
    bool dropped;
    bool synced;  /* xSync has looked: `remains` is valid, and the commit may survive */
    bool remains; /* a table of the schema names this store */
};

/* ------------------------------------------------------------------ begin */

int transaction_check(struct connection *connection, const char *schema_name, int code) {
    if (sqlite3_txn_state(connection->db, schema_name) == SQLITE_TXN_WRITE) {
        return SQLITE_OK;
    }
    return connection_error(connection, code, "the transaction was rolled back");
}

static void take_notes(struct attachment *attachment) {
    const struct stored_row *row = &attachment->newest;
    bool found = attachment->newest_found;
    attachment->rowids =
        (struct rowid_bound){.any = found && row->has_rowid_max,
                             .exact = found && (row->hints & COMMIT_HINT_ROWID_MAX_INEXACT) == 0,
                             .max = row->rowid_max,
                             .top_any = found && row->has_rowid_max,
                             .top = row->rowid_max};
    attachment->key_text =
        found ? (enum key_text)(row->hints & COMMIT_HINT_KEY_TEXT_MASK) : KEY_TEXT_PLAIN;
    attachment->prepared = false;
    attachment->row_number = 0;
    attachment->gone = false;
}

static int begin(struct table *table, struct attachment *attachment) {
    int rc = attachment_meet(table, attachment, false);
    if (rc != SQLITE_OK) {
        return rc;
    }
    const struct faster_commit_row *row =
        attachment->newest_found ? &attachment->newest.commit : NULL;
    enum faster_status status = faster_txn_begin(attachment->session, row, &attachment->txn);
    if (status != FASTER_OK) {
        attachment->txn = NULL;
        return table_engine_error(table, status);
    }
    take_notes(attachment);
    held_release(attachment);
    int level = table->connection->open_level;
    status = level < 0 ? FASTER_OK : faster_txn_savepoint(attachment->txn, level);
    if (status != FASTER_OK) {
        rc = table_engine_error(table, status);
        faster_txn_rollback(attachment->txn);
        attachment->txn = NULL;
        return rc;
    }
    garbage_collect_once(table, attachment);
    rc = transaction_check(table->connection, table->schema_name, SQLITE_NOMEM);
    return rc == SQLITE_OK && attachment->txn == NULL ? SQLITE_NOMEM : rc;
}

int transaction_write(struct table *table, struct attachment **result) {
    struct attachment *attachment = NULL;
    int rc = table_attach(table, &attachment);
    if (rc == SQLITE_OK && attachment->txn == NULL) {
        rc = begin(table, attachment);
    }
    if (rc == SQLITE_OK) {
        attachment->prepared = false;
        *result = attachment;
    }
    return rc;
}

/* ------------------------------------------------------------------- sync */

struct uuid_search {
    const uint8_t *uuid;
    bool found;
    char *table_name; /* sqlite3_malloc */
};

static bool match_uuid(void *context, const char *table_name,
                       const uint8_t uuid[FASTER_UUID_BYTES]) {
    struct uuid_search *search = context;
    if (memcmp(uuid, search->uuid, FASTER_UUID_BYTES) != 0) {
        return true;
    }
    search->found = true;
    search->table_name = sqlite3_mprintf("%s", table_name);
    return false;
}

/* The name of the table that owns the store now: sqlite3_malloc, or NULL if there is none
 * (SQLITE_OK), or it is not certain (another code). */
static int find_table_name(struct connection *connection, const char *schema_name,
                           const uint8_t uuid[FASTER_UUID_BYTES], char **table_name) {
    struct uuid_search search = {.uuid = uuid};
    int rc = commit_rows_each_table(connection, schema_name, match_uuid, &search);
    *table_name = search.table_name;
    if (search.found) {
        return search.table_name != NULL ? SQLITE_OK : SQLITE_NOMEM;
    }
    return rc;
}

static struct store_change *find_change(const struct connection *connection,
                                        const uint8_t uuid[FASTER_UUID_BYTES]) {
    struct store_change *change = connection->changes;
    while (change != NULL && memcmp(change->uuid, uuid, FASTER_UUID_BYTES) != 0) {
        change = change->next;
    }
    return change;
}

bool transaction_has_change(const struct connection *connection,
                            const uint8_t uuid[FASTER_UUID_BYTES]) {
    return find_change(connection, uuid) != NULL;
}

static int sync_changes(struct connection *connection) {
    int rc = SQLITE_OK;
    for (struct store_change *change = connection->changes; change != NULL && rc == SQLITE_OK;
         change = change->next) {
        char *table_name = NULL;
        int search_rc = find_table_name(connection, change->schema_name, change->uuid, &table_name);
        change->remains = table_name != NULL || search_rc != SQLITE_OK;
        change->synced = true;
        sqlite3_free(table_name);
        if (search_rc != SQLITE_OK) {
            rc = transaction_check(connection, change->schema_name, search_rc);
        }
    }
    return rc;
}

/* The statements of a table object of this store, or NULL. */
static struct commit_rows *rows_of(const struct attachment *attachment) {
    struct commit_rows *rows = NULL;
    for (struct table *table = attachment->connection->tables; table != NULL; table = table->next) {
        if (table->attachment == attachment) {
            rows = &table->rows;
            if (sqlite3_stricmp(table->name, attachment->table_name) == 0) {
                break;
            }
        }
    }
    return rows;
}

/* Puts the row where the store's table is by now: a savepoint that was rolled back may have
 * undone a rename, or brought back a dropped table that has no object yet. */
static int put_row_by_uuid(struct attachment *attachment, const struct stored_row *row,
                           const char *uuid_text) {
    struct connection *connection = attachment->connection;
    struct commit_rows rows = {0};
    char *table_name = NULL;
    bool done = false;
    int rc = find_table_name(connection, attachment->schema_name, attachment->uuid, &table_name);
    if (rc == SQLITE_OK && table_name != NULL) {
        rc = commit_rows_init(&rows, connection, attachment->schema_name, table_name);
        rc = rc == SQLITE_OK ? commit_rows_put(&rows, row, uuid_text, &done) : rc;
    }
    if (rc == SQLITE_OK && !done) {
        rc = connection_error(connection, SQLITE_CORRUPT_VTAB,
                              "%s: the shadow tables are missing or damaged: the transaction "
                              "cannot commit",
                              attachment->table_name);
    }
    commit_rows_finish(&rows);
    sqlite3_free(table_name);
    return rc;
}

static int put_row(struct attachment *attachment, const struct stored_row *row,
                   uint64_t obsolete_below) {
    char uuid_text[FASTER_UUID_TEXT_BYTES];
    faster_uuid_text(attachment->uuid, uuid_text);
    struct commit_rows *rows = rows_of(attachment);
    bool done = false;
    int rc = rows == NULL ? SQLITE_OK : commit_rows_put(rows, row, uuid_text, &done);
    if (rc != SQLITE_OK) {
        return rc;
    }
    if (!done) {
        return put_row_by_uuid(attachment, row, uuid_text);
    }
    if (obsolete_below > attachment->deleted_below) {
        uint64_t below = obsolete_below < row->commit.number ? obsolete_below : row->commit.number;
        rc = commit_rows_delete_below(rows, below);
        attachment->deleted_below = rc == SQLITE_OK ? below : 0;
    }
    return rc;
}

/* A transaction that wrote nothing, or whose writes are all undone, has no row. */
static int take_row_back(struct attachment *attachment) {
    struct commit_rows *rows = rows_of(attachment);
    int rc = SQLITE_OK;
    if (attachment->row_number != 0 && rows != NULL) {
        rc = commit_rows_delete_one(rows, attachment->row_number);
    }
    attachment->row_number = 0;
    attachment->prepared = true;
    return rc;
}

static int sync_attachment(struct attachment *attachment) {
    const struct store_change *change = find_change(attachment->connection, attachment->uuid);
    attachment->gone = change != NULL && !change->remains;
    if (attachment->gone) {
        return SQLITE_OK;
    }
    struct stored_row row = {.has_rowid_max = attachment->rowids.any,
                             .rowid_max = attachment->rowids.max,
                             .hints = (uint64_t)attachment->key_text};
    row.hints |= attachment->rowids.exact ? 0 : COMMIT_HINT_ROWID_MAX_INEXACT;
    uint64_t obsolete_below = 0;
    enum faster_status status = faster_txn_prepare(attachment->txn, &row.commit, &obsolete_below);
    if (status == FASTER_NOT_FOUND) {
        return take_row_back(attachment);
    }
    if (status != FASTER_OK) {
        return connection_engine_error(attachment->connection, attachment->table_name, status,
                                       faster_session_message(attachment->session));
    }
    int rc = put_row(attachment, &row, obsolete_below);
    if (rc == SQLITE_OK) {
        attachment->row_number = row.commit.number;
        attachment->prepared = true;
    }
    return rc;
}

int transaction_sync(struct connection *connection) {
    int rc = connection_check_process(connection);
    if (rc != SQLITE_OK) {
        return rc;
    }
    connection->syncing = true;
    rc = sync_changes(connection);
    for (struct attachment *attachment = connection->attachments;
         attachment != NULL && rc == SQLITE_OK; attachment = attachment->next) {
        if (attachment->txn != NULL && !attachment->prepared) {
            rc = sync_attachment(attachment);
        }
    }
    connection->syncing = false;
    return rc;
}

/* -------------------------------------------------------------------- end */

/* The cursors that read through the transaction go on with an ordinary view, unless what they
 * show is undone. */
static void release_views(struct attachment *attachment, bool committed) {
    for (struct view *view = attachment->views; view != NULL; view = view->next) {
        view->undone = view->undone || (view->snapshot.txn != NULL && !committed);
        view->snapshot.txn = NULL;
    }
}

static void end_transaction(struct attachment *attachment, bool committed) {
    struct faster_txn *txn = attachment->txn;
    if (txn == NULL) {
        return;
    }
    attachment->newest_known = false;
    if (committed && !attachment->gone && attachment->row_number != 0) {
        faster_txn_commit(txn);
    } else {
        faster_txn_rollback(txn);
        attachment->deleted_below = 0;
    }
    release_views(attachment, committed);
    attachment->txn = NULL;
    attachment->prepared = false;
    attachment->row_number = 0;
}

static void end_transactions(struct connection *connection, bool committed) {
    struct attachment *next = NULL;
    for (struct attachment *attachment = connection->attachments; attachment != NULL;
         attachment = next) {
        next = attachment->next;
        end_transaction(attachment, committed);
        if (attachment->ended) {
            attachment_end(attachment);
        }
    }
    connection->open_level = -1;
    if (connection->schema_changed) {
        connection->schema_changed = false;
        registry_schema_changed();
    }
}

static void end_attachments_of(struct connection *connection,
                               const uint8_t uuid[FASTER_UUID_BYTES]) {
    struct attachment *next = NULL;
    for (struct attachment *attachment = connection->attachments; attachment != NULL;
         attachment = next) {
        next = attachment->next;
        if (memcmp(attachment->uuid, uuid, FASTER_UUID_BYTES) == 0) {
            attachment_end(attachment);
        }
    }
}

static void free_change(struct store_change *change) {
    sqlite3_free(change->schema_name);
    sqlite3_free(change->directory);
    sqlite3_free(change);
}

/* The store has no table in what was committed, or rolled back: its files go, unless a power
 * cut could bring the table back. */
static void remove_store(struct connection *connection, const struct store_change *change) {
    bool removable = true;
    if (!change->created && change->directory != NULL) {
        removable = sqlite_durable(connection->db, change->schema_name) == SQLITE_OK;
    }
    if (removable) {
        registry_drop(change->uuid, change->memory_identity, change->directory);
    }
    end_attachments_of(connection, change->uuid);
}

static void settle_changes(struct connection *connection, bool committed) {
    struct store_change *change = connection->changes;
    connection->changes = NULL;
    while (change != NULL) {
        struct store_change *next = change->next;
        bool undone = !committed && change->created;
        if ((committed && change->synced && !change->remains) || (undone && !change->synced)) {
            remove_store(connection, change);
        } else if (undone) {
            end_attachments_of(connection, change->uuid);
        }
        free_change(change);
        change = next;
    }
}

void transaction_commit(struct connection *connection) {
    if (!registry_forked()) {
        end_transactions(connection, true);
        settle_changes(connection, true);
    }
}

void transaction_rollback(struct connection *connection) {
    if (!registry_forked()) {
        end_transactions(connection, false);
        settle_changes(connection, false);
    }
}

void transaction_abandon(struct connection *connection) {
    transaction_rollback(connection);
    while (connection->changes != NULL) { /* in a forked process */
        struct store_change *change = connection->changes;
        connection->changes = change->next;
        free_change(change);
    }
}

/* ------------------------------------------------------------- savepoints */

static int engine_error(struct attachment *attachment, enum faster_status status) {
    return connection_engine_error(attachment->connection, attachment->table_name, status,
                                   faster_session_message(attachment->session));
}

int transaction_savepoint(struct connection *connection, int level) {
    int rc = connection_check_process(connection);
    if (rc != SQLITE_OK || connection->syncing || level <= connection->open_level) {
        return rc;
    }
    for (struct attachment *attachment = connection->attachments; attachment != NULL;
         attachment = attachment->next) {
        if (attachment->txn != NULL) {
            enum faster_status status = faster_txn_savepoint(attachment->txn, level);
            if (status != FASTER_OK) {
                return engine_error(attachment, status);
            }
        }
    }
    connection->open_level = level;
    return SQLITE_OK;
}

/* What was opened inside a savepoint that is released is now inside the one around it. */
static void lower_views(struct attachment *attachment, int level) {
    for (struct view *view = attachment->views; view != NULL; view = view->next) {
        view->level = view->level < level ? view->level : level - 1;
    }
}

/* What was opened inside the savepoint may show writes that are undone now. */
static void undo_views(struct attachment *attachment, int level) {
    for (struct view *view = attachment->views; view != NULL; view = view->next) {
        view->undone = view->undone || (view->snapshot.txn != NULL && view->level >= level);
    }
}

int transaction_release(struct connection *connection, int level) {
    int rc = connection_check_process(connection);
    if (rc != SQLITE_OK || connection->syncing || level > connection->open_level) {
        return rc;
    }
    for (struct attachment *attachment = connection->attachments; attachment != NULL;
         attachment = attachment->next) {
        if (attachment->txn != NULL) {
            faster_txn_release(attachment->txn, level < 0 ? 0 : level);
            lower_views(attachment, level < 0 ? 0 : level);
        }
    }
    connection->open_level = level < 0 ? -1 : level - 1;
    return SQLITE_OK;
}

int transaction_rollback_to(struct connection *connection, int level) {
    int rc = connection_check_process(connection);
    if (rc != SQLITE_OK || connection->syncing || level > connection->open_level) {
        return rc;
    }
    for (struct attachment *attachment = connection->attachments; attachment != NULL;
         attachment = attachment->next) {
        if (attachment->txn == NULL) {
            continue;
        }
        enum faster_status status = faster_txn_rollback_to(attachment->txn, level);
        if (status != FASTER_OK) {
            return engine_error(attachment, status);
        }
        attachment->prepared = false;
        attachment->deleted_below = 0;
        rowids_undone(&attachment->rowids);
        undo_views(attachment, level);
    }
    connection->open_level = level < 0 ? -1 : level;
    return SQLITE_OK;
}

/* ---------------------------------------------------------------- changes */

static int note_change(struct connection *connection, const struct table *table,
                       const uint8_t uuid[FASTER_UUID_BYTES], const void *memory_identity,
                       const char *directory, bool created) {
    connection->schema_changed = true;
    struct store_change *change = find_change(connection, uuid);
    if (change != NULL) {
        change->dropped = change->dropped || !created;
        return SQLITE_OK;
    }
    change = sqlite3_malloc64(sizeof(*change));
    if (change == NULL) {
        return SQLITE_NOMEM;
    }
    *change = (struct store_change){.memory_identity = memory_identity,
                                    .schema_name = sqlite3_mprintf("%s", table->schema_name),
                                    .directory =
                                        directory == NULL ? NULL : sqlite3_mprintf("%s", directory),
                                    .created = created,
                                    .dropped = !created};
    memcpy(change->uuid, uuid, FASTER_UUID_BYTES);
    if (change->schema_name == NULL || (change->directory == NULL && directory != NULL)) {
        free_change(change);
        return SQLITE_NOMEM;
    }
    change->next = connection->changes;
    connection->changes = change;
    return SQLITE_OK;
}

int transaction_note_create(struct connection *connection, const struct table *table,
                            const uint8_t uuid[FASTER_UUID_BYTES], const void *memory_identity,
                            const char *directory) {
    return note_change(connection, table, uuid, memory_identity, directory, true);
}

int transaction_note_drop(struct connection *connection, const struct table *table,
                          const uint8_t uuid[FASTER_UUID_BYTES], const void *memory_identity,
                          const char *directory) {
    return note_change(connection, table, uuid, memory_identity, directory, false);
}
