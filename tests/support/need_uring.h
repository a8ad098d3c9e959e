/* need_uring.h - skips tests where the kernel refuses io_uring. */
#ifndef TESTS_SUPPORT_NEED_URING_H
#define TESTS_SUPPORT_NEED_URING_H

#include <criterion/criterion.h>

#include "primitives/device_uring.h"

static inline void need_uring(void) {
    struct io_uring ring;

    if (fst_uring_calls_kernel.init(&ring, 4, NULL) != 0) {
        cr_skip_test("no io_uring here");
    }
    fst_uring_calls_kernel.finish(&ring);
}

#endif
