/* salvage.h - faster_salvage(path, t [, doubtful]): what is left of a damaged store, into a table.
 */
#ifndef FASTER_EXT_SALVAGE_H
#define FASTER_EXT_SALVAGE_H

#include "sql/function_table.h"
#include "store/connection.h"
#include "table/table.h"

/* The function: a report as JSON. It runs the command 'salvage' on the table, so that what is
 * stored belongs to the transaction. */
function_fn salvage_function;

/* The command: stores every intact row of the store that `request` names. */
int salvage_run(struct table *table, const struct command_exchange *request);

#endif
