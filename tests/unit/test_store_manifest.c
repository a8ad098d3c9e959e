/* test_store_manifest.c - manifests: which one counts, and what a failed write leaves; and the
 * recorded place of the decider, which tells a moved pair from a copied one. */
#include <criterion/criterion.h>
#include <sys/stat.h>

#include "support/store_files_fixture.h"

/* ---- manifests ---- */

static void write_next(struct fixture *fixture, struct fst_store_files *files, uint64_t end_addr) {
    struct fst_manifest next = *fst_store_files_manifest(files);
    next.durable_end = end_addr;
    cr_assert_eq(fst_store_files_write_manifest(files, &next, &fixture->error), FASTER_OK);
}

Test(store_manifest, manifests_alternate_and_the_newest_counts) {
    struct fixture *fixture = start();
    struct fst_store_files *files;

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    for (uint64_t i = 1; i <= 5; i++) {
        cr_assert_eq(open_files(fixture, &files), FASTER_OK);
        cr_expect_eq(fst_store_files_manifest(files)->sequence, i);
        write_next(fixture, files, 4096 * (i + 1));
        fst_store_files_close(files);
        cr_assert_eq(open_files(fixture, &files), FASTER_OK);
        cr_expect_eq(fst_store_files_manifest(files)->durable_end, 4096 * (i + 1));
        fst_store_files_close(files);
    }
    cr_expect_not(exists(fixture, "manifest.0.tmp"));
    cr_expect_not(exists(fixture, "manifest.1.tmp"));
    cr_expect_eq(fixture->diagnostic_count, 0);
    end(fixture);
}

Test(store_manifest, damaged_newest_manifest_falls_back_and_is_diagnosed) {
    struct fixture *fixture = start();
    struct fst_store_files *files;

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    cr_assert_eq(open_files(fixture, &files), FASTER_OK);
    write_next(fixture, files, 8192);
    fst_store_files_close(files);
    flip_byte(fixture, "manifest.1", 200);
    cr_assert_eq(open_files(fixture, &files), FASTER_OK);
    cr_expect_eq(fst_store_files_manifest(files)->sequence, 1);
    cr_expect_eq(fixture->diagnostic_count, 1);
    write_next(fixture, files, 12288);
    fst_store_files_close(files);
    cr_assert_eq(open_files(fixture, &files), FASTER_OK);
    cr_expect_eq(fst_store_files_manifest(files)->durable_end, 12288,
                 "the damaged one is replaced");
    fst_store_files_close(files);
    flip_byte(fixture, "manifest.0", 200);
    flip_byte(fixture, "manifest.1", 200);
    cr_expect_eq(try_open(fixture), FASTER_CORRUPT);
    end(fixture);
}

Test(store_manifest, unreadable_manifest_is_no_reason_to_use_the_older) {
    struct fixture *fixture = start();
    struct fst_store_files *files;
    char path[2048];

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    cr_assert_eq(open_files(fixture, &files), FASTER_OK);
    write_next(fixture, files, 8192);
    fst_store_files_close(files);
    /* identity, lock's text is not read, identity, manifest.0, manifest.1 */
    fst_test_env_fail(fixture->test, FST_TEST_FILE_READ, 4, 1, FASTER_IO);
    cr_expect_eq(try_open(fixture), FASTER_IO);
    fst_test_env_heal_all(fixture->test);
    path_in(fixture, "manifest.0", path);
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(try_open(fixture), FASTER_OK);
    path_in(fixture, "manifest.1", path);
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(try_open(fixture), FASTER_MISSING);
    end(fixture);
}

Test(store_manifest, failed_manifest_write_keeps_a_whole_one) {
    static const enum fst_test_operation operations[] = {FST_TEST_FILE_OPEN, FST_TEST_FILE_WRITE,
                                                         FST_TEST_FILE_SYNC, FST_TEST_PATH_RENAME,
                                                         FST_TEST_DIRECTORY_SYNC};
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        struct fixture *fixture = start();
        struct fst_store_files *files;
        cr_assert_eq(create(fixture, NULL), FASTER_OK);
        cr_assert_eq(open_files(fixture, &files), FASTER_OK);
        struct fst_manifest next = *fst_store_files_manifest(files);
        next.durable_end = 8192;
        fst_test_env_tear_writes(fixture->test, true);
        fst_test_env_fail(fixture->test, operations[i], 1, 1, FASTER_IO);
        cr_expect_eq(fst_store_files_write_manifest(files, &next, &fixture->error), FASTER_IO);
        cr_expect_eq(fst_test_env_failed(fixture->test, operations[i]), 1, "not repeated");
        cr_expect_eq(fst_store_files_manifest(files)->sequence, 1);
        fst_store_files_close(files);
        cr_expect_eq(try_open(fixture), FASTER_OK);
        cr_expect_eq(fixture->diagnostic_count, 0);
        end(fixture);
    }
}

