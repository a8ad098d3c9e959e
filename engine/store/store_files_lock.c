/* store_files_lock.c - one process at a time has a store open (layer 4).
 *
 * The lock belongs to the open file, so it ends with the process however that ends. The
 * process id in the file is only for the message to the one who waits.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "store/store_files_internal.h"

#define POLL_NS UINT64_C(5000000)
#define PID_TEXT_BYTES 24

/* The process id that the file's text starts with, 0 if none. */
static uint64_t read_owner(const struct faster_env *env, struct fst_file *file) {
    char text[PID_TEXT_BYTES];
    size_t count = 0;
    uint64_t pid = 0;

    if (env->file_read(env, file, 0, text, sizeof text, &count) != FASTER_OK) {
        return 0;
    }
    for (size_t i = 0; i < count && text[i] >= '0' && text[i] <= '9' && pid < UINT32_MAX; i++) {
        pid = pid * 10 + (uint64_t)(text[i] - '0');
    }
    return pid;
}

/* Best effort: a full disk is no reason to refuse. */
static void write_owner(const struct faster_env *env, struct fst_file *file) {
    char text[PID_TEXT_BYTES];
    const int count = snprintf(text, sizeof text, "%" PRIu64 "\n", env->process_id(env));

    if (count > 0 && env->file_write(env, file, 0, text, (size_t)count) == FASTER_OK) {
        (void)env->file_truncate(env, file, (uint64_t)count);
    }
}

static enum faster_status busy(const struct fst_lock_request *request, struct fst_file *file,
                               struct faster_error *error) {
    const uint64_t pid = read_owner(request->env, file);

    if (pid == 0) {
        return fst_error_set(error, FASTER_BUSY, "store %s is in use by another process",
                             request->directory);
    }
    return fst_error_set(error, FASTER_BUSY, "store %s is in use by process %" PRIu64 "%s",
                         request->directory, pid,
                         pid == request->env->process_id(request->env) ? " (this one)" : "");
}

static enum faster_status wait_for_lock(const struct fst_lock_request *request,
                                        struct fst_file *file, struct faster_error *error) {
    const struct faster_env *env = request->env;
    const uint64_t start_ns = env->monotonic_ns(env);

    for (;;) {
        const enum faster_status status = env->file_lock(env, file);
        uint64_t waited_ns;

        if (status != FASTER_BUSY) {
            return status == FASTER_OK
                       ? status
                       : fst_error_set(error, status, "cannot lock store %s", request->directory);
        }
        waited_ns = env->monotonic_ns(env) - start_ns;
        if (waited_ns >= request->wait_ns) {
            return busy(request, file, error);
        }
        if (request->interrupt != NULL && request->interrupt(request->interrupt_context)) {
            return fst_error_set(error, FASTER_INTERRUPTED,
                                 "interrupted while waiting for the lock of store %s",
                                 request->directory);
        }
        env->sleep_ns(env, fst_min_u64(POLL_NS, request->wait_ns - waited_ns));
    }
}

static enum faster_status open_lock(const struct fst_lock_request *request, struct fst_file **file,
                                    struct faster_error *error) {
    const unsigned flags = request->read_only ? FST_OPEN_READ : FST_OPEN_WRITE | FST_OPEN_CREATE;
    char path[FST_PATH_BYTES_MAX];
    enum faster_status status = fst_path_join(path, sizeof path, request->directory, FST_NAME_LOCK);

    if (status == FASTER_OK) {
        status = request->env->file_open(request->env, path, flags, request->owner.mode, file);
    }
    if (status == FASTER_FOREIGN) {
        return fst_error_set(error, status, "%s is a link or no regular file; it must be a file",
                             path);
    }
    if (status != FASTER_OK) {
        return fst_error_set(error, status, "cannot open %s/%s, the store's lock",
                             request->directory, FST_NAME_LOCK);
    }
    return FASTER_OK;
}

enum faster_status fst_store_lock(const struct fst_lock_request *request, struct fst_file **lock,
                                  struct faster_error *error) {
    const struct faster_env *env = request->env;
    struct fst_file *file;
    enum faster_status status = open_lock(request, &file, error);

    if (status != FASTER_OK) {
        return status;
    }
    status = wait_for_lock(request, file, error);
    if (status != FASTER_OK) {
        env->file_close(env, file);
        return status;
    }
    if (!request->read_only) {
        write_owner(env, file);
    }
    *lock = file;
    return FASTER_OK;
}
