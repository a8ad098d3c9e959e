/* device_uring_sync.c - what a request asks to be durable (layer 2).
 *
 * A sync concerns every file with unsynced writes, and the directory when a file is new. Nearly
 * always that is one file, the one the log's tail is in: then the ring carries it out. Else the
 * file device does.
 *
 * The sync of a WRITE_SYNC is an op of its own behind the write, linked to it: the kernel begins
 * it when the write was whole and cancels it otherwise, so that both cost one call and one wait.
 * The request ends when both are back, whichever is first (LINKED), and then
 *
 *     the write failed          the request failed with it; the sync, cancelled, says nothing
 *     cancelled, or unlinked    the write is whole by now (its rest was written), and is synced
 *     the sync failed           final for all files (segment_files.c), and the request fails
 *     the sync is done          the request is durable
 *
 * A sync counts as done only if it came after all of the write. It did not when the write was
 * continued or repeated [transfer], or when the kernel has taken the write's entry without the
 * sync's, which ends the link [note_taken]. Where a thread of the kernel's takes entries nobody
 * learns of the latter, and no syncs are linked.
 */
#include <errno.h>

#include "base/env_posix.h"
#include "primitives/device_uring.h"

static void put_in_ring(struct fst_uring_op *op) {
    const struct faster_env *env = op->queue->device->head.env;
    struct io_uring_sqe *entry = fst_uring_ring_entry(op->queue, op);

    io_uring_prep_fsync(entry, env->file_descriptor(env, op->file->file), IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_data(entry, op);
}

static void cancel(struct fst_uring_op *op) {
    fst_segment_files_sync_cancel(op->queue->device->files, op->file);
    op->file = NULL;
}

/* ---- alone ---- */

static void rest_done(struct fst_io_request *rest) {
    struct fst_uring_op *op = rest->context;

    op->queue->inner_count--;
    op->needs_sync = false;
    fst_uring_sync_or_end(op, rest->status);
}

static void hand_over(struct fst_uring_op *op) {
    struct fst_device *inner = op->queue->device->inner;

    op->rest = (struct fst_io_request){.kind = FST_IO_SYNC, .done = rest_done, .context = op};
    op->state = FST_URING_INNER;
    op->queue->inner_count++;
    inner->ops->submit(inner, op->queue->inner, &op->rest);
}

static bool can_sync_here(const struct fst_uring_op *op) {
    const struct faster_env *env = op->queue->device->head.env;

    return env->file_descriptor(env, op->file->file) >= 0 && fst_uring_ring_open(op->queue);
}

static void start(struct fst_uring_op *op) {
    struct fst_segment_files *files = op->queue->device->files;

    op->file = NULL;
    if (!fst_segment_files_sync_begin(files, &op->file, &op->write_count)) {
        hand_over(op);
    } else if (!can_sync_here(op)) {
        cancel(op);
        hand_over(op);
    } else {
        op->is_sync = true;
        put_in_ring(op);
    }
}

/* No error is answered by asking again: the first may have lost what the second would not miss. */
static void end_alone(struct fst_uring_op *op, int result) {
    struct fst_segment_file *file = op->file;
    const enum faster_status status = result < 0 ? fst_posix_status(-result) : FASTER_OK;

    op->is_sync = false;
    if (result == -ECANCELED) {
        cancel(op); /* its thread has ended before the kernel began */
        hand_over(op);
        return;
    }
    op->file = NULL;
    op->needs_sync = false;
    fst_segment_files_sync_end(op->queue->device->files, file, op->write_count, status);
    /* "No space" and "no memory" would be tried again. */
    fst_uring_sync_or_end(op, status == FASTER_OK ? FASTER_OK : FASTER_IO);
}

/* ---- behind a write ---- */

void fst_uring_sync_link(struct fst_uring_op *write, struct io_uring_sqe *entry) {
    struct fst_segment_file *file = write->file;
    struct fst_uring_op *sync;
    uint64_t write_count;

    if (!write->needs_sync || write->linked != NULL || fst_uring_is_polled(write->queue) ||
        write->handled + write->piece_bytes < write->request->count_bytes ||
        write->queue->free == NULL ||
        !fst_segment_files_sync_begin(write->queue->device->files, &file, &write_count)) {
        return;
    }
    sync = fst_uring_op_take(write->queue); /* there is one */
    sync->is_sync = true;
    sync->file = file;
    sync->write_count = write_count + 1; /* with the write */
    sync->linked = write;
    write->linked = sync;
    entry->flags |= IOSQE_IO_LINK;
    put_in_ring(sync);
}

void fst_uring_sync_unlink(struct fst_uring_op *op) {
    if (op->linked != NULL) {
        op->linked->is_unlinked = true;
    }
}

static void conclude(struct fst_uring_op *op) {
    struct fst_device_queue *queue = op->queue;
    struct fst_io_request *request = op->request;
    const enum faster_status status = op->status;

    if (status == FASTER_OK && op->needs_sync) {
        start(op);
        return;
    }
    fst_uring_op_free(op);
    fst_uring_complete(queue, request, status);
}

/* Whether the sync, as far as is known by now, has made the request durable. */
static bool covers_write(const struct fst_uring_op *sync) {
    return sync->result >= 0 && !sync->is_unlinked && sync->linked->status == FASTER_OK;
}

/* Both are back. */
static void end_linked(struct fst_uring_op *write, struct fst_uring_op *sync) {
    if (covers_write(sync)) {
        write->needs_sync = false;
    }
    write->linked = NULL;
    fst_uring_op_free(sync);
    conclude(write);
}

void fst_uring_sync_or_end(struct fst_uring_op *op, enum faster_status status) {
    op->status = status;
    if (op->linked == NULL) {
        conclude(op);
        return;
    }
    op->state = FST_URING_LINKED;
    if (op->linked->state == FST_URING_LINKED) {
        end_linked(op, op->linked);
    }
}

/* The sync is over, whatever the write does: a worker may be carrying that out, and will sync. */
static void end_behind(struct fst_uring_op *sync) {
    struct fst_segment_files *files = sync->queue->device->files;
    const struct fst_uring_op *write = sync->linked;
    const bool covers = write->state == FST_URING_LINKED && covers_write(sync);

    if (sync->result == -ECANCELED) {
        cancel(sync);
    } else {
        fst_segment_files_sync_end(files, sync->file, covers ? sync->write_count : UINT64_MAX,
                                   sync->result < 0 ? fst_posix_status(-sync->result) : FASTER_OK);
    }
    sync->file = NULL;
}

void fst_uring_sync_result(struct fst_uring_op *op, int result) {
    struct fst_uring_op *write = op->linked;

    if (write == NULL) {
        end_alone(op, result);
        return;
    }
    op->result = result;
    end_behind(op);
    op->state = FST_URING_LINKED;
    if (write->state == FST_URING_LINKED) {
        end_linked(write, op);
    }
}
