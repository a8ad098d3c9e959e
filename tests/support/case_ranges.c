/* case_ranges.c - what a crash may leave, by the marks in a disk's log. */
#include "cases.h"

struct case_range cases_acceptable(const struct sim_disk *disk, uint64_t position) {
    struct case_range range = {0, 0};
    for (; position > 0; position--) {
        uint32_t kind;
        uint64_t number;
        if (!sim_log_mark(disk, position, &kind, &number)) {
            continue;
        }
        if (kind == MARK_TRY && number > range.high) {
            range.high = number;
        } else if (kind == MARK_ACK) {
            range.low = number;
            break;
        }
    }
    range.high = range.high > range.low ? range.high : range.low;
    return range;
}

uint64_t cases_newest_mark(const struct sim_disk *disk, uint64_t position, uint32_t kind) {
    for (; position > 0; position--) {
        uint32_t found;
        uint64_t number;
        if (sim_log_mark(disk, position, &found, &number) && found == kind) {
            return number;
        }
    }
    return 0;
}
