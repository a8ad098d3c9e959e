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

#include "codec/row_codec.h"
#include "codec/schema.h"
#include "faster.h"
#include "store/commit_rows.h"
#include "store/connection.h"
#include "store/held.h"
#include "store/registry.h"
#include "store/rowid_bound.h"
#include "store/write_tally.h"

struct view;

/* Only methods and functions of its connection reach it, under that connection's mutex; `held`
 * alone is also found by other connections (held.h). Each field names who writes it. */
struct attachment {
    /* attachment_acquire(), then the same to the end. */
    struct connection *connection;
    char *schema_name;
    char *parent; /* default parent of its directory, or NULL */
    uint8_t uuid[FASTER_UUID_BYTES];
    uint64_t device;
    uint64_t inode;
    const void *memory_identity;
    struct registry_entry *entry; /* a reference to it is ours; registry.c protects the inside */
    struct faster_store *store;   /* shared by all connections; the engine protects the inside */
    bool direct;                  /* the store's discipline, and the table's */
    bool read_only;               /* the connection may not write the database */

    /* attachment.c */
    struct attachment *next;        /* in connection->attachments */
    char *table_name;               /* as last seen; a hint where the rows are */
    unsigned table_count;           /* table objects that point here */
    bool ended;                     /* to be destroyed when the last view and table are gone */
    struct faster_session *session; /* NULL while it rests */
    char session_name[FASTER_SESSION_NAME_BYTES]; /* "": it has none; else it does not rest */
    struct faster_snapshot now; /* of a direct table, as long as the session: what functions read */

    struct view *views;        /* view.c: the open ones, newest first */
    struct held_snapshot held; /* held.c: between statements */

    /* transaction.c: the open transaction, or NULL, and what belongs to it. */
    struct faster_txn *txn;
    struct write_tally tally; /* of a direct table: what the transaction's statements wrote */
    bool collected;           /* it has looked for orphans */
    bool prepared;            /* the row of all its writes is in the shadow table */
    uint64_t row_number;      /* of the row it has put there, 0 for none */
    bool gone;                /* xSync found no table of this store: it is dropped */
    uint64_t deleted_below;   /* rows under this number are gone from the shadow table */
    /* transaction.c, and row_write.c for each row. */
    bool broken;               /* a savepoint was not rolled back: it cannot commit */
    struct rowid_bound rowids; /* rowids.c, too */
    enum key_text key_text;

    /* attachment_meet(); transaction.c, when a transaction ends, forgets it (newest_known). The
     * newest row in the connection's last snapshot of the database; while a transaction is
     * open, the row it began on. */
    bool newest_known;
    bool newest_found; /* false: there are no rows */
    bool met;          /* the session has told the store of a row */
    unsigned data_version;
    bool shares_cache;        /* it must read the row each time, for the lock that this takes */
    unsigned user_total_seen; /* of the store, when that was last found out */
    struct stored_row newest;
};

/* Finds or makes the attachment to the store whose commits `rows` holds, for one more table
 * object; `options` are those of its declaration. On SQLITE_OK it belongs to the caller until
 * attachment_release(). The message is in the connection. */
int attachment_acquire(struct commit_rows *rows, const struct schema_options *options,
                       struct attachment **attachment);
/* A table object lets go. `attachment` may be NULL. */
void attachment_release(struct attachment *attachment);
/* Before each use: makes sure that it has a session. SQLITE_OK, or a failure with its message
 * in the connection. */
int attachment_wake(struct attachment *attachment);
/* A session with the name instead, NULL: without one. No view is open. As
 * faster_session_open_named(); after a failure it has the former name. */
enum faster_status attachment_rename_session(struct attachment *attachment,
                                             const char *name) FASTER_MUST_CHECK;
/* After each use: gives the session back if the store has many and nothing of this one is open.
 * `attachment` may be NULL. */
void attachment_rest(struct attachment *attachment);
/* After a rename. Best effort: it is a hint. `attachment` may be NULL. */
void attachment_set_table_name(struct attachment *attachment, const char *table_name);
/* Closes the session and gives the store back. REQUIRES: no views are open. */
void attachment_destroy(struct attachment *attachment);
/* Destroys it as soon as nothing points to it. */
void attachment_end(struct attachment *attachment);
/* The same for all of one store: a store_changes_gone_fn. */
void attachment_end_of_store(struct connection *connection, const uint8_t uuid[FASTER_UUID_BYTES]);

/* Reads the newest of `rows` in the connection's snapshot and makes the store know it. Without
 * a transaction of its own only. `always` reads it even if nothing seems to have changed. Does
 * nothing for a direct table. */
int attachment_meet(struct attachment *attachment, struct commit_rows *rows, bool always);

/* True if SQLite keeps the connection apart from others by locks on tables, not by snapshots. */
bool attachment_shares_cache(struct attachment *attachment);

#endif
