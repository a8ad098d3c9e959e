/* first_live.c - where the first live record of a log lies (layer 5). */
#include "procedures/first_live.h"

#include "procedures/scan.h"

/* Where the live record begins: if its value is larger than a page, with its first chunk. */
static enum faster_status start_of(struct fst_live_scan *scan, const struct fst_scan_entry *entry,
                                   uint64_t *start) {
    struct fst_chunk_reader chunks;
    enum faster_status status = FASTER_OK;
    *start = entry->item.addr.raw;
    if (entry->item.shape.chunked) {
        status = fst_live_scan_chunks(scan, entry, &chunks);
        *start = status == FASTER_OK ? chunks.list.first_address : *start;
    }
    return status;
}

/* The page that holds the first live record below `stable`: everything before it is dead. In
 * that prefix a tombstone is dead, too: all older versions of its key lie before it. And so are
 * chunks: between a head and its first chunk lies no record of another key, since a transactional
 * store has one writer, who writes one value after the other; so the heads that follow have theirs
 * behind this one. `stable` parts no head from its chunks either: it is a commit's end, or the tail
 * between two operations of a transaction. */
enum faster_status fst_find_first_live(struct faster_store *store, uint64_t stable,
                                       faster_interrupt_fn *interrupt, void *interrupt_context,
                                       fst_addr *page) {
    struct fst_live_scan *scan = store->env->allocate(store->env, sizeof *scan);
    fst_addr begin = fst_log_begin(store->log);
    uint64_t page_bytes = fst_log_page_bytes(store->log);
    *page = begin;
    if (scan == NULL) {
        return FASTER_NOMEM;
    }
    enum faster_status status = fst_live_scan_init(scan, store, begin, stable);
    if (status != FASTER_OK) {
        store->env->release(store->env, scan);
        return status;
    }
    const struct fst_scan_entry *entry;
    uint64_t first_live = stable;
    fst_live_scan_ask(scan, interrupt, interrupt_context);
    status = fst_live_scan_next(scan, &entry);
    if (status == FASTER_OK) {
        status = start_of(scan, entry, &first_live);
    }
    if (status == FASTER_OK || status == FASTER_END) {
        *page = fst_addr_max(begin, fst_addr_align_down(fst_addr_of(first_live), page_bytes));
        status = FASTER_OK;
    }
    fst_live_scan_finish(scan);
    store->env->release(store->env, scan);
    return status;
}
