/* cut.h - making what a direct store holds durable, without stopping it (layer 5).
 *
 * Operations belong to *versions*, which count from 1. A cut ends version v: it raises the
 * store's version to v + 1, waits until everyone who is inside the epoch has left, and appends
 * a control record. Everybody who enters from then on works in v + 1; nobody waits but the
 * caller. Records carry the low 8 bits of their version.
 *
 * WHAT A CUT COVERS. All effects of version v and below, and none of v + 1:
 *   - An operation reads the version in each stay in the epoch, before it does anything. The
 *     operations of a batch share a stay, and each may read it anew: what one of them did is of
 *     the version it had read, and the drain waits for the stay. An RMW whose merge ran between
 *     two stays has all its effect in the second one, and is of its version.
 *   - In place it changes only records of its own version. So no record of v is touched by
 *     v + 1, and after the drain nobody is left who would touch it.
 *   - It never works on top of a later version of its key: if it meets one it begins again, in
 *     that version. So of two operations on a key the later one does not belong to the earlier
 *     version; and since a session's versions never fall, a session keeps a prefix of what it did.
 *   - An operation that waits for the disk has had no effect yet and belongs to no version: it
 *     goes on in the version of its next stay.
 * The control record is appended after the drain, so every record of v lies below it. Records of
 * v + 1 may lie below it, too, since these operations did not wait; recovery tells them apart by
 * their version. They lie at or above `version_floor`, the tail as of the raise.
 *
 * WHY EIGHT BITS ARE ENOUGH. One cut is made at a time, and it ends with everything below it
 * frozen. So a record that may change in place is of the present version or, during a cut, of
 * one of the two beside it; and at or above version_floor there are no others either.
 *
 * Source: CPR (SIGMOD 2019), with versions per record and without waiting for pending operations.
 */
#ifndef FST_PROCEDURES_CUT_H
#define FST_PROCEDURES_CUT_H

#include "store/store.h"

/* Makes every operation durable that took effect before the call. Callers that come together
 * share one cut. Outside the epoch. Blocks. OK, FULL, FAILED, IO, NOMEM. */
enum faster_status fst_cut(struct faster_session *session) FASTER_MUST_CHECK;

/* The same for a checkpoint: *point becomes the cut that covers it, and `names` (may be NULL) what
 * is durable of named sessions then. With `must_cut` there is a new one even if nothing has changed
 * since the last. */
enum faster_status fst_cut_for_checkpoint(struct faster_session *session, bool must_cut,
                                          struct fst_commit_point *point,
                                          struct fst_told_names *names) FASTER_MUST_CHECK;

/* A moment at which no cut is being made, for a copy of the index. */
struct fst_cut_look {
    uint64_t version;             /* the present one: of all records at or above tail, or later */
    struct fst_commit_point last; /* the cut that ended the version before; number 0: none */
    uint64_t tail; /* whatever was appended below is published, or given up, by now */
};

/* Waits for a cut that is being made, and for those inside the epoch. A version that has ended
 * without a control record (a full disk) gets it first. Outside the epoch. Blocks. As fst_cut(). */
enum faster_status fst_cut_look(struct faster_session *session,
                                struct fst_cut_look *look) FASTER_MUST_CHECK;

#endif
