/* bench_device.c - what the devices make of the disk: random reads, sequential writes, syncs.
 *
 *     bench_device DIRECTORY [MIB] [SECONDS]
 *
 * Makes a log of MIB mebibytes (default 1024) in DIRECTORY, then measures for SECONDS (default
 * 2) each: random reads of 512 and 4096 bytes at depths 1, 8, 32 and 128; reads go past the
 * page cache where the device does that, else the log is dropped from it before each case.
 * Prints one JSON line per case. "raw" is io_uring with O_DIRECT alone, the limit: "raw" with
 * plain descriptors, "raw-fixed" with registered files and buffers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef FST_HAS_URING
#include <liburing.h>
#endif

#include "base/checksum.h"
#include "primitives/device.h"
#include "shapes/format.h"

#define SEGMENT_BITS 26u
#define CHUNK_BYTES (UINT64_C(1) << 20)
#define DEPTH_MAX 128u
#define READ_BYTES_MAX 4096u
#define NS_PER_SECOND 1e9

struct bench {
    const char *directory;
    uint64_t log_bytes;
    double seconds;
    const struct faster_env *env;
    struct fst_device *device;
    struct fst_device_queue *queue;
    unsigned char *memory; /* DEPTH_MAX buffers, page-aligned, misaligned by 16 for devices */
    uint64_t random;
};

static void die(const char *what, int status) {
    fprintf(stderr, "bench_device: %s: %d\n", what, status);
    exit(1);
}

static uint64_t draw(struct bench *bench) {
    bench->random ^= bench->random << 13;
    bench->random ^= bench->random >> 7;
    bench->random ^= bench->random << 17;
    return bench->random;
}

/* ---- measuring ---- */

struct measure {
    double wall_s;
    double cpu_s;
};

