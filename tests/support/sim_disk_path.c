/* sim_disk_path.c - the names of a simulated disk. */
#include <stdlib.h>
#include <string.h>

#include "sim_disk_internal.h"

static const struct sim_node *node_at(const struct sim_disk *disk, const struct sim_place *place) {
    return place->inode == 0 ? NULL : sim_tree_node(&disk->live, place->inode);
}

static uint32_t class_of(const struct sim_disk *disk, const struct sim_place *place) {
    const struct sim_node *node = node_at(disk, place);
    if (place->directory == 0 || (node != NULL && node->is_directory)) {
        return SIM_FILE_DIRECTORY;
    }
    return sim_file_class(place->name, place->name_bytes);
}

/* What a call on names comes to: whether it is to be carried out, and what it returns. */
struct verdict {
    bool is_done;
    enum sim_result result;
};

static struct verdict enter(struct sim_disk *disk, enum sim_side side, enum sim_call call,
                            uint32_t file_class, enum sim_result result) {
    enum sim_effect effect;
    if (!sim_fault_enter(disk, side, call, file_class, &effect)) {
        return (struct verdict){result == SIM_OK, result};
    }
    return (struct verdict){result == SIM_OK && effect == SIM_EIO_DONE, sim_fault_result(effect)};
}

/* ---- changes ---- */

/* Logs a change of names, and makes it. `lost` has no name any more. */
static void change_names(struct sim_disk *disk, struct sim_entry *entry, uint64_t lost) {
    entry->op = SIM_OP_NAMES;
    entry->inode = lost;
    for (unsigned i = 0; i < entry->change_count; i++) {
        const struct sim_change *change = &entry->change[i];
        sim_node_set_name(sim_tree_edit(&disk->live, change->directory), change->name,
                          change->inode);
    }
    sim_entries_add(&disk->log, entry);
    if (lost == 0) {
        return;
    }
    for (struct sim_handle *handle = disk->handles; handle != NULL; handle = handle->next) {
        handle->is_unlinked = handle->is_unlinked || handle->inode == lost;
    }
    sim_disk_drop(disk, lost);
}

static void add_change(struct sim_entry *entry, const struct sim_place *place, uint64_t inode) {
    entry->change[entry->change_count++] =
        (struct sim_change){place->directory, sim_intern(place->name, place->name_bytes), inode};
}

static enum sim_result remove_name(enum sim_side side, const char *path, bool is_directory) {
    struct sim_disk *disk = sim_disk_required();
    struct sim_place place;
    enum sim_result result = sim_tree_find(&disk->live, path, &place);
    const struct sim_node *node = node_at(disk, &place);
    if (result == SIM_OK && node == NULL) {
        result = SIM_MISSING;
    } else if (result == SIM_OK && (node->is_directory != is_directory || place.directory == 0)) {
        result = SIM_NO_FILE;
    } else if (result == SIM_OK && node->name_count > 0) {
        result = SIM_EXISTS;
    }
    const struct verdict verdict =
        enter(disk, side, is_directory ? SIM_CALL_RMDIR : SIM_CALL_REMOVE,
              is_directory ? SIM_FILE_DIRECTORY : class_of(disk, &place), result);
    if (verdict.is_done) {
        struct sim_entry *entry = sim_entry_create(SIM_OP_NAMES, side, 0);
        entry->is_directory = is_directory;
        add_change(entry, &place, 0);
        change_names(disk, entry, place.inode);
    }
    return verdict.result;
}

enum sim_result sim_path_remove(enum sim_side side, const char *path) {
    return remove_name(side, path, false);
}

enum sim_result sim_directory_remove(enum sim_side side, const char *path) {
    return remove_name(side, path, true);
}

enum sim_result sim_path_rename(enum sim_side side, const char *from, const char *to) {
    struct sim_disk *disk = sim_disk_required();
    struct sim_place old;
    struct sim_place new;
    enum sim_result result = sim_tree_find(&disk->live, from, &old);
    const enum sim_result found = sim_tree_find(&disk->live, to, &new);
    const struct sim_node *replaced = node_at(disk, &new);
    if (result == SIM_OK) {
        result = old.inode == 0 ? SIM_MISSING : found;
    }
    if (result == SIM_OK && (old.directory == 0 || new.directory == 0)) {
        result = SIM_NO_FILE;
    }
    if (result == SIM_OK && replaced != NULL && old.inode != new.inode &&
        (replaced->is_directory || node_at(disk, &old)->is_directory)) {
        result = replaced->name_count > 0 ? SIM_EXISTS : SIM_NO_FILE;
    }
    if (result == SIM_OK && old.directory != new.directory) {
        sim_die("%s is renamed to another directory", from);
    }
    const struct verdict verdict = enter(disk, side, SIM_CALL_RENAME, class_of(disk, &new), result);
    if (verdict.is_done && old.inode != new.inode) {
        struct sim_entry *entry = sim_entry_create(SIM_OP_NAMES, side, 0);
        add_change(entry, &old, 0);
        add_change(entry, &new, old.inode);
        change_names(disk, entry, new.inode);
    }
    return verdict.result;
}

