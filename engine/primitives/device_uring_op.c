/* device_uring_op.c - one request: its pieces, and what a completion means (layer 2).
 *
 * A request is carried out piece by piece, a piece being its part in one segment, and a piece
 * transfer by transfer until it is whole, the file ends, or something fails.
 */
#include <errno.h>
#include <string.h>

#include "base/env_posix.h"
#include "primitives/device_uring.h"

static bool is_write(const struct fst_uring_op *op) {
    return op->request->kind == FST_IO_WRITE || op->request->kind == FST_IO_WRITE_SYNC;
}

/* ---- its life ---- */

struct fst_uring_op *fst_uring_op_take(struct fst_device_queue *queue) {
    struct fst_uring_op *op = queue->free;

    if (op != NULL) {
        queue->free = op->next;
        *op = (struct fst_uring_op){.queue = queue, .whole = true};
    }
    return op;
}

void fst_uring_op_free(struct fst_uring_op *op) {
    op->state = FST_URING_FREE;
    op->request = NULL;
    op->next = op->queue->free;
    op->queue->free = op;
}

void fst_uring_op_leave(struct fst_uring_op *op, uint64_t written_end) {
    if (op->file != NULL) {
        fst_segment_files_leave(op->queue->device->files, op->file, written_end);
        op->file = NULL;
    }
}

void fst_uring_op_leave_read(struct fst_uring_op *op) {
    if (op != &op->queue->wake && !op->is_sync && !is_write(op)) {
        fst_uring_op_leave(op, 0);
    }
}

void fst_uring_op_end(struct fst_uring_op *op, enum faster_status status) {
    /* Of a failed write nothing is sure, only that the file was written. */
    fst_uring_op_leave(op, is_write(op) ? FST_SEGMENT_HEADER_BYTES : 0);
    fst_uring_sync_or_end(op, status);
}

/* ---- to the file device ---- */

static void rest_done(struct fst_io_request *rest) {
    struct fst_uring_op *op = rest->context;

    op->queue->inner_count--;
    op->request->done_bytes += op->whole ? rest->done_bytes : 0;
    op->needs_sync = false;
    fst_uring_op_end(op, rest->status);
}

void fst_uring_op_hand_over(struct fst_uring_op *op) {
    struct fst_device *inner = op->queue->device->inner;
    const size_t done = op->handled + op->piece_done;

    fst_uring_sync_unlink(op);
    fst_uring_op_leave(op, is_write(op) ? FST_SEGMENT_HEADER_BYTES : 0);
    op->request->done_bytes += op->whole ? op->piece_done : 0;
    op->rest = (struct fst_io_request){
        .kind = op->request->kind,
        .addr = fst_addr_of(op->request->addr.raw + done),
        .bytes = (unsigned char *)op->request->bytes + done,
        .count_bytes = op->request->count_bytes - done,
        .done = rest_done,
        .context = op,
    };
    op->state = FST_URING_INNER;
    op->queue->inner_count++;
    inner->ops->submit(inner, op->queue->inner, &op->rest);
}

/* ---- a transfer ---- */

static unsigned char *memory_of(const struct fst_uring_op *op) {
    return (unsigned char *)op->request->bytes + op->handled + op->piece_done;
}

/* Past the system's cache, as it is: everything in whole blocks. Writes only in whole write
 * units, so that no block of a file is ever half old. */
static bool fits_direct(const struct fst_uring_op *op, uint64_t at, size_t count_bytes,
                        uint32_t block_bytes) {
    const uint64_t unit = is_write(op) ? FST_WRITE_UNIT_BYTES : block_bytes;

    return ((at | count_bytes | (uint64_t)(uintptr_t)memory_of(op)) & (unit - 1)) == 0;
}

/* A read whose blocks fit the op's buffer. */
static bool fits_bounce(struct fst_uring_op *op, uint64_t at, size_t count_bytes,
                        uint32_t block_bytes) {
    const uint64_t from = fst_align_down_u64(at, block_bytes);
    const uint64_t to = fst_align_up_u64(at + count_bytes, block_bytes);

    if (is_write(op) || to - from > FST_URING_BOUNCE_BYTES ||
        fst_uring_bounce(op->queue, op) == NULL) {
        return false;
    }
    op->skip_bytes = (size_t)(at - from);
    op->span_bytes = (size_t)(to - from);
    return true;
}

static bool is_registered(const struct fst_uring_op *op) {
    const struct faster_env *env = op->queue->device->head.env;

    return !is_write(op) && env->file_descriptor(env, op->file->direct) >= 0 &&
           fst_uring_ring_registers(op->queue);
}

