/* device_sim.c - see device_sim.h.
 *
 * A request is carried out by a copy of it on the file device's queue. When that completes, the
 * copy waits in the wrapper's queue until it is due; only then does the owner's request get its
 * result and its callback run, in poll() as the contract says.
 */
#include "device_sim.h"

#include <stdlib.h>
#include <string.h>

#include "sim_run.h"

#define KIND_COUNT 5u
#define LATE_POLLS_MAX 8u
/* A poll that waits and has only what is due by polls or order looks again after so long. */
#define LOOK_AGAIN_NS 1000u
#define UNSEEN_BYTE 0xee /* what a short read leaves in the rest of its buffer */

enum faster_status __real_fst_device_file_open(const struct fst_device_file_config *config,
                                               struct fst_device **device);
enum faster_status __wrap_fst_device_file_open(const struct fst_device_file_config *config,
                                               struct fst_device **device);
enum faster_status __wrap_fst_device_uring_open(const struct fst_device_uring_config *config,
                                                struct fst_device **device);

struct operation {
    struct fst_io_request inner; /* first: the file device hands it back */
    struct fst_io_request *owner;
    enum device_effect effect; /* 0: none */
    struct operation *next;    /* in the queue's held ones */
    struct sim_queue *queue;
    uint64_t due_ns;
    uint32_t polls_left;
    bool is_overtaken; /* nothing needs to pass it any more */
};

/* Stands in for struct fst_device_queue. */
struct sim_queue {
    struct fst_device_queue *inner;
    struct operation *held; /* complete, in the order of completion */
    uint64_t in_flight;     /* submitted and not handed out */
    uint64_t held_count;    /* of them, complete */
};

struct sim_device {
    struct fst_device head;
    struct fst_device *inner;
};

static struct {
    uint64_t calls[KIND_COUNT];
    enum fst_io_kind kind;
    uint64_t first; /* calls number first to last of the kind; UINT64_MAX: no fault */
    uint64_t last;
    enum device_effect effect;
    uint64_t fired;
    uint64_t latency_random;
    uint64_t latency_ns_max;
} fault = {.first = UINT64_MAX};

void device_sim_arm(enum fst_io_kind kind, uint64_t nth, uint64_t times,
                    enum device_effect effect) {
    fault.first = UINT64_MAX;
    if (times > 0) {
        fault.kind = kind;
        fault.effect = effect;
        fault.fired = 0;
        fault.first = fault.calls[kind] + nth;
        fault.last = times > UINT64_MAX - fault.first ? UINT64_MAX : fault.first + times - 1;
    }
}

void device_sim_latency(uint64_t seed, uint64_t max_ns) {
    fault.latency_random = seed;
    fault.latency_ns_max = max_ns;
}

uint64_t device_sim_calls(enum fst_io_kind kind) {
    return fault.calls[kind];
}

uint64_t device_sim_fired(void) {
    return fault.fired;
}

void device_sim_reset(void) {
    memset(&fault, 0, sizeof fault);
    fault.first = UINT64_MAX;
}

static struct sim_device *device_of(struct fst_device *device) {
    return (struct sim_device *)device;
}

static struct sim_queue *queue_of(struct fst_device_queue *queue) {
    return (struct sim_queue *)queue;
}

/* ---- requests ---- */

/* Counts the request; the effect that strikes it, or 0. */
static enum device_effect draw_effect(const struct fst_io_request *request) {
    const uint64_t call = ++fault.calls[request->kind];

    if (request->kind != fault.kind || call < fault.first || call > fault.last ||
        (fault.effect == DEVICE_GONE && request->kind != FST_IO_READ) ||
        (fault.effect == DEVICE_SHORT && request->count_bytes < 2)) {
        return (enum device_effect)0;
    }
    fault.fired++;
    return fault.effect;
}

static void hold(struct operation *operation) {
    struct operation **link = &operation->queue->held;

    while (*link != NULL) {
        link = &(*link)->next;
    }
    operation->next = NULL;
    *link = operation;
    operation->queue->held_count++;
    operation->due_ns = fault.latency_ns_max == 0
                            ? 0
                            : sim_now_ns() + sim_next(&fault.latency_random) % fault.latency_ns_max;
    operation->polls_left =
        operation->effect == DEVICE_LATE ? 1 + (uint32_t)(sim_draw() % LATE_POLLS_MAX) : 0;
    operation->is_overtaken = operation->effect != DEVICE_OVERTAKEN;
}

