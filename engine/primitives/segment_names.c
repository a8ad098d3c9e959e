/* segment_names.c - lists and removes segment files (layer 2).
 *
 * Names are gathered first and used after the listing: what a directory shows while it is
 * changed differs between systems, and an environment may hold a lock while it lists.
 */
#include "primitives/segment_names.h"

#include "primitives/device.h"

static bool gather(void *context, const char *name) {
    struct fst_segment_batch *batch = context;
    uint64_t index;
    unsigned at;

    if (!fst_segment_name_parse(name, &index) || index < batch->from || index >= batch->limit) {
        return true;
    }
    if (batch->count == FST_SEGMENT_BATCH_COUNT) {
        if (index >= batch->index[FST_SEGMENT_BATCH_COUNT - 1]) {
            return true;
        }
        batch->count--;
    }
    for (at = batch->count++; at > 0 && batch->index[at - 1] > index; at--) {
        batch->index[at] = batch->index[at - 1];
    }
    batch->index[at] = index;
    return true;
}

enum faster_status fst_segment_names_next(const struct faster_env *env, const char *directory,
                                          struct fst_segment_batch *batch) {
    if (batch->count > 0) {
        batch->from = batch->index[batch->count - 1] + 1;
        batch->count = 0;
    }
    return env->directory_list(env, directory, gather, batch);
}

enum faster_status fst_segment_path(const char *directory, uint64_t index,
                                    char path[FST_PATH_BYTES_MAX]) {
    char name[FST_SEGMENT_NAME_BYTES];

    fst_segment_name(index, name);
    return fst_path_join(path, FST_PATH_BYTES_MAX, directory, name);
}

/* 0 if it is not there, or no regular file. */
static uint64_t size_of(const struct faster_env *env, const char *path) {
    struct fst_file_info info;

    if (env->path_info(env, path, &info) != FASTER_OK || info.kind != FST_FILE_REGULAR) {
        return 0;
    }
    return info.size_bytes;
}

static bool widen(void *context, const char *name) {
    struct fst_segment_extent *extent = context;
    uint64_t index;

    if (fst_segment_name_parse(name, &index)) {
        if (extent->count == 0 || index < extent->first_index) {
            extent->first_index = index;
        }
        if (extent->count == 0 || index > extent->last_index) {
            extent->last_index = index;
        }
        extent->count++;
    }
    return true;
}

enum faster_status fst_segment_names_extent(const struct faster_env *env, const char *directory,
                                            struct fst_segment_extent *extent) {
    *extent = (struct fst_segment_extent){0};
    return env->directory_list(env, directory, widen, extent);
}

enum faster_status fst_segment_names_size(const struct faster_env *env, const char *directory,
                                          uint64_t *bytes) {
    struct fst_segment_batch batch = {.limit = UINT64_MAX};
    enum faster_status status;

    do {
        status = fst_segment_names_next(env, directory, &batch);
        for (unsigned i = 0; status == FASTER_OK && i < batch.count; i++) {
            char path[FST_PATH_BYTES_MAX];
            status = fst_segment_path(directory, batch.index[i], path);
            *bytes += status == FASTER_OK ? size_of(env, path) : 0;
        }
    } while (status == FASTER_OK && batch.count == FST_SEGMENT_BATCH_COUNT);
    return status;
}

static enum faster_status remove_one(const struct faster_env *env, const char *directory,
                                     uint64_t index, uint64_t *removed_bytes) {
    char path[FST_PATH_BYTES_MAX];
    uint64_t bytes;
    enum faster_status status = fst_segment_path(directory, index, path);

    if (status != FASTER_OK) {
        return status;
    }
    bytes = size_of(env, path);
    status = env->path_remove(env, path);
    if (status == FASTER_OK && removed_bytes != NULL) {
        *removed_bytes += bytes;
    }
    return status == FASTER_MISSING ? FASTER_OK : status;
}

enum faster_status fst_segment_names_remove_below(const struct faster_env *env,
                                                  const char *directory, uint64_t index_limit,
                                                  uint64_t *removed_count,
                                                  uint64_t *removed_bytes) {
    struct fst_segment_batch batch = {.limit = index_limit};
    enum faster_status status;

    *removed_count = 0;
    do {
        status = fst_segment_names_next(env, directory, &batch);
        for (unsigned i = 0; status == FASTER_OK && i < batch.count; i++) {
            status = remove_one(env, directory, batch.index[i], removed_bytes);
            *removed_count += status == FASTER_OK ? 1 : 0;
        }
    } while (status == FASTER_OK && batch.count == FST_SEGMENT_BATCH_COUNT);
    return status;
}
