/* cursor.h - the methods of a cursor. */
#ifndef FASTER_EXT_CURSOR_H
#define FASTER_EXT_CURSOR_H

#include "base/sqlite_api.h"

int cursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **cursor);
int cursor_close(sqlite3_vtab_cursor *base);
int cursor_filter(sqlite3_vtab_cursor *base, int index_number, const char *index_text, int argc,
                  sqlite3_value **argv);
int cursor_next(sqlite3_vtab_cursor *base);
int cursor_eof(sqlite3_vtab_cursor *base);
int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column);
int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid);

#endif
