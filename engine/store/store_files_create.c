/* store_files_create.c - makes a store's directory (layer 4).
 *
 * The identity is written last: a directory that has one has everything. Each directory is
 * synced after the names in it, from the inside out.
 */
#include <string.h>

#include "store/store_files_internal.h"

#define OWNER_MODE_DEFAULT 0600u

static const char *const created_names[] = {FST_NAME_MANIFEST_0, FST_NAME_LOCK, FST_NAME_IDENTITY};
#define CREATED_COUNT (sizeof created_names / sizeof created_names[0])

static uint32_t directory_mode(uint32_t file_mode) {
    return file_mode | (file_mode & 0444u) >> 2;
}

static enum faster_status read_owner(struct fst_store_creation *creation, const char *owner_path,
                                     struct faster_error *error) {
    const struct faster_env *env = creation->env;
    struct fst_file_info info;
    enum faster_status status;

    creation->owner.mode = OWNER_MODE_DEFAULT;
    if (owner_path == NULL) {
        return FASTER_OK;
    }
    status = env->path_info_follow(env, owner_path, &info);
    if (status == FASTER_MISSING) {
        return FASTER_OK; /* a database that is not written yet */
    }
    if (status != FASTER_OK) {
        return fst_error_set(error, FASTER_IO, "cannot look at %s", owner_path);
    }
    /* The store's own process must be able to use it, whatever the pattern. */
    creation->owner =
        (struct fst_store_owner){(info.mode & 0666u) | OWNER_MODE_DEFAULT, info.user, info.group};
    creation->has_owner = true;
    return FASTER_OK;
}

static bool note_entry(void *context, const char *name) {
    (void)name;
    *(bool *)context = true;
    return false;
}

static enum faster_status check_empty(const struct fst_store_creation *creation,
                                      struct faster_error *error) {
    const struct faster_env *env = creation->env;
    bool has_entry = false;
    const enum faster_status status =
        env->directory_list(env, creation->directory, note_entry, &has_entry);

    if (status != FASTER_OK) {
        return fst_error_set(error, status, "cannot list %s", creation->directory);
    }
    if (has_entry) {
        return fst_error_set(error, FASTER_EXISTS,
                             "%s is not empty; a new store needs a directory of its own",
                             creation->directory);
    }
    return FASTER_OK;
}

static enum faster_status make_one(const struct fst_store_creation *creation, const char *path,
                                   bool *made) {
    const struct faster_env *env = creation->env;
    const uint32_t mode = directory_mode(creation->owner.mode);
    const enum faster_status status = env->directory_create(env, path, mode);

    *made = status == FASTER_OK;
    if (*made && creation->has_owner) {
        (void)env->directory_own(env, path, mode, creation->owner.user, creation->owner.group);
    }
    return status;
}

/* What is wrong with a parent that exists. */
static const char *parent_fault(const struct fst_store_creation *creation) {
    const struct faster_env *env = creation->env;
    struct fst_file_info info;

    if (env->path_info_follow(env, creation->parent, &info) != FASTER_OK) {
        return "is a link that leads nowhere";
    }
    return info.kind == FST_FILE_DIRECTORY ? "takes no new directory" : "is a file";
}

/* Says what is in the way of the directory. */
static enum faster_status directory_failed(const struct fst_store_creation *creation,
                                           enum faster_status status, struct faster_error *error) {
    const struct faster_env *env = creation->env;
    struct fst_file_info info;

    if (status == FASTER_READ_ONLY) {
        return fst_error_set(error, status,
                             "cannot create the directory %s: no permission, or a read-only file "
                             "system",
                             creation->directory);
    }
    if (status == FASTER_FULL) {
        return fst_error_set(error, status, "cannot create the directory %s: the disk is full",
                             creation->directory);
    }
    if (status != FASTER_MISSING && status != FASTER_FOREIGN) {
        return fst_error_set(error, status, "cannot create the directory %s", creation->directory);
    }
    if (env->path_info(env, creation->parent, &info) == FASTER_OK) {
        return fst_error_set(error, FASTER_FOREIGN,
                             "cannot create the directory %s: %s %s; it must be a directory that "
                             "may be written, or not exist",
                             creation->directory, creation->parent, parent_fault(creation));
    }
    return fst_error_set(error, FASTER_INVALID,
                         "cannot create the directory %s: the directory that is to hold %s must "
                         "exist",
                         creation->directory, creation->parent);
}

static enum faster_status make_directory(struct fst_store_creation *creation,
                                         struct faster_error *error) {
    enum faster_status status = make_one(creation, creation->directory, &creation->made_directory);

    if (status == FASTER_MISSING) {
        status = make_one(creation, creation->parent, &creation->made_parent);
        if (status == FASTER_OK || status == FASTER_EXISTS) {
            status = make_one(creation, creation->directory, &creation->made_directory);
        }
    }
    if (status == FASTER_EXISTS) {
        status = fst_store_directory_check(creation->env, creation->directory, error);
        return status == FASTER_OK ? check_empty(creation, error) : status;
    }
    return status == FASTER_OK ? FASTER_OK : directory_failed(creation, status, error);
}

