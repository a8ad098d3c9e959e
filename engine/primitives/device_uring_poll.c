/* device_uring_poll.c - rings that the kernel polls (layer 2).
 *
 * Both kinds are asked for by options, cost processor time that others could use, and are had only
 * where an attempt has shown that they work. What is refused is served without.
 *
 * SQPOLL: a thread of the kernel's takes the entries of a device's rings. A queue then publishes
 * its entries and calls the kernel only to wait, or to wake the thread (liburing looks whether it
 * sleeps). One ring that belongs to no queue keeps the thread; the others share it, and where one
 * cannot, that ring does without. Four things differ from a call that submits:
 *
 *     taken      An entry is TAKEN when it is published: from then on it is not the owner's.
 *     files      A read leaves its file when it is taken; here its number may stand in an entry
 *                that the kernel has not looked at. Before a file is closed, whoever closes it
 *                waits for that [fst_uring_poller_settle]. The proof: a use ends after its entry
 *                was published, and a file is closed when no use is left, both under the lock of
 *                the segment files; so the closing thread sees the ring's tail behind the entry.
 *                The kernel moves the ring's head only after it has begun with the entries before
 *                it, and a read that has begun holds the file by itself. So with the head at that
 *                tail no number of the closed file is left. Nobody can publish another: a new use
 *                needs the same lock. Writes and syncs use their file until they are collected.
 *                The kernel needs no lock of ours to get there.
 *     room       The kernel completes entries before it moves the head past them, so an op may
 *                need a second entry while the first still takes its place. All ops can have that
 *                at a time, but not twice: the kernel begins no other entry before it has moved
 *                the head. The ring is twice as large as otherwise.
 *     links      The thread may part a write from the sync linked to it, and nobody learns of
 *                that. So a sync is submitted when its write is back.
 *
 * The thread dies only with the process, or so that a call of ours tells (EOWNERDEAD). What it had
 * not taken then goes to the file device, and the ring is given up.
 *
 * IOPOLL: completions raise no interrupt, the waiting thread asks the disk for them. Such a ring
 * takes nothing but transfers past the system's cache. So this is a device in front of one with
 * ordinary rings: direct reads go through the ring that polls, and everything else, syncs and
 * files that are not open among them, is the inner device's. Whether a disk allows it only a read
 * tells, as a ring may be had, and take writes, and refuse reads: after the first that is refused
 * all reads are the inner device's. A poll() that waits for such a read looks, for at most its
 * timeout, at the ring and at the inner device in turn; it sleeps only when no read is out.
 */
#include <errno.h>
#include <liburing/barrier.h>
#include <string.h>

#include "primitives/device_uring.h"

/* The probe waits so often, so long for the thread. */
#define PROBE_TURNS 200u
#define PROBE_TURN_NS UINT64_C(10000000)
#define SETTLE_TURN_NS UINT64_C(20000)

static bool is_polled(const struct io_uring *ring) {
    return (ring->flags & IORING_SETUP_SQPOLL) != 0;
}

bool fst_uring_is_polled(const struct fst_device_queue *queue) {
    return is_polled(&queue->ring);
}

void fst_uring_poll_diagnose(struct fst_uring_device *device, const char *what, int error_number) {
    uint32_t none = 0;

    /* acq_rel, but only the exchange counts: pairs with itself, one caller wins */
    if (fst_cas_acq_rel_u32(&device->has_diagnosed_polls, &none, 1)) {
        fst_diagnose(device->diagnostics, FASTER_DIAGNOSTIC_WARNING, "device",
                     "%s (error %d); requests are served without it", what, error_number);
    }
}

/* ---- a thread that submits ---- */

/* By use: a ring may be had whose thread never runs. */
static int probe(const struct fst_uring_calls *calls, struct io_uring *ring) {
    struct io_uring_sqe *entry = io_uring_get_sqe(ring);
    struct fst_uring_result result;

    io_uring_prep_nop(entry);
    io_uring_sqe_set_data(entry, ring); /* nobody's op */
    for (unsigned turn = 0; turn < PROBE_TURNS; turn++) {
        const int entered = calls->enter(ring, PROBE_TURN_NS);
        if (calls->reap(ring, &result, 1) > 0) {
            return result.result;
        }
        if (entered < 0 && entered != -ETIME && entered != -EINTR && entered != -EAGAIN) {
            return entered;
        }
    }
    return -ETIME;
}

int fst_uring_poller_open(struct fst_uring_device *device, unsigned idle_ms) {
    const struct faster_env *env = device->head.env;
    const struct fst_uring_setup setup = {.flags = IORING_SETUP_SQPOLL, .idle_ms = idle_ms};
    struct fst_uring_poller *poller = env->allocate(env, sizeof *poller);
    int result;

    if (poller == NULL) {
        return -ENOMEM;
    }
    memset(poller, 0, sizeof *poller);
    poller->env = env;
    poller->process_id = device->process_id;
    poller->idle_ms = idle_ms;
    if (env->mutex_create(env, &poller->mutex) != FASTER_OK) {
        env->release(env, poller);
        return -ENOMEM;
    }
    result = device->calls->init(&poller->ring, 1, &setup);
    if (result == 0) {
        result = probe(device->calls, &poller->ring);
        if (result < 0) {
            device->calls->finish(&poller->ring);
        }
    }
    if (result < 0) {
        env->mutex_destroy(env, poller->mutex);
        env->release(env, poller);
        return result;
    }
    device->poller = poller;
    return 0;
}

