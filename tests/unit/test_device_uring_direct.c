/* test_device_uring_direct.c - transfers past the system's cache. */
#include <errno.h>
#include <stdlib.h>

#include "uring_rig.h"

#ifdef FST_HAS_URING

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

#endif
