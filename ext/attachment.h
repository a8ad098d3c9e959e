/* attachment.h - one connection's use of one store.
 *
 * Holds what belongs to the pair: the reference to the open store, the session, the open
 * transaction, and the newest commit row this connection has read. Outlives table objects;
 * ends with the connection, with the commit of a DROP, or when its database was detached.
 */
#ifndef FASTER_EXT_ATTACHMENT_H
#define FASTER_EXT_ATTACHMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "commit_rows.h"
#include "connection.h"
#include "faster.h"
#include "row_codec.h"

struct registry_entry;
struct table;

/* What the next implicit rowid is chosen from; see rowids.h. */
struct rowid_bound {
    bool any;   /* false: the table has no rows */
    bool exact; /* `max` is the largest rowid, not only a bound */
    int64_t max;
    bool top_any; /* a bound for everything a savepoint could bring back: never lowered */
    int64_t top;
};

/* Where a database's stores are. */
struct store_home {
    struct faster_place place;   /* all zero without a file */
    const void *memory_identity; /* tells databases without a file apart; else NULL */
    char *default_parent;        /* sqlite3_malloc; NULL without a file */
};
/* SQLITE_OK, or a failure with its message in the connection. */
int store_home_of(struct connection *connection, const char *schema_name, struct store_home *home);
void store_home_finish(struct store_home *home);
/* The directory of a store: sqlite3_malloc, NULL in memory or without memory (*rc tells).
 * `path` is the option as given, "" or NULL for the default. */
char *store_home_directory(const struct store_home *home, const char *path,
                           const uint8_t uuid[FASTER_UUID_BYTES], int *rc);
/* The options of a table's store, except directory and UUID. */
struct faster_options attachment_options(struct connection *connection, const struct table *table,
                                         const struct store_home *home);

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

struct attachment {
    struct connection *connection;
    struct attachment *next;
    char *schema_name;
    char *table_name; /* as last seen; a hint where the rows are */
    char *parent;     /* default parent of its directory, or NULL */
    uint8_t uuid[FASTER_UUID_BYTES];
    uint64_t device;
    uint64_t inode;
    const void *memory_identity;
    struct registry_entry *entry;
    struct faster_store *store;
    struct faster_session *session;
    unsigned table_count; /* table objects that point here */
    bool collected;       /* garbage.c has looked for orphans */
    bool ended;           /* to be destroyed when the last view and table are gone */
    struct view *views;

    /* Between statements; held.c owns these. */
    bool is_held;
    struct faster_snapshot held;
    uint64_t held_number; /* of the commit it shows */
    struct attachment *held_next;

    /* The open transaction; transaction.c owns these. */
    struct faster_txn *txn;
    bool prepared;       /* the row of all its writes is in the shadow table */
    uint64_t row_number; /* of the row it has put there, 0 for none */
    bool gone;           /* xSync found no table of this store: it is dropped */
    bool broken;         /* a savepoint was not rolled back: it cannot commit */
    struct rowid_bound rowids;
    enum key_text key_text;
    uint64_t deleted_below;

    /* The newest row in the connection's last snapshot of the database; while a transaction
     * is open, the row it began on. */
    bool newest_known;
    bool newest_found; /* false: there are no rows */
    bool met;          /* the session has told the store of a row */
    unsigned data_version;
    struct stored_row newest;
};

/* Finds or makes the attachment of a table object. The message is in the connection. */
int attachment_of_table(struct table *table, struct attachment **attachment);
void attachment_detach_table(struct table *table);
/* After a rename. Best effort: it is a hint. `attachment` may be NULL. */
void attachment_set_table_name(struct attachment *attachment, const char *table_name);
/* Closes the session and gives the store back. REQUIRES: no views are open. */
void attachment_destroy(struct attachment *attachment);
/* Destroys it as soon as nothing points to it. */
void attachment_end(struct attachment *attachment);
/* The same for all of one store: a store_changes_gone_fn. */
void attachment_end_of_store(struct connection *connection, const uint8_t uuid[FASTER_UUID_BYTES]);

/* Reads the newest row in the connection's snapshot and makes the store know it. Without a
 * transaction of its own only. `always` reads it even if nothing seems to have changed. */
int attachment_meet(struct table *table, struct attachment *attachment, bool always);

/* Opens the view that a statement of this connection has now. */
int view_open(struct table *table, struct view *view);
/* Keeps the view if it is still the right one, else opens it anew. */
int view_refresh(struct table *table, struct view *view);
/* For a function: like view_open(), but when the connection reads nothing of this database at
 * the moment, the view is that of the newest commit and no SQL is run. */
int view_open_newest(struct table *table, struct view *view);
void view_close(struct view *view);

#endif
