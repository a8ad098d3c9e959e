/* chunk_read.c - gathering a value that is larger than a page (layer 4). */
#include "store/chunk_read.h"

#include "shapes/format_codec.h"

bool fst_chunk_reader_init_files(struct fst_chunk_reader *reader, uint64_t checksum_seed,
                                 uint32_t page_bits, const struct fst_found *head) {
    const struct faster_bytes value = fst_found_value(head);
    *reader = (struct fst_chunk_reader){.checksum_seed = checksum_seed, .page_bits = page_bits};
    if (!fst_chunk_list_decode(value.data, value.size_bytes, head->addr, page_bits,
                               &reader->list)) {
        return false;
    }
    reader->at = fst_addr_of(reader->list.last_address);
    reader->record_bytes = reader->list.last_record_bytes;
    reader->left_count = reader->list.chunk_count;
    reader->gathered_from = reader->list.value_bytes;
    return true;
}

bool fst_chunk_reader_init(struct fst_chunk_reader *reader, struct faster_session *session,
                           const struct fst_found *head) {
    const struct faster_store *store = session->store;
    const bool is_sound =
        fst_chunk_reader_init_files(reader, store->checksum_seed, store->budget.page_bits, head);
    reader->session = session;
    return is_sound;
}

static void deliver(struct fst_chunk_reader *reader, uint64_t offset_bytes,
                    const unsigned char *bytes, size_t count_bytes) {
    if (reader->out != NULL) {
        memcpy(reader->out + offset_bytes, bytes, count_bytes);
    }
    if (reader->expected != NULL && !reader->differs) {
        reader->differs = memcmp(reader->expected + offset_bytes, bytes, count_bytes) != 0;
    }
}

/* The record's shape has been checked, and its checksum if it came from disk. */
static bool take(struct fst_chunk_reader *reader, const unsigned char *bytes,
                 const struct fst_record_shape *shape) {
    const uint64_t header = fst_raw_header(bytes);
    const fst_addr previous = fst_header_previous(header);
    const unsigned char *value = bytes + shape->key_offset_bytes;
    struct fst_chunk chunk;
    if (fst_header_kind(header) != FST_KIND_CHUNK || shape->whole_bytes != reader->record_bytes ||
        !fst_chunk_decode(value, shape->value_bytes, reader->at, previous, reader->page_bits,
                          &chunk)) {
        return false;
    }
    const size_t count_bytes = shape->value_bytes - sizeof chunk;
    if (chunk.first_address != reader->list.first_address ||
        chunk.offset_bytes + count_bytes != reader->gathered_from ||
        (chunk.offset_bytes == 0) != (reader->left_count == 1)) {
        return false;
    }
    deliver(reader, chunk.offset_bytes, value + sizeof chunk, count_bytes);
    reader->gathered_from = chunk.offset_bytes;
    reader->at = previous;
    reader->record_bytes = chunk.previous_record_bytes;
    reader->left_count--;
    return true;
}

static enum fst_chunk_step take_from_memory(struct fst_chunk_reader *reader) {
    const struct faster_store *store = reader->session->store;
    /* acquire: pairs with the release in mark_on_disk(); the head was reached before */
    const fst_addr on_disk = fst_addr_of(fst_load_acquire_u64(&store->on_disk_below));
    struct fst_record_shape shape;
    if (fst_addr_below(reader->at, fst_addr_max(on_disk, fst_log_head(store->log)))) {
        return FST_CHUNK_ON_DISK;
    }
    const unsigned char *bytes = fst_log_at(store->log, reader->at);
    return fst_record_parse(bytes, reader->record_bytes, &shape) && take(reader, bytes, &shape)
               ? FST_CHUNK_TAKEN
               : FST_CHUNK_CORRUPT;
}

enum fst_chunk_step fst_chunk_reader_step(struct fst_chunk_reader *reader) {
    const struct faster_session *session = reader->session;
    fst_epoch_enter(session->store->epoch, session->slot);
    const enum fst_chunk_step step = take_from_memory(reader);
    fst_epoch_leave(session->store->epoch, session->slot);
    return step;
}

bool fst_chunk_reader_take(struct fst_chunk_reader *reader, const void *bytes) {
    struct fst_record_shape shape;
    return fst_record_is_intact(bytes, reader->record_bytes, reader->at, reader->checksum_seed,
                                &shape) &&
           take(reader, bytes, &shape);
}

static enum faster_status read_chunk(struct fst_chunk_reader *reader, struct faster_buffer *io) {
    struct faster_session *session = reader->session;
    struct fst_device *device = session->store->device;
    size_t done_bytes;
    enum faster_status status = faster_buffer_reserve(io, reader->record_bytes);
    if (status != FASTER_OK) {
        return status;
    }
    status = fst_device_run(device, session->queue, FST_IO_READ, reader->at, io->data,
                            reader->record_bytes, &done_bytes);
    fst_session_count(&session->counters.disk_reads, 1);
    fst_session_count(&session->counters.disk_read_bytes, reader->record_bytes);
    if (status == FASTER_FOREIGN) {
        return fst_session_fail_foreign(session, reader->at.raw);
    }
    if (status != FASTER_OK) {
        return status == FASTER_MISSING ? FASTER_CORRUPT : status;
    }
    return fst_chunk_reader_take(reader, io->data) ? FASTER_OK : FASTER_CORRUPT;
}

enum faster_status fst_chunk_reader_run(struct fst_chunk_reader *reader, struct faster_buffer *io) {
    enum faster_status status = FASTER_OK;
    while (status == FASTER_OK && reader->left_count > 0) {
        switch (fst_chunk_reader_step(reader)) {
        case FST_CHUNK_TAKEN:
            break;
        case FST_CHUNK_ON_DISK:
            status = read_chunk(reader, io);
            break;
        case FST_CHUNK_CORRUPT:
            status = FASTER_CORRUPT;
            break;
        }
    }
    return status;
}
