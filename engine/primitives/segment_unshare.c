/* segment_unshare.c - gives segment files that have a second name a file of their own (layer 2).
 *
 * A backup on the same file system may be made of hard links: one file under a name in each of two
 * stores. INVARIANT: nobody writes to a segment file that has a second name.
 *
 *   - A backup links only segments below which the log is final for this life of the store that it
 *     is taken of (procedures/backup.c).
 *   - A later life, of either store, may write again what a former one has written: a jump in place
 *     of what was never committed, bytes whose sync may have failed, redo in place of a torn write.
 *     Before its first write it calls this for the lowest address that it is going to write; what
 *     lies above belongs to this store alone from then on.
 *
 * Both stores may do so at once: neither changes the file that both read.
 */
#include "base/file_copy.h"
#include "primitives/segment_files.h"
#include "primitives/segment_names.h"

/* A file that cannot be looked at may be shared. */
static enum faster_status ask_if_shared(const struct fst_segment_files *files, const char *path,
                                        bool *is_shared) {
    struct fst_file_info info;
    const enum faster_status status = files->env->path_info(files->env, path, &info);
    *is_shared = status == FASTER_OK && info.kind == FST_FILE_REGULAR && info.link_count > 1;
    return status == FASTER_MISSING ? FASTER_OK : status;
}

/* A crash leaves the old file or the new one under the segment's name: both have the same bytes. */
static enum faster_status replace(const struct fst_segment_files *files, const char *path) {
    const struct faster_env *env = files->env;
    char temporary[FST_PATH_BYTES_MAX];
    enum faster_status status =
        fst_path_join(temporary, sizeof temporary, files->directory, FST_NAME_SEGMENT_TEMPORARY);
    struct fst_file_copy copy = {.env = env,
                                 .from = path,
                                 .to = temporary,
                                 .bytes_max = UINT64_MAX,
                                 .can_clone = true,
                                 .mode = files->mode,
                                 .user = files->user,
                                 .group = files->group};
    if (status == FASTER_OK) {
        status = env->path_remove(env, temporary);
    }
    if (status == FASTER_OK || status == FASTER_MISSING) {
        status = fst_file_copy(&copy);
    }
    return status == FASTER_OK ? env->path_rename(env, temporary, path) : status;
}

enum faster_status fst_segment_files_unshare(struct fst_segment_files *files,
                                             uint64_t first_index) {
    const struct faster_env *env = files->env;
    struct fst_segment_batch batch = {.from = first_index, .limit = UINT64_MAX};
    enum faster_status status;
    char path[FST_PATH_BYTES_MAX];
    bool is_changed = false;
    bool is_shared = false;

    do {
        status = fst_segment_names_next(env, files->directory, &batch);
        for (unsigned i = 0; status == FASTER_OK && i < batch.count; i++) {
            status = fst_segment_path(files->directory, batch.index[i], path);
            if (status == FASTER_OK) {
                status = ask_if_shared(files, path, &is_shared);
            }
            if (status == FASTER_OK && is_shared) {
                is_changed = true; /* also by a rename that says it has failed */
                status = replace(files, path);
                fst_segment_files_forget(files, batch.index[i]);
            }
        }
    } while (status == FASTER_OK && batch.count == FST_SEGMENT_BATCH_COUNT);
    if (is_changed) {
        /* The name must not lead to the old file again once the new one has been written to. */
        env->mutex_lock(env, files->mutex);
        files->directory_dirty = true;
        env->mutex_unlock(env, files->mutex);
    }
    return status == FASTER_OK && is_changed ? fst_segment_files_sync(files) : status;
}
