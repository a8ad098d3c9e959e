/* view.h - what a statement of this connection sees of a store.
 *
 * A view is opened from the newest row in the connection's own snapshot of the database,
 * so that both kinds of table show the same commit. The owner of the open transaction sees
 * its own writes as well. When the transaction commits under an open view it becomes an
 * ordinary one, with the same upper address. When writes that it shows are undone, the cursor
 * may have passed rows that are back now: it ends with SQLITE_ABORT_ROLLBACK. A direct table's
 * view asks SQLite for nothing: it shows what there is.
 */
#ifndef FASTER_EXT_VIEW_H
#define FASTER_EXT_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "store/attachment.h"
#include "table/table.h"

/* One open view of the store: a cursor's, or a function's. All zero is closed. */
struct view {
    struct faster_snapshot snapshot;
    struct attachment *attachment; /* NULL: closed */
    struct view *next;
    bool from_row; /* it shows the commit `commit_number`, 0 for the empty store */
    uint64_t commit_number;
    enum key_text key_text; /* covers all keys in the view */
    int level;              /* of an owner's view: the savepoints it was opened in */
    bool undone;            /* writes it shows were rolled back: it must not be read further */
};

/* Opens the view that a statement of this connection has now. */
int view_open(struct table *table, struct view *view);
/* Keeps the view if it is still the right one, else opens it anew. */
int view_refresh(struct table *table, struct view *view);
/* view_refresh() in a function, whose statement need not have a read transaction of the table's
 * database: only in one does SQLite see what other connections, or a restore, made of the file.
 * Inside BEGIN it stays, as that of a SELECT does. A direct table needs none.
 * SQLITE_SCHEMA if `table` was released meanwhile: its name must be looked up again. */
int view_open_in_function(struct table *table, struct view *view);
void view_close(struct view *view);

/* What becomes of a store's open views when its transaction ends; when the savepoints from
 * `level` on are released; when they are rolled back. */
void view_end_transaction(struct attachment *attachment, bool committed);
void view_release_savepoints(struct attachment *attachment, int level);
void view_undo_savepoints(struct attachment *attachment, int level);

#endif
