/* device_file.c - a device of segment files and worker threads (layer 2).
 *
 *     owner's thread            workers                        owner's thread
 *     submit() -> [ submitted ] -> carry_out() -> [ queue's completed ] -> poll()
 *
 * Lock order: device mutex; queue mutex; the set of segment files has its own. None is taken
 * while another is held, and none is held during I/O or a callback.
 *
 * A worker carries out one request at a time, piece by piece where it crosses a segment
 * boundary. Workers are started one by one when a request finds none idle.
 */
#include "primitives/device_file.h"

#include <string.h>

#include "base/bytes.h"

#define THREADS_MAX FST_SEGMENT_FILES_MAX

struct request_list {
    struct fst_io_request *first;
    struct fst_io_request *last;
};

struct fst_device_queue {
    struct fst_mutex *mutex; /* protects all below */
    struct fst_condition *some_completed;
    struct request_list completed;
    uint64_t in_flight;                /* submitted and not yet handed out by poll() */
    fst_device_file_notify_fn *notify; /* may be NULL */
    void *notify_context;
};

struct file_device {
    struct fst_device head;
    struct fst_segment_files files;
    uint32_t thread_count_max;

    struct fst_mutex *mutex; /* protects all below */
    struct fst_condition *work;
    struct request_list submitted;
    uint64_t waiting_count; /* requests in `submitted` */
    uint32_t idle_count;    /* workers that wait for one */
    uint32_t thread_count;
    bool stopping;
    struct fst_thread *threads[THREADS_MAX];
};

static struct file_device *file_of(struct fst_device *device) {
    return (struct file_device *)device;
}

static void list_push(struct request_list *list, struct fst_io_request *request) {
    request->next = NULL;
    if (list->first == NULL) {
        list->first = request;
    } else {
        list->last->next = request;
    }
    list->last = request;
}

static struct fst_io_request *list_pop(struct request_list *list) {
    struct fst_io_request *request = list->first;

    list->first = request->next;
    return request;
}

struct fst_segment_files *fst_device_file_segments(struct fst_device *device) {
    return &file_of(device)->files;
}

void fst_device_file_notify(struct fst_device *device, struct fst_device_queue *queue,
                            fst_device_file_notify_fn *notify, void *context) {
    device->env->mutex_lock(device->env, queue->mutex);
    queue->notify = notify;
    queue->notify_context = context;
    device->env->mutex_unlock(device->env, queue->mutex);
}

/* ---- one request, on a worker ---- */

/* The part of a request that lies in one segment. */
struct piece {
    uint64_t index;
    uint64_t file_offset;
    unsigned char *bytes;
    size_t count_bytes;
};

static struct piece piece_at(const struct file_device *device, const struct fst_io_request *request,
                             size_t handled) {
    const uint64_t segment_bytes = UINT64_C(1) << device->head.segment_bits;
    const uint64_t addr = request->addr.raw + handled;
    const uint64_t off = addr & (segment_bytes - 1);

    return (struct piece){
        .index = addr >> device->head.segment_bits,
        .file_offset = FST_SEGMENT_HEADER_BYTES + off,
        .bytes = (unsigned char *)request->bytes + handled,
        .count_bytes = fst_min_size(request->count_bytes - handled, (size_t)(segment_bytes - off)),
    };
}

/* Fills what does not exist with zeroes; *done_bytes is what existed. */
static enum faster_status read_piece(struct file_device *device, const struct piece *piece,
                                     size_t *done_bytes) {
    const struct faster_env *env = device->head.env;
    struct fst_segment_file *file;
    enum faster_status status = fst_segment_files_use(&device->files, piece->index, false, &file);

    *done_bytes = 0;
    if (status == FASTER_OK) {
        status = env->file_read(env, file->file, piece->file_offset, piece->bytes,
                                piece->count_bytes, done_bytes);
        fst_segment_files_leave(&device->files, file, 0);
    } else if (status == FASTER_NOT_FOUND) {
        status = FASTER_OK;
    }
    if (status == FASTER_OK) {
        memset(piece->bytes + *done_bytes, 0, piece->count_bytes - *done_bytes);
    }
    return status;
}

static enum faster_status write_piece(struct file_device *device, const struct piece *piece) {
    const struct faster_env *env = device->head.env;
    struct fst_segment_file *file;
    uint64_t written_end = FST_SEGMENT_HEADER_BYTES; /* of a failed write nothing more is sure */
    enum faster_status status = fst_segment_files_use(&device->files, piece->index, true, &file);

    if (status != FASTER_OK) {
        return status;
    }
    status = env->file_write(env, file->file, piece->file_offset, piece->bytes, piece->count_bytes);
    if (status == FASTER_OK) {
        written_end = piece->file_offset + piece->count_bytes;
    }
    fst_segment_files_leave(&device->files, file, written_end);
    return status;
}

