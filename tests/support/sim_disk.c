/* sim_disk.c - simulated disks and the calls on their files. */
#include "sim_disk.h"

#include <stdlib.h>
#include <string.h>

#include "sim_disk_internal.h"

static struct sim_disk *mounted;

/* ---- disks ---- */

static uint64_t count_blocks(const struct sim_tree *tree) {
    uint64_t used = 0;
    for (size_t i = 0; i < tree->count; i++) {
        used += tree->nodes[i] != NULL ? sim_node_used_blocks(tree->nodes[i]) : 0;
    }
    return used;
}

struct sim_disk *sim_disk_create(const struct sim_image *from) {
    struct sim_disk *disk = sim_allocate(sizeof *disk);
    if (from == NULL) {
        sim_tree_init(&disk->live);
    } else {
        disk->from = sim_image_hold((struct sim_image *)from); /* only its count changes */
        disk->live = sim_tree_clone(&from->live);
    }
    /* What is pending may be of inodes that the live tree has no more. */
    disk->next_inode = disk->live.count;
    if (from != NULL && from->durable.count > disk->next_inode) {
        disk->next_inode = from->durable.count;
    }
    disk->used_blocks = count_blocks(&disk->live);
    disk->blocks_max = UINT64_MAX;
    return disk;
}

void sim_disk_destroy(struct sim_disk *disk) {
    if (disk->handles != NULL) {
        sim_die("destroyed with %llu open handles",
                (unsigned long long)sim_disk_open_handles(disk));
    }
    if (mounted == disk) {
        mounted = NULL;
    }
    sim_tree_finish(&disk->live);
    sim_tree_finish(&disk->stale);
    sim_entries_finish(&disk->log);
    sim_image_release(disk->from);
    free(disk);
}

struct sim_disk *sim_disk_mount(struct sim_disk *disk) {
    struct sim_disk *before = mounted;
    mounted = disk;
    return before;
}

struct sim_disk *sim_disk_mounted(void) {
    return mounted;
}

struct sim_disk *sim_disk_required(void) {
    if (mounted == NULL) {
        sim_die("no disk is mounted");
    }
    return mounted;
}

uint64_t sim_disk_open_handles(const struct sim_disk *disk) {
    uint64_t count = 0;
    for (const struct sim_handle *handle = disk->handles; handle != NULL; handle = handle->next) {
        count++;
    }
    return count;
}

void sim_disk_set_space(struct sim_disk *disk, uint64_t bytes) {
    disk->blocks_max = bytes == UINT64_MAX ? UINT64_MAX : bytes / SIM_BLOCK_BYTES;
}

uint64_t sim_disk_used_space(const struct sim_disk *disk) {
    return disk->used_blocks * SIM_BLOCK_BYTES;
}

bool sim_disk_has_open(const struct sim_disk *disk, uint64_t inode) {
    for (const struct sim_handle *handle = disk->handles; handle != NULL; handle = handle->next) {
        if (handle->inode == inode && handle->scratch == NULL) {
            return true;
        }
    }
    return false;
}

void sim_disk_drop(struct sim_disk *disk, uint64_t inode) {
    const struct sim_node *node = sim_tree_node(&disk->live, inode);
    if (node != NULL && !sim_disk_has_open(disk, inode)) {
        disk->used_blocks -= sim_node_used_blocks(node);
        sim_tree_set(&disk->live, inode, NULL);
    }
}

/* ---- opening ---- */

/* The handle's file, to be read. */
static const struct sim_node *node_of(const struct sim_handle *handle) {
    return handle->scratch != NULL ? handle->scratch
                                   : sim_tree_node(&handle->disk->live, handle->inode);
}

/* To be changed. */
static struct sim_node *edit_node(struct sim_handle *handle) {
    if (!handle->may_write) {
        sim_die("a change through a handle for reading");
    }
    return handle->scratch != NULL ? handle->scratch
                                   : sim_tree_edit(&handle->disk->live, handle->inode);
}

