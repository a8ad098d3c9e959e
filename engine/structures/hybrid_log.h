/* hybrid_log.h - the log: a ring of memory pages over a device (layer 3).
 *
 *    begin ......... head ........ flushed ..... read-only ......... tail
 *      | on disk only  | memory, on  | memory, to    | memory, mutable  |
 *      |               | disk too    | be written    |                  |
 *
 * Always begin <= head <= flushed <= safe read-only <= read-only <= tail, except that
 * truncation may move begin above head's place of old; then nothing lies between. Records do not
 * cross pages. Below `head` a record is read from the device; at or above it, from memory.
 *
 *   tail       moved by fst_log_allocate() with compare-and-swap; whoever closes a page
 *              fills its rest with a pad
 *   read-only  raised by anyone; *safe* read-only follows once the epoch has drained: then
 *              no thread still writes below it, and those bytes may be copied and written
 *   flushed    what has been written to the device (not: synced); durable follows on sync
 *   head       raised up to flushed; *safe* head follows once the epoch has drained: then
 *              no thread still reads those frames, and they may be reused
 *
 * Source: FASTER (SIGMOD 2018), section 5. hybrid_log.c holds the proof, hybrid_log_flush.c
 * the copy-and-checksum, hybrid_log_recover.c what recovery needs.
 *
 * Failures (P5, P6): a failed write or sync other than "no space" is final: the log refuses
 * appends that need the device with FAILED until it is reopened. "No space" (FULL) is
 * retried on the next call that needs room; nothing is lost meanwhile, as the pages stay in
 * memory.
 */
#ifndef FST_STRUCTURES_HYBRID_LOG_H
#define FST_STRUCTURES_HYBRID_LOG_H

#include "base/atomic.h"
#include "base/env.h"
#include "primitives/device.h"
#include "primitives/epoch.h"
#include "shapes/address.h"
#include "shapes/record.h"

struct fst_hybrid_log;

struct fst_hybrid_log_config {
    const struct faster_env *env;
    struct fst_epoch *epoch;
    struct fst_device *device;
    uint64_t checksum_seed;
    uint32_t page_bits;
    uint32_t frame_count;        /* pages of memory, at least 4 */
    uint32_t flush_buffer_count; /* page-sized copies in flight, at least 2 */
};

/* An empty log whose tail is FST_ADDR_FIRST_RAW. Memory: (frame_count +
 * flush_buffer_count) pages, mapped; one epoch slot and one device queue until destroyed.
 * OK, NOMEM, or what the device's queue_open() says. */
enum faster_status fst_log_create(const struct fst_hybrid_log_config *config,
                                  struct fst_hybrid_log **log) FASTER_MUST_CHECK;
/* Waits for its writes in flight. */
void fst_log_destroy(struct fst_hybrid_log *log);

/* ---- positions; any thread ---- */
static inline fst_addr fst_log_begin(const struct fst_hybrid_log *log);
static inline fst_addr fst_log_head(const struct fst_hybrid_log *log);      /* acquire */
static inline fst_addr fst_log_read_only(const struct fst_hybrid_log *log); /* acquire */
static inline fst_addr fst_log_safe_read_only(const struct fst_hybrid_log *log);
fst_addr fst_log_flushed(const struct fst_hybrid_log *log);
fst_addr fst_log_durable(const struct fst_hybrid_log *log);
fst_addr fst_log_tail(const struct fst_hybrid_log *log);
const fst_atomic_u64 *fst_log_begin_word(const struct fst_hybrid_log *log);
static inline uint64_t fst_log_page_bytes(const struct fst_hybrid_log *log);
uint64_t fst_log_memory_bytes(const struct fst_hybrid_log *log); /* frames and flush buffers */
/* Of the frames: for how many bytes the system took the advice to use huge pages. */
uint64_t fst_log_huge_bytes(const struct fst_hybrid_log *log);

/* ---- inside the epoch ---- */

/* The record at `addr`, which is at or above a head that was read after entering the
 * epoch. The pointer is good until the caller leaves the epoch. */
static inline void *fst_log_at(const struct fst_hybrid_log *log, fst_addr addr);

enum fst_log_result {
    FST_LOG_OK = 0,
    FST_LOG_WAIT /* no free frame: leave the epoch, fst_log_help(), try again */
};

/* Takes `bytes` (a multiple of 8, at most a page) at the tail. The caller writes a complete
 * record there before it leaves the epoch. Never blocks. */
