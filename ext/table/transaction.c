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
 *   write lock, which a write to a temporary or attached table must not do. Nor must the DROP of
 *   one: if its object takes no part in the transaction, it goes without the watcher, and a
 *   later look at the schema tells what became of it. An object that does take part
 *   (table->enlisted), whatever it has written, is told of savepoints and must be told of the end:
 *   what is raised by the first goes back with the second. SQLite enlists an object in
 *   xCreate or xBegin and strikes it off in xCommit, xRollback or xDestroy; so as long as
 *   `open_level` is not -1, an object or the watcher takes part. The DROP of a direct table that
 *   others can see has the watcher, too: their functions hear of it after the commit. So has a
 *   rename, whose object SQLite does not enlist.
 * - A table that joins a transaction late is told the number of savepoints open by then, as
 *   if the last one were new. It is not new for the others: so `open_level` remembers the
 *   highest one known, and only what lies above it is a new savepoint. SQLite numbers them
 *   without gaps, hence a level at or below `open_level` is always a repetition.
 *
 * Statements that xSync itself runs may open savepoints of their own; they write no FASTER
 * table, and `syncing` keeps them away from the stores.
 *
 * What CREATE and DROP did to stores is settled at the end, see store_changes.c.
 */
#include "table/transaction.h"

#include <string.h>

#include "store/due_checkpoint.h"
#include "store/garbage.h"
#include "store/held.h"
#include "store/registry.h"
#include "store/store_changes.h"
#include "table/view.h"

/* ------------------------------------------------------------------ begin */

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
    attachment->broken = false;
}

static void collect_garbage_once(struct attachment *attachment) {
    if (attachment->parent != NULL && !attachment->collected) {
        attachment->collected = true;
        garbage_collect(attachment->connection, attachment->schema_name, attachment->parent,
                        attachment->uuid);
    }
}

/* In a shared cache whoever reads the newest row locks the table it is in: that must fail the first
 * write, as with an ordinary table, and not the COMMIT. */
static int lock_rows(struct table *table, struct attachment *attachment) {
    return attachment_shares_cache(attachment) ? commit_rows_delete_one(&table->rows, 0)
                                               : SQLITE_OK;
}

static int begin(struct table *table, struct attachment *attachment) {
    int rc = attachment_meet(attachment, &table->rows, false);
    rc = rc == SQLITE_OK ? lock_rows(table, attachment) : rc;
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
    held_release(&attachment->held);
    int level = table->connection->open_level;
    status = level < 0 ? FASTER_OK : faster_txn_savepoint(attachment->txn, level);
    if (status != FASTER_OK) {
        rc = table_engine_error(table, status);
        faster_txn_rollback(attachment->txn);
        attachment->txn = NULL;
        return rc;
    }
    collect_garbage_once(attachment);
    rc = connection_check_writing(table->connection, table->schema_name, SQLITE_NOMEM);
    return rc == SQLITE_OK && attachment->txn == NULL ? SQLITE_NOMEM : rc;
}

/* A direct table has nothing to begin, only to count what the transaction's statements write.
 * Savepoints that were open before the attachment was made are marked now: it had written
 * nothing then. */
static int begin_direct(struct table *table, struct attachment *attachment) {
    int rc = write_tally_savepoint(&attachment->tally, table->connection->open_level);
    if (rc == SQLITE_OK && !attachment->collected) {
        collect_garbage_once(attachment);
        rc = connection_check_writing(table->connection, table->schema_name, SQLITE_NOMEM);
    }
    return rc;
}

int transaction_write(struct table *table, struct attachment **result) {
    struct attachment *attachment = NULL;
    int rc = table_attach(table, &attachment);
    if (rc == SQLITE_OK && attachment->direct) {
        rc = begin_direct(table, attachment);
    } else if (rc == SQLITE_OK && attachment->txn == NULL) {
        rc = begin(table, attachment);
    }
    if (rc == SQLITE_OK) {
        attachment->prepared = false;
        *result = attachment;
    }
    return rc;
}

/* ------------------------------------------------------------------- sync */

