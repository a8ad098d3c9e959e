/* view.c - see view.h. */
#include "table/view.h"

#include "store/held.h"
#include "store/key_notes.h"

static void link_view(struct attachment *attachment, struct view *view) {
    view->attachment = attachment;
    view->next = attachment->views;
    attachment->views = view;
}

static int open_row(struct table *table, struct attachment *attachment, struct view *view) {
    const struct faster_commit_row *row =
        attachment->newest_found ? &attachment->newest.commit : NULL;
    enum faster_status status = faster_snapshot_open(attachment->session, row, &view->snapshot);
    if (status != FASTER_OK) {
        return table_engine_error(table, status);
    }
    view->from_row = true;
    view->commit_number = row == NULL ? 0 : row->number;
    view->key_text = row == NULL
                         ? KEY_TEXT_PLAIN
                         : (enum key_text)(attachment->newest.hints & COMMIT_HINT_KEY_TEXT_MASK);
    held_update(&attachment->held, view->commit_number);
    link_view(attachment, view);
    return SQLITE_OK;
}

static int open_txn(struct table *table, struct attachment *attachment, struct view *view) {
    enum faster_status status =
        faster_snapshot_open_txn(attachment->session, attachment->txn, &view->snapshot);
    if (status != FASTER_OK) {
        return table_engine_error(table, status);
    }
    view->from_row = false;
    view->level = attachment->connection->open_level;
    view->key_text = attachment->key_text;
    link_view(attachment, view);
    return SQLITE_OK;
}

/* Of a direct table: every read sees the newest value, a scan what there is when it begins. */
static int open_now(struct table *table, struct attachment *attachment, struct view *view) {
    enum faster_status status = faster_snapshot_open_newest(attachment->session, &view->snapshot);
    if (status != FASTER_OK) {
        return table_engine_error(table, status);
    }
    view->from_row = false;
    view->key_text = key_notes_text(registry_key_notes(attachment->entry));
    link_view(attachment, view);
    return SQLITE_OK;
}

int view_open(struct table *table, struct view *view) {
    struct attachment *attachment = NULL;
    int rc = table_attach(table, &attachment);
    if (rc == SQLITE_OK && attachment->direct) {
        return open_now(table, attachment, view);
    }
    if (rc == SQLITE_OK && attachment->txn != NULL) {
        return open_txn(table, attachment, view);
    }
    rc = rc == SQLITE_OK ? attachment_meet(attachment, &table->rows, false) : rc;
    return rc == SQLITE_OK ? open_row(table, attachment, view) : rc;
}

int view_refresh(struct table *table, struct view *view) {
    struct attachment *attachment = view->attachment;
    if (attachment != NULL && attachment->direct && attachment == table->attachment) {
        view->key_text = key_notes_text(registry_key_notes(attachment->entry));
        return SQLITE_OK;
    }
    if (attachment != NULL && view->from_row && attachment->txn == NULL &&
        attachment == table->attachment) {
        int rc = attachment_meet(attachment, &table->rows, false);
        if (rc != SQLITE_OK) {
            return rc;
        }
        uint64_t number = attachment->newest_found ? attachment->newest.commit.number : 0;
        if (number == view->commit_number) {
            return SQLITE_OK;
        }
    }
    view_close(view);
    return view_open(table, view);
}

int view_open_in_function(struct table *table, struct view *view) {
    struct connection *connection = table->connection;
    int rc = connection_check_process(connection);
    if (rc != SQLITE_OK) {
        return rc;
    }
    if (table_is_direct(table)) {
        rc = view_refresh(table, view);
        return rc == SQLITE_OK && table->disconnected ? SQLITE_SCHEMA : rc;
    }
    if (sqlite3_txn_state(connection->db, table->schema_name) != SQLITE_TXN_NONE) {
        return view_refresh(table, view);
    }
    rc = commit_rows_begin_reading(&table->rows);
    if (table->disconnected) {
        rc = SQLITE_SCHEMA;
    }
    rc = rc == SQLITE_OK ? view_refresh(table, view) : rc;
    commit_rows_end_reading(&table->rows);
    return rc;
}

void view_close(struct view *view) {
    struct attachment *attachment = view->attachment;
    if (attachment == NULL) {
        return;
    }
    struct view **link = &attachment->views;
    while (*link != view) {
        link = &(*link)->next;
    }
    *link = view->next;
    if (view->from_row && !attachment->ended && attachment->txn == NULL &&
        !sqlite3_get_autocommit(attachment->connection->db)) {
        held_keep(&attachment->held, &view->snapshot, view->commit_number);
    } else {
        faster_snapshot_close(&view->snapshot);
    }
    *view = (struct view){0};
    if (attachment->ended) {
        attachment_end(attachment);
    }
}

/* ------------------------------------------------------ of all open views */

/* The cursors that read through the transaction go on with an ordinary view, unless what they
 * show is undone. */
void view_end_transaction(struct attachment *attachment, bool committed) {
    for (struct view *view = attachment->views; view != NULL; view = view->next) {
        view->undone = view->undone || (view->snapshot.txn != NULL && !committed);
        view->snapshot.txn = NULL;
    }
}

/* What was opened inside a savepoint that is released is now inside the one around it. */
void view_release_savepoints(struct attachment *attachment, int level) {
    for (struct view *view = attachment->views; view != NULL; view = view->next) {
        view->level = view->level < level ? view->level : level - 1;
    }
}

/* What was opened inside the savepoint may show writes that are undone now. */
void view_undo_savepoints(struct attachment *attachment, int level) {
    for (struct view *view = attachment->views; view != NULL; view = view->next) {
        view->undone = view->undone || (view->snapshot.txn != NULL && view->level >= level);
    }
}
