/* log_cursor.c - reading the log record by record, from memory and disk (layer 4). */
#include "store/log_cursor.h"

#include "base/bytes.h"
#include "shapes/format_codec.h"

static uint64_t page_bytes_of(const struct fst_log_cursor *cursor) {
    return fst_log_page_bytes(cursor->session->store->log);
}

static void *take_spare(struct faster_store *store, size_t i) {
    /* acq_rel: pairs with itself, as below: who used the buffer before has left it */
    return fst_exchange_acq_rel_ptr(&store->spare_buffers[i], NULL);
}

/* The buffers of the last scan are kept for the next one: fresh memory costs a page fault for each
 * 4 KiB of it, more than reading them. */
static void *take_buffer(struct faster_store *store) {
    void *buffer = NULL;
    for (size_t i = 0; buffer == NULL && i < FST_SPARE_BUFFERS; i++) {
        buffer = take_spare(store, i);
    }
    return buffer != NULL ? buffer
                          : store->env->map(store->env, (size_t)fst_log_page_bytes(store->log));
}

static void give_buffer(struct faster_store *store, void *buffer) {
    for (size_t i = 0; buffer != NULL && i < FST_SPARE_BUFFERS; i++) {
        /* acq_rel: pairs with take_spare() */
        buffer = fst_exchange_acq_rel_ptr(&store->spare_buffers[i], buffer);
    }
    if (buffer != NULL) {
        store->env->unmap(store->env, buffer, (size_t)fst_log_page_bytes(store->log));
    }
}

void fst_log_cursor_release_spares(struct faster_store *store) {
    for (size_t i = 0; i < FST_SPARE_BUFFERS; i++) {
        void *buffer = take_spare(store, i);
        if (buffer != NULL) {
            store->env->unmap(store->env, buffer, (size_t)fst_log_page_bytes(store->log));
        }
    }
}

enum faster_status fst_log_cursor_init(struct fst_log_cursor *cursor,
                                       struct faster_session *session, fst_addr from,
                                       fst_addr until, bool with_read_ahead) {
    struct faster_store *store = session->store;
    *cursor = (struct fst_log_cursor){.session = session, .at = from, .until = until};
    enum faster_status status = store->device->ops->queue_open(store->device, &cursor->queue);
    if (status != FASTER_OK) {
        return status;
    }
    cursor->buffer = take_buffer(store);
    if (with_read_ahead) {
        cursor->ahead_buffer = take_buffer(store);
    }
    if (cursor->buffer == NULL || (with_read_ahead && cursor->ahead_buffer == NULL)) {
        fst_log_cursor_finish(cursor);
        return FASTER_NOMEM;
    }
    return FASTER_OK;
}

static void wait_for_ahead(struct fst_log_cursor *cursor) {
    struct fst_device *device = cursor->session->store->device;
    while (cursor->ahead_submitted && !cursor->ahead_done) {
        device->ops->poll(device, cursor->queue, FST_POLL_NS);
    }
}

void fst_log_cursor_finish(struct fst_log_cursor *cursor) {
    if (cursor->session == NULL || cursor->queue == NULL) {
        return;
    }
    struct faster_store *store = cursor->session->store;
    wait_for_ahead(cursor);
    give_buffer(store, cursor->buffer);
    give_buffer(store, cursor->ahead_buffer);
    store->device->ops->queue_close(store->device, cursor->queue);
    *cursor = (struct fst_log_cursor){0};
}

static void ahead_completed(struct fst_io_request *request) {
    struct fst_log_cursor *cursor = request->context;
    cursor->ahead_done = true;
}

/* The end of the stretch that starts at `at`: its page's end, or `until`. */
static fst_addr stretch_end(const struct fst_log_cursor *cursor, fst_addr at) {
    fst_addr page_end = fst_addr_of(fst_block_end_u64(at.raw, page_bytes_of(cursor)));
    return fst_addr_min(page_end, cursor->until);
}

