/* env.h - the engine's only way to the operating system (layer 0).
 *
 * Every allocation, clock, random number, thread, lock, wait, file and name goes through
 * a struct faster_env, so that a test can own all of them, run everything on one thread
 * and replay a seed. The functions never fail silently, never abort, and retry EINTR and
 * short transfers themselves where noted.
 *
 * All functions take the environment first. Objects are opaque and heap-allocated by the
 * environment. A const struct faster_env is shared by all threads.
 */
#ifndef FST_BASE_ENV_H
#define FST_BASE_ENV_H

#include "faster.h"

struct fst_thread;
struct fst_mutex;
struct fst_condition;
struct fst_file;

enum fst_file_kind { FST_FILE_REGULAR = 1, FST_FILE_DIRECTORY = 2, FST_FILE_OTHER = 3 };

struct fst_file_info {
    enum fst_file_kind kind; /* links are not followed: a link is OTHER */
    uint64_t size_bytes;
    uint64_t device;
    uint64_t inode;
    uint32_t mode; /* permission bits */
    uint32_t user;
    uint32_t group;
    uint32_t link_count; /* names of the file, at least 1 */
};

/* Flags of file_open. */
#define FST_OPEN_READ 1u   /* reading only */
#define FST_OPEN_WRITE 2u  /* reading and writing */
#define FST_OPEN_CREATE 4u /* with WRITE: create if missing, mode `mode` */
#define FST_OPEN_NEW 8u    /* with CREATE: fail with EXISTS if it is there */
/* Past the system's cache: offsets, sizes and memory in whole blocks; INVALID where the file
 * system or the system cannot. */
#define FST_OPEN_DIRECT 16u

/* Called with each name in a directory except "." and ".."; false ends the listing. */
typedef bool fst_name_fn(void *context, const char *name);

struct faster_env {
    void *self; /* the implementation's own state, may be NULL */

    /* Memory. allocate() returns 16-byte aligned memory or NULL. map() returns zeroed,
     * page-aligned memory that costs nothing until touched; large blocks only. */
    void *(*allocate)(const struct faster_env *env, size_t bytes);
    void (*release)(const struct faster_env *env, void *memory);
    void *(*map)(const struct faster_env *env, size_t bytes);
    void (*unmap)(const struct faster_env *env, void *memory, size_t bytes);
    /* Asks the system to back mapped memory with huge pages; those that reach over its ends
     * are left out. Returns for how many bytes the system took the advice, maybe 0. */
    size_t (*advise_huge)(const struct faster_env *env, void *memory, size_t bytes);

    /* The heavy half of an asymmetric fence (fst_store_light_u64() is the other one): each thread
     * of the process passes a full memory fence at some point between this call's begin and its
     * end; so does the caller, at both. False: nothing was done. Where the system has no such call
     * that is the answer from the first time on; where it has, it may lack memory for a moment, but
     * it must go on being there: no sandbox may take it away from a process that has a store open.
     */
    bool (*fence_threads)(const struct faster_env *env);

    /* Time and chance. */
    uint64_t (*monotonic_ns)(const struct faster_env *env);
    uint64_t (*wall_clock_ns)(const struct faster_env *env); /* since 1970, UTC */
    void (*sleep_ns)(const struct faster_env *env, uint64_t duration_ns);
    void (*yield)(const struct faster_env *env);
    enum faster_status (*random)(const struct faster_env *env, void *bytes, size_t count);
    uint64_t (*process_id)(const struct faster_env *env);

    /* Threads and locks. Locks are not recursive. condition_wait with timeout_ns
     * UINT64_MAX waits for ever; it returns false on timeout; spurious wakes happen. */
    enum faster_status (*thread_start)(const struct faster_env *env, void (*run)(void *),
                                       void *argument, struct fst_thread **thread);
    void (*thread_join)(const struct faster_env *env, struct fst_thread *thread);
    enum faster_status (*mutex_create)(const struct faster_env *env, struct fst_mutex **mutex);
    void (*mutex_destroy)(const struct faster_env *env, struct fst_mutex *mutex);
    void (*mutex_lock)(const struct faster_env *env, struct fst_mutex *mutex);
    bool (*mutex_try_lock)(const struct faster_env *env, struct fst_mutex *mutex);
    void (*mutex_unlock)(const struct faster_env *env, struct fst_mutex *mutex);
    enum faster_status (*condition_create)(const struct faster_env *env,
                                           struct fst_condition **condition);
    void (*condition_destroy)(const struct faster_env *env, struct fst_condition *condition);
    bool (*condition_wait)(const struct faster_env *env, struct fst_condition *condition,
                           struct fst_mutex *mutex, uint64_t timeout_ns);
    void (*condition_signal)(const struct faster_env *env, struct fst_condition *condition);
    void (*condition_broadcast)(const struct faster_env *env, struct fst_condition *condition);

