/* device.h - where log bytes are kept (layer 2).
 *
 * A device maps addresses to storage in segments of 2^segment_bits bytes. Requests are
 * asynchronous: submit() takes a request, a worker (or the kernel) carries it out, and the
 * thread that owns the queue learns of it in poll(), which runs the callback. So callbacks
 * run only on the thread that polls, and a session's completions touch no other thread.
 *
 * A failure is reported once, in the request's status; nothing is resubmitted. A request
 * may cross a segment boundary. Short transfers are continued; a read past the end of what
 * was written gives zero bytes there and FASTER_OK, with done_bytes the bytes that existed, up to
 * the first that did not. So does a read of a segment that was never written.
 */
#ifndef FST_PRIMITIVES_DEVICE_H
#define FST_PRIMITIVES_DEVICE_H

#include "base/atomic.h"
#include "base/diagnostics.h"
#include "base/env.h"
#include "shapes/address.h"

enum fst_io_kind {
    FST_IO_READ = 1,
    FST_IO_WRITE = 2,
    FST_IO_SYNC = 3,      /* all writes that completed before it was submitted become durable,
                             with the names of the files that hold them; addr and bytes unused.
                             FULL and NOMEM: for want of a descriptor, a thread or memory a part of
                             it was not tried, and it may be repeated. Any other failure is final */
    FST_IO_WRITE_SYNC = 4 /* a write, and if that is whole a sync of it and of what SYNC covers.
                             FULL and NOMEM are the write's, or as SYNC's; IO may be the sync's, and
                             is final */
};

struct fst_io_request;
typedef void fst_io_done_fn(struct fst_io_request *request);

/* Owned by the caller, untouched by it between submit and callback. */
struct fst_io_request {
    enum fst_io_kind kind;
    fst_addr addr;
    void *bytes; /* read into, or written from; stays alive until the callback */
    size_t count_bytes;
    fst_io_done_fn *done;
    void *context;
    enum faster_status status;      /* out: OK, IO, FULL, CORRUPT (segment header), MISSING */
    size_t done_bytes;              /* out */
    struct fst_io_request *next;    /* the device's */
    struct fst_device_queue *queue; /* the device's */
};

struct fst_device_queue; /* one owner at a time */
struct fst_device;

struct fst_device_ops {
    const char *name; /* "file", "memory", ... */
    /* OK, NOMEM, FULL (descriptors). */
    enum faster_status (*queue_open)(struct fst_device *device, struct fst_device_queue **queue);
    /* Nothing of it may be in flight. */
    void (*queue_close)(struct fst_device *device, struct fst_device_queue *queue);
    /* Never blocks, never fails: an error becomes the request's status. A device may keep reads
     * until flush(), poll() or enough others come; writes and syncs it starts at once. */
    void (*submit)(struct fst_device *device, struct fst_device_queue *queue,
                   struct fst_io_request *request);
    /* Optional, may be NULL: hands what was submitted to whoever carries it out; see
     * fst_device_flush(). */
    void (*flush)(struct fst_device *device, struct fst_device_queue *queue);
    /* Runs the callbacks of completed requests and returns how many; waits at most
     * timeout_ns for the first if none is complete and some are in flight. */
    unsigned (*poll)(struct fst_device *device, struct fst_device_queue *queue,
                     uint64_t timeout_ns);
    /* Frees all segments that lie wholly below `begin`; may be repeated. Readers of those
     * addresses get MISSING. Blocks. OK or IO (some remain; nothing is lost). */
    enum faster_status (*truncate)(struct fst_device *device, fst_addr begin);
    /* Where the lowest existing segment starts and where the highest written byte ends, both
     * FST_ADDR 0 if there is none. Blocks. OK, CORRUPT (a segment beyond all addresses), IO. */
    enum faster_status (*extent)(struct fst_device *device, fst_addr *first, fst_addr *end);
    /* Makes durable what lies at or above `from`, whoever wrote it: bytes that a process left
     * in the page cache when it was killed are not dirty for this one. Blocks. OK; as a sync's
     * FULL and NOMEM; or another failure, which is final. */
    enum faster_status (*sync_existing)(struct fst_device *device, fst_addr from);
    /* Makes sure that segments at or above `from` are files of this store alone: one that has a
     * second name, in a backup, is replaced by a copy. Before a life's first write; others may
     * read meanwhile. Blocks. OK; FULL, NOMEM, READ_ONLY or IO: may be repeated. */
    enum faster_status (*unshare)(struct fst_device *device, fst_addr from);
    /* Bytes this device holds on storage. */
    uint64_t (*stored_bytes)(struct fst_device *device);
    void (*close)(struct fst_device *device);
};

