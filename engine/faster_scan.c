/* faster_scan.c - the public calls: scans (layer 7). */
#include "faster.h"

#include <string.h>

#include "api.h"
#include "procedures/scan.h"
#include "store/session.h"

struct faster_scan {
    const struct faster_env *env;
    struct faster_snapshot view;
    struct fst_live_scan live;
    struct faster_session *owner; /* of the snapshot: gets the messages */
    struct faster_buffer value;   /* of the last record, if it was larger than a page */
};

/* Its memory is the value's alone: the buffer for the chunks goes at once. */
static enum faster_status gather(struct faster_scan *scan, const struct fst_scan_entry *entry,
                                 struct faster_bytes *value) {
    struct fst_chunk_reader reader;
    struct faster_buffer io = {.env = scan->env};
    enum faster_status status = fst_live_scan_chunks(&scan->live, entry, &reader);
    if (status == FASTER_OK) {
        status = faster_buffer_reserve(&scan->value, (size_t)reader.list.value_bytes);
    }
    if (status == FASTER_OK) {
        reader.out = scan->value.data;
        status = fst_chunk_reader_run(&reader, &io);
    }
    faster_buffer_finish(&io);
    *value = (struct faster_bytes){scan->value.data, (size_t)reader.list.value_bytes};
    return status;
}

enum faster_status faster_scan_open(const struct faster_snapshot *snapshot,
                                    struct faster_scan **out) {
    if (!fst_snapshot_is_given(snapshot) || out == NULL) {
        return FASTER_MISUSE;
    }
    struct faster_store *store = snapshot->session->store;
    fst_clear_message(snapshot->session);
    struct faster_scan *scan = store->env->allocate(store->env, sizeof *scan);
    if (scan == NULL) {
        return FASTER_NOMEM;
    }
    scan->env = store->env;
    scan->value = (struct faster_buffer){.env = store->env};
    scan->owner = snapshot->session;
    enum faster_status status = fst_snapshot_open_frozen(snapshot->session, snapshot, &scan->view);
    if (status == FASTER_OK) {
        status =
            fst_live_scan_init(&scan->live, store, fst_log_begin(store->log), scan->view.upper);
        if (status != FASTER_OK) {
            fst_snapshot_close(&scan->view);
        }
    }
    if (status != FASTER_OK) {
        store->env->release(store->env, scan);
        return status;
    }
    *out = scan;
    return FASTER_OK;
}

enum faster_status faster_scan_next(struct faster_scan *scan, struct faster_bytes *key,
                                    struct faster_bytes *value) {
    if (scan == NULL || key == NULL || value == NULL) {
        return FASTER_MISUSE;
    }
    const struct fst_scan_entry *entry;
    faster_buffer_finish(&scan->value);
    enum faster_status status = fst_live_scan_next(&scan->live, &entry);
    if (status == FASTER_OK) {
        struct fst_found found = {
            .addr = entry->item.addr, .bytes = entry->item.bytes, .shape = entry->item.shape};
        *key = (struct faster_bytes){found.bytes + found.shape.key_offset_bytes,
                                     found.shape.key_bytes};
        *value = fst_found_value(&found);
        if (found.shape.chunked) {
            status = gather(scan, entry, value);
        }
    }
    if (status < FASTER_OK) {
        memcpy(scan->owner->message, scan->live.session->message, sizeof scan->owner->message);
    }
    return status;
}

void faster_scan_close(struct faster_scan *scan) {
    if (scan != NULL) {
        fst_live_scan_finish(&scan->live);
        fst_snapshot_close(&scan->view);
        faster_buffer_finish(&scan->value);
        scan->env->release(scan->env, scan);
    }
}
