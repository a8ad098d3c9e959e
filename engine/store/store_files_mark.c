/* store_files_mark.c - the mark of a store whose creation or removal is not settled (layer 4). */
#include "store/store_files_internal.h"

enum faster_status fst_store_files_mark(const struct faster_env *env, const char *directory,
                                        bool unsettled) {
    char path[FST_PATH_BYTES_MAX];
    struct fst_file *file;
    enum faster_status status = fst_path_join(path, sizeof path, directory, FST_NAME_UNSETTLED);
    if (status != FASTER_OK) {
        return status;
    }
    if (unsettled) {
        status = env->file_open(env, path, FST_OPEN_WRITE | FST_OPEN_CREATE, 0600, &file);
        if (status == FASTER_OK) {
            env->file_close(env, file);
        }
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
