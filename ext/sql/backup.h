/* backup.h - faster_backup() and faster_adopt(): stores that are copied, and that move. */
#ifndef FASTER_EXT_BACKUP_H
#define FASTER_EXT_BACKUP_H

#include "base/sqlite_api.h"

/* faster_backup(t, directory [, database]): copies the table's store to directory/<uuid>. It pairs
 * with the copy of the database that is given; without, with the database as the connection sees it
 * now. Gives the path of the copy. */
void backup_function(sqlite3_context *context, int argc, sqlite3_value **argv);

/* faster_adopt(t): the store belongs to this database from now on, also if the one that it belonged
 * to is still there. Gives the path of the store. */
void adopt_function(sqlite3_context *context, int argc, sqlite3_value **argv);

#endif
