/* backup.h - a copy of a store that is in use (layer 5).
 *
 *     fst_backup_begin      takes the checkpoint role
 *     fst_backup_prepare    [writer] of a transactional store: the commit that the copy ends with
 *     fst_backup_run        everything else
 *     fst_backup_end        gives the role back
 */
#ifndef FST_PROCEDURES_BACKUP_H
#define FST_PROCEDURES_BACKUP_H

#include "store/store.h"

struct fst_backup {
    struct faster_session *session;
    struct faster_backup_request *request;
    struct fst_commit_point point; /* number 0: the empty store */
    bool point_is_older;           /* than the newest commit: its control record is looked at */
    bool may_sync;                 /* this life writes; else the log stays as it was found */
    uint64_t until;                /* what lies below of the log is copied */
    uint64_t final_below;          /* this life never writes below again */
    uint64_t on_disk_below;        /* up to the newest commit, as this life found it */
};

/* OK, or INTERRUPTED: there is nothing to end. */
enum faster_status fst_backup_begin(struct fst_backup *backup, struct faster_session *session,
                                    struct faster_backup_request *request) FASTER_MUST_CHECK;
/* OK, BEHIND, COPY, SNAPSHOT_GONE, BUSY. */
enum faster_status fst_backup_prepare(struct fst_backup *backup) FASTER_MUST_CHECK;
/* As faster_session_backup(). */
enum faster_status fst_backup_run(struct fst_backup *backup) FASTER_MUST_CHECK;
void fst_backup_end(struct fst_backup *backup);

#endif
