/* errors.h - one vocabulary of failures: the engine's statuses as SQLite's result codes. */
#ifndef FASTER_EXT_ERRORS_H
#define FASTER_EXT_ERRORS_H

#include "faster.h"

/* The result code for a status. Outcomes that a caller should have handled (PENDING, END,
 * BEHIND, ...) are SQLITE_INTERNAL. */
int errors_code(enum faster_status status);

/* What to say when the engine left no message. Never NULL. */
const char *errors_text(enum faster_status status);

#endif
