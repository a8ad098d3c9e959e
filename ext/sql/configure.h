/* configure.h - faster_config(t, name [, value]): options that may change after CREATE. */
#ifndef FASTER_EXT_CONFIGURE_H
#define FASTER_EXT_CONFIGURE_H

#include "table/table.h"

/* The value in force becomes the function's result: bytes, or the name of a discipline. */
int configure_get(struct table *table, const char *name, sqlite3_context *context);
/* Stores the value, NULL: takes it out, within the open transaction or one of its own. It
 * needs no store that can be opened. *text (sqlite3_malloc) says when it comes into force. */
int configure_set(struct table *table, const char *name, sqlite3_value *value, char **text);

#endif
