/* stress_check.h - what a stress test expects, in any of its threads. */
#ifndef TESTS_SUPPORT_STRESS_CHECK_H
#define TESTS_SUPPORT_STRESS_CHECK_H

#include <errno.h> /* program_invocation_short_name */
#include <stdio.h>
#include <stdlib.h>

#include "faster.h"

/* Unless the condition holds: says what, and the status, and ends the program with 1. */
#define CHECK(condition, what, status)                                                             \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,                   \
                    faster_status_name((enum faster_status)(status)));                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
