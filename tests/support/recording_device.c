/* recording_device.c - see recording_device.h. */
#include "support/recording_device.h"

#include <stdlib.h>

struct fst_device_queue {
    struct fst_device_queue *inner;
    struct fst_io_request *first; /* oldest */
};

static struct recording_device *recording_of(struct fst_device *device) {
    return (struct recording_device *)device;
}

static enum faster_status queue_open(struct fst_device *device, struct fst_device_queue **queue) {
    struct fst_device *inner = recording_of(device)->inner;
    struct fst_device_queue *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return FASTER_NOMEM;
    }
    enum faster_status status = inner->ops->queue_open(inner, &made->inner);
    if (status != FASTER_OK) {
        free(made);
        return status;
    }
    *queue = made;
    return FASTER_OK;
}

static void queue_close(struct fst_device *device, struct fst_device_queue *queue) {
    struct fst_device *inner = recording_of(device)->inner;
    inner->ops->queue_close(inner, queue->inner);
    free(queue);
}

static void submit(struct fst_device *device, struct fst_device_queue *queue,
                   struct fst_io_request *request) {
    struct fst_io_request **last = &queue->first;
    (void)device;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    request->next = NULL;
    *last = request;
}

static struct fst_io_request *take(struct fst_device_queue *queue, bool newest) {
    struct fst_io_request **place = &queue->first;
    while (newest && *place != NULL && (*place)->next != NULL) {
        place = &(*place)->next;
    }
    struct fst_io_request *request = *place;
    if (request != NULL) {
        *place = request->next;
    }
    return request;
}

/* The status the test wants for this request. */
static enum faster_status wanted(struct recording_device *device,
                                 const struct fst_io_request *request) {
    switch (request->kind) {
    case FST_IO_WRITE:
        device->write_count++;
        return request->addr.raw + request->count_bytes > device->fail_from ? device->write_status
                                                                            : FASTER_OK;
    case FST_IO_WRITE_SYNC:
        device->write_count++;
        if (request->addr.raw + request->count_bytes > device->fail_from &&
            device->write_status != FASTER_OK) {
            return device->write_status;
        }
        device->sync_count++;
        device->write_sync_count++;
        return device->sync_status;
    case FST_IO_SYNC:
        device->sync_count++;
        return device->sync_status;
    case FST_IO_READ:
        break;
    }
    return FASTER_OK;
}

static void count_units(struct recording_device *device, const struct fst_io_request *request) {
    const uint64_t first = request->addr.raw / FST_WRITE_UNIT_BYTES;
    for (uint64_t i = 0; i < request->count_bytes / FST_WRITE_UNIT_BYTES; i++) {
        if (first + i < RECORDING_UNITS_MAX) {
            device->unit_writes[first + i]++;
        }
    }
}

static void carry_out(struct recording_device *device, struct fst_device_queue *queue,
                      struct fst_io_request *request) {
    request->status = wanted(device, request);
    request->done_bytes = 0;
    if (request->status != FASTER_OK) {
        device->failed_count++;
        return;
    }
    request->status = fst_device_run(device->inner, queue->inner, request->kind, request->addr,
                                     request->bytes, request->count_bytes, &request->done_bytes);
    if (request->kind != FST_IO_READ && request->status == FASTER_OK) {
        count_units(device, request);
    }
}

static unsigned poll_queue(struct fst_device *device, struct fst_device_queue *queue,
                           uint64_t timeout_ns) {
    struct recording_device *recording = recording_of(device);
    unsigned count = 0;
    (void)timeout_ns;
    while (queue->first != NULL && (count == 0 || !recording->completes_one)) {
        struct fst_io_request *request = take(queue, recording->is_reversed);
        carry_out(recording, queue, request);
        request->done(request);
        count++;
    }
    return count;
}

static enum faster_status truncate_device(struct fst_device *device, fst_addr begin) {
    struct fst_device *inner = recording_of(device)->inner;
    return inner->ops->truncate(inner, begin);
}

static enum faster_status sync_existing(struct fst_device *device, fst_addr from) {
    struct fst_device *inner = recording_of(device)->inner;
    return inner->ops->sync_existing(inner, from);
}

static enum faster_status unshare(struct fst_device *device, fst_addr from) {
    struct fst_device *inner = recording_of(device)->inner;
    return inner->ops->unshare(inner, from);
}

static enum faster_status extent(struct fst_device *device, fst_addr *first, fst_addr *end) {
    struct fst_device *inner = recording_of(device)->inner;
    return inner->ops->extent(inner, first, end);
}

static uint64_t stored_bytes(struct fst_device *device) {
    struct fst_device *inner = recording_of(device)->inner;
    return inner->ops->stored_bytes(inner);
}

static void close_device(struct fst_device *device) {
    struct fst_device *inner = recording_of(device)->inner;
    inner->ops->close(inner);
    free(device);
}

static const struct fst_device_ops recording_ops = {
    .name = "recording",
    .queue_open = queue_open,
    .queue_close = queue_close,
    .submit = submit,
    .poll = poll_queue,
    .truncate = truncate_device,
    .extent = extent,
    .sync_existing = sync_existing,
    .unshare = unshare,
    .stored_bytes = stored_bytes,
    .close = close_device,
};

struct recording_device *recording_device_create(struct fst_device *inner) {
    struct recording_device *made = calloc(1, sizeof *made);
    if (made == NULL) {
        inner->ops->close(inner);
        return NULL;
    }
    made->head = (struct fst_device){
        .ops = &recording_ops, .env = inner->env, .segment_bits = inner->segment_bits};
    made->inner = inner;
    return made;
}

unsigned recording_device_unit_writes_max(const struct recording_device *device) {
    unsigned most = 0;
    for (uint32_t i = 0; i < RECORDING_UNITS_MAX; i++) {
        most = device->unit_writes[i] > most ? device->unit_writes[i] : most;
    }
    return most;
}