static void choose_path(struct fst_uring_op *op, uint64_t at, size_t count_bytes) {
    const struct fst_uring_device *device = op->queue->device;
    const uint32_t block_bytes = fst_load_relaxed_u32(&device->block_bytes);

    op->block_bytes = block_bytes;
    op->skip_bytes = 0;
    op->span_bytes = count_bytes;
    op->is_bounced = false;
    op->is_direct = op->file->direct != NULL && block_bytes != 0 && !op->avoids_direct;
    op->is_fixed =
        op->is_direct && is_registered(op) && fits_bounce(op, at, count_bytes, block_bytes);
    if (op->is_fixed) {
        op->is_bounced = true;
    } else if (op->is_direct && !fits_direct(op, at, count_bytes, block_bytes)) {
        op->is_bounced = fits_bounce(op, at, count_bytes, block_bytes);
        op->is_direct = op->is_bounced;
    }
}

/* Prepares the rest of the piece. The file is in use. */
static void prepare(struct fst_uring_op *op) {
    const struct faster_env *env = op->queue->device->head.env;
    const uint64_t at = op->file_offset + op->piece_done;
    const size_t count_bytes = op->piece_bytes - op->piece_done;
    struct io_uring_sqe *entry;
    int descriptor;

    choose_path(op, at, count_bytes);
    descriptor = env->file_descriptor(env, op->is_direct ? op->file->direct : op->file->file);
    if (descriptor < 0 || count_bytes > INT32_MAX || (op->queue->device->polls && !op->is_direct) ||
        !fst_uring_ring_open(op->queue)) {
        fst_uring_op_hand_over(op);
        return;
    }
    entry = fst_uring_ring_entry(op->queue, op);
    if (is_write(op)) {
        io_uring_prep_write(entry, descriptor, memory_of(op), (unsigned)count_bytes, at);
        /* On a kernel worker from the start: the file system would send it there anyway, and a
         * write beyond the process's file size limit raises its signal here. */
        entry->flags |= IOSQE_ASYNC;
        io_uring_sqe_set_data(entry, op);
        fst_uring_sync_link(op, entry);
    } else if (op->is_fixed) {
        io_uring_prep_read_fixed(entry, descriptor, fst_uring_bounce(op->queue, op),
                                 (unsigned)op->span_bytes, at - op->skip_bytes, 0);
        io_uring_sqe_set_data(entry, op);
    } else {
        io_uring_prep_read(entry, descriptor,
                           op->is_bounced ? fst_uring_bounce(op->queue, op) : memory_of(op),
                           (unsigned)op->span_bytes, at - op->skip_bytes);
        io_uring_sqe_set_data(entry, op);
    }
}

/* Goes on with the piece as far as it got. */
static void transfer(struct fst_uring_op *op) {
    struct fst_uring_device *device = op->queue->device;
    const uint64_t addr = op->request->addr.raw + op->handled;
    enum faster_status status = FASTER_OK;

    fst_uring_sync_unlink(op);
    if (op->file == NULL) {
        status =
            fst_segment_files_try_use(device->files, addr >> device->head.segment_bits, &op->file);
    }
    if (status == FASTER_OK) {
        prepare(op);
    } else if (status == FASTER_BUSY) {
        fst_uring_op_hand_over(op); /* workers open and create files */
    } else {
        fst_uring_op_end(op, status);
    }
}

/* ---- pieces ---- */

static void begin_piece(struct fst_uring_op *op) {
    const struct fst_uring_device *device = op->queue->device;
    const uint64_t segment_bytes = UINT64_C(1) << device->head.segment_bits;
    const uint64_t off = (op->request->addr.raw + op->handled) & (segment_bytes - 1);

    op->file_offset = FST_SEGMENT_HEADER_BYTES + off;
    op->piece_bytes =
        fst_min_size(op->request->count_bytes - op->handled, (size_t)(segment_bytes - off));
    op->piece_done = 0;
    transfer(op);
}

static void end_piece(struct fst_uring_op *op) {
    if (is_write(op)) {
        fst_uring_op_leave(op, op->file_offset + op->piece_bytes);
    } else if (op->piece_done < op->piece_bytes) {
        memset(memory_of(op), 0, op->piece_bytes - op->piece_done);
    }
    op->request->done_bytes += op->whole ? op->piece_done : 0;
    op->whole = op->whole && op->piece_done == op->piece_bytes;
    op->handled += op->piece_bytes;
    op->piece_done = 0;
    if (op->handled == op->request->count_bytes) {
        fst_uring_op_end(op, FASTER_OK);
    } else {
        begin_piece(op);
    }
}

