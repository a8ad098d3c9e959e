/* device_uring_ring.c - a queue's ring, and the calls that reach the kernel (layer 2). */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "primitives/device_uring.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define REAP_MAX 32u
/* Refusals in a row by a kernel that lacks memory just now, before the ring is given up. */
#define REFUSALS_MAX 64u

/* ---- the kernel's calls ---- */

static int kernel_init(struct io_uring *ring, unsigned entries,
                       const struct fst_uring_setup *setup) {
    /* Without these a wait with a timeout takes an entry of its own, completions can be lost, and
     * a thread that submits knows registered files only: kernels before 5.11. */
    unsigned needed = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE;
    struct io_uring_params params;
    int result;

    memset(&params, 0, sizeof params);
    if (setup != NULL) {
        params.flags = setup->flags;
        params.sq_thread_idle = setup->idle_ms;
        if ((setup->flags & IORING_SETUP_ATTACH_WQ) != 0) {
            params.wq_fd = (unsigned)setup->thread_descriptor;
        }
    }
    if ((params.flags & IORING_SETUP_SQPOLL) != 0) {
        needed |= IORING_FEAT_SQPOLL_NONFIXED;
    }
    result = io_uring_queue_init_params(entries, ring, &params);
    if (result == 0 && (~params.features & needed) != 0) {
        io_uring_queue_exit(ring);
        result = -ENOSYS;
    }
    return result;
}

static void kernel_finish(struct io_uring *ring) {
    io_uring_queue_exit(ring);
}

static int kernel_register_memory(struct io_uring *ring, void *memory, size_t bytes) {
    const struct iovec buffer = {.iov_base = memory, .iov_len = bytes};

    return io_uring_register_buffers(ring, &buffer, 1);
}

static void kernel_unregister_memory(struct io_uring *ring) {
    (void)io_uring_unregister_buffers(ring);
}

static int kernel_enter(struct io_uring *ring, uint64_t wait_ns) {
    struct io_uring_cqe *unused;
    struct __kernel_timespec timeout = {.tv_sec = (long long)(wait_ns / NS_PER_SECOND),
                                        .tv_nsec = (long long)(wait_ns % NS_PER_SECOND)};

    /* A ring with IOPOLL takes no timeout in its wait; this looks for completions, too. */
    if (wait_ns == 0 || (ring->flags & IORING_SETUP_IOPOLL) != 0) {
        return io_uring_submit(ring);
    }
    return io_uring_submit_and_wait_timeout(ring, &unused, 1, &timeout, NULL);
}

static unsigned kernel_reap(struct io_uring *ring, struct fst_uring_result *results,
                            unsigned count_max) {
    struct io_uring_cqe *entries[REAP_MAX];
    const unsigned count =
        io_uring_peek_batch_cqe(ring, entries, count_max < REAP_MAX ? count_max : REAP_MAX);

    for (unsigned i = 0; i < count; i++) {
        results[i].op = io_uring_cqe_get_data(entries[i]);
        results[i].result = entries[i]->res;
    }
    io_uring_cq_advance(ring, count);
    return count;
}

const struct fst_uring_calls fst_uring_calls_kernel = {
    .init = kernel_init,
    .finish = kernel_finish,
    .register_memory = kernel_register_memory,
    .unregister_memory = kernel_unregister_memory,
    .enter = kernel_enter,
    .reap = kernel_reap,
};

/* ---- life ---- */

void fst_uring_diagnose(struct fst_uring_device *device, enum faster_diagnostic_level level,
                        const char *what, int error_number) {
    uint32_t none = 0;

    /* acq_rel, but only the exchange counts: pairs with itself, one caller wins */
    if (fst_cas_acq_rel_u32(&device->has_diagnosed, &none, 1)) {
        fst_diagnose(device->diagnostics, level, "device",
                     "%s (error %d); requests go to %s instead", what, error_number,
                     device->polls ? "rings without polling" : "worker threads");
    }
}

/* Runs on a worker with the queue's lock held. */
static void wake(void *context) {
    const struct fst_device_queue *queue = context;
    const uint64_t one = 1;
    ssize_t unused = write(queue->wake_descriptor, &one, sizeof one); /* full: it wakes as well */

    (void)unused;
}

static int spare_make(struct fst_uring_device *device, struct fst_uring_spare *spare) {
    int result;

    spare->wake_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (spare->wake_descriptor < 0) {
        return -errno;
    }
    result = fst_uring_poll_init(device, &spare->ring);
    if (result != 0) {
        (void)close(spare->wake_descriptor);
    }
    return result;
}

static void spare_end(const struct fst_uring_device *device, struct fst_uring_spare *spare) {
    device->calls->finish(&spare->ring);
    (void)close(spare->wake_descriptor);
}

