/* device_bench.h - one measurement of a device, and what all of them share. */
#ifndef BENCH_DEVICE_BENCH_H
#define BENCH_DEVICE_BENCH_H

#include "base/env.h"
#include "primitives/device.h"

#define SEGMENT_BITS 26u
#define CHUNK_BYTES (UINT64_C(1) << 20)
#define DEPTH_MAX 128u
#define READ_BYTES_MAX 4096u
/* Between two requests' memory. */
#define SLOT_BYTES (2 * (size_t)READ_BYTES_MAX)

struct bench {
    const char *directory;
    uint64_t log_bytes;
    double seconds; /* of each measurement */
    const struct faster_env *env;
    unsigned char *memory; /* DEPTH_MAX slots, page-aligned, of which CHUNK_BYTES are set */
    uint64_t random;
    uint64_t append_at; /* in the segment behind the log */
};

struct point {
    double wall_s;
    double cpu_s;
};

/* What one measurement found. */
struct sample {
    double per_second;
    double cpu_us; /* of one operation, by all threads, the kernel's for this process included */
};

struct point now(const struct bench *bench);
bool is_over(const struct bench *bench, struct point start);
struct sample sample_of(const struct bench *bench, uint64_t count, struct point start);
uint64_t draw(struct bench *bench);
/* Where the next append goes: on, and at the segment's end to its start again. */
uint64_t next_append(struct bench *bench);
_Noreturn void die(const char *what, int status);
/* "DIRECTORY/log.000..." */
void segment_path(const struct bench *bench, uint64_t index, char path[4096]);

/* A measurement: of a kind's variant; false if this system does not offer it. */
typedef bool measure_reads_fn(struct bench *bench, unsigned variant, size_t read_bytes,
                              unsigned depth, struct sample *sample);
typedef bool measure_appends_fn(struct bench *bench, unsigned variant, struct sample *sample);

/* device_client.c: the engine's devices. */
/* The last two are reads only, and false where the option is not in force. */
enum device_variant {
    THREADS,
    URING_CACHED,
    URING,
    URING_MISALIGNED,
    URING_SUBMIT_POLL,
    URING_COMPLETE_POLL
};
#define APART 8u /* appends: the write and the sync are two requests, one after the other */
measure_reads_fn device_reads;
/* Each append is written and synced. */
measure_appends_fn device_appends;
/* Makes the log of bench->log_bytes anew, and the segment behind it. */
void device_write_log(struct bench *bench, enum device_variant variant, struct sample *sample);

/* raw_client.c: io_uring with O_DIRECT alone; the bits of a variant add up. */
enum raw_variant {
    RAW_FILES = 1,   /* registered descriptors */
    RAW_BUFFERS = 2, /* registered memory */
    RAW_SQPOLL = 4,
    RAW_IOPOLL = 8,
    RAW_LINKED = 16, /* appends: write and sync in one call, else in two */
    RAW_CALLS = 32,  /* appends: pwrite() and fdatasync(), no io_uring */
    RAW_COOP = 64    /* completions interrupt nobody: IORING_SETUP_COOP_TASKRUN */
};
measure_reads_fn raw_reads;
measure_appends_fn raw_appends;

#endif
