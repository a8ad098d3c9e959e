/* chain.h - finding the version of a key that a view sees (layer 4).
 *
 * A chain runs from its index entry through falling addresses, newest record first. A view
 * is one address, `upper`: the visible version of a key is the first record of the chain
 * with that key, below upper, in no aborted range. Deleted means: that record is a
 * tombstone.
 */
#ifndef FST_STORE_CHAIN_H
#define FST_STORE_CHAIN_H

#include "base/bytes.h"
#include "shapes/record.h"
#include "store/store.h"

/* The view of a writer: everything up to the tail. */
#define FST_UPPER_ALL UINT64_MAX

struct fst_found {
    fst_addr addr;
    const unsigned char *bytes; /* the record, in a log page or a read buffer */
    uint64_t header;            /* as it was read; may gain SEALED */
    struct fst_record_shape shape;
    struct fst_record *record; /* in a log page; NULL: in a read buffer */
};

enum fst_walk {
    FST_WALK_FOUND,  /* *found is the visible version (maybe a tombstone) */
    FST_WALK_END,    /* the chain has none */
    FST_WALK_DISK,   /* found->addr lies on disk: read it and go on there */
    FST_WALK_CORRUPT /* found->addr holds no record */
};

/* Walks the part of a chain that is in memory, from `from` down. Inside the epoch; `from`
 * was read inside it. Stops with END below `floor` (0: walk the whole chain). The pointers
 * in *found are good until the caller leaves the epoch. */
enum fst_walk fst_chain_walk(const struct faster_store *store, fst_addr from, uint64_t upper,
                             uint64_t floor, const struct faster_bytes *key,
                             struct fst_found *found);

/* True if a view ending at `upper` may see a record at addr. Inside the epoch. */
static inline bool fst_is_visible(const struct faster_store *store, fst_addr addr, uint64_t upper) {
    return addr.raw < upper && !fst_aborted_contains(&store->aborted, addr);
}

static inline bool fst_found_has_key(const struct fst_found *found,
                                     const struct faster_bytes *key) {
    return found->shape.key_bytes == key->size_bytes &&
           fst_bytes_are_equal(found->bytes + found->shape.key_offset_bytes, key->data,
                               key->size_bytes);
}

static inline bool fst_found_is_tombstone(const struct fst_found *found) {
    return (found->header & FST_HEADER_TOMBSTONE) != 0;
}

/* The bytes in the record: of a CHUNKED one, the list of its chunks. */
static inline struct faster_bytes fst_found_value(const struct fst_found *found) {
    return (struct faster_bytes){found->bytes + found->shape.key_offset_bytes +
                                     found->shape.key_bytes,
                                 found->shape.value_bytes};
}

#endif
