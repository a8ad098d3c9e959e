/* test_device_uring.c - what only the device with io_uring promises, and what it makes of a
 * kernel that is short, late, out of order or unwilling. */
#include <criterion/criterion.h>

#ifndef FST_HAS_URING

Test(device_uring, all) {
    cr_skip_test("built without io_uring");
}

#else

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "primitives/device_uring.h"
#include "support/device_fixture.h"

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

static int told_init(struct io_uring *ring, unsigned entries, const struct fst_uring_setup *setup) {
    const unsigned nth = told.init_count++;

    if (nth < 4 && told.init_results[nth] != 0) {
        return told.init_results[nth];
    }
    return fst_uring_calls_kernel.init(ring, entries, setup);
}

static int told_register_memory(struct io_uring *ring, void *memory, size_t count) {
    return told.register_result != 0 ? told.register_result
                                     : fst_uring_calls_kernel.register_memory(ring, memory, count);
}

static void told_unregister_memory(struct io_uring *ring) {
    fst_uring_calls_kernel.unregister_memory(ring);
}

static int told_enter(struct io_uring *ring, uint64_t wait_ns) {
    told.enter_count++;
    told.submit_count += io_uring_sq_ready(ring) > 0;
    if (told.enter_result != 0) {
        return told.enter_result;
    }
    return fst_uring_calls_kernel.enter(ring, wait_ns);
}