static uint64_t create_file(struct sim_disk *disk, enum sim_side side,
                            const struct sim_place *place, uint32_t mode) {
    struct sim_entry *entry = sim_entry_create(SIM_OP_NAMES, side, 0);
    const uint64_t inode = disk->next_inode++;
    entry->creates = true;
    entry->mode = mode;
    entry->change_count = 1;
    entry->change[0] =
        (struct sim_change){place->directory, sim_intern(place->name, place->name_bytes), inode};
    sim_tree_set(&disk->live, inode, sim_node_create(false, mode));
    sim_node_set_name(sim_tree_edit(&disk->live, place->directory), entry->change[0].name, inode);
    sim_entries_add(&disk->log, entry);
    return inode;
}

static enum sim_result find_file(struct sim_disk *disk, enum sim_side side, const char *path,
                                 unsigned flags, uint32_t mode, uint64_t *inode,
                                 uint32_t *file_class) {
    struct sim_place place;
    enum sim_effect effect;
    const enum sim_result result = sim_tree_find(&disk->live, path, &place);
    *inode = place.inode;
    *file_class =
        place.directory == 0 ? SIM_FILE_DIRECTORY : sim_file_class(place.name, place.name_bytes);
    if (sim_fault_enter(disk, side, SIM_CALL_OPEN, *file_class, &effect) &&
        (effect != SIM_ENOSPC || (place.inode == 0 && (flags & SIM_OPEN_CREATE) != 0))) {
        return sim_fault_result(effect);
    }
    if (result != SIM_OK) {
        return result;
    }
    if (place.inode == 0) {
        if ((flags & SIM_OPEN_CREATE) == 0) {
            return SIM_MISSING;
        }
        *inode = create_file(disk, side, &place, mode);
    } else if ((flags & SIM_OPEN_NEW) != 0) {
        return SIM_EXISTS;
    }
    return sim_tree_node(&disk->live, *inode)->is_directory ? SIM_NO_FILE : SIM_OK;
}

enum sim_result sim_open(enum sim_side side, const char *path, unsigned flags, uint32_t mode,
                         struct sim_handle **handle) {
    struct sim_disk *disk = sim_disk_required();
    enum sim_result result = SIM_OK;
    enum sim_effect effect;
    uint64_t inode = 0;
    uint32_t file_class = SIM_FILE_JOURNAL;
    if ((flags & SIM_OPEN_SCRATCH) == 0) {
        result = find_file(disk, side, path, flags, mode, &inode, &file_class);
    } else if (sim_fault_enter(disk, side, SIM_CALL_OPEN, file_class, &effect)) {
        result = sim_fault_result(effect);
    }
    if (result != SIM_OK) {
        return result;
    }
    *handle = sim_allocate(sizeof **handle);
    **handle = (struct sim_handle){
        .disk = disk,
        .next = disk->handles,
        .scratch = (flags & SIM_OPEN_SCRATCH) != 0 ? sim_node_create(false, mode) : NULL,
        .inode = inode,
        .side = side,
        .file_class = file_class,
        .may_write = (flags & (SIM_OPEN_WRITE | SIM_OPEN_SCRATCH)) != 0,
    };
    disk->handles = *handle;
    return SIM_OK;
}

void sim_close(struct sim_handle *handle) {
    if (handle == NULL) {
        return;
    }
    struct sim_disk *disk = handle->disk;
    struct sim_handle **place = &disk->handles;
    while (*place != handle) {
        place = &(*place)->next;
    }
    *place = handle->next;
    if (handle->scratch != NULL) {
        disk->used_blocks -= sim_node_used_blocks(handle->scratch);
        sim_node_release(handle->scratch);
    } else if (handle->is_unlinked) {
        sim_disk_drop(disk, handle->inode);
    }
    free(handle);
}

uint64_t sim_handle_inode(const struct sim_handle *handle) {
    return handle->inode;
}

const struct sim_disk *sim_handle_disk(const struct sim_handle *handle) {
    return handle->disk;
}

