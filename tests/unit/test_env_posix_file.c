/* test_env_posix_file.c - files and names of the POSIX environment, on a real directory. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/env.h"
#include "base/path.h"
#include "support/test_env.h"

static char directory[256];
static const struct faster_env *env;

static void set_up(void) {
    env = faster_env_posix();
    cr_assert(fst_test_directory_create(directory, sizeof directory));
}

static void tear_down(void) {
    fst_test_directory_remove(directory);
}

/* The path of `name` in the test's directory; good until the call after the next one. */
static const char *at(const char *name) {
    static char paths[2][512];
    static int turn;
    turn = !turn;
    cr_assert_eq(fst_path_join(paths[turn], sizeof paths[turn], directory, name), FASTER_OK);
    return paths[turn];
}

static struct fst_file *open_new(const char *name) {
    struct fst_file *file = NULL;
    cr_assert_eq(
        env->file_open(env, at(name), FST_OPEN_WRITE | FST_OPEN_CREATE | FST_OPEN_NEW, 0600, &file),
        FASTER_OK);
    return file;
}

static enum faster_status try_open(const char *name, unsigned flags) {
    struct fst_file *file = NULL;
    enum faster_status status = env->file_open(env, at(name), flags, 0600, &file);
    if (status == FASTER_OK) {
        env->file_close(env, file);
    } else {
        cr_assert_null(file);
    }
    return status;
}

static bool exists(const char *name) {
    struct fst_file_info info;
    return env->path_info(env, at(name), &info) == FASTER_OK;
}

TestSuite(env_posix_file, .init = set_up, .fini = tear_down);

/* ------------------------------------------------------------------ open */

Test(env_posix_file, open_follows_its_flags) {
    cr_assert_eq(try_open("f", FST_OPEN_READ), FASTER_MISSING);
    cr_assert_eq(try_open("f", FST_OPEN_WRITE), FASTER_MISSING);
    cr_assert_eq(try_open("f", FST_OPEN_WRITE | FST_OPEN_CREATE), FASTER_OK);
    cr_assert_eq(try_open("f", FST_OPEN_WRITE | FST_OPEN_CREATE), FASTER_OK);
    cr_assert_eq(try_open("f", FST_OPEN_WRITE | FST_OPEN_CREATE | FST_OPEN_NEW), FASTER_EXISTS);
    cr_assert_eq(try_open("f", FST_OPEN_READ), FASTER_OK);
    char below[512];
    (void)snprintf(below, sizeof below, "%s/f/below", directory);
    struct fst_file *file;
    cr_assert_eq(env->file_open(env, below, FST_OPEN_READ, 0, &file), FASTER_MISSING);
}

Test(env_posix_file, descriptor_is_the_system_s_own) {
    struct fst_file *file = open_new("f");
    cr_expect_geq(env->file_descriptor(env, file), 3, "never a standard stream");
    env->file_close(env, file);
    /* Not every file system can; none may take it for damage. */
    const enum faster_status status = try_open("f", FST_OPEN_READ | FST_OPEN_DIRECT);
    cr_expect(status == FASTER_OK || status == FASTER_INVALID);
}

Test(env_posix_file, only_regular_files_are_opened_and_none_blocks) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s", at("target"));
    env->file_close(env, open_new("target"));
    cr_assert_eq(symlink(path, at("link")), 0);
    cr_assert_eq(symlink("loop", at("loop")), 0);
    cr_assert_eq(symlink("nowhere", at("dangling")), 0);
    cr_assert_eq(mkfifo(at("fifo"), 0600), 0);
    cr_assert_eq(mkdir(at("directory"), 0700), 0);
    static const char *const names[] = {"link", "loop", "dangling", "fifo", "directory"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cr_assert_eq(try_open(names[i], FST_OPEN_READ), FASTER_FOREIGN, "%s", names[i]);
        cr_assert_eq(try_open(names[i], FST_OPEN_WRITE), FASTER_FOREIGN, "%s", names[i]);
        cr_assert_eq(try_open(names[i], FST_OPEN_WRITE | FST_OPEN_CREATE), FASTER_FOREIGN, "%s",
                     names[i]);
    }
    cr_assert_not(exists("nowhere"));
    struct fst_file *file;
    cr_assert_eq(env->file_open(env, "/dev/null", FST_OPEN_WRITE, 0, &file), FASTER_FOREIGN);
}

