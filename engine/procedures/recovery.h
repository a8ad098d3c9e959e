/* recovery.h - making memory know the commits of the decider (layer 5). */
#ifndef FST_PROCEDURES_RECOVERY_H
#define FST_PROCEDURES_RECOVERY_H

#include "store/store.h"

/* faster_session_catch_up(). [writer] */
enum faster_status fst_catch_up(struct faster_session *session, faster_row_source_fn *next,
                                void *context, faster_interrupt_fn *interrupt,
                                void *interrupt_context) FASTER_MUST_CHECK;

#endif
