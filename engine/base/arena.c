/* arena.c - memory that is handed out in pieces and taken back at once (layer 0).
 *
 * Pieces come from the front of the newest block. A block is as large as all before it
 * together, so that there are few; faster_arena_clear() leaves one that holds what all of them
 * held, so that the next round like the last allocates nothing.
 */
#include "base/bytes.h"
#include "base/env.h"

#define BLOCK_BYTES_MIN 4096u
#define ALIGN_BYTES 16u

struct block {
    struct block *older;
    size_t size_bytes; /* behind this header */
};
#define HEADER_BYTES fst_align_up_u64(sizeof(struct block), ALIGN_BYTES)

struct faster_arena {
    struct faster_env env; /* of the buffers: allocate and release, self is the arena */
    const struct faster_env *source;
    size_t limit_bytes;
    struct block *newest;
    size_t held_bytes; /* in all blocks */
    size_t used_bytes; /* of the newest block */
    bool is_full;
};

static bool is_unused(const struct faster_arena *arena) {
    return arena->newest == NULL || (arena->newest->older == NULL && arena->used_bytes == 0);
}

static size_t room_bytes(const struct faster_arena *arena) {
    return arena->newest == NULL ? 0 : arena->newest->size_bytes - arena->used_bytes;
}

static bool add_block(struct faster_arena *arena, size_t size_bytes) {
    size_t whole_bytes;
    if (!fst_add_fits_size(size_bytes, HEADER_BYTES, &whole_bytes)) {
        return false;
    }
    struct block *block = arena->source->allocate(arena->source, whole_bytes);
    if (block == NULL) {
        return false;
    }
    *block = (struct block){.older = arena->newest, .size_bytes = size_bytes};
    arena->newest = block;
    arena->held_bytes += size_bytes;
    arena->used_bytes = 0;
    return true;
}

static void release_blocks(struct faster_arena *arena) {
    while (arena->newest != NULL) {
        struct block *block = arena->newest;
        arena->newest = block->older;
        arena->source->release(arena->source, block);
    }
    arena->held_bytes = 0;
    arena->used_bytes = 0;
}

/* Makes room for a piece. The first is never refused: what it is for could not be done at all. */
static bool make_room(struct faster_arena *arena, size_t bytes) {
    if (bytes <= room_bytes(arena)) {
        return true;
    }
    if (is_unused(arena)) {
        release_blocks(arena);
        return add_block(arena,
                         fst_max_size(bytes, fst_min_size(BLOCK_BYTES_MIN, arena->limit_bytes)));
    }
    if (arena->held_bytes >= arena->limit_bytes || bytes > arena->limit_bytes - arena->held_bytes) {
        arena->is_full = true;
        return false;
    }
    size_t left_bytes = arena->limit_bytes - arena->held_bytes;
    return add_block(arena, fst_min_size(left_bytes, fst_max_size(bytes, arena->held_bytes)));
}

static void *arena_allocate(const struct faster_env *env, size_t bytes) {
    struct faster_arena *arena = env->self;
    size_t padded_bytes;
    if (!fst_add_fits_size(bytes, ALIGN_BYTES - 1, &padded_bytes)) {
        return NULL;
    }
    padded_bytes &= ~(size_t)(ALIGN_BYTES - 1);
    if (!make_room(arena, padded_bytes)) {
        return NULL;
    }
    unsigned char *piece = (unsigned char *)arena->newest + HEADER_BYTES + arena->used_bytes;
    arena->used_bytes += padded_bytes;
    return piece;
}

static void arena_release(const struct faster_env *env, void *memory) {
    (void)env;
    (void)memory;
}

struct faster_arena *faster_arena_create(const struct faster_env *env, size_t limit_bytes) {
    struct faster_arena *arena = env->allocate(env, sizeof *arena);
    if (arena != NULL) {
        *arena = (struct faster_arena){
            .env = {.self = arena, .allocate = arena_allocate, .release = arena_release},
            .source = env,
            .limit_bytes = limit_bytes};
    }
    return arena;
}

const struct faster_env *faster_arena_env(const struct faster_arena *arena) {
    return &arena->env;
}

bool faster_arena_is_full(const struct faster_arena *arena) {
    return arena->is_full;
}

void faster_arena_clear(struct faster_arena *arena, size_t keep_bytes_max) {
    size_t wanted_bytes = arena->held_bytes;
    arena->is_full = false;
    arena->used_bytes = 0;
    if (wanted_bytes > keep_bytes_max || wanted_bytes > arena->limit_bytes) {
        release_blocks(arena);
    } else if (arena->newest != NULL && arena->newest->older != NULL) {
        release_blocks(arena);
        (void)add_block(arena, wanted_bytes); /* if it fails, the next piece asks again */
    }
}

void faster_arena_destroy(struct faster_arena *arena) {
    if (arena != NULL) {
        release_blocks(arena);
        arena->source->release(arena->source, arena);
    }
}