static void inner_done(struct fst_io_request *request) {
    hold((struct operation *)request);
}

/* What the owner's request is to say. */
static void finish_request(const struct operation *operation) {
    struct fst_io_request *request = operation->owner;

    request->status = operation->inner.status;
    request->done_bytes = operation->inner.done_bytes;
    switch (operation->effect) {
    case DEVICE_SHORT:
        if (request->kind == FST_IO_READ) {
            memset((unsigned char *)request->bytes + operation->inner.count_bytes, UNSEEN_BYTE,
                   request->count_bytes - operation->inner.count_bytes);
        }
        break;
    case DEVICE_CANCELLED:
    case DEVICE_CANCELLED_DONE:
        request->status = FASTER_IO;
        request->done_bytes = 0;
        break;
    case DEVICE_GONE:
        request->status = FASTER_MISSING;
        request->done_bytes = 0;
        break;
    case DEVICE_LATE:
    case DEVICE_OVERTAKEN:
        break;
    }
}

static void sim_submit(struct fst_device *device, struct fst_device_queue *owner,
                       struct fst_io_request *request) {
    struct sim_queue *queue = queue_of(owner);
    struct operation *operation = calloc(1, sizeof *operation);

    if (operation == NULL) {
        sim_fail("no memory for a request");
    }
    operation->owner = request;
    operation->queue = queue;
    operation->inner = *request;
    operation->inner.done = inner_done;
    operation->effect = draw_effect(request);
    request->queue = owner;
    request->status = FASTER_PENDING;
    request->done_bytes = 0;
    queue->in_flight++;
    if (operation->effect == DEVICE_CANCELLED || operation->effect == DEVICE_GONE) {
        hold(operation);
        return;
    }
    if (operation->effect == DEVICE_SHORT) {
        /* A write that is not whole is not synced either. */
        operation->inner.count_bytes /= 2;
        if (request->kind == FST_IO_WRITE_SYNC) {
            operation->inner.kind = FST_IO_WRITE;
        }
    }
    device_of(device)->inner->ops->submit(device_of(device)->inner, queue->inner,
                                          &operation->inner);
}

/* ---- polling ---- */

static bool is_due(const struct sim_queue *queue, const struct operation *operation,
                   uint64_t now_ns) {
    return operation->due_ns <= now_ns && operation->polls_left == 0 &&
           (operation->is_overtaken || queue->in_flight == queue->held_count);
}

/* The first that is due, taken out, or NULL. It has overtaken those that stay. */
static struct operation *take_due(struct sim_queue *queue, uint64_t now_ns) {
    struct operation **link = &queue->held;
    struct operation *taken;

    while (*link != NULL && !is_due(queue, *link, now_ns)) {
        link = &(*link)->next;
    }
    taken = *link;
    if (taken != NULL) {
        *link = taken->next;
        queue->held_count--;
        queue->in_flight--;
        for (struct operation *other = queue->held; other != NULL; other = other->next) {
            other->is_overtaken = true;
        }
    }
    return taken;
}

/* Callbacks may submit, or poll: so one at a time is taken out. */
static unsigned hand_out(struct sim_queue *queue) {
    const uint64_t now_ns = sim_now_ns();
    struct operation *operation;
    unsigned count = 0;

    while ((operation = take_due(queue, now_ns)) != NULL) {
        struct fst_io_request *request = operation->owner;
        finish_request(operation);
        free(operation);
        request->done(request);
        count++;
    }
    return count;
}

/* How long a poll may wait before it has to look again. */
static uint64_t time_to_next(const struct sim_queue *queue, uint64_t now_ns, uint64_t left_ns) {
    uint64_t wait_ns = left_ns;

    for (const struct operation *operation = queue->held; operation != NULL;
         operation = operation->next) {
        const uint64_t due_in_ns =
            operation->due_ns > now_ns ? operation->due_ns - now_ns : LOOK_AGAIN_NS;
        wait_ns = due_in_ns < wait_ns ? due_in_ns : wait_ns;
    }
    return wait_ns;
}

static void count_poll(struct sim_queue *queue) {
    for (struct operation *operation = queue->held; operation != NULL;
         operation = operation->next) {
        operation->polls_left -= operation->polls_left > 0;
    }
}

