/* first_live.h - where the first live record of a log lies (layer 5). */
#ifndef FST_PROCEDURES_FIRST_LIVE_H
#define FST_PROCEDURES_FIRST_LIVE_H

#include "store/store.h"

/* *page becomes the start of the page that holds it, of the records below `stable`, which no open
 * snapshot is below of; all before is dead. Blocks; asks `interrupt` (may be NULL). OK, NOMEM, FULL
 * (no descriptor), CORRUPT, IO, INTERRUPTED, BUSY (no session is left). */
enum faster_status fst_find_first_live(struct faster_store *store, uint64_t stable,
                                       faster_interrupt_fn *interrupt, void *interrupt_context,
                                       fst_addr *page) FASTER_MUST_CHECK;

#endif
