/* file_copy.h - a file's bytes under another name (layer 0). */
#ifndef FST_BASE_FILE_COPY_H
#define FST_BASE_FILE_COPY_H

#include "base/env.h"

struct fst_file_copy {
    const struct faster_env *env;
    const char *from;
    const char *to;     /* does not exist */
    uint64_t bytes_max; /* of the copy; what lies beyond in `from` is left out */
    bool can_clone;     /* to be tried; false from the first time on that the system cannot */
    bool may_link; /* if not: `to` becomes another name of the file; with bytes_max UINT64_MAX */
    uint32_t mode; /* and owner of the copy, as env's file_own() gives them */
    uint32_t user;
    uint32_t group;
    faster_interrupt_fn *interrupt; /* asked for each quarter of a megabyte; may be NULL */
    void *interrupt_context;
    uint64_t shared_bytes; /* out, both: raised. Cloned or linked */
    uint64_t copied_bytes;
};

/* Clones, or else links, or else copies. The copy is synced, its name is not; on failure it is not
 * there. A file that ends early ends early in the copy, too. OK, MISSING, EXISTS, FOREIGN (a link,
 * or no regular file), INTERRUPTED, FULL, READ_ONLY, NOMEM, IO. */
enum faster_status fst_file_copy(struct fst_file_copy *copy) FASTER_MUST_CHECK;

#endif
