/* hybrid_log.c - positions, allocation, and the shifts of read-only and head (layer 3).
 *
 * THE RING. Page p lies in frame p % frame_count. Memory holds the pages from safe head's to
 * the tail's, never more than frame_count of them.
 *
 * INVARIANTS, at any moment:
 *
 *   I1  safe head <= head <= flushed <= safe read-only <= read-only <= tail
 *       (right after fst_log_load_partial_unit(), flushed is below head by less than a unit,
 *       and stays so until that unit is written again: head <= max(flushed, resumed end))
 *   I2  page(last byte below tail) - page(safe head) < frame_count
 *   I3  tail, read-only and safe read-only are record boundaries; flushed and what is
 *       submitted are write-unit boundaries (or the resumed end)
 *   I4  durable <= max(flushed, resumed end)
 *
 * WHO CHANGES WHAT. tail: whoever wins the CAS in fst_log_allocate() or seals, inside the
 * epoch. read-only: anyone, by CAS to a higher value, at most a tail it has loaded. safe
 * read-only, safe head: the epoch's actions. flushed, head, durable: the holder of `flush`.
 * Recovery (hybrid_log_recover.c) moves them all, right to left, while nobody appends.
 *
 * WHY A COPY FOR THE DEVICE HOLDS COMPLETE RECORDS. A record at `a` is written by the thread
 * that allocated it, inside one stay in the epoch, and changed in place only by threads that
 * loaded a read-only address <= a in their present stay. Read-only is raised to R before the
 * epoch is bumped. A thread that was inside then, and may still write below R, holds back the
 * action until it has left. A thread that enters later sees read-only >= R (it reads the epoch
 * that the bump wrote after R was stored) and allocates at or above R, because R was at most a
 * tail loaded before and the tail never goes down. So when the action stores safe read-only =
 * R, all bytes below R are final, and visible: leaving pairs with the drain, the action's store
 * with the flusher's acquire load. The flusher copies only below safe read-only, and by I3
 * never a part of a record whose rest is still being written.
 *
 * WHY NO FRAME IS REUSED WHILE READ OR UNWRITTEN. Page p may be entered only when page
 * p - frame_count lies below safe head (I2), which fst_log_allocate() checks before its CAS;
 * safe head only grows, so the check stays true. Head never passes flushed, which passes only
 * what the device has confirmed; the flush copies are made before that, under the same lock. A
 * reader takes a pointer only for addresses at or above a head it loaded inside the epoch, so
 * readers that may hold a pointer below the new head were inside when the epoch was bumped, and
 * safe head waits for them. Its store (release) pairs with the allocator's load (acquire), so
 * the last read of the old page happens before the first write of the new one.
 *
 * WHY NO READER MISTAKES A CHECKSUM FOR A GUARD. Checksums are put into flush buffers and
 * images only; a frame is written by record writers alone. Recovery, which brings checksums
 * into frames, resets them to guards before it publishes the tail, or keeps them below head,
 * where nobody reads memory.
 *
 * NOTHING WAITS INSIDE THE EPOCH. What is needed inside either succeeds or says FST_LOG_WAIT.
 * Outside, waits are for an epoch to drain (stays are short) or for the device (polls with a
 * timeout); a device that fails ends them.
 */
#include <assert.h>

#include "structures/hybrid_log_internal.h"

/* ---- create and destroy ---- */

static void set_geometry(struct fst_hybrid_log *log, const struct fst_hybrid_log_config *config) {
    log->env = config->env;
    log->epoch = config->epoch;
    log->device = config->device;
    log->checksum_seed = config->checksum_seed;
    log->page_bits = config->page_bits;
    log->page_bytes = UINT64_C(1) << config->page_bits;
    log->frame_count = config->frame_count;
    log->frame_mask =
        (config->frame_count & (config->frame_count - 1)) == 0 ? config->frame_count - 1 : 0;
    /* A quarter of the ring is for pages that are being written. */
    log->mutable_pages = config->frame_count - (config->frame_count + 3) / 4;
    log->flight_count_max = config->flush_buffer_count;
}

