/* test_device.c - the contract of devices, for all of them alike.
 *
 * Each test of the contract runs once per device. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <pthread.h>

#include "support/device_fixture.h"

#define ALL_DEVICES(name)                                                                          \
    ParameterizedTestParameters(device, name) {                                                    \
        static enum kind kinds[] = {FILE_DEVICE, MEMORY_DEVICE, URING_DEVICE,                      \
                                    CACHED_URING_DEVICE};                                          \
        return cr_make_param_array(enum kind, kinds, 4);                                           \
    }                                                                                              \
    ParameterizedTest(enum kind *kind, device, name)

/* ---- the contract ---- */

ALL_DEVICES(write_with_sync_reads_back) {
    static unsigned char out[2 * SEGMENT_BYTES];
    static unsigned char in[2 * SEGMENT_BYTES];
    struct fixture fixture = start(*kind);

    for (unsigned i = 0; i < 4; i++) {
        fill(out, sizeof out, i);
        cr_expect_eq(put_synced(&fixture, 100 * i, out, sizeof out), FASTER_OK);
        cr_expect_eq(get(&fixture, 100 * i, in, sizeof in, NULL), FASTER_OK);
        cr_expect(memcmp(in, out, sizeof in) == 0);
        cr_expect_eq(sync_device(&fixture), FASTER_OK);
    }
    cr_expect_eq(put_synced(&fixture, FST_ADDR_MAX, out, sizeof out), FASTER_FULL);
    end(&fixture);
}

ALL_DEVICES(write_across_segments_reads_back) {
    static unsigned char out[3 * SEGMENT_BYTES];
    static unsigned char in[3 * SEGMENT_BYTES];
    struct fixture fixture = start(*kind);
    size_t done = 0;

    fill(out, sizeof out, 7);
    cr_assert_eq(put(&fixture, SEGMENT_BYTES - 24, out, sizeof out), FASTER_OK);
    cr_assert_eq(sync_device(&fixture), FASTER_OK);
    cr_assert_eq(get(&fixture, SEGMENT_BYTES - 24, in, sizeof in, &done), FASTER_OK);
    cr_expect_eq(done, sizeof in);
    cr_expect(memcmp(in, out, sizeof in) == 0);
    end(&fixture);
}

ALL_DEVICES(read_past_the_end_is_zero_and_counted) {
    unsigned char out[100];
    unsigned char in[300];
    struct fixture fixture = start(*kind);
    size_t done = 9;

    fill(out, sizeof out, 1);
    memset(in, 0xee, sizeof in);
    cr_assert_eq(get(&fixture, 4096, in, sizeof in, &done), FASTER_OK);
    cr_expect_eq(done, 0);
    cr_expect(all_zero(in, sizeof in));
    cr_expect_not(segment_exists(&fixture, 0), "a read creates nothing");

    cr_assert_eq(put(&fixture, 4096, out, sizeof out), FASTER_OK);
    memset(in, 0xee, sizeof in);
    cr_assert_eq(get(&fixture, 4096, in, sizeof in, &done), FASTER_OK);
    cr_expect_eq(done, sizeof out);
    cr_expect(memcmp(in, out, sizeof out) == 0);
    cr_expect(all_zero(in + sizeof out, sizeof in - sizeof out));
    end(&fixture);
}

ALL_DEVICES(read_over_a_short_segment_counts_to_the_gap) {
    unsigned char byte = 5;
    static unsigned char in[2 * SEGMENT_BYTES];
    struct fixture fixture = start(*kind);
    size_t done = 0;

    cr_assert_eq(put(&fixture, 0, &byte, 1), FASTER_OK);
    cr_assert_eq(put(&fixture, SEGMENT_BYTES, &byte, 1), FASTER_OK);
    memset(in, 0xee, sizeof in);
    cr_assert_eq(get(&fixture, 0, in, sizeof in, &done), FASTER_OK);
    cr_expect_eq(done, 1);
    cr_expect_eq(in[0], 5);
    cr_expect_eq(in[SEGMENT_BYTES], 5);
    cr_expect(all_zero(in + 1, SEGMENT_BYTES - 1));
    end(&fixture);
}

