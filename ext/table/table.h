/* table.h - one table object: what SQLite makes of a FASTER table when it parses a schema.
 *
 * Disposable. The statements kept in `rows` are finalised in xDisconnect, which SQLite calls
 * before it looks for statements left open at sqlite3_close(). They may only name ordinary
 * tables: see statements.h.
 */
#ifndef FASTER_EXT_TABLE_H
#define FASTER_EXT_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sqlite_api.h"
#include "codec/schema.h"
#include "store/attachment.h"
#include "store/batch.h"
#include "store/commit_rows.h"
#include "store/connection.h"

struct table {
    sqlite3_vtab base;
    struct connection *connection;
    struct table *next;
    char *schema_name;
    char *name;
    struct table_schema schema;
    struct commit_rows rows;
    struct attachment *attachment;   /* NULL before the first use */
    struct row_values *spare_values; /* see row_values.h, or NULL */
    struct batch *spare_batch;       /* see batch.h, or NULL */
    uint64_t resolved_generation;    /* registry_schema_generation() when "schema.t" was this */
    uint64_t plain_generation;       /* the same for "t" alone */
    int busy_count;                  /* functions at work with it */
    bool enlisted;                   /* in the open transaction: its methods are called */
    bool disconnected;               /* released by SQLite, alive only because it is busy */
};

/* writes='direct'. */
static inline bool table_is_direct(const struct table *table) {
    return table->schema.options.writes == FASTER_WRITES_DIRECT;
}

/* Parses the module's arguments and declares the columns. On SQLITE_OK the object is in the
 * connection's list. Otherwise the message is in the connection. */
int table_create(struct connection *connection, int argument_count, const char *const *arguments,
                 struct table **table);
/* xDisconnect: releases it now, or when it is no longer busy. */
void table_release(struct table *table);

/* Keep the object alive while a function works with it: a statement of ours may find that the
 * schema has changed, and SQLite then releases all objects that no statement of its own holds. */
void table_busy(struct table *table);
void table_idle(struct table *table);

/* The object's attachment to its store, made at the first use, and awake. */
int table_attach(struct table *table, struct attachment **attachment);
/* The same, and the store knows the newest commit; within a transaction of its own it does. */
int table_meet(struct table *table, struct attachment **attachment);

/* Hands the connection's message to SQLite and returns `code`: how every method of the
 * module ends. */
int table_result(struct table *table, int code);

/* A failed engine call of the attachment's session. */
int table_engine_error(struct table *table, enum faster_status status);

#endif
