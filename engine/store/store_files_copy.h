/* store_files_copy.h - a second directory for a store (layer 4).
 *
 *     fst_store_copy_begin    makes the directory
 *     fst_store_copy_file     one file of the store under the same name
 *     fst_store_copy_finish   manifest, lock and identity: now it is a store, durably
 *     fst_store_copy_end      without a finish that returned OK, all of it is removed
 *
 * A crash in between leaves a directory without a file `store`, which is no store.
 */
#ifndef FST_STORE_STORE_FILES_COPY_H
#define FST_STORE_STORE_FILES_COPY_H

#include "base/file_copy.h"
#include "store/store_files.h"

struct fst_store_copy;

struct fst_store_copy_config {
    const struct fst_store_files *from; /* outlives the copy, as does the directory */
    const char *directory;              /* missing, or empty */
    faster_interrupt_fn *interrupt;
    void *interrupt_context;
};

/* On OK the caller ends it. As fst_store_files_create(). */
enum faster_status fst_store_copy_begin(const struct fst_store_copy_config *config,
                                        struct fst_store_copy **copy,
                                        struct faster_error *error) FASTER_MUST_CHECK;

/* The file's first `bytes_max` bytes (UINT64_MAX: all). `may_link`: nobody ever writes to it again.
 * As fst_file_copy(). */
enum faster_status fst_store_copy_file(struct fst_store_copy *copy, const char *name,
                                       uint64_t bytes_max, bool may_link,
                                       struct faster_error *error) FASTER_MUST_CHECK;

/* Of the manifest index_bits_min, begin, durable_* are used; its place is none: the first database
 * that opens the copy has it. OK, FULL, NOMEM, MISUSE (what FORMAT.md does not allow), IO. */
enum faster_status fst_store_copy_finish(struct fst_store_copy *copy,
                                         const struct fst_manifest *manifest,
                                         struct faster_error *error) FASTER_MUST_CHECK;

void fst_store_copy_end(struct fst_store_copy *copy);

/* Bytes of the files so far. Shared: cloned or linked. */
uint64_t fst_store_copy_shared_bytes(const struct fst_store_copy *copy);
uint64_t fst_store_copy_copied_bytes(const struct fst_store_copy *copy);

#endif
