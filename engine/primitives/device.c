/* device.c - what all devices share (layer 2). */
#include "primitives/device.h"

#include <string.h>

#include "shapes/format.h"

/* How long one wait for a completion lasts. Only a bound: completions end it early. */
#define RUN_POLL_NS UINT64_C(1000000000)

#define SEGMENT_DIGITS 12u

static void run_done(struct fst_io_request *request) {
    *(bool *)request->context = true;
}

enum faster_status fst_device_run(struct fst_device *device, struct fst_device_queue *queue,
                                  enum fst_io_kind kind, fst_addr addr, void *bytes,
                                  size_t count_bytes, size_t *done_bytes) {
    bool done = false;
    struct fst_io_request request = {
        .kind = kind,
        .addr = addr,
        .bytes = bytes,
        .count_bytes = count_bytes,
        .done = run_done,
        .context = &done,
    };

    device->ops->submit(device, queue, &request);
    /* The request lives on this stack, so leaving before it is done is not possible. */
    while (!done) {
        (void)device->ops->poll(device, queue, RUN_POLL_NS);
    }
    if (done_bytes != NULL) {
        *done_bytes = request.done_bytes;
    }
    return request.status;
}

void fst_device_flush(struct fst_device *device, struct fst_device_queue *queue) {
    if (device->ops->flush != NULL) {
        device->ops->flush(device, queue);
    }
}

void fst_segment_name(uint64_t segment_index, char name[FST_SEGMENT_NAME_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    const size_t prefix_bytes = sizeof FST_NAME_SEGMENT_PREFIX - 1;

    memcpy(name, FST_NAME_SEGMENT_PREFIX, prefix_bytes);
    for (unsigned i = 0; i < SEGMENT_DIGITS; i++) {
        const unsigned shift = 4 * (SEGMENT_DIGITS - 1 - i);
        name[prefix_bytes + i] = digits[(segment_index >> shift) & 15];
    }
    name[prefix_bytes + SEGMENT_DIGITS] = '\0';
}

/* Lower case only: every segment has exactly one name. */
static int digit_value(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return -1;
}

bool fst_segment_name_parse(const char *name, uint64_t *segment_index) {
    const size_t prefix_bytes = sizeof FST_NAME_SEGMENT_PREFIX - 1;
    uint64_t index = 0;

    if (strncmp(name, FST_NAME_SEGMENT_PREFIX, prefix_bytes) != 0) {
        return false;
    }
    for (unsigned i = 0; i < SEGMENT_DIGITS; i++) {
        const int digit = digit_value(name[prefix_bytes + i]);
        if (digit < 0) {
            return false;
        }
        index = index * 16 + (uint64_t)digit;
    }
    if (name[prefix_bytes + SEGMENT_DIGITS] != '\0') {
        return false;
    }
    *segment_index = index;
    return true;
}
