/* point.c - see point.h. */
#include "table/point.h"

int point_read(struct table *table, const struct faster_snapshot *snapshot, struct faster_bytes key,
               struct faster_buffer *value, bool *found) {
    struct faster_op op = {.key = key, .result = value};
    enum faster_status status = faster_snapshot_read(snapshot, &op);
    if (status == FASTER_PENDING) {
        (void)faster_session_complete_pending(snapshot->session, true);
        status = op.status;
    }
    *found = status == FASTER_OK;
    if (status != FASTER_OK && status != FASTER_NOT_FOUND) {
        return table_engine_error(table, status);
    }
    return SQLITE_OK;
}

static enum faster_status write_in_txn(struct faster_txn *txn, enum point_kind kind,
                                       struct faster_op *op) {
    switch (kind) {
    case POINT_UPSERT:
        return faster_txn_upsert(txn, op);
    case POINT_INSERT:
        return faster_txn_insert(txn, op);
    case POINT_RMW:
        return faster_txn_rmw(txn, op);
    case POINT_DELETE:
        return faster_txn_delete(txn, op);
    }
    return FASTER_MISUSE;
}

static enum faster_status write_directly(struct faster_session *session, enum point_kind kind,
                                         struct faster_op *op) {
    switch (kind) {
    case POINT_UPSERT:
        return faster_session_upsert(session, op);
    case POINT_INSERT:
        return faster_session_insert(session, op);
    case POINT_RMW:
        return faster_session_rmw(session, op);
    case POINT_DELETE:
        return faster_session_delete(session, op);
    }
    return FASTER_MISUSE;
}

enum faster_status point_write(struct attachment *attachment, enum point_kind kind,
                               struct faster_op *op) {
    enum faster_status status = attachment->direct ? write_directly(attachment->session, kind, op)
                                                   : write_in_txn(attachment->txn, kind, op);
    if (status == FASTER_PENDING) {
        (void)faster_session_complete_pending(attachment->session, true);
        status = op->status;
    }
    return status;
}
