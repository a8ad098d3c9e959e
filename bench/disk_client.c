/* disk_client.c - reads of the disk by io_uring alone, the limit that the engine's reads from
 * disk are measured against.
 *
 * A step of so many operations reads as many sectors of 512 bytes, drawn anew each time from the
 * log that the engine has just written, all in flight at once, and waits for them: what the
 * engine would do if it had nothing to look up, nothing in memory and nothing to check.
 */
#include "client.h"

#ifndef FST_HAS_URING

#include <stdio.h>

struct bench_client *bench_disk_client(const char *directory) {
    (void)directory;
    fputs("disk: built without io_uring\n", stderr);
    return NULL;
}

#else

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 4096u
#define SECTOR_BYTES 512u
#define MEMORY_ALIGNMENT 4096u

struct disk_client {
    struct bench_client client;
    struct io_uring ring;
    unsigned char *memory; /* BENCH_BATCH_MAX sectors */
    uint32_t file_count;
    int files[FILES_MAX];
    uint32_t sectors[FILES_MAX]; /* in each file */
};

static struct disk_client *disk_of(struct bench_client *client) {
    return (struct disk_client *)client; /* its first member */
}

static void prepare_read(struct disk_client *disk, struct bench_random *random, uint32_t slot) {
    const uint32_t file = bench_random_below(random, disk->file_count);
    const uint64_t sector = bench_random_below(random, disk->sectors[file]);
    struct io_uring_sqe *entry = io_uring_get_sqe(&disk->ring);
    io_uring_prep_read(entry, disk->files[file], disk->memory + (size_t)slot * SECTOR_BYTES,
                       SECTOR_BYTES, sector * SECTOR_BYTES);
}

static bool disk_step(struct bench_client *client, const struct bench_step *step) {
    struct disk_client *disk = disk_of(client);
    for (uint32_t i = 0; i < step->count; i++) {
        prepare_read(disk, step->random, i);
    }
    if (io_uring_submit_and_wait(&disk->ring, step->count) != (int)step->count) {
        fputs("disk: reads were not taken\n", stderr);
        return false;
    }
    for (uint32_t i = 0; i < step->count; i++) {
        struct io_uring_cqe *entry;
        const int status = io_uring_wait_cqe(&disk->ring, &entry);
        if (status != 0 || entry->res != (int)SECTOR_BYTES) {
            fprintf(stderr, "disk: a read failed: %s\n",
                    strerror(status != 0      ? -status
                             : entry->res < 0 ? -entry->res
                                              : EIO));
            return false;
        }
        io_uring_cqe_seen(&disk->ring, entry);
    }
    return true;
}

static bool disk_end_phase(struct bench_client *client) {
    (void)client;
    return true;
}

static void disk_close(struct bench_client *client) {
    struct disk_client *disk = disk_of(client);
    for (uint32_t i = 0; i < disk->file_count; i++) {
        (void)close(disk->files[i]);
    }
    io_uring_queue_exit(&disk->ring);
    free(disk->memory);
    free(disk);
}

/* Opens the store's segments, past the page cache. */
static bool open_segments(struct disk_client *disk, const char *directory) {
    DIR *list = opendir(directory);
    const struct dirent *entry;
    while (list != NULL && disk->file_count < FILES_MAX && (entry = readdir(list)) != NULL) {
        struct stat about;
        if (strncmp(entry->d_name, "log.", 4) != 0) {
            continue;
        }
        const int file =
            openat(dirfd(list), entry->d_name, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW);
        if (file >= 0 && fstat(file, &about) == 0 && about.st_size >= (off_t)SECTOR_BYTES) {
            disk->sectors[disk->file_count] = (uint32_t)(about.st_size / SECTOR_BYTES);
            disk->files[disk->file_count++] = file;
        } else if (file >= 0) {
            (void)close(file);
        }
    }
    if (list != NULL) {
        (void)closedir(list);
    }
    return disk->file_count > 0;
}

struct bench_client *bench_disk_client(const char *directory) {
    static const struct bench_client_kind kind = {disk_step, disk_end_phase, disk_close};
    struct disk_client *disk = calloc(1, sizeof *disk);
    if (disk == NULL) {
        fputs("disk: no memory\n", stderr);
        return NULL;
    }
    disk->client.kind = &kind;
    disk->memory = aligned_alloc(MEMORY_ALIGNMENT, BENCH_BATCH_MAX * SECTOR_BYTES);
    if (disk->memory == NULL || io_uring_queue_init(BENCH_BATCH_MAX, &disk->ring, 0) != 0) {
        fputs("disk: no memory, or no io_uring\n", stderr);
        free(disk->memory);
        free(disk);
        return NULL;
    }
    if (!open_segments(disk, directory)) {
        fputs("disk: no file of the log can be opened past the page cache\n", stderr);
        disk_close(&disk->client);
        return NULL;
    }
    return &disk->client;
}

#endif
