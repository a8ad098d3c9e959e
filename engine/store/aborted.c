/* aborted.c - the ranges of the log that no reader may see (layer 4). */
#include "store/aborted.h"

#include <string.h>

struct range {
    fst_atomic_u64 start;
    fst_atomic_u64 end;
};

/* `count` grows with release after the range is filled; a full array is replaced by a
 * larger copy and freed once the epoch has drained. */
struct fst_aborted_array {
    const struct faster_env *env;
    uint64_t capacity;
    fst_atomic_u64 count;
    struct range ranges[];
};

static struct fst_aborted_array *present(const struct fst_aborted *aborted) {
    /* acquire: pairs with the release in publish() */
    return fst_load_acquire_ptr(&aborted->array);
}

static void release_array(void *context, uint64_t argument) {
    (void)argument;
    struct fst_aborted_array *array = context;
    array->env->release(array->env, array);
}

/* acq_rel: pairs with the acquire in present(); a reader that loads the pointer sees the array's
 * content. */
static void publish(struct fst_aborted *aborted, struct fst_aborted_array *array) {
    struct fst_aborted_array *old = fst_exchange_acq_rel_ptr(&aborted->array, array);
    while (old != NULL && !fst_epoch_bump(aborted->epoch, release_array, old, 0)) {
        fst_epoch_drain(aborted->epoch);
        aborted->env->yield(aborted->env);
    }
}

void fst_aborted_init(struct fst_aborted *aborted, const struct faster_env *env,
                      struct fst_epoch *epoch) {
    aborted->env = env;
    aborted->epoch = epoch;
    /* release, as always: pairs with fst_aborted_contains(); nobody else knows the store yet */
    fst_store_release_ptr(&aborted->array, NULL);
}

void fst_aborted_finish(struct fst_aborted *aborted) {
    if (aborted->env != NULL) {
        aborted->env->release(aborted->env, present(aborted));
        /* release, as always: pairs with fst_aborted_contains(); nobody else uses the store
         * any more */
        fst_store_release_ptr(&aborted->array, NULL);
    }
}

