/* segment_open.c - opens one segment file, or makes it (layer 2).
 *
 * A new file's header is synced before the first log byte follows it. So a file that is
 * longer than a header was complete once: a bad header there is damage. One that is not
 * longer may be what a power cut left of a creation; it holds nothing, reads as if it did
 * not exist, and a writer makes it anew.
 */
#include <string.h>

#include "primitives/segment_files.h"
#include "primitives/segment_names.h"

static enum faster_status write_header(const struct fst_segment_files *files, struct fst_file *file,
                                       uint64_t index) {
    const struct faster_env *env = files->env;
    struct {
        struct fst_segment_header header;
        uint8_t rest[FST_SEGMENT_HEADER_BYTES - sizeof(struct fst_segment_header)];
    } block;
    enum faster_status status;

    memset(&block, 0, sizeof block);
    fst_segment_header_seal(&block.header, &files->owner, files->segment_bits, index);
    /* A file with another mode or owner than wished still is a good file. */
    (void)env->file_own(env, file, files->mode, files->user, files->group);
    status = env->file_write(env, file, 0, &block, sizeof block);
    if (status == FASTER_OK) {
        status = env->file_sync(env, file);
    }
    return status;
}

static enum faster_status check_header(const struct fst_segment_files *files, struct fst_file *file,
                                       uint64_t index) {
    uint8_t bytes[sizeof(struct fst_segment_header)];
    size_t count;
    const enum faster_status status =
        files->env->file_read(files->env, file, 0, bytes, sizeof bytes, &count);

    if (status != FASTER_OK) {
        return status;
    }
    return fst_segment_header_check(bytes, count, &files->owner, files->segment_bits, index);
}

/* The same file once more; without it everything goes through the system's cache. */
static struct fst_file *open_direct(const struct fst_segment_files *files, uint64_t index) {
    const unsigned flags = files->read_only ? FST_OPEN_READ : FST_OPEN_WRITE;
    char path[FST_PATH_BYTES_MAX];
    struct fst_file *file;

    if (fst_segment_path(files->directory, index, path) != FASTER_OK ||
        files->env->file_open(files->env, path, flags | FST_OPEN_DIRECT, 0, &file) != FASTER_OK) {
        return NULL;
    }
    return file;
}

static enum faster_status open_file(const struct fst_segment_files *files, uint64_t index,
                                    bool create, struct fst_file **file) {
    unsigned flags = files->read_only ? FST_OPEN_READ : FST_OPEN_WRITE;
    char path[FST_PATH_BYTES_MAX];
    enum faster_status status = fst_segment_path(files->directory, index, path);

    if (status != FASTER_OK) {
        return status;
    }
    if (create) {
        flags |= FST_OPEN_CREATE;
    }
    status = files->env->file_open(files->env, path, flags, files->mode, file);
    return status == FASTER_MISSING && !create ? FASTER_NOT_FOUND : status;
}

enum faster_status fst_segment_open(const struct fst_segment_files *files, uint64_t index,
                                    bool create, struct fst_segment_file *opened, bool *created) {
    const struct faster_env *env = files->env;
    struct fst_file *file;
    uint64_t size_bytes;
    enum faster_status status;

    *created = false;
    if (create && files->read_only) {
        return FASTER_READ_ONLY;
    }
    status = open_file(files, index, create, &file);
    if (status != FASTER_OK) {
        return status;
    }
    status = env->file_size(env, file, &size_bytes);
    if (status != FASTER_OK) {
        goto failed;
    }
    opened->size_bytes = size_bytes;
    if (size_bytes > FST_SEGMENT_HEADER_BYTES) {
        status = check_header(files, file, index);
    } else if (!create) {
        status = FASTER_NOT_FOUND;
    } else {
        *created = true;
        status = write_header(files, file, index);
    }
    if (status != FASTER_OK) {
        goto failed;
    }
    opened->file = file;
    opened->direct = files->opens_direct ? open_direct(files, index) : NULL;
    return FASTER_OK;

failed:
    env->file_close(env, file);
    return status;
}
