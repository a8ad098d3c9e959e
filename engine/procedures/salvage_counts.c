/* salvage_counts.c - see salvage_counts.h. */
#include "procedures/salvage_counts.h"

#include "base/array.h"

void fst_salvage_counts_init(struct fst_salvage_counts *counts, const struct faster_env *env,
                             uint32_t page_bits, enum fst_write_discipline writes) {
    *counts = (struct fst_salvage_counts){
        .env = env, .page_bits = page_bits, .writes = writes, .version = 1};
}

void fst_salvage_counts_finish(struct fst_salvage_counts *counts) {
    const struct faster_env *env = counts->env;
    env->release(env, counts->void_ranges.ranges);
    env->release(env, counts->aborted.ranges);
    env->release(env, counts->listed.ranges);
    env->release(env, counts->lists);
    env->release(env, counts->open);
}

/* Appends a range; one that touches the last is joined to it. */
static enum faster_status add_range(const struct fst_salvage_counts *counts,
                                    struct fst_salvage_ranges *to, uint64_t start, uint64_t end) {
    if (start >= end) {
        return FASTER_OK;
    }
    if (to->count > 0 && to->ranges[to->count - 1].end == start) {
        to->ranges[to->count - 1].end = end;
        return FASTER_OK;
    }
    void *array = to->ranges;
    enum faster_status status =
        fst_array_reserve(counts->env, &array, to->count, &to->capacity, 1, sizeof *to->ranges);
    to->ranges = array;
    if (status == FASTER_OK) {
        to->ranges[to->count++] = (struct fst_address_range){start, end};
    }
    return status;
}

static enum faster_status add_void(struct fst_salvage_counts *counts, uint64_t start,
                                   uint64_t end) {
    return add_range(counts, &counts->void_ranges, start, end);
}

/* ---- transactional ---- */

/* By what its successor, or a jump, names as the commit before. */
static enum faster_status settle(struct fst_salvage_counts *counts, uint64_t named_address,
                                 uint64_t named_number) {
    const struct fst_control *control = &counts->control;
    const bool is_named =
        counts->has_control &&
        (named_number > control->number ||
         (named_number == control->number && named_address == counts->control_address));
    counts->has_control = false;
    if (!is_named) {
        return FASTER_OK; /* its range joins the void before the next one that counts */
    }
    enum faster_status status = add_void(counts, counts->counted_end, control->start);
    for (size_t i = 0; status == FASTER_OK && i < counts->aborted.count; i++) {
        const struct fst_address_range *range = &counts->aborted.ranges[i];
        status = add_void(counts, range->start, range->end);
    }
    counts->counted_end = control->end;
    return status;
}

/* The ranges of the chain of lists that ends at `newest`, oldest first. False: one is lost. */
static bool find_first_list(const struct fst_salvage_counts *counts, uint64_t newest,
                            size_t *first) {
    *first = counts->list_count;
    for (uint64_t wanted = newest; wanted != 0;) {
        if (*first == 0) {
            return false;
        }
        const struct fst_salvage_list *list = &counts->lists[--*first];
        if (list->address == wanted) {
            wanted = list->previous_address;
        } else if (list->address < wanted) {
            return false;
        }
    }
    return true;
}

static enum faster_status copy_lists(struct fst_salvage_counts *counts, uint64_t newest,
                                     size_t first) {
    enum faster_status status = FASTER_OK;
    for (size_t i = first; status == FASTER_OK && newest != 0 && i < counts->list_count; i++) {
        const struct fst_salvage_list *list = &counts->lists[i];
        for (size_t k = 0; status == FASTER_OK && k < list->count; k++) {
            const struct fst_address_range *range = &counts->listed.ranges[list->first + k];
            status = add_range(counts, &counts->aborted, range->start, range->end);
        }
    }
    return status;
}

static enum faster_status take_control(struct fst_salvage_counts *counts,
                                       const struct fst_log_item *item) {
    struct fst_control control;
    struct fst_range_list ranges;
    size_t first;
    if (!fst_control_decode(fst_log_item_value(item), item->shape.value_bytes, &control, &ranges)) {
        return FASTER_OK;
    }
    enum faster_status status =
        settle(counts, control.previous_control_address, control.previous_number);
    counts->aborted.count = 0;
    if (status == FASTER_OK && !find_first_list(counts, control.abort_list_address, &first)) {
        status = add_range(counts, &counts->aborted, control.start, control.end);
    } else if (status == FASTER_OK) {
        status = copy_lists(counts, control.abort_list_address, first);
        for (uint64_t i = 0; status == FASTER_OK && i < ranges.count; i++) {
            const struct fst_address_range range = fst_range_list_at(&ranges, i);
            status = add_range(counts, &counts->aborted, range.start, range.end);
        }
    }
    counts->list_count = 0;
    counts->listed.count = 0;
    counts->has_control = true;
    counts->control = control;
    counts->control_address = item->addr.raw;
    return status;
}

