/* store_files.c - opens a store's directory: identity, lock, newest manifest (layer 4). */
#include <string.h>

#include "base/uuid.h"
#include "store/store_files_internal.h"

/* ---- small files ---- */

/* The one place that puts a failure on a named file into words. */
static enum faster_status file_failed(struct faster_error *error, enum faster_status status,
                                      const char *verb, const char *directory, const char *name) {
    if (status == FASTER_MISSING) {
        return fst_error_set(error, status, "%s/%s is missing", directory, name);
    }
    if (status == FASTER_FOREIGN) {
        return fst_error_set(error, status,
                             "%s/%s is a link or no regular file; the files of a store are "
                             "regular files",
                             directory, name);
    }
    if (status == FASTER_READ_ONLY) {
        return fst_error_set(error, status,
                             "cannot %s %s/%s: no permission, or a read-only file system", verb,
                             directory, name);
    }
    if (status == FASTER_FULL) {
        return fst_error_set(error, status, "cannot %s %s/%s: no space", verb, directory, name);
    }
    if (status == FASTER_NOMEM) {
        return fst_error_set(error, status, "out of memory");
    }
    return fst_error_set(error, status, "cannot %s %s/%s", verb, directory, name);
}

enum faster_status fst_small_file_read(const struct faster_env *env, const char *directory,
                                       const char *name, void *bytes, size_t capacity,
                                       size_t *count, struct faster_error *error) {
    char path[FST_PATH_BYTES_MAX];
    struct fst_file *file;
    enum faster_status status = fst_path_join(path, sizeof path, directory, name);

    if (status == FASTER_OK) {
        status = env->file_open(env, path, FST_OPEN_READ, 0, &file);
    }
    if (status == FASTER_OK) {
        status = env->file_read(env, file, 0, bytes, capacity, count);
        env->file_close(env, file);
    }
    return status == FASTER_OK ? status : file_failed(error, status, "read", directory, name);
}

static enum faster_status write_and_sync(const struct faster_env *env, const char *path,
                                         const void *bytes, size_t count,
                                         const struct fst_store_owner *owner) {
    struct fst_file *file;
    enum faster_status status;

    status = env->path_remove(env, path);
    if (status != FASTER_OK && status != FASTER_MISSING) {
        return status;
    }
    status = env->file_open(env, path, FST_OPEN_WRITE | FST_OPEN_CREATE | FST_OPEN_NEW, owner->mode,
                            &file);
    if (status != FASTER_OK) {
        return status;
    }
    /* A file with another owner than wished still is a good file. */
    (void)env->file_own(env, file, owner->mode, owner->user, owner->group);
    status = env->file_write(env, file, 0, bytes, count);
    if (status == FASTER_OK) {
        status = env->file_sync(env, file);
    }
    env->file_close(env, file);
    if (status != FASTER_OK) {
        (void)env->path_remove(env, path);
    }
    return status;
}

enum faster_status fst_small_file_write(const struct faster_env *env, const char *directory,
                                        const char *name, const void *bytes, size_t count,
                                        const struct fst_store_owner *owner,
                                        struct faster_error *error) {
    char path[FST_PATH_BYTES_MAX];
    enum faster_status status = fst_path_join(path, sizeof path, directory, name);

    if (status == FASTER_OK) {
        status = write_and_sync(env, path, bytes, count, owner);
    }
    return status == FASTER_OK ? status : file_failed(error, status, "write", directory, name);
}

/* ---- the directory and its identity ---- */

enum faster_status fst_store_directory_check(const struct faster_env *env, const char *directory,
                                             struct faster_error *error) {
    struct fst_file_info info;
    const enum faster_status status = env->path_info(env, directory, &info);

    if (status == FASTER_MISSING) {
        return fst_error_set(
            error, status,
            "there is no store at %s: whoever copies or moves a database brings the "
            "directory of its stores along",
            directory);
    }
    if (status != FASTER_OK) {
        return fst_error_set(error, status, "cannot look at %s", directory);
    }
    if (info.kind != FST_FILE_DIRECTORY) {
        return fst_error_set(error, FASTER_FOREIGN,
                             "%s is %s; a store is a directory that holds a file named \"%s\"",
                             directory,
                             info.kind == FST_FILE_REGULAR ? "a file" : "a link or a special file",
                             FST_NAME_IDENTITY);
    }
    return FASTER_OK;
}

static enum faster_status identity_refused(struct faster_error *error, enum faster_status status,
                                           const char *directory) {
    if (status == FASTER_FOREIGN) {
        return fst_error_set(error, status, "%s/%s is not the identity of a store", directory,
                             FST_NAME_IDENTITY);
    }
    if (status == FASTER_VERSION_NEWER) {
        return fst_error_set(error, status,
                             "the store %s was written by a newer version; this one reads format "
                             "%u and older",
                             directory, FST_FORMAT_VERSION_NEWEST);
    }
    return fst_error_set(error, status, "%s/%s is damaged: the store cannot be identified",
                         directory, FST_NAME_IDENTITY);
}

