/* pending_walk.c - following a chain on disk, and gathering a large value (layer 4). */
#include "base/bytes.h"
#include "store/operations.h"
#include "store/pending_internal.h"

#define SECTOR_BYTES 512u

static void read_done(struct fst_io_request *request);

static void end_walk(struct fst_pending *slot, enum fst_walk walk) {
    slot->walk = walk;
    fst_pending_end(slot);
}

/* Reads `count_bytes` from the record's start on, in whole sectors, to an address that is a
 * multiple of one: so a device that goes past the system's cache needs no copy. A record never
 * leaves its page, and pages are whole sectors. */
static void read_record(struct fst_pending *slot, uint64_t count_bytes) {
    struct faster_store *store = slot->session->store;
    uint64_t page_end = (slot->at.raw | (fst_log_page_bytes(store->log) - 1)) + 1;
    fst_addr first = fst_addr_align_down(slot->at, SECTOR_BYTES);
    fst_addr end = fst_addr_align_up(fst_addr_plus(slot->at, count_bytes), SECTOR_BYTES);
    if (end.raw > page_end) {
        end.raw = page_end;
    }
    size_t bytes = (size_t)(end.raw - first.raw);
    switch (fst_pool_lend(slot, &slot->buffer, bytes + SECTOR_BYTES)) {
    case FST_LEND_OK:
        break;
    case FST_LEND_LATER:
        fst_pending_starve(slot, &slot->buffer, bytes + SECTOR_BYTES, count_bytes);
        return;
    case FST_LEND_NOMEM:
        fst_walk_fail(slot, FASTER_NOMEM);
        return;
    }
    uint64_t memory = (uint64_t)(uintptr_t)slot->buffer.data;
    size_t pad_bytes = (size_t)(fst_align_up_u64(memory, SECTOR_BYTES) - memory);
    slot->skip_bytes = (uint32_t)(pad_bytes + (slot->at.raw - first.raw));
    slot->buffer.size_bytes = pad_bytes + bytes;
    slot->io = (struct fst_io_request){.kind = FST_IO_READ,
                                       .addr = first,
                                       .bytes = (unsigned char *)slot->buffer.data + pad_bytes,
                                       .count_bytes = bytes,
                                       .done = read_done,
                                       .context = slot};
    fst_session_count(&slot->session->counters.disk_reads, 1);
    fst_session_count(&slot->session->counters.disk_read_bytes, bytes);
    slot->session->in_flight_count++;
    store->device->ops->submit(store->device, slot->session->queue, &slot->io);
}

/* ---- values larger than a page ---- */

static void gather(struct fst_pending *slot) {
    struct fst_chunk_reader *chunks = &slot->chunks;
    enum fst_chunk_step step = FST_CHUNK_TAKEN;
    while (chunks->left_count > 0 && step == FST_CHUNK_TAKEN && !chunks->differs) {
        step = fst_chunk_reader_step(chunks);
    }
    switch (step) {
    case FST_CHUNK_TAKEN:
        slot->is_gathering = false;
        slot->has_value = true;
        end_walk(slot, FST_WALK_FOUND);
        break;
    case FST_CHUNK_ON_DISK:
        slot->at = chunks->at;
        slot->op->at = chunks->at.raw; /* for whoever explains a failure */
        read_record(slot, chunks->record_bytes);
        break;
    case FST_CHUNK_CORRUPT:
        fst_walk_fail(slot, FASTER_CORRUPT);
        break;
    }
}

static void take_chunk(struct fst_pending *slot) {
    if (fst_chunk_reader_take(&slot->chunks,
                              (const unsigned char *)slot->buffer.data + slot->skip_bytes)) {
        gather(slot);
    } else {
        fst_walk_fail(slot, FASTER_CORRUPT);
    }
}