static enum faster_status take_list(struct fst_salvage_counts *counts,
                                    const struct fst_log_item *item) {
    struct fst_abort_list header;
    struct fst_range_list ranges;
    const struct fst_control bounds = {.start = FST_ADDR_FIRST_RAW, .end = item->addr.raw};
    if (!fst_abort_list_decode(fst_log_item_value(item), item->shape.value_bytes, &bounds, &header,
                               &ranges)) {
        return FASTER_OK;
    }
    void *lists = counts->lists;
    enum faster_status status = fst_array_reserve(counts->env, &lists, counts->list_count,
                                                  &counts->list_capacity, 1, sizeof *counts->lists);
    counts->lists = lists;
    if (status != FASTER_OK) {
        return status;
    }
    /* Not joined: each list counts its own. */
    void *listed = counts->listed.ranges;
    status = fst_array_reserve(counts->env, &listed, counts->listed.count, &counts->listed.capacity,
                               (size_t)ranges.count, sizeof *counts->listed.ranges);
    counts->listed.ranges = listed;
    if (status != FASTER_OK) {
        return status;
    }
    counts->lists[counts->list_count++] = (struct fst_salvage_list){
        item->addr.raw, header.previous_address, counts->listed.count, (size_t)ranges.count};
    for (uint64_t i = 0; i < ranges.count; i++) {
        counts->listed.ranges[counts->listed.count++] = fst_range_list_at(&ranges, i);
    }
    return status;
}

/* ---- direct ---- */

static enum faster_status note_open(struct fst_salvage_counts *counts,
                                    const struct fst_log_item *item) {
    /* How far the record's version is ahead, in its eight bits: the versions between have lost
     * their control records. */
    const uint64_t ahead = (fst_header_version(item->header) - counts->version) & 0xff;
    const uint64_t version = counts->version + ahead;
    const uint64_t end = item->addr.raw + item->shape.whole_bytes;
    if (counts->open_count > 0) {
        struct fst_salvage_open_range *last = &counts->open[counts->open_count - 1];
        if (last->version == version) {
            last->range.end = end;
            return FASTER_OK;
        }
    }
    void *array = counts->open;
    enum faster_status status = fst_array_reserve(counts->env, &array, counts->open_count,
                                                  &counts->open_capacity, 1, sizeof *counts->open);
    counts->open = array;
    if (status == FASTER_OK) {
        counts->open[counts->open_count++] =
            (struct fst_salvage_open_range){{item->addr.raw, end}, version};
    }
    return status;
}

static enum faster_status take_cut(struct fst_salvage_counts *counts,
                                   const struct fst_log_item *item) {
    struct fst_cut cut;
    const void *sessions;
    size_t kept = 0;
    if (!fst_cut_decode(fst_log_item_value(item), item->shape.value_bytes, &cut, &sessions)) {
        return FASTER_OK;
    }
    for (size_t i = 0; i < counts->open_count; i++) {
        if (counts->open[i].version > cut.version) {
            counts->open[kept++] = counts->open[i];
        }
    }
    counts->open_count = kept;
    counts->version = cut.version + 1;
    return FASTER_OK;
}

/* Those of versions above the last one that counts never did. */
static enum faster_status void_open(struct fst_salvage_counts *counts, uint64_t last_version) {
    enum faster_status status = FASTER_OK;
    for (size_t i = 0; status == FASTER_OK && i < counts->open_count; i++) {
        if (counts->open[i].version > last_version) {
            status = add_void(counts, counts->open[i].range.start, counts->open[i].range.end);
        }
    }
    counts->open_count = 0;
    return status;
}

/* ---- both ---- */

static enum faster_status take_jump(struct fst_salvage_counts *counts,
                                    const struct fst_log_item *item) {
    struct fst_jump jump;
    if (!fst_jump_decode(fst_log_item_value(item), item->shape.value_bytes, counts->page_bits,
                         &jump)) {
        return FASTER_OK;
    }
    if (counts->writes == FST_WRITES_TRANSACTIONAL) {
        return settle(counts, jump.last_control_address, jump.last_number);
    }
    enum faster_status status = void_open(counts, jump.last_number);
    counts->version = jump.last_number + 2;
    return status;
}

/* The two kinds of control record do not pass for each other: the nonce of one stands where the
 * other has an address. */
static enum faster_status take_end(struct fst_salvage_counts *counts,
                                   const struct fst_log_item *item) {
    struct fst_cut cut;
    const void *sessions;
    if (counts->writes == 0) {
        counts->writes =
            fst_cut_decode(fst_log_item_value(item), item->shape.value_bytes, &cut, &sessions)
                ? FST_WRITES_DIRECT
                : FST_WRITES_TRANSACTIONAL;
    }
    return counts->writes == FST_WRITES_DIRECT ? take_cut(counts, item)
                                               : take_control(counts, item);
}

enum faster_status fst_salvage_counts_take(void *context, const struct fst_log_item *item) {
    struct fst_salvage_counts *counts = context;
    switch (fst_header_kind(item->header)) {
    case FST_KIND_DATA:
        return counts->writes == FST_WRITES_TRANSACTIONAL ? FASTER_OK : note_open(counts, item);
    case FST_KIND_CONTROL:
        return take_end(counts, item);
    case FST_KIND_ABORT_LIST:
        return take_list(counts, item);
    case FST_KIND_JUMP:
        return take_jump(counts, item);
    case FST_KIND_NONE:
    case FST_KIND_PAD:
    case FST_KIND_PAD_WORD:
    case FST_KIND_CHUNK:
        break;
    }
    return FASTER_OK;
}

enum faster_status fst_salvage_counts_end(struct fst_salvage_counts *counts) {
    if (counts->writes == FST_WRITES_DIRECT) {
        return void_open(counts, counts->version - 1);
    }
    enum faster_status status = settle(counts, counts->control_address, counts->control.number);
    return status == FASTER_OK ? add_void(counts, counts->counted_end, UINT64_MAX) : status;
}

bool fst_salvage_counts_covers(const struct fst_salvage_counts *counts, fst_addr addr) {
    const struct fst_address_range *ranges = counts->void_ranges.ranges;
    size_t low = 0;
    size_t high = counts->void_ranges.count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (ranges[middle].end <= addr.raw) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == counts->void_ranges.count || addr.raw < ranges[low].start;
}
