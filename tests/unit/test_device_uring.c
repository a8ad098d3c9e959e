/* test_device_uring.c - what only the device with io_uring promises: batches, failures, and kernels
 * without it. */
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>

#include "uring_rig.h"

#ifdef FST_HAS_URING

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

#endif