/* The common head of every device. */
struct fst_device {
    const struct fst_device_ops *ops;
    const struct faster_env *env;
    uint32_t segment_bits;
    fst_atomic_u64 buffer_bytes; /* memory of all queues' I/O buffers; written and read relaxed */
    fst_atomic_u64 registered_bytes; /* of it, registered with the kernel; relaxed as well */
    /* 1: in force. Written by open, and by the first owner whose reads are refused; relaxed. */
    fst_atomic_u32 submit_polls;
    fst_atomic_u32 complete_polls;
};

/* What a file device needs to know of its store. Strings and pointers are copied. */
struct fst_device_file_config {
    const struct faster_env *env;
    const char *directory;
    uint8_t uuid[FASTER_UUID_BYTES];
    uint64_t generation;
    uint64_t checksum_seed;
    uint32_t segment_bits;
    uint32_t thread_count;      /* workers are started at the first submit */
    uint32_t mode, user, group; /* of new segment files, given with file_own() */
    bool read_only;
};

/* Segment files in a directory, POSIX calls on worker threads. Creates nothing before the
 * first write. At most 64 files are open at a time. OK, NOMEM, IO. */
enum faster_status fst_device_file_open(const struct fst_device_file_config *config,
                                        struct fst_device **device) FASTER_MUST_CHECK;

struct fst_uring_calls;

struct fst_device_uring_config {
    struct fst_device_file_config file; /* thread_count: for what the ring is not used for */
    bool direct;                        /* past the system's cache where the file system can */
    bool is_wanted;                     /* io_uring was asked for: its absence is a warning */
    bool submit_poll;                   /* a thread of the kernel's submits, where it can be had */
    uint32_t submit_poll_idle_ms;       /* ... and sleeps after so long without work */
    bool complete_poll;                 /* direct reads are polled for, where they can be */
    const struct fst_diagnostics *diagnostics; /* outlives the device; may be NULL */
    const struct fst_uring_calls *calls;       /* tests only: NULL means the kernel's */
};

/* The same files, with io_uring (device_uring.c). Where the build, the kernel or its settings
 * have none this is fst_device_file_open() and one diagnostic. OK, NOMEM, IO. */
enum faster_status fst_device_uring_open(const struct fst_device_uring_config *config,
                                         struct fst_device **device) FASTER_MUST_CHECK;

/* Segments in memory (not part of any budget: they are the storage of a database that
 * lives in memory). Requests complete at the next poll. OK or NOMEM. */
enum faster_status fst_device_memory_open(const struct faster_env *env, uint32_t segment_bits,
                                          struct fst_device **device) FASTER_MUST_CHECK;

/* Starts what was submitted on the queue and may still wait for a poll(): for an owner that has
 * something else to do first. Never blocks. */
void fst_device_flush(struct fst_device *device, struct fst_device_queue *queue);

/* Submits one request on a queue of its own owner and polls until it is done: for recovery
 * and other code that has nothing else to do. Returns the request's status. */
enum faster_status fst_device_run(struct fst_device *device, struct fst_device_queue *queue,
                                  enum fst_io_kind kind, fst_addr addr, void *bytes,
                                  size_t count_bytes, size_t *done_bytes) FASTER_MUST_CHECK;

/* "log.00000000002a" */
#define FST_SEGMENT_NAME_BYTES 32
void fst_segment_name(uint64_t segment_index, char name[FST_SEGMENT_NAME_BYTES]);
bool fst_segment_name_parse(const char *name, uint64_t *segment_index);

#endif