Test(env_posix_file, socket_is_foreign) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    cr_assert_lt(snprintf(address.sun_path, sizeof address.sun_path, "%s", at("socket")), 100);
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(descriptor, (const struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(try_open("socket", FST_OPEN_READ), FASTER_FOREIGN);
    (void)close(descriptor);
}

Test(env_posix_file, missing_permission_is_read_only) {
    env->file_close(env, open_new("f"));
    cr_assert_eq(chmod(at("f"), 0444), 0);
    cr_assert_eq(chmod(directory, 0555), 0);
    if (geteuid() == 0) {
        cr_assert_eq(seteuid(65534), 0);
    }
    cr_assert_eq(try_open("f", FST_OPEN_READ), FASTER_OK);
    cr_assert_eq(try_open("f", FST_OPEN_WRITE), FASTER_READ_ONLY);
    cr_assert_eq(try_open("g", FST_OPEN_WRITE | FST_OPEN_CREATE), FASTER_READ_ONLY);
    cr_assert_eq(env->directory_create(env, at("d"), 0700), FASTER_READ_ONLY);
    cr_assert_eq(env->path_remove(env, at("f")), FASTER_READ_ONLY);
    cr_assert_eq(env->path_rename(env, at("f"), at("g")), FASTER_READ_ONLY);
    if (getuid() == 0) {
        cr_assert_eq(seteuid(0), 0);
    }
    cr_assert_eq(chmod(directory, 0700), 0);
}

Test(env_posix_file, file_opened_for_reading_cannot_be_written) {
    env->file_close(env, open_new("f"));
    struct fst_file *file;
    cr_assert_eq(env->file_open(env, at("f"), FST_OPEN_READ, 0, &file), FASTER_OK);
    cr_assert_eq(env->file_write(env, file, 0, "x", 1), FASTER_IO);
    cr_assert_eq(env->file_truncate(env, file, 1), FASTER_IO);
    cr_assert_eq(env->file_lock(env, file), FASTER_OK);
    env->file_close(env, file);
}

/* The lowest descriptor that has the file open, or -1. */
static int descriptor_of(const char *name) {
    struct stat wanted;
    struct stat found;
    cr_assert_eq(stat(at(name), &wanted), 0);
    for (int descriptor = 0; descriptor < 256; descriptor++) {
        if (fstat(descriptor, &found) == 0 && found.st_ino == wanted.st_ino &&
            found.st_dev == wanted.st_dev) {
            return descriptor;
        }
    }
    return -1;
}

Test(env_posix_file, descriptors_close_on_exec_and_avoid_the_standard_streams) {
    int saved = dup(STDIN_FILENO);
    (void)close(STDIN_FILENO);
    struct fst_file *file = open_new("f");
    cr_assert_eq(fcntl(STDIN_FILENO, F_GETFD), -1, "standard input must stay closed");
    int descriptor = descriptor_of("f");
    cr_assert_geq(descriptor, 3);
    cr_assert_eq(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    env->file_close(env, file);
    env->file_close(env, NULL);
    (void)dup2(saved, STDIN_FILENO);
}

Test(env_posix_file, no_free_descriptor_is_full_and_leaks_nothing) {
    struct fst_test_env *test = fst_test_env_create();
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 0;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    struct fst_file *file = NULL;
    enum faster_status status = fst_test_env_get(test)->file_open(
        fst_test_env_get(test), at("f"), FST_OPEN_WRITE | FST_OPEN_CREATE, 0600, &file);
    enum faster_status synced = env->directory_sync(env, directory);
    limit.rlim_cur = before;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(status, FASTER_FULL);
    cr_assert_eq(synced, FASTER_FULL);
    cr_assert_eq(fst_test_env_live_allocations(test), 0u);
    fst_test_env_destroy(test);
}

/* -------------------------------------------------------- read and write */

Test(env_posix_file, reads_return_what_was_written_up_to_the_end) {
    struct fst_file *file = open_new("f");
    char bytes[10];
    size_t done = 99;
    uint64_t size_bytes = 99;
    cr_assert_eq(env->file_read(env, file, 0, bytes, sizeof bytes, &done), FASTER_OK);
    cr_assert_eq(done, 0u);
    cr_assert_eq(env->file_write(env, file, 3, "abcdef", 6), FASTER_OK);
    cr_assert_eq(env->file_write(env, file, 100, "z", 0), FASTER_OK);
    cr_assert_eq(env->file_sync(env, file), FASTER_OK);
    cr_assert_eq(env->file_size(env, file, &size_bytes), FASTER_OK);
    cr_assert_eq(size_bytes, 9u);
    cr_assert_eq(env->file_read(env, file, 2, bytes, sizeof bytes, &done), FASTER_OK);
    cr_assert_eq(done, 7u);
    cr_assert_eq(memcmp(bytes, "\0abcdef", 7), 0);
    cr_assert_eq(env->file_read(env, file, 9, bytes, 1, &done), FASTER_OK);
    cr_assert_eq(done, 0u);
    env->file_close(env, file);
}

Test(env_posix_file, truncate_cuts_and_extends_with_zeroes) {
    struct fst_file *file = open_new("f");
    char bytes[8];
    size_t done;
    uint64_t size_bytes;
    cr_assert_eq(env->file_write(env, file, 0, "abcdef", 6), FASTER_OK);
    cr_assert_eq(env->file_truncate(env, file, 2), FASTER_OK);
    cr_assert_eq(env->file_truncate(env, file, 5), FASTER_OK);
    cr_assert_eq(env->file_size(env, file, &size_bytes), FASTER_OK);
    cr_assert_eq(size_bytes, 5u);
    cr_assert_eq(env->file_read(env, file, 0, bytes, sizeof bytes, &done), FASTER_OK);
    cr_assert_eq(done, 5u);
    cr_assert_eq(memcmp(bytes, "ab\0\0\0", 5), 0);
    cr_assert_eq(env->file_truncate(env, file, 0), FASTER_OK);
    env->file_close(env, file);
}

Test(env_posix_file, offsets_the_system_cannot_express_are_errors) {
    struct fst_file *file = open_new("f");
    char byte = 'x';
    size_t done = 99;
    const uint64_t too_far = INT64_MAX;
    cr_assert_eq(env->file_write(env, file, too_far, &byte, 1), FASTER_FULL);
    cr_assert_eq(env->file_write(env, file, UINT64_MAX, &byte, 1), FASTER_FULL);
    cr_assert_eq(env->file_truncate(env, file, UINT64_MAX), FASTER_FULL);
    cr_assert_eq(env->file_read(env, file, UINT64_MAX, &byte, 1, &done), FASTER_IO);
    cr_assert_eq(done, 0u);
    env->file_close(env, file);
}

/* SIGXFSZ has its default action here and would end this process. */
Test(env_posix_file, file_size_limit_is_full_without_a_signal) {
    struct fst_file *file = open_new("f");
    const struct rlimit limit = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};
    struct rlimit before;
    char bytes[8192] = {0};
    uint64_t size_bytes;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    enum faster_status across = env->file_write(env, file, 0, bytes, sizeof bytes);
    enum faster_status beyond = env->file_write(env, file, 4096, bytes, 1);
    enum faster_status within = env->file_write(env, file, 4000, bytes, 96);
    enum faster_status longer = env->file_truncate(env, file, 4097);
    enum faster_status just = env->file_truncate(env, file, 4096);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    cr_assert_eq(across, FASTER_FULL);
    cr_assert_eq(beyond, FASTER_FULL);
    cr_assert_eq(within, FASTER_OK);
    cr_assert_eq(longer, FASTER_FULL);
    cr_assert_eq(just, FASTER_OK);
    cr_assert_eq(env->file_size(env, file, &size_bytes), FASTER_OK);
    cr_assert_eq(size_bytes, 4096u);
    env->file_close(env, file);
}

/* ------------------------------------------------------------------ lock */

Test(env_posix_file, lock_excludes_another_open_file_until_closed) {
    struct fst_file *owner = open_new("lock");
    struct fst_file *other;
    struct fst_file *third;
    cr_assert_eq(env->file_open(env, at("lock"), FST_OPEN_WRITE, 0, &other), FASTER_OK);
    cr_assert_eq(env->file_open(env, at("lock"), FST_OPEN_READ, 0, &third), FASTER_OK);
    cr_assert_eq(env->file_lock(env, owner), FASTER_OK);
    cr_assert_eq(env->file_lock(env, owner), FASTER_OK, "an owner may ask again");
    cr_assert_eq(env->file_lock(env, other), FASTER_BUSY);
    env->file_close(env, third); /* a POSIX record lock would be lost here */
    cr_assert_eq(env->file_lock(env, other), FASTER_BUSY);
    env->file_close(env, owner);
    cr_assert_eq(env->file_lock(env, other), FASTER_OK);
    env->file_close(env, other);
}

/* ----------------------------------------------------- names, ownership */

Test(env_posix_file, path_info_tells_kinds_apart_and_follows_only_on_request) {
    struct fst_file_info info;
    struct fst_file_info target;
    struct fst_file *file = open_new("f");
    cr_assert_eq(env->file_write(env, file, 0, "abc", 3), FASTER_OK);
    env->file_close(env, file);
    cr_assert_eq(symlink("f", at("link")), 0);
    cr_assert_eq(mkfifo(at("fifo"), 0600), 0);

    cr_assert_eq(env->path_info(env, at("f"), &target), FASTER_OK);
    cr_assert_eq(target.kind, FST_FILE_REGULAR);
    cr_assert_eq(target.size_bytes, 3u);
    cr_assert_eq(target.mode, 0600u);
    cr_assert_eq(target.user, (uint32_t)geteuid());
    cr_assert_eq(env->path_info(env, at("link"), &info), FASTER_OK);
    cr_assert_eq(info.kind, FST_FILE_OTHER);
    cr_assert_eq(env->path_info_follow(env, at("link"), &info), FASTER_OK);
    cr_assert_eq(info.kind, FST_FILE_REGULAR);
    cr_assert_eq(info.inode, target.inode);
    cr_assert_eq(info.device, target.device);
    cr_assert_eq(env->path_info(env, at("fifo"), &info), FASTER_OK);
    cr_assert_eq(info.kind, FST_FILE_OTHER);
    cr_assert_eq(env->path_info(env, directory, &info), FASTER_OK);
    cr_assert_eq(info.kind, FST_FILE_DIRECTORY);
    cr_assert_eq(env->path_info(env, at("none"), &info), FASTER_MISSING);
    cr_assert_eq(env->path_info_follow(env, at("none"), &info), FASTER_MISSING);
}

Test(env_posix_file, own_sets_the_mode_and_where_permitted_the_owner) {
    struct fst_file *file = open_new("f");
    struct fst_file_info info;
    uint32_t user = geteuid() == 0 ? 65534u : (uint32_t)geteuid();
    cr_assert_eq(env->file_own(env, file, 0640, user, (uint32_t)getegid()), FASTER_OK);
    cr_assert_eq(env->path_info(env, at("f"), &info), FASTER_OK);
    cr_assert_eq(info.mode, 0640u);
    cr_assert_eq(info.user, user);
    cr_assert_eq(env->directory_create(env, at("d"), 0700), FASTER_OK);
    cr_assert_eq(env->directory_own(env, at("d"), 0750, user, (uint32_t)getegid()), FASTER_OK);
    cr_assert_eq(env->path_info(env, at("d"), &info), FASTER_OK);
    cr_assert_eq(info.mode, 0750u);
    cr_assert_eq(info.user, user);
    cr_assert_eq(env->directory_own(env, at("none"), 0700, 0, 0), FASTER_MISSING);
    env->file_close(env, file);
}

Test(env_posix_file, own_without_the_right_to_give_away_is_no_failure) {
    if (geteuid() == 0) {
        cr_assert_eq(chmod(directory, 0777), 0);
        cr_assert_eq(seteuid(65534), 0);
    }
    struct fst_file *file = open_new("f");
    struct fst_file_info info;
    cr_assert_eq(env->file_own(env, file, 0644, 12345, 12345), FASTER_OK);
    cr_assert_eq(env->path_info(env, at("f"), &info), FASTER_OK);
    cr_assert_eq(info.mode, 0644u);
    cr_assert_eq(info.user, (uint32_t)geteuid());
    env->file_close(env, file);
    if (getuid() == 0) {
        cr_assert_eq(seteuid(0), 0);
    }
}

Test(env_posix_file, directories_are_made_synced_and_removed_when_empty) {
    cr_assert_eq(env->directory_create(env, at("d"), 0700), FASTER_OK);
    cr_assert_eq(env->directory_create(env, at("d"), 0700), FASTER_EXISTS);
    cr_assert_eq(env->directory_sync(env, at("d")), FASTER_OK);
    cr_assert_eq(env->directory_sync(env, at("none")), FASTER_MISSING);
    char below[512];
    (void)snprintf(below, sizeof below, "%s/d/e", directory);
    cr_assert_eq(env->directory_create(env, below, 0700), FASTER_OK);
    cr_assert_eq(env->directory_remove(env, at("d")), FASTER_EXISTS);
    cr_assert_eq(env->directory_remove(env, below), FASTER_OK);
    cr_assert_eq(env->directory_remove(env, at("d")), FASTER_OK);
    cr_assert_eq(env->directory_remove(env, at("d")), FASTER_MISSING);
}

struct listing {
    int count;
    int count_max;
    bool saw_f;
};

static bool see_name(void *context, const char *name) {
    struct listing *listing = context;
    cr_assert_neq(name[0], '.');
    listing->count++;
    listing->saw_f = listing->saw_f || strcmp(name, "f") == 0;
    return listing->count < listing->count_max;
}

Test(env_posix_file, list_names_each_entry_and_stops_when_told) {
    struct listing empty = {.count_max = 100};
    cr_assert_eq(env->directory_list(env, directory, see_name, &empty), FASTER_OK);
    cr_assert_eq(empty.count, 0);
    env->file_close(env, open_new("f"));
    env->file_close(env, open_new("g"));
    cr_assert_eq(env->directory_create(env, at("d"), 0700), FASTER_OK);
    struct listing all = {.count_max = 100};
    cr_assert_eq(env->directory_list(env, directory, see_name, &all), FASTER_OK);
    cr_assert_eq(all.count, 3);
    cr_assert(all.saw_f);
    struct listing one = {.count_max = 1};
    cr_assert_eq(env->directory_list(env, directory, see_name, &one), FASTER_OK);
    cr_assert_eq(one.count, 1);
    cr_assert_eq(env->directory_list(env, at("none"), see_name, &all), FASTER_MISSING);
    cr_assert_eq(env->directory_list(env, at("f"), see_name, &all), FASTER_MISSING);
}

Test(env_posix_file, rename_replaces_and_remove_removes) {
    struct fst_file *file = open_new("new");
    cr_assert_eq(env->file_write(env, file, 0, "new", 3), FASTER_OK);
    env->file_close(env, file);
    env->file_close(env, open_new("old"));
    cr_assert_eq(env->path_rename(env, at("new"), at("old")), FASTER_OK);
    cr_assert_not(exists("new"));
    struct fst_file_info info;
    cr_assert_eq(env->path_info(env, at("old"), &info), FASTER_OK);
    cr_assert_eq(info.size_bytes, 3u);
    cr_assert_eq(env->path_rename(env, at("new"), at("old")), FASTER_MISSING);
    cr_assert_eq(env->path_remove(env, at("old")), FASTER_OK);
    cr_assert_eq(env->path_remove(env, at("old")), FASTER_MISSING);
    cr_assert_eq(symlink("nowhere", at("link")), 0);
    cr_assert_eq(env->path_remove(env, at("link")), FASTER_OK);
}
