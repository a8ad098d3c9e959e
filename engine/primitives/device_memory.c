/* device_memory.c - a device whose segments are memory (layer 2).
 *
 * A request waits in its queue until the queue is polled; then the polling thread copies the
 * bytes itself. So requests are as asynchronous as those of a file, and no thread is needed.
 *
 * The device's lock protects the table of segments and each segment's counters, never the
 * bytes: a segment that is being copied from or to holds a reference, and truncation leaves
 * a referenced segment to its last user. Who reads bytes that another thread wrote has
 * learnt of that write's completion first; that order is the caller's.
 */
#include "primitives/device.h"

#include <string.h>

#include "base/atomic.h"

struct segment {
    uint64_t index;
    unsigned char *bytes;
    uint64_t end_off;         /* bytes below were written, or are a hole before some that were */
    uint32_t reference_count; /* the table's own, and one for each copy under way */
};

struct memory_device {
    struct fst_device head;
    struct fst_mutex *mutex;   /* protects everything below */
    struct segment **segments; /* ascending by index */
    size_t segment_count;
    size_t segment_capacity;
    uint64_t first_index;        /* truncation has passed the segments below */
    fst_atomic_u64 stored_bytes; /* written under the lock, read by anybody, relaxed */
};

struct fst_device_queue {
    struct fst_io_request *first;
    struct fst_io_request **last;
};

static struct memory_device *memory_of(struct fst_device *device) {
    return (struct memory_device *)device;
}

static uint64_t segment_bytes(const struct memory_device *memory) {
    return UINT64_C(1) << memory->head.segment_bits;
}

/* ---- the table; the lock is held ---- */

