/* diagnostics.h - what an operator may want to know and no return value carries (layer 0). */
#ifndef FST_BASE_DIAGNOSTICS_H
#define FST_BASE_DIAGNOSTICS_H

#include "faster.h"

/* Where diagnostics go. All zeroes: nowhere. Constant once the store is open, so any thread
 * may read it. */
struct fst_diagnostics {
    faster_diagnostic_fn *fn;
    void *context;
};

/* Formats a message of at most FASTER_MESSAGE_BYTES (longer ones are cut) and calls the
 * receiver on this thread. Does nothing if `diagnostics`, or its fn, is NULL. Hold no lock
 * that the receiver might need: it is the application's code. */
void fst_diagnose(const struct fst_diagnostics *diagnostics, enum faster_diagnostic_level level,
                  const char *module, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
