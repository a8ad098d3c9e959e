/* connection.h - what the extension keeps for one database connection.
 *
 * Made when the extension is loaded into a connection, gone when SQLite has released the
 * last module and function that points to it. SQLite's own mutex protects all of it but `db`
 * and `next`: the connection's methods never run on two threads at once.
 *
 * Table objects (table.h) are disposable, SQLite makes new ones at every change of the
 * schema. What must outlive them hangs here: the attachments (attachment.h) to stores with
 * their open transactions, and the list of stores created or dropped in the open
 * transaction.
 */
#ifndef FASTER_EXT_CONNECTION_H
#define FASTER_EXT_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sqlite_api.h"
#include "faster.h"

struct attachment;
struct kept_statement;
struct store_change;
struct table;

struct connection;

/* What a function that runs a command gives to it, and gets back. */
struct command_exchange {
    sqlite3_value *expected;  /* of 'cas', else NULL */
    const char *directory;    /* of 'salvage', else NULL; */
    bool with_doubtful;       /*   and whether it takes what no commit covers */
    sqlite3_context *context; /* whose result becomes the new value, or NULL */
    bool changed;             /* out: the row was stored */
};

/* Ends what still uses a connection that is about to go: its transactions and attachments. */
typedef void connection_end_fn(struct connection *connection);

struct connection {
    sqlite3 *db;             /* set before it is in the list, then the same: any thread */
    struct connection *next; /* connection.c's list of all: any thread, under its mutex */
    connection_end_fn *end;
    unsigned reference_count; /* registrations with SQLite */
    char *message;            /* of the last failure, sqlite3_malloc, or NULL */

    struct table *tables;              /* live table objects, newest first */
    struct attachment *attachments;    /* stores in use */
    struct store_change *changes;      /* CREATE and DROP not yet settled, newest first */
    int open_level;                    /* highest savepoint announced and not released, or -1 */
    bool syncing;                      /* our own statements run inside xSync */
    bool watched;                      /* the watcher takes part in the open transaction */
    bool schema_changed;               /* by CREATE, DROP or a rename whose end is not known */
    bool watcher_connected;            /* statements.h relies on its xDisconnect */
    struct kept_statement *statements; /* newest first */
    struct table *planned;             /* the last table whose xBestIndex ran */
    struct command_exchange *exchange; /* of the function that runs, or NULL */
};

/* NULL: out of memory. The caller owns one reference. `end` runs before the last one is gone. */
struct connection *connection_create(sqlite3 *db, connection_end_fn *end);
/* True if the extension is loaded into `db`. Asking SQLite itself for one of our functions
 * would leave an error behind, and sqlite3_open() takes that for a failed auto extension. */
bool connection_exists(const sqlite3 *db);
void connection_reference(struct connection *connection);
/* void *, so that SQLite can call it as a destructor. The last one releases everything. */
void connection_release(void *connection);

/* Sets the message and returns `code`. */
int connection_error(struct connection *connection, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a failed nested statement: the message is SQLite's own, and so is the extended
 * code that is returned. */
int connection_sqlite_error(struct connection *connection, int code);
/* The same for the engine: "<table>: <message>". `message` may be "" or NULL. */
int connection_engine_error(struct connection *connection, const char *table_name,
                            enum faster_status status, const char *message);
/* Gives the message to the caller, who frees it with sqlite3_free(); NULL if there is none. */
char *connection_take_message(struct connection *connection);

/* SQLITE_MISUSE with a message if this process was forked from the one that opened the
 * connection: a store belongs to the process that opened it. */
int connection_check_process(struct connection *connection);

/* A statement of ours that meets NOMEM, IOERR or FULL makes SQLite roll back the whole
 * transaction at once. Whoever goes on in spite of such a failure asks here first, while SQLite
 * should hold the write lock: SQLITE_OK if it does, else `code` with a message. */
int connection_check_writing(struct connection *connection, const char *schema_name, int code);

/* Steps a statement that returns no rows to its end; with PRAGMA count_changes it has one.
 * SQLITE_DONE, or the failure. */
int connection_run(sqlite3_stmt *statement);

/* A faster_interrupt_fn: true after sqlite3_interrupt(). `context` is the connection. */
bool connection_interrupted(void *context);

/* A faster_diagnostic_fn that writes to sqlite3_log(). */
void connection_diagnostic(void *context, enum faster_diagnostic_level level, const char *module,
                           const char *message);

/* What sqlite3_busy_timeout() is set to. */
uint64_t connection_busy_timeout_ns(struct connection *connection);

#endif
