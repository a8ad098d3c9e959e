/* hybrid_log_internal.h - what the log's three files share (layer 3).
 *
 * hybrid_log.h includes it for the functions that are inline; nobody else does, nor touches a
 * field of the log.
 *
 * The proof that this state stays sound is at the head of hybrid_log.c.
 *
 * Locks, in this order: `service`, then `flush`. Neither is ever waited for inside the
 * epoch (an append tries `flush` there), and neither is held while waiting for the epoch to
 * drain.
 */
#ifndef FST_STRUCTURES_HYBRID_LOG_INTERNAL_H
#define FST_STRUCTURES_HYBRID_LOG_INTERNAL_H

#include <assert.h>

#include "base/bytes.h"
#include "structures/hybrid_log.h"

/* How long one wait for the device, or one sleep between two tries, may take. */
#define FST_LOG_POLL_NS UINT64_C(2000000)
#define FST_LOG_NAP_NS UINT64_C(50000)
/* Two cache lines: processors fetch them in pairs. */
#define FST_LOG_APART_BYTES 120

/*   FREE    -> WRITING   [start_flight]      WRITING -> WRITTEN  [flight_done, OK]
 *   WRITING -> NO_SPACE  [flight_done, FULL] WRITING -> DEAD     [flight_done, else]
 *   NO_SPACE -> WRITING  [retry_no_space]    WRITTEN -> FREE     [retire_flights]
 *   FREE    -> WRITTEN   [start_flight, when nothing of the range needs the device] */
enum fst_log_flight_state {
    FST_FLIGHT_FREE = 0,
    FST_FLIGHT_WRITING,
    FST_FLIGHT_WRITTEN,
    FST_FLIGHT_NO_SPACE,
    FST_FLIGHT_DEAD
};

/* A part of one page on its way to the device, in a copy as it will stand there. */
struct fst_log_flight {
    struct fst_hybrid_log *log;
    struct fst_io_request request;
    unsigned char *buffer; /* one page; the copy stands at its offset in the page */
    uint64_t from;
    uint64_t to; /* exclusive; on a page that ends with a pad, the page's end */
    enum fst_log_flight_state state;
    bool is_retry;  /* got FULL at least once and is not yet written */
    bool is_synced; /* WRITTEN, and durable with all before it */
};

struct fst_hybrid_log {
    const struct faster_env *env;
    struct fst_epoch *epoch;
    struct fst_device *device;
    uint64_t checksum_seed;
    uint64_t page_bytes;
    uint32_t page_bits;
    uint32_t frame_count;
    uint32_t frame_mask;         /* frame_count - 1 if that is a power of two, else 0 */
    uint32_t mutable_pages;      /* pages, with the tail's, that stay writable in place */
    uint32_t flight_count_max;   /* flush buffers */
    unsigned char *frames;       /* the ring */
    uint64_t huge_bytes;         /* of it, advised */
    unsigned char *buffers;      /* the flights' buffers */
    struct fst_mutex *service;   /* guards slot */
    struct fst_epoch_slot *slot; /* for the log's own stays inside the epoch */

    /* Positions. All but `flushed` only grow; each is read by any thread. */
    fst_atomic_u64 begin;          /* raised by fst_log_truncate(), fst_log_resume() */
    fst_atomic_u64 safe_begin;     /* raised by the epoch action of truncation */
    fst_atomic_u64 safe_head;      /* raised by the epoch action of head */
    fst_atomic_u64 head;           /* raised under `flush` */
    fst_atomic_u64 durable;        /* raised under `flush`, after a sync */
    fst_atomic_u64 flushed;        /* changed under `flush` */
    fst_atomic_u64 safe_read_only; /* raised by the epoch action of read-only */
    fst_atomic_u64 read_only;      /* raised by anyone, never above tail */

    /* Raised by allocation, by anyone inside the epoch; on cache lines of its own, as every
     * append changes it while every operation reads the words above. */
    unsigned char apart_0[FST_LOG_APART_BYTES];
    fst_atomic_u64 tail;
    unsigned char apart_1[FST_LOG_APART_BYTES];

    /* The highest values for which an epoch action was accepted. */
    fst_atomic_u64 bumped_read_only;
    fst_atomic_u64 bumped_head;
    fst_atomic_u64 bumped_begin;
    fst_atomic_u64 action_count; /* epoch actions not yet run */

    fst_atomic_u32 health; /* enum log_health; written under `flush` */

    /* Everything below is guarded by `flush`. */
    struct fst_mutex *flush;
    struct fst_device_queue *queue;
    struct fst_log_flight *flights; /* a ring, in order of address */
    uint32_t flight_first;
    uint32_t flight_count;
    uint32_t no_space_count;  /* flights in NO_SPACE */
    enum faster_status lack;  /* FULL or NOMEM: what the last of them lacked */
    uint32_t in_flight_count; /* requests at the device, syncs included */
    uint64_t sync_to;         /* a sync waits for the bytes below to be written; 0: none is known,
                                 and one whose place another has taken syncs by itself */
    uint64_t submitted;       /* flights have been made for everything below */
    uint64_t walk_from;       /* where the walk over records for the next flight starts: the
                                 record that reaches over `submitted`, or `submitted` itself; above
                                 it, bytes between are copied as they are (a partial unit) */
    uint64_t resumed_end;     /* the last `end` given to fst_log_resume(), or 0 */
};

