/* recovery_pass.c - one forward pass over log records: which commits count (layer 5). */
#include "procedures/recovery_pass.h"

#include "base/array.h"
#include "shapes/format_codec.h"

void fst_pass_init(struct fst_recovery_pass *pass, struct faster_session *session,
                   const struct fst_commit_point *last) {
    *pass = (struct fst_recovery_pass){.session = session, .last = *last};
}

void fst_pass_finish(struct fst_recovery_pass *pass) {
    if (pass->session == NULL) {
        return;
    }
    const struct faster_env *env = pass->session->store->env;
    env->release(env, pass->candidate_ranges.ranges);
    env->release(env, pass->collected.ranges);
    env->release(env, pass->lists);
    *pass = (struct fst_recovery_pass){0};
}

static enum faster_status add_ranges(const struct faster_env *env, struct fst_range_array *list,
                                     const struct fst_address_range *ranges, size_t count) {
    void *array = list->ranges;
    enum faster_status status =
        fst_array_reserve(env, &array, list->count, &list->capacity, count, sizeof *ranges);
    list->ranges = array;
    if (status == FASTER_OK && count > 0) {
        memcpy(list->ranges + list->count, ranges, count * sizeof *ranges);
        list->count += count;
    }
    return status;
}

/* ---- data ---- */

static enum faster_status take_data(struct fst_recovery_pass *pass,
                                    const struct fst_log_item *item) {
    if (fst_header_version(item->header) != 0) {
        return FASTER_CORRUPT;
    }
    if ((item->header & FST_HEADER_INVALID) != 0) {
        return FASTER_OK;
    }
    uint64_t *first = pass->has_candidate ? &pass->after_candidate_first : &pass->void_first;
    if (*first == 0) {
        *first = item->addr.raw;
    }
    return fst_recover_record(pass->session, &pass->waiting, item);
}

/* ---- commits ---- */

static enum faster_status add_void(struct fst_recovery_pass *pass, uint64_t start, uint64_t end) {
    struct faster_store *store = pass->session->store;
    uint64_t begin = fst_log_begin(store->log).raw;
    if (start < begin) {
        start = begin;
    }
    return start < end ? fst_aborted_add(&store->aborted, start, end) : FASTER_OK;
}

static enum faster_status check_durable(const struct faster_store *store,
                                        const struct fst_commit_point *point) {
    if (point->number == store->manifest.durable_number &&
        point->nonce != store->manifest.durable_nonce) {
        return FASTER_COPY;
    }
    return FASTER_OK;
}

/* The candidate counts: what lies between the last commit and its start is void, and so is
 * what it aborted inside. */
static enum faster_status confirm(struct fst_recovery_pass *pass) {
    enum faster_status status = check_durable(pass->session->store, &pass->candidate);
    if (status == FASTER_OK && pass->void_first != 0 && pass->void_first < pass->candidate.start) {
        status = add_void(pass, pass->void_first, pass->candidate.start);
    }
    for (size_t i = 0; status == FASTER_OK && i < pass->candidate_ranges.count; i++) {
        status = add_void(pass, pass->candidate_ranges.ranges[i].start,
                          pass->candidate_ranges.ranges[i].end);
    }
    pass->last = pass->candidate;
    pass->has_candidate = false;
    pass->candidate_ranges.count = 0;
    pass->void_first = pass->after_candidate_first;
    pass->after_candidate_first = 0;
    return status;
}

/* A predecessor that lies below begin was truncated away and cannot be compared. */
static bool names_last(const struct fst_recovery_pass *pass, uint64_t previous_address,
                       uint64_t previous_number) {
    uint64_t begin = fst_log_begin(pass->session->store->log).raw;
    if (pass->last.number == 0 && begin > FST_ADDR_FIRST_RAW) {
        return previous_address < begin;
    }
    return previous_address == pass->last.control_address && previous_number == pass->last.number;
}

/* Settles the candidate by what its successor names; afterwards there is none. */
static enum faster_status settle_candidate(struct fst_recovery_pass *pass,
                                           uint64_t previous_address, uint64_t previous_number) {
    if (pass->has_candidate && previous_address == pass->candidate.control_address) {
        return confirm(pass);
    }
    if (!names_last(pass, previous_address, previous_number)) {
        return FASTER_CORRUPT;
    }
    pass->has_candidate = false;
    pass->candidate_ranges.count = 0;
    if (pass->void_first == 0) {
        pass->void_first = pass->after_candidate_first;
    }
    pass->after_candidate_first = 0;
    return FASTER_OK;
}

