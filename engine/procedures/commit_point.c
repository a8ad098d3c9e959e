/* commit_point.c - is a commit that the decider names the store's? (layer 5) */
#include "procedures/commit_point.h"

#include "shapes/format_codec.h"
#include "store/log_cursor.h"

static bool is_control_of(const struct fst_log_item *item, const struct fst_commit_point *point) {
    struct fst_control control;
    struct fst_range_list ranges;
    return fst_header_kind(item->header) == FST_KIND_CONTROL &&
           fst_control_decode(fst_log_item_value(item), item->shape.value_bytes, &control,
                              &ranges) &&
           control.number == point->number && control.nonce == point->nonce &&
           control.start == point->start && control.end == point->end;
}

enum faster_status fst_commit_point_check(struct faster_session *session,
                                          const struct fst_commit_point *point) {
    struct fst_log_cursor cursor;
    struct fst_log_item item;
    const struct fst_manifest *manifest = &session->store->manifest;
    if (point->number == manifest->durable_number && point->nonce == manifest->durable_nonce &&
        point->end == manifest->durable_row_end) {
        return FASTER_OK; /* a checkpoint may have found nothing alive below its end */
    }
    if (point->control_address < fst_log_begin(session->store->log).raw ||
        point->control_address >= point->end) {
        return FASTER_COPY;
    }
    enum faster_status status = fst_log_cursor_init(
        &cursor, session, fst_addr_of(point->control_address), fst_addr_of(point->end), false);
    if (status == FASTER_OK) {
        status = fst_log_cursor_next(&cursor, &item);
        if (status == FASTER_CORRUPT || status == FASTER_END ||
            (status == FASTER_OK && !is_control_of(&item, point))) {
            status = FASTER_COPY;
        }
    }
    fst_log_cursor_finish(&cursor);
    return status;
}
