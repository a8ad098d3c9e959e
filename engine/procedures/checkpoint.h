/* checkpoint.h - taking a checkpoint (layer 5).
 *
 * The steps, for layer 7, which gives out the writer's role in between:
 *
 *     fst_checkpoint_begin      takes the checkpoint role
 *     fst_checkpoint_prepare    [writer] of a transactional store: which commit it is about
 *     fst_checkpoint_run        everything else; takes no lock of others for long
 *     fst_checkpoint_settle     [writer] of a transactional store, after success
 *     fst_checkpoint_end        gives the role back
 */
#ifndef FST_PROCEDURES_CHECKPOINT_H
#define FST_PROCEDURES_CHECKPOINT_H

#include "procedures/index_write.h"
#include "store/store.h"

struct fst_checkpoint {
    struct faster_session *session;
    struct faster_checkpoint_request request;
    enum fst_checkpoint_cause cause; /* NONE: a call */
    bool may_fix_tail;               /* the caller has the decider's write lock */
    struct fst_commit_point point;
    struct fst_told_names names; /* of a direct store, as of the point */
    bool point_is_older;         /* than the newest commit: its control record is to be looked at */
    bool is_overtaken; /* a checkpoint of a later commit has been taken: there is nothing to do */
    struct fst_index_write index;
    bool has_index;  /* a copy was made by this checkpoint */
    bool is_named;   /* a root may name it */
    uint64_t number; /* of the files it makes, 0: none so far */
    uint64_t begin;
};

/* OK, or INTERRUPTED: there is nothing to end. */
enum faster_status
fst_checkpoint_begin(struct fst_checkpoint *checkpoint, struct faster_session *session,
                     const struct faster_checkpoint_request *request) FASTER_MUST_CHECK;

/* request.durable is not NULL. OK, BEHIND, COPY, FAILED, READ_ONLY, and what the start of writing
 * gives. */
enum faster_status fst_checkpoint_prepare(struct fst_checkpoint *checkpoint) FASTER_MUST_CHECK;

/* `made` may be NULL; of a store without such files it has the kind, the point and begin only.
 * OK, FULL, FAILED, IO, CORRUPT, COPY, NOMEM, INTERRUPTED, BUSY. */
enum faster_status fst_checkpoint_run(struct fst_checkpoint *checkpoint,
                                      struct faster_checkpoint *made) FASTER_MUST_CHECK;

void fst_checkpoint_settle(struct fst_checkpoint *checkpoint);
void fst_checkpoint_end(struct fst_checkpoint *checkpoint);

/* The log is written to its end and the manifest says so; of a direct store, a checkpoint. Before
 * close; nobody else has the store. */
enum faster_status fst_checkpoint_close(struct faster_store *store) FASTER_MUST_CHECK;

#endif
