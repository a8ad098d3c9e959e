/* hybrid_log_recover.c - a log that goes on where another life of it ended (layer 3).
 *
 * While these functions run nobody appends, and nothing in memory is unwritten except bytes
 * of redo rows, which count as final. So all positions may be moved together; they move from
 * right to left, so that whoever loads them from left to right sees them in order. Readers may
 * be inside the epoch: frames are reused only after safe head has followed.
 *
 * A log may end in the middle of a write unit. Its first write then repeats the unit's
 * beginning, byte for byte as it is on the device, from fst_log_load_partial_unit(). Those
 * bytes lie below head, so no reader meets their checksums in memory.
 */
#include "structures/hybrid_log_internal.h"

/* Makes everything below `end` count as on the device only, and memory empty. */
static void restart(struct fst_hybrid_log *log, uint64_t end) {
    log->env->mutex_lock(log->env, log->flush);
    assert(end >= fst_log_tail(log).raw && end <= FST_ADDR_MAX);
    assert(log->flight_count == 0 && log->walk_from == fst_log_tail(log).raw);
    log->resumed_end = end;
    fst_log_raise(&log->tail, end);
    fst_log_raise(&log->read_only, end);
    fst_log_raise(&log->bumped_read_only, end);
    fst_log_raise(&log->safe_read_only, end);
    log->submitted = end;
    log->walk_from = end;
    fst_log_raise(&log->flushed, end);
    fst_log_raise(&log->durable, end);
    fst_log_raise_head(log, end);
    log->env->mutex_unlock(log->env, log->flush);
    fst_log_await_head(log, end);
}

void fst_log_resume(struct fst_hybrid_log *log, fst_addr begin, fst_addr end) {
    fst_log_raise(&log->begin, begin.raw);
    restart(log, end.raw);
}

/* ---- redo ---- */

/* True if all pages up to `last_page` fit the frames, evicting what is written. */
static bool make_room(struct fst_hybrid_log *log, uint64_t last_page) {
    const uint64_t needed = fst_log_head_needed(log, last_page);
    if (fst_log_head(log).raw < needed) {
        log->env->mutex_lock(log->env, log->flush);
        if (fst_log_flushed(log).raw >= needed) {
            fst_log_raise_head(log, needed);
        }
        log->env->mutex_unlock(log->env, log->flush);
    }
    if (fst_log_head(log).raw < needed) {
        return false;
    }
    fst_log_await_head(log, needed);
    return true;
}

static void copy_to_frames(struct fst_hybrid_log *log, uint64_t from, uint64_t to,
                           const unsigned char *bytes) {
    for (uint64_t addr = from; addr < to;) {
        const uint64_t end = fst_min_u64(to, fst_log_page_end(log, addr));
        memcpy(fst_log_memory(log, addr), bytes + (addr - from), (size_t)(end - addr));
        addr = end;
    }
}

/* Turns checksums back into guards. False if the bytes are not a sequence of whole records. */
static bool reset_guards(struct fst_hybrid_log *log, uint64_t from, uint64_t to) {
    for (uint64_t addr = from; addr < to;) {
        const uint64_t end = fst_min_u64(to, fst_log_page_end(log, addr));
        struct fst_record *record = fst_log_at(log, fst_addr_of(addr));
        struct fst_record_shape shape;
        if (!fst_record_parse(record, (size_t)(end - addr), &shape) || shape.whole_bytes == 0 ||
            shape.whole_bytes > end - addr) {
            return false;
        }
        if (fst_header_kind(fst_raw_header(record)) != FST_KIND_PAD_WORD) {
            /* relaxed: published with the tail */
            fst_store_relaxed_u32(&record->guard, 0);
        }
        addr += shape.whole_bytes;
    }
    return true;
}

enum faster_status fst_log_append_redo(struct fst_hybrid_log *log, const void *bytes,
                                       size_t count_bytes) {
    const uint64_t from = fst_log_tail(log).raw;
    if (count_bytes == 0) {
        return FASTER_OK;
    }
    if (count_bytes > FST_ADDR_MAX - from) {
        return FASTER_CORRUPT;
    }
    const uint64_t to = from + count_bytes;
    if (!make_room(log, fst_log_page_of(log, to - 1))) {
        return FASTER_FULL;
    }
    /* Above the tail nobody reads: bytes that turn out to be no records do no harm. */
    copy_to_frames(log, from, to, bytes);
    if (!reset_guards(log, from, to)) {
        return FASTER_CORRUPT;
    }
    /* release, all three: the bytes come before the positions that give access to them */
    fst_log_raise(&log->tail, to);
    fst_log_raise(&log->read_only, to);
    fst_log_raise(&log->bumped_read_only, to);
    fst_log_raise(&log->safe_read_only, to);
    return FASTER_OK;
}

/* ---- the first write ---- */

/* REQUIRES flush; no flight uses a buffer. */
static enum faster_status load_unit(struct fst_hybrid_log *log, struct fst_device_queue *queue,
                                    uint64_t unit, uint64_t end) {
    unsigned char *buffer = log->flights[0].buffer;
    size_t done_bytes = 0;
    const enum faster_status status =
        fst_device_run(log->device, queue, FST_IO_READ, fst_addr_of(unit), buffer,
                       FST_WRITE_UNIT_BYTES, &done_bytes);
    if (status == FASTER_MISSING || status == FASTER_CORRUPT ||
        (status == FASTER_OK && done_bytes < end - unit)) {
        return FASTER_CORRUPT;
    }
    if (status != FASTER_OK) {
        return FASTER_IO;
    }
    memcpy(fst_log_memory(log, unit), buffer, (size_t)(end - unit));
    log->submitted = unit;
    assert(log->walk_from == end);
    /* release: pairs with the acquire in fst_log_flushed() */
    fst_store_release_u64(&log->flushed, unit);
    return FASTER_OK;
}

enum faster_status fst_log_load_partial_unit(struct fst_hybrid_log *log,
                                             struct fst_device_queue *queue) {
    enum faster_status status = FASTER_OK;
    log->env->mutex_lock(log->env, log->flush);
    const uint64_t end = log->submitted;
    const uint64_t unit = fst_log_unit_down(end);
    if (unit != end) {
        assert(log->flight_count == 0 && end == log->resumed_end);
        status = load_unit(log, queue, unit, end);
    }
    log->env->mutex_unlock(log->env, log->flush);
    return status;
}

enum faster_status fst_log_jump(struct fst_hybrid_log *log, fst_addr target) {
    fst_addr sealed;
    assert(fst_log_page_offset(log, target.raw) == 0);
    enum faster_status status = fst_log_seal_tail(log, &sealed);
    if (status == FASTER_OK) {
        status = fst_log_sync(log, sealed);
    }
    if (status != FASTER_OK) {
        return status;
    }
    if (target.raw < sealed.raw || target.raw > FST_ADDR_MAX) {
        return FASTER_MISUSE;
    }
    restart(log, target.raw);
    return FASTER_OK;
}
