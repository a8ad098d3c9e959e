/* env_posix.h - the parts of the POSIX environment, for its own files, tests, and the device
 * that hands descriptors to the kernel (layer 0).
 *
 *     env_posix.c         the table, memory, time, chance
 *     env_posix_thread.c  threads, mutexes, condition variables, fences
 *     env_posix_file.c    open files
 *     env_posix_path.c    names and directories
 */
#ifndef FST_BASE_ENV_POSIX_H
#define FST_BASE_ENV_POSIX_H

#include <sys/types.h>

#include "base/env.h"

/* What the number of a failed system call means to the engine. The only such mapping;
 * callers handle what is special to one call (a locked file, say) before they ask. */
enum faster_status fst_posix_status(int error_number);

/* Mode and owner of an open file or directory; see file_own in env.h. */
enum faster_status fst_posix_own(int descriptor, uint32_t mode, uint32_t user, uint32_t group);

enum faster_status fst_posix_thread_start(const struct faster_env *env, void (*run)(void *),
                                          void *argument, struct fst_thread **thread);
void fst_posix_thread_join(const struct faster_env *env, struct fst_thread *thread);
enum faster_status fst_posix_mutex_create(const struct faster_env *env, struct fst_mutex **mutex);
void fst_posix_mutex_destroy(const struct faster_env *env, struct fst_mutex *mutex);
void fst_posix_mutex_lock(const struct faster_env *env, struct fst_mutex *mutex);
bool fst_posix_mutex_try_lock(const struct faster_env *env, struct fst_mutex *mutex);
void fst_posix_mutex_unlock(const struct faster_env *env, struct fst_mutex *mutex);
enum faster_status fst_posix_condition_create(const struct faster_env *env,
                                              struct fst_condition **condition);
void fst_posix_condition_destroy(const struct faster_env *env, struct fst_condition *condition);
bool fst_posix_condition_wait(const struct faster_env *env, struct fst_condition *condition,
                              struct fst_mutex *mutex, uint64_t timeout_ns);
void fst_posix_condition_signal(const struct faster_env *env, struct fst_condition *condition);
void fst_posix_condition_broadcast(const struct faster_env *env, struct fst_condition *condition);

bool fst_posix_fence_threads(const struct faster_env *env);

enum faster_status fst_posix_file_open(const struct faster_env *env, const char *path,
                                       unsigned flags, uint32_t mode, struct fst_file **file);
void fst_posix_file_close(const struct faster_env *env, struct fst_file *file);
enum faster_status fst_posix_file_read(const struct faster_env *env, struct fst_file *file,
                                       uint64_t offset, void *bytes, size_t count,
                                       size_t *count_done);
enum faster_status fst_posix_file_write(const struct faster_env *env, struct fst_file *file,
                                        uint64_t offset, const void *bytes, size_t count);
enum faster_status fst_posix_file_sync(const struct faster_env *env, struct fst_file *file);
enum faster_status fst_posix_file_truncate(const struct faster_env *env, struct fst_file *file,
                                           uint64_t size_bytes);
enum faster_status fst_posix_file_size(const struct faster_env *env, struct fst_file *file,
                                       uint64_t *size_bytes);
enum faster_status fst_posix_file_lock(const struct faster_env *env, struct fst_file *file);
enum faster_status fst_posix_file_own(const struct faster_env *env, struct fst_file *file,
                                      uint32_t mode, uint32_t user, uint32_t group);

enum faster_status fst_posix_file_clone(const struct faster_env *env, struct fst_file *from,
                                        struct fst_file *to);

int fst_posix_file_descriptor(const struct faster_env *env, const struct fst_file *file);

enum faster_status fst_posix_path_info(const struct faster_env *env, const char *path,
                                       struct fst_file_info *info);
enum faster_status fst_posix_path_info_follow(const struct faster_env *env, const char *path,
                                              struct fst_file_info *info);
enum faster_status fst_posix_directory_create(const struct faster_env *env, const char *path,
                                              uint32_t mode);
enum faster_status fst_posix_directory_own(const struct faster_env *env, const char *path,
                                           uint32_t mode, uint32_t user, uint32_t group);
enum faster_status fst_posix_directory_remove(const struct faster_env *env, const char *path);
enum faster_status fst_posix_directory_sync(const struct faster_env *env, const char *path);
enum faster_status fst_posix_directory_list(const struct faster_env *env, const char *path,
                                            fst_name_fn *each, void *context);
enum faster_status fst_posix_path_rename(const struct faster_env *env, const char *from,
                                         const char *to);
enum faster_status fst_posix_path_remove(const struct faster_env *env, const char *path);
enum faster_status fst_posix_path_link(const struct faster_env *env, const char *from,
                                       const char *to);

#endif
