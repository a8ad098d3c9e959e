/* path.h - paths made of a directory and a name (layer 0).
 *
 * Only plain names are joined, so nothing the engine makes a path from can lead out of its
 * directory, whatever a hostile file says.
 */
#ifndef FST_BASE_PATH_H
#define FST_BASE_PATH_H

#include "base/env.h"

/* Room for any path the engine uses, with its terminating zero. */
#define FST_PATH_BYTES_MAX 4096u

/* True unless `name` is empty, "." or "..", or contains a slash. */
bool fst_path_is_plain_name(const char *name);

/* Writes "directory/name". OK, or INVALID if `directory` is empty, `name` is not plain, or
 * the path does not fit; `path` is then the empty string. */
enum faster_status fst_path_join(char *path, size_t path_bytes, const char *directory,
                                 const char *name) FASTER_MUST_CHECK;

/* Writes the directory that holds the last component of `path`: "/a/b" -> "/a", "a" -> ".",
 * "/" -> "/". Slashes at the end and doubled ones count for nothing; ".." is a name like
 * any other. OK, or INVALID if `path` is empty or the result does not fit. */
enum faster_status fst_path_parent(char *parent, size_t parent_bytes,
                                   const char *path) FASTER_MUST_CHECK;

#endif