/* Where the value goes: nowhere, into the caller's memory, or into the slot. */
static enum fst_lend prepare_value(struct fst_pending *slot) {
    struct faster_op *op = slot->op;
    struct fst_chunk_reader *chunks = &slot->chunks;
    const size_t value_bytes = (size_t)chunks->list.value_bytes;
    struct faster_buffer *out = op->result;
    if (op->kind == FASTER_OP_COMPARE_AND_SET) {
        chunks->expected = op->expected.data;
        chunks->differs = op->expected.size_bytes != value_bytes;
        return FST_LEND_OK;
    }
    enum fst_lend lend = FST_LEND_OK;
    if (op->kind == FASTER_OP_READ) {
        out->size_bytes = 0; /* nothing to keep when it grows */
        lend = faster_buffer_reserve(out, value_bytes) == FASTER_OK ? FST_LEND_OK : FST_LEND_NOMEM;
    } else {
        out = &slot->value;
        fst_pool_drop(slot, &slot->buffer);
        lend = fst_pool_lend(slot, out, value_bytes);
    }
    if (lend == FST_LEND_OK) {
        out->size_bytes = value_bytes;
        chunks->out = out->data;
    }
    return lend;
}

static bool needs_value(const struct faster_op *op) {
    return op->kind == FASTER_OP_COMPARE_AND_SET || op->kind == FASTER_OP_RMW ||
           (op->kind == FASTER_OP_READ && op->result != NULL);
}

/* Chunks of the version found have been truncated. If begin has moved since the walk began, it may
 * be dead by now: the operation looks again. Else begin has gone too far. */
static void lack_chunks(struct fst_pending *slot) {
    slot->is_lost = fst_addr_below(slot->begin_seen, fst_log_begin(slot->session->store->log));
    end_walk(slot, slot->is_lost ? FST_WALK_END : FST_WALK_CORRUPT);
}

/* The visible version is found. Outside the epoch; `chunks` has its list. */
static void start_gathering(struct fst_pending *slot) {
    slot->found.bytes = NULL;
    switch (prepare_value(slot)) {
    case FST_LEND_OK:
        slot->is_gathering = true;
        gather(slot);
        break;
    case FST_LEND_LATER:
        fst_pending_starve(slot, &slot->value, (size_t)slot->chunks.list.value_bytes, 0);
        break;
    case FST_LEND_NOMEM:
        fst_walk_fail(slot, FASTER_NOMEM);
        break;
    }
}

/* True if the record wanted is in memory: then it is a head whose value is needed. */
static bool find_in_memory(struct fst_pending *slot, fst_addr at, bool *is_intact) {
    struct faster_session *session = slot->session;
    const struct faster_store *store = session->store;
    struct fst_found *found = &slot->found;
    fst_epoch_enter(store->epoch, session->slot);
    /* acquire: pairs with the release in mark_on_disk(); the attempt has read the entry */
    const fst_addr on_disk = fst_addr_of(fst_load_acquire_u64(&store->on_disk_below));
    const bool in_memory = !fst_addr_below(at, fst_addr_max(on_disk, fst_log_head(store->log)));
    if (in_memory) {
        struct fst_record *record = fst_log_at(store->log, at);
        *found = (struct fst_found){.addr = at,
                                    .bytes = (const unsigned char *)record,
                                    .header = fst_load_relaxed_u64(&record->header)};
        *is_intact = fst_record_peek(record, FASTER_PAGE_BYTES_MAX, &found->shape) &&
                     found->shape.chunked && fst_chunk_reader_init(&slot->chunks, session, found);
    }
    fst_epoch_leave(store->epoch, session->slot);
    return in_memory;
}

/* ---- the walk ---- */

static void read_at(struct fst_pending *slot, fst_addr at) {
    slot->at = at;
    read_record(slot, slot->session->read_first_bytes);
}

/* A longer record than expected costs a read of its own, a shorter one a sector or two more: what
 * is expected grows at once and shrinks slowly. */
static void expect_size(struct faster_session *session, uint64_t record_bytes) {
    const uint32_t bytes =
        record_bytes < FST_READ_FIRST_MAX ? (uint32_t)record_bytes : FST_READ_FIRST_MAX;
    uint32_t *expected = &session->read_first_bytes;
    *expected = bytes > *expected ? bytes : *expected - (*expected - bytes + 15) / 16;
    *expected = *expected > FST_READ_FIRST_MIN ? *expected : FST_READ_FIRST_MIN;
}