enum fst_log_result fst_log_allocate(struct fst_hybrid_log *log, uint32_t bytes, fst_addr *addr,
                                     void **memory) FASTER_MUST_CHECK;

/* ---- outside the epoch ---- */

/* What fst_log_allocate() waits for: starts writes, waits up to a few milliseconds for one
 * to complete, moves head. Any thread. OK (try again), FULL (the device has no space), NOMEM
 * (nor memory to open a segment; both may be repeated), or FAILED. */
enum faster_status fst_log_help(struct fst_hybrid_log *log) FASTER_MUST_CHECK;

/* Pads the tail to a write unit (if it is not there already) and returns it in *sealed:
 * everything below can then be written without rewriting a unit. Needs no frame and no I/O.
 * OK or FAILED. */
enum faster_status fst_log_seal_tail(struct fst_hybrid_log *log,
                                     fst_addr *sealed) FASTER_MUST_CHECK;

/* Writes everything below `until` (a sealed tail, or a lower record boundary, whose unit is
 * padded first if it is not complete) and syncs; then durable >= until. Blocks. Freezes what
 * it writes. OK, FULL, NOMEM, FAILED, IO (now failed), MISUSE (a partial unit was not loaded). */
enum faster_status fst_log_sync(struct fst_hybrid_log *log, fst_addr until) FASTER_MUST_CHECK;

/* OK, or why appends are refused: FULL or FAILED. FULL stays until a fst_log_help() or
 * fst_log_sync() that tries again has succeeded, so it is no reason not to call them. */
enum faster_status fst_log_health(const struct fst_hybrid_log *log);

/* Copies bytes [from, to), all in memory and none of them changing any more, as they will
 * stand on disk (guards replaced by checksums), to `out`. from and to are record
 * boundaries. False if some are not in memory. */
bool fst_log_image(struct fst_hybrid_log *log, fst_addr from, fst_addr to,
                   void *out) FASTER_MUST_CHECK;

/* Raises the read-only address to `to` (a record boundary, at most tail) and returns once it is
 * safe: no thread changes bytes below it any more. Does not write. */
void fst_log_freeze(struct fst_hybrid_log *log, fst_addr to);

/* Moves begin up (never down). The caller has made sure that no reader needs what lies
 * below and that the new begin is durable in a manifest; then frees the device's segments
 * once the epoch has drained. OK or IO (space not freed; nothing else is wrong). */
enum faster_status fst_log_truncate(struct fst_hybrid_log *log, fst_addr begin) FASTER_MUST_CHECK;

/* ---- recovery (hybrid_log_recover.c); only while no transaction is open ---- */

/* Makes an empty log of memory that continues a log on disk: begin as given; head =
 * flushed = durable = read-only = tail = `end`: everything below is on disk only. `end` is
 * any record boundary. Also used when catch-up goes on and bytes [old end, end) are on
 * disk. */
void fst_log_resume(struct fst_hybrid_log *log, fst_addr begin, fst_addr end);

/* Appends log bytes that come from a redo row to memory at the tail, as they stood on disk
 * (checksums in the guards; guards are reset): [tail, tail + count). A page's records are
 * complete in memory only once all its rows are appended. OK; FULL if the bytes from head on
 * do not fit the frames; CORRUPT, and nothing appended, if they are not whole records within
 * pages (checksums are the caller's to check). They count as read-only and not flushed. */
enum faster_status fst_log_append_redo(struct fst_hybrid_log *log, const void *bytes,
                                       size_t count_bytes) FASTER_MUST_CHECK;

/* Before the first append after recovery: if head is not at a write unit, the bytes of its
 * unit below it are read from the device into memory, so that the unit can be written
 * again with the same beginning; flushed becomes the unit's start. Blocks. OK, IO,
 * CORRUPT. */
enum faster_status fst_log_load_partial_unit(struct fst_hybrid_log *log,
                                             struct fst_device_queue *queue) FASTER_MUST_CHECK;

/* Writes and syncs everything up to the sealed tail, empties memory, and lets the log go
 * on at `target`, a page boundary above tail. Blocks. OK, FULL, FAILED, IO. */
enum faster_status fst_log_jump(struct fst_hybrid_log *log, fst_addr target) FASTER_MUST_CHECK;

/* Each operation asks for positions several times: these functions are inline, and defined
 * there. */
#include "structures/hybrid_log_internal.h"

#endif
