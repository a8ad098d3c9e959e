/* store_files_remove.c - removes a store's files, and finds stores by name (layer 4).
 *
 * The identity goes last but for the lock, so a removal that was cut short can be taken up
 * again. Without an identity (a creation, or a removal, was cut short) the directory's own
 * name must be the UUID.
 */
#include <string.h>

#include "base/uuid.h"
#include "primitives/segment_names.h"
#include "store/checkpoint_files.h"
#include "store/store_files_internal.h"

static const char *const names_in_order[] = {
    FST_NAME_CHECKPOINT_TEMPORARY,
    FST_NAME_SEGMENT_TEMPORARY,
    FST_NAME_MANIFEST_0 FST_NAME_TEMPORARY_SUFFIX,
    FST_NAME_MANIFEST_1 FST_NAME_TEMPORARY_SUFFIX,
    FST_NAME_MANIFEST_0,
    FST_NAME_MANIFEST_1,
    FST_NAME_IDENTITY,
    FST_NAME_UNSETTLED, /* after the identity: what is left of a removal may be taken up again */
    FST_NAME_LOCK,
};

static enum faster_status remove_names(const struct faster_env *env, const char *directory,
                                       struct faster_error *error) {
    for (size_t i = 0; i < sizeof names_in_order / sizeof names_in_order[0]; i++) {
        char path[FST_PATH_BYTES_MAX];
        enum faster_status status = fst_path_join(path, sizeof path, directory, names_in_order[i]);
        if (status == FASTER_OK) {
            status = env->path_remove(env, path);
        }
        if (status != FASTER_OK && status != FASTER_MISSING) {
            return fst_error_set(error, FASTER_IO, "cannot remove %s/%s", directory,
                                 names_in_order[i]);
        }
    }
    return FASTER_OK;
}

/* The lock is held, or there is no store that one could have open. */
static enum faster_status remove_all(const struct faster_env *env, const char *directory,
                                     struct faster_error *error) {
    char parent[FST_PATH_BYTES_MAX];
    uint64_t count;
    enum faster_status status = fst_checkpoint_files_trim(env, directory, NULL, 0);

    if (status != FASTER_OK) {
        return fst_error_set(error, FASTER_IO, "cannot remove the checkpoints of %s", directory);
    }
    status = fst_segment_names_remove_below(env, directory, UINT64_MAX, &count, NULL);
    if (status != FASTER_OK) {
        return fst_error_set(error, FASTER_IO, "cannot remove the log files of %s", directory);
    }
    status = remove_names(env, directory, error);
    if (status != FASTER_OK) {
        return status;
    }
    status = env->directory_remove(env, directory);
    if (status != FASTER_OK && status != FASTER_MISSING) {
        return fst_error_set(error, FASTER_IO,
                             "the store's files are removed, but not the directory %s: it holds "
                             "other files, or its parent does not allow it",
                             directory);
    }
    if (fst_path_parent(parent, sizeof parent, directory) != FASTER_OK ||
        env->directory_sync(env, parent) != FASTER_OK) {
        return fst_error_set(error, FASTER_IO, "%s is removed, but a power cut may bring it back",
                             directory);
    }
    return FASTER_OK;
}

/* Is the last component of the path the text of `uuid`? */
static bool is_named(const char *directory, const uint8_t uuid[FASTER_UUID_BYTES]) {
    uint8_t named[FASTER_UUID_BYTES];
    const char *slash = strrchr(directory, '/');

    return faster_uuid_parse(slash == NULL ? directory : slash + 1, named) &&
           fst_uuid_equal(named, uuid);
}

enum faster_status fst_store_files_remove(const struct faster_env *env, const char *directory,
                                          const uint8_t uuid[FASTER_UUID_BYTES],
                                          struct faster_error *error) {
    struct fst_lock_request request = {.env = env, .directory = directory, .owner = {.mode = 0600}};
    struct fst_file *lock;
    struct fst_identity identity;
    enum faster_status status = fst_store_directory_check(env, directory, error);

    if (status == FASTER_OK) {
        status = fst_identity_read(env, directory, uuid, &identity, error);
    }
    if (status == FASTER_MISSING && is_named(directory, uuid)) {
        status = fst_store_directory_check(env, directory, error);
    }
    if (status == FASTER_OK) {
        status = fst_store_lock(&request, &lock, error);
    }
    if (status != FASTER_OK) {
        return status;
    }
    status = remove_all(env, directory, error);
    env->file_close(env, lock);
    if (status == FASTER_OK) {
        fst_error_clear(error);
    }
    return status;
}

enum faster_status fst_store_files_close_and_remove(struct fst_store_files *files,
                                                    struct faster_error *error) {
    const enum faster_status status =
        files->read_only ? fst_error_set(error, FASTER_READ_ONLY, "store %s was opened read-only",
                                         files->directory)
                         : remove_all(files->env, files->directory, error);

    fst_store_files_close(files);
    return status;
}

/* ---- listing ---- */

struct listing {
    faster_directory_fn *each;
    void *context;
};

static bool list_one(void *context, const char *name) {
    const struct listing *listing = context;
    uint8_t uuid[FASTER_UUID_BYTES];

    if (faster_uuid_parse(name, uuid)) {
        listing->each(listing->context, uuid);
    }
    return true;
}

enum faster_status fst_store_files_list(const struct faster_env *env, const char *parent,
                                        faster_directory_fn *each, void *context) {
    struct listing listing = {each, context};

    return env->directory_list(env, parent, list_one, &listing);
}
