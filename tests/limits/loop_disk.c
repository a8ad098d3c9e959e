/* loop_disk.c - see loop_disk.h. Needs Linux, root, loop devices and mkfs.ext4. */
#include "loop_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* ext4's, which no header of the system gives to programs. */
#define EXT4_SHUTDOWN _IOR('X', 125, uint32_t)
#define EXT4_SHUTDOWN_LOG_FLUSH 1u
#define EXT4_SHUTDOWN_NO_LOG_FLUSH 2u

#define TRIES_MAX 100

static struct {
    pid_t owner; /* only this process takes it away */
    bool is_mounted;
    int memory;
    int device; /* kept open, so that the device stays through a restart */
    char device_path[64];
    char path[TEST_PATH_BYTES];
} disk = {.memory = -1, .device = -1};

static void take_away(void) {
    if (disk.path[0] != 0 && disk.owner == getpid()) {
        (void)umount2(disk.path, MNT_DETACH);
        (void)rmdir(disk.path);
    }
}

/* Calls of the system only: they may be made in a handler. */
static void end_by_signal(int number) {
    take_away();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void skip(const char *what) {
    printf("SKIPPED: %s\n", what);
    exit(TEST_EXIT_SKIP);
}

static void require_namespace(void) {
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        skip("mounting a file system needs root's rights");
    }
}

/* Runs mkfs.ext4, quietly; the exit code, or -1. */
static int run_mkfs(const char *argument) {
    pid_t pid = fork();
    if (pid == 0) {
        int nowhere = open("/dev/null", O_RDWR);
        (void)dup2(nowhere, 1);
        (void)dup2(nowhere, 2);
        /* Root's PATH has no /sbin everywhere. */
        const char *path = getenv("PATH");
        char longer[4096];
        snprintf(longer, sizeof longer, "%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
        setenv("PATH", longer, 1);
        execlp("mkfs.ext4", "mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-N", "2048", "-J",
               "size=4", "-E", "lazy_itable_init=0,nodiscard", argument, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                           : -1;
}

/* A free loop device over `memory`, or -1. Other processes look for one, too. */
static int attach(int memory, char path[64]) {
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int device = -1;
    for (int i = 0; control >= 0 && device < 0 && i < TRIES_MAX; i++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        snprintf(path, 64, "/dev/loop%d", number);
        device = number >= 0 ? open(path, O_RDWR | O_CLOEXEC) : -1;
        struct loop_config config = {.fd = (uint32_t)memory,
                                     .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
        if (device >= 0 && ioctl(device, LOOP_CONFIGURE, &config) != 0) {
            bool is_taken = errno == EBUSY;
            close(device);
            device = -1;
            i = is_taken ? i : TRIES_MAX;
        }
    }
    if (control >= 0) {
        close(control);
    }
    return device;
}

static int make_memory(uint64_t size_bytes) {
    int memory = memfd_create("faster-loop-disk", MFD_CLOEXEC);
    if (memory < 0 || ftruncate(memory, (off_t)size_bytes) != 0) {
        test_fail("no memory for a disk: %s", strerror(errno));
    }
    return memory;
}

void loop_disk_require(void) {
    struct sigaction action = {.sa_handler = end_by_signal};
    char path[64];
    disk.owner = getpid();
    require_namespace();
    int memory = make_memory(16 << 20);
    int device = attach(memory, path);
    if (device < 0) {
        skip("no loop device is to be had");
    }
    if (run_mkfs(path) != 0) {
        skip("mkfs.ext4 is missing (Debian: e2fsprogs)");
    }
    close(device);
    close(memory);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    atexit(take_away);
    loop_disk_make(16 << 20, "", disk.path);
    int root = open(disk.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint32_t flag = EXT4_SHUTDOWN_NO_LOG_FLUSH;
    bool can_cut = ioctl(root, EXT4_SHUTDOWN, &flag) == 0;
    close(root);
    loop_disk_remove();
    if (!can_cut) {
        skip("this system's ext4 has no shutdown ioctl");
    }
}

static void mount_disk(const char *mount_options) {
    if (mount(disk.device_path, disk.path, "ext4", MS_NOATIME, mount_options) != 0) {
        skip("ext4 cannot be mounted");
    }
    disk.is_mounted = true;
}

void loop_disk_make(uint64_t size_bytes, const char *mount_options, char path[TEST_PATH_BYTES]) {
    char directory[TEST_PATH_BYTES];
    directory_make(directory, "disk");
    path_format(disk.path, "%s", directory);
    disk.memory = make_memory(size_bytes);
    disk.device = attach(disk.memory, disk.device_path);
    if (disk.device < 0 || run_mkfs(disk.device_path) != 0) {
        test_fail("no file system on %s", disk.device_path);
    }
    mount_disk(mount_options);
    if (path != disk.path) {
        path_format(path, "%s", disk.path);
    }
}

const char *loop_disk_path(void) {
    return disk.path;
}

/* A process that was killed a moment ago may still be on its way out. */
static void unmount_disk(void) {
    int code = 0;
    for (int i = 0; i < TRIES_MAX && (code = umount2(disk.path, 0)) != 0 && errno == EBUSY; i++) {
        usleep(20000);
    }
    if (code != 0) {
        test_fail("cannot unmount %s: %s", disk.path, strerror(errno));
    }
    disk.is_mounted = false;
}

void loop_disk_remove(void) {
    unmount_disk();
    (void)rmdir(disk.path);
    close(disk.device);
    close(disk.memory);
    disk.path[0] = 0;
    disk.device = disk.memory = -1;
}

void loop_disk_cut(bool journal_written) {
    uint32_t flag = journal_written ? EXT4_SHUTDOWN_LOG_FLUSH : EXT4_SHUTDOWN_NO_LOG_FLUSH;
    int root = open(disk.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || ioctl(root, EXT4_SHUTDOWN, &flag) != 0) {
        test_fail("the power of %s cannot be cut: %s", disk.path, strerror(errno));
    }
    close(root);
}

void loop_disk_restart(const char *mount_options) {
    unmount_disk();
    mount_disk(mount_options);
}
