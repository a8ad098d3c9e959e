/* guard.h - values that change in place while others read them (layer 1).
 *
 * A record's guard is a sequence count: odd while a holder may be changing the value, even
 * otherwise. Writers exclude each other by taking it; readers never write: they copy, and
 * throw the copy away if the guard was odd or has moved meanwhile.
 *
 * WHY A COPY WITH AN UNMOVED GUARD IS WHOLE. The holder makes the guard odd (compare-and-swap,
 * acquire-release) before it changes sizes and value, every word with release, and makes it
 * even with release. The reader loads the guard, then each word with acquire, then the guard
 * again. Had it read one word of a change, its acquire would pair with that word's release, so
 * its second load of the guard would see the odd count or a later one. Had it missed a change
 * that was complete before its first load, that load's acquire would have shown it. So if both
 * loads give the same even count, all words belong to that count. (The count wraps after 2^31
 * changes of one record inside one copy.)
 *
 * The value's bytes are changed word by word, of which the first may share its 8 bytes with
 * the key's end: those bytes are stored one by one, so that the key is never written.
 * Bytes that can no longer change (below the log's safe read-only address, or sealed) may be
 * read as plain memory: whoever knows that they are final has an order after the last change.
 */
#ifndef FST_SHAPES_GUARD_H
#define FST_SHAPES_GUARD_H

#include "faster.h"
#include "shapes/record.h"

/* Takes the guard. False if somebody holds it: the caller comes again later, outside the
 * epoch. The holder does not wait for anything. */
static inline bool fst_guard_try_take(struct fst_record *record) {
    uint32_t count = fst_load_relaxed_u32(&record->guard);
    /* acquire: pairs with the release in fst_guard_give() */
    return (count & 1) == 0 && fst_cas_acq_rel_u32(&record->guard, &count, count + 1);
}

/* Gives it back. `changed` says whether sizes or value were written. */
static inline void fst_guard_give(struct fst_record *record, bool changed) {
    uint32_t count = fst_load_relaxed_u32(&record->guard);
    /* release: pairs with the acquire in fst_guard_try_take() and fst_guard_copy() */
    fst_store_release_u32(&record->guard, changed ? count + 1 : count - 1);
}

/* The present size of the value. Anyone, inside the epoch. */
static inline uint32_t fst_guard_value_bytes(const struct fst_record *record, bool large) {
    if (large) {
        const unsigned char *bytes = (const unsigned char *)record;
        /* acquire: pairs with the release in set_size() */
        return fst_load_acquire_u32(
            (const fst_atomic_u32 *)(const void *)(bytes + FST_RECORD_LARGE_VALUE_OFF));
    }
    /* acquire: pairs with the release in set_size() */
    return fst_record_small_value_bytes(fst_load_acquire_u32(&record->sizes));
}

/* True if the value's capacity is one whole word of the record (counters, mostly). */
static inline bool fst_guard_is_one_word(const struct fst_record_shape *shape) {
    return shape->value_capacity_bytes == sizeof(uint64_t) &&
           fst_record_value_offset(shape) % sizeof(uint64_t) == 0;
}

/* What fst_guard_copy() and fst_guard_write() do for other values. */
bool fst_guard_copy_words(const struct fst_record *record, const struct fst_record_shape *shape,
                          void *out, uint32_t *value_bytes) FASTER_MUST_CHECK;
void fst_guard_write_words(struct fst_record *record, const struct fst_record_shape *shape,
                           const void *value, uint32_t value_bytes);

/* Copies the value to `out`, which has room for shape->value_capacity_bytes, all of which may be
 * written. False if it was changing. */
FASTER_MUST_CHECK
static inline bool fst_guard_copy(const struct fst_record *record,
                                  const struct fst_record_shape *shape, void *out,
                                  uint32_t *value_bytes) {
    const void *only = (const unsigned char *)record + fst_record_value_offset(shape);
    if (!fst_guard_is_one_word(shape)) {
        return fst_guard_copy_words(record, shape, out, value_bytes);
    }
    /* acquire: pairs with the release in fst_guard_give() */
    const uint32_t before = fst_load_acquire_u32(&record->guard);
    *value_bytes = fst_guard_value_bytes(record, shape->large);
    /* acquire: pairs with the release in fst_guard_write() and in store_words() */
    const uint64_t word = fst_load_acquire_u64((const fst_atomic_u64 *)only);
    memcpy(out, &word, sizeof word);
    /* Stays behind the loads above: each of them is an acquire. */
    return (before & 1) == 0 && *value_bytes <= sizeof word &&
           fst_load_relaxed_u32(&record->guard) == before;
}

/* REQUIRES the guard, value_bytes <= shape->value_capacity_bytes. Sets value and size, and
 * zeroes what remains of a longer one. */
static inline void fst_guard_write(struct fst_record *record, const struct fst_record_shape *shape,
                                   const void *value, uint32_t value_bytes) {
    void *only = (unsigned char *)record + fst_record_value_offset(shape);
    if (!fst_guard_is_one_word(shape) || value_bytes != sizeof(uint64_t) ||
        fst_guard_value_bytes(record, shape->large) != sizeof(uint64_t)) {
        fst_guard_write_words(record, shape, value, value_bytes);
        return;
    }
    uint64_t word;
    memcpy(&word, value, sizeof word);
    /* release: pairs with the acquire in fst_guard_copy() */
    fst_store_release_u64((fst_atomic_u64 *)only, word);
}

/* REQUIRES the guard. Marks the record as copied: nobody changes it in place any more. */
void fst_guard_seal(struct fst_record *record);

#endif
