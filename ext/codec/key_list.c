/* key_list.c - see key_list.h. */
#include "codec/key_list.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 4u

/* A row_buffer holds less than 2^31 bytes. */
struct key_place {
    uint32_t offset_bytes;
    uint32_t size_bytes;
};

struct faster_bytes key_list_at(const struct key_list *list, size_t index) {
    const struct key_place *place = &list->places[index];
    return (struct faster_bytes){.data = list->bytes.data + place->offset_bytes,
                                 .size_bytes = place->size_bytes};
}

int key_list_begin(struct key_list *list, size_t *offset_bytes) {
    *offset_bytes = list->bytes.size_bytes;
    if (list->count < list->capacity) {
        return SQLITE_OK;
    }
    size_t capacity = list->capacity == 0 ? CAPACITY_MIN : 2 * list->capacity;
    struct key_place *places = sqlite3_realloc64(list->places, capacity * sizeof *places);
    if (places == NULL) {
        return SQLITE_NOMEM;
    }
    list->places = places;
    list->capacity = capacity;
    return SQLITE_OK;
}

void key_list_end(struct key_list *list, size_t offset_bytes) {
    list->places[list->count++] =
        (struct key_place){.offset_bytes = (uint32_t)offset_bytes,
                           .size_bytes = (uint32_t)(list->bytes.size_bytes - offset_bytes)};
}

/* The order in which SQLite hands over an IN where the keys are text or numbers from 0 on:
 * such a list needs no sorting. */
static int compare_places(const void *a, const void *b, void *bytes) {
    const struct key_place *left = a;
    const struct key_place *right = b;
    const unsigned char *data = bytes;
    size_t size = left->size_bytes < right->size_bytes ? left->size_bytes : right->size_bytes;
    int order = memcmp(data + left->offset_bytes, data + right->offset_bytes, size);
    if (order == 0 && left->size_bytes != right->size_bytes) {
        return left->size_bytes < right->size_bytes ? -1 : 1;
    }
    return order;
}

static bool is_ascending(const struct key_list *list) {
    for (size_t i = 1; i < list->count; i++) {
        if (compare_places(&list->places[i - 1], &list->places[i], list->bytes.data) >= 0) {
            return false;
        }
    }
    return true;
}

void key_list_unique(struct key_list *list) {
    if (is_ascending(list)) {
        return;
    }
    qsort_r(list->places, list->count, sizeof *list->places, compare_places, list->bytes.data);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++) {
        if (compare_places(&list->places[kept - 1], &list->places[i], list->bytes.data) != 0) {
            list->places[kept++] = list->places[i];
        }
    }
    list->count = kept;
}

void key_list_clear(struct key_list *list, size_t keep_bytes_max) {
    if (list->bytes.capacity_bytes + list->capacity * sizeof *list->places > keep_bytes_max) {
        key_list_finish(list);
    }
    row_buffer_clear(&list->bytes);
    list->count = 0;
}

void key_list_finish(struct key_list *list) {
    row_buffer_finish(&list->bytes);
    sqlite3_free(list->places);
    *list = (struct key_list){0};
}
