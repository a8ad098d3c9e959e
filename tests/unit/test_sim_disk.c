/* test_sim_disk.c - the simulated disk: what files, names and syncs do. */
#include <criterion/criterion.h>
#include <string.h>

#include "support/sim_crash.h"
#include "support/sim_disk.h"

static struct sim_disk *begin(void) {
    struct sim_disk *disk = sim_disk_create(NULL);
    sim_disk_mount(disk);
    return disk;
}

static struct sim_handle *open_file(const char *path) {
    struct sim_handle *handle = NULL;
    cr_assert_eq(sim_open(SIM_ENGINE, path, SIM_OPEN_WRITE | SIM_OPEN_CREATE, 0640, &handle),
                 SIM_OK);
    return handle;
}

static void put(struct sim_handle *handle, uint64_t offset, const char *text) {
    cr_assert_eq(sim_write(handle, offset, text, strlen(text)), SIM_OK);
}

static bool reads(struct sim_handle *handle, uint64_t offset, const char *text) {
    char bytes[64] = {0};
    size_t done = 0;
    return sim_read(handle, offset, bytes, strlen(text), &done) == SIM_OK && done == strlen(text) &&
           memcmp(bytes, text, done) == 0;
}

static uint64_t size_of(struct sim_handle *handle) {
    uint64_t size_bytes = 0;
    cr_assert_eq(sim_size(handle, &size_bytes), SIM_OK);
    return size_bytes;
}

Test(sim_disk, bytes_are_read_as_written_with_zeroes_in_holes) {
    struct sim_disk *disk = begin();
    struct sim_handle *file = open_file("/f");
    char bytes[8192];
    size_t done;

    put(file, 10000, "abc");
    put(file, 4094, "123456");
    cr_expect(reads(file, 10000, "abc"));
    cr_expect(reads(file, 4094, "123456"));
    cr_expect_eq(size_of(file), 10003);
    cr_assert_eq(sim_read(file, 4100, bytes, sizeof bytes, &done), SIM_OK);
    cr_expect_eq(done, 5903);
    for (size_t i = 0; i < 5900; i++) {
        cr_assert_eq(bytes[i], 0);
    }
    cr_assert_eq(sim_read(file, 10003, bytes, 1, &done), SIM_OK);
    cr_expect_eq(done, 0);
    sim_close(file);
    sim_disk_destroy(disk);
}

Test(sim_disk, truncated_bytes_come_back_as_zeroes) {
    struct sim_disk *disk = begin();
    struct sim_handle *file = open_file("/f");
    char bytes[3] = {1, 1, 1};
    size_t done;

    put(file, 5000, "abcdef");
    cr_assert_eq(sim_truncate(file, 5003), SIM_OK);
    cr_assert_eq(sim_truncate(file, 20000), SIM_OK);
    cr_expect_eq(size_of(file), 20000);
    cr_expect(reads(file, 5000, "abc"));
    cr_assert_eq(sim_read(file, 5003, bytes, 3, &done), SIM_OK);
    cr_expect(bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 0);
    sim_close(file);
    sim_disk_destroy(disk);
}

Test(sim_disk, names_lead_to_files_and_directories) {
    struct sim_disk *disk = begin();
    struct sim_handle *file;
    struct sim_info info;

    cr_expect_eq(sim_open(SIM_ENGINE, "/d/f", SIM_OPEN_CREATE, 0, &file), SIM_MISSING);
    cr_assert_eq(sim_directory_create(SIM_ENGINE, "/d", 0750), SIM_OK);
    cr_expect_eq(sim_directory_create(SIM_ENGINE, "/d", 0750), SIM_EXISTS);
    cr_expect_eq(sim_open(SIM_ENGINE, "/d", SIM_OPEN_WRITE, 0, &file), SIM_NO_FILE);
    cr_expect_eq(sim_open(SIM_ENGINE, "/d/f", SIM_OPEN_WRITE, 0, &file), SIM_MISSING);
    file = open_file("/d/f");
    cr_expect_eq(sim_open(SIM_ENGINE, "/d/f", SIM_OPEN_CREATE | SIM_OPEN_NEW, 0, &file),
                 SIM_EXISTS);
    cr_expect_eq(sim_path_info(SIM_ENGINE, "/d/f/g", &info), SIM_NO_FILE);
    cr_assert_eq(sim_path_info(SIM_ENGINE, "/d", &info), SIM_OK);
    cr_expect(info.is_directory && info.mode == 0750);
    cr_assert_eq(sim_path_own(SIM_ENGINE, "/d/f", 0600, 7, 8), SIM_OK);
    cr_assert_eq(sim_path_info(SIM_ENGINE, "//d/./f/", &info), SIM_OK);
    cr_expect(!info.is_directory && info.mode == 0600 && info.user == 7 && info.group == 8);
    cr_expect_eq(info.inode, sim_handle_inode(file));
    cr_expect_eq(sim_directory_remove(SIM_ENGINE, "/d"), SIM_EXISTS, "not empty");
    cr_expect_eq(sim_directory_remove(SIM_ENGINE, "/d/f"), SIM_NO_FILE);
    cr_expect_eq(sim_path_remove(SIM_ENGINE, "/d"), SIM_NO_FILE);
    cr_expect_eq(sim_path_remove(SIM_ENGINE, "/d/f"), SIM_OK);
    cr_expect_eq(sim_path_remove(SIM_ENGINE, "/d/f"), SIM_MISSING);
    cr_expect_eq(sim_directory_remove(SIM_ENGINE, "/d"), SIM_OK);
    cr_expect_eq(sim_path_info(SIM_ENGINE, "/d", &info), SIM_MISSING);
    sim_close(file);
    sim_disk_destroy(disk);
}