static struct measure now(const struct bench *bench) {
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (struct measure){.wall_s = (double)bench->env->monotonic_ns(bench->env) / NS_PER_SECOND,
                            .cpu_s =
                                (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                                (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6};
}

static void report(const struct bench *bench, const char *device, const char *work,
                   size_t operation_bytes, unsigned depth, uint64_t count, struct measure start) {
    const struct measure end = now(bench);
    const double wall_s = end.wall_s - start.wall_s;

    printf("{\"bench\": \"device\", \"device\": \"%s\", \"work\": \"%s\", \"bytes\": %zu, "
           "\"depth\": %u, \"per_second\": %.0f, \"mb_per_second\": %.1f, "
           "\"cpu_us_per_operation\": %.2f}\n",
           device, work, operation_bytes, depth, (double)count / wall_s,
           (double)count * (double)operation_bytes / wall_s / 1e6,
           (end.cpu_s - start.cpu_s) / (double)count * 1e6);
    (void)fflush(stdout);
}

static bool is_over(const struct bench *bench, struct measure start) {
    return now(bench).wall_s - start.wall_s >= bench->seconds;
}

/* Clean pages only: the log was synced. */
static void drop_cache(const struct bench *bench) {
    char name[FST_SEGMENT_NAME_BYTES];
    char path[4096];

    for (uint64_t i = 0; i <= bench->log_bytes >> SEGMENT_BITS; i++) {
        fst_segment_name(i, name);
        (void)snprintf(path, sizeof path, "%s/%s", bench->directory, name);
        const int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            (void)fdatasync(file);
            (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
            (void)close(file);
        }
    }
}

/* ---- the devices ---- */

enum kind { THREADS, URING_CACHED, URING, KIND_COUNT };
static const char *const kind_names[] = {"threads", "io_uring-cached", "io_uring"};

static void open_device(struct bench *bench, enum kind kind) {
    struct fst_device_uring_config config = {.direct = kind == URING, .is_wanted = true};
    enum faster_status status;

    config.file = (struct fst_device_file_config){.env = bench->env,
                                                  .directory = bench->directory,
                                                  .uuid = {1},
                                                  .generation = 1,
                                                  .segment_bits = SEGMENT_BITS,
                                                  .thread_count = kind == THREADS ? 16 : 2,
                                                  .mode = 0600,
                                                  .user = (uint32_t)getuid(),
                                                  .group = (uint32_t)getgid()};
    config.file.checksum_seed = fst_checksum_seed_for(config.file.uuid, 1);
    status = kind == THREADS ? fst_device_file_open(&config.file, &bench->device)
                             : fst_device_uring_open(&config, &bench->device);
    if (status == FASTER_OK) {
        status = bench->device->ops->queue_open(bench->device, &bench->queue);
    }
    if (status != FASTER_OK) {
        die("open", status);
    }
}

static void close_device(struct bench *bench) {
    bench->device->ops->queue_close(bench->device, bench->queue);
    bench->device->ops->close(bench->device);
}

static void run(struct bench *bench, enum fst_io_kind kind, uint64_t addr, size_t count_bytes) {
    const enum faster_status status = fst_device_run(
        bench->device, bench->queue, kind, fst_addr_of(addr), bench->memory, count_bytes, NULL);

    if (status != FASTER_OK) {
        die("request", status);
    }
}

/* ---- random reads ---- */

struct read_state {
    struct bench *bench;
    struct fst_io_request request;
    struct read_state *next;
    struct read_state **done_list;
};

static void read_done(struct fst_io_request *request) {
    struct read_state *state = request->context;

    if (request->status != FASTER_OK || request->done_bytes != request->count_bytes) {
        die("read", request->status);
    }
    state->next = *state->done_list;
    *state->done_list = state;
}

static void submit_read(struct read_state *state, size_t read_bytes) {
    struct bench *bench = state->bench;

    state->request.addr = fst_addr_of(draw(bench) % (bench->log_bytes / read_bytes) * read_bytes);
    state->request.count_bytes = read_bytes;
    bench->device->ops->submit(bench->device, bench->queue, &state->request);
}

static void random_reads(struct bench *bench, enum kind kind, size_t read_bytes, unsigned depth) {
    static struct read_state states[DEPTH_MAX];
    struct read_state *done = NULL;
    uint64_t count = 0;
    unsigned in_flight = depth;

    drop_cache(bench);
    const struct measure start = now(bench);
    for (unsigned i = 0; i < depth; i++) {
        states[i] = (struct read_state){.bench = bench, .done_list = &done};
        states[i].request =
            (struct fst_io_request){.kind = FST_IO_READ,
                                    .bytes = bench->memory + (size_t)i * 2 * READ_BYTES_MAX + 16,
                                    .done = read_done,
                                    .context = &states[i]};
        submit_read(&states[i], read_bytes);
    }
    while (in_flight > 0) {
        (void)bench->device->ops->poll(bench->device, bench->queue, (uint64_t)NS_PER_SECOND);
        const bool over = is_over(bench, start);
        while (done != NULL) {
            struct read_state *state = done;
            done = state->next;
            count++;
            if (over) {
                in_flight--;
            } else {
                submit_read(state, read_bytes);
            }
        }
    }
    report(bench, kind_names[kind], "random_read", read_bytes, depth, count, start);
}

/* ---- the limit ---- */

#ifdef FST_HAS_URING

struct raw {
    struct io_uring ring;
    int files[1024];
    unsigned file_count;
    bool is_fixed;
};

static bool raw_open(const struct bench *bench, struct raw *raw) {
    char name[FST_SEGMENT_NAME_BYTES];
    char path[4096];

    for (uint64_t i = 0; i < bench->log_bytes >> SEGMENT_BITS && i < 1024; i++) {
        fst_segment_name(i, name);
        (void)snprintf(path, sizeof path, "%s/%s", bench->directory, name);
        raw->files[i] = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
        if (raw->files[i] < 0) {
            return false;
        }
        raw->file_count++;
    }
    if (raw->file_count == 0 || io_uring_queue_init(DEPTH_MAX, &raw->ring, 0) != 0) {
        return false;
    }
    struct iovec memory = {bench->memory, (size_t)DEPTH_MAX * 2 * READ_BYTES_MAX};
    return !raw->is_fixed ||
           (io_uring_register_files(&raw->ring, raw->files, raw->file_count) == 0 &&
            io_uring_register_buffers(&raw->ring, &memory, 1) == 0);
}

static void raw_close(struct raw *raw) {
    for (unsigned i = 0; i < raw->file_count; i++) {
        (void)close(raw->files[i]);
    }
    io_uring_queue_exit(&raw->ring);
}

static void raw_prepare(struct bench *bench, struct raw *raw, unsigned slot, size_t read_bytes) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&raw->ring);
    const uint64_t random = draw(bench);
    const unsigned file = (unsigned)(random % raw->file_count);
    const uint64_t offset =
        FST_SEGMENT_HEADER_BYTES +
        (random >> 20) % ((UINT64_C(1) << SEGMENT_BITS) / read_bytes) * read_bytes;
    unsigned char *memory = bench->memory + (size_t)slot * 2 * READ_BYTES_MAX;

    if (raw->is_fixed) {
        io_uring_prep_read_fixed(entry, (int)file, memory, (unsigned)read_bytes, offset, 0);
        entry->flags |= IOSQE_FIXED_FILE;
    } else {
        io_uring_prep_read(entry, raw->files[file], memory, (unsigned)read_bytes, offset);
    }
    io_uring_sqe_set_data64(entry, slot);
}