void fst_uring_poller_close(struct fst_uring_device *device) {
    struct fst_uring_poller *poller = device->poller;

    /* One that polls for completions has it from its inner device. */
    if (poller != NULL && !device->polls) {
        device->calls->finish(&poller->ring);
        poller->env->mutex_destroy(poller->env, poller->mutex);
        poller->env->release(poller->env, poller);
    }
}

int fst_uring_poll_init(struct fst_uring_device *device, struct io_uring *ring) {
    struct fst_uring_setup setup = {.flags = device->polls ? IORING_SETUP_IOPOLL : 0};
    int result;

    if (device->poller != NULL) {
        const unsigned flags = setup.flags;
        setup.flags |= IORING_SETUP_SQPOLL | IORING_SETUP_ATTACH_WQ;
        setup.idle_ms = device->poller->idle_ms;
        setup.thread_descriptor = device->poller->ring.ring_fd;
        result = device->calls->init(ring, 2 * FST_URING_ENTRIES, &setup);
        if (result == 0) {
            return 0;
        }
        fst_uring_poll_diagnose(device, "io_submit_poll: no ring shares the kernel's thread",
                                -result);
        setup = (struct fst_uring_setup){.flags = flags};
    }
    return device->calls->init(ring, FST_URING_ENTRIES, &setup);
}

void fst_uring_poller_join(struct fst_device_queue *queue) {
    struct fst_uring_poller *poller = queue->device->poller;

    if (poller != NULL && fst_uring_is_polled(queue)) {
        poller->env->mutex_lock(poller->env, poller->mutex);
        queue->next_polled = poller->queues;
        poller->queues = queue;
        poller->env->mutex_unlock(poller->env, poller->mutex);
    }
}

void fst_uring_poller_part(struct fst_device_queue *queue) {
    struct fst_uring_poller *poller = queue->device->poller;

    if (poller == NULL || !fst_uring_is_polled(queue)) {
        return;
    }
    poller->env->mutex_lock(poller->env, poller->mutex);
    for (struct fst_device_queue **at = &poller->queues; *at != NULL; at = &(*at)->next_polled) {
        if (*at == queue) {
            *at = queue->next_polled;
            break;
        }
    }
    poller->env->mutex_unlock(poller->env, poller->mutex);
}

/* Wakes the thread. False: there is none. The owner has woken it before; this is to learn that. */
static bool is_alive(const struct io_uring *ring) {
    return io_uring_enter((unsigned)ring->ring_fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL) !=
           -EOWNERDEAD;
}

/* How many of the entries before `tail` the kernel has not taken; it may be beyond that. */
static unsigned behind(const struct io_uring *ring, unsigned tail) {
    /* acquire: pairs with the kernel's release behind what it has begun with */
    const unsigned left = tail - io_uring_smp_load_acquire(ring->sq.khead);

    return left <= ring->sq.ring_entries ? left : 0;
}

void fst_uring_poller_settle(void *context) {
    struct fst_uring_poller *poller = context;
    const struct faster_env *env = poller->env;

    if (env->process_id(env) != poller->process_id) {
        return; /* a forked child: none of the rings is its own, and the mutex may be held */
    }
    env->mutex_lock(env, poller->mutex);
    for (struct fst_device_queue *queue = poller->queues; queue != NULL;
         queue = queue->next_polled) {
        /* acquire: pairs with liburing's release of the entries */
        const unsigned tail = io_uring_smp_load_acquire(queue->ring.sq.ktail);
        while (behind(&queue->ring, tail) > 0 && is_alive(&queue->ring)) {
            env->sleep_ns(env, SETTLE_TURN_NS);
        }
    }
    env->mutex_unlock(env, poller->mutex);
}

unsigned fst_uring_poll_untaken(const struct io_uring *ring) {
    return is_polled(ring) ? ring->sq.sqe_tail - *ring->sq.ktail : io_uring_sq_ready(ring);
}

void fst_uring_poller_lost(struct fst_device_queue *queue) {
    struct io_uring *ring = &queue->ring;
    const unsigned end = *ring->sq.ktail;

    if (queue->has_lost_thread) {
        return;
    }
    queue->has_lost_thread = true;
    for (unsigned i = end - behind(ring, end); i != end; i++) {
        /* As liburing put it there. NOLINTNEXTLINE(performance-no-int-to-ptr) */
        void *op = (void *)(uintptr_t)ring->sq.sqes[i & ring->sq.ring_mask].user_data;
        if (op == &queue->wake) {
            queue->wake.state = FST_URING_FREE;
            queue->taken_count--;
        } else if (op != ring) {
            fst_uring_op_result(op, -ECANCELED); /* not begun */
        }
    }
}

/* ---- reads that are polled for ---- */

void fst_uring_poll_refused(struct fst_uring_device *device, int error_number) {
    fst_store_relaxed_u32(&device->head.complete_polls, 0);
    fst_uring_poll_diagnose(device, "io_complete_poll: a read was refused", error_number);
}
