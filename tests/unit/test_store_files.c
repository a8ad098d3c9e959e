/* test_store_files.c - a store's directory: what is there after creation, what a damaged or
 * foreign one is called, who gets the lock, what removal leaves. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support/store_files_fixture.h"

/* ---- create ---- */

Test(store_files, created_store_opens_with_what_it_was_given) {
    struct fixture *fixture = start();
    struct fst_store_files *files;

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    cr_expect_eq(calls(fixture, FST_TEST_FILE_SYNC), 3, "manifest, lock, identity");
    cr_expect_eq(calls(fixture, FST_TEST_DIRECTORY_SYNC), 3, "directory, parent, its parent");
    cr_assert_eq(open_files(fixture, &files), FASTER_OK);
    cr_expect_eq(fst_store_files_identity(files)->hash_seed, 77);
    cr_expect_eq(fst_store_files_manifest(files)->sequence, 1);
    cr_expect_eq(fst_store_files_manifest(files)->begin, FST_ADDR_FIRST_RAW);
    cr_expect_eq(fst_store_files_manifest(files)->durable_number, 0);
    cr_expect_str_eq(fst_store_files_directory(files), fixture->directory);
    cr_expect_eq(fst_store_files_mode(files).mode, 0600);
    fst_store_files_close(files);
    fst_store_files_close(NULL);
    end(fixture);
}

Test(store_files, new_files_follow_the_owner_file) {
    struct fixture *fixture = start();
    char owner[1024];
    struct stat info;

    (void)snprintf(owner, sizeof owner, "%s/db", fixture->root);
    write_text(owner, "x");
    cr_assert_eq(chmod(owner, 0644), 0);
    cr_assert_eq(create(fixture, owner), FASTER_OK);
    cr_assert_eq(stat(fixture->directory, &info), 0);
    cr_expect_eq(info.st_mode & 07777u, 0755);
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"store", "lock", "manifest.0"};
        char path[2048];
        path_in(fixture, names[i], path);
        cr_assert_eq(stat(path, &info), 0);
        cr_expect_eq(info.st_mode & 07777u, 0644);
    }
    end(fixture);
}

Test(store_files, create_refuses_what_is_there) {
    struct fixture *fixture = start();

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    cr_expect_eq(create(fixture, NULL), FASTER_EXISTS);
    cr_expect_eq(try_open(fixture), FASTER_OK, "and leaves it alone");
    (void)snprintf(fixture->directory, sizeof fixture->directory, "%s/file", fixture->root);
    write_text(fixture->directory, "x");
    cr_expect_eq(create(fixture, NULL), FASTER_FOREIGN);
    cr_expect_not_null(strstr(fixture->error.message, fixture->directory));
    fixture->directory[0] = '\0';
    cr_expect_eq(create(fixture, NULL), FASTER_INVALID);
    end(fixture);
}

Test(store_files, create_uses_an_empty_directory) {
    struct fixture *fixture = start();
    char parent[1024];

    (void)snprintf(parent, sizeof parent, "%s/parent", fixture->root);
    cr_assert_eq(mkdir(parent, 0700), 0);
    cr_assert_eq(mkdir(fixture->directory, 0700), 0);
    cr_expect_eq(create(fixture, NULL), FASTER_OK);
    end(fixture);
}

/* Fails every operation that creation does, one after the other, until none is left. */
static void check_create_undone(enum fst_test_operation operation) {
    bool failed = true;
    uint64_t nth;

    for (nth = 1; failed && nth < 50; nth++) {
        struct fixture *fixture = start();
        char parent[1024];
        (void)snprintf(parent, sizeof parent, "%s/parent", fixture->root);
        fst_test_env_fail(fixture->test, operation, nth, 1, FASTER_IO);
        const enum faster_status status = create(fixture, NULL);
        failed = fst_test_env_failed(fixture->test, operation) > 0;
        cr_expect_eq(status == FASTER_OK, !failed, "operation %d, call %d", (int)operation,
                     (int)nth);
        cr_expect_eq(access(parent, F_OK) == 0, !failed, "operation %d, call %d", (int)operation,
                     (int)nth);
        end(fixture);
    }
    cr_expect_not(failed);
    cr_expect_gt(nth, 2);
}

