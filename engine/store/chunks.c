/* chunks.c - writing a value that is larger than a page (layer 4). */
#include "store/chunks.h"

#include "base/bytes.h"
#include "store/index_growth.h"

bool fst_value_is_large(const struct faster_store *store, size_t key_bytes, size_t value_bytes) {
    return FST_RECORD_LARGE_HEADER_BYTES + key_bytes + value_bytes > fst_log_page_bytes(store->log);
}

enum fst_attempt fst_large_wanted(struct faster_session *session,
                                  const struct faster_bytes *value) {
    session->large = (struct fst_large_value){.value = *value};
    return FST_ATTEMPT_CHUNKS;
}

/* So much of the value goes into the next chunk. Others may take the room at the tail meanwhile:
 * then the page's end stays empty. */
static uint32_t next_bytes(const struct faster_session *session) {
    const struct fst_hybrid_log *log = session->store->log;
    const struct fst_large_value *large = &session->large;
    const uint64_t page_bytes = fst_log_page_bytes(log);
    const uint64_t room = page_bytes - (fst_log_tail(log).raw & (page_bytes - 1));
    uint64_t record_bytes = fst_min_u64(page_bytes, FST_CHUNK_RECORD_BYTES_MAX);
    if (room >= FST_CHUNK_ROOM_BYTES_MIN && room < record_bytes) {
        record_bytes = room;
    }
    const uint64_t taken = FST_RECORD_LARGE_HEADER_BYTES + sizeof(struct fst_chunk);
    return (uint32_t)fst_min_u64(large->value.size_bytes - large->done_bytes, record_bytes - taken);
}

/* Inside the epoch: the record is complete before it is left. */
static bool append(struct faster_session *session, uint32_t count_bytes, fst_addr *addr,
                   uint32_t *record_bytes) {
    const struct fst_large_value *large = &session->large;
    const uint32_t value_bytes = (uint32_t)sizeof(struct fst_chunk) + count_bytes;
    const struct fst_record_shape shape = fst_record_shape_for(0, value_bytes, value_bytes);
    void *memory;
    if (fst_log_allocate(session->store->log, shape.whole_bytes, addr, &memory) != FST_LOG_OK) {
        return false;
    }
    const bool is_first = large->done_bytes == 0;
    const struct fst_chunk chunk = {.first_address =
                                        is_first ? addr->raw : large->list.first_address,
                                    .offset_bytes = large->done_bytes,
                                    .previous_record_bytes = large->list.last_record_bytes};
    fst_record_write_chunk(memory, &shape, fst_addr_of(large->list.last_address), &chunk,
                           sizeof chunk,
                           (const unsigned char *)large->value.data + large->done_bytes);
    fst_store_note_append(session, *addr);
    *record_bytes = shape.whole_bytes;
    return true;
}

enum fst_attempt fst_chunk_append(struct faster_session *session) {
    struct faster_store *store = session->store;
    struct fst_large_value *large = &session->large;
    const uint32_t count_bytes = next_bytes(session);
    fst_addr addr;
    uint32_t record_bytes;
    fst_epoch_enter(store->epoch, session->slot);
    const bool appended = append(session, count_bytes, &addr, &record_bytes);
    fst_epoch_leave(store->epoch, session->slot);
    if (!appended) {
        return FST_ATTEMPT_ROOM;
    }
    if (large->done_bytes == 0) {
        large->list.first_address = addr.raw;
    }
    large->list.last_address = addr.raw;
    large->list.last_record_bytes = record_bytes;
    large->list.chunk_count++;
    large->done_bytes += count_bytes;
    large->list.value_bytes = large->done_bytes;
    large->is_ready = large->done_bytes == large->value.size_bytes;
    return large->is_ready ? FST_ATTEMPT_DONE : FST_ATTEMPT_AGAIN;
}
