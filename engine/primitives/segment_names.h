/* segment_names.h - the segment files of a directory, by name (layer 2).
 *
 * Only names that fst_segment_name_parse() accepts exist for these functions.
 */
#ifndef FST_PRIMITIVES_SEGMENT_NAMES_H
#define FST_PRIMITIVES_SEGMENT_NAMES_H

#include "base/path.h"

/* The path of a segment's file. OK, or INVALID if it is too long. */
enum faster_status fst_segment_path(const char *directory, uint64_t index,
                                    char path[FST_PATH_BYTES_MAX]) FASTER_MUST_CHECK;

struct fst_segment_extent {
    uint64_t count;
    uint64_t first_index; /* lowest and highest; only if count is not 0 */
    uint64_t last_index;
};

/* Blocks. OK, MISSING (the directory), IO. */
enum faster_status fst_segment_names_extent(const struct faster_env *env, const char *directory,
                                            struct fst_segment_extent *extent) FASTER_MUST_CHECK;

#define FST_SEGMENT_BATCH_COUNT 64u

/* The lowest segments within [from, limit), ascending: for walks over files that exist, which
 * end whatever numbers a hostile directory shows. Start with count 0; each call goes on above
 * the batch before it; a batch that is not full is the last. */
struct fst_segment_batch {
    uint64_t from;
    uint64_t limit;
    uint64_t index[FST_SEGMENT_BATCH_COUNT];
    unsigned count;
};
enum faster_status fst_segment_names_next(const struct faster_env *env, const char *directory,
                                          struct fst_segment_batch *batch) FASTER_MUST_CHECK;

/* Adds the size of every segment file to *bytes. Blocks. OK, MISSING, IO, INVALID (the path
 * is too long). */
enum faster_status fst_segment_names_size(const struct faster_env *env, const char *directory,
                                          uint64_t *bytes) FASTER_MUST_CHECK;

/* Removes the files of segments below `index_limit`, and adds their sizes to *removed_bytes
 * (may be NULL). Stops at the first failure. Does not sync the directory; *removed_count tells
 * whether that is needed. Blocks. OK, MISSING, READ_ONLY, IO, INVALID. */
enum faster_status fst_segment_names_remove_below(const struct faster_env *env,
                                                  const char *directory, uint64_t index_limit,
                                                  uint64_t *removed_count,
                                                  uint64_t *removed_bytes) FASTER_MUST_CHECK;

#endif
