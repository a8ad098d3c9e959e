/* sim_env_map.c - mapped memory that is used again.
 *
 * A case opens a store or two, and most of what that costs is the system's: mapping a megabyte,
 * its page faults, and the unmapping. So what is unmapped is kept, cleared, for the next map() of
 * the same size. Where a sanitizer looks for uses after the end, nothing is kept.
 */
#include <string.h>

#include "sim_env.h"

#if defined(__SANITIZE_ADDRESS__)
#define KEEPS_NOTHING 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEPS_NOTHING 1
#endif
#endif
#ifdef KEEPS_NOTHING
#define KEPT_BYTES_MAX 0u
#else
#define KEPT_BYTES_MAX (4u << 20) /* of one */
#endif
#define KEPT_MAX 64u

/* The product's own, which sim_world.c stands in front of. */
const struct faster_env *__real_faster_env_posix(void);

static struct kept {
    void *memory;
    size_t bytes;
} kept[KEPT_MAX];
static size_t kept_count;

static void *map(const struct faster_env *env, size_t bytes) {
    (void)env;
    for (size_t i = kept_count; i-- > 0;) {
        if (kept[i].bytes == bytes) {
            void *memory = kept[i].memory;
            kept[i] = kept[--kept_count];
            return memset(memory, 0, bytes);
        }
    }
    return __real_faster_env_posix()->map(__real_faster_env_posix(), bytes);
}

static void unmap(const struct faster_env *env, void *memory, size_t bytes) {
    (void)env;
    if (memory != NULL && kept_count < KEPT_MAX && bytes <= KEPT_BYTES_MAX) {
        kept[kept_count++] = (struct kept){memory, bytes};
    } else {
        __real_faster_env_posix()->unmap(__real_faster_env_posix(), memory, bytes);
    }
}

static size_t advise_huge(const struct faster_env *env, void *memory, size_t bytes) {
    (void)env;
    (void)memory;
    (void)bytes;
    return 0;
}

void sim_env_fill_map(struct faster_env *env) {
    env->map = map;
    env->unmap = unmap;
    env->advise_huge = advise_huge;
}
