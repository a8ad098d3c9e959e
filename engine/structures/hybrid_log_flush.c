/* hybrid_log_flush.c - from pages of memory to bytes on the device (layer 3).
 *
 * A *flight* is a part of one page, copied into a buffer as it will stand on the device and
 * handed to it in one write. Flights form a ring in order of address; writes may complete in
 * any order, flushed advances only over the oldest ones that are written.
 *
 * Whole write units are written, each once. A flight therefore ends at a unit boundary, which
 * may be in the middle of a record; the record is complete in memory all the same (safe
 * read-only is a record boundary), so its checksum can be made. The next flight starts its
 * walk at that record again (`walk_from`) and writes only what lies beyond the boundary.
 *
 * A pad at a page's end is written up to the unit that holds its header; the device keeps a
 * hole for the rest, which nobody reads.
 *
 * A write that found no space, or no memory to open its segment, keeps its buffer and goes out
 * again with the next call that needs it; a repeated write has the same bytes at the same place.
 * A sync that the device could not try for want of something may be asked for again. Any other
 * failure of either is final.
 *
 * A sync whose bytes one flight completes, while all others are written, goes out with it
 * (FST_IO_WRITE_SYNC): when that is back everything below its end is durable. This is the usual
 * commit. Otherwise the sync is a request of its own, after the last flight.
 */
#include "structures/hybrid_log_internal.h"

/* ---- disk form ---- */

/* Bytes before the key: 8 for a pad word, else with guard and sizes. */
static uint32_t header_bytes(uint64_t header) {
    if (fst_header_kind(header) == FST_KIND_PAD_WORD) {
        return (uint32_t)sizeof header;
    }
    return (header & FST_HEADER_LARGE) != 0 ? FST_RECORD_LARGE_HEADER_BYTES
                                            : FST_RECORD_SMALL_HEADER_BYTES;
}

/* Copies the record at `addr` to `out` as it will stand on disk; of a pad, only the header.
 * False if what lies there is no record that fits `available_bytes`. The header word may still
 * gain a bit meanwhile and is loaded once, and the guard be taken and given back, which is not
 * copied; all else below safe read-only is final. */
static bool copy_record(const struct fst_hybrid_log *log, uint64_t addr, unsigned char *out,
                        size_t available_bytes, struct fst_record_shape *shape) {
    struct fst_record *record = fst_log_at(log, fst_addr_of(addr));
    const uint64_t header = fst_load_relaxed_u64(&record->header) & ~FST_HEADER_SEALED;
    const size_t head = header_bytes(header);
    const size_t sizes_off = offsetof(struct fst_record, sizes);
    if (available_bytes < head) {
        return false;
    }
    memcpy(out, &header, sizeof header);
    if (head > sizes_off) {
        memcpy(out + sizes_off, (unsigned char *)record + sizes_off, head - sizes_off);
    }
    if (!fst_record_parse(out, available_bytes, shape) || shape->whole_bytes > available_bytes ||
        shape->whole_bytes < head) {
        return false;
    }
    const enum fst_record_kind kind = fst_header_kind(header);
    if (kind == FST_KIND_PAD_WORD) {
        return true;
    }
    if (kind != FST_KIND_PAD) {
        memcpy(out + head, (unsigned char *)record + head, shape->whole_bytes - head);
    }
    const uint32_t checksum =
        fst_record_checksum(out, shape, fst_addr_of(addr), log->checksum_seed);
    memcpy(out + offsetof(struct fst_record, guard), &checksum, sizeof checksum);
    return true;
}

/* Copies whole records of one page from walk_from until one reaches `to`, each to its offset
 * in the buffer. A pad's body becomes zero as far as it is written. Gives the end of what must
 * be written and the place where the next walk starts. */
