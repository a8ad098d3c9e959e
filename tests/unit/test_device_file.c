/* test_device_file.c - what only the device of segment files promises: modes, syncs, failures
 * that surface once, damaged and unfinished files. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "shapes/format_codec.h"
#include "support/device_fixture.h"

Test(device_file, reopened_reads_what_was_written) {
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

Test(device_file, open_creates_nothing) {
    struct fixture fixture = start(FILE_DEVICE);
    cr_expect_eq(sync_device(&fixture), FASTER_OK);
    cr_expect_eq(fst_test_env_calls(fixture.test, FST_TEST_FILE_OPEN), 0);
    end(&fixture);
}

Test(device_file, sync_syncs_the_directory_once_per_new_name) {
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

Test(device_file, failed_read_surfaces_once) {
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

Test(device_file, failed_write_surfaces_once) {
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

Test(device_file, write_with_sync_syncs_what_was_written_whole) {
    struct fixture fixture = start(FILE_DEVICE);
    unsigned char byte = 1;

    cr_assert_eq(put_synced(&fixture, 0, &byte, 1), FASTER_OK);
    const uint64_t before = fst_test_env_calls(fixture.test, FST_TEST_FILE_SYNC);
    cr_expect_eq(put_synced(&fixture, 0, &byte, 1), FASTER_OK);
    cr_expect_eq(fst_test_env_calls(fixture.test, FST_TEST_FILE_SYNC), before + 1);
    fst_test_env_fail(fixture.test, FST_TEST_FILE_WRITE, 1, 1, FASTER_FULL);
    cr_expect_eq(put_synced(&fixture, 0, &byte, 1), FASTER_FULL);
    cr_expect_eq(fst_test_env_calls(fixture.test, FST_TEST_FILE_SYNC), before + 1);
    fst_test_env_fail(fixture.test, FST_TEST_FILE_SYNC, 1, 1, FASTER_NOMEM);
    cr_expect_eq(put_synced(&fixture, 0, &byte, 1), FASTER_IO, "not to be tried again");
    cr_expect_eq(put_synced(&fixture, 0, &byte, 1), FASTER_IO);
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

Test(device_file, failed_sync_is_final) {
    check_sync_failure_is_final(FST_TEST_FILE_SYNC, FASTER_IO);
    check_sync_failure_is_final(FST_TEST_FILE_SYNC, FASTER_FULL);
    check_sync_failure_is_final(FST_TEST_FILE_SYNC, FASTER_NOMEM);
    check_sync_failure_is_final(FST_TEST_DIRECTORY_SYNC, FASTER_IO);
}

Test(device_file, directory_that_cannot_be_opened_is_synced_later) {
    const enum faster_status lacks[] = {FASTER_FULL, FASTER_NOMEM};
    unsigned char bytes[16] = {1};
    for (int i = 0; i < 2; i++) {
        struct fixture fixture = start(FILE_DEVICE);

        cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
        fst_test_env_fail(fixture.test, FST_TEST_DIRECTORY_SYNC, 1, 2, lacks[i]);
        cr_expect_eq(sync_device(&fixture), lacks[i]);
        cr_expect_eq(sync_device(&fixture), lacks[i], "not acknowledged without it");
        cr_expect_eq(sync_device(&fixture), FASTER_OK);
        cr_expect_eq(fst_test_env_calls(fixture.test, FST_TEST_DIRECTORY_SYNC), 3);
        end(&fixture);
    }
}

Test(device_file, closed_for_room_is_synced_and_its_failure_kept) {
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

Test(device_file, sync_existing_syncs_what_another_process_wrote) {
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

Test(device_file, no_thread_fails_the_request_only) {
    unsigned char bytes[16] = {1};
    struct fixture fixture = start(FILE_DEVICE);

    fst_test_env_fail(fixture.test, FST_TEST_THREAD_START, 1, 1, FASTER_NOMEM);
    cr_expect_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_NOMEM);
    cr_expect_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    end(&fixture);
}

Test(device_file, read_only_refuses_writes) {
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

Test(device_file, bad_header_is_refused_on_access) {
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

Test(device_file, unfinished_creation_reads_empty_and_is_made_anew) {
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

Test(device_file, link_in_place_of_a_segment_is_foreign) {
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

Test(device_file, opening_out_of_memory_leaks_nothing) {
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