/* The process's own ids when no file sets the pattern. */
static enum faster_status settle_owner(struct fst_store_creation *creation,
                                       struct faster_error *error) {
    struct fst_file_info info;

    if (creation->has_owner) {
        return FASTER_OK;
    }
    if (creation->env->path_info(creation->env, creation->directory, &info) != FASTER_OK) {
        return fst_error_set(error, FASTER_IO, "cannot look at %s", creation->directory);
    }
    creation->owner.user = info.user;
    creation->owner.group = info.group;
    return FASTER_OK;
}

static enum faster_status write_files(struct fst_store_creation *creation,
                                      const struct fst_store_files_create_config *config,
                                      struct faster_error *error) {
    struct fst_identity identity = *config->identity;
    struct fst_manifest manifest = {
        .sequence = 1, .begin = FST_ADDR_FIRST_RAW, .durable_end = FST_ADDR_FIRST_RAW};
    struct fst_format_owner owner;
    struct fst_identity checked_identity;
    struct fst_manifest checked_manifest;
    enum faster_status status;

    fst_identity_seal(&identity);
    owner = fst_format_owner_of(&identity);
    fst_manifest_set_place(&manifest, &config->place);
    fst_manifest_seal(&manifest, &owner);
    /* What could not be read again is not written. */
    if (fst_identity_check(&identity, sizeof identity, &checked_identity) != FASTER_OK ||
        fst_manifest_check(&manifest, sizeof manifest, &owner, &checked_manifest) != FASTER_OK) {
        return fst_error_set(error, FASTER_INVALID, "the new store %s has impossible options",
                             creation->directory);
    }
    creation->began_files = true;
    status = fst_small_file_write(creation->env, creation->directory, FST_NAME_MANIFEST_0,
                                  &manifest, sizeof manifest, &creation->owner, error);
    if (status == FASTER_OK) {
        status = fst_small_file_write(creation->env, creation->directory, FST_NAME_LOCK, "", 0,
                                      &creation->owner, error);
    }
    if (status == FASTER_OK) {
        status = fst_small_file_write(creation->env, creation->directory, FST_NAME_IDENTITY,
                                      &identity, sizeof identity, &creation->owner, error);
    }
    return status;
}

static enum faster_status sync_one(const struct faster_env *env, const char *path,
                                   struct faster_error *error) {
    const enum faster_status status = env->directory_sync(env, path);

    return status == FASTER_OK
               ? status
               : fst_error_set(error, FASTER_IO, "cannot sync the directory %s", path);
}

enum faster_status fst_store_creation_sync(const struct fst_store_creation *creation,
                                           struct faster_error *error) {
    char grandparent[FST_PATH_BYTES_MAX];
    enum faster_status status = sync_one(creation->env, creation->directory, error);

    if (status == FASTER_OK) {
        status = sync_one(creation->env, creation->parent, error);
    }
    if (status == FASTER_OK && creation->made_parent) {
        status = fst_path_parent(grandparent, sizeof grandparent, creation->parent);
        if (status == FASTER_OK) {
            status = sync_one(creation->env, grandparent, error);
        }
    }
    return status;
}

void fst_store_creation_undo(const struct fst_store_creation *creation) {
    const struct faster_env *env = creation->env;

    for (size_t i = 0; creation->began_files && i < CREATED_COUNT; i++) {
        char path[FST_PATH_BYTES_MAX];
        if (fst_path_join(path, sizeof path, creation->directory, created_names[i]) == FASTER_OK) {
            (void)env->path_remove(env, path);
        }
    }
    if (creation->made_directory) {
        (void)env->directory_remove(env, creation->directory);
    }
    if (creation->made_parent) {
        (void)env->directory_remove(env, creation->parent);
    }
}

enum faster_status fst_store_creation_begin(struct fst_store_creation *creation,
                                            struct faster_error *error) {
    if (fst_path_parent(creation->parent, sizeof creation->parent, creation->directory) !=
            FASTER_OK ||
        strlen(creation->directory) + 32 > FST_PATH_BYTES_MAX) {
        return fst_error_set(error, FASTER_INVALID, "the path of the store is empty or too long");
    }
    return make_directory(creation, error);
}

enum faster_status fst_store_files_create(const struct fst_store_files_create_config *config,
                                          struct faster_error *error) {
    struct fst_store_creation creation = {.env = config->env, .directory = config->directory};
    enum faster_status status = read_owner(&creation, config->owner_path, error);
    if (status == FASTER_OK) {
        status = fst_store_creation_begin(&creation, error);
    }
    if (status == FASTER_OK) {
        status = settle_owner(&creation, error);
    }
    if (status == FASTER_OK) {
        status = write_files(&creation, config, error);
    }
    if (status == FASTER_OK) {
        status = fst_store_creation_sync(&creation, error);
    }
    if (status != FASTER_OK) {
        fst_store_creation_undo(&creation);
    }
    return status;
}
