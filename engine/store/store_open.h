/* store_open.h - making, opening and closing a store (layer 4). */
#ifndef FST_STORE_STORE_OPEN_H
#define FST_STORE_STORE_OPEN_H

#include "store/store.h"

/* See faster_store_create() and faster_store_open(). */
enum faster_status fst_store_create(const struct faster_options *options,
                                    uint8_t uuid_out[FASTER_UUID_BYTES],
                                    struct faster_error *error) FASTER_MUST_CHECK;
enum faster_status fst_store_open(const struct faster_options *options, struct faster_store **store,
                                  struct faster_error *error) FASTER_MUST_CHECK;
/* Releases everything and, with `remove`, unlinks the store's files under their lock. The
 * result is the removal's. */
enum faster_status fst_store_release(struct faster_store *store, bool remove,
                                     struct faster_error *error);

/* budget.c: how a store's memory is shared out. OK or INVALID. */
enum faster_status fst_budget_for(uint64_t memory_bytes, uint32_t page_bits, uint32_t segment_bits,
                                  struct fst_budget *budget,
                                  struct faster_error *error) FASTER_MUST_CHECK;
/* The bits of a new store's pages and segments from the options and the defaults. OK or
 * INVALID with a message that names option, value and range. */
enum faster_status fst_budget_bits(const struct faster_options *options, uint32_t *page_bits,
                                   uint32_t *segment_bits,
                                   struct faster_error *error) FASTER_MUST_CHECK;

/* The largest key: its record must fit a page. */
size_t fst_key_bytes_max(const struct faster_store *store);

#define FST_MEMORY_BYTES_DEFAULT (UINT64_C(256) << 20)
static inline uint64_t fst_memory_bytes_of(const struct faster_options *options) {
    return options->memory_bytes != 0 ? options->memory_bytes : FST_MEMORY_BYTES_DEFAULT;
}

#define FST_INLINE_COMMIT_BYTES_DEFAULT (UINT64_C(32) << 10)
#define FST_IO_THREADS_DEFAULT 2u
#define FST_IO_THREADS_MAX 64u
#define FST_IO_SUBMIT_POLL_IDLE_MS_DEFAULT 10u
#define FST_IO_SUBMIT_POLL_IDLE_MS_MAX 60000u

/* The thread sanitizer does not see the kernel fill buffers. */
#if defined(__SANITIZE_THREAD__)
#define FST_IO_DEFAULT_IS_THREADS true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FST_IO_DEFAULT_IS_THREADS true
#endif
#endif
#ifndef FST_IO_DEFAULT_IS_THREADS
#define FST_IO_DEFAULT_IS_THREADS false
#endif

#endif
