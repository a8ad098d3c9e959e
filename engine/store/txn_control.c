/* txn_control.c - the records that end a transaction, and the decider's row (layer 4). */
#include "base/bytes.h"
#include "shapes/record.h"
#include "store/txn.h"

/* Ranges that stand in the control record itself; more go to ABORT_LIST records before it. */
#define INLINE_RANGES 16u
#define LIST_RANGES 256u

enum faster_status fst_append_unchained(struct faster_session *session, enum fst_record_kind kind,
                                        const void *value, uint32_t value_bytes,
                                        const struct fst_late_fields *late, fst_addr *addr) {
    struct faster_store *store = session->store;
    struct fst_record_shape shape = fst_record_shape_for(0, value_bytes, value_bytes);
    for (;;) {
        void *memory;
        fst_epoch_enter(store->epoch, session->slot);
        enum fst_log_result result = fst_log_allocate(store->log, shape.whole_bytes, addr, &memory);
        if (result == FST_LOG_OK) {
            if (late != NULL) {
                *late->end = addr->raw + shape.whole_bytes;
                *late->index_bits = fst_hash_index_bits(store->index);
            }
            fst_record_write(memory, &shape, fst_addr_of(0), kind, 0, NULL, value);
        }
        fst_epoch_leave(store->epoch, session->slot);
        if (result == FST_LOG_OK) {
            return FASTER_OK;
        }
        enum faster_status status = fst_log_help(store->log);
        if (status != FASTER_OK) {
            return status;
        }
    }
}

/* Writes the ranges that do not fit the control record, lowest first, as a chain. */
static enum faster_status write_abort_lists(struct faster_txn *txn, uint64_t *newest) {
    struct {
        struct fst_abort_list list;
        struct fst_address_range ranges[LIST_RANGES];
    } value;
    size_t in_lists = txn->aborted_count > INLINE_RANGES ? txn->aborted_count - INLINE_RANGES : 0;
    *newest = 0;
    for (size_t done = 0; done < in_lists;) {
        size_t count = in_lists - done < LIST_RANGES ? in_lists - done : LIST_RANGES;
        value.list = (struct fst_abort_list){*newest, count};
        memcpy(value.ranges, txn->aborted + done, count * sizeof value.ranges[0]);
        fst_addr addr;
        enum faster_status status = fst_append_unchained(
            txn->session, FST_KIND_ABORT_LIST, &value,
            (uint32_t)(sizeof value.list + count * sizeof value.ranges[0]), NULL, &addr);
        if (status != FASTER_OK) {
            return status;
        }
        *newest = addr.raw;
        done += count;
    }
    return FASTER_OK;
}

enum faster_status fst_draw_nonce(const struct faster_env *env, uint64_t *nonce) {
    enum faster_status status = FASTER_OK;
    *nonce = 0;
    while (status == FASTER_OK && *nonce == 0) {
        status = env->random(env, nonce, sizeof *nonce);
    }
    return status;
}

enum faster_status fst_txn_write_control(struct faster_txn *txn) {
    struct faster_store *store = txn->store;
    struct {
        struct fst_control control;
        struct fst_address_range ranges[INLINE_RANGES];
    } value;
    uint64_t list_address;
    uint64_t nonce;
    enum faster_status status = fst_draw_nonce(store->env, &nonce);
    if (status == FASTER_OK) {
        status = write_abort_lists(txn, &list_address);
    }
    if (status != FASTER_OK) {
        return status;
    }
    size_t inlined = txn->aborted_count < INLINE_RANGES ? txn->aborted_count : INLINE_RANGES;
    value.control =
        (struct fst_control){.number = store->committed.number + 1,
                             .nonce = nonce,
                             .start = txn->start,
                             .record_count = txn->record_count,
                             .previous_control_address = store->committed.control_address,
                             .previous_number = store->committed.number,
                             .abort_list_address = list_address,
                             .aborted_count = (uint32_t)inlined};
    if (inlined > 0) {
        memcpy(value.ranges, txn->aborted + (txn->aborted_count - inlined),
               inlined * sizeof value.ranges[0]);
    }
    const struct fst_late_fields late = {&value.control.end, &value.control.index_bits};
    fst_addr addr;
    status = fst_append_unchained(
        txn->session, FST_KIND_CONTROL, &value,
        (uint32_t)(sizeof value.control + inlined * sizeof value.ranges[0]), &late, &addr);
    if (status == FASTER_OK) {
        txn->point = (struct fst_commit_point){value.control.number, nonce, txn->start,
                                               value.control.end, addr.raw};
    }
    return status;
}

uint64_t fst_row_checksum(const struct faster_store *store, const struct faster_commit_row *row) {
    unsigned char fields[6 * 8];
    uint64_t redo = fst_checksum64(row->redo, row->redo_bytes, store->checksum_seed);
    fst_store_le_u64(fields, row->number);
    fst_store_le_u64(fields + 8, row->start);
    fst_store_le_u64(fields + 16, row->end);
    fst_store_le_u64(fields + 24, row->nonce);
    fst_store_le_u64(fields + 32, row->control_address);
    fst_store_le_u64(fields + 40, row->redo_bytes);
    return fst_checksum64(fields, sizeof fields, store->checksum_seed ^ redo);
}
