/* store_files_mark.c - the mark of a store whose creation or removal is not settled (layer 4). */
#include "store/store_files_internal.h"

/* Makes the mark with the mode and owner of the file `store`, as all files of the directory. */
static enum faster_status make_mark(const struct faster_env *env, const char *directory,
                                    const char *path) {
    char identity[FST_PATH_BYTES_MAX];
    struct fst_file_info info;
    struct fst_file *file;
    enum faster_status status =
        fst_path_join(identity, sizeof identity, directory, FST_NAME_IDENTITY);
    if (status == FASTER_OK) {
        status = env->path_info(env, identity, &info);
    }
    if (status == FASTER_OK) {
        status = env->file_open(env, path, FST_OPEN_WRITE | FST_OPEN_CREATE, info.mode, &file);
    }
    if (status == FASTER_OK) {
        (void)env->file_own(env, file, info.mode, info.user, info.group);
        env->file_close(env, file);
    }
    return status;
}

enum faster_status fst_store_files_mark(const struct faster_env *env, const char *directory,
                                        bool unsettled) {
    char path[FST_PATH_BYTES_MAX];
    enum faster_status status = fst_path_join(path, sizeof path, directory, FST_NAME_UNSETTLED);
    if (status != FASTER_OK) {
        return status;
    }
    if (unsettled) {
        status = make_mark(env, directory, path);
    } else {
        status = env->path_remove(env, path);
        if (status == FASTER_MISSING) {
            return FASTER_OK;
        }
    }
    return status == FASTER_OK ? env->directory_sync(env, directory) : status;
}

bool fst_store_files_is_marked(const struct faster_env *env, const char *directory) {
    char path[FST_PATH_BYTES_MAX];
    struct fst_file_info info;
    return fst_path_join(path, sizeof path, directory, FST_NAME_UNSETTLED) == FASTER_OK &&
           env->path_info(env, path, &info) == FASTER_OK && info.kind == FST_FILE_REGULAR;
}