static void raw_reads(struct bench *bench, bool is_fixed, size_t read_bytes, unsigned depth) {
    struct raw raw = {.is_fixed = is_fixed};
    struct io_uring_cqe *entries[DEPTH_MAX];
    unsigned in_flight = depth;
    uint64_t count = 0;

    if (!raw_open(bench, &raw)) {
        return;
    }
    const struct measure start = now(bench);
    for (unsigned i = 0; i < depth; i++) {
        raw_prepare(bench, &raw, i, read_bytes);
    }
    while (in_flight > 0) {
        (void)io_uring_submit_and_wait(&raw.ring, 1);
        const unsigned got = io_uring_peek_batch_cqe(&raw.ring, entries, DEPTH_MAX);
        const bool over = is_over(bench, start);
        for (unsigned i = 0; i < got; i++) {
            const unsigned slot = (unsigned)io_uring_cqe_get_data64(entries[i]);
            if (entries[i]->res != (int)read_bytes) {
                die("raw read", entries[i]->res);
            }
            in_flight -= over;
            if (!over) {
                raw_prepare(bench, &raw, slot, read_bytes);
            }
        }
        io_uring_cq_advance(&raw.ring, got);
        count += got;
    }
    report(bench, is_fixed ? "raw-fixed" : "raw", "random_read", read_bytes, depth, count, start);
    raw_close(&raw);
}

#else

static void raw_reads(struct bench *bench, bool is_fixed, size_t read_bytes, unsigned depth) {
    (void)bench, (void)is_fixed, (void)read_bytes, (void)depth;
}

#endif

/* ---- writes ---- */

static void write_log(struct bench *bench, enum kind kind, uint64_t log_bytes) {
    const struct measure start = now(bench);

    for (uint64_t at = 0; at < log_bytes; at += CHUNK_BYTES) {
        run(bench, FST_IO_WRITE, at, CHUNK_BYTES);
    }
    run(bench, FST_IO_SYNC, 0, 0);
    report(bench, kind_names[kind], "sequential_write_and_sync", CHUNK_BYTES, 1,
           log_bytes / CHUNK_BYTES, start);
}

static void append_and_sync(struct bench *bench, enum kind kind) {
    const struct measure start = now(bench);
    uint64_t count = 0;

    for (uint64_t at = bench->log_bytes; !is_over(bench, start); at += READ_BYTES_MAX) {
        run(bench, FST_IO_WRITE, at, READ_BYTES_MAX);
        run(bench, FST_IO_SYNC, 0, 0);
        count++;
    }
    report(bench, kind_names[kind], "append_and_sync", READ_BYTES_MAX, 1, count, start);
}

static void all_cases(struct bench *bench) {
    static const size_t read_bytes[] = {512, READ_BYTES_MAX};
    static const unsigned depths[] = {1, 8, 32, DEPTH_MAX};

    for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
        open_device(bench, (enum kind)kind);
        (void)bench->device->ops->truncate(bench->device, fst_addr_of(FST_ADDR_MAX));
        close_device(bench);
        open_device(bench, (enum kind)kind);
        write_log(bench, (enum kind)kind, bench->log_bytes);
        append_and_sync(bench, (enum kind)kind);
        close_device(bench);
    }
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
            open_device(bench, (enum kind)kind);
            random_reads(bench, (enum kind)kind, read_bytes[i / 4], depths[i % 4]);
            close_device(bench);
        }
        raw_reads(bench, false, read_bytes[i / 4], depths[i % 4]);
        raw_reads(bench, true, read_bytes[i / 4], depths[i % 4]);
    }
}

int main(int argc, char **argv) {
    struct bench bench = {.env = faster_env_posix(), .random = UINT64_C(88172645463325252)};
    uint64_t mebibytes = argc > 2 ? strtoull(argv[2], NULL, 10) : 1024;

    if (argc < 2 || mebibytes < 64) {
        fprintf(stderr, "usage: bench_device DIRECTORY [MIB, at least 64] [SECONDS]\n");
        return 2;
    }
    bench.directory = argv[1];
    bench.log_bytes = mebibytes << 20;
    bench.seconds = argc > 3 ? strtod(argv[3], NULL) : 2;
    bench.memory = bench.env->map(bench.env, (size_t)DEPTH_MAX * 2 * READ_BYTES_MAX + CHUNK_BYTES);
    if (bench.memory == NULL) {
        die("memory", FASTER_NOMEM);
    }
    memset(bench.memory, 0x5a, CHUNK_BYTES);
    all_cases(&bench);
    return 0;
}
