#include "base/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>

void fst_diagnose(const struct fst_diagnostics *diagnostics, enum faster_diagnostic_level level,
                  const char *module, const char *format, ...) {
    if (diagnostics == NULL || diagnostics->fn == NULL) {
        return;
    }
    char message[FASTER_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(message, sizeof message, format, arguments) < 0) {
        message[0] = '\0';
    }
    va_end(arguments);
    diagnostics->fn(diagnostics->context, level, module, message);
}
