/* failing_calls_ring.c - completions of io_uring that failed, are short, or come late.
 *
 * The linker puts __wrap_fst_device_uring_open() in the place of the device's own function
 * (--wrap), which gives the device these calls instead of the kernel's: each completion may be
 * told otherwise before the device sees it. What it says has failed may have been done.
 */
#include "failing_calls.h"

#ifndef FST_HAS_URING

bool ring_is_there(void) {
    return false;
}
void ring_spoil(enum transfer kind, uint64_t nth, uint64_t times, int result) {
    (void)kind, (void)nth, (void)times, (void)result;
}
void ring_delay(uint64_t nth) {
    (void)nth;
}
void ring_heal(void) {
}
uint64_t ring_calls(enum transfer kind) {
    (void)kind;
    return 0;
}
uint64_t ring_spoilt(void) {
    return 0;
}

#else

#include "primitives/device_uring.h"

/* One thread runs the workload, and owns every ring. */
static struct {
    uint64_t calls[TRANSFER_KINDS];
    uint64_t all_calls;
    uint64_t spoilt;
    enum transfer kind;
    uint64_t first; /* 0: none */
    uint64_t last;
    int result;
    uint64_t late; /* number of the completion that is held back, of either kind; 0: none */
    struct io_uring *held_ring;
    struct fst_uring_result held;
    unsigned held_turns;
} ring;

#define HELD_TURNS 3u

bool ring_is_there(void) {
    struct io_uring probe;
    if (fst_uring_calls_kernel.init(&probe, 4, NULL) != 0) {
        return false;
    }
    fst_uring_calls_kernel.finish(&probe);
    return true;
}

void ring_spoil(enum transfer kind, uint64_t nth, uint64_t times, int result) {
    ring.kind = kind;
    ring.first = ring.calls[kind] + nth;
    ring.last = times > UINT64_MAX - ring.first ? UINT64_MAX : ring.first + times - 1;
    ring.result = result;
    ring.spoilt = 0;
}

void ring_delay(uint64_t nth) {
    ring.late = ring.all_calls + nth;
    ring.spoilt = 0;
}

void ring_heal(void) {
    ring.first = 0;
    ring.late = 0;
}

uint64_t ring_calls(enum transfer kind) {
    return ring.calls[kind];
}

uint64_t ring_spoilt(void) {
    return ring.spoilt;
}

static enum transfer kind_of(const struct fst_uring_op *op) {
    if (op->is_sync) {
        return TRANSFER_SYNC;
    }
    return op->request->kind == FST_IO_READ ? TRANSFER_READ : TRANSFER_WRITE;
}

/* True if the completion is to be held back. */
static bool spoil(struct fst_uring_result *result) {
    const enum transfer kind = kind_of(result->op);
    const uint64_t call = ++ring.calls[kind];
    if (ring.first != 0 && kind == ring.kind && call >= ring.first && call <= ring.last &&
        (ring.result != RING_SHORT || result->result > 1)) {
        ring.spoilt++;
        result->result = ring.result == RING_SHORT ? result->result / 2 : ring.result;
    }
    return ++ring.all_calls == ring.late;
}

static bool is_transfer(const struct io_uring *of, const struct fst_uring_result *result) {
    const struct fst_uring_op *op = result->op;
    return result->op != (const void *)of && op != &op->queue->wake;
}

static unsigned reap(struct io_uring *of, struct fst_uring_result *results, unsigned count_max) {
    const unsigned taken = fst_uring_calls_kernel.reap(of, results, count_max);
    unsigned count = 0;
    for (unsigned i = 0; i < taken; i++) {
        if (is_transfer(of, &results[i]) && spoil(&results[i])) {
            ring.held = results[i];
            ring.held_ring = of;
            ring.held_turns = 0;
            ring.spoilt++;
        } else {
            results[count++] = results[i];
        }
    }
    if (ring.held_ring == of && count < count_max && ring.held_turns++ == HELD_TURNS) {
        results[count++] = ring.held;
        ring.held_ring = NULL;
    }
    return count;
}

/* The kernel has nothing to wait for when the last completion is held here. */
static int enter(struct io_uring *of, uint64_t wait_ns) {
    return fst_uring_calls_kernel.enter(of, ring.held_ring == of ? 0 : wait_ns);
}

static int init(struct io_uring *of, unsigned entries, const struct fst_uring_setup *setup) {
    return fst_uring_calls_kernel.init(of, entries, setup);
}

static void finish(struct io_uring *of) {
    fst_uring_calls_kernel.finish(of);
}

static int register_memory(struct io_uring *of, void *memory, size_t bytes) {
    return fst_uring_calls_kernel.register_memory(of, memory, bytes);
}

static void unregister_memory(struct io_uring *of) {
    fst_uring_calls_kernel.unregister_memory(of);
}

enum faster_status __real_fst_device_uring_open(const struct fst_device_uring_config *config,
                                                struct fst_device **device);
enum faster_status __wrap_fst_device_uring_open(const struct fst_device_uring_config *config,
                                                struct fst_device **device);

enum faster_status __wrap_fst_device_uring_open(const struct fst_device_uring_config *config,
                                                struct fst_device **device) {
    static const struct fst_uring_calls calls = {.init = init,
                                                 .finish = finish,
                                                 .register_memory = register_memory,
                                                 .unregister_memory = unregister_memory,
                                                 .enter = enter,
                                                 .reap = reap};
    struct fst_device_uring_config with_calls = *config;
    with_calls.calls = &calls;
    return __real_fst_device_uring_open(&with_calls, device);
}

#endif
