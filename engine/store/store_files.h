/* store_files.h - a store's directory and its small files: identity, lock, manifests
 * (layer 4; knows only base and shapes).
 *
 *     store        who the store is; written once, at creation
 *     lock         held by the process that has the store open
 *     manifest.0   the two newest manifests; the one with the higher sequence counts
 *     manifest.1
 *     log.<12 hex> segments of the log: the device's
 *
 * Everything on disk is taken as hostile: links and special files are refused, sizes are
 * bounded, no name from disk is ever turned into a path outside the directory. FORMAT.md
 * gives the order of writes and syncs.
 */
#ifndef FST_STORE_STORE_FILES_H
#define FST_STORE_STORE_FILES_H

#include "base/diagnostics.h"
#include "base/env.h"
#include "base/error.h"
#include "shapes/format.h"
#include "shapes/format_codec.h"

struct fst_store_files;

/* Mode and owner that new files of a store get. */
struct fst_store_owner {
    uint32_t mode; /* permission bits of files */
    uint32_t user;
    uint32_t group;
};

struct fst_store_files_create_config {
    const struct faster_env *env;
    const char *directory;
    const char *owner_path; /* files follow this file's mode and owner; NULL: 0600, the process */
    /* uuid, generation, seeds, bits and the like are filled in; sealed by the call. */
    const struct fst_identity *identity;
    struct faster_place place; /* zero: no file */
};

/* Creates the directory (and its parent, if missing) with identity, lock and first manifest,
 * and syncs files, directory and parent. The first manifest has sequence 1, begin and
 * durable_end FST_ADDR_FIRST_RAW, all else zero. A directory that is there and empty is
 * used. On failure what was created is removed. Blocks. OK, EXISTS (the directory holds
 * something), FOREIGN (the path is a file or a link), READ_ONLY, FULL, NOMEM, INVALID, IO. */
enum faster_status fst_store_files_create(const struct fst_store_files_create_config *config,
                                          struct faster_error *error) FASTER_MUST_CHECK;

struct fst_store_files_open_config {
    const struct faster_env *env;
    const char *directory;
    uint8_t uuid[FASTER_UUID_BYTES]; /* must match; all zero accepts any */
    bool read_only;                  /* the lock is taken, nothing is written */
    uint64_t lock_wait_ns;
    faster_interrupt_fn *interrupt;
    void *interrupt_context;
    const struct fst_diagnostics *diagnostics; /* outlives the store; may be NULL */
};

/* Takes the lock and reads identity and newest manifest. A damaged manifest beside an intact
 * one is diagnosed. Blocks up to lock_wait_ns. On OK the caller owns *files.
 * OK, MISSING, FOREIGN, VERSION_NEWER, CORRUPT, BUSY, READ_ONLY (cannot write here; not with
 * read_only), INTERRUPTED, INVALID, NOMEM, IO. */
enum faster_status fst_store_files_open(const struct fst_store_files_open_config *config,
                                        struct fst_store_files **files,
                                        struct faster_error *error) FASTER_MUST_CHECK;
/* Releases the lock. */
void fst_store_files_close(struct fst_store_files *files);

/* All valid until close; the manifest until the next write. */
const char *fst_store_files_directory(const struct fst_store_files *files);
const struct fst_identity *fst_store_files_identity(const struct fst_store_files *files);
const struct fst_manifest *fst_store_files_manifest(const struct fst_store_files *files);
const struct fst_format_owner *fst_store_files_owner(const struct fst_store_files *files);
/* Of the file `store`: what new segments get. */
struct fst_store_owner fst_store_files_mode(const struct fst_store_files *files);

/* Writes `next` as the newest manifest, with the sequence after the present one: durable when
 * it returns OK. Only index_bits_min, begin, durable_* and place_* of it are used. After a
 * failure the outcome is unknown: a later open finds the old or the new one, so the caller
 * treats it as a failed sync, except after FULL and NOMEM, which change nothing. One thread
 * at a time. OK, FULL, NOMEM, READ_ONLY, MISUSE (a value FORMAT.md does not allow), IO. */
enum faster_status fst_store_files_write_manifest(struct fst_store_files *files,
                                                  const struct fst_manifest *next,
                                                  struct faster_error *error) FASTER_MUST_CHECK;

/* The place that a manifest records, and the other way round. */
void fst_manifest_place(const struct fst_manifest *manifest, struct faster_place *place);
void fst_manifest_set_place(struct fst_manifest *manifest, const struct faster_place *place);

/* Are the decider's file at `ours` and this store a pair? OK, with *moved set if the place
 * differs from the recorded one and should be recorded in the next manifest, or COPY: the
 * recorded original is still where it was. A place of zeroes on either side is a pair;
 * *moved is then set if the manifest has none yet. Asks stat() only. */
enum faster_status fst_store_files_check_place(const struct fst_store_files *files,
                                               const struct faster_place *ours, bool *moved,
                                               struct faster_error *error) FASTER_MUST_CHECK;

/* Reads at most `capacity` bytes from the start of a file in a store's directory. OK, MISSING,
 * FOREIGN (a link, or no regular file), READ_ONLY (no permission), NOMEM, INVALID, IO; the error
 * (may be NULL) names the file. */
enum faster_status fst_small_file_read(const struct faster_env *env, const char *directory,
                                       const char *name, void *bytes, size_t capacity,
                                       size_t *count, struct faster_error *error) FASTER_MUST_CHECK;

/* See faster_store_mark() and faster_store_is_marked(). */
enum faster_status fst_store_files_mark(const struct faster_env *env, const char *directory,
                                        bool unsettled) FASTER_MUST_CHECK;
bool fst_store_files_is_marked(const struct faster_env *env, const char *directory);

/* See faster_store_remove(). Removes only names that the format knows, and the directory if
 * nothing else is in it; a foreign file in it is left, with the directory (IO). OK, MISSING,
 * FOREIGN, BUSY, NOMEM, IO. */
enum faster_status fst_store_files_remove(const struct faster_env *env, const char *directory,
                                          const uint8_t uuid[FASTER_UUID_BYTES],
                                          struct faster_error *error) FASTER_MUST_CHECK;
/* The same with the lock held already; closes `files` in any case. */
enum faster_status fst_store_files_close_and_remove(struct fst_store_files *files,
                                                    struct faster_error *error) FASTER_MUST_CHECK;

/* See faster_store_list(). */
enum faster_status fst_store_files_list(const struct faster_env *env, const char *parent,
                                        faster_directory_fn *each, void *context) FASTER_MUST_CHECK;

#endif
