/* array.h - growable arrays (layer 0). */
#ifndef FST_BASE_ARRAY_H
#define FST_BASE_ARRAY_H

#include "base/env.h"

/* Makes room for `more` elements of `size` bytes behind the `count` that *array holds; it may
 * move, and is the caller's to release(). OK, or NOMEM, which changes nothing. */
enum faster_status fst_array_reserve(const struct faster_env *env, void **array, size_t count,
                                     size_t *capacity, size_t more, size_t size) FASTER_MUST_CHECK;

#endif