static void spoil(struct fst_uring_result *result) {
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

static unsigned told_reap(struct io_uring *ring, struct fst_uring_result *results,
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

static const struct fst_uring_calls told_calls = {
    .init = told_init,
    .finish = io_uring_queue_exit,
    .register_memory = told_register_memory,
    .unregister_memory = told_unregister_memory,
    .enter = told_enter,
    .reap = told_reap,
};

static void need_uring(void) {
    struct io_uring ring;

    if (fst_uring_calls_kernel.init(&ring, 4, NULL) != 0) {
        cr_skip_test("no io_uring here");
    }
    fst_uring_calls_kernel.finish(&ring);
}

TestSuite(device_uring, .init = need_uring);

static unsigned char bytes[4 * SEGMENT_BYTES];
static unsigned char in[4 * SEGMENT_BYTES];

/* Four segments with bytes, all open. */
static struct fixture start_filled(enum kind kind) {
    struct fixture fixture = start_with(kind, &told_calls);

    fill(bytes, sizeof bytes, 77);
    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    return fixture;
}

static void expect_reads(struct fixture *fixture, uint64_t addr, size_t count) {
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

static void count_done(struct fst_io_request *request) {
    struct batch *batch = request->context;

    batch->done++;
    batch->last = request;
}

static void submit_reads(struct fixture *fixture, struct batch *batch, unsigned count) {
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

static void finish_reads(struct fixture *fixture, struct batch *batch, unsigned count) {
    for (unsigned turn = 0; batch->done < count && turn < 1000; turn++) {
        (void)fixture->device->ops->poll(fixture->device, fixture->queue, WAIT_NS);
    }
    cr_assert_eq(batch->done, count);
    for (unsigned i = 0; i < count && i < READ_COUNT; i++) {
        cr_expect_eq(batch->requests[i].status, FASTER_OK);
        cr_expect(memcmp(batch->in[i], bytes + i * 1024 + 8, READ_BYTES) == 0);
    }
}

Test(device_uring, many_reads_are_submitted_in_one_call) {
    struct fixture fixture = start_filled(URING_DEVICE);
    static struct batch batch;

    expect_reads(&fixture, 0, 16); /* makes the ring */
    told.submit_count = 0;
    submit_reads(&fixture, &batch, READ_COUNT - 1);
    cr_expect_eq(told.submit_count, 0, "kept until somebody asks");
    fst_device_flush(fixture.device, fixture.queue);
    cr_expect_eq(told.submit_count, 1);
    finish_reads(&fixture, &batch, READ_COUNT - 1);
    cr_expect_eq(told.submit_count, 1);
    submit_reads(&fixture, &batch, READ_COUNT);
    cr_expect_eq(told.submit_count, 2, "a full batch starts by itself");
    finish_reads(&fixture, &batch, READ_COUNT);
    end(&fixture);
}

Test(device_uring, ring_and_buffers_come_with_the_first_use) {
    struct fixture fixture = start_with(URING_DEVICE, &told_calls);
    const uint64_t live = fst_test_env_live_allocations(fixture.test);
    struct fst_device_queue *idle;

    cr_assert_eq(fixture.device->ops->queue_open(fixture.device, &idle), FASTER_OK);
    cr_expect_eq(told.init_count, 1, "the probe's");
    cr_expect_leq(fst_test_env_live_allocations(fixture.test), live + 4);
    cr_expect_eq(fst_load_relaxed_u64(&fixture.device->buffer_bytes), 0);
    fixture.device->ops->queue_close(fixture.device, idle);
    cr_assert_eq(put(&fixture, 0, bytes, 16), FASTER_OK);
    cr_expect_eq(told.init_count, 1, "workers make files");
    cr_expect_eq(get(&fixture, 0, in, 16, NULL), FASTER_OK);
    cr_expect_eq(told.init_count, 1, "the probe's is used");
    cr_expect_gt(fst_load_relaxed_u64(&fixture.device->buffer_bytes), 0);
    end(&fixture);
}

Test(device_uring, late_and_reordered_completions_find_their_requests) {
    struct fixture fixture = start_filled(URING_DEVICE);
    static struct batch batch;
    const uint64_t begin_ns = fixture.env->monotonic_ns(fixture.env);

    told.holds = true;
    submit_reads(&fixture, &batch, READ_COUNT);
    for (unsigned i = 0; i < 100 && told.held_count < READ_COUNT; i++) {
        cr_assert_eq(fixture.device->ops->poll(fixture.device, fixture.queue, 1000000), 0);
    }
    cr_assert_eq(told.held_count, READ_COUNT);
    cr_assert_eq(fixture.device->ops->poll(fixture.device, fixture.queue, 20000000), 0);
    cr_expect_geq(fixture.env->monotonic_ns(fixture.env) - begin_ns, 20000000, "it waits");
    told.holds = false;
    finish_reads(&fixture, &batch, READ_COUNT);
    end(&fixture);
}

/* ---- short transfers, and failures ---- */

Test(device_uring, short_transfers_are_continued) {
    for (enum kind kind = URING_DEVICE; kind <= CACHED_URING_DEVICE; kind++) {
        struct fixture fixture = start_filled(kind);
        told.short_count = 5;
        expect_reads(&fixture, 100, 3 * SEGMENT_BYTES);
        told.short_count = 1;
        expect_reads(&fixture, 700, 500);
        told.short_count = 3;
        fill(bytes, sizeof bytes, 99);
        cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
        cr_expect_eq(told.short_count, 0);
        expect_reads(&fixture, 0, sizeof bytes);
        end(&fixture);
    }
}

static void check_failure(int result, enum faster_status expected) {
    struct fixture fixture = start_filled(CACHED_URING_DEVICE);

    told.result = result;
    told.result_count = 1;
    told.ended_count = 0;
    cr_expect_eq(get(&fixture, 0, in, 100, NULL), expected);
    cr_expect_eq(told.ended_count, 1, "not submitted again");
    expect_reads(&fixture, 0, 100);
    told.result_count = 1;
    told.ended_count = 0;
    cr_expect_eq(put(&fixture, 0, bytes, 100), expected);
    cr_expect_eq(told.ended_count, 1, "not submitted again");
    cr_expect_eq(put(&fixture, 0, bytes, 100), FASTER_OK);
    cr_expect_eq(sync_device(&fixture), FASTER_OK);
    cr_expect_eq(fixture.device->ops->poll(fixture.device, fixture.queue, WAIT_NS), 0,
                 "nothing is left in the queue");
    end(&fixture);
}

Test(device_uring, failure_surfaces_once) {
    check_failure(-EIO, FASTER_IO);
    check_failure(-ENOSPC, FASTER_FULL);
}

Test(device_uring, requests_are_repeated_only_so_often) {
    struct fixture fixture = start_filled(CACHED_URING_DEVICE);

    told.result = -EAGAIN;
    told.result_count = FST_URING_RETRIES_MAX;
    expect_reads(&fixture, 0, 100);
    told.result_count = 1000;
    told.ended_count = 0;
    cr_expect_eq(get(&fixture, 0, in, 100, NULL), FASTER_IO);
    cr_expect_eq(told.ended_count, FST_URING_RETRIES_MAX + 1);
    told.result = -EINTR;
    cr_expect_eq(put(&fixture, 0, bytes, 100), FASTER_IO);
    told.result_count = 0;
    expect_reads(&fixture, 0, 100);
    end(&fixture);
}

Test(device_uring, cancelled_with_its_thread_is_carried_out_by_workers) {
    struct fixture fixture = start_filled(CACHED_URING_DEVICE);

    told.result = -ECANCELED;
    told.result_count = 2;
    expect_reads(&fixture, 10, 100);
    bytes[5] ^= 1;
    cr_expect_eq(put(&fixture, 0, bytes, 100), FASTER_OK);
    cr_expect_eq(told.result_count, 0);
    expect_reads(&fixture, 0, 100);
    end(&fixture);
}

static void *write_and_exit(void *context) {
    struct fixture *fixture = context;
    static struct batch batch;
    static struct fst_io_request write;

    submit_reads(fixture, &batch, READ_COUNT);
    write = (struct fst_io_request){.kind = FST_IO_WRITE,
                                    .addr = fst_addr_of(0),
                                    .bytes = bytes,
                                    .count_bytes = 3 * SEGMENT_BYTES,
                                    .done = count_done,
                                    .context = &batch};
    fixture->device->ops->submit(fixture->device, fixture->queue, &write);
    return &batch;
}

Test(device_uring, requests_outlive_the_thread_that_submitted_them) {
    struct fixture fixture = start_filled(URING_DEVICE);

    for (unsigned round = 0; round < 20; round++) {
        pthread_t thread;
        void *batch;
        cr_assert_eq(pthread_create(&thread, NULL, write_and_exit, &fixture), 0);
        cr_assert_eq(pthread_join(thread, &batch), 0);
        finish_reads(&fixture, batch, READ_COUNT + 1);
        expect_reads(&fixture, 0, sizeof bytes);
    }
    end(&fixture);
}

Test(device_uring, write_without_progress_is_a_failure) {
    struct fixture fixture = start_filled(CACHED_URING_DEVICE);

    told.result = 1; /* then the other 99 bytes: none */
    told.result_count = 1;
    cr_expect_eq(put(&fixture, 0, bytes, 100), FASTER_OK, "one byte is progress");
    end(&fixture);
}

/* ---- a kernel without io_uring ---- */

static unsigned diagnostic_count;

static void count_diagnostic(void *context, enum faster_diagnostic_level level, const char *module,
                             const char *message) {
    (void)context;
    (void)level;
    (void)module;
    (void)message;
    diagnostic_count++;
}

static void check_unavailable(int error_number, const char *name) {
    const struct fst_diagnostics diagnostics = {.fn = count_diagnostic};
    struct fixture fixture = start(FILE_DEVICE);
    struct fst_device_uring_config config = {
        .file = config_of(&fixture), .calls = &told_calls, .diagnostics = &diagnostics};
    struct fst_device_queue *second;

    close_device(&fixture);
    fst_test_env_show_descriptors(fixture.test, true);
    diagnostic_count = 0;
    cr_assert_eq(fst_device_uring_open(&config, &fixture.device), FASTER_OK);
    cr_expect_str_eq(fixture.device->ops->name, name, "error %d", error_number);
    cr_assert_eq(fixture.device->ops->queue_open(fixture.device, &fixture.queue), FASTER_OK);
    cr_assert_eq(fixture.device->ops->queue_open(fixture.device, &second), FASTER_OK);
    fill(bytes, sizeof bytes, 1);
    cr_expect_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    expect_reads(&fixture, 5, 3 * SEGMENT_BYTES);
    cr_expect_eq(fst_device_run(fixture.device, second, FST_IO_READ, fst_addr_of(0), in, 8, NULL),
                 FASTER_OK);
    cr_expect_eq(diagnostic_count, 1);
    fixture.device->ops->queue_close(fixture.device, second);
    end(&fixture);
}

Test(device_uring, unavailable_means_threads_and_one_diagnostic) {
    const int errors[] = {-ENOSYS, -EPERM, -ENOMEM};

    for (unsigned i = 0; i < 3; i++) {
        memset(&told, 0, sizeof told);
        told.init_results[0] = errors[i];
        check_unavailable(errors[i], "file");
        memset(&told, 0, sizeof told);
        told.init_results[1] = told.init_results[2] = errors[i]; /* the probe is good */
        check_unavailable(errors[i], "io_uring");
    }
}

Test(device_uring, kernel_that_takes_nothing_is_left_for_threads) {
    const int errors[] = {-EAGAIN, -EBUSY, -EBADF};

    for (unsigned i = 0; i < 3; i++) {
        struct fixture fixture = start_filled(URING_DEVICE);
        static struct batch batch;
        told.enter_result = errors[i];
        submit_reads(&fixture, &batch, READ_COUNT);
        finish_reads(&fixture, &batch, READ_COUNT);
        told.enter_result = 0;
        expect_reads(&fixture, 3, 2 * SEGMENT_BYTES);
        end(&fixture);
    }
}

Test(device_uring, environment_without_descriptors_uses_threads) {
    struct fixture fixture = start_with(URING_DEVICE, &told_calls);

    fst_test_env_show_descriptors(fixture.test, false);
    fill(bytes, sizeof bytes, 5);
    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    expect_reads(&fixture, 0, sizeof bytes);
    cr_expect_eq(told.init_count, 1, "the probe's");
    end(&fixture);
}

Test(device_uring, forked_child_is_refused) {
    struct fixture fixture = start_filled(URING_DEVICE);
    int code = -1;

    expect_reads(&fixture, 0, 16);
    const pid_t child = fork();
    if (child == 0) {
        const bool refused = get(&fixture, 0, in, 16, NULL) == FASTER_MISUSE &&
                             put(&fixture, 0, in, 16) == FASTER_MISUSE &&
                             sync_device(&fixture) == FASTER_MISUSE;
        _exit(refused ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &code, 0), child);
    cr_expect_eq(code, 0);
    expect_reads(&fixture, 0, 16);
    end(&fixture);
}

Test(device_uring, no_memory_for_buffers_fails_the_request_only) {
    struct fixture fixture = start_with(URING_DEVICE, &told_calls);

    fst_test_env_fail(fixture.test, FST_TEST_MAP, 1, 1, FASTER_NOMEM);
    cr_expect_eq(get(&fixture, 0, in, 16, NULL), FASTER_NOMEM);
    cr_expect_eq(get(&fixture, 0, in, 16, NULL), FASTER_OK);
    end(&fixture);
}

/* ---- segments ---- */

Test(device_uring, requests_are_split_at_segment_boundaries) {
    for (enum kind kind = URING_DEVICE; kind <= CACHED_URING_DEVICE; kind++) {
        struct fixture fixture = start_filled(kind);
        for (uint64_t i = 1; i < 4; i++) {
            expect_reads(&fixture, i * SEGMENT_BYTES - 50, 100);
        }
        expect_reads(&fixture, SEGMENT_BYTES - 4096, 2 * SEGMENT_BYTES);
        told.ended_count = 0;
        bytes[SEGMENT_BYTES] ^= 1;
        cr_assert_eq(put(&fixture, SEGMENT_BYTES - 4096, bytes + SEGMENT_BYTES - 4096, 8192),
                     FASTER_OK);
        cr_expect_eq(told.ended_count, 2);
        expect_reads(&fixture, 0, sizeof bytes);
        end(&fixture);
    }
}

Test(device_uring, truncation_waits_for_no_idle_session) {
    struct fixture fixture = start_filled(URING_DEVICE);
    const struct fst_device_ops *ops = fixture.device->ops;
    static struct batch batch;

    submit_reads(&fixture, &batch, 10);
    fst_device_flush(fixture.device, fixture.queue);
    /* Nobody polls. */
    cr_expect_eq(ops->truncate(fixture.device, fst_addr_of(2 * SEGMENT_BYTES)), FASTER_OK);
    cr_expect_not(segment_exists(&fixture, 0));
    cr_expect_not(segment_exists(&fixture, 1));
    finish_reads(&fixture, &batch, 10);
    submit_reads(&fixture, &batch, 1);
    while (batch.done == 0) {
        (void)ops->poll(fixture.device, fixture.queue, WAIT_NS);
    }
    cr_expect_eq(batch.requests[0].status, FASTER_MISSING);
    end(&fixture);
}

/* ---- on a file system that does direct transfers ---- */

static struct fixture start_direct(void) {
    char here[256];

    if (getcwd(here, sizeof here) != NULL) {
        cr_assert_eq(setenv("TMPDIR", here, 1), 0);
    }
    return start_filled(URING_DEVICE);
}

Test(device_uring, misaligned_reads_come_through_aligned_buffers) {
    struct fixture fixture = start_direct();
    const size_t counts[] = {1, 511, 512, 513, 3000, 4096, 5000, 12288};
    static _Alignas(4096) unsigned char aligned[8192];
    size_t done;

    for (uint64_t addr = 0; addr < 3 * 4096; addr += 509) {
        for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
            expect_reads(&fixture, addr, counts[i]);
        }
    }
    if (told.direct_count == 0) {
        cr_skip_test("no direct transfers on this file system");
    }
    cr_expect_gt(told.bounced_count, 100);
    told.direct_count = told.bounced_count = 0;
    cr_expect_eq(get(&fixture, 4096, aligned, 8192, &done), FASTER_OK);
    cr_expect(memcmp(aligned, bytes + 4096, 8192) == 0);
    cr_expect_eq(told.direct_count, 1, "straight into memory that is aligned");
    cr_expect_eq(told.bounced_count, 0);
    end(&fixture);
}

static uint64_t registered_bytes(const struct fixture *fixture) {
    return fst_load_relaxed_u64(&fixture->device->registered_bytes);
}

Test(device_uring, small_direct_reads_come_through_registered_memory) {
    struct fixture fixture = start_direct();
    static _Alignas(4096) unsigned char aligned[8192];
    const size_t counts[] = {512, 1024, 4096};

    for (unsigned i = 0; i < 3; i++) {
        cr_expect_eq(get(&fixture, 4096, aligned, counts[i], NULL), FASTER_OK);
        cr_expect(memcmp(aligned, bytes + 4096, counts[i]) == 0);
        expect_reads(&fixture, 5000 + i, counts[i] / 2);
    }
    if (told.direct_count == 0) {
        cr_skip_test("no direct transfers on this file system");
    }
    if (registered_bytes(&fixture) == 0) {
        cr_skip_test("no memory may be registered here");
    }
    cr_expect_eq(told.fixed_count, 6);
    cr_expect_eq(registered_bytes(&fixture), FST_URING_BOUNCES_BYTES);
    expect_reads(&fixture, 0, 3 * SEGMENT_BYTES);
    cr_expect_eq(told.fixed_count, 6, "large ones go straight to their memory");
    end(&fixture);
}

Test(device_uring, unregistered_memory_serves_as_well) {
    struct fixture fixture = start_direct();

    told.register_result = -ENOMEM;
    for (uint64_t addr = 0; addr < 8192; addr += 509) {
        expect_reads(&fixture, addr, 700);
    }
    cr_expect_eq(told.fixed_count, 0);
    cr_expect_eq(registered_bytes(&fixture), 0);
    told.register_result = 0;
    expect_reads(&fixture, 5, 700);
    cr_expect_eq(told.fixed_count, 0, "it is tried once");
    end(&fixture);
}

#define MANY_QUEUES 12u

Test(device_uring, registered_memory_is_bounded_and_given_back) {
    struct fixture fixture = start_direct();
    struct fst_device_queue *queues[MANY_QUEUES];

    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < MANY_QUEUES; i++) {
            cr_assert_eq(fixture.device->ops->queue_open(fixture.device, &queues[i]), FASTER_OK);
            cr_assert_eq(fst_device_run(fixture.device, queues[i], FST_IO_READ, fst_addr_of(4096),
                                        in, 100, NULL),
                         FASTER_OK);
            cr_expect(memcmp(in, bytes + 4096, 100) == 0);
            cr_expect_leq(registered_bytes(&fixture), FST_URING_REGISTERED_BYTES_MAX);
        }
        for (unsigned i = 0; i < MANY_QUEUES; i++) {
            fixture.device->ops->queue_close(fixture.device, queues[i]);
        }
        cr_expect_leq(registered_bytes(&fixture), FST_URING_BOUNCES_BYTES, "the fixture's");
    }
    end(&fixture);
}

Test(device_uring, cached_and_direct_writes_are_both_read) {
    struct fixture fixture = start_direct();
    static _Alignas(4096) unsigned char page[4096];

    for (unsigned round = 0; round < 50; round++) {
        const uint64_t at = round % 8 * 4096;
        fill(page, sizeof page, round * 3);
        memcpy(bytes + at, page, sizeof page);
        cr_assert_eq(put(&fixture, at, page, sizeof page), FASTER_OK);
        expect_reads(&fixture, at + 100, 1000);
        bytes[at + 300] ^= 0x55; /* not a whole unit: through the cache */
        cr_assert_eq(put(&fixture, at + 300, bytes + at + 300, 1), FASTER_OK);
        expect_reads(&fixture, at, 4096);
        expect_reads(&fixture, at + 299, 3);
    }
    end(&fixture);
}

Test(device_uring, refused_direct_reads_go_through_the_cache) {
    struct fixture fixture = start_direct();
    const struct fst_uring_device *device = (struct fst_uring_device *)fixture.device;

    expect_reads(&fixture, 1, 100);
    if (told.direct_count == 0) {
        cr_skip_test("no direct transfers on this file system");
    }
    told.result = -EINVAL;
    told.result_count = 1;
    expect_reads(&fixture, 1, 100);
    cr_expect_eq(fst_load_relaxed_u32(&device->block_bytes), 4096);
    expect_reads(&fixture, 1, 100);
    told.result_count = 1;
    expect_reads(&fixture, 1, 100);
    cr_expect_eq(fst_load_relaxed_u32(&device->block_bytes), 0);
    told.direct_count = 0;
    expect_reads(&fixture, 1, 100);
    cr_expect_eq(told.direct_count, 0);
    end(&fixture);
}

/* The first to fail makes the blocks larger; the others failed with the old size. */
Test(device_uring, reads_refused_together_make_blocks_larger_once) {
    struct fixture fixture = start_direct();
    const struct fst_uring_device *device = (struct fst_uring_device *)fixture.device;
    static struct batch batch;

    expect_reads(&fixture, 1, 100);
    if (told.direct_count == 0) {
        cr_skip_test("no direct transfers on this file system");
    }
    told.result = -EINVAL;
    told.result_count = 8;
    told.spoils_direct_only = true;
    submit_reads(&fixture, &batch, 8);
    finish_reads(&fixture, &batch, 8);
    cr_expect_eq(told.result_count, 0);
    cr_expect_eq(fst_load_relaxed_u32(&device->block_bytes), 4096);
    end(&fixture);
}

Test(device_uring, direct_read_at_the_end_of_the_file_counts_what_exists) {
    struct fixture fixture = start_with(URING_DEVICE, &told_calls);
    size_t done;

    fill(bytes, sizeof bytes, 8);
    cr_assert_eq(put(&fixture, 0, bytes, 700), FASTER_OK);
    for (size_t at = 0; at < 1600; at += 100) {
        memset(in, 0xee, 1000);
        cr_assert_eq(get(&fixture, at, in, 1000, &done), FASTER_OK);
        cr_expect_eq(done, at < 700 ? 700 - at : 0);
        cr_expect(memcmp(in, bytes + at, done) == 0);
        cr_expect(all_zero(in + done, 1000 - done));
    }
    end(&fixture);
}

/* ---- the ring and the workers together ---- */

Test(device_uring, a_wait_ends_with_whichever_comes_first) {
    struct fixture fixture = start_filled(URING_DEVICE);
    struct fst_io_request sync = {.kind = FST_IO_SYNC, .done = count_done};
    static struct batch batch;

    for (unsigned round = 0; round < 20; round++) {
        told.holds = true;
        submit_reads(&fixture, &batch, 5);
        sync.context = &batch;
        cr_assert_eq(put(&fixture, 0, bytes, 0), FASTER_OK);
        fixture.device->ops->submit(fixture.device, fixture.queue, &sync);
        const uint64_t begin_ns = fixture.env->monotonic_ns(fixture.env);
        while (told.held_count < 5 && batch.done == 0) {
            (void)fixture.device->ops->poll(fixture.device, fixture.queue, 1000000);
        }
        told.holds = false;
        while (batch.done < 6) {
            (void)fixture.device->ops->poll(fixture.device, fixture.queue, WAIT_NS);
        }
        cr_expect_lt(fixture.env->monotonic_ns(fixture.env) - begin_ns, WAIT_NS);
        cr_expect_eq(sync.status, FASTER_OK);
    }
    end(&fixture);
}

/* ---- syncs in the ring ---- */

/* Neither a file in use nor a sync that has not ended stands in the way of what comes next. */
static void end_unhindered(struct fixture *fixture) {
    cr_expect_eq(fixture->device->ops->truncate(fixture->device, fst_addr_of(4 * SEGMENT_BYTES)),
                 FASTER_OK);
    cr_expect_not(segment_exists(fixture, 0));
    end(fixture);
}

/* The files of start_filled() are synced, so that the next sync concerns one. */
static struct fixture start_synced(enum kind kind) {
    struct fixture fixture = start_filled(kind);

    cr_assert_eq(sync_device(&fixture), FASTER_OK);
    told.sync_count = told.submit_count = told.ended_count = 0;
    return fixture;
}

static uint64_t worker_syncs(const struct fixture *fixture) {
    return fst_test_env_calls(fixture->test, FST_TEST_FILE_SYNC);
}

Test(device_uring, write_and_sync_are_one_call) {
    for (enum kind kind = URING_DEVICE; kind <= CACHED_URING_DEVICE; kind++) {
        struct fixture fixture = start_synced(kind);
        const uint64_t before = worker_syncs(&fixture);
        fill(bytes, 4096, 31);
        cr_assert_eq(put_synced(&fixture, 0, bytes, 4096), FASTER_OK);
        cr_expect_eq(told.submit_count, 1);
        cr_expect_eq(told.sync_count, 1);
        cr_expect_eq(sync_device(&fixture), FASTER_OK);
        cr_expect_eq(told.sync_count, 1, "nothing is left to sync");
        cr_assert_eq(put(&fixture, 0, bytes, 4096), FASTER_OK);
        cr_expect_eq(sync_device(&fixture), FASTER_OK);
        cr_expect_eq(told.sync_count, 2);
        cr_expect_eq(worker_syncs(&fixture), before);
        expect_reads(&fixture, 0, 8192);
        end_unhindered(&fixture);
    }
}

Test(device_uring, sync_of_several_files_is_the_workers) {
    struct fixture fixture = start_synced(CACHED_URING_DEVICE);
    const uint64_t before = worker_syncs(&fixture);

    cr_assert_eq(put(&fixture, SEGMENT_BYTES, bytes + SEGMENT_BYTES, 16), FASTER_OK);
    cr_assert_eq(put_synced(&fixture, 0, bytes, 16), FASTER_OK);
    cr_expect_eq(worker_syncs(&fixture), before + 2);
    cr_assert_eq(put_synced(&fixture, SEGMENT_BYTES - 8, bytes + SEGMENT_BYTES - 8, 16), FASTER_OK);
    cr_expect_eq(worker_syncs(&fixture), before + 4);
    cr_expect_eq(told.sync_count, 0);
    end_unhindered(&fixture);
}

Test(device_uring, failed_write_cancels_its_sync_and_surfaces_once) {
    const int sync_results[] = {0, -ECANCELED}; /* as it was, as the kernel would */

    for (unsigned i = 0; i < 4; i++) {
        struct fixture fixture = start_synced(CACHED_URING_DEVICE);
        told.result = i < 2 ? -EIO : -ENOSPC;
        told.result_count = 1;
        told.sync_result = sync_results[i % 2];
        cr_expect_eq(put_synced(&fixture, 0, bytes, 100), i < 2 ? FASTER_IO : FASTER_FULL);
        cr_expect_eq(told.ended_count, 1, "not submitted again");
        cr_expect_eq(fixture.device->ops->poll(fixture.device, fixture.queue, 0), 0);
        told.sync_result = 0;
        cr_expect_eq(put_synced(&fixture, 0, bytes, 100), FASTER_OK, "no sync has failed");
        end_unhindered(&fixture);
    }
}

Test(device_uring, failed_sync_behind_a_write_is_final) {
    const int results[] = {-EIO, -ENOSPC, -ENOMEM, -EINTR, -EAGAIN};

    for (unsigned i = 0; i < 10; i++) {
        struct fixture fixture = start_synced(CACHED_URING_DEVICE);
        told.sync_result = results[i / 2];
        if (i % 2 == 0) {
            cr_expect_eq(put_synced(&fixture, 0, bytes, 100), FASTER_IO);
        } else {
            cr_assert_eq(put(&fixture, 0, bytes, 100), FASTER_OK);
            cr_expect_eq(sync_device(&fixture), FASTER_IO);
        }
        cr_expect_eq(told.sync_count, 1, "not submitted again");
        told.sync_result = 0;
        cr_expect_eq(put_synced(&fixture, 0, bytes, 100), FASTER_IO);
        cr_expect_eq(sync_device(&fixture), FASTER_IO);
        cr_expect_eq(told.sync_count, 1);
        expect_reads(&fixture, 0, 100);
        end_unhindered(&fixture);
    }
}

Test(device_uring, sync_behind_a_short_write_is_made_up_for) {
    const int sync_results[] = {0, -ECANCELED};

    for (unsigned i = 0; i < 4; i++) {
        struct fixture fixture = start_synced(CACHED_URING_DEVICE);
        fill(bytes, 5000, 40 + i);
        told.short_count = i < 2 ? 1 : 0;
        told.result = -EINTR; /* or is to be repeated */
        told.result_count = i < 2 ? 0 : 1;
        told.sync_result = sync_results[i % 2];
        if (told.sync_result == 0) {
            cr_expect_eq(put_synced(&fixture, 0, bytes, 5000), FASTER_OK);
            cr_expect_eq(told.sync_count, 2, "the first may have come before the rest");
        } else {
            /* Every sync is cancelled: a worker makes the last. */
            const uint64_t before = worker_syncs(&fixture);
            cr_expect_eq(put_synced(&fixture, 0, bytes, 5000), FASTER_OK);
            cr_expect_eq(worker_syncs(&fixture), before + 1);
        }
        cr_expect_eq(told.ended_count, 2);
        expect_reads(&fixture, 0, 8192);
        end_unhindered(&fixture);
    }
}

Test(device_uring, write_and_sync_come_back_in_any_order) {
    struct fixture fixture = start_synced(CACHED_URING_DEVICE);
    struct batch batch = {.done = 0};
    struct fst_io_request write = {.kind = FST_IO_WRITE_SYNC,
                                   .addr = fst_addr_of(0),
                                   .bytes = bytes,
                                   .count_bytes = 100,
                                   .done = count_done,
                                   .context = &batch};

    for (unsigned round = 0; round < 2; round++) { /* the second time the write has failed */
        told.holds = true;
        batch.done = 0;
        fixture.device->ops->submit(fixture.device, fixture.queue, &write);
        told.result = -EIO;
        told.result_count = round;
        while (told.held_count < 2) {
            (void)fixture.device->ops->poll(fixture.device, fixture.queue, 1000000);
        }
        cr_expect_eq(batch.done, 0);
        told.holds = false;
        while (batch.done == 0) {
            (void)fixture.device->ops->poll(fixture.device, fixture.queue, WAIT_NS);
        }
        cr_expect_eq(write.status, round == 0 ? FASTER_OK : FASTER_IO);
        cr_expect_eq(told.sync_count, round + 1);
    }
    end_unhindered(&fixture);
}

Test(device_uring, write_and_sync_without_a_ring_are_the_workers) {
    const int errors[] = {-EAGAIN, -EBADF};

    for (unsigned i = 0; i < 2; i++) {
        struct fixture fixture = start_synced(CACHED_URING_DEVICE);
        told.enter_result = errors[i];
        fill(bytes, 100, 50 + i);
        cr_expect_eq(put_synced(&fixture, 0, bytes, 100), FASTER_OK);
        told.enter_result = 0;
        cr_expect_eq(put_synced(&fixture, 0, bytes, 100), FASTER_OK);
        cr_expect_eq(sync_device(&fixture), FASTER_OK);
        cr_expect_eq(told.sync_count, 0);
        expect_reads(&fixture, 0, 200);
        end_unhindered(&fixture);
    }
}

Test(device_uring, sync_after_writes_syncs_each_file) {
    struct fixture fixture = start_filled(URING_DEVICE);

    cr_assert_eq(sync_device(&fixture), FASTER_OK);
    const uint64_t before = fst_test_env_calls(fixture.test, FST_TEST_FILE_SYNC);
    cr_assert_eq(put(&fixture, SEGMENT_BYTES - 8, bytes, 16), FASTER_OK);
    cr_assert_eq(sync_device(&fixture), FASTER_OK);
    cr_expect_eq(fst_test_env_calls(fixture.test, FST_TEST_FILE_SYNC), before + 2);
    fst_test_env_fail(fixture.test, FST_TEST_FILE_SYNC, 1, 1, FASTER_IO);
    cr_assert_eq(put(&fixture, SEGMENT_BYTES - 8, bytes, 16), FASTER_OK);
    cr_expect_eq(sync_device(&fixture), FASTER_IO);
    cr_expect_eq(sync_device(&fixture), FASTER_IO, "a failed sync is final");
    expect_reads(&fixture, 100, 100);
    end(&fixture);
}

#endif
