/* checkpoint_files.h - the files of checkpoints in a store's directory (layer 4).
 *
 * A root names all other files that its checkpoint needs, and these are durable before it is. So
 * roots may go at any time, and other files once no root names them: a crash between two steps
 * leaves files that nobody names, which the next fst_checkpoint_files_trim() removes.
 */
#ifndef FST_STORE_CHECKPOINT_FILES_H
#define FST_STORE_CHECKPOINT_FILES_H

#include "shapes/checkpoint_format.h"
#include "store/store_files.h"

/* Makes a new file to write to; a leftover of that name is replaced. The caller closes and syncs
 * it, and the directory. OK, FULL, NOMEM, READ_ONLY, IO. */
enum faster_status fst_checkpoint_file_create(const struct fst_store_files *files,
                                              enum fst_checkpoint_file kind, uint64_t number,
                                              struct fst_file **file) FASTER_MUST_CHECK;
/* To read from. OK, MISSING, FOREIGN (a link), READ_ONLY (no permission), FULL (no descriptor),
 * NOMEM, IO. */
enum faster_status fst_checkpoint_file_open(const struct fst_store_files *files,
                                            enum fst_checkpoint_file kind, uint64_t number,
                                            struct fst_file **file) FASTER_MUST_CHECK;
/* Best effort: what is left the next trim removes. */
void fst_checkpoint_file_remove(const struct fst_store_files *files, enum fst_checkpoint_file kind,
                                uint64_t number);
/* 0 if it is not there. */
uint64_t fst_checkpoint_file_bytes(const struct fst_store_files *files,
                                   enum fst_checkpoint_file kind, uint64_t number);

/* Makes durable the names of files that were created. As env's directory_sync(). */
enum faster_status fst_checkpoint_names_sync(const struct fst_store_files *files) FASTER_MUST_CHECK;

#define FST_CHECKPOINT_NAMES_MAX 256u

struct fst_checkpoint_names {
    uint64_t highest; /* number of any file of a checkpoint, 0: there is none */
    uint64_t roots[FST_CHECKPOINT_NAMES_MAX]; /* their numbers, highest first */
    size_t root_count;                        /* if there are more, the lowest are left out */
};
/* OK, NOMEM, IO. */
enum faster_status fst_checkpoint_names_list(const struct fst_store_files *files,
                                             struct fst_checkpoint_names *names) FASTER_MUST_CHECK;

/* Reads and checks checkpoint.<number>. `sessions` (may be NULL) gets its sessions, allocated;
 * NULL: there are none. OK, MISSING, CORRUPT, FOREIGN, VERSION_NEWER, READ_ONLY, FULL (no
 * descriptor), NOMEM, IO. */
enum faster_status fst_checkpoint_root_read(const struct fst_store_files *files, uint64_t number,
                                            struct fst_root *root,
                                            struct fst_named_serial **sessions) FASTER_MUST_CHECK;

/* Seals the root, whose sessions `sessions` are, and writes checkpoint.<its number>: to a temporary
 * name, synced, renamed, the directory synced. OK: durable. After a failure it may be there: that
 * does no harm, as all that it names is durable. OK, FULL, NOMEM, READ_ONLY, MISUSE (it makes no
 * sense), IO. */
enum faster_status
fst_checkpoint_root_write(const struct fst_store_files *files, struct fst_root *root,
                          const struct fst_named_serial *sessions) FASTER_MUST_CHECK;

/* A root that stays, and the numbers of the files it needs; 0: none. */
struct fst_checkpoint_kept {
    uint64_t number;
    uint64_t index_number;
    uint64_t data_first_number;
    uint64_t data_last_number;
};

/* Removes all other roots and syncs the directory; then the other files of checkpoints that none
 * of these names. OK; or the first failure, after which files may be left over. */
enum faster_status fst_checkpoint_files_trim(const struct faster_env *env, const char *directory,
                                             const struct fst_checkpoint_kept *kept,
                                             size_t count) FASTER_MUST_CHECK;

#endif
