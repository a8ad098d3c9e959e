/* device_uring.h - the inside of device_uring (layer 2, private to it and its tests).
 *
 *     device_uring.c       the essay, queues, polling
 *     device_uring_op.c    one request: its pieces, and what a completion means
 *     device_uring_sync.c  what a request asks to be durable
 *     device_uring_ring.c  a queue's ring, and the calls that reach the kernel
 *     device_uring_poll.c  rings that the kernel polls: for what to submit, or for what completed
 *     device_uring_open.c  what of all this a system offers
 *     device_uring_none.c  instead of them all, in a build without io_uring
 */
#ifndef FST_PRIMITIVES_DEVICE_URING_H
#define FST_PRIMITIVES_DEVICE_URING_H

#include <liburing.h>

#include "base/bytes.h"
#include "primitives/device_file.h"

/* Requests of a queue that are under way at a time; further ones wait in the queue. */
#define FST_URING_OPS_MAX 128u
/* One entry for each of them, and one for the wake-up. */
#define FST_URING_ENTRIES (2 * FST_URING_OPS_MAX)
/* A queue that has so many reads waiting starts them without being asked. */
#define FST_URING_BATCH_MAX 64u
/* A misaligned read whose blocks fit comes through the op's own aligned buffer. */
#define FST_URING_BOUNCE_BYTES 4096u
/* Of all queues' buffers, registered with the kernel and so in memory for good. A system without
 * privileges often allows twice as much for a user. */
#define FST_URING_REGISTERED_BYTES_MAX (UINT64_C(4) << 20)
/* Blocks of direct transfers: what refuses the first may accept the last. */
#define FST_URING_BLOCK_BYTES_FIRST 512u
#define FST_URING_BLOCK_BYTES_LAST 4096u
/* How often EINTR and EAGAIN are answered by asking again; then they are failures. */
#define FST_URING_RETRIES_MAX 16u

/* What a ring is to be. */
struct fst_uring_setup {
    unsigned flags;        /* IORING_SETUP_... */
    unsigned idle_ms;      /* SQPOLL: when its thread goes to sleep */
    int thread_descriptor; /* ATTACH_WQ: the ring whose thread it shares */
};

/* What reaches the kernel. A test puts itself in front to make transfers short, late,
 * reordered or fail: a libc wrapper would not do, as liburing calls the kernel itself. */
struct fst_uring_result {
    void *op;
    int result;
};
struct fst_uring_calls {
    /* 0 or -errno. `setup` may be NULL: nothing is polled. */
    int (*init)(struct io_uring *ring, unsigned entries, const struct fst_uring_setup *setup);
    void (*finish)(struct io_uring *ring);
    /* Registers memory, as buffer 0, or ends that. 0 or -errno. */
    int (*register_memory)(struct io_uring *ring, void *memory, size_t bytes);
    void (*unregister_memory)(struct io_uring *ring);
    /* Hands over the prepared entries. With wait_ns > 0 also waits so long for a completion,
     * in the same call; a ring with IOPOLL is looked at once instead. Negative: -errno; what was
     * taken tells io_uring_sq_ready(). */
    int (*enter)(struct io_uring *ring, uint64_t wait_ns);
    /* Takes completions, at most `count_max`; returns how many. Calls no kernel. */
    unsigned (*reap)(struct io_uring *ring, struct fst_uring_result *results, unsigned count_max);
};
extern const struct fst_uring_calls fst_uring_calls_kernel;

/* One request under way. States: see the essay in device_uring.c. */
enum fst_uring_state {
    FST_URING_FREE = 0,
    FST_URING_PREPARED, /* has an entry that the kernel has not taken */
    FST_URING_TAKEN,    /* the kernel has it */
    FST_URING_INNER,    /* the inner device has what is left of it */
    FST_URING_LINKED    /* of a write and the sync linked to it: back, the other is not */
};

