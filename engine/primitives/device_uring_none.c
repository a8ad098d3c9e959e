/* device_uring_none.c - in place of device_uring in a build without io_uring (layer 2). */
#include "primitives/device.h"

enum faster_status fst_device_uring_open(const struct fst_device_uring_config *config,
                                         struct fst_device **device) {
    const enum faster_status status = fst_device_file_open(&config->file, device);

    if (status == FASTER_OK) {
        fst_diagnose(config->diagnostics,
                     config->is_wanted ? FASTER_DIAGNOSTIC_WARNING : FASTER_DIAGNOSTIC_INFO,
                     "device", "built without io_uring; requests go to worker threads instead");
    }
    return status;
}
