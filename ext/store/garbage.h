/* garbage.h - directories of stores that no database knows any more. */
#ifndef FASTER_EXT_GARBAGE_H
#define FASTER_EXT_GARBAGE_H

#include <stdint.h>

#include "faster.h"
#include "store/connection.h"

/* Removes the stores in the default place that no table of this schema names: what is left
 * of a CREATE that was killed before its commit, or of a DROP killed after it. Only under the
 * database's write lock, where no other connection can be between the two. Never fails: what
 * cannot be removed is left for the next time. `known` is a store that a table does name: when
 * it is not found, nothing is removed. */
void garbage_collect(struct connection *connection, const char *schema_name, const char *parent,
                     const uint8_t known[FASTER_UUID_BYTES]);

#endif
