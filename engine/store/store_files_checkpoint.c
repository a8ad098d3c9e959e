/* store_files_checkpoint.c - the files of checkpoints in a store's directory (layer 4). */
#include "store/checkpoint_files.h"

#include <string.h>

#include "store/store_files_internal.h"

static enum faster_status path_of(const char *directory, enum fst_checkpoint_file kind,
                                  uint64_t number, char path[FST_PATH_BYTES_MAX]) {
    char name[FST_CHECKPOINT_NAME_BYTES];
    fst_checkpoint_name(kind, number, name);
    return fst_path_join(path, FST_PATH_BYTES_MAX, directory, name);
}

/* ---- single files ---- */

enum faster_status fst_checkpoint_file_create(const struct fst_store_files *files,
                                              enum fst_checkpoint_file kind, uint64_t number,
                                              struct fst_file **file) {
    const struct faster_env *env = files->env;
    const struct fst_store_owner *owner = &files->mode;
    char path[FST_PATH_BYTES_MAX];
    enum faster_status status = path_of(files->directory, kind, number, path);
    if (status == FASTER_OK) {
        status = env->path_remove(env, path);
    }
    if (status == FASTER_OK || status == FASTER_MISSING) {
        status = env->file_open(env, path, FST_OPEN_WRITE | FST_OPEN_CREATE | FST_OPEN_NEW,
                                owner->mode, file);
    }
    if (status == FASTER_OK) {
        /* A file with another owner than wished still is a good file. */
        (void)env->file_own(env, *file, owner->mode, owner->user, owner->group);
    }
    return status;
}

enum faster_status fst_checkpoint_file_open(const struct fst_store_files *files,
                                            enum fst_checkpoint_file kind, uint64_t number,
                                            struct fst_file **file) {
    char path[FST_PATH_BYTES_MAX];
    enum faster_status status = path_of(files->directory, kind, number, path);
    return status == FASTER_OK ? files->env->file_open(files->env, path, FST_OPEN_READ, 0, file)
                               : status;
}

void fst_checkpoint_file_remove(const struct fst_store_files *files, enum fst_checkpoint_file kind,
                                uint64_t number) {
    char path[FST_PATH_BYTES_MAX];
    if (path_of(files->directory, kind, number, path) == FASTER_OK) {
        (void)files->env->path_remove(files->env, path);
    }
}

uint64_t fst_checkpoint_file_bytes(const struct fst_store_files *files,
                                   enum fst_checkpoint_file kind, uint64_t number) {
    char path[FST_PATH_BYTES_MAX];
    struct fst_file_info info;
    return path_of(files->directory, kind, number, path) == FASTER_OK &&
                   files->env->path_info(files->env, path, &info) == FASTER_OK
               ? info.size_bytes
               : 0;
}

enum faster_status fst_checkpoint_names_sync(const struct fst_store_files *files) {
    return files->env->directory_sync(files->env, files->directory);
}

/* ---- listing ---- */

static bool note_root(void *context, const char *name) {
    struct fst_checkpoint_names *names = context;
    enum fst_checkpoint_file kind;
    uint64_t number;
    size_t at;
    if (!fst_checkpoint_name_parse(name, &kind, &number)) {
        return true;
    }
    names->highest = number > names->highest ? number : names->highest;
    if (kind != FST_CHECKPOINT_FILE_ROOT) {
        return true;
    }
    if (names->root_count == FST_CHECKPOINT_NAMES_MAX) {
        if (number <= names->roots[FST_CHECKPOINT_NAMES_MAX - 1]) {
            return true;
        }
        names->root_count--;
    }
    for (at = names->root_count++; at > 0 && names->roots[at - 1] < number; at--) {
        names->roots[at] = names->roots[at - 1];
    }
    names->roots[at] = number;
    return true;
}

enum faster_status fst_checkpoint_names_list(const struct fst_store_files *files,
                                             struct fst_checkpoint_names *names) {
    *names = (struct fst_checkpoint_names){0};
    return files->env->directory_list(files->env, files->directory, note_root, names);
}

/* ---- roots ---- */

static enum faster_status copy_sessions(const struct faster_env *env, const struct fst_root *root,
                                        const void *bytes, struct fst_named_serial **sessions) {
    const size_t count_bytes = root->session_count * sizeof **sessions;
    if (count_bytes == 0) {
        return FASTER_OK;
    }
    *sessions = env->allocate(env, count_bytes);
    if (*sessions == NULL) {
        return FASTER_NOMEM;
    }
    memcpy(*sessions, (const unsigned char *)bytes + sizeof *root, count_bytes);
    return FASTER_OK;
}

enum faster_status fst_checkpoint_root_read(const struct fst_store_files *files, uint64_t number,
                                            struct fst_root *root,
                                            struct fst_named_serial **sessions) {
    const struct faster_env *env = files->env;
    char name[FST_CHECKPOINT_NAME_BYTES];
    const size_t capacity = FST_ROOT_BYTES_MAX + 1; /* one more, to see that the file ends */
    size_t count;
    void *bytes = env->allocate(env, capacity);
    if (bytes == NULL) {
        return FASTER_NOMEM;
    }
    fst_checkpoint_name(FST_CHECKPOINT_FILE_ROOT, number, name);
    enum faster_status status =
        fst_small_file_read(env, files->directory, name, bytes, capacity, &count, NULL);
    if (status == FASTER_OK) {
        status = fst_root_check(bytes, count, &files->owner, number, root);
    }
    if (sessions != NULL) {
        *sessions = NULL;
    }
    if (status == FASTER_OK && sessions != NULL) {
        status = copy_sessions(env, root, bytes, sessions);
    }
    env->release(env, bytes);
    return status;
}

