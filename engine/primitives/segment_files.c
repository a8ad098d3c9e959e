/* segment_files.c - a bounded set of open segment files (layer 2). */
#include "primitives/segment_files.h"

#include <string.h>

#include "base/bytes.h"
#include "base/path.h"
#include "primitives/segment_names.h"

static void lock(struct fst_segment_files *files) {
    files->env->mutex_lock(files->env, files->mutex);
}

static void unlock(struct fst_segment_files *files) {
    files->env->mutex_unlock(files->env, files->mutex);
}

/* Waits until some slot's state or user count may have changed. */
static void wait_for_change(struct fst_segment_files *files) {
    (void)files->env->condition_wait(files->env, files->changed, files->mutex, UINT64_MAX);
}

static void announce_change(struct fst_segment_files *files) {
    files->env->condition_broadcast(files->env, files->changed);
}

/* ---- slots; the lock is held ---- */

/* Where a segment is looked for, and put, first: neighbours do not meet. */
static struct fst_segment_file *preferred(struct fst_segment_files *files, uint64_t index) {
    return &files->slots[index % FST_SEGMENT_FILES_MAX];
}

static struct fst_segment_file *find(struct fst_segment_files *files, uint64_t index) {
    struct fst_segment_file *first = preferred(files, index);

    if (first->state != FST_SEGMENT_FREE && first->index == index) {
        return first;
    }
    for (unsigned i = 0; i < FST_SEGMENT_FILES_MAX; i++) {
        struct fst_segment_file *slot = &files->slots[i];
        if (slot->state != FST_SEGMENT_FREE && slot->index == index) {
            return slot;
        }
    }
    return NULL;
}

static struct fst_segment_file *find_free(struct fst_segment_files *files, uint64_t index) {
    if (preferred(files, index)->state == FST_SEGMENT_FREE) {
        return preferred(files, index);
    }
    for (unsigned i = 0; i < FST_SEGMENT_FILES_MAX; i++) {
        if (files->slots[i].state == FST_SEGMENT_FREE) {
            return &files->slots[i];
        }
    }
    return NULL;
}

/* The unused file that is missed least: a clean one, and of those the one unused longest. */
static struct fst_segment_file *find_victim(struct fst_segment_files *files) {
    struct fst_segment_file *victim = NULL;

    for (unsigned i = 0; i < FST_SEGMENT_FILES_MAX; i++) {
        struct fst_segment_file *slot = &files->slots[i];
        if (slot->state != FST_SEGMENT_OPEN || slot->user_count > 0) {
            continue;
        }
        if (victim == NULL || slot->dirty < victim->dirty ||
            (slot->dirty == victim->dirty && slot->last_use < victim->last_use)) {
            victim = slot;
        }
    }
    return victim;
}

static void close_slot(struct fst_segment_files *files, struct fst_segment_file *slot) {
    if (files->before_close != NULL) {
        files->before_close(files->before_close_context);
    }
    files->env->file_close(files->env, slot->file);
    files->env->file_close(files->env, slot->direct);
    *slot = (struct fst_segment_file){.state = FST_SEGMENT_FREE};
    announce_change(files);
}

/* What callers may try again after. */
static bool is_lack(enum faster_status status) {
    return status == FASTER_FULL || status == FASTER_NOMEM;
}

/* What is not durable after a failed sync is unknown, and another sync would not tell: the
 * system may have dropped the bytes. So the first failure stays the answer. "No space" and "no
 * memory" are no exceptions here, as callers would try again after them. */
static void note_sync(struct fst_segment_files *files, enum faster_status status) {
    if (status != FASTER_OK && files->sync_status == FASTER_OK) {
        files->sync_status = is_lack(status) ? FASTER_IO : status;
    }
}

/* Closes one unused file. The lock is dropped meanwhile if it must be synced: its bytes would
 * otherwise be forgotten by the next sync. False if all files are in use. */
