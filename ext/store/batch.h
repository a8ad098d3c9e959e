/* batch.h - reads of any number of keys in one view, many at a time. */
#ifndef FASTER_EXT_BATCH_H
#define FASTER_EXT_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "codec/key_list.h"
#include "faster.h"
#include "store/connection.h"

/* Belongs to one cursor at a time, and to a table object between two statements. */
struct batch {
    struct key_list keys; /* the owner's: what to ask for, complete before batch_start() */
    /* Private to batch.c. */
    size_t limit_bytes; /* of the values of a group */
    struct faster_arena *arena;
    struct faster_op *ops;    /* [capacity] */
    struct batch_slot *slots; /* [capacity] */
    size_t capacity;
    bool with_values;
    size_t key_next;       /* the first key not asked for */
    size_t group_max;      /* so many reads fit the arena, as far as is known */
    size_t answered_count; /* of the present group */
    size_t index;          /* of the present row in it; SIZE_MAX: before the first */
};

/* The batch in *spare, or a new one; no keys. NULL: out of memory. */
struct batch *batch_take(struct batch **spare, const struct faster_store *store);
/* Puts it into *spare with what memory it may keep, or destroys it if one is there. */
void batch_give_back(struct batch **spare, struct batch *batch);
void batch_destroy(struct batch *batch);

/* Begins with the first key. `with_values`: batch_value() will be asked for. SQLITE_OK,
 * SQLITE_NOMEM. */
int batch_start(struct batch *batch, bool with_values);
/* Goes to the next key that has a row in `snapshot`, in the list's order; blocks while records
 * are on disk. Asks for an interrupt when it has read long without a row. OK; END; or why a read
 * failed; INTERRUPTED. */
enum faster_status batch_next(struct batch *batch, const struct faster_snapshot *snapshot,
                              struct connection *connection);

/* Of the present row; valid until the next call. */
size_t batch_key_index(const struct batch *batch);
struct faster_bytes batch_key(const struct batch *batch);
struct faster_bytes batch_value(const struct batch *batch);

#endif