    /* Files. file_open: OK, MISSING, EXISTS, FULL, READ_ONLY (permission or file system),
     * FOREIGN (a link, or not a regular file: links are never followed), INVALID (DIRECT is not
     * to be had), NOMEM, IO.
     * Descriptors are close-on-exec. Reads and writes continue short transfers;
     * *count_done is the total and less than asked only at end of file (reads). Writes:
     * OK, FULL (no space, quota, or file size limit), IO. sync makes data and the size
     * durable. lock takes an exclusive lock that lives with this open file (not POSIX
     * record locks): OK or BUSY, never waits. */
    enum faster_status (*file_open)(const struct faster_env *env, const char *path, unsigned flags,
                                    uint32_t mode, struct fst_file **file);
    void (*file_close)(const struct faster_env *env, struct fst_file *file);
    enum faster_status (*file_read)(const struct faster_env *env, struct fst_file *file,
                                    uint64_t offset, void *bytes, size_t count, size_t *count_done);
    enum faster_status (*file_write)(const struct faster_env *env, struct fst_file *file,
                                     uint64_t offset, const void *bytes, size_t count);
    enum faster_status (*file_sync)(const struct faster_env *env, struct fst_file *file);
    enum faster_status (*file_truncate)(const struct faster_env *env, struct fst_file *file,
                                        uint64_t size_bytes);
    enum faster_status (*file_size)(const struct faster_env *env, struct fst_file *file,
                                    uint64_t *size_bytes);
    enum faster_status (*file_lock)(const struct faster_env *env, struct fst_file *file);
    /* Gives the file this mode and, where permitted, this owner. Best effort: OK or IO. */
    enum faster_status (*file_own)(const struct faster_env *env, struct fst_file *file,
                                   uint32_t mode, uint32_t user, uint32_t group);

    /* The system's descriptor of an open file, for a device that hands it to the kernel itself;
     * it stays the file's. -1 where there is none, or where nobody may go around this table. */
    int (*file_descriptor)(const struct faster_env *env, const struct fst_file *file);

    /* Names. OK, MISSING, EXISTS, READ_ONLY, FULL, IO. */
    enum faster_status (*path_info)(const struct faster_env *env, const char *path,
                                    struct fst_file_info *info);
    enum faster_status (*path_info_follow)(const struct faster_env *env, const char *path,
                                           struct fst_file_info *info); /* follows links */
    enum faster_status (*directory_create)(const struct faster_env *env, const char *path,
                                           uint32_t mode);
    enum faster_status (*directory_own)(const struct faster_env *env, const char *path,
                                        uint32_t mode, uint32_t user, uint32_t group);
    enum faster_status (*directory_remove)(const struct faster_env *env, const char *path);
    /* FULL (no descriptor) and NOMEM: it could not be opened, no sync was tried, and another call
     * may do. Any other failure leaves unknown what is durable. */
    enum faster_status (*directory_sync)(const struct faster_env *env, const char *path);
    enum faster_status (*directory_list)(const struct faster_env *env, const char *path,
                                         fst_name_fn *each, void *context);
    enum faster_status (*path_rename)(const struct faster_env *env, const char *from,
                                      const char *to);
    enum faster_status (*path_remove)(const struct faster_env *env, const char *path);

    /* Sharing, for copies. Either may be NULL, and INVALID says that it cannot be done here: the
     * caller copies the bytes. clone gives the empty file `to` the bytes of `from` without copying
     * them; what is written to one later does not show in the other. link gives a file one name
     * more. OK, INVALID, and what other files and names give. */
    enum faster_status (*file_clone)(const struct faster_env *env, struct fst_file *from,
                                     struct fst_file *to);
    enum faster_status (*path_link)(const struct faster_env *env, const char *from, const char *to);
};

#endif
