/* mget_keys.h - the keys that faster_mget() is asked for, as the table's own. */
#ifndef FASTER_EXT_MGET_KEYS_H
#define FASTER_EXT_MGET_KEYS_H

#include "codec/key_list.h"
#include "table/table.h"

/* Fills `list` with one key for each in `value`, which is a JSON array, a packed blob
 * (key_reader.h), or NULL: none. Each has the affinity of the key column applied; one that no row
 * can have is empty. REQUIRES: the key has one column, or is the rowid. SQLITE_OK, or a failure
 * with its message in the connection. */
int mget_keys_load(struct table *table, sqlite3_value *value, struct key_list *list);

#endif