static bool copy_part(const struct fst_hybrid_log *log, unsigned char *buffer, uint64_t to,
                      uint64_t *walk_from, uint64_t *write_end) {
    const uint64_t page_end = fst_log_page_end(log, to - 1);
    uint64_t addr = *walk_from;
    *write_end = to;
    while (addr < to) {
        unsigned char *out = buffer + fst_log_page_offset(log, addr);
        struct fst_record_shape shape;
        if (!copy_record(log, addr, out, (size_t)(page_end - addr), &shape)) {
            return false;
        }
        const uint64_t end = addr + shape.whole_bytes;
        const uint64_t header = fst_raw_header(out);
        if (fst_header_kind(header) == FST_KIND_PAD) {
            const uint64_t body = addr + header_bytes(header);
            const uint64_t kept = end == page_end ? fst_log_unit_up(body) : end;
            memset(buffer + fst_log_page_offset(log, body), 0, (size_t)(kept - body));
            *write_end = end == page_end ? fst_min_u64(kept, to) : to;
        }
        *walk_from = end <= to ? end : addr;
        addr = end;
    }
    return true;
}

/* One page's part of an image: [from, to) are record boundaries. */
static bool image_part(const struct fst_hybrid_log *log, uint64_t from, uint64_t to,
                       unsigned char *out) {
    for (uint64_t addr = from; addr < to;) {
        unsigned char *at = out + (addr - from);
        struct fst_record_shape shape;
        if (!copy_record(log, addr, at, (size_t)(to - addr), &shape)) {
            return false;
        }
        const uint64_t header = fst_raw_header(at);
        if (fst_header_kind(header) == FST_KIND_PAD) {
            memset(at + header_bytes(header), 0, shape.whole_bytes - header_bytes(header));
        }
        addr += shape.whole_bytes;
    }
    return true;
}

bool fst_log_image(struct fst_hybrid_log *log, fst_addr from, fst_addr to, void *out) {
    unsigned char *bytes = out;
    log->env->mutex_lock(log->env, log->service);
    fst_epoch_enter(log->epoch, log->slot);
    bool done = from.raw >= fst_log_head(log).raw && to.raw <= fst_log_tail(log).raw;
    for (uint64_t addr = from.raw; done && addr < to.raw;) {
        const uint64_t end = fst_min_u64(to.raw, fst_log_page_end(log, addr));
        done = image_part(log, addr, end, bytes + (addr - from.raw));
        addr = end;
    }
    fst_epoch_leave(log->epoch, log->slot);
    log->env->mutex_unlock(log->env, log->service);
    return done;
}

/* ---- health ---- */

/* Any thread reads it, the holder of `flush` writes it. */
static enum fst_log_health health_of(const struct fst_hybrid_log *log) {
    /* acquire: pairs with the release in set_health() */
    return (enum fst_log_health)fst_load_acquire_u32(&log->health);
}

/* BROKEN stays. */
static void set_health(struct fst_hybrid_log *log, enum fst_log_health health) {
    if (health_of(log) != FST_LOG_BROKEN) {
        /* release: pairs with the acquire in health_of() */
        fst_store_release_u32(&log->health, (uint32_t)health);
    }
}

enum faster_status fst_log_health(const struct fst_hybrid_log *log) {
    switch (health_of(log)) {
    case FST_LOG_HEALTHY:
        return FASTER_OK;
    case FST_LOG_NO_SPACE:
        return FASTER_FULL;
    case FST_LOG_BROKEN:
        break;
    }
    return FASTER_FAILED;
}

/* ---- flights ---- */

static struct fst_log_flight *flight_at(struct fst_hybrid_log *log, uint32_t nth) {
    return &log->flights[(log->flight_first + nth) % log->flight_count_max];
}

/* Runs in poll(), so under `flush`. */
static void flight_done(struct fst_io_request *request) {
    struct fst_log_flight *flight = request->context;
    struct fst_hybrid_log *log = flight->log;
    log->in_flight_count--;
    if (request->status == FASTER_OK && request->done_bytes == request->count_bytes) {
        flight->state = FST_FLIGHT_WRITTEN;
        flight->is_synced = request->kind == FST_IO_WRITE_SYNC;
        flight->is_retry = false;
    } else if (request->status == FASTER_FULL || request->status == FASTER_NOMEM) {
        log->lack = request->status;
        flight->state = FST_FLIGHT_NO_SPACE;
        flight->is_retry = true;
        log->no_space_count++;
    } else {
        flight->state = FST_FLIGHT_DEAD;
        set_health(log, FST_LOG_BROKEN);
    }
}

