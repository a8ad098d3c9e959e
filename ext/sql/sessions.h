/* sessions.h - named sessions of a direct table's store: command, functions, list. */
#ifndef FASTER_EXT_SESSIONS_H
#define FASTER_EXT_SESSIONS_H

#include "sql/function_table.h"
#include "sql/listing.h"

/* faster_sessions(t): name, durable_serial, serial, open. */
extern const struct listing_kind SESSIONS_LISTING;

/* The name if the command is 'session <name>', else NULL; borrowed from it. */
const char *session_parse(const char *command);

/* From now on the connection works in the table's store under the name, until another one, or none
 * (NULL), is taken. SQLite's result code, with a message in the connection. */
int session_take(struct table *table, const char *name);

/* faster_session(t [, name]): the number of the last operation under the name that has been taken,
 * NULL if there is none; takes the name first, or with NULL gives it back. */
void session_function(sqlite3_context *context, int argc, sqlite3_value **argv);

/* faster_session_forget(t, name): 1 if it was known, else 0. */
void session_forget_function(sqlite3_context *context, int argc, sqlite3_value **argv);

#endif
