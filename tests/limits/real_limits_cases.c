/* real_limits_cases.c - each limit, set, met and lifted. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "real_limits.h"

#define WRITES_MAX 3000
#define LONG_VALUE_BYTES (UINT64_C(8) << 20)

/* Writes until it fails, and returns how. */
static enum client_code write_until_failure(struct world *world) {
    for (int i = 0; i < WRITES_MAX; i++) {
        enum client_code code = world_write(world, 20);
        if (code != CLIENT_OK) {
            return code;
        }
    }
    test_fail("the limit was never met");
}

static void write_some(struct world *world) {
    for (int i = 0; i < 20; i++) {
        world_must(world, world_write(world, 50), "writing");
    }
}

/* --------------------------------------------------------------- a full disk */

/* Leaves `left_bytes` of the disk. */
static void fill_disk(const struct world *world, uint64_t left_bytes) {
    char path[TEST_PATH_BYTES];
    struct statvfs status;
    path_format(path, "%s/ballast", world->disk);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || statvfs(world->disk, &status) != 0) {
        test_fail("%s: %s", path, strerror(errno));
    }
    uint64_t free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    off_t have = lseek(file, 0, SEEK_END);
    if (free_bytes > left_bytes &&
        posix_fallocate(file, have, (off_t)(free_bytes - left_bytes)) != 0 && left_bytes != 0) {
        test_fail("%s cannot be made large enough", path);
    }
    /* To the last block: what a larger piece does not fit, a smaller one does. */
    while (left_bytes == 0 && write(file, path, sizeof path) > 0) {
    }
    close(file);
}

static void free_disk(const struct world *world) {
    char path[TEST_PATH_BYTES];
    path_format(path, "%s/ballast", world->disk);
    if (unlink(path) != 0) {
        test_fail("%s: %s", path, strerror(errno));
    }
    sync(); /* ext4 gives the blocks back with its next commit */
}

static void full_while_writing(struct world *world) {
    world_open(world);
    write_some(world);
    fill_disk(world, 1 << 20);
    world_expect(world, write_until_failure(world), CLIENT_FULL, "full");
    world_check(world, "on a full disk");
    for (int i = 0; i < 3; i++) {
        enum client_code code = world_write(world, 20);
        if (code != CLIENT_OK && code != CLIENT_FULL) {
            world_must(world, code, "once more on a full disk");
        }
    }
    world_check(world, "on a full disk, again");
    free_disk(world);
    world_go_on(world);
}

/* With rows that no checkpoint has, so that it must write; what it lacks is in its own files. */
static void full_at_a_checkpoint(struct world *world) {
    world_open(world);
    write_some(world);
    world_must(world, client_checkpoint(&world->client), "a checkpoint");
    world_must(world, world_write(world, 5), "writing");
    fill_disk(world, 0);
    world_expect(world, client_checkpoint(&world->client), CLIENT_FULL, "full");
    world_check(world, "after the checkpoint");
    free_disk(world);
    world_must(world, client_checkpoint(&world->client), "the checkpoint again");
    world_go_on(world);
}

/* The index doubles in memory alone. */
static void full_while_growing(struct world *world) {
    world_open(world);
    write_some(world);
    fill_disk(world, 0);
    world_must(world, client_grow(&world->client), "growth on a full disk");
    world_check(world, "after growth");
    free_disk(world);
    world_go_on(world);
}

static void full_when_created(struct world *world) {
    struct stat status;
    fill_disk(world, 0);
    world_expect(world, client_open(&world->client, &world->config, NULL), CLIENT_FULL, "full");
    if (!world->config.is_sql && stat(world->config.directory, &status) == 0) {
        test_fail("a store that could not be made has left its directory");
    }
    free_disk(world);
    world_open(world);
    write_some(world);
    world_go_on(world);
}

/* ------------------------------------------------------------ limits of a process */

static struct rlimit limit_before;

static void set_limit(int resource, uint64_t limit) {
    struct rlimit new_limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit_before) != 0) {
        test_fail("getrlimit: %s", strerror(errno));
    }
    new_limit = limit_before;
    new_limit.rlim_cur = limit;
    if (setrlimit((__rlimit_resource_t)resource, &new_limit) != 0) {
        test_fail("setrlimit: %s", strerror(errno));
    }
}

