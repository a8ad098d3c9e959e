/* test_device.c - the contract of devices, for the file and the memory device alike, and what
 * only the file device promises.
 *
 * Each test of the contract runs once per device. Segments are small, so that requests cross
 * their boundaries. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checksum.h"
#include "primitives/device.h"
#include "shapes/format_codec.h"
#include "support/test_env.h"

#define SEGMENT_BITS 14u
#define SEGMENT_BYTES (UINT64_C(1) << SEGMENT_BITS)
#define WAIT_NS UINT64_C(10000000000)

enum kind { FILE_DEVICE = 0, MEMORY_DEVICE = 1 };

struct fixture {
    struct fst_test_env *test;
    const struct faster_env *env;
    char directory[512];
    struct fst_device *device;
    struct fst_device_queue *queue;
};

static struct fst_device_file_config config_of(const struct fixture *fixture) {
    struct fst_device_file_config config = {
        .env = fixture->env,
        .directory = fixture->directory,
        .uuid = {1, 2, 3},
        .generation = 1,
        .segment_bits = SEGMENT_BITS,
        .thread_count = 4,
        .mode = 0640,
        .user = (uint32_t)getuid(),
        .group = (uint32_t)getgid(),
    };
    config.checksum_seed = fst_checksum_seed_for(config.uuid, config.generation);
    return config;
}

static void open_device(struct fixture *fixture, enum kind kind) {
    if (kind == FILE_DEVICE) {
        const struct fst_device_file_config config = config_of(fixture);
        cr_assert_eq(fst_device_file_open(&config, &fixture->device), FASTER_OK);
    } else {
        cr_assert_eq(fst_device_memory_open(fixture->env, SEGMENT_BITS, &fixture->device),
                     FASTER_OK);
    }
    cr_assert_eq(fixture->device->ops->queue_open(fixture->device, &fixture->queue), FASTER_OK);
}

static void close_device(struct fixture *fixture) {
    fixture->device->ops->queue_close(fixture->device, fixture->queue);
    fixture->device->ops->close(fixture->device);
}

static struct fixture start(enum kind kind) {
    struct fixture fixture = {.test = fst_test_env_create()};
    cr_assert_not_null(fixture.test);
    fixture.env = fst_test_env_get(fixture.test);
    cr_assert(fst_test_directory_create(fixture.directory, sizeof fixture.directory));
    open_device(&fixture, kind);
    return fixture;
}

static void end(struct fixture *fixture) {
    close_device(fixture);
    cr_expect_eq(fst_test_env_live_allocations(fixture->test), 0);
    fst_test_env_destroy(fixture->test);
    fst_test_directory_remove(fixture->directory);
}

static enum faster_status run(struct fixture *fixture, enum fst_io_kind kind, uint64_t addr,
                              void *bytes, size_t count, size_t *done) {
    return fst_device_run(fixture->device, fixture->queue, kind, fst_addr_of(addr), bytes, count,
                          done);
}

static enum faster_status put(struct fixture *fixture, uint64_t addr, void *bytes, size_t count) {
    return run(fixture, FST_IO_WRITE, addr, bytes, count, NULL);
}

static enum faster_status get(struct fixture *fixture, uint64_t addr, void *bytes, size_t count,
                              size_t *done) {
    return run(fixture, FST_IO_READ, addr, bytes, count, done);
}

static enum faster_status sync_device(struct fixture *fixture) {
    return run(fixture, FST_IO_SYNC, 0, NULL, 0, NULL);
}

static void fill(unsigned char *bytes, size_t count, uint64_t seed) {
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)((seed + i) * 0x9E3779B97F4A7C15u >> 56);
    }
}

static bool all_zero(const unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static void segment_path(const struct fixture *fixture, uint64_t index, char path[1024]) {
    char name[FST_SEGMENT_NAME_BYTES];
    fst_segment_name(index, name);
    (void)snprintf(path, 1024, "%s/%s", fixture->directory, name);
}

static bool segment_exists(const struct fixture *fixture, uint64_t index) {
    char path[1024];
    segment_path(fixture, index, path);
    return access(path, F_OK) == 0;
}

#define BOTH_DEVICES(name)                                                                         \
    ParameterizedTestParameters(device, name) {                                                    \
        static enum kind kinds[] = {FILE_DEVICE, MEMORY_DEVICE};                                   \
        return cr_make_param_array(enum kind, kinds, 2);                                           \
    }                                                                                              \
    ParameterizedTest(enum kind *kind, device, name)

/* ---- the contract ---- */

