/* salvage_counts.h - which records of a damaged log count (layer 5).
 *
 * Fed every intact record in order, it makes the list of the *void* ranges: what lies in none of
 * them counts. The rules are those of recovery, as far as they can be followed where records are
 * missing:
 *
 *   - Transactional. A control record counts if the next one, or a jump, names it, or names one
 * with a higher number: then that one is lost, and came on top of this. The last one counts. Void
 * is what lies between the ranges of those that count, what they list as aborted, and the whole of
 * one whose lists are lost.
 *   - Direct. A record counts if a later control record ends its version, or one after it; unless a
 *     jump says that it was not. Void is what no control record follows.
 *
 * So where a control record itself is lost, what it covered is void in a transactional store. Void
 * means doubtful here: whoever salvages may want it all the same.
 */
#ifndef FST_PROCEDURES_SALVAGE_COUNTS_H
#define FST_PROCEDURES_SALVAGE_COUNTS_H

#include "base/env.h"
#include "shapes/format_codec.h"
#include "store/log_cursor.h"

struct fst_salvage_ranges {
    struct fst_address_range *ranges; /* ascending */
    size_t count;
    size_t capacity;
};

/* Records of a direct store of one version, which no control record has ended yet. */
struct fst_salvage_open_range {
    struct fst_address_range range;
    uint64_t version;
};

struct fst_salvage_list {
    uint64_t address;
    uint64_t previous_address;
    size_t first; /* into `listed` */
    size_t count;
};

struct fst_salvage_counts {
    const struct faster_env *env;
    uint32_t page_bits;               /* jumps lead to a multiple */
    enum fst_write_discipline writes; /* 0: until the first control record tells */
    struct fst_salvage_ranges void_ranges;
    /* Transactional. */
    bool has_control; /* the last one, which is not settled yet */
    struct fst_control control;
    uint64_t control_address;
    struct fst_salvage_ranges aborted; /* by that control record */
    uint64_t counted_end;              /* of the last that counts */
    struct fst_salvage_list *lists;    /* since the last control record */
    size_t list_count;
    size_t list_capacity;
    struct fst_salvage_ranges listed;
    /* Direct. */
    uint64_t version; /* of the records that come */
    struct fst_salvage_open_range *open;
    size_t open_count;
    size_t open_capacity;
};

/* `writes` is 0 if it is not known. */
void fst_salvage_counts_init(struct fst_salvage_counts *counts, const struct faster_env *env,
                             uint32_t page_bits, enum fst_write_discipline writes);
void fst_salvage_counts_finish(struct fst_salvage_counts *counts);

/* A fst_salvage_item_fn, in order. OK or NOMEM. */
enum faster_status fst_salvage_counts_take(void *counts,
                                           const struct fst_log_item *item) FASTER_MUST_CHECK;
/* After the last one. */
enum faster_status fst_salvage_counts_end(struct fst_salvage_counts *counts) FASTER_MUST_CHECK;

/* True if a record at `addr` counts. */
bool fst_salvage_counts_covers(const struct fst_salvage_counts *counts, fst_addr addr);

#endif
