/* sim_env_file.c - files and names on the mounted disk; see sim_env.h. */
#include "sim_disk.h"
#include "sim_env.h"
#include "sim_run.h"

/* The disk holds one device. */
#define DEVICE 1u

struct fst_file {
    struct sim_handle *handle;
};

static enum faster_status status_of(enum sim_result result) {
    switch (result) {
    case SIM_OK:
        return FASTER_OK;
    case SIM_MISSING:
        return FASTER_MISSING;
    case SIM_EXISTS:
        return FASTER_EXISTS;
    case SIM_BUSY:
        return FASTER_BUSY;
    case SIM_NO_SPACE:
    case SIM_NO_HANDLE:
        return FASTER_FULL;
    case SIM_NO_FILE:
    case SIM_FAILED:
        return FASTER_IO;
    }
    return FASTER_IO;
}

static enum faster_status sim_file_open(const struct faster_env *env, const char *path,
                                        unsigned flags, uint32_t mode, struct fst_file **file) {
    const unsigned how = ((flags & FST_OPEN_WRITE) != 0 ? SIM_OPEN_WRITE : 0u) |
                         ((flags & FST_OPEN_CREATE) != 0 ? SIM_OPEN_CREATE : 0u) |
                         ((flags & FST_OPEN_NEW) != 0 ? SIM_OPEN_NEW : 0u);
    struct fst_file *opened;
    enum sim_result result;

    if ((flags & FST_OPEN_DIRECT) != 0) {
        return FASTER_INVALID;
    }
    opened = env->allocate(env, sizeof *opened);
    if (opened == NULL) {
        return FASTER_NOMEM;
    }
    sim_point();
    result = sim_open(SIM_ENGINE, path, how, mode, &opened->handle);
    if (result != SIM_OK) {
        env->release(env, opened);
        return result == SIM_NO_FILE ? FASTER_FOREIGN : status_of(result);
    }
    *file = opened;
    return FASTER_OK;
}

static void sim_file_close(const struct faster_env *env, struct fst_file *file) {
    if (file != NULL) {
        sim_close(file->handle);
        env->release(env, file);
    }
}

static enum faster_status sim_file_read(const struct faster_env *env, struct fst_file *file,
                                        uint64_t offset, void *bytes, size_t count,
                                        size_t *count_done) {
    (void)env;
    sim_point();
    *count_done = 0;
    return status_of(sim_read(file->handle, offset, bytes, count, count_done));
}

static enum faster_status sim_file_write(const struct faster_env *env, struct fst_file *file,
                                         uint64_t offset, const void *bytes, size_t count) {
    (void)env;
    sim_point();
    return status_of(sim_write(file->handle, offset, bytes, count));
}

static enum faster_status sim_file_sync(const struct faster_env *env, struct fst_file *file) {
    (void)env;
    sim_point();
    return status_of(sim_sync(file->handle));
}

static enum faster_status sim_file_truncate(const struct faster_env *env, struct fst_file *file,
                                            uint64_t size_bytes) {
    (void)env;
    sim_point();
    return status_of(sim_truncate(file->handle, size_bytes));
}

static enum faster_status sim_file_size(const struct faster_env *env, struct fst_file *file,
                                        uint64_t *size_bytes) {
    (void)env;
    sim_point();
    return status_of(sim_size(file->handle, size_bytes));
}

static enum faster_status sim_file_lock(const struct faster_env *env, struct fst_file *file) {
    (void)env;
    sim_point();
    return status_of(sim_flock(file->handle));
}

static enum faster_status sim_file_own(const struct faster_env *env, struct fst_file *file,
                                       uint32_t mode, uint32_t user, uint32_t group) {
    (void)env;
    sim_handle_own(file->handle, mode, user, group);
    return FASTER_OK;
}

static int sim_file_descriptor(const struct faster_env *env, const struct fst_file *file) {
    (void)env;
    (void)file;
    return -1;
}

/* There are no links to follow. */
static enum faster_status sim_env_path_info(const struct faster_env *env, const char *path,
                                            struct fst_file_info *info) {
    struct sim_info found;
    enum sim_result result;

    (void)env;
    sim_point();
    result = sim_path_info(SIM_ENGINE, path, &found);
    if (result == SIM_OK) {
        *info = (struct fst_file_info){
            .kind = found.is_directory ? FST_FILE_DIRECTORY : FST_FILE_REGULAR,
            .size_bytes = found.size_bytes,
            .device = DEVICE,
            .inode = found.inode,
            .mode = found.mode,
            .user = found.user,
            .group = found.group,
            .link_count = 1,
        };
    }
    return status_of(result);
}

static enum faster_status sim_env_directory_create(const struct faster_env *env, const char *path,
                                                   uint32_t mode) {
    (void)env;
    sim_point();
    return status_of(sim_directory_create(SIM_ENGINE, path, mode));
}

static enum faster_status sim_env_directory_own(const struct faster_env *env, const char *path,
                                                uint32_t mode, uint32_t user, uint32_t group) {
    (void)env;
    return status_of(sim_path_own(SIM_ENGINE, path, mode, user, group));
}

static enum faster_status sim_env_directory_remove(const struct faster_env *env, const char *path) {
    (void)env;
    sim_point();
    return status_of(sim_directory_remove(SIM_ENGINE, path));
}

static enum faster_status sim_env_directory_sync(const struct faster_env *env, const char *path) {
    (void)env;
    sim_point();
    return status_of(sim_directory_sync(SIM_ENGINE, path));
}

static enum faster_status sim_env_directory_list(const struct faster_env *env, const char *path,
                                                 fst_name_fn *each, void *context) {
    (void)env;
    sim_point();
    return status_of(sim_directory_list(SIM_ENGINE, path, each, context));
}

static enum faster_status sim_env_path_rename(const struct faster_env *env, const char *from,
                                              const char *to) {
    (void)env;
    sim_point();
    return status_of(sim_path_rename(SIM_ENGINE, from, to));
}

static enum faster_status sim_env_path_remove(const struct faster_env *env, const char *path) {
    (void)env;
    sim_point();
    return status_of(sim_path_remove(SIM_ENGINE, path));
}

void sim_env_fill_files(struct faster_env *env) {
    env->file_open = sim_file_open;
    env->file_close = sim_file_close;
    env->file_read = sim_file_read;
    env->file_write = sim_file_write;
    env->file_sync = sim_file_sync;
    env->file_truncate = sim_file_truncate;
    env->file_size = sim_file_size;
    env->file_lock = sim_file_lock;
    env->file_own = sim_file_own;
    env->file_descriptor = sim_file_descriptor;
    env->path_info = sim_env_path_info;
    env->path_info_follow = sim_env_path_info;
    env->directory_create = sim_env_directory_create;
    env->directory_own = sim_env_directory_own;
    env->directory_remove = sim_env_directory_remove;
    env->directory_sync = sim_env_directory_sync;
    env->directory_list = sim_env_directory_list;
    env->path_rename = sim_env_path_rename;
    env->path_remove = sim_env_path_remove;
}
