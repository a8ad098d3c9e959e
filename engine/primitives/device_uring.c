/* device_uring.c - a device of segment files with io_uring (layer 2).
 *
 * It is a file device (device_file.c) with a faster way in front: what the kernel can do without
 * blocking anybody goes through a ring, one for each queue; the rest goes to the file device's
 * workers. The rest is: a segment whose file is not open, or does not exist, so that opening,
 * checking and creating files is in one place; syncs of several files, or of the directory; and
 * everything, where a queue cannot have a ring.
 *
 *              submit()          flush(), poll()                         poll()
 *     request ----------> waiting ----> PREPARED ----> TAKEN ----> completed ----> its callback
 *                                 \         |            |  ^____/ short: the rest   ^
 *                                  \        v            v                          /
 *                                   `---> INNER <--------' cancelled --------------'
 *
 * A request from the ring's point of view is an op: a slot of the queue's pool, from the moment
 * it leaves `waiting`. FREE -> PREPARED | INNER [fst_uring_op_begin], PREPARED -> TAKEN
 * [note_taken], TAKEN -> PREPARED [transfer], PREPARED -> INNER [give_up], TAKEN -> INNER [fail],
 * TAKEN | INNER -> LINKED [fst_uring_sync_or_end, fst_uring_sync_result], any -> FREE [conclude,
 * end_linked]. A write that is to be synced may have a second op for that (device_uring_sync.c).
 * The pool bounds what is in the ring, so that neither side of the ring ever overflows; further
 * requests wait.
 *
 * Who owns what. A queue, its ring, its ops and its lists belong to the queue's owner: there is
 * no lock. The kernel owns the memory of a TAKEN request. A worker owns the `rest` of an INNER
 * one, and reaches its queue only through the file device's own queue and the wake-up's
 * descriptor.
 *
 * When things start. submit() starts writes and syncs at once, as their owner may be about to
 * wait for something else. Reads are kept until poll(), flush(), or until there are enough, so
 * that a batch of them is one system call; a poll() that has to wait submits them in the call
 * that waits.
 *
 * Files. Plain descriptors: the kernel takes its own reference when it takes an entry, and from
 * then on a read keeps no segment file in use. So an idle session, with reads that nobody
 * collects, keeps no truncation waiting, and a number in an entry is never one that was closed
 * and given to another file. A table of registered files for each ring would keep truncated
 * files alive in the rings of idle sessions, and saves next to nothing. Writes keep their file in
 * use until they are collected, because it must be marked for the next sync then, and not before.
 *
 * Past the system's cache. With `direct`, each segment is opened a second time with O_DIRECT.
 * Reads of whole blocks into aligned memory and writes of whole write units from it use that
 * one; small reads that are not aligned do, too, through an aligned buffer of their op; all else
 * uses the first descriptor. Both ways see the same bytes: a direct read writes back what the
 * cache has modified in its range first (which is slow, and the reason for writing directly,
 * too), a direct write drops what the cache holds. What a short direct read left is read through
 * the cache, which alone can tell the end of a file from a transfer that was short.
 *
 * Registered memory. The kernel knows the ops' buffers of the first queues that read past the
 * cache (FST_URING_REGISTERED_BYTES_MAX of them). Every read that fits comes through its buffer
 * then, aligned or not: the copy costs less than the kernel's looking up and pinning the memory.
 * Where the system refuses, the same reads go to their own memory.
 *
 * Polling, where it is asked for (device_uring_poll.c), changes what is said here in two places. A
 * thread of the kernel's may take entries: then they are TAKEN once it may see them, and a file is
 * closed only when none of them can name it any more. And a second device of this kind may stand in
 * front of the first, whose rings poll for the end of direct reads; then the first is what is
 * called inner, or the file device, here.
 *
 * Waits. Only poll() waits, in the kernel, for at most its timeout. While workers have some of
 * the queue's requests, an eventfd that they write to is one more thing the ring waits for.
 *
 * Failures. EINTR and EAGAIN are answered FST_URING_RETRIES_MAX times; any other error ends its
 * request. ECANCELED means that the thread that submitted has ended before the kernel began: the
 * file device carries the request out. If the kernel refuses entries, the queue goes on without
 * its ring. A forked child shares the parent's ring and must not touch it: there every request
 * ends with MISUSE.
 */
#include <string.h>

#include "primitives/device_uring.h"

#define OPS_BYTES (FST_URING_OPS_MAX * sizeof(struct fst_uring_op))

static struct fst_uring_device *uring_of(struct fst_device *device) {
    return (struct fst_uring_device *)device;
}

static void list_push(struct fst_uring_list *list, struct fst_io_request *request) {
    request->next = NULL;
    if (list->first == NULL) {
        list->first = request;
    } else {
        list->last->next = request;
    }
    list->last = request;
    list->count++;
}

