/* module.h - the methods of the virtual table module, one file each. */
#ifndef FASTER_EXT_MODULE_H
#define FASTER_EXT_MODULE_H

#include "connection.h"
#include "table.h"

/* update.c */
int update_method(sqlite3_vtab *base, int argc, sqlite3_value **argv, sqlite3_int64 *rowid);

/* command.c: INSERT with a value in the command column; xUpdate's arguments. */
int command_run(struct table *table, sqlite3_value **argv);
/* Reads everything of the table's store and checks it. *finding_count gets the number of
 * findings, *findings the first of them, one a line: sqlite3_malloc, NULL if there is none. */
int command_verify(struct table *table, uint64_t *finding_count, char **findings);

/* cursor.c */
int cursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **cursor);
int cursor_close(sqlite3_vtab_cursor *base);
int cursor_filter(sqlite3_vtab_cursor *base, int index_number, const char *index_text, int argc,
                  sqlite3_value **argv);
int cursor_next(sqlite3_vtab_cursor *base);
int cursor_eof(sqlite3_vtab_cursor *base);
int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column);
int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid);

/* module.c, functions.c, statistics.c: each registers its part with the connection. */
int module_register(struct connection *connection);
int functions_register(struct connection *connection);
int statistics_register(struct connection *connection);

/* functions.c: the table object for "t" or "schema.t", with the store's attachment. The
 * message is in the connection. */
int functions_find_table(struct connection *connection, const char *name, struct table **table);

#endif
