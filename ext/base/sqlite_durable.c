/* sqlite_durable.c - see sqlite_durable.h.
 *
 * Where the last commit is depends on the journal mode:
 *
 *   WAL                 in the -wal file, or already moved into the database file
 *   DELETE              in the database file, once the journal's removal is in the directory
 *   TRUNCATE, PERSIST   in the database file, once the journal's size or head is on disk
 *   MEMORY, OFF         in the database file
 *
 * So: the journal or WAL file, the database file, the directory, in every mode. The database
 * file is reached through SQLite's own handle only: closing another descriptor of it would
 * drop SQLite's POSIX locks. The journals carry no locks and are opened by name when SQLite
 * has not got them open, for another connection may have left them unsynced.
 */
#include "base/sqlite_durable.h"

#include <string.h>

#include "base/system.h"

static int sync_handle(sqlite3_file *file) {
    return file->pMethods->xSync(file, SQLITE_SYNC_FULL);
}

/* The file SQLite has open for `control`, or NULL. */
static sqlite3_file *open_handle(sqlite3 *db, const char *schema_name, int control) {
    sqlite3_file *file = NULL;
    if (sqlite3_file_control(db, schema_name, control, &file) != SQLITE_OK || file == NULL ||
        file->pMethods == NULL) {
        return NULL;
    }
    return file;
}

static int sync_sibling(const char *file_name, const char *suffix) {
    char *path = sqlite3_mprintf("%s%s", file_name, suffix);
    if (path == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = system_sync_file(path);
    sqlite3_free(path);
    return rc;
}

static int sync_directory(const char *file_name) {
    const char *slash = strrchr(file_name, '/');
    int length = slash == NULL ? 0 : (int)(slash - file_name);
    char *path = length == 0 ? sqlite3_mprintf("%s", slash == NULL ? "." : "/")
                             : sqlite3_mprintf("%.*s", length, file_name);
    if (path == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = system_sync_directory(path);
    sqlite3_free(path);
    return rc;
}

int sqlite_durable(sqlite3 *db, const char *schema_name) {
    const char *file_name = sqlite3_db_filename(db, schema_name);
    if (file_name == NULL || file_name[0] == '\0') {
        return SQLITE_OK;
    }
    int rc = SQLITE_OK;
    sqlite3_file *journal = open_handle(db, schema_name, SQLITE_FCNTL_JOURNAL_POINTER);
    if (journal != NULL) {
        rc = sync_handle(journal);
    } else {
        rc = sync_sibling(file_name, "-wal");
        rc = rc == SQLITE_OK ? sync_sibling(file_name, "-journal") : rc;
    }
    sqlite3_file *database = open_handle(db, schema_name, SQLITE_FCNTL_FILE_POINTER);
    if (rc == SQLITE_OK && database != NULL) {
        rc = sync_handle(database);
    }
    return rc == SQLITE_OK ? sync_directory(file_name) : rc;
}