enum fst_log_health { FST_LOG_HEALTHY = 0, FST_LOG_NO_SPACE, FST_LOG_BROKEN };

/* ---- geometry ---- */

static inline uint64_t fst_log_page_of(const struct fst_hybrid_log *log, uint64_t addr) {
    return addr >> log->page_bits;
}
static inline uint64_t fst_log_page_offset(const struct fst_hybrid_log *log, uint64_t addr) {
    return addr & (log->page_bytes - 1);
}
static inline uint64_t fst_log_page_start(const struct fst_hybrid_log *log, uint64_t page) {
    return page << log->page_bits;
}
/* The end of the page that holds `addr`. */
static inline uint64_t fst_log_page_end(const struct fst_hybrid_log *log, uint64_t addr) {
    return fst_block_end_u64(addr, log->page_bytes);
}
static inline unsigned char *fst_log_memory(const struct fst_hybrid_log *log, uint64_t addr) {
    const uint64_t page = fst_log_page_of(log, addr);
    const uint64_t frame = log->frame_mask != 0 ? page & log->frame_mask : page % log->frame_count;
    return log->frames + (frame << log->page_bits) + fst_log_page_offset(log, addr);
}
static inline uint64_t fst_log_unit_down(uint64_t addr) {
    return fst_align_down_u64(addr, FST_WRITE_UNIT_BYTES);
}
static inline uint64_t fst_log_unit_up(uint64_t addr) {
    return fst_align_up_u64(addr, FST_WRITE_UNIT_BYTES);
}

/* ---- positions ---- */

static inline fst_addr fst_log_begin(const struct fst_hybrid_log *log) {
    /* acquire: pairs with the release in fst_log_raise() */
    return fst_addr_of(fst_load_acquire_u64(&log->begin));
}
static inline fst_addr fst_log_head(const struct fst_hybrid_log *log) {
    /* acquire: pairs with the release in fst_log_raise() */
    return fst_addr_of(fst_load_acquire_u64(&log->head));
}
static inline fst_addr fst_log_read_only(const struct fst_hybrid_log *log) {
    /* acquire: pairs with the release in fst_log_raise() */
    return fst_addr_of(fst_load_acquire_u64(&log->read_only));
}
static inline fst_addr fst_log_safe_read_only(const struct fst_hybrid_log *log) {
    /* acquire: pairs with read_only_is_safe(): bytes below are final, and seen as such */
    return fst_addr_of(fst_load_acquire_u64(&log->safe_read_only));
}
static inline uint64_t fst_log_page_bytes(const struct fst_hybrid_log *log) {
    return log->page_bytes;
}
static inline void *fst_log_at(const struct fst_hybrid_log *log, fst_addr addr) {
    return fst_log_memory(log, addr.raw);
}

/* ---- hybrid_log.c ---- */

/* The value that safe head must reach before `page` may be entered. */
uint64_t fst_log_head_needed(const struct fst_hybrid_log *log, uint64_t page);

/* The page that an allocation enters next when the tail's page has no room. */
uint64_t fst_log_next_page(const struct fst_hybrid_log *log);

/* Raises `word` to `value` if it is lower. */
void fst_log_raise(fst_atomic_u64 *word, uint64_t value);

/* Raise a boundary (a record boundary at most tail; a page start at most flushed) and have
 * its safe twin follow. Never wait; anywhere. Calling again for a value reached already makes
 * up for an epoch whose list was full. */
void fst_log_raise_read_only(struct fst_hybrid_log *log, uint64_t to);
void fst_log_raise_head(struct fst_hybrid_log *log, uint64_t to);

/* Raises head as far as written pages allow and as the page after the tail's needs. REQUIRES
 * flush. */
void fst_log_shift_head(struct fst_hybrid_log *log);

/* Wait, outside the epoch and without locks, until safe head or safe read-only is at `to`. */
void fst_log_await_head(struct fst_hybrid_log *log, uint64_t to);
void fst_log_await_read_only(struct fst_hybrid_log *log, uint64_t to);

/* States what must hold between two steps. REQUIRES flush. */
void fst_log_assert_state(const struct fst_hybrid_log *log);

/* ---- hybrid_log_flush.c ---- */

/* Starts writes of what is safe, gathers completions for at most timeout_ns, advances
 * flushed and head. REQUIRES flush. */
void fst_log_pump(struct fst_hybrid_log *log, uint64_t timeout_ns);

/* A pump that neither waits for the lock nor for the device; inside or outside the epoch. */
void fst_log_pump_if_idle(struct fst_hybrid_log *log);

#endif