static struct fst_io_request *list_pop(struct fst_uring_list *list) {
    struct fst_io_request *request = list->first;

    list->first = request->next;
    list->count--;
    return request;
}

void fst_uring_complete(struct fst_device_queue *queue, struct fst_io_request *request,
                        enum faster_status status) {
    request->status = status;
    list_push(&queue->completed, request);
}

/* ---- queues ---- */

static void *map_counted(struct fst_device *device, size_t bytes) {
    void *memory = device->env->map(device->env, bytes);

    if (memory != NULL) {
        (void)fst_add_relaxed_u64(&device->buffer_bytes, bytes);
    }
    return memory;
}

static void unmap_counted(struct fst_device *device, void *memory, size_t bytes) {
    if (memory != NULL) {
        device->env->unmap(device->env, memory, bytes);
        (void)fst_add_relaxed_u64(&device->buffer_bytes, 0 - bytes);
    }
}

static bool map_ops(struct fst_device_queue *queue) {
    if (queue->ops != NULL) {
        return true;
    }
    queue->ops = map_counted(queue->device->counted, OPS_BYTES);
    for (unsigned i = FST_URING_OPS_MAX; queue->ops != NULL && i-- > 0;) {
        queue->ops[i].next = queue->free;
        queue->free = &queue->ops[i];
    }
    return queue->ops != NULL;
}

unsigned char *fst_uring_bounce(struct fst_device_queue *queue, const struct fst_uring_op *op) {
    if (queue->bounces == NULL) {
        queue->bounces = map_counted(queue->device->counted, FST_URING_BOUNCES_BYTES);
    }
    return queue->bounces == NULL
               ? NULL
               : queue->bounces + (size_t)(op - queue->ops) * FST_URING_BOUNCE_BYTES;
}

static void uring_queue_close(struct fst_device *device, struct fst_device_queue *queue) {
    const struct faster_env *env = device->env;
    struct fst_device *inner = uring_of(device)->inner;

    if (queue == NULL) {
        return;
    }
    fst_uring_ring_close(queue);
    unmap_counted(queue->device->counted, queue->ops, OPS_BYTES);
    unmap_counted(queue->device->counted, queue->bounces, FST_URING_BOUNCES_BYTES);
    inner->ops->queue_close(inner, queue->inner);
    env->release(env, queue);
}

static enum faster_status uring_queue_open(struct fst_device *device,
                                           struct fst_device_queue **queue) {
    struct fst_device *inner = uring_of(device)->inner;
    struct fst_device_queue *opened = device->env->allocate(device->env, sizeof *opened);
    enum faster_status status;

    if (opened == NULL) {
        return FASTER_NOMEM;
    }
    memset(opened, 0, sizeof *opened);
    opened->device = uring_of(device);
    opened->wake.queue = opened;
    status = inner->ops->queue_open(inner, &opened->inner);
    if (status != FASTER_OK) {
        device->env->release(device->env, opened);
        return status;
    }
    *queue = opened;
    return FASTER_OK;
}

/* ---- submission ---- */

static bool is_forked(const struct fst_uring_device *device) {
    return device->process_id != device->head.env->process_id(device->head.env);
}

/* In a child of fork(): neither the kernel nor a worker will ever answer here. */
static void refuse_all(struct fst_device_queue *queue) {
    for (unsigned i = 0; queue->ops != NULL && i < FST_URING_OPS_MAX; i++) {
        if (queue->ops[i].request != NULL) {
            fst_uring_complete(queue, queue->ops[i].request, FASTER_MISUSE);
            queue->ops[i].request = NULL;
        }
    }
    while (queue->waiting.first != NULL) {
        fst_uring_complete(queue, list_pop(&queue->waiting), FASTER_MISUSE);
    }
}

/* Gives waiting requests ops as long as there are some. */
static void begin_waiting(struct fst_device_queue *queue) {
    const bool has_ops = queue->waiting.first == NULL || map_ops(queue);

    while (queue->waiting.first != NULL && !has_ops) {
        fst_uring_complete(queue, list_pop(&queue->waiting), FASTER_NOMEM);
    }
    while (queue->waiting.first != NULL && queue->free != NULL) {
        fst_uring_op_begin(queue, list_pop(&queue->waiting));
    }
}

static void submit_prepared(struct fst_device_queue *queue) {
    begin_waiting(queue);
    if (queue->prepared_count > 0) {
        fst_uring_ring_enter(queue, 0);
    }
    if (queue->device->polls && queue->inner_count > 0) {
        fst_device_flush(queue->device->inner, queue->inner);
    }
}

static void uring_flush(struct fst_device *device, struct fst_device_queue *queue) {
    if (is_forked(uring_of(device))) {
        refuse_all(queue);
    } else {
        submit_prepared(queue);
    }
}

