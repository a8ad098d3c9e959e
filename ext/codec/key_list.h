/* key_list.h - encoded keys, one behind the other. */
#ifndef FASTER_EXT_KEY_LIST_H
#define FASTER_EXT_KEY_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "codec/row_codec.h"

/* Keys to look up. All zeroes is a valid empty list. A key of no bytes is no row's: it keeps a
 * place whose value no key can equal. */
struct key_list {
    struct row_buffer bytes;
    struct key_place *places; /* private */
    size_t count;
    size_t capacity;
};

/* Key `index` of the list; valid until the list changes. */
struct faster_bytes key_list_at(const struct key_list *list, size_t index);

/* A key is appended to `bytes` between these two: the first makes room for its place and tells
 * where its bytes start, the second makes all bytes from there on one key. */
int key_list_begin(struct key_list *list, size_t *offset_bytes); /* SQLITE_OK, SQLITE_NOMEM */
void key_list_end(struct key_list *list, size_t offset_bytes);

/* Removes repeated keys; the others may change their order. */
void key_list_unique(struct key_list *list);

/* Forgets the keys and keeps the memory, if it is no more than `keep_bytes_max`. */
void key_list_clear(struct key_list *list, size_t keep_bytes_max);
void key_list_finish(struct key_list *list);

#endif