/* Nobody else knows the log yet: relaxed. */
static void set_positions(struct fst_hybrid_log *log, uint64_t addr) {
    fst_atomic_u64 *const words[] = {
        &log->begin,   &log->safe_begin,  &log->safe_head,        &log->head,
        &log->durable, &log->flushed,     &log->read_only,        &log->safe_read_only,
        &log->tail,    &log->bumped_head, &log->bumped_read_only, &log->bumped_begin,
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        fst_store_relaxed_u64(words[i], addr);
    }
    log->submitted = addr;
    log->walk_from = addr;
}

static enum faster_status map_memory(struct fst_hybrid_log *log) {
    const struct faster_env *env = log->env;
    log->frames = env->map(env, (size_t)(log->frame_count * log->page_bytes));
    log->buffers = env->map(env, (size_t)(log->flight_count_max * log->page_bytes));
    log->flights = env->allocate(env, log->flight_count_max * sizeof *log->flights);
    if (log->frames == NULL || log->buffers == NULL || log->flights == NULL) {
        return FASTER_NOMEM;
    }
    log->huge_bytes =
        env->advise_huge(env, log->frames, (size_t)(log->frame_count * log->page_bytes));
    memset(log->flights, 0, log->flight_count_max * sizeof *log->flights);
    for (uint32_t i = 0; i < log->flight_count_max; i++) {
        log->flights[i].log = log;
        log->flights[i].buffer = log->buffers + (i * log->page_bytes);
    }
    return FASTER_OK;
}

static enum faster_status open_services(struct fst_hybrid_log *log) {
    const struct faster_env *env = log->env;
    enum faster_status status = env->mutex_create(env, &log->service);
    if (status == FASTER_OK) {
        status = env->mutex_create(env, &log->flush);
    }
    if (status == FASTER_OK) {
        log->slot = fst_epoch_slot_open(log->epoch);
        status = log->slot != NULL ? FASTER_OK : FASTER_NOMEM;
    }
    if (status == FASTER_OK) {
        status = log->device->ops->queue_open(log->device, &log->queue);
    }
    return status;
}

enum faster_status fst_log_create(const struct fst_hybrid_log_config *config,
                                  struct fst_hybrid_log **log) {
    assert(config->frame_count >= 4 && config->flush_buffer_count >= 2);
    assert((UINT64_C(1) << config->page_bits) >= FASTER_PAGE_BYTES_MIN);
    struct fst_hybrid_log *made = config->env->allocate(config->env, sizeof *made);
    *log = NULL;
    if (made == NULL) {
        return FASTER_NOMEM;
    }
    memset(made, 0, sizeof *made);
    set_geometry(made, config);
    set_positions(made, FST_ADDR_FIRST_RAW);
    enum faster_status status = map_memory(made);
    if (status == FASTER_OK) {
        status = open_services(made);
    }
    if (status != FASTER_OK) {
        fst_log_destroy(made);
        return status;
    }
    *log = made;
    return FASTER_OK;
}

/* The epoch's list must not keep actions that know the log. */
static void await_actions(struct fst_hybrid_log *log) {
    /* acquire: pairs with the release in ran_action() */
    while (fst_load_acquire_u64(&log->action_count) != 0) {
        fst_epoch_drain(log->epoch);
        if (fst_load_acquire_u64(&log->action_count) != 0) {
            log->env->sleep_ns(log->env, FST_LOG_NAP_NS);
        }
    }
}

void fst_log_destroy(struct fst_hybrid_log *log) {
    if (log == NULL) {
        return;
    }
    const struct faster_env *env = log->env;
    await_actions(log);
    while (log->in_flight_count != 0) {
        log->device->ops->poll(log->device, log->queue, FST_LOG_POLL_NS);
    }
    if (log->queue != NULL) {
        log->device->ops->queue_close(log->device, log->queue);
    }
    if (log->slot != NULL) {
        fst_epoch_slot_close(log->epoch, log->slot);
    }
    if (log->flush != NULL) {
        env->mutex_destroy(env, log->flush);
    }
    if (log->service != NULL) {
        env->mutex_destroy(env, log->service);
    }
    if (log->frames != NULL) {
        env->unmap(env, log->frames, (size_t)(log->frame_count * log->page_bytes));
    }
    if (log->buffers != NULL) {
        env->unmap(env, log->buffers, (size_t)(log->flight_count_max * log->page_bytes));
    }
    env->release(env, log->flights);
    env->release(env, log);
}

