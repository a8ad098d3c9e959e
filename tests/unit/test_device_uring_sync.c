/* test_device_uring_sync.c - writes and syncs that go out together. */
#include <errno.h>

#include "uring_rig.h"

#ifdef FST_HAS_URING

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