Test(sim_disk, file_without_a_name_lives_until_it_is_closed) {
    struct sim_disk *disk = begin();
    struct sim_handle *file = open_file("/f");
    struct sim_handle *again = NULL;

    put(file, 0, "abc");
    cr_assert_eq(sim_open(SIM_ENGINE, "/f", 0, 0, &again), SIM_OK);
    cr_assert_eq(sim_path_remove(SIM_ENGINE, "/f"), SIM_OK);
    sim_close(file);
    cr_expect(reads(again, 0, "abc"));
    cr_expect_eq(sim_disk_used_space(disk), 4096);
    sim_close(again);
    cr_expect_eq(sim_disk_used_space(disk), 0);
    cr_expect_eq(sim_disk_open_handles(disk), 0);
    sim_disk_destroy(disk);
}

Test(sim_disk, rename_replaces_and_the_replaced_file_stays_open) {
    struct sim_disk *disk = begin();
    struct sim_handle *old = open_file("/f");
    struct sim_handle *new = open_file("/f.tmp");
    struct sim_info info;

    put(old, 0, "old");
    put(new, 0, "new");
    cr_assert_eq(sim_path_rename(SIM_ENGINE, "/f.tmp", "/f"), SIM_OK);
    cr_expect_eq(sim_path_rename(SIM_ENGINE, "/f.tmp", "/f"), SIM_MISSING);
    cr_assert_eq(sim_path_info(SIM_ENGINE, "/f", &info), SIM_OK);
    cr_expect_eq(info.inode, sim_handle_inode(new));
    cr_expect(reads(old, 0, "old"));
    sim_close(old);
    sim_close(new);
    cr_expect_eq(sim_disk_used_space(disk), 4096);
    sim_disk_destroy(disk);
}

static bool collect(void *context, const char *name) {
    strcat(context, name);
    return true;
}

Test(sim_disk, list_gives_each_name_once_in_order) {
    struct sim_disk *disk = begin();
    char names[64] = "";

    sim_close(open_file("/b"));
    sim_close(open_file("/a"));
    sim_close(open_file("/ab"));
    cr_assert_eq(sim_directory_list(SIM_ENGINE, "/", collect, names), SIM_OK);
    cr_expect_str_eq(names, "aabb");
    cr_expect_eq(sim_directory_list(SIM_ENGINE, "/a", collect, names), SIM_NO_FILE);
    cr_expect_eq(sim_directory_list(SIM_ENGINE, "/c", collect, names), SIM_MISSING);
    sim_disk_destroy(disk);
}

Test(sim_disk, lock_excludes_other_handles_until_it_is_closed) {
    struct sim_disk *disk = begin();
    struct sim_handle *file = open_file("/f");
    struct sim_handle *again = open_file("/f");

    cr_expect_eq(sim_flock(file), SIM_OK);
    cr_expect_eq(sim_flock(file), SIM_OK);
    cr_expect_eq(sim_flock(again), SIM_BUSY);
    sim_close(file);
    cr_expect_eq(sim_flock(again), SIM_OK);
    sim_close(again);
    sim_disk_destroy(disk);
}