ALL_DEVICES(extent_tells_first_segment_and_last_byte) {
    unsigned char bytes[64] = {1};
    struct fixture fixture = start(*kind);
    const struct fst_device_ops *ops = fixture.device->ops;
    fst_addr first;
    fst_addr last;

    cr_assert_eq(ops->extent(fixture.device, &first, &last), FASTER_OK);
    cr_expect_eq(first.raw, 0);
    cr_expect_eq(last.raw, 0);
    cr_assert_eq(put(&fixture, 3 * SEGMENT_BYTES + 10, bytes, sizeof bytes), FASTER_OK);
    cr_assert_eq(put(&fixture, 2 * SEGMENT_BYTES + 10, bytes, sizeof bytes), FASTER_OK);
    cr_assert_eq(ops->extent(fixture.device, &first, &last), FASTER_OK);
    cr_expect_eq(first.raw, 2 * SEGMENT_BYTES);
    cr_expect_eq(last.raw, 3 * SEGMENT_BYTES + 10 + sizeof bytes);
    end(&fixture);
}

ALL_DEVICES(truncate_frees_whole_segments_only) {
    static unsigned char bytes[8 * SEGMENT_BYTES];
    unsigned char in[8];
    struct fixture fixture = start(*kind);
    const struct fst_device_ops *ops = fixture.device->ops;
    fst_addr first;
    fst_addr last;
    uint64_t before;

    fill(bytes, sizeof bytes, 3);
    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    before = ops->stored_bytes(fixture.device);
    cr_expect_geq(before, sizeof bytes);
    for (int again = 0; again < 2; again++) {
        cr_assert_eq(ops->truncate(fixture.device, fst_addr_of(5 * SEGMENT_BYTES + 8)), FASTER_OK);
        cr_expect_eq(ops->stored_bytes(fixture.device), before / 8 * 3);
    }
    cr_assert_eq(ops->extent(fixture.device, &first, &last), FASTER_OK);
    cr_expect_eq(first.raw, 5 * SEGMENT_BYTES);
    cr_expect_eq(last.raw, 8 * SEGMENT_BYTES);
    cr_expect_eq(get(&fixture, 5 * SEGMENT_BYTES - 8, in, sizeof in, NULL), FASTER_MISSING);
    cr_expect_eq(put(&fixture, 5 * SEGMENT_BYTES - 8, in, sizeof in), FASTER_MISSING);
    cr_expect_eq(get(&fixture, 5 * SEGMENT_BYTES, in, sizeof in, NULL), FASTER_OK);
    cr_expect(memcmp(in, bytes + 5 * SEGMENT_BYTES, sizeof in) == 0);
    end(&fixture);
}

static void count_done(struct fst_io_request *request) {
    ++*(int *)request->context;
}

ALL_DEVICES(requests_complete_in_poll_only) {
    unsigned char bytes[16] = {1};
    struct fixture fixture = start(*kind);
    const struct fst_device_ops *ops = fixture.device->ops;
    int done = 0;
    struct fst_io_request request = {.kind = FST_IO_WRITE,
                                     .addr = fst_addr_of(0),
                                     .bytes = bytes,
                                     .count_bytes = sizeof bytes,
                                     .done = count_done,
                                     .context = &done};

    cr_expect_eq(ops->poll(fixture.device, fixture.queue, WAIT_NS), 0, "nothing in flight");
    ops->submit(fixture.device, fixture.queue, &request);
    usleep(20000);
    cr_expect_eq(done, 0);
    cr_expect_eq(ops->poll(fixture.device, fixture.queue, WAIT_NS), 1);
    cr_expect_eq(done, 1);
    cr_expect_eq(request.status, FASTER_OK);
    cr_expect_eq(request.done_bytes, sizeof bytes);
    cr_expect_eq(ops->poll(fixture.device, fixture.queue, 0), 0);
    end(&fixture);
}

ALL_DEVICES(addresses_beyond_the_log_are_refused) {
    unsigned char bytes[16] = {1};
    struct fixture fixture = start(*kind);

    cr_expect_eq(put(&fixture, FST_ADDR_MAX, bytes, sizeof bytes), FASTER_FULL);
    cr_expect_eq(put(&fixture, UINT64_MAX - 4, bytes, sizeof bytes), FASTER_FULL);
    end(&fixture);
}

ALL_DEVICES(close_accepts_null) {
    struct fixture fixture = start(*kind);
    fixture.device->ops->close(NULL);
    fixture.device->ops->queue_close(fixture.device, NULL);
    end(&fixture);
}

/* ---- four threads, each with a queue, over the same segments ---- */

#define THREAD_COUNT 4
#define ROUND_COUNT 40
#define BLOCK_BYTES 1500u

struct stress {
    struct fixture *fixture;
    unsigned number;
    bool failed;
};

/* Each thread writes every fourth block; a hundred segments and more do not fit the set of
 * open files, so they are closed and opened all the time. */
