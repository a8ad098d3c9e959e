/* guard.c - the sequence count of a record, and word-wise copies under it (layer 1). */
#include "shapes/guard.h"

#define WORD_BYTES 8u

static fst_atomic_u32 *size_word(struct fst_record *record, bool large) {
    unsigned char *bytes = (unsigned char *)record;
    return large ? (fst_atomic_u32 *)(void *)(bytes + FST_RECORD_LARGE_VALUE_OFF) : &record->sizes;
}

void fst_guard_seal(struct fst_record *record) {
    uint64_t header = fst_load_relaxed_u64(&record->header);
    /* release: pairs with the acquire in fst_guard_try_take(), as the guard is given after it; the
     * header's address is read at any time */
    fst_store_release_u64(&record->header, header | FST_HEADER_SEALED);
}

static void set_size(struct fst_record *record, const struct fst_record_shape *shape,
                     uint32_t value_bytes) {
    struct fst_record_shape changed = *shape;
    changed.value_bytes = value_bytes;
    /* release: pairs with the acquire in fst_guard_value_bytes() */
    fst_store_release_u32(size_word(record, shape->large),
                          shape->large ? value_bytes : fst_record_small_sizes(&changed));
}

/* Bytes before the first whole word of [at, at + count). */
static size_t head_bytes(const unsigned char *at, size_t count) {
    size_t to_word = (WORD_BYTES - ((uintptr_t)at & (WORD_BYTES - 1))) & (WORD_BYTES - 1);
    return to_word < count ? to_word : count;
}

/* The last word may reach beyond `count`, but not beyond the value's capacity, as the record is
 * whole words. */
static void load_words(unsigned char *out, const unsigned char *from, size_t count) {
    size_t done = head_bytes(from, count);
    for (size_t i = 0; i < done; i++) {
        /* acquire, here and below: pairs with the release in store_words() */
        out[i] = fst_load_acquire_u8((const fst_atomic_u8 *)(from + i));
    }
    for (; done < count; done += WORD_BYTES) {
        uint64_t word = fst_load_acquire_u64((const fst_atomic_u64 *)(const void *)(from + done));
        memcpy(out + done, &word, WORD_BYTES);
    }
}

/* Stores `count` bytes of `from`, zeroes up to `whole` >= count and to the end of a word. */
static void store_words(unsigned char *to, const unsigned char *from, size_t count, size_t whole) {
    size_t done = head_bytes(to, whole);
    for (size_t i = 0; i < done; i++) {
        /* release: pairs with the acquire in load_words() */
        fst_store_release_u8((fst_atomic_u8 *)(to + i), i < count ? from[i] : 0);
    }
    for (; done + WORD_BYTES <= count; done += WORD_BYTES) {
        uint64_t word;
        memcpy(&word, from + done, WORD_BYTES);
        /* release, here and below: pairs with the acquire in load_words() */
        fst_store_release_u64((fst_atomic_u64 *)(void *)(to + done), word);
    }
    for (; done < whole; done += WORD_BYTES) {
        uint64_t word = 0;
        if (done < count) {
            memcpy(&word, from + done, count - done);
        }
        fst_store_release_u64((fst_atomic_u64 *)(void *)(to + done), word);
    }
}

bool fst_guard_copy_words(const struct fst_record *record, const struct fst_record_shape *shape,
                          void *out, uint32_t *value_bytes) {
    /* acquire: pairs with the release in fst_guard_give() */
    uint32_t before = fst_load_acquire_u32(&record->guard);
    if ((before & 1) != 0) {
        return false;
    }
    *value_bytes = fst_guard_value_bytes(record, shape->large);
    if (*value_bytes > shape->value_capacity_bytes) {
        return false;
    }
    load_words(out, (const unsigned char *)record + fst_record_value_offset(shape), *value_bytes);
    /* Stays behind the loads above: each of them is an acquire. */
    return fst_load_relaxed_u32(&record->guard) == before;
}

void fst_guard_write_words(struct fst_record *record, const struct fst_record_shape *shape,
                           const void *value, uint32_t value_bytes) {
    uint32_t old_bytes = fst_guard_value_bytes(record, shape->large);
    uint32_t whole_bytes = old_bytes > value_bytes ? old_bytes : value_bytes;
    if (value_bytes != old_bytes) {
        set_size(record, shape, value_bytes);
    }
    store_words((unsigned char *)record + fst_record_value_offset(shape), value, value_bytes,
                whole_bytes);
}
