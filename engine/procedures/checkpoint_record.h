/* checkpoint_record.h - roots, manifests, and what goes with a new one (layer 5). */
#ifndef FST_PROCEDURES_CHECKPOINT_RECORD_H
#define FST_PROCEDURES_CHECKPOINT_RECORD_H

#include "procedures/checkpoint.h"

/* Makes the checkpoint's root durable, then a manifest. A root that would say what the newest one
 * says is not made. In the role. OK, FULL, NOMEM, IO, MISUSE. */
enum faster_status fst_checkpoint_record(struct fst_checkpoint *checkpoint) FASTER_MUST_CHECK;

/* After a failure: the checkpoint's copy of the index is removed, unless a root may name it
 * already: then the next trim sees which of them counts. */
void fst_checkpoint_drop_index(struct fst_checkpoint *checkpoint);

/* Removes roots that are too many, what no root names any more, and segments below begin. OK, IO
 * and the like: something is left that the next one removes. */
enum faster_status fst_checkpoint_trim(struct fst_checkpoint *checkpoint) FASTER_MUST_CHECK;

/* A manifest with this begin and, unless it is NULL or none, this commit as durable. */
enum faster_status fst_checkpoint_write_manifest(struct faster_store *store,
                                                 const struct fst_commit_point *durable,
                                                 uint64_t begin) FASTER_MUST_CHECK;

#endif
