/* functions_write.h - the scalar functions that change one row of one table. */
#ifndef FASTER_EXT_FUNCTIONS_WRITE_H
#define FASTER_EXT_FUNCTIONS_WRITE_H

#include "sql/function_table.h"

/* faster_set(t, key, value): the value. */
function_fn functions_set;
/* faster_delete(t, key): 1 if there was such a row, else 0. */
function_fn functions_delete;
/* faster_incr(t, key [, delta]), faster_append(t, key, suffix): the new value. */
function_fn functions_increment;
function_fn functions_append;
/* faster_cas(t, key, expected, value): 1 if the value was the expected one, and now is `value`;
 * else 0. */
function_fn functions_cas;
/* faster_commit(t): 1. */
function_fn functions_commit;

#endif