static unsigned sim_poll(struct fst_device *device, struct fst_device_queue *owner,
                         uint64_t timeout_ns) {
    struct fst_device *inner = device_of(device)->inner;
    struct sim_queue *queue = queue_of(owner);
    const uint64_t start_ns = sim_now_ns();

    (void)inner->ops->poll(inner, queue->inner, 0);
    for (;;) {
        unsigned count;
        uint64_t waited_ns;
        uint64_t wait_ns;

        count_poll(queue);
        count = hand_out(queue);
        waited_ns = sim_now_ns() - start_ns;
        if (count > 0 || queue->in_flight == 0 || waited_ns >= timeout_ns) {
            return count;
        }
        wait_ns = time_to_next(queue, start_ns + waited_ns, timeout_ns - waited_ns);
        if (queue->in_flight > queue->held_count) {
            (void)inner->ops->poll(inner, queue->inner, wait_ns);
        } else {
            sim_sleep_ns(wait_ns);
        }
    }
}

/* ---- struct fst_device_ops ---- */

static void sim_queue_close(struct fst_device *device, struct fst_device_queue *owner) {
    if (owner != NULL) {
        struct sim_queue *queue = queue_of(owner);
        if (queue->in_flight > 0) {
            sim_fail("a queue is closed with %llu requests in flight",
                     (unsigned long long)queue->in_flight);
        }
        device_of(device)->inner->ops->queue_close(device_of(device)->inner, queue->inner);
        free(queue);
    }
}

static enum faster_status sim_queue_open(struct fst_device *device,
                                         struct fst_device_queue **owner) {
    struct sim_queue *queue = calloc(1, sizeof *queue);
    enum faster_status status;

    if (queue == NULL) {
        return FASTER_NOMEM;
    }
    status = device_of(device)->inner->ops->queue_open(device_of(device)->inner, &queue->inner);
    if (status != FASTER_OK) {
        free(queue);
        return status;
    }
    *owner = (struct fst_device_queue *)queue;
    return FASTER_OK;
}

static enum faster_status sim_truncate_device(struct fst_device *device, fst_addr begin) {
    return device_of(device)->inner->ops->truncate(device_of(device)->inner, begin);
}

static enum faster_status sim_extent(struct fst_device *device, fst_addr *first, fst_addr *end) {
    return device_of(device)->inner->ops->extent(device_of(device)->inner, first, end);
}

static enum faster_status sim_sync_existing(struct fst_device *device, fst_addr from) {
    return device_of(device)->inner->ops->sync_existing(device_of(device)->inner, from);
}

static enum faster_status sim_unshare(struct fst_device *device, fst_addr from) {
    return device_of(device)->inner->ops->unshare(device_of(device)->inner, from);
}

static uint64_t sim_stored_bytes(struct fst_device *device) {
    return device_of(device)->inner->ops->stored_bytes(device_of(device)->inner);
}

static void sim_device_close(struct fst_device *device) {
    if (device != NULL) {
        device_of(device)->inner->ops->close(device_of(device)->inner);
        free(device);
    }
}

static const struct fst_device_ops sim_ops = {
    .name = "file",
    .queue_open = sim_queue_open,
    .queue_close = sim_queue_close,
    .submit = sim_submit,
    .poll = sim_poll,
    .truncate = sim_truncate_device,
    .extent = sim_extent,
    .sync_existing = sim_sync_existing,
    .unshare = sim_unshare,
    .stored_bytes = sim_stored_bytes,
    .close = sim_device_close,
};

enum faster_status __wrap_fst_device_file_open(const struct fst_device_file_config *config,
                                               struct fst_device **device) {
    struct sim_device *opened;
    enum faster_status status;

    if (!sim_is_fibre()) {
        return __real_fst_device_file_open(config, device);
    }
    opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        return FASTER_NOMEM;
    }
    status = __real_fst_device_file_open(config, &opened->inner);
    if (status != FASTER_OK) {
        free(opened);
        return status;
    }
    opened->head.ops = &sim_ops;
    opened->head.env = config->env;
    opened->head.segment_bits = config->segment_bits;
    *device = &opened->head;
    return FASTER_OK;
}

enum faster_status __wrap_fst_device_uring_open(const struct fst_device_uring_config *config,
                                                struct fst_device **device) {
    return __wrap_fst_device_file_open(&config->file, device);
}