enum faster_status fst_identity_read(const struct faster_env *env, const char *directory,
                                     const uint8_t uuid[FASTER_UUID_BYTES],
                                     struct fst_identity *identity, struct faster_error *error) {
    uint8_t bytes[sizeof *identity + 1]; /* one more, to see that the file ends */
    char text[FASTER_UUID_TEXT_BYTES];
    size_t count;
    enum faster_status status =
        fst_small_file_read(env, directory, FST_NAME_IDENTITY, bytes, sizeof bytes, &count, error);

    if (status == FASTER_MISSING) {
        return fst_error_set(error, status, "there is no store at %s: it has no file \"%s\"",
                             directory, FST_NAME_IDENTITY);
    }
    if (status != FASTER_OK) {
        return status;
    }
    status = fst_identity_check(bytes, count, identity);
    if (status == FASTER_OK && count != sizeof *identity) {
        status = FASTER_CORRUPT;
    }
    if (status != FASTER_OK) {
        return identity_refused(error, status, directory);
    }
    if (!fst_uuid_is_zero(uuid) && !fst_uuid_equal(uuid, identity->uuid)) {
        faster_uuid_text(identity->uuid, text);
        return fst_error_set(error, FASTER_FOREIGN, "%s holds another store, %s", directory, text);
    }
    return FASTER_OK;
}

/* New files follow the file `store`. */
static enum faster_status read_mode(struct fst_store_files *files, struct faster_error *error) {
    char path[FST_PATH_BYTES_MAX];
    struct fst_file_info info;
    enum faster_status status =
        fst_path_join(path, sizeof path, files->directory, FST_NAME_IDENTITY);

    if (status == FASTER_OK) {
        status = files->env->path_info(files->env, path, &info);
    }
    if (status != FASTER_OK) {
        return file_failed(error, status, "look at", files->directory, FST_NAME_IDENTITY);
    }
    files->mode = (struct fst_store_owner){info.mode & 0666u, info.user, info.group};
    return FASTER_OK;
}

/* ---- open and close ---- */

static enum faster_status open_parts(struct fst_store_files *files,
                                     const struct fst_store_files_open_config *config,
                                     struct faster_error *error) {
    struct fst_lock_request request = {
        .env = files->env,
        .directory = files->directory,
        .read_only = config->read_only,
        .wait_ns = config->lock_wait_ns,
        .interrupt = config->interrupt,
        .interrupt_context = config->interrupt_context,
    };
    enum faster_status status = fst_store_directory_check(files->env, files->directory, error);

    /* Before the lock is touched: a directory that is no store gets no lock file. */
    if (status == FASTER_OK) {
        status =
            fst_identity_read(files->env, files->directory, config->uuid, &files->identity, error);
    }
    if (status == FASTER_OK) {
        status = read_mode(files, error);
    }
    if (status == FASTER_OK) {
        request.owner = files->mode;
        status = fst_store_lock(&request, &files->lock, error);
    }
    /* And again: the former owner of the lock may have removed the store. */
    if (status == FASTER_OK) {
        status =
            fst_identity_read(files->env, files->directory, config->uuid, &files->identity, error);
    }
    if (status == FASTER_OK) {
        files->owner = fst_format_owner_of(&files->identity);
        status = fst_manifest_read_newest(files, error);
    }
    return status;
}

enum faster_status fst_store_files_open(const struct fst_store_files_open_config *config,
                                        struct fst_store_files **files,
                                        struct faster_error *error) {
    const struct faster_env *env = config->env;
    const size_t directory_bytes = strlen(config->directory) + 1;
    struct fst_store_files *opened = env->allocate(env, sizeof *opened);
    enum faster_status status;

    if (opened == NULL) {
        return fst_error_set(error, FASTER_NOMEM, "out of memory");
    }
    *opened = (struct fst_store_files){
        .env = env, .diagnostics = config->diagnostics, .read_only = config->read_only};
    opened->directory = env->allocate(env, directory_bytes);
    if (opened->directory == NULL) {
        env->release(env, opened);
        return fst_error_set(error, FASTER_NOMEM, "out of memory");
    }
    memcpy(opened->directory, config->directory, directory_bytes);
    status = open_parts(opened, config, error);
    if (status != FASTER_OK) {
        fst_store_files_close(opened);
        return status;
    }
    *files = opened;
    return FASTER_OK;
}

void fst_store_files_close(struct fst_store_files *files) {
    if (files == NULL) {
        return;
    }
    if (files->lock != NULL) {
        files->env->file_close(files->env, files->lock);
    }
    files->env->release(files->env, files->directory);
    files->env->release(files->env, files);
}

const char *fst_store_files_directory(const struct fst_store_files *files) {
    return files->directory;
}

const struct fst_identity *fst_store_files_identity(const struct fst_store_files *files) {
    return &files->identity;
}

const struct fst_manifest *fst_store_files_manifest(const struct fst_store_files *files) {
    return &files->manifest;
}

const struct fst_format_owner *fst_store_files_owner(const struct fst_store_files *files) {
    return &files->owner;
}

struct fst_store_owner fst_store_files_mode(const struct fst_store_files *files) {
    return files->mode;
}