static void submit_flight(struct fst_hybrid_log *log, struct fst_log_flight *flight) {
    flight->state = FST_FLIGHT_WRITING;
    flight->request.status = FASTER_OK;
    flight->request.done_bytes = 0;
    log->in_flight_count++;
    log->device->ops->submit(log->device, log->queue, &flight->request);
}

/* Of the newest flight, which ends at `to`. Older ones that did not get through keep the log from
 * making flights, so what is not in flight is written. */
static enum fst_io_kind write_kind(const struct fst_hybrid_log *log, uint64_t to) {
    const bool ends_sync = log->sync_to != 0 && to >= log->sync_to && log->in_flight_count == 0;

    return ends_sync ? FST_IO_WRITE_SYNC : FST_IO_WRITE;
}

/* Makes the flight [submitted, to). False if the frame does not hold records: a bug of ours,
 * and nothing that may reach the disk. */
static bool start_flight(struct fst_hybrid_log *log, uint64_t to) {
    struct fst_log_flight *flight = flight_at(log, log->flight_count);
    const uint64_t from = log->submitted;
    const uint64_t raw_end = log->walk_from;
    unsigned char *start = flight->buffer + fst_log_page_offset(log, from);
    uint64_t write_end;
    assert(flight->state == FST_FLIGHT_FREE && raw_end <= to);
    if (raw_end > from) {
        memcpy(start, fst_log_memory(log, from), (size_t)(raw_end - from));
    }
    const bool copied = copy_part(log, flight->buffer, to, &log->walk_from, &write_end);
    assert(copied); /* else a frame holds something that is no record */
    if (!copied) {
        return false;
    }
    flight->from = from;
    flight->to = to;
    flight->is_retry = false;
    flight->is_synced = false;
    log->submitted = to;
    log->flight_count++;
    flight->state = FST_FLIGHT_WRITTEN;
    if (write_end > from) {
        flight->request = (struct fst_io_request){
            .kind = write_kind(log, to),
            .addr = fst_addr_of(from),
            .bytes = start,
            .count_bytes = (size_t)(write_end - from),
            .done = flight_done,
            .context = flight,
        };
        submit_flight(log, flight);
    }
    return true;
}

/* Starts flights while there are buffers and bytes that are final. None while an older one has
 * no space, and none above a partial unit that was not loaded (see hybrid_log_recover.c). */
static void start_flights(struct fst_hybrid_log *log) {
    while (health_of(log) == FST_LOG_HEALTHY && log->flight_count < log->flight_count_max &&
           log->submitted % FST_WRITE_UNIT_BYTES == 0) {
        /* acquire: pairs with read_only_is_safe(); bytes below are complete and final */
        const uint64_t safe = fst_log_unit_down(fst_load_acquire_u64(&log->safe_read_only));
        if (safe <= log->submitted) {
            return;
        }
        const uint64_t to = fst_min_u64(safe, fst_log_page_end(log, log->submitted));
        if (!start_flight(log, to)) {
            set_health(log, FST_LOG_BROKEN);
        }
    }
}

/* Sends those that had no space once more. */
static void retry_no_space(struct fst_hybrid_log *log) {
    if (log->no_space_count == 0 || health_of(log) == FST_LOG_BROKEN) {
        return;
    }
    log->no_space_count = 0;
    for (uint32_t i = 0; i < log->flight_count; i++) {
        struct fst_log_flight *flight = flight_at(log, i);
        if (flight->state == FST_FLIGHT_NO_SPACE) {
            submit_flight(log, flight);
        }
    }
}