static void lift_limit(int resource) {
    if (setrlimit((__rlimit_resource_t)resource, &limit_before) != 0) {
        test_fail("setrlimit: %s", strerror(errno));
    }
}

/* The system ends a process that writes beyond the limit by SIGXFSZ, unless it does something about
 * that. The engine may not, and so must not write there. SQLite's own files do grow there when
 * FASTER's transactions are in its journal; it does not look, and calls the error SQLITE_IOERR. */
static void largest_file(struct world *world) {
    world_open(world);
    write_some(world);
    if (world->config.is_sql && !world->config.is_direct) {
        (void)signal(SIGXFSZ, SIG_IGN);
    }
    set_limit(RLIMIT_FSIZE, 4 << 20);
    enum client_code code = write_until_failure(world);
    if (!world->config.is_sql || world->config.is_direct || code != CLIENT_IO) {
        world_expect(world, code, CLIENT_FULL, "a file is as large as the process may make it");
    }
    world_check(world, "with files at their limit");
    lift_limit(RLIMIT_FSIZE);
    world_go_on(world);
}

/* The lowest descriptor that is free. */
static int lowest_free(void) {
    int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(lowest);
    return lowest;
}

/* The log goes on in a file that cannot be opened. Those that are open already may be read. */
static void no_descriptor(struct world *world) {
    world_open(world);
    for (int i = 0; i < 3; i++) {
        write_some(world);
    }
    world_must(world, client_checkpoint(&world->client), "a checkpoint");
    client_close(&world->client);
    world_open(world);
    world_must(world, world_write(world, 1), "writing");
    set_limit(RLIMIT_NOFILE, (uint64_t)lowest_free());
    uint64_t count = 0;
    enum client_code code = client_count(&world->client, &count);
    if (code != CLIENT_OK) { /* the engine's reads have no text: the code says it all */
        world_expect(world, code, CLIENT_FULL, world->config.is_sql ? "descriptor" : "");
    }
    world_expect(world, write_until_failure(world), CLIENT_FULL, "descriptor");
    code = client_checkpoint(&world->client);
    if (code == CLIENT_IO) { /* a transactional table's begins with a sync of the database */
        world_expect(world, code, CLIENT_IO, "database could not be synced");
    } else if (code != CLIENT_OK) {
        world_expect(world, code, CLIENT_FULL, "descriptor");
    }
    lift_limit(RLIMIT_NOFILE);
    world_go_on(world);
}

/* From none on, one more each time, until it opens. */
static void few_descriptors_to_open(struct world *world) {
    world_open(world);
    write_some(world);
    client_close(&world->client);
    int lowest = lowest_free();
    enum client_code code = CLIENT_OTHER;
    int tries = 0;
    for (; tries < 100 && code != CLIENT_OK; tries++) {
        set_limit(RLIMIT_NOFILE, (uint64_t)(lowest + tries));
        code = client_open(&world->client, &world->config, NULL);
        lift_limit(RLIMIT_NOFILE);
        if (code != CLIENT_OK && code != CLIENT_FULL && code != CLIENT_IO) {
            world_must(world, code, "opening with few descriptors");
        }
        if (code != CLIENT_OK && lowest_free() != lowest) {
            test_fail("an open that failed has left a descriptor");
        }
    }
    world_must(world, code, "opening with 100 descriptors");
    if (tries < 2) {
        test_fail("the limit was never met");
    }
    world_go_on(world);
}