/* A chain may lead below begin after a truncation: what lay there was dead. */
static void go_on_from(struct fst_pending *slot, fst_addr previous) {
    fst_addr begin = fst_log_begin(slot->session->store->log);
    if (!fst_addr_is_valid(previous) || fst_addr_below(previous, begin)) {
        end_walk(slot, FST_WALK_END);
    } else if (!fst_addr_below(previous, slot->at)) {
        slot->found.addr = slot->at;
        end_walk(slot, FST_WALK_CORRUPT);
    } else if (fst_op_asks_for(slot->op, previous)) {
        slot->found.addr = previous;
        end_walk(slot, FST_WALK_FOUND);
    } else {
        read_at(slot, previous);
    }
}

static void examine(struct fst_pending *slot) {
    struct faster_store *store = slot->session->store;
    struct fst_found *found = &slot->found;
    found->addr = slot->at;
    found->bytes = (const unsigned char *)slot->buffer.data + slot->skip_bytes;
    size_t available = slot->buffer.size_bytes - slot->skip_bytes;
    if (!fst_record_parse(found->bytes, available, &found->shape)) {
        end_walk(slot, FST_WALK_CORRUPT);
        return;
    }
    expect_size(slot->session, found->shape.whole_bytes);
    if (found->shape.whole_bytes > available) {
        uint64_t page_bytes = fst_log_page_bytes(store->log);
        if (found->shape.whole_bytes > page_bytes - (slot->at.raw & (page_bytes - 1))) {
            end_walk(slot, FST_WALK_CORRUPT);
        } else {
            read_record(slot, found->shape.whole_bytes);
        }
        return;
    }
    uint64_t header = fst_raw_header(found->bytes);
    found->header = header;
    found->record = NULL;
    if (fst_header_kind(header) != FST_KIND_DATA ||
        !fst_record_is_intact(found->bytes, available, slot->at, store->checksum_seed,
                              &found->shape)) {
        end_walk(slot, FST_WALK_CORRUPT);
        return;
    }
    fst_epoch_enter(store->epoch, slot->session->slot);
    bool visible = fst_is_visible(store, slot->at, slot->op->upper);
    fst_epoch_leave(store->epoch, slot->session->slot);
    if (!visible || !fst_found_has_key(found, &slot->op->key)) {
        go_on_from(slot, fst_header_previous(header));
    } else if (!found->shape.chunked || !needs_value(slot->op)) {
        end_walk(slot, FST_WALK_FOUND);
    } else if (!fst_chunk_reader_init(&slot->chunks, slot->session, found)) {
        end_walk(slot, FST_WALK_CORRUPT);
    } else if (slot->chunks.list.first_address < fst_log_begin(store->log).raw) {
        lack_chunks(slot);
    } else {
        start_gathering(slot);
    }
}

static void read_done(struct fst_io_request *request) {
    struct fst_pending *slot = request->context;
    fst_addr begin = fst_log_begin(slot->session->store->log);
    slot->session->in_flight_count--;
    if (fst_addr_below(slot->at, begin)) {
        slot->is_lost = slot->is_gathering;
        end_walk(slot, FST_WALK_END);
    } else if (request->status != FASTER_OK) {
        /* A segment that is gone above begin is damage, not an answer. */
        fst_walk_fail(slot, request->status == FASTER_MISSING ? FASTER_CORRUPT : request->status);
    } else if (slot->is_gathering) {
        take_chunk(slot);
    } else {
        examine(slot);
    }
}

void fst_walk_start(struct fst_pending *slot) {
    struct faster_op *op = slot->op;
    bool is_intact = false;
    slot->head_seen = fst_addr_of(op->head);
    slot->begin_seen = fst_log_begin(slot->session->store->log);
    slot->failure = FASTER_OK;
    slot->is_gathering = slot->has_value = slot->is_lost = false;
    if (!find_in_memory(slot, fst_addr_of(op->at), &is_intact)) {
        read_at(slot, fst_addr_of(op->at));
    } else if (is_intact) {
        start_gathering(slot);
    } else {
        fst_walk_fail(slot, FASTER_CORRUPT);
    }
}

/* start_gathering() and read_record() find the room that the slot lacked. */
void fst_walk_resume(struct fst_pending *slot) {
    if (slot->wanted == &slot->value) {
        start_gathering(slot);
    } else {
        read_record(slot, slot->read_bytes);
    }
}

void fst_walk_fail(struct fst_pending *slot, enum faster_status failure) {
    slot->failure = failure;
    fst_pending_end(slot);
}