struct fst_uring_op {
    enum fst_uring_state state;
    uint32_t retry_count;
    uint32_t block_bytes; /* of a direct transfer: the device's when it began */
    bool whole;           /* everything so far existed */
    bool avoids_direct;   /* the rest goes through the system's cache */
    bool is_direct;       /* the transfer in the kernel goes past it */
    bool is_bounced;      /* ... and through the op's own buffer */
    bool is_fixed;        /* ... which the kernel knows */
    struct fst_io_request *request;
    struct fst_device_queue *queue;
    struct fst_segment_file *file; /* in use by this op, or NULL */
    size_t handled;                /* bytes of the pieces before this one */
    uint64_t file_offset;          /* of the piece */
    size_t piece_bytes;
    size_t piece_done;
    size_t skip_bytes;           /* bounced: bytes before the wanted ones */
    size_t span_bytes;           /* asked of the kernel */
    bool needs_sync;             /* the request is to be durable, and is not yet */
    bool is_sync;                /* the entry in the ring is a sync of the file */
    bool is_unlinked;            /* a sync that may not have come after the whole write */
    struct fst_uring_op *linked; /* of a write its sync, of that the write; or NULL */
    uint64_t write_count;        /* is_sync: see fst_segment_files_sync_begin() */
    int result;                  /* is_sync, LINKED: the kernel's */
    enum faster_status status;   /* of the request; final once nothing is linked */
    struct fst_uring_op *next;   /* free list, or prepared ones in the order of their entries */
    struct fst_io_request rest;  /* INNER */
};

struct fst_uring_list {
    struct fst_io_request *first;
    struct fst_io_request *last;
    unsigned count;
};

/* All of it is the owner's; only `inner` and the wake-up's descriptor know other threads. */
struct fst_device_queue {
    struct fst_uring_device *device;
    struct fst_device_queue *inner;
    struct fst_uring_list waiting;   /* submitted, not begun */
    struct fst_uring_list completed; /* their callbacks have not run */
    struct fst_uring_op *ops;        /* mapped at the first submit */
    unsigned char *bounces;          /* a buffer for each op, mapped when the first is needed */
    struct fst_uring_op *free;
    struct fst_uring_op *prepared_first;
    struct fst_uring_op *prepared_last;
    unsigned prepared_count;
    unsigned taken_count; /* ops of these states */
    unsigned inner_count;
    unsigned refused_count; /* enters in a row that failed */
    bool has_ring;
    bool has_registered;       /* the bounces, with this ring */
    bool has_tried_registered; /* once for each queue */
    bool has_no_ring;     /* it could not be had, or broke: everything goes to the inner device */
    bool has_lost_thread; /* the kernel's that took its entries */
    int wake_descriptor;
    struct fst_device_queue *next_polled; /* protected by the poller's mutex */
    struct fst_uring_op wake; /* stands in the list of prepared ones for the wake-up's entry */
    struct io_uring ring;
};

/* Rings that no queue has: making and ending one costs as much as several reads, and a queue
 * may live for one scan only. */
#define FST_URING_SPARES_MAX 4u
struct fst_uring_spare {
    struct io_uring ring;
    int wake_descriptor;
};

/* The kernel's thread that takes the entries of all rings of a device: one for all of them, as it
 * costs a processor. It ends with the last of the rings. */
struct fst_uring_poller {
    const struct faster_env *env;
    uint64_t process_id;
    unsigned idle_ms;
    struct io_uring ring;            /* the thread's first; carries nothing after the probe */
    struct fst_mutex *mutex;         /* protects the list; a leaf */
    struct fst_device_queue *queues; /* with rings that the thread serves */
};

struct fst_uring_device {
    struct fst_device head;
    struct fst_device *inner;        /* of files; or, if this one polls, of the rest of requests */
    struct fst_device *counted;      /* in whose head the buffers are counted: the outermost */
    struct fst_segment_files *files; /* the file device's */
    struct fst_uring_poller *poller; /* NULL: whoever has something to submit does it */
    bool polls;                      /* its rings take direct reads only, and poll for their end */
    const struct fst_uring_calls *calls;
    const struct fst_diagnostics *diagnostics;
    uint64_t process_id;
    struct fst_mutex *mutex; /* protects the spares; a leaf */
    struct fst_uring_spare spares[FST_URING_SPARES_MAX];
    unsigned spare_count;
    fst_atomic_u32 block_bytes;         /* of direct transfers, 0: none work here; learnt by use, by
                                           any queue's owner; relaxed, each value is right alone */
    fst_atomic_u32 has_diagnosed;       /* 1: ring trouble was reported; by compare-and-swap */
    fst_atomic_u32 has_diagnosed_polls; /* the same of trouble with polling */
};

extern const struct fst_device_ops fst_uring_ops; /* device_uring.c */

/* ---- device_uring_op.c ---- */

/* Begins a request, or goes on with it where it stands. */
void fst_uring_op_begin(struct fst_device_queue *queue, struct fst_io_request *request);
/* What the kernel answered. */
void fst_uring_op_result(struct fst_uring_op *op, int result);
/* Gives what is left of it to the file device: it has done nothing of it yet. */
void fst_uring_op_hand_over(struct fst_uring_op *op);
/* Ends it with this status. */
void fst_uring_op_end(struct fst_uring_op *op, enum faster_status status);
/* The kernel holds the file of a read by itself from now on. */
void fst_uring_op_leave_read(struct fst_uring_op *op);