Test(sim_disk, full_disk_stores_what_fits) {
    static char bytes[3 * 4096];
    struct sim_disk *disk = begin();
    struct sim_handle *file = open_file("/f");

    sim_disk_set_space(disk, 2 * 4096);
    cr_expect_eq(sim_write(file, 4000, bytes, sizeof bytes), SIM_NO_SPACE);
    cr_expect_eq(size_of(file), 2 * 4096);
    cr_expect_eq(sim_write(file, 0, bytes, 2 * 4096), SIM_OK, "no new blocks");
    sim_disk_set_space(disk, UINT64_MAX);
    cr_expect_eq(sim_write(file, 4000, bytes, sizeof bytes), SIM_OK);
    cr_assert_eq(sim_truncate(file, 1), SIM_OK);
    cr_expect_eq(sim_disk_used_space(disk), 4096);
    sim_close(file);
    sim_disk_destroy(disk);
}

Test(sim_disk, scratch_has_no_name_and_no_log) {
    struct sim_disk *disk = begin();
    struct sim_handle *file;

    cr_assert_eq(sim_open(SIM_SQLITE, NULL, SIM_OPEN_SCRATCH, 0600, &file), SIM_OK);
    put(file, 3, "abc");
    cr_expect(reads(file, 3, "abc"));
    cr_expect_eq(sim_sync(file), SIM_OK);
    cr_expect_eq(sim_truncate(file, 0), SIM_OK);
    sim_close(file);
    cr_expect_eq(sim_log_length(disk), 0);
    cr_expect_eq(sim_disk_used_space(disk), 0);
    sim_disk_destroy(disk);
}

/* ---- the log ---- */

static uint64_t log_of(const char *text) {
    struct sim_disk *disk = begin();
    struct sim_handle *file = open_file("/f");
    put(file, 0, text);
    sim_mark(7, 3);
    const uint64_t hash = sim_log_hash(disk);
    sim_close(file);
    sim_disk_destroy(disk);
    return hash;
}

Test(sim_disk, log_hash_tells_runs_apart) {
    cr_expect_eq(log_of("abc"), log_of("abc"));
    cr_expect_neq(log_of("abc"), log_of("abd"));
}

Test(sim_disk, marks_are_found_behind_their_boundary) {
    struct sim_disk *disk = begin();
    uint32_t kind = 0;
    uint64_t number = 0;

    sim_close(open_file("/f"));
    sim_mark(7, 3);
    cr_expect_eq(sim_log_length(disk), 2);
    cr_expect_not(sim_log_mark(disk, 0, &kind, &number));
    cr_expect_not(sim_log_mark(disk, 1, &kind, &number));
    cr_expect(sim_log_mark(disk, 2, &kind, &number));
    cr_expect(kind == 7 && number == 3);
    sim_disk_destroy(disk);
}

/* ---- faults ---- */

static void arm(uint32_t calls, uint32_t files, uint64_t first, uint64_t times,
                enum sim_effect effect) {
    const struct sim_fault fault = {calls, files, first, times, effect, 0};
    sim_fault_arm(&fault);
}

Test(sim_disk, fault_strikes_the_nth_call_on_its_files) {
    struct sim_disk *disk = begin();
    struct sim_handle *segment = open_file("/log.00000000000a");
    struct sim_handle *other = open_file("/log.00000000000g");

    arm(1u << SIM_CALL_WRITE, SIM_FILE_SEGMENT, 2, 2, SIM_EIO);
    cr_expect_eq(sim_write(other, 0, "x", 1), SIM_OK);
    cr_expect_eq(sim_write(segment, 0, "x", 1), SIM_OK);
    cr_expect_eq(sim_write(other, 0, "x", 1), SIM_OK);
    cr_expect_eq(sim_write(segment, 9, "x", 1), SIM_FAILED);
    cr_expect_eq(sim_write(segment, 9, "x", 1), SIM_FAILED);
    cr_expect_eq(size_of(segment), 1);
    cr_expect_eq(sim_write(segment, 9, "x", 1), SIM_OK);
    cr_expect_eq(sim_fault_fired(), 2);
    sim_fault_arm(NULL);
    cr_expect_eq(sim_fault_fired(), 2);
    cr_expect_eq(sim_calls(1u << SIM_CALL_WRITE, SIM_FILE_SEGMENT), 4);
    cr_expect_eq(sim_calls(1u << SIM_CALL_WRITE, SIM_FILE_SEGMENT | SIM_FILE_DATABASE), 6);
    sim_close(segment);
    sim_close(other);
    sim_disk_destroy(disk);
}

