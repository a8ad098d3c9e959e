/* checkpoints.h - checkpoints of a table's store: command, function, list. */
#ifndef FASTER_EXT_CHECKPOINTS_H
#define FASTER_EXT_CHECKPOINTS_H

#include "sql/function_table.h"
#include "sql/listing.h"

/* faster_checkpoints(t): number, kind, created, point, begin, replay_from, index_number, bytes. */
extern const struct listing_kind CHECKPOINTS_LISTING;

/* True if the command is 'checkpoint', alone or followed by a kind (fold-over, snapshot,
 * incremental, index) and by what is to be done with the index (auto, copy, leave), in any
 * order and case; *request tells which. */
bool checkpoint_parse(const char *command, struct faster_checkpoint_request *request);

/* Takes it. Of a transactional table it is about the last commit, which it makes safe in SQLite
 * first; the caller is in an INSERT. SQLite's result code, with a message in the connection. */
int checkpoint_run(struct table *table, const struct faster_checkpoint_request *request);

/* faster_checkpoint(t [, kind [, index]]): the newest checkpoint's number then, NULL if the store
 * keeps none. */
void checkpoint_function(sqlite3_context *context, int argc, sqlite3_value **argv);

#endif
