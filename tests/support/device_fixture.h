/* device_fixture.h - a device in a new directory, and short ways to use it.
 *
 * Segments are small, so that requests cross their boundaries. */
#ifndef TESTS_SUPPORT_DEVICE_FIXTURE_H
#define TESTS_SUPPORT_DEVICE_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checksum.h"
#include "primitives/device.h"
#include "support/test_env.h"

#define SEGMENT_BITS 14u
#define SEGMENT_BYTES (UINT64_C(1) << SEGMENT_BITS)
#define WAIT_NS UINT64_C(10000000000)

enum kind {
    FILE_DEVICE = 0,
    MEMORY_DEVICE,
    URING_DEVICE, /* past the cache; the file device where there is no io_uring */
    CACHED_URING_DEVICE
};

struct fixture {
    struct fst_test_env *test;
    const struct faster_env *env;
    char directory[512];
    struct fst_device *device;
    struct fst_device_queue *queue;
    const struct fst_uring_calls *calls; /* of a uring device; NULL: the kernel's */
};

static inline struct fst_device_file_config config_of(const struct fixture *fixture) {
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

static inline void open_device(struct fixture *fixture, enum kind kind) {
    if (kind == FILE_DEVICE) {
        const struct fst_device_file_config config = config_of(fixture);
        cr_assert_eq(fst_device_file_open(&config, &fixture->device), FASTER_OK);
    } else if (kind != MEMORY_DEVICE) {
        const struct fst_device_uring_config config = {
            .file = config_of(fixture), .direct = kind == URING_DEVICE, .calls = fixture->calls};
        fst_test_env_show_descriptors(fixture->test, true);
        cr_assert_eq(fst_device_uring_open(&config, &fixture->device), FASTER_OK);
    } else {
        cr_assert_eq(fst_device_memory_open(fixture->env, SEGMENT_BITS, &fixture->device),
                     FASTER_OK);
    }
    cr_assert_eq(fixture->device->ops->queue_open(fixture->device, &fixture->queue), FASTER_OK);
}

static inline void close_device(struct fixture *fixture) {
    fixture->device->ops->queue_close(fixture->device, fixture->queue);
    fixture->device->ops->close(fixture->device);
}

static inline struct fixture start_with(enum kind kind, const struct fst_uring_calls *calls) {
    struct fixture fixture = {.test = fst_test_env_create(), .calls = calls};
    cr_assert_not_null(fixture.test);
    fixture.env = fst_test_env_get(fixture.test);
    cr_assert(fst_test_directory_create(fixture.directory, sizeof fixture.directory));
    open_device(&fixture, kind);
    return fixture;
}

static inline struct fixture start(enum kind kind) {
    return start_with(kind, NULL);
}

static inline void end(struct fixture *fixture) {
    close_device(fixture);
    cr_expect_eq(fst_test_env_live_allocations(fixture->test), 0);
    fst_test_env_destroy(fixture->test);
    fst_test_directory_remove(fixture->directory);
}

static inline enum faster_status run(struct fixture *fixture, enum fst_io_kind kind, uint64_t addr,
                                     void *bytes, size_t count, size_t *done) {
    return fst_device_run(fixture->device, fixture->queue, kind, fst_addr_of(addr), bytes, count,
                          done);
}

static inline enum faster_status put(struct fixture *fixture, uint64_t addr, void *bytes,
                                     size_t count) {
    return run(fixture, FST_IO_WRITE, addr, bytes, count, NULL);
}

static inline enum faster_status put_synced(struct fixture *fixture, uint64_t addr, void *bytes,
                                            size_t count) {
    return run(fixture, FST_IO_WRITE_SYNC, addr, bytes, count, NULL);
}

static inline enum faster_status get(struct fixture *fixture, uint64_t addr, void *bytes,
                                     size_t count, size_t *done) {
    return run(fixture, FST_IO_READ, addr, bytes, count, done);
}

static inline enum faster_status sync_device(struct fixture *fixture) {
    return run(fixture, FST_IO_SYNC, 0, NULL, 0, NULL);
}

static inline void fill(unsigned char *bytes, size_t count, uint64_t seed) {
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)((seed + i) * 0x9E3779B97F4A7C15u >> 56);
    }
}

static inline bool all_zero(const unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static inline void segment_path(const struct fixture *fixture, uint64_t index, char path[1024]) {
    char name[FST_SEGMENT_NAME_BYTES];
    fst_segment_name(index, name);
    (void)snprintf(path, 1024, "%s/%s", fixture->directory, name);
}

static inline bool segment_exists(const struct fixture *fixture, uint64_t index) {
    char path[1024];
    segment_path(fixture, index, path);
    return access(path, F_OK) == 0;
}

#endif