static void submit_ahead(struct fst_log_cursor *cursor, fst_addr from) {
    struct fst_device *device = cursor->session->store->device;
    if (cursor->ahead_buffer == NULL || !fst_addr_below(from, cursor->until) ||
        !fst_addr_below(from, fst_log_head(cursor->session->store->log))) {
        return;
    }
    fst_addr to = stretch_end(cursor, from);
    cursor->ahead = (struct fst_io_request){.kind = FST_IO_READ,
                                            .addr = from,
                                            .bytes = cursor->ahead_buffer,
                                            .count_bytes = (size_t)(to.raw - from.raw),
                                            .done = ahead_completed,
                                            .context = cursor};
    cursor->ahead_done = false;
    cursor->ahead_submitted = true;
    device->ops->submit(device, cursor->queue, &cursor->ahead);
    fst_device_flush(device, cursor->queue); /* it is for the time until the next poll */
}

/* Takes over the page that was read ahead, if it is the one wanted. */
static bool take_ahead(struct fst_log_cursor *cursor, fst_addr end, enum faster_status *status) {
    if (!cursor->ahead_submitted) {
        return false;
    }
    wait_for_ahead(cursor);
    cursor->ahead_submitted = false;
    if (!fst_addr_equal(cursor->ahead.addr, cursor->at) ||
        cursor->ahead.count_bytes < end.raw - cursor->at.raw) {
        return false;
    }
    unsigned char *buffer = cursor->buffer;
    cursor->buffer = cursor->ahead_buffer;
    cursor->ahead_buffer = buffer;
    *status = cursor->ahead.status;
    return true;
}

static enum faster_status load_from_disk(struct fst_log_cursor *cursor, fst_addr end) {
    struct faster_store *store = cursor->session->store;
    enum faster_status status = FASTER_OK;
    if (!take_ahead(cursor, end, &status)) {
        size_t done;
        status = fst_device_run(store->device, cursor->queue, FST_IO_READ, cursor->at,
                                cursor->buffer, (size_t)(end.raw - cursor->at.raw), &done);
    }
    if (status != FASTER_OK) {
        if (status == FASTER_FOREIGN) {
            return fst_session_fail_foreign(cursor->session, cursor->at.raw);
        }
        /* A segment that should be there and is not is damage. */
        return status == FASTER_MISSING ? FASTER_CORRUPT : status;
    }
    cursor->from_disk = true;
    submit_ahead(cursor, fst_addr_of(fst_block_end_u64(cursor->at.raw, page_bytes_of(cursor))));
    return FASTER_OK;
}

/* Word by word: the records are final, but whoever has not noticed may still take a guard, or
 * seal one. */
static void copy_words(void *to, const void *from, size_t count_bytes) {
    const fst_atomic_u64 *words = from;
    unsigned char *out = to;
    for (size_t i = 0; i < count_bytes / sizeof(uint64_t); i++) {
        uint64_t word = fst_load_relaxed_u64(&words[i]);
        memcpy(out + i * sizeof word, &word, sizeof word);
    }
}

/* Copies what is in memory. False if it has been evicted meanwhile. */
static bool load_from_memory(struct fst_log_cursor *cursor, fst_addr end) {
    struct faster_store *store = cursor->session->store;
    fst_epoch_enter(store->epoch, cursor->session->slot);
    bool in_memory = !fst_addr_below(cursor->at, fst_log_head(store->log));
    if (in_memory) {
        copy_words(cursor->buffer, fst_log_at(store->log, cursor->at),
                   (size_t)(end.raw - cursor->at.raw));
        cursor->from_disk = false;
    }
    fst_epoch_leave(store->epoch, cursor->session->slot);
    return in_memory;
}

/* A truncation may overtake the cursor: what lies below begin is dead in every open view. */
static bool skip_truncated(struct fst_log_cursor *cursor) {
    fst_addr begin = fst_log_begin(cursor->session->store->log);
    if (!fst_addr_below(cursor->at, begin)) {
        return false;
    }
    cursor->at = begin;
    return true;
}