/* Where segment `index` is, or where it would be inserted. */
static size_t table_position(const struct memory_device *memory, uint64_t index) {
    size_t low = 0;
    size_t high = memory->segment_count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (memory->segments[middle]->index < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct segment *table_find(const struct memory_device *memory, uint64_t index) {
    const size_t position = table_position(memory, index);

    if (position < memory->segment_count && memory->segments[position]->index == index) {
        return memory->segments[position];
    }
    return NULL;
}

static bool table_reserve(struct memory_device *memory) {
    const struct faster_env *env = memory->head.env;
    size_t capacity;
    struct segment **segments;

    if (memory->segment_count < memory->segment_capacity) {
        return true;
    }
    capacity = memory->segment_capacity == 0 ? 16 : 2 * memory->segment_capacity;
    segments = env->allocate(env, capacity * sizeof *segments);
    if (segments == NULL) {
        return false;
    }
    if (memory->segment_count > 0) {
        memcpy(segments, memory->segments, memory->segment_count * sizeof *segments);
    }
    env->release(env, memory->segments);
    memory->segments = segments;
    memory->segment_capacity = capacity;
    return true;
}

static struct segment *table_insert(struct memory_device *memory, uint64_t index) {
    const struct faster_env *env = memory->head.env;
    const size_t position = table_position(memory, index);
    struct segment *segment;

    if (!table_reserve(memory)) {
        return NULL;
    }
    segment = env->allocate(env, sizeof *segment);
    if (segment == NULL) {
        return NULL;
    }
    *segment = (struct segment){.index = index, .reference_count = 1};
    segment->bytes = env->map(env, (size_t)segment_bytes(memory));
    if (segment->bytes == NULL) {
        env->release(env, segment);
        return NULL;
    }
    memmove(memory->segments + position + 1, memory->segments + position,
            (memory->segment_count - position) * sizeof(struct segment *));
    memory->segments[position] = segment;
    memory->segment_count++;
    return segment;
}

static void segment_drop_reference(struct memory_device *memory, struct segment *segment) {
    const struct faster_env *env = memory->head.env;

    if (--segment->reference_count == 0) {
        env->unmap(env, segment->bytes, (size_t)segment_bytes(memory));
        env->release(env, segment);
    }
}

/* ---- one request ---- */

/* The part of a request that lies in one segment. */
struct piece {
    uint64_t index;
    uint64_t off;
    unsigned char *bytes;
    size_t count_bytes;
};

static struct piece first_piece(const struct memory_device *memory, fst_addr addr,
                                unsigned char *bytes, size_t count_bytes) {
    const uint64_t off = addr.raw & (segment_bytes(memory) - 1);
    const uint64_t room = segment_bytes(memory) - off;

    return (struct piece){
        .index = addr.raw >> memory->head.segment_bits,
        .off = off,
        .bytes = bytes,
        .count_bytes = count_bytes < room ? count_bytes : (size_t)room,
    };
}

/* Copies what was written and zeroes the rest; *done_bytes is what existed. */
static enum faster_status read_piece(struct memory_device *memory, const struct piece *piece,
                                     size_t *done_bytes) {
    const struct faster_env *env = memory->head.env;
    enum faster_status status = FASTER_OK;
    struct segment *segment;

    *done_bytes = 0;
    env->mutex_lock(env, memory->mutex);
    segment = table_find(memory, piece->index);
    if (segment != NULL) {
        const uint64_t written = segment->end_off > piece->off ? segment->end_off - piece->off : 0;
        *done_bytes = written < piece->count_bytes ? (size_t)written : piece->count_bytes;
        segment->reference_count++;
    } else if (piece->index < memory->first_index) {
        status = FASTER_MISSING;
    }
    env->mutex_unlock(env, memory->mutex);

    if (segment != NULL) {
        memcpy(piece->bytes, segment->bytes + piece->off, *done_bytes);
        env->mutex_lock(env, memory->mutex);
        segment_drop_reference(memory, segment);
        env->mutex_unlock(env, memory->mutex);
    }
    memset(piece->bytes + *done_bytes, 0, piece->count_bytes - *done_bytes);
    return status;
}

static enum faster_status write_piece(struct memory_device *memory, const struct piece *piece) {
    const struct faster_env *env = memory->head.env;
    const uint64_t end_off = piece->off + piece->count_bytes;
    enum faster_status status = FASTER_OK;
    struct segment *segment = NULL;

    env->mutex_lock(env, memory->mutex);
    if (piece->index < memory->first_index) {
        status = FASTER_MISSING;
    } else {
        segment = table_find(memory, piece->index);
        if (segment == NULL) {
            segment = table_insert(memory, piece->index);
        }
        status = segment == NULL ? FASTER_FULL : FASTER_OK;
    }
    if (segment != NULL) {
        segment->reference_count++;
    }
    env->mutex_unlock(env, memory->mutex);
    if (segment == NULL) {
        return status;
    }

    memcpy(segment->bytes + piece->off, piece->bytes, piece->count_bytes);

    env->mutex_lock(env, memory->mutex);
    if (segment->end_off < end_off && piece->index >= memory->first_index) {
        (void)fst_add_relaxed_u64(&memory->stored_bytes, end_off - segment->end_off);
        segment->end_off = end_off;
    }
    segment_drop_reference(memory, segment);
    env->mutex_unlock(env, memory->mutex);
    return FASTER_OK;
}

static enum faster_status transfer(struct memory_device *memory, struct fst_io_request *request) {
    size_t handled = 0;
    bool whole = true; /* everything so far existed */

    while (handled < request->count_bytes) {
        const struct piece piece =
            first_piece(memory, fst_addr_plus(request->addr, handled),
                        (unsigned char *)request->bytes + handled, request->count_bytes - handled);
        size_t done = piece.count_bytes;
        enum faster_status status;

        if (request->kind == FST_IO_READ) {
            status = read_piece(memory, &piece, &done);
        } else {
            status = write_piece(memory, &piece);
        }
        if (status != FASTER_OK) {
            return status;
        }
        request->done_bytes += whole ? done : 0;
        whole = whole && done == piece.count_bytes;
        handled += piece.count_bytes;
    }
    return FASTER_OK;
}

static enum faster_status carry_out(struct memory_device *memory, struct fst_io_request *request) {
    request->done_bytes = 0;
    if (request->kind == FST_IO_SYNC) {
        return FASTER_OK;
    }
    if (request->addr.raw > FST_ADDR_MAX ||
        request->count_bytes > FST_ADDR_MAX - request->addr.raw) {
        return FASTER_FULL;
    }
    return transfer(memory, request);
}

/* ---- struct fst_device_ops ---- */

static enum faster_status memory_queue_open(struct fst_device *device,
                                            struct fst_device_queue **queue) {
    *queue = device->env->allocate(device->env, sizeof **queue);
    if (*queue == NULL) {
        return FASTER_NOMEM;
    }
    (*queue)->first = NULL;
    (*queue)->last = &(*queue)->first;
    return FASTER_OK;
}

static void memory_queue_close(struct fst_device *device, struct fst_device_queue *queue) {
    device->env->release(device->env, queue);
}

static void memory_submit(struct fst_device *device, struct fst_device_queue *queue,
                          struct fst_io_request *request) {
    (void)device;
    request->next = NULL;
    request->queue = queue;
    *queue->last = request;
    queue->last = &request->next;
}

static unsigned memory_poll(struct fst_device *device, struct fst_device_queue *queue,
                            uint64_t timeout_ns) {
    struct fst_io_request *request = queue->first;
    unsigned count = 0;

    (void)timeout_ns; /* whatever is in flight completes now */
    /* A callback may submit: that request waits for the next poll. */
    queue->first = NULL;
    queue->last = &queue->first;
    while (request != NULL) {
        struct fst_io_request *next = request->next;
        request->status = carry_out(memory_of(device), request);
        request->done(request);
        request = next;
        count++;
    }
    return count;
}

static enum faster_status memory_truncate(struct fst_device *device, fst_addr begin) {
    struct memory_device *memory = memory_of(device);
    const uint64_t first_index = begin.raw >> device->segment_bits;
    size_t count = 0;

    device->env->mutex_lock(device->env, memory->mutex);
    if (memory->first_index < first_index) {
        memory->first_index = first_index;
    }
    while (count < memory->segment_count && memory->segments[count]->index < memory->first_index) {
        struct segment *segment = memory->segments[count++];
        (void)fst_add_relaxed_u64(&memory->stored_bytes, 0 - segment->end_off);
        segment_drop_reference(memory, segment);
    }
    if (count > 0) {
        memory->segment_count -= count;
        memmove(memory->segments, memory->segments + count,
                memory->segment_count * sizeof(struct segment *));
    }
    device->env->mutex_unlock(device->env, memory->mutex);
    return FASTER_OK;
}

/* Memory is all there is. */
static enum faster_status memory_sync_existing(struct fst_device *device, fst_addr from) {
    (void)device;
    (void)from;
    return FASTER_OK;
}

static enum faster_status memory_unshare(struct fst_device *device, fst_addr from) {
    (void)device;
    (void)from;
    return FASTER_OK;
}

static enum faster_status memory_extent(struct fst_device *device, fst_addr *first, fst_addr *end) {
    struct memory_device *memory = memory_of(device);

    *first = *end = fst_addr_of(0);
    device->env->mutex_lock(device->env, memory->mutex);
    if (memory->segment_count > 0) {
        const struct segment *last = memory->segments[memory->segment_count - 1];
        *first = fst_addr_of(memory->segments[0]->index << device->segment_bits);
        *end = fst_addr_of((last->index << device->segment_bits) + last->end_off);
    }
    device->env->mutex_unlock(device->env, memory->mutex);
    return FASTER_OK;
}

static uint64_t memory_stored_bytes(struct fst_device *device) {
    return fst_load_relaxed_u64(&memory_of(device)->stored_bytes);
}

static void memory_close(struct fst_device *device) {
    struct memory_device *memory = memory_of(device);

    if (device == NULL) {
        return;
    }
    for (size_t i = 0; i < memory->segment_count; i++) {
        segment_drop_reference(memory, memory->segments[i]);
    }
    device->env->release(device->env, memory->segments);
    device->env->mutex_destroy(device->env, memory->mutex);
    device->env->release(device->env, memory);
}

static const struct fst_device_ops memory_ops = {
    .name = "memory",
    .queue_open = memory_queue_open,
    .queue_close = memory_queue_close,
    .submit = memory_submit,
    .poll = memory_poll,
    .truncate = memory_truncate,
    .extent = memory_extent,
    .sync_existing = memory_sync_existing,
    .unshare = memory_unshare,
    .stored_bytes = memory_stored_bytes,
    .close = memory_close,
};

enum faster_status fst_device_memory_open(const struct faster_env *env, uint32_t segment_bits,
                                          struct fst_device **device) {
    struct memory_device *memory = env->allocate(env, sizeof *memory);
    enum faster_status status;

    if (memory == NULL) {
        return FASTER_NOMEM;
    }
    *memory = (struct memory_device){
        .head = {.ops = &memory_ops, .env = env, .segment_bits = segment_bits},
    };
    status = env->mutex_create(env, &memory->mutex);
    if (status != FASTER_OK) {
        env->release(env, memory);
        return status;
    }
    *device = &memory->head;
    return FASTER_OK;
}