static bool make_room(struct fst_segment_files *files) {
    struct fst_segment_file *victim = find_victim(files);

    if (victim == NULL) {
        return false;
    }
    if (victim->dirty) {
        enum faster_status status;
        victim->state = FST_SEGMENT_BUSY;
        unlock(files);
        status = files->env->file_sync(files->env, victim->file);
        lock(files);
        note_sync(files, status);
    }
    close_slot(files, victim);
    return true;
}

static void grow(struct fst_segment_files *files, struct fst_segment_file *slot,
                 uint64_t size_bytes) {
    if (slot->size_bytes < size_bytes) {
        (void)fst_add_relaxed_u64(&files->stored_bytes, size_bytes - slot->size_bytes);
        slot->size_bytes = size_bytes;
    }
}

/* Opens a segment in a free slot. The lock is dropped meanwhile. */
static enum faster_status open_in(struct fst_segment_files *files, struct fst_segment_file *slot,
                                  uint64_t index, bool create) {
    struct fst_segment_file opened = {.state = FST_SEGMENT_OPEN, .index = index};
    enum faster_status status;
    bool created;

    *slot = (struct fst_segment_file){.state = FST_SEGMENT_BUSY, .index = index};
    unlock(files);
    status = fst_segment_open(files, index, create, &opened, &created);
    lock(files);
    if (created) {
        files->directory_dirty = true;
    }
    if (status == FASTER_OK) {
        *slot = opened;
        if (created) {
            grow(files, slot, FST_SEGMENT_HEADER_BYTES);
            slot->dirty = true;
        }
    } else {
        *slot = (struct fst_segment_file){.state = FST_SEGMENT_FREE};
    }
    announce_change(files);
    return status;
}

/* ---- use ---- */

enum faster_status fst_segment_files_use(struct fst_segment_files *files, uint64_t index,
                                         bool create, struct fst_segment_file **file) {
    enum faster_status status = FASTER_OK;
    struct fst_segment_file *slot = NULL;

    lock(files);
    while (status == FASTER_OK) {
        if (index < files->first_index) {
            status = FASTER_MISSING;
            break;
        }
        slot = find(files, index);
        if (slot != NULL && slot->state == FST_SEGMENT_OPEN) {
            break;
        }
        if (slot != NULL) {
            wait_for_change(files); /* somebody opens or closes it */
            continue;
        }
        slot = find_free(files, index);
        if (slot != NULL) {
            status = open_in(files, slot, index, create);
        } else if (!make_room(files)) {
            wait_for_change(files);
        }
    }
    if (status == FASTER_OK) {
        slot->user_count++;
        slot->last_use = ++files->use_count;
        *file = slot;
    }
    unlock(files);
    return status;
}

enum faster_status fst_segment_files_try_use(struct fst_segment_files *files, uint64_t index,
                                             struct fst_segment_file **file) {
    enum faster_status status = FASTER_BUSY;
    struct fst_segment_file *slot;

    lock(files);
    slot = find(files, index);
    if (index < files->first_index) {
        status = FASTER_MISSING;
    } else if (slot != NULL && slot->state == FST_SEGMENT_OPEN) {
        slot->user_count++;
        slot->last_use = ++files->use_count;
        *file = slot;
        status = FASTER_OK;
    }
    unlock(files);
    return status;
}

void fst_segment_files_leave(struct fst_segment_files *files, struct fst_segment_file *file,
                             uint64_t written_end) {
    lock(files);
    if (written_end > 0) {
        file->dirty = true;
        file->write_count++;
        grow(files, file, written_end);
    }
    if (--file->user_count == 0) {
        announce_change(files);
    }
    unlock(files);
}

/* ---- sync ---- */

