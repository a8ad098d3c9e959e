/* store_files_place.c - is the decider's file the one this store belongs to? (layer 4)
 *
 * A pair that was moved is still a pair. What must never happen is that a copy of the
 * database and its original both write to one store. The original is known by its recorded
 * path together with device and inode; only stat() is asked, since opening the file beside
 * SQLite would drop its locks.
 */
#include <string.h>

#include "store/store_files_internal.h"

/* Of a long path, the end says more than the beginning. */
#define SHOWN_PATH_BYTES 120u

void fst_manifest_place(const struct fst_manifest *manifest, struct faster_place *place) {
    memcpy(place->path, manifest->place_path, sizeof place->path);
    place->path[sizeof place->path - 1] = '\0';
    place->device = manifest->place_device;
    place->inode = manifest->place_inode;
}

void fst_manifest_set_place(struct fst_manifest *manifest, const struct faster_place *place) {
    const size_t count = strnlen(place->path, sizeof place->path - 1);

    memset(manifest->place_path, 0, sizeof manifest->place_path);
    memcpy(manifest->place_path, place->path, count);
    manifest->place_device = place->device;
    manifest->place_inode = place->inode;
}

static bool is_zero(const struct faster_place *place) {
    return place->path[0] == '\0' && place->device == 0 && place->inode == 0;
}

static bool same_file(const struct faster_place *a, uint64_t device, uint64_t inode) {
    return a->device == device && a->inode == inode;
}

static const char *shown(const char *path) {
    const size_t count = strlen(path);

    return count > SHOWN_PATH_BYTES ? path + (count - SHOWN_PATH_BYTES) : path;
}

static bool is_still_there(const struct faster_env *env, const struct faster_place *recorded) {
    struct fst_file_info info;

    return recorded->path[0] != '\0' &&
           env->path_info_follow(env, recorded->path, &info) == FASTER_OK &&
           same_file(recorded, info.device, info.inode);
}

enum faster_status fst_store_files_check_place(const struct fst_store_files *files,
                                               const struct faster_place *ours, bool *moved,
                                               struct faster_error *error) {
    struct faster_place recorded;
    bool same_path;

    fst_manifest_place(&files->manifest, &recorded);
    *moved = false;
    if (is_zero(ours)) {
        return FASTER_OK;
    }
    same_path = strncmp(recorded.path, ours->path, sizeof ours->path) == 0;
    *moved = !same_path || !same_file(&recorded, ours->device, ours->inode);
    if (same_path || is_zero(&recorded) || same_file(&recorded, ours->device, ours->inode) ||
        !is_still_there(files->env, &recorded)) {
        return FASTER_OK;
    }
    return fst_error_set(error, FASTER_COPY,
                         "the store %s belongs to database %s, which still exists, and not to its "
                         "copy %s. Open the original; or, to let the copy have the store, call "
                         "faster_adopt() in it",
                         shown(files->directory), shown(recorded.path), shown(ours->path));
}
