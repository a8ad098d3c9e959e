/* arena_store.h - a small store in the arena, for simulations of a whole engine. */
#ifndef FST_TESTS_SUPPORT_ARENA_STORE_H
#define FST_TESTS_SUPPORT_ARENA_STORE_H

#include "arena_env.h"
#include "faster.h"

/* Empties the arena, and opens the store in it; aborts if it cannot. */
static inline struct faster_store *arena_open_store(enum faster_writes writes) {
    const struct faster_options options = {.env = &arena_env,
                                           .writes = writes,
                                           .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                           .page_bytes = FASTER_PAGE_BYTES_MIN,
                                           .segment_bytes = 64 << 10};
    struct faster_store *store = NULL;
    memset(&arena, 0, sizeof arena);
    if (faster_store_open(&options, &store, NULL) != FASTER_OK) {
        abort();
    }
    return store;
}

#endif