/* Requests that need no ring, and those that are refused, are the inner device's. */
static bool is_for_ring(const struct fst_uring_device *device,
                        const struct fst_io_request *request) {
    if (device->polls &&
        (request->kind != FST_IO_READ || fst_load_relaxed_u32(&device->block_bytes) == 0)) {
        return false;
    }
    return request->count_bytes > 0 && request->addr.raw <= FST_ADDR_MAX &&
           request->count_bytes <= FST_ADDR_MAX - request->addr.raw &&
           (request->kind == FST_IO_READ || !device->files->read_only);
}

void fst_uring_op_begin(struct fst_device_queue *queue, struct fst_io_request *request) {
    struct fst_uring_op *op = fst_uring_op_take(queue);

    op->request = request;
    op->needs_sync = request->kind == FST_IO_SYNC || request->kind == FST_IO_WRITE_SYNC;
    if (request->kind == FST_IO_SYNC && !queue->device->polls) {
        fst_uring_sync_or_end(op, FASTER_OK);
    } else if (is_for_ring(queue->device, request)) {
        begin_piece(op);
    } else {
        fst_uring_op_hand_over(op);
    }
}

/* ---- completions ---- */

/* The bytes of the piece that a transfer of `count` bytes brought. */
static size_t gained(const struct fst_uring_op *op, size_t count) {
    const size_t left = op->piece_bytes - op->piece_done;

    if (!op->is_bounced) {
        return fst_min_size(count, left);
    }
    return count <= op->skip_bytes ? 0 : fst_min_size(count - op->skip_bytes, left);
}

static void advance(struct fst_uring_op *op, size_t count) {
    const size_t got = gained(op, count);
    const bool ends = count == 0 && !op->is_direct;

    if (op->is_bounced) {
        memcpy(memory_of(op), fst_uring_bounce(op->queue, op) + op->skip_bytes, got);
    }
    op->piece_done += got;
    if (op->piece_done == op->piece_bytes || (ends && !is_write(op))) {
        end_piece(op);
    } else if (ends) {
        fst_uring_op_end(op, FASTER_IO); /* no progress and no reason: do not try for ever */
    } else {
        /* What a direct transfer left is no whole block, or the file's end: the cache tells. */
        op->avoids_direct = op->avoids_direct || op->is_direct;
        transfer(op);
    }
}

/* The file system accepted the open and refuses the transfer: larger blocks may do; if not,
 * this device works without. The request itself goes through the cache. Where completions are
 * polled for it is that, too, which may be refused: only an attempt tells, and that it is no matter
 * of blocks tells EOPNOTSUPP. */
static void avoid_direct(struct fst_uring_op *op, int error_number) {
    struct fst_uring_device *device = op->queue->device;
    uint32_t tried = op->block_bytes;
    const bool may_be_larger =
        tried == FST_URING_BLOCK_BYTES_FIRST && !(device->polls && error_number == EOPNOTSUPP);

    /* Several may fail with the size that the first of them has changed since. acq_rel: pairs with
     * itself; nothing else goes with the number. */
    (void)fst_cas_acq_rel_u32(&device->block_bytes, &tried,
                              may_be_larger ? FST_URING_BLOCK_BYTES_LAST : 0);
    if (device->polls && !may_be_larger) {
        fst_uring_poll_refused(device, error_number);
    }
    op->avoids_direct = true;
    transfer(op);
}

static void fail(struct fst_uring_op *op, int error_number) {
    const bool may_repeat = error_number == EINTR || error_number == EAGAIN;

    if (op->is_direct && (error_number == EINVAL || error_number == EOPNOTSUPP)) {
        avoid_direct(op, error_number);
    } else if (error_number == ECANCELED || (may_repeat && op->queue->device->polls)) {
        /* The thread that submitted it has ended before the kernel began with it; or a disk that
         * is polled has no room just now. */
        fst_uring_op_hand_over(op);
    } else if (may_repeat && op->retry_count < FST_URING_RETRIES_MAX) {
        op->retry_count++;
        transfer(op);
    } else {
        fst_uring_op_end(op, may_repeat ? FASTER_IO : fst_posix_status(error_number));
    }
}

void fst_uring_op_result(struct fst_uring_op *op, int result) {
    op->queue->taken_count--;
    if (op->is_sync) {
        fst_uring_sync_result(op, result);
    } else if (result < 0) {
        fail(op, -result);
    } else {
        advance(op, (size_t)result);
    }
}
