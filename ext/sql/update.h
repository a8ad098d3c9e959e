/* update.h - xUpdate: INSERT, UPDATE and DELETE. */
#ifndef FASTER_EXT_UPDATE_H
#define FASTER_EXT_UPDATE_H

#include "base/sqlite_api.h"

int update_method(sqlite3_vtab *base, int argc, sqlite3_value **argv, sqlite3_int64 *rowid);

#endif
