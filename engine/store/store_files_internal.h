/* store_files_internal.h - what the store_files*.c share; nobody else includes it (layer 4). */
#ifndef FST_STORE_STORE_FILES_INTERNAL_H
#define FST_STORE_STORE_FILES_INTERNAL_H

#include "base/path.h"
#include "store/store_files.h"

struct fst_store_files {
    const struct faster_env *env;
    const struct fst_diagnostics *diagnostics;
    char *directory;
    bool read_only;
    struct fst_file *lock;
    struct fst_identity identity;
    struct fst_format_owner owner;
    struct fst_store_owner mode;
    struct fst_manifest manifest; /* the newest */
    unsigned manifest_slot;       /* it is in manifest.<slot>; the next goes into the other */
};

/* store_files_create.c: a directory that is to become a store's, and what must be undone if it does
 * not. Begin with env, directory and owner. */
struct fst_store_creation {
    const struct faster_env *env;
    const char *directory;
    char parent[FST_PATH_BYTES_MAX];
    struct fst_store_owner owner;
    bool has_owner; /* a file's; else the process's */
    bool made_parent;
    bool made_directory;
    bool began_files; /* there may be a lock, a manifest, an identity */
};

/* Makes the directory, unless it is there and empty, and its parent. As fst_store_files_create(),
 * but a failure is to be undone, too. */
enum faster_status fst_store_creation_begin(struct fst_store_creation *creation,
                                            struct faster_error *error) FASTER_MUST_CHECK;
/* Syncs the directory and those in which names were made. OK or IO. */
enum faster_status fst_store_creation_sync(const struct fst_store_creation *creation,
                                           struct faster_error *error) FASTER_MUST_CHECK;
void fst_store_creation_undo(const struct fst_store_creation *creation);

/* Makes a new file with these bytes, and syncs it. A leftover of that name is replaced. On
 * failure nothing of that name is left. */
enum faster_status fst_small_file_write(const struct faster_env *env, const char *directory,
                                        const char *name, const void *bytes, size_t count,
                                        const struct fst_store_owner *owner,
                                        struct faster_error *error) FASTER_MUST_CHECK;

/* OK if `directory` is a directory; MISSING, FOREIGN (a file, a link), READ_ONLY, IO. */
enum faster_status fst_store_directory_check(const struct faster_env *env, const char *directory,
                                             struct faster_error *error) FASTER_MUST_CHECK;

/* Reads and checks the file `store`; a UUID that is not all zero must match. */
enum faster_status fst_identity_read(const struct faster_env *env, const char *directory,
                                     const uint8_t uuid[FASTER_UUID_BYTES],
                                     struct fst_identity *identity,
                                     struct faster_error *error) FASTER_MUST_CHECK;

/* Fills manifest and manifest_slot with the newest intact one. */
enum faster_status fst_manifest_read_newest(struct fst_store_files *files,
                                            struct faster_error *error) FASTER_MUST_CHECK;

/* store_files_lock.c: waits for the lock for at most `wait_ns` and writes this process's id
 * into the file. */
struct fst_lock_request {
    const struct faster_env *env;
    const char *directory;
    bool read_only;
    uint64_t wait_ns;
    faster_interrupt_fn *interrupt;
    void *interrupt_context;
    struct fst_store_owner owner;
};
enum faster_status fst_store_lock(const struct fst_lock_request *request, struct fst_file **lock,
                                  struct faster_error *error) FASTER_MUST_CHECK;

extern const char *const fst_manifest_names[2];

#endif