/* Advances flushed over the oldest flights that are written. */
static void retire_flights(struct fst_hybrid_log *log) {
    bool lacks_space = false;
    while (log->flight_count > 0 && flight_at(log, 0)->state == FST_FLIGHT_WRITTEN) {
        struct fst_log_flight *flight = flight_at(log, 0);
        assert(fst_load_relaxed_u64(&log->flushed) == flight->from);
        /* release: pairs with the acquire in fst_log_flushed() */
        fst_store_release_u64(&log->flushed, flight->to);
        if (flight->is_synced) {
            fst_log_raise(&log->durable, flight->to);
        }
        flight->state = FST_FLIGHT_FREE;
        log->flight_first = (log->flight_first + 1) % log->flight_count_max;
        log->flight_count--;
    }
    for (uint32_t i = 0; i < log->flight_count; i++) {
        lacks_space |= flight_at(log, i)->is_retry;
    }
    set_health(log, lacks_space ? FST_LOG_NO_SPACE : FST_LOG_HEALTHY);
}

/* ---- the pump ---- */

void fst_log_pump(struct fst_hybrid_log *log, uint64_t timeout_ns) {
    start_flights(log);
    log->device->ops->poll(log->device, log->queue, log->in_flight_count > 0 ? timeout_ns : 0);
    retire_flights(log);
    fst_log_shift_head(log);
    start_flights(log);
    fst_log_assert_state(log);
}

void fst_log_pump_if_idle(struct fst_hybrid_log *log) {
    if (log->env->mutex_try_lock(log->env, log->flush)) {
        fst_log_pump(log, 0);
        log->env->mutex_unlock(log->env, log->flush);
    }
}

/* True if the next page can be entered: the caller of fst_log_help() need not wait. */
static bool has_room(const struct fst_hybrid_log *log) {
    /* acquire: pairs with head_is_safe(), though only a hint here */
    return fst_load_acquire_u64(&log->safe_head) >=
           fst_log_head_needed(log, fst_log_next_page(log));
}

/* Before FULL is reported. Other writes in flight may have met the full disk as well: they must
 * not tell the next caller so when there is room again. */
static enum faster_status report_no_space(struct fst_hybrid_log *log) {
    while (log->in_flight_count > 0 && health_of(log) != FST_LOG_BROKEN) {
        log->device->ops->poll(log->device, log->queue, FST_LOG_POLL_NS);
        retire_flights(log);
    }
    return log->lack;
}

/* One locked turn of fst_log_help(). Waits for the device only when memory is short. */
static enum faster_status help_locked(struct fst_hybrid_log *log) {
    retry_no_space(log);
    fst_log_pump(log, 0);
    if (log->no_space_count == 0 && log->in_flight_count > 0) {
        fst_log_pump(log, FST_LOG_POLL_NS);
    }
    if (health_of(log) == FST_LOG_BROKEN) {
        return FASTER_FAILED;
    }
    return log->no_space_count > 0 ? report_no_space(log) : FASTER_OK;
}

enum faster_status fst_log_help(struct fst_hybrid_log *log) {
    const struct faster_env *env = log->env;
    enum faster_status status = FASTER_OK;
    if (health_of(log) == FST_LOG_BROKEN) {
        return FASTER_FAILED;
    }
    if (fst_log_next_page(log) >= fst_log_page_of(log, FST_ADDR_MAX)) {
        return FASTER_FULL; /* no addresses are left */
    }
    fst_log_raise_read_only(log, fst_log_read_only(log).raw); /* if its bump was refused */
    fst_epoch_drain(log->epoch);
    if (has_room(log) && health_of(log) == FST_LOG_HEALTHY) {
        return FASTER_OK;
    }
    if (env->mutex_try_lock(env, log->flush)) {
        status = help_locked(log);
        env->mutex_unlock(env, log->flush);
    }
    fst_epoch_drain(log->epoch);
    if (status == FASTER_OK && !has_room(log)) {
        env->sleep_ns(env, FST_LOG_NAP_NS); /* another thread's turn: at the lock, or inside */
    }
    return status;
}

/* ---- sync ---- */

struct sync_wait {
    struct fst_io_request request;
    struct fst_hybrid_log *log;
    bool is_done;
};

