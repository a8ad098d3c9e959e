/* batch.c - see batch.h.
 *
 * Keys are asked for in groups of up to 128: the engine prefetches their buckets and records,
 * and those on disk are read at the same time. The values of a group lie in an arena whose
 * limit is the store's, a share of its budget. Reads that find it full are asked for again in
 * the next group, which begins with the first of them, so that rows come in the list's order.
 * Each group answers at least one key: its first, or else the next group is half as long, down
 * to one read, which always has room.
 */
#include "store/batch.h"

#include <stdint.h>

#define GROUP_COUNT_MAX 128u
/* What a batch keeps between statements. */
#define KEPT_VALUE_BYTES (256u * 1024u)
#define KEPT_KEY_BYTES (64u * 1024u)
/* So many groups without a row in between are some ten milliseconds of reads from disk. */
#define GROUPS_PER_INTERRUPT 16u

struct batch_slot {
    struct faster_buffer value;
    size_t key_index;
};

struct batch *batch_take(struct batch **spare, const struct faster_store *store) {
    struct batch *batch = *spare;
    *spare = NULL;
    size_t limit_bytes = faster_result_bytes_max(store);
    if (batch != NULL && batch->limit_bytes != limit_bytes) {
        batch_destroy(batch);
        batch = NULL;
    }
    if (batch == NULL) {
        batch = sqlite3_malloc64(sizeof *batch);
        if (batch != NULL) {
            *batch = (struct batch){.limit_bytes = limit_bytes, .group_max = GROUP_COUNT_MAX};
        }
    }
    return batch;
}

void batch_give_back(struct batch **spare, struct batch *batch) {
    if (batch == NULL) {
        return;
    }
    if (*spare != NULL) {
        batch_destroy(batch);
        return;
    }
    key_list_clear(&batch->keys, KEPT_KEY_BYTES);
    if (batch->arena != NULL) {
        faster_arena_clear(batch->arena, KEPT_VALUE_BYTES);
    }
    *spare = batch;
}

void batch_destroy(struct batch *batch) {
    if (batch != NULL) {
        faster_arena_destroy(batch->arena);
        key_list_finish(&batch->keys);
        sqlite3_free(batch->ops);
        sqlite3_free(batch->slots);
        sqlite3_free(batch);
    }
}

static int reserve(struct batch *batch, size_t wanted) {
    size_t capacity = wanted < GROUP_COUNT_MAX ? wanted : GROUP_COUNT_MAX;
    if (capacity <= batch->capacity) {
        return SQLITE_OK;
    }
    struct faster_op *ops = sqlite3_realloc64(batch->ops, capacity * sizeof *ops);
    if (ops == NULL) {
        return SQLITE_NOMEM;
    }
    batch->ops = ops;
    struct batch_slot *slots = sqlite3_realloc64(batch->slots, capacity * sizeof *slots);
    if (slots == NULL) {
        return SQLITE_NOMEM;
    }
    batch->slots = slots;
    batch->capacity = capacity;
    return SQLITE_OK;
}

int batch_start(struct batch *batch, bool with_values) {
    batch->with_values = with_values;
    batch->key_next = 0;
    batch->answered_count = 0;
    batch->index = SIZE_MAX;
    if (with_values && batch->arena == NULL) {
        batch->arena = faster_arena_create(faster_env_posix(), batch->limit_bytes);
        if (batch->arena == NULL) {
            return SQLITE_NOMEM;
        }
    }
    return reserve(batch, batch->keys.count);
}

/* Prepares reads of the next keys; returns how many. */
static size_t fill(struct batch *batch) {
    const struct faster_env *env = NULL;
    size_t count_max = batch->group_max < batch->capacity ? batch->group_max : batch->capacity;
    size_t count = 0;
    if (batch->with_values) {
        faster_arena_clear(batch->arena, SIZE_MAX);
        env = faster_arena_env(batch->arena);
    }
    for (; count < count_max && batch->key_next < batch->keys.count; batch->key_next++) {
        struct faster_bytes key = key_list_at(&batch->keys, batch->key_next);
        if (key.size_bytes == 0) {
            continue;
        }
        struct batch_slot *slot = &batch->slots[count];
        *slot = (struct batch_slot){.value = {.env = env}, .key_index = batch->key_next};
        batch->ops[count++] = (struct faster_op){
            .key = key, .result = env == NULL ? NULL : &slot->value, .kind = FASTER_OP_READ};
    }
    return count;
}

/* A single read has nothing to prefetch. */
static enum faster_status ask(struct batch *batch, const struct faster_snapshot *snapshot,
                              size_t count) {
    enum faster_status status = FASTER_OK;
    if (count == 1) {
        status = faster_snapshot_read(snapshot, &batch->ops[0]);
        batch->ops[0].status = status;
    } else if (count > 1) {
        status = faster_snapshot_batch(snapshot, batch->ops, count);
        if (status != FASTER_OK && status != FASTER_PENDING) {
            return status;
        }
    }
    if (status == FASTER_PENDING) {
        (void)faster_session_complete_pending(snapshot->session, true);
    }
    return FASTER_OK;
}

/* Counts the answered reads before the first that found the arena full, and goes back to that
 * one's key. */
static enum faster_status take_answers(struct batch *batch, size_t count) {
    bool is_full = batch->with_values && faster_arena_is_full(batch->arena);
    size_t answered = 0;
    for (; answered < count; answered++) {
        enum faster_status status = batch->ops[answered].status;
        if (status == FASTER_NOMEM && is_full && count > 1) {
            batch->key_next = batch->slots[answered].key_index;
            break;
        }
        if (status != FASTER_OK && status != FASTER_NOT_FOUND) {
            return status;
        }
    }
    batch->answered_count = answered;
    if (answered < count) {
        batch->group_max = answered > 0 ? answered : (count + 1) / 2;
    } else if (batch->group_max < GROUP_COUNT_MAX) {
        batch->group_max *= 2;
    }
    return FASTER_OK;
}

static enum faster_status read_group(struct batch *batch, const struct faster_snapshot *snapshot) {
    batch->answered_count = 0;
    batch->index = SIZE_MAX;
    size_t count = fill(batch);
    enum faster_status status = ask(batch, snapshot, count);
    return status == FASTER_OK ? take_answers(batch, count) : status;
}

enum faster_status batch_next(struct batch *batch, const struct faster_snapshot *snapshot,
                              struct connection *connection) {
    for (unsigned groups = 1;; groups++) {
        while (++batch->index < batch->answered_count) {
            if (batch->ops[batch->index].status == FASTER_OK) {
                return FASTER_OK;
            }
        }
        if (batch->key_next == batch->keys.count) {
            return FASTER_END;
        }
        if (groups % GROUPS_PER_INTERRUPT == 0 && connection_interrupted(connection)) {
            return FASTER_INTERRUPTED;
        }
        enum faster_status status = read_group(batch, snapshot);
        if (status != FASTER_OK) {
            return status;
        }
    }
}

size_t batch_key_index(const struct batch *batch) {
    return batch->slots[batch->index].key_index;
}

struct faster_bytes batch_key(const struct batch *batch) {
    return batch->ops[batch->index].key;
}

struct faster_bytes batch_value(const struct batch *batch) {
    const struct faster_buffer *value = &batch->slots[batch->index].value;
    return (struct faster_bytes){value->data, value->size_bytes};
}