static bool enter(const struct sim_handle *handle, enum sim_call call, enum sim_effect *effect) {
    return sim_fault_enter(handle->disk, handle->side, call, handle->file_class, effect);
}

/* ---- reading ---- */

/* What a silent fault makes of a read. */
static size_t read_wrongly(const struct sim_handle *handle, enum sim_effect effect, uint64_t offset,
                           uint8_t *bytes, size_t count) {
    const struct sim_node *node = node_of(handle);
    if (effect == SIM_STALE) {
        const struct sim_node *old =
            handle->scratch == NULL ? sim_tree_node(&handle->disk->stale, handle->inode) : NULL;
        count = sim_node_read(node, offset, bytes, count);
        memset(bytes, 0, count);
        (void)(old != NULL && sim_node_read(old, offset, bytes, count));
        return count;
    }
    if (effect == SIM_SHORT) {
        return sim_node_read(node, offset, bytes, count / 2);
    }
    if (effect == SIM_MISDIRECT) {
        return sim_node_read(node, offset + SIM_SECTOR_BYTES, bytes, count);
    }
    count = sim_node_read(node, offset, bytes, count);
    if (count > 0) {
        bytes[count / 2] ^= 1;
    }
    return count;
}

enum sim_result sim_read(struct sim_handle *handle, uint64_t offset, void *bytes, size_t count,
                         size_t *done) {
    enum sim_effect effect;
    *done = 0;
    if (!enter(handle, SIM_CALL_READ, &effect)) {
        *done = sim_node_read(node_of(handle), offset, bytes, count);
        return SIM_OK;
    }
    const enum sim_result result = sim_fault_result(effect);
    if (result == SIM_OK) {
        *done = read_wrongly(handle, effect, offset, bytes, count);
    }
    return result;
}

enum sim_result sim_size(struct sim_handle *handle, uint64_t *size_bytes) {
    enum sim_effect effect;
    if (enter(handle, SIM_CALL_SIZE, &effect)) {
        return sim_fault_result(effect);
    }
    *size_bytes = node_of(handle)->size_bytes;
    return SIM_OK;
}

/* ---- writing ---- */

static void log_write(struct sim_handle *handle, const struct sim_node *node, uint64_t offset,
                      size_t count) {
    if (handle->scratch != NULL) {
        return;
    }
    const uint64_t first = offset / SIM_BLOCK_BYTES;
    const uint64_t last = (offset + count - 1) / SIM_BLOCK_BYTES;
    struct sim_entry *entry =
        sim_entry_create(SIM_OP_WRITE, handle->side, (size_t)(last - first + 1));
    entry->inode = handle->inode;
    entry->offset = offset;
    entry->count = count;
    entry->size_bytes = node->size_bytes;
    for (uint64_t i = first; i <= last; i++) {
        entry->blocks[i - first] = sim_block_hold(sim_node_block(node, i));
    }
    sim_entries_add(&handle->disk->log, entry);
}

/* How many blocks a write of at least one byte would add. */
static uint64_t count_missing(const struct sim_node *node, uint64_t offset, size_t count) {
    uint64_t missing = 0;
    for (uint64_t i = offset / SIM_BLOCK_BYTES; i <= (offset + count - 1) / SIM_BLOCK_BYTES; i++) {
        missing += sim_node_block(node, i) == NULL;
    }
    return missing;
}

/* Stores what there is room for. */
static enum sim_result store(struct sim_handle *handle, uint64_t offset, const void *bytes,
                             size_t count) {
    struct sim_disk *disk = handle->disk;
    struct sim_node *node = edit_node(handle);
    const uint64_t room =
        disk->blocks_max > disk->used_blocks ? disk->blocks_max - disk->used_blocks : 0;
    const size_t fits =
        disk->blocks_max == UINT64_MAX ? count : sim_node_fits(node, offset, count, room);
    if (fits > 0) {
        disk->used_blocks += count_missing(node, offset, fits);
        sim_node_write(node, offset, bytes, fits);
        log_write(handle, node, offset, fits);
    }
    return fits == count ? SIM_OK : SIM_NO_SPACE;
}

