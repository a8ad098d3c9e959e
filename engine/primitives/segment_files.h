/* segment_files.h - a bounded set of open segment files (layer 2, private to the devices of files).
 *
 * At most FST_SEGMENT_FILES_MAX files are open. A file that somebody uses is never closed;
 * if all are in use, the next user waits for one. Each thread uses one at a time, and there
 * are no more threads than files, so that wait ends. A queue of device_uring uses one for each
 * of its writes, and its owner polls until they are done.
 *
 * Life of a slot, under the set's lock:
 *
 *     FREE -> BUSY     [fst_segment_files_use]   one thread opens the file, unlocked
 *     BUSY -> OPEN     [fst_segment_files_use]   header checked, or written and synced
 *     BUSY -> FREE     [fst_segment_files_use]   it could not be opened
 *     OPEN -> BUSY     [make_room]               unused; synced first if it is dirty
 *     BUSY -> FREE     [make_room]
 *     OPEN -> FREE     [close_slot]              unused and truncated, or the set is finished
 */
#ifndef FST_PRIMITIVES_SEGMENT_FILES_H
#define FST_PRIMITIVES_SEGMENT_FILES_H

#include "base/atomic.h"
#include "primitives/device.h"
#include "shapes/format_codec.h"

#define FST_SEGMENT_FILES_MAX 64u

enum fst_segment_state { FST_SEGMENT_FREE = 0, FST_SEGMENT_BUSY, FST_SEGMENT_OPEN };

struct fst_segment_file {
    enum fst_segment_state state;
    bool dirty; /* written since the last sync began */
    uint32_t user_count;
    uint64_t index;
    uint64_t size_bytes; /* of the file; for stored_bytes */
    uint64_t last_use;
    uint64_t write_count; /* uses that have written */
    struct fst_file *file;
    struct fst_file *direct; /* the same file past the system's cache; NULL: not to be had */
};

struct fst_segment_files {
    const struct faster_env *env;
    char *directory;
    struct fst_format_owner owner;
    uint32_t segment_bits;
    uint32_t mode, user, group;
    bool read_only;
    bool opens_direct; /* these three are set before the first use */
    /* Called with the lock held before a file that nobody uses is closed, or NULL: its number may
     * still stand in a request that the kernel is about to take. Must not use the set. */
    void (*before_close)(void *context);
    void *before_close_context;

    struct fst_mutex *mutex; /* protects all below */
    struct fst_condition *changed;
    struct fst_segment_file slots[FST_SEGMENT_FILES_MAX];
    uint64_t use_count;
    uint64_t first_index; /* truncation has passed the segments below */
    bool directory_dirty; /* a file was created since the last sync of the directory began */
    bool syncing;         /* one sync at a time: it clears dirty marks before it is done */
    enum faster_status sync_status; /* the first failure of a sync; final */

    fst_atomic_u64 stored_bytes; /* written under the lock, read by anybody, relaxed */
};

/* OK, NOMEM, INVALID (path too long), IO (the directory cannot be listed). */
enum faster_status
fst_segment_files_init(struct fst_segment_files *files,
                       const struct fst_device_file_config *config) FASTER_MUST_CHECK;
/* Nobody uses it any more. Accepts zeroes. */
void fst_segment_files_finish(struct fst_segment_files *files);

/* Opens the segment's file, or joins its users. With `create` a missing file is made. Without,
 * a file that does not exist or has no log bytes yet is NOT_FOUND. OK, NOT_FOUND, MISSING
 * (truncated), CORRUPT, FOREIGN, VERSION_NEWER, FULL, READ_ONLY, NOMEM, IO. Blocks. */
enum faster_status fst_segment_files_use(struct fst_segment_files *files, uint64_t index,
                                         bool create,
                                         struct fst_segment_file **file) FASTER_MUST_CHECK;
/* The same for a file that is open already; never waits. OK, BUSY (it is not open), MISSING. */
enum faster_status fst_segment_files_try_use(struct fst_segment_files *files, uint64_t index,
                                             struct fst_segment_file **file) FASTER_MUST_CHECK;
/* Ends a use. `written_end` is the file offset up to which it was written, 0: only read. */
void fst_segment_files_leave(struct fst_segment_files *files, struct fst_segment_file *file,
                             uint64_t written_end);

/* Makes every write whose use has ended durable, and the names of the files. OK; FULL or NOMEM:
 * the directory could not be opened, a later call may do what is left; or the failure of this sync
 * or of any before it: once failed, always failed. Blocks. */
enum faster_status fst_segment_files_sync(struct fst_segment_files *files) FASTER_MUST_CHECK;

/* For a caller that syncs by itself where one file is all that a sync concerns. With *file NULL
 * that is the only one with unsynced writes; else the one given, which the caller uses and is
 * going to write. True: it is in use once more, and no other sync begins, until one of the two
 * below: the caller is to poll for that end. Two syncs at a time would share one report of a
 * failure. Never waits. */
bool fst_segment_files_sync_begin(struct fst_segment_files *files, struct fst_segment_file **file,
                                  uint64_t *write_count) FASTER_MUST_CHECK;
/* What became of it. `write_count` is what the sync covers: as it was at the beginning, and one
 * more for a write of the caller that the sync has waited for and that has left the file;
 * UINT64_MAX if it covers no known state. */
void fst_segment_files_sync_end(struct fst_segment_files *files, struct fst_segment_file *file,
                                uint64_t write_count, enum faster_status status);
/* It has not taken place. */
void fst_segment_files_sync_cancel(struct fst_segment_files *files, struct fst_segment_file *file);

/* See struct fst_device_ops. */
enum faster_status fst_segment_files_sync_existing(struct fst_segment_files *files,
                                                   uint64_t first_index) FASTER_MUST_CHECK;

/* The segment's name leads to another file now: whoever uses it next opens that one. Those who read
 * the old one read on. */
void fst_segment_files_forget(struct fst_segment_files *files, uint64_t index);

/* In segment_unshare.c; see struct fst_device_ops. */
enum faster_status fst_segment_files_unshare(struct fst_segment_files *files,
                                             uint64_t first_index) FASTER_MUST_CHECK;

enum faster_status fst_segment_files_truncate(struct fst_segment_files *files,
                                              uint64_t first_index) FASTER_MUST_CHECK;

enum faster_status fst_segment_files_extent(struct fst_segment_files *files, fst_addr *first,
                                            fst_addr *end) FASTER_MUST_CHECK;

/* In segment_open.c, without the lock: opens or creates one segment's file and checks its
 * header. Fills file and size_bytes (what it was before) of `opened`; *created tells that the
 * header is new, and may be the name. */
enum faster_status fst_segment_open(const struct fst_segment_files *files, uint64_t index,
                                    bool create, struct fst_segment_file *opened,
                                    bool *created) FASTER_MUST_CHECK;

#endif