static bool spare_take(struct fst_uring_device *device, struct fst_uring_spare *spare) {
    const struct faster_env *env = device->head.env;
    bool found;

    env->mutex_lock(env, device->mutex);
    found = device->spare_count > 0;
    if (found) {
        *spare = device->spares[--device->spare_count];
    }
    env->mutex_unlock(env, device->mutex);
    return found;
}

static bool spare_give(struct fst_uring_device *device, const struct fst_uring_spare *spare) {
    const struct faster_env *env = device->head.env;
    bool has_room;

    env->mutex_lock(env, device->mutex);
    has_room = device->spare_count < FST_URING_SPARES_MAX;
    if (has_room) {
        device->spares[device->spare_count++] = *spare;
    }
    env->mutex_unlock(env, device->mutex);
    return has_room;
}

int fst_uring_spares_fill(struct fst_uring_device *device) {
    const int result = spare_make(device, &device->spares[0]);

    device->spare_count = result == 0 ? 1 : 0;
    return result;
}

void fst_uring_spares_finish(struct fst_uring_device *device) {
    while (device->spare_count > 0) {
        spare_end(device, &device->spares[--device->spare_count]);
    }
}

bool fst_uring_ring_open(struct fst_device_queue *queue) {
    struct fst_uring_device *device = queue->device;
    struct fst_uring_spare spare;
    int result = 0;

    if (queue->has_ring || queue->has_no_ring) {
        return !queue->has_no_ring;
    }
    if (!spare_take(device, &spare)) {
        result = spare_make(device, &spare);
    }
    if (result != 0) {
        queue->has_no_ring = true;
        fst_uring_diagnose(device, FASTER_DIAGNOSTIC_WARNING, "no io_uring for a queue", -result);
        return false;
    }
    queue->ring = spare.ring;
    queue->wake_descriptor = spare.wake_descriptor;
    queue->has_ring = true;
    fst_uring_poller_join(queue);
    if (!device->polls) {
        fst_device_file_notify(device->inner, queue->inner, wake, queue);
    }
    return true;
}

/* ---- registered memory ---- */

/* Takes the bytes from what all queues may register. */
static bool take_allowance(struct fst_device *device) {
    const uint64_t before = fst_add_relaxed_u64(&device->registered_bytes, FST_URING_BOUNCES_BYTES);

    if (before + FST_URING_BOUNCES_BYTES > FST_URING_REGISTERED_BYTES_MAX) {
        (void)fst_add_relaxed_u64(&device->registered_bytes, 0 - FST_URING_BOUNCES_BYTES);
        return false;
    }
    return true;
}

static void give_allowance(struct fst_device *device) {
    (void)fst_add_relaxed_u64(&device->registered_bytes, 0 - FST_URING_BOUNCES_BYTES);
}

/* That it cannot be had is no trouble: reads work as well without, and the statistics tell. */
bool fst_uring_ring_registers(struct fst_device_queue *queue) {
    struct fst_uring_device *device = queue->device;
    unsigned char *memory;

    if (queue->has_tried_registered || !fst_uring_ring_open(queue)) {
        return queue->has_registered;
    }
    queue->has_tried_registered = true;
    if (!take_allowance(device->counted)) {
        return false;
    }
    memory = fst_uring_bounce(queue, &queue->ops[0]); /* the first of them */
    queue->has_registered =
        memory != NULL &&
        device->calls->register_memory(&queue->ring, memory, FST_URING_BOUNCES_BYTES) == 0;
    if (!queue->has_registered) {
        give_allowance(device->counted);
    }
    return queue->has_registered;
}

/* The ring may serve another queue, and the memory goes. */
static void unregister(struct fst_device_queue *queue) {
    if (queue->has_registered) {
        queue->device->calls->unregister_memory(&queue->ring);
        give_allowance(queue->device->counted);
        queue->has_registered = false;
    }
}

/* A ring that broke, waits for its wake-up, or is a forked child's is of no use to others. */
void fst_uring_ring_close(struct fst_device_queue *queue) {
    struct fst_uring_device *device = queue->device;
    const struct faster_env *env = device->head.env;
    struct fst_uring_spare spare;

    if (!queue->has_ring) {
        return;
    }
    if (!device->polls) {
        fst_device_file_notify(device->inner, queue->inner, NULL, NULL);
    }
    if (env->process_id(env) == device->process_id) {
        fst_uring_poller_part(queue);
        unregister(queue);
    }
    spare = (struct fst_uring_spare){queue->ring, queue->wake_descriptor};
    if (queue->has_no_ring || queue->prepared_count + queue->taken_count > 0 ||
        env->process_id(env) != device->process_id || !spare_give(device, &spare)) {
        spare_end(device, &spare);
    }
    queue->has_ring = false;
}