Test(sim_disk, failed_write_leaves_nothing_half_or_all) {
    struct sim_disk *disk = begin();
    struct sim_handle *file = open_file("/store");

    arm(1u << SIM_CALL_WRITE, SIM_FILE_SMALL, 1, UINT64_MAX, SIM_EIO_HALF);
    cr_expect_eq(sim_write(file, 0, "abcd", 4), SIM_FAILED);
    cr_expect(size_of(file) == 2 && reads(file, 0, "ab"));
    arm(1u << SIM_CALL_WRITE, SIM_FILE_SMALL, 1, UINT64_MAX, SIM_ENOSPC_HALF);
    cr_expect_eq(sim_write(file, 2, "xyz", 3), SIM_NO_SPACE);
    cr_expect(size_of(file) == 3 && reads(file, 0, "abx"));
    arm(1u << SIM_CALL_WRITE, SIM_FILE_SMALL, 1, UINT64_MAX, SIM_EIO_DONE);
    cr_expect_eq(sim_write(file, 0, "efgh", 4), SIM_FAILED);
    cr_expect(reads(file, 0, "efgh"));
    sim_close(file);
    sim_disk_destroy(disk);
}

Test(sim_disk, silent_faults_read_and_write_something_else) {
    struct sim_disk *disk = begin();
    struct sim_handle *file = open_file("/manifest.0");
    char bytes[4] = {0};
    size_t done;

    put(file, 0, "abcd");
    put(file, 512, "efgh");
    arm(1u << SIM_CALL_READ, SIM_FILE_MANIFEST, 1, 1, SIM_FLIP);
    cr_expect(reads(file, 0, "abbd"), "bit 0 of byte 2 is flipped");
    arm(1u << SIM_CALL_READ, SIM_FILE_MANIFEST, 1, 1, SIM_SHORT);
    cr_expect_eq(sim_read(file, 0, bytes, 4, &done), SIM_OK);
    cr_expect_eq(done, 2);
    arm(1u << SIM_CALL_READ, SIM_FILE_MANIFEST, 1, 1, SIM_MISDIRECT);
    cr_expect(reads(file, 0, "efgh"));
    arm(1u << SIM_CALL_WRITE, SIM_FILE_MANIFEST, 1, 1, SIM_MISDIRECT);
    put(file, 0, "ijkl");
    cr_expect(reads(file, 0, "abcd") && reads(file, 512, "ijkl"));
    arm(1u << SIM_CALL_READ | 1u << SIM_CALL_WRITE, SIM_FILE_MANIFEST, 1, 1, SIM_STALE);
    put(file, 0, "lost");
    cr_expect(reads(file, 0, "abcd"));
    arm(1u << SIM_CALL_READ, SIM_FILE_MANIFEST, 1, 1, SIM_STALE);
    put(file, 0, "here");
    cr_expect(reads(file, 0, "abcd") && reads(file, 0, "here"));
    sim_close(file);
    sim_disk_destroy(disk);
}

Test(sim_disk, failing_names_change_nothing_unless_done) {
    struct sim_disk *disk = begin();
    struct sim_handle *file;
    struct sim_info info;

    arm(1u << SIM_CALL_OPEN, UINT32_MAX, 1, 1, SIM_EMFILE);
    cr_expect_eq(sim_open(SIM_ENGINE, "/f", SIM_OPEN_CREATE, 0, &file), SIM_NO_HANDLE);
    arm(1u << SIM_CALL_OPEN, UINT32_MAX, 1, 1, SIM_ENOSPC);
    cr_expect_eq(sim_open(SIM_ENGINE, "/f", SIM_OPEN_CREATE, 0, &file), SIM_NO_SPACE);
    cr_expect_eq(sim_log_length(disk), 0);
    sim_close(open_file("/f"));
    arm(1u << SIM_CALL_RENAME, UINT32_MAX, 1, 1, SIM_EIO);
    cr_expect_eq(sim_path_rename(SIM_ENGINE, "/f", "/g"), SIM_FAILED);
    cr_expect_eq(sim_path_info(SIM_ENGINE, "/f", &info), SIM_OK);
    arm(1u << SIM_CALL_RENAME, UINT32_MAX, 1, 1, SIM_EIO_DONE);
    cr_expect_eq(sim_path_rename(SIM_ENGINE, "/f", "/g"), SIM_FAILED);
    cr_expect_eq(sim_path_info(SIM_ENGINE, "/f", &info), SIM_MISSING);
    arm(1u << SIM_CALL_REMOVE, UINT32_MAX, 1, 1, SIM_SHORT);
    cr_expect_eq(sim_path_remove(SIM_ENGINE, "/g"), SIM_OK, "not an effect of this call");
    cr_expect_eq(sim_fault_fired(), 0);
    sim_disk_destroy(disk);
}