static void uring_submit(struct fst_device *device, struct fst_device_queue *queue,
                         struct fst_io_request *request) {
    request->queue = queue;
    request->status = FASTER_PENDING;
    request->done_bytes = 0;
    list_push(&queue->waiting, request);
    if (request->kind != FST_IO_READ || queue->waiting.count >= FST_URING_BATCH_MAX) {
        uring_flush(device, queue);
    }
}

/* ---- completion ---- */

/* What is complete already. Asks the kernel nothing. */
static void collect(struct fst_device_queue *queue) {
    struct fst_device *inner = queue->device->inner;

    do {
        begin_waiting(queue);
        if (queue->inner_count > 0) {
            (void)inner->ops->poll(inner, queue->inner, 0);
        }
    } while (queue->has_ring && fst_uring_ring_reap(queue));
}

/* Requests in the ring. The wake-up is none. */
static unsigned ring_count(const struct fst_device_queue *queue) {
    const unsigned wake_count = queue->wake.state == FST_URING_FREE ? 0 : 1;
    return queue->prepared_count + queue->taken_count - wake_count;
}

static void wait_for_any(struct fst_device_queue *queue, uint64_t wait_ns) {
    struct fst_device *inner = queue->device->inner;

    if (ring_count(queue) > 0) {
        fst_uring_ring_enter(queue, wait_ns);
    } else {
        (void)inner->ops->poll(inner, queue->inner, wait_ns);
    }
}

static unsigned run_callbacks(struct fst_device_queue *queue) {
    struct fst_io_request *request = queue->completed.first;
    unsigned count = 0;

    /* A callback may submit, and free its request. */
    queue->completed = (struct fst_uring_list){0};
    while (request != NULL) {
        struct fst_io_request *next = request->next;
        request->done(request);
        request = next;
        count++;
    }
    return count;
}

/* Waits for a completion, and in the same call submits what is prepared. */
static void wait_for_completed(struct fst_device_queue *queue, uint64_t timeout_ns) {
    const struct faster_env *env = queue->device->head.env;
    const uint64_t start_ns = env->monotonic_ns(env);
    uint64_t waited_ns = 0;

    while (queue->completed.first == NULL && waited_ns < timeout_ns &&
           ring_count(queue) + queue->inner_count > 0) {
        wait_for_any(queue, timeout_ns - waited_ns);
        collect(queue);
        waited_ns = env->monotonic_ns(env) - start_ns;
    }
}

static unsigned uring_poll(struct fst_device *device, struct fst_device_queue *queue,
                           uint64_t timeout_ns) {
    if (is_forked(uring_of(device))) {
        refuse_all(queue);
        return run_callbacks(queue);
    }
    collect(queue);
    if (queue->completed.first == NULL && timeout_ns > 0) {
        wait_for_completed(queue, timeout_ns);
    }
    submit_prepared(queue);
    if (queue->completed.first == NULL) {
        collect(queue);
    }
    return run_callbacks(queue);
}

/* ---- what the file device does ---- */

static enum faster_status uring_truncate(struct fst_device *device, fst_addr begin) {
    struct fst_device *inner = uring_of(device)->inner;
    return inner->ops->truncate(inner, begin);
}

static enum faster_status uring_extent(struct fst_device *device, fst_addr *first, fst_addr *end) {
    struct fst_device *inner = uring_of(device)->inner;
    return inner->ops->extent(inner, first, end);
}

static enum faster_status uring_sync_existing(struct fst_device *device, fst_addr from) {
    struct fst_device *inner = uring_of(device)->inner;
    return inner->ops->sync_existing(inner, from);
}

static enum faster_status uring_unshare(struct fst_device *device, fst_addr from) {
    struct fst_device *inner = uring_of(device)->inner;
    return inner->ops->unshare(inner, from);
}

static uint64_t uring_stored_bytes(struct fst_device *device) {
    struct fst_device *inner = uring_of(device)->inner;
    return inner->ops->stored_bytes(inner);
}

static void uring_close(struct fst_device *device) {
    if (device != NULL) {
        struct fst_uring_device *uring = uring_of(device);
        uring->inner->ops->close(uring->inner);
        fst_uring_spares_finish(uring);
        fst_uring_poller_close(uring);
        device->env->mutex_destroy(device->env, uring->mutex);
        device->env->release(device->env, device);
    }
}

const struct fst_device_ops fst_uring_ops = {
    .name = "io_uring",
    .queue_open = uring_queue_open,
    .queue_close = uring_queue_close,
    .submit = uring_submit,
    .flush = uring_flush,
    .poll = uring_poll,
    .truncate = uring_truncate,
    .extent = uring_extent,
    .sync_existing = uring_sync_existing,
    .unshare = uring_unshare,
    .stored_bytes = uring_stored_bytes,
    .close = uring_close,
};