static void sync_slot(struct fst_segment_files *files, struct fst_segment_file *slot) {
    enum faster_status status;

    while (slot->state == FST_SEGMENT_BUSY) {
        wait_for_change(files); /* it may be on its way out, with a sync of its own */
    }
    if (slot->state != FST_SEGMENT_OPEN || !slot->dirty) {
        return;
    }
    slot->dirty = false;
    slot->user_count++;
    unlock(files);
    status = files->env->file_sync(files->env, slot->file);
    lock(files);
    note_sync(files, status);
    if (--slot->user_count == 0) {
        announce_change(files);
    }
}

/* A directory that could not even be opened has lost nothing, and no error of it was taken from
 * the system: the next sync tries again, and until then nobody is told that it is durable. */
static enum faster_status sync_directory(struct fst_segment_files *files) {
    enum faster_status status;

    if (!files->directory_dirty || files->sync_status != FASTER_OK) {
        return files->sync_status;
    }
    files->directory_dirty = false;
    unlock(files);
    status = files->env->directory_sync(files->env, files->directory);
    lock(files);
    if (is_lack(status)) {
        files->directory_dirty = true;
        return status;
    }
    note_sync(files, status);
    return files->sync_status;
}

enum faster_status fst_segment_files_sync(struct fst_segment_files *files) {
    enum faster_status status;

    lock(files);
    /* A second sync would take the dirty marks the first has cleared for durable bytes. */
    while (files->syncing) {
        wait_for_change(files);
    }
    files->syncing = true;
    for (unsigned i = 0; i < FST_SEGMENT_FILES_MAX && files->sync_status == FASTER_OK; i++) {
        sync_slot(files, &files->slots[i]);
    }
    status = sync_directory(files);
    files->syncing = false;
    announce_change(files);
    unlock(files);
    return status;
}

/* The lock is held. A file that is being opened or closed may be, or have been, unsynced. */
static bool is_all_to_sync(const struct fst_segment_files *files,
                           const struct fst_segment_file *file) {
    bool is_all = !files->syncing && !files->directory_dirty && files->sync_status == FASTER_OK;

    for (unsigned i = 0; i < FST_SEGMENT_FILES_MAX; i++) {
        const struct fst_segment_file *slot = &files->slots[i];
        is_all = is_all && slot->state != FST_SEGMENT_BUSY &&
                 (slot->state == FST_SEGMENT_FREE || !slot->dirty || slot == file);
    }
    return is_all;
}

static struct fst_segment_file *find_dirty(struct fst_segment_files *files) {
    for (unsigned i = 0; i < FST_SEGMENT_FILES_MAX; i++) {
        if (files->slots[i].state == FST_SEGMENT_OPEN && files->slots[i].dirty) {
            return &files->slots[i];
        }
    }
    return NULL;
}

bool fst_segment_files_sync_begin(struct fst_segment_files *files, struct fst_segment_file **file,
                                  uint64_t *write_count) {
    struct fst_segment_file *found;
    bool begun;

    lock(files);
    found = *file != NULL ? *file : find_dirty(files);
    begun = found != NULL && is_all_to_sync(files, found);
    if (begun) {
        files->syncing = true;
        found->user_count++;
        *write_count = found->write_count;
        *file = found;
    }
    unlock(files);
    return begun;
}

/* The lock is held. */
static void leave_sync(struct fst_segment_files *files, struct fst_segment_file *file) {
    files->syncing = false;
    file->user_count--;
    announce_change(files);
}

void fst_segment_files_sync_end(struct fst_segment_files *files, struct fst_segment_file *file,
                                uint64_t write_count, enum faster_status status) {
    lock(files);
    note_sync(files, status);
    if (status == FASTER_OK && file->write_count == write_count) {
        file->dirty = false;
    }
    leave_sync(files, file);
    unlock(files);
}

void fst_segment_files_sync_cancel(struct fst_segment_files *files, struct fst_segment_file *file) {
    lock(files);
    leave_sync(files, file);
    unlock(files);
}

/* Marks one existing segment as if this process had written it. A gap that a jump left has
 * no file. */
