/* uring_rig.h - a device with io_uring on a kernel that is short, late, out of order or unwilling
 * as it is told. Included once per program; in a build without io_uring the program is skipped. */
#ifndef TESTS_UNIT_URING_RIG_H
#define TESTS_UNIT_URING_RIG_H

#include <criterion/criterion.h>

#ifndef FST_HAS_URING

Test(device_uring, all) {
    cr_skip_test("built without io_uring");
}

#else

#include "primitives/device_uring.h"
#include "support/device_fixture.h"
#include "support/need_uring.h"

/* ---- a kernel that does as it is told ---- */

static struct {
    int init_results[4]; /* of the first calls; 0: the real one */
    int enter_result;    /* not 0: instead of entering */
    int result;          /* not 0: of the next `result_count` transfers */
    unsigned result_count;
    bool spoils_direct_only;
    unsigned short_count; /* the next transfers did half */
    int sync_result;      /* not 0: of all syncs */
    int register_result;  /* not 0: instead of registering memory */
    unsigned fixed_count; /* transfers through registered memory */
    unsigned sync_count;
    bool holds; /* completions are kept; when it ends they come in reverse */
    unsigned init_count, enter_count, submit_count, direct_count, bounced_count, ended_count;
    struct fst_uring_result held[256];
    unsigned held_count;
} told;

static inline int told_init(struct io_uring *ring, unsigned entries,
                            const struct fst_uring_setup *setup) {
    const unsigned nth = told.init_count++;

    if (nth < 4 && told.init_results[nth] != 0) {
        return told.init_results[nth];
    }
    return fst_uring_calls_kernel.init(ring, entries, setup);
}

static inline int told_register_memory(struct io_uring *ring, void *memory, size_t count) {
    return told.register_result != 0 ? told.register_result
                                     : fst_uring_calls_kernel.register_memory(ring, memory, count);
}

static inline int told_enter(struct io_uring *ring, uint64_t wait_ns) {
    told.enter_count++;
    told.submit_count += io_uring_sq_ready(ring) > 0;
    if (told.enter_result != 0) {
        return told.enter_result;
    }
    return fst_uring_calls_kernel.enter(ring, wait_ns);
}

static inline void spoil(struct fst_uring_result *result) {
    struct fst_uring_op *op = result->op;

    if (op == &op->queue->wake) {
        return;
    }
    if (op->is_sync) {
        told.sync_count++;
        result->result = told.sync_result != 0 ? told.sync_result : result->result;
        return;
    }
    told.ended_count++;
    told.direct_count += op->is_direct;
    told.bounced_count += op->is_bounced;
    told.fixed_count += op->is_fixed;
    if (told.result_count > 0 && (op->is_direct || !told.spoils_direct_only)) {
        told.result_count--;
        result->result = told.result;
    } else if (told.short_count > 0 && result->result > 1) {
        told.short_count--;
        result->result /= 2;
    }
}

static inline unsigned told_reap(struct io_uring *ring, struct fst_uring_result *results,
                                 unsigned count_max) {
    unsigned count = fst_uring_calls_kernel.reap(ring, results, count_max);

    for (unsigned i = 0; i < count; i++) {
        if (results[i].op != ring) {
            spoil(&results[i]);
        }
    }
    if (told.holds) {
        memcpy(told.held + told.held_count, results, count * sizeof *results);
        told.held_count += count;
        return 0;
    }
    while (told.held_count > 0 && count < count_max) {
        results[count++] = told.held[--told.held_count];
    }
    return count;
}

static struct fst_uring_calls told_calls;

static inline void begin(void) {
    need_uring();
    told_calls = fst_uring_calls_kernel;
    told_calls.init = told_init;
    told_calls.register_memory = told_register_memory;
    told_calls.enter = told_enter;
    told_calls.reap = told_reap;
}

TestSuite(device_uring, .init = begin);

static unsigned char bytes[4 * SEGMENT_BYTES];
static unsigned char in[4 * SEGMENT_BYTES];

/* Four segments with bytes, all open. */
static inline struct fixture start_filled(enum kind kind) {
    struct fixture fixture = start_with(kind, &told_calls);

    fill(bytes, sizeof bytes, 77);
    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    return fixture;
}

static inline void expect_reads(struct fixture *fixture, uint64_t addr, size_t count) {
    size_t done = 0;

    memset(in, 0xee, sizeof in);
    cr_expect_eq(get(fixture, addr, in, count, &done), FASTER_OK);
    cr_expect_eq(done, count);
    cr_expect(memcmp(in, bytes + addr, count) == 0);
}

/* ---- many reads at a time ---- */

#define READ_COUNT 64u
#define READ_BYTES 300u

struct batch {
    struct fst_io_request requests[READ_COUNT];
    unsigned char in[READ_COUNT][READ_BYTES];
    unsigned done;
    struct fst_io_request *last;
};

static inline void count_done(struct fst_io_request *request) {
    struct batch *batch = request->context;

    batch->done++;
    batch->last = request;
}

static inline void submit_reads(struct fixture *fixture, struct batch *batch, unsigned count) {
    memset(batch, 0, sizeof *batch);
    for (unsigned i = 0; i < count; i++) {
        batch->requests[i] = (struct fst_io_request){.kind = FST_IO_READ,
                                                     .addr = fst_addr_of(i * 1024 + 8),
                                                     .bytes = batch->in[i],
                                                     .count_bytes = READ_BYTES,
                                                     .done = count_done,
                                                     .context = batch};
        fixture->device->ops->submit(fixture->device, fixture->queue, &batch->requests[i]);
    }
}

static inline void finish_reads(struct fixture *fixture, struct batch *batch, unsigned count) {
    for (unsigned turn = 0; batch->done < count && turn < 1000; turn++) {
        (void)fixture->device->ops->poll(fixture->device, fixture->queue, WAIT_NS);
    }
    cr_assert_eq(batch->done, count);
    for (unsigned i = 0; i < count && i < READ_COUNT; i++) {
        cr_expect_eq(batch->requests[i].status, FASTER_OK);
        cr_expect(memcmp(batch->in[i], bytes + i * 1024 + 8, READ_BYTES) == 0);
    }
}

#endif

#endif
