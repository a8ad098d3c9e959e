/* point.h - one engine operation from beginning to end. */
#ifndef FASTER_EXT_POINT_H
#define FASTER_EXT_POINT_H

#include "table/view.h"

/* Reads a key's value in a view; `value` (may be NULL) belongs to the caller, who sets its
 * env. Blocks while the record is on disk. */
int point_read(struct table *table, const struct view *view, struct faster_bytes key,
               struct faster_buffer *value, bool *found);

int point_exists(struct table *table, const struct view *view, struct faster_bytes key,
                 bool *found);

/* Runs a write of the attachment's transaction and waits for it. */
typedef enum faster_status point_write_fn(struct faster_txn *txn, struct faster_op *op);
enum faster_status point_write(struct attachment *attachment, point_write_fn *write,
                               struct faster_op *op);

#endif
