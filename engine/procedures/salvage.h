/* salvage.h - what can be had of a damaged store (layer 5). */
#ifndef FST_PROCEDURES_SALVAGE_H
#define FST_PROCEDURES_SALVAGE_H

#include "base/env.h"

struct fst_salvage_request {
    const struct faster_env *env;
    const char *directory;
    faster_salvage_fn *each;
    void *context;
    faster_interrupt_fn *interrupt;
    void *interrupt_context;
};

/* See faster_store_salvage(). */
enum faster_status fst_salvage(const struct fst_salvage_request *request,
                               struct faster_salvage_report *report,
                               struct faster_error *error) FASTER_MUST_CHECK;

#endif
