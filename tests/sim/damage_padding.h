/* damage_padding.h - FORMAT.md's "Bytes that nothing checks", as code.
 *
 * Any other byte of a store must not change without being noticed.
 */
#ifndef TESTS_SIM_DAMAGE_PADDING_H
#define TESTS_SIM_DAMAGE_PADDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A store that was closed, as it was before it was damaged. */
struct padding_store {
    /* Bytes of one of its files; how many there were. No such file: 0. */
    size_t (*read)(const void *context, const char *name, uint64_t offset, void *bytes,
                   size_t count);
    const void *context;
    unsigned segment_bits;
    uint64_t log_end; /* an address: from here on commit rows hold what counts of the log, or
                         nothing counts */
};

/* Whether nothing checks this byte of the file `name`, which has size_bytes. */
bool padding_is_unchecked(const struct padding_store *store, const char *name, uint64_t size_bytes,
                          uint64_t offset);

#endif