static enum faster_status rename_and_sync(const struct fst_store_files *files, uint64_t number) {
    const struct faster_env *env = files->env;
    char from[FST_PATH_BYTES_MAX];
    char to[FST_PATH_BYTES_MAX];
    enum faster_status status =
        fst_path_join(from, sizeof from, files->directory, FST_NAME_CHECKPOINT_TEMPORARY);
    if (status == FASTER_OK) {
        status = path_of(files->directory, FST_CHECKPOINT_FILE_ROOT, number, to);
    }
    if (status == FASTER_OK) {
        status = env->path_rename(env, from, to);
    }
    return status == FASTER_OK ? env->directory_sync(env, files->directory) : status;
}

static enum faster_status write_root(const struct fst_store_files *files,
                                     const struct fst_root *root, const void *bytes,
                                     size_t count_bytes) {
    struct fst_root checked;
    /* What could not be read again is not written. */
    if (fst_root_check(bytes, count_bytes, &files->owner, root->number, &checked) != FASTER_OK) {
        return FASTER_MISUSE;
    }
    enum faster_status status =
        fst_small_file_write(files->env, files->directory, FST_NAME_CHECKPOINT_TEMPORARY, bytes,
                             count_bytes, &files->mode, NULL);
    return status == FASTER_OK ? rename_and_sync(files, root->number) : status;
}

enum faster_status fst_checkpoint_root_write(const struct fst_store_files *files,
                                             struct fst_root *root,
                                             const struct fst_named_serial *sessions) {
    const struct faster_env *env = files->env;
    const size_t sessions_bytes = root->session_count * sizeof *sessions;
    unsigned char *bytes = env->allocate(env, sizeof *root + sessions_bytes);
    if (bytes == NULL) {
        return FASTER_NOMEM;
    }
    fst_root_seal(root, sessions, &files->owner);
    memcpy(bytes, root, sizeof *root);
    if (sessions_bytes > 0) {
        memcpy(bytes + sizeof *root, sessions, sessions_bytes);
    }
    const enum faster_status status = write_root(files, root, bytes, sizeof *root + sessions_bytes);
    env->release(env, bytes);
    return status;
}

/* ---- retention ---- */

/* Files of one kind that no root names, of at most so many at a time: names are gathered first
 * and removed after the listing. */
struct orphans {
    enum fst_checkpoint_file kind;
    const struct fst_checkpoint_kept *kept;
    size_t kept_count;
    uint64_t numbers[FST_CHECKPOINT_NAMES_MAX];
    size_t count;
};

static bool is_needed(const struct fst_checkpoint_kept *kept, enum fst_checkpoint_file kind,
                      uint64_t number) {
    switch (kind) {
    case FST_CHECKPOINT_FILE_ROOT:
        return kept->number == number;
    case FST_CHECKPOINT_FILE_INDEX:
        return kept->index_number == number;
    case FST_CHECKPOINT_FILE_DATA:
        return kept->data_first_number <= number && number <= kept->data_last_number;
    case FST_CHECKPOINT_FILE_COUNT:
        break;
    }
    return false;
}

static bool note_orphan(void *context, const char *name) {
    struct orphans *orphans = context;
    enum fst_checkpoint_file kind;
    uint64_t number;
    bool needed = !fst_checkpoint_name_parse(name, &kind, &number) || kind != orphans->kind;
    for (size_t i = 0; i < orphans->kept_count && !needed; i++) {
        needed = is_needed(&orphans->kept[i], kind, number);
    }
    if (!needed) {
        orphans->numbers[orphans->count++] = number;
    }
    return orphans->count < FST_CHECKPOINT_NAMES_MAX;
}

static enum faster_status remove_orphans(const struct faster_env *env, const char *directory,
                                         struct orphans *orphans) {
    char path[FST_PATH_BYTES_MAX];
    enum faster_status status = FASTER_OK;
    for (size_t i = 0; status == FASTER_OK && i < orphans->count; i++) {
        status = path_of(directory, orphans->kind, orphans->numbers[i], path);
        if (status == FASTER_OK) {
            status = env->path_remove(env, path);
        }
        status = status == FASTER_MISSING ? FASTER_OK : status;
    }
    return status == FASTER_OK && orphans->count > 0 ? env->directory_sync(env, directory) : status;
}

static enum faster_status trim_kind(const struct faster_env *env, const char *directory,
                                    enum fst_checkpoint_file kind,
                                    const struct fst_checkpoint_kept *kept, size_t count) {
    struct orphans orphans = {.kind = kind, .kept = kept, .kept_count = count};
    enum faster_status status;
    do {
        orphans.count = 0;
        status = env->directory_list(env, directory, note_orphan, &orphans);
        if (status == FASTER_OK) {
            status = remove_orphans(env, directory, &orphans);
        }
    } while (status == FASTER_OK && orphans.count == FST_CHECKPOINT_NAMES_MAX);
    return status;
}

enum faster_status fst_checkpoint_files_trim(const struct faster_env *env, const char *directory,
                                             const struct fst_checkpoint_kept *kept, size_t count) {
    enum faster_status status = FASTER_OK;
    for (unsigned kind = 0; status == FASTER_OK && kind < FST_CHECKPOINT_FILE_COUNT; kind++) {
        status = trim_kind(env, directory, (enum fst_checkpoint_file)kind, kept, count);
    }
    return status;
}
