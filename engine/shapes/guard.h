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
bool fst_guard_try_take(struct fst_record *record) FASTER_MUST_CHECK;

/* Gives it back. `changed` says whether sizes or value were written. */
void fst_guard_give(struct fst_record *record, bool changed);

/* The present size of the value. Anyone, inside the epoch. */
uint32_t fst_guard_value_bytes(const struct fst_record *record, bool large);

/* Copies the value to `out`, which has room for shape->value_capacity_bytes. False if it was
 * changing. */
bool fst_guard_copy(const struct fst_record *record, const struct fst_record_shape *shape,
                    void *out, uint32_t *value_bytes) FASTER_MUST_CHECK;

/* REQUIRES the guard, value_bytes <= shape->value_capacity_bytes. Sets value and size, and
 * zeroes what remains of a longer one. */
void fst_guard_write(struct fst_record *record, const struct fst_record_shape *shape,
                     const void *value, uint32_t value_bytes);

/* REQUIRES the guard. Marks the record as copied: nobody changes it in place any more. */
void fst_guard_seal(struct fst_record *record);

#endif
