/* point.h - one engine operation from beginning to end. */
#ifndef FASTER_EXT_POINT_H
#define FASTER_EXT_POINT_H

#include "store/attachment.h"
#include "table/table.h"

/* Reads a key's value in a snapshot; `value` (NULL: only whether it exists) belongs to the
 * caller, who sets its env. Blocks while the record is on disk. */
int point_read(struct table *table, const struct faster_snapshot *snapshot, struct faster_bytes key,
               struct faster_buffer *value, bool *found);

enum point_kind { POINT_UPSERT, POINT_INSERT, POINT_RMW, POINT_DELETE };

/* Runs a write and waits for it: of the attachment's open transaction, or, of a direct table, at
 * once. */
enum faster_status point_write(struct attachment *attachment, enum point_kind kind,
                               struct faster_op *op);

#endif