static int engine_error(struct attachment *attachment, enum faster_status status) {
    return connection_engine_error(attachment->connection, attachment->table_name, status,
                                   faster_session_message(attachment->session));
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
    int rc =
        commit_rows_find_table(connection, attachment->schema_name, attachment->uuid, &table_name);
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
    attachment->gone = store_changes_dropped(attachment->connection, attachment->uuid);
    if (attachment->gone) {
        return SQLITE_OK;
    }
    if (attachment->broken) {
        return connection_error(attachment->connection, SQLITE_ABORT,
                                "%s: a savepoint could not be rolled back: the transaction cannot "
                                "commit",
                                attachment->table_name);
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
        return engine_error(attachment, status);
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
    rc = store_changes_sync(connection);
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
    view_end_transaction(attachment, committed);
    attachment->txn = NULL;
    attachment->prepared = false;
    attachment->row_number = 0;
}

/* Direct tables: says once what no rollback has undone. What was written to a store goes with it
 * if the transaction made it. */
static void report_kept_writes(struct connection *connection, bool committed) {
    uint64_t total = 0;
    sqlite3_str *names = NULL;
    for (struct attachment *attachment = connection->attachments; attachment != NULL;
         attachment = attachment->next) {
        uint64_t kept = write_tally_end(&attachment->tally, committed);
        if (kept == 0 || (!committed && store_changes_has_created(connection, attachment->uuid))) {
            continue;
        }
        names = names == NULL ? sqlite3_str_new(connection->db) : names;
        sqlite3_str_appendf(names, "%s%s", total == 0 ? "" : ", ", attachment->table_name);
        total += kept;
    }
    if (total > 0) {
        char *text = sqlite3_str_finish(names);
        sqlite3_log(SQLITE_WARNING,
                    "faster: %llu writes stay that a rollback was to undo: a table with "
                    "writes='direct' keeps what is written (%s)",
                    (unsigned long long)total, text == NULL ? "" : text);
        sqlite3_free(text);
    }
}

static void end_transactions(struct connection *connection, bool committed) {
    struct attachment *next = NULL;
    report_kept_writes(connection, committed);
    for (struct attachment *attachment = connection->attachments; attachment != NULL;
         attachment = next) {
        next = attachment->next;
        end_transaction(attachment, committed);
        attachment_rest(attachment);
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

static void take_due_checkpoints(struct connection *connection) {
    for (struct attachment *attachment = connection->attachments; attachment != NULL;
         attachment = attachment->next) {
        if (!attachment->direct) {
            due_checkpoint_after_commit(connection->db, attachment->schema_name, attachment->store);
        }
    }
}

void transaction_commit(struct connection *connection) {
    if (!registry_forked()) {
        end_transactions(connection, true);
        store_changes_settle(connection, true, attachment_end_of_store);
        take_due_checkpoints(connection);
    }
}

void transaction_rollback(struct connection *connection) {
    if (!registry_forked()) {
        end_transactions(connection, false);
        store_changes_settle(connection, false, attachment_end_of_store);
    }
}

void transaction_abandon(struct connection *connection) {
    transaction_rollback(connection);
    store_changes_forget(connection); /* left in a forked process */
    while (connection->attachments != NULL) {
        attachment_destroy(connection->attachments);
    }
}

/* ------------------------------------------------------------- savepoints */

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
        rc = attachment->direct ? write_tally_savepoint(&attachment->tally, level) : rc;
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    connection->open_level = level;
    return SQLITE_OK;
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
            view_release_savepoints(attachment, level < 0 ? 0 : level);
        }
        write_tally_release(&attachment->tally, level < 0 ? 0 : level);
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
        write_tally_rollback_to(&attachment->tally, level);
        if (attachment->txn == NULL) {
            continue;
        }
        enum faster_status status = faster_txn_rollback_to(attachment->txn, level);
        if (status != FASTER_OK) {
            attachment->broken = true;
            rc = engine_error(attachment, status);
        }
        attachment->prepared = false;
        attachment->deleted_below = 0;
        rowid_bound_undone(&attachment->rowids);
        view_undo_savepoints(attachment, level);
    }
    connection->open_level = level < 0 ? -1 : level;
    return rc;
}
