/* point.c - see point.h. */
#include "table/point.h"

int point_read(struct table *table, const struct view *view, struct faster_bytes key,
               struct faster_buffer *value, bool *found) {
    struct faster_op op = {.key = key, .result = value};
    enum faster_status status = faster_snapshot_read(&view->snapshot, &op);
    if (status == FASTER_PENDING) {
        (void)faster_session_complete_pending(view->attachment->session, true);
        status = op.status;
    }
    *found = status == FASTER_OK;
    if (status != FASTER_OK && status != FASTER_NOT_FOUND) {
        return table_engine_error(table, status);
    }
    return SQLITE_OK;
}

int point_exists(struct table *table, const struct view *view, struct faster_bytes key,
                 bool *found) {
    return point_read(table, view, key, NULL, found);
}

enum faster_status point_write(struct attachment *attachment, point_write_fn *write,
                               struct faster_op *op) {
    enum faster_status status = write(attachment->txn, op);
    if (status == FASTER_PENDING) {
        (void)faster_session_complete_pending(attachment->session, true);
        status = op->status;
    }
    return status;
}
