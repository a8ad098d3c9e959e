/* store_files_manifest.c - reads the newest manifest and writes the next (layer 4).
 *
 * The two names alternate, so the newest manifest is never touched while the next is made,
 * and damage to one leaves the other.
 */
#include <string.h>

#include "store/store_files_internal.h"

const char *const fst_manifest_names[2] = {FST_NAME_MANIFEST_0, FST_NAME_MANIFEST_1};

static const char *const temporary_names[2] = {FST_NAME_MANIFEST_0 FST_NAME_TEMPORARY_SUFFIX,
                                               FST_NAME_MANIFEST_1 FST_NAME_TEMPORARY_SUFFIX};

/* OK, MISSING, what a damaged one is, or why it cannot be read. */
static enum faster_status read_slot(struct fst_store_files *files, unsigned slot,
                                    struct fst_manifest *manifest, struct faster_error *error) {
    uint8_t bytes[sizeof *manifest + 1]; /* one more, to see that the file ends */
    size_t count;
    enum faster_status status = fst_small_file_read(
        files->env, files->directory, fst_manifest_names[slot], bytes, sizeof bytes, &count, error);

    if (status != FASTER_OK) {
        return status;
    }
    status = fst_manifest_check(bytes, count, &files->owner, manifest);
    return status == FASTER_OK && count != sizeof *manifest ? FASTER_CORRUPT : status;
}

/* A manifest of another store, and a link in its place, are damage too: this store's own
 * manifest is gone. */
static bool is_damage(enum faster_status status) {
    return status == FASTER_CORRUPT || status == FASTER_FOREIGN;
}

static enum faster_status no_manifest(const struct fst_store_files *files,
                                      const enum faster_status statuses[2],
                                      struct faster_error *error) {
    if (is_damage(statuses[0]) || is_damage(statuses[1])) {
        return fst_error_set(error, FASTER_CORRUPT, "store %s has no intact manifest",
                             files->directory);
    }
    return fst_error_set(error, FASTER_MISSING, "store %s has no manifest", files->directory);
}

enum faster_status fst_manifest_read_newest(struct fst_store_files *files,
                                            struct faster_error *error) {
    enum faster_status statuses[2];
    struct fst_manifest found;
    bool have = false;

    for (unsigned slot = 0; slot < 2; slot++) {
        statuses[slot] = read_slot(files, slot, &found, error);
        if (statuses[slot] == FASTER_OK) {
            if (!have || found.sequence > files->manifest.sequence) {
                files->manifest = found;
                files->manifest_slot = slot;
            }
            have = true;
        } else if (statuses[slot] == FASTER_VERSION_NEWER) {
            return fst_error_set(error, FASTER_VERSION_NEWER,
                                 "%s/%s was written by a newer version; this one reads format %u "
                                 "and older",
                                 files->directory, fst_manifest_names[slot], FST_FORMAT_VERSION);
        } else if (statuses[slot] != FASTER_MISSING && !is_damage(statuses[slot])) {
            /* The older one must not stand in for one that merely could not be read. */
            return statuses[slot];
        }
    }
    if (!have) {
        return no_manifest(files, statuses, error);
    }
    fst_error_clear(error);
    for (unsigned slot = 0; slot < 2; slot++) {
        if (is_damage(statuses[slot])) {
            fst_diagnose(files->diagnostics, FASTER_DIAGNOSTIC_WARNING, "store_files",
                         "%s/%s is damaged; %s is used instead", files->directory,
                         fst_manifest_names[slot], fst_manifest_names[1 - slot]);
        }
    }
    return FASTER_OK;
}

/* ---- writing ---- */

static enum faster_status rename_and_sync(const struct fst_store_files *files, unsigned slot,
                                          struct faster_error *error) {
    const struct faster_env *env = files->env;
    char from[FST_PATH_BYTES_MAX];
    char to[FST_PATH_BYTES_MAX];
    enum faster_status status =
        fst_path_join(from, sizeof from, files->directory, temporary_names[slot]);

    if (status == FASTER_OK) {
        status = fst_path_join(to, sizeof to, files->directory, fst_manifest_names[slot]);
    }
    if (status == FASTER_OK) {
        status = env->path_rename(env, from, to);
    }
    if (status == FASTER_OK) {
        status = env->directory_sync(env, files->directory);
    }
    if (status != FASTER_OK) {
        return fst_error_set(error, FASTER_IO, "cannot put %s/%s in place", files->directory,
                             fst_manifest_names[slot]);
    }
    return FASTER_OK;
}

enum faster_status fst_store_files_write_manifest(struct fst_store_files *files,
                                                  const struct fst_manifest *next,
                                                  struct faster_error *error) {
    const unsigned slot = 1 - files->manifest_slot;
    struct fst_manifest sealed = *next;
    struct fst_manifest checked;
    enum faster_status status;

    if (files->read_only) {
        return fst_error_set(error, FASTER_READ_ONLY, "store %s was opened read-only",
                             files->directory);
    }
    sealed.sequence = files->manifest.sequence + 1;
    fst_manifest_seal(&sealed, &files->owner);
    /* What could not be read again is not written. */
    if (fst_manifest_check(&sealed, sizeof sealed, &files->owner, &checked) != FASTER_OK) {
        return fst_error_set(error, FASTER_MISUSE, "a manifest of store %s makes no sense",
                             files->directory);
    }
    status = fst_small_file_write(files->env, files->directory, temporary_names[slot], &sealed,
                                  sizeof sealed, &files->mode, error);
    if (status == FASTER_OK) {
        status = rename_and_sync(files, slot, error);
    }
    if (status == FASTER_OK) {
        files->manifest = sealed;
        files->manifest_slot = slot;
    }
    return status;
}