/* An op from the pool, or NULL. */
struct fst_uring_op *fst_uring_op_take(struct fst_device_queue *queue);
void fst_uring_op_free(struct fst_uring_op *op);
/* Ends a use of its file, if it has one; `written_end` as in fst_segment_files_leave(). */
void fst_uring_op_leave(struct fst_uring_op *op, uint64_t written_end);

/* ---- device_uring_sync.c ---- */

/* Puts a sync behind the write whose entry this is, if that is all it takes to make the request
 * durable. */
void fst_uring_sync_link(struct fst_uring_op *write, struct io_uring_sqe *entry);
/* Parts them: the write was not whole at first, or the kernel has taken it alone. */
void fst_uring_sync_unlink(struct fst_uring_op *op);
/* What the request's transfers came to; goes on with its sync, or ends it. */
void fst_uring_sync_or_end(struct fst_uring_op *op, enum faster_status status);
/* What the kernel answered to an entry that is a sync. */
void fst_uring_sync_result(struct fst_uring_op *op, int result);

/* ---- device_uring_ring.c ---- */

/* Makes the ring if there is none. False: there cannot be one. */
bool fst_uring_ring_open(struct fst_device_queue *queue);
/* Nothing of the queue is in flight. */
void fst_uring_ring_close(struct fst_device_queue *queue);
/* The probe by use: one ring, which becomes a spare. 0 or -errno. */
int fst_uring_spares_fill(struct fst_uring_device *device);
void fst_uring_spares_finish(struct fst_uring_device *device);
/* An entry for `op`, which becomes PREPARED. */
struct io_uring_sqe *fst_uring_ring_entry(struct fst_device_queue *queue, struct fst_uring_op *op);
/* Hands over what is prepared and waits at most wait_ns for a completion. */
void fst_uring_ring_enter(struct fst_device_queue *queue, uint64_t wait_ns);
/* Carries out what completions say; true if there were any. */
bool fst_uring_ring_reap(struct fst_device_queue *queue);
/* True if the bounces are registered with the queue's ring; tries once, and makes the ring. */
bool fst_uring_ring_registers(struct fst_device_queue *queue);
/* One diagnostic for each device, however many queues have the trouble. */
void fst_uring_diagnose(struct fst_uring_device *device, enum faster_diagnostic_level level,
                        const char *what, int error_number);

/* ---- device_uring_poll.c ---- */

/* Starts the kernel's thread, and has it carry out something. 0 or -errno. */
int fst_uring_poller_open(struct fst_uring_device *device, unsigned idle_ms);
/* No queue is left. Accepts NULL. */
void fst_uring_poller_close(struct fst_uring_device *device);
/* A ring of the kind that the device asks for, or as close to it as the system allows: with a
 * thread that submits or without. 0 or -errno. */
int fst_uring_poll_init(struct fst_uring_device *device, struct io_uring *ring);
/* The queue's ring is, or is no longer, one whose entries the thread takes. */
void fst_uring_poller_join(struct fst_device_queue *queue);
void fst_uring_poller_part(struct fst_device_queue *queue);
/* Waits until what any queue has published so far is taken; `poller` is one. */
void fst_uring_poller_settle(void *poller);
/* True if a thread of the kernel's takes what the ring holds. */
bool fst_uring_is_polled(const struct fst_device_queue *queue);
/* Entries that are still the owner's. */
unsigned fst_uring_poll_untaken(const struct io_uring *ring);
/* The thread is dead: what it has not taken nobody will. */
void fst_uring_poller_lost(struct fst_device_queue *queue);
/* Reads cannot be polled for here: they are the inner device's from now on. */
void fst_uring_poll_refused(struct fst_uring_device *device, int error_number);
/* As fst_uring_diagnose(), a warning about something that is served all the same. */
void fst_uring_poll_diagnose(struct fst_uring_device *device, const char *what, int error_number);

/* ---- device_uring.c ---- */

#define FST_URING_BOUNCES_BYTES ((size_t)FST_URING_OPS_MAX * FST_URING_BOUNCE_BYTES)
/* The op's buffer, or NULL: no memory. */
unsigned char *fst_uring_bounce(struct fst_device_queue *queue, const struct fst_uring_op *op);

void fst_uring_complete(struct fst_device_queue *queue, struct fst_io_request *request,
                        enum faster_status status);

#endif
