/* errors.c - see errors.h. */
#include "base/errors.h"

#include "base/sqlite_api.h"

#define TEXT_OF_VALUE(value) #value
#define TEXT_OF(macro) TEXT_OF_VALUE(macro)

int errors_code(enum faster_status status) {
    switch (status) {
    case FASTER_OK:
        return SQLITE_OK;
    case FASTER_PENDING:
    case FASTER_NOT_FOUND:
    case FASTER_EXISTS:
    case FASTER_END:
    case FASTER_BEHIND:
    case FASTER_REMOVE:
        return SQLITE_INTERNAL;
    case FASTER_IO:
    case FASTER_FAILED:
        return SQLITE_IOERR;
    case FASTER_CORRUPT:
        return SQLITE_CORRUPT_VTAB;
    case FASTER_NOMEM:
        return SQLITE_NOMEM;
    case FASTER_FULL:
        return SQLITE_FULL;
    case FASTER_MISUSE:
        return SQLITE_MISUSE;
    case FASTER_BUSY:
        return SQLITE_BUSY;
    case FASTER_TOO_BIG:
        return SQLITE_TOOBIG;
    case FASTER_INVALID:
        return SQLITE_ERROR;
    case FASTER_MISSING:
    case FASTER_FOREIGN:
    case FASTER_VERSION_NEWER:
    case FASTER_COPY:
        return SQLITE_CANTOPEN;
    case FASTER_SNAPSHOT_GONE:
        return SQLITE_BUSY_SNAPSHOT;
    case FASTER_READ_ONLY:
        return SQLITE_READONLY;
    case FASTER_INTERRUPTED:
        return SQLITE_INTERRUPT;
    }
    return SQLITE_INTERNAL;
}

const char *errors_text(enum faster_status status) {
    switch (status) {
    case FASTER_OK:
    case FASTER_PENDING:
    case FASTER_END:
    case FASTER_BEHIND:
    case FASTER_REMOVE:
        return faster_status_name(status);
    case FASTER_NOT_FOUND:
        return "not found";
    case FASTER_EXISTS:
        return "it exists already";
    case FASTER_IO:
        return "the operating system reported an I/O error";
    case FASTER_CORRUPT:
        return "the store's files are damaged";
    case FASTER_NOMEM:
        return "out of memory";
    case FASTER_FULL:
        return "the disk is full, a file is as large as the process may make it, or no file "
               "descriptor is left";
    case FASTER_MISUSE:
        return "the store was used in a way it does not allow";
    case FASTER_BUSY:
        return "at most " TEXT_OF(FASTER_SESSIONS_MAX) " connections and scans can use a store "
                                                       "at once: close some, or try again";
    case FASTER_TOO_BIG:
        return "the key or the row is too big";
    case FASTER_INVALID:
        return "an option is out of range";
    case FASTER_MISSING:
        return "the store's directory is missing";
    case FASTER_FOREIGN:
        return "a file of the store is a link or no regular file, or is another store's";
    case FASTER_VERSION_NEWER:
        return "the store was written by a newer version";
    case FASTER_COPY:
        return "database and store are not a pair: one of them is a copy or an old backup";
    case FASTER_SNAPSHOT_GONE:
        return "the snapshot is too old: its rows have been reclaimed";
    case FASTER_READ_ONLY:
        return "the store is read-only";
    case FASTER_INTERRUPTED:
        return "interrupted";
    case FASTER_FAILED:
        return "an earlier write failed: the store refuses writes until it is reopened";
    }
    return faster_status_name(status);
}