Test(store_files, failed_create_leaves_nothing) {
    check_create_undone(FST_TEST_ALLOCATE);
    check_create_undone(FST_TEST_FILE_OPEN);
    check_create_undone(FST_TEST_FILE_WRITE);
    check_create_undone(FST_TEST_FILE_SYNC);
    check_create_undone(FST_TEST_DIRECTORY_CREATE);
    check_create_undone(FST_TEST_DIRECTORY_SYNC);
}

/* ---- open ---- */

Test(store_files, places_that_hold_no_store_are_named) {
    struct fixture *fixture = start();
    char target[1024];

    cr_expect_eq(try_open(fixture), FASTER_MISSING);
    cr_expect_not_null(strstr(fixture->error.message, fixture->directory));
    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    memcpy(target, fixture->directory, sizeof target);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "%s/link", fixture->root);
    cr_assert_eq(symlink(target, fixture->directory), 0);
    cr_expect_eq(try_open(fixture), FASTER_FOREIGN);
    cr_expect_not_null(strstr(fixture->error.message, fixture->directory));
    cr_expect_not_null(strstr(fixture->error.message, "directory"));
    (void)snprintf(fixture->directory, sizeof fixture->directory, "%s", fixture->root);
    cr_expect_eq(try_open(fixture), FASTER_MISSING);
    cr_expect_not(exists(fixture, "lock"), "no lock file where there is no store");
    end(fixture);
}

Test(store_files, another_uuid_is_foreign) {
    struct fixture *fixture = start();
    struct fst_store_files *files;
    struct fst_store_files_open_config config = {
        .env = fixture->env, .directory = fixture->directory, .uuid = {9}};

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    cr_expect_eq(fst_store_files_open(&config, &files, &fixture->error), FASTER_FOREIGN);
    cr_expect_not_null(strstr(fixture->error.message, UUID_TEXT));
    memset(config.uuid, 0, sizeof config.uuid);
    cr_assert_eq(fst_store_files_open(&config, &files, &fixture->error), FASTER_OK);
    fst_store_files_close(files);
    end(fixture);
}

Test(store_files, damaged_identity_is_corrupt) {
    struct fixture *fixture = start();
    char path[2048];

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    flip_byte(fixture, "store", 60);
    cr_expect_eq(try_open(fixture), FASTER_CORRUPT);
    flip_byte(fixture, "store", 60);
    flip_byte(fixture, "store", 9);
    cr_expect_eq(try_open(fixture), FASTER_VERSION_NEWER);
    flip_byte(fixture, "store", 9);
    flip_byte(fixture, "store", 0);
    cr_expect_eq(try_open(fixture), FASTER_FOREIGN);
    flip_byte(fixture, "store", 0);
    path_in(fixture, "store", path);
    cr_assert_eq(truncate(path, 249), 0);
    cr_expect_eq(try_open(fixture), FASTER_CORRUPT, "a byte too many");
    cr_assert_eq(truncate(path, 248), 0);
    cr_expect_eq(try_open(fixture), FASTER_OK);
    cr_assert_eq(truncate(path, 100), 0);
    cr_expect_eq(try_open(fixture), FASTER_CORRUPT);
    end(fixture);
}

Test(store_files, read_only_open_changes_nothing) {
    struct fixture *fixture = start();
    struct fst_store_files *files;
    struct fst_manifest next;

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    const uint64_t writes = calls(fixture, FST_TEST_FILE_WRITE);
    cr_assert_eq(open_with(fixture, true, 0, NULL, &files), FASTER_OK);
    next = *fst_store_files_manifest(files);
    cr_expect_eq(fst_store_files_write_manifest(files, &next, &fixture->error), FASTER_READ_ONLY);
    cr_expect_eq(calls(fixture, FST_TEST_FILE_WRITE), writes);
    cr_expect_eq(try_open(fixture), FASTER_BUSY, "it holds the lock all the same");
    cr_expect_eq(fst_store_files_close_and_remove(files, &fixture->error), FASTER_READ_ONLY);
    cr_expect(exists(fixture, "store"));
    end(fixture);
}

