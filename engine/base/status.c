#include "faster.h"

const char *faster_status_name(enum faster_status status) {
    switch (status) {
    case FASTER_OK:
        return "FASTER_OK";
    case FASTER_PENDING:
        return "FASTER_PENDING";
    case FASTER_NOT_FOUND:
        return "FASTER_NOT_FOUND";
    case FASTER_EXISTS:
        return "FASTER_EXISTS";
    case FASTER_END:
        return "FASTER_END";
    case FASTER_BEHIND:
        return "FASTER_BEHIND";
    case FASTER_REMOVE:
        return "FASTER_REMOVE";
    case FASTER_IO:
        return "FASTER_IO";
    case FASTER_CORRUPT:
        return "FASTER_CORRUPT";
    case FASTER_NOMEM:
        return "FASTER_NOMEM";
    case FASTER_FULL:
        return "FASTER_FULL";
    case FASTER_MISUSE:
        return "FASTER_MISUSE";
    case FASTER_BUSY:
        return "FASTER_BUSY";
    case FASTER_TOO_BIG:
        return "FASTER_TOO_BIG";
    case FASTER_INVALID:
        return "FASTER_INVALID";
    case FASTER_MISSING:
        return "FASTER_MISSING";
    case FASTER_FOREIGN:
        return "FASTER_FOREIGN";
    case FASTER_VERSION_NEWER:
        return "FASTER_VERSION_NEWER";
    case FASTER_COPY:
        return "FASTER_COPY";
    case FASTER_SNAPSHOT_GONE:
        return "FASTER_SNAPSHOT_GONE";
    case FASTER_READ_ONLY:
        return "FASTER_READ_ONLY";
    case FASTER_INTERRUPTED:
        return "FASTER_INTERRUPTED";
    case FASTER_FAILED:
        return "FASTER_FAILED";
    }
    return "FASTER_STATUS_UNKNOWN";
}