static enum sim_result store_flipped(struct sim_handle *handle, uint64_t offset, const void *bytes,
                                     size_t count) {
    uint8_t *flipped = sim_allocate(count + 1);
    memcpy(flipped, bytes, count);
    flipped[count / 2] ^= 1;
    const enum sim_result result = store(handle, offset, flipped, count);
    free(flipped);
    return result;
}

enum sim_result sim_write(struct sim_handle *handle, uint64_t offset, const void *bytes,
                          size_t count) {
    enum sim_effect effect;
    if (!enter(handle, SIM_CALL_WRITE, &effect)) {
        return store(handle, offset, bytes, count);
    }
    if (effect == SIM_FLIP) {
        return store_flipped(handle, offset, bytes, count);
    }
    if (effect == SIM_MISDIRECT) {
        return store(handle, offset + SIM_SECTOR_BYTES, bytes, count);
    }
    if (effect == SIM_EIO_DONE || effect == SIM_EIO_HALF || effect == SIM_ENOSPC_HALF) {
        (void)store(handle, offset, bytes, effect == SIM_EIO_DONE ? count : count / 2);
    }
    return sim_fault_result(effect);
}

enum sim_result sim_truncate(struct sim_handle *handle, uint64_t size_bytes) {
    struct sim_disk *disk = handle->disk;
    enum sim_effect effect;
    const bool fails = enter(handle, SIM_CALL_TRUNCATE, &effect);
    if (!fails || effect == SIM_EIO_DONE) {
        struct sim_node *node = edit_node(handle);
        const uint64_t before = sim_node_used_blocks(node);
        sim_node_truncate(node, size_bytes);
        disk->used_blocks -= before - sim_node_used_blocks(node);
        if (handle->scratch == NULL) {
            struct sim_entry *entry = sim_entry_create(SIM_OP_TRUNCATE, handle->side, 0);
            entry->inode = handle->inode;
            entry->offset = size_bytes;
            sim_entries_add(&disk->log, entry);
        }
    }
    return fails ? sim_fault_result(effect) : SIM_OK;
}

enum sim_result sim_sync(struct sim_handle *handle) {
    enum sim_effect effect;
    const bool fails = enter(handle, SIM_CALL_SYNC, &effect);
    if (handle->scratch == NULL && (!fails || effect == SIM_EIO_DONE || effect == SIM_EIO_LOST)) {
        const bool is_lost = fails && effect == SIM_EIO_LOST;
        struct sim_entry *entry =
            sim_entry_create(is_lost ? SIM_OP_SYNC_LOST : SIM_OP_SYNC, handle->side, 0);
        entry->inode = handle->inode;
        sim_entries_add(&handle->disk->log, entry);
    }
    return fails ? sim_fault_result(effect) : SIM_OK;
}

/* ---- locks and owners ---- */

enum sim_result sim_lock_elsewhere(struct sim_handle *handle) {
    enum sim_effect effect;
    return enter(handle, SIM_CALL_LOCK, &effect) ? sim_fault_result(effect) : SIM_OK;
}

enum sim_result sim_flock(struct sim_handle *handle) {
    enum sim_effect effect;
    if (enter(handle, SIM_CALL_LOCK, &effect)) {
        return sim_fault_result(effect);
    }
    for (const struct sim_handle *other = handle->disk->handles; other != NULL;
         other = other->next) {
        if (other != handle && other->inode == handle->inode && other->is_locked) {
            return SIM_BUSY;
        }
    }
    handle->is_locked = true;
    return SIM_OK;
}

void sim_handle_own(struct sim_handle *handle, uint32_t mode, uint32_t user, uint32_t group) {
    if (handle->scratch == NULL) {
        sim_disk_own(handle->disk, handle->side, handle->inode, mode, user, group);
    }
}
