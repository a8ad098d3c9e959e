/* device_file.h - what device_uring needs of the file device (layer 2, private to the two).
 *
 * A device of another kind may keep a file device for the requests it cannot carry out itself,
 * use its segment files, and wait for its completions together with its own.
 */
#ifndef FST_PRIMITIVES_DEVICE_FILE_H
#define FST_PRIMITIVES_DEVICE_FILE_H

#include "primitives/device.h"
#include "primitives/segment_files.h"

/* The open files of a file device; they live as long as it does. */
struct fst_segment_files *fst_device_file_segments(struct fst_device *device);

/* Called for each request of the queue that completes, on any thread, with the queue's lock
 * held: it must not block and not call the device. NULL ends it. */
typedef void fst_device_file_notify_fn(void *context);
void fst_device_file_notify(struct fst_device *device, struct fst_device_queue *queue,
                            fst_device_file_notify_fn *notify, void *context);

#endif
