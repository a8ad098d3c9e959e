/* faster_records.c - the public calls: the log record by record (layer 7). */
#include "faster.h"

#include <string.h>

#include "api.h"
#include "store/chain.h"
#include "store/log_cursor.h"
#include "store/session.h"

struct faster_records {
    const struct faster_env *env;
    struct faster_snapshot view;
    struct faster_session *session; /* the cursor's own */
    struct faster_session *owner;   /* of the snapshot: gets the messages */
    struct fst_log_cursor cursor;
    uint64_t from; /* not known to be record boundaries */
    uint64_t until;
};

static enum faster_status open_cursor(struct faster_records *records, struct faster_store *store) {
    enum faster_status status = fst_session_open(store, &records->session);
    if (status != FASTER_OK) {
        return status;
    }
    status = fst_log_cursor_init(&records->cursor, records->session, fst_log_begin(store->log),
                                 fst_addr_of(records->view.upper), true);
    if (status != FASTER_OK) {
        fst_session_close(records->session);
    }
    return status;
}

enum faster_status faster_records_open(const struct faster_snapshot *snapshot, uint64_t from,
                                       uint64_t until, struct faster_records **out) {
    if (!fst_snapshot_is_given(snapshot) || out == NULL) {
        return FASTER_MISUSE;
    }
    struct faster_store *store = snapshot->session->store;
    fst_clear_message(snapshot->session);
    struct faster_records *records = store->env->allocate(store->env, sizeof *records);
    if (records == NULL) {
        return FASTER_NOMEM;
    }
    *records = (struct faster_records){
        .env = store->env,
        .owner = snapshot->session,
        .from = from,
        .until = until,
    };
    enum faster_status status =
        fst_snapshot_open_frozen(snapshot->session, snapshot, &records->view);
    if (status == FASTER_OK) {
        status = open_cursor(records, store);
        if (status != FASTER_OK) {
            fst_snapshot_close(&records->view);
        }
    }
    if (status != FASTER_OK) {
        store->env->release(store->env, records);
        return status;
    }
    *out = records;
    return FASTER_OK;
}

static enum faster_record_kind public_kind(const struct fst_log_item *item) {
    switch (fst_header_kind(item->header)) {
    case FST_KIND_DATA:
        if ((item->header & FST_HEADER_TOMBSTONE) != 0) {
            return FASTER_RECORD_DELETE;
        }
        return item->shape.chunked ? FASTER_RECORD_CHUNKED : FASTER_RECORD_VALUE;
    case FST_KIND_CONTROL:
        return FASTER_RECORD_COMMIT;
    case FST_KIND_ABORT_LIST:
        return FASTER_RECORD_ABORT_LIST;
    case FST_KIND_JUMP:
        return FASTER_RECORD_JUMP;
    case FST_KIND_CHUNK:
        return FASTER_RECORD_CHUNK;
    case FST_KIND_NONE:
    case FST_KIND_PAD:
    case FST_KIND_PAD_WORD:
        break;
    }
    return FASTER_RECORD_NONE;
}

/* A record that lost its race for the chain counts as little as one of an aborted range. */
static bool counts(const struct faster_records *records, const struct fst_log_item *item) {
    const struct faster_store *store = records->session->store;
    fst_epoch_enter(store->epoch, records->session->slot);
    bool visible = fst_is_visible(store, item->addr, records->view.upper);
    fst_epoch_leave(store->epoch, records->session->slot);
    return visible && (item->header & FST_HEADER_INVALID) == 0;
}

enum faster_status faster_records_next(struct faster_records *records,
                                       struct faster_record *record) {
    if (records == NULL || record == NULL) {
        return FASTER_MISUSE;
    }
    struct fst_log_item item;
    enum faster_status status;
    do {
        status = fst_log_cursor_next(&records->cursor, &item);
    } while (status == FASTER_OK && item.addr.raw < records->from);
    if (status < FASTER_OK) {
        memcpy(records->owner->message, records->session->message, sizeof records->owner->message);
    }
    if (status == FASTER_OK && item.addr.raw >= records->until) {
        status = FASTER_END;
    }
    if (status != FASTER_OK) {
        return status;
    }
    *record = (struct faster_record){
        .kind = public_kind(&item),
        .counts = counts(records, &item),
        .address = item.addr.raw,
        .previous = fst_header_previous(item.header).raw,
        .whole_bytes = item.shape.whole_bytes,
        .key = {item.bytes + item.shape.key_offset_bytes, item.shape.key_bytes},
        .value = {fst_log_item_value(&item), item.shape.value_bytes},
    };
    return FASTER_OK;
}

void faster_records_close(struct faster_records *records) {
    if (records != NULL) {
        fst_log_cursor_finish(&records->cursor);
        fst_session_close(records->session);
        fst_snapshot_close(&records->view);
        records->env->release(records->env, records);
    }
}
