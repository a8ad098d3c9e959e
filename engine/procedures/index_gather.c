/* index_gather.c - entries of the hash index for a checkpoint, led back to its point (layer 5).
 *
 * A few buckets are read in one stay in the epoch, so that nobody who waits for the epoch
 * waits long. For a transactional store, an entry at or above the commit's end is replaced by the
 * first record of its chain below it: what comes after may be lost with a row that was not durable,
 * and its bytes be burnt. All records below the commit's end were published before the reading
 * began, so what the chain leads to is exactly the commit's head of it (of several heads that cover
 * a hash the highest counts, and leading them back keeps their order).
 *
 * The chain is followed in memory within the same stay: a record's previous address never changes.
 * Where it leaves memory it is followed on disk after the stay, record by record.
 */
#include "procedures/index_gather.h"

#include "base/array.h"
#include "base/bytes.h"
#include "shapes/record.h"

#define STAY_BUCKETS 32u
#define DISK_READS_MAX 65536u

static void note_entry(void *context, const struct fst_index_copied *copied) {
    struct fst_index_gather *gather = context;
    void *entries = gather->entries;
    enum faster_status status =
        fst_array_reserve(gather->session->store->env, &entries, gather->count, &gather->capacity,
                          1, sizeof *gather->entries);
    gather->entries = entries;
    if (status == FASTER_OK) {
        gather->entries[gather->count++] = *copied;
    } else {
        gather->status = status;
    }
}

/* Follows the chain from *at, in memory, to below the limit or to below `head`. Inside the
 * epoch. False: it does not fall. */
static bool lead_back_in_memory(const struct fst_index_gather *gather, fst_addr head,
                                fst_addr *at) {
    const struct fst_hybrid_log *log = gather->session->store->log;
    while (at->raw >= gather->limit && !fst_addr_below(*at, head)) {
        const struct fst_record *record = fst_log_at(log, *at);
        const fst_addr previous = fst_header_previous(fst_load_relaxed_u64(&record->header));
        if (!fst_addr_below(previous, *at)) {
            return false;
        }
        *at = previous;
    }
    return true;
}

static enum faster_status corrupt(const struct fst_index_gather *gather, fst_addr at) {
    return fst_session_fail(gather->session, FASTER_CORRUPT,
                            "a chain leads to a damaged record at log address %llu",
                            (unsigned long long)at.raw);
}

static bool gather_in_stay(struct fst_index_gather *gather) {
    struct faster_session *session = gather->session;
    struct faster_store *store = session->store;
    fst_epoch_enter(store->epoch, session->slot);
    const bool goes_on = fst_index_read(&gather->reader, STAY_BUCKETS, note_entry, gather);
    /* After the entries were read, as in fst_chain_walk(): acquire pairs with the release in
     * mark_on_disk() */
    const fst_addr on_disk = fst_addr_of(fst_load_acquire_u64(&store->on_disk_below));
    const fst_addr head = fst_addr_max(on_disk, fst_log_head(store->log));
    for (size_t i = 0; i < gather->count && gather->status == FASTER_OK; i++) {
        if (!lead_back_in_memory(gather, head, &gather->entries[i].addr)) {
            gather->status = FASTER_CORRUPT;
        }
    }
    fst_epoch_leave(store->epoch, session->slot);
    return goes_on;
}

/* Reads `count_bytes` at `at`, and no further than its page. */
static enum faster_status read_bytes(struct fst_index_gather *gather, fst_addr at,
                                     size_t count_bytes) {
    struct faster_store *store = gather->session->store;
    const uint64_t page_end = fst_block_end_u64(at.raw, fst_log_page_bytes(store->log));
    const size_t count = fst_min_size(count_bytes, (size_t)(page_end - at.raw));
    enum faster_status status = faster_buffer_reserve(&gather->record, count);
    if (status == FASTER_OK) {
        status = fst_device_run(store->device, gather->queue, FST_IO_READ, at, gather->record.data,
                                count, &gather->record.size_bytes);
    }
    return status == FASTER_MISSING ? FASTER_CORRUPT : status;
}

/* The address before the record at *at, which is on disk. */
static enum faster_status step_on_disk(struct fst_index_gather *gather, fst_addr *at) {
    const uint64_t seed = gather->session->store->checksum_seed;
    struct fst_record_shape shape;
    enum faster_status status = read_bytes(gather, *at, FST_READ_FIRST_START);
    if (status == FASTER_OK &&
        fst_record_parse(gather->record.data, gather->record.size_bytes, &shape) &&
        shape.whole_bytes > gather->record.size_bytes) {
        status = read_bytes(gather, *at, shape.whole_bytes);
    }
    if (status != FASTER_OK) {
        return status == FASTER_CORRUPT ? corrupt(gather, *at) : status;
    }
    if (!fst_record_is_intact(gather->record.data, gather->record.size_bytes, *at, seed, &shape)) {
        return corrupt(gather, *at);
    }
    const fst_addr previous = fst_header_previous(fst_raw_header(gather->record.data));
    if (!fst_addr_below(previous, *at)) {
        return corrupt(gather, *at);
    }
    *at = previous;
    return FASTER_OK;
}

static enum faster_status lead_back_on_disk(struct fst_index_gather *gather, fst_addr *at) {
    struct faster_store *store = gather->session->store;
    enum faster_status status = FASTER_OK;
    if (gather->queue == NULL) {
        status = store->device->ops->queue_open(store->device, &gather->queue);
    }
    while (status == FASTER_OK && at->raw >= gather->limit) {
        status =
            gather->disk_read_count++ < DISK_READS_MAX ? step_on_disk(gather, at) : FASTER_BUSY;
    }
    return status;
}

/* What is left below begin, or nothing, is dead. */
static void drop_dead(struct fst_index_gather *gather) {
    const fst_addr begin = fst_log_begin(gather->session->store->log);
    size_t kept = 0;
    for (size_t i = 0; i < gather->count; i++) {
        if (!fst_addr_below(gather->entries[i].addr, begin)) {
            gather->entries[kept++] = gather->entries[i];
        }
    }
    gather->count = kept;
}

enum faster_status fst_index_gather_next(struct fst_index_gather *gather, bool *goes_on) {
    gather->count = 0;
    gather->status = FASTER_OK;
    gather->record.env = gather->session->store->env;
    *goes_on = gather_in_stay(gather);
    enum faster_status status = gather->status;
    if (status == FASTER_CORRUPT) {
        return fst_session_fail(gather->session, status, "a chain of records does not fall");
    }
    for (size_t i = 0; status == FASTER_OK && i < gather->count; i++) {
        status = lead_back_on_disk(gather, &gather->entries[i].addr);
    }
    drop_dead(gather);
    return status;
}

void fst_index_gather_finish(struct fst_index_gather *gather) {
    struct faster_store *store = gather->session->store;
    if (gather->queue != NULL) {
        store->device->ops->queue_close(store->device, gather->queue);
    }
    faster_buffer_finish(&gather->record);
    store->env->release(store->env, gather->entries);
    *gather = (struct fst_index_gather){.session = gather->session};
}
