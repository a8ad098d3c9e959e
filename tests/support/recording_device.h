/* recording_device.h - a device around another one that counts, reorders and fails.
 *
 * Requests wait until they are polled; then the wrapper carries them out one by one on the
 * inner device, in order or in reverse, or reports the status it was told to. It keeps how
 * often each write unit was written, so that a test can assert "once". One thread only.
 */
#ifndef FST_TESTS_SUPPORT_RECORDING_DEVICE_H
#define FST_TESTS_SUPPORT_RECORDING_DEVICE_H

#include "primitives/device.h"

#define RECORDING_UNITS_MAX 32768u

struct recording_device {
    struct fst_device head;
    struct fst_device *inner; /* owned */

    /* Set by the test at any time. */
    enum faster_status write_status; /* not OK: writes fail with it and store nothing */
    enum faster_status sync_status;  /* not OK: syncs fail with it */
    uint64_t fail_from;              /* only writes that end above this address fail */
    bool is_reversed;                /* the newest waiting request completes first */
    bool completes_one;              /* one completion for each poll */

    /* Read by the test. */
    uint32_t write_count;
    uint32_t sync_count;       /* those with a write included */
    uint32_t write_sync_count; /* writes that went through and were to be synced at once */
    uint32_t failed_count;
    uint8_t unit_writes[RECORDING_UNITS_MAX]; /* successful writes of each unit */
};

/* NULL if there is no memory; `inner` is closed then. close() closes both. */
struct recording_device *recording_device_create(struct fst_device *inner);

/* The most often any unit was written. */
unsigned recording_device_unit_writes_max(const struct recording_device *device);

#endif
