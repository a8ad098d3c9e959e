/* test_store_files.c - a store's directory: what is there after creation, what a damaged or
 * foreign one is called, who gets the lock, which pair is a copy, what removal leaves. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/uuid.h"
#include "store/store_files.h"
#include "support/test_env.h"

#define UUID_TEXT "01020304-0506-4708-890a-0b0c0d0e0f10"

struct fixture {
    struct fst_test_env *test;
    const struct faster_env *env;
    char root[512];
    char directory[1024];
    struct faster_error error;
    unsigned diagnostic_count;
    struct fst_diagnostics diagnostics;
    struct faster_place place;
};

static void count_diagnostic(void *context, enum faster_diagnostic_level level, const char *module,
                             const char *message) {
    (void)level;
    (void)module;
    (void)message;
    ++((struct fixture *)context)->diagnostic_count;
}

static struct fixture *start(void) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    cr_assert_not_null(fixture);
    fixture->test = fst_test_env_create();
    cr_assert_not_null(fixture->test);
    fixture->env = fst_test_env_get(fixture->test);
    cr_assert(fst_test_directory_create(fixture->root, sizeof fixture->root));
    (void)snprintf(fixture->directory, sizeof fixture->directory, "%s/parent/%s", fixture->root,
                   UUID_TEXT);
    fixture->diagnostics = (struct fst_diagnostics){count_diagnostic, fixture};
    return fixture;
}

static void end(struct fixture *fixture) {
    cr_expect_eq(fst_test_env_live_allocations(fixture->test), 0);
    fst_test_env_destroy(fixture->test);
    fst_test_directory_remove(fixture->root);
    free(fixture);
}

static struct fst_identity identity_of(void) {
    struct fst_identity identity = {
        .write_discipline = FST_WRITES_TRANSACTIONAL,
        .generation = 1,
        .hash_seed = 77,
        .page_bits = 14,
        .segment_bits = 16,
        .tier_count = 1,
    };
    (void)faster_uuid_parse(UUID_TEXT, identity.uuid);
    return identity;
}

static enum faster_status create(struct fixture *fixture, const char *owner_path) {
    const struct fst_identity identity = identity_of();
    const struct fst_store_files_create_config config = {
        .env = fixture->env,
        .directory = fixture->directory,
        .owner_path = owner_path,
        .identity = &identity,
        .place = fixture->place,
    };
    return fst_store_files_create(&config, &fixture->error);
}

static enum faster_status open_with(struct fixture *fixture, bool read_only, uint64_t wait_ns,
                                    faster_interrupt_fn *interrupt,
                                    struct fst_store_files **files) {
    struct fst_store_files_open_config config = {
        .env = fixture->env,
        .directory = fixture->directory,
        .read_only = read_only,
        .lock_wait_ns = wait_ns,
        .interrupt = interrupt,
        .diagnostics = &fixture->diagnostics,
    };
    memcpy(config.uuid, identity_of().uuid, sizeof config.uuid);
    return fst_store_files_open(&config, files, &fixture->error);
}

static enum faster_status open_files(struct fixture *fixture, struct fst_store_files **files) {
    return open_with(fixture, false, 0, NULL, files);
}

/* Opens and closes; the status. */
static enum faster_status try_open(struct fixture *fixture) {
    struct fst_store_files *files;
    const enum faster_status status = open_files(fixture, &files);
    if (status == FASTER_OK) {
        fst_store_files_close(files);
    }
    return status;
}

static void path_in(const struct fixture *fixture, const char *name, char path[2048]) {
    (void)snprintf(path, 2048, "%s/%s", fixture->directory, name);
}

static bool exists(const struct fixture *fixture, const char *name) {
    char path[2048];
    path_in(fixture, name, path);
    return access(path, F_OK) == 0;
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    cr_assert_eq(fclose(file), 0);
}

static void flip_byte(const struct fixture *fixture, const char *name, long at) {
    char path[2048];
    path_in(fixture, name, path);
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, at, SEEK_SET), 0);
    const int byte = fgetc(file);
    cr_assert_eq(fseek(file, at, SEEK_SET), 0);
    cr_assert_neq(fputc(byte ^ 0x40, file), EOF);
    cr_assert_eq(fclose(file), 0);
}

static uint64_t calls(const struct fixture *fixture, enum fst_test_operation operation) {
    return fst_test_env_calls(fixture->test, operation);
}

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

/* ---- manifests ---- */

static void write_next(struct fixture *fixture, struct fst_store_files *files, uint64_t end_addr) {
    struct fst_manifest next = *fst_store_files_manifest(files);
    next.durable_end = end_addr;
    cr_assert_eq(fst_store_files_write_manifest(files, &next, &fixture->error), FASTER_OK);
}

Test(store_files, manifests_alternate_and_the_newest_counts) {
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

Test(store_files, damaged_newest_manifest_falls_back_and_is_diagnosed) {
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

Test(store_files, unreadable_manifest_is_no_reason_to_use_the_older) {
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

Test(store_files, failed_manifest_write_keeps_a_whole_one) {
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

Test(store_files, senseless_manifest_is_not_written) {
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

Test(store_files, pair_in_its_place_is_accepted) {
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

Test(store_files, moved_database_is_accepted_and_noted) {
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

Test(store_files, copy_beside_its_original_is_refused) {
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
    cr_expect_not_null(strstr(fixture->error.message, "move the original away"));
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(check_place(fixture, copy_path, &moved), FASTER_OK, "restored elsewhere");
    cr_expect(moved);
    /* The inode's number goes to somebody else first. */
    (void)snprintf(fixture->place.path, sizeof fixture->place.path, "%s/filler", fixture->root);
    write_text(fixture->place.path, "filler");
    write_text(path, "another database");
    cr_expect_eq(check_place(fixture, copy_path, &moved), FASTER_OK, "another file took the name");
    end(fixture);
}

Test(store_files, store_without_a_place_takes_the_first) {
    struct fixture *fixture = start();
    char path[1024];
    bool moved = false;

    cr_assert_eq(create(fixture, NULL), FASTER_OK);
    place_at(fixture, "a.db", path);
    cr_expect_eq(check_place(fixture, path, &moved), FASTER_OK);
    cr_expect(moved);
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