/* ---- positions ---- */

fst_addr fst_log_flushed(const struct fst_hybrid_log *log) {
    /* acquire: pairs with the release stores of `flushed` under the flush lock */
    return fst_addr_of(fst_load_acquire_u64(&log->flushed));
}
fst_addr fst_log_durable(const struct fst_hybrid_log *log) {
    /* acquire: pairs with the release in fst_log_raise() */
    return fst_addr_of(fst_load_acquire_u64(&log->durable));
}
fst_addr fst_log_tail(const struct fst_hybrid_log *log) {
    /* acquire: pairs with the release half of the CAS in fst_log_allocate(), and with
     * fst_log_append_redo(), whose bytes are readable below the tail that was loaded */
    return fst_addr_of(fst_load_acquire_u64(&log->tail));
}
const fst_atomic_u64 *fst_log_begin_word(const struct fst_hybrid_log *log) {
    return &log->begin;
}
uint64_t fst_log_memory_bytes(const struct fst_hybrid_log *log) {
    return ((uint64_t)log->frame_count + log->flight_count_max) * log->page_bytes;
}
uint64_t fst_log_huge_bytes(const struct fst_hybrid_log *log) {
    return log->huge_bytes;
}

void fst_log_assert_state(const struct fst_hybrid_log *log) {
#ifndef NDEBUG
    /* Each may grow at any time, so they are loaded from left to right; acquire, here as in
     * the functions above, keeps that order, and pairs as it does there. */
    const uint64_t safe_head = fst_load_acquire_u64(&log->safe_head);
    const uint64_t head = fst_load_acquire_u64(&log->head);
    const uint64_t durable = fst_load_acquire_u64(&log->durable);
    const uint64_t flushed = fst_load_acquire_u64(&log->flushed);
    const uint64_t safe_read_only = fst_load_acquire_u64(&log->safe_read_only);
    const uint64_t read_only = fst_load_acquire_u64(&log->read_only);
    const uint64_t tail = fst_load_acquire_u64(&log->tail);
    const uint64_t written = flushed > log->resumed_end ? flushed : log->resumed_end;
    assert(safe_head <= head && head <= written && durable <= written);
    assert(flushed <= log->submitted && log->submitted <= safe_read_only);
    assert(safe_read_only <= read_only && read_only <= tail);
    assert(flushed % FST_WRITE_UNIT_BYTES == 0 || flushed == log->resumed_end);
    assert(log->submitted % FST_WRITE_UNIT_BYTES == 0 || log->submitted == log->resumed_end);
    assert(log->walk_from <= log->submitted || log->walk_from == log->resumed_end);
    assert(log->flight_count <= log->flight_count_max);
#else
    (void)log;
#endif
}

/* ---- shifts ---- */

void fst_log_raise(fst_atomic_u64 *word, uint64_t value) {
    uint64_t seen = fst_load_relaxed_u64(word);
    /* release: pairs with the acquire loads of the positions */
    while (seen < value && !fst_cas_acq_rel_u64(word, &seen, value)) {
    }
}

static void ran_action(struct fst_hybrid_log *log) {
    /* release: pairs with the acquire in await_actions(); the last touch of the log */
    fst_add_acq_rel_u64(&log->action_count, UINT64_MAX);
}

static void read_only_is_safe(void *context, uint64_t to) {
    struct fst_hybrid_log *log = context;
    fst_log_raise(&log->safe_read_only, to);
    ran_action(log);
}
static void head_is_safe(void *context, uint64_t to) {
    struct fst_hybrid_log *log = context;
    fst_log_raise(&log->safe_head, to);
    ran_action(log);
}
static void begin_is_safe(void *context, uint64_t to) {
    struct fst_hybrid_log *log = context;
    fst_log_raise(&log->safe_begin, to);
    ran_action(log);
}