/* ---- lock ---- */

Test(store_files, second_opener_is_told_the_process) {
    struct fixture *fixture = start();
    struct fst_store_files *files;
    char expected[64];

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    cr_assert_eq(open_files(fixture, &files), FASTER_OK);
    cr_expect_eq(try_open(fixture), FASTER_BUSY);
    (void)snprintf(expected, sizeof expected, "is in use by process %ld", (long)getpid());
    cr_expect_not_null(strstr(fixture->error.message, expected), "%s", fixture->error.message);
    cr_expect_not_null(strstr(fixture->error.message, fixture->directory));
    fst_store_files_close(files);
    cr_expect_eq(try_open(fixture), FASTER_OK);
    end(fixture);
}

Test(store_files, lock_ends_with_its_process) {
    struct fixture *fixture = start();
    int pipe_ends[2];
    char byte;

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    cr_assert_eq(pipe(pipe_ends), 0);
    const pid_t child = fork();
    cr_assert_neq(child, -1);
    if (child == 0) {
        struct fst_store_files *files;
        byte = open_files(fixture, &files) == FASTER_OK ? 'y' : 'n';
        (void)!write(pipe_ends[1], &byte, 1);
        (void)pause();
        _exit(0);
    }
    cr_assert_eq(read(pipe_ends[0], &byte, 1), 1);
    cr_assert_eq(byte, 'y');
    cr_expect_eq(try_open(fixture), FASTER_BUSY);
    cr_assert_eq(kill(child, SIGKILL), 0);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    cr_expect_eq(try_open(fixture), FASTER_OK);
    end(fixture);
}

static void *close_soon(void *files) {
    usleep(50000);
    fst_store_files_close(files);
    return NULL;
}

Test(store_files, waiting_opener_gets_the_lock) {
    struct fixture *fixture = start();
    struct fst_store_files *files;
    struct fst_store_files *second;
    pthread_t thread;

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    cr_assert_eq(open_files(fixture, &files), FASTER_OK);
    cr_assert_eq(pthread_create(&thread, NULL, close_soon, files), 0);
    cr_expect_eq(open_with(fixture, false, UINT64_C(60000000000), NULL, &second), FASTER_OK);
    (void)pthread_join(thread, NULL);
    fst_store_files_close(second);
    end(fixture);
}

static bool always(void *context) {
    (void)context;
    return true;
}

Test(store_files, waiting_opener_can_be_interrupted) {
    struct fixture *fixture = start();
    struct fst_store_files *files;
    struct fst_store_files *second;

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    cr_assert_eq(open_files(fixture, &files), FASTER_OK);
    cr_expect_eq(open_with(fixture, false, UINT64_MAX, always, &second), FASTER_INTERRUPTED);
    fst_store_files_close(files);
    end(fixture);
}

/* ---- remove and list ---- */

static enum faster_status remove_store(struct fixture *fixture) {
    const struct fst_identity identity = identity_of();
    return fst_store_files_remove(fixture->env, fixture->directory, identity.uuid, &fixture->error);
}

Test(store_files, remove_takes_known_names_and_the_directory) {
    struct fixture *fixture = start();
    char path[2048];

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    for (int i = 0; i < 200; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "log.%012x", i);
        path_in(fixture, name, path);
        write_text(path, "segment");
    }
    path_in(fixture, "manifest.1.tmp", path);
    write_text(path, "torn");
    cr_expect_eq(remove_store(fixture), FASTER_OK);
    cr_expect_neq(access(fixture->directory, F_OK), 0);
    cr_expect_eq(remove_store(fixture), FASTER_MISSING);
    end(fixture);
}