/* The index of the first range that ends above `raw`. */
static uint64_t first_ending_above(const struct fst_aborted_array *array, uint64_t count,
                                   uint64_t raw) {
    uint64_t low = 0;
    uint64_t high = count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (fst_load_relaxed_u64(&array->ranges[middle].end) > raw) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

bool fst_aborted_array_contains(const struct fst_aborted_array *array, fst_addr addr) {
    /* acquire: pairs with the release in fst_aborted_add() */
    uint64_t count = fst_load_acquire_u64(&array->count);
    uint64_t index = first_ending_above(array, count, addr.raw);
    return index < count && fst_load_relaxed_u64(&array->ranges[index].start) <= addr.raw;
}

static enum faster_status grow(struct fst_aborted *aborted, uint64_t capacity) {
    const struct faster_env *env = aborted->env;
    struct fst_aborted_array *old = present(aborted);
    struct fst_aborted_array *new_array =
        env->allocate(env, sizeof *new_array + (size_t)capacity * sizeof(struct range));
    if (new_array == NULL) {
        return FASTER_NOMEM;
    }
    uint64_t count = old == NULL ? 0 : fst_load_relaxed_u64(&old->count);
    new_array->env = env;
    new_array->capacity = capacity;
    fst_store_relaxed_u64(&new_array->count, count);
    for (uint64_t i = 0; i < count; i++) {
        fst_store_relaxed_u64(&new_array->ranges[i].start,
                              fst_load_relaxed_u64(&old->ranges[i].start));
        fst_store_relaxed_u64(&new_array->ranges[i].end, fst_load_relaxed_u64(&old->ranges[i].end));
    }
    publish(aborted, new_array);
    return FASTER_OK;
}

enum faster_status fst_aborted_reserve(struct fst_aborted *aborted, uint64_t count) {
    const struct fst_aborted_array *array = present(aborted);
    uint64_t used = array == NULL ? 0 : fst_load_relaxed_u64(&array->count);
    uint64_t capacity = array == NULL ? 0 : array->capacity;
    if (used + count <= capacity) {
        return FASTER_OK;
    }
    return grow(aborted, (used + count) * 2 + 14);
}

enum faster_status fst_aborted_add(struct fst_aborted *aborted, uint64_t start, uint64_t end) {
    enum faster_status status = fst_aborted_reserve(aborted, 1);
    if (status != FASTER_OK || start >= end) {
        return status;
    }
    struct fst_aborted_array *array = present(aborted);
    uint64_t count = fst_load_relaxed_u64(&array->count);
    while (count > 0 && fst_load_relaxed_u64(&array->ranges[count - 1].end) >= start) {
        uint64_t last_start = fst_load_relaxed_u64(&array->ranges[count - 1].start);
        start = last_start < start ? last_start : start;
        count--;
    }
    fst_store_relaxed_u64(&array->ranges[count].start, start);
    fst_store_relaxed_u64(&array->ranges[count].end, end);
    /* release: pairs with the acquire in fst_aborted_contains() */
    fst_store_release_u64(&array->count, count + 1);
    return FASTER_OK;
}

void fst_aborted_forget_from(struct fst_aborted *aborted, uint64_t start) {
    struct fst_aborted_array *array = present(aborted);
    if (array == NULL) {
        return;
    }
    uint64_t count = fst_load_relaxed_u64(&array->count);
    while (count > 0 && fst_load_relaxed_u64(&array->ranges[count - 1].start) >= start) {
        count--;
    }
    if (count > 0 && fst_load_relaxed_u64(&array->ranges[count - 1].end) > start) {
        fst_store_relaxed_u64(&array->ranges[count - 1].end, start);
    }
    /* release: pairs with the acquire in fst_aborted_contains() */
    fst_store_release_u64(&array->count, count);
}

void fst_aborted_trim(struct fst_aborted *aborted, uint64_t begin) {
    struct fst_aborted_array *old = present(aborted);
    uint64_t count = old == NULL ? 0 : fst_load_relaxed_u64(&old->count);
    uint64_t first = old == NULL ? 0 : first_ending_above(old, count, begin);
    if (first == 0) {
        return;
    }
    const struct faster_env *env = aborted->env;
    uint64_t kept = count - first;
    struct fst_aborted_array *array =
        env->allocate(env, sizeof *array + (size_t)(kept + 14) * sizeof(struct range));
    if (array == NULL) {
        return;
    }
    array->env = env;
    array->capacity = kept + 14;
    fst_store_relaxed_u64(&array->count, kept);
    for (uint64_t i = 0; i < kept; i++) {
        fst_store_relaxed_u64(&array->ranges[i].start,
                              fst_load_relaxed_u64(&old->ranges[first + i].start));
        fst_store_relaxed_u64(&array->ranges[i].end,
                              fst_load_relaxed_u64(&old->ranges[first + i].end));
    }
    publish(aborted, array);
}

size_t fst_aborted_copy(const struct fst_aborted *aborted, uint64_t from, uint64_t until,
                        void *ranges, size_t count_max) {
    const struct fst_aborted_array *array = present(aborted);
    /* acquire: pairs with the release in fst_aborted_add() */
    const uint64_t count = array == NULL ? 0 : fst_load_acquire_u64(&array->count);
    size_t copied = 0;
    for (uint64_t i = array == NULL ? 0 : first_ending_above(array, count, from);
         i < count && copied < count_max; i++) {
        const uint64_t start = fst_load_relaxed_u64(&array->ranges[i].start);
        const uint64_t end = fst_load_relaxed_u64(&array->ranges[i].end);
        if (start >= until) {
            break;
        }
        const struct fst_address_range range = {start, end < until ? end : until};
        memcpy((unsigned char *)ranges + copied++ * sizeof range, &range, sizeof range);
    }
    return copied;
}

uint64_t fst_aborted_count(const struct fst_aborted *aborted) {
    const struct fst_aborted_array *array = present(aborted);
    return array == NULL ? 0 : fst_load_relaxed_u64(&array->count);
}
