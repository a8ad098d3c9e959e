/* recovery_pass.h - one forward pass over log records: which commits count (layer 5).
 *
 * The pass is fed every record above the last known commit in order. It indexes DATA
 * records at once and decides later which of them may be seen:
 *
 *   - a control record is a *candidate*; it counts iff the next control record (or jump)
 *     names it as its predecessor, or the decider's newest row names it;
 *   - the ranges between the records [start, end) of counting commits, and the ranges a
 *     commit lists as aborted inside, are void: they go to the aborted list.
 *
 * So memory holds one candidate and the ranges of one transaction, whatever the log's
 * length.
 */
#ifndef FST_PROCEDURES_RECOVERY_PASS_H
#define FST_PROCEDURES_RECOVERY_PASS_H

#include "procedures/recovery_index.h"

struct fst_range_array {
    struct fst_address_range *ranges;
    size_t count;
    size_t capacity;
};

struct fst_pass_abort_list {
    uint64_t address;
    uint64_t previous_address;
    size_t first; /* into collected */
    size_t count;
};

struct fst_recovery_pass {
    struct faster_session *session;
    struct fst_commit_point last; /* newest commit that counts */
    struct fst_commit_point candidate;
    bool has_candidate;
    struct fst_range_array candidate_ranges;
    uint64_t void_first;            /* first DATA above last.end, 0: none */
    uint64_t after_candidate_first; /* first DATA above candidate.end, 0: none */
    /* Abort lists since the last control record. */
    struct fst_range_array collected;
    struct fst_pass_abort_list *lists;
    size_t list_count;
    size_t list_capacity;
    struct fst_recovery_group waiting; /* to be linked */
};

void fst_pass_init(struct fst_recovery_pass *pass, struct faster_session *session,
                   const struct fst_commit_point *last);
void fst_pass_finish(struct fst_recovery_pass *pass);

/* Takes one intact record. OK, CORRUPT (its content contradicts the log), FULL (the index),
 * NOMEM, COPY (a commit differs from the one the manifest knows to be durable). */
enum faster_status fst_pass_record(struct fst_recovery_pass *pass,
                                   const struct fst_log_item *item) FASTER_MUST_CHECK;

/* Links the records that wait, after the last one. OK, FULL (the index). */
enum faster_status fst_pass_link(struct fst_recovery_pass *pass) FASTER_MUST_CHECK;

/* The decider's newest row names the candidate: it counts. CORRUPT if it is another one. */
enum faster_status fst_pass_accept(struct fst_recovery_pass *pass,
                                   const struct fst_commit_point *newest) FASTER_MUST_CHECK;

#endif
