/* error.h - a failure with what a person needs to know (layer 0). */
#ifndef FST_BASE_ERROR_H
#define FST_BASE_ERROR_H

#include "faster.h"

/* Sets status and message and returns `status`, so that a failing function can end with
 * `return fst_error_set(error, FASTER_IO, "...", ...)`. A message that is too long is cut.
 * `error` may be NULL. */
enum faster_status fst_error_set(struct faster_error *error, enum faster_status status,
                                 const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Status OK and no message. `error` may be NULL. */
void fst_error_clear(struct faster_error *error);

#endif