/* Copies the ranges of the lists that the control record reaches, oldest list first. */
static enum faster_status gather_lists(struct fst_recovery_pass *pass,
                                       const struct fst_control *control) {
    const struct faster_env *env = pass->session->store->env;
    const uint64_t newest = control->abort_list_address;
    /* Lists below begin were truncated away, and with them all they speak of. */
    const uint64_t begin = fst_log_begin(pass->session->store->log).raw;
    size_t first = pass->list_count;
    for (uint64_t wanted = newest; wanted >= begin;) {
        if (first == 0) {
            return FASTER_CORRUPT;
        }
        const struct fst_pass_abort_list *list = &pass->lists[--first];
        if (list->address == wanted) {
            wanted = list->previous_address;
        }
    }
    enum faster_status status = FASTER_OK;
    if (newest == 0) {
        return status;
    }
    /* One attempt to prepare writes its lists in one run: all from `first` on belong to it. */
    if (pass->list_count > first && pass->lists[first].count > 0 &&
        pass->collected.ranges[pass->lists[first].first].start < control->start) {
        return FASTER_CORRUPT;
    }
    for (size_t i = first; status == FASTER_OK && i < pass->list_count; i++) {
        status = add_ranges(env, &pass->candidate_ranges,
                            pass->collected.ranges + pass->lists[i].first, pass->lists[i].count);
    }
    return status;
}

static enum faster_status take_control(struct fst_recovery_pass *pass,
                                       const struct fst_log_item *item) {
    struct faster_store *store = pass->session->store;
    struct fst_control control;
    struct fst_range_list inlined;
    if (!fst_control_decode(fst_log_item_value(item), item->shape.value_bytes, &control,
                            &inlined) ||
        control.end != item->addr.raw + item->shape.whole_bytes) {
        return FASTER_CORRUPT;
    }
    if (control.index_bits > fst_hash_index_bits(store->index)) {
        pass->session->index_full = true;
        return FASTER_FULL;
    }
    enum faster_status status =
        settle_candidate(pass, control.previous_control_address, control.previous_number);
    if (status == FASTER_OK) {
        status = gather_lists(pass, &control);
    }
    for (uint32_t i = 0; status == FASTER_OK && i < control.aborted_count; i++) {
        struct fst_address_range range = fst_range_list_at(&inlined, i);
        status = add_ranges(store->env, &pass->candidate_ranges, &range, 1);
    }
    pass->candidate = (struct fst_commit_point){control.number, control.nonce, control.start,
                                                control.end, item->addr.raw};
    pass->has_candidate = true;
    pass->collected.count = 0;
    pass->list_count = 0;
    return status;
}

static enum faster_status take_abort_list(struct fst_recovery_pass *pass,
                                          const struct fst_log_item *item) {
    const struct faster_env *env = pass->session->store->env;
    struct fst_abort_list header;
    struct fst_range_list ranges;
    /* Its transaction's start is not known yet: gather_lists() checks it. */
    struct fst_control bounds = {.start = FST_ADDR_FIRST_RAW, .end = item->addr.raw};
    if (!fst_abort_list_decode(fst_log_item_value(item), item->shape.value_bytes, &bounds, &header,
                               &ranges)) {
        return FASTER_CORRUPT;
    }
    void *lists = pass->lists;
    enum faster_status status = fst_array_reserve(env, &lists, pass->list_count,
                                                  &pass->list_capacity, 1, sizeof *pass->lists);
    pass->lists = lists;
    if (status != FASTER_OK) {
        return status;
    }
    pass->lists[pass->list_count++] = (struct fst_pass_abort_list){
        item->addr.raw, header.previous_address, pass->collected.count, (size_t)header.range_count};
    for (uint64_t i = 0; status == FASTER_OK && i < header.range_count; i++) {
        struct fst_address_range range = fst_range_list_at(&ranges, i);
        status = add_ranges(env, &pass->collected, &range, 1);
    }
    return status;
}

static enum faster_status take_jump(struct fst_recovery_pass *pass,
                                    const struct fst_log_item *item) {
    struct fst_jump jump;
    const struct faster_store *store = pass->session->store;
    if (!fst_jump_decode(fst_log_item_value(item), item->shape.value_bytes, store->budget.page_bits,
                         &jump)) {
        return FASTER_CORRUPT;
    }
    if (jump.index_bits > fst_hash_index_bits(pass->session->store->index)) {
        pass->session->index_full = true;
        return FASTER_FULL;
    }
    return settle_candidate(pass, jump.last_control_address, jump.last_number);
}

enum faster_status fst_pass_record(struct fst_recovery_pass *pass,
                                   const struct fst_log_item *item) {
    switch (fst_header_kind(item->header)) {
    case FST_KIND_DATA:
        return take_data(pass, item);
    case FST_KIND_CONTROL:
        return take_control(pass, item);
    case FST_KIND_ABORT_LIST:
        return take_abort_list(pass, item);
    case FST_KIND_JUMP:
        return take_jump(pass, item);
    case FST_KIND_PAD:
    case FST_KIND_PAD_WORD:
    case FST_KIND_CHUNK: /* counts if its head does, and is reached through it */
        return FASTER_OK;
    case FST_KIND_NONE:
        break;
    }
    return FASTER_CORRUPT;
}

enum faster_status fst_pass_link(struct fst_recovery_pass *pass) {
    return fst_recover_waiting(pass->session, &pass->waiting);
}

enum faster_status fst_pass_accept(struct fst_recovery_pass *pass,
                                   const struct fst_commit_point *newest) {
    const struct fst_commit_point *candidate = &pass->candidate;
    if (!pass->has_candidate || candidate->number != newest->number ||
        candidate->control_address != newest->control_address || candidate->end != newest->end) {
        return FASTER_CORRUPT;
    }
    return candidate->nonce == newest->nonce ? confirm(pass) : FASTER_COPY;
}
