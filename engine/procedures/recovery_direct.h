/* recovery_direct.h - opening a direct store again (layer 5). */
#ifndef FST_PROCEDURES_RECOVERY_DIRECT_H
#define FST_PROCEDURES_RECOVERY_DIRECT_H

#include "store/store.h"

/* Finds the last cut that is whole and makes memory know all it covers. Writes nothing. The
 * store is being opened: nobody else uses it. Blocks. OK, CORRUPT, FULL (the index), NOMEM, IO,
 * INTERRUPTED; the session has the message. */
enum faster_status fst_recover_direct(struct faster_session *session,
                                      faster_interrupt_fn *interrupt,
                                      void *interrupt_context) FASTER_MUST_CHECK;

#endif
