/* buffer.c - growable bytes owned by the caller (layer 0). */
#include <string.h>

#include "base/bytes.h"
#include "base/env.h"

#define CAPACITY_BYTES_MIN 64u

/* At least doubles, so that n appended bytes cost O(n) copies in all. */
static size_t grown_capacity(size_t old_bytes, size_t wanted_bytes) {
    size_t doubled;
    if (!fst_add_fits_size(old_bytes, old_bytes, &doubled)) {
        doubled = wanted_bytes;
    }
    return fst_max_size(fst_max_size(doubled, wanted_bytes), CAPACITY_BYTES_MIN);
}

/* Moves the buffer to new memory that starts with `size_bytes` of `data`, which may lie in
 * the old memory. On failure the buffer is unchanged. */
static enum faster_status move_to_larger(struct faster_buffer *buffer, size_t wanted_bytes,
                                         const void *data, size_t size_bytes) {
    if (buffer->env == NULL) {
        return FASTER_MISUSE;
    }
    size_t capacity_bytes = grown_capacity(buffer->capacity_bytes, wanted_bytes);
    void *memory = buffer->env->allocate(buffer->env, capacity_bytes);
    if (memory == NULL) {
        return FASTER_NOMEM;
    }
    if (size_bytes > 0) {
        memcpy(memory, data, size_bytes);
    }
    buffer->env->release(buffer->env, buffer->data);
    buffer->data = memory;
    buffer->capacity_bytes = capacity_bytes;
    return FASTER_OK;
}

enum faster_status faster_buffer_reserve(struct faster_buffer *buffer, size_t capacity_bytes) {
    if (buffer == NULL) {
        return FASTER_MISUSE;
    }
    if (capacity_bytes <= buffer->capacity_bytes) {
        return FASTER_OK;
    }
    return move_to_larger(buffer, capacity_bytes, buffer->data, buffer->size_bytes);
}

enum faster_status faster_buffer_assign(struct faster_buffer *buffer, const void *data,
                                        size_t size_bytes) {
    enum faster_status status = FASTER_OK;
    if (buffer == NULL || (data == NULL && size_bytes > 0)) {
        return FASTER_MISUSE;
    }
    if (size_bytes > buffer->capacity_bytes) {
        status = move_to_larger(buffer, size_bytes, data, size_bytes);
    } else if (size_bytes > 0) {
        memmove(buffer->data, data, size_bytes);
    }
    if (status == FASTER_OK) {
        buffer->size_bytes = size_bytes;
    }
    return status;
}

void faster_buffer_finish(struct faster_buffer *buffer) {
    if (buffer == NULL) {
        return;
    }
    if (buffer->data != NULL) {
        buffer->env->release(buffer->env, buffer->data);
    }
    buffer->data = NULL;
    buffer->size_bytes = 0;
    buffer->capacity_bytes = 0;
}
