/* index_growth.h - when a store's index grows, and how far (layer 4). */
#ifndef FST_STORE_INDEX_GROWTH_H
#define FST_STORE_INDEX_GROWTH_H

#include "store/store.h"

/* Makes the index of a store that is being opened; its device and log are there. OK, FULL,
 * INVALID, NOMEM. */
enum faster_status fst_store_open_index(struct faster_store *store,
                                        const struct faster_options *options,
                                        struct faster_error *error) FASTER_MUST_CHECK;

/* To be called before a commit row's records are indexed, outside the epoch, by the writer. Before
 * the first of them the index has no entry: it gets its largest size, since any earlier one
 * may have linked what follows. */
void fst_store_index_before_rows(struct faster_session *session);

/* A record was appended at `addr`. Inside or outside the epoch. */
void fst_store_note_append(struct faster_session *session, fst_addr addr);

#endif
