/* counters.h - what a store has done, counted (layer 0).
 *
 * Counters order nothing: they are read while others count, and figures of one reading need
 * not belong to one moment. There are two kinds, by who writes:
 *
 *     struct fst_counters  operations. One per session; only the thread that uses the
 *                          session counts, with a plain load and store. Any thread reads.
 *     struct fst_events    I/O and rare events of a whole store. Any thread counts, with an
 *                          atomic addition.
 *
 * All zeroes is valid and empty.
 */
#ifndef FST_BASE_COUNTERS_H
#define FST_BASE_COUNTERS_H

#include "base/atomic.h"
#include "faster.h"

enum fst_counter {
    FST_COUNTER_READS = 0,
    FST_COUNTER_READS_NOT_FOUND,
    FST_COUNTER_READS_FROM_DEVICE, /* device reads that operations waited for */
    FST_COUNTER_UPSERTS,
    FST_COUNTER_INSERTS,
    FST_COUNTER_COMPARE_AND_SETS,
    FST_COUNTER_RMWS,
    FST_COUNTER_DELETES,
    FST_COUNTER_UPDATES_IN_PLACE,
    FST_COUNTER_RECORDS_APPENDED,
    FST_COUNTER_CHAIN_STEPS, /* records looked at on the way to a key's own */
    FST_COUNTER_RETRIES,     /* operations begun again: lost race or no free frame */
    FST_COUNTER_SCANNED_RECORDS,
    FST_COUNTER_COMMITS,
    FST_COUNTER_ROLLBACKS,
    FST_COUNTER_SAVEPOINT_ROLLBACKS,
    FST_COUNTER_SNAPSHOTS_GONE,
    FST_COUNTER_COUNT
};

enum fst_event {
    FST_EVENT_DEVICE_READS = 0,
    FST_EVENT_DEVICE_READ_BYTES,
    FST_EVENT_DEVICE_WRITES,
    FST_EVENT_DEVICE_WRITE_BYTES,
    FST_EVENT_DEVICE_SYNCS,
    FST_EVENT_DEVICE_FAILURES, /* reads, writes and syncs that the system refused */
    FST_EVENT_NO_SPACE,        /* writes refused because the disk is full */
    FST_EVENT_CORRUPTIONS,     /* checksums that did not match */
    FST_EVENT_PAGES_EVICTED,
    FST_EVENT_MANIFESTS_WRITTEN,
    FST_EVENT_CHECKPOINTS,
    FST_EVENT_TRUNCATIONS,
    FST_EVENT_CATCH_UPS,
    FST_EVENT_RECORDS_RECOVERED,
    FST_EVENT_IN_DOUBT, /* transactions whose outcome the decider had to tell later */
    FST_EVENT_COUNT
};

struct fst_counters {
    fst_atomic_u64 values[FST_COUNTER_COUNT];
};

struct fst_events {
    fst_atomic_u64 values[FST_EVENT_COUNT];
};

/* Adds to a session's counter. REQUIRES: no other thread counts in `counters` meanwhile. */
static inline void fst_count(struct fst_counters *counters, enum fst_counter counter,
                             uint64_t amount) {
    fst_atomic_u64 *word = &counters->values[counter];
    fst_store_relaxed_u64(word, fst_load_relaxed_u64(word) + amount);
}

/* Any thread. */
static inline void fst_count_event(struct fst_events *events, enum fst_event event,
                                   uint64_t amount) {
    (void)fst_add_relaxed_u64(&events->values[event], amount);
}

static inline uint64_t fst_counter_value(const struct fst_counters *counters,
                                         enum fst_counter counter) {
    return fst_load_relaxed_u64(&counters->values[counter]);
}
static inline uint64_t fst_event_value(const struct fst_events *events, enum fst_event event) {
    return fst_load_relaxed_u64(&events->values[event]);
}

/* Adds every counter of `from` to `sum`, with atomic additions: several closing sessions
 * may leave their counts in one sum at the same time. */
void fst_counters_add(struct fst_counters *sum, const struct fst_counters *from);

/* Fills at most `count_max` public figures and returns how many there are, always
 * FST_COUNTER_COUNT or FST_EVENT_COUNT. `stats` may be NULL if count_max is 0. */
size_t fst_counters_fill_stats(const struct fst_counters *counters, struct faster_stat *stats,
                               size_t count_max);
size_t fst_events_fill_stats(const struct fst_events *events, struct faster_stat *stats,
                             size_t count_max);

#endif
