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

struct view;

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

    struct held_snapshot held; /* between statements */

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

/* Finds or makes the attachment to the store whose commits `rows` holds, for one more table
 * object; `options` are those of its declaration. On SQLITE_OK it belongs to the caller until
 * attachment_release(). The message is in the connection. */
int attachment_acquire(struct commit_rows *rows, const struct schema_options *options,
                       struct attachment **attachment);
/* A table object lets go. `attachment` may be NULL. */
void attachment_release(struct attachment *attachment);
/* After a rename. Best effort: it is a hint. `attachment` may be NULL. */
void attachment_set_table_name(struct attachment *attachment, const char *table_name);
/* Closes the session and gives the store back. REQUIRES: no views are open. */
void attachment_destroy(struct attachment *attachment);
/* Destroys it as soon as nothing points to it. */
void attachment_end(struct attachment *attachment);
/* The same for all of one store: a store_changes_gone_fn. */
void attachment_end_of_store(struct connection *connection, const uint8_t uuid[FASTER_UUID_BYTES]);

/* Reads the newest of `rows` in the connection's snapshot and makes the store know it. Without
 * a transaction of its own only. `always` reads it even if nothing seems to have changed. */
int attachment_meet(struct attachment *attachment, struct commit_rows *rows, bool always);

#endif
