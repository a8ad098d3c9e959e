/* sqlite_api.h - one way to reach SQLite for every file of the extension.
 *
 * A loadable extension calls SQLite through the table of functions it gets when it
 * is loaded; extension.c defines that table's pointer. Built into a program, as the
 * unit tests and static applications do, it calls SQLite directly.
 */
#ifndef FASTER_EXT_SQLITE_API_H
#define FASTER_EXT_SQLITE_API_H

#ifdef FASTER_STATIC
#include "sqlite3.h"
#else
#include "sqlite3ext.h"
SQLITE_EXTENSION_INIT3
#endif

#endif