Test(store_manifest, senseless_manifest_is_not_written) {
    struct fixture *fixture = start();
    struct fst_store_files *files;

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    cr_assert_eq(open_files(fixture, &files), FASTER_OK);
    struct fst_manifest next = *fst_store_files_manifest(files);
    next.begin = 3;
    cr_expect_eq(fst_store_files_write_manifest(files, &next, &fixture->error), FASTER_MISUSE);
    fst_store_files_close(files);
    cr_expect_eq(try_open(fixture), FASTER_OK);
    end(fixture);
}

/* ---- the decider's place ---- */

static enum faster_status check_place(struct fixture *fixture, const char *path, bool *moved) {
    struct faster_place ours = {0};
    struct fst_store_files *files;
    struct stat info;

    if (path != NULL) {
        (void)snprintf(ours.path, sizeof ours.path, "%s", path);
        cr_assert_eq(stat(path, &info), 0);
        ours.device = (uint64_t)info.st_dev;
        ours.inode = (uint64_t)info.st_ino;
    }
    cr_assert_eq(open_files(fixture, &files), FASTER_OK);
    const enum faster_status status =
        fst_store_files_check_place(files, &ours, moved, &fixture->error);
    fst_store_files_close(files);
    return status;
}

static void place_at(struct fixture *fixture, const char *name, char path[1024]) {
    struct stat info;

    (void)snprintf(path, 1024, "%s/%s", fixture->root, name);
    write_text(path, "database");
    cr_assert_eq(stat(path, &info), 0);
    (void)snprintf(fixture->place.path, sizeof fixture->place.path, "%s", path);
    fixture->place.device = (uint64_t)info.st_dev;
    fixture->place.inode = (uint64_t)info.st_ino;
}

Test(store_manifest, pair_in_its_place_is_accepted) {
    struct fixture *fixture = start();
    char path[1024];
    bool moved = true;

    place_at(fixture, "a.db", path);
    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    cr_expect_eq(check_place(fixture, path, &moved), FASTER_OK);
    cr_expect_not(moved);
    cr_expect_eq(check_place(fixture, NULL, &moved), FASTER_OK);
    cr_expect_not(moved);
    end(fixture);
}

Test(store_manifest, moved_database_is_accepted_and_noted) {
    struct fixture *fixture = start();
    char path[1024];
    char moved_path[1024];
    bool moved = false;

    place_at(fixture, "a.db", path);
    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    (void)snprintf(moved_path, sizeof moved_path, "%s/b.db", fixture->root);
    cr_assert_eq(rename(path, moved_path), 0);
    cr_expect_eq(check_place(fixture, moved_path, &moved), FASTER_OK);
    cr_expect(moved);
    end(fixture);
}

Test(store_manifest, copy_beside_its_original_is_refused) {
    struct fixture *fixture = start();
    char path[1024];
    char copy_path[1024];
    bool moved = false;

    place_at(fixture, "a.db", path);
    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    (void)snprintf(copy_path, sizeof copy_path, "%s/copy.db", fixture->root);
    write_text(copy_path, "database");
    cr_expect_eq(check_place(fixture, copy_path, &moved), FASTER_COPY);
    cr_expect_not_null(strstr(fixture->error.message, "a.db"));
    cr_expect_not_null(strstr(fixture->error.message, "copy.db"));
    cr_expect_not_null(strstr(fixture->error.message, "Open the original"));
    /* Made while the original is there, so that it cannot get the original's inode. */
    char other_path[1024];
    (void)snprintf(other_path, sizeof other_path, "%s/other", fixture->root);
    write_text(other_path, "another database");
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(check_place(fixture, copy_path, &moved), FASTER_OK, "restored elsewhere");
    cr_expect(moved);
    cr_assert_eq(rename(other_path, path), 0);
    cr_expect_eq(check_place(fixture, copy_path, &moved), FASTER_OK, "another file took the name");
    end(fixture);
}

Test(store_manifest, store_without_a_place_takes_the_first) {
    struct fixture *fixture = start();
    char path[1024];
    bool moved = false;

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    place_at(fixture, "a.db", path);
    cr_expect_eq(check_place(fixture, path, &moved), FASTER_OK);
    cr_expect(moved);
    end(fixture);
}
