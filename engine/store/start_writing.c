/* start_writing.c - fixing the tail before the first write after an open (layer 4).
 *
 * Until then nothing was written. Bytes may lie on disk beyond the newest commit: of
 * transactions that were rolled back, or whose commit the decider lost. Their addresses are
 * never used again: a JUMP record at the recovered end leads to a page beyond every
 * existing byte, and is synced before anything is appended there. A log that ended cleanly
 * (nothing but its own padding follows) goes on without a jump.
 *
 * One kind of dead bytes is kept: a transaction that was prepared on top of the newest commit.
 * Its row may still come back (a failed sync had written it, and the decider forgets that it
 * failed when it is killed). The jump stands behind its control record; recovery finds that
 * the next commit does not name it, and hides it.
 *
 * A direct store has no such transactions. After a jump it goes on in the next version but one,
 * so that records which no cut has covered stay without.
 */
#include "store/start_writing.h"

#include "base/bytes.h"
#include "shapes/format_codec.h"
#include "store/log_cursor.h"
#include "store/txn.h"

/* What a process that was killed has left may still be in the page cache only: bytes below E, and
 * the names of segments beyond, in which writing may go on. */
static enum faster_status sync_existing(struct faster_store *store, fst_addr end) {
    fst_addr synced = fst_addr_of(store->manifest.durable_end);
    return fst_addr_below(synced, end) ? store->device->ops->sync_existing(store->device, synced)
                                       : FASTER_OK;
}

/* Writes the bytes that were read, and no more: a file may end with the header of a page's last
 * pad, and a read may have ended early, with more on disk. */
static enum faster_status write_back(struct faster_store *store, fst_addr at, unsigned char *bytes,
                                     size_t count) {
    size_t done;
    enum faster_status status =
        fst_device_run(store->device, store->queue, FST_IO_WRITE, at, bytes, count, &done);
    return status == FASTER_OK && done < count ? FASTER_IO : status;
}

/* Writes what is on disk of [at, end) once more. A jump may lead over a part that is not there. */
static enum faster_status rewrite_range(struct faster_store *store, uint64_t at, uint64_t end,
                                        void *buffer) {
    const uint64_t page_bytes = fst_log_page_bytes(store->log);
    enum faster_status status = FASTER_OK;
    while (status == FASTER_OK && at < end) {
        const size_t count = (size_t)(fst_min_u64(end, fst_block_end_u64(at, page_bytes)) - at);
        size_t done = 0;
        status = fst_device_run(store->device, store->queue, FST_IO_READ, fst_addr_of(at), buffer,
                                count, &done);
        if (status == FASTER_OK && done > 0) {
            status = write_back(store, fst_addr_of(at), buffer, done);
        }
        at += count;
    }
    return status;
}

/* Bytes can be read that are not safe: an earlier sync failed, and left them in the page cache as
 * clean, so that the next sync passes over them. What the log goes on behind is written again, with
 * the same bytes: redo that was found on disk, a direct store's last cut, and a transaction that
 * was prepared and has no row. If that one were damaged, no later commit could be read. */
static enum faster_status rewrite_unsynced(struct faster_store *store) {
    const struct fst_address_range ranges[2] = {store->redo_on_disk, store->prepared_on_disk};
    const uint64_t page_bytes = fst_log_page_bytes(store->log);
    enum faster_status status = FASTER_OK;
    if (store->in_memory || (ranges[0].end == 0 && ranges[1].end == 0)) {
        return FASTER_OK;
    }
    void *buffer = store->env->map(store->env, (size_t)page_bytes);
    if (buffer == NULL) {
        return FASTER_NOMEM;
    }
    for (int i = 0; i < 2 && status == FASTER_OK; i++) {
        status = rewrite_range(store, fst_align_down_u64(ranges[i].start, FST_WRITE_UNIT_BYTES),
                               fst_align_up_u64(ranges[i].end, FST_WRITE_UNIT_BYTES), buffer);
    }
    store->env->unmap(store->env, buffer, (size_t)page_bytes);
    return status;
}