static uint64_t address_space_bytes(void) {
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long pages = 0;
    if (file == NULL || fscanf(file, "%llu", &pages) != 1) {
        test_fail("/proc/self/statm: %s", strerror(errno));
    }
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void no_memory(struct world *world) {
    char *value = calloc(1, LONG_VALUE_BYTES);
    struct text text = {0};
    /* So that what is freed goes back to the system. */
    mallopt(M_MMAP_THRESHOLD, 64 << 10);
    mallopt(M_TRIM_THRESHOLD, 64 << 10);
    world_open(world);
    write_some(world);
    world_must(world, client_put(&world->client, "long", value, LONG_VALUE_BYTES), "a long value");
    world_must(world, client_commit(&world->client), "a long value");
    set_limit(RLIMIT_AS, address_space_bytes() + (1 << 20));
    world_expect(world, client_get(&world->client, "long", &text), CLIENT_NOMEM, "");
    world_check(world, "without memory");
    lift_limit(RLIMIT_AS);
    world_must(world, client_get(&world->client, "long", &text), "a long value, with memory");
    if (text.size_bytes != LONG_VALUE_BYTES || memcmp(text.data, value, LONG_VALUE_BYTES) != 0) {
        test_fail("the long value is another one");
    }
    text_finish(&text);
    free(value);
    world_go_on(world);
}

/* A store that cannot have its memory is not opened. */
static void no_memory_to_open(struct world *world) {
    world_open(world);
    write_some(world);
    client_close(&world->client);
    set_limit(RLIMIT_AS, address_space_bytes() + (256 << 10));
    enum client_code code = client_open(&world->client, &world->config, NULL);
    if (code == CLIENT_OK) { /* a table's store is opened by its first use */
        uint64_t count = 0;
        code = client_count(&world->client, &count);
        client_close(&world->client);
    }
    lift_limit(RLIMIT_AS);
    world_expect(world, code, CLIENT_NOMEM, "");
    world_open(world);
    world_go_on(world);
}

/* ------------------------------------------------------------ a memory cgroup */

#define CGROUPS "/sys/fs/cgroup/memory"

void limit_cgroup(pid_t pid, char path[TEST_PATH_BYTES]) {
    path_format(path, CGROUPS "/faster-limits-%d", (int)pid);
}

static bool write_text(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    if (file >= 0) {
        close(file);
    }
    return is_written;
}

/* Writes and reads ten times its memory within a group that has little more. The system ends a
 * process that needs more. */
static void within_a_cgroup(struct world *world) {
    char group[TEST_PATH_BYTES], path[TEST_PATH_BYTES], text[40];
    limit_cgroup(getpid(), group);
    if (mkdir(group, 0755) != 0) {
        printf("SKIPPED: a memory cgroup cannot be made: %s\n", strerror(errno));
        fflush(stdout);
        _exit(TEST_EXIT_SKIP);
    }
    path_format(path, "%s/memory.limit_in_bytes", group);
    snprintf(text, sizeof text, "%llu",
             (unsigned long long)(world->config.memory_bytes + (16 << 20)));
    bool is_set = write_text(path, text);
    path_format(path, "%s/cgroup.procs", group);
    snprintf(text, sizeof text, "%d", (int)getpid());
    is_set = is_set && write_text(path, text);
    if (is_set) {
        world_open(world);
        write_some(world);
        world_check(world, "within a cgroup");
        world_go_on(world);
    }
    bool is_out = write_text(CGROUPS "/cgroup.procs", text);
    if (!is_set || !is_out || rmdir(group) != 0) {
        test_fail("%s: %s", group, strerror(errno));
    }
}

#define MIB (UINT64_C(1) << 20)
#define SMALL_SEGMENT (UINT64_C(64) << 10)

const struct limit_case limit_cases[] = {
    {"full_while_writing", 2 * MIB, SMALL_SEGMENT, full_while_writing},
    {"full_at_a_checkpoint", 2 * MIB, SMALL_SEGMENT, full_at_a_checkpoint},
    {"full_while_growing", 32 * MIB, SMALL_SEGMENT, full_while_growing},
    {"full_when_created", 2 * MIB, SMALL_SEGMENT, full_when_created},
    {"largest_file", 2 * MIB, 64 * MIB, largest_file},
    {"no_descriptor", 2 * MIB, SMALL_SEGMENT, no_descriptor},
    {"few_descriptors_to_open", 2 * MIB, SMALL_SEGMENT, few_descriptors_to_open},
    {"no_memory", 2 * MIB, SMALL_SEGMENT, no_memory},
    {"no_memory_to_open", 2 * MIB, SMALL_SEGMENT, no_memory_to_open},
    {"within_a_cgroup", 2 * MIB, SMALL_SEGMENT, within_a_cgroup},
    {NULL, 0, 0, NULL},
};