static void sync_done(struct fst_io_request *request) {
    struct sync_wait *wait = request->context;
    wait->log->in_flight_count--;
    wait->is_done = true;
}

/* Lets others have the lock between two turns. */
static void yield_flush(struct fst_hybrid_log *log) {
    log->env->mutex_unlock(log->env, log->flush);
    log->env->yield(log->env);
    log->env->mutex_lock(log->env, log->flush);
}

/* Pumps until flushed >= until. REQUIRES flush, safe read-only >= until, a unit boundary. Each
 * turn ends with the device or finds it idle, and then everything safe is submitted. */
static enum faster_status write_until(struct fst_hybrid_log *log, uint64_t until) {
    if (log->submitted % FST_WRITE_UNIT_BYTES != 0) {
        return FASTER_MISUSE; /* fst_log_load_partial_unit() was not called */
    }
    retry_no_space(log);
    for (;;) {
        fst_log_pump(log, 0);
        if (fst_load_relaxed_u64(&log->flushed) >= until) {
            return FASTER_OK;
        }
        if (health_of(log) == FST_LOG_BROKEN) {
            return FASTER_IO;
        }
        if (log->no_space_count > 0) {
            return report_no_space(log);
        }
        fst_log_pump(log, FST_LOG_POLL_NS);
        yield_flush(log);
    }
}

/* Makes what is flushed durable. REQUIRES flush. Unless the device says that it was not tried
 * (FULL, NOMEM), a failure leaves the disk's state unknown and is therefore final. */
static enum faster_status sync_device(struct fst_hybrid_log *log) {
    struct sync_wait wait = {.log = log, .is_done = false};
    const uint64_t covered = fst_load_relaxed_u64(&log->flushed);
    wait.request = (struct fst_io_request){
        .kind = FST_IO_SYNC, .done = sync_done, .context = &wait, .status = FASTER_OK};
    log->in_flight_count++;
    log->device->ops->submit(log->device, log->queue, &wait.request);
    for (;;) {
        fst_log_pump(log, FST_LOG_POLL_NS);
        if (wait.is_done) {
            break;
        }
        yield_flush(log);
    }
    if (wait.request.status == FASTER_FULL || wait.request.status == FASTER_NOMEM) {
        return wait.request.status;
    }
    if (wait.request.status != FASTER_OK) {
        set_health(log, FST_LOG_BROKEN);
        return FASTER_IO;
    }
    if (health_of(log) == FST_LOG_BROKEN) {
        return FASTER_IO; /* another's sync failed meanwhile: what ours means is unknown */
    }
    fst_log_raise(&log->durable, covered);
    return FASTER_OK;
}

/* A record boundary up to which writing gets [.., until) to the device. `until` is one itself
 * when it is a unit boundary; else its unit ends somewhere in a record, or in a pad now made. */
static enum faster_status close_unit(struct fst_hybrid_log *log, uint64_t until, fst_addr *to) {
    if (until % FST_WRITE_UNIT_BYTES == 0) {
        *to = fst_addr_of(until);
        return FASTER_OK;
    }
    *to = fst_log_tail(log);
    return to->raw >= fst_log_unit_up(until) ? FASTER_OK : fst_log_seal_tail(log, to);
}

enum faster_status fst_log_sync(struct fst_hybrid_log *log, fst_addr until) {
    const struct faster_env *env = log->env;
    fst_addr boundary;
    if (fst_log_durable(log).raw >= until.raw) {
        return FASTER_OK;
    }
    if (health_of(log) == FST_LOG_BROKEN) {
        return FASTER_FAILED;
    }
    enum faster_status status = close_unit(log, until.raw, &boundary);
    if (status != FASTER_OK) {
        return status;
    }
    fst_log_freeze(log, boundary);
    env->mutex_lock(env, log->flush);
    log->sync_to = fst_log_unit_up(until.raw);
    status = write_until(log, log->sync_to);
    log->sync_to = 0;
    if (status == FASTER_OK && fst_log_durable(log).raw < until.raw) {
        status = sync_device(log);
    }
    env->mutex_unlock(env, log->flush);
    return status;
}
