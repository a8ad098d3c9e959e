/* device_client.c - measurements of the engine's devices. */
#include "device_bench.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/checksum.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define SUBMIT_POLL_IDLE_MS 100u /* as raw_client.c */

struct client {
    struct bench *bench;
    struct fst_device *device;
    struct fst_device_queue *queue;
};

/* Clean pages only: the log was synced. */
static void drop_cache(const struct bench *bench) {
    char path[4096];

    for (uint64_t i = 0; i <= bench->log_bytes >> SEGMENT_BITS; i++) {
        segment_path(bench, i, path);
        const int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            (void)fdatasync(file);
            (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
            (void)close(file);
        }
    }
}

static struct client open_client(struct bench *bench, enum device_variant variant) {
    struct client client = {.bench = bench};
    struct fst_device_uring_config config = {.direct = variant >= URING,
                                             .is_wanted = true,
                                             .submit_poll = variant == URING_SUBMIT_POLL,
                                             .submit_poll_idle_ms = SUBMIT_POLL_IDLE_MS,
                                             .complete_poll = variant == URING_COMPLETE_POLL};
    enum faster_status status;

    config.file = (struct fst_device_file_config){.env = bench->env,
                                                  .directory = bench->directory,
                                                  .uuid = {1},
                                                  .generation = 1,
                                                  .segment_bits = SEGMENT_BITS,
                                                  .thread_count = variant == THREADS ? 16 : 2,
                                                  .mode = 0600,
                                                  .user = (uint32_t)getuid(),
                                                  .group = (uint32_t)getgid()};
    config.file.checksum_seed = fst_checksum_seed_for(config.file.uuid, 1);
    status = variant == THREADS ? fst_device_file_open(&config.file, &client.device)
                                : fst_device_uring_open(&config, &client.device);
    if (status == FASTER_OK) {
        status = client.device->ops->queue_open(client.device, &client.queue);
    }
    if (status != FASTER_OK) {
        die("open", status);
    }
    return client;
}

static void close_client(struct client *client) {
    client->device->ops->queue_close(client->device, client->queue);
    client->device->ops->close(client->device);
}

static void run(struct client *client, enum fst_io_kind kind, uint64_t addr, size_t count_bytes) {
    const enum faster_status status =
        fst_device_run(client->device, client->queue, kind, fst_addr_of(addr),
                       client->bench->memory, count_bytes, NULL);

    if (status != FASTER_OK) {
        die("request", status);
    }
}

/* ---- random reads ---- */

struct read_state {
    struct client *client;
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
    struct client *client = state->client;
    struct bench *bench = client->bench;

    state->request.addr = fst_addr_of(draw(bench) % (bench->log_bytes / read_bytes) * read_bytes);
    state->request.count_bytes = read_bytes;
    client->device->ops->submit(client->device, client->queue, &state->request);
}

/* Until the time is over; returns how many were read. */
static uint64_t read_on(struct client *client, struct read_state **done, size_t read_bytes,
                        unsigned in_flight, struct point start) {
    uint64_t count = 0;

    while (in_flight > 0) {
        (void)client->device->ops->poll(client->device, client->queue, NS_PER_SECOND);
        const bool over = is_over(client->bench, start);
        while (*done != NULL) {
            struct read_state *state = *done;
            *done = state->next;
            count++;
            if (over) {
                in_flight--;
            } else {
                submit_read(state, read_bytes);
            }
        }
    }
    return count;
}

/* Opens every file before the measurement. */
static void open_segments(struct client *client) {
    for (uint64_t at = 0; at < client->bench->log_bytes; at += UINT64_C(1) << SEGMENT_BITS) {
        for (unsigned i = 0; i < 2; i++) { /* the second goes through the ring */
            run(client, FST_IO_READ, at, READ_BYTES_MAX);
        }
    }
}

static bool is_in_force(const struct fst_device *device, unsigned variant) {
    return (variant != URING_SUBMIT_POLL || fst_load_relaxed_u32(&device->submit_polls) != 0) &&
           (variant != URING_COMPLETE_POLL || fst_load_relaxed_u32(&device->complete_polls) != 0);
}

bool device_reads(struct bench *bench, unsigned variant, size_t read_bytes, unsigned depth,
                  struct sample *sample) {
    static struct read_state states[DEPTH_MAX];
    struct client client = open_client(bench, (enum device_variant)variant);
    struct read_state *done = NULL;
    /* A store's reads are aligned like their sectors. */
    const size_t skip_bytes = variant == URING_MISALIGNED ? 16 : 512;

    open_segments(&client);
    if (variant <= URING_CACHED) {
        drop_cache(bench);
    }
    const struct point start = now(bench);
    for (unsigned i = 0; i < depth; i++) {
        states[i] = (struct read_state){.client = &client, .done_list = &done};
        states[i].request =
            (struct fst_io_request){.kind = FST_IO_READ,
                                    .bytes = bench->memory + i * SLOT_BYTES + skip_bytes,
                                    .done = read_done,
                                    .context = &states[i]};
        submit_read(&states[i], read_bytes);
    }
    *sample = sample_of(bench, read_on(&client, &done, read_bytes, depth, start), start);
    const bool in_force = is_in_force(client.device, variant);
    close_client(&client);
    return in_force;
}

/* ---- writes ---- */

void device_write_log(struct bench *bench, enum device_variant variant, struct sample *sample) {
    struct client client = open_client(bench, variant);

    (void)client.device->ops->truncate(client.device, fst_addr_of(FST_ADDR_MAX));
    close_client(&client);
    client = open_client(bench, variant);
    const struct point start = now(bench);
    for (uint64_t at = 0; at < bench->log_bytes; at += CHUNK_BYTES) {
        run(&client, FST_IO_WRITE, at, CHUNK_BYTES);
    }
    run(&client, FST_IO_SYNC, 0, 0);
    *sample = sample_of(bench, bench->log_bytes / CHUNK_BYTES, start);
    run(&client, FST_IO_WRITE, bench->log_bytes, READ_BYTES_MAX);
    run(&client, FST_IO_SYNC, 0, 0);
    bench->append_at = 0;
    close_client(&client);
}

bool device_appends(struct bench *bench, unsigned variant, struct sample *sample) {
    struct client client = open_client(bench, (enum device_variant)(variant & ~APART));
    const bool apart = (variant & APART) != 0;
    uint64_t count = 0;

    /* The first of a device opens the file. */
    run(&client, FST_IO_WRITE, next_append(bench), READ_BYTES_MAX);
    run(&client, FST_IO_SYNC, 0, 0);
    const struct point start = now(bench);
    while (!is_over(bench, start)) {
        run(&client, apart ? FST_IO_WRITE : FST_IO_WRITE_SYNC, next_append(bench), READ_BYTES_MAX);
        if (apart) {
            run(&client, FST_IO_SYNC, 0, 0);
        }
        count++;
    }
    *sample = sample_of(bench, count, start);
    close_client(&client);
    return true;
}
