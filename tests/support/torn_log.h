/* torn_log.h - what a power cut may do to a store's log: of what was not synced, any sectors are
 * lost, and files whose directory entry was not. */
#ifndef FST_TESTS_SUPPORT_TORN_LOG_H
#define FST_TESTS_SUPPORT_TORN_LOG_H

#include <stdint.h>

/* What the manifests in `directory` know to be durable, as a log address. */
uint64_t torn_log_durable(const char *directory);

/* Loses sectors at or above log address `durable`, in segments up to that of `tail`. Returns
 * how many. */
uint64_t torn_log_lose(const char *directory, uint64_t segment_bytes, uint64_t durable,
                       uint64_t tail, uint64_t *random);

#endif
