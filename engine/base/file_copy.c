/* file_copy.c - a file's bytes under another name (layer 0). */
#include "base/file_copy.h"

#include "base/bytes.h"

#define PIECE_BYTES (UINT64_C(256) * 1024)

/* Fills the new file. INVALID: not in this way, and it is still empty. */
typedef enum faster_status fill_fn(struct fst_file_copy *copy, struct fst_file *from,
                                   struct fst_file *to);

static enum faster_status clone_file(struct fst_file_copy *copy, struct fst_file *from,
                                     struct fst_file *to) {
    const struct faster_env *env = copy->env;
    uint64_t bytes = 0;
    if (env->file_clone(env, from, to) != FASTER_OK) {
        return FASTER_INVALID;
    }
    enum faster_status status = env->file_size(env, to, &bytes);
    if (status == FASTER_OK && bytes > copy->bytes_max) {
        bytes = copy->bytes_max;
        status = env->file_truncate(env, to, bytes);
    }
    copy->shared_bytes += status == FASTER_OK ? bytes : 0;
    return status;
}

static enum faster_status copy_bytes(struct fst_file_copy *copy, struct fst_file *from,
                                     struct fst_file *to) {
    const struct faster_env *env = copy->env;
    enum faster_status status = FASTER_OK;
    uint64_t at = 0;
    size_t count = 1;
    void *piece = env->allocate(env, PIECE_BYTES);
    if (piece == NULL) {
        return FASTER_NOMEM;
    }
    while (status == FASTER_OK && count > 0 && at < copy->bytes_max) {
        if (copy->interrupt != NULL && copy->interrupt(copy->interrupt_context)) {
            status = FASTER_INTERRUPTED;
            break;
        }
        status = env->file_read(env, from, at, piece,
                                (size_t)fst_min_u64(PIECE_BYTES, copy->bytes_max - at), &count);
        if (status == FASTER_OK && count > 0) {
            status = env->file_write(env, to, at, piece, count);
            at += count;
        }
    }
    env->release(env, piece);
    copy->copied_bytes += status == FASTER_OK ? at : 0;
    return status;
}

static enum faster_status make(struct fst_file_copy *copy, struct fst_file *from, fill_fn *fill) {
    const struct faster_env *env = copy->env;
    struct fst_file *to;
    enum faster_status status = env->file_open(
        env, copy->to, FST_OPEN_WRITE | FST_OPEN_CREATE | FST_OPEN_NEW, copy->mode, &to);
    if (status != FASTER_OK) {
        return status;
    }
    /* A file with another owner than wished still is a good file. */
    (void)env->file_own(env, to, copy->mode, copy->user, copy->group);
    status = fill(copy, from, to);
    if (status == FASTER_OK) {
        status = env->file_sync(env, to);
    }
    env->file_close(env, to);
    if (status != FASTER_OK) {
        (void)env->path_remove(env, copy->to);
    }
    return status;
}

/* Whatever is in the way of a link, the bytes can be copied. */
static enum faster_status link_file(struct fst_file_copy *copy, struct fst_file *from) {
    const struct faster_env *env = copy->env;
    uint64_t bytes = 0;
    if (env->path_link == NULL || env->path_link(env, copy->from, copy->to) != FASTER_OK) {
        return FASTER_INVALID;
    }
    enum faster_status status = env->file_size(env, from, &bytes);
    if (status == FASTER_OK) {
        status = env->file_sync(env, from);
    }
    if (status != FASTER_OK) {
        (void)env->path_remove(env, copy->to);
        return status;
    }
    copy->shared_bytes += bytes;
    return FASTER_OK;
}

enum faster_status fst_file_copy(struct fst_file_copy *copy) {
    const struct faster_env *env = copy->env;
    struct fst_file *from;
    enum faster_status status = env->file_open(env, copy->from, FST_OPEN_READ, 0, &from);
    if (status != FASTER_OK) {
        return status;
    }
    status = FASTER_INVALID;
    copy->can_clone = copy->can_clone && env->file_clone != NULL;
    if (copy->can_clone) {
        status = make(copy, from, clone_file);
        copy->can_clone = status != FASTER_INVALID;
    }
    if (status == FASTER_INVALID && copy->may_link && copy->bytes_max == UINT64_MAX) {
        status = link_file(copy, from);
    }
    if (status == FASTER_INVALID) {
        status = make(copy, from, copy_bytes);
    }
    env->file_close(env, from);
    return status;
}