/* Bumps the epoch unless that has been done for `to` already. Two threads may both do it;
 * the actions only raise. */
static void bump_for(struct fst_hybrid_log *log, fst_atomic_u64 *bumped, fst_epoch_action *action,
                     uint64_t to) {
    if (fst_load_relaxed_u64(bumped) >= to) {
        return;
    }
    /* Counted before it can run. acq_rel: pairs with the acquires in await_actions(). */
    fst_add_acq_rel_u64(&log->action_count, 1);
    if (fst_epoch_bump(log->epoch, action, log, to)) {
        fst_log_raise(bumped, to);
    } else {
        ran_action(log);
    }
}

void fst_log_raise_read_only(struct fst_hybrid_log *log, uint64_t to) {
    fst_log_raise(&log->read_only, to);
    bump_for(log, &log->bumped_read_only, read_only_is_safe, to);
}

void fst_log_raise_head(struct fst_hybrid_log *log, uint64_t to) {
    fst_log_raise(&log->head, to);
    bump_for(log, &log->bumped_head, head_is_safe, to);
}

uint64_t fst_log_head_needed(const struct fst_hybrid_log *log, uint64_t page) {
    return page < log->frame_count ? 0 : fst_log_page_start(log, page + 1 - log->frame_count);
}

uint64_t fst_log_next_page(const struct fst_hybrid_log *log) {
    const uint64_t tail = fst_log_tail(log).raw;
    return fst_log_page_of(log, tail + log->page_bytes - 1);
}

void fst_log_shift_head(struct fst_hybrid_log *log) {
    const uint64_t page = fst_log_page_of(log, fst_load_relaxed_u64(&log->tail)) + 1;
    const uint64_t flushed = fst_load_relaxed_u64(&log->flushed);
    const uint64_t written = fst_log_page_start(log, fst_log_page_of(log, flushed));
    const uint64_t to = fst_min_u64(fst_log_head_needed(log, page), written);
    const uint64_t head = fst_load_relaxed_u64(&log->head);
    fst_log_raise_head(log, to > head ? to : head);
}

void fst_log_await_head(struct fst_hybrid_log *log, uint64_t to) {
    /* acquire: pairs with head_is_safe(); the frames below are the caller's now */
    while (fst_load_acquire_u64(&log->safe_head) < to) {
        bump_for(log, &log->bumped_head, head_is_safe, to);
        fst_epoch_drain(log->epoch);
        if (fst_load_acquire_u64(&log->safe_head) < to) {
            log->env->sleep_ns(log->env, FST_LOG_NAP_NS);
        }
    }
}

void fst_log_await_read_only(struct fst_hybrid_log *log, uint64_t to) {
    /* acquire: pairs with read_only_is_safe(); the bytes below are final */
    while (fst_load_acquire_u64(&log->safe_read_only) < to) {
        bump_for(log, &log->bumped_read_only, read_only_is_safe, to);
        fst_epoch_drain(log->epoch);
        if (fst_load_acquire_u64(&log->safe_read_only) < to) {
            log->env->sleep_ns(log->env, FST_LOG_NAP_NS);
        }
    }
}

void fst_log_freeze(struct fst_hybrid_log *log, fst_addr to) {
    assert(to.raw <= fst_log_tail(log).raw);
    fst_log_raise_read_only(log, to.raw);
    fst_log_await_read_only(log, to.raw);
}

/* ---- allocation ---- */

/* Where read-only belongs when `page` is the tail's. */
static uint64_t read_only_for(const struct fst_hybrid_log *log, uint64_t page) {
    return page < log->mutable_pages ? 0 : fst_log_page_start(log, page + 1 - log->mutable_pages);
}

static bool may_enter(const struct fst_hybrid_log *log, uint64_t page) {
    /* acquire: pairs with head_is_safe(); the frame's last readers and its flush are done */
    return fst_load_acquire_u64(&log->safe_head) >= fst_log_head_needed(log, page) &&
           page < fst_log_page_of(log, FST_ADDR_MAX);
}

/* A new page was entered, or could not be: let the oldest mutable pages become writable to
 * the device. `page` is at most one above the tail's, so the target is at most tail. */