/* ---- entries ---- */

struct io_uring_sqe *fst_uring_ring_entry(struct fst_device_queue *queue, struct fst_uring_op *op) {
    /* There are more entries than ops, so there is one. */
    struct io_uring_sqe *entry = io_uring_get_sqe(&queue->ring);

    op->state = FST_URING_PREPARED;
    op->next = NULL;
    if (queue->prepared_first == NULL) {
        queue->prepared_first = op;
    } else {
        queue->prepared_last->next = op;
    }
    queue->prepared_last = op;
    queue->prepared_count++;
    return entry;
}

/* One more completion when the file device has one. Level-triggered: what completed since the
 * last look counts. */
static void arm_wake(struct fst_device_queue *queue) {
    struct io_uring_sqe *entry;

    if (queue->wake.state == FST_URING_FREE) {
        entry = fst_uring_ring_entry(queue, &queue->wake);
        io_uring_prep_poll_add(entry, queue->wake_descriptor, POLLIN);
        io_uring_sqe_set_data(entry, &queue->wake);
    }
}

static void awake(struct fst_device_queue *queue) {
    uint64_t counter;
    ssize_t unused = read(queue->wake_descriptor, &counter, sizeof counter);

    (void)unused;
    queue->wake.state = FST_URING_FREE;
    queue->taken_count--;
}

static struct fst_uring_op *take_prepared(struct fst_device_queue *queue) {
    struct fst_uring_op *op = queue->prepared_first;

    queue->prepared_first = op->next;
    queue->prepared_count--;
    return op;
}

/* Entries are taken in order. */
static void note_taken(struct fst_device_queue *queue) {
    const unsigned left = fst_uring_poll_untaken(&queue->ring);

    while (queue->prepared_count > left) {
        struct fst_uring_op *op = take_prepared(queue);
        op->state = FST_URING_TAKEN;
        queue->taken_count++;
        fst_uring_op_leave_read(op);
    }
    /* A link does not reach over two calls. */
    if (left > 0 && queue->prepared_count == left && queue->prepared_first->is_sync &&
        queue->prepared_first->linked != NULL) {
        fst_uring_sync_unlink(queue->prepared_first->linked);
    }
}

/* The kernel takes nothing more. What it has will still complete; the entries that it has not
 * must not name files that may be closed, should it ever come back to them. */
static void give_up(struct fst_device_queue *queue, int error_number) {
    struct io_uring_sq *sq = &queue->ring.sq;

    queue->has_no_ring = true;
    for (unsigned i = sq->sqe_tail - fst_uring_poll_untaken(&queue->ring); i != sq->sqe_tail; i++) {
        struct io_uring_sqe *entry = &sq->sqes[i & sq->ring_mask];
        io_uring_prep_nop(entry);
        io_uring_sqe_set_data(entry, &queue->ring); /* nobody's op */
    }
    fst_uring_diagnose(queue->device, FASTER_DIAGNOSTIC_WARNING, "io_uring takes no more requests",
                       error_number);
    while (queue->prepared_first != NULL) {
        struct fst_uring_op *op = take_prepared(queue);
        if (op == &queue->wake) {
            op->state = FST_URING_FREE;
        } else if (op->is_sync) {
            fst_uring_sync_result(op, -ECANCELED);
        } else {
            fst_uring_op_hand_over(op);
        }
    }
}

void fst_uring_ring_enter(struct fst_device_queue *queue, uint64_t wait_ns) {
    int result;

    if (queue->inner_count > 0 && wait_ns > 0 && !queue->device->polls) {
        arm_wake(queue);
    }
    result = queue->device->calls->enter(&queue->ring, wait_ns);
    note_taken(queue);
    if (result == -EOWNERDEAD) {
        give_up(queue, -result);
        fst_uring_poller_lost(queue);
    } else if (queue->prepared_count == 0 || result >= 0) {
        queue->refused_count = 0; /* a timeout, a signal: nothing is lost */
    } else if (++queue->refused_count >= REFUSALS_MAX ||
               (result != -EAGAIN && result != -EINTR && result != -EBUSY && result != -ETIME)) {
        give_up(queue, -result);
    }
}

bool fst_uring_ring_reap(struct fst_device_queue *queue) {
    struct fst_uring_result results[REAP_MAX];
    bool any = false;
    unsigned count;

    do {
        count = queue->device->calls->reap(&queue->ring, results, REAP_MAX);
        for (unsigned i = 0; i < count; i++) {
            any = true;
            if (results[i].op == &queue->wake) {
                awake(queue);
            } else if (results[i].op != &queue->ring) {
                fst_uring_op_result(results[i].op, results[i].result);
            }
        }
    } while (count == REAP_MAX);
    return any;
}
