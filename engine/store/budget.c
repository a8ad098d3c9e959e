/* budget.c - how a store's memory is shared out (layer 4).
 *
 * Half of the budget is the index's. The other half holds the ring of log pages and, taken
 * from it first, the copies in flight of a flush (2 pages), the cursor of a scan with its
 * read-ahead (2 pages), and an eighth: one half of that for the I/O buffers of all sessions
 * (io_budget.c), the other for the results of batches, less what key locks take (key_locks.c).
 */
#include "base/bytes.h"
#include "shapes/record.h"
#include "store/store_open.h"

#define FLUSH_BUFFERS 2u
#define SCAN_PAGES 2u
#define FRAMES_MIN 4u
#define IO_BUFFER_SHARE 32u /* of all memory: half of that eighth */
#define RESULT_SHARE 32u    /* the other half */
#define RESULT_BYTES_MIN (UINT64_C(64) << 10)
#define IO_COUNT_MIN 64u
#define IO_COUNT_MAX 128u
#define IO_MEMORY_BYTES (UINT64_C(128) << 10) /* of the budget, for each read in flight */
#define PAGE_SHARE 64u /* a default page is at most this part of the budget */
#define PAGE_BITS_DEFAULT_MAX 20u
#define SEGMENT_BITS_DEFAULT 26u

static uint64_t ring_bytes(uint64_t memory_bytes, uint64_t page_bytes) {
    uint64_t half = memory_bytes / 2;
    uint64_t taken = (FLUSH_BUFFERS + SCAN_PAGES) * page_bytes + half / 8;
    return half > taken ? half - taken : 0;
}

/* As many as a disk can use, where memory has room for their buffers. */
static uint32_t session_io_max(uint64_t memory_bytes) {
    uint64_t count = memory_bytes / IO_MEMORY_BYTES;
    return (uint32_t)fst_min_u64(fst_max_u64(count, IO_COUNT_MIN), IO_COUNT_MAX);
}

enum faster_status fst_budget_for(uint64_t memory_bytes, uint32_t page_bits, uint32_t segment_bits,
                                  struct fst_budget *budget, struct faster_error *error) {
    if (memory_bytes < FASTER_MEMORY_BYTES_MIN) {
        return fst_error_set(error, FASTER_INVALID,
                             "memory = %llu bytes is out of range: at least %u are needed",
                             (unsigned long long)memory_bytes, FASTER_MEMORY_BYTES_MIN);
    }
    uint64_t page_bytes = UINT64_C(1) << page_bits;
    uint64_t frames = ring_bytes(memory_bytes, page_bytes) >> page_bits;
    if (frames < FRAMES_MIN) {
        return fst_error_set(error, FASTER_INVALID,
                             "page_size = %llu bytes is too large for memory = %llu bytes: at "
                             "most a twentieth of memory is allowed",
                             (unsigned long long)page_bytes, (unsigned long long)memory_bytes);
    }
    *budget = (struct fst_budget){.memory_bytes = memory_bytes,
                                  .index_bytes = memory_bytes / 2,
                                  .page_bits = page_bits,
                                  .segment_bits = segment_bits,
                                  .frame_count = (uint32_t)fst_min_u64(frames, UINT32_MAX),
                                  .flush_buffer_count = FLUSH_BUFFERS,
                                  .session_io_max = session_io_max(memory_bytes),
                                  .io_buffer_bytes = memory_bytes / IO_BUFFER_SHARE};
    return FASTER_OK;
}

static enum faster_status check_power(const char *name, uint64_t value, uint64_t min, uint64_t max,
                                      struct faster_error *error) {
    if (fst_is_power_of_two_u64(value) && value >= min && value <= max) {
        return FASTER_OK;
    }
    return fst_error_set(
        error, FASTER_INVALID, "%s = %llu bytes: allowed are powers of two from %llu to %llu", name,
        (unsigned long long)value, (unsigned long long)min, (unsigned long long)max);
}

enum faster_status fst_budget_bits(const struct faster_options *options, uint32_t *page_bits,
                                   uint32_t *segment_bits, struct faster_error *error) {
    uint64_t memory = fst_memory_bytes_of(options);
    uint64_t page = options->page_bytes;
    if (page == 0) {
        uint64_t share = fst_max_u64(memory / PAGE_SHARE, FASTER_PAGE_BYTES_MIN);
        page = UINT64_C(1) << fst_min_u64(fst_log2_floor_u64(share), PAGE_BITS_DEFAULT_MAX);
    }
    enum faster_status status =
        check_power("page_size", page, FASTER_PAGE_BYTES_MIN, FASTER_PAGE_BYTES_MAX, error);
    if (status != FASTER_OK) {
        return status;
    }
    uint64_t segment = options->segment_bytes;
    if (segment == 0) {
        segment = fst_max_u64(page, UINT64_C(1) << SEGMENT_BITS_DEFAULT);
    }
    status = check_power("segment_size", segment, page, FASTER_SEGMENT_BYTES_MAX, error);
    *page_bits = fst_log2_floor_u64(page);
    *segment_bits = fst_log2_floor_u64(segment);
    return status;
}

/* A record does not leave its page. */
size_t fst_key_bytes_max(const struct faster_store *store) {
    const size_t page = (size_t)1 << store->budget.page_bits;
    return fst_min_size(FASTER_KEY_BYTES_MAX, page - FST_RECORD_LARGE_HEADER_BYTES);
}

size_t faster_value_bytes_max(const struct faster_store *store, size_t key_bytes) {
    const size_t page = (size_t)1 << store->budget.page_bits;
    const size_t taken = FST_RECORD_LARGE_HEADER_BYTES + key_bytes;
    if (key_bytes > fst_key_bytes_max(store)) {
        return 0;
    }
    return store->has_chunks && taken + FST_CHUNK_LIST_BYTES <= page ? FASTER_VALUE_BYTES_MAX
                                                                     : page - taken;
}

/* Halved each time the number of sessions doubles: a batch that is kept for the next one seldom has
 * another limit then. */
size_t faster_result_bytes_max(const struct faster_store *store) {
    const uint64_t share =
        store->budget.memory_bytes / RESULT_SHARE - fst_key_locks_bytes_max(store);
    const uint64_t sessions = fst_max_u64(fst_load_relaxed_u64(&store->session_count), 1);
    const uint64_t mine = share >> (fst_log2_floor_u64(2 * sessions - 1));
    return (size_t)fst_max_u64(mine, fst_min_u64(share, RESULT_BYTES_MIN));
}