static enum faster_status mark_dirty(struct fst_segment_files *files, uint64_t index) {
    struct fst_segment_file *file;
    enum faster_status status = fst_segment_files_use(files, index, false, &file);

    if (status == FASTER_NOT_FOUND || status == FASTER_MISSING) {
        return FASTER_OK;
    }
    if (status == FASTER_OK) {
        lock(files);
        file->dirty = true;
        file->write_count++;
        unlock(files);
        fst_segment_files_leave(files, file, 0);
    }
    return status;
}

/* A dirty file that has to make room for the next is synced when it is closed. */
enum faster_status fst_segment_files_sync_existing(struct fst_segment_files *files,
                                                   uint64_t first_index) {
    struct fst_segment_batch batch = {.from = first_index, .limit = UINT64_MAX};
    enum faster_status status;

    do {
        status = fst_segment_names_next(files->env, files->directory, &batch);
        for (unsigned i = 0; status == FASTER_OK && i < batch.count; i++) {
            status = mark_dirty(files, batch.index[i]);
        }
    } while (status == FASTER_OK && batch.count == FST_SEGMENT_BATCH_COUNT);
    if (status != FASTER_OK) {
        return status;
    }
    lock(files);
    files->directory_dirty = true;
    unlock(files);
    return fst_segment_files_sync(files);
}

/* ---- forget ---- */

/* No segment has this index: nobody finds the slot any more, and it makes room like any other. */
#define RETIRED_INDEX UINT64_MAX

/* Its users may be waiting for their callers, even for this one: they are not waited for. */
void fst_segment_files_forget(struct fst_segment_files *files, uint64_t index) {
    struct fst_segment_file *slot;

    lock(files);
    while ((slot = find(files, index)) != NULL && slot->state == FST_SEGMENT_BUSY) {
        wait_for_change(files);
    }
    if (slot != NULL && slot->user_count == 0) {
        close_slot(files, slot);
    } else if (slot != NULL) {
        slot->index = RETIRED_INDEX;
    }
    unlock(files);
}

/* ---- truncate ---- */

/* Waits for the users of files below first_index and closes them: an open file would keep
 * its space. New users are refused already. */
static void close_below(struct fst_segment_files *files) {
    for (unsigned i = 0; i < FST_SEGMENT_FILES_MAX; i++) {
        struct fst_segment_file *slot = &files->slots[i];
        while (slot->state != FST_SEGMENT_FREE && slot->index < files->first_index &&
               (slot->state == FST_SEGMENT_BUSY || slot->user_count > 0)) {
            wait_for_change(files);
        }
        if (slot->state == FST_SEGMENT_OPEN && slot->index < files->first_index) {
            close_slot(files, slot);
        }
    }
}

enum faster_status fst_segment_files_truncate(struct fst_segment_files *files,
                                              uint64_t first_index) {
    const struct faster_env *env = files->env;
    uint64_t removed_count = 0;
    uint64_t removed_bytes = 0;
    enum faster_status status;

    lock(files);
    if (files->first_index < first_index) {
        files->first_index = first_index;
    }
    close_below(files);
    unlock(files);
    if (files->read_only) {
        return FASTER_OK;
    }
    status = fst_segment_names_remove_below(env, files->directory, first_index, &removed_count,
                                            &removed_bytes);
    (void)fst_add_relaxed_u64(&files->stored_bytes, 0 - removed_bytes);
    if (removed_count > 0) {
        const enum faster_status synced = env->directory_sync(env, files->directory);
        status = status == FASTER_OK ? synced : status;
    }
    return status == FASTER_OK ? FASTER_OK : FASTER_IO;
}

/* ---- extent ---- */

