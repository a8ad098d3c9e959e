/* raw_client.c - measurements of io_uring with O_DIRECT alone: the devices' limit. */
#include "device_bench.h"

#ifndef FST_HAS_URING

bool raw_reads(struct bench *bench, unsigned variant, size_t read_bytes, unsigned depth,
               struct sample *sample) {
    (void)bench, (void)variant, (void)read_bytes, (void)depth, (void)sample;
    return false;
}

bool raw_appends(struct bench *bench, unsigned variant, struct sample *sample) {
    (void)bench, (void)variant, (void)sample;
    return false;
}

#else

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <string.h>
#include <unistd.h>

#include "shapes/format.h"

#define FILES_MAX 1024u
#define SQPOLL_IDLE_MS 100u

struct raw {
    struct io_uring ring;
    int files[FILES_MAX];
    unsigned file_count;
    unsigned variant;
    bool has_ring;
};

static bool open_files(const struct bench *bench, struct raw *raw) {
    char path[4096];

    for (uint64_t i = 0; i < bench->log_bytes >> SEGMENT_BITS && i < FILES_MAX; i++) {
        segment_path(bench, i, path);
        raw->files[i] = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
        if (raw->files[i] < 0) {
            return false;
        }
        raw->file_count++;
    }
    return raw->file_count > 0;
}

static bool open_ring(const struct bench *bench, struct raw *raw) {
    struct io_uring_params params = {0};
    struct iovec memory = {bench->memory, DEPTH_MAX * SLOT_BYTES};

    if ((raw->variant & RAW_SQPOLL) != 0) {
        params.flags |= IORING_SETUP_SQPOLL;
        params.sq_thread_idle = SQPOLL_IDLE_MS;
    }
    if ((raw->variant & RAW_IOPOLL) != 0) {
        params.flags |= IORING_SETUP_IOPOLL;
    }
    if ((raw->variant & RAW_COOP) != 0) {
        params.flags |= IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    }
    raw->has_ring = io_uring_queue_init_params(DEPTH_MAX, &raw->ring, &params) == 0;
    return raw->has_ring &&
           ((raw->variant & RAW_FILES) == 0 ||
            io_uring_register_files(&raw->ring, raw->files, raw->file_count) == 0) &&
           ((raw->variant & RAW_BUFFERS) == 0 ||
            io_uring_register_buffers(&raw->ring, &memory, 1) == 0);
}

static void close_raw(struct raw *raw) {
    for (unsigned i = 0; i < raw->file_count; i++) {
        (void)close(raw->files[i]);
    }
    if (raw->has_ring) {
        io_uring_queue_exit(&raw->ring);
    }
}

static void prepare(struct bench *bench, struct raw *raw, unsigned slot, size_t read_bytes) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&raw->ring);
    const uint64_t random = draw(bench);
    const unsigned file = (unsigned)(random % raw->file_count);
    const int descriptor = (raw->variant & RAW_FILES) != 0 ? (int)file : raw->files[file];
    const uint64_t offset =
        FST_SEGMENT_HEADER_BYTES +
        (random >> 20) % ((UINT64_C(1) << SEGMENT_BITS) / read_bytes) * read_bytes;
    unsigned char *memory = bench->memory + slot * SLOT_BYTES;

    if ((raw->variant & RAW_BUFFERS) != 0) {
        io_uring_prep_read_fixed(entry, descriptor, memory, (unsigned)read_bytes, offset, 0);
    } else {
        io_uring_prep_read(entry, descriptor, memory, (unsigned)read_bytes, offset);
    }
    if ((raw->variant & RAW_FILES) != 0) {
        entry->flags |= IOSQE_FIXED_FILE;
    }
    io_uring_sqe_set_data64(entry, slot);
}