/* True if the unit in which the log ends holds nothing but the log and its padding, and is all
 * there: a write that a full disk cut short may have left the padding's header, and not its end. */
static bool ends_with_padding(struct faster_store *store, fst_addr end, fst_addr unit_end) {
    unsigned char bytes[FST_WRITE_UNIT_BYTES];
    size_t count = (size_t)(unit_end.raw - end.raw);
    size_t done;
    struct fst_record_shape shape;
    if (count == 0) {
        return true;
    }
    enum faster_status status =
        fst_device_run(store->device, store->queue, FST_IO_READ, end, bytes, count, &done);
    if (status != FASTER_OK || done < count ||
        !fst_record_is_intact(bytes, count, end, store->checksum_seed, &shape)) {
        return false;
    }
    enum fst_record_kind kind = fst_header_kind(fst_raw_header(bytes));
    return (kind == FST_KIND_PAD || kind == FST_KIND_PAD_WORD) && shape.whole_bytes == count;
}

static bool is_prepared_next(const struct faster_store *store, const struct fst_log_item *item) {
    struct fst_control control;
    struct fst_range_list ranges;
    return fst_control_decode(fst_log_item_value(item), item->shape.value_bytes, &control,
                              &ranges) &&
           control.end == item->addr.raw + item->shape.whole_bytes &&
           control.previous_control_address == store->committed.control_address &&
           control.previous_number == store->committed.number &&
           control.index_bits <= fst_hash_index_bits(store->index);
}

/* Moves *end past the last control record on disk that names the newest commit as its
 * predecessor, if intact records lead there. */
static enum faster_status skip_prepared(struct faster_session *session, fst_addr existing_end,
                                        fst_addr *end) {
    struct fst_log_cursor cursor;
    struct fst_log_item item;
    enum faster_status status = fst_log_cursor_init(&cursor, session, *end, existing_end, true);
    while (status == FASTER_OK) {
        status = fst_log_cursor_next(&cursor, &item);
        if (status != FASTER_OK || fst_header_kind(item.header) == FST_KIND_JUMP) {
            break;
        }
        if (fst_header_kind(item.header) == FST_KIND_CONTROL) {
            if (!is_prepared_next(session->store, &item)) {
                break;
            }
            *end = fst_addr_plus(item.addr, item.shape.whole_bytes);
        }
    }
    fst_log_cursor_finish(&cursor);
    return status == FASTER_END || status == FASTER_CORRUPT ? FASTER_OK : status;
}

/* A jump that was appended but could not be written (a full disk) is not appended again. */
static enum faster_status jump(struct faster_session *session, fst_addr existing_end) {
    struct faster_store *store = session->store;
    if (store->jump_target != 0) {
        return fst_log_jump(store->log, fst_addr_of(store->jump_target));
    }
    struct fst_jump value = {.last_control_address = store->committed.control_address,
                             .last_number = store->committed.number,
                             .index_bits = fst_hash_index_bits(store->index)};
    uint64_t page_bytes = fst_log_page_bytes(store->log);
    enum faster_status status = fst_log_load_partial_unit(store->log, store->queue);
    if (status == FASTER_OK) {
        status = fst_draw_nonce(store->env, &value.nonce);
    }
    if (status != FASTER_OK) {
        return status;
    }
    /* The jump itself may have to go to the next page; beyond that it needs one more. */
    uint64_t beyond = fst_max_u64(existing_end.raw, fst_log_tail(store->log).raw + page_bytes);
    value.target = fst_align_up_u64(beyond, page_bytes) + page_bytes;
    if (value.target > FST_ADDR_MAX - page_bytes) {
        return fst_session_fail(session, FASTER_FULL, "the log has no addresses left");
    }
    fst_addr addr;
    status = fst_append_unchained(session, FST_KIND_JUMP, &value, sizeof value, NULL, &addr);
    if (status != FASTER_OK) {
        return status;
    }
    store->jump_target = value.target;
    return fst_log_jump(store->log, fst_addr_of(value.target));
}

