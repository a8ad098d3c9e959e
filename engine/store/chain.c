/* chain.c - finding the version of a key that a view sees (layer 4). */
#include "store/chain.h"

/* Only records below `upper` are looked into; of those above, which may still be undone, only
 * the header's previous address is read, which never changes. The key never changes either. */
enum fst_walk fst_chain_walk(const struct faster_store *store, fst_addr from, uint64_t upper,
                             uint64_t floor, const struct faster_bytes *key,
                             struct fst_found *found) {
    const uint64_t page_bytes = fst_log_page_bytes(store->log);
    const fst_addr begin = fst_log_begin(store->log);
    /* REQUIRES: `from` was read from its index entry before. That is what orders this load after
     * mark_on_disk(), which stores before it publishes the entry: the acquire of the entry
     * pairs with that publication. A mark that is read too early would be too low. */
    const fst_addr on_disk = fst_addr_of(fst_load_acquire_u64(&store->on_disk_below));
    const fst_addr head = fst_addr_max(on_disk, fst_log_head(store->log));
    fst_addr at = from;
    while (at.raw >= begin.raw && at.raw >= floor && fst_addr_is_valid(at)) {
        found->addr = at;
        if (fst_addr_below(at, head)) {
            return FST_WALK_DISK;
        }
        struct fst_record *record = fst_log_at(store->log, at);
        uint64_t header = fst_load_relaxed_u64(&record->header);
        if (fst_is_visible(store, at, upper)) {
            found->bytes = (const unsigned char *)record;
            found->record = record;
            found->header = header;
            uint64_t available = page_bytes - (at.raw & (page_bytes - 1));
            if (!fst_record_peek(record, (size_t)available, &found->shape) ||
                found->shape.whole_bytes > available) {
                return FST_WALK_CORRUPT;
            }
            if (fst_found_has_key(found, key)) {
                return FST_WALK_FOUND;
            }
        }
        fst_addr previous = fst_header_previous(header);
        if (!fst_addr_below(previous, at)) {
            return FST_WALK_CORRUPT;
        }
        at = previous;
    }
    return FST_WALK_END;
}
