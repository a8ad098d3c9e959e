/* recovery_index.h - linking records of the log into the index (layer 5).
 *
 * Each record's bucket is a line of memory that is not in the processor's cache. So records wait in
 * a group, for as long as their lines take to come, and are linked one after another then:
 *
 *     struct fst_recovery_group group = {0};
 *     ... fst_recover_record(session, &group, &item) for each, in the order of addresses ...
 *     fst_recover_waiting(session, &group);
 *
 * Until then a lookup may miss those that wait: whoever recovers publishes nothing before.
 */
#ifndef FST_PROCEDURES_RECOVERY_INDEX_H
#define FST_PROCEDURES_RECOVERY_INDEX_H

#include "store/log_cursor.h"

/* About as many lines as a core has under way at a time. */
#define FST_RECOVERY_GROUP_MAX 16u

struct fst_recovery_group {
    uint32_t count;
    uint64_t hashes[FST_RECOVERY_GROUP_MAX];
    fst_addr addrs[FST_RECOVERY_GROUP_MAX];
};

/* So many bytes of the log are to come. */
void fst_recover_expect(struct faster_store *store, uint64_t log_bytes);

/* Takes a record, which is to become the head of its chain unless the head is a later one. It may
 * lie above what the log's positions cover yet. Its bytes are not needed any more on return. OK,
 * FULL (the index). [writer], outside the epoch. */
enum faster_status fst_recover_record(struct faster_session *session,
                                      struct fst_recovery_group *group,
                                      const struct fst_log_item *item) FASTER_MUST_CHECK;

/* Links those that wait, after the last one. The same. */
enum faster_status fst_recover_waiting(struct faster_session *session,
                                       struct fst_recovery_group *group) FASTER_MUST_CHECK;

#endif
