/* store_files_copy.c - a second directory for a store (layer 4). */
#include "store/store_files_copy.h"

#include "primitives/segment_names.h"
#include "store/checkpoint_files.h"
#include "store/store_files_internal.h"

struct fst_store_copy {
    struct fst_store_creation creation;
    const struct fst_store_files *from;
    struct fst_file_copy file; /* what is common to all */
    bool is_store;
};

enum faster_status fst_store_copy_begin(const struct fst_store_copy_config *config,
                                        struct fst_store_copy **out, struct faster_error *error) {
    const struct fst_store_files *from = config->from;
    const struct faster_env *env = from->env;
    struct fst_store_copy *copy = env->allocate(env, sizeof *copy);
    if (copy == NULL) {
        return fst_error_set(error, FASTER_NOMEM, "out of memory");
    }
    *copy = (struct fst_store_copy){.creation = {.env = env,
                                                 .directory = config->directory,
                                                 .owner = from->mode,
                                                 .has_owner = true},
                                    .from = from,
                                    .file = {.env = env,
                                             .can_clone = true,
                                             .mode = from->mode.mode,
                                             .user = from->mode.user,
                                             .group = from->mode.group,
                                             .interrupt = config->interrupt,
                                             .interrupt_context = config->interrupt_context}};
    const enum faster_status status = fst_store_creation_begin(&copy->creation, error);
    if (status != FASTER_OK) {
        fst_store_creation_undo(&copy->creation); /* the parent may have been made */
        env->release(env, copy);
        return status;
    }
    *out = copy;
    return FASTER_OK;
}

static enum faster_status copy_failed(const struct fst_store_copy *copy, enum faster_status status,
                                      const char *name, struct faster_error *error) {
    if (status == FASTER_INTERRUPTED || status == FASTER_NOMEM) {
        return fst_error_set(error, status, "%s", "");
    }
    return fst_error_set(error, status, "cannot copy %s/%s to %s%s", copy->from->directory, name,
                         copy->creation.directory,
                         status == FASTER_FULL ? ": the disk is full" : "");
}

enum faster_status fst_store_copy_file(struct fst_store_copy *copy, const char *name,
                                       uint64_t bytes_max, bool may_link,
                                       struct faster_error *error) {
    char from[FST_PATH_BYTES_MAX];
    char to[FST_PATH_BYTES_MAX];
    enum faster_status status = fst_path_join(from, sizeof from, copy->from->directory, name);
    if (status == FASTER_OK) {
        status = fst_path_join(to, sizeof to, copy->creation.directory, name);
    }
    if (status == FASTER_OK) {
        copy->file.from = from;
        copy->file.to = to;
        copy->file.bytes_max = bytes_max;
        copy->file.may_link = may_link;
        status = fst_file_copy(&copy->file);
    }
    return status == FASTER_OK ? status : copy_failed(copy, status, name, error);
}

static enum faster_status write_file(const struct fst_store_copy *copy, const char *name,
                                     const void *bytes, size_t count, struct faster_error *error) {
    return fst_small_file_write(copy->creation.env, copy->creation.directory, name, bytes, count,
                                &copy->creation.owner, error);
}

/* All names but the identity's are durable before it is written: whoever finds that has all. */
enum faster_status fst_store_copy_finish(struct fst_store_copy *copy,
                                         const struct fst_manifest *manifest,
                                         struct faster_error *error) {
    const struct fst_store_files *from = copy->from;
    struct fst_manifest sealed = *manifest;
    struct fst_manifest checked;
    const struct faster_place nowhere = {0};
    sealed.sequence = 1;
    fst_manifest_set_place(&sealed, &nowhere);
    fst_manifest_seal(&sealed, &from->owner);
    /* What could not be read again is not written. */
    if (fst_manifest_check(&sealed, sizeof sealed, &from->owner, &checked) != FASTER_OK) {
        return fst_error_set(error, FASTER_MISUSE, "the manifest of %s makes no sense",
                             copy->creation.directory);
    }
    copy->creation.began_files = true;
    enum faster_status status =
        write_file(copy, FST_NAME_MANIFEST_0, &sealed, sizeof sealed, error);
    if (status == FASTER_OK) {
        status = write_file(copy, FST_NAME_LOCK, "", 0, error);
    }
    if (status == FASTER_OK) {
        status = fst_store_creation_sync(&copy->creation, error);
    }
    if (status == FASTER_OK) {
        status = write_file(copy, FST_NAME_IDENTITY, &from->identity, sizeof from->identity, error);
    }
    if (status == FASTER_OK) {
        status = fst_store_creation_sync(&copy->creation, error);
    }
    copy->is_store = status == FASTER_OK;
    return status;
}

/* The directory was empty: whatever has one of these names is ours. */
static void undo(const struct fst_store_copy *copy) {
    const struct fst_store_creation *creation = &copy->creation;
    char identity[FST_PATH_BYTES_MAX];
    uint64_t count;
    if (fst_path_join(identity, sizeof identity, creation->directory, FST_NAME_IDENTITY) ==
        FASTER_OK) {
        (void)creation->env->path_remove(creation->env, identity); /* from here on it is no store */
    }
    if (fst_checkpoint_files_trim(creation->env, creation->directory, NULL, 0) != FASTER_OK ||
        fst_segment_names_remove_below(creation->env, creation->directory, UINT64_MAX, &count,
                                       NULL) != FASTER_OK) {
        fst_diagnose(copy->from->diagnostics, FASTER_DIAGNOSTIC_WARNING, "backup",
                     "what was copied to %s could not be removed", creation->directory);
    }
    fst_store_creation_undo(creation);
}

void fst_store_copy_end(struct fst_store_copy *copy) {
    if (copy != NULL) {
        if (!copy->is_store) {
            undo(copy);
        }
        copy->creation.env->release(copy->creation.env, copy);
    }
}

uint64_t fst_store_copy_shared_bytes(const struct fst_store_copy *copy) {
    return copy->file.shared_bytes;
}

uint64_t fst_store_copy_copied_bytes(const struct fst_store_copy *copy) {
    return copy->file.copied_bytes;
}
