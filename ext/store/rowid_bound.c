/* rowid_bound.c - see rowid_bound.h. */
#include "store/rowid_bound.h"

void rowid_bound_stored(struct rowid_bound *bound, int64_t rowid) {
    if (!bound->any || rowid >= bound->max) {
        bound->any = true;
        bound->exact = true;
        bound->max = rowid;
    }
    if (!bound->top_any || rowid > bound->top) {
        bound->top_any = true;
        bound->top = rowid;
    }
}

void rowid_bound_deleted(struct rowid_bound *bound, int64_t rowid) {
    if (bound->any && rowid >= bound->max) {
        bound->exact = false;
    }
}

void rowid_bound_undone(struct rowid_bound *bound) {
    bound->any = bound->top_any;
    bound->max = bound->top;
    bound->exact = false;
}
