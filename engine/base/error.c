#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

enum faster_status fst_error_set(struct faster_error *error, enum faster_status status,
                                 const char *format, ...) {
    if (error == NULL) {
        return status;
    }
    error->status = status;
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(error->message, sizeof error->message, format, arguments) < 0) {
        error->message[0] = '\0';
    }
    va_end(arguments);
    return status;
}

void fst_error_clear(struct faster_error *error) {
    if (error != NULL) {
        error->status = FASTER_OK;
        error->message[0] = '\0';
    }
}