/* What lies between the newest commit and `end` never counted. A catch-up that failed may even
 * have linked such records. No later commit may bring them into view. */
static enum faster_status hide_uncommitted(struct faster_store *store, fst_addr end) {
    uint64_t linked_to = fst_load_relaxed_u64(&store->on_disk_below);
    return fst_aborted_add(&store->aborted, store->committed.end, fst_max_u64(end.raw, linked_to));
}

/* Nothing below is written in this life: the log in memory begins at its head, and what is written
 * once more is in the ranges. See primitives/segment_unshare.c. */
uint64_t fst_first_written(const struct faster_store *store, uint64_t end) {
    const struct fst_address_range ranges[2] = {store->redo_on_disk, store->prepared_on_disk};
    uint64_t first = fst_min_u64(end, fst_log_head(store->log).raw);
    for (int i = 0; i < 2; i++) {
        first = ranges[i].end == 0 ? first : fst_min_u64(first, ranges[i].start);
    }
    return fst_align_down_u64(first, FST_WRITE_UNIT_BYTES);
}

static enum faster_status unshare(struct faster_store *store, fst_addr end) {
    const fst_addr first = fst_addr_of(fst_first_written(store, end.raw));
    return store->device->ops->unshare(store->device, first);
}

/* Where writing goes on, with all below durable. Rows that wait in memory come after what is
 * on disk: then no prepared transaction does. */
static enum faster_status find_end(struct faster_session *session, fst_addr *end,
                                   fst_addr *existing_end) {
    struct faster_store *store = session->store;
    fst_addr first;
    *end = fst_log_tail(store->log);
    enum faster_status status = store->device->ops->extent(store->device, &first, existing_end);
    if (status == FASTER_OK && !store->direct && store->jump_target == 0 &&
        fst_addr_equal(fst_log_head(store->log), *end)) {
        fst_addr tail = *end;
        status = skip_prepared(session, *existing_end, end);
        if (status == FASTER_OK && fst_addr_below(tail, *end)) {
            fst_log_resume(store->log, fst_log_begin(store->log), *end);
            store->prepared_on_disk = (struct fst_address_range){tail.raw, end->raw};
        }
    }
    if (status == FASTER_OK) {
        status = unshare(store, *end);
    }
    if (status == FASTER_OK) {
        status = rewrite_unsynced(store);
    }
    if (status == FASTER_OK) {
        status = sync_existing(store, fst_addr_max(*end, *existing_end));
    }
    return status == FASTER_OK ? status
                               : fst_session_fail(session, status,
                                                  "the log's files cannot be prepared for writing");
}

enum faster_status fst_start_writing(struct faster_session *session) {
    struct faster_store *store = session->store;
    fst_addr end;
    fst_addr existing_end;
    enum faster_status status = find_end(session, &end, &existing_end);
    if (status == FASTER_OK) {
        status = hide_uncommitted(store, end);
    }
    if (status != FASTER_OK) {
        return status;
    }
    fst_addr unit_end = fst_addr_align_up(end, FST_WRITE_UNIT_BYTES);
    bool all_on_disk = fst_addr_equal(fst_log_head(store->log), end);
    bool clean = store->jump_target == 0 && !store->has_void_records && all_on_disk &&
                 existing_end.raw <= unit_end.raw && ends_with_padding(store, end, unit_end);
    if (clean) {
        fst_log_resume(store->log, fst_log_begin(store->log), unit_end);
    } else {
        status = jump(session, existing_end);
    }
    if (status == FASTER_OK) {
        store->writing_started = true;
        /* release: pairs with the acquire of whoever reads the version; see procedures/cut.h */
        fst_store_release_u64(&store->version, store->committed.number + (clean ? 1 : 2));
        store->jump_target = 0;
        fst_names_synced(store); /* what was recovered is */
        store->obsolete_below = store->committed.number;
        fst_triggers_start_writing(store);
    }
    return status;
}