static void age_pages(struct fst_hybrid_log *log, uint64_t page) {
    const uint64_t to = read_only_for(log, page);
    if (to > fst_load_relaxed_u64(&log->bumped_read_only)) {
        fst_log_raise_read_only(log, to);
    }
}

/* Once per quarter of a page, the thread that crosses the mark starts what can be written,
 * so that even a ring of few frames is written ahead of need. */
static void write_ahead(struct fst_hybrid_log *log, uint64_t from, uint64_t to) {
    if ((from ^ to) >> (log->page_bits - 2) != 0) {
        fst_log_pump_if_idle(log);
    }
}

enum fst_log_result fst_log_allocate(struct fst_hybrid_log *log, uint32_t bytes, fst_addr *addr,
                                     void **memory) {
    assert(bytes % FST_RECORD_ALIGN == 0 && bytes > 0 && bytes <= log->page_bytes);
    uint64_t tail = fst_load_relaxed_u64(&log->tail);
    uint64_t start;
    for (;;) {
        const uint64_t room = log->page_bytes - fst_log_page_offset(log, tail);
        start = bytes <= room ? tail : tail + room;
        const bool enters = fst_log_page_offset(log, start) == 0;
        if (enters && !may_enter(log, fst_log_page_of(log, start))) {
            age_pages(log, fst_log_page_of(log, start));
            return FST_LOG_WAIT;
        }
        /* release: pairs with the acquire loads of tail. A failed CAS loads the new tail. */
        if (fst_cas_acq_rel_u64(&log->tail, &tail, start + bytes)) {
            break;
        }
    }
    if (start != tail) {
        fst_record_write_pad(fst_log_memory(log, tail), start - tail);
    }
    *addr = fst_addr_of(start);
    *memory = fst_log_memory(log, start);
    if (fst_log_page_offset(log, start) == 0) {
        age_pages(log, fst_log_page_of(log, start));
    }
    write_ahead(log, tail, start + bytes);
    return FST_LOG_OK;
}

/* A pad never leaves its unit, nor so its page, which was entered before: no frame is needed. */
static uint64_t pad_to_unit(struct fst_hybrid_log *log) {
    uint64_t tail = fst_load_relaxed_u64(&log->tail);
    for (;;) {
        const uint64_t end = fst_log_unit_up(tail);
        if (end == tail) {
            return end;
        }
        /* release: pairs as in fst_log_allocate() */
        if (fst_cas_acq_rel_u64(&log->tail, &tail, end)) {
            fst_record_write_pad(fst_log_memory(log, tail), end - tail);
            return end;
        }
    }
}

enum faster_status fst_log_seal_tail(struct fst_hybrid_log *log, fst_addr *sealed) {
    if (fst_log_health(log) == FASTER_FAILED) {
        return FASTER_FAILED;
    }
    log->env->mutex_lock(log->env, log->service);
    fst_epoch_enter(log->epoch, log->slot);
    *sealed = fst_addr_of(pad_to_unit(log));
    fst_epoch_leave(log->epoch, log->slot);
    log->env->mutex_unlock(log->env, log->service);
    return FASTER_OK;
}

/* ---- truncation ---- */

enum faster_status fst_log_truncate(struct fst_hybrid_log *log, fst_addr begin) {
    fst_log_raise(&log->begin, begin.raw);
    /* acquire: pairs with begin_is_safe(); whoever read an older begin has left */
    while (fst_load_acquire_u64(&log->safe_begin) < begin.raw) {
        bump_for(log, &log->bumped_begin, begin_is_safe, begin.raw);
        fst_epoch_drain(log->epoch);
        if (fst_load_acquire_u64(&log->safe_begin) < begin.raw) {
            log->env->sleep_ns(log->env, FST_LOG_NAP_NS);
        }
    }
    /* What is still to be written keeps its segment: a later truncation frees it. */
    const fst_addr free_to = fst_addr_min(fst_log_begin(log), fst_log_flushed(log));
    const enum faster_status status = log->device->ops->truncate(log->device, free_to);
    return status == FASTER_OK ? FASTER_OK : FASTER_IO;
}
