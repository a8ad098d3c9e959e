/* env_posix_path.c - names and directories (layer 0). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env_posix.h"

static enum faster_status status_of_result(int result) {
    return result == 0 ? FASTER_OK : fst_posix_status(errno);
}

static enum fst_file_kind kind_of(mode_t mode) {
    if (S_ISREG(mode)) {
        return FST_FILE_REGULAR;
    }
    return S_ISDIR(mode) ? FST_FILE_DIRECTORY : FST_FILE_OTHER;
}

static void fill_info(const struct stat *from, struct fst_file_info *info) {
    info->kind = kind_of(from->st_mode);
    info->size_bytes = (uint64_t)from->st_size;
    info->device = (uint64_t)from->st_dev;
    info->inode = (uint64_t)from->st_ino;
    info->mode = (uint32_t)from->st_mode & 07777u;
    info->user = (uint32_t)from->st_uid;
    info->group = (uint32_t)from->st_gid;
    info->link_count = (uint32_t)from->st_nlink;
}

enum faster_status fst_posix_path_info(const struct faster_env *env, const char *path,
                                       struct fst_file_info *info) {
    (void)env;
    struct stat found;
    if (lstat(path, &found) != 0) {
        return fst_posix_status(errno);
    }
    fill_info(&found, info);
    return FASTER_OK;
}

enum faster_status fst_posix_path_info_follow(const struct faster_env *env, const char *path,
                                              struct fst_file_info *info) {
    (void)env;
    struct stat found;
    if (stat(path, &found) != 0) {
        return fst_posix_status(errno);
    }
    fill_info(&found, info);
    return FASTER_OK;
}

enum faster_status fst_posix_directory_create(const struct faster_env *env, const char *path,
                                              uint32_t mode) {
    (void)env;
    return status_of_result(mkdir(path, (mode_t)(mode & 07777u)));
}

enum faster_status fst_posix_directory_own(const struct faster_env *env, const char *path,
                                           uint32_t mode, uint32_t user, uint32_t group) {
    (void)env;
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0) {
        return fst_posix_status(errno);
    }
    enum faster_status status = fst_posix_own(descriptor, mode, user, group);
    (void)close(descriptor);
    return status;
}

enum faster_status fst_posix_directory_remove(const struct faster_env *env, const char *path) {
    (void)env;
    return status_of_result(rmdir(path));
}

/* A file system that cannot sync a directory says EINVAL and needs no such sync. FULL and NOMEM
 * are kept for an open that found no room: nothing was tried then. */
enum faster_status fst_posix_directory_sync(const struct faster_env *env, const char *path) {
    (void)env;
    int descriptor;
    do {
        descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) {
        return fst_posix_status(errno);
    }
    enum faster_status status = FASTER_OK;
    if (fsync(descriptor) != 0 && errno != EINVAL) {
        status = FASTER_IO;
    }
    (void)close(descriptor);
    return status;
}

static bool is_self_or_parent(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

enum faster_status fst_posix_directory_list(const struct faster_env *env, const char *path,
                                            fst_name_fn *each, void *context) {
    (void)env;
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return fst_posix_status(errno);
    }
    enum faster_status status = FASTER_OK;
    for (;;) {
        errno = 0; /* readdir() tells its end from a failure by errno alone */
        const struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            status = errno == 0 ? FASTER_OK : fst_posix_status(errno);
            break;
        }
        if (!is_self_or_parent(entry->d_name) && !each(context, entry->d_name)) {
            break;
        }
    }
    (void)closedir(directory);
    return status;
}

enum faster_status fst_posix_path_rename(const struct faster_env *env, const char *from,
                                         const char *to) {
    (void)env;
    return status_of_result(rename(from, to));
}

enum faster_status fst_posix_path_remove(const struct faster_env *env, const char *path) {
    (void)env;
    return status_of_result(unlink(path));
}

/* Another file system, one without links, too many of them, a file of somebody else's: all mean
 * that the bytes must be copied. */
enum faster_status fst_posix_path_link(const struct faster_env *env, const char *from,
                                       const char *to) {
    (void)env;
    if (link(from, to) == 0) {
        return FASTER_OK;
    }
    switch (errno) {
    case EXDEV:
    case EPERM:
    case EACCES:
    case EMLINK:
    case ENOSYS:
    case EOPNOTSUPP:
        return FASTER_INVALID;
    default:
        return fst_posix_status(errno);
    }
}