BOTH_DEVICES(write_across_segments_reads_back) {
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

BOTH_DEVICES(read_past_the_end_is_zero_and_counted) {
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

BOTH_DEVICES(read_over_a_short_segment_counts_to_the_gap) {
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

BOTH_DEVICES(extent_tells_first_segment_and_last_byte) {
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

BOTH_DEVICES(truncate_frees_whole_segments_only) {
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

BOTH_DEVICES(requests_complete_in_poll_only) {
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

BOTH_DEVICES(addresses_beyond_the_log_are_refused) {
    unsigned char bytes[16] = {1};
    struct fixture fixture = start(*kind);

    cr_expect_eq(put(&fixture, FST_ADDR_MAX, bytes, sizeof bytes), FASTER_FULL);
    cr_expect_eq(put(&fixture, UINT64_MAX - 4, bytes, sizeof bytes), FASTER_FULL);
    end(&fixture);
}

BOTH_DEVICES(close_accepts_null) {
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

BOTH_DEVICES(queues_of_four_threads_do_not_disturb_each_other) {
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

BOTH_DEVICES(truncate_beside_readers_gives_bytes_or_missing) {
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

/* ---- the file device ---- */

Test(device, file_reopened_reads_what_was_written) {
    static unsigned char bytes[2 * SEGMENT_BYTES];
    static unsigned char in[2 * SEGMENT_BYTES];
    struct fixture fixture = start(FILE_DEVICE);
    struct stat info;
    char path[1024];
    uint64_t stored;

    fill(bytes, sizeof bytes, 11);
    cr_assert_eq(put(&fixture, 4096, bytes, sizeof bytes), FASTER_OK);
    cr_assert_eq(sync_device(&fixture), FASTER_OK);
    stored = fixture.device->ops->stored_bytes(fixture.device);
    close_device(&fixture);
    segment_path(&fixture, 0, path);
    cr_assert_eq(stat(path, &info), 0);
    cr_expect_eq(info.st_mode & 07777u, 0640);
    cr_expect_eq((uint64_t)info.st_size, FST_SEGMENT_HEADER_BYTES + SEGMENT_BYTES);

    open_device(&fixture, FILE_DEVICE);
    cr_expect_eq(fixture.device->ops->stored_bytes(fixture.device), stored);
    cr_assert_eq(get(&fixture, 4096, in, sizeof in, NULL), FASTER_OK);
    cr_expect(memcmp(in, bytes, sizeof in) == 0);
    end(&fixture);
}

Test(device, file_open_creates_nothing) {
    struct fixture fixture = start(FILE_DEVICE);
    cr_expect_eq(sync_device(&fixture), FASTER_OK);
    cr_expect_eq(fst_test_env_calls(fixture.test, FST_TEST_FILE_OPEN), 0);
    end(&fixture);
}

Test(device, file_sync_syncs_the_directory_once_per_new_name) {
    unsigned char bytes[16] = {1};
    struct fixture fixture = start(FILE_DEVICE);

    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    cr_assert_eq(sync_device(&fixture), FASTER_OK);
    cr_expect_eq(fst_test_env_calls(fixture.test, FST_TEST_DIRECTORY_SYNC), 1);
    cr_expect_eq(fst_test_env_calls(fixture.test, FST_TEST_FILE_SYNC), 2, "header, then data");
    cr_assert_eq(put(&fixture, 16, bytes, sizeof bytes), FASTER_OK);
    cr_assert_eq(sync_device(&fixture), FASTER_OK);
    cr_assert_eq(sync_device(&fixture), FASTER_OK);
    cr_expect_eq(fst_test_env_calls(fixture.test, FST_TEST_DIRECTORY_SYNC), 1);
    cr_expect_eq(fst_test_env_calls(fixture.test, FST_TEST_FILE_SYNC), 3);
    end(&fixture);
}

Test(device, file_failed_read_surfaces_once) {
    unsigned char bytes[16] = {1};
    unsigned char in[16];
    struct fixture fixture = start(FILE_DEVICE);

    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    fst_test_env_fail(fixture.test, FST_TEST_FILE_READ, 1, 1, FASTER_IO);
    cr_expect_eq(get(&fixture, 0, in, sizeof in, NULL), FASTER_IO);
    cr_expect_eq(fst_test_env_failed(fixture.test, FST_TEST_FILE_READ), 1);
    cr_expect_eq(get(&fixture, 0, in, sizeof in, NULL), FASTER_OK);
    cr_expect(memcmp(in, bytes, sizeof in) == 0);
    end(&fixture);
}

Test(device, file_failed_write_surfaces_once) {
    unsigned char bytes[16] = {1};
    struct fixture fixture = start(FILE_DEVICE);

    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    fst_test_env_fail(fixture.test, FST_TEST_FILE_WRITE, 1, 1, FASTER_FULL);
    cr_expect_eq(put(&fixture, 16, bytes, sizeof bytes), FASTER_FULL);
    cr_expect_eq(fst_test_env_failed(fixture.test, FST_TEST_FILE_WRITE), 1, "not repeated");
    cr_expect_eq(put(&fixture, 16, bytes, sizeof bytes), FASTER_OK);
    cr_expect_eq(sync_device(&fixture), FASTER_OK);
    end(&fixture);
}

static void check_sync_failure_is_final(enum fst_test_operation operation,
                                        enum faster_status status) {
    unsigned char bytes[16] = {1};
    struct fixture fixture = start(FILE_DEVICE);

    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    fst_test_env_fail(fixture.test, operation, 1, 1, status);
    cr_expect_eq(sync_device(&fixture), FASTER_IO);
    cr_expect_eq(sync_device(&fixture), FASTER_IO, "a second sync must not acknowledge");
    cr_expect_eq(get(&fixture, 0, bytes, sizeof bytes, NULL), FASTER_OK, "reads go on");
    end(&fixture);
}

Test(device, file_failed_sync_is_final) {
    check_sync_failure_is_final(FST_TEST_FILE_SYNC, FASTER_IO);
    check_sync_failure_is_final(FST_TEST_FILE_SYNC, FASTER_FULL);
    check_sync_failure_is_final(FST_TEST_DIRECTORY_SYNC, FASTER_IO);
}

Test(device, file_closed_for_room_is_synced_and_its_failure_kept) {
    unsigned char bytes[16] = {1};
    struct fixture fixture = start(FILE_DEVICE);

    for (uint64_t i = 0; i < 64; i++) {
        cr_assert_eq(put(&fixture, i * SEGMENT_BYTES, bytes, sizeof bytes), FASTER_OK);
    }
    /* The next segment closes a dirty one. */
    fst_test_env_fail(fixture.test, FST_TEST_FILE_SYNC, 1, 1, FASTER_IO);
    cr_expect_eq(put(&fixture, 64 * SEGMENT_BYTES, bytes, sizeof bytes), FASTER_OK);
    cr_expect_eq(fst_test_env_failed(fixture.test, FST_TEST_FILE_SYNC), 1);
    cr_expect_eq(sync_device(&fixture), FASTER_IO);
    end(&fixture);
}

Test(device, file_sync_existing_syncs_what_another_process_wrote) {
    unsigned char bytes[16] = {1};
    struct fixture fixture = start(FILE_DEVICE);
    char path[1024];

    for (uint64_t i = 0; i < 4; i++) {
        cr_assert_eq(put(&fixture, i * SEGMENT_BYTES, bytes, sizeof bytes), FASTER_OK);
    }
    close_device(&fixture);
    open_device(&fixture, FILE_DEVICE);
    /* A file far above must not make this walk through all numbers between. */
    segment_path(&fixture, FST_ADDR_MAX >> SEGMENT_BITS, path);
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fclose(file), 0);
    const uint64_t before = fst_test_env_calls(fixture.test, FST_TEST_FILE_SYNC);
    cr_expect_eq(fixture.device->ops->sync_existing(fixture.device, fst_addr_of(SEGMENT_BYTES + 8)),
                 FASTER_OK);
    cr_expect_eq(fst_test_env_calls(fixture.test, FST_TEST_FILE_SYNC), before + 3);
    end(&fixture);
}

Test(device, file_no_thread_fails_the_request_only) {
    unsigned char bytes[16] = {1};
    struct fixture fixture = start(FILE_DEVICE);

    fst_test_env_fail(fixture.test, FST_TEST_THREAD_START, 1, 1, FASTER_NOMEM);
    cr_expect_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_NOMEM);
    cr_expect_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    end(&fixture);
}

Test(device, file_read_only_refuses_writes) {
    unsigned char bytes[16] = {1, 2, 3};
    unsigned char in[16];
    struct fixture fixture = start(FILE_DEVICE);
    struct fst_device_file_config config = config_of(&fixture);

    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    close_device(&fixture);
    config.read_only = true;
    cr_assert_eq(fst_device_file_open(&config, &fixture.device), FASTER_OK);
    cr_assert_eq(fixture.device->ops->queue_open(fixture.device, &fixture.queue), FASTER_OK);
    cr_expect_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_READ_ONLY);
    cr_expect_eq(put(&fixture, SEGMENT_BYTES, bytes, sizeof bytes), FASTER_READ_ONLY);
    cr_expect_not(segment_exists(&fixture, 1));
    cr_expect_eq(get(&fixture, 0, in, sizeof in, NULL), FASTER_OK);
    cr_expect(memcmp(in, bytes, sizeof in) == 0);
    cr_expect_eq(fixture.device->ops->truncate(fixture.device, fst_addr_of(SEGMENT_BYTES)),
                 FASTER_OK);
    cr_expect(segment_exists(&fixture, 0));
    end(&fixture);
}

/* Overwrites bytes of segment 0's file behind the device's back. */
static void damage(struct fixture *fixture, long offset, const void *bytes, size_t count) {
    char path[1024];
    FILE *file;

    close_device(fixture);
    segment_path(fixture, 0, path);
    file = fopen(path, "r+b");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, offset, SEEK_SET), 0);
    cr_assert_eq(fwrite(bytes, 1, count, file), count);
    cr_assert_eq(fclose(file), 0);
    open_device(fixture, FILE_DEVICE);
}

Test(device, file_bad_header_is_refused_on_access) {
    unsigned char bytes[16] = {1};
    struct fixture fixture = start(FILE_DEVICE);
    struct fst_segment_header header;
    struct fst_format_owner other = {.uuid = {9}, .generation = 1};

    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    damage(&fixture, 40, "x", 1);
    cr_expect_eq(get(&fixture, 0, bytes, sizeof bytes, NULL), FASTER_CORRUPT);
    cr_expect_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_CORRUPT);
    damage(&fixture, 0, "not a store", 11);
    cr_expect_eq(get(&fixture, 0, bytes, sizeof bytes, NULL), FASTER_FOREIGN);
    fst_segment_header_seal(&header, &other, SEGMENT_BITS, 0);
    damage(&fixture, 0, &header, sizeof header);
    cr_expect_eq(get(&fixture, 0, bytes, sizeof bytes, NULL), FASTER_FOREIGN);
    end(&fixture);
}

Test(device, file_unfinished_creation_reads_empty_and_is_made_anew) {
    unsigned char bytes[16] = {1};
    unsigned char in[16];
    struct fixture fixture = start(FILE_DEVICE);
    char path[1024];
    size_t done = 1;

    segment_path(&fixture, 0, path);
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite("FASTE", 1, 5, file), 5);
    cr_assert_eq(fclose(file), 0);
    cr_expect_eq(get(&fixture, 0, in, sizeof in, &done), FASTER_OK);
    cr_expect_eq(done, 0);
    cr_expect_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    close_device(&fixture);
    open_device(&fixture, FILE_DEVICE);
    cr_expect_eq(get(&fixture, 0, in, sizeof in, NULL), FASTER_OK);
    cr_expect(memcmp(in, bytes, sizeof in) == 0);
    end(&fixture);
}

Test(device, file_link_in_place_of_a_segment_is_foreign) {
    unsigned char bytes[16] = {1};
    struct fixture fixture = start(FILE_DEVICE);
    char path[1024];
    char target[1024];

    segment_path(&fixture, 0, path);
    (void)snprintf(target, sizeof target, "%s/victim", fixture.directory);
    cr_assert_eq(symlink(target, path), 0);
    cr_expect_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_FOREIGN);
    cr_expect_neq(access(target, F_OK), 0, "nothing is written through a link");
    end(&fixture);
}

Test(device, file_opening_out_of_memory_leaks_nothing) {
    struct fixture fixture = start(FILE_DEVICE);
    const struct fst_device_file_config config = config_of(&fixture);
    const uint64_t live = fst_test_env_live_allocations(fixture.test);
    bool failed = true;

    for (uint64_t nth = 1; failed && nth < 100; nth++) {
        struct fst_device *device;
        fst_test_env_fail(fixture.test, FST_TEST_ALLOCATE, nth, 1, FASTER_NOMEM);
        const enum faster_status status = fst_device_file_open(&config, &device);
        failed = fst_test_env_failed(fixture.test, FST_TEST_ALLOCATE) > 0;
        cr_expect_eq(status, failed ? FASTER_NOMEM : FASTER_OK);
        if (status == FASTER_OK) {
            device->ops->close(device);
        }
        cr_expect_eq(fst_test_env_live_allocations(fixture.test), live);
    }
    cr_expect_not(failed);
    fst_test_env_heal_all(fixture.test);
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