/* Log bytes in a segment's file by its size, whatever a file of strange size claims. */
static enum faster_status written_end_off(const struct fst_segment_files *files, uint64_t index,
                                          uint64_t *end_off) {
    char path[FST_PATH_BYTES_MAX];
    struct fst_file_info info;
    enum faster_status status = fst_segment_path(files->directory, index, path);

    if (status == FASTER_OK) {
        status = files->env->path_info(files->env, path, &info);
    }
    if (status == FASTER_OK) {
        const uint64_t header = FST_SEGMENT_HEADER_BYTES;
        *end_off = info.size_bytes > header ? info.size_bytes - header : 0;
        *end_off = fst_min_u64(*end_off, UINT64_C(1) << files->segment_bits);
    }
    return status;
}

enum faster_status fst_segment_files_extent(struct fst_segment_files *files, fst_addr *first,
                                            fst_addr *end) {
    struct fst_segment_extent extent;
    uint64_t end_off;
    enum faster_status status = fst_segment_names_extent(files->env, files->directory, &extent);

    *first = *end = fst_addr_of(0);
    if (status != FASTER_OK || extent.count == 0) {
        return status == FASTER_OK ? FASTER_OK : FASTER_IO;
    }
    if (extent.last_index > FST_ADDR_MAX >> files->segment_bits) {
        return FASTER_CORRUPT; /* no address leads there: not a file of ours */
    }
    status = written_end_off(files, extent.last_index, &end_off);
    if (status != FASTER_OK) {
        return FASTER_IO;
    }
    *first = fst_addr_of(extent.first_index << files->segment_bits);
    *end = fst_addr_of((extent.last_index << files->segment_bits) + end_off);
    return FASTER_OK;
}

/* ---- life ---- */

static enum faster_status copy_directory(struct fst_segment_files *files, const char *directory) {
    const size_t bytes = strlen(directory) + 1;

    if (bytes + FST_SEGMENT_NAME_BYTES > FST_PATH_BYTES_MAX) {
        return FASTER_INVALID;
    }
    files->directory = files->env->allocate(files->env, bytes);
    if (files->directory == NULL) {
        return FASTER_NOMEM;
    }
    memcpy(files->directory, directory, bytes);
    return FASTER_OK;
}

static enum faster_status count_stored(struct fst_segment_files *files) {
    uint64_t bytes = 0;
    const enum faster_status status = fst_segment_names_size(files->env, files->directory, &bytes);

    fst_store_relaxed_u64(&files->stored_bytes, bytes);
    return status == FASTER_MISSING ? FASTER_IO : status;
}

enum faster_status fst_segment_files_init(struct fst_segment_files *files,
                                          const struct fst_device_file_config *config) {
    enum faster_status status;

    *files = (struct fst_segment_files){
        .env = config->env,
        .owner = {.generation = config->generation, .checksum_seed = config->checksum_seed},
        .segment_bits = config->segment_bits,
        .mode = config->mode,
        .user = config->user,
        .group = config->group,
        .read_only = config->read_only,
    };
    memcpy(files->owner.uuid, config->uuid, sizeof files->owner.uuid);
    status = copy_directory(files, config->directory);
    if (status == FASTER_OK) {
        status = config->env->mutex_create(config->env, &files->mutex);
    }
    if (status == FASTER_OK) {
        status = config->env->condition_create(config->env, &files->changed);
    }
    if (status == FASTER_OK) {
        status = count_stored(files);
    }
    if (status != FASTER_OK) {
        fst_segment_files_finish(files);
    }
    return status;
}

void fst_segment_files_finish(struct fst_segment_files *files) {
    const struct faster_env *env = files->env;

    if (env == NULL) {
        return;
    }
    for (unsigned i = 0; i < FST_SEGMENT_FILES_MAX; i++) {
        if (files->slots[i].state == FST_SEGMENT_OPEN) {
            env->file_close(env, files->slots[i].file);
            env->file_close(env, files->slots[i].direct);
        }
    }
    if (files->changed != NULL) {
        env->condition_destroy(env, files->changed);
    }
    if (files->mutex != NULL) {
        env->mutex_destroy(env, files->mutex);
    }
    env->release(env, files->directory);
    *files = (struct fst_segment_files){0};
}
