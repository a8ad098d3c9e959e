#include "base/array.h"

#include <string.h>

enum faster_status fst_array_reserve(const struct faster_env *env, void **array, size_t count,
                                     size_t *capacity, size_t more, size_t size) {
    if (count + more <= *capacity) {
        return FASTER_OK;
    }
    size_t wanted = (count + more) * 2 + 6;
    void *grown = env->allocate(env, wanted * size);
    if (grown == NULL) {
        return FASTER_NOMEM;
    }
    if (count > 0) {
        memcpy(grown, *array, count * size);
    }
    env->release(env, *array);
    *array = grown;
    *capacity = wanted;
    return FASTER_OK;
}