/* Above the tail nothing is in memory yet: during recovery that part is on disk as well. */
static enum faster_status load(struct fst_log_cursor *cursor) {
    struct fst_hybrid_log *log = cursor->session->store->log;
    enum faster_status status = FASTER_OK;
    fst_addr end;
    for (;;) {
        fst_addr head = fst_log_head(log);
        fst_addr tail = fst_log_tail(log);
        end = stretch_end(cursor, cursor->at);
        if (fst_addr_below(cursor->at, head) || !fst_addr_below(cursor->at, tail)) {
            if (fst_addr_below(cursor->at, head)) {
                end = fst_addr_min(end, head);
            }
            status = load_from_disk(cursor, end);
            break;
        }
        end = fst_addr_min(end, tail);
        if (load_from_memory(cursor, end)) {
            break;
        }
    }
    if (status == FASTER_OK) {
        cursor->loaded_from = cursor->at;
        cursor->loaded_to = end;
    }
    return status;
}

static bool is_loaded(const struct fst_log_cursor *cursor) {
    return !fst_addr_below(cursor->at, cursor->loaded_from) &&
           fst_addr_below(cursor->at, cursor->loaded_to);
}

/* Decodes the record at cursor->at. */
static bool decode(const struct fst_log_cursor *cursor, struct fst_log_item *item) {
    const struct faster_store *store = cursor->session->store;
    size_t available = (size_t)(cursor->loaded_to.raw - cursor->at.raw);
    item->addr = cursor->at;
    item->bytes = cursor->buffer + (cursor->at.raw - cursor->loaded_from.raw);
    if (cursor->from_disk) {
        if (!fst_record_is_intact(item->bytes, available, item->addr, store->checksum_seed,
                                  &item->shape)) {
            return false;
        }
    } else if (!fst_record_parse(item->bytes, available, &item->shape) ||
               item->shape.whole_bytes > available) {
        return false;
    }
    item->header = fst_raw_header(item->bytes);
    return true;
}

static bool is_pad(const struct fst_log_item *item) {
    enum fst_record_kind kind = fst_header_kind(item->header);
    return kind == FST_KIND_PAD || kind == FST_KIND_PAD_WORD;
}

bool fst_log_cursor_at_stretch_end(struct fst_log_cursor *cursor) {
    struct fst_log_item item;
    while (is_loaded(cursor) && decode(cursor, &item) && is_pad(&item)) {
        cursor->at = fst_addr_plus(cursor->at, item.shape.whole_bytes);
    }
    return !is_loaded(cursor);
}

bool fst_log_cursor_skip_block(struct fst_log_cursor *cursor, uint64_t block_bytes) {
    cursor->at = fst_addr_of(fst_block_end_u64(cursor->at.raw, block_bytes));
    return fst_addr_below(cursor->at, cursor->until);
}

static bool follow_jump(struct fst_log_cursor *cursor, const struct fst_log_item *item) {
    struct fst_jump jump;
    const struct faster_store *store = cursor->session->store;
    if (!fst_jump_decode(fst_log_item_value(item), item->shape.value_bytes, store->budget.page_bits,
                         &jump) ||
        jump.target <= cursor->at.raw) {
        return false;
    }
    cursor->at = fst_addr_of(jump.target);
    return true;
}

enum faster_status fst_log_cursor_next(struct fst_log_cursor *cursor, struct fst_log_item *item) {
    for (;;) {
        if (!fst_addr_below(cursor->at, cursor->until)) {
            return FASTER_END;
        }
        if (!is_loaded(cursor)) {
            if (skip_truncated(cursor)) {
                continue;
            }
            enum faster_status status = load(cursor);
            if (status != FASTER_OK && skip_truncated(cursor)) {
                continue; /* the segment was unlinked meanwhile */
            }
            if (status != FASTER_OK) {
                return status;
            }
        }
        if (!decode(cursor, item)) {
            return FASTER_CORRUPT;
        }
        if (fst_header_kind(item->header) == FST_KIND_JUMP) {
            return follow_jump(cursor, item) ? FASTER_OK : FASTER_CORRUPT;
        }
        cursor->at = fst_addr_plus(cursor->at, item->shape.whole_bytes);
        if (!is_pad(item)) {
            return FASTER_OK;
        }
    }
}