static void *stress_run(void *argument) {
    struct stress *stress = argument;
    struct fst_device *device = stress->fixture->device;
    struct fst_device_queue *queue;
    unsigned char out[BLOCK_BYTES];
    unsigned char in[BLOCK_BYTES];

    stress->failed = device->ops->queue_open(device, &queue) != FASTER_OK;
    for (uint64_t i = 0; !stress->failed && i < ROUND_COUNT; i++) {
        const uint64_t block = i * THREAD_COUNT + stress->number;
        const fst_addr addr =
            fst_addr_of((block * 37 % 160) * SEGMENT_BYTES - BLOCK_BYTES / 2 + SEGMENT_BYTES);
        size_t done;
        fill(out, sizeof out, block);
        if (fst_device_run(device, queue, FST_IO_WRITE, addr, out, sizeof out, NULL) != 0 ||
            (i % 8 == 0 && fst_device_run(device, queue, FST_IO_SYNC, addr, NULL, 0, NULL) != 0) ||
            fst_device_run(device, queue, FST_IO_READ, addr, in, sizeof in, &done) != 0 ||
            done != sizeof in || memcmp(in, out, sizeof in) != 0) {
            stress->failed = true;
        }
    }
    device->ops->queue_close(device, queue);
    return NULL;
}

ALL_DEVICES(queues_of_four_threads_do_not_disturb_each_other) {
    struct fixture fixture = start(*kind);
    struct stress stress[THREAD_COUNT];
    pthread_t threads[THREAD_COUNT];

    for (unsigned i = 0; i < THREAD_COUNT; i++) {
        stress[i] = (struct stress){.fixture = &fixture, .number = i};
        cr_assert_eq(pthread_create(&threads[i], NULL, stress_run, &stress[i]), 0);
    }
    for (unsigned i = 0; i < THREAD_COUNT; i++) {
        (void)pthread_join(threads[i], NULL);
        cr_expect_not(stress[i].failed);
    }
    cr_expect_eq(sync_device(&fixture), FASTER_OK);
    end(&fixture);
}

ALL_DEVICES(truncate_beside_readers_gives_bytes_or_missing) {
    static unsigned char bytes[64 * SEGMENT_BYTES];
    struct fixture fixture = start(*kind);
    const struct fst_device_ops *ops = fixture.device->ops;
    struct fst_io_request requests[64];
    static unsigned char in[64][256];
    int done = 0;

    fill(bytes, sizeof bytes, 3);
    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    for (unsigned i = 0; i < 64; i++) {
        requests[i] = (struct fst_io_request){.kind = FST_IO_READ,
                                              .addr = fst_addr_of(i * SEGMENT_BYTES + i),
                                              .bytes = in[i],
                                              .count_bytes = sizeof in[i],
                                              .done = count_done,
                                              .context = &done};
        ops->submit(fixture.device, fixture.queue, &requests[i]);
    }
    cr_expect_eq(ops->truncate(fixture.device, fst_addr_of(32 * SEGMENT_BYTES)), FASTER_OK);
    while (done < 64) {
        (void)ops->poll(fixture.device, fixture.queue, WAIT_NS);
    }
    for (unsigned i = 0; i < 64; i++) {
        if (requests[i].status == FASTER_OK) {
            cr_expect(memcmp(in[i], bytes + i * SEGMENT_BYTES + i, sizeof in[i]) == 0);
        } else {
            cr_expect_eq(requests[i].status, FASTER_MISSING);
            cr_expect_lt(i, 32);
        }
    }
    end(&fixture);
}

/* ---- the memory device ---- */

Test(device, memory_exhausted_is_full_and_passes) {
    unsigned char bytes[16] = {1};
    struct fixture fixture = start(MEMORY_DEVICE);

    fst_test_env_fail(fixture.test, FST_TEST_MAP, 1, 1, FASTER_NOMEM);
    cr_expect_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_FULL);
    cr_expect_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    end(&fixture);
}

Test(device, segment_names_have_one_form) {
    char name[FST_SEGMENT_NAME_BYTES];
    uint64_t index = 0;

    fst_segment_name(0x2a, name);
    cr_expect_str_eq(name, "log.00000000002a");
    cr_expect(fst_segment_name_parse(name, &index));
    cr_expect_eq(index, 0x2a);
    cr_expect_not(fst_segment_name_parse("log.00000000002A", &index));
    cr_expect_not(fst_segment_name_parse("log.0000000002a", &index));
    cr_expect_not(fst_segment_name_parse("log.00000000002a.tmp", &index));
    cr_expect_not(fst_segment_name_parse("log.", &index));
    cr_expect_not(fst_segment_name_parse("", &index));
    cr_expect_not(fst_segment_name_parse("lag.00000000002a", &index));
}
