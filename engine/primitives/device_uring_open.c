/* device_uring_open.c - what of io_uring a system offers (layer 2).
 *
 * By use: headers and versions do not tell what a container forbids, or what a disk refuses. In
 * this order, each with what serves when it is refused: a ring [the file device alone]; a thread
 * that submits [each queue does]; rings that poll for completions, by one of them here and by the
 * first read later [ordinary rings].
 */
#include <string.h>

#include "primitives/device_uring.h"

/* Everything but the inner device. */
static enum faster_status create(const struct fst_device_uring_config *config,
                                 struct fst_uring_device **created) {
    const struct faster_env *env = config->file.env;
    struct fst_uring_device *uring = env->allocate(env, sizeof *uring);
    enum faster_status status;

    if (uring == NULL) {
        return FASTER_NOMEM;
    }
    memset(uring, 0, sizeof *uring);
    uring->head = (struct fst_device){
        .ops = &fst_uring_ops, .env = env, .segment_bits = config->file.segment_bits};
    uring->counted = &uring->head;
    uring->calls = config->calls != NULL ? config->calls : &fst_uring_calls_kernel;
    uring->diagnostics = config->diagnostics;
    uring->process_id = env->process_id(env);
    fst_store_relaxed_u32(&uring->block_bytes, config->direct ? FST_URING_BLOCK_BYTES_FIRST : 0);
    status = env->mutex_create(env, &uring->mutex);
    if (status != FASTER_OK) {
        env->release(env, uring);
        return status;
    }
    *created = uring;
    return FASTER_OK;
}

/* Of one without spares. The inner device stays. */
static void destroy(struct fst_uring_device *uring) {
    const struct faster_env *env = uring->head.env;

    fst_uring_poller_close(uring);
    env->mutex_destroy(env, uring->mutex);
    env->release(env, uring);
}

static void open_poller(struct fst_uring_device *uring, unsigned idle_ms) {
    const int result = fst_uring_poller_open(uring, idle_ms);

    if (result < 0) {
        fst_uring_poll_diagnose(uring, "io_submit_poll: refused", -result);
        return;
    }
    fst_uring_spares_finish(uring); /* that one is made for an owner that submits */
    (void)fst_uring_spares_fill(uring);
    uring->files->before_close = fst_uring_poller_settle;
    uring->files->before_close_context = uring->poller;
    fst_store_relaxed_u32(&uring->head.submit_polls, 1);
}

/* A device of files, with rings if they can be had. */
static enum faster_status open_front(const struct fst_device_uring_config *config,
                                     struct fst_device **device) {
    struct fst_uring_device *uring;
    enum faster_status status = create(config, &uring);
    int result;

    if (status != FASTER_OK) {
        return status;
    }
    status = fst_device_file_open(&config->file, &uring->inner);
    if (status != FASTER_OK) {
        destroy(uring);
        return status;
    }
    uring->files = fst_device_file_segments(uring->inner);
    result = fst_uring_spares_fill(uring);
    if (result != 0) {
        fst_uring_diagnose(uring,
                           config->is_wanted ? FASTER_DIAGNOSTIC_WARNING : FASTER_DIAGNOSTIC_INFO,
                           "no io_uring here", -result);
        *device = uring->inner;
        destroy(uring);
        return FASTER_OK;
    }
    uring->files->opens_direct = config->direct;
    if (config->submit_poll) {
        open_poller(uring, config->submit_poll_idle_ms);
    }
    *device = &uring->head;
    return FASTER_OK;
}

/* Puts one that polls for reads in front of `*device`. */
static enum faster_status open_polling(const struct fst_device_uring_config *config,
                                       struct fst_device **device) {
    struct fst_uring_device *inner = (struct fst_uring_device *)*device;
    struct fst_uring_device *uring;
    enum faster_status status = create(config, &uring);
    int result;

    if (status != FASTER_OK) {
        return status;
    }
    uring->polls = true;
    uring->inner = &inner->head;
    uring->files = inner->files;
    uring->poller = inner->poller;
    result = fst_uring_spares_fill(uring);
    if (result != 0) {
        fst_uring_poll_diagnose(uring, "io_complete_poll: refused", -result);
        destroy(uring);
        return FASTER_OK;
    }
    inner->counted = &uring->head;
    fst_store_relaxed_u32(&uring->head.submit_polls,
                          fst_load_relaxed_u32(&inner->head.submit_polls));
    fst_store_relaxed_u32(&uring->head.complete_polls, 1);
    *device = &uring->head;
    return FASTER_OK;
}

enum faster_status fst_device_uring_open(const struct fst_device_uring_config *config,
                                         struct fst_device **device) {
    enum faster_status status = open_front(config, device);

    if (status == FASTER_OK && config->complete_poll && (*device)->ops == &fst_uring_ops) {
        status = open_polling(config, device);
        if (status != FASTER_OK) {
            (*device)->ops->close(*device);
        }
    }
    return status;
}