/* Takes what has completed and asks for as many again; false: the system refuses such reads. */
static bool turn(struct bench *bench, struct raw *raw, size_t read_bytes, bool over,
                 unsigned *in_flight, uint64_t *count) {
    struct io_uring_cqe *entries[DEPTH_MAX];
    const unsigned got = io_uring_peek_batch_cqe(&raw->ring, entries, DEPTH_MAX);
    bool refused = false;

    for (unsigned i = 0; i < got; i++) {
        const unsigned slot = (unsigned)io_uring_cqe_get_data64(entries[i]);
        if (entries[i]->res == -EOPNOTSUPP || entries[i]->res == -EINVAL) {
            refused = true;
        } else if (entries[i]->res != (int)read_bytes) {
            die("raw read", entries[i]->res);
        }
        *in_flight -= over || refused;
        if (!over && !refused) {
            prepare(bench, raw, slot, read_bytes);
        }
    }
    io_uring_cq_advance(&raw->ring, got);
    *count += got;
    return !refused;
}

bool raw_reads(struct bench *bench, unsigned variant, size_t read_bytes, unsigned depth,
               struct sample *sample) {
    struct raw raw = {.variant = variant};
    bool works = open_files(bench, &raw) && open_ring(bench, &raw);
    unsigned in_flight = depth;
    uint64_t count = 0;

    const struct point start = now(bench);
    for (unsigned i = 0; works && i < depth; i++) {
        prepare(bench, &raw, i, read_bytes);
    }
    while (works && in_flight > 0) {
        (void)io_uring_submit_and_wait(&raw.ring, 1);
        works = turn(bench, &raw, read_bytes, is_over(bench, start), &in_flight, &count);
    }
    *sample = sample_of(bench, count, start);
    close_raw(&raw);
    return works;
}

/* ---- appends ---- */

static void wait_one(struct raw *raw, int expected) {
    struct io_uring_cqe *entry;
    const int status = io_uring_wait_cqe(&raw->ring, &entry);

    if (status != 0 || entry->res != expected) {
        die("raw append", status != 0 ? status : entry->res);
    }
    io_uring_cqe_seen(&raw->ring, entry);
}

static void append_by_ring(struct bench *bench, struct raw *raw, int file, uint64_t offset) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&raw->ring);
    const bool linked = (raw->variant & RAW_LINKED) != 0;

    io_uring_prep_write(entry, file, bench->memory, READ_BYTES_MAX, offset);
    entry->flags |= IOSQE_ASYNC | (linked ? IOSQE_IO_LINK : 0);
    if (!linked) {
        (void)io_uring_submit(&raw->ring);
        wait_one(raw, (int)READ_BYTES_MAX);
    }
    io_uring_prep_fsync(io_uring_get_sqe(&raw->ring), file, IORING_FSYNC_DATASYNC);
    (void)io_uring_submit(&raw->ring);
    if (linked) {
        wait_one(raw, (int)READ_BYTES_MAX);
    }
    wait_one(raw, 0);
}

static void append_by_calls(const struct bench *bench, int file, uint64_t offset) {
    if (pwrite(file, bench->memory, READ_BYTES_MAX, (off_t)offset) != (ssize_t)READ_BYTES_MAX ||
        fdatasync(file) != 0) {
        die("raw append", errno);
    }
}

bool raw_appends(struct bench *bench, unsigned variant, struct sample *sample) {
    struct raw raw = {.variant = variant};
    char path[4096];
    uint64_t count = 0;

    segment_path(bench, bench->log_bytes >> SEGMENT_BITS, path);
    raw.files[0] = open(path, O_RDWR | O_CLOEXEC);
    if (raw.files[0] < 0 || !open_ring(bench, &raw)) {
        die("raw open", errno);
    }
    raw.file_count = 1;
    const struct point start = now(bench);
    while (!is_over(bench, start)) {
        const uint64_t offset =
            FST_SEGMENT_HEADER_BYTES + (next_append(bench) & ((UINT64_C(1) << SEGMENT_BITS) - 1));
        if ((variant & RAW_CALLS) != 0) {
            append_by_calls(bench, raw.files[0], offset);
        } else {
            append_by_ring(bench, &raw, raw.files[0], offset);
        }
        count++;
    }
    *sample = sample_of(bench, count, start);
    close_raw(&raw);
    return true;
}

#endif