enum sim_result sim_directory_create(enum sim_side side, const char *path, uint32_t mode) {
    struct sim_disk *disk = sim_disk_required();
    struct sim_place place;
    enum sim_result result = sim_tree_find(&disk->live, path, &place);
    if (result == SIM_OK && place.inode != 0) {
        result = SIM_EXISTS;
    }
    const struct verdict verdict = enter(disk, side, SIM_CALL_MKDIR, SIM_FILE_DIRECTORY, result);
    if (verdict.is_done) {
        struct sim_entry *entry = sim_entry_create(SIM_OP_NAMES, side, 0);
        const uint64_t inode = disk->next_inode++;
        entry->creates = true;
        entry->is_directory = true;
        entry->mode = mode;
        sim_tree_set(&disk->live, inode, sim_node_create(true, mode));
        add_change(entry, &place, inode);
        change_names(disk, entry, 0);
    }
    return verdict.result;
}

/* ---- the rest ---- */

enum sim_result sim_path_info(enum sim_side side, const char *path, struct sim_info *info) {
    struct sim_disk *disk = sim_disk_required();
    struct sim_place place;
    enum sim_result result = sim_tree_find(&disk->live, path, &place);
    const struct sim_node *node = node_at(disk, &place);
    if (result == SIM_OK && node == NULL) {
        result = SIM_MISSING;
    }
    result = enter(disk, side, SIM_CALL_INFO, class_of(disk, &place), result).result;
    if (result == SIM_OK) {
        *info = (struct sim_info){node->is_directory, node->size_bytes, place.inode,
                                  node->mode,         node->user,       node->group};
    }
    return result;
}

void sim_disk_own(struct sim_disk *disk, enum sim_side side, uint64_t inode, uint32_t mode,
                  uint32_t user, uint32_t group) {
    struct sim_node *node = sim_tree_edit(&disk->live, inode);
    struct sim_entry *entry = sim_entry_create(SIM_OP_OWN, side, 0);
    node->mode = mode;
    node->user = user;
    node->group = group;
    entry->inode = inode;
    entry->mode = mode;
    entry->user = user;
    entry->group = group;
    sim_entries_add(&disk->log, entry);
}

enum sim_result sim_path_own(enum sim_side side, const char *path, uint32_t mode, uint32_t user,
                             uint32_t group) {
    struct sim_disk *disk = sim_disk_required();
    struct sim_place place;
    const enum sim_result result = sim_tree_find(&disk->live, path, &place);
    if (result == SIM_OK && place.inode != 0) {
        sim_disk_own(disk, side, place.inode, mode, user, group);
    }
    return result == SIM_OK && place.inode == 0 ? SIM_MISSING : result;
}

/* A directory to be opened. */
static enum sim_result find_directory(const struct sim_disk *disk, const char *path,
                                      struct sim_place *place) {
    const enum sim_result result = sim_tree_find(&disk->live, path, place);
    const struct sim_node *node = node_at(disk, place);
    if (result != SIM_OK) {
        return result;
    }
    return node == NULL ? SIM_MISSING : node->is_directory ? SIM_OK : SIM_NO_FILE;
}

enum sim_result sim_directory_sync(enum sim_side side, const char *path) {
    struct sim_disk *disk = sim_disk_required();
    struct sim_place place;
    enum sim_effect effect;
    const enum sim_result found = find_directory(disk, path, &place);
    const bool fails = sim_fault_enter(disk, side, SIM_CALL_DIRSYNC, SIM_FILE_DIRECTORY, &effect);
    if (found == SIM_OK && (!fails || effect == SIM_EIO_DONE)) {
        struct sim_entry *entry = sim_entry_create(SIM_OP_DIRSYNC, side, 0);
        entry->inode = place.inode;
        sim_entries_add(&disk->log, entry);
    }
    return fails ? sim_fault_result(effect) : found;
}

enum sim_result sim_directory_list(enum sim_side side, const char *path,
                                   bool (*each)(void *, const char *), void *context) {
    struct sim_disk *disk = sim_disk_required();
    struct sim_place place;
    enum sim_result result = find_directory(disk, path, &place);
    result = enter(disk, side, SIM_CALL_LIST, SIM_FILE_DIRECTORY, result).result;
    if (result == SIM_OK) {
        struct sim_node *copy = sim_node_copy(node_at(disk, &place));
        for (size_t i = 0; i < copy->name_count && each(context, copy->names[i].name); i++) {
        }
        sim_node_release(copy);
    }
    return result;
}
