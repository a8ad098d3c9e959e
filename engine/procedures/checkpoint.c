/* checkpoint.c - making a commit independent of the decider's redo (layer 5).
 *
 * Order: the decider has synced its row; the log is synced past the commit's end; the dead
 * beginning of the log is measured; a manifest with the commit, the synced end and the new
 * begin is made durable; only then are segments unlinked. A crash between any two steps
 * leaves a store whose manifest is older and whose files are all there.
 */
#include "procedures/checkpoint.h"

#include "base/bytes.h"
#include "procedures/cut.h"
#include "procedures/scan.h"
#include "store/session.h"
#include "store/start_writing.h"
#include "store/txn.h"

enum faster_status fst_checkpoint_prepare(struct faster_session *session,
                                          const struct faster_commit_row *durable) {
    struct faster_store *store = session->store;
    if (store->read_only) {
        return FASTER_READ_ONLY;
    }
    if (durable->number > store->committed.number) {
        return FASTER_BEHIND;
    }
    if (durable->number == store->committed.number && durable->nonce != store->committed.nonce) {
        return FASTER_COPY;
    }
    enum faster_status status = fst_txn_check_newest(session, durable);
    if (status != FASTER_OK) {
        return status;
    }
    return store->writing_started ? FASTER_OK : fst_start_writing(session);
}

static enum faster_status sync_log(struct faster_store *store) {
    fst_addr sealed;
    enum faster_status status = fst_log_seal_tail(store->log, &sealed);
    return status == FASTER_OK ? fst_log_sync(store->log, sealed) : status;
}

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
static enum faster_status find_first_live(struct faster_store *store, uint64_t stable,
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

static enum faster_status write_manifest(struct faster_store *store,
                                         const struct faster_commit_row *durable, uint64_t begin) {
    struct fst_manifest next = store->manifest;
    next.begin = begin;
    next.durable_end = fst_log_durable(store->log).raw;
    next.index_bits_min = fst_hash_index_bits(store->index);
    if (durable != NULL) {
        next.durable_number = durable->number;
        next.durable_nonce = durable->nonce;
        next.durable_control_address = durable->control_address;
        next.durable_row_end = durable->end;
    }
    if (!store->in_memory) {
        struct faster_error error = {0};
        enum faster_status status = fst_store_files_write_manifest(store->files, &next, &error);
        if (status != FASTER_OK) {
            fst_diagnose(&store->diagnostics, FASTER_DIAGNOSTIC_ERROR, "checkpoint", "%s",
                         error.message);
            return status;
        }
    }
    store->manifest = next;
    return FASTER_OK;
}

enum faster_status fst_checkpoint_run(struct faster_session *session,
                                      const struct faster_commit_row *durable,
                                      faster_interrupt_fn *interrupt, void *interrupt_context) {
    struct faster_store *store = session->store;
    enum faster_status status = sync_log(store);
    if (status != FASTER_OK) {
        return status;
    }
    uint64_t stable = fst_pins_raise_stable(&store->pins, durable->end);
    fst_addr begin;
    status = find_first_live(store, stable, interrupt, interrupt_context, &begin);
    if (status == FASTER_OK) {
        status = write_manifest(store, durable, begin.raw);
    }
    if (status == FASTER_OK && fst_addr_below(fst_log_begin(store->log), begin)) {
        fst_add_relaxed_u64(&store->counters.truncated_bytes,
                            begin.raw - fst_log_begin(store->log).raw);
        status = fst_log_truncate(store->log, begin);
    }
    return status;
}

/* A direct store decides by itself: what its last cut covers is durable. */
static enum faster_status close_direct(struct faster_store *store) {
    struct faster_session *session;
    enum faster_status status = fst_session_open(store, &session);
    if (status != FASTER_OK) {
        return status;
    }
    status = fst_cut(session);
    fst_session_close(session);
    const struct faster_commit_row last = {.number = store->committed.number,
                                           .nonce = store->committed.nonce,
                                           .end = store->committed.end,
                                           .control_address = store->committed.control_address};
    return status == FASTER_OK
               ? write_manifest(store, last.number != 0 ? &last : NULL, store->manifest.begin)
               : status;
}

enum faster_status fst_checkpoint_close(struct faster_store *store) {
    if (!store->writing_started || store->read_only ||
        fst_log_health(store->log) == FASTER_FAILED) {
        return FASTER_OK;
    }
    if (store->direct) {
        return close_direct(store);
    }
    enum faster_status status = sync_log(store);
    return status == FASTER_OK ? write_manifest(store, NULL, store->manifest.begin) : status;
}