static enum faster_status transfer(struct file_device *device, struct fst_io_request *request) {
    bool whole = true; /* everything so far existed */

    for (size_t handled = 0; handled < request->count_bytes;) {
        const struct piece piece = piece_at(device, request, handled);
        size_t done = piece.count_bytes;
        enum faster_status status;

        if (request->kind == FST_IO_READ) {
            status = read_piece(device, &piece, &done);
        } else {
            status = write_piece(device, &piece);
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

static enum faster_status carry_out(struct file_device *device, struct fst_io_request *request) {
    enum faster_status status;

    if (device->files.read_only && request->kind != FST_IO_READ) {
        return request->kind == FST_IO_SYNC ? FASTER_OK : FASTER_READ_ONLY;
    }
    if (request->kind == FST_IO_SYNC) {
        return fst_segment_files_sync(&device->files);
    }
    if (request->addr.raw > FST_ADDR_MAX ||
        request->count_bytes > FST_ADDR_MAX - request->addr.raw) {
        return FASTER_FULL;
    }
    status = transfer(device, request);
    if (status == FASTER_OK && request->kind == FST_IO_WRITE_SYNC) {
        status = fst_segment_files_sync(&device->files);
    }
    return status;
}

/* ---- workers ---- */

static void complete(const struct faster_env *env, struct fst_io_request *request,
                     enum faster_status status) {
    struct fst_device_queue *queue = request->queue;

    request->status = status;
    env->mutex_lock(env, queue->mutex);
    list_push(&queue->completed, request);
    /* Under the lock: the owner may close the queue as soon as it has seen the request. */
    env->condition_signal(env, queue->some_completed);
    if (queue->notify != NULL) {
        queue->notify(queue->notify_context);
    }
    env->mutex_unlock(env, queue->mutex);
}

/* The next request, or NULL when the device closes. */
static struct fst_io_request *next_request(struct file_device *device) {
    const struct faster_env *env = device->head.env;
    struct fst_io_request *request = NULL;

    env->mutex_lock(env, device->mutex);
    while (device->submitted.first == NULL && !device->stopping) {
        device->idle_count++;
        (void)env->condition_wait(env, device->work, device->mutex, UINT64_MAX);
        device->idle_count--;
    }
    if (device->submitted.first != NULL) {
        request = list_pop(&device->submitted);
        device->waiting_count--;
    }
    env->mutex_unlock(env, device->mutex);
    return request;
}

static void work(void *argument) {
    struct file_device *device = argument;
    struct fst_io_request *request;

    while ((request = next_request(device)) != NULL) {
        complete(device->head.env, request, carry_out(device, request));
    }
}

/* One more worker if there are more requests than idle ones. The device's lock is held. OK if
 * there is at least one. */
static enum faster_status start_worker(struct file_device *device) {
    const struct faster_env *env = device->head.env;
    enum faster_status status;

    if (device->waiting_count < device->idle_count ||
        device->thread_count == device->thread_count_max) {
        return FASTER_OK;
    }
    status = env->thread_start(env, work, device, &device->threads[device->thread_count]);
    if (status == FASTER_OK) {
        device->thread_count++;
    }
    return device->thread_count > 0 ? FASTER_OK : status;
}

/* ---- struct fst_device_ops ---- */

static void file_queue_close(struct fst_device *device, struct fst_device_queue *queue) {
    const struct faster_env *env = device->env;

    if (queue == NULL) {
        return;
    }
    if (queue->some_completed != NULL) {
        env->condition_destroy(env, queue->some_completed);
    }
    if (queue->mutex != NULL) {
        env->mutex_destroy(env, queue->mutex);
    }
    env->release(env, queue);
}

static enum faster_status file_queue_open(struct fst_device *device,
                                          struct fst_device_queue **queue) {
    const struct faster_env *env = device->env;
    struct fst_device_queue *opened = env->allocate(env, sizeof *opened);
    enum faster_status status;

    if (opened == NULL) {
        return FASTER_NOMEM;
    }
    *opened = (struct fst_device_queue){0};
    status = env->mutex_create(env, &opened->mutex);
    if (status == FASTER_OK) {
        status = env->condition_create(env, &opened->some_completed);
    }
    if (status != FASTER_OK) {
        file_queue_close(device, opened);
        return status;
    }
    *queue = opened;
    return FASTER_OK;
}

static void file_submit(struct fst_device *device, struct fst_device_queue *queue,
                        struct fst_io_request *request) {
    const struct faster_env *env = device->env;
    struct file_device *file = file_of(device);
    enum faster_status status;

    request->queue = queue;
    request->status = FASTER_PENDING;
    request->done_bytes = 0;
    env->mutex_lock(env, queue->mutex);
    queue->in_flight++;
    env->mutex_unlock(env, queue->mutex);

    env->mutex_lock(env, file->mutex);
    status = start_worker(file);
    if (status == FASTER_OK) {
        list_push(&file->submitted, request);
        file->waiting_count++;
        env->condition_signal(env, file->work);
    }
    env->mutex_unlock(env, file->mutex);
    if (status != FASTER_OK) {
        complete(env, request, status);
    }
}

/* Takes what is complete, and waits for it if allowed. */
static struct fst_io_request *take_completed(const struct faster_env *env,
                                             struct fst_device_queue *queue, uint64_t timeout_ns) {
    const uint64_t start_ns = timeout_ns > 0 ? env->monotonic_ns(env) : 0;
    struct fst_io_request *first;
    uint64_t waited_ns = 0;

    env->mutex_lock(env, queue->mutex);
    while (queue->completed.first == NULL && queue->in_flight > 0 && waited_ns < timeout_ns) {
        (void)env->condition_wait(env, queue->some_completed, queue->mutex, timeout_ns - waited_ns);
        waited_ns = env->monotonic_ns(env) - start_ns;
    }
    first = queue->completed.first;
    queue->completed.first = NULL;
    for (const struct fst_io_request *request = first; request != NULL; request = request->next) {
        queue->in_flight--;
    }
    env->mutex_unlock(env, queue->mutex);
    return first;
}

static unsigned file_poll(struct fst_device *device, struct fst_device_queue *queue,
                          uint64_t timeout_ns) {
    struct fst_io_request *request = take_completed(device->env, queue, timeout_ns);
    unsigned count = 0;

    while (request != NULL) {
        struct fst_io_request *next = request->next; /* the callback may free the request */
        request->done(request);
        request = next;
        count++;
    }
    return count;
}

static enum faster_status file_truncate(struct fst_device *device, fst_addr begin) {
    return fst_segment_files_truncate(&file_of(device)->files, begin.raw >> device->segment_bits);
}

static enum faster_status file_sync_existing(struct fst_device *device, fst_addr from) {
    return fst_segment_files_sync_existing(&file_of(device)->files,
                                           from.raw >> device->segment_bits);
}

static enum faster_status file_unshare(struct fst_device *device, fst_addr from) {
    return fst_segment_files_unshare(&file_of(device)->files, from.raw >> device->segment_bits);
}

static enum faster_status file_extent(struct fst_device *device, fst_addr *first, fst_addr *end) {
    return fst_segment_files_extent(&file_of(device)->files, first, end);
}

static uint64_t file_stored_bytes(struct fst_device *device) {
    return fst_load_relaxed_u64(&file_of(device)->files.stored_bytes);
}

static void file_close(struct fst_device *device) {
    struct file_device *file = file_of(device);
    const struct faster_env *env;

    if (device == NULL) {
        return;
    }
    env = device->env;
    if (file->mutex != NULL && file->work != NULL) {
        env->mutex_lock(env, file->mutex);
        file->stopping = true;
        env->condition_broadcast(env, file->work);
        env->mutex_unlock(env, file->mutex);
    }
    for (uint32_t i = 0; i < file->thread_count; i++) {
        env->thread_join(env, file->threads[i]);
    }
    if (file->work != NULL) {
        env->condition_destroy(env, file->work);
    }
    if (file->mutex != NULL) {
        env->mutex_destroy(env, file->mutex);
    }
    fst_segment_files_finish(&file->files);
    env->release(env, file);
}

static const struct fst_device_ops file_ops = {
    .name = "file",
    .queue_open = file_queue_open,
    .queue_close = file_queue_close,
    .submit = file_submit,
    .poll = file_poll,
    .truncate = file_truncate,
    .extent = file_extent,
    .sync_existing = file_sync_existing,
    .unshare = file_unshare,
    .stored_bytes = file_stored_bytes,
    .close = file_close,
};

enum faster_status fst_device_file_open(const struct fst_device_file_config *config,
                                        struct fst_device **device) {
    const struct faster_env *env = config->env;
    struct file_device *file = env->allocate(env, sizeof *file);
    const uint32_t thread_count = config->thread_count == 0 ? 1 : config->thread_count;
    enum faster_status status;

    if (file == NULL) {
        return FASTER_NOMEM;
    }
    *file = (struct file_device){
        .head = {.ops = &file_ops, .env = env, .segment_bits = config->segment_bits},
        .thread_count_max = thread_count < THREADS_MAX ? thread_count : THREADS_MAX,
    };
    status = fst_segment_files_init(&file->files, config);
    if (status == FASTER_OK) {
        status = env->mutex_create(env, &file->mutex);
    }
    if (status == FASTER_OK) {
        status = env->condition_create(env, &file->work);
    }
    if (status != FASTER_OK) {
        file_close(&file->head);
        return status;
    }
    *device = &file->head;
    return FASTER_OK;
}
