/* verify.h - checking a store from end to end (layer 5). */
#ifndef FST_PROCEDURES_VERIFY_H
#define FST_PROCEDURES_VERIFY_H

#include "store/store.h"

/* See faster_session_verify(). Takes no lock; works on the commits known when it begins. */
enum faster_status fst_verify(struct faster_session *session, faster_finding_fn *each,
                              void *context, faster_interrupt_fn *interrupt,
                              void *interrupt_context, uint64_t *finding_count) FASTER_MUST_CHECK;

/* verify_files.c: the same for the identity, the manifests and the segments' headers of a
 * store with files. Adds to *finding_count. OK, or why a file could not be read: IO, NOMEM, FULL
 * (no file descriptor is left), READ_ONLY. */
enum faster_status fst_verify_files(const struct faster_store *store, faster_finding_fn *each,
                                    void *context, uint64_t *finding_count) FASTER_MUST_CHECK;

#endif
