/* sim_crash.h - what a crash may leave of a simulated disk.
 *
 * A cursor walks the log of a disk and stops at its boundaries, the positions between two
 * entries. At each it makes images: immutable, counted states of a disk, from which
 * sim_disk_create() makes the disk of the next life.
 *
 *     struct sim_cursor *cursor = sim_cursor_create(disk, 0);
 *     while (sim_cursor_next(cursor)) {
 *         for (enum sim_variant variant = 0; variant < SIM_VARIANTS; variant++) {
 *             struct sim_image *image = sim_cursor_image(cursor, variant, draw);
 *             ... sim_disk_create(image), recover, compare ...
 *             sim_image_release(image);
 *
 * Pending is what was done and is not durable: bytes and sizes of files that were not synced
 * since, names in directories that were not.
 */
#ifndef TESTS_SUPPORT_SIM_CRASH_H
#define TESTS_SUPPORT_SIM_CRASH_H

#include "sim_disk.h"

enum sim_variant {
    SIM_NOTHING,    /* no pending data, no pending names */
    SIM_EVERYTHING, /* all of both */
    SIM_SECTORS,   /* of each pending sector any version since the durable one, that included; sizes
                      are the end of what was kept; each truncation and change of names: drawn */
    SIM_REORDERED, /* each pending write or change of names whole or not at all */
    SIM_TORN,      /* all data, but of the newest pending write a prefix, a suffix or some sectors;
                      no pending names */
    SIM_VARIANTS,
    /* The process died, the machine did not: everything is there, but what was pending still
     * is, and bytes that a failed sync lost are still in the cache. */
    SIM_KILL = SIM_VARIANTS,
    SIM_SIZES /* all names and sizes, but no pending data: zeroes */
};

/* At boundary `from` of the disk's log. The disk outlives the cursor, and may go on meanwhile. */
struct sim_cursor *sim_cursor_create(const struct sim_disk *disk, uint64_t from);
void sim_cursor_destroy(struct sim_cursor *cursor);
/* To the next boundary at which a crash may leave something else, or after a mark; false at the
 * log's end. */
bool sim_cursor_next(struct sim_cursor *cursor);
uint64_t sim_cursor_position(const struct sim_cursor *cursor);
/* True if the entry before the boundary made something durable: where SIM_KILL is worth a try. */
bool sim_cursor_synced(const struct sim_cursor *cursor);
/* The same draw gives the same image. The caller releases it. */
struct sim_image *sim_cursor_image(struct sim_cursor *cursor, enum sim_variant variant,
                                   uint64_t draw);

/* The disk as its files read now, all of it durable. */
struct sim_image *sim_disk_image(const struct sim_disk *disk);
struct sim_image *sim_image_hold(struct sim_image *image); /* one more release is due; returns it */
void sim_image_release(struct sim_image *image);           /* NULL: nothing */
/* Equal for equal paths, sizes and bytes; and, of SIM_KILL, equal pending ones. */
uint64_t sim_image_hash(const struct sim_image *image);

/* Each file, in the order of paths, which are valid during the call. */
void sim_image_each(const struct sim_image *image,
                    void (*each)(void *, const char *path, uint64_t size_bytes), void *context);
/* Bytes of a file; how many there were. No such file: 0. */
size_t sim_image_read(const struct sim_image *image, const char *path, uint64_t offset, void *bytes,
                      size_t count);

/* Damage. Each makes a new image of one without pending changes. Sectors are numbered in their
 * file, from 0; one in which the file ends is as long as what is there of it. The paths exist. */

/* The byte at `offset`, xor `bits`. */
struct sim_image *sim_image_flip(const struct sim_image *image, const char *path, uint64_t offset,
                                 uint8_t bits);
/* The file is `size_bytes` long: shorter, or longer by zeroes. */
struct sim_image *sim_image_cut(const struct sim_image *image, const char *path,
                                uint64_t size_bytes);
struct sim_image *sim_image_swap(const struct sim_image *image, const char *path, uint64_t sector,
                                 const char *other, uint64_t other_sector);
/* A sector of `from`'s file `other` comes where another should be: misdirected or duplicated if
 * `from` is `image`, stale if it is an older one. */
struct sim_image *sim_image_copy(const struct sim_image *image, const char *path, uint64_t sector,
                                 const struct sim_image *from, const char *other,
                                 uint64_t other_sector);

#endif