Test(store_files, remove_leaves_foreign_files_and_says_so) {
    struct fixture *fixture = start();
    char path[2048];

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    path_in(fixture, "letters.txt", path);
    write_text(path, "dear");
    cr_expect_eq(remove_store(fixture), FASTER_IO);
    cr_expect(exists(fixture, "letters.txt"));
    cr_expect_not(exists(fixture, "store"));
    end(fixture);
}

Test(store_files, remove_refuses_another_store_and_one_in_use) {
    struct fixture *fixture = start();
    struct fst_store_files *files;
    const uint8_t other[FASTER_UUID_BYTES] = {9};

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    cr_expect_eq(fst_store_files_remove(fixture->env, fixture->directory, other, &fixture->error),
                 FASTER_FOREIGN);
    cr_assert_eq(open_files(fixture, &files), FASTER_OK);
    cr_expect_eq(remove_store(fixture), FASTER_BUSY);
    cr_expect(exists(fixture, "store"));
    cr_expect_eq(fst_store_files_close_and_remove(files, &fixture->error), FASTER_OK);
    cr_expect_neq(access(fixture->directory, F_OK), 0);
    end(fixture);
}

Test(store_files, unfinished_creation_or_removal_can_be_removed) {
    struct fixture *fixture = start();
    char path[2048];

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    path_in(fixture, "store", path);
    cr_assert_eq(unlink(path), 0);
    const uint8_t other[FASTER_UUID_BYTES] = {9};
    cr_expect_eq(fst_store_files_remove(fixture->env, fixture->directory, other, &fixture->error),
                 FASTER_MISSING);
    cr_expect(exists(fixture, "manifest.0"));
    cr_expect_eq(remove_store(fixture), FASTER_OK);
    cr_expect_eq(fixture->error.message[0], '\0');
    end(fixture);
}

static void count_uuid(void *context, const uint8_t uuid[FASTER_UUID_BYTES]) {
    const struct fst_identity identity = identity_of();
    *(int *)context += fst_uuid_equal(uuid, identity.uuid) ? 1 : 100;
}

Test(store_files, mark_is_set_cleared_and_removed_with_the_store) {
    struct fixture *fixture = start();
    const struct fst_identity identity = identity_of();
    char directory[1024];

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    (void)snprintf(directory, sizeof directory, "%s", fixture->directory);
    cr_expect_not(fst_store_files_is_marked(fixture->env, directory));
    cr_expect_eq(fst_store_files_mark(fixture->env, directory, true), FASTER_OK);
    cr_expect(fst_store_files_is_marked(fixture->env, directory));
    cr_expect_eq(fst_store_files_mark(fixture->env, directory, true), FASTER_OK);
    cr_expect_eq(fst_store_files_mark(fixture->env, directory, false), FASTER_OK);
    cr_expect_not(fst_store_files_is_marked(fixture->env, directory));
    cr_expect_eq(fst_store_files_mark(fixture->env, directory, false), FASTER_OK);
    cr_expect_eq(fst_store_files_mark(fixture->env, directory, true), FASTER_OK);
    cr_expect_eq(fst_store_files_remove(fixture->env, directory, identity.uuid, &fixture->error),
                 FASTER_OK);
    cr_expect_eq(fst_store_files_mark(fixture->env, directory, true), FASTER_MISSING);
    end(fixture);
}

Test(store_files, list_names_uuids_only) {
    struct fixture *fixture = start();
    char parent[1024];
    char path[2048];
    int count = 0;

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    (void)snprintf(parent, sizeof parent, "%s/parent", fixture->root);
    (void)snprintf(path, sizeof path, "%s/other", parent);
    write_text(path, "x");
    cr_expect_eq(fst_store_files_list(fixture->env, parent, count_uuid, &count), FASTER_OK);
    cr_expect_eq(count, 1);
    (void)snprintf(path, sizeof path, "%s/nothing", parent);
    cr_expect_eq(fst_store_files_list(fixture->env, path, count_uuid, &count), FASTER_MISSING);
    end(fixture);
}
